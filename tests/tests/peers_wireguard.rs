//! Roaming WireGuard peers with the real program (wireguard-go): their packets to a port in use are no probes. Runs as root.

use std::fs::{self, File};
use std::net::Ipv6Addr;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use sensor_common::{Kind, Proto};
use tempfile::TempDir;
use tests::daemon::Daemon;
use tests::eventually;
use tests::namespace::Namespace;
use tests::programs::{Bounded, succeed, tool};
use tests::sensor::{Sensor, WAN0};
use tests::stored::Stored;
use tests::world::{HOST, STRANGER, UPLINK, World};

const UDP: u8 = Proto::Udp as u8;
const UDP_PROBE: u8 = Kind::Udp as u8;

const PORT: u16 = 51_820;
const UNUSED: u16 = 51_821;

/// The addresses of the traveller, in order.
const CAFE: Ipv6Addr = Ipv6Addr::new(0x3fff, 0xe, 1, 0, 0, 0, 0, 2);
const TRAIN: Ipv6Addr = Ipv6Addr::new(0x3fff, 0xe, 2, 0, 0, 0, 0, 2);

/// Addresses in the tunnel: of home, and of the traveller.
const INNER: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xfd00, 0x51, 0, 0, 0, 0, 0, 1), Ipv6Addr::new(0xfd00, 0x51, 0, 0, 0, 0, 0, 2)];

/// A namespace with two ways out, of which one is up: a phone between two networks.
fn traveller(world: &World) -> Namespace {
    let road = Namespace::new("road");
    world.internet.set("ipv6/conf/all/forwarding", "1");
    for (device, network) in [("cafe0", "3fff:e:1:"), ("train0", "3fff:e:2:")] {
        world.internet.link(device, &road, device);
        world.internet.ip(&format!("address add {network}:1/64 dev {device} nodad"));
    }
    road.ip("link set train0 down");
    arrive(&road, "cafe0", CAFE, "3fff:e:1::1");
    road
}

fn arrive(road: &Namespace, device: &str, address: Ipv6Addr, gateway: &str) {
    road.ip(&format!("link set {device} up"));
    road.ip(&format!("address add {address}/64 dev {device} nodad"));
    road.ip(&format!("route add default via {gateway}"));
}

/// Moves from the café to the train, without the old address.
fn roam(road: &Namespace) {
    road.ip("link set cafe0 down");
    arrive(road, "train0", TRAIN, "3fff:e:2::1");
}

struct Keys {
    private: String,
    public: String,
}

fn keys(directory: &Path) -> Keys {
    let private = succeed(tool("wg").arg("genkey")).trim().to_owned();
    let file = directory.join("key");
    fs::write(&file, &private).expect("write a key");
    let public = succeed(tool("wg").arg("pubkey").stdin(File::open(&file).expect("open it")));
    Keys { private, public: public.trim().to_owned() }
}

/// One end of a tunnel. All namespaces share the directory of the control sockets, so each device needs its own name.
struct Tunnel {
    device: String,
    _daemon: Daemon,
}

static DEVICES: AtomicU32 = AtomicU32::new(0);

impl Tunnel {
    fn new(namespace: &Namespace, directory: &Path, end: &str, own: &Keys, port: u16, inner: Ipv6Addr) -> Tunnel {
        // Fifteen characters at most.
        let device = format!("tt{}-{}", std::process::id(), DEVICES.fetch_add(1, Ordering::Relaxed));
        // In the foreground, so that it stays our child.
        let mut program = tool("wireguard-go");
        program.args(["-f", &device]).env("LOG_LEVEL", "verbose");
        let mut daemon = Daemon::start(namespace, &program, &directory.join(format!("{end}.log")));
        // By the log: wg removes a control socket that does not listen yet, and wireguard-go then ends.
        eventually("wireguard-go listens to wg", || {
            daemon.must_run();
            daemon.log().contains("UAPI listener started").then_some(())
        });
        let tunnel = Tunnel { device, _daemon: daemon };
        let config = directory.join(format!("{end}.conf"));
        let text = format!("[Interface]\nPrivateKey = {}\nListenPort = {port}\n", own.private);
        fs::write(&config, text).expect("write a configuration");
        succeed(tool("wg").args(["setconf", &tunnel.device]).arg(&config));
        namespace.ip(&format!("address add {inner}/64 dev {} nodad", tunnel.device));
        namespace.ip(&format!("link set {} up", tunnel.device));
        tunnel
    }

    /// `wg set` with these words.
    fn set(&self, words: &str) {
        succeed(tool("wg").args(["set", &self.device]).args(words.split_whitespace()));
    }

    fn peer(&self, peer: &Keys, inner: Ipv6Addr, endpoint: Option<(Ipv6Addr, u16)>) {
        let endpoint = endpoint.map_or(String::new(), |(address, port)| format!(" endpoint [{address}]:{port}"));
        self.set(&format!("peer {} allowed-ips {inner}/128{endpoint}", peer.public));
    }

