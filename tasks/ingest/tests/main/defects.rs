//! Defects of single rows: each is counted under its cause, and the rest of the file is kept.

use ghtrader_market::Cause;

use super::*;

fn causes(index: &CellIndex) -> Vec<(Cause, u64)> {
    index.rows.iter().flat_map(|row| row.quarantined.clone()).collect()
}

#[test]
fn an_empty_first_row_with_a_later_stamp_goes_and_the_rest_stays() {
    // As au2208 and cu2206 begin on 2022-02-18.
    let mut text = format!("{HEADER}\nSHFE.cu2203,{},,0,0,,,,\n", NINE + 300_000_000);
    text.push_str(csv(&[("cu2203", 0, 71_500), ("cu2203", 1, 71_510)]).split_once('\n').unwrap().1);
    let done = ingest_bytes(text, &copper()).unwrap();
    let index = index(&done);
    assert_eq!(causes(&index), [(Cause::EmptyBook, 1)]);
    assert_eq!((index.rows[0].rows, index.rows[0].first_ns), (2, Some(NINE)));
    assert_eq!(index.quarantine[0].line, 2);
    assert!(index.quarantine[0].detail.contains("300 ms after the row that follows"), "{:?}", index.quarantine);
}

#[test]
fn a_late_row_goes() {
    let text = csv(&[("cu2203", 4, 71_500), ("cu2203", 8, 71_510), ("cu2203", 6, 71_520), ("cu2203", 9, 71_530)]);
    let done = ingest_bytes(text, &copper()).unwrap();
    assert_eq!(causes(&index(&done)), [(Cause::NonMonotonic, 1)]);
    assert_eq!(index(&done).quarantine[0].line, 4);
    assert_eq!(ticks(&done, "SHFE.cu2203", "2022-02-18").book[0].bid_price, [71_500.0, 71_510.0, 71_530.0]);
}

#[test]
fn rows_of_two_contracts_may_be_mixed_in_time() {
    let text = csv(&[("cu2203", 4, 71_500), ("cu2204", 0, 71_510), ("cu2203", 5, 71_520), ("cu2204", 1, 71_530)]);
    assert_eq!(causes(&index(&ingest_bytes(text, &copper()).unwrap())), []);
}

#[test]
fn the_same_row_again_is_dropped_and_another_takes_its_place() {
    let again = [("cu2203", 0, 71_500), ("cu2203", 0, 71_500), ("cu2203", 1, 71_510), ("cu2203", 0, 71_500)];
    let row = index(&ingest_bytes(csv(&again), &copper()).unwrap()).rows.remove(0);
    assert_eq!((row.rows, row.duplicates, row.replaced), (2, 2, 0), "wherever in the file it stands");
    let other = [("cu2203", 0, 71_500), ("cu2203", 0, 71_520), ("cu2203", 1, 71_510)];
    let done = ingest_bytes(csv(&other), &copper()).unwrap();
    let row = index(&done).rows.remove(0);
    assert_eq!((row.rows, row.duplicates, row.replaced), (2, 0, 1));
    assert_eq!(ticks(&done, "SHFE.cu2203", "2022-02-18").book[0].bid_price, [71_520.0, 71_510.0], "the last counts");
}

#[test]
fn prices_between_ticks_and_impossible_volumes_go() {
    let good = csv(&[("cu2203", 0, 71_500)]);
    let row = |slot: i64, bid: &str, volume: &str| {
        let ns = NINE + slot * HALF_SECOND;
        format!("SHFE.cu2203,{ns},71500,{volume},1,{bid},1,71510,1\n")
    };
    let text =
        [good, row(1, "71505", "1"), row(2, "71500.00000000001", "1"), row(3, "71500", "-1"), row(4, "71500", "1.5")];
    let done = ingest_bytes(text.concat(), &copper()).unwrap();
    assert_eq!(causes(&index(&done)), [(Cause::OffTick, 1), (Cause::BadValue, 2)]);
    assert_eq!(ticks(&done, "SHFE.cu2203", "2022-02-18").book[0].bid_price, [71_500.0, 71_500.0], "noise is snapped");
    let index = index(&done);
    assert!(index.quarantine[0].detail.contains("bid_price1"), "{:?}", index.quarantine);
}

