//! What the commands write to stdout: JSON, and tables for people.

use std::fmt;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use serde::Serialize;
use unicode_width::UnicodeWidthStr;

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
    write(&json_text(value)?)
}

/// JSON, with the end of its last line.
pub(super) fn json_text(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::new(Exit::Failed, format!("snapwarden: {error}")))?;
    Ok(text + "\n")
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

/// How something stands out on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Color {
    /// Something failed.
    Red,
    /// Somebody should look.
    Yellow,
    /// Something is made.
    Green,
    /// Of no great matter.
    Faint,
    /// A line of headings.
    Bold,
}

impl Color {
    fn style(self) -> Style {
        match self {
            Color::Red => AnsiColor::Red.on_default(),
            Color::Yellow => AnsiColor::Yellow.on_default(),
            Color::Green => AnsiColor::Green.on_default(),
            Color::Faint => Style::new().dimmed(),
            Color::Bold => Style::new().bold(),
        }
    }
}

/// The text in a colour, where `shown`.
pub(super) fn paint(text: &str, color: Color, shown: bool) -> String {
    let style = color.style();
    if shown { format!("{style}{text}{style:#}") } else { text.to_owned() }
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
        self.draw(false)
    }

    /// The text for a terminal that wants colours.
    pub fn render_in_color(&self) -> String {
        self.draw(true)
    }

    /// The text, with colours where `color`.
    pub fn draw(&self, color: bool) -> String {
        let line = |(line, of): (String, Option<Color>)| of.map_or(line.clone(), |of| paint(&line, of, color)) + "\n";
        self.lines().map(line).collect()
    }

    fn lines(&self) -> impl Iterator<Item = (String, Option<Color>)> {
        let columns = self.rows.iter().map(|row| row.cells.len()).max().unwrap_or(0);
        let width = |column: usize| self.rows.iter().filter_map(|row| row.cells.get(column)).map(|cell| cell.width()).max();
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        self.rows.iter().map(move |row| {
            // A character may take two columns, or none.
            let cell = |(cell, width): (&String, &usize)| cell.clone() + &" ".repeat(width.saturating_sub(cell.width()));
            let cells: Vec<String> = row.cells.iter().zip(&widths).map(cell).collect();
            (cells.join("  ").trim_end().to_owned(), row.color)
        })
    }
}

/// How long ago a time was, or in how long it will be, in the largest unit that fits: `3 h ago`, `in 5 h`, `now`.
pub(super) fn ago(time: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(time.as_second());
    let span = match seconds.unsigned_abs() {
        0 => return "now".to_owned(),
        seconds @ ..90 => format!("{seconds} s"),
        seconds @ ..5_400 => format!("{} min", seconds / 60),
        seconds @ ..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    };
    if seconds > 0 { format!("{span} ago") } else { format!("in {span}") }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stay_in_line_whatever_stands_in_them() {
        let mut table = Table::new(&["NAME", "NEXT"]);
        for name in ["web-01", "日本語", "Größe", "e\u{301}te\u{301}", "🦀", "a\u{202e}b\u{1b}[31m", ""] {
            table.row(&[name, "|"]);
        }
        let text = table.render();
        let columns: Vec<usize> = text.lines().skip(1).map(|line| line.split('|').next().unwrap().width()).collect();
        assert_eq!(columns, [columns[0]; 7], "{text}");
        assert!(text.contains("a\\u{202e}b\\u{1b}[31m") && !text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn colours_change_nothing_but_the_colour() {
        let mut table = Table::new(&["A", "B"]);
        table.row(&["1", "plain"]);
        table.row_in(Some(Color::Red), &["2", "red"]);
        assert_eq!(table.render(), "A  B\n1  plain\n2  red\n");
        assert_eq!(table.render_in_color(), "\u{1b}[1mA  B\u{1b}[0m\n1  plain\n\u{1b}[31m2  red\u{1b}[0m\n");
    }

    #[test]
    fn times_are_told_from_now() {
        let told = |seconds: i64| ago(Timestamp::from_second(1_000_000 - seconds).unwrap(), Timestamp::from_second(1_000_000).unwrap());
        for (seconds, text) in [
            (0, "now"),
            (1, "1 s ago"),
            (89, "89 s ago"),
            (90, "1 min ago"),
            (5_399, "89 min ago"),
            (5_400, "1 h ago"),
            (3 * 3_600 + 3_599, "3 h ago"),
            (172_799, "47 h ago"),
            (172_800, "2 d ago"),
            (-5 * 3_600, "in 5 h"),
            (-30, "in 30 s"),
            (-864_000, "in 10 d"),
        ] {
            assert_eq!(told(seconds), text, "{seconds}");
        }
    }
}
