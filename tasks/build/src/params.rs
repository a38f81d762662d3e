//! What `with` may say to `build`.

use std::collections::BTreeSet;

use anyhow::bail;
use ghtrader_kit::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::row::LEVELS;

/// The longest window, in rows: some days of a busy market, and a bound on the carried state.
const LONGEST: usize = 100_000;

/// Factors and labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Label horizons in rows, ascending.
    pub horizons: Vec<usize>,
    /// A move of this many ticks or more is up or down.
    pub k: u32,
    /// Whether windows and labels may reach from one trading day into the next.
    pub cross_day: CrossDay,
    /// No window and no label bridges a longer time between two rows, in milliseconds; null: any.
    pub max_gap_ms: Option<u64>,
    /// A row stamped up to this long after a session's close still belongs to it, in milliseconds. Other rows outside the
    /// sessions (auctions, after the close) are no events: no features, no labels, and windows do not count them.
    pub grace_ms: u32,
    /// The factors.
    pub factors: FactorParams,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            horizons: vec![10, 50, 200],
            k: 1,
            cross_day: CrossDay::SameSegment,
            max_gap_ms: None,
            grace_ms: 5_000,
            factors: FactorParams::default(),
        }
    }
}

/// Whether windows and labels may reach from one trading day into the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CrossDay {
    /// Where both days belong to one segment.
    SameSegment,
    /// Never.
    Never,
}

/// Which factors, with which parameters. Empty lists, `false` and null leave a factor out.
///
/// Levels beyond those of the market are left out, not padded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FactorParams {
    /// Spread in ticks.
    pub spread: bool,
    /// Mid price.
    pub mid: bool,
    /// Weighted mid.
    pub microprice: bool,
    /// Weighted mid less mid, in ticks.
    pub microprice_gap: bool,
    /// Imbalance of the volumes of single levels.
    pub imbalance: PerLevel,
    /// Imbalance over all levels.
    pub imbalance_weighted: Option<Decay>,
    /// Volume of the best so many levels of each side.
    pub depth: PerLevel,
    /// Slope of each side of the book.
    pub slope: bool,
    /// Whether a side of the book is missing.
    pub one_sided: bool,
    /// Order-flow imbalance of the best level.
    pub ofi: PerWindow,
    /// Order-flow imbalance of single levels.
    pub mlofi: PerLevelAndWindow,
    /// Log returns of the mid.
    pub returns: PerWindow,
    /// Realised volatility of the mid.
    pub volatility: PerWindow,
    /// Lots traded.
    pub volume: PerWindow,
    /// Mid less the day's VWAP, in ticks.
    pub vwap_day: bool,
    /// Mid less the VWAP of a window, in ticks.
    pub vwap: PerWindow,
    /// Imbalance of buyers' and sellers' trades.
    pub trade_imbalance: PerWindow,
    /// Mean milliseconds between rows.
    pub interval: PerWindow,
    /// Time of session.
    pub session: bool,
}

impl Default for FactorParams {
    fn default() -> Self {
        let windows = |windows: &[usize]| PerWindow { windows: windows.to_vec() };
        Self {
            spread: true,
            mid: true,
            microprice: true,
            microprice_gap: true,
            imbalance: PerLevel { levels: vec![1, 2, 3, 4, 5] },
            imbalance_weighted: Some(Decay { decay: 0.5 }),
            depth: PerLevel { levels: vec![1, 5] },
            slope: true,
            one_sided: true,
            ofi: windows(&[1, 10, 50, 200]),
            mlofi: PerLevelAndWindow { levels: vec![2, 3, 4, 5], windows: vec![10, 50] },
            returns: windows(&[1, 10, 50, 200]),
            volatility: windows(&[50, 200]),
            volume: windows(&[10, 50, 200]),
            vwap_day: true,
            vwap: windows(&[50, 200]),
            trade_imbalance: windows(&[10, 50, 200]),
            interval: windows(&[10, 50]),
            session: true,
        }
    }
}

/// Levels, 1 to 5, each a column (or one for each side).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PerLevel {
    /// Levels, ascending.
    pub levels: Vec<usize>,
}

/// Windows in rows, each a column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PerWindow {
    /// Windows, ascending.
    pub windows: Vec<usize>,
}

/// Levels and windows, each pair a column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PerLevelAndWindow {
    /// Levels, ascending.
    pub levels: Vec<usize>,
    /// Windows, ascending.
    pub windows: Vec<usize>,
}

/// Weights of levels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Decay {
    /// Weight of a level relative to the one before it: above 0, at most 1.
    pub decay: f64,
}

impl Params {
    /// Checks what the types leave open.
    ///
    /// # Errors
    /// Names the parameter and what it may be.
    pub fn check(&self) -> Result<()> {
        ascending("horizons", &self.horizons, LONGEST)?;
        if self.horizons.is_empty() {
            bail!("`horizons` is empty: name at least one, in rows");
        }
        if self.k == 0 {
            bail!("`k` is 0: a move of no tick would be up and down at once; use 1 or more");
        }
        self.factors.check()
    }
}

impl FactorParams {
    fn check(&self) -> Result<()> {
        for (name, levels) in [("imbalance", &self.imbalance.levels), ("depth", &self.depth.levels)] {
            ascending(&format!("factors.{name}.levels"), levels, LEVELS)?;
        }
        ascending("factors.mlofi.levels", &self.mlofi.levels, LEVELS)?;
        let windows = [
            ("ofi", &self.ofi.windows),
            ("mlofi", &self.mlofi.windows),
            ("returns", &self.returns.windows),
            ("volatility", &self.volatility.windows),
            ("volume", &self.volume.windows),
            ("vwap", &self.vwap.windows),
            ("trade_imbalance", &self.trade_imbalance.windows),
            ("interval", &self.interval.windows),
        ];
        for (name, windows) in windows {
            ascending(&format!("factors.{name}.windows"), windows, LONGEST)?;
        }
        match self.imbalance_weighted {
            Some(Decay { decay }) if !(decay > 0.0 && decay <= 1.0) => {
                bail!("`factors.imbalance_weighted.decay` is {decay}: it lies above 0 and is at most 1")
            }
            _ => Ok(()),
        }
    }
}

fn ascending(name: &str, values: &[usize], most: usize) -> Result<()> {
    let sorted: BTreeSet<usize> = values.iter().copied().collect();
    if !sorted.iter().eq(values) {
        bail!("`{name}` is {values:?}: values ascend, each once");
    }
    if let Some(bad) = values.iter().find(|value| !(1..=most).contains(*value)) {
        bail!("`{name}` has {bad}: values lie between 1 and {most}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_what_is_not_is_named() {
        Params::default().check().unwrap();
        let bad = [
            (r#"{"horizons": []}"#, "horizons"),
            (r#"{"horizons": [50, 10]}"#, "ascend"),
            (r#"{"horizons": [0]}"#, "between 1"),
            (r#"{"k": 0}"#, "`k`"),
            (r#"{"factors": {"ofi": {"windows": [10, 10]}}}"#, "factors.ofi.windows"),
            (r#"{"factors": {"depth": {"levels": [6]}}}"#, "between 1 and 5"),
            (r#"{"factors": {"imbalance_weighted": {"decay": 0.0}}}"#, "decay"),
        ];
        for (text, word) in bad {
            let error = serde_json::from_str::<Params>(text).unwrap().check().unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
        assert!(serde_json::from_str::<Params>(r#"{"factors": {"ofy": {}}}"#).is_err(), "unknown fields are errors");
    }
}
