//! Answers in doubt: the item is looked for before anything is sent again.

use jiff::SignedDuration;
use snapwarden::domain::inventory::Kind;
use snapwarden::emulator::{Fault, Method};

use super::stage::{KEEP_FOUR, Stage};

/// One due run in which the first create of a kind is answered so. The number of creates that were sent is given back.
async fn run_with_first_create(kind: Kind, fault: impl Fn(Fault) -> Fault) -> (Stage, usize) {
    let stage = Stage::new().await;
    let word = if kind == Kind::Snapshot { "snapshots" } else { "backups" };
    stage.configure(&format!("policies:\n  web:\n{}servers:\n  - {{id: 1, name: web-01, policy: web}}\n", stage.due(word, KEEP_FOUR)));
    stage.emulator.fault(fault(Fault::on_create(kind).nth(1)));
    let target = stage.run_due().await.exits(0).target();
    assert_eq!(target["created"].as_array().unwrap().len(), 1, "{target:#}");
    assert_eq!(stage.created(), 1);
    let sent = stage.emulator.ledger().requests_by(&Method::POST, "*").len();
    (stage, sent)
}

async fn a_committed_create_is_found(fault: impl Fn(Fault) -> Fault) {
    for kind in [Kind::Snapshot, Kind::Backup] {
        assert_eq!(run_with_first_create(kind, &fault).await.1, 1, "{kind:?}");
    }
}

#[tokio::test]
async fn committed_then_cut() {
    a_committed_create_is_found(Fault::cut_after_commit).await;
}

#[tokio::test]
async fn committed_then_500() {
    a_committed_create_is_found(|fault| fault.status_after_commit(500)).await;
}

#[tokio::test]
async fn committed_then_silence() {
    a_committed_create_is_found(Fault::hang_after_commit).await;
}

#[tokio::test]
async fn committed_then_half_a_body() {
    a_committed_create_is_found(|fault| fault.truncated(20)).await;
}

#[tokio::test]
async fn committed_then_another_servers_item() {
    a_committed_create_is_found(|fault| fault.wrong_server(999)).await;
}

/// The configured `request_timeout` is 500 ms, so that a listing proves an absence only one second after the sending.
async fn a_lost_create_is_sent_again_in_time(fault: impl Fn(Fault) -> Fault) {
    let (stage, sent) = run_with_first_create(Kind::Snapshot, fault).await;
    assert_eq!(sent, 2);
    let ledger = stage.emulator.ledger();
    let creates = ledger.requests_by(&Method::POST, "/snapshots/");
    assert!(creates[1].at.duration_since(creates[0].at) >= SignedDuration::from_secs(1));
    let between =
        ledger.requests_by(&Method::GET, "/snapshots/").into_iter().filter(|list| creates[0].seq < list.seq && list.seq < creates[1].seq);
    assert!(between.count() >= 2, "an absence is proved by two listings");
}

#[tokio::test]
async fn lost_with_500() {
    a_lost_create_is_sent_again_in_time(|fault| fault.status(500)).await;
}

#[tokio::test]
async fn lost_with_a_cut() {
    a_lost_create_is_sent_again_in_time(Fault::cut).await;
}

#[tokio::test]
async fn lost_in_silence() {
    a_lost_create_is_sent_again_in_time(Fault::hang).await;
}

#[tokio::test]
async fn a_create_is_sent_three_times_at_most() {
    let stage = Stage::new().await;
    stage.configure_due(KEEP_FOUR);
    stage.emulator.fault(Fault::on_create(Kind::Snapshot).status(500));
    let target = stage.run_due().await.exits(1).target();
    assert_eq!(target["result"], "failure");
    let sent = stage.emulator.ledger().requests_by(&Method::POST, "/snapshots/").len();
    assert!((1..=3).contains(&sent), "{sent}");
}

/// At the cap but one, with one item too many after the run. Whatever is answered to the delete, no other item goes instead.
async fn a_delete_in_doubt_never_takes_another_item(fault: impl Fn(Fault) -> Fault) {
    let (stage, ours) = Stage::holding(4).await;
    stage.configure_due(KEEP_FOUR);
    stage.emulator.fault(fault(Fault::on_delete(Kind::Snapshot).nth(1)));
    stage.run_due().await;
    let ledger = stage.emulator.ledger();
    let wanted = format!("/snapshots/{}/", ours[0].0);
    let sent: Vec<_> = ledger.requests_by(&Method::DELETE, "*").iter().map(|request| request.path.clone()).collect();
    assert!(!sent.is_empty() && sent.iter().all(|path| *path == wanted), "{sent:?}");
    assert_eq!(stage.created(), 1);
}

#[tokio::test]
async fn a_delete_is_committed_then_cut() {
    a_delete_in_doubt_never_takes_another_item(Fault::cut_after_commit).await;
}

#[tokio::test]
async fn a_delete_is_lost_with_500() {
    a_delete_in_doubt_never_takes_another_item(|fault| fault.status(500)).await;
}

#[tokio::test]
async fn a_delete_is_promised_and_not_done() {
    a_delete_in_doubt_never_takes_another_item(Fault::pretend).await;
}
