//! What happened at the provider, judged by what is really there: I1 to I3, I5, I7, I10 and I12 of failure-modes.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::landmark::Landmark;
use crate::domain::inventory::{ItemId, Kind, ServerId};
use crate::domain::mark::{Mark, Reading};
use crate::domain::policy::Wanted;
use crate::domain::record::{DeleteIntent, DeleteWhen};
use crate::emulator::{Account, Effect, Item, Maker, Progress};

/// So long after a person has deleted something, too little may be left by a delete of ours that was decided before, and carried out late.
const DISTURBED: SignedDuration = SignedDuration::from_mins(15);
/// So long after a second daemon has stopped, what it had begun may still show.
const LINGERS: SignedDuration = SignedDuration::from_mins(30);

/// A slot that is so much older than the newest one is made up for by no policy that is played.
const MADE_UP_FOR_MAX: SignedDuration = SignedDuration::from_hours(40 * 24);

/// The account of one server and kind.
#[derive(Debug, Default)]
struct Tally {
    /// Completed items that we deleted since a run began there.
    deleted: u64,
    /// Items of ours that completed since then.
    completed: u64,
    /// What the fuse allows it.
    allowed: u64,
    /// Completed items that went to make room since an item of ours last completed.
    holes: u32,
    /// When a person last deleted something.
    disturbed: Option<Timestamp>,
    /// What we made for which slot, as long as another for it could be made; and whether in its time, by the only daemon.
    made: BTreeMap<(Timestamp, ItemId), bool>,
}

/// An item, with what its description turned out to be: that does not change.
#[derive(Debug)]
struct Marked {
    item: Item,
    reading: Reading,
}

impl Marked {
    fn new(item: Item) -> Marked {
        Marked { reading: Mark::read(&item.description), item }
    }

    fn slot(&self) -> Option<Timestamp> {
        match &self.reading {
            Reading::Mark(mark) => mark.slot(),
            _ => None,
        }
    }
}

/// The true past of the account.
#[derive(Debug)]
pub struct Watch {
    /// Everything that happened, where that is kept.
    pub effects: Vec<(Timestamp, Effect)>,
    /// What was refused.
    pub refusals: u64,
    pub(super) keeps: bool,
    pub(super) late: BTreeSet<Arc<str>>,
    /// Those of them that a complete listing has not shown.
    looked_for: BTreeSet<Arc<str>>,
    pub(super) landmarks: BTreeSet<Landmark>,
    there: BTreeMap<(ServerId, Kind, ItemId), Marked>,
    wanted: Option<Wanted>,
    adopted_once: bool,
    tallies: BTreeMap<(ServerId, Kind), Tally>,
    /// Deletes that were sent to make room, and extra ones.
    announced: BTreeMap<(Kind, ItemId), (DeleteWhen, bool)>,
    /// Deletes that were sent under another configuration: what that kept is not known here.
    overtaken: BTreeSet<(Kind, ItemId)>,
    extras: VecDeque<Timestamp>,
    /// Items that the program knows only by what the provider shows.
    forgotten: BTreeSet<(Kind, ItemId)>,
    /// So many daemons were at work at the same time, at most.
    pub(super) daemons: u32,
    /// From then on it was one.
    alone_since: Option<Timestamp>,
    breaches: Vec<String>,
}

impl Watch {
    pub(super) fn new() -> Watch {
        Watch {
            effects: Vec::new(),
            refusals: 0,
            keeps: true,
            late: BTreeSet::new(),
            looked_for: BTreeSet::new(),
            landmarks: BTreeSet::new(),
            there: BTreeMap::new(),
            wanted: None,
            adopted_once: false,
            tallies: BTreeMap::new(),
            announced: BTreeMap::new(),
            overtaken: BTreeSet::new(),
            extras: VecDeque::new(),
            forgotten: BTreeSet::new(),
            daemons: 1,
            alone_since: None,
            breaches: Vec::new(),
        }
    }

