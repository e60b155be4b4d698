//! The shell around the pure core: feeds events to the runs, carries their effects out within the limits, shares one listing among all.
//!
//! The [`Controller`] itself does no I/O either: it takes [`Input`]s with the time and hands out [`Command`]s. [`Driver`] connects it with the
//! provider, the journal and the clock; a simulator can do the same with twins of these.

mod account;
mod breach;
mod drive;
mod guests;
mod hooks;
mod leading;
mod listings;
mod observe;
mod ongoing;
mod ops;
mod places;
mod queue;
mod report;
mod requests;
mod runs;
mod scheduling;
mod standing;
mod summary;
mod timetable;
mod watching;
mod writing;

#[cfg(test)]
mod tests;

use std::cell::OnceCell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Mono, Now};
use crate::domain::fact::Fact;
use crate::domain::fleet::{self, Fleet};
use crate::domain::gather::gather;
use crate::domain::hook::{HookCall, HookEnd, HookSide};
use crate::domain::inventory::{Item, ItemId, Kind, Listing, ServerId, ServerListing};
use crate::domain::memory::{Memory, TargetKey};
use crate::domain::plan::Order;
use crate::domain::policy::Assignment;
use crate::domain::record::{OpId, Record, RunId};
use crate::domain::report::Leader;
use crate::domain::roster::Roster;
use crate::domain::standing::Order as StandingRequest;
use crate::domain::view::Inventory;
use crate::journal::Recollection;
use crate::provider::{Account, Deleted, Reply};

pub use account::Fatal;
pub use drive::{Driver, Inputs, Notice, Ports};
pub use report::{Glance, TargetPlan};
pub use requests::{Request, RequestReport, Select, ServerPattern, TargetResult, What};
pub use standing::OrderReport;
pub use timetable::Timetables;
pub use writing::Unwritten;

pub use crate::domain::setup::Setup;

use account::AccountState;
use breach::Breach;
use hooks::Brackets;
use listings::{Source, Sources};
use observe::TargetState;
use ongoing::Ongoing;
use ops::Ops;
use places::Places;
use requests::Desk;
use writing::Outbox;

/// The longest sleep: then the wall clock is looked at again, for it may have been set (F58).
pub const SLEEP_MAX: Duration = Duration::from_secs(30);

/// Who sets runs off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The schedules, and requests: the daemon.
    Daemon,
    /// Requests only; it gives up where the daemon would go on trying.
    Command,
}

/// Something that has happened outside.
#[derive(Debug)]
pub enum Input {
    /// Time has passed.
    Tick,
    /// A list call has ended; it was let through at this time, or only asked for if it never was.
    Listed(Kind, Mono, Reply<Listing>),
    /// The list of servers has come, or not.
    Servers(Mono, Reply<ServerListing>),
    /// The answer to "whose token is this".
    Account(Reply<Account>),
    /// The answer to a create.
    Created(OpId, Reply<Item>),
    /// The answer to a delete.
    Deleted(OpId, Reply<Deleted>),
    /// Records are durable, or could not be written. The operation is named where it waits for that.
    Appended(Option<OpId>, Result<(), Unwritten>),
    /// A hook has ended, and this is the end of what it printed.
    HookEnded(OpId, HookSide, HookEnd, String),
    /// Another configuration.
    Reload(Box<Setup>),
    /// Somebody asks for something.
    Request(Request),
    /// Somebody orders something that stands for a while; the number is the asker's, for the report.
    Order(u64, Box<StandingRequest>),
    /// Which of several replicas acts, as far as is known now. Where this was never told, this one does.
    Leader(Leader),
    /// No new work; [`Command::Stopped`] follows once the exchange in flight is over.
    Stop,
}

