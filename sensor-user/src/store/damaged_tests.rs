//! Tests of the replacement of databases with real damage.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, UNIX_EPOCH};

use tattler_core::forget::Forget;

use super::super::tests::{connection, damage, new_store, probe_at, quick, times, wait_until};
use super::super::{Reader, StoreSettings, Writer, schema};
use super::*;

/// 2026-11-21T00:41:33Z.
const NOW: Time = Time(1_795_221_693_000_000);

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn ack() -> Ack {
    Ack { remote: "2a05::/16".parse().unwrap(), at: Time(1), until: None, note: Some("ours".into()) }
}

#[test]
fn only_the_sensor_sets_a_file_aside_that_is_no_database() {
    let dir = tempfile::tempdir().unwrap();
    let garbage = b"this was never a database, whatever its name says".repeat(100);
    fs::write(dir.path().join("tattler.db"), &garbage).unwrap();
    let line = Store::open(dir.path()).err().unwrap().to_string();
    assert!(line.contains("tattler.db is damaged") && line.contains("`tattler run` sets it aside"), "{line}");
    let (mut store, aside) = Store::open_or_replace(dir.path(), NOW).unwrap();
    let aside = aside.unwrap();
    assert_eq!(aside.to, dir.path().canonicalize().unwrap().join("tattler.db.damaged-2026-11-21T00-41-33Z"));
    assert_eq!(fs::read(&aside.to).unwrap(), garbage);
    assert_eq!(fs::metadata(&aside.to).unwrap().permissions().mode() & 0o777, 0o600);
    let line = aside.to_string();
    assert!(!line.contains('\n') && line.contains("devices get new names"), "{line}");
    assert!(line.contains(&format!("`sqlite3 {} .dump`", aside.to.display())), "{line}");
    store.append(&[probe_at(1)]).unwrap();
    drop(store);
    let (_store, aside) = Store::open_or_replace(dir.path(), NOW).unwrap();
    assert_eq!(aside, None);
    assert_eq!(times(&dir), [1]);
}

#[test]
fn a_newer_schema_is_never_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    drop(Store::open(dir.path()).unwrap());
    connection(dir.path()).pragma_update(None, "user_version", 99).unwrap();
    let error = Store::open_or_replace(dir.path(), NOW).err().unwrap();
    assert!(matches!(error, OpenError::Newer { found: 99, .. }), "{error}");
    let expected = format!("tattler.db has schema version 99, this tattler knows up to {}", schema::VERSION);
    assert!(error.to_string().contains(&expected), "{error}");
    assert_eq!(names(dir.path()), ["tattler.db", "tattler.lock"]);
    assert_eq!(schema::version(&connection(dir.path())).unwrap(), 99);
}

#[test]
fn device_names_and_acknowledgements_survive_damage() {
    let (dir, mut store) = new_store();
    store.append(&[probe_at(1)]).unwrap();
    store.acknowledge(&ack()).unwrap();
    let key = store.device_key().unwrap();
    drop(store);
    damage(dir.path(), "probes");
    let (mut store, aside) = Store::open_or_replace(dir.path(), NOW).unwrap();
    assert_eq!(aside, None, "nothing shows that yet");
    let error = store.replay(Time(0), &mut |_| ()).unwrap_err();
    assert!(error.is_corruption(), "{error}");
    let aside = store.replace_damaged(&"a page", NOW).unwrap();
    assert!(aside.same_names);
    // Key and acknowledgements were read before, so they are kept even if their tables are damaged.
    for table in ["meta", "acks"] {
        damage(dir.path(), table);
    }
    store.replace_damaged(&"more pages", NOW).unwrap();
    assert!(store.device_key().unwrap() == key);
    assert_eq!(store.acks().unwrap(), [ack()]);
    assert_eq!(store.damaged().0, 2);
    // The store still holds the lock on the directory.
    assert!(matches!(Store::open(dir.path()), Err(OpenError::InUse { .. })));
}

#[test]
fn a_damaged_database_keeps_its_log() {
    let (dir, mut store) = new_store();
    store.append(&[probe_at(1), probe_at(2)]).unwrap();
    let log = fs::read(dir.path().join("tattler.db-wal")).unwrap();
    assert!(!log.is_empty());
    let to = store.replace_damaged(&"whatever", NOW).unwrap().to;
    assert_eq!(fs::read(&open::files(&to)[1]).unwrap(), log);
    // The new database keeps its own log.
    let reader = Reader::open(dir.path()).unwrap();
    store.append(&[probe_at(3)]).unwrap();
    drop(reader);
    assert!(fs::metadata(dir.path().join("tattler.db-wal")).unwrap().len() > 0);
    // Both databases can be opened and contain their rows.
    let rows = |path: &Path| {
        Connection::open(path).unwrap().query_row("SELECT count(*) FROM probes", [], |r| r.get::<_, u32>(0)).unwrap()
    };
    assert_eq!((rows(&to), times(&dir)), (2, vec![3]));
}

/// Sets a database aside: `name` is the time in the new file name, `written` the time of the last write.
fn set_aside(store: &mut Store, name: Time, written: Time) {
    let to = store.replace_damaged(&"whatever", name).unwrap().to;
    let written = UNIX_EPOCH + Duration::from_micros(written.0 as u64);
    fs::File::options().append(true).open(to).unwrap().set_modified(written).unwrap();
}

