//! From the tests of all campaigns to one list of candidates.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::cases::Cases;
use super::evidence::Evidence;
use super::frame::Frame;
use super::groups::Groups;
use super::matched::{Explains, Matched, Test, WINDOWS};
use super::select::{Accused, Strength, strength};
use crate::campaign::Campaigns;
use crate::ledger::AddrId;

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
}

/// The result of one campaign's comparison, or of the pool's.
pub struct Round {
    campaign: Option<usize>,
    accused: Vec<Accused>,
    ln_correction: f64,
    /// By candidate: group, logarithm of p at first and of what the accused leave, signature.
    tests: Vec<(usize, f64, f64, u64)>,
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
    ) -> Round {
        let tests = matched.candidates.iter().zip(first.iter().zip(left));
        let tests = tests.map(|(&group, (a, b))| (group, strength(a).ln_p, b.ln_p, a.signature)).collect();
        Round { campaign: matched.cases.campaign, accused, ln_correction, tests }
    }
}

/// What all rounds say of a group that nobody accused.
#[derive(Clone, Copy)]
struct Weak {
    score: f64,
    at_first: f64,
    signature: u64,
}

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
    rounds: Vec<Round>,
) -> Vec<Finding> {
    let weak = combine(groups, cases, frame, &rounds);
    let mut findings = accuse(frame, groups, cases, rounds);
    // What an accused one contains or is contained in is said with it.
    let covered = |group: usize, findings: &[Finding]| {
        findings
            .iter()
            .flat_map(|f| &f.groups)
            .any(|&other| other == group || groups.is_inside(group, other) || groups.is_inside(other, group))
    };
    let mut others: Vec<(usize, Weak)> =
        weak.iter().map(|(&group, &weak)| (group, weak)).filter(|(group, _)| !covered(*group, &findings)).collect();
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
    let prefixes: Vec<usize> = others.iter().map(|o| o.0).filter(|&g| groups.members(g).len() > 1).collect();
    others.retain(|&(group, _)| !prefixes.iter().any(|&outer| groups.is_inside(group, outer)));
    others.sort_by(|a, b| {
        (b.1.score.total_cmp(&a.1.score)).then(b.1.at_first.total_cmp(&a.1.at_first)).then(a.0.cmp(&b.0))
    });
    let back = probes_back(frame, campaigns, groups);
    let everybody = UBIQUITOUS * tested_locals(frame, groups, pooled);
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
        });
    }
    // Not ranked as leaks, so behind those that are.
    findings.sort_by_key(|finding| finding.verdict == Verdict::ProbesBack);
    findings
}

fn tested_locals(frame: &Frame, groups: &Groups, pooled: &Cases) -> f64 {
    let tested = super::cases::under_test(frame).iter().filter(|&&tested| tested).count();
    // Of a single local everything was contacted by all, and that is no reason.
    if groups.pairs == 0 || tested < 2 || pooled.list.is_empty() { f64::INFINITY } else { tested as f64 }
}

/// One finding for each accused group, whatever campaigns accuse it.
fn accuse(frame: &Frame, groups: &Groups, cases: &[Cases], rounds: Vec<Round>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for round in rounds {
        for accused in round.accused {
            let score = -(accused.strength.ln_p + round.ln_correction) / std::f64::consts::LN_10;
            let group = accused.explains.group;
            let supports = match round.campaign {
                Some(campaign) => vec![campaign],
                None => hitting(frame, groups, cases, accused.explains),
            };
            let same = findings.iter_mut().find(|f| {
                let other = f.groups[0];
                f.groups.contains(&group) || groups.is_inside(group, other) || groups.is_inside(other, group)
            });
            if let Some(finding) = same {
                finding.campaigns.extend(supports);
                if score > finding.score {
                    finding.score = score;
                    finding.window = accused.explains.window;
                }
                // The more specific of the two; of two sets of twins what both allow.
                if groups.is_inside(group, finding.groups[0]) {
                    finding.groups = accused.groups;
                } else if finding.groups.contains(&group) {
                    finding.groups.retain(|group| accused.groups.contains(group));
                }
            } else {
                let window = accused.explains.window;
                let groups = accused.groups;
                findings.push(Finding { verdict: Verdict::Suspected, groups, score, window, campaigns: supports });
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

/// Campaigns with a case that `explains` explains.
fn hitting(frame: &Frame, groups: &Groups, cases: &[Cases], explains: Explains) -> Vec<usize> {
    let hit = |cases: &&Cases| {
        cases.list.iter().any(|case| {
            frame.firsts(case.local as usize)[..case.contacts as usize].iter().any(|first| {
                groups.of(first.remote).contains(&Some(explains.group))
                    && case.at - first.at <= WINDOWS[explains.window]
            })
        })
    };
    cases.iter().filter(hit).filter_map(|cases| cases.campaign).collect()
}

/// For each group that some case had contacted: its best score in any round.
fn combine(groups: &Groups, cases: &[Cases], frame: &Frame, rounds: &[Round]) -> HashMap<usize, Weak> {
    let unknown = Weak { score: f64::NEG_INFINITY, at_first: f64::NEG_INFINITY, signature: 0 };
    let mut combined: HashMap<usize, Weak> = HashMap::new();
    for (i, round) in rounds.iter().enumerate() {
        let score = |ln_p: f64| -(ln_p + round.ln_correction) / std::f64::consts::LN_10;
        for &(group, at_first, left, signature) in &round.tests {
            let weak = combined.entry(group).or_insert(unknown);
            weak.score = weak.score.max(score(left));
            weak.at_first = weak.at_first.max(score(at_first));
            weak.signature = weak.signature.wrapping_add(signature.rotate_left(i as u32 % 64));
        }
    }
    // Campaigns with one case and no pool beside them have no round; they have candidates.
    if rounds.is_empty() {
        for case in cases.iter().flat_map(|cases| &cases.list) {
            for first in &frame.firsts(case.local as usize)[..case.contacts as usize] {
                if let [Some(group), ..] = groups.of(first.remote) {
                    combined.insert(group, Weak { score: 0.0, at_first: 0.0, signature: group as u64 });
                }
            }
        }
    }
    combined
}

/// Remotes that a local contacted and that then probed it, where this could have been a leak.
fn probes_back(frame: &Frame, campaigns: &Campaigns, groups: &Groups) -> std::collections::HashSet<AddrId> {
    let rows = frame.ledger.probes().iter().zip(&campaigns.evidence);
    rows.filter(|(row, evidence)| **evidence == Evidence::Exact && frame.is_answer_to_contact(row))
        .map(|(row, _)| row.source)
        .filter(|&source| groups.of(source)[0].is_some())
        .collect()
}
