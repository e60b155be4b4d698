//! The same things and policies as the product knows them, and its verdicts in the words of the naive rule.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use snapwarden::domain::assess::{Knowledge, Verdict, assess};
use snapwarden::domain::globs::Globs;
use snapwarden::domain::inventory::{Item, ItemId, Kind, ServerId, Status};
use snapwarden::domain::policy::{AtCap, Fuse, KindPolicy, Limits, TextOnce, Wanted};
use snapwarden::domain::retention::Keep;
use snapwarden::domain::schedule::{Expression, Schedule};

use crate::naive::{self, Fate, Owner, Period, Policy, Protection, Thing};

/// What the product is asked with.
pub struct Product {
    wanted: Wanted,
    policy: KindPolicy,
    now: Timestamp,
}

impl Product {
    pub fn new(policy: &Policy, now: i64) -> Product {
        let zone = if policy.oslo { TimeZone::get("Europe/Oslo").unwrap() } else { TimeZone::UTC };
        let schedule = Schedule::new(vec![Arc::new(Expression::parse("0 * * * *").unwrap())], zone);
        let mut keep = Keep::default();
        for (period, count) in &policy.keep {
            let place = match period {
                Period::Last => &mut keep.last,
                Period::Hourly => &mut keep.hourly,
                Period::Daily => &mut keep.daily,
                Period::Weekly => &mut keep.weekly,
                Period::Monthly => &mut keep.monthly,
                Period::Yearly => &mut keep.yearly,
            };
            *place = *count as u32;
        }
        let policy = KindPolicy {
            policy: "web".into(),
            kind: Kind::Snapshot,
            schedule: Arc::new(schedule),
            splay: Duration::ZERO,
            catch_up: Duration::ZERO,
            keep,
            leave_free: 1,
            at_cap: AtCap::Rotate,
            adopt: if policy.adopts { Globs::new(&["*"]).unwrap() } else { Globs::none() },
            protect: Globs::new(&["pre-*"]).unwrap(),
            min_keep: policy.min_keep as u32,
            stuck_after: Duration::from_secs(3600),
            hooks: None,
            text: TextOnce::default(),
        };
        let wanted = Wanted {
            owner: "prod".into(),
            former_owners: Vec::new(),
            limits: Limits { snapshots: 5, manual_backups: 10 },
            fuse: Fuse { enabled: true, extra_per_server: 1, extra_per_day: 50 },
            entries: Vec::new(),
            policies: Vec::new(),
        };
        Product { wanted, policy, now: at(now) }
    }

    /// Its verdict on each, with the class of the reason; a `Leave` has one.
    pub fn fates(&self, things: &[Thing]) -> Vec<Fate> {
        let mut items: Vec<Item> = things.iter().map(item).collect();
        items.sort_by_key(|item| (item.created_at, item.id));
        let with = |protection| things.iter().filter(move |thing| thing.protection == protection).map(|thing| ItemId(thing.id));
        let protected: Vec<ItemId> = with(Protection::Number).collect();
        let held: BTreeMap<ItemId, Timestamp> = with(Protection::Held).map(|id| (id, self.now + Duration::from_secs(1))).collect();
        let knowledge = Knowledge { made: &BTreeMap::new(), protected: &protected, held: &held };
        let rows = assess(&items, &self.wanted, &self.policy, knowledge, self.now, None);
        let fate = |thing: &Thing| {
            let row = rows.iter().find(|row| row.item.id == ItemId(thing.id)).unwrap();
            fate(row.verdict, &row.reasons[0].to_string())
        };
        things.iter().map(fate).collect()
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn item(thing: &Thing) -> Item {
    let origin = match thing.slot {
        Some(slot) => format!("policy=web slot={}", at(slot)),
        None => format!("by=hand at={}", at(thing.time)),
    };
    let description = match thing.owner {
        Owner::Ours => format!("snapwarden owner=prod {origin}"),
        Owner::Another => format!("snapwarden owner=test {origin}"),
        Owner::Nobody => "by a person".to_owned(),
        Owner::Automatic => String::new(),
    };
    Item {
        id: ItemId(thing.id),
        server: ServerId(7),
        server_name: "web-01".into(),
        kind: Kind::Snapshot,
        name: Some(if thing.protection == Protection::Name { "pre-move" } else { "nightly" }.into()),
        description: description.into(),
        status: match thing.status {
            naive::Status::Completed => Status::Completed,
            naive::Status::InProgress => Status::InProgress,
            naive::Status::Failed => Status::Failed,
            naive::Status::Unknown => Status::Unknown("archived".into()),
        },
        created_at: at(thing.time),
        automatic: thing.owner == Owner::Automatic,
    }
}

/// How the product's reasons begin, and the class of each.
const REASONS: [(&str, &str); 12] = [
    ("made by the provider's own plan", "automatic"),
    ("carries the mark of", "another's mark"),
    ("protected by `pre-*`", "protected name"),
    ("made by others", "others'"),
    ("in progress", "in progress"),
    ("its status", "unknown status"),
    ("failed, and not made by us", "failed, not ours"),
    ("protected by its number", "protected number"),
    ("held until", "held"),
    ("dated in the future", "future"),
    ("failed; stays", "failed; stays"),
    ("failed, and a newer one is complete", "failed"),
];

fn fate(verdict: Verdict, reason: &str) -> Fate {
    let class = REASONS.iter().find(|(begin, _)| reason.starts_with(begin)).map(|(_, class)| *class);
    match verdict {
        Verdict::Keep if reason.starts_with("min_keep") => Fate::Keep("min_keep".to_owned()),
        Verdict::Keep => Fate::Keep(reason.to_owned()),
        Verdict::Delete if reason.starts_with("second item of one slot") => Fate::Delete("second"),
        Verdict::Delete => Fate::Delete(class.unwrap_or("no place")),
        Verdict::Leave => Fate::Leave(vec![class.unwrap_or("no reason")]),
    }
}
