//! Simulated histories: every fault, every crash, for weeks within milliseconds. `docs/reliability.md` tells what is promised and how to replay.

mod calm;
mod corpus;
mod pairs;
mod plans;
mod seeds;
mod story;
