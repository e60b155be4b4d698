//! The simulated world as these tests use it: one machine, configurations as text, and the end of the test where the world sees a breach.

use std::ops::{Deref, DerefMut, RangeInclusive};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::clock::Now;
use crate::config;
use crate::domain::fact::Fact;
use crate::domain::inventory::{ItemId, Kind, ServerId};
use crate::domain::report::Report;
use crate::emulator::{Account, Fate, Item, Order, Rules, Server};
use crate::journal::MemoryJournal;
use crate::simulate::{self, Fault, Host, On, Trouble};

use super::super::{Controller, Input, Mode, Request, RequestReport, Setup};
use super::HOUR;

/// Where simulated time begins: a Sunday.
pub const START: &str = "2026-03-01T00:00:00Z";
/// It decides what of the appends on their way arrives when the process dies at a command; nothing else is left to chance.
const SEED: u64 = 1;

/// A world with one machine. What the simulator calls a breach ends the test: a second item for a slot, a delete on doubt, a busy loop, …
pub struct World(simulate::World);

impl Deref for World {
    type Target = simulate::World;

    fn deref(&self) -> &simulate::World {
        &self.0
    }
}

impl DerefMut for World {
    fn deref_mut(&mut self) -> &mut simulate::World {
        &mut self.0
    }
}

impl World {
    /// A daemon with this configuration, on an account with the servers 1 to 3 (`web-1` to `web-3`), at [`START`].
    pub fn new(yaml: &str) -> World {
        World::of(yaml, 3, Mode::Daemon)
    }

    pub fn of(yaml: &str, servers: u64, mode: Mode) -> World {
        let mut account = Account::new(Rules::default());
        for id in 1..=servers {
            account.add_server(Server::active(id, &format!("web-{id}")), start());
        }
        World::on(yaml, account, mode)
    }

    pub fn on(yaml: &str, account: Account, mode: Mode) -> World {
        World(simulate::World::new(setup(yaml), mode, account, start(), SEED).unwrap())
    }

    pub fn host(&self) -> &Host {
        &self.hosts[0]
    }

    pub fn host_mut(&mut self) -> &mut Host {
        &mut self.hosts[0]
    }

    pub fn controller(&self) -> &Controller {
        &self.host().controller
    }

    pub fn controller_mut(&mut self) -> &mut Controller {
        &mut self.host_mut().controller
    }

    pub fn journal(&self) -> &MemoryJournal {
        &self.host().journal
    }

    /// What the machine's clocks show.
    pub fn now(&self) -> Now {
        self.now_at(0)
    }

    pub fn report(&self) -> Report {
        self.controller().report(self.now())
    }

    /// The calls with these numbers, counted from 1 among those that the trouble is for, run into it.
    pub fn fault(&mut self, on: On, hits: RangeInclusive<u32>, trouble: Trouble) {
        self.add_fault(Fault::new(on, trouble).hits(hits));
    }

    /// From now on all such calls run into it.
    pub fn always(&mut self, on: On, trouble: Trouble) {
        self.add_fault(Fault::new(on, trouble));
    }

    pub fn heal(&mut self) {
        self.twin.heal();
        self.journal().set_fault(None);
    }

    /// A snapshot that somebody else made, so many hours before [`START`].
    pub fn foreign_snapshot(&mut self, server: u64, hours_before: i64) -> ItemId {
        let at = start().checked_sub(SignedDuration::from_hours(hours_before)).unwrap();
        self.add_item(Item::completed(Kind::Snapshot, ServerId(server), at).named(&format!("mine-{hours_before}")))
    }

    /// The wall clock is set.
    pub fn step_clock(&mut self, by: SignedDuration) {
        self.step_clock_of(0, by);
    }

