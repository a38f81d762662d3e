//! Cells from tick files.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail, ensure};
use ghtrader_kit::Result;
use ghtrader_market::{Cell, file_names};
use globset::{GlobBuilder, GlobMatcher};

use crate::Params;
use crate::wanted::Wanted;

/// The cells of the files that match any of the patterns, by name; none where none of these lies in the days and names the
/// contracts asked for.
pub(crate) fn cells(params: &Params, patterns: &[String], contracts: &Wanted<'_>) -> Result<BTreeMap<String, Cell>> {
    let matchers = patterns.iter().map(|pattern| matcher(pattern)).collect::<Result<Vec<_>>>()?;
    let inside = params.files.iter().map(|file| file_names::inside(&params.root, file));
    let inside = inside.collect::<ghtrader_market::Result<Vec<_>>>()?;
    for (pattern, matcher) in patterns.iter().zip(&matchers) {
        ensure!(inside.iter().any(|file| matcher.is_match(file)), nothing_matches(pattern, &inside));
    }
    let mut cells = BTreeMap::new();
    for file in inside.iter().filter(|file| matchers.iter().any(|matcher| matcher.is_match(file))) {
        if !wanted(params, file) || !contracts.may_be_in(file) {
            continue;
        }
        let name = file.replace('/', ".");
        let cell = Cell { file: Some((*file).to_owned()), synthetic: None };
        if let Some(Cell { file: Some(other), .. }) = cells.insert(name.clone(), cell) {
            bail!("`{other}` and `{file}` would both be the cell `{name}`: rename one of the files");
        }
    }
    Ok(cells)
}

fn matcher(pattern: &str) -> Result<GlobMatcher> {
    let outside = pattern.starts_with('/') || pattern.split('/').any(|part| part == "..");
    ensure!(!outside, "the pattern `{pattern}` leads out of the market folder: write it relative to market.yaml");
    let glob = GlobBuilder::new(pattern).literal_separator(true).build();
    Ok(glob.with_context(|| format!("`{pattern}` is no file pattern"))?.compile_matcher())
}

/// Whether a file may hold ticks of the days asked for: its name holds no date, or the dates overlap with them.
fn wanted(params: &Params, file: &str) -> bool {
    file_names::days(file).is_none_or(|(first, last)| {
        params.from.is_none_or(|from| last >= from) && params.to.is_none_or(|to| first <= to)
    })
}

fn nothing_matches(pattern: &str, inside: &[&str]) -> String {
    let there = match inside {
        [] => "the folder holds no files at all".to_owned(),
        files => format!("the folder holds {} files, such as `{}`", files.len(), files[files.len() - 1]),
    };
    format!("no file matches `{pattern}` ({there}): put tick files there, or correct `files` in market.yaml")
}
