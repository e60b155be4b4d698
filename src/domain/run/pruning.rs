//! After the create has completed: plan again on the listing that shows it, and delete what retention drops.

use std::time::Duration;

use crate::clock::Mono;

use super::super::guard::{self, Violation};
use super::super::plan::{self, Action, Deletion, Plan, When};
use super::super::policy::KindPolicy;
use super::super::problem::{Problem, Reason, RunResult};
use super::super::view::View;
use super::deleting::{Deleted, Deleting};
use super::{Context, Event, Phase, Run, Step, Want};

/// The plan after the create, as far as it is still to be done.
#[derive(Debug, Default)]
pub(super) struct Pruning {
    plan: Option<Plan<'static>>,
    deleting: Option<Box<Deleting>>,
    /// A delete did not reach the provider: a new plan is made then.
    not_before: Option<Mono>,
    /// Until when a listing, or the state of the servers, is waited for.
    until: Option<Mono>,
}

impl Pruning {
    pub(super) fn is_in_flight(&self) -> bool {
        self.deleting.as_deref().is_some_and(Deleting::is_in_flight)
    }

    pub(super) fn doubt(&self) -> Option<Problem> {
        self.deleting.as_deref().and_then(Deleting::doubt)
    }
}

impl Run {
    pub(super) fn prune(&mut self, step: &mut Step<'_, '_>, mut pruning: Pruning, event: Event) {
        if let Some(deleting) = pruning.deleting.take() {
            match self.delete(step, *deleting, event) {
                Deleted::Pending(deleting) => {
                    pruning.deleting = Some(deleting);
                    self.phase = Phase::Pruning(pruning);
                    return;
                }
                Deleted::Gone => {
                    // The outcome takes effect between two steps: the next delete is judged with it.
                    self.want = Want { wake: Some(step.ctx.now.mono), ..Want::default() };
                    self.phase = Phase::Pruning(pruning);
                    return;
                }
                Deleted::Dropped(at) => return self.prune_at(step, at),
                Deleted::Failed(reason, detail) => return self.fail(step, reason, detail),
                Deleted::NotRecorded(error) => return self.end_unrecorded(step, &error),
            }
        }
        self.prune_next(step, pruning);
    }

    /// Another plan, at that time. What was planned under an older configuration is dropped with the old one (I11).
    fn prune_at(&mut self, step: &mut Step<'_, '_>, at: Mono) {
        if step.ctx.policy.is_none() || self.generation != step.ctx.generation {
            return self.end(step, RunResult::Success, None);
        }
        self.prune_later(step.ctx, Pruning { not_before: Some(at), ..Pruning::default() }, Want { wake: Some(at), ..Want::default() });
    }

    fn prune_next(&mut self, step: &mut Step<'_, '_>, pruning: Pruning) {
        let ctx = step.ctx;
        // What was planned under an older configuration is dropped, and so is everything of a server that has left it.
        let Some(policy) = ctx.policy.filter(|_| pruning.plan.is_none() || self.generation == ctx.generation) else {
            return self.end(step, RunResult::Success, None);
        };
        if let Some(until) = pruning.not_before.filter(|until| *until > ctx.now.mono) {
            return self.prune_later(ctx, pruning, Want { wake: Some(until), ..Want::default() });
        }
        self.generation = ctx.generation;
        let fresh_from = Self::fresh_from(ctx);
        let Some(view) = self.view(ctx, fresh_from) else {
            if pruning.until.is_some_and(|until| until <= ctx.now.mono) {
                self.note(Problem { reason: Reason::ListingIncomplete, detail: "no listing came, so nothing was deleted".to_owned() });
                return self.end(step, RunResult::Success, None);
            }
            return self.prune_later(ctx, pruning, Want { listing: Some(fresh_from), urgent: true, ..Want::default() });
        };
        let in_time = pruning.until.is_none_or(|until| ctx.now.mono < until);
        if !Self::servers_are_fresh(ctx) && in_time && self.look_again() {
            let servers = Some(Self::recent_from(ctx));
            return self.prune_later(ctx, pruning, Want { servers, ..Want::default() });
        }
        let freeze = self.freeze(ctx, &view);
        let passing = freeze.as_ref().is_some_and(|freeze| matches!(freeze.reason, Reason::ListingIncomplete | Reason::Guard));
        if passing && in_time && self.look_again() {
            let newer = view.begun().after(Duration::from_nanos(1));
            return self.prune_later(ctx, pruning, Want { listing: Some(newer), ..Want::default() });
        }
        let plan = match pruning.plan {
            Some(plan) if freeze.is_none() && !is_overdrawn(ctx, &plan) => {
                // What has changed since drops the rest; in a new plan, the guard has to answer for that.
                if self.has_changed(ctx, policy, &view, &plan) {
                    return self.end(step, RunResult::Success, None);
                }
                plan
            }
            _ => {
                let plan = Self::planned(ctx, plan::after_create(&self.ground(ctx, policy, &view, freeze.as_ref())));
                plan.problems
                    .iter()
                    .filter(|problem| !plan.pending.is_empty() || problem.reason != Reason::Fuse)
                    .for_each(|problem| self.note(problem.clone()));
                plan
            }
        };
        self.prune_by(step, policy, &view, plan);
    }

