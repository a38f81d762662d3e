//! The registry of factors: what each is called, its version, formula, source and missing-data policy.
//!
//! A changed formula is a new version. The hash of a factor set covers ids, versions, parameters and the order of the
//! columns, and goes with every file of features, so a model can refuse features that it was not trained on.

use serde::Serialize;
use serde_json::{Value, json};

use crate::factors::book::{self, Weighted};
use crate::factors::clock::TimeOfSession;
use crate::factors::flow::Ofi;
use crate::factors::price::{Interval, Returns, Volatility};
use crate::factors::trade::{self, TradeImbalance, Volume, Vwap};
use crate::factors::{Factor, PerLevel, Plain, Step};
use crate::params::{CrossDay, FactorParams, Params};

/// What a factor does where its input is missing. Windows give null until they are full, whatever the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// The value is null.
    Null,
    /// The window passes over the row; null where it holds no row with a value.
    Skip,
    /// The missing part counts as zero.
    Zero,
}

/// One entry of the registry.
pub(crate) struct Definition {
    /// Its name in parameters.
    pub(crate) id: &'static str,
    /// One more at every change of what it computes.
    pub(crate) version: u32,
    /// The formula, per column.
    pub(crate) formula: &'static str,
    /// Where it comes from.
    pub(crate) source: &'static str,
    /// Missing-data policy.
    pub(crate) missing: Missing,
    /// The factor under these parameters on a market with so many levels; `None` where it is left out.
    make: fn(&FactorParams, usize) -> Option<Made>,
}

/// A factor ready to run.
struct Made {
    columns: Vec<String>,
    parameters: Value,
    factor: Box<dyn Factor>,
}

