//! One random history: anything may go wrong for a while; then all is healed, and within two periods everything must be as wanted.

use std::time::Duration;

use jiff::SignedDuration;

use snapwarden::controller::{Input, Mode, Request, Select, ServerPattern, What};
use snapwarden::domain::inventory::{ItemId, Kind, ServerId};
use snapwarden::emulator::{Account, Fate, Item, Progress, Rules, Server};
use snapwarden::journal;
use snapwarden::provider::ProviderError;
use snapwarden::simulate::{Chance, Fault, Mortality, On, Trouble, World};

use crate::calm;
use crate::orders::Orders;
use crate::plans::{self, PLACES, Plan};
use crate::strangers::Strangers;

pub const MINUTE: Duration = Duration::from_secs(60);
pub const HOUR: Duration = Duration::from_secs(3600);
/// Servers under a policy.
const SERVERS: u64 = 2;
pub const DAY: Duration = Duration::from_secs(24 * 3600);

/// What came of a history.
pub struct Told {
    pub world: World,
    /// What is wrong; none: nothing.
    pub wrong: Option<String>,
}

/// A history, while it is played.
pub struct Story {
    pub world: World,
    pub plan: &'static Plan,
    chance: Chance,
    requests: u64,
    /// What people order to stand, in one history of four.
    orders: Option<Orders>,
    strangers: Option<Strangers>,
    /// The fuse allows less in a day.
    is_frugal: bool,
    /// So long the machines are off, once, and have been.
    away: Duration,
    was_away: Duration,
}

/// Plays the history of this seed. `tells`: with a line for each thing that happens.
pub fn play(seed: u64, tells: bool) -> Told {
    play_in(seed, |world| world.story = tells.then(Vec::new))
}

/// The same, in a world that is prepared by this.
pub fn play_in(seed: u64, prepare: impl FnOnce(&mut World)) -> Told {
    tell(Story::new(seed).with_strangers(seed), prepare)
}

/// The same as it was before there were strangers: what was found then is found in that.
pub fn play_among_ourselves(seed: u64, tells: bool) -> Told {
    tell(Story::new(seed), |world| world.story = tells.then(Vec::new))
}

fn tell(mut story: Story, prepare: impl FnOnce(&mut World)) -> Told {
    prepare(&mut story.world);
    story.go_wrong();
    story.be_generous();
    heal(&mut story.world, SERVERS);
    story.orders.iter_mut().for_each(|orders| orders.end_all(&mut story.world));
    let wrong = calm::comes(&mut story.world, story.plan);
    Told { world: story.world, wrong }
}

impl Story {
    fn new(seed: u64) -> Story {
        let mut chance = Chance::new(seed);
        let place = chance.below(PLACES.len() as u64) as usize;
        let plan = chance.one_of(&plans::at(place)).copied().unwrap();
        let origin = PLACES[place].1.parse().unwrap();
        let mut account = Account::new(Rules::default());
        for id in 1..=SERVERS {
            account.add_server(Server::active(id, &format!("web-{id}")), origin);
        }
        account.add_server(Server::active(SERVERS + 1, "other"), origin);
        let mut world = World::new(plan.setup.clone(), Mode::Daemon, account, origin, chance.below(u64::MAX)).unwrap();
        // A busy daemon takes in together what has come meanwhile, an idle one takes in everything by itself.
        world.busy_max = seed.is_multiple_of(2).then_some(Duration::from_secs(1));
        // As little as can be is remembered.
        world.journal_keep = Some(Duration::ZERO);
        world.hosts[0].journal.set_fault(None);
        for _ in 0..chance.below(3) {
            let hours = 1 + chance.below(100);
            let at = origin.checked_sub(Duration::from_secs(hours * 3600)).unwrap();
            world.add_item(Item::completed(Kind::Snapshot, ServerId(1 + chance.below(SERVERS)), at).named(&format!("tool-{hours}")));
        }
        let away = if seed / 2 % 10 == 2 { DAY * 9 } else { Duration::ZERO };
        let orders = (seed / 3 % 4 == 3).then(|| Orders::new(seed, SERVERS));
        Story { world, plan, chance, requests: 0, orders, strangers: None, is_frugal: false, away, was_away: Duration::ZERO }
    }

    fn with_strangers(mut self, seed: u64) -> Story {
        self.strangers = Some(Strangers::new(seed, SERVERS));
        self.is_frugal = seed.is_multiple_of(3);
        if self.is_frugal {
            self.reload_all();
        }
        self
    }

