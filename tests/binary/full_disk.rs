//! A state folder on a file system that is full: nothing is begun that cannot be written down, everything else goes on, and it heals by itself.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use snapwarden::emulator::{Ledger, Method};

use super::history::{History, Law};
use super::stage::{Running, Stage};

/// A shell that ignores the signal of the file size limit, as errors are wanted instead, and becomes the program.
const UNSIGNALLED: [&str; 4] = ["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"];

const LAW: Law = Law {
    owner: "prod",
    adopted: &[],
    keep: 2,
    min_keep: 1,
    snapshots_cap: 5,
    backups_cap: 10,
    request_timeout: Duration::from_millis(500),
};

async fn each_second() -> Stage {
    let stage = Stage::new().await;
    stage.configure(
        "policies:\n  web:\n    snapshots: {schedule: \"* * * * * *\", keep: {last: 2}}\n    backups: {schedule: \"*/2 * * * * *\", keep: {last: 2}}\n\
         servers:\n  - {id: 1, name: web-01, policy: web}\n",
    );
    stage.reconfigure("poll_every: 50ms", "poll_every: 50ms\n  refresh_every: 200ms");
    stage
}

fn writes(ledger: &Ledger) -> usize {
    ledger.requests().filter(|request| request.is_write()).count()
}

/// Fills the disk under a daemon that works, makes room again, and judges everything that the provider saw.
async fn full_and_empty_again(stage: &Stage, daemon: Running, fill: impl Fn(Pid), make_room: impl Fn(Pid)) {
    stage.ledger_until("it works", |ledger| ledger.deletes().len() >= 2).await;
    fill(daemon.pid());
    let problem = "account_problem{reason=\"journal\"}";
    stage.until("it is told that the journal cannot be written", || stage.metric(problem) == Some(1.0)).await;
    // What was durable before may still have been on its way.
    let failed = |kind| stage.metric(&format!("runs_total{{kind=\"{kind}\",policy=\"web\",result=\"failure\"}}")).unwrap();
    let runs = failed("snapshot");
    let (before, lists) = stage.emulator.read_ledger(|ledger| (writes(ledger), ledger.requests_by(&Method::GET, "*").len()));
    stage.until("three runs came to nothing", || failed("snapshot") >= runs + 3.0).await;
    stage.ledger_until("it looks on", |ledger| ledger.requests_by(&Method::GET, "*").len() > lists + 3).await;
    assert_eq!(stage.emulator.read_ledger(writes), before, "nothing is sent that is not written down: {}", daemon.log());
    assert_eq!(stage.metric(problem), Some(1.0));
    make_room(daemon.pid());
    let made = stage.created();
    stage.ledger_until("it goes on", |ledger| ledger.creates().len() >= made + 3 && ledger.deletes().len() + 2 >= made).await;
    stage.until("the problem is over", || stage.metric(problem) == Some(0.0)).await;
    daemon.terminate().await;
    let breaches = History::of(&stage.emulator.ledger()).breaches(&LAW);
    assert!(breaches.is_empty(), "{breaches:#?}");
    stage.command_ends(&["run", "--due"]).await.exits(0);
}

