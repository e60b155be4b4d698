//! What people ask for: `run` and `take`, as commands of their own or handed to the daemon.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::Now;
use crate::domain::fact::Target;
use crate::domain::gather::gather;
use crate::domain::globs::Globs;
use crate::domain::inventory::{ItemId, Kind, ServerId};
use crate::domain::mark::Origin;
use crate::domain::memory::TargetKey;
use crate::domain::policy::Selector;
use crate::domain::problem::{Problem, Reason, RunResult};
use crate::domain::record::{RunId, Trigger};
use crate::domain::run::{ByHand, Outcome, Run};
use crate::provider::ProviderError;

use super::account::Fatal;
use super::listings::Source;
use super::runs::{Cause, Errand};
use super::{Command, Controller, Mode};

/// So many failed calls in a row end a command that has sent nothing yet.
pub(super) const HOPELESS: u32 = 4;

/// Which targets are meant. An empty list does not restrict.
#[derive(Debug, Clone, Default)]
pub struct Select {
    /// Any of these servers.
    pub servers: Vec<ServerPattern>,
    /// Any of these policies.
    pub policies: Vec<String>,
    /// Any of these kinds.
    pub kinds: Vec<Kind>,
}

/// A server by number, or by name.
#[derive(Debug, Clone)]
pub enum ServerPattern {
    /// This number; a server may also be called so.
    Id(ServerId),
    /// A name or pattern.
    Name(Globs),
}

/// What is asked for.
#[derive(Debug, Clone)]
pub enum What {
    /// A run for each target. `due`: only where a slot is due.
    Run {
        /// Only due slots.
        due: bool,
    },
    /// Nothing but a look at the provider.
    Look,
    /// One item by hand.
    Take {
        /// What stands in the middle of its name; else the policy's name.
        label: Option<String>,
        /// It is held for so long.
        keep_for: Option<Duration>,
        /// At the cap, one item is given for it.
        make_room: bool,
    },
}

/// Something asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// The asker's number for it.
    pub id: u64,
    /// Of which targets.
    pub select: Select,
    /// What.
    pub what: What,
    /// The user who asks; none where that does not matter.
    pub by: Option<Box<str>>,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestReport {
    /// The asker's number.
    pub id: u64,
    /// When it was begun.
    pub started_at: Option<Timestamp>,
    /// For each target, in order.
    pub targets: Vec<TargetResult>,
    /// Why it ended early.
    pub fatal: Option<Fatal>,
}

/// What became of a request for one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetResult {
    /// Which.
    pub target: Target,
    /// How.
    pub result: RunResult,
    /// What was made.
    pub created: Vec<ItemId>,
    /// What was deleted.
    pub deleted: Vec<ItemId>,
    /// What stands.
    pub problems: Vec<Problem>,
    /// Why it is no success.
    pub error: Option<String>,
}

/// The requests that are not done with.
#[derive(Debug, Default)]
pub(super) struct Desk {
    arrived: VecDeque<Request>,
    open: BTreeMap<u64, Open>,
    /// What is still to be begun, or is on, for each server.
    queues: BTreeMap<ServerId, VecDeque<(u64, TargetKey)>>,
    /// The run that is on for the first of a server's queue; another one may be on there as well as that.
    serving: BTreeMap<ServerId, RunId>,
}

#[derive(Debug)]
struct Open {
    request: Request,
    /// Why nothing more will come of it.
    fatal: Option<Fatal>,
    started_at: Timestamp,
    pending: BTreeSet<TargetKey>,
    results: BTreeMap<TargetKey, TargetResult>,
}

impl Desk {
    /// Whether something was asked for that is not begun yet.
    pub fn has_arrivals(&self) -> bool {
        !self.arrived.is_empty()
    }

    /// All that is asked for.
    pub fn requests(&self) -> impl Iterator<Item = &Request> {
        self.open.values().map(|open| &open.request).chain(&self.arrived)
    }

    /// Whether a request is about a kind, which may have no policy.
    pub fn asks_for(&self, kind: Kind) -> bool {
        self.requests().any(|request| request.select.kinds.contains(&kind))
    }

