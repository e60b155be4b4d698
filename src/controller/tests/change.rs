//! Reloads, stopping, pauses and the fuse.

use std::time::Duration;

use crate::domain::fact::Fact;
use crate::domain::inventory::Kind;
use crate::domain::problem::{Reason, RunResult};
use crate::simulate::{On, Trouble};

use super::super::Input;
use super::world::World;
use super::{DAY, HOUR, MINUTE, one, refreshed_seldom};

fn problems(world: &World) -> Vec<Reason> {
    world.report().targets[0].problems.iter().map(|problem| problem.reason).collect()
}

#[test]
fn a_shrunken_policy_goes_down_one_extra_a_run() {
    let mut world = World::new(&one("keep: {last: 5}, leave_free: 0"));
    world.run_for(DAY * 6);
    world.reload(&one("keep: {last: 2}"));
    world.run_for(HOUR * 2);
    assert_eq!(world.items(Kind::Snapshot, 1).len(), 5, "a reload deletes nothing by itself");
    for expected in [4, 3, 2, 2] {
        world.run_for(DAY);
        assert_eq!(world.items(Kind::Snapshot, 1).len(), expected);
        assert_eq!(problems(&world).contains(&Reason::Fuse), expected > 2);
    }
}

#[test]
fn extra_deletes_of_a_day_are_counted_over_all_servers() {
    let fleet = |keep: &str| {
        let text = one(keep).replace("{id: 1, policy: web}", "{match: \"web-*\", policy: web}");
        text.replace("owner: prod", "owner: prod\ndeletes: {enabled: true, extra_per_server: 1, extra_per_day: 2}")
    };
    let mut world = World::new(&fleet("keep: {last: 4}"));
    world.run_for(DAY * 4);
    world.reload(&fleet("keep: {last: 2}"));
    world.run_for(DAY);
    let left: usize = (1..=3).map(|server| world.items(Kind::Snapshot, server).len()).sum();
    // Fifteen, less three that the creates pay for, less two.
    assert_eq!(left, 10);
    assert_eq!(world.told(|fact| matches!(fact, Fact::GuardRefused { .. })), 0);
    world.run_for(DAY * 5);
    let left: usize = (1..=3).map(|server| world.items(Kind::Snapshot, server).len()).sum();
    assert_eq!(left, 6);
}

#[test]
fn deletes_that_are_switched_off_are_told_only() {
    let off = one("keep: {last: 2}").replace("owner: prod", "owner: prod\ndeletes: {enabled: false}");
    let mut world = World::new(&off);
    world.run_for(DAY * 4);
    assert_eq!(world.calls("delete"), 0);
    assert_eq!(problems(&world), [Reason::Fuse]);
}

#[test]
fn reloads_in_the_middle_of_runs_lose_nothing() {
    let yaml = |keep: u32| one(&format!("keep: {{last: {keep}}}"));
    let mut world = World::new(&yaml(3));
    world.run_for(DAY * 4);
    for step in 0..60 {
        world.run_for(MINUTE * 7);
        world.reload(&yaml(2 + step % 3));
    }
    world.reload(&yaml(3));
    world.settle();
    world.run_for(DAY * 3);
    assert_eq!(world.items(Kind::Snapshot, 1).len(), 3);
    assert_eq!(world.told(|fact| matches!(fact, Fact::RunEnded { result: RunResult::Failure | RunResult::Blocked, .. })), 0);
}

#[test]
fn a_server_that_leaves_in_the_middle_of_a_run_keeps_what_it_has() {
    let mut world = World::new(&one("keep: {last: 2}"));
    world.run_for(DAY * 3);
    world.run_for(HOUR * 3 + MINUTE);
    assert_eq!(world.watch.created_by_us().len(), 4);
    world.reload(&one("keep: {last: 2}").replace("id: 1", "id: 2"));
    world.settle();
    world.run_for(DAY * 2);
    assert_eq!(world.items(Kind::Snapshot, 1).len(), 3);
    let failed = world.told(|fact| matches!(fact, Fact::RunEnded { result: RunResult::Failure, .. }));
    assert_eq!(failed, 0, "{:#?}", world.host().facts.last());
}

#[test]
fn a_renamed_policy_repeats_no_slot() {
    let mut world = World::new(&one("keep: {last: 3}"));
    world.run_for(HOUR * 4);
    world.reload(&one("keep: {last: 3}").replace("web:", "shop:").replace("policy: web", "policy: shop"));
    world.run_for(HOUR * 4);
    assert_eq!(world.calls("create"), 1);
    world.run_for(DAY * 4);
    assert_eq!(world.items(Kind::Snapshot, 1).len(), 3);
}

#[test]
fn a_stop_drains_and_the_next_process_goes_on() {
    for steps in 0..40 {
        let mut world = World::new(&refreshed_seldom(&one("keep: {last: 5}, leave_free: 0")));
        world.run_for(DAY * 5 + HOUR * 3);
        world.run_for(Duration::from_millis(steps * 20));
        world.hand(Input::Stop);
        let (creates, deletes) = (world.calls("create"), world.calls("delete"));
        assert!(world.run_until_that(MINUTE, |world| world.host().stopped), "not stopped");
        let turns = world.host().turns;
        world.run_for(MINUTE * 10);
        assert!(world.host().turns - turns < 60, "a stopped controller wakes up {} times", world.host().turns - turns);
        // The exchange whose intent was being written may still be made; nothing is begun after it.
        assert!(world.calls("create") + world.calls("delete") <= creates + deletes + 1);
        world.restart(MINUTE);
        world.run_for(DAY + HOUR);
        world.settle();
        assert_eq!(world.watch.created_by_us().len(), 7);
        assert_eq!(world.items(Kind::Snapshot, 1).len(), 5);
    }
}

