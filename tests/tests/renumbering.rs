//! The provider replaces a prefix while contacts and probes run at a known rate. Each is recorded if its prefix is home at
//! that time, and not otherwise. Runs as root.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tests::eventually;
use tests::frames::syn;
use tests::namespace::Namespace;
use tests::sensor::{Sensor, WAN0};
use tests::stored::Stored;
use tests::traffic::{Wire, ping};
use tests::world::{HOST, ROUTER, SCANNER, SITE, UPLINK, World};

/// The host's address and the router's in the new prefix.
const RENEWED: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x43, 1, 0xe014, 0x9aff, 0x5e49, 0xecb3);
const GATEWAY: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x43, 1, 0, 0, 0, 1);
/// Between two numbers of a stream.
const RATE: Duration = Duration::from_millis(10);
/// The port of number 0.
const FIRST_PORT: u16 = 10_000;
/// Time limits until a new prefix is home, and until a removed one no longer is. The sensor waits before it drops one.
const COMES: Duration = Duration::from_millis(150);
const GOES: Duration = Duration::from_millis(600);

/// Sends numbered SYNs from or to both of the host's addresses until `stop`. Returns the time of each number.
fn stream(wire: &Wire, stop: &AtomicBool, frames: impl Fn(usize) -> [Vec<u8>; 2]) -> Vec<Instant> {
    let (start, mut sent) = (Instant::now(), Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let due = start + RATE * sent.len() as u32;
        sleep(due.saturating_duration_since(Instant::now()));
        let frames = frames(sent.len());
        sent.push(Instant::now());
        frames.iter().for_each(|frame| wire.send(frame));
    }
    sent
}

/// Intervals of numbers without a gap: first and last.
fn intervals(numbers: &BTreeSet<usize>) -> Vec<(usize, usize)> {
    let mut found: Vec<(usize, usize)> = Vec::new();
    for &number in numbers {
        match found.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => found.push((number, number)),
        }
    }
    found
}

/// The time when a prefix was home: from the end of the command that added it to the start of the one that removed it.
struct Home(Option<Instant>, Option<Instant>);

/// Checks that exactly the numbers of a stream are recorded that were sent while its prefix was home, but for the delay of
/// the sensor, which is printed.
#[track_caller]
fn check(what: &str, sent: &[Instant], recorded: &BTreeSet<usize>, home: &[Home]) {
    let found = intervals(recorded);
    let times: Vec<String> = found.iter().map(|&(a, b)| format!("{a} to {b}")).collect();
    println!("{what}: {} of {} recorded: {}", recorded.len(), sent.len(), times.join(", "));
    assert_eq!(found.len(), home.len(), "{what}: as many spans without a gap as the prefix was there: {found:?}");
    for (&(first, last), Home(from, to)) in found.iter().zip(home) {
        match from {
            None => assert_eq!(first, 0, "{what}: home from the start"),
            Some(from) => {
                let late = sent[first].saturating_duration_since(*from);
                println!("{what}: came {:.0} ms after", late.as_secs_f64() * 1e3);
                assert!(sent[first] + RATE * 2 >= *from && late < COMES, "{what}: {late:?}");
            }
        }
        match to {
            None => assert_eq!(last, sent.len() - 1, "{what}: home to the end"),
            Some(to) => {
                let late = sent[last].saturating_duration_since(*to);
                println!("{what}: went {:.0} ms after", late.as_secs_f64() * 1e3);
                assert!(sent[last] + RATE * 2 >= *to && late < GOES, "{what}: {late:?}");
            }
        }
    }
}

/// The numbers of a local's contacts, and of its probes.
fn recorded(state: &Path, local: Ipv6Addr) -> [BTreeSet<usize>; 2] {
    let stored = Stored::read(state);
    let number = |port: u16| usize::from(port - FIRST_PORT);
    let contacts = stored.contacts.iter().filter(|row| row.0 == local && row.1 == SITE && row.3 >= FIRST_PORT);
    let probes = stored.probes.iter().filter(|row| row.1 == local && row.0 == SCANNER);
    [contacts.map(|row| number(row.3)).collect(), probes.map(|row| number(row.3)).collect()]
}

/// Changes an address of the router. Returns the times when that began and ended.
fn change(router: &Namespace, words: &str) -> (Instant, Instant) {
    let began = Instant::now();
    router.ip(words);
    (began, Instant::now())
}

