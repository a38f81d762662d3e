//! Kind `store-day`: one day's table of a main series (ticks, factors or labels) into a store, and back.
//!
//! With a day of ticks goes its line of the schedule. Asked before its result is trusted, it looks whether the store still
//! holds the same.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use arrow_array::cast::AsArray as _;
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use ghtrader_kit::{InputFile, InputJson, Job, OutputFile, OutputJson, Probe, Result, Task};
use ghtrader_market::{Day, TicksSpec, table};
use ghtrader_store::{Slice, Stored, Table, changed, open, open_for};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The kind.
pub struct StoreDay;

/// What a flow says with `with`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// `parquet::/data/lake`, or `questdb::http::addr=127.0.0.1:9000;`
    pub store: String,
    /// The market's name in the store: two markets may have contracts of one name
    pub market: String,
    /// Which table the rows are of
    pub table: DayTable,
    /// Which of several: two roll rules, two sets of factors or two sets of labels live side by side under two names
    #[serde(default)]
    pub variant: String,
}

/// A table of main series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DayTable {
    /// `main-l5.ticks`
    TicksMainL5,
    /// `build.features`
    Features,
    /// `build.labels`
    Labels,
}

/// What it reads.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// The day's table, as `main-l5` or `build` wrote it
    rows: InputFile,
    /// How the variety's ticks are to be read: it names the main series
    spec: InputJson<TicksSpec>,
}

/// What it writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outputs {
    /// The same table, as the store gave the rows back
    #[schemars(extend("path" = "rows.parquet"))]
    rows: OutputFile,
    /// The slices that the store holds now, with their row hashes
    #[schemars(extend("path" = "slices.json"))]
    slices: OutputJson<Vec<Stored>>,
}

impl Task for StoreDay {
    const NAME: &'static str = "store-day";
    const ABOUT: &'static str = "One day's ticks, factors or labels of a main series into a store, and back";
    const PROBES: bool = true;
    type Params = Params;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn run(params: Params, inputs: Inputs, outputs: Outputs, job: &Job) -> Result<()> {
        let day: Day = job.axis("day")?;
        let symbol = inputs.spec.read()?.main_symbol();
        let (rows, metadata) = table::read(inputs.rows.path())?;
        let store = open_for(&params.store, &params.market)?;
        let slice = |table| Slice {
            table,
            market: params.market.clone(),
            symbol: symbol.clone(),
            day,
            variant: params.variant.clone(),
        };
        let table = match params.table {
            DayTable::TicksMainL5 => Table::TicksMainL5,
            DayTable::Features => Table::Features,
            DayTable::Labels => Table::Labels,
        };
        let (stored, there) = store.keep(slice(table), &rows)?;
        let mut slices = vec![stored];
        if table == Table::TicksMainL5 {
            let line = schedule(&rows).with_context(|| format!("{}", inputs.rows.path().display()))?;
            slices.push(store.keep(slice(Table::MainSchedule), &line)?.0);
        }
        let metadata: Vec<(&str, &str)> = metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        table::write(outputs.rows.path(), &there, &metadata)?;
        job.metric("rows", there.num_rows() as f64);
        outputs.slices.write(&slices)
    }

    fn probe(params: Params, outputs: Outputs) -> Result<Probe> {
        let slices: Vec<Stored> = outputs.slices.read()?;
        Ok(changed(&*open(&params.store)?, &slices)?.map_or(Probe::Valid, |why| Probe::Changed { why }))
    }
}

/// The day's line of the schedule, which every row of a main series carries.
fn schedule(rows: &RecordBatch) -> Result<RecordBatch> {
    if rows.num_rows() == 0 {
        bail!("there is no row");
    }
    let column = |name: &str| {
        rows.column_by_name(name).with_context(|| format!("there is no column `{name}`: is this a main series?"))
    };
    let text = |name: &str| -> Result<ArrayRef> {
        let texts = column(name)?.as_string_opt::<i32>().with_context(|| format!("`{name}` is no text"))?;
        Ok(Arc::new(StringArray::from(vec![texts.value(0)])))
    };
    let segment = column("segment_id")?.as_primitive_opt::<Int32Type>().context("`segment_id` is no whole number")?;
    Ok(RecordBatch::try_from_iter([
        ("main_contract", text("underlying_contract")?),
        ("segment_id", Arc::new(Int32Array::from(vec![segment.value(0)])) as ArrayRef),
        ("schedule_hash", text("schedule_hash")?),
    ])?)
}
