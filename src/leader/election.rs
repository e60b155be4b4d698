//! The election as a state machine: an event and the time in, a call out.
//!
//! A holder counts from the moment at which it *sent* its last renewal, everybody else from the moment at which they *saw* it, which is later. So when
//! others may take the lease, its holder has stopped acting, by whichever clock. Wall clocks stand in the lease for people and decide nothing.

use std::time::Duration;

use jiff::Timestamp;

use crate::clock::{Mono, Now};

use super::lease::{Answer, Call, Lease, Wish};

/// What a lease says that was given back: other clients of such leases want a number above zero.
const RELEASED_DURATION: Duration = Duration::from_secs(1);

/// The terms of an election.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// What this process is called in the lease: never the name of another one, also not of an earlier one on the same machine.
    pub identity: String,
    /// How long a lease holds without being renewed.
    pub duration: Duration,
    /// The longest time for one write to the provider.
    pub exchange_max: Duration,
    /// How long nothing is sent after a lease was taken over from one who did not give it back. With what has passed since that one's last write, it
    /// makes two request timeouts: so long a write may be in doubt.
    pub settle: Duration,
}

impl Terms {
    /// Terms by which a third of the lease is for a write, so that renewals may fail for about half of it before writes have to stop.
    #[must_use]
    pub fn new(identity: String, duration: Duration, request_timeout: Duration) -> Terms {
        let exchange_max = request_timeout.min(duration / 3);
        let mut terms = Terms { identity, duration, exchange_max, settle: Duration::ZERO };
        terms.settle = request_timeout.saturating_mul(2).saturating_sub(exchange_max + terms.margin());
        terms
    }

    /// By so much the clocks of two machines may drift apart while a lease lasts.
    fn margin(&self) -> Duration {
        self.duration / 10
    }

    /// The time between two renewals, or two looks of those who wait.
    #[must_use]
    pub fn renew_every(&self) -> Duration {
        self.duration / 6
    }

    /// How long a call may take.
    #[must_use]
    pub fn call_max(&self) -> Duration {
        self.duration / 6
    }

    fn retry_after(&self) -> Duration {
        self.duration / 12
    }
}

/// From when until when a holder may act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// From when on.
    pub from: Mono,
    /// Until when.
    pub until: Mono,
}

impl Window {
    /// Whether it is open.
    #[must_use]
    pub fn holds(&self, now: Mono) -> bool {
        self.from <= now && now < self.until
    }

    /// Whether a write that takes at most so long may be begun.
    #[must_use]
    pub fn allows(&self, now: Mono, exchange_max: Duration) -> bool {
        self.from <= now && now.after(exchange_max) <= self.until
    }
}

/// Something that has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Time has passed.
    Tick,
    /// The answer to the call. Every call gets exactly one.
    Answered(Answer),
    /// The lease is to be given back, and not taken again.
    Release,
}

/// A call under way.
#[derive(Debug)]
struct Calling {
    call: Call,
    begun: Mono,
}

/// What is known of the lease.
#[derive(Debug)]
enum Known {
    /// Not what there is now.
    Nothing,
    /// That there is none.
    Missing,
    /// This, since then. `now`: it was just read.
    Lease { lease: Lease, since: Mono, just_read: bool },
}

/// One candidate's part in the election.
#[derive(Debug)]
pub struct Election {
    terms: Terms,
    known: Known,
    window: Option<Window>,
    /// Nothing is sent before, whoever holds the lease.
    not_before: Mono,
    acquired_at: Option<Timestamp>,
    calling: Option<Calling>,
    next: Mono,
    releasing: bool,
    released: bool,
    trouble: Option<String>,
}

impl Election {
    /// A candidate that knows nothing yet.
    #[must_use]
    pub fn new(terms: Terms, now: Mono) -> Election {
        Election {
            terms,
            known: Known::Nothing,
            window: None,
            not_before: now,
            acquired_at: None,
            calling: None,
            next: now,
            releasing: false,
            released: false,
            trouble: None,
        }
    }

    /// Takes in what has happened. Returns the call that is to be made now; none is made while one is under way.
    pub fn handle(&mut self, now: Now, event: Event) -> Option<Call> {
        match event {
            Event::Tick => {}
            Event::Answered(answer) => self.answered(now.mono, answer),
            Event::Release => {
                self.releasing = true;
                self.next = now.mono;
                // Who still waits for what the last one has left in doubt cannot hand on that wait: the lease is left to end by itself.
                self.released |= now.mono < self.not_before;
                // What is on its way has been finished by who asks for this.
                self.window = None;
            }
        }
        if self.window.is_some_and(|window| window.until <= now.mono) {
            self.window = None;
        }
        if self.calling.is_some() || self.released || self.next > now.mono {
            return None;
        }
        let call = self.decide(now)?;
        self.calling = Some(Calling { call: call.clone(), begun: now.mono });
        Some(call)
    }