/// All factors, in the order of their columns.
pub(crate) const FACTORS: [Definition; 19] = [
    Definition {
        id: "spread",
        version: 1,
        formula: "(ask1 − bid1) / tick",
        source: "elementary",
        missing: Missing::Null,
        make: |p, _| plain(p.spread, "spread", book::spread),
    },
    Definition {
        id: "mid",
        version: 1,
        formula: "(bid1 + ask1) / 2",
        source: "elementary",
        missing: Missing::Null,
        make: |p, _| plain(p.mid, "mid", book::mid),
    },
    Definition {
        id: "microprice",
        version: 1,
        formula: "(Qb·ask1 + Qa·bid1) / (Qb + Qa); the mid where Qb = Qa = 0",
        source: "weighted mid, as compared with in Stoikov 2018, The micro-price, section 2",
        missing: Missing::Null,
        make: |p, _| plain(p.microprice, "microprice", book::microprice),
    },
    Definition {
        id: "microprice_gap",
        version: 1,
        formula: "(microprice − mid) / tick",
        source: "as microprice",
        missing: Missing::Null,
        make: |p, _| plain(p.microprice_gap, "microprice_gap", book::microprice_gap),
    },
    Definition {
        id: "imbalance",
        version: 1,
        formula: "(Qb_l − Qa_l) / (Qb_l + Qa_l) of level l; 0 where both are 0",
        source: "elementary",
        missing: Missing::Null,
        make: |p, levels| per_level(&p.imbalance.levels, levels, &["imbalance"], &[book::imbalance]),
    },
    Definition {
        id: "imbalance_weighted",
        version: 1,
        formula: "Σ w_l(Qb_l − Qa_l) / Σ w_l(Qb_l + Qa_l), w_l = decay^(l−1), over levels with both sides",
        source: "elementary; a choice of weights",
        missing: Missing::Skip,
        make: imbalance_weighted,
    },
    Definition {
        id: "depth",
        version: 1,
        formula: "Σ_{j≤l} Q_j of each side, over the levels that are there",
        source: "elementary",
        missing: Missing::Skip,
        make: |p, levels| {
            per_level(&p.depth.levels, levels, &["depth_bid", "depth_ask"], &[book::depth_bid, book::depth_ask])
        },
    },
    Definition {
        id: "slope",
        version: 1,
        formula: "least-squares slope of Σ_{j≤l} Q_j on |P_l − mid| / tick over the levels of a side, lots per tick",
        source: "a choice; elasticity of the book in the sense of Næs and Skjeltorp 2006",
        missing: Missing::Skip,
        make: slope,
    },
    Definition {
        id: "one_sided",
        version: 1,
        formula: "1 where bid1 or ask1 is missing, else 0",
        source: "elementary; the flag that ofi needs",
        missing: Missing::Zero,
        make: |p, _| plain(p.one_sided, "one_sided", book::one_sided),
    },
    Definition {
        id: "ofi",
        version: 1,
        formula: "Σ e_n over w transitions, e = Qb·1{Pb ≥ Pb'} − Qb'·1{Pb ≤ Pb'} − Qa·1{Pa ≤ Pa'} + Qa'·1{Pa ≥ Pa'}",
        source: "Cont, Kukanov, Stoikov 2014, J. Financial Econometrics 12(1), section 2",
        missing: Missing::Zero,
        make: |p, _| windowed(&p.ofi.windows, "ofi", |windows| Box::new(Ofi::new(&[1], windows))),
    },
    Definition {
        id: "mlofi",
        version: 1,
        formula: "ofi of level l",
        source: "Xu, Gould, Howison 2018, arXiv 1907.06230, section 3",
        missing: Missing::Zero,
        make: mlofi,
    },
    Definition {
        id: "returns",
        version: 1,
        formula: "ln(mid_t / mid_{t−w})",
        source: "elementary",
        missing: Missing::Null,
        make: |p, _| windowed(&p.returns.windows, "return", |windows| Box::new(Returns::new(windows))),
    },
    Definition {
        id: "volatility",
        version: 1,
        formula: "√Σ r² of the one-row log returns in w transitions",
        source: "realised volatility, Andersen et al. 2003, in event time, not scaled",
        missing: Missing::Skip,
        make: |p, _| windowed(&p.volatility.windows, "volatility", |windows| Box::new(Volatility::new(windows))),
    },
    Definition {
        id: "volume",
        version: 1,
        formula: "lots traded in w transitions",
        source: "elementary",
        missing: Missing::Skip,
        make: |p, _| windowed(&p.volume.windows, "volume", |windows| Box::new(Volume::new(windows))),
    },
    Definition {
        id: "vwap_day",
        version: 1,
        formula: "(mid − amount / volume / multiplier) / tick of the day so far",
        source: "elementary",
        missing: Missing::Null,
        make: |p, _| plain(p.vwap_day, "vwap_day", trade::vwap_day),
    },
    Definition {
        id: "vwap",
        version: 1,
        formula: "(mid − Δamount / Δvolume / multiplier) / tick of w transitions; null where nothing traded",
        source: "elementary",
        missing: Missing::Skip,
        make: |p, _| windowed(&p.vwap.windows, "vwap", |windows| Box::new(Vwap::new(windows))),
    },
    Definition {
        id: "trade_imbalance",
        version: 1,
        formula: "Σ s·Δvolume / Σ Δvolume of w transitions, s = ±1: last above or below the mid before, at it the tick rule",
        source: "Lee, Ready 1991, J. Finance 46(2), on snapshots",
        missing: Missing::Skip,
        make: |p, _| {
            windowed(&p.trade_imbalance.windows, "trade_imbalance", |windows| Box::new(TradeImbalance::new(windows)))
        },
    },
    Definition {
        id: "interval",
        version: 1,
        formula: "(t − t_{−w}) / w, milliseconds",
        source: "elementary",
        missing: Missing::Null,
        make: |p, _| windowed(&p.interval.windows, "interval", |windows| Box::new(Interval::new(windows))),
    },
    Definition {
        id: "session",
        version: 1,
        formula: "share of the day's trading time passed; seconds since the session opened; seconds until it closes",
        source: "the variety's sessions",
        missing: Missing::Null,
        make: session,
    },
];

