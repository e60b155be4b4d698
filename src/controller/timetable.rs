//! One entry for each distinct schedule, however many servers share it: when it fired last, and when it will fire next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::memory::TargetKey;
use crate::domain::schedule::Schedule;

/// All distinct schedules in use.
#[derive(Debug, Default)]
pub(super) struct Timetables {
    tables: Vec<Timetable>,
    /// The next fire of each, so that looking for one that is due costs nothing.
    agenda: BinaryHeap<Reverse<(Timestamp, usize)>>,
    looked: Option<Timestamp>,
}

/// One schedule and who follows it.
#[derive(Debug)]
pub(super) struct Timetable {
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

    /// The next fire of all.
    pub fn next(&self) -> Option<Timestamp> {
        self.agenda.peek().map(|Reverse((next, _))| *next)
    }

    /// The newest slot that is due for a follower with this offset. The offset is shorter than any interval, so it is one of two.
    pub fn due_slot(&self, table: usize, offset: Duration, now: Timestamp) -> Option<Timestamp> {
        let table = self.tables.get(table)?;
        let passed = |slot: &Timestamp| slot.checked_add(offset).is_ok_and(|since| since <= now);
        table.newest.filter(passed).or_else(|| table.before.filter(passed))
    }

    /// Whether no slot lies between this time and this newest slot of the table; `false`: it may.
    pub fn is_next_after(&self, table: usize, known: Timestamp, slot: Timestamp) -> bool {
        let table = self.tables.get(table);
        table.is_some_and(|table| table.newest == Some(slot) && table.before.is_some_and(|before| before <= known))
    }

    /// When a follower's next slot is due: the newest one if its offset has not passed yet.
    pub fn next_due(&self, table: usize, offset: Duration, now: Timestamp) -> Option<Timestamp> {
        let table = self.tables.get(table)?;
        let since = |slot: Timestamp| slot.checked_add(offset).ok();
        table.newest.and_then(since).filter(|since| *since > now).or_else(|| table.next.and_then(since))
    }

    /// Moves on to `now`, telling of each follower when its newest slot is due.
    pub fn advance(&mut self, now: Timestamp, mut tell: impl FnMut(Timestamp, TargetKey)) {
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
            for (key, offset) in &table.followers {
                tell(newest.checked_add(*offset).unwrap_or(newest), *key);
            }
            self.agenda.extend(table.next.map(|next| Reverse((next, index))));
        }
    }
}
