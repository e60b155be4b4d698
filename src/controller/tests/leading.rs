//! Two replicas, of which one acts at a time: told from outside, by whatever decides it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::fact::Fact;
use crate::domain::report::Leader;
use crate::domain::standing::{Ask, Order, Selection};
use crate::provider::ProviderError;
use crate::simulate::{On, Trouble, slot_of};

use super::super::requests::{Select, What};
use super::super::{Fatal, Input, Mode, Request};
use super::world::World;
use super::{HOUR, MINUTE};

const HOURLY: &str = r#"
owner: prod
policies:
  web:
    snapshots: {schedule: "0 * * * *", keep: {last: 4}, catch_up: 30m}
servers:
  - {id: 1, policy: web}
"#;

const WITH_HOOKS: &str = r#"
owner: prod
policies:
  web:
    snapshots:
      schedule: "0 * * * *"
      keep: {last: 4}
      catch_up: 30m
      hooks: {before: {run: [/bin/freeze], timeout: 60s}, after: {run: [/bin/thaw], timeout: 60s}, after_on: completed, max_hold: 15m}
servers:
  - {id: 1, policy: web}
"#;

fn two(yaml: &str) -> World {
    let mut world = World::new(yaml);
    world.add_host(Mode::Daemon).unwrap();
    world.lead(None);
    world
}

impl World {
    /// This one acts from now on, or nobody does.
    fn lead(&mut self, leader: Option<usize>) {
        let name = |place: usize| format!("replica-{place}");
        for place in 0..self.hosts.len() {
            let leads = leader == Some(place);
            self.hosts[place].barred = !leads;
            self.hand_to(place, Input::Leader(Leader { identity: name(place), leads, holder: leader.map(name) }));
        }
    }

    /// How many items were made for each slot.
    fn slots(&self) -> BTreeMap<String, usize> {
        let mut slots = BTreeMap::new();
        for item in self.watch.created_by_us() {
            *slots.entry(slot_of(item).unwrap().to_string()).or_default() += 1;
        }
        slots
    }

    fn wrote(&self, place: usize) -> u64 {
        ["create", "delete"].into_iter().filter_map(|name| self.hosts[place].calls.get(name)).sum()
    }

    fn told_by(&self, place: usize, is: impl Fn(&Fact) -> bool) -> usize {
        self.hosts[place].facts.iter().filter(|(_, fact)| is(fact)).count()
    }
}

#[test]
fn replicas_that_take_turns_make_each_item_once_and_miss_and_lose_none() {
    let mut world = two(HOURLY);
    for turn in 0..16 {
        world.lead(Some(turn % 2));
        world.run_for(HOUR * 3 - MINUTE * 2);
        world.lead(None);
        world.run_for(MINUTE * 2);
    }
    let slots = world.slots();
    assert_eq!(slots.len(), 48, "{slots:#?}");
    assert!(slots.values().all(|count| *count == 1), "{slots:#?}");
    for place in 0..2 {
        assert!(world.wrote(place) > 20);
        assert_eq!(world.told_by(place, |fact| matches!(fact, Fact::Missed { .. })), 0);
        assert_eq!(world.told_by(place, |fact| matches!(fact, Fact::Lost { .. })), 0);
    }
}

#[test]
fn a_slot_that_nobody_served_is_missed_once_by_who_comes_next() {
    let mut world = two(HOURLY);
    world.lead(Some(0));
    world.run_for(HOUR * 2 + MINUTE * 30);
    world.lead(None);
    // The slot of 03:00 passes, and its time to be made up for.
    world.run_for(HOUR + MINUTE * 10);
    world.lead(Some(1));
    world.run_for(MINUTE * 10);
    let missed = |fact: &Fact| matches!(fact, Fact::Missed { count: 1, .. });
    assert_eq!((world.told_by(0, missed), world.told_by(1, missed)), (0, 1));
}

