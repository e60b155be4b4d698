//! `snapwarden schedule`: the times at which an expression fires.

use std::io::{self, Write};
use std::sync::Arc;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use serde::Serialize;

use crate::domain::schedule::{Expression, ExpressionError, Fire, Schedule};

/// What a time on the command line looks like.
pub(super) const FROM_HINT: &str = "write e.g. 2026-03-29T00:00:00+01:00";

/// Show when a cron expression fires, and where daylight saving moves it
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:
  snapwarden schedule \"30 3 * * *\" --timezone Europe/Oslo
  snapwarden schedule \"0 2 * * sun\" --timezone Europe/Oslo --from 2026-03-28 --count 3 --json

An expression with a `*` in the seconds, minute or hour field follows the wall clock.
Any other runs right after a skipped time, and once where the clock shows a time twice.")]
pub struct ScheduleArgs {
    /// The expression, in quotes: 5 fields, 6 with leading seconds, or @hourly, @daily, @weekly, @monthly
    #[arg(value_name = "EXPR")]
    pub expression: String,
    /// The time zone whose wall clock is meant
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = time_zone, hide_possible_values = true)]
    pub timezone: TimeZone,
    /// Show the times strictly after this one (RFC 3339; without an offset it is in that time zone) [default: now]
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// How many times to show
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub count: u32,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
}

/// Why `schedule` could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleCommandError {
    /// The expression is of no use.
    #[error("read the expression")]
    Expression(#[source] ExpressionError),
    /// `--from` is not a time.
    #[error("read `{text}` as the time to start from")]
    From {
        /// What was given.
        text: String,
        /// What is wrong with it.
        source: jiff::Error,
    },
    /// The output could not be written.
    #[error("write the times")]
    Write(#[source] io::Error),
}

impl ScheduleCommandError {
    /// Whether the command line is wrong (exit code 2).
    #[must_use]
    pub fn is_usage(&self) -> bool {
        !matches!(self, ScheduleCommandError::Write(_))
    }

    /// What would be right, if that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            ScheduleCommandError::Expression(error) => Some(error.hint()),
            ScheduleCommandError::From { .. } => Some(FROM_HINT.to_owned()),
            ScheduleCommandError::Write(_) => None,
        }
    }
}

#[derive(Serialize)]
struct Entry {
    time: String,
    note: Option<&'static str>,
}

/// Writes the fire times strictly after `--from`, or `now`.
///
/// # Errors
/// See [`ScheduleCommandError`].
pub fn schedule(args: &ScheduleArgs, now: Timestamp, out: &mut dyn Write) -> Result<(), ScheduleCommandError> {
    let expression = Expression::parse(&args.expression).map_err(ScheduleCommandError::Expression)?;
    let schedule = Schedule::new(vec![Arc::new(expression)], args.timezone.clone());
    let from = match &args.from {
        Some(text) => starting_time(text, &args.timezone).map_err(|source| ScheduleCommandError::From { text: text.clone(), source })?,
        None => now,
    };
    let fires = std::iter::successors(schedule.next_after(from), |fire| schedule.next_after(fire.time));
    let entries = fires.take(args.count as usize).map(|fire| Entry { time: with_offset(fire.time, &args.timezone), note: note(fire) });
    write_entries(entries, args.json, out).map_err(ScheduleCommandError::Write)
}

/// Looks a time zone up by its IANA name, for the command line.
///
/// # Errors
/// Says that there is none of that name.
pub fn time_zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| "not a known time zone; names are like Europe/Oslo".to_owned())
}

/// A time on the command line; without an offset it is in that time zone.
pub(super) fn starting_time(text: &str, zone: &TimeZone) -> Result<Timestamp, jiff::Error> {
    text.parse::<Timestamp>().or_else(|error| match text.parse::<DateTime>() {
        Ok(civil) => zone.to_timestamp(civil),
        Err(_) => Err(error),
    })
}

