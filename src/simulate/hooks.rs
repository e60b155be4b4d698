//! Hooks in the simulated world: how they end, and whether `after` ran whenever it had to.

use std::collections::BTreeMap;
use std::time::Duration;

use super::chance::Chance;
use crate::controller::Setup;
use crate::domain::gather::gather;
use crate::domain::hook::{HookCall, HookEnd, HookSide};
use crate::domain::inventory::{Kind, ServerId};
use crate::domain::plan::Order;
use crate::domain::policy::{Hooks, OnFailure};
use crate::domain::record::{HooksBegun, OpId, Record};
use crate::journal::Recollection;

/// What is owed at once may take so long until it is begun.
const SLACK: Duration = Duration::from_secs(1);

/// How hooks end. By default well, after a second.
#[derive(Debug, Clone, Copy)]
pub struct HookLuck {
    /// One in so many `before` fails; 0: none.
    pub before_fails: u64,
    /// One in so many `after` fails; 0: none.
    pub after_fails: u64,
    /// One in so many takes longer than it may; 0: none.
    pub hangs: u64,
    /// How long the others take at most.
    pub takes_max: Duration,
}

impl Default for HookLuck {
    fn default() -> HookLuck {
        HookLuck { before_fails: 0, after_fails: 0, hangs: 0, takes_max: Duration::from_secs(1) }
    }
}

impl HookLuck {
    /// How this one ends, and when.
    pub(super) fn draw(&self, call: &HookCall, chance: &mut Chance) -> (Duration, HookEnd) {
        let fails = if call.side == HookSide::Before { self.before_fails } else { self.after_fails };
        let hits = |one_in: u64, chance: &mut Chance| one_in > 0 && chance.one_in(one_in);
        if hits(self.hangs, chance) {
            return (call.hook.timeout, HookEnd::Failed("was killed at its timeout".to_owned()));
        }
        let takes = chance.between(Duration::from_millis(10), self.takes_max).min(call.hook.timeout);
        let end = if hits(fails, chance) { HookEnd::Failed("exited with status 1".to_owned()) } else { HookEnd::Done };
        (takes, end)
    }
}

/// The hooks around one create.
#[derive(Debug)]
struct Seen {
    begun: HooksBegun,
    on_failure: OnFailure,
    /// How `before` ended, in this process.
    before: Option<HookEnd>,
    /// `before` was started, so `after` has to follow until then.
    limit: Option<Duration>,
    afters_begun: u32,
    afters_ended: u32,
}

/// What one machine has done with hooks.
#[derive(Debug, Default)]
pub struct HookWatch {
    open: BTreeMap<OpId, Seen>,
    forgetful: bool,
    reloaded: bool,
    /// How many of each were begun.
    pub befores: u32,
    /// The same.
    pub afters: u32,
}

impl HookWatch {
    /// Records are durable.
    pub(super) fn durable(&mut self, records: &[Record], setup: &Setup) {
        for record in records {
            if let Record::HooksBegun(begun) = record {
                let on_failure =
                    hooks_of(setup, &begun.subject.policy, begun.subject.kind).map_or(OnFailure::Abort, |hooks| hooks.on_failure);
                let seen =
                    Seen { begun: HooksBegun::clone(begun), on_failure, before: None, limit: None, afters_begun: 0, afters_ended: 0 };
                self.open.entry(begun.op).or_insert(seen);
            }
        }
    }

    /// The program has decided that nothing is owed any more. Returns what is wrong with that.
    pub(super) fn decided(&mut self, records: &[Record]) -> Vec<String> {
        let mut wrong = Vec::new();
        for record in records {
            let Record::HooksEnded { op, .. } = record else { continue };
            if let Some(seen) = self.open.remove(op)
                && seen.limit.is_some()
                && seen.begun.after.is_some()
                && seen.afters_ended == 0
            {
                wrong.push(format!("H2: {op} counts as over although `after` has not run"));
            }
        }
        wrong
    }

