//! The command line: one file a command.

pub mod retention;
pub mod schedule;
