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
use smallvec::{SmallVec, smallvec};

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

/// For each candidate something. The provider's caps are five and ten, and one is coming.
pub type Few<T> = SmallVec<[T; 12]>;

/// A ruling for each candidate, in their order.
#[derive(Debug, Clone)]
pub struct Rulings {
    keep: Keep,
    fates: Few<Fate>,
}

/// What becomes of a candidate, in less space than a [`Ruling`] takes.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Kept(KeepReason),
    SecondOfSlot { counts: ItemId },
    NoPlace { used_up: RuleSet },
}

impl Fate {
    #[inline]
    fn is_kept(&self) -> bool {
        matches!(self, Fate::Kept(_))
    }

    #[inline]
    fn ruling(&self, keep: &Keep) -> Ruling {
        match *self {
            Fate::Kept(reason) => Ruling::Keep(reason),
            Fate::SecondOfSlot { counts } => Ruling::Drop(DropReason::SecondOfSlot { counts }),
            Fate::NoPlace { used_up } => Ruling::Drop(DropReason::NoPlace { keep: *keep, used_up }),
        }
    }
}

impl Rulings {
    /// On one candidate.
    ///
    /// # Panics
    /// If there are not so many.
    #[must_use]
    #[inline]
    pub fn on(&self, index: usize) -> Ruling {
        self.fates[index].ruling(&self.keep)
    }

    /// On all of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Ruling> {
        self.fates.iter().map(|fate| fate.ruling(&self.keep))
    }

    /// Which of them stay.
    pub fn kept(&self) -> impl ExactSizeIterator<Item = bool> {
        self.fates.iter().map(Fate::is_kept)
    }
}

/// Rules on every candidate; the rulings stand in the order of the candidates, which does not matter otherwise.
///
/// At most [`Keep::sum`] are kept, and if that is not zero, the newest one that counts is among them. Newer is what has the later time or, at the same time,
/// the higher number.
#[must_use]
pub fn judge(keep: &Keep, zone: &Zone, candidates: &[Candidate]) -> Rulings {
    let mut fates = undecided(candidates.len());
    let ranked = rank(keep, zone, candidates, &mut fates);
    write(keep, &ranked, &mut fates);
    Rulings { keep: *keep, fates }
}

/// What is dropped of some candidates. The last of them does not count: it is the newest, and stays whatever retention says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drops {
    /// How many of them.
    pub count: usize,
    /// The first of them, and the ruling on it.
    pub first: Option<(usize, Ruling)>,
}

/// [`judge`]; and before it, what the same would drop of all candidates but the last one, as if that were not there.
#[must_use]
pub fn judge_without_the_last(keep: &Keep, zone: &Zone, candidates: &[Candidate]) -> (Drops, Rulings) {
    let mut drops = Drops { count: 0, first: None };
    let others = &candidates[..candidates.len().saturating_sub(1)];
    let mut see = |index: usize, fate: Fate| {
        if !fate.is_kept() && index + 1 != others.len() {
            drops.count += 1;
            if drops.first.is_none_or(|(first, _)| index < first) {
                drops.first = Some((index, fate.ruling(keep)));
            }
        }
    };
    if !are_in_order(candidates) {
        judge(keep, zone, others).fates.into_iter().enumerate().for_each(|(index, fate)| see(index, fate));
        return (drops, judge(keep, zone, candidates));
    }
    let mut ranked = places(keep, zone, candidates, (0..candidates.len()).rev());
    let mut fates = undecided(candidates.len());
    write(keep, &ranked, &mut fates);
    // The last one is the newest, so it stands first; without it, the one after it is where all periods begin.
    if let [last, newest, ..] = &mut ranked[..] {
        newest.begun = last.begun;
        rule(keep, &ranked[1..], see);
    }
    (drops, Rulings { keep: *keep, fates })
}

fn write(keep: &Keep, ranked: &[Place], fates: &mut [Fate]) {
    rule(keep, ranked, |index, fate| fates[index] = fate);
}

