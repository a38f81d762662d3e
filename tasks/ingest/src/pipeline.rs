//! How rows get from a source into days on several cores: in rounds, in each of which three things go on at once.
//!
//! - Pieces of the source are read, and their rows are taken out and checked, the pieces among each other in parallel.
//! - The rows of the round before are put into their days, one after the other, for their order counts.
//! - The days that were closed in the round before are written, their columns in parallel.
//!
//! So memory holds the pieces and rows of two rounds beside the open days. What comes out does not depend on the number of
//! threads.

use anyhow::Context as _;
use ghtrader_kit::Result;
use rayon::prelude::*;

use crate::Raw;
use crate::check::{Checked, Checker};
use crate::clean::{Cleaned, Cleaner};
use crate::days::Files;
use crate::source::{Piece, Pieces};

/// Pieces of a round for each thread: enough that the threads end at about the same time.
const PIECES: usize = 4;

/// Rows of a piece that were taken out and checked.
#[derive(Default)]
struct Rows {
    ours: Vec<Checked>,
    foreign: u64,
    /// What is wrong with the row after these.
    error: Option<anyhow::Error>,
}

/// Takes all rows of a source; `name` is the source's, for messages.
///
/// # Errors
/// The first in the order of the source: where it cannot be read, or a row cannot be taken. Where the disk refuses a day,
/// or the rows do not fit the specification.
pub(crate) fn run(name: &str, mut pieces: Pieces, files: Files<'_>) -> Result<Cleaned> {
    let mut cleaner = Cleaner::new(files);
    let mut rows = read(name, &mut pieces, files);
    while !rows.is_empty() {
        let overdue = cleaner.days.take_overdue();
        let (put, (written, next)) = rayon::join(
            || put(rows, &mut cleaner),
            || rayon::join(|| files.write(&overdue), || read(name, &mut pieces, files)),
        );
        put?;
        cleaner.days.written(written?);
        rows = next;
    }
    cleaner.finish().with_context(|| name.to_owned())
}

/// Puts rows into their days.
fn put(rows: Vec<Rows>, cleaner: &mut Cleaner<'_>) -> Result<()> {
    for Rows { ours, foreign, error } in rows {
        cleaner.foreign(foreign);
        ours.into_iter().try_for_each(|row| cleaner.push(row))?;
        error.map_or(Ok(()), Err)?;
    }
    Ok(())
}

/// Reads the next pieces, and checks their rows.
fn read(name: &str, pieces: &mut Pieces, files: Files<'_>) -> Vec<Rows> {
    let round: Vec<_> = pieces.by_ref().take(PIECES * rayon::current_num_threads()).collect();
    round.into_par_iter().map(|piece| check(name, piece, files)).collect()
}

fn check(name: &str, piece: Result<Box<dyn Piece>>, files: Files<'_>) -> Rows {
    let size = piece.as_ref().map_or(0, |piece| piece.size());
    let mut rows = Rows { ours: Vec::with_capacity(size), ..Rows::default() };
    let mut checker = Checker::new(files.spec, files.calendar);
    let mut take = |row: &mut Raw| {
        match checker.check(row).with_context(|| name.to_owned())? {
            Some(row) => rows.ours.push(row),
            None => rows.foreign += 1,
        }
        Ok(())
    };
    rows.error = piece.and_then(|piece| piece.rows(&mut take)).err();
    rows
}
