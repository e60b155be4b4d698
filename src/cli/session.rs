//! One command's conversation with a controller of its own: a request, and the end of it.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, Now};
use crate::controller::{Controller, Driver, Fatal, Input, Inputs, Mode, Notice, Ports, Request, RequestReport, Select, Setup, What};
use crate::domain::fact::Fact;
use crate::journal::{JournalReader, JournalThread, MemoryJournal, RECENT, Recall, Recollection, forgets_before};
use crate::provider::{HttpProvider, Provider};

use super::app::{App, before};
use super::exit::{Exit, Failure};
use super::signals::{self, Signal, Signals};

/// How much longer than they may take themselves is waited for hooks at the end of a command.
const HOOK_MARGIN: Duration = Duration::from_secs(10);

/// A controller that does what it is asked, and nothing else.
pub(super) struct Session<P = HttpProvider> {
    driver: Driver<P>,
    inputs: Inputs,
    signals: Signals,
    journal: JournalThread,
    /// How long the journal remembers; none: it is not ours.
    journal_keep: Option<Duration>,
    /// A second signal has come: nothing is waited for any more.
    at_once: bool,
}

impl<P: Provider> Session<P> {
    /// A session that may act: it writes the journal.
    pub fn acting(
        app: &App,
        provider: P,
        journal: (JournalThread, Recollection),
        tell: Box<dyn Fn(&Fact) + Send>,
    ) -> Result<Session<P>, Failure> {
        let session = Session::put_together(app, Arc::new(provider), journal, signals::catch()?, tell);
        Ok(Session { journal_keep: Some(app.config.journal_keep), ..session })
    }

    fn put_together(
        app: &App,
        provider: Arc<P>,
        journal: (JournalThread, Recollection),
        signals: Signals,
        tell: Box<dyn Fn(&Fact) + Send>,
    ) -> Session<P> {
        let (journal, past) = journal;
        let now = app.clock.now();
        let controller = Controller::new(app.config.setup(), Mode::Command, &past, now);
        let clock: Arc<dyn Clock> = Arc::clone(&app.clock) as Arc<dyn Clock>;
        let ports = Ports { provider, journal: journal.handle(), clock, state: app.state(), tell };
        let (driver, inputs) = Driver::new(controller, ports);
        Session { driver, inputs, signals, journal, journal_keep: None, at_once: false }
    }

    /// A session that only looks. It reads the journal beside a daemon, if there is one, and writes nothing.
    pub fn looking(app: &App, provider: P) -> Result<Session<P>, Failure> {
        Session::looking_with(app, Arc::new(provider), signals::catch()?).map_err(|(failure, _)| failure)
    }

    /// The same for one who looks several times, and for whom signals are caught already. They are given back if it fails.
    pub fn looking_with(app: &App, provider: Arc<P>, signals: Signals) -> Result<Session<P>, (Failure, Signals)> {
        let past = JournalReader::open(&app.state()).and_then(|mut reader| reader.load(before(app.clock.now().wall, RECENT)));
        // Without a journal the provider itself tells what there is.
        let mut past = past.unwrap_or_else(|_| Recollection::empty());
        // What is owed is run by those who act.
        past.hooks.clear();
        match JournalThread::spawn(MemoryJournal::new()) {
            Ok(journal) => Ok(Session::put_together(app, provider, (journal, past), signals, Box::new(|_| ()))),
            Err(error) => Err((Failure::of(Exit::Failed, &error), signals)),
        }
    }

    /// Asks for something and waits for its end.
    pub async fn ask(&mut self, request: Request) -> Result<RequestReport, Failure> {
        let mut notices = self.driver.turn([Input::Request(request)]);
        let mut interrupted = false;
        loop {
            for notice in notices {
                match notice {
                    Notice::Finished(report) if !interrupted => return Ok(report),
                    Notice::Finished(_) | Notice::Ordered(_) => {}
                    Notice::Stopped => {
                        return Err(Failure::new(
                            Exit::Interrupted,
                            "snapwarden: interrupted; what was begun is picked up by the next run",
                        ));
                    }
                }
            }
            let idle = self.driver.idle_for();
            notices = tokio::select! {
                inputs = self.inputs.next() => self.driver.turn(inputs),
                Some(signal) = self.signals.recv() => match signal {
                    Signal::Reload => Vec::new(),
                    Signal::Interrupt | Signal::Terminate if interrupted => {
                        self.at_once = true;
                        return Err(Failure::new(Exit::Interrupted, "snapwarden: interrupted at once"));
                    }
                    Signal::Interrupt | Signal::Terminate => {
                        interrupted = true;
                        self.driver.turn([Input::Stop])
                    }
                },
                () = tokio::time::sleep(idle) => self.driver.turn([Input::Tick]),
            };
        }
    }

