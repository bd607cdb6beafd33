//! What goes in comes out, and who may not use the store is told so in one line.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv6Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use rusqlite::Connection;
use sensor_common::{Kind, Proto};
use tattler_core::observation::{Answer, Contact, Observation, Probe, Traits};
use tattler_core::time::Time;

use super::*;

pub(super) fn probe_at(ts: i64) -> Observation {
    Observation::Probe(Probe {
        ts: Time(ts),
        source: "2a0d:5600::29".parse().unwrap(),
        target: "2001:db8::e014:9aff:5e49:ecb3".parse().unwrap(),
        kind: Kind::Syn,
        port: 22,
        count: 1,
        traits: Traits { hop_limit: Some(50), ..Traits::default() },
        contacted_source: false,
        answered: false,
        settling: false,
        device: None,
    })
}

/// A second connection, as a person with sqlite3 would have.
pub(super) fn connection(dir: &Path) -> Connection {
    Connection::open(dir.join("tattler.db")).unwrap()
}

/// Overwrites a page in the middle of the file: the one that a table begins with.
pub(crate) fn damage(dir: &Path, table: &str) {
    let other = connection(dir);
    other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let page = |sql: &str| -> u64 { other.query_row(sql, [], |row| row.get::<_, u32>(0)).unwrap().into() };
    let root = page(&format!("SELECT rootpage FROM sqlite_schema WHERE name = '{table}'"));
    let size = page("SELECT page_size FROM pragma_page_size");
    let file = fs::OpenOptions::new().write(true).open(dir.join("tattler.db")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &vec![0xa5; size as usize], (root - 1) * size).unwrap();
}

fn replayed(store: &Store, since: i64) -> Vec<Observation> {
    let mut all = Vec::new();
    store.replay(Time(since), &mut |observation| all.push(observation)).unwrap();
    all
}

/// Few addresses and ports, so that contacts meet.
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

/// What should come out: contacts merged, and what was seen at the same time of the same kind; all in
/// order of time, equal times in order of kind.
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
    fn what_is_appended_comes_back_in_order_of_time_with_contacts_merged(
        sent in vec(prop_oneof![contact(), probe(), answer()], 0..40), at in 0usize..40, since in 0i64..2_000,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let (one, two) = sent.split_at(at.min(sent.len()));
        store.append(one).unwrap();
        store.append(two).unwrap();
        prop_assert_eq!(replayed(&store, 0), expected(&sent, 0));
        prop_assert_eq!(replayed(&store, since), expected(&sent, since));
        drop(store);

        let mut again = Store::open(dir.path()).unwrap();
        prop_assert_eq!(replayed(&again, 0), expected(&sent, 0));
        again.prune(Time(since)).unwrap();
        prop_assert_eq!(replayed(&again, 0), expected(&sent, since));
    }
}

#[test]
fn the_diary_is_its_owners_alone() {
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
fn a_directory_that_exists_keeps_its_mode_and_a_database_in_it_is_made_private() {
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
fn a_second_sensor_on_the_same_directory_is_refused_until_the_first_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let first = Store::open(dir.path()).unwrap();
    let path = dir.path().canonicalize().unwrap();
    assert_eq!(
        refusal(dir.path()),
        format!(
            "the state directory {} is in use by another tattler (process {}); stop it, or name another with --state",
            path.display(),
            std::process::id()
        )
    );
    drop(first);
    Store::open(dir.path()).unwrap();
}

#[test]
fn a_newer_schema_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    drop(Store::open(dir.path()).unwrap());
    connection(dir.path()).pragma_update(None, "user_version", 7).unwrap();
    let expected = format!("tattler.db has schema version 7, this tattler knows up to {}", schema::VERSION);
    assert!(refusal(dir.path()).contains(&expected));
    assert_eq!(schema::version(&connection(dir.path())).unwrap(), 7);
}

#[test]
fn a_directory_that_others_can_write_to_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(refusal(dir.path()).contains("chmod go-w"));
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let state = file.join("state");
    assert_eq!(
        refusal(&state),
        format!(
            "cannot use the state directory {}: not a directory; run as its owner, or name another with --state",
            state.display()
        )
    );
    // Not even root can write there.
    assert!(refusal(Path::new("/proc/tattler")).starts_with("cannot use the state directory /proc/tattler: "));
}

