//! The create: before it, its answers, and the wait.

use super::*;
use crate::domain::policy::AtCap;

const NAME: &str = "prod-web-20261121T120000Z";

fn intend(attempt: u32) -> String {
    format!("intend create {attempt} of {NAME}")
}

#[test]
fn a_free_slot_is_filled_and_the_oldest_is_pruned() {
    let mut story = Story::new("last=4");
    assert_eq!(story.look(), [""; 0]);
    assert_eq!((story.run.want.urgent, story.run.want.listing), (true, Some(Mono(Duration::from_secs(940)))));
    assert_eq!(story.show(&some(4)), [intend(1)]);
    assert!(story.run.is_in_flight());
    assert_eq!(story.recorded(), ["send create"]);
    assert_eq!(story.created(coming(Status::InProgress)), ["accepted 900"]);
    assert_eq!(story.show(&with(&some(4), coming(Status::InProgress))), [""; 0]);
    assert_eq!(story.show(&with(&some(4), coming(Status::Completed))), ["completed", "release", "intend after_create 1"]);
    assert_eq!(story.recorded(), ["send delete 1"]);
    assert_eq!(story.deleted(), [""; 0]);
    assert_eq!(story.show(&with(&some(4)[1..], coming(Status::Completed))), ["delete gone", "end success"]);
    assert_eq!((&story.run.created[..], &story.run.deleted[..]), (&[ItemId(900)][..], &[ItemId(1)][..]));
    assert_eq!(story.facts, ["create success", "delete 1 success"]);
}

#[test]
fn at_the_cap_room_is_made_and_looked_at_before_the_create() {
    let mut story = Story::new("last=5");
    assert_eq!(story.show(&some(5)), ["intend before_create 1"]);
    assert_eq!(story.recorded(), ["send delete 1"]);
    story.deleted();
    assert_eq!(story.show(&some(5)), [""; 0], "still shown");
    assert_eq!(story.show(&some(5)[1..]), ["delete gone".to_owned(), intend(1)]);
    story.recorded();
    story.created(coming(Status::InProgress));
    assert_eq!(story.show(&with(&some(5)[1..], coming(Status::Completed))), ["completed", "release", "end success"]);
}

#[test]
fn a_slot_that_somebody_took_after_room_was_made_is_not_filled_twice() {
    let mut story = Story::new("last=5");
    story.show(&some(5));
    story.recorded();
    story.deleted();
    let taken = with(&some(5)[1..], crate::domain::testing::foreign(99, 1));
    assert_eq!(story.show(&taken), ["delete gone", "end blocked cap_full"]);
}

#[test]
fn a_server_that_is_being_restored_gets_no_item() {
    let mut story = Story::new("last=5");
    story.restoring = true;
    assert_eq!(story.show(&some(2)), ["end blocked restoring"]);
    let mut story = Story::new("last=5");
    story.show(&some(5));
    story.recorded();
    story.deleted();
    story.restoring = true;
    assert_eq!(story.show(&some(5)[1..]), ["delete gone", "end blocked restoring"], "it has begun after room was made");
}

#[test]
fn refuse_blocks_at_the_cap() {
    let mut story = Story::new("last=4");
    story.policy.as_mut().unwrap().at_cap = AtCap::Refuse;
    assert_eq!(story.show(&some(5)), ["end blocked cap_full"]);
}

#[test]
fn leave_to_make_an_item_is_waited_for() {
    let mut story = Story::new("last=4");
    story.permit = false;
    assert_eq!(story.show(&some(1)), [""; 0]);
    assert!(story.run.want.permit);
    story.permit = true;
    assert_eq!(story.look(), [intend(1)]);
}

#[test]
fn an_answer_in_doubt_that_is_found_is_taken() {
    let mut story = Story::sent("last=4", &some(1));
    assert_eq!(story.create_fails(SetbackKind::Doubtful), [""; 0]);
    assert_eq!(story.run.standing()[0].reason, Reason::CreateUnknown);
    assert_eq!(story.show(&some(1)), [""; 0]);
    assert_eq!(story.show(&with(&some(1), coming(Status::InProgress))), ["accepted 900"]);
    assert_eq!(story.facts, ["create success"]);
}

