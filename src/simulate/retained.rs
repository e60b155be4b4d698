//! What the policy lets stay of what was shown: the retention rule once more (contract §2, and §3.3 for room), as plain as can be, on jiff's calendar.

use std::collections::BTreeSet;

use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};

use super::conduct::{Scene, is_of};
use crate::domain::inventory::{Item, ItemId, Status};
use crate::domain::mark::Reading;
use crate::domain::policy::{AtCap, KindPolicy};
use crate::domain::record::{DeleteIntent, DeleteWhen};
use crate::domain::retention::Rule;

/// The item that is coming: no other has its number.
const COMING: ItemId = ItemId(u64::MAX);

/// A restore point that retention judges.
#[derive(Debug, Clone, Copy)]
struct Point {
    id: ItemId,
    time: Timestamp,
    slot: Option<Timestamp>,
    /// What the wall clock of the policy showed.
    local: DateTime,
}

impl Point {
    /// The newer, the greater.
    fn age(&self) -> (Timestamp, ItemId) {
        (self.time, self.id)
    }

    fn new(policy: &KindPolicy, id: ItemId, time: Timestamp, slot: Option<Timestamp>) -> Point {
        Point { id, time, slot, local: policy.schedule.zone().time_zone().to_datetime(time) }
    }
}

/// What else there is to know of what was shown.
pub(super) struct Seen<'a> {
    /// How many slots are filled.
    pub used: u64,
    /// The delete is for what a person takes.
    pub by_hand: bool,
    /// Whether the machine knows an item as made by it.
    pub made: &'a dyn Fn(ItemId) -> bool,
    /// Whether an item may be held.
    pub held: &'a dyn Fn(ItemId) -> bool,
}

/// What an item is to retention.
enum Standing {
    /// A restore point, or a failed item of ours.
    Judged {
        slot: Option<Timestamp>,
    },
    /// Ours, and neither complete nor failed.
    Unfinished,
    LeftAlone,
    /// It depends on when that was decided, or on what the machine knew.
    Unsure,
}

/// What is wrong with a delete, by the policy and by what was last shown of the server. Nothing is said where it is not sure of each item what it is.
pub(super) fn not_dropped<'a>(
    scene: Scene<'_>,
    intent: &DeleteIntent,
    shown: impl Iterator<Item = &'a Item>,
    seen: &Seen<'_>,
) -> Option<String> {
    let policy = scene.policy(&intent.subject)?;
    let (mut completed, mut failed, mut unfinished): (Vec<Point>, Vec<Point>, Vec<Point>) = Default::default();
    for item in shown {
        let point = |slot| Point::new(policy, item.id, item.created_at, slot);
        match standing(scene, intent, policy, item, seen) {
            Standing::Judged { slot } if item.status == Status::Failed => failed.push(point(slot)),
            Standing::Judged { slot } => completed.push(point(slot)),
            Standing::Unfinished => unfinished.push(point(None)),
            Standing::LeftAlone => {}
            Standing::Unsure => return None,
        }
    }
    [&mut completed, &mut failed].into_iter().for_each(|points| points.sort_by_key(|point| std::cmp::Reverse(point.age())));
    let (goes, makes_room) = (intent.item, intent.when == DeleteWhen::BeforeCreate);
    let target = completed.iter().chain(&failed).find(|point| point.id == goes);
    let Some(target) = target else { return Some(format!("I1: {goes} goes although retention does not judge it")) };
    if makes_room && let Some(why) = no_room(scene, intent, policy, seen) {
        return Some(format!("I9: {goes} makes room although {why}"));
    }
    if makes_room && let Some(other) = unfinished.iter().find(|other| other.age() > target.age()) {
        return Some(format!("I9: {goes} makes room although {}, which is newer, is unfinished", other.id));
    }
    if failed.iter().any(|failed| failed.id == goes) {
        let is_older = completed.first().is_some_and(|newest| newest.age() > target.age());
        return (!makes_room && !is_older).then(|| format!("I9: {goes}, which failed, goes although nothing newer is complete"));
    }
    if completed[0].id == goes || completed.len() <= policy.min_keep as usize {
        return Some(format!("I2, I3: {goes} goes although it is the newest, or `min_keep` lets none go"));
    }
    if makes_room && let Some(failed) = failed.last() {
        return Some(format!("I9: {goes} makes room, and not {}, which failed", failed.id));
    }
    if makes_room && intent.extra && completed.len() as u64 <= policy.keep.sum() {
        return Some(format!("I5: {goes} makes room once more, where no more are there than are kept"));
    }
    let drops = dropped(policy, &completed);
    let may_go = match drops.first() {
        // More may have come to light since it was decided which of them go.
        Some(oldest) => *oldest == goes || !makes_room && drops.contains(&goes),
        // The time of the decision may count, or that of the last look.
        None => makes_room && [intent.at, scene.wall].iter().any(|now| displaced(policy, &completed, *now) == Some(goes)),
    };
    (!may_go).then(|| format!("I9: {goes} goes although the policy keeps it of what was shown"))
}

