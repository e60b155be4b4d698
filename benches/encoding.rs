//! How long a scrape takes to be put together, and how that grows with the fleet: `cargo bench --bench encoding`.
//!
//! The report of a daemon that looks after two kinds of items, five snapshots and ten backups on each server, and the text made of it. `ONCE=1000` makes
//! both once for so many servers, for a count of instructions.

#![allow(clippy::unwrap_used, reason = "a benchmark ends by a panic")]

#[path = "common/fleet.rs"]
mod fleet;
#[path = "common/time.rs"]
mod time;

use std::hint::black_box;
use std::time::Duration;

use jiff::SignedDuration;

use snapwarden::clock::{Mono, Now};
use snapwarden::controller::{Controller, Input, Mode};
use snapwarden::domain::inventory::{Kind, Server, ServerId, ServerListing};
use snapwarden::domain::report::Report;
use snapwarden::journal::{MemoryJournal, Recall};
use snapwarden::provider::Reply;
use snapwarden::telemetry::Metrics;

/// A daemon that has seen so many servers and all that they have.
fn controller(servers: u64) -> Controller {
    let setup = fleet::config().setup();
    let now = now();
    let past = MemoryJournal::new().load(now.wall).unwrap();
    let mut controller = Controller::new(setup, Mode::Daemon, &past, now);
    controller.handle(now, [Input::Tick]);
    let server = |number| Server { id: ServerId(number), name: fleet::name(number).into(), status: "active".into() };
    let all = ServerListing { servers: (1..=servers).map(server).collect::<Vec<_>>().into(), defects: Vec::new() };
    controller.handle(now, [Input::Servers(now.mono, Reply { result: Ok(all), date: None, begun: Some(now.mono) })]);
    for (kind, days) in [(Kind::Snapshot, 0..5), (Kind::Backup, 0..10)] {
        let listing = fleet::listing(kind, servers, &days.collect::<Vec<_>>());
        controller.handle(now, [Input::Listed(kind, now.mono, Reply { result: Ok(listing), date: None, begun: Some(now.mono) })]);
    }
    controller
}

fn now() -> Now {
    Now { wall: fleet::slot(0) + SignedDuration::from_hours(9), mono: Mono::default() }
}

#[inline(never)]
fn report(controller: &Controller) -> Report {
    black_box(controller.report(now()))
}

#[inline(never)]
fn encode(report: &Report) -> String {
    black_box(Metrics::render_gauges(report))
}

fn main() {
    if let Ok(servers) = std::env::var("ONCE") {
        println!("{} bytes", encode(&report(&controller(servers.parse().unwrap()))).len());
        return;
    }
    // `cargo test --benches` runs this too: the smallest fleet shows that it works.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    println!("{:>8} {:>12} {:>12} {:>12} {:>12}", "servers", "bytes", "report", "text", "both, each");
    for servers in fleet::FLEETS.into_iter().take(if is_bench { fleet::FLEETS.len() } else { 1 }) {
        let controller = controller(servers);
        let told = report(&controller);
        assert_eq!(told.targets.len() as u64, 2 * servers);
        let text = encode(&told);
        assert_eq!(text.matches("snapwarden_restore_points{").count() as u64, 2 * servers);
        let (reported, encoded) = (fleet::best(|| (), |()| report(&controller)), fleet::best(|| (), |()| encode(&told)));
        let ms = |time: Duration| format!("{:.3} ms", time.as_secs_f64() * 1e3);
        let each = (reported + encoded).as_secs_f64() * 1e6 / servers as f64;
        println!("{servers:>8} {:>12} {:>12} {:>12} {each:>9.2} µs", text.len(), ms(reported), ms(encoded));
    }
}
