//! The journal: what is about to be done, durable before it is done, and what came of it (contract §3, invariant I6).
//!
//! The journal stores [`Record`]s as rows and gives back at the start those that still matter; it decides nothing. [`SqliteJournal`] keeps them on
//! disk, [`MemoryJournal`] in memory for simulators and tests. What a record does to the rows is written once (`fold`) and used by both.
//! [`JournalThread`] puts a journal on a thread of its own and joins waiting appends into one commit.

mod error;
mod fold;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod lock;
mod memory;
mod owner;
mod rows;
mod sqlite;
mod thread;

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::clock::{Mono, Now};

pub use crate::domain::record::{
    CreateEnd, CreateIntent, DeleteEnd, DeleteIntent, DeleteWhen, HooksBegun, OpId, Record, RunId, RunStart, SlotsMissed, Subject, Trigger,
};
pub use error::JournalError;
pub use lock::{LockError, StateLock};
pub use memory::{Fault, MemoryJournal};
pub use rows::{
    CreateRow, CreateState, DeleteRow, DeleteState, Ended, Gone, HistoryFilter, HistoryRows, HooksRow, OrderRow, Recollection, RunEnd,
    RunRow, TargetRow,
};
pub use sqlite::{JournalReader, SqliteJournal};
pub use thread::{JournalHandle, JournalThread};

/// The name of the journal's file in the state folder.
pub const FILE_NAME: &str = "journal.sqlite3";

/// What a starting process asks for: everything begun in this time, besides what is still open. That is as long as extra deletes are remembered.
pub const RECENT: SignedDuration = crate::domain::memory::EXTRAS_REMEMBERED;

/// A daemon lets the journal forget what is old when it starts, and once in this time.
const PRUNE_EVERY: Duration = Duration::from_secs(24 * 3600);

/// When a daemon lets its journal forget.
#[derive(Debug, Clone, Copy)]
pub struct Forgetting {
    at: Mono,
}

impl Forgetting {
    /// Of a daemon that starts now.
    #[must_use]
    pub fn from(now: Mono) -> Forgetting {
        Forgetting { at: now }
    }

    /// Where it is time, what [`forgets_before`] says; none until the next time.
    pub fn due(&mut self, now: Now, keep: Duration) -> Option<Timestamp> {
        if now.mono < self.at {
            return None;
        }
        self.at = now.mono.after(PRUNE_EVERY);
        forgets_before(now.wall, keep)
    }
}

/// What began before may be forgotten where so much is to be kept; none: nothing is that old. What a starting process asks for is kept in any case:
/// the creates for a slot and the extra deletes are counted by it.
#[must_use]
pub fn forgets_before(now: Timestamp, keep: Duration) -> Option<Timestamp> {
    let keep = SignedDuration::try_from(keep).unwrap_or(SignedDuration::MAX);
    now.checked_sub(keep.max(RECENT)).ok()
}

/// Reads what a journal holds.
pub trait Recall {
    /// What still matters of the past:
    ///
    /// - creates and deletes that are undecided;
    /// - creates whose item is not known to be gone;
    /// - creates and deletes begun at `since` or later;
    /// - for each server and kind, the create that was ordered last of those that completed (what was ordered after a room was made has paid for it), of
    ///   a slot and by hand apart, and the delete that was ordered last of those that made room without being extra;
    /// - for each server and kind, the newest run that ended and the newest that succeeded, those of a slot, without one and by hand apart, and every
    ///   run without an end;
    /// - when each target was first configured;
    /// - hooks that have begun and not ended;
    /// - what people have ordered that is not over at `since`.
    ///
    /// "Newest" goes by the order in which things became durable, not by the clock, which may jump.
    ///
    /// # Errors
    /// The journal cannot be read.
    fn load(&mut self, since: Timestamp) -> Result<Recollection, JournalError>;

    /// What was done, for people: the newest first.
    ///
    /// # Errors
    /// The journal cannot be read.
    fn history(&mut self, filter: &HistoryFilter) -> Result<HistoryRows, JournalError>;
}

/// Keeps records.
pub trait Journal: Recall {
    /// Makes the records durable, all of them or none. They are durable when this returns `Ok`, and later than those of every earlier call.
    ///
    /// To append the same intent, start or outcome again is no error and changes nothing: after [`JournalError::Io`] they may be durable all the same.
    ///
    /// # Errors
    /// [`JournalError::Rejected`] if a record contradicts the rows (an outcome of an unknown operation, a number used twice); see [`JournalError`]
    /// for the others. After any error the caller has to take the records for not written.
    fn append(&mut self, records: &[Record]) -> Result<(), JournalError>;

    /// Forgets what began before `before` and would not be returned by [`Recall::load`] with that time. Returns how many rows went.
    ///
    /// So nothing undecided is forgotten, and no create whose item may still exist.
    ///
    /// # Errors
    /// The journal cannot be written.
    fn prune(&mut self, before: Timestamp) -> Result<u64, JournalError>;

    /// Leaves the journal in its tidiest form. Everything acknowledged is durable without it.
    ///
    /// # Errors
    /// The journal cannot be written.
    fn close(&mut self) -> Result<(), JournalError>;
}
