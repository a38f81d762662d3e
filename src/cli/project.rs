//! The project that a command works on: its root, its cache, and the flow that was asked for.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use super::error::CliError;
use super::{FlowArgs, Global};
use crate::cache::{Address, Cache};
use crate::diagnostic::{Diagnostic, nearest};
use crate::flow::{self, Flow, Params};
use crate::graph::{self, Graph};
use crate::kinds::Kinds;
use crate::machine::{Declared, Found};
use crate::plan::Context;
use crate::refs::{Refs, Snapshot};
use crate::report::Style;
use crate::resources::Pool;
use crate::settings::{FILE, Settings};

/// What to do where there is no project.
pub(super) const STAND: &str = "stand in a project (a folder that has `flows/`), or name one with `-C DIR`";

/// A project.
pub(super) struct Project {
    pub(super) root: PathBuf,
    pub(super) cache: PathBuf,
    pub(super) quiet: bool,
    /// How a run is shown.
    pub(super) style: Style,
    /// The options of this call that say where the project and its cache are.
    pub(super) given: Vec<String>,
}

/// Whether standard error is a terminal that obeys.
pub(super) fn terminal() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Who works here.
pub(super) fn user() -> String {
    std::env::var("USER").unwrap_or_else(|_| format!("uid {}", rustix::process::getuid().as_raw()))
}

impl Project {
    /// The project of `-C`, or the nearest folder upwards that has `flows/`.
    pub(super) fn find(global: &Global) -> Result<Self, CliError> {
        let here = std::env::current_dir().map_err(|error| {
            let message = format!("the folder that this is called in cannot be found out: {error}");
            CliError::usage(message, "it was removed, perhaps; go to one that is there, or to it again")
        })?;
        let root = match &global.directory {
            Some(directory) if directory.is_dir() => fs_err::canonicalize(directory)?,
            Some(directory) => {
                let message = format!("{} is not a folder", directory.display());
                return Err(CliError::usage(message, "give the project's root with `-C DIR`"));
            }
            None => here.ancestors().find(|folder| folder.join("flows").is_dir()).unwrap_or(&here).to_owned(),
        };
        let cache = match &global.cache {
            Some(cache) => here.join(cache),
            // A variable that is set to nothing counts as not set, as for other programs.
            None => match std::env::var_os("GHTRADER_CACHE").filter(|cache| !cache.is_empty()) {
                Some(cache) => here.join(cache),
                None => root.join("cache"),
            },
        };
        let (quiet, verbose) = (global.quiet, global.verbose);
        let style = Style { live: terminal(), color: global.color.wanted(), quiet, verbose, ..Style::default() };
        Ok(Self { root, cache, quiet, style, given: given(global) })
    }

    /// What it says for all of its flows.
    pub(super) fn settings(&self) -> Result<Settings, CliError> {
        Settings::load(&self.root).map_err(CliError::Invalid)
    }

    /// The same where the call declares nothing.
    pub(super) fn this_machine(&self, graph: &Graph<'_>) -> Result<Pool, CliError> {
        self.machine(graph, Declared::default())
    }

    /// What the machine is taken to have, to run this: what the call declares, then the project's settings, then what is
    /// found out. A run within a task has what its task was given.
    pub(super) fn machine(&self, graph: &Graph<'_>, declared: Declared) -> Result<Pool, CliError> {
        self.machine_and_doubt(graph, declared).map(|(pool, _)| pool)
    }

    /// The same, with what there is to be said of the devices that are declared.
    pub(super) fn machine_and_doubt(
        &self,
        graph: &Graph<'_>,
        declared: Declared,
    ) -> Result<(Pool, Option<String>), CliError> {
        if let Some(given) = Found::within_task() {
            return within(&declared, &given).map(|pool| (pool, None));
        }
        let wanted = graph.tasks().iter().any(|task| task.resources.gpu.is_some());
        let (declared, found) = (declared.over(self.settings()?.machine), Found::look(wanted));
        let doubt = declared.contradiction(&found).filter(|_| wanted);
        Ok((declared.pool(&found), doubt))
    }

    /// The cache, for commands that change it.
    pub(super) fn open(&self) -> Result<Cache, CliError> {
        self.shared(Cache::open(&self.cache)?)
    }

    /// The cache, for commands that only look.
    pub(super) fn look(&self) -> Result<Cache, CliError> {
        self.shared(Cache::open_read_only(&self.cache)?)
    }

    /// Also with the cache that this project shares with other machines.
    fn shared(&self, cache: Cache) -> Result<Cache, CliError> {
        let Some(address) = self.settings()?.cache else { return Ok(cache) };
        if matches!(&address, Address::Folder(folder) if is_within(cache.root(), folder)) {
            let message = format!("`cache` in {FILE} names {address}, which is the cache of this machine alone");
            return Err(CliError::usage(message, "name a folder beside it, which all machines see"));
        }
        Ok(cache.shared_with(address))
    }

