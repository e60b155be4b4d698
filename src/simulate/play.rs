//! A policy played on simulated time: one daemon, one server, and a provider that does as it is documented.
//!
//! What is made, waited for and deleted comes from the production controller; this only watches what there is at the provider. Two things are left out:
//! the server's offset within `splay`, and hooks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::trouble::{Fault, On, Trouble};
use super::watch::slot_of;
use super::world::World;
use crate::controller::{Mode, Setup};
use crate::domain::fact::Fact;
use crate::domain::inventory::{ItemId, Kind, ServerId};
use crate::domain::policy::{Assignment, KindPolicy, Selector, ServerEntry};
use crate::domain::problem::RunResult;
use crate::domain::record::DeleteWhen;
use crate::emulator::{Account, Effect, Maker, Progress, Rules, Server};
use crate::journal::{HistoryFilter, JournalError, Recall};

/// The only server.
const SERVER: ServerId = ServerId(1);
/// Nothing is left to chance in a calm world; the seed only has to be some number.
const SEED: u64 = 1;
/// What happened is taken in once a simulated day, so that little of it is held at a time.
const DAY: Duration = Duration::from_secs(86_400);
/// In the long play nobody looks at the provider but runs. What looking in between costs is measured over [`WATCHED`].
const NEVER: Duration = Duration::from_secs(100 * 366 * 86_400);
/// The time over which the calls for looking in between are counted.
const WATCHED: Duration = Duration::from_secs(7 * 86_400);

/// What is played.
#[derive(Debug, Clone)]
pub struct Play {
    /// The configuration; its policies and servers are left out.
    pub setup: Setup,
    /// The policy: one of each kind at most.
    pub policies: Vec<KindPolicy>,
    /// When it begins, with a server that has nothing yet.
    pub from: Timestamp,
    /// When it ends.
    pub until: Timestamp,
    /// When nothing can be made.
    pub outage: Option<Outage>,
}

/// A time in which the server fails: the provider takes each create, and what is made ends as failed and fills a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// From then on.
    pub from: Timestamp,
    /// Creates from then on are well again.
    pub until: Timestamp,
}

impl Outage {
    /// Halfway through it.
    #[must_use]
    pub fn middle(self) -> Timestamp {
        let half = self.until.duration_since(self.from) / 2;
        self.from.checked_add(half).unwrap_or(self.until)
    }
}

/// The life of a restore point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// Its number.
    pub id: ItemId,
    /// The state of the server that it holds: when it was ordered.
    pub created_at: Timestamp,
    /// The slot it was made for.
    pub slot: Timestamp,
    /// From then on it can be restored.
    pub completed_at: Timestamp,
    /// When it was deleted; none if it is there at the end.
    pub deleted_at: Option<Timestamp>,
}

impl Life {
    /// Whether it could be restored right after `time`.
    #[must_use]
    pub fn is_there(&self, time: Timestamp) -> bool {
        self.completed_at <= time && self.deleted_at.is_none_or(|deleted| deleted > time)
    }
}

/// What became of one kind.
#[derive(Debug, Clone)]
pub struct PlayedKind {
    /// As it was played.
    pub policy: Arc<KindPolicy>,
    /// The provider's cap.
    pub cap: u32,
    /// The restore points, by the time of their completion.
    pub lives: Vec<Life>,
    /// Items that were ordered.
    pub creates: u64,
    /// Items that were deleted.
    pub deletes: u64,
    /// Items that failed.
    pub failed: u64,
    /// How often a create filled the last slot.
    pub cap_reached: u64,
    /// How often room was made for a create.
    pub room_made: u64,
    /// Runs that were blocked.
    pub blocked: u64,
    /// Slots that passed without a run.
    pub missed: u64,
}

/// What became of a policy.
#[derive(Debug, Clone)]
pub struct Played {
    /// When it began.
    pub from: Timestamp,
    /// When it ended.
    pub until: Timestamp,
    /// Its kinds.
    pub kinds: Vec<PlayedKind>,
    /// The calls in all that runs made.
    pub run_calls: u64,
}

