//! No server waits for ever behind slow ones.

use std::time::Duration;

use crate::domain::fact::Fact;
use crate::domain::inventory::{Kind, ServerId};
use crate::domain::problem::Reason;
use crate::simulate::{On, Trouble};

use super::super::Mode;
use super::world::World;
use super::{DAY, HOUR, MINUTE};

const SERVERS: u64 = 12;
/// More than there are places.
const SLOW: u64 = 6;
const PLACES: u64 = 4;

fn fleet() -> World {
    let yaml = format!(
        "owner: prod\nprovider: {{concurrent_creates: {PLACES}}}\npolicies:\n  \
         web: {{snapshots: {{schedule: \"0 3 * * *\", keep: {{last: 3}}, catch_up: 6h, stuck_after: 1h}}}}\n\
         servers: [{{match: \"web-*\", policy: web}}]\n"
    );
    World::of(&yaml, SERVERS, Mode::Daemon)
}

/// Of the servers whose items get ready: how long after 03:00 of a day the last of them has one of that day.
fn done_after(world: &World, day: u32) -> Option<Duration> {
    let slot: jiff::Timestamp = format!("2026-03-{day:02}T03:00:00Z").parse().unwrap();
    let mut longest = Duration::ZERO;
    for server in SLOW + 1..=SERVERS {
        let items = world.items(Kind::Snapshot, server);
        let made = items.iter().find(|item| item.created_at >= slot && item.size_mb.is_some())?;
        longest = longest.max(Duration::try_from(made.created_at.duration_since(slot)).unwrap());
    }
    Some(longest)
}

#[test]
fn servers_whose_items_never_get_ready_hold_the_others_up_once_and_never_again() {
    let mut world = fleet();
    world.always(On::CreatesUpTo(ServerId(SLOW)), Trouble::never_completes());
    world.run_until("2026-03-01T10:00:00Z");
    let first = done_after(&world, 1).unwrap();
    assert!(first >= HOUR, "nobody could know: {first:?}");
    world.run_until("2026-03-02T10:00:00Z");
    let second = done_after(&world, 2).unwrap();
    assert!(second <= MINUTE * 40, "half of the places are free for them: {second:?}");
    for server in 1..=SLOW {
        assert_eq!(world.items(Kind::Snapshot, server).len(), 2, "and the slow have had their turn: server {server}");
    }
    // What is known of them outlasts the process.
    world.restart(MINUTE);
    world.run_until("2026-03-03T10:00:00Z");
    let third = done_after(&world, 3).unwrap();
    assert!(third <= MINUTE * 40, "{third:?}");
}

#[test]
fn a_server_that_is_well_again_waits_no_longer_than_others() {
    let mut world = fleet();
    world.always(On::CreatesUpTo(ServerId(SLOW)), Trouble::never_completes());
    world.run_until("2026-03-01T10:00:00Z");
    let slow = |world: &World| {
        world.report().targets.iter().filter(|target| target.problems.iter().any(|problem| problem.reason == Reason::Stuck)).count()
    };
    assert_eq!(slow(&world), SLOW as usize);
    world.heal();
    world.run_for(DAY * 2);
    let failed = world.told(|fact| matches!(fact, Fact::RunEnded { result, .. } if *result != crate::domain::problem::RunResult::Success));
    assert_eq!(failed, SLOW as usize, "those of the first night alone");
    world.run_until("2026-03-04T10:00:00Z");
    let slot: jiff::Timestamp = "2026-03-04T03:00:00Z".parse().unwrap();
    let all = (1..=SERVERS).all(|server| world.items(Kind::Snapshot, server).iter().any(|item| item.created_at >= slot));
    assert!(all, "each has an item of that day");
}