#[test]
fn absent_means_missing_from_two_complete_listings_two_timeouts_later_and_four() {
    let mut story = Story::sent("last=4", &some(1));
    for attempt in 2..=3 {
        story.create_fails(SetbackKind::Doubtful);
        story.pass(58);
        assert_eq!(story.show(&some(1)), [""; 0], "too early");
        assert_eq!(story.show(&some(1)), [""; 0], "one");
        assert_eq!(story.look(), [""; 0], "the same one again");
        assert_eq!(story.show(&some(1)), [""; 0], "right after the other");
        story.pass(57);
        assert_eq!(story.show_partly(&some(1), 1), [""; 0], "not a complete one");
        assert_eq!(story.show(&some(1)), ["create absent".to_owned(), intend(attempt)]);
        story.recorded();
    }
    story.create_fails(SetbackKind::Doubtful);
    story.pass(60).show(&some(1));
    assert_eq!(story.pass(60).show(&some(1)), ["create absent", "end failure create_failed"], "three are enough");
    assert_eq!(story.facts, ["create failure"; 3]);
}

#[test]
fn a_create_that_stays_in_doubt_is_left_to_a_later_run() {
    let mut story = Story::sent("last=4", &some(1));
    story.create_fails(SetbackKind::Doubtful);
    assert_eq!(story.run.want.wake, Some(story.mono().after(TIMEOUT * 20)));
    story.pass(300).show_partly(&some(1), 1);
    assert_eq!(story.pass(299).look(), ["end failure create_unknown"]);
    assert_eq!(story.facts, ["create unknown"]);
}

#[test]
fn a_doubt_of_an_earlier_run_is_settled_before_the_same_slot_is_tried_again() {
    let mut earlier = Story::sent("last=4", &some(1));
    earlier.create_fails(SetbackKind::Doubtful);
    earlier.pass(600).look();
    let mut story = Story { memory: earlier.memory, ..Story::new("last=4") };
    story.second = 1700;
    assert_eq!(story.show(&some(1)), [""; 0], "nothing is sent");
    story.pass(60).show(&some(1));
    assert_eq!(story.pass(60).show(&some(1)), ["create absent".to_owned(), intend(2)]);
}

#[test]
fn a_late_commit_is_taken_for_the_slot_by_the_next_try() {
    let mut story = Story::sent("last=4", &some(1));
    story.create_fails(SetbackKind::Doubtful);
    story.pass(60).show(&some(1));
    assert_eq!(story.pass(60).show(&some(1)).len(), 2);
    story.recorded();
    story.create_fails(SetbackKind::NotSent);
    // The first one has come after all, while the second waits to be sent again.
    story.pass(10);
    assert_eq!(story.show(&with(&some(1), coming(Status::InProgress))), [""; 0]);
    assert_eq!(story.show(&with(&some(1), coming(Status::Completed))), ["release", "end success"]);
}

#[test]
fn a_no_ends_the_run() {
    for (kind, reason) in [(SetbackKind::Refused, "create_failed"), (SetbackKind::ServerMissing, "server_missing")] {
        let mut story = Story::sent("last=4", &some(1));
        assert_eq!(story.create_fails(kind), ["create refused".to_owned(), format!("end failure {reason}")]);
        assert_eq!(story.facts, ["create failure"]);
    }
}

#[test]
fn what_was_never_sent_is_tried_again_after_growing_pauses() {
    let mut story = Story::sent("last=4", &some(1));
    for pause in [2, 4, 8, 16] {
        assert_eq!(story.create_fails(SetbackKind::NotSent), ["create not_sent"]);
        assert_eq!(story.run.want.wake, Some(story.mono().after(Duration::from_secs(pause))));
        assert_eq!(story.pass(pause - 1).look(), [""; 0]);
        assert_eq!(story.show(&some(1)), [intend(1)], "it does not count as sent");
        story.recorded();
    }
    assert_eq!(story.create_fails(SetbackKind::NotSent), ["create not_sent", "end failure create_failed"]);
    assert_eq!(story.facts, ["create failure"]);
}

