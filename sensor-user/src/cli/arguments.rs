//! Values on the command line, validated in one step.

use ipnet::Ipv6Net;

use crate::source::capture::home::is_global_unicast;
use crate::time::Time;
use crate::when;

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

/// A point in time: RFC 3339, a date or a date and time in UTC, or back from now.
pub(super) fn time(text: &str) -> Result<Time, String> {
    when::time(text, when::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn home_is_a_prefix_of_global_unicast_addresses() {
        assert_eq!(home("2001:db8:1::5/48").unwrap().to_string(), "2001:db8:1::/48");
        for wrong in ["fd00::/48", "::/0", "2000::/3", "2001:db8::", "192.0.2.0/24", "2001:db8::/129"] {
            assert!(home(wrong).is_err(), "{wrong}");
        }
    }
}
