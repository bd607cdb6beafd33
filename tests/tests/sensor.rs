//! The live sensor with real clients and scanners in network namespaces, from the wire to answers and database. Runs as
//! root.

use std::net::Ipv6Addr;
use std::path::Path;
use std::time::{Duration, Instant};
use std::{fs, io};

use sensor_common::{Kind, Proto};
use serde_json::json;
use tempfile::TempDir;
use tests::daemon::Daemon;
use tests::eventually;
use tests::namespace::Namespace;
use tests::programs::tool;
use tests::sensor::{Sensor, WAN0};
use tests::stored::Stored;
use tests::traffic::{listen, nmap, ping, ping_nobody, say, udp, visit};
use tests::world::{HOST, POOL, SCANNER, SITE, STRANGER, World};

const TCP: u8 = Proto::Tcp as u8;
const UDP: u8 = Proto::Udp as u8;
const ICMPV6: u8 = Proto::Icmpv6 as u8;
const ECHO: u8 = Kind::Echo as u8;
const SYN: u8 = Kind::Syn as u8;
const UDP_PROBE: u8 = Kind::Udp as u8;

fn directory() -> TempDir {
    TempDir::new().expect("make a state directory")
}

#[test]
fn contacts_and_probes_go_from_the_wire_to_the_store() {
    let (world, state) = (World::new(), directory());
    let World { host, router, internet } = &world;
    let sensor = Sensor::start(router, state.path(), &WAN0);

    visit(&world, SITE, 80);
    let (client, server) = (udp(host, HOST, 0), udp(internet, POOL, 123));
    say(&client, &server);
    ping(host, HOST, SITE);

    let _open = listen(host, HOST, 22);
    ping(internet, SCANNER, HOST);
    let scanned = nmap(internet, "net0", STRANGER, HOST, &["-sSU", "-pT:22,23,U:161"]);
    assert!(scanned.contains("22/tcp  open") && scanned.contains("23/tcp  closed"), "{scanned}");

    sensor.wait_for("contact", 3);
    sensor.wait_for("probe", 4);
    sensor.wait_for("answer", 2);
    assert_eq!(sensor.fates("contact"), [3, 3, 0, 0]);
    let status = sensor.status();
    assert_eq!(status["schema"], "tattler.status/1");
    assert_eq!(status["uplinks"], json!([{"interface": "wan0", "mode": "native", "up": true}]));
    // UDP is no evidence in the first five minutes: the ports in use before are not known.
    assert_eq!((&status["locals"], &status["contacts"], &status["probes"]), (&json!(1), &json!(3), &json!(3)));

    let mut followed = sensor.followed(SITE, HOST);
    followed.sort();
    followed.dedup();
    let (scanner, stranger) = (SCANNER.to_string(), STRANGER.to_string());
    let probe = |source: &str, kind: &str, port| (source.to_owned(), kind.to_owned(), port);
    let probes = [probe(&scanner, "echo", 0), probe(&stranger, "syn", 22), probe(&stranger, "syn", 23)];
    assert_eq!(followed, probes);
    let suspects = sensor.suspects();
    assert_eq!(suspects["schema"], "tattler.report/1");
    assert_eq!(suspects["probed_locals"], 1);

    let page = sensor.metrics();
    for line in [
        r#"tattler_events_total{fate="recorded",what="contact"} 3"#,
        r#"tattler_events_total{fate="lost",what="probe"} 0"#,
        r#"tattler_uplink_info{interface="wan0",mode="native"} 1"#,
    ] {
        assert!(page.lines().any(|l| l == line), "no line {line} in\n{page}");
    }

    sensor.stop();
    let stored = Stored::read(state.path());
    assert_eq!(stored.contacts, [(HOST, SITE, TCP, 80), (HOST, SITE, ICMPV6, 0), (HOST, POOL, UDP, 123)].into());
    let answers = [(SCANNER, HOST, ECHO, 0), (STRANGER, HOST, SYN, 22)];
    assert_eq!(stored.answers, answers.into());
    let probes = [(STRANGER, HOST, SYN, 23), (STRANGER, HOST, UDP_PROBE, 161)];
    assert_eq!(stored.probes, answers.into_iter().chain(probes).collect());
}

