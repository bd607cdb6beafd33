//! The times of log lines: time zones, and the year in logs without years.

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use tattler_core::time::{Span, Time};

use super::fields::{decimal, fraction, micros};

/// The most by which the clock that wrote the log may be ahead of our clock.
const AHEAD: Span = Span::from_days(1);
/// The most by which the lines of a log may be out of order. If a line goes back further, its year differs from the
/// year that we assumed.
const BACK: Span = Span::from_days(7);

/// A date and a time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Civil {
    /// The year. `None` if the format has no years.
    pub(super) year: Option<i16>,
    pub(super) month: i8,
    pub(super) day: i8,
    pub(super) hour: i8,
    pub(super) minute: i8,
    pub(super) second: i8,
    pub(super) micros: i64,
    /// Seconds east of Greenwich. `None` if the text has no zone.
    pub(super) offset: Option<i32>,
}

/// Converts the times of one input.
#[derive(Clone, Debug)]
pub struct LogClock {
    zone: TimeZone,
    /// The year that the user gave for the first line. The year increases when January follows December.
    year: Option<i16>,
    /// Time of the last write to the input. No line is later.
    written: Option<Time>,
    now: Option<Time>,
    last: Option<(Time, i8)>,
    /// Month and day of the last line without a year, and the year that we assumed for this line.
    guessed: Option<(i8, i8, i16)>,
    /// The last converted minute, and the time of its beginning: a cache, since lines are close in time.
    minute: Option<(Civil, Time)>,
}

impl LogClock {
    /// `written` is the time of the last write to the input. `now` is the current time, if there is a clock.
    #[must_use]
    pub fn new(zone: TimeZone, year: Option<i16>, written: Option<Time>, now: Option<Time>) -> LogClock {
        LogClock { zone, year, written: written.or(now), now, last: None, guessed: None, minute: None }
    }

    /// Whether a later line may show that the assumed year of the earlier lines is wrong.
    pub(super) fn is_guessing(&self) -> bool {
        self.guessed.is_some()
    }

    /// Refuses times in the future.
    pub(super) fn check(&self, time: Time) -> Result<Time, String> {
        match self.now {
            Some(now) if time > now + AHEAD => Err(format!("{time} is in the future")),
            _ => Ok(time),
        }
    }

    /// Reads a date and time, or seconds since 1970.
    pub(super) fn read(&mut self, text: &[u8]) -> Result<Time, String> {
        match iso(text) {
            Some((civil, b"")) => self.time(civil),
            Some(_) => Err("no time".into()),
            None => self.check(Time(micros(text).ok_or("no time")?)),
        }
    }

    /// Converts a date and time.
    ///
    /// # Errors
    /// The day or time does not exist, or the year is unclear.
    pub(super) fn time(&mut self, civil: Civil) -> Result<Time, String> {
        let time = if civil.year.is_some() { self.point(civil)? } else { self.guess_year(civil)? };
        self.check(time)
    }

    fn guess_year(&mut self, civil: Civil) -> Result<Time, String> {
        if let Some(year) = self.year {
            let stepped = self.last.is_some_and(|(_, month)| month == 12 && civil.month == 1);
            let back = self.last.is_some_and(|(_, month)| month == 1 && civil.month == 12);
            // Lines around midnight at New Year may be out of order.
            let in_year = if back { year - 1 } else { year + i16::from(stepped) };
            let time = self.point(Civil { year: Some(in_year), ..civil })?;
            self.year = Some(in_year);
            self.last = Some((time, civil.month));
            return Ok(time);
        }
        if let Some((month, day, year)) = self.guessed
            && (month, day) == (civil.month, civil.day)
        {
            return self.point(Civil { year: Some(year), ..civil });
        }
        let written = self.written.ok_or("no year: give --year")?;
        let latest = written.timestamp().to_zoned(self.zone.clone()).year();
        // The latest year that has this day, with a time not after the last write to the file.
        let found = (latest - 8..=latest + 1).rev().find_map(|year| {
            let time = self.point(Civil { year: Some(year), ..civil }).ok()?;
            (time <= written + AHEAD).then_some((time, year))
        });
        let (time, year) = found.ok_or_else(|| "no such day".to_owned())?;
        if let Some((last, _)) = self.last
            && last - time > BACK
        {
            return Err(SPANS_YEARS.into());
        }
        self.last = Some((time, civil.month));
        self.guessed = Some((civil.month, civil.day, year));
        Ok(time)
    }

