//! What the sensor's loop writes and its queries read.

use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use tattler_core::ack::Ack;
use tattler_core::forget::Forget;
use tattler_core::home::Home;
use tattler_core::ledger::Ledger;
use tattler_core::live_report::LiveReport;
use tattler_core::names::Names;
use tattler_core::time::{Span, Time};

use super::clock;
use super::erase::Erase;
use super::follow::Changes;
use super::suspects::Suspects;
use crate::datapath::{Attachment, Counters};
use crate::store;

/// Shared by the loop, the query socket and HTTP.
pub struct Shared {
    started: AtomicI64,
    steps: AtomicU64,
    /// The state directory.
    pub state: PathBuf,
    /// What the store did.
    pub store: Arc<store::Counters>,
    /// A way to the database, for what changes it.
    pub diary: Option<store::Handle>,
    /// Observations that the configuration excludes from being recorded.
    pub excluded: AtomicU64,
    acks: Mutex<Vec<Ack>>,
    ledger: Mutex<Ledger>,
    live: Mutex<LiveReport>,
    seen: Mutex<Seen>,
    suspects: Mutex<Option<Suspects>>,
    names: Mutex<Arc<Names>>,
    forgets: Mutex<Vec<Forget>>,
    eraser: Mutex<Option<Sender<Erase>>>,
    reading: Mutex<()>,
}

/// The loop's latest view, a second old at most.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The uplinks.
    pub uplinks: Vec<Attachment>,
    /// The indices of those that are watched and up.
    pub up: Vec<u32>,
    /// One line for each that is not watched.
    pub faults: Vec<String>,
    /// What became of them since the start.
    pub changes: Changes,
    /// What is home.
    pub home: Vec<Home>,
    /// The programs' counters.
    pub counters: Counters,
    /// Events taken out of the ring.
    pub drained: u64,
    /// Records that no program of ours writes.
    pub invalid: u64,
    /// Events set aside because their remote was none: behind NAT64, or home.
    pub set_aside: u64,
    /// Events that an earlier life had seen, and neither it wrote nor this one could read.
    pub lost_between: u64,
    /// For how long nothing has been seen.
    pub silent_for: Duration,
    /// When the latest event was seen.
    pub last_event: Option<Time>,
}

impl Shared {
    /// With the ledger as it was rebuilt.
    #[must_use]
    pub fn new(started: Time, state: PathBuf, writer: &store::Writer, acks: Vec<Ack>, ledger: Ledger) -> Shared {
        Shared {
            started: AtomicI64::new(started.0),
            steps: AtomicU64::default(),
            state,
            store: writer.counters(),
            diary: writer.handle(),
            excluded: AtomicU64::default(),
            acks: Mutex::new(acks),
            ledger: Mutex::new(ledger),
            live: Mutex::default(),
            seen: Mutex::default(),
            suspects: Mutex::default(),
            names: Mutex::default(),
            forgets: Mutex::default(),
            eraser: Mutex::default(),
            reading: Mutex::default(),
        }
    }

    /// When this life of the sensor began.
    pub fn started(&self) -> Time {
        Time(self.started.load(Relaxed))
    }

    /// How often the wall clock was set since then.
    pub fn clock_steps(&self) -> u64 {
        self.steps.load(Relaxed)
    }

    /// It was set, for the `steps`th time.
    pub fn clock_was_set(&self, step: Span, steps: u64) {
        self.started.store((self.started() + step).0, Relaxed);
        self.steps.store(steps, Relaxed);
    }

    /// The remotes that are acknowledged, as the database has them.
    pub fn acks(&self) -> MutexGuard<'_, Vec<Ack>> {
        self.acks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is kept beside the ledger. Who holds the ledger must not wait for this.
    pub fn live(&self) -> MutexGuard<'_, LiveReport> {
        // What a panic left half done is worked out again.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ledger. Who thinks long does so over [`Shared::live`]; meanwhile the ring holds the events.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // A query that panicked has only read.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ledger, unless a query holds it just now.
    pub fn ledger_if_free(&self) -> Option<MutexGuard<'_, Ledger>> {
        match self.ledger.try_lock() {
            Ok(ledger) => Some(ledger),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Has the kernel's tables forget too, from now on.
    pub fn erase_by(&self, eraser: Sender<Erase>) {
        *self.eraser.lock().unwrap_or_else(PoisonError::into_inner) = Some(eraser);
    }

    /// Nobody asks for that any more.
    pub fn end_erasing(&self) {
        *self.eraser.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Forgets what the ledger has, and what the loop will tell it that is under way: the disk has
    /// forgotten it already. What was recorded since then goes from memory too, and comes back from
    /// the disk with the next start: rather that than to know what was to be forgotten.
    pub fn forget(&self, what: &[Forget]) {
        // Before the ledger: what the loop tells it in between is in it then.
        self.forgets().extend_from_slice(what);
        let mut ledger = self.ledger();
        if let Some(eraser) = &*self.eraser.lock().unwrap_or_else(PoisonError::into_inner) {
            let of = |what: &Forget| what.device.as_deref().map(|id| ledger.locals_of(id)).unwrap_or_default();
            let what = what.iter().map(|what| (what.clone(), of(what))).collect();
            // Its thread ends after everybody who could ask.
            let _ = eraser.send(Erase { what, at: clock::boot() });
        }
        what.iter().for_each(|what| _ = ledger.forget(what));
    }

    /// Forgets once more, now that the ledger has what was under way; returns what.
    pub fn forget_late(&self, ledger: &mut Ledger) -> Vec<Forget> {
        let forgets = std::mem::take(&mut *self.forgets());
        forgets.iter().for_each(|what| _ = ledger.forget(what));
        forgets
    }

    /// Whether there is something to forget late.
    pub fn is_forgetting(&self) -> bool {
        !self.forgets().is_empty()
    }

    fn forgets(&self) -> MutexGuard<'_, Vec<Forget>> {
        self.forgets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was worked out last; `None` if it counts no more.
    pub fn suspects(&self) -> MutexGuard<'_, Option<Suspects>> {
        self.suspects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The right to answer from the store: a ledger for another time is as large as the live one, and
    /// the sensor has room for one more, not for sixteen.
    pub fn reading(&self) -> MutexGuard<'_, ()> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Other names from now on.
    pub fn set_names(&self, names: Names) {
        *self.names.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(names);
    }

    /// The names by the configuration.
    pub fn names(&self) -> Arc<Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The loop's latest view.
    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