/// Why there is no room to be made.
fn no_room(scene: Scene<'_>, intent: &DeleteIntent, policy: &KindPolicy, seen: &Seen<'_>) -> Option<String> {
    let cap = u64::from(scene.setup.wanted.limits.of(intent.subject.kind));
    if seen.used != cap {
        return Some(format!("{} of {cap} slots are used", seen.used));
    }
    (policy.at_cap == AtCap::Refuse && !seen.by_hand).then(|| "the policy makes none".to_owned())
}

/// "Left alone, with the reason told."
fn standing(scene: Scene<'_>, intent: &DeleteIntent, policy: &KindPolicy, item: &Item, seen: &Seen<'_>) -> Standing {
    /// Dated further ahead, an item is left alone.
    const AHEAD_MAX: SignedDuration = SignedDuration::from_mins(5);
    let wanted = &scene.setup.wanted;
    let is_ours = |owner: &str| *owner == *wanted.owner || wanted.former_owners.iter().any(|former| **former == *owner);
    let adopted = policy.adopt.is_match(item.title()) && !policy.protect.is_match(item.title());
    let (ours, slot, until) = match item.description.reading() {
        _ if item.automatic => return Standing::LeftAlone,
        Reading::Mark(mark) if is_ours(&mark.owner) => (true, mark.slot(), mark.until),
        Reading::Mark(_) => return Standing::LeftAlone,
        Reading::None | Reading::Damaged if (seen.made)(item.id) => return Standing::Unsure,
        Reading::None if adopted => (false, None, None),
        Reading::None | Reading::Damaged => return Standing::LeftAlone,
    };
    let protected = wanted.entries.iter().any(|entry| is_of(&entry.selector, item.server) && entry.protect_ids.contains(&item.id));
    match item.status {
        Status::InProgress | Status::Unknown(_) if ours => return Standing::Unfinished,
        Status::InProgress | Status::Unknown(_) => return Standing::LeftAlone,
        Status::Failed if !ours => return Standing::LeftAlone,
        Status::Failed | Status::Completed if protected => return Standing::LeftAlone,
        Status::Failed | Status::Completed => {}
    }
    let is_free = |now: Timestamp| until.is_none_or(|until| until <= now) && item.created_at.duration_since(now) <= AHEAD_MAX;
    match (is_free(intent.at), is_free(scene.wall)) {
        _ if (seen.held)(item.id) => Standing::Unsure,
        (true, true) => Standing::Judged { slot },
        (false, false) => Standing::LeftAlone,
        _ => Standing::Unsure,
    }
}

/// What goes for the sake of the coming one, where nothing goes without it. The newest never does, not even as the second one of its slot.
fn displaced(policy: &KindPolicy, newest_first: &[Point], now: Timestamp) -> Option<ItemId> {
    let newest = newest_first.first()?;
    let mut with = vec![Point::new(policy, COMING, newest.time.max(now), None)];
    with.extend(newest_first);
    dropped(policy, &with).into_iter().find(|id| *id != newest.id).or(newest_first.last().map(|oldest| oldest.id))
}

/// What the policy drops, the oldest first.
fn dropped(policy: &KindPolicy, newest_first: &[Point]) -> Vec<ItemId> {
    let is_second =
        |point: &Point| newest_first.iter().any(|other| point.slot.is_some() && other.slot == point.slot && other.id < point.id);
    let counted: Vec<&Point> = newest_first.iter().filter(|point| !is_second(point)).collect();
    let mut kept: BTreeSet<ItemId> = BTreeSet::new();
    let mut left_over = 0;
    for (rule, count) in policy.keep.rules() {
        left_over = count;
        let mut periods = BTreeSet::new();
        for point in &counted {
            // Of this rule, each item has a period of its own.
            let is_newest_of_period = rule == Rule::Last || periods.insert(period(rule, point.local));
            if is_newest_of_period && left_over > 0 && kept.insert(point.id) {
                left_over -= 1;
            }
        }
    }
    // The coarsest one comes last.
    if left_over > 0 {
        kept.extend(counted.last().map(|oldest| oldest.id));
    }
    kept.extend(newest_first.first().map(|newest| newest.id));
    for point in newest_first {
        if kept.len() < policy.min_keep as usize {
            kept.insert(point.id);
        }
    }
    newest_first.iter().rev().map(|point| point.id).filter(|id| !kept.contains(id)).collect()
}

/// What tells the periods of a rule apart.
fn period(rule: Rule, local: DateTime) -> [i16; 4] {
    let (year, month, day, hour) = (local.year(), local.month().into(), local.day().into(), local.hour().into());
    let week = local.date().iso_week_date();
    match rule {
        Rule::Last => [0; 4],
        Rule::Hourly => [year, month, day, hour],
        Rule::Daily => [year, month, day, 0],
        Rule::Weekly => [week.year(), week.week().into(), 0, 0],
        Rule::Monthly => [year, month, 0, 0],
        Rule::Yearly => [year, 0, 0, 0],
    }
}
