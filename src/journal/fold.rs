//! What a record does to the rows: the same for the journal on disk and the one in memory.

use std::sync::Arc;

use jiff::Timestamp;

use super::JournalError;
use super::rows::{CreateRow, CreateState, DeleteRow, DeleteState, Ended, Gone, HooksRow, OrderRow, RunEnd, RunRow, TargetRow};
use crate::domain::inventory::{ItemId, Kind};
use crate::domain::policy_text::PolicyText;
use crate::domain::record::{CreateIntent, DeleteIntent, HooksBegun, OpId, Record, RunId, RunStart, SlotsMissed};
use crate::domain::standing::StandingOrder;

/// The next number of each sort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counters {
    pub next_op: u64,
    pub next_run: u64,
    pub next_seq: u64,
}

impl Counters {
    pub const START: Counters = Counters { next_op: 1, next_run: 1, next_seq: 1 };

    /// Whether no record was ever counted.
    pub fn is_fresh(self) -> bool {
        self.next_seq == Counters::START.next_seq
    }
}

/// Rows that can be read and replaced.
pub(super) trait Store {
    fn create(&mut self, op: OpId) -> Result<Option<CreateRow>, JournalError>;
    fn creates_of(&mut self, kind: Kind, item: ItemId) -> Result<Vec<CreateRow>, JournalError>;
    fn put_create(&mut self, row: CreateRow) -> Result<(), JournalError>;
    /// Reads a create, lets `change` say how it differs now, and writes it if it does. Returns whether there is such a create.
    fn change_create(&mut self, op: OpId, change: impl FnOnce(CreateRow) -> Result<CreateRow, JournalError>) -> Result<bool, JournalError> {
        let Some(before) = self.create(op)? else { return Ok(false) };
        let after = change(before.clone())?;
        if after != before {
            self.put_create(after)?;
        }
        Ok(true)
    }
    /// Notes of the creates that made an item that it is gone.
    fn mark_gone(&mut self, kind: Kind, item: ItemId, gone: Gone) -> Result<(), JournalError> {
        for mut row in self.creates_of(kind, item)? {
            if row.gone.is_none() {
                row.gone = Some(gone);
                self.put_create(row)?;
            }
        }
        Ok(())
    }
    fn delete(&mut self, op: OpId) -> Result<Option<DeleteRow>, JournalError>;
    fn put_delete(&mut self, row: DeleteRow) -> Result<(), JournalError>;
    fn run(&mut self, run: RunId) -> Result<Option<RunRow>, JournalError>;
    fn put_run(&mut self, row: RunRow) -> Result<(), JournalError>;
    fn hooks(&mut self, op: OpId) -> Result<Option<HooksRow>, JournalError>;
    fn put_hooks(&mut self, row: HooksRow) -> Result<(), JournalError>;
    fn order(&mut self, op: OpId) -> Result<Option<OrderRow>, JournalError>;
    fn put_order(&mut self, row: OrderRow) -> Result<(), JournalError>;
    /// Keeps the first of a server and kind.
    fn add_target(&mut self, row: &TargetRow) -> Result<(), JournalError>;
    /// Keeps a text once.
    fn add_text(&mut self, text: &Arc<PolicyText>) -> Result<(), JournalError>;
    /// Keeps the first of a server, kind and slot.
    fn add_missed(&mut self, missed: &SlotsMissed, seq: u64) -> Result<(), JournalError>;
}

