//! Entries resolved against servers.

use super::*;
use crate::domain::globs::Globs;
use crate::domain::testing::{globs, policy};

fn server(id: u64, name: &str, status: &str) -> Server {
    Server { id: ServerId(id), name: name.into(), status: status.into() }
}

fn entry(place: &str, selector: Selector) -> ServerEntry {
    let assignment = Assignment { snapshot: Some(Arc::new(policy("last=2"))), backup: None };
    ServerEntry { selector, assignment, protect_ids: vec![ItemId(801)], paused_until: None, place: place.to_owned() }
}

fn by_id(place: &str, id: u64, name: Option<&str>) -> ServerEntry {
    entry(place, Selector::Id { id: ServerId(id), name: name.map(str::to_owned) })
}

fn by_name(place: &str, pattern: &str, at_least: u32) -> ServerEntry {
    entry(place, Selector::Match { patterns: globs(&[pattern]), exclude: globs(&["*-test"]), at_least })
}

fn none(entry: ServerEntry) -> ServerEntry {
    ServerEntry { assignment: Assignment::default(), ..entry }
}

fn ids(fleet: &Fleet) -> Vec<u64> {
    fleet.members.keys().map(|id| id.0).collect()
}

#[test]
fn numbers_and_names_are_resolved() {
    let servers = [server(1, "web-1", "active"), server(2, "db-1", "restoring"), server(3, "db-test", "active"), server(4, "ci", "active")];
    let fleet = resolve(&[by_id("a:1", 1, Some("web-one")), by_name("a:2", "db-*", 1)], Some(&servers));
    assert_eq!((ids(&fleet), fleet.faults.len()), (vec![1, 2], 0));
    let web = fleet.members.get(&ServerId(1)).unwrap();
    assert_eq!((&*web.name, web.expected_name.as_deref(), web.missing, web.restoring), ("web-1", Some("web-one"), false, false));
    assert_eq!(web.protect_ids, [ItemId(801)]);
    assert!(fleet.members.get(&ServerId(2)).unwrap().restoring);
}

#[test]
fn a_server_that_is_not_told_is_missing_and_without_a_list_none_is() {
    let entries = [by_id("a:1", 9, Some("gone")), by_name("a:2", "db-*", 0)];
    let told = resolve(&entries, Some(&[]));
    assert!(told.members.get(&ServerId(9)).unwrap().missing && told.faults.is_empty());
    let untold = resolve(&entries, None);
    assert!(!untold.members.get(&ServerId(9)).unwrap().missing);
    assert_eq!(&*untold.members.get(&ServerId(9)).unwrap().name, "gone");
    assert_eq!(untold.faults, ["a:2: `match` cannot be resolved: the provider does not tell its servers"]);
}

#[test]
fn too_few_matches_are_told() {
    let fleet = resolve(&[by_name("a:2", "db-*", 3)], Some(&[server(2, "db-1", "active")]));
    assert_eq!((ids(&fleet), &fleet.faults[..]), (vec![2], &["a:2: `match` finds 1 servers where `at_least` asks for 3".to_owned()][..]));
}

#[test]
fn a_number_goes_before_a_name() {
    let entries = [by_name("a:1", "*", 0), none(by_id("a:2", 2, None))];
    let fleet = resolve(&entries, Some(&[server(1, "web", "active"), server(2, "db", "active")]));
    assert_eq!(ids(&fleet), [1], "`policy: none` by number wins over a name");
}

#[test]
fn two_names_for_one_server_are_a_conflict_even_where_one_says_none() {
    let servers = [server(1, "web-1", "active"), server(2, "db", "active")];
    for entries in [
        [by_name("a:1", "web-*", 0), by_name("a:2", "*-1", 0)],
        [none(by_name("a:1", "web-*", 0)), by_name("a:2", "*-1", 0)],
        [by_name("a:1", "web-*", 0), none(by_name("a:2", "*-1", 0))],
    ] {
        let fleet = resolve(&entries, Some(&servers));
        assert_eq!(ids(&fleet), [1]);
        let member = fleet.members.get(&ServerId(1)).unwrap();
        assert_eq!(member.conflict.as_deref(), Some("named by the entries at a:1 and a:2"));
        assert!(!member.assignment.is_none(), "the problem is told of some target");
    }
}

#[test]
fn two_names_that_both_say_none_want_nothing() {
    let entries = [none(by_name("a:1", "web-*", 0)), none(by_name("a:2", "*-1", 0))];
    assert!(resolve(&entries, Some(&[server(1, "web-1", "active")])).members.is_empty());
}

#[test]
fn an_empty_pattern_list_names_nobody() {
    let nobody = entry("a:1", Selector::Match { patterns: Globs::none(), exclude: Globs::none(), at_least: 0 });
    assert!(resolve(&[nobody], Some(&[server(1, "web", "active")])).members.is_empty());
}
