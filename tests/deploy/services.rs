//! Prometheus and Alertmanager from Debian's packages as child processes on loopback, and a webhook that hears what Alertmanager delivers.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::files::{not_installed, path, read};
use super::stage::free_port;

/// All durations of the rules are divided by this.
const HASTE: u64 = 300;
/// How often Prometheus scrapes and evaluates: four times in the shortest range of the rules.
const EVERY: &str = "250ms";
/// How long anything may take. Only a failing test reaches it.
const PATIENCE: Duration = Duration::from_secs(120);

/// An alert as it was delivered.
#[derive(Debug, Clone)]
pub struct Told {
    pub firing: bool,
    pub name: String,
    pub labels: Value,
    pub annotations: Value,
}

/// The two of them at work, and what they have told.
pub struct Watchers {
    children: Vec<Child>,
    prometheus: u16,
    folder: TempDir,
    told: Arc<Mutex<Vec<Told>>>,
}

impl Watchers {
    /// Watches the daemon on this port by our rules; `None`: the programs are not installed, and need not be.
    pub async fn start(daemon: u16) -> Option<Watchers> {
        let (prometheus, alertmanager) = (free_port(), free_port());
        let told = Arc::new(Mutex::new(Vec::new()));
        let webhook = listen(Arc::clone(&told)).await;
        let folder = tempfile::tempdir().unwrap();
        for name in ["alerts.yaml", "recording.yaml"] {
            fs::write(folder.path().join(name), hasten(&read(&format!("deploy/prometheus/{name}")))).unwrap();
        }
        let at = |name: &str| folder.path().join(name).display().to_string();
        // Ours, in a hurry and with this webhook.
        let route = read("deploy/prometheus/alertmanager.yaml").replace("http://127.0.0.1:8080/", &webhook);
        let route = route.replace("group_wait: 30s", "group_wait: 100ms").replace("group_interval: 5m", "group_interval: 500ms");
        fs::write(at("alertmanager.yaml"), route).unwrap();
        let config = format!(
            "global: {{scrape_interval: {EVERY}, scrape_timeout: {EVERY}, evaluation_interval: {EVERY}}}\n\
             rule_files: [alerts.yaml, recording.yaml]\n\
             alerting: {{alertmanagers: [{{static_configs: [{{targets: [\"127.0.0.1:{alertmanager}\"]}}]}}]}}\n\
             scrape_configs:\n  - {{job_name: snapwarden, static_configs: [{{targets: [\"127.0.0.1:{daemon}\"]}}]}}\n"
        );
        fs::write(at("prometheus.yaml"), config).unwrap();
        let mut children = Vec::new();
        let commands = [
            (
                "prometheus",
                vec![format!("--config.file={}", at("prometheus.yaml")), format!("--storage.tsdb.path={}", at("tsdb")), web(prometheus)],
            ),
            (
                "prometheus-alertmanager",
                vec![
                    format!("--config.file={}", at("alertmanager.yaml")),
                    format!("--storage.path={}", at("told")),
                    web(alertmanager),
                    "--cluster.listen-address=".to_owned(),
                ],
            ),
        ];
        for (program, arguments) in commands {
            children.push(spawn(program, &arguments, folder.path())?);
        }
        let watchers = Watchers { children, prometheus, folder, told };
        watchers.until("Prometheus answers", || get(prometheus, "/-/ready").is_some_and(|text| text.contains("200 OK"))).await;
        watchers.until("Alertmanager answers", || get(alertmanager, "/-/ready").is_some_and(|text| text.contains("200 OK"))).await;
        Some(watchers)
    }

    /// What Prometheus answers to an expression now; none: no data.
    pub fn query(&self, expr: &str) -> Vec<Value> {
        self.ask(&format!("/api/v1/query?query={}", encoded(expr)))
    }

    /// The series of an expression over the last minute.
    pub fn query_range(&self, expr: &str) -> Vec<Value> {
        let now = self.query("time()")[0].as_f64().unwrap();
        self.ask(&format!("/api/v1/query_range?query={}&start={}&end={now}&step=1", encoded(expr), now - 60.0))
    }

    fn ask(&self, path: &str) -> Vec<Value> {
        let answer = get(self.prometheus, path).unwrap();
        let body: Value =
            serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap_or_else(|error| panic!("{error}: {answer}"));
        assert_eq!(body["status"], "success", "{path}: {body}");
        body["data"]["result"].as_array().unwrap().clone()
    }