#[test]
fn rows_while_the_exchange_is_closed_go() {
    // Saturday 09:00, Sunday 21:30; Friday's night goes on to Saturday 00:59.
    let hour = 7_200;
    let text = csv(&[
        ("cu2203", 0, 71_500),
        ("cu2203", 15 * hour + 1, 71_510),
        ("cu2203", 24 * hour, 71_520),
        ("cu2203", 60 * hour + hour / 2, 71_530),
    ]);
    let index = index(&ingest_bytes(text, &copper()).unwrap());
    assert_eq!(causes(&index), [(Cause::Closed, 2)]);
    assert_eq!(index.rows.iter().map(|row| row.rows).collect::<Vec<_>>(), [1, 1]);
}

#[test]
fn a_stated_day_has_to_be_the_calendars() {
    let days = ["trading_day", "20220218", "2022-02-18", "", "20220221"];
    let rows = csv(&[("cu2203", 0, 71_500), ("cu2203", 1, 71_510), ("cu2203", 2, 71_510), ("cu2203", 3, 71_520)]);
    let text: String = rows.lines().zip(days).map(|(line, day)| format!("{line},{day}\n")).collect();
    let index = index(&ingest_bytes(text, &copper()).unwrap());
    assert_eq!(causes(&index), [(Cause::TradingDay, 1)]);
    assert_eq!((index.rows[0].rows, index.quarantine[0].line), (3, 5));
}

#[test]
fn every_row_read_is_accounted_for() {
    let text = csv(&[
        ("cu2203", 2, 71_500),
        ("cu2203", 2, 71_500),
        ("cu2203", 2, 71_510),
        ("cu2203", 1, 71_510),
        ("cu2203", 3, 71_515),
        ("au2206", 4, 71_510),
    ]);
    let index = index(&ingest_bytes(text, &copper()).unwrap());
    assert_eq!(index.read, accounted(&index));
    assert_eq!(index.read, 6);
}

#[test]
fn the_market_of_ones_own_has_the_defects_that_its_readme_states() {
    let spec = spec_of(include_str!("../../../../examples/own-market/market.yaml"), "tea");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/own-market/ticks");
    let days = ["2024-05-06", "2024-05-07", "2024-05-08", "2024-05-09"];
    let indexes = days.map(|day| index(&ingest(&folder.join(format!("{day}.csv")), &spec).unwrap()));
    assert!(indexes.iter().all(|index| index.rows.len() == 2 && index.read == accounted(index)));
    assert!(indexes.iter().flat_map(|index| &index.rows).all(|row| row.off_session == 0 && row.close_oi.is_some()));
    assert_eq!(indexes.iter().flat_map(causes).collect::<Vec<_>>(), [(Cause::EmptyBook, 1)]);
    assert_eq!(indexes.iter().flat_map(|index| &index.rows).map(|row| row.duplicates).sum::<u64>(), 1);
    let leader = |index: &CellIndex| {
        index.rows.iter().max_by(|a, b| a.close_oi.partial_cmp(&b.close_oi).unwrap()).unwrap().contract.clone()
    };
    assert_eq!((leader(&indexes[0]), leader(&indexes[3])), ("DEMO.tea2406".to_owned(), "DEMO.tea2409".to_owned()));
}

/// Rows kept, dropped, quarantined and foreign.
pub(crate) fn accounted(index: &CellIndex) -> u64 {
    let of_day = |row: &ghtrader_market::DayIndex| {
        row.rows + row.duplicates + row.replaced + row.quarantined.values().sum::<u64>()
    };
    index.foreign + index.rows.iter().map(of_day).sum::<u64>()
}
