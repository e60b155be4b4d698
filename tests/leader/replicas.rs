//! Two replicas of the daemon on one provider, each behind a door that notes what it writes there.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use snapwarden::clock::{Clock, SystemClock};
use snapwarden::emulator::Rules;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use super::api::Api;
use super::stage::{Stage, free_port, get};

/// How long the lease of these tests holds. Writes have to be over within a third of it.
pub const DURATION: SignedDuration = SignedDuration::from_secs(3);

/// A create or delete that a replica has sent.
#[derive(Debug, Clone)]
pub struct Write {
    pub at: Timestamp,
    pub line: String,
}

/// Passes everything on, and notes when what was written came by.
struct Door {
    port: u16,
    writes: Arc<Mutex<Vec<Write>>>,
}

impl Door {
    async fn open(to: u16) -> Door {
        let socket = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let door = Door { port: socket.local_addr().unwrap().port(), writes: Arc::default() };
        let writes = Arc::clone(&door.writes);
        tokio::spawn(async move {
            while let Ok((stream, _)) = socket.accept().await {
                tokio::spawn(pass(stream, to, Arc::clone(&writes)));
            }
        });
        door
    }
}

async fn pass(mut stream: TcpStream, to: u16, writes: Arc<Mutex<Vec<Write>>>) {
    let mut head = vec![0; 4096];
    // The line of a request comes in one piece: it is written in one.
    let Ok(count) = stream.read(&mut head).await else { return };
    let at = SystemClock::new().now().wall;
    let line = String::from_utf8_lossy(&head[..count]).lines().next().unwrap_or_default().to_owned();
    if !line.starts_with("GET ") && !line.is_empty() {
        writes.lock().unwrap().push(Write { at, line });
    }
    let Ok(mut inner) = TcpStream::connect(("127.0.0.1", to)).await else { return };
    if inner.write_all(&head[..count]).await.is_ok() {
        drop(copy_bidirectional(&mut stream, &mut inner).await);
    }
}

/// One replica.
pub struct Replica {
    child: Child,
    port: u16,
    door: Door,
    name: String,
    /// What it is called in the lease.
    pub identity: String,
}

impl Drop for Replica {
    fn drop(&mut self) {
        // It may have ended by itself; then both fail, which is right.
        let _ended = (self.child.kill(), self.child.wait());
    }
}

impl Replica {
    pub fn get(&self, path: &str) -> Option<String> {
        get(self.port, path)
    }

