//! What the program may send, judged at the moment of sending by what it had been told: I4, I6 to I9, I11, I12, I14 and I16 of failure-modes.
//!
//! It shares no code with the planner and the guard, and knows nothing of their reasons.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::landmark::Landmark;
use super::promises::Promises;
use super::retained::{Seen, not_dropped};
use super::sequence::{Sequence, our_slot};
use super::told::Told;
use crate::controller::{Input, Setup};
use crate::domain::gather::gather;
use crate::domain::inventory::{Item, ItemId, Kind, ServerId, Status};
use crate::domain::mark::{Mark, Origin, Reading};
use crate::domain::plan::Order;
use crate::domain::policy::{KindPolicy, Selector};
use crate::domain::record::{CreateEnd, CreateIntent, DeleteEnd, DeleteIntent, OpId, Record, RunId, RunStart, Subject, Trigger};
use crate::domain::text::Text;
use crate::emulator::{Account, Progress};
use crate::journal::{CreateState, DeleteRow, DeleteState, Recollection};
use crate::provider::ProviderError;

/// A listing older than this is no ground for a delete; the rest is for the intent's way to the disk.
const GROUND_AGE_MAX: Duration = Duration::from_secs(61);
/// So many creates may be sent for one slot (contract §1).
const CREATES_MAX: u32 = 3;

/// What is on its way: a delete, or a create with its description.
type Sending = (Kind, Option<Arc<str>>);

/// What was sent for one mark.
#[derive(Debug)]
struct Sent {
    op: OpId,
    /// Those that may have reached the provider.
    count: u32,
    at: Duration,
    undecided: bool,
}

/// The newest listing of a kind that has come.
#[derive(Debug)]
struct Ground {
    begun: Duration,
    whole: bool,
    unreadable: Vec<ServerId>,
    /// Entries that did not arrive, or of which not even the server can be read.
    unseen: u64,
    shown: Shown,
    /// It showed something else than what there was.
    lie: bool,
}

/// What a listing showed.
#[derive(Debug)]
struct Shown {
    items: Arc<Vec<Item>>,
    /// Found out when first asked for: the servers of the items, in their order, with the places of these.
    by_server: OnceCell<Vec<(ServerId, usize)>>,
}

/// Items, and of which server and kind.
#[derive(Debug, Default)]
struct Made {
    of: BTreeMap<ItemId, (ServerId, Kind)>,
    items: BTreeSet<(ServerId, Kind, ItemId)>,
}

impl Made {
    fn insert(&mut self, item: ItemId, of: (ServerId, Kind)) {
        self.remove(item);
        self.of.insert(item, of);
        self.items.insert((of.0, of.1, item));
    }

    fn remove(&mut self, item: ItemId) {
        if let Some((server, kind)) = self.of.remove(&item) {
            self.items.remove(&(server, kind, item));
        }
    }

    fn retain(&mut self, keeps: impl Fn(ItemId) -> bool) {
        self.of.retain(|item, _| keeps(*item));
        self.items.retain(|(.., item)| keeps(*item));
    }

    /// The lowest number first.
    fn of(&self, (server, kind): (ServerId, Kind)) -> impl Iterator<Item = ItemId> {
        self.items.range((server, kind, ItemId(0))..=(server, kind, ItemId(u64::MAX))).map(|(.., item)| *item)
    }
}

impl Shown {
    fn new(items: &Arc<Vec<Item>>) -> Shown {
        Shown { items: Arc::clone(items), by_server: OnceCell::new() }
    }

    /// What is shown of a server with this number: more than one thing, if the pages of the list did not fit.
    fn with_number(&self, server: ServerId, item: ItemId) -> impl Iterator<Item = &Item> {
        self.of(server).filter(move |shown| shown.id == item)
    }

    fn of(&self, server: ServerId) -> impl Iterator<Item = &Item> {
        let sort = || {
            let mut places: Vec<(ServerId, usize)> = self.items.iter().enumerate().map(|(place, item)| (item.server, place)).collect();
            places.sort_unstable();
            places
        };
        let places = self.by_server.get_or_init(sort);
        let first = places.partition_point(|(of, _)| *of < server);
        places[first..].iter().take_while(move |(of, _)| *of == server).map(|(_, place)| &self.items[*place])
    }

    /// How many slots of a server are filled.
    fn used(&self, server: ServerId) -> u64 {
        self.of(server).filter(|item| !item.automatic).count() as u64
    }
}

