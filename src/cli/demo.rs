//! `snapwarden demo`: the daemon on an emulated provider, to be watched.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;

use crate::clock::{Clock, SystemClock};
use crate::domain::fact::Fact;
use crate::domain::inventory::{Kind, ServerId};
use crate::emulator::{Emulator, EmulatorConfig, Item, Rules};
use crate::serve::daemon::Wish;
use crate::task;
use crate::telemetry::printable;

use super::Common;
use super::app::App;
use super::exit::{Exit, Failure};
use super::output::{self, Table};
use super::select::duration;
use super::serve::{Service, wishes};

/// Options of `demo`.
#[derive(Debug, clap::Args)]
pub(super) struct DemoArgs {
    /// Stop by itself after this time (e.g. 60s); without it, Ctrl-C stops it
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    duration: Option<Duration>,
}

/// The demo's policies: the same rules as in earnest, at the speed of seconds.
const CONFIG: &str = "\
owner: demo
provider:
  url: URL
  token_file: token
  requests_per_second: 50
  poll_every: 500ms
  refresh_every: 5s
state: state
listen: ADDRESS
log: {level: error}
policies:
  web:                                  # makes one, then prunes; leaves slots free
    snapshots: {schedule: \"*/10 * * * * *\", splay: 4s, keep: {last: 3}}
  full:                                 # uses all five: makes room first
    snapshots: {schedule: \"5-59/12 * * * * *\", keep: {last: 5}, leave_free: 0}
    backups: {schedule: \"*/15 * * * * *\", keep: {last: 9}}
servers:
  - {id: 101, name: web-01, policy: web}
  - {id: 102, name: web-02, policy: web}
  - {id: 201, name: db-01, policy: full}
";

/// The demo's servers.
const SERVERS: [(u64, &str); 3] = [(101, "web-01"), (102, "web-02"), (201, "db-01")];

pub(super) async fn demo(args: &DemoArgs) -> Result<Exit, Failure> {
    let failed = |error: io::Error| Failure::new(Exit::Failed, format!("snapwarden: failed to set the demo up: {error}"));
    let emulator = Emulator::start(EmulatorConfig::with_rules(rules())).await.map_err(failed)?;
    furnish(&emulator);
    let folder = Folder::new().map_err(failed)?;
    let listen = free_address().map_err(failed)?;
    let config = write_config(&folder.0, &emulator, &listen).map_err(failed)?;
    let mut app = App::load(&Common { config, token_file: None })?;
    app.config.state = Some(folder.0.join("state"));
    let _log = app.log()?;
    introduce(&emulator, &listen, args.duration)?;
    let service = Service::start(app, Arc::new(|fact: &Fact| tell(fact))).await?;
    service.run(stop_after(wishes()?, args.duration)).await?;
    output::write(&ending(&emulator))?;
    Ok(Exit::Done)
}

/// The provider as documented, in seconds instead of minutes.
fn rules() -> Rules {
    Rules { snapshot_takes: Duration::from_millis(1500), backup_takes: Duration::from_millis(2500), ..Rules::default() }
}

/// What is there before the daemon comes: items of people, and automatic backups.
fn furnish(emulator: &Emulator) {
    let now = emulator.now();
    let ago = |hours: i64| now.checked_sub(SignedDuration::from_hours(hours)).unwrap_or(now);
    for (id, name) in SERVERS {
        emulator.add_server(id, name);
        let server = ServerId(id);
        emulator.add_item(Item::automatic(server, ago(20), Duration::from_secs(7 * 24 * 3600)));
        emulator.add_item(Item::completed(Kind::Backup, server, ago(70)).described("before the move"));
    }
    let by_hand = Item::completed(Kind::Snapshot, ServerId(101), ago(30)).named("pre-upgrade").described("made by a person");
    emulator.add_item(by_hand);
    let owner = |policy: &str, at: Timestamp| format!("snapwarden owner=demo policy={policy} slot={at}");
    for hours in 1..=8 {
        let at = whole(ago(hours * 24));
        emulator.add_item(Item::completed(Kind::Backup, ServerId(201), at).described(&owner("full", at)));
    }
    for hours in 1..=4 {
        let at = whole(ago(hours * 6));
        let name = format!("demo-full-{}", at.strftime("%Y%m%dT%H%M%SZ"));
        emulator.add_item(Item::completed(Kind::Snapshot, ServerId(201), at).named(&name).described(&owner("full", at)));
    }
}

fn whole(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// A folder that goes when the demo ends.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Folder> {
        let path = std::env::temp_dir().join(format!("snapwarden-demo-{}", std::process::id()));
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left over in the folder for temporary files harms nobody.
        drop(fs::remove_dir_all(&self.0));
    }
}

/// The default address of the daemon if nobody has it, else any free one.
fn free_address() -> io::Result<String> {
    let usual = std::net::TcpListener::bind("127.0.0.1:9745");
    let listener = usual.or_else(|_| std::net::TcpListener::bind("127.0.0.1:0"))?;
    Ok(listener.local_addr()?.to_string())
}

fn write_config(folder: &Path, emulator: &Emulator, listen: &str) -> io::Result<PathBuf> {
    let mut token = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(folder.join("token"))?;
    token.write_all(emulator.token().as_bytes())?;
    let path = folder.join("snapwarden.yaml");
    fs::write(&path, CONFIG.replace("URL", &emulator.url()).replace("ADDRESS", listen))?;
    Ok(path)
}

fn introduce(emulator: &Emulator, listen: &str, duration: Option<Duration>) -> Result<(), Failure> {
    let end = duration.map_or_else(|| "Ctrl-C ends it".to_owned(), |time| format!("It ends after {}", humantime::format_duration(time)));
    output::write(&format!(
        "An emulated provider with three servers runs at {}\n\
         The daemon works on it; look at\n  \
         http://{listen}/          the status page\n  \
         http://{listen}/metrics   what Prometheus sees\n\
         web-01 and web-02 keep their three newest snapshots; db-01 fills all five slots, and keeps nine backups. {end}.\n\n",
        emulator.url()
    ))
}

/// A line for each thing that is done.
fn tell(fact: &Fact) {
    let line = match fact {
        Fact::CreateSent { target, name, .. } => format!("{:8} {:9} create {}", target.server_name, target.kind, short(name)),
        Fact::Completed { target, item, .. } => format!("{:8} {:9} {item} is complete", target.server_name, target.kind),
        Fact::DeleteSent { target, item, why, .. } => format!("{:8} {:9} delete {item}: {why}", target.server_name, target.kind),
        Fact::RunEnded { target, result, error: Some(error), .. } => {
            format!("{:8} {:9} {result}: {error}", target.server_name, target.kind)
        }
        Fact::Missed { target, count, .. } => format!("{:8} {:9} {count} slots missed", target.server_name, target.kind),
        _ => return,
    };
    let time = SystemClock::new().now().wall.strftime("%H:%M:%S");
    // Nobody may be reading any more; the daemon goes on all the same.
    drop(output::write(&format!("{time}  {}\n", printable(&line))));
}

/// Backups have no names: their mark says the same, in more words.
fn short(name: &str) -> &str {
    name.strip_prefix("snapwarden ").unwrap_or(name)
}

/// Adds the wish to stop after a time.
fn stop_after(mut wishes: mpsc::UnboundedReceiver<Wish>, duration: Option<Duration>) -> mpsc::UnboundedReceiver<Wish> {
    let Some(duration) = duration else { return wishes };
    let (sender, both) = mpsc::unbounded_channel();
    task::spawn(async move {
        let mut timer = std::pin::pin!(tokio::time::sleep(duration));
        let mut over = false;
        loop {
            let wish = tokio::select! {
                () = &mut timer, if !over => {
                    over = true;
                    Some(Wish::Stop)
                }
                wish = wishes.recv() => wish,
            };
            let Some(wish) = wish else { return };
            if sender.send(wish).is_err() {
                return;
            }
        }
    });
    both
}

/// What was made and deleted, by the emulator's own ledger.
fn ending(emulator: &Emulator) -> String {
    let ledger = emulator.ledger();
    let mut table = Table::new(&["SERVER", "KIND", "MADE", "DELETED", "MOST AT ONCE", "CAP", "REFUSED AT THE CAP"]);
    for (id, name) in SERVERS {
        for kind in Kind::ALL {
            let server = ServerId(id);
            let count = |items: Vec<&Item>| items.iter().filter(|item| item.server == server && item.kind == kind).count();
            let cap = if kind == Kind::Snapshot { 5 } else { 10 };
            let refused = ledger.refusals().iter().filter(|(of, _)| *of == Some(server)).count();
            table.row(&[
                name.to_owned(),
                kind.to_string(),
                count(ledger.creates()).to_string(),
                count(ledger.deletes()).to_string(),
                ledger.most_used(kind, server).to_string(),
                cap.to_string(),
                refused.to_string(),
            ]);
        }
    }
    format!("\nWhat the provider's ledger says:\n{}", table.render())
}
