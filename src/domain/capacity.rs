//! Whether a fleet can be done in its time: what is due when, against how fast items may be ordered and made.
//!
//! Everything is taken as a fluid that flows in at each slot and drains at the rate that the configuration allows. That is kind: whoever is told to have too
//! little has too little.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use humantime::format_duration;
use jiff::Timestamp;

use super::inventory::Kind;
use super::policy::{Assignment, KindPolicy};
use super::schedule::ON_TIME;

/// How long the provider takes for an item at most, as it says of snapshots.
pub const ITEM_TAKES_MAX: Duration = Duration::from_secs(10 * 60);

/// So far ahead slots are looked at: everything weekly comes once.
const HORIZON: Duration = Duration::from_secs(8 * 24 * 3600);

/// So many slots of a schedule are looked at; more of them say no more.
const SLOTS_MAX: usize = 200;

/// What an item needs of the requests: a create, and a delete.
const REQUESTS_PER_ITEM: f64 = 2.0;

/// The share of the requests that is left for items however much is spent on looking.
const SHARE_MIN: f64 = 0.1;

/// What the configuration allows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Means {
    /// Items that are made at the same time.
    pub concurrent_creates: u32,
    /// Requests a second.
    pub requests_per_second: f64,
    /// The pause between two looks at each kind, while something is being made.
    pub poll_every: Duration,
}

/// A policy and how many servers have it.
#[derive(Debug, Clone, Copy)]
pub struct Demand<'a> {
    /// The policy.
    pub policy: &'a Arc<KindPolicy>,
    /// Its servers.
    pub servers: u64,
}

/// What servers with these policies ask for; each assignment comes with the number of servers that have it.
pub fn demands<'a>(assigned: impl IntoIterator<Item = (&'a Assignment, u64)>) -> Vec<Demand<'a>> {
    let mut places: BTreeMap<*const KindPolicy, usize> = BTreeMap::new();
    let mut demands: Vec<Demand<'a>> = Vec::new();
    for (assignment, servers) in assigned {
        for policy in Kind::ALL.into_iter().filter_map(|kind| assignment.get(kind)) {
            let place = *places.entry(Arc::as_ptr(policy)).or_insert(demands.len());
            if place == demands.len() {
                demands.push(Demand { policy, servers: 0 });
            }
            demands[place].servers += servers;
        }
    }
    demands
}

/// The slot that is served worst, if it is too late for its last server.
#[derive(Debug, Clone, PartialEq)]
pub struct Shortfall {
    /// The policy.
    pub policy: Arc<str>,
    /// Snapshots or backups.
    pub kind: Kind,
    /// The slot.
    pub slot: Timestamp,
    /// How many items are due then.
    pub due: u64,
    /// How many were due earlier and are not made by then.
    pub waiting: u64,
    /// How late the last of them may begin: the splay, and how late a run may be made up for.
    pub allowed: (Duration, Duration),
    /// How late it begins.
    pub begins_after: Duration,
    /// What is too little.
    pub bottleneck: Bottleneck,
}

/// What is too little, and how much of it would do; none: no value that can be configured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bottleneck {
    /// `concurrent_creates`.
    Creates(u32, Option<u32>),
    /// `requests_per_second`.
    Requests(f64, Option<f64>),
}

/// The most that can be configured of either.
const CREATES_MAX: u32 = 1000;
const REQUESTS_MAX: f64 = 1000.0;

