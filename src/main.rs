//! The runner's executable.

use std::process::ExitCode;

fn main() -> ExitCode {
    // The supervisor is this program too, so that there is one file to install. It is not for people.
    if std::env::args_os().nth(1).is_some_and(|word| word == "__supervise") {
        return ghtrader::execute::supervise();
    }
    ghtrader::cli::main()
}
