//! What people ask for.

use std::time::Duration;

use crate::domain::globs::Globs;
use crate::domain::inventory::{Kind, ServerId};
use crate::domain::problem::{Reason, RunResult};
use crate::emulator::Item;
use crate::simulate::{On, Trouble};

use super::super::{Fatal, Mode, Request, Select, ServerPattern, What};
use super::world::World;
use super::{DAY, HOUR, MINUTE, one};

fn request(what: What) -> Request {
    Request { id: 7, select: Select::default(), what, by: None }
}

fn run(due: bool) -> Request {
    request(What::Run { due })
}

fn take(make_room: bool) -> Request {
    request(What::Take { label: Some("before-upgrade".to_owned()), keep_for: Some(DAY * 14), make_room })
}

fn command(yaml: &str) -> World {
    World::of(yaml, 3, Mode::Command)
}

#[test]
fn two_in_a_row_make_one_item_also_with_a_fresh_journal() {
    for lost in [false, true] {
        let mut world = command(&one("keep: {last: 4}"));
        world.run_for(HOUR * 4);
        assert_eq!(world.calls("create"), 0);
        let first = world.ask(run(true));
        assert_eq!((first.targets.len(), first.targets[0].result, first.targets[0].created.len()), (1, RunResult::Success, 1));
        if lost {
            world.lose_journal(0);
        }
        world.restart(MINUTE);
        let second = world.ask(run(true));
        assert_eq!((second.targets.len(), second.fatal), (0, None));
        assert_eq!(world.watch.created_by_us().len(), 1);
    }
}

#[test]
fn a_run_now_makes_one_whether_or_not_a_slot_is_due() {
    let mut world = command(&one("keep: {last: 4}"));
    world.run_for(HOUR);
    for count in 1..=3 {
        let report = world.ask(run(false));
        assert_eq!((report.targets[0].result, report.targets[0].created.len()), (RunResult::Success, 1), "{report:?}");
        assert_eq!(world.watch.created_by_us().len(), count);
        world.restart(MINUTE);
    }
}

#[test]
fn an_interrupted_run_is_picked_up_by_the_next_command() {
    let mut world = command(&one("keep: {last: 4}"));
    world.run_for(HOUR * 4);
    world.request(run(true));
    assert!(world.run_until_that(MINUTE, |world| world.watch.created_by_us().len() == 1));
    world.restart(Duration::from_secs(10));
    let report = world.ask(run(true));
    assert_eq!((report.targets.len(), report.targets[0].result), (1, RunResult::Success), "{report:?}");
    assert_eq!(world.watch.created_by_us().len(), 1);
}

#[test]
fn an_item_by_hand_is_held_and_refused_at_the_cap() {
    let mut world = command(&one("keep: {last: 5}, leave_free: 0"));
    for hours in [40, 30, 20, 10] {
        world.foreign_snapshot(1, hours);
    }
    let report = world.ask(take(false));
    assert_eq!(report.targets[0].result, RunResult::Success, "{report:?}");
    let item = world.items(Kind::Snapshot, 1).pop().unwrap();
    assert!(item.description.contains("by=hand") && item.description.contains("until=2026-03-15"), "{}", item.description);
    assert!(item.name.unwrap().contains("before-upgrade"));
    world.restart(MINUTE);
    let report = world.ask(take(false));
    assert_eq!((report.targets[0].result, report.targets[0].problems[0].reason), (RunResult::Blocked, Reason::CapFull));
    assert_eq!(world.calls("delete"), 0);
}

#[test]
fn an_item_by_hand_makes_room_if_asked() {
    let mut world =
        World::new(&one("keep: {last: 4}, leave_free: 0, at_cap: refuse, min_keep: 1").replace("leave_free: 0", "leave_free: 1"));
    world.run_for(DAY * 5);
    world.foreign_snapshot(1, 10);
    assert_eq!(world.items(Kind::Snapshot, 1).len(), 5);
    let report = world.ask(take(false));
    assert_eq!(report.targets[0].result, RunResult::Blocked);
    let report = world.ask(take(true));
    assert_eq!((report.targets[0].result, report.targets[0].deleted.len()), (RunResult::Success, 1), "{report:?}");
    assert_eq!(world.items(Kind::Snapshot, 1).len(), 5);
}

