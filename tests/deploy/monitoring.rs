//! The real Prometheus scrapes the real daemon, whose provider has faults: alerts fire, name their server, reach a webhook through the real Alertmanager, and
//! clear. The rules are ours with all durations divided.

use std::time::Duration;

use jiff::SignedDuration;
use rustix::process::Signal;
use serde_json::Value;
use snapwarden::domain::inventory::{ItemId, Kind, ServerId};
use snapwarden::emulator::{Fault, Item, Progress};

use super::files::{queries, rules, variables};
use super::services::{Told, Watchers};
use super::stage::{Running, Stage};

/// Each of these has a fault of its own; web-01 has none.
const SERVERS: [(u64, &str); 8] =
    [(1, "web-01"), (2, "refused"), (3, "stuck"), (4, "full"), (5, "undeletable"), (6, "crowded"), (7, "renamed"), (8, "emptied")];

/// What fires at first, and about which server.
const AT_FIRST: [(&str, &str); 7] = [
    ("SnapwardenRestorePointOverdue", "refused"),
    ("SnapwardenRunFailing", "refused"),
    ("SnapwardenCreateStuck", "stuck"),
    ("SnapwardenBlocked", "full"),
    ("SnapwardenDeleteRefused", "undeletable"),
    ("SnapwardenDeletesPending", "crowded"),
    ("SnapwardenServerInDoubt", "another-name"),
];

/// What fires when people put more of it wrong; empty: it is about no server.
const BY_HAND: [(&str, &str); 3] =
    [("SnapwardenConfigReloadFailed", ""), ("SnapwardenRestorePointsGone", "emptied"), ("SnapwardenItemsLost", "")];

fn configure(stage: &Stage, name_of_7: &str, extra_deletes: u32) {
    let servers: String = SERVERS.iter().map(|(id, name)| format!("  - {{id: {id}, name: {name}, policy: fast}}\n")).collect();
    let servers = servers
        .replace("name: renamed", &format!("name: {name_of_7}"))
        .replace("id: 6, name: crowded, policy: fast", "id: 6, name: crowded, policy: one");
    stage.configure(&format!(
        "deletes: {{extra_per_server: {extra_deletes}}}\npolicies:\n  fast:\n    \
         snapshots: {{schedule: \"*/3 * * * * *\", keep: {{last: 3}}, stuck_after: 2s, catch_up: 0s}}\n\
         \x20 one:\n    snapshots: {{schedule: \"*/3 * * * * *\", keep: {{last: 1}}, catch_up: 0s}}\nservers:\n{servers}"
    ));
    stage.reconfigure("poll_every: 50ms", "poll_every: 50ms\n  refresh_every: 200ms");
}

/// Adds completed snapshots of ours, the oldest first.
fn add_ours(stage: &Stage, server: u64, number: i64) -> Vec<ItemId> {
    let add = |hours: i64| {
        let at = stage.slot() - SignedDuration::from_hours(hours);
        let item = Item::completed(Kind::Snapshot, ServerId(server), at).named(&format!("prod-fast-{}", at.strftime("%Y%m%dT%H%M%SZ")));
        stage.emulator.add_item(item.described(&format!("snapwarden owner=prod policy=fast slot={at}")))
    };
    (1..=number).rev().map(|day| add(24 * day)).collect()
}

/// A provider with all these faults, the daemon on it, and the only restore point of the server `emptied`.
async fn troubled() -> (Stage, Running, ItemId) {
    let stage = Stage::new().await;
    for (id, name) in &SERVERS[1..] {
        stage.emulator.add_server(*id, name);
    }
    for id in [2, 8] {
        stage.emulator.fault(Fault::on_create(Kind::Snapshot).server(id).status(400));
    }
    stage.emulator.fault(Fault::on_create(Kind::Snapshot).server(3).nth(1).never_completes());
    stage.emulator.fault(Fault::on_delete(Kind::Snapshot).server(5).status(400));
    add_ours(&stage, 2, 1);
    let only = add_ours(&stage, 8, 1)[0];
    for hour in 1..=5 {
        let at = stage.slot() - SignedDuration::from_hours(hour);
        stage.emulator.add_item(Item::completed(Kind::Snapshot, ServerId(4), at).named("of-a-person"));
    }
    add_ours(&stage, 5, 3);
    add_ours(&stage, 6, 4);
    configure(&stage, "another-name", 0);
    let daemon = stage.serve().await;
    (stage, daemon, only)
}

