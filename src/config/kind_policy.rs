//! What a policy says of one kind, and the proof that it fits the provider's cap.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::inventory::Kind;
use crate::domain::policy::{AtCap, KindPolicy, Limits, TextOnce};
use crate::domain::retention::Keep;

use super::diagnostics::quoted;
use super::duration::LONGEST;
use super::general::read_zone;
use super::hooks;
use super::intern::{Interner, Timing, Zone};
use super::report::{Field, Fields, Report};
use super::tree::{Node, Span};

/// The keys of one kind of a policy.
const KEYS: [&str; 12] =
    ["schedule", "timezone", "splay", "catch_up", "keep", "leave_free", "at_cap", "adopt", "protect", "min_keep", "stuck_after", "hooks"];

const RULES: [&str; 6] = ["last", "hourly", "daily", "weekly", "monthly", "yearly"];

/// The longest default of `catch_up`: later than that, a backup runs at a time of day nobody has chosen.
const CATCH_UP_DEFAULT_MAX: Duration = Duration::from_secs(2 * 3600);

/// A time far beyond every sane interval between runs.
const WAIT_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// What all policies have in common.
#[derive(Debug)]
pub(super) struct Common<'a> {
    pub report: &'a mut Report,
    pub interner: &'a mut Interner,
    pub limits: Limits,
    pub zone: Zone,
}

/// The name of a kind's section.
pub(super) fn section_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Snapshot => "snapshots",
        Kind::Backup => "backups",
    }
}

/// Reads what `defaults` say of a kind, for its errors only: nothing in it is required.
pub(super) fn check_defaults(common: &mut Common<'_>, kind: Kind, node: &Node, at: Span) {
    if let Some(fields) = common.report.fields(section_name(kind), node, at, &KEYS) {
        read(common, &Arc::from("defaults"), kind, fields);
    }
}

/// Reads one kind of a policy. `at` is where to point when a key is missing. None: it is wrong, and reported.
pub(super) fn convert(common: &mut Common<'_>, policy: &Arc<str>, kind: Kind, node: &Node, at: Span) -> Option<KindPolicy> {
    let before = common.report.count();
    let name = section_name(kind);
    let fields = common.report.fields(name, node, at, &KEYS)?;
    for (key, hint) in [
        ("schedule", "add `schedule: \"30 3 * * *\"`"),
        ("keep", "add `keep: {last: 2}`; without it nothing would ever be deleted, nor room made"),
    ] {
        if fields.get(key).node.is_none() {
            common.report.error_hint(at, format!("policy `{policy}`: `{name}` has no `{key}`"), hint);
        }
    }
    let (read, timing) = read(common, policy, kind, fields)?;
    // A proof on values that are wrong themselves would tell consequences, not causes.
    if common.report.count() == before {
        prove_cap(common, &read, fields);
        prove_splay(common, &read, &timing, fields);
    }
    (common.report.count() == before).then_some(read)
}

fn read(common: &mut Common<'_>, policy: &Arc<str>, kind: Kind, fields: Fields<'_>) -> Option<(KindPolicy, Timing)> {
    let zone = read_zone(fields.get("timezone"), common.report, common.interner);
    let zone = zone.unwrap_or_else(|| common.zone.clone());
    let timing = read_schedule(common.report, common.interner, fields.get("schedule"), &zone);
    let report = &mut *common.report;
    let splay = report.duration(fields.get("splay"), Duration::ZERO..=WAIT_MAX).unwrap_or_default();
    let catch_up = report.duration(fields.get("catch_up"), Duration::ZERO..=WAIT_MAX);
    let keep = read_keep(fields.get("keep"), report);
    let leave_free = report.count_in(fields.get("leave_free"), 0..=u32::MAX).unwrap_or(1);
    let at_cap = report.choice(fields.get("at_cap"), &[("rotate", AtCap::Rotate), ("refuse", AtCap::Refuse)]).unwrap_or(AtCap::Rotate);
    let adopt = report.globs(fields.get("adopt"));
    let protect = report.globs(fields.get("protect"));
    let min_keep = report.count_in(fields.get("min_keep"), 1..=u32::MAX).unwrap_or(1);
    let stuck_after = report.duration(fields.get("stuck_after"), Duration::from_millis(100)..=LONGEST).unwrap_or(Duration::from_secs(3600));
    let hooks = hooks::read(fields, report);
    let timing = timing?;
    let policy = KindPolicy {
        policy: Arc::clone(policy),
        kind,
        schedule: Arc::clone(&timing.schedule),
        splay,
        catch_up: catch_up.unwrap_or_else(|| default_catch_up(&timing)),
        keep: keep?,
        leave_free,
        at_cap,
        adopt: adopt?,
        protect: protect?,
        min_keep,
        stuck_after,
        hooks,
        text: TextOnce::default(),
    };
    Some((policy, timing))
}

