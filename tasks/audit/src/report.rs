//! Findings of cells and days, summed up.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context as _;
use ghtrader_check_main::MainChecks;
use ghtrader_check_ticks::{CellChecks, Check, Finding, Severity};
use ghtrader_kit::Result;
use ghtrader_ledger::{Ledger, State};
use ghtrader_market::{Calendar, Clock, Day};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// By contract and trading day, the part of the minutes in which there is a row: 0 to 1.
pub type Coverage = BTreeMap<String, BTreeMap<Day, f64>>;

/// The output `report`: one variety.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// `cu`.
    pub variety: String,
    /// Whether all is well: no error, and where that is demanded no warning.
    pub green: bool,
    /// Errors, each case counted.
    pub errors: u64,
    /// Warnings, each case counted.
    pub warnings: u64,
    /// Rows looked at, of the contracts.
    pub rows: u64,
    /// Rows looked at, of the main series.
    pub main_rows: u64,
    /// What was found, errors first.
    pub findings: Vec<Summed>,
    /// Trading days between the first and the last on which no contract has a row.
    pub missing: Vec<Day>,
    /// By contract, the trading days on which it should have ticks, as the ledger says, and there are none.
    pub lacking: BTreeMap<String, Vec<Day>>,
    /// What was looked at; 0 where there is no row.
    pub coverage: Coverage,
}

/// All cases of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Summed {
    /// What does not hold.
    pub check: Check,
    /// How bad that is.
    pub severity: Severity,
    /// How often.
    pub count: u64,
    /// In how many places: (contract, day), cells, days of the main series.
    pub places: u64,
    /// Each place with its first case.
    pub cases: Vec<String>,
}

/// So many cases of a check are listed; all are counted.
const LISTED: usize = 100;

impl Report {
    /// Sums up.
    ///
    /// # Errors
    /// Where the holiday list is damaged.
    pub fn of(
        variety: String,
        cells: &[CellChecks],
        main: &[MainChecks],
        clock: &Clock,
        ledger: Option<&Ledger>,
        strict: bool,
    ) -> Result<Self> {
        let mut sums = Sums::default();
        let mut coverage = Coverage::new();
        let mut rows = 0;
        for cell in cells {
            sums.add(&format!("cell {}", cell.cell), &cell.findings);
            for day in &cell.days {
                sums.add(&format!("{} {}", day.contract, day.day), &day.findings);
                rows += day.rows;
                let covered = coverage.entry(day.contract.clone()).or_default().entry(day.day).or_default();
                // Two cells may hold a part of one day each.
                *covered = f64::max(*covered, day.coverage);
            }
        }
        for day in main {
            sums.add(&format!("main series of {}", day.day), &day.findings);
        }
        let with_rows = cells.iter().flat_map(|cell| &cell.days).filter(|day| day.rows > 0).map(|day| day.day);
        let calendar = Calendar::new(clock)?;
        let missing = missing(&with_rows.collect(), &calendar);
        for day in &missing {
            sums.missing(&day.to_string(), 1, "no contract has a row".to_owned());
        }
        let lacking = ledger.map_or_else(BTreeMap::new, |ledger| lacking(ledger, &calendar));
        for (contract, days) in &lacking {
            let further: Vec<&Day> = days.iter().filter(|day| !missing.contains(day)).collect();
            if let Some(first) = further.first() {
                let what = format!("no ticks on {} of its trading days, from {first}", further.len());
                sums.missing(contract, further.len() as u64, what);
            }
        }
        for (place, what) in thin(&coverage) {
            let finding = Finding { check: Check::Thin, severity: Check::Thin.severity(), count: 1, first: what };
            sums.add(&place, &[finding]);
        }
        if rows == 0 {
            let what =
                "there is not one row: do `exchange` and `files` in market.yaml say what the files hold?".to_owned();
            let finding = Finding { check: Check::Missing, severity: Severity::Error, count: 1, first: what };
            sums.add(&variety, &[finding]);
        }
        let of = |severity| sums.0.values().filter(|sum| sum.severity == severity).map(|sum| sum.count).sum::<u64>();
        let (errors, warnings) = (of(Severity::Error), of(Severity::Warning));
        Ok(Self {
            variety,
            green: errors == 0 && !(strict && warnings > 0),
            errors,
            warnings,
            rows,
            main_rows: main.iter().map(|day| day.rows).sum(),
            findings: sums.into_list(),
            missing,
            lacking,
            coverage,
        })
    }
}

