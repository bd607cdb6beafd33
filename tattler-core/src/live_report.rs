//! Findings that are kept beside a ledger which goes on.
//!
//! To think takes longer than the ledger may be held: so there is a copy, which is brought up to date
//! at the cost of what changed, and all else is worked out from that. What comes out is what
//! [`report()`](crate::report::report()) would say of the ledger as it was copied.

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
use crate::report::{Options, Report, exposed, listed, open_locals, report_of};
use crate::time::Time;
use crate::view::frame::Frame;

/// See the module.
pub struct LiveReport {
    copy: Ledger,
    memo: Memo,
    as_of: Option<Time>,
    kept: Option<Kept>,
    updates: u64,
}

/// What was worked out from the copy as it is.
struct Kept {
    campaigns: Campaigns,
    attribution: Attribution,
    basis: Basis,
}

/// Figures for a dashboard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overview {
    /// Candidates by verdict, those that somebody has acknowledged left out.
    pub by_verdict: Vec<(Verdict, u64)>,
    /// Campaigns that a report lists.
    pub campaigns: u64,
    /// Locals with a port that is open to strangers.
    pub exposed_locals: u64,
}

/// What the ledger has that is not in the copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stale {
    /// Nothing.
    Not,
    /// Contacts, repeated probes, what netlink tells: who is a suspect may depend on it, but
    /// seldom does.
    Contacts,
    /// A new probe of an address that nobody guesses: that is what suspects are made of.
    Evidence,
    /// Less than the copy: what was forgotten must not live on there.
    Forgotten,
}

impl Stale {
    /// How what was known at one revision differs from what is at another.
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
    /// How the copy differs from the ledger at this revision.
    #[must_use]
    pub fn stale(&self, revision: Revision) -> Stale {
        if self.as_of.is_none() { Stale::Evidence } else { Stale::of(self.copy.revision(), revision) }
    }

    /// Brings the copy up to date; the one step that needs the ledger. `now` is when.
    pub fn follow(&mut self, ledger: &mut Ledger, now: Time) {
        if self.stale(ledger.revision()) != Stale::Not {
            self.kept = None;
            self.copy.follow(ledger);
        }
        self.as_of = Some(now);
    }

    /// Works out what the copy says, unless that is known. Returns whether there was something to do.
    pub fn update(&mut self) -> bool {
        let is_due = self.kept.is_none();
        if is_due {
            let Findings { campaigns, attribution, basis, .. } = Findings::with(&self.copy, &self.memo);
            self.kept = Some(Kept { campaigns, attribution, basis });
            self.updates += 1;
        }
        is_due
    }

    /// When it was known to say what the ledger says.
    #[must_use]
    pub fn as_of(&self) -> Option<Time> {
        self.as_of
    }

    /// How often it had something to work out, and what of that was spared.
    #[must_use]
    pub fn cost(&self) -> (u64, MemoCounts) {
        (self.updates, self.memo.counts())
    }

    /// The report as of then.
    pub fn report(&mut self, options: &Options) -> Report {
        self.with(|findings| report_of(findings, options))
    }

    /// The explanation as of then.
    pub fn explain(&mut self, remote: impl Into<Ipv6Net>) -> Explanation {
        self.with(|findings| explain::explain_by(findings, remote.into()))
    }

    /// The overview as of then. `is_acked`: whether somebody has acknowledged a candidate, by its
    /// members and its prefix.
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
