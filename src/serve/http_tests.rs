//! Tests of the routes, over a real socket.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::clock::{Clock, Mono, Now};
use crate::domain::inventory::Kind;
use crate::serve::health::STALL_AFTER;
use crate::serve::reports::{ReportRequests, report_channel};
use crate::serve::{ListenLimits, listener};
use crate::telemetry::samples;

/// A clock moved by hand.
#[derive(Default)]
pub struct HandClock(AtomicU64);

impl HandClock {
    /// Moves it on.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_millis() as u64, Ordering::Relaxed);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Now {
        Now { wall: Timestamp::UNIX_EPOCH, mono: Mono(Duration::from_millis(self.0.load(Ordering::Relaxed))) }
    }
}

/// A daemon's endpoints on a free port, with a main loop that answers.
struct Daemon {
    address: std::net::SocketAddr,
    clock: Arc<HandClock>,
    health: Arc<Health>,
}

impl Daemon {
    async fn start() -> Daemon {
        let (cache, requests) = report_channel();
        tokio::spawn(answer_all(requests));
        Daemon::start_with(cache).await
    }

    async fn start_with(cache: ReportCache) -> Daemon {
        let clock = Arc::new(HandClock::default());
        let metrics = Arc::new(Metrics::new().unwrap());
        metrics.configure(&[(Kind::Snapshot, "web".into())]);
        let health = Arc::new(Health::new(clock.clone(), Arc::clone(&metrics), STALL_AFTER));
        let socket = listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        let routes = router(Endpoints::new(metrics, cache, Arc::clone(&health)));
        tokio::spawn(listener::serve(socket, routes, ListenLimits::default(), std::future::pending()));
        Daemon { address, clock, health }
    }

    /// Sends a request with this first line and returns the whole answer.
    async fn ask(&self, line: &str) -> String {
        self.ask_with(line, "").await
    }

