//! `--executor slurm` against a real Slurm: one node on this machine with four declared devices, started for these tests.
//!
//! It needs root and a Slurm (`server.sh install`, as `./x test` does); where they are not to be had the tests are not run, and
//! that is said. With `SLURM_TESTS=required` that is a failure.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test may fail anywhere, and this is the program that tells of it"
)]

mod cluster;
mod crashes;
#[path = "../shared/daily.rs"]
mod daily;
#[path = "../harness/mod.rs"]
mod harness;
mod runs;
#[path = "../e2e/space.rs"]
#[allow(dead_code, reason = "what the other tests use of it")]
mod space;
#[path = "../shared/store.rs"]
#[allow(dead_code, reason = "what the other tests use of it")]
mod store;

use std::process::{Command, ExitCode};

use cluster::Cluster;
use harness::Test;

const TESTS: &[Test<Cluster>] = &[
    ("a_flow_has_the_same_outputs_as_locally", runs::a_flow_has_the_same_outputs_as_locally),
    ("four_tasks_at_a_time_have_a_device_each", runs::four_tasks_at_a_time_have_a_device_each),
    ("short_tasks_run_in_one_pilot", runs::short_tasks_run_in_one_pilot),
    ("a_task_that_fails_is_told_as_locally", runs::a_task_that_fails_is_told_as_locally),
    ("what_no_node_has_is_refused_before_anything_runs", runs::what_no_node_has_is_refused_before_anything_runs),
    ("a_timeout_ends_all_of_a_task", runs::a_timeout_ends_all_of_a_task),
    ("a_slurm_that_is_not_there_is_told", runs::a_slurm_that_is_not_there_is_told),
    ("a_killed_runner_finds_its_jobs", crashes::a_killed_runner_finds_its_jobs),
    (
        "a_runner_that_is_killed_again_and_again_finds_what_has_ended",
        crashes::a_runner_that_is_killed_again_and_again_finds_what_has_ended,
    ),
    (
        "a_runner_that_is_killed_halfway_into_the_cache_goes_on_there",
        crashes::a_runner_that_is_killed_halfway_into_the_cache_goes_on_there,
    ),
    ("ctrl_c_twice_ends_what_a_pilot_does", crashes::ctrl_c_twice_ends_what_a_pilot_does),
    ("ctrl_c_twice_cancels", crashes::ctrl_c_twice_cancels),
    ("ctrl_c_once_takes_back_what_waits", crashes::ctrl_c_once_takes_back_what_waits),
    (
        "a_run_on_this_machine_waits_for_the_jobs_of_a_killed_one",
        crashes::a_run_on_this_machine_waits_for_the_jobs_of_a_killed_one,
    ),
    ("a_node_that_fails_is_made_up_for", crashes::a_node_that_fails_is_made_up_for),
    ("what_somebody_else_cancels_has_failed", crashes::what_somebody_else_cancels_has_failed),
    ("a_killed_runner_finds_what_its_pilot_does", crashes::a_killed_runner_finds_what_its_pilot_does),
    ("a_controller_that_forgets_is_made_up_for", crashes::a_controller_that_forgets_is_made_up_for),
    ("daily_goes_on_from_the_cache_of_another_run", daily_goes_on_from_the_cache_of_another_run),
];

fn daily_goes_on_from_the_cache_of_another_run(cluster: &Cluster) {
    let stores = store::Stores::gofakes3().unwrap();
    let on = |command: &mut Command| {
        command.args(["--executor", "slurm"]).env("SLURM_CONF", cluster.conf());
    };
    daily::from_the_cache_of_another_run(&stores.one("gofakes3"), on, true);
}

fn main() -> ExitCode {
    harness::run("a real Slurm", "SLURM_TESTS", TESTS, Cluster::start, |cluster| println!("{}", cluster.logs()))
}
