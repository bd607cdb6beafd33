//! From the tests of all campaigns to one list of candidates.

use std::collections::{HashMap, HashSet};

use super::cases::{Case, Cases};
use super::groups::Groups;
use super::hazard::Hazard;
use super::leak::Leak;
use super::matched::{Explains, Matched, Test, WINDOWS};
use super::select::{Accused, Strength, strength};
use super::verdict::{Rival, Verdict};
use crate::campaign::Campaigns;
use crate::ledger::AddrId;
use crate::time::Time;
use crate::view::evidence::Evidence;
use crate::view::frame::Frame;

/// A candidate.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What is said of it.
    pub verdict: Verdict,
    /// The groups that it is made of: one, or several that can't be told apart.
    pub groups: Vec<usize>,
    /// Decimal logarithm of 1 / p after correction; negative if chance does it easily. It names
    /// from 2 on.
    pub score: f64,
    /// Contacts within this window before the probe are the evidence, a position in [`WINDOWS`].
    pub window: usize,
    /// Campaigns whose probes it explains, or, if it is not accused, that hit locals which had
    /// contacted it. Positions in the list, in order.
    pub campaigns: Vec<usize>,
    /// How much better the model is with it than without: difference of the logarithms of the
    /// likelihood, less what chance gives to the best of so many.
    pub evidence: f64,
    /// What contacts with it led to, by the model.
    pub leak: Option<Leak>,
    /// What else could be behind the evidence.
    pub rivals: Vec<Rival>,
}

/// The result of one campaign's comparison, or of the pool's.
pub struct Round {
    campaigns: Option<Vec<usize>>,
    accused: Vec<Accused>,
    ln_correction: f64,
    /// By candidate: group, logarithm of p at first and of what the accused leave, signature.
    tests: Vec<(usize, f64, f64, u64)>,
    model: Hazard,
    /// What the best of so many gets by chance: natural logarithm.
    by_chance: f64,
    /// By slot of the model, less that.
    evidence: Vec<f64>,
}

impl Round {
    /// Gathers what ranking needs.
    #[must_use]
    pub fn new(
        matched: &Matched,
        accused: Vec<Accused>,
        first: &[Test],
        left: &[Strength],
        ln_correction: f64,
        model: Hazard,
    ) -> Round {
        let tests = matched.candidates.iter().zip(first.iter().zip(left));
        let tests = tests.map(|(&group, (a, b))| (group, strength(a).ln_p, b.ln_p, a.signature)).collect();
        let (groups, cases) = (model.candidates().len() as f64, matched.cases.list.len() as f64);
        let by_chance = groups.max(1.0).ln() + 0.5 * cases.max(1.0).ln();
        let evidence = (0..model.candidates().len()).map(|slot| model.evidence(slot) - by_chance).collect();
        Round { campaigns: matched.cases.campaigns.clone(), accused, ln_correction, tests, model, by_chance, evidence }
    }

    /// What its model says of an accused group when its twins, and what holds it or is held by it, are
    /// left out.
    fn of(&self, groups: &Groups, accused: &Accused) -> Option<(f64, Leak)> {
        let group = accused.explains.group;
        let slots = self.model.candidates().iter().map(|&candidate| candidate as usize).enumerate();
        let is_related = |other: usize| {
            accused.groups.contains(&other) || groups.is_inside(other, group) || groups.is_inside(group, other)
        };
        let related: Vec<usize> = slots
            .clone()
            .filter(|&(slot, other)| self.model.is_active(slot) && is_related(other))
            .map(|s| s.0)
            .collect();
        let (slot, _) = slots.clone().find(|&(_, other)| other == group)?;
        let (evidence, leak) = self.model.alone(slot, &related);
        Some((evidence - self.by_chance, leak))
    }
}

/// The most that any model says of an accused group, and what contacts with it led to there.
fn modelled(rounds: &[Round], groups: &Groups, accused: &Accused) -> (f64, Option<Leak>) {
    let all = rounds.iter().filter_map(|round| round.of(groups, accused));
    all.max_by(|a, b| a.0.total_cmp(&b.0)).map_or((f64::NEG_INFINITY, None), |(evidence, leak)| {
        // Of what it does not see, the model has no measure.
        (evidence, Some(leak).filter(|_| evidence > 0.0))
    })
}