    fn go_wrong(&mut self) {
        let periods = 2 + self.chance.below(6) as u32;
        let end = (self.plan.period() * periods).clamp(HOUR * 4, HOUR * 20);
        let pause = (self.plan.period() / 3).min(HOUR);
        while self.world.elapsed() < end + self.was_away && self.world.breaches.is_empty() {
            // Half of the pauses are short, so that faults meet.
            let most = if self.chance.one_in(2) { MINUTE * 3 } else { pause };
            let to = self.world.elapsed() + self.chance.between(Duration::ZERO, most);
            self.world.run_to(to);
            self.disturb();
        }
    }

    fn disturb(&mut self) {
        self.orders.iter_mut().for_each(|orders| orders.now_and_then(&mut self.world));
        self.strangers.iter_mut().for_each(|strangers| strangers.now_and_then(&mut self.world));
        match self.chance.below(30) {
            0..=7 => self.trouble(),
            8..=10 => self.trouble_for_a_while(),
            11..=13 => self.crash(),
            14 => self.journal_fault(),
            15..=17 => self.person(),
            18 => self.server(),
            19 | 20 => self.clock(),
            21 | 22 => self.reload(),
            23 => self.second_daemon(),
            24 => self.mortal(),
            25 => self.by_hand(),
            26 => self.item_by_hand(),
            27 | 28 => {
                self.world.twin.heal();
                each_journal(&mut self.world, None);
            }
            _ => {
                self.world.set_mortality(0, None);
                self.begin();
            }
        }
    }

    fn error(&mut self) -> ProviderError {
        match self.chance.below(9) {
            0 => ProviderError::Timeout,
            1 => Trouble::cut(),
            2 => Trouble::status(500),
            3 => Trouble::status(429),
            4 => Trouble::status(400),
            5 => Trouble::status(404),
            6 => Trouble::status(409),
            7 => Trouble::status(302),
            _ => Trouble::no_connection(),
        }
    }

    fn doubtful(&mut self) -> ProviderError {
        match self.chance.below(3) {
            0 => ProviderError::Timeout,
            1 => Trouble::cut(),
            _ => Trouble::status(502),
        }
    }

    /// A few calls, soon, run into something.
    fn trouble(&mut self) {
        let first = 1 + self.chance.below(3) as u32;
        let hits = first..=first + self.chance.below(4) as u32;
        let (on, trouble) = self.any_trouble();
        // A list that is empty for longer than this is believed in the end (F29).
        let most = if matches!(trouble, Trouble::Empty) { MINUTE * 10 } else { DAY };
        let until = self.world.true_now().checked_add(most).unwrap();
        self.world.add_fault(Fault::new(on, trouble).hits(hits).until(until));
    }

    fn any_trouble(&mut self) -> (On, Trouble) {
        let server = 1 + self.chance.below(SERVERS);
        let lag = self.chance.between(Duration::ZERO, MINUTE * 2);
        match self.chance.below(22) {
            0 => (On::Creates, Trouble::Refused(self.error())),
            1 | 2 => (On::Creates, Trouble::Lost(self.doubtful())),
            3 => (On::Creates, Trouble::Late(lag, self.doubtful())),
            4 => (On::Deletes, Trouble::Refused(self.error())),
            5 => (On::Deletes, Trouble::Lost(self.doubtful())),
            6 => (On::Deletes, Trouble::Late(lag, self.doubtful())),
            7 => (On::Deletes, Trouble::NoEffect),
            8 => (On::Lists, Trouble::Refused(self.error())),
            9 => (On::Lists, Trouble::Incomplete),
            10 => (On::Lists, Trouble::Unreadable(server)),
            11 => (On::Lists, Trouble::Stale(lag)),
            12 => (On::Lists, Trouble::Paged(lag)),
            13 => (On::Lists, Trouble::Nameless),
            14 => (On::Lists, Trouble::Empty),
            15 => (On::Servers, Trouble::Refused(self.error())),
            16 => (On::Creates, Trouble::fails()),
            17 => (On::Creates, Trouble::never_completes()),
            18 => (On::Creates, Trouble::Fate(Fate { after: Some(MINUTE * 40), end: Progress::Completed })),
            19 => (On::Creates, Trouble::Fate(Fate { after: None, end: Progress::Word("archiving".to_owned()) })),
            20 if lag.as_secs().is_multiple_of(2) => (On::Everything, Trouble::Slow(lag.min(Duration::from_secs(29)))),
            20 => (if server == 1 { On::Deletes } else { On::Lists }, Trouble::Queued(lag)),
            _ => (On::Creates, Trouble::Mixed),
        }
    }

