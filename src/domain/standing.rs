//! What people order to stand for a while: runs are paused, an item is held, nothing is deleted on a server after a restore. Each ends by itself
//! at its time, by the wall clock; a clock that was set back makes it later, never earlier. Where several are about the same thing, the last to
//! end counts.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::globs::Globs;
use super::inventory::{ItemId, Kind, ServerId};
use super::record::OpId;

/// How long the source of a restore is held, and nothing is deleted on its server (contract §4).
pub const AFTER_RESTORE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// So many orders of a sort are remembered, those that end last; whoever gives more has a script that runs wild.
const REMEMBERED_MAX: usize = 10_000;

/// An order that stands until its time, as the journal keeps it. It is never changed: what ends it early is an order, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingOrder {
    /// Its number: of the same sort as those of creates and deletes.
    pub op: OpId,
    /// What is ordered.
    pub what: Standing,
    /// When it is over by itself; of one that ends others, when those would have been.
    pub until: Timestamp,
    /// Why, in the words of who ordered it; may be empty.
    pub reason: Box<str>,
    /// Who ordered it, as far as the system could tell; for people only.
    pub by: Box<str>,
    /// When.
    pub at: Timestamp,
}

/// What is ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// No runs are begun for these targets.
    Pause(Selection),
    /// Runs are begun again for these targets, whatever pause was ordered before.
    Resume(Selection),
    /// The item is not deleted.
    Hold(HeldItem),
    /// The item may be deleted again, whatever hold was ordered before.
    Release(HeldItem),
    /// Nothing is deleted on the server: it has been restored.
    NoDeletes {
        /// The server.
        server: ServerId,
        /// Its name then.
        server_name: Box<str>,
    },
    /// Items may be deleted there again.
    Deletes {
        /// The server.
        server: ServerId,
    },
}

impl Standing {
    /// The word for it.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Standing::Pause(_) => "pause",
            Standing::Resume(_) => "resume",
            Standing::Hold(_) => "hold",
            Standing::Release(_) => "release",
            Standing::NoDeletes { .. } => "no_deletes",
            Standing::Deletes { .. } => "deletes",
        }
    }
}

/// Targets, as they were named. An empty list does not restrict, so that a server that comes later is meant, too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Any of these servers: numbers, names or patterns.
    pub servers: Vec<Box<str>>,
    /// Any of these policies.
    pub policies: Vec<Box<str>>,
    /// Any of these kinds.
    pub kinds: Vec<Kind>,
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let servers = self.servers.iter().map(|server| format!("--server {server}"));
        let policies = self.policies.iter().map(|policy| format!("--policy {policy}"));
        let kinds = self.kinds.iter().map(|kind| format!("--kind {kind}"));
        let words: Vec<String> = servers.chain(policies).chain(kinds).collect();
        f.write_str(if words.is_empty() { "everything" } else { "" })?;
        f.write_str(&words.join(" "))
    }
}

/// An item, with what was known of it when the order was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldItem {
    /// Snapshot or backup.
    pub kind: Kind,
    /// Which.
    pub item: ItemId,
    /// Its name; backups have none.
    pub name: Option<Box<str>>,
    /// Its server.
    pub server: ServerId,
    /// The server's name.
    pub server_name: Box<str>,
}

/// What a person asks for, before it has a number and a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// What.
    pub what: Ask,
    /// Why; may be empty.
    pub reason: Box<str>,
    /// Who asks.
    pub by: Box<str>,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// No runs for so long.
    Pause(Selection, Duration),
    /// Runs again.
    Resume(Selection),
    /// Hold an item for so long.
    Hold(HeldItem, Duration),
    /// Hold an item no more.
    Release(Kind, ItemId),
    /// Deletes may go on on a server that was restored.
    Deletes(ServerId),
    /// An item is about to be put back on this server: it is held, and nothing is deleted there.
    Restore(HeldItem),
}

impl Ask {
    /// The word for it.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Ask::Pause(..) => "pause",
            Ask::Resume(_) => "resume",
            Ask::Hold(..) => "hold",
            Ask::Release(..) => "release",
            Ask::Deletes(_) => "deletes",
            Ask::Restore(_) => "restore",
        }
    }
}

/// Why an order cannot be given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// There is nothing to end.
    #[error("{0}")]
    Nothing(String),
    /// The time cannot be written.
    #[error("so long reaches beyond the calendar")]
    TooLong,
}

/// The orders that were given, as far as they matter.
#[derive(Debug, Default, PartialEq)]
pub struct StandingOrders {
    /// In the order in which they were given.
    pauses: Vec<Pause>,
    snapshots: BTreeMap<ItemId, Timestamp>,
    backups: BTreeMap<ItemId, Timestamp>,
    holds: BTreeMap<(Kind, ItemId), HeldItem>,
    no_deletes: BTreeMap<ServerId, (Timestamp, Box<str>)>,
}

