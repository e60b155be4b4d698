//! Before the create: wait for a fresh listing and for leave, plan, pass the guard.

use std::time::Duration;

use jiff::Timestamp;

use crate::clock::Mono;

use super::super::assess::{Belonging, assess};
use super::super::guard;
use super::super::inventory::{ItemId, Status};
use super::super::mark::Origin;
use super::super::plan::{self, Plan};
use super::super::policy::{AtCap, KindPolicy};
use super::super::problem::{Problem, Reason, RunResult};
use super::super::view::View;
use super::creating::Creating;
use super::deleting::Deleting;
use super::{Context, LOOKS_MAX, Phase, Run, Step, Waiting, Want};

/// Whether something of ours is already there for what a run is to make.
enum Existing {
    No,
    Completed(ItemId),
    Unfinished(ItemId),
}

impl Run {
    pub(super) fn plan(&mut self, step: &mut Step<'_, '_>, not_before: Option<Mono>) {
        let ctx = step.ctx;
        let Some(policy) = ctx.policy else {
            return self.end(step, RunResult::Skipped, Some("the server has left the configuration".to_owned()));
        };
        self.generation = ctx.generation;
        if ctx.server.missing {
            return self.fail(step, Reason::ServerMissing, "the provider does not know the server".to_owned());
        }
        if self.deadline.is_some_and(|deadline| ctx.now.wall > deadline) {
            return self.end(step, RunResult::Failure, Some("it could not be begun in time".to_owned()));
        }
        if let Some(until) = not_before.filter(|until| *until > ctx.now.mono) {
            self.want = Want { wake: Some(until), ..Want::default() };
            self.phase = Phase::Planning { not_before };
            return;
        }
        let fresh_from = Self::fresh_from(ctx);
        let Some(view) = self.view(ctx, fresh_from) else {
            return self.plan_later(Want { listing: Some(fresh_from), urgent: true, ..Want::default() });
        };
        self.plan_on(step, policy, &view);
    }

    fn plan_on(&mut self, step: &mut Step<'_, '_>, policy: &KindPolicy, view: &View<'_>) {
        let ctx = step.ctx;
        match self.existing(ctx, policy, view) {
            Existing::Completed(item) => return self.end(step, RunResult::Skipped, Some(format!("item {item} is already there for it"))),
            Existing::Unfinished(item) => return self.wait_for(step, item),
            Existing::No => {}
        }
        if !ctx.permit {
            return self.plan_later(Want { permit: true, ..Want::default() });
        }
        let policy = &self.hand_policy(policy);
        let freeze = self.freeze(ctx, view);
        let full = view.used() >= u64::from(ctx.wanted.limits.of(policy.kind));
        if full && !Self::servers_are_fresh(ctx) && self.look_again() {
            let servers = Some(Mono(ctx.now.mono.0.saturating_sub(guard::LISTING_AGE_MAX)));
            return self.plan_later(Want { servers, ..Want::default() });
        }
        let ground = self.ground(ctx, policy, view, freeze.as_ref());
        let plan = plan::before_create(&ground, &self.order);
        if let Some(blocked) = &plan.blocked {
            let passing = blocked.reason == Reason::ListingIncomplete;
            if passing && self.look_again() {
                return self.plan_later(Want { listing: Some(ctx.now.mono), ..Want::default() });
            }
            return self.block(step, blocked.clone());
        }
        self.begin(step, policy, view, &plan);
    }

    /// What planning now would come to, leave to make an item taken for granted. Nothing is begun; none where there is no listing.
    #[must_use]
    pub fn preview(&self, ctx: &Context<'_>) -> Option<Plan> {
        let policy = self.hand_policy(ctx.policy?);
        let view = self.view(ctx, Mono::default())?;
        let freeze = self.freeze(ctx, &view);
        Some(plan::before_create(&self.ground(ctx, &policy, &view, freeze.as_ref()), &self.order))
    }

    /// A policy for an item made by hand gives an item at the cap only where that was asked for.
    fn hand_policy(&self, policy: &KindPolicy) -> KindPolicy {
        let mut policy = policy.clone();
        if let Some(by_hand) = self.by_hand {
            policy.at_cap = if by_hand.make_room { AtCap::Rotate } else { AtCap::Refuse };
        }
        policy
    }

    fn begin(&mut self, step: &mut Step<'_, '_>, policy: &KindPolicy, view: &View<'_>, plan: &Plan) {
        let approved = match guard::check(plan, &self.guard_facts(step.ctx, policy, view)) {
            Ok(approved) => approved,
            Err(violation) => return self.refuse(step, &violation),
        };
        self.looks = 0;
        self.phase = match approved.deletions() {
            [] => Phase::Creating(Creating::begin(self, step)),
            [deletion, ..] => Phase::Room(Deleting::begin(self, step, deletion.clone())),
        };
    }

    fn block(&mut self, step: &mut Step<'_, '_>, blocked: Problem) {
        let detail = blocked.detail.clone();
        self.note(blocked);
        self.end(step, RunResult::Blocked, Some(detail));
    }

    fn plan_later(&mut self, want: Want) {
        self.want = want;
        self.phase = Phase::Planning { not_before: None };
    }

    /// Whether one more listing is worth waiting for.
    pub(super) fn look_again(&mut self) -> bool {
        self.looks += 1;
        self.looks < LOOKS_MAX
    }

    /// An item of ours for the same slot, or with the very same mark, may have come from an earlier send, another replica, or before a crash.
    fn existing(&self, ctx: &Context<'_>, policy: &KindPolicy, view: &View<'_>) -> Existing {
        let rows = assess(view.items, ctx.wanted, policy, Self::knowledge(ctx), ctx.now.wall, None);
        let ours = rows.iter().filter(|row| row.belonging == Belonging::Ours && row.item.status != Status::Failed);
        let mut same = ours.filter(|row| match (&self.origin, self.order.slot) {
            (Origin::Slot { .. }, Some(slot)) => row.slot() == Some(slot),
            _ => *row.item.description == self.order.description,
        });
        match same.next() {
            None => Existing::No,
            Some(row) if row.item.status == Status::Completed => Existing::Completed(row.item.id),
            Some(row) => Existing::Unfinished(row.item.id),
        }
    }

    fn wait_for(&mut self, step: &mut Step<'_, '_>, item: ItemId) {
        let ctx = step.ctx;
        let op = ctx.memory.unfinished.get(&item).copied();
        let waiting = Waiting::new(op, item, ctx.now.mono, Duration::ZERO, ctx.request_timeout);
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
