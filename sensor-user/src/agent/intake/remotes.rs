//! Which remotes count.
//!
//! The kernel ignores remotes that are not global unicast, and with them the well-known NAT64 prefixes of RFC 6052
//! and RFC 8215. Left out here: the network's own NAT64 prefixes, and home. The kernel still notes the ports and
//! exchanges of such packets, as it should: a port that talks to an IPv4 host is in use.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use tattler_core::home::{HomePrefix, is_home};
use tattler_core::observation::Observation;

/// Whether an observation is of an exchange between home and a remote that counts.
#[must_use]
pub fn counts(observation: &Observation, home: &[HomePrefix], nat64: &[Ipv6Net]) -> bool {
    let remote = match observation {
        Observation::Contact(contact) => contact.remote,
        Observation::Probe(probe) => probe.source,
        Observation::Answer(answer) => answer.source,
    };
    // An IPv4 host behind a translator can't learn our address. A home address as the source of a packet from the
    // internet is forged; a packet to one never leaves for the internet.
    !is_nat64(nat64, remote) && !is_home(home, remote)
}

fn is_nat64(nat64: &[Ipv6Net], remote: Ipv6Addr) -> bool {
    nat64.iter().any(|prefix| prefix.contains(&remote))
}

#[cfg(test)]
mod tests {
    use sensor_common::Kind;
    use tattler_core::observation::Answer;
    use tattler_core::time::Time;

    use super::*;

    fn from(source: &str) -> Observation {
        let target = "2001:db8:1::5".parse().unwrap();
        Observation::Answer(Answer { ts: Time(0), source: source.parse().unwrap(), target, kind: Kind::Echo, port: 0 })
    }

    #[test]
    fn hosts_behind_nat64_and_addresses_of_home_are_no_remotes() {
        let home = [
            HomePrefix { prefix: "2001:db8:1::/48".parse().unwrap(), ours: true },
            HomePrefix { prefix: "2001:db8:1:ffff::/64".parse().unwrap(), ours: false },
        ];
        let nat64 = ["2a0a:64::/96".parse().unwrap()];
        let counts = |source| super::counts(&from(source), &home, &nat64);
        assert!(!counts("2a0a:64::c000:201") && !counts("2001:db8:1:7::5"));
        assert!(counts("2a0a:64:0:1::c000:201"), "next to the translator's prefix");
        assert!(counts("2001:db8:1:ffff::7"), "another customer on the uplink's network");
    }
}
