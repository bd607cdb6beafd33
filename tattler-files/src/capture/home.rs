//! Which prefix is home, where nobody says.
//!
//! On an uplink every exchange has one end at home, so the one /48 that ends at least 90 % of the
//! global-unicast exchanges is home. Where two /48s do, or both ends lie in one, the same is asked
//! of /64s. A guess is worse than a question: if that names no single prefix either, the user does.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use sensor_common::parse::{Address, Tuple};
use sensor_common::{Header, Kind};

/// Distinct exchanges that are looked at; those beyond would hardly change the answer, and memory
/// has a bound.
const MOST_EXCHANGES: usize = 1 << 18;

/// Whether an address is in 2000::/3, the global unicast addresses that are given out.
#[must_use]
pub const fn is_global_unicast(address: &Address) -> bool {
    address[0] >> 5 == 1
}

/// LineCounts where exchanges end.
#[derive(Default)]
pub struct HomeFinder {
    hasher: RandomState,
    seen: HashSet<u64>,
    by_48: HashMap<[u8; 6], Ends>,
    by_64: HashMap<[u8; 8], Ends>,
}

/// Exchanges of a prefix.
#[derive(Clone, Copy, Default)]
struct Ends {
    /// With an end in it.
    any: usize,
    /// With one end in it and one outside.
    one: usize,
}

impl HomeFinder {
    /// Takes a packet into account.
    pub fn packet(&mut self, header: &Header) {
        let Tuple { src, dst, src_port, dst_port } = header.tuple;
        let kind = header.signal.kind().or(header.signal.answers());
        let Some(proto) = kind.map(Kind::proto) else { return };
        if !is_global_unicast(&src) || !is_global_unicast(&dst) || self.seen.len() >= MOST_EXCHANGES {
            return;
        }
        let (from, to) = ((src, src_port), (dst, dst_port));
        if self.seen.insert(self.hasher.hash_one((from.min(to), from.max(to), proto as u8))) {
            count(&mut self.by_48, &src, &dst);
            count(&mut self.by_64, &src, &dst);
        }
    }

    /// Whether further packets would change nothing.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.seen.len() >= MOST_EXCHANGES
    }

    /// The home prefix.
    ///
    /// # Errors
    /// What was found instead of one.
    pub fn find(&self) -> Result<Ipv6Net, String> {
        let exchanges = self.seen.len();
        if exchanges == 0 {
            return Err("it has no exchange between global addresses".into());
        }
        let by_48 = candidates(&self.by_48, exchanges);
        let by_64 = if by_48.len() == 1 { Vec::new() } else { candidates(&self.by_64, exchanges) };
        match (&by_48[..], &by_64[..]) {
            ([home], _) | (_, [home]) => Ok(*home),
            ([], []) => Err(format!("no /48 ends 90 % of its {exchanges} exchanges")),
            (many, few) => {
                let several = if few.is_empty() { many } else { few };
                Err(format!("{} and {} could be", several[0], several[1]))
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
    fn the_48_that_ends_nearly_all_exchanges_is_home() {
        let mut exchanges = vec![("2001:db8:1:2::5", "2a00::1"), ("2a01::1", "2001:db8:1:3::6")];
        exchanges.extend([("2001:db8:1::1", "2a02::1"); 7]);
        exchanges.push(("2001:db8:7::1", "2a03::1"));
        assert_eq!(home(&exchanges), Ok("2001:db8:1::/48".into()));
        exchanges.push(("2001:db8:7::1", "2a03::1"));
        assert!(home(&exchanges).unwrap_err().contains("no /48"));
    }

    #[test]
    fn two_ends_in_one_48_are_told_apart_by_their_64() {
        let exchanges = [("2001:db8:1:1::5", "2001:db8:1:2::1"), ("2001:db8:1:3::6", "2001:db8:1:1::7")];
        assert_eq!(home(&exchanges), Ok("2001:db8:1:1::/64".into()));
    }

    #[test]
    fn one_remote_leaves_it_open_and_so_do_addresses_that_are_not_global() {
        assert!(home(&[("2001:db8::1", "2a00::1")]).unwrap_err().contains("2001:db8::/64 and 2a00::/64"));
        assert!(home(&[("fe80::1", "2a00::1"), ("fd00::1", "ff02::1")]).unwrap_err().contains("no exchange"));
    }
}
