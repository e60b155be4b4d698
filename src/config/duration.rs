//! Durations such as `90s`, `20m`, `6h`, `7d`. Months and years have no fixed length and are refused.

use std::time::Duration;

use super::diagnostics::quoted;

/// The longest duration that any key takes. Adding it to a time stays within the calendar.
pub(super) const LONGEST: Duration = Duration::from_secs(3660 * 24 * 3600);

/// Why a text is no duration.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub message: String,
    pub hint: Option<String>,
}

/// Reads a duration. A unit is required.
pub(super) fn parse(text: &str) -> Result<Duration, Problem> {
    let trimmed = text.trim();
    let problem = |why: &str, hint: String| Problem { message: format!("{} {why}", quoted(text)), hint: Some(hint) };
    if let Some(positive) = trimmed.strip_prefix('-') {
        let hint = if is_duration(positive.trim()) { format!("write `{}`", positive.trim()) } else { "leave out the minus".to_owned() };
        return Err(problem("is negative", hint));
    }
    if trimmed.ends_with(|c: char| c.is_ascii_digit()) {
        let hint = trimmed.parse().map_or_else(|_| "end it with a unit, as in `90s`, `20m`, `6h`, `7d`".to_owned(), unit_hint);
        return Err(problem("has no unit", hint));
    }
    if let Some(unit) = units(trimmed).find(|unit| is_calendar_unit(unit)) {
        return Err(if unit == "M" {
            let minutes = trimmed.replace('M', "m");
            let meant = if is_duration(&minutes) { &minutes } else { "20m" };
            problem("means months, which are refused", format!("write `{meant}` for minutes"))
        } else {
            problem("counts months or years, which are refused", "count in days, as in `30d` or `400d`".to_owned())
        });
    }
    humantime::parse_duration(trimmed).map_err(|error| {
        problem(&format!("is not a duration: {error}"), "durations read like `90s`, `20m`, `6h`, `7d`, `1h 30m`".to_owned())
    })
}

/// Whether a value may be repeated in another form: as a short duration it is no secret, of which that form would not be hidden.
fn is_duration(text: &str) -> bool {
    text.len() <= 16 && humantime::parse_duration(text).is_ok()
}

/// What to write instead of a bare number.
pub(super) fn unit_hint(number: i128) -> String {
    let number = number.unsigned_abs();
    format!("units are mandatory: `{number}s`, `{number}m`, `{number}h` or `{number}d`")
}

fn units(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty())
}

fn is_calendar_unit(unit: &str) -> bool {
    matches!(unit, "M" | "Y" | "y")
        || ["month", "months", "mon", "year", "years", "yr", "yrs"].iter().any(|word| unit.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        for (text, seconds) in [("90s", 90), ("20m", 1200), ("6h", 21_600), ("7d", 604_800), ("1h 30m", 5400), ("1h30m", 5400), ("0s", 0)] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse("200ms"), Ok(Duration::from_millis(200)));
    }

    #[test]
    fn traps_are_refused_and_explained() {
        for (text, message, hint) in [
            ("5M", "months", "`5m`"),
            ("1h5M", "months", "`1h5m`"),
            ("2months", "months or years", "days"),
            ("1y", "months or years", "days"),
            ("1Year", "months or years", "days"),
            ("90", "no unit", "`90s`"),
            ("1h 30", "no unit", "unit"),
            ("-5m", "negative", "`5m`"),
            ("soon", "not a duration", "90s"),
            ("", "not a duration", "90s"),
            ("99999999999999999999d", "not a duration", "90s"),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.message.contains(message), "{text}: {problem:?}");
            assert!(problem.hint.as_deref().unwrap_or_default().contains(hint), "{text}: {problem:?}");
        }
    }
}
