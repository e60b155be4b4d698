//! The port to the provider, its kinds of error, and the VPS.org adapter over HTTP.
//!
//! Nothing in here knows plans or policies. Nothing in here repeats a request on its own, but for one case in which the provider certainly did
//! nothing: a refused token that has been renewed in the meantime (see [`TokenSource`]).

pub mod backoff;
mod body;
mod budget;
mod client;
mod error;
mod exchange;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod gate;
mod gather;
mod http;
mod leave;
mod page;
pub mod restore;
mod retry_after;
mod text;
mod texts;
mod token;
mod wire;

#[cfg(test)]
mod testing;

use std::future::Future;

use jiff::Timestamp;

use crate::clock::Mono;
use crate::domain::inventory::{Item, ItemId, Kind, Listing, ServerId, ServerListing};

pub use client::{HttpSettings, SetupError};
pub use error::ProviderError;
pub use exchange::{Code, Endpoint, Exchange, Method, Observer};
pub use http::HttpProvider;
pub use leave::Leave;
pub use token::TokenSource;

/// What became of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply<T> {
    /// The answer, or why there is none.
    pub result: Result<T, ProviderError>,
    /// What the last answer's `Date` header said, whether it was an error or not; for the difference of the clocks.
    pub date: Option<Timestamp>,
    /// When the first request that this is the answer to was let through, which may be long after it was asked for: it may have to wait for its turn.
    /// None if nothing was sent. By the clock that the provider was given, which has to be the controller's.
    pub begun: Option<Mono>,
}

impl<T> Reply<T> {
    /// Nothing was sent, for this reason.
    #[must_use]
    pub fn unsent(why: ProviderError) -> Reply<T> {
        Reply { result: Err(why), date: None, begun: None }
    }
}

/// What the provider tells about the token and its account.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Account {
    /// The account's address, made safe to print.
    pub email: Option<String>,
    /// The token's name, made safe to print.
    pub token_name: Option<String>,
    /// The permissions of the token, made safe to print.
    pub permissions: Vec<String>,
}

impl Account {
    /// Whether it is the one with this address.
    #[must_use]
    pub fn is(&self, wanted: &str) -> bool {
        self.email.as_deref() == Some(wanted)
    }

    /// What it is called where another one was wanted.
    #[must_use]
    pub fn title(&self) -> &str {
        self.email.as_deref().unwrap_or("one without an address")
    }
}

/// How a delete went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// The provider took the order.
    Done,
    /// The provider does not know the item (404): somebody else, or an earlier order of ours, was first.
    WasGone,
}

/// What a run needs of the provider. Each call is sent at most once; who calls decides on doubt.
pub trait Provider: Send + Sync + 'static {
    /// Everything of one kind in the account, all servers, all pages, all types of backup.
    fn list(&self, kind: Kind) -> impl Future<Output = Reply<Listing>> + Send;

    /// The servers of the account.
    fn servers(&self) -> impl Future<Output = Reply<ServerListing>> + Send;

    /// Whose token this is. Any valid token may ask.
    fn account(&self) -> impl Future<Output = Reply<Account>> + Send;

    /// Begins a snapshot or backup. `name` is for snapshots; backups have none.
    ///
    /// The item returned was compared with what was asked for: server, name and description are the same.
    fn create(&self, kind: Kind, server: ServerId, name: Option<&str>, description: &str) -> impl Future<Output = Reply<Item>> + Send;

    /// Deletes an item. Irreversible. Not after `until`: what has to wait for its turn that long is not sent, and is [`ProviderError::Outdated`].
    fn delete(&self, kind: Kind, item: ItemId, until: Mono) -> impl Future<Output = Reply<Deleted>> + Send;
}
