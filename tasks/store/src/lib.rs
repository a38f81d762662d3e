//! Stores: where rows lie for everybody, beside the cache. A folder of Parquet files, or a QuestDB, with the same content.
//!
//! | module | holds |
//! |---|---|
//! | [`Table`] | the tables, and what identifies a row of each |
//! | [`Slice`], [`Digest`], [`Stored`] | what a table holds of one symbol and day, and how its content is told |
//! | [`rows`] | the rows of a slice: their hashes, their columns |
//! | [`Store`] | the trait; [`open`] gives the one of an address, [`open_for`] for a market |
//! | [`Folder`], [`QuestDb`] | the two |
//!
//! A library of its own, not part of `ghtrader-market`: what speaks HTTP and TLS should not be in the code version of kinds
//! that only read files.

mod address;
mod error;
mod folder;
mod questdb;
pub mod rows;
mod slice;
mod store;
mod table;

pub use address::{open, open_for, open_with};
pub use error::{Error, Result};
pub use folder::Folder;
pub use questdb::QuestDb;
pub use slice::{Column, Digest, Of, Slice, Stored};
pub use store::{Store, changed};
pub use table::{LAKE_VERSION, Table};
