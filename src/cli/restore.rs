//! `snapwarden restore`: an item put back on its server. It is the only part of the program that can name a restore.

use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::controller::ServerPattern;
use crate::domain::inventory::{Item, ItemId, Kind, Listing, Server, Status};
use crate::domain::standing::{AFTER_RESTORE, Ask, HeldItem, Order};
use crate::provider::restore::{HttpRestorer, Restorer, Restoring};
use crate::provider::{HttpProvider, Provider, ProviderError, Reply};
use crate::telemetry::printable;

use super::Common;
use super::app::App;
use super::exit::{Exit, Failure};
use super::orders::{self, apply, by, check_account, find, held_item, list, unanswered};
use super::output;
use super::progress::{Progress, State};
use super::select::server;
use super::signals::{self, Signal};

/// The status may lag behind the order: so many looks are waited for the first sight of the restore …
const LOOKS_UNTIL_BEGUN: u32 = 8;
/// … and so many for its end. With `poll_every` at 15 s that is an hour; a restore takes 5 to 15 minutes.
const LOOKS_UNTIL_OVER: u32 = 240;
/// So many newer items are named.
const NEWER_SHOWN: usize = 10;

/// Put a snapshot or backup back on its server: overwrites all data there
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Before anything is sent, the item is held and deletes are stopped on that server, both for 7 days; creates go on once it is restored.
The order is sent once. Where the answer is doubtful it is not repeated: look at the server's status.")]
pub(super) struct RestoreArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// A snapshot
    Snapshot {
        /// Its number
        id: u64,
        #[command(flatten)]
        how: How,
    },
    /// A backup
    Backup {
        /// Its number
        id: u64,
        /// The server that it is of, by number or name
        #[arg(long, value_name = "ID|NAME", value_parser = server)]
        server: ServerPattern,
        #[command(flatten)]
        how: How,
    },
}

#[derive(Debug, Clone, Copy, clap::Args)]
struct How {
    /// Do not ask for the server's name
    #[arg(long)]
    yes: bool,
    /// Follow the server's status until the restore is over
    #[arg(long)]
    wait: bool,
}

/// What is about to happen.
struct Intent {
    held: HeldItem,
    created_at: Timestamp,
    description: Box<str>,
    /// As the provider tells it; none where it does not tell its servers.
    server: Option<Server>,
    newer: Vec<String>,
    being_made: Option<ItemId>,
}

pub(super) async fn restore(common: &Common, args: &RestoreArgs) -> Result<Exit, Failure> {
    let (kind, id, onto, how) = match &args.what {
        What::Snapshot { id, how } => (Kind::Snapshot, ItemId(*id), None, *how),
        What::Backup { id, server, how } => (Kind::Backup, ItemId(*id), Some(server), *how),
    };
    let app = App::load(common)?;
    app.warn();
    let provider = orders::provider(&app)?;
    let restorer = restorer(&app)?;
    check_account(&app, &provider).await?;
    let listing = list(&provider, kind).await?;
    let servers = servers(&provider).await?;
    let intent = intent(find(&listing, kind, id)?, &listing, servers)?;
    refuse(&intent, onto, how)?;
    output::write(&describe(&intent, app.clock.now().wall))?;
    if !how.yes {
        confirm(&intent)?;
    }
    let mut signals = signals::catch()?;
    let order = Order { what: Ask::Restore(intent.held.clone()), reason: reason(&intent).into(), by: by() };
    if app.config.leader.is_some() {
        eprintln!(
            "warning: what is held, and that nothing is deleted there, is known to this replica alone: another one that comes to lead does not know it"
        );
    }
    let stands = apply(&app, &order).await.map_err(|failure| {
        let hint = format!("{} end what stands of it", ends(&intent.held));
        failure.note("nothing was restored").or_hint(hint)
    })?;
    for order in stands {
        output::write(&format!("{}\n", printable(&orders::told(&order))))?;
    }
    let sent = send(&restorer, &intent, &mut signals).await?;
    let follow = Follow { app: &app, provider: &provider, intent: &intent };
    match sent {
        Ok(restoring) => {
            let words = if restoring.message.is_empty() { String::new() } else { format!(": {}", restoring.message) };
            output::write(&format!("the restore has begun{words}\n"))?;
            if how.wait { follow.until_over(&mut signals, None).await } else { Ok(Exit::Done) }
        }
        Err(error) if error.is_doubtful() => {
            eprintln!("warning: it is not known whether the restore has begun: {error}; it is not sent again");
            if how.wait { follow.until_over(&mut signals, Some(&error)).await } else { Err(doubt(&intent, &error)) }
        }
        Err(error) => Err(not_begun(&intent, &error)),
    }
}

