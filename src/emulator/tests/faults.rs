//! Each fault, as a client meets it, and what it leaves at the provider.

use super::*;
use crate::clock::{Clock, Mono, SystemClock};
use crate::domain::inventory::{ItemId, Kind, ServerId};

const LIST: &str = "/api/v1/snapshots/";

/// How long a test waits to see that nothing comes. A false pass is possible on a stalled machine, a false failure is not.
const QUIET: Duration = Duration::from_millis(20);

/// An emulator with three completed snapshots, under this fault.
async fn stocked(fault: Fault) -> (Emulator, Client) {
    let (emulator, client) = started().await;
    for name in ["a", "b", "c"] {
        emulator.add_item(Item::completed(Kind::Snapshot, ServerId(SERVER), emulator.now()).named(name));
    }
    emulator.fault(fault);
    (emulator, client)
}

/// What an order for a snapshot met, and how many were made.
async fn ordered(fault: Fault) -> (Option<client::Raw>, usize, Answered) {
    let (emulator, client) = started().await;
    emulator.fault(fault);
    let raw = client.call("POST", LIST, Some(&snapshot_order("n").to_string())).await;
    let ledger = emulator.ledger();
    let answered = ledger.requests().next().unwrap().answered;
    (raw, ledger.creates().len(), answered)
}

async fn listed(fault: Fault) -> client::Raw {
    let (_emulator, client) = stocked(fault).await;
    client.get(LIST).await
}

#[tokio::test]
async fn statuses_with_and_without_effect() {
    let (raw, made, answered) = ordered(Fault::on(Method::POST, "/snapshots/").status(503).retry_after(7)).await;
    let raw = raw.unwrap();
    assert_eq!((raw.status, raw.header("retry-after"), made, answered), (503, Some("7"), 0, Answered::Status(503)));
    let (raw, made, _) = ordered(Fault::on_create(Kind::Snapshot).status_after_commit(500).body("oops")).await;
    let raw = raw.unwrap();
    assert_eq!((raw.status, &raw.body[..], made), (500, &b"oops"[..], 1));
}

#[tokio::test]
async fn retry_after_can_be_a_date() {
    let (_emulator, client) = stocked(Fault::everywhere().status(429).retry_after_date(MINUTE)).await;
    let raw = client.get(LIST).await;
    let date = |name| httpdate::parse_http_date(raw.header(name).unwrap()).unwrap();
    let wait = date("retry-after").duration_since(date("date")).unwrap();
    assert_eq!(wait, MINUTE);
}

#[tokio::test]
async fn cut_connections() {
    let (raw, made, answered) = ordered(Fault::everywhere().cut()).await;
    assert!(raw.is_none());
    assert_eq!((made, answered), (0, Answered::Cut));
    let (raw, made, answered) = ordered(Fault::on_create(Kind::Snapshot).nth(1).cut_after_commit()).await;
    assert!(raw.is_none());
    assert_eq!((made, answered), (1, Answered::Cut));
}

#[tokio::test]
async fn hanging_requests_end_when_the_client_goes() {
    let (emulator, client) = started().await;
    let order = snapshot_order("n").to_string();
    let answers = |ledger: &Ledger| ledger.requests().map(|request| request.answered).collect::<Vec<_>>();

    emulator.fault(Fault::everywhere().nth(1).hang_after_commit());
    let stream = client.send("POST", LIST, Some(&order)).await;
    emulator.wait_for(|ledger| ledger.creates().len() == 1).await;
    assert_eq!(answers(&emulator.ledger()), [Answered::Pending]);
    drop(stream);
    emulator.wait_for(|ledger| answers(ledger) == [Answered::Gone]).await;

    emulator.fault(Fault::everywhere().hang());
    drop(client.send("POST", LIST, Some(&order)).await);
    emulator.wait_for(|ledger| answers(ledger) == [Answered::Gone, Answered::Gone]).await;
    assert_eq!(emulator.ledger().creates().len(), 1);
}

#[tokio::test]
async fn unreadable_bodies() {
    let (raw, made, _) = ordered(Fault::everywhere().garbage()).await;
    let raw = raw.unwrap();
    assert_eq!((raw.status, made), (201, 1));
    assert!(serde_json::from_slice::<Value>(&raw.body).is_err());
    let raw = listed(Fault::everywhere().html()).await;
    assert_eq!((raw.status, raw.header("content-type")), (200, Some("text/html; charset=utf-8")));
}

#[tokio::test]
async fn truncated_bodies_promise_more_than_they_send() {
    let (raw, made, _) = ordered(Fault::everywhere().truncated(10)).await;
    let raw = raw.unwrap();
    assert_eq!((raw.status, raw.body.len(), made), (201, 10, 1));
    assert!(raw.header("content-length").unwrap().parse::<usize>().unwrap() > 100);
}

#[tokio::test]
async fn stalled_bodies_stay_open() {
    let (_emulator, client) = stocked(Fault::everywhere().stalled(5)).await;
    let (stalled, silent) = client.start_of_get(LIST, 5, QUIET).await;
    assert_eq!((stalled.status, stalled.body.len(), silent), (200, 5, true));
}

