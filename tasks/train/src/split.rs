//! Walk-forward splits with purge and embargo (López de Prado, *Advances in Financial Machine Learning*, ch. 7): train
//! strictly before test. Pure: it sees days, positions and times of rows, no features and no labels.

use std::ops::Range;

use anyhow::{Result, ensure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::data::Row;
use crate::params::{Params, Window};

/// With fewer splits by days than this, splits are made by blocks of rows.
const MIN_DAY_SPLITS: usize = 2;
/// A train part with fewer rows than this is no train part.
const MIN_TRAIN_ROWS: usize = 100;

/// What a split's parts are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Whole trading days.
    Days,
    /// Blocks of rows: there were too few days.
    Rows,
}

/// What a reader of the splits has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// Fewer splits than wanted, or splits by blocks of rows.
    SplitsReduced,
    /// Splits are by blocks of rows.
    RowBlocks,
    /// An embargo of days was wanted; blocks of rows have none beyond the purge.
    EmbargoNotApplied,
}

/// One split: ranges of indices into the labelled rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Rows trained on, purge and embargo taken off.
    pub train: Range<usize>,
    /// Rows predicted.
    pub test: Range<usize>,
    /// Rows purged between them.
    pub purged: usize,
    /// Rows of embargo days.
    pub embargoed: usize,
}

/// All splits of a data set, in order of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What they are made of.
    pub unit: Unit,
    /// The splits; at least one.
    pub splits: Vec<Split>,
    /// What to know of them.
    pub flags: Vec<Flag>,
}

/// Splits `rows` (in order of time).
///
/// By days where they allow two splits or more: with D days and k splits every test part has max(1, ⌊(D − embargo) /
/// (k + 1)⌋) days and the last ends with the data. Otherwise the same by blocks of rows.
///
/// # Errors
/// Where there are too few rows for one split.
pub fn walk_forward(rows: &[Row], params: &Params) -> Result<Plan> {
    let wanted = (params.splits as usize).max(1);
    let days = day_ranges(rows);
    let embargo = params.embargo_days as usize;
    let possible = days.len().saturating_sub(1 + embargo);
    let mut plan = Plan { unit: Unit::Days, splits: Vec::new(), flags: Vec::new() };
    if possible >= MIN_DAY_SPLITS {
        plan.splits = by_days(rows, &days, wanted.min(possible), params);
    }
    if plan.splits.len() < MIN_DAY_SPLITS {
        plan = Plan { unit: Unit::Rows, splits: by_rows(rows, wanted, params), flags: vec![Flag::RowBlocks] };
        if embargo > 0 {
            plan.flags.push(Flag::EmbargoNotApplied);
        }
    }
    ensure!(
        !plan.splits.is_empty(),
        "{} labelled rows are too few: a split needs {MIN_TRAIN_ROWS} rows to train on after a purge of {} rows",
        rows.len(),
        params.purge_rows()
    );
    if plan.splits.len() < wanted || plan.unit == Unit::Rows {
        plan.flags.insert(0, Flag::SplitsReduced);
    }
    Ok(plan)
}

/// The ranges of equal trading day.
fn day_ranges(rows: &[Row]) -> Vec<Range<usize>> {
    let mut start = 0;
    rows.chunk_by(|left, right| left.day == right.day)
        .map(|day| {
            let range = start..start + day.len();
            start = range.end;
            range
        })
        .collect()
}

fn by_days(rows: &[Row], days: &[Range<usize>], count: usize, params: &Params) -> Vec<Split> {
    let embargo = params.embargo_days as usize;
    let length = ((days.len() - embargo) / (count + 1)).max(1);
    let first_train = days.len() - count * length - embargo;
    (0..count)
        .filter_map(|index| {
            let test_day = days.len() - (count - index) * length;
            let train_day = match params.window {
                Window::Expanding => 0,
                Window::Rolling => test_day - embargo - first_train,
            };
            let test = days[test_day].start..days[test_day + length - 1].end;
            let train = days[train_day].start..days[test_day - embargo - 1].end;
            purged(rows, train, test, params.purge_rows())
        })
        .collect()
}

fn by_rows(rows: &[Row], wanted: usize, params: &Params) -> Vec<Split> {
    let splits = |count: usize| {
        let length = rows.len() / (count + 1);
        let first_train = rows.len() - count * length;
        (0..count).filter_map(move |index| {
            let test = rows.len() - (count - index) * length..rows.len() - (count - index - 1) * length;
            let start = match params.window {
                Window::Expanding => 0,
                Window::Rolling => test.start - first_train,
            };
            purged(rows, start..test.start, test, params.purge_rows())
        })
    };
    // Few rows carry fewer splits: the largest number whose splits are all long enough.
    (1..=wanted)
        .rev()
        .map(|count| (count, splits(count).collect::<Vec<_>>()))
        .find(|(count, made)| made.len() == *count)
        .map(|(_, made)| made)
        .unwrap_or_default()
}

