//! What the daemon tells about itself.

use jiff::Timestamp;
use prometheus::{Gauge, IntGauge, IntGaugeVec, Opts, Registry};

/// The commit the program was built from, if the build said it.
pub(super) const REVISION: &str = match option_env!("SNAPWARDEN_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

/// Gauges of the daemon itself.
#[derive(Debug)]
pub struct DaemonMetrics {
    reload_successful: IntGauge,
    reload_success_at: Gauge,
    loop_progress_at: Gauge,
    /// A family without labels, so that it can be empty: it has a value only where a leader is chosen.
    leader: IntGaugeVec,
}

impl DaemonMetrics {
    /// Declares the metrics, `build_info` among them.
    ///
    /// # Errors
    /// If the registry has one of the names already.
    pub fn register(registry: &Registry) -> prometheus::Result<DaemonMetrics> {
        let build =
            IntGaugeVec::new(Opts::new("snapwarden_build_info", "The version of the program; always 1."), &["version", "revision"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION"), REVISION]).set(1);
        let metrics = DaemonMetrics {
            reload_successful: IntGauge::new(
                "snapwarden_config_last_reload_successful",
                "Whether the configuration was valid when it was last read.",
            )?,
            reload_success_at: Gauge::new(
                "snapwarden_config_last_reload_success_timestamp_seconds",
                "When a valid configuration was last read.",
            )?,
            loop_progress_at: Gauge::new("snapwarden_loop_progress_timestamp_seconds", "When the main loop last went round.")?,
            leader: IntGaugeVec::new(Opts::new("snapwarden_leader", "Whether this replica is the one in charge."), &[])?,
        };
        registry.register(Box::new(build))?;
        registry.register(Box::new(metrics.reload_successful.clone()))?;
        registry.register(Box::new(metrics.reload_success_at.clone()))?;
        registry.register(Box::new(metrics.loop_progress_at.clone()))?;
        registry.register(Box::new(metrics.leader.clone()))?;
        Ok(metrics)
    }

    /// A valid configuration was read, at the start or on a reload.
    pub fn config_loaded(&self, at: Timestamp) {
        self.reload_successful.set(1);
        self.reload_success_at.set(seconds(at));
    }

    /// A reload found an invalid configuration; the old one stays.
    pub fn config_refused(&self) {
        self.reload_successful.set(0);
    }

    /// Whether the configuration in effect is the one that was last read.
    #[must_use]
    pub fn config_is_current(&self) -> bool {
        self.reload_successful.get() == 1
    }

    /// The main loop has gone round.
    pub fn loop_progress(&self, at: Timestamp) {
        self.loop_progress_at.set(seconds(at));
    }

    /// Whether this replica is in charge; `None` where no leader is configured.
    pub fn leader(&self, leads: Option<bool>) {
        match leads {
            Some(leads) => self.leader.with_label_values::<&str>(&[]).set(leads.into()),
            None => self.leader.reset(),
        }
    }
}

fn seconds(time: Timestamp) -> f64 {
    time.as_duration().as_secs_f64()
}
