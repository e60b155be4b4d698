//! What the commands write to stdout: JSON, and tables for people.

use std::io::{self, Write};

use serde::Serialize;

use crate::domain::fact::Target;
use crate::telemetry::printable;

use super::exit::{Exit, Failure};

/// A server as the JSON shapes show it.
#[derive(Debug, Serialize)]
pub(super) struct ServerJson {
    id: u64,
    /// None where nobody has told it yet.
    name: Option<String>,
}

impl From<&Target> for ServerJson {
    fn from(target: &Target) -> ServerJson {
        ServerJson { id: target.server.0, name: Some(target.server_name.to_string()).filter(|name| !name.is_empty()) }
    }
}

/// Writes JSON to stdout.
pub(super) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::new(Exit::Failed, format!("snapwarden: {error}")))?;
    write(&format!("{text}\n"))
}

/// Writes text to stdout. That nobody reads it any more (`| head`) is no failure.
pub(super) fn write(text: &str) -> Result<(), Failure> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::Failed, format!("snapwarden: failed to write the output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Lines of cells, each column as wide as its widest cell; two spaces between them.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With a line of headings.
    pub fn new(headings: &[&str]) -> Table {
        Table { rows: vec![headings.iter().map(|heading| (*heading).to_owned()).collect()] }
    }

    /// Adds a line. What comes from outside is made safe to print.
    pub fn row<S: AsRef<str>>(&mut self, cells: &[S]) {
        self.rows.push(cells.iter().map(|cell| printable(cell.as_ref()).into_owned()).collect());
    }

    /// The text.
    pub fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            text.push_str(cells.join("  ").trim_end());
            text.push('\n');
        }
        text
    }
}

/// Numbers, separated by commas; a dash for none.
pub(super) fn list<T: ToString>(items: &[T]) -> String {
    if items.is_empty() {
        return "-".to_owned();
    }
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// A number with its noun, in the singular for one.
pub(super) fn count(number: usize, singular: &str, plural: &str) -> String {
    format!("{number} {}", if number == 1 { singular } else { plural })
}
