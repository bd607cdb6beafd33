//! The rules for UDP and ICMPv6 with real sockets, each with a counter-example. Runs as root.

use std::net::Ipv6Addr;

use sensor_common::wire::What;
use sensor_common::{Kind, Proto};
use tattler_core::view::evidence::Evidence;
use tests::dial::hops;
use tests::traffic::{ping, say, udp};
use tests::watcher::{Watcher, watched};
use tests::world::{HOST, LATER, POOL, SCANNER, SITE, STRANGER};

#[test]
fn strangers_at_a_port_in_use_are_peers_for_five_minutes() {
    let (world, mut watcher) = watched();
    let (torrent, tracker) = (udp(&world.host, HOST, 6_881), udp(&world.internet, POOL, 6_969));
    say(&torrent, &tracker);
    say(&tracker, &torrent);

    let peer = udp(&world.internet, STRANGER, 51_413);
    say(&peer, &torrent);
    say(&torrent, &peer);
    watcher.pass(200);
    let late = udp(&world.internet, SCANNER, 6_881);
    say(&late, &torrent);
    say(&torrent, &late);
    assert_eq!(watcher.probes(), []);
    assert_eq!(watcher.contacts(), [(HOST, POOL, Proto::Udp, 6_969)], "the peers began");

    // Counter-examples: another port, and the same port after it was unused for five minutes.
    let other = udp(&world.host, HOST, 6_882);
    say(&peer, &other);
    assert_eq!(watcher.probes(), [(STRANGER, HOST, Kind::Udp, 6_882)]);
    watcher.pass(420);
    say(&udp(&world.internet, SITE, 1), &torrent);
    assert_eq!(watcher.probes()[1..], [(SITE, HOST, Kind::Udp, 6_881)]);
}

#[test]
fn an_answer_to_a_udp_probe_counts_once_and_makes_peers() {
    let (world, mut watcher) = watched();
    let (service, scanner) = (udp(&world.host, HOST, 53), udp(&world.internet, SCANNER, 40_000));
    for _ in 0..3 {
        say(&scanner, &service);
        say(&service, &scanner);
    }
    assert_eq!(watcher.probes(), [(SCANNER, HOST, Kind::Udp, 53)]);
    assert_eq!((watcher.matched(What::Probe), watcher.matched(What::Answer)), (1, 1));
    assert_eq!(watcher.contacts(), []);
    assert!(watcher.ledger.probes()[0].answered);

    // Counter-example: a port that does not answer is not exposed.
    let silent = udp(&world.host, HOST, 54);
    say(&scanner, &silent);
    watcher.look();
    let answered: Vec<bool> = watcher.ledger.probes().iter().map(|row| row.answered).collect();
    assert_eq!(answered, [true, false]);
}

#[test]
fn quic_that_moves_or_migrates_is_no_probe() {
    let (world, mut watcher) = watched();
    let (client, server) = (udp(&world.host, HOST, 50_001), udp(&world.internet, SITE, 443));
    say(&client, &server);
    say(&server, &client);
    // The server continues from another address (anycast, a load balancer).
    let moved = udp(&world.internet, STRANGER, 443);
    say(&moved, &client);
    say(&client, &moved);
    // It names a preferred address, which the client tries (RFC 9000, 9.6): a contact.
    let preferred = udp(&world.internet, POOL, 443);
    say(&client, &preferred);
    say(&preferred, &client);
    // The client migrates to another address of its own, with the same port.
    world.host.ip(&format!("address add {LATER}/64 dev eth0 nodad"));
    let migrated = udp(&world.host, LATER, 50_001);
    say(&migrated, &server);
    say(&server, &migrated);
    assert_eq!(watcher.probes(), []);
    assert_eq!(
        watcher.contacts(),
        [(HOST, SITE, Proto::Udp, 443), (HOST, POOL, Proto::Udp, 443), (LATER, SITE, Proto::Udp, 443)]
    );

    // Counter-example: the same server at a port that the client never used.
    let elsewhere = udp(&world.host, HOST, 50_002);
    say(&moved, &elsewhere);
    assert_eq!(watcher.probes(), [(STRANGER, HOST, Kind::Udp, 50_002)]);
}

#[test]
fn a_vpn_peer_that_roams_is_no_probe_while_the_tunnel_lives() {
    let (world, mut watcher) = watched();
    // A tunnel with a keep-alive every 25 seconds, as in WireGuard, to a peer that roams.
    let (home, peer) = (udp(&world.host, HOST, 51_820), udp(&world.internet, POOL, 51_820));
    for _ in 0..14 {
        say(&home, &peer);
        say(&peer, &home);
        watcher.pass(25);
    }
    let cafe = udp(&world.internet, STRANGER, 31_337);
    say(&cafe, &home);
    for _ in 0..14 {
        say(&home, &cafe);
        say(&cafe, &home);
        watcher.pass(25);
    }
    let train = udp(&world.internet, SITE, 31_338);
    say(&train, &home);
    assert_eq!(watcher.probes(), []);
    assert_eq!(watcher.contacts(), [(HOST, POOL, Proto::Udp, 51_820)]);

    // Counter-example: after silence, a first packet from anywhere is a probe.
    watcher.pass(420);
    say(&udp(&world.internet, SCANNER, 51_820), &home);
    assert_eq!(watcher.probes(), [(SCANNER, HOST, Kind::Udp, 51_820)]);
}

