//! Rules, dashboard, documentation and program name the same things.

use std::collections::BTreeSet;

use snapwarden::domain::problem::{AccountReason, Reason};

use super::exposition::{ADDED, labels};
use super::files::{output_of, queries, read, rules, variables, yaml};
use super::promql::{grouping, selectors};

const ALERTS: &str = "deploy/prometheus/alerts.yaml";
const RECORDING: &str = "deploy/prometheus/recording.yaml";
const TESTS: [&str; 3] =
    ["deploy/prometheus/alerts_test.yaml", "deploy/prometheus/alerts_days_test.yaml", "deploy/prometheus/recording_test.yaml"];

/// Metrics that neither a rule nor the dashboard needs, and why. Those of the process are there for those who ask.
const UNUSED: [(&str, &str); 3] = [
    ("snapwarden_config_last_reload_success_timestamp_seconds", "whether it succeeded is what counts"),
    ("snapwarden_last_run_duration_seconds", "for those who ask"),
    ("snapwarden_last_run_successful", "what failed is told by the problems"),
];

/// Two scrapes a minute apart, which docs/monitoring.md calls the longest interval.
const RANGE_SECONDS_MIN: u64 = 120;

/// Metrics that tell of one server.
const OF_SERVERS: [&str; 5] = [
    "snapwarden_newest_restore_point_timestamp_seconds",
    "snapwarden_overdue_after_timestamp_seconds",
    "snapwarden_problem",
    "snapwarden_restore_points",
    "snapwarden_slots_used",
];

/// The expressions of rules and dashboard, each with where it stands.
fn expressions() -> Vec<(String, String)> {
    let of_rules = [ALERTS, RECORDING].into_iter().flat_map(rules).map(|rule| (format!("{}{}", rule.alert, rule.record), rule.expr));
    let of_dashboard = queries().into_iter().map(|query| (query.title, query.expr));
    of_rules.chain(of_dashboard).chain(variables().into_iter().map(|variable| (variable.name, variable.series))).collect()
}

#[tokio::test]
async fn every_metric_and_label_is_there_and_every_metric_is_used() {
    let known = labels().await;
    let all: BTreeSet<&str> = known.values().flatten().map(String::as_str).chain(ADDED).collect();
    let mut used = BTreeSet::new();
    for (place, expr) in expressions() {
        for selector in selectors(&expr) {
            let labels = known.get(&selector.name).unwrap_or_else(|| panic!("{place}: there is no {}", selector.name));
            for (label, _) in &selector.matchers {
                assert!(labels.contains(label) || ADDED.contains(&&**label), "{place}: {} has no label {label}", selector.name);
            }
            used.insert(selector.name);
        }
        for label in grouping(&expr) {
            assert!(all.contains(&*label), "{place}: no metric has the label {label}");
        }
    }
    for variable in variables() {
        let name = variable.series.split('{').next().unwrap();
        assert!(known[name].contains(&variable.label) || ADDED.contains(&&*variable.label), "{name} has no label {}", variable.label);
    }
    let family = |name: &str| ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name).to_owned();
    let used: BTreeSet<String> = used.iter().map(|name| family(name)).collect();
    let unused: Vec<_> =
        known.keys().map(|name| family(name)).filter(|name| !used.contains(name) && !name.starts_with("process_")).collect();
    assert!(unused.iter().all(|name| UNUSED.iter().any(|(known, _)| known == name)), "say in UNUSED why nobody needs {unused:?}");
}

#[test]
fn every_reason_has_an_alert_and_no_alert_names_another() {
    let named: BTreeSet<(bool, String)> = rules(ALERTS)
        .iter()
        .flat_map(|rule| selectors(&rule.expr))
        .filter(|selector| selector.name.ends_with("problem"))
        .flat_map(|selector| {
            let of_account = selector.name == "snapwarden_account_problem";
            let reasons = selector.matchers.into_iter().filter(|(label, _)| label == "reason").map(|(_, value)| value);
            reasons.flat_map(move |value| value.split('|').map(|reason| (of_account, reason.to_owned())).collect::<Vec<_>>())
        })
        .collect();
    let of_servers = Reason::ALL.iter().map(|reason| (false, reason.to_string()));
    let of_account = AccountReason::ALL.iter().map(|reason| (true, reason.to_string()));
    assert_eq!(named, of_servers.chain(of_account).collect());
}

