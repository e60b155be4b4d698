//! The JSON of the API, as documented.

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::item::{Item, Order, Server};
use super::shelf::Seen;
use super::state::Account;
use crate::domain::inventory::{Kind, ServerId};

/// What is wrong with a body: its field (`detail` for all of it) and a message.
pub(super) type BadField = (&'static str, String);

/// Part of a list, and how it is announced.
pub(super) struct Part<'a> {
    pub seen: &'a [Seen<'a>],
    /// How many entries there are on all pages.
    pub count: usize,
    /// `None`: the list has no pages. `Some(None)`: this is the last one.
    pub next: Option<Option<String>>,
}

#[derive(Serialize)]
struct WireList<'a> {
    count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Option<String>>,
    results: Vec<WireItem<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum WireItem<'a> {
    Snapshot {
        id: u64,
        server: Option<WireServer<'a>>,
        name: &'a str,
        status: &'a str,
        size_mb: Option<u64>,
        created_at: Seconds,
        description: &'a str,
    },
    Backup {
        id: u64,
        server: Option<WireServer<'a>>,
        backup_type: &'static str,
        status: &'a str,
        size_mb: Option<u64>,
        created_at: Seconds,
        expires_at: Option<Seconds>,
        description: &'a str,
    },
}

#[derive(Serialize)]
struct WireServer<'a> {
    id: u64,
    name: &'a str,
}

/// A time in whole seconds with `Z`.
pub(super) struct Seconds(pub Timestamp);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let whole = Timestamp::from_second(self.0.as_second()).unwrap_or(self.0);
        serializer.collect_str(&whole)
    }
}

/// The body of a list call.
pub(super) fn list(account: &Account, part: Part<'_>) -> Bytes {
    let results = part.seen.iter().map(|seen| wire_item(account, *seen)).collect();
    bytes_of(&WireList { count: part.count, next: part.next, results })
}

/// The body of a 201.
pub(super) fn created(account: &Account, item: &Item) -> Bytes {
    let seen = Seen { item, progress: &item.progress, size_mb: item.size_mb, since: account.version() };
    let mut body = json!(wire_item(account, seen));
    let noun = match item.kind {
        Kind::Snapshot => "Snapshot",
        Kind::Backup => "Backup",
    };
    body["message"] = json!(format!("{noun} creation started. This may take several minutes."));
    bytes_of(&body)
}

/// The body of a restore's 200.
pub(super) fn restoring(item: &Item, server: &Server) -> Bytes {
    let mut body = json!({
        "status": "success",
        "message": format!("Restoring {}. The server is stopped first.", server.name),
        "server": {"id": server.id.0, "name": server.name, "status": server.status},
    });
    let mut source = json!({"id": item.id.0, "created_at": Seconds(item.created_at)});
    if let Some(name) = &item.name {
        source["name"] = json!(**name);
    }
    body[item.kind.as_str()] = source;
    bytes_of(&body)
}

/// The body of `GET /servers/`.
pub(super) fn servers<'a>(servers: impl Iterator<Item = &'a Server>) -> Bytes {
    let results: Vec<Value> = servers.map(wire_server).collect();
    bytes_of(&json!({"count": results.len(), "results": results}))
}

/// The body of `GET /account/me/`.
pub(super) fn me(email: &str, permissions: &[String]) -> Bytes {
    bytes_of(&json!({
        "account": {"email": email},
        "token": {"name": "emulator", "permissions": permissions},
    }))
}

/// The body of an error.
pub(super) fn detail(text: &str) -> Bytes {
    bytes_of(&json!({"detail": text}))
}

/// The body of an error in certain fields.
pub(super) fn bad_fields(fields: &[BadField]) -> Bytes {
    let mut body = Map::new();
    for (field, message) in fields {
        body.insert((*field).to_owned(), json!([message]));
    }
    bytes_of(&body)
}

/// Reads the body of a create; on failure, every field that is wrong.
pub(super) fn order(kind: Kind, body: &[u8]) -> Result<Order, Vec<BadField>> {
    let body = object(body)?;
    let mut bad = Vec::new();
    let server = integer(&body, "server_id").unwrap_or_else(|field| push(&mut bad, field));
    let name = match kind {
        Kind::Snapshot if !body.contains_key("name") => push(&mut bad, ("name", REQUIRED.to_owned())),
        Kind::Snapshot => Some(text(&body, "name").unwrap_or_else(|field| push(&mut bad, field))),
        Kind::Backup => None,
    };
    let description = text(&body, "description").unwrap_or_else(|field| push(&mut bad, field));
    if bad.is_empty() {
        Ok(Order { kind, server: ServerId(server), name: name.map(Into::into), description: description.into() })
    } else {
        Err(bad)
    }
}

/// Reads one required integer out of a body.
pub(super) fn required_integer(body: &[u8], field: &'static str) -> Result<u64, Vec<BadField>> {
    integer(&object(body)?, field).map_err(|bad| vec![bad])
}

const REQUIRED: &str = "This field is required.";

fn push<T: Default>(bad: &mut Vec<BadField>, field: BadField) -> T {
    bad.push(field);
    T::default()
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Vec<BadField>> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(vec![("non_field_errors", "Invalid data. Expected a dictionary.".to_owned())]),
        Err(error) => Err(vec![("detail", format!("JSON parse error - {error}"))]),
    }
}

fn integer(body: &Map<String, Value>, field: &'static str) -> Result<u64, BadField> {
    let value = body.get(field).ok_or_else(|| (field, REQUIRED.to_owned()))?;
    value.as_u64().ok_or_else(|| (field, "A valid integer is required.".to_owned()))
}

fn text(body: &Map<String, Value>, field: &'static str) -> Result<String, BadField> {
    match body.get(field) {
        None => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err((field, "Not a valid string.".to_owned())),
    }
}

fn wire_item<'a>(account: &'a Account, seen: Seen<'a>) -> WireItem<'a> {
    let item = seen.item;
    let server = account.server(item.server).map(|server| WireServer { id: server.id.0, name: &server.name });
    let (id, status, size_mb) = (item.id.0, seen.progress.as_str(), seen.size_mb);
    let (created_at, description) = (Seconds(item.created_at), &*item.description);
    match item.kind {
        Kind::Snapshot => {
            WireItem::Snapshot { id, server, name: item.name.as_deref().unwrap_or_default(), status, size_mb, created_at, description }
        }
        Kind::Backup => WireItem::Backup {
            id,
            server,
            backup_type: if item.automatic { "automatic" } else { "manual" },
            status,
            size_mb,
            created_at,
            expires_at: item.expires_at.map(Seconds),
            description,
        },
    }
}

fn wire_server(server: &Server) -> Value {
    json!({
        "id": server.id.0, "name": server.name, "hostname": server.hostname, "status": server.status,
        "ip_address": format!("192.0.2.{}", server.id.0 % 254 + 1), "location": server.location,
        "plan": {"id": 1, "name": "vps-2", "vcpus": 2, "memory": 4096, "storage": 80},
        "os": {"id": 1, "name": "Debian 13"},
        "created_at": Seconds(server.created_at), "updated_at": Seconds(server.created_at),
    })
}

/// JSON of values that always have one: their keys are strings and none of their parts can fail.
fn bytes_of(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).unwrap_or_default().into()
}
