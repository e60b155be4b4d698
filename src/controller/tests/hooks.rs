//! Hooks around creates. What the world calls a breach ends these tests too: an `after` that is missing or late, a create without its hooks.

use std::time::Duration;

use crate::domain::fact::Fact;
use crate::domain::hook::HookSide;
use crate::domain::inventory::{Kind, ServerId};
use crate::domain::problem::{Reason, RunResult};
use crate::emulator::{Effect, Item, Maker, Progress};
use crate::journal::Fault;
use crate::simulate::{HookLuck, Mortality, On, Sending, Trouble};

use super::super::{Input, Mode, Request, Select, What};
use super::world::World;
use super::{DAY, HOUR, MINUTE, one, refreshed_seldom};

fn hooked(more: &str) -> String {
    let hooks = format!("hooks: {{before: {{run: [freeze], timeout: 60s}}, after: {{run: [thaw], timeout: 30s}}, {more}}}");
    refreshed_seldom(&one(&format!("keep: {{last: 3}}, {hooks}")))
}

/// Neither the server nor the hooks are in it.
const ELSEWHERE: &str = r#"
owner: prod
policies:
  other:
    snapshots: {schedule: "0 3 1 1 *", keep: {last: 3}}
servers:
  - {id: 2, policy: other}
"#;

fn accepted() -> String {
    hooked("after_on: accepted")
}

/// What happened around the creates, in order: `before` and `after` as they begin, the item as the provider has it.
fn order(world: &World) -> Vec<String> {
    let facts = world.host().facts.iter().filter_map(|(at, fact)| match fact {
        Fact::HookStarted { side, .. } => Some((*at, side.as_str().to_owned())),
        Fact::Completed { .. } => Some((*at, "complete".to_owned())),
        _ => None,
    });
    let made = world.watch.effects.iter().filter(|(_, effect)| matches!(effect, Effect::Created { by: Maker::Api, .. }));
    let mut all: Vec<_> = facts.chain(made.map(|(at, _)| (*at, "made".to_owned()))).collect();
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, what)| what).collect()
}

fn befores_and_afters(world: &World) -> (u32, u32) {
    (world.host().hooks.befores, world.host().hooks.afters)
}

#[test]
fn before_comes_before_the_create_and_after_when_it_is_taken() {
    let mut world = World::new(&accepted());
    world.run_for(HOUR * 4);
    assert_eq!(order(&world), ["before", "made", "after", "complete"]);
}

#[test]
fn after_waits_for_completion_where_that_is_wished() {
    let mut world = World::new(&hooked("after_on: completed, max_hold: 2h"));
    world.run_for(HOUR * 4);
    assert_eq!(order(&world), ["before", "made", "complete", "after"]);
    assert!(!world.host().hooks.is_owed());
}

#[test]
fn after_does_not_wait_longer_than_max_hold() {
    let mut world = World::new(&hooked("after_on: completed, max_hold: 10s"));
    world.run_for(HOUR * 4);
    assert_eq!(order(&world), ["before", "made", "after", "complete"]);
    // Nor for an answer that does not come.
    let mut world = World::new(&hooked("after_on: accepted, max_hold: 5s"));
    world.fault(On::Creates, 1..=1, Trouble::Lost(crate::provider::ProviderError::Timeout));
    world.run_for(HOUR * 5);
    assert_eq!((befores_and_afters(&world), world.watch.created_by_us().len()), ((1, 1), 1));
}

/// The loop is busy from the end of `before` until `max_hold` is over; that the create's intent is written comes in meanwhile.
fn busy_for_max_hold(yaml: &str) -> World {
    let mut world = World::new(yaml);
    while world.told(|fact| matches!(fact, Fact::HookEnded { .. })) == 0 {
        world.turn(DAY);
    }
    world.keep_busy(0, Duration::from_secs(2));
    world.run_for(Duration::from_secs(10));
    world
}

#[test]
fn a_create_is_not_sent_once_it_was_held_for_long_enough_however_busy_the_loop_was() {
    let mut world = busy_for_max_hold(&hooked("after_on: accepted, max_hold: 1s"));
    assert_eq!((befores_and_afters(&world), world.calls("create")), ((1, 1), 0));
    world.run_for(HOUR);
    assert_eq!((befores_and_afters(&world), world.calls("create")), ((2, 2), 1));
}

