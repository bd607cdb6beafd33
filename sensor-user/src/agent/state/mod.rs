//! What the loop writes and queries read.
//!
//! # Lock order
//! A thread that holds one lock of [`Shared`] may take those after it, never one before it: `reading`, `live`,
//! `ledger`, `worked_out`, `acks`, `forgets`, `view`, `names`. Those after `ledger` are held for milliseconds at
//! most, so the loop may wait for them. It never waits for the first three: it takes the ledger when that is free.

mod view;
mod worked_out;

use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use tattler_core::ack::Ack;
use tattler_core::forget::Forget;
use tattler_core::ledger::Ledger;
use tattler_core::live_report::LiveReport;
use tattler_core::names::Names;
use tattler_core::time::Time;

use super::clock;
use super::kernel_tables::Erase;
use crate::store;

pub use view::{SensorView, UplinkChanges, UplinkView};
#[cfg(test)]
pub use worked_out::EVIDENCE_PACE;
pub use worked_out::WorkedOut;

/// Shared by the loop, the query socket and HTTP.
pub struct Shared {
    /// The state directory.
    pub state: PathBuf,
    /// Counters of the store's thread.
    pub store: Arc<store::StoreCounters>,
    /// Runs changes on the store's thread.
    pub changes: Option<store::StoreHandle>,
    eraser: Option<Sender<Option<Erase>>>,
    reading: Mutex<()>,
    live: Mutex<LiveReport>,
    ledger: Mutex<Ledger>,
    worked_out: Mutex<Option<WorkedOut>>,
    acks: Mutex<Vec<Ack>>,
    forgets: Mutex<Vec<Forget>>,
    view: Mutex<SensorView>,
    names: Mutex<Arc<Names>>,
}

impl Shared {
    /// With the ledger as it was rebuilt. `eraser` takes what the kernel's tables are to forget.
    pub fn new(
        started: Time,
        state: PathBuf,
        writer: &store::Writer,
        acks: Vec<Ack>,
        ledger: Ledger,
        eraser: Option<Sender<Option<Erase>>>,
    ) -> Shared {
        Shared {
            state,
            store: writer.counters(),
            changes: writer.handle(),
            eraser,
            reading: Mutex::default(),
            live: Mutex::default(),
            ledger: Mutex::new(ledger),
            worked_out: Mutex::default(),
            acks: Mutex::new(acks),
            forgets: Mutex::default(),
            view: Mutex::new(SensorView { started, ..SensorView::default() }),
            names: Mutex::default(),
        }
    }

    /// The right to answer from the store. A ledger for another time is as large as the live one, and there is
    /// room for one more, not for sixteen.
    pub fn reading(&self) -> MutexGuard<'_, ()> {
        lock(&self.reading)
    }

    /// The copy of the ledger with the suspects.
    pub fn live(&self) -> MutexGuard<'_, LiveReport> {
        lock(&self.live)
    }

    /// The ledger. Long work belongs on [`Shared::live`]: the loop can't record while this is held.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    /// The ledger, unless another thread holds it.
    pub fn ledger_if_free(&self) -> Option<MutexGuard<'_, Ledger>> {
        match self.ledger.try_lock() {
            Ok(ledger) => Some(ledger),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// The suspects as they were worked out last; `None` if they have to be worked out again.
    pub fn worked_out(&self) -> MutexGuard<'_, Option<WorkedOut>> {
        lock(&self.worked_out)
    }

    /// The remotes that are acknowledged, as the database has them.
    pub fn acks(&self) -> MutexGuard<'_, Vec<Ack>> {
        lock(&self.acks)
    }

    /// The loop's latest view.
    pub fn view(&self) -> MutexGuard<'_, SensorView> {
        lock(&self.view)
    }

    pub fn set_names(&self, names: Names) {
        *lock(&self.names) = Arc::new(names);
    }

    /// The names by the configuration.
    pub fn names(&self) -> Arc<Names> {
        lock(&self.names).clone()
    }

    /// Removes rows from the ledger, from observations still queued for it, and from the kernel's tables. To be
    /// called once the disk has deleted them. Anything recorded since then is dropped from memory too and
    /// returns at the next start; we prefer that to keeping something the user deleted.
    pub fn forget(&self, what: &[Forget]) {
        // Before the ledger forgets: the loop may feed it queued observations right afterwards.
        lock(&self.forgets).extend_from_slice(what);
        let mut ledger = self.ledger();
        if let Some(eraser) = &self.eraser {
            let of = |what: &Forget| what.device.as_deref().map(|id| ledger.locals_of(id)).unwrap_or_default();
            let what = what.iter().map(|what| (what.clone(), of(what))).collect();
            // The thread has ended if the sensor is stopping.
            let _ = eraser.send(Some(Erase { what, at: clock::boot() }));
        }
        what.iter().for_each(|what| forget_in(&mut ledger, what));
    }

    /// Removes the rows of one [`Shared::forget`] again, now that the ledger has what was queued. Returns what
    /// it was. One at a time: each may take seconds in a full ledger, and the loop has to go on in between.
    pub fn forget_late(&self, ledger: &mut Ledger) -> Option<Forget> {
        let forget = lock(&self.forgets).pop()?;
        forget_in(ledger, &forget);
        Some(forget)
    }

    /// Whether [`Shared::forget_late`] has something to do.
    pub fn is_forgetting(&self) -> bool {
        !lock(&self.forgets).is_empty()
    }

    /// Ends the thread that erases from the kernel's tables, once it has done what waits.
    pub fn end_erasing(&self) {
        if let Some(eraser) = &self.eraser {
            let _ = eraser.send(None);
        }
    }
}

/// Forgetting compacts the whole ledger, so it is left out for a single address that the ledger does not know.
fn forget_in(ledger: &mut Ledger, what: &Forget) {
    let single = what.prefix.filter(|prefix| prefix.prefix_len() == 128 && what.device.is_none());
    if single.is_none_or(|prefix| ledger.id(prefix.addr()).is_some()) {
        let _ = ledger.forget(what);
    }
}

/// A thread that panicked has either only read, or left something that is worked out again.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
