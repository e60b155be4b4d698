//! What a run sees: the view it may plan on, why nothing may be deleted, and what planner and guard are told.

use jiff::Timestamp;

use crate::clock::Mono;

use super::super::assess::Knowledge;
use super::super::guard;
use super::super::inventory::{Item, ItemId, Status};
use super::super::mark::Reading;
use super::super::memory::Undecided;
use super::super::plan::{Allowance, Ground};
use super::super::policy::KindPolicy;
use super::super::problem::{Problem, Reason};
use super::super::view::View;
use super::{Context, Run, count};

/// Whether an item carries our mark.
fn is_ours(ctx: &Context<'_>, item: &Item) -> bool {
    matches!(item.description.reading(), Reading::Mark(mark) if ctx.wanted.is_ours(&mark.owner))
}

impl Run {
    /// What the newest listing shows of the server, if it was begun at `after` or later.
    pub(super) fn view<'a>(&self, ctx: &'a Context<'_>, after: Mono) -> Option<View<'a>> {
        let inventory = ctx.inventory.filter(|inventory| inventory.begun >= after)?;
        let mut view = inventory.of(self.target.server);
        let hidden = ctx.memory.made.keys().filter(|id| view.find(**id).is_none()).count() as u64;
        view.unseen = view.unseen.saturating_add(hidden);
        Some(view)
    }

    /// Whether that shows no free slot (I9).
    pub(super) fn is_full(&self, ctx: &Context<'_>, view: &View<'_>) -> bool {
        view.used() >= u64::from(ctx.wanted.limits.of(self.target.kind))
    }

    /// From when on what was seen is recent enough to delete on: at most 60 s ago (contract §3.1).
    pub(super) fn recent_from(ctx: &Context<'_>) -> Mono {
        Mono(ctx.now.mono.0.saturating_sub(guard::LISTING_AGE_MAX))
    }

    /// From when on a listing is fresh enough to plan on: recent, and after the last write.
    pub(super) fn fresh_from(ctx: &Context<'_>) -> Mono {
        let recent = Self::recent_from(ctx);
        ctx.last_write.map_or(recent, |write| write.max(recent))
    }

    /// Until when the newest listing, and what was last told of the server, are fresh enough to delete on.
    pub(super) fn fresh_until(ctx: &Context<'_>) -> Mono {
        let listed = ctx.inventory.map(|inventory| inventory.begun).unwrap_or_default();
        let told = if ctx.server.told { ctx.server.seen.unwrap_or_default() } else { listed };
        listed.min(told).after(guard::LISTING_AGE_MAX)
    }

    /// Whether the state of the servers is known freshly enough for deletes, where the provider tells it.
    pub(super) fn servers_are_fresh(ctx: &Context<'_>) -> bool {
        !ctx.server.told || ctx.server.seen.is_some_and(|seen| seen >= Self::recent_from(ctx))
    }

    /// Why nothing may be deleted there now (contract §3, "no delete on doubt").
    pub(super) fn freeze(&self, ctx: &Context<'_>, view: &View<'_>) -> Option<Problem> {
        let problem = |reason, detail| Some(Problem { reason, detail });
        if let Some(left_alone) = ctx.server.left_alone() {
            return Some(left_alone);
        }
        if !ctx.wanted.fuse.enabled {
            return problem(Reason::Fuse, "deletes are switched off (`deletes.enabled: false`)".to_owned());
        }
        if let Some(detail) = view.defect() {
            return problem(Reason::ListingIncomplete, detail);
        }
        if let Some(hidden) = ctx.memory.made.keys().find(|id| view.find(**id).is_none()) {
            return problem(Reason::ListingIncomplete, format!("item {hidden} is not shown"));
        }
        if let Some(name) = ctx.server.other_name {
            return problem(Reason::NameMismatch, format!("the provider calls the server `{name}`"));
        }
        if ctx.server.restoring {
            return problem(Reason::Restoring, "the server is being restored".to_owned());
        }
        if ctx.server.told && !Self::servers_are_fresh(ctx) {
            return problem(Reason::ListingIncomplete, "the state of the server is not known".to_owned());
        }
        if ctx.memory.undecided.is_empty() {
            return ctx.server.freeze.cloned();
        }
        let create = ctx.memory.undecided.values().all(|undecided| matches!(undecided, Undecided::Create(_)));
        let (reason, what) = if create { (Reason::CreateUnknown, "create") } else { (Reason::DeleteUnknown, "delete") };
        problem(reason, format!("an earlier {what} there is undecided"))
    }

