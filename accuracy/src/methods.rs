//! The methods that are compared. Each turns observations into a ranking.
//!
//! - distinct count: what the analyst of 2015 did. For each remote the number of probed addresses that
//!   had contacted it before; it names the first.
//! - Fisher: one 2x2 table for each remote (probed or not, contacted before or not), one-sided, all
//!   scanners together, and the procedure of Benjamini and Hochberg at 5 %.
//! - ours: what `tattler analyze` reports.
//!
//! The first two get their evidence from the observations and not from the model's code. They get the
//! benefit of what is not in question: random addresses in use for at most eight days, first probes
//! within seven days of the last contact, by sources that the target had not contacted, no pings that
//! arrive with their last hops.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv6Addr;

use sensor_common::{IidClass, Kind};
use tattler_core::attribution::Verdict;
use tattler_core::ledger::{Ledger, LedgerSettings};
use tattler_core::observation::Observation;
use tattler_core::report::{Report, ReportOptions, report};
use tattler_core::time::{Span, Time};

use crate::statistics::fisher;

/// The methods, in the order of tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// Attribution as it is in the product.
    Ours,
    /// Pooled Fisher's exact test with Benjamini and Hochberg's correction.
    Fisher,
    /// The count of 2015.
    DistinctCount,
}

impl Method {
    /// All of them.
    pub const ALL: [Method; 3] = [Method::Ours, Method::Fisher, Method::DistinctCount];

    /// The name in JSON and tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Method::Ours => "ours",
            Method::Fisher => "fisher",
            Method::DistinctCount => "distinct-count",
        }
    }
}

/// A place in a ranking.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    /// The remotes that it means.
    pub members: Vec<Ipv6Addr>,
    /// Higher is more suspicious; equal ones are tied.
    pub score: f64,
    /// It is accused.
    pub named: bool,
    /// It is accused with certainty.
    pub strong: bool,
    /// The stated probability that it leaks at all.
    pub probability: Option<f64>,
    /// The stated interval of the probability that a contact leads to a probe.
    pub leak_interval: Option<[f64; 2]>,
}

/// False discoveries that Fisher's method permits.
const FALSE_DISCOVERIES: f64 = 0.05;
/// What temporary addresses stay valid after their last use.
const VALIDITY: Span = Span::from_days(7);
/// Pings that arrive with fewer hops left count the path. The others start at 64 or more.
const PATH_PROBE: u8 = 16;
/// Random addresses that are in use for longer are not temporary.
const LONGEST_USE: Span = Span::from_days(8);

/// What attribution says of a ledger, as a ranking. Those that probe back are listed there, not ranked.
#[must_use]
pub fn ours(ledger: &Ledger) -> Vec<Entry> {
    ranking(report(ledger, &ReportOptions { top: 0 }))
}

fn ranking(report: Report) -> Vec<Entry> {
    let ranked = report.candidates.into_iter().filter(|candidate| candidate.verdict != Verdict::ProbesBack);
    ranked
        .map(|candidate| Entry {
            score: -(candidate.rank as f64),
            named: candidate.verdict.accuses(),
            strong: matches!(candidate.verdict, Verdict::Strong | Verdict::Confirmed),
            probability: candidate.probability,
            leak_interval: candidate.leak_interval_95,
            members: candidate.members,
        })
        .collect()
}

/// A ledger that holds these observations.
#[must_use]
pub fn ledger(observations: &[Observation]) -> Ledger {
    let mut ledger = Ledger::new(LedgerSettings::default());
    observations.iter().for_each(|observation| ledger.observe(observation));
    ledger
}

/// What one method says of observations in the order of time.
#[must_use]
pub fn rank(method: Method, observations: &[Observation]) -> Vec<Entry> {
    match method {
        Method::Ours => ours(&ledger(observations)),
        Method::Fisher => Counts::new(observations).fisher(),
        Method::DistinctCount => Counts::new(observations).distinct_count(),
    }
}

/// For each remote how many addresses contacted it and were probed (then), or were not probed.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    remotes: BTreeMap<Ipv6Addr, (u64, u64)>,
    probed: u64,
    spared: u64,
    firsts: Vec<Time>,
}

