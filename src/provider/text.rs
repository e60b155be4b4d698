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

/// What stands where the token stood.
const HIDDEN: &str = "[token]";

/// A shorter beginning of the token is not looked for.
const BEGINNING_CHARS_MIN: usize = 4;

/// Takes the token out of a text: some servers send back what they were sent. Also where [`printable`] has cut the text within it.
pub(super) fn without_token(text: &str, token: &str) -> String {
    let quoted = token.escape_debug().to_string();
    let mut clean = text.replace(token, HIDDEN).replace(&quoted, HIDDEN);
    let Some(start) = clean.strip_suffix('…') else { return clean };
    let beginnings = (BEGINNING_CHARS_MIN..token.len()).rev().filter_map(|length| token.get(..length));
    if let Some(kept) = beginnings.into_iter().find_map(|beginning| start.strip_suffix(beginning)) {
        clean = format!("{kept}{HIDDEN}…");
    }
    clean
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
    fn the_token_is_taken_out_whole_or_cut() {
        assert_eq!(without_token("you sent Bearer vps_abcd, vps_abcd", "vps_abcd"), "you sent Bearer [token], [token]");
        assert_eq!(without_token(r#"string "a\"b\\cd""#, r#"a"b\cd"#), r#"string "[token]""#);
        for max in 0..=30 {
            let text = without_token(&printable("you sent vps_0123456789abcdef", max), "vps_0123456789abcdef");
            assert!(!text.contains("vps_"), "{text}");
        }
        assert_eq!(without_token("nothing…", "vps_abcd"), "nothing…");
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(printable("ååå", 2), "åå…");
        assert_eq!(printable("åå", 2), "åå");
    }
}
