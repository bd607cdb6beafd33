//! Home prefixes, the devices of locals, and changes of both, with real devices and routes, each with a counter-example.
//! Runs as root.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt;
use rusqlite::{Connection, OpenFlags};
use sensor_common::wire::What;
use sensor_common::{Kind, Proto};
use sensor_user::agent;
use sensor_user::netlink::{self, NeighbourNews};
use tattler_core::home::{HomeSettings, News};
use tattler_core::time::Span;
use tattler_core::view::evidence::Evidence;
use tempfile::TempDir;
use tests::eventually;
use tests::namespace::Namespace;
use tests::programs::{succeed, tool};
use tests::sensor::{Sensor, WAN0};
use tests::stored::Stored;
use tests::traffic::{ping, say, udp};
use tests::watcher::Watcher;
use tests::world::{HOST, LATER, POOL, ROUTER, SCANNER, SITE, STRANGER, UPLINK, World};

/// Another device of the LAN.
const PRINTER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x42, 1, 0xb5d1, 0x77ab, 0x90c3, 0x1f2e);

fn address(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

/// Sends a datagram that need not arrive.
fn shout(namespace: &Namespace, from: Ipv6Addr, to: Ipv6Addr) {
    udp(namespace, from, 0).send_to(b"anybody?", (to, 7)).unwrap_or_else(|error| panic!("send to {to}: {error}"));
}

#[test]
fn containers_on_a_routed_network_are_home() {
    let world = World::new();
    let World { router, internet, .. } = &world;
    // As in Docker: a bridge with a /80, and a namespace for each container.
    let containers = ["2001:db8:42:d::5", "2001:db8:42:d::6"].map(|one| (Namespace::new("container"), address(one)));
    router.ip("link add docker0 type bridge");
    router.ip("link set docker0 up");
    router.ip("address add 2001:db8:42:d::1/80 dev docker0 nodad");
    for (n, (container, address)) in containers.iter().enumerate() {
        router.link(&format!("veth{n}"), container, "eth0");
        router.ip(&format!("link set veth{n} master docker0"));
        container.ip(&format!("address add {address}/80 dev eth0 nodad"));
        container.ip("route add default via 2001:db8:42:d::1");
    }
    let mut watcher = Watcher::new(router, "wan0");
    let [(first, one), (_, two)] = &containers;
    ping(first, *one, SITE);
    ping(internet, SCANNER, *two);
    assert_eq!(watcher.contacts(), [(*one, SITE, Proto::Icmpv6, 0)]);
    assert_eq!(watcher.probes(), [(SCANNER, *two, Kind::Echo, 0)]);
    // Counter-example: the same /64, but another /80.
    shout(internet, SCANNER, address("2001:db8:42:d:1::5"));
    assert_eq!(watcher.matched(What::Probe), 1);
}

#[test]
fn delegated_and_vpn_networks_are_home_uplink_neighbours_not() {
    let world = World::new();
    let World { router, internet, .. } = &world;
    router.ip("route add unreachable 2001:db8:42:40::/58");
    router.ip("tuntap add vpn0 mode tun");
    router.ip("link set vpn0 up");
    router.ip("address add 2001:db8:42:77::1/64 dev vpn0 nodad");
    router.ip("address add fd00:42::1/64 dev lan0 nodad");
    let mut watcher = Watcher::new(router, "wan0");
    shout(internet, SCANNER, address("2001:db8:42:41::1"));
    shout(internet, SCANNER, address("2001:db8:42:77::9"));
    shout(internet, SCANNER, UPLINK);
    let targets: Vec<Ipv6Addr> = watcher.probes().into_iter().map(|(_, target, ..)| target).collect();
    assert_eq!(targets, [address("2001:db8:42:41::1"), address("2001:db8:42:77::9"), UPLINK]);

    // Counter-examples: another customer in the uplink's network, a prefix that was not delegated, and unique local
    // addresses.
    let mac = router.mac_text("wan0");
    for other in ["2001:db8:ffff::99", "2001:db8:42:99::1", "fd00:42::5"] {
        internet.ip(&format!("route replace {other}/128 dev net0"));
        internet.ip(&format!("neighbour add {other} lladdr {mac} dev net0"));
        shout(internet, SCANNER, address(other));
    }
    assert_eq!(watcher.matched(What::Probe), 3);
}

#[test]
fn a_new_prefix_ends_the_exposure_of_the_old_locals() {
    let world = World::new();
    let World { host, router, internet } = &world;
    let (renewed, gateway) = (address("2001:db8:43:1:e014:9aff:5e49:ecb3"), address("2001:db8:43:1::1"));
    let mut watcher = Watcher::new(router, "wan0");
    let site = udp(internet, SITE, 123);
    say(&udp(host, HOST, 0), &site);
    ping(internet, SCANNER, HOST);
    assert_eq!(watcher.evidence(SCANNER), [(Kind::Echo, 0, Evidence::Exact, false)]);

    router.ip(&format!("address del {ROUTER}/64 dev lan0"));
    router.ip(&format!("address add {gateway}/64 dev lan0 nodad"));
    host.ip(&format!("address add {renewed}/64 dev eth0 nodad"));
    host.ip(&format!("route replace default via {gateway}"));
    internet.ip(&format!("route add 2001:db8:43::/48 via {UPLINK}"));
    watcher.follow(router, "wan0");
    shout(internet, STRANGER, HOST);
    assert_eq!(watcher.matched(What::Probe), 1, "the old prefix is not ours any more");
    say(&udp(host, renewed, 0), &site);
    ping(internet, STRANGER, renewed);
    assert_eq!(watcher.evidence(STRANGER), [(Kind::Echo, 0, Evidence::Exact, false)]);
    assert_eq!(watcher.evidence(SCANNER), [(Kind::Echo, 0, Evidence::Exact, false)], "history stays");
    let ended = |watcher: &Watcher, local| {
        let id = watcher.ledger.id(local).unwrap();
        watcher.ledger.local(id).unwrap().ended.is_some()
    };
    assert!(ended(&watcher, HOST) && !ended(&watcher, renewed));
    assert_eq!(watcher.contacts().len(), 2);

    // Counter-example: a prefix that comes back is exposed again.
    router.ip(&format!("address add {ROUTER}/64 dev lan0 nodad"));
    watcher.follow(router, "wan0");
    assert!(!ended(&watcher, HOST));
    ping(internet, POOL, HOST);
    assert_eq!(watcher.evidence(POOL), [(Kind::Echo, 0, Evidence::Exact, false)]);
}

#[test]
fn the_running_sensor_follows_prefixes_that_come_and_go() {
    let (world, state) = (World::new(), TempDir::new().unwrap());
    let World { host, router, internet } = &world;
    let sensor = Sensor::start(router, state.path(), &WAN0);
    let home = |prefix: &str, there: bool| {
        eventually(&format!("{prefix} {there}: {}", sensor.status()["home"]), || {
            let status = sensor.status();
            let found = status["home"].as_array().unwrap().iter().any(|home| home == prefix);
            (found == there).then_some(())
        });
    };
    home("2001:db8:42:1::/64", true);
    router.ip(&format!("address del {ROUTER}/64 dev lan0"));
    router.ip("address add 2001:db8:43:1::1/64 dev lan0 nodad");
    home("2001:db8:42:1::/64", false);
    home("2001:db8:43:1::/64", true);
    internet.ip(&format!("route add 2001:db8:43::/48 via {UPLINK}"));
    host.ip("address add 2001:db8:43:1::5/64 dev eth0 nodad");
    host.ip("route replace default via 2001:db8:43:1::1");
    ping(internet, SCANNER, address("2001:db8:43:1::5"));
    sensor.wait_for("probe", 1);
    // Another device inside.
    router.ip("link add name guests type bridge");
    router.ip("link set guests up");
    router.ip("address add 2001:db8:43:2::1/64 dev guests nodad");
    home("2001:db8:43:2::/64", true);
    router.ip("link del guests");
    home("2001:db8:43:2::/64", false);
    sensor.stop();
}

#[test]
fn remotes_behind_our_nat64_are_left_out_and_counted() {
    let (world, state) = (World::new(), TempDir::new().unwrap());
    let World { host, router, internet } = &world;
    let translated = address("3fff:64::c000:207");
    internet.ip(&format!("address add {translated}/128 dev net0 nodad"));
    let sensor = Sensor::start(router, state.path(), &["--interface", "wan0", "--nat64", "3fff:64::/96"]);
    ping(host, HOST, translated);
    ping(host, HOST, SITE);
    sensor.wait_for("contact", 2);
    let status = eventually("one contact in the ledger", || {
        let status = sensor.status();
        (status["contacts"] == 1 && status["set_aside"] == 1).then_some(status)
    });
    assert_eq!(status["locals"], 1);
    assert!(sensor.metrics().contains("\ntattler_ring_set_aside_events_total 1\n"));
    sensor.stop();
    // Counter-example: without the setting they are remotes.
    let state = TempDir::new().unwrap();
    let sensor = Sensor::start(router, state.path(), &WAN0);
    ping(host, HOST, translated);
    eventually("a contact", || (sensor.status()["contacts"] == 1).then_some(()));
    sensor.stop();
    // With the setting it leaves them out of what is in the store, too.
    let sensor = Sensor::start(router, state.path(), &["--interface", "wan0", "--nat64", "3fff:64::/96"]);
    assert_eq!(sensor.status()["contacts"], 0);
    sensor.stop();
}

#[test]
fn the_user_adds_and_excludes_home_prefixes() {
    let world = World::new();
    let World { router, internet, .. } = &world;
    let told = HomeSettings {
        add: vec!["2001:db8:42:5::/64".parse().unwrap()],
        exclude: vec!["2001:db8:42:1::/64".parse().unwrap()],
        ..HomeSettings::default()
    };
    let mut watcher = Watcher::told(router, "wan0", &told, &[]);
    ping(internet, SCANNER, HOST);
    assert_eq!(watcher.matched(What::Probe), 0);
    shout(internet, SCANNER, address("2001:db8:42:5::1"));
    assert_eq!(watcher.matched(What::Probe), 1);
}

/// The devices of locals in the database.
fn devices(state: &Path) -> BTreeMap<Ipv6Addr, Option<String>> {
    let database =
        Connection::open_with_flags(state.join("tattler.db"), OpenFlags::SQLITE_OPEN_READ_ONLY).expect("open");
    let mut statement = database.prepare("SELECT DISTINCT local, device FROM contacts").unwrap();
    let rows = statement.query_map([], |row| Ok((Ipv6Addr::from(row.get::<_, [u8; 16]>(0)?), row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn the_addresses_of_a_host_are_one_device_even_if_learned_late() {
    let (world, state) = (World::new(), TempDir::new().unwrap());
    let World { host, router, internet } = &world;
    let printer = Namespace::new("printer");
    router.link("lan1", &printer, "eth0");
    router.ip("link add br0 type bridge");
    router.ip(&format!("address del {ROUTER}/64 dev lan0"));
    router.ip("link set br0 up");
    router.ip("link set lan0 master br0");
    router.ip("link set lan1 master br0");
    router.ip(&format!("address add {ROUTER}/64 dev br0 nodad"));
    printer.ip(&format!("address add {PRINTER}/64 dev eth0 nodad"));
    printer.ip(&format!("route add default via {ROUTER}"));
    host.ip(&format!("address add {LATER}/64 dev eth0 nodad"));
    let sensor = Sensor::start(router, state.path(), &WAN0);
    // The first packet of each is a contact before the router knows the neighbour.
    let site = udp(internet, SITE, 123);
    for (namespace, local) in [(host, HOST), (host, LATER), (&printer, PRINTER), (router, UPLINK)] {
        let socket = udp(namespace, local, 0);
        say(&socket, &site);
        say(&site, &socket);
    }
    sensor.wait_for("contact", 4);
    // Enough time for the kernel's message and the loop's next turn.
    std::thread::sleep(Duration::from_millis(500));
    sensor.stop();
    let devices = devices(state.path());
    let of = |local| devices[&local].clone();
    assert!(of(HOST).is_some_and(|device| device.starts_with("dev-")), "{devices:?}");
    assert_eq!(of(HOST), of(LATER));
    assert!(of(PRINTER).is_some() && of(PRINTER) != of(HOST), "{devices:?}");
    assert_eq!(of(UPLINK).as_deref(), Some("self"));
}

#[test]
fn an_excluded_device_leaves_no_trace_even_if_learned_late() {
    let (world, state) = (World::new(), TempDir::new().unwrap());
    let World { host, router, internet } = &world;
    let settings = agent::SensorSettings {
        interfaces: vec!["wan0".into()],
        state: state.path().into(),
        socket: state.path().join("tattler.sock"),
        excluded_devices: vec![host.mac_text("eth0").parse().unwrap()],
        window: Span::from_days(30),
        ..agent::SensorSettings::default()
    };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (_nobody, reloads) = tokio::sync::mpsc::channel(1);
    std::thread::scope(|scope| {
        let sensor = scope.spawn(|| {
            router.inside(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(agent::run(settings, reloads, async { _ = stopped.await })).unwrap();
            });
        });
        eventually("the uplink is watched", || (!router.attached("wan0").1.is_empty()).then_some(()));
        std::thread::sleep(Duration::from_millis(500));
        let site = udp(internet, SITE, 123);
        let client = udp(host, HOST, 0);
        say(&client, &site);
        // Only now the router resolves the host's address.
        std::thread::sleep(Duration::from_millis(300));
        say(&site, &client);
        std::thread::sleep(Duration::from_millis(500));
        ping(host, HOST, SITE);
        ping(internet, SCANNER, HOST);
        say(&udp(router, UPLINK, 0), &site);
        std::thread::sleep(Duration::from_millis(500));
        drop(stop);
        sensor.join().unwrap();
    });
    let left: Vec<Ipv6Addr> = devices(state.path()).into_keys().collect();
    assert_eq!(left, [UPLINK], "the router's own contact stays");
    assert_eq!(Stored::read(state.path()).probes, [].into());
}

#[test]
fn dropped_netlink_messages_lead_to_a_new_listing() {
    let world = Namespace::new("news");
    world.ip("link add lan0 type bridge");
    world.ip("link set lan0 up");
    let dir = TempDir::new().unwrap();
    let batch = |lines: String| {
        let file = dir.path().join("batch");
        std::fs::write(&file, lines).unwrap();
        succeed(tool("ip").args(["-n", world.name(), "-batch"]).arg(&file));
    };
    let route = |n| format!("route add 2001:db8:{:x}:{:x}::/64 dev lan0\n", n >> 12, n & 0xfff);
    let neighbour = |n| {
        let mac = format!("02:00:00:00:{:02x}:{:02x}", n >> 8, n & 255);
        format!("neighbour replace 2001:db8:f::{n:x} lladdr {mac} dev lan0\n")
    };
    world.inside(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut changes = netlink::changes().unwrap();
            let mut neighbours = netlink::neighbour_changes().unwrap();
            // Tasks of this thread read the connections. The thread is busy, so the sockets' buffers overflow.
            batch((0..6_000).map(route).collect());
            batch((0..3_000).map(neighbour).collect());
            let mut quiet = 0;
            while tokio::time::timeout(Duration::from_millis(300), changes.next()).await.is_ok() {
                quiet += 1;
            }
            assert!((1..6_000).contains(&quiet), "{quiet} news of 6,000 routes: nothing was dropped, or all");
            let mut missed = 0;
            while let Ok(news) = tokio::time::timeout(Duration::from_millis(300), neighbours.next()).await {
                missed += u32::from(news == Some(NeighbourNews::Missed));
            }
            assert!(missed > 0, "no message about missed neighbours");
            batch(route(6_000));
            let later = tokio::time::timeout(Duration::from_secs(5), changes.next()).await;
            assert!(matches!(later, Ok(Some(News::Route(_)))), "news after the overflow: {later:?}");
        });
    });
}
