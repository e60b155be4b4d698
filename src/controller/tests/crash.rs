//! The process dies after each single command in turn.

use std::time::Duration;

use crate::domain::fact::Fact;
use crate::domain::inventory::{ItemId, Kind, ServerId};
use crate::emulator::{Effect, Maker, Progress};
use crate::simulate::{On, Sending, Trouble, slot_of};

use super::world::World;
use super::{MINUTE, one, refreshed_seldom};

/// Runs for four days, then dies after the `crash`-th command of the fifth day; returns the world on the eighth day, or none where that day has fewer.
fn crashed(yaml: &str, crash: u64, sending: Sending, lost: bool, prepare: impl Fn(&mut World)) -> Option<World> {
    let mut world = World::new(yaml);
    world.run_until("2026-03-06T02:59:59Z");
    prepare(&mut world);
    world.host_mut().dies_after = Some((world.host().commands + crash, sending));
    if !world.run_until_that(MINUTE * 20, |world| !world.host().up) {
        return None;
    }
    if lost {
        world.lose_journal(0);
    }
    world.restart(Duration::from_secs(20));
    world.run_until("2026-03-08T12:00:00Z");
    world.settle();
    Some(world)
}

fn check(world: &World, keep: usize, what: &str) {
    let mut slots: Vec<_> = world.watch.created_by_us().iter().filter_map(|item| slot_of(item)).map(|slot| slot.to_string()).collect();
    let count = slots.len();
    slots.dedup();
    assert_eq!((count, slots.len()), (8, 8), "{what}: {slots:?}");
    let items = world.items(Kind::Snapshot, 1);
    assert_eq!(items.len(), keep, "{what}: {items:#?}");
    assert!(items.iter().all(|item| item.progress == Progress::Completed), "{what}");
    assert_eq!(world.told(|fact| matches!(fact, Fact::Lost { .. } | Fact::GuardRefused { .. })), 0, "{what}");
    assert_eq!(world.watch.refusals, 0, "{what}");
    let report = world.report();
    assert!(report.targets[0].problems.is_empty(), "{what}: {:?}", report.targets[0].problems);
}

fn every_crash(policy: &str, keep: usize, prepare: impl Fn(&mut World) + Copy) {
    let yaml = &refreshed_seldom(&one(policy));
    for lost in [false, true] {
        for sending in [Sending::Arrives, Sending::IsLost] {
            let mut crash = 1;
            while let Some(world) = crashed(yaml, crash, sending, lost, prepare) {
                check(&world, keep, &format!("crash {crash}, {sending:?}, journal lost: {lost}"));
                crash += 1;
            }
            assert!(crash > 25, "only {crash} commands");
        }
    }
}

#[test]
fn in_a_run_that_creates_and_prunes() {
    every_crash("keep: {last: 3}", 3, |_| {});
}

#[test]
fn in_a_run_that_makes_room() {
    every_crash("keep: {last: 5}, leave_free: 0", 5, |_| {});
}

#[test]
fn in_a_run_with_a_lost_answer() {
    every_crash("keep: {last: 5}, leave_free: 0", 5, |world| {
        world.fault(On::Creates, 1..=1, Trouble::Lost(Trouble::cut()));
        world.fault(On::Deletes, 1..=1, Trouble::Lost(Trouble::cut()));
    });
}

/// The items that were begun while another one of ours was still being made on the same server, of whichever kind.
fn overlaps(world: &World) -> Vec<String> {
    let mut making: Vec<(ServerId, Kind, ItemId)> = Vec::new();
    let mut found = Vec::new();
    for (at, effect) in &world.watch.effects {
        match effect {
            Effect::Created { item, by: Maker::Api, .. } => {
                if making.iter().any(|(server, ..)| *server == item.server) {
                    found.push(format!("{at}: {}", item.description));
                }
                making.push((item.server, item.kind, item.id));
            }
            Effect::Ended { item } => making.retain(|(_, kind, id)| (*kind, *id) != (item.kind, item.id)),
            _ => {}
        }
    }
    found
}

/// Dies after each command, with a backup at this time besides the snapshot at three o'clock.
fn every_crash_with_a_backup(schedule: &str) {
    let backups = format!("    backups: {{schedule: \"{schedule}\", keep: {{last: 3}}}}\nservers:");
    let yaml = &refreshed_seldom(&one("keep: {last: 3}").replace("servers:", &backups));
    for sending in [Sending::Arrives, Sending::IsLost] {
        let mut crash = 1;
        while let Some(world) = crashed(yaml, crash, sending, crash % 2 == 0, |_| {}) {
            assert_eq!(overlaps(&world), Vec::<String>::new(), "crash {crash}, {sending:?}");
            assert_eq!(world.watch.created_by_us().len(), 16, "crash {crash}, {sending:?}");
            crash += 1;
        }
        assert!(crash > 40, "only {crash} commands");
    }
}

#[test]
fn with_both_kinds_due_at_once() {
    every_crash_with_a_backup("0 3 * * *");
}

#[test]
fn with_a_slot_that_passes_while_the_other_kind_is_made() {
    every_crash_with_a_backup("58 2 * * *");
}

/// The journal alone knows of what is being made.
#[test]
fn with_lists_afterwards_that_show_nothing_of_it() {
    let backups = "    backups: {schedule: \"0 3 * * *\", keep: {last: 3}}\nservers:";
    let yaml = &refreshed_seldom(&one("keep: {last: 3}").replace("servers:", backups));
    for trouble in [Trouble::Empty, Trouble::Incomplete] {
        let mut world = World::new(yaml);
        world.run_until("2026-03-06T02:59:59Z");
        let before = world.calls("create");
        assert!(world.run_until_that(MINUTE, |world| world.calls("create") == before + 1));
        world.run_for(Duration::from_secs(5));
        world.always(On::Lists, trouble.clone());
        world.restart(Duration::from_secs(20));
        world.run_for(MINUTE * 5);
        assert_eq!(world.calls("create"), before + 1, "{trouble:?}");
        world.heal();
        world.run_until("2026-03-08T12:00:00Z");
        world.settle();
        assert_eq!(overlaps(&world), Vec::<String>::new(), "{trouble:?}");
        assert_eq!(world.watch.created_by_us().len(), 16, "{trouble:?}");
    }
}
