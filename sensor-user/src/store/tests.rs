//! Written observations can be read back, and each error on opening a store is one line.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv6Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use rusqlite::Connection;
use sensor_common::{Kind, Proto};
use tattler_core::observation::{Answer, Contact, Observation, Probe, Traits};
use tattler_core::time::{Span, Time};
use tempfile::TempDir;

use super::*;
use crate::mark::Mark;

pub(super) fn probe_at(ts: i64) -> Observation {
    let (source, target) = ("2a0d:5600::29".parse().unwrap(), "2001:db8::e014:9aff:5e49:ecb3".parse().unwrap());
    let traits = Traits { hop_limit: Some(50), ..Traits::default() };
    Observation::Probe(Probe { traits, ..Probe::new(Time(ts), source, target, Kind::Syn, 22) })
}

/// A state directory with an empty store.
pub(super) fn new_store() -> (TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    (dir, store)
}

pub(super) fn replayed(store: &Store, since: i64) -> Vec<Observation> {
    let mut all = Vec::new();
    store.replay(Time(since), &mut |observation| all.push(observation)).unwrap();
    all
}

/// The times of all observations in a store, open or closed.
pub(super) fn times(dir: &TempDir) -> Vec<i64> {
    let mut times = Vec::new();
    let reader = Reader::open(dir.path()).unwrap();
    reader.replay(Time(i64::MIN), Time(i64::MAX), &mut |observation| times.push(observation.ts().0)).unwrap();
    times
}

/// Settings of a writer that does not wait, at a time at which no row is too old.
pub(super) fn quick() -> StoreSettings {
    StoreSettings { latency: Duration::from_millis(10), clock: || Time(0), ..StoreSettings::default() }
}

pub(super) fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(20), "waited in vain: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A second connection to the database, like a connection of the program sqlite3.
pub(super) fn connection(dir: &Path) -> Connection {
    Connection::open(dir.join("tattler.db")).unwrap()
}

/// Overwrites the first page of a table.
pub(crate) fn damage(dir: &Path, table: &str) {
    let other = connection(dir);
    other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let page = |sql: &str| -> u64 { other.query_row(sql, [], |row| row.get::<_, u32>(0)).unwrap().into() };
    let root = page(&format!("SELECT rootpage FROM sqlite_schema WHERE name = '{table}'"));
    let size = page("SELECT page_size FROM pragma_page_size");
    let file = fs::OpenOptions::new().write(true).open(dir.join("tattler.db")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &vec![0xa5; size as usize], (root - 1) * size).unwrap();
}

/// Three frequent addresses and random addresses, so that some contacts are equal.
fn address() -> impl Strategy<Value = Ipv6Addr> {
    prop_oneof![
        (0u16..3).prop_map(|n| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n)),
        any::<u128>().prop_map(Ipv6Addr::from)
    ]
}

fn kind() -> impl Strategy<Value = Kind> {
    proptest::sample::select(Kind::ALL)
}

prop_compose! {
    fn contact()(ts in 0i64..1_000, lasts in 0i64..1_000, local in address(), remote in address(),
        proto in proptest::sample::select(Proto::ALL), port in 0u16..2, local_port in of(any::<u16>()),
        count in any::<u32>(), name in of("\\PC{0,8}"), device in of("[a-z]{1,3}")) -> Observation {
        Observation::Contact(Contact {
            ts: Time(ts), last: Time(ts + lasts), local, remote, proto, port, local_port, count, name, device,
        })
    }
}

prop_compose! {
    fn traits()(hop_limit in of(any::<u8>()), source_port in of(any::<u16>()), icmp_id in of(any::<u16>()),
        icmp_seq in of(any::<u16>()), payload_len in of(any::<u16>()), payload_hash in of("[0-9a-f]{0,8}"),
        window in of(any::<u16>()), tcp_options in of("\\PC{0,8}"), tcp_flags in of(any::<u8>()),
        flow_label in of(any::<u32>())) -> Traits {
        Traits { hop_limit, source_port, icmp_id, icmp_seq, payload_len, payload_hash, window, tcp_options, tcp_flags,
            flow_label }
    }
}

