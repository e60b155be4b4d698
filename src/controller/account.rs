//! What is known of the account as a whole: whether the provider answers, takes our token, and has our time.

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::{Mono, Now};
use crate::domain::fact::Fact;
use crate::domain::gather::gather;
use crate::domain::problem::{AccountReason, Problem, Reason};
use crate::domain::report::AccountProblem;
use crate::provider::{Account, ProviderError, Reply};

use super::listings::PAUSES;
use super::observe::is_untold;
use super::requests::HOPELESS;
use super::{Command, Controller, Mode};

/// After a refused token, or the wrong account, this long passes until it is tried again (F63).
const REFUSED_PAUSE: Duration = Duration::from_secs(300);
/// Throttling is told for this long after the last 429.
const THROTTLED_SHOWN: Duration = Duration::from_secs(60);
/// That a damaged journal was set aside at the start is told for this long.
const SET_ASIDE_SHOWN: Duration = Duration::from_secs(24 * 3600);
/// From this difference of the clocks on it is told (F57).
const SKEW_WARN_SECONDS: f64 = 60.0;
/// From this difference of the clocks on nothing is deleted (F57).
const SKEW_FREEZE_SECONDS: f64 = 3600.0;
/// The median of so many answers is the difference of the clocks.
const SKEW_SAMPLES: usize = 5;
/// A wall clock before this is unset (F61): the provider's documentation is of this year.
const CLOCK_FLOOR: Timestamp = Timestamp::constant(1_735_689_600, 0);

/// Why nothing at all could be done for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fatal {
    /// The provider cannot be reached, or refuses the token or the account.
    Provider(String),
    /// Nothing that is configured answers to what was asked for.
    Selection(String),
    /// Another replica is the one that acts.
    Standby(String),
}

/// What is known of the account.
#[derive(Debug)]
pub(super) struct AccountState {
    answered: bool,
    asking: Asking,
    /// How often in a row the question whose token this is got no answer.
    unanswered: u32,
    refused: Option<(AccountReason, String)>,
    unreachable: Option<String>,
    throttled_until: Option<Mono>,
    /// What the provider's clock was ahead of ours by the newest answers, in seconds.
    skews: VecDeque<f64>,
    /// The median of these, which is asked for at each step.
    skew: Option<f64>,
    /// Why the journal cannot be written.
    pub journal: Option<String>,
    /// Where a damaged journal was put, and until when that is told.
    set_aside: Option<(String, Mono)>,
    told: BTreeSet<AccountReason>,
}

/// Whether it is to be asked whose token this is before anything else is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asking {
    No,
    At(Mono),
    InFlight,
}

impl AccountState {
    pub fn new(verify: bool) -> AccountState {
        AccountState {
            answered: false,
            asking: if verify { Asking::At(Mono::default()) } else { Asking::No },
            unanswered: 0,
            refused: None,
            unreachable: None,
            throttled_until: None,
            skews: VecDeque::new(),
            skew: None,
            journal: None,
            set_aside: None,
            told: BTreeSet::new(),
        }
    }

    /// A journal was damaged, and lies there.
    pub fn set_aside(&mut self, path: &Path, now: Now) {
        self.set_aside =
            Some((format!("it was damaged and lies at {}; a new one was begun", path.display()), now.mono.after(SET_ASIDE_SHOWN)));
    }

    pub fn verify_again(&mut self, verify: bool) {
        if verify && self.asking == Asking::No {
            self.asking = Asking::At(Mono::default());
        }
    }

    /// A refused token or account is tried again at once: the configuration has changed, and perhaps the token with it.
    pub fn try_again(&mut self) {
        if let Asking::At(at) = &mut self.asking {
            *at = Mono::default();
        }
    }

    /// When it is to be asked; none while the answer is awaited.
    pub fn ask_at(&self) -> Option<Mono> {
        match self.asking {
            Asking::At(at) => Some(at),
            Asking::No | Asking::InFlight => None,
        }
    }

