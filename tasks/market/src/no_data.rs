//! Days of which it is known that there is nothing to be had: `no_data.yaml`, which people or a provider write.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Contract, Day, Error, Result};

/// A contract has no ticks on a day, or on the days up to `to`, and why. Who says so is not asked for it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoData {
    /// `SHFE.cu2203`.
    pub contract: String,
    /// The trading day, or the first of them.
    pub day: Day,
    /// The last of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Day>,
    /// Why: `the provider has none`, `not traded`.
    pub reason: String,
}

impl NoData {
    /// Whether it speaks of a day.
    pub fn covers(&self, day: Day) -> bool {
        (self.day..=self.to.unwrap_or(self.day)).contains(&day)
    }
}

/// Reads a list of markers: YAML, or JSON, which is YAML too. An empty file holds none.
///
/// # Errors
/// Names the file, the place in it or the marker, and what would be right.
pub fn read_no_data(path: &Path) -> Result<Vec<NoData>> {
    let wrong = |what: String| Error::Market { path: path.to_owned(), what };
    let text = fs_err::read_to_string(path)?;
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Vec::new());
    }
    let markers: Vec<NoData> = serde_saphyr::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    for (number, marker) in markers.iter().enumerate() {
        let what = match Contract::parse(&marker.contract) {
            Err(error) => error.to_string(),
            Ok(_) if marker.reason.trim().is_empty() => "`reason` is empty: say why there is nothing".to_owned(),
            Ok(_) if marker.to.is_some_and(|to| to < marker.day) => "`to` is before `day`".to_owned(),
            Ok(_) => continue,
        };
        return Err(wrong(format!("marker {} ({} {}): {what}", number + 1, marker.contract, marker.day)));
    }
    Ok(markers)
}
