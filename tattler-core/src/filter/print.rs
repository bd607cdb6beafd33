//! Conversion of a filter to text that parses to the same filter.

use std::fmt::{self, Display, Formatter, Write};
use std::ops::RangeInclusive;

use super::{FieldTest, Filter};
use crate::time::Time;
use crate::when;

impl Display for Filter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Filter::And(all) => join(f, all, " and "),
            Filter::Or(any) => join(f, any, " or "),
            Filter::Not(filter) => {
                f.write_str("not ")?;
                filter.operand(f)
            }
            Filter::Test(field, test) => {
                f.write_str(field.as_str())?;
                test.fmt(f)
            }
        }
    }
}

impl Filter {
    fn operand(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Filter::And(_) | Filter::Or(_) => write!(f, "({self})"),
            Filter::Not(_) | Filter::Test(..) => self.fmt(f),
        }
    }
}

fn join(f: &mut Formatter<'_>, filters: &[Filter], word: &str) -> fmt::Result {
    for (i, filter) in filters.iter().enumerate() {
        if i > 0 {
            f.write_str(word)?;
        }
        filter.operand(f)?;
    }
    Ok(())
}

impl Display for FieldTest {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            FieldTest::Set => Ok(()),
            FieldTest::In(nets) => {
                f.write_str(" in")?;
                list(f, nets, |f, net| match net.prefix_len() {
                    128 => net.addr().fmt(f),
                    _ => net.fmt(f),
                })
            }
            FieldTest::Numbers(ranges) => list(f, ranges, number),
            FieldTest::Words(words) => list(f, words, |f, word| f.write_str(word)),
            FieldTest::Texts(texts) => list(f, texts, |f, text| {
                f.write_char('"')?;
                for char in text.chars() {
                    if matches!(char, '"' | '\\') {
                        f.write_char('\\')?;
                    }
                    f.write_char(char)?;
                }
                f.write_char('"')
            }),
            FieldTest::Times(range) => between(f, range, i64::MIN, i64::MAX, |time| time.0, |time| micros(*time)),
            FieldTest::Spans(range) => between(f, range, 0, i64::MAX, |span| span.0, |span| when::write_span(*span)),
        }
    }
}

fn list<T>(f: &mut Formatter<'_>, values: &[T], write: fn(&mut Formatter<'_>, &T) -> fmt::Result) -> fmt::Result {
    for (i, value) in values.iter().enumerate() {
        f.write_str(if i > 0 { ", " } else { " " })?;
        write(f, value)?;
    }
    Ok(())
}

fn number(f: &mut Formatter<'_>, range: &RangeInclusive<u64>) -> fmt::Result {
    match (range.start(), range.end()) {
        (from, to) if from == to => from.fmt(f),
        (from, to) => write!(f, "{from}-{to}"),
    }
}

fn between<T>(
    f: &mut Formatter<'_>,
    range: &RangeInclusive<T>,
    least: i64,
    most: i64,
    value: fn(&T) -> i64,
    text: fn(&T) -> String,
) -> fmt::Result {
    let (from, to) = (range.start(), range.end());
    if value(to) == most {
        write!(f, " >= {}", text(from))
    } else if value(from) == least {
        write!(f, " <= {}", text(to))
    } else {
        write!(f, " between {} and {}", text(from), text(to))
    }
}

fn micros(time: Time) -> String {
    format!("{:.6}", time.timestamp())
}
