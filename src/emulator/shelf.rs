//! All items of one kind, and how they looked at an earlier moment.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use super::item::{Item, Progress};
use crate::domain::inventory::{ItemId, ServerId};

/// How many removed items are remembered, and for how long after their removal, for lists that lag behind.
const REMEMBERED_MAX: usize = 10_000;
const REMEMBERED_FOR: SignedDuration = SignedDuration::from_hours(24);

/// A moment in the account's life: a time, and the number of changes until then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    pub at: Timestamp,
    pub version: u64,
}

/// As of when a list shows the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum View {
    /// As it is.
    #[default]
    Present,
    /// As it was at that time.
    AsOf(Timestamp),
    /// As it was after that many changes.
    Version(u64),
}

impl View {
    fn shows(self, moment: Moment) -> bool {
        match self {
            View::Present => true,
            View::AsOf(time) => moment.at <= time,
            View::Version(version) => moment.version <= version,
        }
    }
}

/// An item with the moments of its life.
#[derive(Debug, Clone)]
struct Life {
    item: Item,
    made: Moment,
    /// When its progress came to what it is now; `None`: it has been so since it was made.
    ended: Option<Moment>,
    removed: Option<Moment>,
}

/// An item as a list shows it.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The item as it is now.
    pub item: &'a Item,
    /// Its progress as of the view.
    pub progress: &'a Progress,
    /// Its size as of the view.
    pub size_mb: Option<u64>,
    /// The account's version since which it has not changed.
    pub since: u64,
}

/// All items of one kind.
#[derive(Debug, Clone, Default)]
pub(super) struct Shelf {
    /// Those of one server lie together, since they are mostly asked for together.
    lives: BTreeMap<(ServerId, ItemId), Life>,
    servers: BTreeMap<ItemId, ServerId>,
    used: BTreeMap<ServerId, usize>,
    removed: VecDeque<Life>,
}

impl Shelf {
    pub fn get(&self, id: ItemId) -> Option<&Item> {
        let server = self.servers.get(&id)?;
        self.lives.get(&(*server, id)).map(|life| &life.item)
    }

    /// In the order of their numbers.
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        self.servers.iter().filter_map(|(id, server)| self.lives.get(&(*server, *id))).map(|life| &life.item)
    }

    /// How many slots of the server are filled.
    pub fn used(&self, server: ServerId) -> usize {
        self.used.get(&server).copied().unwrap_or(0)
    }

    pub fn insert(&mut self, item: Item, made: Moment) {
        self.servers.insert(item.id, item.server);
        *self.used.entry(item.server).or_default() += usize::from(item.fills_a_slot());
        self.lives.insert((item.server, item.id), Life { item, made, ended: None, removed: None });
    }

    /// Changes the item's progress; `None`: there is no such item.
    pub fn end(&mut self, id: ItemId, progress: Progress, size_mb: Option<u64>, ended: Moment) -> Option<&Item> {
        let server = self.servers.get(&id)?;
        let life = self.lives.get_mut(&(*server, id))?;
        life.item.progress = progress;
        life.item.size_mb = size_mb;
        life.ended = Some(ended);
        Some(&life.item)
    }

    pub fn remove(&mut self, id: ItemId, removed: Moment) -> Option<Item> {
        let server = self.servers.remove(&id)?;
        let mut life = self.lives.remove(&(server, id))?;
        if let Some(used) = self.used.get_mut(&life.item.server) {
            *used -= usize::from(life.item.fills_a_slot());
        }
        let item = life.item.clone();
        life.removed = Some(removed);
        self.removed.push_back(life);
        let is_old = |life: &Life| life.removed.is_none_or(|then| removed.at.duration_since(then.at) > REMEMBERED_FOR);
        while self.removed.len() > REMEMBERED_MAX || self.removed.front().is_some_and(is_old) {
            self.removed.pop_front();
        }
        Some(item)
    }

    /// The items of one server or of all, as of `view`, the highest number first.
    pub fn seen(&self, server: Option<ServerId>, view: View) -> Vec<Seen<'_>> {
        let mut seen: Vec<Seen<'_>> = Vec::with_capacity(if server.is_none() { self.lives.len() } else { 0 });
        match server {
            Some(server) => seen.extend(self.of_server(server).filter_map(|life| life.seen(view))),
            None => seen.extend(self.lives.values().filter_map(|life| life.seen(view))),
        }
        if view != View::Present {
            let removed = self.removed.iter().filter(|life| server.is_none_or(|server| life.item.server == server));
            seen.extend(removed.filter_map(|life| life.seen(view)));
        }
        seen.sort_unstable_by_key(|seen| std::cmp::Reverse(seen.item.id));
        seen
    }

    /// The items as they are, by server, then time, then number.
    pub fn by_server(&self) -> Vec<Seen<'_>> {
        let mut seen: Vec<Seen<'_>> = Vec::with_capacity(self.lives.len());
        seen.extend(self.lives.values().filter_map(|life| life.seen(View::Present)));
        // They are in this order, but for what was added with a time of its own.
        seen.sort_by_key(|seen| (seen.item.server, seen.item.created_at, seen.item.id));
        seen
    }

    fn of_server(&self, server: ServerId) -> impl Iterator<Item = &Life> {
        self.lives.range((server, ItemId(0))..=(server, ItemId(u64::MAX))).map(|(_, life)| life)
    }
}

impl Life {
    fn seen(&self, view: View) -> Option<Seen<'_>> {
        if !view.shows(self.made) || self.removed.is_some_and(|removed| view.shows(removed)) {
            return None;
        }
        if self.ended.is_some_and(|ended| !view.shows(ended)) {
            return Some(Seen { item: &self.item, progress: &Progress::InProgress, size_mb: None, since: self.made.version });
        }
        let since = self.ended.unwrap_or(self.made).version;
        Some(Seen { item: &self.item, progress: &self.item.progress, size_mb: self.item.size_mb, since })
    }
}
