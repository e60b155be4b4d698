//! Who does what is asked for: this process, or the daemon that holds the state folder.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::control::{Answer, Connection, ConversationError, Order};
use crate::controller::RequestReport;
use crate::domain::fact::Fact;
use crate::domain::standing::{self, StandingOrder};
use crate::journal::{LockError, StateLock};
use crate::telemetry::{Metrics, Telemetry, printable};

use super::app::App;
use super::exit::{Exit, Failure};
use super::progress::Progress;
use super::signals::{self, Signal};

/// A daemon that has just started, or another command that is about to end, is waited for so long.
const REACHED_WITHIN: Duration = Duration::from_secs(2);

/// The pause between two tries.
const TRY_EVERY: Duration = Duration::from_millis(50);

/// Who does it.
pub(super) enum Way {
    /// This process: the state folder is its own.
    Alone(StateLock),
    /// The daemon.
    Daemon(Connection),
}

/// Finds out who does it.
pub(super) async fn way(state: &Path) -> Result<Way, Failure> {
    let until = Instant::now() + REACHED_WITHIN;
    loop {
        let unreachable = match Connection::open(state).await {
            Ok(connection) => return Ok(Way::Daemon(connection)),
            Err(error) => error,
        };
        match StateLock::acquire(state) {
            Ok(lock) => return Ok(Way::Alone(lock)),
            Err(LockError::Held { .. }) if Instant::now() < until => sleep(TRY_EVERY).await,
            Err(error @ LockError::Held { .. }) => return Err(Failure::of(Exit::Failed, &error).hint(Some(held(&unreachable)))),
            Err(error) => return Err(Failure::of(Exit::Failed, &error)),
        }
    }
}

fn held(unreachable: &io::Error) -> String {
    format!("it takes no orders over {} there ({unreachable}); if that is a daemon, its log says why", crate::control::FILE_NAME)
}

/// What became of an order.
pub(super) struct Done {
    pub report: RequestReport,
    pub faults: Vec<String>,
    /// The gauges as text, where they were asked for.
    pub gauges: Option<String>,
}

/// Hands an order to the daemon, tells what happens, and waits for the end.
pub(super) async fn hand_over(app: &App, connection: Connection, order: &Order) -> Result<Done, Failure> {
    let (_log, progress) = app.log_and_progress_of_another()?;
    // What is counted here goes with this process; the daemon counts for itself.
    let metrics = Metrics::new().map_err(|error| Failure::new(Exit::Failed, format!("snapwarden: {error}")))?;
    let telemetry = Telemetry::new(Arc::new(metrics));
    let tell = |fact: &Fact| {
        telemetry.tell(fact);
        progress.iter().for_each(|progress| progress.fact(fact));
    };
    let end = converse(app, connection, order, tell).await;
    progress.iter().for_each(Progress::end);
    match end? {
        End::Ran(done) => Ok(done),
        End::Stands(_) => Err(failed("the daemon answers to something that was not asked")),
    }
}

/// Hands over what is to stand for a while. Returns what stands now.
pub(super) async fn hand_over_standing(app: &App, connection: Connection, order: &standing::Order) -> Result<Vec<StandingOrder>, Failure> {
    match converse(app, connection, &Order::Stand(order.clone()), |_| ()).await? {
        End::Stands(result) => result.map_err(|error| failed(&printable(&error))),
        End::Ran(_) => Err(failed("the daemon answers to something that was not asked")),
    }
}

/// How an order ends that the daemon has taken.
enum End {
    Ran(Done),
    Stands(Result<Vec<StandingOrder>, String>),
}

async fn converse(app: &App, mut connection: Connection, order: &Order, tell: impl Fn(&Fact)) -> Result<End, Failure> {
    let mut signals = signals::catch()?;
    connection.ask(order).await.map_err(|error| lost(&error, false))?;
    let mut taken = false;
    loop {
        let answer = tokio::select! {
            answer = connection.next() => answer.map_err(|error| lost(&error, taken))?,
            Some(signal) = signals.recv() => match signal {
                Signal::Reload => continue,
                Signal::Interrupt | Signal::Terminate => return Err(interrupted(taken)),
            },
        };
        match answer {
            Answer::Accepted { config } => {
                taken = true;
                warn_of_another(&config, app);
            }
            Answer::Told(fact) => tell(&fact),
            Answer::LeftOut(count) => {
                eprintln!("warning: {count} things that happened meanwhile were left out here; the daemon's log has them")
            }
            Answer::Waiting => {}
            Answer::Finished { report, faults, gauges } => return Ok(End::Ran(Done { report, faults, gauges })),
            Answer::Stands(result) => return Ok(End::Stands(result)),
            Answer::Stopping if taken => return Err(failed("the daemon stops; what was begun is picked up at its next start")),
            Answer::Stopping => return Err(failed("the daemon stops; nothing was begun")),
            Answer::Refused(why) => return Err(failed(&format!("the daemon refuses: {}", printable(&why)))),
        }
    }
}

fn failed(text: &str) -> Failure {
    Failure::new(Exit::Failed, format!("snapwarden: {text}"))
}

fn lost(error: &ConversationError, taken: bool) -> Failure {
    let begun = "what was begun is picked up at its next start; `snapwarden history` and `snapwarden status` tell how far it is";
    let unsure = "whether it has taken the order is not known; `snapwarden history` tells what was begun";
    Failure::of(Exit::Failed, error).hint(Some(if taken { begun } else { unsure }.to_owned()))
}

fn interrupted(taken: bool) -> Failure {
    let text =
        if taken { "interrupted; the daemon goes on with what was asked for" } else { "interrupted before the daemon had taken the order" };
    let hint = taken.then(|| "`snapwarden history` tells its end".to_owned());
    Failure::new(Exit::Interrupted, format!("snapwarden: {text}")).hint(hint)
}

fn warn_of_another(digest: &str, app: &App) {
    if digest != app.config.digest {
        eprintln!(
            "warning: the daemon works by another configuration than {} says now, and decides by its own; after a change it must be told to \
             read it again (SIGHUP)",
            app.config_file.display()
        );
    }
}
