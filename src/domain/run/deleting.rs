//! One delete: intent, sending, doubt, and the look that shows that the item is gone.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::Mono;
use crate::domain::gather::gather;

use super::super::assess::{Why, sentence};
use super::super::fact::Fact;
use super::super::guard;
use super::super::inventory::{Item, ItemId};
use super::super::plan::{self, Deletion, When};
use super::super::policy::KindPolicy;
use super::super::problem::{OpResult, Problem, Reason, RunResult};
use super::super::record::{DeleteEnd, DeleteIntent, DeleteWhen, OpId, Record};
use super::super::view::View;
use super::planning::Existing;
use super::waiting::Proof;
use super::{Context, DELETES_SENT_MAX, Effect, Event, Phase, Run, Setback, SetbackKind, Step, UNSENT_MAX, Want};

/// A delete that is on its way.
#[derive(Debug)]
pub(super) struct Deleting {
    op: OpId,
    deletion: Deletion,
    /// Why the item goes, in words.
    reason: Box<str>,
    /// When the listing was begun by which that was decided.
    decided_on: Option<Mono>,
    /// When the newest item with a mark was begun that was shown then.
    newest_created_at: Timestamp,
    stage: Stage,
    sent: u32,
    /// Whether it has been told how it came out: that is counted once, however often it is sent.
    told: bool,
}

#[derive(Debug)]
enum Stage {
    /// The intent is being written.
    Recording,
    /// The answer is awaited.
    Sent,
    /// Answered: looking whether the item is gone. Where it is still shown, it may be sent again from `again` on.
    Looking { since: Mono, again: Mono },
    /// In doubt: looking whether it was done.
    Doubt { since: Mono, error: String, gone: Proof, shown: Proof },
}

/// Why a delete is not sent.
enum Unfit {
    /// It is not safe, or that is not known.
    Doubtful(String),
    /// By what is there now the item is to stay.
    Stays,
    /// Something with a mark was made since it was decided to make room.
    Overtaken,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unfit::Doubtful(why) => f.write_str(why),
            Unfit::Stays => f.write_str("by what is there now it stays"),
            Unfit::Overtaken => f.write_str("an item was made meanwhile"),
        }
    }
}

/// How a delete came out.
pub(super) enum Deleted {
    /// Not yet.
    Pending(Box<Deleting>),
    /// The item is gone.
    Gone,
    /// It did not reach the provider, or was not sent because something has changed: there is to be another plan, at this time.
    Dropped(Mono),
    /// It was not done, or that is not known.
    Failed(Reason, String),
    /// The intent could not be written.
    NotRecorded(String),
}

impl Stage {
    /// What one more complete listing says: `Some(true)`: the item is gone; `Some(false)`: it is not, and will not be by itself.
    fn settled(&mut self, is_shown: bool, begun: Mono) -> Option<bool> {
        match self {
            Stage::Looking { .. } if !is_shown => Some(true),
            Stage::Looking { again, .. } => (begun >= *again).then_some(false),
            Stage::Doubt { gone, shown, .. } if is_shown => {
                gone.clear();
                shown.note(begun).then_some(false)
            }
            Stage::Doubt { gone, shown, .. } => {
                shown.clear();
                gone.note(begun).then_some(true)
            }
            Stage::Recording | Stage::Sent => None,
        }
    }

    fn doubt(now: Mono, request_timeout: Duration, error: String) -> Stage {
        let proof = Proof::new(now, request_timeout);
        Stage::Doubt { since: now, error, gone: proof, shown: proof }
    }
}

