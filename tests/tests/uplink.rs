//! The live sensor on its uplink: attached and detached, next to other programs, on devices of every kind, after changes
//! of the uplink, and without a change to packets. And its HTTP listener. Runs as root.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::Ipv6Addr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use aya::programs::TcAttachType;
use sensor_common::names;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::dial::dial;
use tests::namespace::{Namespace, watched};
use tests::others::Others;
use tests::programs::{Bounded, input, succeed, tool};
use tests::sensor::{Pins, Sensor, WAN0, exists};
use tests::traffic::{Wire, ping, ping_nobody};
use tests::world::{HOST, POOL, SCANNER, SITE, STRANGER, UPLINK, World};

fn directory() -> TempDir {
    TempDir::new().expect("make a state directory")
}

/// The uplinks in the status of a sensor that watches one.
fn uplinks(device: &str, mode: &str) -> Value {
    json!([{"interface": device, "mode": mode, "up": true}])
}

#[test]
fn after_sigint_and_sigterm_nothing_is_left_attached() {
    let (world, state) = (World::new(), directory());
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let mut sensor = Sensor::start(&world.router, state.path(), &WAN0);
        assert_eq!(world.router.attached("wan0"), watched("xdp"));
        let socket = sensor.socket();
        assert!(exists(&socket));
        let status = sensor.end(signal);
        assert_eq!(status.code(), Some(0), "{}", sensor.log());
        assert_eq!(world.router.attached("wan0"), Default::default());
        assert!(!exists(&socket));
    }
}

#[test]
fn a_killed_sensor_leaves_its_programs_to_the_next_one() {
    let (world, state) = (World::new(), directory());
    let _pins = Pins::of(state.path());
    let mut killed = Sensor::start(&world.router, state.path(), &WAN0);
    ping(&world.host, HOST, SITE);
    killed.wait_for("contact", 1);
    killed.wait_stored(1);
    killed.end(libc::SIGKILL);
    assert_eq!(world.router.attached("wan0"), watched("xdp"), "the programs are pinned");
    assert!(exists(&killed.socket()), "a killed sensor leaves its socket");

    let next = Sensor::start(&world.router, state.path(), &WAN0);
    assert_eq!(next.status()["contacts"], 1);
    next.stop();
    assert_eq!(world.router.attached("wan0"), Default::default());
}

fn others() -> Others {
    Others::load("2001:db8:42::".parse::<Ipv6Addr>().unwrap().octets(), 48)
}

#[test]
fn another_xdp_program_stays_and_the_sensor_waits() {
    let (world, state) = (World::new(), directory());
    let mut other = others();
    other.attach_xdp(&world.router, "wan0");
    let before = world.router.ip("-d link show dev wan0");
    for mode in ["native", "generic"] {
        let sensor = Sensor::start(&world.router, state.path(), &[&WAN0[..], &["--attach", mode]].concat());
        let (status, why) = sensor.get("/healthz");
        assert_eq!(status, 503);
        for said in [&why, &sensor.log()] {
            assert!(said.contains("another XDP program") && said.contains("ip link set dev wan0 xdp off"), "{said}");
        }
        assert_eq!(sensor.log().matches("another XDP program").count(), 1, "{}", sensor.log());
        assert_eq!(sensor.status()["unwatched"].as_array().map(Vec::len), Some(1));
        assert_eq!(world.router.ip("-d link show dev wan0"), before);
        assert_eq!(world.router.attached("wan0"), ("xdp".to_owned(), vec![]));
        sensor.stop();
    }
}

/// Checks that a sensor runs and watches nothing, by its log, its health check and its status.
#[track_caller]
fn waits(sensor: &Sensor<'_>, words: &[&str]) {
    let (status, why) = sensor.get("/healthz");
    assert_eq!((status, sensor.status()["uplinks"].clone()), (503, json!([])), "{why}");
    let unwatched = sensor.status()["unwatched"].to_string();
    assert!(why.contains(words[0]) && unwatched.contains(words[0]), "{why}{unwatched}");
    let log = sensor.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(words[0])).collect();
    assert!(lines.len() == 1 && words.iter().all(|word| lines[0].contains(word)), "{log}");
}