impl Counts {
    /// Counts, from observations in the order of time.
    #[must_use]
    pub fn new(observations: &[Observation]) -> Counts {
        let mut locals: HashMap<Ipv6Addr, Seen> = HashMap::new();
        for observation in observations {
            match observation {
                Observation::Contact(contact) => {
                    let local = locals.entry(contact.local).or_insert_with(|| Seen::new(contact.ts));
                    local.last = local.last.max(contact.last);
                    if local.probed_at.is_none() {
                        local.last_before = local.last;
                    }
                    local.firsts.entry(contact.remote).or_insert(contact.ts);
                }
                Observation::Probe(probe) => {
                    let Some(local) = locals.get_mut(&probe.target) else { continue };
                    let path = probe.kind == Kind::Echo && probe.traits.hop_limit.is_some_and(|hops| hops < PATH_PROBE);
                    let answers = local.firsts.contains_key(&probe.source);
                    if local.probed_at.is_none() && !answers && !path && probe.ts - local.last_before <= VALIDITY {
                        local.probed_at = Some(probe.ts);
                    }
                }
                Observation::Answer(_) => {}
            }
        }
        let mut counts = Counts::default();
        for (address, seen) in locals {
            let random = IidClass::of(&address.octets()) == IidClass::Random;
            if !random || seen.last - seen.first > LONGEST_USE {
                continue;
            }
            match seen.probed_at {
                Some(at) => {
                    counts.probed += 1;
                    counts.firsts.push(at);
                    for (remote, _) in seen.firsts.into_iter().filter(|&(_, first)| first < at) {
                        counts.remotes.entry(remote).or_default().0 += 1;
                    }
                }
                None => {
                    counts.spared += 1;
                    for remote in seen.firsts.into_keys() {
                        counts.remotes.entry(remote).or_default().1 += 1;
                    }
                }
            }
        }
        counts.firsts.sort_unstable();
        counts
    }

    /// When addresses were probed for the first time, in order.
    #[must_use]
    pub fn first_probes(&self) -> &[Time] {
        &self.firsts
    }

    /// Addresses that were probed.
    #[must_use]
    pub fn probed(&self) -> u64 {
        self.probed
    }

    /// The ranking of 2015.
    #[must_use]
    pub fn distinct_count(&self) -> Vec<Entry> {
        let most = self.remotes.values().map(|counts| counts.0).max().unwrap_or(0);
        let counted = self.remotes.iter().filter(|(_, counts)| counts.0 > 0);
        sorted(counted.map(|(&remote, &(probed, _))| Entry {
            members: vec![remote],
            score: probed as f64,
            named: probed == most && probed >= 2,
            ..Entry::default()
        }))
    }

    /// By Fisher's p, and accused as Benjamini and Hochberg allow.
    #[must_use]
    pub fn fisher(&self) -> Vec<Entry> {
        let counted = self.remotes.iter().filter(|(_, counts)| counts.0 > 0);
        let mut entries = sorted(counted.map(|(&remote, &(a, b))| Entry {
            members: vec![remote],
            // Held above zero so that ties are those of the tables.
            score: -fisher(a, b, self.probed - a, self.spared - b).max(1e-300).ln(),
            ..Entry::default()
        }));
        let tests = self.remotes.len() as f64;
        let allowed = |(i, entry): (usize, &Entry)| (-entry.score).exp() <= FALSE_DISCOVERIES * (i + 1) as f64 / tests;
        let named = entries.iter().enumerate().rposition(allowed).map_or(0, |last| last + 1);
        entries[..named].iter_mut().for_each(|entry| entry.named = true);
        entries
    }
}

struct Seen {
    first: Time,
    last: Time,
    last_before: Time,
    probed_at: Option<Time>,
    firsts: HashMap<Ipv6Addr, Time>,
}

impl Seen {
    fn new(at: Time) -> Seen {
        Seen { first: at, last: at, last_before: at, probed_at: None, firsts: HashMap::new() }
    }
}

fn sorted(entries: impl Iterator<Item = Entry>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = entries.collect();
    entries.sort_by(|a, b| b.score.total_cmp(&a.score));
    entries
}

#[cfg(test)]
mod tests;
