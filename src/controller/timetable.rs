//! One entry for each distinct schedule, however many servers share it: when it fired last, when it will fire next, and who is due.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::memory::TargetKey;
use crate::domain::schedule::Schedule;

/// All distinct schedules in use, and when those who follow them are due.
#[derive(Debug, Default)]
pub struct Timetables {
    tables: Vec<Timetable>,
    /// The next fire of each, so that looking for one that is due costs nothing.
    agenda: BinaryHeap<Reverse<(Timestamp, usize)>>,
    looked: Option<Timestamp>,
    /// Who is to be looked at later, and when.
    later: BinaryHeap<Reverse<(Timestamp, TargetKey)>>,
}

/// One schedule and who follows it.
#[derive(Debug)]
struct Timetable {
    schedule: Arc<Schedule>,
    newest: Option<Timestamp>,
    before: Option<Timestamp>,
    next: Option<Timestamp>,
    followers: Vec<(TargetKey, Duration)>,
}

impl Timetable {
    fn new(schedule: Arc<Schedule>, now: Timestamp) -> Timetable {
        let mut table = Timetable { schedule, newest: None, before: None, next: None, followers: Vec::new() };
        table.find(now);
        table
    }

    /// Finds its place anew: after a jump of the clock no loop over the slots between is needed (F60).
    fn find(&mut self, now: Timestamp) {
        let earlier = |time: Timestamp| time.checked_sub(Duration::from_nanos(1)).ok();
        self.newest = self.schedule.newest_at_or_before(now);
        self.before = self.newest.and_then(earlier).and_then(|time| self.schedule.newest_at_or_before(time));
        self.next = self.schedule.next_after(now).map(|fire| fire.time);
    }

    fn advance(&mut self, now: Timestamp) {
        let after = self.next.and_then(|next| self.schedule.next_after(next)).map(|fire| fire.time);
        if after.is_some_and(|after| after <= now) {
            return self.find(now);
        }
        self.before = self.newest;
        self.newest = self.next;
        self.next = after;
    }
}

impl Timetables {
    /// Forgets who follows what, before it is told anew.
    pub fn clear(&mut self) {
        self.tables.clear();
        self.agenda.clear();
    }

    /// Adds a follower; returns the number of its timetable. Schedules are interned, so the same one is the same place in memory.
    pub fn follow(
        &mut self,
        known: &mut Vec<(usize, usize)>,
        schedule: &Arc<Schedule>,
        key: TargetKey,
        offset: Duration,
        now: Timestamp,
    ) -> usize {
        let address = Arc::as_ptr(schedule) as usize;
        let index = match known.binary_search_by_key(&address, |entry| entry.0) {
            Ok(found) => known[found].1,
            Err(place) => {
                let index = self.tables.len();
                known.insert(place, (address, index));
                let table = Timetable::new(Arc::clone(schedule), now);
                self.agenda.extend(table.next.map(|next| Reverse((next, index))));
                self.tables.push(table);
                index
            }
        };
        self.tables[index].followers.push((key, offset));
        index
    }

    /// When the next schedule fires, or the next target is due.
    #[must_use]
    pub fn next(&self) -> Option<Timestamp> {
        let fires = self.agenda.peek().map(|Reverse((next, _))| *next);
        fires.into_iter().chain(self.later.peek().map(|Reverse((at, _))| *at)).min()
    }

    /// A target is to be looked at then.
    pub fn look_at(&mut self, at: Timestamp, key: TargetKey) {
        self.later.push(Reverse((at, key)));
    }

    /// Nobody is to be looked at, before it is told anew who is.
    pub fn look_at_none(&mut self) {
        self.later.clear();
    }

    /// Moves on to `now`. Returns whose time has come since the last call, the earliest first.
    pub fn take_due(&mut self, now: Timestamp) -> Vec<TargetKey> {
        let mut due = Vec::new();
        let later = &mut self.later;
        while let Some(Reverse(entry)) = later.peek().copied().filter(|Reverse((at, _))| *at <= now) {
            later.pop();
            due.push(entry);
        }
        // What is due at once need not go through the heap.
        let (at_once, then): (Vec<_>, Vec<_>) = self.advance(now).into_iter().partition(|(at, _)| *at <= now);
        self.later.extend(then.into_iter().map(Reverse));
        due.extend(at_once);
        due.sort_unstable();
        due.into_iter().map(|(_, key)| key).collect()
    }

    /// The newest slot that is due for a follower with this offset. The offset is shorter than any interval, so it is one of two.
    #[must_use]
    pub fn due_slot(&self, table: usize, offset: Duration, now: Timestamp) -> Option<Timestamp> {
        let table = self.tables.get(table)?;
        let passed = |slot: &Timestamp| slot.checked_add(offset).is_ok_and(|since| since <= now);
        table.newest.filter(passed).or_else(|| table.before.filter(passed))
    }

    /// Whether no slot lies between this time and this newest slot of the table; `false`: it may.
    #[must_use]
    pub fn is_next_after(&self, table: usize, known: Timestamp, slot: Timestamp) -> bool {
        let table = self.tables.get(table);
        table.is_some_and(|table| table.newest == Some(slot) && table.before.is_some_and(|before| before <= known))
    }

