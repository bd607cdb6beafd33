//! Each evidence class with a counter-example.

use sensor_common::{Kind, Proto};

use crate::ledger::{Ledger, LedgerSettings};
use crate::observation::{Contact, Observation, Probe};
use crate::report::tests::addr;
use crate::time::Time;
use crate::view::evidence::Evidence;
use crate::view::frame::Frame;

const DAY: i64 = 86_400;
const TEMPORARY: &str = "2001:db8:1::e014:9aff:5e49:ecb3";
const EUI64: &str = "2001:db8:1::5054:ff:fe12:3456";
const LOW_BYTE: &str = "2001:db8:1::7";
const SITE: &str = "2a05::80";
const SCANNER: &str = "2a0d:5600::29";

fn contact(at: i64, local: &str, remote: &str) -> Observation {
    let ts = Time::from_seconds(at);
    let (proto, port) = (Proto::Tcp, 443);
    Observation::Contact(Contact::new(ts, addr(local), addr(remote), proto, port))
}

fn probe(at: i64, source: &str, target: &str) -> Observation {
    Observation::Probe(Probe::new(Time::from_seconds(at), addr(source), addr(target), Kind::Echo, 0))
}

fn seen(observations: &[Observation]) -> Ledger {
    let public = vec!["2001:db8:1::80/128".parse().unwrap(), "2001:db8:1:80::/64".parse().unwrap()];
    let mut ledger = Ledger::new(LedgerSettings { public, ..LedgerSettings::default() });
    observations.iter().for_each(|observation| ledger.observe(observation));
    ledger
}

/// The evidence class of the first probe of `target`.
fn evidence(ledger: &Ledger, target: &str) -> Evidence {
    let id = ledger.id(addr(target)).expect("it was probed");
    let row = ledger.probes().iter().filter(|row| row.target == id).min_by_key(|row| row.first).expect("it was probed");
    Evidence::of(&Frame::new(ledger), row)
}

fn of(observations: &[Observation], target: &str) -> Evidence {
    evidence(&seen(observations), target)
}

#[test]
fn only_a_temporary_address_used_before_the_probe_is_an_exact_hit() {
    assert_eq!(of(&[contact(0, TEMPORARY, SITE), probe(1, SCANNER, TEMPORARY)], TEMPORARY), Evidence::Exact);
    assert_eq!(of(&[contact(1, TEMPORARY, SITE), probe(1, SCANNER, TEMPORARY)], TEMPORARY), Evidence::UnusedRandom);
    assert_eq!(of(&[contact(2, TEMPORARY, SITE), probe(1, SCANNER, TEMPORARY)], TEMPORARY), Evidence::UnusedRandom);
}

#[test]
fn a_probe_a_second_after_the_validity_is_expired() {
    let hit = |at| of(&[contact(0, TEMPORARY, SITE), probe(at, SCANNER, TEMPORARY)], TEMPORARY);
    assert_eq!(hit(7 * DAY), Evidence::Exact);
    assert_eq!(hit(7 * DAY + 1), Evidence::Expired);
    // The time of the last use counts, not the time of the first use.
    let used = [contact(0, TEMPORARY, SITE), contact(DAY, TEMPORARY, "2a05::81"), probe(8 * DAY, SCANNER, TEMPORARY)];
    assert_eq!(of(&used, TEMPORARY), Evidence::Exact);
}

#[test]
fn an_address_that_turns_out_stable_loses_its_earlier_hits() {
    let mut ledger = seen(&[contact(0, TEMPORARY, SITE), probe(DAY, SCANNER, TEMPORARY)]);
    assert_eq!(evidence(&ledger, TEMPORARY), Evidence::Exact);
    ledger.observe(&contact(8 * DAY, TEMPORARY, SITE));
    assert_eq!(evidence(&ledger, TEMPORARY), Evidence::Exact, "eight days are a validity and a day");
    ledger.observe(&contact(8 * DAY + 1, TEMPORARY, SITE));
    assert_eq!(evidence(&ledger, TEMPORARY), Evidence::Stable);
    // The operating system overrules this classification, in both directions.
    ledger.mark_temporary(addr(TEMPORARY), Time::from_seconds(9 * DAY));
    assert_eq!(evidence(&ledger, TEMPORARY), Evidence::Exact);
    let mut young = seen(&[contact(0, TEMPORARY, SITE), probe(1, SCANNER, TEMPORARY)]);
    young.mark_stable(addr(TEMPORARY), Time::from_seconds(2));
    assert_eq!(evidence(&young, TEMPORARY), Evidence::Stable);
}

