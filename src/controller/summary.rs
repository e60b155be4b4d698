//! What a listing shows of a target, for everything but planning.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::assess::{Belonging, Row};
use crate::domain::inventory::{ItemId, Status};
use crate::domain::policy::KindPolicy;
use crate::domain::problem::{Problem, Reason};
use crate::domain::report::{Seen, SeenItem, Standing};
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
        let ours = || rows.iter().filter(|row| row.belonging == Belonging::Ours);
        let unfinished = || ours().filter(|row| row.is_unfinished_ours());
        let mut problems = Vec::new();
        if let Some(detail) = view.defect() {
            problems.push(Problem { reason: Reason::ListingIncomplete, detail });
        }
        let stuck =
            |row: &&Row<'_>| now.duration_since(row.item.created_at).unsigned_abs() >= policy.stuck_after && row.item.created_at < now;
        if let Some(row) = unfinished().find(stuck) {
            let detail = format!("item {} has been unfinished since {}", row.item.id, row.item.created_at);
            problems.push(Problem { reason: Reason::Stuck, detail });
        }
        if let Some((id, word)) = rows.iter().find_map(|row| match &row.item.status {
            Status::Unknown(word) => Some((row.item.id, word)),
            _ => None,
        }) {
            problems.push(Problem { reason: Reason::UnknownStatus, detail: format!("item {id} has the status `{word}`") });
        }
        if let Some(row) = rows.iter().find(|row| row.mark_lost) {
            let detail = format!("item {} was made by us and no longer carries its mark", row.item.id);
            problems.push(Problem { reason: Reason::MarkLost, detail });
        }
        let mut summary = Summary { problems, ..Summary::default() };
        let (mut items, mut slots) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
        let (mut others, mut points) = (view.unreadable.len() as u64 + view.unseen, 0);
        for row in rows {
            let created_at = row.item.created_at;
            let (is_ours, slot) = (row.belonging == Belonging::Ours, row.slot());
            others += u64::from(row.belonging == Belonging::Other);
            items.extend(standing(row).map(|standing| SeenItem::new(created_at, standing)));
            if row.judged {
                points += 1;
                summary.seen.newest_completed_at = summary.seen.newest_completed_at.max(Some(created_at));
            }
            if is_ours && row.judged && slot.is_some() {
                summary.newest_ours = summary.newest_ours.max(Some(created_at));
            }
            if is_ours && row.item.status != Status::Failed {
                slots.extend(slot);
            }
            if row.is_unfinished_ours() && slot.is_some() {
                summary.unfinished.push((row.item.id, created_at));
            }
            let changes = changes_at(row, policy, now);
            summary.holds_until = match summary.holds_until {
                Some(until) if changes.is_none_or(|changes| until <= changes) => Some(until),
                _ => changes,
            };
        }
        summary.seen.used = u32::try_from(view.used()).unwrap_or(u32::MAX);
        summary.seen.others = u32::try_from(others).unwrap_or(u32::MAX);
        summary.seen.restore_points = points;
        (summary.items, summary.slots) = (items.into(), slots.into());
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
