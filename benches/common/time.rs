//! The clock of the benchmarks that do no I/O.

use std::time::Duration;

/// What it does, and the processor time that this process has used for it: the machine may be busy otherwise.
pub fn timed<T>(once: impl FnOnce() -> T) -> (T, Duration) {
    let begun = used();
    let result = once();
    (result, used() - begun)
}

fn used() -> Duration {
    rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime).try_into().unwrap()
}
