//! Reads expressions in PromQL, as far as names go. Prometheus itself judges the rest (`monitoring`).

/// A selector: the metric's name, and its matchers as label and value.
#[derive(Debug, PartialEq)]
pub struct Selector {
    pub name: String,
    pub matchers: Vec<(String, String)>,
}

/// The selectors of an expression that name a metric of ours, of the process, or `up`.
pub fn selectors(expr: &str) -> Vec<Selector> {
    let mut found = Vec::new();
    let mut rest = expr;
    while let Some(start) = rest.find(is_word) {
        let tail = &rest[start..];
        let end = tail.find(|c| !is_word(c)).unwrap_or(tail.len());
        let (word, after) = tail.split_at(end);
        if word.starts_with("snapwarden_") || word.starts_with("process_") || word == "up" {
            found.push(Selector { name: word.to_owned(), matchers: if after.starts_with('{') { matchers(after) } else { Vec::new() } });
        }
        // What stands in quotes is no name.
        rest = match after.find('{').filter(|place| after[..*place].is_empty()) {
            Some(_) => after.split_once('}').unwrap().1,
            None => after,
        };
    }
    found
}

/// The labels that `by`, `without`, `on` and `ignoring` name.
pub fn grouping(expr: &str) -> Vec<String> {
    let mut found = Vec::new();
    for word in ["by (", "without (", "on (", "ignoring ("] {
        for tail in expr.split(word).skip(1) {
            let inside = tail.split_once(')').unwrap().0;
            found.extend(inside.split(',').map(|label| label.trim().to_owned()));
        }
    }
    found
}

/// The labels and values within the first braces of a text.
pub fn matchers(text: &str) -> Vec<(String, String)> {
    let Some((_, mut rest)) = text.split_once('{') else { return Vec::new() };
    let mut found = Vec::new();
    while let Some((label, tail)) = rest.split_once('"').filter(|(label, _)| !label.contains('}')) {
        let (value, after) = tail.split_once('"').unwrap();
        found.push((label.trim_matches(|c| !is_word(c)).to_owned(), value.to_owned()));
        rest = after;
    }
    found
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':' || c == '$'
}

#[test]
fn selectors_and_labels_are_found() {
    let expr = "sum by (kind, le) (rate(snapwarden_a_bucket{x=~\"up|y\", server=\"z\"}[5m])) > on (job) up or time() - snapwarden_b";
    let found: Vec<_> = selectors(expr).into_iter().map(|selector| (selector.name, selector.matchers)).collect();
    let pair = |label: &str, value: &str| (label.to_owned(), value.to_owned());
    assert_eq!(
        found,
        [
            ("snapwarden_a_bucket".to_owned(), vec![pair("x", "up|y"), pair("server", "z")]),
            ("up".to_owned(), vec![]),
            ("snapwarden_b".to_owned(), vec![])
        ]
    );
    assert_eq!(grouping(expr), ["kind", "le", "job"]);
}
