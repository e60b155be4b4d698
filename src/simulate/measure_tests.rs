//! Lives made up by hand, and what is measured of them.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::*;
use crate::domain::globs::Globs;
use crate::domain::inventory::{ItemId, Kind};
use crate::domain::policy::{AtCap, KindPolicy, TextOnce};
use crate::domain::retention::Keep;
use crate::domain::schedule::Schedule;

/// So many hours after the beginning.
fn hour(hours: i64) -> Timestamp {
    "2026-01-05T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_hours(hours)
}

/// Lives as (ordered, completed, deleted), in hours; 0: never.
fn kind(lives: &[(i64, i64, i64)]) -> PlayedKind {
    let life = |(id, (created, completed, deleted)): (usize, &(i64, i64, i64))| Life {
        id: ItemId(id as u64),
        created_at: hour(*created),
        slot: hour(*created),
        completed_at: hour(*completed),
        deleted_at: (*deleted > 0).then(|| hour(*deleted)),
    };
    let policy = KindPolicy {
        policy: "web".into(),
        kind: Kind::Snapshot,
        schedule: Arc::new(Schedule::new(Vec::new(), TimeZone::UTC)),
        splay: Duration::ZERO,
        catch_up: Duration::ZERO,
        keep: Keep::default(),
        leave_free: 1,
        at_cap: AtCap::Rotate,
        adopt: Globs::none(),
        protect: Globs::none(),
        min_keep: 1,
        stuck_after: Duration::ZERO,
        hooks: None,
        text: TextOnce::default(),
    };
    PlayedKind {
        policy: Arc::new(policy),
        cap: 5,
        lives: lives.iter().enumerate().map(life).collect(),
        creates: 0,
        deletes: 0,
        failed: 0,
        cap_reached: 0,
        room_made: 0,
        blocked: 0,
        missed: 0,
    }
}

#[test]
fn ages_and_counts_are_those_after_settling() {
    let kind = kind(&[(3, 4, 53), (27, 28, 77), (51, 52, 0), (75, 76, 0)]);
    let facts = facts(&kind, hour(0), hour(96));
    assert_eq!((facts.first_at, facts.settled_at), (Some(hour(4)), Some(hour(53))));
    assert_eq!(facts.points, Some((2, 2)));
    // The least at 77, when the second went: the third is 26 hours old. The most right before that.
    assert_eq!(facts.oldest, Some((SignedDuration::from_hours(26), SignedDuration::from_hours(50))));
    // From the newest to the moment before the next is there.
    assert_eq!(facts.widest_gap, Some(Gap { older: hour(3), newer: None, seen_at: hour(28) }));
    assert_eq!(facts.widest_gap.unwrap().length(), SignedDuration::from_hours(25));
}

#[test]
fn a_gap_opens_when_one_in_between_goes() {
    let kind = kind(&[(0, 1, 0), (10, 11, 30), (20, 21, 0)]);
    let facts = facts(&kind, hour(0), hour(31));
    assert_eq!(facts.widest_gap, Some(Gap { older: hour(0), newer: Some(hour(20)), seen_at: hour(30) }));
    assert_eq!((facts.settled_at, facts.points, facts.oldest), (None, None, None));
}

#[test]
fn the_last_gap_ends_with_the_time() {
    let facts = facts(&kind(&[(0, 1, 0), (10, 11, 0)]), hour(0), hour(99));
    assert_eq!(facts.widest_gap, Some(Gap { older: hour(10), newer: None, seen_at: hour(99) }));
}

#[test]
fn nothing_is_told_of_nothing() {
    assert_eq!(facts(&kind(&[]), hour(0), hour(99)), Facts::default());
}

#[test]
fn points_are_there_from_completion_to_delete() {
    let lives = kind(&[(0, 1, 30), (10, 11, 0)]).lives;
    assert_eq!(points_at(&lives, hour(0)), []);
    assert_eq!(points_at(&lives, hour(1)), [hour(0)]);
    assert_eq!(points_at(&lives, hour(29)), [hour(10), hour(0)]);
    assert_eq!(ages_at(&lives, hour(30)), [SignedDuration::from_hours(20)]);
}

#[test]
fn all_is_well_again_when_nothing_differs_any_more() {
    let without = kind(&[(3, 4, 53), (27, 28, 77), (51, 52, 0), (75, 76, 0)]);
    let with = kind(&[(3, 4, 77), (51, 52, 0), (75, 76, 0)]);
    let outage = Outage { from: hour(20), until: hour(40) };
    let told = aftermath(&with, &without, outage, hour(0), hour(120));
    assert_eq!((told.before, told.middle, told.end), (vec![hour(3)], vec![hour(3)], vec![hour(3)]));
    assert_eq!((told.first_after, told.as_before_at), (Some(hour(51)), Some(hour(96))));
    assert_eq!(told.afterwards, [hour(75), hour(51)]);
}
