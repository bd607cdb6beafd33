//! What a diary must do beside being written: forget, keep to its size, grow up, be copied and
//! restored, and survive being killed.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::Ipv6Addr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use sensor_common::{Kind, Proto};
use tattler_core::ack::Ack;
use tattler_core::exclusions::Exclusions;
use tattler_core::forget::{Forget, Forgotten};
use tattler_core::observation::{Answer, Contact, Observation, Probe};
use tattler_core::time::Time;
use tattler_files::Position;
use tattler_files::jsonl::BackupEntry;
use tattler_files::text::{Dialect, LineItem, LogClock, TextReader};

use super::tests::{connection, probe_at};
use super::*;

const PHONE: &str = "2001:db8:1:2:e014:9aff:5e49:ecb3";
const PRINTER: &str = "2001:db8:1:2:1122:3344:5566:7788";
const SITE: &str = "2a05:d014:1:2:3:4:5:80";
const SCANNER: &str = "2a0d:5600::29";

fn contact(ts: i64, local: &str, remote: &str, device: &str) -> Observation {
    Observation::Contact(Contact {
        ts: Time(ts),
        last: Time(ts + 10),
        local: local.parse().unwrap(),
        remote: remote.parse().unwrap(),
        proto: Proto::Tcp,
        port: 443,
        local_port: None,
        count: 3,
        name: Some(format!("of-{device}.example")),
        device: Some(device.to_owned()),
    })
}

fn probe(ts: i64, target: &str) -> Observation {
    let Observation::Probe(probe) = probe_at(ts) else { unreachable!() };
    Observation::Probe(Probe { target: target.parse().unwrap(), ..probe })
}

fn answer(ts: i64, target: &str) -> Observation {
    let (source, target) = (SCANNER.parse().unwrap(), target.parse().unwrap());
    Observation::Answer(Answer { ts: Time(ts), source, target, kind: Kind::Syn, port: 22 })
}

fn ack(remote: &str, at: i64) -> Ack {
    Ack { remote: remote.parse().unwrap(), at: Time(at), until: Some(Time(at + 7)), note: Some("seen".into()) }
}

/// Enough that rows move from page to page, which leaves copies of them behind.
fn household(store: &mut Store) {
    for round in 0..40_i64 {
        let mut batch = Vec::new();
        for n in 0..100_i64 {
            let remote =
                Ipv6Addr::from(0x2a00_u128 << 112 | ((n * 7_919 + round * 104_729) as u128).wrapping_mul(0x9e37_79b9));
            let (local, device) = if n % 3 == 0 { (PHONE, "phone") } else { (PRINTER, "printer") };
            batch.push(contact(round * 1_000 + n, local, &remote.to_string(), device));
            batch.push(probe(round * 1_000 + n, local));
            batch.push(answer(round * 1_000 + n, local));
        }
        batch.push(contact(round * 1_000, PHONE, SITE, "phone"));
        batch.push(contact(round * 1_000, PRINTER, SITE, "printer"));
        store.append(&batch).unwrap();
    }
    store.acknowledge(&ack("2a05:d014:1:2:3:4:5:80/128", 5)).unwrap();
    store.acknowledge(&ack("2a06::/32", 5)).unwrap();
}

/// Where the bytes are, in any file of the directory.
fn found(dir: &Path, needle: &[u8]) -> Vec<String> {
    let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let holds = |path: &Path| fs::read(path).unwrap().windows(needle.len()).any(|bytes| bytes == needle);
    files.filter(|path| holds(path)).map(|path| path.display().to_string()).collect()
}

fn bytes(address: &str) -> [u8; 16] {
    address.parse::<Ipv6Addr>().unwrap().octets()
}

fn device(name: &str) -> Forget {
    Forget { device: Some(name.into()), ..Forget::default() }
}

