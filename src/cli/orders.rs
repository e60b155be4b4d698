//! `snapwarden pause`, `resume`, `hold` and `release`: what stands until its time.

use std::sync::Arc;
use std::time::Duration;

use clap::ArgGroup;

use crate::clock::Clock;
use crate::controller::{Select, ServerPattern};
use crate::domain::inventory::{Item, ItemId, Kind, Listing, ServerId};
use crate::domain::policy::{Selector, ServerEntry};
use crate::domain::record::Record;
use crate::domain::standing::{Ask, HeldItem, Order, Selection, Standing, StandingOrder};
use crate::journal::StateLock;
use crate::provider::{HttpProvider, Provider, ProviderError};
use crate::telemetry::{Metrics, printable};

use super::Common;
use super::app::App;
use super::exit::{Exit, Failure};
use super::handover::{Way, hand_over_standing, way};
use super::output;
use super::select::{KindArg, SelectArgs, duration};

/// As much of a reason as is kept.
const REASON_CHARS_MAX: usize = 500;

/// Begin no runs for a while: for a migration, or while somebody works on a server
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("whom").required(true).multiple(true).args(["server", "policy", "kind", "all"]), after_help = "\
A run that is on goes on to its end. Servers that come later are meant, too, if they fit. What is missed meanwhile is not told as missed.
Of several pauses the last to end counts; `resume` ends them all.

Examples:
  snapwarden pause --server 'web-*' --for 4h --reason 'storage is moved'
  snapwarden pause --all --for 2d --reason 'change freeze'")]
pub(super) struct PauseArgs {
    /// For how long (e.g. 4h)
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    lasts: Duration,
    /// Why; shown wherever the pause shows
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: Box<str>,
    /// Every server and kind
    #[arg(long, conflicts_with_all = ["server", "policy", "kind"])]
    all: bool,
    #[command(flatten)]
    select: SelectArgs,
}

/// Begin runs again before a pause is over
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("whom").required(true).multiple(true).args(["server", "policy", "kind", "all"]))]
pub(super) struct ResumeArgs {
    /// Every server and kind
    #[arg(long, conflicts_with_all = ["server", "policy", "kind"])]
    all: bool,
    #[command(flatten)]
    select: SelectArgs,
}

/// Hold an item for a while: nothing deletes it before
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Of several holds the last to end counts; `release` ends them. What is held is no longer counted by retention; its slot is used all the same.
Where a delete of it had been sent by the time at which the hold stands, it says so and ends with 1.

Example:
  snapwarden hold snapshot 801 --for 14d --reason 'before the upgrade'")]
pub(super) struct HoldArgs {
    /// What it is
    #[arg(value_enum)]
    kind: KindArg,
    /// Its number
    item: u64,
    /// For how long (e.g. 14d)
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    lasts: Duration,
    /// Why
    #[arg(long, value_name = "TEXT", value_parser = reason, default_value = "")]
    reason: Box<str>,
}

/// End a hold, or let deletes go on after a restore, before their time
#[derive(Debug, clap::Args)]
pub(super) struct ReleaseArgs {
    #[command(subcommand)]
    what: Release,
}

#[derive(Debug, clap::Subcommand)]
enum Release {
    /// A snapshot that is held
    Snapshot {
        /// Its number
        item: u64,
    },
    /// A backup that is held
    Backup {
        /// Its number
        item: u64,
    },
    /// Deletes on a server that was restored
    Deletes {
        /// The server's number
        server: u64,
    },
}

fn reason(text: &str) -> Result<Box<str>, String> {
    if text.chars().count() > REASON_CHARS_MAX {
        return Err(format!("at most {REASON_CHARS_MAX} characters"));
    }
    Ok(text.into())
}

pub(super) async fn pause(common: &Common, args: &PauseArgs) -> Result<Exit, Failure> {
    let app = App::load(common)?;
    refuse_beside_replicas(&app)?;
    let selection = selection(&args.select.select());
    refuse_nobody(&app, &args.select.select())?;
    give(&app, Ask::Pause(selection, args.lasts), &args.reason).await
}

pub(super) async fn resume(common: &Common, args: &ResumeArgs) -> Result<Exit, Failure> {
    let app = App::load(common)?;
    refuse_beside_replicas(&app)?;
    refuse_nobody(&app, &args.select.select())?;
    give(&app, Ask::Resume(selection(&args.select.select())), "").await
}

