//! The same cases against the journal on disk and the one in memory.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use proptest::prelude::*;

use super::samples::*;
use super::*;
use crate::clock::SystemClock;
use crate::domain::inventory::{ItemId, Kind, ServerId};
use crate::domain::problem::RunResult;
use crate::domain::standing::{Selection, Standing};

pub(super) fn open(folder: &Path) -> SqliteJournal {
    SqliteJournal::open(StateLock::acquire(folder).unwrap(), Arc::new(SystemClock::new())).unwrap()
}

/// Runs a case against both journals.
fn both(case: impl Fn(&mut dyn Journal)) {
    case(&mut MemoryJournal::new());
    let folder = quick_folder();
    case(&mut open(folder.path()));
}

/// What is loaded when nothing is recent any more.
fn old(journal: &mut dyn Journal) -> Recollection {
    journal.load(at(1_000_000)).unwrap()
}

fn creates(recollection: &Recollection) -> Vec<u64> {
    recollection.creates.iter().map(|row| row.intent.op.0).collect()
}

fn deletes(recollection: &Recollection) -> Vec<u64> {
    recollection.deletes.iter().map(|row| row.intent.op.0).collect()
}

fn runs(recollection: &Recollection) -> Vec<u64> {
    recollection.runs.iter().map(|row| row.start.run.0).collect()
}

#[test]
fn a_new_journal_is_fresh_until_the_first_append() {
    both(|journal| {
        let empty = old(journal);
        assert!(empty.fresh);
        assert_eq!((empty.next_op, empty.next_run, empty.set_aside), (OpId(1), RunId(1), None));
        journal.append(&[Record::TargetSeen { server: ServerId(1), kind: Kind::Backup, at: at(0) }]).unwrap();
        journal.append(&[Record::TargetSeen { server: ServerId(1), kind: Kind::Backup, at: at(-5) }]).unwrap();
        let seen = old(journal);
        assert!(!seen.fresh);
        assert_eq!(seen.targets, [TargetRow { server: ServerId(1), kind: Kind::Backup, first_seen: at(0) }]);
    });
}

#[test]
fn rows_come_back_as_they_were_written() {
    both(|journal| {
        let (Record::CreateIntent(intent), Record::DeleteIntent(doomed)) =
            (create(7, u64::MAX, 0), delete(8, 1, 5, DeleteWhen::AfterCreate, 1))
        else {
            unreachable!()
        };
        let late = Timestamp::from_nanosecond(1_795_000_000_123_456_789).unwrap();
        let doomed = DeleteIntent { extra: true, item_created_at: late, item_name: None, ..(*doomed).clone() };
        let doomed = Arc::new(doomed);
        journal.append(&[Record::CreateIntent(intent.clone()), Record::DeleteIntent(doomed.clone())]).unwrap();
        journal.append(&[accepted(7, u64::MAX, 2), completed(7, 3), delete_ended(8, DeleteEnd::Refused, 4)]).unwrap();
        let loaded = old(journal);
        let ended = Some(Ended { seq: 4, at: at(3), error: None });
        let (state, item) = (CreateState::Completed, Some(ItemId(u64::MAX)));
        assert_eq!(loaded.creates, [CreateRow { intent, seq: 1, state, item, accepted_at: Some(at(2)), ended, gone: None }]);
        assert_eq!(loaded.deletes, [], "decided long ago");
        assert_eq!((loaded.next_op, loaded.next_run), (OpId(9), RunId(1)));
        let ended = Some(Ended { seq: 5, at: at(4), error: None });
        let recent = journal.load(at(0)).unwrap();
        assert_eq!(recent.deletes, [DeleteRow { intent: doomed, seq: 2, state: DeleteState::Refused, ended }]);
    });
}

