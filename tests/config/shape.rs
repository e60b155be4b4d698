//! The schema as a tree of places, and documents that try a place out.

use serde_json::{Map, Value, json};
use snapwarden::config::SCHEMA;

/// A place in a configuration.
pub type Path = Vec<Step>;

/// One step down.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    Key(String),
    /// Into the first element of a list.
    First,
}

/// A key, where it stands, and what the schema says of it.
#[derive(Debug, Clone)]
pub struct Place {
    pub path: Path,
    pub schema: Value,
}

pub fn schema() -> Value {
    serde_json::from_str(SCHEMA).unwrap()
}

/// Every key that the schema of the main file knows, with the file itself, the outer ones first.
pub fn places() -> Vec<Place> {
    let root = schema();
    let mut found = Vec::new();
    visit(&root, Vec::new(), &root, &mut found);
    assert!(found.len() > 150, "only {} places", found.len());
    found
}

fn visit(root: &Value, path: Path, schema: &Value, found: &mut Vec<Place>) {
    let schema = resolved(root, schema);
    found.push(Place { path: path.clone(), schema: schema.clone() });
    let below = |step: Step| [path.clone(), vec![step]].concat();
    for (key, schema) in schema["properties"].as_object().into_iter().flatten() {
        visit(root, below(Step::Key(key.clone())), schema, found);
    }
    if schema["additionalProperties"].is_object() {
        visit(root, below(Step::Key("web".to_owned())), &schema["additionalProperties"], found);
    }
    if schema["items"].get("$ref").is_some_and(|target| target == "#/$defs/server") {
        visit(root, below(Step::First), &schema["items"], found);
    }
}

/// The schema with what it refers to, of which its own words count more.
fn resolved(root: &Value, schema: &Value) -> Value {
    let mut whole = Map::new();
    let mut lay_beneath = |part: Value| {
        for (key, value) in part.as_object().unwrap() {
            whole.entry(key).or_insert_with(|| value.clone());
        }
    };
    lay_beneath(schema.clone());
    if let Some(target) = schema["$ref"].as_str() {
        lay_beneath(resolved(root, root.pointer(target.trim_start_matches('#')).unwrap()));
    }
    for part in schema["allOf"].as_array().into_iter().flatten().filter(|part| part["$ref"].is_string()) {
        lay_beneath(resolved(root, part));
    }
    Value::Object(whole)
}

/// A configuration that is right and has everything that the place needs around it, down to the map that it is in.
pub fn around(path: &[Step]) -> Value {
    let kind = json!({"schedule": "@daily", "keep": {"last": 2}});
    let mut document = json!({
        "owner": "prod",
        "provider": {},
        "policies": {"web": {"snapshots": kind, "backups": kind}},
        "servers": [{"id": 1, "policy": "web"}],
    });
    let key = |index: usize| match path.get(index) {
        Some(Step::Key(key)) => key.as_str(),
        _ => "",
    };
    if path.get(1) == Some(&Step::First) {
        match key(2) {
            "match" | "exclude" | "at_least" => document["servers"] = json!([{"match": "web-*", "policy": "web"}]),
            "snapshots" | "backups" => document["servers"] = json!([{"id": 1, "snapshots": kind, "backups": kind}]),
            _ => {}
        }
    }
    for (length, step) in path.iter().enumerate().skip(1) {
        let map = at(&mut document, &path[..length]);
        let inside_hooks = path[length - 1] == Step::Key("hooks".to_owned());
        if map.is_null() && path[length - 1] == Step::Key("kubernetes".to_owned()) {
            *map = json!({});
        } else if map.is_null() && inside_hooks {
            *map = json!({"before": {"run": ["/bin/true"]}, "after": {"run": ["/bin/true"]}, "after_on": "accepted"});
        } else if map.is_null() && path[length - 1] == Step::Key("keep".to_owned()) {
            *map = json!({"yearly": 1});
        } else if map.is_null() && *step != Step::First {
            *map = if key(length - 1) == "notify" { json!({"webhook": "https://a.example"}) } else { json!({}) };
        }
    }
    if path.len() == 2 && key(0) == "leader" {
        document["leader"] = json!({"kubernetes": {}});
    }
    document
}

/// The same with this value at the place.
pub fn with(path: &[Step], value: Value) -> Value {
    let mut document = around(path);
    *at(&mut document, path) = value;
    document
}

fn at<'d>(document: &'d mut Value, path: &[Step]) -> &'d mut Value {
    path.iter().fold(document, |inner, step| match step {
        Step::Key(key) => &mut inner[key.as_str()],
        Step::First => &mut inner[0],
    })
}
