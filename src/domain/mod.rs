//! The pure core: values in, values out. Nothing in here reads a clock, does I/O, logs, or knows YAML, HTTP or SQL.

pub mod advice;
pub mod assess;
pub mod capacity;
pub mod fact;
pub mod fleet;
pub(crate) mod gather;
pub mod globs;
pub mod guard;
pub mod hook;
pub mod inventory;
pub mod mark;
pub mod memory;
pub mod plan;
pub mod policy;
pub mod policy_text;
pub mod problem;
pub mod record;
pub mod report;
pub mod retention;
pub mod roster;
pub mod run;
pub mod schedule;
pub mod setup;
pub mod standing;
#[cfg(test)]
mod testing;
pub mod text;
pub mod view;
pub mod wall_clock;
pub(crate) mod words;
