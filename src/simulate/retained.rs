//! What the policy lets stay of what was shown: the retention rule once more (contract §2, and §3.3 for room), as plain as can be, on jiff's calendar.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::DateTime;

use super::conduct::{Scene, is_of};
use crate::domain::inventory::{Item, ItemId, Status};
use crate::domain::mark::Reading;
use crate::domain::policy::KindPolicy;
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
    fn new(policy: &KindPolicy, id: ItemId, time: Timestamp, slot: Option<Timestamp>) -> Point {
        Point { id, time, slot, local: policy.schedule.zone().time_zone().to_datetime(time) }
    }
}

/// Whether retention judges an item.
enum Judged {
    Yes {
        slot: Option<Timestamp>,
    },
    No,
    /// It depends on when that was decided, or on what the machine knew.
    Unsure,
}

/// What is wrong with a delete, by the policy and by what was last shown of the server. Nothing is said where it is not sure of each item whether retention
/// judges it. `knows_more`: the machine may know something of an item that it does not show.
pub(super) fn not_dropped<'a>(
    scene: Scene<'_>,
    intent: &DeleteIntent,
    shown: impl Iterator<Item = &'a Item>,
    knows_more: impl Fn(&Item) -> bool,
) -> Option<String> {
    let subject = &intent.subject;
    let mut policies = scene.setup.wanted.policies.iter();
    let policy = policies.find(|policy| policy.policy == subject.policy && policy.kind == subject.kind)?;
    let (mut completed, mut failed): (Vec<Point>, Vec<Point>) = Default::default();
    for item in shown {
        let place = if item.status == Status::Failed { &mut failed } else { &mut completed };
        match judged(scene, intent, policy, item, &knows_more) {
            Judged::Yes { slot } => place.push(Point::new(policy, item.id, item.created_at, slot)),
            Judged::No => {}
            Judged::Unsure => return None,
        }
    }
    let newest_first = |points: &mut Vec<Point>| points.sort_by_key(|point| std::cmp::Reverse((point.time, point.id)));
    newest_first(&mut completed);
    newest_first(&mut failed);
    let goes = intent.item;
    let makes_room = intent.when == DeleteWhen::BeforeCreate;
    if let Some(failed) = failed.iter().find(|failed| failed.id == goes) {
        let is_older = completed.first().is_some_and(|newest| (newest.time, newest.id) > (failed.time, failed.id));
        return (!makes_room && !is_older).then(|| format!("I9: {goes}, which failed, goes although nothing newer is complete"));
    }
    if makes_room && let Some(failed) = failed.last() {
        return Some(format!("I9: {goes} makes room, and not {}, which failed", failed.id));
    }
    let drops = dropped(policy, &completed);
    let may_go = match (intent.when, drops.first()) {
        (DeleteWhen::AfterCreate, _) => drops.contains(&goes),
        (DeleteWhen::BeforeCreate, Some(oldest)) => *oldest == goes,
        // The time of the decision may count, or that of the last look.
        (DeleteWhen::BeforeCreate, None) => [intent.at, scene.wall].iter().any(|now| displaced(policy, &completed, *now) == Some(goes)),
    };
    (!may_go).then(|| format!("I9: {goes} goes although the policy keeps it of what was shown"))
}

/// "Left alone, with the reason told."
fn judged(scene: Scene<'_>, intent: &DeleteIntent, policy: &KindPolicy, item: &Item, knows_more: impl Fn(&Item) -> bool) -> Judged {
    let wanted = &scene.setup.wanted;
    let protected = wanted.entries.iter().any(|entry| is_of(&entry.selector, item.server) && entry.protect_ids.contains(&item.id));
    if item.automatic || matches!(item.status, Status::InProgress | Status::Unknown(_)) || protected {
        return Judged::No;
    }
    if knows_more(item) || item.created_at > scene.wall.min(intent.at) {
        return Judged::Unsure;
    }
    let adopted = policy.adopt.is_match(item.title()) && !policy.protect.is_match(item.title());
    match item.description.reading() {
        Reading::Mark(mark) if *mark.owner == *wanted.owner && mark.until.is_none() => Judged::Yes { slot: mark.slot() },
        Reading::Mark(mark) if *mark.owner == *wanted.owner => Judged::Unsure,
        Reading::None if adopted && item.status == Status::Completed => Judged::Yes { slot: None },
        _ => Judged::No,
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
