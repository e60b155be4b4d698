//! What the journal gives back.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::gather::gather;
use crate::domain::globs::Globs;
use crate::domain::inventory::{ItemId, Kind, ServerId};
use crate::domain::memory::{Memory, TargetKey};
use crate::domain::policy_text::{PolicyText, TextDigest};
use crate::domain::problem::{Problem, RunResult};
use crate::domain::record::{
    CreateEnd, CreateIntent, DeleteEnd, DeleteIntent, HooksBegun, OpId, Record, RunId, RunStart, SlotsMissed, Subject,
};
use crate::domain::standing::{Selection, Standing, StandingOrder};
use crate::domain::words::words;

/// What [`load`](super::Recall::load) returns. Creates, deletes and runs are in the order in which they became durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recollection {
    /// The next number for a create or delete. Numbers are never used again, not even after pruning.
    pub next_op: OpId,
    /// The next number for a run.
    pub next_run: RunId,
    /// The creates that still matter.
    pub creates: Vec<CreateRow>,
    /// The deletes that still matter.
    pub deletes: Vec<DeleteRow>,
    /// The runs that still matter.
    pub runs: Vec<RunRow>,
    /// The targets that were ever configured, by server and kind.
    pub targets: Vec<TargetRow>,
    /// For each target, the entry of the newest slot that was missed; by server and kind.
    pub missed: Vec<SlotsMissed>,
    /// Hooks that have begun and not ended, in the order in which that became durable.
    pub hooks: Vec<HooksRow>,
    /// What people have ordered, in the order in which it became durable.
    pub orders: Vec<OrderRow>,
    /// Nothing was ever written into this journal: what it should know is to be rebuilt from the provider. Stays true until the first append.
    pub fresh: bool,
    /// A damaged journal was found, and lies here now; this one was begun in its place.
    pub set_aside: Option<PathBuf>,
}

impl Recollection {
    /// What a journal gives back that nothing was ever written into.
    #[must_use]
    pub fn empty() -> Recollection {
        Recollection {
            next_op: OpId(1),
            next_run: RunId(1),
            creates: Vec::new(),
            deletes: Vec::new(),
            runs: Vec::new(),
            targets: Vec::new(),
            missed: Vec::new(),
            hooks: Vec::new(),
            orders: Vec::new(),
            fresh: true,
            set_aside: None,
        }
    }

    /// What there is to know by all of that.
    #[must_use]
    pub fn memory(&self) -> Memory {
        let mut memory = Memory::default();
        let of = |subject: &Subject| (subject.server, subject.kind);
        let mut targets: Vec<TargetKey> = self.targets.iter().map(|row| (row.server, row.kind)).collect();
        targets.extend(self.missed.iter().map(|missed| of(&missed.subject)));
        targets.extend(self.runs.iter().map(|row| of(&row.start.subject)));
        targets.extend(self.creates.iter().map(|row| of(&row.intent.subject)));
        targets.extend(self.deletes.iter().map(|row| of(&row.intent.subject)));
        targets.sort_unstable();
        // All at once: added one by one in the order of the records, each would move those after it.
        memory.expect(&targets);
        self.replay().iter().for_each(|record| memory.apply(record));
        memory
    }

    /// The records that these rows came from, in the order in which they became durable: who folds them knows what there is to know.
    #[must_use]
    pub fn replay(&self) -> Vec<Record> {
        let mut steps: Vec<(u64, Record)> = Vec::new();
        steps.extend(self.targets.iter().map(|row| (0, Record::TargetSeen { server: row.server, kind: row.kind, at: row.first_seen })));
        steps.extend(self.missed.iter().map(|missed| (0, Record::SlotsMissed(missed.clone().into()))));
        self.runs.iter().for_each(|row| row.replay(&mut steps));
        self.creates.iter().for_each(|row| row.replay(&mut steps));
        self.deletes.iter().for_each(|row| row.replay(&mut steps));
        steps.extend(self.hooks.iter().map(|row| (row.seq, Record::HooksBegun(row.begun.clone().into()))));
        steps.extend(self.orders.iter().map(|row| (row.seq, Record::Ordered(row.order.clone().into()))));
        // Stable: what stands in one row keeps its order.
        steps.sort_by_key(|(seq, _)| *seq);
        steps.into_iter().map(|(_, record)| record).collect()
    }
}

/// A create and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateRow {
    /// What was intended.
    pub intent: Arc<CreateIntent>,
    /// The place of the intent in the order in which things became durable.
    pub seq: u64,
    /// How far it has come.
    pub state: CreateState,
    /// The item, once its id is known.
    pub item: Option<ItemId>,
    /// When its id became known.
    pub accepted_at: Option<Timestamp>,
    /// How it was decided; none while it is not.
    pub ended: Option<Ended>,
    /// The item no longer exists.
    pub gone: Option<Gone>,
}

