//! The values of the emulated account: servers, items, orders, and why an order is refused.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::inventory::{ItemId, Kind, ServerId};

/// How far an item has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Being made.
    InProgress,
    /// Complete.
    Completed,
    /// Failed; it still fills a slot.
    Failed,
    /// Some other word, which a client may not know.
    Word(String),
}

impl Progress {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Progress::InProgress => "in_progress",
            Progress::Completed => "completed",
            Progress::Failed => "failed",
            Progress::Word(word) => word,
        }
    }

    /// The progress that this word stands for.
    #[must_use]
    pub fn from_word(word: &str) -> Progress {
        match word {
            "in_progress" => Progress::InProgress,
            "completed" => Progress::Completed,
            "failed" => Progress::Failed,
            _ => Progress::Word(word.to_owned()),
        }
    }
}

/// What becomes of an item after it was ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fate {
    /// How long it takes; `None`: as long as the account's rules say. Zero: it has ended before the answer is written.
    pub after: Option<Duration>,
    /// How it ends. [`Progress::InProgress`]: never.
    pub end: Progress,
}

impl Default for Fate {
    /// It completes in the usual time.
    fn default() -> Fate {
        Fate { after: None, end: Progress::Completed }
    }
}

/// A snapshot or backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its number; unique within its kind.
    pub id: ItemId,
    /// Snapshot or backup.
    pub kind: Kind,
    /// The server it was taken of. That server may be gone since.
    pub server: ServerId,
    /// The name of a snapshot; backups have none.
    pub name: Option<Arc<str>>,
    /// The description; empty where there is none.
    pub description: Arc<str>,
    /// How far it has come.
    pub progress: Progress,
    /// When it was ordered.
    pub created_at: Timestamp,
    /// Its size in mebibytes, once it is complete.
    pub size_mb: Option<u64>,
    /// Made by the provider's own plan. Such backups do not count against the cap.
    pub automatic: bool,
    /// When the provider removes it by itself.
    pub expires_at: Option<Timestamp>,
}

impl Item {
    /// A completed item to be put into the account by hand, as if a person or another tool had made it. Its number is given by the account.
    #[must_use]
    pub fn completed(kind: Kind, server: ServerId, created_at: Timestamp) -> Item {
        Item {
            id: ItemId(0),
            kind,
            server,
            name: (kind == Kind::Snapshot).then(|| "by-hand".into()),
            description: "".into(),
            progress: Progress::Completed,
            created_at,
            size_mb: Some(4096),
            automatic: false,
            expires_at: None,
        }
    }

    /// An automatic backup, which the provider removes after `keep`.
    #[must_use]
    pub fn automatic(server: ServerId, created_at: Timestamp, keep: Duration) -> Item {
        Item {
            automatic: true,
            expires_at: Some(later(created_at, keep)),
            description: "Automatic daily backup".into(),
            ..Item::completed(Kind::Backup, server, created_at)
        }
    }

    /// The same with this name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Item {
        self.name = Some(name.into());
        self
    }

    /// The same with this description.
    #[must_use]
    pub fn described(mut self, description: &str) -> Item {
        self.description = description.into();
        self
    }

    /// The same, this far. What is not completed has no size.
    #[must_use]
    pub fn progressed(mut self, progress: Progress) -> Item {
        self.size_mb = self.size_mb.filter(|_| progress == Progress::Completed);
        self.progress = progress;
        self
    }

    /// Whether it fills one of the server's slots: everything but automatic backups, whatever its progress.
    #[must_use]
    pub fn fills_a_slot(&self) -> bool {
        !self.automatic
    }
}

/// A server of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its number.
    pub id: ServerId,
    /// Its name.
    pub name: String,
    /// Its host name.
    pub hostname: String,
    /// `active`, `stopped`, `suspended` or `restoring`.
    pub status: String,
    /// Where it stands.
    pub location: String,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Server {
    /// An active server.
    #[must_use]
    pub fn active(id: u64, name: &str) -> Server {
        Server {
            id: ServerId(id),
            name: name.to_owned(),
            hostname: format!("{name}.example.org"),
            status: "active".to_owned(),
            location: "oslo".to_owned(),
            created_at: Timestamp::UNIX_EPOCH,
        }
    }
}

/// An order for a new item, as the API takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Snapshot or backup.
    pub kind: Kind,
    /// Of which server.
    pub server: ServerId,
    /// The name of a snapshot: required there, ignored for a backup.
    pub name: Option<Arc<str>>,
    /// The description; empty where there is none.
    pub description: Arc<str>,
}

/// Why the account refuses a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 404.
    #[error("the server does not exist")]
    UnknownServer,
    /// 404.
    #[error("the {0} does not exist")]
    UnknownItem(Kind),
    /// 400.
    #[error("the limit of {cap} {kind}s is reached")]
    CapReached {
        /// Of which kind.
        kind: Kind,
        /// How many a server may have.
        cap: usize,
    },
    /// 400.
    #[error("{field}: {message}")]
    Invalid {
        /// The parameter.
        field: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// 400.
    #[error("the server is not in a valid state for restoration")]
    NotRestorable,
}

/// `start` plus `wait`, at most the last time there is.
pub(super) fn later(start: Timestamp, wait: Duration) -> Timestamp {
    start.checked_add(wait).unwrap_or(Timestamp::MAX)
}
