//! The built program, as an operator starts it, against the emulated provider. What is asserted on is the provider's ledger, exit codes and what is printed:
//! never an inner value.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "the helpers of tests, too, end a test by a panic")]

mod canary;
mod caps;
mod clients;
mod commands;
mod compare;
mod control;
mod crashes;
mod daemon;
mod damage;
mod delivery;
mod doubt;
mod first_hour;
mod floods;
mod full_disk;
mod history;
mod history_command;
mod history_tests;
mod hooks;
mod kills;
mod lists;
mod manager;
mod notices;
mod orders;
mod page;
mod printed;
mod refusals;
mod restore;
mod runs;
mod simulate_command;
mod stage;
mod terminal;
mod webdriver;
