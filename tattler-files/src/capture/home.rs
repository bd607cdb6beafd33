//! Infers the home prefix if the user gave none.
//!
//! On an uplink every exchange has one end at home. So home is the /48 with an end of at least 90 % of the
//! global-unicast exchanges. If two /48s have, or both ends are in the same /48, the same test decides
//! among the /64s. If no single prefix is left, the user has to name it: a wrong guess is worse.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use sensor_common::parse::{Address, Tuple};
use sensor_common::rules::is_global;
use sensor_common::{Header, Kind};

/// The most distinct exchanges that are counted. Memory has a bound, and more would hardly change the result.
const MOST_EXCHANGES: usize = 1 << 18;

/// Counts the exchanges by their ends.
#[derive(Default)]
pub struct HomeFinder {
    hasher: RandomState,
    seen: HashSet<u64>,
    by_48: HashMap<[u8; 6], Ends>,
    by_64: HashMap<[u8; 8], Ends>,
}

/// The exchanges of a prefix.
#[derive(Clone, Copy, Default)]
struct Ends {
    /// With one or both ends in it.
    any: usize,
    /// With one end in it and one outside.
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
            count(&mut self.by_48, &src, &dst);
            count(&mut self.by_64, &src, &dst);
        }
    }

    /// Whether more packets are ignored.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.seen.len() >= MOST_EXCHANGES
    }

    /// The home prefix.
    ///
    /// # Errors
    /// No prefix, or more than one, may be home. The reason is returned.
    pub fn find(&self) -> Result<Ipv6Net, String> {
        let exchanges = self.seen.len();
        if exchanges == 0 {
            return Err("it has no exchange between global addresses".into());
        }
        let by_48 = candidates(&self.by_48, exchanges);
        let by_64 = if by_48.len() == 1 { Vec::new() } else { candidates(&self.by_64, exchanges) };
        match (&by_48[..], &by_64[..]) {
            ([home], _) | (_, [home]) => Ok(*home),
            ([], []) => Err(format!("no /48 is an end of 90 % of its {exchanges} exchanges")),
            (many, few) => {
                let several = if few.is_empty() { many } else { few };
                Err(format!("it may be {} or {}", several[0], several[1]))
            }
        }
    }
}

fn count<const N: usize>(ends: &mut HashMap<[u8; N], Ends>, src: &Address, dst: &Address) {
    let (Some(src), Some(dst)) = (src.first_chunk::<N>(), dst.first_chunk::<N>()) else { return };
    let one = usize::from(src != dst);
    let mut add = |prefix: &[u8; N]| {
        let ends = ends.entry(*prefix).or_default();
        ends.any += 1;
        ends.one += one;
    };
    add(src);
    if src != dst {
        add(dst);
    }
}

fn candidates<const N: usize>(ends: &HashMap<[u8; N], Ends>, exchanges: usize) -> Vec<Ipv6Net> {
    let home = |ends: &Ends| ends.one > 0 && ends.any * 10 >= exchanges * 9;
    let mut found: Vec<Ipv6Net> = ends
        .iter()
        .filter(|(_, ends)| home(ends))
        .filter_map(|(prefix, _)| {
            let mut address = [0; 16];
            *address.first_chunk_mut()? = *prefix;
            Ipv6Net::new(Ipv6Addr::from(address), (N * 8) as u8).ok()
        })
        .collect();
    found.sort_unstable();
    found
}

#[cfg(test)]
mod tests {
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
