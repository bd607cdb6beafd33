//! The matched comparison: did probed addresses contact a remote more often than unprobed addresses with the same
//! number of contacts?
//!
//! A plain 2x2 table compares the time of a probed address up to its probe with the whole lifetime of others,
//! and addresses with a long or busy lifetime contact more of everything. Here each case is compared with locals that
//! were not probed *by then*, where "then" is measured by a clock that counts new contacts: a case that was probed
//! after its 12th remote is compared with the first 12 remotes of the other locals. (This is Cox's partial
//! likelihood with the number of contacts for time; Thomas 1977 on drawing some of the controls.) If a remote
//! has nothing to do with the probes, the case is a random local among the compared locals. Its chance of having
//! contacted the remote is then the share of compared locals that had contacted it. The tail of the sum of these
//! trials is the p of the remote.
//!
//! The same comparison is made for contacts shortly before the probe: it finds a remote that everybody contacts sooner
//! or later, if probes follow at once.

use super::cases::{Case, Cases};
use super::devices::Factors;
use super::group_test::{Explains, GroupTest, WINDOWS};
use super::groups::Groups;
use super::memo::Memo;
use super::tally::Tally;
use crate::time::{Span, Time};
use crate::view::frame::{First, Frame};

const NONE: u32 = u32::MAX;

/// The most controls for each case. The controls are the nearest in time, so there must not be too many. If there are
/// many cases, each has fewer controls. Beyond ten controls a case, more controls add little.
const MAX_CONTROLS: usize = 64;
const MIN_CONTROLS: usize = 24;
/// The most controls in the comparison that must confirm: the very nearest controls, in use on the same days.
const NEAR_CONTROLS: usize = 6;
/// Contacts within this time after the last contact of a control count too. A page loads its parts in any order, and a
/// cut in the middle would separate contacts that belong together.
const TOGETHER: Span = Span::from_seconds(1);
const MAX_TOGETHER: usize = 16;
/// The most locals examined to find controls.
const MAX_POOL: usize = 2_048;
/// Approximate number of pairs of a case and a control that are examined in one pass.
const BUDGET: usize = 24_000;
/// The most cases compared in one pass. If there are more cases, an evenly chosen selection represents all cases.
const MAX_CASES: usize = 2_500;

/// A local, with the number of its contacts that can be compared.
struct Reach {
    contacts: u32,
    local: u32,
    /// The position of the local's case, or [`NONE`].
    case: u32,
}

/// A local as a control. Controls nearest in time sort first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Control {
    /// Microseconds between the case's probe and the moment at which the control is compared.
    apart: u64,
    contacts: u32,
    local: u32,
}

/// The comparison of one scanner's cases, or of all cases.
pub struct Matched<'a> {
    frame: &'a Frame<'a>,
    groups: &'a Groups,
    tested: &'a [bool],
    /// The cases.
    pub cases: &'a Cases,
    /// The locals. The local with the most contacts comes first.
    ranked: Vec<Reach>,
    /// For each group: its position in `candidates`.
    slots: Vec<u32>,
    /// Groups that a case had contacted.
    pub candidates: Vec<usize>,
    /// The memo, and the key of these cases in it.
    memo: Option<(&'a Memo, u64)>,
}

