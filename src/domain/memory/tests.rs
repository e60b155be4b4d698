//! What records add up to.

use super::*;
use crate::domain::record::{SlotsMissed, Subject, Trigger};
use crate::domain::standing::HeldItem;
use crate::domain::testing::*;

const KEY: TargetKey = (SERVER, Kind::Snapshot);

fn subject() -> Subject {
    Subject { server: SERVER, server_name: "web-01".into(), kind: Kind::Snapshot, policy: "web".into() }
}

fn create(op: u64, slot: Timestamp) -> Record {
    let mark = slot_mark(slot);
    Record::CreateIntent(
        CreateIntent {
            op: OpId(op),
            run: RunId(1),
            subject: subject(),
            origin: mark.origin.clone(),
            name: None,
            description: mark.description().into(),
            attempt: 1,
            at: now(),
            config: "".into(),
            policy_text: None,
        }
        .into(),
    )
}

fn delete(op: u64, item: u64, when: DeleteWhen, extra: bool, at: Timestamp) -> Record {
    Record::DeleteIntent(
        DeleteIntent {
            op: OpId(op),
            run: RunId(1),
            subject: subject(),
            item: ItemId(item),
            item_name: None,
            item_created_at: at,
            newest_created_at: Some(at),
            when,
            extra,
            reason: "".into(),
            at,
            config: "".into(),
            policy_text: None,
        }
        .into(),
    )
}

fn accepted(op: u64, item: u64) -> Record {
    Record::CreateAccepted { op: OpId(op), item: ItemId(item), at: now() }
}

fn completed(op: u64) -> Record {
    Record::CreateCompleted { op: OpId(op), at: now() }
}

fn ended(op: u64, how: CreateEnd) -> Record {
    Record::CreateEnded { op: OpId(op), how, error: None, at: now() }
}

fn deleted(op: u64, how: DeleteEnd) -> Record {
    Record::DeleteEnded { op: OpId(op), how, error: None, at: now() }
}

fn started(run: u64, slot: Timestamp) -> Record {
    Record::RunStarted(
        RunStart { run: RunId(run), subject: subject(), trigger: Trigger::Schedule, by: None, slot: Some(slot), at: now() }.into(),
    )
}

fn folded(records: &[Record]) -> Memory {
    let mut memory = Memory::default();
    records.iter().for_each(|record| memory.apply(record));
    memory
}

#[test]
fn a_create_is_undecided_then_unfinished_then_made() {
    let mut memory = folded(&[create(1, ago(1))]);
    assert_eq!(memory.get(KEY).unwrap().slot(ago(1)), SlotMemory { creates: 1, done: false });
    assert_eq!(memory.get(KEY).unwrap().undecided.len(), 1);
    memory.apply(&accepted(1, 801));
    let target = memory.get(KEY).unwrap();
    assert!(target.undecided.is_empty() && target.slot(ago(1)).done);
    assert_eq!(
        (target.unfinished.get(&ItemId(801)).map(|accepted| accepted.op), target.made.get(&ItemId(801))),
        (Some(OpId(1)), Some(&slot_mark(ago(1)).origin))
    );
    memory.apply(&completed(1));
    let target = memory.get(KEY).unwrap();
    assert!(target.unfinished.is_empty() && target.made.contains_key(&ItemId(801)));
    memory.apply(&Record::ItemGone { server: KEY.0, kind: Kind::Snapshot, item: ItemId(801), ours: false, at: now() });
    assert!(memory.get(KEY).unwrap().made.is_empty() && memory.get(KEY).unwrap().slot(ago(1)).done);
}

#[test]
fn what_is_gone_of_one_server_is_not_gone_of_another() {
    let other = ServerId(SERVER.0 + 1);
    let mut memory = folded(&[create(1, ago(1)), accepted(1, 801), completed(1)]);
    memory.apply(&Record::ItemGone { server: other, kind: Kind::Snapshot, item: ItemId(801), ours: false, at: now() });
    assert!(memory.get(KEY).unwrap().made.contains_key(&ItemId(801)) && memory.get((other, Kind::Snapshot)).is_none());
}