/// Why nothing can be told.
#[derive(Debug, thiserror::Error)]
pub enum PlayError {
    /// The journal in memory failed.
    #[error("play the policy")]
    Journal(#[source] JournalError),
    /// The simulator found the program to do what it must not.
    #[error("play the policy: {0}")]
    Breach(String),
}

impl Play {
    /// Plays it.
    ///
    /// # Errors
    /// The simulator saw something that must never happen.
    pub fn run(&self) -> Result<Played, PlayError> {
        self.watch(NEVER, &mut |_, _| {})
    }

    /// How many calls a day it takes to keep an eye on the provider between runs, whatever the number of servers.
    ///
    /// # Errors
    /// As [`Play::run`].
    pub fn watching_calls_a_day(&self) -> Result<f64, PlayError> {
        let until = self.from.checked_add(WATCHED).unwrap_or(Timestamp::MAX);
        let week = Play { until, outage: None, ..self.clone() };
        let with = week.watch(self.setup.refresh_every, &mut |_, _| {})?.run_calls;
        let without = week.watch(NEVER, &mut |_, _| {})?.run_calls;
        Ok(with.saturating_sub(without) as f64 / (WATCHED.as_secs_f64() / DAY.as_secs_f64()))
    }

    /// `look` is shown the world and what was taken in of it, at the end of each day.
    fn watch(&self, refresh_every: Duration, look: &mut dyn FnMut(&World, &[Tally])) -> Result<Played, PlayError> {
        let setup = self.setup(refresh_every);
        let limits = setup.wanted.limits;
        let mut kinds: Vec<Tally> = setup.wanted.policies.iter().map(|policy| Tally::new(policy, limits.of(policy.kind))).collect();
        let mut world = World::new(setup, Mode::Daemon, self.account(), self.from, SEED).map_err(PlayError::Journal)?;
        let end = Duration::try_from(self.until.duration_since(self.from)).unwrap_or_default();
        let outage = self.outage.map(|outage| Duration::try_from(outage.from.duration_since(self.from)).unwrap_or_default());
        let mut has_failed = false;
        let mut time = Duration::ZERO;
        while time < end {
            let day = (time + DAY).min(end);
            time = outage.filter(|outage| !has_failed && *outage <= day).map_or(day, |outage| outage.max(time));
            world.run_to(time);
            if let Some(outage) = self.outage.filter(|_| !has_failed && Some(time) == outage) {
                has_failed = true;
                world.add_fault(Fault::new(On::Creates, Trouble::fails()).until(outage.until));
            }
            take_in(&mut world, &mut kinds)?;
            look(&world, &kinds);
        }
        let run_calls = world.hosts.iter().flat_map(|host| host.calls.values()).sum();
        count_room(&mut world, &mut kinds)?;
        let kinds = kinds.into_iter().map(|tally| tally.kind).collect();
        Ok(Played { from: self.from, until: self.until, kinds, run_calls })
    }

    fn setup(&self, refresh_every: Duration) -> Setup {
        let mut setup = Setup { refresh_every, account: None, ..self.setup.clone() };
        let policies: Vec<Arc<KindPolicy>> =
            self.policies.iter().map(|policy| Arc::new(KindPolicy { splay: Duration::ZERO, hooks: None, ..policy.clone() })).collect();
        let of = |kind: Kind| policies.iter().find(|policy| policy.kind == kind).cloned();
        setup.wanted.entries = vec![ServerEntry {
            selector: Selector::Id { id: SERVER, name: None },
            assignment: Assignment { snapshot: of(Kind::Snapshot), backup: of(Kind::Backup) },
            protect_ids: Vec::new(),
            paused_until: None,
            place: "simulated".to_owned(),
        }];
        setup.wanted.policies = policies;
        setup
    }

