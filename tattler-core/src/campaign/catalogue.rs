//! Who is known to own a prefix, and what for: `catalogue.csv`, compiled in.
//!
//! It names, and it says how far strangers share a prefix. It accuses nobody: an address changes
//! hands, so each entry has a date and says who told it.

use std::collections::HashMap;
use std::net::Ipv6Addr;
use std::sync::LazyLock;

use ipnet::Ipv6Net;
use serde::Deserialize;

/// What a prefix is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// It probes.
    Scanner,
    /// It passed on the addresses of its visitors.
    Harvester,
    /// Strangers share its /64s.
    HosterDense,
    /// It tells the time.
    Ntp,
    /// It stands before many sites: which one was visited can't be told.
    Cdn,
}

/// A line of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Entry {
    /// The prefix.
    pub prefix: Ipv6Net,
    /// Whose it is.
    pub operator: String,
    /// What for.
    pub what: What,
    /// Of a dense hoster the length of the prefix that one customer has.
    pub customer: Option<u8>,
    /// Who says so.
    pub source: String,
    /// Since when that is known, as `2026-06`.
    pub date: String,
}

/// Years after which an entry tells of the past. The core has no clock: they count to the newest entry.
const YEARS: i32 = 5;

impl Entry {
    /// The year of its date.
    #[must_use]
    pub fn year(&self) -> i32 {
        self.date.get(..4).and_then(|year| year.parse().ok()).unwrap_or_default()
    }

    /// The operator, with the year where that is long ago.
    #[must_use]
    pub fn named(&self) -> String {
        if self.is_current() { self.operator.clone() } else { format!("{} in {}", self.operator, self.year()) }
    }

    /// It tells of today, and not of who had the prefix years ago.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.year() + YEARS > CATALOGUE.newest
    }
}

/// Entries by length and bits, so that a look-up costs one step for each length that occurs.
struct Catalogue {
    entries: Vec<Entry>,
    by_prefix: HashMap<(u8, u128), usize>,
    /// The longest first.
    lengths: Vec<u8>,
    /// The first bytes of all prefixes, in order: most addresses are in none, and need no more.
    beginnings: Vec<u32>,
    newest: i32,
}

/// The first three bytes: a test holds that no prefix is shorter.
fn beginning(address: Ipv6Addr) -> u32 {
    (u128::from(address) >> 104) as u32
}

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::read(include_str!("catalogue.csv")));

impl Catalogue {
    /// Lines that make no sense are left out; a test finds them before anybody else does.
    fn read(text: &str) -> Catalogue {
        let entries: Vec<Entry> = csv::Reader::from_reader(text.as_bytes()).deserialize().flatten().collect();
        let key = |entry: &Entry| (entry.prefix.prefix_len(), u128::from(entry.prefix.network()));
        let by_prefix = entries.iter().enumerate().map(|(i, entry)| (key(entry), i)).collect();
        let mut lengths: Vec<u8> = entries.iter().map(|entry| entry.prefix.prefix_len()).collect();
        lengths.sort_unstable_by(|a, b| b.cmp(a));
        lengths.dedup();
        let mut beginnings: Vec<u32> = entries.iter().map(|entry| beginning(entry.prefix.network())).collect();
        beginnings.sort_unstable();
        beginnings.dedup();
        let newest = entries.iter().map(Entry::year).max().unwrap_or_default();
        Catalogue { entries, by_prefix, lengths, beginnings, newest }
    }

    fn covering(&self, address: Ipv6Addr) -> impl Iterator<Item = &Entry> {
        let bits = u128::from(address);
        let lengths = match self.beginnings.binary_search(&beginning(address)) {
            Ok(_) => self.lengths.as_slice(),
            Err(_) => &[],
        };
        lengths.iter().filter_map(move |&length| {
            let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
            self.by_prefix.get(&(length, bits & mask)).map(|&i| &self.entries[i])
        })
    }
}

/// All of it, in the order of the file.
#[must_use]
pub fn entries() -> &'static [Entry] {
    &CATALOGUE.entries
}

/// Whose address that is: the entry with the longest prefix that covers it.
#[must_use]
pub fn operator(address: Ipv6Addr) -> Option<&'static Entry> {
    CATALOGUE.covering(address).next()
}

/// The operator of an address as a label says it: `Censys`, or `Shodan in 2016` where that is long ago.
/// A dense hoster rents to anybody, and is no name for what its tenants do.
#[must_use]
pub fn named(address: Ipv6Addr) -> Option<String> {
    operator(address).filter(|entry| entry.what != What::HosterDense).map(Entry::named)
}

/// The dense hoster that an address belongs to, if it is known to.
#[must_use]
pub fn dense_hoster(address: Ipv6Addr) -> Option<&'static Entry> {
    CATALOGUE.covering(address).find(|entry| entry.what == What::HosterDense)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(address: &str) -> Option<(&'static str, What)> {
        operator(address.parse().unwrap()).map(|entry| (entry.operator.as_str(), entry.what))
    }

    #[test]
    fn every_line_of_the_file_is_an_entry_with_its_prefix_a_source_and_a_date() {
        let text = include_str!("catalogue.csv");
        assert_eq!(entries().len(), text.lines().count() - 1);
        for entry in entries() {
            assert_eq!(entry.prefix, entry.prefix.trunc(), "{entry:?}");
            assert!((28..=128).contains(&entry.prefix.prefix_len()), "{entry:?}");
            assert!(!entry.operator.is_empty() && !entry.source.is_empty(), "{entry:?}");
            assert!(entry.date.len() == 7 && (2015..2100).contains(&entry.year()), "{entry:?}");
            assert_eq!(entry.customer.is_some(), entry.what == What::HosterDense, "{entry:?}");
            assert!(entry.customer.is_none_or(|length| (65..=128).contains(&length)), "{entry:?}");
        }
        let mut prefixes: Vec<_> = entries().iter().map(|entry| entry.prefix).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        assert_eq!(prefixes.len(), entries().len(), "a prefix stands twice");
    }

    #[test]
    fn the_longest_prefix_names_the_operator() {
        assert_eq!(of("2602:80d:1007:1::1"), Some(("Censys", What::Scanner)));
        assert_eq!(of("2602:80d:100b::1"), None);
        assert_eq!(of("2a06:4887:ffff::1"), Some(("Driftnet", What::Scanner)));
        assert_eq!(of("2604:a880:800:10::1"), Some(("Shodan", What::Scanner)));
        assert_eq!(of("2604:a880:800:11::1"), Some(("DigitalOcean", What::HosterDense)));
        assert_eq!(of("2606:4700:f1::1"), Some(("Cloudflare", What::Ntp)));
        assert_eq!(of("2606:4700::1111"), Some(("Cloudflare", What::Cdn)));
        assert_eq!(of("2001:db8::1"), None);
    }

    #[test]
    fn what_was_told_ten_years_ago_is_not_current() {
        assert!(!operator("2604:a880:800:10::1".parse().unwrap()).unwrap().is_current());
        assert!(operator("2602:80d:1000::1".parse().unwrap()).unwrap().is_current());
    }
}
