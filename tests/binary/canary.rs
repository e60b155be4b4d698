//! The token as a canary: on every path that fails it stays where it is, also where the provider sends it back.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use snapwarden::domain::inventory::Kind;
use snapwarden::emulator::{Fault, Method};

use super::stage::{KEEP_FOUR, Stage};

/// A token that no earlier test run had: its letters come from the stage's own random folder name and the clock.
fn new_token(stage: &Stage) -> String {
    let folder = stage.path("x").parent().unwrap().file_name().unwrap().to_string_lossy().replace('.', "");
    format!("vps_{folder}{:x}", stage.emulator.now().as_nanosecond())
}

/// What must not be found: the token, each half of it, and its Base64 at each of the three places within a group that it may begin at.
fn traces(token: &str) -> Vec<Vec<u8>> {
    let (left, right) = token.split_at(token.len() / 2);
    let mut traces: Vec<Vec<u8>> = [token, left, right].map(|text| text.as_bytes().to_vec()).to_vec();
    traces.extend((0..3).map(|lead| {
        let encoded = base64(&[&vec![b'x'; lead][..], token.as_bytes()].concat());
        // The first and the last group depend on what stands beside the token.
        encoded[4..encoded.len() - 4].to_vec()
    }));
    traces
}

fn base64(bytes: &[u8]) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |chunk: &[u8]| {
        let bits = chunk.iter().chain([0, 0].iter()).take(3).fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        [18, 12, 6, 0].map(|shift| LETTERS[bits >> shift & 63])
    };
    bytes.chunks(3).flat_map(group).collect()
}

/// A stage with a token of its own, and all places where it was looked for.
struct Canary {
    stage: Stage,
    token: String,
    traces: Vec<Vec<u8>>,
}

impl Canary {
    /// A due run that logs everything, to stderr and to files.
    async fn new(format: &str, level: &str) -> Canary {
        let stage = Stage::new().await;
        let token = new_token(&stage);
        stage.emulator.replace_token(&token);
        fs::write(stage.path("token"), &token).unwrap();
        // What hooks are given is left in files, which are looked through with the others.
        let dump = |side: &str| format!("{side}: {{run: [/bin/sh, -c, \"env > {}; env\"]}}", stage.path(&format!("{side}-env")).display());
        stage.configure_due(&format!("{KEEP_FOUR}\n      hooks: {{{}, {}, after_on: accepted}}", dump("before"), dump("after")));
        let logs = stage.path("logs");
        stage.reconfigure("{format: json, level: debug}", &format!("{{format: {format}, level: {level}, directory: {}}}", logs.display()));
        stage.reconfigure("catch_up: 2h", "catch_up: 2h\n      stuck_after: 1s");
        Canary { traces: traces(&token), stage, token }
    }

    #[track_caller]
    fn is_not_in(&self, place: &str, bytes: &[u8]) {
        for trace in &self.traces {
            let shown = bytes.windows(trace.len()).any(|window| window == trace);
            assert!(!shown, "{} is in {place}: {}", String::from_utf8_lossy(trace), String::from_utf8_lossy(bytes));
        }
    }

    /// Every file of the test but the token itself: state, logs and configuration.
    #[track_caller]
    fn is_in_no_file(&self) {
        for path in files_below(self.stage.path("token").parent().unwrap()) {
            if !path.ends_with("token") {
                self.is_not_in(&path.display().to_string(), &fs::read(&path).unwrap());
            }
        }
    }

    /// What one command prints and leaves behind.
    async fn command(&self, arguments: &[&str]) {
        let outcome = self.stage.command_ends(arguments).await;
        self.is_not_in(&format!("the output of {arguments:?}"), outcome.stdout.as_bytes());
        self.is_not_in(&format!("the errors of {arguments:?}"), outcome.stderr.as_bytes());
    }

    /// All commands one after the other, and a daemon with all it shows.
    async fn everything(&self) {
        for arguments in
            [&["check", "--online"][..], &["plan"], &["plan", "--json"], &["run", "--due", "--json"], &["status"], &["status", "--json"]]
        {
            self.command(arguments).await;
        }
        let requests = self.stage.emulator.read_ledger(|ledger| ledger.requests().count());
        let daemon = self.stage.serve().await;
        self.stage.ledger_until("it has asked", |ledger| ledger.requests().count() > requests).await;
        daemon.signal(Signal::HUP);
        for path in ["/metrics", "/", "/api/v1/status", "/readyz", "/healthz"] {
            self.is_not_in(path, self.stage.get(path).unwrap().as_bytes());
        }
        for file in ["cmdline", "environ"] {
            let bytes = fs::read(format!("/proc/{}/{file}", daemon.pid().as_raw_nonzero())).unwrap();
            self.is_not_in(file, &bytes);
        }
        daemon.terminate().await;
        self.is_in_no_file();
    }

