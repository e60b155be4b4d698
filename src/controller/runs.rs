//! The runs that are on: beginning them, letting them look, carrying out what they ask for.

use std::cmp::Reverse;
use std::sync::Arc;

use jiff::Timestamp;

use crate::clock::{Mono, Now};
use crate::domain::fact::Fact;
use crate::domain::inventory::{Item, ItemId, Kind, ServerId};
use crate::domain::mark::{Mark, Origin, Reading, item_name};
use crate::domain::memory::TargetKey;
use crate::domain::plan::Order;
use crate::domain::problem::Reason;
use crate::domain::record::{DeleteEnd, HooksBegun, OpId, Record, RunId, RunStart, Trigger};
use crate::domain::run::{ByHand, Context, Effect, Event, Outcome, Resume, Run, ServerState, Setback, SetbackKind, Start};
use crate::provider::{Deleted, ProviderError, Reply};

use super::scheduling::deadline;
use super::{Command, Controller, Mode};

/// What sets a run off.
#[derive(Debug)]
pub(super) struct Cause {
    pub trigger: Trigger,
    /// The user who asks for it.
    pub by: Option<Box<str>>,
}

impl From<Trigger> for Cause {
    fn from(trigger: Trigger) -> Cause {
        Cause { trigger, by: None }
    }
}

/// What a run is to make, before it has a number.
#[derive(Debug)]
pub(super) struct Errand {
    pub key: TargetKey,
    pub cause: Cause,
    pub mark: Mark,
    /// What stands in the middle of a name made by hand.
    pub label: String,
    pub deadline: Option<Timestamp>,
    pub by_hand: Option<ByHand>,
    /// Whether another replica may have acted since its slot.
    pub passed_over: bool,
}

impl Controller {
    /// Begins a run for a slot.
    pub(super) fn start_slot(&mut self, now: Now, key: TargetKey, slot: Timestamp, cause: Cause) {
        if let Some(errand) = self.errand_for(key, slot, cause) {
            self.start(now, errand);
        }
    }

    /// What a run for a slot that is due is to make.
    pub(super) fn errand_for(&self, key: TargetKey, slot: Timestamp, cause: Cause) -> Option<Errand> {
        let state = self.targets.get(&key)?;
        let deadline = deadline(&state.policy, slot, state.offset);
        let mark = self.mark(Self::slot_origin(&state.policy, slot), None);
        Some(Errand { key, cause, mark, label: String::new(), deadline, by_hand: None, passed_over: false })
    }

    pub(super) fn mark(&self, origin: Origin, until: Option<Timestamp>) -> Mark {
        Mark { owner: self.setup.wanted.owner.clone(), origin, until }
    }

    /// Begins a run.
    pub(super) fn start(&mut self, now: Now, errand: Errand) {
        let start = self.open_run(now, errand);
        let server = start.target.server;
        self.runs.insert(server, Run::new(start));
        self.nudge(now, server);
    }

    /// Picks up an interrupted run.
    pub(super) fn resume(&mut self, now: Now, key: TargetKey, resume: Resume) {
        let origin = match &resume {
            Resume::CreateInDoubt(intent) => intent.origin.clone(),
            Resume::Waiting { item, .. } => self.origin_of(key, *item).unwrap_or(Origin::Hand { at: now.wall }),
            Resume::DeleteInDoubt(..) => Origin::Hand { at: now.wall },
        };
        let by_hand = match (&resume, &origin) {
            (Resume::CreateInDoubt(_), Origin::Hand { .. }) => Some(ByHand { make_room: false }),
            _ => None,
        };
        let slot = match origin {
            Origin::Slot { slot, .. } => Some(slot),
            Origin::Hand { .. } => None,
        };
        let in_time = slot.and_then(|slot| self.targets.get(&key).and_then(|state| deadline(&state.policy, slot, state.offset)));
        let mark = self.mark(origin, None);
        let cause = Trigger::Resumed.into();
        let (deadline, passed_over) = (in_time.or(Some(now.wall)), slot.is_some_and(|slot| self.was_passed_over(key, slot)));
        let errand = Errand { key, cause, mark, label: String::new(), deadline, by_hand, passed_over };
        let mut start = self.open_run(now, errand);
        if let Resume::CreateInDoubt(intent) = &resume {
            // What was sent then is what is looked for now, whatever the owner is called meanwhile.
            start.order.name = intent.name.clone();
            start.order.description = Arc::clone(&intent.description);
        }
        let timeout = self.setup.request_timeout;
        match &resume {
            Resume::CreateInDoubt(intent) => self.ops.insert(intent.op, key.0),
            Resume::DeleteInDoubt(intent, _) => self.ops.insert(intent.op, key.0),
            Resume::Waiting { .. } => {}
        }
        self.runs.insert(key.0, Run::resumed(start, resume, timeout));
        self.nudge(now, key.0);
    }

