//! What the past says: the journal's records, folded as they come. The same fold serves the records of an earlier process and our own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::inventory::{ItemId, Kind, ServerId};
use super::mark::Origin;
use super::problem::{Problem, RunResult};
use super::record::{CreateEnd, CreateIntent, DeleteEnd, DeleteIntent, DeleteWhen, HooksBegun, OpId, Record, RunId, RunStart, Trigger};
use super::roster::Roster;
use super::standing::{Standing, StandingOrder, StandingOrders};

/// Of how many slots of a target something is remembered; only the newest one can be due.
const SLOTS_MAX: usize = 8;

/// The time over which extra deletes are counted.
const FUSE_WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// For how long a list may show an item that is gone.
const LAG_MAX: SignedDuration = SignedDuration::from_mins(15);

/// How long extra deletes are remembered: a clock that runs ahead and is set back by less than the difference does not refill the fuse.
pub const EXTRAS_REMEMBERED: SignedDuration = SignedDuration::from_hours(8 * 24);

/// A server and a kind.
pub type TargetKey = (ServerId, Kind);

/// Everything remembered.
#[derive(Debug, Default)]
pub struct Memory {
    targets: Roster<TargetKey, TargetMemory>,
    ops: BTreeMap<OpId, (TargetKey, Op)>,
    /// Of each run that is on: its target, and what set it off.
    runs: BTreeMap<RunId, (TargetKey, Trigger)>,
    extras: Vec<Timestamp>,
    /// Hooks that have begun and not ended.
    pub hooks: BTreeMap<OpId, HooksBegun>,
    /// What people have ordered to stand for a while.
    pub standing: StandingOrders,
}

/// What is remembered of one server and kind.
#[derive(Debug, Default)]
pub struct TargetMemory {
    /// Items made by us that are not known to be gone, with their origin.
    pub made: BTreeMap<ItemId, Origin>,
    /// Those of them that have neither completed nor failed yet.
    pub unfinished: BTreeMap<ItemId, Accepted>,
    /// Creates and deletes that may have been sent and are not decided.
    pub undecided: BTreeMap<OpId, Undecided>,
    /// When a run last ended well.
    pub last_success: Option<Timestamp>,
    /// When the target was first configured.
    pub first_seen: Option<Timestamp>,
    /// The server's name at its last run.
    pub last_name: Arc<str>,
    /// When a run last ended.
    pub last_end: Option<Timestamp>,
    /// What stood in the way of the last run.
    pub problems: Vec<Problem>,
    /// Up to this slot, missed ones have been counted.
    pub accounted: Option<Timestamp>,
    /// The delete that made room and that no completed create has paid for yet.
    unpaid_room: Option<Room>,
    /// Of the creates that have completed, the one ordered last.
    last_completed: Option<OpId>,
    slots: BTreeMap<Timestamp, SlotMemory>,
}

/// What is remembered of a delete that made room.
#[derive(Debug, Clone, Copy)]
struct Room {
    op: OpId,
    item: ItemId,
    /// When the newest item with a mark was begun that was shown when it was decided.
    newest_created_at: Timestamp,
    /// When the item was seen to be gone.
    gone_at: Timestamp,
}

/// A create whose item was accepted and is being made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// Which create.
    pub op: OpId,
    /// When its item became known.
    pub at: Timestamp,
}

/// What is remembered of one slot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SlotMemory {
    /// How many creates may have been sent for it.
    pub creates: u32,
    /// Whether an item of ours exists, or existed, for it.
    pub done: bool,
}

/// An operation that may have been sent and is not decided.
#[derive(Debug, Clone)]
pub enum Undecided {
    /// A create.
    Create(Arc<CreateIntent>),
    /// A delete.
    Delete(Arc<DeleteIntent>),
}

#[derive(Debug)]
enum Op {
    Create {
        origin: Origin,
        item: Option<ItemId>,
    },
    /// `room`: of a delete that is to make room, when the newest item with a mark was begun that was shown.
    Delete {
        item: ItemId,
        at: Timestamp,
        room: Option<Timestamp>,
        extra: bool,
    },
}

