//! What scrapes of ten thousand servers cost, and whether they hold up runs.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::measure::{cpu, memory};
use super::memory::UNLIMITED;
use super::stage::{Stage, Wish, get};

const SCRAPERS: usize = 16;

/// Snapshots that are made and dropped: one of each server.
const NIGHTLY: &str = "snapshots: {schedule: \"SLOT\", catch_up: 2h, keep: {last: 4}}\nbackups: {schedule: \"0 0 1 1 *\", keep: {last: 9}}";

/// What a provider allows that is what the runs wait for; the processors have time to spare.
const SLOW: (Duration, &str) = (
    Duration::from_millis(50),
    "requests_per_second: 100000\nconcurrent_requests: 8\nconcurrent_creates: 1000\npoll_every: 1s\nrequest_timeout: 30s",
);

/// One that answers as fast as it is asked.
const FAST: (Duration, &str) = (Duration::from_millis(5), UNLIMITED);

fn stage(servers: u64, (latency, provider): (Duration, &str)) -> Stage {
    Stage::new(Wish {
        servers,
        snapshots: 4,
        backups: 9,
        names: "prod-fleet",
        provider: provider.to_owned(),
        policy: NIGHTLY.to_owned(),
        takes: Duration::from_secs(1),
        latency,
    })
}

/// Prints both tables.
pub fn scrapes() {
    println!("\n| servers | a scrape | its size | CPU of one | resident before | after 1,000 scrapes |");
    println!("|---|---|---|---|---|---|");
    for servers in [100, 1_000, 10_000] {
        many(servers);
    }
    println!(
        "\n| runs | answers take | alone | {SCRAPERS} scrapers, each second | {SCRAPERS} scrapers without a pause | their scrapes a second |"
    );
    println!("|---|---|---|---|---|---|");
    let servers = 1_000;
    for provider in [SLOW, FAST] {
        let (alone, _) = runs(servers, 0, Duration::ZERO, provider);
        let (often, _) = runs(servers, SCRAPERS, Duration::from_secs(1), provider);
        let (always, scrapes) = runs(servers, SCRAPERS, Duration::ZERO, provider);
        println!(
            "| {servers} | {} ms | {:.1} s | {:.1} s | {:.1} s | {:.0} |",
            provider.0.as_millis(),
            alone.as_secs_f64(),
            often.as_secs_f64(),
            always.as_secs_f64(),
            scrapes as f64 / always.as_secs_f64()
        );
    }
}

/// A thousand scrapes, one after the other, each of a report of its own.
fn many(servers: u64) {
    let stage = stage(servers, FAST);
    let mut daemon = stage.serve();
    daemon.until_ready();
    let writes = usize::try_from(servers).unwrap();
    stage.until_written(writes, writes);
    thread::sleep(Duration::from_secs(8));
    let size = (0..20).map(|_| daemon.get("/metrics").unwrap().len()).max().unwrap();
    let (before, cpu_before) = (memory(daemon.pid()).resident, cpu(daemon.pid()));
    let mut shortest = Duration::MAX;
    for _ in 0..1_000 {
        let begun = Instant::now();
        daemon.get("/metrics").unwrap();
        shortest = shortest.min(begun.elapsed());
    }
    let each = (cpu(daemon.pid()) - cpu_before) / 1_000.0;
    // One that is answered from a report that is new, not from one that another scraper asked for.
    let fresh = (0..5).map(|_| {
        thread::sleep(Duration::from_millis(1_100));
        let begun = Instant::now();
        daemon.get("/metrics").unwrap();
        begun.elapsed()
    });
    let fresh = fresh.min().unwrap();
    println!(
        "| {servers} | {} ms | {:.1} MB | {:.1} ms | {before:.1} MiB | {:.1} MiB |",
        fresh.as_millis(),
        size as f64 / 1e6,
        each * 1e3,
        memory(daemon.pid()).resident
    );
}

/// How long all runs of a night take beside so many scrapers, which all ask at once and then pause, and how many scrapes were answered meanwhile.
fn runs(servers: u64, scrapers: usize, pause: Duration, provider: (Duration, &str)) -> (Duration, usize) {
    let stage = stage(servers, provider);
    let mut daemon = stage.serve();
    daemon.until_ready();
    let (ended, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let took = thread::scope(|scope| {
        for _ in 0..scrapers {
            let port = daemon.port();
            let (ended, answered) = (&ended, &answered);
            scope.spawn(move || {
                let mut next = Instant::now();
                while !ended.load(Ordering::Relaxed) {
                    get(port, "/metrics");
                    answered.fetch_add(1, Ordering::Relaxed);
                    next += pause;
                    thread::sleep(next.saturating_duration_since(Instant::now()));
                }
            });
        }
        let writes = usize::try_from(servers).unwrap();
        stage.until_written(writes, writes);
        ended.store(true, Ordering::Relaxed);
        daemon.begun.elapsed()
    });
    (took, answered.into_inner())
}
