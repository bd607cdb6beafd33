//! Changes that users make to the diary of a running sensor: on disk first, then in memory. An error is one line for
//! the user.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use tattler_core::ack::{Ack, LONGEST_NOTE};
use tattler_core::forget::{Forget, Forgotten};
use tattler_core::words::remote_name;

use crate::agent::state::Shared;
use crate::agent::suspects;
use crate::device_names;
use crate::store::{Store, WriteError};

/// Deletes from store, ledger and kernel tables. If the error says that traces are left, the rows are deleted.
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

/// Deletes everything about single addresses at once, since each deletion may rewrite the database. After an error it
/// has to be done again.
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
pub fn acknowledge(shared: &Shared, ack: Ack) -> Result<Ack, String> {
    if ack.note.as_ref().is_some_and(|note| note.len() > LONGEST_NOTE) {
        return Err(format!("the note is longer than {LONGEST_NOTE} bytes"));
    }
    let new = ack.clone();
    change(shared, move |store| store.acknowledge(&new).map_err(|error| failed(store, &error)))?;
    Ok(ack)
}

/// Removes an acknowledgement.
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
    shared.changes.as_ref().ok_or("the sensor is stopping")?.with(action)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::mpsc::{Sender, channel};

    use sensor_common::Proto;
    use serde_json::{Value, json};
    use tattler_core::ledger::{Ledger, LedgerSettings};
    use tattler_core::observation::{Contact, Observation};
    use tattler_core::time::Time;

    use super::super::answers::answer;
    use super::*;
    use crate::agent::kernel_tables::Erase;
    use crate::agent::tests::shared;
    use crate::store::{Reader, Writer};

    fn contact(local: &str, remote: &str, ts: i64) -> Observation {
        let (local, remote, ts) = (local.parse().unwrap(), remote.parse().unwrap(), Time::from_seconds(ts));
        Observation::Contact(Contact::new(ts, local, remote, Proto::Tcp, 443))
    }

    /// A sensor without a network: its observations are in the ledger, and on their way to the disk.
    fn sensor(dir: &Path, eraser: Option<Sender<Option<Erase>>>) -> (Arc<Shared>, Writer) {
        let observations = [
            contact("2001:db8::1:2:3:4", "2a05::1", 10),
            contact("2001:db8::1:2:3:4", "2a05::2", 20),
            contact("2001:db8::5:6:7:8", "2a05::1", 30),
        ];
        let mut ledger = Ledger::new(LedgerSettings::default());
        observations.iter().for_each(|o| ledger.observe(o));
        let (shared, writer) = shared(dir, ledger, eraser);
        writer.send(observations.to_vec());
        (shared, writer)
    }

    fn ask(shared: &Shared, question: Value) -> Result<Value, String> {
        answer(shared, &serde_json::from_value(question).unwrap())
    }

    fn forget(shared: &Shared, what: Value) -> Result<Value, String> {
        ask(shared, json!({"query": "forget", "what": what}))
    }

    fn contacts(dir: &Path) -> usize {
        let mut count = 0;
        Store::open(dir).unwrap().replay(Time(i64::MIN), &mut |_| count += 1).unwrap();
        count
    }

    #[test]
    fn a_running_sensor_forgets_queued_stored_and_remembered_rows() {
        let dir = tempfile::tempdir().unwrap();
        let (shared, writer) = sensor(dir.path(), None);
        let forgotten = forget(&shared, json!({"prefix": "2001:db8::1:2:3:4/128"})).unwrap();
        assert_eq!(forgotten, json!({"contacts": 2, "clipped": 0, "probes": 0, "answers": 0, "acks": 0}));
        assert_eq!(shared.ledger().contacts().len(), 1);
        assert_eq!(shared.ledger().id("2001:db8::1:2:3:4".parse().unwrap()), None);
        let before = json!({"before": "1970-01-01T00:00:31.000Z"});
        assert_eq!(forget(&shared, before).unwrap()["contacts"], 1);
        assert_eq!(shared.ledger().contacts().len(), 0);
        assert_eq!(shared.ledger().locals().len(), 0);
        assert!(forget(&shared, json!({})).unwrap_err().contains("nothing to forget"));
        assert_eq!(writer.finish().written, 3);
        assert_eq!(contacts(dir.path()), 0);
        assert_eq!(forget(&shared, json!({"device": "x"})).unwrap_err(), "the sensor is stopping");
    }

    #[test]
    fn observations_that_wait_for_the_ledger_are_forgotten_too() {
        let dir = tempfile::tempdir().unwrap();
        let (shared, _writer) = sensor(dir.path(), None);
        // The loop has handed it to the store, and a query holds the ledger.
        let pending = contact("2001:db8::1:2:3:4", "2a05::3", 40);
        forget(&shared, json!({"prefix": "2001:db8::1:2:3:4/128"})).unwrap();
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
    fn after_a_change_that_finds_damage_the_database_is_a_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let (shared, writer) = sensor(dir.path(), None);
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
    fn a_device_is_forgotten_by_its_name_in_the_kernels_tables_too() {
        let dir = tempfile::tempdir().unwrap();
        let (eraser, erased) = channel();
        let (shared, writer) = sensor(dir.path(), Some(eraser));
        let locals = ["2001:db8::9:6:7:8", "2001:db8::a:6:7:8"];
        let mut names = tattler_core::names::Names::default();
        // A laptop by cable and by air.
        for (id, local) in ["dev-00000001", "dev-00000002"].into_iter().zip(locals) {
            let Observation::Contact(mut contact) = contact(local, "2a05::3", 50) else { panic!() };
            contact.device = Some(id.to_owned());
            shared.ledger().observe(&Observation::Contact(contact.clone()));
            writer.send(vec![Observation::Contact(contact)]);
            names.name_device(id, "laptop");
        }
        shared.set_names(names);
        let error = forget(&shared, json!({"device": "labtop"})).unwrap_err();
        assert!(error.starts_with("no device is called labtop") && !error.contains('\n'), "{error}");
        assert_eq!(shared.ledger().contacts().len(), 5);
        assert_eq!(forget(&shared, json!({"device": "laptop"})).unwrap()["contacts"], 2);
        assert_eq!(shared.ledger().contacts().len(), 3);
        let erase = erased.try_recv().unwrap().unwrap();
        let erased: Vec<_> = erase.what.into_iter().map(|(_, locals)| locals).collect();
        assert_eq!(erased, locals.map(|local| HashSet::from([local.parse::<Ipv6Addr>().unwrap()])));
        assert_eq!(writer.finish().written, 5);
        assert_eq!(contacts(dir.path()), 3);
    }

    #[test]
    fn acknowledgements_are_stored_and_undone() {
        let dir = tempfile::tempdir().unwrap();
        let (shared, _writer) = sensor(dir.path(), None);
        let ack = |note: &str| ask(&shared, json!({"query": "ack", "remote": "2a05::7/32", "note": note}));
        assert!(ack(&"x".repeat(LONGEST_NOTE + 1)).is_err());
        ack("ours").unwrap();
        let acks = ask(&shared, json!({"query": "acks"})).unwrap();
        assert_eq!((&acks[0]["remote"], &acks[0]["note"]), (&json!("2a05::/32"), &json!("ours")));
        assert_eq!(Reader::open(dir.path()).unwrap().acks().unwrap().len(), 1);
        let undo = || ask(&shared, json!({"query": "unack", "remote": "2a05::/32"}));
        undo().unwrap();
        assert_eq!(ask(&shared, json!({"query": "acks"})), Ok(json!([])));
        assert_eq!(undo().unwrap_err(), "2a05::/32 is not acknowledged; `tattler ack --list` shows what is");
    }

    #[test]
    fn a_store_that_cannot_be_written_forgets_nothing_and_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let (shared, _writer) = sensor(dir.path(), None);
        // Another process writes to the file.
        let other = rusqlite::Connection::open(dir.path().join("tattler.db")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let error = forget(&shared, json!({"prefix": "2a05::/32"})).unwrap_err();
        assert!(error.contains("cannot write to") && !error.contains('\n'), "{error}");
        assert_eq!(shared.ledger().contacts().len(), 3, "memory is as the disk");
        other.execute_batch("ROLLBACK").unwrap();
        assert!(forget(&shared, json!({"prefix": "2a05::/32"})).is_ok());
    }

    #[test]
    fn forgetting_unknown_addresses_leaves_the_ledger_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (shared, _writer) = sensor(dir.path(), None);
        let forgotten = || shared.ledger().revision().forgotten;
        let unknown: Vec<Ipv6Addr> = (1..100).map(|n| Ipv6Addr::from(0x2001_0db8 << 96 | n)).collect();
        forget_addresses(&shared, &unknown).unwrap();
        while shared.forget_late(&mut shared.ledger()).is_some() {}
        assert_eq!(forgotten(), 0, "each would compact the whole ledger");
        forget_addresses(&shared, &["2001:db8::1:2:3:4".parse().unwrap()]).unwrap();
        assert_eq!((forgotten(), shared.ledger().contacts().len()), (1, 1));
    }
}
