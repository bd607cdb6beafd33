//! Traffic through a home's uplink, and the events that the sensor must report.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use sensor_common::names;
use serde_json::Value;
use tests::dial::dial;
use tests::namespace::{Attached, Namespace};
use tests::programs::succeed;
use tests::sensor::Sensor;
use tests::traffic::{ping, udp};
use tests::world::{HOST, SCANNER, SITE, STRANGER, UPLINK, World};

use crate::machine;

/// A state directory. It stays until the guest ends.
pub fn state() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let path = PathBuf::from(format!("/tmp/state-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
    fs::create_dir_all(&path).expect("make a state directory");
    path
}

/// A contact and probes on a veth. After the sensor has stopped, nothing is attached.
pub fn veth() -> String {
    let (world, state) = (World::new(), state());
    watched(&world, &state, "wan0", "native").stop();
    assert_eq!(attached(&world.router, "wan0"), Default::default(), "something is left attached");
    "native; contact, echo, SYN and UDP seen; nothing left attached".to_owned()
}

/// Starts a sensor on a device, and checks that it attaches in this mode and reports a contact and probes.
pub fn watched<'w>(world: &'w World, state: &Path, device: &str, mode: &str) -> Sensor<'w> {
    let sensor = Sensor::start(&world.router, state, &["--interface", device]);
    let xdp = if mode == "native" { "xdp" } else { "xdpgeneric" };
    // Only the veth and VLAN devices on it begin with an Ethernet header.
    let egress = if device.starts_with("wan0") { names::EGRESS } else { names::EGRESS_RAW };
    assert_eq!(attached(&world.router, device), (xdp.to_owned(), vec![egress.to_owned()]));
    contact_and_probes(world);
    is_seen(&sensor, mode);
    sensor
}

/// Makes another device than `wan0` the router's uplink. Its other end is `theirs`.
pub fn lead_by(world: &World, ours: &str, theirs: &str) {
    let World { router, internet, .. } = world;
    router.ip(&format!("address flush dev wan0 to {UPLINK}/64"));
    internet.ip("address flush dev net0 to 2001:db8:ffff::1/128");
    internet.ip(&format!("address add 2001:db8:ffff::1/64 dev {theirs} nodad"));
    internet.ip(&format!("route replace 2001:db8:42::/48 via {UPLINK} dev {theirs}"));
    world.route(ours);
}

/// A contact and three probes, each of another kind.
fn contact_and_probes(world: &World) {
    let World { host, internet, .. } = world;
    ping(host, HOST, SITE);
    ping(internet, SCANNER, HOST);
    let refused = dial(internet, (SCANNER, 0), (HOST, 22)).expect_err("nobody listens");
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused, "{refused}");
    let knock = udp(internet, STRANGER, 40_000);
    knock.send_to(b"a datagram", (HOST, 161)).expect("send a datagram");
}

/// A probe of another kind and port.
pub fn another_probe(world: &World) {
    let refused = dial(&world.internet, (STRANGER, 0), (HOST, 23)).expect_err("nobody listens");
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused, "{refused}");
}

/// Checks that the sensor reports the traffic of [`contact_and_probes`].
fn is_seen(sensor: &Sensor<'_>, mode: &str) {
    sensor.wait_for("contact", 1);
    sensor.wait_for("probe", 3);
    let status = sensor.status();
    assert_eq!(status["uplinks"][0]["mode"], mode, "{status}");
    for what in ["contact", "probe", "answer"] {
        let [matched, recorded, ..] = sensor.fates(what);
        assert_eq!(matched, recorded, "{what}");
    }
    let (host, site) = (HOST.to_string(), SITE.to_string());
    tells(sensor, "contacts", &["local", "remote", "proto"], &Rows::from([row(&[&host, &site, "icmpv6"])]));
    let (scanner, stranger) = (SCANNER.to_string(), STRANGER.to_string());
    let probes = [
        row(&[&scanner, &host, "echo", ""]),
        row(&[&scanner, &host, "syn", "22"]),
        row(&[&stranger, &host, "udp", "161"]),
    ];
    tells(sensor, "probes", &["source", "target", "kind", "port"], &Rows::from(probes));
}

type Rows = BTreeSet<Vec<String>>;

/// Waits until a query gives these columns of these rows: drained events reach the database a moment later.
fn tells(sensor: &Sensor<'_>, subject: &str, columns: &[&str], expected: &Rows) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while rows(sensor, subject, columns) != *expected && Instant::now() < deadline {
        sleep(Duration::from_millis(100));
    }
    assert_eq!(rows(sensor, subject, columns), *expected, "{subject}");
}

/// Some columns of a query's answer.
pub fn rows(sensor: &Sensor<'_>, subject: &str, columns: &[&str]) -> Rows {
    let rows = sensor.rows(&[subject]);
    rows.iter().map(|row| columns.iter().map(|column| text(&row[*column])).collect()).collect()
}

fn row(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|cell| (*cell).to_owned()).collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The programs attached to a device, also before Linux 6.6, with filters instead of tcx.
pub fn attached(namespace: &Namespace, device: &str) -> Attached {
    if machine::version() >= (6, 6) {
        return namespace.attached(device);
    }
    let shown = namespace.ip(&format!("-d link show dev {device}"));
    let mode = shown.split_whitespace().find(|word| word.starts_with("xdp")).unwrap_or_default();
    let filters = succeed(&mut namespace.tool("tc", &["filter", "show", "dev", device, "egress"]));
    // Each filter's line has the name twice: as its own, and as its program's.
    let names = filters.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with("tattler_")));
    (mode.to_owned(), names.map(str::to_owned).collect())
}
