//! The mark of ownership that every item of ours carries (contract §6).
//!
//! The mark contains the slot, so it can be predicted: the same run is recognised after a crash, a lost answer, a lost journal or a change of the
//! replica in charge.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use super::inventory::Kind;

/// The longest name that is ever sent; the provider documents no limit.
pub const NAME_LENGTH_MAX: usize = 63;

/// The longest owner or policy name, so that every item name fits in [`NAME_LENGTH_MAX`].
pub const WORD_LENGTH_MAX: usize = 20;

/// Why an item was made.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Origin {
    /// By a run of a policy, for a slot.
    Slot {
        /// The policy.
        policy: Box<str>,
        /// The scheduled time, before splay.
        slot: Timestamp,
    },
    /// By a person, with `take`.
    Hand {
        /// When it was asked for.
        at: Timestamp,
    },
}

impl Origin {
    /// The slot it satisfies; none for an item made by hand.
    #[must_use]
    pub fn slot(&self) -> Option<Timestamp> {
        match self {
            Origin::Slot { slot, .. } => Some(*slot),
            Origin::Hand { .. } => None,
        }
    }
}

/// What the description of an item of ours says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Whose item it is.
    pub owner: Box<str>,
    /// Why it was made.
    pub origin: Origin,
    /// It may not be deleted before.
    pub until: Option<Timestamp>,
}

/// What a description turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// Not a mark: a person's text, or none.
    None,
    /// A whole mark.
    Mark(Mark),
    /// Begins like a mark but is not a whole one: nobody's to delete.
    Damaged,
}

impl Mark {
    /// The description that carries this mark.
    #[must_use]
    pub fn description(&self) -> String {
        let mut text = match &self.origin {
            Origin::Slot { policy, slot } => format!("snapwarden owner={} policy={policy} slot={slot}", self.owner),
            Origin::Hand { at } => format!("snapwarden owner={} by=hand at={at}", self.owner),
        };
        if let Some(until) = self.until {
            text.push_str(&format!(" until={until}"));
        }
        text
    }

    /// The slot it satisfies; none for an item made by hand.
    #[must_use]
    pub fn slot(&self) -> Option<Timestamp> {
        self.origin.slot()
    }

    /// Reads a description. Only a whole mark counts: the known keys in their order, nothing before, between or after.
    #[must_use]
    pub fn read(description: &str) -> Reading {
        let Some(words) = description.strip_prefix("snapwarden ").filter(|words| words.starts_with("owner=")) else {
            return Reading::None;
        };
        match Self::read_words(split(words)) {
            Some(mark) => Reading::Mark(mark),
            None => Reading::Damaged,
        }
    }

    fn read_words<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<Mark> {
        let owner = word_value(words.next()?, "owner")?;
        let second = words.next()?;
        let origin = if second == "by=hand" {
            Origin::Hand { at: time_value(words.next()?, "at")? }
        } else {
            let policy = word_value(second, "policy")?.into();
            Origin::Slot { policy, slot: time_value(words.next()?, "slot")? }
        };
        let until = match words.next() {
            None => None,
            Some(word) => Some(time_value(word, "until")?),
        };
        words.next().is_none().then(|| Mark { owner: owner.into(), origin, until })
    }
}

/// The words between single spaces. For texts as short as these each space is found soonest byte by byte.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let space = text.bytes().position(|b| b == b' ');
        rest = space.map(|space| &text[space + 1..]);
        Some(&text[..space.unwrap_or(text.len())])
    })
}

fn value<'a>(word: &'a str, key: &str) -> Option<&'a str> {
    word.strip_prefix(key)?.strip_prefix('=')
}

fn word_value<'a>(word: &'a str, key: &str) -> Option<&'a str> {
    value(word, key).filter(|text| is_word(text))
}

/// Only as [`Mark::description`] writes it: a time in another zone, or with parts left out, was not written by this program.
fn time_value(word: &str, key: &str) -> Option<Timestamp> {
    let text = value(word, key)?;
    whole_second(text).or_else(|| text.parse().ok().filter(|time: &Timestamp| time.to_string() == text))
}

/// Reads `2026-11-21T03:30:00Z`, which almost every time in a mark looks like: each listing has one for each item.
fn whole_second(text: &str) -> Option<Timestamp> {
    let bytes: &[u8; 20] = text.as_bytes().try_into().ok()?;
    let number = |from: usize, to: usize| -> Option<i16> {
        bytes[from..to].iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i16::from(byte - b'0')))
    };
    let short = |from: usize| number(from, from + 2).and_then(|number| i8::try_from(number).ok());
    let punctuation = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'Z')];
    if punctuation.iter().any(|(place, sign)| bytes[*place] != *sign) {
        return None;
    }
    let time = DateTime::new(number(0, 4)?, short(5)?, short(8)?, short(11)?, short(14)?, short(17)?, 0).ok()?;
    Offset::UTC.to_timestamp(time).ok()
}

