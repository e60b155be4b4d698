//! The files under `deploy/`, and programs that may be missing on a developer's machine.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Where this is set, as in `.ci/run`, it is a failure that a program is not installed.
const REQUIRE: &str = "SNAPWARDEN_REQUIRE_DEPLOY_TOOLS";

pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

pub fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Every document of a text in YAML.
pub fn yaml(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// A rule of a file of rules.
pub struct Rule {
    /// Of an alert; empty for a recording rule.
    pub alert: String,
    /// Of a recording rule; empty for an alert.
    pub record: String,
    pub expr: String,
    pub labels: Value,
    pub annotations: Value,
}

pub fn rules(name: &str) -> Vec<Rule> {
    let file = yaml(&read(name)).remove(0);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rules = file["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap());
    let rules: Vec<_> = rules
        .map(|rule| Rule {
            alert: text(&rule["alert"]),
            record: text(&rule["record"]),
            expr: text(&rule["expr"]),
            labels: rule["labels"].clone(),
            annotations: rule["annotations"].clone(),
        })
        .collect();
    assert!(rules.iter().all(|rule| !rule.expr.is_empty()));
    rules
}

/// The panels of the dashboard, those within rows too.
pub fn panels() -> Vec<Value> {
    let dashboard: Value = serde_json::from_str(&read("deploy/grafana/snapwarden.json")).unwrap();
    let outer = dashboard["panels"].as_array().unwrap();
    outer.iter().flat_map(|panel| std::iter::once(panel).chain(panel["panels"].as_array().into_iter().flatten())).cloned().collect()
}

/// The title of a panel, the expression of one of its queries, and whether that asks for one moment only.
pub struct Query {
    pub title: String,
    pub expr: String,
    pub instant: bool,
}

pub fn queries() -> Vec<Query> {
    let mut found = Vec::new();
    for panel in panels() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let (title, expr) = (panel["title"].as_str().unwrap().to_owned(), target["expr"].as_str().unwrap().to_owned());
            found.push(Query { title, expr, instant: target["instant"] == true });
        }
    }
    assert!(found.len() > 30, "the dashboard was not found");
    found
}

/// A variable of the dashboard that Prometheus is asked for: its name, the series, and the label whose values it has.
pub struct Variable {
    pub name: String,
    pub series: String,
    pub label: String,
}

pub fn variables() -> Vec<Variable> {
    let dashboard: Value = serde_json::from_str(&read("deploy/grafana/snapwarden.json")).unwrap();
    let all = dashboard["templating"]["list"].as_array().unwrap().iter();
    let asked = all.filter(|variable| variable["type"] == "query").map(|variable| {
        let query = variable["query"]["query"].as_str().unwrap();
        let (series, label) = query.strip_prefix("label_values(").unwrap().strip_suffix(')').unwrap().rsplit_once(", ").unwrap();
        Variable { name: variable["name"].as_str().unwrap().to_owned(), series: series.to_owned(), label: label.to_owned() }
    });
    let found: Vec<_> = asked.collect();
    assert_eq!(found.iter().map(|variable| &*variable.name).collect::<Vec<_>>(), ["instance", "policy", "server"]);
    found
}

/// What a command prints; `None`: it is not installed, and need not be.
pub fn output_of(command: &mut Command) -> Option<String> {
    match command.output() {
        Ok(output) => {
            assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
            Some(String::from_utf8(output.stdout).unwrap())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            not_installed(&command.get_program().to_string_lossy());
            None
        }
        Err(error) => panic!("{command:?}: {error}"),
    }
}

/// Says that a program is missing; ends the test where it must not be.
pub fn not_installed(program: &str) {
    assert!(std::env::var_os(REQUIRE).is_none(), "{program} is not installed");
    println!("{program} is not installed: skipped");
}
