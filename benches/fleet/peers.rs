//! The same night's work by snapwarden and by what one would write oneself, side by side: one snapshot of each server, one old one deleted.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::measure::{self, Took};
use super::stage::{Stage, Wish};

const ITEM_TAKES: Duration = Duration::from_secs(5);
const LATENCY: Duration = Duration::from_millis(20);

/// Prints a table. Python's line is left out where there is no `requests`; `benches/run` sees to it.
pub fn peers() {
    println!("\n| servers | by | calls | wall | CPU | memory at most |");
    println!("|---|---|---|---|---|---|");
    for servers in [10, 100, 1_000] {
        let ours = stage(servers, "prod-fleet");
        line(servers, "snapwarden run --due", &ours, measure::run(&mut ours.command(&["run", "--due"])));
        peer(servers, "curl, jq and cron", "snapshots.sh");
        if has_requests() {
            peer(servers, "Python and requests", "snapshots.py");
        }
    }
}

fn stage(servers: u64, names: &'static str) -> Stage {
    Stage::new(Wish {
        servers,
        snapshots: 4,
        backups: 0,
        names,
        provider: "requests_per_second: 100000\nconcurrent_requests: 4\nconcurrent_creates: 1000\npoll_every: 1s".to_owned(),
        policy: "snapshots: {schedule: \"SLOT\", catch_up: 2h, keep: {last: 4}}".to_owned(),
        takes: ITEM_TAKES,
        latency: LATENCY,
    })
}

fn peer(servers: u64, by: &str, script: &str) {
    let stage = stage(servers, "nightly");
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers").join(script));
    command.env("API", stage.emulator.url()).env("TOKEN_FILE", stage.path("token")).env("PREFIX", "srv-").env("POLL", "1");
    command.env("LOCK", stage.path("lock")).env("PATH", path()).stdin(Stdio::null());
    let took = measure::run(&mut command);
    line(servers, by, &stage, took);
}

fn line(servers: u64, by: &str, stage: &Stage, took: Took) {
    let expected = usize::try_from(servers).unwrap();
    assert_eq!(stage.writes(), (expected, expected), "{by}: {}", stage.log());
    let (calls, _) = stage.calls();
    println!("| {servers} | {by} | {calls} | {:.1} s | {:.2} s | {:.1} MiB |", took.wall.as_secs_f64(), took.cpu, took.memory);
}

/// With the folder of the Python that `benches/run` has set up in front.
fn path() -> std::ffi::OsString {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(std::iter::once(own).chain(std::env::split_paths(&path))).unwrap()
}

fn has_requests() -> bool {
    let mut python = Command::new("env");
    python.args(["python3", "-c", "import requests"]).env("PATH", path()).stderr(Stdio::null());
    python.status().is_ok_and(|status| status.success())
}
