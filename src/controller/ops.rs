//! Which server an operation is about, and which operations are about a server.

use std::collections::{BTreeMap, BTreeSet};

use crate::clock::Mono;
use crate::domain::inventory::ServerId;
use crate::domain::record::OpId;

/// The operations that some run looks after.
#[derive(Debug, Default)]
pub(super) struct Ops {
    servers: BTreeMap<OpId, ServerId>,
    by_server: BTreeSet<(ServerId, OpId)>,
    /// Those that a run has left undecided, and when.
    left: BTreeMap<OpId, Mono>,
}

impl Ops {
    /// The run on this server looks after it.
    pub fn insert(&mut self, op: OpId, server: ServerId) {
        self.remove(op);
        self.servers.insert(op, server);
        self.by_server.insert((server, op));
    }

    /// It is decided.
    pub fn remove(&mut self, op: OpId) {
        self.left.remove(&op);
        if let Some(server) = self.servers.remove(&op) {
            self.by_server.remove(&(server, op));
        }
    }

    /// The server that it is about.
    pub fn get(&self, op: OpId) -> Option<ServerId> {
        self.servers.get(&op).copied()
    }

    /// The run on this server has ended, and nobody looks any more after what it has left undecided.
    pub fn leave(&mut self, server: ServerId, now: Mono, is_undecided: impl Fn(OpId) -> bool) {
        for op in self.forget(server) {
            if is_undecided(op) {
                self.left.insert(op, now);
            }
        }
    }

    /// The run on this server is gone without a trace. Returns what it looked after.
    pub fn forget(&mut self, server: ServerId) -> Vec<OpId> {
        let forgotten: Vec<OpId> = self.by_server.range((server, OpId(0))..=(server, OpId(u64::MAX))).map(|(_, op)| *op).collect();
        forgotten.iter().for_each(|op| self.remove(*op));
        forgotten
    }

    /// When a run of this process has looked after it in vain.
    pub fn left_at(&self, op: OpId) -> Option<Mono> {
        self.left.get(&op).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_on_a_server_is_forgotten_and_nothing_else() {
        let (one, other) = (ServerId(1), ServerId(2));
        let mut ops = Ops::default();
        ops.insert(OpId(1), one);
        ops.insert(OpId(2), other);
        ops.insert(OpId(3), one);
        ops.insert(OpId(3), other);
        ops.insert(OpId(4), one);
        ops.remove(OpId(4));
        ops.insert(OpId(5), one);
        ops.leave(one, Mono::default(), |op| op == OpId(1));
        assert_eq!([1, 2, 3, 4].map(|op| ops.get(OpId(op))), [None, Some(other), Some(other), None]);
        assert_eq!([1, 2, 5].map(|op| ops.left_at(OpId(op))), [Some(Mono::default()), None, None]);
        ops.insert(OpId(1), one);
        assert_eq!(ops.left_at(OpId(1)), None);
        assert_eq!(ops.forget(one), [OpId(1)]);
        assert_eq!(ops.left_at(OpId(1)), None);
    }
}
