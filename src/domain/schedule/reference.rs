//! The schedule against a reading of the rule that knows nothing of croner, stretches or transitions: it steps through time and looks at the wall clock.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::sample::select;

use super::{Expression, Fire, Schedule};

/// Zones with all kinds of changes: half an hour, two hours, a whole day, at midnight, a minute past it, negative summer time, twice within weeks, seconds.
const ZONES: [&str; 20] = [
    "UTC",
    "Europe/Riga",
    "America/New_York",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "America/Havana",
    "Asia/Beirut",
    "Africa/Casablanca",
    "America/St_Johns",
    "Europe/Dublin",
    "Antarctica/Troll",
    "Antarctica/Casey",
    "Asia/Gaza",
    "Asia/Pyongyang",
    "Pacific/Kwajalein",
    "America/Nuuk",
    "America/Sao_Paulo",
    "Pacific/Chatham",
    "Africa/Monrovia",
    "Europe/Amsterdam",
];

/// A field: how it is written, and which values that means.
#[derive(Debug, Clone)]
struct Model {
    text: String,
    values: BTreeSet<i8>,
}

#[derive(Debug, Clone)]
struct ModelExpression {
    second: Model,
    minute: Model,
    hour: Model,
    weekday: Model,
}

impl ModelExpression {
    fn parsed(&self) -> Arc<Expression> {
        let text = format!("{} {} {} * * {}", self.second.text, self.minute.text, self.hour.text, self.weekday.text);
        Arc::new(Expression::parse(&text).unwrap())
    }

    fn follows_wall_clock(&self) -> bool {
        [&self.second, &self.minute, &self.hour].iter().any(|field| field.text.contains('*'))
    }

    fn names(&self, wall: DateTime) -> bool {
        self.second.values.contains(&wall.second())
            && self.minute.values.contains(&wall.minute())
            && self.hour.values.contains(&wall.hour())
            && self.weekday.values.contains(&wall.weekday().to_sunday_zero_offset())
    }
}

fn field(highest: i8) -> impl Strategy<Value = Model> {
    let all = 0..=highest;
    let star = Just(Model { text: "*".into(), values: all.clone().collect() });
    let stepped = (1..=highest)
        .prop_map(move |step| Model { text: format!("*/{step}"), values: (0..=highest).filter(|value| value % step == 0).collect() });
    let list = prop::collection::btree_set(all.clone(), 1..4)
        .prop_map(|values| Model { text: values.iter().map(i8::to_string).collect::<Vec<_>>().join(","), values });
    let range =
        (all.clone(), all).prop_map(|(a, b)| Model { text: format!("{}-{}", a.min(b), a.max(b)), values: (a.min(b)..=a.max(b)).collect() });
    prop_oneof![1 => star, 2 => stepped, 3 => list, 2 => range]
}

/// Expressions whose seconds field is one given value, or any.
fn expression(seconds: bool) -> impl Strategy<Value = ModelExpression> {
    let zero = Just(Model { text: "0".into(), values: BTreeSet::from([0]) });
    let second = if seconds { field(59).boxed() } else { zero.boxed() };
    // Early hours are where zones change; a day of the week is seldom named.
    let early = prop::collection::btree_set(0..5i8, 1..5)
        .prop_map(|values| Model { text: values.iter().map(i8::to_string).collect::<Vec<_>>().join(","), values });
    let any_day = Just(Model { text: "*".into(), values: (0..7).collect() });
    let hour = prop_oneof![field(23), early];
    let weekday = prop_oneof![3 => any_day.boxed(), 1 => field(6).boxed()];
    (second, field(59), hour, weekday).prop_map(|(second, minute, hour, weekday)| ModelExpression { second, minute, hour, weekday })
}

/// A change of a zone's offset since 1970, or any time where there is none.
fn change() -> impl Strategy<Value = (TimeZone, Timestamp)> {
    (select(&ZONES[..]), 0..35_000_000i64).prop_map(|(name, second)| {
        let zone = TimeZone::get(name).unwrap();
        let near = Timestamp::from_second(second * 60).unwrap();
        let found = zone.preceding(near).next().map(|change| change.timestamp()).filter(|time| *time > Timestamp::UNIX_EPOCH);
        let found = found.or_else(|| zone.following(near).next().map(|change| change.timestamp())).unwrap_or(near);
        (zone, found)
    })
}

