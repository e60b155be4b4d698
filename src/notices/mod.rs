//! Tells others of failures and recoveries (`notify.webhook`), and of each run (`notify.heartbeat`).
//!
//! It listens to the facts that the log is made from, and holds nobody up: what is to be told waits in queues of limited length, and a notice that
//! cannot be delivered is told in the log, and nowhere else.

mod delivery;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::warn;
use url::Url;

use crate::clock::Clock;
use crate::domain::fact::{Fact, Target};
use crate::domain::memory::TargetKey;
use crate::domain::problem::{Problem, RunResult};
use crate::task;
use delivery::{Courier, Patience};

/// So many notices of each sort wait at most; what comes then is dropped.
const QUEUE_MAX: usize = 256;
/// A failure is worth some patience.
const WEBHOOK: Patience = Patience { tries: 5, timeout: Duration::from_secs(10), pause: Duration::from_secs(1) };
/// A heartbeat is soon outdated.
const HEARTBEAT: Patience = Patience { tries: 2, timeout: Duration::from_secs(5), pause: Duration::from_secs(1) };

/// Who is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recipients {
    /// Gets a POST on failure and recovery.
    pub webhook: Option<Url>,
    /// Gets a GET around each run.
    pub heartbeat: Option<Url>,
    /// Whose installation this is.
    pub owner: String,
}

/// Tells others what happens.
pub struct Notices {
    recipients: Arc<Mutex<Recipients>>,
    clock: Arc<dyn Clock>,
    /// Targets whose last run was told, or is known, to have failed.
    failing: Mutex<BTreeSet<TargetKey>>,
    queues: Mutex<Option<Queues>>,
    workers: Mutex<Vec<JoinHandle<()>>>,
}

struct Queues {
    webhook: mpsc::Sender<Vec<u8>>,
    /// What is added to the address.
    heartbeat: mpsc::Sender<&'static str>,
}

impl Notices {
    /// Begins to tell. `failing`: the targets whose last run failed, by what an earlier process has written down: that was told already.
    #[must_use]
    pub fn start(recipients: Recipients, failing: BTreeSet<TargetKey>, clock: Arc<dyn Clock>) -> Notices {
        let recipients = Arc::new(Mutex::new(recipients));
        let (webhook, mut to_post) = mpsc::channel::<Vec<u8>>(QUEUE_MAX);
        let (heartbeat, mut to_beat) = mpsc::channel::<&'static str>(QUEUE_MAX);
        let (posted, beaten) = (Arc::clone(&recipients), Arc::clone(&recipients));
        let poster = task::spawn(async move {
            let mut courier = Courier::new("webhook", WEBHOOK);
            while let Some(body) = to_post.recv().await {
                let url = lock(&posted).webhook.clone();
                if let Some(url) = url {
                    courier.deliver(&url, Some(body)).await;
                }
            }
        });
        let beater = task::spawn(async move {
            let mut courier = Courier::new("heartbeat", HEARTBEAT);
            while let Some(suffix) = to_beat.recv().await {
                let url = lock(&beaten).heartbeat.clone();
                if let Some(url) = url {
                    courier.deliver(&with_suffix(url, suffix), None).await;
                }
            }
        });
        Notices {
            recipients,
            clock,
            failing: Mutex::new(failing),
            queues: Mutex::new(Some(Queues { webhook, heartbeat })),
            workers: Mutex::new(vec![poster, beater]),
        }
    }

    /// Others are told from now on.
    pub fn configure(&self, recipients: Recipients) {
        *lock(&self.recipients) = recipients;
    }

    /// Takes in what has happened. A run without a slot was asked for by a person, who sees how it ends.
    pub fn tell(&self, fact: &Fact) {
        match fact {
            Fact::RunStarted { slot: Some(_), .. } => self.beat("/start"),
            Fact::RunEnded { target, result, slot: Some(slot), created, deleted, problems, error, .. } => {
                let failed = matches!(result, RunResult::Failure | RunResult::Blocked);
                self.beat(if failed { "/fail" } else { "" });
                let key = (target.server, target.kind);
                // What is skipped is there already, or not wanted any more: the same that takes the problem off the status.
                let event = match failed {
                    true => lock(&self.failing).insert(key).then_some("failure"),
                    false => lock(&self.failing).remove(&key).then_some("recovery"),
                };
                let Some(event) = event else { return };
                let items = (created.iter().map(|item| item.0).collect(), deleted.iter().map(|item| item.0).collect());
                let ended = Ended { event, target, result: *result, slot: *slot, items, problems, error: error.as_deref() };
                self.post(&ended);
            }
            _ => {}
        }
    }

    fn post(&self, ended: &Ended<'_>) {
        let (wanted, owner) = {
            let recipients = lock(&self.recipients);
            (recipients.webhook.is_some(), recipients.owner.clone())
        };
        if let (true, Some(queues)) = (wanted, &*lock(&self.queues))
            && queues.webhook.try_send(ended.body(&owner, self.clock.now().wall)).is_err()
        {
            warn!(event = ended.event, server_id = ended.target.server.0, "too many notices wait: this one is dropped");
        }
    }

    fn beat(&self, suffix: &'static str) {
        if let (true, Some(queues)) = (lock(&self.recipients).heartbeat.is_some(), &*lock(&self.queues))
            && queues.heartbeat.try_send(suffix).is_err()
        {
            warn!(suffix, "too many heartbeats wait: this one is dropped");
        }
    }

    /// Lets what waits go out, for so long. Nothing is told any more.
    pub async fn close(&self, patience: Duration) {
        drop(lock(&self.queues).take());
        let workers = std::mem::take(&mut *lock(&self.workers));
        let aborts: Vec<_> = workers.iter().map(JoinHandle::abort_handle).collect();
        let all = async {
            for worker in workers {
                // A panic in it has been told.
                drop(worker.await);
            }
        };
        if tokio::time::timeout(patience, all).await.is_err() {
            warn!("notices could not be delivered before the end, and are dropped");
            aborts.iter().for_each(tokio::task::AbortHandle::abort);
        }
    }
}

/// The end of a run that somebody is told of.
struct Ended<'a> {
    event: &'static str,
    target: &'a Target,
    result: RunResult,
    slot: Timestamp,
    items: (Vec<u64>, Vec<u64>),
    problems: &'a [Problem],
    error: Option<&'a str>,
}

impl Ended<'_> {
    fn body(&self, owner: &str, at: Timestamp) -> Vec<u8> {
        let problem = |problem: &Problem| json!({"reason": problem.reason.as_str(), "detail": problem.detail});
        let body = json!({
            "event": self.event,
            "at": at.to_string(),
            "owner": owner,
            "version": env!("CARGO_PKG_VERSION"),
            "server": {"id": self.target.server.0, "name": &*self.target.server_name},
            "kind": self.target.kind.as_str(),
            "policy": &*self.target.policy,
            "slot": self.slot.to_string(),
            "result": self.result.as_str(),
            "problems": self.problems.iter().map(problem).collect::<Vec<_>>(),
            "error": self.error,
            "created": self.items.0,
            "deleted": self.items.1,
        });
        body.to_string().into_bytes()
    }
}

fn with_suffix(mut url: Url, suffix: &str) -> Url {
    if !suffix.is_empty() {
        let path = format!("{}{suffix}", url.path().trim_end_matches('/'));
        url.set_path(&path);
    }
    url
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
