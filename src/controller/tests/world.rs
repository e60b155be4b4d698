//! A simulated world for the controller: its two clocks, the provider, the journal, and a loop that hands over what happens next.
//!
//! Everything follows from what a test says: no real time, no chance. A crash drops the controller and all answers that are on their way.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::ops::RangeInclusive;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::clock::{Mono, Now};
use crate::config;
use crate::domain::fact::Fact;
use crate::domain::inventory::{ItemId, Kind, ServerId};
use crate::domain::record::{OpId, Record};
use crate::emulator::{Account, Item, Rules, Server};
use crate::journal::{Journal, MemoryJournal, Recall};

use super::super::{Command, Controller, Input, Mode, Request, RequestReport, Setup, Unwritten};
use super::DAY;
use super::twin::{Answer, Call, On, Trouble, Twin};
use super::watch::Watch;

/// Where simulated time begins: a Sunday.
pub const START: &str = "2026-03-01T00:00:00Z";
/// How long a call is on its way, each half of it.
const HALF_LATENCY: Duration = Duration::from_millis(50);
/// How long the journal takes.
const JOURNAL_LATENCY: Duration = Duration::from_millis(2);
/// So many turns in a row without time passing are a busy loop.
const SPIN_MAX: u32 = 2_000;

/// Something that is to happen.
#[derive(Debug)]
enum Event {
    Arrives(u64, Asked),
    Answered(u64, Box<Input>),
    Durable(u64, Vec<Record>, Option<OpId>),
}

/// A call, and who asked.
#[derive(Debug)]
struct Asked {
    call: Call,
    op: Option<OpId>,
    begun: Mono,
}

/// What becomes of the request that is being sent when the process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sending {
    Arrives,
    IsLost,
}

/// The world.
pub struct World {
    /// The true time that has passed.
    time: Duration,
    process_began: Duration,
    /// What the host's wall clock is off.
    wall_off: SignedDuration,
    origin: Timestamp,
    /// Counts the processes, so that what one waits for does not reach the next.
    process: u64,
    pub controller: Controller,
    setup: Setup,
    mode: Mode,
    pub twin: Twin,
    pub journal: MemoryJournal,
    events: BinaryHeap<Reverse<(Duration, u64)>>,
    bodies: BTreeMap<u64, Event>,
    count: u64,
    intents: BTreeSet<OpId>,
    spin: u32,
    /// Leaves out the turns in which the controller only looks at the clock; until the clock is set.
    pub skips_idle_turns: bool,
    pub turns: u64,
    pub commands: u64,
    /// The process dies after this many commands.
    pub dies_after: Option<(u64, Sending)>,
    pub died: bool,
    pub stopped: bool,
    pub facts: Vec<(Timestamp, Fact)>,
    pub reports: Vec<RequestReport>,
    pub calls: BTreeMap<&'static str, u64>,
    pub watch: Watch,
}

impl World {
    /// A daemon with this configuration, on an account with the servers 1 to 3 (`web-1` to `web-3`), at [`START`].
    pub fn new(yaml: &str) -> World {
        World::of(yaml, 3, Mode::Daemon)
    }

    pub fn of(yaml: &str, servers: u64, mode: Mode) -> World {
        let origin: Timestamp = START.parse().unwrap();
        let mut account = Account::new(Rules::default());
        for id in 1..=servers {
            account.add_server(Server::active(id, &format!("web-{id}")), origin);
        }
        World::on(yaml, account, mode)
    }

    pub fn on(yaml: &str, account: Account, mode: Mode) -> World {
        let origin: Timestamp = START.parse().unwrap();
        let setup = setup(yaml);
        let now = Now { wall: origin, mono: Mono::default() };
        let mut journal = MemoryJournal::new();
        let past = journal.load(origin).unwrap();
        let watch = Watch::new(&setup.wanted);
        World {
            time: Duration::ZERO,
            process_began: Duration::ZERO,
            wall_off: SignedDuration::ZERO,
            origin,
            process: 0,
            controller: Controller::new(setup.clone(), mode, &past, now),
            twin: Twin::new(account, setup.request_timeout),
            setup,
            mode,
            journal,
            events: BinaryHeap::new(),
            bodies: BTreeMap::new(),
            count: 0,
            intents: BTreeSet::new(),
            spin: 0,
            skips_idle_turns: true,
            turns: 0,
            commands: 0,
            dies_after: None,
            died: false,
            stopped: false,
            facts: Vec::new(),
            reports: Vec::new(),
            calls: BTreeMap::new(),
            watch,
        }
    }

    /// The provider's time.
    pub fn true_now(&self) -> Timestamp {
        self.origin.checked_add(self.time).unwrap()
    }

    pub fn now(&self) -> Now {
        let wall = self.true_now().checked_add(self.wall_off).unwrap();
        Now { wall, mono: Mono(self.time - self.process_began) }
    }

    pub fn fault(&mut self, on: On, hits: RangeInclusive<u32>, trouble: Trouble) {
        self.twin.fault(on, hits, trouble);
    }

