//! A second reading of the invariants I1–I5 and I8–I10 over a finished plan.
//!
//! It shares no helper with the planner: it reads the items themselves, in its own way, so that a mistake there is not made twice.
//! Nothing is deleted or made that has not passed here.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::clock::Mono;

use super::inventory::{Item, ItemId, ServerId, Status};
use super::mark::Origin;
use super::memory::Undecided;
use super::plan::{Action, Deletion, Order, Plan, When};
use super::policy::{KindPolicy, Wanted};
use super::record::OpId;
use super::view::View;

/// A listing older than this is no ground for a plan (contract §3.1).
pub const LISTING_AGE_MAX: Duration = Duration::from_secs(60);

/// What the guard looks at besides the plan.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// What is wanted.
    pub wanted: &'a Wanted,
    /// The policy for this server and kind.
    pub policy: &'a KindPolicy,
    /// The server.
    pub server: ServerId,
    /// What the provider shows.
    pub view: &'a View<'a>,
    /// Items that the journal knows as made by us.
    pub made: &'a BTreeMap<ItemId, Origin>,
    /// Items that are never deleted.
    pub protected: &'a [ItemId],
    /// Items that an operator holds.
    pub held: &'a BTreeMap<ItemId, Timestamp>,
    /// When something was last sent to this server, or answered by it.
    pub last_write: Option<Mono>,
    /// Creates and deletes there that are undecided.
    pub undecided: &'a BTreeMap<OpId, Undecided>,
    /// Whether deletes are stopped for a reason outside of all this.
    pub frozen: bool,
    /// Whether the provider's name of the server is the configured one.
    pub name_agrees: bool,
    /// Whether the server is being restored, as far as is known.
    pub restoring: bool,
    /// Whether room was made and no create has completed since.
    pub room_made: bool,
    /// Creates of this run that have completed.
    pub completed: u32,
    /// Unpaid deletes of former runs that the create of this run pays for.
    pub owed: u32,
    /// Deletes that this run has made already, extra ones included.
    pub deleted: u32,
    /// Extra ones among these.
    pub extra: u32,
    /// Extra deletes within the last 24 hours.
    pub extra_last_day: u32,
    /// The wall clock.
    pub now: Timestamp,
    /// The monotonic clock.
    pub mono: Mono,
}

/// An invariant that a plan would break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Its name in failure-modes, e.g. `I2`.
    pub invariant: &'static str,
    /// How.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.detail)
    }
}

/// What has passed the guard. Only the guard makes these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approved {
    deletions: Vec<Deletion>,
    order: Option<Order>,
}

impl Approved {
    /// The deletes to be made, in their order.
    #[must_use]
    pub fn deletions(&self) -> &[Deletion] {
        &self.deletions
    }

    /// The item to be made after them.
    #[must_use]
    pub fn order(&self) -> Option<&Order> {
        self.order.as_ref()
    }
}

/// Reads a plan again. Before a create the forecast of the deletes after it is left out: those get a plan of their own.
///
/// # Errors
/// The first invariant that the plan would break.
pub fn check(plan: &Plan<'_>, facts: &Facts<'_>) -> Result<Approved, Violation> {
    let order = plan.actions.iter().find_map(|action| if let Action::Create(order) = action { Some(order) } else { None });
    let due = if order.is_some() { When::BeforeCreate } else { When::AfterCreate };
    let deletions: Vec<&Deletion> = plan
        .actions
        .iter()
        .filter_map(|action| if let Action::Delete(deletion) = action { Some(deletion) } else { None })
        .filter(|deletion| deletion.when == due)
        .collect();
    for (index, deletion) in deletions.iter().enumerate() {
        check_target(deletion, facts)?;
        let twice = deletions[..index].iter().any(|earlier| earlier.item.id == deletion.item.id);
        ensure(!twice, "I8", || format!("{} is to go twice", deletion.item.id))?;
    }
    if !deletions.is_empty() {
        check_no_doubt(facts)?;
        check_last_good(&deletions, facts)?;
        check_fuse(&deletions, order.is_some(), facts)?;
    }
    if let Some(order) = order {
        check_room(&deletions, facts)?;
        check_cap(&deletions, facts)?;
        check_slot(order, facts)?;
    }
    Ok(Approved { deletions: deletions.into_iter().cloned().collect(), order: order.cloned() })
}

