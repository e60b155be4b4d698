//! Leave to write: whether a create or delete may go out at this moment.

use std::time::Duration;

/// Says whether this process is the one that writes. Asked right before each create and delete goes out, after all waiting.
pub trait Leave: Send + Sync {
    /// How long an exchange that begins now may last at most; `None`: nothing may be sent. Must be quick.
    fn given(&self) -> Option<Duration>;
}

/// Nobody else writes.
impl Leave for () {
    fn given(&self) -> Option<Duration> {
        Some(Duration::MAX)
    }
}
