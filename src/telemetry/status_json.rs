//! The JSON of `status` and `/api/v1/status` (contract §4).

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::domain::inventory::Kind;
use crate::domain::policy::Limits;
use crate::domain::report::{Report, TargetReport};

/// The report in the shape of contract §4 `status`; serialize it with serde_json. Times are RFC 3339, UTC.
#[must_use]
pub fn status_json(report: &Report) -> StatusDocument<'_> {
    let of_one_server = |a: &TargetReport, b: &TargetReport| a.server == b.server;
    StatusDocument {
        at: Time(report.at),
        observed: report.observed,
        provider_up: report.provider_up,
        servers: report.targets.chunk_by(of_one_server).filter_map(|targets| server_document(targets, report.limits)).collect(),
        account: account_document(report),
        leader: report.leader.as_ref().map(|leader| LeaderDocument {
            identity: &leader.identity,
            leads: leader.leads,
            holder: leader.holder.as_deref(),
        }),
    }
}

/// The document of the server that all of `targets` are of.
fn server_document(targets: &[TargetReport], limits: Limits) -> Option<ServerDocument<'_>> {
    let of_kind = |kind| targets.iter().find(|target| target.kind == kind).map(|target| target_document(target, limits.of(kind)));
    targets.first().map(|first| ServerDocument {
        id: first.server.0,
        name: &first.server_name,
        snapshots: of_kind(Kind::Snapshot),
        backups: of_kind(Kind::Backup),
    })
}

fn target_document(target: &TargetReport, cap: u32) -> TargetDocument<'_> {
    TargetDocument {
        policy: &target.policy,
        used: target.seen.map(|seen| seen.used),
        others: target.seen.map(|seen| seen.others),
        cap,
        restore_points: target.seen.map(|seen| seen.restore_points),
        newest_completed_at: target.seen.and_then(|seen| seen.newest_completed_at).map(Time),
        last_success_at: target.last_success_at.map(Time),
        next_run_at: target.next_run_at.map(Time),
        overdue_after: target.overdue_after.map(Time),
        running: target.running,
        problems: target.problems.iter().map(|problem| problem.reason.as_str()).collect(),
        details: target.problems.iter().map(|problem| Detail { reason: problem.reason.as_str(), detail: &problem.detail }).collect(),
    }
}

fn account_document(report: &Report) -> AccountDocument<'_> {
    AccountDocument {
        problems: report.account.iter().map(|problem| problem.reason.as_str()).collect(),
        details: report.account.iter().map(|problem| Detail { reason: problem.reason.as_str(), detail: &problem.detail }).collect(),
    }
}

/// What `status --json` prints.
#[derive(Debug, Serialize)]
pub struct StatusDocument<'a> {
    at: Time,
    observed: bool,
    provider_up: bool,
    servers: Vec<ServerDocument<'a>>,
    account: AccountDocument<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    leader: Option<LeaderDocument<'a>>,
}

/// Which of several replicas acts; only where a leader is configured.
#[derive(Debug, Serialize)]
struct LeaderDocument<'a> {
    identity: &'a str,
    leads: bool,
    holder: Option<&'a str>,
}

/// A server; `null` stands where it has no policy for the kind.
#[derive(Debug, Serialize)]
struct ServerDocument<'a> {
    id: u64,
    name: &'a str,
    snapshots: Option<TargetDocument<'a>>,
    backups: Option<TargetDocument<'a>>,
}

#[derive(Debug, Serialize)]
struct TargetDocument<'a> {
    policy: &'a str,
    used: Option<u32>,
    others: Option<u32>,
    cap: u32,
    restore_points: Option<u32>,
    newest_completed_at: Option<Time>,
    last_success_at: Option<Time>,
    next_run_at: Option<Time>,
    overdue_after: Option<Time>,
    running: bool,
    problems: Vec<&'static str>,
    details: Vec<Detail<'a>>,
}

#[derive(Debug, Serialize)]
struct AccountDocument<'a> {
    problems: Vec<&'static str>,
    details: Vec<Detail<'a>>,
}

#[derive(Debug, Serialize)]
struct Detail<'a> {
    reason: &'static str,
    detail: &'a str,
}

/// A time as RFC 3339, UTC.
#[derive(Debug)]
struct Time(Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

#[cfg(test)]
#[path = "status_json_tests.rs"]
mod tests;