#[test]
fn an_item_by_hand_is_made_although_a_scheduled_run_is_on() {
    let mut world = World::new(&one("keep: {last: 4}"));
    world.run_until("2026-03-01T03:01:00Z");
    assert_eq!(world.watch.created_by_us().len(), 1);
    let report = world.ask(take(false));
    assert_eq!((report.targets[0].result, report.targets[0].created.len()), (RunResult::Success, 1));
    let made: Vec<bool> = world.watch.created_by_us().iter().map(|item| item.description.contains("by=hand")).collect();
    assert_eq!(made, [false, true]);
}

#[test]
fn an_item_by_hand_is_made_although_nothing_was_due_when_that_was_asked() {
    let mut world = World::new(&one("keep: {last: 4}"));
    world.run_until("2026-03-01T02:00:00Z");
    assert_eq!(world.ask(run(true)).targets, []);
    world.run_until("2026-03-01T03:01:00Z");
    assert_eq!(world.watch.created_by_us().len(), 1, "the next run is on");
    let report = world.ask(take(false));
    assert_eq!((report.targets[0].result, report.targets[0].created.len()), (RunResult::Success, 1));
    let made: Vec<bool> = world.watch.created_by_us().iter().map(|item| item.description.contains("by=hand")).collect();
    assert_eq!(made, [false, true]);
}

#[test]
fn a_request_waits_for_the_other_kind() {
    let yaml = one("keep: {last: 4}").replace("servers:", "    backups: {schedule: \"30 3 * * *\", keep: {last: 4}}\nservers:");
    let mut world = World::new(&yaml);
    world.run_until("2026-03-01T03:01:00Z");
    let select = Select { kinds: vec![Kind::Backup], ..Select::default() };
    let report = world.ask(Request { select, ..run(false) });
    assert_eq!((report.targets.len(), report.targets[0].result), (1, RunResult::Success));
    assert_eq!(world.watch.created_by_us().len(), 2);
}

#[test]
fn what_answers_to_nothing_is_told() {
    let mut world = command(&one("keep: {last: 4}"));
    let select = Select { servers: vec![ServerPattern::Name(Globs::new(&["db-*"]).unwrap())], ..Select::default() };
    let report = world.ask(Request { select, ..run(true) });
    assert!(matches!(report.fatal, Some(Fatal::Selection(_))), "{report:?}");
    let select = Select { servers: vec![ServerPattern::Id(ServerId(1))], policies: vec!["web".to_owned()], kinds: vec![Kind::Snapshot] };
    assert_eq!(world.ask(Request { select, ..run(false) }).targets.len(), 1);
}

#[test]
fn a_provider_that_is_down_ends_a_command() {
    for error in [Trouble::status(503), Trouble::status(401), Trouble::cut()] {
        let mut world = command(&one("keep: {last: 4}"));
        world.always(On::Everything, Trouble::Refused(error));
        let before = world.true_now();
        let report = world.ask(run(false));
        assert!(matches!(report.fatal, Some(Fatal::Provider(_))), "{report:?}");
        assert!(world.true_now().duration_since(before).unsigned_abs() < MINUTE * 5);
        assert_eq!(world.calls("create"), 0);
    }
}

#[test]
fn lists_that_are_not_lists_fail_a_command() {
    let mut world = command(&one("keep: {last: 4}"));
    world.always(On::Lists, Trouble::Refused(crate::provider::ProviderError::Unreadable { what: "HTML".to_owned() }));
    let report = world.ask(run(false));
    assert_eq!((report.fatal, report.targets.len()), (None, 1));
    assert_eq!(report.targets[0].result, RunResult::Failure);
}

#[test]
fn a_provider_that_goes_down_in_the_middle_ends_a_command_as_well() {
    let mut world = command(&one("keep: {last: 4}"));
    world.run_for(HOUR * 4);
    world.request(run(true));
    assert!(world.run_until_that(MINUTE, |world| world.watch.created_by_us().len() == 1));
    world.always(On::Everything, Trouble::Refused(Trouble::status(503)));
    assert!(world.run_until_that(HOUR * 2, |world| !world.host().reports.is_empty()));
}

