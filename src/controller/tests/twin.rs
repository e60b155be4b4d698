//! The provider as the controller sees it: the emulated account behind the port's replies, with troubles on demand.

use std::ops::RangeInclusive;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::inventory::{Defect, Item, ItemId, Kind, Listing, Opaque, Server, ServerId, ServerListing, Status};
use crate::domain::plan;
use crate::emulator::{Account, Fate, Order, Progress, Refusal, Seen, View};
use crate::provider::{self, Deleted, ProviderError, Reply};

/// A call on its way.
#[derive(Debug, Clone)]
pub enum Call {
    List(Kind),
    Servers,
    Account,
    Create { server: ServerId, kind: Kind, order: plan::Order },
    Delete { kind: Kind, item: ItemId },
}

/// Which calls a trouble is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    Everything,
    Lists,
    Servers,
    Account,
    Creates,
    Deletes,
}

/// What goes wrong with a call.
#[derive(Debug, Clone)]
pub enum Trouble {
    /// Nothing is done, and this is the answer.
    Refused(ProviderError),
    /// It is done, and this is the answer.
    Lost(ProviderError),
    /// It is done so much later, and this is the answer.
    Late(Duration, ProviderError),
    /// The answer is a success, and nothing is done (deletes).
    NoEffect,
    /// What becomes of the item.
    Fate(Fate),
    /// The list shows what was so long ago.
    Stale(Duration),
    /// The list lacks one entry, and `count` tells.
    Incomplete,
    /// The list is empty.
    Empty,
    /// The newest entry of that server cannot be read.
    Unreadable(u64),
    /// An entry cannot be read, not even its server.
    Nameless,
}

impl Trouble {
    pub fn cut() -> ProviderError {
        ProviderError::Broken { what: "simulated".to_owned() }
    }

    pub fn status(status: u16) -> ProviderError {
        match status {
            401 => ProviderError::Unauthorized,
            403 => ProviderError::Forbidden,
            404 => ProviderError::NotFound,
            429 => ProviderError::Throttled { retry_after: Some(Duration::from_secs(20)) },
            400..500 => ProviderError::Rejected { status, message: "simulated".to_owned() },
            _ => ProviderError::Server { status, retry_after: None },
        }
    }

    pub fn never_completes() -> Trouble {
        Trouble::Fate(Fate { after: None, end: Progress::InProgress })
    }

    pub fn fails() -> Trouble {
        Trouble::Fate(Fate { after: None, end: Progress::Failed })
    }
}

#[derive(Debug)]
struct Fault {
    on: On,
    hits: RangeInclusive<u32>,
    seen: u32,
    trouble: Trouble,
}

/// The provider.
#[derive(Debug)]
pub struct Twin {
    pub account: Account,
    pub email: String,
    pub request_timeout: Duration,
    faults: Vec<Fault>,
}

/// An answer, and how long after the call it comes; none: with the usual latency.
#[derive(Debug)]
pub enum Answer {
    Listing(Reply<Listing>),
    Servers(Reply<ServerListing>),
    Account(Reply<provider::Account>),
    Item(Reply<Item>),
    Deleted(Reply<Deleted>),
}

impl Twin {
    pub fn new(account: Account, request_timeout: Duration) -> Twin {
        Twin { account, email: "ops@example.org".to_owned(), request_timeout, faults: Vec::new() }
    }

    /// The calls with these numbers, counted from 1 among those that the trouble is for, run into it. The first that fits decides.
    pub fn fault(&mut self, on: On, hits: RangeInclusive<u32>, trouble: Trouble) {
        self.faults.push(Fault { on, hits, seen: 0, trouble });
    }

    pub fn heal(&mut self) {
        self.faults.clear();
    }

    fn pick(&mut self, call: &Call) -> Option<Trouble> {
        let mut found = None;
        for fault in self.faults.iter_mut().filter(|fault| is_for(fault.on, call)) {
            fault.seen += 1;
            if found.is_none() && fault.hits.contains(&fault.seen) {
                found = Some(fault.trouble.clone());
            }
        }
        found
    }

    /// A call has arrived. Returns the answer, and whether it comes only after the whole of the request timeout.
    pub fn perform(&mut self, call: &Call, now: Timestamp) -> (Answer, bool) {
        self.account.advance(now);
        let trouble = self.pick(call);
        let slow = matches!(&trouble, Some(Trouble::Refused(ProviderError::Timeout) | Trouble::Lost(ProviderError::Timeout)));
        (self.answer(call, trouble, now), slow)
    }

    fn answer(&mut self, call: &Call, trouble: Option<Trouble>, now: Timestamp) -> Answer {
        let date = Some(now);
        match call {
            Call::List(kind) => Answer::Listing(Reply { result: self.list(*kind, trouble, now), date }),
            Call::Servers => Answer::Servers(Reply { result: refused(trouble).map_or_else(|| Ok(self.servers()), Err), date }),
            Call::Account => {
                let account = provider::Account { email: Some(self.email.clone()), ..provider::Account::default() };
                Answer::Account(Reply { result: refused(trouble).map_or(Ok(account), Err), date })
            }
            Call::Create { server, kind, order } => {
                let order = Order { kind: *kind, server: *server, name: order.name.clone(), description: order.description.clone() };
                Answer::Item(Reply { result: self.create(&order, trouble, now), date })
            }
            Call::Delete { kind, item } => Answer::Deleted(Reply { result: self.delete(*kind, *item, trouble, now), date }),
        }
    }

