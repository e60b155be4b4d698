//! The journal in memory, for simulators and tests: the same rules, and faults on demand.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::fold::{Counters, Store, apply};
use super::rows::{
    CreateRow, CreateState, DeleteRow, DeleteState, Gone, HistoryFilter, HistoryRows, HooksRow, OrderRow, Recollection, RunRow, TargetRow,
};
use super::{Journal, JournalError, Recall};
use crate::domain::gather::gather;
use crate::domain::inventory::{ItemId, Kind, ServerId};
use crate::domain::mark::Origin;
use crate::domain::policy_text::{PolicyText, TextDigest};
use crate::domain::problem::RunResult;
use crate::domain::record::{DeleteWhen, OpId, Record, RunId, SlotsMissed, Trigger};

/// So many changes are kept at most once records are written, so that the last of them can be taken back: those of some twenty records. Each is as large as
/// a row, and more of them would not fit into a processor's cache with what else is played.
const CHANGES_KEPT: usize = 64;

/// A journal in memory. Its clones are the same journal, so a test can hold one, let the program lose the other, and go on from there.
#[derive(Debug, Clone, Default)]
pub struct MemoryJournal {
    shared: Arc<Mutex<Inner>>,
}

/// What goes wrong with every append until it is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No space is left.
    Full,
    /// Writing fails.
    Io {
        /// The records are there all the same: a failed fsync does not say that nothing was written.
        written: bool,
    },
}

#[derive(Debug, Default)]
struct Inner {
    rows: Rows,
    fault: Option<Fault>,
}

/// What a record has changed: the row as it was before; none: there was none.
#[derive(Debug)]
enum Change {
    /// Here a record begins, with the counters as they were.
    Record(Counters),
    Create(OpId, Option<CreateRow>),
    Delete(OpId, Option<DeleteRow>),
    Run(RunId, Option<RunRow>),
    Hooks(OpId, Box<Option<HooksRow>>),
    Order(OpId, Box<Option<OrderRow>>),
    NewTarget((ServerId, Kind)),
    NewMissed((ServerId, Kind, Timestamp)),
    NewText(TextDigest),
}

#[derive(Debug)]
struct Rows {
    counters: Counters,
    creates: BTreeMap<OpId, CreateRow>,
    /// Which creates made, or once were thought to have made, an item.
    creates_by_item: BTreeSet<(Kind, ItemId, OpId)>,
    deletes: BTreeMap<OpId, DeleteRow>,
    runs: BTreeMap<RunId, RunRow>,
    hooks: BTreeMap<OpId, HooksRow>,
    orders: BTreeMap<OpId, OrderRow>,
    targets: BTreeMap<(ServerId, Kind), TargetRow>,
    missed: BTreeMap<(ServerId, Kind, Timestamp), (u64, SlotsMissed)>,
    texts: BTreeMap<TextDigest, Arc<PolicyText>>,
    /// What the last records have changed, the oldest first, beginning with a whole record.
    changes: VecDeque<Change>,
}

impl Default for Rows {
    fn default() -> Rows {
        Rows {
            counters: Counters::START,
            creates: BTreeMap::new(),
            creates_by_item: BTreeSet::new(),
            deletes: BTreeMap::new(),
            runs: BTreeMap::new(),
            hooks: BTreeMap::new(),
            orders: BTreeMap::new(),
            targets: BTreeMap::new(),
            missed: BTreeMap::new(),
            texts: BTreeMap::new(),
            changes: VecDeque::new(),
        }
    }
}

impl MemoryJournal {
    /// An empty journal.
    #[must_use]
    pub fn new() -> MemoryJournal {
        MemoryJournal::default()
    }

    /// Loses everything, as if the file had been removed.
    pub fn lose(&self) {
        self.inner().rows = Rows::default();
    }

    /// Loses the last `count` records, as if the end of the file had been torn off: a few, and none of before something was forgotten.
    pub fn tear(&self, count: usize) {
        let mut inner = self.inner();
        for _ in 0..count {
            inner.rows.take_back();
        }
    }