/// A pause, or its end for some.
#[derive(Debug, PartialEq)]
struct Pause {
    who: Who,
    ends: bool,
    until: Timestamp,
    at: Timestamp,
    /// The reason and who gave it, for people.
    why: Box<str>,
}

/// A selection that can be asked.
#[derive(Debug, PartialEq)]
struct Who {
    servers: Option<Globs>,
    policies: Vec<Box<str>>,
    kinds: Vec<Kind>,
}

/// Of whom it is asked whether runs are paused.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The server.
    pub server: ServerId,
    /// Its name; none while nobody has told it: then every name may be meant.
    pub server_name: Option<&'a str>,
    /// What the configuration calls it, where it says so: who knows it by that means it, too.
    pub configured_name: Option<&'a str>,
    /// Snapshots or backups.
    pub kind: Kind,
    /// Under which policy.
    pub policy: &'a str,
}

/// A pause that stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paused<'a> {
    /// When it is over by itself.
    pub until: Timestamp,
    /// Why, and by whom.
    pub why: &'a str,
}

impl Who {
    fn new(selection: &Selection) -> Who {
        // Patterns are checked before an order is given; one that cannot be read all the same means everybody: a pause too wide is no harm.
        let servers = (!selection.servers.is_empty()).then(|| Globs::new(&selection.servers).ok()).flatten();
        Who { servers, policies: selection.policies.clone(), kinds: selection.kinds.clone() }
    }

    /// Whether a target is meant. `in_doubt`: whether it is where its name is not known and a name was given.
    fn admits(&self, asked: Asked<'_>, in_doubt: bool) -> bool {
        let is_name = |text: &str| text.parse::<u64>().is_err();
        let by_name = |globs: &Globs| match asked.server_name {
            _ if asked.configured_name.is_some_and(|name| globs.is_match(name)) => true,
            Some(name) => globs.is_match(name),
            None => in_doubt && globs.texts().any(is_name),
        };
        self.servers.as_ref().is_none_or(|globs| by_name(globs) || globs.texts().any(|text| text == asked.server.to_string()))
            && (self.policies.is_empty() || self.policies.iter().any(|policy| **policy == *asked.policy))
            && (self.kinds.is_empty() || self.kinds.contains(&asked.kind))
    }
}

impl StandingOrders {
    /// Lets an order take effect.
    pub fn apply(&mut self, order: &StandingOrder) {
        let until = order.until;
        match &order.what {
            Standing::Pause(selection) => self.pause(order, selection, false),
            Standing::Resume(selection) => self.pause(order, selection, true),
            Standing::Hold(held) => {
                let items = self.held_mut(held.kind);
                let end = items.entry(held.item).or_insert(until);
                *end = until.max(*end);
                let forgotten = forget_first_over(items, |until| *until);
                self.holds.insert((held.kind, held.item), held.clone());
                forgotten.and_then(|item| self.holds.remove(&(held.kind, item)));
            }
            Standing::Release(held) => {
                self.held_mut(held.kind).remove(&held.item);
                self.holds.remove(&(held.kind, held.item));
            }
            Standing::NoDeletes { server, .. } => {
                let end = self.no_deletes.entry(*server).or_insert_with(|| (until, order.reason.clone()));
                if until > end.0 {
                    *end = (until, order.reason.clone());
                }
                forget_first_over(&mut self.no_deletes, |(until, _)| *until);
            }
            Standing::Deletes { server } => drop(self.no_deletes.remove(server)),
        }
    }

    fn pause(&mut self, order: &StandingOrder, selection: &Selection, ends: bool) {
        let why = match (&*order.reason, &*order.by) {
            (reason, "") => reason.into(),
            ("", by) => format!("ordered by {by}").into(),
            (reason, by) => format!("{reason} (ordered by {by})").into(),
        };
        self.pauses.push(Pause { who: Who::new(selection), ends, until: order.until, at: order.at, why });
        if self.pauses.len() > REMEMBERED_MAX
            && let Some(first_over) = (0..self.pauses.len()).min_by_key(|index| self.pauses[*index].until)
        {
            self.pauses.remove(first_over);
        }
    }

    fn held_mut(&mut self, kind: Kind) -> &mut BTreeMap<ItemId, Timestamp> {
        match kind {
            Kind::Snapshot => &mut self.snapshots,
            Kind::Backup => &mut self.backups,
        }
    }

    /// The items of a kind that are held, with the end of that; it may have passed.
    #[must_use]
    pub fn held(&self, kind: Kind) -> &BTreeMap<ItemId, Timestamp> {
        match kind {
            Kind::Snapshot => &self.snapshots,
            Kind::Backup => &self.backups,
        }
    }

    /// The pauses, and what ended some of them, that are about a target; the newest first. Where its name is not known, a pause by name is, and its end is
    /// not: a pause too long is no harm, a run under one is.
    fn pauses_of<'a>(&'a self, asked: Asked<'a>) -> impl Iterator<Item = &'a Pause> {
        self.pauses.iter().rev().filter(move |pause| pause.who.admits(asked, !pause.ends))
    }

