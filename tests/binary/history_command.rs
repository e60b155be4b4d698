//! `history`: what is told of what was done, against what happened at the provider.

use std::fs;

use serde_json::{Value, json};
use snapwarden::domain::inventory::Kind;
use snapwarden::emulator::{Fault, Ledger};

use super::stage::{KEEP_FOUR, Outcome, Stage};

/// The entries of a history, the oldest first.
fn entries(outcome: &Outcome) -> Vec<Value> {
    outcome.json()["entries"].as_array().unwrap().clone()
}

fn of(entries: &[Value], what: &str) -> Vec<Value> {
    entries.iter().filter(|entry| entry["do"] == what).cloned().collect()
}

async fn told(stage: &Stage, options: &[&str]) -> Vec<Value> {
    entries(&stage.command_ends(&[&["history", "--json"][..], options].concat()).await.exits(0))
}

#[tokio::test]
async fn it_tells_who_deleted_an_item_when_why_and_by_which_text() {
    let (stage, ours) = Stage::holding(4).await;
    stage.configure_due("keep: {last: 3}");
    let text = stage.command_ends(&["check"]).await.exits(0).stdout;
    stage.run_due().await.exits(0);
    assert_eq!(stage.deleted(), ours[..2]);
    let made = stage.emulator.ledger().creates()[0].clone();
    // Whatever is written into it later, what was done was done by the text of that time.
    stage.reconfigure("last: 3", "last: 2");
    let entries = told(&stage, &[]).await;
    assert_eq!(entries.iter().map(|entry| entry["do"].as_str().unwrap()).collect::<Vec<_>>(), ["run", "create", "delete", "delete"]);
    let (run, create, delete) = (&entries[0], &entries[1], &entries[2]);
    assert_eq!((&run["trigger"], &run["result"], &run["slot"]), (&json!("command"), &json!("success"), &json!(stage.slot().to_string())));
    assert_eq!(
        (&create["result"], &create["item"]["id"], &create["item"]["name"]),
        (&json!("completed"), &json!(made.id.0), &json!(made.name.as_deref()))
    );
    for (delete, id) in of(&entries, "delete").iter().zip(&ours) {
        assert_eq!((&delete["item"]["id"], &delete["result"], &delete["error"]), (&json!(id.0), &json!("gone"), &Value::Null));
        assert!(delete["op"].as_u64() > create["op"].as_u64(), "{delete:#}");
        assert_eq!((&delete["run"], &delete["trigger"], &delete["when"]), (&run["run"], &json!("command"), &json!("after_create")));
        assert_eq!((&delete["policy"], &delete["server"]), (&json!("web"), &json!({"id": 1, "name": "web-01"})));
        assert!(!delete["reason"].as_str().unwrap().is_empty() && delete["ended_at"].is_string(), "{delete:#}");
    }
    assert_eq!((&delete["config"], &delete["policy_text"]), (&create["config"], &create["policy_text"]));
    let config = delete["config"].as_str().unwrap();
    assert!(config.len() == 32 && text.contains(config), "{config} in {text}");
    let digest = delete["policy_text"].as_str().unwrap();
    let shown = stage.command_ends(&["history"]).await.exits(0).stdout;
    let line = shown.lines().find(|line| line.contains("delete") && line.contains(&ours[0].to_string())).unwrap();
    for part in
        ["web-01 (1)", "snapshot", "gone", delete["reason"].as_str().unwrap(), "command of ", ", policy web, policy text ", &digest[..8]]
    {
        assert!(line.contains(part), "{part} in {line}");
    }
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
}

