//! What the clock on the wall of a time zone shows, as plain seconds.
//!
//! *Seconds* are seconds since 1970-01-01T00:00:00Z; *local seconds* are what the wall clock shows, counted as if it were UTC. A zone is a row of
//! [`Stretch`]es in which the two differ by a fixed offset; between them the wall clock jumps.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

/// More than any offset from UTC that a zone can have (jiff: at most 25:59:59).
pub const OFFSET_MAX_SECONDS: i64 = 26 * 60 * 60;

/// A span of time in which a zone's offset does not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// The first second of it; `i64::MIN` where nothing comes before.
    pub begin: i64,
    /// The first second after it; `i64::MAX` where nothing follows.
    pub end: i64,
    /// Local seconds minus seconds.
    pub offset: i64,
    /// The highest local second that the wall clock showed before `begin` (`i64::MIN`: lower than all in here). Where that is not below
    /// `begin + offset`, the clock was set back, and the times up to it occur again.
    pub reached_before: i64,
}

impl Stretch {
    /// The stretch that contains `second`, by the rules of the zone.
    #[must_use]
    pub fn at(zone: &TimeZone, second: i64) -> Stretch {
        let begin = last_transition(zone, second).unwrap_or(i64::MIN);
        let end = zone.following(timestamp(second)).map(|found| found.timestamp().as_second()).find(|found| *found > second);
        Stretch { begin, end: end.unwrap_or(i64::MAX), offset: offset_at(zone, second), reached_before: reached_before(zone, begin) }
    }

    /// Whether `second` lies in it.
    #[must_use]
    #[inline]
    pub fn contains(&self, second: i64) -> bool {
        (self.begin..self.end).contains(&second)
    }

    /// The highest local second that the wall clock has shown up to `second`, which lies in here. Unlike the wall clock it never goes back.
    #[must_use]
    #[inline]
    pub fn reached(&self, second: i64) -> i64 {
        self.reached_before.max(second.saturating_add(self.offset))
    }
}

/// 2020-01-01 and 2060-01-01: nearly all times that are asked for lie between.
const KNOWN: std::ops::Range<i64> = 1_577_836_800..2_840_140_800;

/// A time zone that knows its stretches of some decades, so that looking one up is no walk through the zone's rules. Clones are the same zone.
#[derive(Debug, Clone)]
pub struct Zone(Arc<Known>);

#[derive(Debug)]
struct Known {
    zone: TimeZone,
    /// One after the other, without a gap.
    stretches: Vec<Stretch>,
}

impl Zone {
    /// The stretch that contains `second`.
    #[must_use]
    pub fn stretch(&self, second: i64) -> Stretch {
        let stretches = &self.0.stretches;
        let place = stretches.partition_point(|stretch| stretch.end <= second);
        let known = stretches.get(place).filter(|stretch| stretch.contains(second));
        known.copied().unwrap_or_else(|| Stretch::at(&self.0.zone, second))
    }

    /// The zone itself.
    #[must_use]
    pub fn time_zone(&self) -> &TimeZone {
        &self.0.zone
    }
}

impl From<TimeZone> for Zone {
    fn from(zone: TimeZone) -> Zone {
        let first = Stretch::at(&zone, KNOWN.start);
        let next = |stretch: &Stretch| Some(stretch.end).filter(|end| *end < KNOWN.end).map(|end| Stretch::at(&zone, end));
        let stretches = std::iter::successors(Some(first), next).collect();
        Zone(Arc::new(Known { zone, stretches }))
    }
}

/// The whole seconds of a time, rounded down.
#[must_use]
#[inline]
pub fn whole_second(time: Timestamp) -> i64 {
    if time.subsec_nanosecond() < 0 { time.as_second() - 1 } else { time.as_second() }
}

