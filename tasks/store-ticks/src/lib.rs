//! Kind `store-ticks`: the ticks of a cell into a store, and back: what comes out is what the store holds.
//!
//! With them go their day index, and a marker with the reason for each day of which no row could be kept. Asked before its
//! result is trusted, it looks whether the store still holds the same.

mod facts;

use fs_err as fs;
use ghtrader_kit::{InputFolder, InputJson, Job, OutputFolder, OutputJson, Probe, Result, Task};
use ghtrader_market::{CellIndex, DayIndex, table};
use ghtrader_store::{Slice, Store, Stored, Table, changed, open};
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
    /// The slices that the store holds now, with their row hashes
    #[schemars(extend("path" = "slices.json"))]
    slices: OutputJson<Vec<Stored>>,
}

impl Task for StoreTicks {
    const NAME: &'static str = "store-ticks";
    const ABOUT: &'static str = "The ticks of a cell, their index and their no-data days into a store, and back";
    const PROBES: bool = true;
    type Params = Params;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn run(params: Params, inputs: Inputs, outputs: Outputs, job: &Job) -> Result<()> {
        let index = inputs.index.read()?;
        let store = open(&params.store)?;
        let mut slices = Vec::new();
        let all = index.rows.len() as u64;
        for (done, day) in (0..).zip(&index.rows) {
            job.progress(done, all, &format!("{} {}", day.contract, day.day));
            let slice = |table| Slice {
                table,
                market: params.market.clone(),
                symbol: day.contract.clone(),
                day: day.day,
                variant: String::new(),
            };
            // The index after the ticks: it never speaks of what is not there yet.
            if day.rows > 0 {
                slices.push(ticks(&*store, slice(Table::TicksRaw), day, &inputs, &outputs)?);
            } else {
                slices.push(store.keep(slice(Table::NoDataDays), &facts::no_data(day)?)?.0);
            }
            slices.push(store.keep(slice(Table::SymbolDayIndex), &facts::index(&index.cell, day)?)?.0);
        }
        job.metric("slices", slices.len() as f64);
        outputs.slices.write(&slices)
    }

    fn probe(params: Params, outputs: Outputs) -> Result<Probe> {
        let slices: Vec<Stored> = outputs.slices.read()?;
        Ok(changed(&*open(&params.store)?, &slices)?.map_or(Probe::Valid, |why| Probe::Changed { why }))
    }
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