#[test]
fn the_pause_that_is_asked_for_is_kept() {
    let mut story = Story::sent("last=4", &some(1));
    let op = story.answer();
    let asked = Setback { pause: Some(Duration::from_secs(600)), ..setback(SetbackKind::NotSent) };
    story.step(Event::CreateAnswered(op, Err(asked)));
    assert_eq!(story.run.want.wake, Some(story.mono().after(Duration::from_secs(600))));
}

#[test]
fn an_answer_about_another_item_is_a_doubt() {
    let wrong = [
        Item { server: crate::domain::inventory::ServerId(8), ..coming(Status::InProgress) },
        Item { name: Some("another".into()), ..coming(Status::InProgress) },
        Item { kind: Kind::Backup, ..coming(Status::InProgress) },
    ];
    for item in wrong {
        let mut story = Story::sent("last=4", &some(1));
        assert_eq!(story.created(item), [""; 0]);
        assert_eq!(story.run.standing()[0].reason, Reason::CreateUnknown);
    }
}

#[test]
fn an_item_that_fails_or_vanishes_leaves_its_slot_open() {
    let mut story = Story::sent("last=4", &some(1));
    story.created(coming(Status::InProgress));
    let failed = with(&some(1), coming(Status::Failed));
    assert_eq!(story.show(&failed), ["create failed", "release", "end failure create_failed"]);

    let mut story = Story::sent("last=4", &some(1));
    story.created(coming(Status::InProgress));
    story.pass(60).show(&some(1));
    story.show(&with(&some(1), coming(Status::InProgress)));
    assert_eq!(story.pass(60).show(&some(1)), [""; 0], "it was seen in between");
    assert_eq!(story.show(&some(1)), ["vanished 900", "create failed", "release", "end failure create_failed"]);
    let memory = story.memory.get((SERVER, Kind::Snapshot)).unwrap();
    assert!(memory.made.is_empty() && memory.unfinished.is_empty() && !memory.slot(now()).done);
}

#[test]
fn an_item_that_never_completes_is_stuck() {
    let mut story = Story::sent("last=4", &some(1));
    story.created(coming(Status::InProgress));
    story.show(&with(&some(1), coming(Status::InProgress)));
    assert_eq!(story.run.want.wake, Some(Mono(Duration::from_secs(1001 + 3600))));
    assert_eq!(story.pass(3600).look(), ["release", "end failure stuck"]);
}

#[test]
fn without_any_listing_the_wait_ends_all_the_same() {
    let mut story = Story::sent("last=4", &some(1));
    story.created(coming(Status::InProgress));
    assert_eq!(story.pass(3600).look(), ["release", "end failure stuck"]);
    let mut story = Story::new("last=4");
    story.look();
    let wake = story.run.want.wake.unwrap();
    assert_eq!(wake, story.mono().after(Duration::from_secs(7200) + Duration::from_nanos(1)));
    assert_eq!(story.pass(7201).look(), ["end failure"]);
}

#[test]
fn what_is_there_for_the_slot_is_not_made_again() {
    assert_eq!(Story::new("last=4").show(&[coming(Status::Completed)]), ["end skipped"]);
    assert_eq!(Story::new("last=4").show(&[coming(Status::InProgress)]), [""; 0]);
    // A failed one is nothing.
    assert_eq!(Story::new("last=4").show(&[coming(Status::Failed)]), [intend(1)]);
    // It was there, and somebody has deleted it.
    let mut earlier = Story::sent("last=4", &some(1));
    earlier.created(coming(Status::InProgress));
    earlier.memory.apply(&Record::ItemGone { server: SERVER, kind: Kind::Snapshot, item: ItemId(900), ours: false, at: now() });
    let mut story = Story { memory: earlier.memory, ..Story::new("last=4") };
    assert_eq!(story.show(&some(1)), ["end skipped"]);
}

#[test]
fn on_a_listing_that_is_not_complete_a_slot_must_be_visibly_free() {
    let mut story = Story::new("last=1");
    assert_eq!(story.show_partly(&some(3), 1), [intend(1)]);
    let mut story = Story::new("last=1");
    for _ in 1..LOOKS_MAX {
        assert_eq!(story.show_partly(&some(3), 2), [""; 0]);
    }
    assert_eq!(story.show_partly(&some(3), 2), ["end blocked listing_incomplete"]);
}