fn export(dir: &Path, export: Export) -> String {
    let mut out = Vec::new();
    Snapshot::open(dir).unwrap().export(&export, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

const ALL: Export = Export { all: true, since: None, until: None };

fn settings(now: i64) -> ImportSettings {
    ImportSettings { now: Time(now), retention: RETENTION, exclusions: Exclusions::default() }
}

/// As the command does.
fn import(dir: &Path, text: &str, now: i64) -> Imported {
    let mut store = Store::open(dir).unwrap();
    let mut importer = store.import(settings(now)).unwrap();
    let clock = LogClock::new(jiff::tz::TimeZone::UTC, None, None, None);
    let mut lines = TextReader::new("x", text.as_bytes(), Dialect::JsonLines, clock);
    while let Some(item) = lines.next(&mut |fault| panic!("{fault}")).unwrap() {
        match item {
            LineItem::Observation(observation) => importer.add(observation),
            LineItem::Backup(BackupEntry::Ack(ack)) => importer.acknowledge(&ack),
            LineItem::Backup(BackupEntry::DeviceKey(key)) => assert!(importer.adopt_key(&DeviceKey::from_bytes(key))),
            item => panic!("{item:?}"),
        }
    }
    importer.finish().unwrap()
}

#[test]
fn a_device_that_is_forgotten_is_in_no_byte_of_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    household(&mut store);
    let needles: [&[u8]; 4] = [&bytes(PHONE), PHONE.as_bytes(), b"phone", b"of-phone.example"];
    let there = needles.map(|needle| !found(dir.path(), needle).is_empty());
    assert_eq!(there, [true, false, true, true], "what is looked for can be found before");

    let forgotten = store.forget(&device("phone")).unwrap();
    assert_eq!(forgotten, Forgotten { contacts: 1_361, probes: 1_360, answers: 1_360, ..Forgotten::default() });
    for needle in needles {
        assert_eq!(found(dir.path(), needle), [""; 0], "{needle:?}");
    }
    assert!(!found(dir.path(), &bytes(PRINTER)).is_empty());
    drop(store);
    for needle in needles {
        assert_eq!(found(dir.path(), needle), [""; 0], "{needle:?}");
    }
    let left = export(dir.path(), ALL);
    assert_eq!(left.lines().filter(|line| line.contains(PRINTER)).count(), 2_641 + 2 * 2_640);
}

#[test]
fn what_was_deleted_before_without_being_overwritten_goes_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    household(&mut store);
    // As the first version did, which is noted when its database is taken over.
    store.connection.pragma_update_and_check(None, "secure_delete", false, |_| Ok(())).unwrap();
    for sql in [
        "DELETE FROM contacts WHERE local = ?1",
        "DELETE FROM probes WHERE target = ?1",
        "DELETE FROM answers WHERE target = ?1",
    ] {
        store.connection.execute(sql, [&bytes(PHONE)]).unwrap();
    }
    store.connection.execute("INSERT INTO meta VALUES ('traces', x'')", []).unwrap();
    drop(store);
    assert!(!found(dir.path(), &bytes(PHONE)).is_empty());
    let mut store = Store::open(dir.path()).unwrap();
    assert_eq!(store.forget(&device("phone")).unwrap(), Forgotten::default());
    assert_eq!(found(dir.path(), &bytes(PHONE)), [""; 0]);
}

#[test]
fn what_grows_too_old_is_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    household(&mut store);
    store.append(&[probe(1_000_000, PRINTER)]).unwrap();
    store.prune(Time(1_000_000)).unwrap();
    drop(store);
    assert_eq!(found(dir.path(), &bytes(PHONE)), [""; 0]);
    assert!(!found(dir.path(), &bytes(PRINTER)).is_empty());
}

#[test]
fn a_remote_a_prefix_and_a_time_are_forgotten_and_nothing_else() {
    let before = |what: Forget| {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        household(&mut store);
        let forgotten = store.forget(&what).unwrap();
        let mut times = Vec::new();
        store.replay(Time(i64::MIN), &mut |o| times.push(o.ts())).unwrap();
        let gone = found(dir.path(), &bytes(SITE)).is_empty();
        (forgotten, times.iter().min().copied().unwrap(), times.len(), gone)
    };
    let all = 4_002 + 8_000;
    let (forgotten, _, left, gone) = before(Forget::parse(SITE));
    assert_eq!(forgotten, Forgotten { contacts: 2, acks: 1, ..Forgotten::default() });
    assert_eq!((left, gone), (all - 2, true));

    let (forgotten, _, left, _) = before(Forget::parse("2001:db8:1:2:1122::/80"));
    assert_eq!((forgotten.contacts, forgotten.probes, forgotten.answers), (2_641, 2_640, 2_640));
    assert_eq!(left, 1_361 + 2 * 1_360);

    let (forgotten, first, _, gone) = before(Forget { before: Some(Time(20_000)), ..Forget::default() });
    assert_eq!((forgotten.contacts, forgotten.probes, forgotten.acks), (2_000, 2_000, 2));
    assert_eq!(forgotten.clipped, 2, "the site was contacted again and again");
    assert!(first >= Time(20_000) && !gone, "{first:?}");

    let (forgotten, ..) = before(Forget { before: Some(Time(20_000)), ..device("phone") });
    assert_eq!((forgotten.contacts, forgotten.clipped, forgotten.probes, forgotten.acks), (680, 1, 680, 0));
    assert_eq!(before(Forget::default()).0, Forgotten::default());
}

