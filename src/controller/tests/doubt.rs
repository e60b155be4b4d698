//! Answers that leave open what was done: looked for, never repeated blindly (contract §3).

use std::time::Duration;

use crate::domain::fact::Fact;
use crate::domain::inventory::{Kind, ServerId};
use crate::domain::problem::{OpResult, Reason, RunResult};
use crate::provider::ProviderError;
use crate::simulate::{On, Trouble};

use super::super::{Request, Select, ServerPattern, What};
use super::world::World;
use super::{DAY, HOUR, MINUTE, one};

fn doubts() -> [ProviderError; 3] {
    [Trouble::cut(), Trouble::status(500), ProviderError::Timeout]
}

#[test]
fn a_create_that_was_done_and_not_answered_for_is_one_item() {
    for error in doubts() {
        let mut world = World::new(&one("keep: {last: 4}"));
        world.fault(On::Creates, 1..=1, Trouble::Lost(error));
        world.run_for(HOUR * 5);
        assert_eq!((world.calls("create"), world.watch.created_by_us().len()), (1, 1));
        assert_eq!(world.told(|fact| matches!(fact, Fact::RunEnded { result: RunResult::Success, .. })), 1);
        assert_eq!(world.told(|fact| matches!(fact, Fact::CreateDecided { result: OpResult::Success, .. })), 1);
    }
}

#[test]
fn a_create_that_was_not_done_is_sent_again_after_the_proof() {
    for error in doubts() {
        let mut world = World::new(&one("keep: {last: 4}"));
        world.fault(On::Creates, 1..=1, Trouble::Refused(error));
        world.run_for(HOUR * 5);
        assert_eq!((world.calls("create"), world.watch.created_by_us().len()), (2, 1));
        let sent: Vec<_> =
            world.host().facts.iter().filter(|(_, fact)| matches!(fact, Fact::CreateSent { .. })).map(|(at, _)| *at).collect();
        assert!(sent[1].duration_since(sent[0]).unsigned_abs() >= MINUTE);
    }
}

#[test]
fn a_slot_gets_three_creates_at_most() {
    for trouble in [Trouble::Refused(Trouble::cut()), Trouble::Refused(Trouble::status(400)), Trouble::fails()] {
        let mut world = World::new(&one("keep: {last: 4}"));
        world.always(On::Creates, trouble);
        world.run_for(HOUR * 20);
        assert_eq!(world.calls("create"), 3);
    }
}

#[test]
fn a_create_turned_away_unread_is_no_attempt() {
    for error in [Trouble::status(429), ProviderError::Connect { what: "x".to_owned() }, ProviderError::Busy { status: 409 }] {
        let mut world = World::new(&one("keep: {last: 4}"));
        world.fault(On::Creates, 1..=4, Trouble::Refused(error));
        world.run_for(HOUR * 5);
        assert_eq!((world.calls("create"), world.watch.created_by_us().len()), (5, 1));
    }
}

#[test]
fn a_create_that_is_done_late_is_managed() {
    // Before the proof, within it, and long after the second sending.
    for late in [20, 70, 300] {
        let mut world = World::new(&one("keep: {last: 2}"));
        world.fault(On::Creates, 1..=1, Trouble::Late(Duration::from_secs(late), ProviderError::Timeout));
        world.run_for(HOUR * 5);
        let made = world.watch.created_by_us().len();
        assert!(made == 1 || late == 300 && made == 2, "{late}: {made}");
        world.run_for(DAY * 6);
        assert_eq!(world.items(Kind::Snapshot, 1).len(), 2, "after {late} s");
        assert_eq!(world.told(|fact| matches!(fact, Fact::Lost { .. })), 0);
    }
}

#[test]
fn a_doubt_that_outlasts_its_run_is_taken_up_again_and_never_sent_blindly() {
    let mut world = World::new(&one("keep: {last: 4}"));
    world.fault(On::Creates, 1..=1, Trouble::Lost(Trouble::cut()));
    assert!(world.run_until_that(DAY, |world| world.watch.created_by_us().len() == 1));
    // For longer than a run keeps its doubt, no list is whole; and what the list lacks is the newest item.
    world.always(On::Lists, Trouble::Incomplete);
    world.run_for(MINUTE * 30);
    assert_eq!(world.calls("create"), 1);
    world.heal();
    world.run_for(HOUR * 2);
    world.settle();
    assert_eq!((world.calls("create"), world.watch.created_by_us().len()), (1, 1));
    let report = world.report();
    assert!(report.targets[0].problems.is_empty(), "{:?}", report.targets[0].problems);
}

