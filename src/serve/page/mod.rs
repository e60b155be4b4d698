//! The status page: one document, read-only, the worst first. It works without its script, which only asks for it again every few seconds and
//! while one types. All text goes into it through maud, which escapes it; what comes from outside also through [`text::Text`].

mod drawing;
mod query;
mod rows;
mod text;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use jiff::Timestamp;
use maud::{DOCTYPE, Markup, html};

use self::drawing::{Axis, legend, slots};
use self::rows::{Gravity, Row, Selection, Shared, is_overdue, select};
use self::text::{Sentence, Text, count, counted, exact, when};
use crate::domain::advice::{Advice, OVERDUE};
use crate::domain::inventory::Kind;
use crate::domain::report::{Report, TargetReport};

pub use self::query::{Query, Sort};

/// The page's style sheet, at `/style.css`.
pub const STYLE: &str = include_str!("style.css");
/// The page's script, at `/status.js`.
pub const SCRIPT: &str = include_str!("status.js");
/// The page's icon, at `/icon.svg`.
pub const ICON: &str = include_str!("icon.svg");

/// Without a script, a browser asks for the page again after so many seconds; not sooner, since that loses what is being typed.
const RELOAD_SECONDS: u32 = 60;

/// The page as text.
#[derive(Debug)]
pub struct Page {
    /// The whole document.
    pub html: String,
    /// A number for what it tells, apart from the moment at which it tells it: the same number, the same content.
    pub tag: u64,
}

/// What the page tells besides a report.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// Whether the configuration that was last read is the one in effect.
    pub config_is_current: bool,
}

/// The page that answers a query.
#[must_use]
pub fn render(report: &Report, about: About, query: &Query) -> Page {
    let selection = select(report, query);
    let axis = Axis::new(report);
    let state = html! { (summary(report, about, &selection)) (account(report)) };
    let servers = servers(report, query, &selection, &axis);
    let form = form(query);
    let mut hasher = DefaultHasher::new();
    (&state.0, &form.0, &servers.0, axis.definitions().0).hash(&mut hasher);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            (head(&selection))
            body {
                header {
                    h1 { "snapwarden" } span.version { (env!("CARGO_PKG_VERSION")) }
                    p.asof { "as of " time id="asof" datetime=(report.at) { (exact(report.at)) } }
                }
                p #stale.stale role="alert" hidden {}
                (axis.definitions())
                main {
                    (state)
                    (form)
                    (servers)
                }
                footer {
                    (legend())
                    p {
                        a href="/metrics" { "Metrics" } " · " a href="/api/v1/status" { "Status as JSON" } " · "
                        "Times are UTC; hover over one for the exact time."
                    }
                }
            }
        }
    };
    Page { html: page.into_string(), tag: hasher.finish() }
}

fn head(selection: &Selection<'_>) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            noscript { meta http-equiv="refresh" content=(RELOAD_SECONDS); }
            title { @if selection.troubled > 0 { "(" (count(selection.troubled)) ") " } "snapwarden" }
            link rel="icon" type="image/svg+xml" href="/icon.svg";
            link rel="stylesheet" href="/style.css";
            script src="/status.js" defer {}
        }
    }
}

fn summary(report: &Report, about: About, selection: &Selection<'_>) -> Markup {
    let running = report.targets.iter().filter(|target| target.running).count();
    let troubled = selection.troubled;
    html! {
        ul #summary.summary {
            li { b { (count(report.servers_configured)) } @if report.servers_configured == 1 { " server" } @else { " servers" } }
            li class=(if troubled > 0 { "failure" } else { "fine" }) {
                @if troubled > 0 { b { (count(troubled)) } " with problems" } @else { "no problems" }
            }
            @if running > 0 { li.running { b { (count(running)) } @if running == 1 { " run on" } @else { " runs on" } } }
            li class=(if report.provider_up { "fine" } else { "failure" }) {
                @if report.provider_up { "provider answers" } @else { "provider does not answer" }
            }
            @if !about.config_is_current {
                li.warning title="The configuration that was last read is invalid: see the log. The one before it stays in effect." {
                    "configuration refused, the older one is in effect"
                }
            }
            (leader(report))
            @if !report.observed { li.warning { "waiting for the first listing" } }
        }
    }
}

/// Which replica acts, where there are several.
fn leader(report: &Report) -> Markup {
    html! {
        @if let Some(leader) = &report.leader {
            @if leader.leads {
                li.fine title=(Text(&leader.identity)) { "leads" }
            } @else if let Some(holder) = leader.holder.as_ref().filter(|holder| **holder != leader.identity) {
                li title=(Text(&leader.identity)) { "stands by: " b { (Text(holder)) } " leads" }
            } @else {
                li.warning title=(Text(&leader.identity)) { "stands by: nobody leads" }
            }
        }
    }
}

fn account(report: &Report) -> Markup {
    html! {
        div #account {
            @if !report.account.is_empty() {
                h2 { "Account" }
                ul.problems {
                    @for problem in &report.account {
                        li.failure {
                            p { b.reason { (problem.reason.as_str()) } " " (Text(&problem.detail)) }
                            (advice(problem.reason.advice()))
                        }
                    }
                }
            }
        }
    }
}

fn form(query: &Query) -> Markup {
    html! {
        form method="get" action="/" role="search" {
            input type="search" name="q" value=(Text(&query.search)) placeholder="Search name, number, policy, problem"
                aria-label="Search name, number, policy or problem" autocomplete="off" spellcheck="false";
            label { input type="checkbox" name="problems" value="1" checked[query.problems]; "only problems" }
            select name="sort" aria-label="Order" {
                @for (sort, word, words) in Sort::ALL { option value=(word) selected[sort == query.sort] { (words) } }
            }
            button { "Show" }
        }
    }
}

