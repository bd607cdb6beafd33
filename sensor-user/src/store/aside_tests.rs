//! Damaged databases make way, by real damage.

use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use tattler_core::forget::Forget;

use super::super::tests::{connection, damage, probe_at};
use super::super::{Reader, Settings, Writer};
use super::*;

/// 2026-11-21T00:41:33Z.
const NOW: Time = Time(1_795_221_693_000_000);

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn times(dir: &Path) -> Vec<i64> {
    let mut times = Vec::new();
    let mut give = |probe: tattler_core::observation::Probe| {
        times.push(probe.ts.0);
        ControlFlow::Continue(())
    };
    Reader::open(dir).unwrap().probes(Time(i64::MIN), Time(i64::MAX), &mut give).unwrap();
    times.reverse();
    times
}

fn ack() -> Ack {
    Ack { remote: "2a05::/16".parse().unwrap(), at: Time(1), until: None, note: Some("ours".into()) }
}

#[test]
fn what_is_no_database_is_set_aside_whole_by_the_sensor_alone() {
    let dir = tempfile::tempdir().unwrap();
    let garbage = b"this was never a database, whatever its name says".repeat(100);
    fs::write(dir.path().join("tattler.db"), &garbage).unwrap();
    assert!(matches!(Store::open(dir.path()), Err(OpenError::Damaged { .. })));
    let (mut store, aside) = Store::open_or_begin_anew(dir.path(), NOW).unwrap();
    let aside = aside.unwrap();
    assert_eq!(aside.to, dir.path().canonicalize().unwrap().join("tattler.db.damaged-2026-11-21T00-41-33Z"));
    assert_eq!(fs::read(&aside.to).unwrap(), garbage);
    assert_eq!(fs::metadata(&aside.to).unwrap().permissions().mode() & 0o777, 0o600);
    let line = aside.to_string();
    assert!(!line.contains('\n') && line.contains("devices get new names"), "{line}");
    assert!(line.contains(&format!("`sqlite3 {} .dump`", aside.to.display())), "{line}");
    store.append(&[probe_at(1)]).unwrap();
    drop(store);
    let (_store, aside) = Store::open_or_begin_anew(dir.path(), NOW).unwrap();
    assert_eq!(aside, None);
    assert_eq!(times(dir.path()), [1]);
}

#[test]
fn a_newer_schema_is_never_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    drop(Store::open(dir.path()).unwrap());
    connection(dir.path()).pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(Store::open_or_begin_anew(dir.path(), NOW), Err(OpenError::Newer { .. })));
    assert_eq!(names(dir.path()), ["tattler.db", "tattler.lock"]);
}

#[test]
fn names_of_devices_and_acknowledgements_outlive_a_damaged_table() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    store.append(&[probe_at(1)]).unwrap();
    store.acknowledge(&ack()).unwrap();
    let key = store.device_key().unwrap();
    drop(store);
    damage(dir.path(), "probes");
    let (mut store, aside) = Store::open_or_begin_anew(dir.path(), NOW).unwrap();
    assert_eq!(aside, None, "nothing shows that yet");
    let error = store.replay(Time(0), &mut |_| ()).unwrap_err();
    assert!(error.is_corruption(), "{error}");
    let aside = store.begin_anew(&"a page", NOW).unwrap();
    assert!(aside.same_names);
    // And one in which they can't be read, once they were.
    for table in ["meta", "acks"] {
        damage(dir.path(), table);
    }
    store.begin_anew(&"more pages", NOW).unwrap();
    assert!(store.device_key().unwrap() == key);
    assert_eq!(store.acks().unwrap(), [ack()]);
    assert_eq!(store.damaged().0, 2);
    // The lock was held all the while.
    assert!(matches!(Store::open(dir.path()), Err(OpenError::InUse { .. })));
}

#[test]
fn a_damaged_database_keeps_its_log_for_who_looks_into_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    store.append(&[probe_at(1), probe_at(2)]).unwrap();
    let log = fs::read(dir.path().join("tattler.db-wal")).unwrap();
    assert!(!log.is_empty());
    let to = store.begin_anew(&"whatever", NOW).unwrap().to;
    assert_eq!(fs::read(&open::files(&to)[1]).unwrap(), log);
    // Nor did it take the log of the new one with it.
    let reader = Reader::open(dir.path()).unwrap();
    store.append(&[probe_at(3)]).unwrap();
    drop(reader);
    assert!(fs::metadata(dir.path().join("tattler.db-wal")).unwrap().len() > 0);
    // Both can be opened, and have what was in them.
    let rows = |path: &Path| {
        Connection::open(path).unwrap().query_row("SELECT count(*) FROM probes", [], |r| r.get::<_, u32>(0)).unwrap()
    };
    assert_eq!((rows(&to), times(dir.path())), (2, vec![3]));
}

/// Sets a database aside as on a day, on which its file was written.
fn set_aside(store: &mut Store, name: Time, written: Time) {
    let to = store.begin_anew(&"whatever", name).unwrap().to;
    let written = UNIX_EPOCH + Duration::from_micros(written.0 as u64);
    fs::File::options().append(true).open(to).unwrap().set_modified(written).unwrap();
}

