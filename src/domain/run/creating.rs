//! The create: intent, sending, doubt, and the wait for completion.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Mono;

use super::super::fact::Fact;
use super::super::inventory::{Item, ItemId, Status};
use super::super::mark::{Mark, Reading};
use super::super::policy::KindPolicy;
use super::super::problem::{OpResult, Reason, RunResult};
use super::super::record::{CreateEnd, CreateIntent, OpId, Record};
use super::super::view::View;
use super::hooking::HELD_TOO_LONG;
use super::planning::Existing;
use super::waiting::{Proof, Waiting};
use super::{CREATES_MAX, Context, Effect, Event, Phase, Run, Setback, SetbackKind, Step, UNSENT_MAX, Want};

/// A create that is on its way.
#[derive(Debug)]
pub(super) struct Creating {
    op: OpId,
    stage: Stage,
    /// It was begun within hooks.
    hooked: bool,
}

#[derive(Debug)]
enum Stage {
    /// The intent is being written.
    Recording,
    /// The answer is awaited.
    Sent,
    /// It may have been done: looking for the mark.
    Doubt { since: Mono, absence: Proof, error: String },
}

impl Creating {
    /// Writes the intent of a create; it is sent once that is durable.
    pub(super) fn begin(run: &Run, step: &mut Step<'_, '_>) -> Creating {
        let op = step.op();
        let text = step.ctx.policy.map(KindPolicy::text);
        let sent = run.slot().map_or(0, |slot| step.ctx.memory.slot(slot).creates);
        let intent = CreateIntent {
            op,
            run: run.id,
            subject: (&run.target).into(),
            origin: run.origin.clone(),
            name: run.order.name.clone(),
            description: Arc::clone(&run.order.description),
            attempt: sent + 1,
            at: step.wall(),
            config: Arc::clone(step.ctx.config),
            policy_text: text.map(|text| text.digest()),
        };
        step.intend(op, text, Record::CreateIntent(intent.into()));
        Creating { op, stage: Stage::Recording, hooked: run.hooks.is_some() }
    }

    /// A create of an earlier process, of which it is not known whether it was done.
    pub(super) fn in_doubt(op: OpId, now: Mono, request_timeout: Duration) -> Creating {
        let error = "interrupted before the answer was written down".to_owned();
        Creating { op, stage: Stage::Doubt { since: now, absence: Proof::new(now, request_timeout), error }, hooked: false }
    }

    pub(super) fn is_in_flight(&self) -> bool {
        matches!(self.stage, Stage::Recording | Stage::Sent)
    }

    pub(super) fn doubt(&self) -> Option<String> {
        match &self.stage {
            Stage::Doubt { error, .. } => Some(error.clone()),
            _ => None,
        }
    }
}

impl Run {
    pub(super) fn create(&mut self, step: &mut Step<'_, '_>, mut creating: Creating, event: Event) {
        let op = creating.op;
        match (&mut creating.stage, event) {
            (Stage::Recording, Event::Recorded(recorded)) if recorded == op => self.send(step, creating),
            (Stage::Recording, Event::NotRecorded(recorded, error)) if recorded == op => {
                self.end_unrecorded(step, &error);
            }
            (Stage::Sent, Event::CreateAnswered(answered, Ok(item))) if answered == op => match self.mistaken(&item) {
                None => self.accept(step, op, item.id),
                Some(text) => self.set_back(step, creating, Setback { kind: SetbackKind::Doubtful, text, pause: None }),
            },
            (Stage::Sent, Event::CreateAnswered(answered, Err(setback))) if answered == op => self.set_back(step, creating, setback),
            (Stage::Doubt { .. }, _) => self.settle_create(step, creating),
            _ => self.phase = Phase::Creating(creating),
        }
    }

