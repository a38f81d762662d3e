//! A cache that machines share, against real stores: a folder, gofakes3, and versitygw, which checks signatures. Each machine
//! is a project with a cache of its own.
//!
//! The servers are built by `server.sh install`, as `./x test` does; where they are not to be had the tests are not run, and
//! that is said. With `S3_TESTS=required` that is a failure.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test may fail anywhere, and this is the program that tells of it"
)]

mod daily;
mod harm;
#[path = "../harness/mod.rs"]
mod harness;
mod machines;
mod refs;
#[path = "../e2e/space.rs"]
#[allow(dead_code, reason = "what the other tests use of it")]
mod space;
mod store;

use std::process::{Command, ExitCode};

use harness::Test;
use store::Stores;

const TESTS: &[Test<Stores>] = &[
    ("what_one_machine_has_done_another_does_not", machines::what_one_machine_has_done_another_does_not),
    ("only_what_is_needed_is_brought", machines::only_what_is_needed_is_brought),
    ("folders_come_as_they_were", machines::folders_come_as_they_were),
    ("large_files_go_in_parts", machines::large_files_go_in_parts),
    ("a_dry_run_predicts_and_writes_nothing", machines::a_dry_run_predicts_and_writes_nothing),
    ("machines_at_once_execute_each_task_once", machines::machines_at_once_execute_each_task_once),
    ("a_killed_machine_keeps_nobody_waiting", machines::a_killed_machine_keeps_nobody_waiting),
    ("what_was_done_alone_is_shared_later", machines::what_was_done_alone_is_shared_later),
    ("push_and_pull_bring_all", machines::push_and_pull_bring_all),
    ("what_waits_for_another_machine_keeps_no_lock", machines::what_waits_for_another_machine_keeps_no_lock),
    ("results_that_differ_are_both_kept", machines::results_that_differ_are_both_kept),
    ("what_is_damaged_there_is_made_again", harm::what_is_damaged_there_is_made_again),
    ("what_is_lost_there_is_made_again", harm::what_is_lost_there_is_made_again),
    ("a_manifest_that_is_none_does_not_count", harm::a_manifest_that_is_none_does_not_count),
    ("a_store_that_is_not_there_is_told", harm::a_store_that_is_not_there_is_told),
    ("a_store_that_goes_away_loses_nothing", harm::a_store_that_goes_away_loses_nothing),
    ("a_run_goes_on_where_a_store_goes_away", harm::a_run_goes_on_where_a_store_goes_away),
    ("a_store_that_was_emptied_is_filled_again", harm::a_store_that_was_emptied_is_filled_again),
    ("an_endpoint_that_is_none_is_told", harm::an_endpoint_that_is_none_is_told),
    ("a_wrong_secret_is_refused", harm::a_wrong_secret_is_refused),
    ("what_is_known_of_the_store_may_be_lost", harm::what_is_known_of_the_store_may_be_lost),
    ("a_ref_is_the_same_everywhere", refs::a_ref_is_the_same_everywhere),
    ("refs_moved_at_once_lose_no_move", refs::refs_moved_at_once_lose_no_move),
    ("refs_moved_apart_are_told", refs::refs_moved_apart_are_told),
    ("daily_goes_on_from_the_cache_of_another_run", daily_goes_on_from_the_cache_of_another_run),
];

fn daily_goes_on_from_the_cache_of_another_run(stores: &Stores) {
    let on = |command: &mut Command| {
        command.args(["--gpus", "4"]);
    };
    daily::from_the_cache_of_another_run(&stores.one("gofakes3"), on, false);
}

fn main() -> ExitCode {
    harness::run("stores that machines share", "S3_TESTS", TESTS, Stores::start, |_| {})
}
