//! An uplink in a VLAN, as many providers require.

use etherparse::{PacketBuilder, VlanId};
use tests::frames::written;
use tests::traffic::Wire;
use tests::world::{HOST, STRANGER, World};

use crate::wire;

const ID: u16 = 7;

/// A world whose uplink is a VLAN of `wan0`.
fn world() -> World {
    let world = World::new();
    world.router.ip(&format!("link add link wan0 name wan0.7 type vlan id {ID}"));
    world.router.ip("link set wan0.7 up");
    world.internet.ip(&format!("link add link net0 name net0.7 type vlan id {ID}"));
    world.internet.ip("link set net0.7 up");
    wire::lead_by(&world, "wan0.7", "net0.7");
    world
}

/// The sensor watches the VLAN's device.
pub fn tagged_uplink() -> String {
    let (world, state) = (world(), wire::state());
    wire::watched(&world, &state, "wan0.7", "generic").stop();
    "generic on the VLAN's device".to_owned()
}

/// The sensor watches the device below, and sees tagged frames.
pub fn tagged_frames_on_the_parent() -> String {
    let (world, state) = (world(), wire::state());
    let sensor = wire::watched(&world, &state, "wan0", "native");
    // The VLAN's device passes the tag to a veth outside of the packet. This frame contains it.
    Wire::open(&world.internet, "net0").send(&tagged_syn(&world));
    sensor.wait_for("probe", 4);
    let port = vec!["23".to_owned()];
    tests::eventually("the tagged SYN is stored", || {
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
    written(|frame| step.write(frame, &[]).expect("a frame"))
}