/// Reads one approved delete again, right before it is sent: time has passed since its plan was made, and the newest listing may show less.
/// `facts.undecided` is without this very delete; if it is an extra one, it is counted in `facts.extra_last_day` already.
///
/// # Errors
/// The first invariant that it would break by now.
pub fn check_again(deletion: &Deletion, facts: &Facts<'_>) -> Result<(), Violation> {
    check_target(deletion, facts)?;
    check_no_doubt(facts)?;
    check_last_good(&[deletion], facts)?;
    if deletion.when == When::BeforeCreate {
        check_room(&[deletion], facts)?;
    }
    let of_day = facts.extra_last_day;
    ensure(!deletion.extra || of_day <= facts.wanted.fuse.extra_per_day, "I10", || format!("{of_day} extra deletes within a day"))
}

fn ensure(holds: bool, invariant: &'static str, detail: impl FnOnce() -> String) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation { invariant, detail: detail() }) }
}

/// I1: the target is ours or adopted, and nothing protects it. I8: it is exactly the item that was seen.
fn check_target(deletion: &Deletion, facts: &Facts<'_>) -> Result<(), Violation> {
    let id = deletion.item.id;
    let shown: Vec<&Item> = facts.view.items.iter().filter(|item| item.id == id).collect();
    let [item] = shown[..] else {
        return Err(Violation { invariant: "I8", detail: format!("{id} is shown {} times", shown.len()) });
    };
    ensure(*item == deletion.item, "I8", || format!("{id} does not look as planned"))?;
    ensure(item.server == facts.server && item.kind == facts.policy.kind, "I8", || format!("{id} belongs elsewhere"))?;
    let mark = whole_mark(&item.description);
    ensure(under_our_care(item, mark, facts), "I1", || format!("{id} is not ours"))?;
    ensure(!item.automatic, "I1", || format!("{id} is the provider's own"))?;
    ensure(!facts.protected.contains(&id), "I1", || format!("{id} is protected"))?;
    ensure(facts.held.get(&id).is_none_or(|until| *until <= facts.now), "I1", || format!("{id} is held"))?;
    let until = mark.and_then(|mark| mark.until);
    ensure(until.is_none_or(|until| until <= facts.now), "I1", || format!("{id} is held by its mark"))?;
    let settled = item.status == Status::Completed || item.status == Status::Failed && is_ours(item, mark, facts);
    ensure(settled, "I1", || format!("{id} is {}", item.status.as_str()))?;
    let ahead = item.created_at.duration_since(facts.now);
    ensure(ahead <= SignedDuration::from_mins(5), "I1", || format!("{id} is dated in the future"))
}

/// Whether an item is ours by mark or record, or carries no mark and is adopted and not protected.
fn under_our_care(item: &Item, mark: Option<WholeMark<'_>>, facts: &Facts<'_>) -> bool {
    if is_ours(item, mark, facts) {
        return true;
    }
    let text = item.name.as_deref().unwrap_or(&item.description);
    let marked = item.description.starts_with(MARK);
    !marked && facts.policy.adopt.is_match(text) && !facts.policy.protect.is_match(text)
}

/// Whether an item carries our mark; without any whole mark, whether the journal made it.
fn is_ours(item: &Item, mark: Option<WholeMark<'_>>, facts: &Facts<'_>) -> bool {
    match mark {
        Some(mark) => *mark.owner == *facts.wanted.owner || facts.wanted.former_owners.iter().any(|former| **former == *mark.owner),
        None => facts.made.contains_key(&item.id),
    }
}

/// How every mark begins.
const MARK: &str = "snapwarden owner=";

/// What a whole mark says.
#[derive(Clone, Copy)]
struct WholeMark<'a> {
    owner: &'a str,
    slot: Option<Timestamp>,
    until: Option<Timestamp>,
}

/// Reads a mark in the guard's own way.
fn whole_mark(description: &str) -> Option<WholeMark<'_>> {
    let is_name = |text: &str| (1..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    let (owner, rest) = cut(description.strip_prefix(MARK)?)?;
    let (kind, rest) = cut(rest)?;
    let (when, until) = match cut(rest) {
        None => (rest, None),
        Some((when, until)) => (when, Some(time_of_mark(until.strip_prefix("until=")?)?)),
    };
    let slot = match kind.strip_prefix("policy=") {
        Some(policy) if is_name(policy) => Some(time_of_mark(when.strip_prefix("slot=")?)?),
        None if kind == "by=hand" => time_of_mark(when.strip_prefix("at=")?).map(|_| None)?,
        _ => return None,
    };
    is_name(owner).then_some(WholeMark { owner, slot, until })
}