    fn create(&mut self, order: &Order, trouble: Option<Trouble>, now: Timestamp) -> Result<Item, ProviderError> {
        let fate = match &trouble {
            Some(Trouble::Fate(fate)) => fate.clone(),
            _ => Fate::default(),
        };
        match trouble {
            Some(Trouble::Refused(error)) => return Err(error),
            Some(Trouble::Late(after, error)) => {
                self.account.create_later(order.clone(), fate, now.checked_add(after).unwrap());
                return Err(error);
            }
            _ => {}
        }
        let made = self.account.create(order, &fate, now).map(|item| self.item(&item, &item.progress));
        match trouble {
            Some(Trouble::Lost(error)) => Err(error),
            _ => made.map_err(|why| refusal(&why)),
        }
    }

    fn delete(&mut self, kind: Kind, item: ItemId, trouble: Option<Trouble>, now: Timestamp) -> Result<Deleted, ProviderError> {
        match trouble {
            Some(Trouble::Refused(error)) => return Err(error),
            Some(Trouble::NoEffect) => return Ok(Deleted::Done),
            Some(Trouble::Late(after, error)) => {
                self.account.delete_later(kind, item, now.checked_add(after).unwrap());
                return Err(error);
            }
            _ => {}
        }
        let done = self.account.delete(kind, item, now);
        match trouble {
            Some(Trouble::Lost(error)) => Err(error),
            _ => Ok(if done.is_ok() { Deleted::Done } else { Deleted::WasGone }),
        }
    }

    fn list(&self, kind: Kind, trouble: Option<Trouble>, now: Timestamp) -> Result<Listing, ProviderError> {
        let view = match &trouble {
            Some(Trouble::Refused(error) | Trouble::Lost(error)) => return Err(error.clone()),
            Some(Trouble::Stale(by)) => View::AsOf(now.checked_sub(*by).unwrap()),
            _ => View::Present,
        };
        let items: Vec<Item> = self.account.list(kind, None, view).iter().map(|seen| self.seen(seen)).collect();
        let mut listing = Listing { kind, items, opaque: Vec::new(), missing: 0, defects: Vec::new() };
        spoil(&mut listing, trouble);
        Ok(listing)
    }

    fn seen(&self, seen: &Seen<'_>) -> Item {
        self.item(seen.item, seen.progress)
    }

    fn item(&self, item: &crate::emulator::Item, progress: &Progress) -> Item {
        Item {
            id: item.id,
            server: item.server,
            server_name: self.account.server(item.server).map_or("", |server| &server.name).into(),
            kind: item.kind,
            name: item.name.as_deref().map(Into::into),
            description: item.description.as_str().into(),
            status: match progress {
                Progress::InProgress => Status::InProgress,
                Progress::Completed => Status::Completed,
                Progress::Failed => Status::Failed,
                Progress::Word(word) => Status::Unknown(word.as_str().into()),
            },
            created_at: item.created_at,
            size_mb: item.size_mb,
            automatic: item.automatic,
        }
    }

    fn servers(&self) -> ServerListing {
        let server = |server: &crate::emulator::Server| Server {
            id: server.id,
            name: server.name.as_str().into(),
            status: server.status.as_str().into(),
        };
        ServerListing { servers: self.account.servers().map(server).collect(), defects: Vec::new() }
    }
}

fn is_for(on: On, call: &Call) -> bool {
    match on {
        On::Everything => true,
        On::Lists => matches!(call, Call::List(_)),
        On::Servers => matches!(call, Call::Servers),
        On::Account => matches!(call, Call::Account),
        On::Creates => matches!(call, Call::Create { .. }),
        On::Deletes => matches!(call, Call::Delete { .. }),
    }
}

fn refused(trouble: Option<Trouble>) -> Option<ProviderError> {
    match trouble {
        Some(Trouble::Refused(error) | Trouble::Lost(error)) => Some(error),
        _ => None,
    }
}

fn refusal(why: &Refusal) -> ProviderError {
    match why {
        Refusal::UnknownServer | Refusal::UnknownItem(_) => ProviderError::NotFound,
        _ => ProviderError::Rejected { status: 400, message: why.to_string() },
    }
}

fn spoil(listing: &mut Listing, trouble: Option<Trouble>) {
    match trouble {
        Some(Trouble::Empty) => listing.items.clear(),
        Some(Trouble::Incomplete) => {
            let count = listing.items.len() as u64 + 1;
            listing.items.pop();
            listing.missing = count - listing.items.len() as u64;
            listing.defects.push(Defect::CountDiffers { count, arrived: listing.items.len() as u64 });
        }
        Some(Trouble::Unreadable(server)) => {
            let place = listing.items.iter().position(|item| item.server == ServerId(server));
            let gone = place.map(|place| listing.items.remove(place));
            let id = gone.map(|item| item.id);
            listing.opaque.push(Opaque { id, server: Some(ServerId(server)), why: "simulated".to_owned() });
        }
        Some(Trouble::Nameless) => listing.opaque.push(Opaque { id: None, server: None, why: "simulated".to_owned() }),
        _ => {}
    }
}
