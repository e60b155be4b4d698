//! What the tests of the core are made of: items, policies and knowledge, in few words.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::clock::Mono;

use super::assess::Knowledge;
use super::globs::Globs;
use super::inventory::{Defect, Item, ItemId, Kind, Listing, ServerId, Status};
use super::mark::{Mark, Origin, item_name};
use super::plan::{Allowance, Ground, Order};
use super::policy::{AtCap, Fuse, KindPolicy, Limits, TextOnce, Wanted};
use super::problem::Problem;
use super::retention::Keep;
use super::schedule::{Expression, Schedule};
use super::view::{Inventory, View};

/// The server of all tests.
pub const SERVER: ServerId = ServerId(7);

/// "Now" of the tests: a Saturday at noon.
pub fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

/// So many hours before [`now`]; negative: after.
pub fn ago(hours: i64) -> Timestamp {
    now() - SignedDuration::from_hours(hours)
}

/// A snapshot of ours for the slot so many hours ago, complete.
pub fn ours(id: u64, hours: i64) -> Item {
    item(id, hours, &slot_mark(ago(hours)).description())
}

/// One made by a person, complete.
pub fn foreign(id: u64, hours: i64) -> Item {
    item(id, hours, "by a person")
}

pub fn slot_mark(slot: Timestamp) -> Mark {
    Mark { owner: "prod".into(), origin: Origin::Slot { policy: "web".into(), slot }, until: None }
}

pub fn item(id: u64, hours: i64, description: &str) -> Item {
    Item {
        id: ItemId(id),
        server: SERVER,
        server_name: "web-01".into(),
        kind: Kind::Snapshot,
        name: Some(format!("item-{id}").into()),
        description: description.into(),
        status: Status::Completed,
        created_at: ago(hours),
        automatic: false,
    }
}

/// The same item with another status.
pub fn with_status(item: Item, status: Status) -> Item {
    Item { status, ..item }
}

/// The same item with another name.
pub fn named(item: Item, name: &str) -> Item {
    Item { name: Some(name.into()), ..item }
}

/// The order for the slot [`now`].
pub fn order() -> Order {
    let mark = slot_mark(now());
    Order { name: item_name(Kind::Snapshot, &mark, "").map(Into::into), description: mark.description().into(), slot: Some(now()) }
}

/// A policy for snapshots that keeps so much, e.g. `last=4`.
pub fn policy(keep: &str) -> KindPolicy {
    let schedule = Schedule::new(vec![Arc::new(Expression::parse("0 * * * *").unwrap())], TimeZone::UTC);
    KindPolicy {
        policy: "web".into(),
        kind: Kind::Snapshot,
        schedule: Arc::new(schedule),
        splay: Duration::ZERO,
        catch_up: Duration::from_secs(1800),
        keep: Keep::parse(keep).unwrap(),
        leave_free: 1,
        at_cap: AtCap::Rotate,
        adopt: Globs::none(),
        protect: Globs::none(),
        min_keep: 1,
        stuck_after: Duration::from_secs(3600),
        hooks: None,
        text: TextOnce::default(),
    }
}

pub fn globs(texts: &[&str]) -> Globs {
    Globs::new(texts).unwrap()
}

pub fn wanted() -> Wanted {
    Wanted {
        owner: "prod".into(),
        former_owners: vec!["old".into()],
        limits: Limits { snapshots: 5, manual_backups: 10 },
        fuse: Fuse { enabled: true, extra_per_server: 1, extra_per_day: 50 },
        entries: Vec::new(),
        policies: Vec::new(),
    }
}

/// A whole listing of snapshots.
pub fn listing(items: Vec<Item>) -> Listing {
    Listing { kind: Kind::Snapshot, items: items.into(), opaque: Vec::new(), missing: 0, defects: Vec::new() }
}

/// A listing of which so many entries did not arrive.
pub fn listing_without(items: Vec<Item>, missing: u64) -> Listing {
    let arrived = items.len() as u64;
    Listing { missing, defects: vec![Defect::CountDiffers { count: arrived + missing, arrived }], ..listing(items) }
}

/// A listing begun at so many seconds.
pub fn inventory(listing: Listing, begun_s: u64) -> Inventory {
    Inventory::new(listing, Mono(Duration::from_secs(begun_s)))
}

/// Everything that a plan is made on, owned.
#[derive(Debug)]
pub struct Scene {
    pub wanted: Wanted,
    pub policy: KindPolicy,
    pub inventory: Inventory,
    pub made: BTreeMap<ItemId, Origin>,
    pub protected: Vec<ItemId>,
    pub held: BTreeMap<ItemId, Timestamp>,
    pub freeze: Option<Problem>,
    pub room_made: bool,
    pub allowance: Allowance,
}

impl Scene {
    pub fn new(keep: &str, items: Vec<Item>) -> Scene {
        Scene {
            wanted: wanted(),
            policy: policy(keep),
            inventory: inventory(listing(items), 100),
            made: BTreeMap::new(),
            protected: Vec::new(),
            held: BTreeMap::new(),
            freeze: None,
            room_made: false,
            allowance: Allowance { paid: 0, extra_run: 1, extra_day: 50 },
        }
    }

    pub fn knowledge(&self) -> Knowledge<'_> {
        Knowledge { made: &self.made, protected: &self.protected, held: &self.held }
    }

    /// Lets something look at the ground for a plan.
    pub fn with<T>(&self, look: impl FnOnce(&Ground<'_>, &View<'_>) -> T) -> T {
        let view = self.inventory.of(SERVER);
        let ground = Ground {
            wanted: &self.wanted,
            policy: &self.policy,
            view: &view,
            knowledge: self.knowledge(),
            freeze: self.freeze.as_ref(),
            room_made: self.room_made,
            allowance: self.allowance,
            now: now(),
        };
        look(&ground, &view)
    }
}
