//! The programs on a device and a ledger of their events, on a clock that tests can advance. Unlike `tattler run`,
//! the ledger does not leave out UDP probes for the first five minutes.

use std::net::Ipv6Addr;
use std::thread::sleep;
use std::time::Duration;

use ipnet::Ipv6Net;
use sensor_common::counters::Fate;
use sensor_common::wire::What;
use sensor_common::{Kind, Proto};
use sensor_user::datapath::{Datapath, Memory, Sizes};
use sensor_user::netlink::Netlink;
use tattler_core::event::observation;
use tattler_core::home::{self, HomePrefix, HomeSettings, NetworkState};
use tattler_core::ledger::{Ledger, LedgerSettings};
use tattler_core::time::{Span, Time};
use tattler_core::view::evidence::Evidence;
use tattler_core::view::frame::Frame;

use crate::namespace::Namespace;
use crate::world::World;

/// On a veth the programs see a packet before `send` returns, unless a kernel thread delivers it.
const PATIENCE: Duration = Duration::from_millis(50);

fn in_order<T>(rows: impl Iterator<Item = (Time, T)>) -> Vec<T> {
    let mut rows: Vec<_> = rows.collect();
    rows.sort_by_key(|row| row.0);
    rows.into_iter().map(|row| row.1).collect()
}

/// A watched device.
pub struct Watcher {
    datapath: Datapath,
    /// The observations so far.
    pub ledger: Ledger,
    shift: Span,
}

/// Reads the network of a namespace.
pub fn network(namespace: &Namespace) -> NetworkState {
    namespace.inside(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async { Netlink::connect().expect("netlink").network().await.expect("the network") })
    })
}

/// A world whose uplink is watched.
pub fn watched() -> (World, Watcher) {
    let world = World::new();
    let watcher = Watcher::new(&world.router, "wan0");
    (world, watcher)
}

impl Watcher {
    /// Watches a device of a namespace, with the home prefixes that netlink shows.
    pub fn new(namespace: &Namespace, device: &str) -> Watcher {
        Watcher::told(namespace, device, &HomeSettings::default(), &[])
    }

    /// The same with the user's home prefixes and public locals.
    pub fn told(namespace: &Namespace, device: &str, prefixes: &HomeSettings, public: &[Ipv6Net]) -> Watcher {
        let network = network(namespace);
        let uplink = network.device(device).expect("the device is there").clone();
        let home: Vec<HomePrefix> = home::home(&network, std::slice::from_ref(&uplink), prefixes);
        let datapath = namespace.inside(|| {
            let sizes = Sizes { ring_bytes: 1 << 16, entries: 4_096 };
            let mut datapath = Datapath::load(sizes, None, false).expect("load the programs, as root");
            datapath.set_home(&home).expect("tell home");
            datapath.attach(&uplink, None).expect("attach");
            datapath
        });
        let ledger = Ledger::new(LedgerSettings { public: public.to_vec(), ..LedgerSettings::default() });
        Watcher { datapath, ledger, shift: Span::from_seconds(0) }
    }

    /// Reads the network again, as the sensor does when it changes.
    pub fn follow(&mut self, namespace: &Namespace, device: &str) {
        self.look();
        let network = network(namespace);
        let uplink = network.device(device).expect("the device is there");
        let home = home::home(&network, std::slice::from_ref(uplink), &HomeSettings::default());
        self.datapath.set_home(&home).expect("tell home");
        let now = self.now();
        self.ledger.home_is(|address| home::is_home(&home, address), now);
    }

    /// Advances the clock of the programs and the ledger.
    pub fn pass(&mut self, seconds: u64) {
        self.look();
        self.datapath.age(seconds * 1_000_000_000);
        self.shift = Span(self.shift.0 + seconds as i64 * 1_000_000);
    }

    /// The entries of the kernel tables.
    pub fn memory(&self) -> Memory {
        self.datapath.memory().expect("the tables")
    }

    /// Takes in new events and returns their number.
    pub fn look(&mut self) -> usize {
        sleep(PATIENCE);
        // Only the order of times matters here.
        let booted = Time::from_seconds(1_000_000) + self.shift;
        let ledger = &mut self.ledger;
        let drained = self.datapath.drain(100_000, |event| {
            ledger.observe(&observation(&event, 0, booted).expect("an event of ours"));
        });
        assert_eq!(drained.invalid, 0);
        self.datapath.release(self.datapath.position());
        drained.events
    }

    /// Contacts: local, remote, protocol and port, in order.
    pub fn contacts(&mut self) -> Vec<(Ipv6Addr, Ipv6Addr, Proto, u16)> {
        self.look();
        let address = |id| self.ledger.address(id);
        let contacts = self.ledger.contacts().iter();
        in_order(contacts.map(|row| (row.first, (address(row.local), address(row.remote), row.proto, row.port))))
    }

    /// Probes in the ledger: source, target, kind and port, in order.
    pub fn probes(&mut self) -> Vec<(Ipv6Addr, Ipv6Addr, Kind, u16)> {
        self.look();
        let address = |id| self.ledger.address(id);
        let probes = self.ledger.probes().iter();
        in_order(probes.map(|row| (row.first, (address(row.source), address(row.target), row.kind, row.port))))
    }

    /// Events that the kernel programs counted.
    pub fn matched(&mut self, what: What) -> u64 {
        self.look();
        self.datapath.counters().expect("counters").fate(what, Fate::Matched)
    }

    /// The evidence of a source's probes, by kind and port, and whether the target had contacted it.
    pub fn evidence(&mut self, source: Ipv6Addr) -> Vec<(Kind, u16, Evidence, bool)> {
        self.look();
        let Some(id) = self.ledger.id(source) else { return Vec::new() };
        let frame = Frame::new(&self.ledger);
        let rows = self.ledger.probes().iter().filter(|row| row.source == id);
        let probes = rows.map(|row| {
            let evidence = (row.kind, row.port, Evidence::of(&frame, row), frame.is_answer_to_contact(row));
            (row.first, evidence)
        });
        in_order(probes)
    }

    /// The ledger's current time.
    pub fn now(&self) -> Time {
        self.ledger.span().map_or(Time(0), |span| span.1) + Span(1)
    }
}
