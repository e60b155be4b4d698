//! What can go wrong between the program and the provider.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::chance::Chance;
use crate::domain::inventory::{ItemId, Kind, ServerId};
use crate::domain::plan;
use crate::emulator::{Fate, Progress};
use crate::provider::ProviderError;

/// A call on its way.
#[derive(Debug, Clone)]
pub enum Call {
    /// List everything of a kind.
    List(Kind),
    /// List the servers.
    Servers,
    /// Ask whose token this is.
    Account,
    /// Make an item.
    Create {
        /// Where.
        server: ServerId,
        /// Snapshot or backup.
        kind: Kind,
        /// What to make.
        order: plan::Order,
    },
    /// Delete an item.
    Delete {
        /// Snapshot or backup.
        kind: Kind,
        /// Which.
        item: ItemId,
        /// How long it may wait for its turn.
        within: Duration,
    },
}

/// Which calls a trouble is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// Each.
    Everything,
    /// Snapshot and backup lists.
    Lists,
    /// Those of one kind.
    ListsOf(Kind),
    /// The list of servers.
    Servers,
    /// The question whose token this is.
    Account,
    /// Creates.
    Creates,
    /// Creates on the servers up to this number.
    CreatesUpTo(ServerId),
    /// Deletes.
    Deletes,
}

impl On {
    fn is_for(self, call: &Call) -> bool {
        match self {
            On::Everything => true,
            On::Lists => matches!(call, Call::List(_)),
            On::ListsOf(kind) => matches!(call, Call::List(listed) if *listed == kind),
            On::Servers => matches!(call, Call::Servers),
            On::Account => matches!(call, Call::Account),
            On::Creates => matches!(call, Call::Create { .. }),
            On::CreatesUpTo(last) => matches!(call, Call::Create { server, .. } if *server <= last),
            On::Deletes => matches!(call, Call::Delete { .. }),
        }
    }
}

/// What goes wrong with a call.
#[derive(Debug, Clone)]
pub enum Trouble {
    /// Nothing is done, and this is the answer.
    Refused(ProviderError),
    /// It is done, and this is the answer.
    Lost(ProviderError),
    /// It is done so much later, and this is the answer.
    Late(Duration, ProviderError),
    /// It is done, and the right answer comes only so much later.
    Slow(Duration),
    /// It waits so long for its turn before it goes out, once. If its process dies meanwhile, it never does.
    Queued(Duration),
    /// The answer is a success, and nothing is done (deletes).
    NoEffect,
    /// What becomes of the item.
    Fate(Fate),
    /// It is done, and the answer speaks of another item (creates).
    Mixed,
    /// The list shows what was so long ago.
    Stale(Duration),
    /// The list comes in two pages, and the first shows what was so long before the second.
    Paged(Duration),
    /// The list lacks one entry, and tells so.
    Incomplete,
    /// The list is empty.
    Empty,
    /// The newest entry of that server cannot be read.
    Unreadable(u64),
    /// An entry cannot be read, not even its server.
    Nameless,
    /// The answer's `Date` is so far off.
    Dated(SignedDuration),
}

impl Trouble {
    /// A connection that is cut before the answer.
    #[must_use]
    pub fn cut() -> ProviderError {
        ProviderError::Broken { what: "simulated".to_owned() }
    }

    /// A connection that never comes about.
    #[must_use]
    pub fn no_connection() -> ProviderError {
        ProviderError::Connect { what: "simulated".to_owned() }
    }

    /// What the adapter makes of this status.
    #[must_use]
    pub fn status(status: u16) -> ProviderError {
        match status {
            401 => ProviderError::Unauthorized,
            403 => ProviderError::Forbidden,
            404 => ProviderError::NotFound,
            409 => ProviderError::Busy { status },
            429 => ProviderError::Throttled { retry_after: Some(Duration::from_secs(20)) },
            300..400 => ProviderError::Redirect { status },
            400..500 => ProviderError::Rejected { status, message: "simulated".to_owned() },
            _ => ProviderError::Server { status, retry_after: None },
        }
    }

    /// The item never completes.
    #[must_use]
    pub fn never_completes() -> Trouble {
        Trouble::Fate(Fate { after: None, end: Progress::InProgress })
    }

    /// The item fails, after the usual time.
    #[must_use]
    pub fn fails() -> Trouble {
        Trouble::Fate(Fate { after: None, end: Progress::Failed })
    }
}

/// Which fault of a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FaultId(u64);

/// A trouble, and which calls run into it.
#[derive(Debug, Clone)]
pub struct Fault {
    on: On,
    hits: RangeInclusive<u32>,
    one_in: u64,
    until: Timestamp,
    seen: u32,
    trouble: Trouble,
}

impl Fault {
    /// All such calls.
    #[must_use]
    pub fn new(on: On, trouble: Trouble) -> Fault {
        Fault { on, hits: 1..=u32::MAX, one_in: 1, until: Timestamp::MAX, seen: 0, trouble }
    }

    /// Of these, the ones with these numbers, counted from 1.
    #[must_use]
    pub fn hits(mut self, hits: RangeInclusive<u32>) -> Fault {
        self.hits = hits;
        self
    }

    /// Of these, about one in so many.
    #[must_use]
    pub fn one_in(mut self, cases: u64) -> Fault {
        self.one_in = cases;
        self
    }

    /// Only until this time.
    #[must_use]
    pub fn until(mut self, time: Timestamp) -> Fault {
        self.until = time;
        self
    }
}

/// The troubles that are on.
#[derive(Debug)]
pub(super) struct Faults {
    faults: Vec<(FaultId, Fault)>,
    struck: BTreeSet<FaultId>,
    given: u64,
    chance: Chance,
}

impl Faults {
    pub fn new(chance: Chance) -> Faults {
        Faults { faults: Vec::new(), struck: BTreeSet::new(), given: 0, chance }
    }

    pub fn add(&mut self, fault: Fault) -> FaultId {
        self.given += 1;
        self.faults.push((FaultId(self.given), fault));
        FaultId(self.given)
    }

    /// Whether any call has run into it.
    pub fn has_struck(&self, fault: FaultId) -> bool {
        self.struck.contains(&fault)
    }

    pub fn clear(&mut self) {
        self.faults.clear();
    }

    /// The trouble that a call runs into: that of the first fault which fits.
    pub fn pick(&mut self, call: &Call, now: Timestamp) -> Option<Trouble> {
        if self.faults.is_empty() {
            return None;
        }
        self.faults.retain(|(_, fault)| now < fault.until && fault.seen < *fault.hits.end());
        let mut found = None;
        for (id, fault) in self.faults.iter_mut().filter(|(_, fault)| fault.on.is_for(call)) {
            fault.seen += 1;
            let hit = fault.hits.contains(&fault.seen) && (fault.one_in == 1 || self.chance.one_in(fault.one_in));
            if found.is_none() && hit {
                found = Some(fault.trouble.clone());
                self.struck.insert(*id);
            }
        }
        found
    }
}
