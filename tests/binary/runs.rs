//! `run`: one slot, one item.

use std::fs;
use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::json;
use snapwarden::clock::{Clock, SystemClock};
use snapwarden::domain::inventory::{Kind, ServerId};
use snapwarden::domain::problem::RunResult;
use snapwarden::journal::{
    HistoryFilter, Journal, JournalReader, Recall, Record, RunId, RunStart, SqliteJournal, StateLock, Subject, Trigger,
};

use super::stage::{KEEP_FOUR, Stage};

#[tokio::test]
async fn a_due_slot_is_served_once_also_when_the_journal_is_lost() {
    let stage = Stage::new().await;
    stage.configure_due(KEEP_FOUR);
    let first = stage.run_due().await.exits(0).target();
    let made = stage.emulator.ledger().creates()[0].clone();
    assert_eq!(first["result"], "success");
    assert_eq!(first["created"], json!([made.id.0]));
    assert_eq!(first["server"], json!({"id": 1, "name": "web-01"}));
    stage.run_due().await.exits(0);
    fs::remove_dir_all(stage.state()).unwrap();
    stage.run_due().await.exits(0);
    assert_eq!(stage.created(), 1);
    stage.token_is_nowhere();
}

#[tokio::test]
async fn a_run_lets_the_journal_forget_what_is_old() {
    let stage = Stage::new().await;
    stage.configure_due(KEEP_FOUR);
    fs::create_dir_all(stage.state()).unwrap();
    let mut journal = SqliteJournal::open(StateLock::acquire(&stage.state()).unwrap(), Arc::new(SystemClock::new())).unwrap();
    for (run, days) in [(1, 500), (2, 300)] {
        let at = SystemClock::new().now().wall - SignedDuration::from_hours(24 * days);
        let subject = Subject { server: ServerId(1), server_name: "web-01".into(), kind: Kind::Snapshot, policy: "web".into() };
        let start = RunStart { run: RunId(run), subject, trigger: Trigger::Schedule, by: None, slot: Some(at), at };
        let end = Record::RunEnded { run: RunId(run), result: RunResult::Success, problems: Vec::new(), error: None, at };
        journal.append(&[Record::RunStarted(start.into()), end]).unwrap();
    }
    journal.close().unwrap();
    drop(journal);
    stage.run_due().await.exits(0);
    let rows = JournalReader::open(&stage.state()).unwrap().history(&HistoryFilter::all(10)).unwrap();
    assert_eq!(rows.runs.iter().map(|row| row.start.run.0).collect::<Vec<_>>(), [3, 2]);
}

#[tokio::test]
async fn an_item_carries_the_mark_of_its_slot() {
    let stage = Stage::new().await;
    stage.configure_due(KEEP_FOUR);
    stage.run_due().await.exits(0);
    let made = stage.emulator.ledger().creates()[0].clone();
    assert_eq!(*made.name.unwrap(), format!("prod-web-{}", stage.slot().strftime("%Y%m%dT%H%M%SZ")));
    assert_eq!(*made.description, format!("snapwarden owner=prod policy=web slot={}", stage.slot()));
}

#[tokio::test]
async fn what_retention_no_longer_keeps_goes_after_the_completion_and_one_extra_a_run() {
    let (stage, ours) = Stage::holding(4).await;
    stage.configure_due("keep: {last: 2}");
    let target = stage.run_due().await.exits(0).target();
    assert_eq!(stage.deleted(), ours[..2]);
    assert_eq!(target["deleted"], json!([ours[0].0, ours[1].0]));
    let ledger = stage.emulator.ledger();
    let sent: Vec<_> = ledger.requests().filter(|request| request.is_write()).map(|request| request.method.as_str()).collect();
    assert_eq!(sent, ["POST", "DELETE", "DELETE"]);
}

#[tokio::test]
async fn deletes_that_are_switched_off_are_only_told() {
    let (stage, _) = Stage::holding(4).await;
    stage.configure_due("keep: {last: 1}");
    stage.reconfigure("policies:", "deletes: {enabled: false}\npolicies:");
    stage.run_due().await.exits(0);
    assert_eq!((stage.created(), stage.deleted().len()), (1, 0));
}

#[tokio::test]
async fn a_differing_name_stops_deletes_but_no_creates() {
    let (stage, _) = Stage::holding(4).await;
    stage.configure_due("keep: {last: 1}");
    stage.reconfigure("name: web-01", "name: db-01");
    let target = stage.run_due().await.target();
    assert_eq!((stage.created(), stage.deleted().len()), (1, 0));
    assert!(target["problems"].to_string().contains("name_mismatch"), "{target:#}");
}

#[tokio::test]
async fn both_kinds_take_turns() {
    let stage = Stage::new().await;
    let kinds = stage.due("snapshots", KEEP_FOUR) + &stage.due("backups", KEEP_FOUR);
    stage.configure(&format!("policies:\n  web:\n{kinds}servers:\n  - {{id: 1, name: web-01, policy: web}}\n"));
    stage.run_due().await.exits(0);
    let ledger = stage.emulator.ledger();
    assert_eq!(ledger.creates().len(), 2);
    assert_eq!(stage.most_in_progress(), 1);
    assert_eq!(ledger.creates().iter().filter(|item| item.kind == Kind::Backup).count(), 1);
}

#[tokio::test]
async fn a_plan_tells_each_item_and_changes_nothing() {
    let (stage, ours) = Stage::holding(3).await;
    let theirs = stage.add_theirs("by-hand", 1);
    stage.configure_due("keep: {last: 3}");
    let plan = stage.command_ends(&["plan", "--json"]).await.exits(0).target();
    assert_eq!((&plan["cap"], &plan["used"], &plan["others"]), (&json!(5), &json!(4), &json!(1)));
    let verdict = |id: u64| plan["items"].as_array().unwrap().iter().find(|item| item["id"] == id).unwrap().clone();
    assert_eq!((&verdict(theirs.0)["origin"], &verdict(theirs.0)["verdict"]), (&json!("other"), &json!("leave")));
    assert_eq!((&verdict(ours[2].0)["origin"], &verdict(ours[2].0)["verdict"]), (&json!("ours"), &json!("keep")));
    assert_eq!(plan["actions"][0]["do"], "create");
    let delete = &plan["actions"][1];
    assert_eq!((&delete["do"], &delete["id"], &delete["when"]), (&json!("delete"), &json!(ours[0].0), &json!("after_create")));
    assert!(stage.emulator.ledger().requests().all(|request| !request.is_write()));
}
