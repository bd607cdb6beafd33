//! The comparisons of the last attribution, reused where their inputs have not changed.
//!
//! The key of a comparison is a keyed hash of all its inputs: the locals under test with their first contacts,
//! devices and ends, the cases of the scanner, and the groups already accused. So a reused result equals a new
//! result. Repeated exchanges and locals that are not under test do not enter the key.
//!
//! The model is not kept: the time at risk grows with the window's end, so the inputs of the model change with every
//! event.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};

use super::cases::{Cases, tested_locals};
use super::group_test::{Explains, GroupTest};
use crate::view::frame::Frame;

/// The most tests kept, each about 500 bytes: 32 MB. Comparisons beyond this limit are computed each time. These are
/// the comparisons of groupings with fewer cases.
const MOST_TESTS: usize = 65_536;

/// The memo of the module.
#[derive(Default)]
pub struct Memo {
    /// Number of tests that the memo may keep. 0: no tests.
    room: usize,
    hasher: RandomState,
    layout: Cell<u64>,
    /// Comparisons of the previous attribution. Reused comparisons move to `now`.
    before: RefCell<HashMap<u64, Vec<GroupTest>>>,
    now: RefCell<HashMap<u64, Vec<GroupTest>>>,
    counts: Cell<MemoCounts>,
}

/// Numbers of comparisons since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoCounts {
    /// Number of computed comparisons.
    pub compared: u64,
    /// Number of reused comparisons.
    pub reused: u64,
}

impl Memo {
    /// A memo that keeps comparisons. The default memo keeps no comparisons.
    #[must_use]
    pub fn new() -> Memo {
        Memo { room: MOST_TESTS, ..Memo::default() }
    }

    /// The numbers of computed and reused comparisons.
    #[must_use]
    pub fn counts(&self) -> MemoCounts {
        self.counts.get()
    }

    /// Prepares the memo for an attribution. Call this when an attribution begins.
    pub(super) fn begin(&self, frame: &Frame, tested: &[bool]) {
        if self.room > 0 {
            self.layout.set(self.layout_key(frame, tested));
            *self.before.borrow_mut() = self.now.take();
        }
    }

    /// Deletes the comparisons that the attribution did not reuse. Call this when an attribution ends.
    pub(super) fn end(&self) {
        self.before.take();
    }

    /// The key of a scanner's cases.
    pub(super) fn cases_key(&self, cases: &Cases) -> u64 {
        if self.room == 0 {
            return 0;
        }
        let mut hash = self.hasher.build_hasher();
        self.layout.get().hash(&mut hash);
        cases.list.len().hash(&mut hash);
        for case in &cases.list {
            (case.local, case.at.0, case.contacts, case.gap.0).hash(&mut hash);
        }
        for cut in &cases.cut {
            (cut.local, cut.at.0, cut.contacts).hash(&mut hash);
        }
        hash.finish()
    }

    /// The tests of a comparison: from the memo, or else from `compare`.
    pub(super) fn tests(
        &self,
        cases: u64,
        explained: &[Explains],
        controls: (usize, usize),
        compare: impl FnOnce() -> Vec<GroupTest>,
    ) -> Vec<GroupTest> {
        let mut counts = self.counts.get();
        let key = self.hasher.hash_one((cases, controls, explained));
        let known = self.before.borrow_mut().remove(&key);
        let known = known.or_else(|| self.now.borrow().get(&key).cloned());
        match known {
            Some(_) => counts.reused += 1,
            None => counts.compared += 1,
        }
        self.counts.set(counts);
        let tests = known.unwrap_or_else(compare);
        let mut now = self.now.borrow_mut();
        if now.values().map(Vec::len).sum::<usize>() + tests.len() <= self.room && !now.contains_key(&key) {
            now.insert(key, tests.clone());
        }
        tests
    }

    /// The key of the locals under test and their contacts.
    fn layout_key(&self, frame: &Frame, tested: &[bool]) -> u64 {
        let mut hash = self.hasher.build_hasher();
        frame.len().hash(&mut hash);
        for number in tested_locals(tested) {
            let (local, firsts) = (frame.local(number), frame.firsts(number));
            (number, firsts.len(), local.device, local.ended.map(|ended| ended.0)).hash(&mut hash);
            for first in firsts {
                (first.at.0, u128::from(frame.ledger.address(first.remote))).hash(&mut hash);
            }
        }
        hash.finish()
    }
}