/// Everywhere: the system lets the daemon write no byte into any file, as a quota does.
#[tokio::test]
async fn nothing_is_begun_while_no_file_may_grow() {
    let stage = each_second().await;
    let daemon = stage.serve_through(&UNSIGNALLED).await;
    let limit = |pid, bytes| {
        prlimit(Some(pid), Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
    };
    full_and_empty_again(&stage, daemon, |pid| limit(pid, Some(0)), |pid| limit(pid, None)).await;
}

#[tokio::test]
async fn a_start_without_room_sends_nothing_and_says_why() {
    let stage = Stage::new().await;
    stage.configure_due("keep: {last: 2}");
    for command in [&["run", "--due"][..], &["serve"]] {
        let no_room = ["sh", "-c", "trap '' XFSZ; ulimit -f 0; exec \"$@\"", "sh"];
        let outcome = stage.command_ends_through(&no_room, command).await.exits(1);
        assert!(outcome.stderr.contains("state folder") || outcome.stderr.contains("journal"), "{outcome:#?}");
    }
    assert_eq!(stage.emulator.read_ledger(writes), 0);
    stage.run_due().await.exits(0);
    assert_eq!(stage.created(), 1);
}

/// How a program can be begun with mounts of its own, which go away with it; `None`: this machine does not let us.
fn own_mounts() -> Option<Vec<&'static str>> {
    let ways = [vec!["unshare", "--mount"], vec!["unshare", "--map-root-user", "--mount"]];
    let works = |way: &Vec<&str>| {
        let trial = ["sh", "-c", "mount -t tmpfs tmpfs /mnt"];
        Command::new(way[0]).args(&way[1..]).args(trial).output().is_ok_and(|output| output.status.success())
    };
    ways.into_iter().find(works)
}

/// Where the machine allows it: a file system in memory that only the daemon sees.
#[tokio::test]
async fn nothing_is_begun_while_the_disk_is_full() {
    let Some(mut through) = own_mounts() else {
        eprintln!("SKIPPED: this machine lets nobody mount here; `nothing_is_begun_while_no_file_may_grow` stands in");
        return;
    };
    let stage = each_second().await;
    fs::create_dir(stage.state()).unwrap();
    let state = stage.state().to_str().unwrap().to_owned();
    let mount = format!("mount -t tmpfs -o size=2m,mode=0700 tmpfs '{state}' && exec \"$@\"");
    through.extend(["sh", "-c", &mount, "sh"]);
    let daemon = stage.serve_through(&through).await;
    let filler = |pid: Pid| PathBuf::from(format!("/proc/{}/root{state}/filler", pid.as_raw_nonzero()));
    let fill = |pid| {
        let mut file = File::create(filler(pid)).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
    };
    full_and_empty_again(&stage, daemon, fill, |pid| fs::remove_file(filler(pid)).unwrap()).await;
}

/// The log's own disk is full: the work goes on, and so does the log when there is room again, in whole lines.
#[tokio::test]
async fn a_full_disk_for_the_log_stops_nothing() {
    let Some(mut through) = own_mounts() else {
        eprintln!("SKIPPED: this machine lets nobody mount here");
        return;
    };
    let stage = each_second().await;
    let logs = stage.path("logs");
    fs::create_dir(&logs).unwrap();
    stage.reconfigure(
        "log: {format: json, level: debug}",
        &format!("log: {{format: json, level: debug, directory: {}, rotate: never}}", logs.display()),
    );
    let mount = format!("mount -t tmpfs -o size=64k tmpfs '{}' && exec \"$@\"", logs.display());
    through.extend(["sh", "-c", &mount, "sh"]);
    let daemon = stage.serve_through(&through).await;
    let seen = |name: &str| PathBuf::from(format!("/proc/{}/root{}/{name}", daemon.pid().as_raw_nonzero(), logs.display()));
    let length = || fs::metadata(seen("snapwarden.log")).map_or(0, |file| file.len());
    stage.until("a line is written", || length() > 0).await;
    let mut filler = File::create(seen("filler")).unwrap();
    while filler.write_all(&[0; 512]).is_ok() {}
    drop(filler);
    let made = stage.created();
    stage.ledger_until("it goes on without its log", |ledger| ledger.creates().len() >= made + 5).await;
    let full = length();
    assert!(full < 64 * 1024);
    fs::remove_file(seen("filler")).unwrap();
    stage.until("lines are written again", || length() > full + 1000).await;
    let text = fs::read_to_string(seen("snapwarden.log")).unwrap();
    daemon.terminate().await;
    let torn = text.lines().filter(|line| serde_json::from_str::<serde_json::Value>(line).is_err()).count();
    assert!(torn <= 1, "at most the line that met the end of the disk is no whole one: {text}");
}
