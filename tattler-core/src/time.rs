//! Points in time and spans, in microseconds.

use std::fmt;
use std::ops::{Add, Sub};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time: microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

/// A span between two points in time, in microseconds; negative if the second point is earlier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub i64);

impl Time {
    /// A point in time from seconds since 1970.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Time {
        Time(seconds.saturating_mul(1_000_000))
    }

    /// A point in time from nanoseconds since 1970.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Time {
        Time(nanos.div_euclid(1_000))
    }

    /// The calendar time, clamped to jiff's range of years.
    #[must_use]
    pub fn timestamp(self) -> Timestamp {
        Timestamp::from_microsecond(self.0).unwrap_or(if self.0 < 0 { Timestamp::MIN } else { Timestamp::MAX })
    }
}

impl Span {
    /// A span from seconds.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Span {
        Span(seconds.saturating_mul(1_000_000))
    }

    /// A span from days of 24 hours.
    #[must_use]
    pub const fn from_days(days: i64) -> Span {
        Span::from_seconds(days.saturating_mul(86_400))
    }

    /// The span in seconds.
    #[must_use]
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

impl Sub for Time {
    type Output = Span;
    fn sub(self, earlier: Time) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Span> for Time {
    type Output = Time;
    fn add(self, span: Span) -> Time {
        Time(self.0.saturating_add(span.0))
    }
}

impl Sub<Span> for Time {
    type Output = Time;
    fn sub(self, span: Span) -> Time {
        Time(self.0.saturating_sub(span.0))
    }
}

/// The time in RFC 3339, in UTC with milliseconds, as in the JSON contract.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.timestamp())
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let timestamp = Timestamp::deserialize(deserializer)?;
        Ok(Time(timestamp.as_microsecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_and_read_as_in_the_contract() {
        let text = "\"2026-09-01T01:41:54.831Z\"";
        let time: Time = serde_json::from_str(text).unwrap();
        assert_eq!(time, Time(1_788_226_914_831_000));
        assert_eq!(serde_json::to_string(&time).unwrap(), text);
    }

    #[test]
    fn arithmetic_at_the_ends_of_time_saturates() {
        assert_eq!(Time(i64::MAX) + Span(1), Time(i64::MAX));
        assert_eq!(Time(i64::MIN) - Time(i64::MAX), Span(i64::MIN));
        assert!(!Time(i64::MAX).to_string().is_empty());
    }
}