    /// The pause that stands for a target: of several, the last to end.
    #[must_use]
    pub fn paused<'a>(&'a self, asked: Asked<'a>, now: Timestamp) -> Option<Paused<'a>> {
        let since_resumed = self.pauses_of(asked).filter(|pause| pause.until > now).take_while(|pause| !pause.ends);
        since_resumed.map(|pause| Paused { until: pause.until, why: &pause.why }).max_by_key(|paused| paused.until)
    }

    /// When the last pause for a target ended that is over by now.
    #[must_use]
    pub fn last_paused(&self, asked: Asked<'_>, now: Timestamp) -> Option<Timestamp> {
        let mut resumed: Option<Timestamp> = None;
        let mut last = None;
        for pause in self.pauses_of(asked) {
            if pause.ends {
                resumed = Some(resumed.map_or(pause.at, |earlier| earlier.min(pause.at)));
                continue;
            }
            let end = resumed.map_or(pause.until, |at| at.min(pause.until));
            last = last.max(Some(end).filter(|end| *end <= now));
        }
        last
    }

    /// Whether any pause is remembered.
    #[must_use]
    pub fn knows_pauses(&self) -> bool {
        !self.pauses.is_empty()
    }

    /// Until when nothing is deleted on a server, and why.
    #[must_use]
    pub fn no_deletes(&self, server: ServerId, now: Timestamp) -> Option<(Timestamp, &str)> {
        let (until, why) = self.no_deletes.get(&server)?;
        (*until > now).then_some((*until, &**why))
    }

    /// The ends of what stands, for whoever has to notice them.
    pub fn ends_of_pauses(&self, now: Timestamp) -> impl Iterator<Item = Timestamp> {
        self.pauses.iter().filter(move |pause| !pause.ends && pause.until > now).map(|pause| pause.until)
    }

    /// What an order comes to: the entries of the journal, numbered from `op` on.
    ///
    /// # Errors
    /// There is nothing to end, or the time is beyond the calendar.
    pub fn give(&self, order: &Order, op: OpId, at: Timestamp) -> Result<Vec<StandingOrder>, OrderError> {
        let after = |span: SignedDuration| at.checked_add(span).map_err(|_| OrderError::TooLong);
        let lasting = |lasts: &Duration| SignedDuration::try_from(*lasts).map_err(|_| OrderError::TooLong).and_then(after);
        let ordered = match &order.what {
            Ask::Pause(selection, lasts) => vec![(Standing::Pause(selection.clone()), lasting(lasts)?)],
            Ask::Resume(selection) => {
                let until = self.ends_of_pauses(at).max().ok_or_else(|| OrderError::Nothing("nothing is paused by an order".to_owned()))?;
                vec![(Standing::Resume(selection.clone()), until)]
            }
            Ask::Hold(held, lasts) => vec![(Standing::Hold(held.clone()), lasting(lasts)?)],
            Ask::Release(kind, item) => {
                let until = self.held(*kind).get(item).copied().filter(|until| *until > at);
                let held = self.holds.get(&(*kind, *item)).cloned().zip(until);
                let (held, until) = held.ok_or_else(|| OrderError::Nothing(format!("{kind} {item} is not held by an order")))?;
                vec![(Standing::Release(held), until)]
            }
            Ask::Deletes(server) => {
                let stopped = self.no_deletes(*server, at);
                let (until, _) = stopped.ok_or_else(|| OrderError::Nothing(format!("deletes are not stopped on server {server}")))?;
                vec![(Standing::Deletes { server: *server }, until)]
            }
            Ask::Restore(held) => {
                let until = after(AFTER_RESTORE)?;
                let (server, server_name) = (held.server, held.server_name.clone());
                vec![(Standing::Hold(held.clone()), until), (Standing::NoDeletes { server, server_name }, until)]
            }
        };
        let numbered = ordered.into_iter().zip(op.0..);
        Ok(numbered.map(|((what, until), op)| order.numbered(OpId(op), what, until, at)).collect())
    }
}

impl Order {
    fn numbered(&self, op: OpId, what: Standing, until: Timestamp, at: Timestamp) -> StandingOrder {
        StandingOrder { op, what, until, reason: self.reason.clone(), by: self.by.clone(), at }
    }
}

/// Keeps a map within its limit: what ends first goes first.
fn forget_first_over<K: Ord + Clone, V>(map: &mut BTreeMap<K, V>, until: impl Fn(&V) -> Timestamp) -> Option<K> {
    if map.len() <= REMEMBERED_MAX {
        return None;
    }
    let first = map.iter().min_by_key(|(_, value)| until(value))?;
    let key = first.0.clone();
    map.remove(&key);
    Some(key)
}

#[cfg(test)]
mod tests;
