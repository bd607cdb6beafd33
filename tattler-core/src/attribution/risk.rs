//! What one scanner's model is fitted to: for each case the contacts before it, by lag; for each group
//! how long its contacts were at risk of being followed.
//!
//! A local is at risk from its first contact until the scanner's first probe of it, or until nobody
//! could probe it any more: its prefix went away, its validity ran out, the window ended.

use super::cases::Cases;
use super::devices::Factors;
use super::groups::Groups;
use super::lag::{self, BINS};
use crate::time::{Span, Time};
use crate::view::frame::{First, Frame};

const NONE: u32 = u32::MAX;
/// Background comes in bursts: its rate is constant only between every so many cases.
const CASES_AN_EPOCH: usize = 8;
const MAX_EPOCHS: usize = 24;

/// Repeats of one local with one remote that count at most: chatty protocols begin an exchange a minute.
const MAX_REPEATS: f32 = 32.0;

/// Which contacts may bring a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counting {
    /// The first of a local with a remote: the harvester knows the address from then on.
    First,
    /// Each, as with harvesters that take samples. Only the first and the last time and the number are
    /// known; what is between is taken for evenly spread.
    Every,
}

/// For how many contacts there was how much time, by bin, `until` after the first.
fn at_risk(first: &First, until: Time, counting: Counting) -> [f32; BINS] {
    let mut risk = lag::at_risk(until - first.at);
    if counting == Counting::Every && first.count > 1 && first.last > first.at && until > first.at {
        let repeats = (first.count as f32 - 1.0).min(MAX_REPEATS);
        // As many as began by then, and from the middle of them.
        let whole = (first.last - first.at).seconds();
        let share = ((until - first.at).seconds() / whole).min(1.0);
        let middle = first.at + Span((0.5 * share * (first.last - first.at).0 as f64) as i64);
        let more = lag::at_risk(until - middle);
        risk.iter_mut().zip(more).for_each(|(sum, more)| *sum += more * repeats * share as f32);
    }
    risk
}

/// Tells the bins of the contacts before a probe, with how many of them lie in each.
fn before(first: &First, at: Time, counting: Counting, mut tell: impl FnMut(usize, f32)) {
    if let Some(bin) = lag::bin(at - first.at) {
        tell(bin, 1.0);
    }
    if counting == Counting::First || first.count <= 1 || first.last <= first.at {
        return;
    }
    let mut repeats = (first.count as f32 - 1.0).min(MAX_REPEATS);
    let (from, to) = (first.at, first.last.min(at));
    if first.last < at {
        if let Some(bin) = lag::bin(at - first.last) {
            tell(bin, 1.0);
        }
        repeats -= 1.0;
    } else {
        repeats *= ((at - first.at).seconds() / (first.last - first.at).seconds()) as f32;
    }
    if repeats <= 0.0 {
        return;
    }
    let (longest, shortest) = ((at - from).seconds(), (at - to).seconds());
    for bin in 0..BINS {
        let overlap = lag::overlap(bin, shortest, longest);
        if overlap > 0.0 {
            tell(bin, repeats * (overlap / (longest - shortest)) as f32);
        }
    }
}

/// Time at risk of all locals under test, as if nobody had been probed.
pub struct Exposure {
    /// Which contacts count.
    pub counting: Counting,
    /// When each local ceases to be at risk, by number in the frame.
    ends: Vec<Time>,
    /// By group.
    groups: Vec<[f32; BINS]>,
    /// Of all contacts together.
    any: [f64; BINS],
}