fn undecided(count: usize) -> Few<Fate> {
    smallvec![Fate::NoPlace { used_up: RuleSet::default() }; count]
}

/// Gives each item in turn, the newest first, to the finest rule that has a place left and no newer item of the same period.
///
/// That is what one rule after the other would keep, each going through all items: what a rule makes of an item depends on the newer ones, and on the finer
/// rules alone. An item that a finer rule keeps ends its period without being counted.
#[inline]
fn rule(keep: &Keep, ranked: &[Place], mut told: impl FnMut(usize, Fate)) {
    let counts = keep.counts();
    let present = ranked.first().map_or_else(RuleSet::default, |newest| newest.begun);
    let mut used = [0; Rule::ALL.len()];
    let mut used_up = RuleSet::default();
    for (rank, place) in ranked.iter().enumerate() {
        let fate = if let Some(rule) = place.begun.without(used_up).finest() {
            let used = &mut used[rule as usize];
            *used += 1;
            if *used == counts[rule as usize] {
                used_up.insert(rule);
            }
            Fate::Kept(KeepReason { rule, ordinal: *used, oldest: false })
        } else if rank + 1 == ranked.len()
            && let Some(rule) = present.coarsest().filter(|rule| !used_up.contains(*rule))
        {
            // The coarsest one also keeps the oldest.
            Fate::Kept(KeepReason { rule, ordinal: used[rule as usize] + 1, oldest: true })
        } else {
            Fate::NoPlace { used_up }
        };
        told(place.index, fate);
    }
}

/// Whether they stand with the oldest first, as they mostly come, and slots rise along with times: then no two slots are equal.
fn are_in_order(candidates: &[Candidate]) -> bool {
    // Not as pairs of time and number, which takes half as long again: mostly the times alone tell.
    let is_older = |older: &Candidate, newer: &Candidate| older.time < newer.time || older.time == newer.time && older.id < newer.id;
    candidates.is_sorted_by(is_older) && candidates.iter().filter_map(|candidate| candidate.slot).is_sorted_by(|older, newer| older < newer)
}

/// The candidates that count, the newest first. The others, second items of a slot, are ruled on here.
fn rank(keep: &Keep, zone: &Zone, candidates: &[Candidate], fates: &mut [Fate]) -> Few<Place> {
    let newest_first = (0..candidates.len()).rev();
    if are_in_order(candidates) {
        return places(keep, zone, candidates, newest_first);
    }
    let mut ranked: Few<usize> = newest_first.collect();
    ranked.sort_unstable_by_key(|index| Reverse((candidates[*index].time, candidates[*index].id, Reverse(*index))));
    rule_on_seconds_of_slots(candidates, fates);
    ranked.retain(|index| !matches!(fates[*index], Fate::SecondOfSlot { .. }));
    places(keep, zone, candidates, ranked.into_iter())
}

fn rule_on_seconds_of_slots(candidates: &[Candidate], fates: &mut [Fate]) {
    let mut by_slot: Vec<(Timestamp, ItemId, usize)> =
        candidates.iter().enumerate().filter_map(|(index, item)| Some((item.slot?, item.id, index))).collect();
    by_slot.sort_unstable();
    for same_slot in by_slot.chunk_by(|a, b| a.0 == b.0) {
        for (_, _, index) in &same_slot[1..] {
            fates[*index] = Fate::SecondOfSlot { counts: same_slot[0].1 };
        }
    }
}

/// A candidate that counts.
#[derive(Clone, Copy)]
struct Place {
    /// Which one.
    index: usize,
    /// The rules, of those that are present, of whose periods it is the newest: the next newer candidate lies in another one. Those of the newest are all
    /// that are present.
    begun: RuleSet,
}

