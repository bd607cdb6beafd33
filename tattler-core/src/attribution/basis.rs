//! The tables that the figures of all candidates are counted from. They are built once for each report.
//!
//! Outsiders decide the number of cases, and influence the number of candidates. So the computation of a candidate's
//! figures may read the candidate's visits and the probes of its visitors, but never all cases.

use std::collections::HashMap;

use super::Attribution;
use super::cases::{Cases, tested_locals};
use super::lists::Lists;
use crate::campaign::{Campaigns, distinct};
use crate::ledger::AddrId;
use crate::time::Time;
use crate::view::evidence::Evidence;
use crate::view::frame::Frame;

/// A case of a local.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalHit {
    /// Time of the first probe.
    pub at: Time,
    /// The position of the scanner in [`Attribution::cases`].
    pub cases: u32,
}

/// The evidence against one local from one campaign: a number of probes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sent {
    /// The campaign's position in the list.
    pub campaign: u32,
    /// Number of probes, repeats included.
    pub probes: u64,
}

/// The tables of the module.
pub struct Basis {
    /// Number of locals under test.
    pub tested: u64,
    /// Number of probes that are evidence, repeats included. The target need not have been seen in use.
    pub evidence: u64,
    visits: Lists<(u32, Time)>,
    hits: Lists<LocalHit>,
    sent: Lists<Sent>,
    /// The locals under test of each device.
    of_device: HashMap<u32, Vec<u32>>,
    /// For each campaign: the position of its cases in [`Attribution::cases`].
    cases_of: Vec<u32>,
    /// For each local: its number among the locals with hits, or [`NONE`].
    number: Vec<u32>,
    /// Number of locals with hits.
    locals: usize,
    /// For each position of cases: a bit for each local with hits. Only where the bits need less space than a list.
    bits: Vec<Option<Vec<u64>>>,
}

const NONE: u32 = u32::MAX;

impl Basis {
    /// Builds the tables.
    #[must_use]
    pub fn new(frame: &Frame, campaigns: &Campaigns, attribution: &Attribution) -> Basis {
        let Attribution { tested, cases, .. } = attribution;
        let first = |local: usize| frame.firsts(local).iter().map(move |f| (f.remote.0, (local as u32, f.at)));
        let visits = Lists::new(frame.ledger.addresses(), tested_locals(tested).flat_map(first));
        let all = cases.iter().enumerate().flat_map(|(i, cases)| {
            cases.list.iter().map(move |case| (case.local, LocalHit { at: case.at, cases: i as u32 }))
        });
        let mut hits = Lists::new(frame.len(), all);
        hits.for_each_mut(|hits| hits.sort_unstable());
        let mut of_device: HashMap<u32, Vec<u32>> = HashMap::new();
        for local in tested_locals(tested) {
            if let Some(device) = frame.local(local).device {
                of_device.entry(device).or_default().push(local as u32);
            }
        }
        let mut cases_of = vec![NONE; campaigns.list.len()];
        for (i, cases) in cases.iter().enumerate() {
            cases.campaigns.iter().flatten().for_each(|&campaign| cases_of[campaign] = i as u32);
        }
        let (evidence, sent) = evidence(frame, campaigns);
        let (number, locals) = numbers(frame, &hits);
        let words = locals.div_ceil(64);
        let bits = |cases: &Cases| {
            (cases.list.len() > words).then(|| {
                let mut bits = vec![0; words];
                cases.list.iter().for_each(|case| set(&mut bits, number[case.local as usize]));
                bits
            })
        };
        let bits = cases.iter().map(bits).collect();
        let tested = tested_locals(tested).count() as u64;
        Basis { tested, evidence, visits, hits, sent, of_device, cases_of, number, locals, bits }
    }

    /// Contacts of locals under test with any remote in `remotes`, by local and then in order of time.
    #[must_use]
    pub fn visits(&self, remotes: &[AddrId]) -> Vec<(u32, Time)> {
        let mut visits: Vec<_> = remotes.iter().flat_map(|remote| self.visits.of(remote.0)).copied().collect();
        visits.sort_unstable();
        visits
    }

    /// The cases of a local, in order of time. The first case of the list is the local's case in the pool.
    #[must_use]
    pub fn hits(&self, local: u32) -> &[LocalHit] {
        self.hits.of(local)
    }

    /// The evidence from probes of a local, in order of campaigns. Each item has its own number, which is below
    /// [`Basis::all_sent`].
    pub fn sent(&self, local: u32) -> impl Iterator<Item = (usize, &Sent)> {
        let from = self.sent.start(local);
        self.sent.of(local).iter().enumerate().map(move |(i, sent)| (from + i, sent))
    }

    /// Number of items that [`Basis::sent`] yields for all locals together.
    #[must_use]
    pub fn all_sent(&self) -> usize {
        self.sent.len()
    }

    /// The locals under test of a device, in order.
    #[must_use]
    pub fn of_device(&self, device: u32) -> &[u32] {
        self.of_device.get(&device).map_or(&[], Vec::as_slice)
    }

    /// The positions of the cases of these campaigns, in order.
    #[must_use]
    pub fn cases_of(&self, campaigns: &[usize]) -> Vec<u32> {
        distinct(campaigns.iter().map(|&c| self.cases_of[c]).filter(|&at| at != NONE).collect())
    }

    /// Number of different locals in the cases at these positions. The positions must be distinct.
    #[must_use]
    pub fn locals_hit(&self, all: &[Cases], chosen: &[u32]) -> u64 {
        match chosen {
            [] => return 0,
            [one] => return all[*one as usize].list.len() as u64,
            many if many.len() == all.len() => return self.locals as u64,
            _ => {}
        }
        let mut union = vec![0; self.locals.div_ceil(64)];
        for &at in chosen {
            match &self.bits[at as usize] {
                Some(bits) => union.iter_mut().zip(bits).for_each(|(word, bits)| *word |= bits),
                None => {
                    let list = &all[at as usize].list;
                    list.iter().for_each(|case| set(&mut union, self.number[case.local as usize]));
                }
            }
        }
        union.iter().map(|word| u64::from(word.count_ones())).sum()
    }
}

fn set(bits: &mut [u64], at: u32) {
    bits[at as usize / 64] |= 1 << (at % 64);
}

/// Numbers the locals with hits.
fn numbers(frame: &Frame, hits: &Lists<LocalHit>) -> (Vec<u32>, usize) {
    let mut locals = 0;
    let number = (0..frame.len() as u32).map(|local| {
        let number = if hits.of(local).is_empty() { NONE } else { locals };
        locals += u32::from(number != NONE);
        number
    });
    (number.collect(), locals as usize)
}

/// The number of probes that are evidence, and the evidence from each campaign for each local.
fn evidence(frame: &Frame, campaigns: &Campaigns) -> (u64, Lists<Sent>) {
    let mut all = 0;
    let mut sent: Vec<(u32, Sent)> = Vec::new();
    for (i, row) in frame.ledger.probes().iter().enumerate() {
        if campaigns.evidence[i] != Evidence::Exact || campaigns.is_path[i] || frame.is_answer_to_contact(row) {
            continue;
        }
        let probes = u64::from(row.count);
        all += probes;
        if let Some(local) = frame.number(row.target) {
            sent.push((local as u32, Sent { campaign: campaigns.of_row[i], probes }));
        }
    }
    sent.sort_unstable();
    sent.dedup_by(|later, earlier| {
        let same = (later.0, later.1.campaign) == (earlier.0, earlier.1.campaign);
        if same {
            earlier.1.probes += later.1.probes;
        }
        same
    });
    (all, Lists::new(frame.len(), sent.iter().copied()))
}
