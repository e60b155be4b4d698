//! What changed at the emulated provider, or was refused.

use super::item::{Item, Refusal};
use crate::domain::inventory::{ItemId, Kind, ServerId};

/// Who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Maker {
    /// A client, through the API.
    Api,
    /// A person or another tool, through the emulator's handle.
    Hand,
    /// The provider's own plan.
    Plan,
}

/// One change, or one refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// An item was made.
    Created {
        /// The item as it was then.
        item: Item,
        /// By whom.
        by: Maker,
        /// How many slots of its server and kind were filled after it.
        used: usize,
    },
    /// An item's progress changed.
    Ended {
        /// The item with its new progress.
        item: Item,
    },
    /// An item was deleted.
    Deleted {
        /// The item as it was last.
        item: Item,
        /// By whom.
        by: Maker,
    },
    /// A create or delete was refused.
    Refused {
        /// Of which kind.
        kind: Kind,
        /// Of which server, where known.
        server: Option<ServerId>,
        /// Why.
        why: Refusal,
    },
    /// A server began to be overwritten.
    RestoreBegun {
        /// That server.
        server: ServerId,
        /// What it is restored from.
        kind: Kind,
        /// The number of that item.
        id: ItemId,
    },
    /// A restore is over.
    RestoreEnded {
        /// Of that server.
        server: ServerId,
    },
}
