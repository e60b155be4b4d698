//! Facts as log lines. ERROR: something failed, was lost or was refused by the guard; WARN: in doubt, blocked, missed, a problem has come up;
//! INFO: something was done; DEBUG: the rest. The fields are listed in [`crate::telemetry`].

use tracing::Level;

use super::printable;
use crate::domain::fact::{Fact, Target};
use crate::domain::problem::{OpResult, RunResult};
use crate::domain::standing::{Standing, StandingOrder};

/// By this target the lines of facts can be told from others.
pub(super) const TARGET: &str = module_path!();

/// Logs a fact, as exactly one line.
pub fn log(fact: &Fact) {
    match fact {
        Fact::RunStarted { .. } | Fact::RunEnded { .. } | Fact::Missed { .. } | Fact::GuardRefused { .. } => log_run(fact),
        Fact::CreateSent { .. } | Fact::CreateInDoubt { .. } | Fact::CreateDecided { .. } | Fact::Completed { .. } => log_create(fact),
        Fact::DeleteSent { .. } | Fact::DeleteDecided { .. } | Fact::Lost { .. } => log_delete(fact),
        Fact::HookStarted { .. } | Fact::HookEnded { .. } => log_hook(fact),
        Fact::ProblemRaised { .. }
        | Fact::ProblemCleared { .. }
        | Fact::AccountProblemRaised { .. }
        | Fact::AccountProblemCleared { .. }
        | Fact::Note { .. } => log_state(fact),
    }
}

/// One line at a level that is known only now; `tracing` wants it in the name of the macro.
macro_rules! at_level {
    ($level:expr, $($rest:tt)+) => {
        match $level {
            Level::ERROR => tracing::error!($($rest)+),
            Level::WARN => tracing::warn!($($rest)+),
            Level::INFO => tracing::info!($($rest)+),
            _ => tracing::debug!($($rest)+),
        }
    };
}

/// One line about a target: its four fields, then others, then the sentence.
macro_rules! target_line {
    ($level:expr, $target:expr, $($rest:tt)+) => {{
        let target: &Target = $target;
        let (server, policy) = (printable(&target.server_name), printable(&target.policy));
        at_level!($level, server = &*server, server_id = target.server.0, kind = target.kind.as_str(), policy = &*policy, $($rest)+)
    }};
}

fn log_run(fact: &Fact) {
    match fact {
        Fact::RunStarted { target, run, slot, lateness } => {
            let lateness_ms = lateness.map(|lateness| millis(&lateness));
            target_line!(Level::DEBUG, target, run, slot = slot.map(tracing::field::display), lateness_ms, "run started");
        }
        Fact::RunEnded { target, run, slot, result, duration, created, deleted, error, .. } => {
            let error = error.as_deref().map(printable);
            target_line!(
                level_of_run(*result),
                target,
                run,
                slot = slot.map(tracing::field::display),
                result = result.as_str(),
                duration_ms = millis(duration),
                created = created.len(),
                deleted = deleted.len(),
                error = error.as_deref(),
                "run ended"
            );
        }
        Fact::Missed { target, count, newest } => {
            target_line!(Level::WARN, target, count, slot = tracing::field::display(newest), "slots were missed");
        }
        Fact::GuardRefused { target, run, violation } => {
            target_line!(Level::ERROR, target, run, violation = &*printable(violation), "the guard refused a plan");
        }
        _ => {}
    }
}

fn log_create(fact: &Fact) {
    match fact {
        Fact::CreateSent { target, run, op, name, attempt } => {
            target_line!(Level::DEBUG, target, run, op, name = &*printable(name), attempt, "create sent");
        }
        Fact::CreateInDoubt { target, run, op, error } => {
            target_line!(Level::WARN, target, run, op, error = &*printable(error), "create in doubt");
        }
        Fact::CreateDecided { target, run, op, item, name, result, error } => {
            let (name, error) = (printable(name), error.as_deref().map(printable));
            let (item, result_word) = (item.map(|item| item.0), result.as_str());
            target_line!(
                level_of_op(*result),
                target,
                run,
                op,
                item,
                name = &*name,
                result = result_word,
                error = error.as_deref(),
                "create decided"
            );
        }
        Fact::Completed { target, run, item } => target_line!(Level::INFO, target, run, item = item.0, "item completed"),
        _ => {}
    }
}

