//! `snapwarden serve`: the daemon.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tracing::info;

use crate::clock::{Clock, SystemClock};
use crate::config;
use crate::control::{self, Asked, Board, Clients, ServeLimits, SocketFile};
use crate::controller::{Controller, Driver, Inputs, Mode, Ports};
use crate::domain::fact::Fact;
use crate::domain::report::Leader;
use crate::journal::{JournalThread, Recollection};
use crate::notices::Notices;
use crate::provider::HttpProvider;
use crate::serve::daemon::{Daemon, Ending, Parts, Reload, Reloaded, Wish};
use crate::serve::health::STALL_AFTER;
use crate::serve::{Alarm, Endpoints, Health, ListenLimits, bind, listener, report_channel, router};
use crate::task::{self, Beside};
use crate::telemetry::{Metrics, Telemetry};

use super::Common;
use super::app::{App, failed_to_start};
use super::exit::{Exit, Failure};
use super::leading::{self, Leading};
use super::signals::{self, Signal};

/// How long the daemon waits at its end for notices to go out.
const NOTICES_PATIENCE: Duration = Duration::from_secs(3);

/// How long the daemon waits at its end for those who are still being answered.
const TASK_PATIENCE: Duration = Duration::from_secs(6);

/// Options of `serve`.
#[derive(Debug, clap::Args)]
pub(super) struct ServeArgs {}

pub(super) async fn serve(common: &Common, _args: &ServeArgs) -> Result<Exit, Failure> {
    let app = App::load(common)?;
    let _log = app.log()?;
    app.warn();
    let wishes = wishes()?;
    let service = Service::start(app, Arc::new(|_: &Fact| ())).await?;
    let ending = service.run(wishes).await?;
    Ok(if ending == Ending::AtOnce { Exit::Interrupted } else { Exit::Done })
}

/// Signals, as wishes.
pub(super) fn wishes() -> Result<mpsc::UnboundedReceiver<Wish>, Failure> {
    let mut signals = signals::catch()?;
    let (sender, wishes) = mpsc::unbounded_channel();
    task::spawn(async move {
        while let Some(signal) = signals.recv().await {
            let wish = if signal == Signal::Reload { Wish::Reload } else { Wish::Stop };
            if sender.send(wish).is_err() {
                return;
            }
        }
    });
    Ok(wishes)
}

/// A daemon with its endpoints, ready to run.
pub(super) struct Service {
    app: Arc<App>,
    parts: PartsWithoutWishes,
    journal: JournalThread,
    endpoints: Task,
    /// Where the endpoints and the control socket are.
    beside: Beside,
    control: Option<(Task, SocketFile)>,
    notices: Arc<Notices>,
    leading: Option<Task>,
}

/// Something that runs beside the main loop until it is told to end.
pub(super) struct Task {
    task: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

impl Task {
    pub fn start<F: Future<Output = ()> + Send + 'static>(make: impl FnOnce(oneshot::Receiver<()>) -> F) -> Task {
        let (stop, stopped) = oneshot::channel();
        Task { task: task::spawn(make(stopped)), stop }
    }

    /// Waits for its end, but not for ever.
    async fn end(self) {
        // It may have gone on its own; it is only waited for.
        let _ = self.stop.send(());
        drop(tokio::time::timeout(TASK_PATIENCE, self.task).await);
    }
}

struct PartsWithoutWishes {
    driver: Driver<HttpProvider>,
    inputs: Inputs,
    alarm: Alarm,
    reports: crate::serve::ReportRequests,
    clients: Clients,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    leader: Option<watch::Receiver<Leader>>,
}