#[test]
fn a_stop_waits_for_the_answer_that_is_on_its_way() {
    let mut world = World::new(&one("keep: {last: 3}"));
    world.fault(On::Creates, 1..=1, Trouble::Lost(crate::provider::ProviderError::Timeout));
    assert!(world.run_until_that(DAY, |world| world.calls("create") == 1));
    world.hand(Input::Stop);
    assert!(!world.host().stopped);
    let turns = world.host().turns;
    assert!(world.run_until_that(MINUTE, |world| world.host().stopped));
    assert!(world.host().turns - turns < 20, "{}", world.host().turns - turns);
    world.restart(MINUTE);
    world.run_for(HOUR);
    assert_eq!((world.calls("create"), world.watch.created_by_us().len()), (1, 1));
}

#[test]
fn a_run_that_ends_while_stopping_does_not_keep_the_loop_busy() {
    let mut world = World::new(&one("keep: {last: 3}"));
    world.always(On::Creates, Trouble::Refused(Trouble::status(400)));
    assert!(world.run_until_that(DAY, |world| world.calls("create") == 1));
    world.hand(Input::Stop);
    let turns = world.host().turns;
    world.run_for(MINUTE);
    assert!(world.host().stopped && world.host().turns - turns < 10, "{}", world.host().turns - turns);
}

#[test]
fn a_pause_holds_and_ends_by_itself() {
    let mut world = World::new(&one("keep: {last: 3}").replace("policy: web}", "policy: web, paused_until: 2026-03-04T12:00:00Z}"));
    world.run_for(DAY * 3);
    assert_eq!(world.calls("create"), 0);
    assert_eq!(problems(&world), [Reason::Paused]);
    let next = world.report().targets[0].next_run_at;
    assert_eq!(next.unwrap().to_string(), "2026-03-05T03:00:00Z");
    world.run_for(DAY * 2);
    assert_eq!(world.calls("create"), 1);
    assert!(problems(&world).is_empty());
    assert_eq!(world.told(|fact| matches!(fact, Fact::Missed { .. })), 0, "a pause misses nothing");
}

#[test]
fn a_server_that_two_patterns_name_is_left_alone() {
    let yaml = one("keep: {last: 3}").replace("{id: 1, policy: web}", "{match: \"web-*\", policy: web}\n  - {match: \"*-1\", policy: web}");
    let mut world = World::new(&yaml);
    world.run_for(DAY * 2);
    assert!(world.items(Kind::Snapshot, 1).is_empty());
    assert_eq!(world.items(Kind::Snapshot, 2).len(), 2);
    assert_eq!(problems(&world), [Reason::MatchConflict]);
}

/// What is over by then is told, but nothing of it is deleted.
#[test]
fn a_run_that_is_on_deletes_nothing_once_the_server_is_to_be_left_alone() {
    let being_made = |world: &World| world.items(Kind::Snapshot, 1).len() == 3;
    let yaml = one("keep: {last: 2}").replace("{id: 1, policy: web}", "{match: \"web-*\", policy: web}");
    let mut world = World::new(&yaml);
    assert!(world.run_until_that(DAY * 4, being_made));
    world.reload(&yaml.replace(
        "servers:",
        "  short:\n    snapshots: {schedule: \"0 3 * * *\", keep: {last: 1}}\nservers:\n  - {match: \"*-1\", policy: short}",
    ));
    world.run_for(HOUR);
    assert_eq!((world.items(Kind::Snapshot, 1).len(), problems(&world)), (3, vec![Reason::MatchConflict]));
    world.reload(&yaml);
    world.run_for(MINUTE * 10);
    assert_eq!(problems(&world), [], "what is seen to be over is not told until the next run");
    world.run_for(DAY * 2);
    assert_eq!(world.items(Kind::Snapshot, 1).len(), 2);

    let mut world = World::new(&one("keep: {last: 2}"));
    assert!(world.run_until_that(DAY * 4, being_made));
    world.always(On::Servers, Trouble::Empty);
    world.run_for(HOUR);
    assert_eq!((world.items(Kind::Snapshot, 1).len(), problems(&world)), (3, vec![Reason::ServerMissing]));
    world.heal();
    world.run_for(DAY * 2);
    assert_eq!(world.items(Kind::Snapshot, 1).len(), 2);
}

#[test]
fn right_after_a_restart_the_report_is_whole() {
    let mut world = World::new(&one("keep: {last: 5}, leave_free: 0"));
    world.run_for(DAY * 2);
    let before = world.report().targets[0].clone();
    world.restart(MINUTE);
    let fresh = world.report();
    assert!(!fresh.observed);
    assert_eq!(fresh.targets[0].last_success_at, before.last_success_at);
    assert_eq!(fresh.targets[0].next_run_at, before.next_run_at);
    assert_eq!(fresh.targets[0].overdue_after, before.overdue_after);
    world.run_for(MINUTE);
    let seen = world.report();
    assert!(seen.observed && seen.provider_up);
    assert_eq!(seen.targets[0].seen, before.seen);
    world.lose_journal(0);
    world.restart(MINUTE);
    world.run_for(MINUTE);
    let rebuilt = world.report().targets[0].clone();
    // By the provider: the newest item of ours, which was begun some minutes before its run ended well.
    assert_eq!(rebuilt.last_success_at.unwrap().to_string()[..16], *"2026-03-02T03:00");
    assert_eq!(rebuilt.overdue_after.unwrap(), before.overdue_after.unwrap());
    world.always(On::Creates, Trouble::Refused(Trouble::status(400)));
    world.run_for(DAY);
    assert_eq!(problems(&world), [Reason::CreateFailed]);
    world.restart(MINUTE);
    world.run_for(MINUTE);
    assert_eq!(problems(&world), [Reason::CreateFailed]);
}
