//! What happened at the emulated provider, in order: every request with its answer, and every effect.

use std::collections::VecDeque;

use hyper::Method;
use jiff::Timestamp;

use super::effect::{Effect, Maker};
use super::faults::FaultId;
use super::item::{Item, Order, Refusal};
use super::paths;
use crate::domain::inventory::{Kind, ServerId};

/// How many requests, and how many effects, are kept. The oldest go first.
const KEPT_MAX: usize = 1_000_000;

/// How a request was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answered {
    /// Not yet.
    Pending,
    /// With this status. The body may still have been cut or slow.
    Status(u16),
    /// The connection was cut.
    Cut,
    /// Never: the client went away, or the emulator stopped, before an answer.
    Gone,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRecord {
    /// Its place in the order of requests, answers and effects.
    pub seq: u64,
    /// When it had arrived, by the emulator's clock.
    pub at: Timestamp,
    /// Its method.
    pub method: Method,
    /// Its path, without `/api/v1`.
    pub path: String,
    /// Its query; empty where there is none.
    pub query: String,
    /// The kind of item it is about.
    pub kind: Option<Kind>,
    /// The server it is about, as far as the path, the query, the body or the item tell.
    pub server: Option<ServerId>,
    /// What it orders, if it is a create that can be read.
    pub order: Option<Order>,
    /// Whether it came with the account's token.
    pub authorized: bool,
    /// The fault that was applied to it.
    pub fault: Option<FaultId>,
    /// How it was answered.
    pub answered: Answered,
    /// The place of its answer in the order; `None` while it is pending.
    pub answered_seq: Option<u64>,
}

impl RequestRecord {
    /// Whether it may change something: everything but GET.
    #[must_use]
    pub fn is_write(&self) -> bool {
        self.method != Method::GET
    }
}

/// One effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectRecord {
    /// Its place in the order of requests, answers and effects.
    pub seq: u64,
    /// When it happened, by the emulator's clock.
    pub at: Timestamp,
    /// The `seq` of the request that caused it at once; `None`: it was due by then, late, or done by hand.
    pub request: Option<u64>,
    /// What happened.
    pub effect: Effect,
}

/// The record of everything.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    next_seq: u64,
    requests: VecDeque<RequestRecord>,
    effects: VecDeque<EffectRecord>,
    dropped: u64,
}

impl Ledger {
    /// The items made through the API, oldest first, each as it was when it was made.
    #[must_use]
    pub fn creates(&self) -> Vec<&Item> {
        self.created(|by| by == Maker::Api)
    }

    /// The items deleted through the API, oldest first, each as it was when it was deleted.
    #[must_use]
    pub fn deletes(&self) -> Vec<&Item> {
        let deleted = self.effects.iter().filter_map(|record| match &record.effect {
            Effect::Deleted { item, by: Maker::Api } => Some(item),
            _ => None,
        });
        deleted.collect()
    }

    /// The items made by anyone whom `wanted` accepts, oldest first.
    #[must_use]
    pub fn created(&self, wanted: impl Fn(Maker) -> bool) -> Vec<&Item> {
        let created = self.effects.iter().filter_map(|record| match &record.effect {
            Effect::Created { item, by, .. } if wanted(*by) => Some(item),
            _ => None,
        });
        created.collect()
    }

    /// All effects, oldest first.
    pub fn effects(&self) -> impl Iterator<Item = &EffectRecord> {
        self.effects.iter()
    }

    /// All requests, in the order of their arrival.
    pub fn requests(&self) -> impl Iterator<Item = &RequestRecord> {
        self.requests.iter()
    }

    /// The requests with this method whose path fits `pattern` (see [`super::Fault::on`]).
    #[must_use]
    pub fn requests_by(&self, method: &Method, pattern: &str) -> Vec<&RequestRecord> {
        self.requests.iter().filter(|request| request.method == *method && paths::fits(pattern, &request.path)).collect()
    }

    /// The writes to one server, or to any.
    #[must_use]
    pub fn writes(&self, server: Option<ServerId>) -> Vec<&RequestRecord> {
        let of_server = |request: &&RequestRecord| server.is_none() || request.server == server;
        self.requests.iter().filter(|request| request.is_write()).filter(of_server).collect()
    }

    /// The refused creates and deletes.
    #[must_use]
    pub fn refusals(&self) -> Vec<(Option<ServerId>, &Refusal)> {
        let refused = self.effects.iter().filter_map(|record| match &record.effect {
            Effect::Refused { server, why, .. } => Some((*server, why)),
            _ => None,
        });
        refused.collect()
    }

    /// How often a create was refused because no slot was free.
    #[must_use]
    pub fn cap_refusals(&self) -> usize {
        self.refusals().iter().filter(|(_, why)| matches!(why, Refusal::CapReached { .. })).count()
    }

    /// The most slots of this kind that were ever filled on the server.
    #[must_use]
    pub fn most_used(&self, kind: Kind, server: ServerId) -> usize {
        let used = self.effects.iter().filter_map(|record| match &record.effect {
            Effect::Created { item, used, .. } if item.kind == kind && item.server == server => Some(*used),
            _ => None,
        });
        used.max().unwrap_or(0)
    }

    /// Pairs of writes to one server of which the later arrived before the earlier was answered.
    #[must_use]
    pub fn overlapping_writes(&self) -> Vec<(&RequestRecord, &RequestRecord)> {
        let writes: Vec<_> = self.requests.iter().filter(|request| request.is_write() && request.server.is_some()).collect();
        let mut pairs = Vec::new();
        for (place, earlier) in writes.iter().enumerate() {
            let end = earlier.answered_seq.unwrap_or(u64::MAX);
            let during = writes[place + 1..].iter().take_while(|later| later.seq < end);
            pairs.extend(during.filter(|later| later.server == earlier.server).map(|later| (*earlier, *later)));
        }
        pairs
    }

    /// The most requests that were ever pending at the same time.
    #[must_use]
    pub fn most_pending(&self) -> usize {
        let begun = self.requests.iter().map(|request| (request.seq, 1));
        let ended = self.requests.iter().filter_map(|request| Some((request.answered_seq?, -1)));
        let mut steps: Vec<(u64, isize)> = begun.chain(ended).collect();
        steps.sort_unstable();
        let pending = steps.iter().scan(0_isize, |pending, (_, step)| {
            *pending += step;
            Some(*pending)
        });
        pending.max().unwrap_or(0).unsigned_abs()
    }

    /// How many old records were dropped because there were too many.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(super) fn begin(&mut self, mut request: RequestRecord) -> u64 {
        request.seq = self.take_seq();
        if self.requests.len() == KEPT_MAX {
            self.requests.pop_front();
            self.dropped += 1;
        }
        let seq = request.seq;
        self.requests.push_back(request);
        seq
    }

    pub(super) fn end(&mut self, seq: u64, answered: Answered) {
        let end = self.take_seq();
        let Ok(place) = self.requests.binary_search_by_key(&seq, |request| request.seq) else { return };
        let request = &mut self.requests[place];
        (request.answered, request.answered_seq) = (answered, Some(end));
    }

    pub(super) fn record(&mut self, effects: Vec<(Timestamp, Effect)>, request: Option<u64>) {
        for (at, effect) in effects {
            let seq = self.take_seq();
            if self.effects.len() == KEPT_MAX {
                self.effects.pop_front();
                self.dropped += 1;
            }
            self.effects.push_back(EffectRecord { seq, at, request, effect });
        }
    }

    fn take_seq(&mut self) -> u64 {
        self.next_seq += 1;
        self.next_seq
    }
}