impl Service {
    /// Opens the journal, takes the address, and sets everything up. `watch` is told what happens, besides log and metrics.
    pub async fn start(mut app: App, watch: Arc<dyn Fn(&Fact) + Send + Sync>) -> Result<Service, Failure> {
        let metrics = Arc::new(Metrics::new().map_err(|error| Failure::new(Exit::Failed, format!("snapwarden: {error}")))?);
        let mut provider = app.provider(&metrics)?;
        let (journal, past) = app.journal().await?;
        tell_past(&past);
        let alarm = Alarm::new().map_err(failed_to_start)?;
        let beside = Beside::start("endpoints").map_err(failed_to_start)?;
        let socket = beside.inside(|| bind(app.config.listen)).map_err(|error| Failure::of(Exit::Failed, &error))?;
        // Nothing that could fail comes after it: a lease that is taken and not given back keeps all others waiting.
        let (leading, leader) = match app.config.leader.clone() {
            Some(settings) => {
                let Leading { leave, told, task } = leading::begin(&app, &settings).await?;
                provider = provider.with_leave(Arc::clone(&leave));
                app.leave = leave;
                (Some(task), Some(told))
            }
            None => (None, None),
        };
        info!(address = %app.config.listen, "listening for /metrics, /healthz, /readyz and the status page");
        let clock: Arc<dyn Clock> = Arc::clone(&app.clock) as Arc<dyn Clock>;
        let health = Arc::new(Health::new(Arc::clone(&clock), Arc::clone(&metrics), STALL_AFTER));
        let (cache, reports) = report_channel();
        let routes = router(Endpoints::new(Arc::clone(&metrics), cache, Arc::clone(&health)));
        let answer = |stop: oneshot::Receiver<()>| listener::serve(socket, routes, ListenLimits::default(), async { drop(stop.await) });
        let endpoints = beside.inside(|| Task::start(answer));
        let (asked, clients, board) = control::clients();
        // Beside the main loop, so that who gives an order is told that it stands still, and the order is not begun when nobody waits any more.
        let control = beside.inside(|| open_control(&app.state(), asked, board.clone()));
        let telemetry = Telemetry::new(Arc::clone(&metrics));
        let notices = app.notices(&past);
        let told = Arc::clone(&notices);
        let tell = Box::new(move |fact: &Fact| {
            telemetry.tell(fact);
            told.tell(fact);
            board.tell(fact);
            watch(fact);
        });
        let controller = Controller::new(app.config.setup(), Mode::Daemon, &past, app.clock.now());
        let ports = Ports { provider: Arc::new(provider), journal: journal.handle(), clock, state: app.state(), tell };
        let (driver, inputs) = Driver::new(controller, ports);
        let parts = PartsWithoutWishes { driver, inputs, alarm, reports, clients, health, metrics, leader };
        Ok(Service { app: Arc::new(app), parts, journal, endpoints, beside, control, notices, leading })
    }

    /// Works until it is told to stop, then closes everything in order.
    pub async fn run(self, wishes: mpsc::UnboundedReceiver<Wish>) -> Result<Ending, Failure> {
        let PartsWithoutWishes { driver, inputs, alarm, reports, clients, health, metrics, leader } = self.parts;
        let parts = Parts {
            driver,
            inputs,
            alarm,
            reports,
            clients,
            leader,
            wishes,
            reload: reload(Arc::clone(&self.app), Arc::clone(&metrics), Arc::clone(&self.notices)),
            health,
            metrics,
            journal: self.journal.handle(),
            journal_keep: self.app.config.journal_keep,
            sources: self.app.config.sources.clone(),
        };
        let ending = Daemon::new(parts).run().await;
        match self.leading {
            // Nothing is in doubt, so the next one may begin at once. Else it waits until the lease is over, and for what may still show.
            Some(leading) if ending == Ending::Drained => leading.end().await,
            Some(leading) => leading.task.abort(),
            None => {}
        }
        if ending != Ending::AtOnce {
            self.notices.close(NOTICES_PATIENCE).await;
        }
        if let Some((task, file)) = self.control {
            task.end().await;
            // Before the lock is given back: the next socket is another's.
            drop(file);
        }
        self.endpoints.end().await;
        drop(self.beside);
        self.journal.close().await.map_err(|error| Failure::of(Exit::Failed, &error))?;
        info!("stopped");
        Ok(ending)
    }
}

/// Listens for `run` and `take`. Without that the daemon does its work all the same.
fn open_control(state: &Path, asked: mpsc::Sender<Asked>, board: Board) -> Option<(Task, SocketFile)> {
    match control::bind(state) {
        Ok((listener, file)) => {
            let serve = |stop: oneshot::Receiver<()>| async { drop(stop.await) };
            Some((Task::start(|stop| control::serve(listener, asked, board, ServeLimits::default(), serve(stop))), file))
        }
        Err(error) => {
            tracing::warn!(error = %error, cause = %error.source, "`run` and `take` cannot reach this daemon");
            None
        }
    }
}