/// Something to be done outside.
#[derive(Debug)]
pub enum Command {
    /// List everything of a kind; asked for at this time.
    List(Kind, Mono),
    /// List the servers; asked for at this time.
    Servers(Mono),
    /// Ask whose token this is.
    Account,
    /// Send a create.
    Create {
        /// Which.
        op: OpId,
        /// Where.
        server: ServerId,
        /// Snapshot or backup.
        kind: Kind,
        /// What to make.
        order: Order,
    },
    /// Send a delete.
    Delete {
        /// Which.
        op: OpId,
        /// Snapshot or backup.
        kind: Kind,
        /// What goes.
        item: ItemId,
        /// Not after this.
        until: Mono,
    },
    /// Make this durable, in the order of these commands.
    Append(Vec<Record>, Option<OpId>),
    /// Run a hook.
    Hook(Box<HookCall>),
    /// End a hook that runs.
    StopHook(OpId),
    /// Tell this.
    Tell(Box<Fact>),
    /// A request is done with.
    Finished(RequestReport),
    /// An order stands, or cannot.
    Ordered(OrderReport),
    /// After [`Input::Stop`]: nothing is in flight any more.
    Stopped,
}

/// Everything between the inputs and the commands.
#[derive(Debug)]
pub struct Controller {
    setup: Arc<Setup>,
    mode: Mode,
    generation: u64,
    memory: Memory,
    fleet: Fleet,
    faults_told: Vec<String>,
    targets: Roster<TargetKey, TargetState>,
    /// Plans that the guard has refused, until plans are sound again.
    breaches: BTreeMap<TargetKey, Breach>,
    timetables: Timetables,
    /// Servers to be looked at in the next round, whatever the clocks say.
    ready: BTreeSet<ServerId>,
    sources: Sources,
    inventories: BTreeMap<Kind, Inventory>,
    servers: Option<ServersSeen>,
    account: AccountState,
    runs: Ongoing,
    ops: Ops,
    wakes: BinaryHeap<Reverse<(Mono, ServerId)>>,
    /// Of each server that ever was in the fleet.
    trails: Roster<ServerId, Trail>,
    outbox: Outbox,
    brackets: Brackets,
    places: Places,
    retries: BTreeSet<(Mono, TargetKey)>,
    /// The longest interval of each policy, in their order: costly to find, and the same until the next reload.
    intervals: OnceCell<Vec<Duration>>,
    desk: Desk,
    /// Targets without a policy that an item by hand is asked for.
    guests: BTreeSet<TargetKey>,
    pending_orders: standing::Pending,
    next_op: OpId,
    next_run: RunId,
    /// Which of several replicas acts.
    leader: Option<Leader>,
    /// Since when this one does, where there are several.
    led_since: Option<Now>,
    stopping: bool,
    stopped: bool,
    /// Records to be made durable, in their order, and the operation that waits for that.
    appends: Vec<(Vec<Record>, Option<OpId>)>,
    /// All else to be done outside.
    out: Vec<Command>,
    /// A mistake of the planner's, made by a test.
    #[cfg(test)]
    mistake: Option<fn(&mut crate::domain::plan::Plan)>,
}

/// What runs have left behind on a server.
#[derive(Debug, Default)]
struct Trail {
    /// When something was last sent to it, or answered by it.
    last_write: Option<Mono>,
    /// Of which kind the last run was.
    last_kind: Option<Kind>,
}

/// The servers as last told.
#[derive(Debug)]
struct ServersSeen {
    begun: Mono,
    /// Whether everything was shown.
    whole: bool,
    /// With those that it did not show because it is not whole, as they were shown before.
    listing: ServerListing,
    /// When these were shown.
    unshown: BTreeMap<ServerId, Mono>,
    /// Those that a restore overwrites.
    restoring: BTreeSet<ServerId>,
}

impl ServersSeen {
    /// When the state of a server was last asked for and told.
    fn shown(&self, server: ServerId) -> Mono {
        self.unshown.get(&server).copied().unwrap_or(self.begun)
    }
}

impl Controller {
    /// A controller that remembers what the journal gave back.
    #[must_use]
    pub fn new(setup: Setup, mode: Mode, past: &Recollection, now: Now) -> Controller {
        let memory = past.memory();
        let mut controller = Controller {
            account: AccountState::new(setup.account.is_some()),
            sources: Sources::new(),
            setup: Arc::new(setup),
            mode,
            generation: 1,
            memory,
            fleet: Fleet::default(),
            faults_told: Vec::new(),
            targets: Roster::default(),
            breaches: BTreeMap::new(),
            timetables: Timetables::default(),
            ready: BTreeSet::new(),
            inventories: BTreeMap::new(),
            servers: None,
            runs: Ongoing::default(),
            ops: Ops::default(),
            wakes: BinaryHeap::new(),
            trails: Roster::default(),
            outbox: Outbox::default(),
            brackets: Brackets::default(),
            places: Places::default(),
            retries: BTreeSet::new(),
            intervals: OnceCell::new(),
            desk: Desk::default(),
            guests: BTreeSet::new(),
            pending_orders: standing::Pending::new(),
            next_op: past.next_op,
            next_run: past.next_run,
            leader: None,
            led_since: None,
            stopping: false,
            stopped: false,
            appends: Vec::new(),
            out: Vec::new(),
            #[cfg(test)]
            mistake: None,
        };
        if let Some(path) = &past.set_aside {
            controller.account.set_aside(path, now);
        }
        controller.inherit_hooks();
        controller.resolve(now);
        controller
    }

