//! Who was probed, by whom, and when that was first: the cases of each campaign and of all together.

use crate::campaign::{Campaigns, View};
use crate::time::{Span, Time};
use crate::view::evidence::Evidence;
use crate::view::frame::{Frame, LocalClass};

/// A local hit by a campaign.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Its number in the frame.
    pub local: u32,
    /// The first probe.
    pub at: Time,
    /// Remotes that it had contacted before.
    pub contacts: u32,
    /// From the last new contact to the probe.
    pub gap: Span,
}

/// What one scanner knew: its cases, and how far the other locals can be compared.
#[derive(Clone, Debug)]
pub struct Cases {
    /// The campaigns, positions in the list, in order; `None`: all together.
    pub campaigns: Option<Vec<usize>>,
    /// In the order of the locals' numbers.
    pub list: Vec<Case>,
    /// Locals that the campaign probed without that being evidence, with the contacts that they had
    /// made by then: what they did later is not compared.
    pub cut: Vec<Cut>,
}

/// A local that is compared up to a probe that is no evidence.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// Its number in the frame.
    pub local: u32,
    /// Remotes that it had contacted by then.
    pub contacts: u32,
    /// The probe.
    pub at: Time,
}

/// Locals that can be cases and controls: temporary ones with contacts.
#[must_use]
pub fn under_test(frame: &Frame) -> Vec<bool> {
    (0..frame.len()).map(|n| frame.class(n) == LocalClass::Temporary && !frame.firsts(n).is_empty()).collect()
}

impl Cases {
    /// The cases of each campaign that has any, in order.
    #[must_use]
    pub fn of_campaigns(frame: &Frame, campaigns: &Campaigns, tested: &[bool]) -> Vec<Cases> {
        let mut first = vec![None; frame.len()];
        let with_hits = campaigns.list.iter().enumerate().filter(|(_, campaign)| campaign.exact_targets > 0);
        with_hits
            .map(|(n, campaign)| Cases::of_rows(frame, campaigns, tested, &campaign.rows, vec![n], &mut first))
            .filter(|cases| !cases.list.is_empty())
            .collect()
    }

    /// The same of each idea of who is one scanner.
    #[must_use]
    pub fn of_views(frame: &Frame, campaigns: &Campaigns, tested: &[bool]) -> Vec<Cases> {
        let mut first = vec![None; frame.len()];
        let of = |view: &View| view.campaigns.iter().map(|&campaign| campaign as usize).collect();
        let views = campaigns.views.iter();
        views
            .map(|view| Cases::of_rows(frame, campaigns, tested, &view.rows, of(view), &mut first))
            .filter(|cases| !cases.list.is_empty())
            .collect()
    }

    /// Exposure ends at the scanner's first probe of a local, whatever that probe is worth: from then
    /// on it knew the address. A local that had contacted the source of that probe is no case, since
    /// the source learned the address by that. Path probes are left out altogether.
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

    /// All campaigns as one scanner: the first hit by any of them.
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

    fn add(&mut self, frame: &Frame, local: usize, at: Time, hit: bool) {
        let contacts = frame.contacted_before(local, at) as u32;
        match frame.firsts(local)[..contacts as usize].last() {
            Some(last) if hit => self.list.push(Case { local: local as u32, at, contacts, gap: at - last.at }),
            _ => self.cut.push(Cut { local: local as u32, contacts, at }),
        }
    }
}
