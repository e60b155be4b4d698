//! `snapwarden history`: what was done, from the journal.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use crate::clock::Clock;
use crate::controller::{Select, ServerPattern};
use crate::domain::gather::gather;
use crate::domain::globs::Globs;
use crate::domain::inventory::ItemId;
use crate::domain::mark::Origin;
use crate::domain::policy_text::PolicyText;
use crate::domain::record::{RunId, RunStart, SlotsMissed, Subject};
use crate::domain::standing::{Selection, Standing, StandingOrder};
use crate::journal::{CreateRow, DeleteRow, HistoryFilter, HistoryRows, JournalError, JournalReader, OrderRow, Recall, RunRow};

use super::Common;
use super::app::{App, before};
use super::exit::{Exit, Failure, stdout_has_color};
use super::output::{self, Color, ServerJson, Table};
use super::select::{SelectArgs, duration};

/// At most so many creates, deletes, runs and missed slots each, the newest; a few hundred bytes every one.
const ROWS_MAX: usize = 50_000;

/// So far back a history goes unless it is about one item.
const SINCE: jiff::SignedDuration = jiff::SignedDuration::from_hours(7 * 24);

/// As much of a digest as people need to tell two policy texts apart.
const DIGEST_SHOWN: usize = 8;

/// Show what was done: runs, creates, deletes with their reasons, missed slots, and what people ordered
#[derive(Debug, clap::Args)]
#[command(after_help = "Reads the journal, also beside a running daemon, and asks the provider nothing.

Examples:
  snapwarden history --since 30d --server web-01
  snapwarden history --item 801    # who made and deleted it, when, why, by which policy text")]
pub(super) struct HistoryArgs {
    /// Only what began then or later: so long ago, or a time (RFC 3339) [default: 7d; with --item: everything]
    #[arg(long, value_name = "DURATION|TIME", value_parser = since)]
    since: Option<Since>,
    /// Only what was done to this snapshot or backup, with the policy's text as it was then
    #[arg(long, value_name = "ID")]
    item: Vec<u64>,
    /// Write JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    select: SelectArgs,
}

/// Where a history begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Since {
    Ago(jiff::SignedDuration),
    At(Timestamp),
}

fn since(text: &str) -> Result<Since, String> {
    if let Ok(time) = text.parse() {
        return Ok(Since::At(time));
    }
    let ago = duration(text).map_err(|error| format!("neither a time such as 2026-11-21T03:30:00Z nor a duration such as 7d: {error}"))?;
    jiff::SignedDuration::try_from(ago).map(Since::Ago).map_err(|error| error.to_string())
}

#[derive(Serialize)]
struct HistoryJson<'e> {
    since: String,
    config: &'e str,
    entries: &'e [Entry],
    /// The texts that entries name, by their digest.
    policy_texts: BTreeMap<String, &'e str>,
}