impl Deleting {
    /// Writes the intent of a delete; it is sent once that is durable.
    pub(super) fn begin(run: &Run, step: &mut Step<'_, '_>, deletion: Deletion) -> Deleting {
        let op = step.op();
        let text = step.ctx.policy.map(KindPolicy::text);
        let reason: Box<str> = sentence(&deletion.why).into();
        let at = step.wall();
        let view = step.ctx.inventory.map(|inventory| inventory.of(run.target.server));
        let created_at = deletion.item.created_at;
        let newest_created_at = view.map_or(created_at, |view| Run::newest_created_at(step.ctx, &view, &deletion.item));
        let intent = DeleteIntent {
            op,
            run: run.id,
            subject: (&run.target).into(),
            item: deletion.item.id,
            item_name: deletion.item.name.as_deref().map(Into::into),
            item_created_at: created_at,
            newest_created_at: Some(newest_created_at),
            when: match deletion.when {
                When::BeforeCreate => DeleteWhen::BeforeCreate,
                When::AfterCreate => DeleteWhen::AfterCreate,
            },
            extra: deletion.extra,
            reason: reason.clone(),
            at,
            config: Arc::clone(step.ctx.config),
            policy_text: text.map(|text| text.digest()),
        };
        step.intend(op, text, Record::DeleteIntent(intent.into()));
        let decided_on = step.ctx.inventory.map(|inventory| inventory.begun);
        Deleting { op, deletion, reason, decided_on, newest_created_at, stage: Stage::Recording, sent: 0, told: false }
    }

    /// A delete of an earlier process, of which it is not known whether it was done. It is never sent again: its plan is gone.
    pub(super) fn in_doubt(intent: &DeleteIntent, item: Item, now: Mono, request_timeout: Duration) -> Deleting {
        let when = match intent.when {
            DeleteWhen::BeforeCreate => When::BeforeCreate,
            DeleteWhen::AfterCreate => When::AfterCreate,
        };
        let reason = intent.reason.clone();
        let deletion = Deletion { item, when, extra: intent.extra, why: Why::from(String::from(reason.clone())).into() };
        let stage = Stage::doubt(now, request_timeout, "interrupted before the answer was written down".to_owned());
        Deleting {
            op: intent.op,
            deletion,
            reason,
            decided_on: None,
            newest_created_at: intent.newest_created_at.unwrap_or(intent.at),
            stage,
            sent: DELETES_SENT_MAX,
            told: false,
        }
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
            Stage::Doubt { error, .. } => Some(Problem { reason: Reason::DeleteUnknown, detail: format!("item {}: {error}", self.item()) }),
            _ => None,
        }
    }
}

impl Run {
    /// Moves one delete on. Where it is pending, [`Run::want`] says for what.
    pub(super) fn delete(&mut self, step: &mut Step<'_, '_>, mut deleting: Deleting, event: Event) -> Deleted {
        let op = deleting.op;
        match (&deleting.stage, event) {
            (Stage::Recording, Event::Recorded(recorded)) if recorded == op => self.send_or_drop(step, deleting),
            (Stage::Recording, Event::NotRecorded(recorded, error)) if recorded == op => Deleted::NotRecorded(error),
            (Stage::Sent, Event::DeleteAnswered(answered, Ok(()))) if answered == op => {
                self.tell_deleted(step, &mut deleting, OpResult::Success, None);
                let since = step.ctx.now.mono;
                let again = since.after(step.ctx.request_timeout.saturating_mul(2));
                deleting.stage = Stage::Looking { since, again };
                self.look_at_once(step, deleting)
            }
            (Stage::Sent, Event::DeleteAnswered(answered, Err(setback))) if answered == op => self.delete_set_back(step, deleting, setback),
            (Stage::Looking { .. } | Stage::Doubt { .. }, _) => self.look_whether_gone(step, deleting),
            _ => Deleted::Pending(Box::new(deleting)),
        }
    }

