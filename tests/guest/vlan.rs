//! An uplink in a VLAN, as many providers want it.

use etherparse::{PacketBuilder, VlanId};
use tests::sensor::Sensor;
use tests::traffic::Wire;
use tests::world::{HOST, STRANGER, World};

use crate::wire;

const ID: u16 = 7;

/// The router leads out by a VLAN of `wan0`.
fn world() -> World {
    let world = World::new();
    world.router.ip(&format!("link add link wan0 name wan0.7 type vlan id {ID}"));
    world.router.ip("link set wan0.7 up");
    world.internet.ip(&format!("link add link net0 name net0.7 type vlan id {ID}"));
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
    // The VLAN's device hands a veth its tag beside the packet. This one is in it.
    Wire::open(&world.internet, "net0").send(&tagged_syn(&world));
    sensor.wait_for("probe", 4);
    let port = vec!["23".to_owned()];
    tests::eventually("the tagged SYN is told", || {
        wire::rows(&sensor, "probes", &["port"]).contains(&port).then_some(())
    });
    sensor.stop();
    "native on the device below the VLAN".to_owned()
}

fn tagged_syn(world: &World) -> Vec<u8> {
    let step = PacketBuilder::ethernet2(world.internet.mac("net0"), world.router.mac("wan0"))
        .single_vlan(VlanId::try_new(ID).expect("an identifier of a VLAN"))
        .ipv6(STRANGER.octets(), HOST.octets(), 57)
        .tcp(40_000, 23, 1, 64_240)
        .syn();
    let mut frame = Vec::new();
    step.write(&mut frame, &[]).expect("a frame");
    frame
}