    /// What a server might say that shows people what they have sent.
    fn echo(&self) -> String {
        let header = format!("Authorization: Bearer {}", self.token);
        format!("{{\"detail\": \"You sent {header}\", \"errors\": [\"{header}\"], \"token\": \"{}\"}}", self.token)
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).filter(|path| path.is_file()).collect()
}

#[test]
fn a_canary_would_be_found() {
    assert_eq!(base64(b"Man"), b"TWFu");
    let traces = traces("vps_0123456789abcdef");
    let whole = base64(b"Bearer vps_0123456789abcdef.");
    assert!(traces.iter().any(|trace| whole.windows(trace.len()).any(|window| window == trace)));
}

#[tokio::test]
async fn a_refused_token_stays_hidden() {
    for (status, format) in [(401, "text"), (403, "json")] {
        let canary = Canary::new(format, "trace").await;
        canary.stage.emulator.fault(Fault::everywhere().status(status).body(&canary.echo()).header("location", &canary.token));
        canary.everything().await;
    }
}

#[tokio::test]
async fn a_refusal_that_sends_it_back_is_not_passed_on() {
    for (whom, status, format) in [(Fault::on_create(Kind::Snapshot), 400, "json"), (Fault::on(Method::GET, "*"), 418, "text")] {
        let canary = Canary::new(format, "trace").await;
        canary.stage.emulator.fault(whom.status(status).body(&canary.echo()));
        canary.everything().await;
    }
}

#[tokio::test]
async fn garbage_that_sends_it_back_is_not_passed_on() {
    let canary = Canary::new("json", "debug").await;
    let bodies = [
        format!("{{\"count\": \"{}\", \"results\": []}}", canary.token),
        format!("{{\"count\": 1, \"results\": \"{}\"}}", canary.token),
        format!("{{\"count\": 1, \"results\": [], \"next\": \"http://{0}/{0}\"}}", canary.token),
        format!("{{\"id\": \"{0}\", \"server\": \"{0}\", \"{0}\": 1", canary.token),
        canary.token.clone(),
        format!("{{\"count\": 1, \"results\": [{{\"id\": \"{0}\", \"server\": \"{0}\", \"created_at\": \"{0}\"}}]}}", canary.token),
    ];
    for body in &bodies {
        canary.stage.emulator.lift_all();
        canary.stage.emulator.fault(Fault::everywhere().body(body));
        canary.command(&["plan", "--json"]).await;
        canary.command(&["check", "--online"]).await;
    }
    canary.stage.emulator.lift_all();
    canary.stage.emulator.fault(Fault::on(Method::POST, "*").body(&format!("{{\"id\": \"{0}\", \"name\": \"{0}\"}}", canary.token)));
    canary.everything().await;
}

#[tokio::test]
async fn a_redirect_or_a_cut_shows_nothing() {
    let canary = Canary::new("text", "debug").await;
    let to_itself = format!("http://127.0.0.1:1/{}", canary.token);
    canary.stage.emulator.fault(Fault::everywhere().nth(2).redirect(302, &to_itself));
    canary.stage.emulator.fault(Fault::everywhere().from(3).cut());
    canary.everything().await;
}

#[tokio::test]
async fn neither_a_bad_configuration_nor_a_bad_token_file_shows_it() {
    let canary = Canary::new("text", "debug").await;
    let (stage, token) = (&canary.stage, &canary.token);
    for mode in [0o644, 0o000] {
        fs::set_permissions(stage.path("token"), fs::Permissions::from_mode(mode)).unwrap();
        canary.command(&["check"]).await;
    }
    fs::set_permissions(stage.path("token"), fs::Permissions::from_mode(0o600)).unwrap();
    for text in [format!("{token}\n{token}\n"), format!("Bearer {token}"), format!("{token}\u{e5}")] {
        fs::write(stage.path("token"), text).unwrap();
        for arguments in [&["check"][..], &["run", "--due"], &["serve"]] {
            canary.command(arguments).await;
        }
    }
    fs::write(stage.path("token"), token).unwrap();
    let good = fs::read_to_string(stage.config()).unwrap();
    for line in [format!("token: {token}"), format!("token_file: token\n  token: {token}"), format!("password: {token}")] {
        fs::write(stage.config(), good.replace("token_file: token", &line)).unwrap();
        for arguments in [&["check"][..], &["plan"], &["serve"]] {
            canary.command(arguments).await;
        }
    }
}
