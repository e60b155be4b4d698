//! What the API answers to a request: the documented behaviour, with the hooks that faults need. No I/O.

use bytes::Bytes;
use hyper::Method;
use jiff::Timestamp;

use super::behaviour::{Behaviour, Deed, Lens, Stale};
use super::item::{Order, Refusal, later};
use super::paths::Resource;
use super::shelf::{Seen, View};
use super::state::Account;
use super::wire::{self, BadField};
use crate::domain::inventory::{ItemId, Kind, ServerId};

/// The path under which the API lies.
pub(super) const PREFIX: &str = "/api/v1";

/// Who may call what.
#[derive(Debug, Clone)]
pub(super) struct Access {
    pub token: String,
    pub refuses_token: bool,
    pub servers: ServersAccess,
    pub email: String,
    pub permissions: Vec<String>,
    /// Such as `http://127.0.0.1:4711`.
    pub origin: String,
}

/// Whether `GET /servers/` is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ServersAccess {
    /// It is.
    #[default]
    Allowed,
    /// The token may not call it: 403.
    Forbidden,
    /// The API does not have it: 404.
    Missing,
}

/// A request as it arrived, with its whole body.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub method: Method,
    /// Without [`PREFIX`]; the whole path where it lies elsewhere.
    pub path: String,
    pub query: String,
    pub resource: Option<Resource>,
    pub authorization: Option<String>,
    pub content_type: String,
    pub body: Bytes,
}

/// An answer.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub status: u16,
    pub content_type: &'static str,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

/// The last complete list of each kind, kept as long as nothing changes.
#[derive(Debug, Default)]
pub(super) struct ListCache([Option<(u64, Bytes)>; 2]);

impl Request {
    /// The server that the request is about, as far as can be told.
    pub fn server(&self, account: &Account) -> Option<ServerId> {
        let of_item = |kind, id| account.item(kind, id).map(|item| item.server);
        match self.resource? {
            Resource::Items(_) if self.method == Method::GET => self.parameter("server_id")?.parse().ok().map(ServerId),
            Resource::Items(_) => wire::required_integer(&self.body, "server_id").ok().map(ServerId),
            Resource::Item(kind, id) => of_item(kind, id),
            Resource::SnapshotRestore(id) => of_item(Kind::Snapshot, id),
            Resource::ServerRestore(id) => Some(id),
            Resource::Servers | Resource::Me => None,
        }
    }

    /// What a create orders, as far as it can be read.
    pub fn order(&self) -> Option<Order> {
        match self.resource? {
            Resource::Items(kind) if self.method == Method::POST => wire::order(kind, &self.body).ok(),
            _ => None,
        }
    }

    /// Whether it comes with this token.
    pub fn carries(&self, token: &str) -> bool {
        self.authorization.as_deref().and_then(|authorization| authorization.strip_prefix("Bearer ")).is_some_and(|sent| sent == token)
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        self.query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// A number in the query; `Err`: it is there and is none.
    fn number(&self, name: &'static str) -> Result<Option<u64>, Reply> {
        let Some(text) = self.parameter(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| Reply::bad(&[(name, "Enter a number.".to_owned())]))
    }
}

impl Reply {
    pub fn json(status: u16, body: Bytes) -> Reply {
        Reply { status, content_type: "application/json", headers: Vec::new(), body }
    }

    fn detail(status: u16, text: &str) -> Reply {
        Reply::json(status, wire::detail(text))
    }

    fn bad(fields: &[BadField]) -> Reply {
        match fields {
            [("detail", message)] => Reply::detail(400, message),
            _ => Reply::json(400, wire::bad_fields(fields)),
        }
    }

    fn header(mut self, name: &str, value: String) -> Reply {
        self.headers.push((name.to_owned(), value));
        self
    }
}

impl From<Refusal> for Reply {
    fn from(why: Refusal) -> Reply {
        match why {
            Refusal::UnknownServer | Refusal::UnknownItem(_) => Reply::detail(404, "Not found."),
            Refusal::CapReached { kind, cap } => Reply::detail(400, &format!("Maximum number of {kind}s per server reached ({cap}).")),
            Refusal::Invalid { field, message } => Reply::bad(&[(field, message)]),
            Refusal::NotRestorable => Reply::detail(400, "Server is not in a valid state for restoration."),
        }
    }
}

/// The API at one moment: the account as it is now, and who may call.
pub(super) struct Api<'a> {
    pub account: &'a mut Account,
    pub cache: &'a mut ListCache,
    pub access: &'a Access,
    pub now: Timestamp,
}

