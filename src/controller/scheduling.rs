//! Which slots are due, and which runs are to be picked up (contract §1, "Slots").

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::clock::{Mono, Now};
use crate::domain::fact::Fact;
use crate::domain::fleet::Member;
use crate::domain::inventory::{Item, ItemId, Kind, ServerId, Status};
use crate::domain::mark::Origin;
use crate::domain::memory::{TargetKey, Undecided};
use crate::domain::policy::KindPolicy;
use crate::domain::problem::RunResult;
use crate::domain::record::{OpId, Record, SlotsMissed, Trigger};
use crate::domain::run::{CREATES_MAX, Outcome, Resume};
use crate::domain::schedule::ON_TIME;

use super::account::AccountState;
use super::observe::Retry;
use super::{Controller, Mode};

/// The pause after a run that did not end well; it doubles with each.
const RETRY_PAUSE: Duration = Duration::from_secs(60);
/// The longest pause between two tries for a slot.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(30 * 60);
/// Missed slots are counted up to this many; more of them say no more.
const MISSED_MAX: u64 = 10_000;
/// A clock that was set back by up to this much repeats no slot.
const STEP_BACK_MAX: SignedDuration = SignedDuration::from_hours(25);

impl Controller {
    /// Looks for slots that have become due.
    pub(super) fn fire(&mut self, now: Now) {
        let mut servers: Vec<ServerId> = std::mem::take(&mut self.ready).into_iter().collect();
        servers.extend(self.timetables.take_due(now.wall).into_iter().map(|key| key.0));
        servers.extend(self.retries_due(now));
        for server in servers {
            self.turn_to((server, Kind::Snapshot));
            self.consider(now, server);
        }
    }

    fn retries_due(&mut self, now: Now) -> Vec<ServerId> {
        let mut servers = Vec::new();
        while let Some((_, key)) = self.retries.first().copied().filter(|(at, _)| *at <= now.mono) {
            self.retries.pop_first();
            servers.push(key.0);
        }
        servers
    }

    /// When the next slot may be tried again.
    pub(super) fn next_retry(&self) -> Option<Mono> {
        self.retries.first().map(|(at, _)| *at)
    }

    /// Begins a run on a server, if there is work and none is on. Requests go first; the two kinds take turns.
    pub(super) fn consider(&mut self, now: Now, server: ServerId) {
        let occupied = self.runs.contains(server) || self.brackets.are_on(server);
        if self.winds_down() || occupied || !AccountState::clock_is_set(now.wall) || !self.has_own_ground(server) {
            return;
        }
        if self.mode == Mode::Command && !self.desk.is_for(server) || self.pick_up(now, server) {
            return;
        }
        if self.serve_request(now, server) || self.mode == Mode::Command {
            return;
        }
        let mut kinds = Kind::ALL;
        if self.trails.get(&server).is_some_and(|trail| trail.last_kind == Some(kinds[0])) {
            kinds.reverse();
        }
        for kind in kinds {
            let key = (server, kind);
            if let Some(slot) = self.work(now, key) {
                return self.start_slot(now, key, slot, Trigger::Schedule.into());
            }
        }
    }

    /// Picks up what was left unfinished on a server, of either kind: it goes before anything new there, for there is one run at a time on a
    /// server, whoever begins it. Returns whether nothing else is to be begun now.
    fn pick_up(&mut self, now: Now, server: ServerId) -> bool {
        let kinds = Kind::ALL.map(|kind| Some(kind).filter(|kind| self.targets.contains_key(&(server, *kind))));
        if kinds.iter().flatten().any(|kind| !self.inventories.contains_key(kind)) {
            return true;
        }
        for key in kinds.into_iter().flatten().map(|kind| (server, kind)) {
            if !self.is_barred(now, key)
                && let Some(resume) = self.interrupted(now, key)
            {
                self.desk.note_run(key, self.next_run);
                self.resume(now, key, resume);
                return true;
            }
        }
        false
    }

