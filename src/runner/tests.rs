//! Real shell scripts, and what becomes of them.

use std::fs;
use std::path::Path;

use super::*;
use crate::domain::hook::HookSide;
use crate::domain::inventory::{Kind, ServerId};
use crate::domain::policy::Hook;
use crate::domain::record::{HooksBegun, OpId, RunId, Subject};

/// A shell script as a hook, with `$1` as the test's folder. That is the state folder too.
fn call(folder: &Path, script: &str, timeout: Duration) -> HookCall {
    let run = ["/bin/sh", "-c", script, "sh", folder.to_str().unwrap()].map(str::to_owned).to_vec();
    let subject = Subject { server: ServerId(7), server_name: "web 01\0".into(), kind: Kind::Snapshot, policy: "web".into() };
    let around = HooksBegun {
        op: OpId(1),
        run: RunId(1),
        subject,
        slot: Some("2026-11-21T03:30:00Z".parse().unwrap()),
        name: "prod-web-20261121T033000Z".into(),
        after: None,
        at: "2026-11-21T03:30:00Z".parse().unwrap(),
    };
    HookCall { side: HookSide::Before, hook: Hook { run, timeout }, around, inherited: false }
}

const LONG: Duration = Duration::from_secs(60);

async fn runs(folder: &Path, script: &str, timeout: Duration) -> (HookEnd, String) {
    // The sender lives as long as the hook runs: nobody ends it.
    let (_sender, stop) = oneshot::channel();
    run(call(folder, script, timeout), folder, stop).await
}

#[tokio::test]
async fn ends_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    assert_eq!(runs(folder, "echo out; echo err >&2", LONG).await, (HookEnd::Done, "out\nerr".to_owned()));
    assert_eq!(runs(folder, "echo no >&2; exit 3", LONG).await, (HookEnd::Failed("exited with status 3".to_owned()), "no".to_owned()));
    assert_eq!(runs(folder, "kill -9 $$", LONG).await.0, HookEnd::Failed("was ended by signal 9".to_owned()));
    let mut missing = call(folder, "", LONG);
    missing.hook.run = vec![folder.join("missing").to_str().unwrap().to_owned()];
    let (_sender, stop) = oneshot::channel();
    assert!(matches!(run(missing, folder, stop).await.0, HookEnd::Failed(error) if error.starts_with("cannot be started: No such file")));
}

#[tokio::test]
async fn the_environment_is_ours_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (end, output) = runs(folder.path(), "env; pwd; cat; ps -o pgid= -p $$ | tr -d ' '; echo $$", LONG).await;
    assert_eq!(end, HookEnd::Done);
    let lines: Vec<&str> = output.lines().collect();
    for wanted in ["SNAPWARDEN_SERVER_ID=7", "SNAPWARDEN_SERVER_NAME=web 01", "SNAPWARDEN_POLICY=web", "SNAPWARDEN_KIND=snapshot"] {
        assert!(lines.contains(&wanted), "{output}");
    }
    assert!(lines.contains(&"SNAPWARDEN_SLOT=2026-11-21T03:30:00Z"), "{output}");
    assert!(lines.contains(&"SNAPWARDEN_NAME=prod-web-20261121T033000Z"), "{output}");
    let state = fs::canonicalize(folder.path()).unwrap();
    assert!(lines.contains(&format!("SNAPWARDEN_STATE={}", state.display()).as_str()), "{output}");
    // The shell adds these by itself.
    let known =
        |name: &str| PASSED_ON.contains(&name) || name.starts_with("SNAPWARDEN_") || ["PWD", "SHLVL", "_", "OLDPWD"].contains(&name);
    let strange: Vec<_> = lines.iter().filter_map(|line| line.split_once('=')).filter(|(name, _)| !known(name)).collect();
    assert!(strange.is_empty() && std::env::var_os("CARGO_MANIFEST_DIR").is_some(), "{strange:?}");
    assert!(lines.contains(&"/"), "{output}");
    let numbers: Vec<_> = lines.iter().rev().take(2).collect();
    assert_eq!(numbers[0], numbers[1], "it leads a group of its own");
}

