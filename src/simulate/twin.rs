//! The provider as the controller sees it: the emulated account behind the port's replies, with troubles on demand.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::chance::Chance;
use super::trouble::{Call, Fault, FaultId, Faults, Trouble};
use crate::clock::Mono;
use crate::controller::Input;
use crate::domain::inventory::{Defect, Item, ItemId, Kind, Listing, Opaque, Server, ServerId, ServerListing, Status};
use crate::domain::record::OpId;
use crate::domain::text::{Description, Text};
use crate::emulator::{self, Account, Fate, Order, Progress, Refusal, Seen, View};
use crate::provider::{self, Deleted, ProviderError, Reply};

/// The provider.
#[derive(Debug)]
pub struct Twin {
    /// What there is.
    pub account: Account,
    /// Whose token is used.
    pub email: String,
    /// After this a client gives up waiting for an answer.
    pub request_timeout: Duration,
    /// The descriptions of creates that are, or were, carried out late.
    pub late: BTreeSet<Arc<str>>,
    faults: Faults,
    /// What there was of each kind when it was last listed, in the order of inventories, with the account's version then.
    listed: BTreeMap<Kind, (u64, Arc<Vec<Item>>)>,
    /// The servers, as last listed.
    listed_servers: Arc<Vec<Server>>,
}

/// The texts of an item.
#[derive(Debug)]
struct Texts {
    server_name: Text,
    name: Option<Text>,
    description: Description,
}

impl Texts {
    fn of(item: &emulator::Item, server_name: &str) -> Texts {
        Texts { server_name: server_name.into(), name: item.name.as_deref().map(Into::into), description: (*item.description).into() }
    }

    /// Of an item that was shown before: of its texts, only the name of its server ever changes.
    fn of_shown(item: Item, server_name: &str) -> Texts {
        let Item { server_name: before, name, description, .. } = item;
        Texts { server_name: if *before == *server_name { before } else { server_name.into() }, name, description }
    }
}

/// An answer to a call.
#[derive(Debug)]
pub(super) struct Answered {
    pub input: Input,
    /// How much longer than usual it takes.
    pub delay: Duration,
    /// What went wrong.
    pub trouble: Option<Trouble>,
}

impl Twin {
    pub(super) fn new(account: Account, request_timeout: Duration, chance: Chance) -> Twin {
        Twin {
            account,
            email: "ops@example.org".to_owned(),
            request_timeout,
            late: BTreeSet::new(),
            faults: Faults::new(chance),
            listed: BTreeMap::new(),
            listed_servers: Arc::default(),
        }
    }

    /// From now on calls run into this. Of several faults that fit, the first decides.
    pub fn fault(&mut self, fault: Fault) -> FaultId {
        self.faults.add(fault)
    }

    /// Whether any call has run into this fault.
    #[must_use]
    pub fn has_struck(&self, fault: FaultId) -> bool {
        self.faults.has_struck(fault)
    }

    /// Nothing goes wrong any more with calls to come.
    pub fn heal(&mut self) {
        self.faults.clear();
    }

    /// What a call that has arrived runs into.
    pub(super) fn trouble(&mut self, call: &Call, now: Timestamp) -> Option<Trouble> {
        self.faults.pick(call, now)
    }

    /// A call has arrived, and runs into this.
    pub(super) fn perform(&mut self, call: &Call, op: OpId, begun: Mono, now: Timestamp, trouble: Option<Trouble>) -> Answered {
        self.account.advance(now);
        let delay = match &trouble {
            Some(
                Trouble::Refused(ProviderError::Timeout) | Trouble::Lost(ProviderError::Timeout) | Trouble::Late(_, ProviderError::Timeout),
            ) => self.request_timeout,
            Some(Trouble::Slow(time)) => *time,
            _ => Duration::ZERO,
        };
        let off = if let Some(Trouble::Dated(off)) = &trouble { *off } else { SignedDuration::ZERO };
        let date = now.checked_add(off).ok();
        let input = match call {
            Call::List(kind) => {
                Input::Listed(*kind, begun, Reply { result: self.list(*kind, trouble.as_ref(), now), date, begun: Some(begun) })
            }
            Call::Servers => Input::Servers(
                begun,
                Reply {
                    result: refused(trouble.as_ref()).map_or_else(|| Ok(self.servers(trouble.as_ref())), Err),
                    date,
                    begun: Some(begun),
                },
            ),
            Call::Account => {
                let account = provider::Account { email: Some(self.email.clone()), ..provider::Account::default() };
                Input::Account(Reply { result: refused(trouble.as_ref()).map_or(Ok(account), Err), date, begun: Some(begun) })
            }
            Call::Create { server, kind, order } => {
                let order = Order { kind: *kind, server: *server, name: order.name.clone(), description: order.description.clone() };
                Input::Created(op, Reply { result: self.create(&order, trouble.as_ref(), now), date, begun: Some(begun) })
            }
            Call::Delete { kind, item, .. } => {
                Input::Deleted(op, Reply { result: self.delete(*kind, *item, trouble.as_ref(), now), date, begun: Some(begun) })
            }
        };
        Answered { input, delay, trouble }
    }

