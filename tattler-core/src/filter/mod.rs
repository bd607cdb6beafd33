//! The filter language of all queries:
//!
//! ```text
//! remote in 2a00::/32 and port 22 and not device "printer"
//! ```
//!
//! # Layout
//! - this file: a filter, and the test whether a row passes the filter
//! - [`field`]: fields and the types of their values
//! - `token`, `parse`: conversion of text to a filter, with the position of an error
//! - `print`: conversion of a filter to text that parses to the same filter

pub mod field;
mod parse;
mod print;
#[cfg(test)]
mod tests;
mod token;

use std::net::Ipv6Addr;
use std::ops::RangeInclusive;

use ipnet::Ipv6Net;
use thiserror::Error;

pub use self::field::{Field, Type};
pub use self::parse::{MAX_DEPTH, MAX_LENGTH, parse};
use crate::time::{Span, Time};

/// A typed filter: for example, it can't test a port against a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// A row must pass all of these filters; at least two filters.
    And(Vec<Filter>),
    /// A row must pass at least one of these filters; at least two filters.
    Or(Vec<Filter>),
    /// A row must not pass the inner filter.
    Not(Box<Filter>),
    /// The test of one field.
    Test(Field, FieldTest),
}

/// The test of a field. A test with several values passes if at least one value passes. If a row lacks the field,
/// every test of the field fails, and every negated test passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldTest {
    /// The flag is set.
    Set,
    /// The address is in at least one of these prefixes.
    In(Vec<Ipv6Net>),
    /// The number is in at least one of these ranges.
    Numbers(Vec<RangeInclusive<u64>>),
    /// The word is one of these words.
    Words(Vec<&'static str>),
    /// The text matches at least one of these patterns, in which `*` matches any text. Case is ignored.
    Texts(Vec<String>),
    /// The point in time is in this range.
    Times(RangeInclusive<Time>),
    /// The span is in this range.
    Spans(RangeInclusive<Span>),
}

/// A row that a filter can test. `None`: the value is unknown, or the row has no such field.
pub trait FilterRow {
    /// The value of an address field.
    fn address(&self, field: Field) -> Option<Ipv6Addr>;
    /// The value of a number field.
    fn number(&self, field: Field) -> Option<u64>;
    /// The value of a field whose values are words of a closed set.
    fn word(&self, field: Field) -> Option<&'static str>;
    /// The value of a text field and an alternative value: an identifier and a name.
    fn texts(&self, field: Field) -> [Option<&str>; 2];
    /// The value of a time field.
    fn time(&self, field: Field) -> Option<Time>;
    /// The value of a flag; an unknown flag counts as not set.
    fn flag(&self, field: Field) -> bool;
}

impl Filter {
    /// Whether a row passes the filter.
    #[must_use]
    pub fn passes(&self, row: &impl FilterRow) -> bool {
        match self {
            Filter::And(all) => all.iter().all(|filter| filter.passes(row)),
            Filter::Or(any) => any.iter().any(|filter| filter.passes(row)),
            Filter::Not(filter) => !filter.passes(row),
            Filter::Test(field, test) => test.passes(*field, row),
        }
    }
}

impl FieldTest {
    fn passes(&self, field: Field, row: &impl FilterRow) -> bool {
        match self {
            FieldTest::Set => row.flag(field),
            FieldTest::In(nets) => {
                row.address(field).is_some_and(|address| nets.iter().any(|net| net.contains(&address)))
            }
            FieldTest::Numbers(ranges) => {
                row.number(field).is_some_and(|n| ranges.iter().any(|range| range.contains(&n)))
            }
            FieldTest::Words(words) => row.word(field).is_some_and(|word| words.contains(&word)),
            FieldTest::Texts(patterns) => {
                row.texts(field).into_iter().flatten().any(|text| patterns.iter().any(|pattern| is_like(text, pattern)))
            }
            FieldTest::Times(range) => row.time(field).is_some_and(|time| range.contains(&time)),
            FieldTest::Spans(range) => {
                let times = row.time(Field::First).zip(row.time(Field::Last));
                times.is_some_and(|(first, last)| range.contains(&(last - first)))
            }
        }
    }
}

/// Whether a text matches a pattern. The search backtracks only to the latest `*`, so the product of both lengths
/// bounds the time.
fn is_like(text: &str, pattern: &str) -> bool {
    let same = |a: char, b: char| a == b || a.to_lowercase().eq(b.to_lowercase());
    let (mut text, mut pattern) = (text.chars(), pattern.chars());
    let mut star = None;
    loop {
        let before = text.clone();
        match (text.next(), pattern.next()) {
            (_, Some('*')) => {
                star = Some((before.clone(), pattern.clone()));
                text = before;
            }
            (None, None) => return true,
            (Some(a), Some(b)) if same(a, b) => {}
            _ => {
                // The latest star matches one more character.
                let Some((mut held, after)) = star.take() else { return false };
                if held.next().is_none() {
                    return false;
                }
                text = held.clone();
                pattern = after.clone();
                star = Some((held, after));
            }
        }
    }
}

/// An error in the text of a filter.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the filter is wrong at column {}: {message}", self.column())]
pub struct FilterError {
    /// The text of the filter.
    pub text: String,
    /// The offset of the error in bytes. If something is missing at the end, the offset of the end.
    pub at: usize,
    /// Description of the error, and the expected text.
    pub message: String,
}

/// Maximum number of characters shown on each side of the error.
const SHOWN: usize = 60;

impl FilterError {
    /// The column of the error in characters, starting at 1.
    #[must_use]
    pub fn column(&self) -> usize {
        self.text.get(..self.at).map_or(0, |before| before.chars().count()) + 1
    }

    /// The text around the error and a caret below it: two lines for a terminal.
    #[must_use]
    pub fn caret(&self) -> [String; 2] {
        let at = self.column() - 1;
        let from = at.saturating_sub(SHOWN);
        let visible = |c: char| if c.is_control() { ' ' } else { c };
        let shown: String = self.text.chars().skip(from).take(at - from + SHOWN).map(visible).collect();
        [shown, " ".repeat(at - from) + "^"]
    }
}
