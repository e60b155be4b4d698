//! The state of everything at one moment.

use std::cell::LazyCell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::Now;
use crate::domain::gather::gather;
use crate::domain::inventory::{Kind, ServerId};
use crate::domain::mark::item_name;
use crate::domain::memory::{TargetKey, TargetMemory, Undecided};
use crate::domain::plan::{Order, Plan};
use crate::domain::policy::KindPolicy;
use crate::domain::problem::{Problem, Reason};
use crate::domain::record::{OpId, Trigger};
use crate::domain::report::{PolicyReport, Report, TargetReport};
use crate::domain::run::{Run, Start};
use crate::domain::schedule::{ON_TIME, Timeliness, newest_due};

use super::Controller;
use super::observe::TargetState;
use super::scheduling::deadline;

/// A server that was once found by `match` and is no more is told for this long after its last run.
const MISSED_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// How things stand, for one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glance {
    /// Targets: a server and a kind that a policy is for.
    pub targets: usize,
    /// Runs that are on.
    pub running: usize,
    /// Targets with a problem.
    pub wrong: usize,
    /// The first of them, with its first problem.
    pub first_wrong: Option<(Arc<str>, Kind, Reason)>,
    /// The next scheduled time of all, before splay.
    pub next_slot: Option<Timestamp>,
}

impl Controller {
    /// The state of everything now.
    #[must_use]
    pub fn report(&self, now: Now) -> Report {
        let targets = self.targets.iter().filter(|(key, _)| !self.guests.contains(*key));
        let targets = targets.map(|(key, state)| self.report_target(now, *key, state));
        let mut targets: Vec<TargetReport> = targets.chain(self.lost_targets(now)).collect();
        targets.sort_unstable_by_key(|target| (target.server, target.kind));
        Report {
            at: now.wall,
            servers_configured: self.fleet.members.len(),
            targets,
            policies: self.report_policies(now),
            account: self.account_problems(now),
            limits: self.setup.wanted.limits,
            provider_up: self.account.is_up(),
            clock_skew_seconds: self.account.skew(),
            observed: self.sources.servers.settled && self.has_seen_what_is_configured(),
            leader: self.leader.clone(),
        }
    }

    /// What is in the way of the work as a whole; none: nothing.
    #[must_use]
    pub fn obstacle(&self) -> Option<String> {
        if let Some(refusal) = self.account.refusal() {
            return Some(refusal.to_owned());
        }
        if !(self.sources.servers.settled && self.has_seen_what_is_configured()) {
            return Some("waiting for the first listing".to_owned());
        }
        if let Some(journal) = &self.account.journal {
            return Some(format!("the journal cannot be written: {journal}"));
        }
        (!self.account.is_up()).then(|| "the provider does not answer".to_owned())
    }

    /// How things stand, in a few numbers.
    #[must_use]
    pub fn glance(&self) -> Glance {
        let mut wrong = self.targets.iter().filter_map(|(key, state)| Some((*key, state.told.first()?.reason)));
        let first = wrong.next();
        Glance {
            targets: self.targets.len(),
            running: self.runs.len(),
            wrong: usize::from(first.is_some()) + wrong.count(),
            first_wrong: first.map(|(key, reason)| (self.target(key).server_name, key.1, reason)),
            next_slot: self.timetables.next().filter(|_| self.is_in_charge()),
        }
    }

    fn report_target(&self, now: Now, key: TargetKey, state: &TargetState) -> TargetReport {
        let target = self.target(key);
        let memory = self.memory.get(key);
        let seen = state.summary.as_ref();
        let last_success_at = memory.and_then(|memory| memory.last_success).max(seen.and_then(|summary| summary.newest_ours));
        TargetReport {
            server: key.0,
            server_name: target.server_name,
            kind: key.1,
            policy: target.policy,
            seen: seen.map(|summary| summary.seen),
            items: seen.map(|summary| Arc::clone(&summary.items)).unwrap_or_default(),
            last_success_at,
            last_run_at: memory.and_then(|memory| memory.last_end),
            next_run_at: self.next_run_at(now, key, state),
            overdue_after: self.overdue_after(key, state, last_success_at),
            running: self.runs.get(key.0).is_some_and(|run| run.target.kind == key.1),
            problems: self.problems_of(now, key),
        }
    }

