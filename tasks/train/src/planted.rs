//! A small data set with a planted signal, for tests: features, quotes and labels of trading days as `build` writes
//! them. `signal` drives the mid's next move; `echo` is its noisy copy, `noise…` know nothing.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Date32Array, Float64Array, Int8Array, Int32Array, Int64Array};
use ghtrader_kit::Result;

use crate::random::SplitMix64;
use crate::table::{self, day_text};

/// First trading day: 2022-02-14, in days since 1970-01-01.
const FIRST_DAY: i32 = 19_037;
const HALF_SECOND: i64 = 500_000_000;

/// What to plant.
#[derive(Clone, Copy, Debug)]
pub struct Planted {
    /// Trading days.
    pub days: i32,
    /// Rows of a day.
    pub rows: usize,
    /// Label horizon in rows.
    pub horizon: usize,
    /// How strongly `signal` moves the mid; 0: not at all.
    pub strength: f64,
    /// Features that know nothing.
    pub noise: usize,
    /// Seed.
    pub seed: u64,
}

impl Default for Planted {
    fn default() -> Self {
        Self { days: 8, rows: 600, horizon: 5, strength: 0.8, noise: 3, seed: 1 }
    }
}

impl Planted {
    /// Writes `features/day=…/features.parquet` and `labels/day=…/labels.parquet` into `folder`.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let mut draw = SplitMix64::new(self.seed);
        let total = self.days.unsigned_abs() as usize * self.rows;
        let signal: Vec<f64> = (0..total).map(|_| draw.normal()).collect();
        let mids = self.mids(&signal, &mut draw);
        for day in 0..self.days {
            let rows = day.unsigned_abs() as usize * self.rows..(day.unsigned_abs() as usize + 1) * self.rows;
            self.write_features(folder, day, rows.clone(), &signal, &mids, &mut draw)?;
            self.write_labels(folder, day, rows, &mids)?;
        }
        Ok(())
    }

    /// Half-tick mids: each row's move is the signal's sign with a probability that its strength gives, or none.
    fn mids(&self, signal: &[f64], draw: &mut SplitMix64) -> Vec<i64> {
        let mut mid = 20_000;
        signal
            .iter()
            .map(|value| {
                let now = mid;
                let push = self.strength * value + draw.normal();
                mid += if push > 1.0 {
                    2
                } else if push < -1.0 {
                    -2
                } else {
                    0
                };
                now
            })
            .collect()
    }

    fn write_features(
        &self,
        folder: &Path,
        day: i32,
        rows: std::ops::Range<usize>,
        signal: &[f64],
        mids: &[i64],
        draw: &mut SplitMix64,
    ) -> Result<()> {
        let count = rows.len();
        let float = |values: Vec<Option<f64>>| -> ArrayRef { Arc::new(Float64Array::from(values)) };
        // The signal of the rows to come up to the horizon is what can be known of the label.
        let known = |index: usize| -> f64 { signal[index..signal.len().min(index + self.horizon)].iter().sum() };
        let names: Vec<String> = (0..self.noise).map(|number| format!("noise{number}")).collect();
        let mut columns: Vec<(&str, ArrayRef)> = self.plain(day, &rows);
        columns.push(("bid_price1", float(rows.clone().map(|index| Some(bid(mids[index]))).collect())));
        columns.push(("ask_price1", float(rows.clone().map(|index| Some(bid(mids[index]) + 1.0)).collect())));
        columns.push(("signal", float(rows.clone().map(|index| Some(known(index))).collect())));
        // Every seventh value is missing.
        let echo = |index: usize| (!index.is_multiple_of(7)).then(|| 100.0 + 5.0 * known(index));
        columns
            .push(("echo", float(rows.clone().map(|index| echo(index).map(|value| value + draw.normal())).collect())));
        for name in &names {
            columns.push((name, float((0..count).map(|_| Some(draw.normal())).collect())));
        }
        let path = folder.join(format!("features/day={}", day_text(FIRST_DAY + day)));
        fs_err::create_dir_all(&path)?;
        table::write(&path.join("features.parquet"), columns)
    }

    /// As `build` does it: a day's file has the labels that end in the day, those of the day before's tail included.
    fn write_labels(&self, folder: &Path, day: i32, rows: std::ops::Range<usize>, mids: &[i64]) -> Result<()> {
        let ends = rows.start.saturating_sub(self.horizon)..rows.end - self.horizon;
        let whole = ends.clone().map(|index| (index, mids[index], mids[index + self.horizon]));
        let moves: Vec<(usize, i64, i64)> = whole.collect();
        let horizon = self.horizon;
        let names = ["label", "end_ns", "exit_bid", "exit_ask"].map(|name| format!("{name}_{horizon}"));
        let float = |plus: f64| -> ArrayRef {
            Arc::new(Float64Array::from_iter_values(moves.iter().map(|(_, _, exit)| bid(*exit) + plus)))
        };
        let columns: Vec<(&str, ArrayRef)> = vec![
            (
                "trading_day",
                Arc::new(Date32Array::from_iter_values(moves.iter().map(|(at, ..)| FIRST_DAY + self.day_of(*at)))),
            ),
            ("row", Arc::new(Int32Array::from_iter_values(moves.iter().map(|(at, ..)| (at % self.rows) as i32)))),
            ("datetime_ns", Arc::new(Int64Array::from_iter_values(moves.iter().map(|(at, ..)| self.stamp(*at))))),
            (
                &names[0],
                Arc::new(Int8Array::from_iter_values(
                    moves.iter().map(|(_, from, to)| ((to - from) / 2).signum() as i8),
                )),
            ),
            (&names[1], Arc::new(Int64Array::from_iter_values(moves.iter().map(|(at, ..)| self.stamp(at + horizon))))),
            (&names[2], float(0.0)),
            (&names[3], float(1.0)),
        ];
        let path = folder.join(format!("labels/day={}", day_text(FIRST_DAY + day)));
        fs_err::create_dir_all(&path)?;
        table::write(&path.join("labels.parquet"), columns)
    }

    fn plain(&self, day: i32, rows: &std::ops::Range<usize>) -> Vec<(&'static str, ArrayRef)> {
        let count = rows.len();
        vec![
            ("trading_day", Arc::new(Date32Array::from_value(FIRST_DAY + day, count))),
            ("row", Arc::new(Int32Array::from_iter_values((0..count).map(|row| row as i32)))),
            ("datetime_ns", Arc::new(Int64Array::from_iter_values(rows.clone().map(|index| self.stamp(index))))),
            ("segment_id", Arc::new(Int32Array::from_value(0, count))),
        ]
    }

    fn day_of(&self, index: usize) -> i32 {
        (index / self.rows) as i32
    }

    /// Rows half a second apart from 01:00 UTC of their day.
    fn stamp(&self, index: usize) -> i64 {
        let day = i64::from(FIRST_DAY + self.day_of(index));
        day * 86_400_000_000_000 + 3_600_000_000_000 + (index % self.rows) as i64 * HALF_SECOND
    }
}

/// The bid at a half-tick mid of an even number: a spread of two half-ticks, that is one tick of 1.
fn bid(mid: i64) -> f64 {
    (mid / 2) as f64 - 0.5
}