#[tokio::test]
async fn the_end_of_a_long_output_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (end, output) = runs(folder.path(), "i=0; while [ $i -lt 20000 ]; do echo $i; i=$((i+1)); done; exit 1", LONG).await;
    assert_eq!(end, HookEnd::Failed("exited with status 1".to_owned()));
    assert!(output.ends_with("\n19999") && output.len() <= output::OUTPUT_MAX, "{}", output.len());
}

#[tokio::test]
async fn the_timeout_ends_the_whole_group() {
    let folder = tempfile::tempdir().unwrap();
    // The child ignores the polite signal, so only the other one ends it; it says that it is there before anything can be measured.
    let script = r#"(trap "" TERM; echo $$ > "$1/child"; while :; do sleep 0.05; done) & wait"#;
    let (end, _) = runs(folder.path(), script, Duration::from_secs(1)).await;
    assert_eq!(end, HookEnd::Failed("was killed at its timeout of 1s".to_owned()));
    assert!(folder.path().join("child").exists());
    assert_eq!(still_running(folder.path()).await, 0);
}

/// How many processes have the environment of this test's hooks; those that are just ending are waited for.
async fn still_running(folder: &Path) -> usize {
    let marks = leftovers::marks(&environment(&call(folder, "", LONG), folder));
    for _ in 0..200 {
        if leftovers::find(&marks).is_empty() {
            return 0;
        }
        sleep(LOOK_EVERY).await;
    }
    leftovers::find(&marks).len()
}

#[tokio::test]
async fn what_holds_the_pipe_open_holds_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let ended = timeout(LONG, runs(folder.path(), "sleep 3600 & echo done", LONG)).await.unwrap();
    assert_eq!(ended, (HookEnd::Done, "done".to_owned()));
    // What it leaves behind on purpose is let be, until the next start finds its `after` still owed.
    let mut after = call(folder.path(), "true", LONG);
    after.inherited = true;
    let (_sender, stop) = oneshot::channel();
    assert_eq!(run(after, folder.path(), stop).await.0, HookEnd::Done);
    assert_eq!(still_running(folder.path()).await, 0);
}

#[tokio::test]
async fn a_stop_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let (sender, stop) = oneshot::channel();
    let (called, state) = (call(folder.path(), r#"echo > "$1/there"; sleep 3600"#, LONG), folder.path().to_owned());
    let running = tokio::spawn(async move { run(called, &state, stop).await });
    while !fs::exists(folder.path().join("there")).unwrap() {
        sleep(LOOK_EVERY).await;
    }
    sender.send(()).unwrap();
    assert_eq!(timeout(LONG, running).await.unwrap().unwrap().0, HookEnd::Stopped);
    assert_eq!(still_running(folder.path()).await, 0);
}

#[tokio::test]
async fn the_hooks_of_another_state_folder_are_let_be() {
    let (ours, others) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // The same create for all that the first six variables say.
    let (called, state) =
        (call(others.path(), r#"echo > "$1/there"; until [ -e "$1/end" ]; do sleep 0.05; done"#, LONG), others.path().to_owned());
    let (_sender, never) = oneshot::channel();
    let running = tokio::spawn(async move { run(called, &state, never).await });
    while !fs::exists(others.path().join("there")).unwrap() {
        sleep(LOOK_EVERY).await;
    }
    let inherited = HookCall { inherited: true, ..call(ours.path(), "true", LONG) };
    let (_sender, stop) = oneshot::channel();
    assert_eq!(run(inherited, ours.path(), stop).await.0, HookEnd::Done);
    fs::write(others.path().join("end"), "").unwrap();
    assert_eq!(timeout(LONG, running).await.unwrap().unwrap(), (HookEnd::Done, String::new()));
}