    pub fn writes(&self) -> Vec<Write> {
        self.door.writes.lock().unwrap().clone()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub fn is_over(&mut self) -> Option<i32> {
        self.child.try_wait().unwrap().map(|status| status.code().unwrap_or(-1))
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn metric(&self, series: &str) -> Option<f64> {
        let text = self.get("/metrics")?;
        let value = text.lines().find_map(|line| line.strip_prefix("snapwarden_")?.strip_prefix(series)?.strip_prefix(' '));
        value.map(|value| value.parse().unwrap())
    }

    pub fn leads(&self) -> bool {
        self.metric("leader") == Some(1.0)
    }

    fn status(&self) -> Option<Value> {
        let answer = self.get("/api/v1/status")?;
        serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
    }
}

/// The provider, the cluster, and what replicas are made of.
pub struct Scene {
    pub stage: Stage,
    pub api: Api,
    folder: TempDir,
}

impl Scene {
    /// A slot every two seconds; four items are kept. Nobody holds the lease.
    pub async fn new() -> Scene {
        let scene = Scene::bare().await;
        scene.api.put(serde_json::json!({"holderIdentity": ""}));
        scene.api.write_kubeconfig(&scene.kubeconfig());
        scene
    }

    /// The same on a real cluster.
    pub async fn on(kubeconfig: &Path) -> Scene {
        let scene = Scene::bare().await;
        fs::copy(kubeconfig, scene.kubeconfig()).unwrap();
        scene
    }

    async fn bare() -> Scene {
        let stage = Stage::with_rules(Rules::default().everything_takes(std::time::Duration::from_millis(200))).await;
        let api = Api::start().await;
        let folder = tempfile::tempdir().unwrap();
        stage.configure(
            "leader: {kubernetes: {lease: snapwarden, duration: 3s}}\ndeletes: {extra_per_day: 1000}\npolicies:\n  web:\n    snapshots:\n      \
             schedule: \"*/2 * * * * *\"\n      catch_up: 1s\n      keep: {last: 4}\nservers:\n  - {id: 1, name: web-01, policy: web}\n",
        );
        Scene { stage, api, folder }
    }

    fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// The configuration of a replica: its own door, folder and port.
    fn configure(&self, name: &str, door: u16, port: u16) -> PathBuf {
        let own = self.folder.path().join(name);
        fs::create_dir_all(&own).unwrap();
        let text = fs::read_to_string(self.stage.config()).unwrap();
        let url = self.stage.emulator.url();
        let inner: url::Url = url.parse().unwrap();
        let text = text
            .replace(&format!("127.0.0.1:{}/", inner.port().unwrap()), &format!("127.0.0.1:{door}/"))
            .replace(&self.stage.state().display().to_string(), &own.join("state").display().to_string())
            .replace(&format!("listen: 127.0.0.1:{}", self.stage.port()), &format!("listen: 127.0.0.1:{port}"))
            .replace("token_file: token", &format!("token_file: {}", self.stage.path("token").display()));
        assert!(text.contains(&format!("127.0.0.1:{door}")), "{text}");
        let path = own.join("snapwarden.yaml");
        fs::write(&path, text).unwrap();
        path
    }

    fn command(&self, config: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_snapwarden"));
        command.arg("--config").arg(config).args(arguments).env_clear().stdin(Stdio::null());
        command.env("KUBECONFIG", self.kubeconfig());
        command
    }

    /// Starts a replica and waits until it has looked around.
    pub async fn replica(&self, name: &str) -> Replica {
        let inner: url::Url = self.stage.emulator.url().parse().unwrap();
        let (door, port) = (Door::open(inner.port().unwrap()).await, free_port());
        let config = self.configure(name, door.port, port);
        let log = File::create(self.log_of(name)).unwrap();
        let child = self.command(&config, &["serve"]).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let mut replica = Replica { child, port, door, name: name.to_owned(), identity: String::new() };
        self.stage
            .until("the replica is ready", || {
                assert!(replica.is_over().is_none(), "it ended: {}", self.log(&replica));
                replica.get("/readyz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
            })
            .await;
        replica.identity = replica.status().unwrap()["leader"]["identity"].as_str().unwrap().to_owned();
        replica
    }

    /// A command beside a replica, to its end: the exit code and stderr.
    pub async fn command_beside(&self, replica: &Replica, arguments: &[&str]) -> (i32, String) {
        let config = self.folder.path().join(&replica.name).join("snapwarden.yaml");
        let mut command = self.command(&config, arguments);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    fn log_of(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.log"))
    }

    pub fn log(&self, replica: &Replica) -> String {
        fs::read_to_string(self.log_of(&replica.name)).unwrap()
    }

    pub async fn until_leads(&self, replica: &Replica) {
        self.stage.until(&format!("{} leads", replica.name), || replica.leads()).await;
    }

    /// So many more items have been made.
    pub async fn until_made(&self, more: usize) {
        let before = self.stage.created();
        self.stage.ledger_until("more items are made", |ledger| ledger.creates().len() >= before + more).await;
    }

    /// Ends the test if two items were made for one slot, or if a replica wrote while it did not hold the lease, or longer than that holds.
    #[track_caller]
    pub fn judge(&self, replicas: &[&Replica]) {
        self.stage.no_twins_and_no_refusals();
        let history = self.api.history();
        for replica in replicas {
            for write in replica.writes() {
                let held = history.iter().rev().find(|held| held.at <= write.at);
                let held = held.unwrap_or_else(|| panic!("{} before there was a lease", write.line));
                assert_eq!(held.holder, replica.identity, "{} by {}, and the lease was another's: {history:#?}", write.line, replica.name);
                assert!(write.at.duration_since(held.at) <= DURATION, "{} by {}, after its lease: {held:?}", write.line, replica.name);
            }
        }
    }
}
