//! Chance that can be repeated: everything that is drawn follows from one number.

use std::time::Duration;

/// SplitMix64 (Steele, Lea and Flood 2014): small, quick, and good enough for drawing faults.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// The draws that follow from this seed.
    #[must_use]
    pub fn new(seed: u64) -> Chance {
        // One step apart, the first draws of neighbouring seeds would be as well.
        let mut chance = Chance(seed);
        let state = chance.next();
        Chance(state)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below this one; 0 where that is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next().checked_rem(end).unwrap_or(0)
    }

    /// Whether the one case out of so many has come; never for 0.
    pub fn one_in(&mut self, cases: u64) -> bool {
        cases != 0 && self.below(cases) == 0
    }

    /// A time from the first to the second, to the second.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        least + Duration::from_secs(self.below(most.saturating_sub(least).as_secs() + 1))
    }

    /// One of these; none where there are none.
    pub fn one_of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        all.get(self.below(all.len() as u64) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_says_everything_and_neighbours_differ() {
        let draws = |seed| {
            let mut chance = Chance::new(seed);
            (0..8).map(|_| chance.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(draws(7), draws(7));
        assert_ne!(draws(7), draws(8));
        assert_ne!(draws(7)[1..], draws(8)[..7]);
    }

    #[test]
    fn the_edges_hold() {
        let mut chance = Chance::new(1);
        assert_eq!(chance.below(0), 0);
        assert!(!chance.one_in(0) && chance.one_in(1));
        assert_eq!(chance.between(Duration::from_secs(5), Duration::from_secs(3)), Duration::from_secs(5));
        assert_eq!(chance.one_of::<u8>(&[]), None);
    }
}