impl Ground {
    fn shows(&self, server: ServerId, item: ItemId) -> bool {
        self.shown.with_number(server, item).next().is_some()
    }
}

/// What one machine has sent and was told.
#[derive(Debug, Default)]
pub(super) struct Conduct {
    creates: BTreeMap<OpId, Arc<CreateIntent>>,
    deletes: BTreeMap<OpId, Arc<DeleteIntent>>,
    /// Runs that a person asked for: their slots are never late.
    asked_for: BTreeSet<RunId>,
    /// When a run began, and how late after its slot it may be by the policy as it was then.
    lateness_max: BTreeMap<RunId, (Timestamp, Duration)>,
    /// Runs that make what a person takes: whether they may make room is not known here.
    by_hand: BTreeSet<RunId>,
    /// Durable intents whose operation was not sent.
    unsent: BTreeSet<OpId>,
    sent: BTreeMap<(ServerId, Kind, Arc<str>), Sent>,
    /// What was sent and not answered: of a create, its description.
    in_flight: BTreeMap<(ServerId, OpId), Sending>,
    in_flight_on: BTreeMap<OpId, ServerId>,
    undecided_deletes: BTreeMap<(ServerId, Kind), ItemId>,
    grounds: BTreeMap<Kind, Ground>,
    /// When the last two complete listings of a kind were begun.
    whole_begun: BTreeMap<Kind, (Option<Duration>, Duration)>,
    written: BTreeMap<ServerId, Duration>,
    told: Told,
    /// The names in the newest listings, where the servers may not be told any more.
    listed_names: BTreeMap<ServerId, Text>,
    /// Items that this machine knows as made by it, and not as gone.
    made: Made,
    /// Items whose delete was sent.
    deletes_sent: BTreeSet<(Kind, ItemId)>,
    /// Deletes that were answered with a doubt, or not at all.
    doubtful_deletes: BTreeSet<OpId>,
    /// Creates, the same.
    doubtful_creates: BTreeSet<OpId>,
    /// Those of them of which nothing was decided, and of what.
    open_doubts: BTreeMap<OpId, (ServerId, Kind)>,
    sequence: Sequence,
    pub promises: Promises,
    pub landmarks: BTreeSet<Landmark>,
}

/// When, and with what there is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene<'a> {
    pub time: Duration,
    pub wall: Timestamp,
    /// The latest time that the wall clock has shown.
    pub wall_max: Timestamp,
    pub account: &'a Account,
    pub setup: &'a Setup,
}

impl<'a> Scene<'a> {
    /// The policy of this name, as it is now.
    pub fn policy(&self, subject: &Subject) -> Option<&'a KindPolicy> {
        let mut policies = self.setup.wanted.policies.iter();
        policies.find(|policy| policy.policy == subject.policy && policy.kind == subject.kind).map(|policy| &**policy)
    }
}

impl Conduct {
    /// What the process knew is gone; what it has sent is still on its way.
    pub fn process_died(&mut self) {
        self.in_flight_on.clear();
        for ((server, op), (kind, create)) in std::mem::take(&mut self.in_flight) {
            if create.is_some() {
                self.open_doubts.insert(op, (server, kind));
                self.doubtful_creates.insert(op)
            } else {
                self.doubtful_deletes.insert(op)
            };
        }
        self.unsent.clear();
        self.sequence.process_died();
        self.grounds.clear();
        self.whole_begun.clear();
        self.told = Told::default();
        self.listed_names.clear();
    }

    /// A process begins, and this is what it finds in the journal: some records were written although writing them was told to have failed.
    pub fn began(&mut self, past: &Recollection) {
        let open = |row: &&DeleteRow| row.state == DeleteState::Intended;
        let undecided: BTreeSet<ItemId> = gather(past.deletes.iter().filter(open).map(|row| row.intent.item));
        // After a loss of the journal numbers are given anew: those of before mean nothing any more.
        self.deletes.extend(past.deletes.iter().map(|row| (row.intent.op, Arc::clone(&row.intent))));
        self.creates.extend(past.creates.iter().map(|row| (row.intent.op, Arc::clone(&row.intent))));
        self.undecided_deletes.retain(|_, item| undecided.contains(item));
        let there = past.creates.iter().filter(|row| row.gone.is_none()).filter_map(|row| row.item);
        let there: BTreeSet<ItemId> = gather(there);
        self.made.retain(|item| there.contains(&item));
        let open = || past.creates.iter().filter(|row| row.state == CreateState::Intended);
        let undecided: BTreeSet<OpId> = gather(open().map(|row| row.intent.op));
        self.open_doubts.retain(|op, _| undecided.contains(op));
        let undecided: BTreeSet<&str> = gather(open().map(|row| &*row.intent.description));
        for ((.., description), sent) in &mut self.sent {
            sent.undecided &= undecided.contains(&**description);
        }
    }

