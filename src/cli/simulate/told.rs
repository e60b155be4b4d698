//! What `simulate` has to tell, before it is known how.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Span, Timestamp};

use crate::controller::Setup;
use crate::domain::policy::KindPolicy;
use crate::simulate::{Aftermath, Facts, Life, Moments, Outage, Play, PlayError, PlayedKind, Suggested, Worth, aftermath, facts, suggest};

use super::super::exit::{Exit, Failure};
use super::super::schedule;
use super::from_hint;
use super::scale::Scale;

/// What is asked for.
pub struct Asked<'a> {
    /// These policies; none: all.
    pub policies: &'a [String],
    /// For so many days.
    pub days: u32,
    /// From this time on.
    pub from: Option<&'a str>,
    /// With an outage of this length.
    pub outage: Option<Duration>,
    /// With suggestions.
    pub suggest: bool,
}

/// Everything that there is to tell.
pub struct Story {
    /// How many days were played.
    pub days: u32,
    /// Each kind of each policy.
    pub told: Vec<Told>,
}

/// What is told of one kind of a policy.
pub struct Told {
    /// As it was played.
    pub policy: Arc<KindPolicy>,
    /// When it began.
    pub from: Timestamp,
    /// When it ended.
    pub until: Timestamp,
    /// What became of it; with the outage, where there is one.
    pub played: PlayedKind,
    /// What became of it without an outage.
    pub calm: PlayedKind,
    /// What is measured of it, without an outage.
    pub facts: Facts,
    /// What it promises.
    pub worth: Option<Worth>,
    /// Calls a day that the runs of all kinds of the policy make.
    pub run_calls: f64,
    /// Calls a day to keep an eye on the provider, however many servers there are.
    pub watching_calls: f64,
    /// What the outage did.
    pub aftermath: Option<Aftermath>,
    /// What would be better, where that is asked for.
    pub suggested: Option<(Suggested, Vec<Tried>)>,
}

/// A suggestion, played.
pub struct Tried {
    /// What became of it.
    pub played: PlayedKind,
    /// What is measured of it.
    pub facts: Facts,
}

impl Told {
    /// The policy and its kind, for headings.
    pub fn name(&self) -> String {
        format!("{}, {}s", self.policy.policy, self.policy.kind)
    }

    /// So many in all, as so many a day.
    pub fn a_day(&self, count: u64) -> f64 {
        let days = self.until.duration_since(self.from).as_secs_f64() / 86_400.0;
        if days > 0.0 { count as f64 / days } else { 0.0 }
    }

    /// The time between two runs, at the least.
    pub fn interval(&self) -> SignedDuration {
        let shortest = self.policy.schedule.intervals(self.from).map(|intervals| intervals.shortest);
        shortest.and_then(|shortest| SignedDuration::try_from(shortest).ok()).unwrap_or(SignedDuration::from_hours(24))
    }
}

impl Story {
    /// Plays what is asked for.
    ///
    /// # Errors
    /// There is no such policy, or a time makes no sense.
    pub fn play(setup: &Setup, now: Timestamp, asked: &Asked<'_>) -> Result<Story, Failure> {
        let mut told = Vec::new();
        for name in names(setup, asked.policies)? {
            let mut policies: Vec<KindPolicy> = Vec::new();
            for policy in setup.wanted.policies.iter().filter(|policy| *policy.policy == *name) {
                if policies.iter().all(|known| known.kind != policy.kind) {
                    policies.push((**policy).clone());
                }
            }
            told.extend(play_policy(setup, policies, now, asked)?);
        }
        Ok(Story { days: asked.days, told })
    }

    /// The line of ages on which every restore point of every policy has a place, so that the pictures can be compared.
    pub fn scale(&self) -> Scale {
        let unit = self.told.iter().map(Told::interval).min().unwrap_or(SignedDuration::from_hours(24));
        let age = |told: &Told, life: &Life| life.deleted_at.unwrap_or(told.until).duration_since(life.created_at);
        let ages = self.told.iter().flat_map(|told| told.played.lives.iter().map(move |life| age(told, life)));
        Scale::new(unit, ages.max().unwrap_or(unit))
    }
}