impl TargetMemory {
    /// What is remembered of a slot.
    #[must_use]
    pub fn slot(&self, slot: Timestamp) -> SlotMemory {
        self.slots.get(&slot).copied().unwrap_or_default()
    }

    fn slot_mut(&mut self, slot: Timestamp) -> &mut SlotMemory {
        if self.slots.len() >= SLOTS_MAX && !self.slots.contains_key(&slot) {
            self.slots.pop_first();
        }
        self.slots.entry(slot).or_default()
    }

    fn forget(&mut self, item: ItemId) {
        take_out(&mut self.made, &item);
        take_out(&mut self.unfinished, &item);
    }

    /// How long an item of this time has been in the making: by the provider's clock or, if it is shorter, by ours, which may be ahead. After ours was set
    /// back, no time at all.
    #[must_use]
    pub fn age(&self, item: ItemId, created_at: Timestamp, now: Timestamp) -> Duration {
        let since = self.unfinished.get(&item).map_or(created_at, |accepted| accepted.at.max(created_at));
        Duration::try_from(now.duration_since(since)).unwrap_or_default()
    }

    /// The item that went to make room that no completed create has paid for; none: there is no such room.
    #[must_use]
    pub fn made_way(&self) -> Option<ItemId> {
        self.unpaid_room.map(|room| room.item)
    }

    /// Whether it has only just gone: a list that shows it once more lags behind. One that shows it later tells the truth, and what was seen before was none.
    #[must_use]
    pub fn has_just_made_way(&self, now: Timestamp) -> bool {
        self.unpaid_room.is_some_and(|room| now.duration_since(room.gone_at).abs() <= LAG_MAX)
    }

    /// Whether an item of ours of this time was begun after the room that is unpaid was planned, by the provider's clock alone.
    #[must_use]
    pub fn is_after_room(&self, created_at: Timestamp) -> bool {
        self.unpaid_room.is_some_and(|room| created_at > room.newest_created_at)
    }
}

/// Removes an entry, and with the last one the memory that the map holds on to: of ten thousand servers most maps are empty most of the time.
fn take_out<K: Ord, V>(map: &mut BTreeMap<K, V>, key: &K) {
    map.remove(key);
    if map.is_empty() {
        *map = BTreeMap::new();
    }
}

impl Memory {
    /// What is remembered of a target; nothing, for one never heard of.
    #[must_use]
    #[inline]
    pub fn get(&self, key: TargetKey) -> Option<&TargetMemory> {
        self.targets.get(&key)
    }

    /// Several questions about this target follow.
    pub fn turn_to(&mut self, key: TargetKey) {
        self.targets.turn_to(&key);
    }

    /// The same, to be filled in.
    pub fn entry(&mut self, key: TargetKey) -> &mut TargetMemory {
        self.targets.get_or_add(key)
    }

    /// All targets ever heard of, in order.
    pub fn targets(&self) -> impl Iterator<Item = (TargetKey, &TargetMemory)> {
        self.targets.iter().map(|(key, target)| (*key, target))
    }

    /// Something is remembered of each of these targets, be it nothing. They come in their order.
    pub fn expect(&mut self, keys: &[TargetKey]) {
        self.targets.add_all(keys);
        self.targets.pack();
    }

    /// Whether any target has items of this kind that are not known to be gone.
    #[must_use]
    pub fn knows_items(&self, kind: Kind) -> bool {
        self.targets.iter().any(|((_, of), target)| *of == kind && !target.made.is_empty())
    }

    /// The item of a delete that is not decided.
    #[must_use]
    pub fn item_of(&self, op: OpId) -> Option<ItemId> {
        match self.ops.get(&op)?.1 {
            Op::Delete { item, .. } => Some(item),
            Op::Create { item, .. } => item,
        }
    }