#[derive(Default)]
struct Sums(BTreeMap<(Check, Severity), Summed>);

impl Sums {
    fn add(&mut self, place: &str, findings: &[Finding]) {
        for Finding { check, severity, count, first } in findings {
            let none = || Summed { check: *check, severity: *severity, count: 0, places: 0, cases: Vec::new() };
            let sum = self.0.entry((*check, *severity)).or_insert_with(none);
            sum.count += count;
            sum.places += 1;
            if sum.cases.len() < LISTED {
                sum.cases.push(format!("{place}: {first}"));
            }
        }
    }

    fn missing(&mut self, place: &str, count: u64, first: String) {
        let (check, severity) = (Check::Missing, Check::Missing.severity());
        self.add(place, &[Finding { check, severity, count, first }]);
    }

    fn into_list(self) -> Vec<Summed> {
        let mut list: Vec<Summed> = self.0.into_values().collect();
        list.sort_by_key(|sum| std::cmp::Reverse(sum.severity));
        list
    }
}

/// The trading days between the first and the last of these that are not among them.
fn missing(days: &BTreeSet<Day>, calendar: &Calendar) -> Vec<Day> {
    let mut missing = Vec::new();
    for (from, to) in days.iter().zip(days.iter().skip(1)) {
        let mut day = calendar.next(*from);
        while day < *to {
            missing.push(day);
            day = calendar.next(day);
        }
    }
    missing
}

/// The best covered contract of a day has rows in at least this part of the minutes …
const BEST: f64 = 0.5;
/// … and a contract on each day in at least this part of the minutes that it mostly has rows in …
const USUAL: f64 = 0.25;
/// … where that is known of so many days, and is more than a row now and then.
const KNOWN: (usize, f64) = (4, 0.2);

/// Days that may have been cut off: places, each with what is known of it.
fn thin(coverage: &Coverage) -> Vec<(String, String)> {
    let percent = |part: f64| format!("{:.1} % of the minutes", 100.0 * part);
    let mut thin = Vec::new();
    let mut best: BTreeMap<Day, f64> = BTreeMap::new();
    for (contract, days) in coverage {
        let mut parts: Vec<f64> = days.values().copied().collect();
        parts.sort_by(f64::total_cmp);
        let median = parts[parts.len() / 2];
        let usual = parts.len() >= KNOWN.0 && median > KNOWN.1;
        for (day, part) in days {
            let most = best.entry(*day).or_default();
            *most = most.max(*part);
            if usual && *part < USUAL * median {
                let what = format!("rows in {}, and mostly in {}", percent(*part), percent(median));
                thin.push((format!("{contract} {day}"), what));
            }
        }
    }
    for (day, part) in best.into_iter().filter(|(_, part)| *part < BEST) {
        thin.push((day.to_string(), format!("the contract with the most rows has some in {}", percent(part))));
    }
    thin
}

/// By contract, the days that a ledger misses.
fn lacking(ledger: &Ledger, calendar: &Calendar) -> BTreeMap<String, Vec<Day>> {
    let mut lacking = BTreeMap::new();
    for (name, contract) in &ledger.contracts {
        let mut days = Vec::new();
        for span in contract.spans.iter().filter(|span| span.state == State::Missing) {
            let mut day = span.from;
            while day <= span.to {
                days.push(day);
                day = calendar.next(day);
            }
        }
        if !days.is_empty() {
            lacking.insert(name.clone(), days);
        }
    }
    lacking
}

/// What a gather holds: a JSON file of `T` for each instance, in the order of their names.
pub(crate) fn gather<T: DeserializeOwned>(folder: &Path) -> Result<Vec<T>> {
    let mut paths = Vec::new();
    for instance in fs_err::read_dir(folder)? {
        for file in fs_err::read_dir(instance?.path())? {
            paths.push(file?.path());
        }
    }
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let text = fs_err::read_to_string(path)?;
        serde_json::from_str(&text).with_context(|| format!("{} is not what a check writes", path.display()))
    };
    paths.iter().map(read).collect()
}
