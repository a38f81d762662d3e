//! The runner's executable.

use std::process::ExitCode;

fn main() -> ExitCode {
    // The supervisor is this program too, and what a cluster runs, so that there is one file to install. They are not for people.
    match std::env::args_os().nth(1) {
        Some(word) if word == "__supervise" => ghtrader::execute::supervise(),
        Some(word) if word == "__job" => ghtrader::execute::execute_job(),
        Some(word) if word == "__pilot" => ghtrader::execute::run_pilot(),
        _ => ghtrader::cli::main(),
    }
}
