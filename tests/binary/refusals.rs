//! A provider that refuses or cannot be reached: exit code 3, and what is shown then.

use snapwarden::domain::inventory::Kind;
use snapwarden::emulator::Fault;

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

#[tokio::test]
async fn an_unreachable_provider_ends_with_3() {
    let stage = Stage::new().await;
    stage.configure_due(KEEP_FOUR);
    stage.reconfigure(&stage.emulator.url(), &format!("http://127.0.0.1:{}/api/v1", free_port()));
    for command in [&["run", "--due"][..], &["plan"], &["check", "--online"]] {
        stage.command_ends(command).await.exits(3);
    }
    stage.command_ends(&["check"]).await.exits(0);
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
