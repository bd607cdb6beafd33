//! Crashes of the store: a process is killed at any moment, or a log is cut or changed at any byte. Afterwards the
//! store must contain every row that was reported as written, once.
#![cfg(feature = "live")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::net::Ipv6Addr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use sensor_common::{Kind, Proto};
use sensor_user::store::{Store, StoreSettings, Writer};
use tattler_core::ack::Ack;
use tattler_core::forget::Forget;
use tattler_core::observation::{Contact, Observation, Probe};
use tattler_core::time::Time;
use tempfile::TempDir;

/// The n-th observation, a contact or a probe. The probes go to an unused address. To make room, the oldest of these
/// probes are therefore deleted first.
fn observation(n: i64) -> Observation {
    let (ts, local) = (Time(n), "2001:db8::e014:9aff:5e49:ecb3".parse().unwrap());
    // The addresses are in random order, like real addresses.
    let remote = Ipv6Addr::from_bits(0x2a00 << 112 | u128::from((n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    if n % 2 == 0 {
        let target = "2001:db8::5d2c:71ff:fe02:99a1".parse().unwrap();
        return Observation::Probe(Probe::new(ts, remote, target, Kind::Syn, 22));
    }
    Observation::Contact(Contact::new(ts, local, remote, Proto::Tcp, 443))
}

/// A lock, so that no child is started while a store is open here: between fork and exec, a child holds all open files
/// of its parent, including locks.
static FORKS: Mutex<()> = Mutex::new(());

/// The process that is killed. It prints `at N` when all observations before the N-th are written.
#[test]
#[ignore = "the tests of this file run it and kill it"]
fn works_until_it_is_killed() {
    let Ok(mode) = std::env::var("TATTLER_TEST_MODE") else { return };
    let dir = std::path::PathBuf::from(std::env::var_os("TATTLER_TEST_DIR").unwrap());
    let from: i64 = std::env::var("TATTLER_TEST_FROM").unwrap().parse().unwrap();
    let say = |at: i64| {
        println!("\nat {at}");
        std::io::stdout().flush().unwrap();
    };
    if mode == "migrate" {
        say(from);
    }
    let mut store = Store::open(&dir).unwrap();
    if mode == "replace" {
        for n in from.. {
            store.append(&[observation(n)]).unwrap();
            say(n + 1);
            store.replace_damaged(&"a test", Time(n * 1_000_000)).unwrap();
            store.tidy(Time(n * 1_000_000), sensor_user::store::RETENTION, 1 << 30).unwrap();
        }
    }
    let settings = StoreSettings { latency: Duration::from_millis(1), clock: || Time(0), ..StoreSettings::default() };
    let settings = StoreSettings { unproven_a_day: u64::MAX, ..settings };
    let most_bytes = if mode == "prune" { 3_500_000 } else { u64::MAX };
    let writer = Writer::start(store, StoreSettings { most_bytes, ..settings }).unwrap();
    let (counters, handle) = (writer.counters(), writer.handle().unwrap());
    if mode == "checkpoint" {
        let path = dir.join("tattler.db");
        thread::spawn(move || {
            let other = Connection::open(path).unwrap();
            loop {
                // The database may be busy.
                let _ = other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
            }
        });
    }
    if mode == "forget" {
        thread::spawn(move || {
            let remote = "3fff::/32".parse().unwrap();
            let ack = Ack { remote, at: Time(0), until: None, note: None };
            let what = Forget { prefix: Some(remote), ..Forget::default() };
            loop {
                let (ack, what) = (ack.clone(), what.clone());
                // This call rewrites the whole database.
                let _ = handle.with(move |store| store.acknowledge(&ack).and_then(|()| store.forget(&[what])).is_ok());
            }
        });
    }
    let mut sent = from;
    loop {
        if counters.queued() < 5_000 {
            writer.send((sent..sent + 150).map(observation).collect());
            sent += 150;
        }
        say(from + counters.written() as i64);
        thread::sleep(Duration::from_micros(300));
    }
}

/// Runs the process and kills it after `after` microseconds. Returns the last N that the process reported.
fn killed(mode: &str, dir: &Path, from: i64, after: u64) -> i64 {
    let (said, mut command) = (tempfile::tempfile().unwrap(), Command::new(std::env::current_exe().unwrap()));
    command
        .args(["--exact", "works_until_it_is_killed", "--ignored", "--nocapture"])
        .envs([("TATTLER_TEST_MODE", mode), ("TATTLER_TEST_FROM", &from.to_string())])
        .env("TATTLER_TEST_DIR", dir)
        .stdout(Stdio::piped())
        .stderr(said.try_clone().unwrap());
    let one_at_a_time = FORKS.lock();
    let mut child = command.spawn().unwrap();
    drop(one_at_a_time);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut reported = lines.filter_map(|line| line.strip_prefix("at ")?.parse::<i64>().ok());
    let first = reported.next().unwrap_or_else(|| {
        let mut text = String::new();
        (&said).rewind().and_then(|()| (&said).read_to_string(&mut text)).unwrap();
        panic!("{mode}: it did not start: {text}");
    });
    thread::sleep(Duration::from_micros(after));
    child.kill().unwrap();
    child.wait().unwrap();
    reported.last().unwrap_or(first)
}

/// Random numbers, the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// The numbers of the observations in a table. Asserts that each observation was counted once.
fn numbers(database: &Connection, sql: &str) -> Vec<i64> {
    let mut statement = database.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))).unwrap();
    rows.map(|row| {
        let (ts, count) = row.unwrap();
        assert_eq!(count, 1, "{ts} is there twice");
        ts
    })
    .collect()
}