    /// From when until when this candidate may act, by what is known now.
    #[must_use]
    pub fn window(&self) -> Option<Window> {
        self.window
    }

    /// Who holds the lease, as far as is known.
    #[must_use]
    pub fn holder(&self) -> Option<&str> {
        match &self.known {
            Known::Lease { lease, .. } => lease.holder.as_deref(),
            Known::Nothing | Known::Missing => None,
        }
    }

    /// Why the last call failed, if it did.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Whether it has given the lease back, and has nothing more to do.
    #[must_use]
    pub fn is_released(&self) -> bool {
        self.released
    }

    /// When there is something to do, or to tell, if nothing comes before.
    #[must_use]
    pub fn next_at(&self, now: Mono) -> Option<Mono> {
        let call = self.calling.is_none().then_some(self.next);
        let window = self.window.map(|window| if now < window.from { window.from } else { window.until });
        call.into_iter().chain(window).min()
    }

    fn answered(&mut self, now: Mono, answer: Answer) {
        let Some(Calling { call, begun }) = self.calling.take() else { return };
        self.trouble = None;
        match (call, answer) {
            (Call::Read, Answer::Lease(lease)) => {
                let since = match &self.known {
                    Known::Lease { lease: known, since, .. } if known.version == lease.version => *since,
                    _ => now,
                };
                if lease.holder.as_deref() != Some(&self.terms.identity) {
                    self.window = None;
                }
                self.known = Known::Lease { lease, since, just_read: true };
                self.next = now;
            }
            (Call::Create(wish) | Call::Replace(_, wish), Answer::Lease(lease)) => {
                if wish.holder.is_some() {
                    let from = self.window.map_or(now.max(self.not_before), |window| window.from);
                    let until = begun.after(self.terms.duration.saturating_sub(self.terms.margin()));
                    self.window = Some(Window { from, until }).filter(|_| !self.releasing);
                    self.next = if self.releasing { now } else { begun.after(self.terms.renew_every()) };
                } else {
                    self.released = true;
                }
                self.known = Known::Lease { lease, since: now, just_read: false };
            }
            (_, Answer::Missing) => {
                (self.window, self.known, self.next) = (None, Known::Missing, now);
            }
            (_, Answer::Conflict) => (self.known, self.next) = (Known::Nothing, now),
            (_, Answer::Failed(text)) => {
                // It may have been done all the same: that shows when it is read, or by a conflict.
                self.trouble = Some(text);
                self.next = now.after(self.terms.retry_after());
            }
        }
    }

    fn decide(&mut self, now: Now) -> Option<Call> {
        let Known::Lease { lease, since, just_read } = &mut self.known else {
            if matches!(self.known, Known::Nothing) {
                return Some(Call::Read);
            }
            if self.releasing {
                self.released = true;
                return None;
            }
            // It may have been taken away from under somebody who still believes in it.
            self.not_before = self.not_before.max(now.mono.after(self.terms.duration + self.terms.settle));
            return Some(Call::Create(self.wish(now, 0)));
        };
        let is_mine = lease.holder.as_deref() == Some(&*self.terms.identity);
        if self.releasing {
            if !is_mine {
                self.released = true;
                return None;
            }
            let (version, transitions) = (lease.version.clone(), lease.transitions);
            let wish = Wish { holder: None, duration: RELEASED_DURATION, ..self.wish(now, transitions) };
            return Some(Call::Replace(version, wish));
        }
        if is_mine {
            let (version, transitions) = (lease.version.clone(), lease.transitions);
            return Some(Call::Replace(version, self.wish(now, transitions)));
        }
        if !std::mem::take(just_read) {
            return Some(Call::Read);
        }
        if lease.holder.is_some() {
            if now.mono < since.after(self.terms.duration.max(lease.duration)) {
                self.next = now.mono.after(self.terms.renew_every());
                return None;
            }
            self.not_before = self.not_before.max(now.mono.after(self.terms.settle));
        }
        let (version, transitions) = (lease.version.clone(), lease.transitions);
        self.acquired_at = None;
        Some(Call::Replace(version, self.wish(now, transitions.saturating_add(1))))
    }

    fn wish(&mut self, now: Now, transitions: u32) -> Wish {
        let acquired_at = *self.acquired_at.get_or_insert(now.wall);
        Wish { holder: Some(self.terms.identity.clone()), duration: self.terms.duration, transitions, acquired_at, renewed_at: now.wall }
    }
}
