//! The forms of what is ordered to stand for a while. The derived code is made for the core's types, and does not compile if the two differ.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::inventory::{ItemId, Kind, ServerId};
use crate::domain::record::OpId;
use crate::domain::standing::{Ask, HeldItem, Order, Selection, Standing, StandingOrder};

use super::plain;
use super::protocol::ProtocolError;

/// The longest text of a reason or a name.
const TEXT_CHARS_MAX: usize = 500;

#[derive(Serialize, Deserialize)]
#[serde(remote = "Order", deny_unknown_fields)]
pub(super) struct StandForm {
    #[serde(with = "AskForm")]
    what: Ask,
    reason: Box<str>,
    by: Box<str>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Ask", rename_all = "snake_case")]
#[rustfmt::skip]
enum AskForm {
    Pause(#[serde(with = "SelectionForm")] Selection, Duration),
    Resume(#[serde(with = "SelectionForm")] Selection),
    Hold(#[serde(with = "HeldItemForm")] HeldItem, Duration),
    Release(#[serde(with = "plain")] Kind, #[serde(with = "plain")] ItemId),
    Deletes(#[serde(with = "plain")] ServerId),
    Restore(#[serde(with = "HeldItemForm")] HeldItem),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Selection")]
struct SelectionForm {
    servers: Vec<Box<str>>,
    policies: Vec<Box<str>>,
    #[serde(with = "plain")]
    kinds: Vec<Kind>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "HeldItem")]
struct HeldItemForm {
    #[serde(with = "plain")]
    kind: Kind,
    #[serde(with = "plain")]
    item: ItemId,
    name: Option<Box<str>>,
    #[serde(with = "plain")]
    server: ServerId,
    server_name: Box<str>,
}

/// One entry of an answer.
#[derive(Serialize, Deserialize)]
pub(super) struct Stands(#[serde(with = "StandingOrderForm")] pub StandingOrder);

#[derive(Serialize, Deserialize)]
#[serde(remote = "StandingOrder")]
struct StandingOrderForm {
    #[serde(with = "plain")]
    op: OpId,
    #[serde(with = "StandingForm")]
    what: Standing,
    #[serde(with = "plain")]
    until: Timestamp,
    reason: Box<str>,
    by: Box<str>,
    #[serde(with = "plain")]
    at: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Standing", rename_all = "snake_case")]
#[rustfmt::skip]
enum StandingForm {
    Pause(#[serde(with = "SelectionForm")] Selection),
    Resume(#[serde(with = "SelectionForm")] Selection),
    Hold(#[serde(with = "HeldItemForm")] HeldItem),
    Release(#[serde(with = "HeldItemForm")] HeldItem),
    NoDeletes { #[serde(with = "plain")] server: ServerId, server_name: Box<str> },
    Deletes { #[serde(with = "plain")] server: ServerId },
}

/// Whether a text is longer than any that is taken.
pub(super) fn too_long(text: &str) -> bool {
    text.chars().count() > TEXT_CHARS_MAX
}

/// What the command line sees to is seen to again.
pub(super) fn check(order: &Order) -> Result<(), ProtocolError> {
    if too_long(&order.reason) || too_long(&order.by) {
        return Err(ProtocolError::Invalid(format!("a reason and a name have at most {TEXT_CHARS_MAX} characters")));
    }
    Ok(())
}
