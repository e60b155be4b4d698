//! Keeps what stands under `token`, `password` or `secret` out of every diagnostic.
//!
//! The text is searched line by line, so that it also works for a file that is not valid YAML; the tree adds keys that were written in an unusual way. It
//! rather hides too much than too little: only what a message shows is lost.

use super::diagnostics::{beginning, printable};
use super::tree::{Node, Span, Value};

/// What stands in the place of a hidden value.
pub(super) const HIDDEN: &str = "***";

/// Secret texts shorter than this are not searched for elsewhere: they would be found in ordinary words.
const SCRUBBED_LENGTH_MIN: usize = 6;

/// Keys of the contract that look like a secret's but are none.
const HARMLESS: [&str; 2] = ["token_file", "token_env"];

const EXACT: [&str; 3] = ["token", "password", "secret"];

const TELLING: [&str; 12] = [
    "token",
    "passw",
    "passphrase",
    "secret",
    "apikey",
    "api_key",
    "api-key",
    "credential",
    "bearer",
    "authorization",
    "private_key",
    "pwd",
];

/// Whether what stands under `token_env` looks like a variable's name. Anything else may be the token itself.
fn is_variable(value: &str) -> bool {
    value.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

/// Whether values under this key are never shown.
pub(super) fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    !HARMLESS.contains(&key.as_str()) && (TELLING.iter().any(|word| key.contains(word)) || is_misspelt(&key))
}

pub(super) fn is_exact(key: &str) -> bool {
    EXACT.iter().any(|word| key.eq_ignore_ascii_case(word))
}

fn is_misspelt(key: &str) -> bool {
    let edits_max = |word: &str| if word.len() > 6 { 2 } else { 1 };
    EXACT
        .iter()
        .chain(["passwd", "passphrase"].iter())
        .any(|word| key.len().abs_diff(word.len()) <= 2 && strsim::osa_distance(key, word) <= edits_max(word))
}

/// Which parts of one file's text are hidden.
#[derive(Debug)]
pub(super) struct Mask {
    /// For each line, the character from which on it is hidden.
    from: Vec<Option<usize>>,
    secrets: Vec<String>,
}

impl Mask {
    /// Finds what is to be hidden in a text, and in the tree if it could be parsed.
    pub fn new(text: &str, tree: Option<&Node>) -> Mask {
        let mut mask = Mask { from: vec![None; text.lines().count()], secrets: Vec::new() };
        mask.scan(text);
        if let Some(root) = tree {
            mask.walk(root, false);
        }
        // Messages show values in these forms.
        let told: Vec<String> = mask.secrets.iter().flat_map(|secret| [printable(secret), printable(beginning(secret))]).collect();
        mask.secrets.extend(told);
        mask.secrets.retain(|secret| secret.len() >= SCRUBBED_LENGTH_MIN);
        mask.secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        mask.secrets.dedup();
        mask
    }

    /// The line (from 1) as it may be shown.
    pub fn line(&self, number: u32, line: &str) -> String {
        let index = (number as usize).saturating_sub(1);
        match self.from.get(index).copied().flatten() {
            Some(from) => self.scrub(&line.chars().take(from).collect::<String>()) + HIDDEN,
            None => self.scrub(line),
        }
    }

    /// Whether a part of the line (from 1) is hidden.
    pub fn hides(&self, number: u32) -> bool {
        self.from.get((number as usize).saturating_sub(1)).copied().flatten().is_some()
    }

