//! How much memory the daemon has after a full cycle, and how soon it is ready.

use std::thread::sleep;
use std::time::Duration;

use super::measure::{cpu, memory as read_memory};
use super::stage::{Stage, Wish};

/// As many items as the provider allows, before and after: room is made with one delete, one item is made.
const FULL: &str = "\
snapshots: {schedule: \"SLOT\", catch_up: 2h, keep: {last: 5}, leave_free: 0}
backups: {schedule: \"SLOT\", catch_up: 2h, keep: {last: 10}, leave_free: 0}";

/// No limit of the client's that a fleet of this size would wait for.
pub const UNLIMITED: &str = "\
requests_per_second: 100000
concurrent_requests: 64
concurrent_creates: 1000
poll_every: 2s
request_timeout: 60s";

/// A table for fleets of several sizes.
pub fn memory() {
    println!(
        "\n| servers | items | ready | ready again, with what the journal knows | of that the requests | resident when ready | after a full cycle \
         | of that the program's file | after a scrape and a page | at most | CPU |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for servers in [10, 100, 1_000, 10_000] {
        one(servers);
    }
}

/// One line of it.
pub fn one(servers: u64) {
    let stage = Stage::new(Wish {
        servers,
        snapshots: 5,
        backups: 10,
        names: "prod-fleet",
        provider: UNLIMITED.to_owned(),
        policy: FULL.to_owned(),
        takes: Duration::from_secs(1),
        latency: Duration::ZERO,
    });
    let mut daemon = stage.serve();
    let ready = daemon.until_ready();
    let at_start = read_memory(daemon.pid());
    let writes = usize::try_from(2 * servers).unwrap();
    stage.until_written(writes, writes);
    // The runs end with the listing that shows the last item completed.
    sleep(Duration::from_secs(8));
    let after = read_memory(daemon.pid());
    let runs = daemon.metric("snapwarden_runs_total", "result=\"success\"");
    assert!(runs == 2.0 * servers as f64, "{runs} runs ended well; {}", stage.log());
    daemon.get("/").unwrap();
    let asked = read_memory(daemon.pid());
    let cpu = cpu(daemon.pid());
    daemon.stop();
    let mut daemon = stage.serve();
    let again = daemon.until_ready();
    // Some of them go on at the same time, so it is the sum that may be longer than the wait for them.
    let requests = daemon.metric("snapwarden_provider_request_duration_seconds_sum", "") * 1e3;
    println!(
        "| {servers} | {} | {} ms | {} ms | {requests:.0} ms | {:.1} MiB | {:.1} MiB | {:.1} MiB | {:.1} MiB | {:.1} MiB | {cpu:.1} s |",
        15 * servers,
        ready.as_millis(),
        again.as_millis(),
        at_start.resident,
        after.resident,
        after.file,
        asked.resident,
        asked.peak,
    );
}
