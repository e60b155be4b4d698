//! Tests of the log lines: what is written, and that hostile text stays in its field.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing_subscriber::layer::SubscriberExt as _;

use super::*;
use crate::domain::hook::HookSide;
use crate::domain::inventory::{ItemId, Kind, ServerId};
use crate::domain::problem::{AccountReason, Problem, Reason};
use crate::domain::record::OpId;
use crate::domain::standing::{HeldItem, Selection};
use crate::telemetry::{logging, samples};

/// Keeps what is written.
#[derive(Clone, Default)]
pub struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn written(format: logging::LogFormat, facts: &[Fact]) -> String {
    written_by(format, || facts.iter().for_each(log))
}

fn written_by(format: logging::LogFormat, write: impl FnOnce()) -> String {
    let page = Page::default();
    let writer = page.clone();
    let layer = logging::file_layer(format, move || writer.clone());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), write);
    String::from_utf8(page.0.lock().unwrap().clone()).unwrap()
}

fn json(fact: Fact) -> serde_json::Value {
    let text = written(logging::LogFormat::Json, &[fact]);
    assert_eq!(text.matches('\n').count(), 1, "one line: {text:?}");
    serde_json::from_str(&text).unwrap()
}

fn all_facts() -> Vec<(Fact, &'static str)> {
    let target = || samples::fact_target("web");
    let slot = samples::time("2026-11-21T03:30:00Z");
    let (run, op, item) = (1, 2, ItemId(9));
    let text = || "x".to_owned();
    let ended = |result| Fact::RunEnded {
        slot: None,
        problems: vec![],
        target: target(),
        run,
        result,
        duration: Duration::from_millis(1500),
        created: vec![item],
        deleted: vec![],
        error: None,
    };
    let created = |result| Fact::CreateDecided { target: target(), run, op, item: Some(item), name: text(), result, error: None };
    let deleted = |result| Fact::DeleteDecided { target: target(), run, op, item, name: text(), why: text(), result, error: None };
    let problem = || Problem { reason: Reason::Stuck, detail: text() };
    vec![
        (Fact::RunStarted { target: target(), run, slot: Some(slot), lateness: None }, "DEBUG"),
        (ended(RunResult::Success), "INFO"),
        (ended(RunResult::Failure), "ERROR"),
        (ended(RunResult::Blocked), "WARN"),
        (ended(RunResult::Skipped), "DEBUG"),
        (Fact::CreateSent { target: target(), run, op, name: text(), attempt: 1 }, "DEBUG"),
        (Fact::CreateInDoubt { target: target(), run, op, error: text() }, "WARN"),
        (created(OpResult::Success), "INFO"),
        (created(OpResult::Failure), "ERROR"),
        (created(OpResult::Unknown), "ERROR"),
        (Fact::Completed { target: target(), run, item }, "INFO"),
        (Fact::DeleteSent { target: target(), run, op, item, name: text(), why: text() }, "DEBUG"),
        (deleted(OpResult::Success), "INFO"),
        (deleted(OpResult::Failure), "ERROR"),
        (Fact::Missed { target: target(), count: 2, newest: slot }, "WARN"),
        (Fact::Lost { target: target(), item, name: text() }, "ERROR"),
        (Fact::GuardRefused { target: target(), run, violation: text() }, "ERROR"),
        (Fact::ProblemRaised { target: target(), problem: problem() }, "WARN"),
        (Fact::ProblemCleared { target: target(), reason: Reason::Stuck }, "INFO"),
        (Fact::AccountProblemRaised { reason: AccountReason::Auth, detail: text() }, "WARN"),
        (Fact::AccountProblemCleared { reason: AccountReason::Auth }, "INFO"),
        (Fact::HookStarted { target: target(), run, side: HookSide::Before }, "DEBUG"),
        (Fact::HookEnded { target: target(), run, side: HookSide::Before, error: None, output: text() }, "INFO"),
        (Fact::HookEnded { target: target(), run, side: HookSide::After, error: Some(text()), output: text() }, "ERROR"),
        (Fact::Note { target: Some(target()), text: text() }, "INFO"),
        (Fact::Note { target: None, text: text() }, "INFO"),
    ]
}

#[test]
fn every_fact_is_one_line_at_its_level() {
    for (fact, level) in all_facts() {
        assert_eq!(json(fact.clone())["level"], level, "{fact:?}");
    }
}

/// Each line of `docs/logs.md` that begins with a message names all of its fields; those who read the JSON rely on it.
#[test]
fn every_message_and_field_is_documented() {
    let page = include_str!("../../docs/logs.md");
    for (fact, level) in all_facts() {
        let line = json(fact);
        let message = line["message"].as_str().unwrap();
        let row = page.lines().find(|row| row.starts_with("| `") && row.split('|').nth(1).unwrap().contains(&format!("`{message}`")));
        let row = row.unwrap_or_else(|| panic!("`{message}` is missing"));
        let levels = row.split('|').nth(2).unwrap();
        assert!(levels.contains(&level.to_lowercase()) || levels.contains("by result"), "{row}: {level}");
        for field in line.as_object().unwrap().keys().filter(|field| !["timestamp", "level", "message"].contains(&field.as_str())) {
            let is_target = ["server", "server_id", "kind", "policy"].contains(&field.as_str());
            assert!(row.contains(&format!("`{field}`")) || (is_target && row.split('|').nth(3).unwrap().contains('T')), "{row}: {field}");
        }
    }
}

