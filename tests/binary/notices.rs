//! Notices: what arrives at a small HTTP server, which answers as a test wishes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use snapwarden::domain::inventory::Kind;
use snapwarden::emulator::Fault;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::stage::{KEEP_FOUR, Stage, WEB};

/// How a request is answered; `None`: never.
pub type Answer = Option<&'static str>;

pub const OK: Answer = Some("HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n");
pub const BUSY: Answer = Some("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n");

/// Takes notices.
pub struct Listener {
    url: String,
    heard: Arc<Mutex<Vec<Heard>>>,
}

/// A request: its first line, its head, and its body.
#[derive(Debug, Clone)]
pub struct Heard {
    pub line: String,
    pub head: String,
    pub body: String,
}

impl Heard {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

impl Listener {
    /// Answers the first requests so, and all later ones like the last of these.
    pub async fn new(answers: &'static [Answer]) -> Listener {
        let socket = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/told/secret-path", socket.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&heard);
        tokio::spawn(async move {
            loop {
                let (stream, _) = socket.accept().await.unwrap();
                tokio::spawn(answer(stream, Arc::clone(&shared), answers));
            }
        });
        Listener { url, heard }
    }

    /// Its address.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    fn lines(&self) -> Vec<String> {
        self.heard().into_iter().map(|heard| heard.line).collect()
    }
}

async fn answer(mut stream: TcpStream, heard: Arc<Mutex<Vec<Heard>>>, answers: &'static [Answer]) {
    let mut text = String::new();
    let (head, body) = loop {
        let mut chunk = [0; 4096];
        let count = stream.read(&mut chunk).await.unwrap();
        assert!(count > 0, "half a request: {text}");
        text.push_str(std::str::from_utf8(&chunk[..count]).unwrap());
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                break (head.to_owned(), body.to_owned());
            }
        }
    };
    let line = head.lines().next().unwrap().to_owned();
    let place = {
        let mut heard = heard.lock().unwrap();
        heard.push(Heard { line, head, body });
        heard.len() - 1
    };
    match answers.get(place).or(answers.last()).copied().flatten() {
        Some(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
        None => std::future::pending().await,
    }
}

impl Stage {
    /// A due policy, and somebody who is told.
    fn configure_notify(&self, what: &str, listener: &Listener) {
        self.configure_due(KEEP_FOUR);
        self.reconfigure("owner: prod\n", &format!("owner: prod\nnotify: {{{what}: \"{}\"}}\n", listener.url));
    }
}

#[tokio::test]
async fn a_failure_is_told_once_and_so_is_the_recovery() {
    let listener = Listener::new(&[OK]).await;
    let stage = Stage::new().await;
    stage.configure_notify("webhook", &listener);
    let refusal = stage.emulator.fault(Fault::on_create(Kind::Snapshot).status(400));
    // Each in a process of its own: what was told is known from the journal.
    stage.run_due().await.exits(1);
    stage.run_due().await.exits(1);
    let heard = listener.heard();
    assert_eq!(heard.len(), 1, "{heard:#?}");
    assert_eq!(heard[0].line, "POST /told/secret-path HTTP/1.1");
    assert!(!heard[0].head.to_lowercase().contains("authorization") && heard[0].head.contains("application/json"), "{heard:#?}");
    let told = heard[0].json();
    assert_eq!((&told["event"], &told["owner"], &told["result"]), (&"failure".into(), &"prod".into(), &"failure".into()));
    assert_eq!((&told["server"]["id"], &told["server"]["name"]), (&WEB.0.into(), &"web-01".into()));
    assert_eq!((&told["kind"], &told["policy"], &told["slot"]), (&"snapshot".into(), &"web".into(), &stage.slot().to_string().into()));
    assert_eq!(told["problems"][0]["reason"], "create_failed");
    assert!(told["error"].as_str().unwrap().contains("400") && told["at"].is_string() && told["version"].is_string(), "{told}");
    stage.emulator.lift(refusal);
    stage.run_due().await.exits(0);
    stage.command_ends(&["run", "--all"]).await.exits(0);
    let heard = listener.heard();
    assert_eq!(heard.len(), 2, "{heard:#?}");
    let told = heard[1].json();
    assert_eq!((&told["event"], &told["result"], &told["error"]), (&"recovery".into(), &"success".into(), &Value::Null));
    assert_eq!(told["created"].as_array().unwrap().len(), 1);
    assert!(heard.iter().all(|heard| !heard.body.contains("vps_") && !heard.head.contains("vps_")));
}

#[tokio::test]
async fn a_webhook_that_is_busy_is_tried_again() {
    let listener = Listener::new(&[BUSY, BUSY, OK]).await;
    let stage = Stage::new().await;
    stage.configure_notify("webhook", &listener);
    stage.emulator.fault(Fault::on_create(Kind::Snapshot).status(400));
    let outcome = stage.run_due().await.exits(1);
    let heard = listener.heard();
    assert_eq!(heard.len(), 3, "{heard:#?}");
    assert!(heard.iter().all(|again| again.body == heard[0].body));
    // The address may be all that keeps strangers away.
    assert!(outcome.stderr.contains("notice not delivered yet") && !outcome.stderr.contains("secret-path"), "{}", outcome.stderr);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Listener::new(&[OK]).await;
    let answer = format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", elsewhere.url);
    let answers: &'static [Answer] = vec![Some(&*answer.leak())].leak();
    let listener = Listener::new(answers).await;
    let stage = Stage::new().await;
    stage.configure_notify("webhook", &listener);
    stage.emulator.fault(Fault::on_create(Kind::Snapshot).status(400));
    stage.run_due().await.exits(1);
    assert_eq!((listener.heard().len(), elsewhere.heard().len()), (1, 0));
}

#[tokio::test]
async fn a_heartbeat_goes_around_each_run() {
    let listener = Listener::new(&[OK]).await;
    let stage = Stage::new().await;
    stage.configure_notify("heartbeat", &listener);
    let refusal = stage.emulator.fault(Fault::on_create(Kind::Snapshot).status(400));
    stage.run_due().await.exits(1);
    stage.emulator.lift(refusal);
    stage.run_due().await.exits(0);
    let path = |suffix: &str| format!("GET /told/secret-path{suffix} HTTP/1.1");
    assert_eq!(listener.lines(), [path("/start"), path("/fail"), path("/start"), path("")]);
}

#[tokio::test]
async fn who_does_not_answer_delays_no_run() {
    let listener = Listener::new(&[None]).await;
    let stage = Stage::new().await;
    stage.configure_notify("heartbeat", &listener);
    let daemon = stage.serve().await;
    let success = "runs_total{kind=\"snapshot\",policy=\"web\",result=\"success\"}";
    stage.until("the run is over", || stage.metric(success) == Some(1.0)).await;
    // The first notice of the run has not been given up yet: a run takes far less than one try.
    assert_eq!(listener.lines(), ["GET /told/secret-path/start HTTP/1.1"]);
    let log = tokio::time::timeout(Duration::from_secs(20), daemon.terminate()).await.unwrap();
    assert!(log.contains("notices could not be delivered before the end"), "{log}");
}
