//! What one run does for one server and kind: decided here, once, and carried out without further choice (contract §3).
//!
//! A run has two plans, each made on a fresh listing: one before the create, one after its completion.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::assess::{Belonging, Knowledge, Reasons, Row, Verdict, Why, assess, assess_belonging, judge, judge_coming, makes_room};
use super::inventory::{Item, ItemId, Status};
use super::policy::{AtCap, KindPolicy, Wanted};
use super::problem::{Problem, Reason};
use super::retention::Ruling;
use super::view::View;

/// What a plan is made on.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'a> {
    /// What is wanted.
    pub wanted: &'a Wanted,
    /// The policy for this server and kind.
    pub policy: &'a KindPolicy,
    /// What the provider shows.
    pub view: &'a View<'a>,
    /// What else is known of the items.
    pub knowledge: Knowledge<'a>,
    /// Why nothing may be deleted here now.
    pub freeze: Option<&'a Problem>,
    /// Whether room was made and no create has completed since.
    pub room_made: bool,
    /// What the fuse allows.
    pub allowance: Allowance,
    /// The wall clock.
    pub now: Timestamp,
}

/// How many deletes there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Allowance {
    /// Deletes that a completed create of this run has paid for and that are not used up.
    pub paid: u32,
    /// Extra ones, by `extra_per_server` and what this run has used of it.
    pub extra_run: u32,
    /// Extra ones, by `extra_per_day` and what the last 24 hours have used of it.
    pub extra_day: u32,
}

impl Allowance {
    fn extra(self) -> u32 {
        self.extra_run.min(self.extra_day)
    }
}

/// The item that a run is to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Its name; backups have none.
    pub name: Option<Arc<str>>,
    /// Its description, which is its mark.
    pub description: Arc<str>,
    /// The slot it is for; none for one made by hand.
    pub slot: Option<Timestamp>,
}

impl Order {
    /// The item's name; its description where the kind has no names.
    #[must_use]
    pub fn title(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.description)
    }
}

/// When a delete is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum When {
    /// Before the create, to make room for it.
    BeforeCreate,
    /// After its completion, because retention drops the item.
    AfterCreate,
}

impl When {
    /// The word used in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            When::BeforeCreate => "before_create",
            When::AfterCreate => "after_create",
        }
    }
}

/// One planned delete. It names its item for good: nothing else is ever deleted in its stead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    /// The item as it was seen; it must still look so when the delete is sent.
    pub item: Item,
    /// When.
    pub when: When,
    /// Whether no completed create pays for it.
    pub extra: bool,
    /// Why; [`sentence`](super::assess::sentence) puts it into words, where anybody is told.
    pub why: Reasons,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Delete an item.
    Delete(Deletion),
    /// Make one.
    Create(Order),
}

/// What to do, and what becomes of each item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan<'a> {
    /// The provider's cap.
    pub cap: u32,
    /// Items that count against it, at the worst.
    pub used: u64,
    /// Those of them that are not under our care.
    pub others: u64,
    /// Every item that could be read, by time, then number.
    pub lines: Vec<Row<'a>>,
    /// What to do, in this order. Before a create, the deletes after it are a forecast.
    pub actions: Vec<Action>,
    /// What retention drops but may not go yet.
    pub pending: Vec<ItemId>,
    /// Why nothing is made.
    pub blocked: Option<Problem>,
    /// What stands in the way of more.
    pub problems: Vec<Problem>,
}

impl Plan<'_> {
    /// The same, so that it outlives the listing that it was made on.
    #[must_use]
    pub fn into_owned(self) -> Plan<'static> {
        let owned = |row: Row<'_>| Row {
            item: row.item.to_kept(),
            belonging: row.belonging,
            judged: row.judged,
            failed: row.failed,
            mark_lost: row.mark_lost,
            free_at: row.free_at,
            verdict: row.verdict,
            reasons: row.reasons,
        };
        Plan {
            cap: self.cap,
            used: self.used,
            others: self.others,
            lines: self.lines.into_iter().map(owned).collect(),
            actions: self.actions,
            pending: self.pending,
            blocked: self.blocked,
            problems: self.problems,
        }
    }

    /// The deletes for a time, in their order.
    pub fn deletions(&self, when: When) -> impl Iterator<Item = &Deletion> {
        self.actions.iter().filter_map(move |action| match action {
            Action::Delete(deletion) if deletion.when == when => Some(deletion),
            _ => None,
        })
    }

    /// The item to be made.
    #[must_use]
    pub fn order(&self) -> Option<&Order> {
        self.actions.iter().find_map(|action| match action {
            Action::Create(order) => Some(order),
            Action::Delete(_) => None,
        })
    }
}

