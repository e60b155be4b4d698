//! How often the provider is asked.

use std::time::Duration;

use crate::domain::fact::Fact;
use crate::domain::problem::RunResult;
use crate::emulator::{Account, Rules, Server};

use super::super::Mode;
use super::world::{START, World};
use super::{HOUR, MINUTE};

const NIGHT: &str = r#"
owner: prod
provider: {concurrent_creates: 1000}
policies:
  web:
    snapshots: {schedule: "0 3 * * *", keep: {last: 3}}
servers:
  - {match: "web-*", policy: web}
"#;

/// The list calls of one night, and all calls.
fn night(yaml: &str, servers: u64) -> (u64, u64, World) {
    let mut account = Account::new(Rules::default().everything_takes(MINUTE * 10));
    for id in 1..=servers {
        account.add_server(Server::active(id, &format!("web-{id}")), START.parse().unwrap());
    }
    let mut world = World::on(yaml, account, Mode::Daemon);
    world.busy_max = Some(Duration::ZERO);
    world.run_until("2026-03-01T02:59:00Z");
    let before = world.all_calls();
    let lists = world.calls("list") + world.calls("servers");
    world.run_for(HOUR);
    let lists = world.calls("list") + world.calls("servers") - lists;
    assert_eq!(world.told(|fact| matches!(fact, Fact::RunEnded { result: RunResult::Success, .. })) as u64, servers);
    let calls = world.all_calls() - before;
    (lists, calls, world)
}

#[test]
fn the_number_of_list_calls_does_not_grow_with_the_fleet() {
    let (few, calls_few, _) = night(NIGHT, 10);
    let (many, calls_many, _) = night(NIGHT, 300);
    assert!(many <= few + 2, "{few} for 10 servers, {many} for 300");
    // 40 polls within 10 minutes, 12 refreshes of the items and 12 of the servers within the hour, and a few around the writes.
    assert!(few <= 40 + 24 + 6, "{few}");
    assert!(calls_few as f64 <= 1.05 * 10.0 + 70.0 && calls_many as f64 <= 1.05 * 300.0 + 70.0, "{calls_few} {calls_many}");
}

#[test]
fn with_few_creates_at_a_time_everyone_gets_a_turn() {
    let yaml =
        NIGHT.replace("concurrent_creates: 1000", "concurrent_creates: 10").replace("keep: {last: 3}", "keep: {last: 3}, catch_up: 11h");
    let mut account = Account::new(Rules::default());
    for id in 1..=100 {
        account.add_server(Server::active(id, &format!("web-{id}")), START.parse().unwrap());
    }
    let mut world = World::on(&yaml, account, Mode::Daemon);
    world.run_until("2026-03-01T03:00:00Z");
    world.run_for(MINUTE * 70);
    assert_eq!(world.watch.created_by_us().len(), 100);
    assert_eq!(world.told(|fact| matches!(fact, Fact::RunEnded { result: RunResult::Success, .. })), 100);
}

#[test]
fn an_idle_daemon_wakes_twice_a_minute_at_most() {
    let mut world = World::new(NIGHT);
    world.skips_idle_turns = false;
    world.run_for(HOUR);
    let (turns, calls) = (world.host().turns, world.all_calls());
    world.run_for(HOUR);
    // A refresh of two lists takes two turns each five minutes.
    assert!(world.host().turns - turns <= 120 + 24 + 4, "{}", world.host().turns - turns);
    assert_eq!(world.all_calls() - calls, 24);
}

#[test]
fn what_comes_at_the_same_time_is_taken_in_together() {
    let turns = |servers| night(NIGHT, servers).2.host().turns;
    assert_eq!(turns(10), turns(300));
}
