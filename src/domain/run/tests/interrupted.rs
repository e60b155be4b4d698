//! Runs that go on where an earlier process was interrupted.

use super::*;

/// A story after a crash: the journal is remembered, everything else is lost.
fn crashed(memory: Memory, resume: Resume) -> Story {
    let started = Now { wall: now(), mono: Mono(Duration::from_secs(1000)) };
    let run = Run::resumed(Start { id: RunId(2), trigger: Trigger::Resumed, started, ..start() }, resume, TIMEOUT);
    Story { memory, ..Story::of(run, "last=4") }
}

fn undecided(memory: &Memory) -> crate::domain::memory::Undecided {
    memory.get((SERVER, Kind::Snapshot)).unwrap().undecided.values().next().unwrap().clone()
}

fn create_in_doubt() -> Story {
    let memory = Story::sent("last=4", &some(1)).memory;
    let crate::domain::memory::Undecided::Create(intent) = undecided(&memory) else { panic!("a create is in doubt") };
    crashed(memory, Resume::CreateInDoubt(intent))
}

#[test]
fn a_create_in_doubt_is_found_and_waited_for() {
    let mut story = create_in_doubt();
    assert_eq!(story.look(), [""; 0]);
    assert_eq!(story.show(&with(&some(1), coming(Status::InProgress))), ["accepted 900"]);
    assert_eq!(story.show(&with(&some(1), coming(Status::Completed))), ["completed", "release", "end success"]);
}

#[test]
fn a_create_in_doubt_that_is_absent_is_sent_again_in_time() {
    let mut story = create_in_doubt();
    story.look();
    story.pass(60).show(&some(1));
    assert_eq!(story.pass(60).show(&some(1)), ["create absent", "intend create 2 of prod-web-20261121T120000Z"]);
    let mut late = create_in_doubt();
    late.run.deadline = Some(now());
    late.look();
    late.pass(60).show(&some(1));
    assert_eq!(late.pass(60).show(&some(1)), ["create absent", "end failure create_failed"]);
}

fn delete_in_doubt() -> Story {
    let (mut story, _) = Story::pruning("last=4", &some(4));
    story.recorded();
    let crate::domain::memory::Undecided::Delete(intent) = undecided(&story.memory) else { panic!("a delete is in doubt") };
    crashed(story.memory, Resume::DeleteInDoubt(intent, Box::new(ours(1, 99))))
}

#[test]
fn a_delete_in_doubt_is_settled_and_never_sent_again() {
    let five = with(&some(4), coming(Status::Completed));
    let mut story = delete_in_doubt();
    story.look();
    story.pass(60).show(&five);
    assert_eq!(story.pass(60).show(&five), ["delete ineffective", "end skipped"]);
    let mut story = delete_in_doubt();
    story.look();
    story.pass(60).show(&without(&five, 1));
    assert_eq!(story.pass(60).show(&without(&five, 1)), ["delete gone", "end skipped"]);
    let mut story = delete_in_doubt();
    story.look();
    assert_eq!(story.pass(600).look(), ["end failure delete_unknown"]);
}

fn waiting(age_s: u64) -> Story {
    let mut story = Story::sent("last=4", &some(4));
    story.created(coming(Status::InProgress));
    let op = story.memory.get((SERVER, Kind::Snapshot)).unwrap().unfinished.values().next().map(|accepted| accepted.op);
    crashed(story.memory, Resume::Waiting { op, item: ItemId(900), age: Duration::from_secs(age_s) })
}

#[test]
fn an_unfinished_item_is_waited_for_and_then_the_run_prunes() {
    let mut story = waiting(60);
    assert_eq!(story.look(), [""; 0]);
    let told = story.show(&with(&some(4), coming(Status::Completed)));
    assert_eq!(told, ["completed", "release", "intend after_create 1"]);
}

#[test]
fn its_age_counts() {
    let mut story = waiting(3000);
    story.look();
    assert_eq!(story.pass(600).look(), ["release", "end failure stuck"]);
}

#[test]
fn an_item_that_the_journal_forgot_is_waited_for_all_the_same() {
    let run = Run::resumed(start(), Resume::Waiting { op: None, item: ItemId(900), age: Duration::ZERO }, TIMEOUT);
    let mut story = Story::of(run, "last=4");
    assert_eq!(story.show(&with(&some(4), coming(Status::Completed))), ["release", "intend after_create 1"]);
    let run = Run::resumed(start(), Resume::Waiting { op: None, item: ItemId(900), age: Duration::ZERO }, TIMEOUT);
    let mut story = Story::of(run, "last=4");
    assert_eq!(story.show(&with(&some(4), with_status(coming(Status::Completed), Status::Failed)))[0], "release");
}
