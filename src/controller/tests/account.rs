//! Whose token it is, and whether the provider takes it.

use crate::clock::{Mono, Now};
use crate::domain::fact::Fact;
use crate::domain::inventory::{Kind, Listing, ServerListing};
use crate::domain::problem::AccountReason;
use crate::journal::Recollection;
use crate::provider::{Account, ProviderError, Reply};
use crate::simulate::{On, Trouble};

use super::super::{Command, Controller, Fatal, Input, Mode, Request, Select, What};
use super::world::{START, World, setup};
use super::{DAY, HOUR, MINUTE, one, refreshed_seldom};

fn verified() -> String {
    one("keep: {last: 3}").replace("owner: prod", "owner: prod\nprovider: {account: ops@example.org}")
}

fn problems(world: &World) -> Vec<AccountReason> {
    world.report().account.iter().map(|problem| problem.reason).collect()
}

#[test]
fn the_right_account_is_worked_on() {
    let mut world = World::new(&verified());
    world.run_for(DAY * 2);
    assert_eq!((world.watch.created_by_us().len(), world.calls("account")), (2, 1));
}

#[test]
fn another_account_is_not_touched_and_asked_for_again() {
    let mut world = World::new(&verified());
    world.twin.email = "somebody@example.org".to_owned();
    world.fault(On::Account, 1..=1, Trouble::Refused(Trouble::status(401)));
    world.run_for(MINUTE * 6);
    assert!(world.report().provider_up, "it answers, whatever it said first");
    world.run_for(HOUR * 5);
    assert_eq!(world.calls("list") + world.calls("servers") + world.calls("create"), 0);
    assert!(world.calls("account") <= 63);
    assert_eq!(problems(&world), [AccountReason::WrongAccount]);
    world.twin.email = "ops@example.org".to_owned();
    world.run_for(DAY);
    assert_eq!(world.watch.created_by_us().len(), 1);
    assert!(problems(&world).is_empty());
    let mut world = World::of(&verified(), 3, Mode::Command);
    world.twin.email = "somebody@example.org".to_owned();
    let report = world.ask(Request { id: 1, select: Select::default(), what: What::Run { due: false }, by: None });
    assert!(matches!(report.fatal, Some(Fatal::Provider(_))), "{report:?}");
}

#[test]
fn the_account_is_asked_for_again_after_failures() {
    for error in [Trouble::status(500), Trouble::cut(), Trouble::status(429)] {
        let mut world = World::new(&verified());
        world.fault(On::Account, 1..=3, Trouble::Refused(error));
        world.run_for(MINUTE * 10);
        assert!(world.report().observed);
    }
}

#[test]
fn a_refused_token_stops_the_calls_and_is_tried_again() {
    let mut world = World::new(&one("keep: {last: 3}"));
    world.run_for(HOUR);
    let before = world.all_calls();
    world.always(On::Everything, Trouble::Refused(Trouble::status(401)));
    world.run_for(HOUR * 3);
    let calls = world.all_calls() - before;
    assert!(calls <= 3 * 12 + 12, "{calls}");
    assert_eq!(problems(&world), [AccountReason::Auth]);
    assert!(!world.report().provider_up);
    world.heal();
    world.run_for(MINUTE * 30);
    assert_eq!(world.watch.created_by_us().len(), 1);
    assert!(problems(&world).is_empty());
    assert_eq!(world.told(|fact| matches!(fact, Fact::AccountProblemRaised { .. })), 1);
    assert_eq!(world.told(|fact| matches!(fact, Fact::AccountProblemCleared { .. })), 1);
}

