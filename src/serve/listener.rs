//! Accepts connections and carries HTTP over them, so that clients that are slow, silent or many cannot keep others out.
//!
//! Every wait has a bound, and so has the number of connections. When that is reached, a newcomer is not turned away: the connection goes from which
//! no request was heard for longest, those that never sent one first. So half-open connections, however many, only push out each other.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{future, io};

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use thiserror::Error;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::task::boxed;

/// How long to wait after the system refused a connection, for instance because no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// So many connections may wait for being accepted.
const BACKLOG: u32 = 1024;

/// The longest request line and headers together, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// The bounds of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenLimits {
    /// Connections at the same time.
    pub connections_max: usize,
    /// From the beginning of a connection, or the end of an answer, until the next request's headers are there. Also ends idle connections.
    pub header_timeout: Duration,
    /// From a request until its answer is sent.
    pub request_timeout: Duration,
    /// When stopping: until the answers under way are sent.
    pub stop_timeout: Duration,
}

impl Default for ListenLimits {
    fn default() -> ListenLimits {
        ListenLimits {
            connections_max: 256,
            header_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            stop_timeout: Duration::from_secs(5),
        }
    }
}

/// The address cannot be listened on.
#[derive(Debug, Error)]
#[error("listen on {address}")]
pub struct ListenError {
    /// Where.
    pub address: SocketAddr,
    /// Why not.
    pub source: io::Error,
}

/// Takes the address, for the runtime that this is called in.
///
/// # Errors
/// If it is in use, not ours, or not allowed.
pub fn bind(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let bind = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // What the last process has left in TIME_WAIT is in nobody's way.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    bind().map_err(|source| ListenError { address, source })
}

/// Answers requests with `router` until `stop`; then takes no more, and lets those under way end within `limits.stop_timeout`.
pub async fn serve(listener: TcpListener, router: Router, limits: ListenLimits, stop: impl Future<Output = ()>) {
    let mut connections = Connections::new(router, limits);
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => connections.admit(stream),
                Err(error) => {
                    tracing::warn!(error = %error, "a connection could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            () = connections.one_ends() => {}
        }
    }
    drop(listener);
    connections.close().await;
}

/// The open connections.
struct Connections {
    service: TowerToHyperService<Router>,
    limits: ListenLimits,
    tasks: JoinSet<()>,
    open: BTreeMap<Id, Open>,
    admitted: u64,
    /// Counts requests, over all connections.
    requests: Arc<AtomicU64>,
    stopping: watch::Sender<bool>,
}

/// What is known of an open connection from outside of its task.
struct Open {
    task: AbortHandle,
    /// The how-manieth connection it is.
    number: u64,
    /// The number of the last request it sent; 0: none yet.
    last_request: Arc<AtomicU64>,
}

impl Connections {
    fn new(router: Router, limits: ListenLimits) -> Connections {
        let service = TowerToHyperService::new(router);
        let (stopping, _) = watch::channel(false);
        Connections { service, limits, tasks: JoinSet::new(), open: BTreeMap::new(), admitted: 0, requests: Arc::default(), stopping }
    }

    fn admit(&mut self, stream: TcpStream) {
        while self.open.len() >= self.limits.connections_max.max(1) {
            self.push_one_out();
        }
        let last_request = Arc::new(AtomicU64::new(0));
        let heard = {
            let (requests, last) = (Arc::clone(&self.requests), Arc::clone(&last_request));
            move || {
                last.store(requests.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            }
        };
        let task = self.tasks.spawn(boxed(carry(stream, self.service.clone(), self.limits, heard, self.stopping.subscribe())));
        self.admitted += 1;
        self.open.insert(task.id(), Open { task, number: self.admitted, last_request });
    }

    /// Ends the connection that was silent for longest; see the module's introduction.
    fn push_one_out(&mut self) {
        let silence = |open: &Open| (open.last_request.load(Ordering::Relaxed), open.number);
        let Some(id) = self.open.iter().min_by_key(|(_, open)| silence(open)).map(|(id, _)| *id) else { return };
        if let Some(open) = self.open.remove(&id) {
            open.task.abort();
        }
    }

    /// Waits until a connection has ended; for ever while there is none.
    async fn one_ends(&mut self) {
        let id = match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => id,
            Some(Err(error)) => error.id(),
            None => future::pending().await,
        };
        self.open.remove(&id);
    }

    async fn close(mut self) {
        self.stopping.send_replace(true);
        for open in self.open.values().filter(|open| open.last_request.load(Ordering::Relaxed) == 0) {
            open.task.abort();
        }
        let all_end = async { while self.tasks.join_next().await.is_some() {} };
        let _ = timeout(self.limits.stop_timeout, all_end).await;
        self.tasks.shutdown().await;
    }
}

/// Carries one connection to its end. `heard` is called for each request.
async fn carry(
    stream: TcpStream,
    service: TowerToHyperService<Router>,
    limits: ListenLimits,
    heard: impl Fn(),
    mut stopping: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let (begun, last_begun) = watch::channel(Instant::now());
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        heard();
        begun.send_replace(Instant::now());
        service.call(request)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.header_timeout).max_buf_size(HEAD_BYTES_MAX);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    let mut told = false;
    loop {
        let deadline = *last_begun.borrow() + limits.request_timeout;
        tokio::select! {
            // An error is the client's: it went away, was too slow, or spoke something else.
            _ = connection.as_mut() => return,
            _ = stopping.wait_for(|stopping| *stopping), if !told => {
                connection.as_mut().graceful_shutdown();
                told = true;
            }
            () = sleep_until(deadline) => {
                let is_last = *last_begun.borrow() + limits.request_timeout <= Instant::now();
                if is_last {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "listener_tests.rs"]
mod tests;
