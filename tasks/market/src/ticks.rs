//! The canonical tick table: columns of one symbol, in the order of time.

use std::ops::Range;
use std::sync::Arc;

use crate::row_hash::RowHasher;
use crate::{Day, Error, Result};

/// Levels of the book in the canonical table; those that a market does not have are null.
pub const LEVELS: usize = 5;
/// Value columns of the canonical table: six of the trade, four of each level.
pub const VALUES: usize = 6 + 4 * LEVELS;
/// The values of one row in the order of [`value_names`]; NaN is null.
pub type Values = [f64; VALUES];

/// The names of the value columns in their order: `last_price`, `highest`, `lowest`, `volume`, `amount`,
/// `open_interest`, then `bid_price1`, `bid_volume1`, `ask_price1`, `ask_volume1`, and so on to level 5.
pub fn value_names() -> [String; VALUES] {
    const TRADE: [&str; 6] = ["last_price", "highest", "lowest", "volume", "amount", "open_interest"];
    const LEVEL: [&str; 4] = ["bid_price", "bid_volume", "ask_price", "ask_volume"];
    std::array::from_fn(|column| match TRADE.get(column) {
        Some(name) => (*name).to_owned(),
        None => format!("{}{}", LEVEL[(column - 6) % 4], (column - 6) / 4 + 1),
    })
}

/// One row.
#[derive(Clone, Debug)]
pub struct Tick {
    /// The trading day it belongs to.
    pub trading_day: Day,
    /// UTC nanoseconds.
    pub datetime_ns: i64,
    /// The values; NaN is null.
    pub values: Values,
}

/// One level of the book, a column each; prices in money, volumes in lots; NaN is null.
#[derive(Clone, Debug, Default)]
pub struct Level {
    /// Best, second best, … bid.
    pub bid_price: Vec<f64>,
    /// Lots there.
    pub bid_volume: Vec<f64>,
    /// Best, second best, … ask.
    pub ask_price: Vec<f64>,
    /// Lots there.
    pub ask_volume: Vec<f64>,
}

impl Level {
    fn columns(&self) -> [&Vec<f64>; 4] {
        [&self.bid_price, &self.bid_volume, &self.ask_price, &self.ask_volume]
    }

    fn columns_mut(&mut self) -> [&mut Vec<f64>; 4] {
        [&mut self.bid_price, &mut self.bid_volume, &mut self.ask_price, &mut self.ask_volume]
    }
}

/// The columns that the main series has beside those of a contract.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MainColumns {
    /// The contract that the row comes from.
    pub underlying_contract: Vec<Arc<str>>,
    /// Its segment; never decreasing.
    pub segment_id: Vec<i32>,
    /// Hash of the day's entry of the schedule.
    pub schedule_hash: Vec<Arc<str>>,
}

/// Ticks of one symbol. All columns have the same length; NaN is null.
#[derive(Clone, Debug, Default)]
pub struct Ticks {
    /// The symbol of every row: `SHFE.cu2203`, or `KQ.m@SHFE.cu` for a main series.
    pub symbol: String,
    /// Trading day.
    pub trading_day: Vec<Day>,
    /// UTC nanoseconds, strictly increasing.
    pub datetime_ns: Vec<i64>,
    /// Last traded price.
    pub last_price: Vec<f64>,
    /// Highest price of the day so far.
    pub highest: Vec<f64>,
    /// Lowest price of the day so far.
    pub lowest: Vec<f64>,
    /// Lots traded in the day so far.
    pub volume: Vec<f64>,
    /// Money traded in the day so far.
    pub amount: Vec<f64>,
    /// Open interest in lots.
    pub open_interest: Vec<f64>,
    /// The book, best level first.
    pub book: [Level; LEVELS],
    /// Only in a main series.
    pub main: Option<MainColumns>,
}

impl Ticks {
    /// An empty table of a contract.
    pub fn new(symbol: impl Into<String>) -> Self {
        Self { symbol: symbol.into(), ..Self::default() }
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.datetime_ns.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.datetime_ns.is_empty()
    }

    /// The value columns in the order of [`value_names`].
    pub fn columns(&self) -> [&Vec<f64>; VALUES] {
        let trade = [&self.last_price, &self.highest, &self.lowest, &self.volume, &self.amount, &self.open_interest];
        let mut all = trade.into_iter().chain(self.book.iter().flat_map(Level::columns));
        // The iterator has exactly as many items as the array; the filler is never used.
        std::array::from_fn(|_| all.next().unwrap_or(&self.last_price))
    }

