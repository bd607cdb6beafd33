//! Changes that users make to the diary of a running sensor: on disk first, then in memory.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use tattler_core::ack::{Ack, LONGEST_NOTE};
use tattler_core::forget::{Forget, Forgotten};
use tattler_core::words::remote_name;

use crate::agent::state::Shared;
use crate::agent::suspects;
use crate::device_names;
use crate::store::{Store, WriteError};

/// Deletes from store, ledger and kernel tables.
///
/// # Errors
/// One line. If it says that traces are left, the rows are deleted.
pub fn forget(shared: &Shared, what: &Forget) -> Result<Forgotten, String> {
    if what.is_nothing() {
        return Err("nothing to forget was named".into());
    }
    let (what, names) = (what.clone(), shared.names());
    let in_window = what.device.as_deref().is_some_and(|device| shared.ledger().knows_device(device));
    let (meant, forgotten, acks) = with_store(shared, move |store| {
        let meant = device_names::resolve(&what, &names, store, in_window).map_err(|error| error.to_string())?;
        let forgotten = store.forget(&meant).map_err(|error| failed(store, &error));
        Ok::<_, String>((meant, forgotten, store.acks().ok()))
    })??;
    // In memory too if traces are left on the disk: the rows are deleted then. If the disk keeps the rows, they come
    // back with the next start.
    in_memory(shared, &meant);
    if let Some(acks) = acks {
        *shared.acks() = acks;
    }
    forgotten
}

/// Deletes everything about single addresses, as few times as possible: each deletion may rewrite the database.
///
/// # Errors
/// One line; it has to be done again then.
pub fn forget_addresses(shared: &Shared, addresses: &[Ipv6Addr]) -> Result<(), String> {
    let single = |&address: &Ipv6Addr| Forget { prefix: Some(address.into()), ..Forget::default() };
    let what: Vec<Forget> = addresses.iter().map(single).collect();
    let all = what.clone();
    let forgotten = with_store(shared, move |store| store.forget(&all).map_err(|error| failed(store, &error)))?;
    in_memory(shared, &what);
    forgotten.map(drop)
}

fn in_memory(shared: &Shared, what: &[Forget]) {
    shared.forget(what);
    suspects::forget(shared);
    *shared.worked_out() = None;
}

/// Acknowledges a remote.
///
/// # Errors
/// One line.
pub fn acknowledge(shared: &Shared, ack: Ack) -> Result<Ack, String> {
    if ack.note.as_ref().is_some_and(|note| note.len() > LONGEST_NOTE) {
        return Err(format!("the note is longer than {LONGEST_NOTE} bytes"));
    }
    let new = ack.clone();
    change(shared, move |store| store.acknowledge(&new).map_err(|error| failed(store, &error)))?;
    Ok(ack)
}

/// Removes an acknowledgement.
///
/// # Errors
/// One line, such as that there is none.
pub fn unacknowledge(shared: &Shared, remote: Ipv6Net) -> Result<Ipv6Net, String> {
    if change(shared, move |store| store.unacknowledge(remote).map_err(|error| failed(store, &error)))? {
        Ok(remote.trunc())
    } else {
        Err(format!("{} is not acknowledged; `tattler ack --list` shows what is", remote_name(remote)))
    }
}

fn change<T: Send + 'static>(
    shared: &Shared,
    change: impl FnOnce(&mut Store) -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let (changed, acks) = with_store(shared, move |store| {
        let changed = change(store)?;
        Ok::<_, String>((changed, store.acks().map_err(|error| error.to_string())?))
    })??;
    *shared.acks() = acks;
    *shared.worked_out() = None;
    Ok(changed)
}

/// The error as one line. Damage makes the writer set the database aside.
fn failed(store: &mut Store, error: &WriteError) -> String {
    store.suspect(error);
    error.to_string()
}

