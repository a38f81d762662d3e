//! The server of these tests (`server.sh`), and what it is asked.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::space::{Answer, Space, answer};

/// A running Slurm. What was started for it ends with it.
pub(crate) struct Cluster {
    folder: TempDir,
}

impl Cluster {
    /// As the program calls it.
    pub(crate) const NAME: &str = "Slurm";

    /// Starts it, or says why there is none.
    pub(crate) fn start() -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("they need root".to_owned());
        }
        let cluster = Self { folder: tempfile::tempdir().map_err(|error| error.to_string())? };
        let ports: Vec<String> = free_ports().iter().map(u16::to_string).collect();
        let folder = cluster.folder.path().display().to_string();
        server(&["start", &folder, &ports[0], &ports[1]])?;
        Ok(cluster)
    }

    /// Its configuration.
    pub(crate) fn conf(&self) -> PathBuf {
        self.folder.path().join("slurm.conf")
    }

    /// Kills the controller, or starts it again.
    pub(crate) fn server(&self, what: &str) {
        server(&[what, &self.folder.path().display().to_string()]).unwrap();
    }

    /// `ghtrader … --executor slurm` on a project, about to be started.
    pub(crate) fn command(&self, space: &Space, args: &[&str]) -> Command {
        let mut command = space.command(&[args, &["--executor", "slurm"]].concat());
        command.env("SLURM_CONF", self.conf());
        command
    }

    /// `ghtrader run test --executor slurm …`, to its end.
    pub(crate) fn run(&self, space: &Space, args: &[&str]) -> Answer {
        answer(&mut self.command(space, &[&["run", "test"], args].concat()))
    }

    /// One of Slurm's own commands.
    pub(crate) fn ask(&self, program: &str, args: &[&str]) -> String {
        let output = Command::new(program).args(args).env("SLURM_CONF", self.conf()).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The jobs that run or wait.
    pub(crate) fn jobs(&self) -> usize {
        self.ask("squeue", &["--noheader", "--array"]).lines().count()
    }

    /// How many batches were ever submitted, of those that it knows.
    pub(crate) fn batches(&self) -> usize {
        let names = self.ask("squeue", &["--noheader", "--states=all", "--format=%j"]);
        names.lines().collect::<BTreeSet<_>>().len()
    }

    /// Takes the node away, as where it fails, or gives it back.
    pub(crate) fn node(&self, state: &str) {
        let name = self.ask("sinfo", &["--noheader", "--Node", "--format=%N"]);
        let (name, state) = (format!("nodename={}", name.trim()), format!("state={state}"));
        self.ask("scontrol", &["update", &name, &state, "reason=test"]);
    }

    /// The ends of its logs.
    pub(crate) fn logs(&self) -> String {
        let end = |name: &str| {
            let text = std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            format!("{name}:\n{}\n", lines[lines.len().saturating_sub(15)..].join("\n"))
        };
        ["slurmctld.log", "slurmd.log"].map(end).concat()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.server("stop");
    }
}

fn server(args: &[&str]) -> Result<(), String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slurm/server.sh");
    let answer = answer(Command::new("sh").arg(script).args(args));
    if answer.code == 0 { Ok(()) } else { Err(answer.err.trim().to_owned()) }
}

/// Two ports that nobody listens on now.
fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}
