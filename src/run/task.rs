//! One task from its inputs to its outputs in the cache: what is laid out before it starts, and what is kept when it ends.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use ghtrader_kit::{CONTRACT, PathType, REQUEST_VARIABLE, Request};
use serde_json::Value;

use super::folder::{Folders, INPUTS, TMP, WORK};
use crate::artifact::Artifact;
use crate::cache::{Cache, CacheError};
use crate::execute::Handover;
use crate::graph::OutputDecl;
use crate::hash::Hash;
use crate::key::canonical;
use crate::manifest::{Execution, Input, Manifest, Origin, SCHEMA};
use crate::plan::{AxisValue, Data, Done, InstanceId, Planner, Resolved, ResolvedInput, fits, text_of};
use crate::provenance::tail;

/// The kind of a task.
#[derive(Clone, Debug)]
pub(super) struct Kind {
    pub(super) program: PathBuf,
    pub(super) name: String,
    /// The inputs that it reads; others serve expressions only.
    pub(super) inputs: BTreeSet<String>,
}

/// What is known of a task that runs, beside what the planner resolved.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    /// The instance.
    pub(super) name: String,
    pub(super) axes: Vec<(String, AxisValue)>,
    pub(super) outputs: Vec<OutputDecl>,
    /// The kind and its program; `None` for a command.
    pub(super) kind: Option<Kind>,
    pub(super) cpu: f64,
    pub(super) memory: Option<u64>,
    /// The memory that it declares: it is held to that.
    pub(super) limit: Option<u64>,
    pub(super) devices: Vec<u32>,
    /// The names of the variables whose values are secret.
    pub(super) secrets: Vec<String>,
    /// Its scratch folder.
    pub(super) folder: PathBuf,
}

impl Spec {
    /// What is known of an instance that runs in `folder` with these devices.
    pub(super) fn of(planner: &Planner<'_>, id: InstanceId, folder: PathBuf, devices: Vec<u32>, all: u64) -> Self {
        let resources = &planner.decl(id).resources;
        let secrets = planner.decl(id).env.iter().filter(|env| env.secret);
        Self {
            name: planner.name(id),
            axes: planner.own_axes(id).map(|(axis, value)| (axis.to_owned(), value.clone())).collect(),
            outputs: planner.outputs(id).to_vec(),
            kind: planner.kind(id).map(|kind| Kind {
                program: kind.program.clone(),
                name: kind.spec.name.clone(),
                inputs: kind.spec.inputs.keys().cloned().collect(),
            }),
            cpu: resources.cpu,
            memory: Some(resources.memory.unwrap_or(all)),
            limit: resources.memory,
            devices,
            secrets: secrets.map(|env| env.name.value.clone()).collect(),
            folder,
        }
    }

    fn input_folder(&self, input: &str) -> PathBuf {
        self.folder.join(INPUTS).join(input)
    }

    /// The names of the inputs that the task has copies of, and those of their files.
    pub(super) fn copies<'t>(&self, task: &'t Resolved) -> Vec<(&'t str, &'t str)> {
        self.inputs(task).map(|input| (input.name.as_str(), input.file.as_str())).collect()
    }

    /// The inputs that the task gets copies of.
    fn inputs<'t>(&self, task: &'t Resolved) -> impl Iterator<Item = &'t ResolvedInput> {
        task.inputs.iter().filter(|input| self.kind.as_ref().is_none_or(|kind| kind.inputs.contains(&input.name)))
    }
}

