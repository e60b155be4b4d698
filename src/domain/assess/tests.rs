//! Whose each item is, why it is left, and what retention makes of it.

use proptest::prelude::*;

use super::*;
use crate::domain::mark::Mark;
use crate::domain::testing::*;

/// Each item with whose it is, what becomes of it and why.
fn told(scene: &Scene) -> Vec<String> {
    let view = scene.inventory.of(SERVER);
    let rows = assess(view.items, &scene.wanted, &scene.policy, scene.knowledge(), now(), None);
    let words = |row: &Row<'_>| row.reasons.iter().map(Why::to_string).collect::<Vec<_>>().join("; ");
    let line = |row: &Row<'_>| format!("{} {} {}: {}", row.item.id, row.belonging.as_str(), row.verdict.as_str(), words(row));
    rows.iter().map(line).collect()
}

fn one(item: Item) -> String {
    told(&Scene::new("last=4", vec![item])).remove(0)
}

#[test]
fn each_item_is_somebodys() {
    assert_eq!(one(ours(1, 5)), "1 ours keep: last 1");
    let hand = Mark { owner: "old".into(), origin: Origin::Hand { at: ago(5) }, until: None };
    assert_eq!(one(item(1, 5, &hand.description())), "1 ours keep: last 1");
    assert_eq!(one(foreign(1, 5)), "1 other leave: made by others");
    assert_eq!(one(Item { automatic: true, ..ours(1, 5) }), "1 automatic leave: made by the provider's own plan");
    let elsewhere = Mark { owner: "test".into(), ..slot_mark(ago(5)) };
    assert_eq!(one(item(1, 5, &elsewhere.description())), "1 other leave: carries the mark of `test`");
    assert_eq!(one(item(1, 5, "snapwarden owner=prod policy=web")), "1 other leave: carries a mark that cannot be read");
}

#[test]
fn adopt_and_protect_look_at_items_without_a_mark_only() {
    let mut scene =
        Scene::new("last=4", vec![named(foreign(1, 9), "nightly"), named(foreign(2, 8), "pre-move"), named(ours(3, 7), "pre-x")]);
    scene.policy.adopt = globs(&["*"]);
    scene.policy.protect = globs(&["pre-*"]);
    assert_eq!(told(&scene), ["1 adopted keep: last 2", "2 other leave: protected by `pre-*`", "3 ours keep: last 1"]);
}

#[test]
fn of_backups_the_description_is_matched() {
    let mut scene =
        Scene::new("last=4", vec![Item { name: None, ..item(1, 5, "nightly dump") }, Item { name: None, ..item(2, 4, "other") }]);
    scene.policy.adopt = globs(&["nightly*"]);
    assert_eq!(told(&scene), ["1 adopted keep: last 1", "2 other leave: made by others"]);
}

#[test]
fn an_item_may_be_left_alone_for_many_reasons() {
    assert_eq!(one(with_status(ours(1, 5), Status::InProgress)), "1 ours leave: in progress");
    assert_eq!(one(with_status(ours(1, 5), Status::Unknown("odd".into()))), "1 ours leave: its status `odd` is not known");
    let held = Mark { until: Some(ago(-1)), ..slot_mark(ago(5)) };
    assert_eq!(one(item(1, 5, &held.description())), "1 ours leave: held until 2026-11-21T13:00:00Z");
    let over = Mark { until: Some(now()), ..slot_mark(ago(5)) };
    assert_eq!(one(item(1, 5, &over.description())), "1 ours keep: last 1");
    let ahead = |seconds| Item { created_at: now() + SignedDuration::from_secs(seconds), ..ours(1, 0) };
    assert_eq!(one(ahead(300)), "1 ours keep: last 1");
    assert_eq!(one(ahead(301)), "1 ours leave: dated in the future, 2026-11-21T12:05:01Z");
}

#[test]
fn protected_numbers_and_the_operators_holds_leave_ours_and_adopted_ones_alone() {
    let mut scene = Scene::new("last=1", vec![ours(1, 9), foreign(2, 8), ours(3, 7)]);
    scene.policy.adopt = globs(&["*"]);
    scene.protected = vec![ItemId(1)];
    scene.held.insert(ItemId(2), ago(-24));
    let expected = ["1 ours leave: protected by its number", "2 adopted leave: held until 2026-11-22T12:00:00Z", "3 ours keep: last 1"];
    assert_eq!(told(&scene), expected);
}

#[test]
fn the_longer_of_two_holds_counts() {
    let mark = Mark { until: Some(ago(-2)), ..slot_mark(ago(5)) };
    let mut scene = Scene::new("last=1", vec![item(1, 5, &mark.description())]);
    scene.held.insert(ItemId(1), ago(-1));
    assert_eq!(told(&scene), ["1 ours leave: held until 2026-11-21T14:00:00Z"]);
}

#[test]
fn a_lost_mark_is_told_and_the_journal_stands_for_it() {
    for text in ["", "edited by hand", "snapwarden owner=prod policy=web slot=gone"] {
        let mut scene = Scene::new("last=4", vec![item(1, 5, text)]);
        scene.made.insert(ItemId(1), slot_mark(ago(5)).origin);
        let view = scene.inventory.of(SERVER);
        let rows = assess(view.items, &scene.wanted, &scene.policy, scene.knowledge(), now(), None);
        assert!(rows[0].mark_lost && rows[0].judged, "{text:?}");
        assert_eq!((rows[0].belonging, rows[0].slot()), (Belonging::Ours, Some(ago(5))));
    }
    // Another installation's whole mark counts for more than our journal.
    let elsewhere = Mark { owner: "test".into(), ..slot_mark(ago(5)) };
    let mut scene = Scene::new("last=4", vec![item(1, 5, &elsewhere.description())]);
    scene.made.insert(ItemId(1), slot_mark(ago(5)).origin);
    assert_eq!(told(&scene), ["1 other leave: carries the mark of `test`"]);
}