    /// Waits until the webhook has been told that an alert fires, or at last that it no longer does; gives what was told. `about` is the server, or empty.
    pub async fn until_told(&self, firing: bool, name: &str, about: &str) -> Told {
        let about_it = |alert: &&Told| alert.name == name && (about.is_empty() || alert.labels["server"] == about);
        let found = || {
            let told = self.told.lock().unwrap();
            // One that has cleared by now has fired all the same.
            if firing {
                told.iter().find(|alert| about_it(alert) && alert.firing)
            } else {
                told.iter().rfind(about_it).filter(|alert| !alert.firing)
            }
            .cloned()
        };
        self.until(&format!("{name} {about} firing: {firing}"), || found().is_some()).await;
        found().unwrap()
    }

    /// Everything that was told so far.
    pub fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    /// Waits until something is so.
    pub async fn until(&self, what: &str, mut wished: impl FnMut() -> bool) {
        let waiting = async {
            while !wished() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let begun = tokio::time::Instant::now();
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        println!("{:.1} s until {what}", begun.elapsed().as_secs_f32());
        if waited.is_err() {
            let log = |name: &str| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
            let alerts = get(self.prometheus, "/api/v1/alerts");
            panic!(
                "waited in vain until {what}\n{alerts:?}\n{}\n{}\n{:#?}",
                log("prometheus.log"),
                log("prometheus-alertmanager.log"),
                self.told()
            );
        }
    }
}

impl Drop for Watchers {
    fn drop(&mut self) {
        for child in &mut self.children {
            // It may have ended by itself; then both fail, which is right.
            let _ended = (child.kill(), child.wait());
        }
    }
}

fn web(port: u16) -> String {
    format!("--web.listen-address=127.0.0.1:{port}")
}

fn spawn(program: &str, arguments: &[String], folder: &Path) -> Option<Child> {
    let log = File::create(folder.join(format!("{program}.log"))).unwrap();
    match Command::new(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn() {
        Ok(child) => Some(child),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            not_installed(program);
            None
        }
        Err(error) => panic!("{program}: {error}"),
    }
}

/// Divides every duration of a file of rules: in `for:`, in ranges, and after `offset`.
fn hasten(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, start)) = ["for: ", "[", "offset "].iter().filter_map(|word| Some((rest.find(word)? + word.len(), *word))).min()
    {
        out.push_str(&rest[..before]);
        rest = &rest[before..];
        let digits = rest.chars().take_while(char::is_ascii_digit).count();
        let seconds = match rest.as_bytes().get(digits) {
            Some(b'm') => 60,
            Some(b'h') => 3600,
            Some(b'd') => 86_400,
            _ => 0,
        };
        let Ok(number) = rest[..digits].parse::<u64>() else {
            assert_eq!(digits, 0, "after {start}");
            continue;
        };
        assert!(seconds > 0, "a duration in an unknown unit: {rest}");
        out.push_str(&format!("{}ms", number * seconds * 1000 / HASTE));
        rest = &rest[digits + 1..];
    }
    out + rest
}

/// The answer to a GET, with its head.
fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Takes what Alertmanager delivers; gives the address.
async fn listen(told: Arc<Mutex<Vec<Told>>>) -> String {
    let socket = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/", socket.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = socket.accept().await.unwrap();
            let told = Arc::clone(&told);
            tokio::spawn(async move {
                let mut text = Vec::new();
                let mut buffer = [0; 4096];
                while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                    text.extend_from_slice(&buffer[..length]);
                    if let Some(body) = whole_body(&text) {
                        told.lock().unwrap().extend(alerts(&body));
                        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                        // Alertmanager may be gone: a test ends it at any time.
                        let _gone = stream.write_all(answer.as_bytes()).await;
                        return;
                    }
                }
            });
        }
    });
    url
}

fn whole_body(text: &[u8]) -> Option<Value> {
    let text = String::from_utf8_lossy(text);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length = head.to_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok())?;
    (body.len() >= length).then(|| serde_json::from_str(body).unwrap())
}

fn alerts(body: &Value) -> Vec<Told> {
    let alerts = body["alerts"].as_array().unwrap().iter();
    let told = alerts.map(|alert| Told {
        firing: alert["status"] == "firing",
        name: alert["labels"]["alertname"].as_str().unwrap().to_owned(),
        labels: alert["labels"].clone(),
        annotations: alert["annotations"].clone(),
    });
    told.collect()
}

#[test]
fn durations_are_divided_where_they_stand() {
    let text = "expr: x[5m] > 0 unless y offset 1h\nfor: 8d\nlabels: [a]\n";
    assert_eq!(hasten(text), "expr: x[1000ms] > 0 unless y offset 12000ms\nfor: 2304000ms\nlabels: [a]\n");
    assert!(path("deploy/prometheus/alerts.yaml").exists());
}