impl Exposure {
    /// Adds up the contacts of all locals with `tested`.
    #[must_use]
    pub fn new(frame: &Frame, groups: &Groups, tested: &[bool], counting: Counting) -> Exposure {
        let last = frame.ledger.span().map_or(Time(i64::MAX), |span| span.1);
        let validity = frame.ledger.settings().validity;
        let end = |n: usize| {
            let local = frame.local(n);
            let valid = local.used.map_or(last, |used| used.1 + validity);
            last.min(valid).min(local.ended.unwrap_or(last))
        };
        let ends: Vec<Time> = (0..frame.len()).map(end).collect();
        let mut exposure = Exposure { counting, ends, groups: vec![[0.0; BINS]; groups.list.len()], any: [0.0; BINS] };
        for local in (0..frame.len()).filter(|&local| tested[local]) {
            for first in frame.firsts(local) {
                let risk = at_risk(first, exposure.ends[local], counting);
                groups.of(first.remote).into_iter().flatten().for_each(|group| add(&mut exposure.groups[group], &risk));
                exposure.any.iter_mut().zip(risk).for_each(|(sum, risk)| *sum += f64::from(risk));
            }
        }
        exposure
    }
}

fn add(sum: &mut [f32; BINS], risk: &[f32; BINS]) {
    sum.iter_mut().zip(risk).for_each(|(sum, risk)| *sum += risk);
}

/// A contact of a case with a group, within a week before the probe.
#[derive(Clone, Copy, Debug)]
pub struct Hit {
    /// The group, a position in [`Risk::candidates`].
    pub slot: u32,
    /// The bin of the lag.
    pub bin: u8,
    /// Contacts that lie in it.
    pub contacts: f32,
}

/// See the module.
pub struct Risk {
    /// Groups that a case had contacted.
    pub candidates: Vec<u32>,
    /// Share-weighted contacts at risk, by candidate and bin.
    pub exposure: Vec<[f32; BINS]>,
    /// The same of all contacts.
    pub any: [f64; BINS],
    starts: Vec<u32>,
    hits: Vec<Hit>,
    /// For each case how many contacts of any kind lie in each bin before it.
    pub contacts: Vec<[f32; BINS]>,
    /// For each case the epoch in which it was probed.
    pub epochs: Vec<u8>,
    /// For each case how much more often than others its device is hit.
    pub factors: Vec<f64>,
    /// Seconds at risk of all locals together, weighted by their devices' factors, by epoch.
    pub time: Vec<f64>,
}

impl Risk {
    /// Lays out the cases of one scanner.
    #[must_use]
    pub fn new(frame: &Frame, groups: &Groups, tested: &[bool], exposure: &Exposure, cases: &Cases) -> Risk {
        let mut slots = vec![NONE; groups.list.len()];
        let mut candidates = Vec::new();
        let mut hits = Vec::new();
        let mut starts = vec![0];
        let mut contacts = Vec::with_capacity(cases.list.len());
        for case in &cases.list {
            let mut any = [0.0; BINS];
            for first in &frame.firsts(case.local as usize)[..case.contacts as usize] {
                before(first, case.at, exposure.counting, |bin, contacts| {
                    any[bin] += contacts;
                    for group in groups.of(first.remote).into_iter().flatten() {
                        let slot = &mut slots[group];
                        if *slot == NONE {
                            *slot = candidates.len() as u32;
                            candidates.push(group as u32);
                        }
                        hits.push(Hit { slot: *slot, bin: bin as u8, contacts });
                    }
                });
            }
            starts.push(hits.len() as u32);
            contacts.push(any);
        }
        let mut risk = Risk {
            exposure: candidates.iter().map(|&group| exposure.groups[group as usize]).collect(),
            any: exposure.any,
            candidates,
            starts,
            hits,
            contacts,
            epochs: Vec::new(),
            factors: Vec::new(),
            time: Vec::new(),
        };
        let cuts = cases.cut.iter().map(|cut| (cut.local, cut.at));
        for (local, at) in cases.list.iter().map(|case| (case.local, case.at)).chain(cuts.clone()) {
            risk.cut(frame, groups, &slots, exposure, local as usize, at);
        }
        let mut ends = exposure.ends.clone();
        cases.list.iter().map(|case| (case.local, case.at)).chain(cuts).for_each(|(local, at)| {
            ends[local as usize] = at.min(ends[local as usize]);
        });
        risk.lay_epochs(frame, tested, cases, &ends);
        risk
    }

