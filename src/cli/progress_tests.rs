//! What is told of a run, line by line, and on a terminal that only remembers.

use indicatif::InMemoryTerm;

use crate::domain::inventory::ItemId;
use crate::domain::problem::{Problem, Reason};
use crate::telemetry::samples::{fact_target, time};

use super::*;

/// A whole run that makes 802 and deletes 798, with a problem on the way.
fn facts() -> Vec<Fact> {
    let target = || fact_target("web");
    vec![
        Fact::RunStarted { target: target(), run: 1, slot: Some(time("2026-11-21T03:30:00Z")), lateness: None },
        Fact::CreateSent { target: target(), run: 1, op: 5, name: "prod-web\n1".to_owned(), attempt: 2 },
        Fact::CreateInDoubt { target: target(), run: 1, op: 5, error: "timed out".to_owned() },
        Fact::CreateDecided {
            target: target(),
            run: 1,
            op: 5,
            item: Some(ItemId(802)),
            name: "prod-web".to_owned(),
            result: OpResult::Success,
            error: None,
        },
        Fact::Completed { target: target(), run: 1, item: ItemId(802) },
        Fact::DeleteSent {
            target: target(),
            run: 1,
            op: 6,
            item: ItemId(798),
            name: "old".to_owned(),
            why: "older than the newest".to_owned(),
        },
        Fact::DeleteDecided {
            target: target(),
            run: 1,
            op: 6,
            item: ItemId(798),
            name: "old".to_owned(),
            why: "older than the newest".to_owned(),
            result: OpResult::Success,
            error: None,
        },
        Fact::DeleteDecided {
            target: target(),
            run: 1,
            op: 7,
            item: ItemId(797),
            name: "older".to_owned(),
            why: "older than the newest".to_owned(),
            result: OpResult::Failure,
            error: Some("refused".to_owned()),
        },
        Fact::ProblemRaised { target: target(), problem: Problem { reason: Reason::DeleteFailed, detail: "refused".to_owned() } },
        Fact::RunEnded {
            target: target(),
            run: 1,
            slot: None,
            result: RunResult::Failure,
            duration: Duration::from_secs(125),
            created: vec![ItemId(802)],
            deleted: vec![ItemId(798)],
            problems: vec![],
            error: Some("refused".to_owned()),
        },
    ]
}

const LINES: [&str; 9] = [
    "web-01 (7), snapshot: started for the slot 2026-11-21T03:30:00Z",
    "web-01 (7), snapshot: creating prod-web\\u{a}1, attempt 2",
    "web-01 (7), snapshot: create in doubt: timed out; looking whether it was done",
    "web-01 (7), snapshot: created 802, waiting until it is complete",
    "web-01 (7), snapshot: completed 802",
    "web-01 (7), snapshot: deleted 798: older than the newest",
    "web-01 (7), snapshot: delete 797: failure: refused",
    "web-01 (7), snapshot: delete_failed: refused",
    "web-01 (7), snapshot: ended after 2 min 5 s: failure: refused (created 802, deleted 798)",
];

fn lines_of(color: bool) -> String {
    let written = Arc::new(Mutex::new(Vec::new()));
    let progress = Progress::with(Out::Lines(written.clone()), color);
    facts().iter().for_each(|fact| progress.fact(fact));
    let written = written.lock().unwrap().clone();
    String::from_utf8(written).unwrap()
}

#[test]
fn without_a_terminal_each_thing_that_happens_is_a_line() {
    assert_eq!(lines_of(false), LINES.map(|line| format!("{line}\n")).concat());
}

/// Keeps each write apart from the others.
struct Writes(Vec<Vec<u8>>);

impl Write for Writes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.push(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_line_is_written_at_once() {
    let writes = Arc::new(Mutex::new(Writes(Vec::new())));
    let progress = Progress::with(Out::Lines(writes.clone()), true);
    facts().iter().for_each(|fact| progress.fact(fact));
    let writes = &writes.lock().unwrap().0;
    assert_eq!(writes.len(), LINES.len());
    assert!(writes.iter().all(|line| line.ends_with(b"\n")));
}

#[test]
fn colours_tell_warnings_and_ends() {
    let colors = ["", "", "33", "", "", "", "33", "33", "31"];
    let line = |(line, color): (&str, &str)| match color {
        "" => format!("{line}\n"),
        color => format!("\u{1b}[{color}m{line}\u{1b}[0m\n"),
    };
    assert_eq!(lines_of(true), LINES.into_iter().zip(colors).map(line).collect::<String>());
}

/// A terminal that remembers what is written over, and beside it what stays.
fn terminal() -> (InMemoryTerm, Arc<Mutex<Vec<u8>>>, Progress) {
    let (term, stays) = (InMemoryTerm::new(30, 100), Arc::new(Mutex::new(Vec::new())));
    let target = ProgressDrawTarget::term_like_with_hz(Box::new(term.clone()), 255);
    let progress = Progress::with(Out::Terminal(Terminal::new(target), stays.clone()), false);
    (term, stays, progress)
}

#[test]
fn on_a_terminal_what_passes_is_written_over_and_what_matters_stays() {
    let (term, stays, progress) = terminal();
    let facts = facts();
    facts[..4].iter().for_each(|fact| progress.fact(fact));
    let Out::Terminal(shown, _) = &progress.out else { panic!("it is a terminal") };
    let spinner = |spinner: &ProgressBar| format!("{}: {}", spinner.prefix(), spinner.message());
    assert_eq!(shown.spinners().values().map(spinner).collect::<Vec<_>>(), [LINES[3]]);
    facts[4..].iter().for_each(|fact| progress.fact(fact));
    progress.end();
    let expected = [2, 4, 5, 6, 7, 8].map(|index: usize| format!("{}\n", LINES[index])).concat();
    assert_eq!(String::from_utf8(stays.lock().unwrap().clone()).unwrap(), expected);
    assert_eq!(term.contents(), "");
}

#[test]
fn each_target_has_a_line_and_no_more_than_fit() {
    let (term, _, progress) = terminal();
    for number in 0..100 {
        progress.tell(&format!("server-{number:02}"), State::Step, "waiting", Duration::from_secs(61));
    }
    let Out::Terminal(shown, _) = &progress.out else { panic!("it is a terminal") };
    let about = |server: &str| shown.spinners().get(server).map(ProgressBar::message);
    let many = shown.spinners().len();
    assert_eq!((many, about("server-11").as_deref(), about("server-50")), (SPINNERS_MAX, Some("waiting"), None));
    // What is drawn, and how often, is a matter of speed; the first one is there in any case.
    let lines = term.contents();
    assert!(lines.starts_with("⠁ server-00: ") && lines.contains("00:01:0"), "{lines}");
    assert!(lines.lines().all(|line| line.chars().count() <= 100), "{lines}");
    progress.tell("server-03", State::Done, "ended", Duration::ZERO);
    progress.tell("server-50", State::Step, "goes on", Duration::ZERO);
    assert_eq!((about("server-03"), about("server-50").as_deref()), (None, Some("goes on")));
}

#[test]
fn how_long_something_took() {
    let told = |millis| span(Duration::from_millis(millis));
    assert_eq!([told(320), told(9_949), told(12_900), told(185_000)], ["0.3 s", "9.9 s", "12 s", "3 min 5 s"]);
}