/// Something that was done, or was not.
#[derive(Debug, Serialize)]
struct Entry {
    #[serde(rename = "at", serialize_with = "rfc3339")]
    at: Timestamp,
    r#do: &'static str,
    /// None of an order that is about several.
    server: Option<ServerJson>,
    kind: Option<&'static str>,
    policy: Option<String>,
    run: Option<u64>,
    op: Option<u64>,
    trigger: Option<&'static str>,
    by: Option<String>,
    result: &'static str,
    ended_at: Option<String>,
    error: Option<String>,
    #[serde(flatten)]
    details: Details,
    /// The place in the order in which things became durable.
    #[serde(skip)]
    seq: u64,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Details {
    Run {
        slot: Option<String>,
        problems: Vec<ProblemJson>,
    },
    Create {
        item: ItemJson,
        description: String,
        slot: Option<String>,
        attempt: u32,
        config: String,
        policy_text: Option<String>,
        gone: Option<GoneJson>,
    },
    Delete {
        item: ItemJson,
        reason: String,
        when: &'static str,
        extra: bool,
        config: String,
        policy_text: Option<String>,
    },
    Missed {
        slot: String,
        count: u64,
    },
    Order {
        item: Option<ItemJson>,
        servers: Vec<String>,
        policies: Vec<String>,
        kinds: Vec<&'static str>,
        until: String,
        reason: String,
    },
}

#[derive(Debug, Serialize)]
struct ProblemJson {
    reason: &'static str,
    detail: String,
}

#[derive(Debug, Serialize)]
struct ItemJson {
    id: Option<u64>,
    name: Option<String>,
    created_at: Option<String>,
}

#[derive(Debug, Serialize)]
struct GoneJson {
    at: String,
    by: &'static str,
}

fn rfc3339<S: serde::Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

pub(super) fn history(common: &Common, args: &HistoryArgs) -> Result<Exit, Failure> {
    let app = App::load(common)?;
    let asked = match args.since {
        Some(Since::Ago(ago)) => before(app.clock.now().wall, ago),
        Some(Since::At(time)) => time,
        None if args.item.is_empty() => before(app.clock.now().wall, SINCE),
        None => Timestamp::UNIX_EPOCH,
    };
    let mut filter = filter(&args.select.select(), asked)?;
    filter.items = args.item.iter().copied().map(ItemId).collect();
    let rows = read(&app, &filter)?;
    let since = complete_since(&rows, asked);
    if since > asked {
        eprintln!(
            "warning: there is more than is shown; it is complete since {since}; narrow it by --since, --item, --server, --policy or --kind"
        );
    }
    let texts = rows.texts.clone();
    let mut entries = entries(rows);
    entries.retain(|entry| entry.at >= since);
    if args.json {
        let policy_texts = gather(texts.iter().map(|text| (text.digest().to_string(), text.text())));
        output::json(&HistoryJson { since: since.to_string(), config: &app.config.digest, entries: &entries, policy_texts })?;
    } else {
        output::write(&text(&entries, since, app.clock.now().wall, stdout_has_color()))?;
        if !args.item.is_empty() {
            output::write(&policy_texts(&texts))?;
        }
    }
    Ok(Exit::Done)
}

fn read(app: &App, filter: &HistoryFilter) -> Result<HistoryRows, Failure> {
    match JournalReader::open(&app.state()).and_then(|mut journal| journal.history(filter)) {
        Err(error @ JournalError::Missing { .. }) => {
            eprintln!("warning: failed to {error}: nothing was done yet, or `state` is another folder");
            Ok(HistoryRows::default())
        }
        Err(error) => {
            let denied = matches!(error, JournalError::Denied { .. });
            let hint = denied.then(|| "run this as the user that the daemon runs as, or as root".to_owned());
            Err(Failure::of(Exit::Failed, &error).hint(hint))
        }
        Ok(rows) => Ok(rows),
    }
}

fn filter(select: &Select, since: Timestamp) -> Result<HistoryFilter, Failure> {
    let mut filter = HistoryFilter { since: Some(since), kinds: select.kinds.clone(), ..HistoryFilter::all(ROWS_MAX) };
    filter.policies = select.policies.iter().map(|policy| policy.as_str().into()).collect();
    let mut names: Vec<&str> = Vec::new();
    for server in &select.servers {
        match server {
            ServerPattern::Id(id) => filter.servers.push(*id),
            ServerPattern::Name(globs) => names.extend(globs.texts()),
        }
    }
    filter.server_names = Globs::new(&names).map_err(|error| Failure::new(Exit::Usage, format!("snapwarden: {error}")))?;
    Ok(filter)
}

/// From when on nothing is left out: a list that is full may lack something from before its oldest row.
fn complete_since(rows: &HistoryRows, asked: Timestamp) -> Timestamp {
    let full = |length: usize, oldest: Option<Timestamp>| oldest.filter(|_| length >= ROWS_MAX);
    let oldest = [
        full(rows.creates.len(), rows.creates.iter().map(|row| row.intent.at).min()),
        full(rows.deletes.len(), rows.deletes.iter().map(|row| row.intent.at).min()),
        full(rows.runs.len(), rows.runs.iter().map(|row| row.start.at).min()),
        full(rows.missed.len(), rows.missed.iter().map(|row| row.at).min()),
        full(rows.orders.len(), rows.orders.iter().map(|row| row.order.at).min()),
    ];
    oldest.into_iter().flatten().fold(asked, Timestamp::max)
}

/// The rows as entries, the newest last.
fn entries(rows: HistoryRows) -> Vec<Entry> {
    let starts: BTreeMap<RunId, Arc<RunStart>> = gather(rows.runs.iter().map(|row| (row.start.run, Arc::clone(&row.start))));
    let mut entries: Vec<Entry> = rows.runs.iter().map(of_run).collect();
    entries.extend(rows.creates.into_iter().map(|row| of_create(&row, starts.get(&row.intent.run))));
    entries.extend(rows.deletes.into_iter().map(|row| of_delete(&row, starts.get(&row.intent.run))));
    entries.extend(rows.missed.iter().map(of_missed));
    entries.extend(rows.orders.iter().map(of_order));
    entries.sort_by_key(|entry| (entry.at, entry.seq));
    entries
}

fn of(subject: &Subject, r#do: &'static str, at: Timestamp, seq: u64, result: &'static str, details: Details) -> Entry {
    Entry {
        at,
        r#do,
        server: Some(subject.into()),
        kind: Some(subject.kind.as_str()),
        policy: Some(subject.policy.to_string()),
        run: None,
        op: None,
        trigger: None,
        by: None,
        result,
        ended_at: None,
        error: None,
        details,
        seq,
    }
}

/// What set a run off.
fn trigger(start: &RunStart) -> &'static str {
    start.trigger.as_str()
}