fn plain(on: bool, name: &str, value: fn(&Step) -> f64) -> Option<Made> {
    on.then(|| Made { columns: vec![name.to_owned()], parameters: json!({}), factor: Box::new(Plain(value)) })
}

type LevelColumn = fn(&crate::row::Row, usize) -> f64;

fn per_level(wanted: &[usize], levels: usize, names: &[&str], columns: &'static [LevelColumn]) -> Option<Made> {
    let levels = present(wanted, levels)?;
    let names = levels.iter().flat_map(|level| names.iter().map(move |name| format!("{name}_{level}"))).collect();
    let parameters = json!({ "levels": levels });
    Some(Made { columns: names, parameters, factor: Box::new(PerLevel { levels, columns }) })
}

fn windowed(windows: &[usize], name: &str, make: fn(&[usize]) -> Box<dyn Factor>) -> Option<Made> {
    let columns: Vec<String> = windows.iter().map(|window| format!("{name}_{window}")).collect();
    let parameters = json!({ "windows": windows });
    (!columns.is_empty()).then(|| Made { columns, parameters, factor: make(windows) })
}

/// The wanted levels that the market has; `None` where that leaves nothing.
fn present(wanted: &[usize], levels: usize) -> Option<Vec<usize>> {
    let kept: Vec<usize> = wanted.iter().copied().filter(|level| *level <= levels).collect();
    (!kept.is_empty()).then_some(kept)
}

fn imbalance_weighted(params: &FactorParams, levels: usize) -> Option<Made> {
    // With one level it would be imbalance_1 once more.
    let decay = params.imbalance_weighted.filter(|_| levels > 1)?.decay;
    Some(Made {
        columns: vec!["imbalance_weighted".to_owned()],
        parameters: json!({ "decay": decay, "levels": levels }),
        factor: Box::new(Weighted { decay, levels }),
    })
}

fn slope(params: &FactorParams, levels: usize) -> Option<Made> {
    let columns = vec!["slope_bid".to_owned(), "slope_ask".to_owned()];
    (params.slope && levels > 1).then(|| Made {
        columns,
        parameters: json!({ "levels": levels }),
        factor: Box::new(book::Slope { levels }),
    })
}

fn mlofi(params: &FactorParams, levels: usize) -> Option<Made> {
    let windows = &params.mlofi.windows;
    let levels = present(&params.mlofi.levels, levels).filter(|_| !windows.is_empty())?;
    let columns = levels.iter().flat_map(|l| windows.iter().map(move |w| format!("mlofi_{l}_{w}"))).collect();
    let parameters = json!({ "levels": levels, "windows": windows });
    Some(Made { columns, parameters, factor: Box::new(Ofi::new(&levels, windows)) })
}

fn session(params: &FactorParams, _: usize) -> Option<Made> {
    let columns = ["session_elapsed", "session_since_open", "session_to_close"].map(str::to_owned).to_vec();
    params.session.then(|| Made { columns, parameters: json!({}), factor: Box::new(TimeOfSession) })
}

