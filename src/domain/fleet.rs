//! Which servers have which policies: the entries of the configuration, resolved against the servers that there are (contract §1).

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::gather::gather;

use super::inventory::{ItemId, Server, ServerId};
use super::policy::{Assignment, Selector, ServerEntry};
use super::problem::{Problem, Reason};
use super::roster::Roster;

/// The servers that have a policy.
#[derive(Debug, Clone, Default)]
pub struct Fleet {
    /// By number.
    pub members: Roster<ServerId, Member>,
    /// What is wrong with entries as a whole, each with its place: a `match` that finds too few, or cannot be resolved.
    pub faults: Vec<String>,
}

/// One server with a policy.
#[derive(Debug, Clone)]
pub struct Member {
    /// The provider's name for it, else the configured one; may be empty.
    pub name: Arc<str>,
    /// Whether that is the provider's name for it.
    pub is_told: bool,
    /// Whether the provider tells its state, too.
    pub is_state_told: bool,
    /// The configured name, where there is one.
    pub expected_name: Option<String>,
    /// The provider tells its servers, and this is not among them.
    pub missing: bool,
    /// It is being restored.
    pub restoring: bool,
    /// The places of the entries, where two of them name it: nothing is done there.
    pub conflict: Option<String>,
    /// Its policies.
    pub assignment: Assignment,
    /// Items that are never deleted.
    pub protect_ids: Vec<ItemId>,
    /// No runs before.
    pub paused_until: Option<Timestamp>,
}

/// Resolves the entries. `servers` is what the provider tells, if it does; without it, entries by number go on working.
#[must_use]
pub fn resolve(entries: &[ServerEntry], servers: Option<&[Server]>) -> Fleet {
    let by_id: BTreeMap<ServerId, &Server> = gather(servers.into_iter().flatten().map(|server| (server.id, server)));
    let mut fleet = Resolving::default();
    let mut claimed: BTreeMap<ServerId, &ServerEntry> = BTreeMap::new();
    for entry in entries {
        if let Selector::Id { id, name } = &entry.selector {
            claimed.insert(*id, entry);
            let server = by_id.get(id).copied();
            let missing = servers.is_some() && server.is_none();
            let known = server.map(|server| &*server.name).or(name.as_deref()).unwrap_or_default();
            fleet.add(*id, Member { expected_name: name.clone(), missing, ..member(entry, known, server) });
        }
    }
    for entry in entries {
        if let Selector::Match { .. } = &entry.selector {
            match servers {
                Some(servers) => fleet.add_matches(entry, servers, &mut claimed),
                None => fleet.faults.push(format!("{}: `match` cannot be resolved: the provider does not tell its servers", entry.place)),
            }
        }
    }
    Fleet { members: Roster::of_sorted(fleet.members.into_iter().collect()), faults: fleet.faults }
}

impl Member {
    /// Why nothing is done there, neither made nor deleted.
    #[must_use]
    pub fn left_alone(&self) -> Option<Problem> {
        left_alone(self.missing, self.conflict.as_deref())
    }
}

/// Why nothing is done on a server that the provider does not know, or about which entries disagree.
#[must_use]
pub fn left_alone(missing: bool, conflict: Option<&str>) -> Option<Problem> {
    if missing {
        return Some(Problem { reason: Reason::ServerMissing, detail: "the provider does not know the server".to_owned() });
    }
    conflict.map(|conflict| Problem { reason: Reason::MatchConflict, detail: conflict.to_owned() })
}

/// A fleet that is being resolved.
#[derive(Default)]
struct Resolving {
    members: BTreeMap<ServerId, Member>,
    faults: Vec<String>,
}

fn member(entry: &ServerEntry, name: &str, server: Option<&Server>) -> Member {
    Member {
        name: name.into(),
        is_told: server.is_some(),
        is_state_told: server.is_some_and(|server| !server.status.is_empty()),
        expected_name: None,
        missing: false,
        restoring: server.is_some_and(Server::is_restoring),
        conflict: None,
        assignment: entry.assignment.clone(),
        protect_ids: entry.protect_ids.clone(),
        paused_until: entry.paused_until,
    }
}

impl Resolving {
    fn add(&mut self, id: ServerId, member: Member) {
        if !member.assignment.is_none() {
            self.members.insert(id, member);
        }
    }

    fn add_matches<'a>(&mut self, entry: &'a ServerEntry, servers: &[Server], claimed: &mut BTreeMap<ServerId, &'a ServerEntry>) {
        let Selector::Match { patterns, exclude, at_least } = &entry.selector else { return };
        let mut found = 0;
        for server in servers.iter().filter(|server| patterns.is_match(&server.name) && !exclude.is_match(&server.name)) {
            match claimed.get(&server.id) {
                // A server named by an `id` entry belongs to it.
                Some(earlier) if matches!(earlier.selector, Selector::Id { .. }) => continue,
                Some(earlier) => self.conflict(server, earlier, entry),
                None => {
                    claimed.insert(server.id, entry);
                    self.add(server.id, member(entry, &server.name, Some(server)));
                }
            }
            found += 1;
        }
        if found < *at_least {
            self.faults.push(format!("{}: `match` finds {found} servers where `at_least` asks for {at_least}", entry.place));
        }
    }

    fn conflict(&mut self, server: &Server, earlier: &ServerEntry, entry: &ServerEntry) {
        if earlier.assignment.is_none() && entry.assignment.is_none() {
            return;
        }
        let assignment = if earlier.assignment.is_none() { &entry.assignment } else { &earlier.assignment };
        let fresh = Member { assignment: assignment.clone(), ..member(entry, &server.name, Some(server)) };
        let known = self.members.entry(server.id).or_insert(fresh);
        known.conflict = Some(format!("named by the entries at {} and {}", earlier.place, entry.place));
    }
}

#[cfg(test)]
mod tests;
