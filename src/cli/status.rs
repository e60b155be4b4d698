//! `snapwarden status`: what is wrong first, then each server's restore points, slots, last success and next run.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::controller::Select;
use crate::domain::problem::Reason;
use crate::domain::report::{Report, TargetReport};
use crate::provider::HttpProvider;
use crate::telemetry::{Metrics, printable, status_json};

use super::Common;
use super::app::App;
use super::exit::{Exit, Failure, stdout_has_color};
use super::output::{self, Color, Table, ago, paint};
use super::screen::Screen;
use super::select::duration;
use super::session::Session;
use super::signals::{self, Signals};

/// Options of `status`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  snapwarden status
  snapwarden status --watch=10s
  snapwarden status --json | jq '.servers[] | select(.snapshots.problems != [])'")]
pub(super) struct StatusArgs {
    /// Write JSON
    #[arg(long)]
    json: bool,
    /// Look again and again, until Ctrl-C
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "5s", value_parser = duration)]
    watch: Option<Duration>,
}

pub(super) async fn status(common: &Common, args: &StatusArgs) -> Result<Exit, Failure> {
    let app = App::load(common)?;
    app.warn();
    let metrics = Metrics::new().map_err(|error| Failure::new(Exit::Failed, format!("snapwarden: {error}")))?;
    let provider = Arc::new(app.provider(&metrics)?);
    let signals = signals::catch()?;
    let Some(every) = args.watch else {
        let (seen, _) = look(&app, &provider, signals, args.json).await;
        output::write(&seen?)?;
        return Ok(Exit::Done);
    };
    watch(&app, &provider, signals, every, args.json).await
}

/// Shows the state again and again. Only a first look that fails ends it; later ones may succeed again.
async fn watch(app: &App, provider: &Arc<HttpProvider>, mut signals: Signals, every: Duration, json: bool) -> Result<Exit, Failure> {
    let mut screen: Option<Screen> = None;
    loop {
        let (seen, back) = look(app, provider, signals, json).await;
        signals = back;
        match (seen, &mut screen) {
            (Err(failure), _) if failure.exit == Exit::Interrupted => return Ok(Exit::Interrupted),
            (Err(failure), None) => return Err(failure),
            (Err(failure), Some(screen)) => screen.show(&failure.render(stdout_has_color()))?,
            (Ok(text), screen) => screen.get_or_insert_with(Screen::begin).show(&text)?,
        }
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            () = signals::ended(&mut signals) => return Ok(Exit::Interrupted),
        }
    }
}

/// One look, by a session of its own: what a daemon has done in the meantime stands in the journal.
async fn look(app: &App, provider: &Arc<HttpProvider>, signals: Signals, json: bool) -> (Result<String, Failure>, Signals) {
    let mut session = match Session::looking_with(app, Arc::clone(provider), signals) {
        Ok(session) => session,
        Err((failure, signals)) => return (Err(failure), signals),
    };
    let looked = session.look(Select::default()).await;
    let report = session.controller().report(session.now());
    for fault in session.controller().faults() {
        eprintln!("warning: {fault}");
    }
    let seen = match looked {
        Err(failure) => Err(failure),
        Ok(()) if json => output::json_text(&status_json(&report)),
        Ok(()) => Ok(text(&report, stdout_has_color())),
    };
    let (closed, signals) = session.close_and_keep_signals().await;
    (closed.and(seen), signals)
}

/// How much a target needs somebody to look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    /// Something does not work.
    Wrong,
    /// Something is not as usual, perhaps because somebody wants it so.
    Odd,
    Nothing,
}

impl Need {
    fn of(target: &TargetReport, now: Timestamp) -> Need {
        let of_problem = |reason: Reason| match reason {
            Reason::Paused | Reason::Restoring | Reason::Fuse | Reason::MarkLost | Reason::UnknownStatus => Need::Odd,
            _ => Need::Wrong,
        };
        let overdue = is_overdue(target, now).then_some(Need::Wrong);
        target.problems.iter().map(|problem| of_problem(problem.reason)).chain(overdue).min().unwrap_or(Need::Nothing)
    }

    fn color(self) -> Option<Color> {
        match self {
            Need::Wrong => Some(Color::Red),
            Need::Odd => Some(Color::Yellow),
            Need::Nothing => None,
        }
    }
}

/// A paused server is not expected to have anything new.
fn is_overdue(target: &TargetReport, now: Timestamp) -> bool {
    target.overdue_after.is_some_and(|after| after < now) && target.problems.iter().all(|problem| problem.reason != Reason::Paused)
}

fn text(report: &Report, color: bool) -> String {
    let mut targets: Vec<(Need, &TargetReport)> = report.targets.iter().map(|target| (Need::of(target, report.at), target)).collect();
    targets.sort_by_key(|(need, _)| *need);
    let mut text = String::new();
    for problem in &report.account {
        let line = format!("account: {}: {}", problem.reason, printable(&problem.detail));
        text.push_str(&(paint(&line, Color::Red, color) + "\n"));
    }
    for (need, target) in &targets {
        for line in problems(target, report.at) {
            text.push_str(&(need.color().map_or(line.clone(), |of| paint(&line, of, color)) + "\n"));
        }
    }
    if !text.is_empty() {
        text.push('\n');
    }
    let mut table =
        Table::new(&["SERVER", "ID", "KIND", "POLICY", "SLOTS", "OTHERS", "POINTS", "NEWEST", "LAST SUCCESS", "NEXT RUN", "PROBLEMS"]);
    for (need, target) in &targets {
        table.row_in(need.color(), &row(target, report));
    }
    text.push_str(&table.draw(color));
    text
}

