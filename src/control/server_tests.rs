//! The socket's bounds, with paused time, and a main loop played by the test.

use std::path::Path;

use tokio::io::AsyncReadExt;

use crate::domain::inventory::{ItemId, Kind, ServerId};

use super::super::client::{Connection, ConversationError, SILENCE_MAX};
use super::super::{FILE_NAME, SocketFile, bind};
use super::*;
use crate::controller::{Request, ServerPattern};

/// A socket with a main loop.
struct Stage {
    folder: tempfile::TempDir,
    clients: Clients,
    board: Board,
    stop: oneshot::Sender<()>,
    server: tokio::task::JoinHandle<()>,
    _file: SocketFile,
}

impl Stage {
    fn new() -> Stage {
        Stage::with(ServeLimits::default())
    }

    fn with(limits: ServeLimits) -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let (listener, file) = bind(folder.path()).unwrap();
        let (asked, clients, board) = clients();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(serve(listener, asked, board.clone(), limits, async { drop(stopped.await) }));
        Stage { folder, clients, board, stop, server, _file: file }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    async fn raw(&self) -> UnixStream {
        UnixStream::connect(self.path().join(FILE_NAME)).await.unwrap()
    }

    /// A client whose order for this server is taken; the order's number.
    async fn taken(&mut self, server: u64) -> (Connection, u64) {
        let mut connection = Connection::open(self.path()).await.unwrap();
        connection.ask(&run(server)).await.unwrap();
        let asked = self.clients.next().await.unwrap();
        let Some(Input::Request(Request { id, .. })) = self.clients.take(asked, "digest") else { panic!("nothing is to be done") };
        assert_eq!(connection.next().await.unwrap(), Answer::Accepted { config: "digest".to_owned() });
        (connection, id)
    }
}

fn run(server: u64) -> Order {
    let select = Select { servers: vec![ServerPattern::Id(ServerId(server))], ..Select::default() };
    Order::Run { select, due: false, gauges: server == 1, by: "ann".into() }
}

fn completed(server: u64, item: u64) -> Fact {
    let target = Target { server: ServerId(server), server_name: "".into(), kind: Kind::Snapshot, policy: "web".into() };
    Fact::Completed { target, run: 1, item: ItemId(item) }
}

fn report(id: u64) -> RequestReport {
    RequestReport { id, started_at: None, targets: Vec::new(), fatal: None }
}

