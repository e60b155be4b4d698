//! The status page: plain HTML without a script, the worst first.

use std::cmp::Reverse;
use std::fmt::Write as _;

use jiff::Timestamp;

use crate::domain::report::{Report, TargetReport};
use crate::telemetry::printable;

/// The page's style sheet, at `/style.css`.
pub const STYLE: &str = include_str!("style.css");

/// Rows shown at most; the rest is counted, and whole at `/api/v1/status`.
const ROWS_MAX: usize = 1000;

const HEAD: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
    <meta http-equiv=\"refresh\" content=\"15\">\n<title>snapwarden</title>\n<link rel=\"stylesheet\" href=\"/style.css\">\n</head>\n<body>\n\
    <h1>snapwarden</h1>\n";

const TABLE_HEAD: &str = "<table>\n<thead><tr><th>Server</th><th>Kind</th><th>Policy</th><th>Restore points</th><th>Slots</th>\
    <th>Newest restore point</th><th>Last success</th><th>Next run</th><th>State</th></tr></thead>\n<tbody>\n";

/// The whole page.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut html = String::with_capacity(4096 + report.targets.len().min(ROWS_MAX) * 600);
    html.push_str(HEAD);
    push_summary(&mut html, report);
    push_table(&mut html, report);
    html.push_str("<p><a href=\"/metrics\">metrics</a> · <a href=\"/api/v1/status\">status as JSON</a></p>\n</body>\n</html>\n");
    html
}

fn push_summary(html: &mut String, report: &Report) {
    let troubled = report.targets.iter().filter(|target| badness(target, report.at).is_bad()).count();
    push(html, format_args!("<p>{} servers, {} of {} entries need attention. ", report.servers_configured, troubled, report.targets.len()));
    html.push_str(if report.provider_up { "The provider answers." } else { "<strong>The provider does not answer.</strong>" });
    push(html, format_args!(" {}</p>\n", time_text(Some(report.at), "")));
    if !report.observed {
        html.push_str("<p>Waiting for the first listing.</p>\n");
    }
    if !report.account.is_empty() {
        html.push_str("<ul class=\"bad\">\n");
        for problem in &report.account {
            push(html, format_args!("<li><strong>{}</strong>: {}</li>\n", problem.reason, escape(&problem.detail)));
        }
        html.push_str("</ul>\n");
    }
}

fn push_table(html: &mut String, report: &Report) {
    let mut targets: Vec<&TargetReport> = report.targets.iter().collect();
    targets.sort_by_key(|target| Reverse(badness(target, report.at))); // stable: those alike stay by server and kind
    html.push_str(TABLE_HEAD);
    for target in targets.iter().take(ROWS_MAX) {
        push_row(html, target, report);
    }
    html.push_str("</tbody>\n</table>\n");
    if targets.len() > ROWS_MAX {
        push(html, format_args!("<p>{} more are not shown here.</p>\n", targets.len() - ROWS_MAX));
    }
}

fn push_row(html: &mut String, target: &TargetReport, report: &Report) {
    let class = if badness(target, report.at).is_bad() { " class=\"bad\"" } else { "" };
    let (points, slots) = match &target.seen {
        Some(seen) => (seen.restore_points.to_string(), format!("{} of {}", seen.used, report.limits.of(target.kind))),
        None => ("?".to_owned(), "?".to_owned()),
    };
    let newest = target.seen.and_then(|seen| seen.newest_completed_at);
    push(html, format_args!("<tr{class}><td>{} <small>#{}</small></td>", escape(&target.server_name), target.server));
    push(html, format_args!("<td>{}</td><td>{}</td><td>{points}</td><td>{slots}</td>", target.kind, escape(&target.policy)));
    push(html, format_args!("<td>{}</td>", time_text(newest, if target.seen.is_some() { "none" } else { "?" })));
    push(html, format_args!("<td>{}</td>", time_text(target.last_success_at, "never")));
    push(html, format_args!("<td>{}</td><td>", time_text(target.next_run_at, "none")));
    push_state(html, target, report.at);
    html.push_str("</td></tr>\n");
}

