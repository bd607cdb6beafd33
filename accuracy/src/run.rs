//! Simulates and measures the homes of a family, on one or more threads.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use homes::{HomeSize, SimulatedHome, Truth};
use tattler_core::ledger::{Ledger, LedgerSettings};
use tattler_core::observation::Observation;
use tattler_core::time::Span;

use crate::families::Family;
use crate::measure::{average_precision, brier, judge, recall_at_true_number};
use crate::methods::{RankedEntry, RemoteCounts, ledger, ours};
use crate::observe::{observe, time};

/// The result of one method for one home.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Score {
    /// Average precision; see [`average_precision`].
    pub average_precision: Option<f64>,
    /// Recall; see [`recall_at_true_number`].
    pub recall: Option<f64>,
    /// Number of accused entries.
    pub named: usize,
    /// Number of accused entries that are wrong.
    pub wrong: usize,
    /// Number of strongly accused entries.
    pub strong: usize,
    /// Number of strongly accused entries that are wrong.
    pub wrong_strong: usize,
    /// Brier score; see [`brier`].
    pub brier: Option<f64>,
    /// Number of intervals stated for true harvesters.
    pub intervals: usize,
    /// Number of these intervals that contain the truth.
    pub covered: usize,
    /// Number of probed addresses after which the harvester was first and stayed first; 21 if it was never first.
    /// `None`: not measured.
    pub needed: Option<usize>,
    /// Number of these probed addresses that were probed because of the harvester. `None`: not measured, or never
    /// first.
    pub needed_leaks: Option<usize>,
}

/// Number of probed addresses after which a replay ends.
const REPLAYED: usize = 20;

/// Scores of the methods, in the order of [`Method::ALL`](crate::methods::Method::ALL).
pub type Scores = [Score; 3];

fn one(family: &Family, size: HomeSize, seed: u64) -> Scores {
    let home = SimulatedHome::new(&(family.plan)(size), family.name, seed);
    let observations = observe(&home);
    let counts = RemoteCounts::new(&observations);
    let rankings = [ours(&ledger(&observations)), counts.fisher(), counts.distinct_count()];
    let mut scores = rankings.map(|entries| score(&entries, &home.truth));
    if family.replayed && !home.truth.identifiable().is_empty() {
        let needed = replay(&observations, &home.truth, &counts);
        for (score, needed) in scores.iter_mut().zip(needed) {
            score.needed = Some(needed);
            score.needed_leaks = counts
                .first_probes
                .get(needed - 1)
                .filter(|_| needed <= REPLAYED)
                .map(|&at| home.tips.iter().filter(|tip| tip.by.is_some() && time(tip.at) <= at).count());
        }
    }
    scores
}

fn score(entries: &[RankedEntry], truth: &Truth) -> Score {
    let judged = judge(entries, truth);
    let wanted = truth.identifiable();
    let mut score = Score {
        average_precision: average_precision(entries, &judged, &wanted),
        recall: recall_at_true_number(entries, &judged, &wanted),
        brier: brier(entries, &judged),
        ..Score::default()
    };
    for (entry, judged) in entries.iter().zip(&judged).filter(|(entry, _)| entry.named) {
        let wrong = usize::from(judged.is_none());
        score.named += 1;
        score.wrong += wrong;
        score.strong += usize::from(entry.strong);
        score.wrong_strong += if entry.strong { wrong } else { 0 };
        if let Some(number) = *judged
            && let Some([low, high]) = entry.leak_interval
            && let Some(leak) = truth.harvesters[number].leak
            // An entry with only some of an operator's servers leaks less than the operator.
            && truth.harvesters[number].addresses.iter().all(|address| entry.members.contains(address))
        {
            score.intervals += 1;
            score.covered += usize::from((low..=high).contains(&leak));
        }
    }
    score
}

/// Ranks the observations up to the n-th probed address, for each n. Returns, for each method, the n after which the
/// harvester is first and stays first.
fn replay(observations: &[Observation], truth: &Truth, counts: &RemoteCounts) -> [usize; 3] {
    // Duration of the scanner's burst: the other probes of the burst count too.
    let burst = Span::from_seconds(10);
    let mut needed = [1; 3];
    let mut growing = Ledger::new(LedgerSettings::default());
    let mut fed = 0;
    for (n, &at) in counts.first_probes.iter().take(REPLAYED).enumerate() {
        let upto = observations.partition_point(|observation| observation.ts() <= at + burst);
        observations[fed..upto].iter().for_each(|observation| growing.observe(observation));
        fed = upto;
        let counts = RemoteCounts::new(&observations[..upto]);
        let rankings = [ours(&growing), counts.fisher(), counts.distinct_count()];
        for (needed, entries) in needed.iter_mut().zip(&rankings) {
            let alone = entries.get(1).is_none_or(|second| second.score < entries[0].score);
            let first = entries.first().and_then(|entry| truth.named_by(&entry.members));
            if first.is_none() || !alone {
                *needed = n + 2;
            }
        }
    }
    needed
}

/// The seeds of the homes, and the number of threads.
#[derive(Clone, Copy, Debug)]
pub struct Seeds {
    /// Seed of the first home.
    pub first: u64,
    /// Number of seeds.
    pub count: u64,
    /// Number of threads.
    pub jobs: usize,
}

/// The scores of a family at one size, in the order of seeds. After each home, calls `done` with the number of
/// finished homes.
#[must_use]
pub fn all(family: &Family, size: HomeSize, seeds: Seeds, done: &(dyn Fn(u64) + Sync)) -> Vec<Scores> {
    let (next, finished) = (AtomicU64::new(0), AtomicU64::new(0));
    let work = || {
        let mut mine = Vec::new();
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= seeds.count {
                return mine;
            }
            mine.push((n, one(family, size, seeds.first + n)));
            done(finished.fetch_add(1, Ordering::Relaxed) + 1);
        }
    };
    let mut scores: Vec<(u64, Scores)> = thread::scope(|scope| {
        let threads: Vec<_> = (0..seeds.jobs.max(1)).map(|_| scope.spawn(work)).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        threads.into_iter().flat_map(join).collect()
    });
    scores.sort_by_key(|(n, _)| *n);
    scores.into_iter().map(|(_, scores)| scores).collect()
}

#[cfg(test)]
mod tests;