    /// The text without the secrets of this file.
    pub fn scrub(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, HIDDEN))
    }

    fn hide(&mut self, index: usize, from: usize) {
        if let Some(entry) = self.from.get_mut(index) {
            *entry = Some(entry.map_or(from, |before| before.min(from)));
        }
    }

    fn scan(&mut self, text: &str) {
        let mut open = Open::Nothing;
        for (index, line) in text.lines().enumerate() {
            if open.covers(line) {
                self.hide(index, 0);
                self.remember(line);
                open = open.after(line);
                continue;
            }
            open = Open::Nothing;
            if let Some(found) = find_secret(line) {
                self.hide(index, found.from);
                // What a remark says are mostly ordinary words, which must not vanish from all messages.
                if !is_in_remark(line, found.from) {
                    self.remember(found.value);
                }
                open = found.open;
            }
        }
    }

    fn remember(&mut self, value: &str) {
        let value = value.trim();
        let bare = value.trim_matches(|c: char| c.is_whitespace() || "\"'{}[],|>-&!*".contains(c));
        let before_comment = bare.split(" #").next().unwrap_or(bare).trim_matches(|c: char| c.is_whitespace() || "\"'{}[],".contains(c));
        let first = bare.split([',', '}', '"', '\'']).next().unwrap_or(bare).trim();
        self.secrets.extend([value, bare, before_comment, first].map(str::to_owned));
    }

    fn walk(&mut self, node: &Node, hidden: bool) {
        match &node.value {
            Value::Map(map) => {
                for (key, value) in &map.entries {
                    self.walk(value, hidden || hides_value(&key.name, value));
                }
            }
            Value::List(list) => list.iter().for_each(|value| self.walk(value, hidden)),
            Value::Text(text) if hidden => {
                self.hide_span(node.span);
                self.secrets.push(text.clone());
                self.secrets.extend(text.lines().map(str::to_owned));
            }
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) if hidden => self.hide_span(node.span),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) => {}
        }
    }

    fn hide_span(&mut self, span: Span) {
        self.hide((span.line as usize).saturating_sub(1), (span.column as usize).saturating_sub(1));
    }
}

/// A policy may well be called `token-server`: only the exact words hide whole maps.
fn hides_value(key: &str, value: &Node) -> bool {
    let is_no_variable = key == "token_env" && !value.as_text().is_some_and(is_variable);
    is_exact(key) || is_no_variable || (is_secret(key) && value.as_map().is_none())
}

/// What goes on in the lines after a secret key.
#[derive(Debug, Clone, Copy)]
enum Open {
    Nothing,
    /// Lines indented more than this belong to the value.
    Deeper(usize),
    /// Everything up to the next line with something on it, then as `Deeper`.
    Next(usize),
    /// Everything up to the line with this quote.
    Quote(char, usize),
}

impl Open {
    fn covers(self, line: &str) -> bool {
        match self {
            Open::Nothing => false,
            Open::Deeper(indent) => line.trim().is_empty() || indent_of(line) > indent,
            Open::Next(_) | Open::Quote(..) => true,
        }
    }

    fn after(self, line: &str) -> Open {
        match self {
            Open::Next(indent) if !line.trim().is_empty() => Open::Deeper(indent),
            Open::Quote(quote, indent) if line.contains(quote) => Open::Deeper(indent),
            open => open,
        }
    }
}

struct Found<'a> {
    from: usize,
    value: &'a str,
    open: Open,
}

fn indent_of(line: &str) -> usize {
    line.chars().take_while(|c| c.is_whitespace()).count()
}

/// The first secret on a line: what stands before the `@` of a URL, or a secret key's value.
fn find_secret(line: &str) -> Option<Found<'_>> {
    let indent = indent_of(line);
    let in_key = find_secret_key(line, indent);
    match find_credentials(line) {
        Some(found) if in_key.as_ref().is_none_or(|key| found.from < key.from) => Some(found),
        _ => in_key,
    }
}

fn is_in_remark(line: &str, from: usize) -> bool {
    let before: String = line.chars().take(from).collect();
    before.trim_start().starts_with('#') || before.contains(" #")
}

fn find_credentials(line: &str) -> Option<Found<'_>> {
    let start = line.find("://")? + 3;
    let host_end = line[start..].find(|c: char| c.is_whitespace() || "/?#\"'".contains(c)).map_or(line.len(), |at| start + at);
    let length = line[start..host_end].rfind('@')?;
    Some(Found { from: line[..start].chars().count(), value: &line[start..start + length], open: Open::Nothing })
}

