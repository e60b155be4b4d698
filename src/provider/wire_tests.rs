//! What is read from the provider's JSON, and what becomes of what cannot be read.

use std::fmt::Debug;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::provider::gather::{Gather, Items, Servers, Totals};
use crate::provider::page::{Next, Page, read_page, read_whole_page};

const SNAPSHOT: &str = r#"{"id": 801, "server": {"id": 12345, "name": "web-server-01"}, "name": "pre-migration-snapshot", "status": "completed",
    "size_mb": 5120, "created_at": "2025-01-15T18:30:00Z", "description": "Before major migration"}"#;

const BACKUP: &str = r#"{"id": 499, "server": {"id": 12345, "name": "web-server-01"}, "backup_type": "manual", "status": "completed",
    "size_mb": 4456, "created_at": "2025-01-14T10:30:00Z", "expires_at": null, "description": "Pre-update backup"}"#;

fn raw_value(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_string()).unwrap()
}

fn entry(kind: Kind, text: &str) -> Entry {
    read_entry(kind, &raw_value(text), &mut Texts::default())
}

fn item(kind: Kind, text: &str) -> Item {
    match entry(kind, text) {
        Entry::Item(item) => item,
        other => panic!("not an item: {other:?}"),
    }
}

fn opaque(kind: Kind, text: &str) -> Opaque {
    match entry(kind, text) {
        Entry::Opaque(opaque) => opaque,
        other => panic!("not opaque: {other:?}"),
    }
}