#[test]
fn undecided_operations_and_living_items_are_never_forgotten() {
    both(|journal| {
        let room = DeleteWhen::AfterCreate;
        journal.append(&[create(1, 1, 0), create(2, 1, 0), accepted(2, 20, 0), delete(3, 1, 9, room, 0)]).unwrap();
        journal.append(&[create(4, 2, 0), accepted(4, 40, 0), create_ended(4, CreateEnd::Failed, 0)]).unwrap();
        journal.append(&[create(5, 2, 0), create_ended(5, CreateEnd::Refused, 0)]).unwrap();
        assert_eq!(journal.prune(at(500)).unwrap(), 1, "the refused create");
        let loaded = old(journal);
        assert_eq!((creates(&loaded), deletes(&loaded)), (vec![1, 2, 4], vec![3]));
        assert_eq!(loaded.next_op, OpId(6));
        journal.append(&[gone(40, false, 0), gone(20, true, 0), gone(777, true, 0), delete_ended(3, DeleteEnd::Gone, 1)]).unwrap();
        let loaded = old(journal);
        assert_eq!((creates(&loaded), deletes(&loaded)), (vec![1, 2], vec![]), "2 is gone but was never seen decided");
        assert_eq!(loaded.creates[1].gone, Some(Gone { at: at(0), ours: true }));
    });
}

#[test]
fn the_newest_of_each_sort_stays_by_order_not_by_clock() {
    both(|journal| {
        let step =
            |op, seconds| [create(op, 1, seconds), accepted(op, op * 10, seconds), completed(op, seconds), gone(op * 10, true, seconds)];
        journal.append(&step(1, 100)).unwrap();
        // The clock has stepped back.
        journal.append(&step(2, 50)).unwrap();
        let (first, second) = (delete(3, 1, 10, DeleteWhen::BeforeCreate, 100), delete(4, 1, 20, DeleteWhen::BeforeCreate, 50));
        journal.append(&[first, second, delete(5, 1, 21, DeleteWhen::AfterCreate, 51)]).unwrap();
        journal
            .append(&[delete_ended(4, DeleteEnd::Gone, 1), delete_ended(3, DeleteEnd::Gone, 0), delete_ended(5, DeleteEnd::Gone, 60)])
            .unwrap();
        let loaded = old(journal);
        assert_eq!((creates(&loaded), deletes(&loaded)), (vec![2], vec![4]), "ordered last, of those that made room");
        journal.prune(at(1_000_000)).unwrap();
        assert_eq!(old(journal), loaded);
    });
}

/// The room that was made is a hole until something completes (I5); a failed item that goes before the next try makes none.
#[test]
fn an_extra_delete_does_not_hide_the_room_that_was_made() {
    both(|journal| {
        let Record::DeleteIntent(failed) = delete(2, 1, 11, DeleteWhen::BeforeCreate, 20) else { unreachable!() };
        journal.append(&[delete(1, 1, 10, DeleteWhen::BeforeCreate, 0), delete_ended(1, DeleteEnd::Gone, 1)]).unwrap();
        journal
            .append(&[Record::DeleteIntent(DeleteIntent { extra: true, ..(*failed).clone() }.into()), delete_ended(2, DeleteEnd::Gone, 21)])
            .unwrap();
        let loaded = old(journal);
        assert_eq!(deletes(&loaded), [1]);
        journal.prune(at(1_000_000)).unwrap();
        assert_eq!(old(journal), loaded);
    });
}

#[test]
fn what_was_taken_by_hand_does_not_hide_the_last_slot() {
    both(|journal| {
        let Record::CreateIntent(intent) = create(2, 1, 10) else { unreachable!() };
        let by_hand = CreateIntent { origin: crate::domain::mark::Origin::Hand { at: at(10) }, ..(*intent).clone() };
        journal.append(&[create(1, 1, 0), accepted(1, 10, 0), completed(1, 1), gone(10, false, 2)]).unwrap();
        journal.append(&[Record::CreateIntent(by_hand.into()), accepted(2, 20, 11), completed(2, 12), gone(20, false, 13)]).unwrap();
        assert_eq!(creates(&old(journal)), [1, 2]);
    });
}

