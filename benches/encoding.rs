//! How long a scrape takes to be put together, and how that grows with the fleet: `cargo bench --bench encoding`.
//!
//! The report of a daemon that looks after two kinds of items, five snapshots and ten backups on each server, and the text made of it. `ONCE=1000` makes
//! both once for so many servers, for a count of instructions.

#![allow(clippy::unwrap_used, reason = "a benchmark ends by a panic")]

use std::hint::black_box;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use snapwarden::clock::{Mono, Now};
use snapwarden::config;
use snapwarden::controller::{Controller, Input, Mode};
use snapwarden::domain::inventory::{Item, ItemId, Kind, Listing, Server, ServerId, ServerListing, Status};
use snapwarden::domain::mark::{Mark, Origin, item_name};
use snapwarden::domain::report::Report;
use snapwarden::domain::text::{Description, Text};
use snapwarden::journal::{MemoryJournal, Recall};
use snapwarden::provider::Reply;
use snapwarden::telemetry::Metrics;

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
const NOW: &str = "2026-11-21T12:00:00Z";
const REPEATS: u32 = 20;
const FLEETS: [u64; 4] = [10, 100, 1_000, 10_000];

/// A listing with an item for each of the last days.
fn listing(kind: Kind, servers: u64, days: u64) -> Listing {
    let noon: Timestamp = NOW.parse().unwrap();
    let of_day = |day: u64| {
        let slot = noon - SignedDuration::from_hours(9 + 24 * day as i64);
        let mark = Mark { owner: "prod".into(), origin: Origin::Slot { policy: "web".into(), slot }, until: None };
        let (name, description) = (item_name(kind, &mark, "").map(Text::from), Description::from(mark.description()));
        let item = move |server: u64| Item {
            id: ItemId(server * 100 + 50 - day),
            server: ServerId(server),
            server_name: format!("web-{server}").into(),
            kind,
            name: name.clone(),
            description: description.clone(),
            status: Status::Completed,
            created_at: slot + SignedDuration::from_secs(7),
            automatic: false,
        };
        (1..=servers).map(item)
    };
    Listing { kind, items: (0..days).flat_map(of_day).collect(), opaque: Vec::new(), missing: 0, defects: Vec::new() }
}

/// A daemon that has seen so many servers and all that they have.
fn controller(servers: u64) -> Controller {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapwarden.yaml");
    std::fs::write(&path, CONFIG).unwrap();
    let setup = config::load(&path, Timestamp::UNIX_EPOCH).unwrap().setup();
    let now = now();
    let past = MemoryJournal::new().load(now.wall).unwrap();
    let mut controller = Controller::new(setup, Mode::Daemon, &past, now);
    controller.handle(now, Input::Tick);
    let server = |number| Server { id: ServerId(number), name: format!("web-{number}").into(), status: "active".into() };
    let all = ServerListing { servers: (1..=servers).map(server).collect(), defects: Vec::new() };
    controller.handle(now, Input::Servers(now.mono, Reply { result: Ok(all), date: None }));
    for (kind, days) in [(Kind::Snapshot, 5), (Kind::Backup, 10)] {
        controller.handle(now, Input::Listed(kind, now.mono, Reply { result: Ok(listing(kind, servers, days)), date: None }));
    }
    controller
}

fn now() -> Now {
    Now { wall: NOW.parse().unwrap(), mono: Mono::default() }
}

#[inline(never)]
fn report(controller: &Controller) -> Report {
    black_box(controller.report(now()))
}

#[inline(never)]
fn encode(report: &Report) -> String {
    black_box(Metrics::render_gauges(report))
}

/// The processor time that this process has used: the machine may be busy otherwise.
fn processor_time() -> Duration {
    rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime).try_into().unwrap()
}

/// The shortest of some repetitions.
fn best<T>(mut once: impl FnMut() -> T) -> Duration {
    let time = |_| {
        let begun = processor_time();
        black_box(once());
        processor_time() - begun
    };
    (0..REPEATS).map(time).min().unwrap_or_default()
}

fn main() {
    if let Ok(servers) = std::env::var("ONCE") {
        println!("{} bytes", encode(&report(&controller(servers.parse().unwrap()))).len());
        return;
    }
    // `cargo test --benches` runs this too: the smallest fleet shows that it works.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    println!("{:>8} {:>12} {:>12} {:>12} {:>12}", "servers", "bytes", "report", "text", "both, each");
    for servers in FLEETS.into_iter().take(if is_bench { FLEETS.len() } else { 1 }) {
        let controller = controller(servers);
        let told = report(&controller);
        assert_eq!(told.targets.len() as u64, 2 * servers);
        let text = encode(&told);
        assert_eq!(text.matches("snapwarden_restore_points{").count() as u64, 2 * servers);
        let (reported, encoded) = (best(|| report(&controller)), best(|| encode(&told)));
        let ms = |time: Duration| format!("{:.3} ms", time.as_secs_f64() * 1e3);
        let each = (reported + encoded).as_secs_f64() * 1e6 / servers as f64;
        println!("{servers:>8} {:>12} {:>12} {:>12} {each:>9.2} µs", text.len(), ms(reported), ms(encoded));
    }
}
