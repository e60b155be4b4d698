//! What follows from a breach: the guard's no to a plan.
//!
//! Nothing is deleted on the server from then on, until a rehearsal shows that the plans are sound again. Creates go on where a slot is free.

use super::super::guard::{self, Violation};
use super::super::plan::{self, Action, Allowance, Ground, Plan};
use super::super::policy::KindPolicy;
use super::super::problem::{Problem, Reason};
use super::super::view::View;
use super::{Context, Effect, Run, Step};

impl Run {
    /// A plan as it came from the planner.
    #[cfg(not(test))]
    pub(super) fn planned<'a>(_: &Context<'_>, plan: Plan<'a>) -> Plan<'a> {
        plan
    }

    /// A plan as it came from the planner, with the mistake that a test makes in it.
    #[cfg(test)]
    pub(super) fn planned<'a>(ctx: &Context<'_>, mut plan: Plan<'a>) -> Plan<'a> {
        if let Some(mistake) = ctx.mistake {
            mistake(&mut plan);
        }
        plan
    }

    /// The guard has refused the plan before the create. A create that breaks nothing by itself goes on without the deletes.
    pub(super) fn begin_without_deletes(
        &mut self,
        step: &mut Step<'_, '_>,
        policy: &KindPolicy,
        view: &View<'_>,
        plan: &Plan<'_>,
        violation: &Violation,
    ) {
        let creates = plan.actions.iter().filter(|action| matches!(action, Action::Create(_))).cloned();
        let rest = Plan { actions: creates.collect(), ..plan.clone() };
        let approved = guard::check(&rest, &self.guard_facts(step.ctx, policy, view));
        if approved.is_ok_and(|approved| approved.order().is_some()) {
            self.freeze_deletes(step, violation);
            self.begin_create(step);
        } else {
            self.refuse(step, violation);
        }
    }

    /// The guard has refused a plan, and there is nothing else to do in this run.
    pub(super) fn refuse(&mut self, step: &mut Step<'_, '_>, violation: &Violation) {
        self.freeze_deletes(step, violation);
        self.fail(step, Reason::Guard, refusal(violation));
    }

    fn freeze_deletes(&mut self, step: &mut Step<'_, '_>, violation: &Violation) {
        step.out.push(Effect::Freeze(violation.clone()));
        self.refused = Some(refusal(violation));
        self.note(Problem { reason: Reason::Guard, detail: refusal(violation) });
    }

    /// Whether the guard would pass what a run like this one planned now, deletes and all: before its create, and after a create that has completed.
    /// None where that cannot be told, because something else stands in the way of deletes or of the create. Nothing is begun.
    #[must_use]
    pub fn rehearse(&self, ctx: &Context<'_>) -> Option<Result<(), Violation>> {
        let policy = self.hand_policy(ctx.policy?);
        let view = self.view(ctx, Self::fresh_from(ctx))?;
        if self.freeze(ctx, &view).is_some() {
            return None;
        }
        let ground = self.ground(ctx, &policy, &view, None);
        let facts = self.guard_facts(ctx, &policy, &view);
        let before = Self::planned(ctx, plan::before_create(&ground, &self.order));
        if before.blocked.is_some() {
            return None;
        }
        let paid = Ground { allowance: Allowance { paid: 1, ..ground.allowance }, ..ground };
        let after = Self::planned(ctx, plan::after_create(&paid));
        let passed = guard::check(&before, &facts).and_then(|_| guard::check(&after, &guard::Facts { completed: 1, ..facts }));
        Some(passed.map(drop))
    }
}

fn refusal(violation: &Violation) -> String {
    format!("the plan was refused: {violation}")
}
