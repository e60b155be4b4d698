//! The world: one provider, one or more machines with the program, and a loop that lets happen what happens next.
//!
//! Everything follows from the seed and from what the caller does: no real time, no other chance.

mod coming;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use coming::{Coming, Process};

use super::agenda::Agenda;
use super::chance::Chance;
use super::conduct::Scene;
use super::hooks::HookLuck;
use super::host::{Host, Mortality, Sending};
use super::landmark::Landmark;
use super::trouble::{Call, Fault, FaultId, On, Trouble};
use super::twin::Twin;
use super::watch::{Watch, slot_of};
use crate::clock::{Mono, Now};
use crate::controller::{Command, Input, Mode, Setup, Unwritten};
use crate::domain::fact::Fact;
use crate::domain::hook::{HookCall, HookEnd};
use crate::domain::inventory::{ItemId, Kind};
use crate::domain::problem::OpResult;
use crate::domain::record::{CreateEnd, OpId, Record, RunId};
use crate::emulator::{Account, Item, Progress};
use crate::journal::{self, Journal, JournalError};
use crate::provider::{ProviderError, Reply};

/// How long a call is on its way, each half of it.
const HALF_LATENCY: Duration = Duration::from_millis(50);
/// How long the journal takes.
const JOURNAL_LATENCY: Duration = Duration::from_millis(2);
/// So many turns in a row without time passing are a busy loop.
const SPIN_MAX: u32 = 2_000;

/// Something that is to happen.
#[derive(Debug)]
enum Event {
    Arrives(Asked),
    Comes(Process, Coming),
    /// The journal forgets what began before.
    Forgets(Process, Timestamp),
    Begins {
        host: usize,
    },
}

/// A call, and who asked.
#[derive(Debug)]
struct Asked {
    process: Process,
    call: Call,
    op: OpId,
    /// When it was let through, by the clock of its process.
    begun: Mono,
    sent: Duration,
    /// Whether it had to wait for its turn.
    queued: bool,
}

/// The world.
#[derive(Debug)]
pub struct World {
    /// The machines.
    pub hosts: Vec<Host>,
    /// The provider.
    pub twin: Twin,
    /// What happened there.
    pub watch: Watch,
    /// What was wrong with what happened, or with what the program did. Nothing happens any more after the first.
    pub breaches: Vec<String>,
    /// The interesting states that came about.
    pub landmarks: BTreeSet<Landmark>,
    /// A line for each thing that happens, where it is wanted.
    pub story: Option<Vec<String>>,
    /// How hooks end.
    pub hook_luck: HookLuck,
    /// Leaves out the turns in which a controller only looks at the clock.
    pub skips_idle_turns: bool,
    /// What comes to a process while its loop is busy, for up to so long, is handed to it together; none: it is never busy, and everything is handed to it
    /// by itself.
    pub busy_max: Option<Duration>,
    /// How long the journals remember; none: for ever.
    pub journal_keep: Option<Duration>,
    /// The true time that has passed.
    time: Duration,
    /// The provider's time then: asked for far more often than time passes.
    true_now: Timestamp,
    origin: Timestamp,
    chance: Chance,
    /// How busy the loops are.
    load: Chance,
    events: Agenda<Event>,
}

