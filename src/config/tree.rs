//! YAML as a tree of nodes that know where they stand.
//!
//! serde stops at the first error and its values lose their place. A tree keeps the place, and every policy and server is converted from it on its own.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{DefaultMessageFormatter, Error, MessageFormatter, Options, Spanned};

/// How deeply values may be nested. The deepest key of the contract is seven levels down.
const DEPTH_MAX: usize = 24;

/// How many nodes a file may have: ten times what 10,000 servers and 1,000 policies need.
const NODES_MAX: usize = 1_000_000;

/// How many events aliases may repeat; what a YAML bomb is made of.
const REPLAYED_MAX: usize = 200_000;

/// A place in one of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Span {
    /// The file's number in the list of sources.
    pub file: u16,
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
}

/// A value and its place.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub span: Span,
    pub value: Value,
}

/// What YAML can hold.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Map),
}

/// A map in the order of the file. A key that is there twice stays in twice; it has been reported.
#[derive(Debug, Clone, Default)]
pub(super) struct Map {
    pub entries: Vec<(Key, Node)>,
}

/// A key and its place.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub span: Span,
    pub name: String,
}

/// A key that occurs twice in one map.
#[derive(Debug)]
pub(super) struct Duplicate {
    pub name: String,
    pub first: Span,
    pub second: Span,
}

/// Why a text is no tree.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub at: Span,
    pub message: String,
}

/// Reads one file's text. The second value lists the keys that occur twice.
pub(super) fn parse(text: &str, file: u16) -> Result<(Node, Vec<Duplicate>), SyntaxError> {
    let start = Span { file, line: 1, column: 1 };
    if text.trim().is_empty() {
        return Ok((Node { span: start, value: Value::Null }, Vec::new()));
    }
    let mut root: Node = serde_saphyr::from_str_with_options(text, options()).map_err(|error| syntax_error(&error, start))?;
    if matches!(root.value, Value::Null) {
        // Only remarks: the parser's place is behind the last line.
        root.span = start;
    }
    let mut duplicates = Vec::new();
    root.settle(file, &mut duplicates);
    Ok((root, duplicates))
}

fn options() -> Options {
    let budget = serde_saphyr::budget! {
        max_events: 4 * NODES_MAX,
        max_nodes: NODES_MAX,
        max_depth: DEPTH_MAX,
        flow_nesting_limit: DEPTH_MAX,
        max_documents: 2,
        enforce_alias_anchor_ratio: false,
    };
    let alias_limits = serde_saphyr::alias_limits! { max_total_replayed_events: REPLAYED_MAX };
    serde_saphyr::options! {
        budget: budget,
        alias_limits: alias_limits,
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::Merge,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        strict_booleans: true,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        with_snippet: false,
    }
}

fn syntax_error(error: &serde_saphyr::Error, start: Span) -> SyntaxError {
    let at = error.location().filter(|place| place.line() > 0).map_or(start, |place| span(place, start.file));
    let message = match error.without_snippet() {
        Error::Budget { .. } | Error::AliasReplayLimitExceeded { .. } => {
            "it is too large, too deeply nested, or aliases repeat too much of it".to_owned()
        }
        Error::MultipleDocuments { .. } => "there is more than one document; `---` begins another one".to_owned(),
        other => DefaultMessageFormatter.format_message(other).into_owned(),
    };
    SyntaxError { at, message }
}

fn span(place: serde_saphyr::Location, file: u16) -> Span {
    let clamp = |number: u64| u32::try_from(number).unwrap_or(u32::MAX).max(1);
    Span { file, line: clamp(place.line()), column: clamp(place.column()) }
}

impl Node {
    /// The value's type, as a person would say it.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Int(_) | Value::Float(_) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    /// Its entries, if it is a map.
    pub fn as_map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// Its text, if it is text.
    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Its elements, or itself: "one or a list".
    pub fn one_or_many(&self) -> &[Node] {
        match &self.value {
            Value::List(list) => list,
            _ => std::slice::from_ref(self),
        }
    }

    /// `over` on top of this: maps are merged key by key, anything else is replaced. Every value keeps the place where it was written.
    pub fn overlaid(&self, over: &Node) -> Node {
        match (&self.value, &over.value) {
            (Value::Map(under), Value::Map(map)) => Node { span: over.span, value: Value::Map(under.overlaid(map)) },
            _ => over.clone(),
        }
    }

