//! A journal that is damaged or too new, with the real program: set aside or refused, told, and nothing twice and nothing gone that should stay.

use std::fs;
use std::path::PathBuf;

use snapwarden::domain::inventory::ItemId;

use super::stage::{Outcome, Stage};

/// A provider and a journal that know of three items, the last of them made by the slot that is due; and the bytes of the journal.
async fn served() -> (Stage, Vec<ItemId>, Vec<u8>) {
    let (stage, mut ids) = Stage::holding(2).await;
    stage.configure_due("keep: {last: 3}");
    stage.run_due().await.exits(0);
    ids.push(stage.emulator.ledger().creates()[0].id);
    let bytes = fs::read(journal(&stage)).unwrap();
    (stage, ids, bytes)
}

fn journal(stage: &Stage) -> PathBuf {
    stage.state().join("journal.sqlite3")
}

fn set_aside(stage: &Stage) -> usize {
    let names = fs::read_dir(stage.state()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("journal.damaged-") && name.ends_with(".sqlite3")).count()
}

/// The files that a crash could leave, spoilt in this way.
fn spoil(stage: &Stage, bytes: &[u8]) {
    for side in ["-wal", "-shm"] {
        // It is there only after a crash.
        let _absent = fs::remove_file(stage.state().join(format!("journal.sqlite3{side}")));
    }
    fs::write(journal(stage), bytes).unwrap();
}

/// After the damage the slot is still served, by the provider's own marks: nothing more is made, and nothing is deleted.
#[track_caller]
fn nothing_more_happened(stage: &Stage, ids: &[ItemId], outcome: &Outcome, what: &str) {
    assert!(!outcome.stderr.contains("panicked"), "{what}: {outcome:#?}");
    assert_eq!(outcome.code, Some(0), "{what}: {outcome:#?}");
    assert_eq!(stage.created(), 1, "{what}: {outcome:#?}");
    assert_eq!(stage.deleted(), [], "{what}: {outcome:#?}");
    assert!(ids.iter().all(|id| stage.emulator.items(snapwarden::domain::inventory::Kind::Snapshot).iter().any(|item| item.id == *id)));
}

/// Splitmix64.
fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (*seed ^ (*seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[tokio::test]
async fn what_is_no_journal_is_set_aside_and_told() {
    let (stage, ids, bytes) = served().await;
    let half = bytes[..bytes.len() / 2].to_vec();
    let cases =
        [("zeros", vec![0; bytes.len()]), ("a text", b"hello\n".repeat(1000)), ("a stub", bytes[..100].to_vec()), ("half of it", half)];
    for (number, (what, spoilt)) in cases.into_iter().enumerate() {
        spoil(&stage, &spoilt);
        let outcome = stage.run_due().await;
        nothing_more_happened(&stage, &ids, &outcome, what);
        assert!(outcome.stderr.contains("the journal was damaged"), "{what}: {outcome:#?}");
        assert_eq!(set_aside(&stage), number + 1, "{what}");
    }
    spoil(&stage, &[]);
    let outcome = stage.run_due().await;
    nothing_more_happened(&stage, &ids, &outcome, "an empty file is a new journal");
}

#[tokio::test]
async fn changed_bytes_make_no_twins_and_delete_nothing() {
    let (stage, ids, bytes) = served().await;
    // Much of a young journal is empty pages, where nothing is changed by it.
    let full: Vec<usize> = (0..bytes.len()).filter(|place| bytes[*place] != 0).collect();
    for mut seed in 1..=12_u64 {
        let what = format!("seed {seed}");
        let mut spoilt = bytes.clone();
        for _ in 0..3 {
            let place = full[usize::try_from(next(&mut seed) % full.len() as u64).unwrap()];
            spoilt[place] ^= 1 << (next(&mut seed) % 8);
        }
        spoil(&stage, &spoilt);
        let outcome = stage.run_due().await;
        nothing_more_happened(&stage, &ids, &outcome, &what);
    }
    assert!(set_aside(&stage) >= 4, "only {} of 12 were noticed", set_aside(&stage));
}

#[tokio::test]
async fn a_daemon_with_a_damaged_journal_says_so_and_goes_on() {
    let (stage, ids, bytes) = served().await;
    spoil(&stage, &vec![0xFF; bytes.len()]);
    let daemon = stage.serve().await;
    let seen = "restore_points{server=\"web-01\",server_id=\"1\",kind=\"snapshot\",policy=\"web\"}";
    stage.until("it knows its items again", || stage.metric(seen) == Some(3.0)).await;
    assert!(daemon.log().contains("the journal was damaged"), "{}", daemon.log());
    let problem = "account_problem{reason=\"journal\"}";
    assert_eq!(stage.metric(problem), Some(1.0));
    daemon.terminate().await;
    let daemon = stage.serve().await;
    assert_eq!(stage.metric(problem), Some(0.0), "it is told once, by the process that found it");
    daemon.terminate().await;
    let outcome = stage.run_due().await;
    nothing_more_happened(&stage, &ids, &outcome, "after the daemon");
    assert_eq!(set_aside(&stage), 1);
}

/// A folder is nobody's damaged file, and a newer journal is none at all: both stay, and nothing is sent.
#[tokio::test]
async fn a_newer_journal_and_a_folder_are_refused_in_words() {
    let (stage, _, _) = served().await;
    let connection = rusqlite::Connection::open(journal(&stage)).unwrap();
    connection.execute_batch("PRAGMA user_version = 9; UPDATE meta SET version = 9; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(connection);
    let requests = stage.emulator.ledger().requests().count();
    for (what, words) in [("newer", "version 9"), ("folder", "journal.sqlite3")] {
        if what == "folder" {
            fs::remove_file(journal(&stage)).unwrap();
            fs::create_dir(journal(&stage)).unwrap();
        }
        for command in [&["run", "--due"][..], &["serve"]] {
            let outcome = stage.command_ends(command).await.exits(1);
            assert!(outcome.stderr.contains(words), "{what}: {outcome:#?}");
        }
    }
    assert_eq!((stage.emulator.ledger().requests().count(), set_aside(&stage)), (requests, 0));
}
