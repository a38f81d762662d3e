//! A project in a temporary folder, and the program run on it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A project.
pub struct Space {
    folder: TempDir,
}

/// What a command answered.
#[derive(Debug)]
pub struct Answer {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// `N ran, N cached, N failed, N skipped`.
#[derive(Debug, PartialEq, Eq)]
pub struct Counts(pub usize, pub usize, pub usize, pub usize);

impl Space {
    /// An empty project.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("flows")).unwrap();
        Self { folder }
    }

    /// A project with one flow, `test`.
    pub fn with_flow(yaml: &str) -> Self {
        let space = Self::new();
        space.flow(yaml);
        space
    }

    /// Writes the flow `test`.
    pub fn flow(&self, yaml: &str) {
        self.write("flows/test.yaml", yaml);
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, relative: &str, text: &str) {
        let path = self.path(relative);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn read(&self, relative: &str) -> String {
        std::fs::read_to_string(self.path(relative)).unwrap_or_else(|error| panic!("{relative}: {error}"))
    }

    pub fn exists(&self, relative: &str) -> bool {
        self.path(relative).exists()
    }

    /// The program, about to be started on this project.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ghtrader"));
        command.args(args).current_dir(self.root()).stdin(Stdio::null());
        for name in ["GHTRADER_CACHE", "GHTRADER_TASKS", "NO_COLOR"] {
            command.env_remove(name);
        }
        command
    }

    /// Runs the program to its end.
    pub fn call(&self, args: &[&str]) -> Answer {
        answer(&mut self.command(args))
    }

    /// `ghtrader run test …`.
    pub fn run(&self, args: &[&str]) -> Answer {
        self.call(&[&["run", "test"], args].concat())
    }

    /// `ghtrader run test …`, which has to end well.
    pub fn up_to_date(&self, args: &[&str]) -> Counts {
        let answer = self.run(args);
        assert_eq!(answer.code, 0, "{answer:#?}");
        answer.counts()
    }

    /// Starts the program and does not wait for it.
    pub fn spawn(&self, args: &[&str]) -> Child {
        self.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

/// Runs a command to its end.
pub fn answer(command: &mut Command) -> Answer {
    let output = command.output().unwrap();
    Answer {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Answer {
    /// The counts of the last line.
    pub fn counts(&self) -> Counts {
        let line = self.err.lines().last().unwrap_or_default();
        let numbers: Vec<usize> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
        let [ran, cached, failed, skipped, ..] = numbers[..] else { panic!("no counts in {self:#?}") };
        Counts(ran, cached, failed, skipped)
    }

    /// The lines of standard error about a task, without its name and without times.
    pub fn states(&self, task: &str) -> Vec<String> {
        let of_task = |line: &&str| line.split_whitespace().any(|word| word == task);
        self.err.lines().filter(of_task).map(|line| line.split("  ").next().unwrap_or_default().to_owned()).collect()
    }

    /// The JSON events.
    pub fn events(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