/// Plans a create: straight away where a slot is visibly free, else after making room (contract §3.2–4).
#[must_use]
pub fn before_create<'a>(ground: &Ground<'a>, order: &Order) -> Plan<'a> {
    let mut rows = assess_belonging(ground.view.items, ground.wanted, ground.policy, ground.knowledge, ground.now);
    let used = ground.view.used();
    let full = used >= u64::from(ground.wanted.limits.of(ground.policy.kind));
    // Only where room is needed it matters what retention drops without the coming one.
    let dropped_now = if full {
        judge_coming(&mut rows, ground.policy, ground.now, order.slot)
    } else {
        judge(&mut rows, ground.policy, ground.now, Some(order.slot));
        None
    };
    let mut plan = bare(ground, rows, used);
    let mut gone = None;
    let mut left = ground.allowance;
    left.paid = u32::from(!full && !ground.room_made);
    if full {
        match make_room(ground, &plan.lines, dropped_now, used) {
            Ok(Room { index, why, extra }) => {
                left.extra_run = left.extra_run.saturating_sub(extra.into());
                left.extra_day = left.extra_day.saturating_sub(extra.into());
                let row = &mut plan.lines[index];
                gone = Some(row.item.id);
                row.verdict = Verdict::Delete;
                row.reasons = why.into();
                let deletion = Deletion { item: Item::clone(&row.item), when: When::BeforeCreate, extra, why: row.reasons.clone() };
                plan.actions.push(Action::Delete(deletion));
            }
            Err(blocked) => {
                refuse(&mut plan, ground, blocked);
                return plan;
            }
        }
    }
    plan.actions.push(Action::Create(order.clone()));
    add_drops(&mut plan, ground, left, gone);
    plan
}

/// Nothing is made, and retention makes of the items what it does of them as they are.
fn refuse(plan: &mut Plan<'_>, ground: &Ground<'_>, blocked: Problem) {
    judge(&mut plan.lines, ground.policy, ground.now, None);
    plan.problems.retain(|problem| problem.reason != blocked.reason);
    plan.problems.push(blocked.clone());
    plan.blocked = Some(blocked);
}

/// Plans the pruning after a create has completed: what retention drops goes, the oldest first, as far as the fuse allows.
#[must_use]
pub fn after_create<'a>(ground: &Ground<'a>) -> Plan<'a> {
    let mut plan = look(ground);
    add_drops(&mut plan, ground, ground.allowance, None);
    plan
}

/// What retention makes of the items now, with nothing to do: for reports.
#[must_use]
pub fn look<'a>(ground: &Ground<'a>) -> Plan<'a> {
    let rows = assess(ground.view.items, ground.wanted, ground.policy, ground.knowledge, ground.now, None);
    bare(ground, rows, ground.view.used())
}

fn bare<'a>(ground: &Ground<'a>, rows: Vec<Row<'a>>, used: u64) -> Plan<'a> {
    let others = rows.iter().filter(|row| row.belonging == Belonging::Other).count() as u64;
    let unreadable = ground.view.unreadable.len() as u64 + ground.view.unseen;
    Plan {
        cap: ground.wanted.limits.of(ground.policy.kind),
        used,
        others: others + unreadable,
        lines: rows,
        actions: Vec::new(),
        pending: Vec::new(),
        blocked: None,
        problems: ground.freeze.cloned().into_iter().collect(),
    }
}

/// Adds the deletes after the create, and what must wait for another run.
fn add_drops(plan: &mut Plan<'_>, ground: &Ground<'_>, left: Allowance, gone: Option<ItemId>) {
    let allowed = if ground.freeze.is_some() { 0 } else { left.paid.saturating_add(left.extra()) } as usize;
    let drops = plan.lines.iter().filter(|line| line.verdict == Verdict::Delete && Some(line.item.id) != gone);
    for (index, line) in drops.enumerate() {
        if index < allowed {
            plan.actions.push(Action::Delete(Deletion {
                item: Item::clone(&line.item),
                when: When::AfterCreate,
                extra: index >= left.paid as usize,
                why: line.reasons.clone(),
            }));
        } else {
            plan.pending.push(line.item.id);
        }
    }
    let waiting = plan.pending.len();
    if waiting > 0 && ground.freeze.is_none() {
        let detail = format!("{waiting} more to delete than the fuse allows now; the rest goes with later runs");
        plan.problems.push(Problem { reason: Reason::Fuse, detail });
    }
}

/// Which row makes room, and why.
struct Room {
    index: usize,
    why: Why,
    /// No completed create pays for it.
    extra: bool,
}

