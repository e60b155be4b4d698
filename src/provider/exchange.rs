//! One exchange with the provider as metrics see it: closed labels and a duration.

use std::fmt;
use std::time::Duration;

/// The method of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// Reads.
    Get,
    /// Creates or restores.
    Post,
    /// Deletes.
    Delete,
}

impl Method {
    /// All of them.
    pub const ALL: [Method; 3] = [Method::Get, Method::Post, Method::Delete];

    /// As it stands in the request and in the label `method`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Delete => "DELETE",
        }
    }
}

/// The path of a request, without its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// `/snapshots/`
    Snapshots,
    /// `/snapshots/{id}/`
    Snapshot,
    /// `/snapshots/{id}/restore/`
    SnapshotRestore,
    /// `/backups/`
    Backups,
    /// `/backups/{id}/`
    Backup,
    /// `/servers/`
    Servers,
    /// `/servers/{id}/restore/`
    ServerRestore,
    /// `/account/me/`
    Account,
}

impl Endpoint {
    /// All of them.
    pub const ALL: [Endpoint; 8] = [
        Endpoint::Snapshots,
        Endpoint::Snapshot,
        Endpoint::SnapshotRestore,
        Endpoint::Backups,
        Endpoint::Backup,
        Endpoint::Servers,
        Endpoint::ServerRestore,
        Endpoint::Account,
    ];

    /// The template that stands in the label `endpoint`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Endpoint::Snapshots => "/snapshots/",
            Endpoint::Snapshot => "/snapshots/{id}/",
            Endpoint::SnapshotRestore => "/snapshots/{id}/restore/",
            Endpoint::Backups => "/backups/",
            Endpoint::Backup => "/backups/{id}/",
            Endpoint::Servers => "/servers/",
            Endpoint::ServerRestore => "/servers/{id}/restore/",
            Endpoint::Account => "/account/me/",
        }
    }

    /// The path below the base URL. `id` goes where the template has one.
    pub(super) fn path(self, id: u64) -> String {
        self.as_str().replace("{id}", &id.to_string())
    }
}

/// How an exchange ended, for the label `code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// With an answer of this status.
    Status(u16),
    /// Without an answer in time.
    Timeout,
    /// Without a connection.
    Connect,
    /// With an answer that was cut, too long, or not what is documented.
    Body,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Code::Status(status) => status.fmt(f),
            Code::Timeout => f.write_str("timeout"),
            Code::Connect => f.write_str("connect"),
            Code::Body => f.write_str("body"),
        }
    }
}

/// One request that was sent (or could not be, for want of a connection) and its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchange {
    /// The method.
    pub method: Method,
    /// The path, without its numbers.
    pub endpoint: Endpoint,
    /// How it ended.
    pub code: Code,
    /// From the sending to the last byte of the answer; the time spent waiting for the budget is not in it.
    pub duration: Duration,
}

/// Is told of every exchange, at its end.
pub trait Observer: Send + Sync {
    /// Must be quick and must not block.
    fn exchange(&self, exchange: &Exchange);
}

/// Nobody watches.
impl Observer for () {
    fn exchange(&self, _: &Exchange) {}
}