#[test]
fn renumbering_under_traffic_counts_each_packet_for_its_prefix() {
    let (world, state) = (World::new(), TempDir::new().unwrap());
    let World { host, router, internet } = &world;
    // The provider routes both prefixes all the time. The router decides which is home.
    internet.ip(&format!("route add 2001:db8:43::/48 via {UPLINK}"));
    host.ip(&format!("address add {RENEWED}/64 dev eth0 nodad"));
    let inside = (Wire::open(host, "eth0"), (host.mac("eth0"), router.mac("lan0")));
    let outside = (Wire::open(internet, "net0"), (internet.mac("net0"), router.mac("wan0")));
    let sensor = Sensor::start(router, state.path(), &WAN0);
    // The site learns the old address before any probe.
    ping(host, HOST, SITE);
    sensor.wait_for("contact", 1);
    // A hop limit of three: packets must not loop between a provider and a router without a route.
    let stop = AtomicBool::new(false);
    let (mut old, mut new) = (Home(None, None), Vec::new());
    let (contacts, probes) = thread::scope(|scope| {
        let contacts = scope.spawn(|| {
            stream(&inside.0, &stop, |n| {
                [HOST, RENEWED].map(|local| syn(inside.1, local, SITE, 3, FIRST_PORT + n as u16))
            })
        });
        let probes = scope.spawn(|| {
            stream(&outside.0, &stop, |n| {
                [HOST, RENEWED].map(|local| syn(outside.1, SCANNER, local, 3, FIRST_PORT + n as u16))
            })
        });
        sleep(Duration::from_millis(1_500));
        // A new prefix.
        old.1 = Some(change(router, &format!("address del {ROUTER}/64 dev lan0")).0);
        let came = change(router, &format!("address add {GATEWAY}/64 dev lan0 nodad")).1;
        sleep(Duration::from_millis(2_000));
        // An uplink that flaps: the prefix is removed and added again a second later.
        let went = change(router, &format!("address del {GATEWAY}/64 dev lan0")).0;
        new.push(Home(Some(came), Some(went)));
        sleep(Duration::from_millis(1_000));
        let came = change(router, &format!("address add {GATEWAY}/64 dev lan0 nodad")).1;
        new.push(Home(Some(came), None));
        sleep(Duration::from_millis(1_500));
        // Removed and added at once: that makes no gap.
        router.ip(&format!("address del {GATEWAY}/64 dev lan0"));
        router.ip(&format!("address add {GATEWAY}/64 dev lan0 nodad"));
        sleep(Duration::from_millis(1_500));
        stop.store(true, Ordering::Relaxed);
        (contacts.join().unwrap(), probes.join().unwrap())
    });
    sleep(Duration::from_millis(200));
    for what in ["contact", "probe"] {
        let [matched, recorded, ..] = sensor.fates(what);
        assert_eq!(matched, recorded, "{what}s");
    }
    let status = eventually("two locals", || Some(sensor.status()).filter(|status| status["locals"] == 2));
    let home: Vec<&str> = status["home"].as_array().unwrap().iter().filter_map(|home| home.as_str()).collect();
    assert!(home.contains(&"2001:db8:43:1::/64") && !home.contains(&"2001:db8:42:1::/64"), "{home:?}");
    // The site is still accused by what followed visits of both addresses.
    for local in [HOST, RENEWED] {
        assert!(!sensor.followed(SITE, local).is_empty(), "visits of {local} and what followed");
    }
    let suspects = sensor.suspects();
    assert_eq!(suspects["candidates"][0]["members"], serde_json::json!([SITE.to_string()]));
    assert!(suspects["candidates"][0]["explained_locals"].as_u64() >= Some(1), "{suspects}");
    sensor.stop();

    let of_old = recorded(state.path(), HOST);
    let of_new = recorded(state.path(), RENEWED);
    check("contacts of the old prefix", &contacts, &of_old[0], &[Home(old.0, old.1)]);
    check("probes of the old prefix", &probes, &of_old[1], &[Home(old.0, old.1)]);
    check("contacts of the new prefix", &contacts, &of_new[0], &new);
    check("probes of the new prefix", &probes, &of_new[1], &new);
}
