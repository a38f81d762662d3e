//! A gather of day indexes, and of ticks, as the runner lays them out.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ghtrader_kit::{Bench, Done, Result};
use ghtrader_ledger::{ContractLedger, KeepLedger, Ledger, Missing, State};
use ghtrader_market::{
    Cause, CellIndex, Clock, Day, DayIndex, Expiry, Hash64, Lifetime, ListingRule, ListingSpec, Tick, TickRule,
    TickSize, Ticks, TicksSpec, VALUES,
};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) fn day(text: &str) -> Day {
    text.parse().unwrap()
}

/// Copper as SHFE lists it.
pub(crate) fn copper() -> ListingSpec {
    ListingSpec {
        variety: "cu".into(),
        exchange: "SHFE".into(),
        clock: Clock::china(),
        expiry: Some(Expiry::Fifteenth),
        rule: Some(ListingRule::nearest(12)),
        contracts: BTreeMap::new(),
    }
}

/// Copper of which nothing is known.
pub(crate) fn unknown() -> ListingSpec {
    ListingSpec { expiry: None, rule: None, ..copper() }
}

/// With stated lives.
pub(crate) fn stated(lives: &[(&str, Option<&str>, Option<&str>)]) -> ListingSpec {
    let life = |(code, listed, last): &(&str, Option<&str>, Option<&str>)| {
        ((*code).to_owned(), Lifetime { listed: listed.map(day), last: last.map(day) })
    };
    ListingSpec { contracts: lives.iter().map(life).collect(), ..unknown() }
}

pub(crate) fn spec() -> TicksSpec {
    TicksSpec {
        variety: "cu".into(),
        exchange: "SHFE".into(),
        levels: 1,
        tick: TickRule::flat(TickSize::parse("10").unwrap()),
        multiplier: 5.0,
        fractional_volume: false,
        clock: Clock::china(),
        sessions: ghtrader_market::Sessions::default(),
        ignore_columns: Vec::new(),
        close_cutoff: None,
    }
}

/// So many rows of a contract's morning.
pub(crate) fn ticks(contract: &str, on: &str, rows: usize) -> Ticks {
    let mut ticks = Ticks::new(contract);
    let trading_day = day(on);
    for row in 0..rows {
        let datetime_ns = i64::from(trading_day.0) * 86_400_000_000_000 + 3_600_000_000_000 + row as i64 * 500_000_000;
        ticks.push(&Tick { trading_day, datetime_ns, values: [70_000.0; VALUES] });
    }
    ticks
}

pub(crate) fn indexed(contract: &str, on: &str, rows: usize) -> DayIndex {
    let spec = spec();
    DayIndex::of(contract, day(on), &ticks(contract, on, rows), &spec, &spec.calendar().unwrap())
}

/// A day of which every row was put aside.
pub(crate) fn put_aside(contract: &str, on: &str) -> DayIndex {
    let none = Hash64::default();
    DayIndex {
        quarantined: [(Cause::EmptyBook, 2), (Cause::OffTick, 1)].into(),
        hash_min: none,
        ..indexed(contract, on, 0)
    }
}

/// What the kind is given.
pub(crate) struct Case {
    folder: TempDir,
    listing: ListingSpec,
    no_data: Option<String>,
    fetched: Option<String>,
    with_ticks: bool,
}

impl Case {
    pub(crate) fn new(listing: ListingSpec) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("index")).unwrap();
        Self { folder, listing, no_data: None, fetched: None, with_ticks: false }
    }

    /// A cell and its index.
    pub(crate) fn cell(self, name: &str, rows: Vec<DayIndex>) -> Self {
        let index = CellIndex { cell: name.into(), read: 0, foreign: 0, rows, quarantine: Vec::new() };
        let path = self.folder.path().join("index").join(format!("cell={name}"));
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("index.json"), serde_json::to_string(&index).unwrap()).unwrap();
        self
    }

    /// A tick file of a cell; the ticks are handed over.
    pub(crate) fn file(mut self, cell: &str, contract: &str, on: &str, rows: usize) -> Self {
        let path = self.tick_file(cell, contract, on);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        ticks(contract, on, rows).write(&path).unwrap();
        self.with_ticks = true;
        self
    }

    pub(crate) fn tick_file(&self, cell: &str, contract: &str, on: &str) -> PathBuf {
        self.folder
            .path()
            .join("ticks")
            .join(format!("cell={cell}"))
            .join("ticks")
            .join(contract)
            .join(format!("{on}.parquet"))
    }

    pub(crate) fn no_data(mut self, yaml: &str) -> Self {
        self.no_data = Some(yaml.into());
        self
    }

    /// What a source was asked for and does not have, as the flow `fetch` lists it.
    pub(crate) fn fetched(mut self, json: &str) -> Self {
        self.fetched = Some(json.into());
        self
    }

    pub(crate) fn run(&self, params: Value) -> Result<Done> {
        let mut bench = Bench::<KeepLedger>::new()?.axis("variety", "cu").input_json("listing", &self.listing)?;
        bench = bench.input("index", self.folder.path().join("index"));
        if self.with_ticks {
            bench = bench.input("ticks", self.folder.path().join("ticks"));
        }
        if let Some(yaml) = &self.no_data {
            bench = bench.input_bytes("no_data", yaml)?;
        }
        if let Some(json) = &self.fetched {
            bench = bench.input_bytes("fetched", json)?;
        }
        bench.run(params)
    }

    pub(crate) fn ledger(&self, params: Value) -> Ledger {
        let done = self.run(params).unwrap();
        let ledger: Ledger = done.json("ledger").unwrap();
        let missing: Missing = done.json("missing").unwrap();
        let listed: u64 = missing.values().map(|days| days.len() as u64).sum();
        assert_eq!(listed, ledger.counts.missing, "the list of what is missing");
        ledger
    }

    pub(crate) fn text(&self, params: Value) -> String {
        String::from_utf8(self.run(params).unwrap().bytes("text").unwrap()).unwrap()
    }
}

/// All days that are asked for.
pub(crate) fn between(from: &str, to: &str) -> Value {
    json!({ "from": from, "to": to })
}

/// State, reason, first and last day, number of days.
pub(crate) fn spans(contract: &ContractLedger) -> Vec<(State, &str, String, String, u64)> {
    let span = |span: &'_ ghtrader_ledger::Span| (span.state, span.from.to_string(), span.to.to_string(), span.days);
    let reasons = contract.spans.iter().map(|span| span.reason.as_deref().unwrap_or(""));
    contract
        .spans
        .iter()
        .map(span)
        .zip(reasons)
        .map(|((state, from, to, days), why)| (state, why, from, to, days))
        .collect()
}
