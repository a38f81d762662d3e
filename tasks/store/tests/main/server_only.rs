//! What a server alone can do wrong, or can be done wrong with it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use arrow_array::{Float64Array, Int64Array};
use ghtrader_store::{Slice, Table, open};

use crate::made::{batch, line, opening, rows, ticks};
use crate::server::Server;
use crate::{ROOT, Stores};

const CU: &str = "SHFE.cu2203";
const DAY: &str = "2022-02-18";

pub(crate) fn a_row_that_somebody_added_is_put_away(stores: &Stores) {
    let place = stores.questdb();
    let slice = place.slice(Table::TicksRaw, CU, DAY);
    let made = rows(&ticks(CU, slice.day, 300, 9));
    let (stored, _) = place.store.keep(slice.clone(), &made).unwrap();
    place.behind().unwrap().execute(
        &format!(
            "INSERT INTO ghtrader_ticks_raw_v2 (ts, symbol, ticks_lake, lake_version, market, trading_day, datetime_ns, last_price) \
             VALUES ('2022-02-18T01:00:01.000007Z', '{CU}', 'raw', 'v2', '{}', '2022-02-18', {}, 1)",
            place.market.replace('\'', "''"),
            opening(slice.day) + 1_000_007_000
        ),
        "ghtrader_ticks_raw_v2",
    );
    let why = place.store.changed(&stored).unwrap().unwrap();
    assert!(why.ends_with("has 301 rows and had 300"), "{why}");
    place.store.put(&slice, &made).unwrap();
    assert_eq!(place.store.changed(&stored).unwrap(), None);
    let server = place.behind().unwrap();
    let away = "SELECT count() FROM ghtrader_ticks_raw_v2 WHERE lake_version = 'v2 replaced' AND last_price = 1";
    assert_eq!(server.rows(away)[0][0], 1, "it is not lost, only put away");
}

/// Rows of a slice under other stamps than ours: of one of the tables with a line for a day, and of one with a row for a stamp.
pub(crate) fn a_row_under_another_stamp_is_put_away(stores: &Stores) {
    let place = stores.questdb();
    let market = place.market.replace('\'', "''");
    for table in [Table::SymbolDayIndex, Table::MainSchedule, Table::TicksRaw] {
        let slice = place.slice(table, CU, DAY);
        let made = if table.by_stamp() { rows(&ticks(CU, slice.day, 30, 9)) } else { line("ours") };
        let (stored, _) = place.store.keep(slice.clone(), &made).unwrap();
        let (name, lake) = (table.name(), table.lake());
        let strange = match table {
            Table::TicksRaw => vec![("", String::new()), (", datetime_ns", format!(", {}", opening(slice.day)))],
            Table::MainSchedule => vec![(", variant", ", ''".to_owned())],
            _ => vec![("", String::new())],
        };
        for (column, value) in strange {
            place.behind().unwrap().execute(
                &format!(
                    "INSERT INTO {name} (ts, symbol, ticks_lake, lake_version, market, trading_day{column}) \
                     VALUES ('2022-02-18T07:00:01.000007Z', '{CU}', '{lake}', 'v2', '{market}', '2022-02-18'{value})"
                ),
                name,
            );
            assert!(place.store.changed(&stored).unwrap().is_some(), "{slice}");
            assert_eq!(place.store.put(&slice, &made).unwrap(), made);
            assert_eq!(place.store.changed(&stored).unwrap(), None);
        }
    }
}

pub(crate) fn a_table_that_somebody_else_made_is_refused(stores: &Stores) {
    let place = stores.questdb();
    let table = "ghtrader_no_data_days_v2";
    let slice = place.slice(Table::NoDataDays, CU, DAY);
    let made = batch(vec![("rows", Arc::new(Int64Array::from(vec![1])), false)]);
    place.behind().unwrap().rows(&format!("DROP TABLE IF EXISTS {table}"));
    let refused = |columns: &str, part: &str| {
        place
            .behind()
            .unwrap()
            .rows(&format!("CREATE TABLE {table} (ts TIMESTAMP, {columns}) TIMESTAMP(ts) PARTITION BY YEAR WAL"));
        let error = place.store.put(&slice, &made).unwrap_err().to_string();
        assert!(error.contains(table) && error.contains(part), "{error}");
        place.behind().unwrap().rows(&format!("DROP TABLE {table}"));
    };
    refused("symbol SYMBOL", "`symbol` is not one of its keys");
    refused("symbol LONG", "`symbol` should be SYMBOL and is LONG");
    place.store.put(&slice, &made).unwrap();
    let other = batch(vec![("rows", Arc::new(Float64Array::from(vec![1.0])), false)]);
    let error = place.store.put(&slice, &other).unwrap_err().to_string();
    assert!(error.contains("`rows` should be DOUBLE and is LONG"), "{error}");
}

pub(crate) fn columns_of_tomorrow_are_added(stores: &Stores) {
    let place = stores.questdb();
    let slice = place.slice(Table::Features, CU, DAY);
    let with = |name| {
        batch(vec![
            ("datetime_ns", Arc::new(Int64Array::from(vec![opening(slice.day)])), false),
            (name, Arc::new(Float64Array::from(vec![1.5])), true),
        ])
    };
    let (stored, _) = place.store.keep(slice.clone(), &with("ofi_1")).unwrap();
    let next = Slice { variant: "tomorrow".to_owned(), ..slice.clone() };
    assert_eq!(place.store.put(&next, &with("ofi_2")).unwrap(), with("ofi_2"));
    assert_eq!(place.store.changed(&stored).unwrap(), None, "what was there is as it was");
    place.behind().unwrap().execute("ALTER TABLE ghtrader_features_v2 DROP COLUMN ofi_1", "ghtrader_features_v2");
    let why = place.store.changed(&stored).unwrap().unwrap();
    assert!(why.contains("no column `ofi_1`"), "{why}");
    place.store.put(&slice, &with("ofi_1")).unwrap();
    assert_eq!(place.store.changed(&stored).unwrap(), None);
}

