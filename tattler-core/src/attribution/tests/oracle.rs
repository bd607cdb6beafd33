//! The first implementation of the figures: each figure from all cases, slow and simple. It checks the one in use.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::Ipv6Addr;

use homes::SeededRandom;
use proptest::prelude::*;

use super::hostile::{START, contact, local, remote};
use super::ledger_of;
use super::properties::any_home;
use crate::attribution::accuse::{self, SUPPORTING};
use crate::attribution::cases::{Case, Cases};
use crate::attribution::figures::{self, CandidateFigures, TwoByTwo};
use crate::attribution::finding::Finding;
use crate::attribution::group_test::{Explains, WINDOWS};
use crate::attribution::groups::Groups;
use crate::attribution::{Attribution, Verdict, tail};
use crate::campaign::Campaigns;
use crate::campaign::catalogue::{self, CatalogueEntry};
use crate::ledger::tests::any_observation;
use crate::ledger::{AddrId, Ledger, ProbeRow};
use crate::observation::Observation;
use crate::report::findings::Findings;
use crate::time::Time;
use crate::view::evidence::Evidence;
use crate::view::frame::Frame;

/// For each remote: the locals under test that contacted it, with the times of their first contacts.
struct Visitors(HashMap<AddrId, Vec<(u32, Time)>>);

impl Visitors {
    fn new(frame: &Frame, tested: &[bool]) -> Visitors {
        let mut visits: HashMap<AddrId, Vec<(u32, Time)>> = HashMap::new();
        for local in (0..frame.len()).filter(|&local| tested[local]) {
            for first in frame.firsts(local) {
                visits.entry(first.remote).or_default().push((local as u32, first.at));
            }
        }
        Visitors(visits)
    }

    /// The locals that contacted any remote in `remotes`, with their contacts in order.
    fn of(&self, remotes: &[AddrId]) -> BTreeMap<u32, Vec<Time>> {
        let mut visitors: BTreeMap<u32, Vec<Time>> = BTreeMap::new();
        for &(local, at) in remotes.iter().filter_map(|remote| self.0.get(remote)).flatten() {
            visitors.entry(local).or_default().push(at);
        }
        visitors.values_mut().for_each(|times| times.sort_unstable());
        visitors
    }
}

/// For each local: the time of the first hit by a campaign of the finding.
fn first_hits(attribution: &Attribution, campaigns: &[usize]) -> BTreeMap<u32, Time> {
    let campaigns: HashSet<usize> = campaigns.iter().copied().collect();
    let mut hits = BTreeMap::new();
    for cases in &attribution.cases {
        if cases.campaigns.iter().flatten().any(|campaign| campaigns.contains(campaign)) {
            for case in &cases.list {
                let at = hits.entry(case.local).or_insert(case.at);
                *at = case.at.min(*at);
            }
        }
    }
    hits
}

/// Computes the figures of a finding.
fn figures(
    frame: &Frame,
    campaigns: &Campaigns,
    attribution: &Attribution,
    visitors: &Visitors,
    finding: &Finding,
) -> CandidateFigures {
    let mut members: Vec<AddrId> =
        finding.groups.iter().flat_map(|&group| attribution.groups.members(group)).copied().collect();
    members.sort_by_cached_key(|&member| frame.ledger.address(member));
    let visits = visitors.of(&members);
    let before = |local: u32, at: Time| {
        visits.get(&local).and_then(|times| times[..times.partition_point(|&t| t < at)].last().copied())
    };
    let supporting: Vec<usize> = if finding.campaigns.is_empty() {
        let hit = attribution.cases.iter().filter(|c| c.list.iter().any(|c| before(c.local, c.at).is_some()));
        hit.filter_map(|cases| cases.campaigns.as_deref()).flatten().copied().collect()
    } else {
        finding.campaigns.clone()
    };
    let hits = first_hits(attribution, &supporting);
    let mut table = TwoByTwo::default();
    let mut lags = Vec::new();
    let mut explained_locals = BTreeSet::new();
    for (&local, &at) in &hits {
        let Some(contact) = before(local, at) else {
            table.others_probed += 1;
            continue;
        };
        table.contacted_probed += 1;
        if at - contact <= WINDOWS[finding.window] {
            explained_locals.insert(local);
            lags.push(at - contact);
        }
    }
    table.contacted_spared = visits.keys().filter(|local| !hits.contains_key(local)).count() as u64;
    let tested = attribution.tested.iter().filter(|&&tested| tested).count() as u64;
    table.others_spared = tested - table.contacted_probed - table.contacted_spared - table.others_probed;
    lags.sort_unstable();
    let rows = supporting.iter().flat_map(|&campaign| &campaigns.list[campaign].rows);
    let explained_probes = rows
        .filter(|&&row| campaigns.evidence[row as usize] == Evidence::Exact && !campaigns.is_path[row as usize])
        .map(|&row| &frame.ledger.probes()[row as usize])
        .filter(|row| frame.number(row.target).is_some_and(|local| explained_locals.contains(&(local as u32))))
        .filter(|row| !frame.is_answer_to_contact(row))
        .map(|row| u64::from(row.count))
        .sum();
    let devices: Option<HashSet<u32>> =
        explained_locals.iter().map(|&local| frame.local(local as usize).device).collect();
    let TwoByTwo { contacted_probed: a, contacted_spared: b, others_probed: c, others_spared: d } = table;
    CandidateFigures {
        members,
        table,
        fisher_p: tail::fisher(a, b, c, d),
        distinct_count: attribution.pooled.list.iter().filter(|c| before(c.local, c.at).is_some()).count() as u64,
        explained_probes,
        devices: devices.map(|devices| devices.len() as u64).filter(|_| !explained_locals.is_empty()),
        explained_locals,
        median_lag: lags.get(lags.len() / 2).copied(),
        lags,
        campaigns: supporting,
    }
}

