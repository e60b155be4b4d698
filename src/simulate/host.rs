//! One machine with one process of the program: its clocks, its journal, its controller.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::conduct::Conduct;
use super::hooks::HookWatch;
use crate::clock::{Mono, Now};
use crate::controller::{Controller, Input, Mode, OrderReport, RequestReport, SLEEP_MAX, Setup};
use crate::domain::fact::Fact;
use crate::journal::{Forgetting, JournalError, MemoryJournal, RECENT, Recall, Recollection};

/// What becomes of the request that is being sent when the process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sending {
    /// It is on its way already.
    Arrives,
    /// It never leaves.
    IsLost,
}

/// How often the process dies: one in so many commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mortality {
    /// Of the commands that write: creates, deletes and the intents before them.
    pub writes: u64,
    /// Of all others.
    pub others: u64,
    /// It begins again at the latest after this.
    pub down_max: Duration,
}

/// Something that has come and was not taken in yet.
#[derive(Debug)]
pub(super) struct Waiting {
    pub input: Input,
    /// Of the provider's answers: when the call was sent, and whether it shows something else than what there was.
    pub answer: Option<(Duration, bool)>,
}

/// One machine.
#[derive(Debug)]
pub struct Host {
    /// The program; of a process that is dead, as it was last.
    pub controller: Controller,
    /// The file system, so to say.
    pub journal: MemoryJournal,
    /// Whether the process lives.
    pub up: bool,
    /// It has stopped in good order.
    pub stopped: bool,
    /// What it told, where that is kept.
    pub facts: Vec<(Timestamp, Fact)>,
    /// The requests that it has done with.
    pub reports: Vec<RequestReport>,
    /// What became of orders.
    pub ordered: Vec<OrderReport>,
    /// How many calls of each sort it has made.
    pub calls: BTreeMap<&'static str, u64>,
    /// How many inputs it was given.
    pub turns: u64,
    /// How many commands it gave.
    pub commands: u64,
    /// The process dies after this many commands, and stays dead.
    pub dies_after: Option<(u64, Sending)>,
    /// The process dies now and then, and begins again.
    pub mortality: Option<Mortality>,
    /// Creates and deletes are not let out: another replica is in charge, or may be.
    pub barred: bool,
    /// What it did with hooks.
    pub hooks: HookWatch,
    pub(super) setup: Setup,
    pub(super) conduct: Conduct,
    /// Counts the processes, so that what one waits for does not reach the next.
    pub(super) process: u64,
    /// When it looks at the clock next, unless something comes before.
    pub(super) wake: Option<Duration>,
    pub(super) spin: u32,
    /// What has come while its loop was busy.
    pub(super) inbox: Vec<Waiting>,
    /// Its loop takes nothing in before.
    pub(super) busy_until: Duration,
    /// When the journal is to forget what is old.
    pub(super) forgetting: Forgetting,
    /// The journal was lost at some time.
    pub(super) forgetful: bool,
    mode: Mode,
    began: Duration,
    handled: Duration,
    wall_off: SignedDuration,
    /// The most that the wall clock was ahead before it was set.
    ahead_max: SignedDuration,
}

impl Host {
    pub(super) fn new(setup: Setup, mode: Mode, time: Duration, origin: Timestamp) -> Result<Host, JournalError> {
        let mut journal = MemoryJournal::new();
        let past = journal.load(origin)?;
        let now = Now { wall: origin.checked_add(time).unwrap_or(Timestamp::MAX), mono: Mono::default() };
        Ok(Host {
            controller: Controller::new(setup.clone(), mode, &past, now),
            journal,
            up: true,
            stopped: false,
            facts: Vec::new(),
            reports: Vec::new(),
            ordered: Vec::new(),
            calls: BTreeMap::new(),
            turns: 0,
            commands: 0,
            dies_after: None,
            mortality: None,
            barred: false,
            conduct: Conduct::default(),
            hooks: HookWatch::default(),
            setup,
            mode,
            process: 0,
            wake: Some(time),
            spin: 0,
            inbox: Vec::new(),
            busy_until: Duration::ZERO,
            forgetting: Forgetting::from(Mono::default()),
            forgetful: false,
            began: time,
            handled: time,
            wall_off: SignedDuration::ZERO,
            ahead_max: SignedDuration::ZERO,
        })
    }

    /// What is configured.
    #[must_use]
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    pub(super) fn now(&self, time: Duration, true_now: Timestamp) -> Now {
        let wall = if self.wall_off.is_zero() { true_now } else { true_now.checked_add(self.wall_off).unwrap_or(true_now) };
        Now { wall, mono: Mono(time.saturating_sub(self.began)) }
    }

    /// Decides when to look at the clock next. Idle looks in between, which change nothing, may be left out.
    pub(super) fn sleep(&mut self, time: Duration, now: Now, skips_idle_turns: bool) {
        self.handled = time;
        let idle = if skips_idle_turns { self.controller.next_in(now) } else { Some(self.controller.idle_for(now)) };
        self.wake = idle.map(|idle| time + idle);
    }

    /// The wall clock is set: noticed at the next look, which the real program takes at the latest after [`SLEEP_MAX`].
    pub(super) fn step_clock(&mut self, by: SignedDuration, time: Duration) {
        self.ahead_max = self.ahead_max.max(self.wall_off);
        self.wall_off += by;
        let looks = (time.saturating_sub(self.handled).as_secs() / SLEEP_MAX.as_secs()) as u32 + 1;
        let look = self.handled + SLEEP_MAX * looks;
        if self.up {
            self.wake = Some(self.wake.map_or(look, |wake| wake.min(look)));
        }
    }

    /// The most that the wall clock was ahead so far.
    #[must_use]
    pub fn ahead_max(&self) -> Duration {
        Duration::try_from(self.ahead_max.max(self.wall_off)).unwrap_or_default()
    }

    /// The latest time that the wall clock can have shown so far.
    pub(super) fn wall_max(&self, true_now: Timestamp) -> Timestamp {
        match self.ahead_max.max(self.wall_off) {
            SignedDuration::ZERO => true_now,
            ahead => true_now.checked_add(ahead).unwrap_or(true_now),
        }
    }

    /// What the wall clock is off.
    #[must_use]
    pub fn wall_off(&self) -> SignedDuration {
        self.wall_off
    }

    /// The process dies.
    pub(super) fn die(&mut self) {
        self.process += 1;
        self.up = false;
        self.wake = None;
        self.inbox.clear();
        self.busy_until = Duration::ZERO;
        self.conduct.process_died();
    }

    /// Another process begins.
    pub(super) fn begin(&mut self, time: Duration, true_now: Timestamp) -> Result<(), JournalError> {
        (self.up, self.stopped, self.began, self.wake) = (true, false, time, Some(time));
        self.forgetting = Forgetting::from(Mono::default());
        let now = self.now(time, true_now);
        let since = now.wall.checked_sub(RECENT).unwrap_or(Timestamp::MIN);
        let past: Recollection = self.journal.load(since)?;
        self.conduct.began(&past);
        self.hooks.process_began(&past, time);
        self.controller = Controller::new(self.setup.clone(), self.mode, &past, now);
        Ok(())
    }
}
