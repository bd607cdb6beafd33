//! Numbered traffic: each number is a probe and a contact, so that a missing one is noticed.

use std::net::Ipv6Addr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use etherparse::PacketBuilder;
use rusqlite::{Connection, OpenFlags, Row};

use crate::frames::{syn, written};
use crate::traffic::{Wire, ping};
use crate::world::{HOST, ROUTER, SCANNER, SITE, World};

/// The last number: the highest port.
const MOST: u16 = u16::MAX;

/// Traffic from a thread of its own. Number n is a SYN from [`SCANNER`] to port n of [`HOST`],
/// and a datagram of [`HOST`] to a remote of that number.
pub struct Numbered {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU16>,
    thread: JoinHandle<()>,
}

/// The remote that a number contacts.
pub fn remote(number: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x3fff, 0xe, 0, 0, 0, 0, 0, number)
}

impl Numbered {
    /// Sends from number 1 on, at this rate, until it is stopped or the numbers end.
    pub fn start(world: &World, per_second: u32) -> Numbered {
        let (outside, inside) = (Wire::open(&world.internet, "net0"), Wire::open(&world.host, "eth0"));
        let to_router = (world.internet.mac("net0"), world.router.mac("wan0"));
        let to_gateway = (world.host.mac("eth0"), world.router.mac("lan0"));
        // While a router resolves an address it drops most packets.
        ping(&world.host, HOST, ROUTER);
        ping(&world.host, HOST, SITE);
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU16::new(0)));
        let (stopping, counting) = (stop.clone(), sent.clone());
        let thread = thread::spawn(move || {
            let started = Instant::now();
            for number in 1..=MOST {
                if stopping.load(Relaxed) {
                    return;
                }
                let due = Duration::from_secs(1) * u32::from(number) / per_second;
                thread::sleep(due.saturating_sub(started.elapsed()));
                outside.send(&syn(to_router, SCANNER, HOST, 57, number));
                inside.send(&datagram(to_gateway, number));
                counting.store(number, Relaxed);
            }
        });
        Numbered { stop, sent, thread }
    }

    /// The last number that was sent.
    pub fn sent(&self) -> u16 {
        self.sent.load(Relaxed)
    }

    /// Stops it and returns the last number.
    pub fn stop(self) -> u16 {
        self.stop.store(true, Relaxed);
        self.thread.join().expect("the traffic ends well");
        self.sent.load(Relaxed)
    }
}

fn datagram((from, to): ([u8; 6], [u8; 6]), number: u16) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2(from, to).ipv6(HOST.octets(), remote(number).octets(), 64);
    written(|frame| builder.udp(50_000, 443).write(frame, b"numbered").expect("a frame"))
}

/// Checks that a sensor stored each of the numbers 1 to `last` once. Returns a line
/// for each that is missing or duplicated.
pub fn complaints(state: &Path, last: u16) -> Vec<String> {
    let expected = |number: usize| u32::from(number > 0 && number <= usize::from(last));
    let wrong = |what: &str, found: &[u32]| {
        let wrong = found.iter().enumerate().filter(|&(number, &count)| count != expected(number));
        wrong.map(|(number, count)| format!("{what} {number} is there {count} times")).collect::<Vec<_>>()
    };
    let (probes, contacts) = stored(state);
    [wrong("probe", &probes), wrong("contact", &contacts)].concat()
}

/// How often each number is in the database of a sensor that has ended: as a probe, as a contact.
pub fn stored(state: &Path) -> (Vec<u32>, Vec<u32>) {
    let database = Connection::open_with_flags(state.join("tattler.db"), OpenFlags::SQLITE_OPEN_READ_ONLY);
    let database = database.expect("open the database");
    let count = |sql: &str, number_of: &dyn Fn(&Row<'_>) -> Option<u16>| {
        let mut found = vec![0; usize::from(MOST) + 1];
        let mut statement = database.prepare(sql).expect(sql);
        let mut rows = statement.query([]).expect(sql);
        while let Some(row) = rows.next().expect(sql) {
            if let Some(number) = number_of(row) {
                found[usize::from(number)] += row.get::<_, u32>("count").expect("a count");
            }
        }
        found
    };
    let address = |row: &Row<'_>, name: &str| Ipv6Addr::from(row.get::<_, [u8; 16]>(name).expect("an address"));
    let port = |row: &Row<'_>| (address(row, "source") == SCANNER).then(|| row.get("port").expect("a port"));
    let contacted = |row: &Row<'_>| {
        let number = address(row, "remote").segments()[7];
        (address(row, "remote") == remote(number)).then_some(number)
    };
    (
        count("SELECT source, port, count FROM probes WHERE kind = 2", &port),
        count("SELECT remote, count FROM contacts", &contacted),
    )
}