    /// Whether something that the plan still lets go looks otherwise by now, or would stay by another plan: what the plan keeps may have vanished.
    fn has_changed(&self, ctx: &Context<'_>, policy: &KindPolicy, view: &View<'_>, plan: &Plan<'_>) -> bool {
        let mut left = plan.deletions(When::AfterCreate).peekable();
        if left.peek().is_none() {
            return false;
        }
        let now = plan::after_create(&self.ground(ctx, policy, view, None));
        // What the fuse holds back by now is let go by retention all the same.
        let goes = |deletion: &Deletion| {
            let looks_the_same = view.find(deletion.item.id) == Some(&deletion.item);
            let planned = || now.deletions(When::AfterCreate).any(|planned| planned.item.id == deletion.item.id);
            looks_the_same && (now.pending.contains(&deletion.item.id) || planned())
        };
        left.any(|deletion| !goes(deletion))
    }

    /// Carries out the first of the remaining deletes, if the guard passes them all on this very listing.
    fn prune_by(&mut self, step: &mut Step<'_, '_>, policy: &KindPolicy, view: &View<'_>, mut plan: Plan<'_>) {
        let approved = match guard::check(&plan, &self.guard_facts(step.ctx, policy, view)) {
            Ok(approved) if approved.order().is_none() => approved,
            Ok(_) => return self.refuse(step, &Violation { invariant: "I7", detail: "pruning makes no item".to_owned() }),
            Err(violation) => return self.refuse(step, &violation),
        };
        let [first, ..] = approved.deletions() else {
            return self.end(step, RunResult::Success, None);
        };
        let deleting = Deleting::begin(self, step, first.clone());
        plan.actions.retain(|action| !matches!(action, Action::Delete(deletion) if deletion.item.id == first.item.id));
        self.looks = 0;
        // What is carried out are the actions: nobody reads the lines again.
        plan.lines.clear();
        self.phase = Phase::Pruning(Pruning { plan: Some(plan.into_owned()), deleting: Some(Box::new(deleting)), ..Pruning::default() });
    }

    /// Goes on once that has come; without it only for a while: the item is made, and what is to be pruned can wait for another run.
    fn prune_later(&mut self, ctx: &Context<'_>, mut pruning: Pruning, want: Want) {
        self.want = want;
        if want.wake.is_none() {
            self.want.wake = Some(*pruning.until.get_or_insert(Self::doubt_end(ctx, ctx.now.mono)));
        }
        self.phase = Phase::Pruning(pruning);
    }
}

/// Whether more extra deletes are left than the day allows: since they were planned, other servers have used it up.
fn is_overdrawn(ctx: &Context<'_>, plan: &Plan<'_>) -> bool {
    let left = plan.deletions(When::AfterCreate).filter(|deletion| deletion.extra).count();
    let left = u32::try_from(left).unwrap_or(u32::MAX);
    left > 0 && ctx.extras_last_day.saturating_add(left) > ctx.wanted.fuse.extra_per_day
}
