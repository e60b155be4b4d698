//! One run for one server and kind, as a state machine without I/O: `step(event) → effects` (contract §3).
//!
//! A run lasts for minutes and shares its listings with all the others, so it is no straight line: it says what it waits for ([`Want`]), and
//! whoever drives it lets it look again when there is something new.
//!
//! ```text
//! Planning ──► Making room ──► Creating ──► Waiting ──► Pruning ──► ended
//!     └───────────────────────────▲
//! ```

mod creating;
mod deleting;
mod planning;
mod pruning;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::{Mono, Now};

use super::assess::Knowledge;
use super::fact::{Fact, Target};
use super::guard;
use super::inventory::{Item, ItemId};
use super::mark::Origin;
use super::memory::TargetMemory;
use super::plan::{Allowance, Ground, Order};
use super::policy::{KindPolicy, Wanted};
use super::problem::{Problem, Reason, RunResult};
use super::record::{CreateIntent, DeleteIntent, OpId, Record, RunId, Subject, Trigger};
use super::view::{Inventory, View};

use creating::Creating;
use deleting::Deleting;
use pruning::Pruning;

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
    /// What it has made.
    pub created: Vec<ItemId>,
    /// What it has deleted.
    pub deleted: Vec<ItemId>,
    /// What it waits for.
    pub want: Want,
    problems: Vec<Problem>,
    phase: Phase,
    looks: u32,
    unsent: u32,
    owed: u32,
    extra_used: u32,
}

/// What is different for an item made by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByHand {
    /// Whether an item may be given at the cap.
    pub make_room: bool,
}

#[derive(Debug)]
enum Phase {
    Planning { not_before: Option<Mono> },
    Room(Deleting),
    Creating(Creating),
    Waiting(Waiting),
    Pruning(Pruning),
    Settling(Deleting),
    Ended,
}

/// An item that is being made.
#[derive(Debug)]
struct Waiting {
    op: Option<OpId>,
    item: ItemId,
    since: Mono,
    /// How old it was then.
    age: Duration,
    absence: Absence,
}

impl Waiting {
    fn new(op: Option<OpId>, item: ItemId, since: Mono, age: Duration, request_timeout: Duration) -> Waiting {
        Waiting { op, item, since, age, absence: Absence::new(since, request_timeout) }
    }
}

/// Proof that something does not exist: missing from two complete listings begun long enough after the sending (contract §3).
#[derive(Debug, Clone, Copy)]
struct Absence {
    from: Mono,
    last: Option<Mono>,
    count: u32,
}

impl Absence {
    fn new(sent: Mono, request_timeout: Duration) -> Absence {
        Absence { from: sent.after(request_timeout.saturating_mul(2)), last: None, count: 0 }
    }

    /// Notes a complete listing that does not show it. Returns whether that is proof.
    fn note(&mut self, begun: Mono) -> bool {
        if begun >= self.from && self.last != Some(begun) {
            self.last = Some(begun);
            self.count += 1;
        }
        self.count >= 2
    }
}

/// What a run waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Want {
    /// A listing begun at this time or later.
    pub listing: Option<Mono>,
    /// Not only with the next poll.
    pub urgent: bool,
    /// The state of the servers, begun at this time or later.
    pub servers: Option<Mono>,
    /// Leave to make an item.
    pub permit: bool,
    /// To be looked at again then.
    pub wake: Option<Mono>,
}

/// What a run may look at.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Both clocks.
    pub now: Now,
    /// What is wanted.
    pub wanted: &'a Wanted,
    /// The digest of the configuration's text.
    pub config: &'a str,
    /// The configuration's generation.
    pub generation: u64,
    /// The policy for the target; none once it has left the configuration.
    pub policy: Option<&'a KindPolicy>,
    /// How long one exchange may take.
    pub request_timeout: Duration,
    /// The newest listing of the kind.
    pub inventory: Option<&'a Inventory>,
    /// What the past says of the target.
    pub memory: &'a TargetMemory,
    /// Extra deletes within the last 24 hours, of all servers.
    pub extras_last_day: u32,
    /// When something was last sent to the server, or answered by it.
    pub last_write: Option<Mono>,
    /// What is known of the server.
    pub server: ServerState<'a>,
    /// Items that are never deleted.
    pub protected: &'a [ItemId],
    /// Items that an operator holds.
    pub held: &'a BTreeMap<ItemId, Timestamp>,
    /// Whether leave to make an item is given.
    pub permit: bool,
}

