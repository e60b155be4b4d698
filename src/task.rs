//! Tasks on tokio's runtime, and a second runtime.

use std::pin::Pin;
use std::sync::mpsc;
use std::{io, thread};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A future whose type does not tell what it does.
pub(crate) type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Puts a future in a box: all that yield the same are one type to tokio, which else brings 100 functions along for each.
pub(crate) fn boxed<T>(future: impl Future<Output = T> + Send + 'static) -> Boxed<T> {
    Box::pin(future)
}

/// `tokio::spawn`, in a box.
pub(crate) fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(boxed(future))
}

/// A thread with a runtime of its own. What is begun there goes on whatever the main loop does, and is not in its way. It ends when this is dropped.
pub(crate) struct Beside {
    handle: Handle,
    _end: oneshot::Sender<()>,
}

impl Beside {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system gives no thread, or none of what a runtime needs.
    pub(crate) fn start(name: &str) -> io::Result<Beside> {
        let (end, ended) = oneshot::channel::<()>();
        let (tell, told) = mpsc::sync_channel(1);
        // The runtime is made there: one that is dropped within another, because there is no thread for it, panics.
        thread::Builder::new().name(name.to_owned()).spawn(move || match Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => {
                drop(tell.send(Ok(runtime.handle().clone())));
                // Nothing is ever sent.
                drop(runtime.block_on(ended));
                runtime.shutdown_background();
            }
            Err(error) => drop(tell.send(Err(error))),
        })?;
        let handle = told.recv().map_err(io::Error::other)??;
        Ok(Beside { handle, _end: end })
    }

    /// What this spawns is spawned there, and what it opens is waited for there.
    pub(crate) fn inside<T>(&self, act: impl FnOnce() -> T) -> T {
        let _inside = self.handle.enter();
        act()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn what_is_beside_goes_on_while_this_thread_is_busy() {
        let beside = Beside::start("beside").unwrap();
        let (told, heard) = mpsc::channel();
        beside.inside(|| {
            spawn(async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                told.send(thread::current().name().map(str::to_owned)).unwrap();
            })
        });
        // Not asynchronous: this thread does nothing else meanwhile.
        assert_eq!(heard.recv_timeout(Duration::from_secs(60)).unwrap().as_deref(), Some("beside"));
    }
}
