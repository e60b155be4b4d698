//! Taking in what the provider shows: the state of each target, what vanished, what is to be told of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::{Mono, Now};
use crate::domain::assess::{Knowledge, Row, assess_belonging};
use crate::domain::fact::{Fact, Target};
use crate::domain::fleet::Member;
use crate::domain::gather::gather;
use crate::domain::inventory::{Defect, Item, ItemId, Kind, Listing, Server, ServerId, ServerListing, Status};
use crate::domain::memory::{TargetKey, TargetMemory, Undecided};
use crate::domain::policy::KindPolicy;
use crate::domain::problem::{Problem, Reason};
use crate::domain::record::{CreateEnd, OpId, Record};
use crate::domain::roster::Roster;
use crate::domain::run::Run;
use crate::domain::schedule::splay_offset;
use crate::domain::view::Inventory;
use crate::provider::{ProviderError, Reply};

use super::breach::Breach;
use super::summary::Summary;
use super::watching::{Known, Watching};
use super::{Controller, ServersSeen};

/// So many complete listings in a row end the doubt about what is shown (failure-modes, "freeze-D").
pub(super) const CLEAN_LISTINGS: u32 = 2;

/// So many times in a row the list of servers must be refused, after it was told once, until it counts as not told: one odd answer must not
/// take a fleet away.
const UNTOLD_AFTER: u32 = 3;

/// A restore is over by then (documented: 5 to 15 minutes).
const RESTORE_TAKES_MAX: Duration = Duration::from_secs(3600);

/// A server and kind that a policy is for.
#[derive(Debug)]
pub(super) struct TargetState {
    /// The policy.
    pub policy: Arc<KindPolicy>,
    /// The server's stable offset within the policy's splay.
    pub offset: Duration,
    /// Which timetable it follows.
    pub timetable: usize,
    /// What the newest listing shows; none before the first.
    pub summary: Option<Summary>,
    /// What was last told to be wrong.
    pub told: Vec<Problem>,
    /// The slot of the newest run that did not end well, how often, and from when on it may be tried again.
    pub retry: Option<Retry>,
    /// Unfinished items that a run has given up waiting for.
    pub given_up: BTreeSet<ItemId>,
    /// Why nothing may be deleted there, for a reason that outlasts a listing; found out before each step of a run.
    pub freeze: Option<Problem>,
    /// Items under our care, to see when one vanishes.
    pub(super) watching: Watching,
    /// Complete listings since the last one that was not complete for this server.
    clean: u32,
    /// On what the summary stands, where another listing that shows the same needs no second look.
    settled: Option<Settled>,
}

/// What must be as it was for a listing that shows the same to say nothing new: it was complete, showed everything that is watched, and of
/// each item of ours the mark. All else that a summary depends on sets the targets up anew when it changes.
#[derive(Debug)]
struct Settled {
    from: Timestamp,
    until: Option<Timestamp>,
    /// What the journal knew as made by us.
    made: Vec<ItemId>,
}

/// When a slot may be tried again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retry {
    pub slot: Timestamp,
    pub failures: u32,
    pub at: Mono,
}

