//! How many restore points stay: the counts of a policy.

use std::fmt;

/// How many restore points of each period stay. Zero: the rule is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keep {
    /// The newest ones, whatever their age.
    pub last: u32,
    /// One for each of so many hours.
    pub hourly: u32,
    /// One for each of so many days.
    pub daily: u32,
    /// One for each of so many ISO weeks.
    pub weekly: u32,
    /// One for each of so many months.
    pub monthly: u32,
    /// One for each of so many years.
    pub yearly: u32,
}

/// A kind of period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Each item is a period of its own.
    Last,
    /// Hours.
    Hourly,
    /// Days.
    Daily,
    /// ISO weeks: Monday to Sunday.
    Weekly,
    /// Months.
    Monthly,
    /// Years.
    Yearly,
}

impl Rule {
    /// All rules, the finest first.
    pub const ALL: [Rule; 6] = [Rule::Last, Rule::Hourly, Rule::Daily, Rule::Weekly, Rule::Monthly, Rule::Yearly];

    /// The word used in the configuration and in reasons.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Rule::Last => "last",
            Rule::Hourly => "hourly",
            Rule::Daily => "daily",
            Rule::Weekly => "weekly",
            Rule::Monthly => "monthly",
            Rule::Yearly => "yearly",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Keep {
    /// Reads `last=2,daily=1`.
    ///
    /// # Errors
    /// Names the part that cannot be read.
    pub fn parse(text: &str) -> Result<Keep, KeepError> {
        let mut keep = Keep::default();
        let mut seen: Vec<Rule> = Vec::new();
        for part in text.split(',').map(str::trim) {
            let bad = || KeepError::Part { part: part.to_owned() };
            let (name, count) = part.split_once('=').ok_or_else(bad)?;
            let rule = Rule::ALL.into_iter().find(|rule| rule.as_str() == name.trim()).ok_or_else(bad)?;
            if seen.contains(&rule) {
                return Err(KeepError::Twice { rule });
            }
            seen.push(rule);
            *keep.count_mut(rule) = count.trim().parse().map_err(|_| bad())?;
        }
        Ok(keep)
    }

    /// The count of a rule.
    #[must_use]
    pub fn count(&self, rule: Rule) -> u32 {
        match rule {
            Rule::Last => self.last,
            Rule::Hourly => self.hourly,
            Rule::Daily => self.daily,
            Rule::Weekly => self.weekly,
            Rule::Monthly => self.monthly,
            Rule::Yearly => self.yearly,
        }
    }

    /// The rules that are present, the finest first, with their counts.
    pub fn rules(&self) -> impl DoubleEndedIterator<Item = (Rule, u32)> {
        let keep = *self;
        Rule::ALL.into_iter().map(move |rule| (rule, keep.count(rule))).filter(|(_, count)| *count > 0)
    }

    /// The counts of all rules, the finest first.
    #[inline]
    pub(super) fn counts(&self) -> [u32; Rule::ALL.len()] {
        [self.last, self.hourly, self.daily, self.weekly, self.monthly, self.yearly]
    }

    /// All counts together: never more items than this stay.
    #[must_use]
    pub fn sum(&self) -> u64 {
        Rule::ALL.into_iter().map(|rule| u64::from(self.count(rule))).sum()
    }

    /// Whether no rule is present, so that nothing stays.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Keep::default()
    }

    fn count_mut(&mut self, rule: Rule) -> &mut u32 {
        match rule {
            Rule::Last => &mut self.last,
            Rule::Hourly => &mut self.hourly,
            Rule::Daily => &mut self.daily,
            Rule::Weekly => &mut self.weekly,
            Rule::Monthly => &mut self.monthly,
            Rule::Yearly => &mut self.yearly,
        }
    }
}

/// As on the command line: `last=2,daily=1`; `nothing` where no rule is present.
impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing");
        }
        for (index, (rule, count)) in self.rules().enumerate() {
            write!(f, "{}{rule}={count}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

/// Why a text does not say what to keep.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeepError {
    /// Not a rule and its count.
    #[error("`{part}` is not a rule with its count, such as daily=2; the rules are last, hourly, daily, weekly, monthly and yearly")]
    Part {
        /// The part.
        part: String,
    },
    /// Named more than once.
    #[error("`{rule}` is named twice")]
    Twice {
        /// The rule.
        rule: Rule,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_form_is_read_and_shown() {
        let keep = Keep { last: 2, daily: 1, ..Keep::default() };
        assert_eq!(Keep::parse("last=2,daily=1"), Ok(keep));
        assert_eq!(Keep::parse(" daily = 1 , last = 2, yearly=0"), Ok(keep));
        assert_eq!(keep.to_string(), "last=2,daily=1");
        let all = Keep { last: 1, hourly: 2, daily: 3, weekly: 4, monthly: 5, yearly: 6 };
        assert_eq!(Keep::parse(&all.to_string()), Ok(all));
        assert_eq!(Keep::default().to_string(), "nothing");
    }

    #[test]
    fn an_error_names_the_part() {
        for part in ["", "last", "last=", "last=-1", "last=x", "lasts=1", "=1", "last=1=2", "Last=1", "last=5000000000"] {
            assert_eq!(Keep::parse(&format!("daily=1,{part}")), Err(KeepError::Part { part: part.to_owned() }));
        }
        assert_eq!(Keep::parse("last=1,last=1"), Err(KeepError::Twice { rule: Rule::Last }));
    }

    #[test]
    fn counts_are_added_without_overflow() {
        let keep = Keep { last: u32::MAX, yearly: u32::MAX, ..Keep::default() };
        assert_eq!(keep.sum(), 2 * u64::from(u32::MAX));
        assert_eq!(keep.rules().collect::<Vec<_>>(), [(Rule::Last, u32::MAX), (Rule::Yearly, u32::MAX)]);
        assert!(!keep.is_empty());
        assert!(Keep::default().is_empty());
    }
}