    /// Time passes.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.elapsed() + time;
        self.run_to(end);
        self.check();
    }

    /// Time passes until the provider's clock shows this.
    pub fn run_until(&mut self, time: &str) {
        let time: Timestamp = time.parse().unwrap();
        self.run_to(Duration::try_from(time.duration_since(start())).unwrap());
        self.check();
    }

    /// Time passes until this holds; at most so much.
    pub fn run_until_that(&mut self, at_most: Duration, holds: impl Fn(&World) -> bool) -> bool {
        let end = self.elapsed() + at_most;
        while self.elapsed() < end {
            if holds(self) {
                return true;
            }
            self.turn(end);
            self.check();
        }
        holds(self)
    }

    /// All runs end, within three hours.
    pub fn settle(&mut self) {
        let calm = |world: &World| world.controller().runs.is_empty() && world.controller().idle_for(world.now()) > Duration::ZERO;
        assert!(self.run_until_that(HOUR * 3, calm), "runs hang: {:#?}", self.controller().runs);
    }

    fn check(&self) {
        assert!(self.breaches.is_empty(), "{}", self.breaches.join("\n"));
    }

    /// Hands an input over and carries out what comes of it.
    pub fn hand(&mut self, input: Input) {
        self.hand_to(0, input);
        self.check();
    }

    /// The process dies, unless it is dead already, and another one begins `after` that. What it had sent goes on its way.
    pub fn restart(&mut self, after: Duration) {
        self.kill(0, false);
        self.host_mut().dies_after = None;
        self.run_for(after);
        self.begin(0);
        self.check();
    }

    pub fn reload(&mut self, yaml: &str) {
        self.reload_with(0, setup(yaml));
        self.check();
    }

    pub fn request(&mut self, request: Request) {
        self.hand(Input::Request(request));
    }

    /// The report of a request, which is asked for now and answered within six hours.
    pub fn ask(&mut self, request: Request) -> RequestReport {
        let (id, before) = (request.id, self.host().reports.len());
        self.request(request);
        let done = self.run_until_that(HOUR * 6, |world| world.host().reports.len() > before);
        assert!(done, "the request hangs: {:#?}", self.controller().runs);
        let report = self.host_mut().reports.pop().unwrap();
        assert_eq!(report.id, id);
        report
    }

    /// The items of a server, the oldest first.
    pub fn items(&self, kind: Kind, server: u64) -> Vec<Item> {
        let mut items: Vec<Item> = self.twin.account.items(kind).filter(|item| item.server == ServerId(server)).cloned().collect();
        items.sort_by_key(|item| (item.created_at, item.id));
        items
    }

    /// How many calls of this sort were made.
    pub fn calls(&self, name: &str) -> u64 {
        self.host().calls.get(name).copied().unwrap_or_default()
    }

    pub fn all_calls(&self) -> u64 {
        self.host().calls.values().sum()
    }

    /// How many such facts were told.
    pub fn told(&self, is: impl Fn(&Fact) -> bool) -> usize {
        self.host().facts.iter().filter(|(_, fact)| is(fact)).count()
    }
}

fn start() -> Timestamp {
    START.parse().unwrap()
}

/// A configuration from its text, by the production code.
pub fn setup(yaml: &str) -> Setup {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapwarden.yaml");
    std::fs::write(&path, yaml).unwrap();
    let config = config::load(&path, start()).unwrap_or_else(|told| panic!("{told}"));
    config.setup()
}

/// What the tests rely on where they do not count items themselves.
#[test]
#[should_panic(expected = "I12: snapwarden owner=prod policy=web slot=2026-03-01T03:00:00Z was made twice")]
fn a_second_item_for_a_slot_ends_a_test() {
    let mut world = World::new(&super::one("keep: {last: 4}"));
    world.run_for(HOUR * 4);
    let Item { kind, server, name, description, .. } = world.items(Kind::Snapshot, 1).remove(0);
    let now = world.true_now();
    world.twin.account.create(&Order { kind, server, name, description }, &Fate::default(), now).unwrap();
    world.run_for(HOUR);
}