fn find_secret_key(line: &str, indent: usize) -> Option<Found<'_>> {
    if let Some(key) = line.trim().strip_prefix('?')
        && is_secret(key.trim().trim_matches(['"', '\'']))
    {
        return Some(Found { from: line.chars().count(), value: "", open: Open::Next(indent) });
    }
    for (at, separator) in line.char_indices().filter(|(_, c)| matches!(c, ':' | '=')) {
        let key = key_before(&line[..at]);
        let rest = &line[at + separator.len_utf8()..];
        let value = rest.trim();
        let first = value.split(|c: char| c.is_whitespace() || ",}\"'".contains(c)).find(|word| !word.is_empty()).unwrap_or_default();
        if !is_secret(key) && (key != "token_env" || is_variable(first)) {
            continue;
        }
        if !is_exact(key) && (value.is_empty() || value.starts_with('{')) {
            continue;
        }
        let from = line[..at].chars().count() + 1 + indent_of(rest);
        return Some(Found { from, value, open: open_after(value, indent) });
    }
    None
}

fn key_before(text: &str) -> &str {
    let text = text.trim_end().trim_end_matches(['"', '\'']);
    let start = text
        .rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'))
        .map_or(0, |at| at + text[at..].chars().next().map_or(1, char::len_utf8));
    &text[start..]
}

fn open_after(value: &str, indent: usize) -> Open {
    match value.chars().next() {
        None | Some('#') => Open::Next(indent),
        Some(quote @ ('"' | '\'')) if !value[1..].contains(quote) => Open::Quote(quote, indent),
        Some(_) => Open::Deeper(indent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let mask = Mask::new(text, None);
        text.lines().zip(1..).map(|(line, number)| mask.line(number, line) + "\n").collect()
    }

    #[test]
    fn values_are_hidden_however_they_are_written() {
        for text in [
            "token: hunter2hunter2",
            "token:    'hunter2hunter2'",
            "\"token\": hunter2hunter2",
            "  - {id: 1, password: hunter2hunter2, x: 1}",
            "token: |\n  hunter2hunter2\n  hunter2hunter2",
            "token:\n  hunter2hunter2",
            "a: {token:\nhunter2hunter2}",
            "a: {token: \"\nhunter2hunter2\n\"}",
            "? token\n: hunter2hunter2",
            "# token: hunter2hunter2",
            "token: hunter2hunter2: [",
            "api_token: hunter2hunter2",
            "tokn: hunter2hunter2",
            "paswd: hunter2hunter2",
            "TOKEN=hunter2hunter2",
            "a: 1 # the token: hunter2hunter2",
            "token: hunter2hunter2\nother: hunter2hunter2",
            "url: https://me:hunter2hunter2@example.org/",
        ] {
            assert!(!shown(text).contains("hunter2"), "{text:?} shows {:?}", shown(text));
        }
    }

    #[test]
    fn ordinary_lines_stay() {
        for text in [
            "owner: prod\n",
            "token_file: token\n",
            "  token_env: VPSORG_TOKEN\n",
            "policies:\n  token-server:\n    snapshots: {splay: 1m}\n",
            "- {id: 1, name: taken, policy: web}\n",
        ] {
            assert_eq!(shown(text), text);
        }
        assert_eq!(shown("token: hunter2hunter2\nowner: prod\n"), "token: ***\nowner: prod\n");
    }

    #[test]
    fn the_tree_finds_keys_that_the_text_does_not_show() {
        let text = "\"tok\\u0065n\": hunter2hunter2\n";
        let (tree, _) = super::super::tree::parse(text, 0).unwrap();
        let mask = Mask::new(text, Some(&tree));
        assert!(!mask.line(1, text).contains("hunter2"));
        assert_eq!(mask.scrub("say hunter2hunter2"), "say ***");
    }
}
