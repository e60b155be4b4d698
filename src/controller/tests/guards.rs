//! A planner with a mistake in it: the guard refuses, nothing is deleted on that server until the plans are sound again, and creates go on.

use jiff::Timestamp;

use crate::domain::assess::Why;
use crate::domain::fact::Fact;
use crate::domain::inventory::{Item, Kind, ServerId, Status};
use crate::domain::plan::{Action, Deletion, Plan, When};
use crate::domain::problem::{Problem, Reason};
use crate::emulator::{self, Account, Rules, Server};
use crate::simulate::{On, Trouble};

use super::super::{Mode, Request, Select, What};
use super::world::{START, World};
use super::{DAY, HOUR, MINUTE, one, refreshed_seldom};

type Mistake = fn(&mut Plan);

/// Puts a delete of every item that `doomed` picks in front of what is planned.
fn doom(plan: &mut Plan, doomed: impl Fn(&Item) -> bool) {
    let when = if plan.order().is_some() { When::BeforeCreate } else { When::AfterCreate };
    let items: Vec<Item> = plan.lines.iter().map(|line| Item::clone(&line.item)).filter(|item| doomed(item)).collect();
    let deletes = items.into_iter().map(|item| Action::Delete(Deletion { item, when, extra: false, why: Why::from("by mistake").into() }));
    plan.actions = deletes.chain(plan.actions.drain(..)).collect();
}

fn others(plan: &mut Plan) {
    doom(plan, |item| !item.description.starts_with("snapwarden"));
}

fn others_before_the_create(plan: &mut Plan) {
    if plan.order().is_some() {
        others(plan);
    }
}

fn others_after_the_create(plan: &mut Plan) {
    if plan.order().is_none() {
        others(plan);
    }
}

fn others_of_the_first_server(plan: &mut Plan) {
    doom(plan, |item| item.server == ServerId(1) && !item.description.starts_with("snapwarden"));
}

fn others_of_the_snapshots(plan: &mut Plan) {
    doom(plan, |item| item.kind == Kind::Snapshot && !item.description.starts_with("snapwarden"));
}

/// A delete before the create is always one too many while a slot is free.
fn the_oldest(plan: &mut Plan) {
    let oldest = plan.lines.iter().map(|line| line.item.id).min();
    doom(plan, |item| Some(item.id) == oldest);
}

fn the_newest(plan: &mut Plan) {
    let newest = plan.lines.iter().filter(|line| line.item.status == Status::Completed).map(|line| line.item.id).max();
    doom(plan, |item| Some(item.id) == newest);
}

fn everything(plan: &mut Plan) {
    doom(plan, |_| true);
}

/// Three at once, where one is paid for and one extra is allowed.
fn three_after_the_create(plan: &mut Plan) {
    if plan.order().is_none() {
        plan.actions.clear();
        let mut ids: Vec<_> = plan.lines.iter().map(|line| line.item.id).collect();
        ids.sort();
        doom(plan, |item| ids[..ids.len().min(3)].contains(&item.id));
    }
}

/// The right item, under a number that belongs to another one.
fn another_number(plan: &mut Plan) {
    for action in &mut plan.actions {
        if let Action::Delete(deletion) = action {
            deletion.item.id = crate::domain::inventory::ItemId(999);
        }
    }
}

fn a_create_without_room(plan: &mut Plan) {
    plan.actions.retain(|action| matches!(action, Action::Create(_)));
}

fn problems(world: &World, target: usize) -> Vec<Reason> {
    world.report().targets[target].problems.iter().map(|problem| problem.reason).collect()
}

fn is_frozen(world: &World) -> bool {
    problems(world, 0).contains(&Reason::Guard)
}

/// How often a refusal was told, and how often the problem was.
fn told(world: &World) -> (usize, usize) {
    let raised = |fact: &Fact| matches!(fact, Fact::ProblemRaised { problem: Problem { reason: Reason::Guard, .. }, .. });
    (world.told(|fact| matches!(fact, Fact::GuardRefused { .. })), world.told(raised))
}

