//! The known operators of prefixes, from `catalogue.csv`, which is compiled in.
//!
//! The catalogue names operators and says how far strangers share a prefix. It accuses nobody. Addresses change
//! hands, so each entry has a date and a source.

use std::collections::HashMap;
use std::net::Ipv6Addr;
use std::sync::LazyLock;

use ipnet::Ipv6Net;
use serde::Deserialize;

use super::distinct;

/// The use of a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PrefixUse {
    /// The network of a scanner.
    Scanner,
    /// A service that passed on the addresses of its visitors.
    Harvester,
    /// A hoster where strangers share a /64.
    HosterDense,
    /// A network with NTP servers.
    Ntp,
    /// A content network: a single address serves many sites.
    Cdn,
}

impl PrefixUse {
    /// Whether the operator, and not a customer, runs the machines.
    #[must_use]
    pub fn is_operator_run(self) -> bool {
        matches!(self, PrefixUse::Scanner | PrefixUse::Harvester | PrefixUse::Ntp)
    }
}

/// A line of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CatalogueEntry {
    /// The prefix.
    pub prefix: Ipv6Net,
    /// The name of the operator.
    pub operator: String,
    /// The use of the prefix.
    pub usage: PrefixUse,
    /// The prefix length of a single customer, for dense hosters only.
    pub customer: Option<u8>,
    /// The source of this entry.
    pub source: String,
    /// The date of the source, as `2026-06`.
    pub date: String,
}

/// Number of years after which an entry is out of date. The core has no clock, so the date of the newest entry counts
/// as today.
const YEARS: i32 = 5;

impl CatalogueEntry {
    /// The year of the entry's date.
    fn year(&self) -> i32 {
        self.date.get(..4).and_then(|year| year.parse().ok()).unwrap_or_default()
    }

    /// The name of the operator, with the year if the entry is out of date: `Censys`, or `Shodan in 2016`.
    #[must_use]
    pub fn named(&self) -> String {
        if self.is_current() { self.operator.clone() } else { format!("{} in {}", self.operator, self.year()) }
    }

    /// Whether the entry is recent enough to name the present operator.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.year() + YEARS > CATALOGUE.newest
    }
}

/// Entries by prefix length and bits. A lookup takes one step for each prefix length in the catalogue.
struct Catalogue {
    entries: Vec<CatalogueEntry>,
    by_prefix: HashMap<(u8, u128), usize>,
    /// The prefix lengths in the catalogue, the longest first.
    lengths: Vec<u8>,
    /// The first three bytes of all prefixes, in order: for most addresses a lookup here is enough.
    beginnings: Vec<u32>,
    newest: i32,
}

/// The first three bytes of an address. A test checks that no prefix is shorter.
fn beginning(address: Ipv6Addr) -> u32 {
    (u128::from(address) >> 104) as u32
}

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::read(include_str!("catalogue.csv")));

impl Catalogue {
    /// Reads the catalogue. Lines that do not parse are skipped; a test finds such lines.
    fn read(text: &str) -> Catalogue {
        let entries: Vec<CatalogueEntry> = csv::Reader::from_reader(text.as_bytes()).deserialize().flatten().collect();
        let key = |entry: &CatalogueEntry| (entry.prefix.prefix_len(), u128::from(entry.prefix.network()));
        let by_prefix = entries.iter().enumerate().map(|(i, entry)| (key(entry), i)).collect();
        let mut lengths: Vec<u8> = entries.iter().map(|entry| entry.prefix.prefix_len()).collect();
        lengths.sort_unstable_by(|a, b| b.cmp(a));
        lengths.dedup();
        let beginnings = distinct(entries.iter().map(|entry| beginning(entry.prefix.network())).collect());
        let newest = entries.iter().map(CatalogueEntry::year).max().unwrap_or_default();
        Catalogue { entries, by_prefix, lengths, beginnings, newest }
    }

    /// The entries whose prefix contains an address, the longest prefix first.
    fn covering(&self, address: Ipv6Addr) -> impl Iterator<Item = &CatalogueEntry> {
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

/// All entries, in the order of the file.
#[cfg(test)]
pub(crate) fn entries() -> &'static [CatalogueEntry] {
    &CATALOGUE.entries
}

/// The entry with the longest prefix that contains an address.
#[must_use]
pub fn operator(address: Ipv6Addr) -> Option<&'static CatalogueEntry> {
    CATALOGUE.covering(address).next()
}

/// The name of an address's operator, as [`CatalogueEntry::named`]. The name of a dense hoster does not name its
/// tenants.
#[must_use]
pub fn named(address: Ipv6Addr) -> Option<String> {
    operator(address).filter(|entry| entry.usage != PrefixUse::HosterDense).map(CatalogueEntry::named)
}

/// The dense hoster whose prefix contains an address, if the catalogue has such a hoster.
pub(super) fn dense_hoster(address: Ipv6Addr) -> Option<&'static CatalogueEntry> {
    CATALOGUE.covering(address).find(|entry| entry.usage == PrefixUse::HosterDense)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(address: &str) -> Option<(&'static str, PrefixUse)> {
        operator(address.parse().unwrap()).map(|entry| (entry.operator.as_str(), entry.usage))
    }

    #[test]
    fn every_line_of_the_file_is_a_complete_entry() {
        let text = include_str!("catalogue.csv");
        assert_eq!(entries().len(), text.lines().count() - 1);
        for entry in entries() {
            assert_eq!(entry.prefix, entry.prefix.trunc(), "{entry:?}");
            assert!((28..=128).contains(&entry.prefix.prefix_len()), "{entry:?}");
            assert!(!entry.operator.is_empty() && !entry.source.is_empty(), "{entry:?}");
            assert!(entry.date.len() == 7 && (2015..2100).contains(&entry.year()), "{entry:?}");
            assert_eq!(entry.customer.is_some(), entry.usage == PrefixUse::HosterDense, "{entry:?}");
            assert!(entry.customer.is_none_or(|length| (65..=128).contains(&length)), "{entry:?}");
        }
        let prefixes = distinct(entries().iter().map(|entry| entry.prefix).collect());
        assert_eq!(prefixes.len(), entries().len(), "a prefix occurs twice");
    }

    #[test]
    fn the_longest_prefix_names_the_operator() {
        assert_eq!(of("2602:80d:1007:1::1"), Some(("Censys", PrefixUse::Scanner)));
        assert_eq!(of("2602:80d:100b::1"), None);
        assert_eq!(of("2a06:4887:ffff::1"), Some(("Driftnet", PrefixUse::Scanner)));
        assert_eq!(of("2604:a880:800:10::1"), Some(("Shodan", PrefixUse::Scanner)));
        assert_eq!(of("2604:a880:800:11::1"), Some(("DigitalOcean", PrefixUse::HosterDense)));
        assert_eq!(of("2606:4700:f1::1"), Some(("Cloudflare", PrefixUse::Ntp)));
        assert_eq!(of("2606:4700::1111"), Some(("Cloudflare", PrefixUse::Cdn)));
        assert_eq!(of("2001:db8::1"), None);
    }

    #[test]
    fn an_entry_of_ten_years_ago_is_not_current() {
        assert!(!operator("2604:a880:800:10::1".parse().unwrap()).unwrap().is_current());
        assert!(operator("2602:80d:1000::1".parse().unwrap()).unwrap().is_current());
    }
}