fn tell_past(past: &Recollection) {
    if let Some(path) = &past.set_aside {
        tracing::error!(path = %path.display(), "the journal was damaged; it was set aside and a new one begun, to be rebuilt from the provider");
    }
    if past.fresh {
        info!("the journal is new: what was done before is read from the provider");
    }
}

/// Reads the configuration again, on a thread where it is in nobody's way.
fn reload(app: Arc<App>, metrics: Arc<Metrics>, notices: Arc<Notices>) -> Reload<HttpProvider> {
    Box::new(move || {
        let (app, metrics, notices) = (Arc::clone(&app), Arc::clone(&metrics), Arc::clone(&notices));
        Box::pin(async move {
            let read = tokio::task::spawn_blocking(move || read_again(&app, &metrics, &notices)).await;
            read.unwrap_or_else(|error| Err(error.to_string()))
        })
    })
}

fn read_again(app: &App, metrics: &Metrics, notices: &Notices) -> Result<Reloaded<HttpProvider>, String> {
    let now = SystemClock::new().now().wall;
    let config = config::load(&app.config_file, now).map_err(|diagnostics| diagnostics.to_string())?;
    let mut remarks = config.warnings.clone();
    let (old, new) = (&app.config, &config);
    let fixed = [
        ("state", old.state != new.state),
        ("listen", old.listen != new.listen),
        ("log", old.log != new.log),
        ("leader", old.leader != new.leader),
        // The lease's pauses are measured by it.
        ("provider.request_timeout", old.leader.is_some() && old.provider.request_timeout != new.provider.request_timeout),
    ];
    remarks
        .extend(fixed.iter().filter(|(_, changed)| *changed).map(|(key, _)| format!("a change of `{key}` takes effect at the next start")));
    let journal_keep = config.journal_keep;
    let app = app.with_config(config);
    let provider = app.provider(metrics).map_err(|failure| failure.render(false))?;
    notices.configure(app.recipients());
    let sources = app.config.sources.clone();
    Ok(Reloaded { setup: app.config.setup(), provider: Arc::new(provider), journal_keep, sources, remarks })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixStream;

    use super::*;

    const LONG: Option<Duration> = Some(Duration::from_secs(60));

    /// The first line of the answer.
    fn ask(mut stream: impl Write + Read, question: &str) -> String {
        stream.write_all(question.as_bytes()).unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).unwrap();
        answer
    }

    #[tokio::test]
    async fn who_asks_is_answered_while_the_main_loop_stands_still() {
        let folder = tempfile::tempdir().unwrap();
        let (config, token, state) = (folder.path().join("snapwarden.yaml"), folder.path().join("token"), folder.path().join("state"));
        fs::write(&token, "vps_0123456789").unwrap();
        fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
        let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let text = format!(
            "owner: prod\nprovider: {{url: 'http://127.0.0.1:9', token_file: token}}\nstate: {}\nlisten: {listen}\n\
             servers:\n  - {{id: 1, snapshots: {{schedule: '@daily', keep: {{last: 2}}}}}}\n",
            state.display()
        );
        fs::write(&config, text).unwrap();
        let started = async { Service::start(App::load(&Common { config, token_file: None })?, Arc::new(|_: &Fact| ())).await };
        let _service = started.await.map_err(|failure: Failure| failure.render(false)).unwrap();
        // Nothing here is asynchronous: as long as it waits, nothing else goes on on this thread.
        let order = UnixStream::connect(state.join("control.sock")).unwrap();
        order.set_read_timeout(LONG).unwrap();
        assert_ne!(ask(order, "not an order\n"), "");
        let probe = TcpStream::connect(listen).unwrap();
        probe.set_read_timeout(LONG).unwrap();
        assert_eq!(ask(probe, "GET /healthz HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"), "HTTP/1.1 200 OK\r\n");
    }
}