/// What is known of a server besides its items.
#[derive(Debug, Clone, Copy)]
pub struct ServerState<'a> {
    /// The provider does not know it.
    pub missing: bool,
    /// The provider's name, where it is not the configured one.
    pub other_name: Option<&'a str>,
    /// It is being restored.
    pub restoring: bool,
    /// When the state of the servers was last asked for; none where the provider does not tell it at all.
    pub seen: Option<Mono>,
    /// Whether the provider tells the state of the servers.
    pub told: bool,
    /// Why nothing may be deleted there for now, for a reason that outlasts this listing (an account-wide doubt, or too few clean listings).
    pub freeze: Option<&'a Problem>,
}

/// Something for a run to react to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// There may be something new: a listing, a permit, a time that has come.
    Look,
    /// The intent of this operation is durable.
    Recorded(OpId),
    /// The intent of this operation could not be written.
    NotRecorded(OpId, String),
    /// The answer to a create.
    CreateAnswered(OpId, Result<Item, Setback>),
    /// The answer to a delete; that the item is not there is a success.
    DeleteAnswered(OpId, Result<(), Setback>),
}

/// How a write went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setback {
    /// What it means.
    pub kind: SetbackKind,
    /// What came, in words.
    pub text: String,
    /// How long the provider asks to be left alone, if it says.
    pub pause: Option<Duration>,
}

/// What a failed write means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetbackKind {
    /// It never reached the provider, or was turned away unread.
    NotSent,
    /// The provider says no.
    Refused,
    /// The provider does not know the server.
    ServerMissing,
    /// It may have been done.
    Doubtful,
}

/// What a run asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Make this durable; [`Event::Recorded`] answers.
    Intend(OpId, Record),
    /// Write this down.
    Record(Record),
    /// Send the create.
    SendCreate {
        /// Which.
        op: OpId,
        /// What to make.
        order: Order,
    },
    /// Send the delete.
    SendDelete {
        /// Which.
        op: OpId,
        /// What goes.
        item: ItemId,
    },
    /// Tell this.
    Tell(Fact),
    /// The item is no longer being made: leave to make one is given back.
    Release,
    /// The run is over.
    End(Outcome),
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// In one word.
    pub result: RunResult,
    /// What stands.
    pub problems: Vec<Problem>,
    /// Why it is no success.
    pub error: Option<String>,
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
        self.out.push(Effect::Tell(fact));
    }

    fn wall(&self) -> Timestamp {
        self.ctx.now.wall
    }
}

/// How a run is to begin.
#[derive(Debug)]
pub struct Start {
    /// Its number.
    pub id: RunId,
    /// Of what.
    pub target: Target,
    /// What set it off.
    pub trigger: Trigger,
    /// What it is to make.
    pub order: Order,
    /// The origin in the mark of what it makes.
    pub origin: Origin,
    /// The configuration's generation.
    pub generation: u64,
    /// When.
    pub started: Now,
    /// No create is begun after.
    pub deadline: Option<Timestamp>,
    /// For `take`.
    pub by_hand: Option<ByHand>,
}