/// Opens the store after a crash and checks its integrity. Returns the observation numbers of its contacts and probes.
fn opened(dir: &Path) -> [Vec<i64>; 2] {
    let one_at_a_time = FORKS.lock();
    drop(Store::open(dir).unwrap());
    drop(one_at_a_time);
    let database = Connection::open(dir.join("tattler.db")).unwrap();
    let whole: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(whole, "ok");
    [
        numbers(&database, "SELECT first, count FROM contacts ORDER BY first"),
        numbers(&database, "SELECT ts, count FROM probes ORDER BY ts"),
    ]
}

/// Kills the process `times` times. Returns the number of rows at the end.
fn kills(mode: &str, times: u32, longest: u64) -> usize {
    let dir = TempDir::new().unwrap();
    let mut random = Random(times.into());
    let (mut from, mut rows, mut unfinished) = (0, 0, 0);
    if mode == "prune" {
        // More rows than the limit allows, and more rows than one step of the pruning deletes.
        from = 45_000;
        let _one_at_a_time = FORKS.lock();
        Store::open(dir.path()).unwrap().append(&(0..from).map(observation).collect::<Vec<_>>()).unwrap();
    }
    for time in 0..times {
        let written = killed(mode, dir.path(), from, random.below(longest));
        let log = fs::metadata(dir.path().join("tattler.db-wal")).map_or(0, |log| log.len());
        unfinished += u32::from(log > 0);
        let tables = opened(dir.path());
        for table in &tables {
            // Every second observation is in the same table. The oldest rows may be deleted.
            assert!(table.windows(2).all(|two| two[1] == two[0] + 2), "{mode} {time}: a gap in {table:?}");
        }
        let (last, first) = (
            tables.iter().filter_map(|table| table.last()).max().map_or(0, |last| last + 1),
            tables.iter().filter_map(|table| table.first()).min().copied().unwrap_or(0),
        );
        assert!(last >= written, "{mode} {time}: {written} reported as written, {last} found");
        assert!(mode == "prune" || first == 0, "{mode} {time}: the first is {first}");
        assert_eq!((last - from) % 150, 0, "{mode} {time}: half of a batch");
        from = last;
        rows = tables.iter().map(Vec::len).sum();
    }
    assert!(unfinished > 0, "it was never killed while it worked");
    println!("{mode}: killed {times} times, {unfinished} with a log to be read; {rows} rows of {from}");
    rows
}

#[test]
fn a_kill_while_writing_loses_and_doubles_nothing() {
    assert!(kills("write", 15, 60_000) > 1_000);
}

#[test]
fn a_kill_while_the_log_is_checkpointed_loses_nothing() {
    assert!(kills("checkpoint", 15, 60_000) > 1_000);
}

#[test]
fn a_kill_while_pruning_loses_only_the_oldest_rows() {
    let rows = kills("prune", 15, 120_000);
    assert!((10_000..44_000).contains(&rows), "{rows}");
}

#[test]
fn a_kill_while_the_database_is_rewritten_loses_nothing() {
    assert!(kills("forget", 40, 80_000) > 500);
}