#[test]
fn eui64_and_guessable_identifiers_are_no_exact_hits() {
    // The first address contains a universal MAC address, the second contains the MAC address of a virtual machine.
    for local in ["2001:db8:1::211:22ff:fe33:4455", EUI64] {
        assert_eq!(of(&[contact(0, local, SITE), probe(1, SCANNER, local)], local), Evidence::Eui64);
    }
    assert_eq!(of(&[contact(0, LOW_BYTE, SITE), probe(1, SCANNER, LOW_BYTE)], LOW_BYTE), Evidence::Guessable);
    let mut odd = seen(&[contact(0, LOW_BYTE, SITE), probe(1, SCANNER, LOW_BYTE)]);
    odd.mark_temporary(addr(LOW_BYTE), Time::from_seconds(2));
    assert_eq!(evidence(&odd, LOW_BYTE), Evidence::Exact, "the operating system knows better");
}

#[test]
fn public_locals_prove_nothing_and_their_neighbours_do() {
    let (server, unused) = ("2001:db8:1::80", "2001:db8:1:80:e014:9aff:5e49:ecb3");
    assert_eq!(of(&[contact(0, server, SITE), probe(1, SCANNER, server)], server), Evidence::Public);
    assert_eq!(of(&[probe(1, SCANNER, unused)], unused), Evidence::Public);
    let neighbour = "2001:db8:1:81:e014:9aff:5e49:ecb3";
    assert_eq!(of(&[contact(0, neighbour, SITE), probe(1, SCANNER, neighbour)], neighbour), Evidence::Exact);
}

#[test]
fn an_unused_target_is_a_sweep_by_its_form_or_a_stray() {
    assert_eq!(of(&[probe(1, SCANNER, LOW_BYTE)], LOW_BYTE).as_str(false), "sweep");
    assert_eq!(of(&[probe(1, SCANNER, TEMPORARY)], TEMPORARY).as_str(false), "stray");
    assert_eq!(of(&[probe(1, SCANNER, TEMPORARY)], TEMPORARY).as_str(true), "sweep");
}

#[test]
fn only_a_source_contacted_before_the_probe_was_contacted() {
    let answers = |observations: &[Observation]| {
        let ledger = seen(observations);
        Frame::new(&ledger).is_answer_to_contact(&ledger.probes()[0])
    };
    assert!(answers(&[contact(0, TEMPORARY, SITE), probe(1, SITE, TEMPORARY)]));
    assert!(!answers(&[contact(0, TEMPORARY, "2a05::81"), contact(2, TEMPORARY, SITE), probe(1, SITE, TEMPORARY)]));
    assert!(!answers(&[contact(0, EUI64, SITE), probe(1, SITE, TEMPORARY)]), "another local had");
}

#[test]
fn a_prefix_that_went_away_ends_the_exposure_of_its_locals_only() {
    let other = "2001:db8:2::e014:9aff:5e49:ecb3";
    let used = [contact(0, TEMPORARY, SITE), contact(0, other, SITE)];
    let mut ledger = seen(&used);
    ledger.observe(&probe(10, SCANNER, TEMPORARY));
    let gone: ipnet::Ipv6Net = "2001:db8:1::/48".parse().unwrap();
    ledger.home_is(|address| !gone.contains(&address), Time::from_seconds(20));
    assert_eq!(evidence(&ledger, TEMPORARY), Evidence::Exact, "history stays");
    let late = |ledger: &mut Ledger, target| {
        ledger.observe(&probe(30, "2a0d:5600::30", target));
        let source = ledger.id(addr("2a0d:5600::30")).unwrap();
        let row =
            ledger.probes().iter().find(|row| row.source == source && row.target == ledger.id(addr(target)).unwrap());
        Evidence::of(&Frame::new(ledger), row.unwrap())
    };
    assert_eq!(late(&mut ledger, TEMPORARY), Evidence::Expired);
    assert_eq!(late(&mut ledger, other), Evidence::Exact);
    // The address is at home again: netlink reports it, or it is used again.
    let mut back = seen(&used);
    back.home_is(|address| address == addr(other), Time::from_seconds(20));
    assert_eq!(late(&mut back, TEMPORARY), Evidence::Expired);
    back.observe(&contact(10, TEMPORARY, SITE));
    assert_eq!(late(&mut back, TEMPORARY), Evidence::Expired, "an earlier contact, observed late");
    back.observe(&contact(25, TEMPORARY, SITE));
    assert_eq!(late(&mut back, TEMPORARY), Evidence::Exact);
}
