//! The lease as it is read and written: values, whoever keeps it.

use std::time::Duration;

use jiff::Timestamp;

/// A lease, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Changes with every write; a write that names an older one is refused.
    pub version: String,
    /// Who holds it; `None`: nobody, it was given back.
    pub holder: Option<String>,
    /// How long it holds without being renewed.
    pub duration: Duration,
    /// How often it went from one to another.
    pub transitions: u32,
}

/// What a lease is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Who holds it.
    pub holder: Option<String>,
    /// For how long, from each renewal on.
    pub duration: Duration,
    /// How often it went from one to another.
    pub transitions: u32,
    /// Since when by the holder's wall clock; for people only.
    pub acquired_at: Timestamp,
    /// When it was renewed by the holder's wall clock; for people only.
    pub renewed_at: Timestamp,
}

/// A call to whoever keeps the lease. A write succeeds only if nobody has written in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// Read it.
    Read,
    /// Make it; refused if there is one.
    Create(Wish),
    /// Put this in the place of that version.
    Replace(String, Wish),
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The lease, as read or as written.
    Lease(Lease),
    /// There is none.
    Missing,
    /// Somebody was faster.
    Conflict,
    /// It is not known what came of it, in words.
    Failed(String),
}
