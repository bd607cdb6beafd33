//! Points in time and spans in their written form.

use std::str::FromStr;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::time::{Span, Time};

/// Units of a span, in microseconds, the longest unit first.
const UNITS: [(&str, i64); 7] = [
    ("w", 7 * 86_400_000_000),
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

/// Reads a point in time: RFC 3339, a date or a date and time in UTC, or a span before `now`, such as `2h` or `3d
/// ago`.
///
/// # Errors
/// One line with the expected form.
pub fn time(text: &str, now: Time) -> Result<Time, String> {
    let utc = |date_time: DateTime| TimeZone::UTC.to_timestamp(date_time);
    let back = text.strip_suffix("ago").map_or(text, str::trim_end);
    if text == "now" {
        return Ok(now);
    }
    if let Ok(span) = span(back) {
        return Ok(now - span);
    }
    jiff::Timestamp::from_str(text)
        .or_else(|_| utc(text.parse::<DateTime>()?))
        .or_else(|_| utc(text.parse::<Date>()?.into()))
        .map(|timestamp| Time(timestamp.as_microsecond()))
        .map_err(|_| "expected a time as 2026-09-01, 2026-09-01T12:00:00Z, 2h or 3d".into())
}

/// Reads a span: a number and a unit, such as `90s`, `15m`, `2h`, `3d`, `1w`.
///
/// # Errors
/// One line with the expected form.
pub fn span(text: &str) -> Result<Span, String> {
    let wrong = || "expected a span as 90s, 15m, 2h, 3d or 1w".to_owned();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: i64 = number.parse().map_err(|_| wrong())?;
    let unit = if unit == "min" { "m" } else { unit };
    let &(_, size) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
    number.checked_mul(size).map(Span).ok_or_else(|| "longer than any history".into())
}

/// Writes a non-negative span in the longest unit that divides the span. [`span`] reads the text back.
#[must_use]
pub fn write_span(span: Span) -> String {
    let whole = UNITS.iter().find(|(_, size)| span.0 != 0 && span.0 % size == 0);
    whole.map_or_else(|| "0s".to_owned(), |(name, size)| format!("{}{name}", span.0 / size))
}

/// Checks that a window does not end before its start.
///
/// # Errors
/// One line that names the options `--since` and `--until`.
pub fn in_order(since: Option<Time>, until: Option<Time>) -> Result<(), String> {
    match since.zip(until) {
        Some((since, until)) if since > until => Err(format!("--since {since} is after --until {until}: swap them")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Time {
        time(text, Time::from_seconds(1_000_000)).unwrap()
    }

    #[test]
    fn times_are_dates_in_utc_or_rfc_3339() {
        let noon = at("2026-09-01T12:00:00Z");
        assert_eq!(at("2026-09-01T12:00"), noon);
        assert_eq!(at("2026-09-01 12:00:00"), noon);
        assert_eq!(at("2026-09-01T14:00:00+02:00"), noon);
        assert_eq!(at("2026-09-01"), at("2026-09-01T00:00:00Z"));
    }

    #[test]
    fn times_go_back_from_now() {
        assert_eq!(at("now"), Time::from_seconds(1_000_000));
        assert_eq!(at("2h"), Time::from_seconds(1_000_000 - 7_200));
        assert_eq!(at("3d ago"), Time::from_seconds(1_000_000 - 3 * 86_400));
        assert_eq!(at("15min"), at("15m ago"));
    }

    #[test]
    fn text_that_is_no_time_is_an_error() {
        for wrong in ["yesterday", "", "ago", "-2h", "2 h", "2y", "h", "99999999999999999999d", "9999999999999w", "é"]
        {
            assert!(time(wrong, Time(0)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_written_span_reads_back_the_same() {
        for micros in [0, 1, 999, 1_000, 1_500_000, 60_000_000, 5_400_000_000, 86_400_000_000, i64::MAX] {
            assert_eq!(span(&write_span(Span(micros))), Ok(Span(micros)));
        }
        assert_eq!(write_span(Span(5_400_000_000)), "90m");
    }
}