    fn point(&mut self, civil: Civil) -> Result<Time, String> {
        let minute = Civil { second: 0, micros: 0, ..civil };
        // A leap second counts as the second before the leap second.
        let within = Span(i64::from(civil.second.min(59)) * 1_000_000 + civil.micros);
        if let Some((known, begin)) = self.minute
            && known == minute
        {
            return Ok(begin + within);
        }
        let wrong = || "no such time".to_owned();
        let Civil { year, month, day, hour, minute: minutes, .. } = civil;
        let year = year.ok_or_else(wrong)?;
        let date = DateTime::new(year, month, day, hour, minutes, 0, 0).map_err(|_| wrong())?;
        let zoned = match civil.offset {
            Some(seconds) => Offset::from_seconds(seconds).map_err(|_| wrong())?.to_timestamp(date),
            None => self.zone.to_timestamp(date),
        };
        let begin = Time(zoned.map_err(|_| wrong())?.as_microsecond());
        self.minute = Some((minute, begin));
        Ok(begin + within)
    }
}

/// The reason for refusing a log without years that goes back in time.
pub(super) const SPANS_YEARS: &str = "it goes back in time, or spans more than a year";

/// Reads `2026-09-01T01:41:54.831Z`. A blank may replace the T, and a comma may replace the point. The offset may
/// have a colon or be missing. Also returns the rest of the text.
pub(super) fn iso(bytes: &[u8]) -> Option<(Civil, &[u8])> {
    let (date, rest) = bytes.split_at_checked(10)?;
    let (&[b'T' | b't' | b' '], rest) = rest.split_first_chunk::<1>()? else { return None };
    if date[4] != b'-' || date[7] != b'-' {
        return None;
    }
    let year = i16::try_from(decimal(&date[..4])?).ok()?;
    let (time, rest) = time_of_day(rest)?;
    let (offset, rest) = offset(rest)?;
    let date = Civil { year: Some(year), month: two(&date[5..7])?, day: two(&date[8..])?, offset, ..time };
    Some((date, rest))
}

/// Reads `01:41:54.831`. The date of the result is a placeholder.
pub(super) fn time_of_day(bytes: &[u8]) -> Option<(Civil, &[u8])> {
    let (time, mut rest) = bytes.split_at_checked(8)?;
    if time[2] != b':' || time[5] != b':' {
        return None;
    }
    let mut after_point = 0;
    if let [b'.' | b',', digits @ ..] = rest {
        let end = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
        after_point = fraction(&digits[..end])?;
        rest = &digits[end..];
    }
    let (hour, minute, second) = (two(&time[..2])?, two(&time[3..5])?, two(&time[6..])?);
    if second > 60 {
        return None;
    }
    Some((Civil { year: None, month: 1, day: 1, hour, minute, second, micros: after_point, offset: None }, rest))
}

fn offset(bytes: &[u8]) -> Option<(Option<i32>, &[u8])> {
    let (sign, rest) = match bytes {
        [b'Z' | b'z', rest @ ..] => return Some((Some(0), rest)),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return Some((None, bytes)),
    };
    let (hours, rest) = rest.split_at_checked(2)?;
    let rest = rest.strip_prefix(b":").unwrap_or(rest);
    let (minutes, rest) = match rest.split_at_checked(2) {
        Some((minutes, rest)) if minutes[0].is_ascii_digit() => (two(minutes)?, rest),
        _ => (0, rest),
    };
    Some((Some(sign * (i32::from(two(hours)?) * 3_600 + i32::from(minutes) * 60)), rest))
}

