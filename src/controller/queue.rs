//! A queue of servers, each in it at most once, that can be left from the middle.

use std::collections::BTreeMap;

use crate::domain::inventory::ServerId;

/// Servers, the one that has waited longest first.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: BTreeMap<u64, ServerId>,
    tickets: BTreeMap<ServerId, u64>,
    next: u64,
}

impl Queue {
    /// A server comes last, unless it waits already.
    pub fn join(&mut self, server: ServerId) {
        if !self.tickets.contains_key(&server) {
            self.tickets.insert(server, self.next);
            self.waiting.insert(self.next, server);
            self.next += 1;
        }
    }

    /// A server waits no longer.
    pub fn leave(&mut self, server: ServerId) {
        if let Some(ticket) = self.tickets.remove(&server) {
            self.waiting.remove(&ticket);
        }
    }

    /// Takes out the one that has waited longest.
    pub fn pop(&mut self) -> Option<ServerId> {
        let (_, server) = self.waiting.pop_first()?;
        self.tickets.remove(&server);
        Some(server)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_came_first_goes_first_and_who_left_comes_last_again() {
        let mut queue = Queue::default();
        for server in [3, 1, 2, 1, 4].map(ServerId) {
            queue.join(server);
        }
        queue.leave(ServerId(3));
        queue.leave(ServerId(9));
        queue.join(ServerId(3));
        assert_eq!(std::iter::from_fn(|| queue.pop()).map(|server| server.0).collect::<Vec<_>>(), [1, 2, 4, 3]);
    }
}
