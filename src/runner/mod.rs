//! Runs operators' commands around creates: without a shell, in a process group and an environment of their own, for a limited time.
//!
//! Knows nothing of when and why; the controller decides that.

mod leftovers;
mod output;

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::domain::hook::{HookCall, HookEnd};
use output::Tail;

/// Between the polite signal and the other one.
pub const KILL_GRACE: Duration = Duration::from_secs(5);
/// How often a process that was told to end is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What a hook is passed on of our own environment. Nothing else: in there may be the token, or the way to it.
const PASSED_ON: [&str; 9] = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "TZ", "TMPDIR"];
/// Where programs are looked for if nobody says.
const PATH_DEFAULT: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs a hook to its end, which comes at the latest at its timeout, or when `stop` says so. Returns also the end of what it printed.
///
/// `state` is the state folder, which a process at a time works on: what an earlier one has left running of the same hook is ended first.
pub async fn run(call: HookCall, state: &Path, stop: oneshot::Receiver<()>) -> (HookEnd, String) {
    let environment = environment(&call, state);
    if call.inherited {
        leftovers::end(&environment).await;
    }
    let (mut child, output) = match start(&call, environment) {
        Ok(started) => started,
        Err(error) => return (HookEnd::Failed(format!("cannot be started: {error}")), String::new()),
    };
    let ended = tokio::select! {
        status = child.wait() => Some(status),
        () = sleep(call.hook.timeout) => None,
        Ok(()) = stop => {
            end_group(&mut child).await;
            return (HookEnd::Stopped, output.text().await);
        }
    };
    let how = match ended {
        Some(Ok(status)) => failure(status),
        Some(Err(error)) => Some(format!("was lost: {error}")),
        None => {
            end_group(&mut child).await;
            Some(format!("was killed at its timeout of {}", humantime::format_duration(call.hook.timeout)))
        }
    };
    let output = output.text().await;
    match how {
        None => (HookEnd::Done, output),
        Some(how) => (HookEnd::Failed(how), output),
    }
}

/// What a hook finds in its environment about the create and about us. Two programs beside each other, for two accounts or on trial, may do the same at the
/// same time: it is the state folder that tells their hooks apart.
fn environment(call: &HookCall, state: &Path) -> Environment {
    // The folder was made by its lock. A path that leads there by another way next time would hide what was left running.
    let state = std::fs::canonicalize(state).unwrap_or_else(|_| state.to_owned());
    let of_create = call.environment().into_iter().map(|(name, value)| (name, value.into()));
    of_create.chain([("SNAPWARDEN_STATE", state.into_os_string())]).collect()
}

/// Names and values.
type Environment = Vec<(&'static str, OsString)>;

fn start(call: &HookCall, environment: Environment) -> io::Result<(Child, Tail)> {
    let (program, arguments) = call.hook.run.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let (reader, writer) = io::pipe()?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(passed_on()).envs(environment).current_dir("/").process_group(0);
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let child = command.spawn()?;
    // It still holds an end of the pipe, which would otherwise never be at its end.
    drop(command);
    Ok((child, Tail::of(reader)?))
}

fn passed_on() -> Environment {
    let ours = |name| Some((name, std::env::var_os(name)?));
    let mut passed: Environment = PASSED_ON.into_iter().filter_map(ours).collect();
    if passed.iter().all(|(name, _)| *name != "PATH") {
        passed.push(("PATH", PATH_DEFAULT.into()));
    }
    passed
}

fn failure(status: ExitStatus) -> Option<String> {
    match (status.code(), status.signal()) {
        (Some(0), _) => None,
        (Some(code), _) => Some(format!("exited with status {code}")),
        (None, signal) => Some(format!("was ended by signal {}", signal.unwrap_or_default())),
    }
}

/// Ends a whole process group. Its leader is reaped only afterwards, so that its number cannot have become another's.
async fn end_group(child: &mut Child) {
    let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    if let Some(pid) = pid {
        // Neither can fail but for a group that is gone.
        let _ = kill_process_group(pid, Signal::TERM);
        let left = async {
            while matches!(waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG), Ok(None)) {
                sleep(LOOK_EVERY).await;
            }
        };
        drop(timeout(KILL_GRACE, left).await);
        let _ = kill_process_group(pid, Signal::KILL);
    }
    drop(child.wait().await);
}

#[cfg(test)]
mod tests;
