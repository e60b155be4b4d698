//! Kills and stops at the worst moments: what was begun is picked up, and nothing twice.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;
use snapwarden::domain::inventory::Kind;
use snapwarden::emulator::{Fault, Rules};

use super::stage::{KEEP_FOUR, Stage};

#[tokio::test]
async fn killed_between_the_commit_and_the_answer() {
    for lose_journal in [false, true] {
        let stage = Stage::new().await;
        stage.configure_due(KEEP_FOUR);
        stage.emulator.fault(Fault::on_create(Kind::Snapshot).nth(1).hang_after_commit());
        let mut run = stage.start(&["run", "--due"]);
        stage.ledger_until("the create is committed", |ledger| !ledger.creates().is_empty()).await;
        run.kill();
        if lose_journal {
            fs::remove_dir_all(stage.state()).unwrap();
        }
        stage.run_due().await.exits(0);
        assert_eq!(stage.created(), 1, "journal lost: {lose_journal}");
    }
}

#[tokio::test]
async fn a_create_in_progress_is_picked_up_after_a_stop() {
    let stage = Stage::with_rules(Rules::default().everything_takes(Duration::from_secs(2))).await;
    stage.configure_due(KEEP_FOUR);
    let daemon = stage.serve().await;
    stage.ledger_until("the create is ordered", |ledger| !ledger.creates().is_empty()).await;
    daemon.terminate().await;
    let daemon = stage.serve().await;
    let success = "runs_total{kind=\"snapshot\",policy=\"web\",result=\"success\"}";
    stage.until("the run is completed", || stage.metric(success) == Some(1.0)).await;
    daemon.terminate().await;
    assert_eq!(stage.created(), 1);
}

/// One run at a time for a server, and both kinds take turns: after a crash, too.
#[tokio::test]
async fn after_a_crash_the_other_kind_waits_for_the_item_in_progress() {
    let stage = Stage::with_rules(Rules::default().everything_takes(Duration::from_secs(1))).await;
    let kinds = stage.due("snapshots", KEEP_FOUR) + &stage.due("backups", KEEP_FOUR);
    stage.configure(&format!("policies:\n  web:\n{kinds}servers:\n  - {{id: 1, name: web-01, policy: web}}\n"));
    let mut daemon = stage.serve().await;
    stage.ledger_until("a create is committed", |ledger| !ledger.creates().is_empty()).await;
    daemon.kill();
    let daemon = stage.serve().await;
    stage.ledger_until("both are made", |ledger| ledger.creates().len() == 2).await;
    daemon.terminate().await;
    assert_eq!(stage.most_in_progress(), 1);
    stage.no_twins_and_no_refusals();
}

#[tokio::test]
async fn an_exchange_in_flight_is_finished_before_the_end() {
    let stage = Stage::new().await;
    stage.configure_due(KEEP_FOUR);
    stage.reconfigure("request_timeout: 500ms", "request_timeout: 30s");
    stage.emulator.fault(Fault::on_create(Kind::Snapshot).nth(1).delay_answer(Duration::from_millis(1500)));
    let daemon = stage.serve().await;
    stage.ledger_until("the create is on its way", |ledger| !ledger.creates().is_empty()).await;
    daemon.terminate().await;
    let ledger = stage.emulator.ledger();
    let create = ledger.requests().find(|request| request.is_write()).unwrap();
    assert_eq!(create.answered, snapwarden::emulator::Answered::Status(201));
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let stage = Stage::new().await;
    stage.configure_due(KEEP_FOUR);
    stage.reconfigure("request_timeout: 500ms", "request_timeout: 1h");
    stage.emulator.fault(Fault::on_create(Kind::Snapshot).hang_after_commit());
    let daemon = stage.serve().await;
    stage.ledger_until("the create is on its way", |ledger| !ledger.creates().is_empty()).await;
    daemon.signal(Signal::TERM);
    // Signals of one kind that are pending together are one: the second is sent until the process has ended.
    let ended = async {
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            daemon.signal(Signal::TERM);
        }
    };
    let _never = tokio::time::timeout(Duration::from_millis(300), ended).await;
    daemon.ends().await;
    assert_eq!(stage.created(), 1);
}

#[tokio::test]
async fn killed_again_and_again_it_makes_no_twins_and_eats_nothing() {
    let stage = Stage::with_rules(Rules::default().everything_takes(Duration::from_millis(150))).await;
    let theirs = stage.add_theirs("by-hand", 3);
    stage.configure(
        "policies:\n  web:\n    snapshots: {schedule: \"* * * * * *\", keep: {last: 2}}\n    backups: {schedule: \"* * * * * *\", keep: {last: 2}}\n\
         servers:\n  - {id: 1, name: web-01, policy: web}\n",
    );
    // Each life ends a different number of requests after its beginning.
    for life in 1..=8_usize {
        let before = stage.emulator.ledger().requests().count();
        let mut daemon = stage.start(&["serve"]);
        stage.ledger_until("this life is over", |ledger| ledger.requests().count() >= before + 3 * life).await;
        daemon.kill();
    }
    let daemon = stage.serve().await;
    let before = stage.created();
    stage.ledger_until("it goes on", |ledger| ledger.creates().len() >= before + 2).await;
    daemon.terminate().await;
    stage.no_twins_and_no_refusals();
    assert!(!stage.deleted().contains(&theirs));
}
