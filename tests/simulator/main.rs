//! Simulated histories: every fault, every crash, for weeks within milliseconds. `docs/reliability.md` tells what is promised and how to replay.

#![allow(clippy::unwrap_used, reason = "the helpers of tests, too, end a test by a panic")]

/// See `docs/decisions.md`, "The system's allocator, told not to hoard".
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod calm;
mod corpus;
mod orders;
mod pairs;
mod plans;
mod seeds;
mod story;
mod strangers;
