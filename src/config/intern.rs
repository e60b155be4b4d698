//! Expressions, time zones and schedules, each made once however many policies and servers use them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::domain::schedule::{Expression, ExpressionError, Schedule};

/// A schedule and how far apart its times are.
#[derive(Debug, Clone)]
pub(super) struct Timing {
    pub schedule: Arc<Schedule>,
    /// None: there is no second time.
    pub shortest: Option<Duration>,
}

/// What was made so far.
#[derive(Debug)]
pub(super) struct Interner {
    at: Timestamp,
    zones: HashMap<String, Option<TimeZone>>,
    expressions: HashMap<String, Result<Arc<Expression>, ExpressionError>>,
    timings: HashMap<(Vec<String>, String), Timing>,
}

impl Interner {
    /// Distances between the times of a schedule are measured from `at` on.
    pub fn new(at: Timestamp) -> Interner {
        Interner { at, zones: HashMap::new(), expressions: HashMap::new(), timings: HashMap::new() }
    }

    /// The zone of an IANA name.
    pub fn zone(&mut self, name: &str) -> Option<TimeZone> {
        if let Some(zone) = self.zones.get(name) {
            return zone.clone();
        }
        let zone = TimeZone::get(name).ok();
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
        let timing = Timing { shortest: schedule.intervals(self.at).map(|intervals| intervals.shortest), schedule };
        self.timings.insert(key, timing.clone());
        Some(timing)
    }
}

/// A time zone and the name it was asked for by.
#[derive(Debug, Clone)]
pub(super) struct Zone {
    pub name: String,
    pub zone: TimeZone,
}

impl Zone {
    /// Coordinated universal time.
    pub fn utc() -> Zone {
        Zone { name: "UTC".to_owned(), zone: TimeZone::UTC }
    }
}