/// What all rounds say of a group that nobody accused.
#[derive(Clone, Copy)]
struct Weak {
    score: f64,
    at_first: f64,
    signature: u64,
    evidence: f64,
    /// Decimal logarithm of 1 / p of the plain table.
    plain: f64,
}

impl Weak {
    /// What it is ranked by. The comparison comes first, since it assumes less than the model does; the
    /// model tells apart what compares alike.
    fn order(&self) -> f64 {
        let evidence = (self.evidence / std::f64::consts::LN_10).max(LEAST_EVIDENCE);
        self.score + MODEL_WEIGHT * evidence + PLAIN_WEIGHT * self.plain
    }
}

/// How much a decimal power of the model's evidence counts beside one of the comparison's.
const MODEL_WEIGHT: f64 = 0.1;
/// The same of the plain table.
const PLAIN_WEIGHT: f64 = 0.3;
/// Less evidence counts as this: decimal logarithm.
const LEAST_EVIDENCE: f64 = -2.0;
/// A prefix is listed beside its addresses only if it is ten times as convincing.
const PREFER_SPECIFIC: f64 = 1.0;
/// From this share of locals on, "contacted it" says nothing.
const UBIQUITOUS: f64 = 0.99;

/// Ranks: the accused by score, then the others by score.
#[must_use]
pub fn rank(
    frame: &Frame,
    campaigns: &Campaigns,
    groups: &Groups,
    cases: &[Cases],
    pooled: &Cases,
    plain: &[f64],
    rounds: Vec<Round>,
) -> Vec<Finding> {
    let mut weak = combine(groups, cases, frame, &rounds);
    for (&group, weak) in &mut weak {
        weak.plain = plain[group];
    }
    let mut findings = accuse(frame, groups, cases, &rounds);
    // What an accused one contains or is contained in is said with it. Outsiders have a say in the number of
    // either, so each is looked up.
    let mut is_accused = vec![false; groups.list.len()];
    let mut holds_accused = vec![false; groups.list.len()];
    for &group in findings.iter().flat_map(|finding| &finding.groups) {
        is_accused[group] = true;
        groups.around(group).for_each(|outer| holds_accused[outer] = true);
    }
    let is_covered =
        |group: usize| is_accused[group] || holds_accused[group] || groups.around(group).any(|outer| is_accused[outer]);
    let mut others: Vec<(usize, Weak)> =
        weak.iter().map(|(&group, &weak)| (group, weak)).filter(|&(group, _)| !is_covered(group)).collect();
    // A prefix needs more than its best address; then it stands for them.
    let mut best_inside: HashMap<usize, f64> = HashMap::new();
    for &(group, weak) in &others {
        let [_, outer @ ..] = groups.of(groups.members(group)[0]);
        for outer in outer.into_iter().flatten().filter(|&outer| outer != group) {
            let best = best_inside.entry(outer).or_insert(f64::NEG_INFINITY);
            *best = best.max(weak.score);
        }
    }
    let carries = |&(group, weak): &(usize, Weak)| {
        groups.members(group).len() == 1
            || weak.score > 0.0 && best_inside.get(&group).is_none_or(|&best| weak.score > best + PREFER_SPECIFIC)
    };
    others.retain(carries);
    let mut stands = vec![false; groups.list.len()];
    others.iter().for_each(|&(group, _)| stands[group] = true);
    others.retain(|&(group, _)| !groups.around(group).any(|outer| stands[outer]));
    others.sort_by(|a, b| {
        let by_score = b.1.order().total_cmp(&a.1.order()).then(b.1.at_first.total_cmp(&a.1.at_first));
        // Of equal ones those first that fewer contacted, so that names decide as late as possible.
        by_score.then(groups.list[a.0].locals.cmp(&groups.list[b.0].locals)).then(a.0.cmp(&b.0))
    });
    let back = probes_back(frame, campaigns, groups);
    let everybody = UBIQUITOUS * tested_locals(groups, pooled);
    let mut at: HashMap<(u64, Verdict), usize> = HashMap::new();
    for (group, weak) in others {
        let verdict = if groups.members(group).iter().any(|remote| back.contains(remote)) {
            Verdict::ProbesBack
        } else if f64::from(groups.list[group].locals) >= everybody {
            Verdict::NotIdentifiable
        } else {
            Verdict::Weak
        };
        // Remotes that no trial tells apart are one candidate; those that probe back are not
        // ranked by trials.
        if verdict != Verdict::ProbesBack {
            let next = findings.len();
            let twin = *at.entry((weak.signature, verdict)).or_insert(next);
            if twin != next {
                findings[twin].groups.push(group);
                findings[twin].evidence = findings[twin].evidence.max(weak.evidence);
                continue;
            }
        }
        let score = weak.score;
        findings.push(Finding {
            verdict,
            groups: vec![group],
            score,
            window: WINDOWS.len() - 1,
            campaigns: Vec::new(),
            evidence: weak.evidence,
            leak: None,
            rivals: Vec::new(),
        });
    }
    // Not ranked as leaks, so behind those that are.
    findings.sort_by_key(|finding| finding.verdict == Verdict::ProbesBack);
    findings
}