#[test]
fn a_create_whose_fate_stays_unknown_ends_a_command() {
    let mut world = command(&one("keep: {last: 4}"));
    world.run_for(HOUR * 4);
    world.always(On::Creates, Trouble::Lost(Trouble::cut()));
    world.request(run(true));
    assert!(world.run_until_that(MINUTE, |world| world.watch.created_by_us().len() == 1));
    world.always(On::Lists, Trouble::Refused(Trouble::status(503)));
    assert!(world.run_until_that(HOUR * 2, |world| !world.host().reports.is_empty()));
    let report = world.host_mut().reports.pop().unwrap();
    assert!(report.fatal.is_some() || report.targets[0].result == RunResult::Failure, "{report:?}");
}

#[test]
fn a_server_that_is_paused_or_claimed_twice_is_refused() {
    let paused = one("keep: {last: 4}").replace("policy: web}", "policy: web, paused_until: 2026-12-01T00:00:00Z}");
    let mut world = command(&paused);
    let report = world.ask(run(false));
    assert_eq!((report.targets[0].result, report.targets[0].problems[0].reason), (RunResult::Skipped, Reason::Paused));
    let twice =
        one("keep: {last: 4}").replace("{id: 1, policy: web}", "{match: \"web-*\", policy: web}\n  - {match: \"*-1\", policy: web}");
    let mut world = command(&twice);
    let select = Select { servers: vec![ServerPattern::Id(ServerId(1))], ..Select::default() };
    let report = world.ask(Request { select, ..run(false) });
    assert_eq!((report.targets[0].result, report.targets[0].problems[0].reason), (RunResult::Failure, Reason::MatchConflict));
    assert_eq!(world.calls("create"), 0);
}

#[test]
fn a_request_while_the_servers_are_never_told_is_answered() {
    for mode in [Mode::Daemon, Mode::Command] {
        let mut world = World::of(&one("keep: {last: 4}"), 3, mode);
        world.always(On::Servers, Trouble::Refused(Trouble::status(404)));
        assert_eq!(world.ask(run(false)).targets[0].result, RunResult::Success);
        let mut world = World::of(&one("keep: {last: 4}"), 3, mode);
        world.always(On::Servers, Trouble::Refused(Trouble::status(500)));
        let report = world.ask(run(false));
        assert!(report.fatal.is_some() || !report.targets.is_empty());
    }
}

#[test]
fn two_requests_at_once_are_answered_both() {
    let mut world = World::new(&one("keep: {last: 4}"));
    world.foreign_snapshot(1, 5);
    world.request(Request { id: 1, ..take(false) });
    world.request(Request { id: 2, ..take(false) });
    world.request(Request { id: 3, ..run(true) });
    assert!(world.run_until_that(HOUR, |world| world.host().reports.len() == 3));
    assert_eq!(world.watch.created_by_us().len(), 2);
    let item: Vec<Item> = world.items(Kind::Snapshot, 1);
    assert_eq!(item.len(), 3);
}

#[test]
fn one_item_at_a_time_is_made_by_hand() {
    let mut world = command(&one("keep: {last: 4}").replace("- {id: 1, policy: web}", "- {match: \"web-*\", policy: web}"));
    let report = world.ask(take(false));
    assert!(matches!(report.fatal, Some(Fatal::Selection(_))), "{report:?}");
    assert_eq!(world.calls("create"), 0);
}

#[test]
fn an_item_by_hand_of_a_kind_without_a_policy_leaves_no_target_behind() {
    for mode in [Mode::Daemon, Mode::Command] {
        let mut world = World::of(&one("keep: {last: 4}"), 3, mode);
        world.run_for(MINUTE);
        let select = Select { servers: vec![ServerPattern::Id(ServerId(1))], kinds: vec![Kind::Backup], ..Select::default() };
        let report = world.ask(Request { select: select.clone(), ..take(false) });
        assert_eq!((report.targets[0].result, &*report.targets[0].target.policy), (RunResult::Success, "hand"), "{report:?}");
        assert_eq!(world.items(Kind::Backup, 1).len(), 1);
        assert!(world.controller().targets.keys().all(|key| key.1 == Kind::Snapshot), "{:?}", world.controller().targets);
        // A run is only for what a policy is for, and a server that no entry is for has no guests.
        let run = world.ask(Request { select: select.clone(), ..run(false) });
        assert!(matches!(run.fatal, Some(Fatal::Selection(_))), "{run:?}");
        let select = Select { servers: vec![ServerPattern::Id(ServerId(2))], ..select };
        let stranger = world.ask(Request { select, ..take(false) });
        assert!(matches!(stranger.fatal, Some(Fatal::Selection(_))), "{stranger:?}");
    }
}

