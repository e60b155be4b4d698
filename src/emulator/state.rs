//! The emulated account: what there is, what changes it, and the provider's rules. Pure: time is handed in, nothing is read or sent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::effect::{Effect, Maker};
use super::item::{Fate, Item, Order, Progress, Refusal, Server, later};
use super::rules::{AutomaticBackups, Rules};
use super::shelf::{Moment, Seen, Shelf, View};
use crate::domain::inventory::{ItemId, Kind, ServerId};

/// What happens by itself once its time has come.
#[derive(Debug, Clone)]
enum Due {
    End(Kind, ItemId, Progress),
    Expire(Kind, ItemId),
    RestoreEnds(ServerId),
    AutomaticBackup(ServerId, AutomaticBackups),
    LateCreate(Order, Fate),
    LateDelete(Kind, ItemId),
}

/// The emulated account.
#[derive(Debug, Clone)]
pub struct Account {
    rules: Rules,
    servers: BTreeMap<ServerId, Server>,
    snapshots: Shelf,
    backups: Shelf,
    due: BTreeMap<(Timestamp, u64), Due>,
    due_count: u64,
    given_ids: [u64; 2],
    version: u64,
    servers_since: u64,
    before_last_write: u64,
    effects: Vec<(Timestamp, Effect)>,
}

impl Account {
    /// An account without servers.
    #[must_use]
    pub fn new(rules: Rules) -> Account {
        Account {
            rules,
            servers: BTreeMap::new(),
            snapshots: Shelf::default(),
            backups: Shelf::default(),
            due: BTreeMap::new(),
            due_count: 0,
            given_ids: [0, 0],
            version: 0,
            servers_since: 0,
            before_last_write: 0,
            effects: Vec::new(),
        }
    }

    /// Lets everything happen that is due by `now`, in order of time. Call it before anything else at a new time.
    pub fn advance(&mut self, now: Timestamp) {
        while let Some(entry) = self.due.first_entry() {
            let at = entry.key().0;
            if at > now {
                return;
            }
            let due = entry.remove();
            self.happen(due, at);
        }
    }

    /// When the next thing happens by itself.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes an order: a new item in progress, whose fate is `fate`.
    ///
    /// # Errors
    /// An unknown server, an invalid name, or no free slot. Failed and unfinished items fill slots, automatic ones do not.
    pub fn create(&mut self, order: &Order, fate: &Fate, now: Timestamp) -> Result<Item, Refusal> {
        let item = self.draft(order, now).inspect_err(|why| self.refused(order, why, now))?;
        Ok(self.put(item, fate, Maker::Api, now))
    }

    /// Answers an order as if it were taken, and makes nothing.
    ///
    /// # Errors
    /// As [`Account::create`].
    pub fn pretend_create(&mut self, order: &Order, now: Timestamp) -> Result<Item, Refusal> {
        self.draft(order, now).inspect_err(|why| self.refused(order, why, now))
    }

    /// Takes an order that is carried out only at `at`, and then refused or not.
    pub fn create_later(&mut self, order: Order, fate: Fate, at: Timestamp) {
        self.push_due(at, Due::LateCreate(order, fate));
    }

    /// Deletes an item, whatever its progress.
    ///
    /// # Errors
    /// There is no such item.
    pub fn delete(&mut self, kind: Kind, id: ItemId, now: Timestamp) -> Result<Item, Refusal> {
        self.delete_by(kind, id, Maker::Api, now)
    }

    /// Takes a delete that is carried out only at `at`.
    pub fn delete_later(&mut self, kind: Kind, id: ItemId, at: Timestamp) {
        self.push_due(at, Due::LateDelete(kind, id));
    }

    /// Begins to overwrite a server with a snapshot or backup of it; until the end its status is `restoring`.
    ///
    /// # Errors
    /// The item or the server does not exist, the item is not completed or of another server, or the server is neither active nor stopped.
    pub fn restore(&mut self, kind: Kind, id: ItemId, onto: Option<ServerId>, now: Timestamp) -> Result<(Item, Server), Refusal> {
        let item = self.item(kind, id).filter(|item| onto.is_none_or(|server| server == item.server)).cloned();
        let item = item.ok_or(Refusal::UnknownItem(kind))?;
        let server = self.servers.get_mut(&item.server).ok_or(Refusal::UnknownServer)?;
        if item.progress != Progress::Completed || !matches!(server.status.as_str(), "active" | "stopped") {
            return Err(Refusal::NotRestorable);
        }
        server.status = "restoring".to_owned();
        let server = server.clone();
        self.push_due(later(now, self.rules.restore_takes), Due::RestoreEnds(server.id));
        self.effects.push((now, Effect::RestoreBegun { server: server.id, kind, id }));
        Ok((item, server))
    }

