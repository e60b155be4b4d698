//! What must hold of any schedule: its times go on, the same ones are found from both sides, and they are those that the fields name.

#![allow(clippy::expect_used, reason = "a panic is how a finding is told")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::{Expression, Fire, Schedule, Timeliness, newest_due};
use crate::domain::wall_clock::{timestamp, whole_second};

/// How many fires in a row are looked at.
const ROW: usize = 24;

/// How many days the naive reading walks through.
const DAYS: i64 = 40;

const DAY: i64 = 86_400;

/// 0002-01-01: the search backwards ends in the year before.
const FIRST: i64 = -62_104_060_800;

/// First line the expressions, separated by `|`, then a time zone's name, then the seconds since 1970 from which on it is asked.
pub(crate) fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.lines();
    let texts = lines.next().unwrap_or_default();
    let zone = TimeZone::get(lines.next().unwrap_or("UTC")).unwrap_or(TimeZone::UTC);
    let from = timestamp(lines.next().and_then(|line| line.trim().parse().ok()).unwrap_or(1_795_000_000));
    let mut expressions = Vec::new();
    for text in texts.split('|').take(4) {
        match Expression::parse(text) {
            Ok(expression) => expressions.push(Arc::new(expression)),
            Err(error) => assert!(!error.to_string().is_empty() && !error.hint().is_empty(), "{text:?}"),
        }
    }
    for expression in &expressions {
        let again = Expression::parse(expression.text()).expect("what was read is read again");
        assert_eq!(again.follows_wall_clock(), expression.follows_wall_clock());
        check_naively(expression, from);
    }
    if !expressions.is_empty() {
        let schedule = Schedule::new(expressions, zone);
        assert!(schedule.next_after(from).is_none_or(|fire| fire.time > from), "{schedule:?}");
        assert!(schedule.newest_at_or_before(from).is_none_or(|fire| fire <= from), "{schedule:?}");
        check_row(&schedule, timestamp(whole_second(from).max(FIRST)));
    }
}

/// A row of fires strictly upwards, each of which is found from behind and is due at once.
fn check_row(schedule: &Schedule, from: Timestamp) {
    let mut before = from;
    let mut row: Vec<Fire> = Vec::new();
    while row.len() < ROW
        && let Some(fire) = schedule.next_after(before)
    {
        assert!(fire.time > before, "{:?} fires at {} after {before}", schedule, fire.time);
        assert_eq!(schedule.newest_at_or_before(fire.time), Some(fire.time), "{schedule:?}");
        let last = timestamp(whole_second(fire.time) - 1);
        let newest = schedule.newest_at_or_before(last);
        match row.last() {
            Some(previous) => assert_eq!(newest, Some(previous.time), "{schedule:?} before {}", fire.time),
            None => assert!(newest.is_none_or(|newest| newest <= from), "{schedule:?} has {newest:?} after {from}"),
        }
        check_due(schedule, fire.time);
        before = fire.time;
        row.push(fire);
    }
    if let Some(last) = row.last() {
        assert_eq!(schedule.count_between(from, last.time, u64::MAX), row.len() as u64, "{schedule:?}");
    }
}

/// The slot is due from its offset on, and not before.
fn check_due(schedule: &Schedule, slot: Timestamp) {
    let (offset, catch_up) = (Duration::from_millis(1_500), Duration::from_secs(7_200));
    let Ok(since) = slot.checked_add(offset) else { return };
    if schedule.count_between(slot, since, 1) == 0 {
        let due = newest_due(schedule, offset, catch_up, since).expect("a slot that has just begun is due");
        assert_eq!((due.slot, due.since, due.timeliness), (slot, since, Timeliness::OnTime), "{schedule:?}");
    }
    let early = newest_due(schedule, offset, catch_up, timestamp(whole_second(slot)));
    assert!(early.is_none_or(|due| due.slot < slot), "{schedule:?}");
}

/// Without a time zone: the fires of some weeks against a reading that tries each second that the fields may name.
fn check_naively(expression: &Arc<Expression>, from: Timestamp) {
    let Some(naive) = Naive::read(expression.text()) else { return };
    let begin = whole_second(from).clamp(0, 90_000_000_000) / DAY * DAY;
    let schedule = Schedule::new(vec![Arc::clone(expression)], TimeZone::UTC);
    let mut found = Vec::new();
    let mut second = begin - 1;
    while found.len() < ROW
        && let Some(fire) = schedule.next_after(timestamp(second))
        && whole_second(fire.time) < begin + DAYS * DAY
    {
        second = whole_second(fire.time);
        found.push(second);
    }
    let named: Vec<i64> = (0..DAYS).flat_map(|day| naive.day(begin + day * DAY)).take(ROW).collect();
    assert_eq!(found, named, "{:?} from {begin}", expression.text());
}

/// The values that each field names, read in the plainest way.
struct Naive {
    fields: Vec<BTreeSet<i64>>,
    both_days: bool,
}

impl Naive {
    /// None for what this reading does not know: names and the letters L, W and #.
    fn read(text: &str) -> Option<Naive> {
        let mut words: Vec<&str> = text.split_whitespace().collect();
        if words.len() == 5 {
            words.insert(0, "0");
        }
        let ranges = [(0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 7)];
        let fields: Option<Vec<_>> = words.iter().zip(ranges).map(|(word, (low, high))| values(word, low, high)).collect();
        let mut fields = fields.filter(|fields| fields.len() == 6)?;
        if fields[5].remove(&7) {
            fields[5].insert(0);
        }
        Some(Naive { fields, both_days: words[3].starts_with(['*', '?']) || words[5].starts_with(['*', '?']) })
    }

    /// The seconds of the day that begins at `midnight` at which it fires.
    fn day(&self, midnight: i64) -> Vec<i64> {
        let date: DateTime = TimeZone::UTC.to_datetime(timestamp(midnight));
        let of_month = self.fields[3].contains(&date.day().into());
        let of_week = self.fields[5].contains(&date.weekday().to_sunday_zero_offset().into());
        let day = if self.both_days { of_month && of_week } else { of_month || of_week };
        if !day || !self.fields[4].contains(&date.month().into()) {
            return Vec::new();
        }
        let of_hour = |hour: &i64| {
            let hour = *hour;
            let of_minute = move |minute: &i64| {
                let start = midnight + hour * 3_600 + *minute * 60;
                self.fields[0].iter().map(move |second| start + second)
            };
            self.fields[1].iter().flat_map(of_minute)
        };
        self.fields[2].iter().flat_map(of_hour).take(ROW).collect()
    }
}

fn values(word: &str, low: i64, high: i64) -> Option<BTreeSet<i64>> {
    let number = |text: &str| {
        let value = text.parse::<i64>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))?;
        (low..=high).contains(&value).then_some(value)
    };
    let mut all = BTreeSet::new();
    for part in word.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse::<i64>().ok().filter(|step| *step > 0)?),
            None => (part, 1),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" || range == "?" => (low, high),
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(range)?, number(range)?),
        };
        all.extend((first..=last).filter(|value| (value - first) % step == 0));
    }
    Some(all)
}