/// An entry with one part replaced.
fn with(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

fn items_page(text: &str) -> Result<Page<Items>, serde_json::Error> {
    read_either_way(text.as_bytes(), &Items::new(Kind::Snapshot, Arc::default()))
}

/// Reads a page as it arrives, and as a whole; both must come to the same.
fn read_either_way<G: Gather + Debug>(bytes: &[u8], entries: &G) -> Result<Page<G>, serde_json::Error> {
    let arriving = read_page(bytes, entries.empty());
    let whole = read_whole_page(bytes, entries.empty());
    assert_eq!(arriving.is_ok(), whole.is_ok(), "{arriving:?}, {whole:?}");
    assert_eq!(arriving.as_ref().ok().map(|page| format!("{page:?}")), whole.ok().map(|page| format!("{page:?}")));
    arriving
}

#[test]
fn the_documented_snapshot() {
    let expected = Item {
        id: ItemId(801),
        server: ServerId(12345),
        server_name: "web-server-01".into(),
        kind: Kind::Snapshot,
        name: Some("pre-migration-snapshot".into()),
        description: "Before major migration".into(),
        status: Status::Completed,
        created_at: "2025-01-15T18:30:00Z".parse().unwrap(),
        automatic: false,
    };
    assert_eq!(item(Kind::Snapshot, SNAPSHOT), expected);
    assert_eq!(item(Kind::Snapshot, &with(SNAPSHOT, "\"size_mb\"", "\"new\": [{\"deep\": 1}], \"size_mb\"")), expected);
}

#[test]
fn the_documented_backups() {
    assert!(!item(Kind::Backup, BACKUP).automatic);
    assert_eq!(item(Kind::Backup, BACKUP).name, None);
    assert!(item(Kind::Backup, &with(BACKUP, "manual", "automatic")).automatic);
    assert!(item(Kind::Backup, &with(BACKUP, "\"expires_at\": null", "\"expires_at\": \"2025-02-16T03:00:00Z\"")).automatic);
    assert!(item(Kind::Backup, &with(BACKUP, "\"expires_at\": null", "\"expires_at\": 7")).automatic);
    assert_eq!(opaque(Kind::Backup, &with(BACKUP, "manual", "weekly")).server, Some(ServerId(12345)));
    assert_eq!(opaque(Kind::Backup, &with(BACKUP, "\"backup_type\": \"manual\",", "")).why, "`backup_type` is missing");
}

#[test]
fn what_may_be_missing() {
    for (from, to) in [
        (r#""description": "Before major migration""#, r#""description": null"#),
        (r#", "description": "Before major migration""#, ""),
        (r#""size_mb": 5120,"#, ""),
        (r#""size_mb": 5120"#, r#""size_mb": null"#),
        (r#""size_mb": 5120"#, r#""size_mb": -1.5"#),
        (r#", "name": "web-server-01""#, ""),
    ] {
        let read = item(Kind::Snapshot, &with(SNAPSHOT, from, to));
        assert_eq!(read.id, ItemId(801), "{from} -> {to}");
    }
    assert_eq!(&*item(Kind::Snapshot, &with(SNAPSHOT, "\"Before major migration\"", "null")).description, "");
}

#[test]
fn an_unreadable_part_makes_it_opaque_and_keeps_its_numbers() {
    for (from, to, why) in [
        ("\"name\": \"pre-migration-snapshot\",", "", "`name` is missing"),
        ("\"pre-migration-snapshot\"", "null", "`name` cannot be read"),
        ("\"pre-migration-snapshot\"", r#""\ud800""#, "`name` cannot be read"),
        ("\"status\": \"completed\",", "", "`status` is missing"),
        ("\"completed\"", "7", "`status` cannot be read"),
        ("\"2025-01-15T18:30:00Z\"", "\"2025-01-15T18:30:00\"", "`created_at` is not a time with a zone"),
        ("\"2025-01-15T18:30:00Z\"", "\"yesterday\"", "`created_at` is not a time with a zone"),
        ("\"2025-01-15T18:30:00Z\"", "1736965800", "`created_at` cannot be read"),
        ("\"Before major migration\"", "[]", "`description` cannot be read"),
    ] {
        let read = opaque(Kind::Snapshot, &with(SNAPSHOT, from, to));
        assert_eq!(read, Opaque { id: Some(ItemId(801)), server: Some(ServerId(12345)), why: why.into() });
    }
}

#[test]
fn numbers_are_strict() {
    for number in ["-1", "801.0", "8e2", "\"801\"", "18446744073709551616", "null", "[801]"] {
        let read = opaque(Kind::Snapshot, &with(SNAPSHOT, "801", number));
        assert_eq!((read.id, read.server), (None, Some(ServerId(12345))), "{number}");
        let read = opaque(Kind::Snapshot, &with(SNAPSHOT, "12345", number));
        assert_eq!((read.id, read.server), (Some(ItemId(801)), None), "{number}");
    }
    assert_eq!(item(Kind::Snapshot, &with(SNAPSHOT, "801", "18446744073709551615")).id, ItemId(u64::MAX));
}

#[test]
fn what_is_no_entry_at_all() {
    let server = r#"{"id": 12345, "name": "web-server-01"}"#;
    for text in ["7", "null", "\"x\"", "[]", &with(SNAPSHOT, "801,", "801, \"id\": 802,"), &format!("[801, {server}]")] {
        assert_eq!((opaque(Kind::Snapshot, text).id, opaque(Kind::Snapshot, text).server), (None, None), "{text}");
    }
    assert_eq!(opaque(Kind::Snapshot, &with(SNAPSHOT, server, "[12345, \"web-server-01\"]")).why, "`server` cannot be read");
}

#[test]
fn the_item_of_a_deleted_server_is_an_orphan() {
    let server = r#"{"id": 12345, "name": "web-server-01"}"#;
    assert_eq!(entry(Kind::Snapshot, &with(SNAPSHOT, server, "null")), Entry::Orphan(Some(ItemId(801))));
    assert_eq!(opaque(Kind::Snapshot, &with(SNAPSHOT, &format!("\"server\": {server},"), "")).server, None);
}

#[test]
fn status_words() {
    let status = |word: &str| item(Kind::Snapshot, &with(SNAPSHOT, "completed", word)).status;
    assert_eq!(status("in_progress"), Status::InProgress);
    assert_eq!(status("failed"), Status::Failed);
    assert_eq!(status("error"), Status::Failed);
    for word in ["pending", "creating", "Completed", ""] {
        assert_eq!(status(word), Status::Unknown(word.into()));
    }
    assert_eq!(status(&"x".repeat(41)), Status::Unknown(format!("{}…", "x".repeat(40)).into()));
    assert_eq!(status("a\\nb"), Status::Unknown("a\\u{a}b".into()));
}

#[test]
fn a_create_is_compared_with_what_was_asked() {
    let asked = CreateBody { server_id: 12345, name: Some("pre-migration-snapshot"), description: "Before major migration" };
    let read = |text: &str| read_created(Kind::Snapshot, &asked, text.as_bytes());
    assert_eq!(read(SNAPSHOT).unwrap().id, ItemId(801));
    for (from, to) in [("12345", "12346"), ("pre-migration-snapshot", "other"), ("Before major migration", "Before")] {
        let error = read(&with(SNAPSHOT, from, to)).unwrap_err();
        assert!(matches!(error, ProviderError::Mismatch { .. }) && error.is_doubtful(), "{error}");
    }
    for text in ["", "{}", "null", "<html>", "{\"id\": 801", &with(SNAPSHOT, "801", "\"801\"")] {
        let error = read(text).unwrap_err();
        assert!(matches!(error, ProviderError::Unreadable { .. }) && error.is_doubtful(), "{error}");
    }
    let asked = CreateBody { server_id: 12345, name: None, description: "Pre-update backup" };
    assert!(read_created(Kind::Backup, &asked, BACKUP.as_bytes()).is_ok());
    let automatic = with(BACKUP, "manual", "automatic");
    assert!(matches!(read_created(Kind::Backup, &asked, automatic.as_bytes()), Err(ProviderError::Mismatch { .. })));
}

#[test]
fn both_shapes_of_a_page() {
    let page = items_page(&format!(r#"{{"next": "http://x/?page=2", "results": [{SNAPSHOT}, 7], "previous": null, "count": 9}}"#)).unwrap();
    assert_eq!((page.count, page.next, page.entries.arrived()), (Some(9), Next::Page("http://x/?page=2".into()), 2));
    let page = items_page(&format!(" [{SNAPSHOT}]\n")).unwrap();
    assert_eq!((page.count, page.next, page.entries.arrived()), (None, Next::End, 1));
    for (next, expected) in [("null", Next::End), ("\"\"", Next::End), ("2", Next::Unreadable), ("{}", Next::Unreadable)] {
        assert_eq!(items_page(&format!(r#"{{"count": 0, "results": [], "next": {next}}}"#)).unwrap().next, expected);
    }
}

#[test]
fn what_is_no_page() {
    for text in [
        "",
        "null",
        "7",
        "<html>",
        "{}",
        "[",
        "[] x",
        "\u{feff}[]",
        r#"{"results": []}"#,
        r#"{"count": 1}"#,
        r#"{"count": -1, "results": []}"#,
        r#"{"count": "1", "results": []}"#,
        r#"{"count": null, "results": []}"#,
        r#"{"count": 1, "results": null}"#,
        r#"{"count": 1, "results": {}}"#,
        r#"{"count": 0, "results": [], "results": []}"#,
        r#"{"count": 0, "count": 0, "results": []}"#,
        r#"{"detail": "not found"}"#,
    ] {
        assert!(items_page(text).is_err(), "{text}");
    }
    assert!(items_page(&"[".repeat(1_000_000)).is_err());
    assert!(items_page(&format!("[{}", "{\"a\":".repeat(1_000_000))).is_err());
}

#[test]
fn deep_nesting_in_one_entry_spoils_only_that_one() {
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let page = items_page(&format!("[{deep}, {SNAPSHOT}]")).unwrap();
    let listing = page.entries.into_listing(&Totals::default());
    assert_eq!((listing.items.len(), listing.opaque.len()), (1, 1));
}

#[test]
fn servers_are_shown_as_far_as_they_can_be_read() {
    let text =
        r#"{"count": 4, "results": [{"id": 1, "name": "a", "status": "active", "plan": {}}, {"id": 2, "name": "b"}, {"id": "3"}, 4]}"#;
    let page = read_either_way(text.as_bytes(), &Servers::default()).unwrap();
    let listing = page.entries.into_listing(&Totals::default());
    let names: Vec<(&str, &str)> = listing.servers.iter().map(|server| (&*server.name, &*server.status)).collect();
    assert_eq!(names, [("a", "active"), ("b", "")]);
    assert_eq!(listing.defects[0], "server 2: `status` is missing");
    assert_eq!(listing.defects[1], "an entry's `id` cannot be read");
    assert_eq!(listing.defects[2], "an entry is not an object, or has a key twice");
    assert_eq!(listing.defects.len(), 3);
}

/// Whether it is being restored is as unknown as where there is none.
#[test]
fn an_empty_state_of_a_server_is_a_defect() {
    let text = br#"{"count": 1, "results": [{"id": 1, "name": "a", "status": ""}]}"#;
    let page = read_either_way(text, &Servers::default()).unwrap();
    assert_eq!(page.entries.into_listing(&Totals::default()).defects, ["server 1: `status` is empty"]);
}

#[test]
fn the_account() {
    let full = br#"{"account": {"email": "ops@example.org", "id": 1}, "token": {"name": "ci", "permissions": ["a", "b\u202e"]}}"#;
    let expected = Account {
        email: Some("ops@example.org".into()),
        token_name: Some("ci".into()),
        permissions: vec!["a".into(), "b\\u{202e}".into()],
    };
    assert_eq!(read_account(full), Ok(expected));
    assert_eq!(read_account(br#"{"account": {}, "token": null}"#), Ok(Account::default()));
    for body in [&b"{}"[..], b"[]", b"", br#"{"account": []}"#, br#"{"account": null}"#] {
        assert!(read_account(body).is_err());
    }
}

#[test]
fn the_words_of_a_refusal() {
    for (body, words) in [
        (r#"{"detail": "Snapshot limit reached"}"#, "Snapshot limit reached"),
        (r#"{"name": ["too long", "bad"], "server_id": "unknown"}"#, "name: too long bad; server_id: unknown"),
        ("[\"no\"]", "no"),
        ("plain\nwords", "plain\\u{a}words"),
        ("<html>sorry</html>", ""),
        ("", ""),
    ] {
        assert_eq!(read_message(body.as_bytes()), words);
    }
    assert_eq!(read_message("x".repeat(5000).as_bytes()).chars().count(), MESSAGE_CHARS_MAX + 1);
}

#[test]
fn a_restore_must_be_about_what_was_asked() {
    let body = br#"{"status": "success", "message": "Begun", "snapshot": {"id": 801, "name": "x", "created_at": "2025-01-15T18:30:00Z"},
        "server": {"id": 12345, "name": "web", "status": "restoring"}}"#;
    let expected = Restoring { server: Some(ServerId(12345)), message: "Begun".into() };
    assert_eq!(read_restoring(Some(ItemId(801)), None, body), Ok(expected));
    assert!(matches!(read_restoring(Some(ItemId(802)), None, body), Err(ProviderError::Mismatch { .. })));
    assert!(matches!(read_restoring(None, Some(ServerId(1)), body), Err(ProviderError::Mismatch { .. })));
    assert_eq!(read_restoring(None, Some(ServerId(1)), b"{}").unwrap().server, Some(ServerId(1)));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read_either_way(&bytes, &Items::new(Kind::Backup, Arc::default()));
        let _ = read_either_way(&bytes, &Servers::default());
        let _ = read_account(&bytes);
        let _ = read_message(&bytes);
        let _ = read_restoring(None, None, &bytes);
    }

    #[test]
    fn damaged_pages_never_panic_nor_gain_items(at in 0usize..600, byte in any::<u8>()) {
        let whole = format!(r#"{{"count": 2, "results": [{SNAPSHOT}, {}]}}"#, with(SNAPSHOT, "801", "802"));
        let mut bytes = whole.into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(page) = read_either_way(&bytes, &Items::new(Kind::Snapshot, Arc::default())) {
            prop_assert!(page.entries.arrived() <= 2);
        }
    }

    #[test]
    fn a_cut_page_is_never_a_page(length in 0usize..1000) {
        let whole = format!(r#"{{"count": 2, "results": [{SNAPSHOT}, {BACKUP}]}}"#);
        prop_assert!(items_page(&whole[..length % whole.len()]).is_err());
    }
}
