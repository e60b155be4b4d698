//! What happened at the provider, and the invariants of failure-modes.md that each of these things must keep.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::domain::inventory::{ItemId, Kind, ServerId};
use crate::domain::mark::{Mark, Reading};
use crate::domain::policy::Wanted;
use crate::emulator::{Account, Effect, Item, Maker, Progress};

/// The true past of the account.
#[derive(Debug)]
pub struct Watch {
    pub effects: Vec<(Timestamp, Effect)>,
    there: BTreeMap<(Kind, ItemId), Item>,
    owner: String,
    adopts: bool,
    /// Items for the same slot while another one that had not failed was there.
    pub twins: Vec<String>,
    slots: BTreeSet<(ServerId, Kind, Timestamp, ItemId)>,
}

impl Watch {
    pub fn new(wanted: &Wanted) -> Watch {
        let mut watch = Watch {
            effects: Vec::new(),
            there: BTreeMap::new(),
            owner: String::new(),
            adopts: false,
            twins: Vec::new(),
            slots: BTreeSet::new(),
        };
        watch.wanted(wanted);
        watch
    }

    /// What is wanted from now on.
    pub fn wanted(&mut self, wanted: &Wanted) {
        self.owner = wanted.owner.to_string();
        self.adopts |= wanted.policies.iter().any(|policy| !policy.adopt.texts().is_empty());
    }

    /// Takes in what has happened since the last call, and checks it.
    pub fn take(&mut self, account: &mut Account) {
        for (at, effect) in account.take_effects() {
            match &effect {
                Effect::Created { item, by, .. } => self.created(item, *by),
                Effect::Ended { item } => drop(self.there.insert((item.kind, item.id), item.clone())),
                Effect::Deleted { item, by } => self.deleted(item, *by, at),
                _ => {}
            }
            self.effects.push((at, effect));
        }
    }

    fn created(&mut self, item: &Item, by: Maker) {
        if let (Maker::Api, Some(slot)) = (by, slot_of(item)) {
            let others = self.slots.range((item.server, item.kind, slot, ItemId(0))..=(item.server, item.kind, slot, ItemId(u64::MAX)));
            let alive = |id: ItemId| self.there.get(&(item.kind, id)).is_none_or(|other| other.progress != Progress::Failed);
            if others.into_iter().any(|(.., id)| alive(*id)) {
                self.twins.push(item.description.clone());
            }
            self.slots.insert((item.server, item.kind, slot, item.id));
        }
        self.there.insert((item.kind, item.id), item.clone());
    }

    fn in_care(&self, item: &Item) -> bool {
        match Mark::read(&item.description) {
            Reading::Mark(mark) => *mark.owner == *self.owner,
            Reading::None => self.adopts && !item.automatic,
            Reading::Damaged => false,
        }
    }

    fn deleted(&mut self, item: &Item, by: Maker, at: Timestamp) {
        self.there.remove(&(item.kind, item.id));
        if by != Maker::Api {
            return;
        }
        assert!(!item.automatic, "I1: an automatic backup was deleted at {at}");
        assert!(self.in_care(item), "I1: {item:?} is not under our care");
        assert!(item.progress != Progress::InProgress, "an unfinished item was deleted: {item:?}");
        if item.progress == Progress::Completed {
            let good = self.there.values().filter(|other| other.server == item.server && other.kind == item.kind);
            let mut good = good.filter(|other| other.progress == Progress::Completed && self.in_care(other));
            assert!(
                good.any(|other| (other.created_at, other.id) > (item.created_at, item.id)),
                "I2, I3: the newest restore point was deleted at {at}: {item:?}"
            );
        }
    }

    /// What was made by us.
    pub fn created_by_us(&self) -> Vec<&Item> {
        let made = |effect: &'_ Effect| matches!(effect, Effect::Created { by: Maker::Api, .. });
        self.effects.iter().filter(|(_, effect)| made(effect)).filter_map(|(_, effect)| item_of(effect)).collect()
    }

    /// What was deleted by us.
    pub fn deleted_by_us(&self) -> Vec<&Item> {
        let gone = |effect: &'_ Effect| matches!(effect, Effect::Deleted { by: Maker::Api, .. });
        self.effects.iter().filter(|(_, effect)| gone(effect)).filter_map(|(_, effect)| item_of(effect)).collect()
    }

    /// What the provider refused.
    pub fn refused(&self) -> usize {
        self.effects.iter().filter(|(_, effect)| matches!(effect, Effect::Refused { .. })).count()
    }
}

fn item_of(effect: &Effect) -> Option<&Item> {
    match effect {
        Effect::Created { item, .. } | Effect::Deleted { item, .. } | Effect::Ended { item } => Some(item),
        _ => None,
    }
}

/// The slot in an item's mark.
pub fn slot_of(item: &Item) -> Option<Timestamp> {
    match Mark::read(&item.description) {
        Reading::Mark(mark) => mark.slot(),
        _ => None,
    }
}
