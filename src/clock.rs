//! The only reader of time. Everything else is handed a [`Now`].

use std::time::Duration;

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

/// A point on the monotonic clock: the time since this process began to count.
///
/// Pauses, timeouts and "begun after" are measured on it, so that a step of the wall clock neither shortens nor stretches them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mono(pub Duration);

impl Mono {
    /// The later point, `wait` from here.
    #[must_use]
    pub fn after(self, wait: Duration) -> Mono {
        Mono(self.0.saturating_add(wait))
    }

    /// The time since `earlier`; zero if that is not earlier.
    #[must_use]
    pub fn since(self, earlier: Mono) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// One reading of both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The wall clock: slots, ages and everything that people or the provider see.
    pub wall: Timestamp,
    /// The monotonic clock: pauses, timeouts, freshness.
    pub mono: Mono,
}

/// A source of [`Now`]: the system's, or a simulated one.
pub trait Clock: Send + Sync {
    /// Reads both clocks.
    fn now(&self) -> Now;
}

/// The system's clocks.
#[derive(Debug, Clone)]
pub struct SystemClock {
    start: Duration,
}

impl SystemClock {
    /// A clock whose monotonic side begins at zero now.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "reading the clock is not a default")]
    pub fn new() -> SystemClock {
        SystemClock { start: since_boot() }
    }
}

/// The time since the machine began, also while it slept: whoever holds something for a time has to know that it has passed.
fn since_boot() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    fn now(&self) -> Now {
        Now { wall: Timestamp::now(), mono: Mono(since_boot().saturating_sub(self.start)) }
    }
}
