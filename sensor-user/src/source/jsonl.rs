//! Observations as JSON Lines, read and written.
//!
//! The contract is in docs: `ts`, addresses, `proto` or `kind`, and `port` where there is one are
//! required, the rest is optional, and what is not known is ignored. A line that breaks it is told
//! with its number and skipped.
//!
//! A backup holds more than observations of the contract: answers, and [`Aside`]s, which are no
//! observations and are handed out apart.

use std::io::{self, BufRead, Read};

use super::{Fault, Stop};
use crate::observation::Observation;

mod aside;
mod line;
mod value;
mod write;

pub use aside::{Aside, aside_to_json_line};
use line::Parsed;
pub use line::parse;
pub use write::to_json_line;

/// The longest line that is read. An observation has some 300 bytes.
const LONGEST: usize = 1 << 16;
/// Bad lines that are told one by one.
const TOLD: u64 = 10;
/// Asides of an input that are kept; nobody acknowledges so many remotes.
const MOST_ASIDES: usize = 100_000;

/// Lines of an input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    /// Blank ones left out.
    pub all: u64,
    /// Skipped.
    pub bad: u64,
    /// What was no observation and has a meaning.
    pub asides: Vec<Aside>,
}

/// Reads all lines of the input called `name`.
pub fn read(
    name: &str,
    mut reader: impl BufRead,
    observe: &mut dyn FnMut(Observation),
    tell: &mut dyn FnMut(Fault),
) -> Lines {
    let mut lines = Lines::default();
    let mut number = 0;
    let mut line = Vec::new();
    loop {
        number += 1;
        let whole = match next(&mut reader, &mut line) {
            Ok(None) => break,
            Ok(Some(whole)) => whole,
            Err(error) => {
                tell(Fault::Stopped { name: name.into(), unit: "line", number, stop: Stop::from(error) });
                break;
            }
        };
        let text = line.trim_ascii();
        if text.is_empty() {
            continue;
        }
        lines.all += 1;
        let parsed = if whole { line::parse_any(text) } else { Err(format!("longer than {LONGEST} bytes")) };
        match parsed {
            Ok(Parsed::Observation(observation)) => observe(observation),
            Ok(Parsed::Aside(aside)) if lines.asides.len() < MOST_ASIDES => lines.asides.push(aside),
            Ok(Parsed::Aside(_)) => lines.bad += 1,
            Err(reason) => {
                lines.bad += 1;
                if lines.bad <= TOLD {
                    tell(Fault::Line { name: name.into(), line: number, reason });
                }
            }
        }
    }
    if lines.bad > TOLD {
        let Lines { all, bad, .. } = lines;
        tell(Fault::Lines { name: name.into(), more: bad - TOLD, bad, lines: all });
    }
    if lines.all == 0 {
        tell(Fault::Nothing { name: name.into(), way_out: "give a file with observations" });
    }
    lines
}

/// Reads the next line into `line`: `None` at the end, `false` if it was too long to keep.
fn next(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Option<bool>> {
    line.clear();
    // One more byte than is kept, for the line's end.
    let read = reader.by_ref().take(LONGEST as u64 + 1).read_until(b'\n', line)?;
    if read == 0 {
        return Ok(None);
    }
    if line.ends_with(b"\n") || read <= LONGEST {
        return Ok(Some(true));
    }
    reader.skip_until(b'\n')?;
    Ok(Some(false))
}

#[cfg(test)]
mod tests;
