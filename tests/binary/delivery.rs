//! What `run` leaves for Prometheus where no daemon is asked: a text file, a push, and what it says when either fails.

use std::fs;
use std::io::ErrorKind;
use std::process::{Command, Stdio};

use snapwarden::domain::inventory::Kind;
use snapwarden::emulator::Fault;

use super::notices::{BUSY, Heard, Listener, OK};
use super::stage::{KEEP_FOUR, Outcome, Stage, free_port};

/// Where this is set, as in `.ci/run`, it is a failure that no Pushgateway is installed.
const REQUIRE_PUSHGATEWAY: &str = "SNAPWARDEN_REQUIRE_PUSHGATEWAY";

/// The value of a series, which is written without `snapwarden_`.
fn value(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("snapwarden_")?.strip_prefix(series)?.strip_prefix(' '));
    line.map(|value| value.parse().unwrap())
}

const WEB_SNAPSHOTS: &str = "{server=\"web-01\",server_id=\"1\",kind=\"snapshot\",policy=\"web\"}";

impl Stage {
    /// `run --due` with a text file; how it ended, and the file.
    async fn run_to_file(&self) -> (Outcome, String) {
        let path = self.path("snapwarden.prom");
        let outcome = self.command_ends(&["run", "--due", "--json", "--textfile", path.to_str().unwrap()]).await;
        let text = fs::read_to_string(path).unwrap();
        (outcome, text)
    }

    async fn run_to_gateway(&self, url: &str) -> Outcome {
        self.command_ends(&["run", "--due", "--json", "--pushgateway", url]).await
    }
}

#[tokio::test]
async fn a_text_file_tells_when_the_run_was_and_when_the_next_success_is_due() {
    let stage = Stage::new().await;
    stage.configure_due(KEEP_FOUR);
    let before = stage.emulator.now().as_second() as f64;
    let (outcome, text) = stage.run_to_file().await;
    outcome.exits(0);
    let success = value(&text, &format!("last_success_timestamp_seconds{WEB_SNAPSHOTS}")).unwrap();
    assert!(success >= before, "{text}");
    assert!(value(&text, &format!("overdue_after_timestamp_seconds{WEB_SNAPSHOTS}")).unwrap() > success);
    assert!(value(&text, "last_run_timestamp_seconds").unwrap() >= success);
    assert_eq!((value(&text, "last_run_successful"), value(&text, "provider_up")), (Some(1.0), Some(1.0)));
    // A journal that is lost with its container takes none of this away: the provider is asked.
    fs::remove_dir_all(stage.state()).unwrap();
    let (outcome, text) = stage.run_to_file().await;
    outcome.exits(0);
    assert!(value(&text, &format!("last_success_timestamp_seconds{WEB_SNAPSHOTS}")).unwrap() >= before, "{text}");
    assert_eq!(stage.created(), 1);
    let beside =
        fs::read_dir(stage.path("")).unwrap().filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with("tmp"));
    assert_eq!(beside.count(), 0);
}

