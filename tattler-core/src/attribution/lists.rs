//! Numbered lists, stored one after the other.

pub(super) struct Lists<T> {
    starts: Vec<u32>,
    items: Vec<T>,
}

impl<T: Copy + Default> Lists<T> {
    /// Builds `number` lists. `all` yields each item with the number of its list. Items of one list keep their order.
    pub(super) fn new(number: usize, all: impl Iterator<Item = (u32, T)> + Clone) -> Lists<T> {
        let mut starts = vec![0; number + 1];
        all.clone().for_each(|(list, _)| starts[list as usize + 1] += 1);
        for i in 1..starts.len() {
            starts[i] += starts[i - 1];
        }
        let mut next = starts.clone();
        let mut items = vec![T::default(); starts[number] as usize];
        for (list, item) in all {
            let next = &mut next[list as usize];
            items[*next as usize] = item;
            *next += 1;
        }
        Lists { starts, items }
    }

    pub(super) fn of(&self, list: u32) -> &[T] {
        &self.items[self.start(list)..self.start(list + 1)]
    }

    /// The position where a list begins among the items of all lists.
    pub(super) fn start(&self, list: u32) -> usize {
        self.starts[list as usize] as usize
    }

    /// Number of items in all lists together.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn for_each_mut(&mut self, mut change: impl FnMut(&mut [T])) {
        self.starts.windows(2).for_each(|ends| change(&mut self.items[ends[0] as usize..ends[1] as usize]));
    }
}