    /// The first slot after a time: mostly one of those that are known, so that a report of a fleet need not look each up in the calendar.
    #[must_use]
    pub fn next_after(&self, table: usize, time: Timestamp) -> Option<Timestamp> {
        let table = self.tables.get(table)?;
        let known = [(table.before, table.newest), (table.newest, table.next)];
        let between =
            |(from, to): (Option<Timestamp>, Option<Timestamp>)| to.filter(|to| from.is_some_and(|from| from <= time) && time < *to);
        known.into_iter().find_map(between).or_else(|| table.schedule.next_after(time).map(|fire| fire.time))
    }

    /// When a follower's next slot is due: the newest one if its offset has not passed yet. Where nobody acts on what fires, the table has fallen behind.
    #[must_use]
    pub fn next_due(&self, table: usize, offset: Duration, now: Timestamp) -> Option<Timestamp> {
        let table = self.tables.get(table)?;
        let since = |slot: Timestamp| slot.checked_add(offset).ok();
        let known = [table.newest, table.next].into_iter().flatten().filter_map(since).find(|since| *since > now);
        known.or_else(|| since(table.schedule.next_after(now.checked_sub(offset).ok()?)?.time))
    }

    /// Moves on to `now`. Returns of each follower of what has fired when its newest slot is due.
    fn advance(&mut self, now: Timestamp) -> Vec<(Timestamp, TargetKey)> {
        let mut told = Vec::new();
        if self.looked.is_some_and(|looked| now < looked) {
            self.agenda.clear();
            for (index, table) in self.tables.iter_mut().enumerate() {
                table.find(now);
                self.agenda.extend(table.next.map(|next| Reverse((next, index))));
            }
        }
        self.looked = Some(now);
        while let Some(Reverse((next, index))) = self.agenda.peek().copied().filter(|Reverse((next, _))| *next <= now) {
            self.agenda.pop();
            let table = &mut self.tables[index];
            debug_assert_eq!(table.next, Some(next));
            table.advance(now);
            let newest = table.newest.unwrap_or(next);
            let since = |offset: Duration| if offset.is_zero() { newest } else { newest.checked_add(offset).unwrap_or(newest) };
            told.extend(table.followers.iter().map(|(key, offset)| (since(*offset), *key)));
            self.agenda.extend(table.next.map(|next| Reverse((next, index))));
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use jiff::tz::TimeZone;

    use super::*;
    use crate::domain::inventory::{Kind, ServerId};
    use crate::domain::schedule::Expression;

    #[test]
    fn the_slot_after_a_time_is_that_of_the_calendar() {
        let expressions = ["30 2 * * *", "0 4 * * 1"].map(|text| Arc::new(Expression::parse(text).unwrap()));
        let schedule = Arc::new(Schedule::new(expressions.into(), TimeZone::get("Europe/Oslo").unwrap()));
        // The clock is set back on the 25th.
        let begin: Timestamp = "2026-10-20T00:00:00Z".parse().unwrap();
        let (mut tables, mut known) = (Timetables::default(), Vec::new());
        let table = tables.follow(&mut known, &schedule, (ServerId(1), Kind::Snapshot), Duration::ZERO, begin);
        let minutes = |count: i64| begin + SignedDuration::from_mins(count);
        let mut slots = 0;
        for now in (0..12 * 24 * 60).step_by(30) {
            slots += tables.take_due(minutes(now)).len();
            for time in (now - 3 * 24 * 60..now + 3 * 24 * 60).step_by(90) {
                let expected = schedule.next_after(minutes(time)).map(|fire| fire.time);
                assert_eq!(tables.next_after(table, minutes(time)), expected, "{} at {}", minutes(time), minutes(now));
            }
        }
        assert_eq!((slots, tables.next_after(table + 1, begin)), (13, None));
    }

    #[test]
    fn what_is_due_next_lies_ahead_although_nobody_acts_on_it() {
        let schedule = Arc::new(Schedule::new(vec![Arc::new(Expression::parse("30 2 * * *").unwrap())], TimeZone::UTC));
        let begin: Timestamp = "2026-10-20T00:00:00Z".parse().unwrap();
        let (mut tables, mut known) = (Timetables::default(), Vec::new());
        let offset = Duration::from_secs(600);
        let table = tables.follow(&mut known, &schedule, (ServerId(1), Kind::Snapshot), offset, begin);
        for (now, expected) in [
            ("2026-10-20T00:00:00Z", "2026-10-20T02:40:00Z"),
            ("2026-10-20T02:35:00Z", "2026-10-20T02:40:00Z"),
            ("2026-10-20T02:40:00Z", "2026-10-21T02:40:00Z"),
            ("2026-10-27T12:00:00Z", "2026-10-28T02:40:00Z"),
        ] {
            assert_eq!(tables.next_due(table, offset, now.parse().unwrap()), Some(expected.parse().unwrap()), "{now}");
        }
    }
}
