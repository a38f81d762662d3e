//! A model that asks for promotion, or the one in service: its folder and its report.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use ghtrader_kit::Result;
use ghtrader_market::Regime;
use serde::Deserialize;
use serde_json::Value;

const REPORT: &str = "report.json";

/// A model with its report.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// What the gather calls it: the values of its axes.
    pub(crate) name: String,
    /// Its model folder.
    pub(crate) model: PathBuf,
    /// The parts of its report that are compared.
    pub(crate) view: View,
    report: Value,
}

/// What promotion itself has to know of a report; gates may ask for any other number by its path.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct View {
    pub(crate) model: String,
    pub(crate) horizon: u32,
    pub(crate) regime: Regime,
    pub(crate) days: Vec<DayLoss>,
}

/// The loss of one trading day.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct DayLoss {
    pub(crate) day: String,
    pub(crate) rows: usize,
    pub(crate) logloss: f64,
}

impl Candidate {
    /// The candidates of a gather: every `…/report.json` under `reports`, with `…/model` under `models`, by name.
    pub(crate) fn gathered(reports: &Path, models: &Path) -> Result<Vec<Self>> {
        let mut found = Vec::new();
        walk(reports, Path::new(""), &mut found)?;
        let candidate =
            |path: PathBuf| Self::read(name_of(&path), &reports.join(&path), models.join(&path).join("model"));
        let candidates = found.into_iter().map(candidate).collect::<Result<Vec<_>>>()?;
        ensure!(!candidates.is_empty(), "there is no candidate: no {REPORT} under {}", reports.display());
        Ok(candidates)
    }

    /// The model in service, as [`crate::Promote`] wrote it: report and model in one folder.
    pub(crate) fn in_service(folder: &Path) -> Result<Self> {
        Self::read("incumbent".to_owned(), folder, folder.to_owned())
    }

    fn read(name: String, folder: &Path, model: PathBuf) -> Result<Self> {
        let path = folder.join(REPORT);
        let parse = || -> Result<(Value, View)> {
            let report: Value = serde_json::from_str(&fs_err::read_to_string(&path)?)?;
            let view = View::deserialize(&report)?;
            Ok((report, view))
        };
        let (report, view) = parse().with_context(|| format!("{} is not a report", path.display()))?;
        Ok(Self { name, model, view, report })
    }

    /// The number at a path such as `mean.logloss_skill`; None where the report says null.
    ///
    /// # Errors
    /// Where the report has nothing there, or no number: then the gate is misspelt.
    pub(crate) fn figure(&self, metric: &str) -> Result<Option<f64>> {
        let value = self.report.pointer(&format!("/{}", metric.replace('.', "/")));
        match value.with_context(|| format!("the report of `{}` has no `{metric}`", self.name))? {
            Value::Null => Ok(None),
            value => Ok(Some(value.as_f64().with_context(|| format!("`{metric}` is not a number: {value}"))?)),
        }
    }

    /// Copies model and report into `folder`, which is empty.
    pub(crate) fn copy_to(&self, folder: &Path) -> Result<()> {
        for entry in fs_err::read_dir(&self.model)? {
            let entry = entry?;
            ensure!(entry.file_type()?.is_file(), "{} is not a plain file", entry.path().display());
            fs_err::write(folder.join(entry.file_name()), fs_err::read(entry.path())?)?;
        }
        let mut text = serde_json::to_string_pretty(&self.report)?;
        text.push('\n');
        Ok(fs_err::write(folder.join(REPORT), text)?)
    }
}

/// Collects the folders below `root` that hold a report, in order of their names, as paths relative to it.
fn walk(root: &Path, relative: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let mut folders = Vec::new();
    for entry in fs_err::read_dir(root.join(relative))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            folders.push(relative.join(entry.file_name()));
        } else if entry.file_name() == REPORT {
            found.push(relative.to_owned());
        }
    }
    folders.sort();
    folders.iter().try_for_each(|folder| walk(root, folder, found))
}

/// `model=logistic` → `logistic`; of several axes, their values joined by `/`.
fn name_of(path: &Path) -> String {
    let values = path.iter().map(|part| {
        let part = part.to_string_lossy();
        part.split_once('=').map_or(part.to_string(), |(_, value)| value.to_owned())
    });
    values.collect::<Vec<_>>().join("/")
}
