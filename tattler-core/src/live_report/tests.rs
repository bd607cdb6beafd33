use std::time::{Duration, Instant};

use homes::{HomePlan, HomeSize, SimulatedHome};
use proptest::prelude::*;
use sensor_common::{Kind, Proto};

use super::*;
use crate::attribution::tests::{observe, small_home};
use crate::explain::explain;
use crate::forget::Forget;
use crate::ledger::LedgerSettings;
use crate::ledger::tests::any_observation;
use crate::observation::{Contact, Observation, Probe};
use crate::report::report;
use crate::report::tests::january_2016;
use crate::time::Span;

const ALL: ReportOptions = ReportOptions { top: 0 };

fn two_harvesters(seed: u64) -> Vec<Observation> {
    observe(&SimulatedHome::new(&small_home(12, &[0.4, 0.2]), "live report", seed))
}

/// Updates the live report and returns it.
fn now(live: &mut LiveReport, ledger: &mut Ledger) -> Report {
    live.follow(ledger, Time(0));
    live.report(&ALL)
}

/// Removes or changes rows of a ledger.
fn disturb(ledger: &mut Ledger, how: u8, observation: &Observation) {
    let at = observation.ts();
    let address = match observation {
        Observation::Contact(contact) => contact.local,
        Observation::Probe(probe) => probe.target,
        Observation::Answer(answer) => answer.target,
    };
    let prefix = ipnet::Ipv6Net::new(address, 126).unwrap().trunc();
    match how {
        0 => ledger.prune(at),
        1 => _ = ledger.forget(&Forget { prefix: Some(prefix), ..Forget::default() }),
        2 => _ = ledger.forget(&Forget { before: Some(at), ..Forget::default() }),
        3 => ledger.home_is(|other| !prefix.contains(&other), at),
        4 => ledger.home_is(|other| other != address, at),
        5 => ledger.belongs_to(address, ["phone", "laptop", "printer"][usize::from(address.octets()[15] % 3)]),
        6 => ledger.mark_temporary(address, at),
        7 => ledger.mark_stable(address, at),
        8 => ledger.set_public(vec![prefix]),
        9 => ledger.set_window(Span::from_seconds(300), at),
        _ => {}
    }
}

proptest! {
    #[test]
    fn it_equals_a_fresh_report_after_any_changes(
        observations in prop::collection::vec((any_observation(), 0..40u8), 0..150),
        every in 1..20usize,
        bounds in prop_oneof![Just((3, 5, 5)), Just((100, 1_000, 1_000))],
        window in prop::option::of(0..1_000i64),
    ) {
        let (max_locals, max_contacts, max_probes) = bounds;
        let window = window.map(Span::from_seconds);
        let mut ledger =
            Ledger::new(LedgerSettings { max_locals, max_contacts, max_probes, window, ..LedgerSettings::default() });
        let mut live = LiveReport::default();
        for (i, (observation, how)) in observations.iter().enumerate() {
            ledger.observe(observation);
            disturb(&mut ledger, *how, observation);
            if i % every == 0 {
                prop_assert_eq!(now(&mut live, &mut ledger), report(&ledger, &ALL));
            }
        }
        prop_assert_eq!(now(&mut live, &mut ledger), report(&ledger, &ALL));
    }
}

#[test]
fn it_equals_a_fresh_report_while_a_home_grows() {
    for (seed, every) in [(1, 97), (2, 211), (3, 400)] {
        let observations = two_harvesters(seed);
        let mut ledger = Ledger::new(LedgerSettings::live());
        let mut live = LiveReport::default();
        for (i, observation) in observations.iter().enumerate() {
            ledger.observe(observation);
            if i % every == 0 {
                assert_eq!(now(&mut live, &mut ledger), report(&ledger, &ALL), "after {i}");
                // Make changes that packets do not cause.
                disturb(&mut ledger, [3, 5, 5, 5, 7, 6][i / every % 6], &observations[i / 2]);
                assert_eq!(now(&mut live, &mut ledger), report(&ledger, &ALL), "disturbed after {i}");
            }
            if i % (7 * every) == 0 {
                ledger.prune(observation.ts());
            }
        }
        let at_last = now(&mut live, &mut ledger);
        assert_eq!(at_last, report(&ledger, &ALL));
        for candidate in at_last.candidates.iter().take(5) {
            assert_eq!(live.explain(candidate.prefix), explain(&ledger, candidate.prefix));
        }
    }
}

