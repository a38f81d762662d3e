//! Tests that share what has to be started for them: one after another, and what cannot be started is said, not passed over.

use std::process::ExitCode;
use std::time::Instant;

/// A test: its name, and what it does with what was started.
pub(crate) type Test<T> = (&'static str, fn(&T));

/// Runs the tests that the arguments name with what `start` gives, which may say why it cannot be had: where the variable
/// `required` is `required`, that is a failure. `failed` tells more after a test that failed.
pub(crate) fn run<T>(
    what: &str,
    required: &str,
    tests: &[Test<T>],
    start: impl FnOnce() -> Result<T, String>,
    failed: impl Fn(&T),
) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let options = ["--list", "--ignored"];
    if arguments.iter().any(|argument| options.contains(&argument.as_str())) {
        return ExitCode::SUCCESS;
    }
    let wanted = |name: &str| {
        let mut words = arguments.iter().filter(|argument| !argument.starts_with('-')).peekable();
        words.peek().is_none() || words.any(|word| name.contains(word.as_str()))
    };
    let tests: Vec<&Test<T>> = tests.iter().filter(|(name, _)| wanted(name)).collect();
    if tests.is_empty() {
        return ExitCode::SUCCESS;
    }
    let started = match start() {
        Ok(started) => started,
        Err(why) => return not_run(what, required, &why, tests.len()),
    };
    println!("\nrunning {} tests against {what}", tests.len());
    let count = tests.iter().filter(|test| !passes(test, &started, &failed)).count();
    drop(started);
    let result = if count == 0 { "ok" } else { "FAILED" };
    println!("\ntest result: {result}. {} passed; {count} failed", tests.len() - count);
    if count == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn passes<T>((name, test): &Test<T>, started: &T, failed: impl Fn(&T)) -> bool {
    let begun = Instant::now();
    let passed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(started))).is_ok();
    if !passed {
        failed(started);
    }
    println!("test {name} ... {} ({:.1} s)", if passed { "ok" } else { "FAILED" }, begun.elapsed().as_secs_f64());
    passed
}

fn not_run(what: &str, required: &str, why: &str, count: usize) -> ExitCode {
    let required = std::env::var_os(required).is_some_and(|value| value == "required");
    println!("\n{}\nNOT RUN: {count} tests against {what}: {why}\n{}", "!".repeat(100), "!".repeat(100));
    println!("\ntest result: {}. 0 passed; 0 failed; {count} not run", if required { "FAILED" } else { "none" });
    if required { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
