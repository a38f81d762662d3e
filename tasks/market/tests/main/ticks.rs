//! Ticks in memory and in files.

use ghtrader_market::{Day, MainColumns, RowHashes, Tick, Ticks, VALUES, value_names};

/// A table with every third value null.
fn ticks(rows: usize) -> Ticks {
    let mut ticks = Ticks::new("SHFE.cu2203");
    for row in 0..rows {
        let mut values = [f64::NAN; VALUES];
        for (column, value) in values.iter_mut().enumerate().filter(|(column, _)| (column + row) % 3 != 0) {
            *value = (row * 100 + column) as f64 * 0.1;
        }
        ticks.push(&Tick { trading_day: Day(19_041), datetime_ns: row as i64 * 500_000_000, values });
    }
    ticks
}

fn hashes(ticks: &Ticks) -> RowHashes {
    let mut hashes = RowHashes::default();
    ticks.row_hashes("SHFE.cu2203").for_each(|hash| hashes.add(hash));
    hashes
}

#[test]
fn columns_have_their_names() {
    let names = value_names();
    assert_eq!(names[5], "open_interest");
    assert_eq!(names[6], "bid_price1");
    assert_eq!(names[25], "ask_volume5");
    let ticks = ticks(2);
    assert_eq!(ticks.columns()[6][1], ticks.book[0].bid_price[1]);
    assert_eq!(ticks.columns()[25][1], ticks.book[4].ask_volume[1]);
}

#[test]
fn a_table_survives_its_file() {
    let folder = tempfile::tempdir().unwrap();
    for rows in [0, 1, 1_000] {
        let path = folder.path().join(format!("{rows}.parquet"));
        let mut written = ticks(rows);
        written.write(&path).unwrap();
        let read = Ticks::read(&path).unwrap();
        assert_eq!(hashes(&read), hashes(&written));
        assert_eq!((read.len(), &read.main), (rows, &None));
        written.main = Some(MainColumns::repeat(rows, "SHFE.cu2203", 3, "abc"));
        written.write(&path).unwrap();
        let read = Ticks::read(&path).unwrap();
        assert_eq!((read.main, read.trading_day), (written.main, written.trading_day));
    }
}

#[test]
fn the_same_rows_give_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = |name: &str| {
        let path = folder.path().join(name);
        ticks(5_000).write(&path).unwrap();
        std::fs::read(path).unwrap()
    };
    assert_eq!(bytes("one.parquet"), bytes("two.parquet"));
}

#[test]
fn row_groups_do_not_show() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.parquet");
    let written = ticks(140_000);
    written.write(&path).unwrap();
    assert_eq!(hashes(&Ticks::read(&path).unwrap()), hashes(&written));
}

#[test]
fn parts_are_cut_and_joined() {
    let whole = ticks(100);
    let mut joined = whole.slice(0..40);
    joined.append(&whole.slice(40..200)).unwrap();
    assert_eq!(hashes(&joined), hashes(&whole));
    assert_eq!(joined.datetime_ns, whole.datetime_ns);
    assert!(whole.slice(100..100).is_empty() && whole.slice(500..600).is_empty());
    let other = Ticks { symbol: "SHFE.cu2204".to_owned(), ..ticks(1) };
    assert!(joined.append(&other).unwrap_err().to_string().contains("SHFE.cu2204"));
    let main = Ticks { main: Some(MainColumns::repeat(1, "SHFE.cu2203", 0, "")), ..ticks(1) };
    assert!(joined.append(&main).is_err());
}

#[test]
fn what_is_no_table_of_ticks_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ticks.parquet");
    assert!(Ticks::read(&path).unwrap_err().to_string().contains("ticks.parquet"));
    std::fs::write(&path, "symbol,datetime_ns").unwrap();
    assert!(Ticks::read(&path).unwrap_err().to_string().contains("ticks.parquet"));
    let mixed = arrow_array::RecordBatch::try_from_iter([("symbol", ghtrader_market::table::floats(&[1.0]))]).unwrap();
    ghtrader_market::table::write(&path, &mixed, &[("key", "value")]).unwrap();
    let error = Ticks::read(&path).unwrap_err().to_string();
    assert!(error.contains("`symbol`") && error.contains("Float64"), "{error}");
    assert_eq!(ghtrader_market::table::read(&path).unwrap().1, [("key".to_owned(), "value".to_owned())]);
}