#[test]
fn a_run_by_hand_or_without_a_slot_does_not_hide_that_of_the_last_slot() {
    both(|journal| {
        let start = |run, trigger| {
            let Record::RunStarted(start) = run_started(run, 1, 0) else { unreachable!() };
            Record::RunStarted(RunStart { trigger, slot: start.slot.filter(|_| trigger == Trigger::Schedule), ..(*start).clone() }.into())
        };
        for (run, trigger, result) in [
            (1, Trigger::Schedule, RunResult::Success),
            (2, Trigger::Schedule, RunResult::Blocked),
            (3, Trigger::Command, RunResult::Success),
            (4, Trigger::Hand, RunResult::Success),
        ] {
            journal.append(&[start(run, trigger), run_ended(run, result, 1)]).unwrap();
        }
        let loaded = old(journal);
        assert_eq!(runs(&loaded), [1, 2, 3, 4]);
        journal.prune(at(1_000_000)).unwrap();
        assert_eq!(old(journal), loaded);
    });
}

#[test]
fn of_runs_the_newest_the_newest_success_and_the_interrupted_stay() {
    both(|journal| {
        for (run, result) in [(1, RunResult::Success), (2, RunResult::Success), (3, RunResult::Failure), (4, RunResult::Blocked)] {
            journal.append(&[run_started(run, 1, 0), run_ended(run, result, 1), run_ended(run, RunResult::Skipped, 2)]).unwrap();
        }
        journal.append(&[run_started(5, 1, 0), run_started(6, 2, 0)]).unwrap();
        let loaded = old(journal);
        assert_eq!((runs(&loaded), loaded.next_run), (vec![2, 4, 5, 6], RunId(7)));
        let end = loaded.runs[1].ended.as_ref().unwrap();
        assert_eq!((end.result, end.at, end.problems.len(), end.error.as_deref()), (RunResult::Blocked, at(1), 2, Some("ä")));
        assert_eq!(journal.prune(at(500)).unwrap(), 2);
        assert_eq!(old(journal), loaded);
    });
}

/// What was ordered before the room pays for nothing, however late it ends: it must not stand for the one that has paid.
#[test]
fn the_create_that_was_ordered_last_stays() {
    both(|journal| {
        journal.append(&[create(1, 1, 0), accepted(1, 10, 0), delete(2, 1, 9, DeleteWhen::BeforeCreate, 0)]).unwrap();
        journal.append(&[delete_ended(2, DeleteEnd::Gone, 0), create(3, 1, 0), accepted(3, 30, 0), completed(3, 0)]).unwrap();
        journal.append(&[gone(30, true, 0), completed(1, 0)]).unwrap();
        let loaded = old(journal);
        assert_eq!((creates(&loaded), deletes(&loaded)), (vec![1, 3], vec![2]));
        journal.prune(at(1_000_000)).unwrap();
        assert_eq!(old(journal), loaded);
    });
}

#[test]
fn an_item_that_turns_up_late_takes_back_that_it_was_absent() {
    both(|journal| {
        journal.append(&[create(1, 1, 0), create_ended(1, CreateEnd::Absent, 1), accepted(1, 10, 2)]).unwrap();
        let row = &old(journal).creates[0];
        assert_eq!((row.state, row.item, &row.ended), (CreateState::Accepted, Some(ItemId(10)), &None));
        journal.append(&[completed(1, 3), accepted(1, 10, 4), completed(1, 5)]).unwrap();
        let row = &old(journal).creates[0];
        assert_eq!((row.state, row.accepted_at, row.ended.as_ref().unwrap().at), (CreateState::Completed, Some(at(2)), at(3)));
    });
}

#[test]
fn a_seen_delete_says_that_the_item_is_gone() {
    both(|journal| {
        journal.append(&[create(1, 1, 0), accepted(1, 10, 0), completed(1, 0), delete(2, 1, 10, DeleteWhen::AfterCreate, 1)]).unwrap();
        journal.append(&[delete_ended(2, DeleteEnd::Gone, 2)]).unwrap();
        journal.append(&[gone(10, false, 3)]).unwrap();
        assert_eq!(journal.load(at(0)).unwrap().creates[0].gone, Some(Gone { at: at(2), ours: true }), "the first word stays");
    });
}

