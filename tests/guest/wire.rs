//! Traffic through a home's uplink, and the events that the sensor must report.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::dial::dial;
use tests::namespace::Namespace;
use tests::programs::{succeed, tattler};
use tests::sensor::Sensor;
use tests::traffic::{ping, udp};
use tests::world::{HOST, SCANNER, SITE, STRANGER, UPLINK, World};

use crate::machine;

/// A state directory, kept to the guest's end.
pub fn state() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let path = PathBuf::from(format!("/tmp/state-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
    fs::create_dir_all(&path).expect("make a state directory");
    path
}

/// Lets the router lead out by another device than `wan0`, whose other end is `theirs`.
pub fn lead_by(world: &World, ours: &str, theirs: &str) {
    let World { router, internet, .. } = world;
    router.ip(&format!("address flush dev wan0 to {UPLINK}/64"));
    internet.ip("address flush dev net0 to 2001:db8:ffff::1/128");
    internet.ip(&format!("address add 2001:db8:ffff::1/64 dev {theirs} nodad"));
    internet.ip(&format!("route replace 2001:db8:42::/48 via {UPLINK} dev {theirs}"));
    world.route(ours);
}

/// A contact and three probes, each of another kind.
pub fn contact_and_probes(world: &World) {
    let World { host, internet, .. } = world;
    ping(host, HOST, SITE);
    ping(internet, SCANNER, HOST);
    let refused = dial(internet, (SCANNER, 0), (HOST, 22)).expect_err("nobody listens");
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused, "{refused}");
    let knock = udp(internet, STRANGER, 40_000);
    knock.send_to(b"a datagram", (HOST, 161)).expect("send a datagram");
}

/// A probe of a kind and port that is none of those.
pub fn another_probe(world: &World) {
    let refused = dial(&world.internet, (STRANGER, 0), (HOST, 23)).expect_err("nobody listens");
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused, "{refused}");
}

/// Checks that the sensor reports the traffic of [`contact_and_probes`].
pub fn is_seen(sensor: &Sensor<'_>, mode: &str) {
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
    let mut ask = Command::new(tattler());
    ask.args([subject, "--format", "json", "--socket"]).arg(sensor.socket());
    let answer: Value = serde_json::from_str(&succeed(&mut ask)).expect("JSON");
    let rows = answer["rows"].as_array().expect("rows").iter();
    rows.map(|row| columns.iter().map(|column| text(&row[*column])).collect()).collect()
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

/// The programs attached to a device: the XDP mode, and our programs at egress. Kernels before 6.6 have filters
/// in place of tcx.
pub fn attached(namespace: &Namespace, device: &str) -> (String, Vec<String>) {
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