/// By a list that is never whole nothing is settled. All else goes on: slots to come, the other kind, and what a person asks for.
#[test]
fn a_doubt_that_cannot_be_settled_holds_up_nothing_else() {
    let backups = "}\n    backups: {schedule: \"0 12 * * *\", keep: {last: 4}";
    for (on, undecided) in [(On::Creates, Reason::CreateUnknown), (On::Deletes, Reason::DeleteUnknown)] {
        let mut world = World::new(&one(&format!("keep: {{last: 2}}{backups}")));
        world.run_for(DAY * 2);
        world.always(On::Lists, Trouble::Unreadable(1));
        if undecided == Reason::DeleteUnknown {
            world.heal();
        }
        world.fault(on, 1..=1, Trouble::Refused(ProviderError::Timeout));
        let name = if on == On::Creates { "create" } else { "delete" };
        let before = world.calls(name);
        assert!(world.run_until_that(DAY, |world| world.calls(name) > before));
        world.always(On::Lists, Trouble::Unreadable(1));
        world.run_for(HOUR);
        let made = |world: &World, kind: Kind| world.watch.created_by_us().iter().filter(|item| item.kind == kind).count();
        let (snapshots, others) = (made(&world, Kind::Snapshot), made(&world, Kind::Backup));
        let servers = vec![ServerPattern::Id(ServerId(1))];
        let select = Select { servers, kinds: vec![Kind::Backup], ..Select::default() };
        let what = What::Take { label: None, keep_for: None, make_room: false };
        let report = world.ask(Request { id: 1, select, what, by: None });
        assert_eq!(report.targets[0].result, RunResult::Success, "{on:?}");
        world.run_for(DAY);
        assert_eq!((made(&world, Kind::Snapshot), made(&world, Kind::Backup)), (snapshots + 1, others + 2), "{on:?}");
        assert!(world.report().targets[0].problems.iter().any(|problem| problem.reason == undecided), "{on:?}");
        world.heal();
        world.run_for(DAY * 3);
        world.settle();
        assert_eq!((world.items(Kind::Snapshot, 1).len(), world.items(Kind::Backup, 1).len()), (2, 4), "{on:?}");
        assert!(world.report().targets.iter().all(|target| target.problems.is_empty()), "{on:?}");
    }
}

/// As long as there is no list at all, too.
#[test]
fn a_doubt_without_lists_does_not_hold_up_the_other_kind() {
    let mut world = World::new(&one("keep: {last: 4}}\n    backups: {schedule: \"0 12 * * *\", keep: {last: 4}"));
    world.run_for(DAY * 2);
    world.fault(On::Creates, 1..=1, Trouble::Refused(ProviderError::Timeout));
    let before = world.calls("create");
    assert!(world.run_until_that(DAY, |world| world.calls("create") > before));
    world.always(On::ListsOf(Kind::Snapshot), Trouble::Refused(Trouble::status(503)));
    world.run_for(HOUR * 15);
    assert_eq!((world.items(Kind::Snapshot, 1).len(), world.items(Kind::Backup, 1).len()), (2, 3));
    world.heal();
    world.run_for(DAY);
    world.settle();
    assert!(world.report().targets.iter().all(|target| target.problems.is_empty()));
}

