//! Edges and queues; what arrives is tried with the built program.

use super::*;
use crate::clock::SystemClock;
use crate::domain::inventory::{Kind, ServerId};

fn ended(server: u64, result: RunResult) -> Fact {
    Fact::RunEnded {
        target: Target { server: ServerId(server), server_name: "<web>\n".into(), kind: Kind::Backup, policy: "web".into() },
        run: 1,
        slot: Some(Timestamp::UNIX_EPOCH),
        result,
        duration: Duration::ZERO,
        created: Vec::new(),
        deleted: Vec::new(),
        problems: Vec::new(),
        error: None,
    }
}

/// Notices without anybody who sends them, and what waits to be sent.
fn queued() -> (Notices, mpsc::Receiver<Vec<u8>>, mpsc::Receiver<&'static str>) {
    let (webhook, posts) = mpsc::channel(QUEUE_MAX);
    let (heartbeat, beats) = mpsc::channel(QUEUE_MAX);
    let url = || Some(Url::parse("https://example.org/x").unwrap());
    let recipients = Recipients { webhook: url(), heartbeat: url(), owner: "prod".to_owned() };
    let notices = Notices {
        recipients: Arc::new(Mutex::new(recipients)),
        clock: Arc::new(SystemClock::new()),
        failing: Mutex::new([(ServerId(9), Kind::Backup)].into()),
        queues: Mutex::new(Some(Queues { webhook, heartbeat })),
        workers: Mutex::default(),
    };
    (notices, posts, beats)
}

#[test]
fn only_the_edges_are_told() {
    use RunResult::{Blocked, Failure, Skipped, Success};
    let (notices, mut posts, _beats) = queued();
    let mut told = |server: u64, results: &[RunResult]| {
        results.iter().for_each(|result| notices.tell(&ended(server, *result)));
        let bodies = std::iter::from_fn(|| posts.try_recv().ok());
        let events = bodies.map(|body| serde_json::from_slice::<serde_json::Value>(&body).unwrap()["event"].as_str().unwrap().to_owned());
        events.collect::<Vec<_>>()
    };
    assert_eq!(told(1, &[Success, Failure, Blocked, Failure, Success, Success, Blocked]), ["failure", "recovery", "failure"]);
    assert_eq!(told(2, &[Failure, Skipped, Success]), ["failure", "recovery"]);
    // This one failed in an earlier process, which has told it.
    assert_eq!(told(9, &[Failure, Success]), ["recovery"]);
}

#[test]
fn a_full_queue_drops_and_holds_nobody_up() {
    let (notices, mut posts, mut beats) = queued();
    for server in 0..10 + QUEUE_MAX as u64 {
        notices.tell(&ended(1000 + server, RunResult::Failure));
    }
    assert_eq!(std::iter::from_fn(|| posts.try_recv().ok()).count(), QUEUE_MAX);
    assert_eq!(std::iter::from_fn(|| beats.try_recv().ok()).count(), QUEUE_MAX);
}

#[test]
fn the_suffix_goes_to_the_path() {
    let told = |url: &str, suffix| with_suffix(Url::parse(url).unwrap(), suffix).to_string();
    assert_eq!(told("https://hc.example.org/uuid/", "/start"), "https://hc.example.org/uuid/start");
    assert_eq!(told("https://hc.example.org", "/fail"), "https://hc.example.org/fail");
    assert_eq!(told("https://hc.example.org/uuid", ""), "https://hc.example.org/uuid");
}
