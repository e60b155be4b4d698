//! Waiting without waking up in between. A timer of tokio's that is 30 s off wakes its thread up to three times on the way, as it goes from wheel to
//! wheel; one of the system's does it once.

use std::future::pending;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime};
use tokio::io::unix::AsyncFd;

/// One timer, to be set again and again.
pub struct Alarm {
    timer: AsyncFd<OwnedFd>,
}

impl Alarm {
    /// An alarm that is not set.
    ///
    /// # Errors
    /// If the system gives no timer.
    #[expect(deprecated, reason = "what replaces it is unsafe, for types that may close what they have registered; an `OwnedFd` does not")]
    pub fn new() -> io::Result<Alarm> {
        // The clock of `crate::clock`: it goes on while the machine sleeps.
        let timer = timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        Ok(Alarm { timer: AsyncFd::new(timer)? })
    }

    /// Sets it anew, and waits until it rings.
    pub async fn rings_after(&mut self, wait: Duration) {
        if self.set(wait).is_err() {
            return tokio::time::sleep(wait).await;
        }
        while let Ok(mut ready) = self.timer.readable().await {
            // What was left over from an earlier setting is gone with it.
            if ready.try_io(|timer| Ok(rustix::io::read(timer, &mut [0; 8])?)).is_ok() {
                return;
            }
        }
        // The runtime ends.
        pending().await
    }

    fn set(&self, wait: Duration) -> rustix::io::Result<()> {
        let nothing = Timespec { tv_sec: 0, tv_nsec: 0 };
        // Zero would take the setting back.
        let wait = Timespec::try_from(wait.max(Duration::from_nanos(1))).map_err(|_| rustix::io::Errno::INVAL)?;
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &Itimerspec { it_interval: nothing, it_value: wait }).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use tokio::time::{Instant, timeout};

    use super::*;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn it_rings_once_for_each_setting_and_not_early() {
        let mut alarm = Alarm::new().unwrap();
        for _ in 0..3 {
            let begun = Instant::now();
            timeout(LONG, alarm.rings_after(SHORT)).await.unwrap();
            assert!(begun.elapsed() >= SHORT);
        }
        timeout(LONG, alarm.rings_after(Duration::ZERO)).await.unwrap();
    }

    #[tokio::test]
    async fn a_new_setting_takes_the_place_of_the_last() {
        let mut alarm = Alarm::new().unwrap();
        // Rung, and nobody has heard it.
        assert!(pin!(alarm.rings_after(Duration::from_nanos(1))).poll(&mut Context::from_waker(Waker::noop())).is_pending());
        tokio::time::sleep(SHORT).await;
        assert!(timeout(SHORT, alarm.rings_after(LONG)).await.is_err());
        timeout(LONG, alarm.rings_after(SHORT)).await.unwrap();
    }
}
