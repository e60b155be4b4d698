//! The versions of the journal's file: making it, checking it, bringing an older one up to date (F89).

use std::hash::Hasher;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use siphasher::sip::SipHasher13;

use super::super::JournalError;
use super::super::fold::Counters;
use super::super::rows::{CreateRow, DeleteRow, HooksRow, OrderRow, RunRow, TargetRow};
use super::cells::{Cells, Stored, Table, Values, fetch, put, verify};
use super::files::Files;
use super::tables::{MissedRow, TextRow};
use super::widen::{VERSION_3, VERSION_4, Widened};

/// Tells the file from other SQLite files: "SNPW".
const APPLICATION_ID: u32 = 0x534E_5057;

/// The schema that this program writes.
pub(super) static CURRENT: Schema = Schema {
    version: 4,
    tables: concat!(include_str!("schema.sql"), include_str!("version2.sql"), include_str!("version3.sql"), include_str!("version4.sql")),
    steps: &[
        Step { from: 1, widened: &[], change: |transaction| Ok(transaction.execute_batch(include_str!("version2.sql"))?) },
        Step { from: 2, widened: VERSION_3, change: |transaction| Ok(transaction.execute_batch(include_str!("version3.sql"))?) },
        Step { from: 3, widened: VERSION_4, change: |transaction| Ok(transaction.execute_batch(include_str!("version4.sql"))?) },
    ],
};

/// A version of the file and the way to it.
#[derive(Debug)]
pub(super) struct Schema {
    pub version: u32,
    /// Makes all tables in an empty file.
    pub tables: &'static str,
    /// The ways from older versions, each to the next, in order.
    pub steps: &'static [Step],
}

/// From one version to the next.
#[derive(Debug)]
pub(super) struct Step {
    pub from: u32,
    /// The tables that get a column; their rows get their new check sums without more ado.
    pub widened: &'static [Widened],
    /// Changes tables and rows; all other rows have to carry the check sums of the new version afterwards.
    pub change: fn(&Transaction<'_>) -> Result<(), JournalError>,
}

impl Schema {
    /// Makes the tables in an empty file; checks any other one, and brings it to this version.
    pub fn prepare(&self, connection: &mut Connection, files: &Files) -> Result<(), JournalError> {
        if is_empty(connection)? {
            return self.make(connection);
        }
        check_pages(connection)?;
        let found = version(connection)?;
        if found > self.version {
            return Err(JournalError::Newer { found, known: self.version });
        }
        if found < self.version {
            self.migrate(connection, found, files)?;
        }
        check_rows(connection)
    }

    /// Refuses every version but this one.
    pub fn expect_version(&self, connection: &Connection) -> Result<(), JournalError> {
        let (found, known) = (version(connection)?, self.version);
        match found.cmp(&known) {
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Greater => Err(JournalError::Newer { found, known }),
            std::cmp::Ordering::Less => Err(JournalError::Older { found, known }),
        }
    }

    pub(super) fn make(&self, connection: &mut Connection) -> Result<(), JournalError> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(self.tables)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", self.version)?;
        put_meta(&transaction, self.version, Counters::START)?;
        Ok(transaction.commit()?)
    }

    /// All steps in one transaction, with a copy of the file as it was.
    fn migrate(&self, connection: &mut Connection, found: u32, files: &Files) -> Result<(), JournalError> {
        let counters = counters(connection)?;
        let copy = files.make_copy_target(found)?;
        connection.execute("VACUUM INTO ?1", [copy.to_string_lossy()]).map_err(|error| not_damage(error.into()))?;
        files.sync(&copy)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for version in found..self.version {
            let step = self.steps.iter().find(|step| step.from == version);
            let step = step.ok_or_else(|| JournalError::corrupt(format!("there never was a version {version}")))?;
            step.take(&transaction)?;
        }
        transaction.pragma_update(None, "user_version", self.version)?;
        put_meta(&transaction, self.version, counters)?;
        Ok(transaction.commit()?)
    }
}

impl Step {
    /// A row that is not what was written is damage, and is found before anything is changed.
    fn take(&self, transaction: &Transaction<'_>) -> Result<(), JournalError> {
        let sums = self.widened.iter().map(|table| Ok((table, table.sums(transaction)?)));
        let sums: Vec<_> = sums.collect::<Result<_, JournalError>>()?;
        (self.change)(transaction).map_err(not_damage)?;
        sums.iter().try_for_each(|(table, sums)| table.stamp(transaction, sums).map_err(not_damage))
    }
}

