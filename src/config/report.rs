//! Collects what is wrong and reads the simple types: each reader tells its own errors and gives nothing then, so that reading goes on.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::domain::globs::Globs;

use super::diagnostics::quoted;
use super::duration;
use super::mask;
use super::tree::{Key, Map, Node, Span, Value};

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    findings: Vec<Finding>,
    told: usize,
    seen: BTreeSet<(Span, String)>,
    warnings: Vec<(Span, String)>,
}

/// One error and its place.
#[derive(Debug)]
pub(super) struct Finding {
    pub at: Span,
    pub message: String,
    pub hint: Option<String>,
}

/// A map whose keys are known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'n> {
    map: &'n Map,
    /// Where to point when a key is missing.
    pub at: Span,
}

/// One of the keys: its name, and its value if it is there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'n> {
    pub name: &'n str,
    pub node: Option<&'n Node>,
}

impl<'n> Fields<'n> {
    /// A key's value.
    pub fn get(&self, name: &'n str) -> Field<'n> {
        Field { name, node: self.map.get(name) }
    }

    /// A key's value with the key's place.
    pub fn entry(&self, name: &str) -> Option<(&'n Key, &'n Node)> {
        self.map.entry(name).map(|(key, node)| (key, node))
    }

    /// Where to point for a key: at its value, or at the map it is missing in.
    pub fn span(&self, name: &str) -> Span {
        self.map.get(name).map_or(self.at, |node| node.span)
    }
}

impl Report {
    /// Records an error. The same one at the same place counts once: values from `defaults` are read for every policy.
    pub fn error(&mut self, at: Span, message: impl Into<String>) {
        self.push(at, message.into(), None);
    }

    /// Records an error with what would mend it.
    pub fn error_hint(&mut self, at: Span, message: impl Into<String>, hint: impl Into<String>) {
        self.push(at, message.into(), Some(hint.into()));
    }

    /// Records something that is odd but allowed.
    pub fn warn(&mut self, at: Span, message: impl Into<String>) {
        self.warnings.push((at, message.into()));
    }

    /// How often an error was told so far, repeated ones included. It grows exactly when what was just read is wrong.
    pub fn count(&self) -> usize {
        self.told
    }

    /// The errors and the warnings.
    pub fn into_parts(self) -> (Vec<Finding>, Vec<(Span, String)>) {
        (self.findings, self.warnings)
    }

    fn push(&mut self, at: Span, message: String, hint: Option<String>) {
        self.told += 1;
        if self.seen.insert((at, message.clone())) {
            self.findings.push(Finding { at, message, hint });
        }
    }

    /// A value of the wrong type. Says what was found, but not its text.
    pub fn wrong_type(&mut self, name: &str, node: &Node, expected: &str) {
        let message = format!("`{name}` must be {expected}, found {}", node.kind());
        match (&node.value, expected) {
            (Value::Null, _) => self.error_hint(node.span, message, format!("give `{name}` a value or leave it out")),
            (Value::Int(_) | Value::Float(_) | Value::Bool(_), "text") => {
                self.error_hint(node.span, message, "put it in quotes if it is meant as text");
            }
            (Value::Text(_), "a whole number" | "a number") => {
                self.error_hint(node.span, message, "write a number without quotes and without a unit")
            }
            (Value::Text(_), "true or false") => self.error_hint(node.span, message, "write `true` or `false`, without quotes"),
            _ => self.error(node.span, message),
        }
    }