    /// Reads a flow: `flows/NAME.yaml`, or a path from where the user stands.
    pub(super) fn flow(&self, name: &str, kinds: &Kinds) -> Result<Flow, CliError> {
        let path = self.flow_path(name)?;
        let shown = path.strip_prefix(&self.root).unwrap_or(&path).display().to_string();
        graph::load(&self.root, &path, &shown, kinds).map_err(CliError::Invalid)
    }

    pub(super) fn flow_path(&self, name: &str) -> Result<PathBuf, CliError> {
        let in_flows = self.root.join("flows").join(format!("{name}.yaml"));
        let here = std::env::current_dir()?.join(name);
        if !name.contains('/') && in_flows.is_file() {
            return Ok(in_flows);
        }
        for path in [here, self.root.join(name)] {
            if path.is_file() {
                return Ok(path);
            }
        }
        let known = self.flows()?;
        let names: Vec<&str> = known.iter().map(String::as_str).collect();
        let message = format!("there is no flow `{name}`: no {}, and no file of that name", in_flows.display());
        let help = match names.is_empty() {
            true => Some(STAND.to_owned()),
            false => match name.strip_suffix(".yaml").or_else(|| name.strip_suffix(".yml")) {
                Some(stem) if names.contains(&stem) => Some(format!("did you mean `{stem}`?")),
                _ => nearest(name, names),
            },
        };
        Err(CliError::Invalid(vec![Diagnostic::new(message).maybe_help(help)]))
    }

    /// The names of the flows in `flows/`.
    pub(super) fn flows(&self) -> Result<Vec<String>, CliError> {
        Ok(flow::in_folder(&self.root)?)
    }

    /// A flow with its parameters and the kinds that are installed.
    pub(super) fn load(&self, args: &FlowArgs) -> Result<Loaded, CliError> {
        let kinds = Kinds::installed();
        let flow = self.flow(&args.flow, &kinds)?;
        let mut given = Vec::new();
        for param in &args.params {
            let Some((name, value)) = param.split_once('=') else {
                return Err(CliError::usage(format!("`-p {param}` has no value"), "write it as `-p name=value`"));
            };
            given.push((name.to_owned(), value.to_owned()));
        }
        let params = flow.bind(&given, args.params_file.as_deref()).map_err(CliError::Invalid)?;
        let errors = flow.check_params(&params, &self.root);
        if !errors.is_empty() {
            return Err(CliError::Invalid(errors));
        }
        Ok(Loaded { flow, params, kinds })
    }
}

/// What a run within a task has: devices only of those that the task was given, which others do not use meanwhile.
fn within(declared: &Declared, given: &Found) -> Result<Pool, CliError> {
    if declared.beyond(given).is_empty() {
        return Ok(declared.pool(given));
    }
    let has: Vec<String> = given.devices.iter().map(|device| device.index.to_string()).collect();
    let has = if has.is_empty() { "none".to_owned() } else { has.join(", ") };
    let message = format!("a run within a task uses the devices that its task was given: {has}");
    Err(CliError::usage(message, "leave `--gpus` out, or let the task ask for more (`resources: { gpu: 2 }`)"))
}

fn given(global: &Global) -> Vec<String> {
    let options = [("-C", &global.directory), ("--cache", &global.cache)];
    let given =
        options.into_iter().filter_map(|(name, path)| Some([name.to_owned(), path.as_ref()?.display().to_string()]));
    given.flatten().collect()
}

/// Whether one of two folders holds the other, or they are the same.
fn is_within(one: &Path, other: &Path) -> bool {
    let other = fs_err::canonicalize(other).unwrap_or_else(|_| other.to_owned());
    one.starts_with(&other) || other.starts_with(one)
}

/// The refs as they stand now, for a plan. Other machines are asked only where it depends on them.
pub(super) fn refs_of(graph: &Graph<'_>, cache: &Cache) -> Result<Snapshot, CliError> {
    let refs = if graph.has_refs() { Refs::open(cache) } else { Refs::here(cache) };
    Ok(refs.snapshot()?)
}

/// A flow that was read.
pub(super) struct Loaded {
    pub(super) flow: Flow,
    pub(super) params: Params,
    pub(super) kinds: Kinds,
}

impl Loaded {
    /// Its checked DAG.
    pub(super) fn graph(&self) -> Result<Graph<'_>, CliError> {
        Graph::new(&self.flow, &self.kinds).map_err(CliError::Invalid)
    }

    /// What a plan of it is made from.
    pub(super) fn context<'a>(
        &'a self,
        project: &'a Project,
        graph: &'a Graph<'a>,
        cache: &'a Cache,
        refs: &'a Snapshot,
        machine: &'a Pool,
    ) -> Context<'a> {
        let (params, kinds) = (&self.params, &self.kinds);
        Context { graph, params, kinds, cache, refs, machine, root: &project.root, flow: &self.flow.name }
    }
}
