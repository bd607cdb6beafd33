use proptest::prelude::*;

use super::*;
use crate::forget::Forget;
use crate::report::tests::{addr, ledger};
use crate::time::Span;

fn contact(ts: i64, local: &str, remote: &str, proto: Proto, port: u16) -> Contact {
    let (local, remote) = (addr(local), addr(remote));
    let ts = Time::from_seconds(ts);
    Contact::new(ts, local, remote, proto, port)
}

fn probe(ts: i64, source: &str, target: &str, kind: Kind, port: u16) -> Probe {
    Probe::new(Time::from_seconds(ts), addr(source), addr(target), kind, port)
}

const LOCAL: &str = "2001:db8::e014:9aff:5e49:ecb3";
const SITE: &str = "2a05::80";
const SCANNER: &str = "2a0d:5600::29";

#[test]
fn one_contact_reported_several_times_is_one_row() {
    let at = |ts| Observation::Contact(contact(ts, LOCAL, SITE, Proto::Tcp, 443));
    let ledger = ledger(&[at(50), at(10), at(90)]);
    let [row] = ledger.contacts() else { panic!("one row") };
    assert_eq!((row.first, row.last, row.count), (Time::from_seconds(10), Time::from_seconds(90), 3));
    assert_eq!(ledger.locals()[0].used, Some((Time::from_seconds(10), Time::from_seconds(90))));
}

#[test]
fn udp_to_a_port_that_just_sent_is_no_probe() {
    let sent = Contact { local_port: Some(5_000), ..contact(0, LOCAL, SITE, Proto::Udp, 123) };
    let observations = [
        Observation::Contact(sent),
        Observation::Probe(probe(10, SCANNER, LOCAL, Kind::Udp, 5_000)),
        Observation::Probe(probe(10, SCANNER, LOCAL, Kind::Udp, 5_001)),
        Observation::Probe(probe(10, SITE, LOCAL, Kind::Udp, 5_002)),
        Observation::Probe(probe(360, SCANNER, LOCAL, Kind::Udp, 5_000)),
    ];
    let ledger = ledger(&observations);
    assert_eq!(ledger.counts().not_probes, 2);
    assert_eq!(ledger.probes().iter().map(|row| row.port).collect::<Vec<_>>(), [5_001, 5_000]);
}

#[test]
fn udp_probes_while_the_sensor_settles_are_no_evidence() {
    let ledger = ledger(&[
        Observation::Probe(Probe { settling: true, ..probe(0, SCANNER, LOCAL, Kind::Udp, 53) }),
        Observation::Probe(Probe { settling: true, ..probe(0, SCANNER, LOCAL, Kind::Syn, 53) }),
    ]);
    assert_eq!((ledger.counts().settling, ledger.probes().len()), (1, 1));
}

#[test]
fn an_answer_before_its_probe_exposes_the_local() {
    let asked = Observation::Probe(probe(5, SCANNER, LOCAL, Kind::Echo, 0));
    let (source, target) = (addr(SCANNER), addr(LOCAL));
    let answered = Observation::Answer(Answer { ts: Time::from_seconds(5), source, target, kind: Kind::Echo, port: 0 });
    for order in [[&asked, &answered], [&answered, &asked]] {
        let ledger = ledger(&order.map(Clone::clone));
        assert!(ledger.probes()[0].answered && ledger.locals()[0].exposed);
        assert_eq!(ledger.locals()[0].used, None, "an answer is no use");
    }
}

#[test]
fn echo_requests_that_count_hops_are_a_path_probe() {
    let at = |hop| {
        let traits = Traits { hop_limit: Some(hop), ..Traits::default() };
        Observation::Probe(Probe { traits, ..probe(hop.into(), SCANNER, LOCAL, Kind::Echo, 0) })
    };
    assert!(ledger(&[1, 2, 3, 4].map(at)).probes()[0].is_path_probe());
    assert!(!ledger(&[50, 51, 53, 54].map(at)).probes()[0].is_path_probe());
}

#[test]
fn a_full_ledger_evicts_the_oldest_and_sweeps_before_evidence() {
    let mut ledger =
        Ledger::new(LedgerSettings { max_locals: 4, max_contacts: 8, max_probes: 4, ..LedgerSettings::default() });
    for i in 0..40 {
        let local = format!("2001:db8::{:x}:1:2:3", 0x1000 + i / 4);
        ledger.observe(&Observation::Contact(contact(i, &local, &format!("2a05::{i:x}"), Proto::Tcp, 443)));
    }
    let hit = "2001:db8::1009:1:2:3";
    ledger.observe(&Observation::Probe(probe(41, SCANNER, hit, Kind::Echo, 0)));
    for i in 42..60 {
        ledger.observe(&Observation::Probe(probe(i, SCANNER, &format!("2001:db8::{i}"), Kind::Echo, 0)));
    }
    assert!(ledger.locals().len() <= 4 && ledger.contacts().len() <= 8 && ledger.probes().len() <= 4);
    assert!(ledger.probes().iter().any(|row| ledger.address(row.target) == addr(hit)));
    let counts = ledger.counts();
    assert_eq!(counts.evicted_contacts + ledger.contacts().len() as u64, 40);
    assert_eq!(counts.evicted_probes + ledger.probes().len() as u64, 19);
    assert_eq!(counts.evicted_locals + ledger.locals().len() as u64, 10);
}

