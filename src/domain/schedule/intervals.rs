//! How far apart the fires of a schedule are.

use std::time::Duration;

use super::Schedule;
use crate::domain::wall_clock::timestamp;

/// Fires in a row that are looked at from the start on.
const ROW: usize = 400;

/// Fires in a row that are looked at where a zone's offset changes.
const ROW_AT_TRANSITION: usize = 16;

/// Fires of each expression whose neighbours in the whole list are looked at.
const FIRES_PER_EXPRESSION: usize = 32;

/// Further points to look at, as (seconds between them, how many): a pause is seen if a point falls into it, so these see pauses of minutes within hours,
/// of hours within days, of days within a year, and of years.
const GRIDS: [(i64, i64); 4] = [(60, 120), (3_600, 8 * 24), (DAY, 366), (60 * DAY, 45 * 6)];

/// No fire is looked at that follows one later than this: long enough for a 29 February on a given day of the week.
const HORIZON: i64 = 45 * 366 * DAY;

/// Seconds.
const DAY: i64 = 86_400;

/// The shortest and the longest time between two fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intervals {
    /// The shortest one.
    pub shortest: Duration,
    /// The longest one.
    pub longest: Duration,
}

/// Looks at a bounded number of fires. The interval that contains `from` counts too.
pub(super) fn sample(schedule: &Schedule, from: i64) -> Option<Intervals> {
    let mut sampler = Sampler { schedule, until: from.saturating_add(HORIZON), found: None };
    sampler.row(from, ROW);
    for (step, count) in GRIDS {
        sampler.grid(from, step, count);
    }
    let year = from.saturating_add(366 * DAY);
    let transitions = schedule.time_zone().following(timestamp(from)).map(|transition| transition.timestamp().as_second());
    for transition in transitions.take_while(|transition| *transition < year).take(8) {
        sampler.row(transition - 1, ROW_AT_TRANSITION);
    }
    if schedule.expressions.len() > 1 {
        sampler.neighbours(from);
    }
    sampler.found
}

struct Sampler<'a> {
    schedule: &'a Schedule,
    until: i64,
    found: Option<Intervals>,
}

impl Sampler<'_> {
    fn see(&mut self, earlier: i64, later: i64) {
        let seen = Duration::from_secs(later.abs_diff(earlier));
        let found = self.found.get_or_insert(Intervals { shortest: seen, longest: seen });
        found.shortest = found.shortest.min(seen);
        found.longest = found.longest.max(seen);
    }

    /// The interval that contains `point`, then those that follow it. Returns the last fire seen.
    fn row(&mut self, point: i64, count: usize) -> Option<i64> {
        let mut earlier = self.schedule.newest_second(point);
        for _ in 0..count {
            let later = self.schedule.next_second(earlier.unwrap_or(point))?;
            if let Some(earlier) = earlier {
                self.see(earlier, later);
            }
            earlier = Some(later);
            if later > self.until {
                break;
            }
        }
        earlier
    }

    /// The intervals that contain the points of a grid; a point in an interval that was just seen is passed over.
    fn grid(&mut self, from: i64, step: i64, count: i64) {
        let mut seen_until = from;
        for point in (1..=count).map(|index| from.saturating_add(index * step)) {
            if point < seen_until {
                continue;
            }
            let Some(last) = self.row(point, 1) else { return };
            seen_until = last;
        }
    }

    /// The intervals before and after the fires of each expression alone: where a dense and a rare one meet.
    fn neighbours(&mut self, from: i64) {
        for expression in &self.schedule.expressions {
            let alone = Schedule::new(vec![expression.clone()], self.schedule.zone.clone());
            let mut fire = from;
            for _ in 0..FIRES_PER_EXPRESSION {
                let Some(next) = alone.next_second(fire) else { break };
                self.row(next - 1, 2);
                fire = next;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::tz::TimeZone;

    use super::*;
    use crate::domain::schedule::Expression;

    const HOUR: u64 = 3_600;
    const DAY: u64 = super::DAY.unsigned_abs();

    fn intervals(texts: &[&str], zone: &str) -> (u64, u64) {
        let expressions = texts.iter().map(|text| Arc::new(Expression::parse(text).unwrap())).collect();
        let schedule = Schedule::new(expressions, TimeZone::get(zone).unwrap());
        let found = schedule.intervals("2026-11-21T11:30:00Z".parse().unwrap()).unwrap();
        (found.shortest.as_secs(), found.longest.as_secs())
    }

    #[test]
    fn even_cadences() {
        assert_eq!(intervals(&["0 * * * *"], "UTC"), (HOUR, HOUR));
        assert_eq!(intervals(&["* * * * * *"], "UTC"), (1, 1));
        assert_eq!(intervals(&["@daily"], "UTC"), (DAY, DAY));
        assert_eq!(intervals(&["@weekly"], "UTC"), (7 * DAY, 7 * DAY));
        assert_eq!(intervals(&["@monthly"], "UTC"), (28 * DAY, 31 * DAY));
        assert_eq!(intervals(&["@yearly"], "UTC"), (365 * DAY, 366 * DAY));
    }

    #[test]
    fn pauses_of_every_length_are_seen() {
        assert_eq!(intervals(&["* 0-9 * * * *"], "UTC"), (1, 50 * 60 + 1));
        assert_eq!(intervals(&["* 9-16 * * *"], "UTC"), (60, 16 * HOUR + 60));
        assert_eq!(intervals(&["* * 9-16 * * mon-fri"], "UTC"), (1, 64 * HOUR + 1));
        assert_eq!(intervals(&["* * * 1 *"], "UTC"), (60, 334 * DAY + DAY + 60));
        assert_eq!(intervals(&["0 0 29 2 *"], "UTC"), (4 * 365 * DAY + DAY, 4 * 365 * DAY + DAY));
        // A leap day that is a Sunday: 2004, 2032, 2060, 2088.
        assert_eq!(intervals(&["0 0 29 2 */7"], "UTC"), (28 * 365 * DAY + 7 * DAY, 28 * 365 * DAY + 7 * DAY));
    }

    #[test]
    fn daylight_saving_is_seen() {
        assert_eq!(intervals(&["30 3 * * *"], "Europe/Oslo"), (23 * HOUR, 25 * HOUR));
        // 02:30 is skipped and runs at 03:00, half an hour before 03:30.
        assert_eq!(intervals(&["30 * * * *"], "Europe/Oslo"), (HOUR, HOUR));
        assert_eq!(intervals(&["30 0-23 * * *"], "Europe/Oslo"), (HOUR / 2, 2 * HOUR));
    }

    #[test]
    fn merged_lists_are_seen_where_they_meet() {
        assert_eq!(intervals(&["0 3 * * *", "0 4 1 1 *"], "UTC"), (HOUR, DAY));
        assert_eq!(intervals(&["*/5 * * * *", "2 0 1 1 *"], "UTC"), (120, 300));
        assert_eq!(intervals(&["0 3 * * *", "0 15 * * sun"], "UTC"), (12 * HOUR, DAY));
    }
}
