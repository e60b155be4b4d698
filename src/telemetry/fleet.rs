//! The gauges that a report tells: written straight into the exposition, so that nothing is kept per server between two scrapes.

use std::collections::BTreeMap;
use std::ops::Range;

use super::exposition::{Exposition, Number, push_first_label, push_label};
use crate::domain::inventory::Kind;
use crate::domain::problem::{AccountReason, Problem, Reason};
use crate::domain::report::{Report, Seen, TargetReport};

/// About how long the text for a report gets, in bytes.
pub fn size_estimate(report: &Report) -> usize {
    8 * 1024 + report.targets.len() * 800
}

/// Writes every gauge of contract §5 that a report tells, in a fixed order.
pub fn write(report: &Report, out: &mut Exposition) {
    write_account(report, out);
    write_policies(report, out);
    write_problem_counts(report, out);
    let labels = TargetLabels::new(&report.targets);
    write_times(report, &labels, out);
    write_seen(report, &labels, out);
    write_problems(report, &labels, out);
}

fn write_account(report: &Report, out: &mut Exposition) {
    out.gauge("snapwarden_servers_configured", "How many servers have a policy.").sample("", whole(report.servers_configured));
    out.gauge("snapwarden_provider_up", "Whether the provider answered last time.").sample("", report.provider_up);
    let mut skew = out.gauge("snapwarden_provider_clock_skew_seconds", "The provider's clock minus ours.");
    if let Some(seconds) = report.clock_skew_seconds {
        skew.sample("", Number::Real(seconds));
    }
    let mut problems = out.gauge("snapwarden_account_problem", "Whether this is wrong with the account as a whole.");
    for reason in AccountReason::ALL {
        let stands = report.account.iter().any(|problem| problem.reason == *reason);
        problems.sample_of(&[("reason", reason.as_str())], stands);
    }
    let mut limits = out.gauge("snapwarden_slots_limit", "How many items of a kind a server may have.");
    for kind in Kind::ALL {
        limits.sample_of(&[("kind", kind.as_str())], report.limits.of(kind));
    }
}

fn write_policies(report: &Report, out: &mut Exposition) {
    let mut policies: Vec<_> = report.policies.iter().collect();
    policies.sort_unstable_by(|a, b| (&a.policy, a.kind).cmp(&(&b.policy, b.kind)));
    policies.dedup_by(|a, b| (&a.policy, a.kind) == (&b.policy, b.kind));
    let mut next = out.gauge("snapwarden_next_run_timestamp_seconds", "The next scheduled time of a policy, before splay.");
    for policy in &policies {
        if let Some(time) = policy.next_run_at {
            next.sample_of(&[("kind", policy.kind.as_str()), ("policy", &policy.policy)], time);
        }
    }
    let mut interval = out.gauge("snapwarden_expected_interval_seconds", "The longest time between two scheduled times of a policy.");
    for policy in &policies {
        let labels = [("kind", policy.kind.as_str()), ("policy", &*policy.policy)];
        interval.sample_of(&labels, Number::Real(policy.expected_interval.as_secs_f64()));
    }
}

fn write_problem_counts(report: &Report, out: &mut Exposition) {
    let mut counts: BTreeMap<(Kind, Reason), usize> = BTreeMap::new();
    for target in &report.targets {
        for reason in reasons(target) {
            *counts.entry((target.kind, reason)).or_default() += 1;
        }
    }
    let mut family = out.gauge("snapwarden_problems", "How many servers have this problem.");
    for kind in Kind::ALL {
        for reason in Reason::ALL {
            let count = counts.get(&(kind, *reason)).copied().unwrap_or(0);
            family.sample_of(&[("kind", kind.as_str()), ("reason", reason.as_str())], whole(count));
        }
    }
}

fn write_times(report: &Report, labels: &TargetLabels, out: &mut Exposition) {
    let mut success = out.gauge("snapwarden_last_success_timestamp_seconds", "When a run last ended well; 0: never.");
    for (target, labels) in labels.with(&report.targets) {
        success.sample(labels, target.last_success_at.map_or(Number::Whole(0), Number::from));
    }
    let mut overdue = out.gauge("snapwarden_overdue_after_timestamp_seconds", "When the next success is due, lateness allowed for.");
    for (target, labels) in labels.with(&report.targets) {
        if let Some(time) = target.overdue_after {
            overdue.sample(labels, time);
        }
    }
}

