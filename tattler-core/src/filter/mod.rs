//! The language that all queries filter with:
//!
//! ```text
//! remote in 2a00::/32 and port 22 and not device "printer"
//! ```
//!
//! # Layout
//! - this file: a filter, and whether a row passes
//! - [`field`]: what may be asked about
//! - `token`, `parse`: from text, with the position of an error
//! - `print`: back to text, which parses to the same filter

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

/// A filter, typed: whoever holds one can't ask a port for a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// All of them; two or more.
    And(Vec<Filter>),
    /// Any of them; two or more.
    Or(Vec<Filter>),
    /// Not this.
    Not(Box<Filter>),
    /// One field.
    Test(Field, Test),
}

/// What is asked of a field. A list passes if one of its values does. A value that a row doesn't
/// know passes no test, and so passes its negation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// The flag is set.
    Set,
    /// An address in one of these.
    In(Vec<Ipv6Net>),
    /// A number in one of these ranges.
    Numbers(Vec<RangeInclusive<u64>>),
    /// One of these words.
    Words(Vec<&'static str>),
    /// A text as one of these, where `*` stands for anything; case makes no difference.
    Texts(Vec<String>),
    /// A point in time in this range.
    Times(RangeInclusive<Time>),
    /// A span in this range.
    Spans(RangeInclusive<Span>),
}

/// What a filter looks at. `None`: the row doesn't know, or has no such field.
pub trait Row {
    /// An address.
    fn address(&self, field: Field) -> Option<Ipv6Addr>;
    /// A number.
    fn number(&self, field: Field) -> Option<u64>;
    /// A word of a closed set.
    fn word(&self, field: Field) -> Option<&'static str>;
    /// A text, and another one that goes as well: an identifier and a name.
    fn texts(&self, field: Field) -> [Option<&str>; 2];
    /// A point in time.
    fn time(&self, field: Field) -> Option<Time>;
    /// A flag; unknown is not set.
    fn flag(&self, field: Field) -> bool;
}

impl Filter {
    /// Whether a row passes.
    #[must_use]
    pub fn passes(&self, row: &impl Row) -> bool {
        match self {
            Filter::And(all) => all.iter().all(|filter| filter.passes(row)),
            Filter::Or(any) => any.iter().any(|filter| filter.passes(row)),
            Filter::Not(filter) => !filter.passes(row),
            Filter::Test(field, test) => test.passes(*field, row),
        }
    }
}

impl Test {
    fn passes(&self, field: Field, row: &impl Row) -> bool {
        match self {
            Test::Set => row.flag(field),
            Test::In(nets) => row.address(field).is_some_and(|address| nets.iter().any(|net| net.contains(&address))),
            Test::Numbers(ranges) => row.number(field).is_some_and(|n| ranges.iter().any(|range| range.contains(&n))),
            Test::Words(words) => row.word(field).is_some_and(|word| words.contains(&word)),
            Test::Texts(patterns) => {
                row.texts(field).into_iter().flatten().any(|text| patterns.iter().any(|pattern| is_like(text, pattern)))
            }
            Test::Times(range) => row.time(field).is_some_and(|time| range.contains(&time)),
            Test::Spans(range) => {
                let times = row.time(Field::First).zip(row.time(Field::Last));
                times.is_some_and(|(first, last)| range.contains(&(last - first)))
            }
        }
    }
}

/// Whether a text is as a pattern says. Goes back to the latest `*` only, so that no pattern takes
/// longer than the product of both lengths.
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
                // The latest star takes one more character.
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

/// Why a text is no filter.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the filter is wrong at column {}: {message}", self.column())]
pub struct FilterError {
    /// The filter.
    pub text: String,
    /// Where in it, in bytes; at its end if something is missing.
    pub at: usize,
    /// What is wrong there, and what is expected.
    pub message: String,
}

/// Characters shown on either side of the place.
const SHOWN: usize = 60;

impl FilterError {
    /// The column, from 1, in characters.
    #[must_use]
    pub fn column(&self) -> usize {
        self.text.get(..self.at).map_or(0, |before| before.chars().count()) + 1
    }

    /// The filter around the place and a caret below it: two lines for a terminal.
    #[must_use]
    pub fn caret(&self) -> [String; 2] {
        let at = self.column() - 1;
        let from = at.saturating_sub(SHOWN);
        let visible = |c: char| if c.is_control() { ' ' } else { c };
        let shown: String = self.text.chars().skip(from).take(at - from + SHOWN).map(visible).collect();
        [shown, " ".repeat(at - from) + "^"]
    }
}