/// "None for a server while a delete there is undecided": of whichever kind. A create in doubt stops deletes of its own kind alone.
#[test]
fn while_a_delete_of_one_kind_is_undecided_nothing_of_the_other_is_deleted() {
    for (on, left) in [(On::Deletes, 3), (On::Creates, 2)] {
        let mut world = World::new(&one("keep: {last: 2}}\n    backups: {schedule: \"0 12 * * *\", keep: {last: 2}"));
        world.run_for(DAY * 2);
        world.fault(on, 1..=1, Trouble::Refused(ProviderError::Timeout));
        let calls = |world: &World| world.calls("create") + world.calls("delete");
        let before = calls(&world) + u64::from(on == On::Deletes);
        assert!(world.run_until_that(DAY, |world| calls(world) > before));
        world.always(On::ListsOf(Kind::Snapshot), Trouble::Unreadable(1));
        world.run_for(HOUR * 18);
        assert_eq!(world.items(Kind::Backup, 1).len(), left, "{on:?}");
        let told = world.report().targets[1].problems.iter().any(|problem| problem.reason == Reason::DeleteUnknown);
        assert_eq!(told, on == On::Deletes);
        world.heal();
        world.run_for(DAY * 3);
        world.settle();
        assert_eq!((world.items(Kind::Snapshot, 1).len(), world.items(Kind::Backup, 1).len()), (2, 2));
        assert!(world.report().targets.iter().all(|target| target.problems.is_empty()));
    }
}

#[test]
fn a_delete_in_doubt_is_settled_and_hits_one_item() {
    for trouble in
        [Trouble::Lost(Trouble::cut()), Trouble::Refused(Trouble::cut()), Trouble::NoEffect, Trouble::Lost(ProviderError::Timeout)]
    {
        let mut world = World::new(&one("keep: {last: 3}"));
        world.run_for(DAY * 3);
        world.fault(On::Deletes, 1..=1, trouble);
        world.run_for(DAY);
        world.settle();
        assert_eq!(world.watch.deleted_by_us().len(), 1);
        assert_eq!(world.items(Kind::Snapshot, 1).len(), 3);
        assert_eq!(world.told(|fact| matches!(fact, Fact::Lost { .. })), 0);
    }
}

#[test]
fn a_delete_in_doubt_that_outlasts_its_run_is_taken_up_again() {
    let mut world = World::new(&one("keep: {last: 3}"));
    world.run_for(DAY * 3);
    world.fault(On::Deletes, 1..=1, Trouble::Lost(Trouble::cut()));
    assert!(world.run_until_that(DAY, |world| world.calls("delete") == 1));
    world.always(On::Lists, Trouble::Refused(Trouble::status(502)));
    world.run_for(HOUR);
    world.heal();
    world.run_for(DAY * 3);
    assert_eq!(world.items(Kind::Snapshot, 1).len(), 3);
    assert_eq!(world.told(|fact| matches!(fact, Fact::Lost { .. })), 0);
    let report = world.report();
    assert!(report.targets[0].problems.is_empty(), "{:?}", report.targets[0].problems);
}

#[test]
fn deletes_that_are_refused_or_without_effect_are_told_and_go_later() {
    for trouble in [Trouble::NoEffect, Trouble::Refused(Trouble::status(403)), Trouble::Refused(Trouble::status(500))] {
        let mut world = World::new(&one("keep: {last: 3}"));
        world.run_for(DAY * 3);
        world.always(On::Deletes, trouble);
        world.run_for(HOUR * 12);
        world.settle();
        assert!(world.watch.deleted_by_us().is_empty());
        let problems = world.report().targets[0].problems.clone();
        assert_eq!(problems.len(), 1, "{problems:?}");
        world.heal();
        world.run_for(DAY * 3);
        assert!(world.report().targets[0].problems.is_empty());
        assert_eq!(world.items(Kind::Snapshot, 1).len(), 3);
    }
}

#[test]
fn an_outage_of_days_ends_with_one_make_up() {
    let mut world = World::new(&one("keep: {last: 4}"));
    world.run_for(DAY + HOUR * 12);
    world.always(On::Everything, Trouble::Refused(Trouble::status(503)));
    world.run_for(DAY * 3 + HOUR * 16);
    let before = world.watch.created_by_us().len();
    assert_eq!(before, 2);
    // At 04:00: within the catch-up of this day's slot.
    world.heal();
    world.run_for(HOUR * 2);
    assert_eq!(world.watch.created_by_us().len(), before + 1);
    assert!(world.report().account.is_empty());
    // A call each 150 seconds on average, for four days.
    let calls = world.calls("list");
    assert!(calls < 3_000, "{calls}");
}