#[tokio::test]
async fn each_client_gets_its_own_facts_and_its_own_end() {
    let mut stage = Stage::new();
    let (mut first, one) = stage.taken(1).await;
    let (mut second, two) = stage.taken(2).await;
    assert_ne!(one, two);
    for (server, item) in [(1, 10), (2, 20), (3, 30), (1, 11)] {
        stage.board.tell(&completed(server, item));
    }
    stage.clients.finished(report(two), &["a fault".to_owned()], || "a 2\n".to_owned());
    stage.clients.finished(report(one), &[], || "a 1\n".to_owned());
    assert_eq!(first.next().await.unwrap(), Answer::Told(completed(1, 10)));
    assert_eq!(first.next().await.unwrap(), Answer::Told(completed(1, 11)));
    assert_eq!(first.next().await.unwrap(), Answer::Finished { report: report(0), faults: Vec::new(), gauges: Some("a 1\n".to_owned()) });
    assert!(matches!(first.next().await, Err(ConversationError::Gone)));
    assert_eq!(second.next().await.unwrap(), Answer::Told(completed(2, 20)));
    assert_eq!(second.next().await.unwrap(), Answer::Finished { report: report(0), faults: vec!["a fault".to_owned()], gauges: None });
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_read_holds_nobody_up_and_is_told_what_it_missed() {
    let mut stage = Stage::new();
    let (mut connection, id) = stage.taken(1).await;
    let count = FACTS_MAX as u64 + 100;
    // All in one turn of the main loop: the connection's task has no chance to write any.
    (0..count).for_each(|item| stage.board.tell(&completed(1, item)));
    stage.clients.finished(report(id), &[], String::new);
    let mut told = 0;
    let left_out = loop {
        match connection.next().await.unwrap() {
            Answer::Told(_) => told += 1,
            Answer::LeftOut(left_out) => break left_out,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((told, left_out), (FACTS_MAX as u64, 100));
    assert!(matches!(connection.next().await.unwrap(), Answer::Finished { .. }));
}

#[tokio::test(start_paused = true)]
async fn one_that_never_reads_is_dropped() {
    let mut stage = Stage::new();
    let (_deaf, id) = stage.taken(1).await;
    (0..FACTS_MAX as u64).for_each(|item| stage.board.tell(&completed(1, item)));
    // Far more than a socket's buffer holds was to be written; the write runs out of time.
    tokio::time::sleep(ServeLimits::default().write_timeout * 2).await;
    assert!(!stage.board.watchers().contains_key(&id));
    stage.clients.finished(report(id), &[], String::new);
}

#[tokio::test(start_paused = true)]
async fn one_that_sends_no_order_is_sent_away() {
    let stage = Stage::new();
    let begun = Instant::now();
    let mut silent = stage.raw().await;
    silent.write_all(b"{\"snapwarden\"").await.unwrap();
    let mut said = String::new();
    silent.read_to_string(&mut said).await.unwrap();
    assert!(said.contains("no order came in time"), "{said}");
    assert_eq!(begun.elapsed(), ServeLimits::default().order_timeout);
}

#[tokio::test]
async fn more_connections_than_there_may_be_are_refused() {
    let stage = Stage::with(ServeLimits { connections_max: 1, ..ServeLimits::default() });
    let _first = stage.raw().await;
    let mut second = Connection::open(stage.path()).await.unwrap();
    second.ask(&run(1)).await.unwrap();
    assert_eq!(second.next().await.unwrap(), Answer::Refused("too many connections".to_owned()));
}

#[tokio::test]
async fn more_orders_than_there_may_be_are_refused() {
    let mut stage = Stage::new();
    let mut last = 0;
    for _ in 0..OPEN_MAX {
        last = stage.taken(1).await.1;
    }
    let mut connection = Connection::open(stage.path()).await.unwrap();
    connection.ask(&run(1)).await.unwrap();
    let asked = stage.clients.next().await.unwrap();
    assert!(stage.clients.take(asked, "").is_none());
    assert!(matches!(connection.next().await.unwrap(), Answer::Refused(_)));
    stage.clients.finished(report(last), &[], String::new);
    stage.taken(1).await;
}

#[tokio::test(start_paused = true)]
async fn a_main_loop_that_hangs_is_told_and_begins_nothing_later() {
    let mut stage = Stage::new();
    let mut connection = Connection::open(stage.path()).await.unwrap();
    connection.ask(&run(1)).await.unwrap();
    assert!(matches!(connection.next().await.unwrap(), Answer::Refused(why) if why.contains("nothing was begun")));
    let asked = stage.clients.next().await.unwrap();
    assert!(stage.clients.take(asked, "").is_none());
    assert!(stage.board.watchers().is_empty());
}

#[tokio::test]
async fn a_stop_is_told_to_those_who_wait_and_to_those_who_come() {
    let mut stage = Stage::new();
    let (mut waiting, _) = stage.taken(1).await;
    stage.clients.stop();
    let mut late = Connection::open(stage.path()).await.unwrap();
    late.ask(&run(1)).await.unwrap();
    let asked = stage.clients.next().await.unwrap();
    assert!(stage.clients.take(asked, "").is_none());
    assert_eq!(late.next().await.unwrap(), Answer::Stopping);
    stage.clients.close();
    assert_eq!(waiting.next().await.unwrap(), Answer::Stopping);
    stage.stop.send(()).unwrap();
    stage.server.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_daemon_says_that_it_is_there_and_a_silent_one_is_given_up() {
    let mut stage = Stage::new();
    let (mut connection, _) = stage.taken(1).await;
    let begun = Instant::now();
    for _ in 0..20 {
        assert_eq!(connection.next().await.unwrap(), Answer::Waiting);
    }
    assert_eq!(begun.elapsed(), ServeLimits::default().beat * 20);
    let folder = tempfile::tempdir().unwrap();
    // Nobody accepts there.
    let (_listener, _file) = bind(folder.path()).unwrap();
    let mut connection = Connection::open(folder.path()).await.unwrap();
    connection.ask(&run(1)).await.unwrap();
    let begun = Instant::now();
    assert!(matches!(connection.next().await, Err(ConversationError::Silent)));
    assert_eq!(begun.elapsed(), SILENCE_MAX);
}

#[tokio::test]
async fn one_that_goes_away_is_forgotten() {
    let mut stage = Stage::new();
    let (connection, id) = stage.taken(1).await;
    drop(connection);
    let forgotten = async {
        while stage.board.watchers().contains_key(&id) {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(30), forgotten).await.unwrap();
    assert_eq!(stage.clients.open, 1, "what it asked for is still on");
    stage.clients.finished(report(id), &[], String::new);
    assert_eq!(stage.clients.open, 0);
}
