//! When runs are due (contract §1).
//!
//! Cron expressions name wall-clock times. An expression with a `*` in a time field *follows the wall clock*: it fires whenever the clock shows such a
//! time. Any other is *fixed*: each time it names fires once, when the clock first reaches or passes it. That is Debian's rule for daylight saving: what a
//! gap skips fires right after the gap, what is repeated fires the first time.

mod due;
mod expression;
mod field;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod intervals;
#[cfg(test)]
mod reference;
mod search;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::wall_clock::{OFFSET_MAX_SECONDS, Stretch, Zone, timestamp, whole_second};
pub use due::{Due, ON_TIME, Timeliness, newest_due, splay_offset};
pub use expression::{Expression, ExpressionError};
pub use field::Field;
pub use intervals::Intervals;

/// How many changes of a zone's offset one search crosses: more than a century. An expression that names only skipped times would search for ever.
const STRETCHES_MAX: usize = 256;

/// A list of cron expressions in one time zone. Equal texts in the same zone make equal schedules.
#[derive(Debug, Clone)]
pub struct Schedule {
    expressions: Box<[Arc<Expression>]>,
    zone: Zone,
}

/// A time at which a schedule fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fire {
    /// When; whole seconds.
    pub time: Timestamp,
    /// Daylight saving skipped the time that is meant, and this is the first one after the gap.
    pub moved: bool,
    /// Daylight saving repeats the time, and this is not the first one.
    pub repeated: bool,
}

impl Schedule {
    /// A schedule that fires whenever one of the expressions does. An expression that occurs twice counts once.
    #[must_use]
    pub fn new(expressions: Vec<Arc<Expression>>, zone: impl Into<Zone>) -> Schedule {
        let mut unique: Vec<Arc<Expression>> = Vec::with_capacity(expressions.len());
        for expression in expressions {
            if unique.iter().all(|known| known.text() != expression.text()) {
                unique.push(expression);
            }
        }
        Schedule { expressions: unique.into(), zone: zone.into() }
    }

    /// The first fire strictly after `time`. None if there is none before the year 5000, or within a century where each time named is skipped.
    #[must_use]
    pub fn next_after(&self, time: Timestamp) -> Option<Fire> {
        let second = self.next_second(whole_second(time))?;
        let stretch = self.zone.stretch(second);
        let local = second + stretch.offset;
        let moved = !self.expressions.iter().any(|expression| expression.names(local));
        Some(Fire { time: timestamp(second), moved, repeated: stretch.reached_before >= local })
    }

    /// The newest fire at or before `time`. None if there is none since the year 1.
    #[must_use]
    pub fn newest_at_or_before(&self, time: Timestamp) -> Option<Timestamp> {
        self.newest_second(whole_second(time)).map(timestamp)
    }

    /// How many fires there are after `after`, up to and with `until`; no more than `limit` are counted.
    #[must_use]
    pub fn count_between(&self, after: Timestamp, until: Timestamp, limit: u64) -> u64 {
        let until = whole_second(until);
        let mut second = whole_second(after);
        let mut count = 0;
        while count < limit
            && let Some(next) = self.next_second(second)
            && next <= until
        {
            second = next;
            count += 1;
        }
        count
    }

    /// The shortest and the longest time between two fires, from a sample of those around `from` and after it. None where there are not two.
    #[must_use]
    pub fn intervals(&self, from: Timestamp) -> Option<Intervals> {
        intervals::sample(self, whole_second(from))
    }

    /// The zone whose wall clock the expressions mean.
    #[must_use]
    pub fn time_zone(&self) -> &TimeZone {
        self.zone.time_zone()
    }

    /// The same, with its stretches.
    #[must_use]
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// The expressions as they were written.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.expressions.iter().map(|expression| expression.text())
    }

    fn next_second(&self, second: i64) -> Option<i64> {
        let here = self.zone.stretch(second);
        self.expressions.iter().filter_map(|expression| next_of(expression, &self.zone, here, second)).min()
    }

    fn newest_second(&self, second: i64) -> Option<i64> {
        let here = self.zone.stretch(second);
        self.expressions.iter().filter_map(|expression| newest_of(expression, &self.zone, here, second)).max()
    }
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Schedule) -> bool {
        self.time_zone() == other.time_zone() && self.texts().eq(other.texts())
    }
}

impl Eq for Schedule {}

impl Hash for Schedule {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.time_zone().iana_name().hash(state);
        self.expressions.len().hash(state);
        for text in self.texts() {
            text.hash(state);
        }
    }
}

