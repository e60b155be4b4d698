//! The counters and histograms of runs.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

use crate::domain::fact::{Fact, Target};
use crate::domain::gather::gather;
use crate::domain::inventory::Kind;
use crate::domain::problem::{OpResult, RunResult};

/// Bounds of `run_duration_seconds`: a snapshot takes three to ten minutes.
const RUN_DURATION_BUCKETS: [f64; 10] = [10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0];

/// Bounds of `schedule_lateness_seconds`: up to a minute is on time, hours are a make-up.
const LATENESS_BUCKETS: [f64; 10] = [0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0];

/// Counters and histograms of runs, creates and deletes.
#[derive(Debug)]
pub struct RunMetrics {
    runs: IntCounterVec,
    creates: IntCounterVec,
    deletes: IntCounterVec,
    missed: IntCounterVec,
    lost: IntCounterVec,
    duration: HistogramVec,
    lateness: Histogram,
    /// The kinds and policies that have series.
    shown: Mutex<BTreeSet<(Kind, Arc<str>)>>,
}

impl RunMetrics {
    /// Declares the metrics. Those that have no `policy` are there at once, the others from [`RunMetrics::configure`] on.
    ///
    /// # Errors
    /// If the registry has one of the names already.
    pub fn register(registry: &Registry) -> prometheus::Result<RunMetrics> {
        let by_result = ["kind", "policy", "result"];
        let duration = HistogramOpts::new("snapwarden_run_duration_seconds", "How long runs took that were not skipped.");
        let lateness = HistogramOpts::new("snapwarden_schedule_lateness_seconds", "How long after they were due scheduled runs began.");
        let metrics = RunMetrics {
            runs: counters("runs_total", "Runs that have ended.", &by_result)?,
            creates: counters("creates_total", "Creates of which it is decided how they ended.", &by_result)?,
            deletes: counters("deletes_total", "Deletes of which it is decided how they ended.", &by_result)?,
            missed: counters("missed_runs_total", "Slots that passed without a run until it was too late.", &["kind", "policy"])?,
            lost: counters("lost_total", "Items under our care that vanished without us.", &["kind"])?,
            duration: HistogramVec::new(duration.buckets(RUN_DURATION_BUCKETS.into()), &["kind"])?,
            lateness: Histogram::with_opts(lateness.buckets(LATENESS_BUCKETS.into()))?,
            shown: Mutex::default(),
        };
        for family in [&metrics.runs, &metrics.creates, &metrics.deletes, &metrics.missed, &metrics.lost] {
            registry.register(Box::new(family.clone()))?;
        }
        registry.register(Box::new(metrics.duration.clone()))?;
        registry.register(Box::new(metrics.lateness.clone()))?;
        for kind in Kind::ALL {
            metrics.lost.with_label_values(&[kind.as_str()]);
            metrics.duration.with_label_values(&[kind.as_str()]);
        }
        Ok(metrics)
    }

    /// Makes the series of exactly these kinds and policies exist: new ones begin at 0, those that stay keep their values, the rest goes.
    pub fn configure(&self, policies: &[(Kind, Arc<str>)]) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted: BTreeSet<_> = gather(policies.iter().cloned());
        for (kind, policy) in shown.difference(&wanted) {
            self.remove(*kind, policy);
        }
        for (kind, policy) in wanted.difference(&shown) {
            self.add(*kind, policy);
        }
        *shown = wanted;
    }

    /// Counts a fact.
    ///
    /// One of a policy that is not configured (any more) counts as well, so that nothing done goes uncounted; the next
    /// [`RunMetrics::configure`] removes its series.
    pub fn count(&self, fact: &Fact) {
        match fact {
            Fact::RunStarted { lateness: Some(lateness), .. } => self.lateness.observe(lateness.as_secs_f64()),
            Fact::RunEnded { target, result, duration, .. } => {
                self.show(target);
                self.runs.with_label_values(&[target.kind.as_str(), &target.policy, result.as_str()]).inc();
                if *result != RunResult::Skipped {
                    self.duration.with_label_values(&[target.kind.as_str()]).observe(duration.as_secs_f64());
                }
            }
            Fact::CreateDecided { target, result, .. } => self.count_op(&self.creates, target, *result),
            Fact::DeleteDecided { target, result, .. } => self.count_op(&self.deletes, target, *result),
            Fact::Missed { target, count, .. } => {
                self.show(target);
                self.missed.with_label_values(&[target.kind.as_str(), &target.policy]).inc_by(*count);
            }
            Fact::Lost { target, .. } => self.lost.with_label_values(&[target.kind.as_str()]).inc(),
            Fact::RunStarted { .. }
            | Fact::CreateSent { .. }
            | Fact::CreateInDoubt { .. }
            | Fact::Completed { .. }
            | Fact::DeleteSent { .. }
            | Fact::GuardRefused { .. }
            | Fact::ProblemRaised { .. }
            | Fact::ProblemCleared { .. }
            | Fact::AccountProblemRaised { .. }
            | Fact::AccountProblemCleared { .. }
            | Fact::HookStarted { .. }
            | Fact::HookEnded { .. }
            | Fact::Note { .. } => {}
        }
    }

    fn count_op(&self, family: &IntCounterVec, target: &Target, result: OpResult) {
        self.show(target);
        family.with_label_values(&[target.kind.as_str(), &target.policy, result.as_str()]).inc();
    }

    fn show(&self, target: &Target) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.insert((target.kind, Arc::clone(&target.policy))) {
            self.add(target.kind, &target.policy);
        }
    }

    fn add(&self, kind: Kind, policy: &str) {
        for result in RunResult::ALL {
            self.runs.with_label_values(&[kind.as_str(), policy, result.as_str()]);
        }
        for result in OpResult::ALL {
            self.creates.with_label_values(&[kind.as_str(), policy, result.as_str()]);
            self.deletes.with_label_values(&[kind.as_str(), policy, result.as_str()]);
        }
        self.missed.with_label_values(&[kind.as_str(), policy]);
    }

    fn remove(&self, kind: Kind, policy: &str) {
        // Removing says an error only for a series that is not there, which is what is wanted.
        for result in RunResult::ALL {
            let _ = self.runs.remove_label_values(&[kind.as_str(), policy, result.as_str()]);
        }
        for result in OpResult::ALL {
            let _ = self.creates.remove_label_values(&[kind.as_str(), policy, result.as_str()]);
            let _ = self.deletes.remove_label_values(&[kind.as_str(), policy, result.as_str()]);
        }
        let _ = self.missed.remove_label_values(&[kind.as_str(), policy]);
    }
}

fn counters(name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
    IntCounterVec::new(Opts::new(format!("snapwarden_{name}"), help), labels)
}
