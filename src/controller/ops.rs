//! Which server an operation is about, and which operations are about a server.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::inventory::ServerId;
use crate::domain::record::OpId;

/// The operations that some run looks after.
#[derive(Debug, Default)]
pub(super) struct Ops {
    servers: BTreeMap<OpId, ServerId>,
    by_server: BTreeSet<(ServerId, OpId)>,
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
        if let Some(server) = self.servers.remove(&op) {
            self.by_server.remove(&(server, op));
        }
    }

    /// The server that it is about.
    pub fn get(&self, op: OpId) -> Option<ServerId> {
        self.servers.get(&op).copied()
    }

    /// Nobody looks any more after what is undecided on a server.
    pub fn leave(&mut self, server: ServerId) {
        let left: Vec<OpId> = self.by_server.range((server, OpId(0))..=(server, OpId(u64::MAX))).map(|(_, op)| *op).collect();
        left.into_iter().for_each(|op| self.remove(op));
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
        ops.leave(one);
        assert_eq!([1, 2, 3, 4].map(|op| ops.get(OpId(op))), [None, Some(other), Some(other), None]);
    }
}
