//! SIGKILL at many moments, in several worlds at the same time: what the provider saw is judged by the history checker.

use std::fs;
use std::time::Duration;

use jiff::SignedDuration;
use snapwarden::domain::inventory::{ItemId, Kind};
use snapwarden::emulator::{EmulatorConfig, Fault, Method, Rules};
use snapwarden::journal::{CreateState, DeleteState, HistoryFilter, JournalReader, Recall};

use super::history::{History, Law};
use super::stage::{Stage, WEB};

/// Daemons that are killed in each world before the last one is left alone.
const LIVES: u64 = 10;
/// Worlds that belong to one seed.
const WORLDS: u64 = 4;
/// The seconds between two slots.
const PERIOD: i64 = 2;

/// A small generator with a seed, so that a failure can be repeated (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// What is different between worlds; the rest follows from the seed.
#[derive(Debug, Clone, Copy)]
struct World {
    seed: u64,
    /// Keep as many as there are slots, so that each run makes room first.
    full: bool,
    faults: bool,
}

impl World {
    fn law(self) -> Law {
        let (keep, cap) = if self.full { (3, 3) } else { (2, 5) };
        Law {
            owner: "prod",
            adopted: &[],
            keep,
            min_keep: 1,
            snapshots_cap: cap,
            backups_cap: cap,
            request_timeout: Duration::from_millis(500),
        }
    }

    async fn stage(self) -> Stage {
        let law = self.law();
        let rules = Rules {
            snapshots_max: law.snapshots_cap,
            manual_backups_max: law.backups_cap,
            snapshot_takes: Duration::from_millis(800),
            backup_takes: Duration::from_millis(400),
            ..Rules::default()
        };
        let stage = Stage::with(EmulatorConfig { seed: self.seed, ..EmulatorConfig::with_rules(rules) }).await;
        let keep = if self.full { "keep: {last: 3}, leave_free: 0" } else { "keep: {last: 2}" };
        let kind = |word: &str| format!("    {word}: {{schedule: \"*/{PERIOD} * * * * *\", {keep}}}\n");
        stage.configure(&format!(
            "policies:\n  web:\n{}{}servers:\n  - {{id: 1, name: web-01, policy: web}}\n",
            kind("snapshots"),
            kind("backups")
        ));
        stage.reconfigure(
            "request_timeout: 500ms",
            &format!("request_timeout: 500ms\n  limits: {{snapshots: {0}, manual_backups: {0}}}", law.snapshots_cap),
        );
        if !self.full {
            stage.add_theirs("by-hand", 3);
        }
        if self.faults {
            add_faults(&stage);
        }
        stage
    }
}

fn add_faults(stage: &Stage) {
    for kind in [Kind::Snapshot, Kind::Backup] {
        stage.emulator.fault(Fault::on_create(kind).chance(0.2).cut_after_commit());
        stage.emulator.fault(Fault::on_create(kind).chance(0.1).hang_after_commit());
        stage.emulator.fault(Fault::on_create(kind).chance(0.1).status(503));
        stage.emulator.fault(Fault::on_create(kind).chance(0.1).fails());
        stage.emulator.fault(Fault::on_delete(kind).chance(0.2).cut_after_commit());
        stage.emulator.fault(Fault::on_delete(kind).chance(0.1).hang());
    }
    stage.emulator.fault(Fault::on(Method::GET, "*").chance(0.05).status(503));
}

/// One life of the daemon. It ends after so many requests, or after so many milliseconds: whichever the seed says.
async fn live_and_die(stage: &Stage, random: &mut Random) {
    let before = stage.emulator.read_ledger(|ledger| ledger.requests().count());
    let mut daemon = stage.start(&["serve"]);
    if random.below(2) == 0 {
        let requests = before + 1 + usize::try_from(random.below(14)).unwrap();
        stage.ledger_until("this life is over", |ledger| ledger.requests().count() >= requests).await;
        // From nothing at all to well after the answer.
        tokio::time::sleep(Duration::from_micros(random.below(20_000))).await;
    } else {
        tokio::time::sleep(Duration::from_millis(random.below(1200))).await;
    }
    assert!(daemon.is_on(), "the daemon ended: {}", daemon.log());
    daemon.kill();
}

/// Until each kind has a restore point that is younger than two periods, made by the last daemon, after the faults.
async fn recover(stage: &Stage, law: &Law) {
    let healed = stage.emulator.now();
    let is_fresh = |history: &History, kind| {
        let newest = history.newest_restore_point(law, WEB, kind);
        newest.is_some_and(|at| at > healed && stage.emulator.now().duration_since(at) < SignedDuration::from_secs(2 * PERIOD))
    };
    stage
        .until("each kind has a fresh restore point", || {
            let history = History::of(&stage.emulator.ledger());
            [Kind::Snapshot, Kind::Backup].into_iter().all(|kind| is_fresh(&history, kind))
        })
        .await;
    let left_alone = healed + SignedDuration::from_secs(2 * PERIOD);
    stage.until("two periods are over", || stage.emulator.now() >= left_alone).await;
}

/// How many creates are undecided, by the daemon's journal, and which deletes.
fn undecided(stage: &Stage) -> (usize, Vec<(Kind, ItemId)>) {
    let rows = JournalReader::open(&stage.state()).unwrap().history(&HistoryFilter::all(10_000)).unwrap();
    let creates = rows.creates.iter().filter(|row| row.state == CreateState::Intended).count();
    let deletes = rows.deletes.iter().filter(|row| row.state == DeleteState::Intended);
    (creates, deletes.map(|row| (row.intent.subject.kind, row.intent.item)).collect())
}

async fn killed_again_and_again(world: World) {
    let stage = world.stage().await;
    let mut random = Random(world.seed);
    for _ in 0..LIVES {
        live_and_die(&stage, &mut random).await;
    }
    stage.emulator.lift_all();
    let law = world.law();
    let daemon = stage.serve().await;
    recover(&stage, &law).await;
    stage.until("nothing is undecided", || undecided(&stage) == (0, Vec::new())).await;
    daemon.terminate().await;
    let history = History::of(&stage.emulator.ledger());
    if let breaches @ [_, ..] = &history.breaches(&law)[..] {
        let file = stage.keep("history", &format!("{history:#?}"));
        panic!(
            "{world:?} breaks rules; the history is in {}, and SEED={} tries it again: {breaches:#?}",
            file.display(),
            world.seed / WORLDS
        );
    }
    // A stop may come between the answer to a delete and the look that settles it; what else is under way it brings to an end.
    let (creates, mut deletes) = undecided(&stage);
    stage.emulator.read_ledger(|ledger| deletes.retain(|open| !ledger.deletes().iter().any(|done| *open == (done.kind, done.id))));
    assert_eq!((creates, deletes), (0, Vec::new()), "{world:?}");
    assert!(
        fs::read_dir(stage.state()).unwrap().all(|entry| !entry.unwrap().file_name().to_string_lossy().contains("damaged")),
        "{world:?}"
    );
    stage.token_is_nowhere();
}

/// Four worlds beside each other: with and without faults, with and without a free slot. `SEED=n` tries other moments.
#[tokio::test]
async fn killed_at_any_moment_it_keeps_every_rule_and_comes_back() {
    let seed = std::env::var("SEED").map_or(1_u64, |seed| seed.parse().unwrap());
    let world = |number, full, faults| killed_again_and_again(World { seed: seed * WORLDS + number, full, faults });
    tokio::join!(world(0, false, false), world(1, true, false), world(2, false, true), world(3, true, true));
}
