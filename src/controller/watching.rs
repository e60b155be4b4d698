//! Items under our care: which of them vanish without us.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Mono;
use crate::domain::assess::{Belonging, Row};
use crate::domain::inventory::{Item, ItemId};
use crate::domain::mark::Origin;
use crate::domain::memory::{TargetMemory, Undecided};
use crate::domain::text::{Description, Text};

/// So many items that we have deleted are remembered for each target.
const DELETED_MAX: usize = 32;

/// The items of one target that are to be there.
#[derive(Debug, Default)]
pub(super) struct Watching {
    watched: Vec<Watched>,
    /// The newest that we have deleted: a list that lags behind may show them once more.
    deleted: VecDeque<ItemId>,
    /// The last complete listing showed all of them.
    pub all_there: bool,
}

/// By what an item is known.
#[derive(Debug, Clone)]
pub(super) enum Known {
    /// A listing has shown it, with this name or description.
    Seen(Seen),
    /// Only the journal has it, with this origin. Few are so, and an entry is kept for every item of the account.
    Made(Box<Origin>),
}

/// What a listing says of an item.
#[derive(Debug, Clone)]
pub(super) enum Seen {
    Name(Text),
    Description(Description),
}

impl std::ops::Deref for Seen {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Seen::Name(name) => name,
            Seen::Description(description) => description,
        }
    }
}

impl Seen {
    fn of(item: &Item) -> Seen {
        item.name.clone().map_or_else(|| Seen::Description(item.description.clone()), Seen::Name)
    }

    /// Whether it is the very same as what a listing says of the item now.
    fn is_of(&self, item: &Item) -> bool {
        match (self, &item.name) {
            (Seen::Name(seen), Some(name)) => seen.is(name),
            (Seen::Description(seen), None) => seen.is(&item.description),
            _ => false,
        }
    }
}

impl Known {
    /// A listing shows it.
    fn renew(&mut self, item: &Item) {
        if !matches!(self, Known::Seen(seen) if seen.is_of(item)) {
            *self = Known::Seen(Seen::of(item));
        }
    }
}

fn is_in_care(row: &Row<'_>) -> bool {
    matches!(row.belonging, Belonging::Ours | Belonging::Adopted)
}

#[derive(Debug)]
struct Watched {
    item: ItemId,
    known: Known,
    absent_since: Option<Mono>,
}

impl Watching {
    /// Notes which items a complete listing shows. Returns those that are gone: missing from two complete listings that were begun at least
    /// `grace` apart, or twice as far while it is being made. What the journal knows is watched as well: it may have vanished while nobody looked.
    pub fn see(&mut self, rows: &[Row<'_>], memory: &TargetMemory, begun: Mono, grace: Duration) -> Vec<(ItemId, Known)> {
        for (item, origin) in &memory.made {
            if self.watched.iter().all(|watched| watched.item != *item) {
                self.watched.push(Watched { item: *item, known: Known::Made(Box::new(origin.clone())), absent_since: None });
            }
        }
        // A delete that may have been done is settled by the run that picks it up.
        let in_doubt =
            |item: ItemId| memory.undecided.values().any(|undecided| matches!(undecided, Undecided::Delete(intent) if intent.item == item));
        let mut lost = Vec::new();
        self.all_there = true;
        self.watched.retain_mut(|watched| {
            if let Some(row) = rows.iter().find(|row| row.item.id == watched.item) {
                watched.absent_since = None;
                watched.known.renew(&row.item);
                return is_in_care(row);
            }
            self.all_there = false;
            if in_doubt(watched.item) {
                return true;
            }
            let since = *watched.absent_since.get_or_insert(begun);
            // The run that waits for an unfinished one is to find out first.
            let times = if memory.unfinished.contains_key(&watched.item) { 2 } else { 1 };
            let gone = begun.since(since) >= grace.saturating_mul(times);
            if gone {
                lost.push((watched.item, watched.known.clone()));
            }
            !gone
        });
        for row in rows.iter().filter(|row| is_in_care(row)) {
            let item = row.item.id;
            if self.watched.iter().all(|watched| watched.item != item) && !self.deleted.contains(&item) {
                self.watched.push(Watched { item, known: Known::Seen(Seen::of(&row.item)), absent_since: None });
            }
        }
        lost
    }

    /// Gives up what was missing from the last complete listing.
    pub fn give_up_missing(&mut self) -> Vec<ItemId> {
        let missing = self.watched.iter().filter(|watched| watched.absent_since.is_some()).map(|watched| watched.item).collect();
        self.watched.retain(|watched| watched.absent_since.is_none());
        missing
    }

    /// We have deleted it.
    pub fn forget(&mut self, item: ItemId) {
        self.watched.retain(|watched| watched.item != item);
        self.deleted.push_back(item);
        if self.deleted.len() > DELETED_MAX {
            self.deleted.pop_front();
        }
    }
}
