//! The data that one scanner's model is fitted to: for each case the earlier contacts by lag, and for each group the
//! time during which its contacts were at risk. A contact is at risk while a probe could follow it.
//!
//! A local is at risk from its first contact until the scanner's first probe of it, or until a probe is no longer
//! possible or seen: its prefix was removed, its validity ended, or the window ended.

use super::cases::{Cases, tested_locals};
use super::devices::Factors;
use super::groups::Groups;
use super::lag::{self, BINS};
use super::lists::Lists;
use crate::time::{Span, Time};
use crate::view::frame::{First, Frame};

const NONE: u32 = u32::MAX;
/// Number of cases in an epoch, approximately. Background comes in bursts, so its rate is constant only in an epoch.
const CASES_AN_EPOCH: usize = 8;
const MAX_EPOCHS: usize = 24;
/// The most repeats counted for one local with one remote. Chatty protocols begin an exchange every minute.
const MAX_REPEATS: f32 = 32.0;

/// The contacts that may lead to a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountedContacts {
    /// Only the first contact of a local with a remote: the harvester knows the address from then on.
    First,
    /// Every contact, for harvesters that take samples. Only the first time, the last time and the number of contacts
    /// are known. The model assumes that the other contacts are evenly spread between these times.
    Every,
}

/// The contacts at risk, by bin. Each contact counts in a bin by the share of the bin that has passed at `until`.
fn at_risk(first: &First, until: Time, counted: CountedContacts) -> [f32; BINS] {
    let mut risk = lag::at_risk(until - first.at);
    if counted == CountedContacts::Every && first.count > 1 && first.last > first.at && until > first.at {
        let repeats = (first.count as f32 - 1.0).min(MAX_REPEATS);
        // Count the contacts that began before `until`, as if all were in the middle of that time.
        let whole = (first.last - first.at).seconds();
        let share = ((until - first.at).seconds() / whole).min(1.0);
        let middle = first.at + Span((0.5 * share * (first.last - first.at).0 as f64) as i64);
        let more = lag::at_risk(until - middle);
        risk.iter_mut().zip(more).for_each(|(sum, more)| *sum += more * repeats * share as f32);
    }
    risk
}

/// Calls `found` with each bin of the contacts before a probe, and the number of contacts in that bin.
fn before(first: &First, at: Time, counted: CountedContacts, mut found: impl FnMut(usize, f32)) {
    if let Some(bin) = lag::bin(at - first.at) {
        found(bin, 1.0);
    }
    if counted == CountedContacts::First || first.count <= 1 || first.last <= first.at {
        return;
    }
    let mut repeats = (first.count as f32 - 1.0).min(MAX_REPEATS);
    let (from, to) = (first.at, first.last.min(at));
    if first.last < at {
        if let Some(bin) = lag::bin(at - first.last) {
            found(bin, 1.0);
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
            found(bin, repeats * (overlap / (longest - shortest)) as f32);
        }
    }
}

/// The contacts at risk of all locals under test, as if no local had been probed.
pub struct Exposure {
    /// The contacts that count.
    pub counted: CountedContacts,
    /// The end of each local's time at risk, by number in the frame.
    ends: Vec<Time>,
    /// The contacts at risk for each group.
    groups: Vec<[f32; BINS]>,
    /// The contacts at risk with all remotes.
    any: [f64; BINS],
}

