//! What people see: colours only where they are wanted, progress while something is waited for, and a status that is shown again and again.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};
use snapwarden::domain::inventory::Kind;
use snapwarden::emulator::Fault;

use super::stage::{KEEP_FOUR, Outcome, Stage};

/// On a terminal as wide as that of most people. What the program writes to stdout and stderr comes out as one.
const ON_TERMINAL: [&str; 4] = [
    "bash",
    "-c",
    "unset NO_COLOR CLICOLOR CLICOLOR_FORCE; export TERM=xterm; exec script -qefc \"stty cols 200 rows 50; exec $(printf '%q ' \"$@\")\" /dev/null",
    "bash",
];

/// A command line that begins the program with these variables and no others that are about colours.
fn with_env(variables: &'static str) -> Vec<&'static str> {
    let mut line = vec!["env", "-u", "NO_COLOR", "-u", "CLICOLOR", "-u", "CLICOLOR_FORCE"];
    line.extend(variables.split_whitespace());
    line
}

/// The policy of most tests, with a log as people have it.
fn configure(stage: &Stage, keep: &str) {
    stage.configure_due(keep);
    stage.reconfigure("log: {format: json, level: debug}", "log: {format: text}");
}

#[tokio::test]
async fn colours_are_for_terminals_and_those_who_force_them() {
    let (stage, _) = Stage::holding(4).await;
    configure(&stage, KEEP_FOUR);
    for command in [&["status"][..], &["plan"], &["history"]] {
        let shows = async |variables| {
            let outcome: Outcome = stage.command_ends_through(&with_env(variables), command).await.exits(0);
            outcome.stdout.contains('\u{1b}')
        };
        let is_table = command != ["history"];
        assert_eq!(
            [shows("").await, shows("CLICOLOR_FORCE=1").await, shows("CLICOLOR_FORCE=1 NO_COLOR=1").await],
            [false, is_table, false],
            "{command:?}"
        );
        let on_terminal = stage.command_ends_through(&ON_TERMINAL, command).await.exits(0).stdout;
        assert_eq!(on_terminal.contains("\u{1b}[1m"), is_table, "{command:?}: {on_terminal:?}");
    }
    let dumb = ["bash", "-c", "export TERM=dumb; unset CI; exec script -qefc \"exec $(printf '%q ' \"$@\")\" /dev/null", "bash"];
    let shown = stage.command_ends_through(&dumb, &["status"]).await.exits(0).stdout;
    assert!(shown.contains("web-01") && !shown.contains('\u{1b}'), "{shown:?}");
}

#[tokio::test]
async fn a_run_without_a_terminal_tells_each_step_in_a_line_and_logs_none_of_them_twice() {
    let (stage, ours) = Stage::holding(4).await;
    configure(&stage, "keep: {last: 3}");
    let outcome = stage.command_ends(&["run", "--due"]).await.exits(0);
    let made = stage.emulator.ledger().creates()[0].clone();
    assert_eq!(stage.deleted(), ours[..2]);
    let expected = [
        format!("started for the slot {}", stage.slot()),
        format!("creating {}", made.name.unwrap()),
        format!("created {}, waiting until it is complete", made.id),
        format!("completed {}", made.id),
        format!("deleted {}: older than the 3 newest", ours[0]),
        format!("deleted {}: older than the 3 newest", ours[1]),
    ];
    let lines: Vec<&str> = outcome.stderr.lines().filter_map(|line| line.strip_prefix("web-01 (1), snapshot: ")).collect();
    assert_eq!(lines[..6], expected, "{outcome:#?}");
    assert!(lines[6].starts_with("ended after ") && lines[6].contains(&format!("created {}, deleted {},{}", made.id, ours[0], ours[1])));
    assert_eq!(lines.len(), 7, "{lines:#?}");
    for logged in ["item completed", "create decided", "run ended"] {
        assert!(!outcome.stderr.contains(logged), "{logged} in {outcome:#?}");
    }
    assert!(outcome.stdout.contains("success") && !outcome.stdout.contains("waiting"), "{outcome:#?}");
}

#[tokio::test]
async fn a_refusal_is_told_while_it_is_waited_for_and_not_only_at_the_end() {
    let (stage, _) = Stage::holding(4).await;
    configure(&stage, KEEP_FOUR);
    stage.emulator.fault(Fault::on_delete(Kind::Snapshot).status(403));
    let told = stage.command_ends(&["run", "--due"]).await.exits(1).stderr;
    assert!(told.contains("failure: the token may not do this"), "{told}");
    assert!(told.lines().any(|line| line.contains(": ended after ") && line.contains(": failure: ")), "{told}");
}

#[tokio::test]
async fn a_program_that_reads_the_log_as_json_reads_nothing_else() {
    let stage = Stage::new().await;
    stage.configure_due(KEEP_FOUR);
    let told = stage.command_ends(&["run", "--due"]).await.exits(0).stderr;
    assert!(told.contains("item completed"), "{told}");
    for line in told.lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
    }
}