impl Api<'_> {
    /// Does what was asked, as far as the behaviour lets it, and says what to answer.
    pub fn perform(&mut self, request: &Request, behaviour: &Behaviour) -> Reply {
        if behaviour.deed == Deed::NotDone {
            return Reply::detail(503, "A fault was ordered from the emulator.");
        }
        self.route(request, behaviour).unwrap_or_else(|refusal| refusal)
    }

    /// In the order of the provider's framework: path, token, method, parameters, object.
    fn route(&mut self, request: &Request, behaviour: &Behaviour) -> Result<Reply, Reply> {
        let resource = request.resource.ok_or_else(|| no_resource(request))?;
        self.authorize(request)?;
        match (resource, request.method.as_str()) {
            (Resource::Items(kind), "GET") => self.list(kind, request, &behaviour.lens),
            (Resource::Items(kind), "POST") => self.create(kind, request, behaviour),
            (Resource::Item(kind, id), "DELETE") => self.delete(kind, id, behaviour.deed),
            (Resource::SnapshotRestore(id), "POST") => self.restore(Kind::Snapshot, id, None),
            (Resource::ServerRestore(server), "POST") => self.restore_backup(server, request),
            (Resource::Servers, "GET") => self.servers(request),
            (Resource::Me, "GET") => Ok(Reply::json(200, wire::me(&self.access.email, &self.access.permissions))),
            (resource, method) => {
                let reply = Reply::detail(405, &format!("Method \"{method}\" not allowed."));
                Err(reply.header("allow", resource.allow().to_owned()))
            }
        }
    }

    fn authorize(&self, request: &Request) -> Result<(), Reply> {
        let refused = |text| Err(Reply::detail(401, text).header("www-authenticate", "Bearer".to_owned()));
        if request.authorization.is_none() {
            return refused("Authentication credentials were not provided.");
        }
        if request.carries(&self.access.token) && !self.access.refuses_token { Ok(()) } else { refused("Invalid token.") }
    }

    fn list(&mut self, kind: Kind, request: &Request, lens: &Lens) -> Result<Reply, Reply> {
        let server = request.number("server_id")?.map(ServerId).filter(|_| !lens.ignores_filter);
        let automatic = backup_type(kind, request)?;
        // Only a `next` link has `page`; a client's own `page_size` means nothing, as no such parameter is documented.
        let linked = request.number("page_size")?.filter(|_| request.parameter("page").is_some());
        let size = linked.and_then(|size| usize::try_from(size).ok()).or(lens.page_size);
        let view = self.view(lens.stale);
        let plain = server.is_none() && automatic.is_none() && size.is_none() && view == View::Present;
        if plain && let Some(body) = self.cache.get(kind, self.account.version()) {
            return Ok(Reply::json(200, body));
        }
        let mut seen = self.account.list(kind, server, view);
        seen.retain(|seen| automatic.is_none_or(|automatic| seen.item.automatic == automatic));
        let body = match size {
            Some(size) => self.page(request, lens, &seen, size.max(1))?,
            None => wire::list(self.account, wire::Part { count: seen.len(), seen: &seen, next: None }),
        };
        if plain {
            self.cache.set(kind, self.account.version(), body.clone());
        }
        Ok(Reply::json(200, body))
    }

    fn page(&self, request: &Request, lens: &Lens, seen: &[Seen<'_>], size: usize) -> Result<Bytes, Reply> {
        let number = request.number("page")?.unwrap_or(1);
        let pages = u64::try_from(seen.len().div_ceil(size).max(1)).unwrap_or(u64::MAX);
        if number == 0 || number > pages {
            return Err(Reply::detail(404, "Invalid page."));
        }
        let start = usize::try_from(number - 1).unwrap_or(usize::MAX).saturating_mul(size);
        let next = (number < pages).then(|| {
            let origin = lens.next_origin.as_ref().unwrap_or(&self.access.origin);
            let filters = request.query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("page"));
            let filters: String = filters.map(|pair| format!("{pair}&")).collect();
            format!("{origin}{PREFIX}{}?{filters}page={}&page_size={size}", request.path, number + 1)
        });
        let entries = &seen[start..seen.len().min(start + size)];
        Ok(wire::list(self.account, wire::Part { seen: entries, count: seen.len(), next: Some(next) }))
    }

    fn view(&self, stale: Stale) -> View {
        match stale {
            Stale::Not => View::Present,
            Stale::By(age) => View::AsOf(self.now.checked_sub(age).unwrap_or(Timestamp::MIN)),
            Stale::BeforeLastWrite => self.account.view_before_last_write(),
        }
    }

    fn create(&mut self, kind: Kind, request: &Request, behaviour: &Behaviour) -> Result<Reply, Reply> {
        expect_json(request)?;
        let order = wire::order(kind, &request.body).map_err(|bad| Reply::bad(&bad))?;
        let item = match behaviour.deed {
            Deed::Late(delay) => {
                self.account.create_later(order, behaviour.fate.clone(), later(self.now, delay));
                return Err(timed_out());
            }
            Deed::Pretended => self.account.pretend_create(&order, self.now),
            Deed::Done | Deed::NotDone => self.account.create(&order, &behaviour.fate, self.now),
        };
        Ok(Reply::json(201, wire::created(self.account, &item?)))
    }

    fn delete(&mut self, kind: Kind, id: ItemId, deed: Deed) -> Result<Reply, Reply> {
        match deed {
            Deed::Late(delay) => {
                self.account.delete_later(kind, id, later(self.now, delay));
                return Err(timed_out());
            }
            Deed::Pretended if self.account.item(kind, id).is_some() => {}
            Deed::Pretended | Deed::Done | Deed::NotDone => drop(self.account.delete(kind, id, self.now)?),
        }
        Ok(Reply::json(204, Bytes::new()))
    }

    fn restore_backup(&mut self, server: ServerId, request: &Request) -> Result<Reply, Reply> {
        expect_json(request)?;
        let backup = wire::required_integer(&request.body, "backup_id").map_err(|bad| Reply::bad(&bad))?;
        self.restore(Kind::Backup, ItemId(backup), Some(server))
    }

    /// A late or pretended restore is done at once: faults of effect are for creates and deletes.
    fn restore(&mut self, kind: Kind, id: ItemId, onto: Option<ServerId>) -> Result<Reply, Reply> {
        let (item, server) = self.account.restore(kind, id, onto, self.now)?;
        Ok(Reply::json(200, wire::restoring(&item, &server)))
    }

    fn servers(&self, request: &Request) -> Result<Reply, Reply> {
        match self.access.servers {
            ServersAccess::Allowed => {}
            ServersAccess::Forbidden => return Err(Reply::detail(403, "You do not have permission to perform this action.")),
            ServersAccess::Missing => return Err(Reply::detail(404, "Not found.")),
        }
        let wanted = |name, value: &str| request.parameter(name).is_none_or(|wanted| wanted == value);
        let servers = self.account.servers().filter(|server| wanted("status", &server.status) && wanted("location", &server.location));
        Ok(Reply::json(200, wire::servers(servers)))
    }
}

