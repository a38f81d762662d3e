//! A project in a temporary folder, and the program run on it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Two tasks, one reading the other.
pub(crate) const CHAIN: &str = r#"
tasks:
  words:
    run: tr ' ' '\n' <"$INPUT_TEXT" | sort -u >"$OUTPUT_WORDS"
    inputs: { text: { path: text.txt } }
    outputs: { words: words.txt }
  count:
    run: wc -l <"$INPUT_WORDS" >"$OUTPUT_COUNT"
    inputs: { words: { from: words } }
    outputs: { count: count.txt }
"#;

/// A project with that flow.
pub(crate) fn chain() -> Space {
    let space = Space::with_flow(CHAIN);
    space.write("text.txt", "b a b");
    space
}

/// Waits until something holds.
pub(crate) fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sends a signal, such as `INT`.
pub(crate) fn signal(pid: u32, signal: &str) {
    let sent = Command::new("kill").args([&format!("-{signal}"), &pid.to_string()]).status().unwrap();
    assert!(sent.success());
}

/// All files below a folder.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() { folders.push(entry.path()) } else { found.push(entry.path()) }
        }
    }
    found
}

/// Every result of a cache: key → outputs, without measurements.
pub(crate) fn results(cache: &Path) -> BTreeMap<String, BTreeMap<String, Value>> {
    let result = |file: PathBuf| {
        let manifest: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        let outputs = manifest["outputs"].as_object().unwrap().clone();
        let outputs = outputs.into_iter().filter(|(name, _)| name != "latency").collect();
        (manifest["key"].as_str().unwrap().to_owned(), outputs)
    };
    files_below(&cache.join("v1/results")).into_iter().map(result).collect()
}

/// A project.
pub(crate) struct Space {
    folder: TempDir,
    /// Of its runners alone: whatever else runs on the machine is not in their way.
    leases: TempDir,
}

/// What a command answered.
#[derive(Clone, Debug)]
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
        Self { folder, leases: tempfile::tempdir().unwrap() }
    }

    /// A project with one flow, `test`.
    pub(crate) fn with_flow(yaml: &str) -> Self {
        let space = Self::new();
        space.flow(yaml);
        space
    }

    /// Writes the flow `test`. `@/` in it stands for the project's folder, so that a task can leave a trace there.
    pub(crate) fn flow(&self, yaml: &str) {
        self.flow_named("test", yaml);
    }

    /// Writes another flow.
    pub(crate) fn flow_named(&self, name: &str, yaml: &str) {
        self.write(&format!("flows/{name}.yaml"), &yaml.replace("@/", &format!("{}/", self.root().display())));
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// The folder of the machine's leases, as this project sees it.
    pub(crate) fn leases(&self) -> &Path {
        self.leases.path()
    }

    pub(crate) fn write(&self, relative: &str, text: &str) {
        let path = self.path(relative);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, relative: &str) -> String {
        std::fs::read_to_string(self.path(relative)).unwrap_or_else(|error| panic!("{relative}: {error}"))
    }

    /// What a file holds; nothing where there is none.
    pub(crate) fn trace(&self, relative: &str) -> String {
        std::fs::read_to_string(self.path(relative)).unwrap_or_default()
    }

    pub(crate) fn exists(&self, relative: &str) -> bool {
        self.path(relative).exists()
    }

    /// The program, about to be started on this project.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ghtrader"));
        command.args(args).current_dir(self.root()).stdin(Stdio::null());
        command.env("GHTRADER_LEASES", self.leases.path());
        for name in ["GHTRADER_CACHE", "GHTRADER_TASKS", "NO_COLOR"] {
            command.env_remove(name);
        }
        // Whatever devices are here: a test has those that it declares.
        command.env("CUDA_VISIBLE_DEVICES", "");
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

    /// `ghtrader run test …`, which has to be refused or to fail with this exit code, and to say each of these.
    pub(crate) fn refused(&self, args: &[&str], code: i32, parts: &[&str]) -> Answer {
        let answer = self.run(args);
        assert_eq!(answer.code, code, "{answer:#?}");
        for part in parts {
            assert!(answer.err.contains(part), "{part} is not in\n{}", answer.err);
        }
        answer
    }

    /// What an output holds, copied out with `get`.
    pub(crate) fn output(&self, artifact: &str) -> String {
        let answer = self.call(&["get", artifact, "-o", ".output"]);
        assert_eq!(answer.code, 0, "{answer:#?}");
        self.read(".output")
    }

    /// The object that holds an output.
    pub(crate) fn object(&self, artifact: &str) -> PathBuf {
        let answer = self.call(&["get", artifact, "-o", ".output"]);
        assert_eq!(answer.code, 0, "{answer:#?}");
        let hash = answer.out.split(' ').next().unwrap();
        self.path(&format!("cache/v1/objects/{}/{}", &hash[..2], &hash[2..]))
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
