//! Which restore points stay (contract §2; borg 2's disjoint rule).
//!
//! After `prune_split` in borg's `prune_cmd.py`, with two differences: only the coarsest rule also keeps the oldest item, and periods follow the highest
//! time that the wall clock has shown. So where the clock is set back from one period into the one before (St. John's, until 2011: from 00:01 to 23:01),
//! no period comes back once it was over.

mod keep;
#[cfg(test)]
mod properties;
mod reason;

use std::cmp::Reverse;

use jiff::Timestamp;
use smallvec::SmallVec;

use super::inventory::ItemId;
use super::wall_clock::{Stretch, Zone, whole_second};
pub use keep::{Keep, KeepError, Rule};
pub use reason::{DropReason, KeepReason, RuleSet, Ruling};

/// A restore point that retention may judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Its number.
    pub id: ItemId,
    /// When it was begun.
    pub time: Timestamp,
    /// The slot it was made for. Of several for one slot, the one with the lowest number counts and the others go.
    pub slot: Option<Timestamp>,
}

/// For each candidate something; a server has hardly more of them than this.
type Few<T> = SmallVec<[T; 16]>;

/// Rules on every candidate; the rulings stand in the order of the candidates, which does not matter otherwise.
///
/// At most [`Keep::sum`] are kept, and if that is not zero, the newest one that counts is among them. Newer is what has the later time or, at the same time,
/// the higher number.
#[must_use]
pub fn judge(keep: &Keep, zone: &Zone, candidates: &[Candidate]) -> Vec<Ruling> {
    let mut rulings = vec![Ruling::Drop(DropReason::NoPlace { keep: *keep, used_up: RuleSet::default() }); candidates.len()];
    let ranked = rank(zone, candidates, &mut rulings);
    let coarsest = keep.rules().next_back().map(|(rule, _)| rule);
    for (rule, count) in keep.rules() {
        let used = apply(rule, count, &ranked, &mut rulings);
        if Some(rule) == coarsest
            && used < count
            && let Some(oldest) = ranked.last()
            && let ruling @ Ruling::Drop(_) = &mut rulings[oldest.index]
        {
            *ruling = Ruling::Keep(KeepReason { rule, ordinal: used + 1, oldest: true });
        }
    }
    rulings
}

/// The candidates that count, the newest first. The others, second items of a slot, are ruled on here.
fn rank(zone: &Zone, candidates: &[Candidate], rulings: &mut [Ruling]) -> Few<Place> {
    let newest_first = (0..candidates.len()).rev();
    // They come with the oldest first, as a rule, and slots rise along with times: then no two are equal.
    let in_order = candidates.is_sorted_by(|older, newer| (older.time, older.id) < (newer.time, newer.id));
    if in_order && candidates.iter().filter_map(|candidate| candidate.slot).is_sorted_by(|older, newer| older < newer) {
        return places(zone, candidates, newest_first);
    }
    let mut ranked: Few<usize> = newest_first.collect();
    ranked.sort_unstable_by_key(|index| Reverse((candidates[*index].time, candidates[*index].id, Reverse(*index))));
    rule_on_seconds_of_slots(candidates, rulings);
    ranked.retain(|index| !matches!(rulings[*index], Ruling::Drop(DropReason::SecondOfSlot { .. })));
    places(zone, candidates, ranked.into_iter())
}

fn rule_on_seconds_of_slots(candidates: &[Candidate], rulings: &mut [Ruling]) {
    let mut by_slot: Vec<(Timestamp, ItemId, usize)> =
        candidates.iter().enumerate().filter_map(|(index, item)| Some((item.slot?, item.id, index))).collect();
    by_slot.sort_unstable();
    for same_slot in by_slot.chunk_by(|a, b| a.0 == b.0) {
        for (_, _, index) in &same_slot[1..] {
            rulings[*index] = Ruling::Drop(DropReason::SecondOfSlot { counts: same_slot[0].1 });
        }
    }
}

/// A candidate that counts, and where it lies on the calendar.
#[derive(Clone, Copy)]
struct Place {
    /// Which candidate.
    index: usize,
    /// The highest local second that the wall clock had shown.
    local: i64,
    /// Days since 1970-01-01. Those of all of jiff's years are few enough, and narrow numbers are divided faster.
    day: i32,
}

impl Place {
    fn new(index: usize, local: i64) -> Place {
        Place { index, local, day: local.div_euclid(86_400) as i32 }
    }
}

