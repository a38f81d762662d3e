//! Kind `trading-day`: which trading day is to be recorded now, and which earlier ones were recorded and never handed over.
//!
//! A flow gives `record` an axis over these. It looks at the clock and into the spool, so its task says `cache: false`.

use std::path::PathBuf;

use ghtrader_kit::{InputFile, Job, OutputJson, Result, Task};
use ghtrader_market::{Calendar, Day, MarketFile};
use ghtrader_provider::{left_over, spool_of};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The kind.
pub struct TradingDay;

/// What a flow says with `with`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The market folder, from which the spool has its name
    pub root: String,
    /// The folder for what is being recorded; by default spool/ in the project
    #[serde(default)]
    pub spool: Option<PathBuf>,
    /// The files of the market folder, among them the recorded ones: `${{ files(params.market ~ '/**') }}`
    #[serde(default)]
    pub files: Vec<String>,
    /// Another day than that of the clock
    #[serde(default)]
    pub day: Option<Day>,
}

/// What it reads.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// market.yaml
    market: InputFile,
}

/// What it writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outputs {
    /// [day], ascending, the present one last
    #[schemars(extend("path" = "days.json"))]
    days: OutputJson<Vec<Day>>,
}

impl Task for TradingDay {
    const NAME: &'static str = "trading-day";
    const ABOUT: &'static str =
        "The trading day that is to be recorded now, and those that a killed recorder has left over";
    type Params = Params;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn run(params: Params, inputs: Inputs, outputs: Outputs, _: &Job) -> Result<()> {
        let calendar = Calendar::new(&MarketFile::read(inputs.market.path())?.clock())?;
        let now = i64::try_from(jiff::Timestamp::now().as_nanosecond())?;
        let today = params.day.unwrap_or_else(|| calendar.trading_day(now));
        let folder = format!("{}/recorded/", params.root.trim_end_matches('/'));
        let published = |day: Day| params.files.iter().any(|file| file.starts_with(&format!("{folder}{day}/")));
        let mut days = left_over(&spool_of(params.spool.as_deref(), &params.root)?, today, published)?;
        days.push(today);
        outputs.days.write(&days)
    }
}
