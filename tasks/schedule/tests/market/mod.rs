//! Small markets for the tests.

use std::collections::BTreeMap;
use std::path::Path;

use ghtrader_market::{
    CellIndex, Clock, Contract, Day, DayIndex, Expiry, GivenRule, Hash64, OiRule, RollRule, RollSpec, Switch,
};
use ghtrader_schedule::{Close, Facts};
use serde_json::Value;

pub(crate) fn day(text: &str) -> Day {
    text.parse().unwrap()
}

/// A contract at a close, with a volume of 1000.
pub(crate) fn close(code: &str, oi: Option<u64>) -> Close {
    let contract = Contract::parse(&format!("SHFE.{code}")).unwrap();
    Close { contract, cell: "x.csv".to_owned(), oi, volume: 1000.0, l5_present: false }
}

/// Open interest by trading day from Monday 2021-03-01 on.
pub(crate) fn facts(table: &[&[(&str, u64)]]) -> Facts {
    let closes = |row: &&[(&str, u64)]| {
        row.iter().map(|(code, oi)| (format!("SHFE.{code}"), close(code, Some(*oi)))).collect::<BTreeMap<_, _>>()
    };
    Facts(weekdays().zip(table.iter().map(closes)).collect())
}

/// Monday to Friday from 2021-03-01 on; there is no holiday until April.
fn weekdays() -> impl Iterator<Item = Day> {
    let first = day("2021-03-01");
    (0..).map(move |n| first.plus(n)).filter(|day| !day.is_weekend())
}

pub(crate) fn spec(rule: RollRule) -> RollSpec {
    let (variety, exchange, clock) = ("cu".to_owned(), "SHFE".to_owned(), Clock::china());
    RollSpec { variety, exchange, levels: 1, clock, expiry: Some(Expiry::Fifteenth), rule }
}

pub(crate) fn oi(rule: OiRule) -> RollSpec {
    spec(RollRule::Oi(rule))
}

pub(crate) fn given(rule: GivenRule) -> RollSpec {
    spec(RollRule::Given(rule))
}

/// The index of a cell: contract, day, open interest.
pub(crate) fn index(cell: &str, rows: &[(&str, &str, f64)]) -> CellIndex {
    let row = |(code, date, oi): &(&str, &str, f64)| DayIndex {
        contract: format!("SHFE.{code}"),
        day: day(date),
        rows: 10,
        first_ns: Some(0),
        last_ns: Some(1),
        close_oi: Some(*oi),
        volume: Some(1.0),
        l5_present: false,
        hash_min: Hash64(0),
        hash_max: Hash64(0),
        hash_sum: Hash64(0),
        duplicates: 0,
        replaced: 0,
        off_session: 0,
        quarantined: BTreeMap::new(),
    };
    let rows = rows.iter().map(row).collect();
    CellIndex { cell: cell.to_owned(), read: 10, foreign: 0, rows, quarantine: Vec::new() }
}

/// The switches of a file of another system: `[{"date": "20100121", "from": "cu1004", "to": "cu1005", …}]`.
pub(crate) fn real_rolls(path: &Path) -> GivenRule {
    let list: Vec<Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let code = |value: &Value| format!("SHFE.{}", value.as_str().unwrap());
    let switches = list.iter().map(|s| Switch {
        day: day(s["date"].as_str().unwrap()),
        from: code(&s["from"]),
        to: code(&s["to"]),
    });
    GivenRule { first: code(&list[0]["from"]), switches: switches.collect() }
}

/// Numbers from a seed (splitmix64).
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    /// Contracts whose open interest rises and falls in turn, with noise, and now and then a day without.
    pub(crate) fn market(&mut self, days: usize) -> Facts {
        let codes = ["cu2105", "cu2106", "cu2107", "cu2108", "cu2109"];
        let peaks: Vec<u64> = codes.iter().map(|_| self.below(days as u64)).collect();
        let mut facts = Facts::default();
        for (number, day) in weekdays().take(days).enumerate() {
            let closes = facts.0.entry(day).or_default();
            for (code, peak) in codes.iter().zip(&peaks) {
                let near = 100_u64.saturating_sub(8 * peak.abs_diff(number as u64));
                let oi = 10 * (near + self.below(20) + 1);
                if self.below(30) > 0 {
                    closes.insert(format!("SHFE.{code}"), close(code, Some(oi)));
                }
            }
        }
        facts
    }
}
