//! Helpers for records in JSON.

use serde::Deserialize;
use tattler_core::time::Time;

use super::clock::{LogClock, iso};
use crate::jsonl::value::{Value, reason};

/// Reads a line as JSON.
pub(super) fn parse<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(line).map_err(|error| reason(&error))
}

/// Limit between seconds and milliseconds. As seconds, a greater number would be after the year 5138.
const MILLISECONDS: f64 = 1e11;

/// Reads a time: seconds or milliseconds since 1970, or a text.
pub(super) fn time(value: &Value<'_>, clock: &mut LogClock) -> Result<Time, String> {
    let number = match value {
        Value::Number(number) => *number as f64,
        Value::Fraction(number) => *number,
        Value::Text(text) if let Some((civil, b"")) = iso(text.as_bytes()) => return clock.time(civil),
        other => return Err(format!("the time is {other}")),
    };
    let seconds = if number > MILLISECONDS { number / 1e3 } else { number };
    clock.check(Time((seconds * 1e6).round() as i64))
}
