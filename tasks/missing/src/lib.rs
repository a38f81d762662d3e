//! Kind `missing`: which (contract, day) of a market are still to be fetched.
//!
//! Expected are the trading days from … to of each contract, up to its last one; of these it leaves out what a file of
//! the market names (`cu2403` and the day: ticks, or the marker `no_data.json` of a fetch) and days that are not over. It
//! opens no tick file.

mod there;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, anyhow, ensure};
use ghtrader_kit::{InputFile, InputFolder, Job, OutputJson, Result, Task};
use ghtrader_market::{Calendar, Contract, Day, MarketFile, RollSpec};
use ghtrader_provider::{Guarded, Provider, Source, Window};
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
        let expected = if params.contracts.is_empty() {
            let mut source = params.source.open(&market, inputs.archive.as_ref().map(InputFolder::path))?;
            let listed = listed(&market, &mut source);
            source.health().report(source.breaker(), job);
            listed?
        } else {
            params
                .contracts
                .iter()
                .map(|contract| Ok((contract.clone(), rule_of(&market, contract)?)))
                .collect::<Result<_>>()?
        };
        let now = i64::try_from(jiff::Timestamp::now().as_nanosecond())?;
        let contracts: Vec<Contract> =
            expected.keys().map(|name| Contract::parse(name)).collect::<ghtrader_market::Result<_>>()?;
        let there = There::of(&params.root, &params.files, &contracts)?;
        let calendar = Calendar::new(&market.clock())?;
        let mut over = Vec::new();
        let mut day = calendar.next(params.from.plus(-1));
        while day <= params.to && Window::of_day("", day, &market.clock())?.to_ns <= now {
            over.push(day);
            day = calendar.next(day);
        }
        let mut cells = BTreeMap::new();
        for (contract, (name, last)) in contracts.iter().zip(&expected) {
            let expected = over.iter().copied().filter(|day| last.is_none_or(|last| *day <= last));
            let days: Vec<Day> = expected.filter(|day| !there.holds(contract, *day)).collect();
            if !days.is_empty() {
                cells.insert(name.clone(), days);
            }
        }
        let count: usize = cells.values().map(Vec::len).sum();
        job.metric("missing_days", count as f64);
        outputs.cells.write(&cells)
    }
}

/// The contracts that a source has of the market's varieties, with their last trading days.
fn listed(market: &MarketFile, source: &mut Guarded<Box<dyn Provider>>) -> Result<BTreeMap<String, Option<Day>>> {
    let mut all = BTreeMap::new();
    for (product, variety) in &market.varieties {
        for listing in source.contracts(&variety.exchange, product)? {
            let by_rule = rule_of(market, &listing.contract)?;
            all.insert(listing.contract, by_rule.or(listing.last_day));
        }
    }
    let products: BTreeSet<&String> = market.varieties.keys().collect();
    ensure!(!all.is_empty(), "the source has no contract of {products:?}: name them with `contracts`");
    Ok(all)
}

/// The last trading day of a contract by the rule of its variety; `None` where it does not expire.
fn rule_of(market: &MarketFile, name: &str) -> Result<Option<Day>> {
    let contract = Contract::parse(name)?;
    let known = || market.varieties.keys().cloned().collect::<Vec<_>>().join(", ");
    let variety = market.varieties.get(&contract.product);
    let variety = variety.with_context(|| format!("{name} is of no variety of market.yaml, which has {}", known()))?;
    let specs = market.specs(&contract.product, variety, None).map_err(|what| anyhow!("market.yaml: {what}"))?;
    let roll: RollSpec = specs.roll;
    Ok(roll.last_trading_day(&contract, &roll.calendar()?)?)
}