    /// Where an item is to be held and its delete may have been sent before: what is to be said of that.
    #[must_use]
    pub fn too_late(&self, orders: &[StandingOrder]) -> Option<String> {
        let (kind, item) = orders.iter().find_map(|order| self.sent_before(order))?;
        Some(format!("a delete of {kind} {item} had been sent by then and may be carried out; what was ordered stands all the same"))
    }

    fn sent_before(&self, order: &StandingOrder) -> Option<(Kind, ItemId)> {
        let Standing::Hold(held) = &order.what else { return None };
        // What is intended later is not sent: by then the order is known.
        let mut earlier = self.get((held.server, held.kind))?.undecided.range(..order.op);
        let goes = earlier.any(|(_, undecided)| matches!(undecided, Undecided::Delete(intent) if intent.item == held.item));
        goes.then_some((held.kind, held.item))
    }

    /// Extra deletes within the last 24 hours. One that is dated ahead of `now` counts: a clock set back must not refill the fuse.
    #[must_use]
    pub fn extras_last_day(&self, now: Timestamp) -> u32 {
        let recent = self.extras.iter().filter(|at| now.duration_since(**at) < FUSE_WINDOW).count();
        u32::try_from(recent).unwrap_or(u32::MAX)
    }

    /// Lets one record take effect.
    pub fn apply(&mut self, record: &Record) {
        match record {
            Record::CreateIntent(intent) => self.create_intent(intent),
            Record::DeleteIntent(intent) => self.delete_intent(intent),
            Record::CreateAccepted { op, item, at } => self.accepted(*op, *item, *at),
            Record::CreateCompleted { op, .. } => self.completed(*op),
            Record::CreateEnded { op, how, .. } => self.create_ended(*op, *how),
            Record::DeleteEnded { op, how, at, .. } => self.delete_ended(*op, *how, *at),
            Record::ItemGone { server, kind, item, .. } => {
                self.targets.get_mut(&(*server, *kind)).into_iter().for_each(|target| target.forget(*item));
            }
            Record::RunStarted(start) => self.run_started(start),
            Record::RunEnded { run, result, problems, at, .. } => self.run_ended(*run, *result, problems, *at),
            Record::TargetSeen { server, kind, at } => {
                self.entry((*server, *kind)).first_seen.get_or_insert(*at);
            }
            Record::SlotsMissed(missed) => {
                let target = self.entry((missed.subject.server, missed.subject.kind));
                target.accounted = target.accounted.max(Some(missed.slot));
            }
            Record::HooksBegun(begun) => drop(self.hooks.insert(begun.op, HooksBegun::clone(begun))),
            Record::HooksEnded { op, .. } => drop(self.hooks.remove(op)),
            Record::Ordered(order) => self.standing.apply(order),
            // For those who ask later; nothing is decided by it.
            Record::PolicyText(_) => {}
        }
    }

    fn create_intent(&mut self, intent: &Arc<CreateIntent>) {
        let key = (intent.subject.server, intent.subject.kind);
        self.ops.insert(intent.op, (key, Op::Create { origin: intent.origin.clone(), item: None }));
        let target = self.entry(key);
        target.undecided.insert(intent.op, Undecided::Create(Arc::clone(intent)));
        if let Origin::Slot { slot, .. } = intent.origin {
            let slot = target.slot_mut(slot);
            slot.creates = slot.creates.saturating_add(1);
        }
    }

    fn delete_intent(&mut self, intent: &Arc<DeleteIntent>) {
        let key = (intent.subject.server, intent.subject.kind);
        let makes_room = intent.when == DeleteWhen::BeforeCreate && !intent.extra;
        // Where an older journal does not tell, the time of the intent serves, by our own clock.
        let room = makes_room.then_some(intent.newest_created_at.unwrap_or(intent.at));
        self.ops.insert(intent.op, (key, Op::Delete { item: intent.item, at: intent.at, room, extra: intent.extra }));
        self.entry(key).undecided.insert(intent.op, Undecided::Delete(Arc::clone(intent)));
        if intent.extra {
            self.extras.retain(|at| intent.at.duration_since(*at) < EXTRAS_REMEMBERED);
            self.extras.push(intent.at);
        }
    }

