//! What can go wrong with a store.

use crate::Slice;

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Whether what is stored is not what this crate writes, which to write it again would mend.
    pub(crate) fn is_damage(&self) -> bool {
        use ghtrader_market::Error::{Parquet, Table};
        matches!(self, Self::File(Parquet { .. } | Table { .. }))
    }
}

/// An error of a store; its text says what, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address that is none.
    #[error("the store `{address}`: {what}")]
    Address {
        /// As it was given, without what could be secret.
        address: String,
        /// What is wrong, and what would be right.
        what: String,
    },
    /// Nobody said which.
    #[error(
        "no store is given: say `-p store=parquet::/data/lake` or `-p 'store=questdb::http::addr=127.0.0.1:9000;'`, or write \
         `store:` into market.yaml"
    )]
    NoStore,
    /// A market without a name.
    #[error(
        "the market has no name, and a store holds several markets, each under its own: write `name: shfe` (which no other market \
         there has) into market.yaml"
    )]
    NoName,
    /// A server that does not answer, or says no.
    #[error("QuestDB at {server}: {what}")]
    Server {
        /// Its address.
        server: String,
        /// What it said, or why it cannot be reached.
        what: String,
    },
    /// A table of the server that is not as it should be.
    #[error("QuestDB at {server}: the table {table}: {what}")]
    Table {
        /// The server's address.
        server: String,
        /// The table.
        table: &'static str,
        /// What is wrong, and what to do.
        what: String,
    },
    /// A column that cannot be stored, or is missing in the store.
    #[error("{slice}: {what}")]
    Column {
        /// The slice.
        slice: Box<Slice>,
        /// Which, and why.
        what: String,
    },
    /// Rows that cannot be a slice.
    #[error("{0}")]
    Rows(String),
    /// A store that gives back other rows than it was given.
    #[error("{0}: the store gives other rows back than it was given; is somebody else writing this slice?")]
    Differs(Box<Slice>),
    /// A file of a folder.
    #[error(transparent)]
    File(#[from] ghtrader_market::Error),
    /// The disk said no; the message names the path.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}