/// The first fire of one expression after `second`, which lies in `here`.
fn next_of(expression: &Expression, zone: &Zone, here: Stretch, second: i64) -> Option<i64> {
    if !expression.follows_wall_clock() {
        return first_reached(zone, here, expression.next_local(here.reached(second).checked_add(1)?)?);
    }
    let mut from = second.checked_add(1)?;
    let mut stretch = if here.contains(from) { here } else { zone.stretch(from) };
    for _ in 0..STRETCHES_MAX {
        let found = expression.next_local(from + stretch.offset)? - stretch.offset;
        if found < stretch.end {
            return Some(found);
        }
        from = stretch.end;
        stretch = zone.stretch(from);
    }
    None
}

/// The newest fire of one expression at or before `second`, which lies in `here`.
fn newest_of(expression: &Expression, zone: &Zone, here: Stretch, second: i64) -> Option<i64> {
    if !expression.follows_wall_clock() {
        let local = expression.previous_local(here.reached(second))?;
        let in_here = local > here.reached_before && local - here.offset >= here.begin;
        return if in_here { Some(local - here.offset) } else { first_reached(zone, first_possible(zone, local), local) };
    }
    let (mut stretch, mut until) = (here, second);
    for _ in 0..STRETCHES_MAX {
        let found = expression.previous_local(until + stretch.offset)? - stretch.offset;
        if found >= stretch.begin {
            return Some(found);
        }
        until = stretch.begin - 1;
        stretch = zone.stretch(until);
    }
    None
}

/// The stretch in which the wall clock can show `local` at the earliest.
fn first_possible(zone: &Zone, local: i64) -> Stretch {
    zone.stretch(local - OFFSET_MAX_SECONDS)
}

/// The second at which the wall clock first shows `local` or, where that is skipped, a later time. It must not have done so before `stretch`.
fn first_reached(zone: &Zone, mut stretch: Stretch, local: i64) -> Option<i64> {
    let distant = first_possible(zone, local);
    if distant.begin > stretch.begin {
        stretch = distant;
    }
    for _ in 0..STRETCHES_MAX {
        let second = (local - stretch.offset).max(stretch.begin);
        if second < stretch.end {
            return Some(second);
        }
        stretch = zone.stretch(stretch.end);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(texts: &[&str], zone: &str) -> Schedule {
        Schedule::new(texts.iter().map(|text| Arc::new(Expression::parse(text).unwrap())).collect(), TimeZone::get(zone).unwrap())
    }

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    #[expect(clippy::disallowed_types, reason = "what is tested is that equal schedules have equal hashes; nothing iterates")]
    fn equal_texts_in_one_zone_are_one_schedule() {
        let mut known = std::collections::HashSet::from([schedule(&["@daily", "0 3 * * *"], "Europe/Oslo")]);
        assert!(!known.insert(schedule(&["@daily", "0 3 * * *", "@daily"], "europe/oslo")));
        assert!(known.insert(schedule(&["0 3 * * *", "@daily"], "Europe/Oslo")));
        assert!(known.insert(schedule(&["@daily", "0 3 * * *"], "Europe/Paris")));
        assert!(known.insert(schedule(&["@daily"], "Europe/Oslo")));
    }

    #[test]
    fn a_list_fires_when_one_of_it_does() {
        let schedule = schedule(&["0 3 * * *", "0 3,15 * * sun"], "UTC");
        assert_eq!(schedule.texts().collect::<Vec<_>>(), ["0 3 * * *", "0 3,15 * * sun"]);
        // 2026-11-22 is a Sunday.
        let (from, until) = (time("2026-11-21T03:00:00Z"), time("2026-11-23T03:00:00Z"));
        assert_eq!(schedule.next_after(from).unwrap().time, time("2026-11-22T03:00:00Z"));
        assert_eq!(schedule.newest_at_or_before(time("2026-11-22T23:00:00Z")), Some(time("2026-11-22T15:00:00Z")));
        assert_eq!(schedule.count_between(from, until, 100), 3);
        assert_eq!(schedule.count_between(from, until, 2), 2);
        assert_eq!(schedule.count_between(until, from, 100), 0);
    }

    #[test]
    fn a_list_is_moved_only_if_nothing_in_it_means_that_time() {
        // Oslo skips 02:00 to 03:00 on 2026-03-29.
        let from = time("2026-03-28T12:00:00Z");
        assert!(schedule(&["30 2 * * *"], "Europe/Oslo").next_after(from).unwrap().moved);
        assert!(!schedule(&["30 2 * * *", "0 3 * * *"], "Europe/Oslo").next_after(time("2026-03-28T23:00:00Z")).unwrap().moved);
    }

    #[test]
    fn parts_of_seconds_and_times_before_1970_count() {
        let schedule = schedule(&["* * * * * *"], "UTC");
        let half = time("1969-12-31T23:59:58.5Z");
        assert_eq!(schedule.next_after(half).unwrap().time, time("1969-12-31T23:59:59Z"));
        assert_eq!(schedule.newest_at_or_before(half), Some(time("1969-12-31T23:59:58Z")));
    }
}
