//! How long it takes to find who is due, and to begin the runs: `cargo bench --bench dispatch`.
//!
//! A hundred policies with a cron expression each, all of them due at the same instant. `ONCE=1000` lets so many targets become due once, for a count of
//! instructions.

#![allow(clippy::unwrap_used, reason = "a benchmark ends by a panic")]

#[path = "common/time.rs"]
mod time;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use snapwarden::clock::{Mono, Now};
use snapwarden::config;
use snapwarden::controller::{Command, Controller, Input, Mode, Setup, Timetables};
use snapwarden::domain::fact::Fact;
use snapwarden::domain::inventory::{Kind, Listing, Server, ServerId, ServerListing};
use snapwarden::domain::policy::KindPolicy;
use snapwarden::journal::{MemoryJournal, Recall};
use snapwarden::provider::Reply;

use time::timed;

/// Different expressions, each of which names 03:00.
const EXPRESSIONS: u64 = 100;
const FLEETS: [u64; 5] = [10, 100, 1_000, 10_000, 100_000];
const BEFORE: &str = "2026-11-21T01:59:30Z";
/// 03:00 in Oslo.
const AT: &str = "2026-11-21T02:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn setup() -> Setup {
    let policy = |number| {
        let hours = if number < 50 { "3".to_owned() } else { format!("3,{}", 4 + number % 20) };
        let days = number % 50 % 20 + 1;
        // The 21st is among them, and each list is another one.
        format!("  p{number}: {{snapshots: {{schedule: \"0 {hours} {days}-{},21 * *\", keep: {{last: 3}}}}}}\n", 21 + number % 50 / 20)
    };
    let entry = |number| format!("  - {{match: \"p{number}-*\", policy: p{number}}}\n");
    let policies: String = (0..EXPRESSIONS).map(policy).collect();
    let entries: String = (0..EXPRESSIONS).map(entry).collect();
    let yaml = format!("owner: prod\ntimezone: Europe/Oslo\npolicies:\n{policies}servers:\n{entries}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapwarden.yaml");
    std::fs::write(&path, yaml).unwrap();
    let config = config::load(&path, Timestamp::UNIX_EPOCH).unwrap();
    config.setup()
}

/// The timetables of so many targets, looked at before the instant.
fn timetables(policies: &[Arc<KindPolicy>], targets: u64) -> Timetables {
    let (mut timetables, mut known) = (Timetables::default(), Vec::new());
    for target in 0..targets {
        let policy = &policies[(target % EXPRESSIONS) as usize];
        let key = (ServerId(target), Kind::Snapshot);
        timetables.follow(&mut known, &policy.schedule, key, Duration::ZERO, at(BEFORE));
    }
    assert!(timetables.take_due(at(BEFORE)).is_empty());
    timetables
}

#[inline(never)]
fn find(timetables: &mut Timetables) -> usize {
    black_box(timetables.take_due(at(AT))).len()
}

/// A daemon that has been told of so many servers, and that they have no snapshots, right before the instant.
fn controller(setup: &Setup, servers: u64) -> Controller {
    let now = Now { wall: at(BEFORE), mono: Mono::default() };
    let past = MemoryJournal::new().load(now.wall).unwrap();
    let mut controller = Controller::new(setup.clone(), Mode::Daemon, &past, now);
    controller.handle(now, [Input::Tick]);
    let server =
        |number| Server { id: ServerId(number), name: format!("p{}-{number}", number % EXPRESSIONS).into(), status: "active".into() };
    let listing = ServerListing { servers: (0..servers).map(server).collect::<Vec<_>>().into(), defects: Vec::new() };
    controller.handle(now, [Input::Servers(now.mono, Reply { result: Ok(listing), date: None, begun: Some(now.mono) })]);
    let listing = Listing { kind: Kind::Snapshot, items: Vec::new().into(), opaque: Vec::new(), missing: 0, defects: Vec::new() };
    controller.handle(now, [Input::Listed(Kind::Snapshot, now.mono, Reply { result: Ok(listing), date: None, begun: Some(now.mono) })]);
    drop(controller.take_commands());
    controller
}

#[inline(never)]
fn begin(controller: &mut Controller) -> u64 {
    controller.handle(Now { wall: at(AT), mono: Mono(Duration::from_secs(30)) }, [Input::Tick]);
    controller.take_commands().filter(|command| matches!(command, Command::Tell(fact) if matches!(**fact, Fact::RunStarted { .. }))).count()
        as u64
}

fn main() {
    let setup = setup();
    let policies = &setup.wanted.policies;
    let schedules: std::collections::BTreeSet<String> =
        policies.iter().flat_map(|policy| policy.schedule.texts().map(str::to_owned)).collect();
    assert_eq!(schedules.len() as u64, EXPRESSIONS);
    if let Ok(targets) = std::env::var("ONCE") {
        let targets = targets.parse().unwrap();
        println!("{} due, {} runs", find(&mut timetables(policies, targets)), begin(&mut controller(&setup, targets)));
        return;
    }
    // `cargo test --benches` runs this too: the smallest fleet shows that it works.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    println!("{:>8} {:>12} {:>14} {:>10}", "targets", "found due", "runs begun", "each");
    for targets in FLEETS.into_iter().take(if is_bench { FLEETS.len() } else { 1 }) {
        let repeats = if is_bench { 5 } else { 1 };
        let found = (0..repeats).map(|_| {
            let mut timetables = timetables(policies, targets);
            let (due, took) = timed(|| find(&mut timetables));
            assert_eq!(due as u64, targets);
            took
        });
        let begun = (0..repeats).map(|_| {
            let mut controller = controller(&setup, targets);
            let (runs, took) = timed(|| begin(&mut controller));
            assert_eq!(runs, targets);
            took
        });
        let (found, begun) = (found.min().unwrap(), begun.min().unwrap());
        let ms = |time: Duration| format!("{:.3} ms", time.as_secs_f64() * 1e3);
        println!("{targets:>8} {:>12} {:>14} {:>7.2} µs", ms(found), ms(begun), begun.as_secs_f64() * 1e6 / targets as f64);
    }
}
