//! Whose each item is, and what retention makes of it: every item gets exactly one verdict, with its reasons (contract §2).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Deref;

use jiff::{SignedDuration, Timestamp};

use super::inventory::{Item, ItemId, Status};
use super::mark::{Origin, Reading};
use super::policy::{KindPolicy, Wanted};
use super::retention::{self, Candidate, Few, Ruling, Rulings};

mod why;

pub use why::{Reasons, Why, makes_room, sentence};

/// An item dated further ahead than this is left alone: one clock or the other is wrong.
pub const FUTURE_TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// Whose an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Belonging {
    /// Ours, by its mark or by the journal.
    Ours,
    /// Made by others, given into our care by `adopt`.
    Adopted,
    /// Others'.
    Other,
    /// The provider's own.
    Automatic,
}

impl Belonging {
    /// The word used in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Belonging::Ours => "ours",
            Belonging::Adopted => "adopted",
            Belonging::Other => "other",
            Belonging::Automatic => "automatic",
        }
    }
}

/// What is to become of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Retention keeps it.
    Keep,
    /// Retention drops it, or it makes room.
    Delete,
    /// It is not judged.
    Leave,
}

impl Verdict {
    /// The word used in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Keep => "keep",
            Verdict::Delete => "delete",
            Verdict::Leave => "leave",
        }
    }
}

/// An item, with its origin where it is ours: the listing's, or one that outlives it.
#[derive(Debug, Clone)]
pub enum Seen<'a> {
    /// The listing's.
    Listed {
        /// It.
        item: &'a Item,
        /// Why it was made.
        origin: Option<&'a Origin>,
    },
    /// A copy.
    Kept(Box<(Item, Option<Origin>)>),
}

impl Seen<'_> {
    /// Why it was made, where it is ours.
    #[must_use]
    pub fn origin(&self) -> Option<&Origin> {
        match self {
            Seen::Listed { origin, .. } => *origin,
            Seen::Kept(kept) => kept.1.as_ref(),
        }
    }

    /// A copy.
    #[must_use]
    pub fn to_kept(&self) -> Seen<'static> {
        Seen::Kept(Box::new((Item::clone(self), self.origin().cloned())))
    }
}

impl Deref for Seen<'_> {
    type Target = Item;

    fn deref(&self) -> &Item {
        match self {
            Seen::Listed { item, .. } => item,
            Seen::Kept(kept) => &kept.0,
        }
    }
}

impl PartialEq for Seen<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other && self.origin() == other.origin()
    }
}

impl Eq for Seen<'_> {}

/// One item with all that was made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row<'a> {
    /// The item.
    pub item: Seen<'a>,
    /// Whose it is.
    pub belonging: Belonging,
    /// Whether it is one of the completed items under our care: a restore point.
    pub judged: bool,
    /// Whether it is a failed item of ours that may go.
    pub failed: bool,
    /// Whether it is ours by the journal only.
    pub mark_lost: bool,
    /// When it will no longer be left alone, if only time stands in the way.
    pub free_at: Option<Timestamp>,
    /// What is to become of it.
    pub verdict: Verdict,
    /// Why; never empty.
    pub reasons: Reasons,
}

impl Row<'_> {
    /// The slot that it satisfies.
    #[must_use]
    pub fn slot(&self) -> Option<Timestamp> {
        self.item.origin().and_then(Origin::slot)
    }

    /// Whether it is ours and neither complete nor failed.
    #[must_use]
    pub fn is_unfinished_ours(&self) -> bool {
        self.belonging == Belonging::Ours && matches!(self.item.status, Status::InProgress | Status::Unknown(_))
    }
}

/// What is known about a server's items besides what the listing says.
#[derive(Debug, Clone, Copy)]
pub struct Knowledge<'a> {
    /// The items that the journal knows as made by us, with their origin.
    pub made: &'a BTreeMap<ItemId, Origin>,
    /// Items that are never deleted (`protect_ids`).
    pub protected: &'a [ItemId],
    /// Items that an operator holds, with the end of that.
    pub held: &'a BTreeMap<ItemId, Timestamp>,
}

/// Sorts the items of one server and kind into theirs and ours, and judges those under our care.
///
/// With `coming`, retention is asked as if an item for that slot had just been completed at `now`: what a run that makes one will leave.
#[must_use]
pub fn assess<'a>(
    items: &'a [Item],
    wanted: &Wanted,
    policy: &KindPolicy,
    knowledge: Knowledge<'a>,
    now: Timestamp,
    coming: Option<Option<Timestamp>>,
) -> Vec<Row<'a>> {
    let mut rows = assess_belonging(items, wanted, policy, knowledge, now);
    judge(&mut rows, policy, now, coming);
    rows
}

