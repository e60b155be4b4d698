//! Texts of items. A listing shows mostly what the one before it showed, and then both hold the very same texts.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::mark::{Mark, Reading};

/// A text that many may share. Comparing two that are shared costs nothing. Every item has two, so it is one pointer wide.
#[derive(Clone)]
pub struct Text(Arc<Box<str>>);

/// The description of an item, with what it turned out to be: that is read once, however many share it.
#[derive(Clone)]
pub struct Description(Arc<Described>);

struct Described {
    text: Box<str>,
    reading: Reading,
}

impl Description {
    /// What it turns out to be (see [`Mark::read`]).
    #[must_use]
    #[inline]
    pub fn reading(&self) -> &Reading {
        &self.0.reading
    }

    /// Whether it is the very same as another, not only one that says the same.
    #[must_use]
    pub fn is(&self, other: &Description) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether others have it too.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

impl Text {
    /// Whether it is the very same as another, not only one that says the same.
    #[must_use]
    pub fn is(&self, other: &Text) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether others have it too.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Deref for Description {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0.text
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Text) -> bool {
        self.is(other) || self.0 == other.0
    }
}

impl PartialEq for Description {
    fn eq(&self, other: &Description) -> bool {
        self.is(other) || **self == **other
    }
}

impl Eq for Text {}

impl Eq for Description {}

impl Ord for Text {
    fn cmp(&self, other: &Text) -> Ordering {
        self.0.cmp(&other.0)
    }
}

impl Ord for Description {
    fn cmp(&self, other: &Description) -> Ordering {
        self.0.text.cmp(&other.0.text)
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Text) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialOrd for Description {
    fn partial_cmp(&self, other: &Description) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self
    }
}

impl Borrow<str> for Description {
    fn borrow(&self) -> &str {
        self
    }
}

impl Default for Text {
    fn default() -> Text {
        Text::from("")
    }
}

impl<T: Into<Box<str>>> From<T> for Text {
    fn from(text: T) -> Text {
        Text(Arc::new(text.into()))
    }
}

impl<T: Into<Box<str>>> From<T> for Description {
    fn from(text: T) -> Description {
        let text = text.into();
        let reading = Mark::read(&text);
        Description(Arc::new(Described { text, reading }))
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.text.fmt(f)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Debug for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0.text, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_equal_by_what_they_say_and_read_as_they_stand() {
        let text = Text::from("web-01");
        assert!(text == text.clone() && text == Text::from("web-01".to_owned()) && text != Text::from("web-02"));
        let marked = Description::from("snapwarden owner=prod by=hand at=2026-11-21T03:30:00Z");
        assert!(marked == marked.clone() && marked == Description::from(&*marked) && marked != Description::from(""));
        assert_eq!((marked.reading(), marked.clone().reading()), (&Mark::read(&marked), &Mark::read(&marked)));
        assert_eq!(format!("{text} {text:?} {:?}", Description::from("a")), "web-01 \"web-01\" \"a\"");
    }
}
