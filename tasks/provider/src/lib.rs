//! Where ticks come from: one trait for historical ticks, live ticks, calendar and contracts.
//!
//! | module | holds |
//! |---|---|
//! | [`Provider`] | the trait; [`Source`] names one in a flow and opens it |
//! | [`Files`], [`Synthetic`], [`TqSdk`] | a folder of tick files, the invented market, the service |
//! | [`Guarded`] | around any of them: retries, circuit breaker, health counters |
//! | [`TickFile`] | the files that `fetch` and `record` write and `ingest` reads |
//! | [`Spool`] | where a recording goes first |
//! | [`credentials`] | where user and password are found |
//!
//! It knows no flow. The README says what was checked against what.

mod breaker;
pub mod credentials;
mod error;
mod files;
mod guard;
mod health;
#[cfg(feature = "server")]
pub mod server;
mod source;
mod spool;
mod synthetic;
mod tick_file;
pub mod tqsdk;

use std::ops::ControlFlow;
use std::sync::Arc;

use ghtrader_market::{Calendar, CalendarRule, Clock, Day, Regime, TimeOfDay, Values};
use serde::{Deserialize, Serialize};

pub use breaker::{Breaker, BreakerState};
pub use error::{Error, Result};
pub use files::Files;
pub use guard::{Guard, Guarded};
pub use health::Health;
pub use source::{Source, SourceInputs, SourceName};
pub use spool::{Spool, UNFINISHED, left_over, published_of, spool_of};
pub use synthetic::Synthetic;
pub use tick_file::{Origin, TickFile, compress};
pub use tqsdk::TqSdk;

/// A tick as a source gives it, before any check.
#[derive(Clone, Debug)]
pub struct SourceTick {
    /// `SHFE.cu2403`.
    pub contract: Arc<str>,
    /// The source's number of it: one more from each tick of a contract to the next.
    pub id: i64,
    /// UTC nanoseconds.
    pub datetime_ns: i64,
    /// The values in the order of [`ghtrader_market::value_names`]; NaN where there is none.
    pub values: Values,
}

/// Which historical ticks are wanted: those of a contract with `from_ns` ≤ stamp < `to_ns`.
#[derive(Clone, Debug)]
pub struct Window {
    /// `SHFE.cu2403`.
    pub contract: Arc<str>,
    /// UTC nanoseconds, included.
    pub from_ns: i64,
    /// UTC nanoseconds, not included.
    pub to_ns: i64,
    /// Only ticks after this id: those up to it are here already.
    pub after: Option<i64>,
}

impl Window {
    /// All that can belong to a trading day: \[previous trading day 18:00, the day 18:00) where nights belong to the next
    /// day, else the local date.
    ///
    /// # Errors
    /// Where the holiday list is damaged.
    pub fn of_day(contract: &str, day: Day, clock: &Clock) -> Result<Self> {
        let calendar = Calendar::new(clock)?;
        let (from_ns, to_ns) = match clock.calendar {
            CalendarRule::ChinaFutures => {
                let evening = TimeOfDay::at(18, 0);
                (calendar.moment(calendar.previous(day), evening), calendar.moment(day, evening))
            }
            CalendarRule::UtcDay | CalendarRule::Weekdays => {
                (calendar.moment(day, TimeOfDay::at(0, 0)), calendar.moment(day.plus(1), TimeOfDay::at(0, 0)))
            }
        };
        Ok(Self { contract: contract.into(), from_ns, to_ns, after: None })
    }
}

/// A contract to follow live: from after an id on, or, where nothing of it is here yet, from a moment on.
#[derive(Clone, Debug)]
pub struct Follow {
    /// `SHFE.cu2403`.
    pub contract: Arc<str>,
    /// UTC nanoseconds, included; not of interest where `after` is known.
    pub from_ns: i64,
    /// Only ticks after this id: those up to it are here already.
    pub after: Option<i64>,
}

/// What a live source says.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "handed over once and never kept: a box for each tick would cost more")]
pub enum Event {
    /// A tick; those of a contract come with ascending ids.
    Tick(SourceTick),
    /// All is there, and nothing came for a moment: whoever listens can look at the clock.
    Idle,
    /// As `Idle`, while an answer is awaited, or the next attempt after a failure: not all is there. There is a second at most
    /// between two events; while a connection is being made there are none, for as long as its patience lasts.
    Waiting,
}

/// A contract that a source knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    /// `SHFE.cu2403`.
    pub contract: String,
    /// The last trading day, where the source says it.
    pub last_day: Option<Day>,
}

/// Takes historical ticks.
pub type Sink<'a> = &'a mut dyn FnMut(SourceTick) -> anyhow::Result<()>;
/// Takes live events, until it breaks.
pub type LiveSink<'a> = &'a mut dyn FnMut(Event) -> anyhow::Result<ControlFlow<()>>;

/// A source of market data.
pub trait Provider {
    /// `tqsdk`.
    fn name(&self) -> &'static str;

    /// How far data are trusted that were fetched from it afterwards; what was recorded live is `prod_live` unless the
    /// source is invented.
    fn tier(&self) -> Regime;

    /// Hands over the ticks of a window, ids ascending. None at all is no error: the source has none.
    ///
    /// # Errors
    /// Where the source does not give them ([`Error::is_transient`] says whether to try again), or the sink refuses.
    fn history(&mut self, window: &Window, sink: Sink<'_>) -> Result<()>;

    /// Hands over ticks as they come, until the sink breaks, and before them those that [`Follow`] says are not here yet. A few
    /// that are older may come too.
    ///
    /// # Errors
    /// As [`Provider::history`].
    fn live(&mut self, follow: &[Follow], sink: LiveSink<'_>) -> Result<()>;

    /// Days beyond weekends on which there is no trading.
    ///
    /// # Errors
    /// Where the source does not say.
    fn closed_days(&mut self) -> Result<Vec<Day>>;

    /// The contracts of a product: `SHFE`, `cu`.
    ///
    /// # Errors
    /// Where the source does not say.
    fn contracts(&mut self, exchange: &str, product: &str) -> Result<Vec<Listing>>;
}
