//! `run` and `take` beside a daemon: the order goes over its socket, and ends as it would without one.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use snapwarden::domain::inventory::{Kind, ServerId};
use snapwarden::emulator::{Fault, Rules};

use super::stage::{KEEP_FOUR, Outcome, Stage};

/// Three servers under a policy whose slot is months away, so that only what is asked for is done.
const FAR: &str = "policies:\n  web:\n    snapshots: {schedule: \"@yearly\", catch_up: 0s, keep: {last: 4}}\n\
                   servers:\n  - {id: 1, name: web-01, policy: web}\n  - {id: 2, name: db-01, policy: web}\n  - {id: 3, name: db-02, policy: web}\n";

fn socket(stage: &Stage) -> PathBuf {
    stage.state().join("control.sock")
}

/// A provider with three servers, at which an item takes this long.
async fn three(takes: Duration) -> Stage {
    let stage = Stage::with_rules(Rules::default().everything_takes(takes)).await;
    stage.emulator.add_server(2, "db-01");
    stage.emulator.add_server(3, "db-02");
    stage.configure(FAR);
    stage
}

fn connect(stage: &Stage) -> UnixStream {
    let stream = UnixStream::connect(socket(stage)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

/// Everything that the daemon says to these bytes.
fn answer_to(stage: &Stage, bytes: &[u8]) -> String {
    let mut stream = connect(stage);
    // It may close before it has read everything.
    drop(stream.write_all(bytes));
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    String::from_utf8(answer).unwrap()
}

/// The keys of an object and of those in it, at any depth.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), shape(value))).collect(),
        Value::Array(list) => list.iter().map(shape).collect(),
        Value::Null => json!("null"),
        Value::Bool(_) => json!("bool"),
        Value::Number(_) => json!("number"),
        Value::String(_) => json!("text"),
    }
}

#[tokio::test]
async fn a_run_beside_a_daemon_is_the_same_as_without_one() {
    let alone = three(Duration::from_millis(300)).await;
    let first = alone.command_ends(&["run", "--server", "web-01", "--json"]).await.exits(0);
    let table = alone.command_ends(&["run", "--server", "db-01"]).await.exits(0);

    let stage = three(Duration::from_millis(300)).await;
    let daemon = stage.serve().await;
    let handed = stage.command_ends(&["run", "--server", "web-01", "--json"]).await.exits(0);
    let made = stage.emulator.ledger().creates()[0].id;
    assert_eq!(handed.target()["created"], json!([made.0]));
    assert_eq!(shape(&handed.json()), shape(&first.json()));
    assert_eq!(stage.created(), 1);
    let handed_table = stage.command_ends(&["run", "--server", "db-01"]).await.exits(0);
    assert_eq!((stage.created(), &handed_table.stdout), (2, &table.stdout));
    // What happens meanwhile is told here as well: the line of the create, and of the end.
    for line in ["create sent", "run ended"] {
        assert_eq!(table.stderr.contains(line), handed_table.stderr.contains(line), "{line} in {}", table.stderr);
    }
    let log = daemon.terminate().await;
    assert_eq!(log.matches("over the control socket").count(), 2, "{log}");
    assert!(!socket(&stage).exists());
    stage.token_is_nowhere();
}

#[tokio::test]
async fn exit_codes_are_those_of_a_run_without_a_daemon() {
    let stage = three(Duration::from_millis(300)).await;
    // On the first server all slots are others'.
    for days in 1..=5 {
        stage.add_theirs(&format!("by-hand-{days}"), days);
    }
    let daemon = stage.serve().await;
    let unknown = stage.command_ends(&["run", "--server", "nobody"]).await.exits(2);
    assert!(unknown.stderr.contains("no server with a policy answers to that"), "{}", unknown.stderr);
    let blocked = stage.command_ends(&["run", "--server", "1", "--json"]).await.exits(1).target();
    assert_eq!((&blocked["result"], &blocked["problems"]), (&json!("blocked"), &json!(["cap_full"])));
    let fault = stage.emulator.fault(Fault::on_create(Kind::Snapshot).status(400));
    let failed = stage.command_ends(&["run", "--server", "db-01", "--json"]).await.exits(1).target();
    assert_eq!(failed["result"], "failure", "{failed:#}");
    stage.command_ends(&["run", "--due", "--server", "db-02"]).await.exits(0);
    stage.emulator.lift(fault);
    stage.emulator.refuse_token(true);
    let refused = stage.command_ends(&["run", "--server", "db-02"]).await.exits(3);
    assert!(refused.stdout.is_empty() && refused.stderr.contains("failed to work with the provider"), "{refused:#?}");
    assert_eq!(stage.created(), 0);
    daemon.terminate().await;
}

