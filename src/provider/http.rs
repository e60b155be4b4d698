//! The VPS.org adapter: each call of the port as the requests of vpsorg-api.md.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use reqwest::Url;
use serde::Serialize;

use super::body::{Entries, Ignored, Parsed};
use super::budget::Class;
use super::client::{Api, HttpSettings, Request, SetupError};
use super::error::ProviderError;
use super::exchange::{Endpoint, Method, Observer};
use super::gather::{Gather, Items, Servers, Totals};
use super::page::Next;
use super::texts::Texts;
use super::token::TokenSource;
use super::wire::{CreateBody, read_created};
use super::{Account, Deleted, Leave, Provider, Reply};
use crate::clock::{Clock, Mono};
use crate::domain::inventory::{Item, ItemId, Kind, Listing, ServerId, ServerListing};

/// How many pages of one listing are ever followed.
const PAGES_MAX: usize = 1000;

/// The provider over HTTP, without its restores.
pub struct HttpProvider {
    api: Api,
    /// The texts of the newest listings, by kind.
    texts: [Arc<Mutex<Texts>>; 2],
}

impl HttpProvider {
    /// Makes the client; sends nothing.
    ///
    /// # Errors
    /// A base URL that may not be used, or a machine without CA certificates where they are needed.
    pub fn new(
        settings: &HttpSettings,
        token: TokenSource,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
    ) -> Result<HttpProvider, SetupError> {
        Ok(HttpProvider { api: Api::new(settings, token, clock, observer)?, texts: Default::default() })
    }

    /// The same, which asks before each create and delete whether it may go out.
    #[must_use]
    pub fn with_leave(mut self, leave: Arc<dyn Leave>) -> HttpProvider {
        self.api.leave = leave;
        self
    }

    /// All pages of a listing. The first must succeed; a later one that fails leaves what has arrived, with a defect.
    async fn gather<G: Gather + Sync>(&self, endpoint: Endpoint, mut entries: G) -> Reply<(G, Totals)> {
        let mut totals = Totals::default();
        let (mut date, mut begun) = (None, None);
        let mut url = self.api.url(endpoint, 0);
        let mut followed = BTreeSet::new();
        loop {
            followed.insert(url.to_string());
            let request = Request { method: Method::Get, endpoint, url: url.clone(), class: Class::List, body: Vec::new(), until: None };
            let reply = self.api.call(&request, &Entries(entries.empty())).await;
            date = reply.date.or(date);
            begun = begun.or(reply.begun);
            let page = match reply.result {
                Ok(page) => page,
                // A refused token is worth more than half a list: all other calls have to stop too.
                Err(error) if followed.len() == 1 || error.is_auth() => return Reply { result: Err(error), date, begun },
                Err(_) => {
                    totals.page_missing = true;
                    break;
                }
            };
            totals.counts.extend(page.count);
            entries.append(page.entries);
            match page.next {
                Next::End => break,
                Next::Page(link) if followed.len() < PAGES_MAX => match follow(&url, &link) {
                    Some(next) if !followed.contains(next.as_str()) => url = next,
                    _ => {
                        totals.page_missing = true;
                        break;
                    }
                },
                Next::Page(_) | Next::Unreadable => {
                    totals.page_missing = true;
                    break;
                }
            }
        }
        Reply { result: Ok((entries, totals)), date, begun }
    }
}

/// The address of the next page, if it is of the same listing at the same place: only there may the token go.
fn follow(current: &Url, link: &str) -> Option<Url> {
    let next = current.join(link).ok()?;
    let same = next.origin() == current.origin()
        && next.path() == current.path()
        && next.username().is_empty()
        && next.password().is_none()
        && next.fragment().is_none();
    same.then_some(next)
}

/// The endpoints of a kind: its list, and one item of it.
fn endpoints(kind: Kind) -> (Endpoint, Endpoint) {
    match kind {
        Kind::Snapshot => (Endpoint::Snapshots, Endpoint::Snapshot),
        Kind::Backup => (Endpoint::Backups, Endpoint::Backup),
    }
}

pub(super) fn json(body: &impl Serialize) -> Vec<u8> {
    // Numbers and texts always can be written.
    serde_json::to_vec(body).unwrap_or_default()
}

impl<T> Reply<T> {
    fn map<U>(self, convert: impl FnOnce(T) -> U) -> Reply<U> {
        Reply { result: self.result.map(convert), date: self.date, begun: self.begun }
    }
}

impl Provider for HttpProvider {
    async fn list(&self, kind: Kind) -> Reply<Listing> {
        let texts = match kind {
            Kind::Snapshot => &self.texts[0],
            Kind::Backup => &self.texts[1],
        };
        let reply = self.gather(endpoints(kind).0, Items::new(kind, Arc::clone(texts))).await;
        let Reply { result, date, begun } = reply;
        let result = match result {
            // Where it is in nobody's way: it may be 150,000 items.
            Ok((items, totals)) => {
                let whole = tokio::task::spawn_blocking(move || items.into_listing(&totals)).await;
                whole.map_err(|_| ProviderError::Unreadable { what: "the reader of the listing failed".into() })
            }
            Err(error) => Err(error),
        };
        Reply { result, date, begun }
    }

    async fn servers(&self) -> Reply<ServerListing> {
        let reply = self.gather(Endpoint::Servers, Servers::default()).await;
        reply.map(|(servers, totals)| servers.into_listing(&totals))
    }

    async fn account(&self) -> Reply<Account> {
        self.api.ask_whose().await
    }

    async fn create(&self, kind: Kind, server: ServerId, name: Option<&str>, description: &str) -> Reply<Item> {
        let endpoint = endpoints(kind).0;
        let asked = CreateBody { server_id: server.0, name: name.filter(|_| kind == Kind::Snapshot), description };
        let url = self.api.url(endpoint, 0);
        let request = Request { method: Method::Post, endpoint, url, class: Class::Create, body: json(&asked), until: None };
        self.api.call(&request, &Parsed(|body: &[u8]| read_created(kind, &asked, body))).await
    }

    async fn delete(&self, kind: Kind, item: ItemId, until: Mono) -> Reply<Deleted> {
        let endpoint = endpoints(kind).1;
        let url = self.api.url(endpoint, item.0);
        let request = Request { method: Method::Delete, endpoint, url, class: Class::Delete, body: Vec::new(), until: Some(until) };
        let reply = self.api.call(&request, &Ignored).await;
        let result = match reply.result {
            Ok(()) => Ok(Deleted::Done),
            Err(ProviderError::NotFound) => Ok(Deleted::WasGone),
            Err(error) => Err(error),
        };
        Reply { result, date: reply.date, begun: reply.begun }
    }
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
