//! Growing pauses between attempts, with full jitter.

use std::time::Duration;

/// How pauses grow. The adapter never repeats a request; whoever does is the one layer that uses this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The longest pause before the first repetition.
    pub base: Duration,
    /// The longest pause of all.
    pub cap: Duration,
}

impl Backoff {
    /// The longest pause after `failures` failures in a row (1: the first): the base, doubled for each further one, up to the cap.
    #[must_use]
    pub fn ceiling(&self, failures: u32) -> Duration {
        let doubled = 1u32.checked_shl(failures.saturating_sub(1)).and_then(|factor| self.base.checked_mul(factor));
        doubled.unwrap_or(self.cap).min(self.cap)
    }

    /// The pause after `failures` failures in a row: between zero and the ceiling, evenly by `random`.
    ///
    /// Full jitter keeps many clients that failed together from coming back together.
    #[must_use]
    pub fn delay(&self, failures: u32, random: u64) -> Duration {
        let ceiling_ns = self.ceiling(failures).as_nanos();
        let share = ceiling_ns.saturating_mul(u128::from(random)) / u128::from(u64::MAX);
        Duration::from_nanos(u64::try_from(share).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FIVE_MINUTES: Backoff = Backoff { base: Duration::from_secs(2), cap: Duration::from_secs(300) };

    #[test]
    fn doubles_up_to_the_cap() {
        let ceilings: Vec<u64> = (0..10).map(|n| FIVE_MINUTES.ceiling(n).as_secs()).collect();
        assert_eq!(ceilings, [2, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
        assert_eq!(FIVE_MINUTES.ceiling(u32::MAX), FIVE_MINUTES.cap);
    }

    #[test]
    fn jitter_spans_the_whole_range() {
        assert_eq!(FIVE_MINUTES.delay(3, 0), Duration::ZERO);
        assert_eq!(FIVE_MINUTES.delay(3, u64::MAX), Duration::from_secs(8));
        assert_eq!(FIVE_MINUTES.delay(3, u64::MAX / 2).as_secs(), 3);
    }

    proptest! {
        #[test]
        fn never_longer_than_the_ceiling(failures in any::<u32>(), random in any::<u64>(), base in any::<u64>(), cap in any::<u64>()) {
            let backoff = Backoff { base: Duration::from_millis(base), cap: Duration::from_secs(cap) };
            prop_assert!(backoff.delay(failures, random) <= backoff.ceiling(failures));
            prop_assert!(backoff.ceiling(failures) <= backoff.cap);
        }
    }
}
