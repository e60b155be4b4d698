//! `snapwarden retention`: what a policy's `keep` would keep of given times.

use std::io::{self, BufRead, Write};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::schedule::time_zone;
use crate::domain::inventory::ItemId;
use crate::domain::retention::{Candidate, Keep, Ruling, judge};

/// Try a retention rule on times from standard input
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Reads RFC 3339 times from standard input, one a line, and says which stay and why,
the newest first. There is no \"now\": only the times themselves count.

Example:
  printf '%s\\n' 2026-11-21T03:30:00Z 2026-11-20T03:30:00Z | snapwarden retention --keep last=1,weekly=2")]
pub struct RetentionArgs {
    /// How many stay of each period: last, hourly, daily, weekly, monthly, yearly
    #[arg(long, value_name = "RULE=N,…", value_parser = Keep::parse)]
    pub keep: Keep,
    /// The time zone whose hours, days, weeks, months and years are meant
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = time_zone)]
    pub timezone: TimeZone,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
}

/// Why `retention` could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum RetentionCommandError {
    /// A line is not a time.
    #[error("read line {number}, `{text}`, as a time")]
    Line {
        /// The line's number, from 1.
        number: usize,
        /// What it says.
        text: String,
        /// What is wrong with it.
        source: jiff::Error,
    },
    /// The input could not be read, or is not text.
    #[error("read the times")]
    Read(#[source] io::Error),
    /// The output could not be written.
    #[error("write the verdicts")]
    Write(#[source] io::Error),
}

impl RetentionCommandError {
    /// Whether the input is wrong (exit code 2).
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            RetentionCommandError::Line { .. } => true,
            RetentionCommandError::Read(error) => error.kind() == io::ErrorKind::InvalidData,
            RetentionCommandError::Write(_) => false,
        }
    }

    /// What would be right, if that is known.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        self.is_usage().then_some("write one RFC 3339 time a line, such as 2026-11-21T03:30:00Z")
    }
}

#[derive(Serialize)]
struct Entry<'a> {
    time: &'a str,
    verdict: &'static str,
    reasons: [String; 1],
}

/// A time as it was given, and what is made of it.
struct Given {
    text: String,
    candidate: Candidate,
}

/// Reads times, judges them and writes the verdicts, the newest first.
///
/// # Errors
/// See [`RetentionCommandError`].
pub fn retention(args: &RetentionArgs, input: &mut dyn BufRead, out: &mut dyn Write) -> Result<(), RetentionCommandError> {
    let mut given = read_times(input)?;
    given.sort_by_key(|given| std::cmp::Reverse((given.candidate.time, given.candidate.id)));
    let candidates: Vec<Candidate> = given.iter().map(|given| given.candidate).collect();
    let rulings = judge(&args.keep, &args.timezone.clone().into(), &candidates);
    let entries: Vec<Entry<'_>> = given.iter().zip(rulings.iter()).map(|(given, ruling)| entry(given, &ruling)).collect();
    write_entries(&entries, args.json, out).map_err(RetentionCommandError::Write)
}

fn read_times(input: &mut dyn BufRead) -> Result<Vec<Given>, RetentionCommandError> {
    let mut given = Vec::new();
    for (index, line) in input.lines().enumerate() {
        let line = line.map_err(RetentionCommandError::Read)?;
        let text = line.trim();
        if text.is_empty() {
            continue;
        }
        let number = index + 1;
        let time: Timestamp = text.parse().map_err(|source| RetentionCommandError::Line { number, text: text.to_owned(), source })?;
        given.push(Given { text: text.to_owned(), candidate: Candidate { id: ItemId(number as u64), time, slot: None } });
    }
    Ok(given)
}

fn entry<'a>(given: &'a Given, ruling: &Ruling) -> Entry<'a> {
    let verdict = if ruling.is_keep() { "keep" } else { "delete" };
    Entry { time: &given.text, verdict, reasons: [ruling.to_string()] }
}