/// Days from the first of March of the year -12,000, a Wednesday, to 1970: before that there is no time, so nothing is negative, and the calendar's cycles
/// of 400 years begin there.
const EPOCH: i64 = 30 * DAYS_IN_CYCLE as i64 + 719_468;
/// Days in 400 years, after which the calendar is the same again, weeks included.
const DAYS_IN_CYCLE: u64 = 146_097;

/// `number / BY`, for numbers below 2^40. Built for size, the program would divide, and take ten times as long as by this multiplication.
const fn quotient<const BY: u64>(number: u64) -> u64 {
    // 2^64 / BY, rounded up, is too high by less than one. So the product is too high by less than number / 2^64, which is less than 1 / BY.
    const { assert!(BY > 0 && BY < 1 << 20, "it holds for small divisors") };
    ((number as u128 * (u64::MAX / BY + 1) as u128) >> 64) as u64
}

/// The places of candidates that stand in their order, the newest first.
fn places(keep: &Keep, zone: &Zone, candidates: &[Candidate], ranked: impl Iterator<Item = usize>) -> Few<Place> {
    let mut places = Few::new();
    let mut stretch: Option<Stretch> = None;
    // The rules that are present, with the beginnings of the periods that the newer one lies in.
    let mut beginnings: SmallVec<[(Rule, u64); Rule::ALL.len()]> = SmallVec::new();
    for (rule, count) in Rule::ALL.into_iter().zip(keep.counts()) {
        if count > 0 {
            beginnings.push((rule, u64::MAX));
        }
    }
    let beginnings = &mut beginnings[..];
    for index in ranked {
        let second = whole_second(candidates[index].time);
        let here = match &stretch {
            Some(known) if known.contains(second) => known,
            _ => stretch.insert(zone.stretch(second)),
        };
        // It never rises from one to the next.
        let reached = since_epoch(here.reached(second));
        let mut begun = RuleSet::default();
        for (rule, beginning) in &mut *beginnings {
            if reached < *beginning {
                begun.insert(*rule);
                *beginning = period(*rule, reached);
            }
        }
        places.push(Place { index, begun });
    }
    places
}

/// The first second of the period that a second lies in; for the rule that has none, one that never comes.
#[inline]
fn period(rule: Rule, second: u64) -> u64 {
    let day = || quotient::<86_400>(second);
    match rule {
        Rule::Last => u64::MAX,
        Rule::Hourly => quotient::<3_600>(second) * 3_600,
        Rule::Daily => day() * 86_400,
        Rule::Weekly => monday(week(day())) * 86_400,
        Rule::Monthly => first_of(month(day())) * 86_400,
        Rule::Yearly => first_of(year(month(day())) * 12) * 86_400,
    }
}

/// A local second, counted from [`EPOCH`].
const fn since_epoch(local: i64) -> u64 {
    (local + EPOCH * 86_400).cast_unsigned()
}

/// Weeks since the first of [`EPOCH`], of a day. That was a Wednesday, two days after the Monday on which its ISO week began.
const fn week(day: u64) -> u64 {
    quotient::<7>(day + 2)
}

/// The first day of a [`week`].
const fn monday(week: u64) -> u64 {
    week * 7 - 2
}

/// Years since the year -12,000, of a [`month`].
const fn year(month: u64) -> u64 {
    quotient::<12>(month)
}

/// Months since January of the year -12,000, of a day. Years that begin in March end with the leap day, and their months have lengths that go by fifths.
const fn month(day: u64) -> u64 {
    let cycle = quotient::<DAYS_IN_CYCLE>(day);
    let of_cycle = day - cycle * DAYS_IN_CYCLE;
    let leap_days = quotient::<1_460>(of_cycle) + quotient::<{ DAYS_IN_CYCLE - 1 }>(of_cycle) - quotient::<36_524>(of_cycle);
    let year = quotient::<365>(of_cycle - leap_days);
    let of_year = of_cycle - (365 * year + year / 4 - quotient::<100>(year));
    (cycle * 400 + year) * 12 + quotient::<153>(5 * of_year + 2) + 2
}

