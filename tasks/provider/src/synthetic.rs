//! The invented market of `ingest` as a source: what it would have sent, defects included.

use std::sync::Arc;

use anyhow::Context as _;
use ghtrader_ingest::synthetic::invent;
use ghtrader_market::{Calendar, Contract, Day, MarketFile, Regime, SyntheticCell, SyntheticFile};

use crate::{Error, Follow, Listing, LiveSink, Provider, Result, Sink, SourceTick, Window};

/// The ids of a day begin here, so that they ascend over the days.
const IDS_OF_A_DAY: i64 = 10_000_000;

/// An invented market.
pub struct Synthetic {
    market: MarketFile,
    synthetic: SyntheticFile,
}

impl Synthetic {
    /// The market that `market.yaml` describes.
    ///
    /// # Errors
    /// Where it has no `synthetic`.
    pub fn new(market: MarketFile) -> Result<Self> {
        let synthetic = market.synthetic.clone();
        let synthetic =
            synthetic.context("market.yaml has no `synthetic`, so there is no invented market to take from")?;
        Ok(Self { market, synthetic })
    }

    /// The invented days that a window touches.
    fn cells(&self, window: &Window, calendar: &Calendar) -> Vec<SyntheticCell> {
        let SyntheticFile { seed, first_day, days, rows, strength } = self.synthetic;
        let (from, to) = (calendar.trading_day(window.from_ns), calendar.trading_day(window.to_ns.saturating_sub(1)));
        let all = std::iter::successors(Some(first_day), |day| Some(calendar.next(*day))).take(days as usize);
        let touched = all.filter(|day| (from..=to).contains(day));
        touched.map(|day| SyntheticCell { seed, first_day, day, rows, strength }).collect()
    }
}

impl Provider for Synthetic {
    fn name(&self) -> &'static str {
        "synthetic"
    }

    fn tier(&self) -> Regime {
        Regime::Synthetic
    }

    fn history(&mut self, window: &Window, sink: Sink<'_>) -> Result<()> {
        let spec = self.market.ticks_of(&Contract::parse(&window.contract)?)?;
        let calendar = spec.calendar()?;
        for cell in self.cells(window, &calendar) {
            let rows = invent(&cell, &spec)?.rows.into_iter().filter(|row| row.contract == window.contract);
            for (id, row) in (i64::from(cell.day.0) * IDS_OF_A_DAY..).zip(rows) {
                let wanted = (window.from_ns..window.to_ns).contains(&row.datetime_ns);
                if wanted && window.after.is_none_or(|after| id > after) {
                    let contract = Arc::clone(&window.contract);
                    sink(SourceTick { contract, id, datetime_ns: row.datetime_ns, values: row.values })?;
                }
            }
        }
        Ok(())
    }

    fn live(&mut self, _: &[Follow], _: LiveSink<'_>) -> Result<()> {
        Err(Error::Unsupported { source_name: "synthetic".to_owned(), what: "live ticks".to_owned() })
    }

    fn closed_days(&mut self) -> Result<Vec<Day>> {
        Ok(self.market.closed.clone())
    }

    fn contracts(&mut self, exchange: &str, product: &str) -> Result<Vec<Listing>> {
        // Any code will do to find the variety.
        let spec = self.market.ticks_of(&Contract::parse(&format!("{exchange}.{product}"))?)?;
        let calendar = spec.calendar()?;
        let whole = Window { contract: product.into(), from_ns: i64::MIN / 2, to_ns: i64::MAX / 2, after: None };
        let mut found = std::collections::BTreeSet::new();
        for cell in self.cells(&whole, &calendar) {
            // The contracts of a day do not depend on how many rows it has.
            found.extend(invent(&SyntheticCell { rows: 100, ..cell }, &spec)?.planted.into_keys());
        }
        Ok(found.into_iter().map(|contract| Listing { contract, last_day: None }).collect())
    }
}