/// Who asked for a run.
fn by(start: &RunStart) -> Option<String> {
    start.by.as_deref().map(str::to_owned)
}

fn of_run(row: &RunRow) -> Entry {
    let (start, ended) = (&row.start, row.ended.as_ref());
    let problems = ended.map_or(&[][..], |end| &end.problems).iter();
    let problems = problems.map(|problem| ProblemJson { reason: problem.reason.as_str(), detail: problem.detail.clone() }).collect();
    let result = ended.map_or("unfinished", |end| end.result.as_str());
    let details = Details::Run { slot: start.slot.map(|slot| slot.to_string()), problems };
    Entry {
        run: Some(start.run.0),
        trigger: Some(trigger(start)),
        by: by(start),
        ended_at: ended.map(|end| end.at.to_string()),
        error: ended.and_then(|end| end.error.as_deref()).map(str::to_owned),
        ..of(&start.subject, "run", start.at, row.seq, result, details)
    }
}

fn of_create(row: &CreateRow, start: Option<&Arc<RunStart>>) -> Entry {
    let (intent, ended) = (&row.intent, row.ended.as_ref());
    let slot = match &intent.origin {
        Origin::Slot { slot, .. } => Some(slot.to_string()),
        Origin::Hand { .. } => None,
    };
    let details = Details::Create {
        item: ItemJson { id: row.item.map(|item| item.0), name: intent.name.as_deref().map(str::to_owned), created_at: None },
        description: intent.description.to_string(),
        slot,
        attempt: intent.attempt,
        config: intent.config.to_string(),
        policy_text: intent.policy_text.map(|digest| digest.to_string()),
        gone: row.gone.map(|gone| GoneJson { at: gone.at.to_string(), by: if gone.ours { "us" } else { "others" } }),
    };
    Entry {
        run: Some(intent.run.0),
        op: Some(intent.op.0),
        trigger: start.map(|start| trigger(start)),
        by: start.and_then(|start| by(start)),
        ended_at: ended.map(|end| end.at.to_string()),
        error: ended.and_then(|end| end.error.as_deref()).map(str::to_owned),
        ..of(&intent.subject, "create", intent.at, row.seq, row.state.as_str(), details)
    }
}

fn of_delete(row: &DeleteRow, start: Option<&Arc<RunStart>>) -> Entry {
    let (intent, ended) = (&row.intent, row.ended.as_ref());
    let details = Details::Delete {
        item: ItemJson {
            id: Some(intent.item.0),
            name: intent.item_name.as_deref().map(str::to_owned),
            created_at: Some(intent.item_created_at.to_string()),
        },
        reason: intent.reason.to_string(),
        when: intent.when.as_str(),
        extra: intent.extra,
        config: intent.config.to_string(),
        policy_text: intent.policy_text.map(|digest| digest.to_string()),
    };
    Entry {
        run: Some(intent.run.0),
        op: Some(intent.op.0),
        trigger: start.map(|start| trigger(start)),
        by: start.and_then(|start| by(start)),
        ended_at: ended.map(|end| end.at.to_string()),
        error: ended.and_then(|end| end.error.as_deref()).map(str::to_owned),
        ..of(&intent.subject, "delete", intent.at, row.seq, row.state.as_str(), details)
    }
}

fn of_missed(missed: &SlotsMissed) -> Entry {
    let details = Details::Missed { slot: missed.slot.to_string(), count: missed.count };
    of(&missed.subject, "missed", missed.at, 0, "missed", details)
}

fn of_order(row: &OrderRow) -> Entry {
    let StandingOrder { op, what, until, reason, by, at } = &row.order;
    let texts = |list: &[Box<str>]| list.iter().map(|text| text.to_string()).collect();
    let nobody = Selection::default();
    let (server, held, selection) = match what {
        Standing::Pause(selection) | Standing::Resume(selection) => (None, None, selection),
        Standing::Hold(held) | Standing::Release(held) => (Some(ServerJson::new(held.server, &held.server_name)), Some(held), &nobody),
        Standing::NoDeletes { server, server_name } => (Some(ServerJson::new(*server, server_name)), None, &nobody),
        Standing::Deletes { server } => (Some(ServerJson::new(*server, "")), None, &nobody),
    };
    let item = held.map(|held| ItemJson { id: Some(held.item.0), name: held.name.as_deref().map(str::to_owned), created_at: None });
    Entry {
        at: *at,
        r#do: what.as_str(),
        server,
        kind: held.map(|held| held.kind.as_str()),
        policy: None,
        run: None,
        op: Some(op.0),
        trigger: None,
        by: Some(by.to_string()),
        result: "ordered",
        ended_at: None,
        error: None,
        details: Details::Order {
            item,
            servers: texts(&selection.servers),
            policies: texts(&selection.policies),
            kinds: selection.kinds.iter().map(|kind| kind.as_str()).collect(),
            until: until.to_string(),
            reason: reason.to_string(),
        },
        seq: row.seq,
    }
}