    /// Whether the account is in question, so that nothing else is sent.
    pub fn is_asking(&self) -> bool {
        self.asking != Asking::No
    }

    pub fn asked(&mut self) {
        self.asking = Asking::InFlight;
    }

    /// The provider's clock minus ours, in seconds.
    pub fn skew(&self) -> Option<f64> {
        self.skew
    }

    fn note_skew(&mut self, skew: f64) {
        self.skews.push_back(skew);
        if self.skews.len() > SKEW_SAMPLES {
            self.skews.pop_front();
        }
        let mut sorted: Vec<f64> = self.skews.iter().copied().collect();
        sorted.sort_unstable_by(f64::total_cmp);
        self.skew = sorted.get(sorted.len() / 2).copied();
    }

    /// Why nothing may be deleted anywhere.
    pub fn freeze(&self, now: Timestamp) -> Option<Problem> {
        let skew = self.skew().filter(|skew| skew.abs() > SKEW_FREEZE_SECONDS);
        let detail = match skew {
            Some(skew) => format!("the clocks here and at the provider differ by {skew:.0} s"),
            None if now < CLOCK_FLOOR => "the clock is not set".to_owned(),
            None if self.is_asking() => "the token or its account is in question".to_owned(),
            None => return None,
        };
        Some(Problem { reason: Reason::ListingIncomplete, detail })
    }

    /// Whether the wall clock can be believed at all.
    pub fn clock_is_set(now: Timestamp) -> bool {
        now >= CLOCK_FLOOR
    }

    /// Takes in what any answer says about the account.
    pub fn note<T>(&mut self, now: Now, reply: &Reply<T>) {
        if matches!(reply.result, Err(ProviderError::NotInCharge | ProviderError::Outdated)) {
            return;
        }
        if let Some(date) = reply.date {
            self.note_skew(date.duration_since(now.wall).as_secs_f64());
        }
        match &reply.result {
            Err(error) if error.is_auth() => {
                (self.answered, self.unreachable) = (true, None);
                self.refused = Some((AccountReason::Auth, error.to_string()));
                self.asking = Asking::At(now.mono.after(REFUSED_PAUSE));
            }
            Err(error) if error.is_provider_down() => {
                self.answered = true;
                self.unreachable = Some(error.to_string());
            }
            Err(ProviderError::Throttled { .. }) => {
                self.throttled_until = Some(now.mono.after(THROTTLED_SHOWN));
                // That, too, is an answer, unless nothing was sent at all.
                if reply.begun.is_some() {
                    (self.answered, self.unreachable) = (true, None);
                }
            }
            // What was on its way when the token was refused says nothing of it any more: that is asked for by itself.
            _ => (self.answered, self.unreachable) = (true, None),
        }
    }

    /// `provider_up`: it answers, and takes the token.
    pub fn is_up(&self) -> bool {
        self.answered && self.unreachable.is_none() && !matches!(self.refused, Some((AccountReason::Auth, _)))
    }

    /// The token is taken, and the account is the right one.
    fn accepted(&mut self) {
        (self.refused, self.unanswered, self.asking) = (None, 0, Asking::No);
    }

    /// Why no call makes sense at all, if that is so.
    pub fn refusal(&self) -> Option<&str> {
        self.refused.as_ref().map(|(_, detail)| detail.as_str())
    }

    /// When the next of the problems that pass by themselves is over.
    pub fn next_over(&self, mono: Mono) -> Option<Mono> {
        let set_aside = self.set_aside.as_ref().map(|(_, until)| *until);
        self.throttled_until.into_iter().chain(set_aside).filter(|until| *until > mono).min()
    }

