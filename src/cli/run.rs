//! `snapwarden run` and `snapwarden take`: something now, and its end.

use std::sync::Arc;
use std::time::Duration;

use clap::ArgGroup;
use jiff::Timestamp;
use serde::Serialize;

use crate::clock::Clock;
use crate::control::Order;
use crate::controller::{Request, RequestReport, Select, ServerPattern, TargetResult};
use crate::domain::fact::Fact;
use crate::domain::inventory::Kind;
use crate::domain::mark::is_word;
use crate::domain::problem::RunResult;
use crate::journal::StateLock;
use crate::telemetry::{CommandRun, Metrics, Telemetry, printable};

use super::Common;
use super::app::App;
use super::delivery::DeliveryArgs;
use super::exit::{Exit, Failure, stdout_has_color};
use super::handover::{Done, Way, hand_over, way};
use super::orders::by;
use super::output::{self, Color, ServerJson, Table};
use super::progress::Progress;
use super::select::{KindArg, SelectArgs, duration, server};
use super::session::{Session, refuse_fatal};

/// How long a command waits at its end for notices to go out.
const NOTICES_PATIENCE: Duration = Duration::from_secs(10);

/// Why a command of its own does nothing where replicas agree on one that acts.
const BESIDE: &str = "nothing is done beside the replicas: it would not be known which of them acts";
const BESIDE_HINT: &str =
    "give the order where the leader runs (`kubectl exec`); its status page and `snapwarden_leader` tell which that is";

/// Options of `run`.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("what").required(true).multiple(true).args(["server", "policy", "kind", "due", "all"]))]
pub(super) struct RunArgs {
    /// Only where a slot is due: for cron, systemd timers and Kubernetes CronJobs
    #[arg(long, conflicts_with = "all")]
    due: bool,
    /// Every server and kind
    #[arg(long, conflicts_with_all = ["server", "policy", "kind"])]
    all: bool,
    /// Write JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    delivery: DeliveryArgs,
    #[command(flatten)]
    select: SelectArgs,
}

