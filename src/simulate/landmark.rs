//! The interesting states that a simulated history should come to now and then: a simulator that never gets there proves nothing about them.

use crate::controller::OrderReport;
use crate::domain::fact::Fact;
use crate::domain::problem::{AccountReason, OpResult, Reason, RunResult};
use crate::domain::record::{DeleteWhen, Record, Trigger};
use crate::domain::standing::Standing;
use crate::domain::words::words;

words! {
    /// An interesting state.
    Landmark {
        /// A create was carried out only after a complete listing had shown nothing of it.
        CommitAfterWeLooked => "commit_after_we_looked",
        /// A create was sent again, after it was proved absent or refused.
        CreateSentAgain => "create_sent_again",
        /// A create in doubt was found by its mark.
        CreateFoundByMark => "create_found_by_mark",
        /// A create was given up without knowing.
        CreateGivenUp => "create_given_up",
        /// A delete was in doubt, and looking settled it.
        DeleteSettledByLooking => "delete_settled_by_looking",
        /// A delete was sent again.
        DeleteSentAgain => "delete_sent_again",
        /// A delete without effect was told.
        DeleteIneffective => "delete_ineffective",
        /// The process died between a durable intent and the sending.
        CrashBeforeSend => "crash_before_send",
        /// The process died while a create or delete was on its way.
        CrashInFlight => "crash_in_flight",
        /// The process died while an item was being made.
        CrashWhileMaking => "crash_while_making",
        /// The process died before an append was durable.
        CrashLosesAppend => "crash_loses_append",
        /// A delete had to wait for its turn until it was too old, and was not sent.
        DeleteOutdated => "delete_outdated",
        /// A listing was let through long after it was asked for.
        ListingQueued => "listing_queued",
        /// An answer was taken in together with something else that had come meanwhile.
        LoopWasBusy => "loop_was_busy",
        /// An interrupted run was picked up.
        RunResumed => "run_resumed",
        /// The journal was lost.
        JournalLost => "journal_lost",
        /// The end of the journal was torn off.
        JournalTorn => "journal_torn",
        /// A journal forgot something old.
        JournalForgets => "journal_forgets",
        /// The journal could be written again.
        JournalHealed => "journal_healed",
        /// No slot was free and nothing could go.
        CapBlocked => "cap_blocked",
        /// Room was made at the cap.
        RoomMade => "room_made",
        /// An item went beyond what completed creates had paid for.
        ExtraDelete => "extra_delete",
        /// The fuse held deletes back.
        FuseHeld => "fuse_held",
        /// A slot had two items, after a late commit or of two daemons.
        TwinMade => "twin_made",
        /// One of two items of a slot was removed.
        TwinRemoved => "twin_removed",
        /// An item without a mark, which a policy adopts, was removed.
        AdoptedItemRemoved => "adopted_item_removed",
        /// A list came that did not show what there was.
        ListLied => "list_lied",
        /// The list of servers did not show them all.
        ServersUnshown => "servers_unshown",
        /// A failed item was cleared away.
        FailedItemRemoved => "failed_item_removed",
        /// A slot was too late to be made up for.
        CatchUpRefused => "catch_up_refused",
        /// A slot was made up for.
        MadeUpFor => "made_up_for",
        /// A run found its slot's item already there.
        AlreadyThere => "already_there",
        /// Deletes were stopped by incomplete listings, and went on again.
        FreezeLifted => "freeze_lifted",
        /// The provider had asked for fewer requests, and that was over.
        ThrottlingOver => "throttling_over",
        /// The token had been refused, and that was over.
        TokenAccepted => "token_accepted",
        /// The provider had been away, and was back.
        OutageOver => "outage_over",
        /// The clocks had differed too much, and agreed again.
        SkewOver => "skew_over",
        /// An item was stuck.
        Stuck => "stuck",
        /// An item failed.
        ItemFailed => "item_failed",
        /// An item had a status that is not known.
        UnknownStatus => "unknown_status",
        /// A server's name differed, and agreed again.
        NameAgreed => "name_agreed",
        /// A server was gone, and came back.
        ServerCameBack => "server_came_back",
        /// A server was being restored.
        Restoring => "restoring",
        /// An item under our care vanished without us.
        ItemLost => "item_lost",
        /// Another configuration came while a run was on.
        ReloadMidRun => "reload_mid_run",
        /// The wall clock was set back.
        ClockSetBack => "clock_set_back",
        /// The wall clock was set forward.
        ClockSetForward => "clock_set_forward",
        /// Two daemons were at work on one account.
        TwoDaemons => "two_daemons",
        /// An item was made by hand.
        TakenByHand => "taken_by_hand",
        /// An item was held.
        ItemHeld => "item_held",
        /// It was told that a hold comes too late for a delete.
        HeldTooLate => "held_too_late",
        /// Runs were paused by an order.
        RunsPaused => "runs_paused",
        /// Deletes were stopped on a server for a restore.
        DeletesStopped => "deletes_stopped",
        /// Such an order was ended before its time.
        OrderEnded => "order_ended",
    }
}

