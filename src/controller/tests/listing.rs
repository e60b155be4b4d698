//! Lists that do not show everything, servers that are not what they should be, and items that vanish.

use crate::domain::fact::Fact;
use crate::domain::inventory::{ItemId, Kind, ServerId};
use crate::domain::problem::{AccountReason, Reason, RunResult};
use crate::domain::report::Standing;
use crate::emulator::{Item, Progress, Server};
use crate::simulate::{On, Trouble};

use super::super::{Request, Select, What};
use super::world::World;
use super::{DAY, HOUR, MINUTE, one, refreshed_seldom};

fn problems(world: &World) -> Vec<Reason> {
    world.report().targets[0].problems.iter().map(|problem| problem.reason).collect()
}

/// The first server has this status at the provider from now on.
fn first_is(world: &mut World, status: &str) {
    let now = world.true_now();
    world.twin.account.add_server(Server { status: status.to_owned(), ..Server::active(1, "web-1") }, now);
}

fn lost(world: &World) -> usize {
    world.told(|fact| matches!(fact, Fact::Lost { .. }))
}

#[test]
fn on_incomplete_lists_nothing_is_deleted_and_creates_go_on() {
    for trouble in [Trouble::Incomplete, Trouble::Nameless, Trouble::Unreadable(1)] {
        let mut world = World::new(&one("keep: {last: 2}"));
        world.run_for(DAY * 2);
        world.always(On::Lists, trouble.clone());
        world.run_for(DAY);
        world.settle();
        assert_eq!((world.calls("create"), world.calls("delete")), (3, 0), "{trouble:?}");
        assert!(problems(&world).contains(&Reason::ListingIncomplete));
        world.heal();
        world.run_for(DAY * 2);
        world.settle();
        assert_eq!(world.items(Kind::Snapshot, 1).len(), 2, "{trouble:?}");
        assert!(problems(&world).is_empty());
        assert_eq!(lost(&world), 0);
    }
}

#[test]
fn an_unreadable_item_of_one_server_does_not_hold_up_others() {
    let yaml = one("keep: {last: 2}").replace("{id: 1, policy: web}", "{match: \"web-*\", policy: web}");
    let mut world = World::new(&yaml);
    world.run_for(DAY * 2);
    world.always(On::Lists, Trouble::Unreadable(3));
    world.run_for(DAY * 2);
    assert_eq!(world.items(Kind::Snapshot, 1).len(), 2);
    assert_eq!(world.items(Kind::Snapshot, 3).len(), 4);
}

#[test]
fn an_empty_list_makes_no_storm_and_no_delete() {
    let mut world = World::new(&one("keep: {last: 3}"));
    world.run_for(DAY * 3);
    world.always(On::Lists, Trouble::Empty);
    world.run_for(HOUR * 2);
    assert_eq!((world.calls("create"), world.calls("delete")), (3, 0));
    world.heal();
    world.run_for(DAY * 3);
    world.settle();
    assert_eq!(world.calls("create"), 6);
    assert!(problems(&world).is_empty());
}

#[test]
fn a_stale_list_does_not_make_twins_or_wrong_deletes() {
    let mut world = World::new(&one("keep: {last: 3}"));
    world.run_for(DAY * 2);
    world.always(On::Lists, Trouble::Stale(MINUTE * 3 / 4));
    world.run_for(DAY * 4);
    world.heal();
    world.run_for(DAY);
    assert_eq!(world.items(Kind::Snapshot, 1).len(), 3);
    assert_eq!(lost(&world), 0);
}

#[test]
fn an_item_that_vanishes_is_told_once() {
    let mut world = World::new(&one("keep: {last: 3}"));
    world.run_for(DAY * 3);
    let id = world.items(Kind::Snapshot, 1)[1].id;
    world.delete_by_hand(Kind::Snapshot, id);
    world.run_for(HOUR);
    assert_eq!(lost(&world), 1);
    world.restart(MINUTE);
    world.run_for(DAY * 4);
    assert_eq!(lost(&world), 1);
    assert_eq!(world.items(Kind::Snapshot, 1).len(), 3);
    assert!(problems(&world).is_empty());
}

