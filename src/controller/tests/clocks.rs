//! Slots, catch-up, missed slots, and clocks that are set.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::SignedDuration;

use crate::domain::fact::Fact;
use crate::domain::inventory::Kind;
use crate::domain::problem::RunResult;
use crate::emulator::{Fate, Progress};
use crate::simulate::{On, Trouble, slot_of};

use super::super::{Request, Select, What};
use super::world::World;
use super::{DAY, HOUR, MINUTE, one};

fn missed(world: &World) -> Vec<u64> {
    world.host().facts.iter().filter_map(|(_, fact)| if let Fact::Missed { count, .. } = fact { Some(*count) } else { None }).collect()
}

#[test]
fn a_slot_is_made_up_for_within_its_limit() {
    for (late, made, told) in [(119, 2, 0), (121, 1, 1)] {
        let mut world = World::new(&one("keep: {last: 4}, catch_up: 2h"));
        world.run_for(DAY);
        world.restart(HOUR * 3 + MINUTE * late);
        world.run_for(HOUR);
        assert_eq!((world.watch.created_by_us().len(), missed(&world).iter().sum::<u64>()), (made, told), "{late} min late");
    }
}

#[test]
fn what_passed_in_a_long_downtime_is_counted_once() {
    let mut world = World::new(&one("keep: {last: 4}, catch_up: 2h"));
    world.run_for(DAY);
    world.restart(DAY * 10);
    world.run_for(HOUR);
    world.restart(MINUTE);
    world.run_for(HOUR);
    assert_eq!(missed(&world), [10]);
    world.run_for(DAY);
    world.restart(MINUTE);
    world.run_for(DAY);
    assert_eq!(missed(&world), [10]);
    assert_eq!(world.watch.created_by_us().len(), 3);
}

/// Asks for a run, and lets its end become durable.
fn ask(world: &mut World, what: What) {
    let report = world.ask(Request { id: 1, select: Select::default(), what, by: None });
    assert_eq!(report.targets[0].result, RunResult::Success, "{report:?}");
    world.run_for(MINUTE);
}

fn take() -> What {
    What::Take { label: None, keep_for: None, make_room: false }
}

#[test]
fn a_run_that_was_asked_for_hides_no_slot_that_was_run() {
    for what in [take(), What::Run { due: false }] {
        let mut world = World::new(&one("keep: {last: 3}"));
        world.run_for(DAY * 4);
        ask(&mut world, what);
        world.restart(MINUTE);
        world.run_for(HOUR);
        assert_eq!((missed(&world), world.watch.created_by_us().len()), (vec![], 5));
        world.run_for(DAY);
        assert_eq!((missed(&world), world.watch.created_by_us().len()), (vec![], 6));
    }
}

#[test]
fn a_run_that_was_asked_for_opens_no_earlier_slot_where_the_clock_is_set_back() {
    for what in [take(), What::Run { due: false }] {
        let mut world = World::new(&one("keep: {last: 3}"));
        world.run_until("2026-03-03T12:00:00Z");
        // The slot of the fourth passes while no process is there.
        world.restart(DAY);
        world.run_until("2026-03-05T03:30:00Z");
        assert_eq!((missed(&world), world.watch.created_by_us().len()), (vec![1], 4));
        ask(&mut world, what);
        world.step_clock(SignedDuration::from_hours(-24));
        world.restart(MINUTE);
        world.run_for(HOUR * 12);
        assert_eq!((missed(&world), world.watch.created_by_us().len()), (vec![1], 5));
    }
}

#[test]
fn of_a_new_target_nothing_was_missed() {
    let mut world = World::new(&one("keep: {last: 4}, catch_up: 0s"));
    world.run_for(MINUTE);
    world.restart(HOUR * 12);
    world.run_for(HOUR);
    // The journal knows when the target was configured first: one slot has passed since.
    assert_eq!(missed(&world), [1]);
    let mut world = World::new(&one("keep: {last: 4}, catch_up: 0s"));
    world.lose_journal(0);
    world.restart(HOUR * 12);
    world.run_for(HOUR);
    assert!(missed(&world).is_empty());
}

#[test]
fn a_clock_set_forward_makes_up_once() {
    let mut world = World::new(&one("keep: {last: 4}"));
    world.run_for(HOUR * 8);
    world.step_clock(SignedDuration::from_hours(72 - 4));
    world.run_for(HOUR * 2);
    let slots: Vec<String> = world.watch.created_by_us().iter().filter_map(|item| slot_of(item)).map(|slot| slot.to_string()).collect();
    assert_eq!(slots, ["2026-03-01T03:00:00Z", "2026-03-04T03:00:00Z"]);
    assert_eq!(missed(&world), [2]);
}

#[test]
fn a_clock_set_back_repeats_nothing() {
    let yaml = one("keep: {last: 4}").replace("0 3 * * *", "0 * * * *");
    let mut world = World::new(&yaml);
    world.run_for(DAY * 2);
    world.settle();
    let before = world.watch.created_by_us().len();
    world.step_clock(SignedDuration::from_hours(-24));
    world.run_for(HOUR * 23);
    assert_eq!(world.watch.created_by_us().len(), before, "a slot was repeated");
    // At the provider that is a day later. Nothing is deleted while the clocks differ so much, so this comes before the cap is reached.
    world.step_clock(SignedDuration::from_hours(24));
    world.run_for(HOUR * 4);
    assert!(world.watch.created_by_us().len() >= before + 4);
    let slots: BTreeSet<_> = world.watch.created_by_us().iter().filter_map(|item| slot_of(item)).collect();
    assert_eq!(slots.len(), world.watch.created_by_us().len());
    assert_eq!(missed(&world).iter().sum::<u64>(), 22, "what passed while the clock was behind");
}