#[tokio::test]
async fn of_one_item_it_tells_all_and_the_policy_as_it_was_then() {
    let (stage, ours) = Stage::holding(4).await;
    stage.configure_due("keep: {last: 3}\n      hooks: {before: {run: [/bin/true, --password, hunter2]}, after_on: accepted}");
    stage.run_due().await.exits(0);
    let (gone, stays) = (ours[0].to_string(), ours[3].to_string());
    stage.reconfigure("last: 3", "last: 2");
    let outcome = stage.command_ends(&["history", "--json", "--item", &gone]).await.exits(0);
    let (json, entries) = (outcome.json(), entries(&outcome));
    assert_eq!(entries.iter().map(|entry| entry["do"].as_str().unwrap()).collect::<Vec<_>>(), ["run", "delete"]);
    let delete = &entries[1];
    assert_eq!((&delete["item"]["id"], &delete["by"]), (&json!(ours[0].0), &entries[0]["by"]));
    assert!(delete["by"].is_string(), "{delete:#}");
    let text = json["policy_texts"][delete["policy_text"].as_str().unwrap()].as_str().unwrap();
    for part in ["policies:\n  web:\n    snapshots:\n", "keep: {last: 3}\n", "run: [\"/bin/true\", \"***\", \"***\"]", "min_keep: 1\n"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!outcome.stdout.contains("hunter2"), "{}", outcome.stdout);
    let shown = stage.command_ends(&["history", "--item", &gone]).await.exits(0).stdout;
    assert!(
        shown.contains(&format!("policy text {}", &delete["policy_text"].as_str().unwrap()[..8]))
            && shown.contains("      keep: {last: 3}\n"),
        "{shown}"
    );
    let nothing = stage.command_ends(&["history", "--item", &stays]).await.exits(0).stdout;
    assert!(nothing.starts_with("nothing was done since 1970-01-01"), "{nothing}");
}

#[tokio::test]
async fn a_refused_delete_is_told_with_what_the_provider_said() {
    let (stage, ours) = Stage::holding(4).await;
    stage.configure_due("keep: {last: 4}");
    stage.emulator.fault(Fault::on_delete(Kind::Snapshot).status(403));
    stage.run_due().await.exits(1);
    assert_eq!(stage.deleted(), []);
    let entries = told(&stage, &[]).await;
    let delete = &of(&entries, "delete")[0];
    assert_eq!((&delete["item"]["id"], &delete["result"]), (&json!(ours[0].0), &json!("refused")));
    assert_eq!(delete["error"], "the token may not do this");
    assert_eq!(of(&entries, "run")[0]["result"], "failure");
}

#[tokio::test]
async fn an_item_that_others_deleted_is_told_as_that() {
    let stage = Stage::new().await;
    // A list that is empty all of a sudden would be doubted for a while.
    stage.add_theirs("by-hand", 1);
    stage.configure_due(KEEP_FOUR);
    stage.run_due().await.exits(0);
    let made = stage.emulator.ledger().creates()[0].id;
    stage.reconfigure("poll_every: 50ms", "poll_every: 50ms\n  refresh_every: 50ms");
    let daemon = stage.serve().await;
    stage.emulator.delete_by_hand(Kind::Snapshot, made).unwrap();
    stage.until("the loss is told", || stage.metric("lost_total{kind=\"snapshot\"}") == Some(1.0)).await;
    daemon.terminate().await;
    let entries = told(&stage, &[]).await;
    assert!(of(&entries, "delete").is_empty());
    let create = &of(&entries, "create")[0];
    assert_eq!((&create["item"]["id"], &create["gone"]["by"]), (&json!(made.0), &json!("others")));
    let shown = stage.command_ends(&["history"]).await.exits(0).stdout;
    assert_eq!(shown.matches("not through snapwarden").count(), 1, "{shown}");
}

#[tokio::test]
async fn it_is_narrowed_by_server_policy_kind_and_time() {
    let stage = Stage::new().await;
    stage.emulator.add_server(2, "db-01");
    let kinds = stage.due("snapshots", KEEP_FOUR) + &stage.due("backups", KEEP_FOUR);
    let other = stage.due("snapshots", KEEP_FOUR);
    stage.configure(&format!(
        "policies:\n  web:\n{kinds}  other:\n{other}servers:\n  - {{id: 1, name: web-01, policy: web}}\n  - {{id: 2, name: db-01, policy: other}}\n"
    ));
    let before = stage.emulator.now();
    stage.run_due().await.exits(0);
    assert_eq!(stage.created(), 3);
    let count = async |options: &[&str]| of(&told(&stage, options).await, "create").len();
    assert_eq!(count(&[]).await, 3);
    assert_eq!(count(&["--server", "2"]).await, 1);
    assert_eq!(count(&["--server", "web-*"]).await, 2);
    assert_eq!(count(&["--server", "web-*", "--server", "2"]).await, 3);
    assert_eq!(count(&["--policy", "other"]).await, 1);
    assert_eq!(count(&["--kind", "backup"]).await, 1);
    assert_eq!(count(&["--kind", "backup", "--server", "2"]).await, 0);
    assert_eq!(count(&["--since", &before.to_string()]).await, 3);
    assert_eq!(count(&["--since", "2099-01-01T00:00:00Z"]).await, 0);
    for wrong in ["5M", "yesterday", "2026-11-21"] {
        stage.command_ends(&["history", "--since", wrong]).await.exits(2);
    }
}

