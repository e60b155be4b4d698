//! What a single `run` tells where no daemon is: the gauges, and when it was.

use std::time::Duration;

use jiff::Timestamp;

use super::daemon_metrics::REVISION;
use super::exposition::{Exposition, Number};

/// How a `run` went, as a whole.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CommandRun {
    /// When it ended.
    pub ended_at: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// Whether it ended with the exit code 0.
    pub successful: bool,
}

impl CommandRun {
    /// The text for a text file or a push: the gauges (see [`super::Metrics::render_gauges`]), the version, and the time of the run.
    ///
    /// The counters are not among it: those of a process that ends at once would never grow. Nor are the gauges of the process, whose names a
    /// collector of text files uses for itself.
    #[must_use]
    pub fn render(&self, gauges: String) -> String {
        let mut out = Exposition::new(gauges);
        let version = [("version", env!("CARGO_PKG_VERSION")), ("revision", REVISION)];
        out.gauge("snapwarden_build_info", "The version of the program; always 1.").sample_of(&version, 1_u32);
        out.gauge("snapwarden_last_run_timestamp_seconds", "When the last command `run` ended.").sample("", self.ended_at);
        out.gauge("snapwarden_last_run_duration_seconds", "How long the last command `run` took.")
            .sample("", Number::Real(self.duration.as_secs_f64()));
        out.gauge("snapwarden_last_run_successful", "Whether the last command `run` ended with the exit code 0.")
            .sample("", self.successful);
        out.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::tests::promtool_agrees_with;
    use crate::telemetry::{Metrics, samples};

    #[test]
    fn the_time_of_the_run_stands_beside_the_gauges() {
        let run = CommandRun { ended_at: samples::time("2026-11-21T03:31:00Z"), duration: Duration::from_millis(1500), successful: false };
        let gauges = Metrics::render_gauges(&samples::report());
        let text = run.render(gauges.clone());
        let own = text.strip_prefix(&gauges).unwrap();
        let samples: Vec<_> = own.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(samples[0].starts_with("snapwarden_build_info{version=\""), "{own}");
        assert_eq!(
            samples[1..],
            [
                "snapwarden_last_run_timestamp_seconds 1795231860",
                "snapwarden_last_run_duration_seconds 1.5",
                "snapwarden_last_run_successful 0"
            ]
        );
        assert!(
            gauges.contains("snapwarden_last_success_timestamp_seconds{") && !text.contains("\nprocess_") && !text.contains(" counter\n")
        );
        promtool_agrees_with(&text);
    }
}