#[test]
fn a_batch_is_written_whole_or_not_at_all() {
    both(|journal| {
        journal.append(&[create(1, 1, 0)]).unwrap();
        let before = old(journal);
        let wrong = [
            vec![create(2, 1, 0), accepted(99, 1, 0)],
            vec![create(2, 1, 0), completed(2, 0)],
            vec![create(2, 1, 0), delete(1, 1, 5, DeleteWhen::AfterCreate, 0)],
            vec![create(2, 1, 0), delete(2, 1, 5, DeleteWhen::AfterCreate, 0)],
            vec![create(2, 1, 0), create(1, 2, 0)],
            vec![create(2, 1, 0), delete_ended(1, DeleteEnd::Gone, 0)],
            vec![create(2, 1, 0), run_ended(5, RunResult::Success, 0)],
            vec![run_started(1, 1, 0), run_started(1, 2, 0)],
        ];
        for records in wrong {
            let error = journal.append(&records).unwrap_err();
            assert!(matches!(error, JournalError::Rejected { .. }), "{records:?}: {error}");
            assert_eq!(old(journal), before);
        }
    });
}

#[test]
fn the_same_records_again_change_nothing() {
    both(|journal| {
        let records = [
            run_started(1, 1, 0),
            create(1, 1, 0),
            accepted(1, 10, 1),
            completed(1, 2),
            delete(2, 1, 9, DeleteWhen::AfterCreate, 3),
            delete_ended(2, DeleteEnd::Gone, 4),
            run_ended(1, RunResult::Success, 5),
            missed(1, -50, 6),
        ];
        journal.append(&records).unwrap();
        let (before, told) = (journal.load(at(0)).unwrap(), journal.history(&HistoryFilter::all(10)).unwrap());
        journal.append(&records).unwrap();
        assert_eq!((journal.load(at(0)).unwrap(), journal.history(&HistoryFilter::all(10)).unwrap()), (before, told));
    });
}

#[test]
fn history_is_newest_first_and_filtered() {
    both(|journal| {
        for op in 1..=6 {
            let server = op % 2;
            journal.append(&[run_started(op, server, 0), create(op, server, i64::try_from(op).unwrap()), missed(server, 0, 5)]).unwrap();
        }
        let ops = |filter: &HistoryFilter, journal: &mut dyn Journal| -> Vec<u64> {
            journal.history(filter).unwrap().creates.iter().map(|row| row.intent.op.0).collect()
        };
        let all = HistoryFilter::all(100);
        assert_eq!(ops(&all, journal), [6, 5, 4, 3, 2, 1]);
        assert_eq!(journal.history(&all).unwrap().missed.len(), 2);
        assert_eq!(ops(&HistoryFilter::all(2), journal), [6, 5]);
        assert_eq!(ops(&HistoryFilter::all(0), journal), [0_u64; 0]);
        assert_eq!(ops(&HistoryFilter { since: Some(at(5)), ..all.clone() }, journal), [6, 5]);
        assert_eq!(ops(&HistoryFilter { servers: vec![ServerId(1)], rows_max: 2, ..all.clone() }, journal), [5, 3]);
        let names = crate::domain::globs::Globs::new(&["web-0", "db-*"]).unwrap();
        assert_eq!(ops(&HistoryFilter { server_names: names.clone(), ..all.clone() }, journal), [6, 4, 2]);
        let either = HistoryFilter { server_names: names, servers: vec![ServerId(1)], rows_max: 3, ..all.clone() };
        assert_eq!(ops(&either, journal), [6, 5, 4]);
        assert_eq!(ops(&HistoryFilter { policies: vec!["db".into()], ..all.clone() }, journal), [0_u64; 0]);
        assert_eq!(ops(&HistoryFilter { kinds: vec![Kind::Backup], ..all }, journal), [0_u64; 0]);
    });
}