#[test]
fn an_item_that_vanishes_while_we_are_away_is_told_once_and_holds_nothing_up() {
    let mut world = World::new(&one("keep: {last: 3}"));
    world.run_for(DAY * 3);
    let id = world.items(Kind::Snapshot, 1)[1].id;
    world.delete_by_hand(Kind::Snapshot, id);
    world.restart(MINUTE);
    world.run_for(DAY * 3);
    assert_eq!(lost(&world), 1);
    assert_eq!(world.items(Kind::Snapshot, 1).len(), 3, "nothing was pruned");
    assert!(problems(&world).is_empty(), "{:?}", problems(&world));
    world.restart(MINUTE);
    world.run_for(DAY);
    assert_eq!(lost(&world), 1);
}

#[test]
fn an_item_that_vanishes_while_it_is_made_is_told_and_ends_its_run() {
    let mut world = World::new(&one("keep: {last: 3}"));
    world.run_until("2026-03-01T03:01:00Z");
    let id: ItemId = world.items(Kind::Snapshot, 1)[0].id;
    world.delete_by_hand(Kind::Snapshot, id);
    world.run_for(HOUR);
    world.settle();
    assert_eq!(lost(&world), 1);
    assert_eq!(world.told(|fact| matches!(fact, Fact::RunEnded { result: RunResult::Failure, .. })), 1);
    world.run_for(DAY * 4);
    assert_eq!(world.items(Kind::Snapshot, 1).len(), 3);
}

#[test]
fn a_server_with_another_name_is_created_for_and_not_deleted_from() {
    let mut world = World::new(&one("keep: {last: 2}").replace("{id: 1,", "{id: 1, name: db-1,"));
    world.run_for(DAY * 4);
    assert_eq!((world.watch.created_by_us().len(), world.calls("delete")), (4, 0));
    assert_eq!(problems(&world), [Reason::NameMismatch]);
    let now = world.true_now();
    world.twin.account.add_server(Server::active(1, "db-1"), now);
    world.run_for(DAY * 3);
    assert_eq!(world.items(Kind::Snapshot, 1).len(), 2);
    assert!(problems(&world).is_empty());
}

#[test]
fn a_name_is_also_known_from_the_items_where_the_servers_are_not_told() {
    let mut world = World::new(&one("keep: {last: 2}").replace("{id: 1,", "{id: 1, name: db-1,"));
    world.always(On::Servers, Trouble::Refused(Trouble::status(403)));
    world.run_for(DAY * 4);
    assert_eq!((world.watch.created_by_us().len(), world.calls("delete")), (4, 0));
}

#[test]
fn a_server_that_is_being_restored_is_left_alone() {
    let mut world = World::new(&one("keep: {last: 2}"));
    world.run_for(DAY * 2);
    first_is(&mut world, "restoring");
    world.run_for(DAY * 2);
    assert_eq!((world.calls("create"), world.calls("delete")), (2, 0));
    assert_eq!(problems(&world), [Reason::Restoring]);
    let request = Request { id: 1, select: Select::default(), what: What::Run { due: false }, by: None };
    assert_eq!(world.ask(request).targets[0].result, RunResult::Blocked);
    first_is(&mut world, "active");
    world.run_for(DAY * 3);
    assert_eq!(world.items(Kind::Snapshot, 1).len(), 2);
}

#[test]
fn a_delete_in_doubt_is_not_sent_again_once_the_server_is_being_restored() {
    let mut world = World::new(&refreshed_seldom(&one("keep: {last: 2}")));
    world.run_for(DAY * 2);
    world.fault(On::Deletes, 1..=1, Trouble::Refused(Trouble::status(500)));
    assert!(world.run_until_that(DAY, |world| world.calls("delete") == 1));
    world.run_for(MINUTE / 2);
    first_is(&mut world, "restoring");
    world.run_for(HOUR);
    assert_eq!((world.calls("delete"), world.items(Kind::Snapshot, 1).len()), (1, 3));
    first_is(&mut world, "active");
    world.run_for(DAY * 2);
    assert_eq!(world.items(Kind::Snapshot, 1).len(), 2);
}

