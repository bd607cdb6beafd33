//! Findings about a ledger that changes continuously.
//!
//! Attribution takes longer than the ledger may be locked. So attribution uses a copy of the
//! ledger. An update of the copy costs as much as the changes since the previous update. The result
//! equals the result of [`report()`](crate::report::report()) on the ledger at the time of the
//! copy.

#[cfg(test)]
mod tests;

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use crate::attribution::basis::Basis;
use crate::attribution::finding::Finding;
use crate::attribution::memo::{Memo, MemoCounts};
use crate::attribution::{Attribution, Verdict};
use crate::campaign::Campaigns;
use crate::explain::{self, Explanation};
use crate::ledger::{Ledger, Revision};
use crate::report::findings::Findings;
use crate::report::{Report, ReportOptions, exposed, listed, open_locals, report_of};
use crate::time::Time;
use crate::view::frame::Frame;

/// The copy and the findings from it; see the module documentation.
pub struct LiveReport {
    copy: Ledger,
    memo: Memo,
    as_of: Option<Time>,
    kept: Option<Kept>,
    updates: u64,
}

/// Findings from the current copy.
struct Kept {
    campaigns: Campaigns,
    attribution: Attribution,
    basis: Basis,
}

/// Numbers for a dashboard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overview {
    /// Number of candidates per verdict, without acknowledged candidates.
    pub by_verdict: Vec<(Verdict, u64)>,
    /// Number of campaigns that a report lists.
    pub campaigns: u64,
    /// Number of locals with a port open to strangers.
    pub exposed_locals: u64,
}

/// The kind of difference between the copy and the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stale {
    /// No difference.
    Not,
    /// New contacts, repeated probes, or changes from netlink: these rarely change the list of
    /// suspects.
    Contacts,
    /// A new probe of an address that can't be guessed: only such probes make suspects.
    Evidence,
    /// Rows were forgotten: the copy must not keep these rows.
    Forgotten,
}

impl Stale {
    /// The difference between a copy at revision `known` and a ledger at revision `now`.
    #[must_use]
    pub fn of(known: Revision, now: Revision) -> Stale {
        match () {
            () if now == known => Stale::Not,
            () if now.forgotten != known.forgotten => Stale::Forgotten,
            () if now.evidence != known.evidence => Stale::Evidence,
            () => Stale::Contacts,
        }
    }
}

impl Default for LiveReport {
    fn default() -> LiveReport {
        LiveReport { copy: Ledger::copy(), memo: Memo::new(), as_of: None, kept: None, updates: 0 }
    }
}

impl LiveReport {
    /// The difference between the copy and a ledger at this revision.
    #[must_use]
    pub fn stale(&self, revision: Revision) -> Stale {
        if self.as_of.is_none() { Stale::Evidence } else { Stale::of(self.copy.revision(), revision) }
    }

    /// Updates the copy. No other step needs the ledger.
    pub fn follow(&mut self, ledger: &mut Ledger, now: Time) {
        if self.stale(ledger.revision()) != Stale::Not {
            self.kept = None;
            self.copy.follow(ledger);
        }
        self.as_of = Some(now);
    }

    /// Computes the findings from the copy, unless already computed. Returns whether a computation
    /// was necessary.
    pub fn update(&mut self) -> bool {
        let is_due = self.kept.is_none();
        if is_due {
            let Findings { campaigns, attribution, basis, .. } = Findings::with(&self.copy, &self.memo);
            self.kept = Some(Kept { campaigns, attribution, basis });
            self.updates += 1;
        }
        is_due
    }

    /// The time of the last update of the copy.
    #[must_use]
    pub fn as_of(&self) -> Option<Time> {
        self.as_of
    }

    /// The number of computations, and the counts of reused work.
    #[must_use]
    pub fn cost(&self) -> (u64, MemoCounts) {
        (self.updates, self.memo.counts())
    }

    /// The report on the copy.
    pub fn report(&mut self, options: &ReportOptions) -> Report {
        self.with(|findings| report_of(findings, options))
    }

    /// The explanation of a remote from the copy.
    pub fn explain(&mut self, remote: impl Into<Ipv6Net>) -> Explanation {
        self.with(|findings| explain::explain_by(findings, remote.into()))
    }

    /// The overview of the copy. `is_acked`: whether a candidate with the given members and prefix
    /// is acknowledged.
    pub fn overview(&mut self, is_acked: impl Fn(&[Ipv6Addr], Ipv6Net) -> bool) -> Overview {
        let (open, campaigns) = self.with(|findings| {
            let all = &findings.attribution.findings;
            let is_open = |finding: &&Finding| {
                let members = findings.members(finding);
                !is_acked(&members, findings.prefix_of(finding, &members))
            };
            let open: Vec<Verdict> = all.iter().filter(is_open).map(|finding| finding.verdict).collect();
            (open, listed(&findings.campaigns).count() as u64)
        });
        let count = |verdict| open.iter().filter(|&&other| other == verdict).count() as u64;
        Overview {
            by_verdict: Verdict::ALL.map(|verdict| (verdict, count(verdict))).to_vec(),
            campaigns,
            exposed_locals: open_locals(&exposed(&self.copy)),
        }
    }

    fn with<T>(&mut self, ask: impl FnOnce(&Findings) -> T) -> T {
        self.update();
        let findings = match self.kept.take() {
            Some(Kept { campaigns, attribution, basis }) => {
                Findings { frame: Frame::new(&self.copy), campaigns, attribution, basis }
            }
            None => Findings::with(&self.copy, &self.memo),
        };
        let answer = ask(&findings);
        let Findings { campaigns, attribution, basis, .. } = findings;
        self.kept = Some(Kept { campaigns, attribution, basis });
        answer
    }
}
