//! The daemon's end: connections on the socket, and the orders that the main loop takes from them.
//!
//! Nothing here can hold the main loop up. It hands facts to [`Board`] and reports to [`Clients`], which put them into queues of limited length; a task for
//! each connection writes them out. Every wait for a client has a bound, and so has the number of connections and of orders.

use std::collections::BTreeMap;
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval_at, sleep, timeout};
use tracing::{info, warn};

use crate::controller::{Input, OrderReport, RequestReport, Select};
use crate::domain::fact::{Fact, Target};
use crate::task::boxed;

use super::lines::Lines;
use super::protocol::{Answer, ORDER_BYTES_MAX, Order, answer_line, read_order};

/// How long to wait after the system refused a connection, for instance because no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Orders that may wait for the main loop.
const ASKED_MAX: usize = 16;

/// Orders that may be open at the same time, also of clients that have gone away.
const OPEN_MAX: usize = 256;

/// Facts that may wait for a client to read them: more than one turn of the main loop tells of a fleet of a thousand servers.
const FACTS_MAX: usize = 4096;

/// The bounds of the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServeLimits {
    /// Connections at the same time.
    pub connections_max: usize,
    /// From the beginning of a connection until its order is there.
    pub order_timeout: Duration,
    /// Until the main loop has taken an order.
    pub loop_timeout: Duration,
    /// Until a client has taken what is written to it.
    pub write_timeout: Duration,
    /// The longest silence.
    pub beat: Duration,
    /// When stopping: until the last answers are written.
    pub stop_timeout: Duration,
}

impl Default for ServeLimits {
    fn default() -> ServeLimits {
        ServeLimits {
            connections_max: 64,
            order_timeout: Duration::from_secs(5),
            loop_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(10),
            beat: Duration::from_secs(5),
            stop_timeout: Duration::from_secs(2),
        }
    }
}

/// Who waits for the end of an order.
#[derive(Debug)]
struct Watcher {
    /// Whose facts; none: nobody's.
    select: Option<Select>,
    gauges: bool,
    facts: mpsc::Sender<Fact>,
    left_out: Arc<AtomicU64>,
    end: oneshot::Sender<Answer>,
}

/// Who is told what happens.
#[derive(Debug, Clone, Default)]
pub struct Board {
    watchers: Arc<Mutex<BTreeMap<u64, Watcher>>>,
}

/// An order of a client.
#[derive(Debug)]
pub struct Asked {
    order: Order,
    taken: oneshot::Sender<Result<Ticket, Refusal>>,
}

/// Why an order is not taken.
#[derive(Debug)]
enum Refusal {
    Stopping,
    Because(String),
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Answer {
        match refusal {
            Refusal::Stopping => Answer::Stopping,
            Refusal::Because(why) => Answer::Refused(why),
        }
    }
}

/// What a connection gets for its order.
#[derive(Debug)]
struct Ticket {
    id: u64,
    config: String,
    facts: mpsc::Receiver<Fact>,
    left_out: Arc<AtomicU64>,
    end: oneshot::Receiver<Answer>,
}

/// The main loop's end.
#[derive(Debug)]
pub struct Clients {
    board: Board,
    asked: mpsc::Receiver<Asked>,
    last_id: u64,
    /// Orders that the controller has not done with yet.
    open: usize,
    stopping: bool,
}

/// The two ends of the orders, and the board for the facts.
#[must_use]
pub fn clients() -> (mpsc::Sender<Asked>, Clients, Board) {
    let (sender, asked) = mpsc::channel(ASKED_MAX);
    let board = Board::default();
    (sender, Clients { board: board.clone(), asked, last_id: 0, open: 0, stopping: false }, board)
}