/// Options of `take`.
#[derive(Debug, clap::Args)]
pub(super) struct TakeArgs {
    /// What to make
    #[arg(value_enum)]
    kind: KindArg,
    /// The server, by number or name
    #[arg(long, value_name = "ID|NAME", value_parser = server)]
    server: ServerPattern,
    /// What stands in the middle of its name [default: the policy's name]
    #[arg(long, value_name = "LABEL", value_parser = label)]
    label: Option<String>,
    /// Hold it for so long: nothing deletes it before (e.g. 14d)
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    keep_for: Option<Duration>,
    /// Where no slot is free, delete one item for it, by the rule that runs follow
    #[arg(long)]
    make_room: bool,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct RunJson {
    started_at: String,
    ended_at: String,
    targets: Vec<TargetJson>,
}

#[derive(Serialize)]
struct TargetJson {
    server: ServerJson,
    kind: &'static str,
    policy: String,
    result: &'static str,
    created: Vec<u64>,
    deleted: Vec<u64>,
    problems: Vec<&'static str>,
    error: Option<String>,
}

fn label(text: &str) -> Result<String, String> {
    let allowed = "letters, digits, `_` and `-`, at most 20";
    if is_word(text) { Ok(text.to_owned()) } else { Err(format!("a label has {allowed}")) }
}

pub(super) async fn run(common: &Common, args: &RunArgs) -> Result<Exit, Failure> {
    let app = App::load(common)?;
    args.delivery.check()?;
    let order = Order::Run { select: args.select.select(), due: args.due, gauges: args.delivery.are_wanted(), by: by() };
    act(&app, order, args.json, &args.delivery).await
}

pub(super) async fn take(common: &Common, args: &TakeArgs) -> Result<Exit, Failure> {
    let app = App::load(common)?;
    let at = app.clock.now().wall;
    if args.keep_for.is_some_and(|keep_for| at.checked_add(keep_for).is_err()) {
        return Err(Failure::new(Exit::Usage, "snapwarden: `--keep-for` reaches beyond the calendar"));
    }
    let select = Select { servers: vec![args.server.clone()], policies: Vec::new(), kinds: vec![Kind::from(args.kind)] };
    let order = Order::Take { select, label: args.label.clone(), keep_for: args.keep_for, make_room: args.make_room, by: by() };
    act(&app, order, args.json, &DeliveryArgs::default()).await
}

async fn act(app: &App, order: Order, json: bool, delivery: &DeliveryArgs) -> Result<Exit, Failure> {
    app.warn();
    let begun = app.clock.now();
    let done = match way(&app.state()).await? {
        Way::Daemon(connection) => hand_over(app, connection, &order).await?,
        Way::Alone(_) if app.config.leader.is_some() => {
            return app.refuse_beside_replicas(BESIDE, BESIDE_HINT).map(|()| Exit::Done);
        }
        Way::Alone(lock) => match order.into_request(0) {
            Ok(request) => do_it(app, lock, request, delivery.are_wanted()).await?,
            Err(order) => return Err(Failure::new(Exit::Failed, format!("snapwarden: `{}` is no request", order.what.as_str()))),
        },
    };
    let ended = app.clock.now();
    let shown = show(&done.report, begun.wall, ended.wall, json);
    let end = end_of(&done);
    let mut undelivered = Vec::new();
    if let Some(gauges) = done.gauges {
        let successful = matches!(end, Ok(Exit::Done));
        let run = CommandRun { ended_at: ended.wall, duration: ended.mono.since(begun.mono), successful };
        undelivered = delivery.deliver(&run.render(gauges)).await;
    }
    for error in &undelivered {
        eprintln!("error: {error}");
    }
    shown?;
    // Alerts that stand on these metrics see nothing of this run: whoever started it has to be told.
    Ok(if undelivered.is_empty() { end? } else { end.map(|_| Exit::Failed)? })
}

/// How the command ends, apart from what it leaves for others.
fn end_of(done: &Done) -> Result<Exit, Failure> {
    refuse_fatal(&done.report)?;
    for fault in &done.faults {
        eprintln!("error: {fault}");
    }
    let good = done.report.targets.iter().all(|target| matches!(target.result, RunResult::Success | RunResult::Skipped));
    Ok(if good && done.faults.is_empty() { Exit::Done } else { Exit::Failed })
}

/// Does what is asked for in this process.
async fn do_it(app: &App, lock: StateLock, request: Request, gauges: bool) -> Result<Done, Failure> {
    let (_log, progress) = app.log_and_progress()?;
    let metrics = Arc::new(Metrics::new().map_err(|error| Failure::new(Exit::Failed, format!("snapwarden: {error}")))?);
    let provider = app.provider(&metrics)?;
    let journal = app.journal_under(lock).await?;
    if let Some(path) = &journal.1.set_aside {
        eprintln!("warning: the journal was damaged and lies at {} now; a new one was begun", path.display());
    }
    let telemetry = Telemetry::new(metrics);
    let notices = app.notices(&journal.1);
    let told = Arc::clone(&notices);
    let teller = progress.clone();
    let tell = move |fact: &Fact| {
        telemetry.tell(fact);
        told.tell(fact);
        teller.iter().for_each(|progress| progress.fact(fact));
    };
    let mut session = Session::acting(app, provider, journal, Box::new(tell))?;
    let report = session.ask(request).await;
    progress.iter().for_each(Progress::end);
    let faults = session.controller().faults().to_vec();
    let gauges = gauges.then(|| Metrics::render_gauges(&session.controller().report(session.now())));
    let closed = session.close().await;
    notices.close(NOTICES_PATIENCE).await;
    closed?;
    Ok(Done { report: report?, faults, gauges })
}

fn show(report: &RequestReport, begun: Timestamp, ended: Timestamp, json: bool) -> Result<(), Failure> {
    if json {
        let targets = report.targets.iter().map(target_json).collect();
        return output::json(&RunJson { started_at: report.started_at.unwrap_or(begun).to_string(), ended_at: ended.to_string(), targets });
    }
    if report.targets.is_empty() {
        return if report.fatal.is_none() { output::write("nothing is due\n") } else { Ok(()) };
    }
    let mut table = Table::new(&["SERVER", "ID", "KIND", "POLICY", "RESULT", "CREATED", "DELETED", "WHY"]);
    for target in &report.targets {
        let cells = [
            &*target.target.server_name,
            &target.target.server.to_string(),
            target.target.kind.as_str(),
            &target.target.policy,
            target.result.as_str(),
            &output::list(&target.created),
            &output::list(&target.deleted),
            &why(target),
        ];
        table.row_in(color_of(target.result), &cells);
    }
    output::write(&table.draw(stdout_has_color()))
}

fn color_of(result: RunResult) -> Option<Color> {
    match result {
        RunResult::Failure => Some(Color::Red),
        RunResult::Blocked => Some(Color::Yellow),
        RunResult::Skipped => Some(Color::Faint),
        RunResult::Success => None,
    }
}

/// Why it is no success, or what stands all the same.
fn why(target: &TargetResult) -> String {
    let problems = target.problems.iter().map(|problem| format!("{}: {}", problem.reason, problem.detail));
    let text = if target.problems.is_empty() { target.error.clone().unwrap_or_default() } else { problems.collect::<Vec<_>>().join("; ") };
    printable(&text).into_owned()
}

fn target_json(target: &TargetResult) -> TargetJson {
    TargetJson {
        server: (&target.target).into(),
        kind: target.target.kind.as_str(),
        policy: target.target.policy.to_string(),
        result: target.result.as_str(),
        created: target.created.iter().map(|item| item.0).collect(),
        deleted: target.deleted.iter().map(|item| item.0).collect(),
        problems: target.problems.iter().map(|problem| problem.reason.as_str()).collect(),
        error: target.error.clone(),
    }
}