    /// The next slot plus the server's offset; after a pause, perhaps one that can still be made up for.
    fn next_run_at(&self, now: Now, key: TargetKey, state: &TargetState) -> Option<Timestamp> {
        let Some(until) = self.paused(now, key).map(|paused| paused.until) else {
            return self.timetables.next_due(state.timetable, state.offset, now.wall);
        };
        let schedule = &state.policy.schedule;
        let due = newest_due(schedule, state.offset, state.policy.catch_up, until);
        if due.is_some_and(|due| due.timeliness != Timeliness::TooLate && !self.is_done(key, due.slot)) {
            return Some(until);
        }
        schedule.next_after(until.checked_sub(state.offset).ok()?)?.time.checked_add(state.offset).ok()
    }

    /// When the next success is due: the first slot after the last one, as late as it may be begun, and as long as it may take.
    fn overdue_after(&self, key: TargetKey, state: &TargetState, last_success: Option<Timestamp>) -> Option<Timestamp> {
        let since = last_success.or_else(|| self.memory.get(key).and_then(|memory| memory.first_seen))?;
        let next = self.timetables.next_after(state.timetable, since)?;
        let lateness = state.offset + state.policy.catch_up.max(ON_TIME) + state.policy.stuck_after;
        next.checked_add(lateness).ok()
    }

    fn report_policies(&self, now: Now) -> Vec<PolicyReport> {
        let policies = &self.setup.wanted.policies;
        let longest = |policy: &Arc<KindPolicy>| policy.schedule.intervals(now.wall).map(|intervals| intervals.longest).unwrap_or_default();
        let intervals = self.intervals.get_or_init(|| policies.iter().map(longest).collect());
        let told = policies.iter().zip(intervals).map(|(policy, expected_interval)| PolicyReport {
            policy: Arc::clone(&policy.policy),
            kind: policy.kind,
            next_run_at: policy.schedule.next_after(now.wall).map(|fire| fire.time),
            expected_interval: *expected_interval,
        });
        told.collect()
    }

    /// Servers that a `match` once found and that are not there any more: their backups have stopped, perhaps without anybody's will.
    fn lost_targets(&self, now: Now) -> Vec<TargetReport> {
        let Some(servers) = self.servers.as_ref().filter(|seen| seen.whole && self.sources.servers.told) else { return Vec::new() };
        // Hardly ever is there anybody to look for.
        let there: LazyCell<BTreeSet<ServerId>, _> = LazyCell::new(|| gather(servers.listing.servers.iter().map(|server| server.id)));
        let gone = self.memory.targets().filter(|(key, memory)| {
            let recent = memory.last_end.is_some_and(|end| now.wall.duration_since(end).unsigned_abs() < MISSED_FOR);
            recent && !self.targets.contains_key(key) && !there.contains(&key.0)
        });
        gone.filter_map(|(key, memory)| {
            let entry = self.setup.wanted.entries.iter().find(|entry| entry.matches(&memory.last_name))?;
            let policy = entry.assignment.get(key.1)?;
            let detail =
                format!("`{}` was found by the entry at {}, and the provider does not know it any more", memory.last_name, entry.place);
            Some(TargetReport {
                server: key.0,
                server_name: (*memory.last_name).into(),
                kind: key.1,
                policy: Arc::clone(&policy.policy),
                seen: None,
                items: Arc::default(),
                last_success_at: memory.last_success,
                last_run_at: memory.last_end,
                next_run_at: None,
                overdue_after: None,
                running: false,
                problems: vec![Problem { reason: Reason::ServerMissing, detail }],
            })
        })
        .collect()
    }

