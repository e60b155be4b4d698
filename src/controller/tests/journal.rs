//! A journal that cannot be written.

use crate::domain::fact::Fact;
use crate::domain::inventory::Kind;
use crate::domain::problem::AccountReason;
use crate::journal::Fault;

use super::world::World;
use super::{DAY, HOUR, MINUTE, one, refreshed_seldom};

fn problems(world: &World) -> Vec<AccountReason> {
    world.report().account.iter().map(|problem| problem.reason).collect()
}

#[test]
fn while_it_cannot_be_written_nothing_is_sent() {
    for fault in [Fault::Full, Fault::Io { written: false }, Fault::Io { written: true }] {
        let mut world = World::new(&one("keep: {last: 3}"));
        world.run_for(DAY * 3);
        world.journal().set_fault(Some(fault));
        world.run_for(HOUR * 4);
        assert_eq!((world.calls("create"), world.calls("delete")), (3, 0));
        assert_eq!(problems(&world), [AccountReason::Journal], "{fault:?}");
        assert_eq!(world.told(|fact| matches!(fact, Fact::AccountProblemRaised { reason: AccountReason::Journal, .. })), 1);
        world.heal();
        world.run_for(HOUR);
        assert_eq!(world.watch.created_by_us().len(), 4);
        assert!(problems(&world).is_empty(), "{fault:?}: {:?}", world.report().account);
        world.restart(MINUTE);
        world.run_for(DAY);
        assert_eq!(world.items(Kind::Snapshot, 1).len(), 3);
    }
}

#[test]
fn one_that_fails_in_the_middle_of_a_run_loses_nothing() {
    for fault in [Fault::Full, Fault::Io { written: false }, Fault::Io { written: true }] {
        for seconds in [1, 60, 310] {
            let mut world = World::new(&refreshed_seldom(&one("keep: {last: 5}, leave_free: 0")));
            world.run_for(DAY * 5 + HOUR * 3 + MINUTE / 60 * seconds);
            world.journal().set_fault(Some(fault));
            world.run_for(MINUTE * 20);
            world.heal();
            world.restart(MINUTE);
            world.run_for(DAY * 2);
            world.settle();
            assert_eq!(world.items(Kind::Snapshot, 1).len(), 5);
            assert_eq!(world.watch.created_by_us().len(), 8);
            assert!(problems(&world).is_empty());
        }
    }
}

#[test]
fn one_whose_end_is_torn_off_loses_nothing() {
    for records in 0..14 {
        let mut world = World::new(&refreshed_seldom(&one("keep: {last: 5}, leave_free: 0")));
        world.run_for(DAY * 5 + HOUR * 4);
        world.tear_journal(0, records);
        world.restart(MINUTE);
        world.run_for(DAY * 2);
        world.settle();
        assert_eq!(world.watch.created_by_us().len(), 8, "{records}");
        assert_eq!(world.items(Kind::Snapshot, 1).len(), 5, "{records}");
        // Where not even the intent of our own delete is left, it looks like somebody else's.
        let lost = world.told(|fact| matches!(fact, Fact::Lost { .. }));
        assert_eq!(lost, usize::from(records >= 7), "{records}");
    }
}

#[test]
fn a_delete_whose_intent_could_not_be_written_is_forgotten() {
    let mut world = World::new(&one("keep: {last: 3}"));
    world.run_for(DAY * 3);
    assert!(world.run_until_that(DAY, |world| world.items(Kind::Snapshot, 1).len() == 4));
    world.journal().set_fault(Some(Fault::Full));
    world.run_for(HOUR);
    world.heal();
    world.run_for(HOUR * 12);
    let started = world.told(|fact| matches!(fact, Fact::RunStarted { .. }));
    assert!(started <= 6, "{started} runs");
    world.run_for(DAY * 2);
    assert_eq!(world.items(Kind::Snapshot, 1).len(), 3);
    assert!(world.report().targets[0].problems.is_empty());
}
