//! Each documented answer.

use super::*;
use crate::domain::inventory::{ItemId, Kind, ServerId};

#[tokio::test]
async fn a_snapshot_is_made_listed_and_deleted_as_documented() {
    let (emulator, client) = started().await;
    let made = client.post("/api/v1/snapshots/", &snapshot_order("pre-migration")).await;
    let body = made.json();
    assert_eq!(made.status, 201);
    assert_eq!(body["server"], json!({"id": SERVER, "name": "web-server-01"}));
    assert_eq!((&body["status"], &body["size_mb"]), (&json!("in_progress"), &Value::Null));
    assert!(body["message"].is_string());
    assert!(is_whole_second(&body["created_at"]), "{body}");

    let id = body["id"].as_u64().unwrap();
    emulator.end_by_hand(Kind::Snapshot, ItemId(id), Progress::Completed);
    let listed = client.get("/api/v1/snapshots/").await;
    assert_eq!((listed.status, listed.header("content-type")), (200, Some("application/json")));
    let list = listed.json();
    assert_eq!(list["count"], 1);
    assert!(list.get("next").is_none());
    let entry = &list["results"][0];
    assert_eq!((&entry["status"], &entry["description"]), (&json!("completed"), &json!("Before major migration")));
    assert!(entry["size_mb"].is_u64());
    assert_eq!(entry.as_object().unwrap().len(), 7);

    let gone = client.delete(&format!("/api/v1/snapshots/{id}/")).await;
    assert_eq!((gone.status, gone.body.len()), (204, 0));
    assert_eq!(client.delete(&format!("/api/v1/snapshots/{id}/")).await.status, 404);
    assert!(client.get("/api/v1/snapshots/").await.ids().is_empty());
    let ledger = emulator.ledger();
    assert_eq!((ledger.creates().len(), ledger.deletes()[0].id), (1, ItemId(id)));
    assert_eq!(ledger.deletes()[0].progress, Progress::Completed);
}

#[tokio::test]
async fn a_backup_has_a_type_and_an_expiry_and_no_name() {
    let (emulator, client) = started().await;
    let body = client.post("/api/v1/backups/", &json!({"server_id": SERVER, "description": "weekly"})).await.json();
    assert_eq!((&body["backup_type"], &body["expires_at"]), (&json!("manual"), &Value::Null));
    assert!(body.get("name").is_none());
    emulator.add_item(Item::automatic(ServerId(SERVER), emulator.now(), 60 * MINUTE));
    let automatic = client.get("/api/v1/backups/?backup_type=automatic").await.json();
    assert_eq!((&automatic["count"], &automatic["results"][0]["backup_type"]), (&json!(1), &json!("automatic")));
    assert!(is_whole_second(&automatic["results"][0]["expires_at"]));
    assert_eq!(client.get("/api/v1/backups/?backup_type=manual").await.ids(), [body["id"].as_u64().unwrap()]);
    assert_eq!(client.get("/api/v1/backups/?backup_type=other").await.status, 400);
}

#[tokio::test]
async fn lists_can_be_filtered_by_server() {
    let (emulator, client) = started().await;
    emulator.add_server(7, "other");
    let of = |server| Item::completed(Kind::Snapshot, ServerId(server), emulator.now());
    let (mine, other) = (emulator.add_item(of(SERVER)), emulator.add_item(of(7)));
    assert_eq!(client.get("/api/v1/snapshots/?server_id=7").await.ids(), [other.0]);
    assert_eq!(client.get("/api/v1/snapshots/").await.ids().len(), 2);
    assert!(mine.0 > other.0, "a later item has a lower number");
    assert_eq!(client.get("/api/v1/snapshots/?server_id=8").await.json()["count"], 0);
    assert_eq!(client.get("/api/v1/snapshots/?server_id=x").await.status, 400);
    assert_eq!(client.get("/api/v1/snapshots/?page_size=1").await.ids().len(), 2, "no such parameter is documented");
}

#[tokio::test]
async fn bad_orders_are_told_field_by_field() {
    let (emulator, client) = started().await;
    let bad = [
        (json!({"server_id": SERVER}), "name"),
        (json!({"server_id": SERVER, "name": ""}), "name"),
        (json!({"server_id": SERVER, "name": "no spaces"}), "name"),
        (json!({"server_id": SERVER, "name": "ø"}), "name"),
        (json!({"server_id": SERVER, "name": "x".repeat(64)}), "name"),
        (json!({"server_id": SERVER, "name": 7}), "name"),
        (json!({"name": "n"}), "server_id"),
        (json!({"server_id": "12345", "name": "n"}), "server_id"),
        (json!({"server_id": SERVER, "name": "n", "description": null}), "description"),
    ];
    for (body, field) in bad {
        let reply = client.post("/api/v1/snapshots/", &body).await;
        assert_eq!(reply.status, 400, "{body}");
        assert!(reply.json()[field][0].is_string(), "{body}: {}", reply.json());
    }
    for body in ["", "{", "[]"] {
        assert_eq!(client.call("POST", "/api/v1/backups/", Some(body)).await.unwrap().status, 400, "{body}");
    }
    assert_eq!(client.post("/api/v1/backups/", &json!({"server_id": 1})).await.status, 404);
    assert!(emulator.ledger().creates().is_empty());
}

