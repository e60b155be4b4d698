//! Before the create: wait for a fresh listing and for leave, plan, pass the guard.

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::Mono;

use super::super::assess::{Belonging, assess_belonging};
use super::super::guard;
use super::super::inventory::{Item, ItemId, Status};
use super::super::mark::Origin;
use super::super::memory::Undecided;
use super::super::plan::{self, Plan};
use super::super::policy::{AtCap, KindPolicy};
use super::super::problem::{Problem, Reason, RunResult};
use super::super::record::OpId;
use super::super::view::View;
use super::creating::Creating;
use super::deleting::Deleting;
use super::waiting::Waiting;
use super::{CREATES_MAX, Context, Effect, LOOKS_MAX, Phase, Run, Step, Want};

/// Whether something of ours is already there for what a run is to make.
#[derive(PartialEq)]
pub(super) enum Existing {
    No,
    Completed(ItemId),
    Unfinished(Item),
}

impl Run {
    pub(super) fn plan(&mut self, step: &mut Step<'_, '_>, not_before: Option<Mono>) {
        let ctx = step.ctx;
        let Some(policy) = ctx.policy else {
            return self.end(step, RunResult::Skipped, Some("the server has left the configuration".to_owned()));
        };
        self.generation = ctx.generation;
        if let Some(Problem { reason, detail }) = ctx.server.left_alone() {
            return self.fail(step, reason, detail);
        }
        if let Some(op) = self.undecided_twin(ctx) {
            let creating = Creating::in_doubt(op, ctx.now.mono, ctx.request_timeout);
            return self.settle_create(step, creating);
        }
        if !self.in_time(ctx.now.wall) {
            return self.end(step, RunResult::Failure, Some("it could not be begun in time".to_owned()));
        }
        if let Some(until) = not_before.filter(|until| *until > ctx.now.mono) {
            return self.plan_at(until);
        }
        if self.after_is_owed() {
            return self.plan_later(ctx, Want::default());
        }
        if ctx.hooks_are_open {
            // It has failed, and is tried again: that would end what a new `before` has begun. Meanwhile others may make items.
            step.out.push(Effect::Release);
            return self.plan_later(ctx, Want::default());
        }
        let fresh_from = Self::fresh_from(ctx);
        let Some(view) = self.view(ctx, fresh_from) else {
            return self.plan_later(ctx, Want { listing: Some(fresh_from), urgent: true, ..Want::default() });
        };
        self.plan_on(step, policy, &view);
    }

    fn plan_on(&mut self, step: &mut Step<'_, '_>, policy: &KindPolicy, view: &View<'_>) {
        let ctx = step.ctx;
        match self.existing(ctx, policy, view) {
            Existing::Completed(item) => return self.end(step, RunResult::Skipped, Some(format!("item {item} is already there for it"))),
            Existing::Unfinished(item) => return self.wait_for(step, &item),
            Existing::No => {}
        }
        let known = self.slot().map(|slot| ctx.memory.slot(slot)).unwrap_or_default();
        if known.done {
            return self.end(step, RunResult::Skipped, Some("an item was already made for it, and is gone".to_owned()));
        }
        if known.creates >= CREATES_MAX {
            return self.fail(step, Reason::CreateFailed, format!("{CREATES_MAX} creates were sent for it already"));
        }
        if ctx.server.restoring {
            let detail = "the server is being restored; nothing is made there meanwhile".to_owned();
            return self.block(step, Problem { reason: Reason::Restoring, detail });
        }
        if !ctx.permit {
            return self.plan_later(ctx, Want { permit: true, ..Want::default() });
        }
        let policy = &self.hand_policy(policy);
        let freeze = self.freeze(ctx, view);
        let full = self.is_full(ctx, view);
        // After a start the items may be known before it is told whether the server is being restored.
        let unseen = ctx.server.told && ctx.server.seen.is_none();
        if (unseen || full && !Self::servers_are_fresh(ctx)) && self.look_again() {
            let servers = Some(Self::recent_from(ctx));
            return self.plan_later(ctx, Want { servers, ..Want::default() });
        }
        let ground = self.ground(ctx, policy, view, freeze.as_ref());
        let plan = Self::planned(ctx, plan::before_create(&ground, &self.order));
        if let Some(blocked) = &plan.blocked {
            let passing = matches!(blocked.reason, Reason::ListingIncomplete | Reason::Guard);
            if passing && self.look_again() {
                return self.plan_later(ctx, Want { listing: Some(ctx.now.mono), ..Want::default() });
            }
            return self.block(step, blocked.clone());
        }
        self.begin(step, policy, view, &plan);
    }

