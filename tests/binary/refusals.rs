//! A provider that refuses or cannot be reached: exit code 3, and what is shown then.

use std::time::Duration;

use rustix::process::Signal;
use snapwarden::domain::inventory::Kind;
use snapwarden::emulator::{Fault, Method};

use super::stage::{KEEP_FOUR, Stage, free_port};

#[tokio::test]
async fn a_refused_token_ends_with_3_and_few_calls() {
    let stage = Stage::new().await;
    stage.configure_due(KEEP_FOUR);
    stage.emulator.refuse_token(true);
    for command in [&["run", "--due"][..], &["plan"], &["check", "--online"], &["take", "snapshot", "--server", "1"]] {
        stage.command_ends(command).await.exits(3);
    }
    assert!(stage.emulator.ledger().requests().count() <= 20);
    assert_eq!(stage.created(), 0);
}

async fn an_unreachable_provider_ends_with_3(command: &[&str]) {
    let stage = Stage::new().await;
    stage.configure_due(KEEP_FOUR);
    stage.reconfigure(&stage.emulator.url(), &format!("http://127.0.0.1:{}/api/v1", free_port()));
    stage.command_ends(command).await.exits(3);
    stage.command_ends(&["check"]).await.exits(0);
}

#[tokio::test]
async fn a_run_without_a_provider() {
    an_unreachable_provider_ends_with_3(&["run", "--due"]).await;
}

#[tokio::test]
async fn a_plan_without_a_provider() {
    an_unreachable_provider_ends_with_3(&["plan"]).await;
}

#[tokio::test]
async fn a_check_online_without_a_provider() {
    an_unreachable_provider_ends_with_3(&["check", "--online"]).await;
}

#[tokio::test]
async fn another_account_ends_with_3() {
    let stage = Stage::new().await;
    stage.configure_due(KEEP_FOUR);
    stage.reconfigure("  token_file: token", "  token_file: token\n  account: other@example.org");
    stage.run_due().await.exits(3);
    stage.command_ends(&["check", "--online"]).await.exits(3);
    assert!(stage.emulator.ledger().writes(None).is_empty());
    stage.reconfigure("other@example.org", "ops@example.org");
    stage.run_due().await.exits(0);
    assert_eq!(stage.created(), 1);
}

#[tokio::test]
async fn nothing_is_done_while_the_account_is_not_confirmed() {
    for fault in [Fault::on(Method::GET, "/account/me/").status(404), Fault::on(Method::GET, "/account/me/").hang()] {
        let stage = Stage::new().await;
        stage.configure_due(KEEP_FOUR);
        stage.reconfigure("  token_file: token", "  token_file: token\n  account: ops@example.org");
        stage.emulator.fault(fault);
        stage.run_due().await.exits(3);
        assert!(stage.emulator.ledger().writes(None).is_empty());
    }
}

#[tokio::test]
async fn another_account_that_is_told_late_is_waited_for() {
    let stage = Stage::new().await;
    stage.configure_due(KEEP_FOUR);
    stage.reconfigure("  token_file: token", "  token_file: token\n  account: other@example.org");
    stage.emulator.fault(Fault::on(Method::GET, "/account/me/").delay_answer(Duration::from_millis(300)));
    stage.run_due().await.exits(3);
    assert!(stage.emulator.ledger().writes(None).is_empty());
}

/// A daemon whose token is refused first, and then no longer.
async fn a_refusal_is_over_at_the_next_reload(account_is_told: bool) {
    let stage = Stage::new().await;
    stage.configure_due(KEEP_FOUR);
    stage.emulator.refuse_token(true);
    let daemon = stage.serve().await;
    stage.until("the refusal is told", || stage.metric("account_problem{reason=\"auth\"}") == Some(1.0)).await;
    stage.emulator.refuse_token(false);
    if !account_is_told {
        stage.emulator.fault(Fault::on(Method::GET, "/account/me/").status(404));
    }
    daemon.signal(Signal::HUP);
    stage.ledger_until("the slot is served", |ledger| ledger.creates().len() == 1).await;
    stage.until("the refusal is over", || stage.metric("account_problem{reason=\"auth\"}") == Some(0.0)).await;
    daemon.terminate().await;
}

#[tokio::test]
async fn a_daemon_tries_a_mended_token_at_the_next_reload() {
    a_refusal_is_over_at_the_next_reload(true).await;
}

#[tokio::test]
async fn a_daemon_tries_a_mended_token_also_where_no_account_is_told() {
    a_refusal_is_over_at_the_next_reload(false).await;
}

#[tokio::test]
async fn a_throttled_create_waits_as_told() {
    let stage = Stage::new().await;
    stage.configure_due(KEEP_FOUR);
    stage.emulator.fault(Fault::on_create(Kind::Snapshot).nth(1).status(429).retry_after(1));
    stage.run_due().await.exits(0);
    let ledger = stage.emulator.ledger();
    let throttled = ledger.requests().find(|request| request.fault.is_some()).unwrap();
    let next = ledger.requests().find(|request| request.seq > throttled.seq).unwrap();
    assert!(next.at.duration_since(throttled.at).as_millis() >= 900, "{next:?}");
}

#[tokio::test]
async fn a_configured_server_that_is_gone_is_told() {
    let stage = Stage::new().await;
    stage.configure_due(KEEP_FOUR);
    stage.reconfigure("{id: 1, name: web-01,", "{id: 77,");
    let target = stage.run_due().await.exits(1).target();
    assert!(target["problems"].to_string().contains("server_missing"), "{target:#}");
}

#[cfg(not(feature = "kubernetes"))]
#[tokio::test]
async fn a_build_without_kubernetes_refuses_to_be_one_of_several() {
    let stage = Stage::new().await;
    stage.configure_due(KEEP_FOUR);
    stage.reconfigure("policies:", "leader: {kubernetes: {}}\npolicies:");
    let outcome = stage.command_ends(&["serve"]).await.exits(2);
    assert!(outcome.stderr.contains("this build knows no Kubernetes") && outcome.stderr.contains("--features kubernetes"), "{outcome:#?}");
    assert_eq!(stage.emulator.ledger().requests().count(), 0);
}

#[tokio::test]
async fn where_replicas_agree_on_one_that_acts_no_command_acts_beside_them() {
    let stage = Stage::new().await;
    stage.configure_due(KEEP_FOUR);
    stage.reconfigure("policies:", "leader: {kubernetes: {}}\npolicies:");
    let outcome = stage.command_ends(&["run", "--due"]).await.exits(2);
    assert!(outcome.stderr.contains("nothing is done beside the replicas"), "{outcome:#?}");
    let outcome = stage.command_ends(&["pause", "--server", "1", "--for", "1h", "--reason", "why"]).await.exits(2);
    assert!(outcome.stderr.contains("`paused_until`"), "{outcome:#?}");
    assert_eq!(stage.emulator.ledger().requests().count(), 0);
}
