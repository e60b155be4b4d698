//! The driver's end.

use std::future::pending;
use std::sync::Arc;

use super::super::{Driver, Input, Inputs, Mode, Ports};
use super::HOUR;
use super::world::setup;
use crate::clock::{Clock, Mono, SystemClock};
use crate::controller::Controller;
use crate::domain::fact::Fact;
use crate::domain::inventory::{Item, ItemId, Kind, Listing, ServerId, ServerListing};
use crate::journal::{JournalThread, MemoryJournal, Recall, Recollection};
use crate::provider::{Account, Deleted, Provider, ProviderError, Reply};

/// A provider that says only of listings when they were let through; without that, nothing at all.
struct Silent(Option<Mono>);

impl Silent {
    async fn wait<T>(&self) -> Reply<T> {
        let Some(begun) = self.0 else { return pending().await };
        Reply { result: Err(ProviderError::Timeout), date: None, begun: Some(begun) }
    }
}

impl Provider for Silent {
    async fn list(&self, _: Kind) -> Reply<Listing> {
        self.wait().await
    }

    async fn servers(&self) -> Reply<ServerListing> {
        self.wait().await
    }

    async fn account(&self) -> Reply<Account> {
        pending().await
    }

    async fn create(&self, _: Kind, _: ServerId, _: Option<&str>, _: &str) -> Reply<Item> {
        pending().await
    }

    async fn delete(&self, _: Kind, _: ItemId, _: Mono) -> Reply<Deleted> {
        pending().await
    }
}

const CONFIG: &str = "owner: prod\nservers:\n  - {id: 1, snapshots: {schedule: '@daily', keep: {last: 2}}}\n";

/// A driver of a controller that has to look.
fn driver(provider: Silent, journal: &JournalThread, clock: &Arc<dyn Clock>) -> (Driver<Silent>, Inputs) {
    let controller = Controller::new(setup(CONFIG), Mode::Daemon, &Recollection::empty(), clock.now());
    let (clock, tell) = (Arc::clone(clock), Box::new(|_: &Fact| ()));
    Driver::new(controller, Ports { provider: Arc::new(provider), journal: journal.handle(), clock, state: "/".into(), tell })
}

/// On one thread nothing runs beside this: what a turn does not hand in itself is not written.
#[tokio::test]
async fn what_was_said_last_is_written_before_the_journal_is_closed() {
    let mut journal = MemoryJournal::new();
    let thread = JournalThread::spawn(journal.clone()).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let (mut driver, _inputs) = driver(Silent(None), &thread, &clock);
    driver.turn([Input::Tick]);
    drop(driver);
    thread.close().await.unwrap();
    assert_eq!(journal.load(jiff::Timestamp::MIN).unwrap().targets.len(), 1);
}

#[tokio::test]
async fn listings_count_from_when_they_were_let_through() {
    let thread = JournalThread::spawn(MemoryJournal::new()).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let begun = clock.now().mono.after(HOUR);
    let (mut driver, mut inputs) = driver(Silent(Some(begun)), &thread, &clock);
    driver.turn([Input::Tick]);
    let (mut snapshots, mut servers) = (None, None);
    while snapshots.is_none() || servers.is_none() {
        for input in inputs.next().await {
            match input {
                Input::Listed(Kind::Snapshot, at, _) => snapshots = Some(at),
                Input::Servers(at, _) => servers = Some(at),
                _ => {}
            }
        }
    }
    assert_eq!((snapshots, servers), (Some(begun), Some(begun)));
}
