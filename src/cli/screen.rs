//! Something that is shown anew again and again: in place on a terminal, one block after the other elsewhere.

use std::io::{self, IsTerminal};

use super::exit::Failure;
use super::output;

/// Another screen, without a cursor, that cuts what is too wide.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";
/// To the upper left corner; what is written over is cleared line by line, so that nothing flickers.
const HOME: &str = "\x1b[H";
const CLEAR_LINE_END: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

const ROWS_DEFAULT: usize = 24;

/// Where it is shown. A terminal gets its own screen back at the end.
pub(super) struct Screen {
    is_terminal: bool,
    blocks: u64,
}

impl Screen {
    /// On stdout.
    pub fn begin() -> Screen {
        let term = std::env::var_os("TERM");
        let is_terminal = io::stdout().is_terminal() && term.is_some_and(|term| term != "dumb");
        if is_terminal {
            // If that fails, so does what is shown.
            drop(output::write(ENTER));
        }
        Screen { is_terminal, blocks: 0 }
    }

    /// Shows a text in the place of the last one.
    pub fn show(&mut self, text: &str) -> Result<(), Failure> {
        self.blocks += 1;
        if self.is_terminal {
            let rows = rustix::termios::tcgetwinsize(io::stdout()).map_or(0, |size| usize::from(size.ws_row));
            // Some terminals do not know how large they are.
            return output::write(&redraw(text, if rows == 0 { ROWS_DEFAULT } else { rows }));
        }
        if self.blocks > 1 { output::write(&format!("\n{text}")) } else { output::write(text) }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.is_terminal {
            drop(output::write(LEAVE));
        }
    }
}

/// As many lines as there is room for; the last one then says how many are not shown.
fn redraw(text: &str, rows: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let (shown, more) = if lines.len() > rows { lines.split_at(rows.saturating_sub(1)) } else { (&lines[..], &[][..]) };
    let mut shown: Vec<String> = shown.iter().map(|line| (*line).to_owned()).collect();
    if !more.is_empty() {
        shown.push(format!("… {}", output::count(more.len(), "more line", "more lines")));
    }
    format!("{HOME}{}{CLEAR_LINE_END}{CLEAR_BELOW}", shown.join(&format!("{CLEAR_LINE_END}\r\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_too_long_says_how_much_is_missing() {
        assert_eq!(redraw("a\nb\n", 2), "\u{1b}[Ha\u{1b}[K\r\nb\u{1b}[K\u{1b}[J");
        assert_eq!(redraw("a\nb\nc\n", 2), "\u{1b}[Ha\u{1b}[K\r\n… 2 more lines\u{1b}[K\u{1b}[J");
        assert_eq!(redraw("a\nb\n", 1), "\u{1b}[H… 2 more lines\u{1b}[K\u{1b}[J");
    }
}
