//! Talking to the service manager (contract §7): ready, reloading, stopping, a line of status, and a sign of life.

use std::time::Duration;

use sd_notify::{NotifyState, notify, watchdog_enabled};

use crate::clock::Mono;
use crate::controller::{Controller, Glance};
use crate::telemetry::printable;

/// The line of status is looked at no more often than this.
const STATUS_EVERY: Duration = Duration::from_secs(1);

/// The service manager; without one, nothing is said to anybody.
#[derive(Debug)]
pub(super) struct Manager {
    present: bool,
    watchdog: Option<Duration>,
    status: String,
    /// When the line of status may be looked at again.
    status_at: Mono,
    /// Whether it was too early the last time.
    status_waits: bool,
    /// Whether the daemon goes on by an older configuration than the file.
    is_outdated: bool,
}

impl Manager {
    /// The manager that this process was started by, if it wants to be told.
    pub fn new() -> Manager {
        Manager {
            present: std::env::var_os("NOTIFY_SOCKET").is_some(),
            watchdog: watchdog_enabled(),
            status: String::new(),
            status_at: Mono::default(),
            status_waits: false,
            is_outdated: false,
        }
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

    /// The end of a reload, good or bad.
    pub fn reloaded(&mut self, is_in_effect: bool) {
        self.is_outdated = !is_in_effect;
        self.ready();
    }

    /// The stop may take so long, whatever the unit's own limit is.
    pub fn stopping(&self, patience: Duration) {
        let patience = NotifyState::ExtendTimeoutUsec(u32::try_from(patience.as_micros()).unwrap_or(u32::MAX));
        self.tell(&[NotifyState::Stopping, NotifyState::Status("stopping: what is in flight comes to its end"), patience]);
    }

    /// The main loop has gone round.
    pub fn alive(&self) {
        if self.watchdog.is_some() {
            self.tell(&[NotifyState::Watchdog]);
        }
    }

    /// How long the loop may sleep, so that its signs of life and its line of status come in time.
    pub fn nap(&self, idle: Duration) -> Duration {
        let idle = self.watchdog.map_or(idle, |watchdog| idle.min(watchdog / 3));
        if self.status_waits { idle.min(STATUS_EVERY) } else { idle }
    }

    /// Tells how things stand, if that has changed.
    pub fn status(&mut self, now: Mono, controller: &Controller) {
        if !self.present {
            return;
        }
        self.status_waits = now < self.status_at;
        if self.status_waits {
            return;
        }
        self.status_at = now.after(STATUS_EVERY);
        let status = line(controller.obstacle().as_deref(), &controller.glance(), self.is_outdated);
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

/// How things stand, as one line; what is wrong comes first.
fn line(obstacle: Option<&str>, glance: &Glance, is_outdated: bool) -> String {
    let mut parts: Vec<String> = obstacle.map(|obstacle| printable(obstacle).into_owned()).into_iter().collect();
    if is_outdated {
        parts.push("the configuration on disk is refused, an older one is in effect".to_owned());
    }
    if let Some((server, kind, reason)) = &glance.first_wrong {
        let others = glance.wrong - 1;
        let others = if others == 0 { String::new() } else { format!(" and {others} more") };
        parts.push(format!("wrong: {} {kind} {reason}{others}", printable(server)));
    }
    let on = if glance.running == 0 { String::new() } else { format!(", {} of them at work", glance.running) };
    let targets = if glance.targets == 1 { "target" } else { "targets" };
    parts.push(format!("{} {targets}{on}", glance.targets));
    parts.extend(glance.next_slot.map(|slot| format!("next slot {slot}")));
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::inventory::Kind;
    use crate::domain::problem::Reason;

    fn calm() -> Glance {
        Glance { targets: 3, running: 0, wrong: 0, first_wrong: None, next_slot: "2026-11-28T03:30:00Z".parse().ok() }
    }

    #[test]
    fn the_line_tells_what_is_wrong_first() {
        assert_eq!(line(None, &calm(), false), "3 targets; next slot 2026-11-28T03:30:00Z");
        let busy = Glance { running: 2, wrong: 2, first_wrong: Some(("web\n01".into(), Kind::Snapshot, Reason::CapFull)), ..calm() };
        let wanted = "wrong: web\\u{a}01 snapshot cap_full and 1 more; 3 targets, 2 of them at work; next slot 2026-11-28T03:30:00Z";
        assert_eq!(line(None, &busy, false), wanted);
        let blind = Glance { targets: 0, next_slot: None, ..calm() };
        let wanted = "the provider does not answer; the configuration on disk is refused, an older one is in effect; 0 targets";
        assert_eq!(line(Some("the provider does not answer"), &blind, true), wanted);
    }

    #[test]
    fn a_line_that_has_to_wait_keeps_the_loop_awake() {
        let mut manager = Manager { watchdog: Some(Duration::from_secs(60)), ..Manager::new() };
        assert_eq!(manager.nap(Duration::from_secs(30)), Duration::from_secs(20));
        manager.status_waits = true;
        assert_eq!(manager.nap(Duration::from_secs(30)), STATUS_EVERY);
    }
}
