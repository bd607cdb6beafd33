//! Choices that a seed repeats (splitmix64). Not for secrets.

pub struct Random(u64);

impl Random {
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut mixed = Self(stream);
        Self(seed ^ mixed.next())
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to less than 1.
    pub fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.fraction()
    }

    pub fn chance(&mut self, probability: f64) -> bool {
        self.fraction() < probability
    }

    /// `count` different ones of `all`.
    pub fn pick<T: Copy>(&mut self, all: &[T], count: usize) -> Vec<T> {
        let mut rest = all.to_vec();
        let mut picked = Vec::new();
        while picked.len() < count && !rest.is_empty() {
            let at = (self.next() % rest.len() as u64) as usize;
            picked.push(rest.swap_remove(at));
        }
        picked
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn a_seed_repeats_and_streams_differ() {
        let draw = |seed, stream| {
            let mut random = Random::new(seed, stream);
            [random.next(), random.next()]
        };
        assert_eq!(draw(1, 2), draw(1, 2));
        assert_ne!(draw(1, 2), draw(1, 3));
        assert_ne!(draw(1, 2), draw(2, 2));
    }

    #[test]
    fn picks_differ_and_chances_are_what_they_say() {
        let mut random = Random::new(7, 0);
        let mut picked = random.pick(&[1, 2, 3, 4, 5], 4);
        picked.sort_unstable();
        picked.dedup();
        assert_eq!(picked.len(), 4);
        let hits = (0..10_000).filter(|_| random.chance(0.4)).count();
        assert!((3_700..4_300).contains(&hits), "{hits}");
    }
}
