//! Tasks on tokio's runtime.

use std::pin::Pin;

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
