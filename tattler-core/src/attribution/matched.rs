//! The matched comparison: had the probed addresses contacted a remote more often than others had
//! when they were as far?
//!
//! A plain 2x2 table compares the life of a probed address up to its probe with the whole life of
//! the others, and long or busy lives contact more of everything. Here each case is compared with
//! locals that were not probed *by then*, where "then" is told by a clock that counts new contacts:
//! a case that was probed after its 12th remote is compared with what others had contacted after
//! their 12th. (This is Cox's partial likelihood with the number of contacts for time; Thomas 1977
//! on drawing some of the controls.) If a remote has nothing to do with the probes, the case is any
//! one of the compared, so its chance of having contacted the remote is the share of them that had.
//! The tail of the sum of these trials is the p of the remote.
//!
//! The same is asked for contacts in the last moments before the probe: a remote that everybody
//! contacts sooner or later is found if probes follow it at once.

use super::cases::{Case, Cases};
use super::devices::Factors;
use super::groups::Groups;
use super::memo::Memo;
use super::tail::Trials;
use crate::time::{Span, Time};
use crate::view::frame::Frame;

/// How far back from the probe a contact is looked for; the last one is all of the time before.
pub const WINDOWS: [Span; 4] =
    [Span::from_seconds(10), Span::from_seconds(600), Span::from_seconds(21_600), Span(i64::MAX)];
const W: usize = WINDOWS.len();
const NONE: u32 = u32::MAX;

/// Controls for each case: the nearest in time, so not too many; fewer where cases abound. Beyond ten
/// controls a case, more add little.
const MAX_CONTROLS: usize = 64;
const MIN_CONTROLS: usize = 24;
/// Controls in the comparison that must confirm: the very nearest, who lived in the same days.
const NEAR_CONTROLS: usize = 6;
/// Contacts that follow the last one of a control so closely count with it: what a page loads comes
/// in any order, and to cut in the middle would tell apart what belongs together.
const TOGETHER: Span = Span::from_seconds(1);
const MAX_TOGETHER: usize = 16;
/// Locals looked at to find them.
const MAX_POOL: usize = 2_048;
/// Pairs of a case and a control that are looked at in one pass, about.
const BUDGET: usize = 24_000;
/// Cases compared in one pass. Beyond it, evenly chosen ones stand for all.
const MAX_CASES: usize = 2_500;

/// One group in one pass.
#[derive(Clone, Debug, Default)]
pub struct Test {
    /// A comparison for each of [`WINDOWS`].
    pub windows: [Trials; W],
    /// Equal for groups that no trial tells apart, controls included.
    pub signature: u64,
    /// Equal for groups that the same cases had contacted, in the same windows.
    pub exposure: u64,
}

/// A group that explains cases when contacted within a window before the probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Explains {
    /// The group.
    pub group: usize,
    /// A position in [`WINDOWS`].
    pub window: usize,
}

/// The comparison of one campaign's cases, or of all.
pub struct Matched<'a> {
    frame: &'a Frame<'a>,
    groups: &'a Groups,
    tested: &'a [bool],
    /// The cases.
    pub cases: &'a Cases,
    /// (contacts that can be compared, local, position of its case), the most contacts first.
    ranked: Vec<(u32, u32, u32)>,
    /// By group its position in `candidates`.
    slots: Vec<u32>,
    /// Groups that a case had contacted.
    pub candidates: Vec<usize>,
    /// What is known from before, and the key of these cases there.
    memo: Option<(&'a Memo, u64)>,
}

