//! Runs a kind on files in a temporary folder, as the runner would, for tests:
//!
//! ```ignore
//! let bench = Bench::<Schedule>::new()?.input_json("index", &index)?.axis("variety", "cu");
//! let done = bench.run(json!({ "rule": "oi" }))?;
//! let days: Days = done.json("days")?;
//! ```

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tempfile::TempDir;

use crate::{CONTRACT, PathType, Request, Result, Task, kind};

/// A kind and the files it will read.
pub struct Bench<T> {
    folder: TempDir,
    request: Request,
    task: PhantomData<T>,
}

/// The outputs of a run; they vanish with it.
pub struct Done {
    _folder: TempDir,
    outputs: BTreeMap<String, PathBuf>,
}

impl<T: Task> Bench<T> {
    /// An empty bench.
    pub fn new() -> Result<Self> {
        let request = Request { contract: CONTRACT, kind: T::NAME.to_owned(), cpus: 1.0, ..Request::default() };
        Ok(Self { folder: tempfile::tempdir()?, request, task: PhantomData })
    }

    /// An input that lies somewhere already.
    #[must_use]
    pub fn input(mut self, name: &str, path: impl Into<PathBuf>) -> Self {
        self.request.inputs.insert(name.to_owned(), path.into());
        self
    }

    /// An input file with these bytes.
    pub fn input_bytes(self, name: &str, bytes: impl AsRef<[u8]>) -> Result<Self> {
        let path = self.folder.path().join("in").join(name);
        fs_err::create_dir_all(self.folder.path().join("in"))?;
        fs_err::write(&path, bytes)?;
        Ok(self.input(name, path))
    }

    /// An input file with this value as JSON.
    pub fn input_json(self, name: &str, value: &impl Serialize) -> Result<Self> {
        self.input_bytes(name, serde_json::to_vec(value)?)
    }

    /// The value of an axis.
    #[must_use]
    pub fn axis(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.request.matrix.insert(name.to_owned(), value.into());
        self
    }

    /// Runs the kind with these parameters (`with`).
    pub fn run(mut self, params: Value) -> Result<Done> {
        let kind = kind::<T>();
        let out = self.folder.path().join("out");
        fs_err::create_dir_all(&out)?;
        for (name, spec) in (kind.describe)("bench")?.outputs {
            let path = out.join(&spec.path);
            match spec.r#type {
                PathType::Folder => fs_err::create_dir_all(&path)?,
                PathType::File | PathType::Json => fs_err::create_dir_all(path.parent().unwrap_or(&out))?,
            }
            self.request.outputs.insert(name, path);
        }
        self.request.params = params;
        (kind.run)(&self.request)?;
        Ok(Done { _folder: self.folder, outputs: self.request.outputs })
    }
}

impl Done {
    /// Where an output lies.
    pub fn path(&self, output: &str) -> &Path {
        self.outputs.get(output).map_or(Path::new(""), PathBuf::as_path)
    }

    /// The bytes of an output.
    pub fn bytes(&self, output: &str) -> Result<Vec<u8>> {
        Ok(fs_err::read(self.path(output))?)
    }

    /// An output of JSON.
    pub fn json<V: DeserializeOwned>(&self, output: &str) -> Result<V> {
        serde_json::from_slice(&self.bytes(output)?).with_context(|| format!("output `{output}`"))
    }
}