    /// The slot that there is a run to be begun for. Slots that have passed are accounted for on the way.
    pub(super) fn work(&mut self, now: Now, key: TargetKey) -> Option<Timestamp> {
        let state = self.targets.get(&key)?;
        if !self.inventories.contains_key(&key.1) || self.guests.contains(&key) || self.is_barred(now, key) {
            return None;
        }
        let slot = self.timetables.due_slot(state.timetable, state.offset, now.wall)?;
        if self.memory.get(key).is_some_and(|memory| memory.accounted >= Some(slot) && memory.slot(slot).done) {
            return None;
        }
        let too_late = deadline(&state.policy, slot, state.offset).is_none_or(|deadline| now.wall > deadline);
        let tried = self.memory.get(key).is_some_and(|memory| memory.slot(slot).creates >= CREATES_MAX);
        let paused = state.retry.is_some_and(|retry| retry.slot == slot && retry.at > now.mono);
        let done = self.is_done(key, slot);
        self.account_for(now, key, slot, too_late && !done);
        if done {
            let memory = self.memory.entry(key);
            memory.accounted = memory.accounted.max(Some(slot));
        }
        (!(done || too_late || tried || paused || self.was_ahead(now, key))).then_some(slot)
    }

    /// Whether the clock was set back: a later slot than those of now was dealt with not long ago, and none before that is begun (I12). A clock
    /// that was further ahead than that is not believed afterwards, so that it cannot stop the runs for ever.
    fn was_ahead(&self, now: Now, key: TargetKey) -> bool {
        let accounted = self.memory.get(key).and_then(|memory| memory.accounted);
        let ahead = accounted.map(|accounted| accounted.duration_since(now.wall));
        ahead.is_some_and(|ahead| ahead > SignedDuration::ZERO && ahead <= STEP_BACK_MAX)
    }

    /// Whether nothing may be begun for a target.
    fn is_barred(&self, now: Now, key: TargetKey) -> bool {
        let barred =
            |member: &Member| member.conflict.is_some() || self.restores(now, key.0, Some(member)) || self.is_paused(now, key, member);
        self.fleet.members.get(&key.0).is_none_or(barred)
    }

    /// Whether the provider or the journal knows an item of ours for the slot.
    pub(super) fn is_done(&self, key: TargetKey, slot: Timestamp) -> bool {
        let remembered = self.memory.get(key).is_some_and(|memory| memory.slot(slot).done);
        let summary = self.targets.get(&key).and_then(|state| state.summary.as_ref());
        remembered || summary.is_some_and(|summary| summary.slots.contains(&slot))
    }

    /// Tells once which slots have passed since the newest one that was dealt with: those before `slot`, and that as well if it is lost.
    /// Of a target that was never heard of before, and while it was paused, nothing has been missed.
    fn account_for(&mut self, now: Now, key: TargetKey, slot: Timestamp, lost: bool) {
        let memory = self.memory.entry(key);
        let known = memory.accounted.or(memory.first_seen);
        let Some(known) = known.max(self.last_paused(now, key)).filter(|known| *known < slot) else { return };
        let Some(state) = self.targets.get(&key) else { return };
        if !lost && self.timetables.is_next_after(state.timetable, known, slot) {
            return;
        }
        let until = if lost { slot } else { slot.checked_sub(Duration::from_nanos(1)).unwrap_or(slot) };
        let count = state.policy.schedule.count_between(known, until, MISSED_MAX);
        let Some(newest) = state.policy.schedule.newest_at_or_before(until).filter(|_| count > 0) else { return };
        let target = self.target(key);
        self.append(Record::SlotsMissed(SlotsMissed { subject: (&target).into(), slot: newest, count, at: now.wall }.into()));
        self.tell(Fact::Missed { target, count, newest });
    }

