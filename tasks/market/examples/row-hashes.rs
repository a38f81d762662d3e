//! Row-hash aggregates of canonical tick files, which the argument lists, a path a line: rows, minimum, maximum and sum of
//! each. To see whether two stores hold the same days, and for `./x bench data`.

#![allow(clippy::print_stdout, reason = "the answer")]

use std::path::Path;
use std::process::ExitCode;

use ghtrader_market::{Error, RowHashes, Ticks};
use rayon::prelude::*;

fn main() -> ExitCode {
    let listed = std::env::args().nth(1).and_then(|path| fs_err::read_to_string(path).ok());
    let Some(listed) = listed else {
        println!("usage: row-hashes LIST");
        return ExitCode::FAILURE;
    };
    let paths: Vec<&Path> = listed.lines().map(Path::new).collect();
    let lines: Vec<Result<String, Error>> = paths.into_par_iter().map(line).collect();
    for line in lines {
        match line {
            Ok(line) => println!("{line}"),
            Err(error) => {
                println!("error: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn line(path: &Path) -> Result<String, Error> {
    let ticks = Ticks::read(path)?;
    let hashes = RowHashes::of(&ticks, &ticks.symbol);
    Ok(format!("{} {} {} {}", ticks.len(), hashes.min, hashes.max, hashes.sum))
}
