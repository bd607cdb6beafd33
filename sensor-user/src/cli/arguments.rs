//! Values on the command line, validated in one step.

use std::str::FromStr;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::time::Time;

/// A point in time: RFC 3339, or a date or a date and time in UTC.
pub(super) fn time(text: &str) -> Result<Time, String> {
    let utc = |date_time: DateTime| TimeZone::UTC.to_timestamp(date_time);
    jiff::Timestamp::from_str(text)
        .or_else(|_| utc(text.parse::<DateTime>()?))
        .or_else(|_| utc(text.parse::<Date>()?.into()))
        .map(|timestamp| Time(timestamp.as_microsecond()))
        .map_err(|_| "no time as 2026-09-01 or 2026-09-01T12:00:00Z".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_dates_in_utc_or_rfc_3339() {
        let noon = time("2026-09-01T12:00:00Z").unwrap();
        assert_eq!(time("2026-09-01T12:00"), Ok(noon));
        assert_eq!(time("2026-09-01 12:00:00"), Ok(noon));
        assert_eq!(time("2026-09-01T14:00:00+02:00"), Ok(noon));
        assert_eq!(time("2026-09-01"), time("2026-09-01T00:00:00Z"));
        assert!(time("yesterday").is_err());
    }
}
