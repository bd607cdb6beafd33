//! Helpers for records in JSON.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Visitor};
use tattler_core::time;

use super::clock::{self, LogClock};
use super::fields::wrong;

/// Reads a line.
pub(super) fn parse<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(line).map_err(|error| {
        let message = error.to_string();
        // serde's number of the line is always 1: the caller adds that of the file.
        format!("column {}: {}", error.column(), message.split(" at line ").next().unwrap_or_default())
    })
}

/// A time: seconds or milliseconds since 1970, or a text.
pub(super) enum JsonTime<'a> {
    Number(f64),
    Text(Cow<'a, str>),
}

/// A greater number is milliseconds: as seconds it would be after the year 5138.
const MILLISECONDS: f64 = 1e11;

impl JsonTime<'_> {
    /// The point in time.
    pub(super) fn read(&self, clock: &mut LogClock) -> Result<time::Time, String> {
        match self {
            JsonTime::Number(number) => {
                let seconds = if *number > MILLISECONDS { number / 1e3 } else { *number };
                clock.check(time::Time((seconds * 1e6).round() as i64))
            }
            JsonTime::Text(text) => match clock::iso(text.as_bytes()) {
                Some((civil, b"")) => clock.time(civil),
                _ => Err(wrong("the time", text.as_bytes())),
            },
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for JsonTime<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = JsonTime<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time")
            }
            fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
                Ok(JsonTime::Number(number))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
                Ok(JsonTime::Number(number as f64))
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(JsonTime::Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(JsonTime::Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_any(Either)
    }
}