#[test]
fn traces_that_an_export_keeps_are_told_and_go_the_next_time() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    household(&mut store);
    store.connection.busy_timeout(Duration::ZERO).unwrap();
    let reader = connection(dir.path());
    reader.execute_batch("BEGIN; SELECT count(*) FROM contacts").unwrap();
    let error = store.forget(&device("phone")).unwrap_err();
    assert!(matches!(error, WriteError::Traces { .. }), "{error}");
    assert!(error.to_string().starts_with("deleted, but traces are left in /"), "{error}");
    drop(reader);
    assert_eq!(store.forget(&device("phone")).unwrap(), Forgotten::default());
    assert_eq!(found(dir.path(), &bytes(PHONE)), [""; 0]);
}

#[test]
fn to_forget_nothing_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    household(&mut store);
    let files = || open::files(&dir.path().join("tattler.db")).map(|file| fs::read(file).unwrap_or_default());
    let before = files();
    let nobody = Forget { prefix: Some("3fff::/32".parse().unwrap()), ..Forget::default() };
    assert_eq!(store.forget_all(&[nobody, device("nobody")]).unwrap(), Forgotten::default());
    let after = files();
    assert!(before[..2] == after[..2], "the database and its log");
}

#[test]
fn traces_that_an_export_keeps_are_wiped_once_it_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    household(&mut store);
    store.connection.busy_timeout(Duration::ZERO).unwrap();
    let settings = Settings { latency: Duration::from_millis(20), clock: || Time(0), ..Settings::default() };
    let writer = Writer::start(store, settings).unwrap();
    let reader = connection(dir.path());
    reader.execute_batch("BEGIN; SELECT count(*) FROM contacts").unwrap();
    let outcome = writer.handle().unwrap().with(|store| store.forget(&device("phone"))).unwrap();
    assert!(matches!(outcome, Err(WriteError::Traces { .. })), "{outcome:?}");
    std::thread::sleep(Duration::from_millis(100));
    assert!(!found(dir.path(), &bytes(PHONE)).is_empty(), "the reader still sees it");
    drop(reader);
    // Nobody asks again.
    let start = Instant::now();
    while !found(dir.path(), &bytes(PHONE)).is_empty() {
        assert!(start.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(writer);
}

#[test]
fn a_store_that_is_too_large_loses_its_oldest_repeats_and_the_file_shrinks() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    store.append(&[contact(0, PHONE, SITE, "phone")]).unwrap();
    let batch: Vec<_> = (1..40_001).map(|n| probe(n * 10, PHONE)).collect();
    store.append(&batch).unwrap();
    let most = store.used().unwrap() / 2;
    let settings = Settings { most_bytes: most, clock: || Time(0), ..Settings::default() };
    let writer = Writer::start(store, settings).unwrap();
    let counters = writer.counters();
    let start = Instant::now();
    let settle = |before: u64| {
        let mut now = before;
        while now == before || now != counters.crowded_out() {
            now = counters.crowded_out();
            assert!(start.elapsed() < Duration::from_secs(40), "{now}");
            std::thread::sleep(Duration::from_millis(300));
        }
        now
    };
    // Once at the start, and once more because of what is written then.
    let crowded_out = settle(0);
    writer.send((40_001..60_001).map(|n| probe(n * 10, PHONE)).collect());
    settle(crowded_out);
    drop(writer);
    let store = Store::open(dir.path()).unwrap();
    assert!(store.used().unwrap() <= most, "{} of {most}", store.used().unwrap());
    let mut times = Vec::new();
    store.replay(Time(i64::MIN), &mut |o| times.push(o.ts())).unwrap();
    assert_eq!(counters.crowded_out() + times.len() as u64, 60_001, "each row is there or counted");
    assert_eq!(times[..2], [Time(0), Time(10)], "the contact and the first hit");
    assert!(times[2] > Time(100_000), "the oldest repeats went: {:?}", times[2]);
    assert_eq!(times.last(), Some(&Time(600_000)));
    assert_eq!(counters.pruned(), 0);
    drop(store);
    let file = fs::metadata(dir.path().join("tattler.db")).unwrap().len();
    assert!(file < most + (8 << 20), "{file} of {most}");
}