    fn origin_of(&self, key: TargetKey, item: ItemId) -> Option<Origin> {
        let remembered = self.memory.get(key).and_then(|memory| memory.made.get(&item)).cloned();
        remembered.or_else(|| match self.inventories.get(&key.1)?.of(key.0).find(item)?.description.reading() {
            Reading::Mark(mark) => Some(mark.origin.clone()),
            _ => None,
        })
    }

    fn open_run(&mut self, now: Now, errand: Errand) -> Start {
        let Errand { key, cause: Cause { trigger, by }, mark, label, deadline, by_hand, passed_over } = errand;
        let id = self.next_run;
        self.next_run = RunId(id.0 + 1);
        let target = self.target(key);
        let slot = mark.slot();
        let order = Order { name: item_name(key.1, &mark, &label).map(Into::into), description: mark.description().into(), slot };
        let subject = (&target).into();
        self.append(Record::RunStarted(RunStart { run: id, subject, trigger, by, slot, at: now.wall }.into()));
        let scheduled = trigger == Trigger::Schedule;
        let offset = self.targets.get(&key).map(|state| state.offset).unwrap_or_default();
        let since = slot.filter(|_| scheduled).and_then(|slot| slot.checked_add(offset).ok());
        let lateness = since.map(|since| now.wall.duration_since(since).unsigned_abs());
        self.tell(Fact::RunStarted { target: target.clone(), run: id.0, slot, lateness });
        Start { id, target, trigger, order, origin: mark.origin, generation: self.generation, started: now, deadline, by_hand, passed_over }
    }

    /// Lets a run look again, and returns whether it did. Where nothing is begun any more it does not: a look is what something could begin with.
    pub(super) fn nudge(&mut self, now: Now, server: ServerId) -> bool {
        let may = !self.winds_down();
        if may {
            self.step(now, server, Event::Look);
        }
        may
    }

    /// Lets a run react to something, and carries out what it asks for.
    pub(super) fn step(&mut self, now: Now, server: ServerId, event: Event) {
        let Some(mut run) = self.runs.take(server) else { return };
        let key = (server, run.target.kind);
        self.turn_to(key);
        if run.is_planning() && self.makes_another(now, key) {
            // What ends it may be that its `after` has ended, of which nobody speaks again.
            run.note_hooks(&event);
            self.runs.put_back(server, run);
            self.drop_run(now, key, "an item of the other kind is being made on the server");
            return self.tell_problems(now, key);
        }
        let freeze = self.freeze_of(now, key);
        if let Some(state) = self.targets.get_mut(&key) {
            state.freeze = freeze;
        }
        let mut next_op = self.next_op;
        let before = run.want;
        let effects = match self.context(now, key) {
            Some(context) => run.step(&context, &mut next_op, event),
            None => Vec::new(),
        };
        self.next_op = next_op;
        let want = run.want;
        let making = run.is_making();
        self.runs.put_back(server, run);
        if making && !self.places.has(server) {
            self.places.take(server, self.is_slow(server));
        }
        self.note_want(key.1, want);
        if want.permit {
            self.places.wait(server, self.is_slow(server));
        }
        self.wake_at(now, server, before.wake, want.wake);
        self.carry_out(now, key, effects);
        self.tell_problems(now, key);
    }

    /// Where a listing shows that the item a run waits for is still being made, there is nothing to react to but that the next listing is wanted.
    pub(super) fn waits_on(&mut self, now: Now, server: ServerId) -> bool {
        if self.winds_down() || !self.places.has(server) {
            return false;
        }
        let Some(key) = self.runs.get(server).map(|run| (server, run.target.kind)) else { return false };
        self.turn_to(key);
        let Some(run) = self.runs.get_mut(server) else { return false };
        let before = run.want;
        let (Some(state), Some(inventory)) = (self.targets.get(&key), self.inventories.get(&key.1)) else { return false };
        if !run.waits_on(now.mono, &state.policy, &inventory.of(server)) {
            return false;
        }
        let want = run.want;
        self.note_want(key.1, want);
        self.wake_at(now, server, before.wake, want.wake);
        true
    }

