//! Properties of every report: the accused do not depend on addresses, on order, on repeats, or on observations that
//! are unrelated to the probes.

use std::collections::HashMap;
use std::net::Ipv6Addr;

use homes::{Background, HarvesterPlan, HomePlan, LeakPlan, SeededRandom, SimulatedHome};
use proptest::prelude::*;
use sensor_common::{IidClass, Kind, Proto};

use super::{ledger_of, observe, report_of, small_home};
use crate::attribution::Verdict;
use crate::campaign::catalogue;
use crate::explain::{explain, explanation_text};
use crate::ledger::tests::any_observation;
use crate::observation::{Contact, Observation, Probe};
use crate::report::{Candidate, Report, ReportOptions, report, suspects_table};
use crate::time::{Span, Time};

/// A small home. The output of a failing test includes the kind and the seed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Home(usize, u32);

impl Home {
    fn simulate(self) -> SimulatedHome {
        let one = small_home(6, &[0.4]);
        let background = |share| Background { share, ..Background::BASE };
        let plan = match self.0 {
            0 => one,
            1 => {
                let third_parties = |harvester: &HarvesterPlan| HarvesterPlan {
                    leak: LeakPlan::First(0.5),
                    companions: 3,
                    companions_elsewhere: 0.07,
                    ..*harvester
                };
                HomePlan { harvesters: one.harvesters.iter().map(third_parties).collect(), ..one }
            }
            2 => HomePlan { background: background(0.2), ..small_home(6, &[0.4, 0.3]) },
            3 => HomePlan { background: background(0.5), unevenness: 0.9, ..small_home(6, &[]) },
            // Same pace as the lab: a day takes 40 seconds.
            _ => HomePlan { pace: 40.0 / 86_400.0, ..small_home(6, &[0.5, 0.5]) },
        };
        SimulatedHome::new(&plan, "properties", u64::from(self.1))
    }

    pub(super) fn observations(self) -> Vec<Observation> {
        observe(&self.simulate())
    }
}

/// Homes of different kinds, with and without a harvester.
pub(super) fn any_home() -> impl Strategy<Value = Home> {
    (0..5usize, any::<u32>()).prop_map(|(kind, seed)| Home(kind, seed))
}

/// The values that must not change, as text: all values except addresses and counts of packets. The values are
/// rounded, since another order of addresses changes the order of sums.
fn essence(candidate: &Candidate) -> String {
    let round = |x: Option<f64>| x.map(|x| format!("{:.6}", x + 0.0));
    format!(
        "{:?} score {:?} evidence {:?} leak {:?} {:?} rivals {:?} contacted {} probed {} 2015 {} lag {:?} p {:?}",
        candidate.verdict,
        round(candidate.score),
        round(candidate.evidence),
        round(candidate.leak_probability),
        candidate.leak_interval_95.map(|[low, high]| [round(Some(low)), round(Some(high))]),
        candidate.rivals,
        candidate.contacted,
        candidate.contacted_probed,
        candidate.distinct_count,
        candidate.median_lag_seconds,
        candidate.fisher_p.map(|p| format!("{p:.6e}")),
    )
}

/// The values and members of all candidates, and the order of the candidates, as verdicts and scores. Candidates that
/// only their addresses order may change places.
type Essences = (Vec<(String, Vec<Ipv6Addr>)>, Vec<String>);

fn essences(report: &Report, essence: impl Fn(&Candidate) -> String, name: impl Fn(Ipv6Addr) -> Ipv6Addr) -> Essences {
    let of = |candidate: &Candidate| {
        let mut members: Vec<Ipv6Addr> = candidate.members.iter().map(|&member| name(member)).collect();
        members.sort_unstable();
        (essence(candidate), members)
    };
    let mut all: Vec<_> = report.candidates.iter().map(of).collect();
    all.sort_unstable();
    // All locals may have contacted one of two equal candidates, and not the other.
    let verdict = |c: &Candidate| if c.verdict == Verdict::NotIdentifiable { Verdict::Weak } else { c.verdict };
    let score = |c: &Candidate| format!("{:?} {:?}", verdict(c), c.score.map(|score| format!("{:.6}", score + 0.0)));
    (all, report.candidates.iter().map(score).collect())
}

