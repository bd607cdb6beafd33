//! What the loop does next to draining the ring.

use std::future::pending;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use sensor_common::wire::{BootTime, Event, What};
use sensor_common::{Kind, Proto};
use tattler_core::home::{InterfaceAddress, NetworkDevice, NetworkState, News, Route};
use tattler_core::ledger::Ledger;
use tattler_core::time::{Span, Time};
use tokio::sync::mpsc;

use super::super::clock::ClockReading;
use super::super::intake::{Sensor, watch};
use super::super::state::Shared;
use super::{FakePrograms, sensor, settings};
use crate::netlink::NeighbourNews;
use crate::store::{self, Store};

const SECOND: BootTime = 1_000_000_000;
const ORIGIN: Time = Time::from_seconds(1_790_000_000);
const LOCAL: &str = "2001:db8:42:1::5";

/// A sensor that watches its uplink.
fn started(dir: &Path, look: fn() -> ClockReading) -> (Sensor<FakePrograms>, Arc<Shared>) {
    let (clock, latency) = (|| ORIGIN, Duration::from_millis(1));
    let store = store::StoreSettings { clock, latency, ..store::StoreSettings::default() };
    let (mut sensor, shared) = sensor(settings(dir, store), ORIGIN, look);
    sensor.start(&network(true)).unwrap();
    (sensor, shared)
}

/// A network with an uplink that has the default route, while it is there.
fn network(has_uplink: bool) -> NetworkState {
    let device = |name: &str, index| NetworkDevice { name: name.into(), index, kind: 1 };
    let mut network = NetworkState { devices: vec![device("lan0", 3)], up: vec![2, 3], ..NetworkState::default() };
    let address = "2001:db8:42:1::1".parse().unwrap();
    network.addresses.push(InterfaceAddress { device: 3, address, prefix_len: 64, temporary: false });
    if has_uplink {
        network.devices.push(device("wan0", 2));
        network.routes.push(Route { prefix: "::/0".parse().unwrap(), device: 2, refuses: false });
    }
    network
}

fn event(what: What, number: u8, time: BootTime) -> Event {
    let octets = |text: &str| text.parse::<std::net::Ipv6Addr>().unwrap().octets();
    let (local, remote) = (octets(LOCAL), octets("2a05::53"));
    let (what, local_port, remote_port) = (what as u8, 5_353, 40_000);
    Event { time, local, remote, count: 1, local_port, remote_port, what, number, ..Event::default() }
}

fn drain(sensor: &mut Sensor<FakePrograms>, events: impl IntoIterator<Item = Event>) {
    sensor.programs().waiting.extend(events);
    while sensor.drain() > 0 {}
}

/// The ports of the probes that count as such: UDP probes of the time when ports in use are unknown do not.
fn probed(ledger: &Ledger) -> Vec<u16> {
    ledger.probes().iter().map(|probe| probe.port).collect()
}

#[test]
fn the_ring_is_drained_while_the_kernel_lists_its_tables() {
    let (done, ended) = channel();
    // On a thread of its own: a loop that waits without end never yields to a timeout.
    thread::spawn(move || {
        let dir = tempfile::tempdir().unwrap();
        let look = || ClockReading { boot: SECOND, wall: ORIGIN + Span::from_seconds(1), took: Span(1) };
        let (mut sensor, shared) = started(dir.path(), look);
        sensor.programs().waiting.extend([event(What::Contact, Proto::Tcp as u8, SECOND); 5]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            // Neither of the two lists ever ends, as with a full routing table that changes all the time.
            let (network, all_neighbours) = (async || pending().await, async || pending().await);
            let changes = stream::iter([News::Changed]).chain(stream::pending());
            let neighbours = stream::iter([NeighbourNews::Missed]).chain(stream::pending());
            let (_nobody, reloads) = mpsc::channel(1);
            // Long enough for the lists to be asked for, and for the loop's next look at the counters.
            let shutdown = tokio::time::sleep(Duration::from_millis(1_200));
            watch(&mut sensor, network, all_neighbours, changes, neighbours, reloads, shutdown).await;
        });
        let contacts = shared.ledger().contacts().len();
        let drained = shared.view().drained;
        done.send((contacts, drained)).unwrap();
    });
    let outcome = ended.recv_timeout(Duration::from_secs(60));
    assert_eq!(outcome, Ok((1, 5)), "the loop waits for a list");
}

#[test]
fn observations_around_a_step_of_the_clock_are_in_the_rebuilt_ledger_once() {
    static STEP: AtomicI64 = AtomicI64::new(0);
    const HOUR: Span = Span::from_seconds(3_600);
    let look = || ClockReading { boot: SECOND, wall: ORIGIN + Span(STEP.load(Relaxed) + 1_000_000), took: Span(1) };
    let dir = tempfile::tempdir().unwrap();
    let (mut sensor, shared) = started(dir.path(), look);
    let mut sent = 0;
    let mut send = |sensor: &mut Sensor<FakePrograms>| {
        sent += 1;
        let mut contact = event(What::Contact, Proto::Tcp as u8, SECOND);
        contact.remote_port = sent;
        drain(sensor, [contact]);
        sent
    };
    send(&mut sensor);
    {
        // This one waits for the ledger while the clock is set.
        let _query = shared.ledger();
        send(&mut sensor);
    }
    STEP.store(HOUR.0, Relaxed);
    send(&mut sensor);
    let is_rebuilt = || shared.ledger().span().is_some_and(|(first, _)| first >= ORIGIN + HOUR);
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_rebuilt() {
        assert!(Instant::now() < deadline, "the ledger is not rebuilt");
        thread::sleep(Duration::from_millis(100));
        send(&mut sensor);
    }
    let sent = send(&mut sensor);
    let ledger = shared.ledger();
    assert_eq!(ledger.contacts().iter().map(|row| row.count).collect::<Vec<_>>(), vec![1; sent.into()]);
}

#[test]
fn sight_that_was_lost_and_regained_is_a_gap() {
    static BOOT: AtomicU64 = AtomicU64::new(0);
    let now = || {
        let boot = BOOT.load(Relaxed);
        ClockReading { boot, wall: ORIGIN + Span((boot / 1_000) as i64), took: Span(1) }
    };
    let dir = tempfile::tempdir().unwrap();
    let set = |seconds: u64| BOOT.store(seconds * SECOND, Relaxed);
    let udp = |port, seconds: u64| Event { local_port: port, ..event(What::Probe, Kind::Udp as u8, seconds * SECOND) };
    let mark = || Store::open(dir.path()).unwrap().mark().unwrap().map(|mark| mark.since / SECOND);
    set(10);
    let (mut sensor, shared) = started(dir.path(), now);
    drain(&mut sensor, [udp(1, 11), udp(2, 400)]);
    assert_eq!(probed(&shared.ledger()), [2], "300 s after the start the ports in use are known");

    set(1_000);
    sensor.follow_network(&network(false));
    set(1_200);
    sensor.follow_network(&network(true));
    drain(&mut sensor, [udp(3, 1_201), udp(4, 1_600)]);
    assert_eq!(probed(&shared.ledger()), [2, 4], "ports used meanwhile are not known");
    set(2_000);
    sensor.follow_network(&network(true));
    let (_, writer, _) = sensor.stop();
    assert_eq!(writer.finish().lost, 0);
    assert_eq!(mark(), Some(1_200), "a next process must not take that for a gapless watch");
}