    /// What is wanted from now on.
    pub(super) fn wanted(&mut self, wanted: &Wanted) {
        self.adopted_once |= wanted.policies.iter().any(|policy| !policy.adopt.is_empty());
        self.overtaken.extend(self.announced.keys());
        self.wanted = Some(wanted.clone());
    }

    /// A run began that may delete so many items without paying for them.
    pub(super) fn run_began(&mut self, server: ServerId, kind: Kind, extra: u32) {
        let tally = self.tallies.entry((server, kind)).or_default();
        (tally.deleted, tally.completed, tally.allowed) = (0, 0, extra.into());
    }

    /// The second daemon begins, or has stopped.
    pub(super) fn second_daemon(&mut self, up: bool, now: Timestamp) {
        self.alone_since = if up { None } else { self.alone_since.or(Some(now)) };
    }

    /// Whether only one daemon is at work, and nothing of another can show any more.
    fn is_alone(&self, now: Timestamp) -> bool {
        self.daemons == 1 || self.alone_since.is_some_and(|since| now.duration_since(since) > LINGERS)
    }

    /// A complete listing is shown.
    pub(super) fn looked(&mut self) {
        if self.looked_for.len() < self.late.len() {
            self.looked_for.extend(self.late.iter().cloned());
        }
    }

    /// A delete is sent.
    pub(super) fn announce(&mut self, intent: &DeleteIntent) {
        let deleted = (intent.subject.kind, intent.item);
        self.announced.insert(deleted, (intent.when, intent.extra));
        self.overtaken.remove(&deleted);
    }

    /// A day is not a day any more to the program.
    pub(super) fn clock_stepped(&mut self) {
        self.extras.clear();
    }

    /// What a starting process is owed, or takes itself to be owed, is not known to it after a loss of the journal.
    pub(super) fn journal_lost(&mut self) {
        let there = &self.there;
        for ((server, kind), tally) in &mut self.tallies {
            tally.holes = 0;
            // A slot whose item is gone, or goes, may be filled again: neither the provider nor the journal knows of it.
            tally.made.retain(|(_, id), _| there.contains_key(&(*server, *kind, *id)));
        }
        self.extras.clear();
        // Of a delete that is still on its way the program knows nothing any more, so it cannot take the hole for its own.
        self.announced.clear();
        self.forgotten.extend(there.keys().map(|(_, kind, id)| (*kind, *id)));
    }

    /// Takes in what has happened since the last call. Returns what is wrong with it.
    pub(super) fn take(&mut self, account: &mut Account) -> Vec<String> {
        for (at, effect) in account.take_effects() {
            if self.keeps {
                self.effects.push((at, effect.clone()));
            }
            match effect {
                Effect::Created { item, by, .. } => self.created(item, by, at),
                Effect::Ended { item } => self.ended(item),
                Effect::Deleted { item, by } => self.deleted(&item, by, at),
                Effect::Refused { .. } => self.refusals += 1,
                _ => {}
            }
        }
        std::mem::take(&mut self.breaches)
    }

    fn ended(&mut self, item: Item) {
        let (key, completed) = ((item.server, item.kind), item.progress == Progress::Completed);
        let marked = match self.there.entry((item.server, item.kind, item.id)) {
            Entry::Vacant(place) => place.insert(Marked::new(item)),
            Entry::Occupied(known) => {
                let known = known.into_mut();
                known.item = item;
                known
            }
        };
        if completed && matches!(marked.reading, Reading::Mark(_)) {
            let tally = self.tallies.entry(key).or_default();
            tally.completed += 1;
            tally.holes = 0;
        }
    }

