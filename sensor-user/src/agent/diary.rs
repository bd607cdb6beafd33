//! What changes the diary while the sensor runs: first on disk, then in memory.

use ipnet::Ipv6Net;

use super::shared::Shared;
use crate::ack::{Ack, LONGEST_NOTE};
use crate::forget::{Forget, Forgotten};
use crate::store::Store;

/// Deletes from the store and from the window.
///
/// # Errors
/// One line; if it says that traces are left, the rows are deleted.
pub fn forget(shared: &Shared, what: &Forget) -> Result<Forgotten, String> {
    if what.is_nothing() {
        return Err("nothing to forget was named".into());
    }
    let on_disk = what.clone();
    let forgotten = with_store(shared, move |store| {
        let forgotten = store.forget(&on_disk);
        (forgotten.map_err(|error| error.to_string()), store.acks().ok())
    })?;
    // In memory too if the disk keeps traces: the rows are deleted then. If it keeps the rows, they
    // come back with the next start.
    shared.ledger().forget(what);
    *shared.suspects() = None;
    if let Some(acks) = forgotten.1 {
        *shared.acks() = acks;
    }
    forgotten.0
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
    change(shared, move |store| store.acknowledge(&new).map_err(|error| error.to_string()))?;
    Ok(ack)
}

/// Undoes that. Returns what there was.
///
/// # Errors
/// One line: it was not acknowledged, for one.
pub fn unacknowledge(shared: &Shared, remote: Ipv6Net) -> Result<Ipv6Net, String> {
    if change(shared, move |store| store.unacknowledge(remote).map_err(|error| error.to_string()))? {
        Ok(remote.trunc())
    } else {
        Err(format!("{remote} is not acknowledged; `tattler ack --list` shows what is"))
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

fn with_store<T: Send + 'static>(
    shared: &Shared,
    action: impl FnOnce(&mut Store) -> T + Send + 'static,
) -> Result<T, String> {
    let diary = shared.diary.as_ref().ok_or("the sensor is stopping")?;
    diary.with(action)
}