    /// Writes the file's number into every span and collects the keys that occur twice.
    fn settle(&mut self, file: u16, duplicates: &mut Vec<Duplicate>) {
        self.span.file = file;
        match &mut self.value {
            Value::List(list) => list.iter_mut().for_each(|node| node.settle(file, duplicates)),
            Value::Map(map) => {
                let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
                for (key, node) in &mut map.entries {
                    key.span.file = file;
                    node.settle(file, duplicates);
                    if let Some(first) = seen.get(key.name.as_str()) {
                        duplicates.push(Duplicate { name: key.name.clone(), first: *first, second: key.span });
                    } else {
                        seen.insert(&key.name, key.span);
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) => {}
        }
    }
}

impl Map {
    /// The value of a key.
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.entry(name).map(|(_, node)| node)
    }

    /// A key with its place, and its value.
    pub fn entry(&self, name: &str) -> Option<&(Key, Node)> {
        self.entries.iter().find(|(key, _)| key.name == name)
    }

    fn overlaid(&self, over: &Map) -> Map {
        let merged = |(key, node): &(Key, Node)| match self.get(&key.name) {
            Some(under) => (key.clone(), under.overlaid(node)),
            None => (key.clone(), node.clone()),
        };
        let mut entries: Vec<(Key, Node)> = over.entries.iter().map(merged).collect();
        entries.extend(self.entries.iter().filter(|(key, _)| over.get(&key.name).is_none()).cloned());
        Map { entries }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Node { span: span(spanned.defined, 0), value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Int(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(node) = access.next_element()? {
            list.push(node);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = access.next_key::<Spanned<String>>()? {
            let key = Key { span: span(key.defined, 0), name: key.value };
            entries.push((key, access.next_value()?));
        }
        Ok(Value::Map(Map { entries }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: u32, column: u32) -> Span {
        Span { file: 3, line, column }
    }

    fn tree(text: &str) -> Node {
        parse(text, 3).unwrap().0
    }

    #[test]
    fn every_node_knows_its_place() {
        let root = tree("a: 1\nb:\n  - x\n  - {c: true, d: 07}\n");
        let map = root.as_map().unwrap();
        assert_eq!(map.entry("b").unwrap().0.span, at(2, 1));
        assert_eq!(map.get("a").unwrap().span, at(1, 4));
        let list = map.get("b").unwrap().one_or_many();
        assert_eq!(list[0].span, at(3, 5));
        assert_eq!(list[1].as_map().unwrap().get("c").unwrap().span, at(4, 9));
        assert_eq!(list[1].as_map().unwrap().get("d").unwrap().as_text(), Some("07"));
    }

    #[test]
    fn aliases_and_merges_keep_the_place_of_the_definition() {
        let root = tree("a: &x {k: 5}\nb: *x\nc: {<<: *x, l: 6}\n");
        let map = root.as_map().unwrap();
        for name in ["b", "c"] {
            assert_eq!(map.get(name).unwrap().as_map().unwrap().get("k").unwrap().span, at(1, 11), "{name}");
        }
    }

    #[test]
    fn keys_that_occur_twice_are_told_with_both_places() {
        let (_, duplicates) = parse("a: 1\nb: {x: 1, x: 2}\na: 2\n", 3).unwrap();
        let found: Vec<_> = duplicates.iter().map(|d| (d.name.as_str(), d.first, d.second)).collect();
        assert_eq!(found, [("x", at(2, 5), at(2, 11)), ("a", at(1, 1), at(3, 1))]);
    }

    #[test]
    fn bombs_and_deep_nesting_are_refused() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let items = vec![format!("*a{}", level - 1); 10].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{items}]\n"));
        }
        assert!(parse(&bomb, 0).is_err());
        assert!(parse(&format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)), 0).is_err());
        assert!(parse("a: 1\n---\nb: 1\n", 0).is_err());
    }

    #[test]
    fn overlaying_merges_maps_and_replaces_the_rest() {
        let merged = tree("a: {x: 1, y: [1, 2]}\nb: 1\n").overlaid(&tree("a: {y: [3], z: 4}\n"));
        let a = merged.as_map().unwrap().get("a").unwrap().as_map().unwrap();
        let keys: Vec<&str> = a.entries.iter().map(|(key, _)| key.name.as_str()).collect();
        assert_eq!(keys, ["y", "z", "x"]);
        assert_eq!(a.get("y").unwrap().one_or_many().len(), 1);
        assert!(merged.as_map().unwrap().get("b").is_some());
    }
}
