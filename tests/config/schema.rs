//! The schema says of the shape what the parser says.

use std::collections::BTreeSet;
use std::path::Path;

use boon::{Compiler, SchemaIndex, Schemas};
use proptest::prelude::*;
use serde_json::{Value, json};
use snapwarden::config::{Config, Diagnostics, SCHEMA};

use super::shape::{Place, Step, around, places, schema, with};
use super::{folder, load, repository, yaml_files};

/// Bad files whose error is no matter of shape: it lies in YAML, in the meaning of a text, or between two values.
const BEYOND: &[&str] = &[
    "defaults_told_in_place",
    "duplicate_key_at_top",
    "duplicate_key_in_map",
    "duplicate_policy",
    "everything_none",
    "glob_bad",
    "hooks_timeout_zero",
    "keep_above_cap",
    "keep_above_cap_backups",
    "keep_far_above_cap",
    "leave_free_all",
    "min_keep_all",
    "no_policies",
    "no_servers",
    "override_of_no_kind",
    "override_of_nothing",
    "override_too_much",
    "refuse_without_room",
    "schedule_in_list",
    "schedule_minute_60",
    "schedule_never_fires",
    "schedule_unquoted_at",
    "schedule_unquoted_star",
    "server_match_glob",
    "server_match_unquoted",
    "server_own_too_much",
    "server_policy_unknown",
    "server_twice",
    "server_two_of_a_kind",
    "servers_empty_list",
    "splay_too_long",
    "tabs",
    "timeout_zero",
    "timezone_unknown",
    "timezone_unknown_in_policy",
    "two_documents",
    "url_beyond_ascii",
];

/// The compiled schema.
struct Judge {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Judge {
    /// Of the part of the schema that `fragment` points to.
    fn new(fragment: &str) -> Judge {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.add_resource("http://localhost/schema.json", schema()).unwrap();
        let index = compiler.compile(&format!("http://localhost/schema.json{fragment}"), &mut schemas);
        let index = index.unwrap_or_else(|error| panic!("{error:#}"));
        Judge { schemas, index }
    }

    /// Why a document is refused; none: it is not.
    fn objection(&self, document: &Value) -> Option<String> {
        self.schemas.validate(document, self.index).err().map(|error| format!("{error:#}"))
    }

    #[track_caller]
    fn accepts(&self, document: &Value) {
        assert_eq!(self.objection(document), None, "{document:#}");
    }
}

/// YAML 1.2 as an editor reads it; none: it is no YAML.
fn value(text: &str) -> Option<Value> {
    serde_saphyr::from_str_with_options(text, serde_saphyr::options! { strict_booleans: true }).ok()
}

/// Loads documents, always as the same file.
struct Parser {
    folder: tempfile::TempDir,
}

impl Parser {
    fn new() -> Parser {
        Parser { folder: folder() }
    }

    fn load(&self, document: &Value) -> Result<Config, Diagnostics> {
        let path = self.folder.path().join("snapwarden.yaml");
        // JSON is YAML.
        std::fs::write(&path, document.to_string()).unwrap();
        load(&path)
    }

