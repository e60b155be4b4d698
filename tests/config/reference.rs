//! `docs/configuration.md` is made from the schema: every key with its type, default and meaning. `BLESS=1` writes it anew.

use std::collections::VecDeque;
use std::fs;

use serde_json::Value;

use super::repository;
use super::shape::{Step, places, schema};

const HEAD: &str = "\
# The configuration

Every key of `snapwarden.yaml`, made from `config/snapwarden.schema.json` (`BLESS=1 cargo test --test config reference` writes this page anew; a test
fails where it differs). `config/snapwarden.yaml` is an example with every key in it; `snapwarden schema` prints the schema for editors.

One file (`/etc/snapwarden/snapwarden.yaml`, else `--config` or `$SNAPWARDEN_CONFIG`), and every `*.yaml` in a folder `conf.d` beside it, each of which
adds `policies` and `servers`. Unknown and duplicate keys are errors. `snapwarden check` tells all errors at once, with their lines; it proves more than
types: that `keep` fits the caps, that names are known, that schedules fire.

A duration has a unit: `90s`, `20m`, `6h`, `7d`, `1h 30m`. Months and years are refused. A glob has `*` for any text,
`?` for any character and `[…]` for one of several (`[a-z]`, `[!a]`, `[*]` for a star itself). `{a,b}`, `**` and `\\` are refused: they would not mean what
they mean elsewhere, and a name that is not matched is not protected.
";

/// A map of keys, with a heading of its own.
struct Section {
    title: String,
    schema: Value,
}

/// The schema with what it refers to, whose words count less; and the name of that.
fn resolved(root: &Value, schema: &Value) -> (Value, Option<String>) {
    let target = schema["$ref"].as_str().or_else(|| schema["allOf"][0]["$ref"].as_str());
    let Some(name) = target.and_then(|target| target.strip_prefix("#/$defs/")) else { return (schema.clone(), None) };
    let mut whole = root["$defs"][name].clone();
    for (key, value) in schema.as_object().unwrap() {
        whole[key] = value.clone();
    }
    (whole, Some(name.to_owned()))
}

fn is_map(schema: &Value) -> bool {
    schema["properties"].is_object() || schema["additionalProperties"].is_object()
}

fn link(title: &str) -> String {
    let slug: String = title.to_lowercase().chars().filter(|c| c.is_alphanumeric() || "_-".contains(*c)).collect();
    format!("[{title}](#{slug})")
}

/// What may stand there, in words; a map is a section of its own.
fn kind_of(root: &Value, path: &str, schema: &Value, sections: &mut VecDeque<Section>) -> String {
    let (whole, name) = resolved(root, schema);
    if is_map(&whole) {
        // What several keys refer to is told in its own words.
        let own = name.as_ref().map_or(whole, |name| root["$defs"][name].clone());
        let title = name.unwrap_or_else(|| path.to_owned());
        let link = link(&title);
        sections.push_back(Section { title, schema: own });
        return link;
    }
    let named = match name.as_deref() {
        Some("duration") => Some("duration"),
        Some("timezone") => Some("IANA name"),
        Some("cron") => Some("cron expression"),
        Some("globs") => Some("glob, or list of globs"),
        Some("url" | "url_without_query") => Some("address"),
        Some("name" | "kubernetes_name") => Some("name"),
        _ => None,
    };
    if let Some(named) = named {
        return named.to_owned();
    }
    if let Some(words) = whole["enum"].as_array() {
        return words.iter().map(|word| format!("`{}`", word.as_str().unwrap())).collect::<Vec<_>>().join(" or ");
    }
    if let Some(either) = whole["anyOf"].as_array() {
        return either.iter().map(|one| kind_of(root, path, one, sections)).collect::<Vec<_>>().join(", or ");
    }
    match whole["type"].as_str().unwrap_or_else(|| panic!("{path} has no type: {whole}")) {
        "string" => "text".to_owned(),
        "boolean" => "`true` or `false`".to_owned(),
        "array" => format!("list of {}", kind_of(root, path, &whole["items"], sections)),
        "integer" | "number" => number(&whole),
        other => panic!("{path}: {other}"),
    }
}

