//! The emulated provider as a program of its own, for tests that a single process cannot hold: a real service manager, a container, a cluster.
//!
//! It listens on 127.0.0.1 only and prints a line of JSON for each write that arrives and for each effect; lists are not told.
//!
//! ```sh
//! cargo run --example emulator -- --port 8080 --token-file token --server 1=web-01 --takes 20s
//! ```

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use serde_json::{Value, json};
use snapwarden::domain::inventory::Kind;
use snapwarden::emulator::{Effect, Emulator, EmulatorConfig, Fault, Item, Ledger, Rules};

/// The emulated provider on loopback
#[derive(Debug, Parser)]
struct Options {
    /// The port
    #[arg(long)]
    port: u16,
    /// The file with the token that it accepts
    #[arg(long)]
    token_file: PathBuf,
    /// A server, as ID=NAME
    #[arg(long = "server", value_parser = server)]
    servers: Vec<(u64, String)>,
    /// How long a snapshot or backup takes
    #[arg(long, default_value = "2s", value_parser = humantime::parse_duration)]
    takes: Duration,
    /// A server whose snapshots and backups take longer, as ID=DURATION
    #[arg(long = "slow", value_parser = slow)]
    slow: Vec<(u64, Duration)>,
}

fn server(text: &str) -> Result<(u64, String), String> {
    let (id, name) = text.split_once('=').ok_or("write ID=…")?;
    Ok((id.parse().map_err(|error| format!("{id}: {error}"))?, name.to_owned()))
}

fn slow(text: &str) -> Result<(u64, Duration), String> {
    let (id, takes) = server(text)?;
    Ok((id, humantime::parse_duration(&takes).map_err(|error| format!("{takes}: {error}"))?))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let options = Options::parse();
    let token = std::fs::read_to_string(&options.token_file)?.trim().to_owned();
    let rules = Rules::default().everything_takes(options.takes);
    let emulator = Emulator::start(EmulatorConfig { port: options.port, token, ..EmulatorConfig::with_rules(rules) }).await?;
    for (id, name) in &options.servers {
        emulator.add_server(*id, name);
    }
    for (id, takes) in &options.slow {
        for kind in Kind::ALL {
            emulator.fault(Fault::on_create(kind).server(*id).takes(*takes));
        }
    }
    let mut told = 0;
    loop {
        emulator.wait_for(|ledger| lines(ledger, told).next().is_some()).await;
        let news: Vec<(u64, Value)> = emulator.read_ledger(|ledger| lines(ledger, told).collect());
        let mut stdout = std::io::stdout().lock();
        for (seq, line) in news {
            writeln!(stdout, "{line}")?;
            told = told.max(seq + 1);
        }
        stdout.flush()?;
    }
}

/// What the ledger holds from this place on, in order of place.
fn lines(ledger: &Ledger, from: u64) -> impl Iterator<Item = (u64, Value)> {
    let writes = ledger.requests().filter(move |request| request.is_write() && request.seq >= from);
    let writes = writes.map(|request| {
        (request.seq, json!({"do": "request", "method": request.method.as_str(), "path": request.path, "at": request.at.to_string()}))
    });
    let effects = ledger.effects().filter(move |record| record.seq >= from);
    let effects = effects.filter_map(|record| effect(&record.effect).map(|line| (record.seq, line)));
    let mut all: Vec<_> = writes.chain(effects).collect();
    all.sort_by_key(|(seq, _)| *seq);
    all.into_iter()
}

fn effect(effect: &Effect) -> Option<Value> {
    let about = |what: &str, item: &Item| {
        let name = item.name.as_deref();
        json!({"do": what, "kind": item.kind.as_str(), "id": item.id.0, "server": item.server.0, "name": name})
    };
    match effect {
        Effect::Created { item, .. } => Some(about("created", item)),
        Effect::Ended { item } => Some(about("ended", item)),
        Effect::Deleted { item, .. } => Some(about("deleted", item)),
        Effect::Refused { kind, why, .. } => Some(json!({"do": "refused", "kind": kind.as_str(), "why": format!("{why:?}")})),
        Effect::RestoreBegun { .. } | Effect::RestoreEnded { .. } => None,
    }
}
