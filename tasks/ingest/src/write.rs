//! Clean days into files, and what the index says of them.

use std::path::Path;

use ghtrader_kit::Result;
use ghtrader_market::{Calendar, CellIndex, DayIndex, RowHashes, Ticks, TicksSpec};

use crate::clean::{CleanDay, Cleaned};

/// Writes `<contract>/<day>.parquet` for each day that has rows; gives the index.
pub(crate) fn days(folder: &Path, cell: &str, spec: &TicksSpec, cleaned: Cleaned) -> Result<CellIndex> {
    let calendar = spec.calendar()?;
    let mut rows = Vec::with_capacity(cleaned.days.len());
    for ((contract, day), clean) in cleaned.days {
        if !clean.ticks.is_empty() {
            let path = folder.join(&*contract).join(format!("{day}.parquet"));
            fs_err::create_dir_all(folder.join(&*contract))?;
            clean.ticks.write(&path)?;
        }
        let facts = facts(&contract, spec, &calendar, clean);
        rows.push(DayIndex { day, ..facts });
    }
    let Cleaned { read, foreign, quarantine, .. } = Cleaned { days: Default::default(), ..cleaned };
    Ok(CellIndex { cell: cell.to_owned(), read, foreign, rows, quarantine })
}

fn facts(contract: &str, spec: &TicksSpec, calendar: &Calendar, clean: CleanDay) -> DayIndex {
    let CleanDay { ticks, duplicates, replaced, quarantined } = clean;
    let mut hashes = RowHashes::default();
    ticks.row_hashes(contract).for_each(|hash| hashes.add(hash));
    let off = |ns: &&i64| !spec.sessions.contain(calendar.local(**ns).1);
    DayIndex {
        contract: contract.to_owned(),
        day: ticks.trading_day.first().copied().unwrap_or_default(),
        rows: ticks.len() as u64,
        first_ns: ticks.datetime_ns.first().copied(),
        last_ns: ticks.datetime_ns.last().copied(),
        close_oi: close_oi(spec, calendar, &ticks),
        volume: ticks.volume.iter().rev().copied().find(|volume| !volume.is_nan()),
        l5_present: l5_present(&ticks),
        hash_min: hashes.min,
        hash_max: hashes.max,
        hash_sum: hashes.sum,
        duplicates,
        replaced,
        off_session: ticks.datetime_ns.iter().filter(off).count() as u64,
        quarantined,
    }
}

/// The open interest of the last row with a positive one in the day part, at or before the cutoff.
fn close_oi(spec: &TicksSpec, calendar: &Calendar, ticks: &Ticks) -> Option<f64> {
    let rows = ticks.datetime_ns.iter().zip(&ticks.trading_day).zip(&ticks.open_interest);
    let counts =
        |((ns, day), _): &((&i64, &ghtrader_market::Day), &f64)| calendar.in_day_part(**ns, **day, spec.close_cutoff);
    rows.rev().filter(|row| *row.1 > 0.0).find(counts).map(|(_, oi)| *oi)
}

/// Whether any price or volume of levels 2 to 5 is positive.
fn l5_present(ticks: &Ticks) -> bool {
    let columns = ticks.columns();
    columns.iter().skip(10).any(|column| column.iter().any(|value| *value > 0.0))
}
