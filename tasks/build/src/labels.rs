//! Event-time direction labels, `dir_event_v1`.
//!
//! h = (bid₁ + ask₁) / tick in whole half-ticks, Δ = h[i+N] − h[i]; up (1) iff Δ ≥ 2k, down (−1) iff Δ ≤ −2k, else flat
//! (0). N counts rows. A label is known N rows later, so the last rows of a day wait here, and go with the carried
//! state to the next day of the segment, which labels them.

use std::collections::{BTreeMap, VecDeque};

use ghtrader_market::{Day, TickSize};
use serde::{Deserialize, Serialize};

use crate::params::Params;
use crate::row::Row;
use crate::store::Store;

/// Why a row has no label, in the order in which causes are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Excluded {
    /// The row lies outside every session (an auction, after the close): it is no event, and rows do not count it.
    Session,
    /// A roll lies between row i and row i+N.
    Segment,
    /// The day ends before row i+N, and `cross_day` is `never`.
    Day,
    /// A gap longer than `max_gap_ms` lies between.
    Gap,
    /// One of the four quotes is missing or not above zero.
    Nan,
    /// The rows end before i+N; the next day of the segment, if there is one, labels it.
    End,
}

/// A label and the row that decided it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Label {
    /// −1 down, 0 flat, 1 up.
    pub direction: i8,
    /// Stamp of row i+N.
    pub end_ns: i64,
    /// Best bid there.
    pub exit_bid: f64,
    /// Best ask there.
    pub exit_ask: f64,
}

/// One row of the output `labels`: a label, or none, for every horizon in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Labelled {
    /// The trading day of row i.
    pub day: Day,
    /// Its number in the day, from 0.
    pub row: i32,
    /// Its stamp.
    pub ns: i64,
    /// By horizon.
    pub labels: Vec<Option<Label>>,
}

/// What became of the rows, for one horizon.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Rows, labelled and excluded together.
    pub rows: u64,
    /// Labels down.
    pub down: u64,
    /// Labels flat.
    pub flat: u64,
    /// Labels up.
    pub up: u64,
    /// Rows without a label, by cause; causes that did not occur are left out.
    pub excluded: BTreeMap<Excluded, u64>,
}

impl Counts {
    fn add(&mut self, outcome: Result<i8, Excluded>) {
        self.rows += 1;
        match outcome {
            Ok(-1) => self.down += 1,
            Ok(0) => self.flat += 1,
            Ok(_) => self.up += 1,
            Err(cause) => *self.excluded.entry(cause).or_default() += 1,
        }
    }
}

/// A row that waits for its label.
#[derive(Clone, Debug)]
struct Waiting {
    day: Day,
    row: i32,
    /// Where its line of the output is.
    line: usize,
    ns: i64,
    /// The mid in half-ticks.
    half: Option<i64>,
}

/// The rule.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    horizons: Vec<usize>,
    half_ticks: i64,
}

/// Labels rows as they come.
#[derive(Debug)]
pub(crate) struct Labels {
    rule: Rule,
    /// The last rows since the last break, at most as many as the longest horizon.
    waiting: VecDeque<Waiting>,
    lines: Vec<Labelled>,
    /// How many of the lines came with the carried state.
    carried_lines: usize,
    today: Vec<Counts>,
    carried: Vec<Counts>,
}

/// What the labels of a build are.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelTable {
    /// Earlier rows that found a label now, then every row of the new ticks.
    pub lines: Vec<Labelled>,
    /// What became of the rows of the new ticks, by horizon.
    pub today: Vec<Counts>,
    /// What became of the rows that waited, by horizon.
    pub carried: Vec<Counts>,
}

impl Labels {
    /// No rows yet.
    pub(crate) fn new(params: &Params) -> Self {
        let count = params.horizons.len();
        Self {
            rule: Rule { horizons: params.horizons.clone(), half_ticks: 2 * i64::from(params.k) },
            waiting: VecDeque::new(),
            lines: Vec::new(),
            carried_lines: 0,
            today: vec![Counts::default(); count],
            carried: vec![Counts::default(); count],
        }
    }

