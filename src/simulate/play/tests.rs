//! What is told of a play, against what the simulated provider holds.

use std::sync::Arc;

use jiff::{SignedDuration, tz::TimeZone};
use proptest::prelude::*;

use super::super::measure::{facts, points_at};
use super::*;
use crate::domain::globs::Globs;
use crate::domain::policy::{AtCap, Fuse, Limits, TextOnce, Wanted};
use crate::domain::retention::Keep;
use crate::domain::schedule::{Expression, Schedule};

const CAP: u32 = 5;

fn policy(kind: Kind, expression: &str, keep: &str, leave_free: u32) -> KindPolicy {
    let expression = Arc::new(Expression::parse(expression).unwrap());
    KindPolicy {
        policy: "web".into(),
        kind,
        schedule: Arc::new(Schedule::new(vec![expression], TimeZone::UTC)),
        splay: Duration::from_secs(1800),
        catch_up: Duration::from_secs(7200),
        keep: Keep::parse(keep).unwrap(),
        leave_free,
        at_cap: AtCap::Rotate,
        adopt: Globs::none(),
        protect: Globs::none(),
        min_keep: 1,
        stuck_after: Duration::from_secs(3600),
        hooks: None,
        text: TextOnce::default(),
    }
}

fn play(policies: Vec<KindPolicy>, days: i64) -> Play {
    let wanted = Wanted {
        owner: "prod".into(),
        former_owners: Vec::new(),
        limits: Limits { snapshots: CAP, manual_backups: 10 },
        fuse: Fuse { enabled: true, extra_per_server: 1, extra_per_day: 50 },
        entries: Vec::new(),
        policies: Vec::new(),
    };
    let setup = Setup {
        wanted,
        digest: "".into(),
        account: None,
        request_timeout: Duration::from_secs(30),
        poll_every: Duration::from_secs(15),
        refresh_every: Duration::from_secs(300),
        concurrent_creates: 10,
    };
    // A Monday.
    let from: Timestamp = "2026-01-05T00:00:00Z".parse().unwrap();
    Play { setup, policies, from, until: from + SignedDuration::from_hours(24 * days), outage: None }
}

fn dates(times: &[Timestamp]) -> Vec<String> {
    times.iter().map(|time| time.strftime("%a %-d").to_string()).collect()
}

#[test]
fn two_days_and_two_weeks_as_worked_out_by_hand() {
    let play = play(vec![policy(Kind::Snapshot, "30 3 * * *", "daily=2,weekly=2", 1)], 23);
    let played = play.run().unwrap();
    let kind = &played.kinds[0];
    let there = |day: i64| dates(&points_at(&kind.lives, play.from + SignedDuration::from_hours(24 * day)));
    assert_eq!(there(1), ["Mon 5"]);
    // While there are weekly places left over, the oldest stays.
    assert_eq!(there(4), ["Thu 8", "Wed 7", "Mon 5"]);
    assert_eq!(there(8), ["Mon 12", "Sun 11", "Mon 5"]);
    assert_eq!(there(15), ["Mon 19", "Sun 18", "Sun 11", "Mon 5"]);
    assert_eq!(there(16), ["Tue 20", "Mon 19", "Sun 18", "Sun 11"]);
    assert_eq!(there(22), ["Mon 26", "Sun 25", "Sun 18", "Sun 11"]);
    assert_eq!((kind.creates, kind.deletes, kind.failed, kind.cap_reached), (23, 19, 0, 14));
    // There are four from Tuesday the 13th on, so each create from the day after on fills the fifth slot, until an item goes.
    assert_eq!((kind.room_made, kind.blocked, kind.missed), (0, 0, 0));
    let facts = facts(kind, play.from, play.until);
    assert_eq!(facts.settled_at.map(|at| dates(&[at])), Some(vec!["Tue 20".to_owned()]));
    assert_eq!(facts.points, Some((4, 4)));
}

