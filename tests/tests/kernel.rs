//! The kernel programs by BPF_PROG_TEST_RUN: crafted packets without an interface. Runs as root.

use std::net::Ipv6Addr;

use aya::maps::Map;
use aya::programs::TestRunOptions;
use etherparse::PacketBuilder;
use sensor_common::counters::Fate;
use sensor_common::names;
use sensor_common::wire::{Event, What};
use sensor_common::{Kind, Proto};
use tests::frames::written;
use tests::kernel::{Kernel, ingress, load, object, test_run};

const LOCAL: &str = "2001:db8:1::e014:9aff:5e49:ecb3";
const REMOTE: &str = "2a05:d014::53";

fn kernel() -> Kernel {
    Kernel::load(address("2001:db8:1::"), address("2001:db8:1:ffff::"))
}

fn address(text: &str) -> [u8; 16] {
    text.parse::<Ipv6Addr>().unwrap().octets()
}

fn builder(from: &str, to: &str, hop_limit: u8) -> etherparse::PacketBuilderStep<etherparse::IpHeaders> {
    PacketBuilder::ethernet2([2; 6], [4; 6]).ipv6(address(from), address(to), hop_limit)
}

type Tcp = etherparse::PacketBuilderStep<etherparse::TcpHeader>;

fn tcp(from: (&str, u16), to: (&str, u16), flags: impl FnOnce(Tcp) -> Tcp) -> Vec<u8> {
    let step = flags(builder(from.0, to.0, 57).tcp(from.1, to.1, 1, 64_240));
    written(|frame| step.write(frame, &[]).unwrap())
}

fn syn(from: &str, to: &str, port: u16) -> Vec<u8> {
    tcp((from, 40_000), (to, port), Tcp::syn)
}

fn syn_ack(from: &str, to: &str, from_port: u16) -> Vec<u8> {
    tcp((from, from_port), (to, 40_000), |step| step.syn().ack(2))
}

fn udp(from: &str, from_port: u16, to: &str, to_port: u16) -> Vec<u8> {
    written(|frame| builder(from, to, 57).udp(from_port, to_port).write(frame, b"data").unwrap())
}

fn echo(from: &str, to: &str, hop_limit: u8) -> Vec<u8> {
    written(|frame| builder(from, to, hop_limit).icmpv6_echo_request(7, 3).write(frame, &[0; 8]).unwrap())
}

fn echo_reply(from: &str, to: &str) -> Vec<u8> {
    written(|frame| builder(from, to, 57).icmpv6_echo_reply(7, 3).write(frame, &[0; 8]).unwrap())
}

fn said(events: &[Event]) -> Vec<(u8, u8)> {
    events.iter().map(|event| (event.what, event.number)).collect()
}

const PROBE: u8 = What::Probe as u8;
const CONTACT: u8 = What::Contact as u8;
const ANSWER: u8 = What::Answer as u8;

#[test]
fn every_program_loads_and_has_its_name_in_user_space() {
    let mut ebpf = object();
    let mut found: Vec<String> = Vec::new();
    for (name, program) in ebpf.programs_mut() {
        let info = load(program).unwrap_or_else(|e| panic!("{name}: {e}"));
        let verified = info.verified_instruction_count().unwrap_or_default();
        println!("{name}: {verified} instructions verified, {} bytes of machine code", info.size_jitted());
        found.push(name.to_owned());
    }
    let mut known = vec![
        names::INGRESS,
        names::INGRESS_LINEAR,
        names::INGRESS_RAW,
        names::INGRESS_TC,
        names::INGRESS_TC_RAW,
        names::EGRESS,
        names::EGRESS_RAW,
        names::CLASSIFY,
        names::CLASSIFY_RAW,
    ];
    known.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, known);

    let kind = |name: &str| match ebpf.map(name).unwrap() {
        Map::LpmTrie(_) => "lpm_trie",
        Map::LruHashMap(_) => "lru_hash",
        Map::PerCpuArray(_) => "percpu_array",
        Map::RingBuf(_) => "ringbuf",
        _ => panic!("{name} is of another kind"),
    };
    assert_eq!(names::MAPS.map(kind), names::KINDS);
    let mut maps: Vec<&str> = ebpf.maps().map(|(name, _)| name).filter(|name| !name.starts_with('.')).collect();
    maps.retain(|name| !names::MAPS.contains(name));
    assert_eq!(maps, [names::CLASSIFIED], "maps that are not pinned");
}

