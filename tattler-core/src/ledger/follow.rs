//! A copy of the ledger. An update of the copy costs as much as the changes since the previous update. Long
//! computations use the copy while the ledger receives new observations.

use super::{Ledger, LedgerSettings};

/// Maximum number of changed rows in the list of changes: this number, or the table's rows divided by `SHARE` if that
/// is more. Beyond the maximum, the next update copies all rows.
const LEAST: usize = 4_096;
const SHARE: usize = 8;

/// The state of the ledger, as counters: every change increments at least one counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Revision {
    /// Number of changes of any kind.
    pub all: u64,
    /// Number of new probes of locals in use whose addresses can't be guessed: only such probes make suspects. Other
    /// changes affect only denominators.
    pub evidence: u64,
    /// Number of times that rows were removed at the user's request or by age.
    pub forgotten: u64,
}

/// Rows that changed since the last update of the copy. New rows need no entry, since they are at the end of the
/// table.
pub(super) enum Changed {
    Rows(Vec<u32>),
    /// Too many rows changed, rows moved, or there is no copy yet.
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

    /// An empty ledger that can [`Ledger::follow`] another ledger. It then uses as much memory as the other ledger.
    #[must_use]
    pub fn copy() -> Ledger {
        Ledger::new(LedgerSettings::default())
    }

    /// Becomes a copy of `other`: locals, contacts and probes, without the state that only [`Ledger::observe`] needs.
    /// The cost is proportional to the changes since the last call. Several copies of one ledger are allowed, but
    /// then each call copies everything.
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