#[test]
fn both_kinds_are_played_on_one_server() {
    let backup = policy(Kind::Backup, "30 3 * * sun", "last=2", 1);
    let played = play(vec![policy(Kind::Snapshot, "30 3 * * *", "last=2", 1), backup], 28).run().unwrap();
    let of = |kind: Kind| played.kinds.iter().find(|played| played.policy.kind == kind).unwrap();
    assert_eq!((of(Kind::Snapshot).creates, of(Kind::Backup).creates, of(Kind::Backup).deletes), (28, 4, 2));
    assert_eq!((of(Kind::Snapshot).cap, of(Kind::Backup).cap), (CAP, 10));
}

#[test]
fn with_no_slot_left_free_room_is_made_each_time() {
    let played = play(vec![policy(Kind::Snapshot, "30 3 * * *", "daily=3,weekly=2", 0)], 40).run().unwrap();
    let kind = &played.kinds[0];
    // Monday the 5th stays as the oldest. There are four from Thursday the 8th on, so the creates of the 9th to the 14th fill the last slot, and five from
    // then on: the first ten creates find a slot, the thirty after them do not, and fill it.
    assert_eq!((kind.creates, kind.deletes, kind.room_made, kind.cap_reached, kind.blocked), (40, 35, 30, 6 + 30, 0));
}

#[test]
fn nothing_good_goes_while_nothing_can_be_made() {
    let day = |day: i64| "2026-01-05T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_hours(24 * day);
    let outage = Outage { from: day(30), until: day(37) };
    let play = Play { outage: Some(outage), ..play(vec![policy(Kind::Snapshot, "30 3 * * *", "daily=2,weekly=2", 1)], 90) };
    let with = play.run().unwrap();
    let without = Play { outage: None, ..play.clone() }.run().unwrap();
    let told = super::super::aftermath(&with.kinds[0], &without.kinds[0], outage, play.from, play.until);
    assert_eq!((&told.middle, &told.end), (&told.before, &told.before));
    assert_eq!(told.before.len(), 4);
    assert!(told.failed >= 7, "{told:?}");
    let first_after = told.first_after.unwrap().duration_since(day(37));
    assert_eq!(first_after.as_mins(), 3 * 60 + 30, "{told:?}");
    let healed = told.as_before_at.unwrap();
    assert!(healed > outage.until && healed < day(60), "{told:?}");
    assert_eq!(without.kinds[0].failed, 0);
}

#[test]
fn looking_in_between_costs_what_refresh_every_says() {
    let play = play(vec![policy(Kind::Snapshot, "30 3 * * *", "last=2", 1)], 7);
    let every_five_minutes = play.watching_calls_a_day().unwrap();
    let mut seldom = play.clone();
    seldom.setup.refresh_every = Duration::from_secs(3600);
    let every_hour = seldom.watching_calls_a_day().unwrap();
    assert!(every_five_minutes > 280.0 && every_hour > 20.0, "{every_five_minutes} {every_hour}");
    assert!(every_five_minutes / every_hour > 8.0, "{every_five_minutes} {every_hour}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// What is said to be there at the end of a day is what the provider holds then.
    #[test]
    fn what_is_told_is_there(
        counts in prop::array::uniform4(0u32..3),
        hours in 3u32..13,
        leave_free in 0u32..2,
        outage in prop::option::of((1i64..10, 1i64..12)),
    ) {
        let [last, daily, weekly, monthly] = counts;
        let keep = Keep { last: last.max(1), daily, weekly: weekly.min(1), monthly: monthly.min(1), ..Keep::default() };
        prop_assume!(keep.sum() <= u64::from(CAP - leave_free));
        let mut play = play(vec![policy(Kind::Snapshot, &format!("15 */{hours} * * *"), &keep.to_string(), leave_free)], 25);
        let day = |day: i64| play.from + SignedDuration::from_hours(24 * day);
        play.outage = outage.map(|(begin, length)| Outage { from: day(begin), until: day(begin + length) });
        let mut days = 0;
        play.watch(NEVER, &mut |world, tallies| {
            let now = world.true_now();
            let held = world.twin.account.items(Kind::Snapshot).filter(|item| item.progress == Progress::Completed);
            let mut held: Vec<Timestamp> = held.map(|item| item.created_at).collect();
            held.sort_unstable_by(|a, b| b.cmp(a));
            assert_eq!(points_at(&tallies[0].kind.lives, now), held);
            days += 1;
        }).unwrap();
        prop_assert!(days >= 25);
    }
}