#[test]
fn a_store_of_the_first_version_is_taken_over_with_every_row() {
    let dir = tempfile::tempdir().unwrap();
    {
        let old = connection(dir.path());
        old.pragma_update(None, "auto_vacuum", "INCREMENTAL").unwrap();
        old.execute_batch(include_str!("schema/1.sql")).unwrap();
        old.execute_batch(include_str!("schema/fixture-1.sql")).unwrap();
        old.pragma_update(None, "user_version", 1).unwrap();
    }
    // A reader finds no sensor and brings it up to date.
    let lines = export(dir.path(), ALL);
    assert_eq!(lines, include_str!("schema/fixture-1.jsonl"));
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(schema::version(&store.connection).unwrap(), schema::VERSION);
    assert!(store.has_traces(), "the first version did not overwrite what it deleted");
    let integrity: String = store.connection.pragma_query_value(None, "integrity_check", |row| row.get(0)).unwrap();
    assert_eq!(integrity, "ok");
    let tables = |connection: &Connection| {
        let mut statement =
            connection.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name").unwrap();
        let tables: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        tables
    };
    let fresh = tempfile::tempdir().unwrap();
    let fresh = Store::open(fresh.path()).unwrap();
    assert_eq!(tables(&store.connection), tables(&fresh.connection));
}

#[test]
fn a_store_of_the_second_version_gets_positions_and_keeps_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    {
        let old = connection(dir.path());
        old.pragma_update(None, "auto_vacuum", "INCREMENTAL").unwrap();
        for sql in [
            include_str!("schema/1.sql"),
            include_str!("schema/fixture-1.sql"),
            include_str!("schema/2.sql"),
            "INSERT INTO acks VALUES (x'2a060000000000000000000000000000', 32, 5, NULL, 'ours');
             INSERT INTO meta VALUES ('device-key', zeroblob(32))",
        ] {
            old.execute_batch(sql).unwrap();
        }
        old.pragma_update(None, "user_version", 2).unwrap();
    }
    let lines = export(dir.path(), ALL);
    let asides: Vec<&str> = lines.lines().take(2).collect();
    assert!(asides[0].contains("device-key") && asides[1].contains("\"ours\""), "{asides:?}");
    let rest: String = lines.lines().skip(2).map(|line| line.to_owned() + "\n").collect();
    assert_eq!(rest, include_str!("schema/fixture-1.jsonl"));
    let mut store = Store::open(dir.path()).unwrap();
    assert_eq!(schema::version(&store.connection).unwrap(), schema::VERSION);
    assert_eq!(store.positions().unwrap(), []);
    let position = Position { head_length: 4_096, head_hash: u64::MAX - 1, items: 7 };
    let mut importer = store.import(settings(0)).unwrap();
    importer.keep(&[position]);
    importer.finish().unwrap();
    assert_eq!(store.positions().unwrap(), [position]);
}