#[test]
fn a_clock_that_ran_far_ahead_does_not_stop_the_runs_for_long() {
    let mut world = World::new(&one("keep: {last: 4}"));
    world.run_for(DAY);
    world.step_clock(SignedDuration::from_hours(24 * 365));
    world.run_for(HOUR * 6);
    world.step_clock(SignedDuration::from_hours(-24 * 365));
    let before = world.watch.created_by_us().len();
    world.run_for(DAY * 3);
    assert!(world.watch.created_by_us().len() >= before + 2);
}

#[test]
fn a_clock_set_back_does_not_hold_up_a_request_or_a_run() {
    let mut world = World::new(&one("keep: {last: 4}"));
    world.run_until("2026-03-01T03:00:03Z");
    world.step_clock(SignedDuration::from_hours(-24));
    world.settle();
    assert_eq!(world.watch.created_by_us().len(), 1);
}

#[test]
fn an_unset_clock_does_nothing() {
    let mut world = World::new(&one("keep: {last: 4}"));
    world.step_clock(SignedDuration::from_hours(-24 * 365 * 50));
    world.run_for(DAY);
    assert_eq!(world.calls("create"), 0);
    world.step_clock(SignedDuration::from_hours(24 * 365 * 50));
    world.run_for(DAY);
    assert_eq!(world.watch.created_by_us().len(), 1);
}

#[test]
fn a_clock_an_hour_off_deletes_nothing() {
    let mut world = World::new(&one("keep: {last: 2}"));
    world.run_for(DAY * 2);
    world.step_clock(SignedDuration::from_mins(-90));
    world.run_for(DAY * 2);
    assert!(world.watch.deleted_by_us().is_empty());
    assert_eq!(world.items(Kind::Snapshot, 1).len(), 4);
    world.step_clock(SignedDuration::from_mins(90));
    world.run_for(DAY * 5);
    assert_eq!(world.items(Kind::Snapshot, 1).len(), 2);
}

#[test]
fn schedules_of_seconds() {
    let yaml =
        one("keep: {last: 4}").replace("0 3 * * *", "*/5 * * * * *").replace("owner: prod", "owner: prod\nprovider: {poll_every: 1s}");
    let mut world = World::new(&yaml);
    world.twin.account = crate::emulator::Account::new(crate::emulator::Rules::default().everything_takes(Duration::from_secs(1)));
    let now = world.true_now();
    world.twin.account.add_server(crate::emulator::Server::active(1, "web-1"), now);
    world.run_for(MINUTE * 10);
    let made = world.watch.created_by_us().len();
    assert!((60..=121).contains(&made), "{made}");
    assert_eq!(world.watch.refusals, 0);
    assert!(world.items(Kind::Snapshot, 1).len() <= 5);
    assert!(world.host().turns < 20_000, "{}", world.host().turns);
}

#[test]
fn a_slot_for_which_every_create_failed_is_not_missed_as_well() {
    let mut world = World::new(&one("keep: {last: 4}"));
    world.always(On::Creates, Trouble::Refused(Trouble::status(400)));
    world.run_for(DAY * 3);
    assert!(missed(&world).is_empty());
}

#[test]
fn a_run_that_plans_again_begins_nothing_beside_an_item_that_is_young_again() {
    let yaml = one("keep: {last: 3}")
        .replace("0 3 * * *", "0 4 * * *")
        .replace("servers:", "    backups: {schedule: \"0 3 * * *\", keep: {last: 3}}\nservers:");
    let mut world = World::new(&yaml);
    world.fault(On::Creates, 1..=1, Trouble::never_completes());
    world.fault(On::Creates, 2..=2, Trouble::Refused(Trouble::no_connection()));
    world.run_until("2026-03-01T03:05:00Z");
    // By a clock that is ahead, the backup is stuck, and the snapshot is due.
    world.step_clock(SignedDuration::from_hours(2));
    world.restart(MINUTE);
    assert!(world.run_until_that(HOUR, |world| world.calls("create") == 2));
    world.step_clock(SignedDuration::from_hours(-2));
    world.run_for(MINUTE * 30);
    assert_eq!(world.watch.created_by_us().len(), 1, "the backup is being made");
    world.run_until("2026-03-01T06:00:00Z");
    assert_eq!(world.watch.created_by_us().len(), 2);
}

#[test]
fn that_one_item_is_stuck_says_nothing_of_another_that_is_being_made() {
    let mut world = World::new(&one("keep: {last: 4}, stuck_after: 1h").replace("0 3 * * *", "*/10 * * * *"));
    let fate = |after, end| Trouble::Fate(Fate { after, end });
    world.fault(On::Creates, 1..=1, fate(None, Progress::InProgress));
    world.fault(On::Creates, 2..=2, fate(Some(MINUTE * 50), Progress::Completed));
    assert!(world.run_until_that(HOUR * 3, |world| world.watch.created_by_us().len() == 2));
    world.run_for(MINUTE * 2);
    // By this clock the first is not stuck yet, and the next process does not know that it was given up.
    world.step_clock(SignedDuration::from_mins(-9));
    world.restart(MINUTE);
    world.run_for(MINUTE * 30);
    assert_eq!(world.watch.created_by_us().len(), 2, "the second is still being made");
    world.run_for(HOUR);
    assert!(world.watch.created_by_us().len() > 2);
}
