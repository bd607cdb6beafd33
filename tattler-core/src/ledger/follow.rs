//! A copy of the ledger that is updated at the cost of the changes alone. Long computations use the
//! copy while the ledger takes new observations.

use super::{Ledger, LedgerSettings};

/// Up to this many rows, or this share of them, are remembered as changed; beyond that all are copied.
const LEAST: usize = 4_096;
const SHARE: usize = 8;

/// The state of the ledger, as counters: any change raises one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Revision {
    /// Changes of any kind.
    pub all: u64,
    /// New probes of locals in use that can't be guessed: only these make suspects. Other changes move
    /// denominators.
    pub evidence: u64,
    /// How often rows were removed at the user's request or by age.
    pub forgotten: u64,
}

/// Rows that changed since the last update of the copy. New rows are at the end and need no note.
pub(super) enum Changed {
    Rows(Vec<u32>),
    /// Too many changed, rows moved, or there is no copy yet.
    All,
}

impl Changed {
    pub(super) fn note(&mut self, row: u32, rows: usize) {
        if let Changed::Rows(list) = self {
            if list.last() == Some(&row) {
                return;
            }
            list.push(row);
            if list.len() > LEAST.max(rows / SHARE) {
                *self = Changed::All;
            }
        }
    }
}

impl Ledger {
    /// The current revision.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// An empty ledger that can [`Ledger::follow`] another one. It then takes as much memory.
    #[must_use]
    pub fn copy() -> Ledger {
        Ledger::new(LedgerSettings::default())
    }

    /// Becomes a copy of `other`: locals, contacts and probes, without the state that only observing
    /// needs. Costs as much as has changed since the last call. Several copies of one ledger are
    /// allowed, but then each call copies everything.
    pub fn follow(&mut self, other: &mut Ledger) {
        let is_mine = self.followed != 0 && self.followed == other.followed && self.numbering == other.numbering;
        other.followed += 1;
        self.followed = other.followed;
        self.numbering = other.numbering;
        self.revision = other.revision;
        self.counts = other.counts;
        self.settings.clone_from(&other.settings);
        self.addresses.follow(&other.addresses, is_mine);
        self.devices.follow(&other.devices, is_mine);
        self.strings.follow(&other.strings, is_mine);
        self.locals.follow(&mut other.locals, is_mine);
        self.contacts.follow(&mut other.contacts, is_mine);
        self.probes.follow(&mut other.probes, is_mine);
    }
}