/// Where an interrupted run is picked up.
#[derive(Debug)]
pub enum Resume {
    /// A create of which it is not known whether it was done.
    CreateInDoubt(Box<CreateIntent>),
    /// A delete of which it is not known whether it was done.
    DeleteInDoubt(Box<DeleteIntent>, Box<Item>),
    /// An item that is being made.
    Waiting {
        /// The create, where the journal knows it.
        op: Option<OpId>,
        /// The item.
        item: ItemId,
        /// Its age.
        age: Duration,
    },
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
            created: Vec::new(),
            deleted: Vec::new(),
            want: Want { wake: Some(start.started.mono), ..Want::default() },
            problems: Vec::new(),
            phase: Phase::Planning { not_before: None },
            looks: 0,
            unsent: 0,
            owed: 0,
            extra_used: 0,
        }
    }

    /// A run that goes on where an earlier process, or another replica, was interrupted.
    #[must_use]
    pub fn resumed(start: Start, resume: Resume, request_timeout: Duration) -> Run {
        let now = start.started;
        let mut run = Run::new(start);
        run.phase = match resume {
            Resume::CreateInDoubt(intent) => Phase::Creating(Creating::in_doubt(intent.op, now.mono, request_timeout)),
            Resume::DeleteInDoubt(intent, item) => Phase::Settling(Deleting::in_doubt(&intent, *item, now.mono, request_timeout)),
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
        matches!(self.phase, Phase::Room(_) | Phase::Creating(_) | Phase::Waiting(_))
    }

    /// Whether nothing has been sent yet, so that it can be dropped without a trace.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        matches!(self.phase, Phase::Planning { .. }) && self.deleted.is_empty() && self.created.is_empty()
    }

    /// Whether an answer or the journal is being waited for, so that the exchange in flight is to be finished first.
    #[must_use]
    pub fn is_in_flight(&self) -> bool {
        match &self.phase {
            Phase::Room(deleting) | Phase::Settling(deleting) => deleting.is_in_flight(),
            Phase::Pruning(pruning) => pruning.is_in_flight(),
            Phase::Creating(creating) => creating.is_in_flight(),
            Phase::Planning { .. } | Phase::Waiting(_) | Phase::Ended => false,
        }
    }

    /// Problems that stand while the run goes on.
    #[must_use]
    pub fn standing(&self) -> Vec<Problem> {
        let mut standing = self.problems.clone();
        let doubt = match &self.phase {
            Phase::Creating(creating) => creating.doubt().map(|detail| Problem { reason: Reason::CreateUnknown, detail }),
            Phase::Room(deleting) | Phase::Settling(deleting) => deleting.doubt(),
            Phase::Pruning(pruning) => pruning.doubt(),
            _ => None,
        };
        standing.extend(doubt);
        standing
    }

    /// Lets the run react. What it waits for then is in [`Run::want`].
    pub fn step(&mut self, ctx: &Context<'_>, next_op: &mut OpId, event: Event) -> Vec<Effect> {
        let mut step = Step { ctx, next_op, out: Vec::new() };
        self.want = Want::default();
        match std::mem::replace(&mut self.phase, Phase::Ended) {
            Phase::Planning { not_before } => self.plan(&mut step, not_before),
            Phase::Room(deleting) => self.make_room(&mut step, deleting, event),
            Phase::Creating(creating) => self.create(&mut step, creating, event),
            Phase::Waiting(waiting) => self.wait(&mut step, waiting),
            Phase::Pruning(pruning) => self.prune(&mut step, pruning, event),
            Phase::Settling(deleting) => self.settle(&mut step, deleting, event),
            Phase::Ended => {}
        }
        step.out
    }

    /// Ends the run. Only the first end counts.
    fn end(&mut self, step: &mut Step<'_, '_>, result: RunResult, error: Option<String>) {
        self.phase = Phase::Ended;
        let problems = std::mem::take(&mut self.problems);
        let at = step.wall();
        step.record(Record::RunEnded { run: self.id, result, problems: problems.clone(), error: error.clone().map(Into::into), at });
        step.tell(Fact::RunEnded {
            target: self.target.clone(),
            run: self.id.0,
            result,
            duration: step.ctx.now.mono.since(self.started.mono),
            created: self.created.clone(),
            deleted: self.deleted.clone(),
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

    /// Keeps a problem for the end; the newest word on a reason holds.
    fn note(&mut self, problem: Problem) {
        self.problems.retain(|known| known.reason != problem.reason);
        self.problems.push(problem);
    }

    fn subject(&self) -> Subject {
        Subject {
            server: self.target.server,
            server_name: (*self.target.server_name).into(),
            kind: self.target.kind,
            policy: (*self.target.policy).into(),
        }
    }

    /// What the newest listing shows of the server, if it was begun at `after` or later.
    fn view<'a>(&self, ctx: &'a Context<'_>, after: Mono) -> Option<View<'a>> {
        let inventory = ctx.inventory.filter(|inventory| inventory.begun >= after)?;
        let mut view = inventory.of(self.target.server);
        let hidden = ctx.memory.made.keys().filter(|id| view.find(**id).is_none()).count() as u64;
        view.unseen = view.unseen.saturating_add(hidden);
        Some(view)
    }

    /// From when on a listing is fresh enough to plan on: after the last write, and at most 60 s ago (contract §3.1).
    fn fresh_from(ctx: &Context<'_>) -> Mono {
        let youngest = Mono(ctx.now.mono.0.saturating_sub(guard::LISTING_AGE_MAX));
        ctx.last_write.map_or(youngest, |write| write.max(youngest))
    }

    /// Whether the state of the servers is known freshly enough for deletes, where the provider tells it.
    fn servers_are_fresh(ctx: &Context<'_>) -> bool {
        let youngest = Mono(ctx.now.mono.0.saturating_sub(guard::LISTING_AGE_MAX));
        !ctx.server.told || ctx.server.seen.is_some_and(|seen| seen >= youngest)
    }

    /// Why nothing may be deleted there now (contract §3, "no delete on doubt").
    fn freeze(&self, ctx: &Context<'_>, view: &View<'_>) -> Option<Problem> {
        let problem = |reason, detail| Some(Problem { reason, detail });
        if !ctx.wanted.fuse.enabled {
            return problem(Reason::Fuse, "deletes are switched off (`deletes.enabled: false`)".to_owned());
        }
        if let Some(detail) = view.defect() {
            return problem(Reason::ListingIncomplete, detail);
        }
        if let Some(hidden) = ctx.memory.made.keys().find(|id| view.find(**id).is_none()) {
            return problem(Reason::ListingIncomplete, format!("item {hidden} is not shown"));
        }
        if let Some(name) = ctx.server.other_name {
            return problem(Reason::NameMismatch, format!("the provider calls the server `{name}`"));
        }
        if ctx.server.restoring {
            return problem(Reason::Restoring, "the server is being restored".to_owned());
        }
        if ctx.server.told && !Self::servers_are_fresh(ctx) {
            return problem(Reason::ListingIncomplete, "the state of the server is not known".to_owned());
        }
        if !ctx.memory.undecided.is_empty() {
            return problem(Reason::DeleteUnknown, "something there is undecided".to_owned());
        }
        ctx.server.freeze.cloned()
    }

    fn knowledge<'a>(ctx: &'a Context<'_>) -> Knowledge<'a> {
        Knowledge { made: &ctx.memory.made, protected: ctx.protected, held: ctx.held }
    }

    fn ground<'a>(&self, ctx: &'a Context<'_>, policy: &'a KindPolicy, view: &'a View<'a>, freeze: Option<&'a Problem>) -> Ground<'a> {
        let fuse = ctx.wanted.fuse;
        let completed = u32::try_from(self.created.len()).unwrap_or(u32::MAX);
        let deleted = u32::try_from(self.deleted.len()).unwrap_or(u32::MAX);
        Ground {
            wanted: ctx.wanted,
            policy,
            view,
            knowledge: Self::knowledge(ctx),
            freeze,
            room_made: ctx.memory.rooms_made > 0,
            allowance: Allowance {
                paid: completed.saturating_sub(self.owed).saturating_sub(deleted.saturating_sub(self.extra_used)),
                extra_run: fuse.extra_per_server.saturating_sub(self.extra_used),
                extra_day: fuse.extra_per_day.saturating_sub(ctx.extras_last_day),
            },
            now: ctx.now.wall,
        }
    }

    fn guard_facts<'a>(&self, ctx: &'a Context<'_>, policy: &'a KindPolicy, view: &'a View<'a>) -> guard::Facts<'a> {
        guard::Facts {
            wanted: ctx.wanted,
            policy,
            server: self.target.server,
            view,
            made: &ctx.memory.made,
            protected: ctx.protected,
            held: ctx.held,
            last_write: ctx.last_write,
            undecided: !ctx.memory.undecided.is_empty(),
            name_agrees: ctx.server.other_name.is_none(),
            restoring: ctx.server.restoring,
            rooms_made: ctx.memory.rooms_made,
            completed: u32::try_from(self.created.len()).unwrap_or(u32::MAX),
            owed: self.owed,
            deleted: u32::try_from(self.deleted.len()).unwrap_or(u32::MAX),
            extra_last_day: ctx.extras_last_day,
            now: ctx.now.wall,
            mono: ctx.now.mono,
        }
    }

    /// The guard has refused a plan: nothing more is done in this run, and it is told.
    fn refuse(&mut self, step: &mut Step<'_, '_>, violation: &guard::Violation) {
        step.tell(Fact::GuardRefused { target: self.target.clone(), run: self.id.0, violation: violation.to_string() });
        self.fail(step, Reason::Guard, format!("the plan was refused: {violation}"));
    }

    /// The pause after the how-manieth request that never reached the provider.
    fn unsent_pause(unsent: u32, asked: Option<Duration>) -> Duration {
        asked.unwrap_or_default().max(UNSENT_PAUSE.saturating_mul(1 << unsent.min(6)))
    }
}
