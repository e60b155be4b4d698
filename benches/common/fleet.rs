//! A fleet with both kinds of items on each server, in a zone with daylight saving.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use snapwarden::config::{self, Config};
use snapwarden::domain::inventory::{Item, ItemId, Kind, Listing, ServerId, Status};
use snapwarden::domain::mark::{Mark, Origin, item_name};
use snapwarden::domain::text::{Description, Text};

use crate::time::timed;

/// How many servers it has.
pub const FLEETS: [u64; 4] = [10, 100, 1_000, 10_000];

const CONFIG: &str = r#"
owner: prod
timezone: Europe/Oslo
policies:
  web:
    snapshots: {schedule: "0 3 * * *", keep: {daily: 2, weekly: 2}}
    backups: {schedule: "0 4 * * *", keep: {daily: 4, weekly: 3, monthly: 2}}
servers:
  - {match: "web-*", policy: web}
"#;
const REPEATS: u32 = 20;

/// What is wanted of it.
pub fn config() -> Config {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapwarden.yaml");
    std::fs::write(&path, CONFIG).unwrap();
    config::load(&path, Timestamp::UNIX_EPOCH).unwrap()
}

/// 03:00 in UTC, so many days before the 21st of November.
pub fn slot(days_before: i64) -> Timestamp {
    "2026-11-21T03:00:00Z".parse::<Timestamp>().unwrap() - SignedDuration::from_hours(24 * days_before)
}

/// The mark of what is made for a slot.
pub fn mark(slot: Timestamp) -> Mark {
    Mark { owner: "prod".into(), origin: Origin::Slot { policy: "web".into(), slot }, until: None }
}

/// A name of each server.
pub fn name(server: u64) -> String {
    format!("web-{server}")
}

/// What a listing shows: on each server an item for the slot of each of these days. Equal texts are one text, as in what the adapter reads from the provider.
pub fn listing(kind: Kind, servers: u64, days: &[i64]) -> Listing {
    let names: Vec<Text> = (0..=servers).map(|server| name(server).into()).collect();
    let of_slot = |(place, days): (usize, &i64)| {
        let slot = slot(*days);
        let mark = mark(slot);
        let (name, description) = (item_name(kind, &mark, "").map(Text::from), Description::from(mark.description()));
        (1..=servers).map(move |server| (server, place, slot, name.clone(), description.clone()))
    };
    let item = |(server, place, slot, name, description): (u64, usize, Timestamp, Option<Text>, Description)| Item {
        id: ItemId(server * 100 + 50 - place as u64),
        server: ServerId(server),
        server_name: names[server as usize].clone(),
        kind,
        name,
        description,
        status: Status::Completed,
        created_at: slot + SignedDuration::from_secs(server as i64 % 600),
        automatic: false,
    };
    let items: Vec<Item> = days.iter().enumerate().flat_map(of_slot).map(item).collect();
    Listing { kind, items: items.into(), opaque: Vec::new(), missing: 0, defects: Vec::new() }
}

/// The shortest of some repetitions; what `before` makes for each of them is not counted.
pub fn best<I, T>(mut before: impl FnMut() -> I, mut once: impl FnMut(I) -> T) -> Duration {
    let time = |_| {
        let input = before();
        timed(|| std::hint::black_box(once(input))).1
    };
    (0..REPEATS).map(time).min().unwrap_or_default()
}
