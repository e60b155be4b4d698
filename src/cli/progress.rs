//! What is told on stderr while something is waited for: on a terminal a line with a spinner for each target, elsewhere a line for each thing that happens.
//!
//! It knows targets by a label and how far they are in words, so that everything that waits can use it: runs of this process ([`Progress::fact`]), runs
//! that a daemon makes, a restore.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::domain::fact::{Fact, Target};
use crate::domain::problem::{OpResult, RunResult};
use crate::telemetry::printable;

use super::exit::stderr_has_color;
use super::output::{Color, list, paint};

/// So many spinners are shown at a time; the other targets are told when something happens.
const SPINNERS_MAX: usize = 12;
const TICK: Duration = Duration::from_millis(120);

/// How far a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Under way; what is told stands until the next word. It is worth a line of its own.
    Step,
    /// Under way, and only those who watch want to know.
    Detail,
    /// Something happened that stays told.
    Note,
    /// Something happened that somebody should know of.
    Warning,
    /// It has ended well.
    Done,
    /// It has ended otherwise.
    Failed,
}

impl State {
    fn color(self) -> Option<Color> {
        match self {
            State::Step | State::Detail | State::Note => None,
            State::Warning => Some(Color::Yellow),
            State::Done => Some(Color::Green),
            State::Failed => Some(Color::Red),
        }
    }

    fn is_end(self) -> bool {
        matches!(self, State::Done | State::Failed)
    }
}

/// Tells how things go. Its copies tell in the same place.
#[derive(Clone)]
pub(super) struct Progress {
    out: Out,
    color: bool,
}

#[derive(Clone)]
enum Out {
    Terminal(Terminal, Lines),
    Lines(Lines),
}

/// Where lines go that stay.
type Lines = Arc<Mutex<dyn Write + Send>>;

/// The lines at the lower end of a terminal that are written over.
#[derive(Clone)]
struct Terminal {
    screen: MultiProgress,
    spinners: Arc<Mutex<BTreeMap<String, ProgressBar>>>,
}

impl Progress {
    /// On stderr.
    pub fn new() -> Progress {
        let color = stderr_has_color();
        let lines: Lines = Arc::new(Mutex::new(io::stderr()));
        let out = if is_live() { Out::Terminal(Terminal::new(ProgressDrawTarget::stderr()), lines) } else { Out::Lines(lines) };
        Progress::with(out, color)
    }

    fn with(out: Out, color: bool) -> Progress {
        Progress { out, color }
    }

    /// Tells how far a target is, `elapsed` after it was begun. Whatever stands in the words is made safe to print.
    pub fn tell(&self, target: &str, state: State, text: &str, elapsed: Duration) {
        let (target, text) = (printable(target), printable(text));
        let line = format!("{target}: {text}");
        let line = state.color().map_or(line.clone(), |of| paint(&line, of, self.color));
        // All of it at once: stderr has no buffer, and another process may write to the same place. That it is closed stops nothing.
        let write = |lines: &Lines| drop(lines.lock().unwrap_or_else(PoisonError::into_inner).write_all(format!("{line}\n").as_bytes()));
        let is_passing = matches!(state, State::Step | State::Detail);
        match &self.out {
            Out::Terminal(terminal, _) if is_passing => terminal.spin(&target, &text, elapsed),
            Out::Terminal(terminal, lines) => {
                if state.is_end() {
                    terminal.stop(&target);
                }
                terminal.screen.suspend(|| write(lines));
            }
            Out::Lines(_) if state == State::Detail => {}
            Out::Lines(lines) => write(lines),
        }
    }

    /// Tells what a run of this process does.
    pub fn fact(&self, fact: &Fact) {
        match fact {
            Fact::RunStarted { target, slot, .. } => {
                let slot = slot.map_or_else(String::new, |slot| format!(" for the slot {slot}"));
                self.of(target, State::Step, &format!("started{slot}"));
            }
            Fact::RunEnded { target, result, duration, created, deleted, error, .. } => {
                let state = if *result == RunResult::Success || *result == RunResult::Skipped { State::Done } else { State::Failed };
                let error = error.as_ref().map_or_else(String::new, |error| format!(": {error}"));
                let of = format!("created {}, deleted {}", list(created), list(deleted));
                let text = format!("ended after {}: {result}{error} ({of})", span(*duration));
                self.tell(&label(target), state, &text, *duration);
            }
            Fact::Missed { target, count, newest } => {
                self.of(target, State::Warning, &format!("missed {count}, the newest for {newest}: too late to be made up for"));
            }
            Fact::GuardRefused { target, violation, .. } => {
                self.of(target, State::Warning, &format!("the guard refused a plan: {violation}"));
            }
            Fact::ProblemRaised { target, problem } => self.of(target, State::Warning, &format!("{}: {}", problem.reason, problem.detail)),
            Fact::ProblemCleared { target, reason } => self.of(target, State::Note, &format!("{reason}: over")),
            Fact::AccountProblemRaised { reason, detail } => {
                self.tell("account", State::Warning, &format!("{reason}: {detail}"), Duration::ZERO);
            }
            Fact::AccountProblemCleared { reason } => self.tell("account", State::Note, &format!("{reason}: over"), Duration::ZERO),
            Fact::Note { target: Some(target), text } => self.of(target, State::Note, text),
            Fact::Note { target: None, text } => self.tell("note", State::Note, text, Duration::ZERO),
            _ => self.item_fact(fact),
        }
    }

