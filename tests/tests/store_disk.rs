//! A disk that is full, refuses, fails or stalls costs no event while there is room in memory, then
//! counted ones, and never a stalled ring; and it is said, once. Runs as root, on file systems of its own.

use std::net::Ipv6Addr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use etherparse::PacketBuilder;
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;
use tests::disk::Disk;
use tests::programs::{succeed, tattler};
use tests::sensor::{Sensor, fails};
use tests::traffic::{Wire, curl, ping, web_site};
use tests::world::{HOST, SCANNER, SITE, World};
use tests::{eventually, within};

const WAN0: [&str; 2] = ["--interface", "wan0"];
/// Observations that wait in memory at most.
const CAPACITY: u64 = 100_000;

/// A contact of the host, so that probes of it have no budget.
fn visit(world: &World) {
    let site = web_site(&world.internet, SITE, 80);
    curl(&world.host, SITE, 80);
    site.join().unwrap();
}

/// SYNs to different ports of the host, each an event of its own.
struct Scan {
    wire: Wire,
    from: [u8; 6],
    to: [u8; 6],
    sent: u32,
}

impl Scan {
    fn new(world: &World) -> Scan {
        let wire = Wire::open(&world.internet, "net0");
        Scan { wire, from: world.internet.mac("net0"), to: world.router.mac("wan0"), sent: 0 }
    }

    fn send(&mut self, count: u32) {
        for _ in 0..count {
            self.sent += 1;
            let source = Ipv6Addr::from_bits(SCANNER.to_bits() + 0x1000 + u128::from(self.sent >> 15));
            let step = PacketBuilder::ethernet2(self.from, self.to).ipv6(source.octets(), HOST.octets(), 50);
            let step = step.tcp(40_000, (self.sent & 0x7fff) as u16 + 1, 1, 1_024).syn();
            let mut frame = Vec::with_capacity(step.size(0));
            step.write(&mut frame, &[]).expect("a frame");
            self.wire.send(&frame);
        }
    }
}

fn metric(page: &str, name: &str) -> u64 {
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in\n{page}")).parse().expect("a number")
}

fn lines(sensor: &Sensor<'_>, words: &str) -> usize {
    sensor.log().lines().filter(|line| line.contains(words)).count()
}

/// Rows that a sensor which has ended left.
fn rows(state: &Path, table: &str) -> u64 {
    let database = Connection::open_with_flags(state.join("tattler.db"), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let whole: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(whole, "ok");
    let count: u32 = database.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
    count.into()
}

/// All that the kernel recorded has been taken out of the ring.
fn ring_is_drained(sensor: &Sensor<'_>) {
    eventually("the ring is drained", || {
        let page = sensor.metrics();
        let fate =
            |what: &str, fate: &str| metric(&page, &format!("tattler_events_total{{fate=\"{fate}\",what=\"{what}\"}}"));
        assert_eq!(fate("probe", "lost"), 0);
        let recorded = ["contact", "probe", "answer"].map(|what| fate(what, "recorded")).iter().sum::<u64>();
        (metric(&page, "tattler_ring_events_total") == recorded).then_some(())
    });
}

/// The sensor can't write, and says so; it goes on and answers. Sees ten more probes.
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
    let page = sensor.metrics();
    assert_eq!(metric(&page, "tattler_store_failing"), 1);
    // And what is told again of a local whose device became known.
    let queued = metric(&page, "tattler_store_queued_observations");
    assert!((10..13).contains(&queued), "{queued}");
    assert_eq!(metric(&page, "tattler_store_observations_total{result=\"lost\"}"), 0);
    eventually("several attempts failed", || {
        (metric(&sensor.metrics(), "tattler_store_failed_writes_total") > 3).then_some(())
    });
    let status = sensor.status();
    assert_eq!((&status["stored"], status["probes"].as_u64().unwrap()), (&stored, known + 10), "in memory it is known");
    assert!(status["store_failure"].as_str().unwrap().contains(why), "{status}");
    let mut ask = Command::new(tattler());
    ask.args(["probes", "--format", "json", "--socket"]).arg(sensor.socket());
    assert!(succeed(&mut ask).contains("\"rows\""), "the diary can be read");
}

