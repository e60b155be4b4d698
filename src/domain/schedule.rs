//! When runs are due (contract §1).

/// A list of cron expressions in one time zone.
#[derive(Debug)]
pub struct Schedule {}