    /// Nothing is known any more of what was sent. Returns the descriptions of creates that may still be carried out.
    pub fn journal_lost(&mut self) -> Vec<Arc<str>> {
        self.undecided_deletes.clear();
        self.open_doubts.clear();
        self.made = Made::default();
        self.sequence.forget();
        self.promises.journal_lost();
        let sent = std::mem::take(&mut self.sent);
        sent.into_iter().filter(|(_, sent)| sent.undecided).map(|((.., description), _)| description).collect()
    }

    /// Records are durable.
    pub fn durable(&mut self, records: &[Record]) {
        for record in records {
            match record {
                Record::CreateIntent(intent) => {
                    self.unsent.insert(intent.op);
                    self.creates.insert(intent.op, Arc::clone(intent));
                }
                Record::DeleteIntent(intent) => {
                    self.unsent.insert(intent.op);
                    self.deletes.insert(intent.op, Arc::clone(intent));
                }
                _ => {}
            }
        }
    }

    /// A run begins. Returns what is wrong with it.
    pub fn begins(&self, scene: Scene<'_>, server: ServerId, kind: Kind, run: RunId, scheduled: bool) -> Vec<String> {
        let is_new = scheduled || self.asked_for.contains(&run);
        self.promises.broken_by_run(server, kind, scene.wall).filter(|_| is_new).into_iter().collect()
    }

    /// The program has decided this, durable or not. Returns what is wrong with it.
    pub fn decided(&mut self, scene: Scene<'_>, records: &[Record]) -> Vec<String> {
        let grace = scene.setup.request_timeout * 2;
        let mut wrong = Vec::new();
        for record in records {
            wrong.extend(self.sequence.decided(scene, record, &self.creates));
            match record {
                Record::DeleteEnded { op, how, .. } => {
                    self.unsent.remove(op);
                    if self.doubtful_deletes.remove(op) {
                        self.landmarks.insert(Landmark::DeleteSettledByLooking);
                    }
                    if let Some(intent) = self.deletes.get(op) {
                        if *how == DeleteEnd::Gone {
                            self.made.remove(intent.item);
                        }
                        self.undecided_deletes.remove(&(intent.subject.server, intent.subject.kind));
                    }
                }
                Record::RunStarted(start) => self.run_started(scene, start),
                // Found by its mark.
                Record::CreateAccepted { op, item, .. } => {
                    self.open_doubts.remove(op);
                    let intent = self.creates.get(op);
                    if let Some(intent) = intent {
                        self.made.insert(*item, (intent.subject.server, intent.subject.kind));
                    }
                    if !self.in_flight_on.contains_key(op) && self.doubtful_creates.remove(op) {
                        self.landmarks.insert(Landmark::CreateFoundByMark);
                    }
                    let key = intent.map(|intent| (intent.subject.server, intent.subject.kind, Arc::clone(&intent.description)));
                    key.and_then(|key| self.sent.get_mut(&key)).into_iter().for_each(|sent| sent.undecided = false);
                }
                Record::ItemGone { item, .. } => self.made.remove(*item),
                Record::Ordered(order) => self.promises.decided(order),
                Record::CreateEnded { op, how, .. } => {
                    self.open_doubts.remove(op);
                    self.unsent.remove(op);
                    let absent = Some(*op).filter(|_| *how == CreateEnd::Absent);
                    wrong.extend(absent.and_then(|op| self.proved_absent(op, grace)));
                }
                _ => {}
            }
        }
        wrong
    }

    fn run_started(&mut self, scene: Scene<'_>, start: &RunStart) {
        match start.trigger {
            Trigger::Command => drop(self.asked_for.insert(start.run)),
            Trigger::Hand => drop(self.by_hand.insert(start.run)),
            Trigger::Schedule | Trigger::Resumed => {}
        }
        // One that waited for the journal is known already; a run that nobody has written down may leave its number to another.
        if self.lateness_max.get(&start.run).is_none_or(|(at, _)| *at != start.at) {
            let most = scene.policy(&start.subject).map_or(Duration::MAX, |policy| policy.catch_up + policy.splay);
            self.lateness_max.insert(start.run, (start.at, most));
        }
    }

