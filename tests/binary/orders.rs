//! Pauses and holds, as people order them: what comes of them at the provider.

use snapwarden::domain::inventory::Kind;
use snapwarden::emulator::{Fault, Method};

use super::stage::{KEEP_FOUR, Stage};

/// The words of the newest entries of the history, the newest last.
async fn history(stage: &Stage) -> Vec<serde_json::Value> {
    let history = stage.command_ends(&["history", "--json"]).await.exits(0).json();
    history["entries"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_pause_stops_runs_shows_everywhere_and_is_ended() {
    let stage = Stage::new().await;
    stage.configure_due(KEEP_FOUR);
    let pause = ["pause", "--server", "web-*", "--for", "4h", "--reason", "storage is moved"];
    assert!(stage.command_ends(&pause).await.exits(0).stdout.starts_with("paused until "));
    assert_eq!(stage.run_due().await.exits(0).target()["result"], "skipped");
    let status = stage.command_ends(&["status"]).await.exits(0).stdout;
    assert!(status.contains("storage is moved"), "{status}");
    let daemon = stage.serve().await;
    let series = "problem{server=\"web-01\",server_id=\"1\",kind=\"snapshot\",policy=\"web\",reason=\"paused\"}";
    stage.until("the metric tells", || stage.metric(series) == Some(1.0)).await;
    assert!(stage.get("/").unwrap().contains("storage is moved"));
    assert!(stage.get("/api/v1/status").unwrap().contains("storage is moved"));
    daemon.terminate().await;
    assert_eq!(stage.created(), 0);
    let told = stage.command_ends(&["history"]).await.exits(0).stdout;
    assert!(told.contains("pause") && told.contains("web-*") && told.contains("storage is moved; by "), "{told}");

    stage.command_ends(&["resume", "--server", "1"]).await.exits(0);
    assert_eq!(stage.run_due().await.exits(0).target()["result"], "success");
    assert_eq!(stage.created(), 1);
    let words: Vec<_> = history(&stage).await.iter().map(|entry| entry["do"].as_str().unwrap().to_owned()).collect();
    assert_eq!(words, ["pause", "resume", "run", "create"]);
    stage.token_is_nowhere();
}

#[tokio::test]
async fn a_held_item_does_not_go_until_it_is_released() {
    let (stage, ours) = Stage::holding(5).await;
    stage.configure_due("keep: {last: 5}\n      leave_free: 0");
    let oldest = ours[0].to_string();
    let hold = ["hold", "snapshot", &oldest, "--for", "14d", "--reason", "before the upgrade"];
    assert!(stage.command_ends(&hold).await.exits(0).stdout.starts_with("held until "));
    let plan = stage.command_ends(&["plan", "--json"]).await.exits(0).json();
    let items = plan["targets"][0]["items"].as_array().unwrap();
    let held = items.iter().find(|item| item["id"] == ours[0].0).unwrap();
    assert!(held["verdict"] == "leave" && held["reasons"][0].as_str().unwrap().starts_with("held until"), "{held}");
    stage.run_due().await.exits(0);
    assert_eq!(stage.deleted(), [ours[1]], "the next oldest goes in its place");

    stage.command_ends(&["release", "snapshot", &oldest]).await.exits(0);
    stage.command_ends(&["run", "--server", "web-01"]).await.exits(0);
    assert_eq!(stage.deleted(), [ours[1], ours[0]]);
    stage.command_ends(&["release", "snapshot", &oldest]).await.exits(1);
    let entries = history(&stage).await;
    let orders: Vec<_> = entries.iter().filter(|entry| entry["result"] == "ordered").collect();
    assert_eq!((&orders[0]["do"], &orders[0]["item"]["id"]), (&"hold".into(), &ours[0].0.into()), "{orders:#?}");
    assert_eq!((&orders[0]["reason"], &orders[1]["do"]), (&"before the upgrade".into(), &"release".into()));
}

#[tokio::test]
async fn a_slip_of_the_pen_is_no_order() {
    let stage = Stage::new().await;
    stage.configure_due(KEEP_FOUR);
    let wrong: [(&[&str], i32); 9] = [
        (&["pause", "--for", "4h", "--reason", "x"], 2),
        (&["pause", "--all", "--for", "4h"], 2),
        (&["pause", "--all", "--reason", "x"], 2),
        (&["pause", "--all", "--for", "5M", "--reason", "x"], 2),
        (&["pause", "--server", "db-01", "--for", "4h", "--reason", "x"], 2),
        (&["pause", "--policy", "db", "--for", "4h", "--reason", "x"], 2),
        (&["resume", "--all"], 1),
        (&["hold", "snapshot", "999", "--for", "14d"], 1),
        (&["release", "deletes", "1"], 1),
    ];
    for (arguments, code) in wrong {
        stage.command_ends(arguments).await.exits(code);
    }
    assert_eq!(history(&stage).await.len(), 0);
    stage.emulator.refuse_token(true);
    stage.command_ends(&["hold", "snapshot", "999", "--for", "14d"]).await.exits(3);
}

#[tokio::test]
async fn beside_a_daemon_it_is_the_daemon_that_keeps_to_them() {
    let (stage, ours) = Stage::holding(5).await;
    let web = "    snapshots: {schedule: \"@yearly\", keep: {last: 5}, leave_free: 0}\n";
    stage.configure(&format!("policies:\n  web:\n{web}servers:\n  - {{id: 1, name: web-01, policy: web}}\n"));
    let mut daemon = stage.serve().await;
    let oldest = ours[0].to_string();
    let held = stage.command_ends(&["hold", "snapshot", &oldest, "--for", "14d"]).await.exits(0);
    assert!(held.stdout.starts_with("held until "), "{held:#?}");
    stage.command_ends(&["run", "--server", "web-01"]).await.exits(0);
    assert_eq!(stage.deleted(), [ours[1]], "the next oldest goes in its place");

    stage.command_ends(&["pause", "--all", "--for", "4h", "--reason", "storage is moved"]).await.exits(0);
    assert!(stage.get("/").unwrap().contains("storage is moved"));
    let skipped = stage.command_ends(&["run", "--server", "web-01", "--json"]).await.exits(0).json();
    assert_eq!(skipped["targets"][0]["result"], "skipped");
    stage.command_ends(&["release", "snapshot", "999"]).await.exits(1);
    assert_eq!((stage.created(), stage.deleted().len()), (1, 1));
    daemon.kill();
    drop(daemon);

    let daemon = stage.serve().await;
    stage.command_ends(&["release", "snapshot", &oldest]).await.exits(0);
    stage.command_ends(&["resume", "--all"]).await.exits(0);
    stage.command_ends(&["run", "--server", "web-01"]).await.exits(0);
    assert_eq!(stage.deleted(), [ours[1], ours[0]]);
    daemon.terminate().await;
    let orders: Vec<_> = history(&stage).await.into_iter().filter(|entry| entry["result"] == "ordered").collect();
    let words: Vec<_> = orders.iter().map(|entry| entry["do"].as_str().unwrap()).collect();
    assert_eq!(words, ["hold", "pause", "release", "resume"]);
}

#[tokio::test]
async fn who_comes_too_late_for_a_delete_is_told_so() {
    let (stage, ours) = Stage::holding(5).await;
    stage.configure_due("keep: {last: 5}\n      leave_free: 0");
    stage.reconfigure("request_timeout: 500ms", "request_timeout: 60s");
    stage.emulator.fault(Fault::on_delete(Kind::Snapshot).hang());
    let mut daemon = stage.start(&["serve"]);
    stage.ledger_until("a delete is on its way", |ledger| !ledger.requests_by(&Method::DELETE, "/snapshots/{id}/").is_empty()).await;
    let ids: Vec<String> = ours.iter().map(ToString::to_string).collect();
    let late = format!("a delete of snapshot {} had been sent by then", ids[0]);
    let hold = ["hold", "snapshot", &ids[0], "--for", "14d"];
    let told = stage.command_ends(&hold).await.exits(1);
    assert!(told.stderr.contains(&late), "{told:#?}");
    stage.command_ends(&["hold", "snapshot", &ids[1], "--for", "14d"]).await.exits(0);
    let told = stage.command_ends(&["restore", "snapshot", &ids[0], "--yes"]).await.exits(1);
    assert!(told.stderr.contains(&late) && told.stderr.contains("nothing was restored"), "{told:#?}");
    assert!(told.stderr.contains("release deletes 1"), "{told:#?}");
    daemon.kill();
    let told = stage.command_ends(&hold).await.exits(1);
    assert!(told.stderr.contains(&late), "the delete may be carried out still: {told:#?}");
    assert_eq!(stage.emulator.ledger().requests_by(&Method::POST, "/snapshots/{id}/restore/").len(), 0);
}