#[test]
fn a_chunk_is_there_with_its_position_and_what_follows_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let start = Position::start(b"a log");
    let stored = |store: &Store| {
        let mut rows = 0;
        store.replay(Time(i64::MIN), &mut |_| rows += 1).unwrap();
        (rows, store.positions().unwrap().first().map_or(0, |position| position.items))
    };
    let mut importer = store.import(settings(0)).unwrap();
    for n in 0..450_000 {
        importer.add(probe(n * 10, PHONE));
        if n % 10_000 == 9_999 {
            importer.reached(&[Position { items: n as u64 + 1, ..start }]);
        }
    }
    assert_eq!(importer.kept(), 400_000);
    drop(importer);
    assert_eq!(stored(&store), (400_000, 400_000));
    // From there.
    let mut importer = store.import(settings(0)).unwrap();
    (400_000..450_000).for_each(|n| importer.add(probe(n * 10, PHONE)));
    importer.keep(&[Position { items: 450_000, ..start }]);
    assert_eq!(importer.finish().unwrap().new, 50_000);
    assert_eq!(stored(&store), (450_000, 450_000));
    // Positions go with the retention, or from the beginning.
    let mut importer = store.import(settings(RETENTION.0)).unwrap();
    importer.keep(&[Position { items: 3, ..start }]);
    importer.finish().unwrap();
    assert_eq!(stored(&store), (450_000, 3));
    store.import(settings(RETENTION.0 * 2 + 1)).unwrap().finish().unwrap();
    assert_eq!(store.positions().unwrap(), []);
}

#[test]
fn a_migration_that_fails_leaves_the_older_version_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    {
        let old = connection(dir.path());
        old.execute_batch(include_str!("schema/1.sql")).unwrap();
        old.execute_batch(include_str!("schema/fixture-1.sql")).unwrap();
        // In the way of the second version.
        old.execute_batch("CREATE TABLE acks (x)").unwrap();
        old.pragma_update(None, "user_version", 1).unwrap();
    }
    assert!(Store::open(dir.path()).is_err());
    let old = connection(dir.path());
    assert_eq!(schema::version(&old).unwrap(), 1);
    let probes: i64 = old.query_row("SELECT count(id) FROM probes", [], |row| row.get(0)).unwrap();
    assert_eq!(probes, 4);
    old.execute_batch("DROP TABLE acks").unwrap();
    drop(old);
    Store::open(dir.path()).unwrap();
}

#[test]
fn a_backup_restores_the_diary_to_the_byte_and_twice_is_once() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let name = {
        let mut store = Store::open(one.path()).unwrap();
        household(&mut store);
        store.device_key().unwrap().id([1; 6])
    };
    let backup = export(one.path(), ALL);
    assert_eq!(backup.lines().count(), 4_002 + 8_000 + 2 + 1);
    let imported = import(two.path(), &backup, 0);
    assert_eq!((imported.observations, imported.new, imported.merged, imported.acks), (12_002, 12_002, 0, 2));
    assert_eq!(export(two.path(), ALL), backup);
    let again = import(two.path(), &backup, 0);
    assert_eq!((again.new, again.merged), (0, 12_002));
    assert_eq!(export(two.path(), ALL), backup);
    assert_eq!(Store::open(two.path()).unwrap().device_key().unwrap().id([1; 6]), name);
}

#[test]
fn an_export_for_others_keeps_to_the_contract_and_to_its_times() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    household(&mut store);
    store.device_key().unwrap();
    // While the sensor runs.
    let text = export(dir.path(), Export::default());
    assert_eq!(text.lines().count(), 4_002 + 4_000);
    assert!(
        text.lines().all(|line| line.starts_with(r#"{"type":"contact""#) || line.starts_with(r#"{"type":"probe""#))
    );
    let some = Export { since: Some(Time(10_000)), until: Some(Time(19_999)), all: false };
    let text = export(dir.path(), some);
    assert_eq!(text.lines().filter(|line| line.contains("\"probe\"")).count(), 1_000);
    assert_eq!(text.lines().filter(|line| line.contains("\"contact\"")).count(), 1_002);
}

#[test]
fn an_import_skips_and_counts_what_is_old_or_to_come_or_excluded() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let day = 86_400_000_000;
    let exclusions = Exclusions { devices: vec!["printer".into()], ..Exclusions::default() };
    let mut importer = store.import(ImportSettings { exclusions, ..settings(100 * day) }).unwrap();
    for (at, local, device) in [
        (61 * day, PHONE, "phone"),
        (63 * day, PHONE, "phone"),
        (100 * day, PRINTER, "printer"),
        (102 * day, PHONE, "phone"),
    ] {
        importer.add(contact(at, local, SITE, device));
    }
    let imported = importer.finish().unwrap();
    let expected = Imported { observations: 4, new: 1, merged: 0, old: 1, future: 1, excluded: 1, acks: 0 };
    assert_eq!(imported, expected);
    assert!(found(dir.path(), &bytes(PRINTER)).is_empty());
}