#[tokio::test]
async fn a_run_that_fails_tells_so_in_its_file() {
    let stage = Stage::new().await;
    stage.configure_due(KEEP_FOUR);
    stage.emulator.fault(Fault::on_create(Kind::Snapshot).status(400));
    let (outcome, text) = stage.run_to_file().await;
    outcome.exits(1);
    let problem = WEB_SNAPSHOTS.replace('}', ",reason=\"create_failed\"}");
    assert_eq!((value(&text, "last_run_successful"), value(&text, &format!("problem{problem}"))), (Some(0.0), Some(1.0)), "{text}");
    stage.emulator.refuse_token(true);
    let (outcome, text) = stage.run_to_file().await;
    outcome.exits(3);
    assert_eq!(value(&text, "last_run_successful"), Some(0.0));
    assert_eq!((value(&text, "provider_up"), value(&text, "account_problem{reason=\"auth\"}")), (Some(0.0), Some(1.0)), "{text}");
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_no_success() {
    let stage = Stage::new().await;
    stage.configure_due(KEEP_FOUR);
    let outcome = stage.command_ends(&["run", "--due", "--textfile", "/proc/snapwarden.prom"]).await.exits(1);
    assert!(outcome.stderr.contains("error: failed to write the metrics to /proc/snapwarden.prom"), "{outcome:#?}");
    // The run itself was not held up by that.
    assert_eq!(stage.created(), 1);
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_told_before_anything_is_done() {
    let stage = Stage::new().await;
    stage.configure_due(KEEP_FOUR);
    let path = stage.path("missing/snapwarden.prom");
    let outcome = stage.command_ends(&["run", "--due", "--textfile", path.to_str().unwrap()]).await.exits(2);
    assert!(outcome.stderr.contains("its folder does not exist"), "{outcome:#?}");
    stage.command_ends(&["run", "--due", "--pushgateway", "gateway"]).await.exits(2);
    assert_eq!(stage.emulator.ledger().requests().count(), 0);
}

#[tokio::test]
async fn a_push_replaces_the_group_of_this_host() {
    let listener = Listener::new(&[BUSY, OK]).await;
    let stage = Stage::new().await;
    stage.configure_due(KEEP_FOUR);
    let root = listener.url().replace("/told/secret-path", "");
    stage.run_to_gateway(&root).await.exits(0);
    let heard: Vec<Heard> = listener.heard();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    // The first try met a gateway that was busy.
    assert_eq!(heard.len(), 2, "{heard:#?}");
    assert_eq!(heard[1].line, format!("PUT /metrics/job/snapwarden/instance/{host} HTTP/1.1"));
    assert!(heard[1].head.contains("text/plain; version=0.0.4") && !heard[1].head.to_lowercase().contains("authorization"), "{heard:#?}");
    assert_eq!(value(&heard[1].body, "last_run_successful"), Some(1.0));
    assert_eq!(heard[0].body, heard[1].body);
}

#[tokio::test]
async fn a_push_that_is_refused_is_no_success() {
    let refusal = "HTTP/1.1 400 Bad Request\r\ncontent-length: 23\r\n\r\npushed metrics are \x1b[31mbad";
    let listener = Listener::new(vec![Some(refusal)].leak()).await;
    let stage = Stage::new().await;
    stage.configure_due(KEEP_FOUR);
    let outcome = stage.run_to_gateway(&listener.url()).await.exits(1);
    assert_eq!(outcome.target()["result"], "success");
    assert!(outcome.stderr.contains("error: failed to push the metrics to 127.0.0.1: HTTP status 400"), "{outcome:#?}");
    assert!(!outcome.stderr.contains('\x1b'), "{outcome:#?}");
    assert_eq!(listener.heard().len(), 1, "what is refused is not sent again");
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let outcome = stage.run_to_gateway(&nobody).await.exits(1);
    assert!(outcome.stderr.contains("failed to push the metrics"), "{outcome:#?}");
    assert_eq!(stage.created(), 1);
}

#[tokio::test]
async fn what_a_daemon_does_for_it_is_told_by_the_gauges_of_the_daemon() {
    let stage = Stage::new().await;
    stage.configure_due(KEEP_FOUR);
    let daemon = stage.serve().await;
    stage.ledger_until("the daemon has made its item", |ledger| ledger.creates().len() == 1).await;
    // It needs no token of its own for that.
    fs::remove_file(stage.path("token")).unwrap();
    let path = stage.path("snapwarden.prom");
    stage.command_ends(&["run", "--all", "--json", "--textfile", path.to_str().unwrap()]).await.exits(0);
    let text = fs::read_to_string(path).unwrap();
    assert_eq!(value(&text, "last_run_successful"), Some(1.0), "{text}");
    assert_eq!(value(&text, &format!("slots_used{WEB_SNAPSHOTS}")), Some(stage.created() as f64), "{text}");
    daemon.terminate().await;
}

/// Debian's `prometheus-pushgateway` takes it, and shows what was pushed.
#[tokio::test]
async fn a_real_gateway_takes_it() {
    let port = free_port();
    let listen = format!("--web.listen-address=127.0.0.1:{port}");
    let gateway = Command::new("prometheus-pushgateway").arg(listen).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut gateway = match gateway {
        Ok(gateway) => gateway,
        Err(error) if error.kind() == ErrorKind::NotFound && std::env::var_os(REQUIRE_PUSHGATEWAY).is_none() => {
            println!("prometheus-pushgateway is not installed: skipped");
            return;
        }
        Err(error) => panic!("run prometheus-pushgateway (Debian's package of that name): {error}"),
    };
    let stage = Stage::new().await;
    stage.configure_due(KEEP_FOUR);
    stage.until("the gateway answers", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()).await;
    let outcomes =
        [stage.run_to_gateway(&format!("http://127.0.0.1:{port}")).await, stage.run_to_gateway(&format!("http://127.0.0.1:{port}")).await];
    let shown = super::stage::get(port, "/metrics").unwrap();
    gateway.kill().unwrap();
    gateway.wait().unwrap();
    let [first, second] = outcomes;
    first.exits(0);
    second.exits(0);
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    assert!(shown.contains(&format!("snapwarden_last_run_successful{{instance=\"{host}\",job=\"snapwarden\"}} 1\n")), "{shown}");
    assert_eq!(shown.matches("\nsnapwarden_last_success_timestamp_seconds{").count(), 1, "{shown}");
}