#[test]
fn three_damaged_databases_are_kept_until_retention_or_forget() {
    let (dir, mut store) = new_store();
    let days = Span::from_days;
    for day in 0..5 {
        store.append(&[probe_at(1)]).unwrap();
        set_aside(&mut store, NOW + days(day), NOW + days(day));
        store.tidy(NOW + days(day), days(38), 1 << 30).unwrap();
    }
    let kept = || all_damaged(dir.path()).unwrap().into_iter().map(|(at, _)| at).collect::<Vec<_>>();
    assert_eq!(kept(), [NOW + days(2), NOW + days(3), NOW + days(4)]);
    store.tidy(NOW + days(4), days(38), 1).unwrap();
    assert_eq!(kept(), [NOW + days(4)], "only the latest is left of too many bytes");
    store.tidy(NOW + days(42), days(38), 1).unwrap();
    assert_eq!(kept(), [NOW + days(4)]);
    store.tidy(NOW + days(43), days(38), 1).unwrap();
    assert_eq!(kept(), []);
    // If the clock was not set yet, the time of the last write counts.
    set_aside(&mut store, Time(1), NOW);
    store.tidy(NOW + days(1), days(38), 1 << 30).unwrap();
    assert_eq!(kept(), [Time(0)]);
    open::remove(&all_damaged(dir.path()).unwrap()[0].1).unwrap();
    // A file that the user renamed is not deleted.
    fs::write(dir.path().join("tattler.db.damaged-mine"), "x").unwrap();
    store.replace_damaged(&"whatever", NOW).unwrap();
    let what = Forget { prefix: Some("2001:db8::/32".parse().unwrap()), ..Forget::default() };
    assert_eq!(store.forget(&[what]).unwrap().damaged_files, 1);
    let names = names(dir.path());
    assert_eq!(names.iter().filter(|name| name.contains("damaged")).collect::<Vec<_>>(), ["tattler.db.damaged-mine"]);
}

#[test]
fn device_names_survive_a_crash_while_a_database_is_replaced() {
    let (dir, mut store) = new_store();
    let mac = [2, 0, 0, 0, 0, 1];
    let name = store.device_key().unwrap().name(mac, false);
    store.kept.key = key::read(&store.connection).unwrap();
    // Two crashes: the first before the old database is moved, the second after the move.
    drop(store.create_at(&open::next(&store.path)).unwrap());
    drop(store);
    let mut store = Store::open(dir.path()).unwrap();
    assert_eq!(store.device_key().unwrap().name(mac, false), name);
    assert!(!open::next(&store.path).exists());
    store.kept.key = key::read(&store.connection).unwrap();
    drop(store.create_at(&open::next(&store.path)).unwrap());
    move_aside(&store.path, NOW).unwrap();
    drop(store);
    let mut store = Store::open(dir.path()).unwrap();
    assert_eq!(store.device_key().unwrap().name(mac, false), name);
}

#[test]
fn a_failed_replacement_is_repeated_and_moves_nothing_twice() {
    let (dir, mut store) = new_store();
    store.append(&[probe_at(1)]).unwrap();
    // A directory at the path of the database has the same effect as a full disk.
    let to = move_aside(store.path(), NOW).unwrap();
    store.kept.moved = Some(to.clone());
    fs::create_dir(dir.path().join("tattler.db")).unwrap();
    assert!(store.replace_damaged(&"whatever", NOW).is_err());
    assert!(store.replace_damaged(&"whatever", NOW).is_err());
    fs::remove_dir(dir.path().join("tattler.db")).unwrap();
    assert_eq!(store.replace_damaged(&"whatever", NOW).unwrap().to, to);
    store.append(&[probe_at(2)]).unwrap();
    assert_eq!(times(&dir), [2]);
    assert_eq!(all_damaged(dir.path()).unwrap().len(), 1);
}

fn settings() -> StoreSettings {
    StoreSettings { clock: || NOW, ..quick() }
}

#[test]
fn damage_that_a_write_finds_costs_no_observation_that_is_queued() {
    let (dir, mut store) = new_store();
    store.append(&[probe_at(NOW.0)]).unwrap();
    drop(store);
    let mut store = Store::open(dir.path()).unwrap();
    let key = store.device_key().unwrap();
    damage(dir.path(), "probes");
    let writer = Writer::start(store, settings()).unwrap();
    let counters = writer.counters();
    (1..=20).for_each(|n| writer.send(vec![probe_at(NOW.0 + n)]));
    wait_until("all written", || counters.written() == 20);
    assert_eq!((counters.damaged(), counters.lost(), counters.failure()), (1, 0, None));
    let file = counters.damaged_file().unwrap();
    assert!(file.ends_with("tattler.db.damaged-2026-11-21T00-41-33Z") && Path::new(&file).exists(), "{file}");
    let summary = writer.finish();
    assert_eq!((summary.written, summary.lost, summary.failure), (20, 0, None));
    assert_eq!(times(&dir), (1..=20).map(|n| NOW.0 + n).collect::<Vec<_>>());
    assert!(Store::open(dir.path()).unwrap().device_key().unwrap() == key);
}

#[test]
fn damage_found_by_two_queries_is_handled_once() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::start(Store::open(dir.path()).unwrap(), settings()).unwrap();
    let (counters, handle) = (writer.counters(), writer.handle().unwrap());
    handle.found_damage(0, "a page".into());
    handle.found_damage(0, "a page".into());
    writer.send(vec![probe_at(NOW.0)]);
    wait_until("the write", || counters.written() == 1);
    assert_eq!((counters.damaged(), times(&dir).len()), (1, 1));
}