    fn accepted(&mut self, op: OpId, item: ItemId, at: Timestamp) {
        let Some((key, Op::Create { origin, item: known })) = self.ops.get_mut(&op) else { return };
        *known = Some(item);
        let (key, origin) = (*key, origin.clone());
        let target = self.entry(key);
        take_out(&mut target.undecided, &op);
        target.unfinished.insert(item, Accepted { op, at });
        if let Origin::Slot { slot, .. } = origin {
            target.slot_mut(slot).done = true;
        }
        target.made.insert(item, origin);
    }

    fn completed(&mut self, op: OpId) {
        let Some((key, Op::Create { item, .. })) = self.ops.remove(&op) else { return };
        let target = self.entry(key);
        // One that was ordered before the room was made pays for nothing, however late its completion is seen.
        target.unpaid_room = target.unpaid_room.filter(|room| op < room.op);
        target.last_completed = target.last_completed.max(Some(op));
        if let Some(item) = item {
            take_out(&mut target.unfinished, &item);
        }
    }

    fn create_ended(&mut self, op: OpId, how: CreateEnd) {
        let Some((key, Op::Create { origin, item })) = self.ops.remove(&op) else { return };
        let target = self.entry(key);
        take_out(&mut target.undecided, &op);
        if let Some(item) = item {
            take_out(&mut target.unfinished, &item);
        }
        if let Origin::Slot { slot, .. } = origin {
            let slot = target.slot_mut(slot);
            match how {
                CreateEnd::NotSent => slot.creates = slot.creates.saturating_sub(1),
                CreateEnd::Failed => slot.done = false,
                CreateEnd::Refused | CreateEnd::Absent => {}
            }
        }
    }

    fn delete_ended(&mut self, op: OpId, how: DeleteEnd, gone_at: Timestamp) {
        let Some((key, Op::Delete { item, at, room, extra })) = self.ops.remove(&op) else { return };
        let target = self.entry(key);
        take_out(&mut target.undecided, &op);
        match how {
            DeleteEnd::Gone => {
                target.forget(item);
                // By the order in which they were ordered, not in which they are told of: that is the same after a restart.
                let newest = target.last_completed.max(target.unpaid_room.map(|room| room.op));
                if let Some(newest_created_at) = room.filter(|_| newest.is_none_or(|newest| newest < op)) {
                    target.unpaid_room = Some(Room { op, item, newest_created_at, gone_at });
                }
            }
            // Nothing was deleted: it does not count against the fuse.
            DeleteEnd::Refused if extra => self.give_back(at),
            DeleteEnd::Refused | DeleteEnd::Ineffective => {}
        }
    }

    fn give_back(&mut self, extra: Timestamp) {
        if let Some(index) = self.extras.iter().position(|at| *at == extra) {
            self.extras.swap_remove(index);
        }
    }

    fn run_started(&mut self, start: &RunStart) {
        let key = (start.subject.server, start.subject.kind);
        self.runs.insert(start.run, (key, start.trigger));
        self.entry(key).last_name = Arc::clone(&start.subject.server_name);
        if let Some(slot) = start.slot {
            let target = self.entry(key);
            // A slot to come, of a machine whose clock is ahead, says nothing of those that this clock has dealt with.
            target.accounted = target.accounted.max(Some(slot).filter(|slot| *slot <= start.at));
        }
    }

    fn run_ended(&mut self, run: RunId, result: RunResult, problems: &[Problem], at: Timestamp) {
        let Some((key, trigger)) = self.runs.remove(&run) else { return };
        // What a person made by hand says nothing of the schedule: neither that it works, nor that it does not.
        if trigger == Trigger::Hand {
            return;
        }
        let target = self.entry(key);
        target.last_end = Some(at);
        target.problems = problems.to_vec();
        if result == RunResult::Success {
            target.last_success = target.last_success.max(Some(at));
        }
    }
}

#[cfg(test)]
mod tests;
