//! Tests of the listener with clients that misbehave.

use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;

use super::*;

const SHORT: Duration = Duration::from_millis(30);

/// Longer than any test takes; reaching it is a failure, not a pause.
const LONG: Duration = Duration::from_secs(60);

fn limits() -> ListenLimits {
    ListenLimits { connections_max: 16, header_timeout: LONG, request_timeout: LONG, stop_timeout: LONG }
}

fn routes() -> Router {
    Router::new().route("/ok", get(|| async { "ok" })).route("/large", get(|| async { vec![b'x'; 64 << 20] }))
}

/// A listener, and what stops it.
struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

async fn run(router: Router, limits: ListenLimits) -> Running {
    let socket = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(serve(socket, router, limits, async {
        let _ = stopped.await;
    }));
    Running { address, stop, task }
}

async fn talk(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(LONG, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

const REQUEST: &str = "GET /ok HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn half_open_clients_do_not_keep_a_scraper_out() {
    let running = run(routes(), limits()).await;
    let mut silent = Vec::new();
    for number in 0..300 {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        if number % 2 == 0 {
            let _ = stream.write_all(b"GET /ok HTTP/1.1\r\nHos").await; // it may have been pushed out already
        }
        silent.push(stream);
    }
    let mut scraper = TcpStream::connect(running.address).await.unwrap();
    assert!(talk(&mut scraper, REQUEST).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_client_that_asked_outlives_those_that_did_not() {
    let running = run(routes(), limits()).await;
    let mut scraper = TcpStream::connect(running.address).await.unwrap();
    scraper.write_all(b"GET /ok HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = [0; 12];
    scraper.read_exact(&mut answer).await.unwrap();
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(running.address).await.unwrap());
    }
    // The newest comes last: once it is answered, all before it were admitted, and some of them pushed out.
    let mut last = TcpStream::connect(running.address).await.unwrap();
    assert!(talk(&mut last, REQUEST).await.ends_with("ok"));
    assert!(talk(&mut scraper, REQUEST).await.ends_with("ok"));
}

#[tokio::test]
async fn what_is_not_http_is_answered_with_400() {
    let running = run(routes(), limits()).await;
    for request in ["nonsense\r\n\r\n", "\u{16}\u{3}\u{1}\u{2}\r\n\r\n", "GET /ok HTTP/9.9\r\n\r\n"] {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        let answer = talk(&mut stream, request).await;
        assert!(answer.starts_with("HTTP/1.1 400 ") || answer.is_empty(), "{request:?}: {answer}");
    }
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    assert!(talk(&mut stream, REQUEST).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn headers_without_end_are_refused() {
    let running = run(routes(), limits()).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    let request = format!("GET /ok HTTP/1.1\r\nX: {}", "y".repeat(HEAD_BYTES_MAX));
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    timeout(LONG, stream.read_to_end(&mut answer)).await.unwrap().ok();
    assert!(answer.starts_with(b"HTTP/1.1 431 "), "{}", String::from_utf8_lossy(&answer));
}

/// Carries one connection whose client sends `request` and then neither sends nor reads; returns once it is given up.
async fn carried(limits: ListenLimits, request: &str) {
    let socket = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let mut client = TcpStream::connect(socket.local_addr().unwrap()).await.unwrap();
    client.write_all(request.as_bytes()).await.unwrap();
    let (stream, _) = socket.accept().await.unwrap();
    let (_stop, stopping) = watch::channel(false);
    timeout(LONG, carry(stream, TowerToHyperService::new(routes()), limits, || {}, stopping)).await.unwrap();
}

#[tokio::test]
async fn a_client_that_sends_half_a_request_is_given_up() {
    carried(ListenLimits { header_timeout: SHORT, ..limits() }, "GET /ok HTTP/1.1\r\nHo").await;
}

#[tokio::test]
async fn an_idle_client_is_given_up() {
    carried(ListenLimits { header_timeout: SHORT, ..limits() }, "GET /ok HTTP/1.1\r\nHost: x\r\n\r\n").await;
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_is_given_up() {
    carried(ListenLimits { request_timeout: SHORT, ..limits() }, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await;
}

#[tokio::test]
async fn stopping_lets_an_answer_end_and_drops_silent_clients() {
    let (enter, entered) = oneshot::channel::<()>();
    let (leave, left) = oneshot::channel::<()>();
    let gates = Arc::new(std::sync::Mutex::new(Some((enter, left))));
    let slow = get(move || {
        let (enter, left) = gates.lock().unwrap().take().unwrap();
        async move {
            enter.send(()).unwrap();
            left.await.unwrap();
            "late"
        }
    });
    let running = run(Router::new().route("/slow", slow), limits()).await;
    let mut silent = TcpStream::connect(running.address).await.unwrap();
    let mut client = TcpStream::connect(running.address).await.unwrap();
    client.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    entered.await.unwrap();
    running.stop.send(()).unwrap();
    assert_eq!(timeout(LONG, silent.read(&mut [0])).await.unwrap().unwrap_or(0), 0);
    leave.send(()).unwrap();
    assert!(talk(&mut client, "").await.ends_with("late"));
    timeout(LONG, running.task).await.unwrap().unwrap();
    assert!(TcpStream::connect(running.address).await.is_err());
}

#[tokio::test]
async fn stopping_has_an_end_even_if_an_answer_has_none() {
    let (enter, entered) = oneshot::channel::<()>();
    let enter = Arc::new(std::sync::Mutex::new(Some(enter)));
    let never = get(move || {
        enter.lock().unwrap().take().unwrap().send(()).unwrap();
        future::pending::<&'static str>()
    });
    let running = run(Router::new().route("/never", never), ListenLimits { stop_timeout: SHORT, ..limits() }).await;
    let mut client = TcpStream::connect(running.address).await.unwrap();
    client.write_all(b"GET /never HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    entered.await.unwrap();
    running.stop.send(()).unwrap();
    timeout(LONG, running.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let first = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = first.local_addr().unwrap();
    let error = bind(address).unwrap_err();
    assert_eq!(error.to_string(), format!("listen on {address}"));
    assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
}
