//! Kind `fetch`: the historical ticks of one contract and trading day, from a source, as a file that `ingest` reads; or
//! the marker that there are none.
//!
//! The (contract, day) is the unit: what is interrupted begins it anew. Within it, a connection that breaks costs nothing
//! but the way back: the next attempt goes on after the last tick that came. It knows no calendar but that of market.yaml,
//! and does not look at what a tick says: `ingest` does.

use anyhow::{Context as _, ensure};
use ghtrader_kit::{Job, OutputFolder, OutputJson, Result, Task};
use ghtrader_market::{Calendar, Contract, Day, MarketFile, NoData};
use ghtrader_provider::{Guarded, Origin, Provider, Source, SourceInputs, TickFile, Window, compress};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The kind.
pub struct Fetch;

/// What a flow says with `with`.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Params {
    /// Where from
    pub source: Source,
}

/// What it writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outputs {
    /// <contract>.<day>.csv.gz and source.json; or no_data.<source>.json alone, or not_yet.<source>.json where there may be data yet
    ticks: OutputFolder,
    /// [{contract, day, reason}] where there is no data, else []
    #[schemars(extend("path" = "no_data.json"))]
    no_data: OutputJson<Vec<NoData>>,
}

impl Task for Fetch {
    const NAME: &'static str = "fetch";
    const ABOUT: &'static str = "Historical ticks of a contract and trading day from a source, or that it has none";
    type Params = Params;
    type Inputs = SourceInputs;
    type Outputs = Outputs;

    fn run(params: Params, inputs: SourceInputs, outputs: Outputs, job: &Job) -> Result<()> {
        let (contract, day): (String, Day) = (job.axis("contract")?, job.axis("day")?);
        let market = MarketFile::read(inputs.market.path())?;
        // A source may well have contracts that this market does not.
        market.ticks_of(&Contract::parse(&contract)?)?;
        let window = Window::of_day(&contract, day, &market.clock())?;
        let calendar = Calendar::new(&market.clock())?;
        ensure!(calendar.is_trading_day(day), "{day} is no trading day of this market");
        // What comes later would never be asked for again, where there are ticks already.
        let now = i64::try_from(jiff::Timestamp::now().as_nanosecond())?;
        ensure!(now >= window.to_ns, "the trading day {day} is not over yet: fetch it afterwards, or record it live");
        let mut source = inputs.open(&params.source, &market)?;
        let fetched = fetch(&mut source, &window, day, &outputs);
        source.health().report(source.breaker(), job);
        let origin = fetched.with_context(|| format!("{contract} of {day}"))?;
        // A source may put the history of a day together overnight, or on the next trading day.
        let settled = now >= Window::of_day("", calendar.next(day), &market.clock())?.to_ns;
        let mut no_data = Vec::new();
        if origin.rows == 0 {
            let (file, reason) = if settled {
                ("no_data", "has no ticks of it")
            } else {
                ("not_yet", "has no ticks of it yet; it is asked again")
            };
            let marker = NoData { contract, day, to: None, reason: format!("{} {reason}", origin.source) };
            let text = serde_json::to_string_pretty(&[&marker])? + "\n";
            fs_err::write(outputs.ticks.path().join(format!("{file}.{}.json", origin.source)), text)?;
            no_data.extend(settled.then_some(marker));
        }
        outputs.no_data.write(&no_data)
    }
}

/// Fetches into a file; without rows there is none.
fn fetch(source: &mut Guarded<Box<dyn Provider>>, window: &Window, day: Day, outputs: &Outputs) -> Result<Origin> {
    let mut origin = Origin::new(source.name(), source.tier(), &window.contract, day);
    let path = outputs.ticks.path().join(format!("{}.{day}.csv.gz", window.contract));
    let mut file = TickFile::begin(compress(std::io::BufWriter::new(fs_err::File::create(&path)?)))?;
    source.history(window, &mut |tick| {
        origin.count(&tick);
        Ok(file.push(&tick)?)
    })?;
    let writer = file.finish()?.finish()?;
    writer.into_inner().context("the end of the file")?;
    if origin.rows == 0 {
        fs_err::remove_file(&path)?;
    } else {
        origin.write(&outputs.ticks.path().join("source.json"))?;
    }
    Ok(origin)
}
