//! What `schedule` says about one trading day, which is all that the tasks of that day read of it.
//!
//! An entry depends on the days before it alone, so a schedule that grows by a day leaves every earlier entry, and with
//! it every earlier task, as it was.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Day;

/// The schedule by trading day: the file `days.json`.
pub type Days = BTreeMap<Day, Entry>;

/// The main contract of one trading day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The main contract, `SHFE.cu2203`.
    pub contract: String,
    /// The cell of the market that holds the contract's ticks of this day.
    pub cell: String,
    /// Number of the segment: 0 at the first scheduled day, one more each time the contract changes.
    pub segment: i32,
    /// The scheduled day before this one where it is of the same segment.
    pub previous: Option<Day>,
    /// BLAKE3 of the rule, its parameters, the day, the contract and the segment, in hexadecimal.
    pub hash: String,
    /// What a reader should know about how the contract was chosen.
    pub flags: Vec<Flag>,
}

/// A remark on a scheduled day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// The main contract had no close open interest on the day of the decision; it was kept.
    OiMissing,
    /// Trading days without ticks of the contract lie between the day before in this segment and this one.
    DayMissing,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_survives_json() {
        let text = r#"{"2022-02-18":{"contract":"SHFE.cu2203","cell":"a.csv","segment":0,"previous":"2022-02-17","hash":"00","flags":["oi_missing"]}}"#;
        let days: Days = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&days).unwrap(), text);
        assert!(serde_json::from_str::<Days>(&text.replace("cell", "cel")).is_err(), "unknown fields are errors");
    }
}
