//! The daemon: one loop over a closed enum of events.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tracing::{error, info, warn};

use crate::control::{Asked, Clients};
use crate::controller::{Driver, Input, Inputs, Notice, Setup};
use crate::domain::inventory::Kind;
use crate::domain::report::Leader;
use crate::journal::{Forgetting, JournalHandle};
use crate::provider::Provider;
use crate::task;
use crate::telemetry::{Metrics, log_orders, printable};

use super::manager::Manager;
use super::{Alarm, Health, ReportRequest, ReportRequests};

/// After a stop is asked for, this much longer than one exchange may take is waited for the end of what is in flight.
const STOP_MARGIN: Duration = Duration::from_secs(5);

/// So much longer than the main loop the rest of the program takes at most: the last notices, answers and the journal.
const CLOSE_MARGIN: Duration = Duration::from_secs(30);

/// What the outside wants of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Read the configuration again.
    Reload,
    /// Stop; the second time: at once.
    Stop,
}

/// A configuration that was read again.
pub struct Reloaded<P> {
    /// What is wanted now.
    pub setup: Setup,
    /// The provider, as configured now.
    pub provider: Arc<P>,
    /// How long the journal remembers.
    pub journal_keep: Duration,
    /// The files that it came from, for the log.
    pub sources: Vec<PathBuf>,
    /// What does not take effect before a restart, and other remarks.
    pub remarks: Vec<String>,
}

/// Reads the configuration again, elsewhere than in the loop.
pub type Reload<P> = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<Reloaded<P>, String>> + Send>> + Send>;

/// What the daemon is made of.
pub struct Parts<P> {
    /// The controller with its connections.
    pub driver: Driver<P>,
    /// What they bring.
    pub inputs: Inputs,
    /// What it is woken by while nothing comes in.
    pub alarm: Alarm,
    /// Who asks for reports.
    pub reports: ReportRequests,
    /// Who asks for runs.
    pub clients: Clients,
    /// Which of several replicas acts; none where there is only one.
    pub leader: Option<watch::Receiver<Leader>>,
    /// What the outside wants.
    pub wishes: mpsc::UnboundedReceiver<Wish>,
    /// Reads the configuration again.
    pub reload: Reload<P>,
    /// What `/healthz` and `/readyz` answer.
    pub health: Arc<Health>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The journal, to let it forget.
    pub journal: JournalHandle,
    /// How long it remembers.
    pub journal_keep: Duration,
    /// The files that the configuration came from, for the log.
    pub sources: Vec<PathBuf>,
}

/// How the daemon ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Everything in flight was finished.
    Drained,
    /// The same, but what some of it has come to is not known: who acts next must leave it time to show.
    InDoubt,
    /// It was told twice, or what was in flight did not end in time. What is undecided is found out at the next start.
    AtOnce,
}

/// The daemon.
pub struct Daemon<P> {
    parts: Parts<P>,
    manager: Manager,
    reloads: mpsc::UnboundedReceiver<Result<Reloaded<P>, String>>,
    reloaded: mpsc::UnboundedSender<Result<Reloaded<P>, String>>,
    forgetting: Forgetting,
    stopping_until: Option<Instant>,
    /// The configuration is being read.
    reading: bool,
    /// It was asked for once more meanwhile.
    read_again: bool,
}

/// What the loop reacts to.
enum Event<P> {
    Inputs(Vec<Input>),
    Report(ReportRequest),
    Asked(Asked),
    Wish(Wish),
    Reloaded(Result<Reloaded<P>, String>),
    Leader,
    Tick,
    TooLate,
}

impl<P: Provider> Daemon<P> {
    /// A daemon of these parts.
    pub fn new(parts: Parts<P>) -> Daemon<P> {
        let (reloaded, reloads) = mpsc::unbounded_channel();
        let forgetting = Forgetting::from(parts.driver.now().mono);
        Daemon { parts, manager: Manager::new(), reloads, reloaded, forgetting, stopping_until: None, reading: false, read_again: false }
    }

    /// Works until it is told to stop.
    pub async fn run(mut self) -> Ending {
        self.configured();
        // First of all: nothing may be begun before it is known who acts.
        let mut ending = self.leader_told().or_else(|| self.turn([Input::Tick]));
        self.manager.ready();
        while ending.is_none() {
            let event = self.next().await;
            #[cfg(feature = "hang")]
            super::hang::hang_if_asked();
            let now = self.parts.driver.now();
            self.parts.health.progress(now);
            self.manager.alive();
            ending = self.react(event);
            self.tell_state();
            self.prune_journal();
        }
        self.parts.health.set_not_ready("stopping");
        // What is open now was not done in time; it is picked up at the next start.
        self.parts.clients.close();
        ending.unwrap_or(Ending::Drained)
    }

    async fn next(&mut self) -> Event<P> {
        let idle = self.manager.nap(self.parts.driver.idle_for());
        let until = self.stopping_until.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
        tokio::select! {
            biased;
            Some(wish) = self.parts.wishes.recv() => Event::Wish(wish),
            () = sleep_until(until), if self.stopping_until.is_some() => Event::TooLate,
            true = told(&mut self.parts.leader) => Event::Leader,
            inputs = self.parts.inputs.next() => Event::Inputs(inputs),
            Some(report) = self.parts.reports.recv() => Event::Report(report),
            Some(asked) = self.parts.clients.next() => Event::Asked(asked),
            Some(result) = self.reloads.recv() => Event::Reloaded(result),
            () = self.parts.alarm.rings_after(idle) => Event::Tick,
        }
    }