#[test]
fn failed_ones_go_once_a_newer_one_is_complete() {
    let failed = |id, hours| with_status(ours(id, hours), Status::Failed);
    let scene = Scene::new("last=4", vec![failed(1, 9), ours(2, 8), failed(3, 7)]);
    let expected = [
        "1 ours delete: failed, and a newer one is complete",
        "2 ours keep: last 1",
        "3 ours leave: failed; stays until a newer one is complete",
    ];
    assert_eq!(told(&scene), expected);
    let mut adopted = Scene::new("last=4", vec![with_status(foreign(1, 9), Status::Failed), ours(2, 8)]);
    adopted.policy.adopt = globs(&["*"]);
    assert_eq!(told(&adopted)[0], "1 adopted leave: failed, and not made by us");
}

#[test]
fn min_keep_keeps_the_newest_of_those_that_retention_drops() {
    let mut scene = Scene::new("last=1", vec![ours(1, 9), ours(2, 8), ours(3, 7), foreign(4, 6)]);
    scene.policy.min_keep = 2;
    assert_eq!(told(&scene)[..3], ["1 ours delete: older than the newest", "2 ours keep: min_keep 2", "3 ours keep: last 1"]);
}

#[test]
fn what_is_unfinished_failed_or_held_pushes_no_good_one_out() {
    let items = vec![ours(1, 9), with_status(ours(2, 8), Status::InProgress), with_status(ours(3, 7), Status::Failed), ours(4, 6)];
    let mut scene = Scene::new("last=2", items);
    scene.held.insert(ItemId(4), ago(-1));
    assert_eq!(told(&scene)[0], "1 ours keep: last 1");
}

#[test]
fn of_one_slot_the_lowest_number_counts_but_the_newest_item_stays() {
    let twin = |id, hours| item(id, hours, &slot_mark(ago(5)).description());
    let scene = Scene::new("last=4", vec![twin(1, 5), twin(2, 4)]);
    assert_eq!(told(&scene), ["1 ours keep: last 1", "2 ours keep: the newest; second item of one slot; 1 counts"]);
    let scene = Scene::new("last=4", vec![twin(1, 5), twin(2, 4), ours(3, 3)]);
    assert_eq!(told(&scene)[1], "2 ours delete: second item of one slot; 1 counts");
}

#[test]
fn one_that_is_coming_takes_its_place() {
    let scene = Scene::new("last=2", vec![with_status(ours(1, 9), Status::Failed), ours(2, 8), ours(3, 7)]);
    let view = scene.inventory.of(SERVER);
    let rows = assess(view.items, &scene.wanted, &scene.policy, scene.knowledge(), now(), Some(Some(now())));
    let verdicts: Vec<_> = rows.iter().map(|row| row.verdict).collect();
    assert_eq!(verdicts, [Verdict::Delete, Verdict::Delete, Verdict::Keep]);
}

/// A few items within days, some of one slot, by hand, failed or in progress, the older ones not always with the lower number.
fn items() -> impl Strategy<Value = Vec<Item>> {
    let item = (0..200i64, 0..6i64, 0..10u8).prop_map(|(hours, slot, what)| match what {
        0 => with_status(ours(0, hours), Status::Failed),
        1 => with_status(ours(0, hours), Status::InProgress),
        2 => foreign(0, hours),
        3 => item(0, hours, &slot_mark(ago(24 * slot)).description()),
        _ => ours(0, hours),
    });
    (prop::collection::vec(item, 0..8), any::<bool>()).prop_map(|(items, is_turned)| {
        let count = items.len() as u64;
        let number = |place: u64| ItemId(if is_turned { 800 - place } else { 800 + place });
        let mut items: Vec<Item> = (0..count).zip(items).map(|(place, item)| Item { id: number(place), ..item }).collect();
        items.sort_by_key(|item| (item.created_at, item.id));
        items
    })
}

proptest! {
    #[test]
    fn judging_a_coming_item_is_judging_twice(
        items in items(),
        keep in prop::sample::select(vec!["last=1", "last=3", "daily=2", "daily=2,weekly=1", "hourly=1,daily=1,weekly=1,monthly=1", "last=0"]),
        min_keep in 1..4u32,
        slot in prop_oneof![Just(None), (0..3i64).prop_map(|days| Some(ago(24 * days)))],
    ) {
        let scene = Scene::new(keep, items);
        let policy = KindPolicy { min_keep, ..scene.policy.clone() };
        let view = scene.inventory.of(SERVER);
        let judged = |coming| assess(view.items, &scene.wanted, &policy, scene.knowledge(), now(), coming);
        let mut rows = assess_belonging(view.items, &scene.wanted, &policy, scene.knowledge(), now());
        let dropped = judge_coming(&mut rows, &policy, now(), slot).map(|(index, ruling)| (index, Reasons::from(Why::Ruled(ruling))));
        let before = judged(None);
        let first = before.iter().enumerate().find(|(_, row)| row.judged && row.verdict == Verdict::Delete);
        prop_assert_eq!(dropped, first.map(|(index, row)| (index, row.reasons.clone())));
        let verdicts = |rows: &[Row<'_>]| rows.iter().map(|row| (row.verdict, row.reasons.clone())).collect::<Vec<_>>();
        prop_assert_eq!(verdicts(&rows), verdicts(&judged(Some(slot))));
    }
}
