//! Who probes, by the prefix that one customer has.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use serde_json::json;

use super::{Kept, Rows};
use crate::campaign::hosters::customer_prefix;
use crate::store::ReplayError;
use crate::time::Time;

/// Prefixes at a time: outsiders decide how many there are.
const MOST_PREFIXES: usize = 100_000;
/// Sources and targets told apart, over all prefixes.
const MOST_ADDRESSES: usize = 2_000_000;
/// Ports told of one scanner.
const MOST_PORTS: usize = 1_000;

struct Scanner {
    label: Option<String>,
    probes: u64,
    answered: u64,
    sources: HashSet<Ipv6Addr>,
    targets: HashSet<Ipv6Addr>,
    kinds: BTreeSet<&'static str>,
    ports: BTreeSet<u16>,
    first: Time,
    last: Time,
}

pub(super) fn scanners(rows: &Rows<'_>, limit: usize) -> Result<Kept, ReplayError> {
    let mut scanners: HashMap<Ipv6Net, Scanner> = HashMap::new();
    let (mut left_out, mut addresses) = (0u64, 0);
    let mut notes = rows.each(&mut |probe| {
        let Some(source) = probe.remote else { return };
        let prefix = Ipv6Net::new(source, customer_prefix(source)).unwrap_or_default().trunc();
        if scanners.len() >= MOST_PREFIXES && !scanners.contains_key(&prefix) {
            left_out += make_room(&mut scanners, &mut addresses);
        }
        let scanner = scanners.entry(prefix).or_insert_with(|| Scanner {
            label: probe.label.map(str::to_owned),
            probes: 0,
            answered: 0,
            sources: HashSet::new(),
            targets: HashSet::new(),
            kinds: BTreeSet::new(),
            ports: BTreeSet::new(),
            first: probe.first,
            last: probe.last,
        });
        scanner.probes += probe.count;
        scanner.answered += if probe.answered { probe.count } else { 0 };
        if addresses < MOST_ADDRESSES {
            addresses += usize::from(scanner.sources.insert(source)) + usize::from(scanner.targets.insert(probe.local));
        }
        scanner.kinds.extend(probe.kind.map(|kind| kind.as_str()));
        if scanner.ports.len() < MOST_PORTS {
            scanner.ports.extend(probe.port);
        }
        scanner.first = scanner.first.min(probe.first);
        scanner.last = scanner.last.max(probe.last);
    })?;
    if left_out > 0 {
        notes.push(format!(
            "{left_out} probes are left out, of prefixes that had the fewest when there were {MOST_PREFIXES}; give --since"
        ));
    }
    if addresses >= MOST_ADDRESSES {
        notes.push(format!("sources and targets are counted up to {MOST_ADDRESSES} in all; give --since"));
    }
    let total = scanners.len();
    let mut scanners: Vec<_> = scanners.into_iter().collect();
    scanners.sort_unstable_by(|(a_net, a), (b_net, b)| (b.probes, a_net).cmp(&(a.probes, b_net)));
    scanners.truncate(limit);
    let columns = ["prefix", "label", "probes", "sources", "targets", "kinds", "ports", "answered", "first", "last"];
    let row = |(prefix, scanner): (Ipv6Net, Scanner)| {
        let values = [
            json!(prefix),
            json!(scanner.label),
            json!(scanner.probes),
            json!(scanner.sources.len()),
            json!(scanner.targets.len()),
            json!(scanner.kinds),
            json!(scanner.ports),
            json!(scanner.answered),
            json!(scanner.first),
            json!(scanner.last),
        ];
        columns.iter().map(|&column| column.to_owned()).zip(values).collect()
    };
    Ok(Kept {
        columns: columns.map(str::to_owned).to_vec(),
        more: (total - scanners.len()) as u64,
        rows: scanners.into_iter().map(row).collect(),
        notes,
    })
}

/// Drops the half with the fewest probes: whoever sweeps from a new prefix each time must not push
/// out those that come back. Says how many probes went.
fn make_room(scanners: &mut HashMap<Ipv6Net, Scanner>, addresses: &mut usize) -> u64 {
    let mut counts: Vec<u64> = scanners.values().map(|scanner| scanner.probes).collect();
    let half = counts.len() / 2;
    let (_, &mut least, _) = counts.select_nth_unstable(half);
    let (mut gone, mut left) = (0, half);
    scanners.retain(|_, scanner| {
        let stays = scanner.probes > least || left == 0;
        if !stays {
            left -= 1;
            gone += scanner.probes;
            *addresses -= scanner.sources.len() + scanner.targets.len();
        }
        stays
    });
    gone
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_with_the_fewest_probes_make_room() {
        let scanner = |probes| Scanner {
            label: None,
            probes,
            answered: 0,
            sources: HashSet::from([Ipv6Addr::LOCALHOST]),
            targets: HashSet::new(),
            kinds: BTreeSet::new(),
            ports: BTreeSet::new(),
            first: Time(0),
            last: Time(0),
        };
        let net = |i: u32| Ipv6Net::new(Ipv6Addr::from(u128::from(i) << 64), 64).unwrap();
        let mut scanners: HashMap<_, _> = (0..10).map(|i| (net(i), scanner(if i == 3 { 50 } else { 1 }))).collect();
        let mut addresses = 10;
        assert_eq!(make_room(&mut scanners, &mut addresses), 5);
        assert_eq!((scanners.len(), addresses), (5, 5));
        assert!(scanners.contains_key(&net(3)));
    }
}