/// A task could not be laid out, or what it left cannot be kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum TaskError {
    #[error(transparent)]
    Cache(#[from] CacheError),
    #[error("{0}{next}", next = crate::cache::hint(.0))]
    Io(#[from] std::io::Error),
    #[error("{0}{next}", next = crate::cache::hint(.0))]
    Source(std::io::Error),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error(
        "what the ref `{name}` points to is not whole: object {hash}; `ghtrader refs log {name}` says which task made it, to run it \
         again, and `ghtrader refs rollback {name}` goes back to the value before"
    )]
    Ref { name: String, hash: Hash },
    #[error("input `{0}` changed while the run went on: {1}; nothing is recorded, run again")]
    Changed(String, PathBuf),
    #[error("it ended well but did not write its output `{0}` ({1}); write it to the path in OUTPUT_{2}")]
    NoOutput(String, String, String),
    #[error("its output `{0}` is a {1}, not a {2}")]
    OutputType(String, &'static str, &'static str),
    #[error("its output `{0}` is a {1}; write the content itself there, as a file or a folder")]
    OutputOther(String, &'static str),
    #[error("its output `{0}` cannot be read: {1}; let the task leave it readable")]
    OutputRead(String, std::io::Error),
    #[error("its output `{0}` is not JSON: {1}")]
    OutputJson(String, serde_json::Error),
    #[error("something still wrote to its outputs after it had ended; let it wait for all that it starts")]
    OutputsChanged,
}

impl TaskError {
    /// Whether the task is at fault, so that another attempt may end otherwise.
    pub(super) fn is_of_the_task(&self) -> bool {
        match self {
            Self::NoOutput(..)
            | Self::OutputType(..)
            | Self::OutputOther(..)
            | Self::OutputRead(..)
            | Self::OutputJson(..)
            | Self::OutputsChanged => true,
            Self::Cache(error) => matches!(error, CacheError::Unfit { .. }),
            Self::Io(_) | Self::Source(_) | Self::Json(_) | Self::Ref { .. } | Self::Changed(..) => false,
        }
    }

    /// Whether the cache cannot be read or written.
    pub(super) fn is_of_the_store(&self) -> bool {
        match self {
            Self::Cache(error) => error.is_of_the_store(),
            Self::Io(_) => true,
            Self::Source(_)
            | Self::Json(_)
            | Self::Ref { .. }
            | Self::Changed(..)
            | Self::NoOutput(..)
            | Self::OutputType(..)
            | Self::OutputOther(..)
            | Self::OutputRead(..)
            | Self::OutputJson(..)
            | Self::OutputsChanged => false,
        }
    }
}

/// How to start a task that is laid out.
pub(super) struct Command {
    pub(super) argv: Vec<OsString>,
    pub(super) env: Vec<(OsString, OsString)>,
    pub(super) secrets: Vec<String>,
    pub(super) cwd: PathBuf,
}

/// Lays out a task's folder.
pub(super) fn lay_out(cache: &Cache, folders: &Folders, spec: &Spec, task: &Resolved) -> Result<Command, TaskError> {
    let names: Vec<&str> = spec.inputs(task).map(|input| input.name.as_str()).collect();
    folders.make(&spec.folder, &names)?;
    let (work, tmp) = (spec.folder.join(WORK), spec.folder.join(TMP));
    let inputs = lay_out_inputs(cache, spec, task)?;
    let mut outputs = BTreeMap::new();
    for output in &spec.outputs {
        let path = work.join(&output.path);
        if let Some(above) = path.parent().filter(|above| *above != work) {
            fs_err::create_dir_all(above)?;
        }
        if spec.kind.is_some() && output.r#type == PathType::Folder {
            fs_err::create_dir_all(&path)?;
        }
        outputs.insert(output.name.clone(), path);
    }
    let request = Request {
        contract: CONTRACT,
        kind: spec.kind.as_ref().map(|kind| kind.name.clone()).unwrap_or_default(),
        params: Value::Object(task.with.iter().cloned().collect()),
        matrix: spec.axes.iter().map(|(name, value)| (name.clone(), value.value.clone())).collect(),
        inputs,
        outputs,
        cpus: spec.cpu,
        memory: spec.memory,
        devices: spec.devices.clone(),
    };
    let file = Folders::write_request(&spec.folder, &serde_json::to_vec(&request)?)?;
    let argv = match (&spec.kind, &task.command) {
        (Some(kind), _) => vec![kind.program.clone().into_os_string(), "run".into()],
        (None, command) => {
            let command = command.clone().unwrap_or_default();
            ["bash", "-euo", "pipefail", "-c", command.as_str(), "bash"].map(OsString::from).to_vec()
        }
    };
    let env = environment(&request, task, &file, &tmp);
    Ok(Command { argv, env, secrets: spec.secrets.clone(), cwd: work })
}