#[test]
fn two_copies_of_one_ledger_do_not_take_from_each_other() {
    let (mut ledger, mut a, mut b) =
        (Ledger::new(LedgerSettings::live()), LiveReport::default(), LiveReport::default());
    for (i, observation) in january_2016().iter().enumerate() {
        ledger.observe(observation);
        let live = if i % 3 == 0 { &mut a } else { &mut b };
        assert_eq!(now(live, &mut ledger), report(&ledger, &ALL));
    }
    assert_eq!(now(&mut a, &mut ledger), now(&mut b, &mut ledger));
}

/// A ledger of two harvesters, and the live report of this ledger.
fn known() -> (Ledger, LiveReport) {
    let mut ledger = Ledger::new(LedgerSettings::live());
    two_harvesters(1).iter().for_each(|observation| ledger.observe(observation));
    let mut live = LiveReport::default();
    now(&mut live, &mut ledger);
    (ledger, live)
}

/// The unprobed local that was used last, and the time of the last observation.
fn somebody(ledger: &Ledger) -> (Ipv6Addr, Time) {
    let spared = |local: &&crate::ledger::Local| ledger.probes().iter().all(|row| row.target != local.address);
    let local = ledger.locals().iter().filter(spared).max_by_key(|local| local.used).unwrap();
    (ledger.address(local.address), ledger.span().unwrap().1)
}

fn contact(ledger: &Ledger, remote: &str) -> Observation {
    let (local, at) = somebody(ledger);
    Observation::Contact(Contact::new(at, local, remote.parse().unwrap(), Proto::Tcp, 443))
}

fn probe(ledger: &Ledger) -> Observation {
    let (target, at) = somebody(ledger);
    let source = ledger.address(ledger.probes()[0].source);
    Observation::Probe(Probe::new(at, source, target, Kind::Syn, 22))
}

/// A repeated exchange of a local without probes.
fn refresh(ledger: &Ledger) -> Observation {
    let (local, ts) = somebody(ledger);
    let id = ledger.id(local).unwrap();
    let row = ledger.contacts().iter().find(|row| row.local == id).unwrap();
    Observation::Contact(Contact::new(ts, local, ledger.address(row.remote), row.proto, row.port))
}

#[test]
fn an_update_compares_only_what_an_event_can_change() {
    let (mut ledger, mut live) = known();
    let (refresh, contact, probe) = (refresh(&ledger), contact(&ledger, "2a05:ffff::1"), probe(&ledger));
    let mut after = |event: Option<Observation>| {
        event.iter().for_each(|event| ledger.observe(event));
        let (updates, before) = live.cost();
        let report = now(&mut live, &mut ledger);
        assert_eq!(report, crate::report::report(&ledger, &ALL));
        let (later, counts) = live.cost();
        (later - updates, counts.compared - before.compared, counts.reused - before.reused)
    };
    assert_eq!(after(None), (0, 0, 0), "nothing came");
    let (updates, compared, reused) = after(Some(refresh));
    assert!((updates, compared) == (1, 0) && reused > 0, "a repeated exchange: {compared} of {reused}");
    let stable = "2001:db8:0:1::1".parse().unwrap();
    let at = contact.ts();
    let server = Observation::Contact(Contact::new(at, stable, "2a05::1".parse().unwrap(), Proto::Tcp, 443));
    // This local was used last, so the other locals keep their numbers.
    after(Some(server.clone()));
    let Observation::Contact(server) = server else { unreachable!() };
    let another = Observation::Contact(Contact { remote: "2a05::2".parse().unwrap(), ..server });
    let (updates, compared, reused) = after(Some(another));
    assert!((updates, compared) == (1, 0) && reused > 0, "a local that is not under test: {compared} of {reused}");
    let (updates, compared, reused) = after(Some(probe));
    assert!(updates == 1 && compared > 0 && reused > 0, "a hit is one scanner's: {compared} of {reused}");
    let (updates, compared, _) = after(Some(contact));
    assert!(updates == 1 && compared > 0, "a new contact may be a control's");
}