impl Controller {
    /// Sets the targets up anew from the fleet; what is known of those that stay is kept.
    pub(super) fn rebuild_targets(&mut self, now: Now) {
        let mut old = std::mem::take(&mut self.targets).into_entries().peekable();
        let mut known = Vec::new();
        self.timetables.clear();
        let mut wanted = Vec::new();
        for (server, member) in self.fleet.members.iter() {
            for key in Kind::ALL.map(|kind| (*server, kind)) {
                let configured = member.assignment.get(key.1);
                wanted.extend(configured.cloned().or_else(|| self.guest_policy(key)).map(|policy| (key, policy, configured.is_some())));
            }
        }
        let keys: Vec<TargetKey> = wanted.iter().map(|(key, ..)| *key).collect();
        // Of each target something is remembered, be it nothing: nobody has to make sure of that again.
        self.memory.expect(&keys);
        let servers: Vec<ServerId> = self.fleet.members.keys().copied().collect();
        self.trails.add_all(&servers);
        self.runs.expect(&servers);
        let mut targets = Vec::with_capacity(wanted.len());
        for (key, policy, configured) in wanted {
            let offset = splay_offset(&policy.policy, key.0, policy.splay);
            let timetable = self.timetables.follow(&mut known, &policy.schedule, key, offset, now.wall);
            while old.next_if(|(before, _)| *before < key).is_some() {}
            let state = match old.next_if(|(before, _)| *before == key) {
                Some((_, state)) => TargetState { policy, offset, timetable, ..state },
                None => {
                    let breach = self.memory.get(key).and_then(Breach::remembered);
                    self.breaches.extend(breach.map(|breach| (key, breach)));
                    TargetState::new(policy, offset, timetable)
                }
            };
            targets.push((key, state));
            if configured && self.memory.get(key).is_none_or(|memory| memory.first_seen.is_none()) {
                self.append(Record::TargetSeen { server: key.0, kind: key.1, at: now.wall });
            }
        }
        // Its room is free for what is told of each from here on.
        drop(old);
        self.targets = Roster::of_sorted(targets);
        self.breaches.retain(|key, _| self.targets.contains_key(key));
        self.timetables.look_at_none();
        for key in keys {
            self.summarize(now, key, false);
            self.ready.insert(key.0);
            // Where a slot has passed and the offset has not, its timetable has told already, to those before.
            let state = self.targets.get(&key);
            let next = state.and_then(|state| self.timetables.next_due(state.timetable, state.offset, now.wall));
            if let Some(next) = next {
                self.timetables.look_at(next, key);
            }
        }
        self.wake_at_ends_of_pauses(now);
    }

    /// A list call has ended.
    pub(super) fn listed(&mut self, now: Now, kind: Kind, begun: Mono, reply: Reply<Listing>) {
        self.account.note(now, &reply);
        match reply.result {
            Ok(mut listing) => {
                let empty = listing.items.is_empty() && listing.opaque.is_empty() && self.knows_items(kind);
                self.source(kind).succeeded(begun);
                if self.source(kind).doubts_empty(begun, empty) {
                    listing.defects.push(Defect::Empty);
                }
                let first = self.inventories.get(&kind).is_some_and(|before| self.is_first_of_ours(begun, before.begun));
                if first {
                    // What was missing before is missing for a second time now.
                    self.forget_what_others_deleted(now, kind);
                }
                let before = self.inventories.insert(kind, Inventory::new(listing, begun));
                self.observe(now, kind, before);
                if first {
                    self.forget_what_others_deleted(now, kind);
                }
            }
            Err(error) => self.listing_failed(now, kind, error),
        }
    }

    /// Whether items of a kind were there that are not known to be gone.
    fn knows_items(&self, kind: Kind) -> bool {
        let seen = self.inventories.get(&kind).is_some_and(|inventory| !inventory.items().is_empty() || inventory.defect().is_some());
        seen || self.memory.knows_items(kind)
    }

    fn listing_failed(&mut self, now: Now, kind: Kind, error: ProviderError) {
        let (random, auth) = (self.random(now), error.is_auth());
        self.source(kind).failed(now.mono, random, error);
        if auth {
            return self.give_up_on_provider(now);
        }
        self.give_up_if_hopeless(now);
    }

    fn observe(&mut self, now: Now, kind: Kind, mut before: Option<Inventory>) {
        let waits = |run: &Run| run.target.kind == kind && run.want.listing.is_some();
        let waiting: Vec<_> = self.runs.iter().filter(|(_, run)| waits(run)).map(|(server, _)| server).collect();
        let keys: Vec<TargetKey> = self.targets.keys().copied().filter(|key| key.1 == kind).collect();
        for key in &keys {
            self.turn_to(*key);
            if let Some(before) = &mut before {
                before.turn_to(key.0);
            }
            if !before.as_ref().is_some_and(|before| self.says_nothing_new(now, *key, before)) {
                self.summarize(now, *key, true);
            }
            self.rehearse(now, *key);
            // Where a run waits for the listing, what is wrong is told once it has looked.
            if !self.runs.get(key.0).is_some_and(waits) {
                self.tell_problems(now, *key);
            }
        }
        for server in waiting {
            // A step tells what is wrong by itself.
            if self.waits_on(now, server) || !self.nudge(now, server) {
                self.tell_problems(now, (server, kind));
            }
        }
        for key in keys {
            if !self.runs.contains(key.0) {
                self.turn_to(key);
                self.consider(now, key.0);
            }
        }
    }

