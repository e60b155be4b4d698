//! Clients of the endpoints that are slow, silent or many: they hold up neither a scraper nor a run.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use jiff::Timestamp;
use snapwarden::emulator::Ledger;

use super::stage::Stage;

const HALF_OPEN: usize = 300;
const SLOW: usize = 20;
const PERIOD: i64 = 3;

/// The slots of all creates, by their marks.
fn slots(ledger: &Ledger) -> Vec<Timestamp> {
    let slot = |description: &str| description.rsplit("slot=").next().unwrap().parse().unwrap();
    ledger.creates().iter().map(|item| slot(&item.description)).collect()
}

/// Connections of which each second one has sent a part of a request, as many as the system gives.
fn half_open(port: u16, count: usize) -> Vec<TcpStream> {
    let open = |number: usize| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        if number.is_multiple_of(2) {
            // It may have been pushed out already.
            let _gone = stream.write_all(b"GET /metrics HTTP/1.1\r\nHos");
        }
        Some(stream)
    };
    (0..count).filter_map(open).collect()
}

/// Sends a request a byte a second, again and again.
async fn dribble(port: u16) {
    loop {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return };
        for byte in b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if stream.write_all(&[*byte]).is_err() {
                break;
            }
        }
    }
}

#[tokio::test]
async fn half_open_and_slow_clients_hold_nobody_up() {
    let stage = Stage::new().await;
    stage.configure(&format!(
        "policies:\n  web:\n    snapshots: {{schedule: \"*/{PERIOD} * * * * *\", keep: {{last: 4}}, catch_up: 2500ms}}\n\
         servers:\n  - {{id: 1, name: web-01, policy: web}}\n"
    ));
    let daemon = stage.serve().await;
    let mut silent = half_open(stage.port(), HALF_OPEN);
    let slow: Vec<_> = (0..SLOW).map(|_| tokio::spawn(dribble(stage.port()))).collect();
    for made in 1..=4 {
        for path in ["/metrics", "/healthz"] {
            let answer = stage.get(path).unwrap_or_default();
            assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer:?}");
        }
        stage.ledger_until("the next slot is served", |ledger| ledger.creates().len() >= made).await;
        silent.extend(half_open(stage.port(), HALF_OPEN / 3));
    }
    slow.iter().for_each(tokio::task::JoinHandle::abort);
    drop(silent);
    daemon.terminate().await;
    let slots = slots(&stage.emulator.ledger());
    assert!(slots.windows(2).all(|pair| pair[1].duration_since(pair[0]).as_secs() == PERIOD), "a due create is missing: {slots:?}");
    stage.no_twins_and_no_refusals();
}
