//! Counts one case and its controls, for each group that the case or a control contacted.

use super::group_test::{GroupTest, WINDOWS};

const W: usize = WINDOWS.len();

/// The counts of one case, kept between cases to avoid allocations. A slot is a position in
/// [`Matched::candidates`](super::matched::Matched::candidates).
pub(super) struct Tally {
    counts: Vec<Count>,
    /// For each slot: the last local and the last case that touched the slot.
    local_mark: Vec<u32>,
    case_mark: Vec<u32>,
    local: u32,
    /// The weight of the current local.
    weight: f64,
    case: u32,
    /// The slots that the current case or its controls touched.
    pub(super) touched: Vec<usize>,
}

/// The counts for one slot. Controls and their weights are listed by smallest window. `case` is the window of the case.
#[derive(Clone, Copy, Default)]
struct Count {
    controls: [u32; W],
    weights: [f64; W],
    case: Option<usize>,
}

impl Tally {
    pub(super) fn new(candidates: usize) -> Tally {
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

    pub(super) fn next_case(&mut self) {
        self.case += 1;
        self.touched.clear();
    }

    pub(super) fn next_local(&mut self, weight: f64) {
        self.local += 1;
        self.weight = weight;
    }

    /// Whether the current local touches this slot for the first time.
    fn is_new(&mut self, slot: usize) -> bool {
        if self.case_mark[slot] != self.case {
            self.case_mark[slot] = self.case;
            self.counts[slot] = Count::default();
            self.touched.push(slot);
        }
        std::mem::replace(&mut self.local_mark[slot], self.local) != self.local
    }

    pub(super) fn add_control(&mut self, slot: usize, window: usize) {
        if self.is_new(slot) {
            self.counts[slot].controls[window] += 1;
            self.counts[slot].weights[window] += self.weight;
        }
    }

    pub(super) fn add_case(&mut self, slot: usize, window: usize) {
        if self.is_new(slot) {
            self.counts[slot].case = Some(window);
        }
    }

    /// Adds the trials of the current case, number `case`, to the test of a slot. `compared` is the weight of all
    /// controls, `own` the weight of the case. `imputed` is added to the controls that contacted the group.
    pub(super) fn settle(
        &self,
        slot: usize,
        case: u64,
        (compared, own): (f64, f64),
        imputed: f64,
        test: &mut GroupTest,
    ) {
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
            trials.add(p, ln_p, hit);
        }
        let packed = controls.iter().fold(case, |h, &n| mix(h ^ u64::from(n)));
        let mine_mark = mine.map_or(0, |mine| mine as u64 + 1);
        if mine.is_some() {
            test.exposure = test.exposure.wrapping_add(mix(mix(case) ^ mine_mark));
        }
        test.signature = test.signature.wrapping_add(mix(packed ^ mine_mark));
    }
}

/// The finalizer of splitmix64: the sum of its values identifies a set.
fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (x ^ (x >> 31)).wrapping_add(0x9e37_79b9_7f4a_7c15)
}
