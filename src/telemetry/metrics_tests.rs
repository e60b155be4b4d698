//! Tests of the whole text of the metrics.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::*;
use crate::domain::fact::Fact;
use crate::domain::inventory::ItemId;
use crate::domain::problem::{AccountReason, OpResult, Reason, RunResult};
use crate::telemetry::{Telemetry, samples};

/// Where this is set, as in `.ci/run`, it is a failure that promtool is not installed.
const REQUIRE_PROMTOOL: &str = "SNAPWARDEN_REQUIRE_PROMTOOL";

/// Every name of contract §5 that is there without `leader` and without servers.
const NAMES: [&str; 32] = [
    "build_info",
    "config_last_reload_successful",
    "config_last_reload_success_timestamp_seconds",
    "loop_progress_timestamp_seconds",
    "servers_configured",
    "runs_total",
    "creates_total",
    "deletes_total",
    "missed_runs_total",
    "lost_total",
    "run_duration_seconds",
    "schedule_lateness_seconds",
    "last_success_timestamp_seconds",
    "newest_restore_point_timestamp_seconds",
    "overdue_after_timestamp_seconds",
    "restore_points",
    "slots_used",
    "slots_used_by_others",
    "problem",
    "problems",
    "account_problem",
    "slots_limit",
    "next_run_timestamp_seconds",
    "expected_interval_seconds",
    "provider_up",
    "provider_clock_skew_seconds",
    "provider_requests_total",
    "provider_request_duration_seconds",
    // and of the process:
    "process_cpu_seconds_total",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
];

fn started() -> Metrics {
    let metrics = Metrics::new().unwrap();
    metrics.configure(&[(Kind::Snapshot, "web".into()), (Kind::Backup, "db".into())]);
    metrics
}

fn families(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect()
}

fn run_ended(policy: &str, result: RunResult) -> Fact {
    let duration = Duration::from_secs(240);
    Fact::RunEnded {
        slot: None,
        problems: vec![],
        target: samples::fact_target(policy),
        run: 1,
        result,
        duration,
        created: vec![],
        deleted: vec![],
        error: None,
    }
}

#[test]
fn every_name_is_there_right_after_the_start_and_once() {
    let text = started().render(&samples::empty_report()).unwrap();
    let families = families(&text);
    for name in NAMES {
        let whole = if name.starts_with("process_") { name.to_owned() } else { format!("snapwarden_{name}") };
        assert_eq!(families.iter().filter(|family| **family == whole).count(), 1, "{whole}");
    }
    assert_eq!(families.iter().collect::<BTreeSet<_>>().len(), families.len());
}

#[test]
fn counters_begin_at_zero_for_every_configured_kind_policy_and_result() {
    let text = started().render(&samples::empty_report()).unwrap();
    for (kind, policy) in [("snapshot", "web"), ("backup", "db")] {
        for result in RunResult::ALL {
            let line = format!("\nsnapwarden_runs_total{{kind=\"{kind}\",policy=\"{policy}\",result=\"{result}\"}} 0\n");
            assert!(text.contains(&line), "{line}");
        }
        for result in OpResult::ALL {
            for name in ["creates", "deletes"] {
                let line = format!("\nsnapwarden_{name}_total{{kind=\"{kind}\",policy=\"{policy}\",result=\"{result}\"}} 0\n");
                assert!(text.contains(&line), "{line}");
            }
        }
        assert!(text.contains(&format!("\nsnapwarden_missed_runs_total{{kind=\"{kind}\",policy=\"{policy}\"}} 0\n")));
        assert!(text.contains(&format!("\nsnapwarden_lost_total{{kind=\"{kind}\"}} 0\n")));
        assert!(text.contains(&format!("\nsnapwarden_run_duration_seconds_count{{kind=\"{kind}\"}} 0\n")));
        for reason in Reason::ALL {
            assert!(text.contains(&format!("\nsnapwarden_problems{{kind=\"{kind}\",reason=\"{reason}\"}} 0\n")));
        }
    }
    for reason in AccountReason::ALL {
        assert!(text.contains(&format!("\nsnapwarden_account_problem{{reason=\"{reason}\"}} 0\n")));
    }
}

#[test]
fn a_reload_keeps_counters_and_removes_series() {
    let metrics = Arc::new(started());
    let telemetry = Telemetry::new(Arc::clone(&metrics));
    telemetry.tell(&run_ended("web", RunResult::Success));
    metrics.configure(&[(Kind::Snapshot, "web".into()), (Kind::Snapshot, "new".into())]);
    let text = metrics.render(&samples::empty_report()).unwrap();
    assert!(text.contains("snapwarden_runs_total{kind=\"snapshot\",policy=\"web\",result=\"success\"} 1\n"));
    assert!(text.contains("snapwarden_runs_total{kind=\"snapshot\",policy=\"new\",result=\"success\"} 0\n"));
    assert!(!text.contains("policy=\"db\""));
}