    /// A create in doubt counts as absent: two complete listings must have been begun long enough after the sending.
    fn proved_absent(&mut self, op: OpId, grace: Duration) -> Option<String> {
        let intent = self.creates.get(&op)?;
        let key = (intent.subject.server, intent.subject.kind, Arc::clone(&intent.description));
        let (before, last) = self.whole_begun.get(&intent.subject.kind).copied().unwrap_or_default();
        let sent = self.sent.get_mut(&key).filter(|sent| sent.undecided && sent.op == op)?;
        sent.undecided = false;
        let looked = before.is_some_and(|begun| begun >= sent.at + grace) && last >= sent.at + grace * 2;
        (!looked).then(|| format!("I7: {} counts as absent although it may have been taken", intent.description))
    }

    /// The durable intent of a delete.
    pub fn delete_intent(&self, op: OpId) -> Option<&DeleteIntent> {
        self.deletes.get(&op).map(|intent| &**intent)
    }

    /// Whether an intent is durable whose operation was not sent.
    pub fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Whether the newest listing of this kind showed something else than what there was.
    pub fn was_lied_to(&self, kind: Kind) -> bool {
        self.grounds.get(&kind).is_some_and(|ground| ground.lie)
    }

    /// Whether this machine knows of an item that has to be shown.
    pub fn knows_items(&self, server: ServerId, kind: Kind) -> bool {
        self.made.of((server, kind)).next().is_some()
    }

