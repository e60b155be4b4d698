//! The emulator through its socket, by a client that sees every byte.

mod client;
mod documented;
mod faults;
mod running;

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use client::Client;

const SERVER: u64 = 12345;
const MINUTE: Duration = Duration::from_secs(60);

/// An emulator with one server whose items take minutes, which no test waits for.
async fn started() -> (Emulator, Client) {
    started_with(Rules::default()).await
}

async fn started_with(rules: Rules) -> (Emulator, Client) {
    let emulator = Emulator::start(EmulatorConfig::with_rules(rules)).await.unwrap();
    emulator.add_server(SERVER, "web-server-01");
    let client = Client::of(&emulator);
    (emulator, client)
}

fn snapshot_order(name: &str) -> Value {
    json!({"server_id": SERVER, "name": name, "description": "Before major migration"})
}