#[test]
fn a_kill_while_a_database_is_set_aside_leaves_one_that_opens() {
    let dir = TempDir::new().unwrap();
    let mut random = Random(7);
    let mut from = 0;
    for _ in 0..12 {
        let written = killed("replace", dir.path(), from, random.below(60_000));
        let tables = opened(dir.path());
        // The tables contain one row of each run since the last replacement of the database.
        assert!(tables.concat().iter().all(|&n| n <= written), "{tables:?}");
        from = written + 1;
    }
    // The next start deletes the old databases that the killed processes left.
    Store::open(dir.path()).unwrap().tidy(Time(0), sensor_user::store::RETENTION, 1 << 30).unwrap();
    let names = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let asides: std::collections::BTreeSet<_> =
        names.filter_map(|name| Some(name.strip_prefix("tattler.db.damaged-")?[..20].to_owned())).collect();
    assert!((1..=3).contains(&asides.len()), "{asides:?}");
}

#[test]
fn a_kill_while_migrating_leaves_one_version_with_all_rows() {
    const ROWS: i64 = 20_000;
    let origin = TempDir::new().unwrap();
    let old = origin.path().join("tattler.db");
    {
        let mut database = Connection::open(&old).unwrap();
        database.execute_batch(include_str!("../src/store/schema/1.sql")).unwrap();
        database.pragma_update(None, "user_version", 1).unwrap();
        let transaction = database.transaction().unwrap();
        for n in 0..ROWS {
            let sql = "INSERT INTO probes VALUES (NULL, ?1, ?2, ?2, 2, 22, 1, 0, 0, 0, NULL, NULL, NULL, NULL, NULL,
                       NULL, NULL, NULL, NULL, NULL, NULL)";
            transaction.execute(sql, (n, Ipv6Addr::from_bits(n as u128).octets())).unwrap();
        }
        transaction.commit().unwrap();
    }
    let mut random = Random(3);
    let mut versions = [0; 16];
    for _ in 0..15 {
        let dir = TempDir::new().unwrap();
        fs::copy(&old, dir.path().join("tattler.db")).unwrap();
        killed("migrate", dir.path(), ROWS, random.below(120_000));
        let database = Connection::open(dir.path().join("tattler.db")).unwrap();
        let version: usize = database.query_row("PRAGMA user_version", [], |r| r.get::<_, u32>(0)).unwrap() as usize;
        versions[version] += 1;
        drop(database);
        let probes = opened(dir.path())[1].iter().filter(|&&n| n < ROWS).count();
        assert_eq!(probes as i64, ROWS);
    }
    println!("killed so often at each version: {versions:?}");
    // Some processes were killed before the migration, and no database has a version in between.
    assert!(versions[1] > 0 && versions.iter().filter(|&&times| times > 0).count() <= 2, "{versions:?}");
}

/// A database, its log of some transactions, and the length of the log after each transaction.
fn log_of(transactions: i64, dir: &Path) -> (Vec<u8>, Vec<u8>, Vec<u64>) {
    let mut store = Store::open(dir).unwrap();
    let log = dir.join("tattler.db-wal");
    let ends = (0..transactions).map(|n| {
        store.append(&(n * 25..n * 25 + 25).map(observation).collect::<Vec<_>>()).unwrap();
        fs::metadata(&log).unwrap().len()
    });
    let ends = ends.collect();
    (fs::read(dir.join("tattler.db")).unwrap(), fs::read(&log).unwrap(), ends)
}

#[test]
fn a_damaged_log_holds_the_transactions_before_the_damage() {
    let dir = TempDir::new().unwrap();
    let (database, log, ends) = log_of(40, dir.path());
    let opens_with = |log: &[u8], transactions: usize, what: &str| {
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join("tattler.db"), &database).unwrap();
        fs::write(dir.path().join("tattler.db-wal"), log).unwrap();
        let mut all = opened(dir.path()).concat();
        all.sort_unstable();
        assert!(all.iter().copied().eq(0..transactions as i64 * 25), "{what}: {} rows", all.len());
    };
    let before = |byte: u64| ends.iter().filter(|&&end| end <= byte).count();
    let mut random = Random(1);
    let cuts = (0..60).map(|_| random.below(log.len() as u64 + 1));
    let cuts: Vec<u64> = cuts.chain(ends.iter().flat_map(|&end| [end - 1, end])).collect();
    for &cut in &cuts {
        opens_with(&log[..cut as usize], before(cut), &format!("cut at {cut}"));
    }
    for _ in 0..60 {
        let byte = random.below(log.len() as u64);
        let mut damaged = log.clone();
        damaged[byte as usize] ^= 1 << random.below(8);
        opens_with(&damaged, before(byte), &format!("another byte at {byte}"));
    }
    opens_with(&b"no log at all, whatever its name says".repeat(1_000), 0, "garbage");
    println!("{} cuts and 60 damaged bytes in {} bytes of log", cuts.len(), log.len());
}