/// An input that cannot be copied: of what a ref points to, nothing in this flow has to be what makes it again.
fn unusable(error: CacheError, input: &ResolvedInput) -> TaskError {
    match (&error, input.origins.as_slice()) {
        (CacheError::Missing(hash) | CacheError::Damaged { hash, .. }, [Origin::Ref { name, .. }]) => {
            TaskError::Ref { name: name.clone(), hash: *hash }
        }
        _ => error.into(),
    }
}

fn lay_out_inputs(cache: &Cache, spec: &Spec, task: &Resolved) -> Result<BTreeMap<String, PathBuf>, TaskError> {
    let mut paths = BTreeMap::new();
    for input in spec.inputs(task) {
        let path = spec.input_folder(&input.name).join(&input.file);
        match &input.data {
            Data::Cached(artifact) => cache.materialise(artifact, &path).map_err(|error| unusable(error, input))?,
            Data::Json(_, bytes) => fs_err::write(&path, bytes)?,
            Data::Folder { artifact, of, at } => {
                cache.place_subfolder(of, at).map_err(|error| unusable(error, input))?;
                cache.materialise(artifact, &path).map_err(|error| unusable(error, input))?;
            }
            Data::Gather(artifact, listing) => {
                cache.place_gather(listing)?;
                cache.materialise(artifact, &path)?;
            }
            Data::Source(artifact, source) => {
                // What the task reads has to be what its key says, whatever happens to the source meanwhile.
                cache.copy_source(source, artifact, &path).map_err(|error| changed(error, &input.name, source))?;
            }
        }
        paths.insert(input.name.clone(), path);
    }
    Ok(paths)
}

/// A source that is gone has changed too: the cache is not at fault.
fn changed(error: CacheError, input: &str, source: &Path) -> TaskError {
    match error {
        CacheError::Io(error) if error.kind() == std::io::ErrorKind::NotFound && !source.exists() => {
            TaskError::Changed(input.to_owned(), source.to_owned())
        }
        CacheError::Changed(_) => TaskError::Changed(input.to_owned(), source.to_owned()),
        // A full disk is the cache's, what cannot be read is the source's.
        CacheError::Io(error) if error.kind() != std::io::ErrorKind::StorageFull => TaskError::Source(error),
        other => TaskError::Cache(other),
    }
}

/// Variables of the caller that every task sees.
const PASSED: [&str; 2] = ["PATH", "HOME"];

fn environment(request: &Request, task: &Resolved, file: &Path, tmp: &Path) -> Vec<(OsString, OsString)> {
    let mut env: Vec<(OsString, OsString)> = Vec::new();
    let mut set = |name: String, value: OsString| env.push((name.into(), value));
    for name in PASSED {
        if let Some(value) = std::env::var_os(name) {
            set(name.to_owned(), value);
        }
    }
    set("TMPDIR".into(), tmp.into());
    for (name, value) in &task.variables {
        if let Some(value) = value {
            set(name.clone(), value.into());
        }
    }
    set(REQUEST_VARIABLE.into(), file.into());
    for (name, path) in &request.inputs {
        set(format!("INPUT_{}", name.to_uppercase()), path.into());
    }
    for (name, path) in &request.outputs {
        set(format!("OUTPUT_{}", name.to_uppercase()), path.into());
    }
    for (name, value) in &task.with {
        let (name, text) = (format!("PARAM_{}", name.to_uppercase()), text_of(value));
        // Of a command, a longer one was refused; a kind has it in the file.
        if fits(&name, &text) {
            set(name, text.into());
        }
    }
    for (name, value) in &request.matrix {
        set(format!("MATRIX_{}", name.to_uppercase()), text_of(value).into());
    }
    let devices: Vec<String> = request.devices.iter().map(u32::to_string).collect();
    if !devices.is_empty() {
        // Else index 0 is the fastest, and not the one that the runner calls so.
        set("CUDA_DEVICE_ORDER".into(), "PCI_BUS_ID".into());
    }
    set("CUDA_VISIBLE_DEVICES".into(), devices.join(",").into());
    let threads = (request.cpus.floor() as u64).max(1).to_string();
    for name in ["GHTRADER_CPUS", "OMP_NUM_THREADS", "RAYON_NUM_THREADS", "POLARS_MAX_THREADS"] {
        set(name.into(), threads.clone().into());
    }
    if let Some(memory) = request.memory {
        set("GHTRADER_MEMORY".into(), memory.to_string().into());
    }
    env
}

