//! Talking to the service manager (contract §7): ready, reloading, stopping, a line of status, and a sign of life.

use std::time::Duration;

use sd_notify::{NotifyState, notify, watchdog_enabled};

use crate::controller::Controller;

use super::daemon::summary;

/// The service manager; without one, nothing is said to anybody.
#[derive(Debug)]
pub(super) struct Manager {
    present: bool,
    watchdog: Option<Duration>,
    status: String,
}

impl Manager {
    /// The manager that this process was started by, if it wants to be told.
    pub fn new() -> Manager {
        Manager { present: std::env::var_os("NOTIFY_SOCKET").is_some(), watchdog: watchdog_enabled(), status: String::new() }
    }

    pub fn ready(&self) {
        self.tell(&[NotifyState::Ready]);
    }

    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.tell(&[NotifyState::Reloading, now]),
            Err(_) => self.tell(&[NotifyState::Reloading]),
        }
    }

    pub fn stopping(&self) {
        self.tell(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
    }

    /// The main loop has gone round.
    pub fn alive(&self) {
        if self.watchdog.is_some() {
            self.tell(&[NotifyState::Watchdog]);
        }
    }

    /// How long the loop may sleep, so that its signs of life come in time.
    pub fn nap(&self, idle: Duration) -> Duration {
        self.watchdog.map_or(idle, |watchdog| idle.min(watchdog / 3))
    }

    pub fn status(&mut self, controller: &Controller) {
        if !self.present {
            return;
        }
        let status = summary(controller);
        if status != self.status {
            self.tell(&[NotifyState::Status(&status)]);
            self.status = status;
        }
    }

    /// That the manager does not hear us is its trouble, not ours.
    fn tell(&self, state: &[NotifyState<'_>]) {
        if self.present {
            drop(notify(state));
        }
    }
}
