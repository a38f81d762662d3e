//! Kind `missing`: which (contract, day) of a market are still to be fetched.
//!
//! Expected are the trading days of a contract's life, by the same rule as in `ledger` (`ghtrader_market::Life`); of these
//! it leaves out what a file of the market names (ticks, or the marker `no_data.<source>.json` of a fetch from the same
//! source) and days that are not over. It opens no tick file.

mod there;

use std::collections::BTreeMap;
use std::io::Write as _;

use anyhow::{Context as _, ensure};
use ghtrader_kit::{Job, OutputJson, Result, Task};
use ghtrader_market::{Bound, Calendar, Contract, Day, Known, Life, MarketFile, Symbols};
use ghtrader_provider::{Guarded, Provider, Source, SourceInputs};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::there::There;

/// The kind.
pub struct Missing;

/// What a flow says with `with`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Where contracts are asked for
    #[serde(default)]
    pub source: Source,
    /// Varieties (`cu`: the contracts that the source has of it) and contracts (`SHFE.au2206`); none: all varieties
    #[serde(default)]
    pub symbols: Vec<String>,
    /// The first trading day
    pub from: Day,
    /// The last trading day
    pub to: Day,
    /// The market folder, as the paths in `files` begin
    #[serde(default)]
    pub root: String,
    /// The files of the market folder: `${{ files(params.market ~ '/**') }}`
    #[serde(default)]
    pub files: Vec<String>,
}

/// What it writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outputs {
    /// {contract: [day]}
    #[schemars(extend("path" = "cells.json"))]
    cells: OutputJson<BTreeMap<String, Vec<Day>>>,
}

impl Task for Missing {
    const NAME: &'static str = "missing";
    const ABOUT: &'static str =
        "Which (contract, trading day) of a market have neither ticks nor a marker that there are none";
    type Params = Params;
    type Inputs = SourceInputs;
    type Outputs = Outputs;

    fn run(params: Params, inputs: SourceInputs, outputs: Outputs, job: &Job) -> Result<()> {
        let market = MarketFile::read(inputs.market.path())?;
        ensure!(params.from <= params.to, "`from` is {} and `to` {}: nothing lies between", params.from, params.to);
        let calendar = Calendar::new(&market.clock())?;
        let Asked { contracts: asked, closed } = asked(&market, &calendar, &params, &inputs, job)?;
        let contracts: Vec<Contract> =
            asked.keys().map(|name| Contract::parse(name)).collect::<ghtrader_market::Result<_>>()?;
        let there = There::of(&params.root, &params.files, &contracts, params.source.name)?;
        let over = calendar.last_over(i64::try_from(jiff::Timestamp::now().as_nanosecond())?);
        let mut cells = BTreeMap::new();
        for (contract, (name, last)) in contracts.iter().zip(asked) {
            let life = market.listing_of(contract)?.life(contract, &calendar, as_listed(last))?;
            let mut days = life.days(params.from, params.to.min(over), &calendar);
            days.retain(|day| !there.holds(contract, *day) && !closed.contains(day));
            if !days.is_empty() {
                cells.insert(name, days);
            }
        }
        let count: usize = cells.values().map(Vec::len).sum();
        job.metric("missing_days", count as f64);
        outputs.cells.write(&cells)
    }
}

/// What is asked for, as far as the source says it. It is asked only where no contracts of a variety are named.
#[derive(Default)]
struct Asked {
    /// The contracts, with the last trading days that the source says.
    contracts: BTreeMap<String, Option<Day>>,
    /// See [`closed`].
    closed: Vec<Day>,
}

fn asked(market: &MarketFile, calendar: &Calendar, params: &Params, inputs: &SourceInputs, job: &Job) -> Result<Asked> {
    let symbols = Symbols::parse(&params.symbols).context("parameter `symbols`")?;
    symbols.check(market.varieties()).context("parameter `symbols`")?;
    let (mut asked, mut whole) = (Asked::default(), Vec::new());
    for (exchange, product) in market.varieties() {
        match symbols.contracts(exchange, product) {
            Some(named) => asked.contracts.extend(named.into_iter().map(|contract| (contract.to_string(), None))),
            None => whole.push((exchange, product)),
        }
    }
    if !whole.is_empty() {
        let mut source = inputs.open(&params.source, market)?;
        let listed = listed(&whole, &mut source);
        let closed = closed(&mut source, calendar, params.from, params.to);
        source.health().report(source.breaker(), job);
        asked.contracts.extend(listed?);
        asked.closed = closed?;
    }
    Ok(asked)
}

