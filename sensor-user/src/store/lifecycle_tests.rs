//! Tests of forgetting, the limit in bytes, migrations, exports and imports.

use std::fs;
use std::net::Ipv6Addr;
use std::path::Path;
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

use super::tests::{connection, new_store, probe_at, quick, replayed, times, wait_until};
use super::*;

const PHONE: &str = "2001:db8:1:2:e014:9aff:5e49:ecb3";
const PRINTER: &str = "2001:db8:1:2:1122:3344:5566:7788";
const SITE: &str = "2a05:d014:1:2:3:4:5:80";
const SCANNER: &str = "2a0d:5600::29";

fn contact(ts: i64, local: &str, remote: &str, device: &str) -> Observation {
    let (local, remote) = (local.parse().unwrap(), remote.parse().unwrap());
    Observation::Contact(Contact {
        last: Time(ts + 10),
        count: 3,
        name: Some(format!("of-{device}.example")),
        device: Some(device.to_owned()),
        ..Contact::new(Time(ts), local, remote, Proto::Tcp, 443)
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

/// Writes so many rows that SQLite moves some rows between pages. The moves leave copies of rows in the file.
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

/// The files of the directory that contain the bytes `needle`.
fn found(dir: &Path, needle: &[u8]) -> Vec<String> {
    let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    // SQLite may remove a temporary file during the search.
    let holds = |path: &Path| fs::read(path).is_ok_and(|all| all.windows(needle.len()).any(|bytes| bytes == needle));
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
    Reader::open(dir).unwrap().export(&export, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

const ALL: Export = Export { all: true, since: None, until: None };

fn settings(now: i64) -> ImportSettings {
    ImportSettings { now: Time(now), retention: RETENTION, exclusions: Exclusions::default() }
}

/// Imports JSON Lines in the same way as the command `import`.
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
fn no_byte_of_a_forgotten_device_is_left_in_the_directory() {
    let (dir, mut store) = new_store();
    household(&mut store);
    let needles: [&[u8]; 4] = [&bytes(PHONE), PHONE.as_bytes(), b"phone", b"of-phone.example"];
    let there = needles.map(|needle| !found(dir.path(), needle).is_empty());
    assert_eq!(there, [true, false, true, true], "all can be found before");

    let forgotten = store.forget(&[device("phone")]).unwrap();
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
fn rows_deleted_earlier_without_overwriting_are_wiped_too() {
    let (dir, mut store) = new_store();
    household(&mut store);
    // Version 1 of the schema deleted rows without overwriting them. The migration records `traces` for this reason.
    store.connection.pragma_update_and_check(None, "secure_delete", false, |_| Ok(())).unwrap();
    for (table, column) in [("contacts", "local"), ("probes", "target"), ("answers", "target")] {
        let sql = format!("DELETE FROM {table} WHERE {column} = ?1");
        store.connection.execute(&sql, [&bytes(PHONE)]).unwrap();
    }
    store.connection.execute("INSERT INTO meta VALUES ('traces', x'')", []).unwrap();
    drop(store);
    assert!(!found(dir.path(), &bytes(PHONE)).is_empty());
    let mut store = Store::open(dir.path()).unwrap();
    assert_eq!(store.forget(&[device("phone")]).unwrap(), Forgotten::default());
    assert_eq!(found(dir.path(), &bytes(PHONE)), [""; 0]);
}

#[test]
fn rows_deleted_by_retention_are_overwritten() {
    let (dir, mut store) = new_store();
    household(&mut store);
    store.append(&[probe(1_000_000, PRINTER)]).unwrap();
    store.prune_some(Time(1_000_000), u32::MAX).unwrap();
    drop(store);
    assert_eq!(found(dir.path(), &bytes(PHONE)), [""; 0]);
    assert!(!found(dir.path(), &bytes(PRINTER)).is_empty());
}

#[test]
fn only_the_remote_prefix_or_time_is_forgotten() {
    let before = |what: Forget| {
        let (dir, mut store) = new_store();
        household(&mut store);
        let forgotten = store.forget(&[what]).unwrap();
        let (times, gone) = (times(&dir), found(dir.path(), &bytes(SITE)).is_empty());
        (forgotten, times[0], times.len(), gone)
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
    assert!(first >= 20_000 && !gone, "{first}");

    let (forgotten, ..) = before(Forget { before: Some(Time(20_000)), ..device("phone") });
    assert_eq!((forgotten.contacts, forgotten.clipped, forgotten.probes, forgotten.acks), (680, 1, 680, 0));
    assert_eq!(before(Forget::default()).0, Forgotten::default());
}

#[test]
fn forgetting_nothing_writes_nothing() {
    let (dir, mut store) = new_store();
    household(&mut store);
    let files = || open::files(&dir.path().join("tattler.db")).map(|file| fs::read(file).unwrap_or_default());
    let before = files();
    let nobody = Forget { prefix: Some("3fff::/32".parse().unwrap()), ..Forget::default() };
    assert_eq!(store.forget(&[nobody, device("nobody")]).unwrap(), Forgotten::default());
    let after = files();
    assert!(before[..2] == after[..2], "the database and its log");
}

#[test]
fn traces_kept_by_an_export_are_reported_and_wiped_after_it() {
    let (dir, mut store) = new_store();
    household(&mut store);
    store.connection.busy_timeout(Duration::ZERO).unwrap();
    let writer = Writer::start(store, quick()).unwrap();
    let reader = connection(dir.path());
    reader.execute_batch("BEGIN; SELECT count(*) FROM contacts").unwrap();
    let outcome = writer.handle().unwrap().with(|store| store.forget(&[device("phone")])).unwrap();
    let error = outcome.unwrap_err();
    assert!(matches!(error, WriteError::Traces { .. }), "{error}");
    assert!(error.to_string().starts_with("deleted, but traces are left in /"), "{error}");
    std::thread::sleep(Duration::from_millis(100));
    assert!(!found(dir.path(), &bytes(PHONE)).is_empty(), "the reader still sees it");
    drop(reader);
    wait_until("no traces", || found(dir.path(), &bytes(PHONE)).is_empty());
    drop(writer);
}

#[test]
fn a_store_that_is_too_large_loses_its_oldest_repeats() {
    let (dir, mut store) = new_store();
    store.append(&[contact(0, PHONE, SITE, "phone")]).unwrap();
    let batch: Vec<_> = (1..40_001).map(|n| probe(n * 10, PHONE)).collect();
    store.append(&batch).unwrap();
    let most = store.used().unwrap() / 2;
    let settings = StoreSettings { most_bytes: most, clock: || Time(0), ..StoreSettings::default() };
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
    // Room is made at the start, and again after more rows.
    let crowded_out = settle(0);
    writer.send((40_001..60_001).map(|n| probe(n * 10, PHONE)).collect());
    settle(crowded_out);
    drop(writer);
    let store = Store::open(dir.path()).unwrap();
    assert!(store.used().unwrap() <= most, "{} of {most}", store.used().unwrap());
    let times = times(&dir);
    assert_eq!(counters.crowded_out() + times.len() as u64, 60_001, "each row is there or counted");
    assert_eq!(times[..2], [0, 10], "the contact and the first hit");
    assert!(times[2] > 100_000, "the oldest repeats are deleted: {}", times[2]);
    assert_eq!(times.last(), Some(&600_000));
    assert_eq!(counters.pruned(), 0);
    drop(store);
    let file = fs::metadata(dir.path().join("tattler.db")).unwrap().len();
    assert!(file < most + (8 << 20), "{file} of {most}");
}

/// A database of an older version, with the rows of `fixture-1.sql`.
fn old_version(dir: &Path, version: i64, sql: &[&str]) -> Connection {
    let old = connection(dir);
    old.pragma_update(None, "auto_vacuum", "INCREMENTAL").unwrap();
    old.execute_batch(include_str!("schema/1.sql")).unwrap();
    old.execute_batch(include_str!("schema/fixture-1.sql")).unwrap();
    sql.iter().for_each(|sql| old.execute_batch(sql).unwrap());
    old.pragma_update(None, "user_version", version).unwrap();
    old
}

#[test]
fn migrations_keep_every_row_and_end_with_the_same_tables() {
    let tables = |store: &Store| {
        let sql = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name";
        let mut statement = store.connection.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect::<Vec<String>>()
    };
    let extra = "INSERT INTO acks VALUES (x'2a060000000000000000000000000000', 32, 5, NULL, 'ours');
                 INSERT INTO meta VALUES ('device-key', zeroblob(32))";
    for (version, sql) in [(1, &[][..]), (2, &[include_str!("schema/2.sql"), extra])] {
        let dir = tempfile::tempdir().unwrap();
        drop(old_version(dir.path(), version, sql));
        // No sensor runs, so the reader migrates the database.
        let exported = export(dir.path(), ALL);
        let (of_v1, others): (Vec<&str>, Vec<&str>) =
            exported.lines().partition(|line| include_str!("schema/fixture-1.jsonl").contains(line));
        assert_eq!(of_v1, include_str!("schema/fixture-1.jsonl").lines().collect::<Vec<_>>());
        assert_eq!(others.len(), if version == 2 { 2 } else { 0 }, "{others:?}");
        assert!(version == 1 || others[0].contains("device-key") && others[1].contains("\"ours\""), "{others:?}");
        let mut store = Store::open(dir.path()).unwrap();
        assert_eq!(schema::version(&store.connection).unwrap(), schema::VERSION);
        assert_eq!(store.has_traces(), version == 1, "the first version did not overwrite deleted rows");
        let integrity: String = store.connection.pragma_query_value(None, "integrity_check", |row| row.get(0)).unwrap();
        assert_eq!(integrity, "ok");
        assert_eq!(tables(&store), tables(&new_store().1));
        let position = Position { head_length: 4_096, head_hash: u64::MAX - 1, items: 7 };
        let mut importer = store.import(settings(0)).unwrap();
        importer.keep(&[position]);
        importer.finish().unwrap();
        assert_eq!(store.positions().unwrap(), [position]);
    }
}

#[test]
fn a_chunk_is_committed_with_its_position_and_the_rest_is_not() {
    let (dir, mut store) = new_store();
    let start = Position::start(b"a log");
    let stored =
        |store: &Store| (times(&dir).len(), store.positions().unwrap().first().map_or(0, |position| position.items));
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
    // The next import continues from the stored position.
    let mut importer = store.import(settings(0)).unwrap();
    (400_000..450_000).for_each(|n| importer.add(probe(n * 10, PHONE)));
    importer.keep(&[Position { items: 450_000, ..start }]);
    assert_eq!(importer.finish().unwrap().new, 50_000);
    assert_eq!(stored(&store), (450_000, 450_000));
    // Positions may move back, and retention deletes positions.
    let mut importer = store.import(settings(RETENTION.0)).unwrap();
    importer.keep(&[Position { items: 3, ..start }]);
    importer.finish().unwrap();
    assert_eq!(stored(&store), (450_000, 3));
    store.import(settings(RETENTION.0 * 2 + 1)).unwrap().finish().unwrap();
    assert_eq!(store.positions().unwrap(), []);
}

#[test]
fn a_failed_migration_leaves_the_old_version_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    // The migration to version 2 fails, because it creates a table of this name.
    drop(old_version(dir.path(), 1, &["CREATE TABLE acks (x)"]));
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
fn a_backup_restores_every_byte_and_importing_twice_adds_nothing() {
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
fn an_export_has_only_contacts_and_probes_of_its_times() {
    let (dir, mut store) = new_store();
    household(&mut store);
    store.device_key().unwrap();
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
fn an_import_counts_old_future_and_excluded_observations() {
    let (dir, mut store) = new_store();
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
fn counts_add_up_only_for_contacts_of_different_times() {
    let dir = tempfile::tempdir().unwrap();
    let count = || {
        let rows = replayed(&Store::open(dir.path()).unwrap(), 0);
        let count = |row| match row {
            Observation::Contact(contact) => (contact.ts.0, contact.last.0, contact.count),
            other => panic!("{other:?}"),
        };
        rows.into_iter().map(count).collect::<Vec<_>>()
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
fn a_failed_import_adds_nothing() {
    let (dir, mut store) = new_store();
    store.append(&[probe_at(1)]).unwrap();
    store.connection.pragma_update_and_check(None, "max_page_count", 40, |_| Ok(())).unwrap();
    let mut importer = store.import(settings(0)).unwrap();
    (0..120_000).for_each(|n| importer.add(probe(n * 10, PHONE)));
    assert!(importer.has_failed(), "reported at once, so that the command stops reading");
    assert!(matches!(importer.finish().unwrap_err(), WriteError::Full(_)));
    assert_eq!(times(&dir), [1]);
    store.connection.pragma_update_and_check(None, "max_page_count", 100_000, |_| Ok(())).unwrap();
    let importer = store.import(settings(0)).unwrap();
    drop(importer);
    assert_eq!(found(dir.path(), &bytes(PHONE)), [""; 0]);
}
