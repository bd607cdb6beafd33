//! A copy of the ledger that is brought up to date at the cost of what changed, for those who think
//! long about it while the ledger goes on.

use super::{Ledger, Settings};

/// Bounds of rows that are remembered as changed: beyond, all are copied.
const LEAST: usize = 4_096;
const SHARE: usize = 8;

/// How far the ledger is. Any change makes another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Revision {
    /// Changes of any kind.
    pub all: u64,
    /// New probes of locals in use that nobody guesses: what suspects are made of. All else moves
    /// denominators.
    pub evidence: u64,
    /// Times that the user had something forgotten, or that rows were dropped by age.
    pub forgotten: u64,
}

/// Rows that changed since the copy was brought up to date; new ones are at the end and need no note.
pub(super) enum Changed {
    Rows(Vec<u32>),
    /// Too many, or they moved; and before there is a copy.
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
    /// How far it is.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// An empty one to [`Ledger::follow`] another with. It takes as much memory as that does.
    #[must_use]
    pub fn copy() -> Ledger {
        Ledger::new(Settings::default())
    }

    /// Becomes a copy of `other` in all that it says of locals, contacts and probes; what only
    /// observing needs is left out. Costs what changed since the last time; of several copies, which
    /// is allowed and slow, all of it.
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
