//! Judges a history at the provider: reads nothing but the ledger's requests and effects, and what was wanted.
//!
//! It shares nothing with the program that it judges, marks included. The names of the rules are those of the catalogue of failures.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use snapwarden::domain::inventory::{ItemId, Kind, ServerId};
use snapwarden::emulator::{Answered, Effect, EffectRecord, Item, Ledger, Maker, Method, Order, Progress, RequestRecord};

/// So often one slot may be ordered.
const SENDS_MAX: usize = 3;

/// What was wanted, as far as the rules need it.
#[derive(Debug, Clone)]
pub struct Law {
    pub owner: &'static str,
    /// The names of others' items that may be deleted as well.
    pub adopted: &'static [&'static str],
    /// `keep: {last: …}`, for both kinds.
    pub keep: usize,
    pub min_keep: usize,
    pub snapshots_cap: usize,
    pub backups_cap: usize,
    pub request_timeout: Duration,
}

impl Law {
    fn cap(&self, kind: Kind) -> usize {
        if kind == Kind::Snapshot { self.snapshots_cap } else { self.backups_cap }
    }

    fn is_ours(&self, item: &Item) -> bool {
        item.description.strip_prefix("snapwarden owner=").and_then(|rest| rest.split(' ').next()) == Some(self.owner)
    }

    fn is_judged(&self, item: &Item) -> bool {
        let adopted = item.description.is_empty() && item.name.as_deref().is_some_and(|name| self.adopted.contains(&name));
        !item.automatic && (self.is_ours(item) || adopted)
    }
}

/// Everything that happened, in order.
#[derive(Debug, Clone, Default)]
pub struct History {
    pub requests: Vec<RequestRecord>,
    pub effects: Vec<EffectRecord>,
}

type Shelf = (ServerId, Kind);
type Slot = (ServerId, Kind, Arc<str>);

impl History {
    pub fn of(ledger: &Ledger) -> History {
        assert_eq!(ledger.dropped(), 0, "a part of the history is missing");
        History { requests: ledger.requests().cloned().collect(), effects: ledger.effects().cloned().collect() }
    }

    /// Every rule that was broken, in order; empty: it is a good history.
    pub fn breaches(&self, law: &Law) -> Vec<String> {
        let mut judge = Judge::new(law);
        for step in self.steps() {
            match step {
                Step::Arrived(request) => judge.arrived(request),
                Step::Happened(record) => judge.happened(record),
                Step::Answered(request) => judge.answered(request),
            }
        }
        judge.at_the_end();
        judge.breaches
    }

    /// When the newest completed item that we made was ordered.
    pub fn newest_restore_point(&self, law: &Law, server: ServerId, kind: Kind) -> Option<Timestamp> {
        let completed = self.effects.iter().filter_map(|record| match &record.effect {
            Effect::Ended { item } if item.progress == Progress::Completed && law.is_ours(item) => Some(item),
            _ => None,
        });
        completed.filter(|item| (item.server, item.kind) == (server, kind)).map(|item| item.created_at).max()
    }

