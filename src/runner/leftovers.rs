//! What an earlier process has left running: a daemon that was killed takes its hooks with it only where a service manager sees to that.
//!
//! A `before` that goes on after the `after` of the next start would freeze for good, so it is ended first.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use rustix::process::{Pid, Signal, getpid, kill_process};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::domain::gather::gather;

use super::{Environment, KILL_GRACE, LOOK_EVERY};

/// Ends all processes that have this environment of a hook: first politely, then the other way.
pub(super) async fn end(environment: &Environment) {
    let marks = marks(environment);
    let looks = KILL_GRACE.as_millis() / LOOK_EVERY.as_millis();
    for look in 0..=looks {
        let marks = marks.clone();
        let found = spawn_blocking(move || find(&marks)).await.unwrap_or_default();
        if found.is_empty() {
            return;
        }
        let signal = if look == looks { Signal::KILL } else { Signal::TERM };
        // One that has ended meanwhile is what is wanted.
        for pid in found.into_iter().filter(|_| look == 0 || look == looks) {
            let _ = kill_process(pid, signal);
        }
        sleep(LOOK_EVERY).await;
    }
}

/// The entries of an environment, as the system shows them.
pub(super) fn marks(environment: &Environment) -> BTreeSet<Vec<u8>> {
    gather(environment.iter().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat()))
}

/// Processes with all of these in their environment, as far as the system tells; not this one. A zombie has none.
pub(super) fn find(marks: &BTreeSet<Vec<u8>>) -> Vec<Pid> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let numbers = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let pids = numbers.filter_map(Pid::from_raw).filter(|pid| *pid != getpid());
    let has_all = |pid: &Pid| {
        let environment = fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero())).unwrap_or_default();
        let found: BTreeSet<&[u8]> = gather(environment.split(|byte| *byte == 0).filter(|entry| marks.contains(*entry)));
        found.len() == marks.len()
    };
    pids.filter(has_all).collect()
}