    /// The intent is durable. Between it and the plan the world may have changed (I4, I11, F47).
    fn send_or_drop(&mut self, step: &mut Step<'_, '_>, deleting: Deleting) -> Deleted {
        match self.fit_to_send(step.ctx, &deleting) {
            Ok(()) => self.send_delete(step, deleting),
            Err(why) => {
                self.end_delete(step, &deleting, DeleteEnd::Refused, Some(&format!("not sent: {why}")));
                self.unsent += 1;
                if self.unsent < UNSENT_MAX {
                    return Deleted::Dropped(step.ctx.now.mono);
                }
                Deleted::Failed(Reason::DeleteFailed, format!("item {}: not sent: {why}", deleting.item()))
            }
        }
    }

    /// Why a delete that the guard has passed may not be sent (again) now.
    fn fit_to_send(&self, ctx: &Context<'_>, deleting: &Deleting) -> Result<(), Unfit> {
        let Some(policy) = ctx.policy.filter(|_| self.generation == ctx.generation) else {
            return Err(Unfit::Doubtful("the configuration has changed".to_owned()));
        };
        let Some(view) = self.view(ctx, Self::fresh_from(ctx)) else {
            return Err(Unfit::Doubtful("there is no fresh listing".to_owned()));
        };
        if !Self::servers_are_fresh(ctx) {
            return Err(Unfit::Doubtful("the state of the server is not known".to_owned()));
        }
        let others = ctx.memory.undecided.iter().filter(|(op, _)| **op != deleting.op);
        let others = gather(others.map(|(op, undecided)| (*op, undecided.clone())));
        let facts = guard::Facts { undecided: &others, ..self.guard_facts(ctx, policy, &view) };
        guard::check_again(&deleting.deletion, &facts).map_err(|violation| Unfit::Doubtful(violation.to_string()))?;
        if deleting.decided_on == Some(view.begun()) {
            return Ok(());
        }
        if !self.still_goes(ctx, policy, &view, &deleting.deletion) {
            return Err(Unfit::Stays);
        }
        // What was made before the room cannot pay for it: the intent has to say so of all that is there when it is sent.
        let deletion = &deleting.deletion;
        let is_to_be_paid = deletion.when == When::BeforeCreate && !deletion.extra;
        let is_overtaken = is_to_be_paid && Self::newest_created_at(ctx, &view, &deletion.item) > deleting.newest_created_at;
        if is_overtaken { Err(Unfit::Overtaken) } else { Ok(()) }
    }

    /// Whether what is there now would let the item go, too: another one may have vanished, so that retention keeps this one, or there may be no create
    /// any more that needs the room.
    fn still_goes(&self, ctx: &Context<'_>, policy: &KindPolicy, view: &View<'_>, deletion: &Deletion) -> bool {
        if deletion.when == When::BeforeCreate && !self.still_makes(ctx, policy, view) {
            return false;
        }
        let policy = self.hand_policy(policy);
        let mut ground = self.ground(ctx, &policy, view, None);
        // Its own intent counts against the fuse already.
        ground.allowance.extra_day = ground.allowance.extra_day.saturating_add(u32::from(deletion.extra));
        let plan = match deletion.when {
            When::BeforeCreate => plan::before_create(&ground, &self.order),
            When::AfterCreate => plan::after_create(&ground),
        };
        let mut planned = plan.deletions(deletion.when);
        planned.any(|planned| planned.item.id == deletion.item.id && (deletion.extra || !planned.extra))
    }

    /// Whether a create would follow a delete that makes room.
    fn still_makes(&self, ctx: &Context<'_>, policy: &KindPolicy, view: &View<'_>) -> bool {
        let is_done = self.slot().is_some_and(|slot| ctx.memory.slot(slot).done);
        self.in_time(ctx.now.wall) && ctx.server.left_alone().is_none() && !is_done && self.existing(ctx, policy, view) == Existing::No
    }

    fn send_delete(&mut self, step: &mut Step<'_, '_>, mut deleting: Deleting) -> Deleted {
        let item = &deleting.deletion.item;
        step.tell(Fact::DeleteSent {
            target: self.target.clone(),
            run: self.id.0,
            op: deleting.op.0,
            item: item.id,
            name: item.title().to_owned(),
            why: deleting.reason.to_string(),
        });
        step.out.push(Effect::SendDelete { op: deleting.op, item: item.id, until: Self::fresh_until(step.ctx) });
        deleting.stage = Stage::Sent;
        deleting.sent += 1;
        Deleted::Pending(Box::new(deleting))
    }

