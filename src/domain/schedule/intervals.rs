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
/// of hours within days, of days within a year, and of years (29 February on a given day of the week: 40 years).
const GRIDS: [(i64, i64); 4] = [(60, 120), (3_600, 8 * 24), (86_400, 366), (60 * 86_400, 45 * 6)];

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
    let mut sampler = Sampler { schedule, found: None };
    sampler.row(from, ROW);
    for (step, count) in GRIDS {
        sampler.grid(from, step, count);
    }
    let year = from.saturating_add(366 * 86_400);
    let transitions = schedule.zone.following(timestamp(from)).map(|transition| transition.timestamp().as_second());
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
