//! Patterns of names.

use glob::Pattern;

/// A list of name patterns: `*` stands for any text, `?` for any character, `[…]` for one of several (`[a-z]`, `[!a]`; `[*]` is a star itself).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Globs(Vec<Pattern>);

/// A text that is not a name pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{glob}` is not a name pattern: {why}")]
pub struct GlobError {
    /// The text.
    pub glob: String,
    /// What is wrong with it.
    pub why: String,
}

impl Globs {
    /// Compiles the patterns.
    ///
    /// # Errors
    /// Names the first text that is not a pattern. What other tools read as alternatives, paths or escapes is refused: taken for plain characters, it would
    /// protect nothing.
    pub fn new<S: AsRef<str>>(texts: &[S]) -> Result<Globs, GlobError> {
        texts.iter().map(|text| compile(text.as_ref())).collect::<Result<_, _>>().map(Globs)
    }

    /// No pattern at all: matches nothing.
    #[must_use]
    pub fn none() -> Globs {
        Globs::default()
    }

    /// Whether any of the patterns matches the whole of `text`.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        self.first_match(text).is_some()
    }

    /// The first pattern that matches the whole of `text`, as it was written.
    #[must_use]
    pub fn first_match(&self, text: &str) -> Option<&str> {
        self.0.iter().find(|pattern| pattern.matches(text)).map(Pattern::as_str)
    }

    /// Whether there is no pattern.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The patterns as they were written.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(Pattern::as_str)
    }
}

fn compile(text: &str) -> Result<Pattern, GlobError> {
    let refuse = |why: String| GlobError { glob: text.to_owned(), why };
    let is_alone = |at: usize| text[..at].ends_with('[') && text[at + 1..].starts_with(']');
    if let Some((_, sign)) = text.match_indices(['{', '}', '\\']).find(|(at, _)| !is_alone(*at)) {
        let instead = if sign == "\\" {
            "`[*]` stands for a star itself, `[?]` for a question mark"
        } else {
            "write each alternative as a pattern of its own"
        };
        return Err(refuse(format!("`{sign}` has no meaning here; {instead} (`[{sign}]` stands for the character)")));
    }
    if text.contains("**") {
        return Err(refuse("`**` is for paths; one `*` stands for any text".to_owned()));
    }
    Pattern::new(text).map_err(|error| refuse(format!("{}, at character {}", error.msg, error.pos + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_match(pattern: &str, text: &str) -> bool {
        Globs::new(&[pattern]).unwrap().is_match(text)
    }

    #[test]
    fn the_whole_of_a_name_is_matched_whatever_its_characters() {
        for (pattern, text) in [
            ("web-*", "web-1"),
            ("web-*", "web-"),
            ("*", ""),
            ("*", "a/b\n.c"),
            ("pre-?", "pre-ä"),
            ("w?b", "w\u{1f600}b"),
            ("[äö]x", "öx"),
            ("[!a-c]x", "dx"),
            ("a[*]", "a*"),
            ("[{]x[}]", "{x}"),
            ("[\\]", "\\"),
        ] {
            assert!(is_match(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in
            [("web-*", "Web-1"), ("web", "web-1"), ("eb", "web"), ("w?b", "wb"), ("[!a-c]x", "ax"), ("a[*]", "ab"), ("", "a")]
        {
            assert!(!is_match(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn the_first_that_matches_is_named() {
        let globs = Globs::new(&["pre-*", "keep-*", "*-1"]).unwrap();
        assert_eq!(["keep-1", "x-1", "x"].map(|name| globs.first_match(name)), [Some("keep-*"), Some("*-1"), None]);
        assert!(!Globs::none().is_match("") && globs == Globs::new(&globs.texts().collect::<Vec<_>>()).unwrap() && globs != Globs::none());
    }

    #[test]
    fn what_would_not_mean_what_it_means_elsewhere_is_refused() {
        for (pattern, why) in [
            ("{pre,keep}-*", "`{` has no meaning here; write each alternative as a pattern of its own (`[{]` stands for the character)"),
            ("a}", "`}` has no meaning here"),
            (r"a\*", r"`\` has no meaning here; `[*]` stands for a star itself"),
            ("a/**", "`**` is for paths; one `*` stands for any text"),
            ("pre-[", "invalid range pattern, at character 5"),
        ] {
            let error = Globs::new(&["ok", pattern]).unwrap_err();
            assert!(error.glob == pattern && error.why.starts_with(why), "{error}");
        }
    }
}