/// A provider without faults, and the daemon on it.
async fn calm() -> (Stage, Running) {
    let stage = Stage::new().await;
    stage.configure(
        "policies:\n  fast:\n    snapshots: {schedule: \"*/3 * * * * *\", keep: {last: 3}, stuck_after: 2s, catch_up: 0s}\n\
         servers:\n  - {id: 1, name: web-01, policy: fast}\n",
    );
    stage.reconfigure("poll_every: 50ms", "poll_every: 50ms\n  refresh_every: 200ms");
    let daemon = stage.serve().await;
    (stage, daemon)
}

/// An expression of the dashboard, with everything chosen.
fn with_all_chosen(expr: &str) -> String {
    let expr = expr.replace("$__rate_interval", "20s");
    ["$instance", "$policy", "$server"].iter().fold(expr, |expr, variable| expr.replace(variable, ".*"))
}

/// Every expression and variable of the dashboard and every recorded series has data.
async fn everything_has_data(watchers: &Watchers) {
    for variable in variables() {
        let series = with_all_chosen(&variable.series);
        let data = || watchers.query(&series).iter().any(|found| !found["metric"][&variable.label].is_null());
        watchers.until(&format!("${} has values", variable.name), data).await;
    }
    for query in queries() {
        let expr = with_all_chosen(&query.expr);
        let data = || if query.instant { watchers.query(&expr) } else { watchers.query_range(&expr) };
        watchers.until(&format!("`{}` has data: {expr}", query.title), || !data().is_empty()).await;
    }
    for rule in rules("deploy/prometheus/recording.yaml") {
        watchers.until(&format!("{} has data", rule.record), || !watchers.query(&rule.record).is_empty()).await;
    }
}

/// Puts everything right that `troubled` put wrong.
fn heal(stage: &Stage, daemon: &Running) {
    stage.emulator.lift_all();
    let items = |server: u64| stage.emulator.items(Kind::Snapshot).into_iter().filter(move |item| item.server == ServerId(server));
    for item in items(3).filter(|item| item.progress == Progress::InProgress) {
        assert!(stage.emulator.end_by_hand(Kind::Snapshot, item.id, Progress::Completed));
    }
    // People make room among their own items, and say that the deletes which wait for them are meant.
    for item in items(4).take(3) {
        assert!(stage.emulator.delete_by_hand(Kind::Snapshot, item.id).is_some());
    }
    configure(stage, "renamed", 5);
    daemon.signal(Signal::HUP);
}