fn restorer(app: &App) -> Result<HttpRestorer, Failure> {
    let (settings, token) = app.connection()?;
    let clock: Arc<dyn Clock> = Arc::clone(&app.clock) as Arc<dyn Clock>;
    HttpRestorer::new(&settings, token, clock, Arc::new(())).map_err(|error| Failure::of(Exit::Usage, &error))
}

/// The servers; none where the provider does not tell them to this token.
async fn servers(provider: &HttpProvider) -> Result<Option<Vec<Server>>, Failure> {
    match provider.servers().await.result {
        Ok(listing) => Ok(Some(Arc::unwrap_or_clone(listing.servers))),
        Err(ProviderError::NotFound | ProviderError::Forbidden) => Ok(None),
        Err(error) => Err(unanswered("list the servers", &error)),
    }
}

fn intent(item: &Item, listing: &Listing, servers: Option<Vec<Server>>) -> Result<Intent, Failure> {
    let told = servers.is_some();
    let server = servers.and_then(|servers| servers.into_iter().find(|server| server.id == item.server));
    let mut held = held_item(item);
    match &server {
        Some(server) => held.server_name = server.name.clone(),
        None if told => return Err(Failure::new(Exit::Failed, format!("snapwarden: the provider shows no server {}", item.server))),
        None => {}
    }
    if item.status != Status::Completed {
        let status = printable(item.status.as_str()).into_owned();
        return Err(Failure::new(Exit::Failed, format!("snapwarden: {} {} is not complete: {status}", item.kind, item.id)));
    }
    let of_server = || listing.items.iter().filter(|other| other.server == item.server);
    let mut newer: Vec<&Item> = of_server().filter(|other| (other.created_at, other.id) > (item.created_at, item.id)).collect();
    newer.sort_by_key(|other| std::cmp::Reverse((other.created_at, other.id)));
    let newer = newer.iter().map(|other| format!("{} of {}, {}: {}", other.id, other.created_at, other.status.as_str(), other.title()));
    let newer = newer.collect();
    let being_made = of_server().find(|other| other.status == Status::InProgress).map(|other| other.id);
    Ok(Intent { held, created_at: item.created_at, description: (*item.description).into(), server, newer, being_made })
}

/// What forbids it.
fn refuse(intent: &Intent, onto: Option<&ServerPattern>, how: How) -> Result<(), Failure> {
    let held = &intent.held;
    let refused = |why: String| Err(Failure::new(Exit::Failed, format!("snapwarden: {why}; nothing was sent")));
    let is_it = onto.is_none_or(|onto| match onto {
        ServerPattern::Id(id) => *id == held.server || *held.server_name == *id.to_string(),
        ServerPattern::Name(globs) => globs.texts().any(|name| *name == *held.server_name),
    });
    if !is_it {
        return refused(format!("it is of another server, {} ({})", printable(&held.server_name), held.server));
    }
    match &intent.server {
        Some(server) if server.is_restoring() => refused(format!("{} is being restored already", printable(&server.name))),
        None if how.wait => {
            refused("this token may not list the servers, so that their status cannot be followed; leave `--wait` out".to_owned())
        }
        _ => Ok(()),
    }
}

fn reason(intent: &Intent) -> String {
    format!("restore of {} {}", intent.held.kind, intent.held.item)
}

