//! Tests of the page as text: its structure, its order, what it says.

use std::time::Duration;

use jiff::SignedDuration;

use super::*;
use crate::domain::problem::{AccountReason, Problem, Reason};
use crate::domain::report::{AccountProblem, Seen, SeenItem, Standing};
use crate::telemetry::samples::{self, time};

const ABOUT: About = About { config_is_current: true };
const VOID: [&str; 4] = ["input", "link", "meta", "!DOCTYPE"];

fn page(report: &Report, query: &str) -> String {
    render(report, ABOUT, &Query::parse(query)).html
}

/// The tags of a page with the names of their attributes, without any text. Ends the test unless every element is closed in its turn.
fn structure(html: &str) -> Vec<String> {
    let mut tags = Vec::new();
    let mut open = Vec::new();
    let mut rest = html;
    while let Some((_, after)) = rest.split_once('<') {
        let mut quoted = false;
        let end = after.find(|c: char| {
            quoted ^= c == '"';
            c == '>' && !quoted
        });
        let (tag, after) = after.split_at(end.unwrap());
        rest = after;
        // What stands between quotes is text.
        let bare: String = tag.split('"').step_by(2).collect::<Vec<_>>().join("\"");
        let name = bare.split_whitespace().next().unwrap();
        match name.strip_prefix('/') {
            Some(closed) => assert_eq!(open.pop().as_deref(), Some(closed), "{html}"),
            None if VOID.contains(&name) => {}
            None => open.push(name.to_owned()),
        }
        tags.push(bare);
    }
    assert!(open.is_empty(), "{open:?}");
    tags
}

/// A report in which every text from outside is this one.
fn saying(text: &str) -> Report {
    let mut report = samples::report();
    for target in &mut report.targets {
        (target.server_name, target.policy) = (text.into(), text.into());
        target.problems = vec![Problem { reason: Reason::Stuck, detail: text.into() }];
    }
    report.account = vec![AccountProblem { reason: AccountReason::Journal, detail: text.into() }];
    report
}

/// A server whose last success was then.
fn done(id: u64, name: &str) -> TargetReport {
    TargetReport { last_success_at: Some(time("2026-11-21T11:00:00Z")), ..samples::target(id, name, Kind::Snapshot, "p") }
}

fn names(report: &Report, query: &str) -> Vec<String> {
    let html = page(report, query);
    html.split("<span class=\"name\">").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned()).collect()
}

#[test]
fn a_small_report_gives_exactly_this_page() {
    let html = page(&samples::report(), "q=b&sort=name");
    structure(&html);
    let main = html.split_once("<main>").unwrap().1.split_once("</main>").unwrap().0.replace("><", ">\n<");
    assert_eq!(main, include_str!("golden.html").trim_end(), "the page is:\n{main}");
}

#[test]
fn no_text_from_outside_changes_the_structure() {
    let harmless = structure(&page(&saying("web"), "q=web"));
    for text in [
        samples::HOSTILE_NAME,
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onmouseover='alert(1)",
        "</li></ol></main><!-- ",
        "a\u{202e}b\u{2028}c\n\r\0",
        "&lt;script&gt;",
        "`code`",
    ] {
        let query: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("q", text).finish();
        let html = page(&saying(text), "");
        assert_eq!(structure(&html), harmless, "{text}");
        assert_eq!(html.contains(text), !text.contains(['<', '&', '\n']), "{text}");
        assert!(!html.contains(['\u{202e}', '\u{2028}', '\0', '\r', '\n']));
        let searched = page(&saying("web"), &query);
        assert_eq!(structure(&searched), structure(&page(&saying("web"), "q=none")), "{text}");
    }
}

#[test]
fn nothing_in_it_is_run_or_loaded_but_our_own_files() {
    let tags = structure(&page(&samples::report(), ""));
    let loads: Vec<_> = tags.iter().filter(|tag| tag.contains("src=") || tag.starts_with("link")).collect();
    assert_eq!(loads, ["link rel=\" type=\" href=\"", "link rel=\" href=\"", "script src=\" defer"]);
    assert!(tags.iter().all(|tag| !tag.contains(" style=") && !tag.contains(" on")));
}

