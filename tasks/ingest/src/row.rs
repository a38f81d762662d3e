//! A row as a source has it, and what can be wrong with a source.

use std::sync::Arc;

use ghtrader_market::{Day, VALUES, Values};

/// A row before cleaning.
#[derive(Clone, Debug)]
pub struct Raw {
    /// Its line in the file (the header is line 1), or its row where there are no lines, from 1.
    pub line: u64,
    /// The contract, resolved where the symbol is a main series.
    pub contract: Arc<str>,
    /// The trading day that the source states.
    pub day: Option<Day>,
    /// UTC nanoseconds.
    pub datetime_ns: i64,
    /// The values as they stand; NaN where there is none.
    pub values: Values,
}

impl Raw {
    /// One without anything.
    pub(crate) fn none() -> Self {
        Self { line: 0, contract: Arc::from(""), day: None, datetime_ns: 0, values: [f64::NAN; VALUES] }
    }
}

/// A source that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Something in one line.
    #[error("{file}:{line}: {what}")]
    Line {
        /// The file, relative to the market folder.
        file: String,
        /// The line; the header is line 1.
        line: u64,
        /// What is wrong, and what would be right.
        what: String,
    },
    /// Something about the whole file.
    #[error("{file}: {what}")]
    File {
        /// The file, relative to the market folder.
        file: String,
        /// What is wrong, and what would be right.
        what: String,
    },
}