pub(super) async fn hold(common: &Common, args: &HoldArgs) -> Result<Exit, Failure> {
    let app = App::load(common)?;
    refuse_beside_replicas(&app)?;
    app.warn();
    let metrics = Metrics::new().map_err(|error| Failure::new(Exit::Failed, format!("snapwarden: {error}")))?;
    let provider = app.provider(&metrics)?;
    check_account(&app, &provider).await?;
    let kind = Kind::from(args.kind);
    let listing = list(&provider, kind).await?;
    let held = held_item(find(&listing, kind, ItemId(args.item))?);
    give(&app, Ask::Hold(held, args.lasts), &args.reason).await
}

pub(super) async fn release(common: &Common, args: &ReleaseArgs) -> Result<Exit, Failure> {
    let app = App::load(common)?;
    refuse_beside_replicas(&app)?;
    let what = match args.what {
        Release::Snapshot { item } => Ask::Release(Kind::Snapshot, ItemId(item)),
        Release::Backup { item } => Ask::Release(Kind::Backup, ItemId(item)),
        Release::Deletes { server } => Ask::Deletes(ServerId(server)),
    };
    give(&app, what, "").await
}

/// What one replica keeps in its journal is unknown to the next that acts.
fn refuse_beside_replicas(app: &App) -> Result<(), Failure> {
    let hint = "put it into the configuration: `paused_until`, `protect_ids`; or take a new item with `take --keep-for`";
    app.refuse_beside_replicas("an order that one replica keeps would be unknown to the next", hint)
}

async fn give(app: &App, what: Ask, reason: &str) -> Result<Exit, Failure> {
    for order in apply(app, &Order { what, reason: reason.into(), by: by() }).await? {
        output::write(&format!("{}\n", printable(&told(&order))))?;
    }
    Ok(Exit::Done)
}

/// What stands now, in words.
pub(super) fn told(order: &StandingOrder) -> String {
    let until = order.until;
    match &order.what {
        Standing::Pause(selection) => format!("paused until {until}: {selection}"),
        Standing::Resume(selection) => format!("resumed: {selection}"),
        Standing::Hold(held) => format!("held until {until}: {}", item_text(held)),
        Standing::Release(held) => format!("released: {}", item_text(held)),
        Standing::NoDeletes { server, server_name } => format!("nothing is deleted on {server_name} ({server}) until {until}"),
        Standing::Deletes { server } => format!("deletes go on on server {server}"),
    }
}

/// An item, as people know it.
pub(super) fn item_text(held: &HeldItem) -> String {
    let name = held.name.as_deref().map(|name| format!(" {name}")).unwrap_or_default();
    format!("{} {}{name} of {} ({})", held.kind, held.item, held.server_name, held.server)
}

/// Makes an order stand: written into the journal, durably, by this process, or by the daemon that holds the state folder. Returns what stands now.
pub(super) async fn apply(app: &App, order: &Order) -> Result<Vec<StandingOrder>, Failure> {
    match way(&app.state()).await? {
        Way::Daemon(connection) => hand_over_standing(app, connection, order).await,
        Way::Alone(lock) => write(app, lock, order).await,
    }
}

async fn write(app: &App, lock: StateLock, order: &Order) -> Result<Vec<StandingOrder>, Failure> {
    let (journal, past) = app.journal_under(lock).await?;
    if let Some(path) = &past.set_aside {
        eprintln!("warning: the journal was damaged and lies at {} now, with all that stood; a new one was begun", path.display());
    }
    let memory = past.memory();
    let given = memory.standing.give(order, past.next_op, app.clock.now().wall);
    let written = match given {
        Ok(orders) => {
            let records = orders.iter().map(|order| Record::Ordered(order.clone().into())).collect();
            let late = memory.too_late(&orders).map(|late| Failure::new(Exit::Failed, format!("snapwarden: {late}")));
            let written = journal.handle().append(records).await.map_err(|error| Failure::of(Exit::Failed, &error));
            written.and_then(|()| late.map_or(Ok(orders), Err))
        }
        Err(error) => Err(Failure::new(Exit::Failed, format!("snapwarden: {error}"))),
    };
    let closed = journal.close().await.map_err(|error| Failure::of(Exit::Failed, &error));
    written.and_then(|orders| closed.map(|()| orders))
}

