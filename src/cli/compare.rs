//! `snapwarden plan --compare`: only what another configuration would change, before it is put in the place of the present one.
//!
//! Both plans are made at one moment, on the same listings, with the memory of the present installation.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use crate::controller::{Select, TargetPlan};
use crate::domain::assess::{Row, Verdict, sentence};
use crate::domain::gather::gather;
use crate::domain::inventory::ItemId;
use crate::domain::plan::Action;
use crate::telemetry::Metrics;

use super::Common;
use super::app::App;
use super::exit::{Exit, Failure, stdout_has_color};
use super::output::{self, Color, Table, paint};
use super::plan::{
    ActionJson, ItemJson, TargetJson, action_json, action_text, color_of, heading, item_cells, item_json, problems, target_json,
};
use super::session::Session;

#[derive(Serialize)]
struct CompareJson {
    at: String,
    compared_with: String,
    targets: Vec<ChangeJson>,
}

/// A target as `plan` tells it, with less in its lists: only what differs.
#[derive(Serialize)]
struct ChangeJson {
    #[serde(flatten)]
    after: TargetJson<ChangedItemJson>,
    change: &'static str,
    before: Option<BeforeJson>,
}

#[derive(Serialize)]
struct ChangedItemJson {
    #[serde(flatten)]
    after: ItemJson,
    before: Option<VerdictJson>,
}

#[derive(Serialize)]
struct VerdictJson {
    verdict: &'static str,
    reasons: Vec<String>,
}

/// What only the present configuration does.
#[derive(Serialize)]
struct BeforeJson {
    policy: String,
    actions: Vec<ActionJson>,
    pending: Vec<u64>,
    blocked: Option<String>,
}

