//! With address translation, the addresses seen from outside count: XDP sees inbound packets before their translation,
//! TC at egress outbound ones after it. Runs as root, with nft.

use std::net::Ipv6Addr;

use sensor_common::{Kind, Proto};
use tattler_core::home::HomeSettings;
use tattler_core::report;
use tattler_core::view::evidence::Evidence;
use tests::dial::dial;
use tests::programs::{input, succeed};
use tests::traffic::{listen, udp};
use tests::watcher::Watcher;
use tests::world::{HOST, ROUTER, SCANNER, SITE, STRANGER, UPLINK, World};

/// The host's address inside.
const INSIDE: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x42, 1, 0, 0xe014, 0x9aff, 0x5e49, 0xecb3);
/// The same address from outside, if its prefix is translated.
const OUTSIDE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x42, 9, 0xe014, 0x9aff, 0x5e49, 0xecb3);

/// A home with unique local addresses alone, and rules of nft on its router.
fn translated(rules: &str) -> World {
    let world = World::new();
    let World { host, router, .. } = &world;
    host.ip(&format!("address del {HOST}/64 dev eth0"));
    router.ip(&format!("address del {ROUTER}/64 dev lan0"));
    router.ip("address add fd00:42:1::1/64 dev lan0 nodad");
    host.ip(&format!("address add {INSIDE}/64 dev eth0 nodad"));
    host.ip("route replace default via fd00:42:1::1");
    succeed(router.tool("nft", &["-f", "-"]).stdin(input(rules.as_bytes())));
    world
}

/// A datagram from the host to the site, which sees it come from `outside`, and the answer.
#[track_caller]
fn exchange(world: &World, outside: Ipv6Addr) {
    let (client, site) = (udp(&world.host, INSIDE, 5_000), udp(&world.internet, SITE, 123));
    client.send_to(b"a datagram", (SITE, 123)).unwrap();
    let (_, seen) = site.recv_from(&mut [0; 64]).unwrap();
    assert_eq!(seen.ip(), outside, "nft translates");
    site.send_to(b"an answer", seen).unwrap();
    client.recv_from(&mut [0; 64]).expect("the answer comes back in");
}

#[test]
fn behind_nat66_the_routers_own_address_contacts_and_is_probed() {
    let world = translated(
        "table ip6 nat {
            chain out { type nat hook postrouting priority srcnat; oifname wan0 masquerade; }
            chain in { type nat hook prerouting priority dstnat; iifname wan0 tcp dport 8022 dnat to [fd00:42:1:0:e014:9aff:5e49:ecb3]:22; }
        }",
    );
    let World { host, router, internet } = &world;
    let mut watcher = Watcher::new(router, "wan0");
    exchange(&world, UPLINK);
    assert_eq!(watcher.contacts(), [(UPLINK, SITE, Proto::Udp, 123)]);
    assert_eq!(watcher.probes(), []);

    // From outside, a forwarded port is a port of the router, and so is its answer.
    let _ssh = listen(host, INSIDE, 22);
    let _ = dial(internet, (STRANGER, 0), (UPLINK, 8_022)).expect("it is forwarded");
    assert_eq!(watcher.probes(), [(STRANGER, UPLINK, Kind::Syn, 8_022)]);
    let exposed = report::exposed(&watcher.ledger);
    assert_eq!(exposed.iter().map(|e| (e.local, e.service())).collect::<Vec<_>>(), [(UPLINK, "tcp/8022".to_owned())]);
}

#[test]
fn behind_nptv6_a_route_or_the_user_makes_the_prefix_home() {
    let world = translated(
        "table ip6 nat {
            chain out { type nat hook postrouting priority srcnat; oifname wan0 snat ip6 prefix to ip6 saddr map { fd00:42:1::/64 : 2001:db8:42:9::/64 }; }
            chain in { type nat hook prerouting priority dstnat; iifname wan0 dnat ip6 prefix to ip6 daddr map { 2001:db8:42:9::/64 : fd00:42:1::/64 }; }
        }",
    );
    let World { host, router, internet } = &world;
    let told = HomeSettings { add: vec!["2001:db8:42:9::/64".parse().unwrap()], ..HomeSettings::default() };
    let mut watcher = Watcher::told(router, "wan0", &told, &[]);
    let visit = |watcher: &mut Watcher| {
        exchange(&world, OUTSIDE);
        let _ssh = listen(host, INSIDE, 22);
        let _ = dial(internet, (SCANNER, 0), (OUTSIDE, 22)).expect("it listens");
        watcher.look();
    };
    visit(&mut watcher);
    assert_eq!(watcher.contacts(), [(OUTSIDE, SITE, Proto::Udp, 123)]);
    assert_eq!(watcher.evidence(SCANNER), [(Kind::Syn, 22, Evidence::Exact, false)]);
    assert!(watcher.ledger.probes()[0].answered, "the answer has the probed address");

    // Counter-example: without a setting or a route, the translated prefix is unknown. The route that prefix
    // delegation leaves makes it home.
    drop(watcher);
    let mut watcher = Watcher::new(router, "wan0");
    visit(&mut watcher);
    assert_eq!((watcher.contacts(), watcher.probes()), (vec![], vec![]));
    router.ip("route add unreachable 2001:db8:42:9::/64");
    watcher.follow(router, "wan0");
    visit(&mut watcher);
    assert_eq!(watcher.contacts(), [(OUTSIDE, SITE, Proto::Udp, 123)]);
    assert_eq!(watcher.probes(), [(SCANNER, OUTSIDE, Kind::Syn, 22)]);
}
