//! The rows of a transaction, for `fold`.

use std::sync::Arc;

use rusqlite::{Connection, params};

use super::super::JournalError;
use super::super::fold::Store;
use super::super::rows::{CreateRow, DeleteRow, HooksRow, OrderRow, RunRow, TargetRow};
use super::cells::{Stored, fetch, put, put_first};
use super::tables::{MissedRow, TextRow};
use crate::domain::inventory::{ItemId, Kind};
use crate::domain::policy_text::PolicyText;
use crate::domain::record::{OpId, RunId, SlotsMissed};

/// The rows as an open transaction of this connection sees them.
pub(super) struct Rows<'a>(pub &'a Connection);

impl Rows<'_> {
    fn by_number<T: Stored>(&self, column: &str, number: u64) -> Result<Option<T>, JournalError> {
        Ok(fetch(self.0, &format!("WHERE {column} = ?1"), [number.cast_signed()])?.pop())
    }
}

impl Store for Rows<'_> {
    fn create(&mut self, op: OpId) -> Result<Option<CreateRow>, JournalError> {
        self.by_number("op", op.0)
    }

    fn creates_of(&mut self, kind: Kind, item: ItemId) -> Result<Vec<CreateRow>, JournalError> {
        fetch(self.0, "WHERE kind = ?1 AND item = ?2", params![kind.as_str(), item.0.cast_signed()])
    }

    fn put_create(&mut self, row: CreateRow) -> Result<(), JournalError> {
        put(self.0, &row)
    }

    fn delete(&mut self, op: OpId) -> Result<Option<DeleteRow>, JournalError> {
        self.by_number("op", op.0)
    }

    fn put_delete(&mut self, row: DeleteRow) -> Result<(), JournalError> {
        put(self.0, &row)
    }

    fn run(&mut self, run: RunId) -> Result<Option<RunRow>, JournalError> {
        self.by_number("run", run.0)
    }

    fn put_run(&mut self, row: RunRow) -> Result<(), JournalError> {
        put(self.0, &row)
    }

    fn hooks(&mut self, op: OpId) -> Result<Option<HooksRow>, JournalError> {
        self.by_number("op", op.0)
    }

    fn put_hooks(&mut self, row: HooksRow) -> Result<(), JournalError> {
        put(self.0, &row)
    }

    fn order(&mut self, op: OpId) -> Result<Option<OrderRow>, JournalError> {
        self.by_number("op", op.0)
    }

    fn put_order(&mut self, row: OrderRow) -> Result<(), JournalError> {
        put(self.0, &row)
    }

    fn add_target(&mut self, row: &TargetRow) -> Result<(), JournalError> {
        put_first(self.0, row)
    }

    fn add_text(&mut self, text: &Arc<PolicyText>) -> Result<(), JournalError> {
        put_first(self.0, &TextRow(Arc::clone(text)))
    }

    fn add_missed(&mut self, missed: &SlotsMissed, seq: u64) -> Result<(), JournalError> {
        put_first(self.0, &MissedRow { seq, missed: missed.clone() })
    }
}
