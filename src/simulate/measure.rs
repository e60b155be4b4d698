//! What came of a played policy: how many restore points there were, how old, and how far apart.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};

use crate::domain::gather::gather;

use super::play::{Life, Outage, PlayedKind};

/// What came of one kind of a policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// When the first restore point was there.
    pub first_at: Option<Timestamp>,
    /// When the first restore point went: from then on, what is there is what would be there after any longer time.
    pub settled_at: Option<Timestamp>,
    /// How many there were at the ends of the days after settling, at the least and at the most.
    pub points: Option<(usize, usize)>,
    /// How old the oldest one was at any moment after settling, at the least and at the most.
    pub oldest: Option<(SignedDuration, SignedDuration)>,
    /// The longest time without a restore point that any moment looked back on.
    pub widest_gap: Option<Gap>,
}

/// A stretch of time whose states of the server are lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The restore point before it.
    pub older: Timestamp,
    /// The restore point after it. None: there was none yet, so the gap ended with the moment from which it is seen.
    pub newer: Option<Timestamp>,
    /// The first moment from which it is seen; where there is none after it, the last.
    pub seen_at: Timestamp,
}

impl Gap {
    /// How long it is.
    #[must_use]
    pub fn length(&self) -> SignedDuration {
        self.newer.unwrap_or(self.seen_at).duration_since(self.older)
    }
}

/// The times of the restore points that are there right after `at`, the newest first.
#[must_use]
pub fn points_at(lives: &[Life], at: Timestamp) -> Vec<Timestamp> {
    let mut times: Vec<Timestamp> = lives.iter().filter(|life| life.is_there(at)).map(|life| life.created_at).collect();
    times.sort_unstable_by(|older, newer| newer.cmp(older));
    times
}

/// Their ages.
#[must_use]
pub fn ages_at(lives: &[Life], at: Timestamp) -> Vec<SignedDuration> {
    points_at(lives, at).into_iter().map(|time| at.duration_since(time)).collect()
}

/// The ends of the days between two times. A day ends when the clock of the zone shows the time of the beginning again.
pub fn ends_of_days(from: Timestamp, until: Timestamp, zone: &TimeZone) -> impl Iterator<Item = Timestamp> {
    let from = from.to_zoned(zone.clone());
    let end = move |days: i32| from.checked_add(Span::new().days(days)).ok().map(|end| end.timestamp());
    (1..).map_while(end).take_while(move |end| *end <= until)
}

/// Measures what came of a kind that was played from `from` to `until`.
///
/// The widest gap is looked for at every moment: between neighbours that are there at the same time, and from the newest one to that moment. What lies
/// before the first restore point is no gap.
#[must_use]
pub fn facts(kind: &PlayedKind, from: Timestamp, until: Timestamp) -> Facts {
    let first = kind.lives.iter().min_by_key(|life| life.created_at);
    let settled_at = first.and_then(|life| life.deleted_at);
    let mut facts = Facts { first_at: first.map(|life| life.completed_at), settled_at, ..Facts::default() };
    for end in ends_of_days(from, until, kind.policy.schedule.time_zone()).filter(|end| settled_at.is_some_and(|settled| settled <= *end)) {
        let count = points_at(&kind.lives, end).len();
        let (least, most) = facts.points.unwrap_or((count, count));
        facts.points = Some((least.min(count), most.max(count)));
    }
    let mut changes: Vec<(Timestamp, bool, Timestamp)> = Vec::new();
    for life in &kind.lives {
        changes.push((life.completed_at, true, life.created_at));
        changes.extend(life.deleted_at.map(|deleted| (deleted, false, life.created_at)));
    }
    changes.sort_unstable();
    let mut there: BTreeSet<Timestamp> = BTreeSet::new();
    for same_time in changes.chunk_by(|a, b| a.0 == b.0) {
        let at = same_time[0].0;
        facts.look_until(&there, at);
        for (_, comes, created) in same_time {
            if *comes {
                there.insert(*created)
            } else {
                there.remove(created)
            };
        }
        facts.look_at(&there, at);
    }
    facts.look_until(&there, until);
    facts
}

impl Facts {
    /// Nothing has changed since the last look, and this is the last moment before something does.
    fn look_until(&mut self, there: &BTreeSet<Timestamp>, at: Timestamp) {
        self.look_at_oldest(there, at);
        if let Some(newest) = there.last() {
            self.take_gap(Gap { older: *newest, newer: None, seen_at: at });
        }
    }

    /// Something has just changed.
    fn look_at(&mut self, there: &BTreeSet<Timestamp>, at: Timestamp) {
        self.look_at_oldest(there, at);
        for (older, newer) in there.iter().zip(there.iter().skip(1)) {
            self.take_gap(Gap { older: *older, newer: Some(*newer), seen_at: at });
        }
    }

    fn look_at_oldest(&mut self, there: &BTreeSet<Timestamp>, at: Timestamp) {
        let Some(oldest) = there.first().filter(|_| self.settled_at.is_some_and(|settled| settled <= at)) else { return };
        let age = at.duration_since(*oldest);
        let (least, most) = self.oldest.unwrap_or((age, age));
        self.oldest = Some((least.min(age), most.max(age)));
    }

    fn take_gap(&mut self, gap: Gap) {
        if self.widest_gap.is_none_or(|widest| gap.length() > widest.length()) {
            self.widest_gap = Some(gap);
        }
    }
}

/// What an outage did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aftermath {
    /// When it began.
    pub outage: Outage,
    /// The restore points when it began, the newest first.
    pub before: Vec<Timestamp>,
    /// In the middle of it.
    pub middle: Vec<Timestamp>,
    /// At its end.
    pub end: Vec<Timestamp>,
    /// The first restore point after it.
    pub first_after: Option<Timestamp>,
    /// The first end of a day from which on the ends of all days are as if nothing had happened.
    pub as_before_at: Option<Timestamp>,
    /// The restore points then, or at the end of the time.
    pub afterwards: Vec<Timestamp>,
    /// Items that failed and filled a slot.
    pub failed: u64,
}

/// Compares a kind that was played with an outage with the same without one.
#[must_use]
pub fn aftermath(with: &PlayedKind, without: &PlayedKind, outage: Outage, from: Timestamp, until: Timestamp) -> Aftermath {
    let first_after = with.lives.iter().filter(|life| life.created_at >= outage.until).map(|life| life.created_at).min();
    let slots = |kind: &PlayedKind, at: Timestamp| {
        gather::<BTreeSet<Timestamp>, _>(kind.lives.iter().filter(|life| life.is_there(at)).map(|life| life.slot))
    };
    let after: Vec<Timestamp> = ends_of_days(from, until, with.policy.schedule.time_zone()).filter(|end| *end > outage.until).collect();
    let as_before_at = after.iter().rev().copied().take_while(|end| slots(with, *end) == slots(without, *end)).last();
    Aftermath {
        outage,
        before: points_at(&with.lives, outage.from),
        middle: points_at(&with.lives, outage.middle()),
        end: points_at(&with.lives, outage.until),
        first_after,
        as_before_at,
        afterwards: points_at(&with.lives, as_before_at.unwrap_or(until)),
        failed: with.failed,
    }
}

#[cfg(test)]
#[path = "measure_tests.rs"]
mod tests;