/// The list of servers goes wrong on its way. Who is not in it is not gone.
#[test]
fn a_list_of_servers_that_is_not_whole_takes_no_server_away() {
    let mut world = World::new(&one("keep: {last: 2}").replace("{id: 1, policy: web}", "{match: \"web-*\", policy: web}"));
    world.run_for(DAY * 2);
    world.always(On::Servers, Trouble::Incomplete);
    world.run_for(DAY * 2);
    let made = |world: &World| [1, 2, 3].map(|server| world.items(Kind::Snapshot, server).len());
    assert_eq!(made(&world), [4, 2, 2], "of the first server it is not known whether it is being restored");
    assert_eq!(problems(&world), [Reason::ListingIncomplete]);
    let told = world.controller().account_problems(world.now());
    assert_eq!(told.iter().map(|problem| problem.reason).collect::<Vec<_>>(), [AccountReason::ListingIncomplete]);
    assert_eq!(told[0].detail, "the list of servers is not complete: a page is missing");
    world.heal();
    world.run_for(DAY * 2);
    assert_eq!(made(&world), [2, 2, 2]);
    assert!(problems(&world).is_empty() && world.controller().account_problems(world.now()).is_empty());
}

/// It was being restored when it was last shown. No restore takes longer than an hour.
#[test]
fn a_restore_that_is_not_shown_any_more_is_over_in_the_end() {
    let mut world = World::new(&one("keep: {last: 4}").replace("{id: 1, policy: web}", "{match: \"web-*\", policy: web}"));
    world.run_for(HOUR);
    first_is(&mut world, "restoring");
    world.run_for(MINUTE * 10);
    assert_eq!(problems(&world), [Reason::Restoring]);
    world.always(On::Servers, Trouble::Incomplete);
    world.run_for(MINUTE * 30);
    assert_eq!(problems(&world), [Reason::ListingIncomplete, Reason::Restoring]);
    world.run_for(HOUR * 3);
    assert_eq!((world.items(Kind::Snapshot, 1).len(), problems(&world)), (1, vec![Reason::ListingIncomplete]));
}

#[test]
fn a_server_that_is_gone_does_not_come_back_by_a_list_that_is_not_whole() {
    let mut world = World::new(&one("keep: {last: 2}"));
    world.run_for(DAY);
    let there = world.twin.account.remove_server(ServerId(1));
    assert!(there.is_some());
    world.run_for(HOUR);
    world.always(On::Servers, Trouble::Incomplete);
    world.run_for(DAY * 2);
    assert_eq!((world.calls("create"), problems(&world)), (1, vec![Reason::ServerMissing]));
}

/// A server by number is there although no list has shown it yet. It may be being restored.
#[test]
fn nothing_is_deleted_on_a_server_that_no_list_has_shown() {
    let mut world = World::new(&one("keep: {last: 2}"));
    world.run_for(DAY * 2);
    world.always(On::Servers, Trouble::Incomplete);
    world.restart(MINUTE);
    world.run_for(DAY);
    assert_eq!((world.items(Kind::Snapshot, 1).len(), problems(&world)), (3, vec![Reason::ListingIncomplete]));
    world.heal();
    world.run_for(DAY * 2);
    assert_eq!((world.items(Kind::Snapshot, 1).len(), problems(&world)), (2, Vec::new()));
}

/// After a start the items may be listed before the servers are.
#[test]
fn nothing_is_made_before_it_was_asked_whether_the_server_is_being_restored() {
    let mut world = World::new(&one("keep: {last: 2}"));
    world.run_until("2026-03-03T02:59:00Z");
    first_is(&mut world, "restoring");
    world.fault(On::Servers, 1..=2, Trouble::Refused(Trouble::status(500)));
    world.restart(MINUTE * 2);
    world.run_for(HOUR);
    assert_eq!((world.calls("create"), problems(&world)), (2, vec![Reason::Restoring]));
}

#[test]
fn a_server_that_is_gone_is_told_and_its_items_stay() {
    let mut world = World::new(&one("keep: {last: 2}"));
    world.run_for(DAY * 2);
    world.twin.account.remove_server(crate::domain::inventory::ServerId(1));
    world.run_for(DAY * 2);
    assert_eq!((world.calls("create"), world.calls("delete")), (2, 0));
    assert_eq!(problems(&world), [Reason::ServerMissing]);
    first_is(&mut world, "active");
    world.run_for(DAY);
    world.settle();
    assert!(problems(&world).is_empty());
    assert_eq!(world.calls("create"), 3);
}

#[test]
fn a_server_that_a_match_found_and_that_is_gone_is_told() {
    let mut world = World::new(&one("keep: {last: 2}").replace("{id: 1, policy: web}", "{match: \"web-1\", policy: web}"));
    world.run_for(DAY * 2);
    world.twin.account.remove_server(crate::domain::inventory::ServerId(1));
    world.run_for(HOUR);
    assert_eq!(problems(&world), [Reason::ServerMissing]);
}

