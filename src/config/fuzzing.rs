//! What must hold of any text that is given as the configuration.

#![allow(clippy::expect_used, reason = "a panic is how a finding is told")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::diagnostics::is_hostile;
use super::mask::is_exact;
use super::tree::{self, Node, Value};
use super::{Config, Diagnostics, load};
use crate::domain::fleet;
use crate::domain::inventory::{Server, ServerId};
use crate::domain::policy::Selector;

/// What ends a file in an input; what follows is in `conf.d`.
const FILE_END: &str = "\n---8<---\n";

const CANARY: &str = "CANARY7f3a9b2cCANARY";

/// So long a piece of a secret is never shown.
const PIECE: usize = 16;

/// The text as a configuration in `folder`, then with a secret in front of it or behind it.
pub(crate) fn check(folder: &Path, data: &[u8]) {
    let texts: Vec<&[u8]> = match std::str::from_utf8(data) {
        Ok(text) => text.splitn(3, FILE_END).map(str::as_bytes).collect(),
        Err(_) => vec![data],
    };
    check_texts(folder, &texts);
    let (before, after) = match data.len() % 3 {
        0 => (format!("token: {CANARY}\n"), String::new()),
        1 => (String::new(), format!("\nlog: {{password: {CANARY}}}\n")),
        // A quote that ends only with the file.
        _ if !texts[0].contains(&b'\'') => ("token: '".to_owned(), CANARY.to_owned()),
        _ => return,
    };
    let main = [before.as_bytes(), texts[0], after.as_bytes()].concat();
    let all: Vec<&[u8]> = std::iter::once(&main[..]).chain(texts[1..].iter().copied()).collect();
    if let Err(told) = load_texts(folder, &all).1
        && !String::from_utf8_lossy(data).contains("CANARY")
    {
        let shown = format!("{told}\n{told:?}");
        assert!(!shown.contains(&CANARY[..PIECE]), "{shown}");
    }
}

/// Writes the files, the first as the main one, and loads them.
fn load_texts(folder: &Path, texts: &[&[u8]]) -> (BTreeMap<PathBuf, String>, Result<Config, Diagnostics>) {
    let (main, more) = (folder.join("snapwarden.yaml"), folder.join("conf.d"));
    drop(fs::remove_dir_all(&more));
    fs::create_dir(&more).expect("a folder is made");
    let paths = (1..texts.len()).map(|number| more.join(format!("{number}.yaml")));
    let mut written = BTreeMap::new();
    for (path, text) in std::iter::once(main.clone()).chain(paths).zip(texts) {
        fs::write(&path, text).expect("a file is written");
        let text = String::from_utf8_lossy(text);
        written.insert(path, text.strip_prefix('\u{feff}').unwrap_or(&text).replace("\r\n", "\n").replace('\r', "\n"));
    }
    (written, load(&main, at()))
}

fn at() -> Timestamp {
    Timestamp::from_second(1_795_000_000).expect("a time")
}

fn check_texts(folder: &Path, texts: &[&[u8]]) {
    let (written, result) = load_texts(folder, texts);
    match result {
        Ok(config) => check_config(&config),
        Err(told) => {
            check_places(&written, &told);
            check_secrets(&written, &told);
        }
    }
}

/// What loads can be worked with: its servers resolve, and its schedules go on.
fn check_config(config: &Config) {
    let wanted = &config.wanted;
    assert!(!wanted.entries.is_empty() && !wanted.policies.is_empty());
    for policy in &wanted.policies {
        let next = policy.schedule.next_after(at()).unwrap_or_else(|| panic!("{:?} never fires", policy.schedule));
        assert!(next.time > at() && policy.schedule.next_after(next.time).is_none_or(|later| later.time > next.time));
        assert!(policy.min_keep >= 1 && policy.keep.sum() <= u64::from(wanted.limits.of(policy.kind)));
    }
    let mut servers = Vec::new();
    for entry in &wanted.entries {
        if let Selector::Id { id, name } = &entry.selector {
            servers.push(Server { id: *id, name: name.clone().unwrap_or_default().into(), status: "active".into() });
        }
    }
    let named: BTreeSet<ServerId> = servers.iter().map(|server| server.id).collect();
    assert_eq!(named.len(), servers.len(), "a server is named twice by its number");
    for told in [None, Some(&servers[..])] {
        let fleet = fleet::resolve(&wanted.entries, told);
        assert!(fleet.members.keys().all(|id| named.contains(id)));
        assert!(fleet.members.values().all(|member| member.conflict.is_none() && !member.assignment.is_none()));
    }
}

/// Every error is at a place that is there, and says something that a terminal shows as it is.
fn check_places(written: &BTreeMap<PathBuf, String>, told: &Diagnostics) {
    assert!(!told.list().is_empty());
    assert!(told.to_string().chars().all(|c| c == '\n' || !is_hostile(c)), "{told}");
    for diagnostic in told.list() {
        assert!(!diagnostic.message.is_empty());
        let Some(place) = &diagnostic.place else { continue };
        let text = &written[&diagnostic.file];
        let lines: Vec<&str> = text.split('\n').collect();
        let line = lines.get(place.line as usize - 1).unwrap_or_else(|| panic!("no line {} in {text:?}: {told}", place.line));
        assert!(place.column as usize <= line.chars().count() + 1, "no column {} in {line:?}: {told}", place.column);
    }
}

/// No piece of a value under `token`, `password` or `secret` is shown, unless the same piece also stands elsewhere.
fn check_secrets(written: &BTreeMap<PathBuf, String>, told: &Diagnostics) {
    let mut secrets = BTreeSet::new();
    for text in written.values() {
        if let Ok((root, _)) = tree::parse(text, 0) {
            collect(&root, false, &mut secrets);
        }
    }
    let shown: Vec<&str> = told
        .list()
        .iter()
        .flat_map(|diagnostic| {
            let source = diagnostic.place.as_ref().map(|place| place.source.as_str());
            [Some(diagnostic.message.as_str()), diagnostic.hint.as_deref(), source].into_iter().flatten()
        })
        .collect();
    for secret in &secrets {
        for piece in secret.as_bytes().windows(PIECE).filter(|piece| piece.iter().all(u8::is_ascii_alphanumeric)) {
            let piece = String::from_utf8_lossy(piece);
            let occurs = written.values().map(|text| text.matches(&*piece).count()).sum::<usize>();
            assert!(occurs != 1 || shown.iter().all(|text| !text.contains(&*piece)), "{piece:?} is shown by {told}");
        }
    }
}

fn collect(node: &Node, hidden: bool, secrets: &mut BTreeSet<String>) {
    match &node.value {
        Value::Map(map) => map.entries.iter().for_each(|(key, value)| collect(value, hidden || is_exact(&key.name), secrets)),
        Value::List(list) => list.iter().for_each(|value| collect(value, hidden, secrets)),
        Value::Text(text) if hidden => drop(secrets.insert(text.clone())),
        Value::Int(number) if hidden => drop(secrets.insert(number.to_string())),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) => {}
    }
}
