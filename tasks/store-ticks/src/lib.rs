//! Kind `store-ticks`: the ticks of a cell into a store, and back: what comes out is what the store holds.
//!
//! With them goes their day index, whose lines say which cell they are of: so what the cell does not hold any more is found and
//! taken out. Asked before its result is trusted, it looks whether the store still holds the same.

mod facts;

use std::collections::BTreeSet;

use fs_err as fs;
use ghtrader_kit::{InputFolder, InputJson, Job, OutputFolder, OutputJson, Probe, Result, Task};
use ghtrader_market::{CellIndex, Day, DayIndex, table};
use ghtrader_store::{Slice, Store, Stored, Table, changed, open, open_for};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The kind.
pub struct StoreTicks;

/// What a flow says with `with`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// `parquet::/data/lake`, or `questdb::http::addr=127.0.0.1:9000;`
    pub store: String,
    /// The market's name in the store: two markets may have contracts of one name
    pub market: String,
}

/// What it reads.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// <contract>/<trading day>.parquet, as `ingest` wrote them
    ticks: InputFolder,
    /// What `ingest` says of them
    index: InputJson<CellIndex>,
}

/// What it writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outputs {
    /// The same files, as the store gave the rows back
    ticks: OutputFolder,
    /// The slices that the store holds of the cell now, with their row hashes
    #[schemars(extend("path" = "slices.json"))]
    slices: OutputJson<Kept>,
}

/// What the store holds of a cell.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// The cell's name.
    cell: String,
    /// Of each (contract, day) its line of the index, and its ticks where it has any.
    slices: Vec<Stored>,
}

impl Task for StoreTicks {
    const NAME: &'static str = "store-ticks";
    const ABOUT: &'static str = "The ticks of a cell and their index into a store, and back";
    const PROBES: bool = true;
    type Params = Params;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn run(params: Params, inputs: Inputs, outputs: Outputs, job: &Job) -> Result<()> {
        let index = inputs.index.read()?;
        let store = open_for(&params.store, &params.market)?;
        let slice = |table, contract: &str, day| slice(&params.market, table, contract, day);
        let had = store.owned(Table::SymbolDayIndex, &params.market, &index.cell)?;
        let has: BTreeSet<(String, Day)> = index.rows.iter().map(|day| (day.contract.clone(), day.day)).collect();
        // The line after the ticks: killed in between, the next run finds by it what is left.
        for (contract, day) in had.difference(&has) {
            store.remove(&slice(Table::TicksRaw, contract, *day))?;
            store.remove(&slice(Table::SymbolDayIndex, contract, *day))?;
        }
        let mut slices = Vec::new();
        let all = index.rows.len() as u64;
        for (done, day) in (0..).zip(&index.rows) {
            job.progress(done, all, &format!("{} {}", day.contract, day.day));
            // The line before the ticks, for the same reason: so it may speak of rows that are on their way.
            let line = slice(Table::SymbolDayIndex, &day.contract, day.day);
            slices.push(store.keep(line, &facts::index(&index.cell, day)?)?.0);
            let rows = slice(Table::TicksRaw, &day.contract, day.day);
            if day.rows > 0 {
                slices.push(ticks(&*store, rows, day, &inputs, &outputs)?);
            } else if had.contains(&(day.contract.clone(), day.day)) {
                // Ticks under another cell's line are not ours to take out.
                store.remove(&rows)?;
            }
        }
        job.metric("slices", slices.len() as f64);
        outputs.slices.write(&Kept { cell: index.cell, slices })
    }

    fn probe(params: Params, outputs: Outputs) -> Result<Probe> {
        let Kept { cell, slices } = outputs.slices.read()?;
        let store = open(&params.store)?;
        let why = changed(&*store, &slices)?
            .map_or_else(|| left(&*store, &params.market, &cell, &slices), |why| Ok(Some(why)));
        Ok(why?.map_or(Probe::Valid, |why| Probe::Changed { why }))
    }
}

/// Why a store holds more of a cell than these slices, if it does.
fn left(store: &dyn Store, market: &str, cell: &str, slices: &[Stored]) -> Result<Option<String>> {
    let of = |table| -> BTreeSet<(String, Day)> {
        let of = slices.iter().map(|stored| &stored.slice).filter(|slice| slice.table == table);
        of.map(|slice| (slice.symbol.clone(), slice.day)).collect()
    };
    let (lines, ticks) = (of(Table::SymbolDayIndex), of(Table::TicksRaw));
    let owned = store.owned(Table::SymbolDayIndex, market, cell)?;
    if let Some((contract, day)) = owned.difference(&lines).next() {
        return Ok(Some(format!("{contract} on {day} is there as of `{cell}`, which does not hold it")));
    }
    for (contract, day) in lines.difference(&ticks) {
        let rows = slice(market, Table::TicksRaw, contract, *day);
        if store.digest(&rows)?.rows > 0 {
            return Ok(Some(format!("{rows} is there, and `{cell}` has no row of it")));
        }
    }
    Ok(None)
}

fn slice(market: &str, table: Table, contract: &str, day: Day) -> Slice {
    Slice { table, market: market.to_owned(), symbol: contract.to_owned(), day, variant: String::new() }
}

/// The ticks of a (contract, day) into the store, and as a file again.
fn ticks(store: &dyn Store, slice: Slice, day: &DayIndex, inputs: &Inputs, outputs: &Outputs) -> Result<Stored> {
    let name = format!("{}.parquet", day.day);
    let (rows, metadata) = table::read(&inputs.ticks.path().join(&day.contract).join(&name))?;
    let (stored, there) = store.keep(slice, &rows)?;
    let folder = outputs.ticks.path().join(&day.contract);
    fs::create_dir_all(&folder)?;
    let metadata: Vec<(&str, &str)> = metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    table::write(&folder.join(&name), &there, &metadata)?;
    Ok(stored)
}
