//! What changes the diary while the sensor runs: first on disk, then in memory.

use ipnet::Ipv6Net;
use tattler_core::ack::{Ack, LONGEST_NOTE};
use tattler_core::forget::{Forget, Forgotten};
use tattler_core::words::remote_name;

use super::shared::Shared;
use super::suspects;
use crate::store::{Store, WriteError};
use crate::told;

/// Deletes from the store and from the window.
///
/// # Errors
/// One line; if it says that traces are left, the rows are deleted.
pub fn forget(shared: &Shared, what: &Forget) -> Result<Forgotten, String> {
    if what.is_nothing() {
        return Err("nothing to forget was named".into());
    }
    let (what, names) = (what.clone(), shared.names());
    let in_memory = what.device.as_deref().is_some_and(|device| shared.ledger().knows_device(device));
    let (meant, forgotten, acks) = with_store(shared, move |store| {
        let meant = told::meant(&what, &names, store, in_memory).map_err(|error| error.to_string())?;
        let forgotten = store.forget_all(&meant).map_err(|error| failed(store, &error));
        Ok::<_, String>((meant, forgotten, store.acks().ok()))
    })??;
    // In memory too if the disk keeps traces: the rows are deleted then. If it keeps the rows, they
    // come back with the next start.
    shared.forget(&meant);
    suspects::forget(shared);
    *shared.suspects() = None;
    if let Some(acks) = acks {
        *shared.acks() = acks;
    }
    forgotten
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

/// Undoes that. Returns what there was.
///
/// # Errors
/// One line: it was not acknowledged, for one.
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
    *shared.suspects() = None;
    Ok(changed)
}

/// One line for who asked; damage makes the writer set the database aside.
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
    use tattler_core::ledger::{Ledger, Settings};
    use tattler_core::observation::{Contact, Observation};
    use tattler_core::time::Time;

    use super::super::queries::answer;
    use super::*;
    use crate::contract::Request;
    use crate::store::{self, Store, Writer};

    fn contact(local: &str, remote: &str, ts: i64) -> Observation {
        let (local, remote, ts) = (local.parse().unwrap(), remote.parse().unwrap(), Time::from_seconds(ts));
        let (proto, port, count) = (Proto::Tcp, 443, 1);
        let (local_port, name, device) = (None, None, None);
        Observation::Contact(Contact { ts, last: ts, local, remote, proto, port, local_port, count, name, device })
    }

    /// A sensor without a network: what it observed is in the window, and on its way to the disk.
    fn sensor(dir: &std::path::Path) -> (Arc<Shared>, Writer) {
        let observations = [
            contact("2001:db8::1:2:3:4", "2a05::1", 10),
            contact("2001:db8::1:2:3:4", "2a05::2", 20),
            contact("2001:db8::5:6:7:8", "2a05::1", 30),
        ];
        let store = Store::open(dir).unwrap();
        // Nothing is written unless somebody asks for it.
        let settings = store::Settings { latency: std::time::Duration::from_secs(3_600), ..store::Settings::default() };
        let settings = store::Settings { clock: || Time(0), ..settings };
        let writer = Writer::start(store, settings).unwrap();
        let mut ledger = Ledger::new(Settings::default());
        observations.iter().for_each(|o| ledger.observe(o));
        writer.send(observations.to_vec());
        (Arc::new(Shared::new(Time(0), dir.to_owned(), &writer, Vec::new(), ledger)), writer)
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
    fn the_running_sensor_forgets_what_is_queued_on_disk_and_in_the_window() {
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
    fn what_waits_for_the_ledger_is_forgotten_with_the_rest() {
        let dir = tempfile::tempdir().unwrap();
        let (shared, _writer) = sensor(dir.path());
        // The loop has handed it to the store, and a query holds the ledger.
        let pending = contact("2001:db8::1:2:3:4", "2a05::3", 40);
        ask(&shared, json!({"query": "forget", "what": {"prefix": "2001:db8::1:2:3:4/128"}})).unwrap();
        let mut ledger = shared.ledger();
        ledger.observe(&pending);
        assert_eq!(ledger.contacts().len(), 2);
        shared.forget_late(&mut ledger);
        assert_eq!(ledger.contacts().len(), 1);
        assert_eq!(ledger.id("2001:db8::1:2:3:4".parse().unwrap()), None);
        // What comes later is of another time.
        ledger.observe(&pending);
        shared.forget_late(&mut ledger);
        assert_eq!(ledger.contacts().len(), 2);
    }

    #[test]
    fn damage_that_a_change_finds_is_told_and_the_next_change_finds_a_new_diary() {
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
    fn the_kernels_tables_are_to_forget_the_locals_of_a_device_too() {
        let dir = tempfile::tempdir().unwrap();
        let (shared, _writer) = sensor(dir.path());
        let (sender, receiver) = channel();
        shared.erase_by(sender);
        let local = "2001:db8::1:2:3:4".parse().unwrap();
        shared.ledger().belongs_to(local, "dev-00000001");
        ask(&shared, json!({"query": "forget", "what": {"device": "dev-00000001"}})).unwrap();
        let erase = receiver.try_recv().unwrap();
        let [(forget, locals)] = &erase.what[..] else { panic!("{erase:?}") };
        assert_eq!((forget.device.as_deref(), locals.len(), locals.contains(&local)), (Some("dev-00000001"), 1, true));
    }

    #[test]
    fn a_device_is_forgotten_by_the_name_that_the_configuration_gives_it() {
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
    fn a_store_that_can_not_be_written_refuses_to_forget_and_says_why() {
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
}