    /// The list of servers has come, or not.
    pub(super) fn servers_listed(&mut self, now: Now, begun: Mono, reply: Reply<ServerListing>) {
        self.account.note(now, &reply);
        let first = !self.sources.servers.settled;
        match reply.result {
            Ok(listing) => {
                let whole = listing.defects.is_empty();
                let (listing, unshown) = self.with_unshown(listing);
                self.sources.servers.succeeded(begun);
                let told_before = std::mem::replace(&mut self.sources.servers.told, true);
                let changed = first || !told_before || self.servers.as_ref().is_none_or(|seen| seen.listing != listing);
                let restoring = gather(listing.servers.iter().filter(|shown| shown.is_restoring()).map(|shown| shown.id));
                self.servers = Some(ServersSeen { begun, whole, listing, unshown, restoring });
                if changed {
                    self.resolve(now);
                }
            }
            // Missing, or not for this token: configured numbers go on working, `match` does not (issue 2.2).
            Err(ref error)
                if is_untold(error)
                    && (self.servers.is_none() || self.sources.servers.failures + 1 >= UNTOLD_AFTER || !self.sources.servers.told) =>
            {
                let changed = first || self.sources.servers.told;
                self.sources.servers.succeeded(begun);
                self.sources.servers.told = false;
                if changed {
                    self.resolve(now);
                }
            }
            Err(error) => {
                let (random, auth) = (self.random(now), error.is_auth());
                self.sources.servers.failed(now.mono, random, error);
                if auth {
                    return self.give_up_on_provider(now);
                }
                self.give_up_if_hopeless(now);
            }
        }
        let waiting: Vec<_> = self.runs.iter().filter(|(_, run)| run.want.servers.is_some()).map(|(server, _)| server).collect();
        for server in waiting {
            self.nudge(now, server);
        }
    }

    /// A list that is not whole takes no server away: what it does not show is as it was shown last, and then.
    fn with_unshown(&self, mut listing: ServerListing) -> (ServerListing, BTreeMap<ServerId, Mono>) {
        let Some(before) = self.servers.as_ref().filter(|_| !listing.defects.is_empty()) else { return (listing, BTreeMap::new()) };
        // One whose state cannot be read is not shown either.
        let shown: BTreeSet<ServerId> = gather(listing.servers.iter().filter(|server| !server.status.is_empty()).map(|server| server.id));
        let unshown: Vec<&Server> = before.listing.servers.iter().filter(|server| !shown.contains(&server.id)).collect();
        let times: BTreeMap<ServerId, Mono> = gather(unshown.iter().map(|server| (server.id, before.shown(server.id))));
        let servers = Arc::make_mut(&mut listing.servers);
        servers.retain(|server| !times.contains_key(&server.id));
        servers.extend(unshown.into_iter().cloned());
        servers.sort_by_key(|server| server.id);
        (listing, times)
    }

    /// Whether a server is being restored, as far as is known: by the newest list of servers, and for an hour after it where none comes any more.
    pub(super) fn is_restoring(&self, now: Now, server: ServerId) -> bool {
        self.restores(now, server, self.fleet.members.get(&server))
    }

    /// The same, of a server that is this member of the fleet.
    pub(super) fn restores(&self, now: Now, server: ServerId, member: Option<&Member>) -> bool {
        // What a list does not show that is not whole is believed no longer than where none comes any more.
        let is_recent = |seen: &ServersSeen| now.mono.since(seen.shown(server)) < RESTORE_TAKES_MAX;
        let told = member.is_some_and(|member| member.restoring) && self.servers.as_ref().is_none_or(|seen| seen.whole || is_recent(seen));
        let seen = self.servers.as_ref().filter(|seen| !self.sources.servers.told && now.mono.since(seen.begun) < RESTORE_TAKES_MAX);
        told || seen.is_some_and(|seen| seen.restoring.contains(&server))
    }

    /// Whether the newest listing shows of a target what the one before it showed, and nothing else could make more of it. It is counted then.
    fn says_nothing_new(&mut self, now: Now, key: TargetKey, before: &Inventory) -> bool {
        let (Some(inventory), Some(memory)) = (self.inventories.get(&key.1), self.memory.get(key)) else { return false };
        let Some(state) = self.targets.get_mut(&key) else { return false };
        let Some(settled) = &state.settled else { return false };
        let holds = settled.from <= now.wall && settled.until.is_none_or(|until| now.wall < until) && memory.made.keys().eq(&settled.made);
        let view = inventory.of(key.0);
        let has_ended = |item: &Item| matches!(item.status, Status::Completed | Status::Failed) && memory.unfinished.contains_key(&item.id);
        let same = holds && view.shows_the_same(&before.of(key.0)) && !view.items.iter().any(has_ended);
        if same {
            state.clean = state.clean.saturating_add(1);
        }
        same
    }

