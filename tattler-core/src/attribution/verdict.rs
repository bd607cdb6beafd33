//! What may be said of a candidate, and what a careful reader would say against it.
//!
//! The comparison and the model say that probes follow contacts with a remote. That is not yet a leak by
//! it: a device may tell of itself by other means, somebody may listen on the path, an attacker may
//! time his probes. Each such rival is weighed here; who has one is `suspected` at most.

use serde::{Deserialize, Serialize};

use super::Attribution;
use super::basis::Basis;
use super::figures::{Figures, figures};
use super::rank::Finding;
use super::tail;
use crate::campaign::catalogue::{self, What};
use crate::view::frame::Frame;

/// What is said of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// A canary was hit.
    Confirmed,
    /// Named, and more than enough.
    Strong,
    /// Named.
    Suspected,
    /// Ranked, not accused.
    Weak,
    /// Probes its visitors itself: listed, not ranked as a leak.
    ProbesBack,
    /// Contacted by practically all: the data can't tell.
    NotIdentifiable,
}

impl Verdict {
    /// Every verdict, in rank order.
    pub const ALL: [Verdict; 6] = [
        Verdict::Confirmed,
        Verdict::Strong,
        Verdict::Suspected,
        Verdict::Weak,
        Verdict::ProbesBack,
        Verdict::NotIdentifiable,
    ];

    /// The name in JSON and tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Confirmed => "confirmed",
            Verdict::Strong => "strong",
            Verdict::Suspected => "suspected",
            Verdict::Weak => "weak",
            Verdict::ProbesBack => "probes-back",
            Verdict::NotIdentifiable => "not-identifiable",
        }
    }

    /// Whether this names somebody.
    #[must_use]
    pub fn accuses(self) -> bool {
        matches!(self, Verdict::Confirmed | Verdict::Strong | Verdict::Suspected)
    }
}

/// What else could be behind the evidence against a remote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rival {
    /// Fewer than three addresses: an accident is not excluded by their number.
    FewLocals,
    /// All evidence is of one device: it may tell of itself by other means.
    OneDevice,
    /// The device's addresses were probed whether they had contacted the remote or not: the device is
    /// the better explanation.
    DeviceItself,
    /// Contacts with anybody are followed by probes just as well: a listener on the path, or the
    /// resolver.
    OnPath,
    /// Most addresses contact it, so that the evidence is timing alone: who times probes after contacts
    /// with a popular site can frame it.
    TimingAlone,
    /// One address before many sites: which of them leaks can't be told.
    ManySites,
    /// Remotes that the data can't tell apart: one of them.
    OneOfSeveral,
}

impl Rival {
    /// The name in JSON and tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Rival::FewLocals => "few-locals",
            Rival::OneDevice => "one-device",
            Rival::DeviceItself => "device-itself",
            Rival::OnPath => "on-path",
            Rival::TimingAlone => "timing-alone",
            Rival::ManySites => "many-sites",
            Rival::OneOfSeveral => "one-of-several",
        }
    }

    /// Whether it explains the evidence better than the remote does.
    #[must_use]
    pub fn wins(self) -> bool {
        matches!(self, Rival::DeviceItself | Rival::OnPath)
    }

    /// Whether it leaves no more than a suspicion.
    fn caps(self) -> bool {
        self != Rival::OneOfSeveral
    }
}

/// The family-wise p up to which somebody is called strong; decimal logarithm of its inverse.
const STRONG: f64 = 2.0;
/// Evidence of the model that it takes as well: natural logarithm, after what chance gives.
const STRONG_EVIDENCE: f64 = 3.0;
/// Rivals of those who are not accused are weighed from this probability on.
const WORTH_WEIGHING: f64 = 0.1;
/// Addresses that it takes.
const LOCALS: usize = 3;
/// From this share of addresses on that contact a remote, the evidence is timing alone.
const POPULAR: f64 = 0.5;
/// Less than this share of addresses probed is no listener on the path.
const SPREAD: f64 = 0.25;
/// Within one device, the p up to which contacts with the remote and not the device explain the probes.
const WITHIN_DEVICE: f64 = 0.05;

