//! `snapwarden check`: whether the configuration is right, and with `--online` whether it fits what the provider has.

use crate::controller::{Request, Select, What};
use crate::domain::problem::Reason;
use crate::domain::report::Report;
use crate::telemetry::{Metrics, printable};

use super::Common;
use super::app::App;
use super::exit::{Exit, Failure};
use super::output;
use super::session::Session;

/// Options of `check`.
#[derive(Debug, clap::Args)]
pub(super) struct CheckArgs {
    /// Also ask the provider: the token, the account, the servers and the caps
    #[arg(long)]
    online: bool,
}

pub(super) async fn check(common: &Common, args: &CheckArgs) -> Result<Exit, Failure> {
    let app = App::load(common)?;
    app.warn();
    app.check_token()?;
    let wanted = &app.config.wanted;
    let files = app.config.sources.len();
    output::write(&format!(
        "the configuration is right: {} {}, {} policies by kind, {} server entries\n",
        files,
        if files == 1 { "file" } else { "files" },
        wanted.policies.len(),
        wanted.entries.len()
    ))?;
    if args.online { online(&app).await } else { Ok(Exit::Done) }
}

async fn online(app: &App) -> Result<Exit, Failure> {
    let metrics = Metrics::new().map_err(|error| Failure::new(Exit::Failed, format!("snapwarden: {error}")))?;
    let mut session = Session::looking(app, app.provider(&metrics)?)?;
    session.ask(Request { id: 0, select: Select::default(), what: What::Look }).await?;
    let report = session.controller().report(session.now());
    let mut findings: Vec<String> = session.controller().faults().to_vec();
    findings.extend(report.account.iter().map(|problem| format!("account: {}: {}", problem.reason, problem.detail)));
    findings.extend(target_findings(&report));
    session.close().await?;
    output::write(&format!(
        "the provider takes the token; {} servers have a policy{}\n",
        report.servers_configured,
        report.clock_skew_seconds.map_or_else(String::new, |skew| format!("; its clock is {skew:+.0} s from ours")),
    ))?;
    for finding in &findings {
        output::write(&format!("problem: {}\n", printable(finding)))?;
    }
    Ok(if findings.is_empty() { Exit::Done } else { Exit::Failed })
}

/// What does not fit: servers that are not there, or called otherwise, and more items than the configured caps allow for.
fn target_findings(report: &Report) -> Vec<String> {
    let mut findings = Vec::new();
    for target in &report.targets {
        let what = format!("{} ({}), {}", target.server_name, target.server, target.kind);
        let wrong = |reason: Reason| {
            matches!(
                reason,
                Reason::ServerMissing | Reason::NameMismatch | Reason::MatchConflict | Reason::ListingIncomplete | Reason::UnknownStatus
            )
        };
        findings
            .extend(target.problems.iter().filter(|problem| wrong(problem.reason)).map(|problem| format!("{what}: {}", problem.detail)));
        let cap = report.limits.of(target.kind);
        if let Some(used) = target.seen.map(|seen| seen.used).filter(|used| *used > cap) {
            findings.push(format!("{what}: {used} slots are used where `provider.limits` says that there are {cap}"));
        }
    }
    findings
}
