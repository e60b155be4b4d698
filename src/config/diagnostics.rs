//! What is wrong with a configuration, and how it is told.

use std::fmt::{self, Write as _};
use std::path::PathBuf;

/// Longer source lines are cut around the place that is meant.
const LINE_SHOWN_MAX: usize = 120;

/// Longer values are cut in messages.
const SHOWN_MAX: usize = 60;

/// Everything that is wrong, sorted by file and line. `Display` shows all of it, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
}

/// One error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file as it was named.
    pub file: PathBuf,
    /// Where in it; none for an error of the file as a whole.
    pub place: Option<Place>,
    /// What is wrong.
    pub message: String,
    /// What would mend it.
    pub hint: Option<String>,
}

/// A place in a file, with the line as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    /// The line, with secrets hidden.
    pub source: String,
}

impl Diagnostics {
    /// Takes errors that are already in order.
    pub(super) fn new(list: Vec<Diagnostic>) -> Diagnostics {
        Diagnostics { list }
    }

    /// The errors, sorted by file and line.
    #[must_use]
    pub fn list(&self) -> &[Diagnostic] {
        &self.list
    }
}

impl std::error::Error for Diagnostics {}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for diagnostic in &self.list {
            writeln!(f, "{diagnostic}")?;
        }
        match self.list.len() {
            1 => f.write_str("1 error"),
            count => write!(f, "{count} errors"),
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.file.display().to_string()))?;
        // Names out of the file stand in messages and hints.
        let message = printable(&self.message);
        match &self.place {
            None => write!(f, ": {message}")?,
            Some(place) => {
                write!(f, ":{}:{}: {message}", place.line, place.column)?;
                place.draw(f)?;
            }
        }
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {}", printable(hint)),
            None => Ok(()),
        }
    }
}

impl Place {
    fn draw(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let caret = (self.column as usize).saturating_sub(1).min(self.source.chars().count());
        let skipped = caret.saturating_sub(LINE_SHOWN_MAX * 2 / 3);
        let line: String = self.source.chars().skip(skipped).take(LINE_SHOWN_MAX).map(single_width).collect();
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let blank = if skipped > 0 { "… " } else { "" };
        write!(f, "\n  {number} | {blank}{}", line.trim_end())?;
        write!(f, "\n  {margin} | {}^", " ".repeat(caret - skipped + blank.chars().count()))
    }
}

/// A tab or control character would move what follows, so that the caret points elsewhere.
fn single_width(c: char) -> char {
    if c == '\t' {
        ' '
    } else if is_hostile(c) {
        '\u{fffd}'
    } else {
        c
    }
}

/// Control characters, and those that turn the direction of writing.
pub(super) fn is_hostile(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// A text with nothing in it that a terminal obeys.
pub(super) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hostile(c) {
            let _ = write!(shown, "{}", c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// A value in a message: in backticks, printable, and not too long.
pub(super) fn quoted(text: &str) -> String {
    let short = beginning(text);
    let more = if short.len() < text.len() { "…" } else { "" };
    format!("`{}{more}`", printable(short))
}

/// As much of a value as a message shows.
pub(super) fn beginning(text: &str) -> &str {
    let end = text.char_indices().nth(SHOWN_MAX).map_or(text.len(), |(at, _)| at);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnostic(column: u32, source: &str) -> Diagnostic {
        let place = Place { line: 12, column, source: source.to_owned() };
        Diagnostic { file: "a.yaml".into(), place: Some(place), message: "no".into(), hint: Some("yes".into()) }
    }

    #[test]
    fn names_in_messages_are_shown_printable() {
        let message = "`policy a\t\u{1b}[31m` must be a map".to_owned();
        let told = Diagnostic { file: "a.yaml".into(), place: None, message, hint: Some("give `a\u{202e}` a value".to_owned()) };
        assert_eq!(told.to_string(), "a.yaml: `policy a\\u{9}\\u{1b}[31m` must be a map\nhint: give `a\\u{202e}` a value");
    }

    #[test]
    fn the_caret_stands_under_the_place() {
        let all = Diagnostics::new(vec![diagnostic(10, "  splay: 5M")]);
        assert_eq!(all.to_string(), "a.yaml:12:10: no\n  12 |   splay: 5M\n     |          ^\nhint: yes\n1 error");
    }

    #[test]
    fn long_lines_are_cut_around_the_place() {
        let text = diagnostic(1001, &format!("{}X{}", "a".repeat(1000), "b".repeat(1000))).to_string();
        let lines: Vec<&str> = text.lines().collect();
        let caret = lines[2].chars().position(|c| c == '^').unwrap();
        assert_eq!(lines[1].chars().nth(caret), Some('X'));
        assert!(lines[1].chars().count() < 150);
    }

    #[test]
    fn nothing_that_a_terminal_obeys_is_printed() {
        let text = diagnostic(1, "a\u{1b}[31m\u{202e}\t").to_string();
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'));
        assert_eq!(quoted("a\u{1b}b"), "`a\\u{1b}b`");
    }
}
