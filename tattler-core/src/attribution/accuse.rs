//! Combines the accusations of all rounds into one finding for each accused group.

use std::collections::{HashMap, HashSet};

use super::cases::{Case, Cases};
use super::finding::Finding;
use super::group_test::{Explains, WINDOWS};
use super::groups::Groups;
use super::round::{Round, modelled};
use super::verdict::Verdict;
use crate::campaign::distinct;
use crate::time::Time;
use crate::view::frame::Frame;

/// A campaign supports an accusation if the group explains a large enough share of the campaign's cases. The limit
/// is this part of the largest share.
pub(super) const SUPPORTING: f64 = 0.3;

/// The findings of accused groups, best score first.
pub(super) fn accuse(frame: &Frame, groups: &Groups, cases: &[Cases], rounds: &[Round]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    // If one feed supplies many scanners, each of their rounds accuses the same group.
    let mut known: HashMap<Explains, Vec<f64>> = HashMap::new();
    for round in rounds {
        let within: Option<HashSet<usize>> = round.campaigns.as_ref().map(|within| within.iter().copied().collect());
        for accused in round.accused.clone() {
            let score = round.score(accused.strength.ln_p);
            let Explains { group, window } = accused.explains;
            let shares = known
                .entry(accused.explains)
                .or_insert_with(|| explained_shares(frame, groups, cases, accused.explains));
            let supports = supporting(cases, shares, within.as_ref());
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
                // Take the more specific group. If both are sets of twins, take the groups that are in both sets.
                if groups.is_inside(group, finding.groups[0]) {
                    finding.groups = accused.groups;
                } else if finding.groups.contains(&group) {
                    finding.groups.retain(|group| accused.groups.contains(group));
                }
            } else {
                let (evidence, leak) = modelled(rounds, groups, &accused);
                findings.push(Finding {
                    verdict: Verdict::Suspected,
                    groups: accused.groups,
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
        finding.campaigns = distinct(std::mem::take(&mut finding.campaigns));
    }
    findings.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.groups.cmp(&b.groups)));
    findings
}

/// The campaigns of which the group explains a good share of the cases, among all campaigns or the campaigns in
/// `within`. A scanner that hits some of the same addresses by chance does not qualify.
pub(super) fn supporting(cases: &[Cases], shares: &[f64], within: Option<&HashSet<usize>>) -> Vec<usize> {
    let is_within = |campaign: &usize| within.is_none_or(|within| within.contains(campaign));
    let of = || cases.iter().zip(shares).filter(|(cases, _)| cases.campaigns.iter().flatten().any(is_within));
    let most = of().map(|(_, &share)| share).fold(0.0, f64::max);
    let supporting = of().filter(|&(_, &share)| share > 0.0 && share >= SUPPORTING * most);
    supporting.filter_map(|(cases, _)| cases.campaigns.as_deref()).flatten().copied().collect()
}

/// The share of each campaign's cases that a group explains.
pub(super) fn explained_shares(frame: &Frame, groups: &Groups, cases: &[Cases], explains: Explains) -> Vec<f64> {
    // Contacts by local and then in order of time. The frame has this order.
    let contacts: Vec<(u32, u32, Time)> = (0..frame.len())
        .flat_map(|local| frame.firsts(local).iter().enumerate().map(move |(at, first)| (local, at, first)))
        .filter(|(.., first)| groups.of(first.remote).any(|group| group == explains.group))
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
