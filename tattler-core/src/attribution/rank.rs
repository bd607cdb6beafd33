//! One list of candidates from the results of all rounds.

use std::collections::{HashMap, HashSet};

use super::accuse::accuse;
use super::cases::Cases;
use super::finding::Finding;
use super::group_test::WINDOWS;
use super::groups::Groups;
use super::round::Round;
use super::verdict::Verdict;
use crate::campaign::Campaigns;
use crate::ledger::AddrId;
use crate::view::evidence::Evidence;
use crate::view::frame::Frame;

/// The weight of a decimal power of the model's evidence. A decimal power of the comparison's p has weight 1.
const MODEL_WEIGHT: f64 = 0.1;
/// The weight of a decimal power of the plain table's p.
const PLAIN_WEIGHT: f64 = 0.3;
/// The least evidence that is used; smaller evidence is raised to this value. Decimal logarithm.
const LEAST_EVIDENCE: f64 = -2.0;
/// A prefix is listed instead of its addresses if the prefix is ten times as convincing.
const PREFER_SPECIFIC: f64 = 1.0;
/// If this share of the locals contacted a remote, contacts with the remote do not distinguish locals.
const UBIQUITOUS: f64 = 0.99;

/// The best results of all rounds for a group that no round accused.
#[derive(Clone, Copy)]
struct Unaccused {
    group: usize,
    /// The score over the cases that no accused group explains.
    score: f64,
    /// The score over all cases.
    score_first: f64,
    signature: u64,
    evidence: f64,
    /// Decimal logarithm of 1 / p of the plain table.
    plain: f64,
}

impl Unaccused {
    /// The value that ranks the group. The comparison counts most, since it assumes less than the model. The model
    /// decides between groups with equal results of the comparison.
    fn order(&self) -> f64 {
        let evidence = (self.evidence / std::f64::consts::LN_10).max(LEAST_EVIDENCE);
        self.score + MODEL_WEIGHT * evidence + PLAIN_WEIGHT * self.plain
    }
}

/// Ranks the candidates: first the accused by score, then the other candidates.
#[must_use]
pub(super) fn rank(
    frame: &Frame,
    campaigns: &Campaigns,
    groups: &Groups,
    cases: &[Cases],
    pooled: &Cases,
    plain: &[f64],
    rounds: &[Round],
) -> Vec<Finding> {
    let mut findings = accuse(frame, groups, cases, rounds);
    let others = outside(groups, &findings, combine(groups, cases, frame, plain, rounds));
    let mut others = most_specific(groups, others);
    others.sort_by(|a, b| {
        let by_score = b.order().total_cmp(&a.order()).then(b.score_first.total_cmp(&a.score_first));
        // Of equal candidates, the candidate that fewer locals contacted comes first, so that the address decides last.
        by_score.then(groups.list[a.group].locals.cmp(&groups.list[b.group].locals)).then(a.group.cmp(&b.group))
    });
    list(frame, campaigns, groups, pooled, others, &mut findings);
    findings
}

/// The best results for each group that a case had contacted.
fn combine(groups: &Groups, cases: &[Cases], frame: &Frame, plain: &[f64], rounds: &[Round]) -> Vec<Unaccused> {
    let mut combined: HashMap<usize, Unaccused> = HashMap::new();
    let new = |group: usize, least: f64, signature: u64| Unaccused {
        group,
        score: least,
        score_first: least,
        signature,
        evidence: least,
        plain: plain[group],
    };
    for (i, round) in rounds.iter().enumerate() {
        for test in &round.tests {
            let best = combined.entry(test.group).or_insert_with(|| new(test.group, f64::NEG_INFINITY, 0));
            best.score = best.score.max(round.score(test.ln_p_left));
            best.score_first = best.score_first.max(round.score(test.ln_p_first));
            best.signature = best.signature.wrapping_add(test.signature.rotate_left(i as u32 % 64));
        }
        for (group, evidence) in round.evidence() {
            if let Some(best) = combined.get_mut(&group) {
                best.evidence = best.evidence.max(evidence);
            }
        }
    }
    // If each grouping has one case and there is no pool, there are candidates without a round.
    if rounds.is_empty() {
        for case in cases.iter().flat_map(|cases| &cases.list) {
            for group in case.contacted(frame).iter().filter_map(|first| groups.single(first.remote)) {
                combined.insert(group, new(group, 0.0, group as u64));
            }
        }
    }
    combined.into_values().collect()
}

