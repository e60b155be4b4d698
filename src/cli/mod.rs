//! The command line: one file a command, the composition root, exit codes.

mod app;
mod check;
mod compare;
mod completions;
mod delivery;
mod demo;
mod exit;
mod handover;
mod history;
mod leading;
mod man;
mod orders;
mod output;
mod plan;
mod progress;
mod restore;
pub mod retention;
mod run;
pub mod schedule;
mod schema;
mod screen;
mod select;
mod serve;
mod session;
mod signals;
mod simulate;
mod status;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::clock::{Clock, SystemClock};

use exit::{Exit, Failure};

/// Takes and retires VPS.org server snapshots and backups by policy
#[derive(Debug, Parser)]
#[command(name = "snapwarden", version, about, after_help = exit::after_help(), max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// What every command that works on a configuration takes.
#[derive(Debug, Clone, clap::Args)]
struct Common {
    /// The configuration file; a folder `conf.d` beside it adds policies and servers
    #[arg(long, short, global = true, value_name = "FILE", env = "SNAPWARDEN_CONFIG", default_value = "/etc/snapwarden/snapwarden.yaml")]
    config: PathBuf,
    /// Read the token from this file, whatever the configuration says
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Check the configuration and the token file; with --online also the token, the account, the servers and the caps
    Check(check::CheckArgs),
    /// Show what a run now would do, with a reason for every item; changes nothing
    Plan(plan::PlanArgs),
    /// Make one run now and wait for its end
    Run(run::RunArgs),
    /// Make one snapshot or backup by hand
    Take(run::TakeArgs),
    /// Be the daemon: runs on schedule, metrics, status page
    Serve(serve::ServeArgs),
    /// Show each server's restore points, slots, last success, next run, and what is wrong
    Status(status::StatusArgs),
    History(history::HistoryArgs),
    Pause(orders::PauseArgs),
    Resume(orders::ResumeArgs),
    Hold(orders::HoldArgs),
    Release(orders::ReleaseArgs),
    Restore(restore::RestoreArgs),
    Schedule(schedule::ScheduleArgs),
    Retention(retention::RetentionArgs),
    Simulate(simulate::SimulateArgs),
    /// Watch the daemon work on an emulated provider with three servers; needs no configuration
    Demo(demo::DemoArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
    Schema(schema::SchemaArgs),
}

/// Runs the program with the arguments of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            drop(error.print());
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() };
        }
    };
    match dispatch(cli) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            let color = exit::stderr_has_color();
            // Where even that cannot be written, the exit code still tells.
            drop(io::stderr().write_all(failure.render(color).as_bytes()));
            failure.exit.into()
        }
    }
}

fn dispatch(cli: Cli) -> Result<Exit, Failure> {
    let common = cli.common;
    match cli.command {
        Command::Schedule(args) => {
            let now = SystemClock::new().now().wall;
            let done = schedule::schedule(&args, now, &mut io::stdout().lock());
            done.or_else(|error| if exit::is_broken_pipe(&error) { Ok(()) } else { Err(usage(&error, error.is_usage(), error.hint())) })?;
            Ok(Exit::Done)
        }
        Command::Retention(args) => {
            let done = retention::retention(&args, &mut io::stdin().lock(), &mut io::stdout().lock());
            let hint = |error: &retention::RetentionCommandError| error.hint().map(str::to_owned);
            done.or_else(|error| if exit::is_broken_pipe(&error) { Ok(()) } else { Err(usage(&error, error.is_usage(), hint(&error))) })?;
            Ok(Exit::Done)
        }
        Command::Check(args) => app::block_on(Box::pin(check::check(&common, &args))),
        Command::Plan(args) => app::block_on(Box::pin(plan::plan(&common, &args))),
        Command::Run(args) => app::block_on(Box::pin(run::run(&common, &args))),
        Command::Take(args) => app::block_on(Box::pin(run::take(&common, &args))),
        Command::Serve(args) => app::block_on(Box::pin(serve::serve(&common, &args))),
        Command::Status(args) => app::block_on(Box::pin(status::status(&common, &args))),
        Command::History(args) => history::history(&common, &args),
        Command::Pause(args) => app::block_on(Box::pin(orders::pause(&common, &args))),
        Command::Resume(args) => app::block_on(Box::pin(orders::resume(&common, &args))),
        Command::Hold(args) => app::block_on(Box::pin(orders::hold(&common, &args))),
        Command::Release(args) => app::block_on(Box::pin(orders::release(&common, &args))),
        Command::Restore(args) => app::block_on(Box::pin(restore::restore(&common, &args))),
        Command::Simulate(args) => simulate::simulate(&common, &args),
        Command::Demo(args) => app::block_on(Box::pin(demo::demo(&args))),
        Command::Completions(args) => completions::completions(&args),
        Command::Man(args) => man::man(&args),
        Command::Schema(args) => schema::schema(&args),
    }
}

/// A failure of a command that works without a configuration.
fn usage(error: &dyn std::error::Error, is_usage: bool, hint: Option<String>) -> Failure {
    Failure::of(if is_usage { Exit::Usage } else { Exit::Failed }, error).hint(hint)
}
