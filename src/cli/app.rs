//! The composition root: from the configuration to a provider, a journal and a controller.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;

use crate::clock::{Clock, SystemClock};
use crate::config::token::{self, TokenError, TokenPlaces};
use crate::config::{self, Config, Surroundings};
use crate::domain::memory::TargetKey;
use crate::domain::problem::RunResult;
use crate::domain::record::Trigger;
use crate::journal::{JournalThread, LockError, RECENT, Recollection, SqliteJournal, StateLock};
use crate::notices::{Notices, Recipients};
use crate::provider::{Endpoint, Exchange, HttpProvider, HttpSettings, Leave, Observer, TokenSource};
use crate::telemetry::{self, LogOptions, Logging, Metrics, ProviderMetrics};

use super::Common;
use super::exit::{Exit, Failure};
use super::progress::{self, Progress};

/// A checked configuration, and what belongs to it.
pub(super) struct App {
    /// What is configured.
    pub config: Config,
    /// The file it came from.
    pub config_file: PathBuf,
    /// What the service manager says.
    pub surroundings: Surroundings,
    /// The clocks.
    pub clock: Arc<SystemClock>,
    /// What is asked before each create and delete.
    pub leave: Arc<dyn Leave>,
    token_file: Option<PathBuf>,
}

/// Runs a command on an asynchronous runtime of its own, on this thread: what is waited for comes to the main loop without waking another one. In a box
/// all commands are of one type, so that there is one way through tokio for all of them.
pub(super) fn block_on(command: Pin<Box<dyn Future<Output = Result<Exit, Failure>> + '_>>) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(failed_to_start)?;
    let result = runtime.block_on(command);
    // What still hangs on the network is not waited for.
    runtime.shutdown_background();
    result
}

/// The system does not give what any command needs.
pub(super) fn failed_to_start(error: io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("snapwarden: failed to start: {error}"))
}

impl App {
    /// Reads and checks the configuration.
    pub fn load(common: &Common) -> Result<App, Failure> {
        let clock = Arc::new(SystemClock::new());
        let config = config::load(&common.config, clock.now().wall);
        let config = config.map_err(|diagnostics| Failure::new(Exit::Usage, diagnostics.to_string()))?;
        Ok(App {
            config,
            config_file: common.config.clone(),
            surroundings: surroundings(),
            clock,
            leave: Arc::new(()),
            token_file: common.token_file.clone(),
        })
    }

    /// The same program with another configuration.
    pub fn with_config(&self, config: Config) -> App {
        App {
            config,
            config_file: self.config_file.clone(),
            surroundings: self.surroundings.clone(),
            clock: Arc::clone(&self.clock),
            leave: Arc::clone(&self.leave),
            token_file: self.token_file.clone(),
        }
    }

    /// Reads the token, to say so early if it cannot be read.
    pub fn check_token(&self) -> Result<(), Failure> {
        self.token_at().read().map(drop).map_err(|error| {
            let failure = Failure::of(Exit::Usage, &error).hint(error.hint());
            if self.token_file.is_some() { failure } else { failure.at(&self.config.provider.place) }
        })
    }

    fn token_at(&self) -> TokenAt {
        TokenAt {
            override_file: self.token_file.clone(),
            configured: self.config.provider.token.clone(),
            config_file: self.config_file.clone(),
            surroundings: self.surroundings.clone(),
        }
    }

    /// Sets the log up as configured.
    pub fn log(&self) -> Result<Logging, Failure> {
        self.log_beside(self.config.log.directory.clone(), None)
    }

    /// What is told to people while something is waited for, and the log beside it. A program that reads stderr, for JSON or for the
    /// priorities of systemd's journal, is told by the log alone.
    pub fn log_and_progress(&self) -> Result<(Logging, Option<Progress>), Failure> {
        self.log_with_progress(self.config.log.directory.clone())
    }

    /// The same for what somebody else does, who keeps the files.
    pub fn log_and_progress_of_another(&self) -> Result<(Logging, Option<Progress>), Failure> {
        self.log_with_progress(None)
    }

    fn log_with_progress(&self, directory: Option<PathBuf>) -> Result<(Logging, Option<Progress>), Failure> {
        let is_read = self.config.log.format == config::LogFormat::Json || telemetry::logging::stderr_is_journal();
        if is_read && !progress::is_live() {
            return Ok((self.log_beside(directory, None)?, None));
        }
        let progress = Progress::new();
        Ok((self.log_beside(directory, Some(progress.writer()))?, Some(progress)))
    }

    fn log_beside(&self, directory: Option<PathBuf>, teller: Option<Box<dyn std::io::Write + Send>>) -> Result<Logging, Failure> {
        let log = &self.config.log;
        let options = LogOptions {
            format: match log.format {
                config::LogFormat::Text => telemetry::LogFormat::Text,
                config::LogFormat::Json => telemetry::LogFormat::Json,
            },
            level: log.level.to_string().to_lowercase(),
            directory,
            rotate: match log.rotate {
                config::Rotate::Daily => telemetry::LogRotation::Daily,
                config::Rotate::Hourly => telemetry::LogRotation::Hourly,
                config::Rotate::Never => telemetry::LogRotation::Never,
            },
            keep_files: log.keep_files as usize,
        };
        telemetry::logging::init_beside(&options, teller).map_err(|error| Failure::of(Exit::Failed, &error))
    }

    /// How the provider is reached, and with which token.
    pub fn connection(&self) -> Result<(HttpSettings, TokenSource), Failure> {
        self.check_token()?;
        let provider = &self.config.provider;
        let settings = HttpSettings {
            base_url: provider.url.to_string(),
            request_timeout: provider.request_timeout,
            requests_per_second: provider.requests_per_second,
            concurrent_requests: provider.concurrent_requests as usize,
            account: provider.account.clone(),
        };
        let token_at = self.token_at();
        Ok((settings, TokenSource::new(move || token_at.read().map_err(|error| error.to_string()))))
    }

