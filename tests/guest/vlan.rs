//! An uplink in a VLAN, as many providers want it.

use tests::sensor::Sensor;
use tests::world::World;

use crate::wire;

/// The router leads out by a VLAN of `wan0`.
fn world() -> World {
    let world = World::new();
    world.router.ip("link add link wan0 name wan0.7 type vlan id 7");
    world.router.ip("link set wan0.7 up");
    world.internet.ip("link add link net0 name net0.7 type vlan id 7");
    world.internet.ip("link set net0.7 up");
    wire::lead_by(&world, "wan0.7", "net0.7");
    world
}

/// The VLAN's device is the uplink.
pub fn tagged_uplink() -> String {
    let (world, state) = (world(), wire::state());
    let sensor = Sensor::start(&world.router, &state, &["--interface", "wan0.7"]);
    wire::contact_and_probes(&world);
    wire::is_seen(&sensor, "generic");
    sensor.stop();
    "generic on the VLAN's device".to_owned()
}

/// The device below it is watched, and sees tagged frames.
pub fn tagged_frames_on_the_parent() -> String {
    let (world, state) = (world(), wire::state());
    let sensor = Sensor::start(&world.router, &state, &["--interface", "wan0"]);
    wire::contact_and_probes(&world);
    wire::is_seen(&sensor, "native");
    sensor.stop();
    "native on the device below the VLAN".to_owned()
}
