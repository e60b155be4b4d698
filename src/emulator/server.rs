//! The emulated provider as an HTTP server on loopback, and the handle on it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::api::ServersAccess;
use super::exchange;
use super::faults::{Fault, FaultId};
use super::item::{Item, Progress, Server};
use super::ledger::Ledger;
use super::rules::Rules;
use super::shared::Shared;
use super::state::Account;
use crate::domain::inventory::{ItemId, Kind};
use crate::task::{self, boxed};

/// How an emulator starts.
#[derive(Debug, Clone)]
pub struct EmulatorConfig {
    /// The account it begins with.
    pub account: Account,
    /// The port on 127.0.0.1; 0: any free one.
    pub port: u16,
    /// The token that it accepts.
    pub token: String,
    /// The account's address in `GET /account/me/`.
    pub email: String,
    /// The token's permissions in `GET /account/me/`; they are shown, not enforced.
    pub permissions: Vec<String>,
    /// Whether `GET /servers/` is there.
    pub servers: ServersAccess,
    /// How long each answer takes at least.
    pub latency: Duration,
    /// How many entries a page of a list holds; `None`: lists have no pages, as documented.
    pub page_size: Option<usize>,
    /// How far the provider's clock is ahead of the system's.
    pub clock_ahead: SignedDuration,
    /// Seed of the faults that hit by chance.
    pub seed: u64,
}

impl Default for EmulatorConfig {
    /// An empty account under the documented rules, on any free port.
    fn default() -> EmulatorConfig {
        EmulatorConfig {
            account: Account::new(Rules::default()),
            port: 0,
            token: "vps_emulated0123456789".to_owned(),
            email: "ops@example.org".to_owned(),
            permissions: ["servers:read", "snapshots:read", "snapshots:write", "backups:read", "backups:write"].map(String::from).to_vec(),
            servers: ServersAccess::Allowed,
            latency: Duration::ZERO,
            page_size: None,
            clock_ahead: SignedDuration::ZERO,
            seed: 0,
        }
    }
}

impl EmulatorConfig {
    /// An empty account under these rules, on any free port.
    #[must_use]
    pub fn with_rules(rules: Rules) -> EmulatorConfig {
        EmulatorConfig { account: Account::new(rules), ..EmulatorConfig::default() }
    }
}

/// A running emulator. It stops when this is dropped.
#[derive(Debug)]
pub struct Emulator {
    shared: Arc<Shared>,
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Emulator {
    /// Starts to serve in a task of the current runtime.
    ///
    /// # Errors
    /// The port cannot be bound.
    pub async fn start(config: EmulatorConfig) -> io::Result<Emulator> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, config.port)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::new(config, format!("http://{address}")));
        let accepting = task::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Emulator { shared, address, accepting })
    }

    /// The base of the API, such as `http://127.0.0.1:4711/api/v1`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}{}", self.address, super::api::PREFIX)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The token that it accepts.
    #[must_use]
    pub fn token(&self) -> String {
        self.shared.lock().access.token.clone()
    }

    /// The time by its clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.shared.lock().now()
    }

    /// Puts a fault in force, behind those that are.
    pub fn fault(&self, fault: Fault) -> FaultId {
        self.shared.lock().faults.add(fault)
    }

    /// Lifts a fault.
    pub fn lift(&self, fault: FaultId) {
        self.shared.lock().faults.remove(fault);
    }

    /// Lifts all faults.
    pub fn lift_all(&self) {
        self.shared.lock().faults.clear();
    }

    /// How often a fault in force has hit.
    #[must_use]
    pub fn hits(&self, fault: FaultId) -> u64 {
        self.shared.lock().faults.hits(fault)
    }

    /// A copy of the ledger, with everything that is due by now.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        self.read_ledger(Ledger::clone)
    }

    /// Looks at the ledger in place. All requests wait meanwhile; the emulator must not be called from within.
    pub fn read_ledger<T>(&self, look: impl FnOnce(&Ledger) -> T) -> T {
        let mut inner = self.shared.lock();
        inner.advance();
        look(&inner.ledger)
    }

    /// Waits until the ledger is as wished. It looks again after each request, and when something is due by itself.
    pub async fn wait_for(&self, wished: impl Fn(&Ledger) -> bool) {
        loop {
            let changed = self.shared.changed();
            if self.read_ledger(&wished) {
                return;
            }
            match self.shared.until_next_due() {
                Some(wait) => drop(tokio::time::timeout(wait, changed).await),
                None => changed.await,
            }
        }
    }

    /// Looks at the account, or changes it by hand, at the present time. All requests wait meanwhile; the emulator must not be called from within.
    pub fn account<T>(&self, touch: impl FnOnce(&mut Account, Timestamp) -> T) -> T {
        let mut inner = self.shared.lock();
        let now = inner.advance();
        let result = touch(&mut inner.account, now);
        inner.record_effects(None);
        drop(inner);
        self.shared.notify();
        result
    }

    /// Adds an active server.
    pub fn add_server(&self, id: u64, name: &str) {
        self.account(|account, now| account.add_server(Server::active(id, name), now));
    }

    /// Adds an item, as a person or another tool would, past all rules.
    pub fn add_item(&self, item: Item) -> ItemId {
        self.account(|account, now| account.add_item(item, now))
    }

    /// Deletes an item, as a person or another tool would; `None`: there is no such item.
    pub fn delete_by_hand(&self, kind: Kind, id: ItemId) -> Option<Item> {
        self.account(|account, now| account.delete_by_hand(kind, id, now))
    }

    /// Changes how far an item has come; `false`: there is no such item.
    pub fn end_by_hand(&self, kind: Kind, id: ItemId, progress: Progress) -> bool {
        self.account(|account, now| account.end_by_hand(kind, id, progress, now))
    }

    /// The items there are, the lowest number first.
    #[must_use]
    pub fn items(&self, kind: Kind) -> Vec<Item> {
        self.account(|account, _| account.items(kind).cloned().collect())
    }

    /// Refuses the token from now on (`true`), or no longer.
    pub fn refuse_token(&self, refuse: bool) {
        self.shared.lock().access.refuses_token = refuse;
    }

    /// Accepts another token from now on, and the former one no longer.
    pub fn replace_token(&self, token: &str) {
        self.shared.lock().access.token = token.to_owned();
    }

    /// Switches `GET /servers/` on or off.
    pub fn set_servers_access(&self, access: ServersAccess) {
        self.shared.lock().access.servers = access;
    }

    /// Sets how far its clock is ahead of the system's.
    pub fn set_clock_ahead(&self, ahead: SignedDuration) {
        self.shared.lock().clock_ahead = ahead;
        self.shared.notify();
    }

    /// Stops at once: no new connections, and those that there are, are cut. The account can start another emulator, also on the same port.
    pub async fn shutdown(mut self) -> Account {
        self.accepting.abort();
        // It ends by being aborted; that is no failure.
        let _aborted = (&mut self.accepting).await;
        self.account(|account, _| account.clone())
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Accepts until it is aborted, which also ends every connection: their tasks end with the set.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(boxed(serve(stream, Arc::clone(&shared))));
                }
                // Out of descriptors, say: pause, rather than spin.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    // Without this, short answers on a kept connection would wait for the client's acknowledgement.
    let _unsupported = stream.set_nodelay(true);
    let service = service_fn(move |request| exchange::answer(Arc::clone(&shared), request));
    // An error here is a cut connection, whether by the client or by a fault; the ledger has it.
    let _cut = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}
