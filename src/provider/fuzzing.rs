//! What must hold of any answer of the provider.

#![allow(clippy::expect_used, reason = "a panic is how a finding is told")]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::error::ProviderError;
use super::gather::{Gather, Items, Servers, Totals};
use super::page::{Next, Page, read_page, read_whole_page};
use super::retry_after::{self, PAUSE_MAX, PAUSE_MIN};
use super::text::MESSAGE_CHARS_MAX;
use super::texts::Texts;
use super::wire::{CreateBody, Entry, read_account, read_created, read_entry, read_message, read_restoring};
use crate::domain::inventory::{Defect, Item, ItemId, Kind, Listing, Opaque, ServerId, ServerListing, Status};

/// What stands between the pages of a listing in an input.
const PAGE_END: &str = "\n---\n";

/// A listing of items and one of servers, page by page, then each entry on its own.
pub(crate) fn check_listing(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let pages: Vec<&str> = text.split(PAGE_END).collect();
    for kind in Kind::ALL {
        if let Some((items, totals, entries)) = gather(&pages, Items::new(kind, Arc::default())) {
            check_items(&items.into_listing(&totals), &totals, &entries);
        }
        pages.iter().for_each(|page| check_entry(kind, page));
    }
    if let Some((servers, totals, entries)) = gather(&pages, Servers::default()) {
        check_servers(&servers.into_listing(&totals), &totals, &entries);
    }
}

/// Joins pages as the adapter does: the first must be readable, a later one that is not is missing. Also what a plain reading of the JSON shows.
fn gather<G: Gather + Debug>(pages: &[&str], mut all: G) -> Option<(G, Totals, Vec<Value>)> {
    let (mut totals, mut entries) = (Totals::default(), Vec::new());
    for (index, text) in pages.iter().enumerate() {
        let read = read_page(text.as_bytes(), all.empty());
        let whole = read_whole_page(text.as_bytes(), all.empty());
        assert_eq!(read.as_ref().ok().map(|page| format!("{page:?}")), whole.ok().map(|page| format!("{page:?}")), "of {text:?}");
        let Ok(Page { count, next, entries: page }) = read else {
            if index == 0 {
                return None;
            }
            totals.page_missing = true;
            break;
        };
        let shown = plain_entries(text);
        assert_eq!(page.arrived(), shown.len() as u64, "entries of {text:?}");
        entries.extend(shown);
        totals.counts.extend(count);
        totals.page_missing |= next == Next::Unreadable;
        all.append(page);
    }
    Some((all, totals, entries))
}

/// The entries of a page, by a reading that knows nothing of ours.
fn plain_entries(page: &str) -> Vec<Value> {
    let list = match serde_json::from_str::<Vec<Box<RawValue>>>(page) {
        Ok(list) => list,
        Err(_) => {
            let fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(page).expect("a page is a list or an object");
            serde_json::from_str(fields["results"].get()).expect("results is a list")
        }
    };
    list.iter().map(|entry| plain(entry, 2)).collect()
}

/// The value as it stands; a number that is too large, or text that is none, counts as nothing.
fn plain(raw: &RawValue, depth: u32) -> Value {
    match serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(raw.get()) {
        Ok(fields) if depth > 0 => fields.iter().map(|(key, value)| (key.clone(), plain(value, depth - 1))).collect(),
        _ => serde_json::from_str(raw.get()).unwrap_or(Value::Null),
    }
}

fn check_items(listing: &Listing, totals: &Totals, entries: &[Value]) {
    let arrived = entries.len() as u64;
    assert!(listing.items.len() + listing.opaque.len() <= entries.len(), "something was invented");
    assert_eq!(listing.missing, totals.counts.last().map_or(0, |count| count.saturating_sub(arrived)));
    let differs = totals.counts.iter().any(|count| *count != arrived);
    assert_eq!(listing.defects.iter().any(|defect| matches!(defect, Defect::CountDiffers { .. })), differs, "{:?}", listing.defects);
    assert_eq!(listing.defects.contains(&Defect::PageMissing), totals.page_missing);
    let mut ids: Vec<ItemId> = listing.items.iter().map(|item| item.id).collect();
    ids.extend(listing.opaque.iter().filter_map(|opaque| opaque.id));
    ids.sort_unstable();
    let twice = ids.windows(2).any(|pair| pair[0] == pair[1]);
    let told = listing.defects.iter().any(|defect| matches!(defect, Defect::DuplicateId(_)));
    assert!(told || !twice, "a number that occurs twice is not told");
    assert!(told || entries.len() >= listing.items.len());
    for item in listing.items.iter() {
        assert!(entries.iter().filter_map(Value::as_object).any(|entry| shows(entry, item)), "nobody sent {item:?}");
    }
}