#[test]
fn a_flood_at_one_used_address_leaves_the_older_evidence() {
    let mut ledger = Ledger::new(LedgerSettings { max_probes: 100, ..LedgerSettings::default() });
    let used = "2001:db8::1234:5678:9abc:def1";
    ledger.observe(&Observation::Contact(contact(0, LOCAL, SITE, Proto::Tcp, 443)));
    ledger.observe(&Observation::Contact(contact(0, used, SITE, Proto::Tcp, 443)));
    ledger.observe(&Observation::Probe(probe(1, SCANNER, LOCAL, Kind::Echo, 0)));
    for i in 2..2_000 {
        let source = format!("2a0e:1:2:{i:x}::1");
        ledger.observe(&Observation::Probe(probe(i, &source, used, Kind::Syn, i as u16)));
    }
    assert!(ledger.counts().evicted_probes > 1_000 && ledger.probes().len() <= 100);
    assert!(ledger.probes().iter().any(|row| ledger.address(row.target) == addr(LOCAL)), "the oldest row of all");
}

#[test]
fn pruning_removes_only_rows_older_than_the_window() {
    let mut ledger = Ledger::new(LedgerSettings::live());
    let day = 86_400;
    ledger.observe(&Observation::Contact(contact(0, LOCAL, SITE, Proto::Tcp, 443)));
    ledger.observe(&Observation::Contact(contact(20 * day, LOCAL, "2a05::81", Proto::Tcp, 443)));
    ledger.observe(&Observation::Contact(contact(0, "2001:db8::1:2:3:4", SITE, Proto::Tcp, 443)));
    ledger.prune(Time::from_seconds(40 * day));
    assert_eq!((ledger.contacts().len(), ledger.locals().len(), ledger.addresses()), (1, 1, 2));
    assert_eq!(ledger.id(addr(SITE)), None);
    ledger.observe(&Observation::Contact(contact(40 * day, LOCAL, "2a05::81", Proto::Tcp, 443)));
    assert_eq!(ledger.contacts()[0].count, 2, "numbers changed and rows are still found");
}

#[test]
fn names_of_devices_no_longer_seen_make_room_for_others() {
    let mut ledger =
        Ledger::new(LedgerSettings { window: Some(Span::from_seconds(10 * 3_600)), ..LedgerSettings::live() });
    // More contacts than the ledger has room for at once.
    for hour in 0..700 {
        for n in 0..100 {
            let (local, name) = (format!("2001:db8::1:{hour:x}:{n:x}:7"), format!("{hour}-{n}"));
            let mut contact = contact(hour * 3_600, &local, SITE, Proto::Tcp, 443);
            contact.device = Some(name);
            ledger.observe(&Observation::Contact(contact));
        }
        let mut probe = probe(hour * 3_600, SCANNER, LOCAL, Kind::Syn, 22);
        probe.traits.payload_hash = Some(format!("{hour}"));
        ledger.observe(&Observation::Probe(probe));
        ledger.prune(Time::from_seconds(hour * 3_600));
    }
    let names: Vec<_> = ledger.locals().iter().map(|local| ledger.device(local.device.unwrap()).unwrap()).collect();
    assert!(names.len() == 1_100 && names.contains(&"699-99") && names.contains(&"689-0"), "{} names", names.len());
    let print = ledger.probes()[0].print.payload_hash.unwrap();
    assert_eq!(ledger.texts().collect::<Vec<_>>(), [(print, "0")], "of the first probe of its kind");
}

#[test]
fn facts_about_an_unused_address_stay_for_the_window() {
    let mut ledger = Ledger::new(LedgerSettings::live());
    let day = 86_400;
    ledger.mark_stable(addr(LOCAL), Time::from_seconds(40 * day));
    ledger.prune(Time::from_seconds(40 * day));
    assert_eq!(ledger.locals()[0].temporary, Some(false));
    ledger.prune(Time::from_seconds(71 * day));
    assert!(ledger.locals().is_empty());
}