#[test]
fn what_is_no_database_is_called_damaged_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let garbage = b"this was never a database, whatever its name says".repeat(100);
    fs::write(dir.path().join("tattler.db"), &garbage).unwrap();
    let line = refusal(dir.path());
    assert!(line.contains("tattler.db is damaged") && line.contains("`tattler run` sets it aside"), "{line}");
    assert_eq!(fs::read(dir.path().join("tattler.db")).unwrap(), garbage);
}

#[test]
fn a_link_in_place_of_the_database_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("elsewhere");
    std::os::unix::fs::symlink(&target, dir.path().join("tattler.db")).unwrap();
    assert!(refusal(dir.path()).contains("too many levels of symbolic links"));
    assert!(!target.exists());
}

#[test]
fn a_row_that_no_sensor_wrote_is_told_and_ends_the_replay() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    store.append(&[probe_at(1), probe_at(2)]).unwrap();
    connection(dir.path()).execute("UPDATE probes SET kind = 99 WHERE ts = 2", []).unwrap();
    let mut seen = 0;
    let error = store.replay(Time(0), &mut |_| seen += 1).unwrap_err();
    assert!(matches!(error, ReplayError::Damaged { .. }), "{error}");
    assert!(!error.to_string().contains('\n'));
}

#[test]
fn a_batch_that_finds_no_room_is_refused_whole_and_taken_once_there_is_some() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    store.append(&[probe_at(1)]).unwrap();
    store.connection.pragma_update_and_check(None, "max_page_count", 20, |_| Ok(())).unwrap();
    let batch: Vec<_> = (2..10_002).map(probe_at).collect();
    let error = store.append(&batch).unwrap_err();
    assert!(matches!(error, WriteError::Full { .. }), "{error}");
    assert_eq!(replayed(&store, 0), [probe_at(1)]);
    store.connection.pragma_update_and_check(None, "max_page_count", 100_000, |_| Ok(())).unwrap();
    store.append(&batch).unwrap();
    assert_eq!(replayed(&store, 0).len(), 10_001);
}

#[test]
#[ignore = "a measurement: cargo test --release -p sensor-user store_figures -- --ignored --nocapture"]
fn store_figures() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let mut random = 1u64;
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    let contact = |ts: i64, local: u64, remote: u64| {
        Observation::Contact(Contact {
            ts: Time(ts),
            last: Time(ts),
            local: Ipv6Addr::from(0x2001_0db8_u128 << 96 | u128::from(local.wrapping_mul(0x9e37_79b9_7f4a_7c15))),
            remote: Ipv6Addr::from(0x2a00_u128 << 112 | u128::from(remote.wrapping_mul(0xbf58_476d_1ce4_e5b9)) << 32),
            proto: Proto::Tcp,
            port: 443,
            local_port: Some(50_000),
            count: 1,
            name: None,
            device: None,
        })
    };
    let measure = |what: &str, store: &mut Store, all: Vec<Observation>| {
        let start = Instant::now();
        for batch in all.chunks(1_000) {
            store.append(batch).unwrap();
        }
        let rate = all.len() as f64 / start.elapsed().as_secs_f64();
        println!("{what}: {rate:.0}/s, {} MB on disk", store.size() >> 20);
    };
    // As it is: fifty locals at a time, which others follow.
    let contacts: Vec<_> = (0..500_000).map(|i| contact(i, i as u64 / 20_000 * 50 + next(50), next(100_000))).collect();
    measure("500,000 new contacts", &mut store, contacts.clone());
    measure("the same again", &mut store, contacts);
    // The worst: each in a place of its own.
    let contacts: Vec<_> = (0..500_000).map(|i| contact(i, next(1 << 30), next(100_000))).collect();
    measure("500,000 new contacts in no order", &mut store, contacts);
    measure("1,000,000 probes", &mut store, (0..1_000_000).map(probe_at).collect());
    let start = Instant::now();
    let mut count = 0;
    store.replay(Time(0), &mut |_| count += 1).unwrap();
    println!("replay of {count}: {:.2?}", start.elapsed());
    let start = Instant::now();
    let rows = store.prune(Time(500_000)).unwrap();
    println!("prune of {rows}: {:.2?}", start.elapsed());
    let start = Instant::now();
    store.prune_some(Time(500_000), 5_000).unwrap();
    println!("prune of nothing: {:.2?}", start.elapsed());
}
