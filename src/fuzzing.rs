//! The fuzz targets of `fuzz/`: one function each, which panics where something does not hold. What that is stands beside the code that it is about.
//!
//! `cargo fuzz` compiles this in by its own `cfg(fuzzing)`, the tests of this crate run the inputs in `fuzz/corpus`; no other build has it.

#![allow(clippy::expect_used, reason = "a panic is how a finding is told")]

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

/// A text as the configuration.
pub fn config(data: &[u8]) {
    let folder = Folder::new();
    crate::config::fuzzing::check(&folder.0, data);
}

/// Expressions, a time zone and a time.
pub fn cron(data: &[u8]) {
    crate::domain::schedule::fuzzing::check(data);
}

/// Records for the journal.
pub fn journal(data: &[u8]) {
    let folder = Folder::new();
    crate::journal::fuzzing::check(&folder.0, data);
}

/// The pages of a listing.
pub fn listing(data: &[u8]) {
    crate::provider::fuzzing::check_listing(data);
}

/// A description.
pub fn mark(data: &[u8]) {
    crate::domain::guard::fuzzing::check(data);
}

/// A refusal: status, `Retry-After` and body.
pub fn refusal(data: &[u8]) {
    crate::provider::fuzzing::check_refusal(data);
}

/// A folder in memory, where the system has one, that goes when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let parent = Some(PathBuf::from("/dev/shm")).filter(|folder| folder.is_dir()).unwrap_or_else(std::env::temp_dir);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = parent.join(format!("snapwarden-fuzz-{}-{number}", std::process::id()));
        fs::create_dir(&folder).expect("a folder is made");
        Folder(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Runs every input that is checked in.
    fn replay(target: &str, run: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
        let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        assert!(paths.len() >= 5, "the inputs for `{target}` are not there");
        for path in paths {
            println!("{}", path.display());
            run(&fs::read(path).unwrap());
        }
    }

    #[test]
    fn configurations() {
        replay("config", config);
    }

    #[test]
    fn cron_expressions() {
        replay("cron", cron);
    }

    #[test]
    fn journal_records() {
        replay("journal", journal);
    }

    #[test]
    fn listings() {
        replay("listing", listing);
    }

    #[test]
    fn marks() {
        replay("mark", mark);
    }

    #[test]
    fn refusals() {
        replay("refusal", refusal);
    }
}