#[test]
fn a_named_uplink_may_appear_after_the_start() {
    let (world, state) = (World::new(), directory());
    let World { host, router, internet } = &world;
    router.link("wan1", internet, "net1");
    router.ip("link delete wan0");
    let names = ["--interface", "wan1", "--interface", "wan0"];
    let sensor = Sensor::start(router, state.path(), &names);
    assert_eq!(router.attached("wan1"), watched("xdp"), "the other one is watched");
    let (status, why) = sensor.get("/healthz");
    assert!(status == 503 && why.contains("there is no interface wan0 yet"), "{why}");
    world.connect("wan0", "");
    sees_again(&world, &sensor);
    is_healthy(&sensor);
    ping(host, HOST, SITE);
    sensor.wait_for("contact", 1);
    sensor.stop();
    assert_eq!(router.attached("wan0"), Default::default());

    // For a wrong name, the log lists the interfaces.
    let sensor = Sensor::start(router, state.path(), &["--interface", "wan9"]);
    waits(&sensor, &["there is no interface wan9 yet", "waiting", "lan0", "wan0", "wan1"]);
    sensor.stop();
}

#[test]
fn the_sensor_waits_for_a_default_route() {
    let (world, state) = (World::new(), directory());
    world.router.ip("link delete wan0");
    let sensor = Sensor::start(&world.router, state.path(), &[]);
    waits(&sensor, &["there is no IPv6 default route yet", "waiting for one", "--interface", "lan0"]);
    world.connect("ppp0", "");
    sees_again(&world, &sensor);
    is_healthy(&sensor);
    assert_eq!(sensor.status()["uplinks"], uplinks("ppp0", "native"));
    sensor.stop();
    assert_eq!(world.router.attached("ppp0"), Default::default());
}

#[test]
fn other_programs_at_egress_still_run() {
    let (world, state) = (World::new(), directory());
    let (mut before, mut after) = (others(), others());
    before.attach_tc(&world.router, "wan0", names::EGRESS, TcAttachType::Egress);
    let sensor = Sensor::start(&world.router, state.path(), &WAN0);
    after.attach_tc(&world.router, "wan0", names::EGRESS, TcAttachType::Egress);
    assert_eq!(world.router.attached("wan0").1.len(), 3);
    ping(&world.host, HOST, SITE);
    sensor.wait_for("contact", 1);
    assert_eq!((before.saw()[1], after.saw()[1]), (1, 1));
    sensor.stop();
    assert_eq!(world.router.attached("wan0"), (String::new(), vec![names::EGRESS.to_owned(); 2]));
}

/// Attaches a program to egress that passes every packet and ends the chain: TC_ACT_OK. It stays as long as the link.
fn attach_end_of_chain(namespace: &Namespace, device: &str) -> OwnedFd {
    let bpf = |command: i32, attributes: &[u32; 12]| {
        // SAFETY: the kernel reads the attributes, within their length, and the memory they point to, which outlives
        // the call. It returns a new descriptor or -1, which is checked.
        let fd = unsafe { libc::syscall(libc::SYS_bpf, command, attributes.as_ptr(), size_of_val(attributes)) };
        assert!(fd >= 0, "bpf command {command}, as root: {}", io::Error::last_os_error());
        // SAFETY: the descriptor is new, and no other code owns it.
        unsafe { OwnedFd::from_raw_fd(fd as i32) }
    };
    // r0 = 0; exit
    let program: [u64; 2] = [0xb7, 0x95].map(u64::from_le);
    let (code, licence) = (program.as_ptr() as u64, c"GPL".as_ptr() as u64);
    let ([code_a, code_b], [licence_a, licence_b]) = (halves(code), halves(licence));
    const LOAD: i32 = 5;
    const LINK: i32 = 28;
    const CLASSIFIER: u32 = 3;
    const TCX_EGRESS: u32 = 47;
    let program = bpf(LOAD, &[CLASSIFIER, 2, code_a, code_b, licence_a, licence_b, 0, 0, 0, 0, 0, 0]);
    let index = namespace.index(device) as u32;
    namespace.inside(|| bpf(LINK, &[program.as_raw_fd() as u32, index, TCX_EGRESS, 0, 0, 0, 0, 0, 0, 0, 0, 0]))
}

/// A 64-bit number as its two halves in memory.
fn halves(number: u64) -> [u32; 2] {
    let bytes = number.to_ne_bytes();
    [0, 4].map(|at| u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap()))
}

#[test]
fn a_program_that_ends_the_chain_at_egress_hides_no_contacts() {
    let (world, state) = (World::new(), directory());
    let _end = attach_end_of_chain(&world.router, "wan0");
    let sensor = Sensor::start(&world.router, state.path(), &WAN0);
    ping(&world.host, HOST, SITE);
    sensor.wait_for("contact", 1);
    sensor.stop();
}

