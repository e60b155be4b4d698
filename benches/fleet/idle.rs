//! What waiting costs: the daemon between two listings, with nothing due.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use super::measure::{cpu, memory};
use super::memory::UNLIMITED;
use super::stage::{Stage, Wish};

const WATCHED: Duration = Duration::from_secs(60);

/// A table for fleets of several sizes.
pub fn idle() {
    println!("\n| servers | CPU in {} s | wake-ups of all threads | resident |", WATCHED.as_secs());
    println!("|---|---|---|---|");
    for servers in [100, 1_000, 10_000] {
        let stage = Stage::new(Wish {
            servers,
            snapshots: 4,
            backups: 0,
            names: "prod-fleet",
            provider: format!("{UNLIMITED}\nrefresh_every: 1h"),
            policy: "snapshots: {schedule: \"0 0 1 1 *\", keep: {last: 4}}".to_owned(),
            takes: Duration::ZERO,
            latency: Duration::ZERO,
        });
        let mut daemon = stage.serve();
        daemon.until_ready();
        sleep(Duration::from_secs(20));
        let (cpu_before, before) = (cpu(daemon.pid()), switches(daemon.pid()));
        sleep(WATCHED);
        let (cpu_after, after) = (cpu(daemon.pid()), switches(daemon.pid()));
        let resident = memory(daemon.pid()).resident;
        println!("| {servers} | {:.0} ms | {} | {resident:.1} MiB |", (cpu_after - cpu_before) * 1e3, after.saturating_sub(before));
    }
}

/// How often the threads of a process have gone to sleep by themselves; each time something woke them up.
fn switches(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let of_thread = |path: std::path::PathBuf| {
        // A thread may end meanwhile.
        let status = fs::read_to_string(path.join("status")).unwrap_or_default();
        status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")?.trim().parse::<u64>().ok()).unwrap_or(0)
    };
    tasks.map(|task| of_thread(task.unwrap().path())).sum()
}
