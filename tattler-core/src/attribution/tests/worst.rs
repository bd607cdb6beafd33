//! The time of the worst input: the sizes and shapes with the highest cost. Debug builds are ten to twenty times
//! slower than release builds.

use std::time::{Duration, Instant};

use homes::SeededRandom;

use super::hostile::{HARVESTER, START, accused, contact, home, local, of, probe, remote, source};
use super::properties::check;
use crate::attribution::Verdict;
use crate::ledger::{Ledger, LedgerSettings};
use crate::observation::Observation;
use crate::report::{Report, ReportOptions, report};
use crate::time::Time;

/// The longest permitted time for a report. A report takes some seconds in a release build on an idle core, and ten to
/// twenty times as long in a debug build. The rest is a margin for busy machines.
const LIMIT: Duration = Duration::from_secs(60);

fn seconds(at: i64) -> Time {
    Time::from_seconds(START + at)
}

fn timed(name: &str, all: impl Iterator<Item = Observation>, settings: LedgerSettings) -> Report {
    let mut ledger = Ledger::new(settings);
    let start = Instant::now();
    all.for_each(|o| ledger.observe(&o));
    let observed = start.elapsed();
    let start = Instant::now();
    let report = report(&ledger, &ReportOptions { top: 0 });
    let took = start.elapsed();
    println!(
        "{name}: {} locals, {} contacts, {} probes, {} campaigns listed; observe {observed:?}, report {took:?}, peak {}",
        ledger.locals().len(),
        ledger.contacts().len(),
        ledger.probes().len(),
        report.campaigns.len(),
        peak(),
    );
    check(&report).unwrap();
    assert!(took < LIMIT, "{name}: {took:?}");
    report
}

/// A random time within a day after `from`.
fn within_a_day(random: &mut SeededRandom, from: i64) -> Time {
    seconds(from + random.below(80_000) as i64)
}

/// Contacts of a local with random remotes.
fn contacts(random: &mut SeededRandom, of: u64, from: i64, count: usize, remotes: usize) -> Vec<Observation> {
    (0..count).map(|_| contact(within_a_day(random, from), local(of), remote(random.below(remotes) as u64))).collect()
}

#[test]
fn ten_thousand_campaigns_take_seconds_and_accuse_nobody() {
    let mut random = SeededRandom::new("worst", 0, 1);
    let mut all = Vec::new();
    for n in 0..2_000u64 {
        all.extend((0..5).map(|k| contact(seconds(n as i64 * 60 + k), local(n), remote(random.below(300) as u64))));
    }
    for n in 0..10_000u64 {
        let target = random.below(2_000) as u64;
        all.push(probe(within_a_day(&mut random, target as i64 * 60 + 10), source(n), local(target)));
    }
    let report = timed("10,000 campaigns", all.into_iter(), LedgerSettings::default());
    assert_eq!((report.campaigns.len(), accused(&report).len()), (1_000, 0), "the bound of the list");
}

#[test]
fn a_local_with_a_hundred_thousand_remotes_takes_seconds() {
    let wide =
        (0..100_000u64).map(|n| contact(Time(START * 1_000_000 + n as i64 * 1_000), local(5_000), remote(1_000 + n)));
    let others = home(Time::from_seconds).into_iter();
    let hit = [probe(seconds(50_000), source(0), local(5_000))];
    let report = timed("100,000 remotes", wide.chain(others).chain(hit), LedgerSettings::default());
    assert_eq!(accused(&report), [remote(HARVESTER)], "only the harvester");
}

#[test]
fn a_remote_that_a_hundred_thousand_locals_contact_takes_seconds() {
    let all = (0..100_000u64).flat_map(|n| {
        let at = n as i64 * 5;
        let own = [contact(seconds(at), local(n), remote(1)), contact(seconds(at + 60), local(n), remote(2 + n % 500))];
        let hit = (n % 100 == 0).then(|| probe(seconds(at + 1_000), source(n % 3), local(n)));
        own.into_iter().chain(hit)
    });
    let report = timed("100,000 locals", all, LedgerSettings::default());
    assert_eq!((report.locals, report.probed_locals), (100_000, 1_000));
    assert_eq!(of(&report, remote(1)).map(|c| c.verdict), Some(Verdict::NotIdentifiable));
}

/// A hundred scanners that each probe every local, and a hundred scanners that three harvesters feed.
#[test]
#[ignore = "meant for --release: prints time and memory"]
fn a_hundred_scanners_of_1500_locals() {
    let mut random = SeededRandom::new("worst", 0, 1);
    let (mut all, mut fed) = (Vec::new(), Vec::new());
    for n in 0..1_500u64 {
        let from = n as i64 * 2_000;
        all.extend(contacts(&mut random, n, from, 40, 2_000));
        all.extend((0..100).map(|s| probe(within_a_day(&mut random, from + 20_000), source(s), local(n))));
        fed.extend(contacts(&mut random, n, from, 40, 2_000));
        if n % 4 < 3 {
            let met = from + random.below(80_000) as i64;
            fed.push(contact(seconds(met), local(n), remote(HARVESTER + 5_000 + n % 4)));
            fed.extend((0..100).map(|s| probe(seconds(met + 30 + s as i64), source(s), local(n))));
        }
    }
    timed("100 scanners that know every local", all.into_iter(), LedgerSettings::default());
    let mut accused = accused(&timed("100 scanners of one feed", fed.into_iter(), LedgerSettings::default()));
    accused.sort_unstable();
    assert_eq!(accused, [0, 1, 2].map(|n| remote(HARVESTER + 5_000 + n)), "each by the rounds of many scanners");
}

/// More locals than the ledger keeps: it evicts the locals used longest ago. Then as many locals in a larger ledger.
#[test]
#[ignore = "meant for --release: prints time and memory"]
fn a_million_locals() {
    let million = || {
        (0..1_000_000u64).flat_map(|n| {
            let at = n as i64;
            let own = (0..5u64)
                .map(move |k| contact(seconds(at + 600 * k as i64), local(n), remote((n * 7 + k * k * 31) % 3_000)));
            let hit = (n % 100 == 0).then(|| probe(seconds(at + 4_000), source(n % 3), local(n)));
            own.chain(hit)
        })
    };
    assert!(timed("a million locals, 200,000 kept", million(), LedgerSettings::default()).locals <= 200_000);
    let report =
        timed("a million locals", million(), LedgerSettings { max_locals: 2_000_000, ..LedgerSettings::default() });
    assert_eq!((report.locals, report.probed_locals), (1_000_000, 10_000));
}

/// The peak memory of this process, if the system reports the value.
fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("unknown").trim().to_owned()
}