    /// Takes in what the newest listing shows of a target. `fresh`: it has just come.
    pub(super) fn summarize(&mut self, now: Now, key: TargetKey, fresh: bool) {
        let Some(inventory) = self.inventories.get(&key.1) else { return };
        let view = inventory.of(key.0);
        let Some(state) = self.targets.get_mut(&key) else { return };
        let Some(memory) = self.memory.get(key) else { return };
        let rows = {
            let protected = self.fleet.members.get(&key.0).map(|member| &member.protect_ids[..]).unwrap_or_default();
            let knowledge = Knowledge { made: &memory.made, protected, held: self.memory.standing.held(key.1) };
            assess_belonging(view.items, &self.setup.wanted, &state.policy, knowledge, now.wall)
        };
        let summary = Summary::of(&rows, &view, &state.policy, now.wall);
        let until = summary.holds_until;
        state.summary = Some(summary);
        state.settled = None;
        if !fresh {
            return;
        }
        let whole = view.defect().is_none();
        state.clean = if whole { state.clean.saturating_add(1) } else { 0 };
        let finished: Vec<(OpId, Status)> = finished(&rows, memory);
        let grace = self.setup.request_timeout.saturating_mul(2);
        let lost = if whole { state.watching.see(&rows, memory, view.begun(), grace) } else { Vec::new() };
        if whole && state.watching.all_there && finished.is_empty() && rows.iter().all(|row| !row.mark_lost) {
            state.settled = Some(Settled { from: now.wall, until, made: memory.made.keys().copied().collect() });
        }
        self.note_finished(now, key, finished);
        self.note_lost(now, key, lost);
    }

    /// Items that no run waits for any more, and that have come to an end after all.
    fn note_finished(&mut self, now: Now, key: TargetKey, finished: Vec<(OpId, Status)>) {
        let waited_for = self.runs.get(key.0).is_some_and(|run| run.target.kind == key.1);
        if waited_for {
            return;
        }
        for (op, status) in finished {
            self.append(match status {
                Status::Failed => Record::CreateEnded { op, how: CreateEnd::Failed, error: None, at: now.wall },
                _ => Record::CreateCompleted { op, at: now.wall },
            });
        }
    }

    fn note_lost(&mut self, now: Now, key: TargetKey, lost: Vec<(ItemId, Known)>) {
        for (item, known) in lost {
            let target = self.target(key);
            let name = match known {
                Known::Seen(name) => (*name).into(),
                Known::Made(origin) => self.mark(*origin, None).description(),
            };
            self.append(Record::ItemGone { server: key.0, kind: key.1, item, ours: false, at: now.wall });
            // Meanwhile another replica deletes what is to go.
            if self.is_in_charge() {
                self.tell(Fact::Lost { target, item, name });
            }
        }
    }

    /// An item was deleted by us: its vanishing is no loss.
    pub(super) fn unwatch(&mut self, key: TargetKey, item: ItemId) {
        if let Some(state) = self.targets.get_mut(&key) {
            state.watching.forget(item);
            state.settled = None;
        }
    }

    /// Why nothing may be deleted of a target, for a reason that outlasts its newest listing.
    pub(super) fn freeze_of(&self, now: Now, key: TargetKey) -> Option<Problem> {
        let freeze = self.account.freeze(now.wall).or_else(|| self.breach_on(key.0)).or_else(|| self.after_restore(now, key.0));
        let freeze = freeze.or_else(|| self.other_delete_undecided(key));
        if freeze.is_some() {
            return freeze;
        }
        let clean = self.targets.get(&key)?.clean;
        let detail = || format!("the last {clean} listings are complete; {CLEAN_LISTINGS} in a row are needed after one that was not");
        (clean < CLEAN_LISTINGS).then(|| Problem { reason: Reason::ListingIncomplete, detail: detail() })
    }

