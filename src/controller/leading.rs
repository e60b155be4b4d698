//! One of several replicas: what changes when it becomes the one that acts, and when it is it no longer.
//!
//! One that does not act looks at the provider all the same, so that its page and its gauges are true. What it had begun is left as by a process
//! that died: whoever acts next looks into it, by its own journal or by the marks at the provider.

use std::time::Duration;

use jiff::Timestamp;

use crate::clock::{Mono, Now};
use crate::domain::inventory::{Kind, ServerId};
use crate::domain::memory::TargetKey;
use crate::domain::record::Record;
use crate::domain::report::Leader;
use crate::domain::run::Run;

use super::Controller;
use super::account::Fatal;
use super::ops::Ops;

impl Controller {
    /// Whether this replica is the one that acts, or the only one.
    pub(super) fn is_in_charge(&self) -> bool {
        self.leader.as_ref().is_none_or(|leader| leader.leads)
    }

    /// Whether nothing is begun any more: only what is in flight is brought to an end.
    pub(super) fn winds_down(&self) -> bool {
        self.stopping || !self.is_in_charge()
    }

    /// Whether it is not known of something that this process has sent what it has come to, and it may still show.
    #[must_use]
    pub fn is_in_doubt(&self, now: Now) -> bool {
        let shows_for = self.setup.request_timeout.saturating_mul(4);
        let has_written = |server: &ServerId| {
            let last_write = self.trails.get(server).and_then(|trail| trail.last_write);
            last_write.is_some_and(|write| now.mono.since(write) < shows_for)
        };
        self.memory.targets().any(|((server, _), memory)| !memory.undecided.is_empty() && has_written(&server))
    }

    /// Why nothing is done here that people ask for, if that is so.
    pub(super) fn standby(&self) -> Option<String> {
        let leader = self.leader.as_ref().filter(|leader| !leader.leads)?;
        Some(match &leader.holder {
            Some(holder) if *holder != leader.identity => format!("this replica, {}, does not lead; {holder} does", leader.identity),
            _ => format!("this replica, {}, does not lead, and no other one is known to", leader.identity),
        })
    }

    /// Who acts has changed, perhaps.
    pub(super) fn leader_told(&mut self, now: Now, leader: Leader) {
        let was_told = self.leader.is_some();
        let before = self.is_in_charge();
        self.leader = Some(leader);
        match (before, self.is_in_charge()) {
            (true, false) => self.step_down(),
            (false, true) => self.take_charge(now),
            // It begins as the one that acts: what the others did before is not known.
            (true, true) if !was_told => self.take_charge(now),
            _ => {}
        }
    }

    fn step_down(&mut self) {
        let why = self.standby().unwrap_or_default();
        self.abandon(Fatal::Standby(why));
        self.stop_hooks();
    }

    fn take_charge(&mut self, now: Now) {
        // What is still open from before is taken up as after a crash.
        self.drop_runs(|_| true);
        self.ops = Ops::default();
        for op in self.brackets.all() {
            self.run_after(now, op);
        }
        self.led_since = Some(now);
        self.pass_over_slots(now);
        let kinds: Vec<Kind> = self.kinds().collect();
        for kind in kinds {
            self.source(kind).want(now.mono, true);
        }
        self.sources.servers.want(now.mono, true);
        for (server, _) in self.targets.keys() {
            // Whatever was seen before may have changed by the others' writes.
            self.trails.get_or_add(*server).last_write = Some(now.mono);
            self.ready.insert(*server);
        }
    }

    /// Gives up runs without a trace; what they have sent or written is looked into by the next ones.
    pub(super) fn drop_runs(&mut self, which: impl Fn(&Run) -> bool) {
        let servers: Vec<ServerId> = self.runs.iter().filter(|(_, run)| which(run)).map(|(server, _)| server).collect();
        for server in servers {
            self.runs.remove(server);
            self.places.leave(server);
            self.ops.forget(server);
        }
    }

    /// Slots that passed while others acted were theirs. Only the newest is accounted for here: it may be what they left.
    fn pass_over_slots(&mut self, now: Now) {
        for (key, state) in self.targets.iter() {
            let schedule = &state.policy.schedule;
            let newest = schedule.newest_at_or_before(now.wall).and_then(|newest| newest.checked_sub(Duration::from_nanos(1)).ok());
            let before = newest.and_then(|newest| schedule.newest_at_or_before(newest));
            let memory = self.memory.entry(*key);
            memory.accounted = memory.accounted.max(before);
        }
    }

    /// Whether a newer slot had come when this replica began to act: then those before it were the others', who may have made what is not there any more.
    pub(super) fn was_passed_over(&self, key: TargetKey, slot: Timestamp) -> bool {
        let next = self.targets.get(&key).and_then(|state| state.policy.schedule.next_after(slot));
        self.led_since.zip(next).is_some_and(|(since, next)| next.time <= since.wall)
    }

    /// Whether what is known of a server was all seen since this replica acts.
    pub(super) fn has_own_ground(&self, server: ServerId) -> bool {
        let Some(since) = self.led_since else { return true };
        let kinds = Kind::ALL.into_iter().filter(|kind| self.targets.contains_key(&(server, *kind)));
        kinds.into_iter().all(|kind| self.inventories.get(&kind).is_some_and(|inventory| inventory.begun >= since.mono))
    }

    /// Whether a listing is the first one since this replica acts.
    pub(super) fn is_first_of_ours(&self, begun: Mono, before: Mono) -> bool {
        self.led_since.is_some_and(|since| before < since.mono && begun >= since.mono)
    }

    /// What is missing when this replica begins to act was deleted by the one that acted before, as far as anybody knows.
    pub(super) fn forget_what_others_deleted(&mut self, now: Now, kind: Kind) {
        let keys: Vec<TargetKey> = self.targets.keys().copied().filter(|key| key.1 == kind).collect();
        for key in keys {
            let missing = self.targets.get_mut(&key).map(|state| state.watching.give_up_missing()).unwrap_or_default();
            for item in missing {
                self.append(Record::ItemGone { server: key.0, kind, item, ours: false, at: now.wall });
            }
        }
    }
}
