//! Lists that are cut, lie, are paged, or are none: no delete on doubt.

use snapwarden::domain::inventory::Kind;
use snapwarden::emulator::{Emulator, EmulatorConfig, Fault, Method};

use super::stage::Stage;

/// A server with two items too many, whose lists of snapshots all look like this.
async fn nothing_is_deleted(fault: impl Fn(Fault) -> Fault) {
    let (stage, _) = Stage::holding(4).await;
    // What is made may never be shown by such lists: then it is waited for only so long.
    stage.configure_due("keep: {last: 2}\n      stuck_after: 1s");
    stage.emulator.fault(fault(Fault::on_list(Kind::Snapshot)));
    let outcome = stage.run_due().await;
    assert!(stage.deleted().is_empty(), "{outcome:#?}");
    assert!(stage.created() <= 1, "{outcome:#?}");
    let told = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(["listing_incomplete", "unreachable"].iter().any(|reason| told.contains(reason)), "{outcome:#?}");
}

#[tokio::test]
async fn a_list_is_cut() {
    nothing_is_deleted(|fault| fault.truncated(100)).await;
}

#[tokio::test]
async fn a_list_lacks_an_entry() {
    nothing_is_deleted(|fault| fault.drop_entries(1)).await;
}

#[tokio::test]
async fn a_count_says_more() {
    nothing_is_deleted(|fault| fault.count_says(7)).await;
}

#[tokio::test]
async fn an_entry_comes_twice() {
    nothing_is_deleted(Fault::duplicate_entry).await;
}

#[tokio::test]
async fn an_entry_has_no_time() {
    nothing_is_deleted(|fault| fault.unreadable_entry("created_at")).await;
}

#[tokio::test]
async fn an_entry_names_no_server() {
    nothing_is_deleted(|fault| fault.unreadable_entry("server")).await;
}

#[tokio::test]
async fn a_list_is_not_json() {
    nothing_is_deleted(Fault::garbage).await;
}

#[tokio::test]
async fn a_list_is_a_page_of_html() {
    nothing_is_deleted(Fault::html).await;
}

#[tokio::test]
async fn paged_lists_are_read_to_their_end() {
    let (stage, ours) = Stage::holding(4).await;
    stage.configure_due("keep: {last: 2}");
    stage.emulator.fault(Fault::on_list(Kind::Snapshot).paged(2));
    stage.run_due().await.exits(0);
    assert_eq!(stage.deleted(), ours[..2]);
    assert!(!stage.emulator.ledger().requests().all(|request| request.query.is_empty()));
}

#[tokio::test]
async fn a_next_page_elsewhere_is_not_followed() {
    let elsewhere = Emulator::start(EmulatorConfig::default()).await.unwrap();
    let origin = format!("http://127.0.0.1:{}", elsewhere.port());
    nothing_is_deleted(|fault| fault.paged_at(2, &origin)).await;
    assert_eq!(elsewhere.ledger().requests().count(), 0);
}

#[tokio::test]
async fn a_passing_fault_is_got_over() {
    let (stage, _) = Stage::holding(2).await;
    stage.configure_due("keep: {last: 2}");
    stage.emulator.fault(Fault::on_list(Kind::Snapshot).nth(1).cut());
    stage.emulator.fault(Fault::on_list(Kind::Snapshot).nth(2).status(502));
    stage.run_due().await.exits(0);
    assert_eq!((stage.created(), stage.deleted().len()), (1, 1));
}

async fn a_redirect_is_never_followed(status: u16) {
    let elsewhere = Emulator::start(EmulatorConfig::default()).await.unwrap();
    let stage = Stage::new().await;
    stage.configure_due("keep: {last: 2}");
    stage.emulator.fault(Fault::on(Method::POST, "*").redirect(status, &format!("{}/snapshots/", elsewhere.url())));
    assert_ne!(stage.run_due().await.code, Some(0));
    assert_eq!((stage.created(), elsewhere.ledger().requests().count()), (0, 0));
}

#[tokio::test]
async fn a_redirect_that_turns_into_get_is_not_followed() {
    a_redirect_is_never_followed(302).await;
}

#[tokio::test]
async fn a_redirect_that_stays_post_is_not_followed() {
    a_redirect_is_never_followed(307).await;
}