/// What stands before the first space and after it. For texts as short as these it is found soonest byte by byte.
fn cut(text: &str) -> Option<(&str, &str)> {
    let space = text.bytes().position(|b| b == b' ')?;
    Some((&text[..space], &text[space + 1..]))
}

/// Reads a time. One that is written in another way than ours was not written by us.
fn time_of_mark(text: &str) -> Option<Timestamp> {
    let as_written = || text.parse::<Timestamp>().ok().filter(|time| format!("{time}") == text);
    // To the second, as nearly all are, it is reckoned by hand.
    second_of_mark(text.as_bytes()).and_then(|second| Timestamp::from_second(second).ok()).or_else(as_written)
}

/// The second of `2026-11-21T03:30:00Z`, if the text looks like that and there is such a second.
fn second_of_mark(text: &[u8]) -> Option<i64> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', n1, n2, b':', s1, s2, b'Z'] = *text else { return None };
    let digits = |digits: &[u8]| {
        let value = |sum: i64, digit: &u8| digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0'));
        digits.iter().try_fold(0, value)
    };
    let (year, month, day) = (digits(&[y1, y2, y3, y4])?, digits(&[m1, m2])?, digits(&[d1, d2])?);
    let (hour, minute, second) = (digits(&[h1, h2])?, digits(&[n1, n2])?, digits(&[s1, s2])?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // Years that begin in March end with the leap day, and their months have lengths that go by fifths.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (153 * month + 2) / 5 + day - 1;
    // From the first of March of year 0 to 1970 there are 719,468 days.
    Some((days - 719_468) * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// I4: no delete on doubt.
fn check_no_doubt(facts: &Facts<'_>) -> Result<(), Violation> {
    let defect = facts.view.defect();
    ensure(defect.is_none(), "I4", || format!("the listing is not complete: {}", defect.unwrap_or_default()))?;
    let hidden = facts.made.keys().find(|id| facts.view.items.iter().all(|item| item.id != **id));
    ensure(hidden.is_none(), "I4", || "the listing does not show every item of ours".to_owned())?;
    let age = facts.mono.since(facts.view.begun());
    ensure(age <= LISTING_AGE_MAX, "I4", || format!("the listing is {} s old", age.as_secs()))?;
    let after = facts.last_write.is_none_or(|write| facts.view.begun() >= write);
    ensure(after, "I4", || "the listing was begun before the last write".to_owned())?;
    ensure(facts.undecided.is_empty(), "I4", || "something there is undecided".to_owned())?;
    ensure(facts.name_agrees, "I4", || "the server's name differs from the configured one".to_owned())?;
    ensure(!facts.restoring, "I4", || "the server is being restored".to_owned())?;
    ensure(!facts.frozen, "I4", || "deletes are stopped".to_owned())?;
    ensure(facts.wanted.fuse.enabled, "I4", || "deletes are switched off".to_owned())
}

/// I2 and I3: at least `min_keep` completed items stay, and the newest of them among these.
fn check_last_good(deletions: &[&Deletion], facts: &Facts<'_>) -> Result<(), Violation> {
    let goes = |id: ItemId| deletions.iter().any(|deletion| deletion.item.id == id);
    if !deletions.iter().any(|deletion| deletion.item.status == Status::Completed) {
        return Ok(());
    }
    // The newest first, and no further than needed: each mark is read anew.
    let least = facts.policy.min_keep.max(1);
    let (mut newest, mut left) = (None, 0);
    for item in good_items(facts) {
        newest.get_or_insert(item.id);
        left += u32::from(!goes(item.id));
        if left >= least {
            break;
        }
    }
    ensure(left >= least, "I2", || format!("only {left} restore points would stay"))?;
    ensure(newest.is_some_and(|newest| !goes(newest)), "I3", || "the newest restore point would go".to_owned())
}

/// Restore points under our care that nothing protects, the newest first.
fn good_items<'a>(facts: &Facts<'a>) -> impl Iterator<Item = &'a Item> {
    let free = |item: &Item, mark: Option<WholeMark<'_>>| {
        let held = facts.held.get(&item.id).copied().max(mark.and_then(|mark| mark.until));
        held.is_none_or(|until| until <= facts.now) && !facts.protected.contains(&item.id)
    };
    let in_time = |item: &Item| item.created_at.duration_since(facts.now) <= SignedDuration::from_mins(5);
    let is_complete = |item: &&Item| item.status == Status::Completed && !item.automatic;
    let mut complete: Vec<&Item> = facts.view.items.iter().filter(is_complete).collect();
    complete.sort_unstable_by_key(|item| std::cmp::Reverse((item.created_at, item.id)));
    complete.into_iter().filter(move |item| {
        let mark = whole_mark(&item.description);
        under_our_care(item, mark, facts) && in_time(item) && free(item, mark)
    })
}