    /// What [`Journal::append`] does, with records that need not be copied. They are shown once they are durable, and come back where they are not.
    ///
    /// # Errors
    /// As those of [`Journal::append`].
    pub fn keep(&mut self, records: Vec<Record>, durable: impl FnOnce(&[Record])) -> Result<(), (JournalError, Vec<Record>)> {
        let mut inner = self.inner();
        if inner.fault.is_some() {
            drop(inner);
            return self.append(&records).map_err(|error| (error, records));
        }
        if let Err(error) = inner.rows.apply_all(&records) {
            return Err((error, records));
        }
        durable(&records);
        Ok(())
    }

    /// From now on every append and prune fails like this; `None`: no longer.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.inner().fault = fault;
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recall for MemoryJournal {
    fn load(&mut self, since: Timestamp) -> Result<Recollection, JournalError> {
        Ok(self.inner().rows.recollect(since))
    }

    fn history(&mut self, filter: &HistoryFilter) -> Result<HistoryRows, JournalError> {
        Ok(self.inner().rows.history(filter))
    }
}

impl Journal for MemoryJournal {
    fn append(&mut self, records: &[Record]) -> Result<(), JournalError> {
        let mut inner = self.inner();
        match inner.fault {
            Some(Fault::Io { written: true }) => inner.rows.apply_all(records).and(Err(broken())),
            Some(Fault::Io { written: false }) => Err(broken()),
            Some(Fault::Full) => Err(full()),
            None => inner.rows.apply_all(records),
        }
    }

    fn prune(&mut self, before: Timestamp) -> Result<u64, JournalError> {
        let mut inner = self.inner();
        match inner.fault {
            Some(Fault::Io { .. }) => return Err(broken()),
            Some(Fault::Full) => return Err(full()),
            None => {}
        }
        Ok(inner.rows.prune(before))
    }

    fn close(&mut self) -> Result<(), JournalError> {
        Ok(())
    }
}

fn full() -> JournalError {
    JournalError::Full { detail: "simulated".to_owned() }
}

fn broken() -> JournalError {
    JournalError::Io { detail: "simulated".to_owned() }
}

impl Rows {
    /// All or nothing: a rejected record takes those before it back.
    fn apply_all(&mut self, records: &[Record]) -> Result<(), JournalError> {
        for (place, record) in records.iter().enumerate() {
            let mut counters = self.counters;
            self.changes.push_back(Change::Record(counters));
            let result = apply(self, &mut counters, record);
            self.counters = counters;
            if result.is_err() {
                (0..=place).for_each(|_| self.take_back());
                return result;
            }
        }
        self.forget_changes();
        Ok(())
    }

    /// Takes the last record back.
    fn take_back(&mut self) {
        while let Some(change) = self.changes.pop_back() {
            match change {
                Change::Record(counters) => {
                    self.counters = counters;
                    return;
                }
                Change::Create(op, before) => put_back(&mut self.creates, op, before),
                Change::Delete(op, before) => put_back(&mut self.deletes, op, before),
                Change::Run(run, before) => put_back(&mut self.runs, run, before),
                Change::Hooks(op, before) => put_back(&mut self.hooks, op, *before),
                Change::Order(op, before) => put_back(&mut self.orders, op, *before),
                Change::NewTarget(key) => drop(self.targets.remove(&key)),
                Change::NewMissed(key) => drop(self.missed.remove(&key)),
                Change::NewText(digest) => drop(self.texts.remove(&digest)),
            }
        }
    }

    /// Forgets what the oldest of the last records have changed.
    fn forget_changes(&mut self) {
        while self.changes.len() > CHANGES_KEPT {
            self.changes.pop_front();
            while self.changes.front().is_some_and(|change| !matches!(change, Change::Record(_))) {
                self.changes.pop_front();
            }
        }
    }

    fn recollect(&self, since: Timestamp) -> Recollection {
        let (creates, deletes, runs) = (self.newest_creates(), self.newest_deletes(), self.newest_runs());
        Recollection {
            next_op: OpId(self.counters.next_op),
            next_run: RunId(self.counters.next_run),
            creates: in_order(self.creates.values().filter(|row| create_matters(row, since) || creates.contains(&row.intent.op)), |row| {
                row.seq
            }),
            deletes: in_order(self.deletes.values().filter(|row| delete_matters(row, since) || deletes.contains(&row.intent.op)), |row| {
                row.seq
            }),
            runs: in_order(self.runs.values().filter(|row| row.ended.is_none() || runs.contains(&row.start.run)), |row| row.seq),
            targets: self.targets.values().copied().collect(),
            missed: self.newest_missed(),
            hooks: in_order(self.hooks.values().filter(|row| row.ended.is_none()), |row| row.seq),
            orders: in_order(self.orders.values().filter(|row| row.order.until >= since), |row| row.seq),
            fresh: self.counters.is_fresh(),
            set_aside: None,
        }
    }