#[test]
fn throttling_is_honoured_and_told() {
    let mut world = World::new(&one("keep: {last: 3}"));
    world.run_for(HOUR);
    let before = world.calls("list");
    world.always(On::Lists, Trouble::Refused(Trouble::status(429)));
    world.run_for(MINUTE * 30);
    assert!(world.calls("list") - before <= 30 * 3 + 2, "{}", world.calls("list") - before);
    assert_eq!(problems(&world), [AccountReason::Throttled]);
    assert_eq!(world.told(|fact| matches!(fact, Fact::AccountProblemRaised { reason: AccountReason::Throttled, .. })), 1);
    world.heal();
    world.run_for(DAY);
    assert_eq!(world.watch.created_by_us().len(), 1);
    assert!(problems(&world).is_empty());
    assert_eq!(world.told(|fact| matches!(fact, Fact::AccountProblemCleared { reason: AccountReason::Throttled })), 1);
}

#[test]
fn that_throttling_is_over_is_told_when_it_is() {
    let mut world = World::new(&refreshed_seldom(&one("keep: {last: 3}")));
    world.fault(On::Lists, 1..=1, Trouble::Refused(Trouble::status(429)));
    world.run_for(HOUR);
    let told = |is: fn(&Fact) -> bool| world.host().facts.iter().find(|(_, fact)| is(fact)).unwrap().0;
    let raised = told(|fact| matches!(fact, Fact::AccountProblemRaised { reason: AccountReason::Throttled, .. }));
    let cleared = told(|fact| matches!(fact, Fact::AccountProblemCleared { reason: AccountReason::Throttled }));
    assert_eq!(cleared.duration_since(raised).unsigned_abs(), MINUTE);
}

#[test]
fn a_token_of_another_account_is_found_out_at_a_reload() {
    let mut world = World::new(&verified());
    world.run_for(HOUR);
    world.twin.email = "somebody@example.org".to_owned();
    world.reload(&verified());
    world.run_for(DAY);
    assert_eq!(world.calls("create"), 0);
    assert_eq!(problems(&world), [AccountReason::WrongAccount]);
    assert!(world.report().provider_up, "it answers");
}

#[test]
fn another_account_in_a_reload_is_verified_first() {
    let mut world = World::new(&verified());
    world.run_for(HOUR);
    world.reload(&verified().replace("ops@", "root@"));
    world.run_for(HOUR * 3);
    assert_eq!(world.calls("create"), 0);
    world.reload(&verified());
    world.run_for(HOUR);
    assert_eq!(world.watch.created_by_us().len(), 1);
    assert!(problems(&world).is_empty());
}

#[test]
fn a_mended_token_is_tried_at_once_after_a_reload() {
    let mut world = World::new(&one("keep: {last: 3}"));
    world.always(On::Everything, Trouble::Refused(Trouble::status(401)));
    world.run_for(MINUTE * 2);
    world.heal();
    // Nobody asked for a certain account, so it does not matter that the provider does not tell it.
    world.always(On::Account, Trouble::Refused(Trouble::status(404)));
    world.reload(&one("keep: {last: 4}"));
    world.run_for(MINUTE / 2);
    assert!(world.report().observed);
    assert!(problems(&world).is_empty());
}

#[test]
fn an_account_that_cannot_be_confirmed_is_not_worked_on() {
    for error in [Trouble::status(404), Trouble::status(403), Trouble::status(500), ProviderError::Timeout] {
        let mut world = World::of(&verified(), 3, Mode::Command);
        world.always(On::Account, Trouble::Refused(error));
        let report = world.ask(Request { id: 1, select: Select::default(), what: What::Run { due: false }, by: None });
        assert!(matches!(report.fatal, Some(Fatal::Provider(_))), "{report:?}");
        assert_eq!(world.calls("list") + world.calls("create"), 0);
    }
}

/// A controller whose first two calls, for snapshots and servers, are answered at once: with this, and with a list.
fn answered(error: ProviderError) -> (Controller, Now) {
    let now = Now { wall: START.parse().unwrap(), mono: Mono::default() };
    let mut controller = Controller::new(setup(&one("keep: {last: 3}")), Mode::Daemon, &Recollection::empty(), now);
    controller.handle(now, [Input::Tick]);
    drop(controller.take_commands());
    let failed = Reply::<Listing> { result: Err(error), date: None, begun: Some(now.mono) };
    let servers = Reply { result: Ok(ServerListing::default()), date: None, begun: Some(now.mono) };
    controller.handle(now, [Input::Listed(Kind::Snapshot, now.mono, failed), Input::Servers(now.mono, servers)]);
    (controller, now)
}