fn log_delete(fact: &Fact) {
    match fact {
        Fact::DeleteSent { target, run, op, item, name, why } => {
            let (name, why) = (printable(name), printable(why));
            target_line!(Level::DEBUG, target, run, op, item = item.0, name = &*name, why = &*why, "delete sent");
        }
        Fact::DeleteDecided { target, run, op, item, name, why, result, error } => {
            let (name, why, error) = (printable(name), printable(why), error.as_deref().map(printable));
            target_line!(
                level_of_op(*result),
                target,
                run,
                op,
                item = item.0,
                name = &*name,
                why = &*why,
                result = result.as_str(),
                error = error.as_deref(),
                "delete decided"
            );
        }
        Fact::Lost { target, item, name } => {
            target_line!(Level::ERROR, target, item = item.0, name = &*printable(name), "an item under our care has vanished");
        }
        _ => {}
    }
}

fn log_hook(fact: &Fact) {
    match fact {
        Fact::HookStarted { target, run, side } => target_line!(Level::DEBUG, target, run, hook = side.as_str(), "hook started"),
        Fact::HookEnded { target, run, side, error: None, .. } => {
            target_line!(Level::INFO, target, run, hook = side.as_str(), "hook ended");
        }
        Fact::HookEnded { target, run, side, error: Some(error), output } => {
            let (error, output) = (printable(error), printable(output));
            target_line!(Level::ERROR, target, run, hook = side.as_str(), error = &*error, output = &*output, "hook failed");
        }
        _ => {}
    }
}

fn log_state(fact: &Fact) {
    match fact {
        Fact::ProblemRaised { target, problem } => {
            let (reason, detail) = (problem.reason.as_str(), printable(&problem.detail));
            target_line!(Level::WARN, target, reason, detail = &*detail, "problem has come up");
        }
        Fact::ProblemCleared { target, reason } => target_line!(Level::INFO, target, reason = reason.as_str(), "problem is over"),
        Fact::AccountProblemRaised { reason, detail } => {
            tracing::warn!(reason = reason.as_str(), detail = &*printable(detail), "account problem has come up");
        }
        Fact::AccountProblemCleared { reason } => tracing::info!(reason = reason.as_str(), "account problem is over"),
        Fact::Note { target: Some(target), text } => target_line!(Level::INFO, target, text = &*printable(text), "note"),
        Fact::Note { target: None, text } => tracing::info!(text = &*printable(text), "note"),
        _ => {}
    }
}

/// Logs what a person has ordered and what stands from now on, or why it does not; a line for each entry of the journal.
pub fn log_orders(result: &Result<Vec<StandingOrder>, String>, late: Option<&str>) {
    match result {
        Ok(orders) => orders.iter().for_each(log_order),
        Err(why) => tracing::warn!(text = &*printable(why), "an order is refused"),
    }
    if let Some(late) = late {
        tracing::warn!(text = &*printable(late), "an order comes too late");
    }
}

fn log_order(order: &StandingOrder) {
    let held = match &order.what {
        Standing::Hold(held) | Standing::Release(held) => Some(held),
        _ => None,
    };
    let (server_id, server) = match &order.what {
        Standing::NoDeletes { server, server_name } => (Some(server.0), Some(printable(server_name))),
        Standing::Deletes { server } => (Some(server.0), None),
        _ => (held.map(|held| held.server.0), held.map(|held| printable(&held.server_name))),
    };
    let (servers, policies) = match &order.what {
        Standing::Pause(selection) | Standing::Resume(selection) => (selection.servers.join(", "), selection.policies.join(", ")),
        _ => (String::new(), String::new()),
    };
    let some = |text: String| Some(printable(&text).into_owned()).filter(|text| !text.is_empty());
    let (servers, policies) = (some(servers), some(policies));
    tracing::info!(
        order = order.what.as_str(),
        op = order.op.0,
        server = server.as_deref(),
        server_id,
        kind = held.map(|held| held.kind.as_str()),
        item = held.map(|held| held.item.0),
        servers = servers.as_deref(),
        policies = policies.as_deref(),
        until = tracing::field::display(order.until),
        by = &*printable(&order.by),
        text = &*printable(&order.reason),
        "an order stands"
    );
}

fn level_of_run(result: RunResult) -> Level {
    match result {
        RunResult::Success => Level::INFO,
        RunResult::Failure => Level::ERROR,
        RunResult::Blocked => Level::WARN,
        RunResult::Skipped => Level::DEBUG,
    }
}

fn level_of_op(result: OpResult) -> Level {
    match result {
        OpResult::Success => Level::INFO,
        OpResult::Failure | OpResult::Unknown => Level::ERROR,
    }
}

fn millis(duration: &std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "log_line_tests.rs"]
mod tests;
