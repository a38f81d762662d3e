//! The two stores, by the same tests: a folder, and a real QuestDB that is started for them.
//!
//! `./x test` installs it; where it is not to be had the tests are not run, and that is said. With `QUESTDB_TESTS=required`
//! that is a failure.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may fail anywhere, and this is the program that tells of it"
)]

#[path = "../../../../tests/harness/mod.rs"]
mod harness;
mod killed;
mod made;
mod same;
#[path = "../../../../tests/questdb/server.rs"]
#[allow(dead_code, reason = "what the other tests use of it")]
mod server;
mod server_only;

use std::cell::RefCell;
use std::path::Path;
use std::process::ExitCode;

use ghtrader_store::{Slice, Store, Table, open};
use harness::Test;
use server::Server;

/// Where the repository lies.
pub(crate) const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

pub(crate) struct Stores {
    server: RefCell<Server>,
    folder: tempfile::TempDir,
    used: RefCell<u32>,
}

/// One store, as a test sees it.
pub(crate) struct Place<'a> {
    pub(crate) store: Box<dyn Store>,
    /// A market that nobody else writes.
    pub(crate) market: String,
    server: Option<&'a RefCell<Server>>,
    folder: &'a Path,
}

impl Stores {
    fn start() -> Result<Self, String> {
        let server = RefCell::new(Server::start(Path::new(ROOT))?);
        Ok(Self { server, folder: tempfile::tempdir().map_err(|error| error.to_string())?, used: RefCell::new(0) })
    }

    pub(crate) fn each(&self, test: impl Fn(&Place<'_>)) {
        println!("  a folder");
        test(&self.folder());
        println!("  QuestDB");
        test(&self.questdb());
    }

    pub(crate) fn folder(&self) -> Place<'_> {
        self.place(&format!("parquet::{}", self.folder.path().display()), None)
    }

    pub(crate) fn questdb(&self) -> Place<'_> {
        let address = self.server.borrow().address();
        self.place(&address, Some(&self.server))
    }

    fn place<'a>(&'a self, address: &str, server: Option<&'a RefCell<Server>>) -> Place<'a> {
        *self.used.borrow_mut() += 1;
        let market = format!("market/{}'s", self.used.borrow());
        Place { store: open(address).unwrap(), market, server, folder: self.folder.path() }
    }
}

impl Place<'_> {
    pub(crate) fn slice(&self, table: Table, symbol: &str, day: &str) -> Slice {
        let (market, symbol, variant) = (self.market.clone(), symbol.to_owned(), String::new());
        Slice { table, market, symbol, day: day.parse().unwrap(), variant }
    }

    /// The server, or the folder.
    pub(crate) fn behind(&self) -> Result<std::cell::RefMut<'_, Server>, &Path> {
        self.server.map(RefCell::borrow_mut).ok_or(self.folder)
    }
}

const TESTS: &[Test<Stores>] = &[
    ("what_is_written_is_read_to_the_bit", same::what_is_written_is_read_to_the_bit),
    ("writing_twice_changes_nothing", same::writing_twice_changes_nothing),
    ("other_rows_take_the_place_of_all", same::other_rows_take_the_place_of_all),
    ("what_is_not_there_is_none", same::what_is_not_there_is_none),
    ("a_slice_has_no_part_in_its_neighbours", same::a_slice_has_no_part_in_its_neighbours),
    ("what_is_taken_out_is_gone_and_nothing_else", same::what_is_taken_out_is_gone_and_nothing_else),
    ("whom_a_line_belongs_to_is_known", same::whom_a_line_belongs_to_is_known),
    ("what_somebody_changed_is_noticed_and_made_again", same::what_somebody_changed_is_noticed_and_made_again),
    ("what_somebody_dropped_is_noticed_and_made_again", same::what_somebody_dropped_is_noticed_and_made_again),
    ("a_file_that_is_damaged_is_noticed_and_made_again", same::a_file_that_is_damaged_is_noticed_and_made_again),
    ("writers_at_once_leave_one_slice", same::writers_at_once_leave_one_slice),
    ("the_digest_is_that_of_the_day_index", same::the_digest_is_that_of_the_day_index),
    ("a_row_that_somebody_added_is_put_away", server_only::a_row_that_somebody_added_is_put_away),
    ("a_row_under_another_stamp_is_put_away", server_only::a_row_under_another_stamp_is_put_away),
    ("a_table_that_somebody_else_made_is_refused", server_only::a_table_that_somebody_else_made_is_refused),
    ("columns_of_tomorrow_are_added", server_only::columns_of_tomorrow_are_added),
    ("names_that_it_does_not_take_are_refused", server_only::names_that_it_does_not_take_are_refused),
    ("a_server_that_is_away_is_told", server_only::a_server_that_is_away_is_told),
    ("a_server_that_hangs_is_waited_for_once", server_only::a_server_that_hangs_is_waited_for_once),
    ("a_server_that_is_busy_is_asked_again", server_only::a_server_that_is_busy_is_asked_again),
    ("a_password_is_asked_for", server_only::a_password_is_asked_for),
    ("ten_kills_lose_no_row_and_double_none", killed::ten_kills_lose_no_row_and_double_none),
];

fn main() -> ExitCode {
    harness::run("stores", "QUESTDB_TESTS", TESTS, Stores::start, |_| {})
}
