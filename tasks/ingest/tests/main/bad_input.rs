//! Files that cannot be read: the message names file, line, and what would be right, and nothing is written.

use super::*;

/// A file, and words of the message.
fn cases() -> Vec<(String, Vec<&'static str>)> {
    let good = csv(&[("cu2203", 0, 71_500), ("cu2203", 1, 71_510)]);
    let change = |from: &str, to: &str| good.replacen(from, to, 1);
    let stamp = (NINE + HALF_SECOND).to_string();
    vec![
        (String::new(), vec!["ticks/a.csv", "empty"]),
        (change("bid_price1", "bid_pricel"), vec!["ticks/a.csv:1", "bid_pricel", "did you mean `bid_price1`"]),
        (change(",ask_volume1", ",ask_volume1,fee"), vec!["ticks/a.csv:1", "fee", "ignore_columns"]),
        (change("volume,", "volume,volume,"), vec!["ticks/a.csv:1", "`volume` is there twice"]),
        (change("datetime_ns", "id"), vec!["no column `datetime_ns`"]),
        (change("symbol", "id"), vec!["no column `symbol`"]),
        (change("last_price", "highest"), vec!["no column `last_price`"]),
        (change(&stamp, "2022-02-18 09:00:00"), vec!["ticks/a.csv:3", "2022-02-18 09:00:00", "nanoseconds"]),
        // Milliseconds would be 1970-01-20; what is never filled, 1970-01-01.
        (change(&stamp, &stamp[..13]), vec!["ticks/a.csv: row 3", "1645146000500 is 1970-01-01", "another unit"]),
        (change(&stamp, "0"), vec!["ticks/a.csv: row 3", "1970-01-01", "never filled"]),
        (change("71510,100", "71510,many"), vec!["ticks/a.csv:3", "`volume`", "`many`"]),
        (change("71510,100", "71510"), vec!["ticks/a.csv:3", "8 fields", "9"]),
        // Cut in the last number, which is one all the same.
        (good[..good.len() - 1].to_owned(), vec!["ticks/a.csv:3", "cut off", "line break"]),
        (good[..good.len() - 4].to_owned(), vec!["ticks/a.csv:3", "8 fields"]),
        (good.lines().next().unwrap().to_owned(), vec!["ticks/a.csv:1", "cut off"]),
        (change("SHFE.cu2203", "cu2203"), vec!["ticks/a.csv: row 2", "`cu2203`", "EXCHANGE.code"]),
        (change("SHFE.cu2203", "KQ.m@SHFE.cu"), vec!["ticks/a.csv:2", "underlying_contract"]),
    ]
}

#[test]
fn messages_name_the_place_and_the_remedy() {
    for (text, words) in cases() {
        let error = ingest_bytes(&text, &copper()).err().expect(&text);
        let message = format!("{error:#}");
        for word in words {
            assert!(message.contains(word), "`{word}` is not in `{message}`, for:\n{text}");
        }
    }
}

#[test]
fn bytes_that_are_no_text_are_refused_with_their_line() {
    let good = csv(&[("cu2203", 0, 71_500), ("cu2203", 1, 71_510)]);
    for (text, words) in [("71510,100", ["ticks/a.csv:3", "`last_price`"]), ("SHFE.cu2203", ["ticks/a.csv:2", "UTF-8"])]
    {
        let at = good.find(text).unwrap();
        let mut bytes = good.clone().into_bytes();
        bytes[at + 1] = 0xff;
        let message = format!("{:#}", ingest_bytes(bytes, &copper()).err().expect(text));
        for word in words {
            assert!(message.contains(word), "`{word}` is not in `{message}`");
        }
    }
}

#[test]
fn half_a_level_is_refused() {
    let text =
        csv(&[("cu2203", 0, 71_500)]).replace("ask_volume1", "ask_volume1,bid_price2").replace(",4\n", ",4,71490\n");
    let message = format!("{:#}", ingest_bytes(text, &copper()).err().unwrap());
    assert!(message.contains("level 2") && message.contains("bid_volume2"), "{message}");
}

#[test]
fn a_file_that_is_cut_off_is_refused() {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gz, csv(&[("cu2203", 0, 71_500); 2_000]).as_bytes()).unwrap();
    let bytes = gz.finish().unwrap();
    let message = format!("{:#}", ingest_bytes(&bytes[..bytes.len() / 2], &copper()).err().unwrap());
    assert!(message.contains("ticks/a.csv") && message.contains("cut off"), "{message}");
    let message = format!("{:#}", ingest_bytes(b"PAR1 and no more", &copper()).err().unwrap());
    assert!(message.contains("ticks"), "{message}");
}

#[test]
fn a_parquet_file_that_is_cut_off_is_refused_whole() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut ticks = ghtrader_market::Ticks::new("SHFE.cu2203");
    for step in 0..5_000 {
        let mut values = [f64::NAN; ghtrader_market::VALUES];
        values[0] = 71_500.0 + 10.0 * f64::from(step % 7);
        values[3] = f64::from(step);
        let datetime_ns = NINE + i64::from(step) * HALF_SECOND;
        let trading_day = "2022-02-18".parse().unwrap();
        ticks.push(&ghtrader_market::Tick { trading_day, datetime_ns, values });
    }
    ticks.write(file.path()).unwrap();
    let whole = std::fs::read(file.path()).unwrap();
    assert!(ingest_bytes(&whole, &copper()).is_ok());
    for length in [4, 100, whole.len() / 2, whole.len() - 1] {
        let message = format!("{:#}", ingest_bytes(&whole[..length], &copper()).err().unwrap());
        assert!(message.contains("ticks/a.csv"), "{length} of {}: {message}", whole.len());
    }
}

#[test]
fn a_specification_that_fits_no_row_is_an_error() {
    let silver = TicksSpec { tick: spec_of(MARKET, "cu").tick, ..copper() };
    let text = csv(&[("cu2203", 0, 71_503), ("cu2203", 1, 71_507)]);
    let message = format!("{:#}", ingest_bytes(text, &silver).err().unwrap());
    assert!(message.contains("not one of 2 rows") && message.contains("market.yaml"), "{message}");
}

#[test]
fn one_stamp_that_runs_ahead_does_not_throw_away_the_rest_in_silence() {
    let mut rows = vec![("cu2203", 0, 71_500), ("cu2203", 3_000, 71_500)];
    rows.extend((1..60).map(|step| ("cu2203", step, 71_500)));
    let message = format!("{:#}", ingest_bytes(csv(&rows), &copper()).err().unwrap());
    assert!(message.contains("59 of 61 rows cannot be kept") && message.contains("the one before it"), "{message}");
}

#[test]
fn a_cell_and_its_input_have_to_agree() {
    let bench = |cell: serde_json::Value| {
        Bench::<Ingest>::new().unwrap().input_json("cell", &cell).unwrap().input_json("spec", &copper()).unwrap()
    };
    let run = |cell| format!("{:#}", bench(cell).axis("cell", "a").run(json!({})).err().unwrap());
    assert!(run(json!({ "file": "ticks/a.csv", "synthetic": null })).contains("`ticks` is not there"));
    assert!(run(json!({ "file": null, "synthetic": null })).contains("either `file` or `synthetic`"));
    assert!(run(json!({ "file": null, "synthetic": null, "x": 1 })).contains("x"));
    let no_axis = bench(json!({ "file": null, "synthetic": null })).run(json!({})).err().unwrap();
    assert!(format!("{no_axis:#}").contains("`cell`"));
}