/// Removes the accused groups, the groups that contain an accused group, and the groups inside an accused group.
/// Attackers control both numbers of groups, so the function uses lookups instead of loops.
fn outside(groups: &Groups, accused: &[Finding], mut all: Vec<Unaccused>) -> Vec<Unaccused> {
    let mut is_accused = vec![false; groups.list.len()];
    let mut holds_accused = vec![false; groups.list.len()];
    for &group in accused.iter().flat_map(|finding| &finding.groups) {
        is_accused[group] = true;
        groups.around(group).for_each(|outer| holds_accused[outer] = true);
    }
    all.retain(|&Unaccused { group, .. }| {
        !is_accused[group] && !holds_accused[group] && !groups.around(group).any(|outer| is_accused[outer])
    });
    all
}

/// Keeps a prefix if it is clearly more convincing than its best address, and then removes the groups inside it.
fn most_specific(groups: &Groups, mut all: Vec<Unaccused>) -> Vec<Unaccused> {
    let mut best_inside: HashMap<usize, f64> = HashMap::new();
    for &Unaccused { group, score, .. } in &all {
        for outer in groups.of(groups.members(group)[0]).skip(1).filter(|&outer| outer != group) {
            let best = best_inside.entry(outer).or_insert(f64::NEG_INFINITY);
            *best = best.max(score);
        }
    }
    all.retain(|&Unaccused { group, score, .. }| {
        groups.members(group).len() == 1
            || score > 0.0 && best_inside.get(&group).is_none_or(|&best| score > best + PREFER_SPECIFIC)
    });
    let mut is_kept = vec![false; groups.list.len()];
    all.iter().for_each(|one| is_kept[one.group] = true);
    all.retain(|one| !groups.around(one.group).any(|outer| is_kept[outer]));
    all
}

/// Adds the other candidates to the findings. Twins are one finding.
fn list(
    frame: &Frame,
    campaigns: &Campaigns,
    groups: &Groups,
    pooled: &Cases,
    others: Vec<Unaccused>,
    findings: &mut Vec<Finding>,
) {
    let back = probes_back(frame, campaigns, groups);
    let ubiquitous = UBIQUITOUS * most_contacted(groups, pooled);
    let mut known: HashMap<(u64, Verdict), usize> = HashMap::new();
    for Unaccused { group, score, signature, evidence, .. } in others {
        let verdict = if groups.members(group).iter().any(|remote| back.contains(remote)) {
            Verdict::ProbesBack
        } else if f64::from(groups.list[group].locals) >= ubiquitous {
            Verdict::NotIdentifiable
        } else {
            Verdict::Weak
        };
        // Groups that every trial treats alike are one candidate. Trials do not rank remotes that probe back.
        if verdict != Verdict::ProbesBack {
            let next = findings.len();
            let twin = *known.entry((signature, verdict)).or_insert(next);
            if twin != next {
                findings[twin].groups.push(group);
                findings[twin].evidence = findings[twin].evidence.max(evidence);
                continue;
            }
        }
        findings.push(Finding {
            verdict,
            groups: vec![group],
            score,
            window: WINDOWS.len() - 1,
            campaigns: Vec::new(),
            evidence,
            leak: None,
            rivals: Vec::new(),
        });
    }
    // Remotes that probe back are not ranked as leaks, so they come last.
    findings.sort_by_key(|finding| finding.verdict == Verdict::ProbesBack);
}

/// The largest number of locals that can have contacted a remote. Infinite where this limit means nothing, as with a
/// single local, which contacted every remote.
fn most_contacted(groups: &Groups, pooled: &Cases) -> f64 {
    let is_meaningful = groups.pairs > 0 && groups.locals >= 2 && !pooled.list.is_empty();
    if is_meaningful { groups.locals as f64 } else { f64::INFINITY }
}

/// The remotes that a local contacted and that then probed this local, where the probe could have come from a leak.
fn probes_back(frame: &Frame, campaigns: &Campaigns, groups: &Groups) -> HashSet<AddrId> {
    let rows = frame.ledger.probes().iter().zip(&campaigns.evidence);
    rows.filter(|(row, evidence)| **evidence == Evidence::Exact && frame.is_answer_to_contact(row))
        .map(|(row, _)| row.source)
        .filter(|&source| groups.single(source).is_some())
        .collect()
}