    /// The map runs by target, then slot: the last of each target is its newest.
    fn newest_missed(&self) -> Vec<SlotsMissed> {
        let newest: BTreeMap<(ServerId, Kind), &SlotsMissed> =
            gather(self.missed.iter().map(|((server, kind, _), (_, missed))| ((*server, *kind), missed)));
        newest.into_values().cloned().collect()
    }

    fn history(&self, filter: &HistoryFilter) -> HistoryRows {
        let creates = self.creates.values().filter(|row| filter.admits(&row.intent.subject, row.intent.at) && filter.admits_item(row.item));
        let deletes = self.deletes.values().filter(|row| filter.admits(&row.intent.subject, row.intent.at));
        let deletes = deletes.filter(|row| filter.admits_item(Some(row.intent.item)));
        let missed = self.missed.values().filter(|(_, row)| filter.admits_item(None) && filter.admits(&row.subject, row.at));
        let orders = self.orders.values().filter(|row| filter.admits_order(&row.order));
        let mut rows = HistoryRows {
            creates: newest_first(creates, |row| row.seq, filter.rows_max),
            deletes: newest_first(deletes, |row| row.seq, filter.rows_max),
            missed: newest_first(missed, |row| row.0, filter.rows_max).into_iter().map(|row| row.1).collect(),
            orders: newest_first(orders, |row| row.seq, filter.rows_max),
            ..HistoryRows::default()
        };
        let acting = rows.acting();
        let runs = self.runs.values().filter(|row| filter.admits(&row.start.subject, row.start.at));
        rows.runs = newest_first(runs.filter(|row| filter.admits_run(row.start.run, &acting)), |row| row.seq, filter.rows_max);
        rows.texts = rows.digests().iter().filter_map(|digest| self.texts.get(digest)).cloned().collect();
        rows
    }

    fn prune(&mut self, before: Timestamp) -> u64 {
        let count = |rows: &Rows| {
            let acts = rows.creates.len() + rows.deletes.len() + rows.runs.len();
            acts + rows.missed.len() + rows.hooks.len() + rows.orders.len() + rows.texts.len()
        };
        let rows_before = count(self);
        let old = self.creates.values().filter(|row| !create_matters(row, before)).map(|row| row.intent.op);
        for op in but_for(old.collect(), || self.newest_creates()) {
            let row = self.creates.remove(&op);
            if let Some(entry) = row.and_then(|row| Some((row.intent.subject.kind, row.item?, op))) {
                self.creates_by_item.remove(&entry);
            }
        }
        let old = self.deletes.values().filter(|row| !delete_matters(row, before)).map(|row| row.intent.op);
        but_for(old.collect(), || self.newest_deletes()).iter().for_each(|op| drop(self.deletes.remove(op)));
        let old = self.runs.values().filter(|row| row.ended.is_some() && row.start.at < before).map(|row| row.start.run);
        but_for(old.collect(), || self.newest_runs()).iter().for_each(|run| drop(self.runs.remove(run)));
        self.hooks.retain(|_, row| row.ended.is_none() || row.begun.at >= before);
        self.orders.retain(|_, row| row.order.until >= before || row.order.at >= before);
        let newest: BTreeSet<_> = gather(self.newest_missed().into_iter().map(|row| (row.subject.server, row.subject.kind, row.slot)));
        self.missed.retain(|key, (_, row)| row.at >= before || newest.contains(key));
        let (creates, deletes) = (&self.creates, &self.deletes);
        let is_named = |digest: &TextDigest| {
            let mut names = creates.values().map(|row| row.intent.policy_text).chain(deletes.values().map(|row| row.intent.policy_text));
            names.any(|named| named == Some(*digest))
        };
        self.texts.retain(|digest, _| is_named(digest));
        let gone = rows_before - count(self);
        if gone > 0 {
            self.changes.clear();
        }
        gone as u64
    }