    fn look_at_once(&mut self, step: &Step<'_, '_>, deleting: Deleting) -> Deleted {
        let now = step.ctx.now.mono;
        self.want = Want { listing: Some(now), urgent: true, wake: Some(Self::doubt_end(step.ctx, now)), ..Want::default() };
        Deleted::Pending(Box::new(deleting))
    }

    fn delete_set_back(&mut self, step: &mut Step<'_, '_>, mut deleting: Deleting, setback: Setback) -> Deleted {
        let Setback { kind, text, pause } = setback;
        if kind == SetbackKind::Doubtful {
            deleting.stage = Stage::doubt(step.ctx.now.mono, step.ctx.request_timeout, text);
            return self.look_at_once(step, deleting);
        }
        self.end_delete(step, &deleting, DeleteEnd::Refused, Some(&text));
        if kind == SetbackKind::Outdated {
            // It has waited for a minute; that is pause enough, and nothing went wrong.
            return Deleted::Dropped(step.ctx.now.mono);
        }
        if kind == SetbackKind::NotSent {
            self.unsent += 1;
            if self.unsent < UNSENT_MAX {
                return Deleted::Dropped(step.ctx.now.mono.after(Self::unsent_pause(self.unsent, pause)));
            }
        }
        self.tell_deleted(step, &mut deleting, OpResult::Failure, Some(text.clone()));
        Deleted::Failed(Reason::DeleteFailed, format!("item {}: {text}", deleting.item()))
    }

    fn look_whether_gone(&mut self, step: &mut Step<'_, '_>, mut deleting: Deleting) -> Deleted {
        let ctx = step.ctx;
        let id = deleting.item();
        let (Stage::Looking { since, .. } | Stage::Doubt { since, .. }) = deleting.stage else {
            return Deleted::Pending(Box::new(deleting));
        };
        let view = ctx.inventory.filter(|inventory| inventory.begun >= since).map(|inventory| inventory.of(self.target.server));
        if let Some(view) = view.filter(|view| view.defect().is_none()) {
            match deleting.stage.settled(view.find(id).is_some(), view.begun()) {
                Some(true) => return self.gone(step, deleting),
                Some(false) if self.asks_for_servers(ctx, &deleting) => return Deleted::Pending(Box::new(deleting)),
                Some(false) => return self.still_there(step, deleting),
                None => {}
            }
        }
        let end = Self::doubt_end(ctx, since);
        if ctx.now.mono >= end {
            if let Stage::Doubt { error, .. } = &deleting.stage {
                let error = Some(error.clone());
                self.tell_deleted(step, &mut deleting, OpResult::Unknown, error);
            }
            return Deleted::Failed(Reason::DeleteUnknown, format!("item {id}: it is not known whether it is gone"));
        }
        let newer = ctx.inventory.map_or(since, |inventory| since.max(inventory.begun.after(Duration::from_nanos(1))));
        self.want = Want { listing: Some(newer), wake: Some(end), ..Want::default() };
        Deleted::Pending(Box::new(deleting))
    }

    /// Before it is sent again it has to be known whether the server is being restored (F51).
    fn asks_for_servers(&mut self, ctx: &Context<'_>, deleting: &Deleting) -> bool {
        let (Stage::Looking { since, .. } | Stage::Doubt { since, .. }) = deleting.stage else { return false };
        let end = Self::doubt_end(ctx, since);
        let asks = !Self::servers_are_fresh(ctx) && deleting.sent < DELETES_SENT_MAX && ctx.now.mono < end;
        if asks {
            self.want = Want { servers: Some(Self::recent_from(ctx)), wake: Some(end), ..Want::default() };
        }
        asks
    }

