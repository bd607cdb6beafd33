mod classes;
mod hostile;
mod model;
mod oracle;
mod properties;
mod rivals;
pub(crate) mod simulate;
mod worst;

use std::net::Ipv6Addr;
use std::time::Instant;

use self::simulate::{BASE, Family, network};
use crate::ledger::{Ledger, LedgerSettings};
use crate::observation::Observation;
use crate::report::{Candidate, Report, ReportOptions, report};

fn ledger_of(observations: &[Observation]) -> Ledger {
    let mut ledger = Ledger::new(LedgerSettings::default());
    observations.iter().for_each(|o| ledger.observe(o));
    ledger
}

fn report_of(observations: &[Observation]) -> Report {
    report(&ledger_of(observations), &ReportOptions { top: 0 })
}

/// The rank of each true harvester. A set of more than three that contains it is a miss, which ranks behind all
/// others.
fn ranks(report: &Report, truth: &[Ipv6Addr]) -> Vec<f64> {
    let place = |harvester: &Ipv6Addr| {
        let holds = |c: &&Candidate| c.members.contains(harvester) && c.members.len() <= 3;
        report.candidates.iter().find(holds).map_or(report.candidates.len() as f64 + 1.0, |c| c.rank as f64)
    };
    truth.iter().map(place).collect()
}

/// The ranks by the count of 2015; equal ones share their ranks.
fn ranks_by_count(report: &Report, truth: &[Ipv6Addr]) -> Vec<f64> {
    let counts: Vec<(u64, &[Ipv6Addr])> =
        report.candidates.iter().map(|c| (c.distinct_count, c.members.as_slice())).collect();
    let place = |harvester: &Ipv6Addr| {
        let own = counts.iter().find(|c| c.1.contains(harvester)).map_or(0, |c| c.0);
        let sum =
            |test: &dyn Fn(u64) -> bool| -> usize { counts.iter().filter(|c| test(c.0)).map(|c| c.1.len()).sum() };
        let (above, equal) = (sum(&|count| count > own), sum(&|count| count == own));
        above as f64 + (equal.max(1) as f64 + 1.0) / 2.0
    };
    truth.iter().map(place).collect()
}

fn average_precision(mut ranks: Vec<f64>) -> f64 {
    ranks.sort_by(f64::total_cmp);
    let n = ranks.len() as f64;
    ranks.iter().enumerate().map(|(i, rank)| (i as f64 + 1.0) / rank.max(i as f64 + 1.0)).sum::<f64>() / n
}

/// Means over seeds.
#[derive(Default, Debug)]
struct Outcome {
    precision: f64,
    precision_by_count: f64,
    rank: f64,
    rank_by_count: f64,
    /// Share of true harvesters that are accused.
    named: f64,
    /// Accusations of others, per run.
    false_names: f64,
    /// Share of runs that accuse any other.
    slandering: f64,
}

fn run(family: &Family, seeds: u64) -> Outcome {
    let mut sum = Outcome::default();
    for seed in 1..=seeds {
        let (observations, truth) = network(family, seed);
        let report = report_of(&observations);
        let accused = report.candidates.iter().filter(|c| c.verdict.accuses());
        let (right, wrong): (Vec<_>, Vec<_>) = accused.partition(|c| c.members.iter().any(|m| truth.contains(m)));
        sum.false_names += wrong.len() as f64;
        sum.slandering += f64::from(u8::from(!wrong.is_empty()));
        if !truth.is_empty() {
            let (ours, theirs) = (ranks(&report, &truth), ranks_by_count(&report, &truth));
            sum.named += right.len() as f64 / truth.len() as f64;
            sum.rank += ours.iter().sum::<f64>() / truth.len() as f64;
            sum.rank_by_count += theirs.iter().sum::<f64>() / truth.len() as f64;
            sum.precision += average_precision(ours);
            sum.precision_by_count += average_precision(theirs);
        }
    }
    for value in [
        &mut sum.precision,
        &mut sum.precision_by_count,
        &mut sum.rank,
        &mut sum.rank_by_count,
        &mut sum.named,
        &mut sum.false_names,
        &mut sum.slandering,
    ] {
        *value /= seeds as f64;
    }
    println!(
        "{:34} AP {:.3} (2015: {:.3})  rank {:6.1} (2015: {:6.1})  named {:.2}  wrong {:.3} in {:.3} of runs",
        family.name,
        sum.precision,
        sum.precision_by_count,
        sum.rank,
        sum.rank_by_count,
        sum.named,
        sum.false_names,
        sum.slandering
    );
    sum
}

/// The plan of the lab: minutes, few locals, everything at once.
const LAB: Family = Family {
    name: "lab: two, own scanners",
    locals: 24,
    life: 40.0,
    visits: 6,
    ubiquitous: 6,
    sites: 6,
    harvesters: &[(0.4, 0), (0.4, 1)],
    lag: 2.0,
    background: 0.0,
    ..BASE
};

