//! The closed lists of what can be wrong, with a target and with the account (contract §5).

use super::words::words;

words! {
    /// What can be wrong with one target (a server and a kind).
    Reason {
        /// No slot is free and no item may go.
        CapFull => "cap_full",
        /// The listing does not show everything of this server.
        ListingIncomplete => "listing_incomplete",
        /// The last create was refused or failed.
        CreateFailed => "create_failed",
        /// A create was sent and it is not known whether it was done.
        CreateUnknown => "create_unknown",
        /// An item of ours has been unfinished for longer than `stuck_after`.
        Stuck => "stuck",
        /// The last delete was refused, or did not take effect.
        DeleteFailed => "delete_failed",
        /// A delete was sent and it is not known whether it was done.
        DeleteUnknown => "delete_unknown",
        /// The provider's name of the server differs from the configured one.
        NameMismatch => "name_mismatch",
        /// The provider does not know the server, or no longer.
        ServerMissing => "server_missing",
        /// Two `match` entries name the server.
        MatchConflict => "match_conflict",
        /// The server is being restored.
        Restoring => "restoring",
        /// An item of the server has a status that this program does not know.
        UnknownStatus => "unknown_status",
        /// Deletes wait because the fuse allows no more.
        Fuse => "fuse",
        /// A plan was refused because it would have broken an invariant.
        Guard => "guard",
        /// A hook failed or ran out of time.
        HookFailed => "hook_failed",
        /// An item of ours no longer carries its mark.
        MarkLost => "mark_lost",
        /// No runs for now, by an operator's wish.
        Paused => "paused",
    }
}

words! {
    /// What can be wrong with the account as a whole.
    AccountReason {
        /// The token is refused.
        Auth => "auth",
        /// The token belongs to another account than the configured one.
        WrongAccount => "wrong_account",
        /// The provider does not answer.
        Unreachable => "unreachable",
        /// The provider asks for fewer requests.
        Throttled => "throttled",
        /// The clocks here and there differ too much.
        ClockSkew => "clock_skew",
        /// The journal cannot be written.
        Journal => "journal",
        /// A listing does not show everything, and not even whose entries are missing; or it is refused, or cannot be read.
        ListingIncomplete => "listing_incomplete",
    }
}

words! {
    /// How a run ended.
    RunResult {
        /// Everything that was planned is done.
        Success => "success",
        /// Something failed.
        Failure => "failure",
        /// No slot is free and no item may go.
        Blocked => "blocked",
        /// Nothing was to be done, or it may not be done now.
        Skipped => "skipped",
    }
}

words! {
    /// How a create or delete ended.
    OpResult {
        /// Done.
        Success => "success",
        /// Refused, or without effect.
        Failure => "failure",
        /// Sent, and the answer does not tell.
        Unknown => "unknown",
    }
}

/// Something that stands in the way of a target, with a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What.
    pub reason: Reason,
    /// In words, e.g. "5 of 5 slots are used, all by others".
    pub detail: String,
}
