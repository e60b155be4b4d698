//! One delete: intent, sending, doubt, and the look that shows that the item is gone.

use std::time::Duration;

use crate::clock::Mono;

use super::super::fact::Fact;
use super::super::inventory::{Item, ItemId};
use super::super::plan::{Deletion, When};
use super::super::problem::{OpResult, Problem, Reason, RunResult};
use super::super::record::{DeleteEnd, DeleteIntent, DeleteWhen, OpId, Record};
use super::creating::Creating;
use super::{DELETES_SENT_MAX, Effect, Event, Phase, Run, Setback, SetbackKind, Step, UNSENT_MAX, Want};

/// A delete that is on its way.
#[derive(Debug)]
pub(super) struct Deleting {
    op: OpId,
    deletion: Deletion,
    stage: Stage,
    sent: u32,
}

#[derive(Debug)]
enum Stage {
    /// The intent is being written.
    Recording,
    /// The answer is awaited.
    Sent,
    /// It never reached the provider: it is sent again then.
    Paused { until: Mono },
    /// Answered, or in doubt: looking whether the item is gone. It may be sent again from `again` on.
    Looking { since: Mono, again: Mono, doubt: Option<String> },
}

/// How a delete came out.
pub(super) enum Deleted {
    /// Not yet.
    Pending(Deleting),
    /// The item is gone.
    Gone,
    /// It was not done, or that is not known.
    Failed(Reason, String),
    /// The intent could not be written.
    NotRecorded(String),
}

impl Deleting {
    /// Writes the intent of a delete; it is sent once that is durable.
    pub(super) fn begin(run: &Run, step: &mut Step<'_, '_>, deletion: Deletion) -> Deleting {
        let op = step.op();
        let intent = DeleteIntent {
            op,
            run: run.id,
            subject: run.subject(),
            item: deletion.item.id,
            item_name: deletion.item.name.clone(),
            item_created_at: deletion.item.created_at,
            when: match deletion.when {
                When::BeforeCreate => DeleteWhen::BeforeCreate,
                When::AfterCreate => DeleteWhen::AfterCreate,
            },
            extra: deletion.extra,
            reason: deletion.why.clone().into(),
            at: step.wall(),
            config: step.ctx.config.into(),
        };
        step.out.push(Effect::Intend(op, Record::DeleteIntent(intent)));
        Deleting { op, deletion, stage: Stage::Recording, sent: 0 }
    }

    /// A delete of an earlier process, of which it is not known whether it was done. It is never sent again: its plan is gone.
    pub(super) fn in_doubt(intent: &DeleteIntent, item: Item, now: Mono, request_timeout: Duration) -> Deleting {
        let when = match intent.when {
            DeleteWhen::BeforeCreate => When::BeforeCreate,
            DeleteWhen::AfterCreate => When::AfterCreate,
        };
        let deletion = Deletion { item, when, extra: intent.extra, why: (*intent.reason).to_owned() };
        let again = now.after(request_timeout.saturating_mul(2));
        let doubt = Some("interrupted before the answer was written down".to_owned());
        Deleting { op: intent.op, deletion, stage: Stage::Looking { since: now, again, doubt }, sent: DELETES_SENT_MAX }
    }

    /// The item.
    pub(super) fn item(&self) -> ItemId {
        self.deletion.item.id
    }

    /// Whether no completed create pays for it.
    pub(super) fn is_extra(&self) -> bool {
        self.deletion.extra
    }

    pub(super) fn is_in_flight(&self) -> bool {
        matches!(self.stage, Stage::Recording | Stage::Sent)
    }

    pub(super) fn doubt(&self) -> Option<Problem> {
        match &self.stage {
            Stage::Looking { doubt: Some(error), .. } => {
                Some(Problem { reason: Reason::DeleteUnknown, detail: format!("item {}: {error}", self.item()) })
            }
            _ => None,
        }
    }
}