fn with_harvesters() -> Vec<Family> {
    vec![
        BASE,
        Family { name: "two, own scanners", harvesters: &[(0.25, 0), (0.25, 1)], ..BASE },
        Family { name: "two, one scanner", harvesters: &[(0.25, 0), (0.25, 0)], ..BASE },
        Family { name: "rarely visited", harvesters: &[(0.1, 0)], background: 0.05, ..BASE },
        Family { name: "leaks half", leak: 0.5, ..BASE },
        Family { name: "leaks half after hours", leak: 0.5, lag: 10_000.0, ..BASE },
        Family { name: "third parties", third_parties: 3, ..BASE },
        Family { name: "visited by nine of ten", harvesters: &[(0.9, 0)], ..BASE },
        Family { name: "visited by all, fast", harvesters: &[(1.0, 0)], lag: 5.0, ..BASE },
        Family { name: "fashions", fashion: Some(2.0), ..BASE },
        Family { name: "fashions, hours", fashion: Some(2.0), lag: 10_000.0, ..BASE },
        Family {
            name: "300 locals, 8 %, hours",
            locals: 300,
            leak: 0.08,
            lag: 10_000.0,
            harvesters: &[(0.5, 0)],
            ..BASE
        },
        LAB,
        Family { name: "lab, 12 locals, busy harvesters", locals: 12, harvesters: &[(0.7, 0), (0.6, 1)], ..LAB },
        Family { name: "lab, more visits", visits: 12, ..LAB },
        Family { name: "lab, 16 locals", locals: 16, ..LAB },
        Family { name: "lab, 40 locals", locals: 40, ..LAB },
    ]
}

fn clean() -> Vec<Family> {
    let none = Family { name: "clean, 15 % background", harvesters: &[], background: 0.15, ..BASE };
    vec![
        Family { name: "clean, 40 % background", background: 0.4, ..none.clone() },
        Family { name: "clean, uneven activity", background: 0.4, unevenness: 0.95, ..none.clone() },
        Family {
            name: "clean, probes follow visits",
            background: 0.5,
            unevenness: 0.95,
            after_visits: true,
            ..none.clone()
        },
        Family { name: "clean, five scanners", background: 0.6, scanners: 5, after_visits: true, ..none.clone() },
        Family { name: "clean, 30 locals, lab pace", background: 0.5, ..Family { harvesters: &[], ..LAB } },
        Family { name: "clean, third parties", background: 0.4, third_parties: 3, after_visits: true, ..none.clone() },
        Family {
            name: "clean, bursts and fashions",
            background: 0.8,
            fashion: Some(2.0),
            burst: Some((0.3, 0.5)),
            ..none.clone()
        },
        Family {
            name: "clean, short bursts, fashions",
            background: 0.8,
            fashion: Some(1.0),
            burst: Some((0.3, 0.4)),
            ..none.clone()
        },
        none,
    ]
}

#[test]
#[ignore = "prints the figures of all families; the other tests check them"]
fn figures() {
    let seeds = std::env::var("SEEDS").ok().and_then(|s| s.parse().ok()).unwrap_or(40);
    for family in with_harvesters().iter().chain(&clean()) {
        let start = Instant::now();
        run(family, seeds);
        if std::env::var("TIMES").is_ok() {
            println!("  {:?} a run", start.elapsed() / seeds as u32);
        }
    }
}

#[test]
fn harvesters_rank_clearly_better_than_by_the_count_of_2015() {
    for family in with_harvesters().iter().filter(|family| family.locals <= 60) {
        let outcome = run(family, 40);
        let least = if family.lag > 1_000.0 { 0.85 } else { 0.97 };
        assert!(outcome.precision >= least, "{}: {outcome:?}", family.name);
        // If everybody visits the harvester, the count ranks it first too.
        if family.harvesters[0].0 < 0.9 {
            assert!(outcome.precision >= outcome.precision_by_count + 0.3, "{}: {outcome:?}", family.name);
            assert!(outcome.rank < outcome.rank_by_count / 2.0, "{}: {outcome:?}", family.name);
        }
        assert!(outcome.slandering <= 0.05, "{}: {outcome:?}", family.name);
    }
}

#[test]
fn at_most_one_in_twenty_clean_networks_accuses_anybody() {
    for family in clean() {
        // With a true share of 5 %, 16 or more of 200 occur in one of twenty such tests.
        let outcome = run(&family, 200);
        assert!(outcome.slandering <= 0.05, "{}: {outcome:?}", family.name);
    }
}

#[test]
fn in_the_lab_both_harvesters_rank_first_and_nobody_else_is_accused() {
    let outcome = run(&LAB, 100);
    assert!(outcome.rank <= 1.52 && outcome.slandering == 0.0, "{outcome:?}");
    assert!(outcome.named >= 0.95, "{outcome:?}");
}

/// 1,500 locals with forty contacts each.
const LARGE: Family = Family {
    name: "1,500 locals, 40 contacts",
    locals: 1_500,
    visits: 60,
    sites: 2_000,
    harvesters: &[(0.25, 0), (0.1, 1), (0.05, 2)],
    background: 0.15,
    scanners: 3,
    ..BASE
};

#[test]
#[ignore = "prints times; meant for --release"]
fn time_of_a_report() {
    for family in [LARGE, Family { harvesters: &[(0.25, 0), (0.1, 0), (0.05, 0)], scanners: 1, ..LARGE }] {
        let (observations, truth) = network(&family, 1);
        let mut ledger = Ledger::new(LedgerSettings::default());
        let start = Instant::now();
        observations.iter().for_each(|o| ledger.observe(o));
        let observed = start.elapsed();
        let start = Instant::now();
        let report = report(&ledger, &ReportOptions::default());
        println!(
            "{} contacts, {} probed: observe {:?} an observation, report {:?}; ranks {:?}",
            ledger.contacts().len(),
            report.probed_locals,
            observed / observations.len() as u32,
            start.elapsed(),
            ranks(&report, &truth)
        );
    }
}
