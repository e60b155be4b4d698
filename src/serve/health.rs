//! Whether the daemon lives, and whether it can do its work.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, Mono, Now};
use crate::telemetry::Metrics;

/// The main loop counts as stuck when it has not gone round for so long.
pub const STALL_AFTER: Duration = Duration::from_secs(60);

/// What `/healthz` and `/readyz` answer, told by the main loop.
pub struct Health {
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    stall_after: Duration,
    /// When the loop last went round, in milliseconds on the monotonic clock.
    progress_ms: AtomicU64,
    obstacle: Mutex<Option<String>>,
}

impl Health {
    /// Alive from now on, and not ready: "starting".
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, metrics: Arc<Metrics>, stall_after: Duration) -> Health {
        let health =
            Health { clock, metrics, stall_after, progress_ms: AtomicU64::new(0), obstacle: Mutex::new(Some("starting".to_owned())) };
        health.progress(health.clock.now());
        health
    }

    /// The main loop has gone round. Also sets the metric `loop_progress_timestamp_seconds`.
    pub fn progress(&self, now: Now) {
        self.progress_ms.store(millis(now.mono.0), Ordering::Relaxed);
        self.metrics.daemon.loop_progress(now.wall);
    }

    /// Everything needed for the work is there.
    pub fn set_ready(&self) {
        self.set_obstacle(None);
    }

    /// Something is in the way, e.g. "waiting for the first listing".
    pub fn set_not_ready(&self, obstacle: impl Into<String>) {
        self.set_obstacle(Some(obstacle.into()));
    }

    /// What is in the way of the work; none: nothing.
    #[must_use]
    pub fn obstacle(&self) -> Option<String> {
        self.obstacle.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// For how long the main loop has not gone round, if that is too long.
    #[must_use]
    pub fn stalled_for(&self) -> Option<Duration> {
        let progress = Mono(Duration::from_millis(self.progress_ms.load(Ordering::Relaxed)));
        let silence = self.clock.now().mono.since(progress);
        (silence >= self.stall_after).then_some(silence)
    }

    fn set_obstacle(&self, obstacle: Option<String>) {
        *self.obstacle.lock().unwrap_or_else(PoisonError::into_inner) = obstacle;
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let obstacle = self.obstacle();
        f.debug_struct("Health").field("progress_ms", &self.progress_ms).field("obstacle", &obstacle).finish_non_exhaustive()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::http::tests::HandClock;

    #[test]
    fn a_loop_that_stands_still_is_told_until_it_goes_on() {
        let clock = Arc::new(HandClock::default());
        let metrics = Arc::new(Metrics::new().unwrap());
        let health = Health::new(clock.clone(), metrics, STALL_AFTER);
        clock.advance(STALL_AFTER - Duration::from_millis(1));
        assert_eq!(health.stalled_for(), None);
        clock.advance(Duration::from_millis(1));
        assert_eq!(health.stalled_for(), Some(STALL_AFTER));
        health.progress(clock.now());
        assert_eq!(health.stalled_for(), None);
    }

    #[test]
    fn it_is_not_ready_until_told() {
        let health = Health::new(Arc::new(HandClock::default()), Arc::new(Metrics::new().unwrap()), STALL_AFTER);
        assert_eq!(health.obstacle().unwrap(), "starting");
        health.set_ready();
        assert_eq!(health.obstacle(), None);
        health.set_not_ready("stopping");
        assert_eq!(health.obstacle().unwrap(), "stopping");
    }
}
