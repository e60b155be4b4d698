//! Sets up the log: stderr always, files where a folder is given. Writing never blocks and never stops the program; what cannot be written is dropped.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anstream::{AutoStream, ColorChoice};
use thiserror::Error;
use tracing::{Level, Metadata};
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{Targets, filter_fn};
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::fmt::writer::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{Layer, Registry};

use super::log_file::LogFiles;
use super::text_line::{JsonLine, TextLine};
use crate::clock::SystemClock;

/// Lines that wait to be written, for each place; beyond it they are dropped.
const LINES_WAITING_MAX: usize = 16_384;

/// How the log is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogOptions {
    /// Text or JSON.
    pub format: LogFormat,
    /// A level for this program (libraries then tell only warnings), or directives as in `RUST_LOG`, e.g. `info,hyper=debug`.
    pub level: String,
    /// Where files are written, if they are.
    pub directory: Option<PathBuf>,
    /// When a new file is begun.
    pub rotate: LogRotation,
    /// How many files stay.
    pub keep_files: usize,
}

/// What a line looks like. Times are RFC 3339, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// When a new file is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogRotation {
    /// At midnight, UTC.
    Daily,
    /// On the hour.
    Hourly,
    /// Never.
    Never,
}

/// Why the log could not be set up.
#[derive(Debug, Error)]
pub enum LoggingError {
    /// The level is neither a level nor a list of directives.
    #[error("read the log level `{level}`")]
    Level {
        /// What was given.
        level: String,
        /// Why it cannot be read.
        source: tracing_subscriber::filter::ParseError,
    },
    /// The process has a log already.
    #[error("set up the log")]
    Twice(#[from] TryInitError),
}

/// Keeps the log alive. Dropping it writes what still waits; keep it until the program ends.
#[derive(Debug)]
#[must_use = "lines that wait are lost unless this is kept until the end"]
pub struct Logging {
    _stderr: WorkerGuard,
    _file: Option<WorkerGuard>,
}

/// Sets up the log of this process.
///
/// A folder that cannot be written is told on stderr, and the log goes on without files.
///
/// # Errors
/// If the level cannot be read, or the process has a log already.
pub fn init(options: &LogOptions) -> Result<Logging, LoggingError> {
    init_beside(options, None)
}

/// The same for a program that itself tells people on stderr what happens: facts go only into the files then, unless they are for debugging. Everything else
/// is written by this writer, which knows what stands on the terminal.
///
/// # Errors
/// As [`init`].
pub fn init_beside(options: &LogOptions, teller: Option<Box<dyn Write + Send>>) -> Result<Logging, LoggingError> {
    let filter: Targets =
        directives(&options.level).parse().map_err(|source| LoggingError::Level { level: options.level.clone(), source })?;
    let tells = teller.is_some();
    let (stderr, stderr_guard) = queue(Deaf(teller.unwrap_or_else(|| Box::new(io::stderr()))), "log-stderr");
    let opened = options.directory.as_deref().map(|directory| open_files(directory, options));
    let (file, file_guard, refusal) = match opened {
        None => (None, None, None),
        Some(Ok(appender)) => {
            let (writer, guard) = queue(appender, "log-file");
            (Some(file_layer(options.format, writer)), Some(guard), None)
        }
        Some(Err(error)) => (None, None, Some(error)),
    };
    tracing_subscriber::registry()
        .with(file.into_iter().chain([stderr_layer(options.format, stderr, tells)]).collect::<Vec<_>>())
        .with(filter)
        .try_init()?;
    if let Some(error) = refusal {
        tracing::error!(error = &*super::printable(&error), "no log files: the folder cannot be written");
    }
    Ok(Logging { _stderr: stderr_guard, _file: file_guard })
}

/// What a level means: a bare word is for this program, so that `debug` does not drown its lines in those of the HTTP library.
fn directives(level: &str) -> String {
    match level.trim().to_ascii_lowercase().as_str() {
        word @ ("info" | "debug" | "trace") => format!("warn,snapwarden={word}"),
        _ => level.to_owned(),
    }
}

type AnyLayer = Box<dyn Layer<Registry> + Send + Sync>;

fn queue(writer: impl Write + Send + 'static, thread: &str) -> (NonBlocking, WorkerGuard) {
    NonBlockingBuilder::default().lossy(true).buffered_lines_limit(LINES_WAITING_MAX).thread_name(thread).finish(writer)
}

fn stderr_layer(format: LogFormat, writer: NonBlocking, facts_are_told: bool) -> AnyLayer {
    let layer = match format {
        LogFormat::Json if stderr_is_journal() => journal_json_layer(writer),
        LogFormat::Json => json_layer(writer),
        LogFormat::Text if stderr_is_journal() => {
            let lines = tracing_subscriber::fmt::layer().event_format(TextLine::for_journal());
            lines.with_writer(writer).with_ansi(false).log_internal_errors(false).boxed()
        }
        LogFormat::Text => text_layer(writer, AutoStream::choice(&io::stderr()) != ColorChoice::Never),
    };
    if facts_are_told { layer.with_filter(filter_fn(|line| !is_told_fact(line))).boxed() } else { layer }
}

/// Whether a line says what whoever is told of the facts knows already.
fn is_told_fact(line: &Metadata<'_>) -> bool {
    line.target() == super::log_line::TARGET && *line.level() <= Level::INFO
}

pub(super) fn file_layer<W: for<'a> MakeWriter<'a> + Send + Sync + 'static>(format: LogFormat, writer: W) -> AnyLayer {
    match format {
        LogFormat::Json => json_layer(writer),
        LogFormat::Text => text_layer(writer, false),
    }
}

fn text_layer<W: for<'a> MakeWriter<'a> + Send + Sync + 'static>(writer: W, colour: bool) -> AnyLayer {
    let lines = tracing_subscriber::fmt::layer().event_format(TextLine::new(SystemTime, colour));
    lines.with_writer(writer).with_ansi(colour).log_internal_errors(false).boxed()
}

fn json_layer<W: for<'a> MakeWriter<'a> + Send + Sync + 'static>(writer: W) -> AnyLayer {
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(false);
    lines.with_writer(writer).with_timer(SystemTime).with_target(false).log_internal_errors(false).boxed()
}

/// JSON for systemd's journal, which takes the priority away and adds a time of its own; the one in the line stays, for those who read both.
fn journal_json_layer<W: for<'a> MakeWriter<'a> + Send + Sync + 'static>(writer: W) -> AnyLayer {
    let lines = tracing_subscriber::fmt::layer().fmt_fields(JsonFields::new()).event_format(JsonLine::for_journal());
    lines.with_writer(writer).with_ansi(false).log_internal_errors(false).boxed()
}

/// Opens the current file. That it cannot be is known before the first line is lost.
fn open_files(directory: &Path, options: &LogOptions) -> Result<LogFiles, String> {
    let files = LogFiles::open(directory, options.rotate, options.keep_files, Arc::new(SystemClock::new()));
    files.map_err(|error| format!("{}: {error}", directory.display()))
}

/// Whether systemd has connected stderr to its journal: `$JOURNAL_STREAM` then names its device and inode (systemd.exec(5)).
pub fn stderr_is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    rustix::fs::fstat(io::stderr()).is_ok_and(|stat| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}

/// A writer whose failures are not heard: a closed stderr stops nothing.
struct Deaf<W>(W);

impl<W: Write> Write for Deaf<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.0.flush();
        Ok(())
    }
}

#[cfg(test)]
#[path = "logging_tests.rs"]
mod tests;
