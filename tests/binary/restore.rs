//! Getting a server back: one order at most, none without a yes, and nothing is deleted there afterwards.

use std::time::Duration;

use rustix::process::Signal;
use snapwarden::domain::inventory::{ItemId, Kind};
use snapwarden::emulator::{Effect, Fault, Item, Method, Progress, Rules, ServersAccess};

use super::stage::{KEEP_FOUR, Stage, WEB};

/// A server with four snapshots of ours, a provider that tells its servers and restores within this time.
async fn stage(restore_takes: Duration) -> (Stage, Vec<ItemId>) {
    let rules = Rules { restore_takes, ..Rules::default().everything_takes(Duration::from_millis(300)) };
    let stage = Stage::with_rules(rules).await;
    stage.emulator.set_servers_access(ServersAccess::Allowed);
    stage.configure_due("keep: {last: 2}");
    let ids = (1..=4).rev().map(|days| stage.add_ours(Kind::Snapshot, days)).collect();
    (stage, ids)
}

const SHORT: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(600);

impl Stage {
    /// How many restores were ordered.
    fn ordered(&self) -> usize {
        let ledger = self.emulator.ledger();
        ledger.requests_by(&Method::POST, "/snapshots/{id}/restore/").len()
            + ledger.requests_by(&Method::POST, "/servers/{id}/restore/").len()
    }

    /// What was restored.
    fn restored(&self) -> Vec<(Kind, ItemId)> {
        let ledger = self.emulator.ledger();
        let begun = ledger.effects().filter_map(|record| match record.effect {
            Effect::RestoreBegun { server, kind, id } if server == WEB => Some((kind, id)),
            _ => None,
        });
        begun.collect()
    }