/// Finds the one item that goes so that another can be made. All slots are used.
fn make_room(ground: &Ground<'_>, next: &[Row<'_>], dropped_now: Option<Dropped>, used: u64) -> Result<Room, Problem> {
    let cap = ground.wanted.limits.of(ground.policy.kind);
    let full = || format!("{used} of {cap} slots are used ({})", tally(ground, next));
    let blocked = |why: String| Problem { reason: Reason::CapFull, detail: format!("{}; {why}", full()) };
    let unseen = ground.view.unseen.saturating_add(ground.view.unreadable.len() as u64);
    if used.saturating_sub(unseen) < u64::from(cap) {
        let detail = format!("{}; with {unseen} entries that cannot be seen, no slot is visibly free", full());
        return Err(Problem { reason: Reason::ListingIncomplete, detail });
    }
    if ground.policy.at_cap == AtCap::Refuse {
        return Err(blocked("no room is made (`at_cap: refuse`, or `take` without `--make-room`)".to_owned()));
    }
    if let Some(freeze) = ground.freeze {
        return Err(Problem { reason: freeze.reason, detail: format!("{}; nothing may be deleted: {}", full(), freeze.detail) });
    }
    if used > u64::from(cap) {
        return Err(blocked("one delete would not free a slot".to_owned()));
    }
    let (index, why) = victim(ground, next, dropped_now).map_err(blocked)?;
    let newer = &next[index + 1..];
    if let Some(unfinished) = newer.iter().find(|row| row.is_unfinished_ours()) {
        return Err(blocked(format!("no room is made while {} is unfinished", unfinished.item.id)));
    }
    // The coming create pays for one delete; while an earlier one is still unpaid, this is an extra one.
    let extra = ground.room_made;
    if extra && ground.allowance.extra() == 0 {
        let detail = format!("{}; room was made before and nothing has completed since, and the fuse allows no extra delete", full());
        return Err(Problem { reason: Reason::Fuse, detail });
    }
    Ok(Room { index, why, extra })
}

/// What retention drops first: the place of the item, and the ruling.
type Dropped = (usize, Ruling);

/// What retention has dropped first; the newest restore point never counts.
fn dropped<'r>(rows: &'r [Row<'_>]) -> Option<(usize, &'r Reasons)> {
    let index = rows.iter().position(|row| row.judged && row.verdict == Verdict::Delete)?;
    let is_newest = rows[index + 1..].iter().all(|row| !row.judged);
    (!is_newest).then(|| (index, &rows[index].reasons))
}

/// A failed item of ours, else the oldest that retention drops, else the oldest judged one (contract §3.3).
///
/// What retention drops is asked first of the items that are there, then with the coming one among them: so it is never an item that the
/// coming one would not have displaced as well, as long as there is such a one.
fn victim(ground: &Ground<'_>, next: &[Row<'_>], dropped_now: Option<Dropped>) -> Result<(usize, Why), String> {
    if let Some(index) = next.iter().position(|row| row.failed) {
        return Ok((index, "makes room: it failed".into()));
    }
    let judged = next.iter().filter(|row| row.judged).count();
    let Some(newest) = next.iter().rposition(|row| row.judged) else {
        return Err("none of them is under our care".to_owned());
    };
    if judged <= ground.policy.min_keep as usize {
        return Err(format!("`min_keep: {}` lets none go", ground.policy.min_keep));
    }
    // A hole that others have filled stays unpaid. What retention drops anyway may go all the same, as an extra one, as long as more are there than it
    // could ever keep: else one item too many would block every run to come.
    if ground.room_made && judged as u64 <= ground.policy.keep.sum() {
        return Err("room was made before, and nothing has completed since".to_owned());
    }
    if let Some((index, ruling)) = dropped_now {
        return Ok((index, Why::MakesRoom { with_new: false, ruling }));
    }
    if ground.room_made {
        return Err("room was made before, and nothing has completed since".to_owned());
    }
    if let Some((index, reasons)) = dropped(next) {
        return Ok((index, makes_room(reasons)));
    }
    match next.iter().position(|row| row.judged).filter(|found| *found != newest) {
        Some(index) => Ok((index, "makes room: the oldest under our care".into())),
        None => Err("only the newest restore point is under our care".to_owned()),
    }
}

/// Who uses the slots, e.g. "2 restore points, 2 made by others, 1 in progress".
fn tally(ground: &Ground<'_>, rows: &[Row<'_>]) -> String {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for row in rows.iter().filter(|row| !row.item.automatic) {
        let what = match (&row.item.status, row.belonging) {
            _ if row.judged => "restore points",
            (_, Belonging::Other) => "made by others or protected",
            (Status::Completed, _) => "held or protected",
            (Status::Failed, _) if !row.failed => "failed and left alone",
            (status, _) => status.as_str(),
        };
        *counts.entry(what).or_default() += 1;
    }
    let unseen = ground.view.unreadable.len() as u64 + ground.view.unseen;
    if unseen > 0 {
        counts.insert("unreadable or not shown", unseen);
    }
    let parts: Vec<String> = counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
    parts.join(", ")
}

#[cfg(test)]
mod tests;