fn with_offset(time: Timestamp, zone: &TimeZone) -> String {
    Zoned::new(time, zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

fn note(fire: Fire) -> Option<&'static str> {
    match fire {
        Fire { moved: true, .. } => Some("moved by daylight saving"),
        Fire { repeated: true, .. } => Some("repeated by daylight saving"),
        Fire { .. } => None,
    }
}

fn write_entries(entries: impl Iterator<Item = Entry>, json: bool, out: &mut dyn Write) -> io::Result<()> {
    if json {
        serde_json::to_writer_pretty(&mut *out, &entries.collect::<Vec<_>>())?;
        return writeln!(out);
    }
    for entry in entries {
        match entry.note {
            Some(note) => writeln!(out, "{}  {note}", entry.time)?,
            None => writeln!(out, "{}", entry.time)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde::Deserialize;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: ScheduleArgs,
    }

    fn parse(words: &[&str]) -> Result<ScheduleArgs, clap::Error> {
        Line::try_parse_from([&["schedule"], words].concat()).map(|line| line.args)
    }

    fn run(words: &[&str]) -> Result<String, ScheduleCommandError> {
        let now = "2026-11-21T11:30:00Z".parse().unwrap();
        let mut out = Vec::new();
        schedule(&parse(words).unwrap(), now, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[derive(Deserialize)]
    struct Golden {
        cases: Vec<GoldenCase>,
    }

    #[derive(Deserialize)]
    struct GoldenCase {
        name: String,
        tz: String,
        cron: String,
        start: String,
        next: Vec<String>,
        overruled: Option<Overruled>,
    }

    #[derive(Deserialize)]
    struct Overruled {
        next: Vec<String>,
    }

    #[test]
    fn debian_cron_golden_cases() {
        let golden: Golden = serde_json::from_str(include_str!("../../tests/data/debian_cron_dst.json")).unwrap();
        assert_eq!(golden.cases.len(), 36);
        assert_eq!(golden.cases.iter().filter(|case| case.overruled.is_some()).count(), 3);
        for case in golden.cases {
            let expected = case.overruled.map_or(case.next, |overruled| overruled.next);
            let count = expected.len().to_string();
            let out = run(&[&case.cron, "--timezone", &case.tz, "--from", &case.start, "--count", &count, "--json"]).unwrap();
            let found: Vec<serde_json::Value> = serde_json::from_str(&out).unwrap();
            let found: Vec<&str> = found.iter().map(|entry| entry["time"].as_str().unwrap()).collect();
            assert_eq!(found, expected, "{}", case.name);
        }
    }

    #[test]
    fn json_tells_where_daylight_saving_moves_a_time() {
        let out =
            run(&["30 2 * * *", "--timezone", "Europe/Oslo", "--from", "2026-03-28T12:00:00+01:00", "--count", "2", "--json"]).unwrap();
        let found: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(
            found,
            serde_json::json!([
                {"time": "2026-03-29T03:00:00+02:00", "note": "moved by daylight saving"},
                {"time": "2026-03-30T02:30:00+02:00", "note": null},
            ])
        );
    }

    #[test]
    fn text_has_a_line_for_each_time() {
        assert_eq!(
            run(&["0 * * * *", "--timezone", "Europe/Oslo", "--from", "2026-10-25T01:30:00", "--count", "3"]).unwrap(),
            "2026-10-25T02:00:00+02:00\n2026-10-25T02:00:00+01:00  repeated by daylight saving\n2026-10-25T03:00:00+01:00\n"
        );
    }

    #[test]
    fn the_defaults_are_ten_times_from_now_in_utc() {
        let out = run(&["@daily"]).unwrap();
        assert_eq!(out.lines().count(), 10);
        assert!(out.starts_with("2026-11-22T00:00:00+00:00\n"), "{out}");
    }

    #[test]
    fn the_start_itself_is_not_shown() {
        assert!(run(&["0 3 * * *", "--from", "2026-11-21T03:00:00Z"]).unwrap().starts_with("2026-11-22T"));
        assert!(run(&["0 3 * * *", "--from", "2026-11-21T02:59:59.999Z"]).unwrap().starts_with("2026-11-21T"));
    }

    #[test]
    fn bad_usage_is_told_with_a_hint() {
        let error = run(&["0 0 30 2 *"]).unwrap_err();
        assert!(error.is_usage());
        assert!(matches!(&error, ScheduleCommandError::Expression(ExpressionError::NeverFires)));
        let error = run(&["@daily", "--from", "yesterday"]).unwrap_err();
        assert!(error.is_usage() && error.hint().is_some());
        assert_eq!(error.to_string(), "read `yesterday` as the time to start from");
        for words in [&["@daily", "--timezone", "Europe/Olso"][..], &["@daily", "--count", "0"], &["@daily", "--count", "x"], &[]] {
            assert_eq!(parse(words).unwrap_err().exit_code(), 2, "{words:?}");
        }
    }

    #[test]
    fn a_failure_to_write_is_no_usage_error() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let args = parse(&["@daily"]).unwrap();
        assert!(!schedule(&args, Timestamp::UNIX_EPOCH, &mut Full).unwrap_err().is_usage());
    }
}
