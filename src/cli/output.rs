//! What the commands write to stdout: JSON, and tables for people.

use std::fmt;
use std::io::{self, Write};

use serde::Serialize;

use crate::domain::fact::Target;
use crate::domain::inventory::ServerId;
use crate::domain::record::Subject;
use crate::telemetry::printable;

use super::exit::{Exit, Failure};

/// A server as the JSON shapes show it.
#[derive(Debug, Serialize)]
pub(super) struct ServerJson {
    id: u64,
    /// None where nobody has told it yet.
    name: Option<String>,
}

impl ServerJson {
    /// A server with its name; an empty one is not known.
    pub fn new(server: ServerId, name: &str) -> ServerJson {
        ServerJson { id: server.0, name: Some(name.to_owned()).filter(|name| !name.is_empty()) }
    }
}

impl From<&Target> for ServerJson {
    fn from(target: &Target) -> ServerJson {
        ServerJson { id: target.server.0, name: Some(target.server_name.to_string()).filter(|name| !name.is_empty()) }
    }
}

impl From<&Subject> for ServerJson {
    fn from(subject: &Subject) -> ServerJson {
        ServerJson { id: subject.server.0, name: Some(subject.server_name.to_string()).filter(|name| !name.is_empty()) }
    }
}

impl fmt::Display for ServerJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} ({})", self.id),
            None => write!(f, "{}", self.id),
        }
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

/// How a line stands out on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Color {
    /// Something failed.
    Red,
    /// Somebody should look.
    Yellow,
    /// A line of headings.
    Bold,
}

impl Color {
    fn start(self) -> &'static str {
        match self {
            Color::Red => "\x1b[31m",
            Color::Yellow => "\x1b[33m",
            Color::Bold => "\x1b[1m",
        }
    }
}

/// Lines of cells, each column as wide as its widest cell; two spaces between them.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    cells: Vec<String>,
    color: Option<Color>,
}

impl Table {
    /// With a line of headings.
    pub fn new(headings: &[&str]) -> Table {
        let mut table = Table::default();
        table.row_in(Some(Color::Bold), headings);
        table
    }

    /// Adds a line. What comes from outside is made safe to print.
    pub fn row<S: AsRef<str>>(&mut self, cells: &[S]) {
        self.row_in(None, cells);
    }

    /// Adds a line that stands out where colours are shown.
    pub fn row_in<S: AsRef<str>>(&mut self, color: Option<Color>, cells: &[S]) {
        let cells = cells.iter().map(|cell| printable(cell.as_ref()).into_owned()).collect();
        self.rows.push(Row { cells, color });
    }

    /// The text.
    pub fn render(&self) -> String {
        self.lines().map(|(line, _)| line + "\n").collect()
    }

    /// The text for a terminal that wants colours.
    pub fn render_in_color(&self) -> String {
        let line = |(line, color): (String, Option<Color>)| match color {
            Some(color) => format!("{}{line}\x1b[0m\n", color.start()),
            None => line + "\n",
        };
        self.lines().map(line).collect()
    }

    fn lines(&self) -> impl Iterator<Item = (String, Option<Color>)> {
        let columns = self.rows.iter().map(|row| row.cells.len()).max().unwrap_or(0);
        let width = |column: usize| self.rows.iter().filter_map(|row| row.cells.get(column)).map(|cell| cell.chars().count()).max();
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        self.rows.iter().map(move |row| {
            let cells: Vec<String> = row.cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            (cells.join("  ").trim_end().to_owned(), row.color)
        })
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
