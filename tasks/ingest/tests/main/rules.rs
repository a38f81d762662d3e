//! Days, the close, sessions, contracts: what the index says of ordinary rows.

use ghtrader_market::Cause;

use super::*;

#[test]
fn contracts_and_days_get_their_own_files() {
    // Five hours after nine is 14:00; twelve and a half is 21:30, Monday's night session on Friday evening.
    let evening = 25 * 3_600;
    let text = csv(&[("cu2203", 0, 71_500), ("cu2204", 0, 71_600), ("cu2203", 1, 71_510), ("cu2203", evening, 71_520)]);
    let done = ingest_bytes(text, &copper()).unwrap();
    let index = index(&done);
    let days: Vec<_> = index.rows.iter().map(|row| (row.contract.as_str(), row.day.to_string(), row.rows)).collect();
    let expected = [
        ("SHFE.cu2203", "2022-02-18".to_owned(), 2),
        ("SHFE.cu2203", "2022-02-21".to_owned(), 1),
        ("SHFE.cu2204", "2022-02-18".to_owned(), 1),
    ];
    assert_eq!(days, expected);
    let friday = ticks(&done, "SHFE.cu2203", "2022-02-18");
    assert_eq!(friday.book[0].bid_price, [71_500.0, 71_510.0]);
    assert_eq!(friday.datetime_ns, [NINE, NINE + HALF_SECOND]);
    assert!(friday.book[1].bid_price[0].is_nan() && friday.amount[0].is_nan());
    assert_eq!(ticks(&done, "SHFE.cu2203", "2022-02-21").len(), 1);
}

/// Only one day of a contract is held in memory; what belongs to an earlier one is put to it all the same.
#[test]
fn a_day_may_go_on_after_another_one_has_begun() {
    let monday = 3 * 86_400 * 2;
    let rows = [
        ("cu2203", 0, 71_500),
        ("cu2203", 1, 71_510),
        ("cu2203", monday, 71_600),
        ("cu2203", 0, 71_500),
        ("cu2203", 1, 71_520),
        ("cu2203", 2, 71_530),
        ("cu2204", 0, 71_700),
        ("cu2203", monday + 1, 71_610),
    ];
    let done = ingest_bytes(csv(&rows), &copper()).unwrap();
    let index = index(&done);
    let facts = |contract: &str, day: &str| {
        let day = day.parse().unwrap();
        let of = index.rows.iter().find(|of| of.contract == contract && of.day == day).unwrap();
        (of.rows, of.duplicates, of.replaced, of.quarantined.get(&Cause::NonMonotonic).copied().unwrap_or_default())
    };
    assert_eq!(facts("SHFE.cu2203", "2022-02-18"), (2, 1, 1, 1));
    assert_eq!(facts("SHFE.cu2203", "2022-02-21"), (2, 0, 0, 0));
    assert_eq!(facts("SHFE.cu2204", "2022-02-18"), (1, 0, 0, 0));
    assert_eq!(ticks(&done, "SHFE.cu2203", "2022-02-18").last_price, [71_500.0, 71_520.0], "the later row's values");
    assert_eq!(ticks(&done, "SHFE.cu2203", "2022-02-21").len(), 2);
}

#[test]
fn the_close_open_interest_ends_at_the_cutoff() {
    let six_hours = 6 * 7_200;
    let row = |slot: i64, oi: &str| {
        let ns = NINE + slot * HALF_SECOND;
        format!("SHFE.cu2203,{ns},71500,{slot},{oi},71500,3,71510,4\n")
    };
    let text = [
        format!("{HEADER}\n"),
        row(0, "5000"),
        row(six_hours + 1, "5100"), // 15:00:00.500, the close
        row(six_hours + 4, "5200"), // 15:00:02
        row(six_hours + 4_800, "0"),
    ];
    let day = index(&ingest_bytes(text.concat(), &copper()).unwrap()).rows.remove(0);
    assert_eq!(day.close_oi, Some(5_100.0));
    assert_eq!((day.rows, day.off_session), (4, 2), "rows after the close are kept and counted");
    assert_eq!(day.volume, Some((six_hours + 4_800) as f64));
}

#[test]
fn night_rows_give_no_close_open_interest() {
    let night = -12 * 7_200;
    let day = index(&ingest_bytes(csv(&[("cu2203", night, 71_500)]), &copper()).unwrap()).rows.remove(0);
    assert_eq!((day.day.to_string().as_str(), day.close_oi), ("2022-02-18", None));
}