/// Flips bits of an address after the first `keep`, each by a hash of the bits before it. Addresses that share a prefix
/// then share a prefix of the same length, and other addresses do not (Xu and others 2002).
fn rename(address: Ipv6Addr, keep: u32, key: u64) -> Ipv6Addr {
    let bits = u128::from(address);
    let flipped = (keep..128).filter(|&bit| {
        let before = if bit == 0 { 0 } else { bits >> (128 - bit) };
        let mix = |x: u64| (x ^ (x >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let hash = mix(mix(mix(before as u64 ^ key) ^ (before >> 64) as u64) ^ u64::from(bit));
        hash >> 63 == 1
    });
    Ipv6Addr::from(flipped.fold(bits, |bits, bit| bits ^ 1 << (127 - bit)))
}

/// As `rename`, for a local, which must keep its class: a random identifier gets other masks until it is random again.
fn rename_local(address: Ipv6Addr, key: u64) -> Ipv6Addr {
    let is_random = |address: &Ipv6Addr| {
        let octets = address.octets();
        IidClass::of(&octets) == IidClass::Random && octets[11..13] != [0xff, 0xfe]
    };
    let mut random = SeededRandom::new("rename", 0, key);
    let masks = std::iter::repeat_with(|| random.bits());
    let prefix = rename(address, 48, key).segments()[3];
    let with = |mask: u64| {
        let iid = u128::from(address) as u64 ^ mask;
        Ipv6Addr::from(u128::from(address) >> 80 << 80 | u128::from(prefix) << 64 | u128::from(iid))
    };
    if is_random(&address) { masks.take(1_000).map(with).find(is_random).unwrap_or(address) } else { with(0) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Remotes stay within their /16, and locals within their /48. The catalogue must not know a remote.
    #[test]
    fn renamed_addresses_change_nothing_but_the_names(home in any_home(), key in any::<u64>()) {
        let all = home.observations();
        let mut names: HashMap<Ipv6Addr, Ipv6Addr> = HashMap::new();
        let mut new = |address: Ipv6Addr| {
            let name = if address.segments()[0] == 0x2001 { rename_local(address, key) } else { rename(address, 16, key) };
            names.insert(name, address);
            name
        };
        let mut renamed = all.clone();
        for observation in &mut renamed {
            match observation {
                Observation::Contact(c) => (c.local, c.remote) = (new(c.local), new(c.remote)),
                Observation::Probe(p) => (p.source, p.target) = (new(p.source), new(p.target)),
                Observation::Answer(_) => {}
            }
        }
        prop_assume!(names.iter().flat_map(|(a, b)| [*a, *b]).all(|address| catalogue::operator(address).is_none()));
        let (before, after) = (report_of(&all), report_of(&renamed));
        prop_assert_eq!(essences(&before, essence, |a| a), essences(&after, essence, |a| names[&a]));
        prop_assert_eq!(before.unexplained_share, after.unexplained_share);
        prop_assert_eq!(before.campaigns.len(), after.campaigns.len());
    }

    /// Only TCP and SYN observations: the rule that separates UDP probes from answers depends on the order.
    #[test]
    fn any_order_of_arrival_gives_the_same_report(home in any_home(), key in any::<u64>()) {
        let all = home.observations();
        let mut random = SeededRandom::new("properties", 0, key);
        let mut shuffled = all.clone();
        shuffled.sort_by_cached_key(|_| (random.unit() * 1e9) as u64);
        prop_assert_eq!(report_of(&all), report_of(&shuffled));
        shuffled.sort_by_key(Observation::ts);
        prop_assert_eq!(report_of(&all), report_of(&shuffled));
    }

    /// The order does not matter for streams in which times, addresses and roles collide.
    #[test]
    fn any_order_gives_the_same_report_where_everything_collides(
        all in prop::collection::vec(any_observation(), 0..100), key in any::<u64>(),
    ) {
        let is_tcp = |o: &Observation| match o {
            Observation::Contact(contact) => contact.proto != Proto::Udp,
            Observation::Probe(probe) => probe.kind != Kind::Udp,
            Observation::Answer(answer) => answer.kind != Kind::Udp,
        };
        let all: Vec<Observation> = all.into_iter().filter(is_tcp).collect();
        let mut random = SeededRandom::new("properties", 0, key);
        let mut shuffled = all.clone();
        shuffled.sort_by_cached_key(|_| (random.unit() * 1e9) as u64);
        prop_assert_eq!(report_of(&all), report_of(&shuffled));
    }

    /// The same probe twice means more packets, but the same suspects.
    #[test]
    fn repeated_probes_change_nothing_but_counts(home in any_home(), key in any::<u64>()) {
        let (before, after) = with_repeats(home, key, |o| matches!(o, Observation::Probe(_)));
        prop_assert_eq!(essences(&before, essence, |a| a), essences(&after, essence, |a| a));
        prop_assert_eq!(before.probed_locals, after.probed_locals);
        prop_assert!(before.probes <= after.probes);
    }

    /// The same contact twice looks like a second exchange with the same remote. The model in which each exchange
    /// may leak counts both exchanges. The results of the comparison do not change. A set has the score of its first
    /// member, and the model decides which member is the first. So for sets, the test compares only the members.
    #[test]
    fn repeated_contacts_change_no_score(home in any_home(), key in any::<u64>()) {
        let (before, after) = with_repeats(home, key, |o| matches!(o, Observation::Contact(_)));
        let scores = |report: &Report| {
            let of = |c: &Candidate| {
                let score = c.score.filter(|_| c.members.len() == 1);
                (c.members.clone(), score.map(f64::to_bits))
            };
            let mut all: Vec<_> = report.candidates.iter().map(of).collect();
            all.sort_unstable();
            all
        };
        prop_assert_eq!(scores(&before), scores(&after));
    }

    /// Locals that were never probed also contact remotes that no probed local contacted. They are busier than before,
    /// which shifts the moments at which they are compared, and so the order of candidates that are not accused. But
    /// no candidate is added, no innocent remote is accused, and with ample evidence (all but the harvester that leaks
    /// half of the time among third parties) the harvester stays accused.
    #[test]
    fn remotes_of_unprobed_locals_are_no_candidates(
        home in any_home(), key in any::<u64>(), number in 1..40usize,
    ) {
        let simulated = home.simulate();
        let all = observe(&simulated);
        let (before, after) = (report_of(&all), report_of(&elsewhere(&all, key, number)));
        let members = |report: &Report| {
            let mut all: Vec<Ipv6Addr> = report.candidates.iter().flat_map(|c| c.members.clone()).collect();
            all.sort_unstable();
            all
        };
        prop_assert_eq!(members(&before), members(&after));
        let (before, after) = (accused(&before), accused(&after));
        let is_true = |suspect: &Vec<Ipv6Addr>| {
            simulated.truth.harvesters.iter().any(|true_one| suspect.iter().any(|it| true_one.addresses.contains(it)))
        };
        for suspect in after.iter().filter(|suspect| !before.contains(suspect)) {
            prop_assert!(is_true(suspect), "{suspect:?} was not accused before");
        }
        if home.0 != 1 {
            prop_assert!(before.iter().filter(|s| is_true(s)).all(|s| after.contains(s)), "{before:?}, then {after:?}");
        }
    }

    /// Additional guessable locals, which are not evidence, do not change the result either.
    #[test]
    fn contacts_of_guessable_locals_change_nothing(home in any_home(), key in any::<u64>(), number in 1..100usize) {
        let all = home.observations();
        let mut random = SeededRandom::new("properties", 0, key);
        let contacts: Vec<&Contact> =
            all.iter().filter_map(|o| if let Observation::Contact(c) = o { Some(c) } else { None }).collect();
        let mut more = all.clone();
        more.extend((0..number).map(|_| {
            let local = Ipv6Addr::from((0x2001_0db8_0000_0001u128 << 64) | (1 + random.below(9) as u128));
            Observation::Contact(Contact { local, ..contacts[random.below(contacts.len())].clone() })
        }));
        let (before, after) = (report_of(&all), report_of(&more));
        prop_assert_eq!(before.candidates, after.candidates);
        prop_assert_eq!(before.campaigns, after.campaigns);
    }

    /// Another address is used for one contact with the suspect, and the same scanner probes it at a usual lag.
    #[test]
    fn another_probed_local_never_lowers_its_only_contact(
        seed in any::<u32>(), lag in 1..60i64, when in 0.0..1.0f64,
    ) {
        let home = Home(0, seed).simulate();
        let mut all = observe(&home);
        let Some(tip) = home.tips.iter().find(|tip| tip.by.is_some()) else { return Ok(()) };
        let (harvester, target) = (*home.truth.harvesters[0].addresses.first().unwrap(), home.lives[tip.life].address);
        let source = home.probes.iter().find(|probe| probe.at == tip.at && probe.target == target).unwrap().source;
        let place = |report: &Report| {
            let suspect = report.candidates.iter().find(|c| c.members.contains(&harvester));
            suspect.map_or((usize::MAX, false), |c| (c.rank as usize, c.verdict.accuses()))
        };
        let before = place(&report_of(&all));
        let (from, to) = (all[0].ts(), all[all.len() - 1].ts());
        let at = from + Span((when * (to - from).0 as f64) as i64);
        let local: Ipv6Addr = "2001:db8:1:0:e014:9aff:5e49:ecb3".parse().unwrap();
        all.push(Observation::Contact(Contact::new(at, local, harvester, Proto::Tcp, 443)));
        let probe = Probe::new(at + Span::from_seconds(lag), source, local, Kind::Syn, 22);
        all.push(Observation::Probe(probe));
        let after = place(&report_of(&all));
        prop_assert!(after.0 <= before.0, "rank {before:?} became {after:?}");
        prop_assert!(after.1 || !before.1, "accused no more: {before:?} became {after:?}");
    }

    /// For any observations every number of the contract is in its range, and every remote can be explained.
    #[test]
    fn every_number_is_in_its_range_for_any_observations(
        all in prop::collection::vec(any_observation(), 0..120), strange in any::<bool>(),
    ) {
        let mut ledger = ledger_of(&all);
        if strange {
            let address = |n: u64| Ipv6Addr::from((0x2001_0db8u128 << 96) | u128::from(0x1234_5678_9abc_def0 + n));
            ledger.mark_temporary(address(2), Time(i64::MAX));
            ledger.mark_stable(address(3), Time(i64::MIN));
            let gone: ipnet::Ipv6Net = "2001:db8::/127".parse().unwrap();
            ledger.home_is(|address| !gone.contains(&address), Time(0));
        }
        check(&report(&ledger, &ReportOptions { top: 0 }))?;
        for n in 0..6u64 {
            let iid = if n < 2 { n } else { 0x1234_5678_9abc_def0 + n };
            let remote = Ipv6Addr::from((0x2001_0db8u128 << 96) | u128::from(iid));
            let explanation = explain(&ledger, remote);
            prop_assert!(!explanation_text(&explanation).is_empty());
            let text = serde_json::to_string(&explanation).unwrap();
            prop_assert!(serde_json::from_str::<crate::explain::Explanation>(&text).is_ok(), "{}", text);
        }
        prop_assert!(!explanation_text(&explain(&ledger, "::/0".parse::<ipnet::Ipv6Net>().unwrap())).is_empty());
    }

    #[test]
    fn every_number_of_a_network_is_in_its_range(home in any_home()) {
        let all = home.observations();
        check(&report_of(&all))?;
    }
}

fn accused(report: &Report) -> Vec<Vec<Ipv6Addr>> {
    report.candidates.iter().filter(|c| c.verdict.accuses()).map(|c| c.members.clone()).collect()
}

/// Two reports: without and with repeats of about half of the observations that `which` selects.
fn with_repeats(home: Home, key: u64, which: impl Fn(&Observation) -> bool) -> (Report, Report) {
    let all = home.observations();
    let mut random = SeededRandom::new("properties", 0, key);
    let mut twice = all.clone();
    twice.extend(all.iter().filter(|o| which(o) && random.unit() < 0.5).cloned());
    (report_of(&all), report_of(&twice))
}

/// Adds contacts of unprobed locals with `number` remotes that no other local contacts.
fn elsewhere(all: &[Observation], key: u64, number: usize) -> Vec<Observation> {
    let target = |o: &Observation| if let Observation::Probe(p) = o { Some(p.target) } else { None };
    let probed: Vec<Ipv6Addr> = all.iter().filter_map(target).collect();
    let spared = |o: &Observation| match o {
        Observation::Contact(c) if !probed.contains(&c.local) => Some((c.ts, c.local)),
        _ => None,
    };
    let visits: Vec<(Time, Ipv6Addr)> = all.iter().filter_map(spared).collect();
    let mut random = SeededRandom::new("properties", 0, key);
    let mut more = all.to_vec();
    if !visits.is_empty() {
        more.extend((0..3 * number).map(|_| {
            let (at, local) = visits[random.below(visits.len())];
            let remote = Ipv6Addr::from((0x2a07u128 << 112) | (random.below(number) as u128) << 80 | 1);
            let at = at + Span((random.unit() * 1e6) as i64);
            Observation::Contact(Contact::new(at, local, remote, Proto::Tcp, 443))
        }));
    }
    more
}

/// Checks that the numbers are in the ranges of the contract.
pub(super) fn check(report: &Report) -> Result<(), TestCaseError> {
    let share = |x: Option<f64>| x.is_none_or(|x| (0.0..=1.0).contains(&x));
    prop_assert!(share(report.unexplained_share), "{:?}", report.unexplained_share);
    prop_assert!(report.probed_locals <= report.locals);
    for (i, candidate) in report.candidates.iter().enumerate() {
        prop_assert_eq!(candidate.rank, i as u64 + 1);
        prop_assert!(!candidate.members.is_empty());
        prop_assert!(share(candidate.probability) && share(candidate.leak_probability), "{candidate:?}");
        prop_assert!(share(candidate.fisher_p), "{candidate:?}");
        prop_assert!(candidate.contacted_probed <= candidate.contacted, "{candidate:?}");
        prop_assert!(candidate.explained_locals <= candidate.contacted_probed, "{candidate:?}");
        prop_assert!(candidate.median_lag_seconds.is_none_or(|lag| lag > 0.0), "{candidate:?}");
        prop_assert!(candidate.score.is_none_or(f64::is_finite) && candidate.evidence.is_none_or(f64::is_finite));
        prop_assert_eq!(candidate.leak_interval_95.is_some(), candidate.leak_probability.is_some());
        if let (Some([low, high]), Some(leak)) = (candidate.leak_interval_95, candidate.leak_probability) {
            prop_assert!(share(Some(low)) && share(Some(high)), "{candidate:?}");
            prop_assert!(low <= leak && leak <= high, "{candidate:?}");
        }
    }
    let text = serde_json::to_string(report).unwrap();
    let back: Report = serde_json::from_str(&text).unwrap();
    prop_assert_eq!(serde_json::to_string(&back).unwrap(), text);
    prop_assert!(!suspects_table(report).is_empty());
    Ok(())
}
