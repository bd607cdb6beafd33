//! The model alone, on homes that are small enough to check by hand.

use std::net::Ipv6Addr;

use sensor_common::{Kind, Proto};

use super::super::cases::{Cases, under_test};
use super::super::devices::Factors;
use super::super::groups::Groups;
use super::super::hazard::Hazard;
use super::super::risk::{CountedContacts, Exposure, Risk};
use crate::campaign::Campaigns;
use crate::ledger::{Ledger, LedgerSettings};
use crate::observation::{Contact, Observation, Probe};
use crate::time::Time;
use crate::view::frame::Frame;

const HARVESTER: &str = "2a05::123";
const SITE: &str = "2a06::80";

pub(super) fn local(n: u64) -> Ipv6Addr {
    Ipv6Addr::from((0x2001_0db8u128 << 96) | u128::from(0xe014_9aff_5e49_0101 + (n << 32)))
}

pub(super) fn contact(at: i64, n: u64, remote: &str) -> Contact {
    let remote = remote.parse().unwrap();
    Contact::new(Time::from_seconds(at), local(n), remote, Proto::Tcp, 443)
}

pub(super) fn probe(at: i64, n: u64) -> Observation {
    let source = "2a0d:5600::29".parse().unwrap();
    Observation::Probe(Probe::new(Time::from_seconds(at), source, local(n), Kind::Syn, 22))
}

/// The model's results for a remote: evidence, probability that a contact leads to a probe, and interval.
struct Said {
    evidence: f64,
    leak: f64,
    interval: [f64; 2],
}

fn fit(observations: &[Observation], counted: CountedContacts, remotes: &[&str]) -> (f64, Vec<Said>) {
    let mut ledger = Ledger::new(LedgerSettings::default());
    observations.iter().for_each(|observation| ledger.observe(observation));
    let frame = Frame::new(&ledger);
    let tested = under_test(&frame);
    let groups = Groups::new(&frame, &tested);
    let cases = Cases::of_campaigns(&frame, &Campaigns::new(&frame), &tested);
    let exposure = Exposure::new(&frame, &groups, &tested, counted);
    let hazard = Hazard::fit(Risk::new(&frame, &groups, &tested, &exposure, &cases[0]));
    let said = |remote: &&str| {
        let group = groups.single(ledger.id(remote.parse().unwrap()).unwrap()).unwrap() as u32;
        let slot = hazard.candidates().iter().position(|&candidate| candidate == group).unwrap();
        let (evidence, leak) = hazard.alone(slot, &[]);
        Said { evidence, leak: leak.probability().unwrap(), interval: leak.interval().unwrap() }
    };
    (hazard.log_likelihood(), remotes.iter().map(said).collect())
}

#[test]
fn the_harvester_explains_the_probes_and_a_site_of_all_does_not() {
    let mut all = Vec::new();
    for n in 0..40u64 {
        let at = n as i64 * 3_600;
        all.push(Observation::Contact(contact(at, n, SITE)));
        all.push(Observation::Contact(contact(at + 300, n, &format!("2a06::{:x}", 0x100 + n % 7))));
        if n % 4 == 0 {
            all.push(Observation::Contact(contact(at + 900, n, HARVESTER)));
            // The scanner probes eight of the ten visitors.
            if n % 20 != 0 {
                all.push(probe(at + 930, n));
            }
        }
    }
    let (_, said) = fit(&all, CountedContacts::First, &[HARVESTER, SITE]);
    assert!(said[0].evidence > 10.0 && said[0].evidence > said[1].evidence + 10.0, "{}", said[0].evidence);
    assert!((said[0].leak - 0.8).abs() < 0.1, "{}", said[0].leak);
    let [low, high] = said[0].interval;
    assert!(low < 0.8 && 0.8 < high && low > 0.3, "{low} {high}");
}

#[test]
fn a_harvester_that_takes_samples_is_found_if_every_contact_counts() {
    let mut all = Vec::new();
    for n in 0..30u64 {
        let at = n as i64 * 7_200;
        all.push(Observation::Contact(contact(at, n, SITE)));
        // The remote is contacted four times and leaks the last contact.
        let again = Contact { last: Time::from_seconds(at + 3_000), count: 4, ..contact(at + 60, n, HARVESTER) };
        all.push(Observation::Contact(again));
        if n % 2 == 0 {
            all.push(probe(at + 3_004, n));
        }
    }
    let (first, _) = fit(&all, CountedContacts::First, &[HARVESTER]);
    let (every, said) = fit(&all, CountedContacts::Every, &[HARVESTER]);
    assert!(every > first + 10.0, "{every} {first}");
    assert!(said[0].leak < 0.4, "half of the addresses, an eighth of the contacts: {}", said[0].leak);
}

#[test]
fn a_device_that_is_hit_more_often_has_a_larger_factor() {
    let observe = |hit: &dyn Fn(u64) -> bool| {
        let mut ledger = Ledger::new(LedgerSettings::default());
        for n in 0..60u64 {
            let device = Some(format!("device {}", n % 3));
            ledger.observe(&Observation::Contact(Contact { device, ..contact(n as i64, n, SITE) }));
        }
        let frame = Frame::new(&ledger);
        let cases = (0..60).filter(|&local| hit(u64::from(local)));
        let factors = Factors::new(&frame, &under_test(&frame), cases);
        [0, 1, 2].map(|local| factors.of(local))
    };
    let [often, seldom, _] = observe(&|local| local % 3 == 0 && local < 45);
    assert!(often > 2.0 && seldom < 0.5, "{often} {seldom}");
    assert_eq!(observe(&|local| local < 15), [1.0; 3]);
}