impl CreateRow {
    fn replay(&self, steps: &mut Vec<(u64, Record)>) {
        let op = self.intent.op;
        steps.push((self.seq, Record::CreateIntent(self.intent.clone())));
        if let (Some(item), Some(at)) = (self.item, self.accepted_at) {
            steps.push((self.seq, Record::CreateAccepted { op, item, at }));
        }
        if let Some(Ended { seq, at, error }) = self.ended.clone() {
            let how = match self.state {
                CreateState::Completed => None,
                CreateState::Refused => Some(CreateEnd::Refused),
                CreateState::NotSent => Some(CreateEnd::NotSent),
                CreateState::Failed => Some(CreateEnd::Failed),
                CreateState::Intended | CreateState::Accepted | CreateState::Absent => Some(CreateEnd::Absent),
            };
            steps.push((
                seq,
                match how {
                    None => Record::CreateCompleted { op, at },
                    Some(how) => Record::CreateEnded { op, how, error, at },
                },
            ));
        }
        if let (Some(item), Some(Gone { at, ours })) = (self.item, self.gone) {
            let seq = self.ended.as_ref().map_or(self.seq, |ended| ended.seq);
            steps.push((seq, Record::ItemGone { server: self.intent.subject.server, kind: self.intent.subject.kind, item, ours, at }));
        }
    }
}

/// A delete and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteRow {
    /// What was intended.
    pub intent: Arc<DeleteIntent>,
    /// The place of the intent in the order in which things became durable.
    pub seq: u64,
    /// How far it has come.
    pub state: DeleteState,
    /// How it was decided; none while it is not.
    pub ended: Option<Ended>,
}

impl DeleteRow {
    fn replay(&self, steps: &mut Vec<(u64, Record)>) {
        let op = self.intent.op;
        steps.push((self.seq, Record::DeleteIntent(self.intent.clone())));
        let how = match self.state {
            DeleteState::Intended => return,
            DeleteState::Gone => DeleteEnd::Gone,
            DeleteState::Refused => DeleteEnd::Refused,
            DeleteState::Ineffective => DeleteEnd::Ineffective,
        };
        if let Some(Ended { seq, at, error }) = self.ended.clone() {
            steps.push((seq, Record::DeleteEnded { op, how, error, at }));
        }
    }
}

impl RunRow {
    fn replay(&self, steps: &mut Vec<(u64, Record)>) {
        steps.push((self.seq, Record::RunStarted(self.start.clone())));
        if let Some(RunEnd { seq, at, result, problems, error }) = self.ended.clone() {
            steps.push((seq, Record::RunEnded { run: self.start.run, result, problems, error, at }));
        }
    }
}

words! {
    /// How far a create has come.
    CreateState {
        /// It may have been sent.
        Intended => "intended",
        /// The item's id is known; it is being made.
        Accepted => "accepted",
        /// The item was seen completed.
        Completed => "completed",
        /// The provider said no.
        Refused => "refused",
        /// It never reached the provider.
        NotSent => "not_sent",
        /// The item took a failed status.
        Failed => "failed",
        /// Proved not to exist.
        Absent => "absent",
    }
}

words! {
    /// How far a delete has come.
    DeleteState {
        /// It may have been sent.
        Intended => "intended",
        /// The item is gone.
        Gone => "gone",
        /// The provider said no.
        Refused => "refused",
        /// Without effect.
        Ineffective => "ineffective",
    }
}

impl From<CreateEnd> for CreateState {
    fn from(end: CreateEnd) -> CreateState {
        match end {
            CreateEnd::Refused => CreateState::Refused,
            CreateEnd::NotSent => CreateState::NotSent,
            CreateEnd::Failed => CreateState::Failed,
            CreateEnd::Absent => CreateState::Absent,
        }
    }
}

impl From<DeleteEnd> for DeleteState {
    fn from(end: DeleteEnd) -> DeleteState {
        match end {
            DeleteEnd::Gone => DeleteState::Gone,
            DeleteEnd::Refused => DeleteState::Refused,
            DeleteEnd::Ineffective => DeleteState::Ineffective,
        }
    }
}

/// When a create or delete was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The place of this in the order in which things became durable.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// What the provider said, if it did not go well.
    pub error: Option<Box<str>>,
}

/// An item no longer exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone {
    /// When this became known.
    pub at: Timestamp,
    /// Deleted by us.
    pub ours: bool,
}

/// A run and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRow {
    /// How it began.
    pub start: Arc<RunStart>,
    /// The place of the start in the order in which things became durable.
    pub seq: u64,
    /// How it ended; none while it goes on, or if it was interrupted.
    pub ended: Option<RunEnd>,
}

/// The hooks around a create, and their end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HooksRow {
    /// How they began.
    pub begun: HooksBegun,
    /// The place of that in the order in which things became durable.
    pub seq: u64,
    /// How they ended; none while `after` is owed.
    pub ended: Option<Ended>,
}

/// An order of a person. It never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderRow {
    /// The order.
    pub order: StandingOrder,
    /// Its place in the order in which things became durable.
    pub seq: u64,
}

/// The end of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunEnd {
    /// The place of this in the order in which things became durable.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// How.
    pub result: RunResult,
    /// What stood in the way.
    pub problems: Vec<Problem>,
    /// What failed.
    pub error: Option<Box<str>>,
}