/// Two numbers of probes, repeats included: the exact hits that are evidence, and the part of these hits that no
/// accused finding explains.
fn unexplained(frame: &Frame, campaigns: &Campaigns, attribution: &Attribution, visitors: &Visitors) -> (u64, u64) {
    let mut explained: HashMap<usize, BTreeSet<u32>> = HashMap::new();
    for finding in attribution.findings.iter().filter(|finding| finding.verdict.accuses()) {
        let figures = figures(frame, campaigns, attribution, visitors, finding);
        for campaign in figures.campaigns {
            explained.entry(campaign).or_default().extend(&figures.explained_locals);
        }
    }
    let (mut all, mut open) = (0, 0);
    for (i, row) in frame.ledger.probes().iter().enumerate() {
        if campaigns.evidence[i] != Evidence::Exact || campaigns.is_path[i] || frame.is_answer_to_contact(row) {
            continue;
        }
        let campaign = campaigns.of_row[i] as usize;
        let known = frame.number(row.target).zip(explained.get(&campaign));
        all += u64::from(row.count);
        if !known.is_some_and(|(local, locals)| locals.contains(&(local as u32))) {
            open += u64::from(row.count);
        }
    }
    (all, open)
}

/// Compares the figures of all findings, and of every group alone, since `explain` shows any group. The groups are
/// compared without campaigns and with some campaigns.
fn compare(ledger: &Ledger) -> Result<(), TestCaseError> {
    let mut findings = Findings::new(ledger);
    let Findings { frame, campaigns, attribution, .. } = &findings;
    let visitors = Visitors::new(frame, &attribution.tested);
    let of_cases: Vec<usize> = attribution.cases.iter().flat_map(|c| c.campaigns.iter().flatten()).copied().collect();
    let single = (0..attribution.groups.list.len()).flat_map(|group| {
        let some = of_cases.iter().copied().filter(move |campaign| (campaign + group) % 3 > 0);
        [Vec::new(), some.collect()].map(|campaigns| Finding {
            verdict: Verdict::Weak,
            groups: vec![group],
            score: 0.0,
            window: group % WINDOWS.len(),
            campaigns,
            evidence: 0.0,
            leak: None,
            rivals: Vec::new(),
        })
    });
    for finding in attribution.findings.iter().cloned().chain(single) {
        let (now, then) = (findings.figures(&finding), figures(frame, campaigns, attribution, &visitors, &finding));
        prop_assert_eq!(format!("{now:?}"), format!("{then:?}"));
    }
    let now = figures::unexplained(frame, attribution, &findings.basis);
    prop_assert_eq!(now, unexplained(frame, campaigns, attribution, &visitors));
    // Compare again with every finding accused.
    findings.attribution.findings.iter_mut().for_each(|finding| finding.verdict = Verdict::Suspected);
    let Findings { frame, campaigns, attribution, basis, .. } = &findings;
    let now = figures::unexplained(frame, attribution, basis);
    prop_assert_eq!(now, unexplained(frame, campaigns, attribution, &visitors));
    Ok(())
}