    fn created(&mut self, item: Item, by: Maker, at: Timestamp) {
        let alone = self.is_alone(at);
        if by == Maker::Api && self.looked_for.remove(&*item.description) {
            self.landmarks.insert(Landmark::CommitAfterWeLooked);
        }
        let marked = Marked::new(item);
        let item = &marked.item;
        if let (Maker::Api, Some(slot)) = (by, marked.slot()) {
            let made = &mut self.tallies.entry((item.server, item.kind)).or_default().made;
            let there = &self.there;
            let good = |id: &ItemId| there.get(&(item.server, item.kind, *id)).is_none_or(|other| other.item.progress != Progress::Failed);
            let mut twins = made.range((slot, ItemId(0))..=(slot, ItemId(u64::MAX))).filter(|((_, id), _)| good(id)).peekable();
            if twins.peek().is_some() {
                // A create that was carried out long after its answer may have a twin, and so may those of two daemons; and what was made before its time, by
                // a clock that was ahead, may be gone and forgotten by then.
                if alone && twins.all(|(_, regular)| *regular) && !self.late.contains(&*item.description) {
                    self.breaches.push(format!("I12: {} was made twice", item.description));
                }
                self.landmarks.insert(Landmark::TwinMade);
            }
            while made.first_key_value().is_some_and(|((of, _), _)| slot.duration_since(*of) >= MADE_UP_FOR_MAX) {
                made.pop_first();
            }
            made.insert((slot, item.id), alone && at >= slot);
        }
        self.there.insert((item.server, item.kind, item.id), marked);
    }

    fn in_care(&self, Marked { item, reading }: &Marked, at_any_time: bool) -> bool {
        let Some(wanted) = &self.wanted else { return false };
        match reading {
            Reading::Mark(mark) => *mark.owner == *wanted.owner || wanted.former_owners.contains(&mark.owner),
            Reading::None if item.automatic => false,
            Reading::None if at_any_time && self.adopted_once => true,
            Reading::None => {
                let told = item.name.as_deref().unwrap_or(&item.description);
                let policies = wanted.policies.iter().filter(|policy| policy.kind == item.kind);
                policies.into_iter().any(|policy| policy.adopt.is_match(told) && !policy.protect.is_match(told))
            }
            Reading::Damaged => false,
        }
    }

    fn min_keep(&self, kind: Kind) -> usize {
        let policies = self.wanted.iter().flat_map(|wanted| &wanted.policies).filter(|policy| policy.kind == kind);
        policies.map(|policy| policy.min_keep).min().unwrap_or(1).max(1) as usize
    }

    fn deleted(&mut self, item: &Item, by: Maker, at: Timestamp) {
        let marked = self.there.remove(&(item.server, item.kind, item.id)).unwrap_or_else(|| Marked::new(item.clone()));
        let key = (item.server, item.kind);
        if by != Maker::Api {
            self.vacate(&marked);
            self.tallies.entry(key).or_default().disturbed = Some(at);
            return;
        }
        if item.automatic {
            self.breaches.push(format!("I1: the automatic backup {} was deleted", item.id));
        }
        if !matches!(item.progress, Progress::Completed | Progress::Failed) {
            self.breaches.push(format!("F55: {} was deleted while it was {}", item.id, item.progress.as_str()));
        }
        if matches!(marked.reading, Reading::None) {
            self.landmarks.insert(Landmark::AdoptedItemRemoved);
        }
        if !self.in_care(&marked, true) {
            self.breaches.push(format!("I1: {} ({:?}) was deleted and is not under our care", item.id, item.description));
        }
        if self.forgotten.contains(&(item.kind, item.id)) {
            self.vacate(&marked);
        }
        if item.progress == Progress::Failed {
            self.vacate(&marked);
            self.landmarks.insert(Landmark::FailedItemRemoved);
            return;
        }
        let left = self.there.range((key.0, key.1, ItemId(0))..=(key.0, key.1, ItemId(u64::MAX))).map(|(_, other)| other);
        let slot = marked.slot();
        let left: Vec<&Marked> = left.collect();
        if slot.is_some() && left.iter().any(|other| other.slot() == slot) {
            self.landmarks.insert(Landmark::TwinRemoved);
        }
        let good = left.into_iter().filter(|other| other.item.progress == Progress::Completed && self.in_care(other, false));
        let good: Vec<&Item> = good.map(|other| &other.item).collect();
        let overtaken = self.overtaken.remove(&(item.kind, item.id));
        let disturbed =
            overtaken || self.tallies.get(&key).and_then(|tally| tally.disturbed).is_some_and(|time| at.duration_since(time) < DISTURBED);
        // Two daemons that know nothing of each other may each delete one that it may.
        let others = if self.is_alone(at) { 0 } else { self.daemons as usize - 1 };
        if !disturbed && good.len() < self.min_keep(item.kind).saturating_sub(others).max(1) {
            self.breaches.push(format!("I2: {} was deleted, and only {} stay on {} ({})", item.id, good.len(), item.server, item.kind));
        }
        if !disturbed && good.iter().all(|other| (other.created_at, other.id) < (item.created_at, item.id)) {
            self.breaches.push(format!("I3: {} was deleted, the newest on {} ({})", item.id, item.server, item.kind));
        }
        self.count_delete(item, at);
    }