    /// Whether nothing is wrong with the account, listings aside: then [`AccountState::problems`] has nothing to say.
    fn is_well(&self, now: Now) -> bool {
        let passing =
            self.throttled_until.into_iter().chain(self.set_aside.as_ref().map(|(_, until)| *until)).any(|until| until > now.mono);
        let skewed = self.skew().is_some_and(|skew| skew.abs() > SKEW_WARN_SECONDS) || !AccountState::clock_is_set(now.wall);
        self.refused.is_none() && self.unreachable.is_none() && self.journal.is_none() && !passing && !skewed
    }

    /// What is wrong with the account now.
    fn problems(&self, mono: Mono, defects: impl Iterator<Item = String>, wall: Timestamp) -> Vec<AccountProblem> {
        let mut list: Vec<(AccountReason, String)> = self.refused.clone().into_iter().collect();
        list.extend(self.unreachable.clone().map(|detail| (AccountReason::Unreachable, detail)));
        if self.throttled_until.is_some_and(|until| until > mono) {
            list.push((AccountReason::Throttled, "the provider asks for fewer requests".to_owned()));
        }
        match self.skew().filter(|skew| skew.abs() > SKEW_WARN_SECONDS) {
            Some(skew) => list.push((AccountReason::ClockSkew, format!("the provider's clock is {skew:+.0} s from ours"))),
            None if !AccountState::clock_is_set(wall) => list.push((AccountReason::ClockSkew, "the clock is not set".to_owned())),
            None => {}
        }
        let set_aside = self.set_aside.as_ref().filter(|(_, until)| *until > mono).map(|(detail, _)| detail.clone());
        list.extend(self.journal.clone().or(set_aside).map(|detail| (AccountReason::Journal, detail)));
        let defects: Vec<String> = defects.collect();
        if !defects.is_empty() {
            list.push((AccountReason::ListingIncomplete, defects.join("; ")));
        }
        list.into_iter().map(|(reason, detail)| AccountProblem { reason, detail }).collect()
    }
}

impl Controller {
    pub(super) fn account_told(&mut self, now: Now, reply: Reply<Account>) {
        self.account.note(now, &reply);
        match reply.result {
            Ok(account) => match self.setup.account.clone() {
                Some(wanted) if !account.is(&wanted) => {
                    self.refuse_account(now, format!("the token belongs to {}, not to {wanted}", account.title()));
                }
                _ => self.account.accepted(),
            },
            Err(error) if error.is_auth() => self.give_up_on_provider(now),
            // It was only a probe after a refused token: any other answer shows that the token is taken.
            Err(error) if self.setup.account.is_none() && !says_nothing(&error) => self.account.accepted(),
            Err(error) => self.account_unanswered(now, &error),
        }
    }

    /// It could not be found out whose token this is.
    fn account_unanswered(&mut self, now: Now, error: &ProviderError) {
        self.account.unanswered = self.account.unanswered.saturating_add(1);
        if !says_nothing(error) || self.mode == Mode::Command && self.account.unanswered >= HOPELESS {
            return self.refuse_account(now, format!("it cannot be confirmed whose token this is: {error}"));
        }
        let pause = error.retry_after().unwrap_or_else(|| PAUSES.delay(self.account.unanswered, self.random(now)));
        self.account.asking = Asking::At(now.mono.after(pause));
    }

    /// The account is not the configured one, or that cannot be found out: nothing is done there.
    fn refuse_account(&mut self, now: Now, detail: String) {
        self.account.refused = Some((AccountReason::WrongAccount, detail));
        self.account.asking = Asking::At(now.mono.after(REFUSED_PAUSE));
        self.give_up_on_provider(now);
    }

