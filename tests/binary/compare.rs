//! `plan --compare`: what another configuration would change, and that asking changes nothing.

use std::fs;

use serde_json::{Value, json};
use snapwarden::domain::inventory::Kind;

use super::stage::{KEEP_FOUR, Outcome, Stage};

/// Compares with the present configuration in which this is written otherwise, in a file of its own.
async fn compare(stage: &Stage, changes: &[(&str, &str)], options: &[&str]) -> Outcome {
    let mut text = fs::read_to_string(stage.config()).unwrap();
    for (from, to) in changes {
        assert!(text.contains(from), "{from} in {text}");
        text = text.replace(from, to);
    }
    let next = stage.path("next.yaml");
    fs::write(&next, text).unwrap();
    let outcome = stage.command_ends(&[&["plan", "--compare", next.to_str().unwrap()][..], options].concat()).await;
    assert!(stage.emulator.ledger().writes(None).is_empty(), "something was changed");
    outcome
}

fn items(target: &Value) -> Vec<(u64, Value, Value)> {
    let item = |item: &Value| (item["id"].as_u64().unwrap(), item["before"]["verdict"].clone(), item["verdict"].clone());
    target["items"].as_array().unwrap().iter().map(item).collect()
}

#[tokio::test]
async fn what_a_lower_count_would_delete_is_told_and_nothing_else() {
    let (stage, ours) = Stage::holding(4).await;
    stage.configure_due(KEEP_FOUR);
    let told = compare(&stage, &[("last: 4", "last: 2")], &["--json"]).await.exits(0);
    assert!(told.json()["compared_with"].as_str().unwrap().ends_with("next.yaml"));
    let target = told.target();
    assert_eq!((&target["change"], &target["policy"], &target["server"]["id"]), (&json!("changed"), &json!("web"), &json!(1)));
    // The oldest goes under both, the newest stays under both.
    assert_eq!(items(&target), [(ours[1].0, json!("keep"), json!("delete")), (ours[2].0, json!("keep"), json!("delete"))]);
    let actions = target["actions"].as_array().unwrap();
    let deletes: Vec<&Value> = actions.iter().map(|action| &action["id"]).collect();
    assert_eq!(deletes, [&json!(ours[1].0)], "the fuse allows one more than what is paid for: {target:#}");
    assert_eq!((&target["pending"], &target["problems"]), (&json!([ours[2].0]), &json!(["fuse"])));
    assert_eq!((&target["before"]["actions"], &target["before"]["pending"]), (&json!([]), &json!([])));
    let shown = compare(&stage, &[("last: 4", "last: 2")], &[]).await.exits(0).stdout;
    for part in [format!("would delete {}: older than the 2 newest", ours[1]), "keep  → delete: older than the 2 newest".to_owned()] {
        assert!(shown.contains(&part), "{part} in {shown}");
    }
    assert!(!shown.contains(&format!("{} ", ours[3])), "{shown}");
}

#[tokio::test]
async fn it_says_so_where_nothing_would_change() {
    let (stage, _) = Stage::holding(4).await;
    stage.configure_due(KEEP_FOUR);
    // A slot that is due under the one and not under the other makes no other run.
    let changes = [("catch_up: 2h", "catch_up: 0s")];
    let told = compare(&stage, &changes, &["--json"]).await.exits(0).json();
    assert_eq!(told["targets"], json!([]));
    let shown = compare(&stage, &changes, &[]).await.exits(0).stdout;
    assert_eq!(shown, "nothing: a run now would do the same under both\n");
}

#[tokio::test]
async fn targets_come_and_go_and_change_their_policy() {
    let stage = Stage::new().await;
    stage.emulator.add_server(2, "db-01");
    let snapshot = stage.add_ours(Kind::Snapshot, 1);
    let backup = stage.add_ours(Kind::Backup, 1);
    let policies = format!("policies:\n  web:\n{}  other:\n{}", stage.due("snapshots", KEEP_FOUR), stage.due("backups", KEEP_FOUR));
    stage.configure(&format!("{policies}servers:\n  - {{id: 1, name: web-01, policy: web}}\n"));
    let from = "{id: 1, name: web-01, policy: web}";
    let told = compare(&stage, &[(from, "{id: 1, policy: other}\n  - {id: 2, policy: web}")], &["--json"]).await.exits(0).json();
    let targets = told["targets"].as_array().unwrap();
    let what: Vec<String> =
        targets.iter().map(|target| format!("{} {} {}", target["server"]["id"], target["kind"], target["change"])).collect();
    assert_eq!(what, ["1 \"snapshot\" \"removed\"", "1 \"backup\" \"added\"", "2 \"snapshot\" \"added\""]);
    assert_eq!(items(&targets[0]), [(snapshot.0, json!("keep"), json!("leave"))]);
    assert_eq!(items(&targets[1]), [(backup.0, Value::Null, json!("keep"))]);
    assert_eq!((&targets[0]["actions"], &targets[0]["before"]["actions"][0]["do"]), (&json!([]), &json!("create")));
    assert_eq!((&targets[1]["before"], &targets[1]["actions"][0]["do"]), (&Value::Null, &json!("create")));
    let renamed = [("  web:\n", "  www:\n"), ("policy: web", "policy: www")];
    let target = compare(&stage, &renamed, &["--json"]).await.exits(0).target();
    assert_eq!((&target["policy"], &target["before"]["policy"], &target["items"]), (&json!("www"), &json!("web"), &json!([])));
    // Either name of the policy finds it.
    for policy in ["web", "www"] {
        assert_eq!(compare(&stage, &renamed, &["--json", "--policy", policy]).await.exits(0).target()["change"], "changed");
    }
    compare(&stage, &renamed, &["--policy", "nobody"]).await.exits(2);
    let shown = compare(&stage, &[(from, "{id: 2, policy: web}")], &[]).await.exits(0).stdout;
    assert!(shown.contains("under no policy any more; what it has stays") && shown.contains("comes under a policy"), "{shown}");
}

#[tokio::test]
async fn both_are_checked_and_errors_name_the_file() {
    let stage = Stage::new().await;
    stage.configure_due(KEEP_FOUR);
    let wrong = compare(&stage, &[("last: 4", "last: 9")], &[]).await.exits(2);
    assert!(wrong.stdout.is_empty() && wrong.stderr.contains("next.yaml:"), "{wrong:?}");
    assert!(!wrong.stderr.contains("snapwarden.yaml:"), "{wrong:?}");
    let absent = stage.command_ends(&["plan", "--compare", "/nonexistent/next.yaml"]).await.exits(2);
    assert!(absent.stderr.contains("/nonexistent/next.yaml"), "{absent:?}");
    assert_eq!(stage.emulator.ledger().requests().count(), 0);
    stage.reconfigure("last: 4", "last: 9");
    let wrong = compare(&stage, &[("last: 9", "last: 4")], &[]).await.exits(2);
    assert!(wrong.stderr.contains("snapwarden.yaml:"), "{wrong:?}");
}