#[test]
fn every_alert_is_explained_tested_and_names_its_server() {
    let docs = read("docs/alerts.md");
    let headings: BTreeSet<&str> = docs.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let tests: Vec<_> = TESTS.iter().flat_map(|file| yaml(&read(file)).remove(0)["tests"].as_array().unwrap().clone()).collect();
    let cases = |name: &str, fires: bool| {
        let all = tests.iter().flat_map(|test| test["alert_rule_test"].as_array().into_iter().flatten());
        all.filter(|case| case["alertname"] == name && (case["exp_alerts"] != serde_json::json!([])) == fires).count()
    };
    let mut names = BTreeSet::new();
    for rule in rules(ALERTS) {
        let text = |key: &str| rule.annotations[key].as_str().unwrap_or_else(|| panic!("{}: no {key}", rule.alert)).to_owned();
        assert_eq!(text("runbook_url"), format!("docs/alerts.md#{}", rule.alert.to_lowercase()));
        assert!(headings.contains(&*rule.alert), "docs/alerts.md does not explain {}", rule.alert);
        assert!(cases(&rule.alert, true) > 0 && cases(&rule.alert, false) > 0, "{} is not tested both ways", rule.alert);
        assert!(["critical", "warning", "info"].iter().any(|severity| rule.labels["severity"] == *severity), "{}", rule.alert);
        let of_server = selectors(&rule.expr).iter().any(|selector| OF_SERVERS.contains(&&*selector.name));
        assert!(!of_server || text("summary").contains("$labels.server "), "{}: the summary does not name the server", rule.alert);
        text("description");
        names.insert(rule.alert);
    }
    assert_eq!(headings, names.iter().map(String::as_str).collect());
}

#[test]
fn ranges_hold_two_scrapes() {
    let mut ranges = 0;
    for rule in [ALERTS, RECORDING].into_iter().flat_map(rules) {
        // `[6h]`; nothing else is in brackets in PromQL, but for classes in patterns.
        for range in rule.expr.split('[').skip(1).map(|tail| tail.split(']').next().unwrap()) {
            let (number, unit) = range.split_at(range.len() - 1);
            let seconds = match unit {
                "m" => 60,
                "h" => 3600,
                "d" => 86_400,
                _ => panic!("{}{}: [{range}]", rule.alert, rule.record),
            };
            assert!(number.parse::<u64>().unwrap() * seconds >= RANGE_SECONDS_MIN, "{}{}: [{range}]", rule.alert, rule.record);
            ranges += 1;
        }
    }
    assert!(ranges > 10, "the ranges were not found");
}

/// The line that docs/monitoring.md gives to make links of the runbooks.
#[test]
fn one_line_makes_links_of_the_runbooks() {
    let docs = read("docs/monitoring.md");
    let line = docs.lines().find(|line| line.starts_with("sed -i ") && line.contains("runbook_url")).unwrap();
    let program = line.split('\'').nth(1).unwrap();
    let changed = output_of(std::process::Command::new("sed").arg(program).arg(super::files::path(ALERTS))).unwrap();
    let links = |text: &str, start: &str| text.matches(&format!("runbook_url: {start}")).count();
    assert_eq!(links(&changed, "https://wiki.example.org/snapwarden/docs/alerts.md#"), rules(ALERTS).len());
    assert_eq!(links(&changed, "docs/"), 0);
}

#[test]
fn promtool_agrees() {
    let mut promtool = std::process::Command::new("promtool");
    let check = [&["check", "rules"][..], &[ALERTS, RECORDING]].concat();
    if output_of(promtool.current_dir(super::files::path("")).args(check)).is_none() {
        return;
    }
    let mut promtool = std::process::Command::new("promtool");
    let tested = output_of(promtool.current_dir(super::files::path("")).args(["test", "rules"]).args(TESTS)).unwrap();
    assert_eq!(tested.matches("SUCCESS").count(), TESTS.len(), "{tested}");
}
