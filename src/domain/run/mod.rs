//! One run for one server and kind, as a state machine without I/O: `step(event) → effects` (contract §3).
//!
//! A run lasts for minutes and shares its listings with all the others, so it is no straight line: it says what it waits for ([`Want`]), and
//! whoever drives it lets it look again when there is something new.
//!
//! ```text
//! Planning ──► (Hooking) ──► Creating ──► Waiting ──► Pruning ──► (Closing) ──► ended
//!   │  ▲ └────── not sent, absent ─┘                  │   ▲
//!   ▼  │                                              └───┘ the next delete
//! Making room
//! ```
//!
//! `Hooking` and `Closing` are there only under a policy with hooks: the one waits for `before`, the other for `after`.

mod creating;
mod deleting;
mod hooking;
mod planning;
mod pruning;
mod refusal;
mod sight;
mod types;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::{Mono, Now};

use super::fact::{Fact, Target};
use super::inventory::ItemId;
use super::mark::Origin;
use super::plan::Order;
use super::policy_text::PolicyText;
use super::problem::{Problem, Reason, RunResult};
use super::record::{OpId, Record, RunId, Trigger};

use creating::Creating;
use deleting::Deleting;
use hooking::{Hooking, Hooks};
use pruning::Pruning;
pub use types::{ByHand, Context, Effect, Event, Outcome, Resume, ServerState, Setback, SetbackKind, Start, Want};
use waiting::Waiting;

/// So many creates are sent for one slot at most (contract §1).
pub const CREATES_MAX: u32 = 3;
/// So many times one delete is sent at most (F46).
pub const DELETES_SENT_MAX: u32 = 3;
/// So many listings that do not serve are looked at before a run gives up.
pub const LOOKS_MAX: u32 = 5;
/// So many times a request that never reached the provider is tried again within a run.
pub const UNSENT_MAX: u32 = 5;
/// The first pause after a request that never reached the provider; it doubles.
const UNSENT_PAUSE: Duration = Duration::from_secs(1);
/// A doubt is given up for this run after so many request timeouts; a later run takes it up again.
const DOUBT_TIMEOUTS_MAX: u32 = 20;

/// One run.
#[derive(Debug)]
pub struct Run {
    /// Its number in the journal.
    pub id: RunId,
    /// Of what.
    pub target: Target,
    /// What set it off.
    pub trigger: Trigger,
    /// What it is to make.
    pub order: Order,
    /// The origin in the mark of what it makes.
    pub origin: Origin,
    /// The configuration's generation that its plans are made under.
    pub generation: u64,
    /// When it began.
    pub started: Now,
    /// No create is begun after.
    pub deadline: Option<Timestamp>,
    /// Whether it may make room at the cap whatever the policy says, and prunes nothing afterwards (`take`).
    pub by_hand: Option<ByHand>,
    /// Whether another replica may have acted since its slot: then a create that is not there is not sent again.
    pub passed_over: bool,
    /// What it has made.
    pub created: Vec<ItemId>,
    /// What it has deleted.
    pub deleted: Vec<ItemId>,
    /// The item that it has given up waiting for.
    pub gave_up: Option<ItemId>,
    /// What it waits for.
    pub want: Want,
    problems: Vec<Problem>,
    phase: Phase,
    looks: u32,
    unsent: u32,
    owed: u32,
    extra_used: u32,
    /// What the guard has refused.
    refused: Option<String>,
    /// The hooks that have begun and whose `after` has not ended.
    hooks: Option<Hooks>,
    /// Why `after` did not end well.
    after_failed: Option<String>,
}

#[derive(Debug)]
enum Phase {
    Planning {
        not_before: Option<Mono>,
    },
    Room(Box<Deleting>),
    Hooking(Hooking),
    Creating(Creating),
    Waiting(Waiting),
    Pruning(Pruning),
    Settling(Box<Deleting>),
    /// Everything is done but `after`.
    Closing(RunResult, Option<String>),
    Ended,
}

/// What goes into one step besides the run: what it sees and what it asks for.
struct Step<'a, 'b> {
    ctx: &'a Context<'a>,
    next_op: &'b mut OpId,
    out: Vec<Effect>,
}

impl Step<'_, '_> {
    fn op(&mut self) -> OpId {
        let op = *self.next_op;
        self.next_op.0 += 1;
        op
    }

