//! What is drawn for a server and kind: its slots as boxes, its restore points on an axis of ages.

use jiff::Timestamp;
use maud::{Markup, html};

use super::text::{counted, exact, relative};
use crate::domain::report::{Report, Seen, SeenItem, Standing, TargetReport};

/// Ages that may be labelled on the axis, in seconds.
const TICKS: [(i64, &str); 9] = [
    (10, "10 s"),
    (60, "1 min"),
    (600, "10 min"),
    (3600, "1 h"),
    (6 * 3600, "6 h"),
    (DAY, "1 d"),
    (7 * DAY, "1 w"),
    (30 * DAY, "1 m"),
    (365 * DAY, "1 y"),
];
const DAY: i64 = 86_400;
/// Ends that the axis may have, in seconds: it does not change with each new item.
const ENDS: [i64; 7] = [600, 3 * 3600, 2 * DAY, 14 * DAY, 60 * DAY, 400 * DAY, 4000 * DAY];
/// Labels are at least so far apart, in parts of the axis.
const TICKS_APART: f64 = 0.09;
/// No more boxes than this are drawn, whatever the cap; the number beside them tells the rest.
const BOXES_MAX: u32 = 40;

/// The axis of ages: logarithmic, now at the right end, the same for the whole page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    now: Timestamp,
    /// Up to this age, in seconds, the axis is about linear.
    unit: f64,
    end: f64,
}

impl Axis {
    /// An axis on which the fleet's most frequent schedule can be told apart and its oldest item still has a place.
    pub fn new(report: &Report) -> Axis {
        let shortest = report.policies.iter().map(|policy| policy.expected_interval.as_secs()).filter(|seconds| *seconds > 0).min();
        let unit = (shortest.unwrap_or(DAY.unsigned_abs()) as f64 / 4.0).clamp(5.0, 6.0 * 3600.0);
        let oldest = report.targets.iter().filter_map(|target| Some(age(report.at, target.items.first()?.at()))).max().unwrap_or(0);
        let least = (unit as i64).saturating_mul(40);
        let end = ENDS.into_iter().find(|end| *end >= oldest.max(least)).unwrap_or(oldest);
        Axis { now: report.at, unit, end: end as f64 }
    }

    /// The place of an age, in parts of the axis from its left end.
    fn place(&self, age: i64) -> f64 {
        let scaled = |age: f64| (1.0 + age / self.unit).ln();
        1.0 - (scaled(age.max(0) as f64) / scaled(self.end)).min(1.0)
    }

    fn percent(&self, age: i64) -> String {
        format!("{:.1}%", self.place(age) * 100.0)
    }

    /// The labelled ages, the oldest last.
    fn ticks(&self) -> Vec<(i64, &'static str)> {
        let mut ticks: Vec<(i64, &str)> = Vec::new();
        for (age, label) in TICKS.into_iter().filter(|(age, _)| *age as f64 <= self.end) {
            // Beside "now", whose label ends at the axis instead of standing in the middle of its place.
            let before = ticks.last().map_or(1.0 - TICKS_APART / 2.0, |(last, _)| self.place(*last));
            if before - self.place(age) >= TICKS_APART {
                ticks.push((age, label));
            }
        }
        ticks
    }

    /// The lines of the axis, once for the page: each timeline refers to them.
    pub fn definitions(&self) -> Markup {
        html! {
            svg.defs aria-hidden="true" width="0" height="0" {
                defs {
                    g id="axis" {
                        line.base x1="0" y1="50%" x2="100%" y2="50%" {}
                        @for (age, _) in self.ticks() {
                            line.tick x1=(self.percent(age)) y1="2" x2=(self.percent(age)) y2="18" {}
                        }
                        line.tick x1="100%" y1="2" x2="100%" y2="18" {}
                    }
                    path id="failed" d="M-3.5-3.5l7 7m0-7l-7 7" {}
                    path id="adopted" d="M0-5l5 5-5 5-5-5z" {}
                }
            }
        }
    }

    /// The labels of the axis.
    pub fn labels(&self) -> Markup {
        html! {
            svg.labels aria-hidden="true" height="14" {
                @for (age, label) in self.ticks() {
                    text x=(self.percent(age)) y="11" { (label) }
                }
                text.now x="100%" y="11" { "now" }
            }
        }
    }

    /// The restore points of a target, each at its age.
    pub fn timeline(&self, target: &TargetReport) -> Markup {
        html! {
            svg.line role="img" height="20" aria-label=(self.in_words(&target.items)) {
                use href="#axis" {}
                @for item in target.items.iter().rev() { (self.mark(*item)) }
            }
        }
    }