    /// What an earlier process, or another replica, has left unfinished there.
    pub(super) fn interrupted(&self, now: Now, key: TargetKey) -> Option<Resume> {
        let (state, memory) = (self.targets.get(&key)?, self.memory.get(key)?);
        // Without a newer list that is whole nothing is settled: once that was tried, it is left until there is one, and holds up nothing else.
        let whole = self.inventories.get(&key.1).filter(|inventory| inventory.of(key.0).defect().is_none());
        let is_news = |left: Mono| whole.is_some_and(|inventory| inventory.begun >= left);
        let is_to_settle = |op: OpId| self.ops.get(op).is_none() && self.ops.left_at(op).is_none_or(is_news);
        let foreign = memory.undecided.iter().find(|(op, _)| is_to_settle(**op)).map(|(_, undecided)| undecided.clone());
        match foreign {
            Some(Undecided::Create(intent)) => return Some(Resume::CreateInDoubt(intent)),
            Some(Undecided::Delete(intent)) => {
                let item = Item {
                    id: intent.item,
                    server: key.0,
                    server_name: (*intent.subject.server_name).into(),
                    kind: key.1,
                    name: intent.item_name.as_deref().map(Into::into),
                    description: "".into(),
                    status: Status::Completed,
                    created_at: intent.item_created_at,
                    automatic: false,
                };
                return Some(Resume::DeleteInDoubt(intent, Box::new(item)));
            }
            None => {}
        }
        if memory.unfinished.is_empty() && state.summary.as_ref().is_none_or(|summary| summary.unfinished.is_empty()) {
            return None;
        }
        let inventory = self.inventories.get(&key.1)?.of(key.0);
        let for_slot = |item: &ItemId| memory.made.get(item).is_some_and(|origin| origin.slot().is_some());
        // What a list does not show that is stale, or not whole, is being made all the same.
        let unseen = memory.unfinished.iter().filter(|(item, _)| for_slot(item) && inventory.find(**item).is_none());
        let unfinished = state.summary.as_ref()?.unfinished.iter().copied().chain(unseen.map(|(item, accepted)| (*item, accepted.at)));
        let mut aged = unfinished.map(|(item, since)| (item, memory.age(item, since, now.wall)));
        let (item, age) = aged.find(|(item, age)| !state.given_up.contains(item) && *age < state.policy.stuck_after)?;
        let op: Option<OpId> = memory.unfinished.get(&item).map(|accepted| accepted.op);
        Some(Resume::Waiting { op, item, age })
    }

    /// A run has ended: when its slot may be tried again, and what it waited for in vain.
    pub(super) fn note_end(&mut self, now: Now, key: TargetKey, slot: Option<Timestamp>, outcome: &Outcome, waited_for: Option<ItemId>) {
        self.trails.get_or_add(key.0).last_kind = Some(key.1);
        let Some(state) = self.targets.get_mut(&key) else { return };
        state.given_up.extend(waited_for);
        let old = state.retry.take().filter(|retry| Some(retry.slot) == slot);
        let Some(slot) = slot.filter(|_| !matches!(outcome.result, RunResult::Success | RunResult::Skipped)) else { return };
        let failures = old.map_or(0, |retry| retry.failures) + 1;
        let pause = RETRY_PAUSE.saturating_mul(1 << (failures - 1).min(16)).min(RETRY_PAUSE_MAX);
        let retry = Retry { slot, failures, at: now.mono.after(pause) };
        state.retry = Some(retry);
        self.retries.insert((retry.at, key));
    }

    /// The origin in the mark of an item for a slot.
    pub(super) fn slot_origin(policy: &KindPolicy, slot: Timestamp) -> Origin {
        Origin::Slot { policy: (*policy.policy).into(), slot }
    }
}

/// Until when a create for a slot may be begun.
pub(super) fn deadline(policy: &KindPolicy, slot: Timestamp, offset: Duration) -> Option<Timestamp> {
    slot.checked_add(offset).ok()?.checked_add(policy.catch_up.max(ON_TIME)).ok()
}
