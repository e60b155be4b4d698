//! Makes texts from outside safe to print: bounded, and without anything that moves the cursor or turns the reading direction.

/// The longest text of the provider that is kept for people.
pub(super) const MESSAGE_CHARS_MAX: usize = 200;

/// The text with control and bidirectional characters escaped, cut after `max` characters of the original.
pub(super) fn printable(text: &str, max: usize) -> String {
    let mut chars = text.chars();
    let mut safe = String::new();
    for c in chars.by_ref().take(max) {
        if is_tricky(c) {
            safe.extend(c.escape_unicode());
        } else {
            safe.push(c);
        }
    }
    if chars.next().is_some() {
        safe.push('…');
    }
    safe
}

/// Controls, line and paragraph separators, and the invisible characters that reorder or hide text.
fn is_tricky(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_moves_the_cursor() {
        assert_eq!(printable("ærlig\n\u{1b}[31m\u{202e}x", 99), "ærlig\\u{a}\\u{1b}[31m\\u{202e}x");
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(printable("ååå", 2), "åå…");
        assert_eq!(printable("åå", 2), "åå");
    }
}