    /// The intent is durable: sends the create, unless it should not be sent any more.
    fn send(&mut self, step: &mut Step<'_, '_>, mut creating: Creating) {
        let op = creating.op;
        if let Some(why) = self.overtaken(step.ctx) {
            self.end_create(step, op, CreateEnd::NotSent, why);
            return self.plan_at(step.ctx.now.mono);
        }
        if !step.ctx.permit {
            self.end_create(step, op, CreateEnd::NotSent, "the token or its account is in question");
            step.out.push(Effect::Release);
            return self.plan_at(step.ctx.now.mono);
        }
        if creating.hooked && !self.is_held() {
            self.end_create(step, op, CreateEnd::NotSent, HELD_TOO_LONG);
            return self.fail(step, Reason::HookFailed, HELD_TOO_LONG.to_owned());
        }
        let name = self.order.title().to_owned();
        let attempt = self.slot().map_or(1, |slot| step.ctx.memory.slot(slot).creates);
        step.tell(Fact::CreateSent { target: self.target.clone(), run: self.id.0, op: op.0, name, attempt });
        step.out.push(Effect::SendCreate { op, order: self.order.clone() });
        creating.stage = Stage::Sent;
        self.phase = Phase::Creating(creating);
    }

    /// Why there has to be a new plan: the create was planned before `before` ran and its intent was written, and more may have been seen meanwhile, or too
    /// much time have passed (I9, I12).
    fn overtaken(&self, ctx: &Context<'_>) -> Option<&'static str> {
        if !self.in_time(ctx.now.wall) {
            return Some("it is too late for its slot");
        }
        if ctx.server.restoring {
            return Some("a restore of the server has begun");
        }
        if ctx.server.left_alone().is_some() {
            return Some("the server is to be left alone");
        }
        let view = ctx.inventory?.of(self.target.server);
        if self.is_full(ctx, &view) {
            return Some("a newer listing shows no free slot");
        }
        let is_there = ctx.policy.is_some_and(|policy| self.existing(ctx, policy, &view) != Existing::No);
        is_there.then_some("a newer listing shows an item for it")
    }

    /// The provider has taken the order, or it was found by its mark: its id is written down before anything else (F07).
    fn accept(&mut self, step: &mut Step<'_, '_>, op: OpId, item: ItemId) {
        let at = step.wall();
        step.record(Record::CreateAccepted { op, item, at });
        self.tell_decided(step, op, Some(item), OpResult::Success, None);
        let since = step.ctx.now.mono;
        self.looks = 0;
        let stuck_at = step.ctx.policy.map_or(since, |policy| since.after(policy.stuck_after));
        self.want = Want { listing: Some(since), wake: Some(stuck_at), ..Want::default() };
        let waiting = Waiting::new(Some(op), item, since, Duration::ZERO, step.ctx.request_timeout);
        self.phase = Phase::Waiting(waiting);
    }

    /// Why the item in an answer is not the one that was ordered: its id is never taken for ours (F05).
    fn mistaken(&self, item: &Item) -> Option<String> {
        let named = item.name.as_deref() == self.order.name.as_deref();
        if item.server == self.target.server && item.kind == self.target.kind && named {
            return None;
        }
        let name = item.name.as_deref().unwrap_or_default();
        Some(format!("the answer tells of {} {} `{name}` of server {}, which was not ordered", item.kind, item.id, item.server))
    }

    fn tell_decided(&self, step: &mut Step<'_, '_>, op: OpId, item: Option<ItemId>, result: OpResult, error: Option<String>) {
        let name = self.order.title().to_owned();
        step.tell(Fact::CreateDecided { target: self.target.clone(), run: self.id.0, op: op.0, item, name, result, error });
    }

    fn set_back(&mut self, step: &mut Step<'_, '_>, mut creating: Creating, setback: Setback) {
        let Setback { kind, text, pause } = setback;
        match kind {
            SetbackKind::Doubtful => {
                let now = step.ctx.now.mono;
                step.tell(Fact::CreateInDoubt { target: self.target.clone(), run: self.id.0, op: creating.op.0, error: text.clone() });
                creating.stage = Stage::Doubt { since: now, absence: Proof::new(now, step.ctx.request_timeout), error: text };
                let end = Self::doubt_end(step.ctx, now);
                self.want = Want { listing: Some(now), urgent: true, wake: Some(end), ..Want::default() };
                self.phase = Phase::Creating(creating);
            }
            SetbackKind::NotSent | SetbackKind::Outdated => {
                self.end_create(step, creating.op, CreateEnd::NotSent, &text);
                self.unsent += 1;
                if self.unsent >= UNSENT_MAX || !self.in_time(step.wall()) {
                    self.tell_decided(step, creating.op, None, OpResult::Failure, Some(text.clone()));
                    return self.fail(step, Reason::CreateFailed, text);
                }
                let until = step.ctx.now.mono.after(Self::unsent_pause(self.unsent, pause));
                self.plan_at(until);
            }
            SetbackKind::Refused | SetbackKind::ServerMissing => {
                self.end_create(step, creating.op, CreateEnd::Refused, &text);
                self.tell_decided(step, creating.op, None, OpResult::Failure, Some(text.clone()));
                let missing = kind == SetbackKind::ServerMissing;
                self.fail(step, if missing { Reason::ServerMissing } else { Reason::CreateFailed }, text);
            }
        }
    }

    pub(super) fn end_create(&self, step: &mut Step<'_, '_>, op: OpId, how: CreateEnd, error: &str) {
        let at = step.wall();
        step.record(Record::CreateEnded { op, how, error: Some(error.into()), at });
    }

    /// Looks for the mark of a create in doubt. It is sent again only once it is proved that it was not done (F01, F02).
    pub(super) fn settle_create(&mut self, step: &mut Step<'_, '_>, mut creating: Creating) {
        let ctx = step.ctx;
        let op = creating.op;
        let Stage::Doubt { since, absence, error } = &mut creating.stage else {
            self.phase = Phase::Creating(creating);
            return;
        };
        let since = *since;
        if let Some(view) = self.view(ctx, since) {
            if let Some(item) = self.find_by_mark(ctx, &view) {
                return self.accept(step, op, item);
            }
            if view.defect().is_none() && absence.note(view.begun()) {
                let what = if self.passed_over { "it is not there, and another replica may have acted since" } else { "it was not done" };
                let error = format!("{what} ({error})");
                return self.absent(step, op, error);
            }
        }
        if ctx.now.mono >= Self::doubt_end(ctx, since) {
            let detail = format!("it is not known whether it was done: {error}");
            self.tell_decided(step, op, None, OpResult::Unknown, Some(detail.clone()));
            return self.fail(step, Reason::CreateUnknown, detail);
        }
        let begun = ctx.inventory.map_or(since, |inventory| since.max(inventory.begun.after(Duration::from_nanos(1))));
        self.want = Want { listing: Some(begun), wake: Some(Self::doubt_end(ctx, since)), ..Want::default() };
        self.phase = Phase::Creating(creating);
    }

    /// An item with exactly the mark that was sent.
    fn find_by_mark(&self, ctx: &Context<'_>, view: &View<'_>) -> Option<ItemId> {
        let sent = Mark::read(&self.order.description);
        let same = |item: &&Item| match (&sent, item.description.reading()) {
            (Reading::Mark(sent), Reading::Mark(seen)) => {
                ctx.wanted.is_ours(&seen.owner) && seen.slot().is_some() && seen.slot() == sent.slot() || sent == seen
            }
            _ => false,
        };
        // Neither one that is accounted for, nor one that this run has deleted and a list that lags behind shows once more.
        let known = |item: &&Item| ctx.memory.made.contains_key(&item.id) || self.deleted.contains(&item.id);
        let found = view.items.iter().filter(same).filter(|item| !known(item));
        found.min_by_key(|item| item.status == Status::Failed).map(|item| item.id)
    }

    fn absent(&mut self, step: &mut Step<'_, '_>, op: OpId, error: String) {
        self.end_create(step, op, CreateEnd::Absent, &error);
        self.tell_decided(step, op, None, OpResult::Failure, Some(error.clone()));
        if self.passed_over {
            return self.end(step, RunResult::Skipped, Some(error));
        }
        let sent = self.slot().map_or(CREATES_MAX, |slot| step.ctx.memory.slot(slot).creates);
        if sent >= CREATES_MAX || !self.in_time(step.wall()) || step.ctx.policy.is_none() {
            return self.fail(step, Reason::CreateFailed, error);
        }
        self.plan_at(step.ctx.now.mono);
    }
}
