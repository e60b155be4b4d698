//! The servers of a report, as asked for: the worst first, one page at a time.

use std::cmp::{Ordering, Reverse};

use jiff::Timestamp;

use super::query::{Query, Sort};
use crate::domain::inventory::Kind;
use crate::domain::problem::{Problem, Reason};
use crate::domain::report::{Report, TargetReport};

/// So many servers are on one page, which then has about 80 KB: a browser shows it at once (`benches/page.rs`), and people read no further.
pub(super) const SERVERS_MAX: usize = 25;

/// One server with its targets, at least one.
pub(super) struct Row<'a> {
    pub targets: &'a [TargetReport],
    pub name: &'a str,
    pub rank: Rank,
}

/// How much a server needs to be looked at. The greater the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub overdue: bool,
    /// The gravest problem.
    pub gravity: Gravity,
    problems: usize,
    never_done: bool,
}

/// How grave a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Gravity {
    /// There is none.
    None,
    /// It passes by itself, or is somebody's wish.
    Notice,
    /// It has to be looked at, and restore points are made all the same.
    Warning,
    /// No restore points are made.
    Failure,
}

/// What is asked for of a report.
pub(super) struct Selection<'a> {
    /// The servers of this page.
    pub rows: Vec<Row<'a>>,
    /// How many there are on all pages.
    pub found: usize,
    /// The page, perhaps not the one asked for: there may be fewer.
    pub page: usize,
    pub pages: usize,
    /// How many servers there are without any filter, and how many of them have a problem.
    pub servers: usize,
    pub troubled: usize,
}

/// A problem of a server, with the kinds that have it.
pub(super) struct Shared<'a> {
    pub problem: &'a Problem,
    pub kinds: Vec<Kind>,
}

impl Gravity {
    fn of(reason: Reason) -> Gravity {
        match reason {
            Reason::Paused | Reason::Restoring | Reason::Fuse => Gravity::Notice,
            Reason::ListingIncomplete
            | Reason::DeleteFailed
            | Reason::DeleteUnknown
            | Reason::NameMismatch
            | Reason::UnknownStatus
            | Reason::Guard
            | Reason::MarkLost => Gravity::Warning,
            Reason::CapFull
            | Reason::CreateFailed
            | Reason::CreateUnknown
            | Reason::Stuck
            | Reason::ServerMissing
            | Reason::MatchConflict
            | Reason::HookFailed => Gravity::Failure,
        }
    }
}

impl<'a> Row<'a> {
    fn new(targets: &'a [TargetReport], at: Timestamp) -> Row<'a> {
        let problems = targets.iter().flat_map(|target| &target.problems);
        let rank = Rank {
            overdue: targets.iter().any(|target| is_overdue(target, at)),
            gravity: problems.clone().map(|problem| Gravity::of(problem.reason)).max().unwrap_or(Gravity::None),
            problems: problems.count(),
            never_done: targets.iter().any(|target| target.last_success_at.is_none()),
        };
        Row { targets, name: targets.first().map_or("", |target| &target.server_name), rank }
    }

    /// Whether it needs to be looked at.
    pub fn is_troubled(&self) -> bool {
        self.rank.overdue || self.rank.gravity > Gravity::None
    }

    /// What is wrong, each once: a problem of both kinds is one.
    pub fn problems(&self) -> Vec<Shared<'a>> {
        let mut shared: Vec<Shared<'a>> = Vec::new();
        for target in self.targets {
            for problem in &target.problems {
                match shared.iter_mut().find(|known| known.problem == problem) {
                    Some(known) => known.kinds.push(target.kind),
                    None => shared.push(Shared { problem, kinds: vec![target.kind] }),
                }
            }
        }
        shared.sort_by_key(|shared| Reverse(Gravity::of(shared.problem.reason)));
        shared
    }

    /// The next run of its targets; servers without any come last.
    fn next_run(&self) -> (bool, Option<Timestamp>) {
        let next = self.targets.iter().filter_map(|target| target.next_run_at).min();
        (next.is_none(), next)
    }

    /// The last success of the target that has waited longest for another; none: there is one that never succeeded.
    fn oldest_success(&self) -> Option<Timestamp> {
        self.targets.iter().map(|target| target.last_success_at).min().flatten()
    }

    fn answers(&self, query: &Query) -> bool {
        (!query.problems || self.is_troubled()) && (query.search.is_empty() || self.contains(&query.search))
    }

    fn contains(&self, text: &str) -> bool {
        let has = |word: &str| word.to_lowercase().contains(text);
        let of_target =
            |target: &TargetReport| has(&target.policy) || target.problems.iter().any(|problem| problem.reason.as_str().contains(text));
        let number = |target: &TargetReport| target.server.to_string().contains(text.trim_start_matches('#'));
        has(self.name) || self.targets.first().is_some_and(number) || self.targets.iter().any(of_target)
    }
}

/// Whether the next success should have come by now.
pub(super) fn is_overdue(target: &TargetReport, at: Timestamp) -> bool {
    target.overdue_after.is_some_and(|due| due < at)
}

/// The servers that are asked for, in their order.
pub(super) fn select<'a>(report: &'a Report, query: &Query) -> Selection<'a> {
    let of_one_server = |a: &TargetReport, b: &TargetReport| a.server == b.server;
    let all = report.targets.chunk_by(of_one_server).map(|targets| Row::new(targets, report.at));
    let (mut servers, mut troubled) = (0, 0);
    let counted = all.inspect(|row| {
        servers += 1;
        troubled += usize::from(row.is_troubled());
    });
    let mut rows: Vec<Row<'a>> = counted.filter(|row| row.answers(query)).collect();
    let order: fn(&Row<'a>, &Row<'a>) -> Ordering = match query.sort {
        Sort::Worst => |a, b| b.rank.cmp(&a.rank),
        Sort::Name => |a, b| a.name.cmp(b.name),
        Sort::Next => |a, b| a.next_run().cmp(&b.next_run()),
        Sort::Oldest => |a, b| a.oldest_success().cmp(&b.oldest_success()),
    };
    // Stable: those alike stay by number.
    rows.sort_by(order);
    let found = rows.len();
    let pages = found.div_ceil(SERVERS_MAX).max(1);
    let page = query.page.min(pages);
    let rows = rows.into_iter().skip((page - 1) * SERVERS_MAX).take(SERVERS_MAX).collect();
    Selection { rows, found, page, pages, servers, troubled }
}