    /// Its slot may be filled again.
    fn vacate(&mut self, marked: &Marked) {
        let item = &marked.item;
        if let Some(tally) = self.tallies.get_mut(&(item.server, item.kind)) {
            tally.made.retain(|(_, id), _| *id != item.id);
        }
    }

    /// I5 and I10. Items that were there when the program came, and those of former policies, are paid for by the fuse.
    fn count_delete(&mut self, item: &Item, at: Timestamp) {
        let (when, extra) = self.announced.remove(&(item.kind, item.id)).unwrap_or((DeleteWhen::AfterCreate, false));
        let daemons = if self.is_alone(at) { 1 } else { u64::from(self.daemons) };
        let tally = self.tallies.entry((item.server, item.kind)).or_default();
        tally.deleted += 1;
        // More than is paid for: the create that a hole was made for is still to come.
        if tally.deleted > (tally.completed + tally.allowed + 1) * daemons {
            let (deleted, completed) = (tally.deleted, tally.completed);
            self.breaches.push(format!("I10: {} is the {deleted}th delete of a run, with {completed} completed creates", item.id));
        }
        if when == DeleteWhen::BeforeCreate && !extra {
            tally.holes += 1;
            if tally.holes > self.daemons {
                self.breaches.push(format!("I5: {} went to make room, the {}th without a completed create", item.id, tally.holes));
            }
        }
        if extra {
            self.extras.push_back(at);
            self.extras.retain(|time| at.duration_since(*time) < SignedDuration::from_hours(24));
            let most = self.wanted.as_ref().map_or(0, |wanted| wanted.fuse.extra_per_day) * self.daemons;
            if self.extras.len() > most as usize {
                self.breaches.push(format!("I10: {} is the {}th extra delete within a day", item.id, self.extras.len()));
            }
        }
    }

    /// What was made by us, where effects are kept.
    #[must_use]
    pub fn created_by_us(&self) -> Vec<&Item> {
        let made = |effect: &Effect| matches!(effect, Effect::Created { by: Maker::Api, .. });
        self.effects.iter().filter(|(_, effect)| made(effect)).filter_map(|(_, effect)| item_of(effect)).collect()
    }

    /// What was deleted by us, where effects are kept.
    #[must_use]
    pub fn deleted_by_us(&self) -> Vec<&Item> {
        let gone = |effect: &Effect| matches!(effect, Effect::Deleted { by: Maker::Api, .. });
        self.effects.iter().filter(|(_, effect)| gone(effect)).filter_map(|(_, effect)| item_of(effect)).collect()
    }
}

fn item_of(effect: &Effect) -> Option<&Item> {
    match effect {
        Effect::Created { item, .. } | Effect::Deleted { item, .. } | Effect::Ended { item } => Some(item),
        _ => None,
    }
}

/// The slot in an item's mark.
#[must_use]
pub fn slot_of(item: &Item) -> Option<Timestamp> {
    match Mark::read(&item.description) {
        Reading::Mark(mark) => mark.slot(),
        _ => None,
    }
}