impl<'a> Matched<'a> {
    /// Prepares the comparison. `tested`: locals that can be controls.
    #[must_use]
    pub fn new(frame: &'a Frame<'a>, groups: &'a Groups, tested: &'a [bool], cases: &'a Cases) -> Matched<'a> {
        let mut reach: Vec<(u32, u32)> =
            (0..frame.len()).map(|n| (if tested[n] { frame.firsts(n).len() as u32 } else { 0 }, NONE)).collect();
        for cut in &cases.cut {
            reach[cut.local as usize].0 = cut.contacts;
        }
        let mut slots = vec![NONE; groups.list.len()];
        let mut candidates = Vec::new();
        for (i, case) in cases.list.iter().enumerate() {
            reach[case.local as usize] = (case.contacts, i as u32);
            for group in case.contacted(frame).iter().flat_map(|first| groups.of(first.remote)) {
                if slots[group] == NONE {
                    slots[group] = 0;
                    candidates.push(group);
                }
            }
        }
        candidates.sort_unstable();
        for (slot, &group) in candidates.iter().enumerate() {
            slots[group] = slot as u32;
        }
        let reach = reach.into_iter().enumerate().filter(|(_, (contacts, _))| *contacts > 0);
        let mut ranked: Vec<Reach> =
            reach.map(|(local, (contacts, case))| Reach { contacts, local: local as u32, case }).collect();
        ranked.sort_unstable_by(|a, b| b.contacts.cmp(&a.contacts).then(a.local.cmp(&b.local)));
        Matched { frame, groups, tested, cases, ranked, slots, candidates, memo: None }
    }

    /// Makes the comparison reuse results from the memo.
    #[must_use]
    pub fn with(self, memo: &'a Memo) -> Matched<'a> {
        Matched { memo: Some((memo, memo.cases_key(self.cases))), ..self }
    }

    /// Whether a local had contacted any of these groups, among the local's first `contacts` remotes and within the
    /// group's window before `moment`.
    fn is_explained(&self, local: u32, contacts: u32, moment: Time, explained: &[Explains]) -> bool {
        let is_by = |e: &Explains, first: &First| {
            moment - first.at <= WINDOWS[e.window] && self.groups.of(first.remote).any(|group| group == e.group)
        };
        !explained.is_empty()
            && self.frame.firsts(local as usize)[..contacts as usize]
                .iter()
                .any(|first| explained.iter().any(|e| is_by(e, first)))
    }

    fn is_open(&self, case: &Case, explained: &[Explains]) -> bool {
        !self.is_explained(case.local, case.contacts, case.at, explained)
    }

    /// Compares the cases that `explained` does not explain. Each case is compared with controls that `explained` does
    /// not explain either. Returns a test for each of `candidates`.
    #[must_use]
    pub fn pass(&self, explained: &[Explains]) -> Vec<GroupTest> {
        let wanted = (BUDGET * self.stride() / self.cases.list.len().max(1)).clamp(MIN_CONTROLS, MAX_CONTROLS);
        self.compare_or_reuse(explained, wanted, MIN_CONTROLS)
    }

    /// As [`Matched::pass`], but only with the controls nearest in time. This test has little power, but hardly
    /// anything can mislead it: a site in fashion in a scanner's days is in fashion with these controls too.
    #[must_use]
    pub fn pass_near(&self, explained: &[Explains]) -> Vec<GroupTest> {
        self.compare_or_reuse(explained, NEAR_CONTROLS, NEAR_CONTROLS)
    }

    fn stride(&self) -> usize {
        self.cases.list.len().div_ceil(MAX_CASES).max(1)
    }

    fn compare_or_reuse(&self, explained: &[Explains], wanted: usize, least: usize) -> Vec<GroupTest> {
        let compare = || self.compare(explained, wanted, least);
        match self.memo {
            Some((memo, cases)) => memo.tests(cases, explained, (wanted, least), compare),
            None => compare(),
        }
    }

    fn compare(&self, explained: &[Explains], wanted: usize, least: usize) -> Vec<GroupTest> {
        let mut tests = vec![GroupTest::default(); self.candidates.len()];
        let mut tally = Tally::new(self.candidates.len());
        let open = self.cases.list.iter().filter(|case| self.is_open(case, explained));
        let factors = Factors::new(self.frame, self.tested, open.map(|case| case.local));
        let mut controls = Vec::new();
        for (i, case) in self.cases.list.iter().enumerate().step_by(self.stride()) {
            if !self.is_open(case, explained) {
                continue;
            }
            self.choose_controls(i, case, wanted, least, &mut controls);
            tally.next_case();
            let (mut compared, mut missing) = (0.0, 0u32);
            for &Control { contacts, local, .. } in &controls {
                let firsts = self.frame.firsts(local as usize);
                let last = firsts[contacts as usize - 1].at;
                let moment = last + case.gap;
                let is_explained = self.is_explained(local, contacts, moment, explained);
                if is_explained || self.frame.has_ended(local as usize, moment) {
                    continue;
                }
                let weight = factors.of(local);
                compared += weight;
                tally.next_local(weight);
                missing += case.contacts - contacts;
                let more = firsts[contacts as usize..].iter().take(MAX_TOGETHER);
                let together = more.take_while(|first| first.at - last <= TOGETHER).count() as u32;
                self.visit(local, contacts + together, moment, |slot, window| tally.add_control(slot, window));
            }
            let own = factors.of_case(case.local);
            tally.next_local(own);
            self.visit(case.local, case.contacts, case.at, |slot, window| tally.add_case(slot, window));
            for &slot in &tally.touched {
                let group = self.candidates[slot];
                let popularity = f64::from(self.groups.list[group].locals) / self.groups.pairs as f64;
                let imputed = f64::from(missing) * popularity;
                tally.settle(slot, i as u64, (compared, own), imputed, &mut tests[slot]);
            }
        }
        tests
    }

    /// Chooses the controls of a case among the locals that were still unprobed when they had contacted as many
    /// remotes. Prefers the locals that reached this number at the nearest time, since the popularity of sites and
    /// the activity of scanners change with time. If there are too few such locals, adds locals that have fewer
    /// contacts and were never probed. Their missing contacts are imputed.
    fn choose_controls(&self, number: usize, case: &Case, wanted: usize, least: usize, controls: &mut Vec<Control>) {
        controls.clear();
        let as_far = self.ranked.partition_point(|r| r.contacts >= case.contacts);
        let not_yet = |other: u32| {
            other == NONE || {
                let c = &self.cases.list[other as usize];
                other as usize != number && (c.contacts, c.gap, other) > (case.contacts, case.gap, number as u32)
            }
        };
        let control = |contacts: u32, local: u32| {
            let moment = self.frame.firsts(local as usize)[contacts as usize - 1].at + case.gap;
            Control { apart: (moment - case.at).0.unsigned_abs(), contacts, local }
        };
        let keep_nearest = |controls: &mut Vec<Control>, from: usize, wanted: usize| {
            if controls.len() > from + wanted {
                controls[from..].select_nth_unstable(wanted - 1);
                controls.truncate(from + wanted);
            }
        };
        let step = as_far.div_ceil(MAX_POOL).max(1);
        let pool = self.ranked[..as_far].iter().skip(number % step).step_by(step).filter(|r| not_yet(r.case));
        controls.extend(pool.map(|r| control(case.contacts, r.local)));
        keep_nearest(controls, 0, wanted);
        let found = controls.len();
        if found < least {
            let shorter = self.ranked[as_far..].iter().take(MAX_POOL).filter(|r| r.case == NONE);
            controls.extend(shorter.map(|r| control(r.contacts, r.local)));
            keep_nearest(controls, found, least - found);
        }
    }

    /// Calls `found` with the slot of each candidate that a local contacted. The second argument is the smallest window
    /// that holds the last new contact of the local with the candidate before `moment`.
    fn visit(&self, local: u32, contacts: u32, moment: Time, mut found: impl FnMut(usize, usize)) {
        for first in self.frame.firsts(local as usize)[..contacts as usize].iter().rev() {
            let lag = moment - first.at;
            let window = WINDOWS.iter().position(|&window| lag <= window).unwrap_or(WINDOWS.len() - 1);
            for group in self.groups.of(first.remote) {
                let slot = self.slots[group];
                if slot != NONE {
                    found(slot as usize, window);
                }
            }
        }
    }
}
