//! What can be wrong with market data or with what describes it.

use std::path::PathBuf;

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// An error about market data; its text says what, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk said no; the message names the path.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A Parquet file that cannot be read or written.
    #[error("{}: not a table that can be read or written: {source}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What the Parquet library says.
        source: parquet::errors::ParquetError,
    },
    /// A table without the columns or types that it should have.
    #[error("{}: {what}", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Rows of two instruments in one table.
    #[error("rows of `{other}` cannot join a table of `{symbol}`: one table holds one symbol")]
    Symbols {
        /// The table's.
        symbol: String,
        /// The one that does not belong.
        other: String,
    },
    /// A main-contract table and a plain one were joined, or a row range lies outside the table.
    #[error("tables do not fit together: {0}")]
    Shape(String),
    /// A price between two ticks.
    #[error("price {price} is {off:.3} of a tick away from a multiple of the tick {tick}")]
    OffTick {
        /// The price as read.
        price: f64,
        /// The tick.
        tick: String,
        /// Distance to the nearest multiple, in ticks.
        off: f64,
    },
    /// A tick size that is not a positive decimal number.
    #[error("{0} is no tick size: write a positive decimal number, such as 10 or 0.02")]
    TickSize(String),
    /// A text that is not a day.
    #[error("`{0}` is no day: write 2022-02-18")]
    Day(String),
    /// A text that is not a time of day.
    #[error("`{0}` is no time of day: write 09:00:00, or 25:00:00 for one o'clock the next morning")]
    Time(String),
    /// A text that is not a contract.
    #[error("`{0}` is no contract: write EXCHANGE.code, such as SHFE.cu2203")]
    Contract(String),
    /// A variety or contract that the market does not have.
    #[error("`{symbol}` is no variety or contract of this market, which has {there}: write `cu` or `SHFE.cu2203`")]
    Symbol {
        /// What was asked for.
        symbol: String,
        /// The varieties with their exchanges.
        there: String,
    },
    /// A contract of which the rule of listing says nothing.
    #[error(
        "the code of {contract} does not say year and month of delivery as {variety}2203 does, so `listing.months` of \
         market.yaml cannot be told of it: name its days under `listing.contracts`"
    )]
    Delivery {
        /// `CZCE.CF205`.
        contract: String,
        /// `CF`.
        variety: String,
    },
    /// A file that the list of a market's files should not have.
    #[error("the file `{file}` is outside the market folder `{root}`: `files` should be files(root ~ '/**')")]
    Outside {
        /// The file.
        file: String,
        /// The market folder.
        root: String,
    },
    /// A session that ends before it begins.
    #[error("the session {0} to {1} ends before it begins: after midnight, count on: 25:00:00")]
    Session(String, String),
    /// A name that is no time zone.
    #[error("`{0}` is no time zone: write a name of the IANA database, such as America/Chicago, or `utc_offset`")]
    Zone(String),
    /// Two sessions of which the second does not come after the first.
    #[error(
        "the session {1} does not come after {0}: name them in the order of trading, without overlap; those that open from \
         18:00 on are the night's, before the day's"
    )]
    SessionOrder(String, String),
    /// Something in `market.yaml` that does not fit.
    #[error("{}: {what}", path.display())]
    Market {
        /// The file.
        path: PathBuf,
        /// What is wrong, where, and what would be right.
        what: String,
    },
}
