//! Takes and retires VPS.org server snapshots and backups by policy.
//!
//! `ARCHITECTURE.md` tells how the modules fit together; `domain` is the place to start reading.

pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod controller;
pub mod domain;
pub mod emulator;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod journal;
pub mod leader;
pub mod notices;
pub mod outgoing;
pub mod provider;
pub mod runner;
pub mod serve;
pub mod simulate;
pub(crate) mod task;
pub mod telemetry;
