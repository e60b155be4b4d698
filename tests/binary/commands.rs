//! What the commands print, and their exit codes.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::stage::{KEEP_FOUR, Stage};

#[tokio::test]
async fn take_marks_what_it_made_and_satisfies_no_slot() {
    let stage = Stage::new().await;
    stage.configure_due(KEEP_FOUR);
    stage.command_ends(&["take", "snapshot", "--server", "web-01", "--label", "before-upgrade", "--keep-for", "14d"]).await.exits(0);
    let made = stage.emulator.ledger().creates()[0].clone();
    let name = made.name.unwrap();
    assert!(name.starts_with("prod-before-upgrade-20") && name.ends_with("Z-hand"), "{name}");
    let words: Vec<_> = made.description.split(' ').collect();
    assert_eq!(words[..3], ["snapwarden", "owner=prod", "by=hand"]);
    assert!(words[3].starts_with("at=") && words[4].starts_with("until=") && words.len() == 5, "{words:?}");
    stage.run_due().await.exits(0);
    assert_eq!(stage.created(), 2);
}

#[tokio::test]
async fn take_refuses_at_the_cap_unless_it_may_make_room() {
    let (stage, ours) = Stage::holding(5).await;
    stage.configure_due(KEEP_FOUR);
    stage.command_ends(&["take", "snapshot", "--server", "1"]).await.exits(1);
    assert!(stage.emulator.ledger().writes(None).is_empty());
    stage.command_ends(&["take", "snapshot", "--server", "1", "--make-room"]).await.exits(0);
    assert_eq!(stage.deleted(), ours[..1]);
    assert_eq!(stage.created(), 1);
}

#[tokio::test]
async fn status_tells_what_there_is() {
    let stage = Stage::new().await;
    stage.configure_due(KEEP_FOUR);
    stage.run_due().await.exits(0);
    let status = stage.command_ends(&["status", "--json"]).await.exits(0).json();
    let snapshots = &status["servers"][0]["snapshots"];
    assert_eq!((&snapshots["used"], &snapshots["cap"]), (&json!(1), &json!(5)), "{status:#}");
    for field in ["newest_completed_at", "last_success_at", "next_run_at"] {
        assert!(snapshots[field].is_string(), "{field} in {status:#}");
    }
    assert!(status["account"]["problems"].is_array());
}

#[tokio::test]
async fn check_changes_nothing_and_passes_online() {
    let stage = Stage::new().await;
    stage.configure_due(KEEP_FOUR);
    stage.command_ends(&["check"]).await.exits(0);
    assert_eq!(stage.emulator.ledger().requests().count(), 0);
    stage.command_ends(&["check", "--online"]).await.exits(0);
    assert!(stage.emulator.ledger().writes(None).is_empty());
}

#[tokio::test]
async fn a_bad_configuration_is_shown_by_place_and_ends_with_2() {
    let stage = Stage::new().await;
    stage.configure_due("keep: {last: 9}");
    stage.reconfigure("id: 1, name: web-01", "id: one, name: web-01");
    for command in [&["check"][..], &["plan"], &["run", "--due"], &["serve"]] {
        let outcome = stage.command_ends(command).await.exits(2);
        assert!(outcome.stdout.is_empty());
        assert!(outcome.stderr.matches("snapwarden.yaml:").count() >= 2, "{outcome:#?}");
    }
    assert_eq!(stage.emulator.ledger().requests().count(), 0);
}

#[tokio::test]
async fn a_token_file_that_everyone_may_read_is_refused() {
    let stage = Stage::new().await;
    stage.configure_due(KEEP_FOUR);
    fs::set_permissions(stage.path("token"), fs::Permissions::from_mode(0o644)).unwrap();
    let outcome = stage.command_ends(&["check"]).await.exits(2);
    assert!(outcome.stderr.contains("chmod"), "{outcome:#?}");
}

#[tokio::test]
async fn wrong_usage_ends_with_2() {
    let stage = Stage::new().await;
    stage.configure_due(KEEP_FOUR);
    let wrong: [&[&str]; 6] = [
        &["run"],
        &["nope"],
        &["plan", "--kind", "disk"],
        &["take", "snapshot"],
        &["take", "snapshot", "--server", "1", "--keep-for", "5M"],
        &["schedule", "0 0 30 2 *"],
    ];
    for arguments in wrong {
        stage.command_ends(arguments).await.exits(2);
    }
}
