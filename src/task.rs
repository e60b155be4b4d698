//! Tasks on tokio's runtime.

use std::pin::Pin;

use tokio::task::JoinHandle;

/// A future whose type does not tell what it does.
pub(crate) type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// `tokio::spawn` for a future in a box: all that yield the same are one type to tokio, which else brings 100 functions along for each.
pub(crate) fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    let future: Boxed<T> = Box::pin(future);
    tokio::spawn(future)
}
