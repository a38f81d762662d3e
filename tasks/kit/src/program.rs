//! The main function of a program of kinds.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use crate::{CONTRACT, Kind, Program, REQUEST_VARIABLE, Request, Result};

/// Answers `describe`, `run` and `probe`. `code` gives the code version of a kind by name.
///
/// Exit status: 0 done, 1 the task failed, 2 the request is not one that this program takes.
pub fn main(kinds: &[Kind], code: fn(&str) -> &'static str) -> ExitCode {
    let word = std::env::args().nth(1).unwrap_or_default();
    let answer = match word.as_str() {
        "describe" => describe(kinds, code).map_err(Failure::Request),
        "run" => find(kinds)
            .map_err(Failure::Request)
            .and_then(|(kind, request)| (kind.run)(&request).map_err(Failure::Task)),
        "probe" => find(kinds).map_err(Failure::Request).and_then(|(kind, request)| {
            (kind.probe)(&request).and_then(|probe| print(&serde_json::to_string(&probe)?)).map_err(Failure::Task)
        }),
        _ => Err(Failure::Request(anyhow::anyhow!(
            "usage: describe | run | probe. This program holds task kinds; `ghtrader run FLOW` starts it"
        ))),
    };
    match answer {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Task(error)) => fail(&error, 1),
        Err(Failure::Request(error)) => fail(&error, 2),
    }
}

enum Failure {
    Task(anyhow::Error),
    Request(anyhow::Error),
}

#[expect(clippy::print_stderr, reason = "the end of the task's log is where its error is looked for")]
fn fail(error: &anyhow::Error, status: u8) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::from(status)
}

#[expect(clippy::print_stdout, reason = "the answer of the contract")]
fn print(text: &str) -> Result<()> {
    println!("{text}");
    Ok(())
}

fn describe(kinds: &[Kind], code: fn(&str) -> &'static str) -> Result<()> {
    let kinds = kinds.iter().map(|kind| (kind.describe)(code(kind.name))).collect::<Result<_>>()?;
    print(&serde_json::to_string(&Program { contract: CONTRACT, kinds })?)
}

fn find(kinds: &[Kind]) -> Result<(Kind, Request)> {
    let path = std::env::var_os(REQUEST_VARIABLE)
        .map(PathBuf::from)
        .with_context(|| format!("{REQUEST_VARIABLE} does not name a request"))?;
    let text = fs_err::read_to_string(&path)?;
    let request: Request =
        serde_json::from_str(&text).with_context(|| format!("{} is not a request", path.display()))?;
    if request.contract != CONTRACT {
        bail!("the request speaks version {} of the contract, this program version {CONTRACT}", request.contract);
    }
    let Some(kind) = kinds.iter().find(|kind| kind.name == request.kind) else {
        let known: Vec<_> = kinds.iter().map(|kind| kind.name).collect();
        bail!("no kind `{}` here; there are: {}", request.kind, known.join(", "));
    };
    Ok((*kind, request))
}
