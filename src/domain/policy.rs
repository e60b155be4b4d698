//! What is wanted: policies, which servers they are for, and the limits of the whole.

use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

use jiff::Timestamp;

use super::globs::Globs;
use super::inventory::{ItemId, Kind, ServerId};
use super::policy_text::PolicyText;
use super::retention::Keep;
use super::schedule::Schedule;

/// What to do when no slot is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtCap {
    /// Give one item first.
    Rotate,
    /// Make nothing.
    Refuse,
}

/// When the `after` hook is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterOn {
    /// The provider has taken the order.
    Accepted,
    /// The item is complete.
    Completed,
}

/// What a failing `before` hook means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// No item is made.
    Abort,
    /// The item is made all the same.
    Continue,
}

/// One command of an operator's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// The program and its arguments; no shell reads them. Never empty.
    pub run: Vec<String>,
    /// It is killed after this.
    pub timeout: Duration,
}

/// The commands around a create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hooks {
    /// Before it.
    pub before: Option<Hook>,
    /// After it; always runs once `before` was started.
    pub after: Option<Hook>,
    /// When `after` is due.
    pub after_on: AfterOn,
    /// `after` runs at the latest then.
    pub max_hold: Duration,
    /// What a failing `before` means.
    pub on_failure: OnFailure,
}

/// What a policy says of one kind.
#[derive(Debug, Clone)]
pub struct KindPolicy {
    /// The policy's name.
    pub policy: Arc<str>,
    /// Snapshots or backups.
    pub kind: Kind,
    /// When. Carries the time zone, which is that of the retention periods too.
    pub schedule: Arc<Schedule>,
    /// Each server starts at a stable offset within it.
    pub splay: Duration,
    /// How late a run may still be made up for.
    pub catch_up: Duration,
    /// What stays.
    pub keep: Keep,
    /// Slots that `keep` leaves free.
    pub leave_free: u32,
    /// What to do when no slot is free all the same.
    pub at_cap: AtCap,
    /// Names (of backups: descriptions) of items without a mark that retention may also delete.
    pub adopt: Globs,
    /// Names (of backups: descriptions) of items without a mark that are never deleted.
    pub protect: Globs,
    /// Completed items under our care that always stay; at least 1.
    pub min_keep: u32,
    /// From this age on, an unfinished item of ours is stuck.
    pub stuck_after: Duration,
    /// The commands around a create.
    pub hooks: Option<Hooks>,
    /// All of this as text, once anybody has asked for that.
    pub text: TextOnce,
}

impl KindPolicy {
    /// The policy as text, with its digest. It is made when it is first asked for, so the policy must not be changed after.
    #[must_use]
    pub fn text(&self) -> &Arc<PolicyText> {
        self.text.0.get_or_init(|| PolicyText::of(self).into())
    }
}

/// Where a policy keeps its text. A clone keeps none yet, for it may be changed.
#[derive(Debug, Default)]
pub struct TextOnce(OnceLock<Arc<PolicyText>>);

impl Clone for TextOnce {
    fn clone(&self) -> TextOnce {
        TextOnce::default()
    }
}

/// The policies of one server, at most one for each kind.
#[derive(Debug, Clone, Default)]
pub struct Assignment {
    /// For snapshots.
    pub snapshot: Option<Arc<KindPolicy>>,
    /// For backups.
    pub backup: Option<Arc<KindPolicy>>,
}

impl Assignment {
    /// The policy for a kind.
    #[must_use]
    pub fn get(&self, kind: Kind) -> Option<&Arc<KindPolicy>> {
        match kind {
            Kind::Snapshot => self.snapshot.as_ref(),
            Kind::Backup => self.backup.as_ref(),
        }
    }

    /// Whether it asks for nothing (`policy: none`).
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.snapshot.is_none() && self.backup.is_none()
    }
}

/// Which server, or servers, an entry is for.
#[derive(Debug, Clone, PartialEq)]
pub enum Selector {
    /// One, by number.
    Id {
        /// Its number.
        id: ServerId,
        /// The name it should have; another one at the provider stops deletes there.
        name: Option<String>,
    },
    /// All whose name matches.
    Match {
        /// Any of these.
        patterns: Globs,
        /// None of these.
        exclude: Globs,
        /// So many there must be at least; fewer are an error that is told.
        at_least: u32,
    },
}

/// One entry under `servers`.
#[derive(Debug, Clone)]
pub struct ServerEntry {
    /// Which servers.
    pub selector: Selector,
    /// Their policies. Empty for `policy: none`.
    pub assignment: Assignment,
    /// Items that are never deleted, of either kind.
    pub protect_ids: Vec<ItemId>,
    /// No runs before.
    pub paused_until: Option<Timestamp>,
    /// Where the entry stands, as `file:line`, for messages.
    pub place: String,
}

impl ServerEntry {
    /// Whether it is a `match` entry that names a server called so.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        match &self.selector {
            Selector::Match { patterns, exclude, .. } => patterns.is_match(name) && !exclude.is_match(name),
            Selector::Id { .. } => false,
        }
    }
}

/// The fuse: how many deletes there may be beyond those that completed creates have paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fuse {
    /// `false`: deletes are only told.
    pub enabled: bool,
    /// Extra ones for one server and kind in one run.
    pub extra_per_server: u32,
    /// Extra ones in all within 24 hours.
    pub extra_per_day: u32,
}

/// The provider's caps, for each server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Snapshots.
    pub snapshots: u32,
    /// Manual backups.
    pub manual_backups: u32,
}

impl Limits {
    /// The cap of a kind.
    #[must_use]
    pub fn of(self, kind: Kind) -> u32 {
        match kind {
            Kind::Snapshot => self.snapshots,
            Kind::Backup => self.manual_backups,
        }
    }
}

/// Everything wanted: what the pure core needs of a configuration.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Whose items these are, in every mark.
    pub owner: Box<str>,
    /// Owners whose marks also count as ours.
    pub former_owners: Vec<Box<str>>,
    /// The provider's caps.
    pub limits: Limits,
    /// The fuse.
    pub fuse: Fuse,
    /// The entries under `servers`, in the order of the files.
    pub entries: Vec<ServerEntry>,
    /// Each kind of each policy, for what is told per policy, used by a server or not.
    pub policies: Vec<Arc<KindPolicy>>,
}

impl Wanted {
    /// Whether items with this owner in their mark are ours.
    #[must_use]
    #[inline]
    pub fn is_ours(&self, owner: &str) -> bool {
        *self.owner == *owner || self.former_owners.iter().any(|former| **former == *owner)
    }
}
