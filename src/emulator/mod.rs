//! The emulated provider: the API of VPS.org, exactly as documented, as a server on loopback.
//!
//! Tests, `snapwarden demo` and benchmarks use it through HTTP, like the real one. It knows nothing of the client: it has wire structs of its own, and of the
//! rest of this crate it uses only the clock, `ServerId`, `ItemId` and `Kind`.
//!
//! ```no_run
//! # use snapwarden::domain::inventory::{Kind, ServerId};
//! # use snapwarden::emulator::{Emulator, EmulatorConfig, Fault, Item, Method, Rules};
//! # use std::time::Duration;
//! # async fn example() -> std::io::Result<()> {
//! let rules = Rules::default().everything_takes(Duration::from_millis(20));
//! let emulator = Emulator::start(EmulatorConfig::with_rules(rules)).await?;
//! emulator.add_server(12345, "web-server-01");
//! emulator.add_item(Item::completed(Kind::Snapshot, ServerId(12345), emulator.now()).named("pre-migration"));
//!
//! // Faults: whom, which of them, what. The first added that hits a request decides.
//! emulator.fault(Fault::on(Method::POST, "/snapshots/").nth(1).cut_after_commit());
//! emulator.fault(Fault::on_delete(Kind::Backup).server(12345).status(503).retry_after(2));
//! emulator.fault(Fault::on_create(Kind::Backup).first(3).never_completes());
//! emulator.fault(Fault::on_list(Kind::Snapshot).chance(0.1).drop_entries(1));
//!
//! // … a client works on `emulator.url()` with `emulator.token()` …
//!
//! emulator.wait_for(|ledger| ledger.creates().len() == 1).await;
//! let ledger = emulator.ledger();
//! assert!(ledger.deletes().is_empty());
//! assert_eq!(ledger.requests_by(&Method::POST, "/snapshots/").len(), 1);
//! assert!(ledger.most_used(Kind::Snapshot, ServerId(12345)) <= 5);
//! # Ok(())
//! # }
//! ```
//!
//! The words of a [`Fault`], in groups; those of the last groups can be combined:
//!
//! | group | words |
//! |---|---|
//! | whom | `on(method, pattern)` `everywhere` `on_list` `on_create` `on_delete`, narrowed by `server` `query` |
//! | which (default: each) | `nth` `first` `from` `chance` `above_rate` |
//! | another answer | `status` `status_after_commit` `cut` `cut_after_commit` `hang` `hang_after_commit` `html` `redirect` `garbage` `body` `header` `retry_after` `retry_after_date` |
//! | effect and time | `with_effect` `without_effect` `pretend` `late` `delay` `delay_answer` |
//! | how the body travels | `truncated` `stalled` `slow` `endless` |
//! | fate of created items | `takes` `fails` `fails_at_once` `never_completes` `ends_as` |
//! | how lists look | `stale` `before_last_write` `ignore_filter` `paged` `paged_at` `drop_entries` `count_says` `empty` `duplicate_entry` `unreadable_entry` `bare_array` |
//! | any JSON | `edit` `edit_results` `wrong_server` |
//!
//! What the provider's pages do not say, the emulator decides as its framework (Django REST framework) does: a path without its last slash is answered 301 for
//! GET and 404 otherwise, another media type than JSON 415, another method 405, a bad query 400, and the token is looked at before the method. Deleting works
//! whatever an item's progress. Names have at most 63 characters and need not be unique. Numbers are not in order of time, nor are lists.
//!
//! [`Account`] holds all rules and is pure: the simulator runs it on simulated time without HTTP.

mod api;
mod behaviour;
mod body;
mod book;
mod effect;
mod exchange;
mod fault_content;
mod faults;
mod item;
mod ledger;
mod paths;
mod rules;
mod server;
mod shared;
mod shelf;
mod state;
mod wire;

#[cfg(test)]
mod state_tests;
#[cfg(test)]
mod tests;

pub use hyper::Method;

pub use api::ServersAccess;
pub use effect::{Effect, Maker};
pub use faults::{Fault, FaultId};
pub use item::{Fate, Item, Order, Progress, Refusal, Server};
pub use ledger::{Answered, EffectRecord, Ledger, RequestRecord};
pub use rules::{AutomaticBackups, Rules};
pub use server::{Emulator, EmulatorConfig};
pub use shelf::{Seen, View};
pub use state::Account;
