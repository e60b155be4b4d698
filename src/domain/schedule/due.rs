//! Which slot is due, and how much later than the schedule says a server begins.

use std::hash::Hasher;
use std::time::Duration;

use jiff::Timestamp;
use siphasher::sip::SipHasher13;

use super::Schedule;
use crate::domain::inventory::ServerId;

/// Up to this late, a run is on time.
pub const ON_TIME: Duration = Duration::from_secs(60);

/// The newest slot that has become due. A slot is a scheduled time, before splay; older ones that passed with it are missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The slot.
    pub slot: Timestamp,
    /// Since when it is due: slot + offset.
    pub since: Timestamp,
    /// Whether it may still be run for.
    pub timeliness: Timeliness,
}

/// How late it is for a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timeliness {
    /// At most [`ON_TIME`] late.
    OnTime,
    /// Later, but within the policy's `catch_up`.
    MakeUp,
    /// Later than that: missed.
    TooLate,
}

/// The newest slot with slot + `offset` ≤ `now`; none if the schedule never fired before.
#[must_use]
pub fn newest_due(schedule: &Schedule, offset: Duration, catch_up: Duration, now: Timestamp) -> Option<Due> {
    let slot = schedule.newest_at_or_before(now.checked_sub(offset).ok()?)?;
    let since = slot.checked_add(offset).ok()?;
    let late = now.duration_since(since).unsigned_abs();
    let timeliness = if late <= ON_TIME {
        Timeliness::OnTime
    } else if late <= catch_up {
        Timeliness::MakeUp
    } else {
        Timeliness::TooLate
    };
    Some(Due { slot, since, timeliness })
}

/// How long after a slot the run of one server begins: uniform over the servers in `[0, splay)`, in whole milliseconds, and the same for ever.
///
/// SipHash-1-3 with both keys 0 over the server's number (8 bytes, little-endian) and the policy's name.
#[must_use]
pub fn splay_offset(policy: &str, server: ServerId, splay: Duration) -> Duration {
    let mut hasher = SipHasher13::new_with_keys(0, 0);
    hasher.write(&server.0.to_le_bytes());
    hasher.write(policy.as_bytes());
    // The hash read as a fraction of 1, times the range: even without a remainder's bias.
    let offset_ms = (u128::from(hasher.finish()) * (splay.as_millis() & u128::from(u64::MAX))) >> 64;
    Duration::from_millis(u64::try_from(offset_ms).unwrap_or(0))
}