#[test]
fn a_syn_from_outside_is_a_probe_with_its_traits() {
    let mut kernel = kernel();
    let events = kernel.ingress(&syn(REMOTE, LOCAL, 22));
    let [event] = events[..] else { panic!("{events:?}") };
    assert_eq!((event.what, event.number), (PROBE, Kind::Syn as u8));
    assert_eq!((event.local, event.remote), (address(LOCAL), address(REMOTE)));
    assert_eq!((event.local_port, event.remote_port, event.hop_limit), (22, 40_000, 57));
    assert_eq!((event.window, event.tcp_flags, event.count), (64_240, 0x02, 1));
    assert!(event.time > 0);
}

#[test]
fn packets_outside_home_or_excluded_make_no_event() {
    let mut kernel = kernel();
    assert_eq!(kernel.ingress(&syn(REMOTE, "2001:db8:2::1", 22)), []);
    assert_eq!(kernel.ingress(&syn(REMOTE, "2001:db8:1:ffff::1", 22)), []);
    assert_eq!(kernel.egress(&syn("2001:db8:2::1", REMOTE, 443)), []);
}

#[test]
fn packets_of_an_established_connection_make_no_event() {
    let mut kernel = kernel();
    assert_eq!(kernel.ingress(&tcp((REMOTE, 443), (LOCAL, 40_000), |step| step.ack(2))), []);
    assert_eq!(kernel.ingress(&syn_ack(REMOTE, LOCAL, 443)), []);
}

#[test]
fn a_contact_is_reported_once() {
    let mut kernel = kernel();
    let events = kernel.egress(&syn(LOCAL, REMOTE, 443));
    assert_eq!(said(&events), [(CONTACT, Proto::Tcp as u8)]);
    assert_eq!((events[0].local, events[0].remote_port), (address(LOCAL), 443));
    assert_eq!(kernel.egress(&syn(LOCAL, REMOTE, 443)), []);
    assert_eq!(said(&kernel.egress(&syn(LOCAL, REMOTE, 80))), [(CONTACT, Proto::Tcp as u8)]);
    assert_eq!(said(&kernel.egress(&echo(LOCAL, REMOTE, 64))), [(CONTACT, Proto::Icmpv6 as u8)]);
    assert_eq!(kernel.fate(What::Contact, Fate::Matched), 3);
    assert_eq!(kernel.fate(What::Contact, Fate::Recorded), 3);
}

#[test]
fn udp_that_answers_ours_is_no_probe() {
    let mut kernel = kernel();
    assert_eq!(said(&kernel.egress(&udp(LOCAL, 5_000, REMOTE, 123))), [(CONTACT, Proto::Udp as u8)]);
    assert_eq!(kernel.ingress(&udp(REMOTE, 123, LOCAL, 5_000)), []);
    // A peer that was never contacted, at a port that is in use: peer-to-peer.
    assert_eq!(kernel.ingress(&udp("2a05:d014::99", 6_881, LOCAL, 5_000)), []);
    // The answer to it is no contact.
    assert_eq!(kernel.egress(&udp(LOCAL, 5_000, "2a05:d014::99", 6_881)), []);
    // Another port of the contacted remote: no probe, by the pair.
    assert_eq!(kernel.ingress(&udp(REMOTE, 9_999, LOCAL, 7_777)), []);
    // A stranger at a port that is not in use.
    assert_eq!(said(&kernel.ingress(&udp("2a05:d014::99", 53, LOCAL, 53))), [(PROBE, Kind::Udp as u8)]);
}