    /// A number for jitter: from the clock and a count, so that a simulated run is the same each time.
    pub(super) fn random(&self, now: Now) -> u64 {
        let seed = now.mono.0.as_nanos() as u64 ^ self.next_run.0.rotate_left(32) ^ self.next_op.0;
        // SplitMix64's mixing.
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// What is wrong with the account now.
    #[must_use]
    pub fn account_problems(&self, now: Now) -> Vec<AccountProblem> {
        // What is not listed any more, since no policy is for it, stands in nobody's way.
        let listed = self.kinds().filter_map(|kind| self.inventories.get(&kind));
        let defects = listed.filter_map(|inventory| inventory.defect().map(str::to_owned));
        self.account.problems(now.mono, defects.chain(self.servers_unshown()).chain(self.lists_refused()), now.wall)
    }

    /// What is wrong with the list of servers: who is not shown in it is not found by a `match`.
    fn servers_unshown(&self) -> Option<String> {
        let seen = self.servers.as_ref().filter(|seen| self.sources.servers.told && !seen.whole)?;
        Some(format!("the list of servers is not complete: {}", seen.listing.defects.join("; ")))
    }

    /// Lists that are answered, and cannot be had all the same: refused for this token, not there, not to be read. Who does not answer at all, or asks for
    /// fewer calls, is told as that.
    fn lists_refused(&self) -> impl Iterator<Item = String> {
        let items = self.kinds().map(|kind| (format!("{kind}s"), self.sources.seen(kind).error.as_ref()));
        // Not every provider tells its servers to every token; who cannot be found without that is told for itself.
        let servers = [("servers".to_owned(), self.sources.servers.error.as_ref().filter(|error| !is_untold(error)))];
        let failed = items.chain(servers).filter_map(|(what, error)| Some((what, error?)));
        failed.filter(|(_, error)| !says_nothing(error)).map(|(what, error)| format!("the list of {what} cannot be had: {error}"))
    }

    /// Tells what has become wrong with the account, and what is over.
    pub(super) fn tell_account(&mut self, now: Now) {
        let listed_whole = || self.inventories.values().all(|inventory| inventory.defect().is_none()) && self.servers_unshown().is_none();
        if self.account.told.is_empty() && self.account.is_well(now) && listed_whole() && !self.sources.any_failed() {
            return;
        }
        let current = self.account_problems(now);
        let told = std::mem::take(&mut self.account.told);
        for AccountProblem { reason, detail } in current.iter().filter(|problem| !told.contains(&problem.reason)) {
            self.out.push(Command::Tell(Fact::AccountProblemRaised { reason: *reason, detail: detail.clone() }.into()));
        }
        self.account.told = gather(current.iter().map(|problem| problem.reason));
        for reason in told.difference(&self.account.told) {
            self.out.push(Command::Tell(Fact::AccountProblemCleared { reason: *reason }.into()));
        }
    }

    /// The provider will not serve us: what was asked for ends here, in the daemon where nothing of it has been begun.
    pub(super) fn give_up_on_provider(&mut self, now: Now) {
        let fatal = Fatal::Provider(self.account.refusal().unwrap_or("the provider does not answer").to_owned());
        match self.mode {
            Mode::Command => self.abandon(fatal),
            Mode::Daemon => self.turn_away(now, &fatal),
        }
    }
}

/// Whether an answer says nothing of the token, and passes by itself.
fn says_nothing(error: &ProviderError) -> bool {
    error.is_provider_down() || matches!(error, ProviderError::Throttled { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_journal_is_told_for_a_day() {
        let now = Now { wall: CLOCK_FLOOR, mono: Mono::default() };
        let mut account = AccountState::new(false);
        account.set_aside(Path::new("/there"), now);
        let told = |account: &AccountState, later| account.problems(now.mono.after(later), std::iter::empty(), now.wall);
        let problems = told(&account, SET_ASIDE_SHOWN / 2);
        assert_eq!(problems.iter().map(|problem| problem.reason).collect::<Vec<_>>(), [AccountReason::Journal]);
        assert!(problems[0].detail.contains("/there"));
        assert!(told(&account, SET_ASIDE_SHOWN).is_empty());
        account.journal = Some("full".to_owned());
        assert_eq!(told(&account, Duration::ZERO).iter().map(|problem| &*problem.detail).collect::<Vec<_>>(), ["full"]);
    }
}