#[tokio::test]
async fn slow_bodies_arrive_whole() {
    let clock = SystemClock::new();
    let raw = listed(Fault::everywhere().empty().slow(Duration::from_millis(1))).await;
    assert_eq!(raw.json()["count"], 0);
    assert!(clock.now().mono >= Mono(Duration::from_millis(raw.body.len() as u64)));
}

#[tokio::test]
async fn endless_bodies_have_no_length_and_their_size() {
    let raw = listed(Fault::everywhere().endless(1_000_000)).await;
    assert_eq!(raw.header("content-length"), None);
    assert!(raw.body.len() > 1_000_000);
}

#[tokio::test]
async fn redirects_point_where_they_are_told() {
    let raw = listed(Fault::everywhere().redirect(302, "http://127.0.0.1:1/steal")).await;
    assert_eq!((raw.status, raw.header("location")), (302, Some("http://127.0.0.1:1/steal")));
}

#[tokio::test]
async fn lists_that_lie() {
    let dropped = listed(Fault::on_list(Kind::Snapshot).drop_entries(1)).await;
    assert_eq!((dropped.ids().len(), &dropped.json()["count"]), (2, &json!(3)));
    let counted = listed(Fault::on_list(Kind::Snapshot).count_says(9)).await;
    assert_eq!((counted.ids().len(), &counted.json()["count"]), (3, &json!(9)));
    let empty = listed(Fault::on_list(Kind::Snapshot).empty()).await;
    assert_eq!((empty.ids().len(), &empty.json()["count"]), (0, &json!(0)));
    let doubled = listed(Fault::on_list(Kind::Snapshot).duplicate_entry()).await;
    assert_eq!((doubled.ids()[0], &doubled.json()["count"]), (doubled.ids()[3], &json!(4)));
    let unreadable = listed(Fault::on_list(Kind::Snapshot).unreadable_entry("created_at")).await.json();
    assert!(unreadable["results"][0].get("created_at").is_none());
    assert!(unreadable["results"][1]["created_at"].is_string());
    let bare = listed(Fault::on_list(Kind::Snapshot).bare_array()).await.json();
    assert_eq!(bare.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_filter_can_be_ignored() {
    let (_emulator, client) = stocked(Fault::on_list(Kind::Snapshot).ignore_filter()).await;
    assert_eq!(client.get("/api/v1/snapshots/?server_id=7").await.ids().len(), 3);
}

#[tokio::test]
async fn pages_lead_to_each_other() {
    let (emulator, client) = stocked(Fault::on_list(Kind::Snapshot).nth(1).paged(2)).await;
    let query = format!("{LIST}?server_id={SERVER}");
    let first = client.get(&query).await;
    let next = first.json()["next"].as_str().unwrap().to_owned();
    let rest = next.strip_prefix(&format!("http://127.0.0.1:{}", emulator.port())).unwrap();
    let last = client.get(rest).await;
    assert_eq!((last.json()["next"].is_null(), &last.json()["count"]), (true, &json!(3)));
    assert!(rest.contains(&format!("server_id={SERVER}&page=2")), "{rest}");
    let pages = [first.ids(), last.ids()].concat();
    assert_eq!(pages, client.get(LIST).await.ids());
    assert_eq!(client.get(&rest.replace("page=2", "page=3")).await.status, 404);
    assert_eq!(client.get(&rest.replace("page=2", "page=0")).await.status, 404);
}

#[tokio::test]
async fn pages_can_lead_elsewhere_and_be_missing() {
    let (emulator, client) = stocked(Fault::on_list(Kind::Snapshot).query("page=2").status(500)).await;
    emulator.fault(Fault::on_list(Kind::Snapshot).paged_at(2, "http://127.0.0.1:1"));
    let next = client.get(LIST).await.json()["next"].as_str().unwrap().to_owned();
    assert_eq!(next, "http://127.0.0.1:1/api/v1/snapshots/?page=2&page_size=2");
    assert_eq!(client.get(next.strip_prefix("http://127.0.0.1:1").unwrap()).await.status, 500);
}

#[tokio::test]
async fn stale_lists_show_the_past() {
    let (emulator, client) = stocked(Fault::on_list(Kind::Snapshot).before_last_write()).await;
    let before = client.get(LIST).await.ids();
    assert_eq!(before.len(), 2, "the third was the last write");
    assert_eq!(client.delete(&format!("{LIST}{}/", before[0])).await.status, 204);
    assert_eq!(client.get(LIST).await.ids().len(), 3, "what was deleted is back");
    emulator.lift_all();
    emulator.fault(Fault::on_list(Kind::Snapshot).stale(MINUTE));
    assert!(client.get(LIST).await.ids().is_empty());
    emulator.set_clock_ahead(jiff::SignedDuration::from_hours(1));
    assert_eq!(client.get(LIST).await.ids().len(), 2, "it has caught up");
}

#[tokio::test]
async fn created_items_meet_their_fate() {
    let fates = [
        (Fault::everywhere().fails_at_once(), "failed"),
        (Fault::everywhere().takes(Duration::ZERO), "completed"),
        (Fault::everywhere().ends_as("archived").takes(Duration::ZERO), "archived"),
        (Fault::everywhere().never_completes().takes(Duration::ZERO), "in_progress"),
    ];
    for (fault, status) in fates {
        let (raw, _, _) = ordered(fault).await;
        assert_eq!(raw.unwrap().json()["status"], status);
    }
}

#[tokio::test]
async fn a_201_can_name_another_server() {
    let (raw, made, _) = ordered(Fault::on_create(Kind::Snapshot).wrong_server(99)).await;
    assert_eq!((&raw.unwrap().json()["server"]["id"], made), (&json!(99), 1));
}

#[tokio::test]
async fn pretended_writes_change_nothing() {
    let (raw, made, _) = ordered(Fault::everywhere().pretend()).await;
    assert_eq!((raw.unwrap().status, made), (201, 0));
    let (emulator, client) = stocked(Fault::on_delete(Kind::Snapshot).pretend()).await;
    let id = client.get(LIST).await.ids()[0];
    assert_eq!(client.delete(&format!("{LIST}{id}/")).await.status, 204);
    assert!(client.get(LIST).await.ids().contains(&id));
    assert!(emulator.ledger().deletes().is_empty());
    assert_eq!(client.delete(&format!("{LIST}1/")).await.status, 404);
}

#[tokio::test]
async fn late_writes_appear_after_their_delay() {
    let (emulator, client) = started().await;
    emulator.fault(Fault::on_create(Kind::Snapshot).status(504).late(MINUTE));
    emulator.fault(Fault::on_delete(Kind::Snapshot).status(502).late(MINUTE));
    assert_eq!(client.post(LIST, &snapshot_order("n")).await.status, 504);
    assert!(client.get(LIST).await.ids().is_empty());
    emulator.set_clock_ahead(jiff::SignedDuration::from_secs(60));
    let ids = client.get(LIST).await.ids();
    assert_eq!(ids.len(), 1);
    assert_eq!(client.delete(&format!("{LIST}{}/", ids[0])).await.status, 502);
    assert_eq!(client.get(LIST).await.ids(), ids);
    emulator.set_clock_ahead(jiff::SignedDuration::from_secs(120));
    assert!(client.get(LIST).await.ids().is_empty());
}

#[tokio::test]
async fn requests_above_a_rate_are_throttled() {
    let (emulator, client) = started().await;
    let throttle = emulator.fault(Fault::everywhere().above_rate(0.001, 2).status(429).retry_after(1));
    let statuses = [client.get(LIST).await.status, client.get(LIST).await.status, client.get(LIST).await.status];
    assert_eq!(statuses, [200, 200, 429]);
    assert_eq!(emulator.hits(throttle), 1);
}

#[tokio::test]
async fn faults_hit_only_whom_they_name() {
    let (emulator, client) = started().await;
    emulator.add_server(7, "other");
    let mine = emulator.add_item(Item::completed(Kind::Backup, ServerId(SERVER), emulator.now()));
    emulator.fault(Fault::everywhere().server(SERVER).status(418));
    let other = json!({"server_id": 7, "name": "n"});
    assert_eq!(client.post(LIST, &other).await.status, 201);
    assert_eq!(client.post(LIST, &snapshot_order("n")).await.status, 418);
    assert_eq!(client.delete(&format!("/api/v1/backups/{mine}/")).await.status, 418);
    assert_eq!(client.get(&format!("{LIST}?server_id={SERVER}")).await.status, 418);
    assert_eq!(client.get(LIST).await.status, 200);
}

#[tokio::test]
async fn answers_can_be_late_after_the_effect() {
    let (emulator, client) = started().await;
    emulator.fault(Fault::on_create(Kind::Snapshot).delay_answer(MINUTE));
    emulator.fault(Fault::on_create(Kind::Backup).delay(MINUTE));
    let order = snapshot_order("n").to_string();
    let _backup = client.send("POST", "/api/v1/backups/", Some(&order)).await;
    let _snapshot = client.send("POST", LIST, Some(&order)).await;
    emulator.wait_for(|ledger| ledger.creates().len() == 1 && ledger.requests().count() == 2).await;
    let ledger = emulator.ledger();
    assert_eq!(ledger.creates()[0].kind, Kind::Snapshot);
    assert!(ledger.requests().all(|request| request.answered == Answered::Pending));
}

#[tokio::test]
async fn a_fault_can_be_edited_to_anything() {
    let raw = listed(Fault::everywhere().edit(|body| body["results"][0]["id"] = json!(-1))).await;
    assert_eq!(raw.json()["results"][0]["id"], -1);
    let headers = listed(Fault::everywhere().header("date", "Thu, 01 Jan 1970 00:00:00 GMT")).await;
    assert_eq!(headers.header("date"), Some("Thu, 01 Jan 1970 00:00:00 GMT"));
    assert!(headers.ids().contains(&ItemId(808).0));
}
