//! The program in a simulated world: the production code of the controller and the core, on simulated clocks, with a twin of the provider and a
//! journal in memory.
//!
//! A [`World`] has one provider ([`Twin`], around the emulator's account), one or more machines ([`Host`]), and lets happen what happens next. What
//! the program sends is judged at the moment of sending by what it had been told (`conduct`), what happens at the provider by what is really there
//! ([`Watch`]). One seed decides everything.
//!
//! For operators, [`Play`] lets a policy have a calm world to itself; [`facts`] measures what came of it, [`Worth`] is what the policy promises, and
//! [`suggest`] looks for a better one.

mod agenda;
mod chance;
mod conduct;
mod hooks;
mod host;
mod landmark;
mod measure;
mod play;
mod promises;
mod retained;
mod sequence;
mod suggest;
mod told;
mod trouble;
mod twin;
mod watch;
mod world;
mod worth;

pub use chance::Chance;
pub use hooks::{HookLuck, HookWatch};
pub use host::{Host, Mortality, Sending};
pub use landmark::Landmark;
pub use measure::{Aftermath, Facts, Gap, aftermath, ages_at, ends_of_days, facts, points_at};
pub use play::{Life, Outage, Play, PlayError, Played, PlayedKind};
pub use suggest::{Aim, Suggested, Suggestion, suggest};
pub use trouble::{Call, Fault, FaultId, On, Trouble};
pub use twin::Twin;
pub use watch::{Watch, slot_of};
pub use world::World;
pub use worth::{HORIZON_DAYS, Moments, Worth};