impl<'a> Matched<'a> {
    /// Lays the comparison out. `tested`: locals that can be controls.
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
            for first in &frame.firsts(case.local as usize)[..case.contacts as usize] {
                for group in groups.of(first.remote).into_iter().flatten() {
                    if slots[group] == NONE {
                        slots[group] = 0;
                        candidates.push(group);
                    }
                }
            }
        }
        candidates.sort_unstable();
        for (slot, &group) in candidates.iter().enumerate() {
            slots[group] = slot as u32;
        }
        let mut ranked: Vec<(u32, u32, u32)> =
            reach.iter().enumerate().filter(|(_, r)| r.0 > 0).map(|(n, r)| (r.0, n as u32, r.1)).collect();
        ranked.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        Matched { frame, groups, tested, cases, ranked, slots, candidates, memo: None }
    }

    /// The same with what is known from before.
    #[must_use]
    pub fn with(self, memo: &'a Memo) -> Matched<'a> {
        Matched { memo: Some((memo, memo.of_cases(self.cases))), ..self }
    }

    /// Whether a case had contacted a group within a window before its probe.
    #[must_use]
    pub fn is_explained(&self, case: &Case, explains: &[Explains]) -> bool {
        self.is_exposed(case.local, case.contacts, case.at, explains)
    }

    fn is_exposed(&self, local: u32, contacts: u32, moment: Time, explains: &[Explains]) -> bool {
        !explains.is_empty()
            && self.frame.firsts(local as usize)[..contacts as usize].iter().any(|first| {
                let groups = self.groups.of(first.remote);
                explains.iter().any(|e| groups.contains(&Some(e.group)) && moment - first.at <= WINDOWS[e.window])
            })
    }

    /// Compares the cases that `explained` leaves, each with controls that it leaves too. A test for
    /// each of `candidates`.
    #[must_use]
    pub fn pass(&self, explained: &[Explains]) -> Vec<Test> {
        let stride = self.stride();
        let wanted = (BUDGET * stride / self.cases.list.len().max(1)).clamp(MIN_CONTROLS, MAX_CONTROLS);
        self.compare(explained, wanted, MIN_CONTROLS)
    }

    /// The same with none but the controls nearest in time. It has little power and little to be
    /// misled by: what was in fashion while a scanner had its days is in fashion with them too.
    #[must_use]
    pub fn pass_near(&self, explained: &[Explains]) -> Vec<Test> {
        self.compare(explained, NEAR_CONTROLS, NEAR_CONTROLS)
    }

    fn stride(&self) -> usize {
        self.cases.list.len().div_ceil(MAX_CASES).max(1)
    }

    fn compare(&self, explained: &[Explains], wanted: usize, least: usize) -> Vec<Test> {
        match self.memo {
            Some((memo, cases)) => {
                memo.tests(cases, explained, (wanted, least), || self.compare_anew(explained, wanted, least))
            }
            None => self.compare_anew(explained, wanted, least),
        }
    }

    fn compare_anew(&self, explained: &[Explains], wanted: usize, least: usize) -> Vec<Test> {
        let stride = self.stride();
        let mut tests = vec![Test::default(); self.candidates.len()];
        let mut tally = Tally::new(self.candidates.len());
        let open = self.cases.list.iter().filter(|case| !self.is_explained(case, explained));
        let factors = Factors::new(self.frame, self.tested, open.map(|case| case.local));
        let mut controls = Vec::new();
        for (i, case) in self.cases.list.iter().enumerate().step_by(stride) {
            if self.is_explained(case, explained) {
                continue;
            }
            self.controls(i, case, wanted, least, &mut controls);
            tally.start();
            let (mut compared, mut missing) = (0.0, 0u32);
            for &(_, contacts, local) in &controls {
                let firsts = self.frame.firsts(local as usize);
                let moment = firsts[contacts as usize - 1].at + case.gap;
                if self.is_exposed(local, contacts, moment, explained) || self.frame.has_ended(local as usize, moment) {
                    continue;
                }
                let weight = factors.of(local);
                compared += weight;
                tally.next_local(weight);
                missing += case.contacts - contacts;
                let more = firsts[contacts as usize..].iter().take(MAX_TOGETHER);
                let last = firsts[contacts as usize - 1].at;
                let together = more.take_while(|first| first.at - last <= TOGETHER).count() as u32;
                self.visit(local, contacts + together, moment, |slot, window| tally.control(slot, window));
            }
            let own = factors.of_case(case.local);
            tally.next_local(own);
            self.visit(case.local, case.contacts, case.at, |slot, window| tally.case(slot, window));
            for &slot in &tally.touched {
                let group = self.candidates[slot];
                let popularity = f64::from(self.groups.list[group].locals) / self.groups.pairs as f64;
                let imputed = f64::from(missing) * popularity;
                tally.settle(slot, i as u64, (compared, own), imputed, &mut tests[slot]);
            }
        }
        tests
    }

    /// Chooses controls of a case: locals not probed yet when they had contacted as many remotes, and
    /// of those the ones that did so at the nearest time, since sites have their fashions and
    /// scanners their days. If those are few, locals that never got so far but were not probed
    /// either; what they would still have contacted is then imputed.
    fn controls(&self, number: usize, case: &Case, wanted: usize, least: usize, controls: &mut Vec<(u64, u32, u32)>) {
        controls.clear();
        let as_far = self.ranked.partition_point(|r| r.0 >= case.contacts);
        let not_yet = |other: u32| {
            other == NONE || {
                let c = &self.cases.list[other as usize];
                other as usize != number && (c.contacts, c.gap, other) > (case.contacts, case.gap, number as u32)
            }
        };
        let apart = |contacts: u32, local: u32| {
            let moment = self.frame.firsts(local as usize)[contacts as usize - 1].at + case.gap;
            (moment - case.at).0.unsigned_abs()
        };
        let nearest = |controls: &mut Vec<(u64, u32, u32)>, from: usize, wanted: usize| {
            if controls.len() > from + wanted {
                controls[from..].select_nth_unstable(wanted - 1);
                controls.truncate(from + wanted);
            }
        };
        let step = as_far.div_ceil(MAX_POOL).max(1);
        let pool = self.ranked[..as_far].iter().skip(number % step).step_by(step).filter(|r| not_yet(r.2));
        controls.extend(pool.map(|r| (apart(case.contacts, r.1), case.contacts, r.1)));
        nearest(controls, 0, wanted);
        let found = controls.len();
        if found < least {
            let shorter = self.ranked[as_far..].iter().take(MAX_POOL).filter(|r| r.2 == NONE);
            controls.extend(shorter.map(|r| (apart(r.0, r.1), r.0, r.1)));
            nearest(controls, found, least - found);
        }
    }

    /// Tells for each candidate that a local contacted the smallest window that holds its last new
    /// contact before `moment`.
    fn visit(&self, local: u32, contacts: u32, moment: Time, mut tell: impl FnMut(usize, usize)) {
        for first in self.frame.firsts(local as usize)[..contacts as usize].iter().rev() {
            let lag = moment - first.at;
            let window = WINDOWS.iter().position(|&window| lag <= window).unwrap_or(W - 1);
            for group in self.groups.of(first.remote).into_iter().flatten() {
                let slot = self.slots[group];
                if slot != NONE {
                    tell(slot as usize, window);
                }
            }
        }
    }
}