#[test]
fn every_problem_is_shown_with_what_it_means_and_what_to_do() {
    let shown = |sentence: &'static str| html! { (Sentence(sentence)) }.into_string();
    for reason in Reason::ALL {
        let problems = vec![Problem { reason: *reason, detail: "this one".into() }];
        let report = Report { targets: vec![TargetReport { problems, ..done(1, "a") }], ..samples::empty_report() };
        let html = page(&report, "problems=1");
        assert!(html.contains(&format!("<b class=\"reason\">{reason}</b> <span class=\"kind\">snapshots</span> this one")), "{html}");
        assert!(html.contains(&shown(reason.advice().meaning)) && html.contains(&shown(reason.advice().action)), "{reason}");
    }
    for reason in AccountReason::ALL {
        let account = vec![AccountProblem { reason: *reason, detail: "that one".into() }];
        let html = page(&Report { account, ..samples::empty_report() }, "");
        assert!(html.contains(&format!("<b class=\"reason\">{reason}</b> that one")), "{html}");
        assert!(html.contains(&shown(reason.advice().action)), "{reason}");
    }
}

#[test]
fn the_worst_comes_first_and_other_orders_are_kept() {
    let mut report = samples::empty_report();
    let with = |reason| vec![Problem { reason, detail: "x".into() }];
    let next = |text| Some(time(text));
    report.targets = vec![
        TargetReport { next_run_at: next("2026-11-22T00:00:00Z"), ..done(1, "fine") },
        TargetReport { problems: with(Reason::Paused), next_run_at: next("2026-11-21T20:00:00Z"), ..done(2, "paused") },
        TargetReport { problems: with(Reason::CapFull), ..done(3, "full") },
        TargetReport { problems: with(Reason::MarkLost), ..done(4, "marked") },
        samples::target(5, "never", Kind::Snapshot, "p"),
        TargetReport { overdue_after: Some(time("2026-11-21T11:59:59Z")), ..done(6, "overdue") },
    ];
    assert_eq!(names(&report, ""), ["overdue", "full", "marked", "paused", "never", "fine"]);
    assert_eq!(names(&report, "sort=name"), ["fine", "full", "marked", "never", "overdue", "paused"]);
    assert_eq!(names(&report, "sort=next")[..2], ["paused", "fine"]);
    assert_eq!(names(&report, "sort=oldest")[0], "never");
    assert_eq!(names(&report, "problems=1"), ["overdue", "full", "marked", "paused"]);
    let html = page(&report, "problems=1");
    assert!(html.contains("<b>4</b> with problems") && html.contains("4 of 6 servers") && html.contains("<title>(4) snapwarden</title>"));
}

#[test]
fn a_search_looks_into_name_number_policy_and_problems() {
    let mut report = samples::empty_report();
    let problems = vec![Problem { reason: Reason::CapFull, detail: "x".into() }];
    report.targets = vec![
        samples::target(101, "Web-01", Kind::Snapshot, "daily"),
        samples::target(101, "Web-01", Kind::Backup, "sunday"),
        TargetReport { problems, ..samples::target(202, "db<1>", Kind::Snapshot, "daily") },
    ];
    for (query, found) in [
        ("q=wEb", &["Web-01"][..]),
        ("q=%23202", &["db&lt;1&gt;"]),
        ("q=01", &["Web-01"]),
        ("q=DAILY&sort=name", &["Web-01", "db&lt;1&gt;"]),
        ("q=sunday", &["Web-01"]),
        ("q=cap_", &["db&lt;1&gt;"]),
        ("q=b%3C1", &["db&lt;1&gt;"]),
        ("q=nothing", &[]),
        ("q=web&problems=1", &[]),
    ] {
        assert_eq!(names(&report, query), found, "{query}");
    }
    assert!(page(&report, "q=nothing").contains("None of 2 servers is like that."));
}

#[test]
fn a_large_fleet_comes_in_pages_of_a_bounded_size() {
    let mut report = samples::empty_report();
    let item = |days: i64| SeenItem::new(report.at - SignedDuration::from_hours(24 * days), Standing::Ours);
    let problem = |reason| Problem { reason, detail: "x".repeat(200) };
    let target = |id: u64, kind| TargetReport {
        items: (0..10).rev().map(item).collect(),
        seen: Some(Seen { used: 10, restore_points: 10, ..Seen::default() }),
        problems: vec![problem(Reason::CapFull), problem(Reason::DeleteFailed)],
        ..samples::target(id, &format!("server-{id:05}"), kind, "policy")
    };
    report.targets = (1..=1001).flat_map(|id| Kind::ALL.map(|kind| target(id, kind))).collect();
    let first = names(&report, "");
    assert_eq!((first.len(), &*first[0]), (rows::SERVERS_MAX, "server-00001"));
    assert_eq!(names(&report, "page=41"), ["server-01001"]);
    assert_eq!(names(&report, "page=42"), ["server-01001"], "the last one there is");
    let html = page(&report, "q=server&page=2");
    assert!(html.contains("page 2 of 41") && html.contains("href=\"/?q=server\"") && html.contains("href=\"/?q=server&amp;page=3\""));
    assert!(html.len() < 190_000, "{} bytes, where every server has full slots and two problems", html.len());
}