impl ListCache {
    fn get(&self, kind: Kind, version: u64) -> Option<Bytes> {
        self.0[kind as usize].as_ref().filter(|(of, _)| *of == version).map(|(_, body)| body.clone())
    }

    fn set(&mut self, kind: Kind, version: u64, body: Bytes) {
        self.0[kind as usize] = Some((version, body));
    }
}

/// A missing slash at the end is redirected for GET, as Django does it; anything else is unknown.
fn no_resource(request: &Request) -> Reply {
    let with_slash = format!("{}/", request.path);
    if request.method == Method::GET && Resource::of(&with_slash).is_some() {
        let query = if request.query.is_empty() { String::new() } else { format!("?{}", request.query) };
        let empty = Reply { content_type: "text/html; charset=utf-8", ..Reply::json(301, Bytes::new()) };
        return empty.header("location", format!("{PREFIX}{with_slash}{query}"));
    }
    Reply::detail(404, "Not found.")
}

fn timed_out() -> Reply {
    Reply::detail(504, "The request timed out.")
}

fn expect_json(request: &Request) -> Result<(), Reply> {
    let media_type = request.content_type.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Reply::detail(415, &format!("Unsupported media type \"{media_type}\" in request.")))
}

/// Whether only automatic backups are wanted, or only manual ones; `None`: all.
fn backup_type(kind: Kind, request: &Request) -> Result<Option<bool>, Reply> {
    match request.parameter("backup_type").filter(|_| kind == Kind::Backup) {
        None => Ok(None),
        Some("automatic") => Ok(Some(true)),
        Some("manual") => Ok(Some(false)),
        Some(_) => Err(Reply::bad(&[("backup_type", "Select a valid choice.".to_owned())])),
    }
}