prop_compose! {
    fn probe()(ts in 0i64..2_000, source in address(), target in address(), kind in kind(), port in any::<u16>(),
        count in any::<u32>(), traits in traits(), flags in any::<[bool; 3]>(), device in of("[a-z]{1,3}"))
        -> Observation {
        let [contacted_source, answered, settling] = flags;
        Observation::Probe(Probe {
            ts: Time(ts), source, target, kind, port, count, traits, contacted_source, answered, settling, device,
        })
    }
}

prop_compose! {
    fn answer()(ts in 0i64..2_000, source in address(), target in address(), kind in kind(), port in any::<u16>())
        -> Observation {
        Observation::Answer(Answer { ts: Time(ts), source, target, kind, port })
    }
}

/// The expected rows. Equal contacts, probes and answers are merged. The rows are in order of time, and for equal times
/// in order of type.
fn expected(sent: &[Observation], since: i64) -> Vec<Observation> {
    let mut contacts = BTreeMap::new();
    let mut probes: BTreeMap<_, Probe> = BTreeMap::new();
    let mut answers = BTreeMap::new();
    for observation in sent {
        match observation {
            Observation::Contact(c) => {
                let key = (c.local, c.remote, c.proto, c.port);
                let merged = contacts.get(&key).map_or_else(|| c.clone(), |old| merge(old, c));
                contacts.insert(key, merged);
            }
            Observation::Probe(p) => {
                let key = (p.ts, p.source, p.target, p.kind as u8, p.port);
                let merged = probes.get(&key).map_or_else(
                    || p.clone(),
                    |old| Probe {
                        count: old.count.saturating_add(p.count),
                        contacted_source: old.contacted_source || p.contacted_source,
                        answered: old.answered || p.answered,
                        settling: old.settling && p.settling,
                        device: old.device.clone().or(p.device.clone()),
                        ..old.clone()
                    },
                );
                probes.insert(key, merged);
            }
            Observation::Answer(a) => {
                answers.insert((a.ts, a.source, a.target, a.kind as u8, a.port), a.clone());
            }
        }
    }
    let contacts = contacts.into_values().filter(|c| c.last >= Time(since)).map(Observation::Contact);
    let probes = probes.into_values().map(Observation::Probe);
    let others = probes.chain(answers.into_values().map(Observation::Answer)).filter(|o| o.ts() >= Time(since));
    let mut all: Vec<_> = contacts.chain(others).collect();
    all.sort_by_key(Observation::ts);
    all
}

fn merge(old: &Contact, new: &Contact) -> Contact {
    let (word, silence) = if new.last >= old.last { (new, old) } else { (old, new) };
    Contact {
        ts: old.ts.min(new.ts),
        last: word.last,
        count: old.count.saturating_add(new.count),
        local_port: word.local_port.or(silence.local_port),
        name: word.name.clone().or(silence.name.clone()),
        device: word.device.clone().or(silence.device.clone()),
        ..old.clone()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn appended_rows_come_back_merged_and_in_order_of_time(
        sent in vec(prop_oneof![contact(), probe(), answer()], 0..40), at in 0usize..40, since in 0i64..2_000,
    ) {
        let (dir, mut store) = new_store();
        let (one, two) = sent.split_at(at.min(sent.len()));
        store.append(one).unwrap();
        store.append(two).unwrap();
        prop_assert_eq!(replayed(&store, 0), expected(&sent, 0));
        prop_assert_eq!(replayed(&store, since), expected(&sent, since));
        drop(store);

        let mut again = Store::open(dir.path()).unwrap();
        prop_assert_eq!(replayed(&again, 0), expected(&sent, 0));
        again.prune_some(Time(since), u32::MAX).unwrap();
        prop_assert_eq!(replayed(&again, 0), expected(&sent, since));
    }
}

#[test]
fn only_the_owner_can_access_the_files() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("state");
    let mut store = Store::open(&dir).unwrap();
    store.append(&[probe_at(1)]).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&dir), 0o700);
    let mut names = Vec::new();
    for entry in fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        names.push(path.file_name().unwrap().to_string_lossy().into_owned());
    }
    names.sort();
    assert_eq!(names, ["tattler.db", "tattler.db-shm", "tattler.db-wal", "tattler.lock"]);
    assert!(store.size() > 4096);
}

