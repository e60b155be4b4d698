//! The provider's limits, durations and habits.

use std::time::Duration;

use crate::domain::inventory::Kind;

/// How the provider behaves.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Snapshots a server may have (documented: 5).
    pub snapshots_max: usize,
    /// Manual backups a server may have (documented: 10).
    pub manual_backups_max: usize,
    /// Characters of a snapshot's name. Not documented; 63 is what a careful client keeps to.
    pub name_chars_max: usize,
    /// How long a snapshot takes (documented: 3 to 10 minutes).
    pub snapshot_takes: Duration,
    /// How long a backup takes.
    pub backup_takes: Duration,
    /// How long a restore takes (documented: 5 to 15 minutes).
    pub restore_takes: Duration,
    /// Whether later items may have lower numbers, as seen at the provider.
    pub scattered_ids: bool,
    /// The number near which those of snapshots begin.
    pub first_snapshot_id: u64,
    /// The number near which those of backups begin.
    pub first_backup_id: u64,
    /// The provider's own plan of backups; `None`: there is none.
    pub automatic_backups: Option<AutomaticBackups>,
}

/// The provider's own plan: a completed backup of every server each `every`, removed after `keep`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AutomaticBackups {
    /// The pause between two; at least a millisecond.
    pub every: Duration,
    /// How long each is kept.
    pub keep: Duration,
}

impl Default for Rules {
    /// As documented, with numbers that are not in order of time and without automatic backups.
    fn default() -> Rules {
        Rules {
            snapshots_max: 5,
            manual_backups_max: 10,
            name_chars_max: 63,
            snapshot_takes: Duration::from_secs(5 * 60),
            backup_takes: Duration::from_secs(10 * 60),
            restore_takes: Duration::from_secs(10 * 60),
            scattered_ids: true,
            first_snapshot_id: 801,
            first_backup_id: 501,
            automatic_backups: None,
        }
    }
}

impl Rules {
    /// The same, with snapshots, backups and restores that take this long.
    #[must_use]
    pub fn everything_takes(mut self, time: Duration) -> Rules {
        (self.snapshot_takes, self.backup_takes, self.restore_takes) = (time, time, time);
        self
    }

    /// How many items a server may have; automatic ones apart.
    pub(super) fn cap(&self, kind: Kind) -> usize {
        match kind {
            Kind::Snapshot => self.snapshots_max,
            Kind::Backup => self.manual_backups_max,
        }
    }

    /// How long an item takes.
    pub(super) fn takes(&self, kind: Kind) -> Duration {
        match kind {
            Kind::Snapshot => self.snapshot_takes,
            Kind::Backup => self.backup_takes,
        }
    }
}
