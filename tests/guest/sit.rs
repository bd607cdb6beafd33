//! An uplink that is a tunnel through IPv4, as tunnel brokers offer.

use tests::world::World;

use crate::wire;

/// 6in4. Linux 5.10 shows XDP the outer header, later kernels only the inner one.
pub fn tunnel() -> String {
    let (world, state) = (World::new(), wire::state());
    let ends = [(&world.router, "wan0", "192.0.2.2"), (&world.internet, "net0", "192.0.2.1")];
    for (at, (namespace, device, address)) in ends.into_iter().enumerate() {
        namespace.ip(&format!("address add {address}/24 dev {device}"));
        let other = ends[1 - at].2;
        namespace.ip(&format!("link add tunnel0 type sit local {address} remote {other} ttl 64"));
        namespace.ip("link set tunnel0 up");
    }
    wire::lead_by(&world, "tunnel0", "tunnel0");
    wire::watched(&world, &state, "tunnel0", "generic").stop();
    "generic on the tunnel".to_owned()
}