#[test]
fn answers_to_probes_are_reported_once_and_are_no_contacts() {
    for (probe, answer, kind) in [
        (syn(REMOTE, LOCAL, 22), syn_ack(LOCAL, REMOTE, 22), Kind::Syn),
        (echo(REMOTE, LOCAL, 50), echo_reply(LOCAL, REMOTE), Kind::Echo),
        (udp(REMOTE, 53, LOCAL, 53), udp(LOCAL, 53, REMOTE, 53), Kind::Udp),
    ] {
        let mut kernel = kernel();
        if kind != Kind::Udp {
            assert_eq!(kernel.egress(&answer), [], "an answer to nothing");
        }
        assert_eq!(said(&kernel.ingress(&probe)), [(PROBE, kind as u8)]);
        assert_eq!(said(&kernel.egress(&answer)), [(ANSWER, kind as u8)]);
        assert_eq!(kernel.egress(&answer), []);
    }
}

#[test]
fn repeated_probes_are_counted_and_reported_at_powers_of_two() {
    let mut kernel = kernel();
    kernel.egress(&syn(LOCAL, REMOTE, 443));
    let counts: Vec<u32> =
        (0..20).flat_map(|_| kernel.ingress(&syn("2a05:d014::99", LOCAL, 22))).map(|event| event.count).collect();
    assert_eq!(counts, [1, 1, 2, 4, 8], "each event counts the probes since the last");
    assert_eq!(kernel.fate(What::Probe, Fate::Matched), 20);
    assert_eq!(kernel.fate(What::Probe, Fate::Recorded), 20);
}

