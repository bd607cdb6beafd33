//! An uplink by PPPoE, as DSL and many fibre providers want it: the kernel's own device, set up by
//! pppd on both sides, with a server on the wire.

use std::fs;

use tests::daemon::Daemon;
use tests::namespace::Namespace;
use tests::programs::{Bounded, succeed, tool};
use tests::sensor::Sensor;
use tests::within;
use tests::world::World;

use crate::wire;

/// Patience for discovery and negotiation, in an emulated machine.
const CONNECTS_WITHIN: u64 = 30;

/// A world whose router has dialled; the session ends with the guard.
fn world() -> (World, Daemon) {
    let world = World::new();
    // For pppd on both sides, without a password.
    fs::create_dir_all("/etc/ppp").expect("make /etc/ppp");
    fs::create_dir_all("/var/run").expect("make /var/run");
    fs::write("/etc/ppp/options", "noauth\nnoccp\n+ipv6\n").expect("write the options of pppd");
    fs::write("/etc/ppp/pppoe-server-options", "noauth\n").expect("write the options of the server");
    // It goes to the background, and stays to the guest's end.
    succeed(&mut world.internet.tool("pppoe-server", &["-I", "net0", "-L", "192.0.2.1", "-R", "192.0.2.2"]));
    let session = dial(&world);
    (world, session)
}

/// Dials, and leads out by `ppp0` when it is up on both sides.
fn dial(world: &World) -> Daemon {
    let log = wire::state().join("pppd.log");
    let mut pppd = tool("pppd");
    pppd.args(["plugin", "pppoe.so", "nic-wan0", "nodetach", "nodefaultroute"]);
    let mut session = Daemon::start(&world.router, &pppd, &log);
    within(CONNECTS_WITHIN, "IPv6 is negotiated", || {
        session.must_run();
        (speaks_ipv6(&world.router) && speaks_ipv6(&world.internet)).then_some(())
    });
    wire::lead_by(world, "ppp0", "ppp0");
    session
}

/// pppd gives the device its link-local address when both sides agreed.
fn speaks_ipv6(namespace: &Namespace) -> bool {
    let shown = namespace.tool("ip", &["-6", "address", "show", "dev", "ppp0"]).finish().expect("run ip");
    shown.status.success() && String::from_utf8_lossy(&shown.stdout).contains("fe80")
}

fn is_there(namespace: &Namespace) -> bool {
    let shown = namespace.tool("ip", &["link", "show", "dev", "ppp0"]).finish().expect("run ip");
    shown.status.success()
}

fn index(namespace: &Namespace) -> u64 {
    let shown: serde_json::Value = serde_json::from_str(&namespace.ip("-j link show dev ppp0")).expect("JSON");
    shown[0]["ifindex"].as_u64().expect("an index")
}

/// The session's device is the uplink, and is watched again after a redial.
pub fn session() -> String {
    let ((world, session), state) = (world(), wire::state());
    let sensor = Sensor::start(&world.router, &state, &["--interface", "ppp0"]);
    wire::contact_and_probes(&world);
    wire::is_seen(&sensor, "generic");

    let before = index(&world.router);
    drop(session);
    within(CONNECTS_WITHIN, "the server has let go", || (!is_there(&world.internet)).then_some(()));
    let _session = dial(&world);
    assert_ne!(index(&world.router), before, "the device is the same");
    within(CONNECTS_WITHIN, "the new device is watched", || {
        (wire::attached(&world.router, "ppp0").0 == "xdpgeneric").then_some(())
    });
    wire::another_probe(&world);
    sensor.wait_for("probe", 4);
    sensor.stop();
    "generic on ppp0, and on the one that came after it".to_owned()
}

/// The Ethernet device below is watched, and sees the frames of the session.
pub fn frames_on_the_parent() -> String {
    let ((world, _session), state) = (world(), wire::state());
    let sensor = Sensor::start(&world.router, &state, &["--interface", "wan0"]);
    wire::contact_and_probes(&world);
    wire::is_seen(&sensor, "native");
    sensor.stop();
    "native on the device below the session".to_owned()
}
