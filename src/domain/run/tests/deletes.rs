//! Deletes: their answers, the look at what they did, and what drops them.

use super::*;
use crate::domain::mark::Mark;
use crate::domain::record::CreateIntent;
use crate::domain::testing::{ago, foreign};

/// A run whose first prune, of item 1 of four, was sent.
fn prune_sent() -> Story {
    let (mut story, told) = Story::pruning("last=4", &some(4));
    assert_eq!(told, ["completed", "release", "intend after_create 1"]);
    assert_eq!(story.recorded(), ["send delete 1"]);
    story
}

fn five() -> Vec<Item> {
    with(&some(4), coming(Status::Completed))
}

#[test]
fn what_is_shown_after_all_is_deleted_three_times_and_counted_once() {
    let mut story = prune_sent();
    for _ in 1..DELETES_SENT_MAX {
        story.deleted();
        story.pass(58);
        assert_eq!(story.show(&five()), [""; 0], "the provider is given time");
        assert_eq!(story.show(&five()), ["send delete 1"]);
    }
    story.deleted();
    assert_eq!(story.pass(60).show(&five()), ["delete ineffective", "end failure delete_failed"]);
    assert_eq!(story.facts, ["create success", "delete 1 success"]);
}

#[test]
fn a_doubt_is_settled_by_two_complete_listings() {
    let mut story = prune_sent();
    assert_eq!(story.delete_fails(SetbackKind::Doubtful), [""; 0]);
    assert_eq!(story.run.standing()[0].reason, Reason::DeleteUnknown);
    assert_eq!(story.show(&five()[1..]), [""; 0], "too early to tell");
    story.pass(60);
    assert_eq!(story.show(&five()[1..]), [""; 0]);
    assert_eq!(story.show_partly(&five()[1..], 1), [""; 0]);
    assert_eq!(story.show(&five()), [""; 0], "it is there again");
    assert_eq!(story.pass(60).show(&five()[1..]), [""; 0]);
    assert_eq!(story.show(&five()[1..]), ["delete gone", "end success"]);
    assert_eq!(story.facts, ["create success", "delete 1 success"]);
}

#[test]
fn a_doubt_that_was_not_done_is_sent_again_for_the_same_item() {
    let mut story = prune_sent();
    story.delete_fails(SetbackKind::Doubtful);
    story.pass(60).show(&five());
    assert_eq!(story.pass(60).show(&five()), ["send delete 1"]);
    story.deleted();
    assert_eq!(story.show(&five()[1..]), ["delete gone", "end success"]);
}

#[test]
fn a_doubt_that_stays_is_told() {
    let mut story = prune_sent();
    story.delete_fails(SetbackKind::Doubtful);
    assert_eq!(story.pass(600).look(), ["end failure delete_unknown"]);
    assert_eq!(story.facts, ["create success", "delete 1 unknown"]);
}

#[test]
fn a_no_ends_the_run() {
    let mut story = prune_sent();
    assert_eq!(story.delete_fails(SetbackKind::Refused), ["delete refused", "end failure delete_failed"]);
}

#[test]
fn one_that_was_not_sent_is_planned_anew_on_a_fresh_listing() {
    let mut story = prune_sent();
    for pause in [2, 4, 8, 16] {
        assert_eq!(story.pass(1).delete_fails(SetbackKind::NotSent), ["delete refused"]);
        assert_eq!(story.run.want.wake, Some(story.mono().after(Duration::from_secs(pause))));
        assert_eq!(story.pass(pause).look(), [""; 0], "the listing is from before");
        assert_eq!(story.show(&five()), ["intend after_create 1"]);
        story.recorded();
    }
    assert_eq!(story.delete_fails(SetbackKind::NotSent), ["delete refused", "end failure delete_failed"]);
    let mut story = prune_sent();
    story.delete_fails(SetbackKind::NotSent);
    story.restoring = true;
    assert_eq!(story.pass(2).show(&five()), ["end success restoring"], "meanwhile a restore has begun");
}

