//! `snapwarden plan`: what a run now would do, and why.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;

use crate::controller::TargetPlan;
use crate::domain::assess::{Row, Verdict, Why, sentence};
use crate::domain::plan::Action;
use crate::domain::problem::Problem;
use crate::telemetry::{Metrics, printable};

use super::app::App;
use super::exit::{Exit, Failure, stdout_has_color};
use super::output::{self, Color, ServerJson, Table, ago, paint};
use super::select::SelectArgs;
use super::session::Session;
use super::{Common, compare};

/// Options of `plan`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  snapwarden plan --server web-01
  snapwarden plan --compare next.yaml
  snapwarden plan --json | jq '.targets[].actions[] | select(.do == \"delete\")'

With --compare, the account, the token and the journal are those of the present configuration. Everything else is taken from FILE and the `conf.d` beside it.")]
pub(super) struct PlanArgs {
    /// Show only what this other configuration would change
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
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
pub(super) struct TargetJson<I = ItemJson> {
    pub server: ServerJson,
    pub kind: &'static str,
    pub policy: String,
    pub cap: u32,
    pub used: u64,
    pub others: u64,
    pub items: Vec<I>,
    pub actions: Vec<ActionJson>,
    pub pending: Vec<u64>,
    pub blocked: Option<String>,
    pub problems: Vec<&'static str>,
    pub details: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct ItemJson {
    pub id: u64,
    pub name: Option<String>,
    pub description: String,
    pub created_at: String,
    pub status: String,
    pub origin: &'static str,
    pub verdict: &'static str,
    pub reasons: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct ActionJson {
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
    let select = args.select.select();
    if let Some(other) = &args.compare {
        return compare::compare(&app, common, other, select, args.json).await;
    }
    let metrics = Metrics::new().map_err(|error| Failure::new(Exit::Failed, format!("snapwarden: {error}")))?;
    let mut session = Session::looking(&app, app.provider(&metrics)?)?;
    session.look(select.clone()).await?;
    let now = session.now();
    let plans = session.controller().plans(now, &select);
    if args.json {
        output::json(&PlanJson { at: now.wall.to_string(), targets: plans.iter().map(target_json).collect() })?;
    } else {
        let color = stdout_has_color();
        output::write(&plans.iter().map(|planned| target_text(planned, now.wall, color)).collect::<Vec<_>>().join("\n"))?;
    }
    for fault in session.controller().faults() {
        eprintln!("warning: {fault}");
    }
    session.close().await?;
    Ok(Exit::Done)
}

/// What stands already and what stands in the way of the plan, each reason once.
pub(super) fn problems(planned: &TargetPlan) -> Vec<&Problem> {
    let mut all: Vec<&Problem> = planned.plan.problems.iter().chain(&planned.problems).collect();
    all.sort_by_key(|problem| problem.reason);
    all.dedup_by_key(|problem| problem.reason);
    all
}

pub(super) fn target_json(planned: &TargetPlan) -> TargetJson {
    let TargetPlan { target, plan, .. } = planned;
    TargetJson {
        server: target.into(),
        kind: target.kind.as_str(),
        policy: target.policy.to_string(),
        cap: plan.cap,
        used: plan.used,
        others: plan.others,
        items: plan.lines.iter().map(item_json).collect(),
        actions: plan.actions.iter().map(action_json).collect(),
        pending: plan.pending.iter().map(|item| item.0).collect(),
        blocked: plan.blocked.as_ref().map(|problem| problem.detail.clone()),
        problems: problems(planned).iter().map(|problem| problem.reason.as_str()).collect(),
        details: problems(planned).iter().map(|problem| problem.detail.clone()).collect(),
    }
}

pub(super) fn item_json(line: &Row<'_>) -> ItemJson {
    ItemJson {
        id: line.item.id.0,
        name: line.item.name.as_deref().map(str::to_owned),
        description: line.item.description.to_string(),
        created_at: line.item.created_at.to_string(),
        status: line.item.status.as_str().to_owned(),
        origin: line.belonging.as_str(),
        verdict: line.verdict.as_str(),
        reasons: line.reasons.iter().map(Why::to_string).collect(),
    }
}

pub(super) fn action_json(action: &Action) -> ActionJson {
    let nothing = ActionJson { r#do: "create", id: None, when: None, name: None, description: None, reason: None };
    match action {
        Action::Delete(deletion) => ActionJson {
            r#do: "delete",
            id: Some(deletion.item.id.0),
            when: Some(deletion.when.as_str()),
            reason: Some(sentence(&deletion.why)),
            ..nothing
        },
        Action::Create(order) => {
            ActionJson { name: order.name.as_deref().map(str::to_owned), description: Some(order.description.to_string()), ..nothing }
        }
    }
}

/// The server, the kind and the policy that a plan is for.
pub(super) fn heading(planned: &TargetPlan) -> String {
    let target = &planned.target;
    format!("{} ({}), {}s, policy {}", printable(&target.server_name), target.server, target.kind, printable(&target.policy))
}

/// What is to be done, in words.
pub(super) fn action_text(action: &Action) -> String {
    match action {
        Action::Create(order) => format!("create {}", printable(order.title())),
        Action::Delete(deletion) => format!("delete {}: {}", deletion.item.id, printable(&sentence(&deletion.why))),
    }
}

/// How a verdict stands out.
pub(super) fn color_of(verdict: Verdict) -> Option<Color> {
    match verdict {
        Verdict::Delete => Some(Color::Yellow),
        Verdict::Leave => Some(Color::Faint),
        Verdict::Keep => None,
    }
}

/// What is known of an item before what becomes of it: three cells, the first one indented.
pub(super) fn item_cells(line: &Row<'_>, now: Timestamp) -> [String; 3] {
    let name = line.item.title();
    [format!("  {}", line.item.id), ago(line.item.created_at, now), name.to_owned()]
}

/// What stands in the way first, then what is to be done, then what becomes of each item.
fn target_text(planned: &TargetPlan, now: Timestamp, color: bool) -> String {
    let plan = &planned.plan;
    let mut text = paint(&format!("{}: {} of {} slots used", heading(planned), plan.used, plan.cap), Color::Bold, color) + "\n";
    let mut line = |line: String, of: Option<Color>| {
        text.push_str(&of.map_or(line.clone(), |of| paint(&line, of, color)));
        text.push('\n');
    };
    if let Some(blocked) = &plan.blocked {
        line(format!("  blocked: {}", printable(&blocked.detail)), Some(Color::Red));
    }
    let blocked = plan.blocked.as_ref().map(|blocked| blocked.reason);
    for problem in problems(planned).into_iter().filter(|problem| Some(problem.reason) != blocked) {
        line(format!("  {}: {}", problem.reason, printable(&problem.detail)), Some(Color::Red));
    }
    for (number, action) in plan.actions.iter().enumerate() {
        let of = if matches!(action, Action::Create(_)) { Color::Green } else { Color::Yellow };
        line(format!("  {}. {}", number + 1, action_text(action)), Some(of));
    }
    if !plan.pending.is_empty() {
        line(format!("  later: delete {}", output::list(&plan.pending)), None);
    }
    let mut items = Table::default();
    for line in &plan.lines {
        let [id, age, name] = item_cells(line, now);
        items.row_in(color_of(line.verdict), &[id, age, name, format!("{}: {}", line.verdict.as_str(), sentence(&line.reasons))]);
    }
    text + &items.draw(color)
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
