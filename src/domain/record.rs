//! What can be written into the journal: intents before an effect, and what came of it.

use std::fmt;

use std::sync::Arc;

use jiff::Timestamp;

use super::fact::Target;
use super::inventory::{ItemId, Kind, ServerId};
use super::mark::Origin;
use super::policy::Hook;
use super::policy_text::{PolicyText, TextDigest};
use super::problem::{Problem, RunResult};
use super::standing::StandingOrder;
use super::words::words;

/// The number of one create or delete. The controller gives it, counting on from what the journal says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(pub u64);

/// The number of one run. The controller gives it, counting on from what the journal says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub u64);

impl fmt::Display for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One entry of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A create is about to be sent.
    CreateIntent(Arc<CreateIntent>),
    /// A delete is about to be sent.
    DeleteIntent(Arc<DeleteIntent>),
    /// The provider has taken the order, or the item was found by its mark: the id is known. Takes back an earlier "refused" or "absent".
    CreateAccepted {
        /// Which create.
        op: OpId,
        /// The item.
        item: ItemId,
        /// When this became known.
        at: Timestamp,
    },
    /// The item was seen completed. Its id must be known.
    CreateCompleted {
        /// Which create.
        op: OpId,
        /// When it was seen.
        at: Timestamp,
    },
    /// The create came to another end.
    CreateEnded {
        /// Which create.
        op: OpId,
        /// Which end.
        how: CreateEnd,
        /// What the provider said.
        error: Option<Box<str>>,
        /// When this became known.
        at: Timestamp,
    },
    /// The delete came to an end. [`DeleteEnd::Gone`] also says of the item that it is gone, through us.
    DeleteEnded {
        /// Which delete.
        op: OpId,
        /// Which end.
        how: DeleteEnd,
        /// What the provider said.
        error: Option<Box<str>>,
        /// When this became known.
        at: Timestamp,
    },
    /// An item no longer exists. Of an item that the journal did not make, nothing is kept.
    ItemGone {
        /// The server it was of.
        server: ServerId,
        /// Snapshot or backup.
        kind: Kind,
        /// Which.
        item: ItemId,
        /// Deleted by us; `false`: it vanished without us.
        ours: bool,
        /// When this became known.
        at: Timestamp,
    },
    /// A run begins.
    RunStarted(Arc<RunStart>),
    /// A run is over. The first end of a run stays.
    RunEnded {
        /// Which run.
        run: RunId,
        /// How it ended.
        result: RunResult,
        /// What stood in the way.
        problems: Vec<Problem>,
        /// What failed.
        error: Option<Box<str>>,
        /// When.
        at: Timestamp,
    },
    /// The target is configured. The first time stays.
    TargetSeen {
        /// The server.
        server: ServerId,
        /// Snapshots or backups.
        kind: Kind,
        /// When it was seen in the configuration.
        at: Timestamp,
    },
    /// Slots passed without a run.
    SlotsMissed(Box<SlotsMissed>),
    /// The hooks around a create are about to begin: from now on `after` is owed.
    HooksBegun(Box<HooksBegun>),
    /// Nothing is owed any more: `after` has run, or there is none. The first end stays.
    HooksEnded {
        /// Which.
        op: OpId,
        /// Why `after` did not end well, after the last try.
        error: Option<Box<str>>,
        /// When.
        at: Timestamp,
    },
    /// A person has ordered something that stands until its time.
    Ordered(Box<StandingOrder>),
    /// The text of a policy that something is about to be done by. Each text is kept once, for as long as an intent names it.
    PolicyText(Arc<PolicyText>),
}

/// Which server and kind, under which policy, by the names of that time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The server.
    pub server: ServerId,
    /// Its name then.
    pub server_name: Arc<str>,
    /// Snapshot or backup.
    pub kind: Kind,
    /// The policy's name then.
    pub policy: Arc<str>,
}

impl From<&Target> for Subject {
    fn from(target: &Target) -> Subject {
        Subject {
            server: target.server,
            server_name: Arc::clone(&target.server_name),
            kind: target.kind,
            policy: Arc::clone(&target.policy),
        }
    }
}

