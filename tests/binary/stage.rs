//! A provider, a configuration and a state folder of their own for each test, and the program as a child process.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp, Unit, Zoned, tz::TimeZone};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use snapwarden::domain::inventory::{ItemId, Kind, ServerId};
use snapwarden::emulator::{Effect, Emulator, EmulatorConfig, Item, Ledger, Maker, Rules, ServersAccess};
use tempfile::TempDir;

/// The program.
const PROGRAM: &str = env!("CARGO_BIN_EXE_snapwarden");
/// A token that must be seen nowhere but in requests to the provider.
const TOKEN: &str = "vps_canary5e1f0c7d";
/// How long anything may take. It is far more than enough; only a failing test reaches it.
const PATIENCE: Duration = Duration::from_secs(30);
/// Where the tests' programs listen: below what Linux gives away by itself (`ip_local_port_range`).
const PORTS: Range<u16> = 10_000..32_000;
/// The one server of most tests.
pub const WEB: ServerId = ServerId(1);
/// The policy `web` of the server `web-01`, with its slot five minutes ago and four items kept.
pub const KEEP_FOUR: &str = "keep: {last: 4}";

/// Everything that one test needs.
pub struct Stage {
    pub emulator: Emulator,
    folder: TempDir,
    port: u16,
    slot: Zoned,
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    /// The JSON on standard output.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// Ends the test unless the exit code is this one.
    #[track_caller]
    pub fn exits(self, code: i32) -> Outcome {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// The only target of a report.
    #[track_caller]
    pub fn target(&self) -> Value {
        let report = self.json();
        let targets = report["targets"].as_array().unwrap();
        assert_eq!(targets.len(), 1, "{report:#}");
        targets[0].clone()
    }
}

impl Stage {
    /// A provider as documented, whose items are completed within 300 ms, and without `GET /servers/`.
    pub async fn new() -> Stage {
        Stage::with_rules(Rules::default().everything_takes(Duration::from_millis(300))).await
    }

    pub async fn with_rules(rules: Rules) -> Stage {
        Stage::with(EmulatorConfig::with_rules(rules)).await
    }

    /// A provider like this, with the token of all tests and without `GET /servers/`.
    pub async fn with(config: EmulatorConfig) -> Stage {
        let config = EmulatorConfig { token: TOKEN.to_owned(), servers: ServersAccess::Missing, ..config };
        let emulator = Emulator::start(config).await.unwrap();
        emulator.add_server(WEB.0, "web-01");
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        fs::write(&token, TOKEN).unwrap();
        fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
        let past = emulator.now() - SignedDuration::from_mins(5);
        let slot = past.to_zoned(TimeZone::UTC).round(jiff::ZonedRound::new().smallest(Unit::Minute).mode(jiff::RoundMode::Trunc)).unwrap();
        Stage { emulator, folder, port: free_port(), slot }
    }

    /// A provider that holds `number` snapshots of this installation, the oldest first, a day apart; their ids.
    pub async fn holding(number: i64) -> (Stage, Vec<ItemId>) {
        let stage = Stage::new().await;
        let ids = (1..=number).rev().map(|days| stage.add_ours(Kind::Snapshot, days)).collect();
        (stage, ids)
    }

    /// Adds a completed item of the policy `web`, this many days old.
    pub fn add_ours(&self, kind: Kind, days: i64) -> ItemId {
        let at = self.slot.timestamp() - SignedDuration::from_hours(24 * days);
        let item = Item::completed(kind, WEB, at).described(&format!("snapwarden owner=prod policy=web slot={at}"));
        let item = if kind == Kind::Snapshot { item.named(&format!("prod-web-{}", at.strftime("%Y%m%dT%H%M%SZ"))) } else { item };
        self.emulator.add_item(item)
    }

    /// Adds a completed snapshot that somebody made by hand, this many days ago.
    pub fn add_theirs(&self, name: &str, days: i64) -> ItemId {
        let at = self.emulator.now() - SignedDuration::from_hours(24 * days);
        self.emulator.add_item(Item::completed(Kind::Snapshot, WEB, at).named(name))
    }

    /// When the passed slot of [`Stage::due`] was.
    pub fn slot(&self) -> Timestamp {
        self.slot.timestamp()
    }

    /// The lines of a kind under a policy, with its slot five minutes ago.
    pub fn due(&self, kind: &str, lines: &str) -> String {
        format!("    {kind}:\n      schedule: \"{} {} * * *\"\n      catch_up: 2h\n      {lines}\n", self.slot.minute(), self.slot.hour())
    }

