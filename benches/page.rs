//! How long the status page of a thousand servers takes in a browser: `cargo bench --bench page`. Needs Debian's `chromium` and `chromium-driver`.
//!
//! The built daemon, the emulated provider, and a headless Chromium with an empty profile, all on this machine. Times are the browser's own, from the
//! beginning of the navigation.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark ends by a panic")]
#![allow(dead_code, reason = "the stage of the tests can do more than is needed here")]

use jiff::SignedDuration;
use snapwarden::domain::inventory::{Kind, ServerId};
use snapwarden::emulator::{Item, ServersAccess};

#[path = "../tests/binary/stage.rs"]
mod stage;
#[path = "../tests/binary/webdriver.rs"]
mod webdriver;

use stage::{Running, Stage};

const SERVERS: u64 = 1_000;
const SNAPSHOTS: i64 = 4;
const BACKUPS: i64 = 9;
const LOADS: usize = 10;
/// What issue and documentation promise, in milliseconds.
const TARGET_MS: f64 = 200.0;
/// What is read off the browser: until the answer was there, until it was taken apart, until all was loaded, until something was to be seen.
const SCRIPT: &str =
    "const page = performance.getEntriesByType('navigation')[0]; const paint = performance.getEntriesByName('first-contentful-paint')[0];
    return [page.responseEnd, page.domContentLoadedEventEnd, page.loadEventEnd, paint ? paint.startTime : 0, page.encodedBodySize];";

/// A daemon that has seen everything of a thousand servers with a history behind them.
async fn fleet(servers: u64) -> (Stage, Running) {
    let stage = Stage::new().await;
    stage.emulator.set_servers_access(ServersAccess::Allowed);
    for id in 2..=servers {
        stage.emulator.add_server(id, &format!("web-{id:04}"));
    }
    for id in 1..=servers {
        for (kind, number) in [(Kind::Snapshot, SNAPSHOTS), (Kind::Backup, BACKUPS)] {
            for days in 1..=number {
                let at = stage.slot() - SignedDuration::from_hours(24 * days);
                let item = Item::completed(kind, ServerId(id), at).described(&format!("snapwarden owner=prod policy=web slot={at}"));
                let name = format!("prod-web-{}", at.strftime("%Y%m%dT%H%M%SZ"));
                stage.emulator.add_item(if kind == Kind::Snapshot { item.named(&name) } else { item });
            }
        }
    }
    let policy = "schedule: \"@yearly\", catch_up: 0s, keep:";
    stage.configure(&format!(
        "policies:\n  web:\n    snapshots: {{{policy} {{last: {SNAPSHOTS}}}}}\n    backups: {{{policy} {{last: {BACKUPS}}}}}\n\
         servers:\n  - {{match: \"*\", policy: web}}\n"
    ));
    let daemon = stage.serve().await;
    stage.until("everything was seen", || stage.get("/readyz").is_some_and(|answer| answer.contains(" 200 "))).await;
    (stage, daemon)
}

#[tokio::main]
async fn main() {
    // `cargo test --benches` runs this too: a few servers show that it works.
    let servers = if std::env::args().any(|argument| argument == "--bench") { SERVERS } else { 20 };
    let Some(browser) = webdriver::browser().await else { return };
    let (stage, daemon) = fleet(servers).await;
    let url = format!("http://127.0.0.1:{}/", stage.port());
    println!("{servers} servers, {SNAPSHOTS} snapshots and {BACKUPS} backups each; milliseconds since the beginning of the navigation");
    println!("{:>6} {:>8} {:>8} {:>8} {:>8} {:>8}", "load", "answered", "parsed", "loaded", "painted", "KiB");
    let mut slowest: f64 = 0.0;
    for load in 1..=LOADS {
        browser.open(&url);
        browser.wait("the page is painted", |browser| browser.run(SCRIPT)[3] != 0).await;
        let figures: Vec<f64> = browser.run(SCRIPT).as_array().unwrap().iter().map(|figure| figure.as_f64().unwrap()).collect();
        println!("{load:>6} {:>8.0} {:>8.0} {:>8.0} {:>8.0} {:>8.0}", figures[0], figures[1], figures[2], figures[3], figures[4] / 1024.0);
        slowest = slowest.max(figures[2]);
    }
    println!("the slowest: {slowest:.0} ms; promised are {TARGET_MS:.0} ms");
    daemon.terminate().await;
}