/// What a run now would do for one target under both configurations; at least one of them has a policy for it.
enum Pair<'p> {
    /// Only the other one.
    Added(&'p TargetPlan),
    /// Only the present one.
    Removed(&'p TargetPlan),
    Both(&'p TargetPlan, &'p TargetPlan),
}

pub(super) async fn compare(app: &App, common: &Common, file: &Path, select: Select, json: bool) -> Result<Exit, Failure> {
    let other = App::load(&Common { config: file.to_owned(), ..common.clone() })?;
    other.warn();
    warn_of_another_account(app, &other, file);
    let metrics = Metrics::new().map_err(|error| Failure::new(Exit::Failed, format!("snapwarden: {error}")))?;
    let mut session = Session::looking(app, app.provider(&metrics)?)?;
    session.look(Select::default()).await?;
    // A second look brings what only the other one needs to know: it may be about a kind or servers that the present one does not have.
    let account = app.config.provider.account.clone();
    session.reconfigure(crate::controller::Setup { account, ..other.config.setup() });
    session.look(Select::default()).await?;
    let now = session.now();
    // A target that goes from one policy to another is meant if either is.
    let anywhere = Select { policies: Vec::new(), ..select.clone() };
    let after = session.controller().plans(now, &anywhere);
    for fault in session.controller().faults() {
        eprintln!("warning: {}: {fault}", file.display());
    }
    session.reconfigure(app.config.setup());
    let before = session.controller().plans(now, &anywhere);
    session.close().await?;
    let pairs: Vec<Pair<'_>> = pairs(&before, &after).into_iter().filter(|pair| pair.is_meant(&select)).collect();
    if pairs.is_empty() && select.is_narrow() {
        return Err(Failure::new(Exit::Usage, "snapwarden: no server with a policy answers to that in either configuration"));
    }
    let changed = pairs.iter().filter(|pair| pair.differs());
    if json {
        let (at, compared_with) = (now.wall.to_string(), file.display().to_string());
        output::json(&CompareJson { at, compared_with, targets: changed.map(Pair::json).collect() })?;
    } else {
        output::write(&text(&changed.collect::<Vec<_>>(), now.wall, stdout_has_color()))?;
    }
    Ok(Exit::Done)
}

/// The other configuration is tried on what the present one sees.
fn warn_of_another_account(app: &App, other: &App, file: &Path) {
    let (present, other) = (&app.config.provider, &other.config.provider);
    for (differs, key) in [(present.url != other.url, "url"), (present.account != other.account, "account")] {
        if differs {
            eprintln!("warning: {}: another `provider.{key}`; it is compared on what the present one shows", file.display());
        }
    }
}

/// The plans of both, target by target, in their order.
fn pairs<'p>(before: &'p [TargetPlan], after: &'p [TargetPlan]) -> Vec<Pair<'p>> {
    let mut both: BTreeMap<_, (Option<&TargetPlan>, Option<&TargetPlan>)> = BTreeMap::new();
    let key = |planned: &TargetPlan| (planned.target.server, planned.target.kind);
    before.iter().for_each(|planned| both.entry(key(planned)).or_default().0 = Some(planned));
    after.iter().for_each(|planned| both.entry(key(planned)).or_default().1 = Some(planned));
    let pair = |pair| match pair {
        (Some(before), Some(after)) => Some(Pair::Both(before, after)),
        (Some(before), None) => Some(Pair::Removed(before)),
        (None, Some(after)) => Some(Pair::Added(after)),
        (None, None) => None,
    };
    both.into_values().filter_map(pair).collect()
}

impl<'p> Pair<'p> {
    fn before(&self) -> Option<&'p TargetPlan> {
        match self {
            Pair::Added(_) => None,
            Pair::Removed(before) | Pair::Both(before, _) => Some(before),
        }
    }

    fn after(&self) -> Option<&'p TargetPlan> {
        match self {
            Pair::Removed(_) => None,
            Pair::Added(after) | Pair::Both(_, after) => Some(after),
        }
    }

    /// The plan that stands for the target: the other configuration's if it has one.
    fn shown(&self) -> &'p TargetPlan {
        match self {
            Pair::Removed(plan) | Pair::Added(plan) | Pair::Both(_, plan) => plan,
        }
    }

    fn change(&self) -> &'static str {
        match self {
            Pair::Added(_) => "added",
            Pair::Removed(_) => "removed",
            Pair::Both(..) => "changed",
        }
    }

    fn is_meant(&self, select: &Select) -> bool {
        self.before().into_iter().chain(self.after()).any(|planned| select.admits(&planned.target))
    }

    fn differs(&self) -> bool {
        let Pair::Both(before, after) = self else { return true };
        let same_actions = self.new_actions().is_empty() && self.old_actions().is_empty();
        let same = before.target.policy == after.target.policy && before.plan.blocked == after.plan.blocked;
        !(same && same_actions && before.plan.pending == after.plan.pending && self.items().is_empty())
    }

    /// The items whose verdict differs, with what they were under the present configuration and what they are under the other one.
    fn items(&self) -> Vec<(&'p Row<'static>, Option<&'p Row<'static>>, Option<&'p Row<'static>>)> {
        let lines = |planned: Option<&'p TargetPlan>| -> BTreeMap<ItemId, &'p Row<'static>> {
            gather(planned.iter().flat_map(|planned| &planned.plan.lines).map(|line| (line.item.id, line)))
        };
        let (before, after) = (lines(self.before()), lines(self.after()));
        let verdict = |line: Option<&&Row<'static>>| line.map_or(Verdict::Leave, |line| line.verdict);
        let all = self.shown().plan.lines.iter();
        let differs = all.filter(|line| verdict(before.get(&line.item.id)) != verdict(after.get(&line.item.id)));
        differs.map(|line| (line, before.get(&line.item.id).copied(), after.get(&line.item.id).copied())).collect()
    }

    /// What only the other configuration would do.
    fn new_actions(&self) -> Vec<&'p Action> {
        only_in(self.after(), self.before())
    }

    /// What only the present configuration does.
    fn old_actions(&self) -> Vec<&'p Action> {
        only_in(self.before(), self.after())
    }

    fn json(&self) -> ChangeJson {
        let plan = target_json(self.shown());
        let old = self.before();
        let problems_before: Vec<_> = old.iter().flat_map(|planned| problems(planned)).collect();
        let new = self.after();
        let problems: Vec<_> =
            new.iter().flat_map(|planned| problems(planned)).filter(|problem| !problems_before.contains(problem)).collect();
        let items = self.items().into_iter().map(|(line, before, after)| ChangedItemJson {
            after: match after {
                Some(after) => item_json(after),
                None => ItemJson { verdict: Verdict::Leave.as_str(), reasons: vec![NO_POLICY.to_owned()], ..item_json(line) },
            },
            before: before.map(|before| {
                let ItemJson { verdict, reasons, .. } = item_json(before);
                VerdictJson { verdict, reasons }
            }),
        });
        ChangeJson {
            change: self.change(),
            after: TargetJson {
                items: items.collect(),
                actions: self.new_actions().into_iter().map(action_json).collect(),
                pending: new.map(pending).unwrap_or_default(),
                blocked: new.and_then(blocked),
                problems: problems.iter().map(|problem| problem.reason.as_str()).collect(),
                details: problems.iter().map(|problem| problem.detail.clone()).collect(),
                server: plan.server,
                kind: plan.kind,
                policy: plan.policy,
                cap: plan.cap,
                used: plan.used,
                others: plan.others,
            },
            before: old.map(|old| BeforeJson {
                policy: old.target.policy.to_string(),
                actions: self.old_actions().into_iter().map(action_json).collect(),
                pending: pending(old),
                blocked: blocked(old),
            }),
        }
    }

    fn text(&self, now: Timestamp, color: bool) -> String {
        let (before, after) = (self.before(), self.after());
        let change = match self {
            Pair::Added(_) => ": comes under a policy".to_owned(),
            Pair::Removed(_) => ": under no policy any more; what it has stays".to_owned(),
            Pair::Both(before, after) if before.target.policy == after.target.policy => String::new(),
            Pair::Both(before, _) => format!(" instead of {}", before.target.policy),
        };
        let mut text = paint(&format!("{}{change}", heading(self.shown())), Color::Bold, color) + "\n";
        let mut line = |line: String, of: Color| text.push_str(&(paint(&line, of, color) + "\n"));
        let (was, is) = (before.and_then(blocked), after.and_then(blocked));
        match (&was, &is) {
            (_, Some(why)) if was != is => line(format!("  blocked: {why}"), Color::Red),
            (Some(why), None) if after.is_some() => line(format!("  blocked no more: {why}"), Color::Green),
            _ => {}
        }
        for action in self.new_actions() {
            let of = if matches!(action, Action::Create(_)) { Color::Green } else { Color::Yellow };
            line(format!("  would {}", action_text(action)), of);
        }
        for action in self.old_actions() {
            line(format!("  would not {}", action_text(action)), Color::Faint);
        }
        let later = after.map(pending).unwrap_or_default();
        if !later.is_empty() && later != before.map(pending).unwrap_or_default() {
            line(format!("  would later delete {}", output::list(&later)), Color::Yellow);
        }
        let mut items = Table::default();
        for (line, before, after) in self.items() {
            let [id, age, name] = item_cells(line, now);
            let was = before.map_or("-", |before| before.verdict.as_str());
            let (is, why) = after.map_or((Verdict::Leave, NO_POLICY.to_owned()), |after| (after.verdict, sentence(&after.reasons)));
            items.row_in(color_of(is), &[id, age, name, was.to_owned(), format!("→ {}: {why}", is.as_str())]);
        }
        text + &items.draw(color)
    }
}