impl Board {
    fn watchers(&self) -> MutexGuard<'_, BTreeMap<u64, Watcher>> {
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells a fact to those who wait for what it is about. Never waits.
    pub fn tell(&self, fact: &Fact) {
        for watcher in self.watchers().values() {
            let wanted = watcher.select.as_ref().is_some_and(|select| about(fact).is_none_or(|target| select.admits(target)));
            if wanted && watcher.facts.try_send(fact.clone()).is_err() {
                watcher.left_out.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn forget(&self, id: u64) {
        self.watchers().remove(&id);
    }
}

/// What a fact is about; none: everything.
fn about(fact: &Fact) -> Option<&Target> {
    match fact {
        Fact::RunStarted { target, .. }
        | Fact::RunEnded { target, .. }
        | Fact::CreateSent { target, .. }
        | Fact::CreateInDoubt { target, .. }
        | Fact::CreateDecided { target, .. }
        | Fact::Completed { target, .. }
        | Fact::DeleteSent { target, .. }
        | Fact::DeleteDecided { target, .. }
        | Fact::Missed { target, .. }
        | Fact::Lost { target, .. }
        | Fact::GuardRefused { target, .. }
        | Fact::ProblemRaised { target, .. }
        | Fact::ProblemCleared { target, .. }
        | Fact::HookStarted { target, .. }
        | Fact::HookEnded { target, .. } => Some(target),
        Fact::Note { target, .. } => target.as_ref(),
        Fact::AccountProblemRaised { .. } | Fact::AccountProblemCleared { .. } => None,
    }
}

impl Clients {
    /// The next order; none once there is no socket any more.
    pub async fn next(&mut self) -> Option<Asked> {
        self.asked.recv().await
    }

    /// Takes an order: what it means for the controller, which works by this configuration. None if nothing is to be done, which the client is told.
    pub fn take(&mut self, asked: Asked, config: &str) -> Option<Input> {
        // Who does not wait any more has been told that nothing is done.
        if let Some(refusal) = self.refusal() {
            drop(asked.taken.send(Err(refusal)));
            return None;
        }
        self.last_id += 1;
        let id = self.last_id;
        let (sender, facts) = mpsc::channel(FACTS_MAX);
        let (end, ended) = oneshot::channel();
        let left_out = Arc::new(AtomicU64::new(0));
        let (select, gauges) = (asked.order.select().cloned(), asked.order.wants_gauges());
        let watcher = Watcher { select, gauges, facts: sender, left_out: Arc::clone(&left_out), end };
        self.board.watchers().insert(id, watcher);
        let ticket = Ticket { id, config: config.to_owned(), facts, left_out, end: ended };
        if asked.taken.send(Ok(ticket)).is_err() {
            self.board.forget(id);
            return None;
        }
        info!(order = asked.order.as_str(), id, "an order has come over the control socket");
        self.open += 1;
        Some(asked.order.into_input(id))
    }

    fn refusal(&self) -> Option<Refusal> {
        if self.stopping {
            return Some(Refusal::Stopping);
        }
        (self.open >= OPEN_MAX).then(|| Refusal::Because(format!("{OPEN_MAX} orders are open already")))
    }

    /// An order is done with. The gauges are made only where they were asked for.
    pub fn finished(&mut self, report: RequestReport, faults: &[String], gauges: impl FnOnce() -> String) {
        let wanted = self.board.watchers().get(&report.id).is_some_and(|watcher| watcher.gauges);
        let gauges = wanted.then(gauges);
        self.end(report.id, Answer::Finished { report, faults: faults.to_vec(), gauges });
    }

    /// What was ordered stands, or cannot.
    pub fn ordered(&mut self, report: OrderReport) {
        self.end(report.id, Answer::Stands(report.answer()));
    }

    fn end(&mut self, id: u64, answer: Answer) {
        self.open = self.open.saturating_sub(1);
        if let Some(watcher) = self.board.watchers().remove(&id) {
            // The client may have gone away in this moment.
            drop(watcher.end.send(answer));
        }
    }

    /// Takes no order from now on: the daemon stops.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    /// Tells all who still wait that the daemon stops.
    pub fn close(mut self) {
        self.asked.close();
        while let Ok(asked) = self.asked.try_recv() {
            drop(asked.taken.send(Err(Refusal::Stopping)));
        }
        for (_, watcher) in std::mem::take(&mut *self.board.watchers()) {
            drop(watcher.end.send(Answer::Stopping));
        }
    }
}

/// Takes connections until `stop`, then lets those end that are open.
pub async fn serve(listener: UnixListener, asked: mpsc::Sender<Asked>, board: Board, limits: ServeLimits, stop: impl Future<Output = ()>) {
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if connections.len() < limits.connections_max => {
                    connections.spawn(boxed(converse(stream, asked.clone(), board.clone(), limits)));
                }
                // A word fits into the socket's buffer, or is lost.
                Ok((stream, _)) => drop(answer_line(Answer::Refused("too many connections".to_owned())).map(|line| stream.try_write(&line))),
                Err(error) => {
                    warn!(error = %error, "a connection to the control socket could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop((listener, asked));
    let all_end = async { while connections.join_next().await.is_some() {} };
    drop(timeout(limits.stop_timeout, all_end).await);
    connections.shutdown().await;
}

/// Writes answers to a client.
struct Pen {
    stream: OwnedWriteHalf,
    timeout: Duration,
}

impl Pen {
    async fn write(&mut self, answer: Answer) -> io::Result<()> {
        let line = answer_line(answer).map_err(io::Error::other)?;
        timeout(self.timeout, self.stream.write_all(&line)).await.map_err(|_| io::ErrorKind::TimedOut)?
    }
}

/// Carries one connection to its end.
async fn converse(stream: UnixStream, asked: mpsc::Sender<Asked>, board: Board, limits: ServeLimits) {
    let (reader, writer) = stream.into_split();
    let mut lines = Lines::new(reader, ORDER_BYTES_MAX);
    let mut pen = Pen { stream: writer, timeout: limits.write_timeout };
    let ticket = match hand_in(&mut lines, &asked, limits).await {
        Ok(ticket) => ticket,
        Err(Some(refusal)) => return drop(pen.write(refusal.into()).await),
        Err(None) => return,
    };
    drop(asked);
    let id = ticket.id;
    if let Err(error) = follow(ticket, &mut lines, &mut pen, limits.beat).await {
        board.forget(id);
        if error.kind() == io::ErrorKind::TimedOut {
            warn!(id, "a client of the control socket does not read; it is dropped, and what it asked for goes on");
        } else {
            info!(id, "a client of the control socket has gone away; what it asked for goes on");
        }
    }
}

/// Reads the order and hands it to the main loop. Without a ticket: what the client is to be told, if it is still there.
async fn hand_in(lines: &mut Lines<OwnedReadHalf>, asked: &mpsc::Sender<Asked>, limits: ServeLimits) -> Result<Ticket, Option<Refusal>> {
    let refused = |why: String| Some(Refusal::Because(why));
    let line = match timeout(limits.order_timeout, lines.next()).await {
        Ok(Ok(Some(line))) => line,
        Ok(Ok(None)) => return Err(None),
        Ok(Err(error)) => return Err(refused(error.to_string())),
        Err(_) => return Err(refused("no order came in time".to_owned())),
    };
    let order = read_order(&line).map_err(|error| refused(error.to_string()))?;
    let (taken, mut answer) = oneshot::channel();
    let wait = async {
        asked.send(Asked { order, taken }).await.map_err(|_| Some(Refusal::Stopping))?;
        (&mut answer).await.map_err(|_| Some(Refusal::Stopping))?.map_err(Some)
    };
    match timeout(limits.loop_timeout, wait).await {
        Ok(result) => result,
        Err(_) => {
            // From here on the main loop cannot take it any more; it may have done so in this moment.
            answer.close();
            answer
                .try_recv()
                .unwrap_or_else(|_| Err(Refusal::Because("the daemon's main loop does not answer; nothing was begun".to_owned())))
                .map_err(Some)
        }
    }
}

/// Tells a client what happens, until the end.
async fn follow(mut ticket: Ticket, lines: &mut Lines<OwnedReadHalf>, pen: &mut Pen, beat: Duration) -> io::Result<()> {
    pen.write(Answer::Accepted { config: std::mem::take(&mut ticket.config) }).await?;
    let mut beats = interval_at(Instant::now() + beat, beat);
    loop {
        tokio::select! {
            Some(fact) = ticket.facts.recv() => {
                pen.write(Answer::Told(fact)).await?;
                beats.reset();
            }
            end = &mut ticket.end => {
                while let Ok(fact) = ticket.facts.try_recv() {
                    pen.write(Answer::Told(fact)).await?;
                }
                let left_out = ticket.left_out.load(Ordering::Relaxed);
                if left_out > 0 {
                    pen.write(Answer::LeftOut(left_out)).await?;
                }
                pen.write(end.unwrap_or(Answer::Stopping)).await?;
                return pen.stream.shutdown().await;
            }
            // A client has nothing more to say.
            _ = lines.next() => return Err(io::ErrorKind::ConnectionAborted.into()),
            _ = beats.tick() => pen.write(Answer::Waiting).await?,
        }
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