    /// Of each server and kind the create ordered last that completed, of a slot and by hand apart.
    fn newest_creates(&self) -> BTreeSet<OpId> {
        let mut newest = Newest::default();
        for (op, row) in self.creates.iter().filter(|(_, row)| row.state == CreateState::Completed) {
            let by_hand = matches!(row.intent.origin, Origin::Hand { .. });
            newest.offer((row.intent.subject.server, row.intent.subject.kind, by_hand), order_of(*op), *op);
        }
        gather(newest.winners())
    }

    /// Of each server and kind the delete ordered last that made room without being extra.
    fn newest_deletes(&self) -> BTreeSet<OpId> {
        let mut newest = Newest::default();
        let made_room =
            |row: &DeleteRow| row.state == DeleteState::Gone && row.intent.when == DeleteWhen::BeforeCreate && !row.intent.extra;
        for (op, row) in self.deletes.iter().filter(|(_, row)| made_room(row)) {
            newest.offer((row.intent.subject.server, row.intent.subject.kind), order_of(*op), *op);
        }
        gather(newest.winners())
    }

    /// Of each server and kind the newest that ended, and that succeeded; those of a slot, without one and by hand apart.
    fn newest_runs(&self) -> BTreeSet<RunId> {
        let (mut newest, mut newest_success) = (Newest::default(), Newest::default());
        for (run, row) in &self.runs {
            let by_hand = row.start.trigger == Trigger::Hand;
            let target = (row.start.subject.server, row.start.subject.kind, by_hand, row.start.slot.is_none());
            if let Some(end) = &row.ended {
                newest.offer(target, end.seq, *run);
                if end.result == RunResult::Success {
                    newest_success.offer(target, end.seq, *run);
                }
            }
        }
        gather(newest.winners().chain(newest_success.winners()))
    }
}

/// Whether a create matters, be it the newest or not.
fn create_matters(row: &CreateRow, since: Timestamp) -> bool {
    let undecided = matches!(row.state, CreateState::Intended | CreateState::Accepted);
    undecided || (row.item.is_some() && row.gone.is_none()) || row.intent.at >= since
}

/// Whether a delete matters, be it the newest or not.
fn delete_matters(row: &DeleteRow, since: Timestamp) -> bool {
    row.state == DeleteState::Intended || row.intent.at >= since
}

/// What is old, but for the newest. Those are found out only where there is anything old.
fn but_for<K: Ord>(mut old: Vec<K>, newest: impl FnOnce() -> BTreeSet<K>) -> Vec<K> {
    if !old.is_empty() {
        let newest = newest();
        old.retain(|key| !newest.contains(key));
    }
    old
}

/// A row is as it was.
fn put_back<K: Ord, V>(rows: &mut BTreeMap<K, V>, key: K, before: Option<V>) {
    match before {
        Some(row) => drop(rows.insert(key, row)),
        None => drop(rows.remove(&key)),
    }
}

/// For each key, the value that was offered with the highest place.
struct Newest<K, V>(BTreeMap<K, (u64, V)>);

impl<K, V> Default for Newest<K, V> {
    fn default() -> Newest<K, V> {
        Newest(BTreeMap::new())
    }
}

impl<K: Ord, V: Copy> Newest<K, V> {
    fn offer(&mut self, key: K, seq: u64, value: V) {
        let best = self.0.entry(key).or_insert((seq, value));
        if seq > best.0 {
            *best = (seq, value);
        }
    }

    fn winners(&self) -> impl Iterator<Item = V> {
        self.0.values().map(|(_, value)| *value)
    }
}

/// The place of an operation in the order of SQLite, whose numbers have a sign.
fn order_of(op: OpId) -> u64 {
    op.0 ^ (1 << 63)
}

fn in_order<'a, T: Clone + 'a>(rows: impl Iterator<Item = &'a T>, seq: impl Fn(&T) -> u64) -> Vec<T> {
    let mut rows: Vec<T> = rows.cloned().collect();
    rows.sort_unstable_by_key(seq);
    rows
}

fn newest_first<'a, T: Clone + 'a>(rows: impl Iterator<Item = &'a T>, seq: impl Fn(&T) -> u64, rows_max: usize) -> Vec<T> {
    let mut rows = in_order(rows, seq);
    rows.reverse();
    rows.truncate(rows_max);
    rows
}

impl Store for Rows {
    fn create(&mut self, op: OpId) -> Result<Option<CreateRow>, JournalError> {
        Ok(self.creates.get(&op).cloned())
    }

