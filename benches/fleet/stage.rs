//! A fleet at the emulated provider, its configuration, and the program as a child process.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use snapwarden::domain::inventory::{Kind, ServerId};
use snapwarden::emulator::{Account, Emulator, EmulatorConfig, Item, Maker, Rules, Server};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The program under measurement: the one built with this, or the one that `SNAPWARDEN_PROGRAM` names.
pub fn program() -> OsString {
    std::env::var_os("SNAPWARDEN_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_snapwarden").into())
}

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(1800);
const TOKEN: &str = "vps_measured0123456789";

/// How a fleet and its provider are.
#[derive(Debug, Clone)]
pub struct Wish {
    pub servers: u64,
    /// Of each server, all of the policy and completed.
    pub snapshots: u32,
    pub backups: u32,
    /// How the names of the snapshots begin.
    pub names: &'static str,
    /// What is added to `provider` in the configuration.
    pub provider: String,
    /// The lines of the policy's kinds; `SLOT` is a time of day that has just passed.
    pub policy: String,
    /// How long an item takes.
    pub takes: Duration,
    /// How long an answer takes at least.
    pub latency: Duration,
}

/// A provider and a folder with the configuration.
pub struct Stage {
    pub emulator: Emulator,
    pub wish: Wish,
    folder: TempDir,
    port: u16,
    _runtime: Runtime,
}

impl Stage {
    pub fn new(wish: Wish) -> Stage {
        let runtime = Runtime::new().unwrap();
        let now = Timestamp::now();
        let mut account = Account::new(Rules::default().everything_takes(wish.takes));
        for id in 1..=wish.servers {
            account.add_server(Server::active(id, &name(id)), now);
            for (kind, count) in [(Kind::Snapshot, wish.snapshots), (Kind::Backup, wish.backups)] {
                for days in (1..=i64::from(count)).rev() {
                    account.add_item(item(&wish, kind, id, now, days), now);
                }
            }
        }
        let config = EmulatorConfig { token: TOKEN.to_owned(), latency: wish.latency, account, ..EmulatorConfig::default() };
        let emulator = runtime.block_on(Emulator::start(config)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        fs::write(&token, TOKEN).unwrap();
        fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let stage = Stage { emulator, wish, folder, port, _runtime: runtime };
        stage.configure();
        stage
    }

    /// Writes the configuration, with the slot two minutes ago: everything is due.
    fn configure(&self) {
        let slot = Timestamp::now().checked_sub(SignedDuration::from_mins(2)).unwrap();
        let slot = slot.strftime("%M %H").to_string();
        let mut text = String::new();
        writeln!(text, "owner: prod\nprovider:\n  url: {}\n  token_file: token", self.emulator.url()).unwrap();
        self.wish.provider.lines().for_each(|line| writeln!(text, "  {line}").unwrap());
        writeln!(text, "state: {}\nlisten: 127.0.0.1:{}\nlog: {{level: warn}}", self.path("state").display(), self.port).unwrap();
        writeln!(text, "policies:\n  fleet:").unwrap();
        self.wish.policy.replace("SLOT", &format!("{slot} * * *")).lines().for_each(|line| writeln!(text, "    {line}").unwrap());
        writeln!(text, "servers:\n  - {{match: \"srv-*\", policy: fleet, at_least: {}}}", self.wish.servers).unwrap();
        fs::write(self.path("snapwarden.yaml"), text).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program, with this configuration; its log goes to a file.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let log = File::options().create(true).append(true).open(self.path("log")).unwrap();
        let mut command = Command::new(program());
        command.arg("--config").arg(self.path("snapwarden.yaml")).args(arguments);
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        command
    }

    /// Starts the daemon; it may not be ready yet.
    pub fn serve(&self) -> Daemon {
        Daemon { child: self.command(&["serve"]).spawn().unwrap(), port: self.port, begun: Instant::now() }
    }

    /// The creates and the deletes so far.
    pub fn writes(&self) -> (usize, usize) {
        self.emulator.read_ledger(|ledger| (ledger.created(|by| by == Maker::Api).len(), ledger.deletes().len()))
    }

    /// Waits until so many were made and deleted.
    pub fn until_written(&self, creates: usize, deletes: usize) {
        let begun = Instant::now();
        loop {
            let writes = self.writes();
            assert!(begun.elapsed() < PATIENCE, "{writes:?} of {creates} creates and {deletes} deletes; {}", self.log());
            if writes == (creates, deletes) {
                return;
            }
            sleep(Duration::from_millis(100));
        }
    }

    /// The requests so far: all, and those that list.
    pub fn calls(&self) -> (usize, usize) {
        self.emulator.read_ledger(|ledger| {
            let lists = ledger.requests().filter(|request| !request.is_write()).count();
            (ledger.requests().count(), lists)
        })
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

fn name(id: u64) -> String {
    format!("srv-{id:05}")
}

fn item(wish: &Wish, kind: Kind, server: u64, now: Timestamp, days: i64) -> Item {
    let at = now.checked_sub(SignedDuration::from_hours(24 * days)).unwrap();
    let at = Timestamp::from_second(at.as_second()).unwrap();
    let item = Item::completed(kind, ServerId(server), at).described(&format!("snapwarden owner=prod policy=fleet slot={at}"));
    if kind == Kind::Snapshot { item.named(&format!("{}-{}", wish.names, at.strftime("%Y%m%dT%H%M%SZ"))) } else { item }
}

/// The daemon as a child process; killed when dropped.
pub struct Daemon {
    child: Child,
    port: u16,
    pub begun: Instant,
}

impl Daemon {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it says that it is ready; how long that took since its start.
    pub fn until_ready(&mut self) -> Duration {
        loop {
            if self.get("/readyz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200")) {
                return self.begun.elapsed();
            }
            assert!(self.child.try_wait().unwrap().is_none(), "the daemon ended");
            assert!(self.begun.elapsed() < PATIENCE, "it does not become ready");
            sleep(Duration::from_millis(1));
        }
    }

    /// The answer to a GET, with its head; none: it does not listen yet.
    pub fn get(&self, path: &str) -> Option<String> {
        get(self.port, path)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The sum of all series of this metric whose line contains `part`.
    pub fn metric(&self, name: &str, part: &str) -> f64 {
        let answer = self.get("/metrics").unwrap();
        let lines = answer.lines().filter(|line| line.starts_with(name) && line.contains(part));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Ends it as the service manager would.
    pub fn stop(mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The answer to a GET on loopback, with its head.
pub fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}