#[test]
fn nor_where_nothing_is_thawed() {
    let hooks = "hooks: {before: {run: [freeze], timeout: 60s}, after_on: accepted, max_hold: 1s}";
    let mut world = busy_for_max_hold(&refreshed_seldom(&one(&format!("keep: {{last: 3}}, {hooks}"))));
    assert_eq!(world.calls("create"), 0);
    world.run_for(HOUR);
    assert_eq!(world.calls("create"), 1);
}

#[test]
fn a_before_that_takes_as_long_as_may_be_held_comes_to_no_create() {
    let mut world = World::new(&hooked("after_on: accepted, max_hold: 1s, on_failure: continue"));
    world.hook_luck.hangs = 1;
    world.run_for(HOUR * 3 + MINUTE * 10);
    assert_eq!(world.calls("create"), 0);
    world.hook_luck = HookLuck::default();
    world.run_for(HOUR);
    assert_eq!(world.calls("create"), 1);
    assert!(!world.host().hooks.is_owed());
}

#[test]
fn a_before_that_fails_stops_the_create_or_is_only_told() {
    let mut world = World::new(&accepted());
    world.hook_luck.before_fails = 1;
    world.run_for(HOUR * 3 + MINUTE * 10);
    assert_eq!(world.calls("create"), 0);
    let (befores, afters) = befores_and_afters(&world);
    assert!(befores > 1 && befores == afters, "tried again, and thawed each time: {befores}, {afters}");
    assert_eq!(world.report().targets[0].problems[0].reason, Reason::HookFailed);
    assert!(world.told(|fact| matches!(fact, Fact::RunEnded { result: RunResult::Failure, .. })) > 0);
    world.hook_luck = HookLuck::default();
    world.run_for(HOUR);
    assert_eq!((world.calls("create"), world.report().targets[0].problems.len()), (1, 0));

    let mut world = World::new(&hooked("after_on: accepted, on_failure: continue"));
    world.hook_luck.before_fails = 1;
    world.run_for(HOUR * 4);
    assert_eq!(order(&world), ["before", "made", "after", "complete"]);
    assert_eq!(world.report().targets[0].problems[0].reason, Reason::HookFailed);
}

#[test]
fn an_after_that_fails_is_tried_again_and_told() {
    let mut world = World::new(&accepted());
    world.hook_luck.after_fails = 1;
    world.run_for(HOUR * 5);
    assert_eq!((befores_and_afters(&world), world.watch.created_by_us().len()), ((1, super::super::hooks::AFTER_TRIES_MAX), 1));
    assert_eq!(world.report().targets[0].problems[0].reason, Reason::HookFailed);
    assert_eq!(world.told(|fact| matches!(fact, Fact::RunEnded { result: RunResult::Failure, .. })), 1);
    world.hook_luck = HookLuck::default();
    world.run_for(DAY);
    assert!(world.report().targets[0].problems.is_empty());
}

#[test]
fn nothing_is_frozen_again_while_an_after_is_to_be_tried_again() {
    let mut world = World::new(&accepted());
    world.hook_luck.after_fails = 1;
    // It was not sent, so the run plans again.
    world.fault(On::Creates, 1..=1, Trouble::Refused(crate::provider::ProviderError::Connect { what: String::new() }));
    world.run_for(HOUR * 3 + MINUTE * 2);
    assert_eq!(befores_and_afters(&world), (1, 4));
    world.hook_luck = HookLuck::default();
    world.run_for(HOUR);
    assert_eq!(order(&world), ["before", "after", "after", "after", "after", "after", "before", "made", "after", "complete"]);
}

#[test]
fn a_command_is_not_done_with_hooks_before_after_has_ended_well() {
    let mut world = World::of(&hooked("after_on: completed"), 1, Mode::Command);
    world.hook_luck.after_fails = 1;
    let report = world.ask(Request { id: 1, select: Select::default(), what: What::Run { due: false }, by: None });
    assert_eq!((report.targets[0].result, befores_and_afters(&world)), (RunResult::Failure, (1, 1)));
    assert!(world.host().controller.has_hooks_left());
    world.hook_luck = HookLuck::default();
    assert!(world.run_until_that(MINUTE, |world| !world.host().controller.has_hooks_left()));
    assert_eq!(befores_and_afters(&world), (1, 2));
    assert!(!world.host().hooks.is_owed());
}