    /// Writes the configuration: a due policy of snapshots for the server `web-01`. `lines` must be indented by six blanks, the first one apart.
    pub fn configure_due(&self, lines: &str) {
        self.configure(&format!("policies:\n  web:\n{}servers:\n  - {{id: 1, name: web-01, policy: web}}\n", self.due("snapshots", lines)));
    }

    /// Writes the configuration with these policies and servers.
    pub fn configure(&self, policies_and_servers: &str) {
        let head = format!(
            "owner: prod\nprovider:\n  url: {}\n  token_file: token\n  request_timeout: 500ms\n  requests_per_second: 100\n  poll_every: 50ms\n\
             state: {}\nlisten: 127.0.0.1:{}\nlog: {{format: json, level: debug}}\n",
            self.emulator.url(),
            self.state().display(),
            self.port
        );
        fs::write(self.config(), head + policies_and_servers).unwrap();
    }

    /// Changes the text of the configuration.
    pub fn reconfigure(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.config()).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(self.config(), text.replace(from, to)).unwrap();
    }

    pub fn config(&self) -> PathBuf {
        self.folder.path().join("snapwarden.yaml")
    }

    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// A path in the folder of this test.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a text where it stays after the test, for a person to read. The file's name is given back.
    pub fn keep(&self, name: &str, text: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("snapwarden-{name}-{}", self.port));
        fs::write(&path, text).unwrap();
        path
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.arg("--config").arg(self.config()).args(arguments).env_clear().stdin(Stdio::null());
        command
    }

    /// The same, begun by this command line, which ends with what is to be run: `setsid`, `nice`, `sh -c '…; exec "$@"' sh`.
    fn command_through(&self, through: &[&str], arguments: &[&str]) -> Command {
        let mut command = Command::new(through[0]);
        command.args(&through[1..]).arg(PROGRAM).arg("--config").arg(self.config()).args(arguments).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub async fn command_ends(&self, arguments: &[&str]) -> Outcome {
        self.ends(self.command(arguments)).await
    }

    /// Runs a command to its end, begun by another command line.
    pub async fn command_ends_through(&self, through: &[&str], arguments: &[&str]) -> Outcome {
        self.ends(self.command_through(through, arguments)).await
    }

    async fn ends(&self, mut command: Command) -> Outcome {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (stdout, stderr) = (collect(child.stdout.take()), collect(child.stderr.take()));
        let code = Running { child, log: self.config() }.ends().await;
        let outcome = Outcome { code, stdout: stdout.await.unwrap(), stderr: stderr.await.unwrap() };
        assert!(!outcome.stdout.contains(TOKEN) && !outcome.stderr.contains(TOKEN), "the token is shown: {outcome:#?}");
        outcome
    }

    /// `run --due --json`.
    pub async fn run_due(&self) -> Outcome {
        self.command_ends(&["run", "--due", "--json"]).await
    }

    /// Starts a command and leaves it running. Its log goes to a file of the test's folder.
    pub fn start(&self, arguments: &[&str]) -> Running {
        self.spawn(self.command(arguments))
    }

    /// The same, begun by another command line.
    pub fn start_through(&self, through: &[&str], arguments: &[&str]) -> Running {
        self.spawn(self.command_through(through, arguments))
    }

    fn spawn(&self, mut command: Command) -> Running {
        let log = self.path(&format!("log-{}", free_port()));
        let child = command.stdout(Stdio::null()).stderr(File::create(&log).unwrap()).spawn().unwrap();
        Running { child, log }
    }

    /// Starts the daemon and waits until it answers.
    pub async fn serve(&self) -> Running {
        self.answers(self.start(&["serve"])).await
    }

    /// Starts the daemon by another command line and waits until it answers.
    pub async fn serve_through(&self, through: &[&str]) -> Running {
        self.answers(self.spawn(self.command_through(through, &["serve"]))).await
    }

    async fn answers(&self, mut daemon: Running) -> Running {
        self.until("the daemon answers", || {
            assert!(daemon.is_on(), "the daemon ended: {}", daemon.log());
            self.get("/healthz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
        })
        .await;
        daemon
    }

    /// Where the daemon listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The daemon's answer to a GET, with its head; `None`: it does not listen.
    pub fn get(&self, path: &str) -> Option<String> {
        let answer = get(self.port, path)?;
        assert!(!answer.contains(TOKEN), "the token is shown");
        Some(answer)
    }

    /// The value of a series, which is written as in the text format without `snapwarden_`; `None`: there is no such series.
    pub fn metric(&self, series: &str) -> Option<f64> {
        let text = self.get("/metrics")?;
        let value = text.lines().find_map(|line| line.strip_prefix("snapwarden_")?.strip_prefix(series)?.strip_prefix(' '));
        value.map(|value| value.parse().unwrap())
    }

    /// Waits until the ledger is as wished.
    pub async fn ledger_until(&self, what: &str, wished: impl Fn(&Ledger) -> bool) {
        let waited = tokio::time::timeout(PATIENCE, self.emulator.wait_for(wished)).await;
        assert!(waited.is_ok(), "waited in vain until {what}: {:#?}", self.emulator.ledger());
    }

    /// Waits until something is true that no ledger tells.
    pub async fn until(&self, what: &str, mut wished: impl FnMut() -> bool) {
        let waiting = async {
            while !wished() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "waited in vain until {what}");
    }

    /// The ids that were deleted through the API, in order.
    pub fn deleted(&self) -> Vec<ItemId> {
        self.emulator.ledger().deletes().iter().map(|item| item.id).collect()
    }

    /// How many items were made through the API.
    pub fn created(&self) -> usize {
        self.emulator.ledger().creates().len()
    }

    /// The most items that were ever being made at the same time.
    pub fn most_in_progress(&self) -> usize {
        let ledger = self.emulator.ledger();
        let steps = ledger.effects().map(|record| match &record.effect {
            Effect::Created { by: Maker::Api, .. } => 1,
            Effect::Ended { .. } => -1,
            _ => 0_isize,
        });
        let in_progress = steps.scan(0, |sum, step| {
            *sum += step;
            Some(*sum)
        });
        in_progress.max().unwrap_or(0).unsigned_abs()
    }

    /// Ends the test if two items were made for one slot, or the cap was run into.
    #[track_caller]
    pub fn no_twins_and_no_refusals(&self) {
        let ledger = self.emulator.ledger();
        let mut slots: Vec<_> = ledger.creates().iter().map(|item| (item.kind, item.server, item.description.clone())).collect();
        slots.sort();
        let made = slots.len();
        slots.dedup();
        assert_eq!(slots.len(), made, "two items of one slot");
        assert_eq!(ledger.cap_refusals(), 0);
    }

    /// Ends the test if a file of the state folder, or a log, holds the token.
    #[track_caller]
    pub fn token_is_nowhere(&self) {
        for path in files_below(self.folder.path()) {
            let bytes = fs::read(&path).unwrap();
            let shown = bytes.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes());
            assert!(!shown || path.ends_with("token"), "the token is in {}", path.display());
        }
    }
}