/// Whom a pause means; a dash for everybody.
fn whom(details: &Details) -> String {
    let Details::Order { servers, policies, .. } = details else { return "-".to_owned() };
    let policies = policies.iter().map(|policy| format!("policy {policy}"));
    let names: Vec<String> = servers.iter().cloned().chain(policies).collect();
    if names.is_empty() { "-".to_owned() } else { names.join(", ") }
}

/// The kinds that a pause means; a dash for both.
fn kinds(details: &Details) -> String {
    match details {
        Details::Order { kinds, .. } if !kinds.is_empty() => kinds.join(", "),
        _ => "-".to_owned(),
    }
}

fn text(entries: &[Entry], since: Timestamp, now: Timestamp, color: bool) -> String {
    if entries.is_empty() {
        return format!("nothing was done since {since}\n");
    }
    let mut table = Table::new(&["TIME", "AGE", "SERVER", "KIND", "WHAT", "ITEM", "RESULT", "WHY"]);
    for entry in entries {
        let cells = [
            entry.at.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
            output::ago(entry.at, now),
            entry.server.as_ref().map_or_else(|| whom(&entry.details), ToString::to_string),
            entry.kind.map_or_else(|| kinds(&entry.details), str::to_owned),
            entry.r#do.replace('_', " "),
            item(&entry.details),
            entry.result.replace('_', " "),
            why(entry),
        ];
        table.row_in(color_of(entry.result), &cells);
    }
    table.draw(color)
}

fn short(digest: &str) -> &str {
    digest.get(..DIGEST_SHOWN).unwrap_or(digest)
}

/// The texts in full, each under the word by which the table names it. They were written without anything that is not seen.
fn policy_texts(texts: &[Arc<PolicyText>]) -> String {
    let part = |text: &Arc<PolicyText>| {
        let lines = text.text().lines().map(|line| format!("  {line}\n"));
        format!(
            "\npolicy text {}, with all defaults; `***` hides an argument of a hook:\n{}",
            short(&text.digest().to_string()),
            lines.collect::<String>()
        )
    };
    texts.iter().map(part).collect()
}

fn color_of(result: &str) -> Option<Color> {
    match result {
        "failure" | "failed" | "refused" | "ineffective" | "absent" | "not_sent" => Some(Color::Red),
        "blocked" | "missed" | "intended" | "unfinished" => Some(Color::Yellow),
        _ => None,
    }
}

/// The item's number and name.
fn item(details: &Details) -> String {
    let (Details::Create { item, .. } | Details::Delete { item, .. } | Details::Order { item: Some(item), .. }) = details else {
        return "-".to_owned();
    };
    let id = item.id.map_or_else(|| "?".to_owned(), |id| id.to_string());
    item.name.as_ref().map_or(id.clone(), |name| format!("{id} {name}"))
}

