//! The commands around a create.

use std::time::Duration;

use crate::domain::policy::{AfterOn, Hook, Hooks, OnFailure};

use super::report::{Field, Fields, Report};
use super::tree::Value;

const KEYS: [&str; 5] = ["before", "after", "after_on", "max_hold", "on_failure"];

/// Nothing may hold a database frozen for longer.
const HOLD_MAX: Duration = Duration::from_secs(24 * 3600);
const SHORTEST: Duration = Duration::from_millis(10);

/// Reads `hooks` of a kind.
pub(super) fn read(kind: Fields<'_>, report: &mut Report) -> Option<Hooks> {
    let fields = report.section(kind.get("hooks"), kind.span("hooks"), &KEYS)?;
    let before = read_hook(fields.get("before"), report);
    let after = read_hook(fields.get("after"), report);
    if fields.get("before").node.is_none() && fields.get("after").node.is_none() {
        report.error_hint(fields.at, "`hooks` has no command", "add `before: {run: [/usr/local/bin/freeze]}`, or leave `hooks` out");
    }
    let after_on = report.choice(fields.get("after_on"), &[("accepted", AfterOn::Accepted), ("completed", AfterOn::Completed)]);
    if fields.get("after_on").node.is_none() {
        let hint = "add `after_on: accepted` (the provider has taken the order) or `after_on: completed` (the item is complete)";
        report.error_hint(fields.at, "`hooks` has no `after_on`: when `after` runs must be said", hint);
    }
    let max_hold = report.duration(fields.get("max_hold"), SHORTEST..=HOLD_MAX).unwrap_or(Duration::from_secs(15 * 60));
    let on_failure = report.choice(fields.get("on_failure"), &[("abort", OnFailure::Abort), ("continue", OnFailure::Continue)]);
    Some(Hooks { before, after, after_on: after_on?, max_hold, on_failure: on_failure.unwrap_or(OnFailure::Abort) })
}

fn read_hook(field: Field<'_>, report: &mut Report) -> Option<Hook> {
    let at = field.node?.span;
    let fields = report.section(field, at, &["run", "timeout"])?;
    let timeout = report.duration(fields.get("timeout"), SHORTEST..=HOLD_MAX).unwrap_or(Duration::from_secs(60));
    let Some(node) = fields.get("run").node else {
        report.error_hint(at, format!("`{}` has no `run`", field.name), "add `run: [/usr/local/bin/command, argument]`");
        return None;
    };
    let Value::List(list) = &node.value else {
        let message = format!("`run` must be a list of the program and its arguments, found {}", node.kind());
        report.error_hint(node.span, message, "no shell reads it; write `run: [/usr/local/bin/command, argument]`");
        return None;
    };
    if list.is_empty() {
        report.error(node.span, "`run` is empty");
        return None;
    }
    let run: Option<Vec<String>> = list.iter().enumerate().map(|(index, node)| argument(node, index == 0, report)).collect();
    Some(Hook { run: run?, timeout })
}

/// An argument may be empty; the program may not.
fn argument(node: &super::tree::Node, is_program: bool, report: &mut Report) -> Option<String> {
    match node.as_text() {
        Some(text) if text.contains('\0') => report.error(node.span, "`run` must not contain a zero byte"),
        Some("") if is_program => report.error(node.span, "`run` names no program"),
        Some(text) => return Some(text.to_owned()),
        None => report.wrong_type("run", node, "text"),
    }
    None
}
