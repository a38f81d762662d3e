//! The synthetic market: SHFE-shaped five-level ticks of copper, gold and silver, invented from a seed.
//!
//! A day of a variety follows from (seed, variety, day) alone, so days can be invented in any order and a market that
//! grows by a day leaves the earlier ones as they were. Two things are simulated: [`path`], the hidden fair price of the
//! variety event by event, with the pressure that drives it; and [`book`], what each contract's book shows of them. All
//! transcendental functions are `libm`'s, so that the bytes do not depend on the machine. The README states the model.

mod arrivals;
mod book;
mod defects;
mod path;
mod profile;
mod rng;

use std::collections::BTreeMap;

use anyhow::ensure;
use ghtrader_kit::Result;
use ghtrader_market::{Cause, SyntheticCell, TicksSpec};

use crate::Raw;
use profile::Profile;
use rng::Rng;

/// An invented day of a variety.
#[derive(Debug)]
pub struct Invented {
    /// The rows, contract after contract, with the planted defects among them.
    pub rows: Vec<Raw>,
    /// What was planted, by contract.
    pub planted: BTreeMap<String, Planted>,
}

/// Defects planted in one contract's day: cleaning has to find exactly these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Planted {
    /// Identical rows.
    pub duplicates: u64,
    /// Rows with the stamp of the true row that follows, and other values.
    pub replaced: u64,
    /// Rows to be quarantined.
    pub quarantined: BTreeMap<Cause, u64>,
}

/// Invents a day.
///
/// # Errors
/// For a variety other than cu, au and ag, or one without sessions; for parameters beyond reason.
pub fn invent(cell: &SyntheticCell, spec: &TicksSpec) -> Result<Invented> {
    ensure!((100..=1_000_000).contains(&cell.rows), "`synthetic.rows` is {}: it should be 100 to 1000000", cell.rows);
    ensure!((0.0..=3.0).contains(&cell.strength), "`synthetic.strength` is {}: it should be 0 to 3", cell.strength);
    let calendar = spec.calendar()?;
    let profile = Profile::of(spec)?;
    let age = trading_days(&calendar, cell)?;
    let events = arrivals::events(cell, spec, &calendar)?;
    let path = path::path(cell, &profile, &events, age);
    let mut invented = Invented { rows: Vec::new(), planted: BTreeMap::new() };
    for contract in profile::contracts(cell, spec, &profile, age)? {
        let mut rng = Rng::of(cell, &["book", &contract.symbol]);
        let clean = book::rows(&contract, &profile, &path, cell, &mut rng);
        let (rows, planted) = defects::plant(&clean, &mut Rng::of(cell, &["defects", &contract.symbol]));
        invented.rows.extend(rows);
        invented.planted.insert(contract.symbol, planted);
    }
    for (index, row) in invented.rows.iter_mut().enumerate() {
        row.line = index as u64 + 1;
    }
    Ok(invented)
}

/// Trading days between the market's first day and the cell's.
fn trading_days(calendar: &ghtrader_market::Calendar, cell: &SyntheticCell) -> Result<u32> {
    let mut age = 0;
    let mut day = cell.first_day;
    while day < cell.day {
        day = calendar.next(day);
        age += 1;
    }
    ensure!(day == cell.day, "the synthetic day {} is no trading day from {} on", cell.day, cell.first_day);
    Ok(age)
}