/// Who gives the order, as far as the environment tells.
pub(super) fn by() -> Box<str> {
    let named = ["SUDO_USER", "USER", "LOGNAME"].iter().filter_map(|name| std::env::var(name).ok()).find(|name| !name.is_empty());
    let name = named.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()));
    name.chars().take(64).collect::<String>().into()
}

fn selection(select: &Select) -> Selection {
    let text = |pattern: &ServerPattern| match pattern {
        ServerPattern::Id(id) => vec![id.to_string().into()],
        ServerPattern::Name(globs) => globs.texts().map(Into::into).collect::<Vec<Box<str>>>(),
    };
    Selection {
        servers: select.servers.iter().flat_map(text).collect(),
        policies: select.policies.iter().map(|policy| policy.as_str().into()).collect(),
        kinds: select.kinds.clone(),
    }
}

/// A selection that no entry of the configuration can answer to is a slip of the pen.
fn refuse_nobody(app: &App, select: &Select) -> Result<(), Failure> {
    let wanted = &app.config.wanted;
    let known = |policy: &String| wanted.policies.iter().any(|known| *known.policy == **policy);
    if let Some(policy) = select.policies.iter().find(|policy| !known(policy)) {
        return Err(Failure::new(Exit::Usage, format!("snapwarden: there is no policy `{}`", printable(policy))));
    }
    if !select.servers.is_empty() && !wanted.entries.iter().any(|entry| may_answer(entry, &select.servers)) {
        return Err(Failure::new(Exit::Usage, "snapwarden: no configured server answers to that"));
    }
    Ok(())
}

/// Whether an entry may be about one of these servers. Whom a `match` finds, and what a number without a name is called, is not known here.
fn may_answer(entry: &ServerEntry, servers: &[ServerPattern]) -> bool {
    let Selector::Id { id, name } = &entry.selector else { return true };
    servers.iter().any(|server| match server {
        ServerPattern::Id(wanted) => wanted == id || name.as_deref().is_some_and(|name| *name == *wanted.to_string()),
        ServerPattern::Name(globs) => name.as_deref().is_none_or(|name| globs.is_match(name)),
    })
}

/// Refuses to work on any other account than the configured one.
pub(super) async fn check_account(app: &App, provider: &HttpProvider) -> Result<(), Failure> {
    let Some(wanted) = &app.config.provider.account else { return Ok(()) };
    let account = provider.account().await.result.map_err(|error| unanswered("ask whose token this is", &error))?;
    if account.is(wanted) {
        return Ok(());
    }
    Err(Failure::new(Exit::Provider, format!("snapwarden: the token belongs to another account: {}, not {wanted}", account.title())))
}

/// All items of a kind.
pub(super) async fn list(provider: &HttpProvider, kind: Kind) -> Result<Listing, Failure> {
    provider.list(kind).await.result.map_err(|error| unanswered(&format!("list the {kind}s"), &error))
}

/// Nothing was changed: the provider did not answer to a question.
pub(super) fn unanswered(what: &str, error: &ProviderError) -> Failure {
    Failure::new(Exit::Provider, format!("snapwarden: failed to {what}: {error}"))
}

/// The item with this number.
pub(super) fn find(listing: &Listing, kind: Kind, id: ItemId) -> Result<&Item, Failure> {
    let doubt = if listing.defects.is_empty() && listing.opaque.is_empty() { "" } else { ", but did not show everything" };
    let found = listing.items.iter().find(|item| item.id == id);
    found.ok_or_else(|| Failure::new(Exit::Failed, format!("snapwarden: the provider shows no {kind} {id}{doubt}")))
}

/// An item with what is known of it now.
pub(super) fn held_item(item: &Item) -> HeldItem {
    HeldItem {
        kind: item.kind,
        item: item.id,
        name: item.name.as_deref().map(Into::into),
        server: item.server,
        server_name: (*item.server_name).into(),
    }
}

/// A provider whose exchanges nobody counts.
pub(super) fn provider(app: &App) -> Result<Arc<HttpProvider>, Failure> {
    let metrics = Metrics::new().map_err(|error| Failure::new(Exit::Failed, format!("snapwarden: {error}")))?;
    app.provider(&metrics).map(Arc::new)
}
