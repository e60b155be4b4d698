//! Reading the journal beside a daemon that writes it.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags};

use super::super::rows::{HistoryFilter, HistoryRows, Recollection};
use super::super::{FILE_NAME, JournalError, Recall};
use super::{connect, schema, select};

/// The journal, opened for reading only: needs no lock, waits for nobody and changes nothing.
pub struct JournalReader {
    connection: Connection,
}

impl JournalReader {
    /// Opens the journal of a state folder.
    ///
    /// # Errors
    /// [`JournalError::Missing`] if there is none; [`JournalError::Newer`] and [`JournalError::Older`] if it is of another version;
    /// [`JournalError::Corrupt`] if it is damaged (nothing is set aside); [`JournalError::Denied`], [`JournalError::Io`].
    pub fn open(folder: &Path) -> Result<JournalReader, JournalError> {
        let path = folder.join(FILE_NAME);
        match fs::metadata(&path) {
            Ok(metadata) if metadata.len() > 0 => {}
            Ok(_) => return Err(JournalError::Missing { path }),
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(JournalError::Missing { path }),
            Err(error) => return Err(JournalError::system(&path.display().to_string(), &error)),
        }
        let connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        schema::CURRENT.expect_version(&connection)?;
        Ok(JournalReader { connection })
    }
}

impl Recall for JournalReader {
    fn load(&mut self, since: Timestamp) -> Result<Recollection, JournalError> {
        select::recollect(&mut self.connection, since)
    }

    fn history(&mut self, filter: &HistoryFilter) -> Result<HistoryRows, JournalError> {
        select::history(&mut self.connection, filter)
    }
}

#[cfg(test)]
impl JournalReader {
    pub(super) fn connection_for_tests(&self) -> &Connection {
        &self.connection
    }
}