fn describe(intent: &Intent, now: Timestamp) -> String {
    let held = &intent.held;
    let age = |span: SignedDuration| match (span.as_hours() / 24, span.as_hours(), span.as_mins()) {
        (days @ 2.., ..) => format!("{days} days old"),
        (_, hours @ 2.., _) => format!("{hours} hours old"),
        (.., minutes) => format!("{minutes} minutes old"),
    };
    let status = intent.server.as_ref().map(|server| format!(", {}", server.status)).unwrap_or_default();
    let mut lines = vec![
        format!("restore     {} {} {}", held.kind, held.item, held.name.as_deref().unwrap_or_default()),
        format!("made        {}, {}", intent.created_at, age(now.duration_since(intent.created_at))),
        format!("described   {}", intent.description),
        format!("onto        {} ({}){status}", held.server_name, held.server),
        "            the server is stopped, and ALL DATA ON IT IS OVERWRITTEN; this cannot be undone".to_owned(),
    ];
    match &intent.newer[..] {
        [] => lines.push(format!("newer       no {} of this server is newer", held.kind)),
        newer => {
            lines.push(format!("newer       what came after it is lost, unless it is in one of the {} newer {}s:", newer.len(), held.kind));
            lines.extend(newer.iter().take(NEWER_SHOWN).map(|item| format!("            {item}")));
        }
    }
    if let Some(item) = intent.being_made {
        lines.push(format!("note        {} {item} is being made of this server right now", held.kind));
    }
    lines.iter().map(|line| printable(line.trim_end()).into_owned() + "\n").collect()
}

/// Asks for the server's name, on the terminal and nowhere else.
fn confirm(intent: &Intent) -> Result<(), Failure> {
    let name = if intent.held.server_name.is_empty() { intent.held.server.to_string() } else { intent.held.server_name.to_string() };
    let answer = match OpenOptions::new().read(true).write(true).open("/dev/tty") {
        Ok(terminal) => ask(&name, &mut BufReader::new(&terminal), &mut &terminal),
        Err(_) if io::stdin().is_terminal() => ask(&name, &mut io::stdin().lock(), &mut io::stderr()),
        Err(_) => {
            let failure = Failure::new(Exit::Usage, "snapwarden: there is no terminal to ask for the server's name on; nothing was sent");
            return Err(failure.hint(Some("`--yes` restores without asking".to_owned())));
        }
    };
    match answer {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::new(Exit::Failed, "snapwarden: that is not the server's name; nothing was sent")),
        Err(error) => Err(Failure::new(Exit::Failed, format!("snapwarden: failed to read the answer: {error}; nothing was sent"))),
    }
}

fn ask(name: &str, from: &mut impl BufRead, to: &mut impl Write) -> io::Result<bool> {
    write!(to, "Type the name of the server ({}) to go on: ", printable(name))?;
    to.flush()?;
    let mut answer = String::new();
    from.read_line(&mut answer)?;
    Ok(answer.trim() == name)
}

/// Sends the order, once.
async fn send(
    restorer: &HttpRestorer,
    intent: &Intent,
    signals: &mut mpsc::UnboundedReceiver<Signal>,
) -> Result<Result<Restoring, ProviderError>, Failure> {
    let held = &intent.held;
    let sending = async {
        match held.kind {
            Kind::Snapshot => restorer.restore_snapshot(held.item).await,
            Kind::Backup => restorer.restore_backup(held.server, held.item).await,
        }
    };
    tokio::select! {
        Reply { result, .. } = sending => Ok(result),
        () = interrupted(signals) => {
            let text = "snapwarden: interrupted while the order was on its way: it is not known whether the restore has begun";
            Err(Failure::new(Exit::Interrupted, text).hint(Some(how_to_find_out(intent))))
        }
    }
}

async fn interrupted(signals: &mut mpsc::UnboundedReceiver<Signal>) {
    while let Some(signal) = signals.recv().await {
        if signal != Signal::Reload {
            return;
        }
    }
    std::future::pending().await
}

/// The server's status, followed.
struct Follow<'a> {
    app: &'a App,
    provider: &'a HttpProvider,
    intent: &'a Intent,
}

