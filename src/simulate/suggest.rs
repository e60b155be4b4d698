//! Which counts under `keep` would be better, for the same schedule and the slots that there are.
//!
//! Every way to split the slots among the rules is tried, by [`Moments::worth`]. A rule whose period is not longer than the time between two runs says
//! nothing that the finest rule does not, so only the finest of them takes part. Splits that promise nothing within the horizon are left out.

use std::cmp::Ordering;
use std::time::Duration;

use jiff::Timestamp;

use super::worth::{Moments, Worth};
use crate::domain::retention::{Keep, Rule};
use crate::domain::schedule::Schedule;

/// So many splits are tried at most; where there are more, the coarsest rules are left out.
const SPLITS_MAX: u64 = 3_100;
/// So many splits are named that are better than the present one on both counts.
const BETTER_MAX: usize = 3;
/// The coarser rules with the length of their periods, in hours; of a month, the shortest.
const PERIODS: [(Rule, u64); 5] =
    [(Rule::Hourly, 1), (Rule::Daily, 24), (Rule::Weekly, 7 * 24), (Rule::Monthly, 28 * 24), (Rule::Yearly, 365 * 24)];
/// Daylight saving takes up to an hour off the time between two runs.
const SLACK: Duration = Duration::from_secs(3600);

/// What a split is good at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aim {
    /// Of all splits it reaches furthest back.
    Furthest,
    /// Of all splits its widest gap is the smallest.
    ShortestGaps,
    /// Reach and widest gap are put on logarithmic scales from the worst to the best of all splits; the worse of its two places is the best.
    Balanced,
    /// It reaches further back than the present one, and its widest gap is smaller.
    Better,
}

