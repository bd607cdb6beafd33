//! An uplink with a driver that takes XDP: from the wire to the answers, and nothing left behind.

use sensor_common::names;
use tests::sensor::Sensor;
use tests::world::World;

use crate::wire;

/// A contact and probes on a veth; after the sensor has stopped nothing is attached.
pub fn probe_is_seen() -> String {
    let (world, state) = (World::new(), wire::state());
    let sensor = Sensor::start(&world.router, &state, &["--interface", "wan0"]);
    let attached = wire::attached(&world.router, "wan0");
    assert_eq!(attached, ("xdp".to_owned(), vec![names::EGRESS.to_owned()]));
    wire::contact_and_probes(&world);
    wire::is_seen(&sensor, "native");
    sensor.stop();
    assert_eq!(wire::attached(&world.router, "wan0"), Default::default(), "something is left attached");
    "native; contact, echo, SYN and UDP seen; nothing left attached".to_owned()
}
