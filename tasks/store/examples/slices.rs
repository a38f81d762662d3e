//! What `./x bench data` measures of a store: the slices of canonical tick files, by one process.
//!
//! usage: slices ADDRESS make|write|put|get LIST, where LIST has a line with the path `<contract>/<day>.parquet` for each slice.

use std::path::{Path, PathBuf};

use ghtrader_market::table;
use ghtrader_store::rows::columns;
use ghtrader_store::{Error, Result, Slice, Store, Table, open};

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [address, what, list] = words.as_slice() else {
        return Err(Error::Rows("usage: slices ADDRESS make|write|put|get LIST".to_owned()));
    };
    let store = open(address)?;
    let list = fs_err::read_to_string(list)?;
    let mut files = list.lines().map(PathBuf::from);
    match what.as_str() {
        "make" => files.next().map_or(Ok(()), |file| each(&*store, "write", &file, true)),
        _ => files.try_for_each(|file| each(&*store, what, &file, false)),
    }
}

/// One slice; of a table that is to be made only, no row.
fn each(store: &dyn Store, what: &str, file: &Path, empty: bool) -> Result<()> {
    let (rows, _) = table::read(file)?;
    let slice = slice(file)?;
    let rows = if empty { rows.slice(0, 0) } else { rows };
    match what {
        "write" => store.write(&slice, &rows),
        "put" => store.put(&slice, &rows).map(drop),
        "get" => match store.get(&slice, &columns(&rows)?)? {
            Some(there) if there.num_rows() == rows.num_rows() => Ok(()),
            _ => Err(Error::Differs(Box::new(slice))),
        },
        other => Err(Error::Rows(format!("`{other}` is none of make, write, put, get"))),
    }
}

fn slice(file: &Path) -> Result<Slice> {
    let wrong = || Error::Rows(format!("{} is not <contract>/<day>.parquet", file.display()));
    let name =
        |path: Option<&std::ffi::OsStr>| path.and_then(|name| name.to_str()).map(str::to_owned).ok_or_else(wrong);
    Ok(Slice {
        table: Table::TicksRaw,
        market: "bench".to_owned(),
        symbol: name(file.parent().and_then(Path::file_name))?,
        day: name(file.file_stem())?.parse()?,
        variant: String::new(),
    })
}