#[test]
fn one_that_waited_too_long_for_its_turn_is_planned_anew_as_often_as_that_takes() {
    let mut story = prune_sent();
    for _ in 0..2 * UNSENT_MAX {
        assert_eq!(story.pass(61).delete_fails(SetbackKind::Outdated), ["delete refused"]);
        assert_eq!(story.look(), [""; 0], "the listing is too old");
        assert_eq!(story.show(&five()), ["intend after_create 1"]);
        assert_eq!(story.recorded(), ["send delete 1"]);
    }
}

#[test]
fn a_change_between_intent_and_sending_drops_the_delete() {
    type Change = fn(&mut Story);
    let changes: [(&str, Change); 5] = [
        ("end success", |story| story.generation = 2),
        ("end success", |story| story.policy = None),
        ("end success restoring", |story| story.restoring = true),
        ("end success name_mismatch", |story| story.other_name = Some("db")),
        ("end success listing_incomplete", |story| {
            story.freeze = Some(Problem { reason: Reason::ListingIncomplete, detail: String::new() });
        }),
    ];
    for (end, change) in changes {
        let (mut story, _) = Story::pruning("last=4", &some(4));
        change(&mut story);
        let mut told = story.recorded();
        while story.ended.is_none() {
            told.extend(story.show(&five()));
        }
        assert_eq!(told, ["delete refused", end]);
    }
}

#[test]
fn what_a_newer_listing_no_longer_shows_drops_the_delete() {
    let newer: [(&str, Vec<Item>); 3] = [
        ("the other good ones are gone", without(&without(&without(&five(), 2), 3), 4)),
        ("the item that was just made is not shown", some(4)),
        ("the item itself looks different", with(&five()[1..], Item { server_name: "db-01".into(), ..ours(1, 99) })),
    ];
    for (what, shown) in newer {
        let (mut story, told) = Story::pruning("last=4", &some(4));
        assert_eq!(told[2], "intend after_create 1");
        story.policy.as_mut().unwrap().min_keep = 2;
        assert_eq!(story.show(&shown), [""; 0]);
        assert_eq!(story.recorded()[0], "delete refused", "{what}");
    }
}

#[test]
fn room_that_has_come_by_itself_is_not_made() {
    let mut story = Story::new("last=5");
    assert_eq!(story.show(&some(5)), ["intend before_create 1"]);
    assert_eq!(story.show(&without(&some(5), 3)), [""; 0], "somebody has deleted one");
    assert_eq!(story.recorded(), ["delete refused", "intend create 1 of prod-web-20261121T120000Z"]);
}

#[test]
fn a_listing_that_got_old_before_the_journal_answered_is_replaced() {
    let (mut story, _) = Story::pruning("last=4", &some(4));
    assert_eq!(story.pass(61).recorded(), ["delete refused"]);
    assert_eq!(story.show(&five()), ["intend after_create 1"]);
}

#[test]
fn a_reload_in_the_middle_of_pruning_drops_the_rest() {
    let (mut story, told) = Story::pruning("last=3", &some(4));
    assert_eq!(told[2], "intend after_create 1");
    story.recorded();
    story.generation = 2;
    story.deleted();
    assert_eq!(story.show(&five()[1..]), ["delete gone", "end success"]);
}

#[test]
fn without_a_reload_the_fuse_says_how_far_it_goes() {
    let (mut story, _) = Story::pruning("last=1", &some(4));
    story.recorded();
    story.deleted();
    assert_eq!(story.show(&five()[1..]), ["delete gone", "intend after_create 2 extra"]);
    story.recorded();
    story.deleted();
    assert_eq!(story.show(&five()[2..]), ["delete gone", "end success fuse"]);
}

#[test]
fn an_item_that_changed_drops_the_rest_of_the_plan() {
    let (mut story, _) = Story::pruning("last=1", &some(4));
    story.recorded();
    story.deleted();
    let mut items = five()[1..].to_vec();
    items[0].description = "renamed by a person".into();
    assert_eq!(story.show(&items), ["delete gone", "end success fuse"]);
}

