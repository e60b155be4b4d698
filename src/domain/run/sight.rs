//! What a run sees: the view it may plan on, why nothing may be deleted, and what planner and guard are told.

use crate::clock::Mono;

use super::super::assess::Knowledge;
use super::super::guard;
use super::super::plan::{Allowance, Ground};
use super::super::policy::KindPolicy;
use super::super::problem::{Problem, Reason};
use super::super::view::View;
use super::{Context, Run};

impl Run {
    /// What the newest listing shows of the server, if it was begun at `after` or later.
    pub(super) fn view<'a>(&self, ctx: &'a Context<'_>, after: Mono) -> Option<View<'a>> {
        let inventory = ctx.inventory.filter(|inventory| inventory.begun >= after)?;
        let mut view = inventory.of(self.target.server);
        let hidden = ctx.memory.made.keys().filter(|id| view.find(**id).is_none()).count() as u64;
        view.unseen = view.unseen.saturating_add(hidden);
        Some(view)
    }

    /// From when on a listing is fresh enough to plan on: after the last write, and at most 60 s ago (contract §3.1).
    pub(super) fn fresh_from(ctx: &Context<'_>) -> Mono {
        let youngest = Mono(ctx.now.mono.0.saturating_sub(guard::LISTING_AGE_MAX));
        ctx.last_write.map_or(youngest, |write| write.max(youngest))
    }

    /// Whether the state of the servers is known freshly enough for deletes, where the provider tells it.
    pub(super) fn servers_are_fresh(ctx: &Context<'_>) -> bool {
        let youngest = Mono(ctx.now.mono.0.saturating_sub(guard::LISTING_AGE_MAX));
        !ctx.server.told || ctx.server.seen.is_some_and(|seen| seen >= youngest)
    }

    /// Why nothing may be deleted there now (contract §3, "no delete on doubt").
    pub(super) fn freeze(&self, ctx: &Context<'_>, view: &View<'_>) -> Option<Problem> {
        let problem = |reason, detail| Some(Problem { reason, detail });
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
        if !ctx.memory.undecided.is_empty() {
            return problem(Reason::DeleteUnknown, "something there is undecided".to_owned());
        }
        ctx.server.freeze.cloned()
    }

    pub(super) fn knowledge<'a>(ctx: &'a Context<'_>) -> Knowledge<'a> {
        Knowledge { made: &ctx.memory.made, protected: ctx.protected, held: ctx.held }
    }

    pub(super) fn ground<'a>(
        &self,
        ctx: &'a Context<'_>,
        policy: &'a KindPolicy,
        view: &'a View<'a>,
        freeze: Option<&'a Problem>,
    ) -> Ground<'a> {
        let fuse = ctx.wanted.fuse;
        let completed = u32::try_from(self.created.len()).unwrap_or(u32::MAX);
        let deleted = u32::try_from(self.deleted.len()).unwrap_or(u32::MAX);
        Ground {
            wanted: ctx.wanted,
            policy,
            view,
            knowledge: Self::knowledge(ctx),
            freeze,
            room_made: ctx.memory.rooms_made > 0,
            allowance: Allowance {
                paid: completed.saturating_sub(self.owed).saturating_sub(deleted.saturating_sub(self.extra_used)),
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
            undecided: !ctx.memory.undecided.is_empty(),
            name_agrees: ctx.server.other_name.is_none(),
            restoring: ctx.server.restoring,
            rooms_made: ctx.memory.rooms_made,
            completed: u32::try_from(self.created.len()).unwrap_or(u32::MAX),
            owed: self.owed,
            deleted: u32::try_from(self.deleted.len()).unwrap_or(u32::MAX),
            extra_last_day: ctx.extras_last_day,
            now: ctx.now.wall,
            mono: ctx.now.mono,
        }
    }
}