impl Run {
    /// Moves one delete on. Where it is pending, [`Run::want`] says for what.
    pub(super) fn delete(&mut self, step: &mut Step<'_, '_>, mut deleting: Deleting, event: Event) -> Deleted {
        let op = deleting.op;
        match (&deleting.stage, event) {
            (Stage::Recording, Event::Recorded(recorded)) if recorded == op => self.send_delete(step, deleting),
            (Stage::Recording, Event::NotRecorded(recorded, error)) if recorded == op => Deleted::NotRecorded(error),
            (Stage::Paused { until }, _) if *until <= step.ctx.now.mono => self.send_delete(step, deleting),
            (Stage::Paused { until }, _) => {
                self.want = Want { wake: Some(*until), ..Want::default() };
                Deleted::Pending(deleting)
            }
            (Stage::Sent, Event::DeleteAnswered(answered, Ok(()))) if answered == op => {
                self.tell_deleted(step, &deleting, OpResult::Success, None);
                self.look_for_it(step, &mut deleting, None);
                Deleted::Pending(deleting)
            }
            (Stage::Sent, Event::DeleteAnswered(answered, Err(setback))) if answered == op => self.delete_set_back(step, deleting, setback),
            (Stage::Looking { .. }, _) => self.look_whether_gone(step, deleting),
            _ => Deleted::Pending(deleting),
        }
    }

    fn send_delete(&mut self, step: &mut Step<'_, '_>, mut deleting: Deleting) -> Deleted {
        let Deletion { item, why, .. } = &deleting.deletion;
        step.tell(Fact::DeleteSent {
            target: self.target.clone(),
            run: self.id.0,
            op: deleting.op.0,
            item: item.id,
            name: item.name.as_deref().unwrap_or(&item.description).to_owned(),
            why: why.clone(),
        });
        step.out.push(Effect::SendDelete { op: deleting.op, item: item.id });
        deleting.stage = Stage::Sent;
        deleting.sent += 1;
        Deleted::Pending(deleting)
    }

    fn look_for_it(&mut self, step: &Step<'_, '_>, deleting: &mut Deleting, doubt: Option<String>) {
        let since = step.ctx.now.mono;
        let again = since.after(step.ctx.request_timeout.saturating_mul(2));
        deleting.stage = Stage::Looking { since, again, doubt };
        self.want = Want { listing: Some(since), urgent: true, wake: Some(Self::doubt_end(step.ctx, since)), ..Want::default() };
    }

    fn delete_set_back(&mut self, step: &mut Step<'_, '_>, mut deleting: Deleting, setback: Setback) -> Deleted {
        match setback.kind {
            SetbackKind::Doubtful => {
                self.look_for_it(step, &mut deleting, Some(setback.text));
                Deleted::Pending(deleting)
            }
            SetbackKind::NotSent if self.unsent + 1 < UNSENT_MAX => {
                self.unsent += 1;
                let until = step.ctx.now.mono.after(Self::unsent_pause(self.unsent, setback.pause));
                deleting.sent = deleting.sent.saturating_sub(1);
                deleting.stage = Stage::Paused { until };
                self.want = Want { wake: Some(until), ..Want::default() };
                Deleted::Pending(deleting)
            }
            SetbackKind::NotSent | SetbackKind::Refused | SetbackKind::ServerMissing => {
                self.end_delete(step, &deleting, DeleteEnd::Refused, Some(&setback.text));
                self.tell_deleted(step, &deleting, OpResult::Failure, Some(setback.text.clone()));
                Deleted::Failed(Reason::DeleteFailed, format!("item {}: {}", deleting.item(), setback.text))
            }
        }
    }

    fn look_whether_gone(&mut self, step: &mut Step<'_, '_>, mut deleting: Deleting) -> Deleted {
        let ctx = step.ctx;
        let Stage::Looking { since, again, doubt } = &mut deleting.stage else { return Deleted::Pending(deleting) };
        let (since, again, doubt) = (*since, *again, doubt.clone());
        let id = deleting.item();
        if let Some(view) = ctx.inventory.filter(|inventory| inventory.begun >= since).map(|inventory| inventory.of(self.target.server)) {
            if view.defect().is_none() && view.find(id).is_none() {
                return self.gone(step, &deleting, doubt.is_some());
            }
            if view.defect().is_none() && view.begun() >= again {
                return self.still_there(step, deleting, doubt);
            }
        }
        if ctx.now.mono >= Self::doubt_end(ctx, since) {
            let detail = format!("item {id}: it is not known whether it is gone");
            if doubt.is_some() {
                self.tell_deleted(step, &deleting, OpResult::Unknown, doubt);
            }
            return Deleted::Failed(Reason::DeleteUnknown, detail);
        }
        let newer = ctx.inventory.map_or(since, |inventory| since.max(inventory.begun.after(Duration::from_nanos(1))));
        self.want = Want { listing: Some(newer), wake: Some(Self::doubt_end(ctx, since)), ..Want::default() };
        Deleted::Pending(deleting)
    }

