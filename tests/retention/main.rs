//! The retention rule over all small sets of items, against a second, naive implementation.
//!
//! The product of all that an item can be (status × owner × protection × time) has 192 letters, and 2·10⁹ multisets of up to five. So there are three
//! alphabets. *Every letter*: the whole product, all sets of up to two; it shows for each letter which class it belongs to (judged, failed, or left for a
//! certain reason) and that it acts on any other as its class does. *One of each class*: a letter for each of these classes, at times that fall into the
//! same and into different periods, all multisets of up to five. *The calendar*: completed items only, at times around the changes of the clock, of weeks,
//! months and years, all multisets of up to five. Numbers rise with the times; where that could matter (ties and two items of one slot, among those that
//! are not left alone), they fall as well.

#![allow(clippy::unwrap_used, reason = "the helpers of tests, too, end a test by a panic")]

mod naive;
mod product;

use naive::{Fate, Owner, Period, Policy, Protection, Status, Thing, fates};
use product::Product;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
/// Wednesday, 2026-10-28 12:00 UTC; in Oslo the clock was set back on the Sunday before.
const NOW: i64 = 1_793_188_800;

fn policy(keep: &[(Period, usize)], min_keep: usize, adopts: bool, oslo: bool) -> Policy {
    Policy { keep: keep.to_vec(), min_keep, adopts, oslo }
}

fn policies() -> Vec<Policy> {
    use Period::{Daily, Last, Weekly};
    vec![
        policy(&[(Last, 2)], 1, true, false),
        policy(&[(Daily, 2), (Weekly, 2)], 1, true, true),
        policy(&[(Last, 1), (Daily, 1)], 1, true, false),
        policy(&[(Last, 1)], 2, true, false),
        policy(&[(Daily, 2)], 1, true, false),
        policy(&[(Daily, 2)], 1, false, true),
    ]
}

/// Calls with each multiset of up to `size` letters, in the order of the alphabet. Returns how many there were.
fn multisets(alphabet: &[Thing], size: usize, mut look: impl FnMut(&[Thing])) -> u64 {
    fn extend(alphabet: &[Thing], size: usize, chosen: &mut Vec<Thing>, look: &mut impl FnMut(&[Thing])) -> u64 {
        look(chosen);
        if chosen.len() == size {
            return 1;
        }
        let mut count = 1;
        for (index, letter) in alphabet.iter().enumerate() {
            chosen.push(*letter);
            count += extend(&alphabet[index..], size, chosen, look);
            chosen.pop();
        }
        count
    }
    extend(alphabet, size, &mut Vec::new(), &mut look)
}

/// Whether it may be judged, or goes because it failed. What is left alone acts on nothing, whatever its number.
fn acts(thing: &Thing) -> bool {
    let ends = matches!(thing.status, Status::Completed | Status::Failed);
    ends && matches!(thing.owner, Owner::Ours | Owner::Nobody) && thing.protection == Protection::None
}

/// Numbers that rise with the times; where they could matter, also such as fall.
fn numbered(letters: &[Thing]) -> Vec<Vec<Thing>> {
    let mut things = letters.to_vec();
    things.sort_by_key(|thing| thing.time);
    let count = things.len() as u64;
    let rising: Vec<Thing> = (1..).zip(&things).map(|(id, thing)| Thing { id, ..*thing }).collect();
    let falling: Vec<Thing> = (1..).zip(&things).map(|(id, thing)| Thing { id: count + 1 - id, ..*thing }).collect();
    let is_pair = |a: &Thing, b: &Thing| acts(a) && acts(b) && (a.time == b.time || a.slot.is_some() && a.slot == b.slot);
    let matters = things.iter().enumerate().any(|(index, thing)| things[..index].iter().any(|other| is_pair(other, thing)));
    if matters { vec![rising, falling] } else { vec![rising] }
}

/// Both implementations agree on each item, and what the rule promises holds.
fn compare(product: &Product, policy: &Policy, things: &[Thing]) {
    let (expected, found) = (fates(things, policy, NOW), product.fates(things));
    for ((thing, expected), found) in things.iter().zip(&expected).zip(&found) {
        let agree = match (expected, found) {
            (Fate::Leave(any), Fate::Leave(one)) => any.contains(&one[0]),
            _ => expected == found,
        };
        assert!(agree, "{thing:#?}\nis {found:?} and should be {expected:?}, among {things:#?}\nunder {policy:?}");
    }
    promises(policy, things, &found);
}

