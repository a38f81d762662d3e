//! Around a source: tries again, leaves it alone when it fails too often, and counts.
//!
//! An attempt that gave something is no failure in a row: what came is kept, the next attempt goes on after it, and the
//! count of attempts begins anew. So a long day comes through a connection that breaks again and again, and a source
//! that gives nothing at all is given up after `attempts`.

use std::cell::{Cell, RefCell};
use std::io::Write as _;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use ghtrader_market::{Day, Regime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Breaker, BreakerState, Error, Event, Follow, Health, Listing, LiveSink, Provider, Result, Sink, SourceTick, Window,
};

/// Between two looks at the clock.
const IDLE: Duration = Duration::from_millis(200);

/// How patient we are with a source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Guard {
    /// Attempts without any tick until we give up, the first included
    pub attempts: u32,
    /// Seconds before the second attempt; twice that before the next, and so on, each times a random 1 to 2
    pub backoff_s: f64,
    /// Seconds that no delay exceeds (before it is drawn)
    pub backoff_max_s: f64,
    /// Failures in a row that open the circuit breaker
    pub breaker_failures: u32,
    /// Seconds that the source is left alone then
    pub breaker_pause_s: f64,
}

impl Default for Guard {
    fn default() -> Self {
        Self { attempts: 6, backoff_s: 1.0, backoff_max_s: 60.0, breaker_failures: 4, breaker_pause_s: 30.0 }
    }
}

impl Guard {
    fn delays(&self) -> ExponentialBackoff {
        ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(seconds(self.backoff_s))
            .with_max_delay(seconds(self.backoff_max_s))
            .without_max_times()
            .build()
    }
}

/// A provider with retries, a circuit breaker and counters.
pub struct Guarded<P> {
    inner: P,
    guard: Guard,
    breaker: Breaker,
    health: Health,
}

/// One attempt: when it began, and what came.
struct Attempt {
    begun: Instant,
    first: Option<Instant>,
    ticks: u64,
}

impl Attempt {
    fn tick(&mut self) {
        self.ticks += 1;
        self.first.get_or_insert_with(Instant::now);
    }
}

impl<P: Provider> Guarded<P> {
    /// Guards a provider.
    pub fn new(inner: P, guard: Guard) -> Self {
        let breaker = Breaker::new(guard.breaker_failures, seconds(guard.breaker_pause_s));
        Self { inner, guard, breaker, health: Health::default() }
    }

    /// The counters so far.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// What the breaker lets through now.
    pub fn breaker(&self) -> BreakerState {
        self.breaker.state(Instant::now())
    }

    /// Attempts until one goes well, nothing can help, or patience ends. `wait` lets a delay pass, and breaks where nobody
    /// wants the answer any more: then there is none.
    fn persist<T>(
        &mut self,
        mut attempt: impl FnMut(&mut P, &mut Attempt) -> Result<T>,
        mut wait: impl FnMut(Duration) -> Result<ControlFlow<()>>,
        patient: impl Fn() -> bool,
    ) -> Result<Option<T>> {
        self.admit()?;
        let (mut delays, mut vain) = (self.guard.delays(), 0);
        loop {
            self.health.requests += 1;
            let mut this = Attempt { begun: Instant::now(), first: None, ticks: 0 };
            let result = attempt(&mut self.inner, &mut this);
            self.count(&this);
            if this.ticks > 0 {
                (delays, vain) = (self.guard.delays(), 0);
            }
            let error = match result {
                Ok(value) => {
                    self.breaker.success();
                    return Ok(Some(value));
                }
                Err(error) if error.is_transient() => error,
                Err(error) => return Err(error),
            };
            self.health.failures += 1;
            self.breaker.failure(Instant::now());
            vain += 1;
            if vain >= self.guard.attempts && !patient() {
                return Err(error);
            }
            let delay = delays.next().unwrap_or_default().max(self.breaker.remaining(Instant::now()));
            say(&format!("{error}; the next attempt is in {:.1} s", delay.as_secs_f64()));
            if wait(delay)?.is_break() {
                return Ok(None);
            }
            self.health.retries += 1;
        }
    }