/// The places of candidates that stand in their order, the newest first. So they never rise.
fn places(zone: &Zone, candidates: &[Candidate], ranked: impl ExactSizeIterator<Item = usize>) -> Few<Place> {
    let mut places = Few::with_capacity(ranked.len());
    let mut stretch: Option<Stretch> = None;
    for index in ranked {
        let second = whole_second(candidates[index].time);
        let here = match &stretch {
            Some(known) if known.contains(second) => known,
            _ => stretch.insert(zone.stretch(second)),
        };
        places.push(Place::new(index, here.reached(second)));
    }
    places
}

/// Months since year 0, of a day since 1970-01-01. Years that begin in March end with the leap day, and their months have lengths that go by fifths.
fn month(day: i32) -> i32 {
    /// In 400 years.
    const DAYS: i32 = 146_097;
    // From the first of March of year 0 to 1970 there are 719,468 days.
    let day = day + 719_468;
    let (cycle, of_cycle) = (day.div_euclid(DAYS), day.rem_euclid(DAYS));
    let year = (of_cycle - of_cycle / 1_460 + of_cycle / 36_524 - of_cycle / (DAYS - 1)) / 365;
    let of_year = of_cycle - (365 * year + year / 4 - year / 100);
    (cycle * 400 + year) * 12 + (5 * of_year + 2) / 153 + 2
}

/// Lets one rule keep the newest item of each period until its count is used up, and returns how many it has kept. An item that a finer rule keeps ends
/// its period without being counted.
fn apply(rule: Rule, count: u32, ranked: &[Place], rulings: &mut [Ruling]) -> u32 {
    let mut used = 0;
    let mut period_before = None;
    let mut ranks = ranked.iter().enumerate();
    for (rank, place) in ranks.by_ref() {
        let period = Some(period(rule, rank, *place));
        if period == period_before {
            continue;
        }
        period_before = period;
        if let ruling @ Ruling::Drop(_) = &mut rulings[place.index] {
            used += 1;
            *ruling = Ruling::Keep(KeepReason { rule, ordinal: used, oldest: false });
            if used == count {
                break;
            }
        }
    }
    for (_, place) in ranks {
        if let Ruling::Drop(DropReason::NoPlace { used_up, .. }) = &mut rulings[place.index] {
            used_up.insert(rule);
        }
    }
    used
}