#[test]
fn a_directory_keeps_its_mode_and_the_database_becomes_private() {
    let dir = tempfile::tempdir().unwrap();
    drop(Store::open(dir.path()).unwrap());
    let database = dir.path().join("tattler.db");
    fs::set_permissions(&database, fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let _store = Store::open(dir.path()).unwrap();
    assert_eq!(fs::metadata(&database).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(dir.path()).unwrap().permissions().mode() & 0o777, 0o755);
}

fn refusal(dir: &Path) -> String {
    let line = Store::open(dir).err().expect("is refused").to_string();
    assert!(!line.contains('\n'), "one line: {line}");
    line
}

#[test]
fn a_second_sensor_is_refused_until_the_first_ends() {
    let (dir, first) = new_store();
    let path = dir.path().canonicalize().unwrap();
    let (path, process) = (path.display(), std::process::id());
    let expected = format!(
        "the state directory {path} is in use by another tattler (process {process}); stop it, or name another with --state"
    );
    assert_eq!(refusal(dir.path()), expected);
    drop(first);
    Store::open(dir.path()).unwrap();
}

#[test]
fn a_directory_that_cannot_be_used_is_refused_with_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let state = file.join("state");
    let expected = format!(
        "cannot use the state directory {}: not a directory; run as its owner, or name another with --state",
        state.display()
    );
    assert_eq!(refusal(&state), expected);
    // Not even root can write to /proc.
    assert!(refusal(Path::new("/proc/tattler")).starts_with("cannot use the state directory /proc/tattler: "));
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(refusal(dir.path()).contains("chmod go-w"));
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let target = dir.path().join("elsewhere");
    std::os::unix::fs::symlink(&target, dir.path().join("tattler.db")).unwrap();
    assert!(refusal(dir.path()).contains("too many levels of symbolic links"));
    assert!(!target.exists());
}

#[test]
fn a_row_that_cannot_be_decoded_ends_the_replay() {
    let (dir, mut store) = new_store();
    store.append(&[probe_at(1), probe_at(2)]).unwrap();
    connection(dir.path()).execute("UPDATE probes SET kind = 99 WHERE ts = 2", []).unwrap();
    let mut seen = 0;
    let error = store.replay(Time(0), &mut |_| seen += 1).unwrap_err();
    assert!(matches!(error, ReplayError::Damaged { .. }), "{error}");
    assert!(!error.to_string().contains('\n'));
}

#[test]
fn a_batch_that_does_not_fit_is_written_once_there_is_room() {
    let (_dir, mut store) = new_store();
    store.append(&[probe_at(1)]).unwrap();
    store.connection.pragma_update_and_check(None, "max_page_count", 20, |_| Ok(())).unwrap();
    let batch: Vec<_> = (2..10_002).map(probe_at).collect();
    let error = store.append(&batch).unwrap_err();
    assert!(matches!(error, WriteError::Full(_)), "{error}");
    assert_eq!(replayed(&store, 0), [probe_at(1)]);
    store.connection.pragma_update_and_check(None, "max_page_count", 100_000, |_| Ok(())).unwrap();
    store.append(&batch).unwrap();
    assert_eq!(replayed(&store, 0).len(), 10_001);
}

#[test]
fn the_mark_is_written_with_its_observations_or_not_at_all() {
    let (dir, mut store) = new_store();
    assert_eq!(store.mark().unwrap(), None);
    let mark = Mark { boot: 1 << 100, ring: u32::MAX, position: u64::MAX - 7, since: 9 };
    store.append_after(Span(0), &[probe_at(1)], Some(&mark)).unwrap();
    assert_eq!(store.mark().unwrap(), Some(mark));
    let refuse = "CREATE TRIGGER no BEFORE INSERT ON probes BEGIN SELECT RAISE(FAIL, 'no'); END";
    store.connection.execute_batch(refuse).unwrap();
    let later = Mark { position: 1, ..mark };
    store.append_after(Span(0), &[probe_at(2)], Some(&later)).unwrap_err();
    assert_eq!(store.mark().unwrap(), Some(mark));
    store.append_after(Span(0), &[], Some(&later)).unwrap();
    drop(store);
    assert_eq!(Store::open(dir.path()).unwrap().mark().unwrap(), Some(later));
}