    fn count(&mut self, attempt: &Attempt) {
        self.health.ticks += attempt.ticks;
        self.health.latency.add(attempt.first.unwrap_or_else(Instant::now).duration_since(attempt.begun));
        if attempt.ticks > 0 {
            self.breaker.success();
        }
    }

    /// Refuses while the breaker is open.
    fn admit(&self) -> Result<()> {
        let now = Instant::now();
        if self.breaker.state(now) == BreakerState::Open {
            let seconds = self.breaker.remaining(now).as_secs_f64();
            return Err(Error::Open { source_name: self.inner.name().to_owned(), seconds });
        }
        Ok(())
    }

    fn ask<T>(&mut self, mut question: impl FnMut(&mut P) -> Result<T>) -> Result<T> {
        let answer = self.persist(|inner, _| question(inner), sleep, || false)?;
        answer.ok_or_else(|| Error::Other(anyhow::anyhow!("nobody waits for an answer")))
    }
}

impl<P: Provider> Provider for Guarded<P> {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn tier(&self) -> Regime {
        self.inner.tier()
    }

    fn history(&mut self, window: &Window, sink: Sink<'_>) -> Result<()> {
        let mut window = window.clone();
        let attempt = |inner: &mut P, this: &mut Attempt| {
            let mut after = window.after;
            let result = inner.history(&window, &mut |tick: SourceTick| {
                this.tick();
                let id = tick.id;
                sink(tick)?;
                after = Some(id);
                Ok(())
            });
            window.after = after;
            result
        };
        self.persist(attempt, sleep, || false).map(|_| ())
    }

    /// A source that was there once is tried again for as long as the sink wants.
    fn live(&mut self, follow: &[Follow], sink: LiveSink<'_>) -> Result<()> {
        let mut follow = follow.to_vec();
        let (sink, connected) = (RefCell::new(sink), Cell::new(false));
        let attempt = |inner: &mut P, this: &mut Attempt| {
            let mut after: Vec<Option<i64>> = follow.iter().map(|follow| follow.after).collect();
            let result = inner.live(&follow, &mut |event| {
                // Who awaits an answer does not know yet whether there is one.
                connected.set(connected.get() || !matches!(event, Event::Waiting));
                let seen = match &event {
                    Event::Tick(tick) => {
                        this.tick();
                        follow.iter().position(|follow| follow.contract == tick.contract).zip(Some(tick.id))
                    }
                    Event::Idle | Event::Waiting => None,
                };
                let flow = (*sink.borrow_mut())(event)?;
                if let Some((at, id)) = seen {
                    after[at] = Some(id);
                }
                Ok(flow)
            });
            follow.iter_mut().zip(after).for_each(|(follow, after)| follow.after = after);
            result
        };
        // The sink looks at the clock while we wait.
        let wait = |delay: Duration| {
            let end = Instant::now() + delay;
            loop {
                if (*sink.borrow_mut())(Event::Waiting)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
                let left = end.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Ok(ControlFlow::Continue(()));
                }
                std::thread::sleep(left.min(IDLE));
            }
        };
        self.persist(attempt, wait, || connected.get()).map(|_| ())
    }

    fn closed_days(&mut self) -> Result<Vec<Day>> {
        self.ask(|inner| inner.closed_days())
    }

    fn contracts(&mut self, exchange: &str, product: &str) -> Result<Vec<Listing>> {
        self.ask(|inner| inner.contracts(exchange, product))
    }
}

fn sleep(delay: Duration) -> Result<ControlFlow<()>> {
    std::thread::sleep(delay);
    Ok(ControlFlow::Continue(()))
}

/// A negative or absurd number of seconds is none.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// A line of the task's log. A reader that has gone away is no reason to fail.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