#[test]
fn numbers_work_without_the_list_of_servers_and_patterns_do_not() {
    for status in [404, 403] {
        let yaml = one("keep: {last: 2}").replace("{id: 1, policy: web}", "{id: 1, policy: web}\n  - {match: \"web-2\", policy: web}");
        let mut world = World::new(&yaml);
        world.always(On::Servers, Trouble::Refused(Trouble::status(status)));
        world.run_for(DAY * 3);
        assert_eq!(world.items(Kind::Snapshot, 1).len(), 2);
        assert_eq!(world.items(Kind::Snapshot, 2).len(), 0);
        assert_eq!(world.controller().faults().len(), 1);
    }
}

#[test]
fn servers_that_are_not_told_for_a_while_hold_up_deletes_only() {
    let mut world = World::new(&one("keep: {last: 2}"));
    world.run_for(DAY * 2);
    world.always(On::Servers, Trouble::Refused(Trouble::status(500)));
    world.run_for(DAY * 2);
    assert_eq!((world.watch.created_by_us().len(), world.calls("delete")), (4, 0));
    world.heal();
    world.run_for(DAY * 3);
    assert_eq!(world.items(Kind::Snapshot, 1).len(), 2);
    assert!(problems(&world).is_empty());
}

#[test]
fn a_list_of_servers_that_fails_once_does_not_drop_a_fleet() {
    for status in [404, 500] {
        let yaml = one("keep: {last: 2}").replace("{id: 1, policy: web}", "{match: \"web-*\", policy: web}");
        let mut world = World::new(&yaml);
        world.run_until("2026-03-01T03:01:00Z");
        world.fault(On::Servers, 1..=1, Trouble::Refused(Trouble::status(status)));
        world.run_for(HOUR * 12);
        assert_eq!(world.watch.created_by_us().len(), 3);
        assert_eq!(world.told(|fact| matches!(fact, Fact::RunEnded { result: RunResult::Failure, .. })), 0, "{status}");
    }
}

#[test]
fn an_unknown_status_is_left_alone_and_told() {
    let mut world = World::new(&one("keep: {last: 2}"));
    world.run_for(DAY * 2);
    let word = crate::emulator::Progress::Word("archived".to_owned());
    let id = world.items(Kind::Snapshot, 1)[0].id;
    let now = world.true_now();
    world.twin.account.end_by_hand(Kind::Snapshot, id, word, now);
    world.run_for(DAY * 3);
    assert!(world.items(Kind::Snapshot, 1).iter().any(|item| item.id == id));
    assert!(problems(&world).contains(&Reason::UnknownStatus));
    assert_eq!(world.items(Kind::Snapshot, 1).len(), 3);
}

#[test]
fn a_list_that_shows_a_deleted_item_once_more_makes_no_alarm() {
    let mut world = World::new(&one("keep: {last: 3}"));
    world.run_for(DAY * 3);
    assert!(world.run_until_that(DAY, |world| world.told(|fact| matches!(fact, Fact::DeleteDecided { .. })) == 1));
    world.run_for(MINUTE);
    world.fault(On::Lists, 1..=1, Trouble::Stale(MINUTE * 10));
    world.run_for(HOUR);
    assert_eq!(lost(&world), 0);
}

#[test]
fn a_list_of_servers_that_is_refused_for_a_while_brings_the_fleet_back() {
    let mut world = World::new(&one("keep: {last: 2}").replace("{id: 1, policy: web}", "{match: \"web-1\", policy: web}"));
    world.run_for(DAY);
    world.always(On::Servers, Trouble::Refused(Trouble::status(403)));
    world.run_for(DAY);
    assert_eq!((world.calls("create"), world.controller().faults().len()), (1, 1));
    world.heal();
    world.run_for(DAY);
    assert_eq!((world.calls("create"), world.controller().faults().len()), (2, 0));
}

#[test]
fn an_empty_list_is_no_proof_that_an_item_vanished() {
    let mut world = World::new(&one("keep: {last: 3}"));
    world.run_until("2026-03-04T03:00:30Z");
    assert_eq!(world.calls("create"), 4);
    world.always(On::Lists, Trouble::Empty);
    world.run_for(MINUTE * 12);
    world.heal();
    world.run_for(HOUR * 6);
    assert_eq!((world.calls("create"), lost(&world)), (4, 0));
    assert_eq!(world.items(Kind::Snapshot, 1).len(), 3);
}

