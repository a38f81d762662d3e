//! A Ray of one node with four declared devices, in namespaces of its own: it listens beyond loopback even when told not to, and
//! all of it ends with the first process in there.

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::space::{Answer, Space, answer};

pub(crate) const ADDRESS: &str = "http://127.0.0.1:8265";
/// Says that this process is in there.
const INSIDE: &str = "RAY_TESTS_INSIDE";

/// A running Ray.
pub(crate) struct Cluster {
    _folder: TempDir,
}

fn ray() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/ray/bin/ray")
}

/// Goes on in namespaces of its own; what cannot be had is told by [`Cluster::start`].
pub(crate) fn enter() {
    if !ray().exists() || !rustix::process::geteuid().is_root() || std::env::var_os(INSIDE).is_some() {
        return;
    }
    let mut command = Command::new("unshare");
    command.args(["-n", "-p", "-f", "--mount-proc", "sh", "-c", "ip link set lo up && \"$@\"", "sh"]);
    command.args(std::env::args_os()).env(INSIDE, "yes");
    // Where that fails, there is no such program, and the tests say so.
    let _ = command.exec();
}

impl Cluster {
    /// As the program calls it.
    pub(crate) const NAME: &str = "Ray";

    pub(crate) fn start() -> Result<Self, String> {
        if std::env::var_os(INSIDE).is_none() {
            return Err("they need root, unshare, and `./x test --ray`, which installs Ray".to_owned());
        }
        // The paths of its sockets are long.
        let folder = tempfile::Builder::new().prefix("r").tempdir_in("/tmp").map_err(|error| error.to_string())?;
        let mut command = Command::new(ray());
        command.args(["start", "--head", "--num-cpus", "16", "--num-gpus", "4", "--memory", "4000000000"]);
        command.args(["--object-store-memory", "100000000", "--disable-usage-stats"]);
        command
            .args(["--dashboard-host", "127.0.0.1", "--node-ip-address", "127.0.0.1", "--temp-dir"])
            .arg(folder.path());
        let started = answer(command.stdin(Stdio::null()));
        if started.code != 0 {
            return Err(format!("Ray does not start: {}{}", started.out, started.err));
        }
        let cluster = Self { _folder: folder };
        let begun = Instant::now();
        while !cluster.get("/api/version").is_object() {
            if begun.elapsed() > Duration::from_secs(60) {
                return Err("Ray's dashboard does not answer".to_owned());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(cluster)
    }

    /// `ghtrader … --executor ray` on a project, about to be started.
    pub(crate) fn command(&self, space: &Space, args: &[&str]) -> Command {
        let mut command = space.command(&[args, &["--executor", "ray"]].concat());
        command.env("RAY_API_SERVER_ADDRESS", ADDRESS);
        command
    }

    /// `ghtrader run test --executor ray …`, to its end.
    pub(crate) fn run(&self, space: &Space, args: &[&str]) -> Answer {
        answer(&mut self.command(space, &[&["run", "test"], args].concat()))
    }

    fn get(&self, path: &str) -> Value {
        let answer = answer(Command::new("curl").args(["-s", &format!("{ADDRESS}{path}")]));
        serde_json::from_str(&answer.out).unwrap_or_default()
    }

    /// Name and state of each job.
    fn listed(&self) -> Vec<(String, String)> {
        let text = |job: &Value, name: &str| job[name].as_str().unwrap_or_default().to_owned();
        let jobs = self.get("/api/jobs/");
        jobs.as_array().unwrap().iter().map(|job| (text(job, "submission_id"), text(job, "status"))).collect()
    }

    /// The jobs that run or wait.
    pub(crate) fn jobs(&self) -> usize {
        self.listed().iter().filter(|(_, status)| status == "PENDING" || status == "RUNNING").count()
    }

    /// How many batches were ever submitted.
    pub(crate) fn batches(&self) -> usize {
        let batch = |name: &str| name.rsplit_once('-').map(|(batch, _)| batch.to_owned());
        self.listed().iter().filter_map(|(name, _)| batch(name)).collect::<BTreeSet<_>>().len()
    }

    /// As somebody else stops all of them.
    pub(crate) fn stop_all(&self) {
        for (name, _) in self.listed() {
            answer(Command::new("curl").args(["-s", "-X", "POST", &format!("{ADDRESS}/api/jobs/{name}/stop")]));
        }
    }

    /// What it says of its jobs.
    pub(crate) fn logs(&self) -> String {
        format!("{:#}", self.get("/api/jobs/"))
    }

    pub(crate) fn server(&self, _: &str) {
        unreachable!("of Slurm only")
    }

    pub(crate) fn node(&self, _: &str) {
        unreachable!("of Slurm only")
    }

    pub(crate) fn ask(&self, _: &str, _: &[&str]) -> String {
        unreachable!("of Slurm only")
    }
}