    async fn orders(&self) -> Vec<String> {
        let history = self.command_ends(&["history", "--json"]).await.exits(0).json();
        let orders = history["entries"].as_array().unwrap().iter().filter(|entry| entry["result"] == "ordered");
        orders.map(|entry| entry["do"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn it_is_ordered_once_and_then_nothing_is_deleted_there_while_creates_go_on() {
    let (stage, ours) = stage(SHORT).await;
    let id = ours[1].to_string();
    let outcome = stage.command_ends(&["restore", "snapshot", &id, "--yes", "--wait"]).await.exits(0);
    assert!(outcome.stdout.contains("web-01 (1), active") && outcome.stdout.contains("3 days old"), "{outcome:#?}");
    assert!(outcome.stdout.contains("2 newer snapshots") && outcome.stdout.contains(&ours[3].to_string()), "{outcome:#?}");
    assert!(outcome.stdout.contains("web-01 is active"), "it has waited for the end: {outcome:#?}");
    assert!(stage.emulator.ledger().effects().any(|record| matches!(record.effect, Effect::RestoreEnded { .. })));
    assert_eq!((stage.ordered(), stage.restored()), (1, vec![(Kind::Snapshot, ours[1])]));
    assert_eq!(stage.orders().await, ["hold", "no_deletes"]);

    let target = stage.run_due().await.exits(0).target();
    assert_eq!((stage.created(), stage.deleted()), (1, vec![]), "{target:#}");
    assert!(target["problems"].as_array().unwrap().contains(&"restoring".into()), "{target:#}");
    stage.command_ends(&["release", "deletes", "1"]).await.exits(0);
    stage.add_ours(Kind::Snapshot, 0);
    stage.emulator.delete_by_hand(Kind::Snapshot, ours[3]);
    stage.command_ends(&["run", "--server", "web-01"]).await;
    assert!(!stage.deleted().is_empty() && !stage.deleted().contains(&ours[1]), "its source is held: {:?}", stage.deleted());
    assert_eq!(stage.ordered(), 1);
    stage.token_is_nowhere();
}

#[tokio::test]
async fn a_backup_goes_back_onto_its_own_server_only() {
    let (stage, _) = stage(SHORT).await;
    stage.emulator.add_server(2, "web-02");
    let backup = stage.add_ours(Kind::Backup, 2);
    let id = backup.to_string();
    for other in ["2", "web-02", "web-*"] {
        stage.command_ends(&["restore", "backup", &id, "--server", other, "--yes"]).await.exits(1);
    }
    assert_eq!((stage.ordered(), stage.orders().await.len()), (0, 0));
    stage.command_ends(&["restore", "backup", &id, "--server", "web-01", "--yes"]).await.exits(0);
    assert_eq!((stage.ordered(), stage.restored()), (1, vec![(Kind::Backup, backup)]));
}

/// `setsid` takes the terminal away; `script` gives one, on which the answer is typed.
#[tokio::test]
async fn without_a_yes_nothing_is_ordered() {
    let (stage, ours) = stage(SHORT).await;
    let id = ours[1].to_string();
    let restore = ["restore", "snapshot", &id];
    let outcome = stage.command_ends_through(&["setsid", "--wait"], &restore).await.exits(2);
    assert!(outcome.stderr.contains("--yes"), "{outcome:#?}");
    let typed = |answer: &str| format!("printf '{answer}' | script -qec \"$*\" /dev/null");
    for wrong in ["web-02\\n", "yes\\n", "\\n", ""] {
        stage.command_ends_through(&["sh", "-c", &typed(wrong), "sh"], &restore).await.exits(1);
    }
    assert_eq!((stage.ordered(), stage.orders().await.len()), (0, 0));
    stage.command_ends_through(&["sh", "-c", &typed("web-01\\n"), "sh"], &restore).await.exits(0);
    assert_eq!((stage.ordered(), stage.restored().len()), (1, 1));
}

#[tokio::test]
async fn a_doubtful_answer_is_not_repeated() {
    type Doubt = fn(Fault) -> Fault;
    let doubts: [(Doubt, usize); 6] = [
        (Fault::hang_after_commit, 1),
        (Fault::cut_after_commit, 1),
        (|fault| fault.status_after_commit(500), 1),
        (Fault::html, 0),
        (Fault::hang, 0),
        (|fault| fault.status(502), 0),
    ];
    for (number, (doubt, restored)) in doubts.into_iter().enumerate() {
        let (stage, ours) = stage(SHORT).await;
        stage.emulator.fault(doubt(Fault::on(Method::POST, "/snapshots/{id}/restore/")));
        let id = ours[1].to_string();
        let outcome = stage.command_ends(&["restore", "snapshot", &id, "--yes"]).await.exits(1);
        assert!(outcome.stderr.contains("not known whether") && outcome.stderr.contains("restoring"), "{number}: {outcome:#?}");
        assert_eq!((stage.ordered(), stage.restored().len()), (1, restored), "{number}");
        assert_eq!(stage.orders().await, ["hold", "no_deletes"], "{number}");
    }
}

#[tokio::test]
async fn waiting_settles_a_doubt() {
    for (committed, code) in [(true, 0), (false, 1)] {
        let (stage, ours) = stage(SHORT).await;
        let fault = Fault::on(Method::POST, "/snapshots/{id}/restore/");
        stage.emulator.fault(if committed { fault.cut_after_commit() } else { fault.cut() });
        stage.command_ends(&["restore", "snapshot", &ours[1].to_string(), "--yes", "--wait"]).await.exits(code);
        assert_eq!((stage.ordered(), stage.restored().len()), (1, usize::from(committed)));
    }
}

#[tokio::test]
async fn what_cannot_go_well_is_not_ordered() {
    let (stage, ours) = stage(LONG).await;
    let at = stage.slot();
    let unfinished = stage.emulator.add_item(Item::completed(Kind::Snapshot, WEB, at).named("unfinished").progressed(Progress::InProgress));
    for id in [unfinished.to_string(), "999".to_owned()] {
        stage.command_ends(&["restore", "snapshot", &id, "--yes"]).await.exits(1);
    }
    let id = ours[1].to_string();
    let restore = ["restore", "snapshot", &id, "--yes"];
    stage.emulator.set_servers_access(ServersAccess::Missing);
    stage.command_ends(&["restore", "snapshot", &id, "--yes", "--wait"]).await.exits(1);
    stage.emulator.set_servers_access(ServersAccess::Allowed);
    stage.reconfigure("token_file: token", "token_file: token\n  account: other@example.org");
    stage.command_ends(&restore).await.exits(3);
    stage.reconfigure("\n  account: other@example.org", "");
    stage.emulator.refuse_token(true);
    stage.command_ends(&restore).await.exits(3);
    stage.emulator.refuse_token(false);
    assert_eq!((stage.ordered(), stage.orders().await.len()), (0, 0));

    stage.command_ends(&restore).await.exits(0);
    let again = stage.command_ends(&restore).await.exits(1);
    assert!(again.stderr.contains("is being restored already"), "{again:#?}");
    assert_eq!(stage.ordered(), 1);
}

#[tokio::test]
async fn beside_a_daemon_the_daemon_holds_the_source_first() {
    let (stage, ours) = stage(SHORT).await;
    let daemon = stage.serve().await;
    stage.until("the due run has ended", || stage.created() == 1 && !stage.deleted().is_empty()).await;
    stage.command_ends(&["restore", "snapshot", &ours[3].to_string(), "--yes", "--wait"]).await.exits(0);
    assert_eq!((stage.ordered(), stage.restored()), (1, vec![(Kind::Snapshot, ours[3])]));
    assert_eq!(stage.orders().await, ["hold", "no_deletes"]);
    let before = stage.deleted();
    stage.command_ends(&["run", "--server", "web-01"]).await;
    assert_eq!((stage.created(), stage.deleted()), (2, before), "creates go on, deletes do not");
    daemon.terminate().await;
}

#[tokio::test]
async fn a_refusal_says_what_was_left_behind() {
    let (stage, ours) = stage(SHORT).await;
    let id = ours[1].to_string();
    stage.emulator.fault(Fault::on(Method::POST, "/snapshots/{id}/restore/").status(400).first(1));
    let refused = stage.command_ends(&["restore", "snapshot", &id, "--yes"]).await.exits(1);
    assert!(refused.stderr.contains("release deletes 1") && refused.stderr.contains(&format!("release snapshot {id}")), "{refused:#?}");
    stage.emulator.fault(Fault::on(Method::POST, "/snapshots/{id}/restore/").status(403).first(1));
    stage.command_ends(&["restore", "snapshot", &id, "--yes"]).await.exits(3);
    assert_eq!((stage.ordered(), stage.restored().len()), (2, 0));
}

#[tokio::test]
async fn an_interrupted_wait_leaves_the_restore_alone() {
    let (stage, ours) = stage(LONG).await;
    let waiting = stage.start(&["restore", "snapshot", &ours[1].to_string(), "--yes", "--wait"]);
    stage.ledger_until("it is being watched", |ledger| ledger.requests_by(&Method::GET, "/servers/").len() > 3).await;
    waiting.signal(Signal::INT);
    assert_eq!(waiting.ends().await, Some(130));
    assert_eq!((stage.ordered(), stage.restored().len()), (1, 1));
}

#[tokio::test]
async fn while_it_is_being_restored_the_daemon_leaves_the_server_alone() {
    let (stage, ours) = stage(LONG).await;
    stage.configure_due(KEEP_FOUR);
    stage.command_ends(&["restore", "snapshot", &ours[1].to_string(), "--yes"]).await.exits(0);
    let daemon = stage.serve().await;
    let series = "problem{server=\"web-01\",server_id=\"1\",kind=\"snapshot\",policy=\"web\",reason=\"restoring\"}";
    stage.until("the metric tells", || stage.metric(series) == Some(1.0)).await;
    daemon.terminate().await;
    assert_eq!(stage.run_due().await.exits(1).target()["result"], "blocked");
    assert_eq!((stage.created(), stage.deleted()), (0, vec![]));
}
