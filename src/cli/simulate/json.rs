//! The story as JSON (docs/choosing-a-policy.md describes it). Times are RFC 3339, lengths are seconds.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::simulate::{Aftermath, Aim, Facts, Gap, HORIZON_DAYS, Life, PlayedKind, Suggested, Worth, ends_of_days, points_at};

use super::told::{Story, Told, Tried};

#[derive(Serialize)]
pub(super) struct StoryJson {
    days: u32,
    policies: Vec<ToldJson>,
}

#[derive(Serialize)]
struct ToldJson {
    policy: String,
    kind: String,
    schedule: Vec<String>,
    timezone: String,
    cap: u32,
    leave_free: u32,
    from: String,
    until: String,
    #[serde(flatten)]
    measured: MeasuredJson,
    calls_per_day: CallsJson,
    outage: Option<OutageJson>,
    days: Vec<DayJson>,
    restore_points: Vec<LifeJson>,
    suggested: Option<SuggestedJson>,
}

/// What is told of counts under `keep`, those of the policy or suggested ones.
#[derive(Serialize)]
struct MeasuredJson {
    keep: String,
    worth: Option<WorthJson>,
    first_at: Option<String>,
    settled_at: Option<String>,
    points: Option<CountsJson>,
    oldest: Option<AgesJson>,
    widest_gap: Option<GapJson>,
    creates: u64,
    deletes: u64,
    cap_reached: u64,
    room_made: u64,
    blocked: u64,
    missed: u64,
}

#[derive(Serialize)]
struct WorthJson {
    horizon_days: u32,
    reach_seconds: i64,
    gap_ratio: f64,
}

#[derive(Serialize)]
struct CountsJson {
    least: usize,
    most: usize,
}

#[derive(Serialize)]
struct AgesJson {
    least_seconds: i64,
    most_seconds: i64,
}

#[derive(Serialize)]
struct GapJson {
    seconds: i64,
    older: String,
    newer: Option<String>,
    seen_at: String,
}

#[derive(Serialize)]
struct CallsJson {
    runs: f64,
    watching: f64,
}

#[derive(Serialize)]
struct OutageJson {
    from: String,
    until: String,
    failed: u64,
    before: Vec<String>,
    middle: Vec<String>,
    end: Vec<String>,
    first_after: Option<String>,
    as_before_at: Option<String>,
}

#[derive(Serialize)]
struct DayJson {
    ends_at: String,
    restore_points: Vec<String>,
}

#[derive(Serialize)]
struct LifeJson {
    created_at: String,
    completed_at: String,
    deleted_at: Option<String>,
}

#[derive(Serialize)]
struct SuggestedJson {
    slots: u32,
    tried: usize,
    rules: Vec<String>,
    splits: Vec<SplitJson>,
}

#[derive(Serialize)]
struct SplitJson {
    aims: Vec<&'static str>,
    #[serde(flatten)]
    measured: MeasuredJson,
}

pub(super) fn of(story: &Story) -> StoryJson {
    StoryJson { days: story.days, policies: story.told.iter().map(told).collect() }
}

fn told(told: &Told) -> ToldJson {
    let zone = told.policy.schedule.time_zone();
    let day = |end: Timestamp| DayJson { ends_at: text(end), restore_points: texts(&points_at(&told.played.lives, end)) };
    ToldJson {
        policy: told.policy.policy.to_string(),
        kind: told.policy.kind.to_string(),
        schedule: told.policy.schedule.texts().map(str::to_owned).collect(),
        timezone: zone.iana_name().unwrap_or("UTC").to_owned(),
        cap: told.calm.cap,
        leave_free: told.policy.leave_free,
        from: text(told.from),
        until: text(told.until),
        measured: measured(&told.calm, &told.facts, told.worth),
        calls_per_day: CallsJson { runs: rounded(told.run_calls), watching: rounded(told.watching_calls) },
        outage: told.aftermath.as_ref().map(outage),
        days: ends_of_days(told.from, told.until, zone).map(day).collect(),
        restore_points: told.played.lives.iter().map(life).collect(),
        suggested: told.suggested.as_ref().map(|(found, tried)| suggested(found, tried)),
    }
}

fn measured(played: &PlayedKind, facts: &Facts, worth: Option<Worth>) -> MeasuredJson {
    MeasuredJson {
        keep: played.policy.keep.to_string(),
        worth: worth.map(|worth| WorthJson {
            horizon_days: HORIZON_DAYS,
            reach_seconds: worth.reach.as_secs(),
            gap_ratio: rounded(worth.ratio),
        }),
        first_at: facts.first_at.map(text),
        settled_at: facts.settled_at.map(text),
        points: facts.points.map(|(least, most)| CountsJson { least, most }),
        oldest: facts.oldest.map(ages),
        widest_gap: facts.widest_gap.map(gap),
        creates: played.creates,
        deletes: played.deletes,
        cap_reached: played.cap_reached,
        room_made: played.room_made,
        blocked: played.blocked,
        missed: played.missed,
    }
}

fn ages((least, most): (SignedDuration, SignedDuration)) -> AgesJson {
    AgesJson { least_seconds: least.as_secs(), most_seconds: most.as_secs() }
}

fn gap(gap: Gap) -> GapJson {
    GapJson { seconds: gap.length().as_secs(), older: text(gap.older), newer: gap.newer.map(text), seen_at: text(gap.seen_at) }
}

fn outage(told: &Aftermath) -> OutageJson {
    OutageJson {
        from: text(told.outage.from),
        until: text(told.outage.until),
        failed: told.failed,
        before: texts(&told.before),
        middle: texts(&told.middle),
        end: texts(&told.end),
        first_after: told.first_after.map(text),
        as_before_at: told.as_before_at.map(text),
    }
}

fn life(life: &Life) -> LifeJson {
    LifeJson { created_at: text(life.created_at), completed_at: text(life.completed_at), deleted_at: life.deleted_at.map(text) }
}

fn suggested(found: &Suggested, tried: &[Tried]) -> SuggestedJson {
    let split = |(suggestion, tried): (&crate::simulate::Suggestion, &Tried)| SplitJson {
        aims: suggestion.aims.iter().map(|aim| word(*aim)).collect(),
        measured: measured(&tried.played, &tried.facts, Some(suggestion.worth)),
    };
    SuggestedJson {
        slots: found.slots,
        tried: found.tried,
        rules: found.rules.iter().map(ToString::to_string).collect(),
        splits: found.suggestions.iter().zip(tried).map(split).collect(),
    }
}

fn word(aim: Aim) -> &'static str {
    match aim {
        Aim::Furthest => "furthest",
        Aim::ShortestGaps => "shortest_gaps",
        Aim::Balanced => "balanced",
        Aim::Better => "better",
    }
}

/// Whole seconds: what is less comes only from the simulated network.
fn text(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second()).unwrap_or(time).to_string()
}

fn texts(times: &[Timestamp]) -> Vec<String> {
    times.iter().map(|time| text(*time)).collect()
}

fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}
