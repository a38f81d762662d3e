//! A project in a temporary folder, and the program run on it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A project.
pub(crate) struct Space {
    folder: TempDir,
}

/// What a command answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// `N ran, N cached, N failed, N skipped`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Counts(pub(crate) usize, pub(crate) usize, pub(crate) usize, pub(crate) usize);

impl Space {
    /// An empty project.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("flows")).unwrap();
        Self { folder }
    }

    /// A project with one flow, `test`.
    pub(crate) fn with_flow(yaml: &str) -> Self {
        let space = Self::new();
        space.flow(yaml);
        space
    }

    /// Writes the flow `test`.
    pub(crate) fn flow(&self, yaml: &str) {
        self.write("flows/test.yaml", yaml);
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, relative: &str, text: &str) {
        let path = self.path(relative);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, relative: &str) -> String {
        std::fs::read_to_string(self.path(relative)).unwrap_or_else(|error| panic!("{relative}: {error}"))
    }

    pub(crate) fn exists(&self, relative: &str) -> bool {
        self.path(relative).exists()
    }

    /// The program, about to be started on this project.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ghtrader"));
        command.args(args).current_dir(self.root()).stdin(Stdio::null());
        for name in ["GHTRADER_CACHE", "GHTRADER_TASKS", "NO_COLOR"] {
            command.env_remove(name);
        }
        command
    }

    /// Runs the program to its end.
    pub(crate) fn call(&self, args: &[&str]) -> Answer {
        answer(&mut self.command(args))
    }

    /// `ghtrader run test …`.
    pub(crate) fn run(&self, args: &[&str]) -> Answer {
        self.call(&[&["run", "test"], args].concat())
    }

    /// `ghtrader run test …`, which has to end well.
    pub(crate) fn up_to_date(&self, args: &[&str]) -> Counts {
        let answer = self.run(args);
        assert_eq!(answer.code, 0, "{answer:#?}");
        answer.counts()
    }

    /// Starts the program and does not wait for it.
    pub(crate) fn spawn(&self, args: &[&str]) -> Child {
        self.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

/// Runs a command to its end.
pub(crate) fn answer(command: &mut Command) -> Answer {
    let output = command.output().unwrap();
    Answer {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Answer {
    /// The counts of the last line.
    pub(crate) fn counts(&self) -> Counts {
        let line = self.err.lines().last().unwrap_or_default();
        let numbers: Vec<usize> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
        let [ran, cached, failed, skipped, ..] = numbers[..] else { panic!("no counts in {self:#?}") };
        Counts(ran, cached, failed, skipped)
    }

    /// The JSON events.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