/// No more stay than the counts allow, no fewer than `min_keep`, and the newest is one of them.
fn promises(policy: &Policy, things: &[Thing], found: &[Fate]) {
    let kept = found.iter().filter(|fate| matches!(fate, Fate::Keep(_))).count();
    let is_judged = |(thing, fate): &(&Thing, &Fate)| thing.status == Status::Completed && !matches!(fate, Fate::Leave(_));
    let judged = things.iter().zip(found).filter(is_judged);
    let sum: usize = policy.keep.iter().map(|(_, count)| count).sum();
    let as_newest = found.iter().filter(|fate| matches!(fate, Fate::Keep(reason) if reason.starts_with("the newest"))).count();
    assert!(kept <= sum.max(policy.min_keep) + as_newest, "too many stay of {things:#?}\n{found:?}");
    assert!(kept >= policy.min_keep.min(judged.clone().count()), "too few stay of {things:#?}\n{found:?}");
    let newest = judged.max_by_key(|(thing, _)| (thing.time, thing.id));
    assert!(newest.is_none_or(|(_, fate)| matches!(fate, Fate::Keep(_))), "the newest goes of {things:#?}\n{found:?}");
}

/// Pruning after each arrival keeps the same items as pruning once at the end.
fn prune_as_they_come(product: &Product, things: &[Thing]) {
    let prune = |there: &[Thing]| -> Vec<Thing> {
        let stays = |(_, fate): &(&Thing, Fate)| !matches!(fate, Fate::Delete(_));
        there.iter().zip(product.fates(there)).filter(stays).map(|(thing, _)| *thing).collect()
    };
    let mut there = Vec::new();
    for thing in things {
        there.push(*thing);
        there = prune(&there);
    }
    let ids = |things: &[Thing]| things.iter().map(|thing| thing.id).collect::<Vec<_>>();
    assert_eq!(ids(&there), ids(&prune(things)), "{things:#?}");
}

fn ours(time: i64) -> Thing {
    Thing { id: 0, time, slot: Some(time), status: Status::Completed, owner: Owner::Ours, protection: Protection::None }
}

/// The whole product.
fn every_letter(times: &[i64]) -> Vec<Thing> {
    let mut letters = Vec::new();
    for status in [Status::Completed, Status::InProgress, Status::Failed, Status::Unknown] {
        for owner in [Owner::Ours, Owner::Nobody, Owner::Another, Owner::Automatic] {
            for protection in [Protection::None, Protection::Name, Protection::Number, Protection::Held] {
                let letter = |time: &i64| Thing { status, owner, protection, ..ours(*time) };
                letters
                    .extend(times.iter().map(letter).map(|thing| Thing { slot: thing.slot.filter(|_| owner != Owner::Nobody), ..thing }));
            }
        }
    }
    letters
}

/// One letter for each class, and the judged ones at several times.
fn one_of_each_class() -> Vec<Thing> {
    let [newest, same_day, day_before, week_before] = [NOW - HOUR, NOW - 6 * HOUR, NOW - 30 * HOUR, NOW - 9 * DAY];
    let nobodys = |time| Thing { owner: Owner::Nobody, slot: None, ..ours(time) };
    let failed = |time| Thing { status: Status::Failed, ..ours(time) };
    vec![
        ours(newest),
        ours(same_day),
        ours(day_before),
        ours(week_before),
        // Made for the slot of the day before, and by hand.
        Thing { slot: Some(day_before), ..ours(newest) },
        Thing { slot: None, ..ours(same_day) },
        nobodys(newest),
        nobodys(day_before),
        failed(newest),
        failed(same_day),
        Thing { status: Status::InProgress, ..ours(newest) },
        Thing { status: Status::Unknown, ..ours(day_before) },
        Thing { status: Status::Failed, ..nobodys(same_day) },
        Thing { owner: Owner::Automatic, ..ours(same_day) },
        Thing { owner: Owner::Another, ..ours(newest) },
        Thing { protection: Protection::Name, ..nobodys(newest) },
        Thing { protection: Protection::Number, ..ours(same_day) },
        Thing { protection: Protection::Held, ..ours(day_before) },
        ours(NOW + 301),
    ]
}