/// The second half of [`assess`]: what retention makes of items whose belonging is known. Whatever it made of them before is forgotten.
pub fn judge(rows: &mut [Row<'_>], policy: &KindPolicy, now: Timestamp, coming: Option<Option<Timestamp>>) {
    judge_completed(rows, policy, now, coming);
    judge_failed(rows, coming.is_some());
}

/// [`judge`] with a coming item. Also tells what retention drops first of the items as they are, without it: the place of the item, and the ruling. The
/// newest restore point, and what `min_keep` lets stay, never count.
#[must_use]
pub fn judge_coming(rows: &mut [Row<'_>], policy: &KindPolicy, now: Timestamp, slot: Option<Timestamp>) -> Option<(usize, Ruling)> {
    let candidates = candidates_of(rows, now, Some(slot));
    let (drops, rulings) = retention::judge_without_the_last(&policy.keep, policy.schedule.zone(), &candidates);
    rule(rows, policy, &rulings, 1);
    judge_failed(rows, true);
    // `min_keep` lets the newest of what is dropped stay.
    let kept = candidates.len() - 1 - drops.count;
    let (which, ruling) = drops.first.filter(|_| drops.count > (policy.min_keep as usize).saturating_sub(kept))?;
    rows.iter().enumerate().filter(|(_, row)| row.judged).nth(which).map(|(index, _)| (index, ruling))
}

/// The first half of [`assess`]: whose the items are, without asking retention. Verdicts are not filled in.
#[must_use]
pub fn assess_belonging<'a>(
    items: &'a [Item],
    wanted: &Wanted,
    policy: &KindPolicy,
    knowledge: Knowledge<'a>,
    now: Timestamp,
) -> Vec<Row<'a>> {
    items.iter().map(|item| sort(item, wanted, policy, knowledge, now)).collect()
}

fn leave<'a>(item: &'a Item, belonging: Belonging, origin: Option<&'a Origin>, why: impl Into<Cow<'static, str>>) -> Row<'a> {
    Row {
        item: Seen::Listed { item, origin },
        belonging,
        judged: false,
        failed: false,
        mark_lost: false,
        free_at: None,
        verdict: Verdict::Leave,
        reasons: Why::Told(why.into()).into(),
    }
}

fn sort<'a>(item: &'a Item, wanted: &Wanted, policy: &KindPolicy, knowledge: Knowledge<'a>, now: Timestamp) -> Row<'a> {
    if item.automatic {
        return leave(item, Belonging::Automatic, None, "made by the provider's own plan");
    }
    let (belonging, origin, until, mark_lost) = match item.description.reading() {
        Reading::Mark(mark) if wanted.is_ours(&mark.owner) => (Belonging::Ours, Some(&mark.origin), mark.until.as_ref(), false),
        Reading::Mark(mark) => return leave(item, Belonging::Other, None, format!("carries the mark of `{}`", mark.owner)),
        // Without a whole mark the journal has the word.
        reading => match (knowledge.made.get(&item.id), reading) {
            (Some(origin), _) => (Belonging::Ours, Some(origin), None, true),
            (None, Reading::Damaged) => return leave(item, Belonging::Other, None, "carries a mark that cannot be read"),
            (None, _) => match adoption(item, policy) {
                Ok(()) => (Belonging::Adopted, None, None, false),
                Err(why) => return leave(item, Belonging::Other, None, why),
            },
        },
    };
    match hands_off(item, belonging, knowledge, until, now) {
        Some((why, free_at)) => Row { free_at, mark_lost, ..leave(item, belonging, origin, why) },
        None => {
            let judged = item.status == Status::Completed;
            Row { judged, failed: !judged, mark_lost, ..leave(item, belonging, origin, "not judged yet") }
        }
    }
}

/// Whether an item without a mark is given into our care; else why not.
fn adoption(item: &Item, policy: &KindPolicy) -> Result<(), Cow<'static, str>> {
    let name = item.title();
    if let Some(glob) = policy.protect.first_match(name) {
        return Err(format!("protected by `{glob}`").into());
    }
    if policy.adopt.is_match(name) { Ok(()) } else { Err("made by others".into()) }
}