/// Whether an object says all that was read from it.
fn shows(entry: &Map<String, Value>, item: &Item) -> bool {
    let text = |key: &str| entry.get(key).and_then(Value::as_str);
    let server = entry.get("server").and_then(Value::as_object);
    let status = match &item.status {
        Status::InProgress => text("status") == Some("in_progress"),
        Status::Completed => text("status") == Some("completed"),
        Status::Failed => matches!(text("status"), Some("failed" | "error")),
        Status::Unknown(word) => {
            is_harmless(word) && !matches!(text("status"), None | Some("in_progress" | "completed" | "failed" | "error"))
        }
    };
    let expires = entry.get("expires_at").is_some_and(|value| !value.is_null());
    let automatic = match item.kind {
        Kind::Snapshot => expires,
        Kind::Backup => expires || text("backup_type") == Some("automatic"),
    };
    status
        && item.automatic == automatic
        && entry.get("id").and_then(Value::as_u64) == Some(item.id.0)
        && server.and_then(|server| server.get("id")).and_then(Value::as_u64) == Some(item.server.0)
        && item.name.as_deref() == text("name").filter(|_| item.kind == Kind::Snapshot)
        && *item.description == *text("description").unwrap_or_default()
        && text("created_at").and_then(|time| time.parse().ok()) == Some(item.created_at)
}

fn check_servers(listing: &ServerListing, totals: &Totals, entries: &[Value]) {
    assert!(listing.servers.len() <= entries.len());
    let whole = totals.counts.iter().all(|count| *count == entries.len() as u64) && !totals.page_missing;
    assert!(whole || !listing.defects.is_empty());
    assert!(listing.servers.len() == entries.len() || !listing.defects.is_empty(), "an entry went without a word");
    let mut ids: Vec<ServerId> = listing.servers.iter().map(|server| server.id).collect();
    ids.sort_unstable();
    assert!(!listing.defects.is_empty() || ids.windows(2).all(|pair| pair[0] != pair[1]), "a number occurs twice");
    for server in listing.servers.iter() {
        assert!(is_harmless(&server.status));
        let says = |entry: &Value| entry["id"].as_u64() == Some(server.id.0) && entry["name"].as_str() == Some(&server.name);
        assert!(entries.iter().any(says), "nobody sent {server:?}");
    }
    assert!(listing.defects.iter().all(|defect| is_harmless(defect)));
}

/// Reads a text as one entry and as the answer to a create, also with its keys the other way round.
fn check_entry(kind: Kind, text: &str) {
    let Ok(raw) = serde_json::from_str::<&RawValue>(text) else { return };
    let entry = read_entry(kind, raw, &mut Texts::default());
    if let Some(turned) = turned(raw) {
        assert_eq!(read_entry(kind, &turned, &mut Texts::default()), entry, "the order of the keys matters");
    }
    match entry {
        Entry::Item(item) => check_created(kind, text, &item),
        Entry::Opaque(Opaque { why, .. }) => assert!(!why.is_empty() && is_harmless(&why)),
        Entry::Orphan(_) => {}
    }
}

/// An object with its keys in the other order.
fn turned(raw: &RawValue) -> Option<Box<RawValue>> {
    let parts: Pairs = serde_json::from_str(raw.get()).ok()?;
    let written: Vec<String> = parts.0.iter().rev().map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), value.get())).collect();
    RawValue::from_string(format!("{{{}}}", written.join(","))).ok()
}

/// The keys and values of an object as they stand, twice the same ones too.
struct Pairs(Vec<(String, Box<RawValue>)>);

