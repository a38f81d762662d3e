//! Kind `ledger`: of each contract and trading day of a variety, whether its ticks are there, are missing, or are known not to
//! exist.
//!
//! | module | holds |
//! |---|---|
//! | [`facts`] | what the day indexes and the tick files say of each (contract, day) |
//! | [`ledger`] | the states that follow: expected, less what is there, less what is marked as not to be had |
//! | [`text`] | the same in a few lines for people |
//!
//! It asks nobody for anything: what to do about a missing day is for a flow to say.

mod facts;
mod ledger;
mod text;

use anyhow::Context as _;
use ghtrader_kit::{InputFile, InputFolder, InputJson, Job, OutputFile, OutputJson, Result, Task};
use ghtrader_market::{Day, ListingSpec, Symbols, read_no_data};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use facts::Facts;
pub use ledger::{ContractLedger, Counts, Ledger, Missing, Span, State, Stretch, Window};
pub use text::text;

/// The kind.
pub struct KeepLedger;

/// What a flow says with `with`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Params {
    /// The first trading day (the first with ticks of the variety)
    pub from: Option<Day>,
    /// The last trading day (the last with ticks of the variety)
    pub to: Option<Day>,
    /// Varieties and contracts that are asked for; none: all
    pub symbols: Vec<String>,
}

/// What it reads.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// Which contracts there are, and from when to when
    listing: InputJson<ListingSpec>,
    /// The day indexes of the variety's cells: cell=…/index.json
    index: Option<InputFolder>,
    /// Their ticks, to be compared with the indexes: cell=…/ticks/<contract>/<trading day>.parquet
    ticks: Option<InputFolder>,
    /// Days of which it is known that there is nothing: [{contract, day, to, reason}]
    no_data: Option<InputFile>,
    /// The same, as the flow `fetch` lists what a source does not have
    fetched: Option<InputFile>,
}

/// What it writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outputs {
    /// The state of each contract and day
    #[schemars(extend("path" = "ledger.json"))]
    ledger: OutputJson<Ledger>,
    /// {contract: [day]}: what is missing, for a task that has axes over it
    #[schemars(extend("path" = "missing.json"))]
    missing: OutputJson<Missing>,
    /// The same to read
    #[schemars(extend("path" = "ledger.txt"))]
    text: OutputFile,
}

impl Task for KeepLedger {
    const NAME: &'static str = "ledger";
    const ABOUT: &'static str = "Which contracts' days are there, missing, or known not to exist";
    type Params = Params;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn run(params: Params, inputs: Inputs, outputs: Outputs, job: &Job) -> Result<()> {
        let listing = inputs.listing.read()?;
        let symbols = Symbols::parse(&params.symbols).context("parameter `symbols`")?;
        let mut markers = Vec::new();
        for file in [&inputs.no_data, &inputs.fetched].into_iter().flatten() {
            markers.extend(read_no_data(file.path())?);
        }
        let [index, ticks] = [&inputs.index, &inputs.ticks].map(|folder| folder.as_ref().map(InputFolder::path));
        let facts = Facts::read(index, ticks)?;
        let window = Window::of(params.from, params.to, &facts);
        let asked = symbols.contracts(&listing.exchange, &listing.variety);
        let asked = asked.map(|contracts| contracts.into_iter().map(ToString::to_string).collect());
        let ledger = Ledger::of(&listing, &facts, &markers, window, asked)?;
        job.metric("expected", ledger.counts.expected as f64);
        job.metric("missing", ledger.counts.missing as f64);
        fs_err::write(outputs.text.path(), text(&ledger))?;
        outputs.missing.write(&ledger.missing())?;
        outputs.ledger.write(&ledger)
    }
}
