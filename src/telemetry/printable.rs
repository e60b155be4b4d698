//! Text from outside, made harmless for a terminal and a log.

use std::borrow::Cow;

/// The longest text, in characters, that [`printable`] lets through.
pub const PRINTABLE_LENGTH_MAX: usize = 200;

/// The text with everything escaped that could forge a line or mislead its reader, cut after [`PRINTABLE_LENGTH_MAX`] characters.
///
/// Escaped as `\u{1b}` are control characters (line ends and ESC among them), line and paragraph separators, and whatever changes the direction of
/// text or is not seen at all. A text that needs none of it is returned as it is.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    if text.len() <= PRINTABLE_LENGTH_MAX && !text.chars().any(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len().min(4 * PRINTABLE_LENGTH_MAX));
    let mut rest = text.chars();
    for c in rest.by_ref().take(PRINTABLE_LENGTH_MAX) {
        if is_harmful(c) { clean.extend(c.escape_unicode()) } else { clean.push(c) }
    }
    if rest.next().is_some() {
        clean.push('…');
    }
    Cow::Owned(clean)
}

/// Whether a character could forge a line or mislead its reader.
pub(super) fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}'      // unseen: soft hyphen, Arabic letter mark, vowel separator, byte order mark
            | '\u{200b}'..='\u{200f}'                           // unseen, and left-to-right and right-to-left marks
            | '\u{2028}'..='\u{202e}'                           // line and paragraph separators, embeddings and overrides
            | '\u{2060}'..='\u{206f}'                           // unseen, isolates
            | '\u{fff9}'..='\u{fffb}'                           // annotations
            | '\u{e0000}'..='\u{e007f}') // tags
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_text_is_left_alone() {
        for text in ["", "web-server-01", "Größe 5 % – ok", "日本語", "a \\ b \" c"] {
            assert!(matches!(printable(text), Cow::Borrowed(same) if same == text), "{text:?}");
        }
    }

    #[test]
    fn hostile_names_cannot_forge_lines_or_colours() {
        for (hostile, shown) in [
            ("web\nERROR all is lost", "web\\u{a}ERROR all is lost"),
            ("web\r\n", "web\\u{d}\\u{a}"),
            ("\u{1b}[31mred\u{1b}[0m", "\\u{1b}[31mred\\u{1b}[0m"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("a\u{202e}txt.exe", "a\\u{202e}txt.exe"),
            ("\u{2066}x\u{2069}\u{200e}\u{200f}", "\\u{2066}x\\u{2069}\\u{200e}\\u{200f}"),
            ("a\u{2028}b\0\u{7f}", "a\\u{2028}b\\u{0}\\u{7f}"),
        ] {
            assert_eq!(printable(hostile), shown);
        }
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        let exact = "é".repeat(PRINTABLE_LENGTH_MAX);
        assert_eq!(printable(&exact), exact);
        assert_eq!(printable(&format!("{exact}é")), format!("{exact}…"));
    }

    proptest! {
        #[test]
        fn nothing_harmful_is_left(text in any::<String>()) {
            let shown = printable(&text).into_owned();
            prop_assert!(!shown.chars().any(is_harmful));
            prop_assert!(shown.chars().count() <= 10 * PRINTABLE_LENGTH_MAX + 1);
        }
    }
}