    /// What planning now would come to, leave to make an item taken for granted. Nothing is begun; none where there is no listing.
    #[must_use]
    pub fn preview(&self, ctx: &Context<'_>) -> Option<Plan<'static>> {
        let policy = self.hand_policy(ctx.policy?);
        let view = self.view(ctx, Mono::default())?;
        let freeze = self.freeze(ctx, &view);
        Some(plan::before_create(&self.ground(ctx, &policy, &view, freeze.as_ref()), &self.order).into_owned())
    }

    /// A policy for an item made by hand gives an item at the cap only where that was asked for.
    pub(super) fn hand_policy<'a>(&self, policy: &'a KindPolicy) -> Cow<'a, KindPolicy> {
        let mut policy = Cow::Borrowed(policy);
        if let Some(by_hand) = self.by_hand {
            policy.to_mut().at_cap = if by_hand.make_room { AtCap::Rotate } else { AtCap::Refuse };
        }
        policy
    }

    fn begin(&mut self, step: &mut Step<'_, '_>, policy: &KindPolicy, view: &View<'_>, plan: &Plan<'_>) {
        let approved = match guard::check(plan, &self.guard_facts(step.ctx, policy, view)) {
            Ok(approved) => approved,
            Err(violation) => return self.begin_without_deletes(step, policy, view, plan, &violation),
        };
        self.looks = 0;
        self.phase = match approved.deletions() {
            [] => return self.begin_create(step),
            [deletion, ..] => Phase::Room(Box::new(Deleting::begin(self, step, deletion.clone()))),
        };
    }

    fn block(&mut self, step: &mut Step<'_, '_>, blocked: Problem) {
        let detail = blocked.detail.clone();
        self.note(blocked);
        self.end(step, RunResult::Blocked, Some(detail));
    }

    /// Plans once that has come; at the latest when it is too late for a create, to say so.
    fn plan_later(&mut self, ctx: &Context<'_>, want: Want) {
        let left = self.deadline.map(|deadline| Duration::try_from(deadline.duration_since(ctx.now.wall)).unwrap_or_default());
        let too_late = left.map(|left| ctx.now.mono.after(left.saturating_add(Duration::from_nanos(1))));
        self.want = Want { wake: too_late, ..want };
        self.phase = Phase::Planning { not_before: None };
    }

    /// Plans at that time; what this step has recorded takes effect before.
    pub(super) fn plan_at(&mut self, at: Mono) {
        self.want = Want { wake: Some(at), ..Want::default() };
        self.phase = Phase::Planning { not_before: Some(at) };
    }

    /// A create for the very same slot, or with the same mark, that an earlier run has left in doubt: it is settled before another is sent (I7).
    fn undecided_twin(&self, ctx: &Context<'_>) -> Option<OpId> {
        let twin = |undecided: &Undecided| match (undecided, &self.origin) {
            (Undecided::Create(intent), Origin::Slot { slot, .. }) => {
                matches!(&intent.origin, Origin::Slot { slot: earlier, .. } if earlier == slot)
            }
            (Undecided::Create(intent), Origin::Hand { .. }) => *intent.description == *self.order.description,
            (Undecided::Delete(_), _) => false,
        };
        ctx.memory.undecided.iter().find(|(_, undecided)| twin(undecided)).map(|(op, _)| *op)
    }

    /// Whether one more listing is worth waiting for.
    pub(super) fn look_again(&mut self) -> bool {
        self.looks += 1;
        self.looks < LOOKS_MAX
    }

    /// An item of ours for the same slot, or with the very same mark, may have come from an earlier send, another replica, or before a crash.
    pub(super) fn existing(&self, ctx: &Context<'_>, policy: &KindPolicy, view: &View<'_>) -> Existing {
        let rows = assess_belonging(view.items, ctx.wanted, policy, Self::knowledge(ctx), ctx.now.wall);
        let ours = rows.iter().filter(|row| row.belonging == Belonging::Ours && row.item.status != Status::Failed);
        let mut same = ours.filter(|row| match (&self.origin, self.order.slot) {
            (Origin::Slot { .. }, Some(slot)) => row.slot() == Some(slot),
            _ => *row.item.description == *self.order.description,
        });
        match same.next() {
            None => Existing::No,
            Some(row) if row.item.status == Status::Completed => Existing::Completed(row.item.id),
            Some(row) => Existing::Unfinished(Item::clone(&row.item)),
        }
    }

    fn wait_for(&mut self, step: &mut Step<'_, '_>, item: &Item) {
        let ctx = step.ctx;
        let op = ctx.memory.unfinished.get(&item.id).map(|accepted| accepted.op);
        let age = ctx.memory.age(item.id, item.created_at, ctx.now.wall);
        let waiting = Waiting::new(op, item.id, ctx.now.mono, age, ctx.request_timeout);
        self.wait(step, waiting);
    }

    /// Until when a doubt is kept within this run.
    pub(super) fn doubt_end(ctx: &Context<'_>, since: Mono) -> Mono {
        since.after(ctx.request_timeout.saturating_mul(super::DOUBT_TIMEOUTS_MAX))
    }

    /// Whether a create may still be begun.
    pub(super) fn in_time(&self, now: Timestamp) -> bool {
        self.deadline.is_none_or(|deadline| now <= deadline)
    }
}
