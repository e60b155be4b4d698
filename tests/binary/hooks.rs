//! Hooks around creates: what they do is told by files that their scripts write, what the program does by the provider's ledger.

use std::fs;
use std::time::Duration;

use jiff::Timestamp;
use rustix::process::Signal;
use snapwarden::domain::inventory::Kind;
use snapwarden::emulator::{Effect, Fault, Rules};

use super::stage::{KEEP_FOUR, Stage};

/// A script for each side; each tells first that it begins. `$F` is the test's folder.
struct Scripts {
    before: &'static str,
    after: &'static str,
    more: &'static str,
}

impl Stage {
    /// A due policy with these hooks.
    fn configure_hooks(&self, Scripts { before, after, more }: Scripts) {
        let folder = self.path("x").parent().unwrap().to_owned();
        for (side, script) in [("before", before), ("after", after)] {
            let text = format!("#!/bin/sh\nF={}\necho \"{side} $(date +%s%N)\" >> $F/events\n{script}\n", folder.display());
            fs::write(self.path(side), text).unwrap();
        }
        let run = |side: &str| format!("{side}: {{run: [/bin/sh, {}]", self.path(side).display());
        let hooks = format!("hooks: {{{}, timeout: 20s}}, {}, timeout: 10s}}, {more}}}", run("before"), run("after"));
        self.configure_due(&format!("{KEEP_FOUR}\n      {hooks}"));
    }

    /// What the hooks have told, with the times.
    fn events(&self) -> Vec<(String, Timestamp)> {
        let text = fs::read_to_string(self.path("events")).unwrap_or_default();
        let event = |line: &str| {
            let (side, time) = line.split_once(' ').unwrap();
            (side.to_owned(), Timestamp::from_nanosecond(time.parse().unwrap()).unwrap())
        };
        text.lines().map(event).collect()
    }

    fn count(&self, side: &str) -> usize {
        self.events().iter().filter(|(name, _)| name == side).count()
    }

    /// The events of hooks and provider in their order.
    fn order(&self) -> Vec<String> {
        let ledger = self.emulator.ledger();
        let effects = ledger.effects().filter_map(|record| match &record.effect {
            Effect::Created { .. } => Some(("made".to_owned(), record.at)),
            Effect::Ended { .. } => Some(("complete".to_owned(), record.at)),
            _ => None,
        });
        let mut all: Vec<_> = self.events().into_iter().chain(effects).collect();
        all.sort_by_key(|(_, at)| *at);
        all.into_iter().map(|(what, _)| what).collect()
    }

    fn exists(&self, name: &str) -> bool {
        self.path(name).exists()
    }
}

/// A stage on which items take this long.
async fn slow_stage(seconds: u64) -> Stage {
    Stage::with_rules(Rules::default().everything_takes(Duration::from_secs(seconds))).await
}

const ACCEPTED: Scripts = Scripts { before: "", after: "", more: "after_on: accepted" };

#[tokio::test]
async fn before_the_create_and_after_it() {
    for (more, order) in
        [("after_on: accepted", ["before", "made", "after", "complete"]), ("after_on: completed", ["before", "made", "complete", "after"])]
    {
        let stage = slow_stage(2).await;
        stage.configure_hooks(Scripts { more, ..ACCEPTED });
        assert_eq!(stage.run_due().await.exits(0).target()["result"], "success");
        assert_eq!(stage.order(), order);
    }
}

#[tokio::test]
async fn a_failing_before_aborts_or_is_only_told() {
    for (more, code, created) in [("after_on: accepted", 1, 0), ("after_on: accepted, on_failure: continue", 0, 1)] {
        let stage = Stage::new().await;
        stage.configure_hooks(Scripts { before: "printf 'disk \\033[31mbusy' >&2; exit 7", more, ..ACCEPTED });
        let outcome = stage.run_due().await.exits(code);
        assert_eq!((stage.created(), stage.count("before"), stage.count("after")), (created, 1, 1));
        assert_eq!(outcome.target()["problems"][0], "hook_failed");
        // What it printed is shown, and cannot do anything to a terminal.
        assert!(outcome.stderr.contains("disk") && !outcome.stderr.contains('\u{1b}'), "{}", outcome.stderr);
        assert!(code == 0 || outcome.target()["error"] == "`before` exited with status 7");
    }
}

