//! A drawn project on the disk, and the program run on it.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use crate::inside;
use crate::project::Project;
use crate::reference::{Ask, Observed};
use crate::steps::How;
use crate::value;

/// The project in `p/`, and in `home/` what its tasks use: `lib.sh`, the log of executions, what shall happen in them.
pub(crate) struct Space {
    folder: TempDir,
    pub(crate) way: Way,
}

/// How the program is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// As its users do.
    Processes,
    /// Through the library, and tasks cost no process: for many histories.
    Inside,
}

/// What a call answered.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) code: Option<i32>,
    pub(crate) states: BTreeMap<String, String>,
    pub(crate) keys: BTreeMap<String, String>,
    /// `ran`, `cached`, `failed`, `skipped` as the last event counts them.
    pub(crate) counts: Option<[u64; 4]>,
    pub(crate) text: String,
}

/// What tells whether something was written: by path, all that `stat` says of it.
pub(crate) type Snapshot = BTreeMap<PathBuf, (u64, u64, u32, i64, i64, i64, i64)>;

impl Space {
    pub(crate) fn new(project: &Project, way: Way) -> Self {
        let folder = tempfile::Builder::new().prefix("history-").tempdir().unwrap();
        let space = Self { folder, way };
        for name in ["p/flows", "home/hooks", "home/bin"] {
            std::fs::create_dir_all(space.path(name)).unwrap();
        }
        // No more programs than that: none is looked for in vain, and no `git` asked about each run.
        for program in ["bash", "mkdir"] {
            std::os::unix::fs::symlink(format!("/bin/{program}"), space.path("home/bin").join(program)).unwrap();
        }
        std::fs::write(space.path("home/lib.sh"), include_str!("lib.sh")).unwrap();
        space.flow(project);
        space.sources(project);
        space
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// Writes the flow, and the weather.
    pub(crate) fn flow(&self, project: &Project) {
        std::fs::write(self.path("p/flows/test.yaml"), project.yaml()).unwrap();
        std::fs::write(self.path("home/weather"), &project.weather).unwrap();
    }

    pub(crate) fn sources(&self, project: &Project) {
        value::write_folder(&self.path("p/src"), &project.sources);
    }

    /// Writes a source in a certain way.
    pub(crate) fn edit(&self, path: &str, file: &value::File, how: How) {
        let full = self.path("p/src").join(path);
        let before = std::fs::metadata(&full).and_then(|metadata| metadata.modified());
        if how == How::Replace {
            let new = self.path("home/new");
            value::write_file(&new, file);
            std::fs::create_dir_all(full.parent().unwrap()).unwrap();
            return std::fs::rename(new, full).unwrap();
        }
        value::write_file(&full, file);
        let time = match (how, before) {
            (How::SameTime, Ok(before)) => before,
            (How::Older, _) => SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000),
            _ => return,
        };
        File::options().write(true).open(full).unwrap().set_modified(time).unwrap();
    }

    fn command(&self, project: &Project, ask: &Ask, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ghtrader"));
        command.args(["run", "test", "--format", "json"]).args(more).args(ask.args(project));
        for (name, value) in &project.given {
            command.args(["-p", &format!("{name}={value}")]);
        }
        command.env_clear().env("PATH", self.path("home/bin")).env("HOME", self.path("home")).envs(&project.env);
        command.env("GHTRADER_LEASES", self.path("home/.leases"));
        command.current_dir(self.path("p")).stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub(crate) fn call(&self, project: &Project, ask: &Ask, dry: bool) -> Answer {
        if self.way == Way::Inside {
            let (root, home) = (self.path("p"), self.path("home"));
            return inside::call(inside::Place { root: &root, home: &home }, project, ask, dry);
        }
        let more: &[&str] = if dry { &["--dry-run"] } else { &[] };
        let output = self.command(project, ask, more).output().unwrap();
        Answer::of(output.status.code(), &output.stdout, &output.stderr)
    }

    /// Runs the program twice at once.
    pub(crate) fn call_twice(&self, project: &Project, ask: &Ask) -> [Answer; 2] {
        if self.way == Way::Inside {
            let call = || self.call(project, ask, false);
            return std::thread::scope(|scope| {
                let other = scope.spawn(call);
                [call(), other.join().unwrap()]
            });
        }
        let mut both = [(); 2].map(|()| self.command(project, ask, &[]));
        let children =
            both.each_mut().map(|command| command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
        children.map(|child| {
            let output = child.wait_with_output().unwrap();
            Answer::of(output.status.code(), &output.stdout, &output.stderr)
        })
    }

    /// Starts the program, and kills it.
    pub(crate) fn call_and_kill(&self, project: &Project, ask: &Ask, after: Duration) -> Answer {
        let out = self.path("home/out");
        let mut command = self.command(project, ask, &[]);
        let file = File::create(&out).unwrap();
        let mut child = command.stdout(file).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(after);
        child.kill().unwrap();
        let status = child.wait().unwrap();
        Answer::of(status.code(), &std::fs::read(out).unwrap(), b"")
    }

    /// How often each instance was executed since the last look.
    pub(crate) fn executed(&self) -> BTreeMap<String, usize> {
        let log = self.path("home/log");
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        let _ = std::fs::remove_file(log);
        let mut executed = BTreeMap::new();
        for line in text.lines() {
            *executed.entry(line.to_owned()).or_default() += 1;
        }
        executed
    }

    /// All that lies in the project and beside it.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::new();
        look(self.folder.path(), &mut snapshot);
        snapshot
    }
}

fn look(path: &Path, snapshot: &mut Snapshot) {
    let m = std::fs::symlink_metadata(path).unwrap();
    let said = (m.ino(), m.size(), m.mode(), m.mtime(), m.mtime_nsec(), m.ctime(), m.ctime_nsec());
    snapshot.insert(path.to_owned(), said);
    if m.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            look(&entry.unwrap().path(), snapshot);
        }
    }
}

impl Answer {
    fn of(code: Option<i32>, out: &[u8], err: &[u8]) -> Self {
        let out = String::from_utf8_lossy(out).into_owned();
        let mut answer = Self { code, ..Self::default() };
        for line in out.lines() {
            // The last line of a killed run may be cut.
            let Ok(event) = serde_json::from_str::<serde_json::Value>(line) else { continue };
            answer.hear(&event);
        }
        answer.text = out + &String::from_utf8_lossy(err);
        answer
    }

    /// Takes in an event.
    pub(crate) fn hear(&mut self, event: &serde_json::Value) {
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        match event["event"].as_str() {
            Some("task") if event["state"] != "running" => {
                self.states.insert(text("task"), text("state"));
                self.keys.insert(text("task"), text("key"));
            }
            Some("finished") => {
                self.counts = Some(["ran", "cached", "failed", "skipped"].map(|name| event[name].as_u64().unwrap()));
            }
            _ => {}
        }
    }

    pub(crate) fn observed(&self, executed: BTreeMap<String, usize>) -> Observed {
        Observed { states: self.states.clone(), executed }
    }
}
