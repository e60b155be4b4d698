//! All metrics of contract §5, as one text.

use std::sync::Arc;

use prometheus::{Registry, TextEncoder};

use super::daemon_metrics::DaemonMetrics;
use super::exposition::Exposition;
use super::provider_metrics::ProviderMetrics;
use super::run_metrics::RunMetrics;
use super::{fleet, process};
use crate::domain::inventory::Kind;
use crate::domain::report::Report;

/// The metrics that are counted as things happen; the gauges come from a [`Report`] when the text is made.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// What the daemon tells about itself.
    pub daemon: DaemonMetrics,
    /// Runs, creates and deletes.
    pub runs: RunMetrics,
    /// Requests to the provider.
    pub provider: ProviderMetrics,
}

impl Metrics {
    /// A registry of its own with everything declared.
    ///
    /// # Errors
    /// Only if two metrics had the same name.
    pub fn new() -> prometheus::Result<Metrics> {
        let registry = Registry::new();
        let daemon = DaemonMetrics::register(&registry)?;
        let runs = RunMetrics::register(&registry)?;
        let provider = ProviderMetrics::register(&registry)?;
        Ok(Metrics { registry, daemon, runs, provider })
    }

    /// Makes the counters of exactly these kinds and policies exist (see [`RunMetrics::configure`]).
    pub fn configure(&self, policies: &[(Kind, Arc<str>)]) {
        self.runs.configure(policies);
    }

    /// The whole text for a scrape: the counters as they are now, the gauges of `report`, and those of the process.
    ///
    /// # Errors
    /// Only if a registered metric had an impossible name.
    pub fn render(&self, report: &Report) -> prometheus::Result<String> {
        let mut text = String::with_capacity(32 * 1024 + fleet::size_estimate(report));
        TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text)?;
        let mut out = Exposition::new(text);
        fleet::write(report, &mut out);
        process::write(&process::ProcessReading::take(), &mut out);
        Ok(out.finish())
    }

    /// The gauges of `report` alone, for [`super::CommandRun`].
    #[must_use]
    pub fn render_gauges(report: &Report) -> String {
        let mut out = Exposition::new(String::with_capacity(fleet::size_estimate(report)));
        fleet::write(report, &mut out);
        out.finish()
    }
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
pub(super) mod tests;