    /// Takes the next row, number `number` of its day.
    pub(crate) fn update(&mut self, row: &Row, number: i32, tick: TickSize) {
        let half = row.half_ticks(tick);
        let line = self.line(row, number);
        self.waiting.push_back(Waiting { day: row.day, row: number, line, ns: row.ns, half });
        for horizon in 0..self.rule.horizons.len() {
            let waiting = self.waiting.len().checked_sub(self.rule.horizons[horizon] + 1);
            let Some(start) = waiting.and_then(|at| self.waiting.get(at)) else { continue };
            let (start, outcome) = (start.line, self.rule.direction(start.half, half));
            self.count(horizon, start, outcome);
            if let (Ok(direction), Some(line)) = (outcome, self.lines.get_mut(start)) {
                let (exit_bid, exit_ask) = (row.bid().price, row.ask().price);
                line.labels[horizon] = Some(Label { direction, end_ns: row.ns, exit_bid, exit_ask });
            }
        }
        if self.waiting.len() > self.rule.longest() {
            self.waiting.pop_front();
        }
    }

    /// Takes a row that is no event.
    pub(crate) fn skip(&mut self, row: &Row, number: i32) {
        let line = self.line(row, number);
        (0..self.rule.horizons.len()).for_each(|horizon| self.count(horizon, line, Err(Excluded::Session)));
    }

    /// No label may reach over this point: what waits goes without.
    pub(crate) fn end(&mut self, cause: Excluded) {
        for horizon in 0..self.rule.horizons.len() {
            let unlabelled = self.waiting.len().saturating_sub(self.rule.horizons[horizon]);
            let lines: Vec<usize> = self.waiting.iter().skip(unlabelled).map(|waiting| waiting.line).collect();
            lines.into_iter().for_each(|line| self.count(horizon, line, Err(cause)));
        }
        self.waiting.clear();
    }

    /// The labels so far; what waits is counted as `end`. The state is that of before.
    pub(crate) fn finish(mut self) -> LabelTable {
        self.end(Excluded::End);
        let keep =
            |index: usize, line: &Labelled| index >= self.carried_lines || line.labels.iter().any(Option::is_some);
        let lines = self.lines.iter().enumerate().filter(|(index, line)| keep(*index, line));
        LabelTable { lines: lines.map(|(_, line)| line.clone()).collect(), today: self.today, carried: self.carried }
    }

    /// Writes or reads the rows that wait.
    pub(crate) fn walk(&mut self, store: &mut Store) {
        let mut count = self.waiting.len() as u64;
        store.count(&mut count);
        let blank = Waiting { day: Day(0), row: 0, line: 0, ns: 0, half: None };
        // A damaged count cannot ask for more memory than the longest horizon needs; `Store::finish` finds it wrong.
        self.waiting.resize((count as usize).min(self.rule.longest()), blank);
        self.waiting.iter_mut().for_each(|waiting| waiting.walk(store));
    }

    /// Gives every row that came with the state a line of its own. To be called once, after reading the state.
    pub(crate) fn adopt(&mut self) {
        for (line, waiting) in self.waiting.iter_mut().enumerate() {
            waiting.line = line;
            let labels = vec![None; self.rule.horizons.len()];
            self.lines.push(Labelled { day: waiting.day, row: waiting.row, ns: waiting.ns, labels });
        }
        self.carried_lines = self.lines.len();
    }

    fn line(&mut self, row: &Row, number: i32) -> usize {
        let labels = vec![None; self.rule.horizons.len()];
        self.lines.push(Labelled { day: row.day, row: number, ns: row.ns, labels });
        self.lines.len() - 1
    }

    fn count(&mut self, horizon: usize, line: usize, outcome: Result<i8, Excluded>) {
        let counts = if line < self.carried_lines { &mut self.carried } else { &mut self.today };
        counts[horizon].add(outcome);
    }
}

