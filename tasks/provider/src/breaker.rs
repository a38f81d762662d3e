//! The circuit breaker: after failures in a row, a source is left alone for a while.
//!
//! Closed, it lets everything through. `limit` failures in a row open it; open, it lets nothing through. After `pause` it
//! is half-open: one attempt is let through, which closes it or opens it again (Nygard, Release It!, 2007, chapter 5).
//! A function of the times that it is told, so it needs no clock.

use std::time::{Duration, Instant};

/// What the breaker lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Everything.
    Closed,
    /// One attempt.
    HalfOpen,
    /// Nothing.
    Open,
}

/// A circuit breaker.
#[derive(Clone, Debug)]
pub struct Breaker {
    limit: u32,
    pause: Duration,
    failures: u32,
    opened: Option<Instant>,
}

impl Breaker {
    /// Opens after `limit` failures in a row, for `pause`.
    pub fn new(limit: u32, pause: Duration) -> Self {
        Self { limit: limit.max(1), pause, failures: 0, opened: None }
    }

    /// What it lets through at a moment.
    pub fn state(&self, now: Instant) -> BreakerState {
        match self.opened {
            None => BreakerState::Closed,
            Some(opened) if now.duration_since(opened) >= self.pause => BreakerState::HalfOpen,
            Some(_) => BreakerState::Open,
        }
    }

    /// How long it still lets nothing through.
    pub fn remaining(&self, now: Instant) -> Duration {
        self.opened.map_or(Duration::ZERO, |opened| self.pause.saturating_sub(now.duration_since(opened)))
    }

    /// An attempt, or a part of one, went well.
    pub fn success(&mut self) {
        self.failures = 0;
        self.opened = None;
    }

    /// An attempt failed.
    pub fn failure(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= self.limit {
            self.opened = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_after_a_success() {
        let begin = Instant::now();
        let at = |seconds: u64| begin + Duration::from_secs(seconds);
        let mut breaker = Breaker::new(3, Duration::from_secs(30));
        breaker.failure(at(0));
        breaker.failure(at(1));
        breaker.success();
        breaker.failure(at(2));
        breaker.failure(at(3));
        assert_eq!(breaker.state(at(3)), BreakerState::Closed, "a success in between begins the count anew");
        breaker.failure(at(4));
        assert_eq!((breaker.state(at(4)), breaker.remaining(at(10))), (BreakerState::Open, Duration::from_secs(24)));
        assert_eq!(breaker.state(at(33)), BreakerState::Open);
        assert_eq!((breaker.state(at(34)), breaker.remaining(at(34))), (BreakerState::HalfOpen, Duration::ZERO));
        // The one attempt fails: open again at once.
        breaker.failure(at(35));
        assert_eq!((breaker.state(at(36)), breaker.state(at(65))), (BreakerState::Open, BreakerState::HalfOpen));
        breaker.success();
        assert_eq!(breaker.state(at(66)), BreakerState::Closed);
    }
}
