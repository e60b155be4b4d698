//! The adapter over HTTP, against a server that answers as a test wants it to.

use std::sync::Mutex;
use std::time::Duration;

use super::*;
use crate::clock::{Mono, SystemClock};
use crate::domain::inventory::{Defect, Status};
use crate::provider::client::client;
use crate::provider::restore::{HttpRestorer, Restorer, Restoring};
use crate::provider::testing::{Act, Fake, answer, kept, ok};
use crate::provider::{Code, Exchange};

const MARK: &str = "snapwarden owner=prod policy=web slot=2026-11-21T03:30:00Z";

/// Long enough for every test whose server answers.
const PATIENT: Duration = Duration::from_secs(60);

/// For tests that wait for the timeout itself.
const HASTY: Duration = Duration::from_millis(60);

/// What is never too late.
const NEVER: Mono = Mono(Duration::MAX);

#[derive(Default)]
struct Seen(Mutex<Vec<(Method, Endpoint, Code)>>);

impl Observer for Seen {
    fn exchange(&self, exchange: &Exchange) {
        self.0.lock().unwrap().push((exchange.method, exchange.endpoint, exchange.code));
    }
}

fn settings(address: &str, request_timeout: Duration) -> HttpSettings {
    HttpSettings {
        base_url: format!("http://{address}/api/v1"),
        request_timeout,
        requests_per_second: 10_000.0,
        concurrent_requests: 4,
        account: None,
    }
}

fn provider_with(address: &str, request_timeout: Duration, token: TokenSource, observer: Arc<dyn Observer>) -> HttpProvider {
    HttpProvider::new(&settings(address, request_timeout), token, Arc::new(SystemClock::new()), observer).unwrap()
}

fn provider(fake: &Fake) -> HttpProvider {
    provider_with(&fake.address, PATIENT, TokenSource::fixed("vps_abc".into()), Arc::new(()))
}

fn hasty(fake: &Fake) -> HttpProvider {
    provider_with(&fake.address, HASTY, TokenSource::fixed("vps_abc".into()), Arc::new(()))
}

fn restorer(fake: &Fake) -> HttpRestorer {
    let token = TokenSource::fixed("vps_abc".into());
    HttpRestorer::new(&settings(&fake.address, PATIENT), token, Arc::new(SystemClock::new()), Arc::new(())).unwrap()
}

fn snapshot(id: u64) -> String {
    format!(
        r#"{{"id": {id}, "server": {{"id": 1, "name": "web-01"}}, "name": "prod-web", "status": "in_progress", "size_mb": null,
            "created_at": "2026-11-21T03:30:04Z", "description": "{MARK}", "message": "Begun"}}"#
    )
}

fn listing(count: u64, ids: &[u64]) -> String {
    paged(count, ids, "null")
}