    fn gone(&mut self, step: &mut Step<'_, '_>, mut deleting: Deleting) -> Deleted {
        self.end_delete(step, &deleting, DeleteEnd::Gone, None);
        self.tell_deleted(step, &mut deleting, OpResult::Success, None);
        self.deleted.push(deleting.item());
        self.extra_used += u32::from(deleting.is_extra());
        Deleted::Gone
    }

    /// Still shown long after the answer: the same delete is sent again, a few times, and never one of another item (F45, F46).
    fn still_there(&mut self, step: &mut Step<'_, '_>, mut deleting: Deleting) -> Deleted {
        let mut unfit = None;
        if deleting.sent < DELETES_SENT_MAX {
            match self.fit_to_send(step.ctx, &deleting) {
                Ok(()) => return self.send_delete(step, deleting),
                Err(why) => unfit = Some(why),
            }
        }
        let mut error = match &deleting.stage {
            Stage::Doubt { error, .. } => format!("it was not done ({error})"),
            _ => "the provider says that it is gone, and goes on showing it".to_owned(),
        };
        if let Some(unfit) = &unfit {
            error.push_str(&format!("; not sent again: {unfit}"));
        }
        self.end_delete(step, &deleting, DeleteEnd::Ineffective, Some(&error));
        self.tell_deleted(step, &mut deleting, OpResult::Failure, Some(error.clone()));
        self.unsent += 1;
        if matches!(unfit, Some(Unfit::Stays | Unfit::Overtaken)) && self.unsent < UNSENT_MAX {
            return Deleted::Dropped(step.ctx.now.mono);
        }
        Deleted::Failed(Reason::DeleteFailed, format!("item {}: {error}", deleting.item()))
    }

    fn end_delete(&self, step: &mut Step<'_, '_>, deleting: &Deleting, how: DeleteEnd, error: Option<&str>) {
        let at = step.wall();
        step.record(Record::DeleteEnded { op: deleting.op, how, error: error.map(Into::into), at });
    }

    fn tell_deleted(&self, step: &mut Step<'_, '_>, deleting: &mut Deleting, result: OpResult, error: Option<String>) {
        if std::mem::replace(&mut deleting.told, true) {
            return;
        }
        step.tell(Fact::DeleteDecided {
            target: self.target.clone(),
            run: self.id.0,
            op: deleting.op.0,
            item: deleting.item(),
            name: deleting.deletion.item.title().to_owned(),
            why: deleting.reason.to_string(),
            result,
            error,
        });
    }

    /// The delete that makes room. Once the item is seen to be gone there is another plan, which may find that somebody has taken the slot (I9).
    pub(super) fn make_room(&mut self, step: &mut Step<'_, '_>, deleting: Deleting, event: Event) {
        match self.delete(step, deleting, event) {
            Deleted::Pending(deleting) => self.phase = Phase::Room(deleting),
            Deleted::Gone => self.plan_at(step.ctx.now.mono),
            Deleted::Dropped(at) => self.plan_at(at),
            Deleted::Failed(reason, detail) => self.fail(step, reason, detail),
            Deleted::NotRecorded(error) => self.end_unrecorded(step, &error),
        }
    }

    /// A delete of an earlier process: found out, never sent again.
    pub(super) fn settle(&mut self, step: &mut Step<'_, '_>, deleting: Deleting, event: Event) {
        match self.delete(step, deleting, event) {
            Deleted::Pending(deleting) => self.phase = Phase::Settling(deleting),
            Deleted::Gone | Deleted::Dropped(_) | Deleted::Failed(Reason::DeleteFailed, _) => {
                self.end(step, RunResult::Skipped, Some("an interrupted delete is settled".to_owned()));
            }
            Deleted::Failed(reason, detail) => self.fail(step, reason, detail),
            Deleted::NotRecorded(error) => self.end_unrecorded(step, &error),
        }
    }
}