impl World {
    /// One machine on this account.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn new(setup: Setup, mode: Mode, account: Account, origin: Timestamp, seed: u64) -> Result<World, JournalError> {
        let mut chance = Chance::new(seed);
        let faults = Chance::new(chance.below(u64::MAX));
        let load = Chance::new(!seed);
        let mut watch = Watch::new();
        watch.wanted(&setup.wanted);
        Ok(World {
            twin: Twin::new(account, setup.request_timeout, faults),
            hosts: vec![Host::new(setup, mode, Duration::ZERO, origin)?],
            watch,
            breaches: Vec::new(),
            landmarks: BTreeSet::new(),
            story: None,
            hook_luck: HookLuck::default(),
            skips_idle_turns: true,
            busy_max: None,
            journal_keep: None,
            time: Duration::ZERO,
            true_now: origin,
            origin,
            chance,
            load,
            events: Agenda::new(),
        })
    }

    /// Another machine with the same configuration, and with a journal of its own. Returns its place.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn add_host(&mut self, mode: Mode) -> Result<usize, JournalError> {
        let Some(first) = self.hosts.first() else { return Ok(0) };
        let host = Host::new(first.setup.clone(), mode, self.time, self.origin)?;
        self.hosts.push(host);
        self.watch.daemons = self.hosts.len() as u32;
        self.watch.second_daemon(true, self.true_now);
        self.landmarks.insert(Landmark::TwoDaemons);
        Ok(self.hosts.len() - 1)
    }

    /// How often a daemon dies.
    pub fn set_mortality(&mut self, host: usize, mortality: Option<Mortality>) {
        if let Some(host) = self.hosts.get_mut(host) {
            host.mortality = mortality;
        }
    }

    /// The provider's time.
    #[must_use]
    pub fn true_now(&self) -> Timestamp {
        self.true_now
    }

    /// The time since the beginning.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.time
    }

    /// What the clocks of a machine show.
    #[must_use]
    pub fn now_at(&self, host: usize) -> Now {
        let true_now = self.true_now();
        self.hosts.get(host).map_or(Now { wall: true_now, mono: Mono(self.time) }, |host| host.now(self.time, true_now))
    }

    /// Adds a fault.
    pub fn add_fault(&mut self, fault: Fault) -> FaultId {
        self.note(|| format!("fault: {fault:?}"));
        self.twin.fault(fault)
    }

    /// All calls, from now on and for so long, run into this.
    pub fn trouble_for(&mut self, time: Duration, on: On, trouble: Trouble) {
        let until = self.true_now().checked_add(time).unwrap_or(Timestamp::MAX);
        self.add_fault(Fault::new(on, trouble).until(until));
    }

    /// An item that somebody else made.
    pub fn add_item(&mut self, item: Item) -> ItemId {
        let now = self.true_now();
        self.twin.account.advance(now);
        let id = self.twin.account.add_item(item, now);
        self.note(|| format!("a person adds {id}"));
        self.observe();
        id
    }

    /// Somebody else deletes an item.
    pub fn delete_by_hand(&mut self, kind: Kind, id: ItemId) {
        let now = self.true_now();
        self.twin.account.advance(now);
        self.twin.account.delete_by_hand(kind, id, now);
        self.note(|| format!("a person deletes {kind} {id}"));
        self.observe();
    }

    /// The wall clock of a machine is set.
    pub fn step_clock_of(&mut self, host: usize, by: SignedDuration) {
        self.note(|| format!("the clock of {host} is set by {by:#}"));
        self.landmarks.insert(if by < SignedDuration::ZERO { Landmark::ClockSetBack } else { Landmark::ClockSetForward });
        self.watch.clock_stepped();
        let time = self.time;
        if let Some(host) = self.hosts.get_mut(host) {
            host.step_clock(by, time);
        }
    }

    /// Time passes until this much of it has.
    pub fn run_to(&mut self, end: Duration) {
        while self.time < end && self.breaches.is_empty() {
            self.turn(end);
        }
    }

    /// The next thing happens; at the latest at `end`.
    pub fn turn(&mut self, end: Duration) {
        let event = self.events.next_at();
        let wake = self.hosts.iter().enumerate().filter_map(|(place, host)| Some((host.wake?, place))).min();
        let next = event.into_iter().chain(wake.map(|(at, _)| at)).min().unwrap_or(end).min(end).max(self.time);
        let stands_still = next == self.time;
        if !stands_still {
            self.time = next;
            self.true_now = self.origin.checked_add(next).unwrap_or(Timestamp::MAX);
        }
        if event.is_some_and(|event| event <= next) {
            if let Some(event) = self.events.take_next() {
                self.happen(event);
            }
        } else if let Some((_, place)) = wake.filter(|(at, _)| *at <= next) {
            self.check_spin(place, stands_still);
            if !self.hand_over(place) {
                self.hand_all_to(place, vec![Input::Tick]);
            }
        }
    }

    fn check_spin(&mut self, place: usize, stands_still: bool) {
        let now = self.true_now();
        let Some(host) = self.hosts.get_mut(place) else { return };
        host.spin = if stands_still { host.spin + 1 } else { 0 };
        let most = 5_000 + self.time.as_secs() * 3;
        if host.spin > SPIN_MAX || host.turns > most && host.turns > most * (1 + self.twin.account.servers().count() as u64 / 100) {
            self.breaches.push(format!("I16: a busy loop at {now}: {} turns", host.turns));
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrives(asked) => self.arrive(asked),
            Event::Comes(process, what) if self.lives(process) => self.come(process, what),
            Event::Forgets(process, before) if self.lives(process) => self.prune(process.host, before),
            Event::Comes(..) | Event::Forgets(..) => {}
            Event::Begins { host } => self.begin(host),
        }
    }

    fn lives(&self, process: Process) -> bool {
        self.hosts.get(process.host).is_some_and(|host| host.up && host.process == process.count)
    }

    /// The process of a machine; of one that is dead, the next.
    fn process_of(&self, place: usize) -> Process {
        Process { host: place, count: self.hosts.get(place).map_or(0, |host| host.process) }
    }

    fn write(&mut self, host: usize, records: Vec<Record>) -> Result<(), Unwritten> {
        let Some(host) = self.hosts.get_mut(host) else { return Ok(()) };
        let (conduct, hooks, setup, landmarks) = (&mut host.conduct, &mut host.hooks, &host.setup, &mut self.landmarks);
        let durable = |records: &[Record]| {
            conduct.durable(records);
            hooks.durable(records, setup);
            landmarks.extend(records.iter().filter_map(Landmark::of_record));
        };
        host.journal.keep(records, durable).map_err(|(error, records)| Unwritten { error, records })
    }

    fn prune(&mut self, place: usize, before: Timestamp) {
        // As the daemon does, which tries again a day later.
        let gone = self.hosts.get_mut(place).map_or(0, |host| host.journal.prune(before).unwrap_or_default());
        self.note(|| format!("{place}: the journal forgets {gone} rows of before {before}"));
        self.landmarks.extend((gone > 0).then_some(Landmark::JournalForgets));
    }

    fn arrive(&mut self, asked: Asked) {
        let now = self.true_now();
        let mut trouble = self.twin.trouble(&asked.call, now);
        if let Some(Trouble::Queued(wait)) = trouble {
            if !asked.queued {
                self.note(|| format!("{}: {:?} waits for its turn", asked.process.host, asked.call));
                return self.wait(asked, wait);
            }
            trouble = None;
        }
        let Asked { process, call, op, begun, sent, queued } = asked;
        let host = process.host;
        if queued && !self.lives(process) {
            return;
        }
        self.landmarks.extend((queued && matches!(call, Call::List(_))).then_some(Landmark::ListingQueued));
        if let (true, Call::Delete { kind, item, .. }) = (queued, &call) {
            let outdated = self.hosts.get(host).and_then(|host| host.conduct.outdated(op, *kind, *item, sent));
            self.breaches.extend(outdated.map(|breach| format!("{now}: {breach}")));
        }
        if let Call::Delete { kind, item, .. } = &call {
            self.keep_promises(host, *kind, *item, trouble.as_ref());
        }
        let answered = self.twin.perform(&call, op, begun, now, trouble);
        self.note(|| {
            format!("{host}: {call:?} arrives{}", answered.trouble.as_ref().map_or(String::new(), |trouble| format!(": {trouble:?}")))
        });
        if let (Call::Create { order, .. }, Some(Trouble::Late(..))) = (&call, &answered.trouble) {
            self.watch.late.insert(order.description.clone());
        }
        if matches!(call, Call::List(_)) && answered.trouble.is_none() {
            self.watch.looked();
        }
        self.observe();
        let lie = matches!(
            answered.trouble,
            Some(Trouble::Stale(_) | Trouble::Empty | Trouble::Paged(_) | Trouble::Incomplete | Trouble::Unreadable(_))
        );
        let input = Box::new(answered.input);
        self.push(HALF_LATENCY + answered.delay, Event::Comes(process, Coming::Answer { begun: sent, lie, input }));
    }

    /// A delete arrives. What a machine has promised by then holds, unless the machine has lost what it knew of deletes.
    fn keep_promises(&mut self, place: usize, kind: Kind, item: ItemId, trouble: Option<&Trouble>) {
        let (now, wall) = (self.true_now(), self.now_at(place).wall);
        let Some(host) = self.hosts.get(place).filter(|host| !host.forgetful) else { return };
        let takes_effect = !matches!(trouble, Some(Trouble::Refused(_) | Trouble::NoEffect));
        let broken = host.conduct.promises.broken_on_arrival(kind, item, wall).filter(|_| takes_effect);
        self.breaches.extend(broken.map(|broken| format!("{now}: {broken}")));
    }

    /// A call waits for its turn. What is too old then is given back instead of being sent.
    fn wait(&mut self, asked: Asked, wait: Duration) {
        if let Call::Delete { within, .. } = asked.call
            && wait > within
        {
            self.landmarks.insert(Landmark::DeleteOutdated);
            let input = Box::new(Input::Deleted(asked.op, Reply::unsent(ProviderError::Outdated)));
            let Asked { process, sent, .. } = asked;
            return self.push(wait, Event::Comes(process, Coming::Answer { begun: sent, lie: false, input }));
        }
        let (begun, sent) = (asked.begun.after(wait), asked.sent + wait);
        self.push(wait, Event::Arrives(Asked { begun, sent, queued: true, ..asked }));
    }

    /// Takes in what has happened at the provider.
    fn observe(&mut self) {
        let breaches = self.watch.take(&mut self.twin.account);
        self.landmarks.append(&mut self.watch.landmarks);
        if !breaches.is_empty() {
            let now = self.true_now();
            self.breaches.extend(breaches.into_iter().map(|breach| format!("{now}: {breach}")));
        }
    }

    fn push(&mut self, wait: Duration, event: Event) {
        self.events.note(self.time + wait, event);
    }

    /// Hands an input to a machine, after what has come to it, and carries out what comes of it.
    pub fn hand_to(&mut self, place: usize, input: Input) {
        self.hand_over(place);
        self.hand_all_to(place, vec![input]);
    }

    fn hand_all_to(&mut self, place: usize, inputs: Vec<Input>) {
        let now = self.now_at(place);
        let Some(host) = self.hosts.get_mut(place).filter(|host| host.up) else { return };
        host.turns += 1;
        host.controller.handle(now, inputs);
        let commands = host.controller.take_commands();
        self.carry_out_all(place, commands);
        let (time, skips) = (self.time, self.skips_idle_turns);
        if let Some(host) = self.hosts.get_mut(place).filter(|host| host.up) {
            host.sleep(time, now, skips);
            let forgets = self.journal_keep.and_then(|keep| host.forgetting.due(now, keep));
            let overdue = host.hooks.overdue(time);
            self.breaches.extend(overdue.map(|overdue| format!("{}: {overdue}", now.wall)));
            if let Some(before) = forgets {
                self.push(JOURNAL_LATENCY, Event::Forgets(self.process_of(place), before));
            }
        }
    }

    /// Carries out what a machine asks for, until its process dies.
    fn carry_out_all(&mut self, place: usize, commands: impl Iterator<Item = Command>) {
        for command in commands {
            let Some(host) = self.hosts.get_mut(place).filter(|host| host.up) else { return };
            host.commands += 1;
            if host.barred
                && let Some(input) = not_let_out(&command)
            {
                let (begun, input) = (self.time, Box::new(input));
                self.push(Duration::ZERO, Event::Comes(self.process_of(place), Coming::Answer { begun, lie: false, input }));
                continue;
            }
            let last = host.dies_after.filter(|(after, _)| *after == host.commands).map(|(_, sending)| sending);
            let again = host.mortality;
            let dies = last.or_else(|| self.fate(&command, again));
            self.carry_out(place, command, dies);
            if dies.is_some() {
                self.kill(place, true);
                if let (None, Some(mortality)) = (last, again) {
                    let down = self.chance.between(Duration::from_secs(1), mortality.down_max);
                    self.push(down, Event::Begins { host: place });
                }
                return;
            }
        }
    }

    /// Whether the process dies now.
    fn fate(&mut self, command: &Command, mortality: Option<Mortality>) -> Option<Sending> {
        let mortality = mortality?;
        let writes = matches!(command, Command::Create { .. } | Command::Delete { .. } | Command::Append(_, Some(_)) | Command::Hook(_));
        let dies = self.chance.one_in(if writes { mortality.writes } else { mortality.others });
        dies.then(|| if self.chance.one_in(2) { Sending::Arrives } else { Sending::IsLost })
    }

    fn carry_out(&mut self, place: usize, command: Command, dies: Option<Sending>) {
        let now = self.true_now();
        let process = self.process_of(place);
        match command {
            Command::Tell(fact) => {
                self.note(|| format!("{place}: {fact:?}"));
                self.landmarks.extend(Landmark::of_fact(&fact));
                if let Fact::CreateDecided { op, item: None, result: OpResult::Failure, .. } = &*fact {
                    // Its record may have to wait for the journal.
                    let record = Record::CreateEnded { op: OpId(*op), how: CreateEnd::Absent, error: None, at: now };
                    self.decided(place, &[record]);
                }
                if let Fact::RunStarted { target, run, lateness, .. } = &*fact {
                    self.judge(place, |conduct, scene| conduct.begins(scene, target.server, target.kind, RunId(*run), lateness.is_some()));
                }
                let keeps = self.watch.keeps;
                if let Some(host) = self.hosts.get_mut(place).filter(|_| keeps) {
                    host.facts.push((now, *fact));
                }
            }
            Command::Ordered(report) => {
                self.note(|| format!("{place}: {report:?}"));
                self.landmarks.extend(Landmark::of_order(&report));
                self.hosts.iter_mut().skip(place).take(1).for_each(|host| {
                    host.conduct.promises.given(&report);
                    host.ordered.push(report.clone());
                });
            }
            Command::Finished(report) => self.hosts.iter_mut().skip(place).take(1).for_each(|host| host.reports.push(report.clone())),
            Command::Hook(call) => self.begin_hook(process, *call, dies),
            Command::StopHook(op) => self.stop_hook(place, op),
            Command::Stopped => self.stopped(place),
            Command::Append(records, op) => {
                self.decided(place, &records);
                if dies == Some(Sending::Arrives) {
                    drop(self.write(place, records));
                } else {
                    self.push(JOURNAL_LATENCY, Event::Comes(process, Coming::Durable(records, op)));
                }
            }
            Command::List(kind, begun) => self.send(place, "list", Call::List(kind), OpId(0), begun),
            Command::Servers(begun) => self.send(place, "servers", Call::Servers, OpId(0), begun),
            Command::Account => self.send(place, "account", Call::Account, OpId(0), Mono::default()),
            Command::Create { op, server, kind, order } => {
                self.judge(place, |conduct, scene| conduct.create(scene, op, server, kind, &order));
                let host = self.hosts.get(place);
                let wrong = host.and_then(|host| host.hooks.create(&host.setup, server, kind, &order, self.time));
                self.breaches.extend(wrong.map(|wrong| format!("{now}: {wrong}")));
                // Who is shown something else than what there is, and knows of nothing that is missing, cannot know better.
                let knows = |host: &Host| !host.forgetful && host.conduct.knows_items(server, kind);
                if self.hosts.get(place).is_some_and(|host| host.conduct.was_lied_to(kind) && !knows(host)) {
                    self.watch.late.insert(order.description.clone());
                }
                if dies != Some(Sending::IsLost) {
                    self.send(place, "create", Call::Create { server, kind, order }, op, Mono::default());
                }
            }
            Command::Delete { op, kind, item, until } => {
                self.judge(place, |conduct, scene| conduct.delete(scene, op, kind, item));
                let intent = self.hosts.get(place).and_then(|host| host.conduct.delete_intent(op));
                if let Some(intent) = intent {
                    self.watch.announce(intent);
                }
                if dies != Some(Sending::IsLost) {
                    let within = self.hosts.get(place).map_or(Duration::ZERO, |host| until.since(host.now(self.time, now).mono));
                    self.send(place, "delete", Call::Delete { kind, item, within }, op, Mono::default());
                }
            }
        }
    }

    fn begin_hook(&mut self, process: Process, call: HookCall, dies: Option<Sending>) {
        if dies == Some(Sending::IsLost) {
            return;
        }
        let (place, time, now) = (process.host, self.time, self.true_now());
        self.note(|| format!("{place}: `{}` of {} begins", call.side.as_str(), call.around.op));
        let wrong = self.hosts.get_mut(place).and_then(|host| host.hooks.began(&call, time, &host.setup));
        self.breaches.extend(wrong.map(|wrong| format!("{now}: {wrong}")));
        let (takes, end) = self.hook_luck.draw(&call, &mut self.chance);
        self.push(takes, Event::Comes(process, Coming::HookEnd(call.around.op, call.side, end)));
    }

    fn stop_hook(&mut self, place: usize, op: OpId) {
        let runs = |event: &Event| matches!(event, Event::Comes(to, Coming::HookEnd(of, ..)) if to.host == place && *of == op);
        if let Some(Event::Comes(process, Coming::HookEnd(op, side, _))) = self.events.take_out(runs) {
            self.push(HALF_LATENCY, Event::Comes(process, Coming::HookEnd(op, side, HookEnd::Stopped)));
        }
    }

    fn stopped(&mut self, place: usize) {
        let now = self.true_now();
        let Some(host) = self.hosts.get_mut(place) else { return };
        host.stopped = true;
        if host.hooks.is_owed() {
            self.breaches.push(format!("{now}: H6: it stops although `after` is owed"));
        }
    }

    fn decided(&mut self, place: usize, records: &[Record]) {
        let now = self.true_now();
        let wrong = self.hosts.get_mut(place).map(|host| host.hooks.decided(records)).unwrap_or_default();
        self.breaches.extend(wrong.into_iter().map(|wrong| format!("{now}: {wrong}")));
        self.judge(place, |conduct, scene| conduct.decided(scene, records));
        if let Some(host) = self.hosts.get_mut(place) {
            self.landmarks.append(&mut host.conduct.landmarks);
        }
        let extra = self.hosts.get(place).map_or(0, |host| host.setup.wanted.fuse.extra_per_server);
        for record in records {
            if let Record::RunStarted(start) = record {
                self.watch.run_began(start.subject.server, start.subject.kind, extra);
            }
        }
    }

    fn judge(&mut self, place: usize, judge: impl FnOnce(&mut super::conduct::Conduct, Scene<'_>) -> Vec<String>) {
        let (time, now) = (self.time, self.true_now());
        let wall = self.now_at(place).wall;
        self.twin.account.advance(now);
        let Some(host) = self.hosts.get_mut(place) else { return };
        let wall_max = host.wall_max(now);
        let scene = Scene { time, wall, wall_max, account: &self.twin.account, setup: &host.setup };
        let wrong = judge(&mut host.conduct, scene);
        self.breaches.extend(wrong.into_iter().map(|wrong| format!("{now}: {wrong}")));
        self.observe();
    }

    fn send(&mut self, host: usize, name: &'static str, call: Call, op: OpId, begun: Mono) {
        let sent = self.time;
        let Some(sender) = self.hosts.get_mut(host) else { return };
        *sender.calls.entry(name).or_default() += 1;
        let process = self.process_of(host);
        self.push(HALF_LATENCY, Event::Arrives(Asked { process, call, op, begun, sent, queued: false }));
    }

    /// The process of a machine dies. What it had sent goes on its way. `written`: of what was on its way to the journal, some arrived.
    pub fn kill(&mut self, place: usize, written: bool) {
        let Some(host) = self.hosts.get_mut(place).filter(|host| host.up) else { return };
        if host.conduct.has_in_flight() {
            self.landmarks.insert(Landmark::CrashInFlight);
        }
        let process = self.process_of(place);
        let mine = |event: &Event| matches!(event, Event::Comes(of, Coming::Durable(..)) if *of == process);
        let pending: Vec<Event> = std::iter::from_fn(|| self.events.take_out(mine)).collect();
        let kept = if written { self.chance.below(pending.len() as u64 + 1) as usize } else { 0 };
        for (index, event) in pending.into_iter().enumerate() {
            if let Event::Comes(_, Coming::Durable(records, _)) = event {
                if index < kept {
                    drop(self.write(place, records));
                } else {
                    self.landmarks.insert(Landmark::CrashLosesAppend);
                }
            }
        }
        let making = Kind::ALL.iter().flat_map(|kind| self.twin.account.items(*kind));
        let making = making.into_iter().any(|item| item.progress == Progress::InProgress && slot_of(item).is_some());
        self.landmarks.extend(making.then_some(Landmark::CrashWhileMaking));
        self.note(|| format!("{place}: the process dies"));
        let Some(host) = self.hosts.get_mut(place) else { return };
        if host.conduct.has_unsent() {
            self.landmarks.insert(Landmark::CrashBeforeSend);
        }
        host.die();
        self.watch.second_daemon(self.hosts.iter().skip(1).any(|host| host.up), self.true_now);
    }

    /// Every process dies, and none begins by itself.
    pub fn switch_off(&mut self) {
        for place in 0..self.hosts.len() {
            self.kill(place, true);
        }
        while self.events.take_out(|event| matches!(event, Event::Begins { .. })).is_some() {}
    }

    /// A process begins on a machine where none is.
    pub fn begin(&mut self, place: usize) {
        let (time, now) = (self.time, self.true_now());
        self.twin.account.advance(now);
        self.observe();
        self.note(|| format!("{place}: a process begins"));
        let Some(host) = self.hosts.get_mut(place).filter(|host| !host.up) else { return };
        let begun = host.begin(time, now);
        self.watch.second_daemon(self.hosts.iter().skip(1).any(|host| host.up), now);
        match begun {
            Ok(()) => self.hand_to(place, Input::Tick),
            Err(error) => self.breaches.push(format!("{now}: the journal cannot be read: {error}")),
        }
    }

    /// The journal of a machine is lost.
    pub fn lose_journal(&mut self, place: usize) {
        self.landmarks.insert(Landmark::JournalLost);
        self.note(|| format!("{place}: the journal is lost"));
        self.forget(place, journal::MemoryJournal::lose);
    }

    /// The last records of a machine's journal are torn off.
    pub fn tear_journal(&mut self, place: usize, records: usize) {
        self.landmarks.insert(Landmark::JournalTorn);
        self.note(|| format!("{place}: {records} records are torn off the journal"));
        self.forget(place, |journal| journal.tear(records));
    }

    fn forget(&mut self, place: usize, how: impl FnOnce(&journal::MemoryJournal)) {
        if let Some(host) = self.hosts.get_mut(place) {
            how(&host.journal);
            host.forgetful = true;
            host.hooks.journal_lost();
            self.watch.late.extend(host.conduct.journal_lost());
        }
        self.watch.journal_lost();
    }

    /// Another configuration for a machine.
    pub fn reload_with(&mut self, place: usize, setup: Setup) {
        // What has come before it is taken in under the old one.
        self.hand_over(place);
        self.note(|| format!("{place}: another configuration"));
        // What has been carried out by now is judged by the old one, too.
        self.twin.account.advance(self.true_now());
        self.observe();
        self.watch.wanted(&setup.wanted);
        let Some(host) = self.hosts.get_mut(place) else { return };
        if host.up && host.controller.is_busy() {
            self.landmarks.insert(Landmark::ReloadMidRun);
        }
        host.setup = setup.clone();
        host.hooks.reloaded();
        self.hand_to(place, Input::Reload(Box::new(setup)));
    }

    /// Adds a line to the story.
    pub fn note(&mut self, line: impl FnOnce() -> String) {
        if self.story.is_some() {
            let line = format!("{} {}", self.true_now(), line());
            self.story.iter_mut().for_each(|story| story.push(line.clone()));
        }
    }

    /// Keeps nothing of what happened but counts, for long histories.
    pub fn keep_nothing(&mut self) {
        self.watch.keeps = false;
    }
}

/// What is said of a write that is not let out.
fn not_let_out(command: &Command) -> Option<Input> {
    match command {
        Command::Create { op, .. } => Some(Input::Created(*op, Reply::unsent(ProviderError::NotInCharge))),
        Command::Delete { op, .. } => Some(Input::Deleted(*op, Reply::unsent(ProviderError::NotInCharge))),
        _ => None,
    }
}