    /// A map of which every key is known. `at` is where to point when a key is missing.
    pub fn fields<'n>(&mut self, name: &str, node: &'n Node, at: Span, known: &[&str]) -> Option<Fields<'n>> {
        let Some(map) = node.as_map() else {
            self.wrong_type(name, node, "a map");
            return None;
        };
        for (key, _) in &map.entries {
            if !known.contains(&key.name.as_str()) {
                self.unknown_key(key, name, known);
            }
        }
        Some(Fields { map, at })
    }

    fn unknown_key(&mut self, key: &Key, inside: &str, known: &[&str]) {
        // `token_fil` is a slip of the pen, `token` is not.
        let near = closest(&key.name, known.iter().copied());
        if mask::is_secret(&key.name) && !near.is_some_and(|word| word.starts_with("token_")) {
            let message = format!("a token, password or secret written in the config itself is refused: {}", quoted(&key.name));
            return self.error_hint(key.span, message, "put it in a file of its own and name that file with `provider.token_file`");
        }
        let place = if inside == "the file" { "at the top level".to_owned() } else { format!("under `{inside}`") };
        let message = format!("unknown key {} {place}", quoted(&key.name));
        match near {
            Some(word) => self.error_hint(key.span, message, format!("did you mean `{word}`?")),
            None => self.error_hint(key.span, message, format!("known keys: {}", known.join(", "))),
        }
    }

    /// A map inside another one.
    pub fn section<'n>(&mut self, field: Field<'n>, at: Span, known: &[&str]) -> Option<Fields<'n>> {
        field.node.and_then(|node| self.fields(field.name, node, at, known))
    }

    /// Text that is not empty.
    pub fn text<'n>(&mut self, field: Field<'n>) -> Option<&'n str> {
        let node = field.node?;
        match node.as_text() {
            None => self.wrong_type(field.name, node, "text"),
            Some(text) if text.trim().is_empty() => self.error(node.span, format!("`{}` is empty", field.name)),
            Some(text) => return Some(text),
        }
        None
    }

    /// `true` or `false`.
    pub fn flag(&mut self, field: Field<'_>) -> Option<bool> {
        let node = field.node?;
        if let Value::Bool(value) = node.value {
            return Some(value);
        }
        self.wrong_type(field.name, node, "true or false");
        None
    }

    /// A whole number within a range.
    pub fn integer(&mut self, field: Field<'_>, range: RangeInclusive<u64>) -> Option<u64> {
        let node = field.node?;
        let Value::Int(value) = node.value else {
            self.wrong_type(field.name, node, "a whole number");
            return None;
        };
        match u64::try_from(value) {
            Ok(value) if range.contains(&value) => return Some(value),
            _ if value < i128::from(*range.start()) => {
                self.error(node.span, format!("`{}` must be at least {}, found {value}", field.name, range.start()));
            }
            _ => self.error(node.span, format!("`{}` must be at most {}, found {value}", field.name, range.end())),
        }
        None
    }

    /// A count within a range.
    pub fn count_in(&mut self, field: Field<'_>, range: RangeInclusive<u32>) -> Option<u32> {
        let range = u64::from(*range.start())..=u64::from(*range.end());
        self.integer(field, range).and_then(|value| u32::try_from(value).ok())
    }

    /// A number above zero, whole or not, at most `max`.
    pub fn rate(&mut self, field: Field<'_>, max: f64) -> Option<f64> {
        let node = field.node?;
        let value = match node.value {
            #[expect(clippy::cast_precision_loss, reason = "anything that loses precision is far above `max`")]
            Value::Int(value) => value as f64,
            Value::Float(value) => value,
            _ => {
                self.wrong_type(field.name, node, "a number");
                return None;
            }
        };
        if value > 0.0 && value <= max {
            return Some(value);
        }
        self.error(node.span, format!("`{}` must be above 0 and at most {max}, found {value}", field.name));
        None
    }

    /// A duration within a range.
    pub fn duration(&mut self, field: Field<'_>, range: RangeInclusive<Duration>) -> Option<Duration> {
        let node = field.node?;
        let name = field.name;
        match &node.value {
            Value::Text(text) => match duration::parse(text) {
                Err(problem) => self.push(node.span, format!("`{name}`: {}", problem.message), problem.hint),
                Ok(value) if value < *range.start() => {
                    let least = humantime::format_duration(*range.start());
                    self.error(node.span, format!("`{name}` must be at least {least}, found {}", quoted(text)));
                }
                Ok(value) if value > *range.end() => {
                    let most = humantime::format_duration(*range.end());
                    self.error(node.span, format!("`{name}` must be at most {most}, found {}", quoted(text)));
                }
                Ok(value) => return Some(value),
            },
            Value::Int(number) => {
                let message = format!("`{name}` must be a duration with a unit, found the number {number}");
                self.error_hint(node.span, message, duration::unit_hint(*number));
            }
            _ => self.wrong_type(name, node, "a duration such as `90s`"),
        }
        None
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&mut self, field: Field<'_>, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(field)?;
        if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let at = field.node?.span;
        let message = format!("`{}` must be one of {}, found {}", field.name, words.join(", "), quoted(text));
        match closest(text, words.iter().copied()) {
            Some(word) => self.error_hint(at, message, format!("did you mean `{word}`?")),
            None => self.error(at, message),
        }
        None
    }

    /// A text, or a list of texts. Each with its node.
    pub fn texts<'n>(&mut self, field: Field<'n>) -> Option<Vec<(&'n str, &'n Node)>> {
        let node = field.node?;
        if !matches!(node.value, Value::Text(_) | Value::List(_)) {
            self.wrong_type(field.name, node, "text or a list of texts");
            return None;
        }
        let texts: Vec<Option<(&str, &Node)>> = node
            .one_or_many()
            .iter()
            .map(|element| self.text(Field { name: field.name, node: Some(element) }).map(|text| (text, element)))
            .collect();
        texts.into_iter().collect()
    }

    /// A list and nothing else. An absent one is empty.
    pub fn list<'n>(&mut self, field: Field<'n>, expected: &str) -> Option<&'n [Node]> {
        let Some(node) = field.node else { return Some(&[]) };
        if let Value::List(list) = &node.value {
            return Some(list);
        }
        self.wrong_type(field.name, node, expected);
        None
    }

    /// Name patterns, one or a list. Absent ones match nothing.
    pub fn globs(&mut self, field: Field<'_>) -> Option<Globs> {
        if field.node.is_none() {
            return Some(Globs::none());
        }
        let nodes = self.texts(field)?;
        let texts: Vec<&str> = nodes.iter().map(|(text, _)| *text).collect();
        match Globs::new(&texts) {
            Ok(globs) => return Some(globs),
            Err(error) => {
                let culprit = nodes.iter().find(|(text, _)| *text == error.glob);
                if let Some((text, node)) = culprit {
                    self.error(node.span, format!("`{}`: {} is not a name pattern: {}", field.name, quoted(text), error.why));
                }
            }
        }
        None
    }
}

/// The word that was probably meant: at most a third of its letters differ.
pub(super) fn closest<'w>(text: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let text = text.to_lowercase();
    words
        .map(|word| (strsim::osa_distance(&text, &word.to_lowercase()), word))
        .filter(|(distance, word)| *distance <= (word.chars().count() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn only_close_words_are_offered() {
        let words = ["schedule", "splay", "keep"];
        assert_eq!(closest("shedule", words.into_iter()), Some("schedule"));
        assert_eq!(closest("Keep", words.into_iter()), Some("keep"));
        assert_eq!(closest("retention", words.into_iter()), None);
    }
}
