//! What one attribution leaves to the next: the comparisons whose inputs have not changed.
//!
//! A comparison is found by a keyed hash of all that it reads: the locals under test with their first
//! contacts, devices and ends, the cases of the scanner, and what is set aside. So what is reused is
//! what would come out again; repeated exchanges and locals that are not under test change none of it.
//!
//! The model is not among it: the time for which contacts were at risk goes on with the window's end,
//! so its inputs are others at each event.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};

use super::cases::Cases;
use super::matched::{Explains, Test};
use crate::view::frame::Frame;

/// Tests kept, each some 500 bytes: 32 MB. What comes later (views with fewer cases) is worked out
/// again.
const MOST_TESTS: usize = 65_536;

/// See the module.
#[derive(Default)]
pub struct Memo {
    /// How many tests it may keep; 0: it remembers nothing.
    room: usize,
    hasher: RandomState,
    layout: Cell<u64>,
    /// Of the attribution before this one; what this one uses goes over.
    before: RefCell<HashMap<u64, Vec<Test>>>,
    now: RefCell<HashMap<u64, Vec<Test>>>,
    counts: Cell<Counts>,
}

/// Comparisons, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Worked out.
    pub compared: u64,
    /// Taken from before.
    pub reused: u64,
}

impl Memo {
    /// One that remembers; the default does not.
    #[must_use]
    pub fn new() -> Memo {
        Memo { room: MOST_TESTS, ..Memo::default() }
    }

    /// What it spared.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts.get()
    }

    /// A new attribution begins.
    pub(super) fn begin(&self, frame: &Frame, tested: &[bool]) {
        if self.room > 0 {
            self.layout.set(self.of_layout(frame, tested));
            *self.before.borrow_mut() = self.now.take();
        }
    }

    /// It is over: what it had no use for goes.
    pub(super) fn end(&self) {
        self.before.take();
    }

    /// The key of a scanner's comparisons.
    pub(super) fn of_cases(&self, cases: &Cases) -> u64 {
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

    /// The tests of a comparison, by the key of the scanner and what else it depends on.
    pub(super) fn tests(
        &self,
        cases: u64,
        explained: &[Explains],
        controls: (usize, usize),
        compare: impl FnOnce() -> Vec<Test>,
    ) -> Vec<Test> {
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

    fn of_layout(&self, frame: &Frame, tested: &[bool]) -> u64 {
        let mut hash = self.hasher.build_hasher();
        frame.len().hash(&mut hash);
        for number in (0..frame.len()).filter(|&number| tested[number]) {
            let (local, firsts) = (frame.local(number), frame.firsts(number));
            (number, firsts.len(), local.device, local.ended.map(|ended| ended.0)).hash(&mut hash);
            for first in firsts {
                (first.at.0, u128::from(frame.ledger.address(first.remote))).hash(&mut hash);
            }
        }
        hash.finish()
    }
}
