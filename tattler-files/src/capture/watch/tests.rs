use std::net::Ipv6Addr;

use sensor_common::Signal;
use sensor_common::parse::{Detail, Tuple};
use tattler_core::observation::Probe;

use super::*;

const SECOND: Nanos = 1_000_000_000;
/// A time after the first minutes. In the first minutes, the ports in use are unknown.
const LATER: Nanos = 1_000 * SECOND;

/// One packet between a local and a remote.
struct Packet {
    signal: Signal,
    out: bool,
    ports: (u16, u16),
    hop_limit: u8,
}

fn out(signal: Signal, local: u16, remote: u16) -> Packet {
    Packet { signal, out: true, ports: (local, remote), hop_limit: 64 }
}

fn inbound(signal: Signal, local: u16, remote: u16) -> Packet {
    Packet { signal, out: false, ports: (local, remote), hop_limit: 50 }
}

fn address(text: &str) -> [u8; 16] {
    text.parse::<Ipv6Addr>().unwrap().octets()
}

fn header(packet: &Packet) -> Header {
    let (local, remote) = (address("2001:db8::e014"), address("2a0d:5600::29"));
    let (here, there) = packet.ports;
    let tuple = if packet.out {
        Tuple { src: local, dst: remote, src_port: here, dst_port: there }
    } else {
        Tuple { src: remote, dst: local, src_port: there, dst_port: here }
    };
    Header { signal: packet.signal, tuple, detail: Detail { hop_limit: packet.hop_limit, ..Detail::default() } }
}

fn watch() -> PacketObserver {
    let mut watch = PacketObserver::new(vec!["2001:db8::/48".parse().unwrap()]);
    watch.packet(&header(&out(Signal::None, 0, 0)), 0);
    watch
}

/// The observations from packets at seconds after [`LATER`], as a short text for each packet.
fn tells(watch: &mut PacketObserver, packets: &[(i64, Packet)]) -> Vec<String> {
    let mut told = Vec::new();
    for (second, packet) in packets {
        told.push(match watch.packet(&header(packet), LATER + second * SECOND) {
            None => "-".into(),
            Some(Observation::Contact(c)) => format!("contact {} {} x{}", c.proto.as_str(), c.port, c.count),
            Some(Observation::Probe(p)) => format!("probe {} {} x{}", p.kind.as_str(), p.port, p.count),
            Some(Observation::Answer(a)) => format!("answer {} {}", a.kind.as_str(), a.port),
        });
    }
    told
}

#[test]
fn an_exchange_that_we_begin_is_a_contact_and_its_answers_are_nothing() {
    let told = tells(
        &mut watch(),
        &[
            (0, out(Signal::Udp, 5000, 123)),
            (1, inbound(Signal::Udp, 5000, 123)),
            (2, out(Signal::Udp, 5000, 123)),
            (70, out(Signal::Udp, 5000, 123)),
            (71, out(Signal::Syn, 6000, 443)),
            (72, inbound(Signal::SynAck, 6000, 443)),
            (73, out(Signal::Echo, 9, 9)),
            (74, inbound(Signal::EchoReply, 9, 9)),
        ],
    );
    let expected =
        ["contact udp 123 x1", "-", "-", "contact udp 123 x0", "contact tcp 443 x1", "-", "contact icmpv6 0 x1", "-"];
    assert_eq!(told, expected);
}

#[test]
fn contacts_within_a_minute_are_counted_and_told_together() {
    let told = tells(
        &mut watch(),
        &[
            (0, out(Signal::Syn, 1, 443)),
            (1, out(Signal::Syn, 2, 443)),
            (2, out(Signal::Syn, 3, 443)),
            (60, out(Signal::Syn, 4, 443)),
            (61, out(Signal::Syn, 5, 443)),
            (62, out(Signal::Syn, 6, 80)),
        ],
    );
    assert_eq!(told, ["contact tcp 443 x1", "-", "-", "contact tcp 443 x3", "-", "contact tcp 80 x1"]);
}

#[test]
fn a_probe_that_is_answered_makes_the_exchange_one_of_theirs() {
    let told = tells(
        &mut watch(),
        &[
            (0, inbound(Signal::Udp, 53, 4000)),
            (1, out(Signal::Udp, 53, 4000)),
            (2, inbound(Signal::Udp, 53, 4000)),
            (3, out(Signal::Udp, 53, 4000)),
            (4, inbound(Signal::Syn, 22, 4000)),
            (5, out(Signal::SynAck, 22, 4000)),
            (6, out(Signal::SynAck, 22, 4000)),
            (7, inbound(Signal::Echo, 77, 77)),
            (8, out(Signal::EchoReply, 77, 77)),
        ],
    );
    let expected = [
        "probe udp 53 x1",
        "answer udp 53",
        "-",
        "-",
        "probe syn 22 x1",
        "answer syn 22",
        "-",
        "probe echo 0 x1",
        "answer echo 0",
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_path_probe_is_told_hop_by_hop() {
    let hops: Vec<_> = (1..=5).map(|hop| (0, Packet { hop_limit: hop, ..inbound(Signal::Echo, 7, 7) })).collect();
    assert_eq!(tells(&mut watch(), &hops), ["probe echo 0 x1"; 5]);
}

#[test]
fn udp_in_the_first_minutes_is_marked_for_ports_are_not_known_yet() {
    let mut watch = watch();
    let settling = |observation| matches!(observation, Some(Observation::Probe(Probe { settling: true, .. })));
    assert!(settling(watch.packet(&header(&inbound(Signal::Udp, 1, 1)), 299 * SECOND)));
    assert!(!settling(watch.packet(&header(&inbound(Signal::Syn, 1, 1)), 299 * SECOND)));
    assert!(!settling(watch.packet(&header(&inbound(Signal::Udp, 2, 2)), 301 * SECOND)));
}

#[test]
fn only_what_crosses_the_border_of_home_is_looked_at() {
    let mut watch = watch();
    for (src, dst, is_told) in [
        ("2001:db8::1", "2a00::1", true),
        ("2a00::1", "2001:db8::1", true),
        ("2001:db8::1", "2001:db8:0:5::1", false),
        ("2a00::1", "2a01::1", false),
        ("2001:db8::1", "fd00::1", false),
        ("fe80::1", "2001:db8::1", false),
        ("2001:db8::1", "ff0e::1", false),
        ("2001:db8::1", "64:ff9b::c000:201", false),
    ] {
        let tuple = Tuple { src: address(src), dst: address(dst), src_port: 1, dst_port: 2 };
        let header = Header { signal: Signal::Syn, tuple, detail: Detail::default() };
        assert_eq!(watch.packet(&header, LATER).is_some(), is_told, "{src} to {dst}");
    }
}

#[test]
fn traits_are_those_of_the_kind() {
    let mut watch = watch();
    let Some(Observation::Probe(echo)) = watch.packet(&header(&inbound(Signal::Echo, 7, 7)), LATER) else { panic!() };
    assert_eq!((echo.traits.icmp_id, echo.traits.source_port, echo.traits.window), (Some(0), None, None));
    let Some(Observation::Probe(syn)) = watch.packet(&header(&inbound(Signal::Syn, 7, 9)), LATER) else { panic!() };
    assert_eq!((syn.traits.icmp_id, syn.traits.source_port, syn.traits.window), (None, Some(9), Some(0)));
    assert_eq!((syn.traits.hop_limit, syn.contacted_source, syn.answered), (Some(50), false, false));
}
