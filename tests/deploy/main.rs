//! What is under `deploy/`: the manifests agree with themselves and with the program, every metric that a rule or the dashboard names is there, and the alerts
//! fire and clear with the real Prometheus.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "the helpers of tests, too, end a test by a panic")]

mod container;
mod exposition;
mod files;
mod kubernetes;
mod monitoring;
mod names;
mod pods;
mod promql;
mod services;
#[path = "../binary/stage.rs"]
#[allow(dead_code, reason = "another test uses the rest of it")]
mod stage;