#[tokio::test]
async fn log_files_have_the_facts_whatever_stderr_shows() {
    let stage = Stage::new().await;
    configure(&stage, KEEP_FOUR);
    stage.reconfigure("log: {format: text}", &format!("log: {{format: text, directory: {}}}", stage.path("logs").display()));
    stage.command_ends(&["run", "--due"]).await.exits(0);
    let file = fs::read_dir(stage.path("logs")).unwrap().next().unwrap().unwrap().path();
    let log = fs::read_to_string(file).unwrap();
    assert!(log.contains("item completed") && log.contains("run ended"), "{log}");
}

#[tokio::test]
async fn on_a_terminal_a_run_has_a_line_that_turns_and_leaves_what_matters() {
    let (stage, ours) = Stage::holding(4).await;
    configure(&stage, KEEP_FOUR);
    let shown = stage.command_ends_through(&ON_TERMINAL, &["run", "--due"]).await.exits(0).stdout;
    let made = stage.emulator.ledger().creates()[0].id;
    assert!(shown.contains(&format!("created {made}, waiting until it is complete")) && shown.contains("\u{1b}[2K"), "{shown:?}");
    for stays in [format!("completed {made}\r\n"), format!("deleted {}: older than the 4 newest", ours[0]), "success".to_owned()] {
        assert!(shown.contains(&stays), "{stays} in {shown:?}");
    }
}

#[tokio::test]
async fn a_watched_status_shows_what_changes_until_it_is_interrupted() {
    let stage = Stage::new().await;
    configure(&stage, KEEP_FOUR);
    let shown = stage.path("shown");
    let line = format!("exec \"$@\" > {}", shown.display());
    let watching = stage.start_through(&["sh", "-c", &line, "sh"], &["status", "--watch=50ms"]);
    let read = || fs::read_to_string(&shown).unwrap_or_default();
    stage.until("it is shown twice", || read().matches("SERVER").count() >= 2).await;
    assert!(read().contains("0/5") && !read().contains("1/5"));
    // What another process does in the meantime is seen at the provider and in the journal.
    stage.run_due().await.exits(0);
    stage.until("the run is shown", || read().contains("1/5")).await;
    watching.signal(Signal::INT);
    assert_eq!(watching.ends().await, Some(130));
    let text = read();
    assert!(!text.contains('\u{1b}'), "{text:?}");
    let blocks: Vec<&str> = text.split("\n\n").collect();
    assert!(blocks.len() >= 3 && blocks.iter().all(|block| block.starts_with("SERVER") && block.lines().count() == 2), "{text}");
}

#[tokio::test]
async fn a_watched_status_goes_on_when_the_provider_does_not_answer_but_does_not_begin_so() {
    let stage = Stage::new().await;
    configure(&stage, KEEP_FOUR);
    let shown = stage.path("shown");
    let line = format!("exec \"$@\" > {}", shown.display());
    let watching = stage.start_through(&["sh", "-c", &line, "sh"], &["status", "--watch=50ms"]);
    let read = || fs::read_to_string(&shown).unwrap_or_default();
    stage.until("it is shown", || read().contains("SERVER")).await;
    stage.emulator.refuse_token(true);
    stage.until("the refusal is shown", || read().contains("failed to work with the provider")).await;
    stage.command_ends(&["status", "--watch"]).await.exits(3);
    stage.emulator.refuse_token(false);
    let before = read().matches("SERVER").count();
    stage.until("it is well again", || read().matches("SERVER").count() > before).await;
    watching.signal(Signal::TERM);
    assert_eq!(watching.ends().await, Some(130));
}

#[tokio::test]
async fn on_a_terminal_a_watched_status_is_drawn_in_place_on_a_screen_of_its_own() {
    let stage = Stage::new().await;
    configure(&stage, KEEP_FOUR);
    let (shown, pid) = (stage.path("shown"), stage.path("pid"));
    let line = format!(
        "export TERM=xterm; exec script -qefc \"echo \\$\\$ > {}; exec $(printf '%q ' \"$@\")\" {}",
        pid.display(),
        shown.display()
    );
    let watching = stage.start_through(&["bash", "-c", &line, "bash"], &["status", "--watch=50ms"]);
    let read = || fs::read_to_string(&shown).unwrap_or_default();
    stage.until("it is drawn three times", || read().matches("\u{1b}[H").count() >= 3).await;
    let pid = fs::read_to_string(pid).unwrap().trim().parse().unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::INT).unwrap();
    assert_eq!(watching.ends().await, Some(130));
    let text = read();
    let (enter, leave) = (text.find("\u{1b}[?1049h").unwrap(), text.rfind("\u{1b}[?1049l").unwrap());
    assert!(enter < text.find("SERVER").unwrap() && text.rfind("SERVER").unwrap() < leave, "{text:?}");
    assert!(text.contains("\u{1b}[?25h"), "the cursor stays hidden: {text:?}");
}