    /// Takes in what has happened, and does what follows from it. What is seen of the provider comes first, so that nothing is sent against that; all
    /// else stays in its order. The commands are then in [`Controller::take_commands`].
    pub fn handle(&mut self, now: Now, inputs: impl IntoIterator<Item = Input>) {
        let mut inputs: Vec<Input> = inputs.into_iter().collect();
        inputs.sort_by_key(|input| !matches!(input, Input::Listed(..) | Input::Servers(..)));
        // What was due before goes first: a create whose hold is over is not sent because its intent is known to be written at last.
        self.tend_hooks(now);
        for input in inputs {
            self.take_in(now, input);
            // What the next input clears up is told as well.
            self.tell_account(now);
        }
        self.pump(now);
    }

    fn take_in(&mut self, now: Now, input: Input) {
        match input {
            Input::Tick => {}
            Input::Listed(kind, begun, reply) => self.listed(now, kind, begun, reply),
            Input::Servers(begun, reply) => self.servers_listed(now, begun, reply),
            Input::Account(reply) => self.account_told(now, reply),
            Input::Created(op, reply) => self.created(now, op, reply),
            Input::Deleted(op, reply) => self.deleted(now, op, reply),
            Input::Appended(op, result) => self.appended(now, op, result),
            Input::HookEnded(op, side, end, output) => self.hook_ended(now, op, side, end, output),
            Input::Reload(setup) => self.reload(now, *setup),
            Input::Request(request) => self.requested(now, request),
            Input::Order(id, order) => self.take_order(now, id, &order),
            Input::Leader(leader) => self.leader_told(now, leader),
            Input::Stop => self.stop(),
        }
    }

    /// What is to be done outside since the last call, in this order: first what is to be made durable, since the journal can be at work while the
    /// rest is seen to.
    pub fn take_commands(&mut self) -> impl Iterator<Item = Command> + use<> {
        fn take<T>(all: &mut Vec<T>) -> Vec<T> {
            // The next ones will be about as many.
            let room = Vec::with_capacity(all.len());
            std::mem::replace(all, room)
        }
        let appends = take(&mut self.appends).into_iter().map(|(records, op)| Command::Append(records, op));
        appends.chain(take(&mut self.out))
    }

    /// How long there is nothing to do, if nothing happens outside; at most [`SLEEP_MAX`].
    #[must_use]
    pub fn idle_for(&self, now: Now) -> Duration {
        self.next_in(now).unwrap_or(SLEEP_MAX).min(SLEEP_MAX)
    }

    /// How long until there is something to do by these clocks, if nothing happens outside and no clock is set; `None`: nothing is planned.
    #[must_use]
    pub fn next_in(&self, now: Now) -> Option<Duration> {
        if self.stopping {
            return None;
        }
        let by_mono = [self.next_call(), self.outbox.again(), self.brackets.next(), self.account.next_over(now.mono)];
        let by_mono = by_mono.into_iter().flatten().min().map(|at| at.since(now.mono));
        if !self.is_in_charge() {
            return by_mono;
        }
        if !self.ready.is_empty() {
            return Some(Duration::ZERO);
        }
        let by_wall = self.timetables.next().map(|at| at.duration_since(now.wall).try_into().unwrap_or(Duration::ZERO));
        let of_runs = [self.wakes.peek().map(|Reverse((at, _))| *at), self.next_retry()];
        let of_runs = of_runs.into_iter().flatten().min().map(|at| at.since(now.mono));
        [by_wall, by_mono, of_runs].into_iter().flatten().min()
    }