    /// Whether something is asked for on a server.
    pub fn is_for(&self, server: ServerId) -> bool {
        self.queues.contains_key(&server)
    }

    /// A run is about to begin; it is for what is asked for first, if that is about the same target.
    pub fn note_run(&mut self, key: TargetKey, run: RunId) {
        if self.queues.get(&key.0).and_then(VecDeque::front).is_some_and(|(_, front)| *front == key) {
            self.serving.insert(key.0, run);
        }
    }

    fn is_empty(&self) -> bool {
        self.arrived.is_empty() && self.open.is_empty()
    }
}

impl Select {
    /// Whether anything is restricted.
    #[must_use]
    pub fn is_narrow(&self) -> bool {
        !(self.servers.is_empty() && self.policies.is_empty() && self.kinds.is_empty())
    }

    /// Whether a target is meant.
    #[must_use]
    pub fn admits(&self, target: &Target) -> bool {
        let server = |pattern: &ServerPattern| match pattern {
            ServerPattern::Id(id) => target.server == *id || *target.server_name == *id.to_string(),
            ServerPattern::Name(globs) => globs.is_match(&target.server_name),
        };
        (self.servers.is_empty() || self.servers.iter().any(server))
            && (self.policies.is_empty() || self.policies.iter().any(|policy| **policy == *target.policy))
            && (self.kinds.is_empty() || self.kinds.contains(&target.kind))
    }
}

impl Controller {
    /// Somebody asks for something. Where the provider refuses the token, or did not answer before, the daemon waits long between two tries.
    pub(super) fn requested(&mut self, now: Now, request: Request) {
        if let Some(why) = self.standby() {
            return self.finish(request.id, None, Vec::new(), Some(Fatal::Standby(why)));
        }
        self.desk.arrived.push_back(request);
        if self.mode == Mode::Daemon {
            match self.account.refusal().map(str::to_owned) {
                Some(why) => self.turn_away(now, &Fatal::Provider(why)),
                None => self.call_again(now),
            }
        }
    }

    /// Works out which targets the requests are for, once it is known which there are.
    pub(super) fn expand_requests(&mut self, now: Now) {
        let servers = &self.sources.servers;
        let servers_known = servers.settled || servers.failures >= HOPELESS;
        if self.desk.arrived.is_empty() || !servers_known || !self.has_seen_everything() {
            return;
        }
        while let Some(request) = self.desk.arrived.pop_front() {
            let keys = self.selected(&request.select);
            let id = request.id;
            if matches!(request.what, What::Look) && !(keys.is_empty() && request.select.is_narrow()) {
                self.finish(id, Some(now.wall), Vec::new(), None);
                continue;
            }
            if keys.is_empty() && !(self.sources.servers.settled && self.sources.servers.told) && !self.fleet.faults.is_empty() {
                // Whom a `match` means cannot be known; that is told as a fault.
                self.finish(id, Some(now.wall), Vec::new(), None);
                continue;
            }
            if let Some(why) = unanswerable(&request.what, keys.len()) {
                self.finish(id, Some(now.wall), Vec::new(), Some(Fatal::Selection(why)));
                continue;
            }
            for key in &keys {
                self.desk.queues.entry(key.0).or_default().push_back((id, *key));
            }
            let pending = gather(keys.iter().copied());
            self.desk.open.insert(id, Open { request, fatal: None, started_at: now.wall, pending, results: BTreeMap::new() });
            for key in keys {
                self.consider(now, key.0);
            }
        }
    }

    /// Whether each kind was listed at least once.
    pub(super) fn has_seen_everything(&self) -> bool {
        self.kinds().all(|kind| self.inventories.contains_key(&kind))
    }

    /// Begins what is asked for next on a server. Returns whether a run is on now.
    pub(super) fn serve_request(&mut self, now: Now, server: ServerId) -> bool {
        while let Some((id, key)) = self.desk.queues.get(&server).and_then(|queue| queue.front().copied()) {
            let Some((what, by)) = self.desk.open.get(&id).map(|open| (open.request.what.clone(), open.request.by.clone())) else {
                self.dequeue(server);
                continue;
            };
            match self.begin_request(now, key, &what, by) {
                Begun::Running => return true,
                Begun::NotNow => return false,
                Begun::Over(result) => self.close_target(id, key, result),
            }
        }
        false
    }