/// The days on which there is no trading as the source says, and there is as the market's calendar guesses: beyond its list of
/// holidays it knows weekends only.
fn closed(source: &mut impl Provider, calendar: &Calendar, from: Day, to: Day) -> Result<Vec<Day>> {
    if calendar.covers(from) && calendar.covers(to) {
        return Ok(Vec::new());
    }
    let mut closed = source.closed_days()?;
    closed.retain(|day| (from..=to).contains(day) && !calendar.covers(*day) && calendar.is_trading_day(*day));
    if !closed.is_empty() {
        let days: Vec<String> = closed.iter().map(Day::to_string).collect();
        let days = days.join(", ");
        // A reader of the log that has gone away is no reason to fail.
        let _ =
            writeln!(std::io::stderr(), "no trading on {days}, says the source: add them to `closed` of market.yaml");
    }
    Ok(closed)
}

/// The contracts that a source has of varieties.
fn listed(
    varieties: &[(&str, &str)],
    source: &mut Guarded<Box<dyn Provider>>,
) -> Result<BTreeMap<String, Option<Day>>> {
    let mut found = BTreeMap::new();
    for (exchange, product) in varieties {
        let listings = source.contracts(exchange, product)?;
        found.extend(listings.into_iter().map(|listing| (listing.contract, listing.last_day)));
    }
    let products: Vec<&str> = varieties.iter().map(|(_, product)| *product).collect();
    let products = products.join(", ");
    ensure!(!found.is_empty(), "the source has no contract of {products}: name them with `symbols`, [SHFE.cu2403]");
    Ok(found)
}

/// A life of which market.yaml says nothing: up to the last day that the source says, else asked for on every day.
fn as_listed(last: Option<Day>) -> Life {
    let open = Bound { day: None, known: Known::Open };
    Life { listed: open, last: last.map_or(open, |day| Bound { day: Some(day), known: Known::Source }) }
}

#[cfg(test)]
mod tests {
    use ghtrader_market::{Clock, Regime};
    use ghtrader_provider::{Follow, Listing, LiveSink, Sink, Window};

    use super::*;

    /// A source that knows holidays alone.
    struct Holidays(&'static [&'static str]);

    impl Provider for Holidays {
        fn name(&self) -> &'static str {
            "holidays"
        }

        fn tier(&self) -> Regime {
            Regime::Historical
        }

        fn history(&mut self, _: &Window, _: Sink<'_>) -> ghtrader_provider::Result<()> {
            Ok(())
        }

        fn live(&mut self, _: &[Follow], _: LiveSink<'_>) -> ghtrader_provider::Result<()> {
            Ok(())
        }

        fn closed_days(&mut self) -> ghtrader_provider::Result<Vec<Day>> {
            Ok(self.0.iter().map(|day| day.parse().unwrap()).collect())
        }

        fn contracts(&mut self, _: &str, _: &str) -> ghtrader_provider::Result<Vec<Listing>> {
            Ok(Vec::new())
        }
    }

    #[test]
    fn where_the_list_of_holidays_ends_the_source_says_which_days_are_closed() {
        let calendar = Calendar::new(&Clock::china()).unwrap();
        // A Tuesday, a Sunday and a Wednesday, and a Tuesday of which the market's own list knows.
        let mut source = Holidays(&["2029-02-13", "2029-02-18", "2029-02-14", "2024-01-02"]);
        let mut of = |from: &str, to: &str| -> Vec<String> {
            let days = closed(&mut source, &calendar, from.parse().unwrap(), to.parse().unwrap()).unwrap();
            days.iter().map(Day::to_string).collect()
        };
        assert_eq!(of("2024-01-01", "2029-12-31"), ["2029-02-13", "2029-02-14"]);
        assert_eq!(of("2029-02-14", "2029-12-31"), ["2029-02-14"]);
        assert!(of("2024-01-01", "2024-12-31").is_empty(), "there the market's calendar is no guess");
    }
}