/// Takes what a task wrote into the cache. Gives what it wrote, and what is to be recorded of it. With a `handover`, the next run
/// can go on with it where this one is killed before it is recorded.
pub(super) fn keep(
    cache: &Cache,
    spec: &Spec,
    task: &Resolved,
    flow: &str,
    run: &str,
    execution: Execution,
    handover: Option<&Handover>,
) -> Result<(Done, Manifest), TaskError> {
    check_sources(cache, task)?;
    let work = spec.folder.join(WORK);
    for output in &spec.outputs {
        check_output(output, &work.join(&output.path))?;
    }
    keep_entries(cache, task)?;
    let mut manifest = manifest(spec, task, flow, run, execution);
    let outputs = |how: fn(&Cache, &Path, &Path) -> Result<Artifact, CacheError>| {
        let artifact = |output: &OutputDecl| how(cache, &work, Path::new(&output.path));
        spec.outputs
            .iter()
            .map(|output| Ok((output.name.clone(), artifact(output)?)))
            .collect::<Result<_, CacheError>>()
    };
    if let Some(handover) = handover {
        manifest.outputs = outputs(Cache::foresee_output)?;
        handover.begin(&manifest)?;
    }
    let foreseen = std::mem::replace(&mut manifest.outputs, outputs(Cache::place_output)?);
    if handover.is_some() && foreseen != manifest.outputs {
        return Err(TaskError::OutputsChanged);
    }
    Ok((Done { key: task.key, outputs: manifest.outputs.clone().into() }, manifest))
}

fn check_sources(cache: &Cache, task: &Resolved) -> Result<(), TaskError> {
    for input in &task.inputs {
        if let Data::Source(artifact, path) = &input.data
            && cache.hash_source(path).map_or(true, |now| now.hash != artifact.hash)
        {
            return Err(TaskError::Changed(input.name.clone(), path.clone()));
        }
    }
    Ok(())
}

/// What is to be recorded, but for the outputs.
fn manifest(spec: &Spec, task: &Resolved, flow: &str, run: &str, execution: Execution) -> Manifest {
    let inputs = task.inputs.iter().map(|input| {
        let record = Input { artifact: input.data.artifact().clone(), origins: input.origins.clone() };
        (input.name.clone(), record)
    });
    Manifest {
        schema: SCHEMA,
        key: task.key,
        parts: task.parts.clone(),
        flow: flow.to_owned(),
        task: spec.name.clone(),
        run: run.to_owned(),
        inputs: inputs.collect(),
        outputs: BTreeMap::new(),
        execution,
    }
}

/// Entries of JSON outputs are inputs too: lineage and `get` find them by hash.
fn keep_entries(cache: &Cache, task: &Resolved) -> Result<(), TaskError> {
    for input in &task.inputs {
        if let Data::Json(_, bytes) = &input.data {
            cache.place_bytes(bytes)?;
        }
    }
    Ok(())
}