fn push_state(html: &mut String, target: &TargetReport, at: Timestamp) {
    let overdue = is_overdue(target, at);
    if target.running {
        html.push_str("running ");
    }
    if overdue {
        html.push_str("<strong>overdue</strong> ");
    }
    for problem in &target.problems {
        push(html, format_args!("<div><strong>{}</strong>: {}</div>", problem.reason, escape(&problem.detail)));
    }
    if !target.running && !overdue && target.problems.is_empty() {
        html.push_str("ok");
    }
}

/// How much a row needs to be looked at: problems first, then what is overdue, then what was never done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Badness {
    overdue: bool,
    problems: usize,
    never_done: bool,
}

impl Badness {
    fn is_bad(self) -> bool {
        self.overdue || self.problems > 0
    }
}

fn badness(target: &TargetReport, at: Timestamp) -> Badness {
    Badness { overdue: is_overdue(target, at), problems: target.problems.len(), never_done: target.last_success_at.is_none() }
}

fn is_overdue(target: &TargetReport, at: Timestamp) -> bool {
    target.overdue_after.is_some_and(|due| due < at)
}

fn time_text(time: Option<Timestamp>, otherwise: &str) -> String {
    match time {
        Some(time) => {
            format!("<time datetime=\"{time}\">{}</time>", time.strftime("%Y-%m-%d %H:%M:%S UTC"))
        }
        None => otherwise.to_owned(),
    }
}

/// Text from outside as HTML text or attribute: first made [`printable()`], then escaped.
fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len() + 16);
    for c in printable(text).chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
    html
}

/// Writing to a String never fails.
fn push(html: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = html.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::inventory::Kind;
    use crate::domain::problem::{Problem, Reason};
    use crate::telemetry::samples;

    #[test]
    fn hostile_names_are_text() {
        let mut report = samples::report();
        report.targets[0].problems = vec![Problem { reason: Reason::Stuck, detail: "<img src=x onerror='a'>&\u{202e}".into() }];
        let html = render(&report);
        assert!(html.contains("db&quot;\\\\u{a}&lt;script&gt;alert(1)&lt;/script&gt;"), "{html}");
        assert!(html.contains("&lt;img src=x onerror=&#39;a&#39;&gt;&amp;\\u{202e}"), "{html}");
        assert!(!html.contains("<script") && !html.contains("<img"));
    }

    #[test]
    fn the_worst_comes_first() {
        let mut report = samples::empty_report();
        let done = Some(report.at);
        let problems = vec![Problem { reason: Reason::Stuck, detail: "x".into() }];
        report.targets = vec![
            TargetReport { last_success_at: done, ..samples::target(1, "fine", Kind::Snapshot, "p") },
            samples::target(2, "never", Kind::Snapshot, "p"),
            TargetReport { last_success_at: done, problems, ..samples::target(3, "troubled", Kind::Snapshot, "p") },
            TargetReport { overdue_after: Some(Timestamp::UNIX_EPOCH), ..samples::target(4, "overdue", Kind::Snapshot, "p") },
        ];
        let html = render(&report);
        let places: Vec<_> = ["overdue <", "troubled <", "never <", "fine <"].iter().map(|name| html.find(name).unwrap()).collect();
        assert!(places.is_sorted(), "{places:?}");
        assert!(html.contains("2 of 4 entries need attention"));
    }

    #[test]
    fn a_large_fleet_is_cut_and_the_rest_counted() {
        let mut report = samples::empty_report();
        report.targets = (0..1003).map(|id| samples::target(id, "s", Kind::Backup, "p")).collect();
        let html = render(&report);
        assert_eq!(html.matches("<tr><td>").count(), ROWS_MAX);
        assert!(html.contains("3 more are not shown here"));
    }
}