    /// Whether something was sent and not answered.
    pub fn has_in_flight(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// Something has come.
    pub fn told(&mut self, input: &Input, begun: Duration, time: Duration, wall: Timestamp, lie: bool) {
        self.told.hear(input, begun, wall);
        match input {
            Input::Listed(kind, _, reply) => {
                let Ok(listing) = &reply.result else { return };
                self.landmarks.extend(lie.then_some(Landmark::ListLied));
                let nameless = listing.opaque.iter().filter(|opaque| opaque.server.is_none()).count() as u64;
                let whole = listing.defects.is_empty() && nameless == 0;
                let unseen = listing.missing + nameless;
                let before = self.grounds.remove(kind).map(|ground| ground.shown);
                // Of the very same items as before nothing else is to be found out.
                let shown = before.filter(|before| Arc::ptr_eq(&before.items, &listing.items)).unwrap_or_else(|| {
                    self.note_names(&listing.items);
                    Shown::new(&listing.items)
                });
                let unreadable = listing.opaque.iter().filter_map(|opaque| opaque.server).collect();
                self.grounds.insert(*kind, Ground { begun, whole, unreadable, unseen, shown, lie });
                if whole {
                    let last = self.whole_begun.get(kind).map(|(_, last)| *last);
                    self.whole_begun.insert(*kind, (last, begun));
                }
            }
            Input::Servers(_, reply) => {
                let unshown = reply.result.as_ref().is_ok_and(|listing| !listing.defects.is_empty());
                self.landmarks.extend(unshown.then_some(Landmark::ServersUnshown));
            }
            Input::Created(op, reply) => self.create_answered(*op, reply.result.as_ref().err(), time),
            Input::Deleted(op, reply) => self.delete_answered(*op, reply.result.as_ref().err(), time),
            _ => {}
        }
    }

    fn note_names(&mut self, items: &[Item]) {
        for item in items {
            if self.listed_names.get(&item.server).is_none_or(|name| *name != item.server_name) {
                self.listed_names.insert(item.server, item.server_name.clone());
            }
        }
    }

    fn send(&mut self, op: OpId, server: ServerId, what: Sending) {
        self.in_flight_on.insert(op, server);
        self.in_flight.insert((server, op), what);
    }

    /// It is answered: what it was.
    fn land(&mut self, op: OpId) -> Option<(ServerId, Kind, Option<Arc<str>>)> {
        let server = self.in_flight_on.remove(&op)?;
        self.in_flight.remove(&(server, op)).map(|(kind, create)| (server, kind, create))
    }

    fn in_flight_to(&self, server: ServerId) -> impl Iterator<Item = &Sending> {
        self.in_flight.range((server, OpId(0))..=(server, OpId(u64::MAX))).map(|(_, what)| what)
    }

    fn create_answered(&mut self, op: OpId, error: Option<&ProviderError>, time: Duration) {
        let Some((server, kind, Some(description))) = self.land(op) else { return };
        self.written.insert(server, time);
        let key = (server, kind, description);
        match error {
            None => drop(self.sent.remove(&key)),
            Some(error) if error.is_doubtful() => {
                self.open_doubts.insert(op, (server, kind));
                self.doubtful_creates.insert(op);
            }
            Some(error) => {
                let unread = matches!(
                    error,
                    ProviderError::Connect { .. }
                        | ProviderError::Throttled { .. }
                        | ProviderError::Busy { .. }
                        | ProviderError::Unauthorized
                );
                if let Some(sent) = self.sent.get_mut(&key) {
                    sent.undecided = false;
                    sent.count -= u32::from(unread && sent.count > 0);
                }
            }
        }
    }

    fn delete_answered(&mut self, op: OpId, error: Option<&ProviderError>, time: Duration) {
        if let Some((server, kind, _)) = self.land(op) {
            self.written.insert(server, time);
            match error {
                Some(error) if error.is_doubtful() => drop(self.doubtful_deletes.insert(op)),
                Some(_) => drop(self.undecided_deletes.remove(&(server, kind))),
                None => {}
            }
        }
    }

    /// A create is sent. Returns what is wrong with that.
    pub fn create(&mut self, scene: Scene<'_>, op: OpId, server: ServerId, kind: Kind, order: &Order) -> Vec<String> {
        let mut wrong = Vec::new();
        self.unsent.remove(&op);
        let intent = self.creates.get(&op);
        match intent {
            None => wrong.push(format!("I6: create {op} has no durable intent")),
            Some(intent) if *intent.description != *order.description || intent.subject.server != server => {
                wrong.push(format!("I6: create {op} is not what its intent says"));
            }
            Some(intent) if !self.asked_for.contains(&intent.run) => {
                wrong.extend(too_late(scene, intent, self.lateness_max.get(&intent.run)));
            }
            Some(_) => {}
        }
        if self.in_flight_to(server).any(|(_, description)| description.is_some()) {
            wrong.push(format!("F21: two creates on {server} at once"));
        }
        wrong.extend(self.sequence.being_made(scene, server, &self.creates));
        wrong.extend(self.at_the_cap(scene, server, kind));
        wrong.extend(self.twin(scene, server, kind, order));
        if self.told.is_being_restored(server, scene.time) {
            wrong.push(format!("F51: a create on {server}, which is being restored"));
        }
        let key = (server, kind, order.description.clone());
        let sent = self.sent.entry(key).or_insert(Sent { op, count: 0, at: scene.time, undecided: false });
        if sent.undecided {
            wrong.push(format!("I7: {} is sent again although it may have been taken", order.description));
        }
        *sent = Sent { op, count: sent.count + 1, at: scene.time, undecided: true };
        if sent.count > CREATES_MAX {
            wrong.push(format!("F02: {} is sent for the {}th time", order.description, sent.count));
        }
        self.send(op, server, (kind, Some(order.description.clone())));
        self.written.insert(server, scene.time);
        self.forget_old(scene.time);
        wrong
    }

    fn at_the_cap(&self, scene: Scene<'_>, server: ServerId, kind: Kind) -> Option<String> {
        let Some(ground) = self.grounds.get(&kind) else {
            return Some(format!("I9: a create on {server} without any listing"));
        };
        // What is not seen may be anybody's.
        let hidden = ground.unseen + ground.unreadable.iter().filter(|of| **of == server).count() as u64;
        let used = ground.shown.used(server) + hidden;
        let cap = u64::from(scene.setup.wanted.limits.of(kind));
        (used >= cap).then(|| format!("I9: a create on {server} where {used} of {cap} slots may be used"))
    }

    /// I12: nothing is made for a slot of which an item was seen.
    fn twin(&self, scene: Scene<'_>, server: ServerId, kind: Kind, order: &Order) -> Option<String> {
        let slot = order.slot?;
        // Most marks need not be read for that.
        let text = slot.to_string();
        let is_of_slot =
            |item: &&Item| item.description.contains(&text) && our_slot(&item.description, &scene.setup.wanted.owner) == Some(slot);
        let mut there = self.grounds.get(&kind)?.shown.of(server).filter(|item| item.status != Status::Failed);
        let twin = there.find(is_of_slot)?;
        Some(format!("I12: {} is made although {} was seen there", order.description, twin.id))
    }

    /// A delete is sent. Returns what is wrong with that.
    pub fn delete(&mut self, scene: Scene<'_>, op: OpId, kind: Kind, item: ItemId) -> Vec<String> {
        let mut wrong = Vec::new();
        self.unsent.remove(&op);
        let Some(intent) = self.deletes.get(&op).filter(|intent| intent.item == item && intent.subject.kind == kind) else {
            return vec![format!("I6, I8: delete {op} of {item} has no durable intent for that item")];
        };
        let server = intent.subject.server;
        if *intent.config != *scene.setup.digest {
            wrong.push(format!("I11: {item} goes by a configuration that is no longer in force"));
        }
        if self.in_flight_to(server).next().is_some() {
            wrong.push(format!("I2: {item} goes while something else is on its way to {server}"));
        }
        let kinds = Kind::ALL.into_iter().filter(|kind| is_configured(scene, *kind));
        let undecided = kinds.filter_map(|kind| Some((kind, *self.undecided_deletes.get(&(server, kind))?)));
        for (_, other) in undecided.filter(|other| *other != (kind, item)) {
            wrong.push(format!("I8: {item} goes while the delete of {other} is undecided"));
        }
        wrong.extend(self.doubt(scene, server, kind, item));
        wrong.extend(self.promises.broken_by(server, kind, item, scene.wall));
        wrong.extend(not_ours(scene, server, kind, item));
        if let Some(ground) = self.grounds.get(&kind) {
            let seen = Seen {
                used: ground.shown.used(server),
                by_hand: self.by_hand.contains(&intent.run),
                made: &|item| self.made.of.contains_key(&item),
                held: &|item| self.promises.may_be_held(kind, item),
            };
            wrong.extend(not_dropped(scene, intent, ground.shown.of(server), &seen));
        }
        self.undecided_deletes.insert((server, kind), item);
        if !self.deletes_sent.insert((kind, item)) {
            self.landmarks.insert(Landmark::DeleteSentAgain);
        }
        self.send(op, server, (kind, None));
        self.written.insert(server, scene.time);
        wrong
    }

    /// I4: a delete that had to wait is let through now; what it was decided on must still be fresh.
    pub fn outdated(&self, op: OpId, kind: Kind, item: ItemId, time: Duration) -> Option<String> {
        let age = self.grounds.get(&kind).map(|ground| time.saturating_sub(ground.begun)).filter(|age| *age > GROUND_AGE_MAX);
        let of_items = age.map(|age| format!("the last listing is {} s old", age.as_secs()));
        let server = self.deletes.get(&op).map(|intent| intent.subject.server);
        let why = of_items.or_else(|| self.told.is_old(server?, time))?;
        Some(format!("I4: {item} goes although {why}"))
    }

    /// I4: what was last told of the server must be whole and fresh.
    fn doubt(&self, scene: Scene<'_>, server: ServerId, kind: Kind, item: ItemId) -> Option<String> {
        let Some(ground) = self.grounds.get(&kind) else {
            return Some(format!("I4: {item} goes without any listing"));
        };
        let age = scene.time.saturating_sub(ground.begun);
        let doubt = if !ground.whole || ground.unreadable.contains(&server) {
            "the last listing was not whole".to_owned()
        } else if age > GROUND_AGE_MAX {
            format!("the last listing is {} s old", age.as_secs())
        } else if self.written.get(&server).is_some_and(|written| ground.begun < *written) {
            "the last listing was begun before the last write".to_owned()
        } else if !ground.shows(server, item) {
            "the last listing does not show it".to_owned()
        } else if let Some(hidden) = self.hidden(ground, server, kind) {
            format!("the last listing does not show {hidden}, which was made there")
        } else if let Some(doubt) = self.told.doubt(server, scene.time) {
            doubt
        } else if let Some(op) = self.open_doubt((server, kind)) {
            format!("create {op} there is undecided")
        } else if self.other_name(scene.setup, server) {
            "the server has another name".to_owned()
        } else if !scene.setup.wanted.fuse.enabled {
            "deletes are switched off".to_owned()
        } else {
            return None;
        };
        Some(format!("I4: {item} goes although {doubt}"))
    }

    /// A create of that kind there of which nothing was decided.
    fn open_doubt(&self, of: (ServerId, Kind)) -> Option<OpId> {
        self.open_doubts.iter().find(|(_, open)| **open == of).map(|(op, _)| *op)
    }

    fn hidden(&self, ground: &Ground, server: ServerId, kind: Kind) -> Option<ItemId> {
        self.made.of((server, kind)).find(|item| !ground.shows(server, *item))
    }

    fn other_name(&self, setup: &Setup, server: ServerId) -> bool {
        let expected = setup.wanted.entries.iter().find_map(|entry| match &entry.selector {
            Selector::Id { id, name } if *id == server => name.as_deref(),
            _ => None,
        });
        expected.is_some_and(|expected| {
            let told = self.told.server(server).is_some_and(|told| *told.name != *expected);
            told && self.listed_names.get(&server).is_some_and(|name| **name != *expected)
        })
    }

    /// What was settled long ago is of no interest any more.
    fn forget_old(&mut self, time: Duration) {
        const OLD: Duration = Duration::from_secs(3 * 24 * 3600);
        if self.creates.len() + self.deletes.len() > 4_000 {
            self.sent.retain(|_, sent| sent.undecided || time < sent.at + OLD);
            let (creates, deletes) = (self.creates.len() / 2, self.deletes.len() / 2);
            // The oldest numbers are the lowest, and none of them is still to be sent.
            self.creates = self.creates.split_off(&self.creates.keys().nth(creates).copied().unwrap_or(OpId(0)));
            self.deletes = self.deletes.split_off(&self.deletes.keys().nth(deletes).copied().unwrap_or(OpId(0)));
            self.deletes_sent.clear();
            self.lateness_max = self.lateness_max.split_off(&self.lateness_max.keys().rev().nth(1_000).copied().unwrap_or(RunId(0)));
        }
    }
}

/// A slot must have come, and must not have passed for longer than its policy made up for when the run began.
fn too_late(scene: Scene<'_>, intent: &CreateIntent, lateness_max: Option<&(Timestamp, Duration)>) -> Option<String> {
    /// A run begins on time within a minute; and its create is on its way for a moment.
    const ON_TIME: Duration = Duration::from_secs(62);
    let Origin::Slot { slot, .. } = &intent.origin else { return None };
    let late = scene.wall.duration_since(*slot);
    if scene.wall_max < *slot {
        return Some(format!("I12: the slot {slot} has not come at {}", scene.wall));
    }
    let most = lateness_max?.1.saturating_add(ON_TIME);
    (late > SignedDuration::ZERO && late.unsigned_abs() > most).then(|| format!("I12: the slot {slot} has long passed at {}", scene.wall))
}

/// What is of a kind that has left the configuration is left alone, in doubt or not.
fn is_configured(scene: Scene<'_>, kind: Kind) -> bool {
    scene.setup.wanted.policies.iter().any(|policy| policy.kind == kind)
}

/// I1, by what is configured at this moment and what the item really is.
fn not_ours(scene: Scene<'_>, server: ServerId, kind: Kind, item: ItemId) -> Option<String> {
    let found = scene.account.item(kind, item)?;
    let wanted = &scene.setup.wanted;
    let told = found.name.as_deref().unwrap_or(&found.description);
    let adopted = wanted.policies.iter().any(|policy| policy.kind == kind && policy.adopt.is_match(told) && !policy.protect.is_match(told));
    let (ours, until) = match Mark::read(&found.description) {
        Reading::Mark(mark) => (*mark.owner == *wanted.owner || wanted.former_owners.contains(&mark.owner), mark.until),
        Reading::None => (adopted, None),
        Reading::Damaged => (false, None),
    };
    let why = if found.server != server {
        "belongs to another server"
    } else if !ours {
        "is not under our care"
    } else if found.automatic {
        "is the provider's own"
    } else if until.is_some_and(|until| until > scene.wall) {
        "is held"
    } else if wanted.entries.iter().any(|entry| is_of(&entry.selector, server) && entry.protect_ids.contains(&item)) {
        "is protected"
    } else if !matches!(found.progress, Progress::Completed | Progress::Failed) {
        "has not come to an end"
    } else {
        return None;
    };
    Some(format!("I1: {item} goes although it {why}"))
}

/// Whether an entry by number is about a server.
pub(super) fn is_of(selector: &Selector, server: ServerId) -> bool {
    matches!(selector, Selector::Id { id, .. } if *id == server)
}