/// Why an item of ours, or an adopted one, is left alone all the same; and until when, if that passes with time.
fn hands_off(
    item: &Item,
    belonging: Belonging,
    knowledge: Knowledge<'_>,
    until: Option<&Timestamp>,
    now: Timestamp,
) -> Option<(Cow<'static, str>, Option<Timestamp>)> {
    match &item.status {
        Status::InProgress => return Some(("in progress".into(), None)),
        Status::Unknown(word) => return Some((format!("its status `{word}` is not known").into(), None)),
        Status::Failed if belonging != Belonging::Ours => return Some(("failed, and not made by us".into(), None)),
        Status::Failed | Status::Completed => {}
    }
    if knowledge.protected.contains(&item.id) {
        return Some(("protected by its number".into(), None));
    }
    let held = knowledge.held.get(&item.id).max(until);
    if let Some(held) = held.filter(|held| **held > now) {
        return Some((format!("held until {held}").into(), Some(*held)));
    }
    if item.created_at > now && item.created_at.duration_since(now) > FUTURE_TOLERANCE {
        let why = format!("dated in the future, {}", item.created_at);
        return Some((why.into(), item.created_at.checked_sub(FUTURE_TOLERANCE).ok()));
    }
    None
}

fn judge_completed(rows: &mut [Row<'_>], policy: &KindPolicy, now: Timestamp, coming: Option<Option<Timestamp>>) {
    let candidates = candidates_of(rows, now, coming);
    let rulings = retention::judge(&policy.keep, policy.schedule.zone(), &candidates);
    rule(rows, policy, &rulings, usize::from(coming.is_some()));
}

/// The restore points, with the coming one as if it had just been completed.
fn candidates_of(rows: &[Row<'_>], now: Timestamp, coming: Option<Option<Timestamp>>) -> Few<Candidate> {
    let restore_points = rows.iter().filter(|row| row.judged);
    let mut candidates = Few::new();
    candidates.extend(restore_points.map(|row| Candidate { id: row.item.id, time: row.item.created_at, slot: row.slot() }));
    if let Some(slot) = coming {
        let time = candidates.last().map_or(now, |newest: &Candidate| newest.time.max(now));
        candidates.push(Candidate { id: ItemId(u64::MAX), time, slot });
    }
    candidates
}

/// Writes the rulings down, and makes the exceptions. `coming` of the items that were ruled on are not there yet.
fn rule(rows: &mut [Row<'_>], policy: &KindPolicy, rulings: &Rulings, coming: usize) {
    for (row, index) in rows.iter_mut().filter(|row| row.judged).zip(0..) {
        // Asked for here and not zipped with the rows: moving a ruling costs more than making it.
        let ruling = rulings.on(index);
        row.verdict = if ruling.is_keep() { Verdict::Keep } else { Verdict::Delete };
        row.reasons = Why::Ruled(ruling).into();
    }
    if coming == 0 {
        keep_the_newest(rows);
    }
    keep_the_fewest(rows, policy, coming);
}

/// The newest judged item stays even as the second one of its slot, until a newer one is complete (I3).
fn keep_the_newest(rows: &mut [Row<'_>]) {
    if let Some(newest) = rows.iter_mut().rev().find(|row| row.judged).filter(|row| row.verdict == Verdict::Delete) {
        newest.verdict = Verdict::Keep;
        newest.reasons.put_first(Why::Newest);
    }
}

/// `min_keep`: the newest judged items stay even where retention would drop them. One that is coming counts as there.
fn keep_the_fewest(rows: &mut [Row<'_>], policy: &KindPolicy, coming: usize) {
    let kept = rows.iter().filter(|row| row.judged && row.verdict == Verdict::Keep).count() + coming;
    let short = (policy.min_keep as usize).saturating_sub(kept);
    let dropped = rows.iter_mut().rev().filter(|row| row.judged && row.verdict == Verdict::Delete);
    for row in dropped.take(short) {
        row.verdict = Verdict::Keep;
        row.reasons = Why::MinKeep(policy.min_keep).into();
    }
}

/// A failed item of ours goes once a newer one has completed.
fn judge_failed(rows: &mut [Row<'_>], coming: bool) {
    let newest = rows.iter().rposition(|row| row.judged);
    for (index, row) in rows.iter_mut().enumerate() {
        if !row.failed {
            continue;
        }
        if coming || newest.is_some_and(|newest| newest > index) {
            row.verdict = Verdict::Delete;
            row.reasons = Why::from("failed, and a newer one is complete").into();
        } else {
            row.verdict = Verdict::Leave;
            row.reasons = Why::from("failed; stays until a newer one is complete").into();
        }
    }
}

#[cfg(test)]
mod tests;