fn write_entries(entries: &[Entry<'_>], json: bool, out: &mut dyn Write) -> io::Result<()> {
    if json {
        serde_json::to_writer_pretty(&mut *out, entries)?;
        return writeln!(out);
    }
    let width = entries.iter().map(|entry| entry.time.chars().count()).max().unwrap_or(0);
    for entry in entries {
        writeln!(out, "{:6}  {:width$}  {}", entry.verdict, entry.time, entry.reasons[0])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use clap::Parser;
    use serde::Deserialize;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: RetentionArgs,
    }

    fn parse(words: &[&str]) -> Result<RetentionArgs, clap::Error> {
        Line::try_parse_from([&["retention"], words].concat()).map(|line| line.args)
    }

    fn run(words: &[&str], input: &str) -> Result<String, RetentionCommandError> {
        let mut out = Vec::new();
        retention(&parse(words).unwrap(), &mut input.as_bytes(), &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[derive(Deserialize)]
    struct Golden {
        cases: Vec<GoldenCase>,
    }

    #[derive(Deserialize)]
    struct GoldenCase {
        case: String,
        rules: BTreeMap<String, u32>,
        keep_oldest: bool,
        items: Vec<String>,
        keep: Vec<String>,
    }

    #[test]
    fn borg_golden_cases() {
        let golden: Golden = serde_json::from_str(include_str!("../../tests/data/borg_retention.json")).unwrap();
        assert_eq!(golden.cases.len(), 9);
        for case in golden.cases {
            let rules: Vec<String> = case.rules.iter().map(|(rule, count)| format!("{rule}={count}")).collect();
            let out = run(&["--keep", &rules.join(","), "--json"], &case.items.join("\n")).unwrap();
            let entries: Vec<serde_json::Value> = serde_json::from_str(&out).unwrap();
            assert_eq!(entries.len(), case.items.len());
            let by_rule = |entry: &&serde_json::Value| case.keep_oldest || !entry["reasons"][0].as_str().unwrap().ends_with(" (oldest)");
            let kept: Vec<&str> = entries
                .iter()
                .filter(|entry| entry["verdict"] == "keep")
                .filter(by_rule)
                .map(|entry| entry["time"].as_str().unwrap())
                .collect();
            assert_eq!(kept, case.keep, "{}", case.case);
        }
    }

    #[test]
    fn json_is_the_newest_first_and_repeats_the_times_as_given() {
        let input = "2026-11-19T23:30:00+02:00\r\n\n  2026-11-21T03:30:00Z  \n2026-11-20T03:30:00z\n";
        let found: serde_json::Value = serde_json::from_str(&run(&["--keep", "last=1,weekly=2", "--json"], input).unwrap()).unwrap();
        assert_eq!(
            found,
            serde_json::json!([
                {"time": "2026-11-21T03:30:00Z", "verdict": "keep", "reasons": ["last 1"]},
                {"time": "2026-11-20T03:30:00z", "verdict": "delete", "reasons": ["older than the newest; a newer item stands for its week"]},
                {"time": "2026-11-19T23:30:00+02:00", "verdict": "keep", "reasons": ["weekly 1 (oldest)"]},
            ])
        );
    }

    #[test]
    fn text_is_a_table() {
        assert_eq!(
            run(&["--keep", "last=1"], "2026-11-20T03:30Z\n2026-11-21T03:30:00Z\n").unwrap(),
            "keep    2026-11-21T03:30:00Z  last 1\ndelete  2026-11-20T03:30Z     older than the newest\n"
        );
    }

    #[test]
    fn no_times_are_no_verdicts() {
        assert_eq!(run(&["--keep", "last=1"], "\n\n").unwrap(), "");
        assert_eq!(run(&["--keep", "last=1", "--json"], "").unwrap(), "[]\n");
    }

    #[test]
    fn a_bad_line_is_named() {
        let error = run(&["--keep", "last=1"], "2026-11-21T03:30:00Z\n\n2026-11-21T03:30:00\n").unwrap_err();
        assert_eq!(error.to_string(), "read line 3, `2026-11-21T03:30:00`, as a time");
        assert!(error.is_usage() && error.hint().is_some());
        let mut out = Vec::new();
        let args = parse(&["--keep", "last=1"]).unwrap();
        assert!(retention(&args, &mut &b"\xff\xfe"[..], &mut out).unwrap_err().is_usage());
    }

    #[test]
    fn bad_options_exit_with_2() {
        for words in [&[][..], &["--keep", "often=1"], &["--keep", ""], &["--keep", "last=1", "--timezone", "Mars/Olympus"]] {
            assert_eq!(parse(words).unwrap_err().exit_code(), 2, "{words:?}");
        }
        assert!(parse(&["--keep", "last=1,x=2"]).unwrap_err().to_string().contains("`x=2`"));
    }
}
