//! What goes into a run and what comes out of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::{Mono, Now};

use super::super::fact::{Fact, Target};
use super::super::fleet::left_alone;
use super::super::guard::Violation;
use super::super::hook::HookEnd;
use super::super::inventory::{Item, ItemId};
use super::super::mark::Origin;
use super::super::memory::TargetMemory;
use super::super::plan::Order;
#[cfg(test)]
use super::super::plan::Plan;
use super::super::policy::{Hook, KindPolicy, Wanted};
use super::super::problem::{Problem, RunResult};
use super::super::record::{CreateIntent, DeleteIntent, OpId, Record, RunId, Trigger};
use super::super::view::Inventory;

/// What is different for an item made by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByHand {
    /// Whether an item may be given at the cap.
    pub make_room: bool,
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
    pub config: &'a Arc<str>,
    /// The configuration's generation.
    pub generation: u64,
    /// Hooks have begun on the server and not ended: `after` is owed, or has failed and is to be tried again.
    pub hooks_are_open: bool,
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
    /// A mistake of the planner's, made by a test.
    #[cfg(test)]
    pub mistake: Option<fn(&mut Plan)>,
}

/// What is known of a server besides its items.
#[derive(Debug, Clone, Copy)]
pub struct ServerState<'a> {
    /// The provider does not know it.
    pub missing: bool,
    /// Which entries of the configuration disagree about it.
    pub conflict: Option<&'a str>,
    /// The provider's name, where it is not the configured one.
    pub other_name: Option<&'a str>,
    /// It is being restored.
    pub restoring: bool,
    /// When the state of the servers was last asked for; none where the provider does not tell it at all.
    pub seen: Option<Mono>,
    /// Whether the provider tells the state of the servers.
    pub told: bool,
    /// Why nothing may be deleted there for now, for a reason that outlasts this listing (an account-wide doubt, a breach of an invariant, or too
    /// few clean listings).
    pub freeze: Option<&'a Problem>,
}

impl ServerState<'_> {
    /// Why nothing is done there, neither made nor deleted.
    #[must_use]
    pub fn left_alone(&self) -> Option<Problem> {
        left_alone(self.missing, self.conflict)
    }
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
    /// `before` has ended.
    BeforeEnded(OpId, HookEnd),
    /// `max_hold` has passed: `after` runs.
    HoldOver(OpId),
    /// `after` has ended; where it failed, for the first time.
    AfterEnded(OpId, HookEnd),
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
    /// It was not sent, because it had to wait for its turn until what it was decided on was no longer fresh.
    Outdated,
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
    /// Make these durable, together; [`Event::Recorded`] answers.
    Intend(OpId, Vec<Record>),
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
        /// Not after this: then the listing that it was decided on is no longer fresh (contract §3.1).
        until: Mono,
    },
    /// Run `before`, if there is one; [`Event::BeforeEnded`] answers. From now on `after` is owed.
    Before {
        /// Which hooks.
        op: OpId,
        /// The command.
        hook: Option<Hook>,
        /// `after` runs at the latest then.
        max_hold: Duration,
    },
    /// Run `after`; [`Event::AfterEnded`] answers.
    After(OpId),
    /// Tell this.
    Tell(Box<Fact>),
    /// The guard has refused a plan: nothing is deleted on the server for now.
    Freeze(Violation),
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
    /// Whether another replica may have acted since its slot: what is not there may have been made, and deleted since.
    pub passed_over: bool,
}

/// Where an interrupted run is picked up.
#[derive(Debug)]
pub enum Resume {
    /// A create of which it is not known whether it was done.
    CreateInDoubt(Arc<CreateIntent>),
    /// A delete of which it is not known whether it was done.
    DeleteInDoubt(Arc<DeleteIntent>, Box<Item>),
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
