//! The end of what a hook prints.

use std::io::{self, PipeReader};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::task;

/// So many bytes are kept, the last ones.
pub(super) const OUTPUT_MAX: usize = 4096;
/// How long the end of the output is waited for once the hook has ended: something that it has left behind may hold the pipe open for ever.
const DRAIN: Duration = Duration::from_millis(500);

/// Reads while the hook runs, so that a full pipe never holds it up.
pub(super) struct Tail {
    kept: Arc<Mutex<Vec<u8>>>,
    reading: JoinHandle<()>,
}

impl Tail {
    pub fn of(reader: PipeReader) -> io::Result<Tail> {
        let mut receiver = Receiver::from_owned_fd(OwnedFd::from(reader))?;
        let kept = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&kept);
        let reading = task::spawn(async move {
            let mut chunk = [0; 4096];
            while let Ok(count @ 1..) = receiver.read(&mut chunk).await {
                let mut kept = shared.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend_from_slice(&chunk[..count]);
                let excess = kept.len().saturating_sub(OUTPUT_MAX);
                kept.drain(..excess);
            }
        });
        Ok(Tail { kept, reading })
    }

    /// What was kept. Not escaped yet.
    pub async fn text(mut self) -> String {
        if timeout(DRAIN, &mut self.reading).await.is_err() {
            self.reading.abort();
        }
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&kept).trim().to_owned()
    }
}
