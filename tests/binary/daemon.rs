//! `serve`: schedules in seconds, metrics against the ledger, reloads, and its end.

use std::fs;

use rustix::process::Signal;
use serde_json::Value;
use snapwarden::domain::inventory::{Kind, ServerId};
use snapwarden::emulator::{Effect, Ledger, Progress, ServersAccess};

use super::stage::{KEEP_FOUR, Stage, WEB};

fn completed(ledger: &Ledger) -> usize {
    let completed = |effect: &Effect| matches!(effect, Effect::Ended { item } if item.progress == Progress::Completed);
    ledger.effects().filter(|record| completed(&record.effect)).count()
}

const EVERY_OTHER_SECOND: &str = "policies:\n  web:\n    snapshots: {schedule: \"*/2 * * * * *\", keep: {last: 2}}\n\
                                  servers:\n  - {id: 1, name: web-01, policy: web}\n";

#[tokio::test]
async fn schedules_in_seconds_rotate_on_three_servers_and_leave_what_others_made() {
    let stage = Stage::new().await;
    stage.emulator.set_servers_access(ServersAccess::Allowed);
    stage.emulator.add_server(2, "db-01");
    stage.emulator.add_server(3, "db-02");
    let theirs = stage.add_theirs("by-hand", 9);
    stage.configure(
        "policies:\n  web:\n    snapshots: {schedule: \"* * * * * *\", keep: {last: 2}}\n    backups: {schedule: \"*/2 * * * * *\", keep: {last: 2}}\n\
         servers:\n  - {id: 1, name: web-01, policy: web}\n  - {match: \"db-*\", policy: web, at_least: 2}\n",
    );
    let daemon = stage.serve().await;
    let rotated = |ledger: &Ledger, server| ledger.deletes().iter().filter(|item| item.server == ServerId(server)).count() >= 2;
    stage.ledger_until("each server has rotated", |ledger| (1..=3).all(|server| rotated(ledger, server))).await;
    daemon.terminate().await;
    stage.no_twins_and_no_refusals();
    assert!(stage.emulator.ledger().most_used(Kind::Snapshot, WEB) <= 5);
    assert!(stage.emulator.ledger().overlapping_writes().is_empty());
    assert!(stage.emulator.items(Kind::Snapshot).iter().any(|item| item.id == theirs));
    stage.token_is_nowhere();
}

#[tokio::test]
async fn counters_equal_the_ledger_and_gauges_come_back_after_a_restart() {
    let (stage, _) = Stage::holding(3).await;
    stage.configure_due("keep: {last: 2}");
    let daemon = stage.serve().await;
    let runs = "runs_total{kind=\"snapshot\",policy=\"web\",result=\"success\"}";
    stage.until("the run is counted", || stage.metric(runs) == Some(1.0)).await;
    assert_eq!(stage.metric("creates_total{kind=\"snapshot\",policy=\"web\",result=\"success\"}"), Some(1.0));
    assert_eq!(stage.metric("deletes_total{kind=\"snapshot\",policy=\"web\",result=\"success\"}"), Some(2.0));
    assert_eq!((stage.created(), stage.deleted().len()), (1, 2));
    let answer = stage.get("/api/v1/status").unwrap();
    let status: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1.trim()).unwrap();
    assert_eq!(status["servers"][0]["snapshots"]["used"], 2, "{status:#}");
    daemon.terminate().await;
    let daemon = stage.serve().await;
    let labels = "{server=\"web-01\",server_id=\"1\",kind=\"snapshot\",policy=\"web\"}";
    stage.until("gauges are back", || stage.metric(&format!("restore_points{labels}")) == Some(2.0)).await;
    assert!(stage.metric(&format!("last_success_timestamp_seconds{labels}")).unwrap() > 0.0);
    daemon.terminate().await;
    assert_eq!(stage.created(), 1);
}