#[test]
fn suspects_are_computed_unasked_and_shown_with_their_age() {
    let (world, state) = (World::new(), directory());
    let World { host, router, internet } = &world;
    let sensor = Sensor::start(router, state.path(), &WAN0);
    let as_of = || sensor.status()["suspects_as_of"].as_str().map(str::to_owned);
    eventually("suspects are computed without any events", as_of);

    ping(host, HOST, SITE);
    sensor.wait_for("contact", 1);
    let before = as_of();
    ping(internet, SCANNER, HOST);
    // A status query does not compute them.
    eventually("suspects are computed after a hit", || as_of().filter(|at| Some(at) > before.as_ref()));

    let page = sensor.metrics();
    let of = |line: &str| line.rsplit_once(' ').and_then(|(_, value)| value.parse::<u64>().ok());
    let candidates: u64 = page.lines().filter(|l| l.starts_with("tattler_suspects{")).filter_map(of).sum();
    assert_eq!(candidates, 1, "{page}");
    assert!(page.lines().any(|line| line.starts_with("tattler_suspects_age_seconds ")), "{page}");
    sensor.stop();
}

#[test]
fn answers_are_no_probes_and_our_answers_no_contacts() {
    let (world, state) = (World::new(), directory());
    let World { host, router, internet } = &world;
    let sensor = Sensor::start(router, state.path(), &WAN0);

    let (client, server) = (udp(host, HOST, 5_000), udp(internet, POOL, 123));
    say(&client, &server);
    say(&server, &client);
    // A peer that was never contacted, at a port in use, and the answer to it.
    let peer = udp(internet, STRANGER, 6_881);
    say(&peer, &client);
    say(&client, &peer);
    // Another port of a contacted remote.
    let (elsewhere, other) = (udp(internet, POOL, 9_999), udp(host, HOST, 7_777));
    say(&elsewhere, &other);
    say(&other, &elsewhere);
    // Probes, all answered.
    let (probe, service) = (udp(internet, SCANNER, 40_000), udp(host, HOST, 8_888));
    say(&probe, &service);
    say(&service, &probe);
    ping(internet, SCANNER, HOST);
    let _open = listen(host, HOST, 22);
    nmap(internet, "net0", SCANNER, HOST, &["-sS", "-p22"]);

    sensor.wait_for("answer", 3);
    sensor.stop();
    let stored = Stored::read(state.path());
    assert_eq!(stored.contacts, [(HOST, POOL, UDP, 123)].into());
    let probes = [(SCANNER, HOST, UDP_PROBE, 8_888), (SCANNER, HOST, ECHO, 0), (SCANNER, HOST, SYN, 22)];
    assert_eq!(stored.probes, probes.into());
    assert_eq!(stored.answers, probes.into());
}

#[test]
fn local_and_foreign_traffic_is_neither_contact_nor_probe() {
    let (world, state) = (World::new(), directory());
    let World { host, router, internet } = &world;
    // Link-local and unique local addresses never count.
    for (namespace, device, address) in [(router, "wan0", "fd00:1::1"), (internet, "net0", "fd00:1::2")] {
        namespace.ip(&format!("address add {address}/64 dev {device} nodad"));
    }
    let sensor = Sensor::start(router, state.path(), &WAN0);
    ping(router, "fd00:1::1".parse().unwrap(), "fd00:1::2".parse().unwrap());
    ping(internet, "fd00:1::2".parse().unwrap(), "fd00:1::1".parse().unwrap());
    // Traffic within the home does not pass the uplink.
    ping(host, HOST, tests::world::ROUTER);
    // A foreign prefix that is routed here by mistake.
    internet.ip(&format!("route add 2001:db8:77::/48 via {}", tests::world::UPLINK));
    ping_nobody(internet, STRANGER, "2001:db8:77::1".parse().unwrap());

    ping(internet, SCANNER, HOST);
    sensor.wait_for("probe", 1);
    sensor.stop();
    let stored = Stored::read(state.path());
    assert_eq!(stored.contacts, [].into());
    assert_eq!(stored.probes, [(SCANNER, HOST, ECHO, 0)].into());
}