    /// Whether nothing is wrong with a target: then [`Controller::problems_of`] has nothing to say.
    pub(super) fn is_well(&self, now: Now, key: TargetKey, state: &TargetState) -> bool {
        let Some(member) = self.fleet.members.get(&key.0) else { return false };
        let as_seen = state.summary.as_ref().is_some_and(|summary| summary.problems.is_empty());
        let as_met = self.memory.get(key).is_none_or(|memory| memory.problems.is_empty()) && self.left_undecided(key).next().is_none();
        let as_configured = !member.missing && member.conflict.is_none();
        let as_ordered = !self.is_paused(now, key, member) && self.after_restore(now, key.0).is_none();
        let as_guarded = self.breach_on(key.0).is_none() && self.brackets.failure_of(key).is_none();
        let as_told = !self.is_unshown(key.0)
            && (member.expected_name.is_none() || self.other_name(key).is_none())
            && !self.restores(now, key.0, Some(member));
        let run = self.runs.get(key.0).filter(|run| run.target.kind == key.1);
        as_seen && as_met && as_configured && as_ordered && as_told && as_guarded && run.is_none_or(|run| run.is_well())
    }

    /// What is wrong with a target now; each reason once, in the order of the closed list.
    pub(super) fn problems_of(&self, now: Now, key: TargetKey) -> Vec<Problem> {
        let mut problems: Vec<Problem> = Vec::new();
        if let Some(run) = self.runs.get(key.0).filter(|run| run.target.kind == key.1) {
            problems.extend(run.standing());
        }
        let shown = self.targets.get(&key).and_then(|state| state.summary.as_ref());
        problems.extend(shown.iter().flat_map(|summary| summary.problems.clone()));
        problems.extend(self.standing_server_problems(now, key));
        problems.extend(self.left_undecided(key));
        problems.extend(self.breach_on(key.0));
        problems.extend(self.brackets.failure_of(key));
        // What the last run met stands until the next one ends, but what can be seen is believed as it is seen.
        let remembered = self.memory.get(key).map(|memory| memory.problems.clone()).unwrap_or_default();
        problems.extend(remembered.into_iter().filter(|problem| !is_seen(problem.reason) || shown.is_none()));
        problems.sort_by_key(|problem| problem.reason);
        problems.dedup_by_key(|problem| problem.reason);
        problems
    }

    /// Whether the newest list of servers is not whole, and does not show this one.
    fn is_unshown(&self, server: ServerId) -> bool {
        let never = || self.fleet.members.get(&server).is_some_and(|member| !member.is_state_told && !member.missing);
        let partial = self.servers.as_ref().filter(|seen| self.sources.servers.told && !seen.whole);
        partial.is_some_and(|seen| seen.unshown.contains_key(&server) || never())
    }

    /// What is undecided, and no run looks after now. Of the other kind it is deletes, since nothing is deleted on the server meanwhile.
    fn left_undecided(&self, key: TargetKey) -> impl Iterator<Item = Problem> {
        let targets = Kind::ALL.into_iter().map(move |kind| (key.0, kind)).filter(|target| self.targets.contains_key(target));
        let undecided = targets.filter_map(|target| self.memory.get(target)).flat_map(|memory| &memory.undecided);
        // Of another replica's doings the journal does not tell how they ended.
        let nobody_cares = |op: OpId| self.is_in_charge() && self.ops.get(op).is_none();
        undecided.filter(move |(op, _)| nobody_cares(**op)).filter_map(move |(_, undecided)| match undecided {
            Undecided::Create(intent) => {
                let what = intent.name.as_deref().unwrap_or(&intent.description);
                let detail = format!("{} `{what}`: it is not known whether it was made", intent.subject.kind);
                (intent.subject.kind == key.1).then_some(Problem { reason: Reason::CreateUnknown, detail })
            }
            Undecided::Delete(intent) => {
                let detail = format!("{} {}: it is not known whether it is gone", intent.subject.kind, intent.item);
                Some(Problem { reason: Reason::DeleteUnknown, detail })
            }
        })
    }

