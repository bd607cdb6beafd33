//! Lists of scanners: campaigns, or sources in a form that may be published.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::Ipv6Addr;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering::Relaxed;

use ipnet::Ipv6Net;
use serde_json::json;
use tattler_core::campaign::hosters::customer;
use tattler_core::campaign::{Campaigns, catalogue};
use tattler_core::ledger::{Ledger, LedgerSettings};
use tattler_core::time::Time;
use tattler_core::view::frame::Frame;
use tattler_core::words::plural;

use super::record::QueryRecord;
use super::{Kept, Rows};
use crate::store::ReplayError;

/// Maximum number of scanners: outsiders control the number.
const MOST_SCANNERS: usize = 100_000;
/// Maximum number of distinct sources and targets, in all scanners together.
const MOST_ADDRESSES: usize = 2_000_000;
/// Maximum number of ports of one scanner.
const MOST_PORTS: usize = 1_000;

/// Maximum number of contacts and probes from which campaigns are made: more rows would take too much memory.
const MOST_ROWS: usize = 500_000;

/// The key by which probes are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Of {
    /// A campaign, given by its position in the list of campaigns.
    Campaign(u32),
    /// The prefix of a source outside all campaigns: by the ledger's rules, the source's packets are too old or do not
    /// count as probes.
    Prefix(Ipv6Net),
    Source(Ipv6Addr),
}

#[derive(Default)]
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

/// Scanners and the counts of their probes that pass the filter. Scanners with the most probes come first. Campaigns
/// are made from all probes of the window, so that a filter does not split a scanner.
pub(super) fn scanners(rows: &Rows<'_>, limit: usize) -> Result<Kept, ReplayError> {
    let (list, mut notes) = campaigns(rows)?;
    let mut campaign_of: HashMap<Ipv6Addr, u32> = HashMap::new();
    for (i, campaign) in list.iter().enumerate() {
        campaign_of.extend(campaign.sources.iter().map(|&source| (source, i as u32)));
    }
    let of = |source| match campaign_of.get(&source) {
        Some(&campaign) => Of::Campaign(campaign),
        None => Of::Prefix(customer(source)),
    };
    let (scanners, more, counted) = count(rows, limit, &mut |_, source| Some(of(source)))?;
    notes.extend(counted);
    let columns = [
        "id", "prefix", "label", "what", "operator", "prefixes", "probes", "sources", "targets", "kinds", "ports",
        "answered", "rhythm", "labels", "first", "last",
    ];
    let row = |(of, scanner): (Of, Scanner)| {
        let campaign = match of {
            Of::Campaign(i) => Some(&list[i as usize]),
            Of::Prefix(_) | Of::Source(_) => None,
        };
        let prefixes = scanner.sources.iter().map(|&source| customer(source)).collect::<BTreeSet<_>>();
        let values = [
            json!(campaign.map(|campaign| &campaign.id)),
            json!(prefixes.first()),
            json!(scanner.label),
            json!(campaign.map(|campaign| &campaign.what)),
            json!(campaign.and_then(|campaign| campaign.operator.as_ref())),
            json!(prefixes.len()),
            json!(scanner.probes),
            json!(scanner.sources.len()),
            json!(scanner.targets.len()),
            json!(scanner.kinds),
            json!(scanner.ports),
            json!(scanner.answered),
            json!(campaign.map(|campaign| campaign.rhythm)),
            json!(campaign.map_or(&[][..], |campaign| &campaign.labels)),
            json!(scanner.first),
            json!(scanner.last),
        ];
        columns.iter().map(|&column| column.to_owned()).zip(values).collect()
    };
    let rows = scanners.into_iter().map(row).collect();
    Ok(Kept { columns: columns.map(str::to_owned).to_vec(), more, rows, notes })
}

/// Sources by number of attempts, in a form that may be published: without our addresses and names.
/// Sources that a local contacted are left out: these sources would reveal our contacts, and may be harmless peers.
pub(super) fn sources(rows: &Rows<'_>, limit: usize) -> Result<Kept, ReplayError> {
    let mut contacted: HashSet<Ipv6Addr> = HashSet::new();
    let mut left_out: HashSet<Ipv6Addr> = HashSet::new();
    rows.reader.contacts(Time(i64::MIN), Time(i64::MAX), &mut |contact| {
        contacted.insert(contact.remote);
        ControlFlow::Continue(())
    })?;
    let mut of = |probe: &QueryRecord<'_>, source| {
        let is_known = probe.contacted_source || contacted.contains(&source);
        if is_known && left_out.len() < MOST_ADDRESSES {
            left_out.insert(source);
        }
        (!is_known).then_some(Of::Source(source))
    };
    // The labels of campaigns mark sources that measure paths, and sources of known operators.
    let (list, mut notes) = campaigns(rows)?;
    let mut campaign_of: HashMap<Ipv6Addr, &Known> = HashMap::new();
    for campaign in &list {
        campaign_of.extend(campaign.sources.iter().map(|&source| (source, campaign)));
    }
    let (sources, more, counted) = count(rows, limit, &mut of)?;
    notes.extend(counted);
    if !left_out.is_empty() {
        let sources = plural(left_out.len() as u64, "source is", "sources are");
        notes.push(format!("{sources} left out: yours had contacted them"));
    }
    let columns = ["source", "operator", "attempts", "targets", "kinds", "ports", "first", "last", "labels"];
    let row = |(of, scanner): (Of, Scanner)| {
        let Of::Source(source) = of else { return serde_json::Map::new() };
        let values = [
            json!(source),
            json!(catalogue::named(source)),
            json!(scanner.probes),
            json!(scanner.targets.len()),
            json!(scanner.kinds),
            json!(scanner.ports),
            json!(scanner.first),
            json!(scanner.last),
            json!(campaign_of.get(&source).map_or(&[][..], |campaign| &campaign.labels)),
        ];
        columns.iter().map(|&column| column.to_owned()).zip(values).collect()
    };
    let rows = sources.into_iter().map(row).collect();
    Ok(Kept { columns: columns.map(str::to_owned).to_vec(), more, rows, notes })
}

