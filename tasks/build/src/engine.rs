//! One row in, one row of features out, and a label for the row of some rows ago.
//!
//! This is the only path: a day is the fold of [`Engine::update`] over its rows, and a state saved after any row
//! ([`Engine::save`]) and restored goes on with the same bits.

use anyhow::{Context as _, bail};
use ghtrader_kit::Result;
use ghtrader_market::{Contract, Day, TickSize, TicksSpec};

use crate::clock::SessionClock;
use crate::factors::{Market, Step};
use crate::features::Features;
use crate::labels::{Excluded, LabelTable, Labels};
use crate::params::{CrossDay, Params};
use crate::registry::{FactorSet, Listing};
use crate::row::Row;
use crate::state::{FORMAT, State};
use crate::store::Store;

/// Computes factors and labels of the main series of one contract, row by row.
pub struct Engine {
    params: Params,
    market: Market,
    tick: TickSize,
    contract: String,
    set: FactorSet,
    labels: Labels,
    features: Features,
    /// The last row that was an event, unless a break came after it.
    before: Option<Row>,
    /// Day of the newest row.
    day: Day,
    /// Rows of that day so far.
    number: u64,
    /// Segment of the newest row.
    segment: i32,
    /// The features of one row, kept to spare an allocation per row.
    buffer: Vec<f64>,
}

/// What an engine has computed since it was made.
pub struct Built {
    /// One row per row.
    pub features: Features,
    /// Labels, and the counts of rows without.
    pub labels: LabelTable,
    /// What the next day of the segment goes on from.
    pub state: State,
    /// What the features are.
    pub listing: Listing,
}

impl Engine {
    /// An engine that knows no row.
    ///
    /// # Errors
    /// Where a parameter or the calendar is not valid.
    pub fn new(params: &Params, spec: &TicksSpec, contract: &str) -> Result<Self> {
        params.check()?;
        let tick = spec.tick_of(&Contract::parse(contract)?);
        let set = FactorSet::new(params, usize::from(spec.levels));
        let market = Market {
            tick: tick.value(),
            multiplier: spec.multiplier,
            clock: SessionClock::new(spec, params.grace_ms)?,
        };
        Ok(Self {
            features: Features::new(set.listing.features.len()),
            labels: Labels::new(params),
            params: params.clone(),
            contract: contract.to_owned(),
            market,
            tick,
            set,
            before: None,
            day: Day(i32::MIN),
            number: 0,
            segment: -1,
            buffer: Vec::new(),
        })
    }

    /// Takes the next row.
    pub fn update(&mut self, row: &Row) {
        if self.day != row.day {
            (self.day, self.number) = (row.day, 0);
        }
        // A day has fewer than 2³¹ rows.
        let number = self.number as i32;
        self.number += 1;
        self.segment = row.segment;
        self.buffer.clear();
        if self.market.clock.place(row.ns).is_some() {
            self.event(row, number);
        } else {
            self.buffer.resize(self.set.listing.features.len(), f64::NAN);
            self.labels.skip(row, number);
        }
        self.features.push(row, number, &self.buffer);
    }

    fn event(&mut self, row: &Row, number: i32) {
        if let Some(cause) = self.break_before(row) {
            self.before = None;
            self.labels.end(cause);
            self.set.factors.iter_mut().for_each(|(_, factor)| factor.reset());
        }
        let step = Step { now: row, before: self.before.as_ref(), market: &self.market };
        for (_, factor) in &mut self.set.factors {
            factor.update(&step, &mut self.buffer);
        }
        self.labels.update(row, number, self.tick);
        self.before = Some(row.clone());
    }

    /// Why windows and labels may not reach from the row before to this one.
    fn break_before(&self, row: &Row) -> Option<Excluded> {
        let before = self.before.as_ref()?;
        let gap = self.params.max_gap_ms.map(|ms| i128::from(ms) * 1_000_000);
        if before.segment != row.segment {
            Some(Excluded::Segment)
        } else if before.day != row.day && self.params.cross_day == CrossDay::Never {
            Some(Excluded::Day)
        } else if gap.is_some_and(|gap| i128::from(row.ns) - i128::from(before.ns) > gap) {
            Some(Excluded::Gap)
        } else {
            None
        }
    }

    /// The state after the newest row.
    ///
    /// # Errors
    /// None that a caller can cause.
    pub fn save(&mut self) -> Result<State> {
        let written = |walk: &mut dyn FnMut(&mut Store)| {
            let mut store = Store::writer();
            walk(&mut store);
            store.finish()
        };
        let rows = written(&mut |store| self.walk(store))?;
        let labels = written(&mut |store| self.labels.walk(store))?;
        let factors = self.set.factors.iter_mut();
        let factors = factors.map(|(id, factor)| Ok(((*id).to_owned(), written(&mut |store| factor.walk(store))?)));
        Ok(State {
            format: FORMAT,
            contract: self.contract.clone(),
            segment: self.segment,
            day: self.day,
            factors_hash: self.set.listing.hash.clone(),
            horizons: self.params.horizons.clone(),
            k: self.params.k,
            factors: factors.collect::<Result<_>>()?,
            rows,
            labels,
        })
    }

    /// Goes on from a state; to be called before the first row.
    ///
    /// # Errors
    /// Where the state is of another contract or of other parameters, or is damaged.
    pub fn restore(&mut self, state: &State) -> Result<()> {
        let same = state.format == FORMAT
            && state.contract == self.contract
            && state.factors_hash == self.set.listing.hash
            && (&state.horizons, state.k) == (&self.params.horizons, self.params.k);
        if !same {
            bail!(
                "the carried state is of {} on {} with other parameters or another contract than {}",
                state.contract,
                state.day,
                self.contract
            );
        }
        read(&state.rows, "rows", |store| self.walk(store))?;
        read(&state.labels, "labels", |store| self.labels.walk(store))?;
        for (id, factor) in &mut self.set.factors {
            let text = state.factors.get(*id).with_context(|| format!("the carried state lacks factor `{id}`"))?;
            read(text, id, |store| factor.walk(store))?;
        }
        self.labels.adopt();
        Ok(())
    }

    /// What was computed.
    ///
    /// # Errors
    /// As [`Engine::save`].
    pub fn finish(mut self) -> Result<Built> {
        if self.params.cross_day == CrossDay::Never {
            self.labels.end(Excluded::Day);
        }
        let state = self.save()?;
        Ok(Built { features: self.features, labels: self.labels.finish(), state, listing: self.set.listing })
    }

    /// Writes or reads what is neither a factor's nor the labels'.
    fn walk(&mut self, store: &mut Store) {
        let (mut day, mut segment) = (i64::from(self.day.0), i64::from(self.segment));
        let mut present = u64::from(self.before.is_some());
        store.signed(&mut day);
        store.signed(&mut segment);
        store.count(&mut self.number);
        store.count(&mut present);
        (self.day, self.segment) = (Day(day as i32), segment as i32);
        let mut row = self.before.take().unwrap_or_else(Row::empty);
        row.walk(store);
        self.before = (present == 1).then_some(row);
    }
}

fn read(text: &str, what: &str, walk: impl FnOnce(&mut Store)) -> Result<()> {
    let mut store = Store::reader(text).with_context(|| format!("part `{what}` of the carried state"))?;
    walk(&mut store);
    store.finish().map(|_| ()).with_context(|| format!("part `{what}` of the carried state"))
}