    /// Outages, throttling, refused tokens and the like, for minutes or hours; of some, each call is hit, of some only one in a few.
    fn trouble_for_a_while(&mut self) {
        let time = self.chance.between(MINUTE, HOUR * 5);
        let (on, trouble) = match self.chance.below(8) {
            0 => (On::Everything, Trouble::Refused(Trouble::no_connection())),
            1 => (On::Everything, Trouble::Refused(ProviderError::Timeout)),
            2 => (On::Everything, Trouble::Refused(Trouble::status(503))),
            3 => (On::Everything, Trouble::Refused(Trouble::status(429))),
            4 => (On::Everything, Trouble::Refused(Trouble::status(401))),
            5 => (On::Everything, Trouble::Dated(SignedDuration::from_mins(90))),
            _ => self.any_trouble(),
        };
        let time = if matches!(trouble, Trouble::Empty) { MINUTE * 10 } else { time };
        let until = self.world.true_now().checked_add(time).unwrap();
        let cases = 1 + self.chance.below(3);
        self.world.add_fault(Fault::new(on, trouble).until(until).one_in(cases));
    }

    fn crash(&mut self) {
        let place = self.chance.below(self.world.hosts.len() as u64) as usize;
        let written = self.chance.one_in(2);
        self.world.kill(place, written);
        match self.chance.below(8) {
            0 => self.world.lose_journal(place),
            1 => {
                let records = 1 + self.chance.below(5) as usize;
                self.world.tear_journal(place, records);
            }
            _ => {}
        }
        let most = if self.chance.one_in(4) { HOUR * 3 } else { MINUTE * 2 };
        let end = self.world.elapsed() + self.chance.between(Duration::ZERO, most);
        self.world.run_to(end);
        self.be_away();
        self.world.begin(place);
    }

    /// Nothing runs anywhere for longer than the journals remember.
    fn be_away(&mut self) {
        if self.was_away >= self.away {
            return;
        }
        self.world.switch_off();
        self.was_away = self.away;
        let end = self.world.elapsed() + self.away;
        self.world.run_to(end);
    }

    /// The first daemon is up, whatever happened to it.
    fn begin(&mut self) {
        if !self.world.hosts[0].up {
            self.world.begin(0);
        }
    }

    fn journal_fault(&mut self) {
        let fault = match self.chance.below(3) {
            0 => journal::Fault::Full,
            1 => journal::Fault::Io { written: true },
            _ => journal::Fault::Io { written: false },
        };
        each_journal(&mut self.world, Some(fault));
    }

    /// A person or another tool makes or deletes something.
    fn person(&mut self) {
        let server = ServerId(1 + self.chance.below(SERVERS));
        let kind = if self.chance.one_in(4) { Kind::Backup } else { Kind::Snapshot };
        if self.chance.one_in(3) {
            let there: Vec<ItemId> = self.world.twin.account.items(kind).filter(|item| item.server == server).map(|item| item.id).collect();
            if let Some(id) = self.chance.one_of(&there).copied() {
                self.world.delete_by_hand(kind, id);
            }
            return;
        }
        let name = ["mine", "tool-1", "tool-keep-1", "pre-migration"][self.chance.below(4) as usize];
        let now = self.world.true_now();
        let progress = if self.chance.one_in(4) { Progress::InProgress } else { Progress::Completed };
        let fills = 1 + self.chance.below(3);
        for _ in 0..fills {
            if self.world.twin.account.used(kind, server) < 5 {
                let item = Item::completed(kind, server, now).named(name).progressed(progress.clone());
                self.world.add_item(item.described(if kind == Kind::Backup { name } else { "" }));
            }
        }
    }

    /// A server vanishes, is renamed, is restored, or is as it was.
    fn server(&mut self) {
        let id = 1 + self.chance.below(SERVERS);
        let mut server = Server::active(id, &format!("web-{id}"));
        match self.chance.below(4) {
            0 => {
                self.world.note(|| format!("server {id} vanishes"));
                drop(self.world.twin.account.remove_server(ServerId(id)));
                return;
            }
            1 => server.name = format!("web-{id}-new"),
            2 => server.status = "restoring".to_owned(),
            _ => {}
        }
        let now = self.world.true_now();
        self.world.note(|| format!("server {id} is {} and {}", server.name, server.status));
        self.world.twin.account.add_server(server, now);
    }

    fn clock(&mut self) {
        let most = [60, 3600, 24 * 3600][self.chance.below(3) as usize];
        let seconds = 1 + self.chance.below(most) as i64;
        let by = SignedDuration::from_secs(if self.chance.one_in(2) { seconds } else { -seconds });
        let place = self.chance.below(self.world.hosts.len() as u64) as usize;
        let off = self.world.hosts[place].wall_off();
        // At most a day off, and right again as often as not.
        let by = if off.is_zero() { by } else { -off };
        self.world.step_clock_of(place, by);
    }

