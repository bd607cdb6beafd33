//! Random sequences of packets make the same events in the kernel programs (BPF_PROG_TEST_RUN) and in the tables for
//! captures. Runs as root.

use std::fmt::Debug;

use etherparse::PacketBuilder;
use sensor_common::counters::{Fate, fate};
use sensor_common::parse::Address;
use sensor_common::wire::{BootTime, Event, What};
use sensor_common::{Link, Signal, parse};
use sensor_user::datapath::age::age;
use tattler_files::capture::PacketObserver;
use tests::frames::{Random, written};
use tests::kernel::Kernel;

/// Sequences, and packets in each: 100,000 in all. Each sequence begins with empty tables.
const SEQUENCES: usize = 100;
const STEPS: usize = 1_000;
const SECOND: BootTime = 1_000_000_000;
/// Seconds between two packets. All are multiples of 20 s, since the kernel's clock runs meanwhile: sums hit a limit of
/// the rules exactly or miss it by far.
const WAITS: [BootTime; 8] = [20, 20, 40, 40, 60, 240, 300, 360];
const SIGNALS: [Signal; 9] = [
    Signal::Echo,
    Signal::EchoReply,
    Signal::Syn,
    Signal::Syn,
    Signal::SynAck,
    Signal::TcpOther,
    Signal::Udp,
    Signal::Udp,
    Signal::Udp,
];

/// One packet. Few addresses and ports, so that they collide.
#[derive(Debug)]
struct Packet {
    wait: BootTime,
    is_outbound: bool,
    signal: Signal,
    local: u8,
    remote: u8,
    ports: (u16, u16),
    hop_limit: u8,
}

fn pick<T: Copy>(random: &mut Random, values: &[T]) -> T {
    values[random.below(values.len())]
}

impl Packet {
    fn new(random: &mut Random) -> Packet {
        Packet {
            wait: if random.below(4) == 0 { pick(random, &WAITS) } else { 0 },
            is_outbound: random.below(2) == 0,
            signal: pick(random, &SIGNALS),
            local: pick(random, &[1, 2]),
            remote: pick(random, &[1, 2, 3]),
            ports: (pick(random, &[1_000, 2_000]), pick(random, &[3_000, 4_000])),
            hop_limit: pick(random, &[57, 57, 57, 58]),
        }
    }

    fn frame(&self) -> Vec<u8> {
        let (mut local, mut remote) = (address("2001:db8:1::"), address("2a05:d014::"));
        (local[15], remote[15]) = (self.local, self.remote);
        let ((src, dst), (src_port, dst_port)) = if self.is_outbound {
            ((local, remote), self.ports)
        } else {
            ((remote, local), (self.ports.1, self.ports.0))
        };
        let ip = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv6(src, dst, self.hop_limit);
        let tcp = |ip: etherparse::PacketBuilderStep<_>| ip.tcp(src_port, dst_port, 1, 500);
        written(|frame| {
            let written = match self.signal {
                Signal::Echo => ip.icmpv6_echo_request(self.ports.0, 3).write(frame, b"data"),
                Signal::EchoReply => ip.icmpv6_echo_reply(self.ports.0, 3).write(frame, b"data"),
                Signal::Syn => tcp(ip).syn().write(frame, &[]),
                Signal::SynAck => tcp(ip).syn().ack(2).write(frame, &[]),
                Signal::TcpOther => tcp(ip).fin().write(frame, &[]),
                Signal::Udp => ip.udp(src_port, dst_port).write(frame, b"data"),
                Signal::None => unreachable!("not in SIGNALS"),
            };
            written.expect("a frame");
        })
    }
}

fn address(text: &str) -> Address {
    text.parse::<std::net::Ipv6Addr>().expect("an address").octets()
}

/// An event without clock and device, in which both sides differ.
fn comparable(event: &Event) -> Event {
    Event { time: 0, ifindex: 0, ..*event }
}

fn equal<T: PartialEq + Debug>(kernel: T, capture: T, at: &dyn Debug) {
    assert_eq!(kernel, capture, "kernel and capture differ at {at:?}");
}

#[test]
fn kernel_and_capture_make_the_same_events_of_a_sequence() {
    // State can't become older than the machine.
    let uptime = std::fs::read_to_string("/proc/uptime").expect("the uptime");
    let uptime: f64 = uptime.split(' ').next().and_then(|seconds| seconds.parse().ok()).expect("a number");
    assert!(uptime > 400.0, "started {uptime} s ago; run this test 400 s after boot");
    let mut kernel = Kernel::load(address("2001:db8:1::"), address("2001:db8:1:ffff::"));
    let mut random = Random::seeded();
    let mut counted = [[0; 4]; 3];
    let mut events = [0; 3];
    for sequence in 0..SEQUENCES {
        kernel.forget_all();
        let mut watch = PacketObserver::new(vec!["2001:db8:1::/48".parse().expect("a prefix")]);
        let mut now = 1_000_000 * SECOND;
        for step in 0..STEPS {
            let packet = Packet::new(&mut random);
            if packet.wait > 0 {
                now += packet.wait * SECOND;
                age(&mut kernel.ebpf, packet.wait * SECOND);
            }
            let frame = packet.frame();
            let in_kernel = if packet.is_outbound { kernel.egress(&frame) } else { kernel.ingress(&frame) };
            let header = parse(frame.as_slice(), Link::Ethernet).expect("a whole packet");
            assert_eq!(header.signal, packet.signal);
            let in_capture = watch.event(&header, now);
            let at = (sequence, step, &packet);
            let comparable = |events: &[Event]| events.iter().map(comparable).collect::<Vec<_>>();
            equal(comparable(&in_kernel), comparable(in_capture.as_slice()), &at);
            for event in in_kernel {
                events[event.what as usize - 1] += 1;
            }
        }
        for what in What::ALL {
            for kind in Fate::ALL {
                counted[what as usize - 1][kind as usize] += watch.counters()[fate(what, kind) as usize];
            }
        }
    }
    println!("{} packets; contacts, probes, answers: {events:?} events", SEQUENCES * STEPS);
    let fates = What::ALL.map(|what| Fate::ALL.map(|kind| kernel.fate(what, kind)));
    equal(fates, counted, &"the counters");
    assert!(events.iter().all(|&events| events > 1_000), "too few events to compare: {events:?}");
}
