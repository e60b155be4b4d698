//! The fields of a cron expression: what may stand in them, and what to say where something else does.

use std::fmt;

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];

const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// The fields of an expression, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// Seconds; 0 where the expression has 5 fields.
    Second,
    /// Minutes.
    Minute,
    /// Hours.
    Hour,
    /// Days of the month.
    DayOfMonth,
    /// Months.
    Month,
    /// Days of the week; 0 and 7 are Sunday.
    DayOfWeek,
}

impl Field {
    /// All of them.
    pub(super) const ALL: [Field; 6] = [Field::Second, Field::Minute, Field::Hour, Field::DayOfMonth, Field::Month, Field::DayOfWeek];

    fn as_str(self) -> &'static str {
        match self {
            Field::Second => "second",
            Field::Minute => "minute",
            Field::Hour => "hour",
            Field::DayOfMonth => "day of month",
            Field::Month => "month",
            Field::DayOfWeek => "day of week",
        }
    }

    fn highest(self) -> u32 {
        match self {
            Field::Second | Field::Minute => 59,
            Field::Hour => 23,
            Field::DayOfMonth => 31,
            Field::Month => 12,
            Field::DayOfWeek => 7,
        }
    }

    /// What may stand in it, given what does.
    pub(super) fn hint(self, written: &str) -> String {
        if self == Field::DayOfWeek && written.starts_with('+') {
            return "`+` is not supported: day of month and day of week hold either; the first Monday of a month is `mon#1`".to_owned();
        }
        if let Some((start, step)) = written.split_once('/')
            && !start.contains(['*', '-'])
        {
            let start = if start.is_empty() { "0" } else { start };
            return format!("a step needs a range before it: `*/{step}` or `{start}-{}/{step}`", self.highest());
        }
        match self {
            Field::Second | Field::Minute => "0 to 59, `*`, a list `0,30`, a range `10-20` or a step `*/15`",
            Field::Hour => "0 to 23, `*`, a list `3,15`, a range `8-17` or a step `*/6`",
            Field::DayOfMonth => "1 to 31, `*`, `L` (the last day), `15W` (the working day nearest to the 15th), lists and ranges of them",
            Field::Month => "1 to 12 or jan to dec, `*`, lists and ranges of them; a range runs upwards",
            Field::DayOfWeek => {
                "0 to 7 or sun to sat (0 and 7 are Sunday), `*`, `5L` (the last Friday), `1#2` (the second Monday), lists and ranges of \
                 them; a range runs upwards: `fri-sun,mon`"
            }
        }
        .to_owned()
    }

    /// Whether croner may be asked. It reads names in the wrong field, drops empty list entries and gives `L` alone no meaning as a day of the week; its
    /// `+` would change the rule for the two day fields.
    pub(super) fn is_well_formed(self, written: &str) -> bool {
        let mut runs = written.split(|c: char| !c.is_alphanumeric()).filter(|run| !run.is_empty());
        let has_hole = written.split(',').any(|part| part.is_empty() || (self == Field::DayOfWeek && part == "L"));
        !has_hole && !written.contains('+') && runs.all(|run| self.knows(run))
    }

    /// Whether a run of letters and digits (in upper case) has a meaning in this field.
    fn knows(self, run: &str) -> bool {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match self {
            _ if is_number(run) => true,
            Field::Second | Field::Minute | Field::Hour => false,
            Field::DayOfMonth => run == "L" || run == "LW" || run.strip_suffix('W').is_some_and(is_number),
            Field::Month => MONTHS.contains(&run),
            Field::DayOfWeek => {
                let day = run.strip_suffix('L').unwrap_or(run);
                day.is_empty() || is_number(day) || WEEKDAYS.contains(&day)
            }
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
