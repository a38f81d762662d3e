//! Where the ticks of a cell lie.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::{Contract, Day, Error, Result};

/// The canonical files in a folder, by contract and trading day: `<contract>/<trading day>.parquet`.
///
/// # Errors
/// Where anything else lies there, or the disk refuses; names it.
pub fn tick_files(folder: &Path) -> Result<BTreeMap<(String, Day), PathBuf>> {
    let mut files = BTreeMap::new();
    for contract in fs_err::read_dir(folder)? {
        let contract = contract?;
        let name = contract.file_name().to_string_lossy().into_owned();
        let strange = |path: &Path| Error::Table {
            path: path.to_owned(),
            what: "tick files lie as <contract>/<trading day>.parquet: SHFE.cu2203/2022-02-18.parquet".to_owned(),
        };
        if !contract.file_type()?.is_dir() || Contract::parse(&name).is_err() {
            return Err(strange(&contract.path()));
        }
        for file in fs_err::read_dir(contract.path())? {
            let path = file?.path();
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let day = file.strip_suffix(".parquet").and_then(|day| day.parse().ok()).ok_or_else(|| strange(&path))?;
            files.insert((name.clone(), day), path);
        }
    }
    Ok(files)
}
