//! One row of the main series as the factors see it.

use ghtrader_market::{Day, Tick, TickSize};

use crate::store::Store;

pub use ghtrader_market::LEVELS;

/// One side of one level: price and volume, both NaN where the side is missing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quote {
    /// The price.
    pub price: f64,
    /// Lots that wait at it.
    pub volume: f64,
}

/// A side that is not there.
pub(crate) const NO_QUOTE: Quote = Quote { price: f64::NAN, volume: f64::NAN };

impl Quote {
    /// A quote as read from a file: missing where the price is absent or not above zero, or the volume is absent.
    pub fn read(price: f64, volume: f64) -> Self {
        if price > 0.0 && volume >= 0.0 { Self { price, volume } } else { NO_QUOTE }
    }

    /// Whether there is one.
    pub fn is_present(self) -> bool {
        !self.price.is_nan()
    }
}

/// A snapshot of the book and the day's running totals.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The trading day.
    pub day: Day,
    /// The segment of the schedule.
    pub segment: i32,
    /// UTC nanoseconds since 1970.
    pub ns: i64,
    /// Price of the last trade; NaN where absent.
    pub last: f64,
    /// Lots traded in the day so far; NaN where absent.
    pub volume: f64,
    /// Money traded in the day so far; NaN where absent.
    pub amount: f64,
    /// Bids, best first.
    pub bids: [Quote; LEVELS],
    /// Asks, best first.
    pub asks: [Quote; LEVELS],
}

impl Row {
    /// A row without anything in it, to be filled by [`Row::walk`].
    pub(crate) fn empty() -> Self {
        let side = [NO_QUOTE; LEVELS];
        let (last, volume, amount) = (f64::NAN, f64::NAN, f64::NAN);
        Self { day: Day(0), segment: 0, ns: 0, last, volume, amount, bids: side, asks: side }
    }

    /// A row of the canonical table, in a segment.
    pub fn from_tick(tick: &Tick, segment: i32) -> Self {
        let [last, _, _, volume, amount, _, book @ ..] = tick.values;
        // The book's columns are bid price, bid volume, ask price, ask volume, level by level.
        let side = |offset: usize| {
            std::array::from_fn(|level| {
                let at = 4 * level + offset;
                Quote::read(book[at], book[at + 1])
            })
        };
        let (day, ns) = (tick.trading_day, tick.datetime_ns);
        Self { day, segment, ns, last, volume, amount, bids: side(0), asks: side(2) }
    }

    /// Best bid.
    pub fn bid(&self) -> Quote {
        self.bids[0]
    }

    /// Best ask.
    pub fn ask(&self) -> Quote {
        self.asks[0]
    }

    /// (bid₁ + ask₁) / 2; NaN where a side is missing.
    pub fn mid(&self) -> f64 {
        (self.bid().price + self.ask().price) / 2.0
    }

    /// The mid in whole half-ticks, `None` where a side is missing.
    ///
    /// Exact: `ingest` wrote the double nearest to each price, so the two integers are those of the exchange.
    pub fn half_ticks(&self, tick: TickSize) -> Option<i64> {
        let ticks = |quote: Quote| quote.is_present().then(|| tick.ticks(quote.price).ok()).flatten();
        Some(ticks(self.bid())? + ticks(self.ask())?)
    }

    /// Writes or reads the row.
    pub(crate) fn walk(&mut self, store: &mut Store) {
        let (mut day, mut segment) = (i64::from(self.day.0), i64::from(self.segment));
        store.signed(&mut day);
        store.signed(&mut segment);
        store.signed(&mut self.ns);
        // What was written from these types fits them again.
        (self.day.0, self.segment) = (day as i32, segment as i32);
        store.numbers([&mut self.last, &mut self.volume, &mut self.amount]);
        store.numbers(self.bids.iter_mut().chain(&mut self.asks).flat_map(|q| [&mut q.price, &mut q.volume]));
    }
}
