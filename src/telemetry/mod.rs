//! What is told: facts become log lines and counters, a report becomes gauges, and both go out as text.
//!
//! Fields of the log lines, their names as stable as those of the metrics:
//!
//! | field | what |
//! |---|---|
//! | `server`, `server_id`, `kind`, `policy` | what it is about |
//! | `run`, `op` | the numbers under which the journal knows the run and the create or delete |
//! | `slot` | the scheduled time, before splay |
//! | `item`, `name` | the number of a snapshot or backup, and its name or description |
//! | `created`, `deleted` | how many items a run made and deleted |
//! | `result` | `success`, `failure`, `blocked`, `skipped` or `unknown` |
//! | `reason`, `detail` | the word for a problem (contract §5) and a sentence |
//! | `error`, `why`, `violation`, `text` | sentences for people |
//! | `attempt`, `count` | the how-manieth create for a slot; how many slots were missed |
//! | `duration_ms`, `lateness_ms` | milliseconds |
//!
//! The message of a line is a fixed sentence; whatever comes from outside stands in a field and is made harmless by [`printable()`].

mod command;
mod daemon_metrics;
pub mod exposition;
mod fleet;
mod log_file;
mod log_line;
pub mod logging;
pub mod metrics;
pub mod printable;
pub mod process;
mod provider_metrics;
mod run_metrics;
#[cfg(test)]
pub(crate) mod samples;
pub mod status_json;
mod text_line;

use std::sync::Arc;

use crate::domain::fact::Fact;

pub use command::CommandRun;
pub use daemon_metrics::DaemonMetrics;
pub use log_line::log_orders;
pub use logging::{LogFormat, LogOptions, LogRotation, Logging, LoggingError};
pub use metrics::Metrics;
pub use printable::printable;
pub use provider_metrics::ProviderMetrics;
pub use run_metrics::RunMetrics;
pub use status_json::status_json;

/// The one place where a fact becomes both a log line and a metric.
#[derive(Debug, Clone)]
pub struct Telemetry {
    metrics: Arc<Metrics>,
}

impl Telemetry {
    /// Counts in `metrics` and logs through whatever `tracing` subscriber is set up.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>) -> Telemetry {
        Telemetry { metrics }
    }

    /// Tells a fact: once in the log, once in the metrics.
    pub fn tell(&self, fact: &Fact) {
        self.metrics.runs.count(fact);
        log_line::log(fact);
    }

    /// The metrics that are counted in.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }
}
