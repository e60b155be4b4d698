//! The usual `process_*` metrics, read from `/proc/self` (proc(5)).
//!
//! The prometheus crate's own collector would do the same by way of a procfs crate; these few numbers need no crate.

use std::fs;

use super::exposition::{Exposition, Number};

/// What the kernel says of this process. A number that cannot be read is absent.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ProcessReading {
    /// Time spent on a processor, in user and kernel mode.
    pub cpu_seconds: Option<f64>,
    /// Open file descriptors.
    pub open_fds: Option<u64>,
    /// The limit of them; none where there is no limit.
    pub max_fds: Option<u64>,
    /// Size of the address space.
    pub virtual_bytes: Option<u64>,
    /// Memory in use.
    pub resident_bytes: Option<u64>,
    /// When the process started, in seconds since 1970.
    pub start_time_seconds: Option<f64>,
    /// Threads.
    pub threads: Option<u64>,
}

impl ProcessReading {
    /// Reads it.
    #[must_use]
    pub fn take() -> ProcessReading {
        let ticks_per_second = rustix::param::clock_ticks_per_second() as f64;
        let page_bytes = rustix::param::page_size() as u64;
        let stat = fs::read_to_string("/proc/self/stat").ok().and_then(|text| Stat::parse(&text));
        let booted = fs::read_to_string("/proc/stat").ok().and_then(|text| boot_time(&text));
        let limits = fs::read_to_string("/proc/self/limits").ok();
        ProcessReading {
            cpu_seconds: stat.map(|stat| stat.cpu_ticks as f64 / ticks_per_second),
            // The descriptor that lists the folder is one of those listed.
            open_fds: fs::read_dir("/proc/self/fd").ok().map(|entries| (entries.count() as u64).saturating_sub(1)),
            max_fds: limits.and_then(|text| max_open_files(&text)),
            virtual_bytes: stat.map(|stat| stat.virtual_bytes),
            resident_bytes: stat.map(|stat| stat.resident_pages.saturating_mul(page_bytes)),
            start_time_seconds: stat.zip(booted).map(|(stat, booted)| booted as f64 + stat.start_ticks as f64 / ticks_per_second),
            threads: stat.map(|stat| stat.threads),
        }
    }
}

/// Writes a family for each number there is, under the names that all Prometheus clients use.
pub fn write(reading: &ProcessReading, out: &mut Exposition) {
    if let Some(seconds) = reading.cpu_seconds {
        out.counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.").sample("", Number::Real(seconds));
    }
    let gauges = [
        ("process_open_fds", "Number of open file descriptors.", reading.open_fds.map(Number::Whole)),
        ("process_max_fds", "Maximum number of open file descriptors.", reading.max_fds.map(Number::Whole)),
        ("process_virtual_memory_bytes", "Virtual memory size in bytes.", reading.virtual_bytes.map(Number::Whole)),
        ("process_resident_memory_bytes", "Resident memory size in bytes.", reading.resident_bytes.map(Number::Whole)),
        (
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            reading.start_time_seconds.map(Number::Real),
        ),
        ("process_threads", "Number of OS threads in the process.", reading.threads.map(Number::Whole)),
    ];
    for (name, help, value) in gauges {
        if let Some(value) = value {
            out.gauge(name, help).sample("", value);
        }
    }
}

/// The fields of `/proc/self/stat` that are used.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Stat {
    cpu_ticks: u64,
    threads: u64,
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    /// The second field, the program's name in brackets, may itself hold spaces and brackets: the fields are counted from the last bracket on.
    fn parse(text: &str) -> Option<Stat> {
        let fields: Vec<&str> = text.get(text.rfind(')')? + 1..)?.split_ascii_whitespace().collect();
        // proc(5) numbers the fields from 1; the first one here is number 3.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Stat {
            cpu_ticks: field(14)?.saturating_add(field(15)?),
            threads: field(20)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

/// `btime` in `/proc/stat`: when the machine was started, in seconds since 1970.
fn boot_time(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

/// The soft limit in the line `Max open files` of `/proc/self/limits`.
fn max_open_files(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("Max open files"))?.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "42 (a) b (c) S 1 42 42 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 7 0 1234 1000000 256 18446744073709551615 1 1";

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let wanted = Stat { cpu_ticks: 200, threads: 7, start_ticks: 1234, virtual_bytes: 1_000_000, resident_pages: 256 };
        assert_eq!(Stat::parse(STAT), Some(wanted));
    }

    #[test]
    fn broken_texts_are_no_reading() {
        for text in ["", "42", "42 (x", "42 (x)", "42 (x) S 1 2 3"] {
            assert_eq!(Stat::parse(text), None, "{text:?}");
        }
        assert_eq!(max_open_files("Max open files            unlimited            unlimited            files\n"), None);
        assert_eq!(max_open_files("Max open files            1024                 4096                 files\n"), Some(1024));
        assert_eq!(boot_time("cpu 1 2\nbtime 1790000000\n"), Some(1_790_000_000));
        assert_eq!(boot_time("btime soon\n"), None);
    }

    #[test]
    fn this_process_has_every_number() {
        let reading = ProcessReading::take();
        assert!(reading.open_fds > Some(0) && reading.threads > Some(0) && reading.resident_bytes > Some(0));
        assert!(reading.virtual_bytes > reading.resident_bytes && reading.cpu_seconds.is_some());
        assert!(reading.start_time_seconds > Some(1.0e9));
    }
}