    /// A hook is begun.
    pub(super) fn began(&mut self, call: &HookCall, time: Duration, setup: &Setup) -> Option<String> {
        let op = call.around.op;
        match call.side {
            HookSide::Before => self.befores += 1,
            HookSide::After => self.afters += 1,
        }
        let server = call.around.subject.server;
        // One that has failed is owed, too, as long as it is not decided that it is not tried again.
        let is_owed = |seen: &Seen| seen.limit.is_some() && seen.begun.after.is_some();
        let owed = self.open.iter().find(|(other, seen)| **other != op && seen.begun.subject.server == server && is_owed(seen));
        if let (HookSide::Before, Some((other, _))) = (call.side, owed) {
            return Some(format!("H7: `before` of {op} begins while `after` of {other} is owed"));
        }
        let Some(seen) = self.open.get_mut(&op) else {
            return (!self.forgetful).then(|| format!("H1: `{}` of {op} begins without a durable record", call.side.as_str()));
        };
        match call.side {
            HookSide::Before => {
                let subject = &seen.begun.subject;
                let hold = hooks_of(setup, &subject.policy, subject.kind).map(|hooks| hooks.max_hold).unwrap_or(Duration::MAX);
                let twice = seen.limit.replace(time.saturating_add(hold).saturating_add(SLACK)).is_some();
                twice.then(|| format!("H1: `before` of {op} begins twice"))
            }
            HookSide::After => {
                seen.afters_begun += 1;
                None
            }
        }
    }

    /// A hook has ended.
    pub(super) fn ended(&mut self, op: OpId, side: HookSide, end: &HookEnd) {
        if let Some(seen) = self.open.get_mut(&op) {
            match side {
                HookSide::Before => seen.before = Some(end.clone()),
                HookSide::After => seen.afters_ended += 1,
            }
        }
    }

    /// A create is sent. Returns what is wrong with that.
    pub(super) fn create(&self, setup: &Setup, server: ServerId, kind: Kind, order: &Order, time: Duration) -> Option<String> {
        let name = order.name.as_deref().unwrap_or(&order.description);
        let around = |seen: &&Seen| seen.begun.subject.server == server && seen.begun.subject.kind == kind && *seen.begun.name == *name;
        // The newest has the highest number.
        let Some(seen) = self.open.values().rev().find(around) else {
            let by_hand = name.ends_with("-hand") || name.contains("by=hand");
            let wanted = setup.wanted.policies.iter().any(|policy| policy.kind == kind && policy.hooks.is_some());
            return (wanted && !by_hand && !self.reloaded).then(|| format!("H3: {name} is made without its hooks"));
        };
        if seen.afters_begun > 0 {
            return Some(format!("H3: {name} is made although `after` has begun"));
        }
        if seen.limit.is_some_and(|limit| time + SLACK >= limit) {
            return Some(format!("H5: {name} is made although it was held for long enough"));
        }
        match &seen.before {
            Some(HookEnd::Failed(_)) if seen.on_failure == OnFailure::Abort => {
                Some(format!("H4: {name} is made although `before` has failed"))
            }
            Some(HookEnd::Stopped) => Some(format!("H4: {name} is made although `before` was stopped")),
            _ => None,
        }
    }

    /// What should have been begun by now and was not.
    pub(super) fn overdue(&self, time: Duration) -> Option<String> {
        let late = |seen: &&Seen| seen.begun.after.is_some() && seen.afters_begun == 0 && seen.limit.is_some_and(|limit| time > limit);
        let seen = self.open.values().find(late)?;
        Some(format!("H5: `after` of {} has not begun in time", seen.begun.op))
    }

    /// Whether `after` is still to come, or runs.
    #[must_use]
    pub fn is_owed(&self) -> bool {
        self.open.values().any(|seen| seen.limit.is_some() && seen.begun.after.is_some() && seen.afters_ended < seen.afters_begun.max(1))
    }

    /// A process begins: what it finds is owed at once, and once more, for nobody knows how far the last one came.
    pub(super) fn process_began(&mut self, past: &Recollection, time: Duration) {
        let owed = past.hooks.iter().map(|row| {
            let limit = Some(time + SLACK);
            let begun = row.begun.clone();
            (begun.op, Seen { begun, on_failure: OnFailure::Abort, before: None, limit, afters_begun: 0, afters_ended: 0 })
        });
        self.open = gather(owed);
    }

    pub(super) fn journal_lost(&mut self) {
        self.open.clear();
        self.forgetful = true;
    }

    pub(super) fn reloaded(&mut self) {
        self.reloaded = true;
    }
}

fn hooks_of<'a>(setup: &'a Setup, policy: &str, kind: Kind) -> Option<&'a Hooks> {
    setup.wanted.policies.iter().find(|known| *known.policy == *policy && known.kind == kind)?.hooks.as_ref()
}
