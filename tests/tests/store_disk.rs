//! With a disk that is full, refuses, fails or stalls, the sensor loses no event while memory has room, then counts the
//! lost ones. It always drains the ring, and logs the failure once. Runs as root, on its own file systems.

use std::net::Ipv6Addr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;
use tests::disk::Disk;
use tests::frames::syn;
use tests::programs::tattler;
use tests::sensor::{Sensor, WAN0, fails};
use tests::traffic::{Wire, ping, visit};
use tests::world::{HOST, SCANNER, SITE, World};
use tests::{eventually, within};

/// The most observations that wait in memory.
const CAPACITY: u64 = 100_000;
const LOST: &str = "tattler_store_observations_total{result=\"lost\"}";

/// SYNs to different ports of the host, each an event of its own.
struct Scan {
    wire: Wire,
    macs: ([u8; 6], [u8; 6]),
    sent: u32,
}

/// Lets the sensor store a contact of the host, so that probes of it have no budget.
#[track_caller]
fn has_seen(sensor: &Sensor<'_>, world: &World) {
    visit(world, SITE, 80);
    sensor.wait_stored(1);
}

impl Scan {
    fn new(world: &World) -> Scan {
        let wire = Wire::open(&world.internet, "net0");
        Scan { wire, macs: (world.internet.mac("net0"), world.router.mac("wan0")), sent: 0 }
    }

    fn send(&mut self, count: u32) {
        for _ in 0..count {
            self.sent += 1;
            let source = Ipv6Addr::from_bits(SCANNER.to_bits() + 0x1000 + u128::from(self.sent >> 15));
            self.wire.send(&syn(self.macs, source, HOST, 50, (self.sent & 0x7fff) as u16 + 1));
        }
    }
}

fn lines(sensor: &Sensor<'_>, words: &str) -> usize {
    sensor.log().lines().filter(|line| line.contains(words)).count()
}