#[test]
fn nothing_is_deleted_on_a_listing_that_is_not_complete() {
    let mut story = Story::sent("last=4", &some(4));
    story.created(coming(Status::InProgress));
    assert_eq!(story.show_partly(&five(), 1), ["completed", "release"]);
    for _ in 2..LOOKS_MAX {
        assert_eq!(story.show_partly(&five(), 1), [""; 0]);
    }
    assert_eq!(story.show_partly(&five(), 1), ["end success listing_incomplete"]);
    let mut story = Story::sent("last=4", &some(4));
    story.created(coming(Status::InProgress));
    story.show_partly(&five(), 1);
    assert_eq!(story.show(&five()), ["intend after_create 1"], "the next one is complete");
}

#[test]
fn without_a_listing_the_run_ends_well_and_tells_that_it_pruned_nothing() {
    let (mut story, _) = Story::pruning("last=4", &some(4));
    assert_eq!(story.pass(61).recorded(), ["delete refused"]);
    assert_eq!(story.pass(599).look(), [""; 0]);
    assert_eq!(story.pass(1).look(), ["end success listing_incomplete"]);
}

#[test]
fn the_state_of_the_servers_must_be_fresh() {
    let mut story = Story::sent("last=4", &some(4));
    story.created(coming(Status::InProgress));
    story.servers = Some(Mono::default());
    story.pass(1);
    story.inventory = Some(inventory(listing(five()), story.second));
    assert_eq!(story.look(), ["completed", "release"]);
    assert_eq!(story.run.want.servers, Some(Mono(Duration::from_secs(story.second - 60))));
    story.servers = Some(story.mono());
    assert_eq!(story.look(), ["intend after_create 1"]);
}

#[test]
fn room_that_no_create_has_paid_for_is_not_made_twice() {
    let mut blocked = Story { memory: refused_in_the_room(Story::new("last=5"), &some(5)), ..Story::new("last=5") };
    // Somebody fills the slot: the next run is blocked, and with a free slot it goes on and pays.
    let full = with(&some(5)[1..], foreign(99, 1));
    assert_eq!(blocked.pass(10).show(&full), ["end blocked cap_full"]);
    let mut story = Story { memory: blocked.memory, ..Story::new("last=3") };
    assert_eq!(story.pass(20).show(&some(5)[1..])[0], "intend create 2 of prod-web-20261121T120000Z");
    story.recorded();
    story.created(coming(Status::InProgress));
    let told = story.show(&with(&some(5)[1..], coming(Status::Completed)));
    assert_eq!(told, ["completed", "release", "intend after_create 2 extra"], "the create has paid for the room");
}

/// A run makes room among these, of which the first goes, and sends its create.
fn sent_into_the_room(mut story: Story, items: &[Item]) -> Story {
    assert_eq!(story.show(items), ["intend before_create 1"]);
    story.recorded();
    story.deleted();
    story.show(&items[1..]);
    story.recorded();
    story
}

/// What is remembered once that create is refused.
fn refused_in_the_room(story: Story, items: &[Item]) -> Memory {
    let mut story = sent_into_the_room(story, items);
    assert_eq!(story.create_fails(SetbackKind::Refused), ["create refused", "end failure create_failed"]);
    story.memory
}

/// Then the hole is filled by this item, and the next run comes.
fn after_the_hole_was_filled(story: Story, items: &[Item], by: Item) -> Vec<String> {
    let mut next = Story { memory: refused_in_the_room(story, items), ..Story::new("last=5") };
    next.pass(10).show(&with(&items[1..], by))
}

/// The same beside an item that is not ours.
fn after_the_hole_was_filled_by(mark: &Mark, hours: i64) -> Vec<String> {
    let item = Item { description: mark.description().into(), ..ours(99, hours) };
    after_the_hole_was_filled(Story::new("last=5"), &with(&some(4), foreign(98, 1)), item)
}

