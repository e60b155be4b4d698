//! From SQLite's errors to ours.

use rusqlite::{Error, ErrorCode};

use super::super::JournalError;

impl From<Error> for JournalError {
    fn from(error: Error) -> JournalError {
        let detail = error.to_string();
        let code = match &error {
            Error::SqliteFailure(failure, _) | Error::SqlInputError { error: failure, .. } => Some(failure.code),
            _ => None,
        };
        match code {
            Some(ErrorCode::DiskFull) => JournalError::Full { detail },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed) => {
                JournalError::Locked { detail }
            }
            Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly | ErrorCode::CannotOpen) => JournalError::Denied { detail },
            // `Unknown` is SQL that does not fit the tables: the tables are not those that were made.
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown) => JournalError::Corrupt { detail },
            Some(ErrorCode::TooBig | ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch) => JournalError::Rejected { detail },
            Some(_) => JournalError::Io { detail },
            None => without_code(&error, detail),
        }
    }
}

/// Errors of the binding. What cannot be read as what was written, or is not there, is damage.
fn without_code(error: &Error, detail: String) -> JournalError {
    match error {
        Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::Utf8Error(..)
        | Error::QueryReturnedNoRows
        | Error::InvalidColumnIndex(_)
        | Error::InvalidColumnName(_)
        | Error::InvalidColumnType(..) => JournalError::Corrupt { detail },
        _ => JournalError::Io { detail },
    }
}
