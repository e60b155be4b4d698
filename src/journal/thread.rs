//! A journal on a thread of its own. Whatever waits is written in one commit, so that a hundred servers cost no more syncs than one.

use std::thread;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::{Journal, JournalError, Recollection, Record};

/// So many appends go into one commit at most.
const GROUP_MAX: usize = 128;

type Answer<T> = oneshot::Sender<Result<T, JournalError>>;

type Tell = Box<dyn FnOnce(Result<(), JournalError>) + Send>;

/// Is told what became of records, [`JournalError::Closed`] if nobody takes them any more.
struct Waiter(Option<Tell>);

impl Waiter {
    /// The first word counts.
    fn tell(&mut self, result: Result<(), JournalError>) {
        if let Some(tell) = self.0.take() {
            tell(result);
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.tell(Err(JournalError::Closed));
    }
}

enum Request {
    Append(Vec<Record>, Waiter),
    Load(Timestamp, Answer<Recollection>),
    Prune(Timestamp, Answer<u64>),
    Close(Answer<()>),
}

/// Where records are handed in. Clones hand in to the same journal.
#[derive(Debug, Clone)]
pub struct JournalHandle {
    requests: mpsc::UnboundedSender<Request>,
}

impl JournalHandle {
    /// Makes the records durable, all of them or none. They take their place in the order at the first poll. A future that is dropped later does
    /// not take them back.
    ///
    /// # Errors
    /// See [`Journal::append`]; [`JournalError::Closed`] after the end of the thread.
    pub async fn append(&self, records: Vec<Record>) -> Result<(), JournalError> {
        let (answer, answered) = oneshot::channel();
        self.hand_in(records, |result| tell(answer, result));
        answered.await.map_err(|_| JournalError::Closed)?
    }

