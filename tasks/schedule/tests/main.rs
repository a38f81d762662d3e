//! `schedule` on drawn markets, edge cases, and real rolls.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod market;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ghtrader_kit::Bench;
use ghtrader_market::{Calendar, Clock, Day, Days, Flag, GivenRule, OiRule, Reuse, RollRule, Switch};
use ghtrader_schedule::{Facts, HashFile, Row, Schedule, Scheduled, Status, Window, schedule};
use serde_json::{Value, json};

use market::{Draw, close, day, facts, given, index, oi, spec};

/// Open interest by contract at one close.
type Oi<'a> = &'a [(&'a str, u64)];

/// The main contracts in the order of days, with the flags.
fn mains(schedule: &Scheduled) -> Vec<(Option<&str>, bool)> {
    let rows = schedule.table.iter().skip(1);
    rows.map(|row| (row.contract.as_deref(), row.flags.contains(&Flag::OiMissing))).collect()
}

/// The codes of the main contracts that a table of open interest gives by rule `oi`.
fn codes(rule: OiRule, table: &[Oi]) -> Vec<String> {
    let schedule = schedule(&oi(rule), &facts(table)).unwrap();
    mains(&schedule).into_iter().map(|(main, _)| main.unwrap_or("none").replace("SHFE.", "")).collect()
}

#[test]
fn equality_does_not_switch_and_one_lot_more_does() {
    let main = ("cu2105", 1000);
    assert_eq!(codes(OiRule::default(), &[&[main], &[main, ("cu2106", 1100)], &[main]]), ["cu2105", "cu2105"]);
    assert_eq!(codes(OiRule::default(), &[&[main], &[main, ("cu2106", 1101)], &[main]]), ["cu2105", "cu2106"]);
    // 1.1 · 10 is 11.000000000000002 in floats: integers do not see it.
    let (main, other) = (("cu2105", 10), ("cu2106", 11));
    assert_eq!(codes(OiRule::default(), &[&[main], &[main, other], &[main]]), ["cu2105", "cu2105"]);
    // The ratio is a parameter.
    let rule = OiRule { ratio: [1, 1], ..OiRule::default() };
    assert_eq!(codes(rule, &[&[main], &[main, other], &[main]]), ["cu2105", "cu2106"]);
}

#[test]
fn of_two_candidates_the_larger_and_of_equals_the_earlier_delivery() {
    let main = ("cu2105", 100);
    let two: Oi = &[main, ("cu2106", 120), ("cu2107", 130)];
    assert_eq!(codes(OiRule::default(), &[&[main], two, &[main]]), ["cu2105", "cu2107"]);
    let tie: Oi = &[main, ("cu2201", 130), ("cu2112", 130)];
    assert_eq!(codes(OiRule::default(), &[&[main], tie, &[main]]), ["cu2105", "cu2112"]);
    let first: Oi = &[("cu2106", 100), ("cu2105", 100)];
    assert_eq!(codes(OiRule::default(), &[first, first]), ["cu2105"], "the first choice too");
}

#[test]
fn a_contract_is_main_once_unless_reuse_is_allowed() {
    let (a, b): (Oi, Oi) = (&[("cu2105", 200), ("cu2106", 100)], &[("cu2105", 100), ("cu2106", 200)]);
    assert_eq!(codes(OiRule::default(), &[a, b, a, a]), ["cu2105", "cu2106", "cu2106"]);
    let allow = OiRule { reuse: Reuse::Allow, ..OiRule::default() };
    assert_eq!(codes(allow, &[a, b, a, a]), ["cu2105", "cu2106", "cu2105"]);
}

#[test]
fn an_expired_main_gives_way_and_an_expiring_contract_is_no_candidate() {
    // The table begins on Thursday 2021-03-11; the last day of cu2103 is Monday 2021-03-15, its third row.
    let both: Oi = &[("cu2103", 200), ("cu2104", 10)];
    let late: Oi = &[("cu2104", 10)];
    let mut market = facts(&[both, both, both, late, late]);
    market.0 = market
        .0
        .into_iter()
        .zip(["11", "12", "15", "16", "17"])
        .map(|((_, c), d)| (day(&format!("2021-03-{d}")), c))
        .collect();
    let schedule = schedule(&oi(OiRule::default()), &market).unwrap();
    let found: Vec<_> = mains(&schedule).into_iter().map(|(main, flag)| (main.unwrap(), flag)).collect();
    let (old, new) = (("SHFE.cu2103", false), ("SHFE.cu2104", false));
    assert_eq!(found, [old, old, new, new], "main on its own last day, and not after it, without a flag");

    let mut market =
        facts(&[&[("cu2104", 100), ("cu2103", 50)], &[("cu2104", 100), ("cu2103", 500)], &[("cu2104", 100)]]);
    market.0 =
        market.0.into_iter().zip(["11", "12", "15"]).map(|((_, c), d)| (day(&format!("2021-03-{d}")), c)).collect();
    let schedule = ghtrader_schedule::schedule(&oi(OiRule::default()), &market).unwrap();
    assert_eq!(mains(&schedule)[1].0, Some("SHFE.cu2104"), "cu2103 ends on the day it would begin");
}

#[test]
fn a_missing_open_interest_keeps_the_main_and_is_flagged_or_fails() {
    let (full, gone): (Oi, Oi) = (&[("cu2105", 100), ("cu2106", 50)], &[("cu2106", 500)]);
    let market = facts(&[full, full, gone, full, full]);
    let found = schedule(&oi(OiRule::default()), &market).unwrap();
    let main = Some("SHFE.cu2105");
    assert_eq!(mains(&found), [(main, false), (main, false), (main, true), (main, false)]);
    let missing = day("2021-03-03");
    assert_eq!(found.table[2].status, Status::NoTicks);
    assert!(!found.days.contains_key(&missing));
    let after = &found.days[&day("2021-03-04")];
    assert_eq!((after.previous, after.segment), (Some(day("2021-03-02")), 0));
    assert_eq!(after.flags, [Flag::OiMissing, Flag::DayMissing]);
    let strict = OiRule { strict: true, ..OiRule::default() };
    let error = schedule(&oi(strict), &market).unwrap_err().to_string();
    assert!(error.contains("SHFE.cu2105") && error.contains("2021-03-03"), "{error}");
}

#[test]
fn floors_keep_thin_contracts_out() {
    let table: &[Oi] = &[&[("cu2105", 100)], &[("cu2105", 100), ("cu2106", 150)], &[("cu2105", 100)]];
    let oi_floor = OiRule { min_oi: 151.0, ..OiRule::default() };
    let mut floor = codes(oi_floor, &[&[("cu2105", 160)], table[1], table[2]]);
    assert_eq!(floor.pop().unwrap(), "cu2105");
    let volume = OiRule { min_volume: 1000.5, ..OiRule::default() };
    assert!(schedule(&oi(volume), &facts(table)).is_err(), "drawn volumes are 1000");
    let volume = OiRule { min_volume: 1000.0, ..OiRule::default() };
    assert_eq!(codes(volume, table), ["cu2105", "cu2106"]);
}

#[test]
fn rule_oi_agrees_with_an_independent_implementation() {
    let cases: Value = serde_json::from_str(include_str!("oracle/oi_rule.json")).unwrap();
    let cases = cases.as_array().unwrap();
    assert_eq!(cases.len(), 24);
    for (number, case) in cases.iter().enumerate() {
        let reuse = if case["reuse"] == true { Reuse::Allow } else { Reuse::Forbid };
        let market: BTreeMap<Day, BTreeMap<String, Option<u64>>> =
            serde_json::from_value(case["market"].clone()).unwrap();
        let closes = |table: BTreeMap<String, Option<u64>>| {
            table.into_iter().map(|(code, oi)| (format!("SHFE.{code}"), close(&code, oi))).collect()
        };
        let market = Facts(market.into_iter().map(|(day, table)| (day, closes(table))).collect());
        let found = schedule(&oi(OiRule { reuse, ..OiRule::default() }), &market).unwrap();
        let rows: Vec<Value> = found
            .table
            .iter()
            .skip(1)
            .map(|row| {
                json!([
                    row.day,
                    row.contract.as_ref().map(|c| c.replace("SHFE.", "")),
                    row.flags.contains(&Flag::OiMissing)
                ])
            })
            .collect();
        assert_eq!(Value::from(rows), case["mains"], "market {number}");
    }
}

#[test]
fn segments_count_changes_and_link_days() {
    for seed in 0..200 {
        let market = Draw::new(seed).market(23);
        let found = schedule(&oi(OiRule::default()), &market).unwrap();
        let calendar = Calendar::new(&Clock::china()).unwrap();
        let entries: Vec<_> = found.days.iter().collect();
        assert_eq!(entries[0].1.segment, 0);
        assert_eq!(entries[0].1.previous, None);
        for pair in entries.windows(2) {
            let ((before_day, before), (now_day, now)) = (pair[0], pair[1]);
            let changed = before.contract != now.contract;
            assert_eq!(now.segment, before.segment + i32::from(changed), "seed {seed}, {now_day}");
            assert_eq!(now.previous, (!changed).then_some(*before_day));
            assert!(calendar.is_trading_day(*now_day));
        }
        let mut used = BTreeSet::new();
        let contracts: Vec<_> = found.table.iter().filter_map(|row| row.contract.clone()).collect();
        for pair in contracts.windows(2).filter(|pair| pair[0] != pair[1]) {
            assert!(used.insert(pair[0].clone()) && !used.contains(&pair[1]), "seed {seed}: {} again", pair[1]);
        }
        let hashes: BTreeSet<_> = found.days.values().map(|entry| &entry.hash).collect();
        assert_eq!(hashes.len(), found.days.len());
    }
}

#[test]
fn the_close_of_a_day_changes_no_entry_up_to_it() {
    let mut changed_later = 0;
    for seed in 0..200 {
        let market = Draw::new(seed).market(23);
        let before = schedule(&oi(OiRule::default()), &market).unwrap();
        let at = *market.0.keys().nth(3 + seed as usize % 19).unwrap();
        let mut other = market.clone();
        let mut draw = Draw::new(seed + 1000);
        other.0.get_mut(&at).unwrap().values_mut().for_each(|close| close.oi = Some(draw.below(5000)));
        let after = schedule(&oi(OiRule::default()), &other).unwrap();
        let until = |schedule: &Scheduled| schedule.days.range(..=at).map(|(d, e)| (*d, e.clone())).collect::<Days>();
        assert_eq!(until(&before), until(&after), "seed {seed}: {at} is seen before its close");
        assert_ne!(before.hash, after.hash, "the schedule's own hash sees every close");
        changed_later += usize::from(before.days != after.days);
    }
    assert!(changed_later > 50, "the changes have to matter afterwards: {changed_later}");
}

#[test]
fn a_longer_market_keeps_every_entry() {
    for seed in 0..100 {
        let market = Draw::new(seed).market(23);
        let whole = schedule(&oi(OiRule::default()), &market).unwrap();
        for length in [3, 11, 22] {
            let part = Facts(market.0.iter().take(length).map(|(day, closes)| (*day, closes.clone())).collect());
            let part = schedule(&oi(OiRule::default()), &part).unwrap();
            for (day, entry) in &part.days {
                assert_eq!(whole.days.get(day), Some(entry), "seed {seed}, {day}");
            }
        }
    }
}

#[test]
fn another_parameter_gives_other_hashes() {
    let market = Draw::new(1).market(10);
    let hashes = |rule: OiRule| {
        let found = schedule(&oi(rule), &market).unwrap();
        (found.hash, found.days.last_key_value().unwrap().1.hash.clone())
    };
    let base = hashes(OiRule::default());
    for rule in [
        OiRule { ratio: [12, 10], ..OiRule::default() },
        OiRule { reuse: Reuse::Allow, ..OiRule::default() },
        OiRule { min_oi: 1.0, ..OiRule::default() },
    ] {
        let other = hashes(rule.clone());
        assert!(other.0 != base.0 && other.1 != base.1, "{rule:?}");
    }
}

#[test]
fn five_levels_cut_the_beginning_and_one_level_does_not() {
    let a: Oi = &[("cu2105", 200), ("cu2106", 100)];
    let b: Oi = &[("cu2105", 100), ("cu2106", 200)];
    let mut market = facts(&[a, a, b, b, b]);
    for (index, (_, closes)) in market.0.iter_mut().enumerate() {
        closes.values_mut().for_each(|close| close.l5_present = index >= 3);
    }
    let mut five = oi(OiRule::default());
    five.levels = 5;
    let found = schedule(&five, &market).unwrap();
    assert_eq!(found.days.keys().copied().collect::<Vec<_>>(), [day("2021-03-04"), day("2021-03-05")]);
    assert_eq!(found.days[&day("2021-03-04")].segment, 0, "numbered after the cut");
    assert_eq!(found.table[1].status, Status::BeforeL5);
    // Once begun, a day without the deeper levels stays in.
    market.0.get_mut(&day("2021-03-05")).unwrap().values_mut().for_each(|close| close.l5_present = false);
    assert_eq!(schedule(&five, &market).unwrap().days.len(), 2);
    let one = schedule(&oi(OiRule::default()), &market).unwrap();
    assert_eq!(one.days.len(), 4);
    assert_eq!(one.days[&day("2021-03-04")].segment, 1);
    market.0.values_mut().flat_map(BTreeMap::values_mut).for_each(|close| close.l5_present = false);
    assert!(schedule(&five, &market).unwrap_err().to_string().contains("five levels"));
}

#[test]
fn a_given_switch_is_the_first_day_of_the_new_contract() {
    let both: Oi = &[("cu2105", 1), ("cu2106", 1)];
    let market = facts(&[both, both, both, both]);
    let switch = Switch { day: day("2021-03-03"), from: "SHFE.cu2105".to_owned(), to: "SHFE.cu2106".to_owned() };
    let rule = |switches: &[Switch]| given(GivenRule { first: "SHFE.cu2105".to_owned(), switches: switches.to_vec() });
    let found = schedule(&rule(std::slice::from_ref(&switch)), &market).unwrap();
    let contracts: Vec<_> =
        found.days.values().map(|e| (e.contract.as_str(), e.segment, e.previous.is_some())).collect();
    let (old, new) = ("SHFE.cu2105", "SHFE.cu2106");
    assert_eq!(contracts, [(old, 0, false), (old, 0, true), (new, 1, false), (new, 1, true)]);

    let later = Switch { day: day("2021-03-05"), from: new.to_owned(), to: "SHFE.cu2107".to_owned() };
    let longer = schedule(&rule(&[switch.clone(), later.clone()]), &market).unwrap();
    assert_eq!(longer.days, found.days, "a list that grows leaves the entries before as they were");
    assert_ne!(longer.hash, found.hash);

    let broken = schedule(&rule(std::slice::from_ref(&later)), &market).unwrap_err().to_string();
    assert!(broken.contains("leaves `SHFE.cu2106`, but `SHFE.cu2105` is main"), "{broken}");
    let turned = Switch { day: day("2021-03-02"), ..later };
    assert!(schedule(&rule(&[switch, turned]), &market).unwrap_err().to_string().contains("ascend"));
}

#[test]
fn what_cannot_be_scheduled_is_said() {
    let one = facts(&[&[("cu2105", 1)]]);
    assert!(schedule(&oi(OiRule::default()), &one).unwrap_err().to_string().contains("needs two"));
    let mut sunday = facts(&[&[("cu2105", 1)], &[("cu2105", 1)]]);
    let closes = sunday.0.pop_last().unwrap().1;
    sunday.0.insert(day("2021-03-07"), closes);
    assert!(schedule(&oi(OiRule::default()), &sunday).unwrap_err().to_string().contains("2021-03-07"));
    let cells = [index("a.csv", &[("cu2105", "2021-03-01", 5.0)]), index("b.csv", &[("cu2105", "2021-03-01", 5.0)])];
    let error = Facts::new(&cells, &Default::default()).unwrap_err().to_string();
    assert!(error.contains("`a.csv`") && error.contains("`b.csv`") && error.contains("SHFE.cu2105"), "{error}");
    let half = [index("a.csv", &[("cu2105", "2021-03-01", 0.5)])];
    assert!(format!("{:#}", Facts::new(&half, &Default::default()).unwrap_err()).contains("0.5"));
}

#[test]
fn the_task_reads_cells_and_writes_days_and_windows() {
    let folder = tempfile::tempdir().unwrap();
    let rows = [("cu2105", "2021-03-01", 9.0), ("cu2105", "2021-03-02", 9.0), ("cu2105", "2021-03-03", 9.0)];
    for (name, rows) in [("a.csv", &rows[..2]), ("b.csv", &rows[2..])] {
        let cell = folder.path().join(format!("cell={name}"));
        std::fs::create_dir(&cell).unwrap();
        std::fs::write(cell.join("index.json"), serde_json::to_vec(&index(name, rows)).unwrap()).unwrap();
    }
    let run = |with: Value| {
        let bench = Bench::<Schedule>::new().unwrap().input("index", folder.path());
        let bench = bench.input_json("roll", &oi(OiRule::default())).unwrap().axis("variety", "cu");
        bench.run(with)
    };
    let done = run(json!({ "train_days": 1 })).unwrap();
    let days: Days = done.json("days").unwrap();
    let cells: Vec<_> = days.values().map(|entry| entry.cell.as_str()).collect();
    assert_eq!(cells, ["a.csv", "b.csv"]);
    let windows: BTreeMap<String, Window> = done.json("windows").unwrap();
    assert_eq!(windows["train"].days, [day("2021-03-03")]);
    assert_eq!(done.json::<Vec<Row>>("table").unwrap()[0].status, Status::NoMain);
    assert_eq!(done.json::<HashFile>("hash").unwrap().rule, "oi_1p1_v1");
    let all: BTreeMap<String, Window> = run(json!({})).unwrap().json("windows").unwrap();
    assert_eq!(all["train"].days.len(), 2);
    let until = run(json!({ "to": "2021-03-02" })).unwrap();
    assert_eq!(until.json::<Days>("days").unwrap().len(), 1);
    assert!(run(json!({ "days": 3 })).is_err(), "unknown fields are errors");
}

/// The main contracts of SHFE 2010–2022 by another system's rule: not an oracle of rule `oi`, but real input for `given`.
#[test]
fn real_rolls_are_taken_as_given() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/rolls");
    if !folder.exists() {
        println!("skipped: {} is not there", folder.display());
        return;
    }
    let calendar = Calendar::new(&Clock::china()).unwrap();
    let mut rolls = 0;
    for (variety, median) in [("cu", 31), ("au", 184), ("ag", 178)] {
        let rule = market::real_rolls(&folder.join(format!("hots_SHFE_{variety}.json")));
        let (first, last) = (rule.switches[0].day.plus(-30), rule.switches.last().unwrap().day.plus(30));
        let on = |date: Day| rule.switches.iter().rev().find(|s| s.day <= date).map_or(&rule.first, |s| &s.to);
        let trading = (first.0..=last.0).map(Day).filter(|day| calendar.is_trading_day(*day));
        let close = |contract: &str| (contract.to_owned(), close(contract.trim_start_matches("SHFE."), Some(1)));
        let market = Facts(trading.map(|day| (day, BTreeMap::from([close(on(day))]))).collect());
        let mut spec = given(rule.clone());
        spec.variety = variety.to_owned();
        let found = schedule(&spec, &market).unwrap();
        assert_eq!(found.days.len(), market.0.len());
        let entries: Vec<_> = found.days.iter().collect();
        let changes = entries.windows(2).filter(|pair| pair[0].1.segment != pair[1].1.segment);
        let changes: Vec<Day> = changes.map(|pair| *pair[1].0).collect();
        let expected: Vec<Day> = rule.switches.iter().map(|switch| switch.day).collect();
        assert_eq!(changes, expected, "{variety}: every switch day is a trading day and the first of its segment");
        let mut gaps: Vec<i32> = expected.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
        gaps.sort_unstable();
        assert_eq!(gaps[gaps.len() / 2], median, "{variety}: days between rolls, as measured before");
        rolls += expected.len();
    }
    assert!(rolls > 150, "{rolls}");
}

#[test]
fn specifications_survive_json() {
    let spec = spec(RollRule::Oi(OiRule::default()));
    let text = serde_json::to_string(&spec).unwrap();
    assert_eq!(serde_json::from_str::<ghtrader_market::RollSpec>(&text).unwrap(), spec);
}
