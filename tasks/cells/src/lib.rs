//! Kind `cells`: what a market folder holds, as data that a flow can have axes over.
//!
//! Reads `market.yaml`; matches its file patterns against the list of files that the flow hands over (a task sees only
//! its declared inputs, so it cannot look itself); writes one cell per tick file, or per day of a synthetic market, and
//! the specifications of each variety in parts. It opens no tick file.

mod files;
mod rolls;
mod synthetic;
mod wanted;

use std::path::Path;

use anyhow::{Context as _, ensure};
use ghtrader_kit::{InputFile, InputFolder, Job, OutputJson, Result, Task};
use ghtrader_market::{AllSpecs, Cells, Contract, Day, MarketFile, Symbols, read_no_data};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The kind.
pub struct ListCells;

/// What a flow says with `with`.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Params {
    /// The market folder, as the paths in `files` begin.
    pub root: String,
    /// The files of the market folder: `${{ files(params.market ~ '/**') }}`.
    pub files: Vec<String>,
    /// Leave out files, and synthetic days, before this day.
    pub from: Option<Day>,
    /// Leave out files, and synthetic days, after this day.
    pub to: Option<Day>,
    /// Varieties (`cu`) and contracts (`SHFE.au2206`) that are asked for: leave out other varieties, and of a variety
    /// of which contracts are named, files whose path names others only. None: all.
    pub symbols: Vec<String>,
}

/// What it reads.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// market.yaml
    market: InputFile,
    /// A folder with <variety>.json: the switches of rule `given`.
    rolls: Option<InputFolder>,
    /// no_data.yaml: each marker has to name a contract of this market.
    no_data: Option<InputFile>,
}

/// What it writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outputs {
    /// {variety: {cell: {file, synthetic}}}
    #[schemars(extend("path" = "cells.json"))]
    cells: OutputJson<Cells>,
    /// {variety: {ticks, roll, cost, regime, listing}}
    #[schemars(extend("path" = "specs.json"))]
    specs: OutputJson<AllSpecs>,
    /// {name, store}: under which name it is stored, and where; empty where market.yaml does not say
    #[schemars(extend("path" = "market.json"))]
    market: OutputJson<Stored>,
}

/// What `market.yaml` says for the stores.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stored {
    /// The market's name there
    pub name: String,
    /// The address
    pub store: String,
}

impl Task for ListCells {
    const NAME: &'static str = "cells";
    const ABOUT: &'static str = "What a market folder holds: its tick files (or synthetic days) and specifications";
    type Params = Params;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn run(params: Params, inputs: Inputs, outputs: Outputs, _: &Job) -> Result<()> {
        let market = MarketFile::read(inputs.market.path())?;
        let symbols = Symbols::parse(&params.symbols).context("parameter `symbols`")?;
        symbols.check(market.varieties()).context("parameter `symbols`")?;
        if let Some(no_data) = &inputs.no_data {
            check_no_data(no_data.path(), &market)?;
        }
        let mut cells = Cells::new();
        let mut specs = AllSpecs::new();
        for (name, variety) in &market.varieties {
            if !symbols.name(&variety.exchange, name) {
                continue;
            }
            let about = || format!("variety `{name}` of the market `{}`", params.root);
            let contracts = symbols.contracts(&variety.exchange, name);
            let found = match &market.synthetic {
                Some(synthetic) => synthetic::cells(&params, &market.clock(), synthetic),
                None => files::cells(&params, &variety.files, &wanted::Wanted::new(name, contracts.as_deref())),
            };
            let found = found.with_context(about)?;
            if !found.is_empty() {
                cells.insert(name.clone(), found);
            }
            let given = inputs.rolls.as_ref().map(|rolls| rolls::read(rolls.path(), name)).transpose()?.flatten();
            let spec = market.specs(name, variety, given).map_err(anyhow::Error::msg).with_context(about)?;
            specs.insert(name.clone(), spec);
        }
        ensure!(!cells.is_empty(), "{}", nothing(&params));
        outputs.cells.write(&cells)?;
        outputs.market.write(&Stored { name: market.name, store: market.store })?;
        outputs.specs.write(&specs)
    }
}

/// A marker whose contract the market does not have would say nothing, and nobody would be told.
fn check_no_data(path: &Path, market: &MarketFile) -> Result<()> {
    for (number, marker) in read_no_data(path)?.into_iter().enumerate() {
        market
            .ticks_of(&Contract::parse(&marker.contract)?)
            .with_context(|| format!("no_data.yaml: marker {} ({} {})", number + 1, marker.contract, marker.day))?;
    }
    Ok(())
}

/// That nothing of a market is asked for.
fn nothing(params: &Params) -> String {
    let text = |day: Option<Day>| day.map_or_else(|| "…".to_owned(), |day| day.to_string());
    let of = if params.symbols.is_empty() { String::new() } else { format!(" of {}", params.symbols.join(", ")) };
    format!(
        "nothing{of} in the market `{}` lies in {} to {}: widen `from` and `to`, or `symbols`",
        params.root,
        text(params.from),
        text(params.to)
    )
}