    /// The same without waiting. `tell` is called once and in any case: on the journal's thread, where it must not block, or on the caller's if the
    /// records are not taken. All of a commit are told in a row, so that whoever reads a queue is mostly woken once for them. How many may wait is for
    /// the caller to bound: a run, for one, goes no further than to an intent that is not durable yet.
    pub fn hand_in(&self, records: Vec<Record>, tell: impl FnOnce(Result<(), JournalError>) + Send + 'static) {
        // What cannot be sent is dropped, and tells by that.
        drop(self.requests.send(Request::Append(records, Waiter(Some(Box::new(tell))))));
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
        self.requests.send(request(answer)).map_err(|_| JournalError::Closed)?;
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
        let (requests, waiting) = mpsc::unbounded_channel();
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
    members: Vec<(usize, Waiter)>,
}

/// The thread's loop. Dropping `waiting` at its end answers whatever still waits.
fn serve(mut journal: impl Journal, mut waiting: mpsc::UnboundedReceiver<Request>) {
    let mut group = Group::default();
    while let Some(request) = waiting.blocking_recv() {
        let mut next = Some(request);
        while let Some(request) = next {
            match request {
                Request::Append(records, waiter) => group.add(records, waiter),
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
        Request::Append(records, mut waiter) => waiter.tell(journal.append(&records)),
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
    fn add(&mut self, mut records: Vec<Record>, waiter: Waiter) {
        self.members.push((records.len(), waiter));
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
        for (count, mut waiter) in self.members.drain(..) {
            let (own, others) = rest.split_at(count);
            rest = others;
            waiter.tell(if alone { journal.append(own) } else { joint.clone() });
        }
        self.records.clear();
    }
}

/// Whoever no longer waits need not be told.
fn tell<T>(answer: Answer<T>, result: Result<T, JournalError>) {
    drop(answer.send(result));
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, mpsc as blocking};
    use std::task::{Context, Waker};

    use super::super::samples::*;
    use super::super::tests::open;
    use super::super::*;
    use super::*;

    /// Counts commits, and begins each only when it may.
    struct Watched<J> {
        journal: J,
        commits: Arc<AtomicUsize>,
        may_begin: blocking::Receiver<()>,
    }

    impl<J: Journal> Recall for Watched<J> {
        fn load(&mut self, since: Timestamp) -> Result<Recollection, JournalError> {
            self.journal.load(since)
        }

        fn history(&mut self, filter: &HistoryFilter) -> Result<HistoryRows, JournalError> {
            self.journal.history(filter)
        }
    }

    impl<J: Journal> Journal for Watched<J> {
        fn append(&mut self, records: &[Record]) -> Result<(), JournalError> {
            assert!(self.may_begin.recv().is_err(), "nothing is ever sent: the test drops the other end");
            self.commits.fetch_add(1, Ordering::SeqCst);
            self.journal.append(records)
        }

        fn prune(&mut self, before: Timestamp) -> Result<u64, JournalError> {
            self.journal.prune(before)
        }

        fn close(&mut self) -> Result<(), JournalError> {
            self.journal.close()
        }
    }

    fn watched<J>(journal: J) -> (Watched<J>, Arc<AtomicUsize>, blocking::Sender<()>) {
        let (begin, may_begin) = blocking::channel();
        let commits = Arc::new(AtomicUsize::new(0));
        (Watched { journal, commits: commits.clone(), may_begin }, commits, begin)
    }

    fn ops(recollection: &Recollection) -> Vec<u64> {
        recollection.creates.iter().map(|row| row.intent.op.0).collect()
    }

    type Waiting = Pin<Box<dyn Future<Output = Result<(), JournalError>>>>;

    /// Hands in batches, in order, without waiting for answers. The journal must not have begun, so that none of them can be answered yet.
    fn hand_in(handle: &JournalHandle, batches: Vec<Vec<Record>>) -> Vec<Waiting> {
        let hand_in_one = |records| {
            let handle = handle.clone();
            let mut waiting: Waiting = Box::pin(tokio::task::unconstrained(async move { handle.append(records).await }));
            assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            waiting
        };
        batches.into_iter().map(hand_in_one).collect()
    }

    #[tokio::test]
    async fn a_thousand_appends_share_few_commits() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, commits, begin) = watched(open(folder.path()));
        let thread = JournalThread::spawn(journal).unwrap();
        let waiting = hand_in(&thread.handle(), (1..=1000).map(|op| vec![create(op, op, 0)]).collect());
        // The first commit has waited for this; the others find the rest waiting.
        drop(begin);
        for one in waiting {
            one.await.unwrap();
        }
        let commits = commits.load(Ordering::SeqCst);
        // Whatever the first commit took with it, the rest are full groups, but for the last.
        assert!(commits <= 2 + 1000 / GROUP_MAX + 1, "{commits} commits");
        // No close: acknowledged is durable.
        let mut copy = JournalReader::open(folder.path()).unwrap();
        assert_eq!(ops(&copy.load(at(0)).unwrap()), (1..=1000).collect::<Vec<_>>(), "in the order in which they were handed in");
        thread.close().await.unwrap();
        assert_eq!(ops(&open(folder.path()).load(at(0)).unwrap()).len(), 1000);
    }

    #[tokio::test]
    async fn a_rejected_batch_does_not_fail_its_neighbours() {
        let (journal, _, begin) = watched(MemoryJournal::new());
        let thread = JournalThread::spawn(journal).unwrap();
        let batches = vec![vec![create(1, 1, 0)], vec![create(2, 1, 0)], vec![accepted(77, 1, 0), create(3, 1, 0)], vec![create(4, 1, 0)]];
        let waiting = hand_in(&thread.handle(), batches);
        drop(begin);
        let mut results = Vec::new();
        for one in waiting {
            results.push(one.await.is_ok());
        }
        assert_eq!(results, [true, true, false, true]);
        assert_eq!(ops(&thread.handle().load(at(0)).await.unwrap()), [1, 2, 4]);
        assert_eq!(thread.handle().prune(at(500)).await, Ok(0));
    }

    #[tokio::test]
    async fn an_error_of_the_disk_is_told_to_everyone() {
        let memory = MemoryJournal::new();
        memory.set_fault(Some(Fault::Full));
        let (journal, _, begin) = watched(memory.clone());
        let thread = JournalThread::spawn(journal).unwrap();
        let waiting = hand_in(&thread.handle(), (1..=5).map(|op| vec![create(op, 1, 0)]).collect());
        drop(begin);
        for one in waiting {
            assert!(matches!(one.await, Err(JournalError::Full { .. })));
        }
        memory.set_fault(None);
        thread.handle().append(vec![create(1, 1, 0)]).await.unwrap();
    }

    #[tokio::test]
    async fn closing_writes_what_waits_and_gives_the_folder_back() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, _, begin) = watched(open(folder.path()));
        let thread = JournalThread::spawn(journal).unwrap();
        let handle = thread.handle();
        let waiting = hand_in(&handle, (1..=10).map(|op| vec![create(op, 1, 0)]).collect());
        drop(begin);
        thread.close().await.unwrap();
        for one in waiting {
            one.await.unwrap();
        }
        assert_eq!(handle.append(vec![create(11, 1, 0)]).await, Err(JournalError::Closed));
        assert_eq!(ops(&open(folder.path()).load(at(0)).unwrap()), (1..=10).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn each_is_told_once_and_in_order_after_its_commit() {
        const MANY: u64 = 200;
        let (journal, commits, begin) = watched(MemoryJournal::new());
        let thread = JournalThread::spawn(journal).unwrap();
        let (told, heard) = blocking::channel();
        for op in 1..=MANY {
            let (told, commits) = (told.clone(), Arc::clone(&commits));
            let tell = move |result| told.send((op, result, commits.load(Ordering::SeqCst))).unwrap();
            thread.handle().hand_in(vec![create(op, op, 0)], tell);
        }
        drop((told, begin));
        thread.close().await.unwrap();
        let heard: Vec<_> = heard.iter().collect();
        assert!(heard.iter().map(|(op, result, _)| (*op, result.clone())).eq((1..=MANY).map(|op| (op, Ok(())))));
        let (first, last) = (heard[0].2, heard[heard.len() - 1].2);
        assert_eq!((first, last), (1, commits.load(Ordering::SeqCst)), "the first commit may have begun before the others came");
    }

    #[tokio::test]
    async fn who_hands_in_too_late_is_told_too() {
        let thread = JournalThread::spawn(MemoryJournal::new()).unwrap();
        let handle = thread.handle();
        thread.close().await.unwrap();
        let (told, answered) = oneshot::channel();
        handle.hand_in(vec![create(1, 1, 0)], |result| told.send(result).unwrap());
        assert_eq!(answered.await, Ok(Err(JournalError::Closed)));
    }

    #[tokio::test]
    async fn what_was_handed_in_before_a_load_is_loaded() {
        let (journal, _, begin) = watched(MemoryJournal::new());
        let thread = JournalThread::spawn(journal).unwrap();
        let handle = thread.handle();
        let waiting = hand_in(&handle, vec![vec![create(1, 1, 0)], vec![create(2, 1, 0)]]);
        drop(begin);
        assert_eq!(ops(&handle.load(at(0)).await.unwrap()), [1, 2]);
        for one in waiting {
            one.await.unwrap();
        }
    }
}
