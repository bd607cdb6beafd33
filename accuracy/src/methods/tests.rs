//! Tests of the methods other than Tattler's, on observations small enough to count by hand.

use sensor_common::Proto;
use tattler_core::observation::{Contact, Probe};

use super::*;

fn remote(number: u128) -> Ipv6Addr {
    Ipv6Addr::from(0x2a05u128 << 112 | number)
}

fn local(number: u64) -> Ipv6Addr {
    Ipv6Addr::from(0x2001_0db8u128 << 96 | u128::from(0xe014_9aff_5e49_1100 + number))
}

fn contact(hours: i64, of: u64, with: u128) -> Observation {
    let ts = Time::from_seconds(hours * 3_600);
    Observation::Contact(Contact::new(ts, local(of), remote(with), Proto::Tcp, 443))
}

fn probe(hours: i64, by: u128, of: u64) -> Observation {
    Observation::Probe(Probe::new(Time::from_seconds(hours * 3_600), remote(by), local(of), Kind::Syn, 22))
}

fn counts(mut observations: Vec<Observation>) -> RemoteCounts {
    observations.sort_by_key(Observation::ts);
    RemoteCounts::new(&observations)
}

#[test]
fn fisher_agrees_with_tables_worked_by_hand() {
    // The lady tasting tea: three of four answers are right.
    assert!((fisher(3, 1, 1, 3) - 17.0 / 70.0).abs() < 1e-9);
    assert!((fisher(10, 0, 0, 20) * 30_045_015.0 - 1.0).abs() < 1e-6);
    assert!((fisher(0, 5, 5, 0) - 1.0).abs() < 1e-9);
}

#[test]
fn only_contacts_before_the_first_probe_count() {
    let counts = counts(vec![contact(0, 1, 10), probe(1, 99, 1), contact(2, 1, 11), probe(3, 98, 1)]);
    assert_eq!(counts.probed, 1);
    let members: Vec<Ipv6Addr> = counts.distinct_count().into_iter().flat_map(|entry| entry.members).collect();
    assert_eq!(members, [remote(10)]);
}

#[test]
fn what_proves_nothing_is_not_counted() {
    let late = counts(vec![contact(0, 1, 10), probe(7 * 24 + 1, 99, 1)]);
    let answer = counts(vec![contact(0, 1, 10), probe(1, 10, 1)]);
    let stable = counts(vec![contact(0, 1, 10), probe(1, 99, 1), contact(9 * 24, 1, 10)]);
    let mut low = Contact::new(Time::from_seconds(0), remote(0), remote(10), Proto::Tcp, 443);
    low.local = "2001:db8::1".parse().unwrap();
    let mut hit = Probe::new(Time::from_seconds(60), remote(99), low.local, Kind::Syn, 22);
    hit.target = low.local;
    let guessable = counts(vec![Observation::Contact(low), Observation::Probe(hit)]);
    let mut ping = Probe::new(Time::from_seconds(3_600), remote(99), local(1), Kind::Echo, 0);
    ping.traits.hop_limit = Some(3);
    let path = counts(vec![contact(0, 1, 10), Observation::Probe(ping)]);
    for counts in [late, answer, stable, guessable, path] {
        assert_eq!(counts.probed, 0);
    }
}

#[test]
fn the_count_of_2015_ranks_by_probed_addresses_and_names_the_first() {
    let observations = vec![
        contact(0, 1, 10),
        contact(0, 1, 11),
        contact(0, 2, 10),
        contact(0, 3, 11),
        probe(1, 99, 1),
        probe(1, 99, 2),
    ];
    let entries = counts(observations).distinct_count();
    let said: Vec<_> = entries.iter().map(|entry| (entry.members[0], entry.score, entry.named)).collect();
    assert_eq!(said, [(remote(10), 2.0, true), (remote(11), 1.0, false)]);
}

#[test]
fn fisher_names_as_many_as_benjamini_and_hochberg_allow() {
    // Ten addresses contacted remote 10 and were probed. Twenty addresses did neither. All addresses contacted remote
    // 11.
    let mut observations = Vec::new();
    for of in 0..30 {
        observations.push(contact(0, of, 11));
        if of < 10 {
            observations.extend([contact(0, of, 10), probe(1, 99, of)]);
        }
    }
    let entries = counts(observations).fisher();
    assert_eq!(entries.iter().map(|entry| entry.named).collect::<Vec<_>>(), [true, false]);
    assert_eq!(entries[0].members, [remote(10)]);
    assert!((entries[0].score - 30_045_015f64.ln()).abs() < 1e-6, "1 over 30 choose 10");
    assert!(entries[1].score.abs() < 1e-9);
}