/// A number for the period in which a place lies; a later period has a higher one (for `last`: a lower one).
fn period(rule: Rule, rank: usize, place: Place) -> i64 {
    match rule {
        Rule::Last => i64::try_from(rank).unwrap_or(i64::MAX),
        Rule::Hourly => place.local.div_euclid(3_600),
        Rule::Daily => i64::from(place.day),
        // 1970-01-01 was a Thursday, three days after the Monday on which its ISO week began.
        Rule::Weekly => i64::from((place.day + 3).div_euclid(7)),
        Rule::Monthly => i64::from(month(place.day)),
        Rule::Yearly => i64::from(month(place.day).div_euclid(12)),
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::super::wall_clock::civil;
    use super::*;

    fn candidates(times: &[&str]) -> Vec<Candidate> {
        let item = |(id, time): (usize, &&str)| Candidate { id: ItemId(800 + id as u64), time: time.parse().unwrap(), slot: None };
        times.iter().enumerate().map(item).collect()
    }

    fn told(keep: &str, zone: &str, candidates: &[Candidate]) -> Vec<String> {
        let rulings = judge(&Keep::parse(keep).unwrap(), &TimeZone::get(zone).unwrap().into(), candidates);
        rulings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn finer_rules_come_first_and_end_the_coarser_period() {
        let items = candidates(&[
            "2026-11-21T03:30:00Z",
            "2026-11-20T03:30:00Z",
            "2026-11-19T03:30:00Z",
            "2026-11-15T03:30:00Z",
            "2026-11-08T03:30:00Z",
        ]);
        assert_eq!(
            told("daily=2,weekly=2", "UTC", &items),
            ["daily 1", "daily 2", "the 2 daily places are taken by newer items; a newer item stands for its week", "weekly 1", "weekly 2",]
        );
    }

    #[test]
    fn only_the_coarsest_rule_keeps_the_oldest() {
        let items = candidates(&["2026-11-21T03:30:00Z", "2026-11-21T02:30:00Z", "2026-11-21T01:30:00Z"]);
        assert_eq!(
            told("daily=3,weekly=2", "UTC", &items),
            ["daily 1", "a newer item stands for its day; a newer item stands for its week", "weekly 1 (oldest)"]
        );
        assert_eq!(told("daily=3", "UTC", &items)[2], "daily 2 (oldest)");
    }

    #[test]
    fn two_items_of_one_slot_count_once() {
        let mut items = candidates(&["2026-11-21T03:30:09Z", "2026-11-21T03:30:05Z", "2026-11-20T03:30:05Z"]);
        items[0].slot = Some("2026-11-21T03:30:00Z".parse().unwrap());
        items[1].slot = items[0].slot;
        (items[0].id, items[1].id) = (ItemId(802), ItemId(801));
        assert_eq!(told("last=2", "UTC", &items), ["second item of one slot; 801 counts", "last 1", "last 2"]);
    }

    #[test]
    fn equal_times_go_by_number_and_nothing_is_kept_by_no_rule() {
        let items = candidates(&["2026-11-21T03:30:00Z"; 3]);
        assert_eq!(told("last=2", "UTC", &items), ["older than the 2 newest", "last 2", "last 1"]);
        assert_eq!(told("daily=0", "UTC", &items), ["the policy keeps nothing"; 3]);
        assert_eq!(told("last=1", "UTC", &[]), [""; 0]);
    }

    #[test]
    fn periods_are_those_of_the_zone() {
        // 2026-12-31T23:30Z is in 2027 in Oslo, and Friday of week 53 of 2026 (28 December to 3 January).
        let items = candidates(&["2026-12-31T23:30:00Z", "2026-12-31T22:30:00Z", "2026-12-28T12:00:00Z", "2026-12-27T12:00:00Z"]);
        let kept = |keep: &str, zone: &str| told(keep, zone, &items).iter().filter(|text| text.contains(char::is_numeric)).count();
        assert_eq!(told("yearly=2", "Europe/Oslo", &items)[..2], ["yearly 1", "yearly 2"]);
        assert_eq!(told("yearly=2", "UTC", &items)[1], "a newer item stands for its year");
        assert_eq!(told("monthly=2", "Europe/Oslo", &items)[..2], ["monthly 1", "monthly 2"]);
        assert_eq!(kept("weekly=2", "Europe/Oslo"), 2);
        assert_eq!(told("weekly=2", "Europe/Oslo", &items)[3], "weekly 2");
    }

    #[test]
    fn the_repeated_hour_is_one_period() {
        // Oslo: 2026-10-25 03:00+02:00 → 02:00+01:00.
        let items = candidates(&["2026-10-25T01:45:00Z", "2026-10-25T01:15:00Z", "2026-10-25T00:45:00Z", "2026-10-24T23:45:00Z"]);
        assert_eq!(
            told("hourly=2", "Europe/Oslo", &items),
            ["hourly 1", "a newer item stands for its hour", "a newer item stands for its hour", "hourly 2"]
        );
    }

    #[test]
    fn a_day_does_not_come_back_where_the_clock_is_set_back_over_midnight() {
        // St. John's: 2010-11-07 00:01-02:30 → 2010-11-06 23:01-03:30.
        let items = candidates(&["2010-11-07T03:40:00Z", "2010-11-07T02:40:00Z", "2010-11-07T02:30:30Z", "2010-11-07T02:20:00Z"]);
        assert_eq!(
            told("daily=4", "America/St_Johns", &items),
            ["daily 1", "a newer item stands for its day", "a newer item stands for its day", "daily 2"]
        );
    }

    #[test]
    fn weeks_months_and_years_agree_with_the_calendar() {
        let mut before: Option<(i64, i64, i64, jiff::civil::Date)> = None;
        for day in -200_000..200_000i64 {
            let local = day * 86_400 + 86_399;
            let date = civil(local).unwrap().date();
            let place = Place::new(0, local);
            let now = (period(Rule::Weekly, 0, place), period(Rule::Monthly, 0, place), period(Rule::Yearly, 0, place), date);
            if let Some((week, month, year, yesterday)) = before {
                assert_eq!(now.0 - week, i64::from(date.iso_week_date().week() != yesterday.iso_week_date().week()), "{date}");
                assert_eq!(now.1 - month, i64::from(date.month() != yesterday.month()), "{date}");
                assert_eq!(now.2 - year, i64::from(date.year() != yesterday.year()), "{date}");
            }
            before = Some(now);
        }
    }
}
