//! At the cap: room is made with one item, or the run is blocked; what never completes cannot eat the good ones.

use crate::domain::fact::Fact;
use crate::domain::inventory::{ItemId, Kind};
use crate::domain::problem::{Reason, RunResult};
use crate::simulate::{On, Trouble};

use super::world::World;
use super::{DAY, HOUR, one};

#[test]
fn five_of_others_that_are_adopted_give_the_oldest_by_time() {
    let mut world = World::new(&one("keep: {last: 5}, leave_free: 0, adopt: [\"*\"]"));
    let ids: Vec<ItemId> = [50, 10, 40, 30, 20].map(|hours| world.foreign_snapshot(1, hours)).to_vec();
    world.run_for(HOUR * 4);
    let gone: Vec<ItemId> = world.watch.deleted_by_us().iter().map(|item| item.id).collect();
    assert_eq!(gone, [ids[0]]);
    assert_eq!(world.watch.created_by_us().len(), 1);
    assert_eq!(world.items(Kind::Snapshot, 1).len(), 5);
    assert_eq!(world.watch.refusals, 0);
}

#[test]
fn five_of_others_that_are_not_adopted_block() {
    let mut world = World::new(&one("keep: {last: 5}, leave_free: 0"));
    for hours in [50, 10, 40, 30, 20] {
        world.foreign_snapshot(1, hours);
    }
    world.run_for(HOUR * 4);
    assert!(world.watch.deleted_by_us().is_empty() && world.watch.created_by_us().is_empty());
    assert!(world.told(|fact| matches!(fact, Fact::RunEnded { result: RunResult::Blocked, .. })) >= 1);
    let report = world.report();
    assert_eq!(report.targets[0].problems.iter().map(|problem| problem.reason).collect::<Vec<_>>(), [Reason::CapFull]);
    assert_eq!(world.calls("create") + world.calls("delete"), 0);
}

#[test]
fn keeping_five_makes_room_first_each_day() {
    let mut world = World::new(&one("keep: {last: 5}, leave_free: 0"));
    world.run_for(DAY * 20);
    assert_eq!(world.watch.created_by_us().len(), 20);
    assert_eq!(world.watch.deleted_by_us().len(), 15);
    assert_eq!((world.items(Kind::Snapshot, 1).len(), world.watch.refusals), (5, 0));
}

#[test]
fn creates_that_never_complete_leave_the_good_ones() {
    let mut world = World::new(&one("keep: {last: 5}, leave_free: 0"));
    world.run_for(DAY * 6);
    world.always(On::Creates, Trouble::never_completes());
    world.run_for(DAY * 10);
    let good = world.items(Kind::Snapshot, 1).iter().filter(|item| item.progress == crate::emulator::Progress::Completed).count();
    assert!(good >= 4, "{:#?}", world.items(Kind::Snapshot, 1));
    let problems: Vec<Reason> = world.report().targets[0].problems.iter().map(|problem| problem.reason).collect();
    assert!(problems.contains(&Reason::Stuck), "{problems:?}");
    world.heal();
    let stuck: Vec<ItemId> = world.items(Kind::Snapshot, 1).iter().filter(|item| item.size_mb.is_none()).map(|item| item.id).collect();
    for id in stuck {
        let now = world.true_now();
        world.twin.account.end_by_hand(Kind::Snapshot, id, crate::emulator::Progress::Completed, now);
    }
    world.run_for(DAY * 3);
    let report = world.report();
    assert!(report.targets[0].problems.is_empty(), "{:?}", report.targets[0].problems);
    assert_eq!(world.items(Kind::Snapshot, 1).len(), 5);
}

#[test]
fn creates_that_fail_leave_the_good_ones_and_are_tried_three_times_a_slot() {
    let mut world = World::new(&one("keep: {last: 5}, leave_free: 0"));
    world.run_for(DAY * 6);
    let before = world.watch.created_by_us().len();
    world.always(On::Creates, Trouble::fails());
    world.run_for(DAY * 2);
    assert_eq!(world.watch.created_by_us().len(), before + 6);
    let good = world.items(Kind::Snapshot, 1).iter().filter(|item| item.progress == crate::emulator::Progress::Completed).count();
    assert!(good >= 4, "{:#?}", world.items(Kind::Snapshot, 1));
    world.heal();
    world.run_for(DAY * 2);
    let failed = world.items(Kind::Snapshot, 1).iter().filter(|item| item.progress == crate::emulator::Progress::Failed).count();
    assert_eq!(failed, 0);
    assert_eq!(world.items(Kind::Snapshot, 1).len(), 5);
    let report = world.report();
    assert!(report.targets[0].problems.is_empty(), "{:?}", report.targets[0].problems);
}

#[test]
fn automatic_backups_do_not_fill_slots_and_ten_manual_ones_rotate() {
    let mut world = World::new(&one("keep: {last: 4}").replace("snapshots", "backups").replace("last: 4", "last: 9"));
    let start = world.true_now();
    for _ in 0..3 {
        world.add_item(crate::emulator::Item::automatic(crate::domain::inventory::ServerId(1), start, DAY * 30));
    }
    world.run_for(DAY * 15);
    assert_eq!(world.watch.created_by_us().len(), 15);
    assert_eq!(world.items(Kind::Backup, 1).iter().filter(|item| !item.automatic).count(), 9);
    assert_eq!(world.items(Kind::Backup, 1).iter().filter(|item| item.automatic).count(), 3);
}
