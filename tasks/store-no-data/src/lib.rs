//! Kind `store-no-data`: the days without data of a variety, as the ledger tells them, into a store.
//!
//! One task writes all of them, whatever is their reason (a marker, or that no row could be kept): so one that turns out to have
//! data is taken out. Asked before its result is trusted, it looks whether the store still holds the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use ghtrader_kit::{InputJson, Job, OutputJson, Probe, Result, Task};
use ghtrader_ledger::{Ledger, State};
use ghtrader_market::{Calendar, Day, ListingSpec};
use ghtrader_store::{Slice, Store, Stored, Table, changed, open, open_for};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The kind.
pub struct StoreNoData;

/// What a flow says with `with`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// `parquet::/data/lake`, or `questdb::http::addr=127.0.0.1:9000;`
    pub store: String,
    /// The market's name in the store: two markets may have contracts of one name
    pub market: String,
    /// The first trading day that the ledger was asked for: what is stored of days before it stays
    #[serde(default)]
    pub from: Option<Day>,
    /// The last trading day that the ledger was asked for: what is stored of days after it stays
    #[serde(default)]
    pub to: Option<Day>,
}

/// What it reads.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// `ledger.ledger` of the variety
    ledger: InputJson<Ledger>,
    /// Its exchange and calendar: `cells.specs`, `<variety>/listing`
    listing: InputJson<ListingSpec>,
}

/// What it writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outputs {
    /// The slices that the store holds of the variety now, with their row hashes
    #[schemars(extend("path" = "slices.json"))]
    slices: OutputJson<Kept>,
}

/// What the store holds of a variety.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// `SHFE.cu`.
    variety: String,
    /// A line for each (contract, day).
    slices: Vec<Stored>,
}

impl Task for StoreNoData {
    const NAME: &'static str = "store-no-data";
    const ABOUT: &'static str = "The days without data of a variety, with their reasons, into a store";
    const PROBES: bool = true;
    type Params = Params;
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn run(params: Params, inputs: Inputs, outputs: Outputs, job: &Job) -> Result<()> {
        let (ledger, listing) = (inputs.ledger.read()?, inputs.listing.read()?);
        let variety = format!("{}.{}", listing.exchange, listing.variety);
        let reasons = reasons(&ledger, &listing.calendar()?);
        let store = open_for(&params.store, &params.market)?;
        let slice = |(contract, day): &(String, Day)| Slice {
            table: Table::NoDataDays,
            market: params.market.clone(),
            symbol: contract.clone(),
            day: *day,
            variant: String::new(),
        };
        for other in others(&*store, &params, &variety, &reasons.keys().cloned().collect())? {
            store.remove(&slice(&other))?;
        }
        let mut slices = Vec::new();
        let all = reasons.len() as u64;
        for (done, (which, reason)) in (0..).zip(&reasons) {
            job.progress(done, all, &format!("{} {}", which.0, which.1));
            slices.push(store.keep(slice(which), &line(&variety, reason)?)?.0);
        }
        job.metric("slices", slices.len() as f64);
        outputs.slices.write(&Kept { variety, slices })
    }

    fn probe(params: Params, outputs: Outputs) -> Result<Probe> {
        let Kept { variety, slices } = outputs.slices.read()?;
        let store = open(&params.store)?;
        if let Some(why) = changed(&*store, &slices)? {
            return Ok(Probe::Changed { why });
        }
        let known = slices.iter().map(|stored| (stored.slice.symbol.clone(), stored.slice.day)).collect();
        let other = others(&*store, &params, &variety, &known)?.pop_first();
        Ok(other.map_or(Probe::Valid, |(contract, day)| Probe::Changed {
            why: format!("{contract} on {day} is there as a day without data, and is none"),
        }))
    }
}

/// Why each (contract, day) has no data.
fn reasons(ledger: &Ledger, calendar: &Calendar) -> BTreeMap<(String, Day), String> {
    let mut reasons = BTreeMap::new();
    for (contract, known) in &ledger.contracts {
        for span in known.spans.iter().filter(|span| span.state == State::NoData) {
            let days = (span.from.0..=span.to.0).map(Day).filter(|day| calendar.is_trading_day(*day));
            let reason = span.reason.clone().unwrap_or_default();
            reasons.extend(days.map(|day| ((contract.clone(), day), reason.clone())));
        }
    }
    reasons
}

/// Those that the store holds of the variety within the days asked for, and that are none of these.
fn others(
    store: &dyn Store,
    params: &Params,
    variety: &str,
    known: &BTreeSet<(String, Day)>,
) -> Result<BTreeSet<(String, Day)>> {
    let mut owned = store.owned(Table::NoDataDays, &params.market, variety)?;
    let asked = |day: Day| params.from.is_none_or(|from| day >= from) && params.to.is_none_or(|to| day <= to);
    owned.retain(|which| asked(which.1) && !known.contains(which));
    Ok(owned)
}

fn line(variety: &str, reason: &str) -> Result<RecordBatch> {
    let text = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text])) };
    Ok(RecordBatch::try_from_iter([("variety", text(variety)), ("reason", text(reason))])?)
}
