//! What a machine was told of the servers and of the time: the ground for what is done on a server, besides its items.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::controller::Input;
use crate::domain::inventory::{Server, ServerId, ServerListing};
use crate::provider::{ProviderError, Reply};

/// Servers that were told longer ago say nothing for a delete; the rest is for the intent's way to the disk.
const AGE_MAX: Duration = Duration::from_secs(61);
/// What was told of a restore so long ago says nothing any more.
const RESTORE_TAKES_MAX: Duration = Duration::from_secs(3600);
/// So many answers that say the same of the time are believed.
const ANSWERS: usize = 5;
/// Clocks that differ by more than an hour forbid deletes (F57); the rest is for an answer's way.
const SKEW_MAX_SECONDS: i64 = 3600 + 60;
/// The list of servers counts as not told once it has failed so often in a row, where it was told before.
const FAILURES: u32 = 3;

/// What the present process was told.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// By number; those that a list did not show because it was not whole are as they were before.
    servers: Arc<Vec<Server>>,
    /// When the newest list was asked for that came.
    asked: Option<Duration>,
    /// Those that it did not show, and when they were last asked for.
    unshown: BTreeMap<ServerId, Duration>,
    /// So many times in a row it was refused.
    failures: u32,
    /// Not every provider tells its servers.
    untold: bool,
    /// The provider's clock minus ours, of the last answers.
    skews: VecDeque<i64>,
}

impl Told {
    /// Something has come.
    pub fn hear(&mut self, input: &Input, begun: Duration, wall: Timestamp) {
        match input {
            Input::Listed(_, _, reply) => self.hear_date(reply, wall),
            Input::Created(_, reply) => self.hear_date(reply, wall),
            Input::Deleted(_, reply) => self.hear_date(reply, wall),
            Input::Account(reply) => self.hear_date(reply, wall),
            Input::Servers(_, reply) => {
                self.hear_date(reply, wall);
                match &reply.result {
                    Ok(listing) => self.hear_servers(listing, begun),
                    Err(error) => {
                        self.failures += 1;
                        let refused = matches!(error, ProviderError::NotFound | ProviderError::Forbidden | ProviderError::Rejected { .. });
                        self.untold |= refused && (self.asked.is_none() || self.failures >= FAILURES);
                    }
                }
            }
            _ => {}
        }
    }

    fn hear_date<T>(&mut self, reply: &Reply<T>, wall: Timestamp) {
        if let Some(date) = reply.date {
            self.skews.push_back(date.duration_since(wall).as_secs());
            if self.skews.len() > ANSWERS {
                self.skews.pop_front();
            }
        }
    }

    fn hear_servers(&mut self, listing: &ServerListing, begun: Duration) {
        (self.failures, self.untold) = (0, false);
        let before = (std::mem::replace(&mut self.servers, Arc::clone(&listing.servers)), self.asked.replace(begun));
        if listing.defects.is_empty() {
            self.unshown.clear();
            return;
        }
        if let (servers, Some(asked)) = before {
            let shown = |id: ServerId| listing.servers.iter().any(|server| server.id == id);
            let unshown: Vec<Server> = servers.iter().filter(|server| !shown(server.id)).cloned().collect();
            self.unshown = unshown.iter().map(|server| (server.id, self.unshown.get(&server.id).copied().unwrap_or(asked))).collect();
            let servers = Arc::make_mut(&mut self.servers);
            servers.extend(unshown);
            servers.sort_by_key(|server| server.id);
        }
    }

    /// A server.
    pub fn server(&self, id: ServerId) -> Option<&Server> {
        self.servers.binary_search_by_key(&id, |server| server.id).ok().map(|place| &self.servers[place])
    }

    fn asked(&self, server: ServerId) -> Option<Duration> {
        self.unshown.get(&server).copied().or(self.asked)
    }

    /// Whether the last that was told of the server is that it is being restored.
    pub fn is_being_restored(&self, server: ServerId, time: Duration) -> bool {
        self.server(server).is_some_and(Server::is_restoring) && self.asked(server).is_some_and(|asked| time < asked + RESTORE_TAKES_MAX)
    }

    /// Why nothing may be deleted there.
    pub fn doubt(&self, server: ServerId, time: Duration) -> Option<String> {
        if self.skews.len() == ANSWERS && self.skews.iter().all(|skew| skew.abs() > SKEW_MAX_SECONDS) {
            return Some(format!("the clocks differ by {:?} s", self.skews));
        }
        if self.is_being_restored(server, time) {
            return Some("the server is being restored".to_owned());
        }
        if self.untold {
            return None;
        }
        if self.asked(server).is_none() {
            return Some("the servers were never told".to_owned());
        }
        if self.server(server).is_none() {
            return Some("the provider does not know the server".to_owned());
        }
        self.is_old(server, time)
    }

    /// What was told of the server is no ground for a delete any more, where the servers are told.
    pub fn is_old(&self, server: ServerId, time: Duration) -> Option<String> {
        let age = time.saturating_sub(self.asked(server).filter(|_| !self.untold)?);
        (age > AGE_MAX).then(|| format!("the server was last told {} s ago", age.as_secs()))
    }
}
