//! The provider's JSON, one entry or answer at a time. Each entry is read on its own, so that one that cannot be read spoils no other.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::restore::Restoring;
use super::text::{MESSAGE_CHARS_MAX, printable};
use super::texts::Texts;
use super::{Account, ProviderError};
use crate::domain::inventory::{Item, ItemId, Kind, Opaque, Server, ServerId, Status};

/// The longest unknown status word that is kept.
const STATUS_CHARS_MAX: usize = 40;

/// What one entry of a listing turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Item(Item),
    Opaque(Opaque),
    /// Its server no longer exists (`server` is null). It belongs to no server of ours, fills no slot of any, and is left alone.
    Orphan(Option<ItemId>),
}

#[derive(Deserialize)]
struct RawItem<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    server: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    name: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    backup_type: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    status: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    created_at: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    expires_at: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    description: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RawServer<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    name: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    status: Option<&'a RawValue>,
}

/// Tells a key that is null from one that is missing.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Reads an object. Serde would take a list for a struct too, by position.
fn object<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Option<T> {
    if !raw.get().starts_with('{') {
        return None;
    }
    serde_json::from_str(raw.get()).ok()
}

fn field<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>, name: &str) -> Result<T, String> {
    let raw = raw.ok_or_else(|| format!("`{name}` is missing"))?;
    serde_json::from_str(raw.get()).map_err(|_| format!("`{name}` cannot be read"))
}

/// A text, as it stands where nothing in it is escaped.
fn text<'a>(raw: Option<&'a RawValue>, name: &str) -> Result<Cow<'a, str>, String> {
    match raw.and_then(|raw| serde_json::from_str::<&str>(raw.get()).ok()) {
        Some(plain) => Ok(Cow::Borrowed(plain)),
        None => field::<String>(raw, name).map(Cow::Owned),
    }
}

fn is_null(raw: &RawValue) -> bool {
    raw.get() == "null"
}

/// Reads one entry of a snapshot or backup listing.
pub(super) fn read_entry(kind: Kind, raw: &RawValue, texts: &mut Texts) -> Entry {
    let Some(fields) = object::<RawItem>(raw) else {
        return Entry::Opaque(Opaque { id: None, server: None, why: "it is not an object, or has a key twice".into() });
    };
    let id = field(fields.id, "id").ok().map(ItemId);
    if fields.server.is_some_and(is_null) {
        return Entry::Orphan(id);
    }
    match read_item(kind, &fields, texts) {
        Ok(item) => Entry::Item(item),
        Err(why) => Entry::Opaque(Opaque { id, server: read_server_id(fields.server), why }),
    }
}

fn read_server_id(raw: Option<&RawValue>) -> Option<ServerId> {
    let server: RawServer = object(raw?)?;
    field(server.id, "id").ok().map(ServerId)
}

fn read_item(kind: Kind, fields: &RawItem, texts: &mut Texts) -> Result<Item, String> {
    let server_raw = fields.server.ok_or("`server` is missing")?;
    let server: RawServer = object(server_raw).ok_or("`server` cannot be read")?;
    Ok(Item {
        id: ItemId(field(fields.id, "id")?),
        server: ServerId(field(server.id, "server.id")?),
        // Only for people and for the check against typing errors, which an empty name does not pass.
        server_name: texts.text(&text(server.name, "server.name").unwrap_or_default()),
        kind,
        name: match kind {
            Kind::Snapshot => Some(texts.text(&text(fields.name, "name")?)),
            Kind::Backup => None,
        },
        description: texts.description(&read_description(fields.description)?),
        status: read_status(fields.status)?,
        created_at: text(fields.created_at, "created_at")?.parse().map_err(|_| "`created_at` is not a time with a zone".to_string())?,
        automatic: read_automatic(kind, fields)?,
    })
}

fn read_description(raw: Option<&RawValue>) -> Result<Cow<'_, str>, String> {
    match raw {
        None => Ok(Cow::Borrowed("")),
        Some(raw) if is_null(raw) => Ok(Cow::Borrowed("")),
        raw => text(raw, "description"),
    }
}

fn read_status(raw: Option<&RawValue>) -> Result<Status, String> {
    let word = text(raw, "status")?;
    Ok(match &*word {
        "in_progress" => Status::InProgress,
        "completed" => Status::Completed,
        "failed" | "error" => Status::Failed,
        _ => Status::Unknown(printable(&word, STATUS_CHARS_MAX).into()),
    })
}

/// Whether the provider's own plan made it. Whatever expires by itself counts as that.
fn read_automatic(kind: Kind, fields: &RawItem) -> Result<bool, String> {
    let expires = fields.expires_at.is_some_and(|raw| !is_null(raw));
    if kind == Kind::Snapshot {
        return Ok(expires);
    }
    match &*text(fields.backup_type, "backup_type")? {
        "automatic" => Ok(true),
        "manual" => Ok(expires),
        _ => Err("`backup_type` is neither `manual` nor `automatic`".into()),
    }
}

/// Reads one entry of the list of servers. An entry with a number and a name is shown even where the rest of it is not readable.
pub(super) fn read_server(raw: &RawValue) -> (Option<Server>, Option<String>) {
    let Some(fields) = object::<RawServer>(raw) else {
        return (None, Some("an entry is not an object, or has a key twice".into()));
    };
    let id = match field(fields.id, "id") {
        Ok(id) => id,
        Err(why) => return (None, Some(format!("an entry's {why}"))),
    };
    let name: Box<str> = match field(fields.name, "name") {
        Ok(name) => name,
        Err(why) => return (None, Some(format!("server {id}: {why}"))),
    };
    let status = field::<String>(fields.status, "status");
    match status.and_then(|word| if word.is_empty() { Err("`status` is empty".to_owned()) } else { Ok(word) }) {
        Ok(word) => (Some(Server { id: ServerId(id), name, status: printable(&word, STATUS_CHARS_MAX).into() }), None),
        Err(why) => (Some(Server { id: ServerId(id), name, status: "".into() }), Some(format!("server {id}: {why}"))),
    }
}