/// The number of rows in the database of a sensor that has ended.
fn rows(state: &Path, table: &str) -> u64 {
    let database = Connection::open_with_flags(state.join("tattler.db"), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let whole: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(whole, "ok");
    let count: u32 = database.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
    count.into()
}

/// Waits until all recorded events are taken out of the ring.
fn ring_is_drained(sensor: &Sensor<'_>) {
    eventually("the ring is drained", || {
        let drained = sensor.metric("tattler_ring_events_total");
        let fates = ["contact", "probe", "answer"].map(|what| sensor.fates(what));
        assert_eq!(fates[1][3], 0, "lost probes");
        (drained == fates.iter().map(|fates| fates[1]).sum::<u64>()).then_some(())
    });
}

/// Checks that the sensor reports that it can't write, still answers, and sees ten more probes.
#[track_caller]
fn goes_on_without_its_disk(sensor: &Sensor<'_>, scan: &mut Scan, why: &str) {
    let (status, before) = (sensor.status(), scan.sent);
    let (stored, known) = (status["stored"].clone(), status["probes"].as_u64().unwrap());
    for _ in 0..10 {
        scan.send(1);
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(scan.sent - before, 10);
    ring_is_drained(sensor);
    eventually("it fails", || (sensor.get("/healthz").0 == 503).then_some(()));
    let (_, said) = sensor.get("/healthz");
    assert!(said.starts_with("the store can't write: ") && said.contains(why), "{said}");
    assert_eq!(sensor.metric("tattler_store_failing"), 1);
    // More than ten if the host's device becomes known, after which its contact is stored again.
    let queued = sensor.metric("tattler_store_queued_observations");
    assert!((10..13).contains(&queued), "{queued}");
    assert_eq!(sensor.metric(LOST), 0);
    eventually("several attempts failed", || (sensor.metric("tattler_store_failed_writes_total") > 3).then_some(()));
    let status = sensor.status();
    assert_eq!((&status["stored"], status["probes"].as_u64().unwrap()), (&stored, known + 10), "in memory it is known");
    assert!(status["store_failure"].as_str().unwrap().contains(why), "{status}");
    // Queries can still read the store.
    sensor.rows(&["probes"]);
}

#[track_caller]
fn has_recovered(sensor: &Sensor<'_>, times: usize) {
    eventually("it writes again", || (sensor.get("/healthz").0 == 200).then_some(()));
    assert_eq!(sensor.metric("tattler_store_queued_observations"), 0);
    assert_eq!(sensor.metric(LOST), 0);
    assert_eq!(lines(sensor, "observations are kept in memory while there is room"), times, "{}", sensor.log());
    assert_eq!(lines(sensor, "the store can be written again"), times, "{}", sensor.log());
}

#[test]
fn a_full_disk_loses_nothing_while_memory_has_room() {
    let disk = Disk::memory("4m");
    let world = World::new();
    let sensor = Sensor::start(&world.router, &disk.state(), &WAN0);
    let mut scan = Scan::new(&world);
    has_seen(&sensor, &world);
    for time in 1..=2 {
        disk.fill();
        goes_on_without_its_disk(&sensor, &mut scan, "no room is left for ");
        disk.free();
        has_recovered(&sensor, time);
    }
    sensor.stop();
    assert_eq!((rows(&disk.state(), "contacts"), rows(&disk.state(), "probes")), (1, 20));
}

#[test]
fn a_disk_that_refuses_or_fails_does_not_end_the_sensor() {
    let disk = Disk::ext4(24 << 20);
    let world = World::new();
    let mut sensor = Sensor::start(&world.router, &disk.state(), &WAN0);
    let mut scan = Scan::new(&world);
    has_seen(&sensor, &world);
    let refuse = |refuse| {
        ["tattler.db", "tattler.db-wal"].iter().for_each(|file| disk.refuse(&disk.state().join(file), refuse));
    };
    refuse(true);
    goes_on_without_its_disk(&sensor, &mut scan, "cannot write to ");
    refuse(false);
    has_recovered(&sensor, 1);
    // After an error of the file system the kernel makes it read-only.
    disk.fail();
    goes_on_without_its_disk(&sensor, &mut scan, "cannot write to ");
    let status = sensor.end(libc::SIGTERM);
    let log = sensor.log();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(
        log.contains("observations that the store did not take: cannot write to ") && log.contains("lost=1"),
        "{log}"
    );
    assert_eq!(rows(&disk.state(), "probes"), 10);
}

#[test]
fn a_read_only_state_directory_is_reported_in_one_line() {
    let disk = Disk::memory("1m");
    let world = World::new();
    disk.read_only();
    let words = ["cannot use the state directory", "read-only file system", "name another with --state"];
    let mut run = Command::new(tattler());
    run.args(["run", "--interface", "wan0", "--state"]).arg(disk.state()).args(["--socket", "/run/tattler-test.sock"]);
    fails(&mut world.router.command(&run), 1, &words);
}

#[test]
fn a_disk_that_stalls_loses_counted_events_and_no_ring() {
    let disk = Disk::ext4(64 << 20);
    let world = World::new();
    let sensor = Sensor::start(&world.router, &disk.state(), &WAN0);
    let mut scan = Scan::new(&world);
    has_seen(&sensor, &world);
    let stalled = disk.stall();
    let begin = Instant::now();
    // More events than memory takes, as fast as a busy ring may fill.
    while u64::from(scan.sent) < CAPACITY + 20_000 {
        scan.send(8_000);
        ring_is_drained(&sensor);
    }
    eventually("the stall is seen", || (sensor.get("/healthz").0 == 503).then_some(()));
    eventually("it says so", || {
        (lines(&sensor, "the store can't write: the disk has not answered") == 1).then_some(())
    });
    let (_, said) = sensor.get("/healthz");
    assert!(said.starts_with("the store can't write: the disk has not answered for "), "{said}");
    let written = "tattler_store_observations_total{result=\"written\"}";
    let figures = || {
        let metrics = [written, LOST, "tattler_store_queued_observations"].map(|name| sensor.metric(name));
        (metrics[0], metrics[1], metrics[2])
    };
    let (written, lost, queued) = figures();
    assert!(lost >= 15_000 && queued <= CAPACITY, "{written} {lost} {queued}");
    let more = (written + lost + queued).checked_sub(u64::from(scan.sent));
    assert!(more.is_some_and(|more| (1..4).contains(&more)), "all are accounted for: {more:?}");
    println!("{} events in {:.1?} of a stalled disk: {queued} wait, {lost} lost", scan.sent, begin.elapsed());
    // Answers from memory still work.
    assert_eq!(sensor.status()["probes"], scan.sent);
    drop(stalled);
    within(30, "all that waited is written", || (figures().2 == 0).then_some(()));
    eventually("it is well", || (sensor.get("/healthz").0 == 200).then_some(()));
    assert_eq!((figures().0, figures().1), (written + queued, lost), "not one more is lost");
    eventually("it says so", || (lines(&sensor, "the store takes all observations again") == 1).then_some(()));
    for words in [
        "the store can't write: the disk has not answered for ",
        "the disk of the store answers again",
        "no room is left to keep observations in memory",
    ] {
        assert_eq!(lines(&sensor, words), 1, "{words}: {}", sensor.log());
    }
    sensor.stop();
    assert_eq!(rows(&disk.state(), "probes"), u64::from(scan.sent) - lost);
}

#[test]
fn a_sensor_stops_though_its_disk_does_not_answer() {
    let disk = Disk::ext4(24 << 20);
    let world = World::new();
    // The socket is on another disk, as it is by default: to remove it, its disk must answer.
    let place = TempDir::new().expect("make a directory");
    let mut run = Command::new(tattler());
    run.args(["run", "--interface", "wan0", "--state"]).arg(disk.state());
    run.arg("--socket").arg(place.path().join("tattler.sock"));
    let mut sensor = Sensor::started(world.router.command(&run), &world.router, place.path());
    has_seen(&sensor, &world);
    let stalled = disk.stall();
    ping(&world.internet, SCANNER, HOST);
    sensor.wait_for("probe", 1);
    sensor.signal(libc::SIGTERM);
    within(15, "it says what is lost", || {
        let log = sensor.log();
        log.contains("the store did not take: the disk did not take the last observations within 10 s").then_some(())
    });
    eventually("it says that it stopped", || sensor.log().contains("stopped").then_some(()));
    assert!(sensor.log().contains("lost=2"), "{}", sensor.log());
    assert_eq!(world.router.attached("wan0"), Default::default());
    // Its last thread waits in the kernel, where signals have no effect.
    drop(stalled);
    let status = sensor.end(libc::SIGTERM);
    assert_eq!(status.code(), Some(0), "{}", sensor.log());
}