#[test]
fn it_knows_why_it_is_stale() {
    let (mut ledger, mut live) = known();
    let stale = |live: &LiveReport, ledger: &Ledger| live.stale(ledger.revision());
    assert_eq!(stale(&LiveReport::default(), &ledger), Stale::Evidence, "empty");
    assert_eq!(stale(&live, &ledger), Stale::Not);
    ledger.observe(&contact(&ledger, "2a05:ffff::1"));
    assert_eq!(stale(&live, &ledger), Stale::Contacts);
    ledger.observe(&probe(&ledger));
    assert_eq!(stale(&live, &ledger), Stale::Evidence);
    live.follow(&mut ledger, Time::from_seconds(7));
    assert_eq!((stale(&live, &ledger), live.as_of()), (Stale::Not, Some(Time::from_seconds(7))));
    let seen = ledger.probes()[0].clone();
    let again = Probe::new(seen.last, ledger.address(seen.source), ledger.address(seen.target), seen.kind, seen.port);
    ledger.observe(&Observation::Probe(again));
    assert_eq!(stale(&live, &ledger), Stale::Contacts, "a repeat is no news");
    ledger.forget(&Forget { prefix: Some("2a05::/16".parse().unwrap()), ..Forget::default() });
    assert_eq!(stale(&live, &ledger), Stale::Forgotten);
    live.follow(&mut ledger, Time::from_seconds(8));
    assert!(live.copy.contacts().iter().all(|row| live.copy.address(row.remote).segments()[0] != 0x2a05));
}

#[test]
fn figures_count_the_report_without_acknowledged_rows() {
    let (ledger, mut live) = known();
    let report = report(&ledger, &ALL);
    let count = |figures: &Overview| -> Vec<u64> { figures.by_verdict.iter().map(|row| row.1).collect() };
    let listed: Vec<u64> = Verdict::ALL
        .iter()
        .map(|&verdict| report.candidates.iter().filter(|candidate| candidate.verdict == verdict).count() as u64)
        .collect();
    let figures = live.overview(|_, _| false);
    assert_eq!((count(&figures), figures.campaigns), (listed, report.campaigns.len() as u64));
    let first = &report.candidates[0];
    let acked = live.overview(|members, prefix| members == first.members && prefix == first.prefix);
    assert_eq!(count(&acked).iter().sum::<u64>() + 1, count(&figures).iter().sum::<u64>());
}

#[test]
#[ignore = "prints times; meant for --release"]
fn time_of_an_update() {
    let median = |mut times: Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2]
    };
    for size in [HomeSize::MEDIUM, HomeSize::LARGE] {
        let observations = observe(&SimulatedHome::new(&HomePlan::base(size), "time", 1));
        let mut ledger = Ledger::new(LedgerSettings::live());
        let mut observe_all = || {
            let start = Instant::now();
            observations.iter().for_each(|observation| ledger.observe(observation));
            start.elapsed() / observations.len() as u32
        };
        observe_all();
        let alone = median((0..9).map(|_| observe_all()).collect());
        let mut live = LiveReport::default();
        let with_copy = (0..9).map(|_| {
            live.follow(&mut ledger, Time(0));
            let start = Instant::now();
            observations.iter().for_each(|observation| ledger.observe(observation));
            start.elapsed() / observations.len() as u32
        });
        let with_copy = median(with_copy.collect());
        live.follow(&mut ledger, Time(0));
        live.update();
        println!(
            "{} locals, {} contacts: an event {alone:?} alone, {with_copy:?} with a copy",
            size.addresses(),
            ledger.contacts().len()
        );
        let fresh = (0..9).map(|_| {
            let start = Instant::now();
            assert!(report(&ledger, &ReportOptions::default()).locals > 0);
            start.elapsed()
        });
        println!("  a fresh report, all of it with the lock held: {:?}", median(fresh.collect()));
        let mut serial = 0;
        for what in ["refresh", "contact", "hit"] {
            let (mut held, mut worked, mut answered, mut compared) = (Vec::new(), Vec::new(), Vec::new(), 0);
            for _ in 0..9 {
                serial += 1;
                ledger.observe(&match what {
                    "refresh" => refresh(&ledger),
                    "contact" => contact(&ledger, &format!("2a05:ffff::{serial:x}")),
                    _ => probe(&ledger),
                });
                let before = live.cost().1.compared;
                let start = Instant::now();
                live.follow(&mut ledger, Time(0));
                held.push(start.elapsed());
                live.update();
                worked.push(start.elapsed());
                let start = Instant::now();
                live.report(&ReportOptions::default());
                answered.push(start.elapsed());
                compared += live.cost().1.compared - before;
            }
            println!(
                "  after a {what}: lock {:?}, update {:?}, a report from it {:?}; {compared} comparisons in 9",
                median(held),
                median(worked),
                median(answered)
            );
        }
    }
}