#[track_caller]
fn has_recovered(sensor: &Sensor<'_>, times: usize) {
    eventually("it writes again", || (sensor.get("/healthz").0 == 200).then_some(()));
    let page = sensor.metrics();
    assert_eq!(metric(&page, "tattler_store_queued_observations"), 0);
    assert_eq!(metric(&page, "tattler_store_observations_total{result=\"lost\"}"), 0);
    assert_eq!(lines(sensor, "observations are kept in memory while there is room"), times, "{}", sensor.log());
    assert_eq!(lines(sensor, "the store can be written again"), times, "{}", sensor.log());
}

#[test]
fn a_full_disk_loses_nothing_while_memory_has_room() {
    let disk = Disk::memory("4m");
    let world = World::new();
    let sensor = Sensor::start(&world.router, &disk.state(), &WAN0);
    let mut scan = Scan::new(&world);
    visit(&world);
    eventually("it is stored", || (sensor.status()["stored"].as_u64() >= Some(1)).then_some(()));
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
    let sensor = Sensor::start(&world.router, &disk.state(), &WAN0);
    let mut scan = Scan::new(&world);
    visit(&world);
    eventually("it is stored", || (sensor.status()["stored"].as_u64() >= Some(1)).then_some(()));
    for file in ["tattler.db", "tattler.db-wal"] {
        disk.refuse(&disk.state().join(file), true);
    }
    goes_on_without_its_disk(&sensor, &mut scan, "cannot write to ");
    for file in ["tattler.db", "tattler.db-wal"] {
        disk.refuse(&disk.state().join(file), false);
    }
    has_recovered(&sensor, 1);
    // The kernel takes the file system for broken, and makes it read-only under the sensor.
    disk.fail();
    goes_on_without_its_disk(&sensor, &mut scan, "cannot write to ");
    let log = {
        let mut sensor = sensor;
        let status = sensor.end(libc::SIGTERM);
        assert_eq!(status.code(), Some(0), "{}", sensor.log());
        sensor.log()
    };
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
    visit(&world);
    eventually("it is stored", || (sensor.status()["stored"].as_u64() >= Some(1)).then_some(()));
    let stalled = disk.stall();
    let begin = Instant::now();
    // More than memory takes, as fast as a busy ring may fill.
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
    let figures = || {
        let page = sensor.metrics();
        let result = |result: &str| metric(&page, &format!("tattler_store_observations_total{{result=\"{result}\"}}"));
        (result("written"), result("lost"), metric(&page, "tattler_store_queued_observations"))
    };
    let (written, lost, queued) = figures();
    assert!(lost >= 15_000 && queued <= CAPACITY, "{written} {lost} {queued}");
    let more = (written + lost + queued).checked_sub(u64::from(scan.sent));
    assert!(more.is_some_and(|more| (1..4).contains(&more)), "all are accounted for: {more:?}");
    println!("{} events in {:.1?} of a stalled disk: {queued} wait, {lost} lost", scan.sent, begin.elapsed());
    // Memory answers.
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
    // The socket is elsewhere, as it is where it is not named: to remove it takes a disk that answers.
    let place = TempDir::new().expect("make a directory");
    let mut run = Command::new(tattler());
    run.args(["run", "--interface", "wan0", "--state"]).arg(disk.state());
    run.arg("--socket").arg(place.path().join("tattler.sock"));
    let mut sensor = Sensor::started(world.router.command(&run), &world.router, place.path());
    visit(&world);
    eventually("it is stored", || (sensor.status()["stored"].as_u64() >= Some(1)).then_some(()));
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
    // Its last thread waits in the kernel, where no signal reaches it.
    drop(stalled);
    let status = sensor.end(libc::SIGTERM);
    assert_eq!(status.code(), Some(0), "{}", sensor.log());
}