#[tokio::test]
async fn a_command_sees_to_it_that_a_failing_after_is_tried_again() {
    let stage = Stage::new().await;
    let after = "if [ -e $F/tried ]; then touch $F/thawed; else touch $F/tried; exit 1; fi";
    stage.configure_hooks(Scripts { after, more: "after_on: completed", ..ACCEPTED });
    let outcome = stage.run_due().await.exits(1);
    assert_eq!((outcome.target()["problems"][0].as_str(), stage.created()), (Some("hook_failed"), 1));
    assert!(stage.exists("thawed") && stage.count("after") == 2);
}

#[tokio::test]
async fn the_timeout_ends_a_hook_with_all_that_it_has_started() {
    let stage = Stage::new().await;
    let before = r#"(trap "" TERM; echo $$ > $F/started; while :; do sleep 0.05; done) & echo $! > $F/child; wait"#;
    stage.configure_hooks(Scripts { before, ..ACCEPTED });
    stage.reconfigure("timeout: 20s", "timeout: 1s");
    let outcome = stage.run_due().await.exits(1);
    assert_eq!(outcome.target()["error"], "`before` was killed at its timeout of 1s");
    assert_eq!((stage.created(), stage.count("after")), (0, 1));
    assert!(stage.exists("started"));
    let child = fs::read_to_string(stage.path("child")).unwrap();
    stage.until("the child is gone", || !is_alive(child.trim())).await;
}

/// Whether there is such a process that is no zombie.
fn is_alive(pid: &str) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    state.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[tokio::test]
async fn the_environment_has_what_is_promised_and_no_token() {
    let stage = Stage::new().await;
    stage.configure_hooks(Scripts { before: "env > $F/env-before", after: "env > $F/env-after", ..ACCEPTED });
    let secrets =
        ["env", "VPSORG_TOKEN=vps_canary5e1f0c7d", "CREDENTIALS_DIRECTORY=/run/vps_canary5e1f0c7d", "NOTIFY_SOCKET=@none", "LANG=C.UTF-8"];
    let outcome = stage.command_ends_through(&secrets, &["run", "--due", "--json"]).await.exits(0);
    assert_eq!(outcome.target()["result"], "success");
    let item = stage.emulator.ledger().creates()[0].clone();
    for name in ["env-before", "env-after"] {
        let text = fs::read_to_string(stage.path(name)).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let slot = stage.slot().to_string();
        let wanted = [
            ("SERVER_ID", "1"),
            ("SERVER_NAME", "web-01"),
            ("POLICY", "web"),
            ("KIND", "snapshot"),
            ("SLOT", &*slot),
            ("NAME", item.name.as_deref().unwrap()),
        ];
        for (key, value) in wanted {
            assert!(lines.contains(&&*format!("SNAPWARDEN_{key}={value}")), "{key}: {text}");
        }
        let state = fs::canonicalize(stage.path("state")).unwrap();
        assert!(lines.contains(&&*format!("SNAPWARDEN_STATE={}", state.display())), "{text}");
        assert!(lines.contains(&"LANG=C.UTF-8"), "{text}");
        assert!(!text.contains("TOKEN") && !text.contains("CREDENTIALS") && !text.contains("NOTIFY_SOCKET"), "{text}");
    }
    stage.token_is_nowhere();
}

#[tokio::test]
async fn killed_between_the_hooks() {
    let stage = slow_stage(600).await;
    stage.configure_hooks(Scripts { more: "after_on: completed", ..ACCEPTED });
    let mut daemon = stage.serve().await;
    stage.ledger_until("the create is committed", |ledger| !ledger.creates().is_empty()).await;
    daemon.kill();
    assert_eq!((stage.count("before"), stage.count("after")), (1, 0));
    // The provider does not answer, and the hooks have left the configuration.
    stage.emulator.fault(Fault::everywhere().status(503));
    stage.configure_due(KEEP_FOUR);
    let daemon = stage.serve().await;
    stage.until("it is thawed", || stage.count("after") == 1).await;
    daemon.terminate().await;
    let daemon = stage.serve().await;
    daemon.terminate().await;
    assert_eq!(stage.count("after"), 1, "once is enough");
}