    fn record(&mut self, record: Record) {
        self.out.push(Effect::Record(record));
    }

    fn tell(&mut self, fact: Fact) {
        self.out.push(Effect::Tell(fact.into()));
    }

    /// Asks for an intent to be made durable, with the text of the policy that it names.
    fn intend(&mut self, op: OpId, text: Option<&Arc<PolicyText>>, intent: Record) {
        let text = text.map(|text| Record::PolicyText(Arc::clone(text)));
        self.out.push(Effect::Intend(op, text.into_iter().chain([intent]).collect()));
    }

    fn wall(&self) -> Timestamp {
        self.ctx.now.wall
    }
}

/// How many there are, for sums that never overflow.
fn count(items: &[ItemId]) -> u32 {
    u32::try_from(items.len()).unwrap_or(u32::MAX)
}

impl Run {
    /// A run that begins with planning.
    #[must_use]
    pub fn new(start: Start) -> Run {
        Run {
            id: start.id,
            target: start.target,
            trigger: start.trigger,
            order: start.order,
            origin: start.origin,
            generation: start.generation,
            started: start.started,
            deadline: start.deadline,
            by_hand: start.by_hand,
            passed_over: start.passed_over,
            created: Vec::new(),
            deleted: Vec::new(),
            gave_up: None,
            want: Want { wake: Some(start.started.mono), ..Want::default() },
            problems: Vec::new(),
            phase: Phase::Planning { not_before: None },
            looks: 0,
            unsent: 0,
            owed: 0,
            extra_used: 0,
            refused: None,
            hooks: None,
            after_failed: None,
        }
    }

    /// A run that goes on where an earlier process, or another replica, was interrupted.
    #[must_use]
    pub fn resumed(start: Start, resume: Resume, request_timeout: Duration) -> Run {
        let now = start.started;
        let mut run = Run::new(start);
        run.phase = match resume {
            Resume::CreateInDoubt(intent) => Phase::Creating(Creating::in_doubt(intent.op, now.mono, request_timeout)),
            Resume::DeleteInDoubt(intent, item) => Phase::Settling(Box::new(Deleting::in_doubt(&intent, *item, now.mono, request_timeout))),
            Resume::Waiting { op, item, age } => Phase::Waiting(Waiting::new(op, item, now.mono, age, request_timeout)),
        };
        run
    }

    /// The slot it is for.
    #[must_use]
    pub fn slot(&self) -> Option<Timestamp> {
        self.order.slot
    }

    /// Whether it holds, or will soon need, leave to make an item: from the first effect until the item is complete.
    #[must_use]
    pub fn is_making(&self) -> bool {
        matches!(self.phase, Phase::Room(_) | Phase::Hooking(_) | Phase::Creating(_) | Phase::Waiting(_))
    }

    /// Whether it is to decide what to make.
    #[must_use]
    pub fn is_planning(&self) -> bool {
        matches!(self.phase, Phase::Planning { .. })
    }