    fn create(&mut self, order: &Order, trouble: Option<&Trouble>, now: Timestamp) -> Result<Item, ProviderError> {
        let fate = if let Some(Trouble::Fate(fate)) = trouble { fate.clone() } else { Fate::default() };
        match trouble {
            Some(Trouble::Refused(error)) => return Err(error.clone()),
            Some(Trouble::Late(after, error)) => {
                self.late.insert(order.description.clone());
                self.account.create_later(order.clone(), fate, later(now, *after));
                return Err(error.clone());
            }
            _ => {}
        }
        let made = self
            .account
            .create(order, &fate, now)
            .map(|item| shown(&item, &item.progress, Texts::of(&item, server_name(&self.account, &item))));
        match trouble {
            Some(Trouble::Lost(error)) => Err(error.clone()),
            Some(Trouble::Mixed) => Err(ProviderError::Mismatch { what: "simulated".to_owned() }),
            _ => made.map_err(|why| refusal(&why)),
        }
    }

    fn delete(&mut self, kind: Kind, item: ItemId, trouble: Option<&Trouble>, now: Timestamp) -> Result<Deleted, ProviderError> {
        match trouble {
            Some(Trouble::Refused(error)) => return Err(error.clone()),
            Some(Trouble::NoEffect) => return Ok(Deleted::Done),
            Some(Trouble::Late(after, error)) => {
                self.account.delete_later(kind, item, later(now, *after));
                return Err(error.clone());
            }
            _ => {}
        }
        let done = self.account.delete(kind, item, now);
        match trouble {
            Some(Trouble::Lost(error)) => Err(error.clone()),
            _ => Ok(if done.is_ok() { Deleted::Done } else { Deleted::WasGone }),
        }
    }

    fn list(&mut self, kind: Kind, trouble: Option<&Trouble>, now: Timestamp) -> Result<Listing, ProviderError> {
        if let Some(error) = refused(trouble) {
            return Err(error);
        }
        let items = match trouble {
            Some(Trouble::Paged(by)) => return Ok(self.paged(kind, earlier(now, *by))),
            Some(Trouble::Stale(by)) => self.as_of(kind, earlier(now, *by)).into(),
            _ => self.present(kind),
        };
        let mut listing = Listing { kind, items, opaque: Vec::new(), missing: 0, defects: Vec::new() };
        spoil(&mut listing, trouble);
        Ok(listing)
    }

    /// As long as nothing changes, all lists share the same items.
    fn present(&mut self, kind: Kind) -> Arc<Vec<Item>> {
        let (version, listed) = self.listed.entry(kind).or_default();
        if *version != self.account.version() {
            *listed = items(&self.account, kind, View::Present, (*version, listed)).into();
            *version = self.account.version();
        }
        Arc::clone(listed)
    }

    fn as_of(&mut self, kind: Kind, time: Timestamp) -> Vec<Item> {
        let (version, listed) = self.listed.entry(kind).or_default();
        items(&self.account, kind, View::AsOf(time), (*version, listed))
    }

    /// Two pages by offset, the highest number first, of which the first lags behind. The defects are those that a client can notice: another `count`, and
    /// numbers that occur twice.
    fn paged(&mut self, kind: Kind, time: Timestamp) -> Listing {
        let (mut items, mut second) = (self.as_of(kind, time), self.present(kind).to_vec());
        [&mut items, &mut second].into_iter().for_each(|page| page.sort_unstable_by_key(|item| Reverse(item.id)));
        let (then, now) = (items.len(), second.len());
        let half = then.div_ceil(2);
        items.truncate(half);
        items.extend(second.into_iter().skip(half));
        let arrived = items.len();
        let count = then.max(now);
        let mut defects = Vec::new();
        if then != arrived || now != arrived {
            defects.push(Defect::CountDiffers { count: count as u64, arrived: arrived as u64 });
        }
        let mut ids = BTreeSet::new();
        defects.extend(items.iter().map(|item| item.id).filter(|id| !ids.insert(*id)).map(Defect::DuplicateId));
        Listing { kind, items: items.into(), opaque: Vec::new(), missing: count.saturating_sub(arrived) as u64, defects }
    }

