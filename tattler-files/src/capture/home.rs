//! Infers the home prefix if the user gave none.
//!
//! On an uplink, every exchange has one end at home. So home is the /48 with an end of at least 90 % of the
//! global-unicast exchanges. If two /48s pass this test, or if both ends are in the same /48, the same test decides
//! among the /64s. If no single prefix is left, the user must give the prefix: a wrong guess is worse.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use ipnet::Ipv6Net;
use sensor_common::parse::{Address, Tuple};
use sensor_common::rules::is_global;
use sensor_common::{Header, Kind};

/// The most distinct exchanges that are counted. This limit bounds memory. More exchanges would hardly change the
/// result.
const MOST_EXCHANGES: usize = 1 << 18;

/// Counts the exchanges by their ends.
#[derive(Default)]
pub struct HomeFinder {
    hasher: RandomState,
    seen: HashSet<u64>,
    /// Counts for each /48 and each /64.
    prefixes: HashMap<Ipv6Net, Ends>,
}

/// Number of exchanges of a prefix.
#[derive(Clone, Copy, Default)]
struct Ends {
    /// Number of exchanges with one or both ends in the prefix.
    any: usize,
    /// Number of exchanges with one end in the prefix and the other end outside.
    one: usize,
}

impl HomeFinder {
    /// Counts the exchange of a packet.
    pub fn packet(&mut self, header: &Header) {
        let Tuple { src, dst, src_port, dst_port } = header.tuple;
        let kind = header.signal.kind().or(header.signal.answers());
        let Some(proto) = kind.map(Kind::proto) else { return };
        if !is_global(&src) || !is_global(&dst) || self.is_full() {
            return;
        }
        let (from, to) = ((src, src_port), (dst, dst_port));
        if self.seen.insert(self.hasher.hash_one((from.min(to), from.max(to), proto as u8))) {
            self.count(48, src, dst);
            self.count(64, src, dst);
        }
    }

    /// Whether further packets are ignored.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.seen.len() >= MOST_EXCHANGES
    }

    /// The home prefix.
    ///
    /// # Errors
    /// No prefix, or more than one prefix, may be home. The error is the reason.
    pub fn find(&self) -> Result<Ipv6Net, String> {
        let exchanges = self.seen.len();
        if exchanges == 0 {
            return Err("it has no exchange between global addresses".into());
        }
        let (by_48, by_64) = (self.candidates(48), self.candidates(64));
        match (&by_48[..], &by_64[..]) {
            ([home], _) | (_, [home]) => Ok(*home),
            ([], []) => Err(format!("no /48 is an end of 90 % of its {exchanges} exchanges")),
            (many, few) => {
                let several = if few.is_empty() { many } else { few };
                Err(format!("it may be {} or {}", several[0], several[1]))
            }
        }
    }

    fn count(&mut self, length: u8, src: Address, dst: Address) {
        let prefix = |address: Address| Ipv6Net::new_assert(address.into(), length).trunc();
        let (src, dst) = (prefix(src), prefix(dst));
        for prefix in [Some(src), (src != dst).then_some(dst)].into_iter().flatten() {
            let ends = self.prefixes.entry(prefix).or_default();
            ends.any += 1;
            ends.one += usize::from(src != dst);
        }
    }

    /// The prefixes of this length that may be home, in order.
    fn candidates(&self, length: u8) -> Vec<Ipv6Net> {
        let is_home = |ends: &Ends| ends.one > 0 && ends.any * 10 >= self.seen.len() * 9;
        let found = self.prefixes.iter().filter(|(prefix, ends)| prefix.prefix_len() == length && is_home(ends));
        let mut found: Vec<Ipv6Net> = found.map(|(&prefix, _)| prefix).collect();
        found.sort_unstable();
        found
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use sensor_common::Signal;
    use sensor_common::parse::Detail;

    use super::*;

    fn finder(exchanges: &[(&str, &str)]) -> HomeFinder {
        let mut finder = HomeFinder::default();
        for (port, (src, dst)) in exchanges.iter().enumerate() {
            let address = |text: &str| text.parse::<Ipv6Addr>().unwrap().octets();
            let tuple = Tuple { src: address(src), dst: address(dst), src_port: port as u16, dst_port: 443 };
            let header = Header { signal: Signal::Syn, tuple, detail: Detail::default() };
            finder.packet(&header);
            finder.packet(&header); // a repeat is the same exchange
        }
        finder
    }

    fn home(exchanges: &[(&str, &str)]) -> Result<String, String> {
        finder(exchanges).find().map(|home| home.to_string())
    }

    #[test]
    fn the_48_of_nearly_all_exchanges_is_home() {
        let mut exchanges = vec![("2001:db8:1:2::5", "2a00::1"), ("2a01::1", "2001:db8:1:3::6")];
        exchanges.extend([("2001:db8:1::1", "2a02::1"); 7]);
        exchanges.push(("2001:db8:7::1", "2a03::1"));
        assert_eq!(home(&exchanges), Ok("2001:db8:1::/48".into()));
        exchanges.push(("2001:db8:7::1", "2a03::1"));
        assert!(home(&exchanges).unwrap_err().contains("no /48"));
    }

    #[test]
    fn two_ends_in_one_48_are_split_by_64() {
        let exchanges = [("2001:db8:1:1::5", "2001:db8:1:2::1"), ("2001:db8:1:3::6", "2001:db8:1:1::7")];
        assert_eq!(home(&exchanges), Ok("2001:db8:1:1::/64".into()));
    }

    #[test]
    fn one_remote_or_local_addresses_leave_home_unclear() {
        assert!(home(&[("2001:db8::1", "2a00::1")]).unwrap_err().contains("2001:db8::/64 or 2a00::/64"));
        assert!(home(&[("fe80::1", "2a00::1"), ("fd00::1", "ff02::1")]).unwrap_err().contains("no exchange"));
    }
}
