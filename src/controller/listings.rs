//! When to look at the provider: one listing serves everyone who waits for one, so the number of calls does not grow with the fleet.

use std::time::Duration;

use crate::clock::{Mono, Now};
use crate::domain::inventory::Kind;
use crate::domain::run::Want;
use crate::provider::ProviderError;
use crate::provider::backoff::Backoff;

use super::{Command, Controller, Mode};

/// So many listings may follow each other more closely than `poll_every`, for somebody who waits; one more for each `poll_every` that passes.
const URGENT_BURST: f64 = 4.0;

/// An empty list, where items are known, is believed once all lists were empty for so long (F29). All that is deleted at once is rare, and to wait
/// for it harms nobody; a filter or a permission that hides everything is not, and all that it hides would count as lost.
const EMPTY_BELIEVED_AFTER: Duration = Duration::from_secs(15 * 60);

/// The pauses after failed calls (F65).
pub(super) const PAUSES: Backoff = Backoff { base: Duration::from_millis(500), cap: Duration::from_secs(300) };

/// What is listed.
#[derive(Debug)]
pub(super) struct Sources {
    snapshots: Source,
    backups: Source,
    /// The servers.
    pub servers: Source,
    /// Creates and deletes under way. What they come to has to be looked at as well, so whoever is in a hurry waits for them, but no longer than
    /// for the next poll.
    writes: u32,
}

/// One thing that is listed.
#[derive(Debug)]
pub(super) struct Source {
    /// When the call in flight was asked for; it may be let through later.
    in_flight: Option<Mono>,
    /// When the newest call was asked for; once it has succeeded, when it was let through.
    last_begun: Option<Mono>,
    /// Failures in a row.
    pub failures: u32,
    /// The pause after failures.
    not_before: Mono,
    credit: f64,
    credited: Mono,
    /// Somebody waits for a listing begun at this time or later.
    wanted: Option<Mono>,
    urgent: bool,
    /// It was answered at least once, or found that it will not be.
    pub settled: bool,
    /// The provider tells this at all (the servers: perhaps not).
    pub told: bool,
    /// What went wrong last.
    pub error: Option<ProviderError>,
    /// Since when it has been empty although items are known.
    empty_since: Option<Mono>,
}

/// How often anything is listed.
#[derive(Debug, Clone, Copy)]
struct Pace {
    poll_every: Duration,
    /// Where nobody waits.
    refresh_every: Option<Duration>,
    /// Whether whoever is in a hurry need not wait for the next poll.
    hurries: bool,
}

impl Pace {
    /// The list of servers does not depend on what is being written.
    fn of_servers(self) -> Pace {
        Pace { hurries: true, ..self }
    }
}

impl Sources {
    pub fn new() -> Sources {
        Sources { snapshots: Source::new(), backups: Source::new(), servers: Source::new(), writes: 0 }
    }

    /// A create or delete is sent.
    pub fn write_begun(&mut self) {
        self.writes = self.writes.saturating_add(1);
    }

    /// It has been answered.
    pub fn write_ended(&mut self) {
        self.writes = self.writes.saturating_sub(1);
    }

    pub fn of(&mut self, kind: Kind) -> &mut Source {
        match kind {
            Kind::Snapshot => &mut self.snapshots,
            Kind::Backup => &mut self.backups,
        }
    }

    pub fn seen(&self, kind: Kind) -> &Source {
        match kind {
            Kind::Snapshot => &self.snapshots,
            Kind::Backup => &self.backups,
        }
    }

    /// Whether the last call of any has failed.
    pub fn any_failed(&self) -> bool {
        [&self.snapshots, &self.backups, &self.servers].into_iter().any(|source| source.error.is_some())
    }
}

impl Source {
    fn new() -> Source {
        Source {
            in_flight: None,
            last_begun: None,
            failures: 0,
            not_before: Mono::default(),
            credit: URGENT_BURST,
            credited: Mono::default(),
            wanted: None,
            urgent: false,
            settled: false,
            told: true,
            error: None,
            empty_since: None,
        }
    }