#[test]
fn only_what_was_sent_counts_as_a_create_and_a_failed_one_leaves_the_slot_open() {
    let ends = [(CreateEnd::NotSent, 0), (CreateEnd::Refused, 1), (CreateEnd::Absent, 1)];
    for (how, creates) in ends {
        let memory = folded(&[create(1, ago(1)), ended(1, how)]);
        assert_eq!(memory.get(KEY).unwrap().slot(ago(1)), SlotMemory { creates, done: false }, "{how}");
        assert!(memory.get(KEY).unwrap().undecided.is_empty());
    }
    let memory = folded(&[create(1, ago(1)), accepted(1, 801), ended(1, CreateEnd::Failed)]);
    let target = memory.get(KEY).unwrap();
    assert_eq!(target.slot(ago(1)), SlotMemory { creates: 1, done: false });
    assert!(target.unfinished.is_empty() && target.made.contains_key(&ItemId(801)), "a failed item exists until it is gone");
}

#[test]
fn room_is_unpaid_until_a_create_completes() {
    let room = delete(1, 801, DeleteWhen::BeforeCreate, false, now());
    let mut memory = folded(&[started(1, ago(1)), room.clone(), deleted(1, DeleteEnd::Gone)]);
    let target = memory.get(KEY).unwrap();
    assert_eq!((target.made_way(), target.is_after_room(now()), target.is_after_room(ago(-1))), (Some(ItemId(801)), false, true));
    [create(2, ago(1)), accepted(2, 802)].iter().for_each(|record| memory.apply(record));
    assert!(memory.get(KEY).unwrap().made_way().is_some());
    memory.apply(&completed(2));
    assert_eq!((memory.get(KEY).unwrap().made_way(), memory.get(KEY).unwrap().is_after_room(ago(-1))), (None, false));
    let late = folded(&[
        create(1, ago(2)),
        accepted(1, 801),
        delete(2, 800, DeleteWhen::BeforeCreate, false, now()),
        deleted(2, DeleteEnd::Gone),
        completed(1),
    ]);
    assert_eq!(late.get(KEY).unwrap().made_way(), Some(ItemId(800)), "what was ordered before pays for nothing");
    for how in [DeleteEnd::Refused, DeleteEnd::Ineffective] {
        assert_eq!(folded(&[room.clone(), deleted(1, how)]).get(KEY).unwrap().made_way(), None);
    }
    let gone = folded(&[room, deleted(1, DeleteEnd::Gone)]);
    let just = |at| gone.get(KEY).unwrap().has_just_made_way(at);
    let (soon, late) = (SignedDuration::from_mins(15), SignedDuration::from_mins(16));
    assert_eq!([just(now() + soon), just(now() + late), just(now() - late)], [true, false, false]);
    let extra = delete(1, 801, DeleteWhen::BeforeCreate, true, now());
    assert_eq!(folded(&[extra, deleted(1, DeleteEnd::Gone)]).get(KEY).unwrap().made_way(), None, "the fuse has paid for it");
    let later = delete(1, 801, DeleteWhen::BeforeCreate, false, now());
    let paid = folded(&[later, create(2, ago(1)), accepted(2, 802), completed(2), deleted(1, DeleteEnd::Gone)]);
    assert_eq!(paid.get(KEY).unwrap().made_way(), None, "which of them is told first makes no difference");
}

#[test]
fn where_an_older_journal_does_not_tell_what_was_shown_the_time_of_the_intent_serves() {
    let Record::DeleteIntent(intent) = delete(1, 801, DeleteWhen::BeforeCreate, false, ago(1)) else { unreachable!() };
    let older = DeleteIntent { newest_created_at: None, ..DeleteIntent::clone(&intent) };
    let memory = folded(&[Record::DeleteIntent(older.into()), deleted(1, DeleteEnd::Gone)]);
    let target = memory.get(KEY).unwrap();
    assert_eq!((target.is_after_room(ago(1)), target.is_after_room(now())), (false, true));
}

#[test]
fn extra_deletes_count_for_a_day_even_with_the_clock_set_back() {
    let extra = |op, at| delete(op, op, DeleteWhen::AfterCreate, true, at);
    let memory = folded(&[extra(1, ago(24)), extra(2, ago(23)), extra(3, ago(-5)), delete(4, 4, DeleteWhen::AfterCreate, false, now())]);
    assert_eq!(memory.extras_last_day(now()), 2);
    let mut memory = folded(&[extra(1, now()), extra(2, now())]);
    memory.apply(&deleted(1, DeleteEnd::Refused));
    memory.apply(&deleted(2, DeleteEnd::Gone));
    assert_eq!(memory.extras_last_day(now()), 1, "what was not deleted is given back");
}

#[test]
fn a_delete_is_undecided_until_it_ends() {
    let mut memory = folded(&[create(1, ago(1)), accepted(1, 801), completed(1), delete(2, 801, DeleteWhen::AfterCreate, false, now())]);
    assert_eq!((memory.item_of(OpId(2)), memory.get(KEY).unwrap().undecided.len()), (Some(ItemId(801)), 1));
    memory.apply(&deleted(2, DeleteEnd::Gone));
    let target = memory.get(KEY).unwrap();
    assert!(target.undecided.is_empty() && target.made.is_empty());
    assert_eq!(memory.item_of(OpId(2)), None);
}

