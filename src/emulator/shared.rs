//! What all connections of an emulator share.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::Method;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use super::api::{Access, Api, ListCache, Reply, Request};
use super::behaviour::Behaviour;
use super::book::FaultBook;
use super::ledger::{Answered, Ledger, RequestRecord};
use super::server::EmulatorConfig;
use super::state::Account;
use crate::clock::{Clock, SystemClock};

/// What all connections share.
pub(super) struct Shared {
    inner: Mutex<Inner>,
    changed: Arc<Notify>,
    pub latency: Duration,
}

/// What only one of them touches at a time.
pub(super) struct Inner {
    pub account: Account,
    pub ledger: Ledger,
    pub faults: FaultBook,
    pub access: Access,
    pub clock_ahead: SignedDuration,
    cache: ListCache,
    clock: SystemClock,
    page_size: Option<usize>,
}

impl Shared {
    pub fn new(config: EmulatorConfig, origin: String) -> Shared {
        let access = Access {
            token: config.token,
            refuses_token: false,
            servers: config.servers,
            email: config.email,
            permissions: config.permissions,
            origin,
        };
        let inner = Inner {
            account: config.account,
            ledger: Ledger::default(),
            faults: FaultBook::new(config.seed),
            access,
            clock_ahead: config.clock_ahead,
            cache: ListCache::default(),
            clock: SystemClock::new(),
            page_size: config.page_size,
        };
        Shared { inner: Mutex::new(inner), changed: Arc::new(Notify::new()), latency: config.latency }
    }

    /// A panic elsewhere leaves the state usable: each change is complete before anything can panic.
    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Resolves at the next change after this call.
    pub fn changed(&self) -> OwnedNotified {
        Arc::clone(&self.changed).notified_owned()
    }

    pub fn notify(&self) {
        self.changed.notify_waiters();
    }

    /// How long until something happens by itself; `None`: nothing is due.
    pub fn until_next_due(&self) -> Option<Duration> {
        let inner = self.lock();
        let wait = inner.account.next_due()?.duration_since(inner.now());
        Some(Duration::try_from(wait).unwrap_or(Duration::ZERO))
    }

    /// Notes the arrival of a request and decides what is done about it.
    pub fn begin(self: &Arc<Shared>, request: &Request) -> (Pending, Behaviour) {
        let mut inner = self.lock();
        let now = inner.advance();
        let server = request.server(&inner.account);
        let (fault, mut behaviour) = match inner.faults.pick(&request.method, &request.path, &request.query, server, now) {
            Some((fault, behaviour)) => (Some(fault), behaviour),
            None => (None, Behaviour::default()),
        };
        behaviour.lens.page_size = behaviour.lens.page_size.or(inner.page_size);
        let authorized = request.carries(&inner.access.token);
        let record = RequestRecord { server, authorized, fault, ..record(request, now) };
        let seq = inner.ledger.begin(record);
        drop(inner);
        self.notify();
        (Pending { shared: Arc::clone(self), seq, answered: Answered::Gone }, behaviour)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Inner {
    pub fn now(&self) -> Timestamp {
        let system = self.clock.now().wall;
        system.checked_add(self.clock_ahead).unwrap_or(system)
    }

    /// Lets everything happen that is due, and returns the time.
    pub fn advance(&mut self) -> Timestamp {
        let now = self.now();
        self.account.advance(now);
        self.record_effects(None);
        now
    }

    pub fn record_effects(&mut self, request: Option<u64>) {
        let effects = self.account.take_effects();
        self.ledger.record(effects, request);
    }

    fn perform(&mut self, seq: u64, request: &Request, behaviour: &Behaviour) -> Reply {
        let now = self.advance();
        let mut api = Api { account: &mut self.account, cache: &mut self.cache, access: &self.access, now };
        let reply = api.perform(request, behaviour);
        self.record_effects(Some(seq));
        reply
    }
}

/// A request whose answer is not yet in the ledger. It gets there when this is dropped: also when the client goes away.
pub(super) struct Pending {
    shared: Arc<Shared>,
    seq: u64,
    answered: Answered,
}

impl Pending {
    /// Does what was asked, and says what to answer.
    pub fn perform(&self, request: &Request, behaviour: &Behaviour) -> Reply {
        self.shared.lock().perform(self.seq, request, behaviour)
    }

    /// Notes how the request is answered.
    pub fn end(mut self, answered: Answered) {
        self.answered = answered;
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.shared.lock().ledger.end(self.seq, self.answered);
        self.shared.notify();
    }
}

/// What the request itself tells.
fn record(request: &Request, at: Timestamp) -> RequestRecord {
    RequestRecord {
        seq: 0,
        at,
        method: Method::clone(&request.method),
        path: request.path.clone(),
        query: request.query.clone(),
        kind: request.resource.and_then(super::paths::Resource::kind),
        server: None,
        order: request.order(),
        authorized: false,
        fault: None,
        answered: Answered::Pending,
        answered_seq: None,
    }
}