impl Follow<'_> {
    /// Until the server is no longer being restored. `doubt`: whether it has begun is not known.
    async fn until_over(&self, signals: &mut mpsc::UnboundedReceiver<Signal>, doubt_of: Option<&ProviderError>) -> Result<Exit, Failure> {
        let every = self.app.config.provider.poll_every;
        let begun = self.app.clock.now().mono;
        let mut seen = false;
        let mut progress = Following::new(&self.intent.held);
        for look in 1..=LOOKS_UNTIL_OVER {
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                () = interrupted(signals) => {
                    let text = "snapwarden: interrupted; whatever has begun goes on at the provider";
                    return Err(Failure::new(Exit::Interrupted, text).hint(Some(how_to_find_out(self.intent))));
                }
            }
            let status = self.status(&progress).await?;
            progress.tell(status.as_ref().map_or("unknown", |server| &server.status), self.app.clock.now().mono.since(begun));
            match status {
                Some(server) if server.is_restoring() => seen = true,
                Some(server) if seen => return over(&server),
                None | Some(_) if !seen && look >= LOOKS_UNTIL_BEGUN => return Err(self.never_seen(doubt_of)),
                None | Some(_) => {}
            }
        }
        let text = format!("snapwarden: still not over after {LOOKS_UNTIL_OVER} looks");
        Err(Failure::new(Exit::Failed, text).hint(Some(how_to_find_out(self.intent))))
    }

    /// The server as it is shown; none: this look showed nothing, which may pass.
    async fn status(&self, progress: &Following) -> Result<Option<Server>, Failure> {
        match self.provider.servers().await.result {
            Ok(listing) => Ok(listing.servers.iter().find(|server| server.id == self.intent.held.server).cloned()),
            Err(error) if error.is_auth() => Err(unanswered("follow the server's status", &error).hint(Some(how_to_find_out(self.intent)))),
            Err(error) => {
                progress.warn(&format!("failed to list the servers: {error}"));
                Ok(None)
            }
        }
    }

    fn never_seen(&self, doubt_of: Option<&ProviderError>) -> Failure {
        match doubt_of {
            Some(error) => doubt(self.intent, error),
            None => {
                let text = "snapwarden: the provider took the order, and the server was never seen being restored";
                Failure::new(Exit::Failed, text).hint(Some(how_to_find_out(self.intent)))
            }
        }
    }
}

/// What is told while the end is waited for: on a terminal a line that turns, elsewhere a line whenever the status has changed.
struct Following {
    progress: Progress,
    label: String,
    last: String,
}

impl Following {
    fn new(held: &HeldItem) -> Following {
        Following { progress: Progress::new(), label: format!("{} ({})", held.server_name, held.server), last: String::new() }
    }

    fn tell(&mut self, status: &str, elapsed: Duration) {
        let state = if self.last == status { State::Detail } else { State::Step };
        status.clone_into(&mut self.last);
        self.progress.tell(&self.label, state, &format!("the server is {status}"), elapsed);
    }

    fn warn(&self, text: &str) {
        self.progress.tell(&self.label, State::Warning, text, Duration::ZERO);
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.progress.end();
    }
}

fn over(server: &Server) -> Result<Exit, Failure> {
    let (name, status) = (printable(&server.name), printable(&server.status));
    output::write(&format!("the restore is over; {name} is {status}\n"))?;
    Ok(Exit::Done)
}

fn how_to_find_out(intent: &Intent) -> String {
    let name = printable(&intent.held.server_name).into_owned();
    format!(
        "look at {name} in `snapwarden status` or the provider's panel: `restoring` means that it has begun, and it takes 5 to 15 minutes; \
         if it is not restoring and its data are as they were, it was not taken, and may be ordered again"
    )
}

fn doubt(intent: &Intent, error: &ProviderError) -> Failure {
    let text = format!("snapwarden: it is not known whether the restore has begun: {error}; it was sent once, and is not sent again");
    Failure::new(Exit::Failed, text).hint(Some(how_to_find_out(intent)))
}

/// The commands that end what was ordered for a restore.
fn ends(held: &HeldItem) -> String {
    format!("`snapwarden release {} {}` and `snapwarden release deletes {}`", held.kind, held.item, held.server)
}

/// The provider said no, or was never reached.
fn not_begun(intent: &Intent, error: &ProviderError) -> Failure {
    let held = &intent.held;
    let unreachable = matches!(
        error,
        ProviderError::Token { .. } | ProviderError::Connect { .. } | ProviderError::Unauthorized | ProviderError::Forbidden
    );
    let exit = if unreachable { Exit::Provider } else { Exit::Failed };
    let days = AFTER_RESTORE.as_hours() / 24;
    let hint = format!("the item is held and deletes are stopped for {days} days all the same; {} end that", ends(held));
    Failure::new(exit, format!("snapwarden: the restore was not begun: {error}")).hint(Some(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_itself_goes_on() {
        let answers =
            [("web-01\n", true), ("  web-01 \r\n", true), ("yes\n", false), ("WEB-01\n", false), ("web-011\n", false), ("", false)];
        for (answer, goes_on) in answers {
            let mut shown = Vec::new();
            assert_eq!(ask("web-01", &mut answer.as_bytes(), &mut shown).unwrap(), goes_on, "{answer:?}");
            assert!(String::from_utf8(shown).unwrap().contains("web-01"));
        }
    }
}
