//! Tables of rows with a key. Rows are removed by a rule or by eviction.

use std::collections::HashMap;
use std::hash::Hash;

use super::follow::Changed;

/// A row that contains its key.
pub(super) trait Keyed {
    type Key: Copy + Eq + Hash;
    fn key(&self) -> Self::Key;
}

/// Rows in order of arrival, with an index. The index hashes keys with a secret, because outsiders
/// choose the addresses in the keys.
pub(super) struct KeyedTable<R: Keyed> {
    rows: Vec<R>,
    index: HashMap<R::Key, u32>,
    changed: Changed,
}

impl<R: Keyed> Default for KeyedTable<R> {
    fn default() -> Self {
        KeyedTable { rows: Vec::new(), index: HashMap::new(), changed: Changed::All }
    }
}

impl<R: Keyed> KeyedTable<R> {
    pub(super) fn rows(&self) -> &[R] {
        &self.rows
    }

    pub(super) fn get(&self, key: R::Key) -> Option<&R> {
        self.index.get(&key).map(|&i| &self.rows[i as usize])
    }

    pub(super) fn get_mut(&mut self, key: R::Key) -> Option<&mut R> {
        let &at = self.index.get(&key)?;
        self.changed.note(at, self.rows.len());
        Some(&mut self.rows[at as usize])
    }

    /// Changes rows in place. The keys must not change.
    pub(super) fn change(&mut self, change: impl FnMut(&mut R)) {
        self.changed = Changed::All;
        self.rows.iter_mut().for_each(change);
    }

    /// Adds a row. The key of the row must be new.
    pub(super) fn insert(&mut self, row: R) -> &mut R {
        let at = self.rows.len();
        self.index.insert(row.key(), at as u32);
        self.rows.push(row);
        &mut self.rows[at]
    }

    /// Keeps the rows for which `keep` returns true. `keep` may change rows, but not their keys.
    /// Returns the number of removed rows.
    ///
    /// The index is corrected in place and not rebuilt: for a million rows, hashing is the main
    /// cost.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&mut R) -> bool) -> usize {
        const GONE: u32 = u32::MAX;
        self.changed = Changed::All;
        let before = self.rows.len();
        let mut moved = Vec::with_capacity(before);
        let mut left = 0;
        self.rows.retain_mut(|row| {
            let stays = keep(row);
            moved.push(if stays { left } else { GONE });
            left += u32::from(stays);
            stays
        });
        self.index.retain(|_, at| {
            *at = moved[*at as usize];
            *at != GONE
        });
        before - self.rows.len()
    }

    /// Keeps the rows for which `keep` returns true. `keep` may change rows and their keys. Returns
    /// the number of removed rows.
    pub(super) fn rebuild(&mut self, keep: impl FnMut(&mut R) -> bool) -> usize {
        let before = self.rows.len();
        self.changed = Changed::All;
        self.rows.retain_mut(keep);
        self.index.clear();
        self.index.extend(self.rows.iter().enumerate().map(|(i, row)| (row.key(), i as u32)));
        before - self.rows.len()
    }

    /// Becomes a copy of `other`. `knows`: whether `self` already is a copy of the state before the
    /// latest changes.
    pub(super) fn follow(&mut self, other: &mut KeyedTable<R>, knows: bool)
    where
        R: Clone,
    {
        match std::mem::replace(&mut other.changed, Changed::Rows(Vec::new())) {
            Changed::Rows(list) if knows => {
                let known = self.rows.len();
                list.iter().map(|&at| at as usize).filter(|&at| at < known).for_each(|at| {
                    self.rows[at].clone_from(&other.rows[at]);
                });
                other.rows[known..].iter().for_each(|row| _ = self.insert(row.clone()));
            }
            _ => {
                self.rows.clone_from(&other.rows);
                self.index.clone_from(&other.index);
            }
        }
    }

    /// Removes the sixteenth of the rows (at least one row) with the lowest `rank`. One eviction
    /// makes room for many new rows, which share its cost. Each row is ranked once, in order of
    /// arrival. Returns the number of removed rows.
    pub(super) fn evict<K: Ord + Copy>(&mut self, rank: impl FnMut(&R) -> K) -> usize {
        let quota = (self.rows.len() / 16).max(1).min(self.rows.len());
        if quota == 0 {
            return 0;
        }
        let ranks: Vec<K> = self.rows.iter().map(rank).collect();
        let mut ordered = ranks.clone();
        let (below, &mut limit, _) = ordered.select_nth_unstable(quota - 1);
        let mut ties = quota - below.iter().filter(|&&r| r < limit).count();
        let mut ranks = ranks.into_iter();
        self.retain(|_| match ranks.next() {
            Some(rank) if rank == limit && ties > 0 => {
                ties -= 1;
                false
            }
            rank => rank >= Some(limit),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Keyed for (u32, u32) {
        type Key = u32;
        fn key(&self) -> u32 {
            self.0
        }
    }

    #[test]
    fn eviction_removes_the_lowest_sixteenth_of_the_rows() {
        let mut table = KeyedTable::default();
        for i in 0..32 {
            table.insert((i, 100 - i));
        }
        assert_eq!(table.evict(|row| row.1), 2);
        assert!(table.get(31).is_none() && table.get(30).is_none());
        assert_eq!(table.get(29), Some(&(29, 71)));
        assert_eq!(table.evict(|_| 0), 1, "of equal ranks only as many as needed");
        assert_eq!(KeyedTable::<(u32, u32)>::default().evict(|row| row.1), 0);
    }
}