#[test]
fn history_of_an_item_is_what_was_done_to_it_and_by_which_text() {
    both(|journal| {
        let run = |number, seconds| [run_started(number, 1, seconds), run_ended(number, RunResult::Success, seconds + 2)];
        journal.append(&run(1, 0)).unwrap();
        journal.append(&[policy_text(1), create(1, 1, 0), accepted(1, 10, 1)]).unwrap();
        journal.append(&run(2, 10)).unwrap();
        journal.append(&[policy_text(2), create(2, 1, 10), accepted(2, 20, 11)]).unwrap();
        journal.append(&run(3, 20)).unwrap();
        journal.append(&[policy_text(3), delete(3, 1, 10, DeleteWhen::AfterCreate, 20), hold(4, 10, 1, 21), hold(5, 20, 1, 21)]).unwrap();
        journal.append(&[missed(1, 0, 5), ordered(6, Standing::Pause(Selection::default()), 22, 50)]).unwrap();
        let told = journal.history(&HistoryFilter { items: vec![ItemId(10)], ..HistoryFilter::all(9) }).unwrap();
        assert_eq!(told.creates.iter().map(|row| row.intent.op.0).collect::<Vec<_>>(), [1]);
        assert_eq!(told.deletes.iter().map(|row| row.intent.op.0).collect::<Vec<_>>(), [3]);
        assert_eq!(told.runs.iter().map(|row| row.start.run.0).collect::<Vec<_>>(), [3, 1], "those that made and deleted it");
        assert_eq!(told.orders.iter().map(|row| row.order.op.0).collect::<Vec<_>>(), [4]);
        assert!(told.missed.is_empty());
        let mut texts = [policy(1), policy(3)].map(std::sync::Arc::new).to_vec();
        texts.sort_by_key(|text| text.digest());
        assert_eq!(told.texts, texts);
    });
}

#[test]
fn a_text_is_kept_once_and_for_as_long_as_something_names_it() {
    both(|journal| {
        let texts = |journal: &mut dyn Journal| -> Vec<String> {
            let told = journal.history(&HistoryFilter::all(9)).unwrap();
            told.texts.iter().map(|text| text.text().to_owned()).collect()
        };
        // 1 and 6 are decided by one text, 2 by another; that of 3 never came.
        journal.append(&[policy_text(1), create(1, 1, 0), create_ended(1, CreateEnd::Refused, 1)]).unwrap();
        journal.append(&[policy_text(6), create(6, 1, 100), create_ended(6, CreateEnd::Refused, 101)]).unwrap();
        journal.append(&[policy_text(2), delete(2, 1, 9, DeleteWhen::AfterCreate, 0), delete_ended(2, DeleteEnd::Refused, 1)]).unwrap();
        journal.append(&[create(3, 1, 100), create_ended(3, CreateEnd::Refused, 101)]).unwrap();
        let (first, second) = (policy(1).text().to_owned(), policy(2).text().to_owned());
        let mut both = [first.clone(), second];
        both.sort_by_key(|text| crate::domain::policy_text::PolicyText::new(text.as_str()).digest());
        assert_eq!(texts(journal), both);
        assert_eq!(journal.prune(at(50)).unwrap(), 3, "a create, a delete, and the text that only the latter named");
        assert_eq!(texts(journal), [first]);
        assert_eq!(journal.prune(at(500)).unwrap(), 3);
        assert!(texts(journal).is_empty());
    });
}

#[test]
fn memory_can_lose_tear_and_fail() {
    let journal = MemoryJournal::new();
    let mut same = journal.clone();
    same.append(&[create(1, 1, 0), accepted(1, 10, 0)]).unwrap();
    same.append(&[create(2, 1, 0)]).unwrap();
    journal.tear(2);
    let torn = same.load(at(0)).unwrap();
    assert_eq!((creates(&torn), torn.creates[0].item), (vec![1], None));
    journal.set_fault(Some(Fault::Full));
    assert!(matches!(same.append(&[create(2, 1, 0)]), Err(JournalError::Full { .. })));
    journal.set_fault(Some(Fault::Io { written: false }));
    assert!(matches!(same.append(&[create(2, 1, 0)]), Err(JournalError::Io { .. })));
    assert_eq!(creates(&same.load(at(0)).unwrap()), [1]);
    journal.set_fault(Some(Fault::Io { written: true }));
    assert!(matches!(same.append(&[create(2, 1, 0)]), Err(JournalError::Io { .. })));
    journal.set_fault(None);
    same.append(&[create(2, 1, 0)]).unwrap();
    assert_eq!(creates(&same.load(at(0)).unwrap()), [1, 2]);
    journal.lose();
    assert!(same.load(at(0)).unwrap().fresh);
}

