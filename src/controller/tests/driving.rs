//! The driver's end.

use std::future::pending;
use std::sync::Arc;

use super::super::{Driver, Input, Mode, Ports};
use super::world::setup;
use crate::clock::{Clock, SystemClock};
use crate::controller::Controller;
use crate::domain::inventory::{Item, ItemId, Kind, Listing, ServerId, ServerListing};
use crate::journal::{JournalThread, MemoryJournal, Recall, Recollection};
use crate::provider::{Account, Deleted, Provider, Reply};

/// A provider that never answers.
struct Silent;

impl Provider for Silent {
    async fn list(&self, _: Kind) -> Reply<Listing> {
        pending().await
    }

    async fn servers(&self) -> Reply<ServerListing> {
        pending().await
    }

    async fn account(&self) -> Reply<Account> {
        pending().await
    }

    async fn create(&self, _: Kind, _: ServerId, _: Option<&str>, _: &str) -> Reply<Item> {
        pending().await
    }

    async fn delete(&self, _: Kind, _: ItemId) -> Reply<Deleted> {
        pending().await
    }
}

/// On one thread nothing runs beside this, so that what `close` does not wait for is not done.
#[tokio::test]
async fn what_was_said_last_is_written_before_the_journal_is_closed() {
    let mut journal = MemoryJournal::new();
    let thread = JournalThread::spawn(journal.clone()).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let config = "owner: prod\nservers:\n  - {id: 1, snapshots: {schedule: '@daily', keep: {last: 2}}}\n";
    let controller = Controller::new(setup(config), Mode::Command, &Recollection::empty(), clock.now());
    let ports = Ports { provider: Arc::new(Silent), journal: thread.handle(), clock, state: "/".into(), tell: Box::new(|_| ()) };
    let (mut driver, _inputs) = Driver::new(controller, ports);
    driver.turn(Input::Tick);
    driver.close().await;
    thread.close().await.unwrap();
    assert_eq!(journal.load(jiff::Timestamp::MIN).unwrap().targets.len(), 1);
}