impl Exposure {
    /// Adds up the contacts of all locals with `tested`.
    #[must_use]
    pub fn new(frame: &Frame, groups: &Groups, tested: &[bool], counted: CountedContacts) -> Exposure {
        let last = frame.ledger.span().map_or(Time(i64::MAX), |span| span.1);
        let validity = frame.ledger.settings().validity;
        let end = |n: usize| {
            let local = frame.local(n);
            let valid = local.used.map_or(last, |used| used.1 + validity);
            last.min(valid).min(local.ended.unwrap_or(last))
        };
        let ends: Vec<Time> = (0..frame.len()).map(end).collect();
        let mut exposure = Exposure { counted, ends, groups: vec![[0.0; BINS]; groups.list.len()], any: [0.0; BINS] };
        for local in tested_locals(tested) {
            for first in frame.firsts(local) {
                let risk = at_risk(first, exposure.ends[local], counted);
                groups.of(first.remote).for_each(|group| add(&mut exposure.groups[group], &risk));
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
pub struct CaseContact {
    /// The group, a position in [`Risk::candidates`].
    pub slot: u32,
    /// The bin of the lag.
    pub bin: u8,
    /// Number of contacts in the bin.
    pub contacts: f32,
}

/// The data of the module.
pub struct Risk {
    /// Groups that a case had contacted.
    pub candidates: Vec<u32>,
    /// Contacts at risk, by candidate and bin.
    pub exposure: Vec<[f32; BINS]>,
    /// Contacts at risk with all remotes, by bin.
    pub any: [f64; BINS],
    /// The start of each case in `with_candidates`, the list of all cases' contacts with candidates.
    starts: Vec<u32>,
    with_candidates: Vec<CaseContact>,
    /// For each case and bin: the number of contacts with any remote.
    pub contacts: Vec<[f32; BINS]>,
    /// For each case: the epoch in which it was probed.
    pub epochs: Vec<u8>,
    /// For each case: the factor of its device.
    pub factors: Vec<f64>,
    /// Seconds at risk of all locals for each epoch, weighted by the factors of their devices.
    pub time: Vec<f64>,
}

impl Risk {
    /// Gathers the data of one scanner.
    #[must_use]
    pub fn new(frame: &Frame, groups: &Groups, tested: &[bool], exposure: &Exposure, cases: &Cases) -> Risk {
        let mut slots = vec![NONE; groups.list.len()];
        let mut candidates = Vec::new();
        let mut with_candidates = Vec::new();
        let mut starts = vec![0];
        let mut contacts = Vec::with_capacity(cases.list.len());
        for case in &cases.list {
            let mut any = [0.0; BINS];
            for first in case.contacted(frame) {
                before(first, case.at, exposure.counted, |bin, contacts| {
                    any[bin] += contacts;
                    for group in groups.of(first.remote) {
                        let slot = &mut slots[group];
                        if *slot == NONE {
                            *slot = candidates.len() as u32;
                            candidates.push(group as u32);
                        }
                        with_candidates.push(CaseContact { slot: *slot, bin: bin as u8, contacts });
                    }
                });
            }
            starts.push(with_candidates.len() as u32);
            contacts.push(any);
        }
        let mut risk = Risk {
            exposure: candidates.iter().map(|&group| exposure.groups[group as usize]).collect(),
            any: exposure.any,
            candidates,
            starts,
            with_candidates,
            contacts,
            epochs: Vec::new(),
            factors: Vec::new(),
            time: Vec::new(),
        };
        let mut ends = exposure.ends.clone();
        for (local, at) in cases.first_probes() {
            risk.cut(frame, groups, &slots, exposure, local, at);
            ends[local] = at.min(ends[local]);
        }
        risk.set_epochs(frame, tested, cases, &ends);
        risk
    }

    /// Subtracts the risk of a local's contacts after `at`.
    fn cut(&mut self, frame: &Frame, groups: &Groups, slots: &[u32], exposure: &Exposure, local: usize, at: Time) {
        for first in frame.firsts(local) {
            let counted = |until| at_risk(first, until, exposure.counted);
            let (whole, until) = (counted(exposure.ends[local]), counted(at));
            let more: [f32; BINS] = std::array::from_fn(|bin| until[bin].min(whole[bin]) - whole[bin]);
            self.any.iter_mut().zip(more).for_each(|(sum, more)| *sum += f64::from(more));
            for group in groups.of(first.remote) {
                if slots[group] != NONE {
                    add(&mut self.exposure[slots[group] as usize], &more);
                }
            }
        }
    }

    fn set_epochs(&mut self, frame: &Frame, tested: &[bool], cases: &Cases, ends: &[Time]) {
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
        for local in tested_locals(tested) {
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
        // Add a second to each epoch, so that rates stay finite.
        self.time.iter_mut().for_each(|time| *time += Span::from_seconds(1).seconds());
    }

    /// The number of cases.
    #[must_use]
    pub fn cases(&self) -> usize {
        self.contacts.len()
    }

    /// The contacts of a case with candidate groups.
    #[must_use]
    pub fn with_candidates(&self, case: usize) -> &[CaseContact] {
        &self.with_candidates[self.starts[case] as usize..self.starts[case + 1] as usize]
    }

    /// For each candidate the contacts with it, in order of cases: (case, bin, number of contacts).
    pub(super) fn by_candidate(&self) -> Lists<(u32, u8, f32)> {
        let of = |case: usize| {
            self.with_candidates(case).iter().map(move |one| (one.slot, (case as u32, one.bin, one.contacts)))
        };
        Lists::new(self.candidates.len(), (0..self.cases()).flat_map(of))
    }
}