    /// Whether a run is on.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !self.runs.is_empty()
    }

    /// What is wanted now.
    #[must_use]
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Several questions about this target follow: all of it is looked for once.
    fn turn_to(&mut self, key: TargetKey) {
        self.targets.turn_to(&key);
        self.memory.turn_to(key);
        self.fleet.members.turn_to(&key.0);
        self.trails.turn_to(&key.0);
        self.runs.turn_to(key.0);
        if let Some(inventory) = self.inventories.get_mut(&key.1) {
            inventory.turn_to(key.0);
        }
    }

    fn tell(&mut self, fact: impl Into<Box<Fact>>) {
        self.out.push(Command::Tell(fact.into()));
    }

    /// Does all that can be done now.
    fn pump(&mut self, now: Now) {
        self.tend_hooks(now);
        if !self.stopping {
            self.tend_guests(now);
            if self.is_in_charge() {
                self.expand_requests(now);
                self.fire(now);
                self.wake(now);
                self.grant_places(now);
                self.wake(now);
            } else {
                self.drop_runs(|run| !run.is_in_flight());
            }
            self.call(now);
        }
        self.tend_hooks(now);
        self.write_again(now);
        self.tell_account(now);
        if self.stopping && !self.stopped && !self.awaits_anything() {
            self.stopped = true;
            self.out.push(Command::Stopped);
        }
    }

    /// Whether something has been begun outside that is to be finished first.
    fn awaits_anything(&self) -> bool {
        self.runs.values().any(|run| run.is_in_flight()) || self.brackets.are_busy() || !self.pending_orders.is_empty()
    }

    fn stop(&mut self) {
        self.stopping = true;
        let untouched: Vec<ServerId> = self.runs.iter().filter(|(_, run)| run.is_untouched()).map(|(server, _)| server).collect();
        for server in untouched {
            self.runs.remove(server);
        }
        self.stop_hooks();
    }

    /// A new configuration: what runs goes on, what was planned to be deleted under the old one is dropped by the runs themselves (I11).
    fn reload(&mut self, now: Now, setup: Setup) {
        self.setup = Arc::new(setup);
        self.generation += 1;
        self.intervals = OnceCell::new();
        // The token may be another one now, of another account.
        self.account.verify_again(self.setup.account.is_some());
        self.account.try_again();
        self.resolve(now);
        let running: Vec<ServerId> = self.runs.iter().map(|(server, _)| server).collect();
        for server in running {
            self.nudge(now, server);
        }
    }

    /// Works out anew which servers have which policies.
    fn resolve(&mut self, now: Now) {
        let servers = self.servers.as_ref().filter(|_| self.sources.servers.told).map(|seen| &seen.listing.servers[..]);
        let resolved = fleet::resolve(&self.setup.wanted.entries, servers);
        let before = std::mem::replace(&mut self.fleet, resolved);
        if self.servers.as_ref().is_some_and(|seen| !seen.whole) {
            // Of a list that is not whole it cannot be said that a server is missing from it; but one that was missing before still is.
            let was_missing = |id: &ServerId| before.members.get(id).is_some_and(|member| member.missing);
            let newly = self.fleet.members.iter().filter(|(id, member)| member.missing && !was_missing(id)).map(|(id, _)| *id);
            for id in newly.collect::<Vec<_>>() {
                self.fleet.members.get_mut(&id).into_iter().for_each(|member| member.missing = false);
            }
        }
        self.rebuild_targets(now);
        let faults = if self.sources.servers.settled { self.fleet.faults.clone() } else { Vec::new() };
        let told: BTreeSet<&str> = gather(self.faults_told.iter().map(String::as_str));
        for fault in faults.iter().filter(|fault| !told.contains(fault.as_str())) {
            self.out.push(Command::Tell(Fact::Note { target: None, text: fault.clone() }.into()));
        }
        self.faults_told = faults;
    }

    /// The policies of each server that has any.
    pub fn assignments(&self) -> impl Iterator<Item = &Assignment> {
        self.fleet.members.values().map(|member| &member.assignment)
    }

    /// What is wrong with entries of the configuration as a whole.
    #[must_use]
    pub fn faults(&self) -> &[String] {
        &self.faults_told
    }

    /// The source of a kind's listings.
    fn source(&mut self, kind: Kind) -> &mut Source {
        self.sources.of(kind)
    }
}