    fn standing_server_problems(&self, now: Now, key: TargetKey) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut add = |reason, detail: String| problems.push(Problem { reason, detail });
        let Some(member) = self.fleet.members.get(&key.0) else { return problems };
        if let Some(name) = self.other_name(key) {
            add(Reason::NameMismatch, format!("the provider calls it `{name}`; nothing is deleted there"));
        }
        if self.is_unshown(key.0) {
            add(Reason::ListingIncomplete, "the list of servers is not complete and does not show it; nothing is deleted there".to_owned());
        }
        if self.is_restoring(now, key.0) {
            add(Reason::Restoring, "it is being restored; nothing is done there".to_owned());
        }
        problems.extend(member.left_alone());
        problems.extend(self.after_restore(now, key.0));
        problems.extend(self.paused(now, key).map(|paused| paused.problem()));
        problems
    }

    /// What is wrong with each target now.
    #[must_use]
    pub fn problems(&self, now: Now) -> Vec<(TargetKey, Problem)> {
        let of = |key: &TargetKey| self.problems_of(now, *key).into_iter().map(|problem| (*key, problem)).collect::<Vec<_>>();
        self.targets.keys().flat_map(of).collect()
    }

    /// What a run now would do for each target that is meant; nothing is changed. In the order of the targets.
    #[must_use]
    pub fn plans(&self, now: Now, select: &super::Select) -> Vec<TargetPlan> {
        self.selected(select).into_iter().filter_map(|key| self.plan_of(now, key)).collect()
    }

    fn plan_of(&self, now: Now, key: TargetKey) -> Option<TargetPlan> {
        let run = self.run_now(now, key)?;
        let nothing = TargetMemory::default();
        let mut context = self.context(now, key)?;
        let freeze = self.freeze_of(now, key);
        context.memory = self.memory.get(key).unwrap_or(&nothing);
        context.server.freeze = freeze.as_ref();
        let plan = run.preview(&context)?;
        Some(TargetPlan { target: self.target(key), plan, problems: self.problems_of(now, key) })
    }

    /// A run as it would be begun now: for the slot that is due, or by command. Nothing is begun.
    pub(super) fn run_now(&self, now: Now, key: TargetKey) -> Option<Run> {
        let state = self.targets.get(&key)?;
        let in_time = |slot: &Timestamp| deadline(&state.policy, *slot, state.offset).is_some_and(|deadline| now.wall <= deadline);
        let slot = self.timetables.due_slot(state.timetable, state.offset, now.wall).filter(in_time);
        let slot = slot.filter(|slot| !self.is_done(key, *slot));
        let slot = slot.unwrap_or(Timestamp::from_second(now.wall.as_second()).unwrap_or(now.wall));
        Some(self.run_for(now, key, state, slot))
    }

    /// A run for this slot, made by the same code as one that is begun.
    fn run_for(&self, now: Now, key: TargetKey, state: &TargetState, slot: Timestamp) -> Run {
        let mark = self.mark(Self::slot_origin(&state.policy, slot), None);
        let order = Order { name: item_name(key.1, &mark, "").map(Into::into), description: mark.description().into(), slot: Some(slot) };
        Run::new(Start {
            id: self.next_run,
            target: self.target(key),
            trigger: Trigger::Command,
            order,
            origin: mark.origin,
            generation: self.generation,
            started: now,
            deadline: None,
            by_hand: None,
            passed_over: false,
        })
    }
}

/// What a run now would do for one target.
#[derive(Debug, Clone)]
pub struct TargetPlan {
    /// Which.
    pub target: crate::domain::fact::Target,
    /// What.
    pub plan: Plan<'static>,
    /// What stands already.
    pub problems: Vec<Problem>,
}

/// Whether a problem shows in the listing itself, so that the listing has the last word on it.
fn is_seen(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::ListingIncomplete
            | Reason::MatchConflict
            | Reason::Stuck
            | Reason::UnknownStatus
            | Reason::MarkLost
            | Reason::NameMismatch
            | Reason::ServerMissing
            | Reason::Restoring
            | Reason::CreateUnknown
            | Reason::DeleteUnknown
            | Reason::Guard
    )
}
