//! Tests of the status document.

use serde_json::json;

use super::*;
use crate::telemetry::samples;

#[test]
fn the_document_has_the_shape_of_the_contract() {
    let wanted = json!({
        "at": "2026-11-21T12:00:00Z",
        "observed": true,
        "provider_up": true,
        "servers": [
            {"id": 7, "name": "web-01", "snapshots": {
                "policy": "web", "used": 4, "others": 1, "cap": 5, "restore_points": 3,
                "newest_completed_at": "2026-11-21T03:31:00Z", "last_success_at": "2026-11-21T03:40:00.5Z",
                "next_run_at": "2026-11-22T03:30:00Z", "overdue_after": "2026-11-22T05:30:00Z", "running": false,
                "problems": ["cap_full", "paused"],
                "details": [
                    {"reason": "cap_full", "detail": "5 of 5 slots are used"},
                    {"reason": "paused", "detail": "until tomorrow"},
                ],
             }, "backups": {
                "policy": "web", "used": null, "others": null, "cap": 10, "restore_points": null,
                "newest_completed_at": null, "last_success_at": null, "next_run_at": null, "overdue_after": null, "running": true,
                "problems": [], "details": [],
             }},
            {"id": 8, "name": "db\"\\\n<script>alert(1)</script>", "snapshots": null, "backups": {
                "policy": "db", "used": 0, "others": 0, "cap": 10, "restore_points": 0,
                "newest_completed_at": null, "last_success_at": null, "next_run_at": null, "overdue_after": null, "running": false,
                "problems": [], "details": [],
             }},
        ],
        "account": {"problems": ["throttled"], "details": [{"reason": "throttled", "detail": "asked to wait 5 s"}]},
    });
    assert_eq!(serde_json::to_value(status_json(&samples::report())).unwrap(), wanted);
}

#[test]
fn no_server_is_an_empty_list() {
    let value = serde_json::to_value(status_json(&samples::empty_report())).unwrap();
    assert_eq!(value["servers"], json!([]));
    assert_eq!(value["account"]["problems"], json!([]));
}