fn with_store<T: Send + 'static>(
    shared: &Shared,
    action: impl FnOnce(&mut Store) -> T + Send + 'static,
) -> Result<T, String> {
    let diary = shared.diary.as_ref().ok_or("the sensor is stopping")?;
    diary.with(action)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::channel;
    use std::thread;

    use sensor_common::Proto;
    use serde_json::{Value, json};
    use tattler_core::ledger::{Ledger, LedgerSettings};
    use tattler_core::observation::{Contact, Observation};
    use tattler_core::time::Time;

    use super::super::answers::answer;
    use super::*;
    use crate::contract::Request;
    use crate::store::{self, Store, Writer};

    fn contact(local: &str, remote: &str, ts: i64) -> Observation {
        let (local, remote, ts) = (local.parse().unwrap(), remote.parse().unwrap(), Time::from_seconds(ts));
        let (proto, port, count) = (Proto::Tcp, 443, 1);
        let (local_port, name, device) = (None, None, None);
        Observation::Contact(Contact { ts, last: ts, local, remote, proto, port, local_port, count, name, device })
    }

    /// A sensor without a network: its observations are in the ledger, and on their way to the disk.
    fn sensor(dir: &std::path::Path) -> (Arc<Shared>, Writer) {
        let observations = [
            contact("2001:db8::1:2:3:4", "2a05::1", 10),
            contact("2001:db8::1:2:3:4", "2a05::2", 20),
            contact("2001:db8::5:6:7:8", "2a05::1", 30),
        ];
        let store = Store::open(dir).unwrap();
        // Nothing is written until a query asks for it.
        let settings = store::StoreSettings { latency: std::time::Duration::from_secs(3_600), ..store::StoreSettings::default() };
        let settings = store::StoreSettings { clock: || Time(0), ..settings };
        let writer = Writer::start(store, settings).unwrap();
        let mut ledger = Ledger::new(LedgerSettings::default());
        observations.iter().for_each(|o| ledger.observe(o));
        writer.send(observations.to_vec());
        (Arc::new(Shared::new(Time(0), dir.to_owned(), &writer, Vec::new(), ledger, None)), writer)
    }

    fn ask(shared: &Shared, question: Value) -> Result<Value, String> {
        answer(shared, &serde_json::from_value::<Request>(question).unwrap())
    }

    fn contacts(dir: &std::path::Path) -> usize {
        let mut count = 0;
        Store::open(dir).unwrap().replay(Time(i64::MIN), &mut |_| count += 1).unwrap();
        count
    }

    #[test]
    fn a_running_sensor_forgets_queued_stored_and_remembered_rows() {
        let dir = tempfile::tempdir().unwrap();
        let (shared, writer) = sensor(dir.path());
        let forgotten = ask(&shared, json!({"query": "forget", "what": {"prefix": "2001:db8::1:2:3:4/128"}})).unwrap();
        assert_eq!(forgotten, json!({"contacts": 2, "clipped": 0, "probes": 0, "answers": 0, "acks": 0}));
        assert_eq!(shared.ledger().contacts().len(), 1);
        assert_eq!(shared.ledger().id("2001:db8::1:2:3:4".parse().unwrap()), None);
        let before = json!({"query": "forget", "what": {"before": "1970-01-01T00:00:31.000Z"}});
        assert_eq!(ask(&shared, before).unwrap()["contacts"], 1);
        assert_eq!(shared.ledger().contacts().len(), 0);
        assert_eq!(shared.ledger().locals().len(), 0);
        assert!(ask(&shared, json!({"query": "forget", "what": {}})).unwrap_err().contains("nothing to forget"));
        assert_eq!(writer.finish().written, 3);
        assert_eq!(contacts(dir.path()), 0);
        assert_eq!(
            ask(&shared, json!({"query": "forget", "what": {"device": "x"}})).unwrap_err(),
            "the sensor is stopping"
        );
    }

    #[test]
    fn observations_that_wait_for_the_ledger_are_forgotten_too() {
        let dir = tempfile::tempdir().unwrap();
        let (shared, _writer) = sensor(dir.path());
        // The loop has handed it to the store, and a query holds the ledger.
        let pending = contact("2001:db8::1:2:3:4", "2a05::3", 40);
        ask(&shared, json!({"query": "forget", "what": {"prefix": "2001:db8::1:2:3:4/128"}})).unwrap();
        let mut ledger = shared.ledger();
        ledger.observe(&pending);
        assert_eq!(ledger.contacts().len(), 2);
        assert!(shared.is_forgetting() && shared.forget_late(&mut ledger).is_some());
        assert_eq!(ledger.contacts().len(), 1);
        assert_eq!(ledger.id("2001:db8::1:2:3:4".parse().unwrap()), None);
        // Later observations are recorded again.
        ledger.observe(&pending);
        assert!(shared.forget_late(&mut ledger).is_none());
        assert_eq!(ledger.contacts().len(), 2);
    }

    #[test]
    fn a_change_that_finds_damage_says_so_and_the_next_one_finds_a_new_database() {
        let dir = tempfile::tempdir().unwrap();
        let (shared, writer) = sensor(dir.path());
        // As when it was opened: nothing of this table is in memory.
        crate::store::tests::damage(dir.path(), "acks");
        let ack = json!({"query": "ack", "remote": "2a05::/32"});
        let error = ask(&shared, ack.clone()).unwrap_err();
        assert!(error.contains("is damaged"), "{error}");
        assert_eq!(shared.ledger().contacts().len(), 3, "memory stays");
        ask(&shared, ack).unwrap();
        assert_eq!((shared.store.damaged(), shared.acks().len()), (1, 1));
        assert_eq!(writer.finish().lost, 0);
    }

    #[test]
    fn the_kernels_tables_forget_the_locals_of_a_device() {
        let dir = tempfile::tempdir().unwrap();
        let (sender, receiver) = channel();
        let writer = Writer::start(Store::open(dir.path()).unwrap(), store::StoreSettings::default()).unwrap();
        let mut ledger = Ledger::new(LedgerSettings::default());
        ledger.observe(&contact("2001:db8::1:2:3:4", "2a05::1", 10));
        let shared = Shared::new(Time(0), dir.path().to_owned(), &writer, Vec::new(), ledger, Some(sender));
        let local = "2001:db8::1:2:3:4".parse().unwrap();
        shared.ledger().belongs_to(local, "dev-00000001");
        ask(&shared, json!({"query": "forget", "what": {"device": "dev-00000001"}})).unwrap();
        let erase = receiver.try_recv().unwrap().unwrap();
        let [(forget, locals)] = &erase.what[..] else { panic!("{erase:?}") };
        assert_eq!((forget.device.as_deref(), locals.len(), locals.contains(&local)), (Some("dev-00000001"), 1, true));
    }

    #[test]
    fn a_device_is_forgotten_by_its_name_in_the_configuration() {
        let dir = tempfile::tempdir().unwrap();
        let (shared, writer) = sensor(dir.path());
        let of_device = |device: &str, local: &str| {
            let Observation::Contact(mut contact) = contact(local, "2a05::3", 50) else { panic!() };
            contact.device = Some(device.to_owned());
            Observation::Contact(contact)
        };
        let seen = [of_device("dev-00000001", "2001:db8::9:6:7:8"), of_device("dev-00000002", "2001:db8::a:6:7:8")];
        seen.iter().for_each(|observation| shared.ledger().observe(observation));
        writer.send(seen.to_vec());
        let mut names = tattler_core::names::Names::default();
        // A laptop by cable and by air.
        names.name_device("dev-00000001", "laptop");
        names.name_device("dev-00000002", "laptop");
        shared.set_names(names);
        let ask = |device: &str| ask(&shared, json!({"query": "forget", "what": {"device": device}}));
        let error = ask("labtop").unwrap_err();
        assert!(error.starts_with("no device is called labtop") && !error.contains('\n'), "{error}");
        assert_eq!(shared.ledger().contacts().len(), 5);
        assert_eq!(ask("laptop").unwrap()["contacts"], 2);
        assert_eq!(shared.ledger().contacts().len(), 3);
        assert_eq!(writer.finish().written, 5);
        assert_eq!(contacts(dir.path()), 3);
    }

    #[test]
    fn acknowledgements_are_kept_over_a_restart_and_undone() {
        let dir = tempfile::tempdir().unwrap();
        let (shared, writer) = sensor(dir.path());
        let until = Time::from_seconds(4_000_000_000);
        ask(&shared, json!({"query": "ack", "remote": "2a05::7/32", "until": until, "note": "ours"})).unwrap();
        let acks = ask(&shared, json!({"query": "acks"})).unwrap();
        assert_eq!((&acks[0]["remote"], &acks[0]["note"]), (&json!("2a05::/32"), &json!("ours")));
        let long = "x".repeat(LONGEST_NOTE + 1);
        assert!(ask(&shared, json!({"query": "ack", "remote": "2a05::/32", "note": long})).is_err());
        drop(writer);
        let kept = Store::open(dir.path()).unwrap().acks().unwrap();
        assert_eq!((kept.len(), kept[0].until), (1, Some(until)));

        let (shared, _writer) = sensor(dir.path());
        shared.acks().extend(kept);
        ask(&shared, json!({"query": "unack", "remote": "2a05::/32"})).unwrap();
        assert_eq!(ask(&shared, json!({"query": "acks"})), Ok(json!([])));
        let error = ask(&shared, json!({"query": "unack", "remote": "2a05::/32"})).unwrap_err();
        assert_eq!(error, "2a05::/32 is not acknowledged; `tattler ack --list` shows what is");
    }

    #[test]
    fn a_store_that_can_not_be_written_does_not_forget_and_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let (shared, _writer) = sensor(dir.path());
        // Somebody else is at the file.
        let other = rusqlite::Connection::open(dir.path().join("tattler.db")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let (sender, receiver) = channel();
        let asked = Arc::clone(&shared);
        thread::spawn(move || sender.send(ask(&asked, json!({"query": "forget", "what": {"prefix": "2a05::/32"}}))));
        let error = receiver.recv().unwrap().unwrap_err();
        assert!(error.contains("cannot write to") && !error.contains('\n'), "{error}");
        assert_eq!(shared.ledger().contacts().len(), 3, "memory and disk tell the same");
        other.execute_batch("ROLLBACK").unwrap();
        assert!(ask(&shared, json!({"query": "forget", "what": {"prefix": "2a05::/32"}})).is_ok());
    }

    #[test]
    fn forgetting_addresses_that_nobody_knows_leaves_the_ledger_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let (shared, _writer) = sensor(dir.path());
        let forgotten = || shared.ledger().revision().forgotten;
        let unknown: Vec<Ipv6Addr> = (1..100).map(|n| Ipv6Addr::from(0x2001_0db8 << 96 | n)).collect();
        forget_addresses(&shared, &unknown).unwrap();
        while shared.forget_late(&mut shared.ledger()).is_some() {}
        assert_eq!(forgotten(), 0, "each would compact the whole ledger");
        forget_addresses(&shared, &["2001:db8::1:2:3:4".parse().unwrap()]).unwrap();
        assert_eq!((forgotten(), shared.ledger().contacts().len()), (1, 1));
    }
}
