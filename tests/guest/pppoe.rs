//! An uplink by PPPoE, as DSL and many fibre providers require: the kernel's device, which pppd sets up on both sides.

use std::fs;

use tests::daemon::Daemon;
use tests::namespace::Namespace;
use tests::programs::{Bounded, succeed, tool};
use tests::within;
use tests::world::World;

use crate::wire;

/// Seconds for discovery and negotiation in an emulated machine.
const CONNECTS_WITHIN: u64 = 30;

/// A world whose router has dialled; the session ends with the guard.
fn world() -> (World, Daemon) {
    let world = World::new();
    // For pppd on both sides, without a password.
    fs::create_dir_all("/etc/ppp").expect("make /etc/ppp");
    fs::create_dir_all("/var/run").expect("make /var/run");
    fs::write("/etc/ppp/options", "noauth\nnoccp\n+ipv6\n").expect("write the options of pppd");
    fs::write("/etc/ppp/pppoe-server-options", "noauth\n").expect("write the options of the server");
    // It runs in the background until the guest ends.
    succeed(&mut world.internet.tool("pppoe-server", &["-I", "net0", "-L", "192.0.2.1", "-R", "192.0.2.2"]));
    let session = dial(&world);
    (world, session)
}

/// Dials, and makes `ppp0` the uplink when it is up on both sides.
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

/// The sensor watches the session's device, and the new one after a redial.
pub fn session() -> String {
    let ((world, session), state) = (world(), wire::state());
    let sensor = wire::watched(&world, &state, "ppp0", "generic");

    let before = world.router.index("ppp0");
    drop(session);
    within(CONNECTS_WITHIN, "the server has closed the session", || (!is_there(&world.internet)).then_some(()));
    let _session = dial(&world);
    assert_ne!(world.router.index("ppp0"), before, "the device is the same");
    within(CONNECTS_WITHIN, "the new device is watched", || {
        (wire::attached(&world.router, "ppp0").0 == "xdpgeneric").then_some(())
    });
    wire::another_probe(&world);
    sensor.wait_for("probe", 4);
    sensor.stop();
    "generic on ppp0, and on the one that came after it".to_owned()
}

/// The sensor watches the Ethernet device below, and sees the frames of the session.
pub fn frames_on_the_parent() -> String {
    let ((world, _session), state) = (world(), wire::state());
    wire::watched(&world, &state, "wan0", "native").stop();
    "native on the device below the session".to_owned()
}
