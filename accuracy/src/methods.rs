//! The compared methods. Each method ranks remotes by observations.
//!
//! - distinct count: the method of 2015. The score of a remote is the number of probed addresses that had contacted
//!   the remote before. The method accuses the first remote.
//! - Fisher: one 2x2 table for each remote (probed or not, contacted before or not), one-sided, all scanners together,
//!   and the procedure of Benjamini and Hochberg at 5 %.
//! - ours: the report of `tattler analyze`.
//!
//! The first two methods share no code with the model, but use the same evidence: random addresses in use for at most
//! eight days; first probes within seven days of the last contact, by sources that the target had not contacted; no
//! pings that arrive with one of their last hops.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv6Addr;

use sensor_common::{IidClass, Kind};
use statrs::function::factorial::ln_factorial;
use tattler_core::attribution::Verdict;
use tattler_core::ledger::{Ledger, LedgerSettings};
use tattler_core::observation::Observation;
use tattler_core::report::{ReportOptions, report};
use tattler_core::time::{Span, Time};

/// The methods, in the order of tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// Tattler's attribution.
    Ours,
    /// Fisher's exact test with Benjamini and Hochberg's correction.
    Fisher,
    /// The distinct count of 2015.
    DistinctCount,
}

impl Method {
    /// All methods.
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
pub struct RankedEntry {
    /// The remotes.
    pub members: Vec<Ipv6Addr>,
    /// Suspicion: higher scores are more suspicious, and equal scores are tied.
    pub score: f64,
    /// Whether the entry is accused.
    pub named: bool,
    /// Whether the entry is accused strongly.
    pub strong: bool,
    /// The stated probability that the entry leaks.
    pub probability: Option<f64>,
    /// The stated interval of the probability that a contact leads to a probe.
    pub leak_interval: Option<[f64; 2]>,
}

/// The share of false discoveries that Fisher's method permits.
const FALSE_DISCOVERIES: f64 = 0.05;
/// The time for which temporary addresses stay valid after their last use.
const VALIDITY: Span = Span::from_days(7);
/// Pings that arrive with a lower hop limit measure the path. Other pings are sent with a hop limit of 64 or more.
const PATH_PROBE: u8 = 16;
/// Longest use of a temporary address. Random addresses in use for longer are not temporary.
const LONGEST_USE: Span = Span::from_days(8);

/// The ranking by Tattler. Reports also list remotes that probe back, but do not rank these remotes.
#[must_use]
pub fn ours(ledger: &Ledger) -> Vec<RankedEntry> {
    let ranked = report(ledger, &ReportOptions { top: 0 })
        .candidates
        .into_iter()
        .filter(|candidate| candidate.verdict != Verdict::ProbesBack);
    ranked
        .map(|candidate| RankedEntry {
            score: -(candidate.rank as f64),
            named: candidate.verdict.accuses(),
            strong: matches!(candidate.verdict, Verdict::Strong | Verdict::Confirmed),
            probability: candidate.probability,
            leak_interval: candidate.leak_interval_95,
            members: candidate.members,
        })
        .collect()
}

/// A ledger built from these observations.
#[must_use]
pub fn ledger(observations: &[Observation]) -> Ledger {
    let mut ledger = Ledger::new(LedgerSettings::default());
    observations.iter().for_each(|observation| ledger.observe(observation));
    ledger
}

/// For each remote, the number of addresses that contacted the remote and were probed later, and the number of
/// addresses that contacted the remote and were not probed.
#[derive(Clone, Debug, Default)]
pub struct RemoteCounts {
    remotes: BTreeMap<Ipv6Addr, (u64, u64)>,
    probed: u64,
    spared: u64,
    /// Times of the first probes of addresses, in order.
    pub first_probes: Vec<Time>,
}

impl RemoteCounts {
    /// Counts observations. The observations must be in the order of time.
    #[must_use]
    pub fn new(observations: &[Observation]) -> RemoteCounts {
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
        let mut counts = RemoteCounts::default();
        for (address, seen) in locals {
            let random = IidClass::of(&address.octets()) == IidClass::Random;
            if !random || seen.last - seen.first > LONGEST_USE {
                continue;
            }
            match seen.probed_at {
                Some(at) => {
                    counts.probed += 1;
                    counts.first_probes.push(at);
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
        counts.first_probes.sort_unstable();
        counts
    }

    /// The ranking by the distinct count of 2015.
    #[must_use]
    pub fn distinct_count(&self) -> Vec<RankedEntry> {
        let most = self.remotes.values().map(|counts| counts.0).max().unwrap_or(0);
        let counted = self.remotes.iter().filter(|(_, counts)| counts.0 > 0);
        sorted(counted.map(|(&remote, &(probed, _))| RankedEntry {
            members: vec![remote],
            score: probed as f64,
            named: probed == most && probed >= 2,
            ..RankedEntry::default()
        }))
    }

    /// The ranking by Fisher's p.
    #[must_use]
    pub fn fisher(&self) -> Vec<RankedEntry> {
        let counted = self.remotes.iter().filter(|(_, counts)| counts.0 > 0);
        let mut entries = sorted(counted.map(|(&remote, &(a, b))| RankedEntry {
            members: vec![remote],
            // The p-value is kept above zero, so that only equal tables are tied.
            score: -fisher(a, b, self.probed - a, self.spared - b).max(1e-300).ln(),
            ..RankedEntry::default()
        }));
        let tests = self.remotes.len() as f64;
        let allowed =
            |(i, entry): (usize, &RankedEntry)| (-entry.score).exp() <= FALSE_DISCOVERIES * (i + 1) as f64 / tests;
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

/// Upper tail of Fisher's exact test. `a`: addresses that contacted the remote and were probed. `b`: addresses that
/// contacted the remote and were not probed. `c` and `d`: the same for addresses that did not contact the remote.
fn fisher(a: u64, b: u64, c: u64, d: u64) -> f64 {
    let ln_choose = |n: u64, k: u64| ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k);
    let all = ln_choose(a + b + c + d, a + c);
    let chance = |x: u64| (ln_choose(a + b, x) + ln_choose(c + d, a + c - x) - all).exp();
    (a..=(a + b).min(a + c)).map(chance).sum::<f64>().min(1.0)
}

fn sorted(entries: impl Iterator<Item = RankedEntry>) -> Vec<RankedEntry> {
    let mut entries: Vec<RankedEntry> = entries.collect();
    entries.sort_by(|a, b| b.score.total_cmp(&a.score));
    entries
}

#[cfg(test)]
mod tests;