/// The fields of a campaign that a row shows.
struct Known {
    id: String,
    what: String,
    operator: Option<String>,
    rhythm: &'static str,
    labels: Vec<&'static str>,
    sources: Vec<Ipv6Addr>,
}

/// The campaigns of the window, made from all probes of the window, and notes on omissions.
fn campaigns(rows: &Rows<'_>) -> Result<(Vec<Known>, Vec<String>), ReplayError> {
    let mut ledger = Ledger::new(LedgerSettings {
        public: rows.context.names.public().to_vec(),
        max_contacts: MOST_ROWS,
        max_probes: MOST_ROWS,
        ..LedgerSettings::default()
    });
    rows.reader.replay(rows.plan.from(), rows.plan.to(), &mut |observation| {
        rows.context.read.fetch_add(1, Relaxed);
        ledger.observe(&observation);
    })?;
    let campaigns = Campaigns::new(&Frame::new(&ledger));
    let mut notes = Vec::new();
    if ledger.counts().evicted_probes > 0 {
        notes.push(format!("{MOST_ROWS} probes are grouped into campaigns, the others by prefix; give --since"));
    }
    if campaigns.lumped > 0 {
        notes.push(format!("{} small campaigns are merged into one", campaigns.lumped));
    }
    let known = campaigns.list.into_iter().map(|campaign| Known {
        operator: campaign.operator_named(),
        rhythm: campaign.rhythm.as_str(),
        labels: campaign.labels.iter().map(|label| label.as_str()).collect(),
        sources: campaign.sources.iter().map(|&source| ledger.address(source)).collect(),
        id: campaign.id,
        what: campaign.label,
    });
    Ok((known.collect(), notes))
}

/// Scanners, the number of scanners that the limit left out, and notes on omissions.
type Counted = (Vec<(Of, Scanner)>, u64, Vec<String>);

/// Counts the probes that pass the filter, by the key that `of` returns. Keys with the most probes come first.
fn count(
    rows: &Rows<'_>,
    limit: usize,
    of: &mut dyn FnMut(&QueryRecord<'_>, Ipv6Addr) -> Option<Of>,
) -> Result<Counted, ReplayError> {
    let mut scanners: HashMap<Of, Scanner> = HashMap::new();
    let (mut left_out, mut addresses) = (0u64, 0);
    let mut notes = rows.each(&mut |probe| {
        let Some((source, of)) = probe.remote.and_then(|source| Some((source, of(&probe, source)?))) else { return };
        if scanners.len() >= MOST_SCANNERS && !scanners.contains_key(&of) {
            left_out += make_room(&mut scanners, &mut addresses);
        }
        let scanner = scanners.entry(of).or_insert_with(|| Scanner {
            label: probe.label.map(str::to_owned),
            first: probe.first,
            last: probe.last,
            ..Scanner::default()
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
            "{left_out} probes are left out, of the scanners with the fewest beyond {MOST_SCANNERS}; give --since"
        ));
    }
    if addresses >= MOST_ADDRESSES {
        notes.push(format!("sources and targets are counted up to {MOST_ADDRESSES} in all; give --since"));
    }
    let total = scanners.len();
    let mut scanners: Vec<_> = scanners.into_iter().collect();
    scanners.sort_unstable_by(|(a_of, a), (b_of, b)| (b.probes, a_of).cmp(&(a.probes, b_of)));
    scanners.truncate(limit);
    let more = (total - scanners.len()) as u64;
    Ok((scanners, more, notes))
}

/// Removes the half of the scanners with the fewest probes. A sweep from ever new prefixes then does not evict
/// scanners that return. Returns the number of probes removed.
fn make_room(scanners: &mut HashMap<Of, Scanner>, addresses: &mut usize) -> u64 {
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
    fn scanners_with_the_fewest_probes_are_dropped() {
        let sources = || HashSet::from([Ipv6Addr::LOCALHOST]);
        let scanner = |probes| Scanner { probes, sources: sources(), ..Scanner::default() };
        let net = Of::Campaign;
        let mut scanners: HashMap<_, _> = (0..10).map(|i| (net(i), scanner(if i == 3 { 50 } else { 1 }))).collect();
        let mut addresses = 10;
        assert_eq!(make_room(&mut scanners, &mut addresses), 5);
        assert_eq!((scanners.len(), addresses), (5, 5));
        assert!(scanners.contains_key(&net(3)));
    }
}
