//! What a fault makes of a request.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::item::Fate;

/// What is done about a request. The default is the right thing.
#[derive(Debug, Clone, Default)]
pub(super) struct Behaviour {
    pub delay_before: Duration,
    pub delay_after: Duration,
    pub deed: Deed,
    pub fate: Fate,
    pub lens: Lens,
    pub edits: Vec<Edit>,
    pub answer: Answer,
    pub headers: Vec<(String, String)>,
    pub retry_after_date: Option<Duration>,
    pub shape: Shape,
}

/// Whether the request has its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Deed {
    #[default]
    Done,
    NotDone,
    Pretended,
    Late(Duration),
}

/// How a list is seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Lens {
    pub stale: Stale,
    pub ignores_filter: bool,
    pub page_size: Option<usize>,
    /// Where `next` points to, such as `http://127.0.0.1:1`; `None`: to the emulator itself.
    pub next_origin: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Stale {
    #[default]
    Not,
    By(Duration),
    BeforeLastWrite,
}

/// A change to the JSON body of the right answer.
#[derive(Clone)]
pub(super) struct Edit(pub Arc<dyn Fn(&mut Value) + Send + Sync>);

impl fmt::Debug for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Edit")
    }
}

#[derive(Debug, Clone, Default)]
pub(super) enum Answer {
    #[default]
    Right,
    /// The right status with another body.
    RightStatus {
        content_type: &'static str,
        body: Bytes,
    },
    Instead {
        status: u16,
        content_type: &'static str,
        body: Bytes,
    },
    Cut,
    Hang,
}

/// How the body is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Shape {
    #[default]
    Whole,
    Truncated {
        kept: usize,
    },
    Stalled {
        kept: usize,
    },
    Slow {
        each_byte: Duration,
    },
    Endless {
        bytes: u64,
    },
}
