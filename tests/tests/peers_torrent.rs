//! Peers of a torrent, with a real client (Transmission): packets to its UDP port are no probes, but a TCP connection is one,
//! as always. Runs as root.

use std::fs;
use std::net::Ipv6Addr;
use std::path::PathBuf;

use sensor_common::{Kind, Proto};
use serde_json::json;
use tempfile::TempDir;
use tests::daemon::Daemon;
use tests::dial::dial;
use tests::namespace::Namespace;
use tests::programs::{succeed, tool};
use tests::sensor::{Sensor, WAN0};
use tests::stored::Stored;
use tests::tracker::Tracker;
use tests::traffic::Wire;
use tests::within;
use tests::world::{HOST, POOL, STRANGER, World};

const TCP: u8 = Proto::Tcp as u8;
const UDP: u8 = Proto::Udp as u8;
const SYN: u8 = Kind::Syn as u8;
const UDP_PROBE: u8 = Kind::Udp as u8;

/// The ports of home, and of all others.
const HOME: u16 = 51_413;
const AWAY: u16 = 6_881;
const UNUSED: u16 = 51_414;
const TRACKER: u16 = 6_969;

/// A packet that begins a connection of uTP: type 4, version 1.
const UTP_SYN: u8 = 0x41;
/// A question of the DHT: a dictionary whose first key is `a`, its arguments (BEP 5).
const DHT_QUERY: &[u8] = b"d1:a";

/// A peer's transport: uTP runs over UDP (BEP 29).
#[derive(Clone, Copy, PartialEq)]
enum By {
    Utp,
    Tcp,
}

#[derive(Clone, Copy, PartialEq)]
enum Has {
    File,
    Nothing,
}

/// A separate household.
fn elsewhere(world: &World, number: u16) -> (Namespace, Ipv6Addr) {
    let there = Namespace::new(&format!("peer{number}"));
    let device = format!("peer{number}");
    world.internet.link(&device, &there, "eth0");
    world.internet.ip(&format!("address add 3fff:e:{number}::1/64 dev {device} nodad"));
    let address = Ipv6Addr::new(0x3fff, 0xe, number, 0, 0, 0, 0, 2);
    there.ip(&format!("address add {address}/64 dev eth0 nodad"));
    there.ip(&format!("route add default via 3fff:e:{number}::1"));
    (there, address)
}

struct Torrent {
    directory: TempDir,
    content: Vec<u8>,
}

