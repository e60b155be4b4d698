//! What can go wrong with the journal.

use std::path::PathBuf;

/// Why the journal did not do what was asked. `detail` is SQLite's or the system's own text.
///
/// A value without a source, so that one failed commit can be told to everyone whose records were in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// The disk, or the quota, is used up. Earlier records are there; nothing new can be written until there is room.
    #[error("write the journal: no space is left: {detail}")]
    Full {
        /// What SQLite says.
        detail: String,
    },
    /// Reading or writing failed. Whether the records are durable is not known; the file is opened afresh before the next use.
    #[error("use the journal: {detail}")]
    Io {
        /// What SQLite or the system says.
        detail: String,
    },
    /// The file is damaged. It is set aside by the next [`load`](super::Recall::load).
    #[error("read the journal: it is damaged: {detail}")]
    Corrupt {
        /// How it shows.
        detail: String,
    },
    /// A newer version of this program wrote the file.
    #[error("open the journal: it is of version {found}, and this program knows versions up to {known}; install the newer program again")]
    Newer {
        /// The file's version.
        found: u32,
        /// The newest that is known.
        known: u32,
    },
    /// An older version of this program wrote the file, and it was opened for reading only.
    #[error("read the journal: it is of version {found}; `serve` or `run` brings it to version {known}")]
    Older {
        /// The file's version.
        found: u32,
        /// The version that can be read.
        known: u32,
    },
    /// Another process keeps the file busy for longer than the timeout.
    #[error("use the journal: another process keeps it busy: {detail}")]
    Locked {
        /// What SQLite says.
        detail: String,
    },
    /// This process may not read or write the file or its folder.
    #[error("open the journal: access is denied: {detail}")]
    Denied {
        /// What SQLite or the system says.
        detail: String,
    },
    /// There is no journal to read.
    #[error("read the journal: {} does not exist", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A record contradicts the rows: a mistake of the caller.
    #[error("append to the journal: {detail}")]
    Rejected {
        /// Which record, and why.
        detail: String,
    },
    /// The journal's thread has ended.
    #[error("append to the journal: it is closed")]
    Closed,
}

impl JournalError {
    pub(super) fn corrupt(detail: impl Into<String>) -> JournalError {
        JournalError::Corrupt { detail: detail.into() }
    }

    pub(super) fn rejected(detail: impl Into<String>) -> JournalError {
        JournalError::Rejected { detail: detail.into() }
    }

    /// The kind of a system error that concerns `what`.
    pub(super) fn system(what: &str, error: &std::io::Error) -> JournalError {
        use std::io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        let detail = format!("{what}: {error}");
        match error.kind() {
            StorageFull | QuotaExceeded => JournalError::Full { detail },
            PermissionDenied | ReadOnlyFilesystem => JournalError::Denied { detail },
            _ => JournalError::Io { detail },
        }
    }

    /// Whether the connection that reported it must not be used any more: after a failed fsync the pages in memory are not what is on disk.
    pub(super) fn spoils_connection(&self) -> bool {
        matches!(self, JournalError::Io { .. } | JournalError::Corrupt { .. })
    }
}
