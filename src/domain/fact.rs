//! What has happened. One fact makes both the log line and the metric, so that the two cannot drift apart.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::hook::HookSide;
use super::inventory::{ItemId, Kind, ServerId};
use super::problem::{AccountReason, OpResult, Problem, Reason, RunResult};

/// A server and kind under a policy.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// The server.
    pub server: ServerId,
    /// Its name, for people.
    pub server_name: Arc<str>,
    /// Snapshots or backups.
    pub kind: Kind,
    /// The policy's name.
    pub policy: Arc<str>,
}

/// Something that has happened. `run` and `op` are the numbers under which the journal knows it.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// A run has begun.
    RunStarted {
        /// Of what.
        target: Target,
        /// Its number.
        run: u64,
        /// The slot it is for; none where a person asked.
        slot: Option<Timestamp>,
        /// How long after the slot and the server's offset it began; only for scheduled runs.
        lateness: Option<Duration>,
    },
    /// A run has ended.
    RunEnded {
        /// Of what.
        target: Target,
        /// Its number.
        run: u64,
        /// The slot it was for; none where a person asked.
        slot: Option<Timestamp>,
        /// How.
        result: RunResult,
        /// How long it took.
        duration: Duration,
        /// What was made.
        created: Vec<ItemId>,
        /// What was deleted.
        deleted: Vec<ItemId>,
        /// What stood in the way.
        problems: Vec<Problem>,
        /// Why it is no success.
        error: Option<String>,
    },
    /// A create is sent (again).
    CreateSent {
        /// Of what.
        target: Target,
        /// The run.
        run: u64,
        /// The operation.
        op: u64,
        /// The item's name, or its description where the kind has no names.
        name: String,
        /// The how-manieth create for this slot; from 1.
        attempt: u32,
    },
    /// The answer to a create leaves open whether it was done.
    CreateInDoubt {
        /// Of what.
        target: Target,
        /// The run.
        run: u64,
        /// The operation.
        op: u64,
        /// What came instead of an answer.
        error: String,
    },
    /// It is decided what became of a create: counted once for each operation.
    CreateDecided {
        /// Of what.
        target: Target,
        /// The run.
        run: u64,
        /// The operation.
        op: u64,
        /// The item, where there is one.
        item: Option<ItemId>,
        /// Its name, or its description where the kind has no names.
        name: String,
        /// Success: the provider has taken the order. Unknown: given up without knowing.
        result: OpResult,
        /// Why it is no success.
        error: Option<String>,
    },
    /// An item of ours was seen completed.
    Completed {
        /// Of what.
        target: Target,
        /// The run.
        run: u64,
        /// The item.
        item: ItemId,
    },
    /// A delete is sent (again).
    DeleteSent {
        /// Of what.
        target: Target,
        /// The run.
        run: u64,
        /// The operation.
        op: u64,
        /// The item.
        item: ItemId,
        /// Its name, or its description where the kind has no names.
        name: String,
        /// Why it goes.
        why: String,
    },
    /// It is decided what became of a delete: counted once for each operation.
    DeleteDecided {
        /// Of what.
        target: Target,
        /// The run.
        run: u64,
        /// The operation.
        op: u64,
        /// The item.
        item: ItemId,
        /// Its name, or its description where the kind has no names.
        name: String,
        /// Why it goes.
        why: String,
        /// Success: it is gone.
        result: OpResult,
        /// Why it is no success.
        error: Option<String>,
    },
    /// Slots have passed without a run, and it is too late for them.
    Missed {
        /// Of what.
        target: Target,
        /// How many.
        count: u64,
        /// The newest of them.
        newest: Timestamp,
    },
    /// An item under our care has vanished without us.
    Lost {
        /// Of what.
        target: Target,
        /// The item.
        item: ItemId,
        /// Its name, or its description where the kind has no names.
        name: String,
    },
    /// A plan was refused because it would have broken an invariant.
    GuardRefused {
        /// Of what.
        target: Target,
        /// The run.
        run: u64,
        /// Which invariant, and how.
        violation: String,
    },
    /// A problem of a target has come up.
    ProblemRaised {
        /// Of what.
        target: Target,
        /// What.
        problem: Problem,
    },
    /// A problem of a target is over.
    ProblemCleared {
        /// Of what.
        target: Target,
        /// What.
        reason: Reason,
    },
    /// A problem of the account has come up.
    AccountProblemRaised {
        /// What.
        reason: AccountReason,
        /// In words.
        detail: String,
    },
    /// A problem of the account is over.
    AccountProblemCleared {
        /// What.
        reason: AccountReason,
    },
    /// A hook is started.
    HookStarted {
        /// Of what.
        target: Target,
        /// The run.
        run: u64,
        /// Which of the two.
        side: HookSide,
    },
    /// A hook has ended.
    HookEnded {
        /// Of what.
        target: Target,
        /// The run.
        run: u64,
        /// Which of the two.
        side: HookSide,
        /// Why that was not well.
        error: Option<String>,
        /// The end of what it printed.
        output: String,
    },
    /// A note for the log that counts nothing.
    Note {
        /// Where it belongs to one.
        target: Option<Target>,
        /// What.
        text: String,
    },
}