#[test]
fn a_restart_rebuilds_the_ledger_from_the_store() {
    let (world, state) = (World::new(), directory());
    let World { host, router, internet } = &world;

    let before = Sensor::start(router, state.path(), &WAN0);
    ping(host, HOST, SITE);
    before.wait_for("contact", 1);
    before.stop();

    let after = Sensor::start(router, state.path(), &WAN0);
    assert!(after.log().contains("ledger rebuilt from the store"), "{}", after.log());
    assert_eq!(after.status()["contacts"], 1);
    ping(internet, SCANNER, HOST);
    after.wait_for("probe", 1);
    let probe = (SCANNER.to_string(), "echo".to_owned(), 0);
    assert_eq!(after.followed(SITE, HOST), std::slice::from_ref(&probe));
    let suspects = after.suspects();
    assert_eq!(suspects["candidates"][0]["members"], json!([SITE]), "{suspects}");
    after.stop();

    let later = Sensor::start(router, state.path(), &WAN0);
    assert_eq!(later.followed(SITE, HOST), [probe]);
    assert_eq!(later.suspects()["candidates"], suspects["candidates"]);
    later.stop();
}

#[test]
fn home_prefixes_follow_changes_within_a_second() {
    let (world, state) = (World::new(), directory());
    let World { host, router, internet } = &world;
    let second: Ipv6Addr = "2001:db8:42:2:a5c3:71d9:4be2:860f".parse().unwrap();
    host.ip(&format!("address add {second}/64 dev eth0 nodad"));
    let sensor = Sensor::start(router, state.path(), &WAN0);
    let is_home = |prefix: &str| sensor.status()["home"].as_array().unwrap().contains(&json!(prefix));
    assert!(is_home("2001:db8:42:1::/64"), "{}", sensor.status());
    ping_nobody(internet, SITE, second);

    let wait = |what: &str, wanted: bool| {
        let started = Instant::now();
        eventually(what, || (is_home("2001:db8:42:2::/64") == wanted).then_some(()));
        let took = started.elapsed();
        assert!(took < Duration::from_secs(1), "{what} took {took:?}");
    };
    router.ip("address add 2001:db8:42:2::1/64 dev lan0 nodad");
    wait("a new prefix is home", true);
    ping(internet, SCANNER, second);

    router.ip("address del 2001:db8:42:2::1/64 dev lan0");
    wait("a removed prefix is no longer home", false);
    ping_nobody(internet, STRANGER, second);

    // The first prefix is still home.
    ping(internet, STRANGER, HOST);
    sensor.wait_for("probe", 2);
    sensor.stop();
    assert_eq!(Stored::read(state.path()).probes, [(SCANNER, second, ECHO, 0), (STRANGER, HOST, ECHO, 0)].into());
}

#[test]
fn an_unused_part_of_a_delegated_prefix_is_home() {
    let (world, state) = (World::new(), directory());
    let World { router, internet, .. } = &world;
    router.ip("route add unreachable 2001:db8:42::/48");
    let sensor = Sensor::start(router, state.path(), &WAN0);
    let dark: Ipv6Addr = "2001:db8:42:7::1".parse().unwrap();
    ping_nobody(internet, SCANNER, dark);
    sensor.wait_for("probe", 1);
    sensor.stop();
    assert_eq!(Stored::read(state.path()).probes, [(SCANNER, dark, ECHO, 0)].into());
}

#[test]
fn given_home_prefixes_replace_those_found() {
    let (world, state) = (World::new(), directory());
    let World { host, router, internet } = &world;
    let sensor = Sensor::start(router, state.path(), &["--interface", "wan0", "--home", "2001:db8:42:1::7/64"]);
    assert_eq!(sensor.status()["home"], json!(["2001:db8:42:1::/64"]));
    router.ip("address add 2001:db8:42:2::1/64 dev lan0 nodad");
    ping(internet, STRANGER, tests::world::UPLINK);
    ping(internet, STRANGER, "2001:db8:42:2::1".parse().unwrap());
    ping(internet, SCANNER, HOST);
    ping(host, HOST, SITE);
    sensor.wait_for("probe", 1);
    sensor.wait_for("contact", 1);
    sensor.stop();
    let stored = Stored::read(state.path());
    assert_eq!(stored.probes, [(SCANNER, HOST, ECHO, 0)].into());
    assert_eq!(stored.contacts, [(HOST, SITE, ICMPV6, 0)].into());
}