/// Counts of one case and its controls, kept between cases to spare the allocation.
struct Tally {
    /// For each candidate its count, and marks of the last local and of the last case that touched it.
    counts: Vec<Count>,
    local_mark: Vec<u32>,
    case_mark: Vec<u32>,
    local: u32,
    /// What the local at hand counts for.
    weight: f64,
    case: u32,
    touched: Vec<usize>,
}

/// Controls by smallest window, as numbers and by weight, and the window of the case.
#[derive(Clone, Copy, Default)]
struct Count {
    controls: [u32; W],
    weights: [f64; W],
    case: Option<usize>,
}

impl Tally {
    fn new(candidates: usize) -> Tally {
        Tally {
            counts: vec![Count::default(); candidates],
            local_mark: vec![0; candidates],
            case_mark: vec![0; candidates],
            local: 0,
            weight: 1.0,
            case: 0,
            touched: Vec::new(),
        }
    }

    fn start(&mut self) {
        self.case += 1;
        self.touched.clear();
    }

    fn next_local(&mut self, weight: f64) {
        self.local += 1;
        self.weight = weight;
    }

    /// Whether the local at hand touches this candidate for the first time.
    fn is_new(&mut self, slot: usize) -> bool {
        if self.case_mark[slot] != self.case {
            self.case_mark[slot] = self.case;
            self.counts[slot] = Count::default();
            self.touched.push(slot);
        }
        std::mem::replace(&mut self.local_mark[slot], self.local) != self.local
    }

    fn control(&mut self, slot: usize, window: usize) {
        if self.is_new(slot) {
            self.counts[slot].controls[window] += 1;
            self.counts[slot].weights[window] += self.weight;
        }
    }

    fn case(&mut self, slot: usize, window: usize) {
        if self.is_new(slot) {
            self.counts[slot].case = Some(window);
        }
    }

    fn settle(&self, slot: usize, case: u64, (compared, own): (f64, f64), imputed: f64, test: &mut Test) {
        let Count { controls, weights, case: mine } = self.counts[slot];
        let (mut exposed, mut last, mut ln_p) = (0.0, -1.0, 0.0);
        for (window, trials) in test.windows.iter_mut().enumerate() {
            exposed += weights[window];
            let hit = mine.is_some_and(|mine| mine <= window);
            let all = (exposed + imputed).min(compared) + if hit { own } else { 0.0 };
            let p = all / (compared + own);
            if p != last {
                (last, ln_p) = (p, p.ln());
            }
            trials.add_with_ln(p, ln_p, hit);
        }
        let packed = controls.iter().fold(case, |h, &n| mix(h ^ u64::from(n)));
        let mine_mark = mine.map_or(0, |mine| mine as u64 + 1);
        if mine.is_some() {
            test.exposure = test.exposure.wrapping_add(mix(mix(case) ^ mine_mark));
        }
        test.signature = test.signature.wrapping_add(mix(packed ^ mine_mark));
    }
}

/// The finalizer of splitmix64: sums of its values tell sets apart.
fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (x ^ (x >> 31)).wrapping_add(0x9e37_79b9_7f4a_7c15)
}