#[test]
fn slots_are_told_by_what_holds_them() {
    let at = time("2026-11-20T00:00:00Z");
    let standings = [Standing::Ours, Standing::Other, Standing::Ours, Standing::Failed, Standing::Unfinished];
    let seen = Some(Seen { used: 7, others: 3, restore_points: 2, newest_completed_at: None });
    let items = standings.map(|standing| SeenItem::new(at, standing)).into_iter().collect();
    let target = TargetReport { seen, items, ..samples::target(1, "a", Kind::Backup, "p") };
    let html = slots(&target, 10).into_string();
    let words = "7 of 10 slots used: 2 ours, 1 unfinished, 1 failed, 3 others', 3 free";
    assert!(html.contains(&format!("aria-label=\"{words}\"")), "what cannot be read counts as others': {html}");
    assert_eq!(html.matches("<i").count(), 10);
    let over = TargetReport { seen: Some(Seen { used: 7, ..Seen::default() }), ..target };
    assert!(slots(&over, 5).into_string().contains("7 of 5 slots used"));
    assert!(slots(&samples::target(1, "a", Kind::Backup, "p"), 5).into_string().contains("not seen yet"));
}

#[test]
fn older_restore_points_stand_further_left() {
    let mut report = samples::report();
    let ages = [400 * 24, 100 * 24, 30 * 24, 24, 3, 0].map(SignedDuration::from_hours);
    report.targets[0].items = ages.iter().map(|age| SeenItem::new(report.at - *age, Standing::Ours)).collect();
    let html = Axis::new(&report).timeline(&report.targets[0]).into_string();
    let places: Vec<f64> = html.split("cx=\"").skip(1).map(|rest| rest.split('%').next().unwrap().parse().unwrap()).collect();
    assert_eq!((places[0], places[5]), (100.0, 0.0), "the newest first, from edge to edge");
    assert!(places.windows(2).all(|pair| pair[0] > pair[1] + 1.0), "{places:?}");
    assert!(html.contains("aria-label=\"Restore points: now, 3 h ago, 24 h ago, 30 d ago, 3 mo ago, 13 mo ago\""), "{html}");
}

#[test]
fn the_axis_fits_schedules_of_seconds_and_of_days() {
    let mut report = samples::report();
    assert!(Axis::new(&report).labels().into_string().contains(">1 w<"));
    report.policies[0].expected_interval = Duration::from_secs(10);
    report.targets.clear();
    let labels = Axis::new(&report).labels().into_string();
    assert!(labels.contains(">10 s<") && !labels.contains(">1 d<"), "{labels}");
}

#[test]
fn the_tag_changes_with_what_is_told_and_only_then() {
    let report = samples::report();
    let tag = |report: &Report, about, query: &str| render(report, about, &Query::parse(query)).tag;
    let known = tag(&report, ABOUT, "");
    let later = Report { at: report.at + SignedDuration::from_millis(300), ..report.clone() };
    assert_eq!(tag(&later, ABOUT, ""), known);
    let down = Report { provider_up: false, ..report.clone() };
    for other in [tag(&down, ABOUT, ""), tag(&report, ABOUT, "q=web"), tag(&report, About { config_is_current: false }, "")] {
        assert_ne!(other, known);
    }
}

#[test]
fn what_stands_over_everything_is_at_the_top() {
    let html = render(&samples::empty_report(), About { config_is_current: false }, &Query::default()).html;
    for words in
        ["provider does not answer", "configuration refused", "waiting for the first listing", "There are no servers with a policy yet."]
    {
        assert!(html.contains(words), "{words}");
    }
    let html = page(&samples::report(), "");
    for words in ["<b>2</b> servers", "provider answers", "<b>1</b> run on", env!("CARGO_PKG_VERSION")] {
        assert!(html.contains(words), "{words}");
    }
}

#[test]
fn a_run_that_did_not_end_well_is_told_beside_the_last_success() {
    let run_at = Some(time("2026-11-21T11:30:00Z"));
    let mut report = samples::empty_report();
    report.targets = vec![TargetReport { last_run_at: run_at, ..done(1, "a") }];
    assert!(page(&report, "").contains("last run <time datetime=\"2026-11-21T11:30:00Z\""));
    report.targets[0].last_success_at = run_at;
    assert!(!page(&report, "").contains("last run <time"));
}
