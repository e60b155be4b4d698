//! How the program ends: the exit codes of contract §4, and the words for an end that is no success.

use std::error::Error;
use std::process::ExitCode;

use anstream::stream::RawStream;
use anstream::{AutoStream, ColorChoice};

/// The exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// Done.
    Done,
    /// A run failed or was blocked, at least in part.
    Failed,
    /// Usage or configuration.
    Usage,
    /// The provider cannot be reached or refuses the token or the account.
    Provider,
    /// Interrupted.
    Interrupted,
}

/// What the exit codes mean, in the words for people.
pub(super) const EXIT_CODES: [(u8, &str); 5] = [
    (0, "done (for serve also after SIGTERM)"),
    (1, "a run failed or was blocked, at least in part; or its metrics could not be delivered"),
    (2, "wrong usage or configuration"),
    (3, "the provider cannot be reached, or refuses the token or the account"),
    (130, "interrupted"),
];

/// The exit codes as they stand under `--help`.
pub(super) fn after_help() -> String {
    EXIT_CODES.iter().fold("Exit codes:".to_owned(), |text, (code, meaning)| format!("{text}\n  {code:<3}  {meaning}"))
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Provider => 3,
            Exit::Interrupted => 130,
        })
    }
}

/// Why a command could not do its work, in words for the person who gave it.
#[derive(Debug)]
pub(super) struct Failure {
    /// The exit code.
    pub exit: Exit,
    text: String,
    hint: Option<String>,
}

impl Failure {
    /// From an error whose message reads after "failed to"; its sources follow.
    pub fn of(exit: Exit, error: &dyn Error) -> Failure {
        let mut text = format!("snapwarden: failed to {error}");
        let mut source = error.source();
        while let Some(cause) = source {
            text.push_str(&format!(": {cause}"));
            source = cause.source();
        }
        Failure { exit, text, hint: None }
    }

    /// With words of its own.
    pub fn new(exit: Exit, text: impl Into<String>) -> Failure {
        Failure { exit, text: text.into(), hint: None }
    }

    /// About a place in the configuration.
    pub fn at(mut self, place: &str) -> Failure {
        let text = self.text.strip_prefix("snapwarden: ").unwrap_or(&self.text);
        self.text = format!("{place}: {text}");
        self
    }

    /// With what follows from it.
    pub fn note(mut self, note: &str) -> Failure {
        self.text = format!("{}; {note}", self.text);
        self
    }

    /// With advice.
    pub fn hint(mut self, hint: Option<String>) -> Failure {
        self.hint = hint;
        self
    }

    /// With this advice, if there is no other.
    pub fn or_hint(mut self, hint: String) -> Failure {
        self.hint.get_or_insert(hint);
        self
    }

    /// What is written to stderr.
    pub fn render(&self, color: bool) -> String {
        let (bold, red, plain) = if color { ("\x1b[1m", "\x1b[31m", "\x1b[0m") } else { ("", "", "") };
        let mut text = match self.text.strip_prefix("snapwarden: ") {
            Some(rest) => format!("{red}{bold}snapwarden:{plain} {rest}\n"),
            None => format!("{}\n", self.text.trim_end()),
        };
        if let Some(hint) = &self.hint {
            text.push_str(&format!("{bold}hint:{plain} {hint}\n"));
        }
        text
    }
}

/// Whether stderr is a terminal that wants colour.
pub(super) fn stderr_has_color() -> bool {
    has_color(&std::io::stderr())
}

/// Whether stdout is a terminal that wants colour.
pub(super) fn stdout_has_color() -> bool {
    has_color(&std::io::stdout())
}

/// By `NO_COLOR`, `CLICOLOR`, `CLICOLOR_FORCE` and `TERM`, and only on a terminal unless it is forced.
fn has_color(stream: &impl RawStream) -> bool {
    AutoStream::choice(stream) != ColorChoice::Never
}

/// Whether nobody reads the output any more (`| head`): no failure.
pub(super) fn is_broken_pipe(error: &dyn Error) -> bool {
    let mut source = error.source();
    while let Some(cause) = source {
        if cause.downcast_ref::<std::io::Error>().is_some_and(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe) {
            return true;
        }
        source = cause.source();
    }
    false
}
