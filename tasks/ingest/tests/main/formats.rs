//! The same rows as CSV, gzipped CSV and Parquet give the same bytes.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, Date32Array, DictionaryArray, Float32Array, Float64Array, Int32Array, Int64Array, LargeStringArray,
    RecordBatch, StringArray, TimestampMicrosecondArray, TimestampNanosecondArray, types::Int8Type,
};
use ghtrader_market::table;

use super::*;

const ROWS: [(&str, i64, i64); 3] = [("cu2203", 0, 71_500), ("cu2203", 1, 71_510), ("cu2204", 1, 71_530)];

/// Index and tick files of a run.
fn everything(done: &Done) -> Vec<Vec<u8>> {
    let file = |contract: &str| std::fs::read(done.path("ticks").join(contract).join("2022-02-18.parquet")).unwrap();
    vec![done.bytes("index").unwrap(), file("SHFE.cu2203"), file("SHFE.cu2204")]
}

/// The rows as a Parquet file, where some columns have another type.
fn parquet(symbols: ArrayRef, stamps: (&str, ArrayRef), numbers: fn(Vec<f64>) -> ArrayRef, days: ArrayRef) -> Done {
    let of = |value: fn(&(&str, i64, i64)) -> f64| numbers(ROWS.iter().map(value).collect());
    let columns = [
        ("symbol", symbols),
        (stamps.0, stamps.1),
        ("last_price", of(|row| row.2 as f64)),
        ("volume", of(|_| 100.0)),
        ("open_interest", of(|_| 5_000.0)),
        ("bid_price1", of(|row| row.2 as f64)),
        ("bid_volume1", of(|_| 3.0)),
        ("ask_price1", of(|row| row.2 as f64 + 10.0)),
        ("ask_volume1", of(|_| 4.0)),
        ("trading_day", days),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ticks");
    table::write(&path, &RecordBatch::try_from_iter(columns).unwrap(), &[]).unwrap();
    ingest(&path, &copper()).unwrap()
}

fn stamps() -> Vec<i64> {
    ROWS.iter().map(|row| NINE + row.1 * HALF_SECOND).collect()
}

#[test]
fn every_format_gives_the_same_bytes() {
    let plain = everything(&ingest_bytes(csv(&ROWS), &copper()).unwrap());
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gz, csv(&ROWS).as_bytes()).unwrap();
    assert_eq!(everything(&ingest_bytes(gz.finish().unwrap(), &copper()).unwrap()), plain);
    let windows = format!("\u{feff}{}", csv(&ROWS).replace('\n', "\r\n"));
    assert_eq!(everything(&ingest_bytes(windows, &copper()).unwrap()), plain);

    let names: Vec<String> = ROWS.iter().map(|row| format!("SHFE.{}", row.0)).collect();
    let days: ArrayRef = Arc::new(Int64Array::from(vec![20_220_218; 3]));
    let done = parquet(
        Arc::new(StringArray::from(names.clone())),
        ("datetime_ns", Arc::new(Int64Array::from(stamps()))),
        |values| Arc::new(Float64Array::from(values)),
        days,
    );
    assert_eq!(everything(&done)[1..], plain[1..], "only the line numbers of the index may differ");
    let done = parquet(
        Arc::new(LargeStringArray::from(names.clone())),
        ("datetime_nano", Arc::new(TimestampNanosecondArray::from(stamps()).with_timezone("UTC"))),
        |values| Arc::new(Float32Array::from_iter(values.into_iter().map(|value| Some(value as f32)))),
        Arc::new(StringArray::from(vec!["2022-02-18", "20220218", ""])),
    );
    assert_eq!(everything(&done), plain);
    let keys: DictionaryArray<Int8Type> = names.iter().map(String::as_str).collect();
    let micros: Vec<i64> = stamps().into_iter().map(|stamp| stamp / 1_000).collect();
    let done = parquet(
        Arc::new(keys),
        ("datetime", Arc::new(TimestampMicrosecondArray::from(micros))),
        |values| Arc::new(Int32Array::from_iter(values.into_iter().map(|value| Some(value as i32)))),
        Arc::new(Date32Array::from(vec![19_041; 3])),
    );
    assert_eq!(everything(&done), plain);
}

#[test]
fn a_canonical_file_can_be_ingested_again() {
    let first = ingest_bytes(csv(&ROWS), &copper()).unwrap();
    let path = first.path("ticks").join("SHFE.cu2203").join("2022-02-18.parquet");
    let again = ingest(&path, &copper()).unwrap();
    let bytes = |done: &Done| std::fs::read(done.path("ticks").join("SHFE.cu2203").join("2022-02-18.parquet")).unwrap();
    assert_eq!(bytes(&again), bytes(&first));
}

#[test]
fn columns_of_another_type_are_refused_by_name() {
    let columns: [(&str, ArrayRef); 9] = [
        ("symbol", Arc::new(StringArray::from(vec!["SHFE.cu2203"]))),
        ("datetime_ns", Arc::new(Float64Array::from(vec![1.0]))),
        ("last_price", table::floats(&[1.0])),
        ("volume", table::floats(&[1.0])),
        ("open_interest", table::floats(&[1.0])),
        ("bid_price1", table::floats(&[1.0])),
        ("bid_volume1", table::floats(&[1.0])),
        ("ask_price1", table::floats(&[1.0])),
        ("ask_volume1", table::floats(&[1.0])),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ticks");
    table::write(&path, &RecordBatch::try_from_iter(columns).unwrap(), &[]).unwrap();
    let message = format!("{:#}", ingest(&path, &copper()).err().unwrap());
    assert!(message.contains("ticks/a.csv") && message.contains("Float64") && message.contains("int64"), "{message}");
}
