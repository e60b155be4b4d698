//! Reports for the endpoints: asked of the main loop, and shared by all who ask within the same second.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};

use crate::domain::report::Report;
use crate::task;

/// How long the main loop may take to answer.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// How long a report is shared.
pub(super) const SHARED_FOR: Duration = Duration::from_secs(1);

/// Requests that may wait for the main loop; there is never more than one on its way and a few that nobody waits for any more.
const REQUESTS_WAITING_MAX: usize = 4;

/// Asks the main loop for a report.
#[derive(Debug)]
pub struct ReportRequest {
    /// Where it goes. Nobody may be waiting any more; then the answer is simply dropped.
    pub answer: oneshot::Sender<Arc<Report>>,
}

/// The main loop's end.
pub type ReportRequests = mpsc::Receiver<ReportRequest>;

/// The main loop did not answer within [`ANSWER_WITHIN`], or has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("get a report: the main loop does not answer")]
pub struct NoReport;

/// The endpoints' end.
#[derive(Debug, Clone)]
pub struct ReportCache {
    requests: mpsc::Sender<ReportRequest>,
    last: Arc<Mutex<Option<Asked>>>,
}

/// What came of asking.
#[derive(Debug, Clone)]
struct Asked {
    begun: Instant,
    ended: Instant,
    result: Result<Arc<Report>, NoReport>,
}

/// The two ends of asking for reports.
#[must_use]
pub fn report_channel() -> (ReportCache, ReportRequests) {
    let (requests, receiver) = mpsc::channel(REQUESTS_WAITING_MAX);
    (ReportCache { requests, last: Arc::default() }, receiver)
}

impl ReportCache {
    /// A report that is at most a second old, or as new as the main loop gave it.
    ///
    /// # Errors
    /// If the main loop does not answer in time. All who waited meanwhile get the same answer, so that no queue of timeouts builds up.
    pub async fn get(&self) -> Result<Arc<Report>, NoReport> {
        let arrived = Instant::now();
        let mut last = Arc::clone(&self.last).lock_owned().await;
        if let Some(asked) = &*last
            && asked.serves(arrived, Instant::now())
        {
            return asked.result.clone();
        }
        let (requests, kept) = (self.requests.clone(), Arc::clone(&self.last));
        // A task of its own: whoever gives up waiting does not take the answer away from the others.
        let asking = task::spawn(async move {
            let begun = Instant::now();
            let result = ask(&requests).await;
            *last = Some(Asked { begun, ended: Instant::now(), result: result.clone() });
            task::spawn(forget(kept, SHARED_FOR, move |asked: &Asked| asked.begun == begun));
            result
        });
        asking.await.unwrap_or(Err(NoReport))
    }
}

/// Lets go of what nobody will ask for any more: it is as large as the fleet, and who asks next may come in a minute.
pub(super) async fn forget<T>(kept: Arc<Mutex<Option<T>>>, after: Duration, is_it: impl Fn(&T) -> bool) {
    sleep(after).await;
    let mut kept = kept.lock().await;
    if kept.as_ref().is_some_and(is_it) {
        *kept = None;
    }
}

impl Asked {
    /// Whether it answers one who arrived then: it was under way at that time, or is a report that is still new.
    fn serves(&self, arrived: Instant, now: Instant) -> bool {
        self.ended > arrived || (self.result.is_ok() && now.duration_since(self.begun) < SHARED_FOR)
    }
}

async fn ask(requests: &mpsc::Sender<ReportRequest>) -> Result<Arc<Report>, NoReport> {
    let exchange = async {
        let (answer, answered) = oneshot::channel();
        requests.send(ReportRequest { answer }).await.map_err(|_| NoReport)?;
        answered.await.map_err(|_| NoReport)
    };
    timeout(ANSWER_WITHIN, exchange).await.unwrap_or(Err(NoReport))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::samples;

    /// Answers every request; returns how many there were once the other end is gone.
    async fn answer_all(mut requests: ReportRequests) -> usize {
        let mut count = 0;
        while let Some(request) = requests.recv().await {
            count += 1;
            let _ = request.answer.send(Arc::new(samples::report()));
        }
        count
    }

    #[tokio::test(start_paused = true)]
    async fn one_report_serves_a_second() {
        let (cache, requests) = report_channel();
        let loop_end = tokio::spawn(answer_all(requests));
        let (first, second) = tokio::join!(cache.get(), cache.get());
        assert!(Arc::ptr_eq(&first.clone().unwrap(), &second.unwrap()));
        tokio::time::advance(SHARED_FOR - Duration::from_millis(1)).await;
        assert!(Arc::ptr_eq(&first.clone().unwrap(), &cache.get().await.unwrap()));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!Arc::ptr_eq(&first.unwrap(), &cache.get().await.unwrap()));
        drop(cache);
        assert_eq!(loop_end.await.unwrap(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_report_that_nobody_asks_for_any_more_is_let_go() {
        let (cache, requests) = report_channel();
        tokio::spawn(answer_all(requests));
        let kept = Arc::downgrade(&cache.get().await.unwrap());
        assert!(kept.upgrade().is_some());
        sleep(SHARED_FOR + Duration::from_millis(1)).await;
        assert!(kept.upgrade().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn all_who_wait_get_the_same_refusal_at_once() {
        let (cache, _requests) = report_channel();
        let begun = Instant::now();
        let answers = tokio::join!(cache.get(), cache.get(), cache.get());
        assert!(answers.0.is_err() && answers.1.is_err() && answers.2.is_err());
        assert_eq!(begun.elapsed(), ANSWER_WITHIN);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_not_kept() {
        let (cache, mut requests) = report_channel();
        assert!(cache.get().await.is_err());
        requests.recv().await.unwrap();
        let loop_end = tokio::spawn(answer_all(requests));
        assert!(cache.get().await.is_ok());
        drop(cache);
        loop_end.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_leaves_does_not_take_the_answer_away() {
        let (cache, mut requests) = report_channel();
        assert!(timeout(Duration::from_millis(10), cache.get()).await.is_err());
        let request = requests.recv().await.unwrap();
        let waiting = tokio::spawn({
            let cache = cache.clone();
            async move { cache.get().await }
        });
        tokio::task::yield_now().await; // it waits now
        request.answer.send(Arc::new(samples::report())).unwrap();
        assert!(waiting.await.unwrap().is_ok());
        assert!(requests.try_recv().is_err(), "nothing is asked a second time");
    }

    #[tokio::test]
    async fn a_loop_that_has_ended_is_told_at_once() {
        let (cache, requests) = report_channel();
        drop(requests);
        assert_eq!(cache.get().await, Err(NoReport));
    }
}
