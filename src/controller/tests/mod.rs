//! The controller in a simulated world: what comes of it at the provider, and what is told.

mod steady;
mod twin;
mod watch;
mod world;
