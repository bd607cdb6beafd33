//! One family at one size: its networks, simulated and judged, on several threads if wanted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::Result;
use tattler_core::ledger::{Ledger, LedgerSettings};
use tattler_core::time::Span;

use crate::families::Family;
use crate::measure::{Judged, average_precision, brier, judge, recall_at_true_number};
use crate::methods::{Counts, Entry, Method, ledger, ours};
use crate::network::size::Size;
use crate::network::{Network, time};

/// What one method made of one network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Score {
    /// See [`average_precision`]; `None`: nobody to be found.
    pub average_precision: Option<f64>,
    /// See [`recall_at_true_number`].
    pub recall: Option<f64>,
    /// Entries that accuse, and those of them that are wrong.
    pub named: usize,
    /// See `named`.
    pub wrong: usize,
    /// Entries that accuse with certainty, and those of them that are wrong.
    pub strong: usize,
    /// See `strong`.
    pub wrong_strong: usize,
    /// Mean square of the stated probability minus the truth, over entries that state one.
    pub brier: Option<f64>,
    /// Intervals stated for true harvesters, and those of them that hold the truth.
    pub intervals: usize,
    /// See `intervals`.
    pub covered: usize,
    /// After so many probed addresses the harvester was first and stayed so; one more than
    /// [`REPLAYED`] if it never was. `None`: not measured.
    pub needed: Option<usize>,
    /// How many of those were probed because of the harvester. `None`: not measured, or never first.
    pub needed_leaks: Option<usize>,
}

/// Probed addresses after which a replay ends.
pub const REPLAYED: usize = 20;

/// Scores of the methods, in the order of [`Method::ALL`].
pub type Scores = [Score; 3];

/// Simulates and judges one network.
pub fn one(family: &Family, size: Size, seed: u64) -> Result<Scores> {
    let network = Network::new(&(family.plan)(size), family.name, seed)?;
    let counts = Counts::new(&network.observations);
    let rankings = [ours(&ledger(&network.observations)), counts.fisher(), counts.distinct_count()];
    let mut scores = rankings.map(|entries| score(&entries, &network));
    if family.replayed && !network.truth.identifiable().is_empty() {
        let needed = replay(&network, &counts);
        for (score, needed) in scores.iter_mut().zip(needed) {
            score.needed = Some(needed);
            score.needed_leaks = counts.first_probes().get(needed - 1).filter(|_| needed <= REPLAYED).map(|&at| {
                let leaks = network.told.iter().filter(|told| told.by.is_some());
                leaks.filter(|told| time(told.at) <= at).count()
            });
        }
    }
    Ok(scores)
}

fn score(entries: &[Entry], network: &Network) -> Score {
    let truth = &network.truth;
    let judged = judge(entries, truth);
    let wanted = truth.identifiable();
    let mut score = Score {
        average_precision: average_precision(entries, &judged, &wanted),
        recall: recall_at_true_number(entries, &judged, &wanted),
        brier: brier(entries, &judged),
        ..Score::default()
    };
    for (entry, judged) in entries.iter().zip(&judged).filter(|(entry, _)| entry.named) {
        let wrong = usize::from(*judged == Judged::Wrong);
        score.named += 1;
        score.wrong += wrong;
        score.strong += usize::from(entry.strong);
        score.wrong_strong += if entry.strong { wrong } else { 0 };
        if let Judged::Right(number) = *judged
            && let Some([low, high]) = entry.leak_interval
            && let Some(leak) = truth.harvesters[number].leak
            // Part of an operator's servers leaks less than all of them.
            && truth.harvesters[number].addresses.iter().all(|address| entry.members.contains(address))
        {
            score.intervals += 1;
            score.covered += usize::from((low..=high).contains(&leak));
        }
    }
    score
}

/// Plays the network as far as its n-th probed address, for each n, and looks who is first.
fn replay(network: &Network, counts: &Counts) -> [usize; 3] {
    // The rest of a scanner's burst belongs to the probe.
    let burst = Span::from_seconds(10);
    let mut needed = [1; 3];
    let mut growing = Ledger::new(LedgerSettings::default());
    let mut fed = 0;
    let firsts = counts.first_probes();
    for n in 1..=REPLAYED {
        let Some(&at) = firsts.get(n - 1) else { break };
        let upto = network.observations.partition_point(|observation| observation.ts() <= at + burst);
        network.observations[fed..upto].iter().for_each(|observation| growing.observe(observation));
        fed = upto;
        let counts = Counts::new(&network.observations[..upto]);
        let rankings = [ours(&growing), counts.fisher(), counts.distinct_count()];
        for (needed, entries) in needed.iter_mut().zip(&rankings) {
            let alone = entries.get(1).is_none_or(|second| second.score < entries[0].score);
            let first = entries.first().and_then(|entry| network.truth.named_by(&entry.members));
            if first.is_none() || !alone {
                *needed = n + 1;
            }
        }
    }
    needed
}

/// Which networks are run, and how many at the same time.
#[derive(Clone, Copy, Debug)]
pub struct Seeds {
    /// The first.
    pub first: u64,
    /// How many.
    pub count: u64,
    /// Threads.
    pub jobs: usize,
}

/// All networks of a family at one size, in the order of seeds. `done` is told after each how many are.
pub fn all(family: &Family, size: Size, seeds: Seeds, done: &(dyn Fn(u64) + Sync)) -> Result<Vec<Scores>> {
    let (next, finished) = (AtomicU64::new(0), AtomicU64::new(0));
    let work = || -> Result<Vec<(u64, Scores)>> {
        let mut mine = Vec::new();
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= seeds.count {
                return Ok(mine);
            }
            mine.push((n, one(family, size, seeds.first + n)?));
            done(finished.fetch_add(1, Ordering::Relaxed) + 1);
        }
    };
    let mut scores = Vec::new();
    thread::scope(|scope| -> Result<()> {
        let threads: Vec<_> = (0..seeds.jobs.max(1)).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            match thread.join() {
                Ok(mine) => scores.extend(mine?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(())
    })?;
    scores.sort_by_key(|(n, _)| *n);
    debug_assert_eq!(Method::ALL.len(), 3);
    Ok(scores.into_iter().map(|(_, scores)| scores).collect())
}