#[test]
fn other_varieties_are_counted_and_left_out() {
    let text = csv(&[("cu2203", 0, 71_500), ("au2206", 0, 380), ("zn2203", 1, 25_000)]);
    let index = index(&ingest_bytes(text, &copper()).unwrap());
    assert_eq!((index.read, index.foreign, index.rows.len()), (3, 2, 1));
}

#[test]
fn a_main_series_is_taken_apart_by_its_contracts() {
    let text = csv(&[("x", 0, 71_500), ("x", 1, 71_600)]).replace("symbol", "underlying_contract,symbol");
    let text =
        text.replacen("SHFE.x", "SHFE.cu2203,KQ.m@SHFE.cu", 1).replacen("\nSHFE.x", "\nSHFE.cu2204,KQ.m@SHFE.cu", 1);
    let index = index(&ingest_bytes(text, &copper()).unwrap());
    let contracts: Vec<_> = index.rows.iter().map(|row| row.contract.as_str()).collect();
    assert_eq!(contracts, ["SHFE.cu2203", "SHFE.cu2204"]);
}

#[test]
fn old_gold_has_its_own_tick() {
    // au1812 reads 268.2999 in the real records: 268.30 at a tick of 0.05. 268.32 is none.
    let gold = spec_of(MARKET, "au");
    let row = |contract: &str, last: &str| format!("{HEADER}\nSHFE.{contract},{NINE},{last},1,1,268.3,1,268.35,1\n");
    let done = ingest_bytes(row("au1812", "268.2999"), &gold).unwrap();
    assert_eq!(ticks(&done, "SHFE.au1812", "2022-02-18").last_price, [268.3]);
    let error = ingest_bytes(row("au1812", "268.32"), &gold).err().unwrap();
    assert!(format!("{error:#}").contains("0.05"), "{error:#}");
}

#[test]
fn levels_that_the_market_does_not_count_stay_out() {
    let more = "bid_price2,bid_volume2,ask_price2,ask_volume2";
    let text = format!("{HEADER},{more}\nSHFE.cu2203,{NINE},71500,1,1,71500,3,71510,4,71490,5,71520,6\n");
    let one = index(&ingest_bytes(&text, &copper()).unwrap()).rows.remove(0);
    let five = ingest_bytes(&text, &TicksSpec { levels: 5, ..copper() }).unwrap();
    assert!(!one.l5_present && index(&five).rows[0].l5_present);
    assert_eq!(ticks(&five, "SHFE.cu2203", "2022-02-18").book[1].ask_volume, [6.0]);
}

#[test]
fn the_row_hashes_are_those_of_the_file() {
    let done = ingest_bytes(csv(&[("cu2203", 0, 71_500), ("cu2203", 1, 71_510)]), &copper()).unwrap();
    let row = index(&done).rows.remove(0);
    let hashes: Vec<u64> = ticks(&done, "SHFE.cu2203", "2022-02-18").row_hashes("SHFE.cu2203").collect();
    assert_eq!(row.hash_min.0, *hashes.iter().min().unwrap());
    assert_eq!(row.hash_max.0, *hashes.iter().max().unwrap());
    assert_eq!(row.hash_sum.0, hashes[0].wrapping_add(hashes[1]));
}

#[test]
fn the_row_hashes_are_those_of_another_implementation() {
    let spec = spec_of(include_str!("../../../../examples/own-market/market.yaml"), "tea");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/own-market/ticks/2024-05-08.csv");
    let of = |row: ghtrader_market::DayIndex| {
        format!("{} {} {} {} {}\n", row.contract, row.rows, row.hash_min, row.hash_max, row.hash_sum)
    };
    let text: String = index(&ingest(&file, &spec).unwrap()).rows.into_iter().map(of).collect();
    assert_eq!(text, include_str!("../oracle/row_hash.txt"), "made by tests/oracle/row_hash.py");
}

#[test]
fn an_empty_table_is_no_error() {
    let done = ingest_bytes(format!("{HEADER}\n"), &copper()).unwrap();
    assert_eq!(index(&done).rows, []);
    assert_eq!(std::fs::read_dir(done.path("ticks")).unwrap().count(), 0);
}