/// A target that was configured at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetRow {
    /// The server.
    pub server: ServerId,
    /// Snapshots or backups.
    pub kind: Kind,
    /// When it was first configured.
    pub first_seen: Timestamp,
}

/// What was done, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HistoryRows {
    /// Creates.
    pub creates: Vec<CreateRow>,
    /// Deletes.
    pub deletes: Vec<DeleteRow>,
    /// Runs.
    pub runs: Vec<RunRow>,
    /// Missed slots.
    pub missed: Vec<SlotsMissed>,
    /// What people have ordered.
    pub orders: Vec<OrderRow>,
    /// The texts that the creates and deletes name, by digest. Those of what an older version wrote are not there.
    pub texts: Vec<Arc<PolicyText>>,
}

impl HistoryRows {
    /// The runs of the creates and deletes.
    pub(super) fn acting(&self) -> BTreeSet<RunId> {
        gather(self.creates.iter().map(|row| row.intent.run).chain(self.deletes.iter().map(|row| row.intent.run)))
    }

    /// The digests that the creates and deletes name.
    pub(super) fn digests(&self) -> BTreeSet<TextDigest> {
        let named = self.creates.iter().map(|row| row.intent.policy_text);
        gather(named.chain(self.deletes.iter().map(|row| row.intent.policy_text)).flatten())
    }
}

/// Which part of the history is wanted. What is left empty does not restrict.
#[derive(Debug, Clone)]
pub struct HistoryFilter {
    /// Begun then or later.
    pub since: Option<Timestamp>,
    /// Of one of these servers, or of one of `server_names`.
    pub servers: Vec<ServerId>,
    /// Of a server whose name then matches.
    pub server_names: Globs,
    /// Under one of these policies.
    pub policies: Vec<Box<str>>,
    /// Of one of these kinds.
    pub kinds: Vec<Kind>,
    /// About one of these items, of either kind: creates, deletes and holds, and the runs that those belong to.
    pub items: Vec<ItemId>,
    /// At most so many rows in each list, the newest.
    pub rows_max: usize,
}

impl HistoryFilter {
    /// The newest rows of everything.
    #[must_use]
    pub fn all(rows_max: usize) -> HistoryFilter {
        HistoryFilter {
            since: None,
            servers: Vec::new(),
            server_names: Globs::none(),
            policies: Vec::new(),
            kinds: Vec::new(),
            items: Vec::new(),
            rows_max,
        }
    }

    /// Whether a row of this subject, begun at `at`, is wanted.
    #[must_use]
    pub fn admits(&self, subject: &Subject, at: Timestamp) -> bool {
        let any_server = self.servers.is_empty() && self.server_names.is_empty();
        self.since.is_none_or(|since| at >= since)
            && (any_server || self.servers.contains(&subject.server) || self.server_names.is_match(&subject.server_name))
            && (self.policies.is_empty() || self.policies.iter().any(|policy| **policy == *subject.policy))
            && (self.kinds.is_empty() || self.kinds.contains(&subject.kind))
    }

    /// Whether what is about this item, or about none that is known, is wanted.
    #[must_use]
    pub fn admits_item(&self, item: Option<ItemId>) -> bool {
        self.items.is_empty() || item.is_some_and(|item| self.items.contains(&item))
    }

    /// Whether a run of this number is wanted, of whose creates and deletes those that are wanted belong to `acting`.
    pub(super) fn admits_run(&self, run: RunId, acting: &BTreeSet<RunId>) -> bool {
        self.items.is_empty() || acting.contains(&run)
    }

    /// Whether an order is wanted. A pause is, unless it names only what is not asked for: whom a pattern means is not known here.
    #[must_use]
    pub fn admits_order(&self, order: &StandingOrder) -> bool {
        let any_server = self.servers.is_empty() && self.server_names.is_empty();
        let server = |id: ServerId, name: &str| any_server || self.servers.contains(&id) || self.server_names.is_match(name);
        self.since.is_none_or(|since| order.at >= since)
            && match &order.what {
                Standing::Pause(selection) | Standing::Resume(selection) => self.admits_item(None) && self.may_mean(selection),
                // What is held, or not deleted, is so whatever the policy is called.
                Standing::Hold(held) | Standing::Release(held) => {
                    let item = self.admits_item(Some(held.item));
                    item && server(held.server, &held.server_name) && (self.kinds.is_empty() || self.kinds.contains(&held.kind))
                }
                Standing::NoDeletes { server: id, server_name } => self.admits_item(None) && server(*id, server_name),
                Standing::Deletes { server: id } => self.admits_item(None) && (any_server || self.servers.contains(id)),
            }
    }

    fn may_mean(&self, selection: &Selection) -> bool {
        let policies = self.policies.is_empty() || selection.policies.is_empty();
        let kinds = self.kinds.is_empty() || selection.kinds.is_empty();
        (policies || self.policies.iter().any(|policy| selection.policies.contains(policy)))
            && (kinds || self.kinds.iter().any(|kind| selection.kinds.contains(kind)))
    }
}