#[test]
fn a_resolver_is_no_probe_and_a_late_one_no_evidence() {
    let (world, mut watcher) = watched();
    let (stub, resolver) = (udp(&world.host, HOST, 40_053), udp(&world.internet, POOL, 53));
    say(&stub, &resolver);
    say(&resolver, &stub);
    watcher.pass(290);
    say(&resolver, &stub);
    assert_eq!(watcher.probes(), []);
    watcher.pass(500);
    say(&resolver, &stub);
    assert_eq!(watcher.probes(), [(POOL, HOST, Kind::Udp, 40_053)]);
    assert_eq!(watcher.evidence(POOL), [(Kind::Udp, 40_053, Evidence::Exact, true)], "it had been contacted");

    // Counter-example: a resolver that was not asked.
    say(&udp(&world.internet, STRANGER, 53), &stub);
    assert_eq!(watcher.evidence(STRANGER), [(Kind::Udp, 40_053, Evidence::Exact, false)]);
}

#[test]
fn errors_returned_to_a_traceroute_do_not_count() {
    let (world, mut watcher) = watched();
    world.internet.set("ipv6/conf/all/forwarding", "1");
    world.internet.ip("route add 3fff:e::/32 dev net0");
    let far = "3fff:e::1".parse().unwrap();
    let socket = udp(&world.host, HOST, 0);
    // Hop 2, beyond the uplink, answers with time exceeded, and a closed port of the target with unreachable.
    hops(&socket, 2);
    socket.send_to(b"hop", (far, 33_435)).unwrap();
    watcher.look();
    hops(&socket, 64);
    socket.send_to(b"end", (SITE, 33_436)).unwrap();
    assert_eq!(watcher.contacts(), [(HOST, far, Proto::Udp, 33_435), (HOST, SITE, Proto::Udp, 33_436)]);
    assert_eq!(watcher.probes(), []);
    let came_back = world.host.inside(|| std::fs::read_to_string("/proc/thread-self/net/snmp6").unwrap());
    let count = |name: &str| {
        let line = came_back.lines().find(|line| line.split_whitespace().next() == Some(name)).expect(name);
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    assert_eq!((count("Icmp6InTimeExcds"), count("Icmp6InDestUnreachs")), (1, 1), "the errors came back");
}

#[test]
fn an_echo_request_counts_and_a_reply_does_not() {
    let (world, mut watcher) = watched();
    ping(&world.host, HOST, SITE);
    assert_eq!((watcher.contacts(), watcher.probes()), (vec![(HOST, SITE, Proto::Icmpv6, 0)], vec![]));
    ping(&world.internet, SCANNER, HOST);
    ping(&world.internet, SITE, HOST);
    assert_eq!(watcher.probes(), [(SCANNER, HOST, Kind::Echo, 0), (SITE, HOST, Kind::Echo, 0)]);
    assert_eq!(watcher.evidence(SCANNER), [(Kind::Echo, 0, Evidence::Exact, false)]);
    assert_eq!(watcher.evidence(SITE), [(Kind::Echo, 0, Evidence::Exact, true)], "it had been contacted");
    assert_eq!(watcher.contacts().len(), 1, "replies are no contacts");
}

#[test]
fn the_programs_forget_a_remote_and_keep_the_rest() {
    let (world, mut watcher) = watched();
    let [ours, other] = [(HOST, 40_000), (HOST, 40_001)].map(|(local, port)| udp(&world.host, local, port));
    let (site, pool) = (udp(&world.internet, SITE, 443), udp(&world.internet, POOL, 123));
    say(&ours, &site);
    say(&other, &pool);
    say(&udp(&world.internet, SCANNER, 5), &udp(&world.host, HOST, 53));
    assert_eq!((watcher.contacts().len(), watcher.probes().len()), (2, 1));

    let entries = |watcher: &Watcher| {
        let mut found = Vec::new();
        let removed = watcher.memory().remove(&mut |entry| {
            found.push((entry.local, entry.remote));
            false
        });
        assert_eq!(removed.unwrap(), 0);
        found
    };
    let of = |found: &[(Ipv6Addr, Option<Ipv6Addr>)], remote| found.iter().filter(|entry| entry.1 == remote).count();
    let before = entries(&watcher);
    assert!(before.iter().all(|entry| entry.0 == HOST));
    // A flow and a pair for each remote, the inbound exchange, two ports, and the local.
    assert_eq!([SITE, POOL].map(|remote| of(&before, Some(remote))), [2, 2]);
    assert!(of(&before, Some(SCANNER)) > 0 && of(&before, None) == 3, "{before:?}");

    assert_eq!(watcher.memory().remove(&mut |entry| entry.remote == Some(SITE)).unwrap(), 2);
    let after = entries(&watcher);
    assert_eq!((of(&after, Some(SITE)), after.len()), (0, before.len() - 2));
    // The programs still work, and the contact is new again.
    say(&ours, &site);
    say(&other, &pool);
    assert_eq!(watcher.matched(What::Contact), 3);
    assert_eq!(watcher.memory().remove(&mut |entry| entry.local == HOST).unwrap(), before.len());
    assert_eq!(entries(&watcher), []);
}
