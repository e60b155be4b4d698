//! The hooks around creates: from its durable intent on, `after` is owed, and is run whatever becomes of the run, the configuration or the process.
//!
//! A run says when `before` is to begin and when `after` may; here it is seen to that `after` does, at the latest at `max_hold`, at a stop, or at
//! the next start. While it is owed, nothing else is begun on the server.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::{Mono, Now};
use crate::domain::fact::{Fact, Target};
use crate::domain::hook::{HookCall, HookEnd, HookSide};
use crate::domain::inventory::ServerId;
use crate::domain::memory::TargetKey;
use crate::domain::policy::Hook;
use crate::domain::problem::{Problem, Reason};
use crate::domain::record::{HooksBegun, OpId, Record};
use crate::domain::run::Event;

use super::{Command, Controller};

/// So many times `after` is run until it ends well.
pub const AFTER_TRIES_MAX: u32 = 5;
/// The pause after it has failed for the first time; it doubles.
const AFTER_PAUSE: Duration = Duration::from_secs(10);

/// The hooks that have begun and not ended.
#[derive(Debug, Default)]
pub(super) struct Brackets {
    open: BTreeMap<OpId, Bracket>,
    /// Targets whose `after` did not end well, until it does or another run has ended.
    failed: BTreeMap<TargetKey, String>,
}

/// The hooks around one create.
#[derive(Debug)]
struct Bracket {
    begun: HooksBegun,
    stage: Stage,
    /// `after` is to run as soon as `before` has ended.
    let_go: bool,
    /// `max_hold` is over then.
    until: Option<Mono>,
    inherited: bool,
    tries: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing was started.
    Opened,
    /// `before` runs.
    Before,
    /// Between the two.
    Held,
    /// `after` runs.
    After,
    /// `after` has failed, and is tried again then.
    Pause(Mono),
}

impl Brackets {
    /// The intent is on its way.
    pub fn open(&mut self, begun: HooksBegun) {
        let bracket = Bracket { begun, stage: Stage::Opened, let_go: false, until: None, inherited: false, tries: 0 };
        self.open.insert(bracket.begun.op, bracket);
    }

    /// The intent could not be written: nothing was started.
    pub fn take_back(&mut self, op: OpId) {
        self.open.remove(&op);
    }

    /// All of them.
    pub fn all(&self) -> Vec<OpId> {
        self.open.keys().copied().collect()
    }

    /// Whether something is owed on a server.
    pub fn are_on(&self, server: ServerId) -> bool {
        self.open.values().any(|bracket| bracket.begun.subject.server == server)
    }

    /// Whether a stop has to wait. What has failed and is to be tried again is left to the next start.
    pub fn are_busy(&self) -> bool {
        self.open.values().any(|bracket| matches!(bracket.stage, Stage::Before | Stage::Held | Stage::After))
    }

    /// When there is something to do.
    pub fn next(&self) -> Option<Mono> {
        let times = self.open.values().filter_map(|bracket| match bracket.stage {
            Stage::Pause(at) => Some(at),
            _ => bracket.until.filter(|_| !bracket.let_go),
        });
        times.min()
    }

    /// How long what is owed may take.
    pub fn patience(&self) -> Duration {
        let hooks = self.open.values().filter(|bracket| !matches!(bracket.stage, Stage::Pause(_)));
        hooks.filter_map(|bracket| bracket.begun.after.as_ref()).map(|hook| hook.timeout).max().unwrap_or_default()
    }

    /// That `after` did not end well, and no run was there to take it in.
    pub fn failure_of(&self, key: TargetKey) -> Option<Problem> {
        self.failed.get(&key).map(|detail| Problem { reason: Reason::HookFailed, detail: detail.clone() })
    }

    /// A run of the target has ended: it has the last word.
    pub fn forget_failure(&mut self, key: TargetKey) {
        self.failed.remove(&key);
    }
}

impl Controller {
    /// What an earlier process owed.
    pub(super) fn inherit_hooks(&mut self) {
        for begun in self.memory.hooks.values() {
            let bracket = Bracket { begun: begun.clone(), stage: Stage::Held, let_go: true, until: None, inherited: true, tries: 0 };
            self.brackets.open.insert(begun.op, bracket);
        }
    }

    /// Runs `before`.
    pub(super) fn run_before(&mut self, now: Now, op: OpId, hook: Option<Hook>, max_hold: Duration) {
        let winds_down = self.winds_down();
        let Some(bracket) = self.brackets.open.get_mut(&op) else { return };
        let server = bracket.begun.subject.server;
        if winds_down {
            return self.step(now, server, Event::BeforeEnded(op, HookEnd::Stopped));
        }
        bracket.until = Some(now.mono.after(max_hold));
        let Some(mut hook) = hook else {
            bracket.stage = Stage::Held;
            return self.step(now, server, Event::BeforeEnded(op, HookEnd::Done));
        };
        bracket.stage = Stage::Before;
        hook.timeout = hook.timeout.min(max_hold);
        let call = HookCall { side: HookSide::Before, hook, around: bracket.begun.clone(), inherited: false };
        self.start_hook(call);
    }

    fn start_hook(&mut self, call: HookCall) {
        let (target, run) = (hooked(&call.around), call.around.run.0);
        self.tell(Fact::HookStarted { target, run, side: call.side });
        self.out.push(Command::Hook(Box::new(call)));
    }

    /// A run asks for `after`.
    pub(super) fn run_after(&mut self, now: Now, op: OpId) {
        let Some(bracket) = self.brackets.open.get_mut(&op) else { return };
        bracket.let_go = true;
        match bracket.stage {
            Stage::Opened => self.end_hooks(now, op, HookEnd::Done),
            Stage::Held => self.start_after(now, op),
            Stage::Before | Stage::After | Stage::Pause(_) => {}
        }
    }