/// Compares [`Groups::around`], which looks groups up, with the oracle, which tries all pairs.
fn compare_groups(ledger: &Ledger) -> Result<(), TestCaseError> {
    let findings = Findings::new(ledger);
    let groups = &findings.attribution.groups;
    let all = 0..groups.list.len();
    for inner in all.clone() {
        let mut around: Vec<usize> = groups.around(inner).collect();
        around.sort_unstable();
        let expected: Vec<usize> = all.clone().filter(|&outer| groups.is_inside(inner, outer)).collect();
        prop_assert_eq!(around, expected);
        for outer in all.clone().filter(|&outer| groups.is_inside(inner, outer)) {
            prop_assert!(groups.members(outer).len() > 1, "a group that contains another has several members");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn figures_of_any_observations_are_those_of_the_oracle(
        all in prop::collection::vec(any_observation(), 0..120),
    ) {
        compare(&ledger_of(&all))?;
        compare_looked_up(&ledger_of(&all))?;
    }

    #[test]
    fn figures_of_a_home_are_those_of_the_oracle(home in any_home()) {
        compare(&ledger_of(&home.observations()))?;
        compare_looked_up(&ledger_of(&home.observations()))?;
    }

    #[test]
    fn the_groups_around_a_group_are_those_that_contain_it(home in any_home(), key in any::<u64>()) {
        let mut all = home.observations();
        all.extend(near_remotes(key));
        compare_groups(&ledger_of(&all))?;
    }
}

/// Contacts with remotes in few prefixes. Some of the remotes belong to operators in the catalogue.
fn near_remotes(key: u64) -> Vec<Observation> {
    let mut random = SeededRandom::new("oracle", 0, key);
    let runs = |entry: &&CatalogueEntry| entry.usage.is_operator_run() && entry.is_current();
    let mut operators: Vec<&CatalogueEntry> = catalogue::entries().iter().filter(runs).collect();
    operators.truncate(8);
    let near = |random: &mut SeededRandom| {
        let net = match random.below(2) {
            0 => u128::from(remote(0)),
            _ => u128::from(operators[random.below(operators.len())].prefix.addr()),
        };
        let below = (random.below(3) as u128) << 80 | (random.below(3) as u128) << 64 | random.below(3) as u128;
        Ipv6Addr::from(net + below)
    };
    let one = |_| {
        let at = Time::from_seconds(START + random.below(100_000) as i64);
        contact(at, local(random.below(5) as u64), near(&mut random))
    };
    (0..60).map(one).collect()
}

/// The first implementation of [`accuse::supporting`].
fn supporting(
    frame: &Frame,
    groups: &Groups,
    cases: &[Cases],
    explains: Explains,
    within: Option<&[usize]>,
) -> Vec<usize> {
    let is_explained = |case: &&Case| {
        frame.firsts(case.local as usize)[..case.contacts as usize].iter().any(|first| {
            groups.of(first.remote).any(|group| group == explains.group)
                && case.at - first.at <= WINDOWS[explains.window]
        })
    };
    let is_within = |campaign: &usize| within.is_none_or(|within| within.contains(campaign));
    let of = cases.iter().filter(|cases| cases.campaigns.iter().flatten().any(is_within));
    let shares: Vec<(&Cases, f64)> = of
        .map(|cases| (cases, cases.list.iter().filter(is_explained).count() as f64 / cases.list.len().max(1) as f64))
        .collect();
    let most = shares.iter().map(|share| share.1).fold(0.0, f64::max);
    let supporting = shares.iter().filter(|share| share.1 > 0.0 && share.1 >= SUPPORTING * most);
    supporting.filter_map(|share| share.0.campaigns.as_deref()).flatten().copied().collect()
}

/// The first implementation of [`Frame::is_answer_to_contact`].
fn is_answer_to_contact(frame: &Frame, row: &ProbeRow) -> bool {
    row.contacted_source
        || frame.number(row.target).is_some_and(|local| {
            let before = frame.contacted_before(local, row.first);
            frame.firsts(local)[..before].iter().any(|first| first.remote == row.source)
        })
}

/// Compares with the oracle: campaigns that support an accusation of any group, and probes that answer contacts.
fn compare_looked_up(ledger: &Ledger) -> Result<(), TestCaseError> {
    let Findings { frame, attribution, .. } = &Findings::new(ledger);
    let Attribution { groups, cases, .. } = attribution;
    let some: HashSet<usize> = cases.iter().flat_map(|c| c.campaigns.iter().flatten()).copied().step_by(2).collect();
    let list: Vec<usize> = some.iter().copied().collect();
    for group in 0..groups.list.len() {
        let explains = Explains { group, window: group % WINDOWS.len() };
        let shares = accuse::explained_shares(frame, groups, cases, explains);
        for (within, list) in [(None, None), (Some(&some), Some(&list[..]))] {
            prop_assert_eq!(
                accuse::supporting(cases, &shares, within),
                supporting(frame, groups, cases, explains, list)
            );
        }
    }
    for row in ledger.probes() {
        prop_assert_eq!(frame.is_answer_to_contact(row), is_answer_to_contact(frame, row));
    }
    Ok(())
}