    /// From now on all such calls run into it.
    pub fn always(&mut self, on: On, trouble: Trouble) {
        self.twin.fault(on, 1..=u32::MAX, trouble);
    }

    pub fn heal(&mut self) {
        self.twin.heal();
        self.journal.set_fault(None);
    }

    /// An item that somebody else made.
    pub fn add_item(&mut self, item: Item) -> ItemId {
        let now = self.true_now();
        let id = self.twin.account.add_item(item, now);
        self.watch.take(&mut self.twin.account);
        id
    }

    /// A snapshot that somebody else made, so many hours before [`START`].
    pub fn foreign_snapshot(&mut self, server: u64, hours_before: i64) -> ItemId {
        let at = self.origin.checked_sub(SignedDuration::from_hours(hours_before)).unwrap();
        self.add_item(Item::completed(Kind::Snapshot, ServerId(server), at).named(&format!("mine-{hours_before}")))
    }

    /// The host's wall clock is set.
    pub fn step_clock(&mut self, by: SignedDuration) {
        self.wall_off += by;
        self.skips_idle_turns = false;
    }

    /// Time passes.
    pub fn run_for(&mut self, time: Duration) {
        self.run_to(self.time + time);
    }

    /// Time passes until the provider's clock shows this.
    pub fn run_until(&mut self, time: &str) {
        let time: Timestamp = time.parse().unwrap();
        self.run_to(Duration::try_from(time.duration_since(self.origin)).unwrap());
    }

    /// Time passes until this holds; at most so much.
    pub fn run_until_that(&mut self, at_most: Duration, holds: impl Fn(&World) -> bool) -> bool {
        let end = self.time + at_most;
        while self.time < end && !self.died {
            if holds(self) {
                return true;
            }
            self.turn(end);
        }
        holds(self)
    }

    /// All runs end, within three hours.
    pub fn settle(&mut self) {
        let calm = |world: &World| world.controller.runs.is_empty() && world.controller.idle_for(world.now()) > Duration::ZERO;
        assert!(self.run_until_that(Duration::from_secs(3 * 3600), calm), "runs hang: {:#?}", self.controller.runs);
    }

    fn run_to(&mut self, end: Duration) {
        while self.time < end && !self.died {
            self.turn(end);
        }
    }

    /// The next thing happens.
    fn turn(&mut self, end: Duration) {
        let idle = if self.skips_idle_turns { self.controller.next_in(self.now()) } else { Some(self.controller.idle_for(self.now())) };
        let idle = self.time + idle.unwrap_or(DAY);
        let event = self.events.peek().map(|Reverse((at, _))| *at);
        let next = event.map_or(idle, |event| event.min(idle)).min(end).max(self.time);
        self.spin = if next == self.time { self.spin + 1 } else { 0 };
        assert!(self.spin < SPIN_MAX, "a busy loop at {}", self.true_now());
        assert!(self.turns < 1_000 + self.time.as_secs() * 2, "{} turns until {}", self.turns, self.true_now());
        self.time = next;
        if event.is_some_and(|event| event <= next) {
            let Reverse((_, number)) = self.events.pop().unwrap();
            let body = self.bodies.remove(&number).unwrap();
            self.happen(body);
        } else if next < end || idle <= end {
            self.hand(Input::Tick);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrives(process, asked) => self.arrive(process, asked),
            Event::Answered(process, input) if process == self.process => self.hand(*input),
            Event::Durable(process, records, op) if process == self.process => {
                let result = self.write(&records, op);
                self.hand(Input::Appended(op, result));
            }
            Event::Answered(..) | Event::Durable(..) => {}
        }
    }

    fn write(&mut self, records: &[Record], op: Option<OpId>) -> Result<(), Unwritten> {
        let result = self.journal.append(records).map_err(|error| Unwritten { error, records: records.to_vec() });
        if result.is_ok() {
            self.intents.extend(op);
        }
        result
    }

    fn arrive(&mut self, process: u64, asked: Asked) {
        let Asked { call, op, begun } = asked;
        let now = self.true_now();
        let (answer, slow) = self.twin.perform(&call, now);
        self.watch.take(&mut self.twin.account);
        let input = match (answer, call) {
            (Answer::Listing(reply), Call::List(kind)) => Input::Listed(kind, begun, reply),
            (Answer::Servers(reply), _) => Input::Servers(begun, reply),
            (Answer::Account(reply), _) => Input::Account(reply),
            (Answer::Item(reply), _) => Input::Created(op.unwrap(), reply),
            (Answer::Deleted(reply), _) => Input::Deleted(op.unwrap(), reply),
            (Answer::Listing(_), call) => panic!("a listing for {call:?}"),
        };
        let wait = if slow { self.twin.request_timeout } else { HALF_LATENCY };
        self.push(wait, Event::Answered(process, Box::new(input)));
    }

    fn push(&mut self, wait: Duration, event: Event) {
        self.count += 1;
        self.events.push(Reverse((self.time + wait, self.count)));
        self.bodies.insert(self.count, event);
    }