/// What is wrong with a target, a line each.
fn problems(target: &TargetReport, now: Timestamp) -> Vec<String> {
    let of = format!("{} ({}), {}", printable(&target.server_name), target.server, target.kind);
    let overdue = target.overdue_after.filter(|_| is_overdue(target, now));
    let overdue = overdue.map(|after| format!("{of}: overdue: a success was due {}", ago(after, now)));
    let told = target.problems.iter().map(|problem| format!("{of}: {}: {}", problem.reason, printable(&problem.detail)));
    overdue.into_iter().chain(told).collect()
}

fn row(target: &TargetReport, report: &Report) -> Vec<String> {
    let time = |time: Option<Timestamp>| time.map_or_else(|| "-".to_owned(), |time| ago(time, report.at));
    let seen = target.seen;
    let count = |count: Option<u32>| count.map_or_else(|| "?".to_owned(), |count| count.to_string());
    let cap = report.limits.of(target.kind);
    let overdue = is_overdue(target, report.at).then_some("overdue");
    let problems: Vec<&str> = overdue.into_iter().chain(target.problems.iter().map(|problem| problem.reason.as_str())).collect();
    vec![
        target.server_name.to_string(),
        target.server.to_string(),
        target.kind.to_string(),
        target.policy.to_string(),
        format!("{}/{cap}", count(seen.map(|seen| seen.used))),
        count(seen.map(|seen| seen.others)),
        count(seen.map(|seen| seen.restore_points)),
        time(seen.and_then(|seen| seen.newest_completed_at)),
        time(target.last_success_at),
        if target.running { "running".to_owned() } else { time(target.next_run_at) },
        output::list(&problems),
    ]
}

#[cfg(test)]
mod tests {
    use crate::domain::inventory::Kind;
    use crate::telemetry::samples;

    use super::*;

    /// Three targets: one is well, one is paused, and one has a problem.
    fn report() -> Report {
        let mut report = samples::report();
        report.account.clear();
        report.targets[0].problems.truncate(1);
        report.targets[1].problems.push(crate::domain::problem::Problem { reason: Reason::Paused, detail: "paused until tomorrow".into() });
        report.targets[1].overdue_after = Some(samples::time("2026-11-21T09:00:00Z"));
        report.targets[2].server_name = "データ".into();
        report.targets.reverse();
        report
    }

    #[test]
    fn what_is_wrong_comes_first_in_words_and_in_the_table() {
        let expected = "\
web-01 (7), snapshot: cap_full: 5 of 5 slots are used
web-01 (7), backup: paused: paused until tomorrow

SERVER  ID  KIND      POLICY  SLOTS  OTHERS  POINTS  NEWEST   LAST SUCCESS  NEXT RUN  PROBLEMS
web-01  7   snapshot  web     4/5    1       3       8 h ago  8 h ago       in 15 h   cap_full
web-01  7   backup    web     ?/10   ?       ?       -        -             running   paused
データ  8   backup    db      0/10   0       0       -        -             -         -
";
        assert_eq!(text(&report(), false), expected);
    }

    #[test]
    fn colours_tell_what_is_wrong_from_what_is_odd() {
        let plain = text(&report(), false);
        let colors = ["31", "33", "", "1", "31", "33", ""];
        let line = |(line, color): (&str, &str)| match color {
            "" => format!("{line}\n"),
            color => format!("\u{1b}[{color}m{line}\u{1b}[0m\n"),
        };
        assert_eq!(text(&report(), true), plain.lines().zip(colors).map(line).collect::<String>());
    }

    #[test]
    fn an_account_without_problems_begins_with_the_table_and_one_with_them_does_not() {
        let mut report = report();
        report.targets.truncate(1);
        assert!(text(&report, false).starts_with("SERVER"));
        report.account = samples::report().account;
        assert!(text(&report, false).starts_with("account: throttled: asked to wait 5 s\n\nSERVER"));
    }

    #[test]
    fn a_success_that_is_overdue_is_told_although_no_problem_stands() {
        let mut report = report();
        report.targets.retain(|target| target.kind == Kind::Snapshot);
        report.targets[0].problems.clear();
        report.targets[0].overdue_after = Some(samples::time("2026-11-21T09:00:00Z"));
        let text = text(&report, false);
        assert!(text.starts_with("web-01 (7), snapshot: overdue: a success was due 3 h ago\n\n"), "{text}");
        assert!(text.trim_end().ends_with("in 15 h   overdue"), "{text}");
    }

    #[test]
    fn hostile_names_are_escaped() {
        let mut report = samples::report();
        report.targets[2].problems.push(crate::domain::problem::Problem { reason: Reason::Stuck, detail: "a\u{1b}[2Jb".into() });
        let text = text(&report, false);
        assert!(!text.contains('\u{1b}') && text.contains("a\\u{1b}[2Jb") && text.contains("\\u{a}<script>"), "{text}");
    }
}
