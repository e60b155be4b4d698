//! One cron expression, evaluated on the wall clock alone; zones and daylight saving are the schedule's.

use std::fmt;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

use super::field::Field;
use super::search::Named;
use crate::domain::wall_clock;

/// Names that stand for an expression.
const NICKNAMES: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

/// 4600-01-01T00:00:00. A search goes up to the year 5000, so from here it sees one whole cycle of the calendar (400 years), and no more.
const LAST_CYCLE_LOCAL: i64 = 82_994_803_200;

/// A cron expression that fires now and then. Equal texts mean equal expressions.
pub struct Expression {
    text: Box<str>,
    named: Named,
    follows_wall_clock: bool,
}

impl Expression {
    /// Reads 5 fields, 6 with leading seconds, or one of the names `@hourly`, `@daily`, `@midnight`, `@weekly`, `@monthly`, `@yearly`, `@annually`.
    ///
    /// # Errors
    /// Says what is wrong with which field; [`ExpressionError::hint`] says what would be right.
    pub fn parse(text: &str) -> Result<Expression, ExpressionError> {
        let text = text.trim();
        let expanded = expand(text)?;
        let mut fields: Vec<String> = expanded.split_whitespace().map(str::to_uppercase).collect();
        match fields.len() {
            0 => return Err(ExpressionError::Empty),
            5 => fields.insert(0, "0".to_owned()),
            6 => {}
            found => return Err(ExpressionError::FieldCount { found }),
        }
        if let Some(field) = Field::ALL.into_iter().find(|field| !field.is_well_formed(&fields[*field as usize])) {
            return Err(ExpressionError::field(field, &fields));
        }
        let both_days = [Field::DayOfMonth, Field::DayOfWeek].iter().any(|field| fields[*field as usize].starts_with(['*', '?']));
        let cron = parse_cron(&fields.join(" "), both_days).ok_or_else(|| ExpressionError::of_croner(text, &fields))?;
        let follows_wall_clock = fields[..=Field::Hour as usize].iter().any(|field| field.contains('*'));
        let expression = Expression { text: text.into(), named: Named::new(cron), follows_wall_clock };
        expression.next_local(LAST_CYCLE_LOCAL).ok_or(ExpressionError::NeverFires)?;
        Ok(expression)
    }

    /// The expression as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether there is a `*` in the seconds, minute or hour field: skipped times do not occur then, and repeated ones occur twice.
    #[must_use]
    pub fn follows_wall_clock(&self) -> bool {
        self.follows_wall_clock
    }

    /// The first local second at or after `local` that it names; none beyond the year 5000.
    #[must_use]
    pub fn next_local(&self, local: i64) -> Option<i64> {
        wall_clock::local_second(self.named.next(wall_clock::civil(local)?)?)
    }

    /// The last local second at or before `local` that it names; none before the year 1.
    #[must_use]
    pub fn previous_local(&self, local: i64) -> Option<i64> {
        wall_clock::local_second(self.named.previous(wall_clock::civil(local)?)?)
    }

    /// Whether it names this local second.
    #[must_use]
    pub fn names(&self, local: i64) -> bool {
        wall_clock::civil(local).is_some_and(|civil| self.named.names(civil))
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.text).finish()
    }
}

/// Why a text is not a usable expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// Nothing is there.
    #[error("the expression is empty")]
    Empty,
    /// Neither 5 nor 6 fields.
    #[error("the expression has {found} field{}, not 5 or 6", if *found == 1 { "" } else { "s" })]
    FieldCount {
        /// How many there are.
        found: usize,
    },
    /// An `@` name that stands for nothing here.
    #[error("`{name}` is not a known name")]
    UnknownName {
        /// The name.
        name: String,
    },
    /// A field that cannot be read.
    #[error("`{written}` does not fit the {field} field")]
    Field {
        /// Which one.
        field: Field,
        /// What it says.
        written: String,
    },
    /// Each field can be read, but not all together.
    #[error("`{text}` cannot be read")]
    Whole {
        /// The expression.
        text: String,
    },
    /// It names only days that do not exist, such as 30 February.
    #[error("the expression never fires")]
    NeverFires,
}

impl ExpressionError {
    fn field(field: Field, fields: &[String]) -> ExpressionError {
        ExpressionError::Field { field, written: fields[field as usize].to_lowercase() }
    }

    /// croner does not tell which field it cannot read, so each is tried alone.
    fn of_croner(text: &str, fields: &[String]) -> ExpressionError {
        let is_wrong = |field: &Field| {
            let alone: Vec<&str> =
                Field::ALL.iter().map(|other| if other == field { fields[*field as usize].as_str() } else { "*" }).collect();
            parse_cron(&alone.join(" "), false).is_none()
        };
        match Field::ALL.into_iter().find(is_wrong) {
            Some(field) => ExpressionError::field(field, fields),
            None => ExpressionError::Whole { text: text.to_owned() },
        }
    }