/// Steps through `(from, until]` and applies the rule to what the wall clock shows, having watched it for `warm_up` before.
fn fires(
    model: &ModelExpression,
    zone: &TimeZone,
    span: (Timestamp, Timestamp),
    warm_up: SignedDuration,
    step: SignedDuration,
) -> Vec<Fire> {
    let mut found = Vec::new();
    let mut time = span.0 - warm_up;
    let mut highest = zone.to_datetime(time);
    while time < span.1 {
        time += step;
        let wall = zone.to_datetime(time);
        let repeated = wall <= highest;
        let shown = model.names(wall);
        let mut fired = shown && model.follows_wall_clock();
        while highest < wall {
            highest += step;
            fired |= !model.follows_wall_clock() && model.names(highest);
        }
        if fired && time > span.0 {
            found.push(Fire { time, moved: !shown, repeated });
        }
    }
    found
}

fn merge(lists: Vec<Vec<Fire>>) -> Vec<Fire> {
    let mut all: Vec<Fire> = lists.concat();
    all.sort_by_key(|fire| (fire.time, fire.moved));
    all.dedup_by_key(|fire| fire.time);
    all
}

fn check(
    models: &[ModelExpression],
    zone: &TimeZone,
    change: Timestamp,
    half: SignedDuration,
    warm_up: SignedDuration,
    step: SignedDuration,
) {
    let schedule = Schedule::new(models.iter().map(ModelExpression::parsed).collect(), zone.clone());
    let (from, until) = (change - half, change + half);
    let expected = merge(models.iter().map(|model| fires(model, zone, (from, until), warm_up, step)).collect());
    let mut found = Vec::new();
    let mut time = from;
    while let Some(fire) = schedule.next_after(time)
        && fire.time <= until
    {
        found.push(fire);
        time = fire.time;
    }
    let differs = (0..found.len().max(expected.len())).find(|index| found.get(*index) != expected.get(*index));
    if let Some(index) = differs {
        panic!("{:?}, not {:?}: {schedule:?} {change}", found.get(index), expected.get(index));
    }
    assert_eq!(schedule.count_between(from, until, u64::MAX), expected.len() as u64);
    for (index, fire) in expected.iter().enumerate() {
        let at_its_end = expected.get(index + 1).map_or(until, |next| next.time - SignedDuration::from_nanos(1));
        assert_eq!(schedule.newest_at_or_before(fire.time), Some(fire.time));
        assert_eq!(schedule.newest_at_or_before(at_its_end), Some(fire.time), "{schedule:?} {at_its_end}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Minutes, over days around a change; whole-day changes included.
    #[test]
    fn minutes_agree_with_the_reference((zone, change) in change(), models in prop::collection::vec(expression(false), 1..3)) {
        // A zone whose offset has seconds shows whole minutes only between the steps.
        prop_assume!(zone.to_offset(change).seconds() % 60 == 0);
        prop_assume!(zone.to_offset(change - SignedDuration::from_hours(80)).seconds() % 60 == 0);
        check(&models, &zone, change, SignedDuration::from_hours(26), SignedDuration::from_hours(54), SignedDuration::from_mins(1));
    }

    /// Seconds, around a change of at most two hours.
    #[test]
    fn seconds_agree_with_the_reference((zone, change) in change(), models in prop::collection::vec(expression(true), 1..3)) {
        let before = zone.to_offset(change - SignedDuration::from_secs(1)).seconds();
        prop_assume!((zone.to_offset(change).seconds() - before).abs() <= 7200);
        check(&models, &zone, change, SignedDuration::from_mins(50), SignedDuration::from_mins(130), SignedDuration::from_secs(1));
    }
}

fn shown(expression: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
    let zone = TimeZone::get(zone).unwrap();
    let schedule = Schedule::new(vec![Arc::new(Expression::parse(expression).unwrap())], zone.clone());
    let mut time: Timestamp = from.parse().unwrap();
    let mut found = Vec::new();
    for _ in 0..count {
        let fire = schedule.next_after(time).unwrap();
        time = fire.time;
        let note = if fire.moved {
            " moved"
        } else if fire.repeated {
            " repeated"
        } else {
            ""
        };
        found.push(format!("{}{note}", fire.time.to_zoned(zone.clone()).strftime("%m-%dT%H:%M:%S%:z")));
    }
    found
}

#[test]
fn half_an_hour_at_lord_howe() {
    // 2026-10-04 02:00+10:30 → 02:30+11:00; 2026-04-05 02:00+11:00 → 01:30+10:30.
    assert_eq!(
        shown("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00Z", 2),
        ["10-04T02:30:00+11:00 moved", "10-05T02:15:00+11:00"]
    );
    assert_eq!(shown("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00:00Z", 2), ["04-05T01:45:00+11:00", "04-06T01:45:00+10:30"]);
    assert_eq!(
        shown("*/20 1 * * *", "Australia/Lord_Howe", "2026-04-04T13:00:00Z", 4),
        ["04-05T01:00:00+11:00", "04-05T01:20:00+11:00", "04-05T01:40:00+11:00", "04-05T01:40:00+10:30 repeated"]
    );
}

#[test]
fn a_whole_day_left_out_at_apia() {
    // There was no 2011-12-30.
    assert_eq!(
        shown("0 3,5 * * *", "Pacific/Apia", "2011-12-29T14:00:00Z", 4),
        ["12-29T05:00:00-10:00", "12-31T00:00:00+14:00 moved", "12-31T03:00:00+14:00", "12-31T05:00:00+14:00"]
    );
    assert_eq!(shown("0 12 30 * *", "Pacific/Apia", "2011-12-01T00:00:00Z", 2), ["12-31T00:00:00+14:00 moved", "01-30T12:00:00+14:00"]);
    assert_eq!(shown("0 */12 30 * *", "Pacific/Apia", "2011-12-01T00:00:00Z", 1), ["01-30T00:00:00+14:00"]);
}

#[test]
fn changes_at_midnight() {
    // Havana 2026: 03-08 00:00 → 01:00; 11-01 01:00 → 00:00. Beirut 2026: 03-29 00:00 → 01:00; 10-25 00:00 → 10-24 23:00.
    assert_eq!(shown("@daily", "America/Havana", "2026-03-07T12:00:00Z", 2), ["03-08T01:00:00-04:00 moved", "03-09T00:00:00-04:00"]);
    assert_eq!(shown("@daily", "America/Havana", "2026-10-31T12:00:00Z", 2), ["11-01T00:00:00-04:00", "11-02T00:00:00-05:00"]);
    assert_eq!(shown("@daily", "Asia/Beirut", "2026-03-28T12:00:00Z", 2), ["03-29T01:00:00+03:00 moved", "03-30T00:00:00+03:00"]);
    // The clock shows 23:59:59, then 23:00:00: midnight is reached once.
    assert_eq!(shown("@daily", "Asia/Beirut", "2026-10-24T12:00:00Z", 2), ["10-25T00:00:00+02:00", "10-26T00:00:00+02:00"]);
    assert_eq!(shown("30 23 * * *", "Asia/Beirut", "2026-10-24T12:00:00Z", 2), ["10-24T23:30:00+03:00", "10-25T23:30:00+02:00"]);
}

#[test]
fn a_month_of_standard_time_at_casablanca() {
    // 2026: 02-15 03:00+01 → 02:00+00; 03-22 02:00+00 → 03:00+01.
    assert_eq!(shown("30 2 * * *", "Africa/Casablanca", "2026-02-14T12:00:00Z", 2), ["02-15T02:30:00+01:00", "02-16T02:30:00+00:00"]);
    assert_eq!(shown("30 2 * * *", "Africa/Casablanca", "2026-03-21T12:00:00Z", 2), ["03-22T03:00:00+01:00 moved", "03-23T02:30:00+01:00"]);
}

#[test]
fn times_that_are_all_skipped_end_the_search() {
    // New York skips 02:00 to 03:00 on the second Sunday of March.
    let zone = TimeZone::get("America/New_York").unwrap();
    let schedule = Schedule::new(vec![Arc::new(Expression::parse("* 2 * 3 sun#2").unwrap())], zone);
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(schedule.next_after(now), None);
    // Before 2007 the clocks changed in April.
    assert_eq!(schedule.newest_at_or_before(now), Some("2006-03-12T07:59:00Z".parse().unwrap()));
}

#[test]
fn the_edges_of_time_end_the_search() {
    let zone = TimeZone::get("Europe/Oslo").unwrap();
    for text in ["0 3 29 2 *", "* * 29 2 *"] {
        let schedule = Schedule::new(vec![Arc::new(Expression::parse(text).unwrap())], zone.clone());
        assert_eq!(schedule.newest_at_or_before(Timestamp::MIN), None);
        assert_eq!(schedule.next_after(Timestamp::MAX), None);
        assert_eq!(schedule.intervals(Timestamp::MAX), None);
    }
}