/// The run is to begin anew, and ends with what ends its hooks instead: nobody tells it of that twice.
#[test]
fn a_run_ends_that_is_given_up_as_its_hooks_end() {
    for hooks in ["before: {run: [freeze], timeout: 60s}", "before: {run: [freeze], timeout: 60s}, after: {run: [thaw], timeout: 30s}"] {
        let backups = "\n    backups: {schedule: \"0 12 * * *\", keep: {last: 3}}";
        let yaml =
            one(&format!("keep: {{last: 3}}, hooks: {{{hooks}, after_on: accepted}}}}{backups}")).replace("}}\nservers", "}\nservers");
        let mut world = World::new(&yaml.replace("owner: prod", "owner: prod\nprovider: {refresh_every: 5s}"));
        world.hook_luck.takes_max = MINUTE;
        world.fault(On::Creates, 1..=1, Trouble::Refused(Trouble::status(409)));
        assert!(world.run_until_that(DAY, |world| world.host().hooks.befores == 1));
        let late = Item::completed(Kind::Backup, ServerId(1), world.true_now()).progressed(Progress::InProgress);
        let late = world.add_item(late.described("snapwarden owner=prod policy=web slot=2026-02-28T12:00:00Z"));
        world.run_for(MINUTE * 20);
        let now = world.true_now();
        world.twin.account.end_by_hand(Kind::Backup, late, Progress::Completed, now);
        world.run_for(HOUR);
        assert_eq!((world.calls("create"), world.items(Kind::Snapshot, 1).len()), (2, 1), "{hooks}");
        assert!(!world.controller().is_busy());
    }
}

#[test]
fn what_is_refused_or_full_is_thawed() {
    let mut world = World::new(&accepted());
    world.fault(On::Creates, 1..=1, Trouble::Refused(Trouble::status(400)));
    world.fault(On::Creates, 2..=2, Trouble::Refused(crate::provider::ProviderError::Connect { what: String::new() }));
    world.run_for(HOUR * 5);
    assert_eq!((befores_and_afters(&world), world.watch.created_by_us().len()), ((3, 3), 1));
}

#[test]
fn what_cannot_be_written_down_is_not_begun() {
    for fault in [Fault::Full, Fault::Io { written: true }, Fault::Io { written: false }] {
        for dies in [false, true] {
            let mut world = World::new(&accepted());
            world.run_until("2026-03-01T02:59:59Z");
            world.journal().set_fault(Some(fault));
            world.run_for(MINUTE * 5);
            assert_eq!((befores_and_afters(&world), world.calls("create")), ((0, 0), 0), "{fault:?}");
            world.heal();
            if dies {
                world.restart(MINUTE);
            }
            world.run_for(HOUR);
            let (befores, afters) = befores_and_afters(&world);
            // Only the next process cannot know that nothing was started, where the record arrived all the same.
            assert_eq!((befores, world.watch.created_by_us().len()), (1, 1), "{fault:?}");
            assert!(afters == 1 || dies && fault == Fault::Io { written: true }, "{fault:?}: {afters}");
            assert!(!world.host().hooks.is_owed());
        }
    }
}

#[test]
fn what_a_person_takes_has_no_hooks() {
    let mut world = World::of(&accepted(), 1, Mode::Command);
    let take = What::Take { label: None, keep_for: None, make_room: false };
    let report = world.ask(Request { id: 1, select: Select::default(), what: take, by: None });
    assert_eq!((report.targets[0].result, befores_and_afters(&world)), (RunResult::Success, (0, 0)));
    let report = world.ask(Request { id: 2, select: Select::default(), what: What::Run { due: false }, by: None });
    assert_eq!((report.targets[0].result, befores_and_afters(&world)), (RunResult::Success, (1, 1)));
}

#[test]
fn a_stop_thaws_before_it_ends() {
    for after_on in ["accepted", "completed"] {
        for steps in 0..60 {
            let mut world = World::new(&hooked(&format!("after_on: {after_on}")));
            world.run_for(HOUR * 3);
            world.run_for(Duration::from_millis(steps * 50));
            let creates = world.calls("create");
            let was_freezing = befores_and_afters(&world).0 == 1 && creates == 0;
            world.hand(Input::Stop);
            assert!(world.run_until_that(MINUTE * 2, |world| world.host().stopped), "not stopped");
            assert!(!world.host().hooks.is_owed());
            assert!(!was_freezing || world.calls("create") <= 1);
            world.restart(MINUTE);
            world.run_for(HOUR * 10);
            assert_eq!(world.watch.created_by_us().len(), 1);
        }
    }
}

