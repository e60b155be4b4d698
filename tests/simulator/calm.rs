//! What must be true some time after all was healed (L1 and L2 of failure-modes).

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use snapwarden::domain::inventory::{ItemId, Kind, ServerId};
use snapwarden::domain::mark::{Mark, Reading};
use snapwarden::domain::policy::AtCap;
use snapwarden::domain::problem::Reason;
use snapwarden::domain::record::Subject;
use snapwarden::emulator::{Item, Progress};
use snapwarden::journal::{CreateState, DeleteState, Recall};
use snapwarden::simulate::{Host, World};

use crate::plans::{PLACES, Plan};

/// How long an item takes, with a run's looks before and after.
const MAKING: Duration = Duration::from_secs(40 * 60);
/// A slot that is left out because the clocks are put forward by half an hour (Lord Howe) makes a pause longer by so much more than an hour's change does.
const HALF_CHANGE: Duration = Duration::from_secs(30 * 60);
/// Who the configurations that are played say we are.
const OWNER: &str = "prod";
/// What is too much goes at one a run.
const PERIODS_TO_SHRINK: u32 = 14;

/// Lets two periods pass and looks whether each server has what it should; then a few more, until nothing is too much and nothing is wrong.
/// Returns what is wrong.
pub fn comes(world: &mut World, plan: &Plan) -> Option<String> {
    let mut end = world.elapsed() + plan.period() * 2 + MAKING;
    // What was done while the clock was ahead is not done again before its time has really come.
    end += world.hosts.iter().map(Host::ahead_max).max().unwrap_or_default();
    world.run_to(end);
    let wrong = breach(world).or_else(|| stale(world, plan));
    if wrong.is_some() {
        return wrong;
    }
    let_end(world);
    let wrong = breach(world).or_else(|| undecided(world, plan));
    if wrong.is_some() {
        return wrong;
    }
    for _ in 0..PERIODS_TO_SHRINK {
        if untidy(world, plan).is_none() {
            break;
        }
        let end = world.elapsed() + plan.period() / 2;
        world.run_to(end);
        let_end(world);
    }
    breach(world).or_else(|| untidy(world, plan)).or_else(|| stale(world, plan))
}

/// Runs of the next slot may just be on.
fn let_end(world: &mut World) {
    for _ in 0..60 {
        if world.hosts[0].controller.is_busy() {
            let end = world.elapsed() + Duration::from_secs(60);
            world.run_to(end);
        }
    }
}

fn breach(world: &World) -> Option<String> {
    (!world.breaches.is_empty()).then(|| world.breaches.join("\n"))
}

fn targets<'a>(world: &'a World, plan: &'a Plan) -> impl Iterator<Item = (ServerId, Kind, Duration, usize)> + 'a {
    let servers = world.twin.account.servers().filter(|server| server.name.starts_with("web-"));
    servers
        .flat_map(|server| Kind::ALL.into_iter().filter_map(|kind| plan.wants(kind).map(|(period, keep)| (server.id, kind, period, keep))))
}

/// A server without a fresh restore point.
fn stale(world: &World, plan: &Plan) -> Option<String> {
    let splay = plan.setup.wanted.policies.iter().map(|policy| policy.splay).max().unwrap_or_default();
    let now = world.true_now();
    targets(world, plan).find_map(|(server, kind, period, _)| {
        if needs_a_person(world, plan, server, kind) {
            return None;
        }
        let change = if PLACES[plan.place].0 == "Australia/Lord_Howe" { HALF_CHANGE } else { Duration::ZERO };
        let oldest = now.checked_sub(period + change + splay + MAKING).unwrap();
        let newest = ours(world, server, kind).filter(|item| item.progress == Progress::Completed).map(|item| item.created_at).max();
        let fresh = newest.is_some_and(|newest| newest >= oldest);
        (!fresh).then(|| format!("L1: at {now} the newest {kind} of server {server} is of {newest:?}"))
    })
}

/// With `at_cap: refuse`, one item too many blocks every run until a person has removed one; so does one that failed, and that the configuration protects.
/// That is told (L2).
fn needs_a_person(world: &World, plan: &Plan, server: ServerId, kind: Kind) -> bool {
    let refuses = plan.setup.wanted.policies.iter().any(|policy| policy.kind == kind && policy.at_cap == AtCap::Refuse);
    let protected = protected(plan);
    let is_stuck = ours(world, server, kind).any(|item| item.progress == Progress::Failed && protected.contains(&item.id));
    let mut problems = world.hosts[0].controller.problems(world.now_at(0)).into_iter();
    let is_full = world.twin.account.used(kind, server) >= plan.setup.wanted.limits.of(kind) as usize;
    is_full && (refuses || is_stuck) && problems.any(|(key, problem)| key == (server, kind) && problem.reason == Reason::CapFull)
}

fn protected(plan: &Plan) -> Vec<ItemId> {
    plan.setup.wanted.entries.iter().flat_map(|entry| entry.protect_ids.iter().copied()).collect()
}

fn ours(world: &World, server: ServerId, kind: Kind) -> impl Iterator<Item = &Item> {
    let items = world.twin.account.items(kind).filter(move |item| item.server == server);
    items.filter(|item| is_ours(item))
}

/// Whether it carries the mark of the configurations that are played.
pub fn is_ours(item: &Item) -> bool {
    matches!(Mark::read(&item.description), Reading::Mark(mark) if *mark.owner == *OWNER)
}

/// Too many items, something undecided, or a problem that stands.
fn untidy(world: &World, plan: &Plan) -> Option<String> {
    let protected = protected(plan);
    for (server, kind, _, keep) in targets(world, plan) {
        let count = ours(world, server, kind).filter(|item| !protected.contains(&item.id)).count();
        if count > keep + 1 {
            return Some(format!("L1: {count} {kind}s on server {server}, where {keep} are kept"));
        }
    }
    let mut problems = world.hosts[0].controller.problems(world.now_at(0));
    problems.retain(|((server, kind), _)| !needs_a_person(world, plan, *server, *kind));
    let account = world.hosts[0].controller.account_problems(world.now_at(0));
    if !problems.is_empty() || !account.is_empty() {
        return Some(format!("L2: {problems:?} {account:?} stand"));
    }
    if world.hosts[0].controller.is_busy() {
        return None;
    }
    undecided(world, plan)
}

/// An operation that the journal knows as begun, and nobody cares for.
fn undecided(world: &World, plan: &Plan) -> Option<String> {
    let since = world.true_now().checked_sub(SignedDuration::from_hours(1)).unwrap_or(Timestamp::MIN);
    let past = world.hosts[0].journal.clone().load(since).unwrap();
    // What has left the configuration is left alone, in doubt or not.
    let configured = |subject: &Subject| plan.wants(subject.kind).is_some();
    let create = past.creates.iter().find(|row| row.state == CreateState::Intended && configured(&row.intent.subject));
    let delete = past.deletes.iter().find(|row| row.state == DeleteState::Intended && configured(&row.intent.subject));
    let create = create.map(|row| row.intent.description.to_string());
    let delete = delete.map(|row| format!("the delete of {}", row.intent.item));
    create.or(delete).map(|what| format!("L1: {what} is undecided"))
}