    /// A run is to be woken. Where it was to be woken then before, that is noted already.
    fn wake_at(&mut self, now: Now, server: ServerId, before: Option<Mono>, wake: Option<Mono>) {
        if let Some(at) = wake.filter(|at| before != wake || *at <= now.mono) {
            self.wakes.push(Reverse((at, server)));
        }
    }

    /// Whether an item of ours of the other kind is being made on the server (F21). That is looked at before a run is begun; what comes to light later
    /// is an item that was late to appear, or that was too old by a clock that has been set back since.
    fn makes_another(&self, now: Now, key: TargetKey) -> bool {
        let other = Kind::ALL.into_iter().find(|kind| *kind != key.1);
        other.is_some_and(|kind| matches!(self.interrupted(now, (key.0, kind)), Some(Resume::Waiting { .. })))
    }

    /// Ends a run of which nothing is on its way.
    pub(super) fn drop_run(&mut self, now: Now, key: TargetKey, why: &str) {
        let Some(mut run) = self.runs.take(key.0) else { return };
        let mut next_op = self.next_op;
        let effects = self.context(now, key).map(|context| run.give_up(&context, &mut next_op, why.to_owned()));
        self.runs.put_back(key.0, run);
        self.carry_out(now, key, effects.unwrap_or_default());
    }