fn check_output(output: &OutputDecl, path: &Path) -> Result<(), TaskError> {
    let name = || output.name.clone();
    let Ok(metadata) = std::fs::symlink_metadata(path) else {
        return Err(TaskError::NoOutput(name(), output.path.clone(), output.name.to_uppercase()));
    };
    match (output.r#type, metadata.is_dir()) {
        // Before anything is read: what a link leads to or a FIFO gives may have no end.
        _ if !metadata.is_dir() && !metadata.is_file() => return Err(TaskError::OutputOther(name(), other(&metadata))),
        (PathType::Folder, false) => return Err(TaskError::OutputType(name(), "file", "folder")),
        (PathType::Json, true) => return Err(TaskError::OutputType(name(), "folder", "file")),
        _ => {}
    }
    if output.r#type == PathType::Json {
        let file = fs_err::File::open(path).map_err(|error| TaskError::OutputRead(name(), error))?;
        // Not into memory: nobody bounds its size.
        serde_json::from_reader::<_, serde::de::IgnoredAny>(std::io::BufReader::new(file))
            .map_err(|error| TaskError::OutputJson(name(), error))?;
    }
    Ok(())
}

/// What lies there that is neither a file nor a folder.
fn other(metadata: &std::fs::Metadata) -> &'static str {
    use std::os::unix::fs::FileTypeExt as _;
    let file = metadata.file_type();
    match (file.is_symlink(), file.is_fifo(), file.is_socket()) {
        (true, ..) => "link",
        (_, true, _) => "FIFO",
        (.., true) => "socket",
        _ => "device",
    }
}

/// The last lines of a log, for an error message.
pub(super) fn last_lines(log: &Path) -> Vec<String> {
    last_lines_since(log, 0)
}

/// The same of what was written after the first `from` bytes.
pub(super) fn last_lines_since(log: &Path, from: u64) -> Vec<String> {
    const LINES: usize = 10;
    const BYTES: u64 = 8 << 10;
    let length = fs_err::metadata(log).map(|metadata| metadata.len()).unwrap_or_default();
    let text = tail(log, BYTES.min(length.saturating_sub(from))).map(|tail| tail.text).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].iter().map(|line| (*line).to_owned()).collect()
}

/// What JSON of one value is called in a path of an output: used by `publish`'s `when: output.field`.
pub(super) fn field<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(value, |value, key| value.get(key))
}

/// A short text of a value, for messages.
pub(super) fn shown(value: &Value) -> String {
    canonical(value).chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(r#type: PathType) -> OutputDecl {
        OutputDecl { name: "x".into(), path: "x".into(), r#type, measured: false }
    }

    #[test]
    fn what_is_neither_file_nor_folder_is_refused_unread() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("json"), "{}").unwrap();
        std::os::unix::fs::symlink(path("json"), path("link")).unwrap();
        mknodat(CWD, path("FIFO"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        drop(std::os::unix::net::UnixListener::bind(path("socket")).unwrap());
        for what in ["link", "FIFO", "socket"] {
            for r#type in [PathType::Json, PathType::File, PathType::Folder] {
                let error = check_output(&output(r#type), &path(what)).unwrap_err();
                assert!(error.to_string().contains(&format!("is a {what};")), "{error}");
                assert!(error.is_of_the_task() && !error.is_of_the_store());
            }
        }
        let device = check_output(&output(PathType::Json), Path::new("/dev/zero")).unwrap_err();
        assert!(device.to_string().contains("is a device"), "{device}");
    }

    #[test]
    fn a_json_output_is_one_json_value_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        for (text, good) in [("[1, {}]\n", true), ("", false), ("{} {}", false), ("[1", false)] {
            std::fs::write(&path, text).unwrap();
            let checked = check_output(&output(PathType::Json), &path);
            assert_eq!(checked.is_ok(), good, "{text}");
            assert!(checked.map_or_else(|error| matches!(error, TaskError::OutputJson(..)), |()| true));
        }
    }
}