    fn react(&mut self, event: Event<P>) -> Option<Ending> {
        match event {
            Event::Inputs(inputs) => self.turn(inputs),
            Event::Tick => self.turn([Input::Tick]),
            Event::Report(request) => {
                let report = self.parts.driver.controller().report(self.parts.driver.now());
                // Who asked may have gone.
                drop(request.answer.send(Arc::new(report)));
                None
            }
            Event::Asked(asked) => {
                let config = &self.parts.driver.controller().setup().digest;
                self.parts.clients.take(asked, config).and_then(|input| self.turn([input]))
            }
            Event::Wish(Wish::Reload) => {
                self.begin_reload();
                None
            }
            Event::Reloaded(result) => self.end_reload(result),
            Event::Leader => self.leader_told(),
            Event::Wish(Wish::Stop) if self.stopping_until.is_some() => Some(Ending::AtOnce),
            Event::Wish(Wish::Stop) => self.begin_stop(),
            Event::TooLate => {
                warn!("what is in flight does not end in time; it is found out at the next start");
                Some(Ending::AtOnce)
            }
        }
    }

    fn turn(&mut self, inputs: impl IntoIterator<Item = Input>) -> Option<Ending> {
        let mut ending = None;
        for notice in self.parts.driver.turn(inputs) {
            match notice {
                Notice::Finished(report) => {
                    let (controller, now) = (self.parts.driver.controller(), self.parts.driver.now());
                    self.parts.clients.finished(report, controller.faults(), || Metrics::render_gauges(&controller.report(now)));
                }
                Notice::Ordered(report) => {
                    log_orders(&report.result, report.late.as_deref());
                    self.parts.clients.ordered(report);
                }
                Notice::Stopped if self.parts.driver.controller().is_in_doubt(self.parts.driver.now()) => ending = Some(Ending::InDoubt),
                Notice::Stopped => ending = Some(Ending::Drained),
            }
        }
        ending
    }

    fn leader_told(&mut self) -> Option<Ending> {
        let leader = self.parts.leader.as_mut()?.borrow_and_update().clone();
        self.parts.metrics.daemon.leader(Some(leader.leads));
        self.turn([Input::Leader(leader)])
    }

    fn begin_reload(&mut self) {
        // One after the other: what was read first must not be in effect last.
        if self.reading {
            self.read_again = true;
            return;
        }
        self.reading = true;
        info!("reading the configuration again");
        self.manager.reloading();
        let reading = (self.parts.reload)();
        let reloaded = self.reloaded.clone();
        task::spawn(async move { drop(reloaded.send(reading.await)) });
    }

    fn end_reload(&mut self, result: Result<Reloaded<P>, String>) -> Option<Ending> {
        self.reading = false;
        let is_in_effect = result.is_ok();
        let ending = match result {
            Ok(reloaded) => {
                for remark in &reloaded.remarks {
                    warn!(text = %printable(remark), "about the configuration");
                }
                self.parts.driver.set_provider(reloaded.provider);
                self.parts.journal_keep = reloaded.journal_keep;
                self.parts.sources = reloaded.sources;
                let ending = self.turn([Input::Reload(Box::new(reloaded.setup))]);
                self.configured();
                ending
            }
            Err(text) => {
                self.parts.metrics.daemon.config_refused();
                for line in text.lines() {
                    error!(text = %printable(line), "the configuration is refused, the old one stays");
                }
                None
            }
        };
        self.manager.reloaded(is_in_effect);
        if std::mem::take(&mut self.read_again) {
            self.begin_reload();
        }
        ending
    }

    /// A configuration has taken effect.
    fn configured(&self) {
        let controller = self.parts.driver.controller();
        let policies: Vec<(Kind, Arc<str>)> =
            controller.setup().wanted.policies.iter().map(|policy| (policy.kind, Arc::clone(&policy.policy))).collect();
        self.parts.metrics.configure(&policies);
        self.parts.metrics.daemon.config_loaded(self.parts.driver.now().wall);
        let files = self.parts.sources.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
        info!(digest = &*controller.setup().digest, files, "the configuration is in effect");
    }

    fn begin_stop(&mut self) -> Option<Ending> {
        info!("stopping: no new work; finishing what is in flight");
        // What is frozen is thawed before the end: that may take as long as its hook may.
        let controller = self.parts.driver.controller();
        let patience = controller.setup().request_timeout + controller.hook_patience() + STOP_MARGIN;
        self.manager.stopping(patience + CLOSE_MARGIN);
        self.parts.health.set_not_ready("stopping");
        self.parts.clients.stop();
        self.stopping_until = Some(Instant::now() + patience);
        self.turn([Input::Stop])
    }

    fn tell_state(&mut self) {
        if self.stopping_until.is_some() {
            return;
        }
        let controller = self.parts.driver.controller();
        match controller.obstacle() {
            None => self.parts.health.set_ready(),
            Some(obstacle) => self.parts.health.set_not_ready(obstacle),
        }
        self.manager.status(self.parts.driver.now().mono, controller);
    }

    fn prune_journal(&mut self) {
        let Some(before) = self.forgetting.due(self.parts.driver.now(), self.parts.journal_keep) else { return };
        let journal = self.parts.journal.clone();
        task::spawn(async move {
            match journal.prune(before).await {
                Ok(0) => {}
                Ok(rows) => info!(count = rows, "the journal has forgotten what is old"),
                Err(error) => warn!(error = %error, "the journal cannot forget what is old"),
            }
        });
    }
}

/// Waits until who acts has changed. Never ends where there is only one, nor after the election has.
async fn told(leader: &mut Option<watch::Receiver<Leader>>) -> bool {
    match leader {
        Some(leader) => leader.changed().await.is_ok(),
        None => std::future::pending().await,
    }
}
