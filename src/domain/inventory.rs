//! What was seen at the provider.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use super::text::{Description, Text};

/// The provider's number of a server. Identity; a server's name is for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(pub u64);

/// The provider's number of a snapshot or backup. The two kinds have number ranges of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemId(pub u64);

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Snapshot or backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// On the server's own storage; at most five a server; short-term rollback.
    Snapshot,
    /// Apart from the server's storage; at most ten manual ones a server.
    Backup,
}

impl Kind {
    /// Both kinds, in the order in which they are shown.
    pub const ALL: [Kind; 2] = [Kind::Snapshot, Kind::Backup];

    /// The word used in labels, JSON and messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Snapshot => "snapshot",
            Kind::Backup => "backup",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How far an item has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Being made.
    InProgress,
    /// Complete: a restore point.
    Completed,
    /// The provider says that it failed (`failed` or `error`).
    Failed,
    /// A word this program does not know. The item is left alone.
    Unknown(Text),
}

impl Status {
    /// The provider's word for it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Status::InProgress => "in_progress",
            Status::Completed => "completed",
            Status::Failed => "failed",
            Status::Unknown(word) => word,
        }
    }
}

/// A snapshot or backup as the provider lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its number.
    pub id: ItemId,
    /// The server it was taken of.
    pub server: ServerId,
    /// That server's name as the listing gives it.
    pub server_name: Text,
    /// Snapshot or backup.
    pub kind: Kind,
    /// The snapshot's name; backups have none.
    pub name: Option<Text>,
    /// The description; empty where there is none. It carries the mark (see [`crate::domain::mark`]).
    pub description: Description,
    /// How far it has come.
    pub status: Status,
    /// When it was begun, by the provider's clock.
    pub created_at: Timestamp,
    /// Made by the provider's own plan (an automatic backup, or anything with an expiry): never touched, and not counted against the cap.
    pub automatic: bool,
}

impl Item {
    /// Its name; its description where the kind has no names.
    #[must_use]
    pub fn title(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.description)
    }
}

/// An entry of a listing that could not be read. It is counted and shown, and never deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opaque {
    /// Its number, if that much could be read.
    pub id: Option<ItemId>,
    /// Its server, if that much could be read. Without it, no server's view is known to be whole.
    pub server: Option<ServerId>,
    /// What could not be read, as a fragment such as "`created_at` is missing".
    pub why: String,
}

/// Why a listing does not show everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Defect {
    /// The provider's `count` differs from the number of entries that arrived.
    CountDiffers {
        /// What `count` said.
        count: u64,
        /// How many entries arrived, unreadable ones included.
        arrived: u64,
    },
    /// A page could not be fetched, points elsewhere, or there are more of them than are ever followed.
    PageMissing,
    /// One number occurs twice.
    DuplicateId(ItemId),
    /// It is empty, although there are items that are not known to be gone (F29).
    Empty,
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Defect::CountDiffers { count, arrived } => write!(f, "`count` says {count}, {arrived} arrived"),
            Defect::PageMissing => f.write_str("a page is missing"),
            Defect::DuplicateId(id) => write!(f, "number {id} occurs twice"),
            Defect::Empty => f.write_str("it is empty, although items were there"),
        }
    }
}

/// Everything one list call (with its pages) returned for one kind, all servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// What was listed.
    pub kind: Kind,
    /// The entries that could be read, in the provider's order. Who lists them again, and knows that nothing has changed, may hand out the same.
    pub items: Arc<Vec<Item>>,
    /// The entries that could not.
    pub opaque: Vec<Opaque>,
    /// How many entries the provider says there are but did not send; what they belong to is not known.
    pub missing: u64,
    /// Why this is not everything; empty: it is.
    pub defects: Vec<Defect>,
}

/// A server as `GET /servers/` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its number.
    pub id: ServerId,
    /// Its name.
    pub name: Box<str>,
    /// The provider's word for its state, e.g. `active` or `restoring`.
    pub status: Box<str>,
}

impl Server {
    /// Whether a restore overwrites it right now.
    #[must_use]
    pub fn is_restoring(&self) -> bool {
        &*self.status == "restoring"
    }
}

/// The servers of the account.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerListing {
    /// Those that could be read. Who lists them again, and knows that nothing has changed, may hand out the same.
    pub servers: Arc<Vec<Server>>,
    /// Why this is not everything; empty: it is. An entry that cannot be read is a defect here.
    pub defects: Vec<String>,
}
