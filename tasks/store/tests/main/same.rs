//! What both stores do.

use std::path::{Path, PathBuf};
use std::thread;

use ghtrader_market::{RowHashes, row_hash};
use ghtrader_store::rows::{columns, digest};
use ghtrader_store::{Digest, Slice, Table};

use crate::made::{line, line_of, odd, rows, ticks};
use crate::{Place, Stores};

const CU: &str = "SHFE.cu2203";
const DAY: &str = "2022-02-18";

pub(crate) fn what_is_written_is_read_to_the_bit(stores: &Stores) {
    stores.each(|place| {
        let slice = place.slice(Table::TicksRaw, CU, DAY);
        let made = rows(&ticks(CU, slice.day, 120_001, 7));
        assert_eq!(place.store.put(&slice, &made).unwrap(), made);
        assert_eq!(place.store.get(&slice, &columns(&made).unwrap()).unwrap().unwrap(), made);
        assert_eq!(place.store.digest(&slice).unwrap(), digest(CU, &made).unwrap());

        let slice = Slice { variant: "v'1".to_owned(), ..place.slice(Table::Labels, "KQ.m@SHFE.cu", DAY) };
        let made = odd(slice.day);
        let (stored, there) = place.store.keep(slice, &made).unwrap();
        // Bits, not numbers: −0 is another one than 0.
        let bits = |batch: &arrow_array::RecordBatch| format!("{batch:?}");
        assert_eq!(bits(&there), bits(&made));
        assert_eq!(there, made);
        assert_eq!((stored.rows, place.store.changed(&stored).unwrap()), (6, None));
    });
}

pub(crate) fn writing_twice_changes_nothing(stores: &Stores) {
    stores.each(|place| {
        let slice = place.slice(Table::TicksRaw, CU, DAY);
        let made = rows(&ticks(CU, slice.day, 1_000, 8));
        let count = |place: &Place<'_>| match place.behind() {
            Ok(server) => {
                let query = "SELECT sequencerTxn FROM wal_tables() WHERE name = 'ghtrader_ticks_raw_v2'";
                server.rows(query)[0][0].as_i64().unwrap()
            }
            Err(folder) => walk(folder),
        };
        place.store.put(&slice, &made).unwrap();
        let before = count(place);
        place.store.put(&slice, &made).unwrap();
        assert_eq!(count(place), before, "it was looked at, not written");
    });
}

/// The times of all files.
fn walk(folder: &Path) -> i64 {
    let modified = |path: &PathBuf| path.metadata().unwrap().modified().unwrap();
    let time = |path: &PathBuf| modified(path).duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    walk_down(folder).iter().map(|path| (time(path) % 1_000_000_007) as i64).sum()
}

/// All files.
fn walk_down(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk_down(&path) } else { vec![path] }).collect()
}

pub(crate) fn other_rows_take_the_place_of_all(stores: &Stores) {
    stores.each(|place| {
        let slice = place.slice(Table::TicksRaw, CU, DAY);
        for (rows_made, seed) in [(500, 1), (200, 2), (800, 3), (800, 4)] {
            let made = rows(&ticks(CU, slice.day, rows_made, seed));
            assert_eq!(place.store.put(&slice, &made).unwrap(), made);
            assert_eq!(place.store.digest(&slice).unwrap(), digest(CU, &made).unwrap());
        }
    });
}

pub(crate) fn what_is_not_there_is_none(stores: &Stores) {
    stores.each(|place| {
        let made = rows(&ticks(CU, DAY.parse().unwrap(), 10, 1));
        let slice = place.slice(Table::TicksMainL5, CU, DAY);
        assert_eq!(place.store.get(&slice, &columns(&made).unwrap()).unwrap(), None);
        assert_eq!(place.store.digest(&slice).unwrap(), Digest::of([]));
    });
}

pub(crate) fn a_slice_has_no_part_in_its_neighbours(stores: &Stores) {
    stores.each(|place| {
        for table in Table::ALL {
            let slice = place.slice(table, CU, DAY);
            let mut all = vec![
                Slice { day: slice.day.plus(1), ..slice.clone() },
                Slice { symbol: "SHFE.cu2204".to_owned(), ..slice.clone() },
                Slice { market: format!("{}2", place.market), ..slice.clone() },
            ];
            // Whatever is made by a roll rule or of a set of factors.
            if matches!(table, Table::TicksMainL5 | Table::MainSchedule | Table::Features | Table::Labels) {
                all.push(Slice { variant: "other".to_owned(), ..slice.clone() });
            }
            all.push(slice);
            let made: Vec<_> = all.iter().zip(1..).map(|(slice, seed)| some(slice, seed)).collect();
            for (slice, made) in all.iter().zip(&made) {
                place.store.put(slice, made).unwrap();
            }
            for (slice, made) in all.iter().zip(&made) {
                assert_eq!(place.store.digest(slice).unwrap(), digest(&slice.symbol, made).unwrap(), "{slice}");
            }
        }
    });
}

