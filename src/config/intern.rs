//! Expressions, time zones and schedules, each made once however many policies and servers use them.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::domain::schedule::{Expression, ExpressionError, Schedule};
use crate::domain::wall_clock;

/// Runs once a day are at least so far apart, whatever a time zone does.
const DAY_SHORTEST: Duration = Duration::from_secs(20 * 3600);

/// A schedule and how far apart its times are.
#[derive(Debug, Clone)]
pub(super) struct Timing {
    pub schedule: Arc<Schedule>,
    is_once_a_day: bool,
    at: Timestamp,
    shortest: Rc<OnceCell<Option<Duration>>>,
}

impl Timing {
    /// The shortest time between two runs, if it is not above `limit`.
    ///
    /// It is measured on many times of the schedule, which a thousand policies would feel; most schedules are daily ones, and need no measuring.
    pub fn shortest_up_to(&self, limit: Duration) -> Option<Duration> {
        if self.is_once_a_day && limit < DAY_SHORTEST {
            return None;
        }
        let measure = || self.schedule.intervals(self.at).map(|intervals| intervals.shortest);
        self.shortest.get_or_init(measure).filter(|shortest| *shortest <= limit)
    }
}

/// Whether an expression names one second of the day, so that it fires at most once a day.
fn is_once_a_day(text: &str) -> bool {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let is_number = |field: &&str| field.bytes().all(|b| b.is_ascii_digit());
    match fields.as_slice() {
        [name] => ["@daily", "@midnight", "@weekly", "@monthly"].contains(name),
        [time @ .., _, _, _] => matches!(time.len(), 2 | 3) && time.iter().all(is_number),
        _ => false,
    }
}

/// What was made so far.
#[derive(Debug)]
pub(super) struct Interner {
    at: Timestamp,
    zones: BTreeMap<String, Option<wall_clock::Zone>>,
    expressions: BTreeMap<String, Result<Arc<Expression>, ExpressionError>>,
    timings: BTreeMap<(Vec<String>, String), Timing>,
}

impl Interner {
    /// Distances between the times of a schedule are measured from `at` on.
    pub fn new(at: Timestamp) -> Interner {
        Interner { at, zones: BTreeMap::new(), expressions: BTreeMap::new(), timings: BTreeMap::new() }
    }

    /// The zone of an IANA name.
    pub fn zone(&mut self, name: &str) -> Option<wall_clock::Zone> {
        if let Some(zone) = self.zones.get(name) {
            return zone.clone();
        }
        let zone = TimeZone::get(name).ok().map(wall_clock::Zone::from);
        self.zones.insert(name.to_owned(), zone.clone());
        zone
    }

    /// The expression of a text, or why it is none.
    pub fn expression(&mut self, text: &str) -> Result<Arc<Expression>, ExpressionError> {
        if let Some(known) = self.expressions.get(text) {
            return known.clone();
        }
        let parsed = Expression::parse(text).map(Arc::new);
        self.expressions.insert(text.to_owned(), parsed.clone());
        parsed
    }

    /// The schedule of some expressions in a zone. None if one of them is no expression.
    pub fn timing(&mut self, texts: &[&str], zone: &Zone) -> Option<Timing> {
        let key = (texts.iter().map(|text| (*text).to_owned()).collect(), zone.name.clone());
        if let Some(known) = self.timings.get(&key) {
            return Some(known.clone());
        }
        let expressions: Result<Vec<_>, ExpressionError> = texts.iter().map(|text| self.expression(text)).collect();
        let schedule = Arc::new(Schedule::new(expressions.ok()?, zone.zone.clone()));
        let is_once_a_day = matches!(texts, [text] if is_once_a_day(text));
        let timing = Timing { schedule, is_once_a_day, at: self.at, shortest: Rc::default() };
        self.timings.insert(key, timing.clone());
        Some(timing)
    }
}

/// A time zone and the name it was asked for by.
#[derive(Debug, Clone)]
pub(super) struct Zone {
    pub name: String,
    pub zone: wall_clock::Zone,
}

impl Zone {
    /// Coordinated universal time.
    pub fn utc() -> Zone {
        Zone { name: "UTC".to_owned(), zone: TimeZone::UTC.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortcut_for_daily_schedules_agrees_with_measuring() {
        let mut interner = Interner::new("2026-11-21T00:00:00Z".parse().unwrap());
        for name in ["UTC", "Europe/Oslo", "Australia/Lord_Howe", "Antarctica/Troll"] {
            let zone = Zone { name: name.to_owned(), zone: interner.zone(name).unwrap() };
            for text in ["30 2 * * *", "0 30 1 * * *", "@daily", "0 5 * * sun", "0 0 1 * *", "15 1 29 2 *"] {
                assert!(is_once_a_day(text), "{text}");
                let timing = interner.timing(&[text], &zone).unwrap();
                let measured = timing.schedule.intervals(timing.at).unwrap().shortest;
                assert!(measured > DAY_SHORTEST, "{text} in {name}: {measured:?}");
            }
        }
        for text in ["0 * * * *", "0 3,4 * * *", "* 0 3 * * *", "0 3-5 * * *", "@hourly", "", "1 2"] {
            assert!(!is_once_a_day(text), "{text}");
        }
    }

    #[test]
    fn equal_texts_in_equal_zones_are_one() {
        let mut interner = Interner::new("2026-11-21T00:00:00Z".parse().unwrap());
        let first = interner.timing(&["0 * * * *"], &Zone::utc()).unwrap();
        let second = interner.timing(&["0 * * * *"], &Zone::utc()).unwrap();
        assert!(Arc::ptr_eq(&first.schedule, &second.schedule));
        assert_eq!(first.shortest_up_to(Duration::from_secs(3600)), Some(Duration::from_secs(3600)));
        assert_eq!(first.shortest_up_to(Duration::from_secs(3599)), None);
    }
}