/// I10: the fuse.
fn check_fuse(deletions: &[&Deletion], before: bool, facts: &Facts<'_>) -> Result<(), Violation> {
    let fuse = facts.wanted.fuse;
    let planned = u32::try_from(deletions.len()).unwrap_or(u32::MAX);
    // The create that a plan is about to make pays for one delete before it, unless an earlier one is still unpaid.
    let credit = if before { u32::from(!facts.room_made) } else { facts.completed.saturating_sub(facts.owed) };
    let used = if before { 0 } else { facts.deleted.saturating_sub(facts.extra) };
    let unpaid = planned.saturating_sub(credit.saturating_sub(used));
    let of_run = facts.extra.saturating_add(unpaid);
    ensure(unpaid == 0 || of_run <= fuse.extra_per_server, "I10", || format!("{of_run} extra deletes in one run"))?;
    let of_day = facts.extra_last_day.saturating_add(unpaid);
    ensure(unpaid == 0 || of_day <= fuse.extra_per_day, "I10", || format!("{of_day} extra deletes within a day"))?;
    let marked = deletions.iter().filter(|deletion| deletion.extra).count();
    ensure(marked >= unpaid as usize, "I10", || "an extra delete is not marked as one".to_owned())
}

/// I5: one hole at most, so none where there is one.
fn check_room(deletions: &[&Deletion], facts: &Facts<'_>) -> Result<(), Violation> {
    let [deletion] = deletions else {
        return ensure(deletions.is_empty(), "I5", || format!("{} deletes before one create", deletions.len()));
    };
    let (used, cap) = slots(facts);
    ensure(used >= cap, "I5", || format!("room is made although only {used} of {cap} slots are used"))?;
    let good = deletion.item.status == Status::Completed;
    let counts: u64 = facts.policy.keep.rules().map(|(_, count)| u64::from(count)).sum();
    let surplus = || good_items(facts).count() as u64 > counts;
    ensure(!good || !facts.room_made || surplus(), "I5", || "room was made before, and nothing has completed since".to_owned())?;
    let newer = facts.view.items.iter().filter(|item| (item.created_at, item.id) > (deletion.item.created_at, deletion.item.id));
    let mut unfinished = newer.filter(|item| {
        !matches!(item.status, Status::Completed | Status::Failed) && !item.automatic && is_ours(item, whole_mark(&item.description), facts)
    });
    match unfinished.next() {
        None => Ok(()),
        Some(item) => Err(Violation { invariant: "I5", detail: format!("{} is newer and unfinished", item.id) }),
    }
}

/// I9: no create at the cap.
fn check_cap(deletions: &[&Deletion], facts: &Facts<'_>) -> Result<(), Violation> {
    let (used, cap) = slots(facts);
    let left = used.saturating_sub(deletions.len() as u64);
    ensure(left < cap, "I9", || format!("{left} of {cap} slots would be used before the create"))
}

/// How many slots are used, at the worst, and how many there are.
fn slots(facts: &Facts<'_>) -> (u64, u64) {
    let shown = facts.view.items.iter().filter(|item| !item.automatic).count() as u64;
    let used = shown + facts.view.unreadable.len() as u64 + facts.view.unseen;
    (used, u64::from(facts.wanted.limits.of(facts.policy.kind)))
}

/// I12 and I7: one item for a slot, and no second create while one for it is undecided.
fn check_slot(order: &Order, facts: &Facts<'_>) -> Result<(), Violation> {
    let same = |item: &&Item| {
        let mark = whole_mark(&item.description);
        let slot = mark.filter(|_| is_ours(item, mark, facts)).and_then(|mark| mark.slot);
        *item.description == *order.description || slot.is_some() && slot == order.slot
    };
    if let Some(twin) = facts.view.items.iter().filter(|item| item.status != Status::Failed).find(same) {
        return Err(Violation { invariant: "I12", detail: format!("{} is already there for it", twin.id) });
    }
    let undecided = facts.undecided.values().any(|undecided| match undecided {
        Undecided::Create(intent) => *intent.description == *order.description,
        Undecided::Delete(_) => false,
    });
    ensure(!undecided, "I7", || "an earlier create for it is undecided".to_owned())
}

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