    fn creates_of(&mut self, kind: Kind, item: ItemId) -> Result<Vec<CreateRow>, JournalError> {
        let ops = self.creates_by_item.range((kind, item, OpId(0))..=(kind, item, OpId(u64::MAX)));
        Ok(ops.filter_map(|(.., op)| self.creates.get(op)).filter(|row| row.item == Some(item)).cloned().collect())
    }

    fn put_create(&mut self, row: CreateRow) -> Result<(), JournalError> {
        if let Some(item) = row.item {
            self.creates_by_item.insert((row.intent.subject.kind, item, row.intent.op));
        }
        let op = row.intent.op;
        self.changes.push_back(Change::Create(op, self.creates.insert(op, row)));
        Ok(())
    }

    fn change_create(&mut self, op: OpId, change: impl FnOnce(CreateRow) -> Result<CreateRow, JournalError>) -> Result<bool, JournalError> {
        let Some(row) = self.creates.get_mut(&op) else { return Ok(false) };
        let after = change(row.clone())?;
        if after.item != row.item
            && let Some(item) = after.item
        {
            self.creates_by_item.insert((after.intent.subject.kind, item, op));
        }
        self.changes.push_back(Change::Create(op, Some(std::mem::replace(row, after))));
        Ok(true)
    }

    fn mark_gone(&mut self, kind: Kind, item: ItemId, gone: Gone) -> Result<(), JournalError> {
        for (.., op) in self.creates_by_item.range((kind, item, OpId(0))..=(kind, item, OpId(u64::MAX))) {
            if let Some(row) = self.creates.get_mut(op).filter(|row| row.item == Some(item) && row.gone.is_none()) {
                self.changes.push_back(Change::Create(*op, Some(row.clone())));
                row.gone = Some(gone);
            }
        }
        Ok(())
    }

    fn delete(&mut self, op: OpId) -> Result<Option<DeleteRow>, JournalError> {
        Ok(self.deletes.get(&op).cloned())
    }

    fn put_delete(&mut self, row: DeleteRow) -> Result<(), JournalError> {
        let key = row.intent.op;
        self.changes.push_back(Change::Delete(key, self.deletes.insert(key, row)));
        Ok(())
    }

    fn run(&mut self, run: RunId) -> Result<Option<RunRow>, JournalError> {
        Ok(self.runs.get(&run).cloned())
    }

    fn put_run(&mut self, row: RunRow) -> Result<(), JournalError> {
        let key = row.start.run;
        self.changes.push_back(Change::Run(key, self.runs.insert(key, row)));
        Ok(())
    }

    fn hooks(&mut self, op: OpId) -> Result<Option<HooksRow>, JournalError> {
        Ok(self.hooks.get(&op).cloned())
    }

    fn put_hooks(&mut self, row: HooksRow) -> Result<(), JournalError> {
        let key = row.begun.op;
        self.changes.push_back(Change::Hooks(key, self.hooks.insert(key, row).into()));
        Ok(())
    }

    fn order(&mut self, op: OpId) -> Result<Option<OrderRow>, JournalError> {
        Ok(self.orders.get(&op).cloned())
    }

    fn put_order(&mut self, row: OrderRow) -> Result<(), JournalError> {
        let key = row.order.op;
        self.changes.push_back(Change::Order(key, self.orders.insert(key, row).into()));
        Ok(())
    }

    fn add_target(&mut self, row: &TargetRow) -> Result<(), JournalError> {
        let key = (row.server, row.kind);
        if let Entry::Vacant(place) = self.targets.entry(key) {
            place.insert(*row);
            self.changes.push_back(Change::NewTarget(key));
        }
        Ok(())
    }

    fn add_text(&mut self, text: &Arc<PolicyText>) -> Result<(), JournalError> {
        let digest = text.digest();
        if let Entry::Vacant(place) = self.texts.entry(digest) {
            place.insert(Arc::clone(text));
            self.changes.push_back(Change::NewText(digest));
        }
        Ok(())
    }

    fn add_missed(&mut self, missed: &SlotsMissed, seq: u64) -> Result<(), JournalError> {
        let key = (missed.subject.server, missed.subject.kind, missed.slot);
        if let Entry::Vacant(place) = self.missed.entry(key) {
            place.insert((seq, missed.clone()));
            self.changes.push_back(Change::NewMissed(key));
        }
        Ok(())
    }
}