#[test]
fn three_damaged_databases_are_kept_for_as_long_as_the_diary_and_none_after_forgetting() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let days = Span::from_days;
    for day in 0..5 {
        store.append(&[probe_at(1)]).unwrap();
        set_aside(&mut store, NOW + days(day), NOW + days(day));
        store.tidy(NOW + days(day), days(38), 1 << 30).unwrap();
    }
    let kept = || asides(dir.path()).unwrap().into_iter().map(|(at, _)| at).collect::<Vec<_>>();
    assert_eq!(kept(), [NOW + days(2), NOW + days(3), NOW + days(4)]);
    store.tidy(NOW + days(4), days(38), 1).unwrap();
    assert_eq!(kept(), [NOW + days(4)], "of too many bytes the latest is left");
    store.tidy(NOW + days(42), days(38), 1).unwrap();
    assert_eq!(kept(), [NOW + days(4)]);
    store.tidy(NOW + days(43), days(38), 1).unwrap();
    assert_eq!(kept(), []);
    // Before the clock was set; the file is of the day when it was written.
    set_aside(&mut store, Time(1), NOW);
    store.tidy(NOW + days(1), days(38), 1 << 30).unwrap();
    assert_eq!(kept(), [Time(0)]);
    open::remove(&asides(dir.path()).unwrap()[0].1).unwrap();
    // What somebody took for himself is not ours.
    fs::write(dir.path().join("tattler.db.damaged-mine"), "x").unwrap();
    store.begin_anew(&"whatever", NOW).unwrap();
    let what = Forget { prefix: Some("2001:db8::/32".parse().unwrap()), ..Forget::default() };
    assert_eq!(store.forget(&what).unwrap().damaged_files, 1);
    let names = names(dir.path());
    assert_eq!(names.iter().filter(|name| name.contains("damaged")).collect::<Vec<_>>(), ["tattler.db.damaged-mine"]);
}

#[test]
fn a_life_that_ends_while_it_sets_a_database_aside_leaves_the_devices_their_names() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let mac = [2, 0, 0, 0, 0, 1];
    let name = store.device_key().unwrap().name(mac, false);
    store.kept.key = key::read(&store.connection).unwrap();
    // Before the old one has gone, and after.
    drop(store.begun_at(&open::next(&store.path)).unwrap());
    drop(store);
    let mut store = Store::open(dir.path()).unwrap();
    assert_eq!(store.device_key().unwrap().name(mac, false), name);
    assert!(!open::next(&store.path).exists());
    store.kept.key = key::read(&store.connection).unwrap();
    drop(store.begun_at(&open::next(&store.path)).unwrap());
    move_aside(&store.path, NOW).unwrap();
    drop(store);
    let mut store = Store::open(dir.path()).unwrap();
    assert_eq!(store.device_key().unwrap().name(mac, false), name);
}

#[test]
fn a_database_that_could_not_be_begun_is_begun_later_and_nothing_is_moved_twice() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    store.append(&[probe_at(1)]).unwrap();
    // A directory in its place: as good as a disk without room.
    let to = move_aside(store.path(), NOW).unwrap();
    store.kept.moved = Some(to.clone());
    fs::create_dir(dir.path().join("tattler.db")).unwrap();
    assert!(store.begin_anew(&"whatever", NOW).is_err());
    assert!(store.begin_anew(&"whatever", NOW).is_err());
    fs::remove_dir(dir.path().join("tattler.db")).unwrap();
    assert_eq!(store.begin_anew(&"whatever", NOW).unwrap().to, to);
    store.append(&[probe_at(2)]).unwrap();
    assert_eq!(times(dir.path()), [2]);
    assert_eq!(asides(dir.path()).unwrap().len(), 1);
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(20), "waited in vain: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

fn quick() -> Settings {
    Settings { latency: Duration::from_millis(10), clock: || NOW, ..Settings::default() }
}

#[test]
fn damage_that_a_write_finds_costs_no_observation_that_is_queued() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    store.append(&[probe_at(NOW.0)]).unwrap();
    drop(store);
    let mut store = Store::open(dir.path()).unwrap();
    let key = store.device_key().unwrap();
    damage(dir.path(), "probes");
    let writer = Writer::start(store, quick()).unwrap();
    let counters = writer.counters();
    (1..=20).for_each(|n| writer.send(vec![probe_at(NOW.0 + n)]));
    wait_until("all written", || counters.written() == 20);
    assert_eq!((counters.damaged(), counters.lost(), counters.failure()), (1, 0, None));
    let file = counters.damaged_file().unwrap();
    assert!(file.ends_with("tattler.db.damaged-2026-11-21T00-41-33Z") && Path::new(&file).exists(), "{file}");
    let summary = writer.finish();
    assert_eq!((summary.written, summary.lost, summary.failure), (20, 0, None));
    assert_eq!(times(dir.path()), (1..=20).map(|n| NOW.0 + n).collect::<Vec<_>>());
    assert!(Store::open(dir.path()).unwrap().device_key().unwrap() == key);
}

#[test]
fn damage_that_a_query_finds_is_acted_on_once() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::start(Store::open(dir.path()).unwrap(), quick()).unwrap();
    let (counters, handle) = (writer.counters(), writer.handle().unwrap());
    // Two questions to the same database found it.
    handle.found_damage(0, "a page".into());
    handle.found_damage(0, "a page".into());
    writer.send(vec![probe_at(NOW.0)]);
    wait_until("the write", || counters.written() == 1);
    assert_eq!((counters.damaged(), times(dir.path()).len()), (1, 1));
}