/// How many items were made and deleted by us.
fn done(world: &World) -> (usize, usize) {
    (world.watch.created_by_us().len(), world.watch.deleted_by_us().len())
}

/// Lists come, and no slot is due meanwhile.
fn lists_come(world: &mut World, count: u64) {
    let before = world.calls("list");
    assert!(world.run_until_that(DAY, |world| world.calls("list") >= before + count));
    world.run_for(MINUTE);
    assert_eq!(world.calls("list"), before + count, "the lists are to come one by one");
}

/// Snapshots of the first server, of which two are kept, and one made by a person; two days have passed.
fn begun(extra: &str) -> World {
    let mut world = World::new(&one(&format!("keep: {{last: 2}}{extra}")));
    world.foreign_snapshot(1, 100);
    world.run_for(DAY * 2);
    assert_eq!(done(&world), (2, 0));
    world
}

#[test]
fn whatever_is_to_be_deleted_by_mistake_stays_and_creates_go_on_until_the_cap() {
    let mistakes: [(&str, Mistake); 8] = [
        ("others", others),
        ("others, before", others_before_the_create),
        ("others, after", others_after_the_create),
        ("the oldest", the_oldest),
        ("the newest", the_newest),
        ("everything", everything),
        ("three", three_after_the_create),
        ("another number", another_number),
    ];
    for (what, mistake) in mistakes {
        let mut world = begun("");
        world.controller_mut().mistake = Some(mistake);
        world.run_for(DAY * 2);
        assert_eq!(done(&world), (4, 0), "{what}: a slot was free each day");
        assert!(is_frozen(&world), "{what}");
        world.run_for(DAY * 3);
        assert_eq!((done(&world), world.watch.refusals), ((4, 0), 0), "{what}: the next create would need room");
        assert_eq!(told(&world), (1, 1), "{what}");
        world.controller_mut().mistake = None;
        world.run_for(DAY * 5);
        assert_eq!(problems(&world, 0), [], "{what}");
        assert_eq!(world.items(Kind::Snapshot, 1).len(), 3, "{what}: two of ours and the other one");
    }
}

#[test]
fn a_create_that_needs_room_which_it_does_not_make_is_refused() {
    let mut world = World::new(&one("keep: {last: 5}, leave_free: 0"));
    world.run_for(DAY * 5);
    world.controller_mut().mistake = Some(a_create_without_room);
    world.run_for(DAY);
    assert_eq!((done(&world), world.watch.refusals, told(&world)), ((5, 0), 0, (1, 1)));
    world.controller_mut().mistake = None;
    world.run_for(DAY);
    assert_eq!((done(&world), problems(&world, 0)), ((6, 1), vec![]));
}

#[test]
fn a_second_item_for_a_slot_is_refused() {
    // The slot of the day before: there is an item for it.
    let again: Mistake = |plan| {
        for action in &mut plan.actions {
            if let (Action::Create(order), Some(line)) = (action, plan.lines.last()) {
                order.description = (*line.item.description).into();
            }
        }
    };
    let mut world = begun("");
    world.controller_mut().mistake = Some(again);
    world.run_for(DAY);
    assert_eq!((done(&world), told(&world)), ((2, 0), (1, 1)));
}