fn paged(count: u64, ids: &[u64], next: &str) -> String {
    let entries: Vec<String> = ids.iter().map(|id| snapshot(*id)).collect();
    format!(r#"{{"count": {count}, "next": {next}, "results": [{}]}}"#, entries.join(","))
}

fn ids(listing: &Listing) -> Vec<u64> {
    listing.items.iter().map(|item| item.id.0).collect()
}

async fn list(provider: &HttpProvider) -> Result<Listing, ProviderError> {
    provider.list(Kind::Snapshot).await.result
}

async fn create(provider: &HttpProvider) -> Result<Item, ProviderError> {
    provider.create(Kind::Snapshot, ServerId(1), Some("prod-web"), MARK).await.result
}

/// What one create says to one script.
async fn create_error(script: Vec<Act>) -> ProviderError {
    create(&provider(&Fake::start(vec![script]).await)).await.unwrap_err()
}

/// The request's first line, its header lines in order, and its body.
fn parts(request: &str) -> (&str, Vec<&str>, &str) {
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let first = lines.next().unwrap();
    let mut headers: Vec<&str> = lines.filter(|line| !line.starts_with("host: ")).collect();
    headers.sort_unstable();
    (first, headers, body)
}

const AGENT: &str = concat!("user-agent: snapwarden/", env!("CARGO_PKG_VERSION"));
const BEARER: &str = "authorization: Bearer vps_abc";

#[tokio::test]
async fn reads_are_sent_as_documented() {
    let account = r#"{"account": {"email": "ops@example.org"}, "token": {"name": "ci", "permissions": ["snapshots"]}}"#;
    let servers = r#"{"count": 1, "results": [{"id": 1, "name": "web-01", "status": "restoring"}]}"#;
    let fake = Fake::start(vec![ok(&listing(1, &[801])), ok("[]"), ok(servers), ok(account)]).await;
    let provider = provider(&fake);

    let found = list(&provider).await.unwrap();
    assert_eq!((ids(&found), found.missing, found.defects), (vec![801], 0, vec![]));
    assert_eq!((&found.items[0].status, &*found.items[0].description), (&Status::InProgress, MARK));
    assert_eq!(*provider.list(Kind::Backup).await.result.unwrap().items, []);
    let servers = provider.servers().await.result.unwrap();
    assert!(servers.servers[0].is_restoring() && servers.defects.is_empty());
    assert_eq!(provider.account().await.result.unwrap().email.as_deref(), Some("ops@example.org"));

    let requests = fake.requests();
    let lines = ["/snapshots/", "/backups/", "/servers/", "/account/me/"].map(|path| format!("GET /api/v1{path} HTTP/1.1"));
    for (request, line) in requests.iter().zip(&lines) {
        let headers = vec!["accept: application/json", BEARER, "cache-control: no-cache", AGENT];
        assert_eq!(parts(request), (line.as_str(), headers, ""));
    }
    assert_eq!(requests.len(), lines.len());
}

#[tokio::test]
async fn writes_are_sent_as_documented() {
    let backup = snapshot(501).replace("\"name\": \"prod-web\"", "\"backup_type\": \"manual\", \"expires_at\": null");
    let gone = answer("404 Not Found", &[], "");
    let fake = Fake::start(vec![
        answer("201 Created", &[], &snapshot(801)),
        answer("201 Created", &[], &backup),
        answer("204 No Content", &[], ""),
        gone,
    ])
    .await;
    let provider = provider(&fake);

    assert_eq!(create(&provider).await.unwrap().id, ItemId(801));
    let made = provider.create(Kind::Backup, ServerId(1), None, MARK).await.result.unwrap();
    assert_eq!((made.id, made.kind, made.automatic), (ItemId(501), Kind::Backup, false));
    assert_eq!(provider.delete(Kind::Snapshot, ItemId(801), NEVER).await.result, Ok(Deleted::Done));
    assert_eq!(provider.delete(Kind::Backup, ItemId(501), NEVER).await.result, Ok(Deleted::WasGone));

    let requests = fake.requests();
    let body = format!(r#"{{"server_id":1,"name":"prod-web","description":"{MARK}"}}"#);
    let length = format!("content-length: {}", body.len());
    let headers = vec!["accept: application/json", BEARER, length.as_str(), "content-type: application/json", AGENT];
    assert_eq!(parts(&requests[0]), ("POST /api/v1/snapshots/ HTTP/1.1", headers, body.as_str()));
    let (line, _, body) = parts(&requests[1]);
    assert_eq!((line, body), ("POST /api/v1/backups/ HTTP/1.1", format!(r#"{{"server_id":1,"description":"{MARK}"}}"#).as_str()));
    let headers = vec!["accept: application/json", BEARER, AGENT];
    assert_eq!(parts(&requests[2]), ("DELETE /api/v1/snapshots/801/ HTTP/1.1", headers, ""));
    assert_eq!(parts(&requests[3]).0, "DELETE /api/v1/backups/501/ HTTP/1.1");
}

#[tokio::test]
async fn restores_are_sent_as_documented() {
    let body = r#"{"status": "success", "message": "Begun", "snapshot": {"id": 801}, "server": {"id": 1, "status": "restoring"}}"#;
    let fake = Fake::start(vec![ok(body), ok("{}"), answer("400 Bad Request", &[], r#"{"detail": "busy"}"#)]).await;
    let restorer = restorer(&fake);
    let expected = Restoring { server: Some(ServerId(1)), message: "Begun".into() };
    assert_eq!(restorer.restore_snapshot(ItemId(801)).await.result, Ok(expected));
    assert_eq!(restorer.restore_backup(ServerId(1), ItemId(501)).await.result.unwrap().server, Some(ServerId(1)));
    let refused = restorer.restore_snapshot(ItemId(801)).await.result;
    assert_eq!(refused, Err(ProviderError::Rejected { status: 400, message: "busy".into() }));

    let requests = fake.requests();
    let (line, headers, body) = parts(&requests[0]);
    assert_eq!((line, body), ("POST /api/v1/snapshots/801/restore/ HTTP/1.1", ""));
    assert!(headers.contains(&"content-length: 0"));
    let (line, _, body) = parts(&requests[1]);
    assert_eq!((line, body), ("POST /api/v1/servers/1/restore/ HTTP/1.1", r#"{"backup_id":501}"#));
}

#[tokio::test]
async fn each_status_has_its_meaning() {
    let pause = Some(Duration::from_secs(3));
    for (status, expected) in [
        ("400 Bad Request", ProviderError::Rejected { status: 400, message: "no".into() }),
        ("401 Unauthorized", ProviderError::Unauthorized),
        ("403 Forbidden", ProviderError::Forbidden),
        ("404 Not Found", ProviderError::NotFound),
        ("408 Request Timeout", ProviderError::Timeout),
        ("409 Conflict", ProviderError::Busy { status: 409 }),
        ("423 Locked", ProviderError::Busy { status: 423 }),
        ("429 Too Many Requests", ProviderError::Throttled { retry_after: pause }),
        ("500 Internal Server Error", ProviderError::Server { status: 500, retry_after: pause }),
        ("503 Service Unavailable", ProviderError::Server { status: 503, retry_after: pause }),
    ] {
        let script = answer(status, &["Retry-After: 3"], r#"{"detail": "no"}"#);
        assert_eq!(create_error(script.clone()).await, expected);
        assert_eq!(list(&provider(&Fake::start(vec![script]).await)).await, Err(expected));
    }
}

#[tokio::test]
async fn only_the_documented_success_counts() {
    let partial = Fake::start(vec![answer("206 Partial Content", &[], &listing(0, &[]))]).await;
    assert!(matches!(list(&provider(&partial)).await, Err(ProviderError::Unreadable { .. })));
    let deleted = Fake::start(vec![ok("<html>please log in</html>")]).await;
    let error = provider(&deleted).delete(Kind::Snapshot, ItemId(1), NEVER).await.result.unwrap_err();
    assert!(error.is_doubtful(), "{error}");
    let empty = create_error(answer("204 No Content", &[], "")).await;
    assert!(empty.is_doubtful(), "{empty}");
}

#[tokio::test]
async fn a_create_that_answers_of_something_else_is_in_doubt() {
    let other = snapshot(801).replace("\"id\": 1,", "\"id\": 2,");
    let error = create_error(answer("201 Created", &[], &other)).await;
    assert!(matches!(&error, ProviderError::Mismatch { .. }) && error.is_doubtful(), "{error}");
    for body in ["", "{}", "<html></html>", "{\"id\": 801"] {
        let error = create_error(answer("201 Created", &[], body)).await;
        assert!(matches!(&error, ProviderError::Unreadable { .. }) && error.is_doubtful(), "{error}");
    }
}

#[tokio::test]
async fn redirects_are_never_followed() {
    let elsewhere = Fake::start(vec![ok("[]")]).await;
    for status in ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let location = format!("Location: http://{}/api/v1/snapshots/", elsewhere.address);
        let script = answer(status, &[&location], "");
        let fake = Fake::start(vec![script.clone(), script]).await;
        let provider = provider(&fake);
        let expected = ProviderError::Redirect { status: status[..3].parse().unwrap() };
        assert_eq!(list(&provider).await.unwrap_err(), expected);
        assert_eq!(create(&provider).await.unwrap_err(), expected);
        assert_eq!(fake.requests().len(), 2);
    }
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn cuts_leave_a_write_in_doubt() {
    let head = "HTTP/1.1 201 Created\r\ncontent-length: 900\r\n\r\n{\"id\": 801,";
    let chunked = "HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n4\r\n{\"id\r\n";
    for script in [
        vec![],
        vec![Act::Send(b"HTTP/1.1 201 Cre".to_vec())],
        vec![Act::Send(head.into())],
        vec![Act::Send(chunked.into())],
        vec![Act::Send(b"\x16\x03\x01 this is not HTTP\r\n\r\n".to_vec())],
    ] {
        let error = create_error(script).await;
        assert!(matches!(&error, ProviderError::Broken { .. }) && error.is_doubtful() && error.is_provider_down(), "{error:?}");
    }
}

#[tokio::test]
async fn a_listing_that_is_cut_is_no_listing() {
    let whole = listing(2, &[801, 802]);
    let cut = &whole[..whole.len() - 20];
    let promised = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{cut}", whole.len());
    let unbounded = format!("HTTP/1.0 200 OK\r\n\r\n{cut}");
    let by_length = Fake::start(vec![vec![Act::Send(promised.into())]]).await;
    assert!(matches!(list(&provider(&by_length)).await, Err(ProviderError::Broken { .. })));
    let by_shape = Fake::start(vec![vec![Act::Send(unbounded.into())]]).await;
    assert!(matches!(list(&provider(&by_shape)).await, Err(ProviderError::Unreadable { .. })));
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let provider = provider_with(&closed, PATIENT, TokenSource::fixed("vps_abc".into()), Arc::new(()));
    let error = create(&provider).await.unwrap_err();
    assert!(matches!(&error, ProviderError::Connect { .. }) && !error.is_doubtful() && error.is_provider_down(), "{error:?}");
}

/// Lets the tasks of the HTTP client do all they can do: a connection whose answer has come is free then.
async fn rest() {
    for _ in 0..32 {
        tokio::task::yield_now().await;
    }
}

/// Keeps connections for longer than any test takes.
fn keeping(fake: &Fake) -> HttpProvider {
    let mut provider = provider(fake);
    provider.api.client = client(&settings(&fake.address, PATIENT), false, PATIENT).unwrap();
    provider
}

#[tokio::test]
async fn what_comes_at_once_goes_over_the_same_connection() {
    let script =
        vec![kept("201 Created", &[], &snapshot(801)), Act::Read, kept("204 No Content", &[], ""), Act::Read, kept("200 OK", &[], "[]")];
    let fake = Fake::start(vec![script]).await;
    let provider = keeping(&fake);
    create(&provider).await.unwrap();
    rest().await;
    provider.delete(Kind::Snapshot, ItemId(801), NEVER).await.result.unwrap();
    rest().await;
    list(&provider).await.unwrap();
    assert_eq!(fake.requests().len(), 3);
}

#[tokio::test]
async fn what_comes_later_goes_over_a_connection_of_its_own() {
    let fake = Fake::start(vec![vec![kept("200 OK", &[], "[]"), Act::Read], ok("[]")]).await;
    let provider = provider(&fake);
    list(&provider).await.unwrap();
    rest().await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_millis(1_001)).await;
    tokio::time::resume();
    list(&provider).await.unwrap();
}

#[tokio::test]
async fn what_breaks_with_a_kept_connection_is_in_doubt_and_not_sent_again() {
    let fake = Fake::start(vec![vec![kept("200 OK", &[], "[]"), Act::Read], ok(&snapshot(801))]).await;
    let provider = keeping(&fake);
    list(&provider).await.unwrap();
    rest().await;
    let error = create(&provider).await.unwrap_err();
    assert!(matches!(error, ProviderError::Broken { .. }) && error.is_doubtful(), "{error:?}");
    assert_eq!(fake.requests().len(), 2);
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_not_used() {
    let fake = Fake::start(vec![vec![kept("200 OK", &[], "[]")], ok(&snapshot(801))]).await;
    let provider = keeping(&fake);
    list(&provider).await.unwrap();
    rest().await;
    create(&provider).await.unwrap();
    assert_eq!(fake.requests().len(), 2);
}

#[tokio::test]
async fn silence_ends_in_time() {
    let begun = Act::Send(b"HTTP/1.1 201 Created\r\ncontent-length: 9\r\n\r\n{".to_vec());
    for script in [vec![Act::Hang], vec![begun, Act::Hang]] {
        let fake = Fake::start(vec![script]).await;
        assert_eq!(create(&hasty(&fake)).await, Err(ProviderError::Timeout));
    }
}

#[tokio::test]
async fn a_byte_now_and_then_ends_in_time() {
    let head = |status: &str| Act::Send(format!("HTTP/1.1 {status}\r\nconnection: close\r\n\r\n").into());
    let drip = Act::Repeat(" ", HASTY / 12);
    let fake = Fake::start(vec![vec![head("200 OK"), drip.clone()], vec![head("201 Created"), drip.clone()], vec![drip]]).await;
    let provider = hasty(&fake);
    assert_eq!(list(&provider).await, Err(ProviderError::Timeout));
    assert_eq!(create(&provider).await, Err(ProviderError::Timeout));
    assert!(create(&provider).await.unwrap_err().is_doubtful());
}

#[tokio::test]
async fn a_refusal_whose_words_never_come_is_still_a_refusal() {
    let script = vec![Act::Send(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 9\r\n\r\n".to_vec()), Act::Hang];
    let fake = Fake::start(vec![script]).await;
    let mut provider = provider(&fake);
    provider.api.limits.refusal_time = HASTY;
    assert_eq!(create(&provider).await, Err(ProviderError::Rejected { status: 400, message: String::new() }));
}

#[tokio::test]
async fn bodies_without_an_end_are_left() {
    let head = Act::Send(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n[7".to_vec());
    let endless = vec![head, Act::Repeat(",7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7", Duration::ZERO)];
    let fake = Fake::start(vec![endless.clone(), endless]).await;
    let mut provider = provider(&fake);
    provider.api.limits.listing = 10_000;
    provider.api.limits.other = 1_000;
    assert_eq!(list(&provider).await, Err(ProviderError::TooLarge { limit: 10_000 }));
    assert_eq!(provider.account().await.result, Err(ProviderError::TooLarge { limit: 1_000 }));
}

#[tokio::test]
async fn an_endless_page_that_is_no_listing_is_left_at_once() {
    let head = Act::Send(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n<html>".to_vec());
    let fake = Fake::start(vec![vec![head, Act::Repeat("sorry ", Duration::ZERO)]]).await;
    assert!(matches!(list(&provider(&fake)).await, Err(ProviderError::Unreadable { .. })));
}

#[tokio::test]
async fn a_listing_out_of_a_cache_is_refused() {
    let fake = Fake::start(vec![answer("200 OK", &["Age: 120"], &listing(0, &[])), answer("200 OK", &["Age: 0"], &listing(0, &[]))]).await;
    let provider = provider(&fake);
    assert!(matches!(list(&provider).await, Err(ProviderError::Unreadable { .. })));
    assert!(list(&provider).await.is_ok());
}

#[tokio::test]
async fn what_is_not_whole_is_told() {
    let odd = r#"{"count": 4, "results": [{"id": 7, "server": {"id": 2}}, {"id": 8}, {"id": 9, "server": null}]}"#;
    let fake = Fake::start(vec![ok(&listing(3, &[801])), ok(&listing(0, &[801])), ok(&listing(3, &[801, 802, 801])), ok(odd)]).await;
    let provider = provider(&fake);
    let fewer = list(&provider).await.unwrap();
    assert_eq!((fewer.missing, fewer.defects), (2, vec![Defect::CountDiffers { count: 3, arrived: 1 }]));
    let more = list(&provider).await.unwrap();
    assert_eq!((more.missing, more.defects), (0, vec![Defect::CountDiffers { count: 0, arrived: 1 }]));
    let twice = list(&provider).await.unwrap();
    assert_eq!(twice.defects, [Defect::DuplicateId(ItemId(801))]);
    let odd = list(&provider).await.unwrap();
    let opaque: Vec<_> = odd.opaque.iter().map(|opaque| (opaque.id, opaque.server)).collect();
    assert_eq!(opaque, [(Some(ItemId(7)), Some(ServerId(2))), (Some(ItemId(8)), None)]);
    assert_eq!((odd.items.len(), odd.missing), (0, 1));
}

#[tokio::test]
async fn pages_of_the_same_place_are_followed() {
    let fake =
        Fake::start(vec![ok(&paged(3, &[1], "\"?page=2\"")), ok(&paged(3, &[2], "\"/api/v1/snapshots/?page=3\"")), ok(&listing(3, &[3]))])
            .await;
    let found = list(&provider(&fake)).await.unwrap();
    assert_eq!((ids(&found), found.missing, found.defects), (vec![1, 2, 3], 0, vec![]));
    let requests = fake.requests();
    let lines: Vec<&str> = requests.iter().map(|request| parts(request).0).collect();
    assert_eq!(lines[1..], ["GET /api/v1/snapshots/?page=2 HTTP/1.1", "GET /api/v1/snapshots/?page=3 HTTP/1.1"]);
}

#[tokio::test]
async fn a_listing_that_changed_between_its_pages_is_told() {
    let fake = Fake::start(vec![ok(&paged(3, &[1], "\"?page=2\"")), ok(&listing(2, &[3]))]).await;
    let found = list(&provider(&fake)).await.unwrap();
    assert_eq!((found.missing, found.defects), (1, vec![Defect::CountDiffers { count: 3, arrived: 2 }]));
}

#[tokio::test]
async fn the_token_goes_to_no_other_place() {
    let elsewhere = Fake::start(vec![ok("[]")]).await;
    let port = elsewhere.address.rsplit(':').next().unwrap();
    let links = [
        format!("http://{}/api/v1/snapshots/?page=2", elsewhere.address),
        format!("//127.0.0.1:{port}/api/v1/snapshots/"),
        format!("http://localhost:{port}/api/v1/snapshots/"),
        "/api/v1/backups/?page=2".to_string(),
        "../snapshots/801/".to_string(),
        "file:///etc/passwd".to_string(),
        "https://[".to_string(),
        String::from("?page=2#x"),
    ];
    for link in links {
        let fake = Fake::start(vec![ok(&paged(3, &[1], &format!("\"{link}\"")))]).await;
        let found = list(&provider(&fake)).await.unwrap();
        assert_eq!((ids(&found), found.missing), (vec![1], 2));
        assert!(found.defects.contains(&Defect::PageMissing), "{link}");
        assert_eq!(fake.requests().len(), 1, "{link}");
    }
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn pages_that_fail_or_go_round_are_missing() {
    let last = Fake::start(vec![ok(&paged(1, &[1], "\"?page=2\"")), answer("500 Oops", &[], "")]).await;
    let found = list(&provider(&last)).await.unwrap();
    assert_eq!((ids(&found), found.missing, found.defects), (vec![1], 0, vec![Defect::PageMissing]));

    let round = Fake::start(vec![ok(&paged(2, &[1], "\"?page=2\"")), ok(&paged(2, &[2], "\"?page=2\""))]).await;
    assert_eq!(list(&provider(&round)).await.unwrap().defects, [Defect::PageMissing]);
    assert_eq!(round.requests().len(), 2);

    let refused = Fake::start(vec![ok(&paged(2, &[1], "\"?page=2\"")), answer("401 Unauthorized", &[], "")]).await;
    assert_eq!(list(&provider(&refused)).await, Err(ProviderError::Unauthorized));
}

#[tokio::test]
async fn pages_without_end_are_left() {
    let pages = (0..=PAGES_MAX).map(|page| ok(&paged(0, &[], &format!("\"?page={page}\"")))).collect();
    let fake = Fake::start(pages).await;
    assert_eq!(list(&provider(&fake)).await.unwrap().defects, [Defect::PageMissing]);
    assert_eq!(fake.requests().len(), PAGES_MAX);
}

/// A token that a test can replace where it is read from.
fn changing(token: &'static str) -> (Arc<Mutex<&'static str>>, TokenSource) {
    let token = Arc::new(Mutex::new(token));
    let read = Arc::clone(&token);
    (token, TokenSource::new(move || Ok((*read.lock().unwrap()).into())))
}

/// The token that a request was sent with.
fn token_of(request: &str) -> String {
    request.lines().find_map(|line| line.strip_prefix("authorization: Bearer ")).unwrap().to_owned()
}

fn account_of(email: &str) -> Vec<Act> {
    ok(&format!(r#"{{"account": {{"email": "{email}"}}, "token": null}}"#))
}

fn provider_of_ops(fake: &Fake, token: TokenSource) -> HttpProvider {
    let settings = HttpSettings { account: Some("ops@example.org".to_owned()), ..settings(&fake.address, PATIENT) };
    HttpProvider::new(&settings, token, Arc::new(SystemClock::new()), Arc::new(())).unwrap()
}

#[tokio::test]
async fn a_renewed_token_is_used_for_its_account_only() {
    let (token, source) = changing("old");
    let (refused, created) = (answer("401 Unauthorized", &[], ""), answer("201 Created", &[], &snapshot(801)));
    let (others, ours, busy) =
        (account_of("others@example.org"), account_of("ops@example.org"), answer("503 Service Unavailable", &[], ""));
    let first = [&ours, &created, &refused, &others, &refused, &busy, &refused, &refused, &refused, &others];
    let then = [&others, &ours, &created, &refused, &ours, &created];
    let fake = Fake::start(first.into_iter().chain(then).cloned().collect()).await;
    let provider = provider_of_ops(&fake, source);

    assert_eq!(create(&provider).await.unwrap().id, ItemId(801));
    *token.lock().unwrap() = "other";
    let error = create(&provider).await.unwrap_err();
    assert!(error.to_string().ends_with("belongs to others@example.org, not to ops@example.org"), "{error}");
    assert!(error.is_auth() && !error.is_doubtful());
    let error = create(&provider).await.unwrap_err();
    assert!(matches!(&error, ProviderError::Connect { what } if what.starts_with("it cannot be confirmed whose")), "{error}");
    assert_eq!(create(&provider).await, Err(ProviderError::Unauthorized));
    assert_eq!(provider.account().await.result.unwrap().email.as_deref(), Some("others@example.org"), "who asks is told");
    let error = create(&provider).await.unwrap_err();
    assert!(error.to_string().ends_with("belongs to others@example.org, not to ops@example.org"), "{error}");
    *token.lock().unwrap() = "new";
    assert_eq!(provider.account().await.result.unwrap().email.as_deref(), Some("ops@example.org"));
    assert_eq!(create(&provider).await.unwrap().id, ItemId(801));
    *token.lock().unwrap() = "newer";
    assert_eq!(create(&provider).await.unwrap().id, ItemId(801));

    let method_and_token = |request: &String| format!("{} {}", request.split(' ').next().unwrap(), token_of(request));
    let asked: Vec<String> = fake.requests().iter().map(method_and_token).collect();
    let refused =
        ["GET old", "POST old", "POST old", "GET other", "POST old", "GET other", "POST old", "GET other", "GET old", "GET other"];
    let used = ["GET other", "GET new", "POST new", "POST new", "GET newer", "POST newer"];
    assert_eq!(asked, [&refused[..], &used[..]].concat());
}

#[tokio::test]
async fn a_token_of_another_account_is_read_again_for_the_next_question() {
    let (token, source) = changing("other");
    let fake =
        Fake::start(vec![account_of("others@example.org"), account_of("ops@example.org"), answer("201 Created", &[], &snapshot(801))])
            .await;
    let provider = provider_of_ops(&fake, source);

    for (text, email) in [("other", "others@example.org"), ("new", "ops@example.org")] {
        *token.lock().unwrap() = text;
        assert_eq!(provider.account().await.result.unwrap().email.as_deref(), Some(email));
    }
    assert_eq!(create(&provider).await.unwrap().id, ItemId(801));
    assert_eq!(fake.requests().iter().map(|request| token_of(request)).collect::<Vec<_>>(), ["other", "new", "new"]);
}

#[tokio::test]
async fn a_renewed_token_is_tried_once() {
    let (token, source) = changing("old");
    let refused = answer("401 Unauthorized", &[], "");
    let created = answer("201 Created", &[], &snapshot(801));
    let fake = Fake::start(vec![refused.clone(), refused.clone(), created, refused.clone(), refused]).await;
    let provider = provider_with(&fake.address, PATIENT, source, Arc::new(()));

    assert_eq!(create(&provider).await, Err(ProviderError::Unauthorized), "the token is still the same: not tried again");
    *token.lock().unwrap() = "new";
    assert_eq!(create(&provider).await.unwrap().id, ItemId(801));
    *token.lock().unwrap() = "newer";
    assert_eq!(create(&provider).await, Err(ProviderError::Unauthorized), "once, not more");

    assert_eq!(fake.requests().iter().map(|request| token_of(request)).collect::<Vec<_>>(), ["old", "old", "new", "new", "newer"]);
}

#[tokio::test]
async fn without_a_token_nothing_is_sent() {
    let fake = Fake::start(vec![]).await;
    let source = TokenSource::new(|| Err("the file is gone".into()));
    let provider = provider_with(&fake.address, PATIENT, source, Arc::new(()));
    assert_eq!(list(&provider).await, Err(ProviderError::Token { what: "the file is gone".into() }));
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn pauses_are_kept_by_all() {
    for status in ["429 Too Many Requests", "503 Service Unavailable"] {
        let date = "Date: Fri, 15 May 2015 15:34:21 GMT";
        let fake = Fake::start(vec![answer(status, &[date, "Retry-After: Fri, 15 May 2015 15:44:21 GMT"], "")]).await;
        let provider = provider(&fake);
        assert_eq!(list(&provider).await.unwrap_err().retry_after(), Some(Duration::from_secs(600)));
        let held = create(&provider).await.unwrap_err();
        assert!(matches!(&held, ProviderError::Throttled { retry_after: Some(left) } if left.as_secs() > 500), "{held:?}");
        assert!(!held.is_doubtful());
        assert_eq!(fake.requests().len(), 1);
    }
}

#[tokio::test]
async fn garbage_in_retry_after_is_no_pause() {
    let error = create_error(answer("429 Too Many Requests", &["Retry-After: soon"], "")).await;
    assert_eq!(error, ProviderError::Throttled { retry_after: None });
}

#[tokio::test]
async fn the_date_of_the_answer_is_handed_on() {
    let date = "Date: Fri, 15 May 2015 15:34:21 GMT";
    let fake = Fake::start(vec![answer("200 OK", &[date], "[]"), answer("500 Oops", &[date], ""), ok("[]")]).await;
    let provider = provider(&fake);
    let expected = Some("2015-05-15T15:34:21Z".parse().unwrap());
    assert_eq!(provider.list(Kind::Snapshot).await.date, expected);
    assert_eq!(provider.list(Kind::Snapshot).await.date, expected);
    assert_eq!(provider.list(Kind::Snapshot).await.date, None);
}

#[tokio::test]
async fn a_listing_counts_from_its_turn() {
    let mut scripts = vec![vec![Act::Hang]; 4];
    scripts.push(ok("[]"));
    let fake = Fake::start(scripts).await;
    let provider = hasty(&fake);
    let create = || provider.create(Kind::Snapshot, ServerId(1), None, MARK);
    // So many as may be under way.
    let (first, _, _, _, listed) = tokio::join!(create(), create(), create(), create(), provider.list(Kind::Snapshot));
    assert!(listed.begun.unwrap() >= first.begun.unwrap().after(HASTY), "{first:?} {listed:?}");
}

#[tokio::test]
async fn a_delete_that_has_waited_too_long_for_its_turn_is_not_sent() {
    let fake = Fake::start(vec![answer("204 No Content", &[], "")]).await;
    let provider = provider(&fake);
    let begun = provider.delete(Kind::Snapshot, ItemId(1), NEVER).await.begun.unwrap();
    // The next one has its turn later than that.
    assert_eq!(provider.delete(Kind::Snapshot, ItemId(2), begun).await, Reply::unsent(ProviderError::Outdated));
    assert!(!ProviderError::Outdated.is_doubtful());
    assert_eq!(fake.requests().len(), 1);
}

/// Notes when each exchange has ended.
struct Ends(Arc<SystemClock>, Mutex<Vec<Mono>>);

impl Observer for Ends {
    fn exchange(&self, _: &Exchange) {
        self.1.lock().unwrap().push(self.0.now().mono);
    }
}

#[tokio::test]
async fn a_listing_is_as_old_as_its_first_page() {
    let fake = Fake::start(vec![ok(&paged(2, &[1], "\"?page=2\"")), ok(&paged(2, &[2], "null"))]).await;
    let clock = Arc::new(SystemClock::new());
    let ends = Arc::new(Ends(Arc::clone(&clock), Mutex::default()));
    let token = TokenSource::fixed("vps_abc".into());
    let provider = HttpProvider::new(&settings(&fake.address, PATIENT), token, clock, Arc::clone(&ends) as Arc<dyn Observer>).unwrap();
    let listed = provider.list(Kind::Snapshot).await;
    assert_eq!(ids(&listed.result.unwrap()), [1, 2]);
    assert!(listed.begun.unwrap() < ends.1.lock().unwrap()[0]);
}

#[tokio::test]
async fn every_exchange_is_told() {
    let seen = Arc::new(Seen::default());
    let fake = Fake::start(vec![ok("[]"), answer("201 Created", &[], "{}"), answer("404 Not Found", &[], ""), ok("<html>")]).await;
    let provider = provider_with(&fake.address, PATIENT, TokenSource::fixed("vps_abc".into()), Arc::clone(&seen) as Arc<dyn Observer>);
    let _ =
        (list(&provider).await, create(&provider).await, provider.delete(Kind::Backup, ItemId(1), NEVER).await, provider.servers().await);
    let expected = [
        (Method::Get, Endpoint::Snapshots, Code::Status(200)),
        (Method::Post, Endpoint::Snapshots, Code::Body),
        (Method::Delete, Endpoint::Backup, Code::Status(404)),
        (Method::Get, Endpoint::Servers, Code::Body),
    ];
    assert_eq!(*seen.0.lock().unwrap(), expected);
}

/// The environment can only be set for another process: this one runs a test that a proxy would spoil.
#[test]
fn proxies_of_the_environment_are_not_used() {
    let nowhere = "http://127.0.0.1:1";
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "provider::http::tests::the_date_of_the_answer_is_handed_on"]).env_remove("NO_PROXY").env_remove("no_proxy");
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        child.env(name, nowhere);
    }
    let output = child.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test]
async fn a_long_listing_is_read_whole() {
    const COUNT: u64 = 20_000;
    let ids_sent: Vec<u64> = (1..=COUNT).collect();
    let fake = Fake::start(vec![ok(&listing(COUNT, &ids_sent))]).await;
    let found = list(&provider(&fake)).await.unwrap();
    assert_eq!((ids(&found), found.defects), (ids_sent, vec![]));
}
