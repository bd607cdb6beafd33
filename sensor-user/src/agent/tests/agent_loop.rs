//! The loop: what it does beside the drain.

use std::future::pending;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::thread::sleep;
use std::time::{Duration, Instant};

use futures_util::stream;
use sensor_common::wire::{BootTime, Event, What};
use sensor_common::{Kind, Proto};
use tattler_core::home::{InterfaceAddress, NetworkDevice, NetworkState, News, Route};
use tattler_core::ledger::Ledger;
use tattler_core::time::{Span, Time};
use tokio::sync::mpsc;

use super::super::clock::ClockReading;
use super::super::intake::{Sensor, watch};
use super::{FakePrograms, sensor, settings};
use crate::mark::Mark;
use crate::netlink::{Neighbour, NeighbourNews};
use crate::store::{self, Store};

const SECOND: BootTime = 1_000_000_000;
const ORIGIN: Time = Time::from_seconds(1_790_000_000);
const LOCAL: &str = "2001:db8:42:1::5";

fn store_settings() -> store::StoreSettings {
    store::StoreSettings { clock: || ORIGIN, latency: Duration::from_millis(1), ..store::StoreSettings::default() }
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
    let dir = tempfile::tempdir().unwrap();
    let now = || ClockReading { boot: SECOND, wall: ORIGIN + Span::from_seconds(1), took: Span(1) };
    let (mut sensor, shared) = sensor(settings(dir.path(), store_settings()), ORIGIN, now);
    sensor.start(&network(true)).unwrap();
    let contact = event(What::Contact, Proto::Tcp as u8, SECOND);
    sensor.programs().waiting.extend([contact; 5]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ended = runtime.block_on(async {
        // Neither of the two lists ever ends, as with a full routing table that changes all the time.
        let (network, all_neighbours) = (async || pending().await, async || pending().await);
        let changes = stream::iter([News::Changed]).chain_pending();
        let neighbours = stream::iter([NeighbourNews::Missed]).chain_pending();
        let (_nobody, reloads) = mpsc::channel(1);
        // Long enough for the lists to be asked for, and for the loop's next look at the counters.
        let shutdown = tokio::time::sleep(Duration::from_millis(1_200));
        let watched = watch(&mut sensor, network, all_neighbours, changes, neighbours, reloads, shutdown);
        tokio::time::timeout(Duration::from_secs(60), watched).await
    });
    assert!(ended.is_ok(), "the loop waits for a list");
    assert_eq!(shared.ledger().contacts().len(), 1);
    assert_eq!(shared.view().drained, 5);
}

#[test]
fn observations_around_a_step_of_the_clock_are_in_the_rebuilt_ledger_once() {
    static STEP: AtomicI64 = AtomicI64::new(0);
    const HOUR: Span = Span::from_seconds(3_600);
    let look = || ClockReading { boot: SECOND, wall: ORIGIN + Span(STEP.load(Relaxed) + 1_000_000), took: Span(1) };
    let dir = tempfile::tempdir().unwrap();
    let (mut sensor, shared) = sensor(settings(dir.path(), store_settings()), ORIGIN, look);
    sensor.start(&network(true)).unwrap();
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
        sleep(Duration::from_millis(100));
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
    let (mut sensor, shared) = sensor(settings(dir.path(), store_settings()), ORIGIN, now);
    let set = |seconds: u64| BOOT.store(seconds * SECOND, Relaxed);
    let udp = |port, seconds: u64| Event { local_port: port, ..event(What::Probe, Kind::Udp as u8, seconds * SECOND) };
    let mark = || Store::open(dir.path()).unwrap().mark().unwrap().map(|mark: Mark| mark.since / SECOND);
    set(10);
    sensor.start(&network(true)).unwrap();
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

#[test]
fn a_dump_of_an_excluded_devices_neighbours_leaves_the_ledger_alone_and_deletes_what_was_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let now = || ClockReading { boot: SECOND, wall: ORIGIN + Span::from_seconds(1), took: Span(1) };
    let mut settings = settings(dir.path(), store_settings());
    settings.keep_mac = true;
    settings.exclusions.devices = vec!["02:00:00:00:00:09".into()];
    let (mut sensor, shared) = sensor(settings, ORIGIN, now);
    sensor.start(&network(true)).unwrap();
    let address = |n: u16| std::net::Ipv6Addr::new(0x2001, 0xdb8, 0x42, 1, 0, 0, 0, n);
    let neighbour = |n| Neighbour { device: 3, address: address(n), mac: [2, 0, 0, 0, 0, 9] };
    // Deletions are done on another thread.
    let wait = |sensor: &mut Sensor<FakePrograms>, until: &dyn Fn() -> bool| {
        for _ in 0..5_000 {
            drain(sensor, []);
            if until() {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        panic!("nothing is deleted");
    };
    sensor.learn(&(100..200).map(neighbour).collect::<Vec<_>>());
    // The deletion that was started first is done first.
    drain(&mut sensor, []);
    shared.diary.as_ref().unwrap().with(|_| ()).unwrap();
    wait(&mut sensor, &|| !shared.is_forgetting());
    assert_eq!(shared.ledger().revision().forgotten, 0, "nothing was recorded of these");

    // A contact before its neighbour is known, and one after.
    drain(&mut sensor, [event(What::Contact, Proto::Tcp as u8, SECOND)]);
    assert_eq!(shared.ledger().contacts().len(), 1);
    sensor.learn(&[neighbour(5)]);
    drain(&mut sensor, [event(What::Contact, Proto::Udp as u8, SECOND)]);
    wait(&mut sensor, &|| shared.ledger().contacts().is_empty());
    let (_, writer, _) = sensor.stop();
    assert_eq!(writer.finish().lost, 0);
    let mut rows = 0;
    Store::open(dir.path()).unwrap().replay(Time(i64::MIN), &mut |_| rows += 1).unwrap();
    assert_eq!(rows, 0);
}

/// Streams that never end.
trait ChainPending: futures_util::Stream + Sized {
    fn chain_pending(self) -> impl futures_util::Stream<Item = Self::Item> + Unpin {
        futures_util::StreamExt::chain(Box::pin(self), stream::pending())
    }
}

impl<S: futures_util::Stream> ChainPending for S {}