/// The body of a create.
#[derive(Serialize)]
pub(super) struct CreateBody<'a> {
    pub(super) server_id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<&'a str>,
    pub(super) description: &'a str,
}

/// The body of a restore from a backup.
#[derive(Serialize)]
pub(super) struct RestoreBody {
    pub(super) backup_id: u64,
}

fn unreadable(what: impl Into<String>) -> ProviderError {
    ProviderError::Unreadable { what: what.into() }
}

fn raw(body: &[u8]) -> Result<&RawValue, ProviderError> {
    serde_json::from_slice(body).map_err(|error| unreadable(printable(&format!("it is not JSON: {error}"), MESSAGE_CHARS_MAX)))
}

/// Reads the answer to a create, and compares it with what was asked for (F05): an id is only ever taken for ours when everything agrees.
pub(super) fn read_created(kind: Kind, asked: &CreateBody, body: &[u8]) -> Result<Item, ProviderError> {
    let item = match read_entry(kind, raw(body)?, &mut Texts::default()) {
        Entry::Item(item) => item,
        Entry::Opaque(opaque) => return Err(unreadable(opaque.why)),
        Entry::Orphan(_) => return Err(unreadable("`server` is null")),
    };
    let differs = if item.server.0 != asked.server_id {
        Some(format!("it is of server {}", item.server))
    } else if item.name.as_deref() != asked.name {
        Some("it has another name".to_string())
    } else if &*item.description != asked.description {
        Some("it has another description".to_string())
    } else if item.automatic {
        Some("it is an automatic one".to_string())
    } else {
        None
    };
    match differs {
        None => Ok(item),
        Some(what) => Err(ProviderError::Mismatch { what }),
    }
}

#[derive(Deserialize)]
struct RawAccountAnswer<'a> {
    #[serde(borrow)]
    account: &'a RawValue,
    #[serde(borrow, default, deserialize_with = "present")]
    token: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RawAccount<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    email: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RawToken<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    name: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    permissions: Option<&'a RawValue>,
}

/// Reads the answer of `/account/me/`. Only `account` has to be there: the page that documents it is readable only in part.
pub(super) fn read_account(body: &[u8]) -> Result<Account, ProviderError> {
    let answer: RawAccountAnswer = object(raw(body)?).ok_or_else(|| unreadable("`account` is missing"))?;
    let account: RawAccount = object(answer.account).ok_or_else(|| unreadable("`account` cannot be read"))?;
    let token: Option<RawToken> = answer.token.and_then(object);
    let safe = |text: String| printable(&text, MESSAGE_CHARS_MAX);
    let permissions: Vec<String> = token.as_ref().and_then(|token| field(token.permissions, "").ok()).unwrap_or_default();
    Ok(Account {
        email: field(account.email, "email").ok().map(safe),
        token_name: token.and_then(|token| field(token.name, "name").ok()).map(safe),
        permissions: permissions.into_iter().map(safe).collect(),
    })
}

#[derive(Deserialize)]
struct RawRestoring<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    message: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    snapshot: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    server: Option<&'a RawValue>,
}

/// Reads the answer to a restore. `snapshot` and `server` are what was asked for, where that is known; an answer about another one is told.
pub(super) fn read_restoring(snapshot: Option<ItemId>, server: Option<ServerId>, body: &[u8]) -> Result<Restoring, ProviderError> {
    let answer: RawRestoring = object(raw(body)?).ok_or_else(|| unreadable("it is not an object"))?;
    let said_server = read_server_id(answer.server);
    let said_snapshot = answer.snapshot.and_then(object::<RawItem>).and_then(|item| field(item.id, "id").ok()).map(ItemId);
    if snapshot.is_some() && said_snapshot.is_some() && said_snapshot != snapshot {
        return Err(ProviderError::Mismatch { what: "it is about another snapshot".into() });
    }
    if server.is_some() && said_server.is_some() && said_server != server {
        return Err(ProviderError::Mismatch { what: "it is about another server".into() });
    }
    let message: String = field(answer.message, "message").unwrap_or_default();
    Ok(Restoring { server: said_server.or(server), message: printable(&message, MESSAGE_CHARS_MAX) })
}

/// The provider's words in the body of a refusal; empty if there are none that people could read.
///
/// Seen in this provider's style: `{"detail": …}`, and field → list of messages. Anything else is shown as it came, but never a web page.
pub(super) fn read_message(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    let words = match serde_json::from_str::<serde_json::Value>(text) {
        Ok(serde_json::Value::Object(fields)) => match ["detail", "error", "message"].iter().find_map(|key| fields.get(*key)?.as_str()) {
            Some(words) => words.to_string(),
            None => fields.iter().map(|(key, value)| format!("{key}: {}", plain(value))).collect::<Vec<_>>().join("; "),
        },
        Ok(value) => plain(&value),
        Err(_) if text.starts_with('<') => String::new(),
        Err(_) => text.to_string(),
    };
    printable(&words, MESSAGE_CHARS_MAX)
}

fn plain(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Array(list) => list.iter().map(plain).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