fn assert_tells_of(alert: &Told, server: &str) {
    let text = |key: &str| alert.annotations[key].as_str().unwrap_or_default().to_owned();
    assert!(text("summary").contains(server), "{alert:?}");
    assert_eq!(text("runbook_url"), format!("docs/alerts.md#{}", alert.name.to_lowercase()));
    assert!(["critical", "warning"].iter().any(|severity| alert.labels["severity"] == *severity), "{alert:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_about_servers_fire_reach_a_webhook_and_clear() {
    let (stage, daemon, only) = troubled().await;
    let Some(watchers) = Watchers::start(stage.port()).await else { return };
    let tells = async |name, server| assert_tells_of(&watchers.until_told(true, name, server).await, server);
    tells("SnapwardenRestorePointOverdue", "refused").await;
    // A configuration that is wrong; and the last restore point of a server goes, by somebody else's hand.
    stage.reconfigure("owner: prod", "owner: prod\nnonsense: 1");
    daemon.signal(Signal::HUP);
    stage.emulator.delete_by_hand(Kind::Snapshot, only);
    for (name, server) in AT_FIRST.into_iter().chain(BY_HAND) {
        tells(name, server).await;
    }
    let ledger = stage.emulator.ledger();
    let untouched = |id: u64| !ledger.deletes().iter().any(|item| item.server == ServerId(id));
    assert!(untouched(4) && untouched(7), "something was deleted where it may not be");
    everything_has_data(&watchers).await;

    heal(&stage, &daemon);
    for (name, server) in AT_FIRST.into_iter().chain(BY_HAND) {
        watchers.until_told(false, name, server).await;
    }
    nothing_about_web(&watchers);
    daemon.terminate().await;
}

/// Beside the other: nearly all of both is waiting.
#[tokio::test(flavor = "multi_thread")]
async fn alerts_about_the_account_and_the_daemon_fire_and_clear() {
    let (stage, daemon) = calm().await;
    let Some(watchers) = Watchers::start(stage.port()).await else { return };
    stage.ledger_until("one is made", |ledger| !ledger.creates().is_empty()).await;
    account_alerts(&stage, &daemon, &watchers).await;
    nothing_about_web(&watchers);
    daemon.terminate().await;
    watchers.until_told(true, "SnapwardenDown", "").await;
    watchers.until_told(true, "SnapwardenAbsent", "").await;
    let daemon = stage.serve().await;
    watchers.until_told(false, "SnapwardenDown", "").await;
    watchers.until_told(false, "SnapwardenAbsent", "").await;
    daemon.terminate().await;
}

/// What is wrong with the account as a whole, one after the other.
async fn account_alerts(stage: &Stage, daemon: &Running, watchers: &Watchers) {
    stage.emulator.set_clock_ahead(SignedDuration::from_mins(3));
    watchers.until_told(true, "SnapwardenClockSkew", "").await;
    stage.emulator.set_clock_ahead(SignedDuration::ZERO);
    watchers.until_told(false, "SnapwardenClockSkew", "").await;

    let outage = stage.emulator.fault(Fault::everywhere().status(503));
    watchers.until_told(true, "SnapwardenProviderDown", "").await;
    stage.emulator.lift(outage);
    watchers.until_told(false, "SnapwardenProviderDown", "").await;

    stage.emulator.refuse_token(true);
    let told = watchers.until_told(true, "SnapwardenTokenRefused", "").await;
    assert_eq!(told.labels["reason"], Value::from("auth"));
    stage.emulator.refuse_token(false);
    daemon.signal(Signal::HUP);
    watchers.until_told(false, "SnapwardenTokenRefused", "").await;
}

/// A create that failed while the provider was away is told, and nothing else.
fn nothing_about_web(watchers: &Watchers) {
    let about_web = watchers.told().into_iter().find(|alert| alert.labels["server"] == "web-01" && alert.name != "SnapwardenRunFailing");
    assert!(about_web.is_none(), "nothing was wrong with web-01: {about_web:?}");
}

/// The rest takes longer, since the daemon itself waits for minutes: throttling is shown for a minute, and a slot is missed when it is a minute late.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: .ci/e2e monitoring"]
async fn slow_alerts_fire_and_clear() {
    let (stage, daemon) = calm().await;
    let Some(watchers) = Watchers::start(stage.port()).await else { return };
    stage.ledger_until("two are made", |ledger| ledger.creates().len() >= 2).await;
    let throttle = stage.emulator.fault(Fault::everywhere().status(429).retry_after(1));
    watchers.until_told(true, "SnapwardenThrottled", "").await;
    stage.emulator.lift(throttle);
    watchers.until_told(false, "SnapwardenThrottled", "").await;

    // Some of the requests; were it all, the daemon would ask too seldom for ranges in such a hurry.
    let errors = stage.emulator.fault(Fault::everywhere().chance(0.5).status(503));
    watchers.until_told(true, "SnapwardenProviderErrors", "").await;
    stage.emulator.lift(errors);
    watchers.until_told(false, "SnapwardenProviderErrors", "").await;

    let refusal = stage.emulator.fault(Fault::on_create(Kind::Snapshot).status(400));
    watchers.until_told(true, "SnapwardenPolicyFailing", "").await;
    stage.emulator.lift(refusal);
    watchers.until_told(false, "SnapwardenPolicyFailing", "").await;

    daemon.terminate().await;
    tokio::time::sleep(Duration::from_secs(75)).await;
    let daemon = stage.serve().await;
    watchers.until_told(true, "SnapwardenMissedRuns", "").await;
    watchers.until_told(false, "SnapwardenMissedRuns", "").await;
    stage.no_twins_and_no_refusals();
    daemon.terminate().await;
}