fn use_mtu_9000(World { host, router, internet }: &World) {
    for (namespace, device) in [(host, "eth0"), (router, "lan0"), (router, "wan0"), (internet, "net0")] {
        namespace.ip(&format!("link set {device} mtu 9000"));
    }
}

/// Pings the host with a packet that needs an MTU of 9000.
fn ping_large(world: &World) {
    let (scanner, host) = (SCANNER.to_string(), HOST.to_string());
    let ping = ["-6", "-n", "-c", "1", "-W", "5", "-s", "8900", "-M", "do", "-I", &scanner, &host];
    succeed(&mut world.internet.tool("ping", &ping));
}

#[test]
fn large_packets_are_seen_with_an_mtu_of_9000() {
    let (world, state) = (World::new(), directory());
    use_mtu_9000(&world);
    let sensor = Sensor::start(&world.router, state.path(), &WAN0);
    assert_eq!(world.router.attached("wan0"), watched("xdp"));
    ping_large(&world);
    sensor.wait_for("answer", 1);
    assert_eq!(sensor.status()["uplinks"], uplinks("wan0", "native"));
    sensor.stop();
}

#[track_caller]
fn assert_generic(sensor: &Sensor<'_>, device: &str) {
    assert_eq!(sensor.status()["uplinks"], uplinks(device, "generic"));
    let line = format!(r#"tattler_uplink_info{{interface="{device}",mode="generic"}} 1"#);
    assert!(sensor.metrics().contains(&line), "no line {line}");
    assert!(sensor.log().contains("generic"), "{}", sensor.log());
    assert!(!sensor.log().contains("os error"), "{}", sensor.log());
}

#[test]
fn a_bridge_is_watched_in_generic_mode() {
    let (world, state) = (World::new(), directory());
    let World { host, router, internet } = &world;
    router.ip("link add wanbr type bridge mcast_snooping 0");
    router.ip("link set wanbr up");
    router.ip(&format!("address del {}/64 dev wan0", UPLINK));
    router.ip("link set wan0 master wanbr");
    router.ip(&format!("address add {}/64 dev wanbr nodad", UPLINK));
    router.ip("route replace default via 2001:db8:ffff::1");

    // The default route leads to the uplink.
    let sensor = Sensor::start(router, state.path(), &[]);
    ping(host, HOST, SITE);
    ping(internet, SCANNER, HOST);
    sensor.wait_for("contact", 1);
    sensor.wait_for("answer", 1);
    assert_generic(&sensor, "wanbr");
    assert_eq!(router.attached("wanbr"), watched("xdpgeneric"));
    assert_eq!(sensor.followed(SITE, HOST), [(SCANNER.to_string(), "echo".to_owned(), 0)]);
    sensor.stop();
    assert_eq!(router.attached("wanbr"), Default::default());
}

/// A tun device, as VPNs and tunnel brokers use: packets without a link layer.
fn tun(namespace: &Namespace, name: &str) -> File {
    let open = || {
        let tun = OpenOptions::new().read(true).write(true).open("/dev/net/tun").expect("open /dev/net/tun");
        // SAFETY: ifreq is plain integers, for which zeros do.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *to = from as libc::c_char;
        }
        request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
        // SAFETY: TUNSETIFF takes an ifreq, whose name ends in zeros.
        let made = unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
        assert_eq!(made, 0, "make {name}: {}", io::Error::last_os_error());
        tun
    };
    namespace.inside(open)
}

#[test]
fn a_tun_device_is_watched_in_generic_mode() {
    let (world, state) = (World::new(), directory());
    let World { host, router, .. } = &world;
    let mut tun = tun(router, "tun0");
    router.ip("link set tun0 up");
    router.ip("-6 route replace default dev tun0");
    let sensor = Sensor::start(router, state.path(), &[]);

    tun.write_all(&ipv6(58, SCANNER, HOST, &[128, 0, 0x12, 0x34, 0, 7, 0, 1])).unwrap();
    sensor.wait_for("probe", 1);
    ping_nobody(host, HOST, SITE);
    sensor.wait_for("contact", 1);
    assert_generic(&sensor, "tun0");
    let explained = sensor.explain(SITE);
    assert_eq!(explained["visits"][0]["local"], json!(HOST), "{explained}");
    let mut packet = [0; 2_000];
    let length = tun.read(&mut packet).unwrap();
    assert!(length >= 40 && packet[0] >> 4 == 6, "{:?}", &packet[..length]);
    sensor.stop();
}

