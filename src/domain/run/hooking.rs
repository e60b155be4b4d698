//! The hooks around a create: `before` right before it is sent, `after` once the policy says so, and in any case before the run ends.
//!
//! From its intent on, `after` is owed, and the controller runs it whatever becomes of the run. The run only says when it may.

use super::super::hook::HookEnd;
use super::super::policy::{AfterOn, OnFailure};
use super::super::problem::{Problem, Reason, RunResult};
use super::super::record::{HooksBegun, OpId, Record};
use super::creating::Creating;
use super::{Effect, Event, Phase, Run, Step};

/// Why a create is not sent.
pub(super) const HELD_TOO_LONG: &str = "`max_hold` passed before the create was sent";

/// Hooks that have begun.
#[derive(Debug)]
pub(super) struct Hooks {
    op: OpId,
    after_on: AfterOn,
    on_failure: OnFailure,
    /// `after` was asked for, or runs because it had to.
    let_go: bool,
}

/// What is waited for before the create.
#[derive(Debug)]
pub(super) enum Hooking {
    /// The intent is being written.
    Recording,
    /// `before` runs.
    Before,
}

impl Run {
    /// Begins the create: with `before` where there are hooks. What a person makes by hand is no run of the policy's, and has none.
    pub(super) fn begin_create(&mut self, step: &mut Step<'_, '_>) {
        let Some(policy) = step.ctx.policy.filter(|policy| policy.hooks.is_some() && self.by_hand.is_none()) else {
            self.phase = Phase::Creating(Creating::begin(self, step));
            return;
        };
        let Some(hooks) = &policy.hooks else { return };
        let op = step.op();
        let begun = HooksBegun {
            op,
            run: self.id,
            subject: (&self.target).into(),
            slot: self.slot(),
            name: self.order.title().into(),
            after: hooks.after.clone(),
            at: step.wall(),
        };
        step.out.push(Effect::Intend(op, vec![Record::HooksBegun(begun.into())]));
        self.hooks = Some(Hooks { op, after_on: hooks.after_on, on_failure: hooks.on_failure, let_go: false });
        self.phase = Phase::Hooking(Hooking::Recording);
    }

    /// Whether the `after` of an earlier create still runs, so that no other may begin.
    pub(super) fn after_is_owed(&self) -> bool {
        self.hooks.is_some()
    }

    pub(super) fn hook(&mut self, step: &mut Step<'_, '_>, hooking: Hooking, event: Event) {
        let Some(Hooks { op, on_failure, .. }) = self.hooks else { return };
        let before = step.ctx.policy.and_then(|policy| policy.hooks.as_ref());
        match (&hooking, event, before) {
            (Hooking::Recording, Event::Recorded(recorded), Some(hooks)) if recorded == op => {
                step.out.push(Effect::Before { op, hook: hooks.before.clone(), max_hold: hooks.max_hold });
                self.phase = Phase::Hooking(Hooking::Before);
            }
            (Hooking::Recording, Event::Recorded(recorded), None) if recorded == op => {
                self.end(step, RunResult::Skipped, Some("the hooks have left the configuration".to_owned()));
            }
            (Hooking::Recording, Event::NotRecorded(recorded, error), _) if recorded == op => {
                self.hooks = None;
                self.end_unrecorded(step, &error);
            }
            (Hooking::Before, Event::BeforeEnded(ended, end), _) if ended == op => self.before_ended(step, on_failure, end),
            _ => self.phase = Phase::Hooking(hooking),
        }
    }

    fn before_ended(&mut self, step: &mut Step<'_, '_>, on_failure: OnFailure, end: HookEnd) {
        match end {
            HookEnd::Stopped => return self.end(step, RunResult::Failure, Some("stopped before the create was sent".to_owned())),
            HookEnd::Failed(error) => {
                let detail = format!("`before` {error}");
                if on_failure == OnFailure::Abort {
                    return self.fail(step, Reason::HookFailed, detail);
                }
                self.note(Problem { reason: Reason::HookFailed, detail });
            }
            HookEnd::Done => {}
        }
        // It may have taken a while.
        if step.ctx.policy.is_none() {
            return self.end(step, RunResult::Skipped, Some("the server has left the configuration".to_owned()));
        }
        if !self.in_time(step.wall()) {
            return self.end(step, RunResult::Failure, Some("`before` took so long that it is too late for the create".to_owned()));
        }
        if !self.is_held() {
            return self.fail(step, Reason::HookFailed, HELD_TOO_LONG.to_owned());
        }
        self.phase = Phase::Creating(Creating::begin(self, step));
    }

    /// Takes in what concerns hooks in whatever phase.
    pub fn note_hooks(&mut self, event: &Event) {
        let Some(hooks) = &mut self.hooks else { return };
        match event {
            Event::HoldOver(op) if *op == hooks.op => hooks.let_go = true,
            Event::AfterEnded(op, end) if *op == hooks.op => {
                self.hooks = None;
                if let HookEnd::Failed(error) = end {
                    let detail = format!("`after` {error}");
                    self.after_failed = Some(detail.clone());
                    self.note(Problem { reason: Reason::HookFailed, detail });
                }
            }
            _ => {}
        }
    }

    /// Whether what `before` has done still holds. Once `max_hold` has passed, or `after` has ended, no create is sent any more.
    pub(super) fn is_held(&self) -> bool {
        self.hooks.as_ref().is_some_and(|hooks| !hooks.let_go)
    }

    /// Asks for `after` where the create has come so far, or has come to nothing.
    pub(super) fn let_go(&mut self, step: &mut Step<'_, '_>) {
        let Some(hooks) = &mut self.hooks else { return };
        let holds = match &self.phase {
            Phase::Hooking(_) => true,
            Phase::Creating(creating) => creating.is_in_flight() || hooks.after_on == AfterOn::Completed,
            Phase::Waiting(_) => hooks.after_on == AfterOn::Completed,
            _ => false,
        };
        if !holds && !hooks.let_go {
            hooks.let_go = true;
            step.out.push(Effect::After(hooks.op));
        }
    }
}
