//! What people order to stand for a while: it holds, it ends by itself, and it outlives processes.

use std::time::Duration;

use jiff::SignedDuration;

use crate::domain::fact::Fact;
use crate::domain::inventory::{ItemId, Kind, ServerId};
use crate::domain::problem::{Reason, RunResult};
use crate::domain::standing::{Ask, HeldItem, Order, Selection, StandingOrder};
use crate::journal::{Fault, Journal};

use super::super::{Input, Request, Select, What};
use super::world::World;
use super::{DAY, HOUR, MINUTE, one, refreshed_seldom};

fn snapshot(item: ItemId) -> HeldItem {
    HeldItem { kind: Kind::Snapshot, item, name: None, server: ServerId(1), server_name: "web-1".into() }
}

fn everything() -> Selection {
    Selection::default()
}

fn only(server: &str) -> Selection {
    Selection { servers: vec![server.into()], ..Selection::default() }
}

impl World {
    /// Gives an order and waits for the answer.
    fn order(&mut self, what: Ask) -> Result<Vec<StandingOrder>, String> {
        self.host_mut().ordered.clear();
        self.hand(Input::Order(7, Box::new(Order { what, reason: "moving".into(), by: "ann".into() })));
        assert!(self.run_until_that(MINUTE, |world| !world.host().ordered.is_empty()), "no answer");
        let report = self.host_mut().ordered.remove(0);
        assert_eq!(report.id, 7);
        report.answer()
    }

    fn ids(&self) -> Vec<ItemId> {
        self.items(Kind::Snapshot, 1).iter().map(|item| item.id).collect()
    }

    fn reasons(&self, target: usize) -> Vec<Reason> {
        self.report().targets[target].problems.iter().map(|problem| problem.reason).collect()
    }

    fn points(&self) -> u32 {
        self.report().targets[0].seen.unwrap().restore_points
    }
}

#[test]
fn a_held_item_stays_at_the_cap_until_its_time() {
    let mut world = World::new(&one("keep: {last: 5}, leave_free: 0"));
    world.run_for(DAY * 6);
    let before = world.ids();
    assert_eq!(before.len(), 5);
    world.order(Ask::Hold(snapshot(before[0]), DAY * 3)).unwrap();
    assert_eq!(world.points(), 4, "seen at once");
    world.run_for(DAY * 3 - MINUTE);
    assert_eq!(world.ids()[0], before[0]);
    assert_eq!(world.watch.created_by_us().len(), 9);
    assert!(!world.ids().contains(&before[1]) && world.ids().len() == 5, "the others go in its place");
    world.run_for(DAY * 2);
    assert!(!world.ids().contains(&before[0]), "the hold has ended by itself");
    assert_eq!(world.told(|fact| matches!(fact, Fact::GuardRefused { .. })), 0);
}

#[test]
fn a_release_ends_a_hold() {
    let mut world = World::new(&one("keep: {last: 3}"));
    world.run_for(DAY * 3);
    let first = world.ids()[0];
    world.order(Ask::Hold(snapshot(first), DAY * 100)).unwrap();
    world.run_for(DAY * 3);
    assert_eq!(world.ids()[0], first);
    assert_eq!(world.points(), 3);
    world.order(Ask::Release(Kind::Snapshot, first)).unwrap();
    assert_eq!(world.points(), 4);
    world.run_for(DAY);
    assert!(!world.ids().contains(&first));
    let again = world.order(Ask::Release(Kind::Snapshot, first));
    assert_eq!(again, Err(format!("snapshot {first} is not held by an order")));
}

#[test]
fn a_hold_outlives_processes_reloads_and_clocks_that_are_set_back() {
    let yaml = one("keep: {last: 2}");
    let mut world = World::new(&yaml);
    world.run_for(DAY * 2);
    let first = world.ids()[0];
    world.order(Ask::Hold(snapshot(first), DAY * 4)).unwrap();
    world.restart(MINUTE);
    world.reload(&one("keep: {last: 1}"));
    world.run_for(DAY);
    world.journal().clone().prune(world.now().wall + SignedDuration::from_hours(48)).unwrap();
    world.restart(MINUTE);
    world.run_for(DAY);
    world.step_clock(SignedDuration::from_hours(-12));
    world.run_for(DAY * 2);
    assert_eq!(world.ids()[0], first, "the clock was set back: it lasts longer");
    world.step_clock(SignedDuration::from_hours(12));
    world.run_for(DAY * 2);
    assert!(!world.ids().contains(&first));
}