    fn begin_request(&mut self, now: Now, key: TargetKey, what: &What, by: Option<Box<str>>) -> Begun {
        if let Some(problem) = self.barrier(now, key) {
            return Begun::Over(Some(self.refused(key, problem)));
        }
        let errand = match (self.work(now, key), what) {
            (_, What::Look) | (None, What::Run { due: true }) => None,
            (Some(slot), What::Run { .. }) => self.errand_for(key, slot, Cause { trigger: Trigger::Command, by }),
            (None, What::Run { due: false }) => {
                let slot = self.free_moment(key, now.wall);
                let errand = self.errand_for(key, slot, Cause { trigger: Trigger::Command, by });
                errand.map(|errand| Errand { deadline: None, ..errand })
            }
            (_, What::Take { label, keep_for, make_room }) => self.targets.get(&key).map(|state| {
                let until = keep_for.and_then(|keep_for| whole_second(now.wall).checked_add(keep_for).ok()).map(whole_second);
                let mark = self.mark(Origin::Hand { at: whole_second(now.wall) }, until);
                let label = label.clone().unwrap_or_else(|| state.policy.policy.to_string());
                let by_hand = Some(ByHand { make_room: *make_room });
                let cause = Cause { trigger: Trigger::Hand, by };
                Errand { key, cause, mark, label, deadline: None, by_hand, passed_over: false }
            }),
        };
        let Some(errand) = errand else { return Begun::Over(None) };
        // Only where a run is begun: it may end before it is known that it was.
        self.desk.note_run(key, self.next_run);
        self.start(now, errand);
        if self.runs.contains(key.0) { Begun::Running } else { Begun::NotNow }
    }

    /// A moment that no item of ours stands for: a run that is asked for and not due is for the second in which it begins.
    fn free_moment(&self, key: TargetKey, now: Timestamp) -> Timestamp {
        let mut moment = whole_second(now);
        while self.is_done(key, moment) || self.memory.get(key).is_some_and(|memory| memory.slot(moment).creates > 0) {
            moment = moment.checked_add(Duration::from_secs(1)).unwrap_or(moment);
        }
        moment
    }

    /// Why nothing is begun for a target even where it is asked for.
    pub(super) fn barrier(&self, now: Now, key: TargetKey) -> Option<Problem> {
        let member = self.fleet.members.get(&key.0)?;
        if let Some(conflict) = &member.conflict {
            return Some(Problem { reason: Reason::MatchConflict, detail: conflict.clone() });
        }
        if self.is_restoring(now, key.0) {
            return Some(Problem { reason: Reason::Restoring, detail: "it is being restored".to_owned() });
        }
        self.paused(now, key).map(|paused| paused.problem())
    }

    fn refused(&self, key: TargetKey, problem: Problem) -> TargetResult {
        let result = match problem.reason {
            Reason::Paused => RunResult::Skipped,
            Reason::Restoring => RunResult::Blocked,
            _ => RunResult::Failure,
        };
        let error = Some(problem.detail.clone());
        TargetResult { target: self.target(key), result, created: Vec::new(), deleted: Vec::new(), problems: vec![problem], error }
    }

    /// A run has ended: whether that answers a request.
    pub(super) fn answer_request(&mut self, now: Now, key: TargetKey, run: &Run, outcome: &Outcome) {
        let begun_for_it = self.desk.serving.remove(&key.0) == Some(run.id);
        let Some((id, front)) = self.desk.queues.get(&key.0).and_then(|queue| queue.front().copied()) else { return };
        let mut result = self.result_of(now, key, run, outcome);
        let Some(open) = self.desk.open.get_mut(&id).filter(|_| front == key) else { return };
        // A run that was on already answers only the question whether what was due is done.
        let asks_for_due = matches!(open.request.what, What::Run { due: true });
        if !(begun_for_it || asks_for_due && run.trigger == Trigger::Schedule) {
            return;
        }
        // An interrupted run that was picked up goes before what is asked for, which may be done by it. A doubt that it leaves stands in the way of nothing
        // but deletes, and is told.
        if run.trigger == Trigger::Resumed && open.fatal.is_none() {
            open.results.insert(key, result);
            return;
        }
        if let Some(before) = open.results.remove(&key) {
            result.created.splice(0..0, before.created);
            result.deleted.splice(0..0, before.deleted);
        }
        self.close_target(id, key, Some(result));
    }