/// The pages were proved just before: a step that fails is a mistake of the step, and the file must not be set aside for it.
fn not_damage(error: JournalError) -> JournalError {
    match error {
        JournalError::Corrupt { detail } => JournalError::Io { detail: format!("bringing it up to date: {detail}") },
        other => other,
    }
}

/// Whether nothing was ever made in the file. A file without tables that has a version or belongs to another program is damaged, not empty.
fn is_empty(connection: &Connection) -> Result<bool, JournalError> {
    let tables: u32 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables > 0 {
        return Ok(false);
    }
    let marks = (pragma(connection, "application_id")?, pragma(connection, "user_version")?);
    if marks == (0, 0) { Ok(true) } else { Err(JournalError::corrupt("its tables are missing")) }
}

/// Reads every page and index.
fn check_pages(connection: &Connection) -> Result<(), JournalError> {
    let verdict: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" { Ok(()) } else { Err(JournalError::corrupt(verdict)) }
}

/// Reads every row and proves its check sum.
fn check_rows(connection: &Connection) -> Result<(), JournalError> {
    let meta = meta(connection)?;
    if meta.tables_sum != tables_sum(connection)? {
        return Err(JournalError::corrupt("its tables are not those that were made"));
    }
    verify::<CreateRow>(connection)?;
    verify::<DeleteRow>(connection)?;
    verify::<RunRow>(connection)?;
    verify::<TargetRow>(connection)?;
    verify::<HooksRow>(connection)?;
    verify::<OrderRow>(connection)?;
    verify::<MissedRow>(connection)?;
    verify::<TextRow>(connection)
}

/// The version, from the two places where it stands. They must agree: a changed bit must not make a file look newer than it is.
fn version(connection: &Connection) -> Result<u32, JournalError> {
    if pragma(connection, "application_id")? != APPLICATION_ID {
        return Err(JournalError::corrupt("it is another program's file"));
    }
    let (header, row) =
        (pragma(connection, "user_version")?, connection.query_row("SELECT version FROM meta", [], |row| row.get::<_, u32>(0))?);
    if header != row {
        return Err(JournalError::corrupt(format!("its version is {header} in one place and {row} in another")));
    }
    Ok(header)
}

fn pragma(connection: &Connection, name: &str) -> Result<u32, JournalError> {
    let value: i32 = connection.pragma_query_value(None, name, |row| row.get(0))?;
    Ok(value.cast_unsigned())
}

/// Over the definitions of all tables and indexes.
fn tables_sum(connection: &Connection) -> Result<u64, JournalError> {
    let mut statement =
        connection.prepare("SELECT type || char(0) || name || char(0) || ifnull(sql, '') FROM sqlite_schema ORDER BY name")?;
    let mut rows = statement.query([])?;
    let mut hasher = SipHasher13::new();
    while let Some(row) = rows.next()? {
        hasher.write(row.get::<_, String>(0)?.as_bytes());
        hasher.write_u8(0);
    }
    Ok(hasher.finish())
}

/// The one row of `meta`.
struct Meta {
    version: u32,
    tables_sum: u64,
    counters: Counters,
}

impl Stored for Meta {
    const TABLE: Table = Table { name: "meta", columns: "id, version, tables_sum, next_op, next_run, next_seq" };

    fn write(&self, cells: &mut Cells) {
        cells.number(1);
        cells.number(self.version.into());
        cells.number(self.tables_sum);
        cells.number(self.counters.next_op);
        cells.number(self.counters.next_run);
        cells.number(self.counters.next_seq);
    }

    fn read(values: &mut Values) -> Result<Meta, JournalError> {
        values.number()?;
        Ok(Meta {
            version: values.small_number()?,
            tables_sum: values.number()?,
            counters: Counters { next_op: values.number()?, next_run: values.number()?, next_seq: values.number()? },
        })
    }
}

fn meta(connection: &Connection) -> Result<Meta, JournalError> {
    fetch::<Meta>(connection, "", [])?.pop().ok_or_else(|| JournalError::corrupt("its counters are missing"))
}

fn put_meta(transaction: &Transaction<'_>, version: u32, counters: Counters) -> Result<(), JournalError> {
    put(transaction, &Meta { version, tables_sum: tables_sum(transaction)?, counters })
}

/// The next number of each sort.
pub(super) fn counters(connection: &Connection) -> Result<Counters, JournalError> {
    Ok(meta(connection)?.counters)
}

pub(super) fn put_counters(connection: &Connection, counters: Counters) -> Result<(), JournalError> {
    let meta = meta(connection)?;
    put(connection, &Meta { counters, ..meta })
}
