//! A listing, arranged so that each server's part of it can be looked at.

use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;

use crate::clock::Mono;

use super::inventory::{Item, ItemId, Kind, Listing, Opaque, ServerId};
use super::roster::Roster;

/// One listing of a kind, arranged by server, with the time at which it was begun.
#[derive(Debug, Clone)]
pub struct Inventory {
    /// What was listed.
    pub kind: Kind,
    /// When the list call was begun.
    pub begun: Mono,
    /// By server, then time, then number: the total order of everything that follows.
    items: Arc<Vec<Item>>,
    /// Which items are each server's.
    ranges: Roster<ServerId, Range<u32>>,
    /// Those that name their server, by server; those of one server stay in the order in which they came.
    opaque: Vec<Opaque>,
    /// Entries that did not arrive or do not name their server.
    unseen: u64,
    /// Why the listing as a whole is not complete.
    defect: Option<String>,
}

impl Inventory {
    /// Arranges a listing. One that comes in order shares its items with whoever else has them.
    #[must_use]
    pub fn new(listing: Listing, begun: Mono) -> Inventory {
        let Listing { kind, items, mut opaque, missing, defects } = listing;
        let items = if is_in_order(&items) { items } else { arrange(Arc::unwrap_or_clone(items)).into() };
        let mut ranges: Vec<(ServerId, Range<u32>)> = Vec::new();
        for (item, place) in items.iter().zip(0..) {
            match ranges.last_mut() {
                Some((server, range)) if *server == item.server => range.end = place + 1,
                _ => ranges.push((item.server, place..place + 1)),
            }
        }
        let came = opaque.len();
        opaque.retain(|entry| entry.server.is_some());
        let nameless = came - opaque.len();
        arrange_by_server(&mut opaque, |entry| entry.server.map_or(0, |server| server.0));
        let mut reasons: Vec<String> = defects.iter().map(ToString::to_string).collect();
        if nameless > 0 {
            reasons.push(format!("{nameless} entries cannot be read, not even their server"));
        }
        let defect = (!reasons.is_empty()).then(|| reasons.join("; "));
        Inventory { kind, begun, items, ranges: Roster::of_sorted(ranges), opaque, unseen: missing.saturating_add(nameless as u64), defect }
    }

    /// Why the listing as a whole does not show everything; none: it does.
    #[must_use]
    pub fn defect(&self) -> Option<&str> {
        self.defect.as_deref()
    }

    /// Several questions about this server follow.
    #[inline]
    pub fn turn_to(&mut self, server: ServerId) {
        self.ranges.turn_to(&server);
    }

    /// The part that concerns one server.
    #[must_use]
    pub fn of(&self, server: ServerId) -> View<'_> {
        let items = self.ranges.get(&server).map_or(&[][..], |range| &self.items[range.start as usize..range.end as usize]);
        let first = self.opaque.partition_point(|entry| entry.server < Some(server));
        let unreadable = &self.opaque[first..];
        let unreadable = &unreadable[..unreadable.partition_point(|entry| entry.server == Some(server))];
        View { inventory: self, items, unreadable, unseen: self.unseen }
    }

    /// All items that could be read, by server, then time, then number.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        &self.items
    }
}

/// The order of items.
fn place_of(item: &Item) -> (ServerId, Timestamp, ItemId) {
    (item.server, item.created_at, item.id)
}

/// Whether items are in their order, each of them once.
fn is_in_order(items: &[Item]) -> bool {
    items.is_sorted_by(|item, next| place_of(item) < place_of(next))
}

/// Brings items into their order. They are large, so it is numbers that are sorted; and lists come with the newest first, so that the items of a server
/// mostly need no more than to be turned round.
fn arrange(mut items: Vec<Item>) -> Vec<Item> {
    items.reverse();
    arrange_by_server(&mut items, |item| item.server.0);
    for of_server in items.chunk_by_mut(|item, next| item.server == next.server) {
        if !is_in_order(of_server) {
            of_server.reverse();
            of_server.sort_by_key(place_of);
        }
    }
    items
}

/// Brings entries into the order of their servers; those of one server stay in the order in which they came.
fn arrange_by_server<T>(entries: &mut [T], server: impl Fn(&T) -> u64) {
    // Pairs of server and place, as one number each.
    let mut order: Vec<u128> = entries.iter().enumerate().map(|(place, entry)| u128::from(server(entry)) << 64 | place as u128).collect();
    order.sort_unstable();
    let mut order: Vec<usize> = order.into_iter().map(|pair| pair as u64 as usize).collect();
    // Each place is filled from where its entry is by then: those before it have been exchanged already.
    for place in 0..order.len() {
        let mut from = order[place];
        while from < place {
            from = order[from];
        }
        order[place] = from;
        entries.swap(place, from);
    }
}

/// What a listing shows of one server.
#[derive(Debug, Clone)]
pub struct View<'a> {
    inventory: &'a Inventory,
    /// Its items, by time, then number.
    pub items: &'a [Item],
    /// Its entries that cannot be read.
    pub unreadable: &'a [Opaque],
    /// Entries that did not arrive or do not name their server: each may be this one's.
    pub unseen: u64,
}

impl View<'_> {
    /// When the listing was begun.
    #[must_use]
    pub fn begun(&self) -> Mono {
        self.inventory.begun
    }

    /// Why this does not show everything of the server; none: it does (contract §3, "no delete on doubt").
    #[must_use]
    pub fn defect(&self) -> Option<String> {
        if let Some(defect) = self.inventory.defect() {
            return Some(defect.to_owned());
        }
        let first = self.unreadable.first()?;
        Some(match first.id {
            Some(id) => format!("entry {id} cannot be read: {}", first.why),
            None => format!("an entry cannot be read: {}", first.why),
        })
    }

    /// Whether another listing shows the very same of the server.
    #[must_use]
    pub fn shows_the_same(&self, other: &View<'_>) -> bool {
        (std::ptr::eq(self.items, other.items) || self.items == other.items)
            && self.unreadable == other.unreadable
            && self.unseen == other.unseen
            && self.inventory.defect == other.inventory.defect
    }

    /// Items that count against the cap, at the worst: automatic backups do not; what cannot be seen does.
    #[must_use]
    pub fn used(&self) -> u64 {
        let counted = self.items.iter().filter(|item| !item.automatic).count() as u64;
        counted + self.unreadable.len() as u64 + self.unseen
    }

    /// The item with this number.
    #[must_use]
    pub fn find(&self, id: ItemId) -> Option<&Item> {
        self.items.iter().find(|item| item.id == id)
    }
}

#[cfg(test)]
mod tests;
