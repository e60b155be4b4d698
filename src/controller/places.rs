//! Who may make an item now: so many servers at a time (`concurrent_creates`), those that have waited longest first.
//!
//! A server whose last item did not get ready in time is slow. It is likely to hold its place until `stuck_after` again, so the slow ones wait by themselves
//! and have half of the places at most: however many they are, the others get on.

use std::collections::BTreeMap;

use super::queue::Queue;
use crate::domain::inventory::ServerId;

/// The places and the queues before them.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Who has one, and whether it is slow.
    taken: BTreeMap<ServerId, bool>,
    taken_by_slow: usize,
    waiting: Queue,
    slow_waiting: Queue,
}

impl Places {
    /// Whether a server has a place.
    pub fn has(&self, server: ServerId) -> bool {
        self.taken.contains_key(&server)
    }

    /// Whether one of `all` places can be had; at least one is for the slow.
    pub fn is_free(&self, all: usize, slow: bool) -> bool {
        self.taken.len() < all && (!slow || self.taken_by_slow < all.div_ceil(2))
    }

    /// A server takes a place, unless it has one.
    pub fn take(&mut self, server: ServerId, slow: bool) {
        if !self.has(server) {
            self.taken.insert(server, slow);
            self.taken_by_slow += usize::from(slow);
        }
    }

    /// A server gives its place back.
    pub fn give_back(&mut self, server: ServerId) {
        if self.taken.remove(&server) == Some(true) {
            self.taken_by_slow -= 1;
        }
    }

    /// A server waits for a place, behind those that wait already.
    pub fn wait(&mut self, server: ServerId, slow: bool) {
        let (queue, other) = if slow { (&mut self.slow_waiting, &mut self.waiting) } else { (&mut self.waiting, &mut self.slow_waiting) };
        other.leave(server);
        queue.join(server);
    }

    /// A server neither has nor wants a place any more.
    pub fn leave(&mut self, server: ServerId) {
        self.give_back(server);
        self.waiting.leave(server);
        self.slow_waiting.leave(server);
    }

    /// The next server that may take one of `all` places.
    pub fn next(&mut self, all: usize) -> Option<ServerId> {
        let first = if self.is_free(all, false) { self.waiting.pop() } else { None };
        first.or_else(|| if self.is_free(all, true) { self.slow_waiting.pop() } else { None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slow_come_last_and_have_half_of_the_places_at_most() {
        let mut places = Places::default();
        for server in 1..=8 {
            places.wait(ServerId(server), server <= 4);
        }
        let mut order = Vec::new();
        while let Some(server) = places.next(5) {
            places.take(server, server.0 <= 4);
            order.push(server.0);
        }
        assert_eq!(order, [5, 6, 7, 8, 1]);
        [5, 6, 7, 8].into_iter().for_each(|server| places.leave(ServerId(server)));
        while let Some(server) = places.next(5) {
            places.take(server, true);
            order.push(server.0);
        }
        assert_eq!(order[5..], [2, 3], "three of five");
        assert!(places.is_free(5, false) && !places.is_free(5, true));
        places.give_back(ServerId(2));
        assert_eq!(places.next(5), Some(ServerId(4)));
    }

    #[test]
    fn a_single_place_is_for_the_slow_too() {
        let mut places = Places::default();
        places.wait(ServerId(1), true);
        assert_eq!(places.next(1), Some(ServerId(1)));
        places.wait(ServerId(1), false);
        places.leave(ServerId(1));
        assert_eq!(places.next(1), None);
    }
}