#[test]
fn a_guest_is_told_of_nowhere_and_keeps_nobody_unready() {
    let mut world = World::new(&one("keep: {last: 4}"));
    world.run_for(MINUTE * 10);
    assert_eq!(world.controller().obstacle(), None);
    world.request(Request { select: Select { kinds: vec![Kind::Backup], ..Select::default() }, ..take(false) });
    while world.host().reports.is_empty() {
        assert_eq!(world.controller().obstacle(), None);
        let report = world.report();
        assert!(report.observed && report.targets.iter().all(|target| target.kind == Kind::Snapshot), "{report:?}");
        let end = world.elapsed() + HOUR;
        world.turn(end);
    }
    assert_eq!(world.items(Kind::Backup, 1).len(), 1);
}

#[test]
fn a_daemon_ends_soon_what_is_asked_for_while_the_provider_is_down() {
    for (down_for, error) in [(Duration::ZERO, 503), (MINUTE * 50, 503), (Duration::ZERO, 401), (MINUTE * 50, 401)] {
        let mut world = World::new(&one("keep: {last: 4}"));
        world.run_for(HOUR * 5);
        world.always(On::Everything, Trouble::Refused(Trouble::status(error)));
        world.run_for(down_for);
        let before = world.true_now();
        let report = world.ask(run(false));
        assert!(matches!(report.fatal, Some(Fatal::Provider(_))) && report.targets.is_empty(), "{report:?}");
        let waited = world.true_now().duration_since(before).unsigned_abs();
        assert!(waited < MINUTE * if down_for.is_zero() { 5 } else { 1 }, "{waited:?} after {down_for:?}");
        // Nor is it made up for when nobody waits any more.
        world.heal();
        world.run_for(HOUR * 2);
        assert_eq!(world.watch.created_by_us().len(), 1);
    }
}

#[test]
fn a_token_that_is_refused_at_the_create_ends_a_request_soon() {
    let mut world = World::new(&one("keep: {last: 4}"));
    world.run_for(HOUR * 5);
    // The listing that shows this one completed is fresh for a minute, so that the next create is the first call that is refused.
    assert_eq!(world.ask(run(false)).targets[0].result, RunResult::Success);
    world.always(On::Everything, Trouble::Refused(Trouble::status(401)));
    world.request(run(false));
    assert!(world.run_until_that(MINUTE, |world| !world.host().reports.is_empty()), "{:#?}", world.controller().runs);
    assert!(matches!(world.host().reports[0].fatal, Some(Fatal::Provider(_))), "{:?}", world.host().reports);
    world.heal();
    world.run_for(HOUR * 2);
    assert_eq!(world.watch.created_by_us().len(), 2);
}

#[test]
fn a_daemon_finishes_what_was_begun_before_the_provider_went_down() {
    let mut world = World::new(&one("keep: {last: 4}"));
    world.run_for(HOUR * 5);
    world.request(Request { id: 1, ..run(false) });
    assert!(world.run_until_that(MINUTE, |world| world.watch.created_by_us().len() == 2));
    world.request(Request { id: 2, ..run(false) });
    world.always(On::Everything, Trouble::Refused(Trouble::status(503)));
    world.run_for(MINUTE * 20);
    let ids = |world: &World| world.host().reports.iter().map(|report| (report.id, report.fatal.is_some())).collect::<Vec<_>>();
    assert_eq!(ids(&world), [(2, true)]);
    world.heal();
    assert!(world.run_until_that(HOUR, |world| world.host().reports.len() == 2));
    assert_eq!(ids(&world), [(2, true), (1, false)]);
    assert_eq!(world.watch.created_by_us().len(), 2);
}