/// What it was done for, who set it off, and by which text of which policy; last what went wrong, which may be long.
fn why(entry: &Entry) -> String {
    let slot = |slot: &Option<String>| slot.as_ref().map_or_else(|| "by hand".to_owned(), |slot| format!("slot {slot}"));
    let (what, text) = match &entry.details {
        Details::Run { slot: Some(slot), .. } => (format!("slot {slot}"), None),
        Details::Run { slot: None, .. } => ("no slot".to_owned(), None),
        Details::Create { slot: of, attempt, policy_text, .. } => {
            let again = if *attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
            (slot(of) + &again, policy_text.as_ref())
        }
        Details::Delete { reason, policy_text, .. } => (reason.clone(), policy_text.as_ref()),
        Details::Missed { slot, count: 1 } => (format!("slot {slot}"), None),
        Details::Missed { slot, count } => (format!("{count} slots, the newest {slot}"), None),
        Details::Order { until, reason, .. } => {
            // What ends others stands as long as those would have, which says nothing.
            let until = if matches!(entry.r#do, "resume" | "release" | "deletes") { String::new() } else { format!("until {until}") };
            let by = entry.by.as_ref().map_or_else(String::new, |by| format!("by {by}"));
            let words = [until, reason.clone(), by];
            return words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join("; ");
        }
    };
    let of = entry.by.as_ref().map_or_else(String::new, |by| format!(" of {by}"));
    let mut by: Vec<String> = entry.trigger.map(|trigger| trigger.to_owned() + &of).into_iter().collect();
    by.extend(entry.policy.as_ref().map(|policy| format!("policy {policy}")));
    by.extend(text.map(|digest| format!("policy text {}", short(digest))));
    let mut why = format!("{what} ({})", by.join(", "));
    if let Details::Create { gone: Some(GoneJson { at, by: "others" }), .. } = &entry.details {
        why.push_str(&format!("; gone since {at}, not through snapwarden"));
    }
    if let Details::Run { problems, .. } = &entry.details {
        problems.iter().for_each(|problem| why.push_str(&format!("; {}: {}", problem.reason, problem.detail)));
    }
    if let Some(error) = &entry.error {
        why.push_str(&format!("; {error}"));
    }
    why
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_begins_so_long_ago_or_at_a_time() {
        assert_eq!(since("7d"), Ok(Since::Ago(jiff::SignedDuration::from_hours(168))));
        assert_eq!(since("2026-11-21T03:30:00+01:00"), Ok(Since::At("2026-11-21T02:30:00Z".parse().unwrap())));
        for wrong in ["", "5M", "yesterday", "2026-11-21", "2026-11-21T03:30:00", "0s", "-7d"] {
            assert!(since(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_history_is_a_table_with_what_failed_in_red() {
        let subject = missed(1, 0)[0].subject.clone();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let slot = Some("2026-11-21T03:30:00Z".to_owned());
        let failed = Details::Run { slot, problems: vec![ProblemJson { reason: "cap_full", detail: "5 of 5 slots\nare used".to_owned() }] };
        let entries = [
            of(
                &subject,
                "missed",
                at("2026-11-20T03:30:00Z"),
                1,
                "missed",
                Details::Missed { slot: "2026-11-20T03:30:00Z".to_owned(), count: 1 },
            ),
            Entry { trigger: Some("schedule"), ..of(&subject, "run", at("2026-11-21T03:30:05Z"), 2, "failure", failed) },
        ];
        let now = at("2026-11-21T12:00:00Z");
        let expected = [
            "TIME                  AGE       SERVER   KIND      WHAT    ITEM  RESULT   WHY",
            "2026-11-20 03:30:00Z  32 h ago  web (1)  snapshot  missed  -     missed   slot 2026-11-20T03:30:00Z (policy web)",
            "2026-11-21 03:30:05Z  8 h ago   web (1)  snapshot  run     -     failure  slot 2026-11-21T03:30:00Z (schedule, policy web); \
             cap_full: 5 of 5 slots\\u{a}are used",
        ];
        assert_eq!(text(&entries, at("2026-11-20T00:00:00Z"), now, false), expected.map(|line| format!("{line}\n")).concat());
        let colored = [format!("\u{1b}[1m{}", expected[0]), format!("\u{1b}[33m{}", expected[1]), format!("\u{1b}[31m{}", expected[2])];
        assert_eq!(text(&entries, at("2026-11-20T00:00:00Z"), now, true), colored.map(|line| format!("{line}\u{1b}[0m\n")).concat());
        assert_eq!(text(&[], at("2026-11-20T00:00:00Z"), now, true), "nothing was done since 2026-11-20T00:00:00Z\n");
    }

    fn missed(count: usize, oldest: i64) -> Vec<SlotsMissed> {
        let subject = Subject {
            server: crate::domain::inventory::ServerId(1),
            server_name: "web".into(),
            kind: crate::domain::inventory::Kind::Snapshot,
            policy: "web".into(),
        };
        let at = |index: usize| Timestamp::from_second(oldest + i64::try_from(count - index).unwrap()).unwrap();
        (1..=count).map(|index| SlotsMissed { subject: subject.clone(), slot: at(index), count: 1, at: at(index) }).collect()
    }

    #[test]
    fn a_list_that_is_full_says_from_when_on_it_is_complete() {
        let asked = Timestamp::from_second(100).unwrap();
        let rows = |missed| HistoryRows { missed, ..HistoryRows::default() };
        assert_eq!(complete_since(&rows(missed(ROWS_MAX - 1, 5000)), asked), asked);
        assert_eq!(complete_since(&rows(missed(ROWS_MAX, 5000)), asked), Timestamp::from_second(5000).unwrap());
    }
}