#[tokio::test]
async fn it_is_read_beside_a_daemon() {
    let stage = Stage::new().await;
    stage.configure_due(KEEP_FOUR);
    let daemon = stage.serve().await;
    let ended = |ledger: &Ledger| !ledger.creates().is_empty();
    stage.ledger_until("an item is made", ended).await;
    let runs = "runs_total{kind=\"snapshot\",policy=\"web\",result=\"success\"}";
    stage.until("the run is over", || stage.metric(runs) == Some(1.0)).await;
    let requests = stage.emulator.ledger().requests().count();
    let entries = told(&stage, &[]).await;
    assert_eq!(of(&entries, "run")[0]["trigger"], "schedule");
    assert_eq!(of(&entries, "create")[0]["item"]["id"], json!(stage.emulator.ledger().creates()[0].id.0));
    assert_eq!(stage.emulator.ledger().requests().count(), requests);
    daemon.terminate().await;
}

#[tokio::test]
async fn without_a_journal_nothing_was_done_and_a_broken_one_is_an_error() {
    let stage = Stage::new().await;
    stage.configure_due(KEEP_FOUR);
    let outcome = stage.command_ends(&["history", "--json"]).await.exits(0);
    assert!(entries(&outcome).is_empty() && outcome.stderr.contains("journal.sqlite3"), "{outcome:#?}");
    assert!(!stage.state().exists());
    let outcome = stage.command_ends(&["history"]).await.exits(0);
    assert!(outcome.stdout.starts_with("nothing was done since "), "{outcome:#?}");
    fs::create_dir(stage.state()).unwrap();
    fs::write(stage.state().join("journal.sqlite3"), "this is no journal").unwrap();
    let outcome = stage.command_ends(&["history"]).await.exits(1);
    assert!(outcome.stdout.is_empty() && outcome.stderr.contains("damaged"), "{outcome:#?}");
}

#[tokio::test]
async fn hostile_names_are_escaped_and_stay_on_their_line() {
    let stage = Stage::new().await;
    let (name, written) = ("evil\u{1b}[31m\nforged <b>", "\"evil\\e[31m\\nforged <b>\"");
    stage.emulator.add_server(1, name);
    stage.configure_due(KEEP_FOUR);
    stage.reconfigure("name: web-01", &format!("name: {written}"));
    stage.run_due().await.exits(0);
    let shown = stage.command_ends(&["history"]).await.exits(0).stdout;
    assert!(!shown.contains('\u{1b}') && shown.contains("evil\\u{1b}[31m\\u{a}forged"), "{shown:?}");
    assert_eq!(shown.lines().count(), 3, "{shown}");
    assert_eq!(told(&stage, &[]).await[0]["server"]["name"], name);
}

#[tokio::test]
async fn colours_are_for_terminals_without_no_color() {
    let (stage, _) = Stage::holding(4).await;
    stage.configure_due(KEEP_FOUR);
    stage.emulator.fault(Fault::on_delete(Kind::Snapshot).status(403));
    stage.run_due().await.exits(1);
    // `script` gives the program a terminal and copies what is written to it.
    let on_terminal = async |variable: &str| {
        let line = format!("{variable} exec script -qec '\"'\"$0\"'\" --config \"'\"$2\"'\" history' /dev/null");
        stage.command_ends_through(&["sh", "-c", &line], &["history"]).await.exits(0).stdout
    };
    let colourful = on_terminal("").await;
    assert!(colourful.contains("\u{1b}[31m") && colourful.contains("\u{1b}[0m"), "{colourful:?}");
    let plain = on_terminal("NO_COLOR=1").await;
    assert!(plain.contains("refused") && !plain.contains('\u{1b}'), "{plain:?}");
}