    /// The provider, as configured. Its exchanges are counted in `metrics`.
    pub fn provider(&self, metrics: &Metrics) -> Result<HttpProvider, Failure> {
        let (settings, token) = self.connection()?;
        let methods = Endpoint::ALL.iter().map(|endpoint| ("GET", endpoint.as_str())).filter(|(_, path)| !path.contains('{'));
        metrics.provider.declare(&methods.collect::<Vec<_>>());
        let observer: Arc<dyn Observer> = Arc::new(Watch(metrics.provider.clone()));
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let provider = HttpProvider::new(&settings, token, clock, observer).map_err(|error| Failure::of(Exit::Usage, &error))?;
        Ok(provider.with_leave(Arc::clone(&self.leave)))
    }

    /// Who is to be told.
    pub fn recipients(&self) -> Recipients {
        let notify = self.config.notify.clone();
        let (webhook, heartbeat) = notify.map(|notify| (notify.webhook, notify.heartbeat)).unwrap_or_default();
        Recipients { webhook, heartbeat, owner: self.config.wanted.owner.to_string() }
    }

    /// Notices, which go on where an earlier process ended.
    pub fn notices(&self, past: &Recollection) -> Arc<Notices> {
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as Arc<dyn Clock>;
        Arc::new(Notices::start(self.recipients(), failing(past), clock))
    }

    /// The folder of the journal.
    pub fn state(&self) -> PathBuf {
        self.config.state_directory(&self.surroundings)
    }

    /// Opens the journal, alone on its folder, and reads what matters of the past.
    pub async fn journal(&self) -> Result<(JournalThread, Recollection), Failure> {
        let lock = StateLock::acquire(&self.state()).map_err(|error| {
            let held = matches!(error, LockError::Held { .. });
            let hint = "a daemon that runs there does the work; stop it first, or give this one another `state` and another `owner`";
            Failure::of(Exit::Failed, &error).hint(held.then(|| hint.to_owned()))
        })?;
        self.journal_under(lock).await
    }

    /// Opens the journal of a folder that is ours alone already.
    pub async fn journal_under(&self, lock: StateLock) -> Result<(JournalThread, Recollection), Failure> {
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let journal = SqliteJournal::open(lock, clock).map_err(|error| Failure::of(Exit::Failed, &error))?;
        let thread = JournalThread::spawn(journal).map_err(|error| Failure::of(Exit::Failed, &error))?;
        let since = before(self.clock.now().wall, RECENT);
        let past = thread.handle().load(since).await.map_err(|error| Failure::of(Exit::Failed, &error))?;
        Ok((thread, past))
    }

    /// Refuses what only makes sense where one process is in charge.
    pub fn refuse_beside_replicas(&self, what: &str, hint: &str) -> Result<(), Failure> {
        if self.config.leader.is_none() {
            return Ok(());
        }
        Err(Failure::new(Exit::Usage, format!("snapwarden: `leader` is configured, so {what}")).hint(Some(hint.to_owned())))
    }

    /// Says on stderr what is odd about the configuration.
    pub fn warn(&self) {
        for warning in &self.config.warnings {
            eprintln!("warning: {warning}");
        }
    }
}

/// The targets whose newest run for a slot failed.
fn failing(past: &Recollection) -> BTreeSet<TargetKey> {
    let mut newest: BTreeMap<TargetKey, (u64, RunResult)> = BTreeMap::new();
    for row in past.runs.iter().filter(|row| row.start.slot.is_some() && row.start.trigger != Trigger::Hand) {
        let Some(end) = &row.ended else { continue };
        let last = newest.entry((row.start.subject.server, row.start.subject.kind)).or_insert((end.seq, end.result));
        if end.seq > last.0 {
            *last = (end.seq, end.result);
        }
    }
    newest.retain(|_, (_, result)| matches!(result, RunResult::Failure | RunResult::Blocked));
    newest.into_keys().collect()
}

/// Where the token is: all that reading it again needs of the configuration.
struct TokenAt {
    override_file: Option<PathBuf>,
    configured: Option<config::TokenSource>,
    config_file: PathBuf,
    surroundings: Surroundings,
}

impl TokenAt {
    fn read(&self) -> Result<SecretString, TokenError> {
        token::read(TokenPlaces {
            override_file: self.override_file.as_deref(),
            configured: self.configured.as_ref(),
            config_file: &self.config_file,
            surroundings: &self.surroundings,
            variable: &|name| std::env::var_os(name),
        })
    }
}

/// The moment `span` before `time`, as far back as there is time.
pub(super) fn before(time: Timestamp, span: SignedDuration) -> Timestamp {
    time.checked_sub(span).unwrap_or(Timestamp::MIN)
}

fn surroundings() -> Surroundings {
    let path = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    // systemd separates several folders with colons; the first is ours.
    let first = |name: &str| {
        let value = std::env::var(name).ok()?;
        value.split(':').next().filter(|folder| !folder.is_empty()).map(PathBuf::from)
    };
    Surroundings { credentials_directory: path("CREDENTIALS_DIRECTORY"), state_directory: first("STATE_DIRECTORY") }
}

/// Counts the exchanges with the provider.
struct Watch(ProviderMetrics);

impl Observer for Watch {
    fn exchange(&self, exchange: &Exchange) {
        self.0.observe(exchange.method.as_str(), exchange.endpoint.as_str(), &exchange.code.to_string(), exchange.duration);
    }
}
