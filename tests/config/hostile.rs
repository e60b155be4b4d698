//! Texts that nobody would write: no panic, no secret shown, and an end within reason.

use proptest::prelude::*;

use super::{load_text, repository, whole};

const CANARY: &str = "CANARY-7f3a9b2c";

/// Ways to write a secret where none belongs. `@` is where the canary goes.
const SECRETS: [&str; 16] = [
    "token: @",
    "token: '@'",
    "token: \"@",
    "token: |\n  @\n  @",
    "token: [@, {a: @}]",
    "token: @: [",
    "token: &a @\nlisten: *a",
    "token: *@",
    "token: !@ x",
    "\"tok\\u0065n\": @",
    "? token\n: @",
    "provider: {token: @}",
    "provider:\n  password: >-\n    @\n\t@",
    "log: {secret: @, level: @}",
    "policies: {token: @, secret: {snapshots: @}}",
    "servers: [{token: \"\n@\n\"}]",
];

#[test]
fn no_diagnostic_ever_shows_a_secret() {
    for pattern in SECRETS {
        let text = format!("{}\n", pattern.replace('@', CANARY));
        let told = load_text(&text).expect_err(pattern);
        assert!(!told.to_string().contains(CANARY), "{pattern}:\n{told}");
        assert!(!format!("{told:?}").contains(CANARY), "{pattern}:\n{told:?}");
        let told = load_text(&format!("{}{text}", whole("  a: {}", "  - {id: 1}"))).expect_err(pattern);
        assert!(!told.to_string().contains(CANARY), "{pattern}:\n{told}");
        assert!(!format!("{told:?}").contains(CANARY), "{pattern}:\n{told:?}");
    }
}

/// Another value that repeats it by an alias is shown cut, or with what a terminal obeys written out.
#[test]
fn a_secret_that_is_told_in_another_form_stays_hidden() {
    let long = CANARY.repeat(8);
    for (secret, shown) in [(long.clone(), &long[..50]), (format!("\"a\\e{CANARY}\""), "}CANARY")] {
        let told = load_text(&format!("token: &a {secret}\nlisten: *a\n")).unwrap_err();
        assert!(told.to_string().contains("is not an address and port"), "{told}");
        assert!(!told.to_string().contains(shown), "{told}");
    }
    for secret in [format!("-{CANARY}"), "5M CANARY-M 1M".to_owned()] {
        let told = load_text(&format!("token: &a {secret}\njournal: {{keep: *a}}\n")).unwrap_err();
        assert!(!told.to_string().contains("CANARY-"), "{told}");
    }
}

/// To YAML a carriage return alone ends a line, so it does in the places of errors, and in what is hidden.
#[test]
fn a_carriage_return_alone_ends_a_line() {
    let places = |text: &str| -> Vec<(u32, u32, String)> {
        let told = load_text(text).expect_err(text);
        told.list().iter().filter_map(|told| told.place.clone()).map(|place| (place.line, place.column, place.source)).collect()
    };
    let told = load_text("a: 1\r\"tok\\u0065n\": 123456789\r").unwrap_err();
    assert!(!told.to_string().contains("123456789"), "{told}");
    let found = places("owner: prod\r\rolder: 1\r\n");
    assert!(found.contains(&(3, 1, "older: 1".to_owned())), "{found:?}");
}

#[test]
fn bombs_are_refused() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let items = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    assert!(load_text(&bomb).unwrap_err().to_string().contains("not valid YAML"));
    for open in ["[", "{a: ", "- ", "? "] {
        assert!(load_text(&open.repeat(50_000)).is_err());
    }
}

fn example() -> String {
    std::fs::read_to_string(repository("tests/config/good/contract.yaml")).unwrap()
}

/// One thing that happens to a text at a relative place.
fn mutate(text: &str, place: f64, length: usize, with: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place in a small text")]
    let at = (place * chars.len() as f64) as usize;
    let end = (at + length).min(chars.len());
    chars[..at].iter().copied().chain(with.chars()).chain(chars[end..].iter().copied()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,200}") {
        if let Err(told) = load_text(&text) {
            prop_assert!(!told.to_string().is_empty());
        }
    }

    #[test]
    fn arbitrary_yaml_like_text_never_panics(text in "(owner|policies|servers|id|keep|token|[-:,{}\\[\\]&*!|>\"'#%@?]|[ \n\t]|[0-9a-z]){0,80}") {
        if let Err(told) = load_text(&text) {
            prop_assert!(!told.to_string().is_empty());
        }
    }

    #[test]
    fn mutated_examples_never_panic(place in 0.0..1.0f64, length in 0usize..12, with in "[-:,{}\\[\\]&*!|>\"'# \n\t0-9a-zé]{0,6}") {
        if let Err(told) = load_text(&mutate(&example(), place, length, &with)) {
            for diagnostic in told.list() {
                let source = diagnostic.place.as_ref().map(|place| place.line);
                prop_assert!(source.is_none_or(|line| line >= 1));
            }
            prop_assert!(!told.to_string().is_empty());
        }
    }

    #[test]
    fn a_secret_stays_hidden_whatever_else_is_wrong(place in 0.0..1.0f64, length in 0usize..12, with in "[-:,{}\\[\\]&*!|>\"'# \n\t0-9a-z]{0,6}") {
        let text = mutate(&example(), place, length, &with);
        for text in [format!("token: {CANARY}\n{text}"), format!("{text}\nlog: {{password: {CANARY}}}\n")] {
            let told = load_text(&text).unwrap_err();
            prop_assert!(!told.to_string().contains(CANARY), "{told}");
        }
    }
}
