//! Rows as SQLite sees them: a list of values and their check sum.
//!
//! SQLite notices a broken page but not a changed letter within a value; the check sum does (F71).

use std::hash::Hasher;
use std::str::FromStr;

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, Params, Row, params_from_iter};
use siphasher::sip::SipHasher13;

use super::super::JournalError;

/// A table whose last column is `sum`, over all the others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table {
    pub name: &'static str,
    /// The columns without `sum`, separated by `, `.
    pub columns: &'static str,
}

/// A row type with a table of its own.
pub(super) trait Stored: Sized {
    const TABLE: Table;
    fn write(&self, cells: &mut Cells);
    fn read(values: &mut Values) -> Result<Self, JournalError>;
}

/// Writes a row, in place of an earlier one with the same key.
pub(super) fn put<T: Stored>(connection: &Connection, row: &T) -> Result<(), JournalError> {
    insert(connection, row, "REPLACE")
}

/// Writes a row unless there is one with the same key.
pub(super) fn put_first<T: Stored>(connection: &Connection, row: &T) -> Result<(), JournalError> {
    insert(connection, row, "IGNORE")
}

fn insert<T: Stored>(connection: &Connection, row: &T, otherwise: &str) -> Result<(), JournalError> {
    let Table { name, columns } = T::TABLE;
    let mut cells = Cells(Vec::new());
    row.write(&mut cells);
    let sum = check_sum(T::TABLE, &cells.0);
    cells.0.push(Value::Integer(sum));
    let marks = vec!["?"; cells.0.len()].join(", ");
    let sql = format!("INSERT OR {otherwise} INTO {name} ({columns}, sum) VALUES ({marks})");
    connection.prepare_cached(&sql)?.execute(params_from_iter(cells.0))?;
    Ok(())
}

/// Writes a row as the version did that had these columns alone, the first of all.
#[cfg(test)]
pub(super) fn put_narrow<T: Stored>(connection: &Connection, row: &T, columns: &'static str) {
    let table = Table { name: T::TABLE.name, columns };
    let mut cells = Cells(Vec::new());
    row.write(&mut cells);
    cells.0.truncate(columns.split(',').count());
    let sum = check_sum(table, &cells.0);
    cells.0.push(Value::Integer(sum));
    let marks = vec!["?"; cells.0.len()].join(", ");
    connection.execute(&format!("INSERT INTO {} ({columns}, sum) VALUES ({marks})", table.name), params_from_iter(cells.0)).unwrap();
}

/// Reads the rows that `clause` (from `WHERE` on) chooses, in its order, and proves each by its check sum.
pub(super) fn fetch<T: Stored>(connection: &Connection, clause: &str, params: impl Params) -> Result<Vec<T>, JournalError> {
    let mut rows = Vec::new();
    for_each(connection, clause, params, |row| {
        rows.push(row);
        true
    })?;
    Ok(rows)
}

/// Like [`fetch`], one row at a time, until `visit` says that it is enough (`false`).
pub(super) fn for_each<T: Stored>(
    connection: &Connection,
    clause: &str,
    params: impl Params,
    mut visit: impl FnMut(T) -> bool,
) -> Result<(), JournalError> {
    let Table { name, columns } = T::TABLE;
    let mut statement = connection.prepare_cached(&format!("SELECT {columns}, sum FROM {name} {clause}"))?;
    let mut rows = statement.query(params)?;
    while let Some(row) = rows.next()? {
        if !visit(read_row(row)?) {
            break;
        }
    }
    Ok(())
}

/// Proves every row of a table.
pub(super) fn verify<T: Stored>(connection: &Connection) -> Result<(), JournalError> {
    for_each(connection, "", [], |_: T| true)
}

fn read_row<T: Stored>(row: &Row<'_>) -> Result<T, JournalError> {
    T::read(&mut Values { table: T::TABLE, cells: proved(T::TABLE, row, 0)?.into_iter() })
}

/// The values of a row from the column `first` on, if they match the check sum that stands behind them.
pub(super) fn proved(table: Table, row: &Row<'_>, first: usize) -> Result<Vec<Value>, JournalError> {
    let count = row.as_ref().column_count();
    let mut cells = (first..count).map(|index| row.get(index)).collect::<Result<Vec<Value>, _>>()?;
    let stored = cells.pop();
    if stored == Some(Value::Integer(check_sum(table, &cells))) {
        return Ok(cells);
    }
    Err(JournalError::corrupt(format!("a row of {} does not match its check sum", table.name)))
}