    fn start_after(&mut self, now: Now, op: OpId) {
        let Some(bracket) = self.brackets.open.get_mut(&op) else { return };
        bracket.stage = Stage::After;
        let Some(hook) = bracket.begun.after.clone() else { return self.end_hooks(now, op, HookEnd::Done) };
        let call = HookCall { side: HookSide::After, hook, around: bracket.begun.clone(), inherited: bracket.inherited };
        self.start_hook(call);
    }

    /// Nothing is owed any more.
    fn end_hooks(&mut self, now: Now, op: OpId, end: HookEnd) {
        let Some(bracket) = self.brackets.open.remove(&op) else { return };
        let server = bracket.begun.subject.server;
        let error = match &end {
            HookEnd::Failed(error) => Some(error.as_str().into()),
            HookEnd::Done | HookEnd::Stopped => None,
        };
        self.append(Record::HooksEnded { op, error, at: now.wall });
        // In the next round: what runs there has to take this in first.
        self.ready.insert(server);
        self.tell_run(now, server, Event::AfterEnded(op, end));
    }

    /// After a stop only those hear of it that wait for nothing else: the others could begin something.
    fn tell_run(&mut self, now: Now, server: ServerId, event: Event) {
        if !self.winds_down() || self.runs.get(server).is_some_and(|run| run.is_in_flight()) {
            self.step(now, server, event);
        }
    }

    /// A hook has ended.
    pub(super) fn hook_ended(&mut self, now: Now, op: OpId, side: HookSide, end: HookEnd, output: String) {
        let Some(bracket) = self.brackets.open.get_mut(&op) else { return };
        let (target, run, server) = (hooked(&bracket.begun), bracket.begun.run.0, bracket.begun.subject.server);
        let key = (server, target.kind);
        let error = match &end {
            HookEnd::Done => None,
            HookEnd::Failed(error) => Some(error.clone()),
            HookEnd::Stopped => Some("was ended, because the program stops".to_owned()),
        };
        match side {
            HookSide::Before => bracket.stage = Stage::Held,
            HookSide::After => bracket.tries += 1,
        }
        let tries = bracket.tries;
        self.tell(Fact::HookEnded { target, run, side, error: error.clone(), output });
        match (side, error) {
            (HookSide::Before, _) => {
                let end = if self.winds_down() { HookEnd::Stopped } else { end };
                self.step(now, server, Event::BeforeEnded(op, end));
            }
            (HookSide::After, None) => {
                self.brackets.failed.remove(&key);
                self.end_hooks(now, op, end);
            }
            (HookSide::After, Some(error)) => self.after_failed(now, op, key, tries, error),
        }
        self.tell_problems(now, key);
    }

    /// It is tried again, for something may still be frozen. The run is told at once: it waits for nothing but the first end.
    fn after_failed(&mut self, now: Now, op: OpId, key: TargetKey, tries: u32, error: String) {
        self.brackets.failed.insert(key, format!("`after` {error}"));
        if tries >= AFTER_TRIES_MAX {
            return self.end_hooks(now, op, HookEnd::Failed(error));
        }
        let pause = AFTER_PAUSE.saturating_mul(1 << (tries.max(1) - 1));
        if let Some(bracket) = self.brackets.open.get_mut(&op) {
            bracket.stage = Stage::Pause(now.mono.after(pause));
        }
        self.tell_run(now, key.0, Event::AfterEnded(op, HookEnd::Failed(error)));
    }

    /// Sees to it that `after` runs where its time has come.
    pub(super) fn tend_hooks(&mut self, now: Now) {
        let winds_down = self.winds_down();
        for op in self.brackets.all() {
            let Some(bracket) = self.brackets.open.get_mut(&op) else { continue };
            let server = bracket.begun.subject.server;
            if !bracket.let_go && bracket.until.is_some_and(|until| until <= now.mono) {
                bracket.let_go = true;
                self.tell_run(now, server, Event::HoldOver(op));
            }
            let in_flight = self.runs.get(server).is_some_and(|run| run.is_in_flight());
            let Some(bracket) = self.brackets.open.get(&op) else { continue };
            let due = match bracket.stage {
                Stage::Held => bracket.let_go || winds_down && !in_flight,
                Stage::Pause(at) => at <= now.mono && !self.stopping,
                Stage::Opened | Stage::Before | Stage::After => false,
            };
            if due {
                self.start_after(now, op);
            }
        }
    }

    /// No create follows any more: what prepares one is ended.
    pub(super) fn stop_hooks(&mut self) {
        let running = self.brackets.open.iter().filter(|(_, bracket)| bracket.stage == Stage::Before);
        self.out.extend(running.map(|(op, _)| Command::StopHook(*op)));
    }

    /// How long a stop may have to wait for hooks.
    #[must_use]
    pub fn hook_patience(&self) -> Duration {
        self.brackets.patience()
    }

    /// Whether a hook runs, or is owed at once.
    #[must_use]
    pub fn owes_hooks(&self) -> bool {
        self.brackets.are_busy()
    }

    /// Whether hooks are all that is left to be done: one that has failed is tried again, unless all is to stop.
    #[must_use]
    pub fn has_hooks_left(&self) -> bool {
        !self.stopping && self.runs.is_empty() && self.brackets.open.values().any(|bracket| bracket.stage != Stage::Opened)
    }
}

/// The target of hooks, by the names of the time when they began.
fn hooked(begun: &HooksBegun) -> Target {
    let subject = &begun.subject;
    Target { server: subject.server, server_name: (*subject.server_name).into(), kind: subject.kind, policy: (*subject.policy).into() }
}
