//! `snapwarden status`: each server's restore points, slots, last success, next run, and what is wrong.

use jiff::Timestamp;

use crate::controller::Select;
use crate::domain::report::{Report, TargetReport};
use crate::telemetry::{Metrics, printable, status_json};

use super::Common;
use super::app::App;
use super::exit::{Exit, Failure};
use super::output::{self, Table};
use super::session::Session;

/// Options of `status`.
#[derive(Debug, clap::Args)]
pub(super) struct StatusArgs {
    /// Write JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn status(common: &Common, args: &StatusArgs) -> Result<Exit, Failure> {
    let app = App::load(common)?;
    app.warn();
    let metrics = Metrics::new().map_err(|error| Failure::new(Exit::Failed, format!("snapwarden: {error}")))?;
    let mut session = Session::looking(&app, app.provider(&metrics)?)?;
    session.look(Select::default()).await?;
    let report = session.controller().report(session.now());
    if args.json {
        output::json(&status_json(&report))?;
    } else {
        output::write(&text(&report))?;
    }
    for fault in session.controller().faults() {
        eprintln!("warning: {fault}");
    }
    session.close().await?;
    Ok(Exit::Done)
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    for problem in &report.account {
        text.push_str(&format!("account: {}: {}\n", problem.reason, printable(&problem.detail)));
    }
    let mut table =
        Table::new(&["SERVER", "ID", "KIND", "POLICY", "SLOTS", "OTHERS", "POINTS", "NEWEST", "LAST SUCCESS", "NEXT RUN", "PROBLEMS"]);
    for target in &report.targets {
        table.row(&row(target, report));
    }
    text.push_str(&table.render());
    for target in report.targets.iter().filter(|target| !target.problems.is_empty()) {
        for problem in &target.problems {
            let name = printable(&target.server_name);
            text.push_str(&format!("{name} ({}), {}: {}: {}\n", target.server, target.kind, problem.reason, printable(&problem.detail)));
        }
    }
    text
}

fn row(target: &TargetReport, report: &Report) -> Vec<String> {
    let time = |time: Option<Timestamp>| time.map_or_else(|| "-".to_owned(), |time| time.strftime("%Y-%m-%d %H:%M:%SZ").to_string());
    let seen = target.seen;
    let count = |count: Option<u32>| count.map_or_else(|| "?".to_owned(), |count| count.to_string());
    let cap = report.limits.of(target.kind);
    let problems: Vec<&str> = target.problems.iter().map(|problem| problem.reason.as_str()).collect();
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
        time(target.next_run_at),
        output::list(&problems),
    ]
}