    /// An undecided delete of the other kind forbids deletes of this one, too (contract §3); of its own kind the run knows.
    fn other_delete_undecided(&self, key: TargetKey) -> Option<Problem> {
        let others = Kind::ALL.into_iter().filter(|kind| *kind != key.1).map(|kind| (key.0, kind));
        let mut configured = others.filter(|other| self.targets.contains_key(other)).filter_map(|other| self.memory.get(other));
        let is_delete = |undecided: &Undecided| matches!(undecided, Undecided::Delete(_));
        let found = configured.any(|memory| memory.undecided.values().any(is_delete));
        found.then(|| Problem { reason: Reason::DeleteUnknown, detail: "a delete of the other kind there is undecided".to_owned() })
    }

    /// Tells what has become wrong with a target, and what is over.
    pub(super) fn tell_problems(&mut self, now: Now, key: TargetKey) {
        if self.targets.get(&key).is_some_and(|state| state.told.is_empty() && self.is_well(now, key, state)) {
            // Whatever can be wrong with a target has to be asked for there, too.
            #[cfg(test)]
            assert_eq!(self.problems_of(now, key), Vec::new());
            return;
        }
        let current = self.problems_of(now, key);
        let Some(state) = self.targets.get_mut(&key) else { return };
        if state.told.iter().map(|problem| problem.reason).eq(current.iter().map(|problem| problem.reason)) {
            state.told = current;
            return;
        }
        let told = std::mem::replace(&mut state.told, current.clone());
        let target = self.target(key);
        for problem in current.iter().filter(|problem| told.iter().all(|known| known.reason != problem.reason)) {
            self.tell(Fact::ProblemRaised { target: target.clone(), problem: problem.clone() });
        }
        for problem in told.iter().filter(|problem| current.iter().all(|known| known.reason != problem.reason)) {
            self.tell(Fact::ProblemCleared { target: target.clone(), reason: problem.reason });
        }
    }

    /// The target as it is told.
    pub(super) fn target(&self, key: TargetKey) -> Target {
        Target {
            server: key.0,
            server_name: self.name_of(key),
            kind: key.1,
            policy: self.targets.get(&key).map_or_else(|| "".into(), |state| Arc::clone(&state.policy.policy)),
        }
    }

    fn name_of(&self, key: TargetKey) -> Arc<str> {
        let configured = self.fleet.members.get(&key.0).map(|member| Arc::clone(&member.name)).filter(|name| !name.is_empty());
        configured.or_else(|| self.listed_name(key).map(Into::into)).unwrap_or_else(|| "".into())
    }

    /// The server's name as the newest listing of this kind gives it.
    pub(super) fn listed_name(&self, key: TargetKey) -> Option<&str> {
        let inventory = self.inventories.get(&key.1)?;
        inventory.of(key.0).items.last().map(|item: &Item| &*item.server_name)
    }

    /// The provider's name of a server, where it is not the configured one.
    pub(super) fn other_name(&self, key: TargetKey) -> Option<&str> {
        let member = self.fleet.members.get(&key.0)?;
        let expected = member.expected_name.as_deref()?;
        let told = member.is_told.then_some(&*member.name);
        told.or_else(|| self.listed_name(key)).filter(|name| *name != expected)
    }
}

/// Whether the list of servers is missing at this provider, or is not for this token.
pub(super) fn is_untold(error: &ProviderError) -> bool {
    matches!(
        error,
        ProviderError::NotFound | ProviderError::Forbidden | ProviderError::Rejected { .. } | ProviderError::Server { status: 501, .. }
    )
}

/// Items that the journal knows as unfinished and that are not.
fn finished(rows: &[Row<'_>], memory: &TargetMemory) -> Vec<(OpId, Status)> {
    let ended = rows.iter().filter(|row| matches!(row.item.status, Status::Completed | Status::Failed));
    ended.filter_map(|row| Some((memory.unfinished.get(&row.item.id)?.op, row.item.status.clone()))).collect()
}

impl TargetState {
    fn new(policy: Arc<KindPolicy>, offset: Duration, timetable: usize) -> TargetState {
        TargetState {
            policy,
            offset,
            timetable,
            summary: None,
            told: Vec::new(),
            retry: None,
            given_up: BTreeSet::new(),
            freeze: None,
            watching: Watching::default(),
            clean: CLEAN_LISTINGS,
            settled: None,
        }
    }
}
