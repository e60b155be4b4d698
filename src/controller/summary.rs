//! What a listing shows of a target, for everything but planning.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::assess::{Belonging, Row};
use crate::domain::inventory::{Item, ItemId, Status};
use crate::domain::policy::KindPolicy;
use crate::domain::problem::{Problem, Reason};
use crate::domain::report::{Seen, SeenItem, Standing};
use crate::domain::retention::Few;
use crate::domain::view::View;

/// What a listing shows of a target, for everything but planning.
#[derive(Debug, Default)]
pub(super) struct Summary {
    pub seen: Seen,
    /// Each item but automatic backups, the oldest first; reports share it.
    pub items: Arc<[SeenItem]>,
    /// When the newest item of ours for a slot was begun.
    pub newest_ours: Option<Timestamp>,
    /// Slots that have an item of ours which did not fail.
    pub slots: Box<[Timestamp]>,
    /// Items of ours for a slot that are neither complete nor failed, with their time.
    pub unfinished: Vec<(ItemId, Timestamp)>,
    /// What is wrong with the items.
    pub problems: Vec<Problem>,
    /// The first moment at which time alone changes any of this; none: it never does.
    pub holds_until: Option<Timestamp>,
}

impl Summary {
    pub fn of(rows: &[Row<'_>], view: &View<'_>, policy: &KindPolicy, now: Timestamp) -> Summary {
        let mut summary = Summary::default();
        let (mut items, mut slots) = (Few::new(), Few::new());
        let (mut others, mut points) = (view.unreadable.len() as u64 + view.unseen, 0);
        let (mut stuck, mut unknown, mut lost) = (None, None, None);
        for row in rows {
            let item: &Item = &row.item;
            let created_at = item.created_at;
            let (is_ours, is_unfinished, slot) = (row.belonging == Belonging::Ours, row.is_unfinished_ours(), row.slot());
            others += u64::from(row.belonging == Belonging::Other);
            items.extend(standing(row).map(|standing| SeenItem::new(created_at, standing)));
            if row.judged {
                points += 1;
                summary.seen.newest_completed_at = summary.seen.newest_completed_at.max(Some(created_at));
            }
            if is_ours && row.judged && slot.is_some() {
                summary.newest_ours = summary.newest_ours.max(Some(created_at));
            }
            if is_ours && item.status != Status::Failed {
                slots.extend(slot);
            }
            if is_unfinished && slot.is_some() {
                summary.unfinished.push((item.id, created_at));
            }
            if is_unfinished && created_at < now && now.duration_since(created_at).unsigned_abs() >= policy.stuck_after {
                stuck = stuck.or(Some(item));
            }
            if let Status::Unknown(word) = &item.status {
                unknown = unknown.or(Some((item.id, word)));
            }
            if row.mark_lost {
                lost = lost.or(Some(item.id));
            }
            let changes = changes_at(row, policy, now);
            summary.holds_until = match summary.holds_until {
                Some(until) if changes.is_none_or(|changes| until <= changes) => Some(until),
                _ => changes,
            };
        }
        let incomplete = view.defect().map(|detail| Problem { reason: Reason::ListingIncomplete, detail });
        let stuck = stuck.map(|item| (Reason::Stuck, format!("item {} has been unfinished since {}", item.id, item.created_at)));
        let unknown = unknown.map(|(id, word)| (Reason::UnknownStatus, format!("item {id} has the status `{word}`")));
        let lost = lost.map(|id| (Reason::MarkLost, format!("item {id} was made by us and no longer carries its mark")));
        let of_items = [stuck, unknown, lost].into_iter().flatten().map(|(reason, detail)| Problem { reason, detail });
        summary.problems = incomplete.into_iter().chain(of_items).collect();
        summary.seen.used = u32::try_from(view.used()).unwrap_or(u32::MAX);
        summary.seen.others = u32::try_from(others).unwrap_or(u32::MAX);
        summary.seen.restore_points = points;
        (summary.items, summary.slots) = (items[..].into(), slots[..].into());
        summary
    }
}

/// When time alone makes something else of an item: it is left alone no longer, or is stuck.
fn changes_at(row: &Row<'_>, policy: &KindPolicy, now: Timestamp) -> Option<Timestamp> {
    if !row.is_unfinished_ours() {
        return row.free_at.filter(|at| *at > now);
    }
    let created = row.item.created_at;
    // An item is not stuck before its own time, however short the patience; right after it, it may be.
    let stuck = [created.checked_add(policy.stuck_after), created.checked_add(Duration::from_nanos(1))];
    row.free_at.into_iter().chain(stuck.into_iter().filter_map(Result::ok)).filter(|at| *at > now).min()
}

/// What an item is to us; none: the provider's own, which takes no slot.
fn standing(row: &Row<'_>) -> Option<Standing> {
    Some(match (row.belonging, &row.item.status) {
        (Belonging::Automatic, _) => return None,
        (Belonging::Other, _) => Standing::Other,
        (_, Status::InProgress | Status::Unknown(_)) => Standing::Unfinished,
        (_, Status::Failed) => Standing::Failed,
        (_, Status::Completed) if !row.judged => Standing::SetAside,
        (Belonging::Ours, Status::Completed) => Standing::Ours,
        (Belonging::Adopted, Status::Completed) => Standing::Adopted,
    })
}
