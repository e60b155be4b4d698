//! A policy as text: what was in force when something was done, for those who ask later.
//!
//! It is written as the configuration would say it, with every default spelled out, so that it can be read beside a file, and checked or simulated
//! again. The arguments of hooks are left out: they may hold secrets, and decide nothing about what is deleted.

use std::fmt::{self, Write};
use std::hash::Hasher;
use std::time::Duration;

use siphasher::sip128::{Hasher128, SipHasher13};

use super::globs::Globs;
use super::inventory::Kind;
use super::policy::{AfterOn, AtCap, Hook, Hooks, KindPolicy, OnFailure};
use super::retention::Keep;

/// What stands in the place of an argument.
const HIDDEN: &str = "***";

/// Tells one text from another: SipHash-1-3 of 128 bits, shown as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TextDigest(u128);

impl TextDigest {
    /// Reads what [`TextDigest`] shows.
    #[must_use]
    pub fn parse(text: &str) -> Option<TextDigest> {
        let is_digest = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'));
        is_digest.then(|| u128::from_str_radix(text, 16).ok().map(TextDigest)).flatten()
    }
}

impl fmt::Display for TextDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A text with its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyText {
    digest: TextDigest,
    text: Box<str>,
}

impl PolicyText {
    /// The text of a policy for one kind, as it is in force for a server.
    #[must_use]
    pub fn of(policy: &KindPolicy) -> PolicyText {
        let mut text = String::with_capacity(512);
        // A String takes all that is written.
        let _: fmt::Result = write_policy(&mut text, policy);
        PolicyText::new(text)
    }

    /// Any text.
    #[must_use]
    pub fn new(text: impl Into<Box<str>>) -> PolicyText {
        let text = text.into();
        let mut hasher = SipHasher13::new();
        hasher.write(text.as_bytes());
        PolicyText { digest: TextDigest(hasher.finish128().as_u128()), text }
    }

    /// Its digest.
    #[must_use]
    pub fn digest(&self) -> TextDigest {
        self.digest
    }

    /// The text: lines of YAML.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

fn write_policy(out: &mut String, policy: &KindPolicy) -> fmt::Result {
    let section = match policy.kind {
        Kind::Snapshot => "snapshots",
        Kind::Backup => "backups",
    };
    let zone = policy.schedule.time_zone().iana_name().unwrap_or("UTC");
    writeln!(out, "policies:\n  {}:\n    {section}:", policy.policy)?;
    let mut line = |key: &str, value: &dyn fmt::Display| writeln!(out, "      {key}: {value}");
    line("schedule", &List(policy.schedule.texts().collect()))?;
    line("timezone", &Quoted(zone))?;
    line("splay", &Span(policy.splay))?;
    line("catch_up", &Span(policy.catch_up))?;
    line("keep", &Rules(policy.keep))?;
    line("leave_free", &policy.leave_free)?;
    line("at_cap", &at_cap(policy.at_cap))?;
    line("adopt", &patterns(&policy.adopt))?;
    line("protect", &patterns(&policy.protect))?;
    line("min_keep", &policy.min_keep)?;
    line("stuck_after", &Span(policy.stuck_after))?;
    policy.hooks.as_ref().map_or(Ok(()), |hooks| write_hooks(out, hooks))
}

fn write_hooks(out: &mut String, hooks: &Hooks) -> fmt::Result {
    writeln!(out, "      hooks:")?;
    let mut line = |key: &str, value: &dyn fmt::Display| writeln!(out, "        {key}: {value}");
    for (key, hook) in [("before", &hooks.before), ("after", &hooks.after)] {
        hook.as_ref().map_or(Ok(()), |hook| line(key, &Command(hook)))?;
    }
    let after_on = match hooks.after_on {
        AfterOn::Accepted => "accepted",
        AfterOn::Completed => "completed",
    };
    let on_failure = match hooks.on_failure {
        OnFailure::Abort => "abort",
        OnFailure::Continue => "continue",
    };
    line("after_on", &after_on)?;
    line("max_hold", &Span(hooks.max_hold))?;
    line("on_failure", &on_failure)
}

fn at_cap(at_cap: AtCap) -> &'static str {
    match at_cap {
        AtCap::Rotate => "rotate",
        AtCap::Refuse => "refuse",
    }
}

fn patterns(globs: &Globs) -> List<'_> {
    List(globs.texts().collect())
}

/// `["a", "b"]`
struct List<'a>(Vec<&'a str>);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('[')?;
        for (index, text) in self.0.iter().enumerate() {
            write!(f, "{}{}", if index == 0 { "" } else { ", " }, Quoted(text))?;
        }
        f.write_char(']')
    }
}

/// A text in quotes, on one line whatever is in it, and without anything that is not seen.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                ' ' => f.write_char(c)?,
                _ if c.is_ascii_graphic() || c.is_alphanumeric() => f.write_char(c)?,
                _ if u32::from(c) <= 0xFFFF => write!(f, "\\u{:04x}", u32::from(c))?,
                _ => write!(f, "\\U{:08x}", u32::from(c))?,
            }
        }
        f.write_char('"')
    }
}

/// `{last: 2, daily: 1}`
struct Rules(Keep);

impl fmt::Display for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('{')?;
        for (index, (rule, count)) in self.0.rules().enumerate() {
            write!(f, "{}{rule}: {count}", if index == 0 { "" } else { ", " })?;
        }
        f.write_char('}')
    }
}