/// A split of the slots.
#[derive(Debug, Clone, PartialEq)]
pub struct Suggestion {
    /// What it is good at.
    pub aims: Vec<Aim>,
    /// The counts.
    pub keep: Keep,
    /// What it promises.
    pub worth: Worth,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Suggested {
    /// The slots that there are to split.
    pub slots: u32,
    /// How many splits were tried.
    pub tried: usize,
    /// The rules among which they were split.
    pub rules: Vec<Rule>,
    /// What the present counts promise.
    pub present: Option<Worth>,
    /// What is better, at something.
    pub suggestions: Vec<Suggestion>,
}

/// Tries every split of `slots` for this schedule.
#[must_use]
pub fn suggest(schedule: &Schedule, present: &Keep, slots: u32, from: Timestamp) -> Suggested {
    let moments = Moments::new(schedule, from);
    let rules = rules(schedule, slots, from);
    let splits = splits(&rules, slots);
    let present_worth = moments.worth(present);
    let worths: Vec<Suggestion> =
        splits.iter().filter_map(|keep| Some(Suggestion { aims: Vec::new(), keep: *keep, worth: moments.worth(keep)? })).collect();
    let suggestions = choose(worths, present_worth);
    Suggested { slots, tried: splits.len(), rules, present: present_worth, suggestions }
}

/// The rules that can say something different, the finest first.
fn rules(schedule: &Schedule, slots: u32, from: Timestamp) -> Vec<Rule> {
    let interval = schedule.intervals(from).map_or(Duration::ZERO, |intervals| intervals.shortest) + SLACK;
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    // Runs once in each of its periods: then it has the better name.
    let finest = PERIODS.iter().rev().find(|(_, period)| hours(*period) <= interval);
    let finest = finest.filter(|(_, period)| interval < hours(*period) * 5 / 4 + SLACK).map_or(Rule::Last, |(rule, _)| *rule);
    let coarser = PERIODS.iter().filter(|(_, period)| hours(*period) > interval).map(|(rule, _)| *rule);
    let mut rules: Vec<Rule> = std::iter::once(finest).chain(coarser).collect();
    while rules.len() > 1 && count_splits(rules.len() as u64, u64::from(slots)) > SPLITS_MAX {
        rules.pop();
    }
    rules
}

/// In how many ways so many slots can be split among so many rules.
fn count_splits(rules: u64, slots: u64) -> u64 {
    (1..rules).fold(1, |count: u64, rule| count.saturating_mul(slots + rule) / rule)
}

/// Every split, as counts for the rules.
fn splits(rules: &[Rule], slots: u32) -> Vec<Keep> {
    let Some((last, finer)) = rules.split_last() else { return Vec::new() };
    let mut found = vec![(Keep::default(), slots)];
    for rule in finer {
        found = found.into_iter().flat_map(|(keep, left)| (0..=left).map(move |count| (with(keep, *rule, count), left - count))).collect();
    }
    found.into_iter().map(|(keep, left)| with(keep, *last, left)).filter(|keep| !keep.is_empty()).collect()
}

fn with(mut keep: Keep, rule: Rule, count: u32) -> Keep {
    let place = match rule {
        Rule::Last => &mut keep.last,
        Rule::Hourly => &mut keep.hourly,
        Rule::Daily => &mut keep.daily,
        Rule::Weekly => &mut keep.weekly,
        Rule::Monthly => &mut keep.monthly,
        Rule::Yearly => &mut keep.yearly,
    };
    *place = count;
    keep
}

/// Further back first; then the smaller gap, then fewer rules.
fn by_reach(a: &Suggestion, b: &Suggestion) -> Ordering {
    b.worth.reach.cmp(&a.worth.reach).then(a.worth.ratio.total_cmp(&b.worth.ratio)).then_with(|| simpler(a, b))
}

/// The smaller gap first; then further back, then fewer rules.
fn by_gap(a: &Suggestion, b: &Suggestion) -> Ordering {
    a.worth.ratio.total_cmp(&b.worth.ratio).then(b.worth.reach.cmp(&a.worth.reach)).then_with(|| simpler(a, b))
}

fn simpler(a: &Suggestion, b: &Suggestion) -> Ordering {
    a.keep.rules().count().cmp(&b.keep.rules().count())
}

/// How balanced a split is, from 0 to 1, among splits of these ranges of logarithms; and the sum of its places, where two are equally balanced.
fn balance(worth: &Worth, reaches: (f64, f64), ratios: (f64, f64)) -> (f64, f64) {
    let place = |value: f64, (worst, best): (f64, f64)| if worst == best { 1.0 } else { (value - worst) / (best - worst) };
    let (reach, gap) = (place(log_reach(worth), reaches), place(worth.ratio.ln(), ratios));
    (reach.min(gap), reach + gap)
}

fn log_reach(worth: &Worth) -> f64 {
    worth.reach.as_secs_f64().max(1.0).ln()
}

/// The worst and the best that the function makes of any split; more is better for `1.0`, less for `-1.0`.
fn range(all: &[Suggestion], sign: f64, of: impl Fn(&Worth) -> f64) -> (f64, f64) {
    let signed = || all.iter().map(|found| sign * of(&found.worth));
    (sign * signed().fold(f64::INFINITY, f64::min), sign * signed().fold(f64::NEG_INFINITY, f64::max))
}

/// The best for each aim, each split once.
fn choose(mut all: Vec<Suggestion>, present: Option<Worth>) -> Vec<Suggestion> {
    let (reaches, ratios) = (range(&all, 1.0, log_reach), range(&all, -1.0, |worth| worth.ratio.ln()));
    let score = |found: &Suggestion| balance(&found.worth, reaches, ratios);
    let by_balance = |a: &Suggestion, b: &Suggestion| {
        let ((a_least, a_sum), (b_least, b_sum)) = (score(a), score(b));
        b_least.total_cmp(&a_least).then(b_sum.total_cmp(&a_sum)).then_with(|| by_reach(a, b))
    };
    let is_better = |found: &&Suggestion| present.is_some_and(|now| found.worth.reach > now.reach && found.worth.ratio < now.ratio);
    let mut wanted: Vec<(Aim, Keep)> = Vec::new();
    wanted.extend(all.iter().min_by(|a, b| by_reach(a, b)).map(|found| (Aim::Furthest, found.keep)));
    wanted.extend(all.iter().min_by(|a, b| by_gap(a, b)).map(|found| (Aim::ShortestGaps, found.keep)));
    all.sort_by(by_balance);
    wanted.extend(all.first().map(|found| (Aim::Balanced, found.keep)));
    // Of splits that promise the same, one is enough.
    let mut better: Vec<&Suggestion> = all.iter().filter(is_better).collect();
    better.dedup_by_key(|found| (found.worth.reach, found.worth.ratio.to_bits()));
    wanted.extend(better.into_iter().take(BETTER_MAX).map(|found| (Aim::Better, found.keep)));
    let mut chosen: Vec<Suggestion> = Vec::new();
    for (aim, keep) in wanted {
        if let Some(found) = chosen.iter_mut().find(|found| found.keep == keep) {
            found.aims.push(aim);
        } else if let Some(found) = all.iter().find(|found| found.keep == keep) {
            chosen.push(Suggestion { aims: vec![aim], ..found.clone() });
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::SignedDuration;
    use jiff::tz::TimeZone;

    use super::*;
    use crate::domain::schedule::Expression;

    fn schedule(expression: &str) -> Schedule {
        Schedule::new(vec![Arc::new(Expression::parse(expression).unwrap())], TimeZone::get("Europe/Oslo").unwrap())
    }

    fn found(expression: &str, present: &str, slots: u32) -> Suggested {
        suggest(&schedule(expression), &Keep::parse(present).unwrap(), slots, "2026-01-01T00:00:00Z".parse().unwrap())
    }

    #[test]
    fn every_split_is_tried_once() {
        let splits = splits(&[Rule::Daily, Rule::Weekly, Rule::Monthly, Rule::Yearly], 4);
        assert_eq!(splits.len() as u64, count_splits(4, 4));
        assert_eq!(splits.len(), 35);
        assert!(splits.iter().all(|keep| keep.sum() == 4));
        assert!(splits.iter().enumerate().all(|(place, keep)| !splits[..place].contains(keep)));
    }

    #[test]
    fn rules_that_say_the_same_are_left_out() {
        let of = |expression| rules(&schedule(expression), 4, "2026-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(of("30 3 * * *"), [Rule::Daily, Rule::Weekly, Rule::Monthly, Rule::Yearly]);
        assert_eq!(of("0 * * * *"), [Rule::Hourly, Rule::Daily, Rule::Weekly, Rule::Monthly, Rule::Yearly]);
        assert_eq!(of("0 */6 * * *"), [Rule::Last, Rule::Daily, Rule::Weekly, Rule::Monthly, Rule::Yearly]);
        assert_eq!(of("0 5 * * sun"), [Rule::Weekly, Rule::Monthly, Rule::Yearly]);
        assert_eq!(of("0 5 1 * *"), [Rule::Monthly, Rule::Yearly]);
        assert_eq!(rules(&schedule("30 3 * * *"), 50, Timestamp::UNIX_EPOCH), [Rule::Daily, Rule::Weekly, Rule::Monthly]);
    }

    /// Issue 4.9: splits of the same four slots that are better on both counts than `daily 2 weekly 1 monthly 1`.
    #[test]
    fn better_ones_are_better_on_both() {
        let found = found("30 3 * * *", "daily=2,weekly=1,monthly=1", 4);
        assert_eq!(found.present, Some(Worth { reach: SignedDuration::from_hours(72), ratio: 11.0 }));
        let better: Vec<&Suggestion> = found.suggestions.iter().filter(|found| found.aims.contains(&Aim::Better)).collect();
        assert!(!better.is_empty());
        for split in better {
            assert!(split.keep.sum() == 4 && split.worth.reach > SignedDuration::from_hours(72) && split.worth.ratio < 11.0, "{split:?}");
        }
    }

    #[test]
    fn the_best_of_each_aim_is_that_of_a_plain_search() {
        let found = found("30 3 * * *", "daily=4", 4);
        let moments = Moments::new(&schedule("30 3 * * *"), "2026-01-01T00:00:00Z".parse().unwrap());
        let all: Vec<Worth> = splits(&found.rules, 4).iter().filter_map(|keep| moments.worth(keep)).collect();
        let of = |aim| found.suggestions.iter().find(|found| found.aims.contains(&aim)).unwrap().worth;
        assert_eq!(of(Aim::Furthest).reach, all.iter().map(|worth| worth.reach).max().unwrap());
        assert_eq!(of(Aim::ShortestGaps).ratio, 1.0);
        // The places on the two scales, written down once more: the balanced one's worse place is nobody's worse place's worse.
        let ln = |worth: &Worth| (worth.reach.as_secs_f64().ln(), worth.ratio.ln());
        let most = |of: fn((f64, f64)) -> f64| all.iter().map(|worth| of(ln(worth))).fold(f64::MIN, f64::max);
        let least = |of: fn((f64, f64)) -> f64| all.iter().map(|worth| of(ln(worth))).fold(f64::MAX, f64::min);
        let worse = |worth: &Worth| {
            let reach = (ln(worth).0 - least(|ln| ln.0)) / (most(|ln| ln.0) - least(|ln| ln.0));
            let gap = (most(|ln| ln.1) - ln(worth).1) / (most(|ln| ln.1) - least(|ln| ln.1));
            reach.min(gap)
        };
        let best = all.iter().map(worse).fold(f64::MIN, f64::max);
        assert!((worse(&of(Aim::Balanced)) - best).abs() < 1e-9 && best > 0.3, "{found:?}");
        assert!(found.suggestions.iter().all(|split| !split.aims.contains(&Aim::Better)), "nothing has smaller gaps than every day");
    }
}
