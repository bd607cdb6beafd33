//! The dialects, and a parser for the lines of each.

use super::clock::LogClock;
use super::{LineItem, conntrack, eve, kernel, nfdump, zeek};
use crate::jsonl::{Parsed, parse_any};

/// The format of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Observations as JSON Lines. Unknown text has this dialect too, so that each line is reported.
    #[default]
    JsonLines,
    /// A log of the kernel's firewall.
    Kernel,
    /// Zeek's conn.log, tab-separated.
    Zeek,
    /// Zeek's conn.log, in JSON.
    ZeekJson,
    /// Suricata's EVE.
    Eve,
    /// `nfdump -o csv`.
    Nfdump,
    /// `conntrack -E`.
    Conntrack,
}

impl Dialect {
    /// Name of the dialect, for messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Dialect::JsonLines => "JSON Lines",
            Dialect::Kernel => "firewall log",
            Dialect::Zeek => "Zeek conn.log",
            Dialect::ZeekJson => "Zeek conn.log in JSON",
            Dialect::Eve => "Suricata EVE",
            Dialect::Nfdump => "nfdump CSV",
            Dialect::Conntrack => "conntrack events",
        }
    }

    /// The dialect of a text that begins with `head`. The first line with a clear dialect decides. The last line may
    /// be cut.
    #[must_use]
    pub fn of(head: &[u8]) -> Dialect {
        head.split(|&byte| byte == b'\n').find_map(of_line).unwrap_or_default()
    }
}

fn of_line(line: &[u8]) -> Option<Dialect> {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii();
    let has = |text: &[u8]| memchr::memmem::find(line, text).is_some();
    if line.starts_with(b"{") {
        return if has(b"\"event_type\"") {
            Some(Dialect::Eve)
        } else if has(b"\"id.orig_h\"") {
            Some(Dialect::ZeekJson)
        } else {
            has(b"\"type\"").then_some(Dialect::JsonLines)
        };
    }
    if line.starts_with(b"#separator") || line.starts_with(b"#fields") {
        return Some(Dialect::Zeek);
    }
    if nfdump::NfdumpColumns::of(line).is_some() {
        return Some(Dialect::Nfdump);
    }
    if conntrack::is_event(line) {
        return Some(Dialect::Conntrack);
    }
    kernel::is_log(line).then_some(Dialect::Kernel)
}

/// Parses the lines of an input.
pub(super) struct LineParser {
    dialect: Dialect,
    clock: LogClock,
    zeek: zeek::ZeekColumns,
    nfdump: Option<nfdump::NfdumpColumns>,
    is_over: bool,
}

impl LineParser {
    pub(super) fn new(dialect: Dialect, clock: LogClock) -> LineParser {
        LineParser { dialect, clock, zeek: zeek::ZeekColumns::default(), nfdump: None, is_over: false }
    }

    /// Whether no later line can change the earlier lines.
    pub(super) fn is_certain(&self) -> bool {
        !self.clock.is_guessing()
    }

    /// Parses a line.
    ///
    /// # Errors
    /// The line is malformed; the reason is returned.
    pub(super) fn parse(&mut self, line: &[u8]) -> Result<LineItem, String> {
        // In another dialect, a line of JSON is from another program.
        let is_json = matches!(self.dialect, Dialect::JsonLines | Dialect::ZeekJson | Dialect::Eve);
        if !is_json && line.starts_with(b"{") {
            return Err(format!("JSON in a {}", self.dialect.as_str()));
        }
        match self.dialect {
            Dialect::JsonLines => match parse_any(line)? {
                Parsed::Observation(observation) => {
                    self.clock.check(observation.ts())?;
                    Ok(LineItem::Observation(observation))
                }
                Parsed::Backup(entry) => Ok(LineItem::Backup(entry)),
            },
            Dialect::Kernel => kernel::parse(line, &mut self.clock),
            Dialect::Conntrack => conntrack::parse(line, &self.clock),
            Dialect::Zeek => self.zeek.parse(line, &mut self.clock),
            Dialect::ZeekJson => zeek::parse_json(line, &mut self.clock),
            Dialect::Eve => eve::parse(line, &mut self.clock),
            Dialect::Nfdump => self.nfdump(line),
        }
    }

    fn nfdump(&mut self, line: &[u8]) -> Result<LineItem, String> {
        // Totals follow the summary line.
        self.is_over |= line == b"Summary";
        // Files that were joined with `cat` each have a header.
        if line.first().is_some_and(u8::is_ascii_alphabetic)
            && let Some(columns) = nfdump::NfdumpColumns::of(line)
        {
            (self.nfdump, self.is_over) = (Some(columns), false);
            return Ok(LineItem::Nothing);
        }
        match &self.nfdump {
            _ if self.is_over => Ok(LineItem::Nothing),
            Some(columns) => columns.parse(line, &mut self.clock),
            None => Err("before the line that names the columns".into()),
        }
    }
}
