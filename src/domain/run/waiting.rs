//! The wait for an item to be complete.

use std::time::Duration;

use crate::clock::Mono;

use super::super::fact::Fact;
use super::super::inventory::{ItemId, Status};
use super::super::policy::KindPolicy;
use super::super::problem::{Reason, RunResult};
use super::super::record::{CreateEnd, OpId, Record};
use super::super::view::View;
use super::pruning::Pruning;
use super::{Effect, Phase, Run, Step, Want};

/// An item that is being made.
#[derive(Debug)]
pub(super) struct Waiting {
    op: Option<OpId>,
    item: ItemId,
    since: Mono,
    /// How old it was then.
    age: Duration,
    proof: Proof,
}

impl Waiting {
    pub(super) fn new(op: Option<OpId>, item: ItemId, since: Mono, age: Duration, request_timeout: Duration) -> Waiting {
        Waiting { op, item, since, age, proof: Proof::new(since, request_timeout) }
    }

    /// When it has lasted too long.
    fn stuck_at(&self, policy: &KindPolicy) -> Mono {
        self.since.after(policy.stuck_after.saturating_sub(self.age))
    }

    /// A listing that is newer than this one.
    fn want(&self, newest: Option<Mono>, stuck_at: Mono) -> Want {
        let newer = newest.map_or(self.since, |begun| begun.after(Duration::from_nanos(1)));
        Want { listing: Some(newer.max(self.since)), wake: Some(stuck_at), ..Want::default() }
    }
}

/// Proof of something by two complete listings in a row that were begun long enough after the sending (contract §3), the second of them twice as long: two
/// that come right after each other may both be answered by a replica that lags behind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Proof {
    from: Mono,
    settled_from: Mono,
    last: Option<Mono>,
    count: u32,
}

impl Proof {
    pub(super) fn new(sent: Mono, request_timeout: Duration) -> Proof {
        let [from, settled_from] = [2, 4].map(|timeouts| sent.after(request_timeout.saturating_mul(timeouts)));
        Proof { from, settled_from, last: None, count: 0 }
    }

    /// The newest complete listing says the contrary.
    pub(super) fn clear(&mut self) {
        (self.last, self.count) = (None, 0);
    }

    /// Notes a complete listing that says so. Returns whether that is proof.
    pub(super) fn note(&mut self, begun: Mono) -> bool {
        if begun >= self.from && self.last != Some(begun) {
            self.last = Some(begun);
            self.count += 1;
        }
        self.count >= 2 && begun >= self.settled_from
    }
}

impl Run {
    /// Waits until the item is complete.
    pub(super) fn wait(&mut self, step: &mut Step<'_, '_>, mut waiting: Waiting) {
        let ctx = step.ctx;
        let Some(policy) = ctx.policy else {
            return self.end(step, RunResult::Skipped, Some("the server has left the configuration".to_owned()));
        };
        let view = self.view(ctx, waiting.since);
        let status = view.as_ref().and_then(|view| view.find(waiting.item)).map(|item| item.status.clone());
        match (&view, status) {
            (Some(view), Some(Status::Completed)) => return self.complete(step, &waiting, view),
            (_, Some(Status::Failed)) => return self.lose(step, &waiting, "failed at the provider"),
            (_, Some(Status::InProgress | Status::Unknown(_))) => waiting.proof.clear(),
            (Some(view), None) if view.defect().is_none() && waiting.proof.note(view.begun()) => return self.vanished(step, &waiting),
            _ => {}
        }
        let stuck_at = waiting.stuck_at(policy);
        if ctx.now.mono >= stuck_at {
            step.out.push(Effect::Release);
            self.gave_up = Some(waiting.item);
            let detail = format!("item {} is not complete after {}", waiting.item, humantime::format_duration(policy.stuck_after));
            return self.fail(step, Reason::Stuck, detail);
        }
        self.want = waiting.want(ctx.inventory.map(|inventory| inventory.begun), stuck_at);
        self.phase = Phase::Waiting(waiting);
    }

    /// Whether a listing shows that the item waited for is still being made, and it is not stuck yet: the same as a step that does nothing but to wait on.
    #[must_use]
    pub fn waits_on(&mut self, now: Mono, policy: &KindPolicy, view: &View<'_>) -> bool {
        let Phase::Waiting(waiting) = &mut self.phase else { return false };
        let stuck_at = waiting.stuck_at(policy);
        let item = view.find(waiting.item).filter(|_| view.begun() >= waiting.since && now < stuck_at);
        if !item.is_some_and(|item| matches!(item.status, Status::InProgress | Status::Unknown(_))) {
            return false;
        }
        waiting.proof.clear();
        self.want = waiting.want(Some(view.begun()), stuck_at);
        true
    }

    fn complete(&mut self, step: &mut Step<'_, '_>, waiting: &Waiting, view: &View<'_>) {
        let at = step.wall();
        // What is still unpaid and was not deleted by this run is a debt of former ones: this create pays for it first.
        let own = super::count(&self.deleted).saturating_sub(self.extra_used);
        self.owed = u32::from(self.has_hole(step.ctx, view, Some(waiting.item))).saturating_sub(own);
        if let Some(op) = waiting.op {
            step.record(Record::CreateCompleted { op, at });
        }
        self.created.push(waiting.item);
        step.tell(Fact::Completed { target: self.target.clone(), run: self.id.0, item: waiting.item });
        step.out.push(Effect::Release);
        if self.by_hand.is_some() {
            return self.end(step, RunResult::Success, None);
        }
        self.looks = 0;
        self.want = Want { wake: Some(step.ctx.now.mono), ..Want::default() };
        self.phase = Phase::Pruning(Pruning::default());
    }

    /// The item will not be complete: its slot may be tried again.
    fn lose(&mut self, step: &mut Step<'_, '_>, waiting: &Waiting, how: &str) {
        let error = format!("item {} {how}", waiting.item);
        if let Some(op) = waiting.op {
            self.end_create(step, op, CreateEnd::Failed, &error);
        }
        step.out.push(Effect::Release);
        self.fail(step, Reason::CreateFailed, error);
    }

    /// It is written down that the item is gone: else nothing could ever be deleted there, for lack of a listing that shows it.
    fn vanished(&mut self, step: &mut Step<'_, '_>, waiting: &Waiting) {
        let at = step.wall();
        if step.ctx.memory.made.contains_key(&waiting.item) {
            step.record(Record::ItemGone { server: self.target.server, kind: self.target.kind, item: waiting.item, ours: false, at });
        }
        self.lose(step, waiting, "vanished before it was complete");
    }
}