/// Locals under test; without bound where "all contacted it" says nothing: of a single local everything was
/// contacted by all.
fn tested_locals(groups: &Groups, pooled: &Cases) -> f64 {
    let is_told = groups.pairs > 0 && groups.locals >= 2 && !pooled.list.is_empty();
    if is_told { groups.locals as f64 } else { f64::INFINITY }
}

/// One finding for each accused group, whatever campaigns accuse it.
fn accuse(frame: &Frame, groups: &Groups, cases: &[Cases], rounds: &[Round]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    // Of one feed of many scanners, each round accuses the same.
    let mut known: HashMap<(usize, usize), Vec<f64>> = HashMap::new();
    for round in rounds {
        let within: Option<HashSet<usize>> = round.campaigns.as_ref().map(|within| within.iter().copied().collect());
        for accused in round.accused.clone() {
            let score = -(accused.strength.ln_p + round.ln_correction) / std::f64::consts::LN_10;
            let group = accused.explains.group;
            let Explains { window, .. } = accused.explains;
            let shares = known.entry((group, window)).or_insert_with(|| shares(frame, groups, cases, accused.explains));
            let supports = hitting(cases, shares, within.as_ref());
            let same = findings.iter_mut().find(|f| {
                let other = f.groups[0];
                f.groups.contains(&group) || groups.is_inside(group, other) || groups.is_inside(other, group)
            });
            if let Some(finding) = same {
                finding.campaigns.extend(supports);
                if score > finding.score {
                    finding.score = score;
                    finding.window = window;
                }
                // The more specific of the two; of two sets of twins what both allow.
                if groups.is_inside(group, finding.groups[0]) {
                    finding.groups = accused.groups;
                } else if finding.groups.contains(&group) {
                    finding.groups.retain(|group| accused.groups.contains(group));
                }
            } else {
                let (evidence, leak) = modelled(rounds, groups, &accused);
                let groups = accused.groups;
                let verdict = Verdict::Suspected;
                findings.push(Finding {
                    verdict,
                    groups,
                    score,
                    window,
                    campaigns: supports,
                    evidence,
                    leak,
                    rivals: Vec::new(),
                });
            }
        }
    }
    for finding in &mut findings {
        finding.campaigns.sort_unstable();
        finding.campaigns.dedup();
    }
    findings.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.groups.cmp(&b.groups)));
    findings
}

