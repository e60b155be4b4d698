//! What a policy promises: how far back it reaches at the least, and how far from the time asked for the restore point can be that there is.
//!
//! Both follow from the schedule and from `keep` alone, so only the retention code is asked, slot by slot; that pruning after each run keeps what
//! pruning once at the end keeps is one of its properties. Ages are those of the slots, and are counted on the clock of the policy's time zone, so that
//! daylight saving makes no odd hours.

use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};

use crate::domain::inventory::ItemId;
use crate::domain::retention::{Candidate, Keep, judge};
use crate::domain::schedule::Schedule;

/// How many days are looked at.
pub const HORIZON_DAYS: u32 = 800;
/// No more slots than this are looked at: those of 800 days where there is one an hour.
const SLOTS_MAX: usize = 20_000;
/// What is promised was seen for at least so long, so that months and weeks have met in every way that they do within a year.
const SEEN_MIN: SignedDuration = SignedDuration::from_hours(366 * 24);
/// The day from which the clock of a time zone is counted.
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// The slots of a schedule from a time on.
#[derive(Debug)]
pub struct Moments {
    schedule: Schedule,
    /// Each with what the clock of the zone shows, in seconds.
    slots: Vec<(Timestamp, i64)>,
}

/// What a policy promises once it has run for long enough.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Worth {
    /// The least age that the oldest restore point has right after a run.
    pub reach: SignedDuration,
    /// The widest gap: of every slot that somebody may want back, as far back as there is something, the age of the restore point that there is (the
    /// newest that is not younger) over the age asked for. 1 where every slot that is reached is there.
    pub ratio: f64,
}

impl Moments {
    /// The slots of [`HORIZON_DAYS`] from `from` on.
    #[must_use]
    pub fn new(schedule: &Schedule, from: Timestamp) -> Moments {
        let until = from.checked_add(SignedDuration::from_hours(i64::from(HORIZON_DAYS) * 24)).unwrap_or(Timestamp::MAX);
        let zone = schedule.time_zone();
        let wall = |time: Timestamp| time.to_zoned(zone.clone()).datetime().duration_since(EPOCH).as_secs();
        let fires = std::iter::successors(schedule.next_after(from), |fire| schedule.next_after(fire.time));
        let times = fires.map(|fire| fire.time).take_while(|time| *time <= until).take(SLOTS_MAX);
        Moments { schedule: schedule.clone(), slots: times.map(|time| (time, wall(time))).collect() }
    }

    /// How many slots there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.slots.len()
    }

    /// What is promised of the time after the very first restore point was dropped: from then on, what is there is what would be there after any longer
    /// time. None where the first is kept for so long that less than a year of such a time is seen.
    #[must_use]
    pub fn worth(&self, keep: &Keep) -> Option<Worth> {
        let (first, last) = (self.slots.first()?.0, self.slots.last()?.0);
        let settled_until = last.checked_sub(SEEN_MIN.min(last.duration_since(first) / 2)).ok()?;
        let mut kept: Vec<Candidate> = Vec::new();
        let mut worth: Option<Worth> = None;
        for (index, (time, _)) in self.slots.iter().enumerate() {
            kept.push(Candidate { id: ItemId(index as u64), time: *time, slot: Some(*time) });
            let rulings = judge(keep, self.schedule.zone(), &kept);
            let mut stays = rulings.kept();
            kept.retain(|_| stays.next().unwrap_or(false));
            let settled = kept.first().is_some_and(|oldest| oldest.id != ItemId(0));
            if !settled && *time > settled_until {
                return None;
            }
            let places: Vec<usize> = kept.iter().map(|item| item.id.0 as usize).collect();
            if let Some((reach, ratio)) = self.at(index, &places).filter(|_| settled) {
                let before = worth.unwrap_or(Worth { reach, ratio });
                worth = Some(Worth { reach: before.reach.min(reach), ratio: before.ratio.max(ratio) });
            }
        }
        worth
    }

    /// The age of the oldest of these slots, and the widest gap, right after the run of slot `now`.
    fn at(&self, now: usize, places: &[usize]) -> Option<(SignedDuration, f64)> {
        let age = |place: usize| Some(self.slots.get(now)?.1 - self.slots.get(place)?.1);
        let reach = age(*places.first()?)?;
        let mut ratio: f64 = 1.0;
        for pair in places.windows(2) {
            // The youngest slot between the two for which the older one has to do.
            let asked = age(pair[1].checked_sub(1)?)?;
            if asked > 0 {
                ratio = ratio.max(age(pair[0])? as f64 / asked as f64);
            }
        }
        Some((SignedDuration::from_secs(reach), ratio))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::tz::TimeZone;

    use super::*;
    use crate::domain::schedule::Expression;

    fn moments(expression: &str, zone: &str) -> Moments {
        let expression = Arc::new(Expression::parse(expression).unwrap());
        Moments::new(&Schedule::new(vec![expression], TimeZone::get(zone).unwrap()), "2026-01-01T00:00:00Z".parse().unwrap())
    }

    fn worth(expression: &str, keep: &str) -> Option<(i64, f64)> {
        let worth = moments(expression, "Europe/Oslo").worth(&Keep::parse(keep).unwrap())?;
        assert_eq!(worth.reach.as_secs() % 3600, 0);
        Some((worth.reach.as_hours(), (worth.ratio * 100.0).round() / 100.0))
    }

    /// Worked out by hand. `daily 2 weekly 2` on a Tuesday: Tuesday, Monday, Sunday (2), the Sunday before (9). On a Monday: Monday, Sunday, and the
    /// Sundays before (8 and 15): who asks for Saturday, 2 days ago, gets 8 days ago. `daily 2 weekly 1 monthly 1` on Tuesday the 3rd: the days before,
    /// and Saturday the 31st; on Tuesday the 2nd after a Sunday the 31st: the last day of the month before that is 33 days ago, for someone who asks for 3.
    #[test]
    fn worked_out_examples() {
        assert_eq!(worth("30 3 * * *", "daily=2,weekly=2"), Some((9 * 24, 4.0)));
        assert_eq!(worth("30 3 * * *", "daily=2,weekly=1,monthly=1"), Some((3 * 24, 11.0)));
        assert_eq!(worth("30 3 * * *", "daily=4"), Some((3 * 24, 1.0)));
        assert_eq!(worth("0 */6 * * *", "last=4"), Some((18, 1.0)));
        assert_eq!(worth("0 5 * * sun", "last=9"), Some((8 * 7 * 24, 1.0)));
    }

    #[test]
    fn of_what_never_goes_nothing_is_promised() {
        assert_eq!(worth("30 3 * * *", "daily=2,yearly=9"), None);
        assert_eq!(worth("30 3 * * *", "daily=900"), None);
        // Dropped after a year and a half, and so seen for less than a year.
        assert_eq!(worth("30 3 * * *", "daily=500"), None);
        assert_eq!(worth("30 3 * * *", "daily=400"), Some((399 * 24, 1.0)));
    }

    /// Between two slots there are 23 or 25 hours twice a year.
    #[test]
    fn an_hour_more_or_less_of_daylight_saving_changes_nothing() {
        let keep = Keep::parse("daily=2,weekly=2").unwrap();
        assert_eq!(moments("30 3 * * *", "Europe/Oslo").worth(&keep), moments("30 3 * * *", "UTC").worth(&keep));
    }

    #[test]
    fn slots_are_limited() {
        assert_eq!(moments("* * * * *", "UTC").count(), SLOTS_MAX);
        assert_eq!(moments("0 0 * * *", "UTC").count(), HORIZON_DAYS as usize);
    }
}
