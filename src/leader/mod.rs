//! Which of several replicas acts: the one that holds a lease, an object that only one can take at a time.
//!
//! [`Election`] decides, without I/O and by the monotonic clock alone; [`keep`] connects it with a [`LeaseStore`]; [`Leadership`] is what the provider
//! asks before each write. What it promises: no two replicas are given leave at the same time, whatever becomes of messages, processes and wall
//! clocks, as long as their monotonic clocks run about equally fast.

mod election;
mod keeper;
#[cfg(feature = "kubernetes")]
pub mod kubernetes;
mod lease;
#[cfg(test)]
mod tests;

pub use election::{Election, Event, Terms, Window};
pub use keeper::{Leadership, LeaseStore, keep};
pub use lease::{Answer, Call, Lease, Wish};
