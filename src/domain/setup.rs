//! What goes from the configuration to the controller.

use std::sync::Arc;
use std::time::Duration;

use super::policy::Wanted;

/// What the controller needs of a configuration; `config` makes it, and neither knows the other.
#[derive(Debug, Clone)]
pub struct Setup {
    /// What is wanted.
    pub wanted: Wanted,
    /// The digest of the configuration's text.
    pub digest: Arc<str>,
    /// The account that the token must belong to.
    pub account: Option<String>,
    /// How long one exchange may take.
    pub request_timeout: Duration,
    /// The time between two listings while something is being made.
    pub poll_every: Duration,
    /// The time between two listings otherwise.
    pub refresh_every: Duration,
    /// So many items are made at the same time.
    pub concurrent_creates: usize,
}