/// Reads two digits, or a blank and a digit.
pub(super) fn two(bytes: &[u8]) -> Option<i8> {
    match *bytes {
        [a @ (b'0'..=b'9' | b' '), b @ b'0'..=b'9'] => {
            Some((if a == b' ' { 0 } else { a - b'0' } * 10 + b - b'0') as i8)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Time {
        Time(text.parse::<jiff::Timestamp>().unwrap().as_microsecond())
    }

    fn clock(zone: &str, year: Option<i16>, written: &str) -> LogClock {
        let zone = if zone == "UTC" { TimeZone::UTC } else { TimeZone::posix(zone).unwrap() };
        LogClock::new(zone, year, Some(time(written)), None)
    }

    /// A line of a log without years.
    fn line(clock: &mut LogClock, month: i8, day: i8, at: &str) -> Result<String, String> {
        let civil = Civil { month, day, ..time_of_day(at.as_bytes()).unwrap().0 };
        clock.time(civil).map(|time| time.to_string())
    }

    #[test]
    fn iso_times_in_many_spellings_are_read() {
        let mut clock = clock("<+02>-2", None, "2026-12-01T00:00:00Z");
        for (text, expected) in [
            ("2026-09-01T01:41:54.831Z x", "2026-09-01T01:41:54.831Z"),
            ("2026-09-01T01:41:54,831456+00:00 x", "2026-09-01T01:41:54.831Z"),
            ("2026-09-01T01:41:54-0130 x", "2026-09-01T03:11:54.000Z"),
            ("2026-09-01 01:41:54 x", "2026-08-31T23:41:54.000Z"),
            ("2026-09-01T01:41:60+02 x", "2026-08-31T23:41:59.000Z"),
        ] {
            let (civil, rest) = iso(text.as_bytes()).unwrap();
            assert_eq!((clock.time(civil).unwrap().to_string().as_str(), rest), (expected, &b" x"[..]), "{text}");
        }
        for wrong in [
            "2026-09-01",
            "2026-09-01T1:41:54",
            "2026/09/01T01:41:54",
            "2026-09-01T01:41:54.Z",
            "2026-09-01T01:41:54+2",
        ] {
            assert_eq!(iso(wrong.as_bytes()), None, "{wrong}");
        }
        let (civil, _) = iso(b"2026-02-30T01:41:54Z").unwrap();
        assert_eq!(clock.time(civil), Err("no such time".into()));
    }

    #[test]
    fn a_missing_year_is_the_latest_that_the_file_allows() {
        let mut clock = clock("UTC", None, "2026-01-03T10:00:00Z");
        assert_eq!(line(&mut clock, 12, 31, "23:59:59"), Ok("2025-12-31T23:59:59.000Z".into()));
        assert_eq!(line(&mut clock, 1, 1, "00:00:00"), Ok("2026-01-01T00:00:00.000Z".into()));
        // For the 29th of February, the year is the latest leap year.
        let mut clock = self::clock("UTC", None, "2026-03-03T10:00:00Z");
        assert_eq!(line(&mut clock, 2, 29, "00:00:00"), Ok("2024-02-29T00:00:00.000Z".into()));
    }

    #[test]
    fn a_log_of_more_than_a_year_needs_the_year() {
        let months = [(3, 1), (12, 31), (1, 1), (6, 1), (12, 31), (1, 1), (3, 1)];
        let mut unknown = clock("UTC", None, "2026-03-03T10:00:00Z");
        let read: Vec<_> = months.iter().map(|&(month, day)| line(&mut unknown, month, day, "12:00:00")).collect();
        assert!(read.iter().any(|read| read.as_ref().is_err_and(|reason| reason == SPANS_YEARS)), "{read:?}");
        let mut given = clock("UTC", Some(2024), "2026-03-03T10:00:00Z");
        let years: Vec<_> = months
            .iter()
            .map(|&(month, day)| line(&mut given, month, day, "12:00:00").unwrap()[..4].to_owned())
            .collect();
        assert_eq!(years, ["2024", "2024", "2025", "2025", "2025", "2026", "2026"]);
    }

    #[test]
    fn the_hour_that_comes_twice_is_the_first_of_both() {
        let mut berlin = clock("CET-1CEST,M3.5.0,M10.5.0/3", None, "2026-12-03T10:00:00Z");
        assert_eq!(line(&mut berlin, 7, 1, "12:00:00"), Ok("2026-07-01T10:00:00.000Z".into()));
        assert_eq!(line(&mut berlin, 10, 25, "02:30:00"), Ok("2026-10-25T00:30:00.000Z".into()));
        assert_eq!(line(&mut berlin, 11, 1, "12:00:00"), Ok("2026-11-01T11:00:00.000Z".into()));
    }

    #[test]
    fn times_in_the_future_are_refused() {
        let now = time("2026-09-01T00:00:00Z");
        let clock = LogClock::new(TimeZone::UTC, None, None, Some(now));
        assert!(clock.check(now + Span::from_seconds(3_600)).is_ok());
        assert_eq!(clock.check(now + Span::from_days(2)), Err("2026-09-03T00:00:00.000Z is in the future".into()));
    }
}