#[test]
fn a_server_that_left_the_configuration_is_let_alone() {
    let mut story = Story::new("last=4");
    story.policy = None;
    assert_eq!(story.show(&some(1)), ["end skipped"]);
    let mut story = Story::sent("last=4", &some(1));
    story.policy = None;
    assert_eq!(story.created(coming(Status::InProgress)), ["accepted 900", "end skipped"]);
    let mut gone = Story::new("last=4");
    gone.missing = true;
    assert_eq!(gone.look(), ["end failure server_missing"]);
}

#[test]
fn nothing_is_sent_where_the_journal_cannot_be_written() {
    let mut story = Story::new("last=4");
    story.show(&some(1));
    let op = story.in_flight.pop().unwrap();
    assert_eq!(story.step(Event::NotRecorded(op, "full".to_owned())), ["end failure"]);
    assert_eq!(story.ended.unwrap().error.unwrap(), "the journal cannot be written, so nothing is sent: full");
}

#[test]
fn answers_to_other_operations_change_nothing() {
    let mut story = Story::new("last=4");
    story.show(&some(1));
    assert_eq!(story.step(Event::Recorded(OpId(99))), [""; 0]);
    assert_eq!(story.recorded(), ["send create"]);
    assert_eq!(story.step(Event::CreateAnswered(OpId(99), Ok(coming(Status::InProgress)))), [""; 0]);
    assert_eq!(story.created(coming(Status::InProgress)), ["accepted 900"]);
}

#[test]
fn one_made_by_hand_prunes_nothing_and_makes_room_only_where_asked_to() {
    let by_hand = |make_room| Story::of(Run::new(Start { by_hand: Some(ByHand { make_room }), ..start() }), "last=1");
    assert_eq!(by_hand(false).show(&some(5)), ["end blocked cap_full"]);
    assert_eq!(by_hand(true).show(&some(5)), ["intend before_create 1"]);
    let mut story = by_hand(false);
    story.show(&some(4));
    story.recorded();
    story.created(coming(Status::InProgress));
    assert_eq!(story.show(&with(&some(4), coming(Status::Completed))), ["completed", "release", "end success"]);
}

#[test]
fn a_newer_listing_without_a_free_slot_stops_a_create_that_is_being_written_down() {
    let mut story = Story::new("last=4");
    story.show(&some(4));
    assert_eq!(story.show(&some(5)), [""; 0]);
    assert_eq!(story.recorded(), ["create not_sent", "intend before_create 1"]);
}

#[test]
fn an_item_for_the_slot_in_a_newer_listing_stops_a_create_that_is_being_written_down() {
    for (status, then) in [(Status::Completed, "end skipped"), (Status::InProgress, "")] {
        let mut story = Story::new("last=4");
        story.show(&some(2));
        story.show(&with(&some(2), coming(status)));
        let told = story.recorded();
        assert_eq!(told.first().map(String::as_str), Some("create not_sent"), "{told:?}");
        assert_eq!(told.get(1).map_or("", String::as_str), then, "{told:?}");
    }
}

#[test]
fn a_restore_that_has_begun_meanwhile_stops_a_create_that_is_being_written_down() {
    let mut story = Story::new("last=4");
    story.show(&some(2));
    story.restoring = true;
    assert_eq!(story.recorded(), ["create not_sent", "end blocked restoring"]);
}

#[test]
fn so_does_a_server_that_is_to_be_left_alone_by_then() {
    let mut story = Story::new("last=4");
    story.show(&some(2));
    story.missing = true;
    assert_eq!(story.recorded(), ["create not_sent", "end failure server_missing"]);
}

#[test]
fn a_create_is_not_sent_once_it_is_too_late_for_its_slot() {
    let mut story = Story::new("last=4");
    story.show(&some(2));
    story.pass(7201);
    assert_eq!(story.recorded(), ["create not_sent", "end failure"]);
}

#[test]
fn a_create_is_not_sent_while_the_account_is_in_question() {
    let mut story = Story::new("last=4");
    story.show(&some(2));
    story.permit = false;
    assert_eq!(story.recorded(), ["create not_sent", "release"]);
    assert!(story.run.want.permit);
    story.permit = true;
    assert_eq!(story.look(), [intend(1)], "it counts as not tried");
}
