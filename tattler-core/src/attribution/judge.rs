//! Weighs the rivals of a finding and decides its verdict.
//!
//! The comparison and the model show that probes follow contacts with a remote. That does not prove a leak: the
//! device may reveal its addresses in other ways, somebody may listen on the path, or an attacker may time the
//! probes. The verdict on a remote with such a rival is at most `suspected`.

use super::Attribution;
use super::basis::Basis;
use super::figures::CandidateFigures;
use super::finding::Finding;
use super::tail;
use super::verdict::{Rival, Verdict};
use crate::campaign::catalogue::{self, PrefixUse};
use crate::view::frame::Frame;

/// The least score of a strong verdict: a family-wise p of 0.01.
const STRONG: f64 = 2.0;
/// The least evidence of the model that a strong verdict also needs: natural logarithm, less chance.
const STRONG_EVIDENCE: f64 = 3.0;
/// The least probability at which the rivals of a finding that is not accused are weighed.
const WORTH_WEIGHING: f64 = 0.1;
/// The least number of explained addresses without the rival [`Rival::FewLocals`].
const LOCALS: usize = 3;
/// If at least this share of the addresses contacts a remote, the evidence is timing alone.
const POPULAR: f64 = 0.5;
/// If less than this share of the addresses was probed, nobody listens on the path.
const SPREAD: f64 = 0.25;
/// The test within one device: up to this p, contacts with the remote explain the probes, and the device does not.
const WITHIN_DEVICE: f64 = 0.05;

/// Weighs the rivals of findings that are accused or nearly accused, and sorts the findings by verdict.
pub fn judge(frame: &Frame, attribution: &mut Attribution, basis: &Basis) {
    let is_worth_it = |finding: &Finding| {
        finding.verdict.accuses() || finding.probability().is_some_and(|probability| probability >= WORTH_WEIGHING)
    };
    let judged: Vec<usize> =
        (0..attribution.findings.len()).filter(|&i| is_worth_it(&attribution.findings[i])).collect();
    for i in judged {
        let rivals = rivals(frame, attribution, basis, &attribution.findings[i]);
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
    // The sort is stable: findings with the same verdict keep their order.
    attribution.findings.sort_by_key(|finding| match finding.verdict {
        Verdict::NotIdentifiable => Verdict::Weak,
        verdict => verdict,
    });
}

fn rivals(frame: &Frame, attribution: &Attribution, basis: &Basis, finding: &Finding) -> Vec<Rival> {
    let figures = CandidateFigures::new(frame, attribution, basis, finding);
    let tested = basis.tested as f64;
    let is_one_device = figures.devices == Some(1);
    // A listener on the path hits a large share of all addresses. If a finding is not accused, another finding may have
    // taken its evidence.
    let is_spread = attribution.pooled.list.len() as f64 >= SPREAD * tested;
    let contacted = (figures.table.contacted_probed + figures.table.contacted_spared) as f64;
    let is_cdn =
        |&member| catalogue::operator(frame.ledger.address(member)).is_some_and(|entry| entry.usage == PrefixUse::Cdn);
    let weighed = [
        (figures.explained_locals.len() < LOCALS, Rival::FewLocals),
        (is_one_device, Rival::OneDevice),
        (is_one_device && is_device_itself(frame, basis, &figures), Rival::DeviceItself),
        (finding.verdict.accuses() && finding.evidence <= 0.0 && is_spread, Rival::OnPath),
        (contacted >= POPULAR * tested, Rival::TimingAlone),
        (figures.members.iter().any(is_cdn), Rival::ManySites),
        (finding.groups.len() > 1, Rival::OneOfSeveral),
    ];
    weighed.into_iter().filter_map(|(is, rival)| is.then_some(rival)).collect()
}

/// Whether the device's addresses were probed as often without an earlier contact with the remote.
fn is_device_itself(frame: &Frame, basis: &Basis, figures: &CandidateFigures) -> bool {
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
