//! Configurations, good and bad, through the public interface.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "the helpers of tests, too, end a test by a panic")]

mod bad;
mod good;
mod hostile;
mod reference;
mod schema;
mod several_files;
mod shape;
mod token;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use snapwarden::config::{self, Config, Diagnostics};

/// A folder to write files into.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// A folder of this repository.
fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The `*.yaml` files of a folder, by name.
fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    paths.sort();
    paths
}

fn load(path: &Path) -> Result<Config, Diagnostics> {
    let at: Timestamp = "2026-11-21T00:00:00Z".parse().unwrap();
    config::load(path, at)
}

/// Loads a text as the only file of a folder of its own.
fn load_text(text: &str) -> Result<Config, Diagnostics> {
    let folder = folder();
    let path = folder.path().join("snapwarden.yaml");
    std::fs::write(&path, text).unwrap();
    load(&path)
}

/// A text around the given policies and servers that is right otherwise.
fn whole(policies: &str, servers: &str) -> String {
    format!("owner: prod\nprovider: {{token_file: token}}\npolicies:\n{policies}\nservers:\n{servers}\n")
}