pub(crate) fn names_that_it_does_not_take_are_refused(stores: &Stores) {
    let place = stores.questdb();
    let slice = place.slice(Table::Features, CU, DAY);
    for name in ["a.b", "", "ts", "row_hash", "a-b", "ü"] {
        let made = batch(vec![
            ("datetime_ns", Arc::new(Int64Array::from(vec![opening(slice.day)])), false),
            (name, Arc::new(Float64Array::from(vec![1.5])), true),
        ]);
        let error = place.store.put(&slice, &made).unwrap_err().to_string();
        assert!(error.contains(&format!("column `{name}`")), "{error}");
    }
    let twice = batch(vec![("datetime_ns", Arc::new(Int64Array::from(vec![1, 1])), false)]);
    assert!(place.store.put(&slice, &twice).unwrap_err().to_string().contains("do not ascend"));
}

pub(crate) fn a_server_that_is_away_is_told(_: &Stores) {
    let store = open("questdb::http::addr=127.0.0.1:9;retry_timeout=300;").unwrap();
    let slice = Slice {
        table: Table::TicksRaw,
        market: String::new(),
        symbol: CU.to_owned(),
        day: DAY.parse().unwrap(),
        variant: String::new(),
    };
    let error = store.digest(&slice).unwrap_err().to_string();
    assert!(error.contains("127.0.0.1:9") && error.contains("cannot be reached"), "{error}");
    assert!(store.put(&slice, &rows(&ticks(CU, slice.day, 10, 1))).is_err());
}

/// Tells its columns, and does with the requests to write, of which it counts the first as 1, what it is told to.
fn fake(write: impl Fn(usize, TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let columns = r#"{"dataset":[["ts","TIMESTAMP",true],["symbol","SYMBOL",true],["ticks_lake","SYMBOL",true],
        ["lake_version","SYMBOL",true],["market","SYMBOL",true],["trading_day","DATE",true],["note","SYMBOL",false]]}"#;
    thread::spawn(move || {
        let mut writes = 0;
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).unwrap() > 0 {}
            match head.split(['?', ' ']).nth(1) {
                Some("/exec") => answer(&stream.into_inner(), "200 OK", columns),
                Some("/settings") => answer(&stream.into_inner(), "404 Not Found", ""),
                _ => {
                    writes += 1;
                    write(writes, stream.into_inner());
                }
            }
        }
    });
    format!("questdb::http::addr={address};retry_timeout=2000;")
}

fn answer(mut stream: &TcpStream, status: &str, body: &str) {
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all((head + body).as_bytes()).unwrap();
}

pub(crate) fn a_server_that_hangs_is_waited_for_once(_: &Stores) {
    let held = Mutex::new(Vec::new());
    let store = open(&fake(move |_, stream| held.lock().unwrap().push(stream))).unwrap();
    let begun = Instant::now();
    store.write(&line_slice(), &line("ours")).unwrap_err();
    let waited = begun.elapsed();
    // A request may take ten seconds; the patience of two is over then.
    println!("  {:.1} s", waited.as_secs_f64());
    assert!(waited < Duration::from_secs(15), "{waited:?}");
}

pub(crate) fn a_server_that_is_busy_is_asked_again(_: &Stores) {
    let busy = |number, stream: TcpStream| match number {
        1 => answer(&stream, "503 Service Unavailable", "busy"),
        // It hangs up.
        2 => drop(stream),
        _ => answer(&stream, "204 No Content", ""),
    };
    open(&fake(busy)).unwrap().write(&line_slice(), &line("ours")).unwrap();
}

fn line_slice() -> Slice {
    let (market, symbol, day) = ("market".to_owned(), CU.to_owned(), DAY.parse().unwrap());
    Slice { table: Table::SymbolDayIndex, market, symbol, day, variant: String::new() }
}

pub(crate) fn a_password_is_asked_for(_: &Stores) {
    let server =
        Server::start_with(Path::new(ROOT), &[("QDB_HTTP_USER", "desk"), ("QDB_HTTP_PASSWORD", "of;tests")]).unwrap();
    let slice = Slice {
        table: Table::TicksRaw,
        market: String::new(),
        symbol: CU.to_owned(),
        day: DAY.parse().unwrap(),
        variant: String::new(),
    };
    let made = rows(&ticks(CU, slice.day, 10, 1));
    let put = |secrets: &[(&str, &str)]| {
        let named = |name: &str| secrets.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        ghtrader_store::open_with(&server.address(), named).and_then(|store| store.put(&slice, &made))
    };
    for wrong in [&[][..], &[("QUESTDB_USER", "desk"), ("QUESTDB_PASSWORD", "wrong1")]] {
        let error = put(wrong).unwrap_err().to_string();
        assert!(error.contains("QUESTDB_PASSWORD") && !error.contains("wrong1"), "{error}");
    }
    assert_eq!(put(&[("QUESTDB_USER", "desk"), ("QUESTDB_PASSWORD", "of;tests")]).unwrap(), made);
}
