//! A journal on a thread of its own. Whatever waits is written in one commit, so that a hundred servers cost no more syncs than one.

use std::thread;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::{Journal, JournalError, Recollection, Record};

/// So many requests may wait; whoever comes later waits for a place.
const WAITING_MAX: usize = 1024;

/// So many appends go into one commit at most.
const GROUP_MAX: usize = 256;

type Answer<T> = oneshot::Sender<Result<T, JournalError>>;

enum Request {
    Append(Vec<Record>, Answer<()>),
    Load(Timestamp, Answer<Recollection>),
    Prune(Timestamp, Answer<u64>),
    Close(Answer<()>),
}

/// Where records are handed in. Clones hand in to the same journal.
#[derive(Debug, Clone)]
pub struct JournalHandle {
    requests: mpsc::Sender<Request>,
}

impl JournalHandle {
    /// Makes the records durable, all of them or none. They take their place in the order at the first poll. A future that is dropped later does
    /// not take them back.
    ///
    /// # Errors
    /// See [`Journal::append`]; [`JournalError::Closed`] after the end of the thread.
    pub async fn append(&self, records: Vec<Record>) -> Result<(), JournalError> {
        self.ask(|answer| Request::Append(records, answer)).await
    }

    /// See [`Recall::load`](super::Recall::load).
    ///
    /// # Errors
    /// The same, and [`JournalError::Closed`].
    pub async fn load(&self, since: Timestamp) -> Result<Recollection, JournalError> {
        self.ask(|answer| Request::Load(since, answer)).await
    }

    /// See [`Journal::prune`].
    ///
    /// # Errors
    /// The same, and [`JournalError::Closed`].
    pub async fn prune(&self, before: Timestamp) -> Result<u64, JournalError> {
        self.ask(|answer| Request::Prune(before, answer)).await
    }

    async fn ask<T>(&self, request: impl FnOnce(Answer<T>) -> Request) -> Result<T, JournalError> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(request(answer)).await.map_err(|_| JournalError::Closed)?;
        answered.await.map_err(|_| JournalError::Closed)?
    }
}

/// The thread. It ends when it is closed, or when the last handle is dropped.
#[derive(Debug)]
pub struct JournalThread {
    handle: JournalHandle,
    thread: thread::JoinHandle<()>,
}

impl JournalThread {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`JournalError::Io`] if the system gives no thread.
    pub fn spawn(journal: impl Journal + Send + 'static) -> Result<JournalThread, JournalError> {
        let (requests, waiting) = mpsc::channel(WAITING_MAX);
        let thread = thread::Builder::new().name("journal".to_owned()).spawn(move || serve(journal, waiting));
        let thread = thread.map_err(|error| JournalError::system("a thread for the journal", &error))?;
        Ok(JournalThread { handle: JournalHandle { requests }, thread })
    }

    /// Where records are handed in.
    #[must_use]
    pub fn handle(&self) -> JournalHandle {
        self.handle.clone()
    }

    /// Writes all that was handed in before, closes the journal and ends the thread. Records that come later are answered with
    /// [`JournalError::Closed`].
    ///
    /// # Errors
    /// The journal could not be tidied ([`Journal::close`]). What was acknowledged is durable all the same.
    pub async fn close(self) -> Result<(), JournalError> {
        let result = self.handle.ask(Request::Close).await;
        // The answer was the thread's last act but for dropping the journal, so this does not wait for long.
        let joined = tokio::task::spawn_blocking(move || self.thread.join()).await;
        match joined {
            Ok(Ok(())) => result,
            _ => Err(JournalError::Io { detail: "the journal's thread panicked".to_owned() }),
        }
    }
}

/// The appends that go into one commit.
#[derive(Default)]
struct Group {
    records: Vec<Record>,
    /// How many of the records belong to each, and who waits.
    members: Vec<(usize, Answer<()>)>,
}

/// The thread's loop. Dropping `waiting` at its end answers whatever still waits.
fn serve(mut journal: impl Journal, mut waiting: mpsc::Receiver<Request>) {
    let mut group = Group::default();
    while let Some(request) = waiting.blocking_recv() {
        let mut next = Some(request);
        while let Some(request) = next {
            match request {
                Request::Append(records, answer) => group.add(records, answer),
                other => {
                    group.commit(&mut journal);
                    if !attend(&mut journal, other) {
                        return;
                    }
                }
            }
            next = if group.members.len() < GROUP_MAX { waiting.try_recv().ok() } else { None };
        }
        group.commit(&mut journal);
    }
}

/// Does what is not an append. Returns whether to go on.
fn attend(journal: &mut impl Journal, request: Request) -> bool {
    match request {
        Request::Append(records, answer) => tell(answer, journal.append(&records)),
        Request::Load(since, answer) => tell(answer, journal.load(since)),
        Request::Prune(before, answer) => tell(answer, journal.prune(before)),
        Request::Close(answer) => {
            tell(answer, journal.close());
            return false;
        }
    }
    true
}

impl Group {
    fn add(&mut self, mut records: Vec<Record>, answer: Answer<()>) {
        self.members.push((records.len(), answer));
        self.records.append(&mut records);
    }

    /// One commit for all. Where one member's records are refused, each is written alone, so that nobody fails by another's mistake; any other
    /// error is everyone's.
    fn commit(&mut self, journal: &mut impl Journal) {
        if self.members.is_empty() {
            return;
        }
        let joint = journal.append(&self.records);
        let alone = matches!(joint, Err(JournalError::Rejected { .. })) && self.members.len() > 1;
        let mut rest = self.records.as_slice();
        for (count, answer) in self.members.drain(..) {
            let (own, others) = rest.split_at(count);
            rest = others;
            tell(answer, if alone { journal.append(own) } else { joint.clone() });
        }
        self.records.clear();
    }
}

/// Whoever no longer waits need not be told.
fn tell<T>(answer: Answer<T>, result: Result<T, JournalError>) {
    drop(answer.send(result));
}
