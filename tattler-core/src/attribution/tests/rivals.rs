//! Rivals: other explanations of the evidence.

use super::super::{Rival, Verdict};
use super::model::{contact, probe};
use crate::ledger::{Ledger, LedgerSettings};
use crate::observation::{Contact, Observation};
use crate::report::{Candidate, ReportOptions, report};

const HARVESTER: &str = "2a05::123";
const SITE: &str = "2a06::80";

/// Forty addresses on `devices` devices. The addresses that `visits` selects contact the harvester. The addresses that
/// `leaks` selects are then probed.
fn home(devices: u64, visits: &dyn Fn(u64) -> bool, leaks: &dyn Fn(u64) -> bool) -> Vec<Candidate> {
    let mut ledger = Ledger::new(LedgerSettings::default());
    for n in 0..40u64 {
        let at = n as i64 * 3_600;
        let own = |contact: Contact| {
            Observation::Contact(Contact { device: Some(format!("device {}", n % devices)), ..contact })
        };
        ledger.observe(&own(contact(at, n, SITE)));
        ledger.observe(&own(contact(at + 300, n, &format!("2a06::{:x}", 0x100 + n % 7))));
        for later in 0..6 {
            ledger.observe(&own(contact(
                at + 1_200 + later,
                n,
                &format!("2a07::{:x}", 0x100 + (n + later as u64) % 11),
            )));
        }
        if visits(n) {
            ledger.observe(&own(contact(at + 900, n, HARVESTER)));
        }
        if leaks(n) {
            ledger.observe(&probe(at + 905, n));
        }
    }
    report(&ledger, &ReportOptions { top: 0 }).candidates
}

fn harvester(candidates: &[Candidate]) -> &Candidate {
    let named = |candidate: &&Candidate| candidate.members.contains(&HARVESTER.parse().unwrap());
    candidates.iter().find(named).unwrap()
}

#[test]
fn on_several_devices_it_is_strong() {
    let found = home(5, &|n| n % 4 == 0, &|n| n % 4 == 0);
    let found = harvester(&found);
    assert_eq!((found.verdict, found.devices), (Verdict::Strong, Some(5)), "{found:?}");
    assert!(found.rivals.is_empty(), "{:?}", found.rivals);
}

#[test]
fn with_evidence_of_one_device_it_is_at_most_suspected() {
    // Half of the addresses of the first of four devices visit the harvester, and only these addresses are probed.
    let found = home(4, &|n| n % 8 == 0, &|n| n % 8 == 0);
    let found = harvester(&found);
    assert_ne!(found.verdict, Verdict::Strong, "{found:?}");
    assert!(!found.verdict.accuses() || found.rivals.contains(&Rival::OneDevice), "{found:?}");
}

#[test]
fn if_all_addresses_of_a_device_are_probed_nobody_is_accused() {
    let found = home(4, &|n| n % 8 == 0, &|n| n % 4 == 0);
    assert!(found.iter().all(|candidate| !candidate.verdict.accuses()), "{found:?}");
}

#[test]
fn if_most_visit_it_the_evidence_is_timing_alone() {
    let found = home(5, &|n| n % 10 != 9, &|n| n % 10 < 7);
    let found = harvester(&found);
    assert!(found.verdict != Verdict::Strong, "{found:?}");
    assert!(!found.verdict.accuses() || found.rivals.contains(&Rival::TimingAlone), "{found:?}");
}

#[test]
fn a_winning_rival_lowers_the_probability() {
    let sure = home(5, &|n| n % 4 == 0, &|n| n % 4 == 0);
    assert!(harvester(&sure).probability.unwrap() > 0.9);
    let beaten = home(4, &|n| n % 8 == 0, &|n| n % 4 == 0);
    assert!(beaten.iter().all(|candidate| candidate.probability.is_none_or(|p| p < 0.5)), "{beaten:?}");
}