#[test]
fn contacts_of_other_times_add_up_and_those_of_the_same_time_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let count = || {
        let mut counts = Vec::new();
        Store::open(dir.path())
            .unwrap()
            .replay(Time(0), &mut |o| {
                if let Observation::Contact(contact) = o {
                    counts.push((contact.ts.0, contact.last.0, contact.count));
                }
            })
            .unwrap();
        counts
    };
    let add = |times: &[i64]| {
        let mut store = Store::open(dir.path()).unwrap();
        let mut importer = store.import(settings(0)).unwrap();
        times.iter().for_each(|&ts| importer.add(contact(ts, PHONE, SITE, "phone")));
        importer.finish().unwrap();
    };
    add(&[0, 20, 40]);
    assert_eq!(count(), [(0, 50, 9)]);
    add(&[0, 20, 40]);
    assert_eq!(count(), [(0, 50, 9)]);
    add(&[40, 60]);
    assert_eq!(count().len(), 1);
    assert!(count()[0].2 <= 12, "never more than there were: {:?}", count());
    add(&[100]);
    assert_eq!(count()[0].1, 110);
}

#[test]
fn an_import_that_fails_has_not_happened() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    store.append(&[probe_at(1)]).unwrap();
    store.connection.pragma_update_and_check(None, "max_page_count", 40, |_| Ok(())).unwrap();
    let mut importer = store.import(settings(0)).unwrap();
    (0..120_000).for_each(|n| importer.add(probe(n * 10, PHONE)));
    assert!(importer.has_failed(), "told at once, so that nobody reads on");
    assert!(matches!(importer.finish().unwrap_err(), WriteError::Full { .. }));
    let mut seen = 0;
    store.replay(Time(i64::MIN), &mut |_| seen += 1).unwrap();
    assert_eq!(seen, 1);
    store.connection.pragma_update_and_check(None, "max_page_count", 100_000, |_| Ok(())).unwrap();
    let importer = store.import(settings(0)).unwrap();
    drop(importer);
    assert_eq!(found(dir.path(), &bytes(PHONE)), [""; 0]);
}

/// The other half of the test below: writes until it is killed.
#[test]
#[ignore = "run by a_sensor_that_is_killed_loses_at_most_what_was_queued"]
fn writes_until_it_is_killed() {
    let Some(dir) = std::env::var_os("TATTLER_TEST_DIR") else { return };
    let store = Store::open(Path::new(&dir)).unwrap();
    let unproven_a_day = u64::MAX;
    let settings =
        Settings { unproven_a_day, latency: Duration::from_millis(50), clock: || Time(0), ..Settings::default() };
    let writer = Writer::start(store, settings).unwrap();
    let counters = writer.counters();
    let mut sent = 0;
    loop {
        writer.send((sent..sent + 100).map(|n| probe(n, PHONE)).collect());
        sent += 100;
        println!("\nat {} {sent}", counters.written());
        std::io::stdout().flush().unwrap();
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_sensor_that_is_killed_loses_at_most_what_was_queued() {
    let mut worst = 0;
    for round in 1..=5_u32 {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::diary_tests::writes_until_it_is_killed", "--ignored", "--nocapture"])
            .env("TATTLER_TEST_DIR", dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut told = lines.filter_map(|line| {
            let (written, sent) = line.strip_prefix("at ")?.split_once(' ')?;
            Some((written.parse::<i64>().unwrap(), sent.parse::<i64>().unwrap()))
        });
        let (mut written, mut sent) = told.by_ref().find(|told| told.0 > i64::from(round) * 3_000).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        // What the pipe still held.
        for last in told {
            (written, sent) = last;
        }
        let mut stored = Vec::new();
        Store::open(dir.path()).unwrap().replay(Time(0), &mut |o| stored.push(o.ts().0)).unwrap();
        assert!(stored.iter().copied().eq(0..stored.len() as i64), "in order, without a gap");
        assert!(stored.len() as i64 >= written, "{} stored, {written} said to be written", stored.len());
        worst = worst.max(sent - stored.len() as i64);
        // Queued within the latency, at 100 in 2 ms.
        assert!(sent - stored.len() as i64 <= 20_000, "{sent} sent, {} stored", stored.len());
    }
    println!("lost at most {worst} observations of 50,000 a second");
}