#[test]
fn where_every_slot_holds_a_restore_point_of_ours_there_is_no_hole() {
    assert_eq!(after_the_hole_was_filled(Story::new("last=5"), &some(5), ours(99, 50)), ["intend before_create 2"]);
    // A list that lags behind shows the very item that made room.
    assert_eq!(after_the_hole_was_filled(Story::new("last=5"), &some(5), some(1).remove(0)), ["end blocked cap_full"]);
    let failed = with_status(ours(99, 50), Status::Failed);
    assert_eq!(after_the_hole_was_filled(Story::new("last=5"), &some(5), failed), ["intend before_create 99 extra"]);
    let unfinished = with_status(ours(99, 50), Status::InProgress);
    assert_eq!(after_the_hole_was_filled(Story::new("last=5"), &some(5), unfinished), ["end blocked cap_full"]);
}

#[test]
fn what_is_shown_long_after_it_was_seen_to_be_gone_never_went() {
    for (keep, items) in [("last=5", some(5)), ("last=4", with(&some(4), foreign(98, 1)))] {
        let next = |before: Story| Story { memory: before.memory, next_op: before.next_op, ..Story::new(keep) };
        let mut story = Story::new(keep);
        for seconds in [0, 1_100] {
            story = next(story);
            assert_eq!(story.pass(seconds).show(&items), ["intend before_create 1"]);
            story.recorded();
            assert_eq!(story.delete_fails(SetbackKind::Doubtful), [""; 0]);
            story.pass(70).show(&items[1..]);
            assert_eq!(story.pass(60).show(&items[1..])[0], "delete gone");
            story.recorded();
            assert_eq!(story.create_fails(SetbackKind::Refused)[1], "end failure create_failed");
            story = next(story);
            assert_eq!(story.pass(seconds + 200).show(&items), ["end blocked cap_full"], "a list that lags behind");
        }
        assert_eq!(next(story).pass(2_200).show(&items), ["intend before_create 1"], "and how often that was does not count");
    }
}

#[test]
fn what_was_there_when_room_was_planned_pays_for_nothing() {
    // Made for a later slot: by a daemon whose clock is ahead, or before a reload has brought a policy whose newest slot is an earlier one. Or dated ahead.
    for (slot, created) in [(-20, 0), (-1, 0), (-20, -24)] {
        let before = Item { description: slot_mark(ago(slot)).description().into(), ..ours(98, created) };
        let items = with(&some(4), before);
        assert_eq!(after_the_hole_was_filled(Story::new("last=5"), &items, foreign(99, 0)), ["end blocked cap_full"]);
    }
    // Not shown then, and older than what was: by its time it was there.
    let late = Item { description: slot_mark(ago(-1)).description().into(), ..ours(99, 120) };
    assert_eq!(after_the_hole_was_filled(Story::new("last=5"), &with(&some(4), foreign(98, 1)), late), ["end blocked cap_full"]);
}

/// The journal says that an item was made, and completed; its mark was edited away.
fn made_and_edited(story: &mut Story) -> Item {
    let mark = slot_mark(ago(1));
    let (op, run, at) = (OpId(1), RunId(0), now());
    let intent = CreateIntent {
        op,
        run,
        subject: (&start().target).into(),
        origin: mark.origin.clone(),
        name: None,
        description: mark.description().into(),
        attempt: 1,
        at,
        config: "".into(),
        policy_text: None,
    };
    story.memory.apply(&Record::CreateIntent(intent.into()));
    story.memory.apply(&Record::CreateAccepted { op, item: ItemId(98), at });
    story.memory.apply(&Record::CreateCompleted { op, at });
    Item { description: "edited".to_owned().into(), ..ours(98, 0) }
}

#[test]
fn what_gets_its_mark_back_pays_for_no_room_of_before() {
    let mut story = Story::new("last=5");
    let edited = made_and_edited(&mut story);
    let items = with(&some(4), edited.clone());
    let memory = refused_in_the_room(story, &items);
    let restored = Item { description: slot_mark(ago(1)).description().into(), ..edited };
    let mut next = Story { memory, ..Story::new("last=5") };
    let items = with(&with(&some(4)[1..], restored), foreign(99, 0));
    assert_eq!(next.pass(10).show(&items), ["end blocked cap_full"]);
}