    /// Hands an input over and carries out what comes of it.
    pub fn hand(&mut self, input: Input) {
        self.turns += 1;
        self.controller.handle(self.now(), input);
        for command in self.controller.take_commands() {
            if self.died {
                return;
            }
            self.commands += 1;
            let dies = self.dies_after.filter(|(after, _)| *after == self.commands).map(|(_, sending)| sending);
            self.carry_out(command, dies);
            if dies.is_some() {
                self.died = true;
            }
        }
    }

    fn carry_out(&mut self, command: Command, dies: Option<Sending>) {
        match command {
            Command::Tell(fact) => self.facts.push((self.true_now(), fact)),
            Command::Finished(report) => self.reports.push(report),
            Command::Stopped => self.stopped = true,
            Command::Append(records, op) if dies == Some(Sending::Arrives) => drop(self.write(&records, op)),
            Command::Append(records, op) => self.push(JOURNAL_LATENCY, Event::Durable(self.process, records, op)),
            Command::List(kind, begun) => self.send("list", Call::List(kind), None, begun),
            Command::Servers(begun) => self.send("servers", Call::Servers, None, begun),
            Command::Account => self.send("account", Call::Account, None, Mono::default()),
            Command::Create { op, server, kind, order } => {
                assert!(self.intents.contains(&op), "I6: a create without a durable intent");
                self.write_out("create", Call::Create { server, kind, order }, op, dies);
            }
            Command::Delete { op, kind, item } => {
                assert!(self.intents.contains(&op), "I6: a delete without a durable intent");
                self.write_out("delete", Call::Delete { kind, item }, op, dies);
            }
        }
    }

    fn write_out(&mut self, name: &'static str, call: Call, op: OpId, dies: Option<Sending>) {
        if dies != Some(Sending::IsLost) {
            self.send(name, call, Some(op), Mono::default());
        }
    }

    fn send(&mut self, name: &'static str, call: Call, op: Option<OpId>, begun: Mono) {
        *self.calls.entry(name).or_default() += 1;
        self.push(HALF_LATENCY, Event::Arrives(self.process, Asked { call, op, begun }));
    }

    pub fn calls(&self, name: &str) -> u64 {
        self.calls.get(name).copied().unwrap_or_default()
    }

    /// The process dies, and another one begins `after` that.
    pub fn restart(&mut self, after: Duration) {
        self.process += 1;
        self.died = false;
        self.dies_after = None;
        let end = self.time + after;
        while let Some(Reverse((at, number))) = self.events.pop() {
            let body = self.bodies.remove(&number).unwrap();
            // What was sent goes on its way without us.
            if let Event::Arrives(_, asked) = body {
                let (now, arrives) = (self.time, at.min(end).max(self.time));
                self.time = arrives;
                let at = self.true_now();
                drop(self.twin.perform(&asked.call, at));
                self.time = now;
            }
        }
        self.time = end;
        let now = self.true_now();
        self.twin.account.advance(now);
        self.watch.take(&mut self.twin.account);
        self.process_began = self.time;
        let past = self.journal.load(self.true_now().checked_sub(SignedDuration::from_hours(48)).unwrap()).unwrap();
        self.controller = Controller::new(self.setup.clone(), self.mode, &past, self.now());
        self.hand(Input::Tick);
    }

    pub fn reload(&mut self, yaml: &str) {
        self.setup = setup(yaml);
        self.watch.wanted(&self.setup.wanted);
        self.hand(Input::Reload(Box::new(self.setup.clone())));
    }

    pub fn request(&mut self, request: Request) {
        self.hand(Input::Request(request));
    }

    /// The report of a request, which is asked for now and answered within six hours.
    pub fn ask(&mut self, request: Request) -> RequestReport {
        let (id, before) = (request.id, self.reports.len());
        self.request(request);
        let done = self.run_until_that(Duration::from_secs(6 * 3600), |world| world.reports.len() > before);
        assert!(done, "the request hangs: {:#?}", self.controller.runs);
        let report = self.reports.pop().unwrap();
        assert_eq!(report.id, id);
        report
    }

    /// The items of a server, the oldest first.
    pub fn items(&self, kind: Kind, server: u64) -> Vec<Item> {
        let mut items: Vec<Item> = self.twin.account.items(kind).filter(|item| item.server == ServerId(server)).cloned().collect();
        items.sort_by_key(|item| (item.created_at, item.id));
        items
    }

    pub fn told(&self, is: impl Fn(&Fact) -> bool) -> usize {
        self.facts.iter().filter(|(_, fact)| is(fact)).count()
    }
}

/// A configuration from its text, by the production code.
pub fn setup(yaml: &str) -> Setup {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapwarden.yaml");
    std::fs::write(&path, yaml).unwrap();
    let config = config::load(&path, START.parse().unwrap()).unwrap_or_else(|told| panic!("{told}"));
    Setup {
        wanted: config.wanted,
        digest: config.digest,
        account: config.provider.account,
        request_timeout: config.provider.request_timeout,
        poll_every: config.provider.poll_every,
        refresh_every: config.provider.refresh_every,
        concurrent_creates: config.provider.concurrent_creates as usize,
    }
}