    /// Looks at the provider, and nothing else. That some of it cannot be seen is in the answer, too.
    pub async fn look(&mut self, select: Select) -> Result<(), Failure> {
        let report = self.ask(Request { id: 0, select, what: What::Look, by: None }).await?;
        refuse_fatal(&report)?;
        match report.targets.first().and_then(|target| target.error.as_deref()) {
            Some(error) => Err(Failure::new(Exit::Failed, format!("snapwarden: {error}"))),
            None => Ok(()),
        }
    }

    /// Sees what was begun to its end: an `after` that has failed is tried again here, too, or the server would stay as it is until the next command.
    async fn await_hooks(&mut self) {
        while !self.at_once && self.driver.controller().has_hooks_left() {
            let idle = self.driver.idle_for();
            tokio::select! {
                inputs = self.inputs.next() => drop(self.driver.turn(inputs)),
                Some(signal) = self.signals.recv() => if signal != Signal::Reload { return },
                () = tokio::time::sleep(idle) => drop(self.driver.turn([Input::Tick])),
            }
        }
    }

    async fn run_owed_hooks(&mut self) {
        if self.at_once || !self.driver.controller().owes_hooks() {
            return;
        }
        let controller = self.driver.controller();
        let patience = controller.setup().request_timeout + controller.hook_patience() + HOOK_MARGIN;
        let driver = &mut self.driver;
        let inputs = &mut self.inputs;
        let waiting = async move {
            driver.turn([Input::Stop]);
            while driver.controller().owes_hooks() {
                driver.turn(inputs.next().await);
            }
        };
        if tokio::time::timeout(patience, waiting).await.is_err() {
            eprintln!("warning: a hook did not end in time; `after` is run again at the next start");
        }
    }

    /// Goes on under another configuration, with what was seen so far.
    pub fn reconfigure(&mut self, setup: Setup) {
        // Nothing is asked for at this moment, so nothing ends by it.
        drop(self.driver.turn([Input::Reload(Box::new(setup))]));
    }

    /// The controller, to be asked.
    pub fn controller(&self) -> &Controller {
        self.driver.controller()
    }

    /// The time.
    pub fn now(&self) -> Now {
        self.driver.now()
    }

    /// Writes what is still to be written. Where the command ends early, what is frozen is thawed before.
    pub async fn close(self) -> Result<(), Failure> {
        self.close_and_keep_signals().await.0
    }

    /// The same, and the signals go on to be caught.
    pub async fn close_and_keep_signals(mut self) -> (Result<(), Failure>, Signals) {
        self.await_hooks().await;
        self.run_owed_hooks().await;
        self.forget_old().await;
        (self.journal.close().await.map_err(|error| Failure::of(Exit::Failed, &error)), self.signals)
    }

    /// Lets the journal forget what is old, as a daemon does once a day.
    async fn forget_old(&self) {
        let keep = self.journal_keep.filter(|_| !self.at_once);
        let Some(before) = keep.and_then(|keep| forgets_before(self.now().wall, keep)) else { return };
        if let Err(error) = self.journal.handle().prune(before).await {
            tracing::warn!(error = %error, "the journal cannot forget what is old");
        }
    }
}

/// An end that concerns the whole request is a failure of the command.
pub(super) fn refuse_fatal(report: &RequestReport) -> Result<(), Failure> {
    match &report.fatal {
        None => Ok(()),
        Some(Fatal::Provider(why)) => Err(Failure::new(Exit::Provider, format!("snapwarden: failed to work with the provider: {why}"))),
        Some(Fatal::Selection(why)) => Err(Failure::new(Exit::Usage, format!("snapwarden: {why}"))),
        Some(Fatal::Standby(why)) => Err(Failure::new(Exit::Failed, format!("snapwarden: {why}"))
            .hint(Some("nothing is done by a replica that does not lead: give the order where the leader runs".to_owned()))),
    }
}
