//! The client-side budget: how many requests a second, how many at a time, and whose turn it is. Pure; time is an argument.
//!
//! The rate is a token bucket. When the provider throttles, the rate halves and everything waits as long as the provider asks; each answer then
//! gives a little back (additive increase, multiplicative decrease). Whoever waits has a due time by class, and the earliest goes first: creates
//! before deletes before lists before the rest, but a request that has waited long enough goes before a younger one of a better class. A list waits
//! for no more of the others that were there before it than may be under way at a time: one list shows what comes next for all servers.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::clock::Mono;

/// The lowest rate to which throttling can bring it down, as a share of the configured one.
const RATE_SHARE_MIN: f64 = 1.0 / 64.0;

/// What each answer gives back after throttling, as a share of the configured rate.
const RECOVERY_SHARE: f64 = 1.0 / 32.0;

/// The rates that are possible at all, in requests a second; the configuration is far inside.
const RATE_POSSIBLE: (f64, f64) = (0.001, 1_000_000.0);

/// The pause after a throttled request whose answer names none.
const PAUSE_DEFAULT: Duration = Duration::from_secs(1);

/// What a request is for, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Makes a restore point.
    Create,
    /// Deletes one.
    Delete,
    /// Lists.
    List,
    /// Anything else.
    Other,
}

impl Class {
    /// For how long a request of this class lets creates that came later go first.
    fn patience(self) -> Duration {
        match self {
            Class::Create => Duration::ZERO,
            Class::Delete => Duration::from_secs(2),
            Class::List => Duration::from_secs(4),
            Class::Other => Duration::from_secs(8),
        }
    }
}

/// A place in the queue. The smallest goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    due: Mono,
    /// Its own number, or that of the one which it goes right behind.
    place: u64,
    number: u64,
}

/// Whether a ticket may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Now; it has left the queue and holds a slot.
    Go,
    /// It is the first, and may go then.
    At(Mono),
    /// Others are first, or every slot is taken: ask again when something has changed.
    Later,
}

/// What a finished request says about the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The provider answered and did not complain of the rate.
    Answered,
    /// It asks for fewer requests, with the pause it names.
    Throttled(Option<Duration>),
    /// No answer, or one that says nothing about the rate.
    Silent,
}

/// The state of the budget.
#[derive(Debug)]
pub struct Budget {
    configured: f64,
    rate: f64,
    tokens: f64,
    refilled_at: Mono,
    slots: usize,
    slots_free: usize,
    paused_until: Mono,
    throttled_at: Option<Mono>,
    queue: BTreeSet<Ticket>,
    tickets: u64,
}

impl Budget {
    /// A full budget. `rate` is in requests a second; `slots` is how many may run at a time, at least one.
    #[must_use]
    pub fn new(rate: f64, slots: usize, now: Mono) -> Budget {
        let rate = if rate.is_nan() { RATE_POSSIBLE.0 } else { rate.clamp(RATE_POSSIBLE.0, RATE_POSSIBLE.1) };
        Budget {
            configured: rate,
            rate,
            tokens: burst(rate),
            refilled_at: now,
            slots: slots.max(1),
            slots_free: slots.max(1),
            paused_until: now,
            throttled_at: None,
            queue: BTreeSet::new(),
            tickets: 0,
        }
    }

    /// Joins the queue.
    pub fn join(&mut self, class: Class, now: Mono) -> Ticket {
        self.tickets += 1;
        let number = self.tickets;
        let own = Ticket { due: now.after(class.patience()), place: number, number };
        // Lists that are ahead already do not count: one page after the other, they would let nobody else in.
        let mut others = self.queue.iter().filter(|waiting| waiting.place == waiting.number);
        let ahead = if class == Class::List { others.nth(self.slots - 1) } else { None };
        let ticket = ahead.map_or(own, |ahead| own.min(Ticket { number, ..*ahead }));
        self.queue.insert(ticket);
        ticket
    }

    /// Leaves the queue without having gone.
    pub fn leave(&mut self, ticket: Ticket) {
        self.queue.remove(&ticket);
    }

    /// Whose turn is next.
    #[must_use]
    pub fn first(&self) -> Option<Ticket> {
        self.queue.first().copied()
    }

    /// How much longer the provider asks to be left alone; zero: not at all.
    #[must_use]
    pub fn pause_left(&self, now: Mono) -> Duration {
        self.paused_until.since(now)
    }

    /// Takes a slot and a token for this ticket, if it is its turn.
    pub fn try_go(&mut self, ticket: Ticket, now: Mono) -> Turn {
        if self.slots_free == 0 || self.first() != Some(ticket) {
            return Turn::Later;
        }
        if self.paused_until > now {
            return Turn::At(self.paused_until);
        }
        self.refill(now);
        let lacking = 1.0 - self.tokens;
        // A rounding error of the division below must not cost another round.
        if lacking > 1e-6 {
            return Turn::At(now.after(Duration::from_secs_f64(lacking / self.rate)));
        }
        self.tokens = (self.tokens - 1.0).max(0.0);
        self.slots_free -= 1;
        self.queue.remove(&ticket);
        Turn::Go
    }

