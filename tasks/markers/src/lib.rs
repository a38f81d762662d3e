//! Kind `markers`: all (contract, day) of a market of which it is known that there is no data, in one list.
//!
//! The markers of earlier runs lie in the market folder, `fetched/<contract>/<day>/no_data.<source>.json`; a flow that
//! publishes there cannot read there, so they are known by their paths. Those of this run are handed over, and so is what
//! was asked for: of that, the answers of earlier runs no longer hold.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use ghtrader_kit::{InputFolder, InputJson, Job, OutputJson, Result, Task};
use ghtrader_market::{Day, NoData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The kind.
pub struct Markers;

/// What a flow says with `with`.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Params {
    /// Markers of earlier runs: `${{ files(params.market ~ '/fetched/*/*/no_data.*.json') }}`
    pub files: Vec<String>,
}

/// What it reads.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// {contract: [day]}: what this run asks for
    asked: InputJson<BTreeMap<String, Vec<Day>>>,
    /// The outputs `no_data` of this run's `fetch`, gathered
    no_data: InputFolder,
}

/// What it writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outputs {
    /// [{contract, day, reason}] of this run
    #[schemars(extend("path" = "new.json"))]
    new: OutputJson<Vec<NoData>>,
    /// [{contract, day, reason}] of all runs
    #[schemars(extend("path" = "no_data.json"))]
    no_data: OutputJson<Vec<NoData>>,
}

impl Task for Markers {
    const NAME: &'static str = "markers";
    const ABOUT: &'static str = "All (contract, trading day) of a market of which it is known that there is no data";
    type Params = Params;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn run(params: Params, inputs: Inputs, outputs: Outputs, _: &Job) -> Result<()> {
        let mut new = Vec::new();
        let mut folders = vec![inputs.no_data.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs_err::read_dir(folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = fs_err::read_to_string(&path)?;
                let found: Vec<NoData> = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
                new.extend(found);
            }
        }
        new.sort_by(|one, other| (&one.contract, one.day).cmp(&(&other.contract, other.day)));
        let asked = inputs.asked.read()?;
        let again = |(contract, day): &(String, Day)| asked.get(contract).is_some_and(|days| days.contains(day));
        let earlier = params.files.iter().filter_map(|path| marked(path)).filter(|marker| !again(marker));
        let all: BTreeSet<(String, Day)> = new.iter().map(|it| (it.contract.clone(), it.day)).chain(earlier).collect();
        // Why is in the marker itself, which says the same whichever run reads this.
        let reason = |contract: &str, day: Day| format!("see fetched/{contract}/{day}");
        let all = all
            .into_iter()
            .map(|(contract, day)| NoData { reason: reason(&contract, day), contract, day, to: None })
            .collect();
        outputs.new.write(&new)?;
        outputs.no_data.write(&all)
    }
}

/// The contract and the day of `…/<contract>/<day>/no_data.<source>.json`.
fn marked(path: &str) -> Option<(String, Day)> {
    let mut parts = path.rsplit('/').skip(1);
    let day = parts.next()?.parse().ok()?;
    Some((parts.next()?.to_owned(), day))
}