    fn account(&self) -> Account {
        let limits = self.setup.wanted.limits;
        let rules = Rules {
            snapshots_max: limits.snapshots as usize,
            manual_backups_max: limits.manual_backups as usize,
            scattered_ids: false,
            ..Rules::default()
        };
        let mut account = Account::new(rules);
        account.add_server(Server::active(SERVER.0, "server-01"), self.from);
        account
    }
}

/// What there is of a kind while time passes.
struct Tally {
    kind: PlayedKind,
    /// Where the life of an item that is there stands.
    places: BTreeMap<ItemId, usize>,
}

impl Tally {
    fn new(policy: &Arc<KindPolicy>, cap: u32) -> Tally {
        let kind = PlayedKind {
            policy: Arc::clone(policy),
            cap,
            lives: Vec::new(),
            creates: 0,
            deletes: 0,
            failed: 0,
            cap_reached: 0,
            room_made: 0,
            blocked: 0,
            missed: 0,
        };
        Tally { kind, places: BTreeMap::new() }
    }

    fn take(&mut self, at: Timestamp, effect: &Effect) {
        match effect {
            Effect::Created { used, .. } => {
                self.kind.creates += 1;
                self.kind.cap_reached += u64::from(*used >= self.kind.cap as usize);
            }
            Effect::Ended { item } if item.progress == Progress::Completed => {
                let slot = slot_of(item).unwrap_or(item.created_at);
                self.places.insert(item.id, self.kind.lives.len());
                self.kind.lives.push(Life { id: item.id, created_at: item.created_at, slot, completed_at: at, deleted_at: None });
            }
            Effect::Ended { .. } => self.kind.failed += 1,
            Effect::Deleted { item, by: Maker::Api } => {
                self.kind.deletes += 1;
                let life = self.places.remove(&item.id).and_then(|place| self.kind.lives.get_mut(place));
                life.into_iter().for_each(|life| life.deleted_at = Some(at));
            }
            _ => {}
        }
    }
}

fn kind_of(effect: &Effect) -> Option<Kind> {
    match effect {
        Effect::Created { item, .. } | Effect::Ended { item } | Effect::Deleted { item, .. } => Some(item.kind),
        _ => None,
    }
}

/// Takes in what has happened since the last call.
fn take_in(world: &mut World, kinds: &mut [Tally]) -> Result<(), PlayError> {
    if let Some(breach) = world.breaches.first() {
        return Err(PlayError::Breach(breach.clone()));
    }
    for (at, effect) in std::mem::take(&mut world.watch.effects) {
        let kind = kind_of(&effect);
        if let Some(tally) = kinds.iter_mut().find(|tally| Some(tally.kind.policy.kind) == kind) {
            tally.take(at, &effect);
        }
    }
    for (_, fact) in world.hosts.iter_mut().flat_map(|host| std::mem::take(&mut host.facts)) {
        let (target, blocked, missed) = match fact {
            Fact::RunEnded { target, result: RunResult::Blocked, .. } => (target, 1, 0),
            Fact::Missed { target, count, .. } => (target, 0, count),
            _ => continue,
        };
        if let Some(tally) = kinds.iter_mut().find(|tally| tally.kind.policy.kind == target.kind) {
            tally.kind.blocked += blocked;
            tally.kind.missed += missed;
        }
    }
    Ok(())
}

/// How often room was made stands in the journal.
fn count_room(world: &mut World, kinds: &mut [Tally]) -> Result<(), PlayError> {
    let Some(host) = world.hosts.first_mut() else { return Ok(()) };
    let rows = host.journal.history(&HistoryFilter::all(usize::MAX)).map_err(PlayError::Journal)?;
    for row in rows.deletes.iter().filter(|row| row.intent.when == DeleteWhen::BeforeCreate) {
        if let Some(tally) = kinds.iter_mut().find(|tally| tally.kind.policy.kind == row.intent.subject.kind) {
            tally.kind.room_made += 1;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
