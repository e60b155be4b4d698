//! Several replicas and a lease: the adapter against a stub of the Kubernetes API, and built daemons judged by the emulator's ledger.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "the helpers of tests, too, end a test by a panic")]

mod adapter;
mod api;
mod cluster;
mod daemons;
mod replicas;
#[path = "../binary/stage.rs"]
#[allow(dead_code, reason = "most of it is for the other tests")]
mod stage;
