//! The table of features as it grows.

use ghtrader_market::Day;

use crate::row::Row;

/// One row of features per row of the main series, by column; NaN is null.
#[derive(Clone, Debug)]
pub struct Features {
    /// Trading day.
    pub day: Vec<Day>,
    /// Number of the row in its day, from 0.
    pub row: Vec<i32>,
    /// UTC nanoseconds.
    pub ns: Vec<i64>,
    /// Segment.
    pub segment: Vec<i32>,
    /// Best bid: a quote, not a feature.
    pub bid: Vec<f64>,
    /// Best ask: a quote, not a feature.
    pub ask: Vec<f64>,
    /// The feature columns in order.
    pub columns: Vec<Vec<f64>>,
}

impl Features {
    /// An empty table of so many features.
    pub(crate) fn new(features: usize) -> Self {
        Self {
            day: Vec::new(),
            row: Vec::new(),
            ns: Vec::new(),
            segment: Vec::new(),
            bid: Vec::new(),
            ask: Vec::new(),
            columns: vec![Vec::new(); features],
        }
    }

    /// Adds a row, the number of its day, and its features.
    pub(crate) fn push(&mut self, row: &Row, number: i32, values: &[f64]) {
        self.day.push(row.day);
        self.row.push(number);
        self.ns.push(row.ns);
        self.segment.push(row.segment);
        self.bid.push(row.bid().price);
        self.ask.push(row.ask().price);
        for (column, value) in self.columns.iter_mut().zip(values) {
            column.push(*value);
        }
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.ns.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ns.is_empty()
    }

    /// Rows that lack at least one feature.
    pub(crate) fn incomplete(&self) -> u64 {
        let lacks = |row: usize| self.columns.iter().any(|column| column.get(row).is_none_or(|value| value.is_nan()));
        (0..self.len()).filter(|row| lacks(*row)).count() as u64
    }
}