const NO_POLICY: &str = "under no policy";

fn pending(planned: &TargetPlan) -> Vec<u64> {
    planned.plan.pending.iter().map(|item| item.0).collect()
}

fn blocked(planned: &TargetPlan) -> Option<String> {
    planned.plan.blocked.as_ref().map(|problem| problem.detail.clone())
}

/// What is done in the first plan and not in the second one.
fn only_in<'p>(first: Option<&'p TargetPlan>, second: Option<&'p TargetPlan>) -> Vec<&'p Action> {
    let others: &[Action] = second.map_or(&[], |planned| &planned.plan.actions);
    first.iter().flat_map(|planned| &planned.plan.actions).filter(|action| !others.iter().any(|other| is_same(action, other))).collect()
}

/// Two orders are the same whatever slot they are for: both are for a run now.
fn is_same(first: &Action, second: &Action) -> bool {
    let mark = |description: &str| description.split(" slot=").next().unwrap_or_default().to_owned();
    match (first, second) {
        (Action::Create(first), Action::Create(second)) => mark(&first.description) == mark(&second.description),
        (Action::Delete(first), Action::Delete(second)) => (first.item.id, first.when) == (second.item.id, second.when),
        _ => false,
    }
}

fn text(changed: &[&Pair<'_>], now: Timestamp, color: bool) -> String {
    if changed.is_empty() {
        return "nothing: a run now would do the same under both\n".to_owned();
    }
    changed.iter().map(|pair| pair.text(now, color)).collect::<Vec<_>>().join("\n")
}
