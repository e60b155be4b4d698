//! Which metrics there are, with which labels: read from the real daemon, and from the lists of what it shows elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use super::promql::matchers;
use super::stage::Stage;

/// The labels of each metric, by its name.
pub type Labels = BTreeMap<String, BTreeSet<String>>;

/// What only a configured leader or a single `run --textfile` shows, and what Prometheus adds.
const ELSEWHERE: [(&str, &[&str]); 5] = [
    ("snapwarden_leader", &[]),
    ("snapwarden_last_run_timestamp_seconds", &[]),
    ("snapwarden_last_run_duration_seconds", &[]),
    ("snapwarden_last_run_successful", &[]),
    ("up", &[]),
];

/// The labels that scraping adds to everything.
pub const ADDED: [&str; 4] = ["job", "instance", "namespace", "pod"];

/// What a daemon shows that has a server with a problem, and what is there elsewhere.
pub async fn labels() -> Labels {
    let stage = Stage::new().await;
    let web = "policies:\n  web:\n    snapshots: {schedule: \"@hourly\", keep: {last: 2}}\n    backups: {schedule: \"@hourly\", keep: {last: 2}}\n";
    stage.configure(&format!("{web}servers:\n  - {{id: 1, name: another-name, policy: web}}\n"));
    // The provider tells a server's name beside its items.
    stage.add_theirs("by-hand", 1);
    let daemon = stage.serve().await;
    stage.until("the problem shows", || stage.get("/metrics").is_some_and(|text| text.contains("reason=\"name_mismatch\"} 1"))).await;
    let text = stage.get("/metrics").unwrap();
    daemon.terminate().await;
    let mut found = parse(&text);
    for (name, labels) in ELSEWHERE {
        found.entry(name.to_owned()).or_default().extend(labels.iter().map(|label| (*label).to_owned()));
    }
    found
}

fn parse(text: &str) -> Labels {
    let mut found = Labels::new();
    let body = text.split_once("\r\n\r\n").unwrap().1;
    for line in body.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let labels = matchers(line).into_iter().map(|(label, _)| label);
        found.entry(name.to_owned()).or_default().extend(labels);
    }
    assert!(found.contains_key("snapwarden_problem") && found.len() > 30, "{found:?}");
    found
}