/// The first day of a [`month`].
const fn first_of(month: u64) -> u64 {
    let since_march = month - 2;
    let year = quotient::<12>(since_march);
    let of_year = since_march - year * 12;
    365 * year + year / 4 - quotient::<100>(year) + quotient::<400>(year) + quotient::<5>(153 * of_year + 2)
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::super::wall_clock::{OFFSET_MAX_SECONDS, civil};
    use super::*;

    fn candidates(times: &[&str]) -> Vec<Candidate> {
        let item = |(id, time): (usize, &&str)| Candidate { id: ItemId(800 + id as u64), time: time.parse().unwrap(), slot: None };
        times.iter().enumerate().map(item).collect()
    }

    fn told(keep: &str, zone: &str, candidates: &[Candidate]) -> Vec<String> {
        let rulings = judge(&Keep::parse(keep).unwrap(), &TimeZone::get(zone).unwrap().into(), candidates);
        rulings.iter().map(|ruling| ruling.to_string()).collect()
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
    fn the_whole_of_jiffs_years_has_places() {
        for time in [Timestamp::MIN, Timestamp::MAX] {
            for offset in [-OFFSET_MAX_SECONDS, OFFSET_MAX_SECONDS] {
                let local = time.as_second() + offset;
                let second = since_epoch(local);
                assert!(second < 1 << 40, "{time} {offset}");
                assert_eq!(period(Rule::Daily, second) / 86_400, (local.div_euclid(86_400) + EPOCH).cast_unsigned());
                for rule in &Rule::ALL[1..] {
                    assert!((second - 366 * 86_400..=second).contains(&period(*rule, second)), "{time} {offset} {rule}");
                }
            }
        }
    }

    #[test]
    fn a_quotient_is_a_quotient() {
        fn check<const BY: u64>() {
            let near = |middle: u64| middle.saturating_sub(2)..=middle + 2;
            let times = [0, 1, 2, 3, 1_000, 123_456, (1 << 40) / BY / 2, (1 << 40) / BY - 1].map(|times| times * BY);
            for number in times.into_iter().chain([1 << 20, (1 << 40) - 3]).flat_map(near) {
                assert_eq!(quotient::<BY>(number), number / BY, "{number} / {BY}");
            }
        }
        let checks = [
            check::<4>,
            check::<5>,
            check::<7>,
            check::<12>,
            check::<100>,
            check::<153>,
            check::<365>,
            check::<400>,
            check::<1_460>,
            check::<3_600>,
        ];
        let large = [check::<36_524>, check::<86_400>, check::<146_096>, check::<146_097>, check::<{ (1 << 20) - 1 }>];
        checks.into_iter().chain(large).for_each(|check| check());
    }

    #[test]
    fn periods_begin_where_they_do_on_the_calendar() {
        let mut before: Option<jiff::civil::Date> = None;
        let mut beginnings = [0; Rule::ALL.len()];
        for day in -200_000..200_000i64 {
            let local = day * 86_400;
            let date = civil(local).unwrap().date();
            let first = since_epoch(local);
            if let Some(yesterday) = before {
                let begins = |is_apart: bool, rule: Rule| if is_apart { first } else { beginnings[rule as usize] };
                let expected = [
                    (Rule::Daily, begins(true, Rule::Daily)),
                    (Rule::Weekly, begins(date.iso_week_date().week() != yesterday.iso_week_date().week(), Rule::Weekly)),
                    (Rule::Monthly, begins(date.month() != yesterday.month(), Rule::Monthly)),
                    (Rule::Yearly, begins(date.year() != yesterday.year(), Rule::Yearly)),
                ];
                for (rule, expected) in expected {
                    for second in [first, first + 86_399] {
                        assert_eq!(period(rule, second), expected, "{rule} {date}");
                    }
                }
            }
            before = Some(date);
            for rule in Rule::ALL {
                beginnings[rule as usize] = period(rule, first);
            }
        }
    }
}
