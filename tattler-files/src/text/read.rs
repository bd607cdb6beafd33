//! Reads all lines of a text.

use std::io::Read;

use super::LineItem;
use super::clock::{LogClock, SPANS_YEARS};
use super::dialect::{Dialect, LineParser};
use super::lines::{LONGEST, Lines};
use crate::{Fault, ReadError, Stop};

/// The most bad lines of an input that are reported individually.
const MOST_REPORTED: u64 = 10;

/// Line counts of an input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineCounts {
    /// Number of lines, without blank lines.
    pub all: u64,
    /// Number of lines that were skipped.
    pub bad: u64,
    /// Number of lines with an observation, a packet or a flow.
    pub of_use: u64,
    /// Number of whole lines up to the last whole line, with blank lines.
    pub whole: u64,
}

/// Reads the lines of a text.
pub struct TextReader<R> {
    name: String,
    dialect: Dialect,
    lines: Lines<R>,
    parser: LineParser,
    number: u64,
    counts: LineCounts,
}

impl<R: Read> TextReader<R> {
    /// Reads the input called `name`.
    pub fn new(name: &str, reader: R, dialect: Dialect, clock: LogClock) -> TextReader<R> {
        let (lines, parser) = (Lines::new(reader), LineParser::new(dialect, clock));
        TextReader { name: name.into(), dialect, lines, parser, number: 0, counts: LineCounts::default() }
    }

    /// Number of the last line that was read. The first line has number 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether no later line can change the earlier lines.
    pub fn is_certain(&self) -> bool {
        self.parser.is_certain()
    }

    /// The content of the next line; `None` at the end. Blank and bad lines are [`LineItem::Nothing`].
    ///
    /// # Errors
    /// Lines without a year go back in time, so the year of all lines is unclear.
    pub fn next(&mut self, report: &mut dyn FnMut(Fault)) -> Result<Option<LineItem>, ReadError> {
        self.number += 1;
        let (name, number, counts) = (|| self.name.clone(), self.number, &mut self.counts);
        let line = match self.lines.next() {
            Ok(None) => return Ok(None),
            Ok(Some(line)) => line,
            Err(error) => {
                report(Fault::Stopped { name: name(), unit: "line", number, stop: Stop::from(error) });
                return Ok(None);
            }
        };
        let text = line.bytes.map(<[u8]>::trim_ascii);
        if text == Some(b"") {
            counts.whole = number;
            return Ok(Some(LineItem::Nothing));
        }
        let is_json = text.is_some_and(|text| text.starts_with(b"{") && text.ends_with(b"}"));
        if !line.is_ended && !is_json && self.dialect != Dialect::JsonLines {
            // A number that is cut in half would still be a valid number.
            report(Fault::Unfinished { name: name(), line: number });
            return Ok(None);
        }
        counts.all += 1;
        match text.ok_or_else(|| format!("longer than {LONGEST} bytes")).and_then(|text| self.parser.parse(text)) {
            Ok(item) => {
                counts.whole = number;
                counts.of_use += u64::from(item != LineItem::Nothing);
                Ok(Some(item))
            }
            Err(reason) if reason == SPANS_YEARS => Err(ReadError::YearUnclear { name: name(), line: number }),
            Err(reason) => {
                if line.is_ended {
                    counts.whole = number;
                }
                counts.bad += 1;
                if counts.bad <= MOST_REPORTED {
                    report(Fault::Line { name: name(), line: number, reason });
                }
                Ok(Some(LineItem::Nothing))
            }
        }
    }

    /// Reports the bad lines that were not reported individually. Also reports an input without lines.
    pub fn finish(self, report: &mut dyn FnMut(Fault)) -> LineCounts {
        let LineCounts { all, bad, .. } = self.counts;
        if bad > MOST_REPORTED {
            report(Fault::Lines { name: self.name.clone(), more: bad - MOST_REPORTED, bad, lines: all });
        }
        if all == 0 {
            report(Fault::Nothing { name: self.name, way_out: "give a file with observations" });
        }
        self.counts
    }
}