#[test]
fn a_lost_journal_loses_a_hold() {
    let mut world = World::new(&one("keep: {last: 2}"));
    world.run_for(DAY * 2);
    let first = world.ids()[0];
    world.order(Ask::Hold(snapshot(first), DAY * 100)).unwrap();
    world.kill(0, false);
    world.lose_journal(0);
    world.restart(MINUTE);
    world.run_for(DAY * 2);
    assert!(!world.ids().contains(&first));
}

/// Whenever a hold comes: before the plan, while the delete's intent is being written, or after it was sent.
#[test]
fn a_hold_in_the_middle_of_a_run_is_kept_or_is_told_to_be_late() {
    let mut world = World::new(&one("keep: {last: 5}, leave_free: 0"));
    let (mut kept, mut late) = (0, 0);
    for step in 0..60 {
        // A minute before the slot.
        world.run_for(DAY * (5 + step) + HOUR * 3 - MINUTE - world.elapsed());
        let first = world.ids()[0];
        world.run_for(MINUTE - MINUTE / 40);
        let mut early = Duration::ZERO;
        while early < MINUTE / 1000 * step && world.calls("delete") == world.watch.deleted_by_us().len() as u64 {
            world.run_for(Duration::from_millis(20));
            early += Duration::from_millis(20);
        }
        let is_there = world.ids().contains(&first);
        let ordered = world.order(Ask::Hold(snapshot(first), MINUTE * 30));
        world.run_for(MINUTE * 20);
        match ordered {
            Ok(_) => assert!(!is_there || world.ids().contains(&first), "step {step}"),
            Err(ref why) => assert!(why.contains("had been sent by then and may be carried out"), "{why}"),
        }
        (kept, late) = if ordered.is_ok() { (kept + 1, late) } else { (kept, late + 1) };
    }
    assert!(kept > 0 && late > 0, "{kept} kept, {late} too late");
    assert_eq!(world.told(|fact| matches!(fact, Fact::GuardRefused { .. })), 0);
}

#[test]
fn nothing_is_promised_that_is_not_written() {
    let mut world = World::new(&one("keep: {last: 2}"));
    world.run_for(DAY * 2);
    let first = world.ids()[0];
    world.journal().set_fault(Some(Fault::Full));
    let refused = world.order(Ask::Hold(snapshot(first), DAY * 100)).unwrap_err();
    assert!(refused.contains("the journal cannot be written"), "{refused}");
    assert_eq!(world.points(), 2, "so it is not held");
    world.heal();
    let held = world.order(Ask::Hold(snapshot(first), DAY * 100)).unwrap();
    assert_eq!((world.points(), held.len()), (1, 1));
}

#[test]
fn a_pause_stops_new_runs_and_ends_by_itself() {
    let mut world = World::new(&refreshed_seldom(&one("keep: {last: 5}, leave_free: 0")));
    world.run_for(DAY * 2);
    world.order(Ask::Pause(only("web-*"), DAY * 2 + HOUR * 4)).unwrap();
    assert_eq!(world.reasons(0), [Reason::Paused]);
    assert!(world.report().targets[0].problems[0].detail.contains("moving (ordered by ann)"));
    assert_eq!(world.told(|fact| matches!(fact, Fact::ProblemRaised { .. })), 1);
    let until = "2026-03-05T04:00:00Z";
    assert_eq!(world.report().targets[0].next_run_at.unwrap().to_string()[..17], until[..17], "the slot at 3 can be made up for then");
    world.run_until("2026-03-05T03:59:00Z");
    assert_eq!(world.calls("create"), 2);
    let request = Request { id: 1, select: Select::default(), what: What::Run { due: false }, by: None };
    assert_eq!(world.ask(request).targets[0].result, RunResult::Skipped);
    world.run_until("2026-03-05T04:01:30Z");
    assert_eq!(world.calls("create"), 3, "at the end of the pause, not at the next look");
    world.run_for(DAY);
    assert_eq!((world.reasons(0), world.calls("create")), (vec![], 4));
    assert_eq!(world.told(|fact| matches!(fact, Fact::Missed { .. })), 0, "a pause misses nothing");
}

