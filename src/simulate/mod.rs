//! The program in a simulated world: the production code of the controller and the core, on simulated clocks, with a twin of the provider and a
//! journal in memory.
//!
//! A [`World`] has one provider ([`Twin`], around the emulator's account), one or more machines ([`Host`]), and lets happen what happens next. What
//! the program sends is judged at the moment of sending by what it had been told (`conduct`), what happens at the provider by what is really there
//! ([`Watch`]). One seed decides everything.

mod chance;
mod conduct;
mod hooks;
mod host;
mod landmark;
mod sequence;
mod trouble;
mod twin;
mod watch;
mod world;

pub use chance::Chance;
pub use hooks::{HookLuck, HookWatch};
pub use host::{Host, Mortality, Sending};
pub use landmark::Landmark;
pub use trouble::{Call, Fault, On, Trouble};
pub use twin::Twin;
pub use watch::{Watch, slot_of};
pub use world::World;
