//! The server dies while rows come in.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use ghtrader_store::rows::digest;
use ghtrader_store::{Slice, Table, open};

use crate::Stores;
use crate::made::{Drawn, rows, ticks};

const KILLS: u64 = 10;
const CU: &str = "SHFE.cu2203";

/// A writer stores slice after slice while the server is killed and started again, ten times, at drawn moments. What `put` has
/// acknowledged is there after every start, each row once; and so is everything in the end.
pub(crate) fn ten_kills_lose_no_row_and_double_none(stores: &Stores) {
    let place = stores.questdb();
    let address = place.behind().unwrap().address();
    let acknowledged: Mutex<Vec<(Slice, usize)>> = Mutex::new(Vec::new());
    let enough = AtomicBool::new(false);
    let count = |slice: &Slice| {
        let market = place.market.replace('\'', "''");
        let query = format!(
            "SELECT count(), count_distinct(datetime_ns) FROM ghtrader_ticks_raw_v2 \
             WHERE market = '{market}' AND trading_day = '{}' AND lake_version = 'v2'",
            slice.day
        );
        let found = place.behind().unwrap().rows(&query);
        (found[0][0].as_i64().unwrap(), found[0][1].as_i64().unwrap())
    };
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let store = open(&address).unwrap();
            for number in 0.. {
                if enough.load(Ordering::SeqCst) {
                    break;
                }
                let slice = Slice { day: slice_day(number), ..base(&place.market) };
                let made = rows(&ticks(CU, slice.day, 40_000, number.into()));
                let there = store.put(&slice, &made).unwrap();
                assert_eq!(digest(CU, &there).unwrap(), digest(CU, &made).unwrap());
                acknowledged.lock().unwrap().push((slice, made.num_rows()));
            }
        });
        let mut drawn = Drawn(20_261_122);
        let mut had = 0;
        for _ in 0..KILLS {
            // Something is written between two kills, on however slow a machine; then at a drawn moment of what follows.
            let begun = Instant::now();
            while acknowledged.lock().unwrap().len() <= had {
                assert!(
                    begun.elapsed() < Duration::from_secs(120) && !writer.is_finished(),
                    "nothing is acknowledged any more"
                );
                sleep(Duration::from_millis(10));
            }
            sleep(Duration::from_millis(drawn.next() % 500));
            place.behind().unwrap().kill();
            let before: Vec<_> = acknowledged.lock().unwrap().clone();
            had = before.len();
            place.behind().unwrap().start_again();
            for (slice, made) in before {
                assert_eq!(count(&slice), (made as i64, made as i64), "{slice}");
            }
        }
        enough.store(true, Ordering::SeqCst);
        writer.join().unwrap();
    });
    let acknowledged = acknowledged.into_inner().unwrap();
    assert!(acknowledged.len() as u64 >= KILLS);
    println!("  {KILLS} kills, {} slices of 40,000 rows", acknowledged.len());
    for (slice, made) in &acknowledged {
        assert_eq!(count(slice), (*made as i64, *made as i64), "{slice}");
    }
}

fn base(market: &str) -> Slice {
    let day = "2021-01-04".parse().unwrap();
    Slice { table: Table::TicksRaw, market: market.to_owned(), symbol: CU.to_owned(), day, variant: String::new() }
}

fn slice_day(number: u32) -> ghtrader_market::Day {
    let first: ghtrader_market::Day = "2021-01-04".parse().unwrap();
    first.plus(i32::try_from(number).unwrap())
}
