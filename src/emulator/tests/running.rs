//! The running server: the ledger's view of time, keep-alive, size, stop and restart.

use std::time::SystemTime;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::clock::{Clock, Mono, SystemClock};
use crate::domain::inventory::{Kind, ServerId};

const LIST: &str = "/api/v1/snapshots/";

#[tokio::test]
async fn waiting_sees_completion_without_any_request() {
    let (emulator, client) = started_with(Rules::default().everything_takes(Duration::from_millis(5))).await;
    client.post(LIST, &snapshot_order("n")).await;
    let completed = |record: &EffectRecord| matches!(&record.effect, Effect::Ended { item } if item.progress == Progress::Completed);
    emulator.wait_for(|ledger| ledger.effects().any(completed)).await;
    assert!(emulator.items(Kind::Snapshot)[0].size_mb.is_some());
}

#[tokio::test]
async fn the_ledger_orders_requests_effects_and_answers() {
    let (emulator, client) = started().await;
    client.post(LIST, &snapshot_order("n")).await;
    client.get(LIST).await;
    let ledger = emulator.ledger();
    let create = ledger.requests_by(&Method::POST, "/snapshots/")[0].clone();
    let effect = ledger.effects().next().unwrap();
    assert_eq!((effect.request, create.server, create.kind), (Some(create.seq), Some(ServerId(SERVER)), Some(Kind::Snapshot)));
    assert!(create.seq < effect.seq && Some(effect.seq) < create.answered_seq);
    assert_eq!(create.order.map(|order| (order.name, order.server)), Some((Some("n".into()), ServerId(SERVER))));
    assert_eq!(ledger.requests_by(&Method::GET, "/snapshots/").len(), 1);
    assert_eq!((ledger.writes(None).len(), ledger.most_pending(), ledger.overlapping_writes().len()), (1, 1, 0));
}

#[tokio::test]
async fn the_ledger_tells_requests_without_the_token() {
    let (emulator, client) = started().await;
    client.get(LIST).await;
    emulator.replace_token("vps_another");
    client.post(LIST, &json!({"server_id": "seven"})).await;
    let ledger = emulator.ledger();
    let told: Vec<_> = ledger.requests().map(|request| (request.authorized, request.order.is_some())).collect();
    assert_eq!(told, [(true, false), (false, false)]);
}

#[tokio::test]
async fn overlapping_writes_to_one_server_are_found() {
    let (emulator, client) = started().await;
    emulator.add_server(7, "other");
    emulator.fault(Fault::on_create(Kind::Snapshot).nth(1).hang());
    let order = snapshot_order("n").to_string();
    let _hanging = client.send("POST", LIST, Some(&order)).await;
    emulator.wait_for(|ledger| ledger.requests().count() == 1).await;
    client.post(LIST, &json!({"server_id": 7, "name": "n"})).await;
    client.post(LIST, &snapshot_order("m")).await;
    let ledger = emulator.ledger();
    assert_eq!((ledger.overlapping_writes().len(), ledger.most_pending()), (1, 2));
}

#[tokio::test]
async fn connections_are_kept() {
    let (emulator, client) = started().await;
    let mut stream = TcpStream::connect(("127.0.0.1", emulator.port())).await.unwrap();
    let request = format!("GET {LIST} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n", client.token);
    for _ in 0..3 {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut start = [0_u8; 12];
        stream.read_exact(&mut start).await.unwrap();
        assert_eq!(&start, b"HTTP/1.1 200");
        let mut rest = Vec::new();
        while !rest.ends_with(b"[]}") {
            stream.read_buf(&mut rest).await.unwrap();
        }
    }
    assert_eq!(emulator.ledger().requests().count(), 3);
}

#[tokio::test]
async fn large_lists_are_whole_and_follow_each_change() {
    let (emulator, client) = started().await;
    let item = Item::completed(Kind::Snapshot, ServerId(SERVER), emulator.now());
    emulator.account(|account, now| {
        for _ in 0..2_000 {
            account.add_item(item.clone(), now);
        }
    });
    let ids = client.get(LIST).await.ids();
    assert_eq!(ids.len(), 2_000);
    assert_eq!(client.get(LIST).await.ids(), ids);
    client.delete(&format!("{LIST}{}/", ids[9])).await;
    assert_eq!(client.get(LIST).await.ids().len(), 1_999);
    emulator.add_server(SERVER, "renamed");
    assert_eq!(client.get(LIST).await.json()["results"][0]["server"]["name"], "renamed");
}

#[tokio::test]
async fn pages_and_clock_can_be_configured() {
    let config = EmulatorConfig { page_size: Some(1), clock_ahead: jiff::SignedDuration::from_hours(3), ..EmulatorConfig::default() };
    let emulator = Emulator::start(config).await.unwrap();
    emulator.add_server(SERVER, "web-server-01");
    let client = Client::of(&emulator);
    client.post(LIST, &snapshot_order("a")).await;
    client.post(LIST, &snapshot_order("b")).await;
    let raw = client.get(LIST).await;
    assert_eq!((raw.ids().len(), raw.json()["next"].is_string()), (1, true));
    let date = httpdate::parse_http_date(raw.header("date").unwrap()).unwrap();
    assert!(date > SystemTime::from(SystemClock::new().now().wall) + 179 * MINUTE);
}

#[tokio::test]
async fn latency_delays_each_answer() {
    let config = EmulatorConfig { latency: Duration::from_millis(10), ..EmulatorConfig::default() };
    let emulator = Emulator::start(config).await.unwrap();
    let clock = SystemClock::new();
    assert_eq!(Client::of(&emulator).get(LIST).await.status, 200);
    assert!(clock.now().mono >= Mono(Duration::from_millis(10)));
}

#[tokio::test]
async fn a_stopped_emulator_refuses_connections_and_can_go_on_elsewhere() {
    let (emulator, client) = started().await;
    client.post(LIST, &snapshot_order("n")).await;
    let port = emulator.port();
    let account = emulator.shutdown().await;
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
    let emulator = Emulator::start(EmulatorConfig { account, port, ..EmulatorConfig::default() }).await.unwrap();
    assert_eq!(emulator.port(), port);
    assert_eq!(client.get(LIST).await.ids().len(), 1);
}