/// An IPv6 packet with this payload.
fn ipv6(next: u8, from: Ipv6Addr, to: Ipv6Addr, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u16).to_be_bytes();
    [&[0x60, 0, 0, 0, length[0], length[1], next, 57][..], &from.octets(), &to.octets(), payload].concat()
}

/// The frames are not for the machine that receives them.
const NOBODY: [u8; 6] = [0x02, 0xbe, 0xef, 0, 0, 1];
const STATION: [u8; 6] = [0x02, 0xbe, 0xef, 0, 0, 2];

/// Frames of every kind that the programs read, give up on or ignore.
fn odd_frames(from: Ipv6Addr, to: Ipv6Addr) -> Vec<Vec<u8>> {
    let syn = [0x9c, 0x40, 0, 22, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xfa, 0xf0, 0, 0, 0, 0];
    let datagram = [0x9c, 0x40, 0, 53, 0, 12, 0, 0, 1, 2, 3, 4];
    let probe = ipv6(6, from, to, &syn);
    let mut chain = Vec::new();
    for _ in 0..9 {
        chain.extend([60, 0, 1, 4, 0, 0, 0, 0]);
    }
    chain[64] = 6;
    chain.extend(syn);
    let first_fragment = [&[17, 0, 0, 1, 0, 0, 0, 9][..], &datagram].concat();
    let later_fragment = [&[17, 0, 0, 0x48, 0, 0, 0, 9][..], &datagram].concat();
    let six_in_six = ipv6(41, SITE, SCANNER, &probe);
    let mut four = vec![0x45, 0, 0, 0, 0, 9, 0, 0, 64, 41, 0, 0, 192, 0, 2, 1, 198, 51, 100, 2];
    four[3] = 20 + probe.len() as u8;
    four.extend(&probe);
    let pppoe = [&[0x11, 0, 0, 7, 0, probe.len() as u8 + 2, 0, 0x57][..], &probe].concat();
    let vlan = [&[0, 7, 0x86, 0xdd][..], &probe].concat();
    let vlans = [&[0, 9, 0x81, 0][..], &vlan].concat();
    let noise: Vec<u8> = (0..1_500u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut other_version = probe.clone();
    other_version[0] = 0x50;
    let typed = |ether_type: u16, rest: &[u8]| [&NOBODY[..], &STATION, &ether_type.to_be_bytes(), rest].concat();
    vec![
        typed(0x88b5, &[]),
        typed(0x86dd, &[]),
        typed(0x86dd, &probe[..20]),
        typed(0x86dd, &probe[..50]),
        typed(0x86dd, &probe),
        typed(0x86dd, &ipv6(17, from, to, &datagram)),
        typed(0x86dd, &ipv6(58, from, to, &[128, 0, 0, 0, 0, 7, 0, 1])),
        typed(0x86dd, &ipv6(60, from, to, &chain)),
        typed(0x86dd, &ipv6(44, from, to, &first_fragment)),
        typed(0x86dd, &ipv6(44, from, to, &later_fragment)),
        typed(0x86dd, &ipv6(59, from, to, &[])),
        typed(0x86dd, &six_in_six),
        typed(0x86dd, &other_version),
        typed(0x86dd, &noise),
        typed(0x0800, &four),
        typed(0x8864, &pppoe),
        typed(0x8100, &vlan),
        typed(0x88a8, &vlans),
        typed(0x0042, &noise),
    ]
}

#[test]
fn odd_frames_pass_byte_for_byte() {
    let (world, state) = (World::new(), directory());
    let (inside, outside) = (Wire::open(&world.router, "wan0"), Wire::open(&world.internet, "net0"));
    let send = |from: &Wire, to: &Wire, frames: &[Vec<u8>]| {
        frames.iter().for_each(|frame| from.send(frame));
        to.receive(Some(STATION), frames.len())
    };
    let (inbound, outbound) = (odd_frames(SCANNER, HOST), odd_frames(HOST, SITE));
    // A receiver gets a VLAN tag outside of the frame, so compare with the frames received without a sensor.
    let before = (send(&outside, &inside, &inbound), send(&inside, &outside, &outbound));
    let untagged = |frames: &[Vec<u8>]| frames.iter().filter(|frame| frame[12] != 0x81 && frame[13] != 0xa8).count();
    let same = before.0.iter().zip(&inbound).filter(|(came, sent)| came == sent).count();
    assert_eq!(same, untagged(&inbound));

    let sensor = Sensor::start(&world.router, state.path(), &WAN0);
    let with = (send(&outside, &inside, &inbound), send(&inside, &outside, &outbound));
    assert_eq!(with, before);
    sensor.wait_for("probe", 3);
    sensor.wait_for("contact", 3);
    let gave_up = sensor.status()["gave_up"].clone();
    assert!(gave_up.as_array().is_some_and(|reasons| reasons.len() > 2), "{gave_up}");
    sensor.stop();
}

#[test]
fn promtool_accepts_the_metrics_and_they_have_no_addresses() {
    let (world, state) = (World::new(), directory());
    let sensor = Sensor::start(&world.router, state.path(), &WAN0);
    ping(&world.host, HOST, SITE);
    ping(&world.internet, SCANNER, HOST);
    sensor.wait_for("probe", 1);
    let page = sensor.metrics();
    assert!(!page.contains("2001:") && !page.contains("3fff:"), "{page}");

    let output = tool("promtool").args(["check", "metrics"]).stdin(input(page.as_bytes())).finish().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");

    assert_eq!(sensor.get("/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(sensor.get("/").0, 404);
    sensor.stop();
}

/// The TCP sockets that listen in a namespace, as /proc shows them.
fn listening(namespace: &Namespace) -> usize {
    let read = |table| fs::read_to_string(format!("/proc/thread-self/net/{table}")).unwrap();
    let shown = namespace.inside(|| ["tcp", "tcp6"].map(read).concat());
    shown.lines().filter(|line| line.split_whitespace().nth(3) == Some("0A")).count()
}

#[test]
fn the_http_port_is_on_loopback_or_not_open() {
    let (world, state) = (World::new(), directory());
    let quiet = Sensor::start(&world.router, state.path(), &["--interface", "wan0", "--listen", ""]);
    assert_eq!(listening(&world.router), 0);
    quiet.stop();
    let usual = Sensor::start(&world.router, state.path(), &WAN0);
    assert_eq!(listening(&world.router), 1);
    assert_eq!(usual.get("/healthz").0, 200);
    // Packets from outside do not reach it.
    assert!(dial(&world.internet, (SCANNER, 0), (UPLINK, 9_646)).is_err());
    usual.stop();
}

#[test]
fn a_deleted_uplink_is_reported_and_the_sensor_runs() {
    let (world, state) = (World::new(), directory());
    let World { host, router, internet } = &world;
    router.link("wan1", internet, "net1");
    router.ip("address add 2001:db8:fffe::2/64 dev wan1 nodad");
    internet.ip("address add 2001:db8:fffe::1/64 dev net1 nodad");
    let sensor = Sensor::start(router, state.path(), &["--interface", "wan0", "--interface", "wan1"]);
    router.ip("link delete wan1");
    let down = r#"tattler_uplink_up{interface="wan1"} 0"#;
    tests::eventually("the metrics say so", || sensor.metrics().lines().any(|line| line == down).then_some(()));
    assert!(sensor.metrics().contains(r#"tattler_uplink_up{interface="wan0"} 1"#));
    assert!(sensor.log().contains("wan1 is gone"), "{}", sensor.log());
    assert_eq!(sensor.get("/healthz").0, 503);
    ping(host, HOST, SITE);
    sensor.wait_for("contact", 1);
    sensor.stop();
}

/// Time limit to watch an uplink that is back.
const BLIND: Duration = Duration::from_secs(5);

/// Probes the host until the sensor sees it, which must be soon.
#[track_caller]
fn sees_again(world: &World, sensor: &Sensor<'_>) {
    let start = Instant::now();
    let before = sensor.fates("probe")[0];
    while sensor.fates("probe")[0] == before {
        assert!(start.elapsed() < BLIND, "blind for {:?}: {}", start.elapsed(), sensor.log());
        ping(&world.internet, SCANNER, HOST);
    }
    println!("seeing again after {:?}", start.elapsed());
    // One packet is one probe, so no device is watched twice.
    settle();
    let probes = sensor.fates("probe")[0];
    ping(&world.internet, SCANNER, HOST);
    settle();
    assert_eq!(sensor.fates("probe")[0], probes + 1);
}

/// Waits until `status` shows the current counters.
fn settle() {
    std::thread::sleep(Duration::from_millis(1_300));
}

/// Counted changes of uplinks: lost, attached, renamed.
#[track_caller]
fn changes(sensor: &Sensor<'_>) -> [u64; 3] {
    let metric = |change| format!(r#"tattler_uplink_changes_total{{change="{change}"}}"#);
    ["lost", "attached", "renamed"].map(|change| sensor.metric(&metric(change)))
}

#[track_caller]
fn becomes_blind(sensor: &Sensor<'_>) {
    tests::within(5, "/healthz reports the uplink as gone", || (sensor.get("/healthz").0 == 503).then_some(()));
}

#[track_caller]
fn is_healthy(sensor: &Sensor<'_>) {
    assert_eq!(sensor.get("/healthz"), (200, "ok\n".to_owned()), "{}", sensor.log());
}

#[test]
fn a_recreated_uplink_is_watched_again_within_five_seconds() {
    let (world, state) = (World::new(), directory());
    let sensor = Sensor::start(&world.router, state.path(), &WAN0);
    ping(&world.host, HOST, SITE);
    sensor.wait_for("contact", 1);
    for (round, stranger) in [(1, POOL), (2, STRANGER)] {
        world.router.ip("link delete wan0");
        becomes_blind(&sensor);
        assert!(sensor.metrics().contains(r#"tattler_uplink_up{interface="wan0"} 0"#));
        world.connect("wan0", "");
        sees_again(&world, &sensor);
        is_healthy(&sensor);
        // Egress is watched too, and once.
        ping(&world.host, HOST, stranger);
        settle();
        assert_eq!(sensor.fates("contact")[..2], [round + 1; 2]);
        assert_eq!(changes(&sensor), [round, round, 0]);
        assert_eq!(sensor.log().matches("wan0 is gone").count() as u64, round, "{}", sensor.log());
        assert_eq!(sensor.log().matches("watching again").count() as u64, round, "{}", sensor.log());
        assert_eq!(world.router.attached("wan0"), watched("xdp"));
        assert_eq!(sensor.status()["uplinks"], uplinks("wan0", "native"));
    }
    // The kernel's maps and the ledger keep their state.
    assert_eq!(sensor.followed(SITE, HOST), [(SCANNER.to_string(), "echo".to_owned(), 0)]);
    assert_eq!(sensor.fates("probe")[3] + sensor.fates("answer")[3], 0, "lost");
    sensor.stop();
    assert_eq!(world.router.attached("wan0"), Default::default());
}

#[test]
fn a_recreated_uplink_with_the_same_index_is_watched_again() {
    let (world, state) = (World::new(), directory());
    world.router.ip("link delete wan0");
    world.connect("wan0", "index 77");
    let sensor = Sensor::start(&world.router, state.path(), &WAN0);
    world.router.ip("link delete wan0");
    world.connect("wan0", "index 77");
    sees_again(&world, &sensor);
    is_healthy(&sensor);
    assert_eq!(changes(&sensor), [1, 1, 0]);
    sensor.stop();
}

#[test]
fn an_uplink_of_the_default_route_may_change_its_name() {
    let (world, state) = (World::new(), directory());
    let sensor = Sensor::start(&world.router, state.path(), &[]);
    world.router.ip("link delete wan0");
    becomes_blind(&sensor);
    world.connect("ppp7", "");
    sees_again(&world, &sensor);
    is_healthy(&sensor);
    assert_eq!(sensor.status()["uplinks"], uplinks("ppp7", "native"));
    // The uplink's network is not home, and the host's still is.
    assert_eq!(sensor.status()["home"], json!(["2001:db8:42:1::/64", format!("{}/128", UPLINK)]));
    sensor.stop();
}

#[test]
fn a_renamed_uplink_is_shown_under_its_new_name() {
    let (world, state) = (World::new(), directory());
    let sensor = Sensor::start(&world.router, state.path(), &WAN0);
    for words in ["link set wan0 down", "link set wan0 name isp0", "link set isp0 up"] {
        world.router.ip(words);
    }
    world.route("isp0");
    sees_again(&world, &sensor);
    is_healthy(&sensor);
    assert_eq!(sensor.status()["uplinks"], uplinks("isp0", "native"));
    assert!(sensor.metrics().contains(r#"tattler_uplink_up{interface="isp0"} 1"#));
    assert!(!sensor.metrics().contains("wan0"), "the old name is still shown");
    assert_eq!(changes(&sensor), [0, 0, 1]);
    assert!(sensor.log().contains("renamed"), "{}", sensor.log());
    // The sensor waits for the name that was given.
    world.router.ip("link delete isp0");
    becomes_blind(&sensor);
    world.connect("wan0", "");
    sees_again(&world, &sensor);
    assert_eq!(changes(&sensor), [1, 1, 1]);
    sensor.stop();
}

#[test]
fn an_uplink_stays_attached_while_it_is_down() {
    let (world, state) = (World::new(), directory());
    let sensor = Sensor::start(&world.router, state.path(), &[]);
    world.router.ip("link set wan0 down");
    let shown = |up: u8| format!("tattler_uplink_up{{interface=\"wan0\"}} {up}");
    let wait = |up| tests::eventually("the metrics say so", || sensor.metrics().contains(&shown(up)).then_some(()));
    wait(0);
    assert_eq!(world.router.attached("wan0"), watched("xdp"));
    world.router.ip("link set wan0 up");
    world.route("wan0");
    sees_again(&world, &sensor);
    wait(1);
    is_healthy(&sensor);
    for change in ["down", "up"] {
        assert_eq!(sensor.metric(&format!(r#"tattler_uplink_changes_total{{change="{change}"}}"#)), 1);
    }
    assert_eq!(changes(&sensor), [0, 0, 0]);
    sensor.stop();
}

#[test]
fn an_uplink_stays_watched_when_its_mtu_becomes_9000() {
    let (world, state) = (World::new(), directory());
    let sensor = Sensor::start(&world.router, state.path(), &WAN0);
    use_mtu_9000(&world);
    ping_large(&world);
    sensor.wait_for("answer", 1);
    world.router.ip("link delete wan0");
    world.connect("wan0", "mtu 9000");
    sees_again(&world, &sensor);
    let before = sensor.fates("probe")[0];
    use_mtu_9000(&world);
    ping_large(&world);
    sensor.wait_for("probe", before + 1);
    assert_eq!(world.router.attached("wan0"), watched("xdp"));
    sensor.stop();
}

#[test]
fn an_uplink_that_can_not_be_attached_does_not_stop_the_other() {
    let (world, state) = (World::new(), directory());
    let World { host, router, internet } = &world;
    router.link("wan1", internet, "net1");
    let sensor =
        Sensor::start(router, state.path(), &["--interface", "wan1", "--interface", "wan0", "--attach", "native"]);
    router.ip("link delete wan1");
    becomes_blind(&sensor);
    // The other one is still watched.
    ping(host, HOST, SITE);
    sensor.wait_for("contact", 1);
    router.ip("link delete wan0");
    // It comes back with another tool's XDP program.
    router.link("new1", internet, "net1");
    let mut other = others();
    other.attach_xdp(router, "new1");
    for words in ["link set new1 down", "link set new1 name wan1", "link set wan1 up"] {
        router.ip(words);
    }
    world.connect("wan0", "");
    sees_again(&world, &sensor);
    let (status, why) = sensor.get("/healthz");
    assert_eq!(status, 503);
    assert!(why.contains("wan1: another XDP program is attached there"), "{why}");
    assert_eq!(sensor.log().matches("another XDP program").count(), 1, "{}", sensor.log());
    drop(other);
    tests::within(20, "wan1 is watched when it is free", || (sensor.get("/healthz").0 == 200).then_some(()));
    assert_eq!(router.attached("wan1"), watched("xdp"));
    assert_eq!(changes(&sensor), [2, 2, 0]);
    sensor.stop();
}

#[test]
fn an_uplink_may_come_back_without_a_link_layer() {
    let (world, state) = (World::new(), directory());
    let sensor = Sensor::start(&world.router, state.path(), &WAN0);
    world.router.ip("link delete wan0");
    let mut tun = tun(&world.router, "wan0");
    world.router.ip("link set wan0 up");
    let is_generic = || sensor.status()["uplinks"] == uplinks("wan0", "generic");
    tests::within(5, "it is watched", || is_generic().then_some(()));
    is_healthy(&sensor);
    tun.write_all(&ipv6(58, SCANNER, HOST, &[128, 0, 0x12, 0x34, 0, 7, 0, 1])).unwrap();
    sensor.wait_for("probe", 1);
    sensor.stop();
}