impl Landmark {
    /// What a fact shows.
    pub(super) fn of_fact(fact: &Fact) -> Option<Landmark> {
        Some(match fact {
            Fact::CreateSent { attempt: 2.., .. } => Landmark::CreateSentAgain,
            Fact::CreateDecided { result: OpResult::Unknown, .. } => Landmark::CreateGivenUp,
            Fact::Missed { .. } => Landmark::CatchUpRefused,
            Fact::RunStarted { lateness: Some(late), .. } if late.as_secs() > 60 => Landmark::MadeUpFor,
            Fact::RunEnded { result: RunResult::Skipped, .. } => Landmark::AlreadyThere,
            Fact::Lost { .. } => Landmark::ItemLost,
            Fact::ProblemRaised { problem, .. } => match problem.reason {
                Reason::CapFull => Landmark::CapBlocked,
                Reason::Fuse => Landmark::FuseHeld,
                Reason::Stuck => Landmark::Stuck,
                Reason::UnknownStatus => Landmark::UnknownStatus,
                Reason::Restoring => Landmark::Restoring,
                _ => return None,
            },
            Fact::ProblemCleared { reason, .. } => match reason {
                Reason::ListingIncomplete => Landmark::FreezeLifted,
                Reason::NameMismatch => Landmark::NameAgreed,
                Reason::ServerMissing => Landmark::ServerCameBack,
                _ => return None,
            },
            Fact::AccountProblemCleared { reason } => match reason {
                AccountReason::Throttled => Landmark::ThrottlingOver,
                AccountReason::Auth => Landmark::TokenAccepted,
                AccountReason::Unreachable => Landmark::OutageOver,
                AccountReason::ClockSkew => Landmark::SkewOver,
                AccountReason::Journal => Landmark::JournalHealed,
                _ => return None,
            },
            _ => return None,
        })
    }

    /// What the answer to an order shows.
    pub(super) fn of_order(report: &OrderReport) -> Option<Landmark> {
        if report.late.is_some() {
            return Some(Landmark::HeldTooLate);
        }
        Some(match report.result.as_ref().ok()?.last()?.what {
            Standing::Hold(_) => Landmark::ItemHeld,
            Standing::Pause(_) => Landmark::RunsPaused,
            Standing::NoDeletes { .. } => Landmark::DeletesStopped,
            Standing::Resume(_) | Standing::Release(_) | Standing::Deletes { .. } => Landmark::OrderEnded,
        })
    }

    /// What a record shows.
    pub(super) fn of_record(record: &Record) -> Option<Landmark> {
        use crate::domain::record::{CreateEnd, DeleteEnd};
        Some(match record {
            Record::DeleteIntent(intent) if intent.extra => Landmark::ExtraDelete,
            Record::DeleteIntent(intent) if intent.when == DeleteWhen::BeforeCreate => Landmark::RoomMade,
            Record::DeleteEnded { how: DeleteEnd::Ineffective, .. } => Landmark::DeleteIneffective,
            Record::CreateEnded { how: CreateEnd::Failed, .. } => Landmark::ItemFailed,
            Record::RunStarted(start) if start.trigger == Trigger::Resumed => Landmark::RunResumed,
            Record::RunStarted(start) if start.trigger == Trigger::Hand => Landmark::TakenByHand,
            _ => return None,
        })
    }
}