/// Half of the shortest interval, at most [`CATCH_UP_DEFAULT_MAX`].
fn default_catch_up(timing: &Timing) -> Duration {
    timing.shortest_up_to(CATCH_UP_DEFAULT_MAX * 2).map_or(CATCH_UP_DEFAULT_MAX, |shortest| shortest / 2)
}

fn read_schedule(report: &mut Report, interner: &mut Interner, field: Field<'_>, zone: &Zone) -> Option<Timing> {
    let nodes = report.texts(field)?;
    if nodes.is_empty() {
        report.error(field.node?.span, "`schedule` is empty");
        return None;
    }
    for (text, node) in &nodes {
        if let Err(why) = interner.expression(text) {
            report.error_hint(node.span, format!("`schedule` {}: {why}", quoted(text)), why.hint());
        }
    }
    let texts: Vec<&str> = nodes.iter().map(|(text, _)| *text).collect();
    interner.timing(&texts, zone)
}

fn read_keep(field: Field<'_>, report: &mut Report) -> Option<Keep> {
    let node = field.node?;
    let before = report.count();
    let fields = report.fields(field.name, node, node.span, &RULES)?;
    let mut rule = |name| report.count_in(fields.get(name), 1..=u32::MAX).unwrap_or(0);
    let keep = Keep {
        last: rule("last"),
        hourly: rule("hourly"),
        daily: rule("daily"),
        weekly: rule("weekly"),
        monthly: rule("monthly"),
        yearly: rule("yearly"),
    };
    if report.count() > before {
        return None;
    }
    if keep.is_empty() {
        report.error_hint(node.span, "`keep` is empty: nothing would be kept", "say how many, as in `keep: {daily: 2, weekly: 2}`");
        return None;
    }
    Some(keep)
}

/// `keep`, `leave_free`, `min_keep` and `at_cap` must go together with the cap, or every run would be blocked.
fn prove_cap(common: &mut Common<'_>, policy: &KindPolicy, fields: Fields<'_>) {
    let cap = common.limits.of(policy.kind);
    let (name, leave_free, min_keep) = (&policy.policy, policy.leave_free, policy.min_keep);
    let what = section_name(policy.kind);
    let report = &mut *common.report;
    if leave_free >= cap {
        let message = format!("policy `{name}`: `leave_free: {leave_free}` leaves none of the {cap} slots for {what}");
        return report.error_hint(fields.span("leave_free"), message, format!("at most {}", cap - 1));
    }
    prove_keep(report, policy, cap, fields);
    if policy.at_cap == AtCap::Refuse && leave_free == 0 {
        let message = format!("policy `{name}`: `at_cap: refuse` with `leave_free: 0` would block every run once {cap} {what} are kept");
        report.error_hint(fields.span("at_cap"), message, "use `leave_free: 1`, or `at_cap: rotate`");
    }
    let most = cap - leave_free.max(1);
    if min_keep > most {
        let message =
            format!("policy `{name}`: `min_keep: {min_keep}` leaves no item to give: of {cap} {what} at most {most} may be bound to stay");
        report.error_hint(fields.span("min_keep"), message, format!("at most {most}"));
    }
}

fn prove_keep(report: &mut Report, policy: &KindPolicy, cap: u32, fields: Fields<'_>) {
    let slots = cap - policy.leave_free;
    let sum = policy.keep.sum();
    if sum <= u64::from(slots) {
        return;
    }
    let terms: Vec<String> = policy.keep.rules().map(|(_, count)| count.to_string()).collect();
    let asked = if terms.len() > 1 { format!("{} = {sum}", terms.join(" + ")) } else { sum.to_string() };
    let (name, leave_free, what) = (&policy.policy, policy.leave_free, section_name(policy.kind));
    let message = format!(
        "policy `{name}`: keep asks for {asked}, but only {cap} − {leave_free} = {slots} slots are there for {what} (cap − leave_free)"
    );
    let hint = if leave_free > 0 && sum <= u64::from(cap) {
        format!(
            "keep {} less, or set `leave_free: {}` (with 0, a run makes room before it makes a new one)",
            sum - u64::from(slots),
            u64::from(cap) - sum
        )
    } else {
        format!("keep {} less", sum - u64::from(slots))
    };
    report.error_hint(fields.span("keep"), message, hint);
}

/// A server's offset must not reach into the next slot.
fn prove_splay(common: &mut Common<'_>, policy: &KindPolicy, timing: &Timing, fields: Fields<'_>) {
    if policy.splay > Duration::ZERO
        && let Some(shortest) = timing.shortest_up_to(policy.splay)
    {
        let message = format!(
            "policy `{}`: `splay` of {} is not shorter than the shortest interval of the schedule, {}",
            policy.policy,
            humantime::format_duration(policy.splay),
            humantime::format_duration(shortest)
        );
        common.report.error_hint(fields.span("splay"), message, "a run would start after the next one is due; use a shorter `splay`");
    }
}