/// Looks for the slot that is served worst within the days after `from`.
#[must_use]
pub fn shortfall(demands: &[Demand<'_>], means: &Means, from: Timestamp) -> Option<Shortfall> {
    let slots = slots(demands, from);
    let by_creates = worst(demands, &slots, creates(means.concurrent_creates));
    let by_requests = worst(demands, &slots, requests(means, means.requests_per_second));
    let is_by_creates = excess(&by_creates) >= excess(&by_requests);
    let found = if is_by_creates { by_creates } else { by_requests }?;
    let bottleneck = if is_by_creates {
        let would_do = |count: u32| worst(demands, &slots, creates(count)).is_none();
        Bottleneck::Creates(means.concurrent_creates, least(means.concurrent_creates, CREATES_MAX, would_do))
    } else {
        // In tenths: a rate is written with few digits.
        let tenths = |rate: f64| (rate * 10.0).ceil() as u32;
        let would_do = |rate: u32| worst(demands, &slots, requests(means, f64::from(rate) / 10.0)).is_none();
        let enough = least(tenths(means.requests_per_second), tenths(REQUESTS_MAX), would_do);
        Bottleneck::Requests(means.requests_per_second, enough.map(|rate| f64::from(rate) / 10.0))
    };
    let demand = &demands[found.demand];
    Some(Shortfall {
        policy: Arc::clone(&demand.policy.policy),
        kind: demand.policy.kind,
        slot: found.slot,
        due: demand.servers,
        waiting: found.waiting.round() as u64,
        allowed: allowed(demand.policy),
        begins_after: Duration::from_secs_f64(found.begins_after),
        bottleneck,
    })
}

/// Splay, and how late a run may still be made up for.
fn allowed(policy: &KindPolicy) -> (Duration, Duration) {
    (policy.splay, policy.catch_up.max(ON_TIME))
}

/// The slots of all policies in order of time, each with the place of its demand.
fn slots(demands: &[Demand<'_>], from: Timestamp) -> Vec<(Timestamp, usize)> {
    let until = from.checked_add(HORIZON).unwrap_or(Timestamp::MAX);
    let mut known: BTreeMap<*const (), Vec<Timestamp>> = BTreeMap::new();
    let mut slots = Vec::new();
    for (place, demand) in demands.iter().enumerate().filter(|(_, demand)| demand.servers > 0) {
        let schedule = &demand.policy.schedule;
        let times = known.entry(Arc::as_ptr(schedule).cast()).or_insert_with(|| {
            let next = |time: &Timestamp| schedule.next_after(*time).map(|fire| fire.time).filter(|time| *time <= until);
            std::iter::successors(next(&from), next).take(SLOTS_MAX).collect()
        });
        slots.extend(times.iter().map(|time| (*time, place)));
    }
    slots.sort_unstable();
    slots
}

/// How fast items drain, and how many begin at once.
#[derive(Debug, Clone, Copy)]
struct Drain {
    per_second: f64,
    at_once: f64,
}

fn creates(count: u32) -> Drain {
    Drain { per_second: f64::from(count) / ITEM_TAKES_MAX.as_secs_f64(), at_once: f64::from(count) }
}

fn requests(means: &Means, rate: f64) -> Drain {
    let looks = Kind::ALL.len() as f64 / means.poll_every.as_secs_f64();
    Drain { per_second: (rate - looks).max(rate * SHARE_MIN) / REQUESTS_PER_ITEM, at_once: 1.0 }
}

/// The slot whose last item begins latest beyond what is allowed.
#[derive(Debug, Clone, Copy)]
struct Late {
    demand: usize,
    slot: Timestamp,
    waiting: f64,
    begins_after: f64,
    excess: f64,
}

fn excess(late: &Option<Late>) -> f64 {
    late.map_or(0.0, |late| late.excess)
}

fn worst(demands: &[Demand<'_>], slots: &[(Timestamp, usize)], drain: Drain) -> Option<Late> {
    let (mut waiting, mut at) = (0.0_f64, Timestamp::MIN);
    let mut worst: Option<Late> = None;
    for (slot, place) in slots {
        let passed = slot.duration_since(at).as_secs_f64();
        waiting = (waiting - passed * drain.per_second).max(0.0);
        at = *slot;
        let demand = &demands[*place];
        let all = waiting + demand.servers as f64;
        let begins_after = (all - drain.at_once).max(0.0) / drain.per_second;
        let (splay, catch_up) = allowed(demand.policy);
        let late = Late { demand: *place, slot: *slot, waiting, begins_after, excess: begins_after - (splay + catch_up).as_secs_f64() };
        if late.excess > excess(&worst) {
            worst = Some(late);
        }
        waiting = all;
    }
    worst
}

/// The least number above `too_little`, up to `most`, that will do.
fn least(too_little: u32, most: u32, will_do: impl Fn(u32) -> bool) -> Option<u32> {
    let (mut low, mut high) = (too_little, most);
    if low >= high || !will_do(high) {
        return None;
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if will_do(middle) { high = middle } else { low = middle }
    }
    Some(high)
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shortfall { policy, kind, slot, due, waiting, allowed: (splay, catch_up), begins_after, bottleneck } = self;
        write!(f, "the fleet cannot be done in its time: {due} {kind}s of policy `{policy}` are due at {slot}")?;
        if *waiting > 0 {
            write!(f, ", when {waiting} from before still wait or are being made")?;
        }
        f.write_str("; ")?;
        match bottleneck {
            Bottleneck::Creates(count, _) => write!(f, "with {count} at a time, each taking up to {}", format_duration(ITEM_TAKES_MAX))?,
            Bottleneck::Requests(rate, _) => write!(f, "with {rate} requests a second, less those that look, and two for each")?,
        }
        let minutes = |duration: &Duration| format_duration(Duration::from_secs(duration.as_secs().div_ceil(60) * 60)).to_string();
        write!(
            f,
            ", the last begins {} later, and may {} later (`splay` and `catch_up`)",
            minutes(begins_after),
            minutes(&(*splay + *catch_up))
        )?;
        match bottleneck {
            Bottleneck::Creates(_, Some(enough)) => write!(f, ": `concurrent_creates: {enough}` would do"),
            Bottleneck::Requests(_, Some(enough)) => write!(f, ": `requests_per_second: {enough}` would do"),
            Bottleneck::Creates(_, None) | Bottleneck::Requests(_, None) => f.write_str(": spread it over more time"),
        }
    }
}

#[cfg(test)]
mod tests;
