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

    /// The reason as it is told to people, to be read after the verdict and a colon.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Ruling::Keep(reason) => reason.sentence(),
            Ruling::Drop(reason) => reason.sentence(),
        }
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

impl KeepReason {
    fn sentence(&self) -> String {
        match self {
            KeepReason { oldest: true, rule, ordinal } => format!("the oldest, as long as {rule} has a place left ({rule} {ordinal})"),
            KeepReason { rule: Rule::Last, ordinal: 1, .. } => format!("the newest ({self})"),
            KeepReason { rule: Rule::Last, .. } => format!("among the newest ({self})"),
            KeepReason { rule, .. } => format!("the newest left of its {} ({self})", noun(*rule)),
        }
    }
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

impl DropReason {
    fn sentence(&self) -> String {
        match self {
            DropReason::SecondOfSlot { counts } => format!("a second item of one slot, for which {counts} counts"),
            DropReason::NoPlace { keep, .. } if keep.is_empty() => "the policy keeps nothing".to_owned(),
            DropReason::NoPlace { keep, used_up } => {
                let part = |(rule, count): (Rule, u32)| match (rule, count) {
                    (Rule::Last, 1) => "older than the newest".to_owned(),
                    (Rule::Last, count) => format!("older than the {count} newest"),
                    _ if used_up.contains(rule) => format!("no {rule} place left"),
                    _ => format!("a newer one stands for its {}", noun(rule)),
                };
                let mut parts: Vec<String> = keep.rules().map(part).collect();
                let last = parts.pop().unwrap_or_default();
                if parts.is_empty() { last } else { format!("{} and {last}", parts.join(", ")) }
            }
        }
    }
}

/// A set of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RuleSet(u8);

impl RuleSet {
    /// Adds a rule.
    #[inline]
    pub fn insert(&mut self, rule: Rule) {
        self.0 |= 1 << rule as u8;
    }

    /// Whether a rule is in it.
    #[must_use]
    #[inline]
    pub fn contains(self, rule: Rule) -> bool {
        self.0 & (1 << rule as u8) != 0
    }

    /// Those that are not in the other one.
    #[must_use]
    #[inline]
    pub fn without(self, other: RuleSet) -> RuleSet {
        RuleSet(self.0 & !other.0)
    }

    /// The finest of them.
    #[must_use]
    #[inline]
    pub fn finest(self) -> Option<Rule> {
        Rule::ALL.get(self.0.trailing_zeros() as usize).copied()
    }

    /// The coarsest of them.
    #[must_use]
    #[inline]
    pub fn coarsest(self) -> Option<Rule> {
        Rule::ALL.get(self.0.checked_ilog2()? as usize).copied()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(rule: Rule, ordinal: u32, oldest: bool) -> String {
        Ruling::Keep(KeepReason { rule, ordinal, oldest }).sentence()
    }

    fn dropped(keep: Keep, used_up: &[Rule]) -> String {
        let mut set = RuleSet::default();
        used_up.iter().for_each(|rule| set.insert(*rule));
        Ruling::Drop(DropReason::NoPlace { keep, used_up: set }).sentence()
    }

    #[test]
    fn what_is_kept_is_told_with_its_place() {
        assert_eq!(kept(Rule::Last, 1, false), "the newest (last 1)");
        assert_eq!(kept(Rule::Last, 3, false), "among the newest (last 3)");
        assert_eq!(kept(Rule::Daily, 2, false), "the newest left of its day (daily 2)");
        assert_eq!(kept(Rule::Weekly, 2, true), "the oldest, as long as weekly has a place left (weekly 2)");
    }

    #[test]
    fn what_is_dropped_is_told_rule_by_rule() {
        let keep = Keep { last: 2, daily: 1, monthly: 1, ..Keep::default() };
        assert_eq!(
            dropped(Keep { last: 2, daily: 1, ..Keep::default() }, &[Rule::Daily]),
            "older than the 2 newest and no daily place left"
        );
        assert_eq!(dropped(keep, &[Rule::Daily]), "older than the 2 newest, no daily place left and a newer one stands for its month");
        assert_eq!(dropped(Keep { last: 1, ..Keep::default() }, &[]), "older than the newest");
        assert_eq!(dropped(Keep::default(), &[]), "the policy keeps nothing");
        let second = Ruling::Drop(DropReason::SecondOfSlot { counts: ItemId(7) });
        assert_eq!(second.sentence(), "a second item of one slot, for which 7 counts");
    }
}
