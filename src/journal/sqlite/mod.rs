//! The journal on disk: SQLite with a write-ahead log, every commit synced.

mod cells;
mod error;
mod files;
mod reader;
mod schema;
mod select;
mod store;
mod tables;
mod widen;

#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::fold::apply;
use super::rows::{HistoryFilter, HistoryRows, Recollection};
use super::{Journal, JournalError, Recall, StateLock};
use crate::clock::Clock;
use crate::domain::record::Record;
use files::Files;
pub use reader::JournalReader;
use schema::Schema;
use store::Rows;

/// How long a connection waits for another process that reads or copies the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The journal in `<state>/journal.sqlite3`. It keeps the lock of the state folder as long as it is open.
pub struct SqliteJournal {
    /// Closed after an error that a connection does not survive; opened again by the next use.
    connection: Option<Connection>,
    files: Files,
    schema: &'static Schema,
    clock: Arc<dyn Clock>,
    set_aside: Option<PathBuf>,
    /// Dropped last: nobody else may open the file before it is closed here.
    _lock: StateLock,
}

impl SqliteJournal {
    /// Opens the journal in the locked folder, or begins one. The whole file is checked; a damaged one is renamed to
    /// `journal.damaged-<time>.sqlite3` and a new one begun ([`Recollection::set_aside`] tells). An older one is brought up to date, and a copy of
    /// it kept as `journal.v<version>.sqlite3`.
    ///
    /// # Errors
    /// [`JournalError::Newer`], [`JournalError::Denied`], [`JournalError::Full`], [`JournalError::Io`] or [`JournalError::Locked`]. None of these is
    /// damage: the file stays as it is.
    pub fn open(lock: StateLock, clock: Arc<dyn Clock>) -> Result<SqliteJournal, JournalError> {
        SqliteJournal::open_as(lock, clock, &schema::CURRENT)
    }

    fn open_as(lock: StateLock, clock: Arc<dyn Clock>, schema: &'static Schema) -> Result<SqliteJournal, JournalError> {
        let files = Files::new(lock.folder());
        let mut journal = SqliteJournal { connection: None, files, schema, clock, set_aside: None, _lock: lock };
        journal.connection = Some(journal.open_or_begin_anew()?);
        Ok(journal)
    }

    /// The file of the journal.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.files.main()
    }

    fn open_or_begin_anew(&mut self) -> Result<Connection, JournalError> {
        match open_checked(&self.files, self.schema) {
            Err(JournalError::Corrupt { .. }) => {
                self.set_aside = Some(self.files.set_aside(self.clock.now().wall)?);
                open_checked(&self.files, self.schema)
            }
            other => other,
        }
    }

    /// Lends the connection, opened again where the last one was spoilt. Damage found here stays where it is: to begin anew in the middle of the
    /// work would silently forget what is undecided, so only `load` does that.
    fn with<T>(&mut self, act: impl FnOnce(&mut Connection) -> Result<T, JournalError>) -> Result<T, JournalError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => open_checked(&self.files, self.schema)?,
        };
        let result = act(&mut connection);
        if !result.as_ref().is_err_and(JournalError::spoils_connection) {
            self.connection = Some(connection);
        }
        result
    }
}

impl Recall for SqliteJournal {
    fn load(&mut self, since: Timestamp) -> Result<Recollection, JournalError> {
        let mut result = self.with(|connection| select::recollect(connection, since));
        if matches!(result, Err(JournalError::Corrupt { .. })) {
            self.connection = None;
            self.connection = Some(self.open_or_begin_anew()?);
            result = self.with(|connection| select::recollect(connection, since));
        }
        let set_aside = self.set_aside.clone();
        result.map(|recollection| Recollection { set_aside, ..recollection })
    }

    fn history(&mut self, filter: &HistoryFilter) -> Result<HistoryRows, JournalError> {
        self.with(|connection| select::history(connection, filter))
    }
}

impl Journal for SqliteJournal {
    fn append(&mut self, records: &[Record]) -> Result<(), JournalError> {
        self.with(|connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut counters = schema::counters(&transaction)?;
            let mut rows = Rows(&transaction);
            for record in records {
                apply(&mut rows, &mut counters, record)?;
            }
            schema::put_counters(&transaction, counters)?;
            Ok(transaction.commit()?)
        })
    }

    fn prune(&mut self, before: Timestamp) -> Result<u64, JournalError> {
        self.with(|connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let count = select::prune(&transaction, before)?;
            transaction.commit()?;
            Ok(count)
        })
    }

    /// Moves the write-ahead log into the file.
    fn close(&mut self) -> Result<(), JournalError> {
        if self.connection.is_some() {
            self.with(|connection| Ok(connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?))?;
        }
        self.connection = None;
        Ok(())
    }
}

/// Opens the file, creating it where there is none, and proves it whole and of our version.
fn open_checked(files: &Files, schema: &Schema) -> Result<Connection, JournalError> {
    files.prepare()?;
    let mut connection = connect(files.main(), OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // The system lets us write (`prepare` has tried), so it is the file's own header that forbids it.
    if connection.is_readonly("main")? {
        return Err(JournalError::corrupt("its header forbids writing"));
    }
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(JournalError::Io { detail: format!("a write-ahead log is not possible here (journal mode {mode})") });
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    schema.prepare(&mut connection, files)?;
    Ok(connection)
}

/// A connection with the settings that readers and the writer share.
fn connect(path: &Path, access: OpenFlags) -> Result<Connection, JournalError> {
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // Only `close` moves the log into the file: what is damaged is set aside as it was found.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    Ok(connection)
}