#[tokio::test]
async fn killed_while_before_runs() {
    let stage = Stage::new().await;
    // It would freeze long after the next start has thawed.
    stage.configure_hooks(Scripts { before: "echo $$ > $F/pid.new; mv $F/pid.new $F/pid; sleep 15; echo > $F/frozen", ..ACCEPTED });
    let mut daemon = stage.serve().await;
    stage.until("`before` runs", || stage.exists("pid")).await;
    daemon.kill();
    let before = fs::read_to_string(stage.path("pid")).unwrap();
    assert!(is_alive(before.trim()));
    stage.configure_due(KEEP_FOUR);
    let daemon = stage.serve().await;
    stage.until("it is thawed", || stage.count("after") == 1).await;
    assert!(!is_alive(before.trim()) && !stage.exists("frozen"));
    stage.ledger_until("the item is made", |ledger| !ledger.creates().is_empty()).await;
    daemon.terminate().await;
}

#[tokio::test]
async fn a_stop_thaws() {
    // While the item is being made, and while `before` runs.
    for (before, creates) in [("", 1), ("echo > $F/runs; sleep 15", 0)] {
        let stage = slow_stage(600).await;
        stage.configure_hooks(Scripts { before, after: "sleep 0.3; echo > $F/thawed", more: "after_on: completed" });
        let daemon = stage.serve().await;
        stage.until("it is frozen", || stage.created() == 1 || stage.exists("runs")).await;
        daemon.terminate().await;
        assert!(stage.exists("thawed"));
        assert_eq!((stage.count("after"), stage.created()), (1, creates));
    }
}

#[tokio::test]
async fn an_interrupted_run_thaws() {
    let stage = slow_stage(600).await;
    stage.configure_hooks(Scripts { more: "after_on: completed", ..ACCEPTED });
    let run = stage.start(&["run", "--due"]);
    stage.ledger_until("the create is committed", |ledger| !ledger.creates().is_empty()).await;
    run.signal(Signal::INT);
    assert_eq!(run.ends().await, Some(130));
    assert_eq!(stage.count("after"), 1);
}

#[tokio::test]
async fn nothing_is_held_longer_than_max_hold() {
    let stage = slow_stage(600).await;
    stage.configure_hooks(Scripts { more: "after_on: completed, max_hold: 700ms", ..ACCEPTED });
    let daemon = stage.serve().await;
    stage.until("it is thawed", || stage.count("after") == 1).await;
    assert_eq!(stage.order(), ["before", "made", "after"]);
    daemon.terminate().await;
    // Nor while the answer to the create is outstanding.
    let stage = Stage::new().await;
    stage.configure_hooks(Scripts { more: "after_on: completed, max_hold: 700ms", ..ACCEPTED });
    stage.reconfigure("request_timeout: 500ms", "request_timeout: 20s");
    stage.emulator.fault(Fault::on_create(Kind::Snapshot).hang_after_commit());
    let mut daemon = stage.serve().await;
    stage.until("it is thawed", || stage.count("after") == 1).await;
    assert_eq!(stage.created(), 1);
    daemon.kill();
}

#[tokio::test]
async fn a_reload_without_hooks_thaws_all_the_same() {
    let stage = slow_stage(2).await;
    stage.configure_hooks(Scripts { more: "after_on: completed", ..ACCEPTED });
    let daemon = stage.serve().await;
    stage.ledger_until("the create is committed", |ledger| !ledger.creates().is_empty()).await;
    stage.reconfigure("id: 1, name: web-01, policy: web", "id: 2, policy: web, paused_until: 2099-01-01T00:00:00Z");
    daemon.signal(Signal::HUP);
    stage.until("it is thawed", || stage.count("after") == 1).await;
    daemon.terminate().await;
}