#[tokio::test]
async fn what_is_due_is_left_to_the_daemon() {
    let stage = Stage::new().await;
    stage.configure_due(KEEP_FOUR);
    let daemon = stage.serve().await;
    let due = stage.command_ends(&["run", "--due"]).await.exits(0);
    stage.ledger_until("the slot is served", |ledger| ledger.creates().len() == 1).await;
    stage.until("the run has ended", || daemon.log().contains("run ended")).await;
    let again = stage.command_ends(&["run", "--due"]).await.exits(0);
    assert_eq!(again.stdout, "nothing is due\n");
    assert!(due.stdout.contains("success") || due.stdout == "nothing is due\n", "{}", due.stdout);
    assert_eq!(stage.created(), 1);
    daemon.terminate().await;
}

#[tokio::test]
async fn several_at_once_each_get_their_own() {
    let stage = three(Duration::from_millis(500)).await;
    let daemon = stage.serve().await;
    let run = |server: &'static str| {
        let stage = &stage;
        async move { stage.command_ends(&["run", "--server", server, "--json"]).await.exits(0).target() }
    };
    let (web, web_again, one, two) = tokio::join!(run("web-01"), run("web-01"), run("db-01"), run("db-02"));
    let ledger = stage.emulator.ledger();
    let mut told: Vec<(u64, u64)> = Vec::new();
    for target in [&web, &web_again, &one, &two] {
        let created = target["created"].as_array().unwrap();
        assert_eq!(created.len(), 1, "{target:#}");
        told.push((target["server"]["id"].as_u64().unwrap(), created[0].as_u64().unwrap()));
    }
    let mut made: Vec<(u64, u64)> = ledger.creates().iter().map(|item| (item.server.0, item.id.0)).collect();
    told.sort_unstable();
    made.sort_unstable();
    assert_eq!(told, made);
    assert_eq!(made.iter().map(|(server, _)| *server).collect::<Vec<_>>(), [1, 1, 2, 3]);
    daemon.terminate().await;
}

#[tokio::test]
async fn an_item_by_hand_also_of_a_kind_without_a_policy() {
    let stage = three(Duration::from_millis(300)).await;
    let daemon = stage.serve().await;
    let take = ["take", "snapshot", "--server", "web-01", "--label", "before-upgrade", "--keep-for", "14d", "--json"];
    assert_eq!(stage.command_ends(&take).await.exits(0).target()["result"], "success");
    let backup = stage.command_ends(&["take", "backup", "--server", "db-01", "--json"]).await.exits(0).target();
    assert_eq!((&backup["kind"], &backup["policy"]), (&json!("backup"), &json!("hand")));
    let ledger = stage.emulator.ledger();
    let made: Vec<_> = ledger.creates().iter().map(|item| (item.kind, item.server)).collect();
    assert_eq!(made, [(Kind::Snapshot, ServerId(1)), (Kind::Backup, ServerId(2))]);
    let item = ledger.creates()[0].clone();
    assert!(item.name.unwrap().starts_with("prod-before-upgrade-20"));
    assert!(item.description.contains("by=hand") && item.description.contains("until="), "{}", item.description);
    // The kind without a policy leaves no trace in what is told of the fleet.
    let status = stage.get("/api/v1/status").unwrap();
    assert!(!status.contains("\"hand\""), "{status}");
    stage.command_ends(&["take", "snapshot", "--server", "*"]).await.exits(2);
    let log = daemon.terminate().await;
    assert!(!log.contains("panicked"), "{log}");
}

#[tokio::test]
async fn a_daemon_that_is_killed_in_the_middle_is_told() {
    let stage = three(Duration::from_secs(20)).await;
    let mut daemon = stage.serve().await;
    let ordering = stage.command_ends(&["run", "--server", "web-01", "--json"]);
    let killing = async {
        stage.ledger_until("the create is taken", |ledger| ledger.creates().len() == 1).await;
        daemon.kill();
    };
    let (outcome, ()) = tokio::join!(ordering, killing);
    let outcome = outcome.exits(1);
    assert!(outcome.stderr.contains("it has gone away") && outcome.stdout.is_empty(), "{outcome:#?}");
    assert!(socket(&stage).exists(), "a killed daemon leaves its socket");
    // The next daemon replaces the socket, and knows what was begun.
    let daemon = stage.serve().await;
    stage.command_ends(&["run", "--due"]).await.exits(0);
    assert_eq!(stage.created(), 1);
    daemon.terminate().await;
}

