//! The task kinds that are installed, from what their programs say of themselves.
//!
//! A program of kinds is `ghtrader-tasks` or `ghtrader-tasks-<name>`: in the folder that `GHTRADER_TASKS` names, beside
//! the runner, or on PATH, the first of a name counts (as git and cargo do it). Programs are asked (`describe`) when a
//! kind is first wanted, and all at once.

mod program;
mod schema;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ghtrader_kit::KindSpec;
use jsonschema::Validator;
use serde_json::{Map, Value};

pub use program::KindError;
pub use schema::{Problem, with_defaults};

use crate::diagnostic::Diagnostic;

/// A folder to look in first; for tests.
pub const FOLDER_VARIABLE: &str = "GHTRADER_TASKS";

const PROGRAM: &str = "ghtrader-tasks";

/// A kind and the program that has it.
#[derive(Debug)]
pub struct Kind {
    /// The program.
    pub program: PathBuf,
    /// What it says of the kind.
    pub spec: KindSpec,
    validator: OnceLock<Result<Validator, Problem>>,
}

/// The kinds of all programs.
#[derive(Debug)]
pub struct Kinds {
    programs: Vec<PathBuf>,
    found: OnceLock<Found>,
}

#[derive(Debug, Default)]
struct Found {
    kinds: BTreeMap<String, Kind>,
    errors: Vec<KindError>,
}

impl Kinds {
    /// Those of the programs beside this one or on `PATH`.
    pub fn installed() -> Self {
        let here = std::env::current_exe().ok().and_then(|path| path.parent().map(Path::to_owned));
        Self::find(here.as_deref(), std::env::var_os("PATH").as_deref())
    }

    /// Finds the programs beside the runner (`here`) and on `path`; asks none of them yet.
    pub fn find(here: Option<&Path>, path: Option<&OsStr>) -> Self {
        let first = std::env::var_os(FOLDER_VARIABLE).map(PathBuf::from);
        let on_path = path.map(std::env::split_paths).into_iter().flatten();
        let folders = first.into_iter().chain(here.map(Path::to_owned)).chain(on_path);
        let mut programs: BTreeMap<OsString, PathBuf> = BTreeMap::new();
        for folder in folders {
            for program in programs_in(&folder) {
                let name = program.file_name().unwrap_or_default().to_owned();
                programs.entry(name).or_insert(program);
            }
        }
        Self { programs: programs.into_values().collect(), found: OnceLock::new() }
    }

    /// These kinds, of no program.
    pub fn of(specs: impl IntoIterator<Item = KindSpec>) -> Self {
        let kinds = specs.into_iter().map(|spec| (spec.name.clone(), Kind::new(PathBuf::new(), spec))).collect();
        Self { programs: Vec::new(), found: OnceLock::from(Found { kinds, errors: Vec::new() }) }
    }

    /// The kind of a name.
    pub fn get(&self, name: &str) -> Option<&Kind> {
        self.found().kinds.get(name)
    }

    /// All kinds, by name.
    ///
    /// # Errors
    /// Where a program does not answer as the contract says, or two have a kind of one name.
    pub fn all(&self) -> Result<Vec<&Kind>, Vec<Diagnostic>> {
        let errors = self.errors();
        if errors.is_empty() { Ok(self.found().kinds.values().collect()) } else { Err(errors) }
    }

    /// What is wrong with the programs.
    pub fn errors(&self) -> Vec<Diagnostic> {
        self.found().errors.iter().map(KindError::diagnostic).collect()
    }

    /// The names of all kinds.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.found().kinds.keys().map(String::as_str)
    }

    fn found(&self) -> &Found {
        self.found.get_or_init(|| {
            let mut found = Found::default();
            for path in &self.programs {
                match program::describe(path) {
                    Ok(kinds) => found.add(path, kinds),
                    Err(error) => found.errors.push(error),
                }
            }
            found
        })
    }
}

impl Found {
    fn add(&mut self, program: &Path, specs: Vec<KindSpec>) {
        for spec in specs {
            match self.kinds.get(&spec.name) {
                Some(other) => {
                    let (first, second) = (other.program.clone(), program.to_owned());
                    self.errors.push(KindError::Twice { kind: spec.name, first, second });
                }
                None => {
                    self.kinds.insert(spec.name.clone(), Kind::new(program.to_owned(), spec));
                }
            }
        }
    }
}

impl Kind {
    fn new(program: PathBuf, spec: KindSpec) -> Self {
        Self { program, spec, validator: OnceLock::new() }
    }

    /// What is wrong with these values of `with`; a schema that is none judges nothing. It is compiled once.
    pub fn check(&self, with: &Map<String, Value>) -> Vec<Problem> {
        match self.validator.get_or_init(|| schema::compile(&self.spec.params)) {
            Ok(validator) => schema::problems(validator, with),
            Err(problem) => vec![problem.clone()],
        }
    }

    /// The names of its parameters.
    pub fn params(&self) -> impl Iterator<Item = &str> {
        self.spec.params["properties"].as_object().into_iter().flatten().map(|(name, _)| name.as_str())
    }

    /// Whether it takes no parameters but [`Kind::params`].
    pub fn is_closed(&self) -> bool {
        let schema = &self.spec.params;
        schema["additionalProperties"] == false || schema["unevaluatedProperties"] == false
    }

    /// Asks whether an external result is still what its outputs say: why not, if it is not.
    ///
    /// # Errors
    /// Where the program cannot be started or does not answer as the contract says.
    pub fn probe(
        &self,
        root: &Path,
        with: &[(String, Value)],
        outputs: &[(String, PathBuf)],
    ) -> Result<Option<String>, KindError> {
        program::probe(&self.program, root, &self.spec.name, with, outputs)
    }
}

/// The programs of kinds in a folder, in the order of their names.
fn programs_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut programs: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| is_program(path)).collect();
    programs.sort();
    programs
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let named = name
        .strip_prefix(PROGRAM)
        .is_some_and(|rest| rest.is_empty() || (rest.starts_with('-') && !rest.contains('.')));
    named && path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests;