#[test]
fn runs_leave_their_end_behind() {
    let problem = Problem { reason: crate::domain::problem::Reason::Fuse, detail: String::new() };
    let end = |run, result, at| Record::RunEnded { run: RunId(run), result, problems: vec![problem.clone()], error: None, at };
    let memory = folded(&[started(1, ago(2)), end(1, RunResult::Success, ago(1)), started(2, ago(1)), end(2, RunResult::Failure, now())]);
    let target = memory.get(KEY).unwrap();
    assert_eq!((target.last_success, target.last_end, target.accounted), (Some(ago(1)), Some(now()), Some(ago(1))));
    assert_eq!((&*target.last_name, &target.problems[..]), ("web-01", &[problem.clone()][..]));
    // An end of a run that was never heard of says nothing.
    assert!(folded(&[end(9, RunResult::Success, now())]).get(KEY).is_none());
}

#[test]
fn a_slot_to_come_is_not_dealt_with() {
    let resumed = folded(&[started(1, ago(1)), started(2, ago(-30))]);
    assert_eq!(resumed.get(KEY).unwrap().accounted, Some(ago(1)));
}

#[test]
fn the_first_sight_stays_and_missed_slots_only_move_on() {
    let seen = |at| Record::TargetSeen { server: SERVER, kind: Kind::Snapshot, at };
    let missed = |slot| Record::SlotsMissed(SlotsMissed { subject: subject(), slot, count: 1, at: now() }.into());
    let memory = folded(&[seen(ago(9)), seen(ago(5)), missed(ago(3)), missed(ago(4))]);
    let target = memory.get(KEY).unwrap();
    assert_eq!((target.first_seen, target.accounted), (Some(ago(9)), Some(ago(3))));
}

#[test]
fn few_slots_are_remembered() {
    let records: Vec<Record> = (0..20).map(|hours| create(hours, ago(20 - hours as i64))).collect();
    let memory = folded(&records);
    let target = memory.get(KEY).unwrap();
    assert_eq!(target.slots.len(), SLOTS_MAX);
    assert_eq!((target.slot(ago(1)).creates, target.slot(ago(20)).creates), (1, 0));
}

#[test]
fn records_of_unknown_operations_change_nothing() {
    let memory = folded(&[accepted(5, 1), completed(5), ended(5, CreateEnd::Failed), deleted(5, DeleteEnd::Gone)]);
    assert_eq!(memory.targets().count(), 0);
}

#[test]
fn an_item_is_as_old_as_the_slower_clock_says() {
    let memory = folded(&[create(1, ago(2)), accepted(1, 801)]);
    let target = memory.get(KEY).unwrap();
    let age = |item, created_at, now| target.age(ItemId(item), created_at, now).as_secs() / 3600;
    assert_eq!(age(801, ago(3), ago(-1)), 1, "our clock was ahead when it was accepted");
    assert_eq!(age(801, ago(-1), ago(-3)), 2, "our clock was behind");
    assert_eq!((age(801, now(), ago(5)), age(802, now(), ago(5))), (0, 0), "our clock was set back");
    assert_eq!(age(802, ago(4), now()), 4, "made by somebody else");
}

#[test]
fn a_hold_is_too_late_for_a_delete_that_was_intended_before_it() {
    let held = |item| HeldItem { kind: Kind::Snapshot, item: ItemId(item), name: None, server: SERVER, server_name: "web-01".into() };
    let order = |op, what| [StandingOrder { op: OpId(op), what, until: ago(-1), reason: "".into(), by: "".into(), at: now() }];
    let hold = |op, item| order(op, Standing::Hold(held(item)));
    let intent = delete(5, 801, DeleteWhen::AfterCreate, false, now());
    let memory = folded(&[intent.clone(), create(6, ago(1))]);
    assert!(memory.too_late(&hold(9, 801)).is_some_and(|why| why.contains("snapshot 801")));
    assert_eq!(memory.too_late(&hold(9, 802)), None);
    assert_eq!(memory.too_late(&hold(4, 801)), None, "once the hold is known, none is sent");
    assert_eq!(memory.too_late(&order(9, Standing::Release(held(801)))), None);
    assert_eq!(folded(&[intent, deleted(5, DeleteEnd::Refused)]).too_late(&hold(9, 801)), None);
}