#[test]
fn what_becomes_ours_by_a_reload_pays_for_no_room_of_before() {
    let theirs = Mark { owner: "old".into(), ..slot_mark(ago(-1)) };
    let items = with(&some(4), Item { description: theirs.description().into(), ..ours(98, 0) });
    let mut story = Story::new("last=5");
    story.wanted.former_owners.clear();
    assert_eq!(after_the_hole_was_filled(story, &items, foreign(99, 0)), ["end blocked cap_full"]);
}

#[test]
fn an_item_of_ours_that_is_newer_has_paid_for_the_room() {
    let hand = Mark { owner: "prod".into(), origin: Origin::Hand { at: now() }, until: None };
    for mark in [hand, slot_mark(ago(-1)), slot_mark(ago(30))] {
        assert_eq!(after_the_hole_was_filled_by(&mark, 0), ["intend before_create 2"], "{mark:?}");
    }
    // What has no mark is no measure, be it dated far ahead.
    let items = with(&some(4), foreign(98, -24));
    assert_eq!(after_the_hole_was_filled(Story::new("last=5"), &items, ours(99, -1)), ["intend before_create 2"]);
    let theirs = Mark { owner: "test".into(), ..slot_mark(ago(-1)) };
    assert_eq!(after_the_hole_was_filled_by(&theirs, 0), ["end blocked cap_full"]);
}

#[test]
fn a_hole_that_was_filled_unseen_is_no_debt() {
    let memory = refused_in_the_room(Story::new("last=5"), &some(5));
    // It was filled for an earlier slot, and a person has freed one.
    let mut next = Story { memory, ..Story::new("last=2") };
    let items = with(&some(5)[2..], ours(98, 1));
    assert_eq!(next.pass(10).show(&items), ["intend create 2 of prod-web-20261121T120000Z"]);
    next.recorded();
    next.created(coming(Status::InProgress));
    assert_eq!(next.show(&with(&items, coming(Status::Completed))), ["completed", "release", "intend after_create 3"]);
}

#[test]
fn a_create_that_completed_unnoticed_has_paid_for_its_room() {
    // The provider said no and made it all the same, or said that it had failed.
    let mut refused = sent_into_the_room(Story::new("last=5"), &some(5));
    assert_eq!(refused.create_fails(SetbackKind::Refused), ["create refused", "end failure create_failed"]);
    let mut failed = sent_into_the_room(Story::new("last=5"), &some(5));
    failed.created(coming(Status::InProgress));
    assert_eq!(failed.show(&with(&some(5)[1..], coming(Status::Failed))), ["create failed", "release", "end failure create_failed"]);
    for story in [refused, failed] {
        let later = slot_mark(now() + Duration::from_secs(3600));
        let order = Order { description: later.description().into(), slot: later.slot(), ..order() };
        let run = Run::new(Start { id: RunId(2), order, origin: later.origin, deadline: None, ..start() });
        let mut next = Story { memory: story.memory, ..Story::of(run, "last=5") };
        let items = with(&some(5)[1..], coming(Status::Completed));
        assert_eq!(next.pass(30).show(&items), ["intend before_create 2"]);
    }
}

#[test]
fn a_delete_in_the_room_that_was_not_sent_is_planned_anew() {
    let mut story = Story::new("last=5");
    story.show(&some(5));
    story.recorded();
    assert_eq!(story.delete_fails(SetbackKind::NotSent), ["delete refused"]);
    story.pass(2);
    assert_eq!(story.show(&some(4)), ["intend create 1 of prod-web-20261121T120000Z"], "a slot has become free meanwhile");
}

#[test]
fn nothing_is_deleted_where_the_journal_cannot_be_written() {
    let mut story = Story::new("last=5");
    story.show(&some(5));
    let op = story.in_flight.pop().unwrap();
    assert_eq!(story.step(Event::NotRecorded(op, "full".to_owned())), ["end failure"]);
    let (mut story, _) = Story::pruning("last=4", &some(4));
    let op = story.in_flight.pop().unwrap();
    assert_eq!(story.step(Event::NotRecorded(op, "full".to_owned())), ["end failure"]);
}

