//! Lists of switches, `rolls/<variety>.json`.

use std::path::Path;

use anyhow::Context as _;
use ghtrader_kit::Result;
use ghtrader_market::{Day, Switch};
use serde::Deserialize;

/// One switch as the file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    /// The first trading day of the new contract.
    date: Day,
    from: String,
    to: String,
    /// The closes of the two contracts on the day before: for people.
    #[serde(default, rename = "oldclse")]
    _old_close: Option<f64>,
    #[serde(default, rename = "newclose")]
    _new_close: Option<f64>,
}

/// The switches of a variety; `None` where the folder has no file of it.
pub(crate) fn read(folder: &Path, variety: &str) -> Result<Option<Vec<Switch>>> {
    let path = folder.join(format!("{variety}.json"));
    if !path.exists() {
        return Ok(None);
    }
    let text = fs_err::read_to_string(&path)?;
    let lines: Vec<Line> = serde_json::from_str(&text)
        .with_context(|| format!("rolls/{variety}.json is not a list of {{date, from, to, oldclse, newclose}}"))?;
    Ok(Some(lines.into_iter().map(|line| Switch { day: line.date, from: line.from, to: line.to }).collect()))
}
