//! The state of everything at one moment, for metrics, the status page and `status`.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::inventory::{Kind, ServerId};
use super::policy::Limits;
use super::problem::{AccountReason, Problem};

/// The state of everything at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The moment.
    pub at: Timestamp,
    /// One entry for each server and kind that a policy is for, by server number, then kind.
    pub targets: Vec<TargetReport>,
    /// One entry for each kind of each configured policy.
    pub policies: Vec<PolicyReport>,
    /// What is wrong with the account as a whole, each with a sentence.
    pub account: Vec<AccountProblem>,
    /// How many servers have a policy.
    pub servers_configured: usize,
    /// The caps.
    pub limits: Limits,
    /// Whether the provider answered last time.
    pub provider_up: bool,
    /// The provider's clock minus ours, in seconds; none before the first answer.
    pub clock_skew_seconds: Option<f64>,
    /// Whether everything was seen at least once since the start.
    pub observed: bool,
    /// Which replica acts; none where there is only one.
    pub leader: Option<Leader>,
}

/// Which of several replicas acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leader {
    /// What this replica is called among them.
    pub identity: String,
    /// Whether this one acts.
    pub leads: bool,
    /// Who has the lease, as far as is known; none: nobody.
    pub holder: Option<String>,
}

/// The state of one server and kind.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetReport {
    /// The server.
    pub server: ServerId,
    /// Its name: the provider's if known, else the configured one, else empty.
    pub server_name: Arc<str>,
    /// Snapshots or backups.
    pub kind: Kind,
    /// The policy's name.
    pub policy: Arc<str>,
    /// What was last seen at the provider; none before the first listing.
    pub seen: Option<Seen>,
    /// Each of these items, the oldest first, as far as it could be read; automatic backups are not among them.
    pub items: Arc<[SeenItem]>,
    /// When a run last ended well.
    pub last_success_at: Option<Timestamp>,
    /// When a run last ended, well or not; none: not that the journal knows of.
    pub last_run_at: Option<Timestamp>,
    /// The next slot plus the server's offset.
    pub next_run_at: Option<Timestamp>,
    /// When the next success is due, lateness allowed for.
    pub overdue_after: Option<Timestamp>,
    /// Whether a run is on now.
    pub running: bool,
    /// What is wrong, the gravest first; at most one entry for a reason.
    pub problems: Vec<Problem>,
}

/// What the provider shows of one server and kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// Items that count against the cap, whoever made them.
    pub used: u32,
    /// Those of them that are neither ours nor adopted.
    pub others: u32,
    /// Completed items that are ours or adopted.
    pub restore_points: u32,
    /// When the newest of these was begun.
    pub newest_completed_at: Option<Timestamp>,
}

/// One item of a server and kind. One is kept for every item of the account, so it is small: 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenItem {
    /// When it was begun, in seconds since 1970.
    second: i64,
    /// What it is to us.
    pub standing: Standing,
}

/// What an item is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// A restore point that is ours.
    Ours,
    /// A restore point that was given into our care.
    Adopted,
    /// Complete and under our care, but left alone: held, protected, or dated in the future.
    SetAside,
    /// Under our care, and being made, or of a status that is not known.
    Unfinished,
    /// Under our care, and failed.
    Failed,
    /// Others'.
    Other,
}

impl SeenItem {
    /// An item that was begun then.
    #[must_use]
    pub fn new(at: Timestamp, standing: Standing) -> SeenItem {
        SeenItem { second: at.as_second(), standing }
    }

    /// When it was begun, to the second.
    #[must_use]
    pub fn at(self) -> Timestamp {
        Timestamp::from_second(self.second).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

/// What is told for each kind of a policy.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyReport {
    /// The policy's name.
    pub policy: Arc<str>,
    /// Snapshots or backups.
    pub kind: Kind,
    /// The next slot, before splay; none where no server uses the policy.
    pub next_run_at: Option<Timestamp>,
    /// The longest time between two slots.
    pub expected_interval: Duration,
}

/// Something wrong with the account as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountProblem {
    /// What.
    pub reason: AccountReason,
    /// In words.
    pub detail: String,
}
