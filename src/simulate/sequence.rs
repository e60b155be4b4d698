//! What comes before what: slots in their time, an item at a time, and completion before what counts on it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::conduct::Scene;
use crate::domain::inventory::{ItemId, Kind, ServerId};
use crate::domain::mark::{Mark, Origin, Reading};
use crate::domain::record::{CreateIntent, OpId, Record, RunStart, Trigger};
use crate::emulator::Progress;

/// So late a run is still on time.
const ON_TIME: Duration = Duration::from_secs(60);
/// A clock that is set back by up to this much is believed to have been right before.
const AHEAD_MAX: SignedDuration = SignedDuration::from_hours(24);
/// Every policy of the histories waits longer than this for an item.
const WAITED_FOR: Duration = Duration::from_secs(15 * 60);

/// What one machine has begun and not ended.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    /// Items that were accepted and have come to no end, and since when that is known.
    making: BTreeMap<OpId, (ItemId, Duration)>,
    /// The latest slot that this process has begun.
    begun: BTreeMap<(ServerId, Kind), Timestamp>,
}

impl Sequence {
    /// The next process reads what goes on, and of each target the newest run that has ended.
    pub fn process_died(&mut self) {
        self.begun.clear();
    }

    /// Nothing is known any more of what was.
    pub fn forget(&mut self) {
        *self = Sequence::default();
    }

    /// The program has decided this. Returns what is wrong with it.
    pub fn decided(&mut self, scene: Scene<'_>, record: &Record, intents: &BTreeMap<OpId, Arc<CreateIntent>>) -> Option<String> {
        match record {
            // One that waited for the journal was judged when it was decided.
            Record::RunStarted(start) if start.trigger == Trigger::Schedule && start.at == scene.wall => self.out_of_turn(scene, start),
            Record::CreateAccepted { op, item, .. } => {
                self.making.insert(*op, (*item, scene.time));
                None
            }
            Record::CreateCompleted { op, .. } => {
                let (item, _) = self.making.remove(op)?;
                let found = scene.account.item(intents.get(op)?.subject.kind, item)?;
                let word = found.progress.as_str();
                (found.progress != Progress::Completed).then(|| format!("F54: {item} counts as completed although it is {word}"))
            }
            Record::CreateEnded { op, .. } => {
                self.making.remove(op);
                None
            }
            _ => None,
        }
    }

    /// I12: a slot is begun within its time, and none of the past once the clock is set back.
    fn out_of_turn(&mut self, scene: Scene<'_>, start: &RunStart) -> Option<String> {
        let (slot, at, subject) = (start.slot?, start.at, &start.subject);
        let policy = scene.policy(subject)?;
        let most = policy.splay + policy.catch_up.max(ON_TIME);
        if slot > at || at.duration_since(slot).unsigned_abs() > most {
            return Some(format!("I12: the slot {slot} is begun at {at}"));
        }
        let begun = self.begun.entry((subject.server, subject.kind)).or_insert(slot);
        let later = std::mem::replace(begun, slot.max(*begun));
        let believed = scene.wall_max.duration_since(at) <= AHEAD_MAX;
        (later > at && believed).then(|| format!("I12: the slot {slot} is begun at {at}, after that of {later}"))
    }

    /// F21: whether an item for a slot is being made on a server where another is ordered.
    pub fn being_made(&self, scene: Scene<'_>, server: ServerId, intents: &BTreeMap<OpId, Arc<CreateIntent>>) -> Option<String> {
        let recent = self.making.iter().filter(|(_, (_, since))| scene.time < *since + WAITED_FOR);
        recent.into_iter().find_map(|(op, (item, _))| {
            let intent = intents.get(op).filter(|intent| matches!(intent.origin, Origin::Slot { .. }))?;
            let subject = &intent.subject;
            let found = scene.account.item(subject.kind, *item)?;
            let wanted = scene.setup.wanted.policies.iter().any(|policy| policy.kind == subject.kind);
            // By a clock that was ahead, it may have been waited for long enough.
            let young = |wall: Timestamp| wall.duration_since(found.created_at).unsigned_abs() < WAITED_FOR;
            let young = young(scene.wall) && young(scene.wall_max);
            let unfinished = subject.server == server && found.progress == Progress::InProgress && wanted && young;
            unfinished.then(|| format!("F21: a create on {server} while {item} is being made"))
        })
    }
}

/// The slot that a description names, where it is a mark of this owner's.
pub(super) fn our_slot(description: &str, owner: &str) -> Option<Timestamp> {
    match Mark::read(description) {
        Reading::Mark(mark) if *mark.owner == *owner => mark.slot(),
        _ => None,
    }
}