    /// What would be right, as a sentence for people.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            ExpressionError::Empty | ExpressionError::Whole { .. } => {
                "write 5 fields (minute hour day-of-month month day-of-week), e.g. \"30 3 * * *\"".to_owned()
            }
            ExpressionError::FieldCount { found: 7 } => "a field for the year is not supported; leave it out".to_owned(),
            ExpressionError::FieldCount { .. } => {
                "5 fields are minute hour day-of-month month day-of-week; a sixth one, the seconds, goes in front".to_owned()
            }
            ExpressionError::UnknownName { .. } => {
                "known are @hourly, @daily, @midnight, @weekly, @monthly, @yearly and @annually".to_owned()
            }
            ExpressionError::Field { field, written } => field.hint(written),
            ExpressionError::NeverFires => "the days it names do not exist in any year; check day of month and month".to_owned(),
        }
    }
}

fn expand(text: &str) -> Result<&str, ExpressionError> {
    if !text.starts_with('@') {
        return Ok(text);
    }
    let found = NICKNAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    found.map(|(_, expression)| *expression).ok_or_else(|| ExpressionError::UnknownName { name: text.to_owned() })
}

fn parse_cron(six_fields: &str, both_days: bool) -> Option<Cron> {
    let parser = CronParser::builder().seconds(Seconds::Required).year(Year::Disallowed).dom_and_dow(both_days).build();
    parser.parse(six_fields).ok()
}

#[cfg(test)]
mod tests {
    use jiff::civil::DateTime;

    use super::*;

    fn local(text: &str) -> i64 {
        wall_clock::local_second(text.parse::<DateTime>().unwrap()).unwrap()
    }

    fn fires(expression: &str, from: &str, count: usize) -> Vec<String> {
        let expression = Expression::parse(expression).unwrap();
        let mut found = Vec::new();
        let mut from = local(from);
        while found.len() < count {
            let next = expression.next_local(from).unwrap();
            found.push(wall_clock::civil(next).unwrap().to_string());
            from = next + 1;
        }
        found
    }

    fn error(text: &str) -> (String, String) {
        let error = Expression::parse(text).unwrap_err();
        (error.to_string(), error.hint())
    }

    #[test]
    fn five_fields_six_fields_and_names() {
        assert_eq!(fires("30 3 * * *", "2026-03-01T00:00:00", 2), ["2026-03-01T03:30:00", "2026-03-02T03:30:00"]);
        assert_eq!(fires("15 30 3 * * *", "2026-03-01T00:00:00", 1), ["2026-03-01T03:30:15"]);
        assert_eq!(fires("@hourly", "2026-03-01T00:00:01", 1), ["2026-03-01T01:00:00"]);
        assert_eq!(fires("@Daily", "2026-03-01T00:00:01", 1), ["2026-03-02T00:00:00"]);
        assert_eq!(fires("@midnight", "2026-03-01T00:00:01", 1), ["2026-03-02T00:00:00"]);
        assert_eq!(fires("@weekly", "2026-03-02T00:00:00", 1), ["2026-03-08T00:00:00"]);
        assert_eq!(fires(" @monthly ", "2026-03-01T00:00:01", 1), ["2026-04-01T00:00:00"]);
        assert_eq!(fires("@yearly", "2026-03-01T00:00:01", 1), ["2027-01-01T00:00:00"]);
        assert_eq!(fires("@annually", "2026-03-01T00:00:01", 1), ["2027-01-01T00:00:00"]);
    }

    #[test]
    fn either_day_field_holds_unless_one_begins_with_a_star() {
        // 2026-03-01 is a Sunday.
        assert_eq!(fires("0 0 3 * mon", "2026-03-01T00:00:00", 3), ["2026-03-02T00:00:00", "2026-03-03T00:00:00", "2026-03-09T00:00:00"]);
        assert_eq!(fires("0 0 */2 * mon", "2026-03-01T00:00:00", 2), ["2026-03-09T00:00:00", "2026-03-23T00:00:00"]);
        assert_eq!(fires("0 0 3 * */2", "2026-03-01T00:00:00", 2), ["2026-03-03T00:00:00", "2026-05-03T00:00:00"]);
        assert_eq!(fires("0 0 ? * mon", "2026-03-01T00:00:00", 2), ["2026-03-02T00:00:00", "2026-03-09T00:00:00"]);
        assert_eq!(fires("0 0 29 2 ?", "2026-03-01T00:00:00", 1), ["2028-02-29T00:00:00"]);
    }

    #[test]
    fn sunday_is_0_and_7_and_names_have_no_case() {
        for sunday in ["0", "7", "sun", "Sun", "SUN", "7-7", "0,7"] {
            assert_eq!(
                fires(&format!("0 0 * * {sunday}"), "2026-03-02T00:00:00", 2),
                ["2026-03-08T00:00:00", "2026-03-15T00:00:00"],
                "{sunday}"
            );
        }
        assert_eq!(fires("0 0 * Jun sat-sun", "2026-03-02T00:00:00", 2), ["2026-06-06T00:00:00", "2026-06-07T00:00:00"]);
    }

