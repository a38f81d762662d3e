//! How a source is doing, in numbers.

use std::time::Duration;

use ghtrader_kit::Job;

use crate::BreakerState;

/// Counters of one source in one task.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Health {
    /// Attempts, the first ones and the others.
    pub requests: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// Attempts that were not the first of their kind.
    pub retries: u64,
    /// Ticks handed over.
    pub ticks: u64,
    /// From an attempt's begin to its first tick, or to its end where there was none.
    pub latency: Latency,
}

/// Times: how many, their sum, the longest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Latency {
    count: u64,
    sum: Duration,
    max: Duration,
}

impl Latency {
    /// One more.
    pub(crate) fn add(&mut self, time: Duration) {
        self.count += 1;
        self.sum += time;
        self.max = self.max.max(time);
    }

    /// The mean in milliseconds; 0 of none.
    pub fn mean_ms(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum.as_secs_f64() * 1e3 / self.count as f64 }
    }

    /// The longest in milliseconds.
    pub fn max_ms(&self) -> f64 {
        self.max.as_secs_f64() * 1e3
    }
}

impl Health {
    /// The counters as metrics of the task; `source_breaker` is 0 closed, 1 half-open, 2 open.
    pub fn report(&self, breaker: BreakerState, job: &Job) {
        let state = match breaker {
            BreakerState::Closed => 0.0,
            BreakerState::HalfOpen => 1.0,
            BreakerState::Open => 2.0,
        };
        let metrics = [
            ("source_requests", self.requests as f64),
            ("source_failures", self.failures as f64),
            ("source_retries", self.retries as f64),
            ("source_ticks", self.ticks as f64),
            ("source_breaker", state),
            ("source_latency_mean_ms", self.latency.mean_ms()),
            ("source_latency_max_ms", self.latency.max_ms()),
        ];
        metrics.iter().for_each(|(name, value)| job.metric(name, *value));
    }
}
