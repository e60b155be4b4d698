//! The configurations that the histories draw from, read by the production code.

use std::sync::OnceLock;
use std::time::Duration;

use snapwarden::config;
use snapwarden::controller::Setup;
use snapwarden::domain::inventory::Kind;

const MINUTES: u64 = 60;
const HOURS: u64 = 3600;

/// Where and when: each beginning lies half a day before a change of the clocks, but for the first.
pub const PLACES: &[(&str, &str)] = &[
    ("UTC", "2026-06-01T00:00:00Z"),
    ("Europe/Oslo", "2026-03-28T13:00:00Z"),
    ("Europe/Oslo", "2026-10-24T13:00:00Z"),
    ("America/New_York", "2026-03-07T19:00:00Z"),
    ("America/New_York", "2026-10-31T18:00:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T03:00:00Z"),
    ("Australia/Lord_Howe", "2026-10-03T03:30:00Z"),
];

/// Snapshots: the policy, the longest time between two slots, how many it keeps.
const SNAPSHOTS: &[(&str, u64, usize)] = &[
    (r#"schedule: "0 * * * *", keep: {last: 5}, leave_free: 0, splay: 5m, stuck_after: 30m"#, HOURS, 5),
    (r#"schedule: "20 * * * *", keep: {last: 2, daily: 1}, splay: 10m"#, HOURS, 3),
    (r#"schedule: "*/30 * * * *", keep: {last: 3, hourly: 2}, leave_free: 0, stuck_after: 20m"#, 30 * MINUTES, 5),
    (r#"schedule: "30 */2 * * *", keep: {hourly: 3}, adopt: ["tool-*"], protect: ["tool-keep-*"]"#, 3 * HOURS, 3),
    (r#"schedule: "15,45 * * * *", keep: {last: 4}, at_cap: refuse"#, 30 * MINUTES, 4),
    (r#"schedule: "50 * * * *", keep: {last: 4}, min_keep: 3, catch_up: 0s"#, HOURS, 4),
    (r#"schedule: "30 1,2,3,12 * * *", keep: {last: 2, daily: 2, weekly: 1}, leave_free: 0, catch_up: 3h, splay: 15m"#, 14 * HOURS, 5),
];

/// Backups, the same; empty: none.
const BACKUPS: &[(&str, u64, usize)] = &[
    ("", 0, 0),
    (r#"schedule: "30 */3 * * *", keep: {last: 3}, catch_up: 1h"#, 4 * HOURS, 3),
    (r#"schedule: "0 * * * *", keep: {last: 3, daily: 2}, min_keep: 2, splay: 20m"#, HOURS, 5),
    (r#"schedule: "0 */2 * * *", keep: {last: 10}, leave_free: 0"#, 3 * HOURS, 10),
];

/// How the servers are named: by pattern, or by number with their names.
const ENTRIES: [&str; 2] = [
    r#"  - {match: "web-*", policy: web}"#,
    "  - {id: 1, name: web-1, policy: web}\n  - {id: 2, name: web-2, policy: web, protect_ids: [802]}",
];

/// One configuration.
#[derive(Debug)]
pub struct Plan {
    pub place: usize,
    pub setup: Setup,
    snapshots: (Duration, usize),
    backups: Option<(Duration, usize)>,
}

impl Plan {
    /// The longest time between two slots, and how many items are kept.
    pub fn wants(&self, kind: Kind) -> Option<(Duration, usize)> {
        match kind {
            Kind::Snapshot => Some(self.snapshots),
            Kind::Backup => self.backups,
        }
    }

    /// The longest time between two slots of either kind.
    pub fn period(&self) -> Duration {
        self.snapshots.0.max(self.backups.map_or(Duration::ZERO, |(period, _)| period))
    }
}

/// All of them.
pub fn all() -> &'static [Plan] {
    static PLANS: OnceLock<Vec<Plan>> = OnceLock::new();
    PLANS.get_or_init(|| {
        let mut plans = Vec::new();
        for (place, (zone, _)) in PLACES.iter().enumerate() {
            for snapshots in SNAPSHOTS {
                // Each place has each snapshot policy, with one backup policy and one way of naming servers: all pairs come somewhere.
                let number = plans.len();
                plans.push(plan(place, zone, snapshots, &BACKUPS[number % BACKUPS.len()], ENTRIES[number / 2 % 2]));
            }
        }
        plans
    })
}

/// Those of one place.
pub fn at(place: usize) -> Vec<&'static Plan> {
    all().iter().filter(|plan| plan.place == place).collect()
}

/// Puts one together.
pub fn plan(place: usize, zone: &str, snapshots: &(&str, u64, usize), backups: &(&str, u64, usize), entries: &str) -> Plan {
    let mut yaml = format!(
        "owner: prod\nprovider: {{refresh_every: 40m, poll_every: 45s}}\ntimezone: {zone}\npolicies:\n  web:\n    snapshots: {{{}}}\n",
        snapshots.0
    );
    if !backups.0.is_empty() {
        yaml.push_str(&format!("    backups: {{{}}}\n", backups.0));
    }
    yaml.push_str(&format!("servers:\n{entries}\n"));
    let wants = |of: &(&str, u64, usize)| (Duration::from_secs(of.1), of.2);
    Plan { place, setup: setup(&yaml), snapshots: wants(snapshots), backups: (!backups.0.is_empty()).then(|| wants(backups)) }
}

/// A configuration from its text.
pub fn setup(yaml: &str) -> Setup {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapwarden.yaml");
    std::fs::write(&path, yaml).unwrap();
    let config = config::load(&path, PLACES[0].1.parse().unwrap()).unwrap_or_else(|told| panic!("{told}\n{yaml}"));
    config.setup()
}