    /// Gives the slot back. `begun` is when the request went.
    pub fn finish(&mut self, begun: Mono, outcome: Outcome, now: Mono) {
        self.slots_free += 1;
        self.refill(now);
        match outcome {
            Outcome::Answered => self.rate = (self.rate + self.configured * RECOVERY_SHARE).min(self.configured),
            Outcome::Throttled(pause) => self.throttle(begun, pause.unwrap_or(PAUSE_DEFAULT), now),
            Outcome::Silent => {}
        }
    }

    /// Requests that were already under way when the rate was halved tell nothing new: they lengthen the pause, but halve nothing.
    fn throttle(&mut self, begun: Mono, pause: Duration, now: Mono) {
        if self.throttled_at.is_none_or(|at| begun > at) {
            self.rate = (self.rate / 2.0).max(self.configured * RATE_SHARE_MIN);
            self.throttled_at = Some(now);
        }
        self.paused_until = self.paused_until.max(now.after(pause));
        self.tokens = 0.0;
        self.refilled_at = self.paused_until;
    }

    fn refill(&mut self, now: Mono) {
        let gained = now.since(self.refilled_at).as_secs_f64() * self.rate;
        self.tokens = (self.tokens + gained).min(burst(self.rate));
        self.refilled_at = self.refilled_at.max(now);
    }
}