    /// The address where it expects its peer.
    fn endpoint(&self) -> String {
        let shown = succeed(tool("wg").args(["show", &self.device, "endpoints"]));
        shown.split_whitespace().nth(1).expect("a peer").to_owned()
    }
}

/// Pings through the tunnel until there is an answer: the first packets may wait for a handshake.
fn through(namespace: &Namespace, to: Ipv6Addr) {
    let ping = || namespace.tool("ping", &["-6", "-n", "-c", "1", "-W", "1", &to.to_string()]).finish();
    eventually("a ping through the tunnel", || ping().is_ok_and(|output| output.status.success()).then_some(()));
}

/// A WireGuard end with a wrong configuration, which sends to an unused port of home.
fn mistaken(world: &World, directory: &Path, home: &Keys) -> Tunnel {
    world.internet.ip(&format!("route add {HOST}/128 via {UPLINK} src {STRANGER}"));
    let tunnel = Tunnel::new(&world.internet, directory, "s", &keys(directory), 0, INNER[1]);
    tunnel.peer(home, INNER[0], Some((HOST, UNUSED)));
    tunnel.set(&format!("peer {} persistent-keepalive 1", home.public));
    tunnel
}

#[test]
fn a_roaming_wireguard_peer_is_a_probe_once() {
    let (world, state) = (World::new(), TempDir::new().unwrap());
    let road = traveller(&world);
    let sensor = Sensor::start(&world.router, state.path(), &WAN0);
    let (ours, theirs) = (keys(state.path()), keys(state.path()));
    let home = Tunnel::new(&world.host, state.path(), "h", &ours, PORT, INNER[0]);
    home.peer(&theirs, INNER[1], None);
    let warrior = Tunnel::new(&road, state.path(), "r", &theirs, 31_337, INNER[1]);
    warrior.peer(&ours, INNER[0], Some((HOST, PORT)));

    // The port was unused, so the first handshake looks like a probe.
    through(&road, INNER[0]);
    assert_eq!(home.endpoint(), format!("[{CAFE}]:31337"));
    sensor.wait_for("answer", 1);
    assert_eq!(sensor.fates("probe")[1], 1);
    // Another address, and then another port, as behind a NAT that dropped the old one.
    roam(&road);
    through(&road, INNER[0]);
    assert_eq!(home.endpoint(), format!("[{TRAIN}]:31337"));
    warrior.set("listen-port 31338");
    through(&road, INNER[0]);
    assert_eq!(home.endpoint(), format!("[{TRAIN}]:31338"));
    assert_eq!(sensor.fates("probe")[1], 1);

    // Counter-example: the same program at an unused port.
    let _mistaken = mistaken(&world, state.path(), &ours);
    sensor.wait_for("probe", 2);
    sensor.stop();
    let stored = Stored::read(state.path());
    let first = (CAFE, HOST, UDP_PROBE, PORT);
    assert_eq!(stored.probes, [first, (STRANGER, HOST, UDP_PROBE, UNUSED)].into());
    assert_eq!((stored.answers, stored.contacts), ([first].into(), [].into()), "home only answers");
}

#[test]
fn a_wireguard_server_that_moves_is_no_probe_to_its_client() {
    let (world, state) = (World::new(), TempDir::new().unwrap());
    let road = traveller(&world);
    let sensor = Sensor::start(&world.router, state.path(), &WAN0);
    let (ours, theirs) = (keys(state.path()), keys(state.path()));
    let server = Tunnel::new(&road, state.path(), "r", &theirs, PORT, INNER[1]);
    server.peer(&ours, INNER[0], None);
    let home = Tunnel::new(&world.host, state.path(), "h", &ours, 40_123, INNER[0]);
    home.peer(&theirs, INNER[1], Some((CAFE, PORT)));

    through(&world.host, INNER[1]);
    assert_eq!(server.endpoint(), format!("[{HOST}]:40123"));
    // The server moves, and home follows it.
    roam(&road);
    through(&road, INNER[0]);
    assert_eq!(home.endpoint(), format!("[{TRAIN}]:51820"));
    through(&world.host, INNER[1]);
    assert_eq!(sensor.fates("probe")[1], 0);

    // Counter-example: the same program at an unused port.
    let _mistaken = mistaken(&world, state.path(), &ours);
    sensor.wait_for("probe", 1);
    sensor.stop();
    let stored = Stored::read(state.path());
    assert_eq!(stored.probes, [(STRANGER, HOST, UDP_PROBE, UNUSED)].into());
    assert_eq!(stored.contacts, [(HOST, CAFE, UDP, PORT)].into(), "home answers the server where it went");
    assert_eq!(stored.answers, [].into());
}
