//! Writing records down: in order, and again where the journal could not.

use std::time::Duration;

use crate::clock::{Mono, Now};
use crate::domain::fact::Fact;
use crate::domain::memory::Undecided;
use crate::domain::record::{CreateEnd, DeleteEnd, OpId, Record};
use crate::domain::run::Event;
use crate::journal::JournalError;

use super::Controller;

/// The pause until what could not be written is tried again.
const PAUSE: Duration = Duration::from_secs(30);
/// So many records wait for that at most; the oldest are given up. What they say can be found out again at the provider.
const WAITING_MAX: usize = 10_000;

/// Records that could not be written, with the reason.
#[derive(Debug)]
pub struct Unwritten {
    /// Why.
    pub error: JournalError,
    /// Which.
    pub records: Vec<Record>,
}

/// Records that wait until the journal can be written again. Intents never do: what they announce is simply not done.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: Vec<Record>,
    /// So many of them have come back from the journal, and are older than the others.
    came_back: usize,
    again: Option<Mono>,
}

impl Outbox {
    /// When writing is tried again.
    pub fn again(&self) -> Option<Mono> {
        self.again
    }

    fn take_back(&mut self, records: Vec<Record>, again: Mono) {
        let count = records.len();
        self.waiting.splice(self.came_back..self.came_back, records);
        self.came_back += count;
        let excess = self.waiting.len().saturating_sub(WAITING_MAX);
        self.waiting.drain(..excess);
        self.came_back = self.came_back.saturating_sub(excess);
        self.again = Some(again);
    }
}

impl Controller {
    /// Lets a record take effect, and writes it down.
    pub(super) fn append(&mut self, record: Record) {
        self.memory.apply(&record);
        if !self.outbox.waiting.is_empty() {
            self.outbox.waiting.push(record);
        } else if let Some((records, None)) = self.appends.last_mut() {
            records.push(record);
        } else {
            self.appends.push((vec![record], None));
        }
    }

    /// Writes what has waited long enough.
    pub(super) fn write_again(&mut self, now: Now) {
        if self.outbox.again.is_none_or(|again| again > now.mono) {
            return;
        }
        self.outbox.again = None;
        self.outbox.came_back = 0;
        let records = std::mem::take(&mut self.outbox.waiting);
        if !records.is_empty() {
            self.appends.push((records, None));
        }
    }

    /// Records are durable, or could not be written.
    pub(super) fn appended(&mut self, now: Now, op: Option<OpId>, result: Result<(), Unwritten>) {
        let error = match result {
            Ok(()) => {
                self.account.journal = None;
                self.outbox.again = self.outbox.again.map(|_| now.mono);
                self.order_written(now, op, None);
                return self.answer_intent(now, op, Ok(()));
            }
            Err(Unwritten { error, records }) => match op {
                Some(_) => error.to_string(),
                None => match self.not_appended(now, error, records) {
                    Some(error) => error,
                    None => return,
                },
            },
        };
        self.account.journal = Some(error.clone());
        self.order_written(now, op, Some(&error));
        self.answer_intent(now, op, Err(error));
    }

    /// Outcomes could not be written. Returns the reason, if it lies with the journal.
    fn not_appended(&mut self, now: Now, error: JournalError, mut records: Vec<Record>) -> Option<String> {
        if !matches!(error, JournalError::Rejected { .. }) {
            self.outbox.take_back(records, now.mono.after(PAUSE));
            return Some(error.to_string());
        }
        // It belongs to a record that was given up; the others of its batch are not to suffer from that.
        if records.len() > 1 {
            self.appends.extend(records.drain(..).map(|record| (vec![record], None)));
        } else if !records.iter().all(is_taken_back) {
            self.tell(Fact::Note { target: None, text: format!("failed to {error}") });
        }
        None
    }

    fn answer_intent(&mut self, now: Now, op: Option<OpId>, result: Result<(), String>) {
        let Some((op, server)) = op.and_then(|op| Some((op, self.ops.get(op)?))) else { return };
        match result {
            Ok(()) => self.step(now, server, Event::Recorded(op)),
            Err(error) => {
                // Nothing is sent: what was remembered of the intent is taken back.
                let undecided = self.memory.targets().find_map(|(_, target)| target.undecided.get(&op));
                let taken_back = match undecided {
                    Some(Undecided::Create(_)) => Some(Record::CreateEnded { op, how: CreateEnd::NotSent, error: None, at: now.wall }),
                    Some(Undecided::Delete(_)) => Some(Record::DeleteEnded { op, how: DeleteEnd::Refused, error: None, at: now.wall }),
                    // `before` was not started, so `after` is not owed.
                    None if self.memory.hooks.contains_key(&op) => Some(Record::HooksEnded { op, error: None, at: now.wall }),
                    None => None,
                };
                // The journal may have the intent all the same, so this is written as well.
                if let Some(record) = taken_back {
                    self.memory.apply(&record);
                    self.outbox.waiting.push(record);
                    self.outbox.again.get_or_insert(now.mono.after(PAUSE));
                }
                self.brackets.take_back(op);
                self.ops.remove(op);
                self.step(now, server, Event::NotRecorded(op, error));
            }
        }
    }
}

/// Whether a record only takes an intent back, which need not have been written.
fn is_taken_back(record: &Record) -> bool {
    matches!(
        record,
        Record::CreateEnded { how: CreateEnd::NotSent, .. }
            | Record::DeleteEnded { how: DeleteEnd::Refused, .. }
            | Record::HooksEnded { .. }
    )
}