/// Caps that only stand for what a computer can count are left out.
fn number(schema: &Value) -> String {
    let least = ["minimum", "exclusiveMinimum"].iter().find_map(|key| schema[*key].as_f64());
    let most = schema["maximum"].as_f64().filter(|most| *most < f64::from(u32::MAX));
    match (least, most) {
        (Some(least), Some(most)) => format!("number, {least} to {most}"),
        (Some(least), None) => format!("number from {least}"),
        (None, Some(most)) => format!("number, at most {most}"),
        (None, None) => "number".to_owned(),
    }
}

fn row(root: &Value, section: &Section, path: &str, key: &str, schema: &Value, sections: &mut VecDeque<Section>) -> String {
    let kind = kind_of(root, path, schema, sections);
    let (whole, _) = resolved(root, schema);
    let required = section.schema["required"].as_array().is_some_and(|required| required.iter().any(|name| name == key));
    let default = match &whole["default"] {
        Value::Null if required => "required".to_owned(),
        Value::Null => String::new(),
        Value::String(text) => format!("`{text}`"),
        other => format!("`{other}`"),
    };
    let meaning = whole["description"].as_str().unwrap_or_default();
    let of = if key.starts_with('<') { key.to_owned() } else { format!("`{key}`") };
    format!("| {of} | {kind} | {default} | {} |\n", meaning.replace('|', "\\|").replace('<', "&lt;"))
}

fn page() -> String {
    let root = schema();
    let mut sections = VecDeque::from([Section { title: "The file".to_owned(), schema: root.clone() }]);
    let mut written: Vec<String> = Vec::new();
    let mut page = HEAD.to_owned();
    while let Some(section) = sections.pop_front() {
        if written.contains(&section.title) {
            continue;
        }
        written.push(section.title.clone());
        page.push_str(&format!("\n## {}\n\n", section.title));
        if let Some(meaning) = section.schema["description"].as_str().filter(|_| written.len() > 1) {
            page.push_str(&format!("{}\n\n", meaning.replace('<', "&lt;")));
        }
        page.push_str("| key | type | default | meaning |\n|---|---|---|---|\n");
        let path = |key: &str| if written.len() == 1 { key.to_owned() } else { format!("{}.{key}", section.title) };
        for (key, schema) in section.schema["properties"].as_object().into_iter().flatten() {
            page.push_str(&row(&root, &section, &path(key), key, schema, &mut sections));
        }
        if section.schema["additionalProperties"].is_object() {
            let schema = &section.schema["additionalProperties"];
            page.push_str(&row(&root, &section, &path("name"), "&lt;name&gt;", schema, &mut sections).replacen(
                "`&lt;name&gt;`",
                "*name*",
                1,
            ));
        }
    }
    page
}

#[test]
fn the_page_is_what_the_schema_says() {
    let (path, page) = (repository("docs/configuration.md"), page());
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    assert!(fs::read_to_string(&path).unwrap() == page, "docs/configuration.md differs: BLESS=1 writes it anew");
}

/// By the other walk over the schema, which the tests of the parser use.
#[test]
fn every_key_has_a_row_with_its_meaning() {
    let page = fs::read_to_string(repository("docs/configuration.md")).unwrap();
    for place in places() {
        let Some(Step::Key(key)) = place.path.last() else { continue };
        // The name of a policy, in the examples.
        if key == "web" {
            continue;
        }
        assert!(page.contains(&format!("\n| `{key}` | ")), "no row for {key}");
    }
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_end_matches(" |").split(" | ").collect();
        assert!(cells.len() >= 4 && !cells[1].is_empty() && cells[3].len() > 5, "{row}");
    }
}
