//! Tables that get a column from one version to the next: their rows are proved by the old check sums, and get new ones.

use rusqlite::Connection;
use rusqlite::types::Value;

use super::super::JournalError;
use super::cells::{Table, check_sum, proved};

/// A table that gets one column, the last before `sum`, which is null in all the rows that there are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Widened {
    pub name: &'static str,
    /// The columns without `sum` before.
    pub before: &'static str,
}

/// What version 3 adds to the tables of version 2.
pub(super) const VERSION_3: &[Widened] = &[
    Widened {
        name: "creates",
        before: "op, seq, run, server, server_name, kind, policy, slot_policy, slot, hand_at, name, description, attempt, at, config, \
                 state, item, accepted_at, ended_seq, ended_at, error, gone_at, gone_by_us",
    },
    Widened {
        name: "deletes",
        before: "op, seq, run, server, server_name, kind, policy, item, item_name, item_created_at, due, extra, reason, at, config, \
                 state, ended_seq, ended_at, error",
    },
    Widened {
        name: "runs",
        before: "run, seq, server, server_name, kind, policy, cause, slot, at, ended_seq, ended_at, error, result, problems",
    },
];

/// What version 4 adds to those of version 3.
pub(super) const VERSION_4: &[Widened] = &[Widened {
    name: "deletes",
    before: "op, seq, run, server, server_name, kind, policy, item, item_name, item_created_at, due, extra, reason, at, config, \
             state, ended_seq, ended_at, error, policy_text",
}];

impl Widened {
    /// Proves the rows as the version before has written them, and returns the check sum that each has with the new column, by its row number.
    pub fn sums(self, connection: &Connection) -> Result<Vec<(i64, i64)>, JournalError> {
        let table = Table { name: self.name, columns: self.before };
        let mut statement = connection.prepare(&format!("SELECT rowid, {}, sum FROM {}", self.before, self.name))?;
        let mut rows = statement.query([])?;
        let mut sums = Vec::new();
        while let Some(row) = rows.next()? {
            let mut cells = proved(table, row, 1)?;
            cells.push(Value::Null);
            sums.push((row.get(0)?, check_sum(table, &cells)));
        }
        Ok(sums)
    }

    /// Writes the check sums.
    pub fn stamp(self, connection: &Connection, sums: &[(i64, i64)]) -> Result<(), JournalError> {
        let mut statement = connection.prepare(&format!("UPDATE {} SET sum = ?2 WHERE rowid = ?1", self.name))?;
        for sum in sums {
            statement.execute(*sum)?;
        }
        Ok(())
    }
}
