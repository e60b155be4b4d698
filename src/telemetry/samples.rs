//! Reports and facts for tests.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::fact::Target;
use crate::domain::inventory::{Kind, ServerId};
use crate::domain::policy::Limits;
use crate::domain::problem::{AccountReason, Problem, Reason};
use crate::domain::report::{AccountProblem, PolicyReport, Report, Seen, SeenItem, Standing, TargetReport};

/// A name that breaks what is not escaped.
pub const HOSTILE_NAME: &str = "db\"\\\n<script>alert(1)</script>";

/// A time.
pub fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A report without servers, before the first answer.
pub fn empty_report() -> Report {
    Report {
        at: time("2026-11-21T12:00:00Z"),
        targets: Vec::new(),
        policies: Vec::new(),
        account: Vec::new(),
        servers_configured: 0,
        limits: Limits { snapshots: 5, manual_backups: 10 },
        provider_up: false,
        clock_skew_seconds: None,
        observed: false,
        leader: None,
    }
}

/// A report of two servers, three targets, and two policies.
pub fn report() -> Report {
    let problem = |reason, detail: &str| Problem { reason, detail: detail.into() };
    let item = |at, standing| SeenItem::new(time(at), standing);
    let web = TargetReport {
        items: [
            item("2026-11-01T03:30:00Z", Standing::Adopted),
            item("2026-11-18T10:00:00Z", Standing::Other),
            item("2026-11-20T03:30:00Z", Standing::Ours),
            item("2026-11-21T03:31:00Z", Standing::Ours),
        ]
        .into(),
        seen: Some(Seen { used: 4, others: 1, restore_points: 3, newest_completed_at: Some(time("2026-11-21T03:31:00Z")) }),
        last_success_at: Some(time("2026-11-21T03:40:00.5Z")),
        next_run_at: Some(time("2026-11-22T03:30:00Z")),
        overdue_after: Some(time("2026-11-22T05:30:00Z")),
        problems: vec![problem(Reason::CapFull, "5 of 5 slots are used"), problem(Reason::Paused, "until tomorrow")],
        ..target(7, "web-01", Kind::Snapshot, "web")
    };
    let web_backup = TargetReport { running: true, ..target(7, "web-01", Kind::Backup, "web") };
    let db = TargetReport { seen: Some(Seen::default()), ..target(8, HOSTILE_NAME, Kind::Backup, "db") };
    let policy = |policy: &str, kind, next_run_at| PolicyReport {
        policy: policy.into(),
        kind,
        next_run_at,
        expected_interval: Duration::from_secs(86_400),
    };
    Report {
        targets: vec![web, web_backup, db],
        policies: vec![
            policy("web", Kind::Snapshot, Some(time("2026-11-22T03:00:00Z"))),
            policy("web", Kind::Backup, None),
            policy("db", Kind::Backup, None),
        ],
        account: vec![AccountProblem { reason: AccountReason::Throttled, detail: "asked to wait 5 s".into() }],
        servers_configured: 2,
        provider_up: true,
        clock_skew_seconds: Some(-1.5),
        observed: true,
        ..empty_report()
    }
}

/// A target of which nothing is known yet.
pub fn target(server: u64, name: &str, kind: Kind, policy: &str) -> TargetReport {
    TargetReport {
        server: ServerId(server),
        server_name: name.into(),
        kind,
        policy: policy.into(),
        seen: None,
        items: Arc::default(),
        last_success_at: None,
        last_run_at: None,
        next_run_at: None,
        overdue_after: None,
        running: false,
        problems: Vec::new(),
    }
}

/// What a fact is about.
pub fn fact_target(policy: &str) -> Target {
    Target { server: ServerId(7), server_name: "web-01".into(), kind: Kind::Snapshot, policy: Arc::from(policy) }
}