    /// Whether a list begun at this time is suspiciously empty.
    pub fn doubts_empty(&mut self, begun: Mono, empty_though_known: bool) -> bool {
        if !empty_though_known {
            self.empty_since = None;
            return false;
        }
        begun.since(*self.empty_since.get_or_insert(begun)) < EMPTY_BELIEVED_AFTER
    }

    /// Somebody waits for a listing begun at `after` or later.
    pub fn want(&mut self, after: Mono, urgent: bool) {
        if self.in_flight.is_some_and(|begun| begun >= after) {
            return;
        }
        self.wanted = self.wanted.max(Some(after));
        self.urgent |= urgent;
    }

    /// When the next call is to be begun; none while one is in flight, or if nobody needs one.
    fn due(&self, pace: Pace) -> Option<Mono> {
        let Pace { poll_every, refresh_every, hurries } = pace;
        if self.in_flight.is_some() {
            return None;
        }
        let Some(last) = self.last_begun else { return Some(self.not_before) };
        let refresh = refresh_every.map(|every| last.after(every));
        // A failed call is tried again after its pause, whoever asked for it.
        let again = (self.failures > 0).then_some(self.not_before);
        let wanted = self.wanted.map(|after| {
            let allowed = if self.urgent && hurries { self.next_credit(poll_every) } else { last.after(poll_every) };
            allowed.max(after)
        });
        let due = [refresh, again, wanted].into_iter().flatten().min()?;
        Some(due.max(self.not_before))
    }

    fn credit_at(&self, now: Mono, poll_every: Duration) -> f64 {
        let polls = now.since(self.credited).as_secs_f64() / poll_every.as_secs_f64().max(0.001);
        (self.credit + polls).min(URGENT_BURST)
    }

    /// When the credit is enough for a call.
    fn next_credit(&self, poll_every: Duration) -> Mono {
        self.credited.after(poll_every.mul_f64((1.0 - self.credit).clamp(0.0, 1.0)))
    }

    fn begin(&mut self, now: Mono, poll_every: Duration) {
        self.credit = (self.credit_at(now, poll_every) - 1.0).max(0.0);
        self.credited = now;
        self.in_flight = Some(now);
        self.last_begun = Some(now);
        self.serve(now);
    }

    /// The call in flight was answered; it was let through then.
    pub fn succeeded(&mut self, begun: Mono) {
        (self.in_flight, self.failures, self.settled, self.error) = (None, 0, true, None);
        self.not_before = Mono::default();
        self.last_begun = self.last_begun.max(Some(begun));
        self.serve(begun);
    }

    /// Whoever waits for a call that is begun by then waits no more for another.
    fn serve(&mut self, begun: Mono) {
        if self.wanted.is_some_and(|after| after <= begun) {
            self.wanted = None;
            self.urgent = false;
        }
    }

    /// A failed call is begun again after a pause.
    pub fn failed(&mut self, now: Mono, random: u64, error: ProviderError) {
        self.in_flight = None;
        self.failures = self.failures.saturating_add(1);
        let pause = error.retry_after().unwrap_or_else(|| PAUSES.delay(self.failures, random));
        self.not_before = now.after(pause);
        self.error = Some(error);
    }
}

impl Controller {
    /// Notes what a run waits for.
    pub(super) fn note_want(&mut self, kind: Kind, want: Want) {
        if let Some(after) = want.listing {
            self.source(kind).want(after, want.urgent);
        }
        if let Some(after) = want.servers {
            self.sources.servers.want(after, true);
        }
    }

