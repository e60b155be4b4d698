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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::tz::TimeZone;

    use super::*;
    use crate::domain::schedule::Expression;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn schedule(text: &str) -> Schedule {
        Schedule::new(vec![Arc::new(Expression::parse(text).unwrap())], TimeZone::UTC)
    }

    fn due(catch_up_secs: u64, now: &str) -> (Timestamp, Timeliness) {
        let (offset, catch_up) = (Duration::from_secs(600), Duration::from_secs(catch_up_secs));
        let due = newest_due(&schedule("30 3 * * *"), offset, catch_up, time(now)).unwrap();
        assert_eq!(due.since, due.slot + offset);
        (due.slot, due.timeliness)
    }

    #[test]
    fn a_slot_is_due_from_its_offset_on() {
        let (yesterday, today) = (time("2026-11-20T03:30:00Z"), time("2026-11-21T03:30:00Z"));
        assert_eq!(due(7200, "2026-11-21T03:39:59.999999999Z"), (yesterday, Timeliness::TooLate));
        assert_eq!(due(7200, "2026-11-21T03:40:00Z"), (today, Timeliness::OnTime));
        assert_eq!(due(7200, "2026-11-21T03:41:00Z"), (today, Timeliness::OnTime));
        assert_eq!(due(7200, "2026-11-21T03:41:00.000000001Z"), (today, Timeliness::MakeUp));
        assert_eq!(due(7200, "2026-11-21T05:40:00Z"), (today, Timeliness::MakeUp));
        assert_eq!(due(7200, "2026-11-21T05:40:00.000000001Z"), (today, Timeliness::TooLate));
    }

    #[test]
    fn without_catch_up_a_minute_late_is_still_on_time() {
        let today = time("2026-11-21T03:30:00Z");
        assert_eq!(due(0, "2026-11-21T03:41:00Z"), (today, Timeliness::OnTime));
        assert_eq!(due(0, "2026-11-21T03:41:01Z"), (today, Timeliness::TooLate));
        assert_eq!(due(30, "2026-11-21T03:40:59Z"), (today, Timeliness::OnTime));
    }

    #[test]
    fn of_several_passed_slots_the_newest_is_due() {
        let found =
            newest_due(&schedule("0 * * * *"), Duration::from_millis(1500), Duration::from_secs(7200), time("2026-11-21T05:00:01Z"));
        assert_eq!(found.map(|due| (due.slot, due.timeliness)), Some((time("2026-11-21T04:00:00Z"), Timeliness::MakeUp)));
    }

    #[test]
    fn absurd_offsets_give_nothing() {
        assert_eq!(newest_due(&schedule("0 * * * *"), Duration::MAX, Duration::ZERO, time("2026-11-21T05:00:01Z")), None);
    }

    const PINNED: [u128; 6] = [250_935, 160_781, 496_916, 1_018_351, 887_707, 1_125_891];

    /// Pinned: a change of any of these moves every server's runs.
    #[test]
    fn the_splay_is_the_same_for_ever() {
        let minutes_20 = Duration::from_secs(1200);
        let found: Vec<u128> = [("web", 1), ("web", 2), ("web", 12345), ("db", 1), ("", 0), ("web", u64::MAX)]
            .map(|(policy, server)| splay_offset(policy, ServerId(server), minutes_20).as_millis())
            .to_vec();
        assert_eq!(found, PINNED);
        // A longer splay stretches the same order.
        assert_eq!(splay_offset("web", ServerId(12345), Duration::from_secs(12_000)).as_millis() / 10, PINNED[2]);
    }

    #[test]
    fn the_splay_stays_below_its_limit() {
        for splay in [Duration::ZERO, Duration::from_micros(999)] {
            assert_eq!(splay_offset("web", ServerId(1), splay), Duration::ZERO);
        }
        for splay in [Duration::from_millis(1), Duration::from_millis(2), Duration::from_secs(1), Duration::MAX] {
            assert!((0..1000).all(|server| splay_offset("web", ServerId(server), splay) < splay), "{splay:?}");
        }
    }

    #[test]
    fn the_splay_is_even() {
        let splay = Duration::from_secs(1800);
        for policy in ["web", "database", "x"] {
            let mut counts = [0f64; 30];
            for server in 0..30_000 {
                counts[(splay_offset(policy, ServerId(server), splay).as_secs() / 60) as usize] += 1.0;
            }
            let chi_square: f64 = counts.iter().map(|count| (count - 1000.0).powi(2) / 1000.0).sum();
            // 29 degrees of freedom: 99.9 % of even samples lie below 58.3, and 0.1 % below 10.2 (too even to be a hash).
            assert!((10.2..58.3).contains(&chi_square), "{policy}: {chi_square}");
        }
    }
}