    /// Takes away what a local would have been at risk after `at`.
    fn cut(&mut self, frame: &Frame, groups: &Groups, slots: &[u32], exposure: &Exposure, local: usize, at: Time) {
        for first in frame.firsts(local) {
            let counted = |until| at_risk(first, until, exposure.counting);
            let (whole, until) = (counted(exposure.ends[local]), counted(at));
            let more: [f32; BINS] = std::array::from_fn(|bin| until[bin].min(whole[bin]) - whole[bin]);
            self.any.iter_mut().zip(more).for_each(|(sum, more)| *sum += f64::from(more));
            for group in groups.of(first.remote).into_iter().flatten() {
                if slots[group] != NONE {
                    add(&mut self.exposure[slots[group] as usize], &more);
                }
            }
        }
    }

    fn lay_epochs(&mut self, frame: &Frame, tested: &[bool], cases: &Cases, ends: &[Time]) {
        let mut times: Vec<Time> = cases.list.iter().map(|case| case.at).collect();
        times.sort_unstable();
        let number = (times.len() / CASES_AN_EPOCH).clamp(1, MAX_EPOCHS);
        let mut borders: Vec<Time> = (1..number).map(|n| times[n * times.len() / number]).collect();
        borders.dedup();
        self.epochs =
            cases.list.iter().map(|case| borders.partition_point(|&border| border <= case.at) as u8).collect();
        let factors = Factors::new(frame, tested, cases.list.iter().map(|case| case.local));
        self.factors = cases.list.iter().map(|case| factors.of_case(case.local)).collect();
        self.time = vec![0.0; borders.len() + 1];
        for local in (0..frame.len()).filter(|&local| tested[local]) {
            let Some(first) = frame.firsts(local).first() else { continue };
            let (mut from, end) = (first.at, ends[local]);
            let factor = factors.of(local as u32);
            let mut epoch = borders.partition_point(|&border| border <= from);
            while from < end {
                let to = borders.get(epoch).copied().unwrap_or(end).min(end);
                self.time[epoch] += (to - from).seconds() * factor;
                (from, epoch) = (to, epoch + 1);
            }
        }
        // A second each, so that a rate stays finite.
        self.time.iter_mut().for_each(|time| *time += Span::from_seconds(1).seconds());
    }

    /// Cases.
    #[must_use]
    pub fn cases(&self) -> usize {
        self.contacts.len()
    }

    /// The contacts of a case with candidates.
    #[must_use]
    pub fn hits(&self, case: usize) -> &[Hit] {
        &self.hits[self.starts[case] as usize..self.starts[case + 1] as usize]
    }

    /// For each candidate its cases: (case, bin, contacts in it), in order of cases.
    #[must_use]
    pub fn by_candidate(&self) -> ByCandidate {
        let mut starts = vec![0u32; self.candidates.len() + 1];
        self.hits.iter().for_each(|hit| starts[hit.slot as usize + 1] += 1);
        for slot in 1..starts.len() {
            starts[slot] += starts[slot - 1];
        }
        let mut next = starts.clone();
        let mut cases = vec![(0, 0, 0.0); self.hits.len()];
        for case in 0..self.cases() {
            for hit in self.hits(case) {
                let at = &mut next[hit.slot as usize];
                cases[*at as usize] = (case as u32, hit.bin, hit.contacts);
                *at += 1;
            }
        }
        ByCandidate { starts, cases }
    }
}

/// The hits turned round.
#[derive(Default)]
pub struct ByCandidate {
    starts: Vec<u32>,
    cases: Vec<(u32, u8, f32)>,
}

impl ByCandidate {
    /// The cases of a candidate, and in which bins how many contacts lie.
    #[must_use]
    pub fn of(&self, slot: usize) -> &[(u32, u8, f32)] {
        &self.cases[self.starts[slot] as usize..self.starts[slot + 1] as usize]
    }
}
