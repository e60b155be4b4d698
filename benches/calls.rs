//! How many calls a night takes, and how much work, as the fleet grows: `cargo bench --bench calls`.
//!
//! All servers are due at the same time, an item takes ten minutes, and the provider is asked every 15 seconds while one is being made. This is the program
//! in the simulator's world, checks included; what is counted are the calls of two hours. `ONCE=100` plays it for so many servers,
//! for a count of instructions.

#![allow(clippy::unwrap_used, reason = "a benchmark ends by a panic")]

#[path = "common/time.rs"]
mod time;

use std::time::Duration;

use jiff::Timestamp;

use snapwarden::config;
use snapwarden::controller::{Mode, Setup};
use snapwarden::emulator::{Account, Rules, Server};
use snapwarden::simulate::World;

const CONFIG: &str = r#"
owner: prod
provider: {refresh_every: 6h, poll_every: 15s, concurrent_creates: 1000}
timezone: Europe/Oslo
policies:
  web:
    snapshots: {schedule: "0 3 * * *", keep: {last: 2}}
servers:
  - {match: "web-*", policy: web}
"#;
/// 01:50 in Oslo.
const ORIGIN: &str = "2026-01-01T00:50:00Z";
const DAY: Duration = Duration::from_secs(86_400);
const HOUR: Duration = Duration::from_secs(3_600);
/// By then the third item has been made and the oldest goes: each server has a create and a delete.
const NIGHTS: u32 = 3;
const FLEETS: [u64; 3] = [10, 100, 1_000];

fn setup() -> Setup {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapwarden.yaml");
    std::fs::write(&path, CONFIG).unwrap();
    let config = config::load(&path, Timestamp::UNIX_EPOCH).unwrap();
    let mut setup = config.setup();
    // The configuration allows no more than 1,000 at once; here nobody is to wait for another.
    setup.concurrent_creates = usize::MAX;
    setup
}

fn calls(world: &World, name: &str) -> u64 {
    world.hosts[0].calls.get(name).copied().unwrap_or_default()
}

fn counts(world: &World) -> [u64; 3] {
    [calls(world, "list") + calls(world, "servers"), calls(world, "create"), calls(world, "delete")]
}

/// Plays the night. Returns the list calls, the creates and the deletes of it.
#[inline(never)]
fn night(world: &mut World, before: [u64; 3]) -> [u64; 3] {
    world.run_to(DAY * (NIGHTS - 1) + HOUR * 2);
    assert_eq!(world.breaches, Vec::<String>::new());
    let after = counts(world);
    std::array::from_fn(|which| after[which] - before[which])
}

/// The world right before the night, and the list calls, the creates and the deletes so far.
fn before(servers: u64) -> (World, [u64; 3]) {
    let origin: Timestamp = ORIGIN.parse().unwrap();
    let mut account = Account::new(Rules::default().everything_takes(Duration::from_secs(600)));
    for id in 1..=servers {
        account.add_server(Server::active(id, &format!("web-{id}")), origin);
    }
    let mut world = World::new(setup(), Mode::Daemon, account, origin, 1).unwrap();
    world.keep_nothing();
    world.run_to(DAY * (NIGHTS - 1));
    let before = counts(&world);
    (world, before)
}

fn main() {
    if let Ok(servers) = std::env::var("ONCE") {
        let (mut world, before) = before(servers.parse().unwrap());
        let [lists, creates, deletes] = night(&mut world, before);
        println!("{lists} lists, {creates} creates, {deletes} deletes");
        return;
    }
    // `cargo test --benches` runs this too: the smallest fleets show that it works.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    println!("{:>8} {:>8} {:>8} {:>8} {:>12} {:>10}", "servers", "lists", "creates", "deletes", "played in", "a server");
    let mut fewest = None;
    for servers in FLEETS.into_iter().take(if is_bench { FLEETS.len() } else { 2 }) {
        let (mut world, before) = before(servers);
        let ([lists, creates, deletes], took) = time::timed(|| night(&mut world, before));
        assert_eq!((creates, deletes), (servers, servers));
        let fewest = *fewest.get_or_insert(lists);
        assert!(lists <= fewest + 4, "{lists} list calls for {servers} servers, {fewest} for the smallest fleet");
        let each = took.as_secs_f64() * 1e6 / servers as f64;
        println!("{servers:>8} {lists:>8} {creates:>8} {deletes:>8} {:>9.3} ms {each:>7.1} µs", took.as_secs_f64() * 1e3);
    }
}
