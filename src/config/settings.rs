//! What the configuration says besides policies and servers.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use crate::domain::policy::Wanted;

/// Where the journal is kept when neither the file nor the service manager names a folder.
pub const STATE_DEFAULT: &str = "/var/lib/snapwarden";

/// Everything that the files say, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Policies, servers and limits: what the pure core works on.
    pub wanted: Wanted,
    /// How the provider is reached.
    pub provider: ProviderSettings,
    /// The folder of the journal as written; see [`Config::state_directory`].
    pub state: Option<PathBuf>,
    /// How long the journal remembers.
    pub journal_keep: Duration,
    /// Where metrics, health and the status page are served.
    pub listen: SocketAddr,
    /// How it is logged.
    pub log: LogSettings,
    /// Who is told of failures.
    pub notify: Option<Notify>,
    /// How several replicas agree on the one that acts.
    pub leader: Option<LeaderSettings>,
    /// What is odd but allowed, each as `file:line:column: text`.
    pub warnings: Vec<String>,
    /// The files that were read, in the order in which they count.
    pub sources: Vec<PathBuf>,
    /// A stable hash of the text of all files, in hex: by which policy text something was done.
    pub digest: String,
}

impl Config {
    /// The folder of the journal: as written, else the service manager's, else [`STATE_DEFAULT`].
    #[must_use]
    pub fn state_directory(&self, surroundings: &Surroundings) -> PathBuf {
        let written = self.state.as_deref().or(surroundings.state_directory.as_deref());
        written.unwrap_or(Path::new(STATE_DEFAULT)).to_owned()
    }
}

/// What the service manager tells by environment variables. The caller reads them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// `$CREDENTIALS_DIRECTORY`: where relative token files are looked for first.
    pub credentials_directory: Option<PathBuf>,
    /// `$STATE_DIRECTORY`, or the first folder of it.
    pub state_directory: Option<PathBuf>,
}

/// How the provider is reached.
#[derive(Debug, Clone, PartialEq)]
pub struct ProviderSettings {
    /// The root of the API. Its path always ends with `/`, so that endpoints can be joined to it.
    pub url: Url,
    /// Where the token is, unless the command line says.
    pub token: Option<TokenSource>,
    /// Where that should stand in the configuration, as `file:line:column`, for messages.
    pub place: String,
    /// The only account to work on, by its mail address.
    pub account: Option<String>,
    /// How long one request may take in all.
    pub request_timeout: Duration,
    /// The budget of requests, shared by everything.
    pub requests_per_second: f64,
    /// Requests at the same time.
    pub concurrent_requests: u32,
    /// Items being made at the same time.
    pub concurrent_creates: u32,
    /// Pause between two looks while something is being made.
    pub poll_every: Duration,
    /// Pause between two looks otherwise.
    pub refresh_every: Duration,
}

/// Where a token is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenSource {
    /// In a file, as written.
    File(PathBuf),
    /// In an environment variable of this name.
    Env(String),
}

/// How it is logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// For people or for machines.
    pub format: LogFormat,
    /// What is too unimportant to be logged.
    pub level: tracing::Level,
    /// Where files are written besides stderr.
    pub directory: Option<PathBuf>,
    /// When a new file is begun.
    pub rotate: Rotate,
    /// How many files stay.
    pub keep_files: u32,
}

/// The shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// When a new log file is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotate {
    /// Every day.
    Daily,
    /// Every hour.
    Hourly,
    /// There is one file.
    Never,
}

/// Who is told of failures. At least one of them is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notify {
    /// Gets a POST on failure and recovery.
    pub webhook: Option<Url>,
    /// Gets a GET around each run: `<url>/start`, `<url>`, `<url>/fail`.
    pub heartbeat: Option<Url>,
}

/// A Kubernetes lease that decides which replica acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaderSettings {
    /// The lease's name.
    pub lease: String,
    /// Its namespace; none: the pod's own.
    pub namespace: Option<String>,
    /// How long a lease holds without being renewed.
    pub duration: Duration,
}

impl Default for ProviderSettings {
    fn default() -> ProviderSettings {
        ProviderSettings {
            url: default_url(),
            token: None,
            place: String::new(),
            account: None,
            request_timeout: Duration::from_secs(30),
            requests_per_second: 2.0,
            concurrent_requests: 4,
            concurrent_creates: 10,
            poll_every: Duration::from_secs(15),
            refresh_every: Duration::from_secs(300),
        }
    }
}

impl Default for LogSettings {
    fn default() -> LogSettings {
        LogSettings { format: LogFormat::Text, level: tracing::Level::INFO, directory: None, rotate: Rotate::Daily, keep_files: 14 }
    }
}

/// The provider's documented API.
#[expect(clippy::expect_used, reason = "a constant; a test parses it")]
fn default_url() -> Url {
    Url::parse("https://admin.vps.org/api/v1/").expect("is a URL")
}

/// Loopback: what is served names servers, and has no password.
pub(super) fn default_listen() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 9745))
}