fn compare_all(alphabet: &[Thing], size: usize, policies: &[Policy]) -> u64 {
    let mut count = 0;
    for policy in policies {
        let product = Product::new(policy, NOW);
        count += multisets(alphabet, size, |letters| {
            numbered(letters).iter().for_each(|things| compare(&product, policy, things));
        });
    }
    count
}

#[test]
fn every_letter_has_its_class() {
    let letters = every_letter(&[NOW - HOUR, NOW - 30 * HOUR, NOW + 301]);
    assert_eq!(letters.len(), 192);
    assert_eq!(compare_all(&letters, 2, &policies()[3..6]), 3 * 18_721);
}

/// In two halves, for two cores.
#[test]
fn of_each_class_up_to_five() {
    assert_eq!(compare_all(&one_of_each_class(), 5, &policies()[..3]), 3 * 42_504);
}

#[test]
fn of_each_class_up_to_five_under_the_other_policies() {
    assert_eq!(compare_all(&one_of_each_class(), 5, &policies()[3..]), 3 * 42_504);
}

/// Seconds since 1970 of times around changes of the clock, the day, the ISO week, the month and the year in Oslo or in UTC.
fn times() -> Vec<i64> {
    let texts = [
        "2025-12-28T22:59:00Z",
        "2025-12-28T23:01:00Z",
        "2025-12-31T23:30:00Z",
        "2026-03-29T00:30:00Z",
        "2026-03-29T01:30:00Z",
        "2026-09-30T22:30:00Z",
        "2026-10-24T22:30:00Z",
        "2026-10-25T00:10:00Z",
        "2026-10-25T01:20:00Z",
        "2026-10-28T11:00:00Z",
    ];
    texts.iter().map(|text| text.parse::<jiff::Timestamp>().unwrap().as_second()).collect()
}

fn calendars(oslo: bool) -> Vec<Policy> {
    use Period::{Daily, Hourly, Last, Monthly, Weekly, Yearly};
    vec![
        policy(&[(Hourly, 3)], 1, true, oslo),
        policy(&[(Hourly, 1), (Daily, 1), (Weekly, 2)], 1, true, oslo),
        policy(&[(Last, 1), (Weekly, 1), (Monthly, 1), (Yearly, 1)], 1, true, oslo),
        policy(&[(Monthly, 2), (Yearly, 2)], 1, true, oslo),
    ]
}

#[test]
fn the_calendar_up_to_five_and_pruned_as_they_come() {
    let letters: Vec<Thing> = times().into_iter().map(|time| Thing { slot: None, ..ours(time) }).collect();
    let mut count = 0;
    for policy in [calendars(true), calendars(false)].concat() {
        let product = Product::new(&policy, NOW);
        count += multisets(&letters, 5, |letters| {
            for things in numbered(letters) {
                compare(&product, &policy, &things);
            }
            prune_as_they_come(&product, &numbered(letters)[0]);
        });
    }
    assert_eq!(count, 8 * 3_003);
}

#[test]
fn pruned_as_they_come_whatever_they_are() {
    let letters: Vec<Thing> = one_of_each_class();
    for policy in policies() {
        let product = Product::new(&policy, NOW);
        multisets(&letters, 3, |letters| prune_as_they_come(&product, &numbered(letters)[0]));
    }
}

/// `cargo test --release --test retention -- --ignored`: the whole product, all sets of up to three; one of each class, up to six.
#[test]
#[ignore = "takes minutes"]
fn every_letter_up_to_three_and_of_each_class_up_to_six() {
    let letters = every_letter(&[NOW - HOUR, NOW - 30 * HOUR, NOW + 301]);
    assert_eq!(compare_all(&letters, 3, &policies()), 6 * 1_216_865);
    assert_eq!(compare_all(&one_of_each_class(), 6, &policies()), 6 * 177_100);
}
