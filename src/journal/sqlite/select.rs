//! Which rows are read and which are forgotten. The rules are those of [`Recall::load`](super::super::Recall::load); the journal in memory has them
//! a second time, in Rust, and a property test holds the two together.

use jiff::Timestamp;
use rusqlite::{Connection, Transaction};

use super::super::JournalError;
use super::super::rows::{CreateRow, DeleteRow, HistoryFilter, HistoryRows, OrderRow, Recollection, RunRow};
use super::cells::{Stored, fetch, for_each, time_text};
use super::schema;
use super::tables::{MissedRow, TextRow};
use crate::domain::record::{OpId, RunId, SlotsMissed};

/// The creates that matter, `?1` being "since".
const CREATES: &str = "state IN ('intended', 'accepted')
    OR (item IS NOT NULL AND gone_at IS NULL)
    OR at >= ?1
    OR op IN (SELECT newest FROM (
        SELECT max(op) AS newest FROM creates WHERE state = 'completed' GROUP BY server, kind, hand_at IS NULL))";

/// The deletes that matter, `?1` being "since".
const DELETES: &str = "state = 'intended'
    OR at >= ?1
    OR op IN (SELECT newest FROM (
        SELECT max(op) AS newest FROM deletes WHERE state = 'gone' AND due = 'before_create' AND NOT extra GROUP BY server, kind))";

/// The runs that matter.
const RUNS: &str = "ended_seq IS NULL
    OR run IN (SELECT newest FROM (
        SELECT run AS newest, max(ended_seq) FROM runs WHERE ended_seq IS NOT NULL GROUP BY server, kind, cause = 'hand', slot IS NULL))
    OR run IN (SELECT newest FROM (
        SELECT run AS newest, max(ended_seq) FROM runs WHERE result = 'success' GROUP BY server, kind, cause = 'hand', slot IS NULL))";

/// For each target, the newest slot that was missed. Times are texts of one length, so they sort as they run.
const NEWEST_MISSED: &str = "slot = (SELECT max(other.slot) FROM missed AS other
    WHERE other.server = missed.server AND other.kind = missed.kind)";

/// Forgets the texts that nothing names any more.
const UNNAMED_TEXTS: &str = "DELETE FROM policy_texts WHERE digest NOT IN (
    SELECT policy_text FROM creates WHERE policy_text IS NOT NULL UNION SELECT policy_text FROM deletes WHERE policy_text IS NOT NULL)";

/// What matters, all from one moment. `set_aside` is left open.
pub(super) fn recollect(connection: &mut Connection, since: Timestamp) -> Result<Recollection, JournalError> {
    let since = time_text(since);
    let transaction = connection.transaction()?;
    let counters = schema::counters(&transaction)?;
    let missed: Vec<MissedRow> = fetch(&transaction, &format!("WHERE {NEWEST_MISSED}"), [])?;
    let mut recollection = Recollection {
        next_op: OpId(counters.next_op),
        next_run: RunId(counters.next_run),
        creates: fetch(&transaction, &format!("WHERE {CREATES} ORDER BY seq"), [&since])?,
        deletes: fetch(&transaction, &format!("WHERE {DELETES} ORDER BY seq"), [&since])?,
        runs: fetch(&transaction, &format!("WHERE {RUNS} ORDER BY seq"), [])?,
        targets: fetch(&transaction, "", [])?,
        missed: missed.into_iter().map(|row| row.missed).collect(),
        hooks: fetch(&transaction, "WHERE ended_seq IS NULL ORDER BY seq", [])?,
        orders: fetch(&transaction, "WHERE until >= ?1 ORDER BY seq", [&since])?,
        fresh: counters.is_fresh(),
        set_aside: None,
    };
    transaction.commit()?;
    recollection.targets.sort_unstable_by_key(|row| (row.server, row.kind));
    recollection.missed.sort_unstable_by_key(|missed| (missed.subject.server, missed.subject.kind));
    Ok(recollection)
}

/// Forgets what began before `before` and does not matter. Returns how many rows went.
pub(super) fn prune(transaction: &Transaction<'_>, before: Timestamp) -> Result<u64, JournalError> {
    let before = time_text(before);
    let statements = [
        format!("DELETE FROM creates WHERE NOT ({CREATES})"),
        format!("DELETE FROM deletes WHERE NOT ({DELETES})"),
        format!("DELETE FROM runs WHERE NOT ({RUNS} OR at >= ?1)"),
        "DELETE FROM hooks WHERE ended_seq IS NOT NULL AND at < ?1".to_owned(),
        "DELETE FROM orders WHERE until < ?1 AND at < ?1".to_owned(),
        format!("DELETE FROM missed WHERE NOT ({NEWEST_MISSED} OR at >= ?1)"),
    ];
    let mut count = 0;
    for statement in statements {
        count += transaction.execute(&statement, [&before])? as u64;
    }
    Ok(count + transaction.execute(UNNAMED_TEXTS, [])? as u64)
}

/// The newest rows that the filter admits, all from one moment.
pub(super) fn history(connection: &mut Connection, filter: &HistoryFilter) -> Result<HistoryRows, JournalError> {
    let transaction = connection.transaction()?;
    let missed = |row: &MissedRow| filter.admits_item(None) && filter.admits(&row.missed.subject, row.missed.at);
    let missed: Vec<MissedRow> = newest(&transaction, filter, missed)?;
    let create = |row: &CreateRow| filter.admits_item(row.item) && filter.admits(&row.intent.subject, row.intent.at);
    let delete = |row: &DeleteRow| filter.admits_item(Some(row.intent.item)) && filter.admits(&row.intent.subject, row.intent.at);
    let mut rows = HistoryRows {
        creates: newest(&transaction, filter, create)?,
        deletes: newest(&transaction, filter, delete)?,
        missed: missed.into_iter().map(|row| row.missed).collect::<Vec<SlotsMissed>>(),
        orders: newest(&transaction, filter, |row: &OrderRow| filter.admits_order(&row.order))?,
        ..HistoryRows::default()
    };
    let acting = rows.acting();
    let run = |row: &RunRow| filter.admits_run(row.start.run, &acting) && filter.admits(&row.start.subject, row.start.at);
    rows.runs = newest(&transaction, filter, run)?;
    for digest in rows.digests() {
        let text: Vec<TextRow> = fetch(&transaction, "WHERE digest = ?1", [digest.to_string()])?;
        rows.texts.extend(text.into_iter().map(|row| row.0));
    }
    transaction.commit()?;
    Ok(rows)
}

fn newest<T: Stored>(connection: &Connection, filter: &HistoryFilter, admits: impl Fn(&T) -> bool) -> Result<Vec<T>, JournalError> {
    let mut rows = Vec::new();
    // Empty, so below every time: all rows.
    let since = filter.since.map(time_text).unwrap_or_default();
    for_each(connection, "WHERE at >= ?1 ORDER BY seq DESC", [since], |row: T| {
        if rows.len() < filter.rows_max && admits(&row) {
            rows.push(row);
        }
        rows.len() < filter.rows_max
    })?;
    Ok(rows)
}
