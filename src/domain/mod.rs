//! The pure core: values in, values out. Nothing in here reads a clock, does I/O, logs, or knows YAML, HTTP or SQL.

pub mod inventory;
pub mod mark;
pub mod policy;
pub mod problem;
pub mod retention;
pub mod schedule;
pub mod wall_clock;