    /// What became of a run: what it met, and what stands besides.
    fn result_of(&self, now: Now, key: TargetKey, run: &Run, outcome: &Outcome) -> TargetResult {
        let mut problems = outcome.problems.clone();
        let standing = self.problems_of(now, key).into_iter();
        problems.extend(standing.filter(|problem| outcome.problems.iter().all(|met| met.reason != problem.reason)));
        TargetResult {
            // By now the listing may have told a name that nobody knew at the beginning.
            target: if run.target.server_name.is_empty() { self.target(key) } else { run.target.clone() },
            result: outcome.result,
            created: run.created.clone(),
            deleted: run.deleted.clone(),
            problems,
            error: outcome.error.clone(),
        }
    }

    fn dequeue(&mut self, server: ServerId) {
        if let Some(queue) = self.desk.queues.get_mut(&server) {
            queue.pop_front();
            if queue.is_empty() {
                self.desk.queues.remove(&server);
            }
        }
    }

    fn close_target(&mut self, id: u64, key: TargetKey, result: Option<TargetResult>) {
        self.dequeue(key.0);
        self.settle_target(id, key, result);
    }

    fn settle_target(&mut self, id: u64, key: TargetKey, result: Option<TargetResult>) {
        let Some(open) = self.desk.open.get_mut(&id) else { return };
        open.pending.remove(&key);
        // Of a target where nothing was begun there is nothing to report but why.
        let result = result.filter(|_| open.fatal.is_none());
        open.results.extend(result.map(|result| (key, result)));
        if open.pending.is_empty()
            && let Some(open) = self.desk.open.remove(&id)
        {
            let targets = open.results.into_values().collect();
            self.finish(id, Some(open.started_at), targets, open.fatal);
        }
    }

    /// A request is done with.
    fn finish(&mut self, id: u64, started_at: Option<Timestamp>, targets: Vec<TargetResult>, fatal: Option<Fatal>) {
        self.out.push(Command::Finished(RequestReport { id, started_at, targets, fatal }));
    }

    /// The targets that are meant, in their order.
    pub(super) fn selected(&self, select: &Select) -> Vec<TargetKey> {
        self.targets.keys().copied().filter(|key| select.admits(&self.target(*key))).collect()
    }

    /// Where listing fails again and again, waiting is no use for a command that is not in the middle of something, nor for a request of which
    /// it is not even known what it is about.
    pub(super) fn give_up_if_hopeless(&mut self, now: Now) {
        let busy = self.mode == Mode::Command && self.runs.values().any(|run| run.is_making() || run.is_in_flight());
        if self.desk.is_empty() || busy {
            return;
        }
        let Some(error) = self.hopeless() else { return };
        match (self.mode, error.is_provider_down()) {
            (Mode::Command, true) => self.abandon(Fatal::Provider(error.to_string())),
            (Mode::Command, false) => self.fail_all(&format!("failed to list: {error}")),
            (Mode::Daemon, true) => self.turn_away(now, &Fatal::Provider(error.to_string())),
            (Mode::Daemon, false) => self.fail_arrived(&format!("failed to list: {error}")),
        }
    }