    /// Begins the calls that are due.
    pub(super) fn call(&mut self, now: Now) {
        if self.account.is_asking() {
            if self.account.ask_at().is_some_and(|at| at <= now.mono) {
                self.account.asked();
                self.out.push(Command::Account);
            }
            return;
        }
        let (pace, poll) = (self.pace(), self.setup.poll_every);
        let is_due = |source: &Source, pace| source.due(pace).is_some_and(|due| due <= now.mono);
        if is_due(&self.sources.servers, pace.of_servers()) {
            self.sources.servers.begin(now.mono, poll);
            self.out.push(Command::Servers(now.mono));
        }
        for kind in self.kinds() {
            if is_due(self.source(kind), pace) {
                self.source(kind).begin(now.mono, poll);
                self.out.push(Command::List(kind, now.mono));
            }
        }
    }

    /// When the next call is due.
    pub(super) fn next_call(&self) -> Option<Mono> {
        if self.stopping {
            return None;
        }
        if self.account.is_asking() {
            return self.account.ask_at();
        }
        let pace = self.pace();
        let listed = self.kinds().map(|kind| self.sources.seen(kind));
        let servers = self.sources.servers.due(pace.of_servers());
        listed.filter_map(|source| source.due(pace)).chain(servers).min()
    }

    fn pace(&self) -> Pace {
        Pace {
            poll_every: self.setup.poll_every,
            refresh_every: (self.mode == Mode::Daemon).then_some(self.setup.refresh_every),
            hurries: self.sources.writes == 0,
        }
    }

    /// The kinds that anything is wanted of.
    pub(super) fn kinds(&self) -> impl Iterator<Item = Kind> + use<> {
        let used = Kind::ALL.map(|kind| self.is_configured(kind) || self.desk.asks_for(kind));
        Kind::ALL.into_iter().zip(used).filter(|(_, used)| *used).map(|(kind, _)| kind)
    }

    fn is_configured(&self, kind: Kind) -> bool {
        self.setup.wanted.policies.iter().any(|policy| policy.kind == kind)
    }

    /// Whether each kind that a policy is for was listed at least once.
    pub(super) fn has_seen_what_is_configured(&self) -> bool {
        Kind::ALL.into_iter().all(|kind| !self.is_configured(kind) || self.inventories.contains_key(&kind))
    }

    /// Somebody has come who waits: calls that failed are tried again now, unless the provider has said when.
    pub(super) fn call_again(&mut self, now: Now) {
        for source in [&mut self.sources.servers, &mut self.sources.snapshots, &mut self.sources.backups] {
            if source.error.as_ref().is_some_and(|error| error.retry_after().is_none()) {
                source.not_before = source.not_before.min(now.mono);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { poll_every: Duration::from_secs(15), refresh_every: None, hurries: true };

    fn at(secs: u64) -> Mono {
        Mono(Duration::from_secs(secs))
    }

    /// Asked for at 10 s; at 20 s somebody wants to see what has happened until then.
    fn asked_for_before_it_was_wanted() -> Source {
        let mut source = Source::new();
        source.begin(at(10), PACE.poll_every);
        source.want(at(20), true);
        source
    }

    #[test]
    fn a_call_that_waited_for_its_turn_serves_who_came_meanwhile() {
        let mut source = asked_for_before_it_was_wanted();
        source.succeeded(at(20));
        assert_eq!(source.due(PACE), None);
        source.want(at(21), false);
        assert_eq!(source.due(PACE), Some(at(35)), "the next poll counts from then");
    }

    #[test]
    fn a_call_that_went_before_serves_nobody_who_came_after() {
        let mut source = asked_for_before_it_was_wanted();
        source.succeeded(at(19));
        assert_eq!(source.due(PACE), Some(at(20)));
    }

    #[test]
    fn whoever_is_in_a_hurry_waits_for_what_is_being_written_until_the_next_poll() {
        let mut source = asked_for_before_it_was_wanted();
        source.succeeded(at(10));
        assert_eq!(source.due(Pace { hurries: false, ..PACE }), Some(at(25)));
        assert_eq!(source.due(PACE), Some(at(20)));
    }
}