    /// Whether nothing has been sent yet, so that it can be dropped without a trace.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        self.is_planning() && self.deleted.is_empty() && self.created.is_empty()
    }

    /// Whether an answer or the journal is being waited for, so that the exchange in flight is to be finished first.
    #[must_use]
    pub fn is_in_flight(&self) -> bool {
        match &self.phase {
            Phase::Room(deleting) | Phase::Settling(deleting) => deleting.is_in_flight(),
            Phase::Pruning(pruning) => pruning.is_in_flight(),
            Phase::Creating(creating) => creating.is_in_flight(),
            Phase::Hooking(_) | Phase::Closing(..) => true,
            Phase::Planning { .. } | Phase::Waiting(_) | Phase::Ended => false,
        }
    }

    /// Whether no problem stands while the run goes on: then [`Run::standing`] has nothing to say.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.problems.is_empty() && self.doubt().is_none()
    }

    /// Problems that stand while the run goes on.
    #[must_use]
    pub fn standing(&self) -> Vec<Problem> {
        self.problems.iter().cloned().chain(self.doubt()).collect()
    }

    fn doubt(&self) -> Option<Problem> {
        match &self.phase {
            Phase::Creating(creating) => creating.doubt().map(|detail| Problem { reason: Reason::CreateUnknown, detail }),
            Phase::Room(deleting) | Phase::Settling(deleting) => deleting.doubt(),
            Phase::Pruning(pruning) => pruning.doubt(),
            Phase::Planning { .. } | Phase::Hooking(_) | Phase::Waiting(_) | Phase::Closing(..) | Phase::Ended => None,
        }
    }

    /// Lets the run react. What it waits for then is in [`Run::want`].
    pub fn step(&mut self, ctx: &Context<'_>, next_op: &mut OpId, event: Event) -> Vec<Effect> {
        let mut step = Step { ctx, next_op, out: Vec::new() };
        self.want = Want::default();
        self.note_hooks(&event);
        match std::mem::replace(&mut self.phase, Phase::Ended) {
            Phase::Planning { not_before } => self.plan(&mut step, not_before),
            Phase::Room(deleting) => self.make_room(&mut step, *deleting, event),
            Phase::Hooking(hooking) => self.hook(&mut step, hooking, event),
            Phase::Creating(creating) => self.create(&mut step, creating, event),
            Phase::Waiting(waiting) => self.wait(&mut step, waiting),
            Phase::Pruning(pruning) => self.prune(&mut step, pruning, event),
            Phase::Settling(deleting) => self.settle(&mut step, *deleting, event),
            Phase::Closing(result, error) => self.end(&mut step, result, error),
            Phase::Ended => {}
        }
        self.let_go(&mut step);
        step.out
    }

    /// Ends a run of which nothing has been sent yet: nobody waits for it any more.
    pub fn give_up(&mut self, ctx: &Context<'_>, next_op: &mut OpId, why: String) -> Vec<Effect> {
        let mut step = Step { ctx, next_op, out: Vec::new() };
        self.want = Want::default();
        self.end(&mut step, RunResult::Failure, Some(why));
        step.out
    }

    /// Ends the run, once `after` has ended. One of which the guard has refused a part, or whose `after` has failed, is no success.
    fn end(&mut self, step: &mut Step<'_, '_>, result: RunResult, error: Option<String>) {
        if self.hooks.is_some() {
            self.phase = Phase::Closing(result, error);
            return;
        }
        self.phase = Phase::Ended;
        let (result, error) = match self.refused.take().or(self.after_failed.take()) {
            Some(refused) if result == RunResult::Success => (RunResult::Failure, Some(refused)),
            _ => (result, error),
        };
        let problems = std::mem::take(&mut self.problems);
        let at = step.wall();
        step.record(Record::RunEnded { run: self.id, result, problems: problems.clone(), error: error.clone().map(Into::into), at });
        step.tell(Fact::RunEnded {
            target: self.target.clone(),
            run: self.id.0,
            slot: self.slot(),
            result,
            duration: step.ctx.now.mono.since(self.started.mono),
            created: self.created.clone(),
            deleted: self.deleted.clone(),
            problems: problems.clone(),
            error: error.clone(),
        });
        step.out.push(Effect::End(Outcome { result, problems, error }));
    }

    /// Ends the run with a problem that stands until a later run ends well.
    fn fail(&mut self, step: &mut Step<'_, '_>, reason: Reason, detail: String) {
        let result = if reason == Reason::CapFull || reason == Reason::ListingIncomplete { RunResult::Blocked } else { RunResult::Failure };
        self.note(Problem { reason, detail: detail.clone() });
        self.end(step, result, Some(detail));
    }

    /// The intent of a create or delete could not be written: nothing is sent.
    fn end_unrecorded(&mut self, step: &mut Step<'_, '_>, error: &str) {
        self.end(step, RunResult::Failure, Some(format!("the journal cannot be written, so nothing is sent: {error}")));
    }

    /// Keeps a problem for the end; the newest word on a reason holds.
    fn note(&mut self, problem: Problem) {
        self.problems.retain(|known| known.reason != problem.reason);
        self.problems.push(problem);
    }

    /// The pause after the how-manieth request that never reached the provider.
    fn unsent_pause(unsent: u32, asked: Option<Duration>) -> Duration {
        asked.unwrap_or_default().max(UNSENT_PAUSE.saturating_mul(1 << unsent.min(6)))
    }
}

#[cfg(test)]
mod tests;