/// The factors of a build, ready to run.
pub(crate) struct FactorSet {
    /// What they are: the output `factors`.
    pub(crate) listing: Listing,
    /// Their ids with the factors themselves, in the order of the columns.
    pub(crate) factors: Vec<(&'static str, Box<dyn Factor>)>,
}

/// The output `factors`: what the columns of `features` are.
#[derive(Clone, Debug, Serialize)]
pub struct Listing {
    /// BLAKE3 of all that follows, formulas and sources aside.
    pub hash: String,
    /// The feature columns in order.
    pub features: Vec<String>,
    /// Levels of the market's book.
    pub levels: usize,
    /// Whether windows reach from one day into the next.
    pub cross_day: CrossDay,
    /// The gap that ends windows.
    pub max_gap_ms: Option<u64>,
    /// How long after a session's close a row still belongs to it.
    pub grace_ms: u32,
    /// The factors in order.
    pub factors: Vec<Listed>,
}

/// One factor of a listing.
#[derive(Clone, Debug, Serialize)]
pub struct Listed {
    /// Its name in parameters.
    pub id: &'static str,
    /// Version of its formula.
    pub version: u32,
    /// Parameters, after levels that the market lacks were left out.
    pub parameters: Value,
    /// Its columns.
    pub columns: Vec<String>,
    /// Missing-data policy.
    pub missing: Missing,
    /// Formula.
    pub formula: &'static str,
    /// Where it comes from.
    pub source: &'static str,
}

impl FactorSet {
    /// The factors that the parameters ask for on a market with so many levels.
    pub(crate) fn new(params: &Params, levels: usize) -> Self {
        let (mut listed, mut factors) = (Vec::new(), Vec::new());
        for definition in &FACTORS {
            let Some(made) = (definition.make)(&params.factors, levels) else { continue };
            let Definition { id, version, formula, source, missing, .. } = *definition;
            let (parameters, columns) = (made.parameters, made.columns);
            listed.push(Listed { id, version, parameters, columns, missing, formula, source });
            factors.push((id, made.factor));
        }
        let Params { cross_day, max_gap_ms, grace_ms, .. } = *params;
        let features = listed.iter().flat_map(|factor| factor.columns.iter().cloned()).collect();
        let mut listing =
            Listing { hash: String::new(), features, levels, cross_day, max_gap_ms, grace_ms, factors: listed };
        listing.hash = listing.content_hash();
        Self { listing, factors }
    }
}

impl Listing {
    fn content_hash(&self) -> String {
        let factors: Vec<Value> =
            self.factors.iter().map(|f| json!([f.id, f.version, f.parameters, f.columns, f.missing])).collect();
        let all = json!([self.levels, self.cross_day, self.max_gap_ms, self.grace_ms, factors]);
        blake3::hash(all.to_string().as_bytes()).to_hex().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(params: &Params, levels: usize) -> Vec<String> {
        FactorSet::new(params, levels).listing.features
    }

    #[test]
    fn names_are_unique_and_a_market_of_one_level_has_no_deeper_column() {
        let params = Params::default();
        let (one, five) = (features(&params, 1), features(&params, 5));
        let unique: std::collections::BTreeSet<_> = five.iter().collect();
        assert_eq!(unique.len(), five.len());
        assert_eq!((one.len(), five.len()), (32, 49));
        assert!(one.iter().all(|name| five.contains(name)));
        let deeper = ["imbalance_2", "imbalance_5", "imbalance_weighted", "depth_bid_5", "slope_ask", "mlofi_2_10"];
        for name in deeper {
            assert!(five.iter().any(|feature| feature == name), "{name}");
            assert!(!one.iter().any(|feature| feature == name), "{name}");
        }
    }

    #[test]
    fn the_hash_follows_parameters_levels_and_windows() {
        let hash = |params: &Params, levels| FactorSet::new(params, levels).listing.hash;
        let params = Params::default();
        let mut others = vec![params.clone(), params.clone(), params.clone(), params.clone()];
        others[0].factors.ofi.windows = vec![1, 10, 50, 100];
        others[1].factors.imbalance_weighted = None;
        others[2].max_gap_ms = Some(60_000);
        others[3].cross_day = CrossDay::Never;
        for other in &others {
            assert_ne!(hash(other, 5), hash(&params, 5));
        }
        assert_ne!(hash(&params, 1), hash(&params, 5));
        let labels = Params { horizons: vec![7], k: 3, ..params.clone() };
        assert_eq!(hash(&labels, 5), hash(&params, 5), "labels are no factors");
    }
}