#[test]
fn a_path_probe_shows_each_of_its_hop_limits() {
    let mut kernel = kernel();
    let hops: Vec<u8> =
        (1..=9).flat_map(|hop| kernel.ingress(&echo(REMOTE, LOCAL, hop))).map(|event| event.hop_limit).collect();
    assert_eq!(hops, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn a_sweep_of_unused_targets_is_held_back_but_a_used_one_is_not() {
    let mut kernel = kernel();
    kernel.egress(&syn(LOCAL, REMOTE, 443));
    let sweep = |i: u32| syn("2a05:d014::99", &format!("2001:db8:1::1:{:x}:{:x}", i >> 16, i & 0xffff), 22);
    let mut told = 0;
    for i in 0..30_000 {
        let events = kernel.ingress(&sweep(i));
        assert!(events.iter().all(|event| event.unused == 1));
        told += events.len();
    }
    let events = kernel.ingress(&syn("2a05:d014::99", LOCAL, 22));
    assert_eq!(events.iter().map(|event| event.unused).collect::<Vec<_>>(), [0]);
    assert!((1_000..20_000).contains(&told), "{told} events for a sweep of 30,000");
    let (recorded, held) = (kernel.fate(What::Probe, Fate::Recorded), kernel.fate(What::Probe, Fate::HeldBack));
    assert_eq!(recorded, told as u64 + 1);
    assert_eq!(recorded + held, 30_001);
}

/// Sends 60,000 probes. The ring of 4 MiB holds some 52,000 records of 80 bytes with their headers.
fn fill_ring(kernel: &Kernel) {
    let mut frame = syn("2a05:d014::99", LOCAL, 22);
    for i in 0..60_000u32 {
        frame[14 + 40 + 2..14 + 40 + 4].copy_from_slice(&(i as u16).to_be_bytes());
        frame[14 + 8 + 12..14 + 8 + 16].copy_from_slice(&i.to_be_bytes());
        let options = TestRunOptions { data_in: Some(&frame), ..TestRunOptions::new() };
        test_run(kernel.ebpf.program(ingress()).unwrap(), options).unwrap();
    }
}

#[test]
fn with_a_full_ring_every_probe_is_counted() {
    let mut kernel = kernel();
    kernel.egress(&syn(LOCAL, REMOTE, 443));
    fill_ring(&kernel);
    let fates = Fate::ALL.map(|fate| kernel.fate(What::Probe, fate));
    let [matched, recorded, held_back, lost] = fates;
    assert_eq!(matched, 60_000);
    assert_eq!(matched, recorded + held_back + lost);
    assert!(lost > 1_000, "{fates:?}");
    let drained = std::iter::from_fn(|| kernel.ring.next().map(drop)).count() as u64;
    assert_eq!(drained, recorded);
}

#[test]
fn an_answer_to_a_probe_that_was_lost_is_no_contact() {
    let mut kernel = kernel();
    kernel.egress(&syn(LOCAL, REMOTE, 443));
    fill_ring(&kernel);
    let lost = kernel.fate(What::Probe, Fate::Lost);
    // `ingress` drains the ring afterwards, so that the answer has room again.
    kernel.ingress(&udp("2a05:d014::99", 53, LOCAL, 53));
    assert_eq!(kernel.fate(What::Probe, Fate::Lost), lost + 1);
    assert_eq!(said(&kernel.egress(&udp(LOCAL, 53, "2a05:d014::99", 53))), [(ANSWER, Kind::Udp as u8)]);
}

#[test]
fn syns_to_all_ports_of_a_local_hide_no_contacts() {
    let mut kernel = kernel();
    // `syn` comes from port 40,000 and goes to where the local's next connection comes from.
    assert_eq!(said(&kernel.ingress(&syn(REMOTE, LOCAL, 40_000))), [(PROBE, Kind::Syn as u8)]);
    assert_eq!(said(&kernel.egress(&syn(LOCAL, REMOTE, 443))), [(CONTACT, Proto::Tcp as u8)]);
    // With the same two ports it is a simultaneous open, and no contact.
    assert_eq!(said(&kernel.ingress(&syn("2a05:d014::99", LOCAL, 40_000))), [(PROBE, Kind::Syn as u8)]);
    assert_eq!(kernel.egress(&syn(LOCAL, "2a05:d014::99", 40_000)), []);
}

#[test]
fn a_contact_whose_flow_was_evicted_is_known_by_its_pair() {
    let mut kernel = kernel();
    assert_eq!(kernel.egress(&udp(LOCAL, 5_000, REMOTE, 123)).len(), 1);
    kernel.forget::<[u8; 40], [u8; 16]>(names::FLOWS);
    assert_eq!(kernel.egress(&udp(LOCAL, 5_000, REMOTE, 123)), [], "the pair is known");
}

#[test]
fn only_the_syn_ack_of_a_simultaneous_open_is_an_answer() {
    let mut kernel = kernel();
    let (theirs, ours) = ((REMOTE, 5_000), (LOCAL, 6_000));
    assert_eq!(said(&kernel.ingress(&tcp(theirs, ours, Tcp::syn))), [(PROBE, Kind::Syn as u8)]);
    assert_eq!(kernel.egress(&tcp(ours, theirs, Tcp::syn)), []);
    assert_eq!(said(&kernel.egress(&tcp(ours, theirs, |step| step.syn().ack(2)))), [(ANSWER, Kind::Syn as u8)]);
    // Counter-example: another port of ours.
    assert_eq!(said(&kernel.egress(&tcp((LOCAL, 6_001), theirs, Tcp::syn))), [(CONTACT, Proto::Tcp as u8)]);
}

#[test]
fn an_answer_to_a_probe_over_the_budget_is_no_contact() {
    let mut kernel = kernel();
    let probe = |i: u32| udp(REMOTE, 53, &format!("2001:db8:1::2:{:x}:{:x}", i >> 16, i & 0xffff), 53);
    let over = (0..30_000).find(|&i| kernel.ingress(&probe(i)).is_empty()).expect("the budget ends");
    assert_eq!(kernel.fate(What::Probe, Fate::HeldBack), 1);
    let local = format!("2001:db8:1::2:{:x}:{:x}", over >> 16, over & 0xffff);
    assert_eq!(kernel.egress(&udp(&local, 53, REMOTE, 53)), []);
}
