mod classes;
mod hostile;
mod model;
mod oracle;
mod properties;
mod rivals;
mod worst;

use std::time::Instant;

use homes::{Background, HarvesterPlace, HarvesterPlan, HomePlan, HomeSize, Lag, LeakPlan, MINUTE, SimulatedHome};

use crate::ledger::{Ledger, LedgerSettings};
use crate::observation::{Contact, Observation, Probe};
use crate::report::{Report, ReportOptions, report};
use crate::time::{Span, Time};

/// The observations of a sensor in a simulated home, in order of time. Of the traits, only the hop limit is included.
pub(crate) fn observe(home: &SimulatedHome) -> Vec<Observation> {
    let time = |at: f64| Time::from_seconds(hostile::START) + Span((at * 1e6) as i64);
    home.seen(
        |at, life, visit| {
            Observation::Contact(Contact::new(time(at), life.address, visit.remote, visit.proto, visit.port))
        },
        |at, seen| {
            let mut probe = Probe::new(time(at), seen.source, seen.target, seen.kind, seen.port);
            probe.traits.hop_limit = Some(seen.hop_limit);
            Observation::Probe(probe)
        },
    )
}

/// A home with few remotes and no UDP. Each harvester passes on all of its visitors, and feeds its own scanner.
pub(crate) fn small_home(days: usize, visited_by: &[f64]) -> HomePlan {
    let harvester = |(scanner, &share): (usize, &f64)| HarvesterPlan {
        place: HarvesterPlace::Site(share),
        leak: LeakPlan::First(1.0),
        lag: Lag::About(MINUTE, 1.0),
        scanner,
        ..HarvesterPlan::BASE
    };
    HomePlan {
        visits: 10.0,
        ntp_asked: 0,
        harvesters: visited_by.iter().enumerate().map(harvester).collect(),
        background: Background { share: 0.1, ..Background::BASE },
        ..HomePlan::base(HomeSize { devices: 5, days, sites: 150, networks: 1 })
    }
}

fn ledger_of(observations: &[Observation]) -> Ledger {
    let mut ledger = Ledger::new(LedgerSettings::default());
    observations.iter().for_each(|o| ledger.observe(o));
    ledger
}

fn report_of(observations: &[Observation]) -> Report {
    report(&ledger_of(observations), &ReportOptions { top: 0 })
}

#[test]
#[ignore = "prints times; meant for --release"]
fn time_of_a_report() {
    let observations = observe(&SimulatedHome::new(&HomePlan::base(HomeSize::LARGE), "time", 1));
    let start = Instant::now();
    let ledger = ledger_of(&observations);
    let observed = start.elapsed() / observations.len() as u32;
    let start = Instant::now();
    let probed = report(&ledger, &ReportOptions::default()).probed_locals;
    let (contacts, took) = (ledger.contacts().len(), start.elapsed());
    println!("{contacts} contacts, {probed} probed: observe {observed:?} an observation, report {took:?}");
}
