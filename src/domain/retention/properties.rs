//! What holds of retention for any input.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::sample::select;

use super::{Candidate, Drops, Keep, Ruling, judge, judge_without_the_last};
use crate::domain::inventory::ItemId;
use crate::domain::wall_clock::Zone;

const ZONES: [&str; 8] = [
    "UTC",
    "Europe/Oslo",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Pacific/Apia",
    "Africa/Casablanca",
    "Asia/Beirut",
];

/// Middles of clusters: changes of the clocks, midnight past the end of years, months and ISO weeks.
const MIDDLES: [&str; 10] = [
    "2026-03-29T01:00:00Z",
    "2026-10-25T01:00:00Z",
    "2010-11-07T02:31:00Z",
    "2011-12-30T10:00:00Z",
    "2026-04-04T15:00:00Z",
    "2020-12-31T23:30:00Z",
    "2027-01-01T00:00:00Z",
    "2027-01-03T23:59:59Z",
    "2024-02-29T23:00:00Z",
    "1969-12-31T23:59:59Z",
];

fn keep() -> impl Strategy<Value = Keep> {
    let count = || prop_oneof![2 => Just(0u32), 3 => 1..4u32, 1 => 4..8u32];
    (count(), count(), count(), count(), count(), count()).prop_map(|(last, hourly, daily, weekly, monthly, yearly)| Keep {
        last,
        hourly,
        daily,
        weekly,
        monthly,
        yearly,
    })
}

/// Times within minutes, hours, days or years of a cluster's middle, in order.
fn times() -> impl Strategy<Value = Vec<Timestamp>> {
    let spread = select(vec![600i64, 7_200, 90_000, 700_000, 6_000_000, 90_000_000]);
    let time = (spread, -1000..1000i64).prop_map(|(spread, part)| SignedDuration::from_secs(spread * part / 1000));
    (select(&MIDDLES[..]), prop::collection::vec(time, 0..40)).prop_map(|(middle, parts)| {
        let middle: Timestamp = middle.parse().unwrap();
        let mut times: Vec<Timestamp> = parts.into_iter().map(|part| middle + part).collect();
        times.sort();
        times
    })
}

fn zone() -> impl Strategy<Value = Zone> {
    select(&ZONES[..]).prop_map(|name| TimeZone::get(name).unwrap().into())
}

/// Items as a provider numbers them: a later one has the higher number.
fn items(times: &[Timestamp]) -> Vec<Candidate> {
    times.iter().enumerate().map(|(id, time)| Candidate { id: ItemId(id as u64), time: *time, slot: None }).collect()
}

fn dropped(keep: &Keep, zone: &Zone, items: &[Candidate]) -> Vec<ItemId> {
    items.iter().zip(judge(keep, zone, items).kept()).filter(|(_, is_kept)| !is_kept).map(|(item, _)| item.id).collect()
}

fn kept(keep: &Keep, zone: &Zone, items: &[Candidate]) -> BTreeSet<ItemId> {
    let gone = dropped(keep, zone, items);
    items.iter().map(|item| item.id).filter(|id| !gone.contains(id)).collect()
}

