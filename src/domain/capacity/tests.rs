//! What fits, what does not, and what is told of it.

use jiff::tz::TimeZone;

use super::super::schedule::{Expression, Schedule};
use super::super::testing;
use super::*;

const MEANS: Means = Means { concurrent_creates: 10, requests_per_second: 2.0, poll_every: Duration::from_secs(15) };

fn policy(name: &str, kind: Kind, expression: &str, catch_up_h: u64) -> Arc<KindPolicy> {
    let schedule = Schedule::new(vec![Arc::new(Expression::parse(expression).unwrap())], TimeZone::UTC);
    let catch_up = Duration::from_secs(catch_up_h * 3600);
    let splay = Duration::from_secs(20 * 60);
    KindPolicy { policy: name.into(), kind, schedule: Arc::new(schedule), splay, catch_up, ..testing::policy("last=4") }.into()
}

fn found(demands: &[(&Arc<KindPolicy>, u64)], means: Means) -> Option<Shortfall> {
    let demands: Vec<Demand<'_>> = demands.iter().map(|(policy, servers)| Demand { policy, servers: *servers }).collect();
    shortfall(&demands, &means, testing::now())
}

/// The last of 140 begins after (140 - 10) / 10 times ten minutes, which is 2 h 10 min; 2 h 20 min are allowed.
#[test]
fn what_can_be_done_is_not_told() {
    let nightly = policy("web", Kind::Snapshot, "30 3 * * *", 2);
    assert_eq!(found(&[(&nightly, 140)], MEANS), None);
    assert_eq!(found(&[(&nightly, 150)], MEANS), None);
    assert!(found(&[(&nightly, 151)], MEANS).is_some());
    assert_eq!(found(&[(&nightly, 0)], MEANS), None);
    assert_eq!(found(&[], MEANS), None);
}

#[test]
fn the_arithmetic_is_told() {
    let nightly = policy("web", Kind::Snapshot, "30 3 * * *", 2);
    let told = found(&[(&nightly, 1000)], MEANS).unwrap();
    assert_eq!(
        told.to_string(),
        "the fleet cannot be done in its time: 1000 snapshots of policy `web` are due at 2026-11-22T03:30:00Z; with 10 at a time, each taking up \
         to 10m, the last begins 16h 30m later, and may 2h 20m later (`splay` and `catch_up`): `concurrent_creates: 67` would do"
    );
    assert_eq!(found(&[(&nightly, 1000)], Means { concurrent_creates: 67, ..MEANS }), None);
    assert!(found(&[(&nightly, 1000)], Means { concurrent_creates: 66, ..MEANS }).is_some());
}

#[test]
fn what_others_have_left_to_do_counts() {
    let (first, second) = (policy("a", Kind::Snapshot, "0 3 * * *", 2), policy("b", Kind::Backup, "0 4 * * *", 2));
    assert_eq!((found(&[(&first, 140)], MEANS), found(&[(&second, 140)], MEANS)), (None, None));
    let told = found(&[(&first, 140), (&second, 140)], MEANS).unwrap();
    assert_eq!((&*told.policy, told.kind, told.due, told.waiting), ("b", Kind::Backup, 140, 80), "an hour makes 60 of them");
    assert!(
        told.to_string()
            .contains("140 backups of policy `b` are due at 2026-11-22T04:00:00Z, when 80 from before still wait or are being made")
    );
}

/// Each day leaves something to the next.
#[test]
fn a_fleet_that_falls_behind_day_by_day_is_told() {
    let nightly = policy("web", Kind::Snapshot, "0 3 * * *", 24);
    let told = found(&[(&nightly, 1450)], MEANS).unwrap();
    assert_eq!((told.due, told.bottleneck), (1450, Bottleneck::Creates(10, Some(11))));
    assert!(told.waiting > 0, "1440 can be made in a day");
    assert_eq!(found(&[(&nightly, 1440)], MEANS), None);
}

#[test]
fn a_rate_that_is_too_low_is_told() {
    let hourly = policy("web", Kind::Snapshot, "0 * * * *", 0);
    let means = Means { concurrent_creates: 1000, requests_per_second: 0.5, poll_every: Duration::from_secs(60) };
    let told = found(&[(&hourly, 900)], means).unwrap();
    assert_eq!(told.bottleneck, Bottleneck::Requests(0.5, Some(1.5)));
    let text = told.to_string();
    assert!(text.contains("with 0.5 requests a second, less those that look, and two for each"), "{text}");
    assert!(text.ends_with("`requests_per_second: 1.5` would do"), "{text}");
    assert_eq!(found(&[(&hourly, 900)], Means { requests_per_second: 1.5, ..means }), None);
    assert!(found(&[(&hourly, 900)], Means { requests_per_second: 1.4, ..means }).is_some());
}

#[test]
fn what_nothing_helps_says_so() {
    let often = policy("web", Kind::Snapshot, "* * * * *", 0);
    let told = found(&[(&often, 1000)], MEANS).unwrap();
    assert_eq!(told.bottleneck, Bottleneck::Creates(10, None));
    assert!(told.to_string().ends_with(": spread it over more time"));
}

#[test]
fn servers_with_the_same_policies_are_counted_together() {
    let (snapshots, backups) = (policy("a", Kind::Snapshot, "0 3 * * *", 2), policy("a", Kind::Backup, "0 4 * * *", 2));
    let both = Assignment { snapshot: Some(Arc::clone(&snapshots)), backup: Some(backups) };
    let one = Assignment { snapshot: Some(snapshots), backup: None };
    let none = Assignment::default();
    let demands = demands([(&both, 1), (&one, 5), (&none, 7), (&both, 2)]);
    let counts: Vec<(Kind, u64)> = demands.iter().map(|demand| (demand.policy.kind, demand.servers)).collect();
    assert_eq!(counts, [(Kind::Snapshot, 8), (Kind::Backup, 3)]);
}