fn servers(report: &Report, query: &Query, selection: &Selection<'_>, axis: &Axis) -> Markup {
    html! {
        div #found.found {
            p role="status" { (found(selection)) }
            (pages(query, selection))
        }
        div #columns.columns aria-hidden="true" {
            span { "Server" } span { "Policy" } span { "Slots" } span { (axis.labels()) } span { "Last success" } span { "Next run" }
        }
        ol #servers.servers {
            @for row in &selection.rows { (server(report, row, axis)) }
        }
        div #more.found { (pages(query, selection)) }
    }
}

fn found(selection: &Selection<'_>) -> String {
    match (selection.found, selection.servers) {
        (_, 0) => "There are no servers with a policy yet.".to_owned(),
        (0, all) => format!("None of {} is like that.", counted(all, "server", "servers")),
        (found, all) if found == all && selection.pages == 1 => String::new(),
        (found, all) if found == all => counted(all, "server", "servers"),
        (found, all) => format!("{} of {}", count(found), counted(all, "server", "servers")),
    }
}

fn pages(query: &Query, selection: &Selection<'_>) -> Markup {
    let (page, pages) = (selection.page, selection.pages);
    html! {
        @if pages > 1 {
            nav aria-label="Pages" {
                @if page > 1 { a rel="prev" href=(query.address(page - 1)) { "← before" } }
                span { "page " (count(page)) " of " (count(pages)) }
                @if page < pages { a rel="next" href=(query.address(page + 1)) { "more →" } }
            }
        }
    }
}

fn server(report: &Report, row: &Row<'_>, axis: &Axis) -> Markup {
    let id = row.targets.first().map_or(0, |target| target.server.0);
    let (class, state) = state(row);
    html! {
        li id={ "server-" (id) } class=(class) {
            h3 {
                @if row.name.is_empty() { span.dim { "unnamed" } } @else { span.name { (Text(row.name)) } }
                " " small { "#" (id) } " " span.state { (state) }
            }
            @for target in row.targets { (target_row(report, target, axis)) }
            (problems(report.at, row))
        }
    }
}

/// The class of a server and the word for it: colour never says it alone.
fn state(row: &Row<'_>) -> (&'static str, &'static str) {
    match row.rank.gravity {
        _ if row.rank.overdue => ("failure", "overdue"),
        Gravity::Failure => ("failure", "problem"),
        Gravity::Warning => ("warning", "warning"),
        Gravity::Notice => ("notice", "notice"),
        Gravity::None => ("fine", "ok"),
    }
}

fn target_row(report: &Report, target: &TargetReport, axis: &Axis) -> Markup {
    let at = report.at;
    let failed_since = target.last_run_at.filter(|run| Some(*run) > target.last_success_at);
    html! {
        div.target {
            span.policy { span.kind { (plural(target.kind)) } " " (Text(&target.policy)) }
            span.slots { (slots(target, report.limits.of(target.kind))) }
            (axis.timeline(target))
            span.success {
                span.label { "Last success " }
                @match target.last_success_at { Some(time) => (when(time, at)), None => span.dim { "never" } }
                @if let Some(run) = failed_since { small { " last run " (when(run, at)) } }
            }
            span.next {
                span.label { "Next run " }
                (next_run(target, at))
            }
        }
    }
}

fn next_run(target: &TargetReport, at: Timestamp) -> Markup {
    html! {
        @if target.running { b.running { "running" } " " }
        @match target.next_run_at { Some(time) => (when(time, at)), None => span.dim { "none" } }
    }
}

fn problems(at: Timestamp, row: &Row<'_>) -> Markup {
    let overdue: Vec<&TargetReport> = row.targets.iter().filter(|target| is_overdue(target, at)).collect();
    let shared = row.problems();
    html! {
        @if !overdue.is_empty() || !shared.is_empty() {
            ul.problems {
                @if !overdue.is_empty() {
                    li.failure {
                        p {
                            b.reason { "overdue" } " "
                            @for (index, target) in overdue.iter().enumerate() {
                                @if index > 0 { ", " }
                                (kinds(&[target.kind]))
                                @if let Some(due) = target.overdue_after { " a success was due " (when(due, at)) }
                            }
                        }
                        (advice(OVERDUE))
                    }
                }
                @for problem in &shared { (problem_item(problem)) }
            }
        }
    }
}

fn problem_item(shared: &Shared<'_>) -> Markup {
    let problem = shared.problem;
    html! {
        li {
            p { b.reason { (problem.reason.as_str()) } " " (kinds(&shared.kinds)) " " (Text(&problem.detail)) }
            (advice(problem.reason.advice()))
        }
    }
}

fn advice(advice: Advice) -> Markup {
    html! {
        p.advice { (Sentence(advice.meaning)) " " span.action { b { "What to do: " } (Sentence(advice.action)) } }
    }
}

fn kinds(kinds: &[Kind]) -> Markup {
    html! {
        @for (index, kind) in kinds.iter().enumerate() {
            @if index > 0 { ", " }
            span.kind { (plural(*kind)) }
        }
    }
}

fn plural(kind: Kind) -> &'static str {
    match kind {
        Kind::Snapshot => "snapshots",
        Kind::Backup => "backups",
    }
}

#[cfg(test)]
mod tests;
