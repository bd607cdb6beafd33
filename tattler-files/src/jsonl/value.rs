//! A value of a JSON object.
//!
//! Values are read with any type and checked afterwards, so that an error can name the key.

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use tattler_core::time::Time;

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Value<'a> {
    #[default]
    Absent,
    Text(Cow<'a, str>),
    Number(u64),
    /// A number with a fraction. No key accepts a fraction, except the times of other programs.
    Fraction(f64),
    Bool(bool),
    /// A type that no key accepts: a negative number, a list or an object.
    Other(&'static str),
}

impl<'de: 'a, 'a> Deserialize<'de> for Value<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Value<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Value::Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Value::Text(Cow::Owned(text.to_owned())))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Value::Number(number))
            }
            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Value::Other("a negative number"))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
                Ok(Value::Fraction(number))
            }
            fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
                Ok(Value::Bool(value))
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Value::Absent)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Value::Other("a list"))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Value::Other("an object"))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Absent => f.write_str("missing"),
            // The text is untrusted input, so the message gets a short, escaped part.
            Value::Text(text) => {
                let short: String = text.chars().take(40).collect();
                write!(f, "{short:?}{}", if short.len() < text.len() { "…" } else { "" })
            }
            Value::Number(number) => number.fmt(f),
            Value::Fraction(_) => f.write_str("a fractional number"),
            Value::Bool(value) => value.fmt(f),
            Value::Other(what) => f.write_str(what),
        }
    }
}

/// The reason why a value is refused.
fn refuse<T>(key: &str, value: &Value<'_>, wanted: &str) -> Result<T, String> {
    match value {
        Value::Absent => Err(format!("{key} is missing")),
        value => Err(format!("{key} is {value}, not {wanted}")),
    }
}

/// Conversions. [`Value::Absent`] is an error for all conversions except [`Value::optional`].
impl<'a> Value<'a> {
    /// `None` if the value is absent or null.
    pub(crate) fn optional<T>(self, read: impl FnOnce(Self) -> Result<T, String>) -> Result<Option<T>, String> {
        if self == Value::Absent { Ok(None) } else { read(self).map(Some) }
    }

    pub(crate) fn text(self, key: &str) -> Result<Cow<'a, str>, String> {
        match self {
            Value::Text(text) => Ok(text),
            other => refuse(key, &other, "a string"),
        }
    }

    /// Reads a text and converts it with `read`.
    pub(crate) fn name<T>(&self, key: &str, wanted: &str, read: impl FnOnce(&str) -> Option<T>) -> Result<T, String> {
        let found = if let Value::Text(text) = self { read(text) } else { None };
        found.map_or_else(|| refuse(key, self, wanted), Ok)
    }

    pub(crate) fn time(&self, key: &str) -> Result<Time, String> {
        self.name(key, "a time like 2026-09-01T01:41:54.831Z", |text| {
            let timestamp = jiff::Timestamp::from_str(text).ok()?;
            Some(Time(timestamp.as_microsecond()))
        })
    }

    pub(crate) fn address(&self, key: &str) -> Result<Ipv6Addr, String> {
        self.name(key, "an IPv6 address", |text| text.parse().ok())
    }

    /// Reads a number from `least` to `most`.
    pub(crate) fn number<T: TryFrom<u64>>(&self, key: &str, least: u64, most: u64) -> Result<T, String> {
        let found = match *self {
            Value::Number(number) if (least..=most).contains(&number) => T::try_from(number).ok(),
            _ => None,
        };
        found.map_or_else(|| refuse(key, self, &format!("a number from {least} to {most}")), Ok)
    }

    pub(crate) fn bool(&self, key: &str) -> Result<bool, String> {
        match *self {
            Value::Bool(value) => Ok(value),
            _ => refuse(key, self, "true or false"),
        }
    }
}

/// The reason why a line is refused.
pub(crate) fn reason(error: &serde_json::Error) -> String {
    let message = error.to_string();
    // The line number in serde's message is always 1. The caller adds the line number in the file.
    format!("column {}: {}", error.column(), message.split(" at line ").next().unwrap_or_default())
}
