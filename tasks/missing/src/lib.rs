//! Kind `missing`: which (contract, day) of a market are still to be fetched.
//!
//! Expected are the trading days of a contract's life, by the same rule as in `ledger` (`ghtrader_market::Life`); of these
//! it leaves out what a file of the market names (ticks, or the marker `no_data.<source>.json` of a fetch from the same
//! source) and days that are not over. It opens no tick file.

mod there;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::ensure;
use ghtrader_kit::{InputFile, InputFolder, Job, OutputJson, Result, Task};
use ghtrader_market::{Bound, Calendar, Contract, Day, Known, Life, MarketFile};
use ghtrader_provider::{Guarded, Provider, Source};
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
    /// Contracts, such as SHFE.cu2403; none: all that the source has of the market's varieties
    #[serde(default)]
    pub contracts: Vec<String>,
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

/// What it reads.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// market.yaml
    market: InputFile,
    /// The folder of tick files of the source `files`
    archive: Option<InputFolder>,
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
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn run(params: Params, inputs: Inputs, outputs: Outputs, job: &Job) -> Result<()> {
        let market = MarketFile::read(inputs.market.path())?;
        ensure!(params.from <= params.to, "`from` is {} and `to` {}: nothing lies between", params.from, params.to);
        let named = params.contracts.iter().map(|contract| (contract.clone(), None)).collect();
        let asked = if params.contracts.is_empty() { listed(&market, &params, &inputs, job)? } else { named };
        let contracts: Vec<Contract> =
            asked.keys().map(|name| Contract::parse(name)).collect::<ghtrader_market::Result<_>>()?;
        let there = There::of(&params.root, &params.files, &contracts, params.source.name)?;
        let calendar = Calendar::new(&market.clock())?;
        let over = calendar.last_over(i64::try_from(jiff::Timestamp::now().as_nanosecond())?);
        let mut cells = BTreeMap::new();
        for (contract, (name, last)) in contracts.iter().zip(asked) {
            let life = market.listing_of(contract)?.life(contract, &calendar, as_listed(last))?;
            let mut days = life.days(params.from, params.to.min(over), &calendar);
            days.retain(|day| !there.holds(contract, *day));
            if !days.is_empty() {
                cells.insert(name, days);
            }
        }
        let count: usize = cells.values().map(Vec::len).sum();
        job.metric("missing_days", count as f64);
        outputs.cells.write(&cells)
    }
}

/// The contracts that the source has of the market's varieties, with the last trading days that it says.
fn listed(market: &MarketFile, params: &Params, inputs: &Inputs, job: &Job) -> Result<BTreeMap<String, Option<Day>>> {
    let mut source = params.source.open(market, inputs.archive.as_ref().map(InputFolder::path))?;
    let found = all_of(market, &mut source);
    source.health().report(source.breaker(), job);
    let found = found?;
    let products: BTreeSet<&String> = market.varieties.keys().collect();
    ensure!(!found.is_empty(), "the source has no contract of {products:?}: name them with `contracts`");
    Ok(found)
}

fn all_of(market: &MarketFile, source: &mut Guarded<Box<dyn Provider>>) -> Result<BTreeMap<String, Option<Day>>> {
    let mut found = BTreeMap::new();
    for (product, variety) in &market.varieties {
        let listings = source.contracts(&variety.exchange, product)?;
        found.extend(listings.into_iter().map(|listing| (listing.contract, listing.last_day)));
    }
    Ok(found)
}

/// A life of which market.yaml says nothing: up to the last day that the source says, else asked for on every day.
fn as_listed(last: Option<Day>) -> Life {
    let open = Bound { day: None, known: Known::Open };
    Life { listed: open, last: last.map_or(open, |day| Bound { day: Some(day), known: Known::Source }) }
}