/// Campaigns of which `explains` explains a good share of the cases, of all or of those in `within`. A
/// stranger's scanner that hits some of the same addresses by chance is none of them.
pub(super) fn hitting(cases: &[Cases], shares: &[f64], within: Option<&HashSet<usize>>) -> Vec<usize> {
    let is_within = |campaign: &usize| within.is_none_or(|within| within.contains(campaign));
    let of = || cases.iter().zip(shares).filter(|(cases, _)| cases.campaigns.iter().flatten().any(is_within));
    let most = of().map(|(_, &share)| share).fold(0.0, f64::max);
    let supporting = of().filter(|&(_, &share)| share > 0.0 && share >= SUPPORTING * most);
    supporting.filter_map(|(cases, _)| cases.campaigns.as_deref()).flatten().copied().collect()
}

/// The share of each campaign's cases that contacts with a group, so late before the probe, explain.
pub(super) fn shares(frame: &Frame, groups: &Groups, cases: &[Cases], explains: Explains) -> Vec<f64> {
    let is_of = |remote: AddrId| groups.of(remote).contains(&Some(explains.group));
    // By local and then in order of time, as the frame has them.
    let contacts: Vec<(u32, u32, Time)> = (0..frame.len())
        .flat_map(|local| frame.firsts(local).iter().enumerate().map(move |(at, first)| (local, at, first)))
        .filter(|(.., first)| is_of(first.remote))
        .map(|(local, at, first)| (local as u32, at as u32, first.at))
        .collect();
    let is_explained = |case: &&Case| {
        let before = contacts.partition_point(|&(local, at, _)| (local, at) < (case.local, case.contacts));
        let last = contacts[..before].last().filter(|last| last.0 == case.local);
        last.is_some_and(|last| case.at - last.2 <= WINDOWS[explains.window])
    };
    let share = |cases: &Cases| cases.list.iter().filter(is_explained).count() as f64 / cases.list.len().max(1) as f64;
    cases.iter().map(share).collect()
}

/// A campaign supports an accusation if the share of its cases that is explained is at least so much of
/// the largest.
pub(super) const SUPPORTING: f64 = 0.3;

/// For each group that some case had contacted: its best score in any round.
fn combine(groups: &Groups, cases: &[Cases], frame: &Frame, rounds: &[Round]) -> HashMap<usize, Weak> {
    let none = f64::NEG_INFINITY;
    let unknown = Weak { score: none, at_first: none, signature: 0, evidence: none, plain: 0.0 };
    let mut combined: HashMap<usize, Weak> = HashMap::new();
    for (i, round) in rounds.iter().enumerate() {
        let score = |ln_p: f64| -(ln_p + round.ln_correction) / std::f64::consts::LN_10;
        for &(group, at_first, left, signature) in &round.tests {
            let weak = combined.entry(group).or_insert(unknown);
            weak.score = weak.score.max(score(left));
            weak.at_first = weak.at_first.max(score(at_first));
            weak.signature = weak.signature.wrapping_add(signature.rotate_left(i as u32 % 64));
        }
        for (&group, &evidence) in round.model.candidates().iter().zip(&round.evidence) {
            if let Some(weak) = combined.get_mut(&(group as usize)) {
                weak.evidence = weak.evidence.max(evidence);
            }
        }
    }
    // Campaigns with one case and no pool beside them have no round; they have candidates.
    if rounds.is_empty() {
        for case in cases.iter().flat_map(|cases| &cases.list) {
            for first in &frame.firsts(case.local as usize)[..case.contacts as usize] {
                if let [Some(group), ..] = groups.of(first.remote) {
                    combined.insert(
                        group,
                        Weak { score: 0.0, at_first: 0.0, signature: group as u64, evidence: 0.0, plain: 0.0 },
                    );
                }
            }
        }
    }
    combined
}

/// Remotes that a local contacted and that then probed it, where this could have been a leak.
fn probes_back(frame: &Frame, campaigns: &Campaigns, groups: &Groups) -> HashSet<AddrId> {
    let rows = frame.ledger.probes().iter().zip(&campaigns.evidence);
    rows.filter(|(row, evidence)| **evidence == Evidence::Exact && frame.is_answer_to_contact(row))
        .map(|(row, _)| row.source)
        .filter(|&source| groups.of(source)[0].is_some())
        .collect()
}
