//! The task: reads the day, folds the engine over it, writes what came out.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use ghtrader_kit::{InputFile, InputJson, Job, OutputFile, OutputJson, Result, Task};
use ghtrader_market::{Day, Entry, Ticks, TicksSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::{Built, Engine};
use crate::labels::Counts;
use crate::output::{write_features, write_labels};
use crate::params::Params;
use crate::registry::Listing;
use crate::row::Row;
use crate::state::State;

/// The kind `build`.
pub struct Build;

/// What it reads.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Inputs {
    /// The day's entry of the schedule.
    entry: InputJson<Entry>,
    /// The day's rows of the main series.
    ticks: InputFile,
    /// Tick sizes, levels, sessions of the variety.
    spec: InputJson<TicksSpec>,
    /// The state of the day before, where the segment continues.
    state: Option<InputJson<State>>,
}

/// What it writes.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Outputs {
    /// One row of features per row.
    #[schemars(extend("path" = "features.parquet"))]
    features: OutputFile,
    /// Labels of this day's rows, and of the rows before it that had to wait for them.
    #[schemars(extend("path" = "labels.parquet"))]
    labels: OutputFile,
    /// The factors: ids, versions, formulas, parameters, columns, and the hash of the set.
    #[schemars(extend("path" = "factors.json"))]
    factors: OutputJson<Listing>,
    /// How many rows have which label, and why others have none.
    #[schemars(extend("path" = "counts.json"))]
    counts: OutputJson<DayCounts>,
    /// What the next day of the segment goes on from.
    #[schemars(extend("path" = "state.json"))]
    state: OutputJson<State>,
}

/// The output `counts`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DayCounts {
    /// The trading day.
    pub day: Day,
    /// Rows of features.
    pub rows: u64,
    /// Rows that lack at least one feature: windows not yet full, missing quotes, rows outside the sessions.
    pub incomplete: u64,
    /// By label horizon.
    pub horizons: BTreeMap<usize, HorizonCounts>,
}

/// The labels of one horizon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HorizonCounts {
    /// This day's rows.
    pub today: Counts,
    /// The rows of earlier days that waited: those that the earlier builds counted as `end`.
    pub carried: Counts,
}

impl Task for Build {
    const NAME: &'static str = "build";
    const ABOUT: &'static str = "Factors and labels of the main series of one trading day";
    type Params = Params;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn run(params: Params, inputs: Inputs, outputs: Outputs, job: &Job) -> Result<()> {
        let day: Day = job.axis("day")?;
        let entry = inputs.entry.read()?;
        let state = inputs.state.as_ref().map(InputJson::read).transpose()?;
        check_state(&entry, state.as_ref())?;
        let mut engine = Engine::new(&params, &inputs.spec.read()?, &entry.contract)?;
        if let Some(state) = &state {
            engine.restore(state).with_context(|| format!("going on from {}", state.day))?;
        }
        let ticks = Ticks::read(inputs.ticks.path())?;
        check_ticks(&ticks, &entry, day).with_context(|| format!("{}", inputs.ticks.path().display()))?;
        rows(&ticks, entry.segment).for_each(|row| engine.update(&row));
        let built = engine.finish()?;
        job.metric("rows", built.features.len() as f64);
        write(&built, &params, day, &outputs)
    }
}

fn write(built: &Built, params: &Params, day: Day, outputs: &Outputs) -> Result<()> {
    write_features(outputs.features.path(), &built.features, &built.listing)?;
    write_labels(outputs.labels.path(), &built.labels.lines, &params.horizons)?;
    outputs.factors.write(&built.listing)?;
    outputs.state.write(&built.state)?;
    let pairs = built.labels.today.iter().zip(&built.labels.carried);
    let counts = pairs.map(|(today, carried)| HorizonCounts { today: today.clone(), carried: carried.clone() });
    outputs.counts.write(&DayCounts {
        day,
        rows: built.features.len() as u64,
        incomplete: built.features.incomplete(),
        horizons: params.horizons.iter().copied().zip(counts).collect(),
    })
}

/// The state is there exactly where the schedule says that the segment continues, and it is of that day.
fn check_state(entry: &Entry, state: Option<&State>) -> Result<()> {
    match (entry.previous, state) {
        (None, None) => Ok(()),
        (Some(day), None) => bail!("the segment continues from {day}, but the input `state` is not there"),
        (None, Some(state)) => bail!("a segment begins on this day, but there is a state, of {}", state.day),
        (Some(day), Some(state)) if (state.day, state.segment) == (day, entry.segment) => Ok(()),
        (Some(day), Some(state)) => {
            bail!("the state is of {} (segment {}), not of {day} (segment {})", state.day, state.segment, entry.segment)
        }
    }
}

fn check_ticks(ticks: &Ticks, entry: &Entry, day: Day) -> Result<()> {
    let Some(main) = &ticks.main else { bail!("these rows are no main series: they have no segment") };
    if let Some(other) = ticks.trading_day.iter().find(|other| **other != day) {
        bail!("a row is of {other}, not of {day}");
    }
    if main.segment_id.iter().any(|segment| *segment != entry.segment) {
        bail!("a row is not of segment {}", entry.segment);
    }
    if main.underlying_contract.iter().any(|contract| **contract != *entry.contract) {
        bail!("a row is not of {}", entry.contract);
    }
    Ok(())
}

fn rows(ticks: &Ticks, segment: i32) -> impl Iterator<Item = Row> {
    (0..ticks.len()).filter_map(|index| ticks.row(index)).map(move |tick| Row::from_tick(&tick, segment))
}
