//! Disjoint sets, with path halving and union by size: the time is practically linear.

pub(super) struct Union {
    parents: Vec<u32>,
    sizes: Vec<u32>,
}

impl Union {
    /// `n` things, each in its own set.
    pub(super) fn new(n: usize) -> Union {
        Union { parents: (0..n as u32).collect(), sizes: vec![1; n] }
    }

    /// The representative of the set that contains `i`.
    pub(super) fn root(&mut self, mut i: u32) -> u32 {
        while self.parents[i as usize] != i {
            let above = self.parents[self.parents[i as usize] as usize];
            self.parents[i as usize] = above;
            i = above;
        }
        i
    }

    pub(super) fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        if a != b {
            let (small, large) = if self.sizes[a as usize] < self.sizes[b as usize] { (a, b) } else { (b, a) };
            self.parents[small as usize] = large;
            self.sizes[large as usize] += self.sizes[small as usize];
        }
    }

    pub(super) fn join_all(&mut self, things: impl IntoIterator<Item = u32>) {
        let mut things = things.into_iter();
        if let Some(first) = things.next() {
            things.for_each(|other| self.join(first, other));
        }
    }

    /// The representative of each thing's set.
    pub(super) fn roots(&mut self) -> Vec<u32> {
        (0..self.parents.len() as u32).map(|i| self.root(i)).collect()
    }
}
