//! What is known of each contract at the close of each day.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use ghtrader_kit::Result;
use ghtrader_market::{CellIndex, Contract, Day, DayIndex};

use crate::Params;

/// One contract on one day.
#[derive(Clone, Debug, PartialEq)]
pub struct Close {
    /// The contract, taken apart.
    pub contract: Contract,
    /// The cell that holds its ticks.
    pub cell: String,
    /// Open interest at the close, in lots; `None` where the day session had none.
    pub oi: Option<u64>,
    /// Lots traded in the day.
    pub volume: f64,
    /// Whether any of the levels 2 to 5 was there.
    pub l5_present: bool,
}

/// By day, and by contract within a day. Only contracts with ticks on that day are there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts(pub BTreeMap<Day, BTreeMap<String, Close>>);

impl Facts {
    /// The facts of all cells, within the days that the parameters name.
    ///
    /// # Errors
    /// Where two cells hold the same contract and day, or an open interest is no whole number.
    pub fn new(cells: &[CellIndex], params: &Params) -> Result<Self> {
        let mut facts = Self::default();
        for cell in cells {
            for index in cell.rows.iter().filter(|index| index.rows > 0 && params.covers(index.day)) {
                facts.add(&cell.cell, index)?;
            }
        }
        Ok(facts)
    }

    fn add(&mut self, cell: &str, index: &DayIndex) -> Result<()> {
        let DayIndex { contract, day, .. } = index;
        let close = Close {
            contract: Contract::parse(contract)?,
            cell: cell.to_owned(),
            oi: index.close_oi.map(|oi| whole(oi).with_context(|| format!("{contract} on {day}"))).transpose()?,
            volume: index.volume.unwrap_or(0.0),
            l5_present: index.l5_present,
        };
        if let Some(other) = self.0.entry(*day).or_default().insert(contract.clone(), close) {
            bail!(
                "the cells `{}` and `{cell}` both hold {contract} on {day}: a contract's day belongs to one cell; \
                 put both files into one, in the order of time, or name only one of them in `files` of market.yaml",
                other.cell
            );
        }
        Ok(())
    }
}

impl Close {
    /// A contract of which nothing is known but its name.
    ///
    /// # Errors
    /// Where it is no contract.
    pub(crate) fn named(contract: &str) -> Result<Self> {
        let contract = Contract::parse(contract)?;
        Ok(Self { contract, cell: String::new(), oi: None, volume: 0.0, l5_present: false })
    }
}

impl Params {
    fn covers(&self, day: Day) -> bool {
        self.from.is_none_or(|from| day >= from) && self.to.is_none_or(|to| day <= to)
    }
}

/// Open interest as the integer that it is: rules compare exactly.
fn whole(oi: f64) -> Result<u64> {
    // 2⁵³: up to here every whole number is a double.
    if oi.fract() != 0.0 || !(0.0..9e15).contains(&oi) {
        bail!("an open interest of {oi} is no number of lots: roll rules compare whole lots");
    }
    Ok(oi as u64)
}
