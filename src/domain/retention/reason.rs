//! What retention rules on an item, and why.

use std::fmt;

use super::{Keep, Rule};
use crate::domain::inventory::ItemId;

/// What becomes of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling {
    /// It stays.
    Keep(KeepReason),
    /// It need not stay.
    Drop(DropReason),
}

impl Ruling {
    /// Whether the candidate stays.
    #[must_use]
    pub fn is_keep(&self) -> bool {
        matches!(self, Ruling::Keep(_))
    }
}

/// The place that an item takes, shown as `daily 1` or `weekly 2 (oldest)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepReason {
    /// The rule that keeps it.
    pub rule: Rule,
    /// The how-manieth of that rule's items it is, from the newest on, from 1.
    pub ordinal: u32,
    /// It is kept because it is the oldest and the coarsest rule has counts left over.
    pub oldest: bool,
}

/// Why an item is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// Another item of the same slot counts.
    SecondOfSlot {
        /// That item: the one with the lowest number.
        counts: ItemId,
    },
    /// No rule has a place for it: each is used up, or has the newest item of the period already.
    NoPlace {
        /// The policy's counts.
        keep: Keep,
        /// The rules whose count newer items have used up.
        used_up: RuleSet,
    },
}

/// A set of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RuleSet(u8);

impl RuleSet {
    /// Adds a rule.
    pub fn insert(&mut self, rule: Rule) {
        self.0 |= 1 << rule as u8;
    }

    /// Whether a rule is in it.
    #[must_use]
    pub fn contains(self, rule: Rule) -> bool {
        self.0 & (1 << rule as u8) != 0
    }
}

impl fmt::Display for Ruling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ruling::Keep(reason) => reason.fmt(f),
            Ruling::Drop(reason) => reason.fmt(f),
        }
    }
}

impl fmt::Display for KeepReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.rule, self.ordinal, if self.oldest { " (oldest)" } else { "" })
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DropReason::SecondOfSlot { counts } => write!(f, "second item of one slot; {counts} counts"),
            DropReason::NoPlace { keep, .. } if keep.is_empty() => f.write_str("the policy keeps nothing"),
            DropReason::NoPlace { keep, used_up } => {
                for (index, (rule, count)) in keep.rules().enumerate() {
                    f.write_str(if index == 0 { "" } else { "; " })?;
                    write_no_place(f, rule, count, used_up.contains(rule))?;
                }
                Ok(())
            }
        }
    }
}

fn write_no_place(f: &mut fmt::Formatter<'_>, rule: Rule, count: u32, used_up: bool) -> fmt::Result {
    match (rule, used_up, count) {
        (Rule::Last, _, 1) => f.write_str("older than the newest"),
        (Rule::Last, _, _) => write!(f, "older than the {count} newest"),
        (_, true, 1) => write!(f, "the {rule} place is taken by a newer item"),
        (_, true, _) => write!(f, "the {count} {rule} places are taken by newer items"),
        (_, false, _) => write!(f, "a newer item stands for its {}", noun(rule)),
    }
}

fn noun(rule: Rule) -> &'static str {
    match rule {
        Rule::Last => "place",
        Rule::Hourly => "hour",
        Rule::Daily => "day",
        Rule::Weekly => "week",
        Rule::Monthly => "month",
        Rule::Yearly => "year",
    }
}