#[tokio::test]
async fn a_full_server_refuses_more() {
    let (emulator, client) = started().await;
    for n in 0..5 {
        assert_eq!(client.post("/api/v1/snapshots/", &snapshot_order(&format!("n{n}"))).await.status, 201);
    }
    let refused = client.post("/api/v1/snapshots/", &snapshot_order("n5")).await;
    assert_eq!(refused.status, 400);
    assert!(refused.json()["detail"].is_string());
    let ledger = emulator.ledger();
    assert_eq!((ledger.cap_refusals(), ledger.most_used(Kind::Snapshot, ServerId(SERVER))), (1, 5));
}

#[tokio::test]
async fn the_token_is_wanted_before_anything_is_told() {
    let (emulator, mut client) = started().await;
    for token in ["", "vps_wrong"] {
        client.token = token.to_owned();
        let reply = client.call("PUT", "/api/v1/snapshots/", None).await.unwrap();
        assert_eq!(reply.status, 401, "{token:?}");
        assert!(reply.json()["detail"].is_string());
    }
    client.token = emulator.token();
    assert_eq!(client.get("/api/v1/account/me/").await.json()["account"]["email"], "ops@example.org");
    emulator.refuse_token(true);
    assert_eq!(client.get("/api/v1/account/me/").await.status, 401);
    emulator.refuse_token(false);
    emulator.replace_token("vps_new");
    assert_eq!(client.get("/api/v1/account/me/").await.status, 401);
    client.token = "vps_new".to_owned();
    assert_eq!(client.get("/api/v1/account/me/").await.status, 200);
}

#[tokio::test]
async fn paths_and_methods_are_exact() {
    let (emulator, client) = started().await;
    let redirect = client.get("/api/v1/snapshots?server_id=7").await;
    assert_eq!((redirect.status, redirect.header("location")), (301, Some("/api/v1/snapshots/?server_id=7")));
    let order = snapshot_order("n").to_string();
    assert_eq!(client.call("POST", "/api/v1/snapshots", Some(&order)).await.unwrap().status, 404);
    for path in ["/snapshots/", "/api/v1/", "/api/v1/snapshots/x/", "/api/v2/snapshots/"] {
        assert_eq!(client.get(path).await.status, 404, "{path}");
    }
    for (method, path, allow) in [("PUT", "/api/v1/snapshots/", "GET, POST"), ("GET", "/api/v1/snapshots/801/", "DELETE")] {
        let reply = client.call(method, path, None).await.unwrap();
        assert_eq!((reply.status, reply.header("allow")), (405, Some(allow)));
    }
    assert_eq!(client.call("POST", "/api/v1/backups/", None).await.unwrap().status, 415);
    assert!(emulator.ledger().creates().is_empty());
}

#[tokio::test]
async fn servers_are_listed_unless_they_are_switched_off() {
    let (emulator, client) = started().await;
    emulator.account(|account, now| account.add_server(Server { status: "stopped".to_owned(), ..Server::active(7, "db-1") }, now));
    assert_eq!(client.get("/api/v1/servers/").await.ids(), [7, SERVER]);
    let stopped = client.get("/api/v1/servers/?status=stopped").await.json();
    assert_eq!((&stopped["count"], &stopped["results"][0]["hostname"]), (&json!(1), &json!("db-1.example.org")));
    emulator.set_servers_access(ServersAccess::Forbidden);
    assert_eq!(client.get("/api/v1/servers/").await.status, 403);
    emulator.set_servers_access(ServersAccess::Missing);
    assert_eq!(client.get("/api/v1/servers/").await.status, 404);
}

#[tokio::test]
async fn restores_take_the_server_out_of_service() {
    let (emulator, client) = started().await;
    let snapshot = emulator.add_item(Item::completed(Kind::Snapshot, ServerId(SERVER), emulator.now()).named("good"));
    let backup = emulator.add_item(Item::completed(Kind::Backup, ServerId(SERVER), emulator.now()));
    let reply = client.call("POST", &format!("/api/v1/snapshots/{snapshot}/restore/"), None).await.unwrap();
    let body = reply.json();
    assert_eq!((reply.status, &body["status"], &body["snapshot"]["name"]), (200, &json!("success"), &json!("good")));
    assert_eq!(body["server"], json!({"id": SERVER, "name": "web-server-01", "status": "restoring"}));
    assert_eq!(client.get("/api/v1/servers/").await.json()["results"][0]["status"], "restoring");
    let order = json!({"backup_id": backup.0});
    assert_eq!(client.post(&format!("/api/v1/servers/{SERVER}/restore/"), &order).await.status, 400);
    assert_eq!(client.call("POST", "/api/v1/snapshots/9/restore/", None).await.unwrap().status, 404);
    emulator.set_clock_ahead(jiff::SignedDuration::from_hours(1));
    assert_eq!(client.post(&format!("/api/v1/servers/{SERVER}/restore/"), &order).await.status, 200);
}

#[tokio::test]
async fn items_of_a_removed_server_stay_without_it() {
    let (emulator, client) = started().await;
    emulator.add_item(Item::completed(Kind::Snapshot, ServerId(SERVER), emulator.now()));
    emulator.account(|account, _| account.remove_server(ServerId(SERVER)));
    assert_eq!(client.get("/api/v1/snapshots/").await.json()["results"][0]["server"], Value::Null);
}

fn is_whole_second(time: &Value) -> bool {
    let text = time.as_str().unwrap();
    text.len() == "2025-01-15T18:30:00Z".len() && text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok()
}
