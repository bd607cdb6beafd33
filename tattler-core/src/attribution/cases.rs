//! The cases of each campaign and of all campaigns together: the probed locals, with the time of the first probe.

use crate::campaign::{Campaigns, Grouping};
use crate::time::{Span, Time};
use crate::view::evidence::Evidence;
use crate::view::frame::{First, Frame, LocalClass};

/// A local hit by a scanner.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// The local's number in the frame.
    pub local: u32,
    /// Time of the first probe.
    pub at: Time,
    /// Number of remotes that the local had contacted before the probe.
    pub contacts: u32,
    /// Time from the last new contact to the probe.
    pub gap: Span,
}

impl Case {
    /// The first contact with each remote before the probe.
    #[must_use]
    pub fn contacted<'f>(&self, frame: &'f Frame) -> &'f [First] {
        &frame.firsts(self.local as usize)[..self.contacts as usize]
    }
}

/// The cases of one scanner, and the limits within which other locals can be compared.
#[derive(Clone, Debug)]
pub struct Cases {
    /// The campaigns of the scanner: positions in the list, in order. `None`: all campaigns.
    pub campaigns: Option<Vec<usize>>,
    /// The cases, in the order of the locals' numbers.
    pub list: Vec<Case>,
    /// Locals whose first probe by the scanner is not evidence. They are compared up to that probe only.
    pub cut: Vec<Cut>,
}

/// A local that is compared up to a probe that is not evidence.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// The local's number in the frame.
    pub local: u32,
    /// Number of remotes that the local had contacted before the probe.
    pub contacts: u32,
    /// Time of the probe.
    pub at: Time,
}

/// For each local, by number: whether it can be a case or a control. Temporary locals with contacts can.
#[must_use]
pub fn under_test(frame: &Frame) -> Vec<bool> {
    (0..frame.len()).map(|n| frame.class(n) == LocalClass::Temporary && !frame.firsts(n).is_empty()).collect()
}

/// The numbers of the locals under test.
pub fn tested_locals(tested: &[bool]) -> impl Iterator<Item = usize> + Clone {
    tested.iter().enumerate().filter_map(|(local, tested)| tested.then_some(local))
}

impl Cases {
    /// The cases of each campaign that has cases, in order.
    #[must_use]
    pub fn of_campaigns(frame: &Frame, campaigns: &Campaigns, tested: &[bool]) -> Vec<Cases> {
        let mut first = vec![None; frame.len()];
        let with_hits = campaigns.list.iter().enumerate().filter(|(_, campaign)| campaign.exact_targets > 0);
        with_hits
            .map(|(n, campaign)| Cases::of_rows(frame, campaigns, tested, &campaign.rows, vec![n], &mut first))
            .filter(|cases| !cases.list.is_empty())
            .collect()
    }

    /// The cases of each grouping that has cases, in order.
    #[must_use]
    pub fn of_groupings(frame: &Frame, campaigns: &Campaigns, tested: &[bool]) -> Vec<Cases> {
        let mut first = vec![None; frame.len()];
        let of = |grouping: &Grouping| grouping.campaigns.iter().map(|&campaign| campaign as usize).collect();
        let groupings = campaigns.groupings.iter();
        groupings
            .map(|grouping| Cases::of_rows(frame, campaigns, tested, &grouping.rows, of(grouping), &mut first))
            .filter(|cases| !cases.list.is_empty())
            .collect()
    }

    /// Exposure ends at the scanner's first probe of a local, even if that probe is not evidence: from then on the
    /// scanner knows the address. A local that had contacted the source of that probe is not a case, since the source
    /// learned the address from the contact. Path probes do not count.
    fn of_rows(
        frame: &Frame,
        campaigns: &Campaigns,
        tested: &[bool],
        rows: &[u32],
        of: Vec<usize>,
        first: &mut [Option<(Time, bool)>],
    ) -> Cases {
        let mut touched = Vec::new();
        for &i in rows {
            let row = &frame.ledger.probes()[i as usize];
            let Some(local) = frame.number(row.target).filter(|&n| tested[n]) else { continue };
            if campaigns.is_path[i as usize] {
                continue;
            }
            let hit = campaigns.evidence[i as usize] == Evidence::Exact && !frame.is_answer_to_contact(row);
            let slot = &mut first[local];
            match slot {
                None => {
                    *slot = Some((row.first, hit));
                    touched.push(local);
                }
                Some((at, _)) if row.first < *at => *slot = Some((row.first, hit)),
                Some((at, was)) if row.first == *at => *was &= hit,
                Some(_) => {}
            }
        }
        touched.sort_unstable();
        let mut cases = Cases { campaigns: Some(of), list: Vec::new(), cut: Vec::new() };
        for local in touched {
            let Some((at, hit)) = first[local].take() else { continue };
            cases.add(frame, local, at, hit);
        }
        cases
    }

    /// The cases of all campaigns as one scanner. The first hit by any campaign counts.
    #[must_use]
    pub fn pooled(frame: &Frame, all: &[Cases]) -> Cases {
        let mut hits: Vec<(u32, Time)> = all.iter().flat_map(|cases| &cases.list).map(|c| (c.local, c.at)).collect();
        hits.sort_unstable();
        hits.dedup_by_key(|hit| hit.0);
        let mut cases = Cases { campaigns: None, list: Vec::new(), cut: Vec::new() };
        for (local, at) in hits {
            cases.add(frame, local as usize, at, true);
        }
        cases
    }

    /// The first probe of each local by the scanner. It need not be evidence.
    pub(super) fn first_probes(&self) -> impl Iterator<Item = (usize, Time)> {
        let cut = self.cut.iter().map(|cut| (cut.local as usize, cut.at));
        self.list.iter().map(|case| (case.local as usize, case.at)).chain(cut)
    }

    fn add(&mut self, frame: &Frame, local: usize, at: Time, hit: bool) {
        let contacts = frame.contacted_before(local, at) as u32;
        match frame.firsts(local)[..contacts as usize].last() {
            Some(last) if hit => self.list.push(Case { local: local as u32, at, contacts, gap: at - last.at }),
            _ => self.cut.push(Cut { local: local as u32, contacts, at }),
        }
    }
}
