//! The search for the times that an expression names. croner reads the expression and says of a day whether it is meant; the times of the day are sets of
//! bits here, so that a search costs days, not seconds.

use croner::{Cron, Weekday, YEAR_LOWER_LIMIT, YEAR_UPPER_LIMIT};
use jiff::civil::{Date, DateTime, Time};

/// An expression, ready to be searched.
pub(super) struct Named {
    cron: Cron,
    months: Set,
    hours: Set,
    minutes: Set,
    seconds: Set,
}

/// Numbers from 0 to 63.
#[derive(Clone, Copy)]
struct Set(u64);

impl Set {
    fn of(is_in: impl Fn(u32) -> bool, highest: u32) -> Set {
        Set((0..=highest).filter(|number| is_in(*number)).fold(0, |set, number| set | (1 << number)))
    }

    fn has(self, number: i8) -> bool {
        (self.0 >> number) & 1 == 1
    }

    /// The lowest one from this on.
    fn from(self, number: i8) -> Option<i8> {
        let left = self.0 >> number;
        (left != 0).then(|| number + left.trailing_zeros() as i8)
    }

    /// The highest one up to this; it may be -1.
    fn up_to(self, number: i8) -> Option<i8> {
        let left = if number < 0 { 0 } else { self.0 << (63 - number) };
        (left != 0).then(|| number - left.leading_zeros() as i8)
    }
}

impl Named {
    pub fn new(cron: Cron) -> Named {
        let pattern = &cron.pattern;
        Named {
            months: Set::of(|month| pattern.month_match(month).unwrap_or(false), 12),
            hours: Set::of(|hour| pattern.hour_match(hour).unwrap_or(false), 23),
            minutes: Set::of(|minute| pattern.minute_match(minute).unwrap_or(false), 59),
            seconds: Set::of(|second| pattern.second_match(second).unwrap_or(false), 59),
            cron,
        }
    }

    /// Whether it names this time.
    pub fn names(&self, at: DateTime) -> bool {
        let of_day = self.hours.has(at.hour()) && self.minutes.has(at.minute()) && self.seconds.has(at.second());
        of_day && self.names_day(at.date())
    }

    /// The first time at or after this; none beyond the last year.
    pub fn next(&self, from: DateTime) -> Option<DateTime> {
        let mut day = from.date();
        if self.names_day(day)
            && let Some(time) = self.first_of_day(from.time())
        {
            return Some(day.to_datetime(time));
        }
        let first = self.first_of_day(Time::midnight())?;
        loop {
            day = day.tomorrow().ok()?;
            while !self.months.has(day.month()) {
                day = day.last_of_month().tomorrow().ok()?;
            }
            if i32::from(day.year()) > YEAR_UPPER_LIMIT {
                return None;
            }
            if self.names_day(day) {
                return Some(day.to_datetime(first));
            }
        }
    }

    /// The last time at or before this; none before the first year.
    pub fn previous(&self, until: DateTime) -> Option<DateTime> {
        let mut day = until.date();
        if self.names_day(day)
            && let Some(time) = self.last_of_day(until.time())
        {
            return Some(day.to_datetime(time));
        }
        let last = self.last_of_day(Time::MAX)?;
        loop {
            day = day.yesterday().ok()?;
            while !self.months.has(day.month()) {
                day = day.first_of_month().yesterday().ok()?;
            }
            if i32::from(day.year()) < YEAR_LOWER_LIMIT {
                return None;
            }
            if self.names_day(day) {
                return Some(day.to_datetime(last));
            }
        }
    }

    fn names_day(&self, day: Date) -> bool {
        let weekday = Weekday::from_days_from_sunday(day.weekday().to_sunday_zero_offset().unsigned_abs().into());
        let [month, of_month] = [day.month(), day.day()].map(|number| u32::from(number.unsigned_abs()));
        self.months.has(day.month()) && self.cron.pattern.day_match(day.year().into(), month, of_month, weekday).unwrap_or(false)
    }

