//! The texts of listings, each kept once: all servers of a policy have items of the same name and description, and a listing shows mostly what the one
//! before it showed. So a listing costs little more memory than its numbers, and the next one hardly any.

use std::collections::BTreeSet;

use crate::domain::text::{Description, Text};

/// Texts that items share.
#[derive(Debug, Default)]
pub(super) struct Texts {
    texts: BTreeSet<Text>,
    descriptions: BTreeSet<Description>,
}

impl Texts {
    /// The text that says this: the one that is known, or a new one.
    pub fn text(&mut self, says: &str) -> Text {
        if let Some(known) = self.texts.get(says) {
            return known.clone();
        }
        let new = Text::from(says);
        self.texts.insert(new.clone());
        new
    }

    /// The description that says this: the one that is known, or a new one.
    pub fn description(&mut self, says: &str) -> Description {
        if let Some(known) = self.descriptions.get(says) {
            return known.clone();
        }
        let new = Description::from(says);
        self.descriptions.insert(new.clone());
        new
    }

    /// Forgets those that no item has any more.
    pub fn forget_unused(&mut self) {
        self.texts.retain(Text::is_shared);
        self.descriptions.retain(Description::is_shared);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_the_same_is_the_same_as_long_as_somebody_has_it() {
        let mut texts = Texts::default();
        let (name, description) = (texts.text("web-01"), texts.description("by hand"));
        assert!(name.is(&texts.text("web-01")) && !name.is(&texts.text("web-02")));
        assert!(description.is(&texts.description("by hand")) && !description.is(&texts.description("web-01")));
        texts.forget_unused();
        assert_eq!((texts.texts.len(), texts.descriptions.len()), (1, 1), "nobody has the others");
        assert!(name.is(&texts.text("web-01")) && description.is(&texts.description("by hand")));
        drop((name, description));
        texts.forget_unused();
        assert!(texts.texts.is_empty() && texts.descriptions.is_empty());
    }
}