    fn mark(&self, item: SeenItem) -> Markup {
        let x = self.percent(age(self.now, item.at()));
        let title = html! { title { (name(item.standing)) ", " (exact(item.at())) } };
        html! {
            @match item.standing {
                Standing::Adopted => use.adopted href="#adopted" x=(x) y="10" { (title) },
                Standing::Failed => use.failed href="#failed" x=(x) y="10" { (title) },
                standing => circle class=(class(standing)) cx=(x) cy="10" r="4.5" { (title) },
            }
        }
    }

    fn in_words(&self, items: &[SeenItem]) -> String {
        let points = items.iter().rev().filter(|item| is_restore_point(item.standing));
        let ages: Vec<String> = points.map(|item| relative(item.at(), self.now)).collect();
        if ages.is_empty() { "No restore points".to_owned() } else { format!("Restore points: {}", ages.join(", ")) }
    }
}

/// The slots of a target as boxes, with their number.
pub(super) fn slots(target: &TargetReport, cap: u32) -> Markup {
    let Some(seen) = target.seen else {
        return html! { span.dim { "not seen yet" } };
    };
    let boxes = boxes(target, &seen, cap);
    html! {
        span.boxes role="img" aria-label=(slots_in_words(&boxes, &seen, cap)) title=(slots_in_words(&boxes, &seen, cap)) {
            @for (standing, number) in &boxes {
                @for _ in 0..*number { i class=[standing.map(class)] {} }
            }
        }
        " "
        span.of { (seen.used) "/" (cap) }
    }
}

/// What the slots hold, in the order of the boxes; `None` is free. What cannot be read counts as others'.
fn boxes(target: &TargetReport, seen: &Seen, cap: u32) -> Vec<(Option<Standing>, u32)> {
    const ORDER: [Standing; 6] =
        [Standing::Ours, Standing::Adopted, Standing::SetAside, Standing::Unfinished, Standing::Failed, Standing::Other];
    let mut boxes = Vec::new();
    let (mut left, mut counted) = (BOXES_MAX, 0);
    for standing in ORDER {
        let of_it = u32::try_from(target.items.iter().filter(|item| item.standing == standing).count()).unwrap_or(u32::MAX);
        let unread = if standing == Standing::Other { seen.used.saturating_sub(counted + of_it) } else { 0 };
        let number = of_it.saturating_add(unread).min(left);
        boxes.push((Some(standing), number));
        (left, counted) = (left - number, counted.saturating_add(of_it));
    }
    boxes.push((None, cap.saturating_sub(seen.used).min(left)));
    boxes.retain(|(_, number)| *number > 0);
    boxes
}

fn slots_in_words(boxes: &[(Option<Standing>, u32)], seen: &Seen, cap: u32) -> String {
    let parts = boxes.iter().map(|(standing, number)| format!("{number} {}", standing.map_or("free", name)));
    format!("{} of {} used: {}", seen.used, counted(cap as usize, "slot", "slots"), parts.collect::<Vec<_>>().join(", "))
}

/// The word for a standing.
pub(super) fn name(standing: Standing) -> &'static str {
    match standing {
        Standing::Ours => "ours",
        Standing::Adopted => "adopted",
        Standing::SetAside => "left alone",
        Standing::Unfinished => "unfinished",
        Standing::Failed => "failed",
        Standing::Other => "others'",
    }
}

/// Its class in the style sheet.
pub(super) fn class(standing: Standing) -> &'static str {
    match standing {
        Standing::Ours => "ours",
        Standing::Adopted => "adopted",
        Standing::SetAside => "aside",
        Standing::Unfinished => "unfinished",
        Standing::Failed => "failed",
        Standing::Other => "other",
    }
}

fn is_restore_point(standing: Standing) -> bool {
    matches!(standing, Standing::Ours | Standing::Adopted | Standing::SetAside)
}

/// In seconds; below zero in the future.
fn age(now: Timestamp, time: Timestamp) -> i64 {
    now.as_second().saturating_sub(time.as_second())
}

/// The legend: what the boxes and marks are.
pub(super) fn legend() -> Markup {
    let boxes = [
        (Some(Standing::Ours), "restore point of ours"),
        (Some(Standing::Adopted), "adopted"),
        (Some(Standing::SetAside), "ours, left alone (held, protected)"),
        (Some(Standing::Unfinished), "unfinished"),
        (Some(Standing::Failed), "failed"),
        (Some(Standing::Other), "others'"),
        (None, "free slot"),
    ];
    html! {
        ul.legend aria-label="Legend" {
            @for (standing, words) in boxes {
                li { span.boxes { i class=[standing.map(class)] {} } " " (words) }
            }
        }
    }
}