#[test]
fn fields_have_their_documented_names() {
    let line = json(Fact::RunEnded {
        slot: None,
        problems: vec![],
        target: samples::fact_target("web"),
        run: 5,
        result: RunResult::Failure,
        duration: Duration::from_millis(1500),
        created: vec![],
        deleted: vec![ItemId(3)],
        error: Some("create: status 500".into()),
    });
    for (field, value) in [("server", "web-01"), ("kind", "snapshot"), ("policy", "web"), ("result", "failure"), ("message", "run ended")] {
        assert_eq!(line[field], value, "{line}");
    }
    for (field, value) in [("server_id", 7), ("run", 5), ("duration_ms", 1500), ("created", 0), ("deleted", 1)] {
        assert_eq!(line[field], value, "{line}");
    }
    assert_eq!(line["error"], "create: status 500");
    let slot = samples::time("2026-11-21T03:30:00Z");
    let line = json(Fact::RunStarted { target: samples::fact_target("web"), run: 5, slot: Some(slot), lateness: Some(Duration::ZERO) });
    assert_eq!((&line["slot"], &line["lateness_ms"]), (&"2026-11-21T03:30:00Z".into(), &0.into()));
    assert!(line["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{line}");
}

/// With the numbers by which the journal knows them, as for creates and deletes.
#[test]
fn orders_of_people_are_a_line_each() {
    let until = samples::time("2026-12-01T00:00:00Z");
    let held = HeldItem { kind: Kind::Snapshot, item: ItemId(801), name: None, server: ServerId(7), server_name: "web\n01".into() };
    let selection = Selection { servers: vec!["web-*".into(), "7".into()], policies: vec!["db".into()], kinds: vec![] };
    let what = [
        Standing::Pause(selection.clone()),
        Standing::Resume(selection),
        Standing::Hold(held.clone()),
        Standing::Release(held),
        Standing::NoDeletes { server: ServerId(7), server_name: "web".into() },
        Standing::Deletes { server: ServerId(7) },
    ];
    let order =
        |(index, what)| StandingOrder { op: OpId(index), what, until, reason: "moving\u{202e}".into(), by: "ann".into(), at: until };
    let orders: Vec<StandingOrder> = (1..).zip(what).map(order).collect();
    let text = written_by(logging::LogFormat::Json, || log_orders(&Ok(orders.clone()), None));
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), orders.len());
    for (line, order) in lines.iter().zip(&orders) {
        assert_eq!((&line["level"], &line["message"]), (&"INFO".into(), &"an order stands".into()));
        assert_eq!((&line["order"], &line["op"], &line["by"]), (&order.what.as_str().into(), &order.op.0.into(), &"ann".into()));
        assert_eq!((&line["until"], &line["text"]), (&until.to_string().into(), &"moving\\u{202e}".into()));
    }
    assert_eq!(
        (&lines[0]["servers"], &lines[0]["policies"], &lines[0]["item"]),
        (&"web-*, 7".into(), &"db".into(), &serde_json::Value::Null)
    );
    assert_eq!((&lines[2]["server"], &lines[2]["server_id"], &lines[2]["item"]), (&"web\\u{a}01".into(), &7.into(), &801.into()));
    let refused = written_by(logging::LogFormat::Json, || log_orders(&Err("no such item".to_owned()), None));
    assert!(refused.contains("\"WARN\"") && refused.contains("an order is refused") && refused.contains("no such item"), "{refused}");
    let late = written_by(logging::LogFormat::Json, || log_orders(&Ok(orders[2..3].to_vec()), Some("it goes")));
    assert!(late.contains("an order stands") && late.contains("an order comes too late") && late.contains("it goes"), "{late}");
    let page = include_str!("../../docs/logs.md");
    let row = page.lines().find(|row| row.starts_with("| `an order stands`")).unwrap();
    let documented = |field: &String| ["timestamp", "level", "message"].contains(&field.as_str()) || row.contains(&format!("`{field}`"));
    assert!(lines.iter().flat_map(|line| line.as_object().unwrap().keys()).all(documented), "{row}");
}

/// At the level at which people read, a delete says why.
#[test]
fn a_delete_says_which_item_and_why() {
    let fact = Fact::DeleteDecided {
        target: samples::fact_target("web"),
        run: 5,
        op: 12,
        item: ItemId(801),
        name: "prod-web-20261101T033000Z".into(),
        why: "older than the 4 newest".into(),
        result: OpResult::Success,
        error: None,
    };
    let line = json(fact.clone());
    for (field, value) in
        [("level", "INFO"), ("name", "prod-web-20261101T033000Z"), ("why", "older than the 4 newest"), ("result", "success")]
    {
        assert_eq!(line[field], value, "{line}");
    }
    let text = written(logging::LogFormat::Text, &[fact]);
    assert!(text.contains("item=801 name=\"prod-web-20261101T033000Z\" why=\"older than the 4 newest\""), "{text}");
}

#[test]
fn hostile_text_stays_one_line_and_in_its_field() {
    let hostile = "a\n2026 ERROR forged\u{1b}[2J\u{202e} run=99 \" level=\"x";
    let fact = Fact::Lost {
        target: Target { server_name: hostile.into(), ..samples::fact_target("web") },
        item: ItemId(1),
        name: format!("{hostile}{}", "y".repeat(5000)),
    };
    let text = written(logging::LogFormat::Text, &[fact]);
    assert_eq!(text.matches('\n').count(), 1);
    assert!(text.contains("ERROR an item under our care has vanished server=\"a\\\\u{a}2026"), "{text}");
    assert!(!text.contains(['\u{1b}', '\u{202e}']) && !text.contains(" \" level"), "{text}");
    assert!(text.len() < 1000, "{}", text.len());
}