/// Items of few slots, so that some share one.
fn with_slots(items: &[Candidate], slots: &[u8]) -> Vec<Candidate> {
    let slot = |number: u8| (number < 12).then(|| Timestamp::UNIX_EPOCH + SignedDuration::from_hours(i64::from(number)));
    items.iter().zip(slots).map(|(item, number)| Candidate { slot: slot(*number), ..*item }).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_more_are_kept_than_the_counts_allow(keep in keep(), zone in zone(), times in times(), slots in prop::collection::vec(0..24u8, 40)) {
        let items = with_slots(&items(&times), &slots);
        prop_assert!(kept(&keep, &zone, &items).len() as u64 <= keep.sum());
    }

    #[test]
    fn the_newest_that_counts_is_kept(keep in keep(), zone in zone(), times in times(), slots in prop::collection::vec(0..24u8, 40)) {
        prop_assume!(!keep.is_empty());
        let items = with_slots(&items(&times), &slots);
        let counts = |item: &&Candidate| item.slot.is_none() || items.iter().all(|other| other.slot != item.slot || other.id >= item.id);
        let newest = items.iter().filter(counts).max_by_key(|item| (item.time, item.id));
        prop_assert!(newest.is_none_or(|item| kept(&keep, &zone, &items).contains(&item.id)));
    }

    #[test]
    fn of_one_slot_the_lowest_number_alone_counts(keep in keep(), zone in zone(), times in times(), slots in prop::collection::vec(0..24u8, 40)) {
        let items = with_slots(&items(&times), &slots);
        let lowest = |item: &&Candidate| item.slot.is_none() || items.iter().all(|other| other.slot != item.slot || other.id >= item.id);
        let alone: Vec<Candidate> = items.iter().filter(lowest).copied().collect();
        prop_assert_eq!(kept(&keep, &zone, &items), kept(&keep, &zone, &alone));
    }

    #[test]
    fn the_order_of_the_input_does_not_matter(
        (keep, zone, times) in (keep(), zone(), times()),
        slots in prop::collection::vec(0..24u8, 40),
        seed in any::<u64>(),
    ) {
        let items = with_slots(&items(&times), &slots);
        let mut pairs: Vec<(Candidate, Ruling)> = items.iter().copied().zip(judge(&keep, &zone, &items).iter()).collect();
        // Any order will do, so long as it is a different one for each seed.
        pairs.sort_by_key(|(item, _)| (item.id.0 + 1).wrapping_mul(seed | 1).rotate_left(17));
        let (shuffled, expected): (Vec<Candidate>, Vec<Ruling>) = pairs.into_iter().unzip();
        prop_assert_eq!(judge(&keep, &zone, &shuffled).iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn judging_without_the_last_is_judging_twice(
        (keep, zone, times) in (keep(), zone(), times()),
        slots in prop::collection::vec(0..24u8, 40),
        has_slots in any::<bool>(),
    ) {
        let items = if has_slots { with_slots(&items(&times), &slots) } else { items(&times) };
        let (drops, rulings) = judge_without_the_last(&keep, &zone, &items);
        prop_assert_eq!(rulings.iter().collect::<Vec<_>>(), judge(&keep, &zone, &items).iter().collect::<Vec<_>>());
        let others = judge(&keep, &zone, &items[..items.len().saturating_sub(1)]);
        let counted = others.iter().len().saturating_sub(1);
        let dropped: Vec<(usize, Ruling)> = others.iter().enumerate().take(counted).filter(|(_, ruling)| !ruling.is_keep()).collect();
        prop_assert_eq!(drops, Drops { count: dropped.len(), first: dropped.first().copied() });
    }

    #[test]
    fn what_was_kept_is_kept_again(keep in keep(), zone in zone(), times in times()) {
        let items = items(&times);
        let first = kept(&keep, &zone, &items);
        let rest: Vec<Candidate> = items.into_iter().filter(|item| first.contains(&item.id)).collect();
        prop_assert_eq!(kept(&keep, &zone, &rest), first);
    }

    #[test]
    fn pruning_after_each_arrival_is_pruning_once(keep in keep(), zone in zone(), times in times()) {
        let items = items(&times);
        let mut there: Vec<Candidate> = Vec::new();
        for item in &items {
            there.push(*item);
            let gone = dropped(&keep, &zone, &there);
            there.retain(|item| !gone.contains(&item.id));
        }
        let rolling: BTreeSet<ItemId> = there.iter().map(|item| item.id).collect();
        prop_assert_eq!(rolling, kept(&keep, &zone, &items));
    }

    #[test]
    fn so_is_letting_only_the_oldest_go_each_time(keep in keep(), zone in zone(), times in times()) {
        let items = items(&times);
        let mut there: Vec<Candidate> = Vec::new();
        for item in &items {
            there.push(*item);
            let oldest = dropped(&keep, &zone, &there).into_iter().min();
            there.retain(|item| Some(item.id) != oldest);
        }
        prop_assert_eq!(kept(&keep, &zone, &there), kept(&keep, &zone, &items));
    }
}