#[test]
fn forgetting_a_device_a_prefix_or_a_time_keeps_the_rest() {
    const OTHER: &str = "2001:db8::1:2:3:4";
    let of = |device: &str, contact| Observation::Contact(Contact { device: Some(device.into()), ..contact });
    let all = [
        of("phone", contact(0, LOCAL, SITE, Proto::Tcp, 443)),
        Observation::Contact(contact(100, LOCAL, SITE, Proto::Tcp, 443)),
        of("printer", contact(50, OTHER, SITE, Proto::Tcp, 443)),
        Observation::Probe(probe(60, SCANNER, LOCAL, Kind::Syn, 22)),
        Observation::Probe(probe(70, SCANNER, OTHER, Kind::Syn, 22)),
    ];
    let after = |forget: Forget| {
        let mut ledger = ledger(&all);
        ledger.forget(&forget);
        ledger.observe(&Observation::Probe(probe(200, SCANNER, OTHER, Kind::Syn, 22)));
        let contacts =
            ledger.contacts().iter().map(|row| (ledger.address(row.local).to_string(), row.first, row.count));
        let probes = ledger.probes().iter().map(|row| (ledger.address(row.target).to_string(), row.first, row.count));
        (
            contacts.collect::<Vec<_>>(),
            probes.collect::<Vec<_>>(),
            ledger.locals().len(),
            ledger.counts().evicted_contacts,
        )
    };
    let row = |local: &str, at, count| (local.to_owned(), Time::from_seconds(at), count);
    let phone = Forget { device: Some("phone".into()), ..Forget::default() };
    assert_eq!(after(phone), (vec![row(OTHER, 50, 1)], vec![row(OTHER, 70, 2)], 1, 0));
    let prefix = Forget { prefix: Some("2001:db8::1:2:3:0/112".parse().unwrap()), ..Forget::default() };
    assert_eq!(after(prefix), (vec![row(LOCAL, 0, 2)], vec![row(LOCAL, 60, 1), row(OTHER, 200, 1)], 1, 0));
    let site = Forget { prefix: Some("2a05::/16".parse().unwrap()), ..Forget::default() };
    assert_eq!(after(site), (vec![], vec![row(LOCAL, 60, 1), row(OTHER, 70, 2)], 2, 0));
    let before = Forget { before: Some(Time::from_seconds(65)), ..Forget::default() };
    assert_eq!(after(before), (vec![row(LOCAL, 100, 1)], vec![row(OTHER, 70, 2)], 1, 0));
    let nobody = Forget { device: Some("nobody".into()), ..Forget::default() };
    assert_eq!(after(nobody).0.len(), 2);
}

prop_compose! {
    /// Observations with few addresses, ports and times, so that all of these collide. Some locals are remotes too.
    pub(crate) fn any_observation()(
        what in 0..3u8, ts in -5..5i64, back in -5..5i64, a in 0..6u8, b in 0..6u8,
        kind in 0..4usize, port in 0..3u16, count in prop_oneof![Just(0), Just(1), Just(u32::MAX)],
        flag in any::<bool>(), extreme in 0..20u8,
    ) -> Observation {
        let address = |n: u8| {
            let iid = if n < 2 { u64::from(n) } else { 0x1234_5678_9abc_def0 + u64::from(n) };
            Ipv6Addr::from((0x2001_0db8u128 << 96) | u128::from(iid))
        };
        let ts = match extreme { 0 => Time(i64::MAX), 1 => Time(i64::MIN), _ => Time::from_seconds(ts * 100) };
        let kind = Kind::ALL[kind];
        match what {
            0 => Observation::Contact(Contact {
                ts, last: ts + Span::from_seconds(back * 100), local: address(a), remote: address(b),
                proto: kind.proto(), port, local_port: flag.then_some(port), count, name: None,
                device: None,
            }),
            1 => Observation::Probe(Probe {
                ts, source: address(b), target: address(a), kind, port, count,
                traits: Traits { hop_limit: Some(port as u8), ..Traits::default() },
                contacted_source: flag, answered: extreme % 2 == 0, settling: extreme == 7, device: None,
            }),
            _ => Observation::Answer(Answer { ts, source: address(b), target: address(a), kind, port }),
        }
    }
}

proptest! {
    #[test]
    fn no_observation_panics_and_bounds_hold(
        observations in prop::collection::vec(any_observation(), 0..200),
        window in prop::option::of(0..1_000i64),
    ) {
        let mut ledger = Ledger::new(LedgerSettings {
            max_locals: 3, max_contacts: 5, max_probes: 5, window: window.map(Span::from_seconds), ..LedgerSettings::default()
        });
        for (i, observation) in observations.iter().enumerate() {
            ledger.observe(observation);
            if i % 17 == 0 {
                ledger.prune(observation.ts());
            }
            prop_assert!(ledger.locals().len() <= 3 && ledger.contacts().len() <= 5 && ledger.probes().len() <= 5);
        }
        for row in ledger.contacts() {
            prop_assert!(row.first <= row.last && ledger.local(row.local).is_some());
        }
    }
}