/// The names of the policies that are meant, each once.
fn names(setup: &Setup, asked: &[String]) -> Result<Vec<Arc<str>>, Failure> {
    let mut known: Vec<Arc<str>> = setup.wanted.policies.iter().map(|policy| Arc::clone(&policy.policy)).collect();
    known.dedup();
    if let Some(unknown) = asked.iter().find(|name| known.iter().all(|known| **known != ***name)) {
        let list: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
        let failure = Failure::new(Exit::Usage, format!("snapwarden: there is no policy `{}`", crate::telemetry::printable(unknown)));
        return Err(failure.hint(Some(format!("the policies are {}", list.join(", ")))));
    }
    let mut names: Vec<Arc<str>> = Vec::new();
    let wanted: Vec<Arc<str>> = if asked.is_empty() { known } else { asked.iter().map(|name| name.as_str().into()).collect() };
    for name in wanted {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

fn play_policy(setup: &Setup, policies: Vec<KindPolicy>, now: Timestamp, asked: &Asked<'_>) -> Result<Vec<Told>, Failure> {
    let Some(first) = policies.first() else { return Ok(Vec::new()) };
    let zone = first.schedule.time_zone();
    let from = match asked.from {
        Some(text) => schedule::starting_time(text, zone).map_err(|error| from_hint(text, &error))?,
        None => now.to_zoned(zone.clone()).start_of_day().map_or(now, |day| day.timestamp()),
    };
    let later = |days: u32| {
        let end = from.to_zoned(zone.clone()).checked_add(Span::new().days(i64::from(days)));
        end.map(|end| end.timestamp()).map_err(|error| from_hint(asked.from.unwrap_or("now"), &error))
    };
    let until = later(asked.days)?;
    let outage = asked.outage.map(|length| outage(later(asked.days / 2)?, length, until)).transpose()?;
    let calm_play = Play { setup: setup.clone(), policies, from, until, outage: None };
    let failure = |error: PlayError| Failure::of(Exit::Failed, &error);
    let calm = calm_play.run().map_err(failure)?;
    let with = outage.map(|outage| Play { outage: Some(outage), ..calm_play.clone() }.run().map_err(failure)).transpose()?;
    let watching_calls = calm_play.watching_calls_a_day().map_err(failure)?;
    let mut told = Vec::new();
    for (place, calm) in calm.kinds.iter().enumerate() {
        let played = with.as_ref().and_then(|with| with.kinds.get(place)).unwrap_or(calm);
        let one = Told {
            policy: Arc::clone(&calm.policy),
            from,
            until,
            played: played.clone(),
            calm: calm.clone(),
            facts: facts(calm, from, until),
            worth: Moments::new(&calm.policy.schedule, from).worth(&calm.policy.keep),
            run_calls: 0.0,
            watching_calls,
            aftermath: outage.map(|outage| aftermath(played, calm, outage, from, until)),
            suggested: asked.suggest.then(|| better(&calm_play, calm)).transpose().map_err(failure)?,
        };
        told.push(one);
    }
    let run_calls = calm_play_calls(&told, calm.run_calls);
    told.iter_mut().for_each(|told| told.run_calls = run_calls);
    Ok(told)
}

fn calm_play_calls(told: &[Told], calls: u64) -> f64 {
    told.first().map_or(0.0, |told| told.a_day(calls))
}

/// The outage, which must be over before the time is.
fn outage(from: Timestamp, length: Duration, until: Timestamp) -> Result<Outage, Failure> {
    let end = from.checked_add(length).ok().filter(|end| *end < until);
    end.map(|end| Outage { from, until: end }).ok_or_else(|| {
        let failure = Failure::new(Exit::Usage, "snapwarden: the outage, which begins in the middle, would not be over before the end");
        failure.hint(Some("take more --days, or a shorter --outage".to_owned()))
    })
}

/// What would be better for one kind, each split played by itself.
fn better(play: &Play, kind: &PlayedKind) -> Result<(Suggested, Vec<Tried>), PlayError> {
    let policy = &kind.policy;
    let slots = kind.cap.saturating_sub(policy.leave_free);
    let suggested = suggest(&policy.schedule, &policy.keep, slots, play.from);
    let mut tried = Vec::new();
    for suggestion in &suggested.suggestions {
        let other = KindPolicy { keep: suggestion.keep, ..(**policy).clone() };
        for played in (Play { policies: vec![other], ..play.clone() }).run()?.kinds {
            tried.push(Tried { facts: facts(&played, play.from, play.until), played });
        }
    }
    Ok((suggested, tried))
}
