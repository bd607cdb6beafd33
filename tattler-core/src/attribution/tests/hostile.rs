//! Input that no working sensor sends: contradictory, extreme, one-sided. Each test states the defined result.

use std::net::Ipv6Addr;

use homes::SeededRandom;
use sensor_common::{Kind, Proto};

use super::properties::check;
use super::{ledger_of, report_of};
use crate::attribution::Verdict;
use crate::explain::{explain, explanation_text};
use crate::ledger::Ledger;
use crate::observation::{Contact, Observation, Probe};
use crate::report::{Candidate, Report, ReportOptions, report, suspects_table};
use crate::time::{Span, Time};

const DAY: i64 = 86_400;
pub const START: i64 = 1_790_000_000;

pub fn local(n: u64) -> Ipv6Addr {
    Ipv6Addr::from((0x2001_0db8u128 << 96) | u128::from(0xe014_9aff_5e49_0101 ^ n.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

pub fn remote(n: u64) -> Ipv6Addr {
    Ipv6Addr::from((0x2a05_0000_0000_0000u128 + u128::from(n)) << 64 | 0x80)
}

/// The source with number `n`. Each source is in its own network, in a different /32.
pub fn source(n: u64) -> Ipv6Addr {
    Ipv6Addr::from((0x2a0d_5600u128 + u128::from(n)) << 96 | 0x29)
}

pub const HARVESTER: u64 = 900;

pub fn contact(at: Time, local: Ipv6Addr, remote: Ipv6Addr) -> Observation {
    Observation::Contact(Contact::new(at, local, remote, Proto::Tcp, 443))
}

pub fn probe(at: Time, source: Ipv6Addr, target: Ipv6Addr) -> Observation {
    Observation::Probe(Probe::new(at, source, target, Kind::Syn, 22))
}

/// 36 locals, each in use for a day. Every third local contacts the harvester and is probed half a minute later.
/// `clock` maps the true time to the time of the sensor's clock.
pub fn home(clock: impl Fn(i64) -> Time) -> Vec<Observation> {
    let mut all = Vec::new();
    for n in 0..36u64 {
        let at = START + n as i64 * 20_000;
        all.extend((0..8).map(|k| contact(clock(at + 900 * k as i64), local(n), remote((n * 7 + k * k) % 40))));
        if n % 3 == 0 {
            all.push(contact(clock(at + 5_000), local(n), remote(HARVESTER)));
            all.push(probe(clock(at + 5_030), source(0), local(n)));
        }
    }
    all
}

pub fn of(report: &Report, remote: Ipv6Addr) -> Option<&Candidate> {
    report.candidates.iter().find(|c| c.members.contains(&remote))
}

pub fn accused(report: &Report) -> Vec<Ipv6Addr> {
    report.candidates.iter().filter(|c| c.verdict.accuses()).flat_map(|c| c.members.clone()).collect()
}

/// Makes the report, checks every number in it, and makes every text.
fn sound(ledger: &Ledger) -> Report {
    let all = report(ledger, &ReportOptions { top: 0 });
    check(&all).unwrap();
    assert!(suspects_table(&all).lines().count() >= 1);
    for candidate in all.candidates.iter().take(5) {
        assert!(!explanation_text(&explain(ledger, candidate.members[0])).is_empty());
    }
    all
}

fn sound_of(all: &[Observation]) -> Report {
    sound(&ledger_of(all))
}

#[test]
fn in_the_home_of_these_tests_the_harvester_is_accused() {
    let report = sound_of(&home(Time::from_seconds));
    assert_eq!((report.probed_locals, accused(&report)), (12, vec![remote(HARVESTER)]), "{report:#?}");
}

/// A probe before every contact of its target hits an unused address: it is a stray, not evidence. With equal times,
/// there is no earlier contact.
#[test]
fn probes_before_or_at_the_first_contact_are_no_exact_hits() {
    for back in [0, 1, 10 * DAY] {
        let mut all = home(Time::from_seconds);
        all.retain(|o| matches!(o, Observation::Contact(_)));
        for n in 0..36 {
            let first = all.iter().filter_map(|o| match o {
                Observation::Contact(c) if c.local == local(n) => Some(c.ts),
                _ => None,
            });
            let at = first.min().unwrap() - Span::from_seconds(back);
            all.push(probe(at, source(0), local(n)));
        }
        let report = sound_of(&all);
        assert_eq!((report.probed_locals, report.candidates.len(), report.unexplained_share), (0, 0, None));
    }
}

/// A time of `last` before `ts` counts as `ts`.
#[test]
fn a_contact_that_ends_before_it_begins_ends_when_it_begins() {
    let mut all = home(Time::from_seconds);
    for observation in &mut all {
        if let Observation::Contact(c) = observation {
            c.last = Time(i64::MIN);
        }
    }
    assert_eq!(report_of(&all), report_of(&home(Time::from_seconds)));
}

/// All observations have the same time: there is no order, so there is no evidence.
#[test]
fn equal_times_everywhere_accuse_nobody() {
    for at in [0, START * 1_000_000, i64::MAX, i64::MIN] {
        let report = sound_of(&home(|_| Time(at)));
        assert_eq!((report.locals, report.probed_locals, report.candidates.len()), (36, 0, 0));
        let (from, to) = (report.window.from, report.window.to);
        assert_eq!((from, to), (Some(Time(at)), Some(Time(at))));
    }
}

/// Probes at both ends of time: before all observations (strays), or long after them (expired).
#[test]
fn probes_at_the_ends_of_time_are_strays_or_expired() {
    for end in [i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX] {
        let mut all = home(Time::from_seconds);
        let before = sound_of(&all);
        all.extend((0..36).filter(|n| n % 3 != 0).map(|n| probe(Time(end), source(1), local(n))));
        let after = sound_of(&all);
        assert_eq!((after.probed_locals, accused(&after)), (12, accused(&before)));
    }
}

/// Contacts at both ends of time: their local was in use for longer than a temporary address is valid. The local is
/// stable, and not evidence.
#[test]
fn contacts_at_the_ends_of_time_make_a_local_stable() {
    let mut all = home(Time::from_seconds);
    for n in 0..36 {
        all.push(contact(Time(i64::MIN), local(n), remote(1)));
        all.push(contact(Time(i64::MAX), local(n), remote(2)));
    }
    let report = sound_of(&all);
    assert_eq!((report.locals, report.probed_locals, report.candidates.len()), (36, 0, 0));
}

/// The clock steps by years, forwards or back, between two locals: the order within each local stays, and so does the
/// suspect. A step during a local's use splits its observations: its contacts and its probe are in the wrong order or
/// years apart, and only this local is no longer evidence.
#[test]
fn a_clock_that_steps_by_years_between_locals_leaves_the_suspect() {
    let step_at = START + 18 * 20_000 - 100;
    for step in [3_650 * DAY, 30 * DAY, -30 * DAY, -3_650 * DAY, i64::MAX / 2_000_000] {
        let clock = |at: i64| Time::from_seconds(if at < step_at { at } else { at.saturating_add(step) });
        let report = sound_of(&home(clock));
        assert_eq!((report.probed_locals, accused(&report)), (12, vec![remote(HARVESTER)]), "step {step}: {report:#?}");
    }
}

#[test]
fn a_clock_that_steps_within_a_life_loses_only_that_local() {
    // The step comes after local 18 has contacted other remotes and the harvester.
    let step_at = START + 18 * 20_000 + 5_010;
    for step in [3_650 * DAY, -3_650 * DAY, -DAY] {
        let clock = |at: i64| Time::from_seconds(if at < step_at { at } else { at + step });
        let report = sound_of(&home(clock));
        assert_eq!((report.probed_locals, accused(&report)), (11, vec![remote(HARVESTER)]), "step {step}: {report:#?}");
    }
    // A step of a second back does not change the order, since the probe comes after 30 s: the evidence stays.
    let clock = |at: i64| Time::from_seconds(if at < step_at { at } else { at - 1 });
    assert_eq!(sound_of(&home(clock)).probed_locals, 12);
}

/// A local that other locals contact is a remote too. The two roles are independent. The same holds for a local that
/// contacts or probes itself, and for a source inside the home.
#[test]
fn an_address_can_be_local_and_remote() {
    let mut all = home(Time::from_seconds);
    for n in 0..36u64 {
        let at = |more: i64| Time::from_seconds(START + n as i64 * 20_000 + more);
        all.push(contact(at(10), local(n), local((n + 1) % 36)));
        all.push(contact(at(11), local(n), local(n)));
        all.push(probe(at(8_000), local(n), local(n)));
        all.push(probe(at(8_001), local((n + 5) % 36), local(n)));
        all.push(contact(at(8_002), source(0), local(n)));
    }
    let report = sound_of(&all);
    assert_eq!(of(&report, remote(HARVESTER)).map(|c| c.verdict.accuses()), Some(true), "{report:#?}");
    assert_eq!(accused(&report), [remote(HARVESTER)]);
    let neighbour = of(&report, local(1)).expect("a local that others contacted is a candidate like any remote");
    assert!(!neighbour.verdict.accuses());
}

/// The report on a window without probes or contacts has one clear line and no candidate.
#[test]
fn windows_without_probes_or_contacts_say_so() {
    let (contacts, probes): (Vec<_>, Vec<_>) =
        home(Time::from_seconds).into_iter().partition(|o| matches!(o, Observation::Contact(_)));
    for (all, locals) in [(vec![], 0), (contacts, 36), (probes, 0)] {
        let report = sound_of(&all);
        assert_eq!((report.locals, report.probed_locals, report.candidates.len()), (locals, 0, 0));
        assert_eq!(report.unexplained_share, None);
        let text = suspects_table(&report);
        assert!(text.contains("nothing to explain"), "{text}");
        assert!(text.starts_with(&format!("{locals} ")), "{text}");
    }
}

/// One local proves nothing, whatever its observations. The same holds for one remote that all locals contacted.
#[test]
fn one_local_and_one_remote_accuse_nobody() {
    let one_local: Vec<Observation> = (0..100)
        .flat_map(|n| {
            let at = |more| Time::from_seconds(START + n * 600 + more);
            [contact(at(0), local(1), remote(n as u64)), probe(at(5), source(n as u64 % 3), local(1))]
        })
        .collect();
    let report = sound_of(&one_local);
    assert_eq!((report.locals, report.probed_locals, accused(&report).len()), (1, 1, 0), "{report:#?}");

    // The lag is always the same, but a comparison is impossible: this was the only remote.
    let one_remote: Vec<Observation> = (0..100)
        .flat_map(|n| {
            let at = |more| Time::from_seconds(START + n as i64 * 600 + more);
            [contact(at(0), local(n), remote(1)), probe(at(5), source(0), local(n))]
        })
        .collect();
    let report = sound_of(&one_remote);
    assert_eq!((report.probed_locals, report.candidates.len(), accused(&report).len()), (100, 1, 0), "{report:#?}");
    assert_eq!(report.candidates[0].verdict, Verdict::NotIdentifiable);
}

/// Every local is probed long after its contacts: each local can be compared only with locals that are still unprobed.
#[test]
fn if_all_locals_are_probed_at_random_times_nobody_is_accused() {
    for seed in 1..=20 {
        let mut random = SeededRandom::new("hostile", 0, seed);
        let mut all = home(Time::from_seconds);
        all.retain(|o| matches!(o, Observation::Contact(_)));
        for n in 0..36u64 {
            let at = START + n as i64 * 20_000 + 8_000 + random.below(10_000) as i64;
            all.push(probe(Time::from_seconds(at), source(0), local(n)));
        }
        let report = sound_of(&all);
        assert_eq!((report.probed_locals, accused(&report).len()), (36, 0), "seed {seed}: {report:#?}");
    }
}

/// All locals contacted the remote before they were probed: it is not identifiable, however many locals there are.
#[test]
fn a_remote_that_everybody_contacts_is_not_identifiable() {
    let mut all = home(Time::from_seconds);
    for n in 0..36u64 {
        all.push(contact(Time::from_seconds(START + n as i64 * 20_000 - 500), local(n), remote(77)));
    }
    let report = sound_of(&all);
    assert_eq!(of(&report, remote(77)).map(|c| c.verdict), Some(Verdict::NotIdentifiable), "{report:#?}");
    assert_eq!(accused(&report), [remote(HARVESTER)]);
}

/// The observations name different devices for the same local: the last device counts, and the suspect stays.
#[test]
fn devices_that_contradict_each_other_do_not_save_a_harvester() {
    let mut all = home(Time::from_seconds);
    for (i, observation) in all.iter_mut().enumerate() {
        match observation {
            Observation::Contact(c) => c.device = Some(format!("device {}", i % 11)),
            Observation::Probe(p) => p.device = Some(format!("device {}", i % 7)),
            Observation::Answer(_) => {}
        }
    }
    let report = sound_of(&all);
    assert_eq!(accused(&report), [remote(HARVESTER)], "{report:#?}");
    // Each packet names a new device: far more names than the devices of a home.
    let mut many = home(Time::from_seconds);
    for (i, observation) in many.iter_mut().enumerate() {
        if let Observation::Contact(c) = observation {
            c.device = Some(format!("device {i}"));
        }
    }
    assert_eq!(accused(&sound_of(&many)), [remote(HARVESTER)]);
}

/// Forged sources, each in another network, probe one target: this is still one exact hit.
#[test]
fn a_flood_of_forged_sources_accuses_and_hides_nobody() {
    let flood = |all: &mut Vec<Observation>, target| {
        let at = START + target as i64 * 20_000 + 6_000;
        all.extend((0..5_000).map(|n| probe(Time(at * 1_000_000 + n as i64), source(10 + n), local(target))));
    };
    let mut clean = home(Time::from_seconds);
    clean.retain(|o| matches!(o, Observation::Contact(_)));
    flood(&mut clean, 4);
    let report = sound_of(&clean);
    assert_eq!((report.probed_locals, accused(&report).len()), (1, 0));
    for target in [3, 4] {
        let mut all = home(Time::from_seconds);
        flood(&mut all, target);
        assert_eq!(accused(&sound_of(&all)), [remote(HARVESTER)], "target {target}");
    }
}