/// Whatever a replica is in the middle of, the other one takes it up, and nothing is made twice.
#[test]
fn a_replica_may_lose_the_lease_at_any_moment_of_a_run() {
    for yaml in [HOURLY, WITH_HOOKS] {
        for moment in 0..60 {
            let mut world = two(yaml);
            world.lead(Some(0));
            // The fifth run also deletes.
            world.run_for(HOUR * 5 - Duration::from_secs(1));
            let end = world.elapsed() + HOUR;
            for _ in 0..moment {
                world.turn(end);
            }
            let wrote = world.wrote(0);
            world.lead(None);
            world.run_for(MINUTE * 2);
            world.lead(Some(1));
            world.run_for(HOUR * 3);
            assert_eq!(world.wrote(0), wrote, "it goes on writing after moment {moment}");
            world.lead(None);
            world.run_for(MINUTE);
            world.lead(Some(0));
            world.run_for(HOUR * 2);
            let slots = world.slots();
            assert!(slots.len() >= 10 && slots.values().all(|count| *count == 1), "moment {moment}: {slots:#?}");
            for place in 0..2 {
                assert_eq!(world.told_by(place, |fact| matches!(fact, Fact::Missed { .. } | Fact::Lost { .. })), 0, "moment {moment}");
            }
        }
    }
}

#[test]
fn what_is_not_let_out_is_tried_again_and_made_once() {
    let mut world = two(HOURLY);
    world.lead(Some(0));
    world.run_for(HOUR - MINUTE);
    // Renewals are late: it leads still, and has no time left for a write.
    let wrote = world.wrote(0);
    world.hosts[0].barred = true;
    world.run_for(MINUTE * 6);
    assert_eq!(world.wrote(0), wrote);
    world.hosts[0].barred = false;
    world.run_for(MINUTE * 20);
    // Those of midnight, where this world begins, and of one o'clock.
    assert_eq!(world.slots().into_values().collect::<Vec<_>>(), [1, 1]);
    assert!(world.report().targets.iter().all(|target| target.problems.is_empty()), "{:#?}", world.report().targets);
}

#[test]
fn one_that_stands_by_looks_and_tells_and_does_nothing_that_is_asked() {
    let mut world = two(HOURLY);
    world.lead(Some(0));
    world.run_for(HOUR * 5);
    let report = world.hosts[1].controller.report(world.now_at(1));
    assert_eq!(report.targets[0].seen.unwrap().restore_points, 4);
    assert!(report.observed && report.leader.is_some_and(|leader| !leader.leads && leader.holder.as_deref() == Some("replica-0")));
    assert_eq!(world.hosts[1].controller.obstacle(), None, "it is ready");
    world.hand_to(1, Input::Request(Request { id: 7, select: Select::default(), what: What::Run { due: false }, by: None }));
    let fatal = world.hosts[1].reports.pop().unwrap().fatal;
    assert!(matches!(&fatal, Some(Fatal::Standby(why)) if why.contains("replica-0 does")), "{fatal:?}");
    let pause = Order { what: Ask::Pause(Selection::default(), HOUR), reason: "why".into(), by: "me".into() };
    world.hand_to(1, Input::Order(8, Box::new(pause)));
    assert!(world.hosts[1].ordered.pop().unwrap().result.is_err());
    world.run_for(HOUR);
    assert_eq!((world.wrote(1), world.hosts[1].controller.is_busy()), (0, false));
}

#[test]
fn who_stops_in_doubt_says_so() {
    for in_doubt in [false, true] {
        let mut world = World::new(HOURLY);
        if in_doubt {
            // It is not shown for longer than it takes to stop.
            world.fault(On::Creates, 1..=1, Trouble::Late(MINUTE * 30, ProviderError::Timeout));
        }
        assert!(world.run_until_that(HOUR * 2, |world| world.calls("create") == 1));
        world.run_for(MINUTE);
        world.hand(Input::Stop);
        assert!(world.run_until_that(MINUTE, |world| world.host().stopped));
        let is_in_doubt = |world: &World| world.host().controller.is_in_doubt(world.now());
        assert_eq!(is_in_doubt(&world), in_doubt);
        world.run_for(MINUTE * 2);
        assert!(!is_in_doubt(&world), "what was sent so long ago does not show any more");
    }
}