#[test]
fn a_fact_of_a_policy_that_left_counts_until_the_next_reload() {
    let metrics = Arc::new(started());
    Telemetry::new(Arc::clone(&metrics)).tell(&run_ended("gone", RunResult::Failure));
    let line = "snapwarden_runs_total{kind=\"snapshot\",policy=\"gone\",result=\"failure\"} 1\n";
    assert!(metrics.render(&samples::empty_report()).unwrap().contains(line));
    metrics.configure(&[]);
    assert!(!metrics.render(&samples::empty_report()).unwrap().contains("policy="));
}

#[test]
fn facts_are_counted_where_they_belong() {
    let metrics = Arc::new(started());
    let telemetry = Telemetry::new(Arc::clone(&metrics));
    let target = || samples::fact_target("web");
    let slot = samples::time("2026-11-21T03:30:00Z");
    for fact in [
        Fact::RunStarted { target: target(), run: 1, slot: Some(slot), lateness: Some(Duration::from_secs(2)) },
        Fact::RunStarted { target: target(), run: 2, slot: None, lateness: None },
        Fact::CreateDecided {
            target: target(),
            run: 1,
            op: 1,
            item: Some(ItemId(9)),
            name: String::new(),
            result: OpResult::Success,
            error: None,
        },
        Fact::DeleteDecided {
            target: target(),
            run: 1,
            op: 2,
            item: ItemId(8),
            name: String::new(),
            why: String::new(),
            result: OpResult::Unknown,
            error: Some("?".into()),
        },
        Fact::Missed { target: target(), count: 3, newest: slot },
        Fact::Lost { target: target(), item: ItemId(5), name: "x".into() },
        run_ended("web", RunResult::Skipped),
        run_ended("web", RunResult::Blocked),
    ] {
        telemetry.tell(&fact);
    }
    let text = metrics.render(&samples::empty_report()).unwrap();
    for line in [
        "schedule_lateness_seconds_count 1",
        "creates_total{kind=\"snapshot\",policy=\"web\",result=\"success\"} 1",
        "deletes_total{kind=\"snapshot\",policy=\"web\",result=\"unknown\"} 1",
        "missed_runs_total{kind=\"snapshot\",policy=\"web\"} 3",
        "lost_total{kind=\"snapshot\"} 1",
        "runs_total{kind=\"snapshot\",policy=\"web\",result=\"skipped\"} 1",
        "run_duration_seconds_count{kind=\"snapshot\"} 1",
    ] {
        assert!(text.contains(&format!("\nsnapwarden_{line}\n")), "{line}");
    }
}

#[test]
fn the_leader_gauge_is_there_only_where_one_is_chosen() {
    let metrics = started();
    let has = |line: &str| metrics.render(&samples::empty_report()).unwrap().contains(line);
    assert!(!has("snapwarden_leader"));
    metrics.daemon.leader(Some(false));
    assert!(has("\nsnapwarden_leader 0\n"));
    metrics.daemon.leader(Some(true));
    assert!(has("\nsnapwarden_leader 1\n"));
    metrics.daemon.leader(None);
    assert!(!has("snapwarden_leader"));
}

#[test]
fn a_refused_reload_keeps_the_time_of_the_last_good_one() {
    let metrics = started();
    metrics.daemon.config_loaded(samples::time("2026-11-21T03:30:00Z"));
    metrics.daemon.config_refused();
    let text = metrics.render(&samples::empty_report()).unwrap();
    assert!(text.contains("\nsnapwarden_config_last_reload_successful 0\n"));
    assert!(text.contains("\nsnapwarden_config_last_reload_success_timestamp_seconds 1795231800\n"));
}

#[test]
fn promtool_finds_nothing_to_complain_about() {
    let metrics = started();
    metrics.provider.observe("GET", "/snapshots/", "200", Duration::from_millis(80));
    metrics.daemon.leader(Some(true));
    promtool_agrees_with(&metrics.render(&samples::report()).unwrap());
}

/// Ends the test if `promtool check metrics` has something to say.
pub fn promtool_agrees_with(text: &str) {
    let spawned =
        Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut promtool = match spawned {
        Ok(promtool) => promtool,
        Err(error) if error.kind() == ErrorKind::NotFound && std::env::var_os(REQUIRE_PROMTOOL).is_none() => {
            println!("promtool is not installed: skipped");
            return;
        }
        Err(error) => panic!("run promtool (Debian's package `prometheus`): {error}"),
    };
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}