    fn first_of_day(&self, from: Time) -> Option<Time> {
        let (hour, minute) = (from.hour(), from.minute());
        let of_hour = self.hours.has(hour);
        let second = self.seconds.from(from.second()).filter(|_| of_hour && self.minutes.has(minute));
        let in_minute = second.map(|second| (hour, minute, second));
        let in_hour = || Some((hour, self.minutes.from(minute + 1).filter(|_| of_hour)?, self.seconds.from(0)?));
        let in_day = || Some((self.hours.from(hour + 1)?, self.minutes.from(0)?, self.seconds.from(0)?));
        time(in_minute.or_else(in_hour).or_else(in_day)?)
    }

    fn last_of_day(&self, until: Time) -> Option<Time> {
        let (hour, minute) = (until.hour(), until.minute());
        let of_hour = self.hours.has(hour);
        let second = self.seconds.up_to(until.second()).filter(|_| of_hour && self.minutes.has(minute));
        let in_minute = second.map(|second| (hour, minute, second));
        let in_hour = || Some((hour, self.minutes.up_to(minute - 1).filter(|_| of_hour)?, self.seconds.up_to(59)?));
        let in_day = || Some((self.hours.up_to(hour - 1)?, self.minutes.up_to(59)?, self.seconds.up_to(59)?));
        time(in_minute.or_else(in_hour).or_else(in_day)?)
    }
}

fn time((hour, minute, second): (i8, i8, i8)) -> Option<Time> {
    Time::new(hour, minute, second, 0).ok()
}

#[cfg(test)]
mod tests {
    use croner::parser::{CronParser, Seconds, Year};
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::domain::wall_clock::{civil, local_second};

    fn field(numbers: std::ops::RangeInclusive<u8>) -> impl Strategy<Value = String> {
        let (low, high) = (*numbers.start(), *numbers.end());
        prop_oneof![
            Just("*".to_owned()),
            (low..=high).prop_map(|number| number.to_string()),
            (low..=high, low..=high).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
            (low..=high, low..=high).prop_map(|(a, b)| format!("{a},{b}")),
            (2..=7u8).prop_map(|step| format!("*/{step}")),
        ]
    }

    fn expression() -> impl Strategy<Value = String> {
        let days = prop_oneof![field(1..=31), select(vec!["L", "LW", "15W", "1W", "31W", "29"]).prop_map(str::to_owned)];
        let weekdays = prop_oneof![field(0..=6), select(vec!["5L", "1#2", "0#5", "5#5", "1-5"]).prop_map(str::to_owned)];
        let months = prop_oneof![3 => Just("*".to_owned()), 1 => field(1..=12)];
        (field(0..=59), field(0..=59), field(0..=23), days, months, weekdays)
            .prop_map(|(s, m, h, day, month, weekday)| format!("{s} {m} {h} {day} {month} {weekday}"))
    }

    proptest! {
        #[test]
        fn it_finds_what_croner_finds(text in expression(), both in any::<bool>(), local in -1_000_000_000i64..10_000_000_000) {
            let parser = CronParser::builder().seconds(Seconds::Required).year(Year::Disallowed).dom_and_dow(both).build();
            let (cron, at) = (parser.parse(&text).unwrap(), civil(local).unwrap());
            let named = Named::new(cron.clone());
            let (next, previous) = (named.next(at), named.previous(at));
            // croner takes seconds where it finds nothing for thousands of years.
            let is_rare = next.is_none_or(|next| local_second(next).unwrap() - local > 40 * 366 * 86_400);
            prop_assume!(!is_rare);
            prop_assert_eq!(next, cron.find_next_occurrence(&at, true).ok());
            prop_assert_eq!(previous, cron.find_previous_occurrence(&at, true).ok());
            for at in [Some(at), next, previous].into_iter().flatten() {
                prop_assert_eq!(named.names(at), cron.is_time_matching(&at).unwrap());
            }
        }
    }
}
