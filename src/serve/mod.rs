//! The daemon's side towards the network: `/metrics`, `/healthz`, `/readyz`, the status page and `/api/v1/status`.

pub mod alarm;
pub mod daemon;
#[cfg(feature = "hang")]
mod hang;
pub mod health;
pub mod http;
pub mod listener;
mod manager;
mod page;
pub mod reports;

pub use alarm::Alarm;
pub use health::Health;
pub use http::{Endpoints, router};
pub use listener::{ListenError, ListenLimits, bind};
pub use reports::{ReportCache, ReportRequest, ReportRequests, report_channel};
