//! `ghtrader report RUN -o FILE.html`: a run as one HTML page.

use std::path::{Path, PathBuf};

use clap::Args;

use super::error::print;
use super::{CliError, Exit, Project};
use crate::provenance::{find_run, run_page};
use crate::report::page;

#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// A run's id, or its last digits; `last` for the newest
    run: String,
    /// Where to put the page; a file that lies there is replaced
    #[arg(short, value_name = "FILE")]
    output: PathBuf,
}

pub(super) fn report(project: &Project, args: &ReportArgs) -> Result<Exit, CliError> {
    let cache = project.look()?;
    let run = find_run(&cache, &args.run)?;
    replace(&args.output, &page(&run_page(&cache, &run)?))?;
    if !project.quiet {
        print(&format!("{run} → {}", args.output.display()));
    }
    Ok(Exit::Done)
}

/// Writes the page beside its place and gives it its name in one step.
fn replace(path: &Path, html: &str) -> Result<(), CliError> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if name.is_empty() || path.is_dir() {
        return Err(CliError::usage(
            format!("{} is not the name of a file", path.display()),
            "name one: `-o run.html`",
        ));
    }
    // A link stays, and what it leads to is written; to a device or a pipe there is only writing.
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if std::fs::metadata(&target).is_ok_and(|metadata| !metadata.is_file()) {
        return Ok(fs_err::write(&target, html)?);
    }
    let path = target.as_path();
    let half = path.with_file_name(format!(".{name}.{}", ulid::Ulid::generate()));
    let written = fs_err::write(&half, html).and_then(|()| fs_err::rename(&half, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&half);
    }
    Ok(written?)
}