/// The time of a second; seconds outside jiff's years (-9999 to 9999) give the nearest time there is.
#[must_use]
pub fn timestamp(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(if second < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

/// What the wall clock shows at a local second; none outside jiff's years.
#[must_use]
pub fn civil(local: i64) -> Option<DateTime> {
    Some(Offset::UTC.to_datetime(Timestamp::from_second(local).ok()?))
}

/// The local second at which the wall clock shows this; none at the very edges of jiff's years.
#[must_use]
pub fn local_second(civil: DateTime) -> Option<i64> {
    Some(Offset::UTC.to_timestamp(civil).ok()?.as_second())
}

/// The newest transition at or before `second`.
fn last_transition(zone: &TimeZone, second: i64) -> Option<i64> {
    zone.preceding(timestamp(second.saturating_add(1))).next().map(|found| found.timestamp().as_second())
}

fn offset_at(zone: &TimeZone, second: i64) -> i64 {
    i64::from(zone.to_offset(timestamp(second)).seconds())
}

/// Looks back as far as an earlier local second can still be higher than one from `begin` on.
fn reached_before(zone: &TimeZone, begin: i64) -> i64 {
    let mut reached = i64::MIN;
    let mut until = begin;
    while until != i64::MIN && begin - until < 2 * OFFSET_MAX_SECONDS {
        reached = reached.max(until - 1 + offset_at(zone, until - 1));
        until = last_transition(zone, until - 1).unwrap_or(i64::MIN);
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_second()
    }

    fn local(text: &str) -> i64 {
        local_second(text.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_stretch_lies_between_two_changes() {
        let zone = TimeZone::get("Europe/Oslo").unwrap();
        let (march, october) = (second("2026-03-29T01:00:00Z"), second("2026-10-25T01:00:00Z"));
        let summer = Stretch { begin: march, end: october, offset: 7200, reached_before: local("2026-03-29T01:59:59") };
        for inside in [march, march + 1, october - 1] {
            assert_eq!(Stretch::at(&zone, inside), summer);
            assert!(summer.contains(inside));
        }
        assert!(!summer.contains(march - 1) && !summer.contains(october));
        let winter = Stretch::at(&zone, october);
        assert_eq!((winter.begin, winter.offset, winter.reached_before), (october, 3600, local("2026-10-25T02:59:59")));
    }

    #[test]
    fn a_clock_that_was_set_back_has_reached_more_than_it_shows() {
        let zone = TimeZone::get("Europe/Oslo").unwrap();
        let october = second("2026-10-25T01:00:00Z");
        let winter = Stretch::at(&zone, october);
        assert_eq!(winter.reached(october), local("2026-10-25T02:59:59"));
        assert_eq!(winter.reached(october + 3599), local("2026-10-25T02:59:59"));
        assert_eq!(winter.reached(october + 3600), local("2026-10-25T03:00:00"));
    }

    #[test]
    fn a_zone_knows_the_stretches_that_there_are() {
        for name in ["UTC", "Europe/Oslo", "Africa/Casablanca", "America/St_Johns", "Pacific/Apia"] {
            let time_zone = TimeZone::get(name).unwrap();
            let zone = Zone::from(time_zone.clone());
            for day in (second("2005-01-01T00:00:00Z")..second("2075-01-01T00:00:00Z")).step_by(5 * 86_400 + 1_801) {
                assert_eq!(zone.stretch(day), Stretch::at(&time_zone, day), "{name} {day}");
            }
            for stretch in &zone.0.stretches {
                let edges = [stretch.begin.saturating_sub(1), stretch.begin, stretch.end.saturating_sub(1), stretch.end];
                assert_eq!(edges.map(|edge| zone.stretch(edge)), edges.map(|edge| Stretch::at(&time_zone, edge)), "{name}");
            }
        }
        assert_eq!([KNOWN.start, KNOWN.end], [second("2020-01-01T00:00:00Z"), second("2060-01-01T00:00:00Z")]);
    }

    #[test]
    fn a_zone_without_changes_is_one_stretch() {
        let all = Stretch { begin: i64::MIN, end: i64::MAX, offset: 0, reached_before: i64::MIN };
        assert_eq!(Stretch::at(&TimeZone::UTC, 0), all);
        assert_eq!(all.reached(7), 7);
    }

    #[test]
    fn seconds_are_rounded_down_and_kept_within_jiffs_years() {
        for (text, expected) in [("1970-01-01T00:00:01.9Z", 1), ("1969-12-31T23:59:59.9Z", -1), ("1969-12-31T23:59:58.1Z", -2)] {
            assert_eq!(whole_second(text.parse().unwrap()), expected);
        }
        assert_eq!((timestamp(i64::MIN), timestamp(i64::MAX)), (Timestamp::MIN, Timestamp::MAX));
        assert_eq!((civil(i64::MIN), civil(i64::MAX)), (None, None));
        assert_eq!(civil(local("2026-03-29T01:59:59")), Some("2026-03-29T01:59:59".parse().unwrap()));
    }
}
