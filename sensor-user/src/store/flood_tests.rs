//! Outsiders send for a week at the maximum rate that the kernel's budgets allow. The contacts and the evidence of the
//! home stay in the database, and the database does not exceed its limit.
//!
//! The scale is 1:1,000. 100 events per second are 8,640,000 events per day. Here a day has 8,640 events. The limit of
//! the database and the daily limit are scaled in the same way.

use std::collections::HashSet;
use std::net::Ipv6Addr;

use sensor_common::{Kind, Proto};
use tattler_core::observation::{Contact, Observation, Probe};
use tattler_core::time::Time;

use super::tests::{new_store, probe_at, replayed};
use super::worths::Cap;
use super::*;

const SCALE: u64 = 1_000;
const EVENTS_A_DAY: u64 = 8_640_000 / SCALE;
const MOST: u64 = MOST_BYTES / SCALE;
const DAYS: u64 = 7;
const HOME: u128 = 0x2001_0db8_0001_0002 << 64;
const SCANNERS: u128 = 0x2a0d_5600 << 96;

/// A generator of pseudorandom numbers: the same numbers in each run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mixed = self.0 ^ (self.0 >> 29);
        mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ (mixed >> 32)
    }
}

/// A random address of the home, which nobody can guess.
fn local(day: u64, n: u64) -> Ipv6Addr {
    Ipv6Addr::from(HOME | u128::from(Numbers(day << 32 | n).next() | 1 << 63))
}

fn at(day: u64, n: u64) -> Time {
    Time::from_seconds((day * 86_400) as i64) + Span((n * 86_400_000_000 / EVENTS_A_DAY) as i64)
}

fn probe(ts: Time, source: u128, target: Ipv6Addr, port: u16, hop_limit: u8) -> Observation {
    let Observation::Probe(mut probe) = probe_at(ts.0) else { unreachable!() };
    probe.traits.hop_limit = Some(hop_limit);
    Observation::Probe(Probe { source: Ipv6Addr::from(source), target, kind: Kind::Syn, port, ..probe })
}

/// The observations of a day: ten addresses with four contacts each, and probes of three addresses that a remote passed
/// on.
fn household(day: u64) -> Vec<Observation> {
    let mut all = Vec::new();
    for n in 0..10 {
        for remote in 0..4_u128 {
            let remote = Ipv6Addr::from(0x2a05 << 112 | remote);
            all.push(Observation::Contact(Contact::new(at(day, 100 + n), local(day, n), remote, Proto::Tcp, 443)));
        }
    }
    all.extend((0..3).map(|n| probe(at(day, 20_000 + n), SCANNERS | 7, local(day, n), 22, 50)));
    all
}

/// Writes the flood of a week together with the rows of the household, and returns the lost rows of the household. With
/// `capped`, rows are written with the daily limit of a sensor. Otherwise rows are written without a daily limit, as in
/// an import, and only the deletion to make room limits the database.
fn week(capped: bool, flood: impl Fn(&mut Numbers, u64) -> (u128, Ipv6Addr, u16, u8)) -> Vec<Observation> {
    let (_dir, mut store) = new_store();
    store.connection.pragma_update(None, "synchronous", false).unwrap();
    store.cap = capped.then(|| Cap::new(UNPROVEN_A_DAY / SCALE));
    let (mut numbers, mut expected, mut rows) = (Numbers(1), Vec::new(), 0);
    for day in 1..=DAYS {
        expected.extend(household(day));
        store.append(&household(day)).unwrap();
        for slice in 0..8 {
            let events = EVENTS_A_DAY / 8;
            let batch: Vec<Observation> = (slice * events..(slice + 1) * events)
                .map(|n| {
                    let (source, target, port, hop_limit) = flood(&mut numbers, day);
                    probe(at(day, n), source, target, port, hop_limit)
                })
                .collect();
            store.append(&batch).unwrap();
            while let Some(deleted) = store.shrink_some(MOST, 5_000).unwrap() {
                rows += deleted;
            }
            assert!(store.used().unwrap() <= MOST);
        }
    }
    let left_out = store.cap.as_ref().map_or(0, |cap| cap.left_out);
    let there: HashSet<String> = replayed(&store, i64::MIN).iter().map(|row| format!("{row:?}")).collect();
    let total = rows + left_out + there.len() as u64;
    assert_eq!(total, expected.len() as u64 + DAYS * EVENTS_A_DAY, "each row is there or counted");
    assert!(if capped { left_out > 0 } else { rows > 0 }, "not a flood: {left_out} left out, {rows} deleted");
    expected.retain(|observation| !there.contains(&format!("{observation:?}")));
    expected
}

#[test]
fn a_week_of_sweeps_erases_no_contacts_or_evidence() {
    let sweep = |numbers: &mut Numbers, _| {
        (SCANNERS | 9, Ipv6Addr::from(HOME | u128::from(numbers.next())), numbers.next() as u16, 50)
    };
    assert_eq!(week(true, sweep), []);
    assert_eq!(week(false, sweep), [], "without a cap, by making room alone");
}

/// An attacker learns one address per day, and probes it from random sources of one /48, with random ports and two hop
/// limits.
#[test]
fn a_week_of_probes_to_a_used_address_erases_none_either() {
    let flood = |numbers: &mut Numbers, day| {
        let source = 0x2a0e_0001_0002 << 80 | u128::from(numbers.next());
        let random = numbers.next();
        (source, local(day, 0), random as u16, 50 + (random >> 32) as u8 % 2)
    };
    assert_eq!(week(true, flood), []);
    assert_eq!(week(false, flood), [], "without a cap, by making room alone");
}

/// A web page makes a home contact endless remotes. Contacts are limited to their share, like probes and answers.
#[test]
fn a_flood_of_contacts_erases_no_evidence() {
    let (_dir, mut store) = new_store();
    store.append(&household(1)).unwrap();
    let is_probe = |row: &&Observation| matches!(row, Observation::Probe(_));
    let evidence = |store: &Store| replayed(store, i64::MIN).iter().filter(is_probe).count();
    assert_eq!(evidence(&store), 3);
    let mut deleted = 0;
    for n in 0..10 {
        let contact = |i: u128| {
            let remote = Ipv6Addr::from(0x2a06 << 112 | i);
            Observation::Contact(Contact::new(at(2, n), local(2, 0), remote, Proto::Tcp, 443))
        };
        store.append(&(0..2_000).map(|i| contact(u128::from(n) << 32 | i)).collect::<Vec<_>>()).unwrap();
        while let Some(rows) = store.shrink_some(1 << 20, 5_000).unwrap() {
            deleted += rows;
        }
    }
    assert!(deleted > 10_000 && store.used().unwrap() <= 1 << 20, "{deleted} deleted");
    assert_eq!(evidence(&store), 3);
}
