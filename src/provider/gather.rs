//! Entries into listings: what is kept of each, and what shows that a listing is not whole.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::value::RawValue;

use super::texts::Texts;
use super::wire::{Entry, read_entry, read_server};
use crate::domain::inventory::{Defect, Item, ItemId, Kind, Listing, Opaque, Server, ServerListing};

/// How many defects of one sort are told; the first already says that the listing is not to be trusted.
const DEFECTS_TOLD_MAX: usize = 8;

/// Takes in the entries of a listing one by one.
pub(super) trait Gather: Send + 'static {
    /// Takes in one entry.
    fn entry(&mut self, raw: &RawValue);
    /// How many entries have been taken in, whatever they were.
    fn arrived(&self) -> u64;
    /// An empty one for the next page.
    fn empty(&self) -> Self;
    /// Takes in those of a later page.
    fn append(&mut self, later: Self);
}

/// What the pages of a listing say of the whole, apart from their entries.
#[derive(Debug, Default)]
pub(super) struct Totals {
    /// The `count` of each page; they may differ.
    pub(super) counts: BTreeSet<u64>,
    /// A page could not be had.
    pub(super) page_missing: bool,
}

impl Totals {
    fn defects(&self, arrived: u64) -> Vec<Defect> {
        // Any page that tells another number is a sign that the listing changed between the pages, and that an entry may have slipped through.
        let differing = self.counts.iter().rev().find(|count| **count != arrived);
        let mut defects: Vec<Defect> = differing.map(|count| Defect::CountDiffers { count: *count, arrived }).into_iter().collect();
        if self.page_missing {
            defects.push(Defect::PageMissing);
        }
        defects
    }
}

/// The entries of a snapshot or backup listing.
#[derive(Debug)]
pub(super) struct Items {
    kind: Kind,
    texts: Arc<Mutex<Texts>>,
    items: Vec<Item>,
    opaque: Vec<Opaque>,
    /// The numbers of those that are neither items nor opaque.
    orphans: Vec<Option<ItemId>>,
}

impl Items {
    /// None yet. What their texts say they take from `texts`, and leave there.
    pub(super) fn new(kind: Kind, texts: Arc<Mutex<Texts>>) -> Items {
        Items { kind, texts, items: Vec::new(), opaque: Vec::new(), orphans: Vec::new() }
    }

    fn texts(&self) -> MutexGuard<'_, Texts> {
        // A panic elsewhere leaves them usable: each is added in one step.
        self.texts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn into_listing(mut self, totals: &Totals) -> Listing {
        let arrived = self.arrived();
        let mut defects = totals.defects(arrived);
        defects.extend(self.duplicates().into_iter().take(DEFECTS_TOLD_MAX).map(Defect::DuplicateId));
        self.texts().forget_unused();
        self.items.shrink_to_fit();
        let count_max = totals.counts.last().copied().unwrap_or(arrived);
        Listing { kind: self.kind, items: self.items.into(), opaque: self.opaque, missing: count_max.saturating_sub(arrived), defects }
    }

    /// The numbers that occur more than once, each once.
    fn duplicates(&self) -> Vec<ItemId> {
        let items = self.items.iter().map(|item| item.id);
        let others = self.opaque.iter().filter_map(|opaque| opaque.id).chain(self.orphans.iter().copied().flatten());
        let mut ids: Vec<ItemId> = items.chain(others).collect();
        ids.sort_unstable();
        let mut twice: Vec<ItemId> = ids.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
        twice.dedup();
        twice
    }
}

impl Gather for Items {
    fn entry(&mut self, raw: &RawValue) {
        let entry = read_entry(self.kind, raw, &mut self.texts());
        match entry {
            Entry::Item(item) => self.items.push(item),
            Entry::Opaque(opaque) => self.opaque.push(opaque),
            Entry::Orphan(id) => self.orphans.push(id),
        }
    }

    fn arrived(&self) -> u64 {
        (self.items.len() + self.opaque.len() + self.orphans.len()) as u64
    }

    fn empty(&self) -> Items {
        Items::new(self.kind, Arc::clone(&self.texts))
    }

    fn append(&mut self, mut later: Items) {
        if self.items.is_empty() {
            // The first page is mostly the only one, and large.
            self.items = std::mem::take(&mut later.items);
        } else {
            self.items.append(&mut later.items);
        }
        self.opaque.append(&mut later.opaque);
        self.orphans.append(&mut later.orphans);
    }
}

/// The entries of the list of servers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Servers {
    servers: Vec<Server>,
    defects: Vec<String>,
    arrived: u64,
}

impl Servers {
    pub(super) fn into_listing(mut self, totals: &Totals) -> ServerListing {
        let mut ids: Vec<_> = self.servers.iter().map(|server| server.id).collect();
        ids.sort_unstable();
        if let Some(pair) = ids.windows(2).find(|pair| pair[0] == pair[1]) {
            self.defects.push(format!("number {} occurs twice", pair[0]));
        }
        self.defects.extend(totals.defects(self.arrived).iter().map(ToString::to_string));
        ServerListing { servers: self.servers.into(), defects: self.defects }
    }
}

impl Gather for Servers {
    fn entry(&mut self, raw: &RawValue) {
        self.arrived += 1;
        let (server, defect) = read_server(raw);
        self.servers.extend(server);
        if self.defects.len() < DEFECTS_TOLD_MAX {
            self.defects.extend(defect);
        }
    }

    fn arrived(&self) -> u64 {
        self.arrived
    }

    fn empty(&self) -> Servers {
        Servers::default()
    }

    fn append(&mut self, mut later: Servers) {
        self.servers.append(&mut later.servers);
        let room = DEFECTS_TOLD_MAX.saturating_sub(self.defects.len());
        self.defects.extend(later.defects.into_iter().take(room));
        self.arrived += later.arrived;
    }
}
