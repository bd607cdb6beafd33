//! Helpers for records in JSON.

use serde::Deserialize;
use tattler_core::time::Time;

use super::clock::{LogClock, iso};
use crate::jsonl::value::Value;

/// Reads a line as JSON.
pub(super) fn parse<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(line).map_err(|error| reason(&error))
}

/// The reason why a line is refused.
pub(crate) fn reason(error: &serde_json::Error) -> String {
    let message = error.to_string();
    // The line number in serde's message is always 1. The caller adds the line number in the file.
    format!("column {}: {}", error.column(), message.split(" at line ").next().unwrap_or_default())
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
