//! How much simulated time a second of processor time plays: `cargo bench --profile fast --bench simulator`.
//!
//! A hundred servers with a snapshot a day, for a year, checks included. The provider is asked each six hours while nothing is on, and each minute while
//! something is made. Processor time is told, since the machine may be busy otherwise. `ONCE=28` plays so many days without looking at the clock, for a
//! count of instructions.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a benchmark reads the clock, and ends by a panic")]

#[path = "common/time.rs"]
mod time;

use std::time::{Duration, Instant};

use jiff::Timestamp;

use snapwarden::config;
use snapwarden::controller::{Mode, Setup};
use snapwarden::emulator::{Account, Rules, Server};
use snapwarden::simulate::World;

/// See `docs/decisions.md`, "The system's allocator, told not to hoard".
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CONFIG: &str = r#"
owner: prod
provider: {refresh_every: 6h, poll_every: 1m, concurrent_creates: 100}
timezone: Europe/Oslo
policies:
  web:
    snapshots: {schedule: "0 3 * * *", keep: {daily: 2, weekly: 2}}
servers:
  - {match: "web-*", policy: web}
"#;
const SERVERS: u64 = 100;
const DAY: Duration = Duration::from_secs(86_400);

fn setup() -> Setup {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapwarden.yaml");
    std::fs::write(&path, CONFIG).unwrap();
    let config = config::load(&path, Timestamp::UNIX_EPOCH).unwrap();
    config.setup()
}

fn main() {
    // `cargo test --benches` runs this too: a week shows that it works.
    let usual = if std::env::args().any(|argument| argument == "--bench") { 365 } else { 7 };
    let counted: Option<u32> = std::env::var("ONCE").ok().map(|days| days.parse().unwrap());
    let days = counted.unwrap_or(usual);
    let origin: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let mut account = Account::new(Rules::default());
    for id in 1..=SERVERS {
        account.add_server(Server::active(id, &format!("web-{id}")), origin);
    }
    let mut world = World::new(setup(), Mode::Daemon, account, origin, 1).unwrap();
    world.keep_nothing();
    // What comes at the same time is taken in together, as the daemon does.
    world.busy_max = Some(Duration::ZERO);
    let begun = Instant::now();
    let mut play = || world.run_to(DAY * days);
    // Some versions of valgrind cannot do with how the clock of the process is read.
    let ((), used) = if counted.is_some() { (play(), Duration::ZERO) } else { time::timed(play) };
    let took = begun.elapsed();
    assert_eq!(world.breaches, Vec::<String>::new());
    let made = world.hosts[0].calls.get("create").copied().unwrap_or_default();
    assert!(made >= SERVERS * u64::from(days - 1), "{made} creates");
    let years = f64::from(days) / 365.0;
    println!(
        "{days} days of {SERVERS} servers, {made} snapshots: {:.2} s, of processor time {:.2} s; {:.2} simulated years a second of it",
        took.as_secs_f64(),
        used.as_secs_f64(),
        years / used.as_secs_f64().max(0.001)
    );
}