/// The program, and how many arguments it has.
struct Command<'a>(&'a Hook);

impl fmt::Display for Command<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let program = self.0.run.iter().take(1).map(String::as_str);
        let words = program.chain(self.0.run.iter().skip(1).map(|_| HIDDEN));
        write!(f, "{{run: {}, timeout: {}}}", List(words.collect()), Span(self.0.timeout))
    }
}

/// `1d 2h`: days are the largest unit, for months and years have no fixed length.
struct Span(Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let nanos = u64::from(self.0.subsec_nanos());
        let parts = [
            (seconds / 86_400, "d"),
            (seconds / 3600 % 24, "h"),
            (seconds / 60 % 60, "m"),
            (seconds % 60, "s"),
            (nanos / 1_000_000, "ms"),
            (nanos / 1000 % 1000, "us"),
            (nanos % 1000, "ns"),
        ];
        let mut first = true;
        for (count, unit) in parts.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, "{}{count}{unit}", if first { "" } else { " " })?;
            first = false;
        }
        if first { f.write_str("0s") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::tz::TimeZone;

    use super::super::policy::TextOnce;
    use super::super::schedule::{Expression, Schedule};
    use super::*;

    fn policy() -> KindPolicy {
        let nightly = Arc::new(Expression::parse("30 3 * * *").unwrap());
        KindPolicy {
            policy: "web".into(),
            kind: Kind::Snapshot,
            schedule: Arc::new(Schedule::new(vec![nightly], TimeZone::get("Europe/Oslo").unwrap())),
            splay: Duration::ZERO,
            catch_up: Duration::from_millis(93_784_005),
            keep: Keep { last: 2, weekly: 1, ..Keep::default() },
            leave_free: 1,
            at_cap: AtCap::Rotate,
            adopt: Globs::new(&["a \"b\"\n\u{202e}\u{1f600}", "ä*"]).unwrap(),
            protect: Globs::none(),
            min_keep: 1,
            stuck_after: Duration::from_secs(3600),
            hooks: None,
            text: TextOnce::default(),
        }
    }

    #[test]
    fn everything_that_is_in_force_is_spelled_out() {
        let expected = "policies:\n  web:\n    snapshots:\n      schedule: [\"30 3 * * *\"]\n      timezone: \"Europe/Oslo\"\n      splay: 0s\n      \
                        catch_up: 1d 2h 3m 4s 5ms\n      keep: {last: 2, weekly: 1}\n      leave_free: 1\n      at_cap: rotate\n      \
                        adopt: [\"a \\\"b\\\"\\u000a\\u202e\\U0001f600\", \"ä*\"]\n      protect: []\n      min_keep: 1\n      stuck_after: 1h\n";
        assert_eq!(PolicyText::of(&policy()).text(), expected);
    }

    /// A command line is where passwords are found.
    #[test]
    fn arguments_of_hooks_are_not_shown() {
        let hook = |run: &[&str]| Hook { run: run.iter().map(|word| (*word).to_owned()).collect(), timeout: Duration::from_secs(60) };
        let hooks = Hooks {
            before: Some(hook(&["/usr/bin/freeze", "--password", "hunter2"])),
            after: Some(hook(&["/usr/bin/thaw"])),
            after_on: AfterOn::Accepted,
            max_hold: Duration::from_secs(900),
            on_failure: OnFailure::Abort,
        };
        let text = PolicyText::of(&KindPolicy { hooks: Some(hooks), ..policy() });
        let expected = "      hooks:\n        before: {run: [\"/usr/bin/freeze\", \"***\", \"***\"], timeout: 1m}\n        \
                        after: {run: [\"/usr/bin/thaw\"], timeout: 1m}\n        after_on: accepted\n        max_hold: 15m\n        on_failure: abort\n";
        assert!(text.text().ends_with(expected), "{}", text.text());
    }

    #[test]
    fn two_policies_that_differ_have_two_digests_and_equal_ones_one() {
        let digest = |policy: &KindPolicy| PolicyText::of(policy).digest();
        assert_eq!(digest(&policy()), digest(&policy()));
        assert_ne!(digest(&policy()), digest(&KindPolicy { min_keep: 2, ..policy() }));
        assert_ne!(digest(&policy()), digest(&KindPolicy { kind: Kind::Backup, ..policy() }));
    }

    #[test]
    fn a_policy_keeps_its_text_and_a_clone_of_it_makes_its_own() {
        let policy = policy();
        assert!(Arc::ptr_eq(policy.text(), policy.text()));
        let other = KindPolicy { min_keep: 2, ..policy.clone() };
        assert_eq!((&**policy.text(), &**other.text()), (&PolicyText::of(&policy), &PolicyText::of(&other)));
        assert_ne!(policy.text(), other.text());
    }

    #[test]
    fn a_digest_is_read_as_it_is_shown() {
        let digest = PolicyText::new("").digest();
        assert_eq!((digest.to_string().len(), TextDigest::parse(&digest.to_string())), (32, Some(digest)));
        for wrong in ["", "12", "+1b5c00000000000000000000000000f", "XYZ5c00000000000000000000000000f"] {
            assert_eq!(TextDigest::parse(wrong), None, "{wrong}");
        }
    }
}