/// Lets one record take effect.
pub(super) fn apply(store: &mut impl Store, counters: &mut Counters, record: &Record) -> Result<(), JournalError> {
    let seq = counters.next_seq;
    match record {
        Record::CreateIntent(intent) => begin_create(store, counters, intent, seq)?,
        Record::DeleteIntent(intent) => begin_delete(store, counters, intent, seq)?,
        Record::CreateAccepted { op, item, at } => change_create(store, *op, |row| Ok(accept(row, *item, *at)))?,
        Record::CreateCompleted { op, at } => change_create(store, *op, |row| complete(row, seq, *at))?,
        Record::CreateEnded { op, how, error, at } => {
            change_create(store, *op, |row| Ok(end_create(row, (*how).into(), Ended { seq, at: *at, error: error.clone() })))?;
        }
        Record::DeleteEnded { op, how, error, at } => {
            end_delete(store, *op, (*how).into(), Ended { seq, at: *at, error: error.clone() })?;
        }
        Record::ItemGone { kind, item, ours, at, .. } => store.mark_gone(*kind, *item, Gone { at: *at, ours: *ours })?,
        Record::RunStarted(start) => begin_run(store, counters, start, seq)?,
        Record::RunEnded { run, result, problems, error, at } => {
            let end = RunEnd { seq, at: *at, result: *result, problems: problems.clone(), error: error.clone() };
            end_run(store, *run, end)?;
        }
        Record::TargetSeen { server, kind, at } => store.add_target(&TargetRow { server: *server, kind: *kind, first_seen: *at })?,
        Record::SlotsMissed(missed) => store.add_missed(missed, seq)?,
        Record::HooksBegun(begun) => begin_hooks(store, counters, begun, seq)?,
        Record::HooksEnded { op, error, at } => end_hooks(store, *op, Ended { seq, at: *at, error: error.clone() })?,
        Record::Ordered(order) => begin_order(store, counters, order, seq)?,
        Record::PolicyText(text) => store.add_text(text)?,
    }
    counters.next_seq += 1;
    Ok(())
}

/// Whether nothing has this number. One that is higher than all so far is free; of the highest one there is, that cannot be said.
fn is_free(store: &mut impl Store, counters: &Counters, op: OpId) -> Result<bool, JournalError> {
    if op.0 >= counters.next_op && op.0 != u64::MAX {
        return Ok(true);
    }
    let is_item = store.create(op)?.is_some() || store.delete(op)?.is_some();
    Ok(!(is_item || store.hooks(op)?.is_some() || store.order(op)?.is_some()))
}

fn begin_order(store: &mut impl Store, counters: &mut Counters, order: &StandingOrder, seq: u64) -> Result<(), JournalError> {
    match store.order(order.op)? {
        Some(row) if row.order == *order => return Ok(()),
        None if is_free(store, counters, order.op)? => {}
        _ => return Err(used_twice("operation", order.op.0)),
    }
    counters.next_op = counters.next_op.max(order.op.0.saturating_add(1));
    store.put_order(OrderRow { order: order.clone(), seq })
}

fn begin_create(store: &mut impl Store, counters: &mut Counters, intent: &Arc<CreateIntent>, seq: u64) -> Result<(), JournalError> {
    match store.create(intent.op)? {
        Some(row) if row.intent == *intent => return Ok(()),
        None if is_free(store, counters, intent.op)? => {}
        _ => return Err(used_twice("operation", intent.op.0)),
    }
    counters.next_op = counters.next_op.max(intent.op.0.saturating_add(1));
    let state = CreateState::Intended;
    store.put_create(CreateRow { intent: Arc::clone(intent), seq, state, item: None, accepted_at: None, ended: None, gone: None })
}

fn begin_delete(store: &mut impl Store, counters: &mut Counters, intent: &Arc<DeleteIntent>, seq: u64) -> Result<(), JournalError> {
    match store.delete(intent.op)? {
        Some(row) if row.intent == *intent => return Ok(()),
        None if is_free(store, counters, intent.op)? => {}
        _ => return Err(used_twice("operation", intent.op.0)),
    }
    counters.next_op = counters.next_op.max(intent.op.0.saturating_add(1));
    store.put_delete(DeleteRow { intent: Arc::clone(intent), seq, state: DeleteState::Intended, ended: None })
}