    /// What is told of a document that is wrong in one place, message and hint.
    #[track_caller]
    fn told(&self, document: &Value) -> (String, String) {
        let told = self.load(document).expect_err(&document.to_string());
        let first = told.list().first().unwrap();
        assert_eq!(told.list().len(), 1, "{document}: {told}");
        (first.message.clone(), first.hint.clone().unwrap_or_default())
    }
}

#[test]
fn every_good_file_is_accepted() {
    let judge = Judge::new("");
    let paths = [yaml_files(&repository("config")), yaml_files(&repository("tests/config/good"))].concat();
    assert!(paths.len() >= 5);
    for path in paths {
        judge.accepts(&value(&std::fs::read_to_string(&path).unwrap()).unwrap());
    }
    let readme = std::fs::read_to_string(repository("README.md")).unwrap();
    judge.accepts(&value(readme.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap()).unwrap());
}

#[test]
fn every_bad_file_is_refused_unless_its_error_is_beyond_a_schema() {
    let judge = Judge::new("");
    let name = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
    let accepted = |path: &std::path::PathBuf| {
        let document = value(&std::fs::read_to_string(path).unwrap());
        document.is_none_or(|document| judge.objection(&document).is_none())
    };
    let paths = yaml_files(&repository("tests/config/bad"));
    let beyond: BTreeSet<String> = paths.iter().filter(|path| accepted(path)).map(|path| name(path)).collect();
    assert_eq!(beyond, BEYOND.iter().map(|name| (*name).to_owned()).collect());
}

#[test]
fn the_examples_name_the_schema_beside_them() {
    for path in yaml_files(&repository("config")) {
        let text = std::fs::read_to_string(&path).unwrap();
        let named = text.lines().next().unwrap().strip_prefix("# yaml-language-server: $schema=").expect("a modeline");
        let schema = path.parent().unwrap().join(named);
        assert_eq!(std::fs::read_to_string(schema).unwrap(), SCHEMA, "{}", path.display());
    }
}

#[test]
fn a_file_of_conf_d_has_a_schema_of_its_own() {
    let judge = Judge::new("#/$defs/conf_d");
    judge.accepts(&Value::Null);
    judge.accepts(&json!({"policies": {"web": {"snapshots": {"schedule": "@daily"}}}, "servers": [{"id": 1, "policy": "web"}]}));
    for wrong in [json!({"owner": "prod"}), json!({"policies": {"none": {"snapshots": {}}}}), json!([])] {
        assert!(judge.objection(&wrong).is_some(), "{wrong}");
    }
}

#[test]
fn parser_and_schema_know_the_same_keys() {
    let parser = Parser::new();
    let mut maps = 0;
    for Place { path, schema } in places().into_iter().filter(|place| place.schema["additionalProperties"] == json!(false)) {
        let known: BTreeSet<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        let (message, hint) = parser.told(&with(&[path.clone(), vec![Step::Key("zzzzzzzzzz".to_owned())]].concat(), json!(1)));
        assert!(message.starts_with("unknown key `zzzzzzzzzz`"), "{path:?}: {message}");
        let told: BTreeSet<&str> = hint.strip_prefix("known keys: ").expect(&hint).split(", ").collect();
        assert_eq!(told, known, "{path:?}");
        maps += 1;
    }
    assert!(maps >= 40, "only {maps} maps");
}

/// A key that the parser ignored, or read as something else, would be in the schema for nothing.
#[test]
fn parser_and_schema_read_every_key() {
    let (parser, judge) = (Parser::new(), Judge::new(""));
    for Place { path, .. } in places().into_iter().filter(|place| !place.path.is_empty()) {
        let right = around(&path);
        parser.load(&right).unwrap_or_else(|told| panic!("{path:?}: {told}"));
        judge.accepts(&right);
        for wrong in [json!([[]]), json!({"zzzzzzzzzz": 1}), Value::Null] {
            let document = with(&path, wrong);
            assert!(parser.load(&document).is_err(), "the parser takes {document}");
            assert!(judge.objection(&document).is_some(), "the schema takes {document}");
        }
    }
}

#[test]
fn parser_and_schema_know_the_same_words() {
    let parser = Parser::new();
    let mut lists = 0;
    for Place { path, schema } in places() {
        let Some(words) = schema["enum"].as_array() else { continue };
        let words: Vec<&str> = words.iter().map(|word| word.as_str().unwrap()).collect();
        let document = with(&path, json!("zzzzzzzzzz"));
        let told = parser.load(&document).unwrap_err().to_string();
        assert!(told.contains(&format!("must be one of {}, found", words.join(", "))), "{path:?}: {told}");
        lists += 1;
    }
    assert!(lists >= 15, "only {lists} lists of words");
}

#[test]
fn parser_and_schema_have_the_same_bounds() {
    let (parser, judge) = (Parser::new(), Judge::new(""));
    let mut bounds = 0;
    for Place { path, schema } in places() {
        let least = schema["minimum"].as_u64().map(|least| (i128::from(least) - 1, format!("must be at least {least}")));
        let most = schema["maximum"].as_u64().filter(|most| *most < u64::MAX).map(|most| (i128::from(most) + 1, format!("at most {most}")));
        for (beyond, message) in least.into_iter().chain(most) {
            let document = with(&path, json!(i64::try_from(beyond).unwrap()));
            let told = parser.load(&document).unwrap_err().to_string();
            assert!(told.contains(&message), "{path:?}: {told}");
            assert!(judge.objection(&document).is_some(), "the schema takes {document}");
            bounds += 1;
        }
    }
    assert!(bounds >= 60, "only {bounds} bounds");
}

#[test]
fn a_default_changes_nothing() {
    let parser = Parser::new();
    let meaning = |document: &Value| {
        let mut config = parser.load(document).unwrap_or_else(|told| panic!("{document}: {told}"));
        // These two follow the text, not what it means.
        (config.digest, config.provider.place) = (String::new(), String::new());
        format!("{config:?}")
    };
    let mut defaults = 0;
    for Place { path, schema } in places() {
        if let Some(default) = schema.get("default") {
            assert_eq!(meaning(&with(&path, default.clone())), meaning(&around(&path)), "{path:?}");
            defaults += 1;
        }
    }
    assert!(defaults >= 60, "only {defaults} defaults");
}

#[test]
fn every_key_is_described() {
    let described = |place: &Place| place.schema["description"].as_str().is_some_and(|text| text.ends_with('.'));
    let in_policy = |place: &&Place| !matches!(place.path.first(), Some(Step::Key(key)) if key == "defaults");
    // What stands directly under `override` is what stands under a policy.
    let repeated = |place: &&Place| place.path.iter().any(|step| *step == Step::Key("override".to_owned()));
    let silent: Vec<_> =
        places().iter().filter(in_policy).filter(|place| !repeated(place) && !described(place)).map(|p| p.path.clone()).collect();
    assert_eq!(silent, Vec::<Vec<Step>>::new());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parser_and_schema_read_the_same_durations(
        text in "-?( ?[0-9]{1,2}( [0-9])?(\\.[0-9]{0,2})? ?(s|m|h|d|w|M|y|min|mins|hours|weeks|month|yr|ms|us|µs|x|S)? ?){0,3}"
    ) {
        let document = json!(text);
        let judge = Judge::new("#/$defs/duration");
        let told = Parser::new().load(&with(&[Step::Key("journal".to_owned()), Step::Key("keep".to_owned())], document.clone()));
        let told = told.err().map(|told| told.to_string()).unwrap_or_default();
        // How long it is, and how exactly that can be said, is beyond a schema.
        prop_assume!(!told.contains("number is too large"));
        let is_duration = told.is_empty() || told.contains("`keep` must be at ");
        prop_assert_eq!(judge.objection(&document).is_none(), is_duration, "{:?}: {}", text, told);
    }
}
