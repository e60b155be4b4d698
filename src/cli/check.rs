//! `snapwarden check`: whether the configuration is right, and with `--online` whether it fits what the provider has.

use std::collections::BTreeSet;

use crate::controller::Select;
use crate::domain::capacity;
use crate::domain::gather::gather;
use crate::domain::policy::Selector;
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
    let policies: BTreeSet<&str> = gather(wanted.policies.iter().map(|policy| &*policy.policy));
    output::write(&format!(
        "the configuration is right: {}, {}, {}; text {}\n",
        output::count(app.config.sources.len(), "file", "files"),
        output::count(policies.len(), "policy", "policies"),
        output::count(wanted.entries.len(), "server entry", "server entries"),
        app.config.digest,
    ))?;
    if args.online { online(&app).await } else { Ok(Exit::Done) }
}

async fn online(app: &App) -> Result<Exit, Failure> {
    let metrics = Metrics::new().map_err(|error| Failure::new(Exit::Failed, format!("snapwarden: {error}")))?;
    let mut session = Session::looking(app, app.provider(&metrics)?)?;
    session.look(Select::default()).await?;
    let report = session.controller().report(session.now());
    let mut findings: Vec<String> = session.controller().faults().to_vec();
    findings.extend(report.account.iter().map(|problem| format!("account: {}: {}", problem.reason, problem.detail)));
    findings.extend(target_findings(&report));
    findings.extend(capacity(app, &session));
    session.close().await?;
    output::write(&format!(
        "the provider takes the token; policies are for {}{}\n",
        output::count(report.servers_configured, "server", "servers"),
        report.clock_skew_seconds.map_or_else(String::new, clock),
    ))?;
    for finding in &findings {
        output::write(&format!("problem: {}\n", printable(finding)))?;
    }
    Ok(if findings.is_empty() { Exit::Done } else { Exit::Failed })
}

/// Whether the servers that there are can be done in their time, where that is not told already: how many a `match` finds was not known without asking.
fn capacity(app: &App, session: &Session) -> Option<String> {
    let known = app.config.wanted.entries.iter().all(|entry| matches!(entry.selector, Selector::Id { .. }));
    let demands = capacity::demands(session.controller().assignments().map(|assignment| (assignment, 1)));
    let shortfall = capacity::shortfall(&demands, &app.config.means(), session.now().wall);
    shortfall.filter(|_| !known).map(|shortfall| shortfall.to_string())
}

/// How far the clocks are apart, as far as whole seconds tell.
fn clock(skew_seconds: f64) -> String {
    if skew_seconds.abs() < 2.0 {
        "; its clock agrees with ours".to_owned()
    } else {
        format!("; its clock is {skew_seconds:+.0} s from ours")
    }
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