/// The gauges that are absent before the first listing.
fn write_seen(report: &Report, labels: &TargetLabels, out: &mut Exposition) {
    type Value = fn(&Seen) -> Number;
    let families: [(&'static str, &'static str, Value); 4] = [
        (
            "snapwarden_newest_restore_point_timestamp_seconds",
            "When the newest completed item that is ours or adopted was begun; 0: there is none.",
            |seen| seen.newest_completed_at.map_or(Number::Whole(0), Number::from),
        ),
        ("snapwarden_restore_points", "Completed items that are ours or adopted.", |seen| seen.restore_points.into()),
        ("snapwarden_slots_used", "Items that count against the cap, whoever made them.", |seen| seen.used.into()),
        ("snapwarden_slots_used_by_others", "Items that count against the cap and are neither ours nor adopted.", |seen| {
            seen.others.into()
        }),
    ];
    for (name, help, value) in families {
        let mut family = out.gauge(name, help);
        for (target, labels) in labels.with(&report.targets) {
            if let Some(seen) = &target.seen {
                family.sample(labels, value(seen));
            }
        }
    }
}

fn write_problems(report: &Report, labels: &TargetLabels, out: &mut Exposition) {
    let mut family = out.gauge("snapwarden_problem", "1 while this is wrong with a server's snapshots or backups.");
    let mut text = String::new();
    for (target, labels) in labels.with(&report.targets) {
        for reason in reasons(target) {
            text.clear();
            text.push_str(labels);
            push_label(&mut text, "reason", reason.as_str());
            family.sample(&text, true);
        }
    }
}

/// The reasons of a target's problems, each once: two samples alike would make the whole scrape invalid.
fn reasons(target: &TargetReport) -> impl Iterator<Item = Reason> {
    let first = |(index, problem): &(usize, &Problem)| !target.problems[..*index].iter().any(|earlier| earlier.reason == problem.reason);
    target.problems.iter().enumerate().filter(first).map(|(_, problem)| problem.reason)
}

fn whole(count: usize) -> Number {
    Number::Whole(count as u64)
}

/// The labels `server`, `server_id`, `kind` and `policy` of every target, escaped once for all families.
struct TargetLabels {
    text: String,
    places: Vec<Range<usize>>,
}

impl TargetLabels {
    fn new(targets: &[TargetReport]) -> TargetLabels {
        let mut labels = TargetLabels { text: String::with_capacity(targets.len() * 96), places: Vec::with_capacity(targets.len()) };
        for target in targets {
            let start = labels.text.len();
            push_first_label(&mut labels.text, "server", &target.server_name);
            push_label(&mut labels.text, "server_id", &target.server.to_string());
            push_label(&mut labels.text, "kind", target.kind.as_str());
            push_label(&mut labels.text, "policy", &target.policy);
            labels.places.push(start..labels.text.len());
        }
        labels
    }

    fn with<'a>(&'a self, targets: &'a [TargetReport]) -> impl Iterator<Item = (&'a TargetReport, &'a str)> {
        targets.iter().zip(self.places.iter().map(|place| &self.text[place.clone()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Metrics, samples};

    #[test]
    fn a_small_report_gives_exactly_this_text() {
        let text = Metrics::render_gauges(&samples::report());
        assert_eq!(text, include_str!("fleet_golden.prom"), "the text is:\n{text}");
    }

    #[test]
    fn a_reason_told_twice_is_written_once() {
        let mut report = samples::report();
        let again = Problem { reason: Reason::CapFull, detail: "again".into() };
        report.targets[0].problems.push(again);
        let text = Metrics::render_gauges(&report);
        assert_eq!(text.matches("\nsnapwarden_problem{").count(), 2);
    }

    #[test]
    fn no_sample_comes_twice_and_families_stay_together() {
        let text = Metrics::render_gauges(&samples::report());
        let mut series = std::collections::BTreeSet::new();
        let mut family = "";
        for line in text.lines() {
            match line.strip_prefix("# TYPE ") {
                Some(rest) => family = rest.split(' ').next().unwrap(),
                None if line.starts_with('#') => {}
                None => {
                    let (name, _) = line.rsplit_once(' ').unwrap();
                    assert!(series.insert(name), "{name}");
                    assert_eq!(name.split('{').next().unwrap(), family);
                }
            }
        }
    }
}
