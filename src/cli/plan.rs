//! `snapwarden plan`: what a run now would do, and why.

use serde::Serialize;

use crate::controller::TargetPlan;
use crate::domain::plan::Action;
use crate::domain::problem::Problem;
use crate::telemetry::Metrics;

use super::Common;
use super::app::App;
use super::exit::{Exit, Failure};
use super::output::{self, ServerJson, Table};
use super::select::SelectArgs;
use super::session::Session;

/// Options of `plan`.
#[derive(Debug, clap::Args)]
pub(super) struct PlanArgs {
    /// Write JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    select: SelectArgs,
}

#[derive(Serialize)]
struct PlanJson {
    at: String,
    targets: Vec<TargetJson>,
}

#[derive(Serialize)]
struct TargetJson {
    server: ServerJson,
    kind: &'static str,
    policy: String,
    cap: u32,
    used: u64,
    others: u64,
    items: Vec<ItemJson>,
    actions: Vec<ActionJson>,
    pending: Vec<u64>,
    blocked: Option<String>,
    problems: Vec<&'static str>,
    details: Vec<String>,
}

#[derive(Serialize)]
struct ItemJson {
    id: u64,
    name: Option<String>,
    description: String,
    created_at: String,
    status: String,
    origin: &'static str,
    verdict: &'static str,
    reasons: Vec<String>,
}

#[derive(Serialize)]
struct ActionJson {
    r#do: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    when: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

pub(super) async fn plan(common: &Common, args: &PlanArgs) -> Result<Exit, Failure> {
    let app = App::load(common)?;
    app.warn();
    let metrics = Metrics::new().map_err(|error| Failure::new(Exit::Failed, format!("snapwarden: {error}")))?;
    let mut session = Session::looking(&app, app.provider(&metrics)?)?;
    let select = args.select.select();
    session.look(select.clone()).await?;
    let now = session.now();
    let plans = session.controller().plans(now, &select);
    if args.json {
        output::json(&PlanJson { at: now.wall.to_string(), targets: plans.iter().map(target_json).collect() })?;
    } else {
        output::write(&plans.iter().map(target_text).collect::<Vec<_>>().join("\n"))?;
    }
    for fault in session.controller().faults() {
        eprintln!("warning: {fault}");
    }
    session.close().await?;
    Ok(Exit::Done)
}

/// What stands already and what stands in the way of the plan, each reason once.
fn problems(planned: &TargetPlan) -> Vec<&Problem> {
    let mut all: Vec<&Problem> = planned.plan.problems.iter().chain(&planned.problems).collect();
    all.sort_by_key(|problem| problem.reason);
    all.dedup_by_key(|problem| problem.reason);
    all
}

fn target_json(planned: &TargetPlan) -> TargetJson {
    let TargetPlan { target, plan, .. } = planned;
    TargetJson {
        server: target.into(),
        kind: target.kind.as_str(),
        policy: target.policy.to_string(),
        cap: plan.cap,
        used: plan.used,
        others: plan.others,
        items: plan
            .lines
            .iter()
            .map(|line| ItemJson {
                id: line.item.id.0,
                name: line.item.name.as_deref().map(str::to_owned),
                description: line.item.description.to_string(),
                created_at: line.item.created_at.to_string(),
                status: line.item.status.as_str().to_owned(),
                origin: line.belonging.as_str(),
                verdict: line.verdict.as_str(),
                reasons: line.reasons.clone(),
            })
            .collect(),
        actions: plan.actions.iter().map(action_json).collect(),
        pending: plan.pending.iter().map(|item| item.0).collect(),
        blocked: plan.blocked.as_ref().map(|problem| problem.detail.clone()),
        problems: problems(planned).iter().map(|problem| problem.reason.as_str()).collect(),
        details: problems(planned).iter().map(|problem| problem.detail.clone()).collect(),
    }
}

fn action_json(action: &Action) -> ActionJson {
    let nothing = ActionJson { r#do: "create", id: None, when: None, name: None, description: None, reason: None };
    match action {
        Action::Delete(deletion) => ActionJson {
            r#do: "delete",
            id: Some(deletion.item.id.0),
            when: Some(deletion.when.as_str()),
            reason: Some(deletion.why.clone()),
            ..nothing
        },
        Action::Create(order) => ActionJson { name: order.name.clone(), description: Some(order.description.clone()), ..nothing },
    }
}

fn target_text(planned: &TargetPlan) -> String {
    let TargetPlan { target, plan, .. } = planned;
    let mut text = format!(
        "{} ({}), {}s, policy {}: {} of {} slots used\n",
        crate::telemetry::printable(&target.server_name),
        target.server,
        target.kind,
        target.policy,
        plan.used,
        plan.cap
    );
    let mut items = Table::default();
    for line in &plan.lines {
        let name = line.item.name.as_deref().unwrap_or(&line.item.description);
        items.row(&[
            &format!("  {}", line.verdict.as_str()),
            &line.item.id.to_string(),
            &line.item.created_at.to_string(),
            name,
            &line.reasons.join("; "),
        ]);
    }
    text.push_str(&items.render());
    for (number, action) in plan.actions.iter().enumerate() {
        let what = match action {
            Action::Create(order) => format!("create {}", order.name.as_deref().unwrap_or(&order.description)),
            Action::Delete(deletion) => format!("delete {}: {}", deletion.item.id, deletion.why),
        };
        text.push_str(&format!("  {}. {what}\n", number + 1));
    }
    if !plan.pending.is_empty() {
        text.push_str(&format!("  later: delete {}\n", output::list(&plan.pending)));
    }
    if let Some(blocked) = &plan.blocked {
        text.push_str(&format!("  blocked: {}\n", blocked.detail));
    }
    for problem in problems(planned) {
        text.push_str(&format!("  {}: {}\n", problem.reason, crate::telemetry::printable(&problem.detail)));
    }
    text
}
