//! Connects the election with whoever keeps the lease, and tells the others in this process what came of it.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::clock::Clock;
use crate::domain::report::Leader;
use crate::provider::Leave;

use super::election::{Election, Event, Terms, Window};
use super::lease::{Answer, Call};

/// The longest sleep: then the clock is looked at again, for the machine may have slept.
const SLEEP_MAX: Duration = Duration::from_secs(5);

/// Keeps the lease. Each call is sent once, and is one write or none.
pub trait LeaseStore: Send + Sync + 'static {
    /// Makes a call. What is not an answer within a bounded time is given up by the caller.
    fn call(&self, call: Call) -> impl Future<Output = Answer> + Send;
}

/// Whether this process may write now. What the provider asks before each write.
pub struct Leadership {
    clock: Arc<dyn Clock>,
    exchange_max: Duration,
    window: Mutex<Option<Window>>,
}

impl Leadership {
    /// Not yet.
    #[must_use]
    pub fn new(terms: &Terms, clock: Arc<dyn Clock>) -> Leadership {
        Leadership { clock, exchange_max: terms.exchange_max, window: Mutex::new(None) }
    }

    fn set(&self, window: Option<Window>) {
        *self.window.lock().unwrap_or_else(PoisonError::into_inner) = window;
    }
}

impl Leave for Leadership {
    fn given(&self) -> Option<Duration> {
        let window = (*self.window.lock().unwrap_or_else(PoisonError::into_inner))?;
        window.allows(self.clock.now().mono, self.exchange_max).then_some(self.exchange_max)
    }
}

impl std::fmt::Debug for Leadership {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leadership").field("window", &self.window).finish_non_exhaustive()
    }
}

/// Takes part in the election until `stop`, then gives the lease back. `told` always has the newest of who leads.
pub async fn keep<S: LeaseStore>(
    store: Arc<S>,
    terms: Terms,
    leadership: Arc<Leadership>,
    told: watch::Sender<Leader>,
    stop: oneshot::Receiver<()>,
) {
    let clock = Arc::clone(&leadership.clock);
    let call_max = terms.call_max();
    let mut election = Election::new(terms, clock.now().mono);
    let mut calling: Option<Pin<Box<dyn Future<Output = Answer> + Send>>> = None;
    let mut stop = Some(stop);
    let mut event = Event::Tick;
    loop {
        let answered = matches!(event, Event::Answered(_));
        let trouble = election.trouble().map(str::to_owned);
        let now = clock.now();
        let call = election.handle(now, event);
        if let Some(call) = call {
            let store = Arc::clone(&store);
            calling = Some(Box::pin(async move {
                let answer = timeout(call_max, store.call(call)).await;
                answer.unwrap_or_else(|_| Answer::Failed("there was no answer in time".to_owned()))
            }));
        } else if answered {
            calling = None;
        }
        leadership.set(election.window());
        let leads = election.window().is_some_and(|window| window.holds(now.mono));
        tell(&told, leads, election.holder());
        if let Some(error) = election.trouble().filter(|error| trouble.as_deref() != Some(error)) {
            warn!(error, "the lease cannot be read or written");
        }
        if election.is_released() {
            return;
        }
        let wait = election.next_at(now.mono).map_or(SLEEP_MAX, |at| at.since(now.mono)).min(SLEEP_MAX);
        event = tokio::select! {
            biased;
            () = stopped(&mut stop), if stop.is_some() => {
                stop = None;
                Event::Release
            }
            answer = answer(&mut calling), if calling.is_some() => Event::Answered(answer),
            () = sleep(wait) => Event::Tick,
        };
    }
}

async fn answer(calling: &mut Option<Pin<Box<dyn Future<Output = Answer> + Send>>>) -> Answer {
    match calling {
        Some(call) => {
            let answer = call.await;
            *calling = None;
            answer
        }
        None => std::future::pending().await,
    }
}

async fn stopped(stop: &mut Option<oneshot::Receiver<()>>) {
    match stop {
        // That nobody is there any more to say it means the same.
        Some(stop) => drop(stop.await),
        None => std::future::pending().await,
    }
}

fn tell(told: &watch::Sender<Leader>, leads: bool, holder: Option<&str>) {
    told.send_if_modified(|leader| {
        if leader.leads == leads && leader.holder.as_deref() == holder {
            return false;
        }
        if leader.leads != leads {
            let text =
                if leads { "this replica leads now" } else { "this replica does not lead any more: it begins nothing and sends nothing" };
            info!(identity = leader.identity, holder, "{text}");
        } else if !leads {
            info!(holder, "the lease has another holder now");
        }
        leader.leads = leads;
        leader.holder = holder.map(str::to_owned);
        true
    });
}
