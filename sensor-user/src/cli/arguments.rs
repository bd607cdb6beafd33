//! Values on the command line, validated in one step.

use std::str::FromStr;

use ipnet::Ipv6Net;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::source::capture::home::is_global_unicast;
use crate::time::Time;

/// The shortest prefix that IANA gives to a registry.
const SHORTEST: u8 = 12;

/// A home prefix.
pub(super) fn home(text: &str) -> Result<Ipv6Net, String> {
    let prefix: Ipv6Net = text.parse().map_err(|_| "no prefix as 2001:db8::/48".to_owned())?;
    if !is_global_unicast(&prefix.addr().octets()) {
        return Err("not in 2000::/3, and only global unicast addresses can be home".into());
    }
    if prefix.prefix_len() < SHORTEST {
        return Err(format!("shorter than /{SHORTEST}, which nobody has for a home"));
    }
    Ok(prefix.trunc())
}

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

    #[test]
    fn home_is_a_prefix_of_global_unicast_addresses() {
        assert_eq!(home("2001:db8:1::5/48").unwrap().to_string(), "2001:db8:1::/48");
        for wrong in ["fd00::/48", "::/0", "2000::/3", "2001:db8::", "192.0.2.0/24", "2001:db8::/129"] {
            assert!(home(wrong).is_err(), "{wrong}");
        }
    }
}