    fn reload(&mut self) {
        let plans = plans::at(self.plan.place);
        if let Some(plan) = self.chance.one_of(&plans).copied() {
            self.plan = plan;
            self.reload_all();
        }
    }

    /// What is too much is to go within the calm.
    fn be_generous(&mut self) {
        if std::mem::take(&mut self.is_frugal) {
            self.reload_all();
        }
    }

    fn reload_all(&mut self) {
        let mut setup = self.plan.setup.clone();
        if self.is_frugal {
            setup.wanted.fuse.extra_per_day = 2;
        }
        for place in 0..self.world.hosts.len() {
            self.world.reload_with(place, setup.clone());
        }
    }

    fn second_daemon(&mut self) {
        if self.world.hosts.len() == 1 {
            self.world.add_host(Mode::Daemon).unwrap();
        } else if self.world.hosts[1].up {
            self.world.kill(1, true);
        } else {
            self.world.begin(1);
        }
    }

    fn mortal(&mut self) {
        let (writes, others) = (2 + self.chance.below(10), 30 + self.chance.below(300));
        self.world.note(|| format!("mortal: one in {writes} and {others}"));
        self.world.set_mortality(0, Some(Mortality { writes, others, down_max: MINUTE * 10 }));
    }

    /// Somebody asks for an item, or for a run.
    fn by_hand(&mut self) {
        self.requests += 1;
        let what = match self.chance.below(3) {
            0 => What::Run { due: self.chance.one_in(2) },
            _ => What::Take { label: None, keep_for: self.chance.one_in(2).then_some(HOUR), make_room: self.chance.one_in(2) },
        };
        let servers = vec![ServerPattern::Id(ServerId(1 + self.chance.below(SERVERS)))];
        let select = Select { servers, kinds: vec![Kind::Snapshot], ..Select::default() };
        self.world.note(|| format!("asked for: {what:?} {select:?}"));
        self.world.hand_to(0, Input::Request(Request { id: self.requests, select, what, by: None }));
    }

    /// An item comes to an end that nobody has planned.
    fn item_by_hand(&mut self) {
        let now = self.world.true_now();
        let open: Vec<ItemId> = unsettled(&self.world, Kind::Snapshot);
        if let Some(id) = self.chance.one_of(&open).copied() {
            let progress = if self.chance.one_in(2) { Progress::Failed } else { Progress::Completed };
            self.world.note(|| format!("snapshot {id} is {}", progress.as_str()));
            self.world.twin.account.end_by_hand(Kind::Snapshot, id, progress, now);
        }
    }
}

fn unsettled(world: &World, kind: Kind) -> Vec<ItemId> {
    let open = world.twin.account.items(kind).filter(|item| !matches!(item.progress, Progress::Completed | Progress::Failed));
    open.map(|item| item.id).collect()
}

/// Every journal fails like this, or none any more.
pub fn each_journal(world: &mut World, fault: Option<journal::Fault>) {
    world.note(|| format!("journal: {fault:?}"));
    for host in &world.hosts {
        host.journal.set_fault(fault);
    }
}

/// Every cause is gone: what is left is the program's to put in order. Takes an hour.
pub fn heal(world: &mut World, servers: u64) {
    world.note(|| "all is healed".to_owned());
    world.twin.heal();
    each_journal(world, None);
    world.set_mortality(0, None);
    for place in 1..world.hosts.len() {
        world.kill(place, true);
    }
    if !world.hosts[0].up {
        world.begin(0);
    }
    for place in 0..world.hosts.len() {
        let off = world.hosts[place].wall_off();
        if !off.is_zero() {
            world.step_clock_of(place, -off);
        }
    }
    let now = world.true_now();
    for id in 1..=servers {
        world.twin.account.add_server(Server::active(id, &format!("web-{id}")), now);
    }
    // What was sent before may still come late, and slow items come to their end.
    let late = world.elapsed() + HOUR;
    world.run_to(late);
    clear_up(world);
}

/// Nothing is left that only a person can put in order.
fn clear_up(world: &mut World) {
    let now = world.true_now();
    world.note(|| "a person clears up".to_owned());
    for kind in Kind::ALL {
        for id in unsettled(world, kind) {
            world.twin.account.end_by_hand(kind, id, Progress::Completed, now);
        }
        let others = world.twin.account.items(kind).filter(|item| !item.automatic && !calm::is_ours(item));
        for id in others.map(|item| item.id).collect::<Vec<_>>() {
            world.delete_by_hand(kind, id);
        }
    }
}
