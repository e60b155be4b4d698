//! The provider's caps, and whose items make room.

use std::time::Duration;

use jiff::SignedDuration;
use snapwarden::domain::inventory::Kind;
use snapwarden::emulator::{Fault, Item, Progress};

use super::stage::{Stage, WEB};

/// Five snapshots of others, added in an order that is not that of time; the oldest is given back.
async fn five_of_others() -> (Stage, snapwarden::domain::inventory::ItemId) {
    let stage = Stage::new().await;
    let ids = [3, 1, 5, 2, 4].map(|days| stage.add_theirs(&format!("by-hand-{days}"), days));
    (stage, ids[2])
}

#[tokio::test]
async fn of_five_adopted_ones_the_oldest_by_time_goes_first() {
    let (stage, oldest) = five_of_others().await;
    stage.configure_due("keep: {last: 5}\n      leave_free: 0\n      adopt: [\"*\"]");
    stage.run_due().await.exits(0);
    assert_eq!(stage.deleted(), [oldest]);
    assert_eq!(stage.created(), 1);
    stage.no_twins_and_no_refusals();
}

#[tokio::test]
async fn without_adopting_them_the_run_is_blocked_and_says_by_what() {
    let (stage, _) = five_of_others().await;
    stage.configure_due("keep: {last: 4}");
    let target = stage.run_due().await.exits(1).target();
    assert_eq!(target["result"], "blocked");
    assert!(target["problems"].to_string().contains("cap_full"), "{target:#}");
    assert!(stage.emulator.ledger().writes(None).is_empty());
    let plan = stage.command_ends(&["plan", "--json"]).await.target();
    assert!(!plan["blocked"].is_null(), "{plan:#}");
}

#[tokio::test]
async fn protected_ones_stay_and_refuse_makes_no_room() {
    let (stage, _) = five_of_others().await;
    stage.configure_due("keep: {last: 4}\n      adopt: [\"*\"]\n      protect: [\"by-*\"]");
    stage.run_due().await.exits(1);
    stage.configure_due("keep: {last: 4}\n      adopt: [\"*\"]\n      at_cap: refuse");
    stage.run_due().await.exits(1);
    assert!(stage.emulator.ledger().writes(None).is_empty());
}

#[tokio::test]
async fn a_failed_item_of_ours_is_the_first_to_go() {
    let (stage, _) = Stage::holding(4).await;
    let at = stage.slot() - SignedDuration::from_hours(3);
    let mark = format!("snapwarden owner=prod policy=web slot={at}");
    let failed = stage.emulator.add_item(Item::completed(Kind::Snapshot, WEB, at).described(&mark).progressed(Progress::Failed));
    stage.configure_due("keep: {last: 4}");
    stage.run_due().await.exits(0);
    assert_eq!(stage.deleted()[0], failed);
    assert_eq!(stage.created(), 1);
}

#[tokio::test]
async fn automatic_backups_neither_count_nor_go() {
    let stage = Stage::new().await;
    let manual: Vec<_> = (1..=10).rev().map(|days| stage.add_ours(Kind::Backup, days)).collect();
    for days in [1, 20, 40] {
        let at = stage.emulator.now() - SignedDuration::from_hours(24 * days);
        stage.emulator.add_item(Item::automatic(WEB, at, Duration::from_secs(86_400 * 60)));
    }
    let lines = stage.due("backups", "keep: {last: 9}\n      adopt: [\"*\"]");
    stage.configure(&format!("policies:\n  web:\n{lines}servers:\n  - {{id: 1, name: web-01, policy: web}}\n"));
    stage.run_due().await.exits(0);
    assert_eq!(stage.created(), 1);
    assert_eq!(stage.deleted()[0], manual[0]);
    assert!(stage.deleted().iter().all(|id| manual[..2].contains(id)));
    assert_eq!(stage.emulator.items(Kind::Backup).iter().filter(|item| item.automatic).count(), 3);
    stage.no_twins_and_no_refusals();
}

/// A daemon at the cap whose creates all come to nothing, until three of them were wanted.
async fn creates_come_to_nothing(fault: Fault, stuck_after: &str) {
    let (stage, ours) = Stage::holding(5).await;
    stage.emulator.fault(fault);
    stage.configure(&format!(
        "policies:\n  web:\n    snapshots: {{schedule: \"* * * * * *\", keep: {{last: 5}}, leave_free: 0, stuck_after: {stuck_after}}}\n\
         servers:\n  - {{id: 1, name: web-01, policy: web}}\n"
    ));
    let daemon = stage.serve().await;
    let ended = |stage: &Stage| {
        ["failure", "blocked"].map(|result| stage.metric(&format!("runs_total{{kind=\"snapshot\",policy=\"web\",result=\"{result}\"}}")))
    };
    stage.until("three runs came to nothing", || ended(&stage).into_iter().flatten().sum::<f64>() >= 3.0).await;
    daemon.terminate().await;
    let good = stage.emulator.items(Kind::Snapshot).into_iter().filter(|item| item.progress == Progress::Completed);
    assert_eq!(good.map(|item| item.id).collect::<std::collections::BTreeSet<_>>(), ours[1..].iter().copied().collect());
}

#[tokio::test]
async fn creates_that_never_complete_cost_one_good_item_at_most() {
    creates_come_to_nothing(Fault::on_create(Kind::Snapshot).never_completes(), "1s").await;
}

#[tokio::test]
async fn creates_that_fail_cost_one_good_item_at_most() {
    creates_come_to_nothing(Fault::on_create(Kind::Snapshot).fails_at_once(), "60m").await;
}