/// Rows that fit the slice's table.
fn some(slice: &Slice, seed: u64) -> arrow_array::RecordBatch {
    if slice.table.by_stamp() {
        // Of odd seeds, each draws others.
        rows(&ticks(&slice.symbol, slice.day, 50, 2 * seed + 1))
    } else {
        line(&seed.to_string())
    }
}

pub(crate) fn what_is_taken_out_is_gone_and_nothing_else(stores: &Stores) {
    stores.each(|place| {
        for table in Table::ALL {
            let slice = place.slice(table, CU, DAY);
            let other = Slice { symbol: "SHFE.cu2204".to_owned(), ..slice.clone() };
            place.store.remove(&slice).unwrap();
            let (stored, _) = place.store.keep(slice.clone(), &some(&slice, 1)).unwrap();
            let (kept, _) = place.store.keep(other.clone(), &some(&other, 2)).unwrap();
            place.store.remove(&slice).unwrap();
            place.store.remove(&slice).unwrap();
            assert_eq!(place.store.digest(&slice).unwrap(), Digest::of([]), "{slice}");
            assert!(place.store.changed(&stored).unwrap().unwrap().ends_with("is gone"));
            assert_eq!(place.store.changed(&kept).unwrap(), None);
            place.store.put(&slice, &some(&slice, 1)).unwrap();
            assert_eq!(place.store.changed(&stored).unwrap(), None, "and it can come back");
        }
    });
}

pub(crate) fn whom_a_line_belongs_to_is_known(stores: &Stores) {
    stores.each(|place| {
        for (table, column) in [(Table::SymbolDayIndex, "cell"), (Table::NoDataDays, "variety")] {
            let day =
                |days: i32| Slice { day: place.slice(table, CU, DAY).day.plus(days), ..place.slice(table, CU, DAY) };
            let put = |slice: &Slice, owner: &str| place.store.put(slice, &line_of(column, owner)).map(drop).unwrap();
            let owned = |owner: &str| -> Vec<i32> {
                let owned = place.store.owned(table, &place.market, owner).unwrap();
                owned.iter().map(|(symbol, day)| (symbol == CU).then_some(day.0).unwrap()).collect()
            };
            assert!(owned("a/1'.csv").is_empty());
            (0..3).for_each(|days| put(&day(days), "a/1'.csv"));
            put(&day(3), "b");
            put(&Slice { market: format!("{}2", place.market), ..day(4) }, "a/1'.csv");
            let days = |days: &[i32]| -> Vec<i32> { days.iter().map(|days| day(*days).day.0).collect() };
            assert_eq!((owned("a/1'.csv"), owned("b")), (days(&[0, 1, 2]), days(&[3])));
            place.store.remove(&day(0)).unwrap();
            put(&day(1), "b");
            assert_eq!((owned("a/1'.csv"), owned("b")), (days(&[2]), days(&[1, 3])), "taken out, and taken over");
            put(&day(0), "a/1'.csv");
            assert_eq!(owned("a/1'.csv"), days(&[0, 2]), "and it can come back");
            if let Err(folder) = place.behind() {
                let marks = walk_down(folder)
                    .into_iter()
                    .filter(|path| path.components().any(|part| part.as_os_str() == ".of"));
                marks.for_each(|mark| std::fs::remove_file(mark).unwrap());
                put(&day(2), "a/1'.csv");
                assert_eq!(owned("a/1'.csv"), days(&[2]), "what is there as it should be is marked again");
            }
        }
    });
}

pub(crate) fn what_somebody_changed_is_noticed_and_made_again(stores: &Stores) {
    stores.each(|place| {
        let slice = place.slice(Table::TicksRaw, CU, DAY);
        let made = ticks(CU, slice.day, 300, 9);
        let (stored, _) = place.store.keep(slice.clone(), &rows(&made)).unwrap();
        assert_eq!(place.store.changed(&stored).unwrap(), None);
        // One value of one row, its hash left as it was.
        match place.behind() {
            Ok(server) => server.execute(
                &format!(
                    "UPDATE ghtrader_ticks_raw_v2 SET ask_volume5 = 1234.5 WHERE market = '{}' AND datetime_ns = {}",
                    place.market.replace('\'', "''"),
                    made.datetime_ns[17]
                ),
                "ghtrader_ticks_raw_v2",
            ),
            Err(folder) => {
                let mut other = made.clone();
                other.book[4].ask_volume[17] = 1234.5;
                other.write(&ghtrader_store::Folder::new(folder.to_owned()).path(&slice)).unwrap();
            }
        }
        let why = place.store.changed(&stored).unwrap().unwrap();
        assert!(why.contains("ghtrader_ticks_raw_v2 of SHFE.cu2203 on 2022-02-18"), "{why}");
        place.store.put(&slice, &rows(&made)).unwrap();
        assert_eq!(place.store.changed(&stored).unwrap(), None);
    });
}