    #[test]
    fn last_nearest_and_nth_days() {
        assert_eq!(fires("0 0 L * *", "2026-02-02T00:00:00", 2), ["2026-02-28T00:00:00", "2026-03-31T00:00:00"]);
        assert_eq!(fires("0 0 LW 2 *", "2026-02-02T00:00:00", 1), ["2026-02-27T00:00:00"]);
        assert_eq!(fires("0 0 15W * *", "2026-02-02T00:00:00", 1), ["2026-02-16T00:00:00"]);
        assert_eq!(fires("0 0 * * friL", "2026-02-02T00:00:00", 1), ["2026-02-27T00:00:00"]);
        assert_eq!(fires("0 0 * * 1#2", "2026-02-02T00:00:00", 1), ["2026-02-09T00:00:00"]);
    }

    #[test]
    fn a_star_in_a_time_field_follows_the_wall_clock() {
        for text in ["* 3 * * *", "0 * * * *", "*/5 3 * * *", "1,*/5 3 * * *", "* 0 3 * * *", "@hourly"] {
            assert!(Expression::parse(text).unwrap().follows_wall_clock(), "{text}");
        }
        for text in ["0 3 * * *", "0-59 0-23 * * *", "0 0 3 * * *", "0-59/5 3 */2 * */2", "@daily", "@weekly", "@monthly"] {
            assert!(!Expression::parse(text).unwrap().follows_wall_clock(), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_said_with_a_hint() {
        assert_eq!(error("").0, "the expression is empty");
        assert_eq!(error("0 3 * *").0, "the expression has 4 fields, not 5 or 6");
        assert_eq!(error("daily").0, "the expression has 1 field, not 5 or 6");
        assert_eq!(error("0 0 3 * * * 2027").1, "a field for the year is not supported; leave it out");
        assert_eq!(error("@reboot").0, "`@reboot` is not a known name");
        assert_eq!(error("@hourly *").0, "`@hourly *` is not a known name");
        assert_eq!(error("61 3 * * *").0, "`61` does not fit the minute field");
        assert_eq!(error("61 0 3 * * *").0, "`61` does not fit the second field");
        assert_eq!(error("0 24 * * *").0, "`24` does not fit the hour field");
        assert_eq!(error("0 3 0 * *").0, "`0` does not fit the day of month field");
        assert_eq!(error("5/15 * * * *").1, "a step needs a range before it: `*/15` or `5-59/15`");
        assert_eq!(error("/15 * * * *").1, "a step needs a range before it: `*/15` or `0-59/15`");
    }

    #[test]
    fn what_croner_would_misread_is_refused() {
        for (text, field) in [
            ("0 0 mon * *", Field::DayOfMonth),
            ("0 0 * * jan", Field::DayOfWeek),
            ("0 0 * 1jan *", Field::Month),
            ("0 0 * * 1mon", Field::DayOfWeek),
            ("0 0 1,,2 * *", Field::DayOfMonth),
            ("0 0 1 * ,", Field::DayOfWeek),
            ("0 0 1 * L", Field::DayOfWeek),
            ("0 0 1 * last", Field::DayOfWeek),
            ("0 0 15w5 * *", Field::DayOfMonth),
            ("0 0 1 * +mon", Field::DayOfWeek),
            ("0 0 1 * +*", Field::DayOfWeek),
            ("0 0 * * fri-mon", Field::DayOfWeek),
            ("0 0 * * monday", Field::DayOfWeek),
            ("0 ? * * *", Field::Hour),
            ("*/0 0 * * *", Field::Minute),
            ("0 0 * * 8", Field::DayOfWeek),
            ("٣ 0 * * *", Field::Minute),
        ] {
            let found = Expression::parse(text).unwrap_err();
            assert!(matches!(found, ExpressionError::Field { field: at, .. } if at == field), "{text}: {found:?}");
            assert!(!found.hint().is_empty());
        }
    }

    #[test]
    fn an_expression_that_never_fires_is_an_error_of_its_own() {
        for text in ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 */31 2 */2", "0 0 30,31 2 ?"] {
            let expected = if text.starts_with("0 0 */31") { None } else { Some(ExpressionError::NeverFires) };
            assert_eq!(Expression::parse(text).err(), expected, "{text}");
        }
        assert_eq!(fires("0 0 29 2 */7", "2026-01-01T00:00:00", 2), ["2032-02-29T00:00:00", "2060-02-29T00:00:00"]);
    }

    #[test]
    fn searching_before_the_first_or_after_the_last_year_ends() {
        let expression = Expression::parse("0 0 29 2 */7").unwrap();
        assert_eq!(expression.previous_local(local("0001-01-02T00:00:00")), None);
        assert_eq!(expression.next_local(local("5001-01-01T00:00:00")), None);
        assert_eq!(expression.next_local(i64::MAX), None);
    }

    #[test]
    fn the_last_cycle_begins_in_4600() {
        assert_eq!(LAST_CYCLE_LOCAL, local("4600-01-01T00:00:00"));
    }
}