    /// The same with more lines in the head.
    async fn ask_with(&self, line: &str, head: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{head}\r\n").as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    }
}

async fn answer_all(mut requests: ReportRequests) {
    while let Some(request) = requests.recv().await {
        let _ = request.answer.send(Arc::new(samples::report()));
    }
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

#[tokio::test]
async fn metrics_come_with_their_content_type() {
    let answer = Daemon::start().await.ask("GET /metrics").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{answer}");
    for name in ["snapwarden_runs_total{", "snapwarden_restore_points{", "process_threads "] {
        assert!(body(&answer).contains(name), "{name}");
    }
}

#[tokio::test]
async fn the_status_is_json_and_the_page_is_html() {
    let daemon = Daemon::start().await;
    let answer = daemon.ask("GET /api/v1/status").await;
    assert!(answer.contains("\r\ncontent-type: application/json\r\n"), "{answer}");
    let status: serde_json::Value = serde_json::from_str(body(&answer)).unwrap();
    assert_eq!(status["servers"][0]["snapshots"]["used"], 4);
    let answer = daemon.ask("GET /").await;
    assert!(answer.contains("\r\ncontent-type: text/html; charset=utf-8\r\n"), "{answer}");
    assert!(body(&answer).ends_with("</html>") && body(&answer).contains("id=\"server-7\""));
    for (path, content_type) in
        [("/style.css", "text/css; charset=utf-8"), ("/status.js", "text/javascript; charset=utf-8"), ("/icon.svg", "image/svg+xml")]
    {
        let answer = daemon.ask(&format!("GET {path}")).await;
        assert!(answer.contains(&format!("\r\ncontent-type: {content_type}\r\n")), "{answer}");
        assert!(!body(&answer).is_empty());
    }
}

#[tokio::test]
async fn the_page_answers_its_form_and_is_not_sent_twice() {
    let daemon = Daemon::start().await;
    let found = daemon.ask("GET /?q=WEB&problems=1&sort=name").await;
    assert!(body(&found).contains("id=\"server-7\"") && !body(&found).contains("id=\"server-8\""));
    let tag_of = |answer: &str| answer.lines().find_map(|line| line.strip_prefix("etag: ").map(str::to_owned)).unwrap();
    let answer = daemon.ask("GET /").await;
    let tag = tag_of(&answer);
    assert_ne!(tag_of(&found), tag, "another query, another page");
    let again = daemon.ask_with("GET /", &format!("If-None-Match: {tag}\r\n")).await;
    assert!(again.starts_with("HTTP/1.1 304 ") && body(&again).is_empty() && tag_of(&again) == tag, "{again}");
    let other = daemon.ask_with("GET /", "If-None-Match: W/\"0\"\r\n").await;
    assert!(other.starts_with("HTTP/1.1 200 ") && body(&other) == body(&answer));
}

#[tokio::test]
async fn every_answer_carries_the_hardening_headers() {
    let daemon = Daemon::start().await;
    for line in ["GET /", "GET /?q=x", "GET /status.js", "GET /style.css", "GET /metrics", "GET /healthz", "GET /nowhere", "POST /"] {
        let answer = daemon.ask(line).await;
        for header in [
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
             base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
        ] {
            assert!(answer.contains(&format!("\r\n{header}\r\n")), "{line}: {answer}");
        }
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_refused() {
    let daemon = Daemon::start().await;
    assert!(daemon.ask("GET /nowhere").await.starts_with("HTTP/1.1 404 "));
    for line in ["POST /metrics", "DELETE /", "PUT /api/v1/status"] {
        let answer = daemon.ask(line).await;
        assert!(answer.starts_with("HTTP/1.1 405 ") && answer.contains("\r\nallow: GET,HEAD\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn head_has_the_length_but_no_body() {
    let answer = Daemon::start().await.ask("HEAD /healthz").await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\r\ncontent-length: 3\r\n"), "{answer}");
    assert_eq!(body(&answer), "");
}

#[tokio::test]
async fn healthz_tells_a_loop_that_stands_still() {
    let daemon = Daemon::start().await;
    assert_eq!(body(&daemon.ask("GET /healthz").await), "ok\n");
    daemon.clock.advance(STALL_AFTER);
    let answer = daemon.ask("GET /healthz").await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert_eq!(body(&answer), "the main loop has not gone round for 60 s\n");
}

#[tokio::test]
async fn readyz_tells_what_is_in_the_way() {
    let daemon = Daemon::start().await;
    daemon.health.set_not_ready("waiting for the first listing");
    let answer = daemon.ask("GET /readyz").await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert_eq!(body(&answer), "waiting for the first listing\n");
    daemon.health.set_ready();
    assert!(daemon.ask("GET /readyz").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn without_a_main_loop_metrics_are_unavailable_but_health_answers() {
    let (cache, requests) = report_channel();
    drop(requests);
    let daemon = Daemon::start_with(cache).await;
    for line in ["GET /metrics", "GET /", "GET /api/v1/status"] {
        let answer = daemon.ask(line).await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{line}: {answer}");
        assert_eq!(body(&answer), "failed to get a report: the main loop does not answer\n");
    }
    assert!(daemon.ask("GET /healthz").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn one_rendering_serves_a_report() {
    let (cache, requests) = report_channel();
    tokio::spawn(answer_all(requests));
    let metrics = Arc::new(Metrics::new().unwrap());
    let health = Arc::new(Health::new(Arc::new(HandClock::default()), Arc::clone(&metrics), STALL_AFTER));
    tokio::time::pause(); // so that both fall into the same second
    let endpoints = Endpoints::new(metrics, cache, health);
    let render = |_: &Metrics, _: &Report, query: &Query| Some(Text::from(query.address(1)));
    let text = async |query: &str| endpoints.text(&endpoints.page_text, Some(Query::parse(query)), render).await.unwrap().bytes;
    let (first, second) = (text("").await, text("sort=worst").await);
    assert_eq!(first.as_ptr(), second.as_ptr(), "the same bytes, not a copy");
    assert_eq!(text("q=web").await, "/?q=web");
    assert_eq!(text("").await, "/");
}