impl<'de> serde::Deserialize<'de> for Pairs {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Pairs, D::Error> {
        struct Collect;
        impl<'de> serde::de::Visitor<'de> for Collect {
            type Value = Pairs;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// The answer to a create is taken for what it says, and for nothing else.
fn check_created(kind: Kind, text: &str, item: &Item) {
    let asked = CreateBody { server_id: item.server.0, name: item.name.as_deref(), description: &item.description };
    let other_text = CreateBody { server_id: item.server.0, name: item.name.as_deref(), description: "another" };
    let other_server = CreateBody { server_id: item.server.0.wrapping_add(1), name: item.name.as_deref(), description: &item.description };
    match read_created(kind, &asked, text.as_bytes()) {
        Ok(read) => assert!(read == *item && !item.automatic),
        Err(error) => assert!(item.automatic && matches!(error, ProviderError::Mismatch { .. })),
    }
    assert!(read_created(kind, &other_server, text.as_bytes()).is_err());
    assert!(*item.description == *"another" || read_created(kind, &other_text, text.as_bytes()).is_err());
}

/// A refusal: first line the status, second the `Retry-After`, then the body.
pub(crate) fn check_refusal(data: &[u8]) {
    let mut lines = data.splitn(3, |byte| *byte == b'\n');
    let mut line = || String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let (status, header) = (line().trim().parse().unwrap_or(400), line());
    let body = lines.next().unwrap_or_default();
    let pause = check_pause(&header);
    let message = read_message(body);
    assert!(is_harmless(&message) && message.chars().count() <= LONGEST, "{message:?}");
    let error = ProviderError::from_status(status, pause, message);
    assert!(is_harmless(&error.to_string()));
    assert!(error.retry_after().is_none_or(|pause| (PAUSE_MIN..=PAUSE_MAX).contains(&pause)));
    assert!(error.retry_after().is_none() || error.retry_after() == pause);
    // Only a status of the 4xx says for sure that nothing was done; a timeout of the provider's is none.
    let final_no = (400..500).contains(&status) && status != 408;
    assert_eq!(error.is_doubtful(), !final_no, "{status}");
    check_answers(body);
}

/// A pause is between its limits, and what is plainly a number is one.
fn check_pause(header: &str) -> Option<Duration> {
    let now = Timestamp::from_second(1_795_000_000).expect("a time");
    let pause = retry_after::parse(header, now);
    assert!(pause.is_none_or(|pause| (PAUSE_MIN..=PAUSE_MAX).contains(&pause)), "{header:?}: {pause:?}");
    let digits = header.trim();
    if !digits.is_empty() && digits.len() < 30 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds = digits.parse::<u128>().expect("less than 30 digits").clamp(1, 3600);
        assert_eq!(pause.map(|pause| u128::from(pause.as_secs())), Some(seconds), "{header:?}");
    }
    for now in [Timestamp::MIN, Timestamp::MAX] {
        assert!(retry_after::parse(header, now).is_none_or(|pause| (PAUSE_MIN..=PAUSE_MAX).contains(&pause)));
    }
    pause
}

/// Other answers whose texts people see.
fn check_answers(body: &[u8]) {
    match read_account(body) {
        Ok(account) => {
            let texts = account.email.iter().chain(&account.token_name).chain(&account.permissions);
            texts.for_each(|text| assert!(is_harmless(text) && text.chars().count() <= LONGEST));
        }
        Err(error) => assert!(is_harmless(&error.to_string()) && error.is_doubtful()),
    }
    let (snapshot, server) = (Some(ItemId(1)), Some(ServerId(1)));
    match read_restoring(snapshot, server, body) {
        Ok(restoring) => assert!(is_harmless(&restoring.message) && restoring.server == server),
        Err(error) => assert!(is_harmless(&error.to_string()) && error.is_doubtful()),
    }
}

/// Each character can become `\u{10ffff}`, and one says that the text goes on.
const LONGEST: usize = 10 * MESSAGE_CHARS_MAX + 1;

/// Whether a terminal shows the text as it is and does nothing else.
fn is_harmless(text: &str) -> bool {
    !text
        .chars()
        .any(|c| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c) || ('\u{2066}'..='\u{2069}').contains(&c) || c == '\u{200f}')
}
