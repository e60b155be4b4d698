//! Files named by the rule that they break. Their first line says what is told: `# expect LINE:COLUMN: words | words`.

use snapwarden::config::Diagnostic;

use super::{load, load_text, repository, yaml_files};

struct Expected {
    line: u32,
    column: u32,
    words: Vec<String>,
}

fn expected(text: &str) -> Expected {
    let header = text.lines().next().and_then(|line| line.strip_prefix("# expect ")).expect("the first line says what is expected");
    let (place, words) = header.split_once(": ").unwrap();
    let (line, column) = place.split_once(':').unwrap();
    Expected { line: line.parse().unwrap(), column: column.parse().unwrap(), words: words.split(" | ").map(str::to_owned).collect() }
}

fn agrees(diagnostic: &Diagnostic, expected: &Expected) -> bool {
    let told = diagnostic.to_string();
    let place = diagnostic.place.as_ref().map(|place| (place.line, place.column));
    place == Some((expected.line, expected.column)) && expected.words.iter().all(|word| told.contains(word.as_str()))
}

#[test]
fn each_bad_file_is_refused_for_its_reason_and_no_other() {
    let paths = yaml_files(&repository("tests/config/bad"));
    assert!(paths.len() >= 100, "only {} files", paths.len());
    let mut failures = String::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy();
        match load(&path) {
            Ok(_) => failures.push_str(&format!("--- {name} was accepted\n")),
            Err(told) if told.list().len() != 1 || !agrees(&told.list()[0], &expected(&text)) => {
                failures.push_str(&format!("--- {name}: {}\n{told}\n", text.lines().next().unwrap_or_default()));
            }
            Err(told) => assert!(!told.to_string().contains("CANARY"), "{name} shows a secret:\n{told}"),
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn all_errors_of_a_file_are_told_in_order() {
    let told = load_text(
        r#"
owner: "not a word"
policies:
  a: {snapshots: {schedule: "60 * * * *", keep: {last: 0}}}
  b: {snapshots: {schedule: "@daily", keep: {last: 9}}}
  c: {backups: {schedule: "@daily", keep: {last: 2}, splay: 5M}}
  good: {snapshots: {schedule: "@daily", keep: {last: 2}}}
servers:
  - {id: 1, policy: goood}
  - {id: 2, policy: a}
  - {id: x, policy: good}
  - {id: 3, policy: good, colour: red}
"#,
    )
    .unwrap_err();
    let lines: Vec<u32> = told.list().iter().map(|diagnostic| diagnostic.place.as_ref().unwrap().line).collect();
    assert_eq!(lines, [2, 4, 4, 5, 6, 9, 11, 12], "{told}");
    assert!(told.to_string().ends_with("\n8 errors"), "{told}");
}

#[test]
fn a_wrong_default_is_told_once_however_many_policies_it_is_under() {
    let policy = |name| format!("  {name}: {{snapshots: {{schedule: \"@daily\", keep: {{last: 2}}}}}}\n");
    let policies: String = ["a", "b", "c"].into_iter().map(policy).collect();
    let text = super::whole(&policies, "  - {id: 1, policy: a}\n  - {id: 2, policy: b, override: {snapshots: {leave_free: 0}}}");
    let told = load_text(&format!("defaults: {{snapshots: {{splay: 5M}}}}\n{text}")).unwrap_err();
    assert_eq!(told.list().len(), 1, "{told}");
}

#[test]
fn the_offending_line_is_shown_with_a_caret() {
    let told =
        load_text(&super::whole("  web: {snapshots: {schedule: '@daily', keep: {last: 2}}}", "  - {id: 1, policy: wbe}")).unwrap_err();
    let text = told.to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].ends_with("snapwarden.yaml:6:21: unknown policy `wbe`"), "{text}");
    assert_eq!(lines[1], "  6 |   - {id: 1, policy: wbe}");
    assert_eq!(lines[2], "    |                     ^");
    assert_eq!(lines[3..], ["hint: did you mean `web`?", "1 error"]);
}