/// Weighs the rivals of all that are accused or nearly so, and says what is left.
pub fn judge(frame: &Frame, attribution: &mut Attribution, basis: &Basis) {
    let is_worth_it = |finding: &Finding| {
        finding.verdict.accuses() || finding.probability().is_some_and(|probability| probability >= WORTH_WEIGHING)
    };
    let judged: Vec<usize> =
        (0..attribution.findings.len()).filter(|&i| is_worth_it(&attribution.findings[i])).collect();
    for i in judged {
        let figures = figures(frame, attribution, basis, &attribution.findings[i]);
        let rivals = rivals(frame, attribution, basis, &attribution.findings[i], &figures);
        let finding = &mut attribution.findings[i];
        let is_sure = finding.score >= STRONG && finding.evidence >= STRONG_EVIDENCE;
        finding.verdict = if !finding.verdict.accuses() || rivals.iter().any(|rival| rival.wins()) {
            Verdict::Weak
        } else if is_sure && !rivals.iter().any(|rival| rival.caps()) {
            Verdict::Strong
        } else {
            Verdict::Suspected
        };
        finding.rivals = rivals;
    }
    // Those that are strong come before those that are suspected, and those before the rest; within,
    // the order stays.
    attribution.findings.sort_by_key(|finding| match finding.verdict {
        Verdict::NotIdentifiable => Verdict::Weak,
        verdict => verdict,
    });
}

fn rivals(frame: &Frame, attribution: &Attribution, basis: &Basis, finding: &Finding, figures: &Figures) -> Vec<Rival> {
    let mut rivals = Vec::new();
    if figures.explained_locals.len() < LOCALS {
        rivals.push(Rival::FewLocals);
    }
    if figures.devices == Some(1) {
        rivals.push(Rival::OneDevice);
        if is_device_itself(frame, basis, figures) {
            rivals.push(Rival::DeviceItself);
        }
    }
    let tested = basis.tested as f64;
    // Who listens on the path hits a good part of all addresses. Of who is not accused, somebody else
    // may have taken the evidence.
    let is_spread = attribution.pooled.list.len() as f64 >= SPREAD * tested;
    if finding.verdict.accuses() && finding.evidence <= 0.0 && is_spread {
        rivals.push(Rival::OnPath);
    }
    let contacted = (figures.table.contacted_probed + figures.table.contacted_spared) as f64;
    if contacted >= POPULAR * tested {
        rivals.push(Rival::TimingAlone);
    }
    let is_cdn =
        |&member| catalogue::operator(frame.ledger.address(member)).is_some_and(|entry| entry.what == What::Cdn);
    if figures.members.iter().any(is_cdn) {
        rivals.push(Rival::ManySites);
    }
    if finding.groups.len() > 1 {
        rivals.push(Rival::OneOfSeveral);
    }
    rivals
}

/// Among the addresses of the one device, were those that had contacted it probed more than others?
fn is_device_itself(frame: &Frame, basis: &Basis, figures: &Figures) -> bool {
    let Some(device) = figures.explained_locals.first().and_then(|&local| frame.local(local as usize).device) else {
        return false;
    };
    let visits = basis.visits(&figures.members);
    let mut counts = [[0u64; 2]; 2];
    for &local in basis.of_device(device) {
        let hit = basis.hits(local).first().map(|hit| hit.at);
        let first = visits.get(visits.partition_point(|visit| visit.0 < local)).filter(|visit| visit.0 == local);
        let contacted = first.is_some_and(|first| hit.is_none_or(|hit| first.1 < hit));
        counts[usize::from(!contacted)][usize::from(hit.is_none())] += 1;
    }
    let [[a, b], [c, d]] = counts;
    tail::fisher(a, b, c, d) > WITHIN_DEVICE
}