impl Waiting {
    fn walk(&mut self, store: &mut Store) {
        let (mut day, mut row) = (i64::from(self.day.0), i64::from(self.row));
        // Half-ticks of real prices are far from this value.
        let mut half = self.half.unwrap_or(i64::MIN);
        store.signed(&mut day);
        store.signed(&mut row);
        store.signed(&mut self.ns);
        store.signed(&mut half);
        (self.day, self.row) = (Day(day as i32), row as i32);
        self.half = (half != i64::MIN).then_some(half);
    }
}

impl Rule {
    fn longest(&self) -> usize {
        self.horizons.iter().copied().max().unwrap_or(0)
    }

    fn direction(&self, start: Option<i64>, end: Option<i64>) -> Result<i8, Excluded> {
        let change = end.zip(start).map(|(end, start)| end - start).ok_or(Excluded::Nan)?;
        Ok(i8::from(change >= self.half_ticks) - i8::from(change <= -self.half_ticks))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::row;

    fn labels(horizons: &[usize], k: u32) -> Labels {
        Labels::new(&Params { horizons: horizons.to_vec(), k, ..Params::default() })
    }

    fn tick() -> TickSize {
        TickSize::parse("10").unwrap()
    }

    /// Labels of a path of (bid, ask) in ticks.
    fn path(labels: &mut Labels, quotes: &[(i64, i64)]) {
        for (number, (bid, ask)) in quotes.iter().enumerate() {
            labels.update(&row(number as i64, *bid as f64 * 10.0, *ask as f64 * 10.0), number as i32, tick());
        }
    }

    #[test]
    fn a_move_of_exactly_k_ticks_counts() {
        let directions = |k| {
            let mut labels = labels(&[1], k);
            path(&mut labels, &[(100, 101), (101, 102), (100, 102), (101, 103), (99, 101), (99, 100)]);
            let lines = labels.finish().lines;
            lines.iter().map(|line| line.labels[0].map(|label| label.direction)).collect::<Vec<_>>()
        };
        assert_eq!(directions(1), [Some(1), Some(0), Some(1), Some(-1), Some(0), None]);
        assert_eq!(directions(2), [Some(0), Some(0), Some(0), Some(-1), Some(0), None]);
    }

    #[test]
    fn a_missing_quote_excludes_both_rows_that_need_it() {
        let mut labels = labels(&[2], 1);
        path(&mut labels, &[(100, 101), (0, 101), (100, 101), (100, 101), (100, 101)]);
        let table = labels.finish();
        assert_eq!(table.today[0].excluded, BTreeMap::from([(Excluded::Nan, 1), (Excluded::End, 2)]));
        assert_eq!((table.today[0].flat, table.today[0].rows), (2, 5));
        assert_eq!(table.lines[1].labels[0], None);
    }

    #[test]
    fn the_exit_is_the_row_that_decides() {
        let mut labels = labels(&[1, 3], 1);
        path(&mut labels, &[(100, 101), (100, 102), (100, 103), (105, 106)]);
        let first = &labels.finish().lines[0].labels;
        assert_eq!(first[0], Some(Label { direction: 0, end_ns: 1, exit_bid: 1000.0, exit_ask: 1020.0 }));
        assert_eq!(first[1], Some(Label { direction: 1, end_ns: 3, exit_bid: 1050.0, exit_ask: 1060.0 }));
    }

    #[test]
    fn every_row_is_counted_once_whatever_the_cause() {
        let mut labels = labels(&[1, 4], 1);
        path(&mut labels, &[(100, 101); 6]);
        labels.end(Excluded::Gap);
        path(&mut labels, &[(100, 101); 3]);
        labels.skip(&row(9, 0.0, 0.0), 9);
        let table = labels.finish();
        for counts in &table.today {
            assert_eq!(counts.rows, 10);
            assert_eq!(counts.down + counts.flat + counts.up + counts.excluded.values().sum::<u64>(), 10);
        }
        let expected = [(Excluded::Session, 1), (Excluded::Gap, 4), (Excluded::End, 3)];
        assert_eq!(table.today[1].excluded, BTreeMap::from(expected));
    }
}