    /// As long as nothing changes, all lists share the same servers.
    fn servers(&mut self, trouble: Option<&Trouble>) -> ServerListing {
        let is_shown = |(shown, server): (&Server, &emulator::Server)| {
            shown.id == server.id && *shown.name == *server.name && *shown.status == *server.status
        };
        let (shown, servers) = (&self.listed_servers, self.account.servers());
        if shown.len() != self.account.servers().count() || !shown.iter().zip(servers).all(is_shown) {
            let server = |server: &emulator::Server| Server {
                id: server.id,
                name: server.name.as_str().into(),
                status: server.status.as_str().into(),
            };
            self.listed_servers = Arc::new(self.account.servers().map(server).collect());
        }
        let mut listing = ServerListing { servers: Arc::clone(&self.listed_servers), defects: Vec::new() };
        match trouble {
            Some(Trouble::Empty) => listing.servers = Arc::default(),
            Some(Trouble::Incomplete) => {
                let shown = listing.servers.iter().skip(1).cloned();
                listing.servers = Arc::new(shown.collect());
                listing.defects.push(Defect::PageMissing.to_string());
            }
            _ => {}
        }
        listing
    }
}

fn server_name<'a>(account: &'a Account, item: &emulator::Item) -> &'a str {
    account.server(item.server).map_or("", |server| &server.name)
}

/// What there is of a kind, by server, then time, then number, as inventories have it. What has not changed since it was listed before, at this version,
/// is shown as it was; of the others most texts are the same again.
fn items(account: &Account, kind: Kind, view: View, (version, before): (u64, &[Item])) -> Vec<Item> {
    let mut before = before.iter().peekable();
    let there = if view == View::Present {
        account.list_by_server(kind)
    } else {
        let mut then = account.list(kind, None, view);
        then.sort_unstable_by_key(|Seen { item, .. }| (item.server, item.created_at, item.id));
        then
    };
    let item = |Seen { item, progress, since, .. }: Seen<'_>| {
        while before.next_if(|known| (known.server, known.created_at, known.id) < (item.server, item.created_at, item.id)).is_some() {}
        let name = server_name(account, item);
        match before.next_if(|known| known.id == item.id).cloned() {
            Some(known) if view == View::Present && since.max(account.servers_since()) <= version => known,
            Some(known) => shown(item, progress, Texts::of_shown(known, name)),
            None => shown(item, progress, Texts::of(item, name)),
        }
    };
    there.into_iter().map(item).collect()
}

fn shown(item: &emulator::Item, progress: &Progress, texts: Texts) -> Item {
    let Texts { server_name, name, description } = texts;
    Item {
        id: item.id,
        server: item.server,
        server_name,
        kind: item.kind,
        name,
        description,
        status: match progress {
            Progress::InProgress => Status::InProgress,
            Progress::Completed => Status::Completed,
            Progress::Failed => Status::Failed,
            Progress::Word(word) => Status::Unknown(word.as_str().into()),
        },
        created_at: item.created_at,
        automatic: item.automatic,
    }
}

fn later(time: Timestamp, by: Duration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}

fn earlier(time: Timestamp, by: Duration) -> Timestamp {
    time.checked_sub(by).unwrap_or(Timestamp::MIN)
}

fn refused(trouble: Option<&Trouble>) -> Option<ProviderError> {
    match trouble {
        Some(Trouble::Refused(error) | Trouble::Lost(error)) => Some(error.clone()),
        _ => None,
    }
}

fn refusal(why: &Refusal) -> ProviderError {
    match why {
        Refusal::UnknownServer | Refusal::UnknownItem(_) => ProviderError::NotFound,
        _ => ProviderError::Rejected { status: 400, message: why.to_string() },
    }
}

fn spoil(listing: &mut Listing, trouble: Option<&Trouble>) {
    match trouble {
        Some(Trouble::Empty) => Arc::make_mut(&mut listing.items).clear(),
        Some(Trouble::Incomplete) => {
            let items = Arc::make_mut(&mut listing.items);
            let count = items.len() as u64 + 1;
            let oldest = items.iter().map(|item| item.id).min();
            items.retain(|item| Some(item.id) != oldest);
            let arrived = items.len() as u64;
            listing.missing = count - arrived;
            listing.defects.push(Defect::CountDiffers { count, arrived });
        }
        Some(Trouble::Unreadable(server)) => {
            let items = Arc::make_mut(&mut listing.items);
            let newest = items.iter().filter(|item| item.server == ServerId(*server)).map(|item| item.id).max();
            let place = items.iter().position(|item| Some(item.id) == newest);
            let gone = place.map(|place| items.remove(place));
            let id = gone.map(|item| item.id);
            listing.opaque.push(Opaque { id, server: Some(ServerId(*server)), why: "simulated".to_owned() });
        }
        Some(Trouble::Nameless) => listing.opaque.push(Opaque { id: None, server: None, why: "simulated".to_owned() }),
        _ => {}
    }
}