/// SipHash-1-3 with the key zero over the table's name and each value with its type and length.
pub(super) fn check_sum(table: Table, cells: &[Value]) -> i64 {
    let mut hasher = SipHasher13::new();
    hash_bytes(&mut hasher, b'n', table.name.as_bytes());
    for cell in cells {
        match cell {
            Value::Null => hash_bytes(&mut hasher, b'0', b""),
            Value::Integer(number) => hash_bytes(&mut hasher, b'i', &number.to_le_bytes()),
            Value::Real(number) => hash_bytes(&mut hasher, b'r', &number.to_le_bytes()),
            Value::Text(text) => hash_bytes(&mut hasher, b't', text.as_bytes()),
            Value::Blob(bytes) => hash_bytes(&mut hasher, b'b', bytes),
        }
    }
    hasher.finish().cast_signed()
}

fn hash_bytes(hasher: &mut SipHasher13, tag: u8, bytes: &[u8]) {
    hasher.write(&[tag]);
    hasher.write(&(bytes.len() as u64).to_le_bytes());
    hasher.write(bytes);
}

/// A time as text that sorts like the time: RFC 3339 in UTC with nine decimals.
pub(super) fn time_text(time: Timestamp) -> String {
    format!("{time:.9}")
}

/// The values of a row that is being written, in the order of the table's columns.
pub(super) struct Cells(Vec<Value>);

impl Cells {
    /// The bits of the number, for SQLite's are signed.
    pub fn number(&mut self, number: u64) {
        self.0.push(Value::Integer(number.cast_signed()));
    }

    pub fn number_or_null(&mut self, number: Option<u64>) {
        self.0.push(number.map_or(Value::Null, |number| Value::Integer(number.cast_signed())));
    }

    pub fn flag_or_null(&mut self, flag: Option<bool>) {
        self.number_or_null(flag.map(u64::from));
    }

    pub fn text(&mut self, text: &str) {
        self.0.push(Value::Text(text.to_owned()));
    }

    pub fn text_or_null(&mut self, text: Option<&str>) {
        self.0.push(text.map_or(Value::Null, |text| Value::Text(text.to_owned())));
    }

    pub fn time(&mut self, time: Timestamp) {
        self.0.push(Value::Text(time_text(time)));
    }

    pub fn time_or_null(&mut self, time: Option<Timestamp>) {
        self.0.push(time.map_or(Value::Null, |time| Value::Text(time_text(time))));
    }
}

/// The values of a row that is being read, in the order of the table's columns.
pub(super) struct Values {
    table: Table,
    cells: std::vec::IntoIter<Value>,
}

impl Values {
    pub fn number(&mut self) -> Result<u64, JournalError> {
        self.number_or_null()?.ok_or_else(|| self.wrong("a number is missing"))
    }

    pub fn number_or_null(&mut self) -> Result<Option<u64>, JournalError> {
        match self.cells.next() {
            Some(Value::Integer(number)) => Ok(Some(number.cast_unsigned())),
            Some(Value::Null) => Ok(None),
            other => Err(self.wrong(&format!("{other:?} is not a number"))),
        }
    }

    pub fn small_number(&mut self) -> Result<u32, JournalError> {
        let number = self.number()?;
        u32::try_from(number).map_err(|_| self.wrong(&format!("{number} is too large")))
    }

    pub fn flag(&mut self) -> Result<bool, JournalError> {
        Ok(self.number()? != 0)
    }

    pub fn flag_or_null(&mut self) -> Result<Option<bool>, JournalError> {
        Ok(self.number_or_null()?.map(|number| number != 0))
    }

    pub fn text(&mut self) -> Result<Box<str>, JournalError> {
        self.text_or_null()?.ok_or_else(|| self.wrong("a text is missing"))
    }

    pub fn text_or_null(&mut self) -> Result<Option<Box<str>>, JournalError> {
        match self.cells.next() {
            Some(Value::Text(text)) => Ok(Some(text.into())),
            Some(Value::Null) => Ok(None),
            other => Err(self.wrong(&format!("{other:?} is not a text"))),
        }
    }

    pub fn time(&mut self) -> Result<Timestamp, JournalError> {
        self.time_or_null()?.ok_or_else(|| self.wrong("a time is missing"))
    }

    pub fn time_or_null(&mut self) -> Result<Option<Timestamp>, JournalError> {
        match self.text_or_null()? {
            None => Ok(None),
            Some(text) => Timestamp::from_str(&text).map(Some).map_err(|_| self.wrong(&format!("{text:?} is not a time"))),
        }
    }

    /// A text that `read` understands.
    pub fn word<T>(&mut self, read: impl FnOnce(&str) -> Option<T>) -> Result<T, JournalError> {
        let text = self.text()?;
        read(&text).ok_or_else(|| self.wrong(&format!("{text:?} is not known")))
    }

    pub fn wrong(&self, detail: &str) -> JournalError {
        JournalError::corrupt(format!("table {}: {detail}", self.table.name))
    }
}
