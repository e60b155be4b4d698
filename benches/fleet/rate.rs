//! Whether a run uses what the concurrency allows.

use std::time::Duration;

use super::measure;
use super::stage::{Stage, Wish};

const SERVERS: u64 = 1_000;
const LATENCY: Duration = Duration::from_millis(50);

/// Calls beside which there can be no others: nothing is made before the first listing has come, and the last one comes after the last delete.
const ALONE: usize = 2;

/// One create and one delete of each server, with answers that take 50 ms.
pub fn rate() {
    println!("\n| servers | requests at a time | calls | lists | what the concurrency allows | took | ratio | CPU |");
    println!("|---|---|---|---|---|---|---|---|");
    for concurrency in [4, 16, 64] {
        let stage = Stage::new(Wish {
            servers: SERVERS,
            snapshots: 4,
            backups: 0,
            names: "prod-fleet",
            provider: format!(
                "requests_per_second: 100000\nconcurrent_requests: {concurrency}\nconcurrent_creates: 1000\npoll_every: 500ms\n\
                 request_timeout: 30s"
            ),
            policy: "snapshots: {schedule: \"SLOT\", catch_up: 2h, keep: {last: 4}}".to_owned(),
            takes: Duration::ZERO,
            latency: LATENCY,
        });
        let took = measure::undisturbed(&mut stage.command(&["run", "--due"]));
        let (calls, lists) = stage.calls();
        let servers = usize::try_from(SERVERS).unwrap();
        assert_eq!(stage.writes(), (servers, servers), "{}", stage.log());
        let bound = LATENCY.as_secs_f64() * ((calls - ALONE) as f64 / f64::from(concurrency) + ALONE as f64);
        let wall = took.wall.as_secs_f64();
        println!(
            "| {SERVERS} | {concurrency} | {calls} | {lists} | {bound:.2} s | {wall:.2} s | {:.2} | {:.2} s |",
            wall / bound,
            took.cpu
        );
    }
}