    fn steps(&self) -> Vec<Step<'_>> {
        let arrived = self.requests.iter().map(|request| (request.seq, Step::Arrived(request)));
        let answered = self.requests.iter().filter_map(|request| Some((request.answered_seq?, Step::Answered(request))));
        let happened = self.effects.iter().map(|record| (record.seq, Step::Happened(record)));
        let steps: BTreeMap<u64, Step<'_>> = arrived.chain(answered).chain(happened).collect();
        steps.into_values().collect()
    }
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Arrived(&'a RequestRecord),
    Happened(&'a EffectRecord),
    Answered(&'a RequestRecord),
}

/// What a complete listing showed.
struct Listing {
    seq: u64,
    at: Timestamp,
    used: BTreeMap<ServerId, usize>,
    slots: BTreeSet<Slot>,
}

/// What is known up to one moment of the history.
struct Judge<'a> {
    law: &'a Law,
    breaches: Vec<String>,
    /// What there is.
    items: BTreeMap<(Kind, ItemId), Item>,
    /// What there ever was, as it was last.
    known: BTreeMap<(Kind, ItemId), Item>,
    /// Listings that are on their way, as things stood when they were asked for.
    asked: BTreeMap<u64, Listing>,
    listings: BTreeMap<Kind, Vec<Listing>>,
    last_write: BTreeMap<ServerId, u64>,
    sends: BTreeMap<Slot, Vec<&'a RequestRecord>>,
    /// The items that came of a request, by its place.
    made_by: BTreeMap<u64, (Kind, ItemId)>,
    room_made: BTreeSet<Shelf>,
}

impl<'a> Judge<'a> {
    fn new(law: &'a Law) -> Judge<'a> {
        Judge {
            law,
            breaches: Vec::new(),
            items: BTreeMap::new(),
            known: BTreeMap::new(),
            asked: BTreeMap::new(),
            listings: BTreeMap::new(),
            last_write: BTreeMap::new(),
            sends: BTreeMap::new(),
            made_by: BTreeMap::new(),
            room_made: BTreeSet::new(),
        }
    }

    fn breach(&mut self, rule: &str, seq: u64, what: &str) {
        self.breaches.push(format!("{rule} at {seq}: {what}"));
    }

    fn arrived(&mut self, request: &'a RequestRecord) {
        if !is_allowed(request) {
            self.breach("I14", request.seq, &format!("{} {} is none of the calls that may be made", request.method, request.path));
        }
        if !request.authorized {
            self.breach("I14", request.seq, "the token is missing or another one");
        }
        match (&request.method, request.kind) {
            (&Method::GET, Some(kind)) => {
                self.asked.insert(request.seq, self.listing(kind, request));
            }
            (&Method::POST, Some(_)) => match request.order.clone() {
                Some(order) => self.ordered(request, &order),
                None => self.breach("I14", request.seq, "a create that cannot be read"),
            },
            (&Method::DELETE, Some(kind)) => self.delete_sent(request, kind),
            _ => {}
        }
        if request.is_write()
            && let Some(server) = request.server
        {
            self.last_write.insert(server, request.seq);
        }
    }

    fn listing(&self, kind: Kind, request: &RequestRecord) -> Listing {
        let mut listing = Listing { seq: request.seq, at: request.at, used: BTreeMap::new(), slots: BTreeSet::new() };
        for item in self.items.values().filter(|item| item.kind == kind) {
            *listing.used.entry(item.server).or_default() += usize::from(item.fills_a_slot());
            // One that has failed is of an order that is settled.
            if item.progress != Progress::Failed {
                listing.slots.insert(slot_of(item));
            }
        }
        listing
    }

    /// What was asked for is complete if nothing was done to it on the way.
    fn answered(&mut self, request: &RequestRecord) {
        let Some(before) = self.asked.remove(&request.seq) else { return };
        let Some(kind) = request.kind.filter(|_| request.answered == Answered::Status(200) && request.fault.is_none()) else { return };
        // It was put together at some moment in between: the doubt is to the program's favour.
        let after = self.listing(kind, request);
        let slots = before.slots.intersection(&after.slots).cloned().collect();
        let used = |listing: &Listing, server: &ServerId| listing.used.get(server).copied().unwrap_or(0);
        let servers: BTreeSet<ServerId> = before.used.keys().chain(after.used.keys()).copied().collect();
        let used = servers.iter().map(|server| (*server, used(&before, server).min(used(&after, server)))).collect();
        self.listings.entry(kind).or_default().push(Listing { used, slots, ..before });
    }

    fn ordered(&mut self, request: &'a RequestRecord, order: &Order) {
        let slot = (order.server, order.kind, order.description.clone());
        self.order_fits(request, order);
        let earlier = self.sends.get(&slot).cloned().unwrap_or_default();
        if let Some(last) = earlier.last()
            && !self.came_to_nothing(last, &slot, request.seq)
        {
            self.breach("I7", request.seq, &format!("{} is ordered again while the order at {} is not proved absent", slot.2, last.seq));
        }
        let sends = self.sends.entry(slot).or_default();
        sends.push(request);
        let counted = sends.iter().filter(|send| send.answered != Answered::Status(429)).count();
        if counted > SENDS_MAX {
            self.breach("I7", request.seq, &format!("{} is ordered {counted} times", order.description));
        }
    }

    /// The newest listing may still be on its way through the program, so the one before it counts, too.
    fn order_fits(&mut self, request: &RequestRecord, order: &Order) {
        let since = self.last_write.get(&order.server).copied().unwrap_or(0);
        let listings = self.listings.get(&order.kind).into_iter().flatten().rev().filter(|listing| listing.seq > since);
        let used: Vec<usize> = listings.take(2).map(|listing| listing.used.get(&order.server).copied().unwrap_or(0)).collect();
        if used.is_empty() {
            self.breach("I9", request.seq, "a create without a listing since the last write");
        } else if used.iter().all(|used| *used >= self.law.cap(order.kind)) {
            self.breach("I9", request.seq, &format!("a create although {used:?} slots were seen in use"));
        }
    }

    /// Whether an order was turned away, has failed, or was proved absent: by two complete listings, begun late enough.
    ///
    /// The program waits twice its timeout from the sending. Here both times are those of arrival, which a slow machine moves by up to one timeout.
    fn came_to_nothing(&self, order: &RequestRecord, slot: &Slot, now: u64) -> bool {
        if order.answered_seq.is_some_and(|answer| answer < now)
            && matches!(order.answered, Answered::Status(status) if (400..500).contains(&status) && status != 408)
        {
            return true;
        }
        if let Some(made) = self.made_by.get(&order.seq) {
            return self.known.get(made).is_some_and(|item| item.progress == Progress::Failed);
        }
        let late_enough = order.at + SignedDuration::try_from(self.law.request_timeout).unwrap();
        let listings = self.listings.get(&slot.1).into_iter().flatten();
        listings.filter(|listing| listing.at >= late_enough && !listing.slots.contains(slot)).count() >= 2
    }

    fn delete_sent(&mut self, request: &RequestRecord, kind: Kind) {
        let id = request.path.trim_end_matches('/').rsplit('/').next().and_then(|id| id.parse().ok()).map(ItemId);
        match id.and_then(|id| self.known.get(&(kind, id))).cloned() {
            None => self.breach("I1", request.seq, &format!("{} never was there", request.path)),
            // It is gone already, so that nothing more is taken away.
            Some(item) if !self.items.contains_key(&(kind, item.id)) => self.may_go(request.seq, &item, false),
            Some(item) => self.may_go(request.seq, &item, true),
        }
    }

    /// I1, and while the item is there I2 and I3.
    fn may_go(&mut self, seq: u64, item: &Item, is_there: bool) {
        let settled = item.progress == Progress::Completed || item.progress == Progress::Failed && self.law.is_ours(item);
        if !self.law.is_judged(item) || !settled {
            self.breach("I1", seq, &format!("{} {} is not ours to delete: {item:?}", item.kind, item.id));
        }
        if !is_there || item.progress != Progress::Completed {
            return;
        }
        let others: Vec<_> = self.judged(item).into_iter().filter(|other| other.id != item.id).collect();
        let newer = others.iter().any(|other| age_order(other) > age_order(item));
        let left = others.len();
        if left < self.law.min_keep {
            self.breach("I2", seq, &format!("without {} {} only {left} are left", item.kind, item.id));
        }
        if !newer {
            self.breach("I3", seq, &format!("{} {} is the newest", item.kind, item.id));
        }
    }

    /// The completed items under our care beside this one, itself included.
    fn judged(&self, beside: &Item) -> Vec<&Item> {
        let same = self.items.values().filter(|item| (item.server, item.kind) == (beside.server, beside.kind));
        same.filter(|item| item.progress == Progress::Completed && self.law.is_judged(item)).collect()
    }

    fn happened(&mut self, record: &EffectRecord) {
        match &record.effect {
            Effect::Created { item, by, .. } => {
                if let (Maker::Api, Some(request)) = (by, record.request) {
                    self.made_by.insert(request, (item.kind, item.id));
                }
                self.put(item);
            }
            Effect::Ended { item } => {
                if item.progress == Progress::Completed && self.law.is_ours(item) {
                    self.room_made.remove(&(item.server, item.kind));
                }
                self.put(item);
            }
            Effect::Deleted { item, by } => {
                if *by == Maker::Api {
                    self.may_go(record.seq, item, true);
                    self.room(record.seq, item);
                }
                self.items.remove(&(item.kind, item.id));
            }
            Effect::RestoreBegun { .. } => self.breach("I14", record.seq, "a server is overwritten"),
            Effect::Refused { .. } | Effect::RestoreEnded { .. } => {}
        }
    }

    fn put(&mut self, item: &Item) {
        self.items.insert((item.kind, item.id), item.clone());
        self.known.insert((item.kind, item.id), item.clone());
    }

    /// I5. Room is made where no slot is free and retention would have kept the item.
    fn room(&mut self, seq: u64, item: &Item) {
        let shelf = (item.server, item.kind);
        let used = self.items.values().filter(|other| (other.server, other.kind) == shelf && other.fills_a_slot()).count();
        let judged = self.judged(item);
        let would_stay = match item.progress {
            Progress::Completed => judged.len() <= self.law.keep,
            _ => !judged.iter().any(|other| age_order(other) > age_order(item)),
        };
        if used >= self.law.cap(item.kind) && would_stay && !self.room_made.insert(shelf) {
            self.breach("I5", seq, &format!("room is made again by {} {} without a completed create in between", item.kind, item.id));
        }
    }

    /// I12: of one slot only one item may have come to something. An item that came late, after its request, is no second start.
    fn at_the_end(&mut self) {
        let mut slots: BTreeMap<Slot, VecDeque<ItemId>> = BTreeMap::new();
        for item in self.made_by.values().filter_map(|made| self.known.get(made)).filter(|item| item.progress != Progress::Failed) {
            slots.entry(slot_of(item)).or_default().push_back(item.id);
        }
        for (slot, items) in slots.into_iter().filter(|(_, items)| items.len() > 1) {
            self.breaches.push(format!("I12: the slot {} has the items {items:?}", slot.2));
        }
    }
}

fn slot_of(item: &Item) -> Slot {
    (item.server, item.kind, item.description.clone())
}

fn age_order(item: &Item) -> (Timestamp, ItemId) {
    (item.created_at, item.id)
}

/// The three calls of I14, and the lists of servers and of the account.
fn is_allowed(request: &RequestRecord) -> bool {
    let segments: Vec<&str> = request.path.trim_matches('/').split('/').collect();
    match (&request.method, &segments[..]) {
        (&Method::GET, ["snapshots" | "backups" | "servers"] | ["account", "me"]) | (&Method::POST, ["snapshots" | "backups"]) => true,
        (&Method::DELETE, ["snapshots" | "backups", id]) => id.bytes().all(|byte| byte.is_ascii_digit()),
        _ => false,
    }
}