    /// The items of one server or of all, as of `view`, the highest number first. Removed ones are remembered for a day, in a limited number.
    #[must_use]
    pub fn list(&self, kind: Kind, server: Option<ServerId>, view: View) -> Vec<Seen<'_>> {
        self.shelf(kind).seen(server, view)
    }

    /// The items of all servers as they are, by server, then time, then number.
    #[must_use]
    pub fn list_by_server(&self, kind: Kind) -> Vec<Seen<'_>> {
        self.shelf(kind).by_server()
    }

    /// All items of one kind, the lowest number first.
    pub fn items(&self, kind: Kind) -> impl Iterator<Item = &Item> {
        self.shelf(kind).items()
    }

    /// One item.
    #[must_use]
    pub fn item(&self, kind: Kind, id: ItemId) -> Option<&Item> {
        self.shelf(kind).get(id)
    }

    /// How many slots of a server are filled.
    #[must_use]
    pub fn used(&self, kind: Kind, server: ServerId) -> usize {
        self.shelf(kind).used(server)
    }

    /// The servers, the lowest number first.
    pub fn servers(&self) -> impl Iterator<Item = &Server> {
        self.servers.values()
    }

    /// One server.
    #[must_use]
    pub fn server(&self, id: ServerId) -> Option<&Server> {
        self.servers.get(&id)
    }

    /// How many changes there were; it differs whenever a list could.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The version since which no server has come, gone, or got another name.
    #[must_use]
    pub fn servers_since(&self) -> u64 {
        self.servers_since
    }

    /// How the account looked right before the last create or delete.
    #[must_use]
    pub fn view_before_last_write(&self) -> View {
        View::Version(self.before_last_write)
    }

    /// The effects since the last call, oldest first.
    pub fn take_effects(&mut self) -> Vec<(Timestamp, Effect)> {
        std::mem::take(&mut self.effects)
    }

    /// Adds a server, or replaces the one with its number (which renames it, or changes its status).
    pub fn add_server(&mut self, server: Server, now: Timestamp) {
        let id = server.id;
        self.version += 1;
        self.servers_since = self.version;
        let is_new = self.servers.insert(id, server).is_none();
        if let Some(plan) = self.rules.automatic_backups.filter(|_| is_new) {
            self.push_due(later(now, plan.every), Due::AutomaticBackup(id, plan));
        }
    }

    /// Removes a server. Its items stay, as orphans; to have them go too, delete them.
    pub fn remove_server(&mut self, id: ServerId) -> Option<Server> {
        self.version += 1;
        self.servers_since = self.version;
        self.servers.remove(&id)
    }

    /// Adds an item made by a person or another tool, with a number of its own, past all rules.
    /// One in progress stays so until [`Account::end_by_hand`].
    pub fn add_item(&mut self, mut item: Item, now: Timestamp) -> ItemId {
        item.id = self.next_id(item.kind);
        let fate = Fate { after: None, end: Progress::InProgress };
        let maker = if item.automatic { Maker::Plan } else { Maker::Hand };
        self.put(item, &fate, maker, now).id
    }

    /// Changes an item's progress by hand; `false`: there is no such item.
    pub fn end_by_hand(&mut self, kind: Kind, id: ItemId, progress: Progress, now: Timestamp) -> bool {
        let known = self.item(kind, id).is_some();
        self.end(kind, id, progress, now);
        known
    }

    /// A person or another tool deletes an item; `None`: there is no such item.
    pub fn delete_by_hand(&mut self, kind: Kind, id: ItemId, now: Timestamp) -> Option<Item> {
        self.delete_by(kind, id, Maker::Hand, now).ok()
    }

    fn draft(&mut self, order: &Order, now: Timestamp) -> Result<Item, Refusal> {
        let Order { kind, server, .. } = *order;
        let name = match kind {
            Kind::Snapshot => Some(valid_name(order.name.clone().unwrap_or_default(), self.rules.name_chars_max)?),
            Kind::Backup => None,
        };
        if !self.servers.contains_key(&server) {
            return Err(Refusal::UnknownServer);
        }
        let cap = self.rules.cap(kind);
        if self.used(kind, server) >= cap {
            return Err(Refusal::CapReached { kind, cap });
        }
        Ok(Item {
            id: self.next_id(kind),
            kind,
            server,
            name,
            description: order.description.clone(),
            progress: Progress::InProgress,
            created_at: now,
            size_mb: None,
            automatic: false,
            expires_at: None,
        })
    }

    fn put(&mut self, item: Item, fate: &Fate, by: Maker, now: Timestamp) -> Item {
        let (kind, id, server) = (item.kind, item.id, item.server);
        if let Some(expiry) = item.expires_at {
            self.push_due(expiry, Due::Expire(kind, id));
        }
        // An item added by hand with an earlier time was there then, also for a list that lags behind.
        let at = item.created_at.min(now);
        let moment = self.write(at);
        self.shelf_mut(kind).insert(item.clone(), moment);
        self.effects.push((now, Effect::Created { used: self.used(kind, server), item: item.clone(), by }));
        let after = fate.after.unwrap_or_else(|| self.rules.takes(kind));
        match &fate.end {
            Progress::InProgress => {}
            end if after.is_zero() => self.end(kind, id, end.clone(), now),
            end => self.push_due(later(now, after), Due::End(kind, id, end.clone())),
        }
        self.item(kind, id).cloned().unwrap_or(item)
    }

    fn end(&mut self, kind: Kind, id: ItemId, progress: Progress, at: Timestamp) {
        let size_mb = (progress == Progress::Completed).then(|| 4096 + id.0 * 37 % 1024);
        self.version += 1;
        let moment = Moment { at, version: self.version };
        if let Some(item) = self.shelf_mut(kind).end(id, progress, size_mb, moment) {
            let item = item.clone();
            self.effects.push((at, Effect::Ended { item }));
        }
    }

    fn delete_by(&mut self, kind: Kind, id: ItemId, by: Maker, now: Timestamp) -> Result<Item, Refusal> {
        if self.item(kind, id).is_none() {
            let why = Refusal::UnknownItem(kind);
            self.effects.push((now, Effect::Refused { kind, server: None, why: why.clone() }));
            return Err(why);
        }
        let moment = self.write(now);
        let item = self.shelf_mut(kind).remove(id, moment).ok_or(Refusal::UnknownItem(kind))?;
        self.effects.push((now, Effect::Deleted { item: item.clone(), by }));
        Ok(item)
    }

    fn happen(&mut self, due: Due, at: Timestamp) {
        match due {
            // What was ended by hand before stays as it is.
            Due::End(kind, id, progress) if self.item(kind, id).is_some_and(|item| item.progress == Progress::InProgress) => {
                self.end(kind, id, progress, at);
            }
            Due::End(..) => {}
            Due::Expire(kind, id) if self.item(kind, id).is_some() => drop(self.delete_by(kind, id, Maker::Plan, at)),
            Due::Expire(..) => {}
            Due::RestoreEnds(id) => self.restore_ends(id, at),
            Due::AutomaticBackup(server, plan) => self.automatic_backup(server, plan, at),
            Due::LateCreate(order, fate) => drop(self.create(&order, &fate, at)),
            Due::LateDelete(kind, id) => drop(self.delete(kind, id, at)),
        }
    }

    fn restore_ends(&mut self, id: ServerId, at: Timestamp) {
        if let Some(server) = self.servers.get_mut(&id) {
            server.status = "active".to_owned();
            self.effects.push((at, Effect::RestoreEnded { server: id }));
        }
    }

    fn automatic_backup(&mut self, server: ServerId, plan: AutomaticBackups, at: Timestamp) {
        if self.servers.contains_key(&server) {
            self.add_item(Item::automatic(server, at, plan.keep), at);
            let every = plan.every.max(Duration::from_millis(1));
            self.push_due(later(at, every), Due::AutomaticBackup(server, plan));
        }
    }

    fn refused(&mut self, order: &Order, why: &Refusal, now: Timestamp) {
        self.effects.push((now, Effect::Refused { kind: order.kind, server: Some(order.server), why: why.clone() }));
    }

    fn write(&mut self, at: Timestamp) -> Moment {
        self.before_last_write = self.version;
        self.version += 1;
        Moment { at, version: self.version }
    }

    fn push_due(&mut self, at: Timestamp, due: Due) {
        self.due_count += 1;
        self.due.insert((at, self.due_count), due);
    }

    /// Scattered numbers fall within each block of eight, so that they are unique and still the same in every run.
    fn next_id(&mut self, kind: Kind) -> ItemId {
        let (place, first) = match kind {
            Kind::Snapshot => (0, self.rules.first_snapshot_id),
            Kind::Backup => (1, self.rules.first_backup_id),
        };
        let given = self.given_ids[place];
        self.given_ids[place] += 1;
        let offset = if self.rules.scattered_ids { given - given % 8 + (7 - given % 8) } else { given };
        ItemId(first + offset)
    }

    fn shelf(&self, kind: Kind) -> &Shelf {
        match kind {
            Kind::Snapshot => &self.snapshots,
            Kind::Backup => &self.backups,
        }
    }

    fn shelf_mut(&mut self, kind: Kind) -> &mut Shelf {
        match kind {
            Kind::Snapshot => &mut self.snapshots,
            Kind::Backup => &mut self.backups,
        }
    }
}

fn valid_name(name: Arc<str>, chars_max: usize) -> Result<Arc<str>, Refusal> {
    let message = if name.is_empty() {
        "This field may not be blank.".to_owned()
    } else if name.chars().count() > chars_max {
        format!("Ensure this field has no more than {chars_max} characters.")
    } else if name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
        return Ok(name);
    } else {
        "Only letters, digits, hyphens and underscores are allowed.".to_owned()
    };
    Err(Refusal::Invalid { field: "name", message })
}
