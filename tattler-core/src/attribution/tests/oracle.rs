//! Figures as they were computed first, each from all cases: slow, plain, and the oracle of those in use.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::Ipv6Addr;

use proptest::prelude::*;

use super::hostile::{START, contact, local, remote};
use super::ledger_of;
use super::properties::any_home;
use super::simulate::Random;
use crate::attribution::cases::{Case, Cases};
use crate::attribution::figures::{Figures, TwoByTwo};
use crate::attribution::groups::Groups;
use crate::attribution::matched::{Explains, WINDOWS};
use crate::attribution::rank::{self, Finding, SUPPORTING};
use crate::attribution::{Attribution, Verdict, tail};
use crate::campaign::Campaigns;
use crate::campaign::catalogue::{self, Entry, What};
use crate::ledger::tests::any_observation;
use crate::ledger::{AddrId, Ledger, ProbeRow};
use crate::observation::Observation;
use crate::report::findings::Findings;
use crate::time::Time;
use crate::view::evidence::Evidence;
use crate::view::frame::Frame;

/// For each remote the locals under test that contacted it, and when first.
struct Visitors {
    starts: Vec<u32>,
    visits: Vec<(u32, Time)>,
}

impl Visitors {
    /// Turns the frame round.
    fn new(frame: &Frame, tested: &[bool]) -> Visitors {
        let mut all: Vec<(AddrId, u32, Time)> = Vec::new();
        for local in (0..frame.len()).filter(|&local| tested[local]) {
            all.extend(frame.firsts(local).iter().map(|first| (first.remote, local as u32, first.at)));
        }
        all.sort_unstable();
        let mut starts = vec![0; frame.ledger.addresses() + 1];
        for (remote, ..) in &all {
            starts[remote.0 as usize + 1] += 1;
        }
        for i in 1..starts.len() {
            starts[i] += starts[i - 1];
        }
        Visitors { starts, visits: all.into_iter().map(|(_, local, at)| (local, at)).collect() }
    }

    /// The locals that contacted any of `remotes`, with their contacts in order.
    fn of(&self, remotes: &[AddrId]) -> BTreeMap<u32, Vec<Time>> {
        let mut visitors: BTreeMap<u32, Vec<Time>> = BTreeMap::new();
        for remote in remotes {
            let range = self.starts[remote.0 as usize] as usize..self.starts[remote.0 as usize + 1] as usize;
            for &(local, at) in &self.visits[range] {
                visitors.entry(local).or_default().push(at);
            }
        }
        visitors.values_mut().for_each(|times| times.sort_unstable());
        visitors
    }
}

/// Times of the first hit by one of the finding's campaigns, by local.
fn first_hits(attribution: &Attribution, campaigns: &[usize]) -> BTreeMap<u32, Time> {
    // Outsiders decide how many campaigns there are: to search a list for each would be quadratic.
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
) -> Figures {
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
    Figures {
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

/// Exact hits that are evidence, and those of them that no accused one explains; in probes, repeats
/// included.
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

/// All that is listed, and, as who asks for any group may get them, every group by itself; now and then
/// with some of the campaigns.
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
    let now = crate::attribution::figures::unexplained(frame, attribution, &findings.basis);
    prop_assert_eq!(now, unexplained(frame, campaigns, attribution, &visitors));
    // The same if everybody were accused.
    findings.attribution.findings.iter_mut().for_each(|finding| finding.verdict = Verdict::Suspected);
    let Findings { frame, campaigns, attribution, basis, .. } = &findings;
    let now = crate::attribution::figures::unexplained(frame, attribution, basis);
    prop_assert_eq!(now, unexplained(frame, campaigns, attribution, &visitors));
    Ok(())
}

/// Which groups hold which is looked up; the oracle is to try all pairs.
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
            prop_assert!(groups.members(outer).len() > 1, "what holds another has several members");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn figures_of_whatever_was_observed_are_those_of_the_oracle(
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
    fn groups_that_hold_a_group_are_those_around_it(home in any_home(), key in any::<u64>()) {
        let mut all = home.observations();
        all.extend(beside(key));
        compare_groups(&ledger_of(&all))?;
    }
}

/// Contacts with remotes of few prefixes, among them those of operators in the catalogue.
fn beside(key: u64) -> Vec<Observation> {
    let mut random = Random::new(key);
    let runs = |entry: &&Entry| matches!(entry.what, What::Scanner | What::Harvester | What::Ntp) && entry.is_current();
    let mut operators: Vec<&Entry> = catalogue::entries().iter().filter(runs).collect();
    operators.truncate(8);
    let near = |random: &mut Random| {
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

/// As it was first: campaigns of which `explains` explains a good share of the cases, of all or of those in `within`. A
/// stranger's scanner that hits some of the same addresses by chance is none of them.
fn hitting(
    frame: &Frame,
    groups: &Groups,
    cases: &[Cases],
    explains: Explains,
    within: Option<&[usize]>,
) -> Vec<usize> {
    let is_explained = |case: &&Case| {
        frame.firsts(case.local as usize)[..case.contacts as usize].iter().any(|first| {
            groups.of(first.remote).contains(&Some(explains.group)) && case.at - first.at <= WINDOWS[explains.window]
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

/// As it was first.
fn is_answer_to_contact(frame: &Frame, row: &ProbeRow) -> bool {
    row.contacted_source
        || frame.number(row.target).is_some_and(|local| {
            let before = frame.contacted_before(local, row.first);
            frame.firsts(local)[..before].iter().any(|first| first.remote == row.source)
        })
}

/// Who supports an accusation of any group, and which probes answer contacts.
fn compare_looked_up(ledger: &Ledger) -> Result<(), TestCaseError> {
    let Findings { frame, attribution, .. } = &Findings::new(ledger);
    let Attribution { groups, cases, .. } = attribution;
    let some: HashSet<usize> = cases.iter().flat_map(|c| c.campaigns.iter().flatten()).copied().step_by(2).collect();
    let list: Vec<usize> = some.iter().copied().collect();
    for group in 0..groups.list.len() {
        let explains = Explains { group, window: group % WINDOWS.len() };
        let shares = rank::shares(frame, groups, cases, explains);
        for (within, list) in [(None, None), (Some(&some), Some(&list[..]))] {
            prop_assert_eq!(rank::hitting(cases, &shares, within), hitting(frame, groups, cases, explains, list));
        }
    }
    for row in ledger.probes() {
        prop_assert_eq!(frame.is_answer_to_contact(row), is_answer_to_contact(frame, row));
    }
    Ok(())
}