#[test]
fn both_kinds_of_the_server_stop_and_other_servers_go_on() {
    let yaml = r#"
owner: prod
policies:
  web:
    snapshots: {schedule: "0 3 * * *", keep: {last: 2}}
    backups: {schedule: "0 5 * * *", keep: {last: 2}}
servers:
  - {match: "web-*", policy: web}
"#;
    let mut world = World::new(yaml);
    world.foreign_snapshot(1, 100);
    world.run_for(DAY * 2);
    world.controller_mut().mistake = Some(others_of_the_snapshots);
    world.run_for(DAY * 2);
    assert_eq!(world.items(Kind::Snapshot, 1).len(), 5);
    assert_eq!(world.items(Kind::Backup, 1).len(), 4, "backups are made, and none is deleted");
    assert_eq!(told(&world), (1, 2));
    assert_eq!((problems(&world, 0), problems(&world, 1)), (vec![Reason::Guard], vec![Reason::Guard]));
    for server in [2, 3] {
        assert_eq!(world.items(Kind::Snapshot, server).len() + world.items(Kind::Backup, server).len(), 4);
    }
    assert_eq!(problems(&world, 2), []);
    world.controller_mut().mistake = None;
    world.run_for(DAY * 5);
    assert_eq!((world.items(Kind::Snapshot, 1).len(), world.items(Kind::Backup, 1).len()), (3, 2));
    assert_eq!((problems(&world, 0), problems(&world, 1)), (vec![], vec![]));
}

#[test]
fn items_that_are_protected_automatic_or_anothers_stay() {
    let yaml = one("keep: {last: 2}, adopt: [\"*\"], protect: [\"mine-90\"]").replace("policy: web}", "policy: web, protect_ids: [1]}");
    let mut world = World::new(&yaml);
    for hours in [100, 90] {
        world.foreign_snapshot(1, hours);
    }
    world.run_for(DAY);
    world.controller_mut().mistake = Some(others);
    world.run_for(DAY);
    assert_eq!((done(&world), told(&world)), ((2, 0), (1, 1)));

    let mut world = World::new(&one("keep: {last: 2}").replace("snapshots", "backups"));
    let start: Timestamp = START.parse().unwrap();
    world.add_item(emulator::Item::automatic(ServerId(1), start, DAY * 30));
    world.run_for(DAY);
    world.controller_mut().mistake = Some(others);
    world.run_for(DAY);
    assert_eq!((done(&world), told(&world)), ((2, 0), (1, 1)));
}

#[test]
fn on_doubt_nothing_goes_even_if_the_planner_does_not_know_of_it() {
    type Doubt = fn(&mut World);
    let doubts: [(&str, Doubt); 4] = [
        ("another name", |world| {
            let now = world.true_now();
            world.twin.account.add_server(Server::active(1, "db-1"), now);
        }),
        ("a restore", |world| {
            let now = world.true_now();
            world.twin.account.add_server(Server { status: "restoring".to_owned(), ..Server::active(1, "web-1") }, now);
        }),
        ("an incomplete listing", |world| world.always(On::Lists, Trouble::Unreadable(2))),
        ("a hidden item", |world| {
            let id = world.items(Kind::Snapshot, 1)[1].id;
            world.delete_by_hand(Kind::Snapshot, id);
        }),
    ];
    for (what, doubt) in doubts {
        let mut account = Account::new(Rules::default());
        account.add_server(Server::active(1, "web-1"), START.parse().unwrap());
        let mut world = World::on(&one("keep: {last: 2}").replace("id: 1,", "id: 1, name: web-1,"), account, Mode::Daemon);
        world.run_until("2026-03-04T02:59:00Z");
        let (made, gone) = done(&world);
        if what == "a restore" {
            // Before that, nothing would be made.
            assert!(world.run_until_that(HOUR, |world| done(world).0 == made + 1));
        }
        doubt(&mut world);
        if what == "an incomplete listing" {
            world.always(On::Lists, Trouble::Incomplete);
        }
        // What the planner makes of an unclouded sky.
        world.controller_mut().mistake = Some(three_after_the_create);
        world.run_until("2026-03-04T03:30:00Z");
        assert_eq!(done(&world), (made + 1, gone), "{what}");
        assert_eq!(told(&world).0, 1, "{what}");
    }
}

