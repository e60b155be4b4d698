//! Nothing goes wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::fact::Fact;
use crate::domain::inventory::{Kind, ServerId};
use crate::domain::problem::RunResult;
use crate::emulator::{Account, AutomaticBackups, Item, Rules, Server};
use crate::simulate::slot_of;

use super::super::Mode;
use super::world::{START, World};

const DAY: Duration = Duration::from_secs(24 * 3600);

const FLEET: &str = r#"
owner: prod
policies:
  web:
    snapshots: {schedule: "30 3 * * *", splay: 20m, keep: {daily: 2, weekly: 2}, leave_free: 1}
    backups: {schedule: "0 5 * * sun", keep: {last: 3}}
servers:
  - {match: "web-*", policy: web}
"#;

/// How late the runs of slots began.
fn lateness(world: &World) -> Vec<Duration> {
    let facts = world.host().facts.iter();
    facts.filter_map(|(_, fact)| if let Fact::RunStarted { lateness, .. } = fact { *lateness } else { None }).collect()
}

#[test]
fn three_servers_for_forty_days() {
    let automatic = AutomaticBackups { every: DAY, keep: DAY * 7 };
    let mut account = Account::new(Rules { automatic_backups: Some(automatic), ..Rules::default() });
    for id in 1..=3 {
        account.add_server(Server::active(id, &format!("web-{id}")), START.parse().unwrap());
    }
    let mut world = World::on(FLEET, account, Mode::Daemon);
    let mine = world.foreign_snapshot(2, 500);
    world.run_for(DAY * 40);
    assert_eq!(world.watch.refusals, 0);
    let mut slots: BTreeMap<(ServerId, Kind), Vec<_>> = BTreeMap::new();
    for item in world.watch.created_by_us() {
        slots.entry((item.server, item.kind)).or_default().push(slot_of(item).unwrap());
    }
    for id in 1..=3 {
        assert_eq!(slots[&(ServerId(id), Kind::Snapshot)].len(), 40);
        assert_eq!(slots[&(ServerId(id), Kind::Backup)].len(), 6);
        let backups = world.items(Kind::Backup, id);
        assert_eq!(backups.iter().filter(|item| !item.automatic).count(), 3);
        assert!(backups.iter().filter(|item| item.automatic).count() >= 6);
        let snapshots: Vec<_> = world.items(Kind::Snapshot, id).into_iter().filter_map(|item| slot_of(&item)).collect();
        let kept: Vec<_> = snapshots.iter().map(|slot| slot.to_string()[..10].to_owned()).collect();
        // 40 days from 1 March: the newest is of 9 April (Thursday); two days, then the newest of the two ISO weeks before.
        assert_eq!(kept, ["2026-03-29", "2026-04-05", "2026-04-08", "2026-04-09"]);
    }
    assert!(world.items(Kind::Snapshot, 2).iter().any(|item| item.id == mine));
    let ended = world.told(|fact| matches!(fact, Fact::RunEnded { result, .. } if *result != RunResult::Success));
    assert_eq!(ended, 0);
    assert_eq!(world.told(|fact| matches!(fact, Fact::Missed { .. } | Fact::Lost { .. } | Fact::ProblemRaised { .. })), 0);
}

#[test]
fn runs_begin_on_time_after_the_offset_of_each_server() {
    let mut world = World::new(FLEET);
    world.run_for(DAY * 2);
    let late = lateness(&world);
    assert!(late.len() >= 6);
    assert!(late.iter().all(|late| *late < Duration::from_secs(2)), "{late:?}");
}

#[test]
fn a_daemon_begun_between_slot_and_offset_is_on_time() {
    let mut world = World::new(FLEET);
    world.run_until("2026-03-01T03:30:01Z");
    world.restart(Duration::from_secs(1));
    world.run_for(Duration::from_secs(3600));
    let late = lateness(&world);
    assert_eq!(late.len(), 3);
    assert!(late.iter().all(|late| *late < Duration::from_secs(2)), "{late:?}");
}

#[test]
fn foreign_items_among_ours_stay() {
    let mut world = World::new(FLEET);
    let mine = [world.foreign_snapshot(1, 30), world.foreign_snapshot(1, 20)];
    world.run_for(DAY * 10);
    let left = world.items(Kind::Snapshot, 1);
    assert!(mine.iter().all(|id| left.iter().any(|item| item.id == *id)));
    assert_eq!(left.len(), 5);
    assert_eq!(world.watch.refusals, 0);
    let item = Item::completed(Kind::Snapshot, ServerId(9), START.parse().unwrap());
    assert!(slot_of(&item).is_none());
}