/// What is done to both journals.
#[derive(Debug, Clone)]
enum Act {
    Append(Vec<Record>),
    Prune(i64),
    Reopen,
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        // Short batches, so that not all of them contain something that is rejected.
        20 => prop::collection::vec(any_record(), 1..3).prop_map(Act::Append),
        1 => (-1000..1000_i64).prop_map(Act::Prune),
        1 => Just(Act::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn disk_and_memory_agree(acts in prop::collection::vec(any_act(), 1..80), since in -1000..1000_i64) {
        let folder = quick_folder();
        let (mut disk, mut memory) = (Some(open(folder.path())), MemoryJournal::new());
        for act in acts {
            let on_disk = disk.as_mut().unwrap();
            match act {
                Act::Append(records) => prop_assert_eq!(on_disk.append(&records), memory.append(&records)),
                Act::Prune(before) => prop_assert_eq!(on_disk.prune(at(before)), memory.prune(at(before))),
                Act::Reopen => {
                    drop(disk.take());
                    disk = Some(open(folder.path()));
                }
            }
        }
        let on_disk = disk.as_mut().unwrap();
        prop_assert_eq!(on_disk.load(at(since)), memory.load(at(since)));
        let filter = HistoryFilter { since: Some(at(since)), ..HistoryFilter::all(7) };
        prop_assert_eq!(on_disk.history(&filter), memory.history(&filter));
    }

    #[test]
    fn what_is_torn_off_was_never_there(records in prop::collection::vec(any_record(), 1..60), torn in 0..20_usize) {
        let (mut journal, mut accepted) = (MemoryJournal::new(), Vec::new());
        for record in records {
            accepted.extend(journal.append(std::slice::from_ref(&record)).is_ok().then_some(record));
        }
        accepted.truncate(accepted.len().saturating_sub(torn));
        journal.tear(torn);
        let mut other = MemoryJournal::new();
        other.append(&accepted).unwrap();
        prop_assert_eq!(journal.load(at(-1000)), other.load(at(-1000)));
        prop_assert_eq!(journal.history(&HistoryFilter::all(100)), other.history(&HistoryFilter::all(100)));
    }

    #[test]
    fn pruning_takes_nothing_that_would_be_loaded(records in prop::collection::vec(any_record(), 1..120), before in -1000..1000_i64) {
        let mut journal = MemoryJournal::new();
        for record in records {
            drop(journal.append(&[record]));
        }
        let loaded = journal.load(at(before)).unwrap();
        journal.prune(at(before)).unwrap();
        prop_assert_eq!(journal.load(at(before)).unwrap(), loaded);
    }
}

#[test]
fn hooks_are_owed_until_they_have_ended() {
    both(|journal| {
        journal.append(&[hooks_begun(1, 1, 0), hooks_begun(2, 2, 0), create(3, 1, 0)]).unwrap();
        journal.append(&[hooks_begun(1, 1, 0)]).unwrap();
        assert!(matches!(journal.append(&[hooks_begun(1, 2, 0)]), Err(JournalError::Rejected { .. })), "another one of that number");
        assert!(matches!(journal.append(&[create(2, 1, 0)]), Err(JournalError::Rejected { .. })), "a create of that number");
        assert!(matches!(journal.append(&[hooks_begun(3, 1, 0)]), Err(JournalError::Rejected { .. })), "the number of a create");
        assert!(matches!(journal.append(&[hooks_ended(7, 0)]), Err(JournalError::Rejected { .. })));
        let owed = |journal: &mut dyn Journal| old(journal).hooks.into_iter().map(|row| row.begun).collect::<Vec<_>>();
        let (Record::HooksBegun(first), Record::HooksBegun(second)) = (hooks_begun(1, 1, 0), hooks_begun(2, 2, 0)) else { unreachable!() };
        assert_eq!(owed(journal), [HooksBegun::clone(&first), HooksBegun::clone(&second)]);
        assert_eq!(journal.prune(at(1_000_000)).unwrap(), 0, "what is owed is not forgotten");
        journal.append(&[hooks_ended(1, 9)]).unwrap();
        journal.append(&[hooks_ended(1, 10)]).unwrap();
        assert_eq!(owed(journal), [*second]);
        assert_eq!(old(journal).replay(), [hooks_begun(2, 2, 0), create(3, 1, 0)]);
        assert_eq!((journal.prune(at(0)).unwrap(), journal.prune(at(1)).unwrap()), (0, 1));
    });
}

#[test]
fn orders_stand_until_their_time_and_are_told_afterwards() {
    both(|journal| {
        let web = |texts: &[&str]| Selection { servers: texts.iter().map(|text| (*text).into()).collect(), ..Selection::default() };
        let pause = ordered(1, Standing::Pause(web(&["web-*", "7"])), 0, 50);
        let resume = ordered(2, Standing::Resume(Selection { kinds: vec![Kind::Backup], policies: vec!["db".into()], ..web(&[]) }), 10, 50);
        let stop = ordered(4, Standing::NoDeletes { server: ServerId(2), server_name: "web-2".into() }, 10, 40);
        journal.append(&[pause.clone(), resume.clone(), hold(3, 801, 1, 10), stop.clone(), create(5, 1, 0)]).unwrap();
        journal.append(std::slice::from_ref(&pause)).unwrap();
        let wrong = [ordered(1, Standing::Pause(web(&[])), 0, 50), create(3, 1, 0), hooks_begun(3, 1, 0), hold(5, 801, 1, 10)];
        for record in wrong {
            assert!(matches!(journal.append(std::slice::from_ref(&record)), Err(JournalError::Rejected { .. })), "{record:?}");
        }
        let told = |journal: &mut dyn Journal, since| {
            journal.load(at(since)).unwrap().orders.into_iter().map(|row| row.order.op.0).collect::<Vec<_>>()
        };
        assert_eq!(told(journal, 40), [1, 2, 3, 4]);
        assert_eq!(told(journal, 41), [1, 2, 3]);
        assert_eq!((told(journal, 110), told(journal, 111)), (vec![3], vec![]));
        assert_eq!(journal.load(at(0)).unwrap().next_op, OpId(6));
        assert_eq!(journal.load(at(0)).unwrap().replay(), [pause, resume, hold(3, 801, 1, 10), stop, create(5, 1, 0)]);
        let all = HistoryFilter::all(10);
        let shown = |journal: &mut dyn Journal, filter: HistoryFilter| {
            journal.history(&filter).unwrap().orders.into_iter().map(|row| row.order.op.0).collect::<Vec<_>>()
        };
        assert_eq!(shown(journal, all.clone()), [4, 3, 2, 1]);
        assert_eq!(shown(journal, HistoryFilter { since: Some(at(5)), rows_max: 2, ..all.clone() }), [4, 3]);
        assert_eq!(shown(journal, HistoryFilter { servers: vec![ServerId(1)], ..all.clone() }), [3, 2, 1], "a pattern may mean it");
        assert_eq!(shown(journal, HistoryFilter { policies: vec!["web".into()], kinds: vec![Kind::Snapshot], ..all }), [4, 3, 1]);
        assert_eq!((journal.prune(at(50)).unwrap(), told(journal, 0)), (1, vec![1, 2, 3]), "what stands is not forgotten");
        assert_eq!((journal.prune(at(51)).unwrap(), journal.prune(at(111)).unwrap()), (2, 1));
    });
}