    fn gone(&mut self, step: &mut Step<'_, '_>, deleting: &Deleting, was_in_doubt: bool) -> Deleted {
        self.end_delete(step, deleting, DeleteEnd::Gone, None);
        if was_in_doubt {
            self.tell_deleted(step, deleting, OpResult::Success, None);
        }
        self.deleted.push(deleting.item());
        self.extra_used += u32::from(deleting.is_extra());
        Deleted::Gone
    }

    /// Still shown long after the answer: the same delete is sent again, a few times, and never one of another item (F45, F46).
    fn still_there(&mut self, step: &mut Step<'_, '_>, deleting: Deleting, doubt: Option<String>) -> Deleted {
        if deleting.sent < DELETES_SENT_MAX && self.generation == step.ctx.generation {
            return self.send_delete(step, deleting);
        }
        let error = doubt.map_or_else(
            || "the provider says that it is gone, and goes on showing it".to_owned(),
            |doubt| format!("it was not done ({doubt})"),
        );
        self.end_delete(step, &deleting, DeleteEnd::Ineffective, Some(&error));
        self.tell_deleted(step, &deleting, OpResult::Failure, Some(error.clone()));
        Deleted::Failed(Reason::DeleteFailed, format!("item {}: {error}", deleting.item()))
    }

    fn end_delete(&self, step: &mut Step<'_, '_>, deleting: &Deleting, how: DeleteEnd, error: Option<&str>) {
        let at = step.wall();
        step.record(Record::DeleteEnded { op: deleting.op, how, error: error.map(Into::into), at });
    }

    fn tell_deleted(&self, step: &mut Step<'_, '_>, deleting: &Deleting, result: OpResult, error: Option<String>) {
        step.tell(Fact::DeleteDecided {
            target: self.target.clone(),
            run: self.id.0,
            op: deleting.op.0,
            item: deleting.item(),
            result,
            error,
        });
    }

    /// The delete that makes room; once the item is seen to be gone, the create follows.
    pub(super) fn make_room(&mut self, step: &mut Step<'_, '_>, deleting: Deleting, event: Event) {
        match self.delete(step, deleting, event) {
            Deleted::Pending(deleting) => self.phase = Phase::Room(deleting),
            Deleted::Gone if !self.in_time(step.wall()) || step.ctx.policy.is_none() => {
                self.end(step, RunResult::Failure, Some("room was made, and it is too late for the create".to_owned()));
            }
            Deleted::Gone => self.phase = Phase::Creating(Creating::begin(self, step)),
            Deleted::Failed(reason, detail) => self.fail(step, reason, detail),
            Deleted::NotRecorded(error) => {
                self.end(step, RunResult::Failure, Some(format!("the journal cannot be written, so nothing is sent: {error}")));
            }
        }
    }

    /// A delete of an earlier process: found out, never sent again.
    pub(super) fn settle(&mut self, step: &mut Step<'_, '_>, deleting: Deleting, event: Event) {
        match self.delete(step, deleting, event) {
            Deleted::Pending(deleting) => self.phase = Phase::Settling(deleting),
            Deleted::Gone | Deleted::Failed(Reason::DeleteFailed, _) => {
                self.end(step, RunResult::Skipped, Some("an interrupted delete is settled".to_owned()));
            }
            Deleted::Failed(reason, detail) => self.fail(step, reason, detail),
            Deleted::NotRecorded(error) => self.end(step, RunResult::Failure, Some(error)),
        }
    }
}
