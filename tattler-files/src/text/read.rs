//! All lines of a text.

use std::io::Read;

use super::LineItem;
use super::clock::{LogClock, SPANS_YEARS};
use super::dialect::{Dialect, LineReader};
use super::lines::{LONGEST, Lines};
use crate::{ReadError, Fault, Stop};

/// Bad lines that are told one by one.
const TOLD: u64 = 10;
/// Lines between two looks at the clock, for those who show progress.
const STEP: u64 = 1 << 14;

/// Lines of an input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineCounts {
    /// Blank ones left out.
    pub all: u64,
    /// Skipped.
    pub bad: u64,
    /// With an observation, a packet or a flow in it.
    pub of_use: u64,
    /// Lines up to the last whole one, blank ones among them.
    pub whole: u64,
}

/// What becomes of the lines.
pub struct LineSinks<'a> {
    /// Gets what a line holds, and its number from 1; says whether to read on.
    pub item: &'a mut dyn FnMut(LineItem, u64) -> bool,
    /// Gets what is wrong.
    pub tell: &'a mut dyn FnMut(Fault),
    /// Is called now and then, before a line with this number is read, and with whether those before it
    /// stand whatever follows; says whether to read on.
    pub step: &'a mut dyn FnMut(u64, bool) -> bool,
}

/// Reads all lines of the input called `name`.
///
/// # Errors
/// Lines without a year go back in time: which year it is changes all of them.
pub fn read(name: &str, reader: impl Read, dialect: Dialect, clock: LogClock, sinks: LineSinks<'_>) -> Result<LineCounts, ReadError> {
    let LineSinks { item, tell, step } = sinks;
    let (mut lines, mut reader) = (Lines::new(reader), LineReader::new(dialect, clock));
    let (mut counts, mut number) = (LineCounts::default(), 0);
    loop {
        number += 1;
        if number % STEP == 0 && !step(number, reader.is_certain()) {
            break;
        }
        let line = match lines.next() {
            Ok(None) => break,
            Ok(Some(line)) => line,
            Err(error) => {
                tell(Fault::Stopped { name: name.into(), unit: "line", number, stop: Stop::from(error) });
                break;
            }
        };
        let text = line.bytes.map(<[u8]>::trim_ascii);
        if text == Some(b"") {
            counts.whole = number;
            continue;
        }
        let is_json = text.is_some_and(|text| text.starts_with(b"{") && text.ends_with(b"}"));
        if !line.is_ended && !is_json && dialect != Dialect::JsonLines {
            // FlowHalf a number is a number.
            tell(Fault::Unfinished { name: name.into(), line: number });
            break;
        }
        counts.all += 1;
        match text.ok_or_else(|| format!("longer than {LONGEST} bytes")).and_then(|text| reader.line(text)) {
            Ok(found) => {
                counts.whole = number;
                if found != LineItem::Nothing {
                    counts.of_use += 1;
                    if !item(found, number) {
                        break;
                    }
                }
            }
            Err(reason) if reason == SPANS_YEARS => {
                return Err(ReadError::YearUnclear { name: name.into(), line: number });
            }
            Err(reason) => {
                if line.is_ended {
                    counts.whole = number;
                }
                counts.bad += 1;
                if counts.bad <= TOLD {
                    tell(Fault::Line { name: name.into(), line: number, reason });
                }
            }
        }
    }
    let LineCounts { all, bad, .. } = counts;
    if bad > TOLD {
        tell(Fault::Lines { name: name.into(), more: bad - TOLD, bad, lines: all });
    }
    if all == 0 {
        tell(Fault::Nothing { name: name.into(), way_out: "give a file with observations" });
    }
    Ok(counts)
}