/// A listing that comes after the plan shows that a person has deleted something: what the plan let go is to stay now.
#[test]
fn what_is_to_stay_by_now_does_not_go_by_an_older_plan() {
    // While the intent was being written.
    let (mut story, told) = Story::pruning("last=4", &some(4));
    assert_eq!(told, ["completed", "release", "intend after_create 1"]);
    let left = without(&with(&some(4), coming(Status::Completed)), 3);
    assert_eq!(story.show(&left), [""; 0]);
    assert_eq!(story.recorded(), ["delete refused", "end success"]);
    // While it was in doubt.
    let (mut story, _) = Story::pruning("last=4", &some(4));
    assert_eq!(story.recorded(), ["send delete 1"]);
    assert_eq!(story.delete_fails(SetbackKind::Doubtful), [""; 0]);
    let told = [61, 61].map(|seconds| story.pass(seconds).show(&left)).concat();
    assert_eq!(told, ["delete ineffective", "end success"]);
    // While another delete was on its way.
    let (mut story, _) = Story::pruning("last=3", &some(4));
    story.recorded();
    story.deleted();
    let left = without(&with(&some(4)[1..], coming(Status::Completed)), 3);
    assert_eq!(story.show(&left), ["delete gone", "end success"], "2 is the third by now");
    // While room was being made.
    let mut story = Story::new("last=5");
    story.show(&some(5));
    let mut other = with(&without(&some(5), 2), crate::domain::testing::ours(0, 200));
    other.sort_by_key(|item| item.created_at);
    story.show(&other);
    let told = story.recorded();
    assert_eq!(told, ["delete refused", "intend before_create 0"], "another one is the oldest by now");
}

#[test]
fn after_the_deadline_room_is_made_for_nothing_more() {
    let mut story = Story::new("last=5");
    story.show(&some(5));
    story.recorded();
    story.deleted();
    story.pass(7200);
    assert_eq!(story.show(&some(5)[1..]), ["delete gone", "end failure"]);
}

/// A delete in doubt that was not done is sent again for a create only.
#[test]
fn room_is_not_made_again_where_no_create_would_follow() {
    let in_doubt = |seconds| {
        let mut story = Story::new("last=5");
        assert_eq!(story.pass(seconds).show(&some(5)), ["intend before_create 1"]);
        assert_eq!(story.recorded(), ["send delete 1"]);
        story.delete_fails(SetbackKind::Doubtful);
        story
    };
    let twice = |story: &mut Story, items: &[Item]| [61, 61].map(|seconds| story.pass(seconds).show(items)).concat();
    assert_eq!(twice(&mut in_doubt(0), &some(5)), ["send delete 1"]);
    assert_eq!(twice(&mut in_doubt(7100), &some(5)), ["delete ineffective", "end failure"], "it is too late for one");
    let other = with(&without(&some(5), 3), coming(Status::Completed));
    assert_eq!(twice(&mut in_doubt(0), &other), ["delete ineffective", "end skipped"], "another daemon has made the item");
    let newer = with(&without(&some(5), 3), ours(98, 40));
    let told = ["delete ineffective", "intend before_create 1"];
    assert_eq!(twice(&mut in_doubt(0), &newer), told, "what is there before it goes must not pay for it");
}

/// An extra delete is counted against the day's fuse by its own intent.
#[test]
fn the_last_extra_delete_of_a_day_is_sent_by_a_newer_listing_too() {
    let (mut story, _) = Story::pruning("last=3", &some(4));
    story.recorded();
    story.deleted();
    story.wanted.fuse.extra_per_day = 1;
    let left = with(&some(4)[1..], coming(Status::Completed));
    assert_eq!(story.show(&left), ["delete gone", "intend after_create 2 extra"]);
    assert_eq!(story.show(&left), [""; 0]);
    assert_eq!(story.recorded(), ["send delete 2"]);
}