#[test]
fn two_uplinks_share_one_ledger() {
    let (world, state) = (World::new(), directory());
    let World { host, router, internet } = &world;
    router.link("wan1", internet, "net1");
    router.ip("address add 2001:db8:fffe::2/64 dev wan1 nodad");
    internet.ip("address add 2001:db8:fffe::1/64 dev net1 nodad");

    let sensor = Sensor::start(router, state.path(), &["--interface", "wan0", "--interface", "wan1"]);
    ping(host, HOST, SITE);
    // The probe comes by one uplink, and its answer leaves by the other.
    internet.ip(&format!("route add {HOST}/128 via 2001:db8:fffe::2"));
    ping(internet, SCANNER, HOST);
    sensor.wait_for("contact", 1);
    sensor.wait_for("answer", 1);
    assert_eq!(sensor.followed(SITE, HOST), [(SCANNER.to_string(), "echo".to_owned(), 0)]);
    let uplink = |name: &str| json!({"interface": name, "mode": "native", "up": true});
    assert_eq!(sensor.status()["uplinks"], json!([uplink("wan0"), uplink("wan1")]));
    assert!(!router.attached("wan1").0.is_empty());
    sensor.stop();
    for device in ["wan0", "wan1"] {
        assert_eq!(router.attached(device), Default::default(), "{device}");
    }
    let stored = Stored::read(state.path());
    assert_eq!((stored.contacts.len(), stored.probes.len(), stored.answers.len()), (1, 1, 1));
}

fn radvd(namespace: &Namespace, directory: &Path) -> io::Result<Daemon> {
    let (config, pid) = (directory.join("radvd.conf"), directory.join("radvd.pid"));
    fs::write(
        &config,
        "interface isp0 {
            AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4;
            prefix 2001:db8:50:1::/64 { AdvOnLink on; AdvAutonomous on; };
        };",
    )?;
    let mut command = tool("radvd");
    command.args(["--nodaemon", "--logmethod=stderr", "--config"]).arg(&config).arg("--pidfile").arg(&pid);
    Ok(Daemon::start(namespace, &command, &directory.join("radvd.log")))
}

#[test]
fn on_a_shared_uplink_only_our_own_addresses_are_home() {
    let state = directory();
    let (host, isp) = (Namespace::new("host"), Namespace::new("isp"));
    host.set("ipv6/conf/default/use_tempaddr", "2");
    host.set("ipv6/conf/default/accept_ra", "1");
    isp.set("ipv6/conf/all/forwarding", "1");
    isp.link("isp0", &host, "eth0");
    for address in [SITE, SCANNER] {
        isp.ip(&format!("address add {address}/128 dev lo nodad"));
    }
    let manual: Ipv6Addr = "2001:db8:50:1:93e7:50c1:6a2d:f84b".parse().unwrap();
    host.ip(&format!("address add {manual}/64 dev eth0 nodad"));
    // The neighbour's packets come here too, as if the provider's switch flooded them.
    let neighbour: Ipv6Addr = "2001:db8:50:1:4c1e:b7aa:2f90:d653".parse().unwrap();
    let mac = host.mac_text("eth0");
    isp.ip("address add 2001:db8:50:1::1/64 dev isp0 nodad");
    isp.ip(&format!("neighbour add {neighbour} lladdr {mac} dev isp0"));
    let _radvd = radvd(&isp, state.path()).unwrap();
    let temporary: Ipv6Addr = eventually("the host takes a temporary address", || {
        let shown = host.shown("-6 address show dev eth0");
        let addresses = shown["addr_info"].as_array().cloned().unwrap_or_default();
        let address = addresses.iter().find(|address| address["temporary"] == true)?;
        Some(address["local"].as_str().unwrap().parse().unwrap())
    });

    let sensor = Sensor::start(&host, state.path(), &[]);
    ping(&host, temporary, SITE);
    ping(&host, manual, SITE);
    ping(&isp, SCANNER, temporary);
    ping_nobody(&isp, SCANNER, neighbour);
    ping(&isp, SCANNER, manual);
    sensor.wait_for("probe", 2);
    assert_eq!(sensor.status()["uplinks"][0]["interface"], "eth0");
    let explained = sensor.explain(SITE);
    let visits = explained["visits"].as_array().unwrap().iter();
    let classes: Vec<_> = visits.map(|visit| (visit["local"].clone(), visit["class"].clone())).collect();
    assert_eq!(classes, [(json!(temporary), json!("temporary")), (json!(manual), json!("stable"))], "{explained}");
    sensor.stop();
    let stored = Stored::read(state.path());
    assert_eq!(stored.probes, [(SCANNER, temporary, ECHO, 0), (SCANNER, manual, ECHO, 0)].into());
}
