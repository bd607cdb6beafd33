//! A home, its router and an internet.

use std::net::Ipv6Addr;

use crate::namespace::Namespace;

/// A host behind the router, by an address that looks temporary.
pub const HOST: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x42, 1, 0xe014, 0x9aff, 0x5e49, 0xecb3);
/// Another temporary address of the host.
pub const LATER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x42, 1, 0x7c21, 0x13ff, 0xfe0a, 0x9e55);
/// The router on the LAN.
pub const ROUTER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x42, 1, 0, 0, 0, 1);
/// The router on its uplink.
pub const UPLINK: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 2);
/// A web site.
pub const SITE: Ipv6Addr = remote(0xa, 0x80);
/// A time server.
pub const POOL: Ipv6Addr = remote(0xb, 0x123);
/// A prober.
pub const SCANNER: Ipv6Addr = remote(0xc, 5);
/// A remote that no host contacts.
pub const STRANGER: Ipv6Addr = remote(0xd, 0x99);

const fn remote(provider: u16, host: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x3fff, provider, 0, 0, 0, 0, 0, host)
}

/// `host` — `router` — `internet`.
pub struct World {
    /// Has [`HOST`] on `eth0`.
    pub host: Namespace,
    /// Has [`ROUTER`] on `lan0` and [`UPLINK`] on `wan0`.
    pub router: Namespace,
    /// Has all remotes on `net0`.
    pub internet: Namespace,
}

impl World {
    /// Builds it. All can reach each other.
    pub fn new() -> World {
        let world =
            World { host: Namespace::new("host"), router: Namespace::new("router"), internet: Namespace::new("net") };
        let World { host, router, .. } = &world;
        router.set("ipv6/conf/all/forwarding", "1");
        router.link("lan0", host, "eth0");
        host.ip(&format!("address add {HOST}/64 dev eth0 nodad"));
        router.ip(&format!("address add {ROUTER}/64 dev lan0 nodad"));
        host.ip(&format!("route add default via {ROUTER}"));
        world.connect("wan0", "");
        world
    }

    /// Makes the uplink, which must not exist: `name`, with these words for `ip link add`, and `net0`, with addresses
    /// and routes.
    pub fn connect(&self, name: &str, words: &str) {
        let World { router, internet, .. } = self;
        router.ip(&format!("link add {name} {words} type veth peer name net0 netns {}", internet.name()));
        router.ip(&format!("link set {name} up"));
        internet.ip("link set net0 up");
        internet.ip("address add 2001:db8:ffff::1/64 dev net0 nodad");
        for remote in [SITE, POOL, SCANNER, STRANGER] {
            internet.ip(&format!("address add {remote}/128 dev net0 nodad"));
        }
        self.route(name);
        internet.ip(&format!("route add 2001:db8:42::/48 via {UPLINK}"));
    }

    /// Gives the router its address and route on the uplink, which it loses when the uplink goes down.
    pub fn route(&self, name: &str) {
        self.router.ip(&format!("address replace {UPLINK}/64 dev {name} nodad"));
        self.router.ip("route replace default via 2001:db8:ffff::1");
    }
}

impl Default for World {
    fn default() -> World {
        World::new()
    }
}