/// How many requests may go at once after a quiet time: what one second allows, and at least one.
fn burst(rate: f64) -> f64 {
    rate.ceil().max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Mono {
        Mono(Duration::from_millis(ms))
    }

    /// Plays the queue from `now` on with instant answers; returns when each ticket went.
    fn drain(budget: &mut Budget, mut now: Mono) -> Vec<(Ticket, Mono)> {
        let mut gone = Vec::new();
        while let Some(ticket) = budget.first() {
            match budget.try_go(ticket, now) {
                Turn::Go => {
                    gone.push((ticket, now));
                    budget.finish(now, Outcome::Answered, now);
                }
                Turn::At(then) => now = then,
                Turn::Later => panic!("the first ticket has a slot here"),
            }
        }
        gone
    }

    #[test]
    fn a_burst_then_the_rate() {
        let mut budget = Budget::new(2.0, 4, at(0));
        for _ in 0..6 {
            budget.join(Class::List, at(0));
        }
        let times: Vec<u128> = drain(&mut budget, at(0)).iter().map(|(_, when)| when.0.as_millis()).collect();
        assert_eq!(times, [0, 0, 500, 1000, 1500, 2000]);
    }

    #[test]
    fn a_rate_below_one_lets_the_first_go_at_once() {
        let mut budget = Budget::new(0.5, 1, at(0));
        for _ in 0..3 {
            budget.join(Class::Other, at(0));
        }
        let times: Vec<u64> = drain(&mut budget, at(0)).iter().map(|(_, when)| when.0.as_secs()).collect();
        assert_eq!(times, [0, 2, 4]);
    }

    #[test]
    fn slots_limit_what_runs_at_a_time() {
        let mut budget = Budget::new(100.0, 2, at(0));
        let tickets: Vec<Ticket> = (0..3).map(|_| budget.join(Class::List, at(0))).collect();
        assert_eq!(budget.try_go(tickets[1], at(0)), Turn::Later, "not its turn");
        assert_eq!(budget.try_go(tickets[0], at(0)), Turn::Go);
        assert_eq!(budget.try_go(tickets[1], at(0)), Turn::Go);
        assert_eq!(budget.try_go(tickets[2], at(0)), Turn::Later, "no slot");
        budget.finish(at(0), Outcome::Silent, at(10));
        assert_eq!(budget.try_go(tickets[2], at(10)), Turn::Go);
    }

    #[test]
    fn creates_first_then_deletes_then_lists() {
        let mut budget = Budget::new(1.0, 1, at(0));
        let other = budget.join(Class::Other, at(0));
        let list = budget.join(Class::List, at(0));
        let delete = budget.join(Class::Delete, at(0));
        let create = budget.join(Class::Create, at(0));
        let order: Vec<Ticket> = drain(&mut budget, at(0)).into_iter().map(|(ticket, _)| ticket).collect();
        assert_eq!(order, [create, delete, list, other]);
    }

    #[test]
    fn no_class_starves_under_a_flood_of_creates() {
        let mut budget = Budget::new(1.0, 1, at(0));
        let other = budget.join(Class::Other, at(0));
        let gone_s = (0..100).find(|second| {
            let now = at(second * 1000);
            budget.join(Class::Create, now);
            budget.join(Class::Create, now);
            let first = budget.first().unwrap();
            assert_eq!(budget.try_go(first, now), Turn::Go);
            budget.finish(now, Outcome::Silent, now);
            first == other
        });
        assert!(gone_s.is_some_and(|second| second <= 17), "{gone_s:?}");
    }

    #[test]
    fn a_list_waits_for_one_round_of_a_flood_that_was_there_before() {
        let mut budget = Budget::new(1.0, 3, at(0));
        let creates: Vec<Ticket> = (0..100).map(|_| budget.join(Class::Create, at(0))).collect();
        let lists = [budget.join(Class::List, at(500)), budget.join(Class::List, at(600))];
        budget.join(Class::Create, at(700));
        let order: Vec<Ticket> = drain(&mut budget, at(1000)).into_iter().map(|(ticket, _)| ticket).collect();
        assert_eq!(order[..6], [creates[0], creates[1], creates[2], lists[0], lists[1], creates[3]]);
        assert_eq!(order.len(), 103);
    }

    #[test]
    fn lists_that_come_page_after_page_do_not_shut_out_the_rest() {
        for slots in 1..=4 {
            let mut budget = Budget::new(1.0, slots, at(0));
            (0..100).for_each(|_| _ = budget.join(Class::Create, at(0)));
            let mut lists: BTreeSet<Ticket> = (0..3).map(|_| budget.join(Class::List, at(0))).collect();
            let mut creates = 0;
            for second in 0..40 {
                let first = budget.first().unwrap();
                assert_eq!(budget.try_go(first, at(second * 1000)), Turn::Go);
                if lists.remove(&first) {
                    lists.insert(budget.join(Class::List, at(second * 1000)));
                } else {
                    creates += 1;
                }
                budget.finish(at(second * 1000), Outcome::Silent, at(second * 1000));
            }
            assert!((9..40).contains(&creates), "{creates} of 40 beside three lists, with {slots} slots");
        }
    }

    #[test]
    fn throttling_halves_once_a_wave_and_recovers() {
        let mut budget = Budget::new(8.0, 4, at(0));
        for _ in 0..3 {
            let ticket = budget.join(Class::List, at(0));
            assert_eq!(budget.try_go(ticket, at(0)), Turn::Go);
        }
        for _ in 0..3 {
            budget.finish(at(0), Outcome::Throttled(Some(Duration::from_secs(30))), at(100));
        }
        assert_eq!(budget.rate, 4.0, "three answers of one wave");
        assert_eq!(budget.pause_left(at(100)), Duration::from_secs(30));

        let ticket = budget.join(Class::Create, at(200));
        assert_eq!(budget.try_go(ticket, at(200)), Turn::At(at(30_100)));
        assert_eq!(budget.try_go(ticket, at(30_100)), Turn::At(at(30_350)), "no burst after a pause");
        assert_eq!(budget.try_go(ticket, at(30_350)), Turn::Go);
        budget.finish(at(30_350), Outcome::Throttled(None), at(30_400));
        assert_eq!(budget.rate, 2.0, "a new wave");
        assert_eq!(budget.pause_left(at(30_400)), PAUSE_DEFAULT);

        for second in 40..200 {
            let ticket = budget.join(Class::List, at(second * 1000));
            assert_eq!(budget.try_go(ticket, at(second * 1000)), Turn::Go);
            budget.finish(at(second * 1000), Outcome::Answered, at(second * 1000));
        }
        assert_eq!(budget.rate, 8.0, "and not beyond");
    }

    #[test]
    fn the_rate_has_a_floor() {
        let mut budget = Budget::new(2.0, 1, at(0));
        let mut now = at(0);
        for _ in 0..40 {
            let ticket = budget.join(Class::List, now);
            while let Turn::At(then) = budget.try_go(ticket, now) {
                now = then;
            }
            now = now.after(Duration::from_millis(1));
            budget.finish(now, Outcome::Throttled(Some(Duration::from_secs(1))), now);
        }
        assert_eq!(budget.rate, 2.0 * RATE_SHARE_MIN);
    }

    #[test]
    fn impossible_settings_do_not_panic() {
        for rate in [f64::NAN, f64::INFINITY, -1.0, 0.0] {
            let mut budget = Budget::new(rate, 0, at(0));
            let ticket = budget.join(Class::List, at(0));
            assert_eq!(budget.try_go(ticket, at(0)), Turn::Go);
        }
    }

    #[test]
    fn who_leaves_makes_room() {
        let mut budget = Budget::new(1.0, 1, at(0));
        let first = budget.join(Class::Create, at(0));
        let second = budget.join(Class::Create, at(0));
        budget.leave(first);
        assert_eq!(budget.try_go(second, at(0)), Turn::Go);
    }
}