#[test]
fn a_pause_outlives_processes_and_is_ended_by_a_resume() {
    let mut world = World::new(&one("keep: {last: 5}, leave_free: 0").replace("{id: 1, policy: web}", "{match: \"web-*\", policy: web}"));
    world.run_for(DAY);
    world.order(Ask::Pause(everything(), DAY * 30)).unwrap();
    world.run_for(DAY);
    world.restart(MINUTE);
    world.run_for(DAY);
    assert_eq!(world.calls("create"), 3, "one for each server, before");
    assert_eq!((world.reasons(0), world.reasons(1), world.reasons(2)), (vec![Reason::Paused], vec![Reason::Paused], vec![Reason::Paused]));
    world.order(Ask::Resume(only("2"))).unwrap();
    assert_eq!((world.reasons(0), world.reasons(1)), (vec![Reason::Paused], vec![]));
    world.restart(MINUTE);
    world.run_for(DAY);
    assert_eq!(world.watch.created_by_us().iter().map(|item| item.server.0).collect::<Vec<_>>(), [1, 2, 3, 2]);
    assert_eq!(world.told(|fact| matches!(fact, Fact::Missed { .. })), 0);
    world.order(Ask::Resume(everything())).unwrap();
    world.run_for(DAY);
    assert_eq!(world.watch.created_by_us().len(), 7);
    assert_eq!(world.order(Ask::Resume(everything())).map(|orders| orders.len()), Ok(1), "the pause would still stand");
}

#[test]
fn a_run_that_is_on_goes_on_to_its_end() {
    let mut world = World::new(&one("keep: {last: 1}"));
    world.run_for(DAY);
    assert!(world.run_until_that(DAY, |world| world.calls("create") == 2));
    world.order(Ask::Pause(everything(), DAY)).unwrap();
    world.run_for(HOUR);
    assert_eq!((world.ids().len(), world.calls("delete")), (1, 1));
    assert_eq!(world.told(|fact| matches!(fact, Fact::RunEnded { result: RunResult::Success, .. })), 2);
}

#[test]
fn after_a_restore_nothing_is_deleted_for_seven_days_and_creates_go_on() {
    let mut world = World::new(&one("keep: {last: 2}"));
    world.run_for(DAY * 3);
    let ids = world.ids();
    assert_eq!((ids.len(), world.calls("delete")), (2, 1));
    let orders = world.order(Ask::Restore(snapshot(ids[0]))).unwrap();
    assert_eq!(orders.len(), 2);
    assert_eq!(world.reasons(0), [Reason::Restoring]);
    world.run_for(DAY * 3);
    assert_eq!((world.ids().len(), world.calls("delete")), (5, 1));
    world.restart(MINUTE);
    world.run_for(DAY * 4 - HOUR);
    assert_eq!((world.ids().len(), world.calls("delete")), (5, 1), "every slot is used, and nothing goes");
    assert_eq!(world.ids()[..2], ids[..]);
    world.run_for(DAY * 12);
    assert_eq!((world.ids().len(), world.reasons(0)), (2, vec![]));
}

#[test]
fn deletes_may_be_let_go_on_earlier() {
    let mut world = World::new(&one("keep: {last: 2}"));
    world.run_for(DAY * 3);
    world.order(Ask::Restore(snapshot(world.ids()[1]))).unwrap();
    world.run_for(DAY * 2);
    assert_eq!(world.ids().len(), 4);
    world.order(Ask::Deletes(ServerId(1))).unwrap();
    assert_eq!(world.reasons(0), []);
    world.run_for(DAY * 2);
    assert_eq!(world.ids().len(), 3, "the two newest, and the one that is held");
}

#[test]
fn another_server_goes_on_after_a_restore() {
    let mut world = World::new(&one("keep: {last: 1}").replace("{id: 1, policy: web}", "{match: \"web-*\", policy: web}"));
    world.run_for(DAY);
    world.order(Ask::Restore(snapshot(world.ids()[0]))).unwrap();
    world.run_for(DAY * 2);
    assert_eq!((1..=3).map(|server| world.items(Kind::Snapshot, server).len()).collect::<Vec<_>>(), [3, 1, 1]);
}

#[test]
fn a_stop_waits_until_an_order_is_written() {
    let mut world = World::new(&one("keep: {last: 2}"));
    world.run_for(DAY);
    let order = Order { what: Ask::Pause(everything(), DAY * 2), reason: "".into(), by: "".into() };
    world.hand(Input::Order(1, Box::new(order)));
    world.hand(Input::Stop);
    assert!(world.run_until_that(MINUTE, |world| world.host().stopped));
    assert_eq!(world.host().ordered.len(), 1);
    world.restart(MINUTE);
    world.run_for(DAY);
    assert_eq!(world.calls("create"), 1);
}