#[tokio::test]
async fn a_daemon_that_stops_in_the_middle_says_so() {
    let stage = three(Duration::from_secs(20)).await;
    let daemon = stage.serve().await;
    let ordering = stage.command_ends(&["run", "--server", "web-01"]);
    let stopping = async {
        stage.ledger_until("the create is taken", |ledger| ledger.creates().len() == 1).await;
        daemon.terminate().await
    };
    let (outcome, _) = tokio::join!(ordering, stopping);
    let outcome = outcome.exits(1);
    assert!(outcome.stderr.contains("what was begun is picked up at its next start"), "{outcome:#?}");
    assert!(!socket(&stage).exists());
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_the_run_going() {
    let stage = three(Duration::from_millis(800)).await;
    let daemon = stage.serve().await;
    let client = stage.start(&["run", "--server", "web-01"]);
    stage.ledger_until("the create is taken", |ledger| ledger.creates().len() == 1).await;
    client.signal(Signal::INT);
    let path = client.log_path();
    assert_eq!(client.ends().await, Some(130));
    let said = fs::read_to_string(path).unwrap();
    assert!(said.contains("the daemon goes on with what was asked for"), "{said}");
    stage.until("the run has ended", || daemon.log().contains("run ended")).await;
    let log = daemon.terminate().await;
    assert!(log.contains("\"result\":\"success\""), "{log}");
    assert_eq!(stage.created(), 1);
}

#[tokio::test]
async fn a_socket_that_is_left_over_is_in_nobodys_way() {
    let stage = three(Duration::from_millis(300)).await;
    fs::create_dir(stage.state()).unwrap();
    drop(UnixListener::bind(socket(&stage)).unwrap());
    stage.command_ends(&["run", "--server", "web-01"]).await.exits(0);
    let daemon = stage.serve().await;
    let metadata = fs::symlink_metadata(socket(&stage)).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    stage.command_ends(&["run", "--server", "web-01"]).await.exits(0);
    assert_eq!(stage.created(), 2);
    daemon.terminate().await;
}

#[tokio::test]
async fn a_daemon_without_a_socket_is_told_and_works() {
    let stage = Stage::new().await;
    stage.configure_due(KEEP_FOUR);
    fs::create_dir_all(socket(&stage)).unwrap();
    let daemon = stage.serve().await;
    stage.ledger_until("the slot is served", |ledger| ledger.creates().len() == 1).await;
    let outcome = stage.command_ends(&["run", "--server", "web-01"]).await.exits(1);
    assert!(outcome.stderr.contains("works on it") && outcome.stderr.contains("control.sock"), "{}", outcome.stderr);
    let log = daemon.terminate().await;
    assert!(log.contains("cannot reach this daemon"), "{log}");
}

#[tokio::test]
async fn garbage_strangers_and_the_silent_do_not_stop_the_daemon() {
    let stage = three(Duration::from_millis(300)).await;
    let daemon = stage.serve().await;
    let answer = answer_to(&stage, b"{\"snapwarden\":4,\"order\":{\"dance\":{}}}\n");
    assert!(answer.contains("refused") && answer.contains("version 3"), "{answer}");
    for garbage in [&b"\n"[..], b"GET / HTTP/1.1\r\n\r\n", b"\xff\xfe\n", b"{\"snapwarden\":1,\"order\":{\"dance\":{}}}\n", b"[[[[\n"] {
        let answer = answer_to(&stage, garbage);
        assert!(answer.contains("refused") && answer.ends_with('\n'), "{answer}");
    }
    let flood = answer_to(&stage, &vec![b'['; 1 << 20]);
    assert!(flood.contains("more than 65536 bytes") || flood.is_empty(), "{flood}");
    // Silent ones, and one that gives an order and reads nothing.
    let silent: Vec<UnixStream> = (0..20).map(|_| connect(&stage)).collect();
    let mut deaf = connect(&stage);
    let order = "{\"snapwarden\":3,\"order\":{\"run\":{\"select\":{\"servers\":[{\"id\":2}],\"policies\":[],\"kinds\":[]},\
                 \"due\":false,\"gauges\":false,\"by\":\"ann\"}}}\n";
    deaf.write_all(order.as_bytes()).unwrap();
    stage.ledger_until("the deaf one's item is made", |ledger| ledger.creates().len() == 1).await;
    let outcome: Outcome = stage.command_ends(&["run", "--server", "web-01"]).await.exits(0);
    assert!(outcome.stdout.contains("success"));
    assert_eq!(stage.created(), 2);
    drop((silent, deaf));
    daemon.terminate().await;
}

#[tokio::test]
async fn a_configuration_that_the_daemon_has_not_read_is_told() {
    let stage = three(Duration::from_millis(300)).await;
    let daemon = stage.serve().await;
    assert!(!stage.command_ends(&["run", "--server", "db-01"]).await.exits(0).stderr.contains("another configuration"));
    stage.reconfigure("  - {id: 2, name: db-01, policy: web}\n", "");
    let outcome = stage.command_ends(&["run", "--server", "db-01"]).await.exits(0);
    assert!(outcome.stderr.contains("another configuration"), "{}", outcome.stderr);
    assert_eq!(stage.created(), 2);
    daemon.terminate().await;
}

#[tokio::test]
async fn a_command_needs_no_token_where_the_daemon_has_one() {
    let stage = three(Duration::from_millis(300)).await;
    let daemon = stage.serve().await;
    let run = ["run", "--server", "db-02", "--token-file", "/nowhere/token"];
    stage.command_ends(&run).await.exits(0);
    assert_eq!(stage.created(), 1);
    daemon.terminate().await;
    stage.command_ends(&run).await.exits(2);
}
