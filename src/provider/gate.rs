//! The door that every request passes: [`Budget`] with waiting.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::budget::{Budget, Class, Outcome, Ticket, Turn};
use crate::clock::{Clock, Mono};

/// The longest pause asked for by the provider that is sat out here. A longer one is handed back at once: what was decided before it would be
/// stale after it.
pub(super) const PAUSE_SAT_OUT_MAX: Duration = Duration::from_secs(10);

pub(super) struct Gate {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

struct State {
    budget: Budget,
    /// How to wake each ticket of the queue. Only the first is ever woken: the others could not go.
    bells: BTreeMap<Ticket, Arc<Notify>>,
}

impl Gate {
    pub(super) fn new(rate: f64, slots: usize, clock: Arc<dyn Clock>) -> Gate {
        let budget = Budget::new(rate, slots, clock.now().mono);
        Gate { clock, state: Mutex::new(State { budget, bells: BTreeMap::new() }) }
    }

    /// Waits for a slot and a token. `Err` is how long the provider still wants to be left alone, if that is long; nothing may be sent then.
    pub(super) async fn enter(&self, class: Class) -> Result<Permit<'_>, Duration> {
        let place = self.join(class);
        loop {
            let now = self.clock.now().mono;
            let turn = {
                let mut state = self.state();
                let pause_left = state.budget.pause_left(now);
                if pause_left > PAUSE_SAT_OUT_MAX {
                    return Err(pause_left);
                }
                state.budget.try_go(place.ticket, now)
            };
            match turn {
                Turn::Go => return Ok(Permit { gate: self, begun: now, outcome: Outcome::Silent }),
                // Waking early or late does no harm: the turn is asked for again.
                Turn::At(then) => drop(tokio::time::timeout(then.since(now), place.bell.notified()).await),
                Turn::Later => place.bell.notified().await,
            }
        }
    }

    fn join(&self, class: Class) -> Place<'_> {
        let mut state = self.state();
        let ticket = state.budget.join(class, self.clock.now().mono);
        let bell = Arc::new(Notify::new());
        state.bells.insert(ticket, Arc::clone(&bell));
        Place { gate: self, ticket, bell }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wake_first(&self) {
        if let Some(bell) = self.budget.first().and_then(|ticket| self.bells.get(&ticket)) {
            bell.notify_one();
        }
    }
}

/// A place in the queue; dropping it leaves the queue, whether the request went or its caller gave up.
struct Place<'a> {
    gate: &'a Gate,
    ticket: Ticket,
    bell: Arc<Notify>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        state.budget.leave(self.ticket);
        state.bells.remove(&self.ticket);
        state.wake_first();
    }
}

/// The right to send one request; dropping it gives the slot back.
pub(super) struct Permit<'a> {
    gate: &'a Gate,
    begun: Mono,
    outcome: Outcome,
}

impl Permit<'_> {
    /// When the request was let through.
    pub(super) fn begun(&self) -> Mono {
        self.begun
    }

    /// Gives the slot back and says how the request ended.
    pub(super) fn finish(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let now = self.gate.clock.now().mono;
        let mut state = self.gate.state();
        state.budget.finish(self.begun, self.outcome, now);
        state.wake_first();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    fn gate(rate: f64, slots: usize) -> Arc<Gate> {
        Arc::new(Gate::new(rate, slots, Arc::new(SystemClock::new())))
    }

    #[tokio::test]
    async fn the_next_goes_when_a_slot_is_free() {
        let gate = gate(1000.0, 1);
        let first = gate.enter(Class::List).await.unwrap();
        let waiting = tokio::spawn({
            let gate = Arc::clone(&gate);
            async move { gate.enter(Class::List).await.is_ok() }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        assert!(waiting.await.unwrap());
    }

    #[tokio::test]
    async fn who_gives_up_does_not_block_the_others() {
        let gate = gate(1000.0, 1);
        let first = gate.enter(Class::List).await.unwrap();
        let gone = tokio::time::timeout(Duration::from_millis(1), gate.enter(Class::Create)).await;
        assert!(gone.is_err());
        first.finish(Outcome::Answered);
        assert!(gate.enter(Class::Other).await.is_ok());
        assert!(gate.state().bells.is_empty());
    }

    #[tokio::test]
    async fn the_rate_is_waited_for() {
        let gate = gate(100.0, 1);
        let clock = SystemClock::new();
        for _ in 0..103 {
            gate.enter(Class::List).await.unwrap().finish(Outcome::Answered);
        }
        assert!(clock.now().mono.0 >= Duration::from_millis(20));
    }

    #[tokio::test]
    async fn a_long_pause_is_handed_back_to_all() {
        let gate = gate(1000.0, 1);
        let permit = gate.enter(Class::List).await.unwrap();
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let gate = Arc::clone(&gate);
                tokio::spawn(async move { gate.enter(Class::Create).await.err() })
            })
            .collect();
        tokio::task::yield_now().await;
        permit.finish(Outcome::Throttled(Some(Duration::from_secs(600))));
        for task in waiting {
            assert!(task.await.unwrap().is_some_and(|left| left > Duration::from_secs(590)));
        }
    }
}