#[test]
fn two_complete_listings_in_a_row_end_it() {
    let mut world = World::new(&refreshed_seldom(&one("keep: {last: 2}")));
    world.foreign_snapshot(1, 100);
    world.run_for(DAY * 2);
    world.controller_mut().mistake = Some(others);
    world.run_until("2026-03-03T04:00:00Z");
    assert!(is_frozen(&world) && done(&world) == (3, 0));
    lists_come(&mut world, 3);
    assert!(is_frozen(&world), "the cause still stands");
    world.controller_mut().mistake = None;
    lists_come(&mut world, 1);
    assert!(is_frozen(&world));
    world.fault(On::Lists, 1..=1, Trouble::Incomplete);
    lists_come(&mut world, 2);
    assert!(is_frozen(&world), "they are to be in a row");
    lists_come(&mut world, 1);
    assert_eq!(problems(&world, 0), []);
    assert_eq!(done(&world), (3, 0), "nothing goes without a run");
    let cleared = |fact: &Fact| matches!(fact, Fact::ProblemCleared { reason: Reason::Guard, .. });
    assert_eq!((told(&world), world.told(cleared)), ((1, 1), 1));
    world.run_for(DAY);
    assert_eq!(done(&world), (4, 2), "the next run prunes what was left, one of them extra");
    world.controller_mut().mistake = Some(others);
    world.run_for(DAY);
    assert_eq!(told(&world), (2, 2), "another breach is told anew");
}

#[test]
fn a_restart_forgets_no_breach_and_ends_none_early() {
    for still in [true, false] {
        let mut world = World::new(&refreshed_seldom(&one("keep: {last: 2}")));
        world.foreign_snapshot(1, 100);
        world.run_for(DAY * 2);
        world.controller_mut().mistake = Some(others);
        world.run_until("2026-03-03T04:00:00Z");
        world.restart(MINUTE);
        world.controller_mut().mistake = still.then_some(others as Mistake);
        assert!(is_frozen(&world), "before the first listing");
        world.run_for(MINUTE);
        assert!(is_frozen(&world), "one listing is not enough");
        lists_come(&mut world, 1);
        assert_eq!(is_frozen(&world), still);
        world.run_for(DAY);
        assert_eq!(done(&world), if still { (4, 0) } else { (4, 2) });
        world.lose_journal(0);
        world.restart(MINUTE);
        world.controller_mut().mistake = still.then_some(others as Mistake);
        world.run_for(DAY);
        assert_eq!((is_frozen(&world), done(&world).1 == 0), (still, still), "without the journal it is found again");
    }
}

#[test]
fn one_server_with_a_breach_holds_up_no_other() {
    let yaml = one("keep: {last: 2}").replace("{id: 1, policy: web}", "{match: \"web-*\", policy: web}");
    let mut world = World::new(&yaml);
    for server in 1..=2 {
        world.foreign_snapshot(server, 100);
    }
    world.controller_mut().mistake = Some(others_of_the_first_server);
    world.run_for(DAY * 4);
    let left = |server| world.items(Kind::Snapshot, server).len();
    assert_eq!([left(1), left(2), left(3)], [5, 3, 2]);
    assert_eq!(told(&world), (1, 1));
}

#[test]
fn a_command_in_place_of_the_daemon_gets_over_a_breach_too() {
    let mut world = World::of(&one("keep: {last: 5}, leave_free: 0"), 1, Mode::Command);
    let run = |world: &mut World| {
        world.ask(Request { id: 7, select: Select::default(), what: What::Run { due: false }, by: None });
        world.restart(DAY);
    };
    for _ in 0..6 {
        run(&mut world);
    }
    assert_eq!(done(&world), (6, 1));
    world.controller_mut().mistake = Some(the_newest);
    run(&mut world);
    assert_eq!((done(&world), told(&world).0), ((6, 1), 1));
    run(&mut world);
    assert_eq!((done(&world), problems(&world, 0)), ((7, 2), vec![]));
}