pub(crate) fn what_somebody_dropped_is_noticed_and_made_again(stores: &Stores) {
    stores.each(|place| {
        let slice = place.slice(Table::TicksMainL5, CU, DAY);
        let made = rows(&ticks(CU, slice.day, 300, 9));
        let (stored, _) = place.store.keep(slice.clone(), &made).unwrap();
        match place.behind() {
            Ok(server) => server.execute(
                "ALTER TABLE ghtrader_ticks_main_l5_v2 DROP PARTITION LIST '2022-02-18'",
                "ghtrader_ticks_main_l5_v2",
            ),
            Err(folder) => {
                std::fs::remove_file(ghtrader_store::Folder::new(folder.to_owned()).path(&slice)).unwrap();
            }
        }
        let why = place.store.changed(&stored).unwrap().unwrap();
        assert!(why.ends_with("is gone"), "{why}");
        place.store.put(&slice, &made).unwrap();
        assert_eq!(place.store.changed(&stored).unwrap(), None);
    });
}

pub(crate) fn a_file_that_is_damaged_is_noticed_and_made_again(stores: &Stores) {
    let place = stores.folder();
    let slice = place.slice(Table::SymbolDayIndex, CU, DAY);
    let file = ghtrader_store::Folder::new(place.behind().err().unwrap().to_owned()).path(&slice);
    let made = line_of("cell", "a.csv");
    for damage in [&b"PAR1"[..], b"", b"symbol,datetime_ns\n"] {
        let (stored, _) = place.store.keep(slice.clone(), &made).unwrap();
        std::fs::write(&file, damage).unwrap();
        let why = place.store.changed(&stored).unwrap().unwrap();
        assert!(why.contains("cannot be read"), "{why}");
        let owned = place.store.owned(Table::SymbolDayIndex, &place.market, "a.csv").unwrap();
        assert!(owned.contains(&(CU.to_owned(), slice.day)), "it is still the owner's to mend");
        place.store.put(&slice, &made).unwrap();
        assert_eq!(place.store.changed(&stored).unwrap(), None);
    }
    // What a writer that was killed has left goes when it is an hour old.
    let left = |name: &str, age: u64| {
        let path = file.with_file_name(name);
        let time = std::time::SystemTime::now() - std::time::Duration::from_secs(age);
        std::fs::File::create(&path).unwrap().set_modified(time).unwrap();
        path
    };
    let (old, young) = (left(".newAbCdEf", 4_000), left(".newGhIjKl", 3_000));
    place.store.write(&slice, &made).unwrap();
    assert!(!old.exists() && young.exists(), "the young one may be somebody's");
}

pub(crate) fn writers_at_once_leave_one_slice(stores: &Stores) {
    stores.each(|place| {
        let slice = place.slice(Table::TicksRaw, CU, DAY);
        let made = rows(&ticks(CU, slice.day, 20_000, 5));
        let address = match place.behind() {
            Ok(server) => server.address(),
            Err(folder) => format!("parquet::{}", folder.display()),
        };
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let store = ghtrader_store::open(&address).unwrap();
                    assert_eq!(store.put(&slice, &made).unwrap(), made);
                });
            }
        });
        assert_eq!(place.store.digest(&slice).unwrap(), digest(CU, &made).unwrap());
    });
}

/// The row hash of the market crate is another implementation, with goldens of its own.
pub(crate) fn the_digest_is_that_of_the_day_index(stores: &Stores) {
    stores.each(|place| {
        let slice = place.slice(Table::TicksRaw, CU, DAY);
        let made = ticks(CU, slice.day, 333, 3);
        place.store.put(&slice, &rows(&made)).unwrap();
        let mut hashes = RowHashes::default();
        (0..made.len()).for_each(|row| hashes.add(row_hash(CU, &made.row(row).unwrap())));
        assert_eq!(place.store.digest(&slice).unwrap(), Digest { rows: 333, hashes });
    });
}
