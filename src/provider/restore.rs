//! Restores: the port and its HTTP adapter, apart from everything that the daemon can name. Each call overwrites all data of a server.

use std::future::Future;
use std::sync::Arc;

use super::Reply;
use super::body::Parsed;
use super::budget::Class;
use super::client::{Api, HttpSettings, Request, SetupError};
use super::exchange::{Endpoint, Method, Observer};
use super::http::json;
use super::token::TokenSource;
use super::wire::{RestoreBody, read_restoring};
use crate::clock::Clock;
use crate::domain::inventory::{ItemId, ServerId};

/// What the provider says when it begins a restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restoring {
    /// The server that is being overwritten, where the answer names it.
    pub server: Option<ServerId>,
    /// The provider's words, made safe to print; may be empty.
    pub message: String,
}

/// Restores: apart from [`Provider`](crate::provider::Provider), so that the daemon's path cannot reach them. Each overwrites all data of a server.
pub trait Restorer: Send + Sync + 'static {
    /// Puts a snapshot back on its server.
    fn restore_snapshot(&self, snapshot: ItemId) -> impl Future<Output = Reply<Restoring>> + Send;

    /// Puts a backup on a server.
    fn restore_backup(&self, server: ServerId, backup: ItemId) -> impl Future<Output = Reply<Restoring>> + Send;
}

/// The provider's restores over HTTP, and nothing else.
pub struct HttpRestorer {
    api: Api,
}

impl HttpRestorer {
    /// Makes the client; sends nothing.
    ///
    /// # Errors
    /// As [`HttpProvider::new`](crate::provider::HttpProvider::new).
    pub fn new(
        settings: &HttpSettings,
        token: TokenSource,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
    ) -> Result<HttpRestorer, SetupError> {
        Ok(HttpRestorer { api: Api::new(settings, token, clock, observer)? })
    }
}

impl Restorer for HttpRestorer {
    async fn restore_snapshot(&self, snapshot: ItemId) -> Reply<Restoring> {
        let endpoint = Endpoint::SnapshotRestore;
        let url = self.api.url(endpoint, snapshot.0);
        let request = Request { method: Method::Post, endpoint, url, class: Class::Create, body: Vec::new(), until: None };
        self.api.call(&request, &Parsed(|body: &[u8]| read_restoring(Some(snapshot), None, body))).await
    }

    async fn restore_backup(&self, server: ServerId, backup: ItemId) -> Reply<Restoring> {
        let endpoint = Endpoint::ServerRestore;
        let url = self.api.url(endpoint, server.0);
        let body = json(&RestoreBody { backup_id: backup.0 });
        let request = Request { method: Method::Post, endpoint, url, class: Class::Create, body, until: None };
        self.api.call(&request, &Parsed(|body: &[u8]| read_restoring(None, Some(server), body))).await
    }
}