#[tokio::test]
async fn while_it_holds_the_state_a_second_one_says_so_and_those_who_look_are_welcome() {
    let stage = Stage::new().await;
    stage.configure_due("keep: {last: 4}\n      catch_up: 0s");
    stage.reconfigure("      catch_up: 2h\n", "");
    let daemon = stage.serve().await;
    let second = stage.command_ends(&["serve"]).await.exits(1);
    assert!(second.stderr.contains("lock the state folder"), "{second:#?}");
    for command in [&["plan", "--json"][..], &["status", "--json"], &["check"]] {
        stage.command_ends(command).await.exits(0);
    }
    daemon.terminate().await;
    assert_eq!(stage.created(), 0);
    stage.command_ends(&["run", "--all"]).await.exits(0);
}

#[tokio::test]
async fn a_bad_reload_changes_nothing_and_a_good_one_is_followed() {
    let stage = Stage::new().await;
    stage.emulator.add_server(2, "db-01");
    stage.configure(EVERY_OTHER_SECOND);
    let daemon = stage.serve().await;
    stage.ledger_until("the first is made", |ledger| completed(ledger) > 0).await;
    stage.reconfigure("last: 2", "last: 20");
    daemon.signal(Signal::HUP);
    stage.until("the reload has failed", || stage.metric("config_last_reload_successful") == Some(0.0)).await;
    let before = completed(&stage.emulator.ledger());
    stage.ledger_until("it goes on", |ledger| completed(ledger) > before + 1).await;
    stage.reconfigure("last: 20", "last: 2");
    stage.reconfigure("{id: 1, name: web-01", "{id: 2, name: db-01");
    let more = stage.config().with_file_name("conf.d");
    fs::create_dir(&more).unwrap();
    fs::write(more.join("more.yaml"), "policies: {more: {backups: {schedule: \"@daily\", keep: {last: 1}}}}").unwrap();
    daemon.signal(Signal::HUP);
    stage.until("the reload is done", || stage.metric("config_last_reload_successful") == Some(1.0)).await;
    stage.ledger_until("the other server is served", |ledger| ledger.creates().iter().any(|item| item.server == ServerId(2))).await;
    let gone = "restore_points{server=\"web-01\",server_id=\"1\",kind=\"snapshot\",policy=\"web\"}";
    // Scrapes within a second share one rendering.
    stage.until("its series is gone", || stage.metric(gone).is_none()).await;
    let log = daemon.log();
    let in_effect = log.lines().rfind(|line| line.contains("the configuration is in effect")).unwrap();
    assert!(in_effect.contains("more.yaml"), "{in_effect}");
    daemon.terminate().await;
}

#[tokio::test]
async fn a_reload_deletes_nothing_by_itself() {
    let (stage, _) = Stage::holding(4).await;
    stage.configure_due(KEEP_FOUR);
    stage.reconfigure("catch_up: 2h", "catch_up: 0s");
    stage.reconfigure("poll_every: 50ms", "poll_every: 50ms\n  refresh_every: 50ms");
    let daemon = stage.serve().await;
    let reloaded = || stage.metric("config_last_reload_success_timestamp_seconds");
    let before = reloaded();
    stage.reconfigure("last: 4", "last: 1");
    daemon.signal(Signal::HUP);
    stage.until("the reload is done", || reloaded() > before).await;
    let lists = stage.emulator.ledger().requests().count();
    stage.ledger_until("it has looked several times", |ledger| ledger.requests().count() > lists + 5).await;
    daemon.terminate().await;
    assert!(stage.emulator.ledger().writes(None).is_empty());
}

#[tokio::test]
async fn each_line_of_its_log_is_json() {
    let stage = Stage::new().await;
    stage.configure_due(KEEP_FOUR);
    let daemon = stage.serve().await;
    stage.ledger_until("one is made", |ledger| completed(ledger) == 1).await;
    let log = daemon.log();
    let whole = &log[..=log.rfind('\n').unwrap()];
    assert!(whole.lines().all(|line| serde_json::from_str::<Value>(line).is_ok_and(|line| line.is_object())), "{whole}");
    daemon.terminate().await;
}