    pub(super) fn context(&self, now: Now, key: TargetKey) -> Option<Context<'_>> {
        let member = self.fleet.members.get(&key.0);
        let state = self.targets.get(&key);
        let is_free = || self.places.is_free(self.setup.concurrent_creates, self.is_slow(key.0));
        let leave = !self.account.is_asking() && (self.places.has(key.0) || is_free());
        Some(Context {
            now,
            wanted: &self.setup.wanted,
            config: &self.setup.digest,
            generation: self.generation,
            hooks_are_open: self.brackets.are_on(key.0),
            policy: state.map(|state| &*state.policy),
            request_timeout: self.setup.request_timeout,
            inventory: self.inventories.get(&key.1),
            memory: self.memory.get(key)?,
            extras_last_day: self.memory.extras_last_day(now.wall),
            last_write: self.trails.get(&key.0).and_then(|trail| trail.last_write),
            server: ServerState {
                missing: member.is_some_and(|member| member.missing),
                conflict: member.and_then(|member| member.conflict.as_deref()),
                other_name: member.filter(|member| member.expected_name.is_some()).and_then(|_| self.other_name(key)),
                restoring: self.restores(now, key.0, member),
                seen: self.servers.as_ref().filter(|_| member.is_some_and(|member| member.is_state_told)).map(|seen| seen.shown(key.0)),
                told: self.sources.servers.told,
                freeze: state.and_then(|state| state.freeze.as_ref()),
            },
            protected: member.map(|member| &member.protect_ids[..]).unwrap_or_default(),
            held: self.memory.standing.held(key.1),
            permit: leave,
            #[cfg(test)]
            mistake: self.mistake,
        })
    }

    fn carry_out(&mut self, now: Now, key: TargetKey, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Intend(op, records) => {
                    for record in &records {
                        if let Record::HooksBegun(begun) = record {
                            self.brackets.open(HooksBegun::clone(begun));
                        }
                        self.memory.apply(record);
                    }
                    self.ops.insert(op, key.0);
                    self.appends.push((records, Some(op)));
                }
                Effect::Record(record) => self.note_record(key, record),
                Effect::SendCreate { op, order } => {
                    self.trails.get_or_add(key.0).last_write = Some(now.mono);
                    self.sources.write_begun();
                    self.out.push(Command::Create { op, server: key.0, kind: key.1, order });
                }
                Effect::SendDelete { op, item, until } => {
                    self.trails.get_or_add(key.0).last_write = Some(now.mono);
                    self.sources.write_begun();
                    self.out.push(Command::Delete { op, kind: key.1, item, until });
                }
                Effect::Before { op, hook, max_hold } => self.run_before(now, op, hook, max_hold),
                Effect::After(op) => self.run_after(now, op),
                Effect::Tell(fact) => self.tell(fact),
                Effect::Freeze(violation) => self.freeze_deletes(key, &violation),
                Effect::Release => self.places.give_back(key.0),
                Effect::End(outcome) => self.ended(now, key, &outcome),
            }
        }
    }

    fn note_record(&mut self, key: TargetKey, record: Record) {
        if let Record::DeleteEnded { op, how, .. } = &record {
            let item = self.memory.item_of(*op);
            if let (DeleteEnd::Gone, Some(item)) = (how, item) {
                self.unwatch(key, item);
            }
            self.ops.remove(*op);
        }
        if let Record::CreateEnded { op, .. } | Record::CreateCompleted { op, .. } = &record {
            self.ops.remove(*op);
        }
        self.append(record);
    }

    fn ended(&mut self, now: Now, key: TargetKey, outcome: &Outcome) {
        let Some(run) = self.runs.remove(key.0) else { return };
        self.places.leave(key.0);
        self.brackets.forget_failure(key);
        self.note_end(now, key, run.slot(), outcome, run.gave_up);
        self.answer_request(now, key, &run, outcome);
        // Nobody looks after what it has left undecided any more, until a run picks that up.
        let undecided = self.memory.get(key).map(|memory| &memory.undecided);
        self.ops.leave(key.0, now.mono, |op| undecided.is_some_and(|undecided| undecided.contains_key(&op)));
        // In the next round, so that one end does not nest in another.
        self.ready.insert(key.0);
    }

    /// Gives leave to make items, to those who have waited longest.
    pub(super) fn grant_places(&mut self, now: Now) {
        while !self.account.is_asking()
            && let Some(server) = self.places.next(self.setup.concurrent_creates)
        {
            self.nudge(now, server);
        }
    }

    /// Whether the last item of a server, of either kind, did not get ready in time.
    fn is_slow(&self, server: ServerId) -> bool {
        let past = Kind::ALL.iter().filter_map(|kind| self.memory.get((server, *kind)));
        past.flat_map(|memory| &memory.problems).any(|problem| problem.reason == Reason::Stuck)
    }

    /// Lets the runs look whose time has come.
    pub(super) fn wake(&mut self, now: Now) {
        while let Some(Reverse((at, server))) = self.wakes.peek().copied().filter(|Reverse((at, _))| *at <= now.mono) {
            self.wakes.pop();
            if self.runs.get(server).is_some_and(|run| run.want.wake == Some(at)) {
                self.nudge(now, server);
            }
        }
    }

    /// The answer to a create.
    pub(super) fn created(&mut self, now: Now, op: OpId, reply: Reply<Item>) {
        self.account.note(now, &reply);
        self.sources.write_ended();
        let Some(server) = self.ops.get(op) else { return };
        self.trails.get_or_add(server).last_write = Some(now.mono);
        let refused = self.mode == Mode::Daemon && reply.result.as_ref().is_err_and(ProviderError::is_auth);
        let result = reply.result.map_err(|error| setback(&error, true));
        self.step(now, server, Event::CreateAnswered(op, result));
        if refused {
            // The listing that the run stood on was from before that; the next call is minutes away.
            self.give_up_on_provider(now);
        }
    }

    /// The answer to a delete.
    pub(super) fn deleted(&mut self, now: Now, op: OpId, reply: Reply<Deleted>) {
        self.account.note(now, &reply);
        self.sources.write_ended();
        let Some(server) = self.ops.get(op) else { return };
        self.trails.get_or_add(server).last_write = Some(now.mono);
        let result = reply.result.map(|_| ()).map_err(|error| setback(&error, false));
        self.step(now, server, Event::DeleteAnswered(op, result));
    }
}

/// What a failed write means for a run.
fn setback(error: &ProviderError, create: bool) -> Setback {
    let kind = match error {
        _ if error.is_doubtful() => SetbackKind::Doubtful,
        ProviderError::Connect { .. } | ProviderError::Throttled { .. } | ProviderError::Busy { .. } => SetbackKind::NotSent,
        ProviderError::NotInCharge | ProviderError::Token { .. } | ProviderError::Unauthorized => SetbackKind::NotSent,
        ProviderError::Outdated => SetbackKind::Outdated,
        ProviderError::NotFound if create => SetbackKind::ServerMissing,
        _ => SetbackKind::Refused,
    };
    Setback { kind, text: error.to_string(), pause: error.retry_after() }
}