#[test]
fn a_crash_after_each_command_leaves_nothing_frozen() {
    let mut frozen = 0;
    for after_on in ["accepted", "completed"] {
        for sending in [Sending::Arrives, Sending::IsLost] {
            for crash in 1.. {
                let mut world = World::new(&hooked(&format!("after_on: {after_on}")));
                world.run_until("2026-03-01T02:59:59Z");
                world.host_mut().dies_after = Some((world.host().commands + crash, sending));
                if !world.run_until_that(MINUTE * 20, |world| !world.host().up) {
                    assert!(crash > 20, "only {crash} commands");
                    break;
                }
                frozen += u32::from(world.host().hooks.is_owed());
                // Nobody answers, and nothing is configured any more: what is owed is run all the same.
                world.always(On::Everything, Trouble::Refused(crate::provider::ProviderError::Connect { what: String::new() }));
                world.restart(Duration::from_secs(20));
                world.reload(ELSEWHERE);
                world.run_for(MINUTE);
                assert!(!world.host().hooks.is_owed(), "crash {crash}");
                world.heal();
                world.reload(&hooked(&format!("after_on: {after_on}")));
                world.run_until("2026-03-01T12:00:00Z");
                assert_eq!(world.watch.created_by_us().len(), 1, "crash {crash}");
            }
        }
    }
    assert!(frozen > 10, "only {frozen} crashes between the hooks");
}

#[test]
fn other_servers_do_not_wait() {
    let slow =
        "{id: 2, policy: web, override: {snapshots: {hooks: {before: {run: [slow], timeout: 1h}, after_on: accepted, max_hold: 2h}}}}";
    let yaml = accepted().replace("{id: 1, policy: web}", &format!("{{id: 1, policy: web}}\n  - {slow}"));
    let mut world = World::new(&yaml);
    world.hook_luck.hangs = 1;
    world.run_for(HOUR * 3 + MINUTE * 3);
    // Both hang: one for a minute, the other for an hour.
    let started = |world: &World, server: u64| {
        world.told(|fact| matches!(fact, Fact::HookEnded { target, side: HookSide::Before, .. } if target.server.0 == server))
    };
    assert!(started(&world, 1) >= 1);
    assert_eq!(started(&world, 2), 0);
}

/// Anything may go wrong with hooks, the provider and the process; in the end the slots are made, and nothing is frozen.
#[test]
fn random_troubles_leave_nothing_frozen() {
    let (mut befores, mut made) = (0, 0);
    for seed in 0..48_u32 {
        let after_on = ["accepted", "completed"][seed as usize % 2];
        let on_failure = ["abort", "continue"][seed as usize / 2 % 2];
        let hooks = format!("after_on: {after_on}, on_failure: {on_failure}, max_hold: {}", ["30s", "15m"][seed as usize / 4 % 2]);
        let mut world = World::new(&hooked(&hooks).replace("0 3 * * *", "0 * * * *"));
        world.hook_luck = HookLuck { before_fails: 4, after_fails: 3, hangs: 6, takes_max: Duration::from_secs(40) };
        world.set_mortality(0, Some(Mortality { writes: 15, others: 400, down_max: MINUTE * 5 }));
        world.busy_max = (seed >= 24).then_some(Duration::from_millis(500));
        for hour in 0..20 {
            let trouble = [Trouble::status(400), Trouble::status(502), crate::provider::ProviderError::Timeout];
            world.fault(On::Creates, hour + 1..=hour + 1, Trouble::Refused(trouble[(seed + hour) as usize % 3].clone()));
            world.run_for(HOUR);
        }
        world.set_mortality(0, None);
        world.heal();
        world.hook_luck = HookLuck::default();
        world.run_for(HOUR * 2);
        world.settle();
        assert!(!world.host().hooks.is_owed(), "seed {seed}");
        befores += world.host().hooks.befores;
        made += world.items(Kind::Snapshot, 1).len();
    }
    assert!(befores > 600 && made >= 48, "{befores}, {made}");
}