#[test]
fn that_everything_was_deleted_is_believed_in_the_end() {
    let mut world = World::new(&refreshed(&one("keep: {last: 3}, leave_free: 2")));
    world.run_for(DAY * 4);
    let there: Vec<ItemId> = world.items(Kind::Snapshot, 1).iter().map(|item| item.id).collect();
    there.iter().for_each(|id| world.delete_by_hand(Kind::Snapshot, *id));
    world.run_for(MINUTE * 10);
    assert_eq!((lost(&world), problems(&world)), (0, vec![Reason::ListingIncomplete]));
    world.run_for(MINUTE * 20);
    assert_eq!((lost(&world), problems(&world)), (3, vec![]));
    world.run_for(DAY * 5);
    assert_eq!(world.items(Kind::Snapshot, 1).len(), 3);
}

fn refreshed(yaml: &str) -> String {
    yaml.replace("owner: prod", "owner: prod\nprovider: {refresh_every: 1m}")
}

#[test]
fn a_restore_is_remembered_where_the_servers_are_not_told_any_more() {
    let mut world = World::new(&one("keep: {last: 3}"));
    world.run_until("2026-03-05T02:50:00Z");
    first_is(&mut world, "restoring");
    world.run_for(MINUTE * 6);
    assert_eq!(problems(&world), [Reason::Restoring]);
    world.always(On::Servers, Trouble::Refused(Trouble::status(404)));
    world.run_for(MINUTE * 20);
    assert_eq!((world.calls("create"), world.calls("delete")), (4, 1));
    // It cannot have taken as long as this.
    world.run_for(HOUR * 30);
    assert_eq!(problems(&world), []);
    assert_eq!(world.items(Kind::Snapshot, 1).len(), 3);
}

#[test]
fn what_time_alone_changes_is_seen_in_listings_that_show_the_same() {
    let mut world = World::new(&one("keep: {last: 3}, stuck_after: 40m"));
    let (now, mark) = (world.true_now(), "snapwarden owner=prod by=hand at=2026-03-01T00:00:00Z");
    let held = Item::completed(Kind::Snapshot, ServerId(1), now).named("held").described(&format!("{mark} until=2026-03-01T01:00:00Z"));
    let open = Item::completed(Kind::Snapshot, ServerId(1), now).named("open").described(mark).progressed(Progress::InProgress);
    world.add_item(held);
    world.add_item(open);
    let points = |world: &World| world.report().targets[0].seen.unwrap().restore_points;
    world.run_for(MINUTE * 30);
    assert_eq!((points(&world), problems(&world)), (0, vec![]));
    world.run_for(MINUTE * 20);
    assert_eq!((points(&world), problems(&world)), (0, vec![Reason::Stuck]));
    world.run_for(MINUTE * 20);
    assert_eq!((points(&world), problems(&world)), (1, vec![Reason::Stuck]));
}

#[test]
fn the_report_tells_of_each_item_what_it_is_to_us() {
    let yaml = one("keep: {last: 2}, adopt: [\"mine-200\"]");
    let mut world = World::new(&yaml);
    world.foreign_snapshot(1, 200);
    world.foreign_snapshot(1, 100);
    world.run_for(DAY * 2);
    let standings = |world: &World| {
        let items = world.report().targets[0].items.clone();
        let times: Vec<_> = world.items(Kind::Snapshot, 1).iter().map(|item| item.created_at.as_second()).collect();
        assert_eq!(items.iter().map(|item| item.at().as_second()).collect::<Vec<_>>(), times);
        items.iter().map(|item| item.standing).collect::<Vec<_>>()
    };
    world.settle();
    assert_eq!(standings(&world), [Standing::Other, Standing::Ours, Standing::Ours], "the adopted one has gone");
    let newest = world.items(Kind::Snapshot, 1)[2].id;
    world.reload(&yaml.replace("policy: web}", &format!("policy: web, protect_ids: [{newest}]}}")).replace("mine-200", "mine-100"));
    world.settle();
    assert_eq!(standings(&world), [Standing::Adopted, Standing::Ours, Standing::SetAside]);
    world.always(On::Creates, Trouble::never_completes());
    world.run_until_that(DAY, |world| world.items(Kind::Snapshot, 1).len() == 4);
    world.run_for(MINUTE);
    assert_eq!(standings(&world)[3], Standing::Unfinished);
}