    pub(super) fn knowledge<'a>(ctx: &'a Context<'_>) -> Knowledge<'a> {
        Knowledge { made: &ctx.memory.made, protected: ctx.protected, held: ctx.held }
    }

    /// Whether there is a hole: room was made that no completed create has paid for. One may have completed without a word in the journal: after a late
    /// commit (F03), made by another replica, or told in records that were torn off. Then it is newer than all that was shown with a mark when the room
    /// was planned. `but_for`: an item that is not to pay.
    pub(super) fn has_hole(&self, ctx: &Context<'_>, view: &View<'_>, but_for: Option<ItemId>) -> bool {
        let Some(made_way) = ctx.memory.made_way() else { return false };
        let is_shown = view.find(made_way).is_some();
        if is_shown && !ctx.memory.has_just_made_way(ctx.now.wall) {
            return false;
        }
        let completed = |item: &&Item| item.status == Status::Completed && Some(item.id) != but_for && is_ours(ctx, item);
        let ours = || view.items.iter().filter(completed);
        // Where every slot holds a restore point of ours there is no hole, whatever filled it. A list that lags behind may show what is gone.
        let filled = ours().filter(|item| !item.automatic && item.id != made_way).count();
        let is_paid =
            filled >= ctx.wanted.limits.of(self.target.kind) as usize || ours().any(|item| ctx.memory.is_after_room(item.created_at));
        !is_paid
    }

    /// When the newest item that is shown and has a mark was begun, or this one. Whoever's the mark is: a reload may make it ours; and a person may put one
    /// right that was damaged or is lost. What never had one cannot pay, and may carry any date.
    pub(super) fn newest_created_at(ctx: &Context<'_>, view: &View<'_>, item: &Item) -> Timestamp {
        let has_mark = |item: &&Item| !matches!(item.description.reading(), Reading::None) || ctx.memory.made.contains_key(&item.id);
        view.items.iter().filter(has_mark).fold(item.created_at, |newest, item| newest.max(item.created_at))
    }

    pub(super) fn ground<'a>(
        &self,
        ctx: &'a Context<'_>,
        policy: &'a KindPolicy,
        view: &'a View<'a>,
        freeze: Option<&'a Problem>,
    ) -> Ground<'a> {
        let fuse = ctx.wanted.fuse;
        let unpaid = count(&self.deleted).saturating_sub(self.extra_used);
        Ground {
            wanted: ctx.wanted,
            policy,
            view,
            knowledge: Self::knowledge(ctx),
            freeze,
            room_made: self.has_hole(ctx, view, None),
            allowance: Allowance {
                paid: count(&self.created).saturating_sub(self.owed).saturating_sub(unpaid),
                extra_run: fuse.extra_per_server.saturating_sub(self.extra_used),
                extra_day: fuse.extra_per_day.saturating_sub(ctx.extras_last_day),
            },
            now: ctx.now.wall,
        }
    }

    pub(super) fn guard_facts<'a>(&self, ctx: &'a Context<'_>, policy: &'a KindPolicy, view: &'a View<'a>) -> guard::Facts<'a> {
        guard::Facts {
            wanted: ctx.wanted,
            policy,
            server: self.target.server,
            view,
            made: &ctx.memory.made,
            protected: ctx.protected,
            held: ctx.held,
            last_write: ctx.last_write,
            undecided: &ctx.memory.undecided,
            frozen: ctx.server.freeze.is_some() || ctx.server.left_alone().is_some(),
            name_agrees: ctx.server.other_name.is_none(),
            restoring: ctx.server.restoring,
            room_made: self.has_hole(ctx, view, None),
            completed: count(&self.created),
            owed: self.owed,
            deleted: count(&self.deleted),
            extra: self.extra_used,
            extra_last_day: ctx.extras_last_day,
            now: ctx.now.wall,
            mono: ctx.now.mono,
        }
    }
}