#[test]
fn a_failure_that_is_over_by_the_next_answer_is_told_too() {
    let (mut controller, _) = answered(ProviderError::Server { status: 503, retry_after: None });
    let about_account = |command: Command| match command {
        Command::Tell(fact) => match *fact {
            Fact::AccountProblemRaised { reason, .. } => Some((true, reason)),
            Fact::AccountProblemCleared { reason } => Some((false, reason)),
            _ => None,
        },
        _ => None,
    };
    let told: Vec<_> = controller.take_commands().filter_map(about_account).collect();
    assert_eq!(told, [(true, AccountReason::Unreachable), (false, AccountReason::Unreachable)]);
}

#[test]
fn a_list_that_is_refused_is_told() {
    let refused = [
        ProviderError::Forbidden,
        ProviderError::NotFound,
        ProviderError::Redirect { status: 301 },
        ProviderError::TooLarge { limit: 1 },
        ProviderError::Busy { status: 409 },
    ];
    for error in refused {
        let (mut controller, now) = answered(error.clone());
        let problems = controller.account_problems(now);
        assert_eq!(problems.iter().map(|problem| problem.reason).collect::<Vec<_>>(), [AccountReason::ListingIncomplete], "{error}");
        assert_eq!(problems[0].detail, format!("the list of snapshots cannot be had: {error}"));
        let is_raised = |command: &Command| matches!(command, Command::Tell(fact) if matches!(**fact, Fact::AccountProblemRaised { .. }));
        assert_eq!(controller.take_commands().filter(is_raised).count(), 1);
        let listing = Listing { kind: Kind::Snapshot, items: Vec::new().into(), opaque: Vec::new(), missing: 0, defects: Vec::new() };
        controller.handle(now, [Input::Listed(Kind::Snapshot, now.mono, Reply { result: Ok(listing), date: None, begun: Some(now.mono) })]);
        assert_eq!(controller.account_problems(now), []);
    }
}

#[test]
fn a_request_for_fewer_calls_is_an_answer() {
    let (mut controller, now) = answered(ProviderError::Timeout);
    // The list of servers was answered.
    assert!(controller.report(now).provider_up);
    let list = |result, begun| Input::Listed(Kind::Snapshot, now.mono, Reply { result, date: None, begun });
    controller.handle(now, [list(Err(ProviderError::Timeout), Some(now.mono))]);
    assert!(!controller.report(now).provider_up);
    let fewer = || Err(ProviderError::Throttled { retry_after: None });
    controller.handle(now, [list(fewer(), None)]);
    assert!(!controller.report(now).provider_up, "the client itself has said so");
    controller.handle(now, [list(fewer(), Some(now.mono))]);
    assert!(controller.report(now).provider_up);
}

#[test]
fn an_answer_from_before_does_not_say_that_a_refused_token_is_taken() {
    let (mut controller, now) = answered(ProviderError::Unauthorized);
    let state = |controller: &Controller| {
        let reasons = controller.account_problems(now).into_iter().map(|problem| problem.reason).collect::<Vec<_>>();
        (controller.report(now).provider_up, reasons)
    };
    assert_eq!(state(&controller), (false, vec![AccountReason::Auth]));
    let account = |result| Input::Account(Reply { result, date: None, begun: None });
    controller.handle(now, [account(Err(ProviderError::Throttled { retry_after: None }))]);
    assert_eq!(state(&controller), (false, vec![AccountReason::Auth, AccountReason::Throttled]));
    controller.handle(now, [account(Ok(Account::default()))]);
    assert_eq!(state(&controller), (true, vec![AccountReason::Throttled]));
}
