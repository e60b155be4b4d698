//! What a machine was told to stand, and has acknowledged: it binds whatever process comes after.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::controller::OrderReport;
use crate::domain::inventory::{ItemId, Kind, ServerId};
use crate::domain::standing::{Selection, Standing, StandingOrder};

/// What was acknowledged, by whom it is about; each with its end.
#[derive(Debug, Default)]
pub(super) struct Promises {
    held: BTreeMap<(Kind, ItemId), Timestamp>,
    /// What was ordered to be held at some time: that may be known to the journal, whatever was said of it, and whatever became of it.
    ever_held: BTreeSet<(Kind, ItemId)>,
    /// Held items whose delete was on its way by then: that one may arrive, and no other is sent.
    excused: BTreeSet<(Kind, ItemId)>,
    no_deletes: BTreeMap<ServerId, Timestamp>,
    /// Pauses and what ends them, in the order in which they came.
    pauses: Vec<Pause>,
}

/// A pause, or its end for some.
#[derive(Debug)]
struct Pause {
    who: Selection,
    ends: bool,
    until: Timestamp,
}

impl Promises {
    /// A machine says what stands.
    pub fn given(&mut self, report: &OrderReport) {
        for order in report.result.iter().flatten() {
            match &order.what {
                Standing::Hold(held) => {
                    lengthen(self.held.entry((held.kind, held.item)), order.until);
                    self.excused.extend(report.late.as_ref().map(|_| (held.kind, held.item)));
                }
                Standing::NoDeletes { server, .. } => lengthen(self.no_deletes.entry(*server), order.until),
                Standing::Pause(who) => self.pauses.push(Pause { who: who.clone(), ends: false, until: order.until }),
                Standing::Release(_) | Standing::Deletes { .. } | Standing::Resume(_) => {}
            }
        }
    }

    /// Whether no run is begun. The histories name servers by number, and no policies.
    fn is_paused(&self, server: ServerId, kind: Kind, now: Timestamp) -> bool {
        let number = server.to_string();
        let is_meant = |who: &Selection| {
            let of_servers = who.servers.is_empty() || who.servers.iter().any(|named| **named == *number);
            of_servers && who.policies.is_empty() && (who.kinds.is_empty() || who.kinds.contains(&kind))
        };
        let newest = self.pauses.iter().rev().find(|pause| pause.until > now && is_meant(&pause.who));
        newest.is_some_and(|pause| !pause.ends)
    }

    /// What a run breaks that begins and goes on with none of before.
    pub fn broken_by_run(&self, server: ServerId, kind: Kind, now: Timestamp) -> Option<String> {
        self.is_paused(server, kind, now).then(|| format!("a run for {kind}s of {server} is begun although they are paused"))
    }

    /// The journal is lost, or the end of it.
    pub fn journal_lost(&mut self) {
        let ever_held = std::mem::take(&mut self.ever_held);
        *self = Promises { ever_held, ..Promises::default() };
    }

    /// An order is to be written down. One that ends others may end them from now on, whether anybody is told or not.
    pub fn decided(&mut self, order: &StandingOrder) {
        match &order.what {
            Standing::Hold(held) => drop(self.ever_held.insert((held.kind, held.item))),
            Standing::Release(held) => drop(self.held.remove(&(held.kind, held.item))),
            Standing::Deletes { server } => drop(self.no_deletes.remove(server)),
            Standing::Resume(who) => self.pauses.push(Pause { who: who.clone(), ends: true, until: order.until }),
            Standing::NoDeletes { .. } | Standing::Pause(_) => {}
        }
    }

    /// Whether an item may be held.
    pub fn may_be_held(&self, kind: Kind, item: ItemId) -> bool {
        self.ever_held.contains(&(kind, item))
    }

    /// Whether an item is held for sure.
    fn is_held(&self, kind: Kind, item: ItemId, now: Timestamp) -> bool {
        self.held.get(&(kind, item)).is_some_and(|until| *until > now)
    }

    /// What a delete breaks that arrives.
    pub fn broken_on_arrival(&self, kind: Kind, item: ItemId, now: Timestamp) -> Option<String> {
        let is_broken = self.is_held(kind, item, now) && !self.excused.contains(&(kind, item));
        is_broken.then(|| format!("I1: a delete of {item} arrives although it is held"))
    }

    /// What a delete breaks that is sent.
    pub fn broken_by(&self, server: ServerId, kind: Kind, item: ItemId, now: Timestamp) -> Option<String> {
        if self.is_held(kind, item, now) {
            return Some(format!("I1: {item} goes although it is held"));
        }
        let stopped = self.no_deletes.get(&server).is_some_and(|until| *until > now);
        stopped.then(|| format!("I4: {item} goes although {server} was restored"))
    }
}

fn lengthen<K: Ord>(entry: std::collections::btree_map::Entry<'_, K, Timestamp>, until: Timestamp) {
    let end = entry.or_insert(until);
    *end = until.max(*end);
}
