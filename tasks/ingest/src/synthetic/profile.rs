//! What the three varieties look like, and which contracts there are on a day.

use anyhow::{Context as _, bail};
use ghtrader_kit::Result;
use ghtrader_market::{SyntheticCell, TickSize, TicksSpec};

use super::rng::Rng;

/// Constants of a variety; prices and volumes are of the size that SHFE had in early 2024.
pub(super) struct Profile {
    /// `cu`.
    pub(super) variety: String,
    /// Price of the first day, in money.
    pub(super) price: f64,
    /// Price step.
    pub(super) tick: TickSize,
    /// Units in one lot.
    pub(super) multiplier: f64,
    /// Standard deviation of one event's move, in ticks.
    pub(super) volatility: f64,
    /// Part of the events with a spread of one tick.
    pub(super) narrow: f64,
    /// Median lots at a level.
    pub(super) depth: f64,
    /// Mean lots traded in an event.
    pub(super) trade: f64,
    /// Open interest of the main contract at its peak.
    pub(super) interest: f64,
    /// Ticks from one contract to the next (the median gap of real rolls: 11, 109 and 59).
    gap: i64,
    /// Months between deliveries.
    months: i32,
    /// Trading days between the peaks of one contract's open interest and the next one's.
    period: f64,
    /// Width of such a peak in trading days.
    width: f64,
    /// The trading day, counted from the first, on which the first two contracts are equal.
    crossing: f64,
}

impl Profile {
    /// The profile of a variety.
    pub(super) fn of(spec: &TicksSpec) -> Result<Self> {
        let base = Self {
            variety: spec.variety.clone(),
            price: 68_500.0,
            tick: spec.tick.default,
            multiplier: spec.multiplier,
            volatility: 0.16,
            narrow: 0.84,
            depth: 9.0,
            trade: 1.6,
            interest: 150_000.0,
            gap: 11,
            months: 1,
            period: 20.0,
            width: 12.0,
            crossing: 3.6,
        };
        let later = |base: Self| Self { months: 2, period: 40.0, width: 17.0, ..base };
        match spec.variety.as_str() {
            "cu" => Ok(base),
            "au" => Ok(Self {
                price: 480.0,
                volatility: 0.23,
                narrow: 0.73,
                depth: 7.0,
                trade: 2.0,
                interest: 170_000.0,
                gap: 109,
                crossing: 25.6,
                ..later(base)
            }),
            "ag" => Ok(Self {
                price: 5_900.0,
                volatility: 0.16,
                narrow: 0.96,
                depth: 45.0,
                trade: 9.0,
                interest: 400_000.0,
                gap: 59,
                crossing: 5.6,
                ..later(base)
            }),
            other => bail!("the synthetic market has cu, au and ag, not `{other}`: remove it from market.yaml"),
        }
    }

    /// Open interest at the close of the `age`-th trading day of the `index`-th contract, without noise: a bell.
    fn interest(&self, index: usize, age: f64) -> f64 {
        let peak = self.crossing + self.period * (index as f64 - 0.5);
        let x = (age - peak) / self.width;
        self.interest * libm::exp(-0.5 * x * x)
    }

    /// The bell at its foot: contracts below it do not trade.
    fn least(&self) -> f64 {
        0.02 * self.interest
    }
}

/// A contract on a day.
pub(super) struct Listed {
    /// `SHFE.cu2403`.
    pub(super) symbol: String,
    /// Ticks above the variety's fair price.
    pub(super) basis: i64,
    /// Open interest at the close of the day before.
    pub(super) open: f64,
    /// Open interest at the close.
    pub(super) close: f64,
    /// Part of the variety's events that show in this contract.
    pub(super) share: f64,
}

/// The contracts that trade on a day; the share of events follows the square of the open interest.
pub(super) fn contracts(cell: &SyntheticCell, spec: &TicksSpec, profile: &Profile, age: u32) -> Result<Vec<Listed>> {
    let today = f64::from(age);
    // The bells move on by one contract per period; only those around the present one can be above the foot.
    let centre = ((today - profile.crossing) / profile.period + 0.5).max(0.0) as usize;
    let indexes = centre.saturating_sub(3)..centre + 4;
    let traded = indexes.filter(|index| profile.interest(*index, today) >= profile.least());
    let largest = traded.clone().map(|index| profile.interest(index, today)).fold(0.0, f64::max);
    traded
        .map(|index| {
            let symbol = format!("{}.{}{}", spec.exchange, spec.variety, delivery(cell, profile, index)?);
            let at = |age: f64| libm::round(profile.interest(index, age) * noise(cell, &symbol, age));
            let part = profile.interest(index, today) / largest;
            let share = (part * part).max(400.0 / f64::from(cell.rows)).min(1.0);
            let (open, close) = (at(today - 1.0), at(today));
            Ok(Listed { basis: index as i64 * profile.gap, open, close, share, symbol })
        })
        .collect()
}

/// A day's small deviation from the bell: the same whether the day asks or the next one, for its opening.
fn noise(cell: &SyntheticCell, symbol: &str, age: f64) -> f64 {
    1.0 + 0.004 * Rng::named(cell.seed, ["interest", symbol, &age.to_string()]).normal()
}

/// Year and month of delivery, `2403`: the first contract is two months ahead of the market's first day.
fn delivery(cell: &SyntheticCell, profile: &Profile, index: usize) -> Result<String> {
    let date = cell.first_day.date();
    let first = i32::from(date.year()) * 12 + i32::from(date.month()) - 1 + 2;
    // Every second month has a contract: the even ones.
    let first = if profile.months == 2 { first + (first + 1).rem_euclid(2) } else { first };
    let later = i32::try_from(index).context("a contract far in the future")? * profile.months;
    let month = first + later;
    Ok(format!("{:02}{:02}", (month / 12).rem_euclid(100), month % 12 + 1))
}
