//! The cost of a packet in nanoseconds: the real programs on crafted packets, a million times each
//! (BPF_PROG_TEST_RUN). `idle` is the cost of an IPv4 packet, which the programs ignore: nearly all of it is the test
//! run itself. `ours` is the rest. Packets that must be new each time run once, so that reading the clock before and
//! after counts too, with cold caches.

use std::net::Ipv6Addr;

use aya::Ebpf;
use aya::programs::TestRunOptions;
use etherparse::PacketBuilder;
use sensor_common::names;
use tests::frames::written as frame;
use tests::kernel;

const LOCAL: &str = "2001:db8:1::e014:9aff:5e49:ecb3";
const REMOTE: &str = "2a05:d014::53";
const RUNS: u32 = 1_000_000;
const ROUNDS: usize = 5;
/// More than a table holds and a budget allows.
const SOURCES: u32 = 200_000;

fn address(text: &str) -> [u8; 16] {
    text.parse::<Ipv6Addr>().expect("an address").octets()
}

fn load() -> Ebpf {
    let mut ebpf = kernel::object_for(address("2001:db8:1::"), 48);
    for name in [names::INGRESS, names::EGRESS, names::CLASSIFY] {
        kernel::load(ebpf.program_mut(name).expect(name)).expect(name);
    }
    ebpf
}

fn once(ebpf: &Ebpf, name: &str, frame: &[u8], repeat: u32) -> u64 {
    let options = TestRunOptions { data_in: Some(frame), repeat, ..TestRunOptions::new() };
    kernel::test_run(ebpf.program(name).expect(name), options).expect("test run").duration.as_nanos() as u64
}

/// The median of packets that differ in their source, each run once.
fn each(ebpf: &Ebpf, name: &str, frame: &[u8]) -> u64 {
    let mut frame = frame.to_vec();
    let mut taken: Vec<u64> = (0..SOURCES)
        .map(|source: u32| {
            // The last bytes of the source address, behind 14 of Ethernet and 20 of IPv6.
            if let Some(bytes) = frame.get_mut(34..38) {
                bytes.copy_from_slice(&source.to_be_bytes());
            }
            once(ebpf, name, &frame, 1)
        })
        .collect();
    taken.sort_unstable();
    taken[taken.len() / 2]
}

fn ethernet(from: &str, to: &str) -> etherparse::PacketBuilderStep<etherparse::IpHeaders> {
    PacketBuilder::ethernet2([2; 6], [4; 6]).ipv6(address(from), address(to), 57)
}

fn main() {
    let v4 = frame(|f| {
        let b = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64);
        b.tcp(443, 40_000, 1, 500).ack(2).write(f, &[0; 64]).expect("write");
    });
    let tcp = |from, to, flags: fn(_) -> etherparse::PacketBuilderStep<etherparse::TcpHeader>| {
        frame(|f| flags(ethernet(from, to).tcp(443, 40_000, 1, 500)).write(f, &[0; 64]).expect("write"))
    };
    let udp = |from, to, ports: (u16, u16)| {
        frame(|f| ethernet(from, to).udp(ports.0, ports.1).write(f, &[0; 64]).expect("write"))
    };
    let ack = |b: etherparse::PacketBuilderStep<etherparse::TcpHeader>| b.ack(2);
    let syn = |b: etherparse::PacketBuilderStep<etherparse::TcpHeader>| b.syn();
    let echo = frame(|f| ethernet(REMOTE, LOCAL).icmpv6_echo_request(7, 3).write(f, &[0; 56]).expect("write"));

    let ours = (udp(LOCAL, REMOTE, (5_000, 123)), udp(REMOTE, LOCAL, (123, 5_000)));
    /// Title, program, a packet to send out first, and the packet.
    type Case<'a> = (&'a str, &'a str, Option<&'a [u8]>, Vec<u8>);
    let cases: [Case; 12] = [
        ("in: IPv4", names::INGRESS, None, v4.clone()),
        ("in: established TCP", names::INGRESS, None, tcp(REMOTE, LOCAL, ack)),
        ("in: UDP of ours", names::INGRESS, Some(&ours.0), ours.1.clone()),
        (
            "in: UDP from a new peer to a port in use",
            names::INGRESS,
            Some(&ours.0),
            udp("2a05:d014::99", LOCAL, (9, 5_000)),
        ),
        ("in: SYN elsewhere", names::INGRESS, None, tcp(REMOTE, "2001:db8:2::1", syn)),
        ("in: SYN probe, repeated", names::INGRESS, None, tcp(REMOTE, LOCAL, syn)),
        ("in: echo probe, repeated", names::INGRESS, None, echo),
        ("in: UDP probe, repeated", names::INGRESS, None, udp("2a05:d014::98", LOCAL, (9, 53))),
        ("out: IPv4", names::EGRESS, None, v4.clone()),
        ("out: established TCP", names::EGRESS, None, tcp(LOCAL, REMOTE, ack)),
        ("out: UDP of a known exchange", names::EGRESS, None, ours.0.clone()),
        ("out: SYN, repeated", names::EGRESS, None, tcp(LOCAL, REMOTE, syn)),
    ];
    println!("{:<44} {:>8} {:>8} {:>8}", "nanoseconds a packet", "best", "idle", "ours");
    for (title, name, before, frame) in cases {
        let ebpf = load();
        if let Some(before) = before {
            once(&ebpf, names::EGRESS, before, 1);
        }
        let best = (0..ROUNDS).map(|_| once(&ebpf, name, &frame, RUNS)).min().unwrap_or(0);
        let base = (0..ROUNDS).map(|_| once(&ebpf, name, &v4, RUNS)).min().unwrap_or(0);
        println!("{title:<44} {best:>8} {base:>8} {:>8}", best.saturating_sub(base));
    }

    // A sweep over a local that is not in use: over the budget, each packet from another source.
    println!("\n{:<44} {:>8} {:>8} {:>8}", "each run once, median", "median", "idle", "ours");
    for (title, frame) in [
        ("in: SYN probe, held back", tcp("2a05:d014::97", LOCAL, syn)),
        ("in: UDP probe, held back", udp("2a05:d014::97", LOCAL, (9, 53))),
    ] {
        let ebpf = load();
        let (median, base) = (each(&ebpf, names::INGRESS, &frame), each(&ebpf, names::INGRESS, &v4));
        println!("{title:<44} {median:>8} {base:>8} {:>8}", median.saturating_sub(base));
    }
}