/// Takes off the end of `train` what knows of `test`: rows fewer than `purge` rows before it, and rows whose label ends
/// in it or later. None where too little is left.
fn purged(rows: &[Row], train: Range<usize>, test: Range<usize>, purge: usize) -> Option<Split> {
    let first = rows.get(test.start)?;
    let knows = |row: &Row| row.position + purge >= first.position || row.end_ns >= first.datetime_ns;
    let end = train.clone().find(|&index| knows(&rows[index])).unwrap_or(train.end);
    let split = Split { purged: train.end - end, embargoed: test.start - train.end, train: train.start..end, test };
    (split.train.len() >= MIN_TRAIN_ROWS && !split.test.is_empty()).then_some(split)
}

#[cfg(test)]
mod tests {
    use super::{Flag, Plan, Unit, walk_forward};
    use crate::data::Row;
    use crate::params::{Params, Window};

    /// `days` days of `length` rows, one a second; labels end `horizon` rows later.
    fn rows(days: i32, length: i32, horizon: i64) -> Vec<Row> {
        (0..days * length)
            .map(|index| {
                let second = i64::from(index) * 1_000_000_000;
                Row {
                    day: 19_000 + index / length,
                    row: index % length,
                    position: index as usize,
                    datetime_ns: second,
                    end_ns: second + horizon * 1_000_000_000,
                    label: 1,
                    bid: 1.0,
                    ask: 2.0,
                    exit_bid: 1.0,
                    exit_ask: 2.0,
                }
            })
            .collect()
    }

    fn ranges(plan: &Plan) -> Vec<(usize, usize, usize, usize)> {
        plan.splits.iter().map(|split| (split.train.start, split.train.end, split.test.start, split.test.end)).collect()
    }

    #[test]
    fn five_splits_of_eleven_days_end_with_the_data() {
        let params = Params { horizon: 3, ..Params::default() };
        let plan = walk_forward(&rows(11, 200, 3), &params).unwrap();
        assert_eq!((plan.unit, plan.flags.len()), (Unit::Days, 0));
        // ⌊11/6⌋ = 1 day a test; three rows (197, 198, 199 of the day) purged before each.
        let expected: Vec<_> = (6..11).map(|day| (0, day * 200 - 3, day * 200, day * 200 + 200)).collect();
        assert_eq!(ranges(&plan), expected);
    }

    #[test]
    fn no_train_label_ends_in_the_test_part() {
        for window in [Window::Expanding, Window::Rolling] {
            for purge in [None, Some(0)] {
                let params = Params { horizon: 50, window, purge, embargo_days: 1, ..Params::default() };
                let rows = rows(14, 150, 50);
                for split in walk_forward(&rows, &params).unwrap().splits {
                    let first = rows[split.test.start];
                    assert!(rows[split.train.clone()].iter().all(|row| row.end_ns < first.datetime_ns));
                    assert_eq!(split.embargoed, 150);
                    assert_eq!(split.train.end + split.purged + split.embargoed, split.test.start);
                }
            }
        }
    }

    #[test]
    fn a_rolling_window_keeps_its_length() {
        let params = Params { horizon: 1, window: Window::Rolling, ..Params::default() };
        let plan = walk_forward(&rows(12, 100, 1), &params).unwrap();
        assert_eq!(ranges(&plan)[0], (0, 199, 200, 400));
        assert_eq!(ranges(&plan)[4], (800, 999, 1000, 1200));
    }

    #[test]
    fn few_days_give_fewer_splits_and_very_few_give_blocks_of_rows() {
        let params = Params { horizon: 10, ..Params::default() };
        let four = walk_forward(&rows(4, 200, 10), &params).unwrap();
        assert_eq!((four.unit, four.splits.len(), four.flags), (Unit::Days, 3, vec![Flag::SplitsReduced]));
        let two = walk_forward(&rows(2, 3000, 10), &params).unwrap();
        assert_eq!((two.unit, two.splits.len()), (Unit::Rows, 5));
        assert_eq!(two.flags, [Flag::SplitsReduced, Flag::RowBlocks]);
        assert_eq!(ranges(&two)[0], (0, 990, 1000, 2000));
        // 450 rows at a purge of 100 carry one split of 225 rows: with two, the first would train on 50.
        let long = Params { horizon: 100, ..Params::default() };
        assert_eq!(ranges(&walk_forward(&rows(1, 450, 100), &long).unwrap()), [(0, 125, 225, 450)]);
        assert!(walk_forward(&rows(1, 150, 10), &params).is_err());
    }
}