    /// What becomes of single items.
    fn item_fact(&self, fact: &Fact) {
        match fact {
            Fact::CreateSent { target, name, attempt, .. } => {
                let again = if *attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
                self.of(target, State::Step, &format!("creating {name}{again}"));
            }
            Fact::CreateInDoubt { target, error, .. } => {
                self.of(target, State::Warning, &format!("create in doubt: {error}; looking whether it was done"));
            }
            Fact::CreateDecided { target, item, result: OpResult::Success, .. } => {
                let item = item.map_or_else(String::new, |item| format!(" {item}"));
                self.of(target, State::Step, &format!("created{item}, waiting until it is complete"));
            }
            Fact::CreateDecided { target, result, error, .. } => {
                self.of(target, State::Warning, &format!("create: {result}: {}", error.as_deref().unwrap_or_default()));
            }
            Fact::Completed { target, item, .. } => {
                self.of(target, State::Note, &format!("completed {item}"));
                self.of(target, State::Detail, &format!("completed {item}"));
            }
            Fact::DeleteSent { target, item, name, why, .. } => {
                self.of(target, State::Detail, &format!("deleting {item} {name}: {why}"));
            }
            Fact::DeleteDecided { target, item, why, result: OpResult::Success, .. } => {
                self.of(target, State::Note, &format!("deleted {item}: {why}"));
            }
            Fact::DeleteDecided { target, item, result, error, .. } => {
                self.of(target, State::Warning, &format!("delete {item}: {result}: {}", error.as_deref().unwrap_or_default()));
            }
            Fact::Lost { target, item, name } => {
                self.of(target, State::Warning, &format!("{item} {name} has vanished, not through snapwarden"));
            }
            Fact::HookStarted { target, side, .. } => self.of(target, State::Step, &format!("runs `{}`", side.as_str())),
            Fact::HookEnded { target, side, error: None, .. } => self.of(target, State::Detail, &format!("`{}` is done", side.as_str())),
            Fact::HookEnded { target, side, error: Some(error), output, .. } => {
                let output = if output.is_empty() { String::new() } else { format!("; it printed: {output}") };
                self.of(target, State::Warning, &format!("`{}` {error}{output}", side.as_str()));
            }
            Fact::RunStarted { .. }
            | Fact::RunEnded { .. }
            | Fact::Missed { .. }
            | Fact::GuardRefused { .. }
            | Fact::ProblemRaised { .. }
            | Fact::ProblemCleared { .. }
            | Fact::AccountProblemRaised { .. }
            | Fact::AccountProblemCleared { .. }
            | Fact::Note { .. } => {}
        }
    }

    fn of(&self, target: &Target, state: State, text: &str) {
        self.tell(&label(target), state, text, Duration::ZERO);
    }

    /// Takes away what still turns.
    pub fn end(&self) {
        if let Out::Terminal(terminal, _) = &self.out {
            terminal.spinners().values().for_each(ProgressBar::finish_and_clear);
            terminal.spinners().clear();
        }
    }

    /// Where other lines for stderr go, so that spinners do not write over them.
    pub fn writer(&self) -> Box<dyn Write + Send> {
        match &self.out {
            Out::Terminal(terminal, _) => Box::new(Between(terminal.screen.clone())),
            Out::Lines(_) => Box::new(io::stderr()),
        }
    }
}

/// Whether stderr is a terminal on which lines can be written over.
pub(super) fn is_live() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_some_and(|term| term != "dumb")
}

impl Terminal {
    fn new(target: ProgressDrawTarget) -> Terminal {
        Terminal { screen: MultiProgress::with_draw_target(target), spinners: Arc::default() }
    }

    fn spinners(&self) -> MutexGuard<'_, BTreeMap<String, ProgressBar>> {
        self.spinners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows what a target is about, if there is room for it.
    fn spin(&self, target: &str, text: &str, elapsed: Duration) {
        let mut spinners = self.spinners();
        if !spinners.contains_key(target) && spinners.len() < SPINNERS_MAX {
            let spinner = self.screen.add(ProgressBar::new_spinner());
            spinner.set_elapsed(elapsed);
            spinner.set_prefix(target.to_owned());
            // A template that cannot be read leaves the plain one.
            if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}: {wide_msg} {elapsed_precise}") {
                spinner.set_style(style);
            }
            spinner.enable_steady_tick(TICK);
            spinners.insert(target.to_owned(), spinner);
        }
        if let Some(spinner) = spinners.get(target) {
            spinner.set_message(text.to_owned());
        }
    }

    /// Makes room for another.
    fn stop(&self, target: &str) {
        if let Some(spinner) = self.spinners().remove(target) {
            spinner.finish_and_clear();
        }
    }
}

/// Writes while the spinners are out of the way.
struct Between(MultiProgress);

impl Write for Between {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write_all(bytes)).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// How a target is called.
pub(super) fn label(target: &Target) -> String {
    if target.server_name.is_empty() {
        return format!("{}, {}", target.server, target.kind);
    }
    format!("{} ({}), {}", target.server_name, target.server, target.kind)
}

/// How long something took: `0.3 s`, `12 s`, `3 min 5 s`.
pub(super) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..120 => format!("{seconds} s"),
        _ => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
#[path = "progress_tests.rs"]
mod tests;
