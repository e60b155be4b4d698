//! What a machine was told to stand, and has acknowledged: it binds whatever process comes after.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::controller::OrderReport;
use crate::domain::inventory::{ItemId, Kind, ServerId};
use crate::domain::standing::Standing;

/// What was acknowledged, by whom it is about; each with its end.
#[derive(Debug, Default)]
pub(super) struct Promises {
    held: BTreeMap<(Kind, ItemId), Timestamp>,
    no_deletes: BTreeMap<ServerId, Timestamp>,
}

impl Promises {
    /// A machine says what stands.
    pub fn given(&mut self, report: &OrderReport) {
        for order in report.result.iter().flatten() {
            match &order.what {
                Standing::Hold(held) => lengthen(self.held.entry((held.kind, held.item)), order.until),
                Standing::Release(held) => drop(self.held.remove(&(held.kind, held.item))),
                Standing::NoDeletes { server, .. } => lengthen(self.no_deletes.entry(*server), order.until),
                Standing::Deletes { server } => drop(self.no_deletes.remove(server)),
                Standing::Pause(_) | Standing::Resume(_) => {}
            }
        }
    }

    /// Whether an item is held.
    pub fn is_held(&self, kind: Kind, item: ItemId, now: Timestamp) -> bool {
        self.held.get(&(kind, item)).is_some_and(|until| *until > now)
    }

    /// What a delete breaks.
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