    /// In the daemon: ends the requests of which nothing has been begun at the provider. The others go on when it answers again.
    pub(super) fn turn_away(&mut self, now: Now, fatal: &Fatal) {
        for request in std::mem::take(&mut self.desk.arrived) {
            self.finish(request.id, None, Vec::new(), Some(fatal.clone()));
        }
        let ids: Vec<u64> = self.desk.open.keys().copied().filter(|id| !self.is_under_way(*id)).collect();
        for id in ids {
            let Some(open) = self.desk.open.get_mut(&id) else { continue };
            open.fatal = Some(fatal.clone());
            let pending: Vec<TargetKey> = open.pending.iter().copied().collect();
            for key in pending {
                if self.is_served(id, key) {
                    self.drop_run(now, key, "the provider does not serve us, and nothing was begun");
                } else {
                    self.desk.queues.entry(key.0).or_default().retain(|entry| *entry != (id, key));
                    self.settle_target(id, key, None);
                }
            }
        }
        self.desk.queues.retain(|_, queue| !queue.is_empty());
    }

    /// Whether the run that is on for a target was begun for this request.
    fn is_served(&self, id: u64, key: TargetKey) -> bool {
        let first = self.desk.queues.get(&key.0).and_then(VecDeque::front) == Some(&(id, key));
        first && self.runs.get(key.0).is_some_and(|run| self.desk.serving.get(&key.0) == Some(&run.id))
    }

    fn is_under_way(&self, id: u64) -> bool {
        let Some(open) = self.desk.open.get(&id) else { return false };
        open.pending.iter().any(|key| self.is_served(id, *key) && self.runs.get(key.0).is_some_and(|run| !run.is_untouched()))
    }

    fn fail_arrived(&mut self, error: &str) {
        for request in std::mem::take(&mut self.desk.arrived) {
            let targets = self.selected(&request.select).into_iter().map(|key| self.unlisted(key, error)).collect();
            self.finish(request.id, None, targets, None);
        }
    }

    fn unlisted(&self, key: TargetKey, error: &str) -> TargetResult {
        TargetResult {
            target: self.target(key),
            result: RunResult::Failure,
            created: Vec::new(),
            deleted: Vec::new(),
            problems: vec![Problem { reason: Reason::ListingIncomplete, detail: error.to_owned() }],
            error: Some(error.to_owned()),
        }
    }

    /// Why it is no use to wait for the listings. Without the servers, those that are named by number can be served (issue 2.2).
    fn hopeless(&mut self) -> Option<ProviderError> {
        let by_name = self.setup.wanted.entries.iter().any(|entry| matches!(entry.selector, Selector::Match { .. }));
        let failing = |source: &Source| source.error.clone().filter(|_| source.failures >= HOPELESS);
        let items = self.kinds().find_map(|kind| failing(self.source(kind)));
        items.or_else(|| failing(&self.sources.servers).filter(|_| by_name))
    }

    /// Ends all requests for a reason that concerns them all.
    pub(super) fn abandon(&mut self, fatal: Fatal) {
        let arrived: Vec<u64> = self.desk.arrived.drain(..).map(|request| request.id).collect();
        for id in arrived {
            self.finish(id, None, Vec::new(), Some(fatal.clone()));
        }
        for (id, open) in std::mem::take(&mut self.desk.open) {
            let targets = open.results.into_values().collect();
            self.finish(id, Some(open.started_at), targets, Some(fatal.clone()));
        }
        self.desk.queues.clear();
        self.desk.serving.clear();
    }

    /// Ends all requests as failures of each of their targets.
    fn fail_all(&mut self, error: &str) {
        self.fail_arrived(error);
        for (id, mut open) in std::mem::take(&mut self.desk.open) {
            for key in &open.pending {
                open.results.insert(*key, self.unlisted(*key, error));
            }
            let targets = open.results.into_values().collect();
            self.finish(id, Some(open.started_at), targets, None);
        }
        self.desk.queues.clear();
    }
}

/// Why a request cannot be answered for so many targets.
fn unanswerable(what: &What, targets: usize) -> Option<String> {
    match (what, targets) {
        (_, 0) => Some("no server with a policy answers to that".to_owned()),
        (What::Take { .. }, 2..) => Some(format!("{targets} servers answer to that, and one item is made by hand at a time")),
        _ => None,
    }
}

/// What came of trying to begin.
enum Begun {
    /// A run is on.
    Running,
    /// Later.
    NotNow,
    /// There is nothing to run.
    Over(Option<TargetResult>),
}

fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}