/// A create that is about to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateIntent {
    /// Its number.
    pub op: OpId,
    /// The run that it belongs to.
    pub run: RunId,
    /// Of what.
    pub subject: Subject,
    /// For which slot, or by hand.
    pub origin: Origin,
    /// The name that is sent; backups have none.
    pub name: Option<Arc<str>>,
    /// The description that is sent, with the mark.
    pub description: Arc<str>,
    /// The how manieth create for this slot it is, from 1.
    pub attempt: u32,
    /// When.
    pub at: Timestamp,
    /// The digest of the configuration under which it was decided.
    pub config: Arc<str>,
    /// The digest of the policy's text ([`Record::PolicyText`]); none in what journals before version 3 hold.
    pub policy_text: Option<TextDigest>,
}

/// A delete that is about to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteIntent {
    /// Its number.
    pub op: OpId,
    /// The run that it belongs to.
    pub run: RunId,
    /// Of what.
    pub subject: Subject,
    /// The item. It never changes, whatever the answers are (I8).
    pub item: ItemId,
    /// The item's name as last seen; backups have none.
    pub item_name: Option<Box<str>>,
    /// When the item was begun, by the provider's clock.
    pub item_created_at: Timestamp,
    /// When the newest item there with a mark was begun, or this one, as the listing shows it by which that was decided: what pays for the room that this
    /// delete makes is newer. None in what journals before version 4 hold.
    pub newest_created_at: Option<Timestamp>,
    /// To make room, or afterwards.
    pub when: DeleteWhen,
    /// Not paid for by a completed create: counts against the fuse.
    pub extra: bool,
    /// Why this item goes.
    pub reason: Box<str>,
    /// When.
    pub at: Timestamp,
    /// The digest of the configuration under which it was decided.
    pub config: Arc<str>,
    /// The digest of the policy's text ([`Record::PolicyText`]); none in what journals before version 3 hold.
    pub policy_text: Option<TextDigest>,
}

/// A run that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunStart {
    /// Its number.
    pub run: RunId,
    /// For what.
    pub subject: Subject,
    /// What set it off.
    pub trigger: Trigger,
    /// The user who asked for it, as the command told; none where nobody did, and in what journals before version 3 hold.
    pub by: Option<Box<str>>,
    /// The slot it is for; none for a run without a schedule.
    pub slot: Option<Timestamp>,
    /// When.
    pub at: Timestamp,
}

/// The hooks around one create. It says all that running `after` takes, so that it can be run whatever has become of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HooksBegun {
    /// Its number: of the same sort as those of creates and deletes.
    pub op: OpId,
    /// The run that it belongs to.
    pub run: RunId,
    /// Of what.
    pub subject: Subject,
    /// The slot of the item that is to be made; none for one without.
    pub slot: Option<Timestamp>,
    /// The item's name, or its description where the kind has no names.
    pub name: Box<str>,
    /// The command that is owed.
    pub after: Option<Hook>,
    /// When.
    pub at: Timestamp,
}

/// Slots of one target that passed without a run. The journal keeps one entry for each newest slot, the first that is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotsMissed {
    /// Of what.
    pub subject: Subject,
    /// The newest of them.
    pub slot: Timestamp,
    /// How many.
    pub count: u64,
    /// When this was noticed.
    pub at: Timestamp,
}

words! {
    /// An end of a create without a completed item.
    CreateEnd {
        /// The provider said no: nothing was made.
        Refused => "refused",
        /// It never reached the provider, or was turned away unread (throttled, busy): does not count as an attempt.
        NotSent => "not_sent",
        /// The item took a failed status. It exists until it is gone.
        Failed => "failed",
        /// The answer was doubtful, and the item was proved not to exist.
        Absent => "absent",
    }
}

words! {
    /// An end of a delete.
    DeleteEnd {
        /// The item is seen to be gone.
        Gone => "gone",
        /// The provider said no.
        Refused => "refused",
        /// The provider said yes, and the item stays.
        Ineffective => "ineffective",
    }
}

words! {
    /// What a delete is for.
    DeleteWhen {
        /// To make room for a create that follows.
        BeforeCreate => "before_create",
        /// Retention, after a completed create or without one.
        AfterCreate => "after_create",
    }
}

words! {
    /// What sets a run off.
    Trigger {
        /// A due slot, in the daemon.
        Schedule => "schedule",
        /// The `run` command.
        Command => "command",
        /// The `take` command.
        Hand => "hand",
        /// An interrupted run that was picked up.
        Resumed => "resumed",
    }
}
