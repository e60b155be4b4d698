//! How the provider's API answers.

use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

/// Bounds of `provider_request_duration_seconds`.
const DURATION_BUCKETS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 60.0];

/// What stands in `code` where no whole answer came: too late, no connection, or an answer whose body could not be read.
const CODES_WITHOUT_ANSWER: [&str; 3] = ["timeout", "connect", "body"];

/// The statuses that get a series of their own; any other goes under its class, such as `4xx`.
const STATUSES: [&str; 23] = [
    "200", "201", "202", "204", "301", "302", "304", "307", "308", "400", "401", "403", "404", "405", "408", "409", "413", "422", "429",
    "500", "502", "503", "504",
];

/// Requests to the provider: how many, how they ended, how long they took.
#[derive(Debug, Clone)]
pub struct ProviderMetrics {
    requests: IntCounterVec,
    duration: HistogramVec,
}

impl ProviderMetrics {
    /// Declares the metrics.
    ///
    /// # Errors
    /// If the registry has one of the names already.
    pub fn register(registry: &Registry) -> prometheus::Result<ProviderMetrics> {
        let requests = Opts::new("snapwarden_provider_requests_total", "Requests to the provider, by how they ended.");
        let duration = HistogramOpts::new("snapwarden_provider_request_duration_seconds", "How long requests to the provider took.");
        let metrics = ProviderMetrics {
            requests: IntCounterVec::new(requests, &["method", "endpoint", "code"])?,
            duration: HistogramVec::new(duration.buckets(DURATION_BUCKETS.into()), &["method", "endpoint"])?,
        };
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.duration.clone()))?;
        metrics.declare(&[("GET", "/snapshots/"), ("GET", "/backups/")]);
        Ok(metrics)
    }

    /// Makes the series of these methods and endpoint templates exist before the first request, so that a first failure is seen to be an increase.
    pub fn declare(&self, endpoints: &[(&'static str, &'static str)]) {
        for (method, endpoint) in endpoints {
            for code in CODES_WITHOUT_ANSWER {
                self.requests.with_label_values(&[method, endpoint, code]);
            }
            self.duration.with_label_values(&[method, endpoint]);
        }
    }

    /// Counts a request. `endpoint` is a template such as `/snapshots/{id}/`; `code` is an HTTP status, `timeout`, `connect` or `body`.
    pub fn observe(&self, method: &'static str, endpoint: &'static str, code: &str, duration: Duration) {
        self.requests.with_label_values(&[method, endpoint, bounded(code)]).inc();
        self.duration.with_label_values(&[method, endpoint]).observe(duration.as_secs_f64());
    }
}

/// The label for a code: from a closed list, whatever the provider answers.
fn bounded(code: &str) -> &'static str {
    let known = CODES_WITHOUT_ANSWER.iter().chain(&STATUSES).find(|known| **known == code);
    known.copied().unwrap_or(match code.as_bytes() {
        [b'1', b'0'..=b'9', b'0'..=b'9'] => "1xx",
        [b'2', b'0'..=b'9', b'0'..=b'9'] => "2xx",
        [b'3', b'0'..=b'9', b'0'..=b'9'] => "3xx",
        [b'4', b'0'..=b'9', b'0'..=b'9'] => "4xx",
        [b'5', b'0'..=b'9', b'0'..=b'9'] => "5xx",
        _ => "other",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_come_from_a_closed_list() {
        for (code, label) in [("200", "200"), ("timeout", "timeout"), ("418", "4xx"), ("599", "5xx"), ("999", "other"), ("4x", "other")] {
            assert_eq!(bounded(code), label);
        }
    }

    #[test]
    fn a_request_is_counted_and_timed() {
        let registry = Registry::new();
        let metrics = ProviderMetrics::register(&registry).unwrap();
        metrics.observe("DELETE", "/snapshots/{id}/", "204", Duration::from_millis(20));
        assert_eq!(metrics.requests.with_label_values(&["DELETE", "/snapshots/{id}/", "204"]).get(), 1);
        assert_eq!(metrics.requests.with_label_values(&["GET", "/backups/", "timeout"]).get(), 0);
        assert_eq!(metrics.duration.with_label_values(&["DELETE", "/snapshots/{id}/"]).get_sample_count(), 1);
    }
}