impl Torrent {
    fn new() -> Torrent {
        let directory = TempDir::new().unwrap();
        // No two blocks alike.
        let content: Vec<u8> =
            (0..75_000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
        fs::write(directory.path().join("file"), &content).unwrap();
        let torrent = Torrent { directory, content };
        let announce = format!("http://[{POOL}]:{TRACKER}/announce");
        let mut create = tool("transmission-create");
        create.args(["-s", "32", "-t", &announce, "-o"]).arg(torrent.path()).arg(torrent.directory.path().join("file"));
        succeed(&mut create);
        torrent
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("torrent")
    }

    /// A client in its own directory, which has the file or wants it.
    fn peer(&self, there: &Namespace, name: &str, port: u16, by: By, has: Has, nodes: &[(Ipv6Addr, u16)]) -> Peer {
        let home = self.directory.path().join(name);
        fs::create_dir(&home).unwrap();
        let settings = json!({
            "dht-enabled": by == By::Utp, "utp-enabled": by == By::Utp, "pex-enabled": by == By::Utp, "lpd-enabled": false,
            "port-forwarding-enabled": false, "peer-port": port, "rpc-enabled": false,
        });
        fs::write(home.join("settings.json"), settings.to_string()).unwrap();
        let nodes: String = nodes.iter().map(|(node, port)| format!("{node} {port}\n")).collect();
        fs::write(home.join("dht.bootstrap"), nodes).unwrap();
        if has == Has::File {
            fs::copy(self.directory.path().join("file"), home.join("file")).unwrap();
        }
        let mut program = tool("transmission-cli");
        program.arg("-g").arg(&home).arg("-w").arg(&home).args(["-M", "-p", &port.to_string()]).arg(self.path());
        program.env("HOME", &home);
        let daemon = Daemon::start(there, &program, &self.directory.path().join(format!("{name}.log")));
        Peer { daemon, file: home.join("file") }
    }
}

struct Peer {
    daemon: Daemon,
    file: PathBuf,
}

impl Peer {
    #[track_caller]
    fn must_get(&mut self, content: &[u8]) {
        within(30, &format!("{} is here", self.file.display()), || {
            self.daemon.must_run();
            fs::read(&self.file).is_ok_and(|got| got == content).then_some(())
        });
    }
}

/// Waits until datagrams from `source` to home's port with these beginnings have come, in any order. The wire keeps what
/// came since it was opened.
#[track_caller]
fn come(wire: &Wire, router: [u8; 6], source: Ipv6Addr, beginnings: &[&[u8]]) {
    let mut missing = beginnings.to_vec();
    within(30, "datagrams of a peer", || {
        for frame in (0..100).filter_map(|_| wire.next(Some(router))) {
            let ip = &frame[14..];
            if ip[6] == 17 && ip[8..24] == source.octets() && ip[42..44] == HOME.to_be_bytes() {
                missing.retain(|beginning| !ip[48..].starts_with(beginning));
            }
        }
        missing.is_empty().then_some(())
    });
}

#[test]
fn peers_by_udp_are_no_probes_and_peers_by_tcp_are_marked() {
    let (world, state, torrent) = (World::new(), TempDir::new().unwrap(), Torrent::new());
    world.internet.set("ipv6/conf/all/forwarding", "1");
    let [(at_seed, seed), (at_node, node), (at_dialler, dialler)] = [1, 2, 3].map(|number| elsewhere(&world, number));
    let sensor = Sensor::start(&world.router, state.path(), &WAN0);
    let tracker = Tracker::serve(&world.internet, POOL, TRACKER);

    // Home wants a file, and asks the tracker and a known node of the DHT.
    let mut home = torrent.peer(&world.host, "home", HOME, By::Utp, Has::Nothing, &[(node, AWAY)]);
    within(20, "home is announced", || (tracker.peers() == [(HOST, HOME)]).then_some(()));
    sensor.wait_for("contact", 2);
    // The tracker names only home to later peers: one with the file, by uTP, and two by TCP, at the address of that
    // node and at another. The first one's DHT nodes are home at a former port and at the current one.
    tracker.close_list();
    let (wire, router) = (Wire::open(&world.host, "eth0"), world.router.mac("lan0"));
    let _seed = torrent.peer(&at_seed, "seed", AWAY, By::Utp, Has::File, &[(HOST, UNUSED), (HOST, HOME)]);
    let _node = torrent.peer(&at_node, "node", AWAY, By::Tcp, Has::Nothing, &[]);
    let _dialler = torrent.peer(&at_dialler, "dialler", AWAY, By::Tcp, Has::Nothing, &[]);
    come(&wire, router, seed, &[&[UTP_SYN], DHT_QUERY]);
    drop(wire);
    home.must_get(&torrent.content);
    sensor.wait_for("probe", 3);
    assert_eq!(sensor.status()["probes"], 2, "UDP is no evidence so soon after the start");

    // Counter-example: a stranger at another port.
    dial(&world.internet, (STRANGER, 0), (HOST, UNUSED)).expect_err("nobody listens");
    sensor.wait_for("probe", 4);

    let explained = sensor.explain(node);
    assert_eq!(explained["candidate"]["verdict"], "probes-back", "{explained}");
    let probes = explained["visits"][0]["probes"].as_array().expect("probes");
    let mut marks: Vec<(&str, u64, bool)> = probes
        .iter()
        .map(|probe| {
            let source = probe["source"].as_str().expect("a source");
            (source, probe["port"].as_u64().unwrap(), probe["contacted_source"] == true)
        })
        .collect();
    marks.sort_unstable();
    let [node_is, dialler_is, stranger_is] = [node, dialler, STRANGER].map(|address| address.to_string());
    let (home_port, other_port) = (HOME.into(), UNUSED.into());
    let wanted = [(&*stranger_is, other_port, false), (&node_is, home_port, true), (&dialler_is, home_port, false)];
    assert_eq!(marks, wanted, "{explained}");
    // The tracker is ranked first, and not accused for one address.
    let told = &sensor.explain(POOL)["candidate"];
    assert_eq!((&told["rank"], &told["verdict"]), (&json!(1), &json!("weak")), "{told}");
    let exposed = &sensor.status()["exposed"];
    let told = (&exposed[0]["port"], &exposed[0]["open"], &exposed[0]["sources"]);
    assert_eq!(told, (&json!(HOME), &json!(true), &json!(2)), "{exposed}");

    sensor.stop();
    let stored = Stored::read(state.path());
    let connected = [(node, HOST, SYN, HOME), (dialler, HOST, SYN, HOME)];
    let others = [(seed, HOST, UDP_PROBE, UNUSED), (STRANGER, HOST, SYN, UNUSED)];
    assert_eq!(stored.answers, connected.into());
    assert_eq!(stored.probes, connected.into_iter().chain(others).collect());
    assert_eq!(stored.contacts, [(HOST, POOL, TCP, TRACKER), (HOST, node, UDP, AWAY)].into(), "peers are no contacts");
}