    /// Calls `each` with every value column and its index, in the order of [`value_names`].
    pub fn for_each_column(&mut self, mut each: impl FnMut(usize, &mut Vec<f64>)) {
        let trade = [
            &mut self.last_price,
            &mut self.highest,
            &mut self.lowest,
            &mut self.volume,
            &mut self.amount,
            &mut self.open_interest,
        ];
        let book = self.book.iter_mut().flat_map(Level::columns_mut);
        trade.into_iter().chain(book).enumerate().for_each(|(index, column)| each(index, column));
    }

    /// Adds a row to a table without main columns.
    pub fn push(&mut self, tick: &Tick) {
        self.trading_day.push(tick.trading_day);
        self.datetime_ns.push(tick.datetime_ns);
        self.for_each_column(|index, column| column.push(tick.values[index]));
    }

    /// One row; `None` beyond the last.
    pub fn row(&self, index: usize) -> Option<Tick> {
        let (trading_day, datetime_ns) = (*self.trading_day.get(index)?, *self.datetime_ns.get(index)?);
        let values = self.columns().map(|column| column.get(index).copied().unwrap_or(f64::NAN));
        Some(Tick { trading_day, datetime_ns, values })
    }

    /// The hash of each row as a row of `contract`; [`RowHashes::of`](crate::RowHashes::of) has them all in one.
    pub fn row_hashes(&self, contract: &str) -> impl Iterator<Item = u64> {
        self.row_hashes_of(contract, 0..self.len())
    }

    /// Those of a range of rows, which has to lie in the table.
    pub(crate) fn row_hashes_of(&self, contract: &str, rows: Range<usize>) -> impl Iterator<Item = u64> {
        let mut hasher = RowHasher::new(contract);
        let (days, stamps) = (&self.trading_day[rows.clone()], &self.datetime_ns[rows.clone()]);
        let columns = self.columns();
        days.iter().zip(stamps).zip(rows).map(move |((day, stamp), row)| {
            hasher.hash(*day, *stamp, columns.iter().map(|column| column.get(row).copied().unwrap_or(f64::NAN)))
        })
    }

    /// The rows of a range as a table of their own; what lies beyond the last row is left out.
    #[must_use]
    pub fn slice(&self, rows: Range<usize>) -> Self {
        let rows = rows.start.min(self.len())..rows.end.min(self.len());
        let rows = rows.start.min(rows.end)..rows.end;
        let columns = self.columns().map(|column| column[rows.clone()].to_vec());
        let mut part = Self {
            symbol: self.symbol.clone(),
            trading_day: self.trading_day[rows.clone()].to_vec(),
            datetime_ns: self.datetime_ns[rows.clone()].to_vec(),
            main: self.main.as_ref().map(|main| main.slice(rows)),
            ..Self::default()
        };
        let mut columns = columns.into_iter();
        part.for_each_column(|_, column| *column = columns.next().unwrap_or_default());
        part
    }

    /// Adds the rows of another table of the same symbol at the end.
    ///
    /// # Errors
    /// Where the symbols differ, or only one of the tables has main columns.
    pub fn append(&mut self, other: &Self) -> Result<()> {
        if self.symbol != other.symbol {
            return Err(Error::Symbols { symbol: self.symbol.clone(), other: other.symbol.clone() });
        }
        match (&mut self.main, &other.main) {
            (None, None) => {}
            (Some(main), Some(more)) => main.append(more),
            _ => return Err(Error::Shape("one is a main series, the other is not".to_owned())),
        }
        self.trading_day.extend_from_slice(&other.trading_day);
        self.datetime_ns.extend_from_slice(&other.datetime_ns);
        let columns = other.columns();
        self.for_each_column(|index, column| column.extend_from_slice(columns[index]));
        Ok(())
    }
}

impl MainColumns {
    /// The same contract, segment and hash for a number of rows.
    pub fn repeat(rows: usize, contract: &str, segment: i32, hash: &str) -> Self {
        Self {
            underlying_contract: vec![Arc::from(contract); rows],
            segment_id: vec![segment; rows],
            schedule_hash: vec![Arc::from(hash); rows],
        }
    }

    fn slice(&self, rows: Range<usize>) -> Self {
        Self {
            underlying_contract: self.underlying_contract[rows.clone()].to_vec(),
            segment_id: self.segment_id[rows.clone()].to_vec(),
            schedule_hash: self.schedule_hash[rows].to_vec(),
        }
    }

    fn append(&mut self, other: &Self) {
        self.underlying_contract.extend_from_slice(&other.underlying_contract);
        self.segment_id.extend_from_slice(&other.segment_id);
        self.schedule_hash.extend_from_slice(&other.schedule_hash);
    }
}
