//! What a process takes: memory and processor time, as the kernel counts them.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Command, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How often the memory of a tree of processes is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Clock ticks a second in `/proc`: fixed on Linux, whatever the kernel's own rate.
const TICKS: f64 = 100.0;

/// The memory of one process, in MiB.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Resident, all of it.
    pub resident: f64,
    /// Of that, pages of files: the program itself.
    pub file: f64,
    /// The most that was ever resident.
    pub peak: f64,
}

/// Reads it.
pub fn memory(pid: u32) -> Memory {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let mib = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    };
    Memory { resident: mib("VmRSS"), file: mib("RssFile") + mib("RssShmem"), peak: mib("VmHWM") }
}

/// Processor time of a process so far, user and system, in seconds.
pub fn cpu(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    fields(&stat, 11, 2)
}

/// Processor time of all processes that this one has waited for, and of theirs.
fn cpu_of_children() -> f64 {
    fields(&fs::read_to_string("/proc/self/stat").unwrap(), 13, 2)
}

/// The sum of fields of a `stat` file, counted after the name, which may hold anything.
fn fields(stat: &str, first: usize, count: usize) -> f64 {
    let after_name = stat.rsplit_once(") ").unwrap().1;
    after_name.split(' ').skip(first).take(count).map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / TICKS
}

/// What a command took.
#[derive(Debug, Clone, Copy)]
pub struct Took {
    pub wall: Duration,
    /// Of it and all its children, in seconds.
    pub cpu: f64,
    /// The most that it and its children had at one look; what they share is counted once. In MiB. Zero: nobody has looked.
    pub memory: f64,
}

/// Runs a command to its end, which must be a good one. Nothing looks at it meanwhile: that would hold it up and take processor time from it.
pub fn undisturbed(command: &mut Command) -> Took {
    timed(command, |child| (child.wait().unwrap(), 0.0))
}

/// Runs a command to its end, which must be a good one, and looks at its memory.
pub fn run(command: &mut Command) -> Took {
    timed(command, |child| {
        let mut most = 0.0_f64;
        loop {
            most = most.max(tree_memory(child.id()));
            if let Some(status) = child.try_wait().unwrap() {
                return (status, most);
            }
            sleep(LOOK_EVERY);
        }
    })
}

/// `wait` waits for its end, and says how much memory it has seen.
fn timed(command: &mut Command, wait: impl FnOnce(&mut Child) -> (ExitStatus, f64)) -> Took {
    let (begun, before) = (Instant::now(), cpu_of_children());
    let (status, memory) = wait(&mut command.spawn().unwrap());
    let wall = begun.elapsed();
    assert!(status.success(), "{command:?}: {status}");
    Took { wall, cpu: cpu_of_children() - before, memory }
}

/// The proportional memory of a process and everything below it, in MiB.
fn tree_memory(root: u32) -> f64 {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    let entries = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    for pid in entries {
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok());
        children.entry(parent.unwrap_or(0)).or_default().push(pid);
    }
    let mut open = vec![root];
    let mut kib = 0.0;
    while let Some(pid) = open.pop() {
        open.extend(children.get(&pid).into_iter().flatten());
        // One that ends meanwhile has nothing.
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:")?.trim().trim_end_matches(" kB").parse::<f64>().ok());
        kib += pss.unwrap_or(0.0);
    }
    kib / 1024.0
}