/// A child process that is killed at the end of its test.
pub struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// The most memory that it ever had, in mebibytes.
    pub fn memory_peak_mib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid().as_raw_nonzero())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() / 1024
    }

    /// Whether it has not ended.
    pub fn is_on(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Kills it without a warning.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end and gives the exit code.
    pub async fn ends(mut self) -> Option<i32> {
        let waiting = async {
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status.code();
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("the process did not end")
    }

    /// Ends it by SIGTERM, as a service manager does. Its whole log is given back.
    pub async fn terminate(self) -> String {
        self.signal(Signal::TERM);
        let log = self.log.clone();
        let code = self.ends().await;
        let log = fs::read_to_string(log).unwrap();
        assert_eq!(code, Some(0), "{log}");
        log
    }

    /// The file of its log.
    pub fn log_path(&self) -> PathBuf {
        self.log.clone()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; then both fail, which is right.
        let _ended = (self.child.kill(), self.child.wait());
    }
}

/// The answer to a GET on this machine, with its head; `None`: nobody listens.
pub fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// A port that nobody listens on, another each time; and none of those that the kernel gives to whoever asks for any, so that it stays free until the
/// program comes to it.
pub fn free_port() -> u16 {
    static ASKED: AtomicU16 = AtomicU16::new(0);
    // Processes that run beside each other begin far apart.
    let first = u64::from(std::process::id()) * 997;
    let mut ports = PORTS.map(|_| {
        let port = (first + u64::from(ASKED.fetch_add(1, Ordering::Relaxed))) % PORTS.len() as u64;
        PORTS.start + u16::try_from(port).unwrap()
    });
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a port that nobody listens on")
}

/// Reads to the end beside everything else, so that a full pipe holds nobody up.
fn collect(pipe: Option<impl Read + Send + 'static>) -> tokio::task::JoinHandle<String> {
    tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        pipe.unwrap().read_to_string(&mut text).unwrap();
        text
    })
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).filter(|path| path.is_file()).collect()
}