/// Whether a text may be an owner's or a policy's name: letters, digits, `_` and `-`, 1 to [`WORD_LENGTH_MAX`] of them.
#[must_use]
pub fn is_word(text: &str) -> bool {
    (1..=WORD_LENGTH_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// The snapshot name for a mark: `<owner>-<policy>-<slot>`, or `<owner>-<label>-<time>-hand`. Backups have no name.
///
/// `label` is what stands in the middle of a name made by hand.
#[must_use]
pub fn item_name(kind: Kind, mark: &Mark, label: &str) -> Option<String> {
    if kind == Kind::Backup {
        return None;
    }
    Some(match &mark.origin {
        Origin::Slot { policy, slot } => format!("{}-{policy}-{}", mark.owner, compact(*slot)),
        Origin::Hand { at } => format!("{}-{label}-{}-hand", mark.owner, compact(*at)),
    })
}

/// `20261121T033000Z`.
fn compact(time: Timestamp) -> String {
    format!("{time:.0}").chars().filter(|c| !matches!(c, '-' | ':')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn slot_mark() -> Mark {
        Mark { owner: "prod".into(), origin: Origin::Slot { policy: "web".into(), slot: time("2026-11-21T03:30:00Z") }, until: None }
    }

    #[test]
    fn a_mark_is_read_back() {
        let hand = Mark {
            owner: "prod".into(),
            origin: Origin::Hand { at: time("2026-11-21T03:30:00Z") },
            until: Some(time("2026-12-05T03:30:00Z")),
        };
        assert_eq!(slot_mark().description(), "snapwarden owner=prod policy=web slot=2026-11-21T03:30:00Z");
        assert_eq!(hand.description(), "snapwarden owner=prod by=hand at=2026-11-21T03:30:00Z until=2026-12-05T03:30:00Z");
        for mark in [slot_mark(), hand] {
            assert_eq!(Mark::read(&mark.description()), Reading::Mark(mark));
        }
    }

    #[test]
    fn names_fit_the_longest_words() {
        let word = "a".repeat(WORD_LENGTH_MAX);
        let at = time("2026-11-21T03:30:00Z");
        let hand = Mark { owner: word.clone().into(), origin: Origin::Hand { at }, until: None };
        assert_eq!(item_name(Kind::Snapshot, &hand, &word).unwrap().len(), NAME_LENGTH_MAX);
        assert_eq!(item_name(Kind::Snapshot, &slot_mark(), "").unwrap(), "prod-web-20261121T033000Z");
        assert_eq!(item_name(Kind::Backup, &slot_mark(), ""), None);
        let within_a_second = Mark { owner: "prod".into(), origin: Origin::Hand { at: time("2026-11-21T03:30:59.999Z") }, until: None };
        assert_eq!(item_name(Kind::Snapshot, &within_a_second, "web").unwrap(), "prod-web-20261121T033059Z-hand");
    }

    #[test]
    fn only_a_whole_mark_counts() {
        for text in
            ["", "before the move", "snapwarden", "snapwarden is nice", " snapwarden owner=prod policy=web slot=2026-11-21T03:30:00Z"]
        {
            assert_eq!(Mark::read(text), Reading::None, "{text:?}");
        }
        for text in [
            "snapwarden owner=prod",
            "snapwarden owner= policy=web slot=2026-11-21T03:30:00Z",
            "snapwarden owner=prod policy=web slot=tomorrow",
            "snapwarden owner=prod policy=web slot=2026-11-21T03:30:00Z keep",
            "snapwarden owner=prod policy=web slot=2026-11-21T03:30:00Z until=",
            "snapwarden owner=prod  policy=web slot=2026-11-21T03:30:00Z",
            "snapwarden owner=pr/od policy=web slot=2026-11-21T03:30:00Z",
            "snapwarden owner=prod policy=web slot=2026-11-21T03:30Z",
            "snapwarden owner=prod policy=web slot=2026-11-21T04:30:00+01:00",
            "snapwarden owner=prod policy=web slot=2026-11-21t03:30:00z",
            "snapwarden owner=prod policy=web slot=2026-11-21T03:29:60Z",
            "snapwarden owner=prod policy=web slot=2026-11-21T03:30:00.000Z",
            "snapwarden owner=prod by=hand at=2026-11-21T03:30:00Z until=20261205T033000Z",
        ] {
            assert_eq!(Mark::read(text), Reading::Damaged, "{text:?}");
        }
    }
}