fn begin_hooks(store: &mut impl Store, counters: &mut Counters, begun: &HooksBegun, seq: u64) -> Result<(), JournalError> {
    match store.hooks(begun.op)? {
        Some(row) if row.begun == *begun => return Ok(()),
        None if is_free(store, counters, begun.op)? => {}
        _ => return Err(used_twice("operation", begun.op.0)),
    }
    counters.next_op = counters.next_op.max(begun.op.0.saturating_add(1));
    store.put_hooks(HooksRow { begun: begun.clone(), seq, ended: None })
}

fn end_hooks(store: &mut impl Store, op: OpId, ended: Ended) -> Result<(), JournalError> {
    let mut row = store.hooks(op)?.ok_or_else(|| unknown("hooks", op.0))?;
    if row.ended.is_some() {
        return Ok(());
    }
    row.ended = Some(ended);
    store.put_hooks(row)
}

fn begin_run(store: &mut impl Store, counters: &mut Counters, start: &Arc<RunStart>, seq: u64) -> Result<(), JournalError> {
    match store.run(start.run)? {
        Some(row) if row.start == *start => return Ok(()),
        Some(_) => return Err(used_twice("run", start.run.0)),
        None => {}
    }
    counters.next_run = counters.next_run.max(start.run.0.saturating_add(1));
    store.put_run(RunRow { start: Arc::clone(start), seq, ended: None })
}

fn change_create(
    store: &mut impl Store,
    op: OpId,
    change: impl FnOnce(CreateRow) -> Result<CreateRow, JournalError>,
) -> Result<(), JournalError> {
    if store.change_create(op, change)? { Ok(()) } else { Err(unknown("create", op.0)) }
}

/// An item that turns up late takes back "refused" and "absent" (F03, F14), but never "completed" or "failed".
fn accept(mut row: CreateRow, item: ItemId, at: Timestamp) -> CreateRow {
    if row.item != Some(item) {
        row.item = Some(item);
        row.accepted_at = Some(at);
        row.gone = None;
    }
    if matches!(row.state, CreateState::Intended | CreateState::Refused | CreateState::NotSent | CreateState::Absent) {
        row.state = CreateState::Accepted;
        row.ended = None;
    }
    row
}

fn complete(row: CreateRow, seq: u64, at: Timestamp) -> Result<CreateRow, JournalError> {
    if row.item.is_none() {
        return Err(JournalError::rejected(format!("create {} is completed without an item", row.intent.op)));
    }
    Ok(end_create(row, CreateState::Completed, Ended { seq, at, error: None }))
}

/// The last word holds; the same word again changes nothing, so that the time and place of the first stay.
fn end_create(mut row: CreateRow, state: CreateState, ended: Ended) -> CreateRow {
    if row.state != state {
        row.state = state;
        row.ended = Some(ended);
    }
    row
}

fn end_delete(store: &mut impl Store, op: OpId, state: DeleteState, ended: Ended) -> Result<(), JournalError> {
    let mut row = store.delete(op)?.ok_or_else(|| unknown("delete", op.0))?;
    if row.state == state {
        return Ok(());
    }
    let (gone, intent) = (Gone { at: ended.at, ours: true }, Arc::clone(&row.intent));
    row.state = state;
    row.ended = Some(ended);
    store.put_delete(row)?;
    if state == DeleteState::Gone {
        store.mark_gone(intent.subject.kind, intent.item, gone)?;
    }
    Ok(())
}

fn end_run(store: &mut impl Store, run: RunId, end: RunEnd) -> Result<(), JournalError> {
    let mut row = store.run(run)?.ok_or_else(|| unknown("run", run.0))?;
    if row.ended.is_some() {
        return Ok(());
    }
    row.ended = Some(end);
    store.put_run(row)
}

fn used_twice(what: &str, number: u64) -> JournalError {
    JournalError::rejected(format!("{what} {number} is already something else"))
}

fn unknown(what: &str, number: u64) -> JournalError {
    JournalError::rejected(format!("{what} {number} is not known"))
}
